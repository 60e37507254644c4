"""One's own password, address and sessions: the same for customers and staff, each under the address of their account.

Audience folders do not know each other, so both hang these views into a blueprint of theirs with `add_routes`; the
pages are their own, in `<audience>/account/`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from flask import Blueprint, Response, flash, g, make_response, render_template, request, session
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from portal import access, clock, events
from portal.accounts import actions
from portal.accounts.actions import throttles
from portal.accounts.actions.sessions import end_session, end_sessions
from portal.accounts.models import Person
from portal.accounts.queries import person_by_id, person_held
from portal.accounts.queries.credentials import live_sessions_of, second_factor_of, waiting_email_change
from portal.accounts.rules.throttles import Throttle
from portal.database import read_only
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.fragments import redirect_to


class ChangePasswordForm(FlaskForm):
    """The password there is and the one there shall be. Neither is stripped or cut."""

    current = PasswordField(
        lazy_gettext("Current password"),
        validators=[
            InputRequired(lazy_gettext("Type the password you have now.")),
            Length(max=1024, message=lazy_gettext("A password has at most 128 characters.")),
        ],
    )
    password = PasswordField(
        lazy_gettext("New password"),
        validators=[
            InputRequired(lazy_gettext("Choose a password.")),
            Length(max=5000, message=lazy_gettext("That is too long.")),
        ],
    )


class EmailForm(FlaskForm):
    """The address one wants to sign in with."""

    email = StringField(
        lazy_gettext("New e-mail address"),
        validators=[
            InputRequired(lazy_gettext("Type the new address.")),
            Length(max=254, message=lazy_gettext("An e-mail address has at most 254 characters.")),
        ],
    )


@dataclass(frozen=True)
class Place:
    """Where an account is shown: its address, such as /account, and the folder of its templates."""

    at: str
    folder: str


_places: dict[str, Place] = {}


def add_routes(blueprint: Blueprint, at: str, folder: str) -> None:
    """Give a blueprint the pages under `at`, whose templates lie in `folder`."""
    _places[blueprint.name] = Place(at, folder)
    blueprint.add_url_rule(f"{at}/password", view_func=password, methods=["GET", "POST"])
    blueprint.add_url_rule(f"{at}/email", view_func=email, methods=["GET", "POST"])
    blueprint.add_url_rule(f"{at}/sessions/<int:session_id>/end", view_func=end_one_session, methods=["POST"])
    blueprint.add_url_rule(f"{at}/sessions/end-others", view_func=end_other_sessions, methods=["POST"])
    blueprint.add_url_rule(f"{at}/sessions/end-all", view_func=end_all_sessions, methods=["POST"])


def password() -> AnyResponse:
    """Change one's password, with the one there is."""
    form = ChangePasswordForm()
    if not form.is_submitted():
        return _page("password", form)
    hold_no_lock()
    if not form.validate():
        return _page("password", form, 422)
    return _change_password(form) or _page("password", form, 422)


def _change_password(form: ChangePasswordForm) -> AnyResponse | None:
    """None where the form says what is wrong."""
    viewer, now, stamp = access.signed_in(), clock.utcnow(), me().password_stamp
    tried = try_own_password(form.current.data or "")
    if tried.wait:
        return access.too_often(tried.wait)
    if not tried.is_right:
        form.current.errors = [_("This is not your password.")]
        return None
    hashed = new_hash(form, me(), ours=form.current.data or "")
    if hashed is None:
        return None
    write_from_here()
    person = person_held(viewer.person_id)
    if person is None or person.password_stamp != stamp:
        # Changed while this one was checked: what was typed is not the password any more.
        form.current.errors = [_("This is not your password.")]
        return None
    actions.set_password(person, hashed, by=access.actor(), now=now, keep_session_id=viewer.session_id)
    actions.confirm_session(viewer.session_id, now)
    events.commit()
    flash(_("Your password is changed. Everywhere else you are signed out."))
    return redirect_to(_place().at)


def email() -> AnyResponse:
    """Ask to be known by another address."""
    access.require_recent_password()
    form = EmailForm()
    if not form.validate_on_submit():
        return _page("email", form, 422 if form.is_submitted() else 200)
    person, now = me(), clock.utcnow()
    if wait := throttles.take(Throttle.EMAIL_CHANGE, f"person:{person.id}", now):
        return access.too_often(wait)
    try:
        actions.ask_email_change(person, form.email.data or "", by=access.actor(), now=now)
    except RuleViolation as violation:
        form.email.errors = [violation.sentence]
        return _page("email", form, 422)
    events.commit()
    flash(_("We have sent a link to %(email)s. Your address changes when it is opened.", email=form.email.data))
    return redirect_to(_place().at)


def end_one_session(session_id: int) -> AnyResponse:
    """Sign out one browser, this one or another."""
    viewer, now = access.signed_in(), clock.utcnow()
    if session_id not in {each.id for each in live_sessions_of(viewer.person_id, viewer.role, now)}:
        raise NotFound
    end_session(session_id, by=access.actor(), now=now)
    events.commit()
    return redirect_to("/sign-in" if session_id == viewer.session_id else _place().at)


def end_other_sessions() -> AnyResponse:
    """Sign out every browser but this one."""
    viewer = access.signed_in()
    end_sessions(viewer.person_id, by=access.actor(), now=clock.utcnow(), but=viewer.session_id)
    events.commit()
    flash(_("Everywhere else you are signed out."))
    return redirect_to(_place().at)


def end_all_sessions() -> AnyResponse:
    """Sign out every browser, this one too."""
    end_sessions(access.signed_in().person_id, by=access.actor(), now=clock.utcnow())
    events.commit()
    session.clear()
    return redirect_to("/sign-in")


def _page(name: str, form: FlaskForm, status: int = 200) -> Response:
    place = _place()
    html = render_template(f"{place.folder}/{name}.html", form=form, person=me(), at=place.at)
    response = make_response(html, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _place() -> Place:
    return _places[request.blueprint or ""]


def how_one_signs_in() -> dict[str, Any]:
    """What the page of an account shows of it: the person, a change of address under way, sessions, second factor."""
    viewer, now = access.signed_in(), clock.utcnow()
    return {
        "person": me(),
        "new_address": waiting_email_change(viewer.person_id, now),
        "sessions": live_sessions_of(viewer.person_id, viewer.role, now),
        "this_session_id": viewer.session_id,
        "second_factor": second_factor_of(viewer.person_id),
    }


def me() -> Person:
    """The row of who is signed in."""
    return cast(Person, person_by_id(access.signed_in().person_id))


# Passwords cost time, and nobody else may wait for it.


def new_hash(form: Any, person: Person, ours: str | None = None) -> str | None:
    """The hash of the new password in `form.password`, made while no transaction is open.

    None, with the sentence on the field, for one the rules do not take; `ours` is the password there is already.
    """
    chosen = form.password.data or ""
    try:
        if chosen == ours:
            raise RuleViolation(_("This is your password already."), "password")
        actions.refuse_weak(chosen, actions.surroundings(person, _brands()))
    except RuleViolation as violation:
        form.password.errors = [violation.sentence]
        return None
    db.session.rollback()
    return actions.hash_password(chosen)


class Tried(NamedTuple):
    """What came of typing a password: whether it was right; `wait` is not 0 where it was typed too often to count."""

    is_right: bool
    wait: int = 0


def try_own_password(password: str) -> Tried:
    """Check the password of who is signed in, as often as signing in allows it. Ends the transaction."""
    viewer, now, by = access.signed_in(), clock.utcnow(), access.actor()
    if wait := actions.sign_in_waiting(viewer.email, by.ip, now):
        return Tried(is_right=False, wait=wait)
    if password_is_right(viewer.person_id, password):
        return Tried(is_right=True, wait=actions.sign_in_waiting(viewer.email, by.ip, now))
    write_from_here()
    wait = actions.note_wrong_password(viewer.email, by=by, now=now)
    events.commit()
    return Tried(is_right=False, wait=wait)


def password_is_right(person_id: int, password: str) -> bool:
    """Whether this is the person's password, found out while no transaction is open."""
    person = person_by_id(person_id)
    if person is not None:
        db.session.expunge(person)
    db.session.rollback()
    return actions.password_matches(person, password)


def hold_no_lock() -> None:
    """Let go of the write transaction a POST begins with its first query, and read without one from here on.

    A password takes tens of milliseconds to check, and nobody who only tries passwords may hold up those who write.
    """
    db.session.rollback()
    read_only.set(True)


def write_from_here() -> None:
    """Begin anew, in a transaction that may write."""
    db.session.rollback()
    read_only.set(False)


def _brands() -> tuple[str, ...]:
    return (g.portal.brand,) if g.get("portal") else ()
