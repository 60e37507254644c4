"""`/admin/incidents/templates`: reports to begin with."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, request, url_for
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import RowForm
from portal.admin.incidents.forms import SEVERITIES, TemplateForm
from portal.catalogue.queries import all_components
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions.templates import (
    archive_template,
    edit_template,
    keep_starters,
    keep_template,
    move_template,
    restore_template,
)
from portal.incidents.models import IncidentTemplate
from portal.incidents.queries.templates import (
    archived_templates,
    live_templates,
    missing_starters,
    severities_of,
    template_by_id,
)
from portal.incidents.rules.languages import translations_of
from portal.incidents.rules.templates import KNOWN, own_fields

blueprint = Blueprint("admin_incident_templates", __name__, url_prefix="/admin/incidents/templates")
access.staff(blueprint, Permission.INCIDENTS_PUBLISH)

ARCHIVED_SHOWN = 20
"""So many of those put away are offered to come back."""


@blueprint.get("")
def index() -> Response:
    """All that are offered, in their order, and those put away last."""
    return _list()


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> Response:
    """Write one."""
    form = TemplateForm()
    if not form.is_submitted():
        form.version.data = 0
        return _form(form, None)
    if not form.validate():
        return _form(form, None, 422)
    try:
        keep_template(form.content(), by=access.actor(), author_id=access.signed_in().person_id, now=clock.utcnow())
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, None, 422)
    flash("Kept.")
    return redirect_to(url_for("admin_incident_templates.index"))


@blueprint.route("/<int:template_id>", methods=["GET", "POST"])
def edit(template_id: int) -> Response:
    """Change one."""
    found = _template(template_id)
    form = TemplateForm(obj=found)
    if not form.is_submitted():
        _show(form, found)
        return _form(form, found)
    if not form.validate():
        return _form(form, found, 422)
    try:
        edit_template(found, form.content(), version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, _template(template_id), 422)
    except (StaleEdit, StaleDataError):
        events.rollback()
        found = _template(template_id)
        form.version.data = found.version
        return _form(form, found, 409)
    flash("Saved.")
    return redirect_to(url_for("admin_incident_templates.index"))


@blueprint.post("/<int:template_id>/archive")
def archive(template_id: int) -> Response:
    """Offer it no longer."""
    return _step(template_id, archive_template, "Archived.")


@blueprint.post("/<int:template_id>/restore")
def restore(template_id: int) -> Response:
    """Offer it again."""
    return _step(template_id, restore_template, "Offered again.")


@blueprint.post("/<int:template_id>/move")
def move(template_id: int) -> Response:
    """Offer it one place earlier, or later."""
    return _step(template_id, move_template, "", up=request.form.get("to") == "up")


@blueprint.post("/starters")
def starters() -> Response:
    """Keep the set to begin with, as far as it is not kept yet."""
    count = keep_starters(by=access.actor(), author_id=access.signed_in().person_id, now=clock.utcnow())
    events.commit()
    flash(f"{count} templates to begin with. Make them yours." if count else "All of them are kept already.")
    return redirect_to(url_for("admin_incident_templates.index"))


def _step(template_id: int, act: Callable[..., None], said: str, **how: Any) -> Response:
    found = _template(template_id)
    sent = RowForm()
    try:
        act(found, version=sent.version.data or 0, by=access.actor(), now=clock.utcnow(), **how)
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        return _list(422, violation.sentence)
    except (StaleEdit, StaleDataError):
        events.rollback()
        return _list(409, "Somebody else changed this template in the meantime. This is how it stands now.")
    if said:
        flash(said)
    return redirect_to(url_for("admin_incident_templates.index"))


def _list(status: int = 200, refusal: str = "") -> Response:
    return render(
        "admin/incidents/templates.html",
        "admin/incidents/_templates.html",
        status,
        templates=live_templates(),
        archived=archived_templates(ARCHIVED_SHOWN),
        missing=missing_starters(),
        fields_of=lambda each: own_fields(each.title, each.body),
        refusal=refusal,
    )


def _form(form: TemplateForm, found: IncidentTemplate | None, status: int = 200) -> Response:
    return render(
        "admin/incidents/template_form.html",
        "admin/incidents/_template_form.html",
        status,
        form=form,
        template=found,
        choices=all_components(),
        severities=SEVERITIES,
        known=KNOWN,
        is_stale=status == 409,
    )


def _show(form: TemplateForm, found: IncidentTemplate) -> None:
    form.translations.data = translations_of(title=found.titles, body=found.bodies)
    form.components.data = severities_of(found)
    form.state.data = found.state or ""
    form.audience.data = found.audience or ""
    form.promise.data = -1 if found.promise is None else found.promise


def _template(template_id: int) -> IncidentTemplate:
    found = template_by_id(template_id)
    if found is None:
        raise NotFound
    return found
