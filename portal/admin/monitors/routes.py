"""`/admin/settings/monitors`: what watches from outside and may open drafts of reports."""

from flask import Blueprint, abort, current_app, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission
from portal.admin.forms import RowForm
from portal.admin.monitors.forms import SEVERITIES, SHAPES, EditMonitorForm, MonitorForm, NewMonitorForm
from portal.catalogue.queries import component_choices
from portal.config import Settings
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.incidents.actions import monitors as actions
from portal.incidents.actions.mail_in import DOOR
from portal.incidents.models import Monitor
from portal.incidents.queries import monitors as queries
from portal.incidents.rules import Severity
from portal.incidents.rules.monitors import Shape
from portal.notifications.bounces.doors import address_of

blueprint = Blueprint("admin_monitors", __name__, url_prefix="/admin/settings/monitors")
access.staff(blueprint, Permission.TOKENS_EDIT)

LIST = "/admin/settings/monitors"


@blueprint.get("")
def monitor_list() -> Response:
    """Every monitor in use: when it was last heard of, and what it says is wrong."""
    return render(
        "admin/monitors/monitors.html",
        "admin/monitors/_monitors.html",
        monitors=queries.monitors(),
        standing=queries.standing_conditions(),
        shapes=SHAPES,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_monitor() -> Response:
    """Set one up. Its address stands in the answer to the form and nowhere again."""
    access.require_recent_password()
    form = NewMonitorForm()
    form.offer(component_choices())
    if not form.validate_on_submit() or not _is_whole(form):
        return _form(form, None, 422 if form.is_submitted() else 200)
    try:
        monitor, key = actions.add_monitor(
            form.name.data or "",
            Shape(form.shape.data),
            Severity(form.severity.data),
            form.named,
            publishes=form.publishes.data,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, None, 422)
    return _address(monitor, key)


@blueprint.get("/<int:monitor_id>")
def monitor_page(monitor_id: int) -> Response:
    """What a monitor said last, and what became of it."""
    monitor = queries.monitor_by_id(monitor_id) or abort(404)
    return render(
        "admin/monitors/monitor.html",
        "admin/monitors/_monitor.html",
        monitor=monitor,
        conditions=queries.conditions_of_monitor(monitor.id),
        shapes=SHAPES,
        severities=SEVERITIES,
        at=f"{LIST}/{monitor.id}",
    )


@blueprint.route("/<int:monitor_id>/edit", methods=["GET", "POST"])
def edit_monitor(monitor_id: int) -> Response:
    """Change its name and what its words stand for."""
    monitor = queries.monitor_by_id(monitor_id) or abort(404)
    form = EditMonitorForm(
        data={
            "name": monitor.name,
            "severity": monitor.severity.value,
            "version": monitor.version,
            "publishes": monitor.publishes,
            "matches": [
                {"word": each.word, "component": each.component_id, "severity": each.severity.value}
                for each in monitor.matches
            ],
        }
    )
    form.offer(component_choices())
    if not form.validate_on_submit() or not _is_whole(form):
        return _form(form, monitor, 422 if form.is_submitted() else 200)
    try:
        actions.edit_monitor(
            monitor,
            form.name.data or "",
            Severity(form.severity.data),
            form.named,
            publishes=form.publishes.data,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, queries.monitor_by_id(monitor_id), 422)
    except StaleEdit:
        events.rollback()
        found = queries.monitor_by_id(monitor_id) or abort(404)
        form.form_errors.append("Somebody else changed it in the meantime. Save again to have it your way.")
        form.version.data = found.version
        return _form(form, found, 409)
    events.commit()
    flash("Saved. It counts from its next message on.")
    return redirect_to(f"{LIST}/{monitor_id}")


@blueprint.post("/<int:monitor_id>/renew")
def renew_address(monitor_id: int) -> Response:
    """Give it a new address; the old one is dead at once."""
    monitor = _steered(monitor_id)
    return _address(monitor, actions.renew_address(monitor, by=access.actor(), now=clock.utcnow()))


@blueprint.post("/<int:monitor_id>/remove")
def remove_monitor(monitor_id: int) -> Response:
    """Hear it no more."""
    monitor = _steered(monitor_id)
    name = monitor.name
    actions.remove_monitor(monitor, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(f"{name} is not heard any more. Drafts it opened are still there.")
    return redirect_to(LIST)


def _steered(monitor_id: int) -> Monitor:
    monitor = queries.monitor_by_id(monitor_id) or abort(404)
    form = RowForm()
    if not form.validate_on_submit():
        abort(422)
    access.require_recent_password()
    if monitor.version != form.version.data:
        raise StaleEdit
    return monitor


def _is_whole(form: MonitorForm) -> bool:
    """Whether every word stands for a component."""
    for entry in form.matches:
        word = (entry.form.word.data or "").strip()
        if word and not entry.form.component.data:
            entry.form.component.errors = [*entry.form.component.errors, "Choose what this word stands for."]
            form.form_errors.append(f"Choose the component that “{word}” stands for.")
    return not form.form_errors


def _form(form: MonitorForm, monitor: Monitor | None, status: int) -> Response:
    return render(
        "admin/monitors/monitor_form.html",
        "admin/monitors/_monitor_form.html",
        status,
        form=form,
        monitor=monitor,
        at=f"{LIST}/{monitor.id}" if monitor else LIST,
    )


def _address(monitor: Monitor, key: str) -> Response:
    name, shape, at = monitor.name, monitor.shape, f"{LIST}/{monitor.id}"
    events.commit()
    settings: Settings = current_app.config["SETTINGS"]
    response = render(
        "admin/monitors/address.html",
        "admin/monitors/_address.html",
        name=name,
        shape=shape,
        address=f"{settings.base_url.rstrip('/')}/inbound/monitors/{key}",
        mail_address=address_of(DOOR, key, settings.bounce_address) if shape is Shape.MAIL else "",
        at=at,
    )
    response.headers["Cache-Control"] = "no-store"
    del response.headers["ETag"]
    return response
