"""What goes out of what companies hold, and the firm's own lists of components, services and holdings."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.accounts.models import Company
from portal.catalogue.hiding import hidden_from
from portal.catalogue.models import (
    Component,
    ComponentGroup,
    Holding,
    HoldingDependency,
    Service,
    ServiceDependency,
)
from portal.catalogue.queries import is_valid
from portal.extensions import db
from portal.records.parts import ROWS_AT_ONCE, Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind


def _company_holdings(company_id: int | None, now: datetime) -> Iterator[Told]:
    """What the company holds or held and is shown, and what that depended on: through the service, and by itself."""
    hidden = hidden_from([company_id] if company_id else []).get(company_id or 0, frozenset())
    statement = (
        select(
            Holding.id,
            Holding.service_id,
            Service.name.label("service"),
            Service.category,
            Holding.reference,
            Holding.valid_from.label("since"),
            Holding.valid_to.label("until"),
        )
        .join(Service, Service.id == Holding.service_id)
        .where(Holding.company_id == company_id, Holding.service_id.not_in(hidden))
    )
    for piece in _grouped(in_pieces(statement, Holding.id)):
        # A holding that has ended depended on what its service did then.
        at = {row.id: min(row.until, now) if row.until else now for row in piece}
        services = _valid(ServiceDependency.service_id, ServiceDependency, {row.service_id for row in piece})
        own = _valid(HoldingDependency.holding_id, HoldingDependency, {row.id for row in piece})
        for row in piece:
            through = [*services.get(row.service_id, ()), *own.get(row.id, ())]
            titles = {title for title, begin, end in through if begin <= at[row.id] and (not end or end >= at[row.id])}
            yield {**row._mapping, "depends_on": sorted(titles)}


def _valid(owner: Any, dependency: Any, ids: Collection[int]) -> dict[int, list[tuple[str, datetime, datetime | None]]]:
    """What each of these depends on or did, with from and to. One query."""
    found: dict[int, list[tuple[str, datetime, datetime | None]]] = {}
    for each, title, begin, end in db.session.execute(
        select(owner, Component.title, dependency.valid_from, dependency.valid_to)
        .join(Component, Component.id == dependency.component_id)
        .where(owner.in_(ids))
    ):
        found.setdefault(each, []).append((title, begin, end))
    return found


def _grouped(rows: Iterator[Any]) -> Iterator[list[Any]]:
    piece: list[Any] = []
    for row in rows:
        piece.append(row)
        if len(piece) == ROWS_AT_ONCE:
            yield piece
            piece = []
    if piece:
        yield piece


# The firm's own lists, as the import takes them


def _components(_subject: int | None, now: datetime) -> Iterator[Told]:
    statement = (
        select(Component.title, ComponentGroup.name.label("group"), Component.description, Component.external_id)
        .outerjoin(ComponentGroup, ComponentGroup.id == Component.group_id)
        .where(Component.archived_at.is_(None))
    )
    for row in in_pieces(statement, Component.id):
        yield row._mapping


def _services(_subject: int | None, now: datetime) -> Iterator[Told]:
    statement = select(
        Service.id,
        Service.name,
        Service.category,
        Service.description,
        Service.aliases,
        Service.icon,
        Service.is_global.label("everyone"),
        Service.notifies,
    ).where(Service.archived_at.is_(None))
    for piece in _grouped(in_pieces(statement, Service.id)):
        named = _named(ServiceDependency.service_id, ServiceDependency, [row.id for row in piece], now)
        for row in piece:
            notifies = ["all"] if row.notifies is None else row.notifies or ["none"]
            yield {**row._mapping, "notifies": notifies, "components": named.get(row.id, [])}


def _holdings(_subject: int | None, now: datetime) -> Iterator[Told]:
    statement = (
        select(
            Holding.id,
            Company.name.label("company"),
            Company.external_id,
            Service.name.label("service"),
            Holding.reference,
        )
        .join(Company, Company.id == Holding.company_id)
        .join(Service, Service.id == Holding.service_id)
        .where(is_valid(Holding, now), Company.archived_at.is_(None), Service.archived_at.is_(None))
    )
    for piece in _grouped(in_pieces(statement, Holding.id)):
        named = _named(HoldingDependency.holding_id, HoldingDependency, [row.id for row in piece], now)
        for row in piece:
            yield {**row._mapping, "components": named.get(row.id, [])}


def _named(owner: Any, dependency: Any, ids: Sequence[int], now: datetime) -> dict[int, list[str]]:
    """What each of these depends on now, in words by which the import finds it again. One query."""
    found: dict[int, list[str]] = {}
    for each, title, group, reference in db.session.execute(
        select(owner, Component.title, ComponentGroup.name, Component.external_id)
        .join(Component, Component.id == dependency.component_id)
        .outerjoin(ComponentGroup, ComponentGroup.id == Component.group_id)
        .where(owner.in_(ids), is_valid(dependency, now), Component.archived_at.is_(None))
        .order_by(Component.position, Component.id)
    ):
        found.setdefault(each, []).append(reference or (f"{group} / {title}" if group else title))
    return found


for _part in (
    Part(
        ExportKind.COMPANY,
        "holdings",
        "what it holds or held, and the components that depended on",
        {
            "service": "Service",
            "category": "Category",
            "reference": "Reference",
            "since": "Since",
            "until": "Until",
            "depends_on": "Depends on",
        },
        _company_holdings,
        10,
    ),
    Part(
        ExportKind.COMPONENTS,
        "components",
        "a component",
        {"title": "Title", "group": "Group", "description": "Description", "external_id": "Reference"},
        _components,
    ),
    Part(
        ExportKind.SERVICES,
        "services",
        "a service",
        {
            "name": "Name",
            "category": "Category",
            "description": "Description",
            "aliases": "Other names",
            "icon": "Icon",
            "everyone": "Every company",
            "notifies": "Mailed statuses",
            "components": "Components",
        },
        _services,
    ),
    Part(
        ExportKind.HOLDINGS,
        "holdings",
        "a holding",
        {
            "company": "Company",
            "service": "Service",
            "reference": "Reference",
            "components": "Components of its own",
        },
        _holdings,
    ),
):
    register(_part)
