"""Signing in and out on every host, confirming it is still oneself, and choosing the company one acts for."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from flask import Blueprint, Response, flash, g, make_response, redirect, render_template, request, session
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from portal import access, clock, events
from portal.accounts import actions
from portal.accounts.actions.passwords import hashed_anew
from portal.accounts.models import Company, Person
from portal.accounts.queries import Viewer, person_by_email, person_by_id
from portal.accounts.rules import SIGNED_OUT, safe_next
from portal.accounts.rules.browsers import browser_and_system
from portal.domains.queries import companies_here, is_admitted, open_areas
from portal.domains.rules import Area
from portal.errors import to_sign_in
from portal.extensions import db
from portal.fragments import redirect_to
from portal.incidents.models import Incident
from portal.incidents.queries import open_incidents
from portal.own_account import hold_no_lock, try_own_password, write_from_here
from portal.public.accounts.entry import (
    CODE_PATH,
    Entrant,
    actor_of,
    entrant,
    let_in,
    let_on,
    settings,
    stranger,
    waiting_for_code,
)
from portal.public.accounts.forms import CodeForm, ConfirmForm, SignInForm

TOO_OFTEN = lazy_gettext("Too many wrong passwords were typed.")

blueprint = Blueprint("accounts", __name__)
access.anyone(blueprint)


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> AnyResponse:
    form = SignInForm()
    if request.method != "POST":
        form.next.data = safe_next(request.args.get("next"))
        landing = _landing(access.viewer())
        return redirect(landing) if landing else _sign_in_page(form)
    hold_no_lock()
    if not form.validate():
        return _sign_in_page(form, 422)
    found, wait = _tried(form.email.data or "", form.password.data or "")
    if wait:
        return _sign_in_page(form, 429, refusal=f"{TOO_OFTEN} {access.wait_sentence(wait)}", wait=wait)
    if found is None:
        return _sign_in_page(form, 422, refusal=_("This address and this password do not open anything here."))
    return let_on(found, wanted=safe_next(form.next.data))


@blueprint.route(CODE_PATH, methods=["GET", "POST"])
def code() -> AnyResponse:
    """The second step: a code of the app, or a recovery code. Only then is there a session."""
    found = waiting_for_code()
    if found is None:
        return redirect_to("/sign-in") if request.method == "POST" else redirect("/sign-in")
    form = CodeForm()
    if not form.is_submitted():
        return _step("public/accounts/code.html", form)
    if not form.validate():
        return _step("public/accounts/code.html", form, 422)
    waiting, wanted = found
    person, now = cast(Person, person_by_id(waiting.person_id)), clock.utcnow()
    if wait := actions.take_code(person, by=actor_of(person), now=now):
        events.commit()
        return access.too_often(wait)
    if not actions.check_second_factor(person, form.code.data or "", by=actor_of(person), now=now):
        events.commit()
        form.code.errors = [_("This code is not right, or was used already. Type the one the app shows now.")]
        return _step("public/accounts/code.html", form, 422)
    # The code is spent before there is a session, so that it opens one at most.
    events.commit()
    return let_in(waiting, wanted=wanted, with_second_factor=True)


@blueprint.route("/confirm", methods=["GET", "POST"])
def confirm() -> AnyResponse:
    """Ask whoever is signed in for their password again, and lead back to what needs it."""
    person = access.viewer()
    if person is None or person.is_view_as:
        return to_sign_in()
    form = ConfirmForm()
    if not form.is_submitted():
        form.next.data = safe_next(request.args.get("next"))
        return _step("public/accounts/confirm.html", form)
    hold_no_lock()
    return _confirm(form, person) if form.validate() else _step("public/accounts/confirm.html", form, 422)


def _confirm(form: ConfirmForm, person: Viewer) -> AnyResponse:
    """Hold the password against the one there is; only a right one goes on."""
    tried = try_own_password(form.password.data or "")
    if tried.wait:
        return access.too_often(tried.wait)
    if not tried.is_right:
        form.password.errors = [_("This is not your password.")]
        return _step("public/accounts/confirm.html", form, 422)
    write_from_here()
    actions.confirm_session(person.session_id, clock.utcnow())
    events.commit()
    return redirect_to(safe_next(form.next.data))


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    person = access.viewer()
    if person is not None:
        actions.end_session(person.session_id, by=access.actor(), now=clock.utcnow())
        events.commit()
    session.clear()
    response = redirect_to("/sign-in")
    response.delete_cookie(access.cookie_name(), path="/", secure=settings().is_https, httponly=True, samesite="Lax")
    return response


@blueprint.post("/company")
def choose_company() -> AnyResponse:
    """Act for another of one's companies from now on."""
    person = access.viewer()
    if person is None:
        return to_sign_in()
    wanted = request.form.get("company", "")
    for company in companies_here(person.person_id, access.portal().id):
        if str(company.id) == wanted:
            actions.choose_company(person.session_id, company, by=access.actor(), now=clock.utcnow())
            sentence = _("You act for %(company)s now.", company=company.name)
            events.commit()
            flash(sentence)
            return redirect_to("/")
    raise NotFound


@blueprint.app_context_processor
def _companies_to_choose() -> dict[str, object]:
    """For the menu of every page: the companies the viewer may act for here, read only when a page shows them."""
    return {"companies_to_choose": _Companies()}


class _Companies:
    """Asks the database only when a template looks inside."""

    def __iter__(self) -> Iterator[Company]:
        person = access.viewer()
        if person is None or person.company_id is None or g.portal is None:
            return iter(())
        return iter(companies_here(person.person_id, g.portal.id))


@blueprint.app_template_filter("browser_name")
def browser_name(user_agent: str) -> str:
    """A browser as its owner would name it, such as "Firefox on Windows"."""
    browser, system = browser_and_system(user_agent)
    if browser and system:
        return cast(str, _("%(browser)s on %(system)s", browser=browser, system=system))
    return browser or system or cast(str, _("Unknown browser"))


def _tried(email: str, password: str) -> tuple[Entrant | None, int]:
    """Whom this address and password let in here; and the seconds to wait where they were tried too often to count."""
    if wait := actions.sign_in_waiting(email, request.remote_addr, clock.utcnow()):
        return None, wait
    found = _entrant(email, password)
    if found is not None:
        return found, actions.sign_in_waiting(email, request.remote_addr, clock.utcnow())
    write_from_here()
    wait = actions.note_wrong_password(email, by=stranger(), now=clock.utcnow())
    events.commit()
    return None, wait


def _entrant(email: str, password: str) -> Entrant | None:
    """Whom this address and password let in here.

    Everybody costs one hash, known or not; no transaction is open meanwhile.
    """
    person = person_by_email(email)
    if person is not None:
        db.session.expunge(person)
    db.session.rollback()
    if not actions.password_matches(person, password) or person is None:
        return None
    better = hashed_anew(person, password)
    found = entrant(person)
    return replace(found, old_hash=person.password_hash, better_hash=better) if found else None


def _landing(person: Viewer | None) -> str | None:
    """Where somebody already signed in belongs on this host; None for whom it lets in nowhere."""
    if person is None:
        return None
    if person.company_id is not None and g.portal and is_admitted(person.company_id, g.portal.id):
        return "/"
    return "/admin/" if person.is_staff and g.on_staff_host else None


def _step(page: str, form: FlaskForm, status: int = 200) -> Response:
    response = make_response(render_template(page, form=form), status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _sign_in_page(form: SignInForm, status: int = 200, refusal: str = "", wait: int = 0) -> Response:
    trouble = _public_trouble()
    html = render_template(
        "public/accounts/sign_in.html",
        form=form,
        refusal=refusal,
        trouble=trouble[0] if trouble else None,
        more=max(0, len(trouble) - 1),
    )
    response = make_response(html, status)
    response.headers["Cache-Control"] = "no-store"
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _public_trouble() -> list[Incident]:
    """What is open for everybody to see, worst first; nothing where the public page is switched off."""
    if g.portal is None or Area.PUBLIC_STATUS not in open_areas(g.portal, None):
        return []
    return list(open_incidents(SIGNED_OUT, clock.utcnow()))
