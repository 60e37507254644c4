"""What the search looks for, in the order it is shown, and where each find leads.

A group is searched only for whoever may open what it leads to: that is asked of the screen itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from flask import url_for

from portal import access
from portal.accounts.queries.search import CompanyHit, PersonHit, search_companies, search_people
from portal.accounts.rules import STAFF, Role, may
from portal.alerts.queries import AlertHit, search_alerts
from portal.catalogue.notices.searching import NoticeHit, search_notices
from portal.catalogue.queries.search import (
    ComponentHit,
    GroupHit,
    HoldingHit,
    ServiceHit,
    search_components,
    search_groups,
    search_holdings,
    search_services,
)
from portal.domains.queries.search import DomainHit, search_domains
from portal.filters import look
from portal.incidents.queries.search import IncidentHit, search_incidents
from portal.incidents.rules import Visibility
from portal.jobs.rules import PLURALS, WorkKind, written_number
from portal.jobs.searching import WorkHit, search_work
from portal.notifications.searching import BroadcastHit, search_broadcasts
from portal.searching import Matches

PER_GROUP = 5
"""Finds shown of each group at first."""

PER_PAGE = 50


@dataclass(frozen=True)
class Find:
    """One line: where it leads, what it is called, and what tells it from its namesakes."""

    address: str
    title: str
    detail: str


class Searching(Protocol):
    """What a group asks its capability."""

    def __call__(self, text: str, limit: int, now: datetime, offset: int | None) -> Matches[Any]: ...


@dataclass(frozen=True)
class Group:
    """Things of one kind. `endpoint` is the screen of one of them, which says who may open it."""

    name: str
    title: str
    icon: str
    endpoint: str
    searched: Searching
    shown: Callable[[Any], Find]


@dataclass(frozen=True)
class Found:
    """What was found of one group. `total` is None where it was not counted."""

    group: Group
    finds: Sequence[Find]
    total: int | None
    has_more: bool
    is_exact: bool


def search_all(text: str, role: Role | None, now: datetime) -> list[Found]:
    """The best few of every group this role may open; a group with something called just so stands first."""
    found = [_found(group, text, PER_GROUP, now, None) for group in GROUPS if _may_open(group, role)]
    return sorted((each for each in found if each.finds), key=lambda each: not each.is_exact)


def search_group(name: str, text: str, page: int, role: Role | None, now: datetime) -> Found | None:
    """A page of one group with the number of all; None where there is no such group for this role."""
    group = next((each for each in GROUPS if each.name == name and _may_open(each, role)), None)
    return _found(group, text, PER_PAGE, now, (page - 1) * PER_PAGE) if group else None


def _may_open(group: Group, role: Role | None) -> bool:
    declaration = access.declaration_of(group.endpoint)
    return declaration is not None and declaration.permission is not None and may(role, declaration.permission)


def _found(group: Group, text: str, limit: int, now: datetime, offset: int | None) -> Found:
    matches = group.searched(text, limit, now, offset)
    finds = [group.shown(item) for item in matches.items]
    return Found(group, finds, matches.total, matches.has_more, matches.is_exact)


# How each kind is told


def _told(*parts: str | None) -> str:
    return " · ".join(part for part in parts if part)


def _holding(hit: HoldingHit) -> Find:
    address = url_for("admin_companies.company", company_id=hit.company_id)
    return Find(address, hit.reference, _told(hit.service, hit.company, "ended" if hit.is_over else None))


def _company(hit: CompanyHit) -> Find:
    address = url_for("admin_companies.company", company_id=hit.id)
    return Find(address, hit.name, "Archived" if hit.is_archived else "")


def _person(hit: PersonHit) -> Find:
    address = url_for("admin_people.person", person_id=hit.id)
    return Find(
        address,
        hit.name,
        _told(hit.email, "staff" if hit.role else None, "deactivated" if hit.is_deactivated else None),
    )


def _incident(hit: IncidentHit) -> Find:
    address = url_for("admin_incidents.incident", incident_id=hit.id)
    private = "private" if hit.visibility is Visibility.PRIVATE else None
    return Find(address, hit.title, _told(str(look("state", hit.state).label), f"{hit.started_at:%d %b %Y}", private))


def _work(kind: WorkKind) -> Callable[[WorkHit], Find]:
    def work(hit: WorkHit) -> Find:
        number = written_number(kind, hit.number)
        return Find(f"/admin/{PLURALS[kind]}/{number}", hit.title, _told(number, hit.company, hit.status))

    return work


def _alert(hit: AlertHit) -> Find:
    address = url_for("admin_alerts.alert_page", public_id=hit.public_id)
    return Find(address, hit.title, _told(hit.company or hit.tag, "archived" if hit.is_archived else None))


def _component(hit: ComponentHit) -> Find:
    address = url_for("admin_components.component", component_id=hit.id)
    return Find(address, hit.title, _told(hit.group, "archived" if hit.is_archived else None))


def _group(hit: GroupHit) -> Find:
    address = url_for("admin_components.component_list", _anchor=f"group-{hit.id}")
    return Find(address, hit.name, "1 component" if hit.components == 1 else f"{hit.components:,} components")


def _service(hit: ServiceHit) -> Find:
    address = url_for("admin_services.service", service_id=hit.id)
    return Find(address, hit.name, _told(hit.category, "archived" if hit.is_archived else None))


def _broadcast(hit: BroadcastHit) -> Find:
    address = url_for("admin_broadcasts.broadcast", broadcast_id=hit.id)
    return Find(address, hit.title, _told(str(look("broadcast", hit.state).label), f"{hit.created_at:%d %b %Y}"))


def _notice(hit: NoticeHit) -> Find:
    address = url_for("admin_notices.notice", notice_id=hit.id)
    return Find(address, hit.title, _told(str(look("notice", hit.state).label), f"{hit.updated_at:%d %b %Y}"))


def _domain(hit: DomainHit) -> Find:
    return Find(url_for("admin_portals.portal", domain_id=hit.id), hit.brand, hit.host)


GROUPS = (
    Group(
        "companies",
        "Companies",
        "building",
        "admin_companies.company",
        lambda text, limit, now, offset: search_companies(STAFF, text, limit, offset),
        _company,
    ),
    Group(
        "people",
        "People",
        "users",
        "admin_people.person",
        lambda text, limit, now, offset: search_people(STAFF, text, limit, offset),
        _person,
    ),
    Group(
        "holdings",
        "References",
        "link",
        "admin_companies.company",
        lambda text, limit, now, offset: search_holdings(STAFF, text, limit, now, offset),
        _holding,
    ),
    Group(
        "jobs",
        "Jobs",
        "briefcase",
        "admin_jobs.item",
        lambda text, limit, now, offset: search_work(STAFF, WorkKind.JOB, text, limit, offset),
        _work(WorkKind.JOB),
    ),
    Group(
        "quotes",
        "Quotes",
        "file",
        "admin_quotes.item",
        lambda text, limit, now, offset: search_work(STAFF, WorkKind.QUOTE, text, limit, offset),
        _work(WorkKind.QUOTE),
    ),
    Group(
        "incidents",
        "Incidents",
        "pulse",
        "admin_incidents.incident",
        lambda text, limit, now, offset: search_incidents(STAFF, text, limit, now, offset),
        _incident,
    ),
    Group(
        "components",
        "Components",
        "grid",
        "admin_components.component",
        lambda text, limit, now, offset: search_components(STAFF, text, limit, offset),
        _component,
    ),
    Group(
        "groups",
        "Component groups",
        "grid",
        "admin_components.component_list",
        lambda text, limit, _now, offset: search_groups(text, limit, offset),
        _group,
    ),
    Group(
        "services",
        "Services",
        "layers",
        "admin_services.service",
        lambda text, limit, now, offset: search_services(STAFF, text, limit, now, offset),
        _service,
    ),
    Group(
        "broadcasts",
        "Broadcasts",
        "mail",
        "admin_broadcasts.broadcast",
        lambda text, limit, now, offset: search_broadcasts(STAFF, text, limit, offset),
        _broadcast,
    ),
    Group(
        "notices",
        "Notices",
        "edit",
        "admin_notices.notice",
        lambda text, limit, now, offset: search_notices(STAFF, text, limit, offset),
        _notice,
    ),
    Group(
        "alerts",
        "Alerts",
        "bell",
        "admin_alerts.alert_page",
        lambda text, limit, _now, offset: search_alerts(text, limit, offset),
        _alert,
    ),
    Group(
        "portals",
        "Portal domains",
        "globe",
        "admin_portals.portal",
        lambda text, limit, now, offset: search_domains(STAFF, text, limit, offset),
        _domain,
    ),
)
"""Every group. Those of later capabilities join here."""
