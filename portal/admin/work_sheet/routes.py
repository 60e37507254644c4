"""`/admin/badges/<version>.css`: the colours of jobs and quotes, as staff see them and as customers do."""

from flask import Blueprint, Response, abort, url_for

from portal import access
from portal.accounts.rules import Permission
from portal.assets import made_sheet
from portal.jobs.sheets import is_version, staff_sheet

blueprint = Blueprint("admin_work_sheet", __name__, url_prefix="/admin/badges")
access.staff(blueprint, Permission.STAFF_ENTER)
access.loads_by_itself("admin_work_sheet.sheet")


@blueprint.get("/<version>.css")
def sheet(version: str) -> Response:
    """The sheet of this version for good. An older page gets today's, to be asked for again."""
    if not is_version(version):
        abort(404)
    found = staff_sheet()
    return made_sheet(found.text, is_current=version == found.version)


def sheet_address() -> str:
    """Where pages that show work find the colours of its badges. One query."""
    return url_for("admin_work_sheet.sheet", version=staff_sheet().version)
