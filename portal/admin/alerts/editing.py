"""Adding an alert and changing one, and what it would have done in the last days while that is typed."""

from collections.abc import Sequence
from typing import TypeVar

from flask import Blueprint, abort, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.queries.tags import all_tags
from portal.accounts.rules import Permission
from portal.admin.alerts.forms import AlertForm, EditAlertForm, NewAlertForm, typed
from portal.admin.alerts.rehearsals import Rehearsal, rehearsal_as_kept, rehearsal_of
from portal.admin.forms import company_called
from portal.alerts import actions, queries, scripts
from portal.alerts.models import Alert
from portal.alerts.rules import SCRIPT_LENGTH, AlertArea
from portal.alerts.rules.checks import Wanted
from portal.catalogue.queries.lists import all_services
from portal.database import read_only
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.usage.models import Metric

F = TypeVar("F", bound=AlertForm)

LIST = "/admin/alerts"
TAGS_OFFERED = 200
STALE = "Somebody else saved this alert in the meantime. Yours stands below; save again to put it over theirs."

blueprint = Blueprint("admin_alert_forms", __name__, url_prefix=LIST)
access.staff(blueprint, Permission.ALERTS_EDIT)


@blueprint.route("/new", methods=["GET", "POST"])
def new_alert() -> Response:
    """Add one: from nothing, for a company the address names, or as a copy of another one."""
    form = _offered(NewAlertForm(data=_begun()))
    if not form.validate_on_submit():
        return _page(form, None, 422 if form.is_submitted() else 200)
    try:
        made = _add(form)
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(form, None, 422)
    address = f"{LIST}/{made.public_id}"
    events.commit()
    flash("Added. It is looked at within a minute.")
    return redirect_to(address)


@blueprint.route("/<string(maxlength=40):public_id>/edit", methods=["GET", "POST"])
def edit_alert(public_id: str) -> Response:
    """Change one. Whom it is for stays."""
    alert = _alert(public_id)
    form = _offered(EditAlertForm(data=typed(alert)), alert)
    if not form.validate_on_submit():
        return _page(form, alert, 422 if form.is_submitted() else 200)
    try:
        actions.edit_alert(
            alert, _wanted(form, alert), version=form.version.data or 0, by=access.actor(), now=clock.utcnow()
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _page(form, _alert(public_id), 422)
    except StaleEdit:
        events.rollback()
        newer = _alert(public_id)
        form.form_errors.append(STALE)
        form.version.data = newer.version
        return _page(form, newer, 409)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}/{public_id}")


@blueprint.post("/rehearse")
def rehearse() -> Response:
    """What an alert as it is typed would have done in the last 30 days. Nothing is written."""
    form = _offered(NewAlertForm())
    return _rehearsal(form, None)


@blueprint.post("/<string(maxlength=40):public_id>/rehearse")
def rehearse_edited(public_id: str) -> Response:
    """The same of one that is being changed."""
    alert = _alert(public_id)
    return _rehearsal(_offered(EditAlertForm(), alert), alert)


def _rehearsal(form: AlertForm, alert: Alert | None) -> Response:
    events.rollback()
    read_only.set(True)
    template = "admin/alerts/rehearsal.html"
    return render(template, template, rehearsal=rehearsal_of(form, lambda: _wanted(form, alert), clock.utcnow()))


def _add(form: NewAlertForm) -> Alert:
    by, now = access.actor(), clock.utcnow()
    made = actions.add_alert(_wanted(form, None), by=by, now=now, idempotency_key=f"form:{form.key.data}")
    if not form.is_on.data:
        actions.switch_alert(made, False, version=made.version, by=by, now=now)
    return made


def _begun() -> dict[str, object]:
    """What a new one begins with."""
    copied = request.args.get("copy", "")
    if copied:
        alert = _alert(copied[:40])
        whose = {"company": alert.company.name if alert.company is not None else "", "tag": alert.tag or ""}
        return typed(alert) | whose | {"title": f"{alert.title} (copy)"[:200]}
    return {"company": request.args.get("company", "")[:200]}


def _wanted(form: AlertForm, alert: Alert | None) -> Wanted:
    """What is typed, for whom it is; RuleViolation where nobody is called like that."""
    if alert is not None:
        company_id, tag = alert.company_id, alert.tag
    else:
        company_id, tag = _for_whom(form)
    metric_id = None
    key = (form.metric.data or "").strip()
    if form.watches is AlertArea.CUSTOM and key:
        metric = queries.metric_of(company_id, key) if company_id is not None else None
        if metric is None and company_id is not None:
            raise RuleViolation("This company has no metric with this key.", "metric")
        metric_id = metric.id if metric is not None else None
    return form.wanted(company_id, tag, metric_id)


def _for_whom(form: AlertForm) -> tuple[int | None, str | None]:
    if not isinstance(form, NewAlertForm):
        return None, None
    name, tag = (form.company.data or "").strip(), (form.tag.data or "").strip()
    return (company_called(name).id if name else None), tag or None


def _page(form: AlertForm, alert: Alert | None, status: int) -> Response:
    at = f"{LIST}/{alert.public_id}/edit" if alert is not None else f"{LIST}/new"
    return render(
        "admin/alerts/alert_form.html",
        "admin/alerts/_alert_form.html",
        status,
        form=form,
        alert=alert,
        at=at,
        back=f"{LIST}/{alert.public_id}" if alert is not None else LIST,
        reference=scripts.reference(),
        tags=all_tags(TAGS_OFFERED) if alert is None else (),
        metrics=_metrics(form, alert),
        rehearsal=_beside(alert, is_opened=status == 200),
        rehearse_at=f"{LIST}/{alert.public_id}/rehearse" if alert is not None else f"{LIST}/rehearse",
        script_length=SCRIPT_LENGTH,
    )


def _metrics(form: AlertForm, alert: Alert | None) -> Sequence[Metric]:
    """What the company that is named has of its own."""
    if alert is not None:
        return queries.metrics_of(alert.company_id) if alert.company_id is not None else ()
    try:
        company_id, _tag = _for_whom(form)
    except RuleViolation:
        return ()
    return queries.metrics_of(company_id) if company_id is not None else ()


def _beside(alert: Alert | None, *, is_opened: bool) -> Rehearsal | None:
    """What stands beside the form before anything is typed: what the alert as it is kept would have done."""
    return rehearsal_as_kept(actions.wanted_of(alert), clock.utcnow()) if alert is not None and is_opened else None


def _offered(form: F, alert: Alert | None = None) -> F:
    """The form with all there is to choose from; the template it has stays to be chosen, though it was archived."""
    templates = {each.id: each.name for each in queries.live_templates()}
    if alert is not None and alert.template is not None:
        templates.setdefault(alert.template.id, f"{alert.template.name} (archived)")
    services = {each.id: each.name for each in all_services()}
    if alert is not None and alert.service is not None:
        services.setdefault(alert.service.id, alert.service.name)
    form.offer(services.items(), templates.items())
    return form


def _alert(public_id: str) -> Alert:
    return queries.alert_for_staff(public_id) or abort(404)
