"""`/admin/relays`: the servers mails go out through, in their order; how each fares; a test mail to oneself."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from flask import Blueprint, abort, current_app, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.actions import throttles
from portal.accounts.rules import Permission
from portal.accounts.rules.throttles import Limit
from portal.admin.forms import RowForm, StaffForm
from portal.admin.relays.forms import (
    PROFILE_WORDS,
    SECURITY_WORDS,
    LoadForm,
    NewRelayForm,
    OrderForm,
    RelayForm,
)
from portal.config import Settings
from portal.errors import RuleViolation, StaleEdit
from portal.fragments import redirect_to, render, wants_fragment
from portal.notifications import outlook, relays, trial
from portal.notifications.actions import relays as actions
from portal.notifications.models import Relay
from portal.notifications.profiles import PORTS, PROFILES, Limits, Profile, address_of
from portal.notifications.smtp import Route

blueprint = Blueprint("admin_relays", __name__, url_prefix="/admin/relays")
access.staff(blueprint, Permission.RELAYS_EDIT)

LIST = "/admin/relays"
STEPS = {"up": -1, "down": 1}

TESTS_OF_ONE = Limit(5, timedelta(minutes=10))
TESTS_OF_ALL = Limit(20, timedelta(hours=1))
"""How many test mails one person, and all together, may send. A test says what answers at any host and port, so that
whoever may enter hosts should not be able to ask a whole network."""

SCHEME_WORDS = {"smtp": "not encrypted", "smtp+starttls": "STARTTLS", "smtps": "TLS"}


@blueprint.get("")
def relay_list() -> Response:
    """Every relay in its order, each with how it fares."""
    return _list()


@blueprint.post("/order")
def arrange() -> Response:
    """A new order of the whole list, or one step of one relay; the list again for htmx."""
    form = OrderForm()
    if not form.validate_on_submit():
        abort(422)
    edit: dict[str, Any] = {"version": form.version.data, "by": access.actor(), "now": clock.utcnow()}
    try:
        if form.move.data:
            token, _colon, direction = form.move.data.partition(":")
            actions.step_relay(_ids(token)[0], STEPS.get(direction, 0), **edit)
        else:
            actions.arrange_relays(_ids(form.order.data or ""), **edit)
    except StaleEdit:
        if not wants_fragment():
            raise
        events.rollback()
        return _list(409, notice="Somebody else changed the list in the meantime. This is how it stands now.")
    events.commit()
    return _list() if wants_fragment() else redirect_to(LIST)


@blueprint.route("/new", methods=["GET", "POST"])
def new_relay() -> Response:
    access.require_recent_password()
    form = NewRelayForm()
    if not form.validate_on_submit():
        return _form(form, None, 422 if form.is_submitted() else 200)
    try:
        relays.prepare_relays(_settings())
        relay = actions.add_relay(form.name.data or "", form.address, form.load, by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, None, 422)
    address = f"{LIST}/{relay.id}"
    events.commit()
    flash("The relay stands last in the order. Send yourself a test mail through it.")
    return redirect_to(address)


@blueprint.get("/<int:relay_id>")
def relay(relay_id: int) -> Response:
    """One relay: how it fares, what the last test met, and what can be done with it."""
    wanted, now = _wanted(relay_id), clock.utcnow()
    others = [each for each in outlook.relays_in_order() if each.id != relay_id and each.switched_off_at is None]
    return render(
        "admin/relays/relay.html",
        "admin/relays/_relay.html",
        relay=wanted,
        route=_route_words(wanted),
        health=outlook.health_of([wanted], now)[0],
        claimed=relays.spent_by([wanted.id], now)[wanted.id].claimed,
        report=trial.Report.of_row(wanted.test) if wanted.test else None,
        others=others,
        me=access.signed_in().email,
        now=now,
    )


@blueprint.route("/<int:relay_id>/edit", methods=["GET", "POST"])
def edit_relay(relay_id: int) -> Response:
    access.require_recent_password()
    edited = _wanted(relay_id)
    form = LoadForm(obj=_typed(edited)) if edited.is_default else RelayForm(obj=_typed(edited))
    if not form.validate_on_submit():
        return _form(form, edited, 422 if form.is_submitted() else 200)
    try:
        actions.edit_relay(
            edited,
            form.name.data or "" if isinstance(form, RelayForm) else edited.name,
            form.address if isinstance(form, RelayForm) else None,
            form.load,
            version=form.version.data or 0,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        events.rollback()
        form.refuse(violation)
        return _form(form, _wanted(relay_id), 422)
    events.commit()
    flash("Saved. It counts from the next mail on.")
    return redirect_to(f"{LIST}/{relay_id}")


@blueprint.post("/<int:relay_id>/test")
def test_relay(relay_id: int) -> Response:
    """Send oneself a mail through exactly this relay. No transaction is open while the server is talked to."""
    if not StaffForm().validate_on_submit():
        abort(422)
    me, by, now = access.signed_in(), access.actor(), clock.utcnow()
    tested = outlook.relay_by_id(relay_id, to_change=True) or abort(404)
    wait = throttles.take("relay-test:person", f"person:{me.person_id}", now, TESTS_OF_ONE)
    wait = wait or throttles.take("relay-test", "all", now, TESTS_OF_ALL)
    if wait:
        events.commit()
        return access.too_often(wait)
    try:
        prepared = trial.begin_test(tested, me.email, _settings(), now=now)
    except RuleViolation as refusal:
        events.commit()
        flash(refusal.sentence)
        return redirect_to(f"{LIST}/{relay_id}")
    events.commit()
    report = trial.converse(prepared, _settings().mail_domain, now=now)
    trial.end_test(prepared, report, by=by, now=clock.utcnow())
    events.commit()
    return redirect_to(f"{LIST}/{relay_id}#test")


@blueprint.post("/<int:relay_id>/mend")
def mend_relay(relay_id: int) -> Response:
    """Try a resting relay now."""
    actions.mend_relay(_wanted(relay_id).id, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash("It is tried again now.")
    return redirect_to(f"{LIST}/{relay_id}")


@blueprint.post("/<int:relay_id>/off")
def switch_off(relay_id: int) -> Response:
    return _switched(relay_id, off=True, sentence="It gets no mails any more. What waited for it goes to the others.")


@blueprint.post("/<int:relay_id>/on")
def switch_on(relay_id: int) -> Response:
    return _switched(relay_id, off=False, sentence="It gets mails again.")


@blueprint.post("/<int:relay_id>/remove")
def remove_relay(relay_id: int) -> Response:
    """Take a relay away for good. What waits for it goes to the others."""
    wanted, form = _wanted(relay_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    access.require_recent_password()
    name = wanted.name
    actions.remove_relay(wanted, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(f"{name} is gone, and so is its password. What waited for it goes to the others.")
    return redirect_to(LIST)


def _switched(relay_id: int, *, off: bool, sentence: str) -> Response:
    wanted, form = _wanted(relay_id), RowForm()
    if not form.validate_on_submit():
        abort(422)
    actions.switch_relay(wanted, off=off, version=form.version.data or 0, by=access.actor(), now=clock.utcnow())
    events.commit()
    flash(sentence)
    return redirect_to(f"{LIST}/{relay_id}")


def _wanted(relay_id: int) -> Relay:
    return outlook.relay_by_id(relay_id) or abort(404)


def _settings() -> Settings:
    return cast(Settings, current_app.config["SETTINGS"])


def _ids(text: str) -> list[int]:
    """Ids joined by commas; what is no number stands for no relay, and so for a list that is not this one."""
    return [int(each) if each.isascii() and each.isdigit() and len(each) < 10 else 0 for each in text.split(",")]


def _route_words(relay: Relay) -> tuple[str, str, str]:
    """Where a relay is, how it is encrypted, and who signs in there; never with what."""
    if relay.host is None:
        route = Route.of(_settings().smtp_url)
        return address_of(route.host, route.port), SCHEME_WORDS[route.scheme], route.user
    port = relay.port or PORTS[relay.security]
    words = SECURITY_WORDS[relay.security].partition(",")[0]
    return address_of(relay.host, port), "not encrypted" if words == "None" else words, relay.username or ""


def _typed(relay: Relay) -> Any:
    """The row as its form shows it: a daily budget only where it is lower than the profile's own."""
    usual = PROFILES.get(relay.profile, Limits())
    return SimpleNamespace(
        version=relay.version,
        name=relay.name,
        host=relay.host,
        port=relay.port,
        security=relay.security.value,
        username=relay.username,
        sender=relay.sender,
        profile=relay.profile.value,
        connections=relay.connections,
        per_minute=relay.per_minute if relay.profile is Profile.CUSTOM else None,
        per_day=relay.per_day if relay.per_day != usual.per_day else None,
    )


def _list(status: int = 200, notice: str = "") -> Response:
    now = clock.utcnow()
    found = outlook.relays_in_order()
    kept = [each for each in found if each.id is not None]
    return render(
        "admin/relays/relay_list.html",
        "admin/relays/_relay_list.html",
        status,
        notice=notice,
        lines=[(health, _route_words(health.relay)) for health in outlook.health_of(found, now)],
        version=actions.order_version(kept),
        waiting=outlook.waiting_mails(now),
        takes_at=outlook.waiting_until(now),
        profile_words=PROFILE_WORDS,
        now=now,
    )


def _form(form: LoadForm, edited: Relay | None, status: int) -> Response:
    settings = _settings()
    return render(
        "admin/relays/relay_form.html",
        "admin/relays/_relay_form.html",
        status,
        form=form,
        relay=edited,
        route=_route_words(edited) if edited else None,
        usual_sender=settings.mail_from,
        usual_connections=settings.connections_per_relay,
        at=f"{LIST}/{edited.id}" if edited else LIST,
    )
