"""A staff member's own account: how they are addressed and how they sign in, with a second factor if they like."""

from io import BytesIO

import pyotp
import segno
from flask import Blueprint, Response, flash, make_response, render_template
from werkzeug.wrappers import Response as AnyResponse

from portal import access, clock, events
from portal.accounts import actions
from portal.accounts.actions.second_factor import secret_of
from portal.accounts.queries.credentials import begun_second_factor, second_factor_of
from portal.accounts.rules import Permission
from portal.admin.account.forms import FirstCodeForm, ProfileForm
from portal.errors import NotFound, RuleViolation
from portal.fragments import redirect_to, render
from portal.own_account import add_routes, how_one_signs_in, me

AT = "/admin/account"

blueprint = Blueprint("admin_account", __name__)
access.staff(blueprint, Permission.STAFF_ENTER, without_second_factor=True)
add_routes(blueprint, AT, "admin/account")


@blueprint.route(AT, methods=["GET", "POST"])
def account() -> Response:
    person = me()
    form = ProfileForm(obj=person)
    if not form.is_submitted():
        return _account_page(form)
    if not form.validate():
        return _account_page(form, 422)
    try:
        actions.change_profile(
            person,
            form.name.data or "",
            form.language.data,
            form.time_zone.data,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form[violation.field or "name"].errors = [violation.sentence]
        return _account_page(form, 422)
    events.commit()
    flash("Saved.")
    return redirect_to(AT)


@blueprint.get(f"{AT}/second-factor")
def second_factor() -> AnyResponse:
    """Set up the second factor, or see that it is on."""
    return _factor_page(FirstCodeForm())


@blueprint.post(f"{AT}/second-factor")
def begin() -> AnyResponse:
    """Make a secret for the app; it counts once a code of it was right."""
    access.require_recent_password()
    actions.begin_second_factor(me(), clock.utcnow())
    events.commit()
    return redirect_to(f"{AT}/second-factor")


@blueprint.get(f"{AT}/second-factor/code.svg")
def picture() -> AnyResponse:
    """The secret as a picture for the app to read; kept by nobody on the way."""
    access.require_recent_password()
    secret = _secret()
    if secret is None:
        raise NotFound
    address = pyotp.TOTP(secret).provisioning_uri(name=access.signed_in().email, issuer_name="Signalbox")
    drawing = BytesIO()
    segno.make(address, error="m").save(drawing, kind="svg", scale=5, border=3, light="#ffffff", svgclass=None)
    response = make_response(drawing.getvalue())
    response.mimetype = "image/svg+xml"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post(f"{AT}/second-factor/confirm")
def switch_on() -> AnyResponse:
    """Switch it on with a first code; the recovery codes are shown in this answer and nowhere again."""
    access.require_recent_password()
    form, person, now = FirstCodeForm(), me(), clock.utcnow()
    if not form.validate():
        return _factor_page(form, 422)
    if wait := actions.take_code(person, by=access.actor(), now=now):
        events.commit()
        return access.too_often(wait)
    try:
        codes = actions.confirm_second_factor(
            person, form.code.data or "", session_id=access.signed_in().session_id, by=access.actor(), now=now
        )
    except RuleViolation as violation:
        events.commit()
        form.code.errors = [violation.sentence]
        return _factor_page(form, 422)
    events.commit()
    return _codes_page(codes)


@blueprint.post(f"{AT}/second-factor/codes")
def renew_codes() -> AnyResponse:
    """New recovery codes in place of the old ones."""
    access.require_recent_password()
    if second_factor_of(access.signed_in().person_id) is None:
        raise NotFound
    codes = actions.renew_recovery_codes(me(), by=access.actor(), now=clock.utcnow())
    events.commit()
    return _codes_page(codes)


@blueprint.post(f"{AT}/second-factor/remove")
def remove() -> AnyResponse:
    """Do without it again, after the password was typed once more."""
    access.require_recent_password()
    actions.remove_second_factor(me(), by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("Signing in needs no code any more.")
    return redirect_to(AT)


def _account_page(form: ProfileForm, status: int = 200) -> Response:
    return render(
        "admin/account/account.html", "admin/account/_account.html", status, form=form, at=AT, **how_one_signs_in()
    )


def _factor_page(form: FirstCodeForm, status: int = 200) -> Response:
    viewer = access.signed_in()
    return _page(
        "second_factor",
        status,
        form=form,
        at=AT,
        factor=second_factor_of(viewer.person_id),
        secret=_secret(),
        is_required=viewer.lacks_second_factor,
    )


def _codes_page(codes: list[str]) -> Response:
    return _page("recovery_codes", 200, codes=codes, at=AT)


def _page(name: str, status: int, **context: object) -> Response:
    response = make_response(render_template(f"admin/account/{name}.html", **context), status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _secret() -> str | None:
    """The secret being set up: shown only to who has just typed the password."""
    viewer = access.signed_in()
    begun = begun_second_factor(viewer.person_id)
    if begun is None or not access.is_confirmed():
        return None
    return secret_of(begun)
