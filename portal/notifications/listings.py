"""Broadcasts and deliveries as a machine reads them, a piece at a time.

Letters about somebody's account (invitations, resets) are none of them: their links are for one reader alone.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import defer

from portal.accounts.rules import text_key
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.notifications.kinds import ACCOUNT_TOPIC
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import ACTIVE, BroadcastState, DeliveryState

BROADCAST_ORDERS = {"-id": Order((Broadcast.id,), is_descending=True), "id": Order((Broadcast.id,))}
DELIVERY_ORDERS = {"id": Order((Delivery.id,)), "-id": Order((Delivery.id,), is_descending=True)}


def broadcasts(
    wanted: Wanted,
    *,
    text: str | None = None,
    state: BroadcastState | None = None,
    is_open: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Piece[Broadcast]:
    """Broadcasts, narrowed by what is not None; the big columns stay unread. One query."""
    statement = (
        select(Broadcast)
        .options(defer(Broadcast.content), defer(Broadcast.selector))
        .where(Broadcast.topic != ACCOUNT_TOPIC)
    )
    if text is not None:
        statement = statement.where(Broadcast.title.icontains(text, autoescape=True))
    if state is not None:
        statement = statement.where(Broadcast.state == state)
    if is_open is not None:
        going_on = (*ACTIVE, BroadcastState.PAUSED)
        statement = statement.where(Broadcast.state.in_(going_on) if is_open else Broadcast.state.not_in(going_on))
    if since is not None:
        statement = statement.where(Broadcast.created_at >= since)
    if until is not None:
        statement = statement.where(Broadcast.created_at < until)
    return piece_of(statement, wanted)


def broadcast(broadcast_id: int, *, to_steer: bool = False) -> Broadcast | None:
    """One broadcast; with `to_steer` locked, so that the worker does not change it under the hand that steers it."""
    found = db.session.get(Broadcast, broadcast_id, with_for_update=to_steer)
    return None if found is None or found.topic == ACCOUNT_TOPIC else found


def deliveries(
    wanted: Wanted,
    *,
    broadcast_id: int | None = None,
    company_id: int | None = None,
    person_id: int | None = None,
    address: str | None = None,
    state: DeliveryState | None = None,
) -> Piece[Delivery]:
    """Deliveries, narrowed by what is not None; `address` is compared without case. One query."""
    statement = select(Delivery).options(defer(Delivery.values)).where(_is_of_a_broadcast())
    if broadcast_id is not None:
        statement = statement.where(Delivery.broadcast_id == broadcast_id)
    if company_id is not None:
        statement = statement.where(Delivery.company_id == company_id)
    if person_id is not None:
        statement = statement.where(Delivery.person_id == person_id)
    if address is not None:
        statement = statement.where(Delivery.address_key == text_key(address))
    if state is not None:
        statement = statement.where(Delivery.state == state)
    return piece_of(statement, wanted)


def delivery(delivery_id: int) -> Delivery | None:
    """One delivery."""
    return db.session.scalars(
        select(Delivery).options(defer(Delivery.values)).where(Delivery.id == delivery_id, _is_of_a_broadcast())
    ).one_or_none()


def _is_of_a_broadcast() -> ColumnElement[bool]:
    return exists().where(Broadcast.id == Delivery.broadcast_id, Broadcast.topic != ACCOUNT_TOPIC)
