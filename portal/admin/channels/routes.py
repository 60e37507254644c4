"""`/admin/channels`: where companies, people and the staff are told beside mail: texts, Slack, Teams, webhooks."""

from typing import Any

from flask import Blueprint, abort, current_app, flash, request
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.queries import person_by_email
from portal.accounts.queries.listings import company_by_id
from portal.accounts.queries.people import person_for_staff
from portal.accounts.rules import Permission
from portal.admin.channels.forms import KIND_HINTS, KIND_WORDS, ChannelForm, NewChannelForm
from portal.admin.forms import RowForm, choices_of, company_called, page_wanted, text_wanted
from portal.config import Settings
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.notifications.channels import actions, gateway, queries
from portal.notifications.channels.choosing import offer_for
from portal.notifications.channels.rules import ChannelKind, ChannelState, Outcome, Owner
from portal.notifications.channels.trial import try_out
from portal.notifications.kinds import told_beside_mail
from portal.notifications.models import ContactChannel

blueprint = Blueprint("admin_channels", __name__, url_prefix="/admin/channels")
access.staff(blueprint, Permission.CHANNELS_EDIT)

LIST = "/admin/channels"


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
        _take_owner_from_address(form)
        form.topics.data = list(told_beside_mail())
    if not form.validate_on_submit():
        return _new_form(form, 422 if form.is_submitted() else 200)
    try:
        channel, secret = actions.add_channel(
            ChannelKind(form.kind.data),
            form.label.data or "",
            form.address.data or "",
            form.topics.data or [],
            company_id=company_called(form.company.data or "").id if form.whose.data == Owner.COMPANY else None,
            person_id=_person_id(form.person.data or "") if form.whose.data == Owner.PERSON else None,
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
    if not form.validate_on_submit():
        return _page(wanted, form, 422)
    try:
        actions.change_channel(
            wanted,
            form.label.data or "",
            [*(form.topics.data or []), *(form.finer.data or [])],
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
    """Send something now, and show what came back. No transaction is open meanwhile."""
    outcome = try_out(_channel(channel_id), clock.utcnow())
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


def _form_of(channel: ContactChannel) -> ChannelForm:
    """The form with what is stored; the address stays where it is."""
    form = ChannelForm(formdata=None, obj=channel)
    form.address.data = ""
    form.topics.data = form.finer.data = list(channel.topics)
    return form


def _page(channel: ContactChannel, form: ChannelForm, status: int = 200, *, outcome: Outcome | None = None) -> Response:
    offer = offer_for(channel, clock.utcnow())
    form.topics.choices = choices_of((key, str(label)) for key, label in offer.kinds.items())
    names = {topic.key: topic.label for group in offer.finer for topic in group.topics}
    return render(
        "admin/channels/channel.html",
        "admin/channels/_channel.html",
        status,
        channel=channel,
        owner=queries.owner_name(channel),
        is_staff=queries.owner_of(channel) is Owner.STAFF,
        unreachable=queries.unreachable_among([channel], _settings()).get(channel.id),
        messages=queries.messages_of(channel.id),
        waiting=queries.waiting_for(channel.id),
        kind_words=KIND_WORDS,
        offer=offer,
        hears=[str(label) for key, label in offer.kinds.items() if key in channel.topics],
        only=[names[key] for key in channel.topics if key in names],
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


def _take_owner_from_address(form: NewChannelForm) -> None:
    """Whose channel it is, where a company's or a person's page leads here."""
    company = company_by_id(request.args.get("company", type=int) or 0)
    person = person_for_staff(request.args.get("person", type=int) or 0)
    form.company.data = company.name if company else ""
    form.person.data = person.email if person else ""
    if person is not None:
        form.whose.data, form.label.data, form.language.data = Owner.PERSON.value, person.name, person.language


def _offer_topics(form: NewChannelForm) -> None:
    form.topics.choices = choices_of((key, str(label)) for key, label in told_beside_mail().items())


def _person_id(typed: str) -> int:
    """The person with this e-mail address."""
    found = person_by_email(typed.strip()) if typed.strip() else None
    if found is None:
        sentence = "Nobody here has this e-mail address." if typed.strip() else "Say whose it is, by e-mail address."
        raise RuleViolation(sentence, "person")
    return found.id


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
