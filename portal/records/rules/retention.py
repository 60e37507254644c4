"""How long records are kept, pure: the bounds of a setting and when it is time to look."""

from datetime import datetime, timedelta

LONGEST_DAYS = 3650
"""Ten years; whoever must keep longer exports."""

LOOK_EVERY = timedelta(hours=20)
"""Each kind of record is looked through once a day; a little less, so that the hour does not wander."""


def refusal(days: int | None, least: int) -> str:
    """What is wrong with a number of days, as a sentence; "" when it will do."""
    if days is None or not least <= days <= LONGEST_DAYS:
        return f"Keep these for {least:,} to {LONGEST_DAYS:,} days."
    return ""


def is_due(last_at: datetime | None, now: datetime) -> bool:
    """Whether it is time to forget what has become old."""
    return last_at is None or now - last_at >= LOOK_EVERY
