"""Reading the outbox: progress, the ledger, who is suppressed, how long a broadcast will take."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from flask import current_app
from sqlalchemy import ColumnElement, Select, and_, exists, func, literal_column, or_, select
from sqlalchemy.orm import contains_eager, defer

from portal.accounts.models import Company
from portal.accounts.rules import text_key
from portal.config import Settings
from portal.domains.models import Admission, PortalDomain
from portal.domains.rules.support import Channels
from portal.errors import NotFound
from portal.extensions import db
from portal.notifications.bounces.rules import BY_REPORT
from portal.notifications.kinds import ACCOUNT_TOPIC
from portal.notifications.models import (
    IS_HASHED,
    IS_RETRYING,
    Broadcast,
    Delivery,
    DeliveryAttempt,
    Outbound,
    Preference,
    Relay,
    Suppression,
)
from portal.notifications.rules import (
    ACTIVE,
    EVERY_TOPIC,
    OPEN_STATES,
    BroadcastState,
    DeliveryState,
    Progress,
    RelayState,
    SuppressionReason,
    hashed_address,
    progress_of,
)

Item = TypeVar("Item")

PAGE_SIZE = 50
PACE_WINDOW = timedelta(minutes=1)
BOUNCED_RESTS = timedelta(days=1)

MAY_SEND = ~exists().where(Outbound.paused_at.is_not(None))
"""The condition under which anything may be offered to a server, for statements that mark what goes next."""


class Pause(NamedTuple):
    """That the whole installation sends nothing: since when, and why."""

    since: datetime
    reason: str


def pause_of_all() -> Pause | None:
    """The pause of the whole installation, None while it sends. One small query."""
    row = db.session.execute(select(Outbound.paused_at, Outbound.reason).where(Outbound.paused_at.is_not(None))).first()
    return Pause(row.paused_at, row.reason or "") if row else None


# Who may be written to.


def suppressed_addresses(
    address_keys: Collection[str], topic: str, now: datetime
) -> dict[str, tuple[SuppressionReason, str | None]]:
    """Those of the addresses that get no mail of this topic, with the reason and its detail. Two queries.

    Wishes of people who were forgotten since are known by a hash of their address only, and hold all the same.
    """
    keys = {address_key: address_key for address_key in address_keys} | _erased_among(address_keys)
    rows = db.session.execute(
        select(Suppression.address_key, Suppression.reason, Suppression.detail)
        .where(Suppression.address_key.in_(keys), suppresses(topic, now))
        .order_by(Suppression.id)
    )
    return {keys[address_key]: (reason, detail) for address_key, reason, detail in rows}


def _erased_among(address_keys: Collection[str]) -> dict[str, str]:
    """The addresses by their hashes, under the secret key and those before it; nothing where nobody was forgotten."""
    hashed = select(Suppression.id).where(IS_HASHED).limit(1)
    if db.session.scalar(hashed) is None:
        return {}
    settings: Settings = current_app.config["SETTINGS"]
    secrets = (settings.secret_key, *settings.secret_key_fallbacks)
    return {hashed_address(secret, each): each for secret in secrets for each in address_keys}


def bounced_today(
    address_keys: Collection[str], topic: str, now: datetime
) -> dict[str, tuple[SuppressionReason, str | None]]:
    """Those of the addresses that have refused mail for good and were tried with one of this topic within a day.

    What somebody needs to get in stops for nothing else, and even a dead address is tried once a day: it may live
    again, and nobody could tell us.
    """
    tried = exists().where(
        Delivery.address_key == Suppression.address_key,
        Delivery.created_at > now - BOUNCED_RESTS,
        Delivery.state.not_in((DeliveryState.SUPPRESSED, DeliveryState.CANCELLED, DeliveryState.EXPIRED)),
        exists().where(Broadcast.id == Delivery.broadcast_id, Broadcast.topic == topic),
    )
    rows = db.session.execute(
        select(Suppression.address_key, Suppression.reason, Suppression.detail).where(
            Suppression.address_key.in_(set(address_keys)),
            Suppression.reason == SuppressionReason.HARD_BOUNCE,
            or_(Suppression.until.is_(None), Suppression.until > now),
            tried,
        )
    )
    return {address_key: (reason, detail) for address_key, reason, detail in rows}


def suppresses(topic: str | ColumnElement[str], now: datetime) -> ColumnElement[bool]:
    """The condition under which a suppression stops mails of this topic."""
    return and_(
        or_(Suppression.scope == EVERY_TOPIC, Suppression.scope == topic),
        or_(Suppression.until.is_(None), Suppression.until > now),
    )


def left_lists(address: str) -> frozenset[str]:
    """The topics this address was unsubscribed from by whoever reads it; `EVERY_TOPIC` may be among them."""
    return frozenset(
        db.session.scalars(
            select(Suppression.scope).where(
                Suppression.address_key == text_key(address), Suppression.reason == SuppressionReason.UNSUBSCRIBED
            )
        )
    )


def unwanted_by(person_ids: Collection[int], topic: str) -> frozenset[int]:
    """Those of the people who have said that they do not want mails of this topic. One query."""
    return frozenset(
        db.session.scalars(
            select(Preference.person_id).where(
                Preference.person_id.in_(set(person_ids)),
                Preference.topic == topic,
                Preference.channel == "mail",
                Preference.wanted.is_(False),
            )
        )
    )


@dataclass(frozen=True)
class Home:
    """Where the links of a company's mails lead, under which brand, and how its people reach a human there."""

    company: str
    base_url: str | None
    brand: str | None
    domain_id: int | None
    support: Channels


def homes_of(company_ids: Collection[int]) -> dict[int, Home]:
    """Name and home portal of each of the companies. One query."""
    rows = db.session.execute(
        select(
            Company.id,
            Company.name,
            PortalDomain.base_url,
            PortalDomain.brand,
            PortalDomain.id,
            PortalDomain.support_email,
            PortalDomain.support_phone,
            PortalDomain.support_hours,
            PortalDomain.help_url,
        )
        .outerjoin(Admission, and_(Admission.company_id == Company.id, Admission.is_home))
        .outerjoin(PortalDomain, PortalDomain.id == Admission.domain_id)
        .where(Company.id.in_(set(company_ids)))
    )
    return {
        company_id: Home(name, base_url, brand, domain_id, Channels(*channels))
        for company_id, name, base_url, brand, domain_id, *channels in rows
    }


# How far it is.


def progress(broadcast: Broadcast, now: datetime) -> Progress:
    """The figures of one broadcast, counted from its deliveries. Three small queries, however many there are."""
    return progress_of_many([broadcast], now)[broadcast.id]


def progress_of_many(broadcasts: Sequence[Broadcast], now: datetime) -> dict[int, Progress]:
    """The figures of several broadcasts at once, for lists. Four queries."""
    ids = [broadcast.id for broadcast in broadcasts]
    mine = Delivery.broadcast_id.in_(ids)
    states: dict[int, dict[DeliveryState, int]] = {each: {} for each in ids}
    for broadcast_id, state, count in db.session.execute(
        select(Delivery.broadcast_id, Delivery.state, func.count())
        .where(mine)
        .group_by(Delivery.broadcast_id, Delivery.state)
    ):
        states[broadcast_id][state] = count
    for each in broadcasts:
        # Retention takes the rows and leaves their number, so that what was sent is still told.
        if each.counted is not None:
            states[each.id] = {DeliveryState(state): count for state, count in each.counted.items()}
    retrying = _counts(select(Delivery.broadcast_id, func.count()).where(mine, IS_RETRYING))
    sent = _counts(
        select(Delivery.broadcast_id, func.count()).where(
            mine, Delivery.state == DeliveryState.SENT, Delivery.finished_at > now - PACE_WINDOW
        )
    )
    twice = _counts(select(Delivery.broadcast_id, func.count()).where(mine, POSSIBLY_TWICE))
    return {
        each.id: replace(
            progress_of(
                states[each.id],
                retrying.get(each.id, 0),
                sent.get(each.id, 0),
                (now - (each.resumed_at or each.created_at)).total_seconds(),
            ),
            twice=twice.get(each.id, 0),
        )
        for each in broadcasts
    }


def _counts(statement: Select[int, int]) -> Mapping[int, int]:
    rows = db.session.execute(statement.group_by(Delivery.broadcast_id))
    return dict(rows.all())


# Lists.


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a list, `page` of `pages` (from 1), of `total` items in all."""

    items: Sequence[Item]
    page: int
    pages: int
    total: int


def _page(statement: Select[*tuple[Any, ...]], page: int) -> Page[Any]:
    """The page of this number; NotFound beyond the last: what is not there must not look empty."""
    total = db.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    pages = max(1, -(-total // PAGE_SIZE))
    if not 1 <= page <= pages:
        raise NotFound
    items = db.session.scalars(statement.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)).all()
    return Page(items, page, pages, total)


def broadcasts(page: int, *, open_only: bool = False, text: str = "") -> Page[Broadcast]:
    """Broadcasts, newest first; the big columns stay unread. Letters about somebody's account are none of them."""
    statement = (
        select(Broadcast)
        .where(Broadcast.topic != ACCOUNT_TOPIC)
        .options(defer(Broadcast.content), defer(Broadcast.selector))
        .order_by(Broadcast.created_at.desc(), Broadcast.id.desc())
    )
    if open_only:
        statement = statement.where(Broadcast.state.in_((*ACTIVE, BroadcastState.PAUSED)))
    if text.strip():
        statement = statement.where(Broadcast.title.icontains(text.strip(), autoescape=True))
    return _page(statement, page)


def broadcast_for_staff(broadcast_id: int, *, to_steer: bool = False) -> Broadcast | None:
    """One broadcast; with `to_steer` locked, so that the worker does not change it under the hand that steers it."""
    return db.session.get(Broadcast, broadcast_id, with_for_update=to_steer)


POSSIBLY_TWICE = and_(Delivery.state == DeliveryState.SENT, Delivery.in_doubt > literal_column("0"))
"""What was offered once more because the answer to the first was never heard. Few, and an index holds no others."""


class Shown(StrEnum):
    """What of a ledger is shown: states as people speak of them."""

    ALL = "all"
    WAITING = "waiting"
    RETRYING = "retrying"
    SENT = "sent"
    FAILED = "failed"
    LEFT_OUT = "left_out"
    DOUBTFUL = "doubtful"
    TWICE = "twice"


_SHOWN_STATES = {
    Shown.WAITING: OPEN_STATES,
    Shown.RETRYING: (DeliveryState.PENDING,),
    Shown.SENT: (DeliveryState.SENT,),
    Shown.FAILED: (DeliveryState.FAILED,),
    Shown.LEFT_OUT: (DeliveryState.SUPPRESSED, DeliveryState.CANCELLED, DeliveryState.EXPIRED),
    Shown.DOUBTFUL: (DeliveryState.UNKNOWN,),
    Shown.TWICE: (DeliveryState.SENT,),
}


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: a delivery, its company's name, and the attempts that were not a success."""

    delivery: Delivery
    company: str | None
    attempts: Sequence[DeliveryAttempt]

    @property
    def look(self) -> str:
        """The state to show: a pending delivery that was tried before is retrying."""
        delivery = self.delivery
        if delivery.state is DeliveryState.FAILED and self.attempts and self.attempts[-1].worker == BY_REPORT:
            return "bounced"
        return "retrying" if delivery.state is DeliveryState.PENDING and delivery.attempts else delivery.state.value


def ledger(broadcast_id: int, page: int, *, shown: Shown = Shown.ALL, text: str = "") -> Page[Entry]:
    """The recipients of a broadcast, 50 a page, found by address, name or company. Four queries."""
    statement = select(Delivery).where(Delivery.broadcast_id == broadcast_id)
    if shown is not Shown.ALL:
        statement = statement.where(Delivery.state.in_(_SHOWN_STATES[shown]))
    if shown is Shown.RETRYING:
        statement = statement.where(Delivery.attempts > 0)
    if shown is Shown.TWICE:
        statement = statement.where(POSSIBLY_TWICE)
    if shown is Shown.WAITING:
        statement = statement.where(or_(Delivery.state != DeliveryState.PENDING, Delivery.attempts == 0))
    if wanted := text_key(text):
        company = select(Company.id).where(Company.name_key.contains(wanted, autoescape=True))
        statement = statement.where(
            or_(
                Delivery.address_key.contains(wanted, autoescape=True),
                Delivery.name.icontains(text.strip(), autoescape=True),
                Delivery.company_id.in_(company),
            )
        )
    found: Page[Delivery] = _page(statement.options(defer(Delivery.values)).order_by(Delivery.id), page)
    companies = homes_of({each.company_id for each in found.items if each.company_id})
    attempts: dict[int, list[DeliveryAttempt]] = {}
    for attempt in db.session.scalars(
        select(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id.in_([each.id for each in found.items]))
        .order_by(DeliveryAttempt.delivery_id, DeliveryAttempt.number)
    ):
        attempts.setdefault(attempt.delivery_id, []).append(attempt)
    entries = [
        Entry(
            each,
            companies[each.company_id].company if each.company_id in companies else None,
            attempts.get(each.id, ()),
        )
        for each in found.items
    ]
    return Page(entries, found.page, found.pages, found.total)


def relays_in_trouble() -> Sequence[Relay]:
    """The relays that are paused or broken, for the people who can mend them."""
    in_use = (Relay.switched_off_at.is_(None), Relay.removed_at.is_(None))
    return db.session.scalars(select(Relay).where(Relay.state != RelayState.UP, *in_use).order_by(Relay.position)).all()


def due_expansions(now: datetime) -> Sequence[int]:
    """The broadcasts whose recipients are not all written down yet, the most urgent first."""
    return db.session.scalars(
        select(Broadcast.id)
        .where(Broadcast.state == BroadcastState.EXPANDING, Broadcast.expires_at > now)
        .order_by(Broadcast.priority, Broadcast.id)
        .limit(100)
    ).all()


# What reached one address.


ADDRESS_DELIVERIES = 25
"""Deliveries a person's page names; beyond them it gives their number."""


class AddressHistory(NamedTuple):
    """What was sent to one address: the newest deliveries with their broadcasts, and how many of each state."""

    newest: Sequence[Delivery]
    counts: Mapping[DeliveryState, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def history_of_address(email: str, since: datetime) -> AddressHistory:
    """Mails to this address that were written down since then, newest first. Two queries."""
    mine = (Delivery.address_key == text_key(email), Delivery.created_at >= since)
    counts = db.session.execute(select(Delivery.state, func.count()).where(*mine).group_by(Delivery.state))
    newest = db.session.scalars(
        select(Delivery)
        .join(Delivery.broadcast)
        .options(
            contains_eager(Delivery.broadcast).load_only(Broadcast.id, Broadcast.title, Broadcast.topic, raiseload=True)
        )
        .where(*mine)
        .order_by(Delivery.id.desc())
        .limit(ADDRESS_DELIVERIES)
    )
    return AddressHistory(newest.all(), dict(counts.all()))


def suppressions_of(email: str, now: datetime) -> Sequence[Suppression]:
    """Everything that keeps mails from this address now, oldest first. One query."""
    return db.session.scalars(
        select(Suppression)
        .where(Suppression.address_key == text_key(email), or_(Suppression.until.is_(None), Suppression.until > now))
        .order_by(Suppression.id)
    ).all()


def suppression_of(email: str, suppression_id: int) -> Suppression | None:
    """This suppression, if it is of this address."""
    return db.session.scalars(
        select(Suppression).where(Suppression.id == suppression_id, Suppression.address_key == text_key(email))
    ).one_or_none()
