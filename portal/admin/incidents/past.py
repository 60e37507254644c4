"""`/admin/incidents/past`: writing down what is over, or was never reported here. It mails nobody."""

from flask import Blueprint, flash, request, url_for
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.incidents.forms import SEVERITIES, STATES, PastForm
from portal.admin.incidents.routes import zone_of_reader
from portal.catalogue.queries import all_components
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.incidents.actions import backfill
from portal.incidents.rules import Audience, Visibility

blueprint = Blueprint("admin_past_incidents", __name__, url_prefix="/admin/incidents/past")
access.staff(blueprint, Permission.INCIDENTS_PUBLISH)


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> Response:
    """A past report with all that was said, each at its time."""
    form = PastForm()
    if not form.is_submitted():
        form.zone.data = zone_of_reader()
        return _page(form)
    if request.form.get("do") == "more":
        return _page(form)
    if not form.validate():
        return _page(form, 422)
    try:
        made = backfill(
            form.title.data or "",
            form.timeline(),
            titles=form.translations.texts("title"),
            visibility=Visibility(form.visibility.data),
            audience=Audience(form.audience.data),
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=clock.utcnow(),
            idempotency_key=f"form:{form.key.data}",
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation if violation.field in form else RuleViolation(violation.sentence, "entries"))
        return _page(form, 422)
    incident_id = made.id
    events.commit()
    flash("Written down. Nobody was told.")
    return redirect_to(url_for("admin_incidents.incident", incident_id=incident_id))


def _page(form: PastForm, status: int = 200) -> Response:
    return render(
        "admin/incidents/past.html",
        "admin/incidents/_past_form.html",
        status,
        form=form,
        choices=all_components(),
        severities=SEVERITIES,
        states=STATES,
    )
