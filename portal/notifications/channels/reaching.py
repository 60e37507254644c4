"""Which channels something would be told to before it is sent, which not, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, String, and_, cast, func, or_, select

from portal.accounts.models import Company, Membership, Person
from portal.config import Settings
from portal.extensions import db
from portal.notifications.channels.queries import why_unreachable
from portal.notifications.channels.rules import ChannelKind, ChannelState
from portal.notifications.models import ContactChannel

NAMED_AT_MOST = 20


class Unreached(NamedTuple):
    """A channel that would be told and cannot be: its name, whose it is, and why."""

    id: int
    label: str
    owner: str
    why: str


@dataclass(frozen=True)
class ChannelReach:
    """The channels of some companies and their people: so many of each kind are told, and so many that hear of this
    cannot be reached, of whom the first are `named`. `deaf` ones work and do not hear of this."""

    told: Mapping[ChannelKind, int] = field(default_factory=dict)
    unreached: int = 0
    named: Sequence[Unreached] = ()
    deaf: int = 0

    @property
    def total(self) -> int:
        return sum(self.told.values())


def channels_reached(companies: Select[int], topic: str, settings: Settings) -> ChannelReach:
    """The channels of these companies, and of the people who act for one of them, by what becomes of this topic.

    What narrows a channel to some services is not looked at: use it for what is not about any. Two queries.
    """
    of_theirs = or_(
        ContactChannel.company_id.in_(companies),
        ContactChannel.person_id.in_(
            select(Membership.person_id)
            .join(Person, Person.id == Membership.person_id)
            .where(Membership.company_id.in_(companies), Person.deactivated_at.is_(None))
        ),
    )
    # The list is stored as JSON on both engines; no key has a quotation mark in it.
    hears = cast(ContactChannel.topics, String).contains(f'"{topic}"', autoescape=True)
    is_lost = _is_lost(settings)
    told: dict[ChannelKind, int] = {}
    unreached = deaf = 0
    counted = select(ContactChannel.kind, hears.label("hears"), is_lost.label("lost"), func.count()).where(of_theirs)
    for kind, does_hear, cannot, count in db.session.execute(counted.group_by(ContactChannel.kind, "hears", "lost")):
        if not does_hear:
            deaf += count
        elif cannot:
            unreached += count
        else:
            told[kind] = count
    in_order = {kind: told[kind] for kind in ChannelKind if kind in told}
    named = _named(and_(of_theirs, hears, is_lost), settings) if unreached else ()
    return ChannelReach(in_order, unreached, named, deaf)


def _is_lost(settings: Settings) -> ColumnElement[bool]:
    """The condition that `queries.why_unreachable` has something to say."""
    is_given_up = ContactChannel.state == ChannelState.DISABLED
    return is_given_up if settings.sms_url else or_(is_given_up, ContactChannel.kind == ChannelKind.SMS)


def _named(condition: ColumnElement[bool], settings: Settings) -> Sequence[Unreached]:
    rows = db.session.execute(
        select(ContactChannel, func.coalesce(Company.name, Person.name).label("owner"))
        .outerjoin(Company, Company.id == ContactChannel.company_id)
        .outerjoin(Person, Person.id == ContactChannel.person_id)
        .where(condition)
        .order_by("owner", ContactChannel.label, ContactChannel.id)
        .limit(NAMED_AT_MOST)
    )
    return tuple(
        Unreached(channel.id, channel.label, owner or "", why_unreachable(channel, settings) or "")
        for channel, owner in rows
    )
