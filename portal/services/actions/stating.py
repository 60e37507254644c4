"""Stating how holdings are: one, some, or every holder's of a service, in one act."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, literal, select, update

from portal.accounts.rules import one_line, paragraphs
from portal.audit.rules import Actor
from portal.catalogue.actions.shared import new_public_id
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.rules.templates import blanks
from portal.language import TIME_ZONES
from portal.services.actions.course import BEGAN, due_of
from portal.services.actions.recording import (
    RAW,
    SENT_BEFORE,
    Held,
    Said,
    close_periods,
    forget_loaded,
    held,
    same,
    targets_of,
    tell,
    update_with,
    write,
)
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, UpdateTarget, WindowHolding
from portal.services.queries.settings import settings
from portal.services.rules import (
    AHEAD_AT_MOST,
    BACK_AT_MOST,
    NAG_AFTER,
    NOTES_LENGTH,
    OVER,
    PROBLEMS,
    TICKET_LENGTH,
    Scope,
    ServiceStatus,
    UpdateKind,
    Wanted,
    WindowState,
)


def set_status(
    holding_ids: Collection[int],
    wanted: Wanted,
    *,
    scope: Scope,
    chosen: Mapping[str, Any],
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
    kind: UpdateKind = UpdateKind.STATED,
    incident_id: int | None = None,
) -> ServiceUpdate:
    """State this of these holdings, all of them or none, and tell their companies if `wanted.notify`.

    Scheduled service announces a window and leaves problems as they are; operating normally ends what was stated and
    takes the holdings out of windows under way. `kind` and `incident_id` are of a recovery. `scope` and `chosen` say
    how the holdings were chosen. The same key again returns the update it made the first time, unless something else
    is wanted now. RuleViolation names the field: `notes`, `starts_at`, `ends_at`, `zone`, `ticket`, `began_at` or
    `holdings`.
    """
    if known := update_with(idempotency_key):
        return _repeated(known, holding_ids, wanted)
    clean = checked(wanted, now)
    targets = held(holding_ids, now)
    is_window = clean.status is ServiceStatus.SCHEDULED
    window = _announce(clean, targets, author_id=author_id, now=now) if is_window else None
    made, is_new = write(
        Said(
            kind=UpdateKind.ANNOUNCED if is_window else kind,
            status=clean.status,
            notes=clean.notes,
            ticket=clean.ticket,
            began_at=clean.began_at,
            starts_at=clean.starts_at,
            ends_at=clean.ends_at,
            notify=clean.notify,
            window_id=window.id if window else None,
            incident_id=incident_id,
            nag_at=now + NAG_AFTER[0] if clean.status in PROBLEMS else None,
        ),
        targets,
        scope=scope,
        chosen=chosen,
        author_id=author_id,
        now=now,
        idempotency_key=idempotency_key,
    )
    if not is_new:
        if window is not None:
            db.session.delete(window)
            db.session.flush()
        return _repeated(made, holding_ids, wanted)
    if window is not None:
        _put_in(window, made)
    else:
        bring_to(made, now)
    tell(made, targets, by=by, now=now)
    return made


def _repeated(known: ServiceUpdate, holding_ids: Collection[int], wanted: Wanted) -> ServiceUpdate:
    """The update that was made with this key, if the same is wanted; it is not checked anew, as time has passed."""
    is_window = wanted.status is ServiceStatus.SCHEDULED
    same(
        known,
        status=wanted.status,
        notes=paragraphs(wanted.notes),
        ticket=one_line(wanted.ticket),
        notify=wanted.notify,
        began_at=known.created_at if is_window or wanted.began_at is None else wanted.began_at,
        starts_at=wanted.starts_at if is_window else None,
        ends_at=None if wanted.status is ServiceStatus.NORMAL else wanted.ends_at,
    )
    if {each.holding_id for each in targets_of(known.id)} != set(holding_ids):
        raise RuleViolation(SENT_BEFORE)
    return known


def bring_to(made: ServiceUpdate, now: datetime) -> None:
    """Have the update's targets be as it states: a problem, or operating normally."""
    if made.status is ServiceStatus.NORMAL:
        close_periods(made, made.began_at)
        _leave_windows(made, now)
        return
    close_periods(made, made.began_at, but=made.status)
    _begin_earlier(made)
    is_open = select(StatedPeriod.id).where(
        StatedPeriod.holding_id == UpdateTarget.holding_id, StatedPeriod.ended_at.is_(None)
    )
    opened = select(
        UpdateTarget.holding_id,
        UpdateTarget.company_id,
        UpdateTarget.service_id,
        literal(made.status, StatedPeriod.status.type),
        literal(made.began_at, StatedPeriod.began_at.type),
        literal(made.id),
    ).where(UpdateTarget.update_id == made.id, ~is_open.exists())
    columns = ["holding_id", "company_id", "service_id", "status", "began_at", "update_id"]
    db.session.execute(insert(StatedPeriod).from_select(columns, opened))


def _begin_earlier(made: ServiceUpdate) -> None:
    """Have problems that stand begin as early as the update says, which keeps when they did, for an undo."""
    targets = select(UpdateTarget.holding_id).where(UpdateTarget.update_id == made.id)
    is_later = (
        StatedPeriod.holding_id.in_(targets),
        StatedPeriod.ended_at.is_(None),
        StatedPeriod.began_at > made.began_at,
    )
    began: dict[str, list[int]] = {}
    for period_id, began_at in db.session.execute(select(StatedPeriod.id, StatedPeriod.began_at).where(*is_later)):
        began.setdefault(began_at.isoformat(), []).append(period_id)
    if not began:
        return
    made.chosen = {**made.chosen, BEGAN: began}
    db.session.execute(update(StatedPeriod).where(*is_later).values(began_at=made.began_at), execution_options=RAW)
    forget_loaded(StatedPeriod)
    db.session.flush()


def checked(wanted: Wanted, now: datetime) -> Wanted:
    """What was typed, tidied; RuleViolation where it cannot be stated."""
    notes = checked_notes(wanted.notes)
    ticket = one_line(wanted.ticket)
    if len(ticket) > TICKET_LENGTH:
        raise RuleViolation(f"A ticket number has at most {TICKET_LENGTH} characters.", "ticket")
    began_at = wanted.began_at
    starts_at, ends_at = wanted.starts_at, wanted.ends_at
    if wanted.status is ServiceStatus.SCHEDULED:
        began_at = None
        starts_at, ends_at = checked_times(starts_at, ends_at, wanted.zone, now)
    else:
        starts_at = None
        _check_beginning(began_at, now)
        if wanted.status is ServiceStatus.NORMAL:
            ends_at = None
        elif ends_at is not None:
            _check_estimate(ends_at, now)
    return Wanted(
        status=wanted.status,
        notes=notes,
        starts_at=starts_at,
        ends_at=ends_at,
        zone=wanted.zone,
        ticket=ticket,
        began_at=began_at,
        notify=wanted.notify,
    )


def checked_notes(notes: str) -> str:
    """Notes as they are stored; RuleViolation when they are too long or a blank is not filled."""
    text = paragraphs(notes)
    if len(text) > NOTES_LENGTH:
        raise RuleViolation(f"Notes have at most {NOTES_LENGTH:,} characters; these have {len(text):,}.", "notes")
    if unfilled := blanks(text):
        named = ", ".join(f"[{each}]" for each in unfilled[:3])
        raise RuleViolation(f"Fill in or take out what still stands in brackets: {named}.", "notes")
    return text


def checked_times(
    starts_at: datetime | None, ends_at: datetime | None, zone: str, now: datetime
) -> tuple[datetime, datetime]:
    """The times of a window; RuleViolation when they are none. It may have begun already, but not be over."""
    if zone not in dict(TIME_ZONES):
        raise RuleViolation("Choose a time zone from the list.", "zone")
    if starts_at is None:
        raise RuleViolation("Say when the work starts.", "starts_at")
    if ends_at is None:
        raise RuleViolation("Say when the work ends.", "ends_at")
    if ends_at <= starts_at:
        raise RuleViolation("The end must come after the start.", "ends_at")
    if ends_at <= now:
        raise RuleViolation("This window is over already.", "ends_at")
    if now - starts_at > BACK_AT_MOST:
        raise RuleViolation("The start is more than a year ago.", "starts_at")
    if ends_at - now > AHEAD_AT_MOST:
        raise RuleViolation("The end is more than two years ahead.", "ends_at")
    return starts_at, ends_at


def _check_beginning(began_at: datetime | None, now: datetime) -> None:
    if began_at is None:
        return
    if began_at > now:
        raise RuleViolation("It cannot have begun in the future.", "began_at")
    if now - began_at > BACK_AT_MOST:
        raise RuleViolation("It began more than a year ago. Check the date.", "began_at")


def _check_estimate(ends_at: datetime, now: datetime) -> None:
    if ends_at <= now:
        raise RuleViolation("The estimate is over already. Give a later one, or none.", "ends_at")
    if ends_at - now > AHEAD_AT_MOST:
        raise RuleViolation("The estimate is more than two years ahead.", "ends_at")


def _announce(wanted: Wanted, targets: list[Held], *, author_id: int | None, now: datetime) -> ServiceWindow:
    starts_at, ends_at = wanted.starts_at, wanted.ends_at
    if starts_at is None or ends_at is None:
        raise ValueError("a window without times cannot have passed the checks")
    window = ServiceWindow(
        public_id=new_public_id(),
        state=WindowState.ANNOUNCED,
        notes=wanted.notes,
        ticket=wanted.ticket,
        starts_at=starts_at,
        ends_at=ends_at,
        zone=wanted.zone,
        notify=wanted.notify,
        sequence=0,
        announced_at=now,
        owner_id=author_id,
    )
    window.due_at = due_of(window, settings().reminder)
    db.session.add(window)
    db.session.flush()
    return window


def _put_in(window: ServiceWindow, made: ServiceUpdate) -> None:
    """Put the update's targets into the window."""
    targets = select(
        literal(window.id), UpdateTarget.holding_id, UpdateTarget.company_id, UpdateTarget.service_id
    ).where(UpdateTarget.update_id == made.id)
    columns = ["window_id", "holding_id", "company_id", "service_id"]
    db.session.execute(insert(WindowHolding).from_select(columns, targets))


def _leave_windows(made: ServiceUpdate, now: datetime) -> None:
    """Take the update's targets out of windows under way; a window that is empty then is over, and confirmed."""
    targets = select(UpdateTarget.holding_id).where(UpdateTarget.update_id == made.id)
    in_one = select(WindowHolding.window_id).where(
        WindowHolding.holding_id.in_(targets), WindowHolding.left_at.is_(None)
    )
    under_way = list(
        db.session.scalars(
            select(ServiceWindow)
            .where(
                ServiceWindow.id.in_(in_one),
                ServiceWindow.state.not_in(OVER),
                ServiceWindow.starts_at <= now,
                ServiceWindow.ends_at > now,
            )
            .order_by(ServiceWindow.id)
            .with_for_update()
        )
    )
    if not under_way:
        return
    ids = [window.id for window in under_way]
    db.session.execute(
        update(WindowHolding)
        .where(WindowHolding.window_id.in_(ids), WindowHolding.left_at.is_(None), WindowHolding.holding_id.in_(targets))
        .values(left_at=now),
        execution_options=RAW,
    )
    forget_loaded(WindowHolding)
    left: dict[int, int] = dict(
        db.session.execute(
            select(WindowHolding.window_id, func.count())
            .where(WindowHolding.window_id.in_(ids), WindowHolding.left_at.is_(None))
            .group_by(WindowHolding.window_id)
        ).all()
    )
    for window in under_way:
        if not left.get(window.id):
            window.state, window.ended_at, window.confirmed_at, window.due_at = WindowState.ENDED, now, now, None
    db.session.flush()
