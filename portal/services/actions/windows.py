"""Moving, cancelling and finishing scheduled service by hand. What the clock does of it stands in `clockwork`.

Arithmetic is in UTC throughout: a window that lasts three hours does so over a change of the clocks too.
"""

from datetime import datetime

from portal import events
from portal.accounts.rules import paragraphs
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.services.actions.course import as_kept, due_of
from portal.services.actions.recording import (
    Held,
    Said,
    holdings_in,
    ring,
    same,
    still_held,
    tell,
    update_with,
    write,
)
from portal.services.actions.stating import checked_notes, checked_times
from portal.services.models import ServiceUpdate, ServiceWindow
from portal.services.queries.settings import settings
from portal.services.queries.wellbeing import well_after
from portal.services.rules import Scope, ServiceStatus, UpdateKind, WindowState, is_live


def move_window(
    window: ServiceWindow,
    starts_at: datetime,
    ends_at: datetime,
    zone: str,
    notes: str,
    *,
    notify: bool,
    version: int,
    by: Actor,
    now: datetime,
    idempotency_key: str,
) -> ServiceUpdate:
    """Give a window other times. One under way keeps its start; one that ended goes on if nobody said it is finished.

    `notes` replace those of the window, unless empty. StaleEdit when somebody else changed it since `version`.
    """
    if known := _begin(window, version, idempotency_key):
        same(known, kind=UpdateKind.MOVED, starts_at=starts_at, ends_at=ends_at)
        return same(known, notes=paragraphs(notes), notify=notify)
    text = checked_notes(notes)
    if window.state is WindowState.CANCELLED or window.confirmed_at is not None:
        raise RuleViolation("This window is over. Announce a new one.")
    has_begun = window.starts_at <= now
    if has_begun and starts_at != window.starts_at:
        raise RuleViolation("It has begun, so only its end can be moved.", "starts_at")
    checked_times(starts_at, ends_at, zone, now)
    if (starts_at, ends_at) == (window.starts_at, window.ends_at) and text in ("", window.notes):
        raise RuleViolation("These are the times it has.", "starts_at")
    was = as_kept(window)
    window.starts_at, window.ends_at, window.zone, window.notes = starts_at, ends_at, zone, text or window.notes
    window.notify = window.notify or notify
    window.sequence += 1
    window.ended_at = window.asked_at = None
    reminder = settings().reminder
    if has_begun:
        window.state = WindowState.STARTED
        window.started_at = window.started_at or now
    else:
        window.state = WindowState.ANNOUNCED
        # Who is told of the new times this late needs no reminder of them.
        window.reminded_at = None if starts_at - reminder > now else now
    window.due_at = due_of(window, reminder)
    return _told(window, UpdateKind.MOVED, text, was=was, notify=notify, by=by, now=now, key=idempotency_key)


def cancel_window(
    window: ServiceWindow,
    notes: str,
    *,
    notify: bool,
    version: int,
    by: Actor,
    now: datetime,
    idempotency_key: str,
) -> ServiceUpdate:
    """Call a window off, ahead or under way. StaleEdit when somebody else changed it since `version`."""
    if known := _begin(window, version, idempotency_key):
        return same(known, kind=UpdateKind.CANCELLED, notes=paragraphs(notes), notify=notify)
    text = checked_notes(notes)
    if not is_live(window.state, window.ends_at, now):
        raise RuleViolation("This window is over; there is nothing left to cancel.")
    was = as_kept(window)
    window.state, window.ended_at, window.due_at = WindowState.CANCELLED, now, None
    window.sequence += 1
    return _told(window, UpdateKind.CANCELLED, text, was=was, notify=notify, by=by, now=now, key=idempotency_key)


def finish_window(
    window: ServiceWindow,
    notes: str,
    *,
    notify: bool,
    version: int,
    by: Actor,
    now: datetime,
    idempotency_key: str,
) -> ServiceUpdate | None:
    """Say that the work of a window is done: one under way ends now, and those who are well again are told.

    One that ended by itself is confirmed, which tells nobody anything new: then there is no update, and None is
    returned, as it is for one that was confirmed already. StaleEdit when somebody else changed it since `version`.
    """
    db.session.refresh(window, with_for_update=True)
    if _is_confirmed(window) and update_with(idempotency_key) is None:
        return None
    if known := _begin(window, version, idempotency_key):
        return same(known, kind=UpdateKind.FINISHED, notes=paragraphs(notes), notify=notify)
    text = checked_notes(notes)
    if window.state is WindowState.CANCELLED or window.confirmed_at is not None:
        raise RuleViolation("This window is over already.")
    if window.starts_at > now:
        raise RuleViolation("It has not begun yet. Move it, or cancel it.")
    was = as_kept(window)
    is_over = window.state is WindowState.ENDED
    window.confirmed_at, window.due_at = now, None
    if is_over:
        db.session.flush()
        events.ring(events.STAFF)
        audit.record("service_window.confirm", object_kind="service_window", object_id=window.id, by=by, now=now)
        return None
    window.state, window.ended_at = WindowState.ENDED, min(now, window.ends_at)
    return _told(window, UpdateKind.FINISHED, text, was=was, notify=notify, by=by, now=now, key=idempotency_key)


def _is_confirmed(window: ServiceWindow) -> bool:
    """Whether it ended by itself and somebody has said since that its work is done."""
    ended_at, confirmed_at = window.ended_at, window.confirmed_at
    is_over = window.state is WindowState.ENDED
    return is_over and ended_at is not None and confirmed_at is not None and ended_at < confirmed_at


def _begin(window: ServiceWindow, version: int, key: str) -> ServiceUpdate | None:
    """Lock the window for an act of its own; the update of it this key has made already, if it has."""
    db.session.refresh(window, with_for_update=True)
    known = update_with(key)
    if known is not None:
        return same(known, window_id=window.id)
    if window.version != version:
        raise StaleEdit
    return None


def _told(
    window: ServiceWindow,
    kind: UpdateKind,
    notes: str,
    *,
    was: dict[str, object],
    notify: bool,
    by: Actor,
    now: datetime,
    key: str,
) -> ServiceUpdate:
    """The update of an act on a window: for all that is in it; that it is finished, only for what is well then."""
    db.session.flush()
    inside = still_held(holdings_in(window.id), now)
    is_end = kind is UpdateKind.FINISHED
    targets = well_after(inside, now) if is_end else inside
    made, is_new = write(
        Said(
            kind=kind,
            status=ServiceStatus.NORMAL if is_end else ServiceStatus.SCHEDULED,
            notes=notes,
            ticket=window.ticket,
            began_at=window.ended_at if is_end else now,
            starts_at=window.starts_at,
            ends_at=window.ends_at,
            notify=notify,
            window_id=window.id,
            before=ServiceStatus.SCHEDULED if is_end or kind is UpdateKind.CANCELLED else None,
        ),
        targets,
        scope=scope_of(inside),
        chosen={"was": was},
        author_id=by.person_id,
        now=now,
        idempotency_key=key,
    )
    if is_new:
        tell(made, targets, by=by, now=now)
        ring(inside)
    return made


def scope_of(targets: list[Held]) -> Scope:
    """For how many holdings an act on a window was."""
    return Scope.ONE if len(targets) == 1 else Scope.CHOSEN
