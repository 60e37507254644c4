"""`/jobs`: a company's jobs as it may see them."""

from flask import Blueprint, Response

from portal import access
from portal.customer.jobs.pages import item_of, item_view, list_view
from portal.domains.rules import Area
from portal.fragments import render
from portal.jobs.rules import WorkKind

blueprint = Blueprint("customer_jobs", __name__, url_prefix="/jobs")
access.customers(blueprint, Area.JOBS)


@blueprint.get("")
def jobs() -> Response:
    """The jobs by their last public change, narrowed by `status` (the key of a public status) and `q`."""
    return render("customer/jobs/jobs.html", "customer/jobs/_jobs.html", **list_view(WorkKind.JOB))


@blueprint.get("/<number>")
def job(number: str) -> Response:
    """One job with what became of it, its files and what was written about it."""
    view = item_view(item_of(WorkKind.JOB, number))
    return render("customer/jobs/job.html", "customer/jobs/_job.html", **view)
