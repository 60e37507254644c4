"""What a customer says of one incident: that they follow it or want none of it, and that their company knows of it."""

from flask import Blueprint, Response, flash, request
from flask_babel import gettext as _

from portal import access, clock, events
from portal.database import read_only
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.fragments import redirect_to
from portal.incidents import actions
from portal.incidents.models import Incident
from portal.incidents.queries.following import incident_named, unseen

SEEN_AT_MOST = 20
"""So many incidents are noted as seen at once: more stand on no page."""

WISHES: dict[str, bool | None] = {"all": True, "none": False, "usual": None}

blueprint = Blueprint("customer_incidents", __name__, url_prefix="/incidents")
access.customers(blueprint, Area.STATUS)


@blueprint.post("/<public_id>/follow")
def follow(public_id: str) -> Response:
    """Hear of every update of this incident, of none, or as of all others."""
    found, person = _found(public_id), access.signed_in()
    wish = request.form.get("wish", "")
    if wish not in WISHES:
        raise NotFound
    wants = WISHES[wish]
    actions.follow(found, person.person_id, person.company_id or 0, wants, by=access.actor(), now=clock.utcnow())
    events.commit()
    if wants is None:
        flash(_("You hear of this incident as of all others."))
    else:
        flash(_("You are mailed every update of it.") if wants else _("You get no more mails about this incident."))
    return redirect_to(f"/incidents/{public_id}")


@blueprint.post("/<public_id>/acknowledge")
def acknowledge(public_id: str) -> Response:
    """Say for the company that it knows."""
    found, person = _found(public_id), access.signed_in()
    actions.acknowledge(found, person.company_id or 0, person.person_id, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(_("Thank you. We know now that you know."))
    return redirect_to(f"/incidents/{public_id}")


@blueprint.post("/seen")
def seen() -> Response:
    """A page has shown these incidents to whoever is signed in. Nothing is written where that is known."""
    now, person, viewpoint = clock.utcnow(), access.signed_in(), access.viewpoint()
    wanted = request.form.getlist("incident")[:SEEN_AT_MOST]
    events.rollback()
    read_only.set(True)
    fresh = unseen(viewpoint, wanted, person.person_id, now)
    events.rollback()
    read_only.set(False)
    if fresh:
        actions.note_seen(fresh, person.person_id, person.company_id or 0, now)
        events.commit()
    return Response(status=204)


def _found(public_id: str) -> Incident:
    found = incident_named(access.viewpoint(), public_id, clock.utcnow())
    if found is None:
        raise NotFound
    return found
