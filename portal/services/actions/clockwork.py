"""What a clock does: scheduled service is told of again, starts and ends by itself, and staff are asked what stands.

How a holding *is* follows the clock without this (`rules.is_live`): a scheduler that is down or late never shows a
wrong state. Here are the notices, each of them once: a step is done under the lock of its row, and moves the row on, so
that two schedulers, a restart in the middle or a clock that jumps send none twice.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Select, case, exists, func, select, update
from sqlalchemy.orm import aliased

from portal import events
from portal.accounts.models import Company
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding, Service
from portal.extensions import db
from portal.services.actions.course import due_of, step_of
from portal.services.actions.recording import (
    RAW,
    Said,
    forget_loaded,
    holdings_in,
    ring,
    still_held,
    tell,
    update_with,
    write,
)
from portal.services.actions.windows import scope_of
from portal.services.asking import ask
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, UpdateTarget
from portal.services.queries.settings import settings
from portal.services.queries.wellbeing import well_after
from portal.services.rules import (
    LATE_AFTER,
    ServiceStatus,
    Step,
    UpdateKind,
    WindowState,
    next_nag,
)

AT_A_TIME = 100
"""Rows looked after in one go; further ones are due a moment later."""


def due_windows(now: datetime) -> list[int]:
    """The windows of which something is due, longest due first. One query."""
    return list(
        db.session.scalars(
            select(ServiceWindow.id)
            .where(ServiceWindow.due_at <= now)
            .order_by(ServiceWindow.due_at, ServiceWindow.id)
            .limit(AT_A_TIME)
        )
    )


def look_after(window_id: int, now: datetime) -> bool:
    """Do everything that is due of this window; False when somebody else is at it, or nothing is. The caller commits.

    What was missed while no clock ran is made up for as far as it still helps: a start or a reminder of what is over
    is left out, the end is told once, and says that it is late.
    """
    window = db.session.scalars(
        select(ServiceWindow)
        .where(ServiceWindow.id == window_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if window is None:
        return False
    reminder = settings().reminder
    has_done = False
    while (due := step_of(window, reminder)) and due[1] <= now:
        _STEPS[due[0]](window, due[1], now)
        has_done = True
    # What is due of it may have moved with the settings, too.
    window.due_at = due_of(window, reminder)
    db.session.flush()
    return has_done


def reckon_anew(now: datetime) -> None:
    """Have the clock look at every window that is ahead, because reminders come earlier or later from now on."""
    db.session.execute(
        update(ServiceWindow)
        .where(ServiceWindow.state == WindowState.ANNOUNCED, ServiceWindow.reminded_at.is_(None))
        .values(due_at=now),
        execution_options=RAW,
    )
    forget_loaded(ServiceWindow)
    events.wake("look_after_services")


def _remind(window: ServiceWindow, due_at: datetime, now: datetime) -> None:
    window.reminded_at = now
    if now < window.starts_at:
        _notify(window, UpdateKind.REMINDED, due_at, now)


def _start(window: ServiceWindow, due_at: datetime, now: datetime) -> None:
    window.state, window.started_at = WindowState.STARTED, now
    if now < window.ends_at:
        events.ring(events.STAFF)
        ring(holdings_in(window.id))


def _end(window: ServiceWindow, due_at: datetime, now: datetime) -> None:
    window.state, window.ended_at = WindowState.ENDED, window.ends_at
    db.session.flush()
    _notify(window, UpdateKind.ENDED, due_at, now)


def _ask(window: ServiceWindow, due_at: datetime, now: datetime) -> None:
    window.asked_at = now
    ask(
        f"{window.id}:{window.sequence}",
        "Is the scheduled service finished?",
        f"The window of {window.starts_at:%d %B %Y %H:%M} to {window.ends_at:%d %B %Y %H:%M} UTC has ended, and nobody "
        "has said that the work is done. Confirm it, or give it a later end.",
        person_id=window.owner_id,
        path=f"/admin/services/windows/{window.id}",
        now=now,
    )
    audit.record("service_window.ask", object_kind="service_window", object_id=window.id, by=SYSTEM, now=now)
    events.ring(events.STAFF)


_STEPS: dict[Step, Callable[[ServiceWindow, datetime, datetime], None]] = {
    Step.REMIND: _remind,
    Step.START: _start,
    Step.END: _end,
    Step.ASK: _ask,
}


def _notify(window: ServiceWindow, kind: UpdateKind, due_at: datetime, now: datetime) -> None:
    """The update of what the clock tells: a reminder to all in the window, its end to those who are well then."""
    key = f"window:{window.id}:{kind}:{window.sequence}"
    if update_with(key) is not None:
        return
    inside = still_held(holdings_in(window.id), now)
    is_end = kind is UpdateKind.ENDED
    targets = well_after(inside, now) if is_end else inside
    made, is_new = write(
        Said(
            kind=kind,
            status=ServiceStatus.NORMAL if is_end else ServiceStatus.SCHEDULED,
            notes="" if is_end else window.notes,
            ticket=window.ticket,
            began_at=window.ends_at if is_end else now,
            starts_at=window.starts_at,
            ends_at=window.ends_at,
            notify=window.notify,
            is_late=now - due_at > LATE_AFTER,
            window_id=window.id,
            before=ServiceStatus.SCHEDULED if is_end else None,
        ),
        targets,
        scope=scope_of(inside),
        chosen={},
        author_id=window.owner_id,
        now=now,
        idempotency_key=key,
    )
    if is_new:
        tell(made, targets, by=SYSTEM, now=now)
        ring(inside)


# Problems that were forgotten


def due_nags(now: datetime) -> list[int]:
    """The updates about whose problem staff are to be asked, longest due first. One query."""
    return list(
        db.session.scalars(
            select(ServiceUpdate.id)
            .where(ServiceUpdate.nag_at <= now)
            .order_by(ServiceUpdate.nag_at, ServiceUpdate.id)
            .limit(AT_A_TIME)
        )
    )


def nag(update_id: int, now: datetime) -> bool:
    """Ask whoever stated this problem whether it still stands, if it does; whether they were. The caller commits.

    What was said of a holding later counts instead: then its update asks.
    """
    made = db.session.scalars(
        select(ServiceUpdate)
        .where(ServiceUpdate.id == update_id, ServiceUpdate.nag_at <= now)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if made is None:
        return False
    standing = _standing_of(made)
    if not standing:
        made.nag_at = None
        db.session.flush()
        return False
    made.nags += 1
    made.nag_at = next_nag(made.created_at, now)
    hours = int((now - made.created_at) / timedelta(hours=1))
    what = "System is Down" if made.status is ServiceStatus.DOWN else "Intermittent Problems"
    of_whom = "one service" if standing == 1 else f"{standing:,} services"
    ask(
        f"nag:{made.id}:{made.nags}",
        f"{what} for {hours} hours: does it still stand?",
        f"{what} was stated {hours} hours ago, and still stands for {of_whom}. Tell customers how it is now, or that "
        "it is over.",
        person_id=made.author_id,
        path=f"/admin/services/updates/{made.id}",
        now=now,
    )
    events.ring(events.STAFF)
    db.session.flush()
    return True


def _standing_of(made: ServiceUpdate) -> int:
    """Of how many of its holdings the problem still stands, and nothing was said since. One query."""
    later, said = aliased(UpdateTarget), aliased(ServiceUpdate)
    is_superseded = exists(
        select(later.update_id)
        .join(said, said.id == later.update_id)
        .where(
            later.holding_id == UpdateTarget.holding_id,
            later.update_id > made.id,
            said.kind == UpdateKind.STATED,
            said.undone_at.is_(None),
        )
    )
    count = db.session.scalar(
        select(func.count())
        .select_from(UpdateTarget)
        .join(StatedPeriod, StatedPeriod.holding_id == UpdateTarget.holding_id)
        .join(Service, Service.id == UpdateTarget.service_id)
        .join(Company, Company.id == UpdateTarget.company_id)
        .where(
            UpdateTarget.update_id == made.id,
            StatedPeriod.ended_at.is_(None),
            Service.archived_at.is_(None),
            Company.archived_at.is_(None),
            ~is_superseded,
        )
    )
    return count or 0


def close_of_ended_holdings(now: datetime) -> int:
    """Have problems end with the holding they were stated of; returns how many did. The caller commits."""
    ended_at = (
        select(case((Holding.valid_to > StatedPeriod.began_at, Holding.valid_to), else_=StatedPeriod.began_at))
        .where(Holding.id == StatedPeriod.holding_id)
        .scalar_subquery()
    )
    closed = db.session.execute(
        update(StatedPeriod)
        .where(StatedPeriod.ended_at.is_(None), StatedPeriod.holding_id.in_(_ended_holdings(now)))
        .values(ended_at=ended_at),
        execution_options=RAW,
    )
    forget_loaded(StatedPeriod)
    count = cast(CursorResult[Any], closed).rowcount
    if count:
        events.ring(events.STAFF)
    return count


def _ended_holdings(now: datetime) -> Select[int]:
    """The holdings that have ended with a problem still stated of them."""
    return (
        select(Holding.id)
        .join(StatedPeriod, StatedPeriod.holding_id == Holding.id)
        .where(StatedPeriod.ended_at.is_(None), Holding.valid_to <= now)
    )


def is_anything_due(now: datetime) -> bool:
    """Whether a window or a problem is to be looked after. At most three queries."""
    window = select(ServiceWindow.id).where(ServiceWindow.due_at <= now).limit(1)
    question = select(ServiceUpdate.id).where(ServiceUpdate.nag_at <= now).limit(1)
    ended = _ended_holdings(now).limit(1)
    return any(db.session.scalar(each) is not None for each in (window, question, ended))
