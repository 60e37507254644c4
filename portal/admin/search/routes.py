"""`/admin/search`: the page of all finds, and the options of the palette that every staff page can open."""

from dataclasses import dataclass

from flask import Blueprint, Response, abort, request

from portal import access, clock
from portal.accounts.rules import Permission
from portal.admin.forms import page_wanted, text_wanted
from portal.admin.search.groups import PER_PAGE, search_all, search_group
from portal.fragments import render

blueprint = Blueprint("admin_search", __name__, url_prefix="/admin/search")
access.staff(blueprint, Permission.STAFF_ENTER)


@dataclass(frozen=True)
class Pages:
    """Where a list of finds stands: this page of so many, and how many finds there are."""

    page: int
    pages: int
    total: int


@blueprint.get("")
def search() -> Response:
    """The best of every group; with `in`, all of one group, 50 a page."""
    text, role, now = text_wanted(), access.signed_in().role, clock.utcnow()
    if wanted := request.args.get("in"):
        page = page_wanted()
        one = search_group(wanted, text, page, role, now) if page else None
        if one is None:
            abort(404)
        pages = Pages(page, max(1, -(-(one.total or 0) // PER_PAGE)), one.total or 0)
        if page > pages.pages:
            abort(404)
        return render("admin/search/search.html", "admin/search/_finds.html", text=text, found=[one], pages=pages)
    found = search_all(text, role, now)
    return render("admin/search/search.html", "admin/search/_finds.html", text=text, found=found, pages=None)


@blueprint.get("/options")
def options() -> Response:
    """The same as the palette lists it while somebody types; without htmx it is the page."""
    text = text_wanted()
    found = search_all(text, access.signed_in().role, clock.utcnow())
    return render("admin/search/search.html", "admin/search/_options.html", text=text, found=found, pages=None)
