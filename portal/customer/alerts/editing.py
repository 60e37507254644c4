"""Making an alert and changing one as far as the company may, and what it would have done, beside what is typed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from flask import Blueprint, Response, abort, current_app, flash, request
from flask_babel import gettext as _

from portal import access, clock, events
from portal.alerts import actions, queries
from portal.alerts.models import Alert
from portal.alerts.recipients import contacts_of, shown_to
from portal.alerts.rehearsing import rehearsed, sentences
from portal.alerts.rules import AlertArea, Maker, Operator, RecipientKind
from portal.alerts.rules.checks import SCRIPT_DECIMALS, Wanted, hint, may_make, refusals, tidied
from portal.customer.alerts.forms import (
    AlertForm,
    EditAlertForm,
    LimitForm,
    NewAlertForm,
    asked,
    typed,
    with_named,
    written,
)
from portal.customer.alerts.pages import lines, may_change, may_move, own_alert
from portal.database import read_only
from portal.domains.rules import Area
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.services.queries import service_lines
from portal.services.queries.settings import view_of

blueprint = Blueprint("customer_alert_forms", __name__, url_prefix="/alerts")
access.customers(blueprint, Area.ALERTS)

F = TypeVar("F", bound=AlertForm)

NAME = "/<string(maxlength=40):public_id>"

UNNEEDED = frozenset({"title", "recipients", "people", "numbers", "key", "version", "csrf_token"})
"""Fields whose faults do not matter for what it would have done."""


@dataclass(frozen=True)
class Rehearsal:
    """What the panel says in sentences, or in `trouble` why nothing can be said yet."""

    sentences: Sequence[str] = ()
    trouble: str = ""
    hint: str = ""


@blueprint.route("/new", methods=["GET", "POST"])
def new_alert() -> Response:
    """Make one, where the company may."""
    _check_may_make()
    form = _offered(NewAlertForm(), None)
    if not form.validate_on_submit():
        return _page(form, None, 422 if form.is_submitted() else 200)
    try:
        made = actions.add_alert(
            _wanted(form, None),
            made_by=Maker.CUSTOMER,
            by=access.actor(),
            now=clock.utcnow(),
            idempotency_key=f"company:{_company_id()}:{form.key.data}",
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(_beside(violation))
        return _page(form, None, 422)
    address = f"/alerts/{made.public_id}"
    events.commit()
    flash(_("The alert is made, and looked at within a minute."))
    return redirect_to(address)


@blueprint.route(f"{NAME}/edit", methods=["GET", "POST"])
def edit_alert(public_id: str) -> Response:
    """Change one that people of the company made; of what we made, the limits of their money."""
    alert = own_alert(public_id).alert
    rights = queries.rights_of(_company_id())
    if may_change(alert, rights):
        return _edit(alert)
    return _move(alert) if may_move(alert, rights) else abort(403)


@blueprint.post("/rehearse")
def rehearse() -> Response:
    """What an alert as it is typed would have done in the last 30 days. Nothing is written."""
    _check_may_make()
    return _rehearsal(_offered(NewAlertForm(), None), None)


@blueprint.post(f"{NAME}/rehearse")
def rehearse_edited(public_id: str) -> Response:
    """The same of one that is being changed."""
    alert = own_alert(public_id).alert
    if not may_change(alert, queries.rights_of(_company_id())):
        abort(403)
    return _rehearsal(_offered(EditAlertForm(), alert), alert)


def _edit(alert: Alert) -> Response:
    public_id = alert.public_id
    form = _offered(EditAlertForm(data=typed(alert, _shown(alert))), alert)
    if not form.validate_on_submit():
        return _page(form, alert, 422 if form.is_submitted() else 200)
    try:
        actions.edit_alert(
            alert,
            _wanted(form, alert),
            version=form.version.data or 0,
            made_by=Maker.CUSTOMER,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(_beside(violation))
        return _page(form, own_alert(public_id).alert, 422)
    except StaleEdit:
        events.rollback()
        newer = own_alert(public_id).alert
        form.form_errors.append(_stale())
        form.version.data = newer.version
        return _page(form, newer, 409)
    events.commit()
    flash(_("Saved."))
    return redirect_to(f"/alerts/{public_id}")


def _move(alert: Alert) -> Response:
    """Change where an alert about money is triggered."""
    public_id, status = alert.public_id, 200
    data = {"threshold": written(alert.threshold), "reset": written(alert.reset), "version": alert.version}
    form = LimitForm(data=data)
    if form.is_submitted():
        status = 422
    if form.validate_on_submit():
        try:
            if form.threshold.amount is None:
                raise RuleViolation(_("Write the value from which on it is bad."), "threshold")
            actions.set_threshold(
                alert,
                form.threshold.amount,
                form.reset.amount,
                version=form.version.data or 0,
                company_id=_company_id(),
                by=access.actor(),
                now=clock.utcnow(),
            )
        except RuleViolation as violation:
            events.rollback()
            form.refuse(violation)
        except StaleEdit:
            events.rollback()
            status = 409
            form.form_errors.append(_stale())
            form.version.data = own_alert(public_id).alert.version
        else:
            events.commit()
            flash(_("Saved."))
            return redirect_to(f"/alerts/{public_id}")
    [line] = lines([own_alert(public_id)], _company_id(), clock.utcnow())
    return render("customer/alerts/limit_form.html", "customer/alerts/_limit_form.html", status, form=form, line=line)


def _stale() -> str:
    said = _("Somebody else saved this alert in the meantime. Yours stands below; save again to put it over theirs.")
    return str(said)


def _company_id() -> int:
    return access.signed_in().company_id or 0


def _check_may_make() -> None:
    if not may_make(queries.rights_of(_company_id())):
        abort(403)


def _beside(violation: RuleViolation) -> RuleViolation:
    """The refusal beside the field that customers have for it."""
    names = {"recipients": "people", "metric": "area", "trunk": "service"}
    return RuleViolation(violation.sentence, names.get(violation.field or "", violation.field))


def _shown(alert: Alert) -> dict[int, str]:
    """Those it tells whom people of this company are shown, by id."""
    own = [alert.id] if alert.made_by is Maker.CUSTOMER else []
    return shown_to(_company_id(), alert.recipients, own=own)


def _offered(form: F, alert: Alert | None) -> F:
    """The form with all there is to choose from: figures, services and people of this company that it sees."""
    company_id = _company_id()
    metrics = {each.key: each.name for each in queries.metrics_of(company_id) if each.is_shown}
    services: dict[int, str] = {}
    if Area.SERVICES in access.areas():
        view = view_of(access.portal().id, company_id)
        found = service_lines(company_id, clock.utcnow(), shows_incidents=False, view=view)
        services = {each.service_id: each.name for each in found}
    contacts = contacts_of(company_id)
    if alert is not None:
        if alert.metric is not None:
            metrics.setdefault(alert.metric.key, alert.metric.name)
        if alert.service is not None:
            services.setdefault(alert.service.id, alert.service.name)
        contacts = with_named(contacts, alert, _shown(alert))
    form.offer(metrics.items(), services.items(), contacts)
    return form


def _wanted(form: AlertForm, alert: Alert | None) -> Wanted:
    """What is typed, with what customers have no field for as it is."""
    company_id, metric_id = _company_id(), None
    if form.metric_key:
        metric = queries.metric_of(company_id, form.metric_key)
        if metric is None:
            raise RuleViolation(_("Choose one of the company’s own metrics."), "area")
        metric_id = metric.id
    if alert is None:
        before = Wanted("", AlertArea.BALANCE, Operator.LESS, company_id=company_id)
        return asked(form, before, metric_id=metric_id, kept=())
    shown = _shown(alert)
    kept = [each.address for each in alert.recipients if each.id not in shown]
    return asked(form, actions.wanted_of(alert), metric_id=metric_id, kept=kept)


def _page(form: AlertForm, alert: Alert | None, status: int, rehearsal: Rehearsal | None = None) -> Response:
    at = f"/alerts/{alert.public_id}" if alert is not None else "/alerts"
    if rehearsal is None and alert is not None and status == 200:
        rehearsal = _tried(form, lambda: actions.wanted_of(alert))
    shown = _shown(alert) if alert is not None else {}
    return render(
        "customer/alerts/alert_form.html",
        "customer/alerts/_alert_form.html",
        status,
        form=form,
        alert=alert,
        at=f"{at}/edit" if alert is not None else "/alerts/new",
        back=at,
        rehearse_at=f"{at}/rehearse",
        rehearsal=rehearsal,
        has_others=alert is not None and len(shown) < len(alert.recipients),
        takes_numbers=_takes_numbers(alert),
    )


def _takes_numbers(alert: Alert | None) -> bool:
    """Whether there is a field for telephones: where texts can be sent, or some are named."""
    named = alert is not None and any(each.kind is RecipientKind.PHONE for each in alert.recipients)
    return named or bool(current_app.config["SETTINGS"].sms_url)


def _rehearsal(form: AlertForm, alert: Alert | None) -> Response:
    """The panel for htmx; without script the whole form again, with the panel in it and all that was typed."""
    events.rollback()
    read_only.set(True)
    alert = own_alert(alert.public_id).alert if alert is not None else None
    found = _tried(form, lambda: _checked(form, alert))
    for field in form:
        field.errors = ()
    if request.headers.get("HX-Request") == "true":
        template = "customer/alerts/rehearsal.html"
        return render(template, template, rehearsal=found)
    return _page(form, alert, 200, found)


def _checked(form: AlertForm, alert: Alert | None) -> Wanted:
    form.validate()
    for name, errors in form.errors.items():
        if name not in UNNEEDED and errors:
            raise RuleViolation(str(errors[0]))
    return _wanted(form, alert)


def _tried(form: AlertForm, wanted: Callable[[], Wanted]) -> Rehearsal:
    """What this would have done; what is still missing, while something is."""
    try:
        wish = tidied(wanted())
        for refusal in refusals(wish, SCRIPT_DECIMALS):
            if refusal.name not in UNNEEDED:
                raise RuleViolation(_(refusal.sentence, **refusal.values))
        found = rehearsed(wish, _company_id(), clock.utcnow())
    except RuleViolation as refusal:
        return Rehearsal(trouble=refusal.sentence)
    said = hint(wish)
    return Rehearsal(sentences(found), hint=_(said) if said else "")
