"""Services, their order, and the components they depend on."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, delete, func, select, update

from portal import events
from portal.accounts.rules import one_line, text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue import ordering, queries
from portal.catalogue.actions.holdings import end_holdings_of
from portal.catalogue.actions.shared import clean_description, forget_loaded, live_components, record
from portal.catalogue.models import Component, Holding, Service, ServiceDependency
from portal.catalogue.ordering import STARTERS_OFFERED, touch
from portal.catalogue.rules import moved
from portal.catalogue.rules.services import PLAIN, STARTERS, DetailError, Details, clean_details
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db

SERVICES = ordering.SERVICES

_services = cast(Table, Service.__table__)


def add_service(
    name: str,
    *,
    by: Actor,
    now: datetime,
    category: str = "",
    description: str | None = None,
    details: Details = PLAIN,
) -> Service:
    """Add a service at the end of the list. Names are unique when compared without case."""
    name = _service_name(name)
    details = _details(details, name)
    touch(SERVICES)
    service = Service(
        name=name,
        name_key=text_key(name),
        category=_category(category),
        description=clean_description(description),
        icon=details.icon,
        aliases=list(details.aliases),
        notifies=_listed(details.notifies),
        position=db.session.scalar(select(func.count(Service.id)).where(Service.archived_at.is_(None))) or 0,
        created_at=now,
    )
    db.session.add(service)
    db.session.flush()
    events.ring(events.STAFF)
    record("service.add", service, by, now, after={"name": name, "category": service.category, **_said(details)})
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
    details: Details | None = None,
) -> None:
    """Change what a service is called, its heading on customer screens, and what is said of it.

    Without `details` these stay as they are.
    """
    if service.version != version:
        raise StaleEdit
    name = _service_name(name, other_than=service.id)
    present = details_of(service)
    wanted = _details(details, name) if details else present
    before: dict[str, Any] = {
        "name": service.name,
        "category": service.category,
        "description": service.description,
        **_said(present, wanted),
    }
    after: dict[str, Any] = {
        "name": name,
        "category": _category(category),
        "description": clean_description(description),
        **_said(wanted, present),
    }
    if before == after:
        return
    service.name, service.name_key = after["name"], text_key(after["name"])
    service.category, service.description = after["category"], after["description"]
    service.icon, service.aliases, service.notifies = wanted.icon, list(wanted.aliases), _listed(wanted.notifies)
    db.session.flush()
    events.ring(events.STAFF, events.service_topic(service.id))
    record("service.edit", service, by, now, before=before, after=after)


def set_dependencies(service: Service, component_ids: Collection[int], *, by: Actor, now: datetime) -> None:
    """From now on the service depends on just these components; what it depended on before ends now and is kept."""
    before = queries.components_of_service(service.id, now)
    wanted = live_components(component_ids)
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
    record(
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


def archive_service(service: Service, *, version: int, by: Actor, now: datetime, ends_holdings: bool = False) -> int:
    """Stop selling a service; what it depended on ends now, its history stays.

    Refused while anybody holds it, unless that is to end too: `ends_holdings` ends all of it now. Returns how many
    holdings ended.
    """
    if service.version != version:
        raise StaleEdit
    if service.archived_at:
        return 0
    touch(SERVICES)
    # Nobody comes to hold it while those who do are asked for.
    db.session.get_one(Service, service.id, with_for_update=True)
    holders = db.session.scalar(
        select(func.count(Holding.id)).where(Holding.service_id == service.id, queries.is_valid(Holding, now))
    )
    if holders and not ends_holdings:
        times = "once" if holders == 1 else f"{holders} times"
        raise RuleViolation(f"{service.name} is still held {times}. End those holdings too, or first.")
    set_dependencies(service, (), by=by, now=now)
    ended = end_holdings_of(service, by=by, now=now) if holders else 0
    service.archived_at = now
    service.is_global, service.global_since, service.global_up_to = False, None, 0
    db.session.flush()
    _store_services([each for each in _service_order() if each != service.id])
    events.ring(events.STAFF)
    record("service.archive", service, by, now, after={"ended": ended} if ended else None)
    return ended


def delete_service(service: Service, *, version: int, by: Actor, now: datetime) -> None:
    """Take a service away that nobody ever held. One that was held is archived instead: its history stays."""
    if service.version != version:
        raise StaleEdit
    if queries.was_ever_held(service.id):
        raise RuleViolation(f"{service.name} is or was held. Archive it instead, and its history stays.")
    touch(SERVICES)
    before = {"name": service.name, "category": service.category, **_said(details_of(service))}
    record("service.delete", service, by, now, before=before)
    db.session.execute(delete(ServiceDependency).where(ServiceDependency.service_id == service.id))
    db.session.delete(service)
    db.session.flush()
    _store_services(_service_order())
    events.ring(events.STAFF)


def add_starters(keys: Collection[str], *, by: Actor, now: datetime) -> list[Service]:
    """Add these of the services to begin with (`STARTERS`, by key), and offer them no more.

    One that is there already, in the archive too, is left as it is: twice does nothing twice. No key at all declines.
    """
    touch(STARTERS_OFFERED)
    wanted = [starter for starter in STARTERS if starter.key in keys]
    there = set(
        db.session.scalars(
            select(Service.name_key).where(Service.name_key.in_([text_key(each.name) for each in wanted]))
        )
    )
    return [
        add_service(
            each.name,
            category=each.category,
            description=each.description,
            details=Details(each.icon, each.aliases),
            by=by,
            now=now,
        )
        for each in wanted
        if text_key(each.name) not in there
    ]


def restore_service(service: Service, *, version: int, by: Actor, now: datetime) -> None:
    """Sell an archived service again, at the end of the list and depending on nothing yet."""
    if service.version != version:
        raise StaleEdit
    if service.archived_at is None:
        return
    touch(SERVICES)
    service.position = len(_service_order())
    service.archived_at = None
    db.session.flush()
    events.ring(events.STAFF)
    record("service.restore", service, by, now)


def arrange_services(service_ids: Sequence[int], *, version: int, by: Actor, now: datetime) -> None:
    """Put the services in this order, all of them at once; StaleEdit when somebody else came first."""
    touch(SERVICES, version)
    present = _service_order()
    if sorted(service_ids) != sorted(present):
        raise StaleEdit
    _arrange_services(present, list(service_ids), by, now)


def step_service(service_id: int, direction: int, *, version: int, by: Actor, now: datetime) -> None:
    """Move one service a step up (-1) or down (1)."""
    touch(SERVICES, version)
    present = _service_order()
    if service_id not in present:
        raise StaleEdit
    _arrange_services(present, moved(present, service_id, direction), by, now)


_PLACE_SERVICE = update(_services).where(_services.c.id == bindparam("row")).values(position=bindparam("place"))


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
    forget_loaded(Service)


def _service_name(name: str, other_than: int = 0) -> str:
    name = one_line(name)
    if not name or max(len(name), len(text_key(name))) > 200:
        raise RuleViolation("Give the service a name of at most 200 characters.", "name")
    taken = select(Service.archived_at).where(Service.name_key == text_key(name), Service.id != other_than)
    if other := db.session.execute(taken).first():
        where = " in the archive" if other.archived_at else ""
        raise RuleViolation(f"There is already a service called {name}{where}.", "name")
    return name


def details_of(service: Service) -> Details:
    """What the service has beside its name, category and description."""
    return Details(service.icon, tuple(service.aliases), None if service.notifies is None else tuple(service.notifies))


def _details(details: Details, name: str) -> Details:
    try:
        return clean_details(details, name)
    except DetailError as error:
        raise RuleViolation(error.sentence, error.field) from None


def _listed(notifies: tuple[str, ...] | None) -> list[str] | None:
    return None if notifies is None else list(notifies)


def _said(details: Details, other: Details = PLAIN) -> dict[str, Any]:
    """Those of the details that are not as in the other, as the trail has them."""
    said: dict[str, Any] = {}
    if details.icon != other.icon:
        said["icon"] = details.icon
    if details.aliases != other.aliases:
        said["aliases"] = list(details.aliases)
    if details.notifies != other.notifies:
        said["notifies"] = _listed(details.notifies)
    return said


def _category(category: str) -> str:
    category = one_line(category)
    if len(category) > 100:
        raise RuleViolation("A category has at most 100 characters.", "category")
    return category
