"""`/api/v1/jobs`: work that is done for companies."""

from typing import Any

from portal.accounts.rules.tokens import Resource
from portal.api.v1.jobs import messages, work
from portal.api.v1.jobs.messages import MessageQuery, MessageShape, NewMessage
from portal.api.v1.jobs.shapes import (
    JobChange,
    JobShape,
    JobToPut,
    NewJob,
    PutJobShape,
    WholeJobShape,
    WorkMove,
    WorkQuery,
)
from portal.api.v1.operations import Answer, Resources
from portal.domains.rules import Area
from portal.jobs.rules import WorkKind
from portal.keyset import Piece

blueprint = Resources(
    Resource.JOBS,
    Area.JOBS,
    about=(
        "Work that is done for a company, found by its number. A company’s token sees its own jobs as its people do: "
        "those that are in the portal, with their public status and nothing else of how the office works."
    ),
)

NAME = "/<string(maxlength=20):job_number>"
KIND = WorkKind.JOB


@blueprint.lists("", WorkQuery, JobShape, summary="List jobs")
def list_jobs(query: dict[str, Any]) -> Piece[Any]:
    return work.listed(KIND, query)


@blueprint.makes("", NewJob, WholeJobShape, summary="Add a job")
def add_job(body: dict[str, Any]) -> Answer:
    number = work.made(KIND, body)
    return Answer(_whole(number), f"/jobs/{number}")


@blueprint.sets("/by-external-number", JobToPut, PutJobShape, summary="Add a job of another system, or change it")
def put_job(body: dict[str, Any]) -> Answer:
    """Found again by its `external_number`: told of twice it is one job. What the body does not name stays as it is,
    and nobody is mailed unless `notify` says so."""
    number, is_new = work.put(KIND, body)
    return Answer(_whole(number) | {"created": is_new})


@blueprint.reads(NAME, WholeJobShape, summary="Read a job")
def read_job(job_number: str) -> Answer:
    return Answer(_whole(job_number))


@blueprint.changes(NAME, JobChange, WholeJobShape, summary="Change what a job says")
def change_job(job_number: str, body: dict[str, Any]) -> Answer:
    """Its company stays; its status is moved, not changed."""
    work.changed(KIND, job_number, body)
    return Answer(_whole(job_number))


@blueprint.does(f"{NAME}/move", WholeJobShape, body=WorkMove, summary="Move a job to another work status")
def move_job(job_number: str, body: dict[str, Any]) -> Answer:
    """What its customer sees follows from the settings of the work statuses."""
    work.moved(KIND, job_number, body)
    return Answer(_whole(job_number))


@blueprint.lists(f"{NAME}/messages", MessageQuery, MessageShape, summary="List what was written about a job")
def list_job_messages(job_number: str, query: dict[str, Any]) -> Piece[Any]:
    return messages.listed(KIND, job_number, query)


@blueprint.makes(f"{NAME}/messages", NewMessage, MessageShape, summary="Write about a job")
def write_about_job(job_number: str, body: dict[str, Any]) -> Answer:
    """It is written by whoever made the token. What is not `internal` is mailed to the customer."""
    made = messages.written(KIND, job_number, body)
    return Answer(made, f"/jobs/{job_number}/messages/{made['id']}")


@blueprint.reads(
    f"{NAME}/messages/<string(maxlength=40):job_message_id>", MessageShape, summary="Read a message about a job"
)
def read_job_message(job_number: str, job_message_id: str) -> Answer:
    return Answer(messages.one(KIND, job_number, job_message_id))


def _whole(number: str) -> dict[str, Any]:
    return work.whole(KIND, number, work.public_view(KIND, number))
