"""Taking back what was said by mistake, while nobody has heard it."""

from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import aliased, selectinload

from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications import actions as notifications
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.services.actions.course import BEGAN, due_of, was_of
from portal.services.actions.recording import RAW, forget_loaded, lock, pieces, ring, targets_of
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, UpdateTarget, WindowHolding
from portal.services.queries.settings import settings
from portal.services.queries.undoing import broadcast_ids, why_not_undone
from portal.services.rules import NAG_AFTER, UpdateKind, WindowState

CALLED_OFF = (DeliveryState.CANCELLED, DeliveryState.SUPPRESSED)
"""How the deliveries of a broadcast stand that nobody got anything of."""

SENT = "Mails of it are being sent just now. State what is true now instead, and say so."


def undo(made: ServiceUpdate, *, by: Actor, now: datetime) -> None:
    """Take an update back: its mails are called off, and everything stands as before it. It stays in the history.

    RuleViolation, and nothing is changed, when it is too old, when something newer was said of the same holdings, or
    when a mail of it has gone out or is on its way.
    """
    lock(targets_of(made.id), now)
    db.session.refresh(made, with_for_update=True)
    if why := why_not_undone(made, now):
        raise RuleViolation(why)
    with db.session.begin_nested():
        _call_off(made, by=by, now=now)
        _put_back(made, now)
        made.undone_at, made.undone_by_id, made.nag_at = now, by.person_id, None
        db.session.flush()
    ring(targets_of(made.id))
    audit.record("service_update.undo", object_kind="service_update", object_id=made.id, by=by, now=now)


def _call_off(made: ServiceUpdate, *, by: Actor, now: datetime) -> None:
    """Cancel the mails. What a server may have been offered by now leaves everything as it is."""
    ids = broadcast_ids(made)
    broadcasts = db.session.scalars(select(Broadcast).where(Broadcast.id.in_(ids)).order_by(Broadcast.id))
    for broadcast in broadcasts:
        if broadcast.state is not BroadcastState.DONE:
            notifications.cancel(broadcast, by=by, now=now)
    gone = select(Delivery.id).where(Delivery.broadcast_id.in_(ids), Delivery.state.not_in(CALLED_OFF)).limit(1)
    if db.session.scalar(gone) is not None:
        raise RuleViolation(SENT)


def _put_back(made: ServiceUpdate, now: datetime) -> None:
    if made.kind in (UpdateKind.STATED, UpdateKind.RECOVERED):
        # What it opened goes first: a holding has one open period at most.
        db.session.execute(delete(StatedPeriod).where(StatedPeriod.update_id == made.id), execution_options=RAW)
        db.session.execute(
            update(StatedPeriod).where(StatedPeriod.ended_by_id == made.id).values(ended_at=None, ended_by_id=None),
            execution_options=RAW,
        )
        _begin_as_before(made)
        forget_loaded(StatedPeriod)
        _ask_again(made, now)
        _go_back_into_windows(made)
    elif made.window_id is not None:
        window = db.session.get(ServiceWindow, made.window_id, with_for_update=True, populate_existing=True)
        if window is not None:
            _as_it_was(window, made, now)
    db.session.flush()


def _begin_as_before(made: ServiceUpdate) -> None:
    """The problems it has begin earlier begin when they did."""
    for began_at, period_ids in made.chosen.get(BEGAN, {}).items():
        for ids in pieces(period_ids):
            db.session.execute(
                update(StatedPeriod)
                .where(StatedPeriod.id.in_(ids), StatedPeriod.ended_at.is_(None))
                .values(began_at=datetime.fromisoformat(began_at)),
                execution_options=RAW,
            )


def _ask_again(made: ServiceUpdate, now: datetime) -> None:
    """Staff are asked about the problems that stand again, even if the clock took them for over meanwhile.

    The newest update of each asks, as the clock leaves out what was said before it.
    """
    targets = select(UpdateTarget.holding_id).where(UpdateTarget.update_id == made.id)
    said = aliased(ServiceUpdate)
    newest = (
        select(func.max(said.id))
        .join(UpdateTarget, UpdateTarget.update_id == said.id)
        .join(StatedPeriod, StatedPeriod.holding_id == UpdateTarget.holding_id)
        .where(
            UpdateTarget.holding_id.in_(targets),
            StatedPeriod.ended_at.is_(None),
            said.kind == UpdateKind.STATED,
            said.undone_at.is_(None),
            said.id != made.id,
        )
        .group_by(UpdateTarget.holding_id)
    )
    db.session.execute(
        update(ServiceUpdate)
        .where(ServiceUpdate.id.in_(newest), ServiceUpdate.nag_at.is_(None))
        .values(nag_at=now + NAG_AFTER[0]),
        execution_options=RAW,
    )
    forget_loaded(ServiceUpdate)


def _go_back_into_windows(made: ServiceUpdate) -> None:
    """The holdings that left windows with this update are in them again, and the windows go on."""
    targets = select(UpdateTarget.holding_id).where(UpdateTarget.update_id == made.id)
    left = WindowHolding.holding_id.in_(targets) & (WindowHolding.left_at == made.created_at)
    windows = db.session.scalars(
        select(ServiceWindow)
        .where(ServiceWindow.id.in_(select(WindowHolding.window_id).where(left)))
        .order_by(ServiceWindow.id)
        .options(selectinload(ServiceWindow.owner))
        .with_for_update(of=ServiceWindow)
    ).all()
    db.session.execute(update(WindowHolding).where(left).values(left_at=None), execution_options=RAW)
    forget_loaded(WindowHolding)
    for window in windows:
        if window.state is WindowState.ENDED and window.ended_at == made.created_at:
            window.state = WindowState.STARTED if window.started_at else WindowState.ANNOUNCED
            window.ended_at = window.confirmed_at = None
            window.due_at = due_of(window, settings().reminder)


def _as_it_was(window: ServiceWindow, made: ServiceUpdate, now: datetime) -> None:
    if made.kind is UpdateKind.ANNOUNCED:
        window.state, window.ended_at, window.due_at = WindowState.CANCELLED, now, None
        return
    for name, value in was_of(made).items():
        setattr(window, name, value)
    window.due_at = due_of(window, settings().reminder)
