"""`/status/feed.atom`: what happened and what is planned, for feed readers; the same for everybody who asks."""

from flask import Blueprint, Response, request

from portal import access, clock
from portal.domains.rules import Area
from portal.language import COOKIE, LANGUAGES, written_for_everybody
from portal.public.feeds.atom import ATOM, atom_of
from portal.public.feeds.entries import entries_of
from portal.public.status.everybody import answer_machines

blueprint = Blueprint("public_feeds", __name__)
access.everybody(blueprint, Area.PUBLIC_STATUS)


@blueprint.get("/status/feed.atom")
def feed() -> Response:
    """In the language of the portal domain, or in that of `?lang=`."""
    domain, now = access.portal(), clock.utcnow()
    wanted = request.args.get(COOKIE)
    language = wanted if wanted in LANGUAGES else domain.language
    address = f"{domain.base_url}{request.path}" + (f"?{COOKIE}={wanted}" if wanted in LANGUAGES else "")
    with written_for_everybody(language, domain.time_zone):
        document = atom_of(domain, language, entries_of(domain, language, now), address)
    return answer_machines(document, ATOM, domain)
