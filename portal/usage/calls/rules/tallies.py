"""What calls come to by minutes, hours and days, as changes to what was there: adding calls, and taking others away.

Pure, and meant for tens of thousands of calls at once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from portal.usage.calls.rules import (
    DAY,
    HOUR,
    MINUTE,
    NO_ATTEMPT,
    OPEN_AT_MOST,
    SECOND,
    WHOLE,
    Call,
    CallStep,
    first_of,
    is_effective,
    over_at,
    scope_of_service,
    scope_of_trunk,
)

PARTS = ("attempts", "answered", "effective", "rung", "pdd_ms", "ended", "talk_ms", "closed")
"""What of a tally is a sum, in the order of `Counts.sums`."""


class Counts:
    """By how much one step changes: its sums, attempts in progress as it begins, and attempts of each second."""

    __slots__ = ("open", "seconds", "sums")

    def __init__(self) -> None:
        self.sums = [0] * len(PARTS)
        self.open = 0
        self.seconds: dict[int, int] = {}

    def __bool__(self) -> bool:
        return any(self.sums) or self.open != 0 or any(self.seconds.values())


class Change(NamedTuple):
    """By how much one step changes: of a company and scope, its length, and when it begins."""

    company_id: int
    scope: str
    step: CallStep
    at: int
    counts: Counts


Place = tuple[int, str]
"""A company and a scope of it."""

Book = defaultdict[int, Counts]
"""Steps of one length by when they begin."""


class Ledger:
    """By how much the steps of companies and scopes change, when calls are added and others taken away."""

    def __init__(self) -> None:
        self._minutes: dict[Place, Book] = {}
        self._open: dict[Place, dict[int, int]] = {}

    def count(self, company_id: int, call: Call, sign: int) -> None:
        """Add a call (1), or take one away that was added before (-1)."""
        if call.outcome in NO_ATTEMPT:
            return
        started = call.started
        end = over_at(call)
        closed = started + OPEN_AT_MOST if end is None else end
        of_start, of_end = _of_start(call, sign), _of_end(call, end, sign)
        begin, last = started - started % MINUTE, closed - closed % MINUTE
        second = started % MINUTE // SECOND
        first_hour, after_hour = started // HOUR + 1, closed // HOUR + 1
        for scope in _scopes(call):
            place = company_id, scope
            book = self._minutes.get(place)
            if book is None:
                book = self._minutes[place] = defaultdict(Counts)
            row = book[begin]
            for part, more in of_start:
                row.sums[part] += more
            row.seconds[second] = row.seconds.get(second, 0) + sign
            sums = book[last].sums
            for part, more in of_end:
                sums[part] += more
            if after_hour > first_hour:
                hours = self._open.setdefault(place, {})
                hours[first_hour] = hours.get(first_hour, 0) + sign
                hours[after_hour] = hours.get(after_hour, 0) - sign

    def changes(self) -> Iterator[Change]:
        """Every step that changes, the finest first. A longer one is named with each of its minutes, for its peak."""
        minutes = {
            place: {at: counts for at, counts in book.items() if counts} for place, book in self._minutes.items()
        }
        hours = {place: _rolled(found, HOUR) for place, found in minutes.items()}
        for place, hour, count in self._in_progress():
            hours[place][hour * HOUR].open += count
        days = {place: _rolled(found, DAY) for place, found in hours.items()}
        for step, books in ((CallStep.MINUTE, minutes), (CallStep.HOUR, hours), (CallStep.DAY, days)):
            for (company_id, scope), book in books.items():
                for at, counts in book.items():
                    yield Change(company_id, scope, step, at, counts)

    def _in_progress(self) -> Iterator[tuple[Place, int, int]]:
        """By how many attempts more or less each hour begins with."""
        for place, changes in self._open.items():
            count, since = 0, 0
            for hour, more in sorted(changes.items()):
                if count:
                    for each in range(since, hour):
                        yield place, each, count
                count, since = count + more, hour


def _scopes(call: Call) -> list[str]:
    scopes = [WHOLE]
    if call.trunk:
        scopes.append(scope_of_trunk(call.trunk))
    if call.service_id is not None:
        scopes.append(scope_of_service(call.service_id))
    return scopes


def _of_start(call: Call, sign: int) -> list[tuple[int, int]]:
    """By how much a call changes the parts of the step it started in."""
    found = [(0, sign)]
    if call.answered is not None:
        found.append((1, sign))
    if is_effective(call):
        found.append((2, sign))
    heard = first_of(call.ringing, call.answered)
    if heard is not None:
        found += ((3, sign), (4, sign * (heard - call.started)))
    return found


def _of_end(call: Call, end: int | None, sign: int) -> list[tuple[int, int]]:
    """By how much it changes the parts of the step it was over in."""
    if end is None or call.answered is None:
        return [(7, sign)]
    return [(7, sign), (5, sign), (6, sign * (end - call.answered))]


def _rolled(finer: Mapping[int, Counts], length: int) -> Book:
    """The same by a longer step. Of what is in progress only that counts which is so as the longer one begins."""
    found: Book = defaultdict(Counts)
    for at, counts in finer.items():
        begin = at - at % length
        row = found[begin]
        row.sums = [one + other for one, other in zip(row.sums, counts.sums, strict=True)]
        if at == begin:
            row.open = counts.open
    return found


def packed(seconds: Mapping[int, int]) -> bytes:
    """The counts of the seconds of a minute, in few bytes: each second with its count, seven bits at a time."""
    found = bytearray()
    for second, count in sorted(seconds.items()):
        if not count:
            continue
        found.append(second)
        rest = count
        while rest > 127:
            found.append(rest & 127 | 128)
            rest >>= 7
        found.append(rest)
    return bytes(found)


def unpacked(text: bytes) -> dict[int, int]:
    """The same back."""
    found: dict[int, int] = {}
    place = 0
    while place < len(text):
        second, count, bits = text[place], 0, 0
        place += 1
        while True:
            byte = text[place]
            place += 1
            count |= (byte & 127) << bits
            bits += 7
            if byte < 128:
                break
        found[second] = count
    return found
