"""Reading calls and what they come to.

Everything here is of companies that are named: who asks says which, and was looked at before. What calls come to is
read from sums that were written with the records, so no answer grows with how many calls there were.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Integer, String, and_, case, func, or_, select, type_coerce, union

from portal.errors import RuleViolation
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.records import retention
from portal.usage.calls.models import CallRecord, CallTally
from portal.usage.calls.rules import (
    NO_ATTEMPT,
    NONE,
    SERVICE_SCOPE,
    TRUNK_SCOPE,
    WHOLE,
    CallStep,
    Outcome,
    Sums,
    milliseconds,
)
from portal.usage.calls.rules.reading import searched_tail
from portal.usage.calls.rules.tallies import PARTS
from portal.usage.given import given

PER_PAGE = 50
PAGES_AT_MOST = 100

LEAST_DIGITS = 3
"""Digits of a number by which calls are searched, at least."""

MATCHES_AT_MOST = 5000
"""Calls, newest first, that are looked at of those whose numbers end as was searched for, on either side."""

DELAYS_AT_MOST = 50_000
"""Calls, newest first, of which a percentile is taken."""

TRUNKS_AT_MOST = 1000

STRETCHES_AT_ONCE = 10_000
"""Stretches of time that one statement sums up."""

RECORDS, MINUTES, HOURS, DAYS = "call records", "calls by minutes", "calls by hours", "calls by days"
"""The names under which it is set how long each is kept."""

CALL_ORDERS = {
    "-started_at": Order((CallRecord.started_at, CallRecord.call_id), is_descending=True),
    "started_at": Order((CallRecord.started_at, CallRecord.call_id)),
}


class Stretch(NamedTuple):
    """Calls of a company, or of a scope of it, from `begin` to before `end`, each at its full minute.

    What lies longer ago than minutes are kept is to begin and end with an hour, or a day of UTC.
    """

    company_id: int
    scope: str
    begin: datetime
    end: datetime


class Tallied(NamedTuple):
    """What calls come to in the step that begins at `at`; `open` are the attempts in progress as it begins."""

    at: datetime
    sums: Sums
    open: int

    @property
    def left(self) -> int:
        """The attempts in progress as the next step begins."""
        return self.open + self.sums.attempts - self.sums.closed


@dataclass(frozen=True)
class Found:
    """One page of the calls that were searched, the newest first. `has_more` says whether another page follows."""

    items: Sequence[CallRecord]
    page: int
    has_more: bool


# What calls come to


def sums_over(wanted: Collection[Stretch]) -> dict[Stretch, Sums]:
    """What calls come to in each of these stretches. A statement for some thousands of them."""
    asked = list(dict.fromkeys(wanted))
    parts = [(place, *part) for place, each in enumerate(asked) for part in _cut(each)]
    found = dict.fromkeys(asked, NONE)
    for start in range(0, len(parts), STRETCHES_AT_ONCE):
        for place, sums in _summed(parts[start : start + STRETCHES_AT_ONCE]):
            found[asked[place]] += sums
    return found


def _cut(stretch: Stretch) -> Iterator[tuple[int, str, str, int, int]]:
    """A stretch as few stretches of whole steps, the longest that fit: days between hours between minutes."""
    begin, end = (CallStep.MINUTE.begin(at) for at in (stretch.begin, stretch.end))
    yield from _cut_by(stretch, milliseconds(begin), milliseconds(end), (CallStep.DAY, CallStep.HOUR, CallStep.MINUTE))


def _cut_by(
    stretch: Stretch, begin: int, end: int, steps: Sequence[CallStep]
) -> Iterator[tuple[int, str, str, int, int]]:
    step, *finer = steps
    first, last = -(-begin // step.milliseconds) * step.milliseconds, end // step.milliseconds * step.milliseconds
    if first < last:
        yield stretch.company_id, stretch.scope, step.value, first, last
        if finer:
            yield from _cut_by(stretch, begin, first, finer)
            yield from _cut_by(stretch, last, end, finer)
    elif finer and begin < end:
        yield from _cut_by(stretch, begin, end, finer)


_PART: dict[str, Any] = {"place": Integer(), "company_id": Integer(), "scope": String(), "step": String()}
_PART |= {"begin_at": BigInteger(), "end_at": BigInteger()}


def _of_parts(parts: Sequence[tuple[Any, ...]], *columns: Any) -> Any:
    """The tallies of these parts, added up by their places in what was asked."""
    asked = given(_PART, parts)
    told = CallTally.__table__.c
    at = type_coerce(told.at, BigInteger())
    within = and_(
        told.company_id == asked.c.company_id,
        told.scope == asked.c.scope,
        type_coerce(told.step, String()) == asked.c.step,
        at >= asked.c.begin_at,
        at < asked.c.end_at,
    )
    return db.session.execute(
        select(asked.c.place, *columns).select_from(asked).join(CallTally, within).group_by(asked.c.place)
    )


def _summed(parts: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Sums]]:
    columns = (*(func.sum(getattr(CallTally, name)) for name in PARTS), func.max(CallTally.peak))
    for place, *numbers in _of_parts(parts, *columns):
        yield place, Sums(*(int(number) for number in numbers))


def channels_at(wanted: Collection[tuple[int, str]], at: datetime) -> dict[tuple[int, str], int]:
    """The calls in progress, those being set up too, of each company and scope as the minute of a moment begins.

    A statement for some thousands of them.
    """
    asked = list(dict.fromkeys(wanted))
    hour, minute = milliseconds(CallStep.HOUR.begin(at)), milliseconds(CallStep.MINUTE.begin(at))
    stretches = ((CallStep.HOUR.value, hour, hour + 1), (CallStep.MINUTE.value, hour, minute))
    parts = [(place, *each, *stretch) for place, each in enumerate(asked) for stretch in stretches]
    found = dict.fromkeys(asked, 0)
    is_hour = CallTally.step == CallStep.HOUR
    count = func.sum(case((is_hour, CallTally.open), else_=CallTally.attempts - CallTally.closed))
    for start in range(0, len(parts), STRETCHES_AT_ONCE):
        for place, number in _of_parts(parts[start : start + STRETCHES_AT_ONCE], count):
            found[asked[place]] += int(number)
    return found


def steps(company_id: int, scope: str, step: CallStep, begin: datetime, end: datetime) -> list[Tallied]:
    """The steps that begin from `begin` to before `end` in which anything happened, in the order of time. One query.

    A series of minutes begins with the one at `begin` whatever happened: what was in progress then is its `open`, and
    from then on it is the `left` of the one before.
    """
    begin = step.begin(begin)
    since = CallStep.HOUR.begin(begin) if step is CallStep.MINUTE else begin
    is_step = CallTally.step == step
    if step is CallStep.MINUTE:
        is_step |= and_(CallTally.step == CallStep.HOUR, CallTally.at == since)
    rows = db.session.execute(
        select(CallTally.step, CallTally.at, *(getattr(CallTally, name) for name in (*PARTS, "peak", "open")))
        .where(
            CallTally.company_id == company_id,
            CallTally.scope == scope,
            is_step,
            CallTally.at >= since,
            CallTally.at < end,
        )
        .order_by(CallTally.at)
    )
    found = [(of, Tallied(at, Sums(*numbers), in_progress)) for of, at, *numbers, in_progress in rows]
    if step is not CallStep.MINUTE:
        return [tallied for _of, tallied in found]
    in_progress = sum(tallied.open for of, tallied in found if of is CallStep.HOUR)
    return _counted_through([tallied for of, tallied in found if of is step], in_progress, begin)


def _counted_through(minutes: Sequence[Tallied], in_progress: int, begin: datetime) -> list[Tallied]:
    """The minutes from `begin` on with what was in progress as each began, from those since its hour began."""
    found: list[Tallied] = []
    before = in_progress
    for each in minutes:
        counted = Tallied(each.at, each.sums, before)
        before = counted.left
        if each.at < begin:
            in_progress = before
        else:
            found.append(counted)
    if not found or found[0].at > begin:
        found.insert(0, Tallied(begin, NONE, in_progress))
    return found


def trunks_of(company_ids: Collection[int], since: datetime) -> Mapping[int, Sequence[str]]:
    """The trunks on which each of these companies had calls since the day of a moment, by name. One query."""
    rows = db.session.execute(
        select(CallTally.company_id, CallTally.scope)
        .where(
            CallTally.company_id.in_(company_ids),
            CallTally.step == CallStep.DAY,
            CallTally.at >= CallStep.DAY.begin(since),
            CallTally.scope.startswith(TRUNK_SCOPE),
            CallTally.attempts > 0,
        )
        .distinct()
        .limit(TRUNKS_AT_MOST)
    )
    found: dict[int, list[str]] = {each: [] for each in company_ids}
    for company_id, scope in rows:
        found[company_id].append(scope.removeprefix(TRUNK_SCOPE))
    return {company_id: sorted(trunks) for company_id, trunks in found.items()}


def pdd_p95(company_id: int, begin: datetime, end: datetime, scope: str = WHOLE) -> Decimal | None:
    """The post-dial delay in milliseconds that 95 of 100 attempts stayed within; None where nothing rang. One query.

    Of the newest 50,000 where there were more.
    """
    heard = (
        func.coalesce(CallRecord.ringing_at, CallRecord.answered_at),
        func.coalesce(CallRecord.answered_at, CallRecord.ringing_at),
    )
    first = case((heard[0] < heard[1], heard[0]), else_=heard[1])
    delay = type_coerce(first, BigInteger()) - type_coerce(CallRecord.started_at, BigInteger())
    rows = db.session.scalars(
        select(delay)
        .where(
            CallRecord.company_id == company_id,
            CallRecord.started_at >= begin,
            CallRecord.started_at < end,
            heard[0].is_not(None),
            or_(CallRecord.outcome.is_(None), CallRecord.outcome.not_in(NO_ATTEMPT)),
            *_in_scope(scope),
        )
        .order_by(CallRecord.started_at.desc())
        .limit(DELAYS_AT_MOST)
    )
    delays = sorted(rows)
    return Decimal(delays[-(-95 * len(delays) // 100) - 1]) if delays else None


def _in_scope(scope: str) -> list[ColumnElement[bool]]:
    if scope.startswith(TRUNK_SCOPE):
        return [CallRecord.trunk == scope.removeprefix(TRUNK_SCOPE)]
    if scope:
        return [CallRecord.service_id == int(scope.removeprefix(SERVICE_SCOPE))]
    return []


# Records


@dataclass(frozen=True)
class CallFilter:
    """Which calls of a company are asked for: those of a number, on either side, by its last digits; of one Call-ID;
    that came to one outcome; that started from `begin` to before `end`."""

    number: str = ""
    call_id: str = ""
    outcome: Outcome | None = None
    begin: datetime | None = None
    end: datetime | None = None


def search(company_id: int, wanted: CallFilter, page: int = 1) -> Found | None:
    """Calls of a company, the newest first, 50 a page; None for a page there cannot be. One query.

    RuleViolation for a number of fewer than three digits.
    """
    if not 1 <= page <= PAGES_AT_MOST:
        return None
    found = db.session.scalars(
        select(CallRecord)
        .where(*_is_wanted(company_id, wanted))
        .order_by(CallRecord.started_at.desc(), CallRecord.call_id.desc())
        .offset((page - 1) * PER_PAGE)
        .limit(PER_PAGE + 1)
    ).all()
    return Found(found[:PER_PAGE], page, len(found) > PER_PAGE and page < PAGES_AT_MOST)


def records(company_id: int, wanted: Wanted, filters: CallFilter) -> Piece[CallRecord]:
    """A piece of the same, for machines. One query."""
    return piece_of(select(CallRecord).where(*_is_wanted(company_id, filters)), wanted)


def call_by_id(company_id: int, call_id: str) -> CallRecord | None:
    """The call of this Call-ID of a company. One query."""
    return db.session.scalar(
        select(CallRecord).where(CallRecord.company_id == company_id, CallRecord.call_id == call_id)
    )


def _is_wanted(company_id: int, wanted: CallFilter) -> list[ColumnElement[bool]]:
    of_company = CallRecord.company_id == company_id
    found: list[ColumnElement[bool]] = [of_company]
    if wanted.begin is not None:
        found.append(CallRecord.started_at >= wanted.begin)
    if wanted.end is not None:
        found.append(CallRecord.started_at < wanted.end)
    if wanted.outcome is not None:
        found.append(CallRecord.outcome == wanted.outcome)
    if wanted.call_id:
        found.append(CallRecord.call_id == wanted.call_id)
    if wanted.number:
        tail = searched_tail(wanted.number)
        if len(tail) < LEAST_DIGITS:
            raise RuleViolation(f"Give at least the last {LEAST_DIGITS} digits of the number.", "number")
        # Each side by its own index, and nothing beside it: else a database may walk through all calls of the company.
        sides = (
            select(CallRecord.id)
            .where(*found, column >= tail, column < _behind(tail))
            .order_by(CallRecord.id.desc())
            .limit(MATCHES_AT_MOST)
            .subquery()
            for column in (CallRecord.from_tail, CallRecord.to_tail)
        )
        return [CallRecord.id.in_(union(*(select(side.c.id) for side in sides)))]
    return found


def _behind(tail: str) -> str:
    """What comes after all texts of digits that begin like this."""
    return tail + "z"


def days_kept() -> int:
    """For how many days everything is kept that a late call is counted in. One query."""
    return min(each.days for each in retention.settings() if each.keeping.name in {RECORDS, MINUTES, HOURS, DAYS})
