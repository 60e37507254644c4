"""What an unsubscribe link does that went to somebody without a login: the list it is about is theirs to leave.

One click of a mail program leaves at once, as it must. The button of the page does too, but not for a mailbox that
several people read: there a link is mailed first, and whoever reads that may leave.
"""

from flask import g, render_template, request
from flask_babel import gettext as _

from portal import clock
from portal.audit.rules import Actor
from portal.notifications.kinds import topics
from portal.notifications.links import Unsubscription
from portal.notifications.rules import EVERY_TOPIC
from portal.notifications.subscribers import actions, following, queries
from portal.notifications.subscribers.rules import kinds_in


def leave(link: Unsubscription, topic: str, by: Actor) -> None:
    """Take the subscriber off this list, or off all. Whoever is gone already has left."""
    subscriber = queries.by_key(link.subscriber_key, to_change=True)
    if subscriber is not None:
        actions.leave(subscriber, topic, by=by, now=clock.utcnow())


def leave_by_page(link: Unsubscription, topic: str, by: Actor) -> int | None:
    """The same by the button of the page. For a shared mailbox nothing is left: the way to the subscription is mailed.

    None where the list was left, 0 where a link is on its way, else the seconds until one may be asked for again.
    """
    subscriber = queries.by_key(link.subscriber_key, to_change=True)
    if subscriber is None or not subscriber.is_shared:
        leave(link, topic, by)
        return None
    now = clock.utcnow()
    wait = actions.take_letter(subscriber.domain_id, subscriber.address, ip=request.remote_addr, now=now)
    if not wait:
        actions.mail_link(subscriber, now)
    return wait


def is_followed(link: Unsubscription, topic: str) -> bool:
    """Whether whoever this link went to follows this conversation."""
    subscriber = queries.by_key(link.subscriber_key) if link.subscriber_key else None
    return subscriber is not None and topic in following.followed_by([subscriber.id]).get(subscriber.id, [])


def page(token: str, link: Unsubscription) -> str:
    """The list this link is about, with a button to leave it, and the others of the same subscriber."""
    subscriber = queries.by_key(link.subscriber_key)
    labels = topics()
    followed = following.followed_by([subscriber.id]).get(subscriber.id, []) if subscriber is not None else []
    heard = [*kinds_in(subscriber.topics), *followed] if subscriber is not None else []
    if link.topic not in labels:
        # A conversation, which is left by itself.
        labels = {**labels, link.topic: _("this one incident")}
    return render_template(
        "public/unsubscribe/subscriber.html",
        token=token,
        address=link.address,
        topic=link.topic,
        label=labels.get(link.topic, link.topic),
        is_heard=link.topic in heard,
        is_shared=subscriber is not None and subscriber.is_shared,
        is_asked="asked" in request.args,
        others=[
            (topic, labels.get(topic, _("another incident that is followed"))) for topic in heard if topic != link.topic
        ],
        is_here=g.portal is not None and subscriber is not None and subscriber.domain_id == g.portal.id,
        every_topic=EVERY_TOPIC,
    )
