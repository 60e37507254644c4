"""Changing what calls come to: sums by what they changed, the highest seconds so that they are always exact."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, String, and_, func, select, type_coerce

from portal.extensions import db
from portal.usage.calls.models import CallTally
from portal.usage.calls.rules import CallStep
from portal.usage.calls.rules.tallies import PARTS, Change, packed, unpacked
from portal.usage.given import given, write

TALLY_KEY = ("company_id", "scope", "step", "at")
NUMBERS = (*PARTS, "open", "peak", "seconds")
NOTHING = (*(0 for _part in PARTS), 0, 0, b"")

Key = tuple[int, str, int]
"""A company, a scope of it, and when a step begins, in milliseconds."""

Kept = Mapping[tuple[int, str, str, int], Sequence[Any]]
"""What is kept, by company, scope, step and beginning, in the order of `NUMBERS`."""


class _Peaks:
    """The highest seconds of what changed, by the longer step that holds it, and the longer ones in which some fell."""

    def __init__(self, longer: CallStep) -> None:
        self.length = longer.milliseconds
        self.highest: dict[Key, int] = {}
        self.fallen: set[Key] = set()

    def note(self, change: Change, peak: int, before: int) -> None:
        key = change.company_id, change.scope, change.at - change.at % self.length
        self.highest[key] = max(self.highest.get(key, 0), peak)
        if peak < before:
            self.fallen.add(key)


def change(changes: Sequence[Change]) -> None:
    """Change the tallies of these steps, which nobody else changes meanwhile. At most six statements."""
    kept = _kept(changes)
    by_step: dict[CallStep, list[Change]] = {step: [] for step in CallStep}
    for each in changes:
        by_step[each.step].append(each)
    minutes = _change_minutes(by_step[CallStep.MINUTE], kept)
    hours = _change_longer(by_step[CallStep.HOUR], kept, minutes, CallStep.MINUTE)
    _change_longer(by_step[CallStep.DAY], kept, hours, CallStep.HOUR)


def _change_minutes(changes: Iterable[Change], kept: Kept) -> _Peaks:
    rows, peaks = [], _Peaks(CallStep.HOUR)
    for each in changes:
        known = kept.get(each[:4], NOTHING)
        seconds = unpacked(known[-1])
        for second, more in each.counts.seconds.items():
            seconds[second] = seconds.get(second, 0) + more
        peak = max(seconds.values(), default=0)
        peaks.note(each, peak, known[-2])
        rows.append((*_key(each), *_added(known, each), 0, peak, packed(seconds)))
    write(CallTally, (*TALLY_KEY, *NUMBERS), rows, key=TALLY_KEY)
    return peaks


def _change_longer(changes: Iterable[Change], kept: Kept, of_finer: _Peaks, finer: CallStep) -> _Peaks:
    """The same of longer steps. Where a finer one fell, the highest is looked for among all of them."""
    rows, peaks = [], _Peaks(CallStep.DAY)
    fresh = _highest(of_finer, finer)
    for each in changes:
        known = kept.get(each[:4], NOTHING)
        key = each.company_id, each.scope, each.at
        peak = fresh.get(key, 0) if key in of_finer.fallen else max(known[-2], of_finer.highest.get(key, 0))
        peaks.note(each, peak, known[-2])
        rows.append((*_key(each), *_added(known, each), known[len(PARTS)] + each.counts.open, peak, b""))
    write(CallTally, (*TALLY_KEY, *NUMBERS), rows, key=TALLY_KEY)
    return peaks


def _key(change: Change) -> tuple[int, str, str, int]:
    return change.company_id, change.scope, change.step.value, change.at


def _added(known: Sequence[Any], change: Change) -> list[int]:
    return [one + more for one, more in zip(known, change.counts.sums, strict=False)]


def _kept(changes: Iterable[Change]) -> Kept:
    asked = given(
        {"company_id": Integer(), "scope": String(), "step": String(), "at": BigInteger()},
        [_key(each) for each in changes],
    )
    told = CallTally.__table__.c
    same = [told[name] == asked.c[name] for name in TALLY_KEY]
    kinds: dict[str, Any] = {"step": String(), "at": BigInteger(), "seconds": LargeBinary()}
    columns = [type_coerce(told[name], kinds.get(name, told[name].type)) for name in (*TALLY_KEY, *NUMBERS)]
    rows = db.session.execute(select(*columns).select_from(asked).join(CallTally, and_(*same)))
    return {tuple(row[:4]): row[4:] for row in rows}


def _highest(peaks: _Peaks, finer: CallStep) -> dict[Key, int]:
    """The highest second of the finer steps within the longer ones in which some fell."""
    if not peaks.fallen:
        return {}
    asked = given({"company_id": Integer(), "scope": String(), "at": BigInteger()}, list(peaks.fallen))
    told = CallTally.__table__.c
    at = type_coerce(told.at, BigInteger())
    within = [
        told.company_id == asked.c.company_id,
        told.scope == asked.c.scope,
        told.step == finer,
        at >= asked.c.at,
        at < asked.c.at + peaks.length,
    ]
    rows = db.session.execute(
        select(asked.c.company_id, asked.c.scope, asked.c.at, func.max(told.peak))
        .select_from(asked)
        .join(CallTally, and_(*within))
        .group_by(asked.c.company_id, asked.c.scope, asked.c.at)
    )
    return {(company_id, scope, at): peak for company_id, scope, at, peak in rows}
