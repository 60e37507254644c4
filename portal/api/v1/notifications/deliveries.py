"""`/api/v1/deliveries`: one message to one address each, and what became of it."""

from typing import Any

from marshmallow import fields

from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import InAddress, Moment, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.errors import NotFound
from portal.keyset import Piece
from portal.notifications.listings import DELIVERY_ORDERS, deliveries, delivery
from portal.notifications.models import Delivery
from portal.notifications.rules import DeliveryState, Failure

blueprint = Resources(
    Resource.DELIVERIES, about="One message to one address each, with the server’s words. They hold addresses."
)

NAMES = (
    "id",
    "broadcast_id",
    "address",
    "name",
    "person_id",
    "company_id",
    "channel",
    "state",
    "attempts",
    "failure",
    "code",
    "answer",
    "message_id",
    "next_attempt_at",
    "created_at",
    "finished_at",
)


class DeliveryShape(Shape):
    id = fields.Integer(required=True)
    broadcast_id = fields.Integer(required=True)
    address = fields.String(required=True)
    name = fields.String(required=True)
    person_id = fields.Integer(required=True, allow_none=True)
    company_id = fields.Integer(required=True, allow_none=True)
    channel = fields.String(required=True)
    state = Word(DeliveryState, required=True)
    attempts = fields.Integer(required=True)
    failure = Word(Failure, required=True, allow_none=True)
    code = fields.Integer(required=True, allow_none=True, metadata={"description": "The server’s last answer."})
    answer = fields.String(required=True, allow_none=True, metadata={"description": "In its words."})
    message_id = fields.String(required=True)
    next_attempt_at = Moment(required=True)
    created_at = Moment(required=True)
    finished_at = Moment(required=True, allow_none=True)


class DeliveryQuery(ListQuery):
    broadcast_id = InAddress(metadata={"description": "Those of this broadcast."})
    company_id = InAddress(metadata={"description": "Those to people of this company."})
    person_id = InAddress(metadata={"description": "Those to this person."})
    address = Text(most=254, metadata={"description": "Those to this address."})
    state = Word(DeliveryState)
    sort = sorted_by(DELIVERY_ORDERS)


@blueprint.lists("", DeliveryQuery, DeliveryShape, summary="List deliveries")
def list_deliveries(query: dict[str, Any]) -> Piece[Any]:
    found = deliveries(
        wanted(query, DELIVERY_ORDERS),
        broadcast_id=query.get("broadcast_id"),
        company_id=query.get("company_id"),
        person_id=query.get("person_id"),
        address=query.get("address"),
        state=query.get("state"),
    )
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.reads("/<int:delivery_id>", DeliveryShape, summary="Read a delivery")
def read_delivery(delivery_id: int) -> Answer:
    found = delivery(delivery_id)
    if found is None:
        raise NotFound
    return Answer(_shown(found))


def _shown(found: Delivery) -> dict[str, Any]:
    return {name: getattr(found, name) for name in NAMES}
