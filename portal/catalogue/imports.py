"""Bringing in components with their groups, services with what they depend on, and who holds what."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from portal import events
from portal.accounts.imports import COMPANY_COLUMN, before_and_after, companies_named
from portal.accounts.rules import one_line, text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor, Noted
from portal.catalogue.models import (
    OWN,
    Component,
    ComponentGroup,
    Holding,
    HoldingDependency,
    Service,
    ServiceDependency,
)
from portal.catalogue.ordering import COMPONENTS, SERVICES, touch
from portal.catalogue.queries import companies_reached_directly, services_reached
from portal.catalogue.rules.imports import (
    KnownComponent,
    KnownComponents,
    KnownHolding,
    KnownService,
    KnownUses,
    judge_component,
    judge_holding,
    judge_service,
)
from portal.catalogue.rules.services import ICONS, STATUSES, Details, alias_keys
from portal.domains.queries import all_domains, domains_showing_status
from portal.extensions import db
from portal.records.bulk import insert_all, pieces, update_all
from portal.records.kinds import ImportKind, register
from portal.records.rules import Verdict
from portal.records.rules.columns import Column
from portal.records.rules.judging import Claims, Judged, Row

RUNG_ONE_BY_ONE = 500
"""Companies or services rung each by their own bell; with more of them every open page is rung instead."""

COMPONENT_COLUMNS = (
    Column(
        "title",
        "Title",
        ("name", "component", "component name", "Komponente", "Bezeichnung", "Titel"),
        is_required=True,
        examples=("North ring", "Session border controller 1"),
    ),
    Column(
        "group",
        "Group",
        ("component group", "group name", "category", "Gruppe", "Kategorie", "Bereich"),
        hint="Added where there is none of this name.",
        examples=("Network", "Voice"),
    ),
    Column(
        "description",
        "Description",
        ("text", "notes", "comment", "Beschreibung", "Bemerkung"),
        examples=("Fibre ring through the northern towns", ""),
    ),
    Column(
        "external_id",
        "Reference",
        ("external id", "id", "component id", "asset", "asset id", "Referenz", "Nummer", "Inventarnummer"),
        hint="What your other system calls it. With it a component is found again even under a new title.",
        examples=("NET-1", "SBC-1"),
    ),
)

SERVICE_COLUMNS = (
    Column(
        "name",
        "Name",
        ("service", "service name", "product", "Dienst", "Leistung", "Produkt", "Bezeichnung"),
        is_required=True,
        examples=("Internet access", "Hosted telephony"),
    ),
    Column(
        "category",
        "Category",
        ("group", "heading", "Kategorie", "Gruppe", "Warengruppe"),
        hint="A heading on customer screens.",
        examples=("Connections", "Voice"),
    ),
    Column("description", "Description", ("text", "notes", "comment", "Beschreibung", "Bemerkung"), examples=("", "")),
    Column(
        "aliases",
        "Other names",
        ("alias", "aliases", "other names", "synonyms", "also called", "Weitere Namen", "Synonyme"),
        hint="What customers call it too, parted by |. They replace those there are.",
        examples=("Broadband|Wi-Fi", "Phone|VoIP"),
    ),
    Column("icon", "Icon", ("symbol", "Symbol"), hint=f"One of {', '.join(ICONS)}.", examples=("globe", "phone")),
    Column(
        "everyone",
        "Every company",
        ("global", "for everyone", "all companies", "Alle Firmen", "Für alle"),
        hint="Yes where every company holds it, later ones too; else no.",
        examples=("no", "no"),
    ),
    Column(
        "notifies",
        "Mailed statuses",
        ("notifies", "notify", "mailed", "Gemeldete Status"),
        hint=f"Which are mailed, parted by |: {', '.join(STATUSES)}; or all, or none.",
        examples=("all", "intermittent_problems|system_is_down"),
    ),
    Column(
        "components",
        "Components",
        ("depends on", "dependencies", "component", "Komponenten", "Abhängigkeiten", "hängt ab von"),
        hint="What it depends on, parted by |: titles, Group / Title, or references. They replace those there are.",
        examples=("Network / North ring", "Session border controller 1|Network / North ring"),
    ),
)

HOLDING_COLUMNS = (
    COMPANY_COLUMN,
    Column(
        "service",
        "Service",
        ("service name", "product", "Dienst", "Leistung", "Produkt"),
        is_required=True,
        examples=("Internet access", "Hosted telephony"),
    ),
    Column(
        "reference",
        "Reference",
        (
            "circuit",
            "circuit id",
            "line",
            "contract",
            "contract number",
            "number",
            "id",
            "phone number",
            "Referenz",
            "Leitung",
            "Leitungsnummer",
            "Anschluss",
            "Vertrag",
            "Vertragsnummer",
            "Rufnummer",
        ),
        hint="Such as a circuit number; it tells two of the same service apart.",
        examples=("CIR-20017", ""),
    ),
    Column(
        "components",
        "Components of its own",
        ("components", "depends on", "dependencies", "component", "Komponenten", "Abhängigkeiten", "hängt ab von"),
        hint="What it depends on beside its service, parted by |. They replace those there are.",
        examples=("Network / North ring", ""),
    ),
)


class ComponentImport:
    """A file of components, row by row. New ones stand at the end of their group, new groups at the end of the list."""

    def __init__(self, _options: Mapping[str, str]) -> None:
        self.claims = Claims()
        self.components = known_components()
        self.changed: set[int] = set()

    def judge(self, rows: Sequence[Row]) -> list[Judged]:
        """See `judge_component`; one query for a piece, beside the one for all components."""
        described = [
            each
            for row in rows
            if row.get("description")
            for each in self.components.candidates(row.get("title"), one_line(row.get("external_id")))
        ]
        descriptions: dict[int, str] = {}
        for piece in pieces(set(described)):
            found = select(Component.id, Component.description).where(Component.id.in_(piece))
            descriptions |= {each.id: each.description or "" for each in db.session.execute(found)}
        return [judge_component(row, self.components, descriptions, self.claims) for row in rows]

    def write(self, judged: Sequence[Judged], *, by: Actor, now: datetime) -> Mapping[int, int]:
        """Add and change components, and the groups they name; the ids by row."""
        touch(COMPONENTS)
        groups = _groups_for((each.values["group"] for each in judged), by=by, now=now)
        added = [each for each in judged if each.verdict is Verdict.ADDED]
        changed = [each for each in judged if each.verdict is Verdict.CHANGED]
        places = _Places()
        rows = []
        for each in added:
            group_id = groups.get(text_key(each.values["group"]))
            rows.append(
                {
                    "title": each.values["title"],
                    "external_id": each.values["external_id"],
                    "description": each.values["description"] or None,
                    "group_id": group_id,
                    "position": places.next_in(group_id),
                    "public_id": secrets.token_hex(8),
                    "source": OWN,
                    "created_at": now,
                    "updated_at": now,
                }
            )
        ids = insert_all(Component, rows)
        new = dict(zip((each.number for each in added), ids, strict=True))
        self._change(changed, groups, places, now)
        seen = [
            Noted(
                new[each.number],
                after={"title": row["title"], "description": row["description"], "group": row["group_id"]},
            )
            for each, row in zip(added, rows, strict=True)
        ]
        audit.record_many("component.add", seen, object_kind="component", by=by, now=now)
        edited = [Noted(each.row_id or 0, None, *before_and_after(each)) for each in changed]
        audit.record_many("component.edit", edited, object_kind="component", by=by, now=now)
        self.changed |= {each.row_id for each in changed if each.row_id}
        return new | {each.number: each.row_id for each in changed if each.row_id}

    def _change(self, changed: Sequence[Judged], groups: Mapping[str, int], places: "_Places", now: datetime) -> None:
        moved = [each for each in changed if "Group" in {change.field for change in each.changes}]
        stayed = [each for each in changed if each not in moved]

        def row(each: Judged) -> dict[str, Any]:
            described = each.values["description"] or None
            return {
                **each.values,
                "id": each.row_id,
                "version": each.version,
                "description": described,
                "updated_at": now,
            }

        fields = ["title", "external_id", "updated_at"]
        for judged in (moved, stayed):
            place = [
                {
                    **row(each),
                    "group_id": (group_id := groups.get(text_key(each.values["group"]))),
                    "position": places.next_in(group_id) if judged is moved else 0,
                }
                for each in judged
            ]
            described = [each for each in place if each["description"] is not None]
            silent = [each for each in place if each["description"] is None]
            where = ["group_id", "position"] if judged is moved else []
            update_all(Component, [*fields, *where, "description"], described)
            update_all(Component, [*fields, *where], silent)

    def finish(self, *, by: Actor, now: datetime) -> None:
        """Whoever sees components, and holders whose reasons name one that has changed."""
        _ring_status_pages()
        services, companies = set[int](), set[int]()
        for piece in pieces(self.changed):
            services.update(services_reached(piece, now))
            companies.update(companies_reached_directly(piece, now))
        _ring_holders(services, companies)


class ServiceImport:
    """A file of services, row by row. New ones stand at the end of the list."""

    def __init__(self, _options: Mapping[str, str]) -> None:
        self.claims = Claims()
        self.components = known_components()
        self.changed: set[int] = set()

    def judge(self, rows: Sequence[Row]) -> list[Judged]:
        """See `judge_service`; two queries for a piece, beside the one for all components."""
        known = services_named(row.get("name") for row in rows)
        return [judge_service(row, known, self.components, self.claims) for row in rows]

    def write(self, judged: Sequence[Judged], *, by: Actor, now: datetime) -> Mapping[int, int]:
        """Add and change services, and from now on what they depend on; the ids by row."""
        touch(SERVICES)
        added = [each for each in judged if each.verdict is Verdict.ADDED]
        changed = [each for each in judged if each.verdict is Verdict.CHANGED]
        first = db.session.scalar(select(func.count(Service.id)).where(Service.archived_at.is_(None))) or 0
        stored = [
            {
                "name": each.values["name"],
                "name_key": each.values["name_key"],
                "category": each.values["category"],
                "description": each.values["description"] or None,
                **_details(each.values),
                **_everyone(each.values, now),
                "position": first + place,
                "created_at": now,
            }
            for place, each in enumerate(added)
        ]
        new = dict(zip((each.number for each in added), insert_all(Service, stored), strict=True))
        ids = new | {each.number: each.row_id for each in changed if each.row_id}
        edited = [each for each in changed if {change.field for change in each.changes} - {"Components"}]
        rows = [
            {
                **each.values,
                "id": each.row_id,
                "version": each.version,
                "description": each.values["description"] or None,
                **_details(each.values),
            }
            for each in edited
        ]
        update_all(Service, ("name", "name_key", "category", "description", *DETAILS), rows)
        self._open_to_everyone([each for each in changed if each.values["turns"] is not None], now)
        _connect(ServiceDependency, "service_id", [(ids[each.number], each) for each in judged], now)
        seen = [
            Noted(
                new[each.number],
                after={"name": each.values["name"], "category": each.values["category"]}
                | ({"everyone": True} if each.values["turns"] else {}),
            )
            for each in added
        ]
        audit.record_many("service.add", seen, object_kind="service", by=by, now=now)
        noted = [Noted(each.row_id or 0, None, *before_and_after(each)) for each in changed]
        audit.record_many("service.edit", noted, object_kind="service", by=by, now=now)
        depends = [
            Noted(new[each.number], after={"components": each.values["added"]})
            for each in added
            if each.values["added"]
        ]
        audit.record_many("service.depend", depends, object_kind="service", by=by, now=now)
        self.changed |= {each.row_id for each in changed if each.row_id}
        return ids

    def _open_to_everyone(self, judged: Sequence[Judged], now: datetime) -> None:
        """Those that are for every company from now on, or no longer; whoever comes to hold them does so soon."""
        for each in judged:
            values = _everyone(each.values, now)
            db.session.execute(
                update(Service).where(Service.id == each.row_id).values(values),
                execution_options={"synchronize_session": False},
            )

    def finish(self, *, by: Actor, now: datetime) -> None:
        """Staff, and whoever holds a service that has changed; companies are given what is for all of them."""
        events.ring(events.STAFF)
        events.wake("hold_global_services")
        _ring_holders(self.changed, ())


DETAILS = ("icon", "aliases", "alias_keys", "notifies")


def _details(values: Mapping[str, Any]) -> dict[str, Any]:
    notifies = values["notifies"]
    return {
        "icon": values["icon"],
        "aliases": list(values["aliases"]),
        "alias_keys": alias_keys(values["aliases"]),
        "notifies": None if notifies is None else list(notifies),
    }


def _everyone(values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    is_global = bool(values["turns"])
    return {"is_global": is_global, "global_since": now if is_global else None, "global_up_to": 0}


class HoldingImport:
    """A file of holdings, row by row."""

    def __init__(self, _options: Mapping[str, str]) -> None:
        self.claims = Claims()
        self.components = known_components()
        self.companies: set[int] = set()

    def judge(self, rows: Sequence[Row]) -> list[Judged]:
        """See `judge_holding`; five queries for a piece, beside the one for all components."""
        names = [one_line(row.get("company")) for row in rows]
        companies = companies_named(names, names)
        services = services_named(row.get("service") for row in rows)
        ids = {each.id for each in (*companies.by_name.values(), *companies.by_external_id.values())}
        known = KnownUses(companies, services, self.components, _holdings_of(ids))
        return [judge_holding(row, known, self.claims) for row in rows]

    def write(self, judged: Sequence[Judged], *, by: Actor, now: datetime) -> Mapping[int, int]:
        """Add holdings from now on, and change what others depend on; the ids by row."""
        added = [each for each in judged if each.verdict is Verdict.ADDED]
        changed = [each for each in judged if each.verdict is Verdict.CHANGED]
        columns = ("company_id", "service_id", "reference")
        stored = [{name: each.values[name] for name in columns} | {"valid_from": now} for each in added]
        new = dict(zip((each.number for each in added), insert_all(Holding, stored), strict=True))
        update_all(
            Holding,
            ("reference",),
            [{**each.values, "id": each.row_id, "version": each.version} for each in changed],
        )
        ids = new | {each.number: each.row_id for each in changed if each.row_id}
        _connect(HoldingDependency, "holding_id", [(ids[each.number], each) for each in judged], now)
        seen = [
            Noted(
                new[each.number],
                each.values["company_id"],
                after={
                    "service": each.values["service_id"],
                    "reference": each.values["reference"],
                    "components": each.values["added"],
                },
            )
            for each in added
        ]
        audit.record_many("holding.add", seen, object_kind="holding", by=by, now=now)
        noted = [Noted(each.row_id or 0, each.values["company_id"], *before_and_after(each)) for each in changed]
        audit.record_many("holding.edit", noted, object_kind="holding", by=by, now=now)
        self.companies |= {each.values["company_id"] for each in judged}
        return ids

    def finish(self, *, by: Actor, now: datetime) -> None:
        """Staff, and the people of the companies that hold something new."""
        events.ring(events.STAFF)
        _ring_holders((), self.companies)


def known_components() -> KnownComponents:
    """Every component there is, archived ones too. One query."""
    rows = db.session.execute(
        select(
            Component.id,
            Component.title,
            ComponentGroup.name,
            Component.external_id,
            Component.archived_at,
            Component.version,
        )
        .outerjoin(ComponentGroup, ComponentGroup.id == Component.group_id)
        .order_by(Component.id)
    )
    return KnownComponents(
        KnownComponent(
            each.id, each.title, each.name or "", each.external_id, each.archived_at is not None, each.version
        )
        for each in rows
    )


def services_named(names: Iterable[str]) -> dict[str, KnownService]:
    """The services of these names with what they depend on now, by compared name."""
    found: dict[str, KnownService] = {}
    for piece in pieces({text_key(name) for name in names if name}):
        rows = db.session.execute(
            select(
                Service.id,
                Service.name,
                Service.name_key,
                Service.category,
                Service.description,
                Service.archived_at,
                Service.version,
                Service.icon,
                Service.aliases,
                Service.is_global,
                Service.notifies,
            ).where(Service.name_key.in_(piece))
        ).all()
        edges = _edges_of(ServiceDependency, "service_id", [row.id for row in rows])
        for row in rows:
            found[row.name_key] = KnownService(
                row.id,
                row.name,
                row.category,
                row.description or "",
                row.archived_at is not None,
                row.version,
                frozenset(edges.get(row.id, ())),
                Details(row.icon, tuple(row.aliases), None if row.notifies is None else tuple(row.notifies)),
                row.is_global,
            )
    return found


def companies_of(holding_ids: Collection[int]) -> dict[int, int]:
    """The company of each of these holdings. One query for each few hundred."""
    found: dict[int, int] = {}
    for piece in pieces(holding_ids):
        rows = db.session.execute(select(Holding.id, Holding.company_id).where(Holding.id.in_(piece)))
        found.update((each, company_id) for each, company_id in rows)
    return found


def _holdings_of(company_ids: Collection[int]) -> dict[tuple[int, int, str], KnownHolding]:
    """What these companies hold, by company, service and reference; of two that are alike the older one."""
    found: dict[tuple[int, int, str], KnownHolding] = {}
    columns = (Holding.id, Holding.company_id, Holding.service_id, Holding.reference, Holding.version)
    for piece in pieces(company_ids):
        held = db.session.execute(
            select(*columns)
            .where(Holding.company_id.in_(piece), Holding.valid_to.is_(None))
            .order_by(Holding.id.desc())
        ).all()
        edges: dict[int, set[int]] = {}
        for few in pieces([row.id for row in held]):
            edges |= _edges_of(HoldingDependency, "holding_id", few)
        for row in held:
            found[row.company_id, row.service_id, row.reference] = KnownHolding(
                row.id, row.version, frozenset(edges.get(row.id, ()))
            )
    return found


def _edges_of(kind: Any, source: str, ids: Sequence[int]) -> dict[int, set[int]]:
    """The components that each of these services or holdings depends on until further notice."""
    found: dict[int, set[int]] = {}
    column = getattr(kind, source)
    rows = db.session.execute(select(column, kind.component_id).where(column.in_(ids), kind.valid_to.is_(None)))
    for source_id, component_id in rows:
        found.setdefault(source_id, set()).add(component_id)
    return found


def _connect(kind: Any, source: str, judged: Sequence[tuple[int, Judged]], now: datetime) -> None:
    """From now on these depend on what was added for them, and no longer on what was ended."""
    insert_all(
        kind,
        [
            {source: source_id, "component_id": component_id, "valid_from": now}
            for source_id, each in judged
            for component_id in each.values["added"]
        ],
    )
    column = getattr(kind, source)
    for source_id, each in judged:
        if each.values["ended"]:
            db.session.execute(
                update(kind)
                .where(column == source_id, kind.component_id.in_(each.values["ended"]), kind.valid_to.is_(None))
                .values(valid_to=now)
            )


def _groups_for(names: Iterable[str], *, by: Actor, now: datetime) -> dict[str, int]:
    """The ids of the groups of these names by compared name; those there are not yet are added at the end."""
    wanted: dict[str, str] = {}
    for name in filter(None, names):
        wanted.setdefault(text_key(name), one_line(name))
    groups = db.session.execute(select(ComponentGroup.id, ComponentGroup.name).order_by(ComponentGroup.id.desc())).all()
    found = {text_key(row.name): row.id for row in groups}
    missing = [key for key in wanted if key not in found]
    ids = insert_all(
        ComponentGroup,
        [
            {
                "name": wanted[key],
                "position": len(groups) + place,
                "public_id": secrets.token_hex(8),
                "source": OWN,
                "created_at": now,
            }
            for place, key in enumerate(missing)
        ],
    )
    noted = [Noted(group_id, after={"name": wanted[key]}) for key, group_id in zip(missing, ids, strict=True)]
    audit.record_many("component_group.add", noted, object_kind="component_group", by=by, now=now)
    return found | dict(zip(missing, ids, strict=True))


class _Places:
    """The next free place of each group, counted from 0."""

    def __init__(self) -> None:
        rows = db.session.execute(
            select(Component.group_id, func.max(Component.position))
            .where(Component.archived_at.is_(None))
            .group_by(Component.group_id)
        )
        self._next: dict[int | None, int] = {group_id: last + 1 for group_id, last in rows}

    def next_in(self, group_id: int | None) -> int:
        """The place for one more."""
        place = self._next.get(group_id, 0)
        self._next[group_id] = place + 1
        return place


def _ring_status_pages() -> None:
    events.ring(events.STAFF, *(events.public_topic(domain_id) for domain_id in domains_showing_status()))


def _ring_holders(service_ids: Collection[int], company_ids: Collection[int]) -> None:
    """Ring those who hold these services and the people of these companies; when they are many, every open page."""
    if len(service_ids) + len(company_ids) > RUNG_ONE_BY_ONE:
        events.ring(*(events.public_topic(domain.id) for domain in all_domains()))
        return
    events.ring(
        *(events.service_topic(each) for each in service_ids), *(events.company_topic(each) for each in company_ids)
    )


register(
    ImportKind(
        "components",
        "Components",
        "component",
        "components",
        "One row for each component, found again by its reference, else by its title within its group.",
        COMPONENT_COLUMNS,
        ComponentImport,
        place=30,
    )
)
register(
    ImportKind(
        "services",
        "Services",
        "service",
        "services",
        "One row for each service, found again by its name, with the components it depends on.",
        SERVICE_COLUMNS,
        ServiceImport,
        place=40,
    )
)
register(
    ImportKind(
        "holdings",
        "Holdings",
        "holding",
        "holdings",
        "One row for each service a company holds, found again by company, service and reference.",
        HOLDING_COLUMNS,
        HoldingImport,
        place=50,
    )
)
