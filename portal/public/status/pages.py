"""What the status pages show, put together from the capabilities for one viewpoint.

The same pages serve somebody signed in, who sees what concerns the own company marked, and everybody signed
out, whose page is rendered once for all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from babel.numbers import format_decimal
from flask import render_template

from portal import access
from portal.accounts.rules import SIGNED_OUT, Viewpoint
from portal.catalogue.queries import GroupName, LiveComponent, components_of_company, live_components
from portal.domains.models import PortalDomain
from portal.filters import kept_piece
from portal.incidents.models import Incident
from portal.incidents.queries import (
    FixedIncident,
    HistoryBar,
    Page,
    histories,
    past_incidents,
    recently_fixed,
    statuses_under,
    visible_incident,
)
from portal.incidents.queries.open_now import OpenIncident, OpenWork, concerning_ids, open_now, open_work
from portal.incidents.rules import OPEN_MAINTENANCE, ComponentStatus, maintenance_state, roll_up
from portal.language import current, reader_zone, written_for_everybody
from portal.services.queries import company_picture

PLACE = "\0"
"""What stands for the living part in the frame of the page: no text of ours, and none that anybody can send, has it."""

RECENT = 8
"""How many past incidents the status page itself shows; all of them have a page of their own."""


class ComponentLine(NamedTuple):
    """A component on the status page. `uptime` is a finished text; `is_mine`, whether the company depends on it."""

    component: LiveComponent
    status: ComponentStatus
    bar: HistoryBar
    uptime: str
    is_mine: bool

    @property
    def shown(self) -> tuple[Any, ...]:
        """All that the line shows, so that it need not be rendered twice."""
        each = self.component
        return each.public_id, each.title, each.description, self.status, self.bar.days, self.uptime, self.is_mine


class Group(NamedTuple):
    """Components under their heading; the first group may have none."""

    group: GroupName | None
    lines: list[ComponentLine]

    @property
    def shown(self) -> tuple[Any, ...]:
        """All that the group shows, so that it need not be rendered twice."""
        return self.group, *[line.shown for line in self.lines]


@dataclass(frozen=True)
class Day:
    """The incidents that began on one day of the reader's zone."""

    day: date
    incidents: list[Incident | FixedIncident]


def status_view(viewpoint: Viewpoint, now: datetime) -> dict[str, Any]:
    """Everything the status page shows. A fixed number of queries, however many rows there are."""
    incidents = open_now(viewpoint, now)
    past = recently_fixed(viewpoint, RECENT + 1, now)
    maintenance = open_work(viewpoint, now)
    components = live_components()
    statuses = statuses_under(incidents, maintenance, [component.id for component in components], viewpoint, now)
    company_id = viewpoint.company_id
    mine = components_of_company(company_id, now) if company_id is not None else frozenset()
    concerned = concerning_ids(company_id, now)[0] if company_id is not None and incidents else []
    known = histories(components, now, viewpoint)
    spoken = current()
    lines = [
        ComponentLine(
            component,
            statuses[component.id],
            _since_creation(known[component.id].bar, component.created_at),
            percent(known[component.id].uptime, spoken),
            component.id in mine,
        )
        for component in components
    ]
    overall = roll_up([line.status for line in lines], [incident.impact for incident in incidents])
    return {
        "overall": overall,
        "incidents": incidents,
        "concerned": concerned,
        "groups": [Group(group, list(each)) for group, each in groupby(lines, key=lambda line: line.component.group)],
        "under_way": [each for each in maintenance if _is_under_way(each, now)],
        "ahead": [each for each in maintenance if not _is_under_way(each, now)],
        "days": by_day(past[:RECENT]),
        "shown_past": tuple(past[:RECENT]),
        "zone_name": str(reader_zone()),
        "has_more": len(past) > RECENT,
        "checked_at": now.replace(second=0, microsecond=0),
        "is_signed_out": viewpoint.is_signed_out,
        "shown": _shown_at(now),
    }


def history_view(viewpoint: Viewpoint, page: int, now: datetime) -> dict[str, Any] | None:
    """A page of the past incidents by day, or None where there is no such page."""
    found: Page[Incident] | None = past_incidents(viewpoint, page, now)
    if found is None:
        return None
    return {"listed": found, "days": by_day(found.items), "is_signed_out": viewpoint.is_signed_out}


def incident_view(viewpoint: Viewpoint, public_id: str, now: datetime) -> dict[str, Any] | None:
    """What the page of one incident shows; None where there is none for this viewpoint.

    `services` are those of the reader's company that it touches.
    """
    picture = company_picture(viewpoint.company_id, now) if viewpoint.company_id is not None else None
    incident = visible_incident(viewpoint, public_id, now)
    if incident is None:
        return None
    touched = [each.services for each in picture.concerns if each.incident.id == incident.id] if picture else []
    due_at = incident.next_update_due_at
    return {
        "incident": incident,
        "next_update": due_at if due_at and due_at > now and not incident.resolved_at else None,
        "is_signed_out": viewpoint.is_signed_out,
        "concerns_reader": bool(touched),
        "services": touched[0] if touched else (),
    }


def render_public_status(domain: PortalDomain, language: str, now: datetime) -> str:
    """The public status page as everybody signed out is given it: no session, no token, nobody's name in it.

    It depends on nothing but the database and its arguments (of `now` on the minute, for relative times), so
    that it can be kept under the version of the domain's public topic.
    """
    with _for_everybody(domain, language) as context:
        view = status_view(SIGNED_OUT, now)
        if access.viewer() is not None:
            return render_template("public/status/status.html", **view, **context)
        living = render_template("public/status/_status.html", **view, **context)
        before, _, after = _frame(domain, language, context).partition(PLACE)
        return f"{before}{living}{after}"


def render_public_status_fragment(domain: PortalDomain, language: str, now: datetime) -> str:
    """The living part of the same page, for one that is open."""
    with _for_everybody(domain, language) as context:
        return render_template("public/status/_status.html", **status_view(SIGNED_OUT, now), **context)


def render_public_history(template: str, domain: PortalDomain, page: int, now: datetime) -> str | None:
    """A page of the past incidents for everybody signed out, or None where there is no such page."""
    with _for_everybody(domain, domain.language) as context:
        view = history_view(SIGNED_OUT, page, now)
        return render_template(template, **view, **context) if view else None


def render_public_incident(template: str, domain: PortalDomain, public_id: str, now: datetime) -> str | None:
    """The page of one incident for everybody signed out, or None where there is none for them."""
    with _for_everybody(domain, domain.language) as context:
        view = incident_view(SIGNED_OUT, public_id, now)
        return render_template(template, **view, **context) if view else None


def _frame(domain: PortalDomain, language: str, context: dict[str, Any]) -> str:
    """The page around its living part, which stands at PLACE: made of nothing but the domain's row and the language."""

    def make() -> str:
        return render_template("public/status/status.html", living=PLACE, **context)

    row = tuple(str(getattr(domain, column.key)) for column in PortalDomain.__table__.columns)
    return kept_piece("public_status_frame", (language, row), make)


@contextmanager
def _for_everybody(domain: PortalDomain, language: str) -> Iterator[dict[str, Any]]:
    """What is rendered inside is the same for all: this language, times in the domain's zone, nobody's name."""
    with written_for_everybody(language, domain.time_zone):
        yield {"is_cached": True, "zone": domain.time_zone}


def percent(share: float, language: str) -> str:
    """A share of time as it is shown in a language: two places, and never rounded up to a perfect record."""
    shown = min(share, 0.9999) if share < 1 else 1.0
    return _percent(int(shown * 10_000), language)


@lru_cache(maxsize=1024)
def _percent(hundredths: int, language: str) -> str:
    return str(format_decimal(hundredths / 100, "0.##", locale=language)) + "\u202f%"


def by_day(incidents: Sequence[Incident | FixedIncident]) -> list[Day]:
    """Incidents, in their order, under the days they began on in the reader's zone."""
    zone = reader_zone()
    return [
        Day(day, list(each))
        for day, each in groupby(incidents, key=lambda incident: incident.started_at.astimezone(zone).date())
    ]


def _since_creation(bar: HistoryBar, created_at: datetime) -> HistoryBar:
    """The bar with the quiet days before the component existed marked as unknown rather than well."""
    unknown = min(max((created_at.date() - bar.first_day).days, 0), len(bar.days) - 1)
    if not unknown:
        return bar
    known_from = min(unknown, len(bar.days) - len(bar.days.lstrip("0")))
    return bar._replace(days="-" * known_from + bar.days[known_from:])


def _shown_at(now: datetime) -> Callable[[OpenIncident], tuple[Any, ...]]:
    """All that the article of an open incident shows, so that it need not be rendered twice within a minute."""
    minute, zone = now.replace(second=0, microsecond=0), str(reader_zone())

    def shown(incident: OpenIncident) -> tuple[Any, ...]:
        hit = tuple((each.component.title, each.severity) for each in incident.components)
        updates = tuple((each.state, each.visibility, each.body, each.posted_at) for each in incident.updates)
        return incident.public_id, incident.title, incident.state, incident.started_at, hit, updates, minute, zone

    return shown


def _is_under_way(maintenance: OpenWork, now: datetime) -> bool:
    state = maintenance_state(maintenance.state, maintenance.starts_at, maintenance.ends_at, now)
    return state in OPEN_MAINTENANCE
