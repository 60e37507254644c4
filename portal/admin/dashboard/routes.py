"""The first page of staff: open incidents first, then mail on its way, then work ahead."""

from collections.abc import Sequence
from datetime import datetime

from flask import Blueprint
from werkzeug.wrappers import Response

from portal import access, clock
from portal.accounts.rules import STAFF, Permission, may
from portal.admin.operation.routes import notice_knows
from portal.alerts.queries import triggered_now
from portal.catalogue.queries import all_components
from portal.catalogue.queries.unreached import count_nobody_reached_lately
from portal.fragments import render
from portal.incidents.models import Incident
from portal.incidents.queries import last_public_update_at, open_incidents, open_maintenance
from portal.incidents.rules import update_due_at
from portal.incidents.rules.maintenance import is_under_way
from portal.notifications.queries import broadcasts, progress_of_many
from portal.operation.queries import outgoing, returns
from portal.operation.rules import late
from portal.operation.watch import patience

blueprint = Blueprint("admin_dashboard", __name__, url_prefix="/admin")
access.staff(blueprint, Permission.STAFF_ENTER)

SHOWN_AT_MOST = 10
"""How many rows of each kind the overview shows; the lists behind them have all."""


@blueprint.get("/")
def overview() -> Response:
    """Everything that is happening. A fixed number of queries, however much that is."""
    now = clock.utcnow()
    incidents = open_incidents(STAFF, now)
    running = broadcasts(1, open_only=True).items[:SHOWN_AT_MOST]
    maintenance = open_maintenance(STAFF, now)
    person = access.signed_in()
    mail = outgoing(now)
    found_late = late(mail.incidents, now, patience())
    notice_knows(mail.pause, found_late)
    return render(
        "admin/dashboard/dashboard.html",
        "admin/dashboard/_overview.html",
        incidents=incidents,
        due=_due(incidents, now),
        broadcasts=running,
        progress=progress_of_many(running, now) if running else {},
        maintenance=maintenance[:SHOWN_AT_MOST],
        under_way={each.id for each in maintenance if is_under_way(each, now)},
        components=all_components(),
        mail=mail,
        late=found_late,
        returns=returns(),
        triggered=triggered_now(),
        unreached=count_nobody_reached_lately(now),
        may_steer=may(person.role, Permission.OPERATION_STEER),
        may_publish=may(person.role, Permission.INCIDENTS_PUBLISH),
        now=now,
    )


def _due(incidents: Sequence[Incident], now: datetime) -> dict[int, datetime]:
    """Of each open incident whose customers are owed an update: since when."""
    heard = last_public_update_at([each.id for each in incidents])
    due = {each.id: update_due_at(heard.get(each.id, each.created_at), each.next_update_due_at) for each in incidents}
    return {incident_id: moment for incident_id, moment in due.items() if moment < now}
