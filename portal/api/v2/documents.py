"""The documents of `/api/v2`, each put together for everybody signed out with a fixed number of queries."""

from collections.abc import Callable, Sequence
from datetime import datetime

from portal.accounts.rules import SIGNED_OUT
from portal.api.v2.shapes import Json, Shaper, named_in, page_of, status_of
from portal.catalogue.queries.described import described_components
from portal.domains.models import PortalDomain
from portal.incidents.queries import component_statuses, statuses_of
from portal.incidents.queries.after import told_postmortems
from portal.incidents.queries.open_now import OPEN_AT_MOST
from portal.incidents.queries.whole import (
    Which,
    WholeIncident,
    WholeMaintenance,
    last_change,
    last_moves,
    whole_incidents,
    whole_maintenance,
)
from portal.incidents.rules import ComponentStatus, Indicator, PageStatus, roll_up

MOST_RECENT = 50
"""How many incidents, and how much maintenance, the lists of everything hold: as many as Statuspage gives."""


def summary(domain: PortalDomain, now: datetime, indicator: Indicator) -> Json:
    """The whole page: components, what is open, what is planned or under way, and the roll-up."""
    incidents = whole_incidents(SIGNED_OUT, now, limit=OPEN_AT_MOST, open_only=True)
    work = whole_maintenance(SIGNED_OUT, now, limit=OPEN_AT_MOST, which=Which.NOT_OVER)
    shaper = _shaper(domain, now, [*incidents, *work])
    return {
        "page": page_of(domain, last_change(SIGNED_OUT, now)),
        "components": shaper.components(),
        "incidents": [shaper.incident(each) for each in incidents],
        "scheduled_maintenances": [shaper.maintenance(each) for each in work],
        "status": status_of(_rolled_up(shaper.live_statuses(), incidents, indicator)),
    }


def status(domain: PortalDomain, now: datetime, indicator: Indicator) -> Json:
    """The roll-up alone."""
    incidents = whole_incidents(SIGNED_OUT, now, limit=OPEN_AT_MOST, open_only=True)
    statuses = list(component_statuses(SIGNED_OUT, now).values())
    rolled_up = _rolled_up(statuses, incidents, indicator)
    return {"page": page_of(domain, last_change(SIGNED_OUT, now)), "status": status_of(rolled_up)}


def components(domain: PortalDomain, now: datetime, _indicator: Indicator) -> Json:
    """The components with their groups."""
    shaper = _shaper(domain, now, ())
    return {"page": page_of(domain, last_change(SIGNED_OUT, now)), "components": shaper.components()}


def incidents(domain: PortalDomain, now: datetime, _indicator: Indicator) -> Json:
    """The most recent incidents, newest first, whatever their state."""
    return _incidents(domain, now, whole_incidents(SIGNED_OUT, now, limit=MOST_RECENT))


def unresolved(domain: PortalDomain, now: datetime, _indicator: Indicator) -> Json:
    """The open incidents, newest first."""
    return _incidents(domain, now, whole_incidents(SIGNED_OUT, now, limit=OPEN_AT_MOST, open_only=True))


def maintenances(domain: PortalDomain, now: datetime, _indicator: Indicator) -> Json:
    """The most recent maintenance, newest first, whatever its state."""
    return _maintenances(domain, now, whole_maintenance(SIGNED_OUT, now, limit=MOST_RECENT))


def upcoming(domain: PortalDomain, now: datetime, _indicator: Indicator) -> Json:
    """Maintenance whose window has not begun, soonest first."""
    work = whole_maintenance(SIGNED_OUT, now, limit=OPEN_AT_MOST, which=Which.AHEAD)
    return _maintenances(domain, now, work)


def active(domain: PortalDomain, now: datetime, _indicator: Indicator) -> Json:
    """Maintenance under way."""
    work = whole_maintenance(SIGNED_OUT, now, limit=OPEN_AT_MOST, which=Which.UNDER_WAY)
    return _maintenances(domain, now, work)


Document = Callable[[PortalDomain, datetime, Indicator], Json]

DOCUMENTS: dict[str, Document] = {
    "summary": summary,
    "status": status,
    "components": components,
    "incidents": incidents,
    "incidents/unresolved": unresolved,
    "scheduled-maintenances": maintenances,
    "scheduled-maintenances/upcoming": upcoming,
    "scheduled-maintenances/active": active,
}
"""Every document by its address below `/api/v2/`, without `.json`."""


def _incidents(domain: PortalDomain, now: datetime, found: Sequence[WholeIncident]) -> Json:
    shaper = _shaper(domain, now, found)
    told = told_postmortems([each.id for each in found if each.resolved_at])
    return {
        "page": page_of(domain, last_change(SIGNED_OUT, now)),
        "incidents": [shaper.incident(each, told.get(each.id)) for each in found],
    }


def _maintenances(domain: PortalDomain, now: datetime, found: Sequence[WholeMaintenance]) -> Json:
    shaper = _shaper(domain, now, found)
    return {
        "page": page_of(domain, last_change(SIGNED_OUT, now)),
        "scheduled_maintenances": [shaper.maintenance(each) for each in found],
    }


def _shaper(domain: PortalDomain, now: datetime, reports: Sequence[WholeIncident | WholeMaintenance]) -> Shaper:
    """What shapes the rows of this page. Four queries."""
    found = described_components(named_in(reports))
    statuses = statuses_of((each.id for each in found), SIGNED_OUT, now)
    return Shaper(domain, found, statuses, last_moves(SIGNED_OUT, now), now)


def _rolled_up(
    statuses: Sequence[ComponentStatus], open_incidents: Sequence[WholeIncident], indicator: Indicator
) -> PageStatus:
    """The roll-up over the live components; `indicator` is the word for a page with nothing but maintenance."""
    rolled_up = roll_up(statuses, [incident.impact for incident in open_incidents])
    if rolled_up.indicator is Indicator.MAINTENANCE:
        return PageStatus(indicator, rolled_up.description)
    return rolled_up
