"""`/admin/incidents/<id>/merge`: saying that a report tells of the same trouble as another."""

from flask import Response, flash, request, url_for
from sqlalchemy.orm.exc import StaleDataError
from wtforms import BooleanField, SelectField, TextAreaField
from wtforms.validators import InputRequired

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.delays import done
from portal.admin.forms import VersionedForm, choices_of
from portal.admin.incidents.beside import blueprint, incident_or_404
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents import actions
from portal.incidents.models import Incident
from portal.incidents.queries import incident_for_staff
from portal.incidents.queries.merging import could_take, touched_by

LABEL_LENGTH = 90
"""Characters of a title in the choice of the other report."""


class MergeForm(VersionedForm):
    """The other report, and what customers are told there."""

    into = SelectField("The report that goes on", coerce=int, validators=[InputRequired("Choose the other report.")])
    body = TextAreaField("What customers read there", [InputRequired("Say what customers should know.")])
    notify = BooleanField("Mail this update")


@blueprint.route("/<int:incident_id>/merge", methods=["GET", "POST"])
def merge(incident_id: int) -> Response:
    """Choose the other report, see what it touches, and merge."""
    access.require(Permission.INCIDENTS_PUBLISH)
    found, now = incident_or_404(incident_id), clock.utcnow()
    form = MergeForm()
    offered = could_take(found)
    form.into.choices = choices_of([(each.id, _label(each)) for each in offered])
    if not form.is_submitted():
        _fill_in(form, found, {each.id for each in offered})
        return _page(found, form)
    if not form.validate():
        return _page(found, form, 422)
    into_id = int(form.into.data)
    try:
        actions.merge(
            found,
            incident_or_404(into_id),
            form.body.data or "",
            notify=form.notify.data,
            version=form.version.data or 0,
            by=access.actor(),
            author_id=access.signed_in().person_id,
            now=now,
            idempotency_key=f"merge:{incident_id}:{into_id}",
        )
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(incident_or_404(incident_id), form, 422)
    except (StaleEdit, StaleDataError):
        events.rollback()
        found = incident_or_404(incident_id)
        form.version.data = found.version
        return _page(found, form, 409)
    flash(done("Merged: this report goes on for both."))
    return redirect_to(url_for("admin_incidents.incident", incident_id=into_id))


def _fill_in(form: MergeForm, found: Incident, offered: set[int]) -> None:
    """The form as it opens: the report the address names, if it is one of those that could take this one."""
    wanted = request.args.get("into", "")
    is_number = wanted.isascii() and wanted.isdigit() and len(wanted) < 10
    form.into.data = int(wanted) if is_number and int(wanted) in offered else None
    form.body.data = f"“{found.title}” has the same cause. We go on writing of both here."
    form.version.data = found.version


def _label(incident: Incident) -> str:
    title = incident.title if len(incident.title) <= LABEL_LENGTH else f"{incident.title[: LABEL_LENGTH - 1]}…"
    return f"{title} ({'open' if incident.resolved_at is None else 'fixed'}, #{incident.id})"


def _page(found: Incident, form: MergeForm, status: int = 200) -> Response:
    into = incident_for_staff(form.into.data) if form.into.data else None
    return render(
        "admin/incidents/merge.html",
        "admin/incidents/_merge_form.html",
        status,
        incident=found,
        into=into,
        touched=touched_by(found, into, clock.utcnow()) if into is not None else None,
        form=form,
        is_stale=status == 409,
    )
