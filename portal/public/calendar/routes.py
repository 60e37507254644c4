"""`/status/maintenance.ics`, the same for everybody who asks, and `/calendar/<secret>.ics`, a company's own."""

import hashlib

from flask import Blueprint, Response, abort, make_response, request
from sqlalchemy.exc import OperationalError

from portal import access, clock, events
from portal.database import read_only
from portal.domains.queries import is_admitted, open_areas
from portal.domains.rules import Area
from portal.incidents.actions.calendars import READ_NOTED_EVERY, note_read
from portal.incidents.queries.calendars import address_with
from portal.language import COOKIE, LANGUAGES, written_for_everybody
from portal.public.calendar.feeds import company_calendar, public_calendar
from portal.public.status.everybody import answer_machines

CALENDAR = "text/calendar; charset=utf-8"

blueprint = Blueprint("public_calendar", __name__)
access.everybody(blueprint, Area.PUBLIC_STATUS)

own = Blueprint("public_own_calendar", __name__)
access.anyone(own)


@blueprint.get("/status/maintenance.ics")
def maintenance() -> Response:
    """In the language of the portal domain, or in that of `?lang=`."""
    domain = access.portal()
    with written_for_everybody(_language(domain.language), domain.time_zone):
        document = public_calendar(domain, clock.utcnow())
    return answer_machines(document, CALENDAR, domain)


@own.get("/calendar/<secret>.ics")
def company(secret: str) -> Response:
    """What is planned for the company whose address this is: whoever knows it may read, nobody signs in.

    Missing, ended, not admitted here and nothing open are the same: 404.
    """
    domain, now = access.portal(), clock.utcnow()
    address = address_with(secret)
    if address is None or not is_admitted(address.company_id, domain.id):
        abort(404)
    areas = open_areas(domain, address.company_id)
    if not areas & {Area.STATUS, Area.SERVICES}:
        abort(404)
    with written_for_everybody(_language(domain.language), domain.time_zone):
        document = company_calendar(
            domain,
            address.company_id,
            now,
            shows_status=Area.STATUS in areas,
            shows_services=Area.SERVICES in areas,
        )
    response = make_response(document)
    response.content_type = CALENDAR
    response.set_etag(hashlib.sha256(document.encode()).hexdigest()[:32])
    # Nobody on the way keeps what only those may read who know the address, and nobody is told it by a link.
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    response.make_conditional(request)
    if address.read_at is None or now - address.read_at >= READ_NOTED_EVERY:
        _note_read(address.id)
    return response


def _note_read(address_id: int) -> None:
    """Once an hour, in a transaction of its own; what is being written elsewhere is no reason to refuse."""
    events.rollback()
    read_only.set(False)
    try:
        note_read(address_id, clock.utcnow())
        events.commit()
    except OperationalError:
        events.rollback()


def _language(usual: str) -> str:
    wanted = request.args.get(COOKIE)
    return wanted if wanted in LANGUAGES else usual
