"""How staff read a scheduled window: the day once, then from when to when."""

from datetime import datetime

from portal.language import reader_zone


def window_words(starts_at: datetime | None, ends_at: datetime | None) -> str:
    """Such as “Sat 21 Nov 2026, 08:25–10:25 GMT”, in the reader's zone; "" for no window."""
    if starts_at is None:
        return ""
    zone = reader_zone()
    start = starts_at.astimezone(zone)
    words = f"{start:%a} {start.day} {start:%b %Y, %H:%M}"
    if ends_at is None:
        return f"{words} {start:%Z}"
    end = ends_at.astimezone(zone)
    if end.date() == start.date():
        # Where clocks change within the window, each end says which of them it is read from.
        return f"{words}{'' if start.tzname() == end.tzname() else f' {start:%Z}'}–{end:%H:%M %Z}"
    return f"{words} {start:%Z} – {end:%a} {end.day} {end:%b %Y, %H:%M %Z}"
