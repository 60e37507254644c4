"""`/api/v1/component-groups`: the headings components stand under."""

from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Moment, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape
from portal.catalogue import actions
from portal.catalogue.models import ComponentGroup
from portal.catalogue.queries import group_by_id
from portal.catalogue.queries.listings import GROUP_ORDERS, groups
from portal.catalogue.rules.folding import Fold
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.keyset import Piece

blueprint = Resources(Resource.COMPONENT_GROUPS, Area.STATUS, about="The headings components stand under.")


FOLDED = "How it stands on status pages: open, folded, or folded unless something in it is not operational."


class GroupShape(Shape):
    id = fields.Integer(required=True)
    public_id = fields.String(required=True)
    name = fields.String(required=True)
    position = fields.Integer(required=True, metadata={"description": "Its place in the list, from 0."})
    fold = Word(Fold, required=True, metadata={"description": FOLDED})
    created_at = Moment(required=True)
    version = fields.Integer(metadata={"description": "Not for a company’s token."})


class GroupChange(Shape):
    name = Text(required=True, least=1, most=200, metadata={"example": "Network"})
    fold = Word(Fold, metadata={"description": FOLDED})


@blueprint.lists("", ListQuery, GroupShape, summary="List component groups")
def list_component_groups(query: dict[str, Any]) -> Piece[Any]:
    found = groups(wanted(query, GROUP_ORDERS))
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.makes("", GroupChange, GroupShape, summary="Add a component group")
def add_component_group(body: dict[str, Any]) -> Answer:
    """It comes at the end."""
    added = actions.add_group(body["name"], fold=body.get("fold", Fold.OPEN), by=access.actor(), now=clock.utcnow())
    return Answer(_shown(added), f"/component-groups/{added.id}")


@blueprint.reads("/<int:group_id>", GroupShape, summary="Read a component group")
def read_component_group(group_id: int) -> Answer:
    return Answer(_shown(_group(group_id)))


@blueprint.changes("/<int:group_id>", GroupChange, GroupShape, summary="Change a component group")
def change_component_group(group_id: int, body: dict[str, Any]) -> Answer:
    group = _group(group_id)
    version = expected_version(group.version)
    actions.edit_group(
        group, body["name"], fold=body.get("fold"), version=version, by=access.actor(), now=clock.utcnow()
    )
    return Answer(_shown(group))


@blueprint.removes("/<int:group_id>", summary="Remove a component group", of_version=True)
def remove_component_group(group_id: int) -> None:
    """Its components stay, behind the ungrouped ones."""
    group = _group(group_id)
    version = expected_version(group.version)
    actions.remove_group(group, version=version, by=access.actor(), now=clock.utcnow())


def _group(group_id: int) -> ComponentGroup:
    found = group_by_id(group_id)
    if found is None:
        raise NotFound
    return found


def _shown(group: ComponentGroup) -> dict[str, Any]:
    names = ["id", "public_id", "name", "position", "fold", "created_at"]
    if access.key().company_id is None:
        names.append("version")
    return {name: getattr(group, name) for name in names}
