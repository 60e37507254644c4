"""`/admin/alerts`: what is watched for whom, how it stands, and what was said of it."""

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from portal import access
from portal.accounts.models import Company
from portal.accounts.rules import Permission, may
from portal.admin.alerts.words import AREAS, LEVELS, condition
from portal.admin.forms import page_wanted, text_wanted
from portal.alerts import queries
from portal.alerts.models import Alert
from portal.alerts.queries import AlertLine
from portal.alerts.rules import AlertArea, AlertState, Level
from portal.catalogue.queries.lists import company_by_id
from portal.fragments import render

blueprint = Blueprint("admin_alerts", __name__, url_prefix="/admin/alerts")
access.staff(blueprint, Permission.COMPANIES_READ)

LIST = "/admin/alerts"
NAME = "/<string(maxlength=40):public_id>"

STANDS = {
    "": "All",
    "triggered": "Triggered",
    "pending": "Not long enough yet",
    "no_data": "No data",
    "muted": "Muted",
    "off": "Switched off",
    "archived": "Archived",
}
"""How the list may be narrowed by what stands in `state` of the address."""


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to, as the address says it."""

    state: str = ""
    area: AlertArea | None = None
    level: Level | None = None
    company_id: int | None = None
    text: str = ""

    @property
    def is_narrowed(self) -> bool:
        return any((self.state, self.area, self.level, self.company_id, self.text))

    def address(self, **other: object) -> str:
        """The list with these filters, some of them others."""
        named = {
            "q": self.text,
            "state": self.state,
            "area": self.area or "",
            "level": self.level or "",
            "company": self.company_id or "",
        }
        kept = {name: value for name, value in (named | other).items() if value}
        return f"{LIST}?{urlencode(kept)}" if kept else LIST


@dataclass(frozen=True)
class Row:
    """A line of the list."""

    line: AlertLine
    condition: str

    @property
    def alert(self) -> Alert:
        return self.line.alert

    @property
    def state(self) -> str:
        """How it is shown to stand: the worst of its companies."""
        if not self.alert.is_on or self.alert.archived_at is not None:
            return "off"
        return self.line.state or AlertState.NORMAL


@blueprint.get("")
def alert_list() -> Response:
    """All of them, what is triggered first, 50 a page."""
    filters = _filters()
    company = _company(filters.company_id)
    state = filters.state
    found = queries.alert_page(
        page_wanted(),
        text=filters.text,
        area=filters.area,
        level=filters.level,
        company_id=filters.company_id,
        is_on=False if state == "off" else None,
        state=AlertState(state) if state in set(AlertState) else None,
        is_muted=state == "muted",
        is_archived=state == "archived",
    ) or abort(404)
    return render(
        "admin/alerts/alerts.html",
        "admin/alerts/_alerts.html",
        found=found,
        rows=[Row(each, condition(each.alert)) for each in found.items],
        filters=filters,
        company=company,
        chips=[(word, filters.address(state=each), each == state) for each, word in STANDS.items()],
        areas=AREAS,
        levels=LEVELS,
        may_edit=_may_edit(),
    )


def _filters() -> Filters:
    state = request.args.get("state", "")
    if state not in STANDS:
        abort(404)
    area, level = request.args.get("area", ""), request.args.get("level", "")
    if area not in {"", *AlertArea} or level not in {"", *Level}:
        abort(404)
    company = request.args.get("company", "")
    if company and not (company.isascii() and company.isdigit() and len(company) < 10):
        abort(404)
    return Filters(
        state,
        AlertArea(area) if area else None,
        Level(level) if level else None,
        int(company) if company else None,
        text_wanted(),
    )


def _company(company_id: int | None) -> Company | None:
    return None if company_id is None else company_by_id(company_id) or abort(404)


def _may_edit() -> bool:
    return may(access.signed_in().role, Permission.ALERTS_EDIT)
