"""`/admin/channels`: where companies and the staff are told beside mail: texts, Slack, Teams, webhooks."""

from datetime import datetime
from typing import Any

from flask import Blueprint, abort, current_app, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events, sealing
from portal.accounts.queries.listings import company_by_id
from portal.accounts.queries.tokens import companies_called
from portal.accounts.rules import Permission
from portal.admin.channels.forms import KIND_HINTS, KIND_WORDS, ChannelForm, NewChannelForm
from portal.admin.forms import RowForm, choices_of, page_wanted, text_wanted
from portal.config import Settings
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.notifications.channels import actions, gateway, queries
from portal.notifications.channels.lane import secrets_of
from portal.notifications.channels.rules import ChannelKind, ChannelState, Outcome, Owner, webhook_id
from portal.notifications.channels.sealed import ADDRESS, SECRET
from portal.notifications.kinds import told_beside_mail
from portal.notifications.models import ContactChannel

blueprint = Blueprint("admin_channels", __name__, url_prefix="/admin/channels")
access.staff(blueprint, Permission.CHANNELS_EDIT)

LIST = "/admin/channels"
TEST_TEXT = "This is a test from {brand}. Nothing is wrong."


@blueprint.get("")
def channel_list() -> Response:
    """Every channel with whose it is and how it fares, those in trouble first."""
    state = request.args.get("state", "")
    wanted = ChannelState(state) if state in set(ChannelState) else None
    return render(
        "admin/channels/channels.html",
        "admin/channels/_channels.html",
        channels=queries.channels_page(page_wanted(), _settings(), text=text_wanted(), state=wanted),
        counts=queries.counts(),
        state=wanted,
        text=text_wanted(),
        kind_words=KIND_WORDS,
        at=LIST,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new_channel() -> Response:
    """Set one up. The secret of a webhook stands in the answer to the form and nowhere again."""
    access.require_recent_password()
    form = NewChannelForm()
    _offer_topics(form)
    if not form.is_submitted():
        named = company_by_id(request.args.get("company", type=int) or 0)
        form.company.data = named.name if named else ""
        form.topics.data = list(told_beside_mail())
    if not form.validate_on_submit():
        return _new_form(form, 422 if form.is_submitted() else 200)
    try:
        channel, secret = actions.add_channel(
            ChannelKind(form.kind.data),
            form.label.data or "",
            form.address.data or "",
            form.topics.data or [],
            company_id=_company_id(form.company.data or "") if form.whose.data == Owner.COMPANY else None,
            language=form.language.data,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        return _new_form(form, 422)
    channel_id, label = channel.id, channel.label
    events.commit()
    if secret is not None:
        return _secret(channel_id, label, secret)
    flash(f"{label} is set up. Send it a test before you rely on it.")
    return redirect_to(f"{LIST}/{channel_id}")


@blueprint.route("/<int:channel_id>", methods=["GET", "POST"])
def channel(channel_id: int) -> Response:
    """One channel: how it fares, what it was last told, and what may be changed of it."""
    wanted = _channel(channel_id, to_change=request.method == "POST")
    if request.method != "POST":
        return _page(wanted, _form_of(wanted))
    access.require_recent_password()
    form = ChannelForm()
    _offer_topics(form)
    if not form.validate_on_submit():
        return _page(wanted, form, 422)
    try:
        actions.change_channel(
            wanted,
            form.label.data or "",
            form.topics.data or [],
            address=(form.address.data or "").strip() or None,
            language=form.language.data,
            **_version_and_actor(form.version.data),
        )
    except RuleViolation as violation:
        form.refuse(violation)
        events.rollback()
        return _page(_channel(channel_id), form, 422)
    events.commit()
    flash("Saved.")
    return redirect_to(f"{LIST}/{channel_id}")


@blueprint.post("/<int:channel_id>/test")
def test(channel_id: int) -> Response:
    """Send something now, and show what came back. No transaction is open meanwhile.

    A channel that was given up may be tested: that is how it is mended.
    """
    wanted = _channel(channel_id)
    settings = _settings()
    if wanted.kind is ChannelKind.SMS and not settings.sms_url:
        raise RuleViolation(gateway.NO_GATEWAY)
    began = clock.utcnow()
    try:
        parcel = _test_parcel(wanted, began)
    except sealing.Unreadable:
        raise RuleViolation("Its address was sealed with a secret key that is gone. Enter it anew.") from None
    events.rollback()
    outcome = gateway.send(parcel, gateway.Guard(settings), began)
    tested = _channel(channel_id, to_change=True)
    actions.note_test(tested, outcome, by=access.actor(), now=clock.utcnow())
    events.commit()
    shown = _channel(channel_id)
    return _page(shown, _form_of(shown), outcome=outcome)


@blueprint.post("/<int:channel_id>/secret")
def new_secret(channel_id: int) -> Response:
    """Sign with a new secret; the old one signs beside it for a week."""
    access.require_recent_password()
    wanted = _channel(channel_id, to_change=True)
    label = wanted.label
    secret = actions.renew_secret(wanted, **_pressed())
    events.commit()
    return _secret(channel_id, label, secret)


@blueprint.post("/<int:channel_id>/end-old-secret")
def end_old_secret(channel_id: int) -> Response:
    """Sign with the newest secret alone."""
    wanted = _channel(channel_id, to_change=True)
    actions.end_old_secret(wanted, **_pressed())
    events.commit()
    flash("From now on only the newest secret signs.")
    return redirect_to(f"{LIST}/{channel_id}")


@blueprint.post("/<int:channel_id>/remove")
def remove(channel_id: int) -> Response:
    """Forget it, and call off what waits for it."""
    wanted = _channel(channel_id, to_change=True)
    label = wanted.label
    count = actions.remove_channel(wanted, **_pressed())
    events.commit()
    flash(f"{label} is removed." + (f" {count} waiting messages were called off." if count else ""))
    return redirect_to(LIST)


def _test_parcel(channel: ContactChannel, now: datetime) -> gateway.Parcel:
    text = TEST_TEXT.format(brand=_settings().mail_domain)
    return gateway.Parcel(
        channel.kind,
        sealing.unseal(channel.address, ADDRESS),
        text,
        gateway.webhook_body("test", {"text": text}, now),
        webhook_id(f"test{channel.id}x{int(now.timestamp() * 1000)}"),
        [sealing.unseal(each, SECRET) for each in secrets_of(channel, now)],
    )


def _form_of(channel: ContactChannel) -> ChannelForm:
    """The form with what is stored; the address stays where it is."""
    form = ChannelForm(formdata=None, obj=channel)
    _offer_topics(form)
    form.address.data, form.topics.data = "", list(channel.topics)
    return form


def _page(channel: ContactChannel, form: ChannelForm, status: int = 200, *, outcome: Outcome | None = None) -> Response:
    return render(
        "admin/channels/channel.html",
        "admin/channels/_channel.html",
        status,
        channel=channel,
        owner=queries.owner_name(channel),
        is_staff=queries.owner_of(channel) is Owner.STAFF,
        unreachable=queries.why_unreachable(channel, _settings()),
        messages=queries.messages_of(channel.id),
        waiting=queries.waiting_for(channel.id),
        kind_words=KIND_WORDS,
        topic_words=told_beside_mail(),
        form=form,
        outcome=outcome,
        at=LIST,
        now=clock.utcnow(),
    )


def _new_form(form: NewChannelForm, status: int) -> Response:
    return render(
        "admin/channels/new_channel.html",
        "admin/channels/_new_channel.html",
        status,
        form=form,
        kind_hints=KIND_HINTS,
        sms_missing=gateway.NO_GATEWAY if not _settings().sms_url else "",
        at=LIST,
    )


def _secret(channel_id: int, label: str, secret: str) -> Response:
    response = render(
        "admin/channels/secret.html",
        "admin/channels/_secret.html",
        label=label,
        secret=secret,
        at=LIST,
        address=f"{LIST}/{channel_id}",
    )
    response.headers["Cache-Control"] = "no-store"
    del response.headers["ETag"]
    return response


def _offer_topics(form: NewChannelForm | ChannelForm) -> None:
    form.topics.choices = choices_of((key, str(label)) for key, label in told_beside_mail().items())


def _company_id(name: str) -> int:
    """The company of this name, or the only one whose name holds it."""
    found = companies_called(name) if name.strip() else []
    if not found:
        raise RuleViolation("There is no company of this name." if name.strip() else "Say whose it is.", "company")
    if len(found) > 1:
        several = ", ".join(each.name for each in found[:3])
        raise RuleViolation(f"Several companies are called like that: {several} … Type the whole name.", "company")
    return found[0].id


def _channel(channel_id: int, *, to_change: bool = False) -> ContactChannel:
    return queries.channel_by_id(channel_id, to_change=to_change) or abort(404)


def _pressed() -> dict[str, Any]:
    """What a button that does one thing to a row takes; 422 when it came without a version."""
    form = RowForm()
    if not form.validate_on_submit():
        abort(422)
    return _version_and_actor(form.version.data)


def _version_and_actor(version: int | None) -> dict[str, Any]:
    return {"version": version or 0, "by": access.actor(), "now": clock.utcnow()}


def _settings() -> Settings:
    found: Settings = current_app.config["SETTINGS"]
    return found
