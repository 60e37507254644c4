"""What the page of planned work shows, from one viewpoint."""

from datetime import datetime
from typing import Any

from flask import render_template

from portal import access
from portal.accounts.rules import SIGNED_OUT, Viewpoint
from portal.domains.models import PortalDomain
from portal.incidents.models import Maintenance
from portal.incidents.queries.maintenance import may_ask, requests_by_company, visible_maintenance
from portal.incidents.rules import OPEN_MAINTENANCE, MaintenanceState
from portal.incidents.rules.maintenance import SlotState, state_of
from portal.language import LANGUAGES, written_for_everybody
from portal.public.status.pages import language_of_reader
from portal.services.queries import company_picture
from portal.services.queries.settings import view_of


def maintenance_view(viewpoint: Viewpoint, public_id: str, now: datetime) -> dict[str, Any] | None:
    """What the page shows; None where there is no such work for this viewpoint.

    `services` are those of the reader's company that are worked on, and `asked` what it has asked of it.
    """
    found = visible_maintenance(viewpoint, public_id, now)
    if found is None:
        return None
    stand = state_of(found, now)
    view: dict[str, Any] = {
        "maintenance": found,
        "stand": stand,
        "is_ahead_or_open": stand in (MaintenanceState.SCHEDULED, *OPEN_MAINTENANCE),
        "updates": found.updates,
        "is_signed_out": viewpoint.is_signed_out,
        "concerns_reader": False,
        "services": (),
        "asked": (),
        "can_ask": False,
    }
    return view | _own(found, viewpoint.company_id, stand, now) if viewpoint.company_id is not None else view


def _own(found: Maintenance, company_id: int, stand: MaintenanceState, now: datetime) -> dict[str, Any]:
    """What of the work is the company's own."""
    picture = company_picture(company_id, now, view=view_of(access.portal().id, company_id))
    touched = [each.services for each in (*picture.work, *picture.ahead) if each.maintenance.id == found.id]
    asked = requests_by_company(found.id, company_id)
    is_ahead = stand is MaintenanceState.SCHEDULED and found.starts_at > now
    is_waiting = any(ask.state is SlotState.OPEN for ask in asked)
    return {
        "concerns_reader": bool(touched),
        "services": touched[0] if touched else (),
        "asked": asked,
        "can_ask": is_ahead and not is_waiting and may_ask(found.id, company_id, now),
    }


def render_public_maintenance(template: str, domain: PortalDomain, public_id: str, now: datetime) -> str | None:
    """The page for everybody signed out, or None where there is no such work for them."""
    with written_for_everybody(language_of_reader(domain), domain.time_zone):
        view = maintenance_view(SIGNED_OUT, public_id, now)
        return (
            render_template(template, **view, is_cached=True, zone=domain.time_zone, languages=LANGUAGES)
            if view
            else None
        )
