"""`/admin/alerts/companies/…`: what the people of a company may do with its alerts."""

from flask import Blueprint, Response, abort, flash

from portal import access, clock, events
from portal.accounts.models import Company
from portal.accounts.rules import Permission
from portal.admin.alerts.forms import RightsForm
from portal.admin.alerts.words import RIGHTS
from portal.alerts import actions, queries
from portal.alerts.rules import Rights
from portal.catalogue.queries.lists import company_by_id
from portal.errors import StaleEdit
from portal.fragments import redirect_to, render

blueprint = Blueprint("admin_alert_rights", __name__, url_prefix="/admin/alerts/companies")
access.staff(blueprint, Permission.ALERTS_EDIT)

STALE = "Somebody else chose something in the meantime. Look once more, and save again to have it your way."


@blueprint.route("/<int:company_id>", methods=["GET", "POST"])
def rights(company_id: int) -> Response:
    """See them, set the limits of those about money, or make their own."""
    company = company_by_id(company_id) or abort(404)
    row = queries.rights_row(company_id)
    form = RightsForm(data={"may": queries.rights_of(company_id).value, "version": row.version if row else 0})
    if not form.validate_on_submit():
        return _page(form, company, 422 if form.is_submitted() else 200)
    try:
        actions.set_rights(
            company_id,
            Rights(form.may.data),
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except StaleEdit:
        events.rollback()
        now = queries.rights_row(company_id)
        form.form_errors.append(STALE)
        form.version.data = now.version if now is not None else 0
        return _page(form, company_by_id(company_id) or abort(404), 409)
    events.commit()
    flash("Saved. It counts at once.")
    return redirect_to(f"/admin/companies/{company_id}#alerts")


def _page(form: RightsForm, company: Company, status: int) -> Response:
    return render(
        "admin/alerts/rights.html", "admin/alerts/_rights.html", status, form=form, company=company, words=RIGHTS
    )
