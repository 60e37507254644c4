"""The portal's side of looking as a company: where staff come in from their own host, and where they leave."""

from typing import cast

from flask import Blueprint, current_app, g, request, session
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts import actions
from portal.accounts.actions.view_as import SpentLinkError, begin_look
from portal.accounts.rules.view_as import LIFE
from portal.config import Settings
from portal.database import read_only
from portal.errors import NotFound, answer
from portal.fragments import redirect_to

blueprint = Blueprint("public_view_as", __name__)
access.anyone(blueprint)


@blueprint.get("/view-as/<token>")
def begin(token: str) -> Response:
    """Follow the link that was handed over; it opens once, so what follows it twice is told so.

    The link is followed by a redirect, never typed or mailed, so a GET may spend it. Whoever was signed in with this
    browser on this host is signed out: their cookie is the one that looks now.
    """
    access.portal()
    before = access.viewer()
    if request.method != "GET":
        raise NotFound
    events.rollback()
    read_only.set(False)
    now, here = clock.utcnow(), g.host
    try:
        look = begin_look(
            token,
            here,
            ip=request.remote_addr or "",
            user_agent=request.user_agent.string,
            request_id=g.request_id,
            now=now,
        )
    except SpentLinkError:
        return answer(
            410,
            _("Go back to the company and look once more: each link opens once, within a minute."),
            title=_("This link has been used"),
        )
    if before is not None:
        actions.end_session(before.session_id, by=access.actor(), now=now)
    events.commit()
    session.clear()
    response = redirect_to("/")
    response.set_cookie(
        access.cookie_name(),
        look.token,
        max_age=LIFE,
        path="/",
        secure=_settings().is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


@blueprint.post("/view-as/stop")
def stop() -> Response:
    """End the look and go back to the company among the staff screens."""
    person = access.viewer()
    if person is None or not person.is_view_as:
        return redirect_to("/sign-in")
    actions.end_session(person.session_id, by=access.actor(), now=clock.utcnow())
    events.commit()
    session.clear()
    response = redirect_to(f"{_settings().base_url}/admin/companies/{person.company_id}")
    response.delete_cookie(access.cookie_name(), path="/", secure=_settings().is_https, httponly=True, samesite="Lax")
    return response


def _settings() -> Settings:
    return cast(Settings, current_app.config["SETTINGS"])
