"""One's own account: how one is addressed, for which company one acts, and how one signs in."""

from typing import cast

from flask import Blueprint, flash
from flask_babel import force_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.actions import change_profile
from portal.accounts.models import Person
from portal.accounts.queries import person_by_id
from portal.customer.account.forms import AccountForm
from portal.domains.queries import companies_here
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.own_account import add_routes, how_one_signs_in

blueprint = Blueprint("customer_account", __name__)
access.customers(blueprint, is_personal=True)
add_routes(blueprint, "/account", "customer/account")


@blueprint.route("/account", methods=["GET", "POST"])
def account() -> Response:
    person = cast(Person, person_by_id(access.signed_in().person_id))
    form = AccountForm(obj=person)
    if not form.is_submitted():
        return _page(form)
    if not form.validate():
        return _page(form, 422)
    try:
        change_profile(
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
        return _page(form, 422)
    language = person.language
    events.commit()
    with force_locale(language):
        flash(_("Saved."))
    return redirect_to("/account")


def _page(form: AccountForm, status: int = 200) -> Response:
    person = access.signed_in()
    return render(
        "customer/account/account.html",
        "customer/account/_account.html",
        status,
        form=form,
        has_calendar=bool(access.areas() & {Area.STATUS, Area.SERVICES}),
        companies=companies_here(person.person_id, access.portal().id),
        **how_one_signs_in(),
    )
