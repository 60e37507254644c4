"""Notices written by hand, pure: to whom, in which words with which variables, and when one may start.

What staff type is never a template language: `{{name}}` is replaced by plain substitution, and everything else that
looks like a template is refused as it is saved, so that nobody finds it in their mail.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from portal.notifications.templates.placeholders import Kept
from portal.notifications.templates.placeholders import check_links as check_targets
from portal.notifications.templates.placeholders import check_placeholders as check_known


class NoticeState(StrEnum):
    """DRAFT until it is sent or scheduled; a scheduled one that could not start is a draft again."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENT = "sent"


TOPIC = "notices"
"""The list a notice goes to: who has left it gets none, whoever names them."""

FIRST = "en"
"""The language every notice is written in; who reads another gets it where there is none in theirs."""

# To whom.

CHOSEN_AT_MOST = 500
"""Companies, services, components and portal domains one notice may name, each. Beyond it one chooses a service, a
portal domain or everyone."""


@dataclass(frozen=True)
class Chosen:
    """To whom a notice goes: the people of every company that any of these names. Ids, ascending.

    `services` stands for the companies that hold one of them, `components` for those that depend on one, directly or
    through a service, `domains` for those at home there. `everyone` is every company, whatever else is named.
    """

    everyone: bool = False
    companies: tuple[int, ...] = ()
    services: tuple[int, ...] = ()
    components: tuple[int, ...] = ()
    domains: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        everyone: bool = False,
        companies: Iterable[int] = (),
        services: Iterable[int] = (),
        components: Iterable[int] = (),
        domains: Iterable[int] = (),
    ) -> "Chosen":
        """From ids in any order, each as often as it likes."""
        named = (tuple(sorted(set(each))) for each in (companies, services, components, domains))
        return cls(everyone, *named)

    @classmethod
    def by_kind(cls, ids: Mapping[str, Iterable[int]]) -> "Chosen":
        """From ids by what they are of: `NAMED`."""
        return cls(False, *(tuple(sorted(set(ids.get(kind, ())))) for kind in NAMED))

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Chosen":
        """As it was stored by `stored`."""
        return cls(stored["everyone"], *(tuple(stored[name]) for name in NAMED))

    def stored(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"everyone": self.everyone, **{name: list(getattr(self, name)) for name in NAMED}}

    @property
    def is_nobody(self) -> bool:
        """Whether nothing is chosen yet."""
        return not any(asdict(self).values())


NAMED = ("companies", "services", "components", "domains")
"""What a choice names, beside everyone."""


class Unreached(StrEnum):
    """Why a person of a chosen company gets no mail, the reason that outweighs the others first."""

    DEACTIVATED = "deactivated"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    BY_HAND = "by_hand"
    UNSUBSCRIBED = "unsubscribed"
    COMPANY_LEFT = "company_left"


# In which words.

SUBJECT_LENGTH = 200
BODY_LENGTH = 20_000

VARIABLES: Mapping[str, str] = {
    "name": "the reader’s name",
    "address": "the reader’s e-mail address",
    "company": "the reader’s company, or all of theirs that this is about",
    "services": "what they hold of the services you chose, else all they hold, with their references",
    "brand": "the brand of the reader’s portal",
    "portal_url": "the address of the reader’s portal",
    "support": "one sentence on how to reach you, as the portal has it",
    "unsubscribe_url": "the reader’s own way off the list; it stands under every notice anyway",
}
"""Everything that may stand in double braces, and what it becomes."""

LINKABLE = frozenset({"portal_url", "unsubscribe_url"})
"""The variables a link may lead to. Any other would let somebody’s name choose where it leads."""


def check_placeholders(text: str) -> None:
    """WordingError unless everything in double braces is a variable there is, and nothing looks like a template.

    Linear in the length of the text.
    """
    check_known(text, VARIABLES)


def check_links(html: str, kept: Kept) -> None:
    """WordingError when a link of this (made of a kept text) leads where a variable says that is no address of ours."""
    check_targets(html, kept, LINKABLE)


# When.

MINUTES_AHEAD = timedelta(minutes=1)
LATEST_START = timedelta(days=366)
TOO_LATE = timedelta(hours=24)
"""How late a scheduled notice may still start by itself. After that what it says may be wrong, and staff decide."""

LATE_FROM = timedelta(minutes=5)
"""From when on a notice is called late: what a timetable needs is not."""


def schedule_refusal(due_at: datetime, now: datetime) -> str | None:
    """Why a notice cannot be scheduled for this moment; None when it can."""
    if due_at < now + MINUTES_AHEAD:
        return "That has passed, or is about to. Choose a later time, or send it now."
    if due_at > now + LATEST_START:
        return "That is more than a year away."
    return None


def is_too_late(due_at: datetime, now: datetime) -> bool:
    """Whether a notice that was due then must not start by itself any more."""
    return now - due_at > TOO_LATE


def lateness(due_at: datetime | None, sent_at: datetime | None) -> timedelta | None:
    """How much later than due it started; None when it was on time, or not scheduled."""
    if due_at is None or sent_at is None or sent_at - due_at < LATE_FROM:
        return None
    return sent_at - due_at


# Trying it out.

TEST = "notice_test"
"""The kind of mail a notice is tried out with."""

TESTS_PER_HOUR = 5
"""Test mails one member of staff may have sent to themselves within an hour."""

TEST_PREFIX = "[Test] "


def named_in_words(names: Sequence[str], at_most: int) -> str:
    """Some of the names, with how many more there are."""
    shown = ", ".join(names[:at_most])
    more = len(names) - at_most
    return f"{shown} +{more}" if more > 0 else shown
