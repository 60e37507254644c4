"""`/calendar`: the secret address at which calendar programs read what is planned for the company."""

from typing import cast

from flask import Blueprint, abort, flash, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.domains.rules import Area
from portal.fragments import redirect_to, render
from portal.incidents.actions.calendars import end_address, make_address, renew_address
from portal.incidents.models import CalendarAddress
from portal.incidents.queries.calendars import address_of, secret_of

blueprint = Blueprint("customer_calendar", __name__, url_prefix="/calendar")
access.customers(blueprint)

PLANNED = frozenset({Area.STATUS, Area.SERVICES})
"""The areas in which anything is planned: where one of them is open there is a calendar."""


@blueprint.get("")
def calendar() -> Response:
    """The address, with what to do with it. Staff who look as the company are not shown it."""
    _require_planned()
    viewer, found = access.signed_in(), address_of(_company_id())
    secret = secret_of(found) if found is not None and not viewer.is_view_as else None
    base_url = access.portal().base_url
    address = f"{base_url}/calendar/{secret}.ics" if secret else ""
    return render(
        "customer/calendar/calendar.html",
        "customer/calendar/_calendar.html",
        found=found,
        address=address,
        to_subscribe=f"webcal:{address.partition(':')[2]}" if address else "",
        public_address=f"{base_url}/status/maintenance.ics" if Area.PUBLIC_STATUS in access.areas() else "",
        can_write=not viewer.is_view_as,
    )


@blueprint.post("")
def make() -> Response:
    """Have an address; one that is there stays."""
    _require_planned()
    make_address(_company_id(), by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(_("The calendar has an address now."))
    return redirect_to("/calendar")


@blueprint.post("/renew")
def renew() -> Response:
    """Have another address; the old one answers nobody from now on."""
    renew_address(_address(), version=_version(), by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(_("The calendar has a new address, and the old one is no longer there."))
    return redirect_to("/calendar")


@blueprint.post("/end")
def end() -> Response:
    """Have none any more."""
    end_address(_address(), version=_version(), by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(_("The calendar has no address any more."))
    return redirect_to("/calendar")


def _require_planned() -> None:
    if not access.areas() & PLANNED:
        abort(404)


def _address() -> CalendarAddress:
    _require_planned()
    return address_of(_company_id()) or abort(404)


def _version() -> int:
    version = request.form.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        abort(422)
    return int(version)


def _company_id() -> int:
    return cast(int, access.signed_in().company_id)
