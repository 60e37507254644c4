"""`/badges/<version>.css`: the colours of what customers see of jobs and quotes."""

from flask import Blueprint, Response, abort, url_for

from portal import access
from portal.assets import made_sheet
from portal.domains.rules import Area
from portal.jobs.sheets import is_version, public_sheet

blueprint = Blueprint("customer_work_sheet", __name__, url_prefix="/badges")
access.customers(blueprint)
access.loads_by_itself("customer_work_sheet.sheet")


@blueprint.get("/<version>.css")
def sheet(version: str) -> Response:
    """The sheet of this version for good. An older page gets today's, to be asked for again."""
    if not (is_version(version) and access.areas() & {Area.JOBS, Area.QUOTES}):
        abort(404)
    found = public_sheet()
    return made_sheet(found.text, is_current=version == found.version)


def sheet_address() -> str:
    """Where pages that show public statuses find their colours. One query."""
    return url_for("customer_work_sheet.sheet", version=public_sheet().version)
