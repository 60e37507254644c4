"""What goes out of service statuses: what a company was told of its services, and what was stated of them.

With what it may see of its services on its home domain, and nothing else: neither who wrote it, nor what was undone.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, cast, literal, select

from portal.catalogue.models import Holding, Service
from portal.incidents.queries.availability import contract_rows
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind
from portal.services.models import ServiceUpdate, StatedPeriod, UpdateTarget
from portal.services.queries.settings import View
from portal.services.queries.stated import view_at_home
from portal.services.rules import UpdateKind

_OF = (Service.name.label("service"), Holding.reference)


def _updates(company_id: int | None, now: datetime) -> Iterator[Told]:
    """What was said of each holding, in the order it was said. Nothing where history is not shown."""
    view = view_at_home(company_id or 0)
    if not view.shows_history:
        return
    statement = (
        select(
            UpdateTarget.update_id,
            *_OF,
            ServiceUpdate.kind,
            ServiceUpdate.status,
            ServiceUpdate.began_at,
            ServiceUpdate.starts_at,
            ServiceUpdate.ends_at,
            ServiceUpdate.notes,
            ServiceUpdate.ticket,
            ServiceUpdate.created_at.label("said_at"),
        )
        .join(ServiceUpdate, ServiceUpdate.id == UpdateTarget.update_id)
        .join(Holding, Holding.id == UpdateTarget.holding_id)
        .join(Service, Service.id == UpdateTarget.service_id)
        .where(
            UpdateTarget.company_id == company_id,
            UpdateTarget.service_id.not_in(view.hidden_services),
            ServiceUpdate.undone_at.is_(None),
            ServiceUpdate.kind != UpdateKind.REMINDED,
        )
    )
    for row in in_pieces(statement, _ORDER):
        yield _cut(dict(row._mapping), view)


_ORDER: Any = cast(UpdateTarget.update_id, BigInteger) * literal(1_000_000_000, BigInteger) + UpdateTarget.holding_id
"""Update and holding as one number, which is unique and in the order of what was said; ids stay far below."""


def _problems(company_id: int | None, now: datetime) -> Iterator[Told]:
    """Each problem that was stated of a holding, from when to when."""
    view = view_at_home(company_id or 0)
    statement = (
        select(
            *_OF,
            StatedPeriod.status,
            StatedPeriod.began_at,
            StatedPeriod.ended_at,
        )
        .join(Holding, Holding.id == StatedPeriod.holding_id)
        .join(Service, Service.id == StatedPeriod.service_id)
        .where(StatedPeriod.company_id == company_id, StatedPeriod.service_id.not_in(view.hidden_services))
    )
    if not view.shows_history:
        statement = statement.where(StatedPeriod.ended_at.is_(None))
    for row in in_pieces(statement, StatedPeriod.id):
        yield row._mapping


def _cut(row: dict[str, Any], view: View) -> Told:
    kept = {"notes": view.shows_notes, "ticket": view.shows_tickets, "ends_at": view.shows_end_times}
    return {name: value if kept.get(name, True) else None for name, value in row.items()}


def _contract(company_id: int | None, _now: datetime) -> Iterator[Told]:
    """What was agreed of its availability, and from which month on."""
    for row in reversed(contract_rows(company_id or 0)):
        yield {
            "from_month": row.from_month,
            "maintenance": MAINTENANCE[row.counts_maintenance],
            "target": None if row.target is None else f"{row.target / 1000:.3f}",
        }


MAINTENANCE = {None: "as for everybody", True: "counts as down", False: "left out when it was announced in time"}
"""What a contract says of maintenance, in words."""

_SERVICE = {"service": "Service", "reference": "Reference"}

register(
    Part(
        ExportKind.COMPANY,
        "service_updates",
        "what was said of the status of its services",
        {
            **_SERVICE,
            "kind": "Kind",
            "status": "Status",
            "began_at": "Began",
            "starts_at": "Starts",
            "ends_at": "Ends",
            "notes": "Notes",
            "ticket": "Ticket",
            "said_at": "Said",
        },
        _updates,
        22,
    )
)
register(
    Part(
        ExportKind.COMPANY,
        "service_problems",
        "problems that were stated of its services, from when to when",
        {**_SERVICE, "status": "Status", "began_at": "Began", "ended_at": "Ended"},
        _problems,
        23,
    )
)
register(
    Part(
        ExportKind.COMPANY,
        "availability_contract",
        "what is agreed of its availability, and from which month on",
        {"from_month": "From", "maintenance": "Maintenance", "target": "Promised (%)"},
        _contract,
        24,
    )
)
