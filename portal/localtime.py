"""The time on a wall and the moments it stands for: pure, for everything that is scheduled.

Times are entered in somebody's own zone and stored in UTC; arithmetic is done in UTC alone, because an hour added to
a local time is not always an hour. Once a year a wall clock leaves out an hour, and once it shows one twice: `zoneinfo`
says nothing of either and picks a moment by itself, so whoever schedules asks here.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

EARLIEST, LATEST = 1970, 9000
"""The years a time may lie in: at the ends of the calendar no zone can be reckoned with."""


class Reading(StrEnum):
    """Which of the two moments is meant when a wall clock shows the same time twice."""

    FIRST = "first"
    SECOND = "second"


class LocalTimeError(ValueError):
    """This time cannot be taken as it is; the sentence says why and what to do."""


class SkippedError(LocalTimeError):
    """No clock of the zone ever shows this time: it lies where clocks go forward."""


class TwiceError(LocalTimeError):
    """Clocks of the zone show this time twice, and nobody has said which is meant."""


def readings(wall: datetime, zone: tzinfo) -> Sequence[datetime]:
    """The moments, in UTC and in order, at which a clock in the zone shows this time: one, none, or two."""
    local = wall.replace(tzinfo=None)
    moments = []
    for fold in (0, 1):
        try:
            moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
            is_shown = moment.astimezone(zone).replace(tzinfo=None, fold=0) == local.replace(fold=0)
        except OverflowError:
            continue
        if is_shown and moment not in moments:
            moments.append(moment)
    return sorted(moments)


def moment_of(wall: datetime, zone: tzinfo, reading: Reading | None = None) -> datetime:
    """The moment, in UTC, that this time in the zone stands for.

    SkippedError where clocks leave it out; TwiceError where they show it twice and `reading` does not say which.
    A `reading` of a time that comes once says nothing.
    """
    if not EARLIEST <= wall.year <= LATEST:
        raise LocalTimeError("Choose a day of our time.")
    found = readings(wall, zone)
    written = f"{wall:%H:%M}"
    if not found:
        before, after = around_gap(wall, zone)
        raise SkippedError(
            f"Clocks in {zone} go forward that day: {written} does not exist. "
            f"Choose {before:%H:%M} or earlier, or {after:%H:%M} or later."
        )
    if len(found) == 1:
        return found[0]
    if reading is None:
        raise TwiceError(f"Clocks in {zone} go back that day, so {written} comes twice. Say which of the two you mean.")
    return found[0] if reading is Reading.FIRST else found[-1]


def around_gap(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """For a time that clocks leave out: the last minute before, and the first time after, as they show them."""
    local = wall.replace(tzinfo=None)
    # Read with the offset that held before, it lies behind the change, and the other way round: the change is between.
    first, last = sorted(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    offset = first.astimezone(zone).utcoffset()
    while (last - first).total_seconds() > 60:
        middle = first + (last - first) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            first = middle
        else:
            last = middle
    change = last.replace(second=0, microsecond=0)
    before = datetime.fromtimestamp(change.timestamp() - 60, UTC).astimezone(zone)
    return before.replace(tzinfo=None, fold=0), change.astimezone(zone).replace(tzinfo=None, fold=0)
