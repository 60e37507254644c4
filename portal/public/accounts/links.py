"""Where mailed links lead: a first password, a new one, a new address, and the way back to the old one.

Looking changes nothing, because mail scanners look too; only the button of the page spends the link. A link acts for
the person it was mailed to, whoever else is signed in in this browser.
"""

from flask import Blueprint, Response, flash, g, make_response, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from portal import access, clock, events
from portal.accounts import actions
from portal.accounts.actions.links import token_of
from portal.accounts.models import MailedLink
from portal.accounts.queries.credentials import open_link
from portal.accounts.rules.links import Purpose
from portal.errors import NotFound, RuleViolation
from portal.fragments import redirect_to
from portal.own_account import hold_no_lock, new_hash, write_from_here
from portal.public.accounts.entry import actor_of, entrant, let_on
from portal.public.accounts.forms import NewPasswordForm, ResetForm

blueprint = Blueprint("public_links", __name__)
access.anyone(blueprint)


@blueprint.route("/reset", methods=["GET", "POST"])
def ask_reset() -> AnyResponse:
    """Ask for a way back in. The answer is the same whether anybody has the address or not."""
    form = ResetForm()
    if not form.validate_on_submit():
        return _page("reset", 422 if form.is_submitted() else 200, form=form, is_sent="sent" in request.args)
    address, now = form.email.data or "", clock.utcnow()
    if wait := actions.take_reset(address, ip=request.remote_addr, now=now):
        return access.too_often(wait)
    actions.ask_reset(address, host=g.host, now=now)
    events.commit()
    return redirect_to("/reset?sent=1")


@blueprint.route("/reset/<token>", methods=["GET", "POST"])
def reset(token: str) -> AnyResponse:
    """Choose a new password."""
    return _choose_password(token, Purpose.RESET)


@blueprint.route("/invitation/<token>", methods=["GET", "POST"])
def invitation(token: str) -> AnyResponse:
    """Choose one's first password."""
    return _choose_password(token, Purpose.INVITATION)


@blueprint.route("/email/<token>", methods=["GET", "POST"])
def new_address(token: str) -> AnyResponse:
    """Confirm that a new address reaches the person who wants to be known by it."""
    link = _open(token, Purpose.EMAIL_CHANGE)
    if link is None:
        return _gone()
    if request.method != "POST":
        return _page("new_address", link=link)
    address = link.address
    try:
        actions.confirm_email_change(link, by=actor_of(link.person), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        return _refused("new_address", _open(token, Purpose.EMAIL_CHANGE), violation)
    events.commit()
    flash(_("From now on you sign in as %(email)s.", email=address))
    return redirect_to("/sign-in")


@blueprint.route("/email/back/<token>", methods=["GET", "POST"])
def old_address(token: str) -> AnyResponse:
    """Take a change of address back, and go on to a new password at once."""
    link = _open(token, Purpose.EMAIL_UNDO)
    if link is None:
        return _gone()
    if request.method != "POST":
        return _page("old_address", link=link)
    try:
        way_in = actions.undo_email_change(link, by=actor_of(link.person), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        return _refused("old_address", _open(token, Purpose.EMAIL_UNDO), violation)
    where = f"/reset/{token_of(way_in)}"
    events.commit()
    return redirect_to(where)


def _choose_password(token: str, purpose: Purpose) -> AnyResponse:
    form = NewPasswordForm()
    if request.method == "POST":
        hold_no_lock()
        link = _open(token, purpose)
        hashed = new_hash(form, link.person) if link and form.validate() else None
        if hashed is not None:
            return _save_password(token, purpose, hashed)
    link = _open(token, purpose)
    if link is None:
        return _gone()
    is_first = purpose is Purpose.INVITATION
    return _page("new_password", 422 if form.is_submitted() else 200, link=link, form=form, is_first=is_first)


def _save_password(token: str, purpose: Purpose, hashed: str) -> AnyResponse:
    """Spend the link on the password, and let its owner in.

    Whoever guesses passwords for this account keeps its sign-in shut; the link opens it all the same.
    """
    write_from_here()
    link = _open(token, purpose)
    if link is None:
        return _gone()
    person = link.person
    try:
        actions.set_password(person, hashed, by=actor_of(person), now=clock.utcnow(), link=link)
    except NotFound:
        return _gone()
    found = entrant(person)
    events.commit()
    if found is not None:
        return let_on(found)
    flash(_("Your password is set. Sign in with it on your own portal."))
    return redirect_to("/sign-in")


def _open(token: str, purpose: Purpose) -> MailedLink | None:
    return open_link(token, purpose, clock.utcnow())


def _refused(name: str, link: MailedLink | None, violation: RuleViolation) -> Response:
    return _page(name, 422, link=link, refusal=violation.sentence) if link else _gone()


def _gone() -> Response:
    """One answer for what is wrong, spent, replaced or too old: nobody learns which."""
    return _page("link_gone", 404)


def _page(name: str, status: int = 200, **context: object) -> Response:
    response = make_response(render_template(f"public/accounts/{name}.html", **context), status)
    response.headers["Cache-Control"] = "no-store"
    return response
