"""Which subscribers hear of a broadcast: a set at a time, after everybody who has a login."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, String, cast, func, or_, select

from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.domains.rules.support import Channels
from portal.extensions import db
from portal.language import known
from portal.notifications.kinds import ACCOUNT_TOPIC, FOR_SUBSCRIBERS, Cursor, Kind, Published, Recipient, Subscription
from portal.notifications.models import Broadcast, ContactChannel, Delivery
from portal.notifications.queries import Home
from portal.notifications.subscribers.models import Subscriber
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
    kind: Kind, published: Published, after: int, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next subscribers by mail who hear of this, at most `limit` looked at, from the id `after` on. Two queries."""
    open_places = places(_only(published.domain_id))
    rows = db.session.execute(
        select(
            Subscriber.id,
            Subscriber.domain_id,
            Subscriber.key,
            Subscriber.address,
            Subscriber.language,
            Subscriber.topics,
        )
        .where(_may_hear(kind.topic, open_places), Subscriber.kind == SubscriberKind.EMAIL, Subscriber.id > after)
        .order_by(Subscriber.id)
        .limit(limit)
    ).all()
    found = [
        Recipient(
            person_id=None,
            company_ids=(),
            address=row.address,
            name="",
            language=known(row.language),
            values=published.fill(known(row.language), open_places[row.domain_id].time_zone),
            priority=PRIORITY,
            variant=FOR_SUBSCRIBERS,
            subscription=Subscription(row.id, row.key, row.domain_id),
        )
        for row in rows
        if hears(row.topics, kind.topic, published.about)
    ]
    return found, {PHASE: rows[-1].id} if len(rows) == limit else None


def channels_hearing(topic: str, domain_id: int | None = None) -> list[tuple[ContactChannel, Subscriber, Place]]:
    """The channels of subscribers who hear of this kind at all, with whose they are and where they signed up: on any
    portal domain, or on that one. Two queries.
    """
    open_places = places(_only(domain_id))
    rows = db.session.execute(
        select(ContactChannel, Subscriber)
        .join(Subscriber, Subscriber.contact_channel_id == ContactChannel.id)
        .where(_may_hear(topic, open_places), Subscriber.kind != SubscriberKind.EMAIL)
        .order_by(ContactChannel.id)
    )
    return [(channel, subscriber, open_places[subscriber.domain_id]) for channel, subscriber in rows]


def is_told(subscriber_id: int, topic: str) -> bool:
    """Whether a subscriber may be told of this kind at this moment. Two queries."""
    found = db.session.get(Subscriber, subscriber_id, populate_existing=True)
    if found is None or found.state is not SubscriberState.ACTIVE or topic not in found.topics:
        return False
    return found.domain_id in places({found.domain_id})


def count_hearing(topic: str, about: Collection[str], at_most: int = 200_000) -> int:
    """How many subscribers hear of something of this kind that touches these topics. Two queries, one number.

    Those whose address also belongs to somebody who is told anyway are counted as both. What narrows is looked for in
    the stored list, as long as what is touched is not too much for a statement; else everybody who could hear is.
    """
    heard = _may_hear(topic, places())
    found = select(Subscriber.id).where(heard)
    if about and len(about) <= 200:
        # The list is stored as JSON on both engines, and no key has a quotation mark in it.
        listed = cast(Subscriber.topics, String)
        names_one = [listed.contains(f'"{each}"', autoescape=True) for each in sorted(about)]
        found = found.where(or_(~listed.contains(":", autoescape=True), *names_one))
    return db.session.scalar(select(func.count()).select_from(found.limit(at_most).subquery())) or 0


def count_by_domain(topic: str) -> dict[int, int]:
    """How many subscribers hear of this kind on each portal domain whose public page is open. Two queries."""
    open_places = places()
    found = db.session.execute(
        select(Subscriber.domain_id, func.count()).where(_may_hear(topic, open_places)).group_by(Subscriber.domain_id)
    )
    return dict.fromkeys(open_places, 0) | dict(found.all())


def stopped_among(delivery_ids: Collection[int]) -> frozenset[int]:
    """Those of these deliveries that go to a subscriber who is not to hear of it any more: who has left, was put in
    quarantine, or whose portal has closed its public page. At most three queries."""
    if not delivery_ids:
        return frozenset()
    rows = db.session.execute(
        select(Delivery.id, Delivery.subscriber_id, Broadcast.topic)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Delivery.id.in_(delivery_ids), Delivery.subscriber_id.is_not(None))
    ).all()
    # A letter that asks whether the address is theirs goes to whoever has not said so yet.
    about = [
        (delivery_id, subscriber_id, topic) for delivery_id, subscriber_id, topic in rows if topic != ACCOUNT_TOPIC
    ]
    if not about:
        return frozenset()
    found = db.session.execute(
        select(Subscriber.id, Subscriber.domain_id, Subscriber.topics).where(
            Subscriber.id.in_({subscriber_id for _delivery_id, subscriber_id, _topic in about}),
            Subscriber.state == SubscriberState.ACTIVE,
        )
    ).all()
    open_places = places({domain_id for _id, domain_id, _topics in found})
    wanted = {row_id: topics for row_id, domain_id, topics in found if domain_id in open_places}
    return frozenset(
        delivery_id for delivery_id, subscriber_id, topic in about if topic not in wanted.get(subscriber_id or 0, ())
    )


def _only(domain_id: int | None) -> Collection[int] | None:
    return None if domain_id is None else {domain_id}


def _may_hear(topic: str, open_places: Collection[int]) -> ColumnElement[bool]:
    """The condition that a subscriber is told of this kind at all: what narrows it is looked at afterwards."""
    listed = cast(Subscriber.topics, String).contains(f'"{topic}"', autoescape=True)
    return (Subscriber.state == SubscriberState.ACTIVE) & Subscriber.domain_id.in_(open_places) & listed
