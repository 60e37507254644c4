"""How work repeats, as somebody says it, as an RRULE, and as words again (RFC 5545, section 3.3.10).

Pure. What is said becomes a rule of four shapes; a rule of another shape, which another door may have brought, keeps
its meaning and is shown as it is written.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from portal.errors import RuleViolation

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DAY_NAMES = dict(zip(DAYS, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True))
PLACES = {1: "first", 2: "second", 3: "third", 4: "fourth", -1: "last"}
LONGEST_STEP = 52
MOST_TIMES = 500


class Repeat(StrEnum):
    """In which rhythm work repeats."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY_DAY = "monthly-day"
    MONTHLY_DATE = "monthly-date"


class Ending(StrEnum):
    """When it repeats no more."""

    NEVER = "never"
    UNTIL = "until"
    COUNT = "count"


UNITS = {
    Repeat.DAILY: ("day", "days"),
    Repeat.WEEKLY: ("week", "weeks"),
    Repeat.MONTHLY_DAY: ("month", "months"),
    Repeat.MONTHLY_DATE: ("month", "months"),
}


@dataclass(frozen=True)
class Rhythm:
    """A recurrence as it is said: every so many days, weeks or months, on which of them, and until when.

    `until` is a day as the zone of the window has it, itself included.
    """

    repeat: Repeat
    step: int = 1
    days: tuple[str, ...] = ()
    place: int = 1
    day: str = "MO"
    number: int = 1
    ending: Ending = Ending.NEVER
    until: date | None = None
    count: int | None = None

    def rule(self, zone: ZoneInfo) -> str:
        """The RRULE; RuleViolation at the field that makes none."""
        self._check()
        parts = {
            Repeat.DAILY: ["FREQ=DAILY"],
            Repeat.WEEKLY: ["FREQ=WEEKLY", f"BYDAY={','.join(each for each in DAYS if each in self.days)}"],
            Repeat.MONTHLY_DAY: ["FREQ=MONTHLY", f"BYDAY={self.place}{self.day}"],
            Repeat.MONTHLY_DATE: ["FREQ=MONTHLY", f"BYMONTHDAY={self.number}"],
        }[self.repeat]
        if self.step > 1:
            parts.insert(1, f"INTERVAL={self.step}")
        if self.ending is Ending.COUNT:
            parts.append(f"COUNT={self.count}")
        elif self.ending is Ending.UNTIL and self.until is not None:
            last = datetime.combine(self.until, time(23, 59, 59), zone).astimezone(UTC)
            parts.append(f"UNTIL={last:%Y%m%dT%H%M%SZ}")
        return ";".join(parts)

    def _check(self) -> None:
        if not 1 <= self.step <= LONGEST_STEP:
            raise RuleViolation(f"Every 1 to {LONGEST_STEP}.", "step")
        if self.repeat is Repeat.WEEKLY and not set(self.days) & set(DAYS):
            raise RuleViolation("Choose at least one day of the week.", "days")
        if self.repeat is Repeat.MONTHLY_DATE and not 1 <= self.number <= 31:
            raise RuleViolation("Choose a day of the month from 1 to 31.", "date")
        if self.ending is Ending.UNTIL and self.until is None:
            raise RuleViolation("Say until which day.", "until")
        if self.ending is Ending.COUNT and not 1 <= (self.count or 0) <= MOST_TIMES:
            raise RuleViolation(f"Say how many times, from 1 to {MOST_TIMES}.", "count")


def rhythm_of(rule: str, zone: ZoneInfo) -> Rhythm | None:
    """A rule as it is said; None for one that cannot be said in the shapes there are."""
    parts = dict(part.partition("=")[::2] for part in rule.removeprefix("RRULE:").upper().split(";") if part)
    parts.pop("WKST", None)
    try:
        count, until = parts.pop("COUNT", None), _day_of(parts.pop("UNTIL", ""), zone)
        said = _shape(parts.pop("FREQ", ""), parts.pop("BYDAY", ""), parts.pop("BYMONTHDAY", ""))
        step = int(parts.pop("INTERVAL", "1"))
        if parts or said is None:
            return None
        ending = Ending.COUNT if count else Ending.UNTIL if until else Ending.NEVER
        return replace(said, step=step, ending=ending, until=until, count=int(count) if count else None)
    except ValueError:
        return None


def _shape(frequency: str, days: str, number: str) -> Rhythm | None:
    match frequency, bool(days), bool(number):
        case "DAILY", False, False:
            return Rhythm(Repeat.DAILY)
        case "WEEKLY", True, False if set(days.split(",")) <= set(DAYS):
            return Rhythm(Repeat.WEEKLY, days=tuple(days.split(",")))
        case "MONTHLY", True, False if days[-2:] in DAYS and int(days[:-2]) in PLACES:
            return Rhythm(Repeat.MONTHLY_DAY, place=int(days[:-2]), day=days[-2:])
        case "MONTHLY", False, True if 1 <= int(number) <= 31:
            return Rhythm(Repeat.MONTHLY_DATE, number=int(number))
    return None


def in_words(rule: str, zone: ZoneInfo) -> str:
    """The rule as a sentence without its full stop: "Every 2 weeks on Monday and Thursday, until 3 March 2027"."""
    said = rhythm_of(rule, zone)
    if said is None:
        return f"By the rule {rule}"
    one, many = UNITS[said.repeat]
    words = f"Every {one}" if said.step == 1 else f"Every {said.step} {many}"
    if said.repeat is Repeat.WEEKLY:
        words += f" on {_listed([DAY_NAMES[each] for each in DAYS if each in said.days])}"
    elif said.repeat is Repeat.MONTHLY_DAY:
        words += f" on the {PLACES[said.place]} {DAY_NAMES[said.day]}"
    elif said.repeat is Repeat.MONTHLY_DATE:
        words += f" on the {_ordinal(said.number)}"
    if said.count:
        words += ", once" if said.count == 1 else f", {said.count} times"
    elif said.until:
        words += f", until {said.until.day} {said.until:%B %Y}"
    return words


def _day_of(text: str, zone: ZoneInfo) -> date | None:
    if not text:
        return None
    if text.endswith("Z"):
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).astimezone(zone).date()
    return datetime.strptime(text[:8], "%Y%m%d").replace(tzinfo=UTC).date()


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
