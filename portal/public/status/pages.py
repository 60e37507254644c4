"""What the status pages show, put together from the capabilities for one viewpoint.

The same pages serve somebody signed in, who sees what concerns the own company marked, and everybody signed
out, whose page is rendered once for all of them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any, NamedTuple, Protocol

from flask import render_template

from portal import access
from portal.accounts.rules import SIGNED_OUT, Viewpoint
from portal.catalogue.queries import GroupName, LiveComponent, components_of_company, live_components
from portal.catalogue.rules.folding import Fold, stands_open
from portal.domains.announcements import queries as announcements
from portal.domains.models import PortalDomain
from portal.filters import kept_piece, percent
from portal.incidents.models import Incident
from portal.incidents.queries import (
    History,
    HistoryBar,
    Page,
    grouped_histories,
    past_incidents,
    recently_fixed,
    statuses_under,
    visible_incident,
)
from portal.incidents.queries.following import Standing, standing_of_person
from portal.incidents.queries.merging import merged_into
from portal.incidents.queries.open_now import OpenIncident, concerning_ids, open_now, open_work
from portal.incidents.queries.postmortems import postmortem_of
from portal.incidents.rules import ComponentStatus, roll_up
from portal.incidents.rules.conversations import ends_at
from portal.incidents.rules.maintenance import is_under_way
from portal.language import LANGUAGES, chosen, current, reader_zone, written_for_everybody
from portal.services.queries import company_picture
from portal.services.queries.everybody import stated_for_all
from portal.services.queries.settings import view_of
from portal.services.rules import PROBLEMS, ServiceStatus
from portal.usage.queries import shown_metrics
from portal.usage.rules import Span

PLACE = "\0"
"""What stands for the living part in the frame of the page: no text of ours, and none that anybody can send, has it."""

SERVICES_SHOWN = 8
"""How many of the reader's own services the status page names; the others are a link away."""

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

    @property
    def is_shown(self) -> bool:
        """Whether it stands on the page: some components do only while they are not operational."""
        return not self.component.only_if_degraded or self.status is not ComponentStatus.OPERATIONAL


class Group(NamedTuple):
    """Components under their heading; the first group may have none. `bar` and `uptime` are of several as one.

    `worst` is how the worst of them is, which a folded group says in its heading; `is_folded`, whether it stands open.
    """

    group: GroupName | None
    lines: list[ComponentLine]
    bar: HistoryBar | None = None
    uptime: str = ""
    worst: ComponentStatus = ComponentStatus.OPERATIONAL

    @property
    def folds(self) -> bool:
        """Whether it can be folded at all."""
        return self.group is not None and self.group.fold is not Fold.OPEN

    @property
    def is_open(self) -> bool:
        """Whether it stands open when the page does."""
        is_troubled = self.worst is not ComponentStatus.OPERATIONAL
        return self.group is None or stands_open(self.group.fold, is_troubled=is_troubled)

    @property
    def shown(self) -> tuple[Any, ...]:
        """All that the group shows, so that it need not be rendered twice."""
        days = self.bar.days if self.bar else ""
        return self.group, days, self.uptime, self.worst, *[line.shown for line in self.lines]


class Began(Protocol):
    """An incident as a list of the past shows it: whole, or as much of it as that takes."""

    @property
    def started_at(self) -> datetime: ...


@dataclass(frozen=True)
class Day:
    """The incidents that began on one day of the reader's zone."""

    day: date
    incidents: list[Began]


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
    members = _groups_of_several(components)
    known = grouped_histories(components, members, now, viewpoint)
    spoken = current()
    lines = [
        ComponentLine(
            component,
            statuses[component.id],
            _since_creation(known.of_components[component.id].bar, component.created_at),
            percent(known.of_components[component.id].uptime, spoken),
            component.id in mine,
        )
        for component in components
    ]
    overall = roll_up([line.status for line in lines], [incident.impact for incident in incidents])
    return {
        "overall": overall,
        "incidents": incidents,
        "concerned": concerned,
        "groups": [
            _group(group, list(each), known.of_groups.get(group), spoken)
            for group, each in groupby((line for line in lines if line.is_shown), key=lambda line: line.component.group)
        ],
        "weights": known.weights,
        "under_way": [each for each in maintenance if is_under_way(each, now)],
        "ahead": [each for each in maintenance if not is_under_way(each, now)],
        "days": by_day(past[:RECENT]),
        "shown_past": tuple(past[:RECENT]),
        "zone_name": str(reader_zone()),
        "has_more": len(past) > RECENT,
        "checked_at": now.replace(second=0, microsecond=0),
        "is_signed_out": viewpoint.is_signed_out,
        "shown": _shown_at(now),
    }


def _groups_of_several(components: Sequence[LiveComponent]) -> dict[GroupName, list[LiveComponent]]:
    """The groups that are worth a history of their own."""
    found: dict[GroupName, list[LiveComponent]] = {}
    for each in components:
        if each.group is not None:
            found.setdefault(each.group, []).append(each)
    return {group: members for group, members in found.items() if len(members) > 1}


def _group(group: GroupName | None, lines: list[ComponentLine], known: History | None, spoken: str) -> Group:
    worst = max((line.status for line in lines), key=lambda status: status.rank)
    if known is None:
        return Group(group, lines, worst=worst)
    return Group(group, lines, known.bar, percent(known.uptime, spoken), worst)


def announcements_view(domain: PortalDomain, now: datetime) -> dict[str, Any]:
    """What the business tells everybody on this portal domain: what is pinned, and the rest. One query."""
    told = announcements.standing(domain.id, (current(), domain.language), now)
    return {
        "pinned": [each for each in told if each.is_pinned],
        "told": [each for each in told if not each.is_pinned],
    }


def charts_view(domain: PortalDomain, now: datetime) -> dict[str, Any]:
    """What is measured for everybody and shown on this portal domain. At most two queries."""
    return {"charts": shown_metrics(domain.id, Span.DAY, now, reader_zone())}


def everybody_view(domain: PortalDomain, now: datetime) -> dict[str, Any]:
    """What everybody signed out is told beside incidents: announcements, figures, and how the services are that all
    have."""
    told = announcements_view(domain, now) | charts_view(domain, now)
    return told | {"global_services": stated_for_all(domain.id, now)} if domain.shows_global_services else told


def services_view(company_id: int, domain_id: int, now: datetime) -> dict[str, Any]:
    """The reader's own services, worst first, and how many there are; `is_troubled` if one of them does not work."""
    lines = company_picture(company_id, now, view=view_of(domain_id, company_id)).lines
    lines.sort(key=lambda line: -(line.status or ServiceStatus.NORMAL).rank)
    return {
        "services": lines[:SERVICES_SHOWN],
        "services_total": len(lines),
        "is_troubled": any(line.status in PROBLEMS for line in lines),
    }


def history_view(viewpoint: Viewpoint, page: int, now: datetime) -> dict[str, Any] | None:
    """A page of the past incidents by day, or None where there is no such page."""
    found: Page[Incident] | None = past_incidents(viewpoint, page, now)
    if found is None:
        return None
    return {
        "listed": found,
        "days": by_day(found.items),
        "this_month": f"{now.astimezone(reader_zone()):%Y-%m}",
        "is_signed_out": viewpoint.is_signed_out,
    }


def incident_view(viewpoint: Viewpoint, public_id: str, now: datetime) -> dict[str, Any] | None:
    """What the page of one incident shows; None where there is none for this viewpoint.

    `services` are those of the reader's company that it touches.
    """
    company_id = viewpoint.company_id
    view = view_of(access.portal().id, company_id) if company_id is not None else None
    picture = company_picture(company_id, now, view=view) if company_id is not None else None
    incident = visible_incident(viewpoint, public_id, now)
    if incident is None:
        return None
    touched = [each.services for each in picture.concerns if each.incident.id == incident.id] if picture else []
    due_at = incident.next_update_due_at
    postmortem = postmortem_of(incident.id, viewpoint, now) if incident.resolved_at else None
    end = ends_at(incident.resolved_at, postmortem.published_at if postmortem else None)
    return {
        "incident": incident,
        "next_update": due_at if due_at and due_at > now and not incident.resolved_at else None,
        "is_signed_out": viewpoint.is_signed_out,
        "concerns_reader": bool(touched),
        "services": touched[0] if touched else (),
        "postmortem": postmortem,
        "merged": merged_into(incident.id, viewpoint, now),
        "standing": _standing(incident, company_id),
        "can_be_followed": viewpoint.is_signed_out and (end is None or end > now),
    }


def _standing(incident: Incident, company_id: int | None) -> Standing | None:
    """How whoever is signed in stands to an incident; None for everybody else, and for staff who only look."""
    person = access.viewer() if company_id is not None else None
    if person is None or person.is_view_as:
        return None
    return standing_of_person(incident, person.person_id, company_id or 0)


def render_public_status(domain: PortalDomain, language: str, now: datetime) -> str:
    """The public status page as everybody signed out is given it: no session, no token, nobody's name in it.

    It depends on nothing but the database and its arguments (of `now` on the minute, for relative times), so
    that it can be kept under the version of the domain's public topic.
    """
    with _for_everybody(domain, language) as context:
        view = status_view(SIGNED_OUT, now) | everybody_view(domain, now)
        if access.viewer() is not None:
            return render_template("public/status/status.html", **view, **context)
        living = render_template("public/status/_status.html", **view, **context)
        before, _, after = _frame(domain, language, context).partition(PLACE)
        return f"{before}{living}{after}"


def render_public_status_fragment(domain: PortalDomain, language: str, now: datetime) -> str:
    """The living part of the same page, for one that is open."""
    with _for_everybody(domain, language) as context:
        view = status_view(SIGNED_OUT, now) | everybody_view(domain, now)
        return render_template("public/status/_status.html", **view, **context)


def render_public(
    template: str, domain: PortalDomain, language: str, view: Callable[[], dict[str, Any] | None]
) -> str | None:
    """A page for everybody signed out, of what the view makes in their language; None where that makes none."""
    with _for_everybody(domain, language) as context:
        made = view()
        return render_template(template, **made, **context) if made else None


def language_of_reader(domain: PortalDomain) -> str:
    """The language a page for everybody signed out is asked for in: one that was chosen, else the portal domain's."""
    return (None if access.viewer() else chosen()) or domain.language


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
        yield {"is_cached": True, "zone": domain.time_zone, "languages": LANGUAGES}


def by_day(incidents: Iterable[Began]) -> list[Day]:
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
