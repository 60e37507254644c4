"""`/api/v1/audit`: who did what to what, when and from where."""

from typing import Any

from marshmallow import fields

from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import InAddress, Moment, Text
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.audit.listings import ENTRY_ORDERS, entries, entry
from portal.audit.models import AuditEntry
from portal.errors import NotFound
from portal.keyset import Piece

blueprint = Resources(Resource.AUDIT, about="Who did what to what, when and from where. It is read only.")

NAMES = (
    "id",
    "at",
    "actor_id",
    "actor",
    "ip",
    "request_id",
    "action",
    "object_kind",
    "object_id",
    "company_id",
    "before",
    "after",
)


class EntryShape(Shape):
    id = fields.Integer(required=True)
    at = Moment(required=True)
    actor_id = fields.Integer(required=True, allow_none=True)
    actor = fields.String(required=True)
    ip = fields.String(required=True, allow_none=True)
    request_id = fields.String(required=True, allow_none=True)
    action = fields.String(required=True, metadata={"example": "incident.publish"})
    object_kind = fields.String(required=True)
    object_id = fields.Integer(required=True, allow_none=True)
    company_id = fields.Integer(required=True, allow_none=True)
    before = fields.Dict(required=True, allow_none=True)
    after = fields.Dict(required=True, allow_none=True)


class EntryQuery(ListQuery):
    action = Text(most=60, metadata={"description": "Entries of this action.", "example": "incident.publish"})
    object_kind = Text(most=40, metadata={"description": "About things of this kind.", "example": "incident"})
    object_id = InAddress(metadata={"description": "About the thing with this number."})
    company_id = InAddress(metadata={"description": "That touch this company."})
    actor_id = InAddress(metadata={"description": "By this person."})
    since = Moment(metadata={"description": "At this moment or later."})
    until = Moment(metadata={"description": "Before this moment."})
    sort = sorted_by(ENTRY_ORDERS)


@blueprint.lists("", EntryQuery, EntryShape, summary="List entries of the audit trail")
def list_audit(query: dict[str, Any]) -> Piece[Any]:
    found = entries(wanted(query, ENTRY_ORDERS), **query)
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.reads("/<int:entry_id>", EntryShape, summary="Read an entry of the audit trail")
def read_audit_entry(entry_id: int) -> Answer:
    found = entry(entry_id)
    if found is None:
        raise NotFound
    return Answer(_shown(found))


def _shown(found: AuditEntry) -> dict[str, Any]:
    return {name: getattr(found, name) for name in NAMES}
