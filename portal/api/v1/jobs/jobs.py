"""`/api/v1/jobs`: work that is done for companies."""

from typing import Any

from portal.accounts.rules.tokens import Resource
from portal.api.v1.jobs import work
from portal.api.v1.jobs.both import Both, Shapes
from portal.api.v1.jobs.shapes import JobChange, JobShape, JobToPut, NewJob, PutJobShape, WholeJobShape
from portal.api.v1.operations import Resources
from portal.domains.rules import Area
from portal.jobs.rules import WorkKind

blueprint = Resources(
    Resource.JOBS,
    Area.JOBS,
    about=(
        "Work that is done for a company, found by its number. A company’s token sees its own jobs as its people do: "
        "those that are in the portal, with their public status and nothing else of how the office works."
    ),
)


def _whole(number: str) -> dict[str, Any]:
    return work.whole(WorkKind.JOB, number, work.public_view(WorkKind.JOB, number))


Both(WorkKind.JOB, blueprint, Shapes(JobShape, WholeJobShape, NewJob, JobChange, JobToPut, PutJobShape), _whole)
