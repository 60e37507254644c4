"""`/status/embed.js` and `/status/embed`: the status as a banner on pages of other sites.

The script is the one tag somebody puts on a page of theirs; it makes a frame of the other address, the only one of ours
that other sites may frame. There is nothing to press in it but links, it reads no cookie, and it may load nothing but
its own style sheet and its own script. While all is well it says nothing, unless that is asked for.
"""

from flask import Blueprint, Response, current_app, request

from portal import access, clock
from portal.accounts.rules import SIGNED_OUT
from portal.assets import Asset
from portal.config import Settings
from portal.domains.rules import Area
from portal.incidents.queries.overall import overall
from portal.incidents.rules import ALL_WELL
from portal.language import COOKIE, LANGUAGES, written_for_everybody
from portal.public.status.everybody import answer_machines, render_bare

FRAMED = (
    "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors *{upgrade}"
)
"""The rules of the frame: looser than everywhere else in who may show it, stricter in all that it may do."""

TOLD = 3
"""How many open incidents the banner names; the page names all."""

blueprint = Blueprint("public_embed", __name__)
access.everybody(blueprint, Area.PUBLIC_STATUS)


@blueprint.get("/status/embed.js")
def script() -> Response:
    """The same for everybody everywhere; looked at again after five minutes, so that a newer one reaches old pages."""
    source: Asset = current_app.extensions["assets"]["embed/banner.js"]
    response = answer_machines(source.body, "text/javascript; charset=utf-8", access.portal())
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@blueprint.get("/status/embed")
def frame() -> Response:
    """What stands in the frame, in the language of the portal domain or of `?lang=`; `?theme=` and `?well=show`."""
    domain, now = access.portal(), clock.utcnow()
    wanted, theme = request.args.get(COOKIE), request.args.get("theme")
    says_well = request.args.get("well") == "show"
    with written_for_everybody(wanted if wanted in LANGUAGES else domain.language, domain.time_zone):
        # Titles are read in the language they are shown in.
        found = overall(SIGNED_OUT, now)
        html = render_bare(
            "public/embed/frame.html",
            domain=domain,
            found=found,
            is_shown=found.status != ALL_WELL or says_well,
            theme=theme if theme in {"light", "dark"} else "",
            told=found.incidents[:TOLD],
            others=len(found.incidents) - TOLD,
            work=found.under_way[:TOLD] if not found.incidents else [],
        )
    response = answer_machines(html, "text/html; charset=utf-8", domain)
    settings: Settings = current_app.config["SETTINGS"]
    upgrade = "; upgrade-insecure-requests" if settings.is_https else ""
    response.headers["Content-Security-Policy"] = FRAMED.format(upgrade=upgrade)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return response
