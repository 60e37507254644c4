"""What can still be taken back."""

from datetime import datetime

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import aliased

from portal.extensions import db
from portal.notifications.models import Delivery
from portal.notifications.rules import DeliveryState
from portal.services.models import ServiceUpdate, UpdateBroadcast, UpdateTarget, WindowHolding
from portal.services.rules import BY_HAND, UNDO_WITHIN

NOT_SENT = (DeliveryState.PENDING, DeliveryState.CANCELLED, DeliveryState.SUPPRESSED)
"""How deliveries stand of which nothing has gone out. A pending one may be on its way: only locking can tell."""


def undoable(update: ServiceUpdate, now: datetime) -> bool:
    """Whether an update can still be undone, as far as it can be seen. At most two queries, none for an old one."""
    return why_not_undone(update, now) is None


def why_not_undone(update: ServiceUpdate, now: datetime) -> str | None:
    """In a sentence why an update cannot be undone; None where it can."""
    if update.undone_at is not None:
        return "It was undone already."
    if update.kind not in BY_HAND:
        return "The clock did this, and not a person."
    if now - update.created_at > UNDO_WITHIN:
        return "It is more than ten minutes old."
    if db.session.scalar(_later(update)) is not None:
        return "Something newer was said of these services since."
    sent = select(Delivery.id).where(Delivery.broadcast_id.in_(broadcast_ids(update)), Delivery.state.not_in(NOT_SENT))
    if db.session.scalar(sent.limit(1)) is not None:
        return "Mails of it were sent already. State what is true now instead, and say so."
    return None


def broadcast_ids(update: ServiceUpdate) -> list[int]:
    """The broadcasts that tell of an update. One query."""
    return list(db.session.scalars(select(UpdateBroadcast.broadcast_id).where(UpdateBroadcast.update_id == update.id)))


def _later(update: ServiceUpdate) -> Select[int]:
    """A later update that was not undone, of the same window, of one of the same holdings, or of a window they left.

    Who has left a window hears nothing of what is told of it then, so they cannot go back into it as if they had.
    """
    own, other = aliased(UpdateTarget), aliased(UpdateTarget)
    same = select(other.update_id).join(own, own.holding_id == other.holding_id).where(own.update_id == update.id)
    left = (
        select(WindowHolding.window_id)
        .join(UpdateTarget, UpdateTarget.holding_id == WindowHolding.holding_id)
        .where(UpdateTarget.update_id == update.id, WindowHolding.left_at == update.created_at)
    )
    about: list[ColumnElement[bool]] = [
        ServiceUpdate.id.in_(same.where(other.update_id > update.id)),
        ServiceUpdate.window_id.in_(left),
    ]
    if update.window_id is not None:
        about.append(ServiceUpdate.window_id == update.window_id)
    return (
        select(ServiceUpdate.id)
        .where(ServiceUpdate.id > update.id, ServiceUpdate.undone_at.is_(None), or_(*about))
        .limit(1)
    )
