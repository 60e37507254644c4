"""`/api/v1/broadcasts`: what is sent to many, how far it is, and steering it."""

from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Moment, SwitchInAddress, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.errors import NotFound
from portal.keyset import Piece
from portal.notifications import actions
from portal.notifications.listings import BROADCAST_ORDERS, broadcast, broadcasts
from portal.notifications.models import Broadcast
from portal.notifications.queries import progress_of_many
from portal.notifications.rules import BroadcastState, Progress

blueprint = Resources(
    Resource.BROADCASTS, about="What is sent to many, and how far it is. Steering needs no ETag: twice is harmless."
)

FIGURES = ("sent", "waiting", "retrying", "failed", "left_out", "doubtful", "total")


class ProgressShape(Shape):
    sent = fields.Integer(required=True)
    waiting = fields.Integer(required=True)
    retrying = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    left_out = fields.Integer(required=True, metadata={"description": "Suppressed, cancelled or expired."})
    doubtful = fields.Integer(required=True, metadata={"description": "Offered twice and never answered."})
    total = fields.Integer(required=True)
    seconds_left = fields.Integer(required=True, allow_none=True, metadata={"description": "At the present pace."})


class BroadcastShape(Shape):
    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    topic = fields.String(required=True)
    title = fields.String(required=True)
    state = Word(BroadcastState, required=True)
    note = fields.String(required=True, allow_none=True, metadata={"description": "Why it is paused."})
    progress = fields.Nested(ProgressShape, required=True)
    created_at = Moment(required=True)
    expires_at = Moment(required=True)
    finished_at = Moment(required=True, allow_none=True)


class BroadcastQuery(ListQuery):
    q = Text(most=200, metadata={"description": "Broadcasts whose title holds this."})
    state = Word(BroadcastState)
    open = SwitchInAddress(metadata={"description": "Only those that may still send, or only those that are over."})
    since = Moment(metadata={"description": "Made at this moment or later."})
    until = Moment(metadata={"description": "Made before this moment."})
    sort = sorted_by(BROADCAST_ORDERS)


@blueprint.lists("", BroadcastQuery, BroadcastShape, summary="List broadcasts")
def list_broadcasts(query: dict[str, Any]) -> Piece[Any]:
    found = broadcasts(
        wanted(query, BROADCAST_ORDERS),
        text=query.get("q"),
        state=query.get("state"),
        is_open=query.get("open"),
        since=query.get("since"),
        until=query.get("until"),
    )
    figures = progress_of_many(found.items, clock.utcnow())
    return Piece([_shown(each, figures[each.id]) for each in found.items], found.next)


@blueprint.reads("/<int:broadcast_id>", BroadcastShape, summary="Read a broadcast and its progress")
def read_broadcast(broadcast_id: int) -> Answer:
    return _one(_broadcast(broadcast_id))


@blueprint.does("/<int:broadcast_id>/pause", BroadcastShape, summary="Pause a broadcast", of_version=False)
def pause_broadcast(broadcast_id: int) -> Answer:
    """It stops where it is; what a server already has will still be answered."""
    by = access.actor()
    found = _broadcast(broadcast_id, to_steer=True)
    actions.pause(found, f"Paused by {by.label}.", by=by, now=clock.utcnow())
    return _one(found)


@blueprint.does("/<int:broadcast_id>/resume", BroadcastShape, summary="Let a broadcast go on", of_version=False)
def resume_broadcast(broadcast_id: int) -> Answer:
    found = _broadcast(broadcast_id, to_steer=True)
    actions.resume(found, by=access.actor(), now=clock.utcnow())
    return _one(found)


@blueprint.does("/<int:broadcast_id>/cancel", BroadcastShape, summary="Cancel a broadcast", of_version=False)
def cancel_broadcast(broadcast_id: int) -> Answer:
    """What no server has been offered yet is not sent any more."""
    found = _broadcast(broadcast_id, to_steer=True)
    actions.cancel(found, by=access.actor(), now=clock.utcnow())
    return _one(found)


@blueprint.does("/<int:broadcast_id>/retry", BroadcastShape, summary="Try what failed once more", of_version=False)
def retry_broadcast(broadcast_id: int) -> Answer:
    """Addresses that are suppressed are left out."""
    found = _broadcast(broadcast_id, to_steer=True)
    actions.retry_failed(found, by=access.actor(), now=clock.utcnow())
    return _one(found)


def _broadcast(broadcast_id: int, *, to_steer: bool = False) -> Broadcast:
    found = broadcast(broadcast_id, to_steer=to_steer)
    if found is None:
        raise NotFound
    return found


def _one(found: Broadcast) -> Answer:
    return Answer(_shown(found, progress_of_many([found], clock.utcnow())[found.id]))


def _shown(found: Broadcast, progress: Progress) -> dict[str, Any]:
    names = ("id", "kind", "topic", "title", "state", "note", "created_at", "expires_at", "finished_at")
    figures = {name: getattr(progress, name) for name in (*FIGURES, "seconds_left")}
    return {name: getattr(found, name) for name in names} | {"progress": figures}
