"""What the home shows of a company, with nothing of an area that is off."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from flask_babel import gettext as _

from portal.accounts.queries import Viewer
from portal.customer.work_sheet.routes import sheet_address
from portal.domains.announcements import queries as announcements
from portal.domains.rules import Area
from portal.jobs.queries.public import public_lines
from portal.jobs.queries.zones import today_of
from portal.jobs.rules import WorkKind
from portal.language import current
from portal.services.queries import CompanyPicture, PlannedWork, ServiceLine, company_picture, service_lines
from portal.services.queries.settings import View, view_of
from portal.services.rules import CauseKind, ServiceStatus

SHOWN = 8
"""How many services the home names; the others are a link away."""

STATEMENTS_SHOWN = 5
"""How many things that staff say of services stand at the top; the list of services has them all."""

PLANNED_SHOWN = 3
"""How much maintenance that is ahead stands at the top, of what repeats the next; the status page has all of it."""

WORK_SHOWN = 5
"""How many jobs, and how many quotes, the home names: those that wait for the customer, then those under way."""


@dataclass(frozen=True)
class Statement:
    """The same said of one or several services: a problem, or scheduled service, which may still be ahead."""

    lines: Sequence[ServiceLine]
    is_ahead: bool

    @property
    def first(self) -> ServiceLine:
        """One of them, for all that they have in common."""
        return self.lines[0]


def home_view(
    viewer: Viewer, domain_id: int, areas: Collection[Area], now: datetime, *, shows_work: bool = True
) -> dict[str, Any]:
    """The banners, services, jobs and quotes of the viewer's company. `picture` is None where Status is off, `jobs` and
    `quotes` are where their areas are; without `shows_work` nobody asks for them.
    """
    company_id = viewer.company_id or 0
    shows_services = Area.SERVICES in areas
    view = view_of(domain_id, company_id)
    picture = company_picture(company_id, now, view=view) if Area.STATUS in areas else None
    lines = picture.lines if picture else service_lines(company_id, now, shows_incidents=False, view=view)
    statements = _statements(lines, now) if shows_services else []
    open_work = {Area.JOBS, Area.QUOTES}.intersection(areas) if shows_work else set()
    today = today_of(company_id, now) if open_work else now.date()
    told = announcements.standing(domain_id, (current(),), now) if shows_work and Area.STATUS in areas else []
    jobs = _work(WorkKind.JOB, company_id, today) if Area.JOBS in open_work else None
    quotes = _work(WorkKind.QUOTE, company_id, today) if Area.QUOTES in open_work else None
    work_shown = _next_of_each(picture.ahead)[:PLANNED_SHOWN] if picture else []
    return {
        "picture": picture,
        "statements": statements[:STATEMENTS_SHOWN],
        "more_statements": max(len(statements) - STATEMENTS_SHOWN, 0),
        "work_shown": work_shown,
        "more_work": len(picture.ahead) - len(work_shown) if picture else 0,
        "all_clear_words": _all_clear(picture, statements, view, shows_services=shows_services),
        "shows_services": shows_services,
        "lines": sorted(lines, key=_worst_first)[:SHOWN],
        "total": len(lines),
        "announcements": told,
        "jobs": jobs,
        "quotes": quotes,
        "work_sheet": sheet_address() if any(work and work["lines"] for work in (jobs, quotes)) else None,
        "checked_at": now.replace(second=0, microsecond=0),
        "now": now,
    }


def _next_of_each(ahead: Sequence[PlannedWork]) -> list[PlannedWork]:
    """The first of all that is called the same: work that repeats says so once."""
    found: dict[str, PlannedWork] = {}
    for each in ahead:
        found.setdefault(each.maintenance.title, each)
    return list(found.values())


def _work(kind: WorkKind, company_id: int, today: date) -> dict[str, Any]:
    lines, total = public_lines(kind, company_id, today, WORK_SHOWN)
    return {"lines": lines, "total": total}


def _statements(lines: Sequence[ServiceLine], now: datetime) -> list[Statement]:
    """What staff say of these services, each thing once for all it is said of: problems, then what is scheduled."""

    def same(line: ServiceLine) -> tuple[Any, ...]:
        ahead = line.starts_at if line.starts_at and line.starts_at > now else None
        rank = (line.status or ServiceStatus.NORMAL).rank
        moments = [each.timestamp() if each else 0.0 for each in (ahead, line.since, line.until)]
        return (-rank, *moments, line.window or "", line.notes, line.ticket)

    stated = sorted((line for line in lines if line.cause in {CauseKind.STATED, CauseKind.WINDOW}), key=same)
    return [
        Statement(together, is_ahead=together[0].starts_at is not None and together[0].starts_at > now)
        for together in (list(each) for _same, each in groupby(stated, key=same))
    ]


def _all_clear(
    picture: CompanyPicture | None, statements: Sequence[Statement], view: View, *, shows_services: bool
) -> str:
    """The one sentence that stands there when nothing is wrong, and says no more than can be known from here.

    "" where something is, and where Status is off: then nobody knows.
    """
    if picture is None or picture.concerns or picture.work or any(not each.is_ahead for each in statements):
        return ""
    if not shows_services:
        return str(_("No incident affects you at the moment"))
    if view.hidden_services:
        return str(_("Nothing shown here is wrong at the moment"))
    if statements:
        return str(_("Nothing is wrong at the moment"))
    return str(_("Everything you use is operating normally"))


def _worst_first(line: ServiceLine) -> int:
    return -(line.status or ServiceStatus.NORMAL).rank
