"""Letting somebody in who has proved who they are: the second step where there is one, and the session behind it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from flask import current_app, g, request, session
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts import actions
from portal.accounts.actions.passwords import keep_hash
from portal.accounts.models import Person
from portal.accounts.queries import person_by_id, person_held
from portal.accounts.queries.credentials import second_factor_of
from portal.accounts.rules import LIFETIMES, safe_next
from portal.audit.rules import Actor
from portal.config import Settings
from portal.domains.queries import companies_here
from portal.fragments import redirect_to
from portal.own_account import write_from_here

CODE_PATH = "/sign-in/code"

SECOND_STEP_LIVES = timedelta(minutes=10)
"""For how long a right password waits for its code."""

_KEY = "second_step"


@dataclass(frozen=True)
class Entrant:
    """Somebody whose password, or whose mailed link, was right on this host; `company_id` is None for staff."""

    person_id: int
    company_id: int | None
    password_stamp: int
    has_second_factor: bool
    old_hash: str | None = None
    better_hash: str | None = None


def entrant(person: Person) -> Entrant | None:
    """How this person may come in on this host: for the first company they may act for here, else as staff."""
    if person.deactivated_at:
        return None
    companies = companies_here(person.id, g.portal.id) if g.portal else []
    if not companies and not (person.role and g.on_staff_host):
        return None
    company_id = companies[0].id if companies else None
    return Entrant(person.id, company_id, person.password_stamp, second_factor_of(person.id) is not None)


def let_on(found: Entrant, *, wanted: str = "/") -> Response:
    """To the code where a second factor is set up, else in."""
    if not found.has_second_factor:
        return let_in(found, wanted=wanted)
    if found.better_hash:
        write_from_here()
        keep_hash(found.person_id, found.old_hash, found.better_hash)
        events.commit()
    session.clear()
    session[_KEY] = {
        "person": found.person_id,
        "company": found.company_id,
        "stamp": found.password_stamp,
        "host": g.host,
        "wanted": wanted,
        "until": (clock.utcnow() + SECOND_STEP_LIVES).timestamp(),
    }
    return redirect_to(CODE_PATH)


def waiting_for_code() -> tuple[Entrant, str] | None:
    """Who waits in this browser for the second step, and where they wanted to go; None when nobody does any more.

    It stands in the browser's signed cookie for ten minutes, on this host, and dies with the password it was made by.
    """
    step: dict[str, Any] = session.get(_KEY) or {}
    if not step or step["host"] != g.host or step["until"] <= clock.utcnow().timestamp():
        return None
    person = person_by_id(step["person"])
    if person is None or person.deactivated_at or person.password_stamp != step["stamp"]:
        return None
    return Entrant(person.id, step["company"], step["stamp"], has_second_factor=True), safe_next(step["wanted"])


def let_in(found: Entrant, *, wanted: str, with_second_factor: bool = False) -> Response:
    """Open a new session in place of whatever the browser had, under a new token, and lead on.

    Who was shut out, or whose password or second factor was changed, while theirs was checked begins anew: the change
    has ended all sessions, and no session may come after it that was opened by what held before.
    """
    before = access.viewer()
    write_from_here()
    now = clock.utcnow()
    person = person_held(found.person_id)
    if person is None or not _still_holds(found, person, with_second_factor=with_second_factor):
        return redirect_to("/sign-in")
    if found.better_hash:
        keep_hash(person.id, found.old_hash, found.better_hash)
    actor = actor_of(person)
    if before is not None:
        actions.end_session(before.session_id, by=actor, now=now)
    token = actions.open_session(
        person,
        found.company_id,
        g.host,
        ip=request.remote_addr or "",
        user_agent=request.user_agent.string,
        now=now,
        with_second_factor=with_second_factor,
    )
    is_staff = person.role is not None
    events.commit()
    # The seed of the form tokens goes too, so that none made for somebody else is good for this session.
    session.clear()
    landing = "/" if found.company_id is not None else "/admin/"
    response = redirect_to(landing if wanted == "/" else wanted)
    response.set_cookie(
        access.cookie_name(),
        token,
        max_age=LIFETIMES[is_staff].absolute,
        path="/",
        secure=settings().is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


def _still_holds(found: Entrant, person: Person, *, with_second_factor: bool) -> bool:
    """Whether what somebody proved proves it still. Two queries at most."""
    if person.deactivated_at or person.password_stamp != found.password_stamp:
        return False
    return with_second_factor or second_factor_of(person.id) is None


def actor_of(person: Person) -> Actor:
    """Somebody as the audit trail names them who acts before any session of theirs is open."""
    return Actor(person.email, person.id, request.remote_addr, g.request_id)


def stranger() -> Actor:
    """Whoever asks, when nothing is proved."""
    return Actor("anonymous", ip=request.remote_addr, request_id=g.request_id)


def settings() -> Settings:
    return cast(Settings, current_app.config["SETTINGS"])
