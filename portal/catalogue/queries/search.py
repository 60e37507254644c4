"""Components, services and holdings by what they are called; a holding by its reference, such as a circuit number."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, exists, func, select, true

from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component, ComponentGroup, Holding, Service
from portal.catalogue.queries import is_valid
from portal.extensions import db
from portal.searching import INSIDE_FROM, NOTHING, Matches, find, key_of, reading


class ComponentHit(NamedTuple):
    """A component that was found, with the name of its group if it has one."""

    id: int
    title: str
    group: str | None
    is_archived: bool


class GroupHit(NamedTuple):
    """A component group that was found, and how many components stand in it."""

    id: int
    name: str
    components: int


class ServiceHit(NamedTuple):
    """A service that was found."""

    id: int
    name: str
    category: str
    is_archived: bool


class HoldingHit(NamedTuple):
    """A holding that was found: whose, of which service, and under which reference. `is_over` once it has ended."""

    id: int
    company_id: int
    reference: str
    service: str
    company: str
    is_over: bool


def search_components(viewpoint: Viewpoint, text: str, limit: int, offset: int | None = None) -> Matches[ComponentHit]:
    """Components by title, or by what another system calls them; archived ones for staff only."""
    shown: ColumnElement[bool] = true() if viewpoint.is_staff else Component.archived_at.is_(None)
    return find(
        reading(Component.id, Component.title, ComponentGroup.name, Component.archived_at.is_not(None))
        .outerjoin(ComponentGroup, ComponentGroup.id == Component.group_id)
        .where(shown),
        [Component.title_key],
        text,
        ComponentHit,
        codes=[Component.external_id] if viewpoint.is_staff else (),
        limit=limit,
        offset=offset,
    )


def search_groups(text: str, limit: int, offset: int | None = None) -> Matches[GroupHit]:
    """Component groups by name, for staff, best first as `find` has it. One query.

    They are few, all of them are read wherever components are put in order, and they keep no compared form of their
    name: so they are compared here.
    """
    wanted = key_of(text)
    if not wanted:
        return NOTHING
    rows = db.session.execute(
        select(ComponentGroup.id, ComponentGroup.name, func.count(Component.id))
        .outerjoin(Component, (Component.group_id == ComponentGroup.id) & Component.archived_at.is_(None))
        .group_by(ComponentGroup.id, ComponentGroup.name)
    )
    found = sorted(
        (rank, key, hit.id, hit)
        for hit in (GroupHit(*row) for row in rows)
        if (rank := _rank(key := key_of(hit.name), wanted)) is not None
    )
    shown = [hit for *_order, hit in found[offset or 0 :]]
    return Matches(
        shown[:limit],
        len(found) if offset is not None else None,
        has_more=len(shown) > limit,
        is_exact=bool(found) and found[0][0] == 0,
    )


def _rank(key: str, wanted: str) -> int | None:
    """0 for what is called just so, then what begins so, has a word that does, holds it; None for what does not."""
    if key == wanted:
        return 0
    if key.startswith(wanted):
        return 1
    if len(wanted) < INSIDE_FROM or wanted not in key:
        return None
    return 2 if f" {wanted}" in key else 3


def search_services(
    viewpoint: Viewpoint, text: str, limit: int, now: datetime, offset: int | None = None
) -> Matches[ServiceHit]:
    """Services by name, and then by the other names they go by; a company finds those it holds."""
    if viewpoint.is_signed_out:
        return NOTHING
    shown: ColumnElement[bool] = true()
    if not viewpoint.is_staff:
        shown = exists().where(
            Holding.service_id == Service.id, Holding.company_id == viewpoint.company_id, is_valid(Holding, now)
        )
    return find(
        reading(Service.id, Service.name, Service.category, Service.archived_at.is_not(None)).where(shown),
        [Service.name_key],
        text,
        ServiceHit,
        also=Service.alias_keys.contains(key_of(text), autoescape=True),
        limit=limit,
        offset=offset,
    )


def search_holdings(
    viewpoint: Viewpoint, text: str, limit: int, now: datetime, offset: int | None = None
) -> Matches[HoldingHit]:
    """Holdings by their reference; a company finds its own that it still has."""
    if viewpoint.is_signed_out:
        return NOTHING
    shown: ColumnElement[bool] = true()
    if not viewpoint.is_staff:
        shown = (Holding.company_id == viewpoint.company_id) & is_valid(Holding, now)
    is_over = Holding.valid_to.is_not(None) & (Holding.valid_to <= now)
    return find(
        reading(Holding.id, Holding.company_id, Holding.reference, Service.name, Company.name, is_over)
        .join(Service, Service.id == Holding.service_id)
        .join(Company, Company.id == Holding.company_id)
        .where(shown, Holding.reference_key != ""),
        [Holding.reference_key],
        text,
        HoldingHit,
        whole_is_enough=True,
        limit=limit,
        offset=offset,
    )
