"""Steering a maintenance: begin, verify, complete, move, extend, cancel, and a note; each with its preview."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import flash, request, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.delays import done
from portal.admin.maintenances.forms import StepForm
from portal.admin.maintenances.letter import letter_of_step
from portal.admin.maintenances.page import found_maintenance, only_read, page
from portal.admin.maintenances.place import blueprint
from portal.admin.maintenances.possible import step_named
from portal.admin.maintenances.preview import preview_of_step, wanted_window
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions import maintenance as acts
from portal.incidents.models import Maintenance
from portal.incidents.rules.maintenance import state_of

Act = Callable[[Maintenance, StepForm, str, dict[str, Any], datetime], object]


@blueprint.post("/<int:maintenance_id>/preview")
def preview_step(maintenance_id: int) -> Response:
    """What a step would do as its form stands."""
    access.require(Permission.INCIDENTS_PUBLISH)
    only_read()
    found, now, form = found_maintenance(maintenance_id), clock.utcnow(), StepForm()
    step = step_named(state_of(found, now), request.args.get("do", ""))
    template = "admin/maintenances/step_preview.html"
    preview = preview_of_step(found, step, form, now)
    return render(template, template, maintenance=found, step=step, form=form, preview=preview, now=now)


@blueprint.post("/<int:maintenance_id>/mail")
def mail_of_step(maintenance_id: int) -> Response:
    """The mail a step would send as its form stands, as one of its readers gets it."""
    access.require(Permission.INCIDENTS_PUBLISH)
    only_read()
    found, now, form = found_maintenance(maintenance_id), clock.utcnow(), StepForm()
    step = step_named(state_of(found, now), request.args.get("do", ""))
    letter = letter_of_step(found, step, form, preview_of_step(found, step, form, now), now)
    template = "admin/incidents/letter.html"
    return render(template, template, letter=letter)


@blueprint.post("/<int:maintenance_id>/begin")
def begin(maintenance_id: int) -> Response:
    """Begin it now, whatever its start."""
    return _do(maintenance_id, "begin", lambda found, _form, body, said, _now: acts.begin(found, body, **said))


@blueprint.post("/<int:maintenance_id>/verify")
def verify(maintenance_id: int) -> Response:
    """Say that the work is done and being checked."""
    return _do(maintenance_id, "verify", lambda found, _form, body, said, _now: acts.verify(found, body, **said))


@blueprint.post("/<int:maintenance_id>/complete")
def complete(maintenance_id: int) -> Response:
    """Say that it is done."""
    return _do(maintenance_id, "complete", lambda found, _form, body, said, _now: acts.complete(found, body, **said))


@blueprint.post("/<int:maintenance_id>/cancel")
def cancel(maintenance_id: int) -> Response:
    """Call it off."""
    return _do(maintenance_id, "cancel", lambda found, _form, body, said, _now: acts.cancel(found, body, **said))


@blueprint.post("/<int:maintenance_id>/note")
def note(maintenance_id: int) -> Response:
    """Write into its timeline."""
    return _do(maintenance_id, "note", lambda found, _form, body, said, _now: acts.add_note(found, body, **said))


@blueprint.post("/<int:maintenance_id>/move")
def move(maintenance_id: int) -> Response:
    """Give it another window."""
    return _do(maintenance_id, "move", _move)


@blueprint.post("/<int:maintenance_id>/extend")
def extend(maintenance_id: int) -> Response:
    """Give what is under way another end."""
    return _do(maintenance_id, "extend", _move)


def _move(found: Maintenance, form: StepForm, body: str, said: dict[str, Any], now: datetime) -> object:
    starts_at, ends_at, zone = wanted_window(found, form, now)
    return acts.move(found, starts_at, ends_at, zone, body, **said)


def _do(maintenance_id: int, name: str, act: Act) -> Response:
    access.require(Permission.INCIDENTS_PUBLISH)
    form, now = StepForm(), clock.utcnow()
    found = found_maintenance(maintenance_id)
    if not form.validate():
        return page(found, name, now, 422, form=form)
    sentence = step_named(state_of(found, now), name).sentence
    said = {
        "notify": bool(form.notify.data),
        "version": form.version.data or 0,
        "by": access.actor(),
        "author_id": access.signed_in().person_id,
        "now": now,
        "idempotency_key": f"form:{form.key.data}",
        "bodies": form.translations.texts("body"),
    }
    try:
        act(found, form, form.body.data or "", said, now)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return page(found_maintenance(maintenance_id), name, now, 422, form=form)
    except (StaleEdit, StaleDataError):
        events.rollback()
        newer = found_maintenance(maintenance_id)
        form.version.data = newer.version
        return page(newer, name, now, 409, form=form)
    flash(done(sentence))
    return redirect_to(url_for("admin_maintenances.maintenance", maintenance_id=maintenance_id))
