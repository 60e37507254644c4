"""What calendars are told (RFC 5545): single entries for mails and downloads, and whole feeds; METHOD is PUBLISH."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icalendar import Event

REFRESHED_AFTER = timedelta(minutes=15)
"""How often a calendar program is asked to look at a feed again."""


@dataclass(frozen=True)
class Entry:
    """What a calendar is told: `uid` stays the same whatever becomes of it, `sequence` is raised by every change."""

    uid: str
    sequence: int
    starts_at: datetime
    ends_at: datetime
    is_cancelled: bool
    changed_at: datetime
    organizer: str


def event_of(entry: Entry, *, summary: str, description: str, language: str, url: str = "") -> Event:
    """The entry as a component: times are UTC, and it keeps nobody from being free. Without a `uid` it has none."""
    from icalendar import Event, vCalAddress

    event = Event()
    if entry.uid:
        event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", entry.changed_at.astimezone(UTC))
    event.add("last-modified", entry.changed_at.astimezone(UTC))
    event.add("dtstart", entry.starts_at.astimezone(UTC))
    event.add("dtend", entry.ends_at.astimezone(UTC))
    event.add("summary", summary, parameters={"LANGUAGE": language})
    if description:
        event.add("description", description, parameters={"LANGUAGE": language})
    if url:
        event.add("url", url)
    event.add("status", "CANCELLED" if entry.is_cancelled else "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    event.add("organizer", vCalAddress(f"mailto:{entry.organizer}"))
    return event


def calendar_of(events: Iterable[Event], *, name: str = "", language: str = "") -> str:
    """Entries as one calendar; with a `name` it is a feed, which says what it is called and how often to look."""
    from icalendar import Calendar, vDuration

    calendar = Calendar()
    calendar.add("prodid", "-//Signalbox//Service status//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    if name:
        calendar.add("name", name, parameters={"LANGUAGE": language})
        calendar.add("x-wr-calname", name)
        calendar.add("refresh-interval", REFRESHED_AFTER, parameters={"VALUE": "DURATION"})
        calendar.add("x-published-ttl", vDuration(REFRESHED_AFTER))
    for event in events:
        calendar.add_component(event)
    return str(calendar.to_ical(), "utf-8")


def add_line(event: Event, name: str, value: str, parameters: Mapping[str, str]) -> None:
    """Have an entry say something that it knows no words of its own for."""
    from icalendar import vText

    event.add(name, vText(value), parameters=dict(parameters))


def written(entry: Entry, *, summary: str, description: str, language: str) -> str:
    """One entry as a calendar of its own."""
    return calendar_of([event_of(entry, summary=summary, description=description, language=language)])


def line(name: str, value: str, parameters: Mapping[str, str] | None = None) -> str:
    """One line of an entry, whatever the value holds: escaped, folded, and ended by CRLF."""
    from icalendar import Parameters, vText
    from icalendar.parser import Contentline

    written_line = Contentline.from_parts(name, Parameters(parameters or {}), vText(value))
    return f"{str(written_line.to_ical(), 'utf-8')}\r\n"
