"""The addresses of jobs and of quotes."""

from portal.admin.jobs.screens import Screens
from portal.jobs.rules import WorkKind

jobs = Screens(WorkKind.JOB).blueprint
quotes = Screens(WorkKind.QUOTE).blueprint
