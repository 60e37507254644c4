"""`/admin/settings/availability`: by which rule availability is counted, everywhere it is shown."""

from flask import Blueprint, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.availability.forms import STALE, RuleForm
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions.availability import change_rule
from portal.incidents.queries.availability import rule_in, rules_set, this_month
from portal.incidents.rules.availability import Month

blueprint = Blueprint("admin_availability_settings", __name__, url_prefix="/admin/settings/availability")
access.staff(blueprint, Permission.SERVICES_SET)

PAGE = "/admin/settings/availability"


@blueprint.route("", methods=["GET", "POST"])
def availability_settings() -> Response:
    """The rule, and setting it from a month on; what is shown of the last days follows it at once."""
    now = clock.utcnow()
    this = this_month(now)
    form = RuleForm.of(rule_in(this), this)
    if not form.validate_on_submit():
        return _page(form, 422 if form.is_submitted() else 200)
    try:
        change_rule(
            form.terms,
            Month.read(form.from_month.data) or this,
            version=form.version.data or 0,
            by=access.actor(),
            now=now,
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(form, 422)
    except StaleEdit:
        events.rollback()
        form.form_errors.append(STALE)
        form.version.data = rule_in(this).version
        return _page(form, 409)
    events.commit()
    flash("Saved. Pages follow it at once; months before keep the rule they had.")
    return redirect_to(PAGE)


def _page(form: RuleForm, status: int) -> Response:
    return render(
        "admin/availability/availability_settings.html",
        "admin/availability/_availability_settings.html",
        status,
        form=form,
        known=rules_set()[:24],
    )
