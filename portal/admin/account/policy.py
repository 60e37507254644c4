"""What signing in asks of all staff."""

from flask import Blueprint, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.actions import require_second_factor
from portal.accounts.queries.credentials import sign_in_policy
from portal.accounts.rules import Permission
from portal.admin.account.forms import PolicyForm
from portal.fragments import redirect_to, render

blueprint = Blueprint("admin_sign_in", __name__)
access.staff(blueprint, Permission.PEOPLE_EDIT)


@blueprint.route("/admin/settings/sign-in", methods=["GET", "POST"])
def policy() -> Response:
    access.require_recent_password()
    policy = sign_in_policy()
    form = PolicyForm(version=policy.version, required=policy.second_factor_required)
    if not form.validate_on_submit():
        status = 422 if form.is_submitted() else 200
        return render("admin/account/policy.html", "admin/account/_policy.html", status, form=form, policy=policy)
    require_second_factor(form.required.data, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("Saved.")
    return redirect_to("/admin/settings/sign-in")
