"""Subscribers, pure: states, kinds, what one hears of, and how often somebody may sign up.

Sources: status-pages, sections 1.1 and 4; reliability-security, section 4.5 and its rows on abuse.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple


class SubscriberKind(StrEnum):
    """How a subscriber is told. All but EMAIL have a channel of the same kind."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    SLACK = "slack"
    TEAMS = "teams"


class SubscriberState(StrEnum):
    """Only ACTIVE ones are told anything. UNCONFIRMED has not said yet that the address is theirs; QUARANTINED does not
    take what is sent, or called it spam."""

    UNCONFIRMED = "unconfirmed"
    ACTIVE = "active"
    QUARANTINED = "quarantined"


class SubscriberSource(StrEnum):
    """How it came here: signed up on the public page or by its machine interface, or added or imported by staff."""

    PAGE = "page"
    API = "api"
    STAFF = "staff"
    IMPORT = "import"


class Purpose(StrEnum):
    """What a link is for that was mailed, or posted into a room. MANAGE stands in every mail; a CHANGE was asked for a
    moment ago by whoever reads the mailbox, which is what a shared one needs to be left or changed. FOLLOW confirms the
    address and one conversation, which the link names, and nothing else that was asked for with this address."""

    CONFIRM = "confirm"
    FOLLOW = "follow"
    MANAGE = "manage"
    CHANGE = "change"


LIVES = {
    Purpose.CONFIRM: timedelta(days=2),
    Purpose.FOLLOW: timedelta(days=2),
    Purpose.MANAGE: timedelta(days=30),
    Purpose.CHANGE: timedelta(hours=1),
}
"""For how long a link of each purpose opens something."""

UNCONFIRMED_LIVES = timedelta(days=7)
QUARANTINE_LIVES = timedelta(days=90)

KINDS_ONLY = ":"
"""What marks a topic as finer than that of a kind: "component:12"."""

TOPICS_AT_MOST = 500
"""Topics one subscriber names: more components than that are better meant as all."""

FOLLOWED_AT_MOST = 50
"""Conversations one subscriber follows at the same time: whoever wants more is better told of all."""

HONEYPOT = "website"
"""A field no person sees or fills."""


def kinds_in(topics: Iterable[str]) -> list[str]:
    """The kinds of event among the topics somebody hears of."""
    return [each for each in topics if KINDS_ONLY not in each]


def finer_in(topics: Iterable[str]) -> frozenset[str]:
    """What narrows them: components and services, by key. Nothing means all."""
    return frozenset(each for each in topics if KINDS_ONLY in each)


def hears(topics: Collection[str], kind: str, about: Collection[str]) -> bool:
    """Whether somebody who asked for these topics hears of something of this kind that touches those.

    What touches nothing in particular concerns everything.
    """
    if kind not in topics:
        return False
    finer = finer_in(topics)
    return not finer or not about or not finer.isdisjoint(about)


class Conversation(NamedTuple):
    """One thing that is told of and can be followed by itself: the `thread_key` of its broadcasts, and the topic of
    their kind. Both are opaque here."""

    key: str
    topic: str
