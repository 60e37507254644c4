"""`/services/availability`: what the company had of its services in a month, against what was promised."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, Response, abort, request
from flask_babel import format_date

from portal import access, clock
from portal.domains.rules import Area
from portal.fragments import render
from portal.incidents.rules.availability import Month
from portal.services.queries.behind import Source
from portal.services.queries.ledger import (
    CompanyMonth,
    Line,
    Named,
    company_month,
    names_of,
    zone_of,
)
from portal.services.queries.settings import view_of
from portal.services.sheets import title_of, written

blueprint = Blueprint("customer_availability", __name__, url_prefix="/services/availability")
access.customers(blueprint, Area.SERVICES)

CAUSES_SHOWN = 100
"""What lay on the services that the page names; the CSV names all."""


@dataclass(frozen=True)
class Reason:
    """What lay on some of the services, and on which. `address` is "" where there is nothing to read of it."""

    named: Named
    title: str
    address: str
    lines: list[Line]


@blueprint.get("")
def availability() -> Response:
    """The month, a line for each service, and what lies behind the figures."""
    now = clock.utcnow()
    found, this = _found(now)
    reasons = _reasons(found, now)
    earlier, later = found.month.moved(-1), found.month.moved(1)
    return render(
        "customer/availability/availability.html",
        "customer/availability/_availability.html",
        found=found,
        month_name=format_date(found.month.first_day, "LLLL yyyy"),
        months=(earlier if Month.read(str(earlier)) else None, later if later <= this else None),
        this=this,
        reasons=reasons[:CAUSES_SHOWN],
        more=max(0, len(reasons) - CAUSES_SHOWN),
    )


@blueprint.get("/month.csv")
def as_csv() -> Response:
    """The same as CSV."""
    now = clock.utcnow()
    found, _this = _found(now)
    base = access.portal().base_url

    def address(named: Named, line: Line) -> str:
        where = _address(named, line)
        return base + where if where else ""

    text = "".join(written([found], access.viewpoint(), address, now, of_many=False))
    answer = Response(text, mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="availability-{found.month}.csv"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def _found(now: datetime) -> tuple[CompanyMonth, Month]:
    """The month that is asked for, the last one that is over if none is, and the month it is now.

    Without incidents most of what broke would be missing, and without its history a company is not told what was; so
    where Status is closed, or the history is not shown, there is no such page.
    """
    viewer = access.signed_in()
    company_id = viewer.company_id or 0
    view = view_of(access.portal().id, company_id)
    if Area.STATUS not in access.areas() or not view.shows_history:
        abort(404)
    this = Month.of(now, zone_of(company_id))
    text = request.args.get("month")
    month = Month.read(text) if text is not None else this.moved(-1)
    if month is None or month > this:
        abort(404)
    return company_month(company_id, month, now, hidden=view.hidden_services) or abort(404), this


def _reasons(found: CompanyMonth, now: datetime) -> list[Reason]:
    lines: dict[object, list[Line]] = {}
    for line in found.lines:
        for cause in line.causes:
            lines.setdefault(cause, []).append(line)
    causes = {cause for line in found.lines for cause in line.causes}
    named = sorted(names_of(causes, access.viewpoint(), now).values(), key=lambda each: (each.from_at, each.cause))
    return [Reason(each, title_of(each), _address(each, lines[each.cause][0]), lines[each.cause]) for each in named]


def _address(named: Named, line: Line) -> str:
    """Where a customer reads of it: the incident, or the service it was stated of or lay beneath."""
    match named.cause.source:
        case Source.INCIDENT:
            return f"/incidents/{named.public_id}"
        case Source.STATED | Source.WINDOW | Source.COMPONENT:
            return f"/services/{line.holding_id}"
        case Source.MAINTENANCE:
            return f"/maintenances/{named.public_id}"
