"""`/alerts`: what is watched for the company, how it stands now, what happened, and testing it."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, flash, request
from flask_babel import gettext as _

from portal import access, clock, events
from portal.alerts import actions, queries
from portal.alerts.models import Alert
from portal.alerts.queries import OwnAlert
from portal.alerts.rules import AlertState, Maker
from portal.alerts.rules.checks import may_edit, may_make
from portal.alerts.telling import send_test
from portal.customer.alerts.forms import PressedForm, TestForm
from portal.customer.alerts.pages import PER_PAGE, Page, in_order, is_bad, lines, own_alert, state_of, view
from portal.domains.rules import Area
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render
from portal.searching import key_of

blueprint = Blueprint("customer_alerts", __name__, url_prefix="/alerts")
access.customers(blueprint, Area.ALERTS)

NAME = "/<string(maxlength=40):public_id>"


@blueprint.get("")
def alerts() -> Response:
    """What is triggered first; `q` narrows the list to titles that hold it, `state` to those that stand so."""
    company_id = access.signed_in().company_id or 0
    text, state = request.args.get("q", "").strip()[:100], request.args.get("state", "")
    words = _states()
    if state not in words:
        abort(404)
    every = in_order(queries.alerts_of(company_id))
    found = [each for each in every if key_of(text) in each.alert.title_key and state in {"", state_of(each)}]
    number, pages = _pages(len(found))
    shown = found[(number - 1) * PER_PAGE : number * PER_PAGE]
    return render(
        "customer/alerts/alerts.html",
        "customer/alerts/_alerts.html",
        listed=Page(lines(shown, company_id, clock.utcnow()), number, pages, len(found)),
        text=text,
        state=state,
        chips=[(word, _address(each, text), each == state) for each, word in words.items()],
        bad=sum(is_bad(each) for each in every),
        has_any=bool(every),
        may_make=may_make(queries.rights_of(company_id)),
    )


def _states() -> dict[str, str]:
    """How the list may be narrowed by what stands in `state` of the address."""
    return {
        "": _("All"),
        AlertState.TRIGGERED.value: _("Triggered"),
        AlertState.NORMAL.value: _("Normal"),
        AlertState.NO_DATA.value: _("No data"),
        "off": _("Switched off"),
    }


def _address(state: str, text: str) -> str:
    kept = {name: value for name, value in (("state", state), ("q", text)) if value}
    return f"/alerts?{urlencode(kept)}" if kept else "/alerts"


def _pages(total: int) -> tuple[int, int]:
    """The page the address asks for, and how many there are; 404 for one there is not."""
    pages, wanted = max(1, -(-total // PER_PAGE)), request.args.get("page", "1")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= 6 and 1 <= int(wanted) <= pages):
        abort(404)
    return int(wanted), pages


# One alert


@blueprint.get(NAME)
def alert(public_id: str) -> Response:
    """How it stands, its chart, what happened, and who is told."""
    return _page(own_alert(public_id), TestForm(formdata=None), 200)


@blueprint.post(f"{NAME}/test")
def test_alert(public_id: str) -> Response:
    """Say to whoever asks, and to nobody else, how it stands now."""
    own, form, now = own_alert(public_id), TestForm(), clock.utcnow()
    if not form.validate_on_submit():
        return _page(own, form, 422)
    company_id = access.signed_in().company_id or 0
    try:
        send_test(
            own.alert,
            company_id,
            actions.reading_now(own.alert, company_id, now),
            to_all=False,
            person_id=access.signed_in().person_id,
            by=access.actor(),
            now=now,
        )
    except RuleViolation as violation:
        return _refused(public_id, violation, 422)
    events.commit()
    flash(_("A test is on its way to you."))
    return redirect_to(f"/alerts/{public_id}")


@blueprint.post(f"{NAME}/on")
def switch_on(public_id: str) -> Response:
    return _switch(public_id, True, _("It is watched from now on."))


@blueprint.post(f"{NAME}/off")
def switch_off(public_id: str) -> Response:
    return _switch(public_id, False, _("It is watched no more, and nobody was told."))


@blueprint.post(f"{NAME}/archive")
def archive_alert(public_id: str) -> Response:
    found = _theirs(public_id)
    title = found.title
    try:
        actions.archive_alert(found, **_pressed())
    except (RuleViolation, StaleEdit) as refusal:
        return _not_done(public_id, refusal)
    events.commit()
    flash(_("“%(title)s” is put away.", title=title))
    return redirect_to("/alerts")


def _switch(public_id: str, is_on: bool, sentence: str) -> Response:
    found = _theirs(public_id)
    try:
        actions.switch_alert(found, is_on, **_pressed())
    except (RuleViolation, StaleEdit) as refusal:
        return _not_done(public_id, refusal)
    events.commit()
    flash(sentence)
    return redirect_to(f"/alerts/{public_id}")


def _theirs(public_id: str) -> Alert:
    """One that they may change as a whole; 403 for one they only see."""
    found = own_alert(public_id).alert
    rights = queries.rights_of(access.signed_in().company_id or 0)
    return found if may_edit(rights, made_by=found.made_by, is_shared=found.tag is not None) else abort(403)


def _pressed() -> dict[str, Any]:
    """What a button that does one thing to an alert gives its action."""
    form = PressedForm()
    if not form.validate_on_submit():
        abort(422)
    return {
        "version": form.version.data or 0,
        "made_by": Maker.CUSTOMER,
        "by": access.actor(),
        "now": clock.utcnow(),
    }


def _not_done(public_id: str, refusal: RuleViolation | StaleEdit) -> Response:
    if isinstance(refusal, RuleViolation):
        return _refused(public_id, refusal, 422)
    changed = RuleViolation(_("Somebody changed this alert in the meantime. Look at it, and press again."))
    return _refused(public_id, changed, 409)


def _refused(public_id: str, violation: RuleViolation, status: int) -> Response:
    events.rollback()
    form = TestForm(formdata=None)
    form.form_errors.append(violation.sentence)
    return _page(own_alert(public_id), form, status)


def _page(own: OwnAlert, form: TestForm, status: int) -> Response:
    found = view(own, clock.utcnow())
    return render("customer/alerts/alert.html", "customer/alerts/_alert.html", status, form=form, **found)
