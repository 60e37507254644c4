"""`/jobs`: a company's jobs as it may see them."""

from flask import Blueprint, Response

from portal import access, writing
from portal.customer.jobs.booking import show_booking, take_booking, take_cancel, take_files
from portal.customer.jobs.pages import item_of, item_view, list_view
from portal.domains.rules import Area
from portal.fragments import render
from portal.jobs.rules import WorkKind

blueprint = Blueprint("customer_jobs", __name__, url_prefix="/jobs")
access.customers(blueprint, Area.JOBS)
for _view in ("book", "add_files"):
    access.takes_uploads(f"customer_jobs.{_view}", None, most_bytes=writing.MOST_BYTES, sentence=writing.TOO_LARGE)


@blueprint.get("")
def jobs() -> Response:
    """The jobs by their last public change, narrowed by `status` (the key of a public status) and `q`."""
    return render("customer/jobs/jobs.html", "customer/jobs/_jobs.html", **list_view(WorkKind.JOB))


@blueprint.get("/new")
def new() -> Response:
    """The form that books a job."""
    return show_booking(WorkKind.JOB)


@blueprint.post("/new")
def book() -> Response:
    """Book a job; sent twice, it is one."""
    return take_booking(WorkKind.JOB)


@blueprint.get("/<number>")
def job(number: str) -> Response:
    """One job with what became of it, its files and what was written about it."""
    view = item_view(item_of(WorkKind.JOB, number))
    return render("customer/jobs/job.html", "customer/jobs/_job.html", **view)


@blueprint.post("/<number>/files")
def add_files(number: str) -> Response:
    """Add files to a job."""
    return take_files(WorkKind.JOB, number)


@blueprint.post("/<number>/cancel")
def cancel(number: str) -> Response:
    """Call off what one has asked for oneself, as long as nothing else has become of it."""
    return take_cancel(WorkKind.JOB, number)
