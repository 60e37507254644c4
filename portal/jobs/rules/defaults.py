"""The system statuses as an installation begins with them, and as a reset brings them back."""

from collections.abc import Mapping
from typing import NamedTuple

from portal.jobs.rules.kinds import CATEGORIES, ROLES, Role, Showing, WorkKind
from portal.jobs.rules.statuses import StatusRow, StatusTable


class SystemStatus(NamedTuple):
    """Name, colour and showing of a system status nobody has changed, and whether customers are mailed of it."""

    name: str
    color: str
    showing: Showing = Showing.ITSELF
    is_mailed: bool = True


DEFAULTS: Mapping[Role, SystemStatus] = {
    # Whoever books, accepts or declines is told so by a receipt of its own.
    Role.REQUESTED: SystemStatus("Requested", "#7c4ddb", is_mailed=False),
    # A quote that begins as a draft is not in the portal until it is sent; one a customer asked for stays “Requested”.
    Role.DRAFT: SystemStatus("Draft", "#64748b", Showing.HIDDEN),
    Role.ON_HOLD: SystemStatus("On hold", "#f2b01e"),
    Role.SENT: SystemStatus("Sent", "#2457d6"),
    Role.ACCEPTED: SystemStatus("Accepted", "#15803d", is_mailed=False),
    Role.DECLINED: SystemStatus("Declined", "#dc2626", is_mailed=False),
    Role.SCHEDULED: SystemStatus("Scheduled", "#2e9bd6"),
    Role.IN_PROGRESS: SystemStatus("In progress", "#2457d6"),
    Role.COMPLETED: SystemStatus("Completed", "#15803d"),
    Role.CANCELLED: SystemStatus("Cancelled", "#8a7f72"),
}


def defaults(kind: WorkKind) -> StatusTable:
    """The table an installation begins with; its rows have no ids of the database yet."""
    return StatusTable.of(kind, (default_row(role, -number) for number, role in enumerate(ROLES[kind], start=1)))


def default_row(role: Role, status_id: int) -> StatusRow:
    """The system status of this role as nobody has changed it."""
    made = DEFAULTS[role]
    return StatusRow(
        id=status_id,
        role=role,
        category=CATEGORIES[role],
        name=made.name,
        showing=made.showing,
        portal_name=made.name,
        color=made.color,
        is_mailed=made.is_mailed,
    )
