"""Services that every company holds: giving them to all there are, and to those that come later.

`Service.global_up_to` is how far the companies were looked at, by id. The last hour is looked at again each time: an
id is taken before the company is there for others to see, and so a lower one may come after a higher one.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, insert, literal, or_, select, update

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM, Actor, Noted
from portal.catalogue.actions.shared import record, ring_companies
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries.everyone import waits_for
from portal.database import UTCDateTime
from portal.extensions import db

GIVEN_AT_ONCE = 5000
"""Companies looked at in one transaction; it holds the database for about half a second."""

SETTLED_AFTER = timedelta(hours=1)
"""When a company is surely there for all to see, however long the transaction was that made it."""


def set_global(service: Service, is_global: bool, *, by: Actor, now: datetime) -> int:
    """From now on every company holds the service, later ones too, or no further one comes to hold it by itself.

    Companies that hold it already keep what they have, and whoever holds it stays a holder when this ends. The first
    few thousand are given it here; returns how many they were. `hold_global_services` goes on with the rest.
    """
    _locked(service.id)
    if service.is_global == is_global:
        return 0
    service.is_global = is_global
    service.global_since, service.global_up_to = (now, 0) if is_global else (None, 0)
    db.session.flush()
    record("service.everyone", service, by, now, before={"everyone": not is_global}, after={"everyone": is_global})
    events.ring(events.STAFF)
    if not is_global:
        return 0
    given, is_more = _give_some(service, by, now)
    if is_more:
        events.wake("hold_global_services")
    return given


def hold_global_services(now: datetime) -> bool:
    """Give what every company holds to some of those that have come since; whether there may be more of them.

    A company that held the service since it is for everyone is passed by: what was ended by hand stays ended.
    """
    waiting = db.session.scalars(select(Service.id).where(waits_for()).order_by(Service.id)).all()
    is_any_left = False
    for service_id in waiting:
        service = _locked(service_id)
        if service.is_global and service.archived_at is None:
            _given, is_more = _give_some(service, SYSTEM, now)
            is_any_left = is_any_left or is_more
    return is_any_left


def add_company(name: str, *, by: Actor, now: datetime) -> Company:
    """Add a company, which holds from its first moment what every company holds."""
    company = accounts.add_company(name, by=by, now=now)
    for service in _global_services():
        _give(service, Company.id == company.id, by, now)
    return company


def restore_company(company: Company, *, version: int, by: Actor, now: datetime) -> None:
    """Take an archived company back, with its people and with what every company holds.

    What was ended by hand before it was archived stays ended.
    """
    archived_at = company.archived_at
    accounts.restore_company(company, version=version, by=by, now=now)
    if archived_at is None:
        return
    for service in _global_services():
        last = db.session.scalar(
            select(func.max(Holding.valid_to)).where(Holding.company_id == company.id, Holding.service_id == service.id)
        )
        if last is None or last == archived_at:
            _locked(service.id)
            _give(service, Company.id == company.id, by, now, since=now)


def _global_services() -> Sequence[Service]:
    return db.session.scalars(
        select(Service).where(Service.is_global, Service.archived_at.is_(None)).order_by(Service.id)
    ).all()


def _locked(service_id: int) -> Service:
    """The service as it is, and nobody else gives it to anybody until this transaction ends."""
    return db.session.get_one(Service, service_id, with_for_update=True, populate_existing=True)


def _give_some(service: Service, by: Actor, now: datetime) -> tuple[int, bool]:
    """Give the service to the next companies; how many they were, and whether there are more to look at."""
    piece = db.session.scalars(
        select(Company.id).where(Company.id > service.global_up_to).order_by(Company.id).limit(GIVEN_AT_ONCE)
    ).all()
    if not piece:
        return 0, False
    given = _give(service, and_(Company.id > service.global_up_to, Company.id <= piece[-1]), by, now)
    is_more = len(piece) == GIVEN_AT_ONCE
    reached = piece[-1] if is_more else _settled(now)
    # Past the version of the row: whoever edits the service meanwhile has not missed anything.
    db.session.execute(
        update(Service).where(Service.id == service.id, Service.global_up_to < reached).values(global_up_to=reached),
        execution_options={"synchronize_session": False},
    )
    db.session.expire(service, ["global_up_to"])
    return given, is_more


def _settled(now: datetime) -> int:
    return db.session.scalar(select(func.max(Company.id)).where(Company.created_at <= now - SETTLED_AFTER)) or 0


def _give(
    service: Service, companies: ColumnElement[bool], by: Actor, now: datetime, since: datetime | None = None
) -> int:
    """Those of the companies hold it from now on that have not held it `since`: since it is for everyone, usually."""
    begun = since or service.global_since or now
    has_it = exists().where(
        Holding.company_id == Company.id,
        Holding.service_id == service.id,
        or_(Holding.valid_to.is_(None), Holding.valid_to > begun),
    )
    values: dict[str, Any] = {
        "company_id": Company.id,
        "service_id": literal(service.id),
        "reference": literal(""),
        "reference_key": literal(""),
        "valid_from": literal(now, UTCDateTime()),
        "version": literal(1),
    }
    chosen = select(*values.values()).where(Company.archived_at.is_(None), ~has_it, companies).order_by(Company.id)
    rows = db.session.execute(
        insert(Holding).from_select(list(values), chosen).returning(Holding.id, Holding.company_id)
    ).all()
    after = {"service": service.id, "reference": "", "everyone": True}
    noted = [Noted(holding_id, company_id, after=after) for holding_id, company_id in rows]
    audit.record_many("holding.add", noted, object_kind="holding", by=by, now=now)
    ring_companies([company_id for _holding_id, company_id in rows])
    return len(rows)
