"""`/admin/alerts`: what is watched for whom, how it stands, and what was said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.models import Company
from portal.accounts.rules import Permission, may
from portal.admin.alerts.forms import TestForm
from portal.admin.alerts.pictures import picture, span_wanted
from portal.admin.alerts.words import AREAS, HAPPENED, LACKS, LEVELS, condition, sentence, thing
from portal.admin.delays import done
from portal.admin.forms import RowForm, page_wanted, text_wanted
from portal.alerts import actions, queries
from portal.alerts.models import Alert, AlertWatch
from portal.alerts.queries import AlertLine, WatchPage, muting
from portal.alerts.recipients import unreachable
from portal.alerts.rules import AlertArea, AlertState, Level
from portal.alerts.telling import send_test
from portal.alerts.words import name_of
from portal.catalogue.queries.lists import company_by_id
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render

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


# One alert


@blueprint.get(NAME)
def alert_page(public_id: str) -> Response:
    """How it stands, for whom, what happened, and who hears of it. `company` chooses whose chart is shown."""
    return _page(_alert(public_id), TestForm(formdata=None), 200)


@blueprint.post(f"{NAME}/on")
def switch_on(public_id: str) -> Response:
    return _switch(public_id, True, "It is watched from now on.")


@blueprint.post(f"{NAME}/off")
def switch_off(public_id: str) -> Response:
    return _switch(public_id, False, "It is watched no more, and nobody was told.")


@blueprint.post(f"{NAME}/archive")
def archive_alert(public_id: str) -> Response:
    access.require(Permission.ALERTS_EDIT)
    alert, pressed = _alert(public_id), _pressed()
    title = alert.title
    try:
        actions.archive_alert(alert, **pressed)
    except RuleViolation as violation:
        return _refused(public_id, violation)
    events.commit()
    flash(f"{title} is archived.")
    return redirect_to(LIST)


@blueprint.post(f"{NAME}/test")
def test_alert(public_id: str) -> Response:
    """Say how it stands now, marked as a test. Who may not set alerts up gets it alone."""
    alert, form, now = _alert(public_id), TestForm(), clock.utcnow()
    if not form.validate_on_submit():
        return _page(alert, form, 422)
    to_all = bool(form.to_all.data)
    if to_all:
        access.require(Permission.ALERTS_EDIT)
    watch = queries.watch_of(alert.id, form.company_id.data or 0) or abort(404)
    try:
        send_test(
            alert,
            watch.company_id,
            actions.reading_now(alert, watch.company_id, now),
            to_all=to_all,
            person_id=access.signed_in().person_id,
            by=access.actor(),
            now=now,
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(_alert(public_id), form, 422)
    events.commit()
    flash(done("On its way to everybody it names." if to_all else "On its way to you."))
    return redirect_to(f"{LIST}/{public_id}")


def _switch(public_id: str, is_on: bool, sentence: str) -> Response:
    access.require(Permission.ALERTS_EDIT)
    alert, pressed = _alert(public_id), _pressed()
    try:
        actions.switch_alert(alert, is_on, **pressed)
    except RuleViolation as violation:
        return _refused(public_id, violation)
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{public_id}")


def _pressed() -> dict[str, Any]:
    """What a button that does one thing to an alert gives its action."""
    form = RowForm()
    if not form.validate_on_submit():
        abort(422)
    return {"version": form.version.data or 0, "by": access.actor(), "now": clock.utcnow()}


def _refused(public_id: str, violation: RuleViolation) -> Response:
    events.rollback()
    form = TestForm(formdata=None)
    form.form_errors.append(violation.sentence)
    return _page(_alert(public_id), form, 422)


def _page(alert: Alert, test: TestForm, status: int) -> Response:
    now = clock.utcnow()
    watches = queries.watch_page(alert.id, page_wanted()) or abort(404)
    shown = _shown(alert, watches)
    test.version.data = alert.version
    at = f"{LIST}/{alert.public_id}"
    return render(
        "admin/alerts/alert.html",
        "admin/alerts/_alert.html",
        status,
        alert=alert,
        sentence=sentence(alert),
        watched=name_of(thing(alert)),
        thing=thing(alert),
        watches=watches,
        shown=shown,
        causes=_causes(alert, shown, now),
        drawn=picture(alert, shown, span_wanted(), now, at) if shown is not None else None,
        events=queries.events_of(alert.id, company_id=shown.company_id if shown is not None else None),
        unreachable=unreachable(alert, alert.recipients, now),
        test=test,
        lacks=LACKS,
        happened=HAPPENED,
        may_edit=_may_edit(),
        at=at,
    )


def _shown(alert: Alert, watches: WatchPage) -> AlertWatch | None:
    """The company whose chart is shown: its own, the one the address names, or the first of those it is for."""
    asked = request.args.get("company", type=int)
    if alert.company_id is not None:
        return queries.watch_of(alert.id, alert.company_id)
    if asked is not None:
        return queries.watch_of(alert.id, asked) or abort(404)
    return watches.items[0] if watches.items else None


def _causes(alert: Alert, shown: AlertWatch | None, now: datetime) -> Sequence[muting.Cause]:
    """What keeps it silent where it is shown to be."""
    if shown is None or shown.muted_since is None:
        return ()
    of_metric = {alert.metric.id: alert.metric.service_id} if alert.metric is not None else {}
    return muting.causes(shown.company_id, muting.services_of(alert, of_metric), now)


def _alert(public_id: str) -> Alert:
    return queries.alert_for_staff(public_id) or abort(404)
