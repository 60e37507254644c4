"""What stands beside the timeline of a report: how far it reached, its owner, postmortem, changes, merged reports.

The screens of these live under the addresses of the reports, each in a module of its own; this is their blueprint.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint

from portal import access
from portal.accounts.models import Person
from portal.accounts.rules import STAFF, Permission, may
from portal.errors import NotFound
from portal.incidents.models import Incident, Postmortem
from portal.incidents.queries import incident_for_staff
from portal.incidents.queries.ledger import Summary, summary_of
from portal.incidents.queries.merging import merged_into
from portal.incidents.queries.nagging import lateness, owner_of, possible_owners
from portal.incidents.queries.postmortems import postmortem_for_staff
from portal.incidents.queries.revisions import count_revisions
from portal.incidents.rules import Visibility
from portal.incidents.rules.ledger import Reached

blueprint = Blueprint("admin_incident_beside", __name__, url_prefix="/admin/incidents")
access.staff(blueprint, Permission.STAFF_ENTER)

REACHED_WORDS: Mapping[Reached, str] = {
    Reached.NOBODY: "Nobody reached",
    Reached.WAITING: "Waiting",
    Reached.PARTLY: "Partly reached",
    Reached.TOLD: "Told",
    Reached.OPENED: "Opened the portal",
    Reached.ACKNOWLEDGED: "Acknowledged",
    Reached.ELSEWHERE: "Not affected, not told",
}
"""The words of the ledger, the worst first."""

REACHED_TONES: Mapping[Reached, str] = {
    Reached.NOBODY: "bad",
    Reached.WAITING: "warn",
    Reached.PARTLY: "warn",
    Reached.TOLD: "good",
    Reached.OPENED: "good",
    Reached.ACKNOWLEDGED: "good",
    Reached.ELSEWHERE: "quiet",
}


@dataclass(frozen=True)
class Beside:
    """All of it for one report. `reach` is None for a report that is for staff only: nobody was to be told."""

    reach: Summary | None
    owner: Person | None
    owners: Sequence[Person]
    late: timedelta | None
    postmortem: Postmortem | None
    changes: int
    merged: Sequence[Incident]
    into: Incident | None


def beside_of(incident: Incident, now: datetime) -> Beside:
    """What stands beside a report, for whoever is signed in. At most fourteen queries."""
    is_public = incident.visibility is Visibility.PUBLIC
    return Beside(
        reach=summary_of(incident, now) if is_public and not incident.is_backfill else None,
        owner=owner_of(incident) if incident.owner_id is not None else None,
        owners=possible_owners() if may_publish() and incident.resolved_at is None else (),
        late=lateness([incident], now).get(incident.id),
        postmortem=postmortem_for_staff(incident.id),
        changes=count_revisions(incident.id),
        merged=merged_into(incident.id, STAFF, now),
        into=incident_for_staff(incident.merged_into_id) if incident.merged_into_id is not None else None,
    )


def may_publish() -> bool:
    return may(access.signed_in().role, Permission.INCIDENTS_PUBLISH)


def incident_or_404(incident_id: int) -> Incident:
    """The report with its components and timeline."""
    found = incident_for_staff(incident_id)
    if found is None:
        raise NotFound
    return found
