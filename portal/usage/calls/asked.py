"""What somebody types to find calls, and what it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from portal.usage.calls.queries import LEAST_DIGITS, CallFilter
from portal.usage.calls.rules import CALL_ID_LENGTH, NUMBER_LENGTH, Outcome
from portal.usage.calls.rules.reading import searched_tail


class Mistake(StrEnum):
    """What is wrong with something that was typed."""

    SHORT = "short"
    TIME = "time"
    ORDER = "order"


@dataclass(frozen=True)
class Asked:
    """What stands in the fields, what is wrong with it by their names, and what is searched for.

    A number is compared by its last digits, a Call-ID as a whole; times are by the reader's clock.
    """

    typed: Mapping[str, str]
    wrong: Mapping[str, Mistake]
    wanted: CallFilter

    @property
    def kept(self) -> dict[str, str]:
        """What an address carries of it."""
        return {name: text for name, text in self.typed.items() if text}

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is asked for at all."""
        return any(self.typed.values())


def asked(typed: Mapping[str, str], zone: tzinfo) -> Asked:
    """What these fields ask for: `number`, `call_id`, `result`, `since` and `until`; others say nothing."""
    names = {"number": NUMBER_LENGTH, "call_id": CALL_ID_LENGTH, "result": 24, "since": 30, "until": 30}
    given = {name: typed.get(name, "").strip()[:most] for name, most in names.items()}
    wrong: dict[str, Mistake] = {}
    if given["number"] and len(searched_tail(given["number"])) < LEAST_DIGITS:
        wrong["number"] = Mistake.SHORT
    times = {name: _moment(given[name], zone) for name in ("since", "until")}
    wrong |= {name: Mistake.TIME for name, at in times.items() if at is None and given[name]}
    begin, end = times["since"], times["until"]
    if begin is not None and end is not None and begin >= end:
        wrong["until"] = Mistake.ORDER
    outcome = next((each for each in Outcome if each.value == given["result"]), None)
    given["result"] = outcome.value if outcome else ""
    return Asked(given, wrong, CallFilter(given["number"], given["call_id"], outcome, begin, end))


def _moment(text: str, zone: tzinfo) -> datetime | None:
    """A time as a browser writes it, by the clock in the zone: where that shows it twice it is the first."""
    try:
        wall = datetime.fromisoformat(text)
        return wall.replace(tzinfo=wall.tzinfo or zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
