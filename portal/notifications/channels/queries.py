"""Reading channels: lists, one of them, what it was last told, and whether it can be reached at all."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, case, exists, func, select
from sqlalchemy.orm import contains_eager

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import text_key
from portal.config import Settings
from portal.errors import NotFound
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.notifications.channels.gateway import NO_GATEWAY
from portal.notifications.channels.rules import ChannelKind, ChannelState, Owner
from portal.notifications.models import IS_SOMEBODYS, Broadcast, ContactChannel, Delivery
from portal.notifications.queries import PAGE_SIZE, Page
from portal.notifications.rules import DeliveryState

MESSAGES_SHOWN = 20
"""Messages the page of a channel names."""


def why_unreachable(channel: ContactChannel, settings: Settings) -> str | None:
    """Why nothing can be sent to a channel now, as a sentence; None where it can."""
    if channel.kind is ChannelKind.SMS and not settings.sms_url:
        return NO_GATEWAY
    if channel.state is ChannelState.DISABLED:
        return f"The channel is disabled. {channel.reason or ''}".strip()
    return None


_ACTS_FOR_SOMEBODY = (
    exists()
    .where(
        Membership.person_id == ContactChannel.person_id,
        Company.id == Membership.company_id,
        Company.archived_at.is_(None),
    )
    .correlate(ContactChannel)
)

_OWNERS_TROUBLE: tuple[tuple[ColumnElement[bool], str], ...] = (
    (
        exists().where(Company.id == ContactChannel.company_id, Company.archived_at.is_not(None)),
        "Its company is archived, so it is told nothing any more.",
    ),
    (
        exists().where(Person.id == ContactChannel.person_id, Person.deactivated_at.is_not(None)),
        "Its person is deactivated, so they are told nothing any more.",
    ),
    (
        and_(ContactChannel.person_id.is_not(None), ~_ACTS_FOR_SOMEBODY),
        "Its person acts for no company, so there is nothing to tell them of.",
    ),
)
"""What of the owner keeps a channel silent, however well it works; the same that `actions.add_channel` refuses."""


def unreachable_among(channels: Collection[ContactChannel], settings: Settings) -> dict[int, str]:
    """Why nothing is told on those of these channels on which nothing is, by id. One query."""
    trouble = case(*((condition, sentence) for condition, sentence in _OWNERS_TROUBLE), else_=None)
    ids = [each.id for each in channels]
    rows = db.session.execute(select(ContactChannel.id, trouble).where(ContactChannel.id.in_(ids)))
    found: dict[int, str | None] = dict(rows.all())
    why = {each.id: why_unreachable(each, settings) or found.get(each.id) for each in channels}
    return {channel_id: sentence for channel_id, sentence in why.items() if sentence}


class ChannelLine(NamedTuple):
    """A channel as lists show it: whose it is, by name (None: the staff's), and why it cannot be reached, if so."""

    channel: ContactChannel
    owner: str | None
    unreachable: str | None


@dataclass(frozen=True)
class Counts:
    """How many channels there are of each state."""

    working: int = 0
    failing: int = 0
    disabled: int = 0

    @property
    def total(self) -> int:
        return self.working + self.failing + self.disabled


def channels_page(
    page: int, settings: Settings, *, text: str = "", state: ChannelState | None = None
) -> Page[ChannelLine]:
    """Channels, those in trouble first, found by label, owner or mask; NotFound beyond the last page. Three queries."""
    statement = (
        select(ContactChannel, func.coalesce(Company.name, Person.name).label("owner"))
        .outerjoin(Company, Company.id == ContactChannel.company_id)
        .outerjoin(Person, Person.id == ContactChannel.person_id)
        .where(IS_SOMEBODYS)
    )
    if state is not None:
        statement = statement.where(ContactChannel.state == state)
    if wanted := text.strip():
        statement = statement.where(
            ContactChannel.label.icontains(wanted, autoescape=True)
            | ContactChannel.hint.icontains(wanted, autoescape=True)
            | Company.name_key.contains(text_key(wanted), autoescape=True)
            | Person.name_key.contains(text_key(wanted), autoescape=True)
        )
    total = db.session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    pages = max(1, -(-total // PAGE_SIZE))
    if not 1 <= page <= pages:
        raise NotFound
    rows = db.session.execute(
        statement.order_by(
            ContactChannel.state == ChannelState.WORKING,
            ContactChannel.company_id.is_not(None),
            "owner",
            ContactChannel.label,
            ContactChannel.id,
        )
        .limit(PAGE_SIZE)
        .offset((page - 1) * PAGE_SIZE)
    )
    found = rows.all()
    why = unreachable_among([channel for channel, _owner in found], settings)
    lines = [ChannelLine(channel, owner, why.get(channel.id)) for channel, owner in found]
    return Page(lines, page, pages, total)


WEBHOOK_ORDERS = {"id": Order((ContactChannel.id,)), "-id": Order((ContactChannel.id,), is_descending=True)}


def webhooks(
    wanted: Wanted,
    *,
    company_id: int | None = None,
    person_id: int | None = None,
    owner: Owner | None = None,
    state: ChannelState | None = None,
) -> Piece[ContactChannel]:
    """The webhooks among the channels, a piece at a time, narrowed by what is not None. One query."""
    statement = select(ContactChannel).where(ContactChannel.kind == ChannelKind.WEBHOOK, IS_SOMEBODYS)
    if company_id is not None:
        statement = statement.where(ContactChannel.company_id == company_id)
    if person_id is not None:
        statement = statement.where(ContactChannel.person_id == person_id)
    if owner is not None:
        has_company, has_person = ContactChannel.company_id.is_not(None), ContactChannel.person_id.is_not(None)
        of_owner = {Owner.COMPANY: has_company, Owner.PERSON: has_person, Owner.STAFF: ~(has_company | has_person)}
        statement = statement.where(of_owner[owner])
    if state is not None:
        statement = statement.where(ContactChannel.state == state)
    return piece_of(statement, wanted)


def counts() -> Counts:
    """How the channels are that are somebody's. One query."""
    states = select(ContactChannel.state, func.count()).where(IS_SOMEBODYS)
    found = dict(db.session.execute(states.group_by(ContactChannel.state)).all())
    return Counts(*(found.get(state, 0) for state in ChannelState))


def channel_by_id(channel_id: int, *, to_change: bool = False) -> ContactChannel | None:
    """One channel; with `to_change` locked, so that the lane does not move it meanwhile. Those of subscribers and
    those that are dialled are none of them: they come and go by themselves."""
    found = db.session.get(ContactChannel, channel_id, with_for_update=to_change)
    return found if found is None or (found.subscriber_id is None and not found.is_dialled) else None


def channels_of(
    settings: Settings, *, company_id: int | None = None, person_id: int | None = None
) -> Sequence[ChannelLine]:
    """The channels of one company, of one person or, with neither, of the staff, by label. Two queries."""
    found = db.session.scalars(
        select(ContactChannel)
        .where(
            ContactChannel.company_id == company_id,
            ContactChannel.person_id == person_id,
            IS_SOMEBODYS,
        )
        .order_by(ContactChannel.label, ContactChannel.id)
    ).all()
    why = unreachable_among(found, settings) if found else {}
    return [ChannelLine(each, None, why.get(each.id)) for each in found]


def owner_of(channel: ContactChannel) -> Owner:
    """Whose it is."""
    if channel.company_id is not None:
        return Owner.COMPANY
    return Owner.PERSON if channel.person_id is not None else Owner.STAFF


def owner_name(channel: ContactChannel) -> str | None:
    """The name of its company or person; None for the staff's. One query at most."""
    if channel.company_id is not None:
        return db.session.scalar(select(Company.name).where(Company.id == channel.company_id))
    if channel.person_id is not None:
        return db.session.scalar(select(Person.name).where(Person.id == channel.person_id))
    return None


def messages_of(channel_id: int) -> Sequence[Delivery]:
    """What a channel was last told, newest first, with the broadcasts. One query."""
    return db.session.scalars(
        select(Delivery)
        .join(Delivery.broadcast)
        .options(
            contains_eager(Delivery.broadcast).load_only(Broadcast.id, Broadcast.title, Broadcast.topic, raiseload=True)
        )
        .where(Delivery.contact_channel_id == channel_id)
        .order_by(Delivery.id.desc())
        .limit(MESSAGES_SHOWN)
    ).all()


def waiting_for(channel_id: int) -> int:
    """How many messages wait for a channel. One query."""
    return (
        db.session.scalar(
            select(func.count()).where(
                Delivery.contact_channel_id == channel_id, Delivery.state == DeliveryState.PENDING
            )
        )
        or 0
    )


def oldest_due(now: datetime) -> datetime | None:
    """When the oldest message that waits for a channel was written down; None when none waits. One query."""
    return db.session.scalar(
        select(func.min(Delivery.created_at)).where(
            Delivery.contact_channel_id.is_not(None),
            Delivery.state == DeliveryState.PENDING,
            Delivery.next_attempt_at <= now,
        )
    )


def labels_of(channel_ids: Collection[int]) -> Mapping[int, str]:
    """The labels of these channels. One query."""
    rows = select(ContactChannel.id, ContactChannel.label).where(ContactChannel.id.in_(channel_ids))
    return dict(db.session.execute(rows).all())
