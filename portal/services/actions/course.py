"""Where a window stands: what is due of it next, and how an update keeps what was before it."""

from datetime import datetime, timedelta

from portal.services.models import ServiceUpdate, ServiceWindow
from portal.services.rules import Course, Step, WindowState, next_step

KEPT = ("state", "starts_at", "ends_at", "zone", "notes", "notify", "sequence")
KEPT_MOMENTS = ("reminded_at", "started_at", "ended_at", "confirmed_at", "asked_at")

BEGAN = "began"
"""Where an update keeps (in `chosen`) when the periods began that it has begin earlier: their ids by the moment."""


def step_of(window: ServiceWindow, reminder: timedelta) -> tuple[Step, datetime] | None:
    """What is due of this window next, and when."""
    course = Course(
        state=window.state,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        is_reminded=window.reminded_at is not None,
        is_confirmed=window.confirmed_at is not None,
        is_asked=window.asked_at is not None,
    )
    return next_step(course, window.announced_at, reminder)


def due_of(window: ServiceWindow, reminder: timedelta) -> datetime | None:
    """When something is due of this window next; None when nothing is."""
    step = step_of(window, reminder)
    return step[1] if step else None


def as_kept(window: ServiceWindow) -> dict[str, object]:
    """The window as it stands, as an update about it keeps it (in `chosen`, under "was")."""
    kept = {name: getattr(window, name) for name in (*KEPT, *KEPT_MOMENTS)}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in kept.items()}


def was_of(made: ServiceUpdate) -> dict[str, object]:
    """What the window was before this update, by column."""
    was = made.chosen.get("was", {})
    found: dict[str, object] = {name: was[name] for name in KEPT if name in was}
    for name in ("starts_at", "ends_at", *KEPT_MOMENTS):
        if name in was:
            found[name] = datetime.fromisoformat(was[name]) if was[name] else None
    if "state" in found:
        found["state"] = WindowState(str(found["state"]))
    return found
