"""`/admin/availability`: what each company had of what it holds in a month, against what was promised."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, Response, abort, current_app, flash, request
from werkzeug.wrappers import Response as AnyResponse

from portal import access, clock, events
from portal.accounts.models import Company
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.availability.forms import STALE, ContractForm
from portal.admin.forms import page_wanted, text_wanted
from portal.catalogue.queries import lists
from portal.catalogue.queries.lists import Page
from portal.database import read_only
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions.availability import change_contract
from portal.incidents.queries.availability import contract_of, contract_rows, rule_in
from portal.incidents.rules.availability import Month
from portal.searching import key_of
from portal.services.queries.behind import Source
from portal.services.queries.ledger import (
    CompanyMonth,
    Line,
    Named,
    Summary,
    company_month,
    months_between,
    names_of,
    slices_of,
    summaries,
    zone_of,
)
from portal.services.sheets import headings, lines, title_of, written

blueprint = Blueprint("admin_availability", __name__, url_prefix="/admin/availability")
access.staff(blueprint, Permission.COMPANIES_READ)

PER_PAGE = 50
CAUSES_SHOWN = 200
"""Causes named on the page of a company; the CSV names all."""

SORTS = ("worst", "name")

PLACES = {
    Source.INCIDENT: "/admin/incidents/{}",
    Source.MAINTENANCE: "/admin/maintenances/{}",
    Source.COMPONENT: "/admin/catalogue/components/{}",
    Source.STATED: "/admin/services/updates/{}",
    Source.WINDOW: "/admin/services/windows/{}",
}
"""Where staff read what lay on a holding."""


@dataclass(frozen=True)
class Reason:
    """What lay on some holdings of a company, and on which."""

    named: Named
    title: str
    address: str
    lines: list[Line]


@blueprint.get("")
def availability() -> Response:
    """Every company that held anything in a month: the worst first, or by name, or only who had less than promised."""
    now = clock.utcnow()
    month = month_wanted(ZoneInfo("UTC"), now)
    sort, missed, text = request.args.get("sort", "worst"), request.args.get("missed") == "1", text_wanted()
    if sort not in SORTS:
        abort(404)
    everybody = summaries(month, now)
    found = [each for each in everybody if _is_wanted(each, key_of(text), missed=missed)]
    found.sort(key=lambda each: (key_of(each.name), each.company_id))
    if sort == "worst":
        found.sort(key=lambda each: (each.worst, each.share))
    page, pages = page_wanted(), max(1, -(-len(found) // PER_PAGE))
    if not 1 <= page <= pages:
        abort(404)
    return render(
        "admin/availability/availability.html",
        "admin/availability/_availability.html",
        month=month,
        months=months_around(month, ZoneInfo("UTC"), now),
        sort=sort,
        missed=missed,
        text=text,
        listed=Page(found[(page - 1) * PER_PAGE : page * PER_PAGE], page, pages, len(found)),
        companies=len(everybody),
        missing=sum(each.missed > 0 for each in everybody),
        promised=any(each.target is not None for each in everybody),
        terms=rule_in(month).terms,
        may_edit=may(access.signed_in().role, Permission.SERVICES_SET),
    )


@blueprint.get("/month.csv")
def all_as_csv() -> Response:
    """The ledger of all companies for a month, a line for each holding, written while it is read."""
    now = clock.utcnow()
    month = month_wanted(ZoneInfo("UTC"), now)
    app = cast(Any, current_app)._get_current_object()
    return csv_answer(_pieces(app, headings(of_many=True), slices_of(month), month, now), f"availability-{month}.csv")


def _pieces(app: Flask, heading: str, slices: Sequence[tuple[int, int]], month: Month, now: datetime) -> Iterator[str]:
    """The file in pieces, each read in a context of its own: whoever stops reading leaves nothing open."""
    yield heading
    for low, high in slices:
        with app.app_context():
            read_only.set(True)
            piece = "".join(lines(months_between(low, high, month, now), STAFF, _address, now, of_many=True))
        yield piece


@blueprint.get("/companies/<int:company_id>")
def company(company_id: int) -> Response:
    """The ledger of one company for a month, with what lies behind the figures and what is agreed."""
    wanted, now = _company(company_id), clock.utcnow()
    zone = zone_of(company_id)
    month = month_wanted(zone, now)
    found = company_month(company_id, month, now) or abort(404)
    reasons = _reasons(found, now)
    return render(
        "admin/availability/company.html",
        "admin/availability/_company.html",
        company=wanted,
        found=found,
        month=month,
        months=months_around(month, zone, now),
        reasons=reasons[:CAUSES_SHOWN],
        more=max(0, len(reasons) - CAUSES_SHOWN),
        contract=contract_of(company_id, month),
        may_edit=may(access.signed_in().role, Permission.COMPANIES_EDIT),
    )


@blueprint.get("/companies/<int:company_id>/month.csv")
def company_as_csv(company_id: int) -> Response:
    """The same as CSV."""
    _company(company_id)
    now = clock.utcnow()
    month = month_wanted(zone_of(company_id), now)
    found = company_month(company_id, month, now) or abort(404)
    text = "".join(written([found], STAFF, _address, now, of_many=True))
    return csv_answer(text, f"availability-{company_id}-{month}.csv")


@blueprint.route("/companies/<int:company_id>/contract", methods=["GET", "POST"])
def contract(company_id: int) -> AnyResponse:
    """What is agreed with a company, from a month on; months before keep what was agreed then."""
    access.require(Permission.COMPANIES_EDIT)
    wanted, now = _company(company_id), clock.utcnow()
    zone = zone_of(company_id)
    this = Month.of(now, zone)
    known = contract_of(company_id, this)
    form = ContractForm.of(known, this)
    if not form.validate_on_submit():
        return _contract_page(wanted, form, this, 422 if form.is_submitted() else 200)
    try:
        change_contract(
            wanted,
            Month.read(form.from_month.data) or this,
            counts_maintenance=form.counts_maintenance,
            target=form.thousandths,
            version=form.version.data or 0,
            by=access.actor(),
            now=now,
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _contract_page(wanted, form, this, 422)
    except StaleEdit:
        events.rollback()
        form.form_errors.append(STALE)
        form.version.data = contract_of(company_id, this).version
        return _contract_page(wanted, form, this, 409)
    events.commit()
    flash("Saved. Months before keep what was agreed then.")
    return redirect_to(f"/admin/availability/companies/{company_id}?month={min(form.from_month.data, str(this))}")


def _contract_page(wanted: Company, form: ContractForm, this: Month, status: int) -> Response:
    return render(
        "admin/availability/contract.html",
        "admin/availability/_contract.html",
        status,
        company=wanted,
        form=form,
        usual=rule_in(this).terms,
        known=contract_rows(wanted.id),
    )


def month_wanted(zone: ZoneInfo, now: datetime) -> Month:
    """The month the address asks for, or the last one that is over; 404 for no month, or one that has not begun."""
    text = request.args.get("month")
    this = Month.of(now, zone)
    if text is None:
        return this.moved(-1)
    found = Month.read(text)
    # What month it is differs by a day from zone to zone; one that has begun nowhere is none.
    return found if found is not None and found <= this else abort(404)


def months_around(month: Month, zone: ZoneInfo, now: datetime) -> tuple[Month | None, Month | None]:
    """The month before and the one after, where there are such months."""
    earlier, later = month.moved(-1), month.moved(1)
    return (earlier if Month.read(str(earlier)) else None), (later if later <= Month.of(now, zone) else None)


def csv_answer(body: str | Iterable[str], name: str) -> Response:
    """An answer that is kept by nobody and saved under this name."""
    response = Response(body, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _company(company_id: int) -> Company:
    return lists.company_by_id(company_id) or abort(404)


def _is_wanted(each: Summary, text: str, *, missed: bool) -> bool:
    return (not missed or each.missed > 0) and text in key_of(each.name)


def _address(named: Named, _line: Line) -> str:
    return str(current_app.config["SETTINGS"].base_url) + _place(named)


def _place(named: Named) -> str:
    return PLACES[named.cause.source].format(named.component_id or named.cause.id)


def _reasons(found: CompanyMonth, now: datetime) -> list[Reason]:
    """What lies behind the figures of a company, in the order in which it began."""
    hit: dict[object, list[Line]] = {}
    for line in found.lines:
        for cause in line.causes:
            hit.setdefault(cause, []).append(line)
    named = sorted(
        names_of({each for line in found.lines for each in line.causes}, STAFF, now).values(),
        key=lambda each: (each.from_at, each.cause),
    )
    return [Reason(each, title_of(each), _place(each), hit[each.cause]) for each in named]
