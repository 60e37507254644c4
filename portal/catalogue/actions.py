"""The only writers of components, services, what depends on what, and who holds what."""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.accounts.rules import one_line, paragraphs, text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue import ordering, queries
from portal.catalogue.models import (
    OWN,
    Component,
    ComponentGroup,
    Holding,
    HoldingDependency,
    Service,
    ServiceDependency,
)
from portal.catalogue.ordering import touch as _touch
from portal.catalogue.rules import Layout, LayoutError, moved, read_layout, step
from portal.domains.queries import all_domains
from portal.domains.rules import Area
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db

COMPONENTS, SERVICES = ordering.COMPONENTS, ordering.SERVICES

DESCRIPTION_LENGTH = 2000

_groups = cast(Table, ComponentGroup.__table__)
_components = cast(Table, Component.__table__)
_services = cast(Table, Service.__table__)


def new_public_id() -> str:
    """An id for outsiders: random, so that it says nothing of how many there are."""
    return secrets.token_hex(8)


# Components and their groups.


def add_component(
    title: str,
    *,
    by: Actor,
    now: datetime,
    description: str | None = None,
    group_id: int | None = None,
    source: str = OWN,
    public_id: str | None = None,
) -> Component:
    """Add a component at the end of its group. An import names its own source and the id it had there."""
    title, description = _title(title), _description(description)
    _known_group(group_id)
    _touch(COMPONENTS)
    component = Component(
        title=title,
        description=description,
        group_id=group_id,
        position=_next_position(group_id),
        source=source,
        public_id=public_id or new_public_id(),
        created_at=now,
        updated_at=now,
    )
    db.session.add(component)
    db.session.flush()
    _ring_status_pages()
    _record("component.add", component, by, now, after=_seen(component))
    return component


def edit_component(
    component: Component,
    title: str,
    *,
    description: str | None,
    group_id: int | None,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change what a component is called, what is said of it, and its group (it goes to the end of a new one)."""
    if component.version != version:
        raise StaleEdit
    title, description = _title(title), _description(description)
    _known_group(group_id)
    before = _seen(component)
    if component.group_id != group_id and component.archived_at is None:
        _touch(COMPONENTS)
        component.position, component.group_id = _next_position(group_id), group_id
        _close_gaps()
    component.title, component.description, component.group_id = title, description, group_id
    if _seen(component) == before:
        return
    component.updated_at = now
    db.session.flush()
    _ring_reached([component.id], now)
    _record("component.edit", component, by, now, before=before, after=_seen(component))


def archive_component(
    component: Component, *, version: int, open_incidents: Collection[str], by: Actor, now: datetime
) -> None:
    """Take a component out of use: it leaves the list and the status pages, and nothing depends on it any more.

    Its history stays, and uptime keeps what was true then. `open_incidents` are the titles of the incidents that
    hold it: while there is one it cannot go, because an incident that reaches nobody would concern everyone.
    """
    if component.version != version:
        raise StaleEdit
    if component.archived_at:
        return
    if open_incidents:
        raise RuleViolation(f"Resolve “{next(iter(open_incidents))}” first: it is still open on this component.")
    _ring_reached([component.id], now)
    _touch(COMPONENTS)
    for edge in (ServiceDependency, HoldingDependency):
        db.session.execute(
            update(edge).where(edge.component_id == component.id, edge.valid_to.is_(None)).values(valid_to=now)
        )
    component.archived_at = component.updated_at = now
    db.session.flush()
    _close_gaps()
    _record("component.archive", component, by, now)


def restore_component(component: Component, *, version: int, by: Actor, now: datetime) -> None:
    """Take an archived component back, at the end of its group. What depended on it does not again by itself."""
    if component.version != version:
        raise StaleEdit
    if component.archived_at is None:
        return
    _touch(COMPONENTS)
    component.position = _next_position(component.group_id)
    component.archived_at = None
    component.updated_at = now
    db.session.flush()
    _ring_status_pages()
    _record("component.restore", component, by, now)


def add_group(
    name: str, *, by: Actor, now: datetime, source: str = OWN, public_id: str | None = None
) -> ComponentGroup:
    """Add a group of components at the end."""
    name = _group_name(name)
    _touch(COMPONENTS)
    position = db.session.scalar(select(func.count(ComponentGroup.id))) or 0
    group = ComponentGroup(
        name=name, position=position, source=source, public_id=public_id or new_public_id(), created_at=now
    )
    db.session.add(group)
    db.session.flush()
    events.ring(events.STAFF)
    _record("component_group.add", group, by, now, after={"name": name})
    return group


def rename_group(group: ComponentGroup, name: str, *, version: int, by: Actor, now: datetime) -> None:
    """Give a group another name."""
    if group.version != version:
        raise StaleEdit
    before, group.name = group.name, _group_name(name)
    if before == group.name:
        return
    db.session.flush()
    _ring_status_pages()
    _record("component_group.rename", group, by, now, before={"name": before}, after={"name": group.name})


def remove_group(group: ComponentGroup, *, version: int, by: Actor, now: datetime) -> None:
    """Remove a group. Its components stay and go, in their order, behind the ungrouped ones."""
    if group.version != version:
        raise StaleEdit
    _touch(COMPONENTS)
    layout = _layout()
    name, loose = group.name, dict(layout.groups).get(group.id, ())
    kept = tuple((each, items) for each, items in layout.groups if each != group.id)
    db.session.execute(update(Component).where(Component.group_id == group.id).values(group_id=None))
    db.session.delete(group)
    db.session.flush()
    _store(Layout((*layout.ungrouped, *loose), kept))
    _ring_status_pages()
    _record("component_group.remove", group, by, now, before={"name": name, "components": list(loose)})


def arrange_components(tokens: Sequence[str], *, version: int, by: Actor, now: datetime) -> None:
    """Put groups and components in this order: "g3" a group, "c12" a component of the group before it.

    The whole list comes at once with the version it was shown with. Somebody else's change in between is a
    StaleEdit, and so is a list that names other components than there are.
    """
    _touch(COMPONENTS, version)
    present = _layout()
    try:
        wanted = read_layout(tokens, present)
    except LayoutError:
        raise StaleEdit from None
    _arrange(present, wanted, by, now)


def step_component(token: str, direction: int, *, version: int, by: Actor, now: datetime) -> None:
    """Move one group or component a step up (-1) or down (1)."""
    _touch(COMPONENTS, version)
    present = _layout()
    try:
        wanted = step(present, token, direction)
    except LayoutError:
        raise StaleEdit from None
    _arrange(present, wanted, by, now)


# Services and what they depend on.


def add_service(name: str, *, by: Actor, now: datetime, category: str = "", description: str | None = None) -> Service:
    """Add a service at the end of the list. Names are unique when compared without case."""
    name = _service_name(name)
    _touch(SERVICES)
    service = Service(
        name=name,
        name_key=text_key(name),
        category=_category(category),
        description=_description(description),
        position=db.session.scalar(select(func.count(Service.id)).where(Service.archived_at.is_(None))) or 0,
        created_at=now,
    )
    db.session.add(service)
    db.session.flush()
    events.ring(events.STAFF)
    _record("service.add", service, by, now, after={"name": name, "category": service.category})
    return service


def edit_service(
    service: Service,
    name: str,
    *,
    category: str,
    description: str | None,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change what a service is called, its heading on customer screens, and what is said of it."""
    if service.version != version:
        raise StaleEdit
    before: dict[str, Any] = {"name": service.name, "category": service.category, "description": service.description}
    after: dict[str, Any] = {
        "name": _service_name(name, other_than=service.id),
        "category": _category(category),
        "description": _description(description),
    }
    if before == after:
        return
    service.name, service.name_key = after["name"], text_key(after["name"])
    service.category, service.description = after["category"], after["description"]
    db.session.flush()
    events.ring(events.STAFF, events.service_topic(service.id))
    _record("service.edit", service, by, now, before=before, after=after)


def set_dependencies(service: Service, component_ids: Collection[int], *, by: Actor, now: datetime) -> None:
    """From now on the service depends on just these components; what it depended on before ends now and is kept."""
    before = queries.components_of_service(service.id, now)
    wanted = _live_components(component_ids)
    if before == wanted:
        return
    db.session.execute(
        update(ServiceDependency)
        .where(
            ServiceDependency.service_id == service.id,
            ServiceDependency.component_id.in_(before - wanted),
            ServiceDependency.valid_to.is_(None),
        )
        .values(valid_to=now)
    )
    db.session.add_all(
        ServiceDependency(service_id=service.id, component_id=component_id, valid_from=now)
        for component_id in sorted(wanted - before)
    )
    db.session.flush()
    events.ring(events.STAFF, events.service_topic(service.id))
    _record(
        "service.depend", service, by, now, before={"components": sorted(before)}, after={"components": sorted(wanted)}
    )


def set_dependents(component: Component, service_ids: Collection[int], *, by: Actor, now: datetime) -> None:
    """From now on just these services depend on the component; each service that changes is audited by itself."""
    before = set(queries.services_reached([component.id], now))
    wanted = set(service_ids)
    changed = db.session.scalars(select(Service).where(Service.id.in_(before ^ wanted)).order_by(Service.id)).all()
    if wanted - before - {service.id for service in changed if service.archived_at is None}:
        raise RuleViolation("One of these services is no longer sold. Choose again.", "service_ids")
    for service in changed:
        others = queries.components_of_service(service.id, now) - {component.id}
        mine = {component.id} if service.id in wanted else set()
        set_dependencies(service, others | mine, by=by, now=now)


def archive_service(service: Service, *, version: int, by: Actor, now: datetime) -> None:
    """Stop selling a service. Refused while anybody holds it; what it depended on ends now, its history stays."""
    if service.version != version:
        raise StaleEdit
    if service.archived_at:
        return
    holders = db.session.scalar(
        select(func.count(Holding.id)).where(Holding.service_id == service.id, queries.is_valid(Holding, now))
    )
    if holders:
        times = "once" if holders == 1 else f"{holders} times"
        raise RuleViolation(f"{service.name} is still held {times}. End those holdings first.")
    _touch(SERVICES)
    set_dependencies(service, (), by=by, now=now)
    service.archived_at = now
    db.session.flush()
    _store_services([each for each in _service_order() if each != service.id])
    events.ring(events.STAFF)
    _record("service.archive", service, by, now)


def restore_service(service: Service, *, version: int, by: Actor, now: datetime) -> None:
    """Sell an archived service again, at the end of the list and depending on nothing yet."""
    if service.version != version:
        raise StaleEdit
    if service.archived_at is None:
        return
    _touch(SERVICES)
    service.position = len(_service_order())
    service.archived_at = None
    db.session.flush()
    events.ring(events.STAFF)
    _record("service.restore", service, by, now)


def arrange_services(service_ids: Sequence[int], *, version: int, by: Actor, now: datetime) -> None:
    """Put the services in this order, all of them at once; StaleEdit when somebody else came first."""
    _touch(SERVICES, version)
    present = _service_order()
    if sorted(service_ids) != sorted(present):
        raise StaleEdit
    _arrange_services(present, list(service_ids), by, now)


def step_service(service_id: int, direction: int, *, version: int, by: Actor, now: datetime) -> None:
    """Move one service a step up (-1) or down (1)."""
    _touch(SERVICES, version)
    present = _service_order()
    if service_id not in present:
        raise StaleEdit
    _arrange_services(present, moved(present, service_id, direction), by, now)


# Holdings.


def add_holding(
    company: Company,
    service: Service,
    *,
    by: Actor,
    now: datetime,
    reference: str = "",
    component_ids: Collection[int] = (),
) -> Holding:
    """From now on the company holds the service under this reference, with dependencies of its own if it has any.

    A company may hold a service more than once, as long as the references tell them apart.
    """
    if service.archived_at or company.archived_at:
        raise RuleViolation("Take it back from the archive first.", "service_id")
    reference = _reference(reference)
    _distinct(company.id, service, reference, now)
    holding = Holding(company_id=company.id, service_id=service.id, reference=reference, valid_from=now)
    db.session.add(holding)
    db.session.flush()
    components = _live_components(component_ids)
    _depend(holding, components, now)
    events.ring(events.STAFF, events.company_topic(company.id))
    after = {"service": service.id, "reference": reference, "components": sorted(components)}
    _record("holding.add", holding, by, now, company_id=company.id, after=after)
    return holding


def edit_holding(
    holding: Holding,
    service: Service,
    *,
    reference: str,
    component_ids: Collection[int],
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change the reference of a holding of this service, and what it depends on beside its service."""
    if holding.version != version:
        raise StaleEdit
    reference = _reference(reference)
    _distinct(holding.company_id, service, reference, now, other_than=holding.id)
    old = _own_components(holding.id, now)
    wanted = _live_components(component_ids)
    before = {"reference": holding.reference, "components": sorted(old)}
    after = {"reference": reference, "components": sorted(wanted)}
    if before == after:
        return
    _undepend(holding, old - wanted, now)
    _depend(holding, wanted - old, now)
    holding.reference = reference
    # A change of its dependencies alone is a new version of the holding too.
    flag_modified(holding, "reference")
    db.session.flush()
    events.ring(events.STAFF, events.company_topic(holding.company_id))
    _record("holding.edit", holding, by, now, company_id=holding.company_id, before=before, after=after)


def end_holding(holding: Holding, *, version: int, by: Actor, now: datetime) -> None:
    """The company no longer holds this from now on. What was true until now is kept; twice is harmless."""
    if holding.version != version:
        raise StaleEdit
    if holding.valid_to is not None and holding.valid_to <= now:
        return
    holding.valid_to = now
    db.session.flush()
    _undepend(holding, _own_components(holding.id, now), now)
    events.ring(events.STAFF, events.company_topic(holding.company_id))
    _record("holding.end", holding, by, now, company_id=holding.company_id)


def archive_company(company: Company, *, version: int, by: Actor, now: datetime) -> None:
    """Close the books on a company: its holdings end, its people are signed out, nothing is mailed for it."""
    accounts.archive_company(company, version=version, by=by, now=now)
    for holding in queries.holdings_of_company(company.id, now):
        end_holding(holding, version=holding.version, by=by, now=now)


# What the above share.


def _layout() -> Layout:
    """The components as they stand, from the database."""
    held: dict[int | None, list[int]] = {None: []}
    for group_id in db.session.scalars(select(ComponentGroup.id).order_by(ComponentGroup.position, ComponentGroup.id)):
        held[group_id] = []
    rows = db.session.execute(
        select(Component.group_id, Component.id)
        .where(Component.archived_at.is_(None))
        .order_by(Component.position, Component.id)
    )
    for holder, component_id in rows:
        held[holder].append(component_id)
    ungrouped = held.pop(None)
    return Layout(tuple(ungrouped), tuple((group, tuple(items)) for group, items in held.items() if group is not None))


def _arrange(present: Layout, wanted: Layout, by: Actor, now: datetime) -> None:
    if present == wanted:
        return
    _store(wanted)
    _ring_status_pages()
    audit.record(
        "component.arrange",
        object_kind="component",
        object_id=None,
        by=by,
        now=now,
        before={"order": present.tokens},
        after={"order": wanted.tokens},
    )


_PLACE_GROUP = update(_groups).where(_groups.c.id == bindparam("row")).values(position=bindparam("place"))
_PLACE_COMPONENT = (
    update(_components)
    .where(_components.c.id == bindparam("row"))
    .values(group_id=bindparam("group"), position=bindparam("place"))
)
_PLACE_SERVICE = update(_services).where(_services.c.id == bindparam("row")).values(position=bindparam("place"))


def _store(layout: Layout) -> None:
    """Write the places of a layout, past the version of each row: moving a component is no edit of it."""
    groups = [{"row": group, "place": place} for place, (group, _items) in enumerate(layout.groups)]
    places = [{"row": item, "group": group, "place": place} for item, (group, place) in layout.positions.items()]
    if groups:
        db.session.execute(_PLACE_GROUP, groups)
    if places:
        db.session.execute(_PLACE_COMPONENT, places)
    _forget(ComponentGroup, Component)


def _forget(*kinds: type[Any]) -> None:
    """What is loaded of these is read again when it is next asked for, because it was written past the session."""
    for loaded in list(db.session.identity_map.values()):
        if isinstance(loaded, kinds):
            db.session.expire(loaded)


def _next_position(group_id: int | None) -> int:
    return (
        db.session.scalar(
            select(func.count(Component.id)).where(Component.group_id == group_id, Component.archived_at.is_(None))
        )
        or 0
    )


def _close_gaps() -> None:
    """Number every group anew, after something left one."""
    db.session.flush()
    _store(_layout())


def _service_order() -> list[int]:
    return list(
        db.session.scalars(
            select(Service.id).where(Service.archived_at.is_(None)).order_by(Service.position, Service.id)
        )
    )


def _arrange_services(present: list[int], wanted: list[int], by: Actor, now: datetime) -> None:
    if present == wanted:
        return
    _store_services(wanted)
    events.ring(events.STAFF, *(events.service_topic(service_id) for service_id in wanted))
    audit.record(
        "service.arrange",
        object_kind="service",
        object_id=None,
        by=by,
        now=now,
        before={"order": present},
        after={"order": wanted},
    )


def _store_services(service_ids: Sequence[int]) -> None:
    if service_ids:
        db.session.execute(_PLACE_SERVICE, [{"row": each, "place": place} for place, each in enumerate(service_ids)])
    _forget(Service)


def _depend(holding: Holding, component_ids: Collection[int], now: datetime) -> None:
    db.session.add_all(
        HoldingDependency(holding_id=holding.id, component_id=component_id, valid_from=now)
        for component_id in sorted(component_ids)
    )
    db.session.flush()


def _undepend(holding: Holding, component_ids: Collection[int], now: datetime) -> None:
    db.session.execute(
        update(HoldingDependency)
        .where(
            HoldingDependency.holding_id == holding.id,
            HoldingDependency.component_id.in_(component_ids),
            HoldingDependency.valid_to.is_(None),
        )
        .values(valid_to=now)
    )


def _own_components(holding_id: int, now: datetime) -> set[int]:
    """The components a holding depends on by itself."""
    return set(
        db.session.scalars(
            select(HoldingDependency.component_id).where(
                HoldingDependency.holding_id == holding_id, queries.is_valid(HoldingDependency, now)
            )
        )
    )


def _live_components(component_ids: Collection[int]) -> set[int]:
    """The ids as a set; refused when one of them is missing or archived."""
    wanted = set(component_ids)
    found = set(
        db.session.scalars(select(Component.id).where(Component.id.in_(wanted), Component.archived_at.is_(None)))
    )
    if found != wanted:
        raise RuleViolation("One of these components is no longer in use. Choose again.", "component_ids")
    return found


def _distinct(company_id: int, service: Service, reference: str, now: datetime, other_than: int = 0) -> None:
    """Refuse a second holding of the same service under the same reference."""
    same = select(Holding.id).where(
        Holding.company_id == company_id,
        Holding.service_id == service.id,
        Holding.reference == reference,
        Holding.id != other_than,
        queries.is_valid(Holding, now),
    )
    if db.session.scalar(same.limit(1)):
        under = f"under the reference {reference}" if reference else "without a reference"
        raise RuleViolation(
            f"This company already holds {service.name} {under}. A reference of its own tells them apart.", "reference"
        )


def _known_group(group_id: int | None) -> None:
    if group_id is not None and db.session.get(ComponentGroup, group_id) is None:
        raise RuleViolation("That group no longer exists. Choose another.", "group_id")


def _title(title: str) -> str:
    title = one_line(title)
    if not 1 <= len(title) <= 200:
        raise RuleViolation("Give the component a title of at most 200 characters.", "title")
    return title


def _group_name(name: str) -> str:
    name = one_line(name)
    if not 1 <= len(name) <= 200:
        raise RuleViolation("Give the group a name of at most 200 characters.", "name")
    return name


def _service_name(name: str, other_than: int = 0) -> str:
    name = one_line(name)
    if not name or max(len(name), len(text_key(name))) > 200:
        raise RuleViolation("Give the service a name of at most 200 characters.", "name")
    taken = select(Service.archived_at).where(Service.name_key == text_key(name), Service.id != other_than)
    if other := db.session.execute(taken).first():
        where = " in the archive" if other.archived_at else ""
        raise RuleViolation(f"There is already a service called {name}{where}.", "name")
    return name


def _category(category: str) -> str:
    category = one_line(category)
    if len(category) > 100:
        raise RuleViolation("A category has at most 100 characters.", "category")
    return category


def _reference(reference: str) -> str:
    reference = one_line(reference)
    if len(reference) > 120:
        raise RuleViolation("A reference has at most 120 characters.", "reference")
    return reference


def _description(description: str | None) -> str | None:
    text = paragraphs(description or "")
    if len(text) > DESCRIPTION_LENGTH:
        raise RuleViolation(f"A description has at most {DESCRIPTION_LENGTH} characters.", "description")
    return text or None


def _seen(component: Component) -> dict[str, Any]:
    """What of a component the audit trail remembers."""
    return {"title": component.title, "description": component.description, "group": component.group_id}


def _ring_status_pages() -> None:
    """Ring staff, and every portal domain that shows components to somebody."""
    shown = {Area.STATUS, Area.PUBLIC_STATUS}
    domains = [domain.id for domain in all_domains() if shown.intersection(domain.areas)]
    events.ring(events.STAFF, *(events.public_topic(domain_id) for domain_id in domains))


def _ring_reached(component_ids: Collection[int], now: datetime) -> None:
    """Ring whoever sees these components: the status pages, and the holders whose reasons name them."""
    _ring_status_pages()
    events.ring(
        *(events.service_topic(service_id) for service_id in queries.services_reached(component_ids, now)),
        *(events.company_topic(company_id) for company_id in queries.companies_reached_directly(component_ids, now)),
    )


def _record(
    action: str,
    row: Component | ComponentGroup | Service | Holding,
    by: Actor,
    now: datetime,
    *,
    company_id: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    kind = action.partition(".")[0]
    audit.record(
        action, object_kind=kind, object_id=row.id, company_id=company_id, by=by, now=now, before=before, after=after
    )
