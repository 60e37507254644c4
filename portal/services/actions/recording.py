"""What every act has in common: its update with a target for each holding, and whoever hears of it.

Everything is set-wise, because one act may be for every holder of a service: the targets are written first, and what
follows of them is worked out by the database from there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.accounts.models import Company
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries import is_valid
from portal.errors import RuleViolation
from portal.extensions import db
from portal.services import mails
from portal.services.models import (
    ServiceUpdate,
    ServiceWindow,
    StatedPeriod,
    UpdateBroadcast,
    UpdateTarget,
    WindowHolding,
)
from portal.services.queries.everybody import pages_telling
from portal.services.rules import OVER, Scope, ServiceStatus, UpdateKind

AT_ONCE = 5000
"""Ids in one statement: SQLite takes 32,766 values in one, PostgreSQL twice as many."""

COMPANIES_RUNG = 50
"""Up to so many companies are rung each by itself; beyond, everybody who holds the services touched."""

RAW: Any = {"synchronize_session": False}

SENT_BEFORE = "This form was sent already. Open it anew."

GONE = "One of these holdings is not there any more. Load the page again, and choose anew."


class Held(NamedTuple):
    """A holding as an act names it."""

    holding_id: int
    company_id: int
    service_id: int


@dataclass(frozen=True)
class Said:
    """What an update is to be, but for the holdings it is for. `before` is what they were; None where it is read."""

    kind: UpdateKind
    status: ServiceStatus
    notes: str = ""
    ticket: str = ""
    began_at: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    notify: bool = True
    is_late: bool = False
    window_id: int | None = None
    incident_id: int | None = None
    nag_at: datetime | None = None
    before: ServiceStatus | None = None


def update_with(idempotency_key: str) -> ServiceUpdate | None:
    """The update that was made with this key before."""
    return db.session.scalars(
        select(ServiceUpdate).where(ServiceUpdate.idempotency_key == idempotency_key)
    ).one_or_none()


def same(known: ServiceUpdate, **expected: object) -> ServiceUpdate:
    """The update a key has made, if this is what it was sent for; RuleViolation when something else was meant now."""
    if any(getattr(known, name) != value for name, value in expected.items()):
        raise RuleViolation(SENT_BEFORE)
    return known


def held(holding_ids: Collection[int], now: datetime) -> list[Held]:
    """These holdings, locked in the order of their ids: two acts on one holding follow each other.

    RuleViolation when there is none, or when one of them is no longer held.
    """
    wanted = sorted(set(holding_ids))
    if not wanted:
        raise RuleViolation("Choose whose service it is.", "holdings")
    found = _locked(wanted, now)
    if len(found) != len(wanted):
        raise RuleViolation(GONE, "holdings")
    return found


def still_held(targets: Collection[Held], now: datetime) -> list[Held]:
    """Those of these holdings that are held to this day. They are not locked: see `_locked`."""
    return _read(sorted(each.holding_id for each in targets), now)


def lock(targets: Collection[Held], now: datetime) -> None:
    """Lock these holdings as `held` does, as far as they are still held."""
    _locked(sorted(each.holding_id for each in targets), now)


def _locked(holding_ids: Sequence[int], now: datetime) -> list[Held]:
    """Whoever locks holdings does so before windows; who has a window, locks no holdings. So no two acts wait for
    each other in a ring."""
    return _read(holding_ids, now, {"of": Holding, "key_share": True})


def _read(holding_ids: Sequence[int], now: datetime, locked: Mapping[str, Any] | None = None) -> list[Held]:
    found: list[Held] = []
    for ids in pieces(holding_ids):
        statement = (
            select(Holding.id, Holding.company_id, Holding.service_id)
            .join(Service, Service.id == Holding.service_id)
            .join(Company, Company.id == Holding.company_id)
            .where(
                Holding.id.in_(ids),
                is_valid(Holding, now),
                Service.archived_at.is_(None),
                Company.archived_at.is_(None),
            )
            .order_by(Holding.id)
        )
        rows = db.session.execute(statement.with_for_update(**locked) if locked else statement)
        found += [Held(*row) for row in rows]
    return found


def write(
    said: Said,
    targets: Sequence[Held],
    *,
    scope: Scope,
    chosen: Mapping[str, Any],
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
) -> tuple[ServiceUpdate, bool]:
    """The update with its targets, and whether it is new: another request may just have made it with this key."""
    made = ServiceUpdate(
        idempotency_key=idempotency_key,
        kind=said.kind,
        status=said.status,
        notes=said.notes,
        ticket=said.ticket,
        began_at=said.began_at or now,
        starts_at=said.starts_at,
        ends_at=said.ends_at,
        scope=scope,
        chosen=dict(chosen),
        holdings=len(targets),
        companies=len({each.company_id for each in targets}),
        notify=said.notify,
        is_late=said.is_late,
        window_id=said.window_id,
        incident_id=said.incident_id,
        author_id=author_id,
        created_at=now,
        nag_at=said.nag_at,
    )
    try:
        with db.session.begin_nested():
            db.session.add(made)
            db.session.flush()
    except IntegrityError:
        if known := update_with(idempotency_key):
            return known, False
        raise
    if not targets:
        return made, True
    before = {} if said.before else _standing([each.holding_id for each in targets], now)
    usual = said.before or ServiceStatus.NORMAL
    db.session.execute(
        insert(cast(Table, UpdateTarget.__table__)),
        [
            {
                "update_id": made.id,
                **each._asdict(),
                "before": before.get(each.holding_id, usual),
            }
            for each in targets
        ],
    )
    return made, True


def tell(made: ServiceUpdate, targets: Sequence[Held], *, by: Actor, now: datetime) -> None:
    """Ring whoever sees the holdings, note the act in the trail, and queue the mails if customers are to hear."""
    ring(targets)
    companies = {each.company_id for each in targets}
    audit.record(
        f"service_update.{made.kind}",
        object_kind="service_update",
        object_id=made.id,
        company_id=next(iter(companies)) if len(companies) == 1 else None,
        by=by,
        now=now,
        after={
            "status": made.status,
            "notes": made.notes,
            "ticket": made.ticket,
            "began_at": made.began_at.isoformat(),
            "starts_at": made.starts_at.isoformat() if made.starts_at else None,
            "ends_at": made.ends_at.isoformat() if made.ends_at else None,
            "scope": made.scope,
            "holdings": made.holdings,
            "companies": made.companies,
            "notify": made.notify,
            "window_id": made.window_id,
            "incident_id": made.incident_id,
        },
    )
    db.session.flush()
    if not made.notify or not targets:
        return
    for broadcast in mails.tell(made, by=by, now=now):
        services = broadcast.selector.get("service_ids") or []
        is_single = len(services) == 1 and not broadcast.selector.get("digest")
        db.session.add(
            UpdateBroadcast(update_id=made.id, service_id=services[0] if is_single else None, broadcast_id=broadcast.id)
        )
    db.session.flush()


def ring(targets: Sequence[Held]) -> None:
    """Ring staff, and the companies; where they are many, everybody who holds the services; and pages for everybody."""
    companies = {each.company_id for each in targets}
    events.ring(events.STAFF)
    if len(companies) <= COMPANIES_RUNG:
        events.ring(*map(events.company_topic, companies))
    else:
        events.ring(*map(events.service_topic, {each.service_id for each in targets}))
    events.ring(*map(events.public_topic, pages_telling({each.service_id for each in targets})))


def targets_of(update_id: int) -> list[Held]:
    """The holdings an update was for. One query."""
    rows = db.session.execute(
        select(UpdateTarget.holding_id, UpdateTarget.company_id, UpdateTarget.service_id)
        .where(UpdateTarget.update_id == update_id)
        .order_by(UpdateTarget.holding_id)
    )
    return [Held(*row) for row in rows]


def holdings_in(window_id: int) -> list[Held]:
    """The holdings that are in a window and have not left it. One query."""
    rows = db.session.execute(
        select(WindowHolding.holding_id, WindowHolding.company_id, WindowHolding.service_id)
        .where(WindowHolding.window_id == window_id, WindowHolding.left_at.is_(None))
        .order_by(WindowHolding.holding_id)
    )
    return [Held(*row) for row in rows]


def close_periods(made: ServiceUpdate, at: datetime, *, but: ServiceStatus | None = None) -> None:
    """Close the open problems of the update's targets, all `but` those of this status; none ends before it began."""
    targets = select(UpdateTarget.holding_id).where(UpdateTarget.update_id == made.id)
    other = StatedPeriod.status != but if but is not None else true()
    is_ended = (StatedPeriod.ended_at.is_(None), StatedPeriod.holding_id.in_(targets), other)
    # What began later than it is said to have ended is closed where it began; first, as the second statement
    # closes whatever is left.
    db.session.execute(
        update(StatedPeriod)
        .where(*is_ended, StatedPeriod.began_at > at)
        .values(ended_at=StatedPeriod.began_at, ended_by_id=made.id),
        execution_options=RAW,
    )
    db.session.execute(
        update(StatedPeriod).where(*is_ended).values(ended_at=at, ended_by_id=made.id), execution_options=RAW
    )
    forget_loaded(StatedPeriod)


def forget_loaded(*kinds: type[Any]) -> None:
    """What is loaded of these is read again when it is next asked for, because it was written past the session."""
    for loaded in list(db.session.identity_map.values()):
        if isinstance(loaded, kinds):
            db.session.expire(loaded)


def pieces(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The ids in lists that one statement takes."""
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))


def _standing(holding_ids: Sequence[int], now: datetime) -> dict[int, ServiceStatus]:
    """What is stated of these holdings now: an open problem, else scheduled service; of the others nothing."""
    found: dict[int, ServiceStatus] = {}
    for ids in pieces(holding_ids):
        scheduled = db.session.scalars(
            select(WindowHolding.holding_id)
            .join(ServiceWindow, ServiceWindow.id == WindowHolding.window_id)
            .where(
                WindowHolding.holding_id.in_(ids),
                WindowHolding.left_at.is_(None),
                ServiceWindow.state.not_in(OVER),
                ServiceWindow.ends_at > now,
            )
        )
        found.update(dict.fromkeys(scheduled, ServiceStatus.SCHEDULED))
        problems = db.session.execute(
            select(StatedPeriod.holding_id, StatedPeriod.status).where(
                StatedPeriod.holding_id.in_(ids), StatedPeriod.ended_at.is_(None)
            )
        )
        found.update((row.holding_id, row.status) for row in problems)
    return found
