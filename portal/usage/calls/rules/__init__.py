"""What a call record may be, how records of one call become one, and what figures calls come to. Pure.

Inside, moments are whole milliseconds since 1970 (UTC), so that sums are exact. The figures are those of ITU-T E.425
and RFC 6076: an *attempt* is a call somebody tried to make, counted once however often a switch tried it elsewhere. A
request that was only challenged (401, 402, 407) or sent elsewhere (3xx) is none. Figures are made of sums alone: a
ratio of ratios, or a mean of means, is neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from portal.usage.rules import TRUNK_LENGTH

CALL_ID_LENGTH = 200
NUMBER_LENGTH = 100
TAIL_LENGTH = 24
CARRIER_LENGTH = 100
SCOPE_LENGTH = TRUNK_LENGTH + 10

CALLS_AT_MOST = 10_000
"""Records taken by one request or one file."""

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000

OPEN_AT_MOST = DAY
"""For how long a call nobody saw the end of counts as one in progress."""

LASTS_AT_MOST = 7 * DAY

WHOLE = ""
"""The scope of all calls of a company."""

SERVICE_SCOPE, TRUNK_SCOPE = "s:", "t:"
"""How the scope of one service begins, and that of one trunk."""


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class CallStep(StrEnum):
    """By which length of time calls are summed up, in UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    @property
    def milliseconds(self) -> int:
        return {"minute": MINUTE, "hour": HOUR, "day": DAY}[self.value]

    @property
    def length(self) -> timedelta:
        return timedelta(milliseconds=self.milliseconds)

    def begin(self, at: datetime) -> datetime:
        """When the step that holds this moment began."""
        return instant(milliseconds(at) // self.milliseconds * self.milliseconds)


class Outcome(StrEnum):
    """What an attempt came to, the worst first: of several tries the best stands."""

    CHALLENGED = "challenged"
    REDIRECTED = "redirected"
    FAILED = "failed"
    NOT_FOUND = "not_found"
    CANCELLED = "cancelled"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    REJECTED = "rejected"
    ANSWERED = "answered"


RANK: Mapping[Outcome | None, int] = {None: 0} | {each: place for place, each in enumerate(Outcome, 1)}

NO_ATTEMPT = frozenset({Outcome.CHALLENGED, Outcome.REDIRECTED})

REACHED = frozenset({Outcome.ANSWERED, Outcome.BUSY, Outcome.NO_ANSWER, Outcome.REJECTED})
"""Where the network did its part, whatever the people did: the numerator of NER. A caller who gave up while it rang
(`CANCELLED`, with a time of ringing) had no answer, too."""

_OF_CODE = {
    401: Outcome.CHALLENGED,
    402: Outcome.CHALLENGED,
    407: Outcome.CHALLENGED,
    404: Outcome.NOT_FOUND,
    410: Outcome.NOT_FOUND,
    484: Outcome.NOT_FOUND,
    604: Outcome.NOT_FOUND,
    480: Outcome.NO_ANSWER,
    486: Outcome.BUSY,
    487: Outcome.CANCELLED,
    600: Outcome.BUSY,
    603: Outcome.REJECTED,
    607: Outcome.REJECTED,
}


def outcome_of(code: int) -> Outcome | None:
    """What the last SIP response of an attempt says; None for a number that is no last response."""
    if 200 <= code < 300:
        return Outcome.ANSWERED
    if 300 <= code < 400:
        return Outcome.REDIRECTED
    return _OF_CODE.get(code, Outcome.FAILED) if 400 <= code < 700 else None


class Call(NamedTuple):
    """What is known of one call. Moments are milliseconds, None where it did not come to that, or not yet.

    An answered call has its answer: `outcome` is ANSWERED if and only if there is a time of it.
    """

    call_id: str
    from_number: str
    to_number: str
    started: int
    ringing: int | None
    answered: int | None
    ended: int | None
    outcome: Outcome | None
    code: int | None
    trunk: str
    carrier: str
    service_id: int | None


def milliseconds(at: datetime) -> int:
    """A moment as whole milliseconds since 1970; what is finer is cut off."""
    return (at - _BEGINNING) // MILLISECOND


def instant(number: int) -> datetime:
    return _BEGINNING + timedelta(milliseconds=number)


# Figures


@dataclass(frozen=True)
class Sums:
    """What calls come to in a stretch of time. Two of them added are what both stretches come to.

    `attempts`, `answered`, `effective` (the numerator of NER), `rung` (those with a ringing or an answer) and `pdd_ms`
    (the milliseconds to it) are of calls that started in it; `ended` and `talk_ms` of answered calls that ended in it;
    `closed` are all attempts over in it; `peak` is the highest count of attempts in one second.
    """

    attempts: int = 0
    answered: int = 0
    effective: int = 0
    rung: int = 0
    pdd_ms: int = 0
    ended: int = 0
    talk_ms: int = 0
    closed: int = 0
    peak: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.attempts + other.attempts,
            self.answered + other.answered,
            self.effective + other.effective,
            self.rung + other.rung,
            self.pdd_ms + other.pdd_ms,
            self.ended + other.ended,
            self.talk_ms + other.talk_ms,
            self.closed + other.closed,
            max(self.peak, other.peak),
        )

    @property
    def asr(self) -> Decimal | None:
        """Answer-seizure ratio in percent: answered attempts of all attempts. None of none: not 0."""
        return _share(self.answered, self.attempts)

    @property
    def ner(self) -> Decimal | None:
        """Network effectiveness ratio in percent: answered, busy, not answered or rejected by people, of all attempts.

        None where there is no attempt.
        """
        return _share(self.effective, self.attempts)

    @property
    def acd(self) -> Decimal | None:
        """Average call duration in seconds: from answer to end, over answered calls that ended. None of none."""
        return Decimal(self.talk_ms) / 1000 / self.ended if self.ended else None

    @property
    def pdd(self) -> Decimal | None:
        """Post-dial delay in milliseconds: the mean time from start to ringing, or to the answer where that came first.

        Over attempts that came to either; None where none did.
        """
        return Decimal(self.pdd_ms) / self.rung if self.rung else None


NONE = Sums()


def _share(part: int, whole: int) -> Decimal | None:
    return Decimal(100 * part) / whole if whole else None


def scope_of_service(service_id: int) -> str:
    return f"{SERVICE_SCOPE}{service_id}"


def scope_of_trunk(trunk: str) -> str:
    return f"{TRUNK_SCOPE}{trunk}"


# What records of one call come to


def joined(known: Call, told: Call) -> Call:
    """What is known of a call once another record told of it: in whatever order they come, and however often.

    What is known stands and what was missing is added. Times are the first start, ringing and answer and the last end;
    the result is the best any try came to, and the carrier the one of that try.
    """
    better = (RANK[told.outcome], told.code or 0) > (RANK[known.outcome], known.code or 0)
    best, other = (told, known) if better else (known, told)
    return Call(
        known.call_id,
        known.from_number or told.from_number,
        known.to_number or told.to_number,
        min(known.started, told.started),
        first_of(known.ringing, told.ringing),
        first_of(known.answered, told.answered),
        told.ended if known.ended is None else known.ended if told.ended is None else max(known.ended, told.ended),
        best.outcome,
        best.code,
        known.trunk or told.trunk,
        best.carrier or other.carrier,
        told.service_id if known.service_id is None else known.service_id,
    )


def first_of(one: int | None, other: int | None) -> int | None:
    """The earlier of two moments, of which either may not be known."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def over_at(call: Call) -> int | None:
    """When an attempt was over; None while it is in progress, as far as is known.

    An end before the answer is that of a try that failed before another carrier took the call. One that came to nothing
    is over with its result, though nobody said when.
    """
    latest = max(call.started, call.ringing or 0, call.answered or 0)
    if call.ended is not None:
        return call.ended if call.ended >= latest else None
    return None if call.outcome is None or call.answered is not None else latest


def is_effective(call: Call) -> bool:
    """Whether the network did its part."""
    return call.outcome in REACHED or (call.outcome is Outcome.CANCELLED and call.ringing is not None)
