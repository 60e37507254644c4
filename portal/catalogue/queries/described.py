"""Components as outsiders are told of them, with their groups, as plain rows."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, or_, select

from portal.catalogue.models import Component, ComponentGroup
from portal.extensions import rows


class DescribedGroup(NamedTuple):
    """A group of components."""

    id: int
    public_id: str
    name: str
    position: int
    created_at: datetime


class DescribedComponent(NamedTuple):
    """A component. `is_archived` where it is named by past reports only."""

    id: int
    public_id: str
    title: str
    description: str | None
    position: int
    only_if_degraded: bool
    created_at: datetime
    updated_at: datetime
    is_archived: bool
    group: DescribedGroup | None


def described_components(also: Collection[int] = ()) -> list[DescribedComponent]:
    """Every live component in the order of the list, and those with the ids in `also` whether archived or not.

    One query.
    """
    found = []
    for *columns, archived_at, group_id, public_id, name, position, created_at in rows(
        _components(), also=sorted(also)
    ):
        group = DescribedGroup(group_id, public_id, name, position, created_at) if group_id is not None else None
        found.append(DescribedComponent._make((*columns, archived_at is not None, group)))
    return found


@cache
def _components() -> Select[*tuple[Any, ...]]:
    each, group = Component, ComponentGroup
    return (
        select(
            each.id,
            each.public_id,
            each.title,
            each.description,
            each.position,
            each.only_if_degraded,
            each.created_at,
            each.updated_at,
            each.archived_at,
            group.id,
            group.public_id,
            group.name,
            group.position,
            group.created_at,
        )
        .outerjoin(group, group.id == each.group_id)
        .where(or_(each.archived_at.is_(None), each.id.in_(bindparam("also", expanding=True))))
        .order_by(group.id.is_not(None), group.position, group.id, each.position, each.id)
    )
