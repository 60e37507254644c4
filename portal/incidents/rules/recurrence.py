"""Planned work that recurs: an RRULE over the time on a wall, and the moments it stands for.

A rule is reckoned in local time, so that 02:00 stays 02:00 when the clocks change. Where clocks leave a time out, the
work starts as much later as they jump (02:30 becomes 03:30); where they show it twice, the first counts. How long it
lasts is real time. The next occurrences follow from the rule and its first day alone, never from the last one.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import MAXYEAR, UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

RULE_LENGTH = 400
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST")
COUNT_AT_MOST = 1000
INTERVAL_AT_MOST = 1000
AHEAD_AT_MOST = timedelta(days=366 * 5)
"""How far ahead occurrences are looked for: a rule none of whose days comes by then never happens."""

_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")
_VALUES = {
    "FREQ": re.compile(r"[A-Z]+"),
    "INTERVAL": re.compile(r"\d{1,4}"),
    "COUNT": re.compile(r"\d{1,4}"),
    "UNTIL": _UNTIL,
    "BYDAY": re.compile(r"[+-]?\d{0,2}(MO|TU|WE|TH|FR|SA|SU)(,[+-]?\d{0,2}(MO|TU|WE|TH|FR|SA|SU))*"),
    "BYMONTHDAY": re.compile(r"-?\d{1,2}(,-?\d{1,2})*"),
    "BYMONTH": re.compile(r"\d{1,2}(,\d{1,2})*"),
    "BYSETPOS": re.compile(r"-?\d{1,3}(,-?\d{1,3})*"),
    "WKST": re.compile(r"MO|TU|WE|TH|FR|SA|SU"),
}


class RuleError(ValueError):
    """This is no rule planned work can recur by; the sentence says why."""


def checked_rule(text: str) -> str:
    """The rule in its usual form: upper case, parts in a fixed order, without the name of the property."""
    return ";".join(f"{name}={value}" for name, value in _parts(text).items())


def _parts(text: str) -> dict[str, str]:
    plain = re.sub(r"\s+", "", text).upper().removeprefix("RRULE:").rstrip(";")
    if not plain:
        raise RuleError("Say how often it recurs.")
    if len(plain) > RULE_LENGTH:
        raise RuleError(f"A rule has at most {RULE_LENGTH} characters.")
    found: dict[str, str] = {}
    for part in plain.split(";"):
        name, has_value, value = part.partition("=")
        if name not in PARTS or not has_value:
            raise RuleError(f"“{part[:40]}” cannot stand in the rule. It knows {', '.join(PARTS)}.")
        if name in found or not _VALUES[name].fullmatch(value):
            raise RuleError(f"“{part[:40]}” is not understood.")
        found[name] = value
    if found.get("FREQ") not in FREQUENCIES:
        raise RuleError("Work recurs daily, weekly, monthly or yearly: say FREQ=WEEKLY, for example.")
    _check_numbers(found)
    return {name: found[name] for name in PARTS if name in found}


def _check_numbers(found: dict[str, str]) -> None:
    bounds = (
        ("INTERVAL", 1, INTERVAL_AT_MOST, False),
        ("COUNT", 1, COUNT_AT_MOST, False),
        ("BYMONTHDAY", 1, 31, True),
        ("BYMONTH", 1, 12, False),
        ("BYSETPOS", 1, 366, True),
    )
    for name, least, most, is_signed in bounds:
        for each in found.get(name, "").split(",") if name in found else ():
            number = abs(int(each)) if is_signed else int(each)
            if not least <= number <= most:
                raise RuleError(f"{name} lies between {least} and {most:,}.")
    if "COUNT" in found and "UNTIL" in found:
        raise RuleError("A rule ends after a COUNT or at an UNTIL, not both.")
    _check_days(found)


def _check_days(found: Mapping[str, str]) -> None:
    """Days that suit how often it recurs. Others come never, or only after looking through thousands of years."""
    is_long = found["FREQ"] in {"MONTHLY", "YEARLY"}
    numbers = [abs(int(each)) for each in re.findall(r"[+-]?\d+", found.get("BYDAY", ""))]
    if not is_long and {"BYMONTHDAY", "BYSETPOS"} & found.keys():
        raise RuleError("Days of the month are for work that recurs monthly or yearly: say FREQ=MONTHLY.")
    if "BYSETPOS" in found and not {"BYDAY", "BYMONTHDAY"} & found.keys():
        raise RuleError("BYSETPOS chooses from days: add BYDAY or BYMONTHDAY.")
    if numbers and not is_long:
        raise RuleError("Numbered days, such as 1MO, are of a month or a year.")
    most = 53 if found["FREQ"] == "YEARLY" and "BYMONTH" not in found else 5
    if any(not 1 <= each <= most for each in numbers):
        raise RuleError(f"A numbered day lies between 1 and {most}.")


def walls(rule: str, first: datetime, zone: str, until: datetime) -> Iterator[datetime]:
    """The local times of the rule from `first` (local, naive) on, up to `until` (local, naive), in order."""
    # Only what recurs needs it.
    from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # noqa: PLC0415

    parts = _parts(rule)
    count = int(parts.pop("COUNT")) if "COUNT" in parts else None
    last = min(until, _until(parts.pop("UNTIL"), zone)) if "UNTIL" in parts else until
    if last < first:
        return
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    # A rule no day suits is looked for up to the last year there is, which takes seconds. The calendar is the same
    # after each 400 years, so as many of them as there are before that year are left out.
    far = (MAXYEAR - last.year) // 400 * 400
    end = last.replace(year=last.year + far)
    try:
        for each in islice(
            rrulestr(f"{text};UNTIL={end:%Y%m%dT%H%M%S}", dtstart=first.replace(year=first.year + far)), count
        ):
            yield each.replace(year=each.year - far)
    except (ValueError, IndexError) as trouble:
        raise RuleError("This rule is not understood.") from trouble


def _until(value: str, zone: str) -> datetime:
    """The last local time a rule allows: a day to its end, a moment in UTC as a clock in the zone shows it."""
    match = _UNTIL.fullmatch(value)
    if match is None:
        raise RuleError("UNTIL is a day, such as 20271231.")
    day, clock, is_utc = match.groups()
    try:
        found = datetime.fromisoformat(f"{day}T{clock or '235959'}")
        return found.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) if is_utc else found
    except (ValueError, OverflowError) as trouble:
        raise RuleError("UNTIL is a day, such as 20271231.") from trouble


def moment_of(wall: datetime, zone: str) -> datetime:
    """The moment, in UTC, at which work planned for this local time starts."""
    return wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)


def occurrences(rule: str, first: datetime, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """The moments (UTC) of the rule later than `after`, up to `until`, in order, each once."""
    local_end = until.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(days=1)
    moments = {moment_of(wall, zone) for wall in walls(rule, first, zone, local_end)}
    return sorted(each for each in moments if after < each <= until)


def happens(rule: str, first: datetime, zone: str) -> bool:
    """Whether the rule ever comes to anything within the years that are looked ahead."""
    return next(walls(rule, first, zone, first + AHEAD_AT_MOST), None) is not None
