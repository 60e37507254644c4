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
language and domain: "de.12" (see `wording_key`). A kind whose recipients may not all see the same makes variants:
"en-n", "de.12-n". A wording with a "calendar" puts that into the mail as a part of its own, and may leave a place in it
for lines that are the reader's own (`compose.OWN_LINES`). `{{name}}` in the others is filled per recipient; a name
the kind does not know stays as it was typed.
"""

BUILT_IN = frozenset({"name", "address", "company", "brand", "portal_url", "unsubscribe_url", "support"})
"""Variables every wording may use: the recipient's name, address and company, their home portal's brand and URL, and
one sentence on how to reach a human there, empty where no channel is named."""


def wording_key(language: str, domain_id: int | None, variant: str = "") -> str:
    """The key of a wording for the people at home on one portal domain, or (None) for all others."""
    place = language if domain_id is None else f"{language}.{domain_id}"
    return f"{place}-{variant}" if variant else place


def language_of(key: str) -> str:
    """The language of a wording by its key."""
    return key.partition("-")[0].partition(".")[0]


def wording_for(content: Content, language: str, domain_id: int | None, variant: str = "") -> str:
    """The key of the wording somebody gets: that of their home portal where it has its own, else their language's.

    KeyError where the variant is not there: nobody gets another one, which might say what is not for them.
    """
    for spoken in (language, "en"):
        for place in (domain_id, None):
            key = wording_key(spoken, place, variant)
            if key in content:
                return key
    if variant:
        raise KeyError(variant)
    return next(iter(content))


FOR_SUBSCRIBERS = "open"
"""The variant of a wording for those without a login; where a kind makes none they get that for everybody."""


def wording_for_subscriber(content: Content, language: str, domain_id: int | None) -> str:
    """The key of the wording somebody without a login gets: where there is none for them that for everybody."""
    try:
        return wording_for(content, language, domain_id, FOR_SUBSCRIBERS)
    except KeyError:
        return wording_for(content, language, domain_id)


@dataclass(frozen=True)
class Subscription:
    """As whom somebody without a login gets a mail: their row, what their links are made of, where they signed up.

    `follows` is the conversation where that is all they hear of this through: then it is what they leave, and no list.
    """

    subscriber_id: int
    key: str
    domain_id: int
    follows: str = ""


@dataclass(frozen=True)
class Recipient:
    """One address a broadcast goes to, with everything of the wording that is theirs.

    `company_ids` are the companies the mail reaches this person through, the first being the one whose home
    portal the links lead to. `values` fill the variables of the kind, as plain text (a line break becomes `<br>` in
    the HTML part). A lower `priority` is sent sooner: 0 for those who are affected. Without `is_wanted` they have
    muted everything this is about: they get no mail, and a line in the ledger that says why. `variant` is which of
    the kind's own variants of the wordings they may read. `subscription` is there for somebody without a login.
    """

    person_id: int | None
    company_ids: tuple[int, ...]
    address: str
    name: str
    language: str
    values: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    is_wanted: bool = True
    variant: str = ""
    subscription: Subscription | None = None


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
    are the opaque topics it touches for this company, finer than that of the kind ("service:12"). `variant` is as a
    recipient's.
    """

    company_ids: tuple[int, ...]
    values: Mapping[str, str]
    path: str
    event: str
    data: Mapping[str, Any]
    about: frozenset[str] = frozenset()
    priority: int = 0
    variant: str = ""


class Tell(Protocol):
    """Which of these channels a broadcast is for, and what each is told; those it is not for are left out."""

    def __call__(
        self, selector: dict[str, Any], listeners: Sequence[Listener], now: datetime
    ) -> Mapping[int, Told]: ...


@dataclass(frozen=True)
class Dialled:
    """A telephone that something names itself: its number in E.164, the language it is spoken to in, and the whole
    text, its link included. `company_id` is whose portal it is told from, and whose area must be open; None for one of
    the staff."""

    number: str
    language: str
    text: str
    company_id: int | None = None
    person_id: int | None = None


Numbers = Callable[[dict[str, Any], datetime], Sequence[Dialled]]
"""The telephones a selector names itself, each number once. They are few."""


@dataclass(frozen=True)
class Published:
    """What a broadcast tells everybody who asked to hear of such things, whoever they are: nothing but what the public
    page shows somebody signed out.

    `about` are the opaque topics it touches ("component:12"); none means that it concerns everything. With `domain_id`
    it is told on that portal domain alone. `fill` makes the
    values of the kind for a language and a time zone; among them may be "following", a sentence for those alone who
    hear of nothing but this conversation. `path`, `event` and `data` are what a machine is told (`Told`),
    `data_in` the same data in a language, where there are texts in several.
    """

    about: frozenset[str]
    fill: Callable[[str, str], Mapping[str, str]]
    path: str
    event: str
    data: Mapping[str, Any] = field(default_factory=dict)
    domain_id: int | None = None
    data_in: Callable[[str], Mapping[str, Any]] | None = None


Publish = Callable[[dict[str, Any], datetime], Published | None]
"""What of a selector is for everybody; None where it is for some only: affected ones, one company, staff."""


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
    a "brief" for a text message and a "post" for a room, both plain. `published` says what of a selector subscribers
    hear, who come after everybody else; without it they are never told. `numbers` are telephones it names itself,
    beside all channels. With `has_own_lists` each broadcast is of a list of its own ("alert:Xy7…"), which is what is
    left, and not the kind: nobody finds it among what they can choose, since whoever is on such a list was named for
    it. `for_subscribers_alone` says that nobody
    else is: people with a login do not find it among what they can choose, and whoever signs up asks for it expressly.
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
    published: Publish | None = None
    for_subscribers_alone: bool = False
    numbers: Numbers | None = None
    has_own_lists: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Every variable its wordings may use."""
        return BUILT_IN | self.variables | ({"manage_url", "following"} if self.published is not None else frozenset())

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
    """The kinds whose mails are lists that can be left, the last registered of each topic, the most urgent first."""
    by_topic = {kind.topic: kind for kind in _kinds.values() if kind.is_list and not kind.has_own_lists}
    return sorted(by_topic.values(), key=lambda kind: (kind.priority, kind.topic))


def told_beside_mail() -> dict[str, Any]:
    """Every topic that channels beside mail may hear of, with its label, the most urgent first."""
    told = {kind.topic for kind in _kinds.values() if kind.tell is not None}
    return {topic: label for topic, label in topics().items() if topic in told}


def told_to_subscribers() -> dict[str, Any]:
    """Every topic that somebody without a login may hear of, with its label, the most urgent first."""
    told = {kind.topic for kind in _kinds.values() if kind.published is not None}
    return {topic: label for topic, label in topics().items() if topic in told}


def usual_for_subscribers() -> list[str]:
    """Those of them that somebody who signs up hears of who does not say otherwise."""
    return [topic for topic in told_to_subscribers() if topic in {kind.topic for kind in for_people()}]


def for_people() -> list[Kind]:
    """The lists that somebody who signs in may find in their mail, in the same order."""
    return [kind for kind in listed() if not kind.for_subscribers_alone]


def topics() -> dict[str, Any]:
    """Every topic there is to unsubscribe from, with its label, the most urgent first."""
    return {kind.topic: kind.label for kind in listed()}
