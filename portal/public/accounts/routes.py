"""Signing in and out, on the staff host and on portal domains, and choosing the company one acts for."""

from collections.abc import Iterator
from typing import cast

from flask import Blueprint, Response, current_app, g, make_response, redirect, render_template, request, session
from flask_babel import gettext as _
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from portal import access, clock, events
from portal.accounts import actions
from portal.accounts.models import Company, Person
from portal.accounts.queries import Viewer, person_by_email, person_by_id
from portal.accounts.rules import LIFETIMES, SIGNED_OUT, safe_next
from portal.audit.rules import Actor
from portal.config import Settings
from portal.database import read_only
from portal.domains.queries import companies_here, is_admitted, open_areas
from portal.domains.rules import Area
from portal.errors import to_sign_in
from portal.extensions import db
from portal.fragments import redirect_to
from portal.incidents.models import Incident
from portal.incidents.queries import open_incidents
from portal.public.accounts.forms import SignInForm

blueprint = Blueprint("accounts", __name__)
access.anyone(blueprint)


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> AnyResponse:
    form = SignInForm()
    if request.method != "POST":
        form.next.data = safe_next(request.args.get("next"))
        landing = _landing(access.viewer())
        return redirect(landing) if landing else _sign_in_page(form)
    _hold_no_lock()
    if not form.validate():
        return _sign_in_page(form, 422)
    entrant = _entrant(form.email.data or "", form.password.data or "")
    if entrant is None:
        return _sign_in_page(form, 422, refusal=_("This address and this password do not open anything here."))
    return _let_in(*entrant, wanted=safe_next(form.next.data))


@blueprint.post("/sign-out")
def sign_out() -> AnyResponse:
    person = access.viewer()
    if person is not None:
        actions.end_session(person.session_id, by=access.actor(), now=clock.utcnow())
        events.commit()
    session.clear()
    response = redirect_to("/sign-in")
    response.delete_cookie(access.cookie_name(), path="/", secure=_settings().is_https, httponly=True, samesite="Lax")
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
            events.commit()
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


def _hold_no_lock() -> None:
    """Let go of the write transaction a POST begins with its first query, and read without one from here on.

    A password takes tens of milliseconds to check, and nobody who only tries passwords may hold up those who write.
    """
    db.session.rollback()
    read_only.set(True)


def _entrant(email: str, password: str) -> tuple[int, int | None] | None:
    """Whom this address and password let in here: the person's id, and the company's for a customer.

    Everybody costs one hash, known or not; no transaction is open meanwhile.
    """
    person = person_by_email(email)
    if person is not None:
        db.session.expunge(person)
    db.session.rollback()
    if not actions.password_matches(person, password) or person is None or person.deactivated_at:
        return None
    companies = companies_here(person.id, g.portal.id) if g.portal else []
    if companies:
        return person.id, companies[0].id
    return (person.id, None) if person.role and g.on_staff_host else None


def _let_in(person_id: int, company_id: int | None, *, wanted: str) -> Response:
    """Open a new session in place of whatever the browser had, under a new token, and lead on."""
    before = access.viewer()
    db.session.rollback()
    read_only.set(False)
    now = clock.utcnow()
    person = cast(Person, person_by_id(person_id))
    actor = Actor(person.email, person.id, request.remote_addr, g.request_id)
    if before is not None:
        actions.end_session(before.session_id, by=actor, now=now)
    token = actions.open_session(
        person,
        company_id,
        g.host,
        ip=request.remote_addr or "",
        user_agent=request.user_agent.string,
        now=now,
    )
    is_staff = person.role is not None
    events.commit()
    # The seed of the form tokens goes too, so that none made for somebody else is good for this session.
    session.clear()
    landing = "/" if company_id is not None else "/admin/"
    response = redirect_to(landing if wanted == "/" else wanted)
    response.set_cookie(
        access.cookie_name(),
        token,
        max_age=LIFETIMES[is_staff].absolute,
        path="/",
        secure=_settings().is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


def _landing(person: Viewer | None) -> str | None:
    """Where somebody already signed in belongs on this host; None for whom it lets in nowhere."""
    if person is None:
        return None
    if person.company_id is not None and g.portal and is_admitted(person.company_id, g.portal.id):
        return "/"
    return "/admin/" if person.is_staff and g.on_staff_host else None


def _sign_in_page(form: SignInForm, status: int = 200, refusal: str = "") -> Response:
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
    return response


def _public_trouble() -> list[Incident]:
    """What is open for everybody to see, worst first; nothing where the public page is switched off."""
    if g.portal is None or Area.PUBLIC_STATUS not in open_areas(g.portal, None):
        return []
    return list(open_incidents(SIGNED_OUT, clock.utcnow()))


def _settings() -> Settings:
    return cast(Settings, current_app.config["SETTINGS"])
