"""Following one incident without a login, pure: what it is called, and when it is over.

Source: status-pages, section 1.1 (subscribe to one incident).
"""

from datetime import datetime, timedelta

PREFIX = "incident:"

AFTER_FIXED = timedelta(days=14)
"""How long after it was fixed an incident is still followed: it may come back, and its postmortem is due by then."""

AFTER_POSTMORTEM = timedelta(days=3)
"""How long after its postmortem was published: as long as mails about it may be under way."""


def thread_key(incident_id: int) -> str:
    """What the mails about an incident have in common, and so what is followed."""
    return f"{PREFIX}{incident_id}"


def incident_of(key: str) -> int | None:
    """The incident that mails in this conversation are about; None where they are about something else."""
    number = key.removeprefix(PREFIX)
    return int(number) if key.startswith(PREFIX) and number.isascii() and number.isdigit() else None


def ends_at(resolved_at: datetime | None, postmortem_at: datetime | None) -> datetime | None:
    """When an incident is followed no more: None while it is open, and again once it was reopened.

    `postmortem_at` is when its postmortem was published. One that comes later than anybody follows it is told to
    nobody who followed it.
    """
    if resolved_at is None:
        return None
    if postmortem_at is None:
        return resolved_at + AFTER_FIXED
    return max(resolved_at, postmortem_at) + AFTER_POSTMORTEM
