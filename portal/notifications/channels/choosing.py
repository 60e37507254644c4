"""What a channel can hear of: the kinds that go beside mail, and the services and components that narrow them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from portal.errors import RuleViolation
from portal.notifications.choosing import COMPANIES_AT_MOST, live_companies_of
from portal.notifications.kinds import told_beside_mail, topics
from portal.notifications.models import ContactChannel
from portal.notifications.topics import Group, Topic, names_of, topics_of_company

ALARMS = "alarms"
"""The topic staff channels hear: what goes wrong here."""


@dataclass(frozen=True)
class Offer:
    """What can be chosen for one channel: `kinds` by key, and under headings what narrows them, if anything does."""

    kinds: Mapping[str, Any] = field(default_factory=dict)
    finer: Sequence[Group] = ()

    @property
    def finer_keys(self) -> list[str]:
        """Every key that narrows, in the order of reading."""
        return [topic.key for group in self.finer for topic in group.topics]


def offer_to(company_id: int | None, person_id: int | None, now: datetime) -> Offer:
    """What a channel of this company or person can hear of; those of the staff are asked nothing.

    Of somebody who acts for many companies what the first ten hold. A few queries for each of them.
    """
    if company_id is not None:
        companies = [company_id]
    elif person_id is not None:
        companies = live_companies_of(person_id)[:COMPANIES_AT_MOST]
    else:
        return Offer()
    kinds = told_beside_mail()
    found: dict[str, dict[str, Topic]] = {}
    for each in companies:
        for group in topics_of_company(each, now):
            there = found.setdefault(group.label, {})
            there.update({topic.key: Topic(topic.key, topic.label) for topic in _below_kinds(group.topics)})
    finer = [Group(label, tuple(theirs.values())) for label, theirs in found.items() if theirs]
    return Offer(kinds, finer)


def offer_for(channel: ContactChannel, now: datetime) -> Offer:
    """The same for a channel that is there; what it hears of and its owner no longer has stands last."""
    offer = offer_to(channel.company_id, channel.person_id, now)
    gone = [key for key in channel.topics if key not in offer.kinds and key not in offer.finer_keys and key != ALARMS]
    if not gone:
        return offer
    names = names_of(gone)
    return Offer(offer.kinds, [*offer.finer, Group("No longer theirs", tuple(Topic(key, names[key]) for key in gone))])


def chosen_topics(
    chosen: Collection[str],
    *,
    company_id: int | None,
    person_id: int | None,
    now: datetime,
    kept: Collection[str] = (),
) -> list[str]:
    """The topics a channel is to hear of, as stored; RuleViolation where nothing, or something unknown, is chosen.

    It hears of the kinds that are named, and where any service or component is named too, of what touches one of them.
    `kept` is what it hears of today: that may stay though its owner has given it up.
    """
    if company_id is None and person_id is None:
        return [ALARMS]
    kinds = [each for each in told_beside_mail() if each in chosen]
    if not kinds:
        raise RuleViolation("Choose what it hears of.", "topics")
    narrowing = [each for each in dict.fromkeys(chosen) if each not in kinds]
    if not narrowing:
        return kinds
    offered = offer_to(company_id, person_id, now).finer_keys
    allowed = {*offered, *kept}
    unknown = [each for each in narrowing if each not in allowed]
    if unknown:
        raise RuleViolation(f"There is no “{unknown[0][:60]}” it could hear of.", "topics")
    return [*kinds, *(each for each in [*offered, *kept] if each in set(narrowing))]


def _below_kinds(found: Iterable[Topic]) -> Iterable[Topic]:
    """Those that are not a kind of mail themselves, those below others too."""
    kinds = topics()
    for topic in found:
        if topic.key not in kinds:
            yield topic
        yield from _below_kinds(topic.below)
