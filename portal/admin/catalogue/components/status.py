"""`/admin/catalogue/components/<id>/status`: what a component is by hand, what lies over it, and what customers see."""

from datetime import datetime
from typing import Any

from flask import Blueprint, abort, flash
from werkzeug.wrappers import Response
from wtforms import DateTimeLocalField, RadioField, StringField
from wtforms.validators import InputRequired, Length, Optional

from portal import access, clock, events
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.broadcasts.notices.forms import READINGS
from portal.admin.forms import VersionedForm, choices_of
from portal.catalogue.models import Component
from portal.catalogue.queries import component_by_id
from portal.errors import RuleViolation, StaleEdit
from portal.filters import LOOKS
from portal.fragments import redirect_to, render, wants_fragment
from portal.incidents import actions
from portal.incidents.queries import statuses_of
from portal.incidents.queries.base import Base, base_of, overlays_on, past_by_hand
from portal.incidents.rules import STATUS_OF_SEVERITY, ComponentStatus
from portal.incidents.rules.base import NOTE_LENGTH, SEVERITY_OF_STATUS
from portal.language import reader_zone
from portal.localtime import LocalTimeError, Reading, TwiceError, moment_of

blueprint = Blueprint("admin_component_status", __name__, url_prefix="/admin/catalogue/components")
access.staff(blueprint, Permission.STAFF_ENTER)

PAST_SHOWN = 5
"""How many of the last that was set by hand stand below the form."""

TIME_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
CHOICES = choices_of((each.value, str(LOOKS["component"][each].label)) for each in SEVERITY_OF_STATUS)


class StatusForm(VersionedForm):
    """What a component is by hand, until when, and why."""

    status = RadioField("By hand it is", [InputRequired("Choose a status.")], choices=CHOICES)
    until = DateTimeLocalField("Ends by itself", [Optional()], format=TIME_FORMATS)
    until_reading = RadioField("Which of the two", choices=READINGS, validators=[Optional()], validate_choice=False)
    note = StringField("Why", [Length(max=NOTE_LENGTH, message=f"A note has at most {NOTE_LENGTH} characters.")])

    def end(self) -> datetime | None:
        """The moment it ends by itself, as the clock of whoever sets it shows it; RuleViolation at the field."""
        if self.until.data is None:
            return None
        reading = self.until_reading.data
        try:
            return moment_of(self.until.data, reader_zone(), Reading(reading) if reading in list(Reading) else None)
        except TwiceError as twice:
            self.until_reading.errors = [*self.until_reading.errors, "Choose one."]
            raise RuleViolation(str(twice), "until") from twice
        except LocalTimeError as refused:
            raise RuleViolation(str(refused), "until") from refused


@blueprint.get("/<int:component_id>/status")
def component_status(component_id: int) -> Response:
    """How a component is, why, and what it is by hand."""
    return _page(_wanted(component_id))


@blueprint.post("/<int:component_id>/status")
def set_component_status(component_id: int) -> Response:
    """Set it by hand; how it is now for htmx."""
    access.require(Permission.INCIDENTS_PUBLISH)
    wanted, form = _wanted(component_id), StatusForm()
    if not form.validate_on_submit():
        return _page(wanted, 422, form)
    try:
        actions.set_base_status(
            wanted,
            ComponentStatus(form.status.data),
            until=form.end(),
            note=form.note.data or "",
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(_wanted(component_id), 422, form)
    except StaleEdit:
        if not wants_fragment():
            raise
        events.rollback()
        notice = "Somebody else has set it in the meantime. This is how it stands now."
        return _page(_wanted(component_id), 409, notice=notice)
    events.commit()
    notice = "Set. Open pages show it now, and nobody was mailed."
    if wants_fragment():
        return _page(_wanted(component_id), notice=notice)
    flash(notice)
    return redirect_to(f"/admin/catalogue/components/{component_id}#status")


def status_parts(
    component: Component, now: datetime, form: StatusForm | None = None, notice: str = ""
) -> dict[str, Any]:
    """What the part about the status of a component shows. Seven queries."""
    base = base_of(component.id, now)
    is_live = component.archived_at is None
    form = form or _filled(base)
    if form.version.data is None:
        form.version.data = base.version
    return {
        "base_status": base,
        "effective": statuses_of([component.id], STAFF, now)[component.id] if is_live else None,
        "overlays": overlays_on(component.id, now) if is_live else [],
        "past_by_hand": past_by_hand(component.id, now, PAST_SHOWN),
        "status_of": STATUS_OF_SEVERITY,
        "zone_name": str(reader_zone()),
        "status_form": form,
        "notice": notice,
        "may_set": is_live and may(access.signed_in().role, Permission.INCIDENTS_PUBLISH),
    }


def _filled(base: Base) -> StatusForm:
    standing = base.standing
    until = standing.to_at.astimezone(reader_zone()).replace(tzinfo=None) if standing and standing.to_at else None
    note = standing.note if standing else ""
    return StatusForm(formdata=None, version=base.version, status=base.status.value, until=until, note=note)


def _wanted(component_id: int) -> Component:
    return component_by_id(component_id) or abort(404)


def _page(component: Component, status: int = 200, form: StatusForm | None = None, notice: str = "") -> Response:
    return render(
        "admin/catalogue/components/status.html",
        "admin/catalogue/components/_status.html",
        status,
        component=component,
        **status_parts(component, clock.utcnow(), form, notice),
    )
