"""Reading subscribers: one by its key, the list of staff, and how many there are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, String, cast, func, select

from portal.accounts.models import Person
from portal.accounts.rules import text_key
from portal.domains.models import PortalDomain
from portal.errors import NotFound
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.notifications.models import ContactChannel
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberState

PAGE_SIZE = 50
PIECE = 500

SUBSCRIBER_ORDERS = {"id": Order((Subscriber.id,)), "-id": Order((Subscriber.id,), is_descending=True)}
"""How a machine may have them sorted."""


def by_key(key: str, domain_id: int | None = None, *, to_change: bool = False) -> Subscriber | None:
    """The subscriber whose links are made of this key, on this portal or any. One query."""
    statement = select(Subscriber).where(Subscriber.key == key)
    if domain_id is not None:
        statement = statement.where(Subscriber.domain_id == domain_id)
    if to_change:
        statement = statement.with_for_update()
    return db.session.scalars(statement).one_or_none()


def by_address(domain_id: int, kind: SubscriberKind, address_key: str) -> Subscriber | None:
    """Whoever subscribed with this address on this portal, held until the transaction ends. One query."""
    return db.session.scalars(
        select(Subscriber)
        .where(Subscriber.domain_id == domain_id, Subscriber.kind == kind, Subscriber.address_key == address_key)
        .with_for_update()
    ).one_or_none()


def known_addresses(domain_id: int, address_keys: Collection[str]) -> frozenset[str]:
    """Those of these that are subscribed by mail at this portal already. One query for each thousand."""
    keys, found = list(address_keys), set[str]()
    for start in range(0, len(keys), 1000):
        found.update(
            db.session.scalars(
                select(Subscriber.address_key).where(
                    Subscriber.domain_id == domain_id,
                    Subscriber.kind == SubscriberKind.EMAIL,
                    Subscriber.address_key.in_(keys[start : start + 1000]),
                )
            )
        )
    return frozenset(found)


def by_id(subscriber_id: int, *, to_change: bool = False) -> Subscriber | None:
    """One subscriber. One query."""
    return db.session.get(Subscriber, subscriber_id, with_for_update=to_change)


def channel_of(subscriber: Subscriber, *, to_change: bool = False) -> ContactChannel | None:
    """The channel of a subscriber that is told beside mail. One query."""
    if subscriber.contact_channel_id is None:
        return None
    return db.session.get(ContactChannel, subscriber.contact_channel_id, with_for_update=to_change)


def has_login(address_key: str) -> bool:
    """Whether somebody signs in with this address. One query."""
    found = select(Person.id).where(Person.email_key == address_key, Person.deactivated_at.is_(None))
    return db.session.scalar(found) is not None


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed by: a part of an address, a state, a portal domain, a kind, and a topic they named."""

    text: str = ""
    state: SubscriberState | None = None
    domain_id: int | None = None
    kind: SubscriberKind | None = None
    topic: str | None = None

    @property
    def is_narrowing(self) -> bool:
        return bool(self.text or self.state or self.domain_id or self.kind or self.topic)


class Line(NamedTuple):
    """A subscriber as the list shows it, with the brand of its portal domain."""

    subscriber: Subscriber
    brand: str


@dataclass(frozen=True)
class Page:
    """One page of the list, `page` of `pages` (from 1), of `total` in all."""

    items: Sequence[Line]
    page: int
    pages: int
    total: int


def subscribers_page(filters: Filters, page: int) -> Page:
    """Subscribers, those in quarantine first, then the newest, 50 a page. Two queries; NotFound beyond the last."""
    narrowed = _narrowed(filters)
    total = db.session.scalar(select(func.count()).select_from(Subscriber).where(*narrowed)) or 0
    pages = max(1, -(-total // PAGE_SIZE))
    if not 1 <= page <= pages:
        raise NotFound
    statement = _listed(filters).limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)
    return Page([Line(*row) for row in db.session.execute(statement)], page, pages, total)


def _listed(filters: Filters) -> Select[Subscriber, str]:
    return (
        select(Subscriber, PortalDomain.brand)
        .join(PortalDomain, PortalDomain.id == Subscriber.domain_id)
        .where(*_narrowed(filters))
        .order_by((Subscriber.state == SubscriberState.QUARANTINED).desc(), Subscriber.id.desc())
    )


def subscribers(wanted: Wanted, filters: Filters) -> Piece[Subscriber]:
    """Subscribers as a machine reads them. One query."""
    return piece_of(select(Subscriber).where(*_narrowed(filters)), wanted)


def in_pieces(filters: Filters) -> Iterator[Sequence[Line]]:
    """All of them, oldest first, read and held a piece at a time."""
    last = 0
    while True:
        statement = (
            select(Subscriber, PortalDomain.brand)
            .join(PortalDomain, PortalDomain.id == Subscriber.domain_id)
            .where(*_narrowed(filters), Subscriber.id > last)
            .order_by(Subscriber.id)
            .limit(PIECE)
        )
        piece = [Line(*row) for row in db.session.execute(statement)]
        yield piece
        db.session.expunge_all()
        if len(piece) < PIECE:
            return
        last = piece[-1].subscriber.id


def counts(domain_id: int | None = None) -> Mapping[SubscriberState, int]:
    """How many subscribers are in each state, on one portal domain or on all. One query."""
    statement = select(Subscriber.state, func.count()).group_by(Subscriber.state)
    if domain_id is not None:
        statement = statement.where(Subscriber.domain_id == domain_id)
    return dict(db.session.execute(statement).all())


def _narrowed(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted := text_key(filters.text):
        conditions.append(
            Subscriber.address_key.contains(wanted, autoescape=True)
            | Subscriber.address.icontains(filters.text.strip(), autoescape=True)
        )
    if filters.state is not None:
        conditions.append(Subscriber.state == filters.state)
    if filters.domain_id is not None:
        conditions.append(Subscriber.domain_id == filters.domain_id)
    if filters.kind is not None:
        conditions.append(Subscriber.kind == filters.kind)
    if filters.topic is not None:
        # The list is stored as JSON on both engines, and no key has a quotation mark in it.
        conditions.append(cast(Subscriber.topics, String).contains(f'"{filters.topic}"', autoescape=True))
    return conditions
