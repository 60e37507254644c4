"""Components, their groups, and the order of both."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select, update

from portal import events
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue import ordering
from portal.catalogue.actions.shared import (
    clean_description,
    forget_loaded,
    new_public_id,
    record,
    ring_reached,
    ring_status_pages,
)
from portal.catalogue.models import OWN, Component, ComponentGroup, HoldingDependency, ServiceDependency
from portal.catalogue.ordering import touch
from portal.catalogue.rules import Layout, LayoutError, read_layout, step
from portal.catalogue.rules.folding import Fold
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db

COMPONENTS = ordering.COMPONENTS

_groups = cast(Table, ComponentGroup.__table__)
_components = cast(Table, Component.__table__)


def add_component(
    title: str,
    *,
    by: Actor,
    now: datetime,
    description: str | None = None,
    group_id: int | None = None,
    only_if_degraded: bool = False,
    source: str = OWN,
    public_id: str | None = None,
) -> Component:
    """Add a component at the end of its group. An import names its own source and the id it had there."""
    title, description = _title(title), clean_description(description)
    _known_group(group_id)
    touch(COMPONENTS)
    component = Component(
        title=title,
        description=description,
        group_id=group_id,
        position=_next_position(group_id),
        only_if_degraded=only_if_degraded,
        source=source,
        public_id=public_id or new_public_id(),
        created_at=now,
        updated_at=now,
    )
    db.session.add(component)
    db.session.flush()
    ring_status_pages()
    record("component.add", component, by, now, after=_seen(component))
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
    only_if_degraded: bool | None = None,
) -> None:
    """Change what a component is called, what is said of it, and its group (it goes to the end of a new one).

    `only_if_degraded`, whether pages show it only while it is not operational, stays as it is where that is None.
    """
    if component.version != version:
        raise StaleEdit
    title, description = _title(title), clean_description(description)
    _known_group(group_id)
    before = _seen(component)
    if component.group_id != group_id and component.archived_at is None:
        touch(COMPONENTS)
        component.position, component.group_id = _next_position(group_id), group_id
        _close_gaps()
    component.title, component.description, component.group_id = title, description, group_id
    if only_if_degraded is not None:
        component.only_if_degraded = only_if_degraded
    if _seen(component) == before:
        return
    component.updated_at = now
    db.session.flush()
    ring_reached([component.id], now)
    record("component.edit", component, by, now, before=before, after=_seen(component))


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
    ring_reached([component.id], now)
    touch(COMPONENTS)
    for edge in (ServiceDependency, HoldingDependency):
        db.session.execute(
            update(edge).where(edge.component_id == component.id, edge.valid_to.is_(None)).values(valid_to=now)
        )
    component.archived_at = component.updated_at = now
    db.session.flush()
    _close_gaps()
    record("component.archive", component, by, now)


def restore_component(component: Component, *, version: int, by: Actor, now: datetime) -> None:
    """Take an archived component back, at the end of its group. What depended on it does not again by itself."""
    if component.version != version:
        raise StaleEdit
    if component.archived_at is None:
        return
    touch(COMPONENTS)
    component.position = _next_position(component.group_id)
    component.archived_at = None
    component.updated_at = now
    db.session.flush()
    ring_status_pages()
    record("component.restore", component, by, now)


def add_group(
    name: str,
    *,
    by: Actor,
    now: datetime,
    fold: Fold = Fold.OPEN,
    source: str = OWN,
    public_id: str | None = None,
) -> ComponentGroup:
    """Add a group of components at the end."""
    name = _group_name(name)
    touch(COMPONENTS)
    position = db.session.scalar(select(func.count(ComponentGroup.id))) or 0
    group = ComponentGroup(
        name=name, position=position, fold=fold, source=source, public_id=public_id or new_public_id(), created_at=now
    )
    db.session.add(group)
    db.session.flush()
    events.ring(events.STAFF)
    record("component_group.add", group, by, now, after={"name": name})
    return group


def edit_group(
    group: ComponentGroup, name: str, *, version: int, by: Actor, now: datetime, fold: Fold | None = None
) -> None:
    """Give a group another name, or have it stand otherwise on status pages; `fold` None leaves it as it stands."""
    if group.version != version:
        raise StaleEdit
    before = {"name": group.name, "fold": group.fold.value}
    group.name, group.fold = _group_name(name), fold or group.fold
    after = {"name": group.name, "fold": group.fold.value}
    if before == after:
        return
    db.session.flush()
    ring_status_pages()
    action = "component_group.rename" if before["name"] != after["name"] else "component_group.edit"
    record(action, group, by, now, before=before, after=after)


def remove_group(group: ComponentGroup, *, version: int, by: Actor, now: datetime) -> None:
    """Remove a group. Its components stay and go, in their order, behind the ungrouped ones."""
    if group.version != version:
        raise StaleEdit
    touch(COMPONENTS)
    layout = _layout()
    name, loose = group.name, dict(layout.groups).get(group.id, ())
    kept = tuple((each, items) for each, items in layout.groups if each != group.id)
    db.session.execute(update(Component).where(Component.group_id == group.id).values(group_id=None))
    db.session.delete(group)
    db.session.flush()
    _store(Layout((*layout.ungrouped, *loose), kept))
    ring_status_pages()
    record("component_group.remove", group, by, now, before={"name": name, "components": list(loose)})


def arrange_components(tokens: Sequence[str], *, version: int, by: Actor, now: datetime) -> None:
    """Put groups and components in this order: "g3" a group, "c12" a component of the group before it.

    The whole list comes at once with the version it was shown with. Somebody else's change in between is a
    StaleEdit, and so is a list that names other components than there are.
    """
    touch(COMPONENTS, version)
    present = _layout()
    try:
        wanted = read_layout(tokens, present)
    except LayoutError:
        raise StaleEdit from None
    _arrange(present, wanted, by, now)


def step_component(token: str, direction: int, *, version: int, by: Actor, now: datetime) -> None:
    """Move one group or component a step up (-1) or down (1)."""
    touch(COMPONENTS, version)
    present = _layout()
    try:
        wanted = step(present, token, direction)
    except LayoutError:
        raise StaleEdit from None
    _arrange(present, wanted, by, now)


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
    ring_status_pages()
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


def _store(layout: Layout) -> None:
    """Write the places of a layout, past the version of each row: moving a component is no edit of it."""
    groups = [{"row": group, "place": place} for place, (group, _items) in enumerate(layout.groups)]
    places = [{"row": item, "group": group, "place": place} for item, (group, place) in layout.positions.items()]
    if groups:
        db.session.execute(_PLACE_GROUP, groups)
    if places:
        db.session.execute(_PLACE_COMPONENT, places)
    forget_loaded(ComponentGroup, Component)


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


def _seen(component: Component) -> dict[str, Any]:
    """What of a component the audit trail remembers."""
    return {
        "title": component.title,
        "description": component.description,
        "group": component.group_id,
        "only_if_degraded": component.only_if_degraded,
    }
