"""Components, services and holdings by what they are called; a holding by its reference, such as a circuit number."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, exists, true

from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component, ComponentGroup, Holding, Service
from portal.catalogue.queries import is_valid
from portal.searching import NOTHING, Matches, find, reading


class ComponentHit(NamedTuple):
    """A component that was found, with the name of its group if it has one."""

    id: int
    title: str
    group: str | None
    is_archived: bool


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


def search_services(
    viewpoint: Viewpoint, text: str, limit: int, now: datetime, offset: int | None = None
) -> Matches[ServiceHit]:
    """Services by name; a company finds those it holds."""
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
