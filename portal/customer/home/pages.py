"""What the home shows of a company, with nothing of an area that is off."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from portal.accounts.queries import Viewer
from portal.customer.work_sheet.routes import sheet_address
from portal.domains.rules import Area
from portal.jobs.queries.public import public_lines
from portal.jobs.queries.zones import today_of
from portal.jobs.rules import WorkKind
from portal.services.queries import CompanyPicture, ServiceLine, company_picture, service_lines
from portal.services.rules import ServiceStatus

SHOWN = 8
"""How many services the home names; the others are a link away."""

WORK_SHOWN = 5
"""How many jobs, and how many quotes, the home names: those that wait for the customer, then those under way."""


def home_view(viewer: Viewer, areas: Collection[Area], now: datetime, *, shows_work: bool = True) -> dict[str, Any]:
    """The banners, services, jobs and quotes of the viewer's company. `picture` is None where Status is off, `jobs` and
    `quotes` are where their areas are; without `shows_work` nobody asks for them.
    """
    company_id = viewer.company_id or 0
    picture = company_picture(company_id, now) if Area.STATUS in areas else None
    lines = picture.lines if picture else service_lines(company_id, now, shows_incidents=False)
    open_work = {Area.JOBS, Area.QUOTES}.intersection(areas) if shows_work else set()
    today = today_of(company_id, now) if open_work else now.date()
    jobs = _work(WorkKind.JOB, company_id, today) if Area.JOBS in open_work else None
    quotes = _work(WorkKind.QUOTE, company_id, today) if Area.QUOTES in open_work else None
    return {
        "picture": picture,
        "is_all_well": picture is not None and _is_all_well(picture),
        "shows_services": Area.SERVICES in areas,
        "lines": sorted(lines, key=_worst_first)[:SHOWN],
        "total": len(lines),
        "jobs": jobs,
        "quotes": quotes,
        "work_sheet": sheet_address() if any(work and work["lines"] for work in (jobs, quotes)) else None,
        "checked_at": now.replace(second=0, microsecond=0),
        "now": now,
    }


def _work(kind: WorkKind, company_id: int, today: date) -> dict[str, Any]:
    lines, total = public_lines(kind, company_id, today, WORK_SHOWN)
    return {"lines": lines, "total": total}


def _is_all_well(picture: CompanyPicture) -> bool:
    return not picture.concerns and not picture.work


def _worst_first(line: ServiceLine) -> int:
    return -(line.status or ServiceStatus.NORMAL).rank
