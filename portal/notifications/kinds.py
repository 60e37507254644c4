"""The kinds of broadcast: who hears of it, about what, and for how long it is worth sending.

A lower capability must not know an upper one, so the upper one registers its kinds here when it is loaded
(`incidents/mails.py` registers "incident"); actions, and the rows, only name the kind.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

Cursor = dict[str, Any]
"""Where an expansion goes on. JSON; only the kind that made it reads it."""

Content = dict[str, dict[str, str]]
"""The wordings of a broadcast by language: {"en": {"subject": …, "text": …, "html": …}, "de": …}.

Where a portal domain has words of its own for what the mail tells, there is a further one for those at home there, by
language and domain: "de.12" (see `wording_key`).
`{{name}}` in them is filled per recipient; a name the kind does not know stays as it was typed.
"""

BUILT_IN = frozenset({"name", "address", "company", "brand", "portal_url", "unsubscribe_url", "support"})
"""Variables every wording may use: the recipient's name, address and company, their home portal's brand and URL, and
one sentence on how to reach a human there, empty where no channel is named."""


def wording_key(language: str, domain_id: int) -> str:
    """The key of a wording for the people at home on one portal domain."""
    return f"{language}.{domain_id}"


def language_of(key: str) -> str:
    """The language of a wording by its key."""
    return key.partition(".")[0]


@dataclass(frozen=True)
class Recipient:
    """One address a broadcast goes to, with everything of the wording that is theirs.

    `company_ids` are the companies the mail reaches this person through, the first being the one whose home
    portal the links lead to. `values` fill the variables of the kind, as plain text (a line break becomes `<br>` in
    the HTML part). A lower `priority` is sent sooner: 0 for those who are affected. Without `is_wanted` they have
    muted everything this is about: they get no mail, and a line in the ledger that says why.
    """

    person_id: int | None
    company_ids: tuple[int, ...]
    address: str
    name: str
    language: str
    values: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    is_wanted: bool = True


class Recipients(Protocol):
    """Expands a frozen selector, at most `limit` recipients from `after` on, affected ones first.

    Returns them with the cursor to go on from, None when these were the last. Called again with the same
    cursor it may return the same recipients: every address gets one delivery of a broadcast whatever happens.
    """

    def __call__(
        self, selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
    ) -> tuple[Sequence[Recipient], Cursor | None]: ...


@dataclass(frozen=True)
class Listener:
    """A channel beside mail that may be told: whose it is, and in which language and zone it is spoken to."""

    id: int
    company_ids: tuple[int, ...]
    language: str
    time_zone: str


@dataclass(frozen=True)
class Told:
    """What one channel is told. `values` fill the wordings, `path` is where the link leads on the company's portal.

    `event` and `data` are the type and the content of a webhook: JSON, and nothing its company may not see. `about`
    are the opaque topics it touches for this company, finer than that of the kind ("service:12").
    """

    company_ids: tuple[int, ...]
    values: Mapping[str, str]
    path: str
    event: str
    data: Mapping[str, Any]
    about: frozenset[str] = frozenset()
    priority: int = 0


class Tell(Protocol):
    """Which of these channels a broadcast is for, and what each is told; those it is not for are left out."""

    def __call__(
        self, selector: dict[str, Any], listeners: Sequence[Listener], now: datetime
    ) -> Mapping[int, Told]: ...


GoesBeyond = Callable[[dict[str, Any], int, datetime], bool]
"""Whether a selector has certainly more recipients than so many."""

LateValues = Callable[[Mapping[str, str], datetime], Mapping[str, str]]
"""Makes the values that stand in no row of the stored ones, when a mail is composed (the moment is the second
argument). ValueError says why it must not go."""

MutedBy = Callable[[dict[str, Any], Collection[tuple[int, tuple[int, ...]]], datetime], frozenset[int]]
"""Those of some people (by id, each with the companies a mail reaches them through) who have muted everything that the
selector is about."""

ACCOUNT_TOPIC = "account"
"""The topic of mails one needs to get in at all. They are no list: nobody leaves it, none of them says how to."""


def everyone_allowed(company_ids: Collection[int]) -> frozenset[int]:
    """The area check of a notice sent by hand: it reaches whom it names."""
    return frozenset(company_ids)


@dataclass(frozen=True)
class Kind:
    """One kind of broadcast.

    `topic` is what its mails are unsubscribed from, and their List-Id; `label` is its name for people (lazily
    translated). `allowed` returns those of the companies that may be mailed now, because the area this is about
    is open for them; it is asked when recipients are written down and again before their mails are sent.
    `variables` are the names its wordings use beside the built-in ones. `priority` is lower for sooner;
    a recipient's own is added to it. `repeat_in_doubt` says whether a mail whose answer was never heard
    is sent once more, with the same Message-ID. `late_values` makes what may stand in no row, such as a link that
    signs somebody in. `goes_beyond` tells, where that is cheaper than to read so many recipients, that there are more.
    `muted_by` asks once more, of those who were written down, who has muted all of it since; a kind
    that nothing narrows needs none. `tell` says which channels beside mail hear of it too, those of companies and
    people or, with `is_for_staff`, those of the staff; without it there are none. The wordings of such a kind also have
    a "brief" for a text message and a "post" for a room, both plain.
    """

    name: str
    topic: str
    label: Any
    recipients: Recipients
    allowed: Callable[[Collection[int]], frozenset[int]] = everyone_allowed
    variables: frozenset[str] = frozenset()
    expires_after: timedelta = timedelta(hours=72)
    priority: int = 50
    repeat_in_doubt: bool = True
    late_values: LateValues | None = None
    goes_beyond: GoesBeyond | None = None
    muted_by: MutedBy | None = None
    tell: Tell | None = None
    is_for_staff: bool = False

    @property
    def is_list(self) -> bool:
        """Whether these mails are a list that can be left."""
        return self.topic != ACCOUNT_TOPIC and not self.is_for_staff


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Make a kind known under its name; registering it again replaces it."""
    _kinds[kind.name] = kind
    return kind


def kind_named(name: str) -> Kind:
    """The registered kind of this name; KeyError says that the capability it belongs to was not loaded."""
    return _kinds[name]


def registered() -> list[Kind]:
    """Every kind there is, in the order of registration."""
    return list(_kinds.values())


def listed() -> list[Kind]:
    """The kinds whose mails are lists that can be left, one for each topic, in the order of registration."""
    return list({kind.topic: kind for kind in _kinds.values() if kind.is_list}.values())


def told_beside_mail() -> dict[str, Any]:
    """Every topic that channels beside mail may hear of, with its label, in the order of registration."""
    told = {kind.topic for kind in _kinds.values() if kind.tell is not None}
    return {topic: label for topic, label in topics().items() if topic in told}


def topics() -> dict[str, Any]:
    """Every topic there is to unsubscribe from, with its label, in the order of registration."""
    return {kind.topic: kind.label for kind in listed()}
