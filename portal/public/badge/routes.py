"""`/status/badge.svg`: how everything is, or one component with `?component=`, as a picture for pages elsewhere."""

from flask import Blueprint, Response, abort, request
from flask_babel import gettext as _

from portal import access, clock
from portal.accounts.rules import SIGNED_OUT
from portal.domains.rules import Area
from portal.filters import look
from portal.incidents.queries.overall import component_standing, overall
from portal.language import COOKIE, LANGUAGES, written_for_everybody
from portal.public.badge.drawing import drawing_of
from portal.public.status.everybody import answer_machines, render_bare

SVG = "image/svg+xml; charset=utf-8"

blueprint = Blueprint("public_badge", __name__)
access.everybody(blueprint, Area.PUBLIC_STATUS)


@blueprint.get("/status/badge.svg")
def badge() -> Response:
    """As everybody signed out sees it, in the language of the portal domain or of `?lang=`, and in its own words."""
    domain, now = access.portal(), clock.utcnow()
    wanted, public_id = request.args.get(COOKIE), request.args.get("component")
    with written_for_everybody(wanted if wanted in LANGUAGES else domain.language, domain.time_zone):
        if public_id is None:
            label = _("%(brand)s status", brand=domain.brand)
            seen = look("overall", overall(SIGNED_OUT, now).status.description)
        else:
            found = component_standing(public_id, SIGNED_OUT, now) or abort(404)
            label, seen = found.title, look("component", found.status)
        drawn = drawing_of(label, str(seen.label), seen.tone)
        return answer_machines(render_bare("public/badge/badge.svg", drawn=drawn, shape=seen.shape), SVG, domain)
