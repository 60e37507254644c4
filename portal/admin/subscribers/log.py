"""`/admin/subscribers/<id>`: what a webhook or a room was told, how each try ended, and telling it once more."""

from flask import abort, flash
from werkzeug.wrappers import Response

from portal import access, clock, events
from portal.accounts.rules import Permission, may
from portal.admin.forms import RowForm
from portal.admin.subscribers.forms import KINDS
from portal.admin.subscribers.place import LIST, blueprint
from portal.domains.queries import domain_by_id
from portal.errors import RuleViolation
from portal.fragments import redirect_to, render
from portal.incidents.queries.conversations import incidents_by_conversation
from portal.notifications.channels.queries import MESSAGES_SHOWN, messages_of, waiting_for
from portal.notifications.channels.replaying import may_replay, replay, tries_of
from portal.notifications.kinds import told_to_subscribers
from portal.notifications.models import ContactChannel
from portal.notifications.subscribers import following, queries
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberState, finer_in, kinds_in


@blueprint.get("/<int:subscriber_id>")
def subscriber(subscriber_id: int) -> Response:
    """One webhook or room: how it fares, and what it was last told. Mails stand in the ledger of their broadcasts."""
    return _page(*_found(subscriber_id))


@blueprint.post("/<int:subscriber_id>/deliveries/<int:delivery_id>/replay")
def replay_delivery(subscriber_id: int, delivery_id: int) -> Response:
    """Send one of its messages again: the same message, and for a webhook under the same id."""
    access.require(Permission.SUPPRESSIONS_EDIT)
    found, channel = _found(subscriber_id, to_change=True)
    if not RowForm().validate_on_submit():
        abort(422)
    try:
        if found.state is not SubscriberState.ACTIVE:
            raise RuleViolation("Nothing is sent there now. Reactivate it first.")
        replay(channel, delivery_id, by=access.actor(), now=clock.utcnow())
        events.commit()
    except RuleViolation as violation:
        events.rollback()
        return _page(*_found(subscriber_id), 422, refusal=violation.sentence)
    flash("It goes out again now.")
    return redirect_to(f"{LIST}/{subscriber_id}#messages")


def _page(found: Subscriber, channel: ContactChannel, status: int = 200, *, refusal: str = "") -> Response:
    domain = domain_by_id(found.domain_id)
    messages, labels = messages_of(channel.id), told_to_subscribers()
    is_told = found.state is SubscriberState.ACTIVE
    return render(
        "admin/subscribers/subscriber.html",
        "admin/subscribers/_subscriber.html",
        status,
        subscriber=found,
        channel=channel,
        brand=domain.brand if domain else "",
        kind_word=KINDS[found.kind],
        heard_of=[str(labels.get(each, each)) for each in kinds_in(found.topics)],
        parts=len(finer_in(found.topics)),
        followed=incidents_by_conversation(following.followed_by([found.id]).get(found.id, [])).values(),
        messages=messages,
        shown_at_most=MESSAGES_SHOWN,
        tries=tries_of([each.id for each in messages]),
        replayable={each.id for each in messages if is_told and may_replay(each, channel)},
        waiting=waiting_for(channel.id),
        may_edit=may(access.signed_in().role, Permission.SUPPRESSIONS_EDIT),
        refusal=refusal,
    )


def _found(subscriber_id: int, *, to_change: bool = False) -> tuple[Subscriber, ContactChannel]:
    found = queries.by_id(subscriber_id, to_change=to_change)
    if found is None or found.contact_channel_id is None:
        abort(404)
    return found, queries.channel_of(found, to_change=to_change) or abort(404)
