"""`/api/v1/broadcasts`: what is sent to many, how far it is, and steering it."""

from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Moment, Switch, SwitchInAddress, Text, Word, ids
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.catalogue.notices import actions as notices
from portal.catalogue.notices.rules import BODY_LENGTH, SUBJECT_LENGTH, VARIABLES, Chosen
from portal.errors import NotFound, RuleViolation
from portal.keyset import Piece
from portal.notifications import actions
from portal.notifications.listings import BROADCAST_ORDERS, broadcast, broadcasts
from portal.notifications.models import Broadcast
from portal.notifications.queries import progress_of_many
from portal.notifications.rules import BroadcastState, Progress

blueprint = Resources(
    Resource.BROADCASTS,
    about="What is sent to many, and how far it is. A notice by hand is made here; broadcasts about incidents make "
    "themselves. Steering needs no ETag: twice is harmless.",
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


KNOWN = ", ".join(f"{{{{{name}}}}}" for name in VARIABLES)

NAMES = {
    "companies": "company_ids",
    "services": "service_ids",
    "components": "component_ids",
    "domains": "portal_ids",
    "chosen": "company_ids",
}
"""What the parts of a choice are called here."""


class NewBroadcast(Shape):
    """A notice by hand. Whoever any of the lists names gets it, once."""

    subject = Text(least=1, most=SUBJECT_LENGTH, required=True)
    body = Text(
        least=1,
        most=BODY_LENGTH,
        required=True,
        metadata={"description": f"Markdown. These are filled in for each reader, here and in the subject: {KNOWN}."},
    )
    subject_de = Text(
        most=SUBJECT_LENGTH, load_default="", metadata={"description": "For readers of German, together with its text."}
    )
    body_de = Text(most=BODY_LENGTH, load_default="")
    everyone = Switch(load_default=False, metadata={"description": "Every company; then no list may name any."})
    company_ids = ids(load_default=list)
    service_ids = ids(load_default=list, metadata={"description": "Companies that hold one of these."})
    component_ids = ids(
        load_default=list,
        metadata={"description": "Companies that depend on one of these, directly or through a service."},
    )
    portal_ids = ids(load_default=list, metadata={"description": "Companies at home on one of these."})


@blueprint.makes("", NewBroadcast, BroadcastShape, summary="Send a notice by hand")
def send_broadcast(body: dict[str, Any]) -> Answer:
    """It begins at once. Whoever left the list of notices gets none; an area that is switched off stops nothing."""
    wordings = {
        "en": {"subject": body["subject"], "body": body["body"]},
        "de": {"subject": body["subject_de"], "body": body["body_de"]},
    }
    try:
        found = notices.send_at_once(wordings, _chosen(body), by=access.actor(), now=clock.utcnow())
    except RuleViolation as violation:
        raise RuleViolation(violation.sentence, NAMES.get(violation.field or "", violation.field)) from None
    return Answer(_one(found).data, f"/broadcasts/{found.id}")


def _chosen(body: dict[str, Any]) -> Chosen:
    chosen = Chosen.by_kind({kind: body[name] for kind, name in NAMES.items() if kind != "chosen"})
    if not body["everyone"]:
        return chosen
    if not chosen.is_nobody:
        raise RuleViolation("Either everyone, or those that the lists name.", "everyone")
    return Chosen(everyone=True)


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
