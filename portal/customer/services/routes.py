"""What the company has with the business, and how each of it is."""

from dataclasses import dataclass
from itertools import groupby

from flask import Blueprint, Response, abort, request

from portal import access, clock
from portal.domains.rules import Area
from portal.fragments import render
from portal.services.queries import ServiceLine, service_lines

blueprint = Blueprint("customer_services", __name__)
access.customers(blueprint, Area.SERVICES)

PER_PAGE = 50


@dataclass(frozen=True)
class Page:
    """One page of the list, with how many there are."""

    items: list[ServiceLine]
    page: int
    pages: int
    total: int


@blueprint.get("/services")
def services() -> Response:
    """The list by category, with `q` narrowing it to names and references that hold the text."""
    text = request.args.get("q", "").strip()[:100]
    lines = service_lines(
        access.signed_in().company_id or 0, clock.utcnow(), shows_incidents=Area.STATUS in access.areas()
    )
    found = [line for line in lines if text.casefold() in f"{line.name} {line.reference} {line.category}".casefold()]
    page = _page(found, request.args.get("page", "1"))
    categories = [(category, list(each)) for category, each in groupby(page.items, key=lambda line: line.category)]
    return render(
        "customer/services/services.html",
        "customer/services/_services.html",
        categories=categories,
        listed=page,
        text=text,
        has_any=bool(lines),
        is_searchable=len(lines) > 10,
    )


def _page(lines: list[ServiceLine], wanted: str) -> Page:
    pages = max(1, -(-len(lines) // PER_PAGE))
    if not wanted.isdecimal() or len(wanted) > 6 or not 1 <= int(wanted) <= pages:
        abort(404)
    number = int(wanted)
    return Page(lines[(number - 1) * PER_PAGE : number * PER_PAGE], number, pages, len(lines))
