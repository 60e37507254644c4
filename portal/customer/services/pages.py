"""What the pages of a company's services show, and nothing of a service that is hidden from it or another's."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from portal import access, clock
from portal.accounts.queries import Viewer
from portal.catalogue.queries.listings import service as service_seen
from portal.catalogue.rules import service_topic
from portal.domains.rules import Area
from portal.filters import percent
from portal.incidents.rules.availability import Terms
from portal.language import current
from portal.notifications.queries import left_lists
from portal.notifications.rules import EVERY_TOPIC
from portal.notifications.wishes import wishes_of
from portal.services.queries import ServiceLine, service_lines
from portal.services.queries.hearing import TOPIC, status_topic
from portal.services.queries.settings import View, view_of
from portal.services.queries.told import Ahead, Told, told_of, windows_of
from portal.services.queries.uptime import Uptime, uptimes
from portal.services.rules import PROBLEMS, ServiceStatus, UpdateKind

TOLD_LATER = timedelta(minutes=5)
"""How long after a problem began it must have been told for both times to be worth showing."""

KINDS = {
    UpdateKind.ANNOUNCED: lazy_gettext("Announced"),
    UpdateKind.MOVED: lazy_gettext("Moved"),
    UpdateKind.CANCELLED: lazy_gettext("Called off"),
    UpdateKind.ENDED: lazy_gettext("Scheduled service is over"),
    UpdateKind.FINISHED: lazy_gettext("Scheduled service is finished"),
    UpdateKind.RECOVERED: lazy_gettext("Incident fixed"),
}
"""What is said of an update beside its status."""


@dataclass(frozen=True)
class Entry:
    """One entry of a history; `began_at` where it began well before it was told."""

    told: Told
    words: str
    began_at: datetime | None


@dataclass(frozen=True)
class Bars:
    """The last days as bars, with the share of them it was up, written, and the terms by which it is counted."""

    days: str
    uptime: str
    terms: Terms


class Mailed(StrEnum):
    """Whether somebody is mailed about a service: ON, OFF for this service, or NOTHING of any service."""

    ON = "on"
    OFF = "off"
    NOTHING = "nothing"


def lines_of(viewer: Viewer, now: datetime) -> tuple[list[ServiceLine], View]:
    """A line for each service of the viewer's company that it sees here, and what it sees of them."""
    company_id = viewer.company_id or 0
    view = view_of(access.portal().id, company_id)
    shows_incidents = Area.STATUS in access.areas()
    return service_lines(company_id, now, shows_incidents=shows_incidents, view=view), view


def line_of(viewer: Viewer, holding_id: int, now: datetime) -> tuple[ServiceLine, View]:
    """The line of this holding; 404 for what is missing, another company's, or hidden from this one."""
    lines, view = lines_of(viewer, now)
    found = next((line for line in lines if line.holding_id == holding_id), None)
    return (found, view) if found is not None else abort(404)


def service_view(viewer: Viewer, holding_id: int) -> dict[str, Any]:
    """What the page of one service shows. A fixed number of queries."""
    now, viewpoint, areas = clock.utcnow(), access.viewpoint(), access.areas()
    line, view = line_of(viewer, holding_id, now)
    shows_incidents = Area.STATUS in areas
    listed = told_of(holding_id, viewpoint, view, _page(), now, shows_incidents=shows_incidents)
    if listed is None:
        abort(404)
    known = service_seen(viewpoint, line.service_id, now)
    return {
        "line": line,
        "service": known,
        "others": [each for each in windows_of(holding_id, view, now) if each.public_id != line.window],
        "shows_history": view.shows_history,
        "listed": listed,
        "entries": [_entry(each) for each in listed.items],
        # Without incidents most of what breaks would be missing, and bars of it would say that all was well.
        "bars": _bars(uptimes([holding_id], viewpoint, now)[holding_id])
        if shows_incidents and view.shows_history
        else None,
        "has_months": shows_incidents and view.shows_history,
        "has_calendar": view.shows_end_times,
        "mailed": None if viewer.is_view_as else mailed_about(viewer, line.service_id),
        "checked_at": now.replace(second=0, microsecond=0),
        "now": now,
    }


def window_view(viewer: Viewer, holding_id: int, public_id: str) -> tuple[ServiceLine, Ahead, datetime]:
    """A window of this holding, for a calendar, with its end; 404 where there is none, or its end is not shown."""
    now = clock.utcnow()
    line, view = line_of(viewer, holding_id, now)
    found = next((each for each in windows_of(holding_id, view, now) if each.public_id == public_id), None)
    if found is None or found.ends_at is None:
        abort(404)
    return line, found, found.ends_at


def mailed_about(viewer: Viewer, service_id: int) -> Mailed:
    """What the viewer is mailed about this service, by their own wish, their company's, and the lists they have left.

    Three queries.
    """
    topic, company_id = service_topic(service_id), viewer.company_id or 0
    statuses = [status_topic(status) for status in ServiceStatus]
    wishes = wishes_of([viewer.person_id], [company_id], [topic, TOPIC, *statuses])

    def wants(key: str) -> bool:
        return wishes.wants(viewer.person_id, company_id, key)

    if not wants(TOPIC) or not any(map(wants, statuses)) or {TOPIC, EVERY_TOPIC} & left_lists(viewer.email):
        return Mailed.NOTHING
    return Mailed.ON if wants(topic) else Mailed.OFF


def overview(lines: Sequence[ServiceLine]) -> list[tuple[ServiceStatus, int]]:
    """How many services are in each status, worst first; nothing where there is too little to count."""
    if len(lines) < 2:
        return []
    counted = Counter(line.status for line in lines if line.status is not None)
    return sorted(counted.items(), key=lambda each: -each[0].rank)


def _entry(told: Told) -> Entry:
    is_later = told.status in PROBLEMS and told.told_at - told.began_at > TOLD_LATER
    return Entry(told, str(KINDS.get(told.kind, "")), told.began_at if is_later else None)


def _bars(uptime: Uptime) -> Bars:
    return Bars(uptime.days, percent(uptime.share, current()), uptime.terms)


def _page() -> int:
    wanted = request.args.get("page", "1")
    return int(wanted) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 7 else 0


def calendar_words(line: ServiceLine) -> str:
    """What scheduled service on this is called in a calendar."""
    named = f"{line.name} ({line.reference})" if line.reference else line.name
    return str(_("Scheduled service: %(service)s", service=named))
