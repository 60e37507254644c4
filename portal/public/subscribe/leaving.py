"""What an unsubscribe link does that went to somebody without a login: the list it is about is theirs to leave."""

from flask import g, render_template

from portal import clock
from portal.audit.rules import Actor
from portal.notifications.kinds import topics
from portal.notifications.links import Unsubscription
from portal.notifications.rules import EVERY_TOPIC
from portal.notifications.subscribers import actions, queries
from portal.notifications.subscribers.rules import kinds_in


def leave(link: Unsubscription, topic: str, by: Actor) -> None:
    """Take the subscriber off this list, or off all. Whoever is gone already has left."""
    subscriber = queries.by_key(link.subscriber_key, to_change=True)
    if subscriber is not None:
        actions.leave(subscriber, topic, by=by, now=clock.utcnow())


def page(token: str, link: Unsubscription) -> str:
    """The list this link is about, with a button to leave it, and the others of the same subscriber."""
    subscriber = queries.by_key(link.subscriber_key)
    labels = topics()
    heard = kinds_in(subscriber.topics) if subscriber is not None else []
    return render_template(
        "public/unsubscribe/subscriber.html",
        token=token,
        address=link.address,
        topic=link.topic,
        label=labels.get(link.topic, link.topic),
        is_heard=link.topic in heard,
        others=[(topic, labels.get(topic, topic)) for topic in heard if topic != link.topic],
        is_here=g.portal is not None and subscriber is not None and subscriber.domain_id == g.portal.id,
        every_topic=EVERY_TOPIC,
    )
