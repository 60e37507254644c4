"""The mails this capability sends. Importing it makes their kinds known."""

import portal.incidents.mails.following
import portal.incidents.mails.incidents
import portal.incidents.mails.maintenance
import portal.incidents.mails.owner
import portal.incidents.mails.slots  # noqa: F401 (the same)
