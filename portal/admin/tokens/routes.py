"""`/admin/settings/tokens`: the tokens machines use the API with."""

from flask import Blueprint, abort, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.actions.tokens import make_token, revoke_token
from portal.accounts.queries.tokens import token_by_id, tokens_page
from portal.accounts.rules import Permission
from portal.accounts.rules.tokens import SCOPE_WORDS, Scope
from portal.admin.forms import company_called, page_wanted
from portal.admin.tokens.forms import NewTokenForm
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render

blueprint = Blueprint("admin_tokens", __name__, url_prefix="/admin/settings/tokens")
access.staff(blueprint, Permission.TOKENS_EDIT)

LIST = "/admin/settings/tokens"
REFERENCE = "/api/v1/"


@blueprint.get("")
def token_list() -> Response:
    """Every token: what it may do, for whom, who made it, and when it was last used."""
    now = clock.utcnow()
    return render(
        "admin/tokens/tokens.html",
        "admin/tokens/_tokens.html",
        tokens=tokens_page(page_wanted(), now),
        scope_words=SCOPE_WORDS,
        reference=REFERENCE,
        now=now,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_token() -> Response:
    """Make a token. Its secret stands in the answer to the form and nowhere again."""
    access.require_recent_password()
    form = NewTokenForm()
    if not form.validate_on_submit():
        return _form(form, 422 if form.is_submitted() else 200)
    now = clock.utcnow()
    try:
        token, secret = make_token(
            form.name.data or "",
            Scope(form.scope.data),
            company=company_called(name) if (name := (form.company.data or "").strip()) else None,
            expires_at=now + form.lives if form.lives else None,
            by=access.actor(),
            now=now,
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _form(form, 422)
    name = token.name
    events.commit()
    response = render(
        "admin/tokens/secret.html", "admin/tokens/_secret.html", name=name, secret=secret, at=LIST, reference=REFERENCE
    )
    response.headers["Cache-Control"] = "no-store"
    del response.headers["ETag"]
    return response


@blueprint.post("/<int:token_id>/revoke")
def revoke(token_id: int) -> Response:
    """The very next request with it is refused."""
    access.require_recent_password()
    token = token_by_id(token_id) or abort(404)
    revoke_token(token, by=access.actor(), now=clock.utcnow())
    sentence = f"{token.name} is revoked. Its next request is refused."
    events.commit()
    flash(sentence)
    return redirect_to(LIST)


def _form(form: NewTokenForm, status: int) -> Response:
    return render(
        "admin/tokens/token_form.html",
        "admin/tokens/_token_form.html",
        status,
        form=form,
        scope_words=SCOPE_WORDS,
        at=LIST,
    )
