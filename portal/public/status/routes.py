"""The status page, the incident history and announcements: one address for those signed in and those signed out.

Which of the two pages it is follows from the viewpoint the guard decided. The signed-out page is the same for
everybody who reads its language and may be kept by anybody on the way; the other is one company's own.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from portal import access, clock
from portal.accounts.rules import Viewpoint
from portal.domains.announcements.queries import visible
from portal.domains.rules import Area
from portal.fragments import render, wants_fragment
from portal.language import current
from portal.public.status import pages
from portal.public.status.everybody import answer_everybody
from portal.public.status.months import Month, month_view

blueprint = Blueprint("public_status", __name__)
access.status_readers(blueprint)


@blueprint.get("/status")
def status() -> Response:
    viewpoint, domain, now = access.status_viewpoint(), access.portal(), clock.utcnow()
    if not viewpoint.is_signed_out:
        view = pages.status_view(viewpoint, now)
        view |= pages.announcements_view(domain, now) | pages.charts_view(domain, now)
        if viewpoint.company_id is not None and Area.SERVICES in access.areas():
            view |= pages.services_view(viewpoint.company_id, domain.id, now)
        return render("public/status/status.html", "public/status/_status.html", **view)
    language = pages.language_of_reader(domain)
    if wants_fragment():
        return answer_everybody(pages.render_public_status_fragment(domain, language, now))
    return answer_everybody(pages.render_public_status(domain, language, now))


@blueprint.get("/status/history")
def history() -> Response:
    """Past incidents by day, 25 a page."""
    wanted = _page_wanted()
    return _answer("history", lambda viewpoint: pages.history_view(viewpoint, wanted, clock.utcnow()))


@blueprint.get("/status/history/<written>")
def month(written: str) -> Response:
    """What happened in one month, such as `2026-11`: an address that stays."""
    found, wanted, domain = Month.read(written), _page_wanted(), access.portal()
    if found is None:
        return _missing()
    return _answer("month", lambda viewpoint: month_view(viewpoint, domain, found, wanted, clock.utcnow()))


@blueprint.get("/announcements/<public_id>")
def announcement(public_id: str) -> Response:
    """One announcement, from when it begins to stand on: an address that stays."""
    domain = access.portal()

    def view(viewpoint: Viewpoint) -> dict[str, Any] | None:
        told = visible(domain.id, public_id, (current(), domain.language), clock.utcnow())
        return {"told": told, "is_signed_out": viewpoint.is_signed_out} if told else None

    return _answer("announcement", view)


def _answer(name: str, view: Callable[[Viewpoint], dict[str, Any] | None]) -> Response:
    """The page of this name for whoever asks; 404 where the view makes none."""
    viewpoint, domain = access.status_viewpoint(), access.portal()
    page, fragment = f"public/status/{name}.html", f"public/status/_{name}.html"
    if viewpoint.is_signed_out:
        template, language = fragment if wants_fragment() else page, pages.language_of_reader(domain)
        html = pages.render_public(template, domain, language, lambda: view(viewpoint))
        return answer_everybody(html) if html is not None else _missing()
    made = view(viewpoint)
    return render(page, fragment, **made) if made else _missing()


def _missing() -> Response:
    """Missing and invisible are the same: 404, or sign-in for somebody signed out where an address names something."""
    return access.refuse_status_reader() if request.view_args else abort(404)


def _page_wanted() -> int:
    wanted = request.args.get("page", "1")
    if not wanted.isdecimal() or len(wanted) > 6:
        abort(404)
    return int(wanted)
