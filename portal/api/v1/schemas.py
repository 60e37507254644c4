"""What the shapes of all resources share: strictness, lists, and the shape of a refusal."""

from typing import Any

from marshmallow import RAISE, Schema, fields, validate

from portal.api.v1.fields import InAddress, Text
from portal.keyset import Order


class Shape(Schema):
    """A shape that refuses whatever it does not name."""

    class Meta:
        unknown = RAISE


class Nothing(Shape):
    """A request without a body, or an address without a query."""


class ListQuery(Shape):
    """What every list takes. A list of its own adds the filters it knows, and `sort` where there is a choice."""

    limit = InAddress(least=1, most=100, load_default=50, metadata={"description": "How many at most.", "example": 50})
    cursor = Text(
        most=2000,
        load_default="",
        metadata={"description": "Where to go on: take it from `next` of the piece before, as it is."},
    )


def sorted_by(orders: dict[str, Order]) -> Any:
    """The field by which a list is sorted; the first of the orders is the usual one."""
    names = list(orders)
    return fields.String(
        validate=validate.OneOf(names),
        load_default=names[0],
        metadata={"description": f"The order of the list; usually `{names[0]}`. A minus turns it round."},
    )


class Fault(Shape):
    """One part of a request that is wrong, and where: in the body, the query or a header."""

    detail = fields.String(required=True)
    pointer = fields.String(metadata={"description": "The place in the body, as a JSON pointer."})
    parameter = fields.String(metadata={"description": "The part of the address."})
    header = fields.String(metadata={"description": "The header."})


class Problem(Schema):
    """A refusal, as RFC 9457 wants it."""

    type = fields.String(required=True, metadata={"example": "about:blank"})
    title = fields.String(required=True, metadata={"example": "Something needs another look"})
    status = fields.Integer(required=True, metadata={"example": 422})
    detail = fields.String(required=True, metadata={"description": "A sentence that says what to do."})
    errors = fields.List(fields.Nested(Fault))
