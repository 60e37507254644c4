"""Which subscribers hear of a broadcast: a set at a time, after everybody who has a login."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, String, and_, cast, exists, false, func, or_, select

from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.domains.rules.support import Channels
from portal.extensions import db
from portal.language import known
from portal.notifications.kinds import ACCOUNT_TOPIC, FOR_SUBSCRIBERS, Cursor, Published, Recipient, Subscription
from portal.notifications.models import Broadcast, ContactChannel, Delivery
from portal.notifications.queries import Home
from portal.notifications.subscribers.models import Subscriber, SubscriberFollowing
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberState, hears

PHASE = "subscribers"
"""What marks the cursor of this last phase of an expansion."""

PRIORITY = 45
"""Added to the priority of the broadcast: customers come first, those affected and the others."""


class Place(NamedTuple):
    """A portal domain whose public page is open, as subscribers of it are spoken to."""

    home: Home
    time_zone: str


def places(domain_ids: Collection[int] | None = None) -> dict[int, Place]:
    """The portal domains on which Public status is open, all or of these, by id. One query; there are few."""
    statement = select(
        PortalDomain.id,
        PortalDomain.areas,
        PortalDomain.base_url,
        PortalDomain.brand,
        PortalDomain.time_zone,
        PortalDomain.support_email,
        PortalDomain.support_phone,
        PortalDomain.support_hours,
        PortalDomain.help_url,
    )
    if domain_ids is not None:
        statement = statement.where(PortalDomain.id.in_(domain_ids))
    return {
        domain_id: Place(Home("", base_url, brand, domain_id, Channels(*channels)), time_zone)
        for domain_id, areas, base_url, brand, time_zone, *channels in db.session.execute(statement)
        if Area.PUBLIC_STATUS in areas
    }


def next_recipients(
    broadcast: Broadcast, published: Published, after: int, limit: int
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next subscribers by mail who hear of this, at most `limit` looked at, from the id `after` on: of such things,
    or of its conversation. Two queries."""
    open_places = places(_only(published.domain_id))
    is_followed = _follows(broadcast.thread_key)
    rows = db.session.execute(
        select(
            Subscriber.id,
            Subscriber.domain_id,
            Subscriber.key,
            Subscriber.address,
            Subscriber.language,
            Subscriber.topics,
            is_followed.label("follows"),
        )
        .where(
            _may_hear(broadcast.topic, open_places, is_followed),
            Subscriber.kind == SubscriberKind.EMAIL,
            Subscriber.id > after,
        )
        .order_by(Subscriber.id)
        .limit(limit)
    ).all()
    found = []
    for row in rows:
        does_hear = hears(row.topics, broadcast.topic, published.about)
        if not does_hear and not row.follows:
            continue
        found.append(
            Recipient(
                person_id=None,
                company_ids=(),
                address=row.address,
                name="",
                language=known(row.language),
                values=filled(published, row.language, open_places[row.domain_id].time_zone, alone=not does_hear),
                priority=PRIORITY,
                variant=FOR_SUBSCRIBERS,
                subscription=Subscription(row.id, row.key, row.domain_id, "" if does_hear else broadcast.thread_key),
            )
        )
    return found, {PHASE: rows[-1].id} if len(rows) == limit else None


def filled(published: Published, language: str, time_zone: str, *, alone: bool) -> dict[str, str]:
    """The values of a subscriber. Only those who hear of this one thing `alone` are told that it ends, and when."""
    values = {"following": "", **published.fill(known(language), time_zone)}
    return values if alone else {**values, "following": ""}


class Hearing(NamedTuple):
    """A channel of a subscriber who may hear of something, where they signed up, and whether they follow it."""

    channel: ContactChannel
    subscriber: Subscriber
    place: Place
    follows: bool


def channels_hearing(topic: str, conversation: str, domain_id: int | None = None) -> list[Hearing]:
    """The channels of subscribers who hear of this kind at all or follow this conversation, with whose they are: on any
    portal domain, or on that one. Two queries.
    """
    open_places = places(_only(domain_id))
    is_followed = _follows(conversation)
    rows = db.session.execute(
        select(ContactChannel, Subscriber, is_followed.label("follows"))
        .join(Subscriber, Subscriber.contact_channel_id == ContactChannel.id)
        .where(_may_hear(topic, open_places, is_followed), Subscriber.kind != SubscriberKind.EMAIL)
        .order_by(ContactChannel.id)
    )
    return [
        Hearing(channel, subscriber, open_places[subscriber.domain_id], follows)
        for channel, subscriber, follows in rows
    ]


def is_told(subscriber_id: int, topic: str, conversation: str) -> bool:
    """Whether a subscriber may be told of this kind, or of this conversation, at this moment. Two or three queries."""
    found = db.session.get(Subscriber, subscriber_id, populate_existing=True)
    if found is None or found.state is not SubscriberState.ACTIVE:
        return False
    if topic not in found.topics and not db.session.scalar(
        select(_follows(conversation)).where(Subscriber.id == subscriber_id)
    ):
        return False
    return found.domain_id in places({found.domain_id})


def count_hearing(topic: str, about: Collection[str], conversation: str = "", at_most: int = 200_000) -> int:
    """How many subscribers hear of something of this kind that touches these topics, or follow this conversation. Two
    queries, one number.

    Those whose address also belongs to somebody who is told anyway are counted as both. What narrows is looked for in
    the stored list, as long as what is touched is not too much for a statement; else everybody who could hear is.
    """
    is_followed = _follows(conversation)
    found = select(Subscriber.id).where(_may_hear(topic, places(), is_followed))
    if about and len(about) <= 200:
        # The list is stored as JSON on both engines, and no key has a quotation mark in it.
        listed = cast(Subscriber.topics, String)
        names_one = [listed.contains(f'"{each}"', autoescape=True) for each in sorted(about)]
        hears_all = and_(_names(topic), ~listed.contains(":", autoescape=True))
        found = found.where(or_(is_followed, hears_all, and_(_names(topic), or_(*names_one))))
    return db.session.scalar(select(func.count()).select_from(found.limit(at_most).subquery())) or 0


def count_by_domain(topic: str) -> dict[int, int]:
    """How many subscribers hear of this kind on each portal domain whose public page is open. Two queries."""
    open_places = places()
    found = db.session.execute(
        select(Subscriber.domain_id, func.count())
        .where(_may_hear(topic, open_places, false()))
        .group_by(Subscriber.domain_id)
    )
    return dict.fromkeys(open_places, 0) | dict(found.all())


def stopped_among(delivery_ids: Collection[int]) -> frozenset[int]:
    """Those of these deliveries that go to a subscriber who is not to hear of it any more: who has left, was put in
    quarantine, or whose portal has closed its public page. At most four queries."""
    if not delivery_ids:
        return frozenset()
    rows = db.session.execute(
        select(Delivery.id, Delivery.subscriber_id, Broadcast.topic, Broadcast.thread_key)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Delivery.id.in_(delivery_ids), Delivery.subscriber_id.is_not(None))
    ).all()
    # A letter that asks whether the address is theirs goes to whoever has not said so yet.
    about = [row for row in rows if row.topic != ACCOUNT_TOPIC]
    if not about:
        return frozenset()
    ids = {row.subscriber_id for row in about}
    found = db.session.execute(
        select(Subscriber.id, Subscriber.domain_id, Subscriber.topics).where(
            Subscriber.id.in_(ids), Subscriber.state == SubscriberState.ACTIVE
        )
    ).all()
    open_places = places({domain_id for _id, domain_id, _topics in found})
    wanted = {row_id: set(topics) for row_id, domain_id, topics in found if domain_id in open_places}
    if any(row.topic not in wanted[row.subscriber_id] for row in about if row.subscriber_id in wanted):
        followed = select(SubscriberFollowing.subscriber_id, SubscriberFollowing.conversation)
        for subscriber_id, conversation in db.session.execute(
            followed.where(
                SubscriberFollowing.subscriber_id.in_(wanted),
                SubscriberFollowing.conversation.in_({row.thread_key for row in about}),
            )
        ):
            wanted[subscriber_id].add(conversation)
    return frozenset(
        row.id for row in about if wanted.get(row.subscriber_id, set()).isdisjoint({row.topic, row.thread_key})
    )


def _only(domain_id: int | None) -> Collection[int] | None:
    return None if domain_id is None else {domain_id}


def _may_hear(topic: str, open_places: Collection[int], is_followed: ColumnElement[bool]) -> ColumnElement[bool]:
    """The condition that a subscriber is told of this kind at all, or follows it: what narrows the kind is looked at
    afterwards."""
    is_here = (Subscriber.state == SubscriberState.ACTIVE) & Subscriber.domain_id.in_(open_places)
    return is_here & or_(_names(topic), is_followed)


def _names(topic: str) -> ColumnElement[bool]:
    """The condition that a subscriber asked for this kind."""
    # The list is stored as JSON on both engines, and no key has a quotation mark in it.
    return cast(Subscriber.topics, String).contains(f'"{topic}"', autoescape=True)


def _follows(conversation: str) -> ColumnElement[bool]:
    """The condition that a subscriber follows this conversation."""
    return (
        exists()
        .where(SubscriberFollowing.subscriber_id == Subscriber.id, SubscriberFollowing.conversation == conversation)
        .correlate(Subscriber)
    )
