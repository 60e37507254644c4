"""What customers ask of planned work: another slot for one, and days on which nothing of theirs is worked on.

The page of the work itself is public and shows what was asked.
"""

from datetime import datetime, tzinfo
from typing import cast

from flask import Blueprint, abort, flash
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Viewpoint
from portal.customer.maintenances.forms import FreezeForm, SlotForm
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.incidents.actions.requests import add_freeze, ask_for_slot, remove_freeze
from portal.incidents.models import Maintenance
from portal.incidents.queries.maintenance import (
    freeze_of,
    freezes_of,
    may_ask,
    requests_by_company,
    visible_maintenance,
)
from portal.incidents.rules.maintenance import SlotState
from portal.language import reader_zone

blueprint = Blueprint("customer_maintenances", __name__, url_prefix="/maintenances")
access.customers(blueprint, Area.STATUS)


@blueprint.route("/<public_id>/slot", methods=["GET", "POST"])
def slot(public_id: str) -> Response:
    """Ask for another slot; one wish is open at a time, and it stands on the page of the work."""
    form, now, zone = SlotForm(), clock.utcnow(), reader_zone()
    found = _askable(public_id, now)
    page = f"/maintenances/{public_id}"
    if not form.is_submitted():
        is_waiting = any(ask.state is SlotState.OPEN for ask in requests_by_company(found.id, _company_id()))
        return redirect_to(page) if is_waiting else _slot_page(found, form)
    if not form.validate():
        return _slot_page(found, form, 422)
    try:
        ask_for_slot(
            found,
            company_id=_company_id(),
            person_id=access.signed_in().person_id,
            text=form.text.data or "",
            starts_at=form.moment("starts_at", zone),
            ends_at=form.moment("ends_at", zone),
            zone=str(zone),
            by=access.actor(),
            now=now,
            idempotency_key=f"form:{form.key.data}",
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _slot_page(_askable(public_id, now), form, 422)
    flash(_("Thank you. We answer you here."))
    return redirect_to(page)


@blueprint.route("/freezes", methods=["GET", "POST"])
def freezes() -> Response:
    """The days on which nothing of theirs is to be worked on."""
    form, now, zone = FreezeForm(), clock.utcnow(), reader_zone()
    if not form.is_submitted():
        return _freezes_page(form, now)
    if not form.validate():
        return _freezes_page(form, now, 422)
    try:
        starts_at, ends_at = (_given(form, name, zone) for name in ("starts_at", "ends_at"))
        add_freeze(
            _company_id(),
            starts_at,
            ends_at,
            form.reason.data or "",
            zone=str(zone),
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
            idempotency_key=f"form:{form.key.data}",
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _freezes_page(form, now, 422)
    flash(_("Added. Whoever plans work sees it."))
    return redirect_to("/maintenances/freezes")


@blueprint.post("/freezes/<public_id>/remove")
def remove(public_id: str) -> Response:
    """Take it back."""
    found = freeze_of(_company_id(), public_id)
    if found is None:
        abort(404)
    remove_freeze(found, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(_("Removed."))
    return redirect_to("/maintenances/freezes")


def _slot_page(found: Maintenance, form: SlotForm, status: int = 200) -> Response:
    return render(
        "customer/maintenances/slot.html",
        "customer/maintenances/_slot_form.html",
        status,
        maintenance=found,
        form=form,
        zone_name=_zone_name(),
    )


def _freezes_page(form: FreezeForm, now: datetime, status: int = 200) -> Response:
    return render(
        "customer/maintenances/freezes.html",
        "customer/maintenances/_freezes.html",
        status,
        freezes=freezes_of(_company_id(), now),
        form=form,
        zone_name=_zone_name(),
        can_write=not access.signed_in().is_view_as,
    )


def _askable(public_id: str, now: datetime) -> Maintenance:
    """The work, where the company sees it and it reaches them; 404 otherwise."""
    found = visible_maintenance(Viewpoint(company_id=_company_id()), public_id, now)
    if found is None or not may_ask(found.id, _company_id(), now):
        abort(404)
    return found


def _given(form: FreezeForm, name: str, zone: tzinfo) -> datetime:
    moment = form.moment(name, zone)
    if moment is None:
        raise RuleViolation(_("Choose a day and a time."), name)
    return moment


def _zone_name() -> str:
    return str(reader_zone()).replace("_", " ")


def _company_id() -> int:
    return cast(int, access.signed_in().company_id)
