"""The status page and the incident history: one address for those signed in and those signed out.

Which of the two pages it is follows from the viewpoint the guard decided. The signed-out page is the same for
everybody and may be kept by anybody on the way; the other is one company's own.
"""

from flask import Blueprint, Response, abort, request

from portal import access, clock
from portal.fragments import render, wants_fragment
from portal.public.status import pages
from portal.public.status.everybody import answer_everybody

blueprint = Blueprint("public_status", __name__)
access.status_readers(blueprint)


@blueprint.get("/status")
def status() -> Response:
    viewpoint, domain, now = access.status_viewpoint(), access.portal(), clock.utcnow()
    if not viewpoint.is_signed_out:
        return render("public/status/status.html", "public/status/_status.html", **pages.status_view(viewpoint, now))
    if wants_fragment():
        return answer_everybody(pages.render_public_status_fragment(domain, domain.language, now))
    return answer_everybody(pages.render_public_status(domain, domain.language, now))


@blueprint.get("/status/history")
def history() -> Response:
    """Past incidents by day, 25 a page."""
    viewpoint, domain = access.status_viewpoint(), access.portal()
    wanted = request.args.get("page", "1")
    if not wanted.isdecimal() or len(wanted) > 6:
        abort(404)
    template, fragment = "public/status/history.html", "public/status/_history.html"
    if viewpoint.is_signed_out:
        html = pages.render_public_history(
            fragment if wants_fragment() else template, domain, int(wanted), clock.utcnow()
        )
        return answer_everybody(html) if html is not None else abort(404)
    view = pages.history_view(viewpoint, int(wanted), clock.utcnow())
    return render(template, fragment, **view) if view else abort(404)
