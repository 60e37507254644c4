"""What the audit trail is searched for, as it stands in the address of the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from portal.accounts.queries import person_by_email
from portal.accounts.queries.names import company_named
from portal.audit.queries import Place, Search
from portal.language import zone

FIELDS = ("q", "person", "company", "about", "kind", "id", "from", "to")


@dataclass(frozen=True)
class Asked:
    """The search somebody asked for. `problems` has a sentence for each field that cannot be understood."""

    values: Mapping[str, str]
    search: Search
    problems: Mapping[str, str]

    @property
    def is_narrowed(self) -> bool:
        return bool(self.values)


def asked(arguments: Mapping[str, str], zone_name: str) -> Asked:
    """Read the search; days are those of the reader's zone, both included."""
    values = {name: arguments[name].strip()[:200] for name in FIELDS if arguments.get(name, "").strip()}
    problems: dict[str, str] = {}
    wanted: dict[str, Any] = {
        "text": values.get("q", ""),
        "noun": values.get("about", ""),
        "object_kind": values.get("kind", ""),
        "object_id": _number(values, "id", problems),
        "person_id": _person(values, problems),
        "company_id": _company(values, problems),
        "from_at": _midnight(values, "from", zone_name, problems),
        "to_at": _midnight(values, "to", zone_name, problems, after=1),
    }
    return Asked(values, Search(**wanted), problems)


def place(text: str) -> Place | None:
    """Where a page of the trail begins, from the address; None for the newest, ValueError for what is no place."""
    if not text:
        return None
    at, _, entry_id = text.rpartition("_")
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None or not (entry_id.isascii() and entry_id.isdigit() and len(entry_id) < 19):
        raise ValueError(text)
    try:
        return Place(moment.astimezone(UTC), int(entry_id))
    except OverflowError:
        # The first and the last day there are have no moment in UTC in every zone.
        raise ValueError(text) from None


def written(found: Place | None) -> str | None:
    """The same as text for an address."""
    return f"{found.at.isoformat()}_{found.id}" if found else None


def _number(values: Mapping[str, str], name: str, problems: dict[str, str]) -> int | None:
    text = values.get(name, "").removeprefix("#")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        problems[name] = "That is not a number."
        return None
    return int(text)


def _person(values: Mapping[str, str], problems: dict[str, str]) -> int | None:
    text = values.get("person", "")
    if not text or text.startswith("#"):
        return _number(values, "person", problems)
    found = person_by_email(text)
    if found is None:
        problems["person"] = "Nobody has this address. A former person is found by number, such as #12."
    return found.id if found else None


def _company(values: Mapping[str, str], problems: dict[str, str]) -> int | None:
    text = values.get("company", "")
    if not text or text.startswith("#"):
        return _number(values, "company", problems)
    found = company_named(text)
    if found is None:
        problems["company"] = "No company is called so. One that was deleted is found by number, such as #12."
    return found.id if found else None


def _midnight(
    values: Mapping[str, str], name: str, zone_name: str, problems: dict[str, str], after: int = 0
) -> datetime | None:
    text = values.get(name)
    if not text:
        return None
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days=after), time(), zone(zone_name))
    except (ValueError, OverflowError):
        problems[name] = "Write the day as 2026-11-30."
        return None
