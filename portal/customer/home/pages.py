"""What the home shows of a company, with nothing of an area that is off."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from portal.accounts.queries import Viewer
from portal.domains.rules import Area
from portal.services.queries import CompanyPicture, ServiceLine, company_picture, service_lines
from portal.services.rules import ServiceStatus

SHOWN = 8
"""How many services the home names; the others are a link away."""


def home_view(viewer: Viewer, areas: Collection[Area], now: datetime) -> dict[str, Any]:
    """The banners and the services of the viewer's company. `picture` is None where Status is off."""
    company_id = viewer.company_id or 0
    picture = company_picture(company_id, now) if Area.STATUS in areas else None
    lines = picture.lines if picture else service_lines(company_id, now, shows_incidents=False)
    return {
        "picture": picture,
        "is_all_well": picture is not None and _is_all_well(picture),
        "shows_services": Area.SERVICES in areas,
        "lines": sorted(lines, key=_worst_first)[:SHOWN],
        "total": len(lines),
        "checked_at": now.replace(second=0, microsecond=0),
        "now": now,
    }


def _is_all_well(picture: CompanyPicture) -> bool:
    return not picture.concerns and not picture.work


def _worst_first(line: ServiceLine) -> int:
    return -(line.status or ServiceStatus.NORMAL).rank
