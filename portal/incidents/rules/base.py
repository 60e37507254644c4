"""The base status of a component: what staff set by hand, without an incident. Source: status-pages.md, rows 5, 6, 61.

Incidents and maintenance overlay it (`rules.effective_status`). Maintenance is never set by hand: it is planned, so
that customers are told of it.
"""

from datetime import datetime, timedelta

from portal.incidents.rules import STATUS_OF_SEVERITY, ComponentStatus, Severity

SEVERITY_OF_STATUS: dict[ComponentStatus, Severity] = {status: each for each, status in STATUS_OF_SEVERITY.items()}
"""What may be set by hand, as the severity it counts as; Operational is none."""

NOTE_LENGTH = 500

AHEAD_AT_MOST = timedelta(days=366)
"""How far ahead a base status may end by itself: what is further off is a slip of the keyboard."""

NAG_AFTER = tuple(timedelta(hours=hours) for hours in (3, 6, 12, 24))
"""When staff are asked about a component that is not operational by hand: once each, and then no more."""


def steps_past(from_at: datetime, now: datetime) -> int:
    """How many of the steps of NAG_AFTER have come."""
    return sum(from_at + after <= now for after in NAG_AFTER)


def due_at(from_at: datetime, to_at: datetime | None, nagged: int, now: datetime) -> datetime | None:
    """When the clock has something to do next of a base status that began then: None when there is nothing more.

    Asking at the next of its steps, unless it ends before; then its end, while that is ahead.
    """
    if to_at is not None and to_at <= now:
        return None
    moments = [from_at + after for after in NAG_AFTER[nagged : nagged + 1]]
    return min([*moments, to_at] if to_at is not None else moments, default=None)
