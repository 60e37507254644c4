"""`/api/v1/work-statuses`: what the office calls where work stands, and what customers see instead."""

from collections.abc import Sequence
from typing import Any

from marshmallow import fields

from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Moment, SwitchInAddress, Word
from portal.api.v1.jobs.shapes import PublicStatusShape
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.errors import NotFound
from portal.jobs.models import WorkStatus
from portal.jobs.queries import settings_of
from portal.jobs.queries.listings import STATUS_ORDERS, work_status, work_statuses
from portal.jobs.rules import Category, PublicStatus, Role, Showing, WorkKind, resolve
from portal.keyset import Piece

blueprint = Resources(
    Resource.WORK_STATUSES,
    about="Where a job or a quote stands, as the office calls it, and what customers see of it. They are set on "
    "screen, where a preview shows what a change does. Not for a company’s token: internal names are not theirs.",
)

NAMES = (
    "id",
    "kind",
    "role",
    "category",
    "position",
    "name",
    "showing",
    "mapped_to_id",
    "color",
    "archived_at",
)


class WorkStatusShape(Shape):
    id = fields.Integer(required=True)
    kind = Word(WorkKind, required=True)
    role = Word(
        Role,
        required=True,
        allow_none=True,
        metadata={"description": "What a system status is, whatever it is called; null for those the office added."},
    )
    category = Word(Category, required=True, metadata={"description": "Work in “done” and “called_off” is finished."})
    position = fields.Integer(required=True)
    name = fields.String(required=True)
    showing = Word(Showing, required=True, metadata={"description": "How customers see it."})
    mapped_to_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The work status it is shown as, if it is."}
    )
    color = fields.String(required=True)
    mails = fields.Boolean(required=True, metadata={"description": "Whether customers are mailed of it."})
    archived_at = Moment(required=True, allow_none=True, metadata={"description": "Nothing is moved there since."})
    public_status = fields.Nested(
        PublicStatusShape, metadata={"description": "What customers see; missing where it is hidden."}
    )


class WorkStatusQuery(ListQuery):
    kind = Word(WorkKind)
    archived = SwitchInAddress(metadata={"description": "Only those out of use, or only those in use."})
    sort = sorted_by(STATUS_ORDERS)


@blueprint.lists("", WorkStatusQuery, WorkStatusShape, summary="List work statuses")
def list_work_statuses(query: dict[str, Any]) -> Piece[Any]:
    found = work_statuses(wanted(query, STATUS_ORDERS), kind=query.get("kind"), is_archived=query.get("archived"))
    return Piece(_shown(found.items), found.next)


@blueprint.reads("/<int:work_status_id>", WorkStatusShape, summary="Read a work status")
def read_work_status(work_status_id: int) -> Answer:
    found = work_status(work_status_id)
    if found is None:
        raise NotFound
    return Answer(_shown([found])[0])


def _shown(statuses: Sequence[WorkStatus]) -> list[dict[str, Any]]:
    tables = {kind: settings_of(kind).table for kind in {each.kind for each in statuses}}
    shown = []
    for each in statuses:
        line = {name: getattr(each, name) for name in NAMES} | {"mails": each.is_mailed}
        seen = resolve(tables[each.kind], each.id)
        if isinstance(seen, PublicStatus):
            line["public_status"] = {
                "key": seen.key,
                "name": seen.name,
                "color": seen.color,
                "text_color": seen.text_color,
            }
        shown.append(line)
    return shown
