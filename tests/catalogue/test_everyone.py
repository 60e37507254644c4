"""Services that every company holds: all there are, later ones too, none of them twice or against a decision."""

from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue import actions
from portal.catalogue.actions import everyone
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries.everyone import somebody_waits
from portal.extensions import db
from tests.conftest import NOW, Cast, counted_queries
from workers import tasks

LATER = NOW + timedelta(hours=2)
BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}
BY_LATER: dict[str, Any] = {"by": SYSTEM, "now": LATER}


def holders(service: Service) -> list[int]:
    """The companies that hold it, one for each holding that is not over."""
    held = select(Holding.company_id).where(Holding.service_id == service.id, Holding.valid_to.is_(None))
    return sorted(db.session.scalars(held))


def end(company: Company, service: Service, **when: Any) -> None:
    holding = db.session.scalars(
        select(Holding).where(Holding.company_id == company.id, Holding.service_id == service.id)
    ).one()
    actions.end_holding(holding, version=holding.version, **when)


def test_every_company_comes_to_hold_it_once_and_archived_ones_do_not(cast: Cast) -> None:
    service = actions.add_service("Email", **BY)
    actions.add_holding(cast.a, service, reference="M-1", **BY)
    gone = accounts.add_company("Gone", **BY)
    accounts.archive_company(gone, version=gone.version, **BY)
    events.commit()
    assert actions.set_global(service, is_global=True, **BY) == 1
    assert events_rung() >= {events.STAFF, events.company_topic(cast.b.id)}
    assert holders(service) == [cast.a.id, cast.b.id]
    assert actions.set_global(service, is_global=True, **BY_LATER) == 0
    assert holders(service) == [cast.a.id, cast.b.id]
    entries = db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert entries[-2:] == ["service.everyone", "holding.add"]


def events_rung() -> set[str]:
    found: set[str] = db.session.info.get("topics", set())
    return found


def test_a_company_that_is_added_holds_it_at_once_and_what_came_in_otherwise_soon(cast: Cast) -> None:
    service = actions.add_service("Email", **BY)
    actions.set_global(service, is_global=True, **BY)
    new = actions.add_company("New", **BY)
    assert holders(service) == [cast.a.id, cast.b.id, new.id]
    assert not somebody_waits()
    brought_in = accounts.add_company("Brought in", **BY)
    assert somebody_waits()
    assert not actions.hold_global_services(LATER)
    assert not somebody_waits()
    assert holders(service) == [cast.a.id, cast.b.id, new.id, brought_in.id]
    assert not actions.hold_global_services(LATER)
    assert len(holders(service)) == 4


def test_what_was_ended_by_hand_is_not_given_again(cast: Cast) -> None:
    service = actions.add_service("Email", **BY)
    actions.set_global(service, is_global=True, **BY)
    new = actions.add_company("New", **BY)
    soon = {"by": SYSTEM, "now": NOW + timedelta(minutes=1)}
    end(new, service, **soon)
    end(cast.a, service, **soon)
    for _ in range(2):
        actions.hold_global_services(LATER)
    assert holders(service) == [cast.b.id]


def test_made_for_everyone_once_more_it_is_given_to_those_who_had_ended_it(cast: Cast) -> None:
    service = actions.add_service("Email", **BY)
    actions.set_global(service, is_global=True, **BY)
    end(cast.a, service, by=SYSTEM, now=NOW + timedelta(minutes=1))
    actions.set_global(service, is_global=False, **BY_LATER)
    assert holders(service) == [cast.b.id], "whoever holds it stays a holder"
    actions.add_company("Not given it", **BY_LATER)
    assert holders(service) == [cast.b.id]
    assert actions.set_global(service, is_global=True, **BY_LATER) == 2
    assert len(holders(service)) == 3


def test_a_company_taken_back_holds_what_it_had_not_ended_itself(cast: Cast) -> None:
    kept, ended = (actions.add_service(name, **BY) for name in ("Email", "Internet"))
    for service in (kept, ended):
        actions.set_global(service, is_global=True, **BY)
    end(cast.a, ended, by=SYSTEM, now=NOW + timedelta(minutes=1))
    actions.archive_company(cast.a, version=cast.a.version, **BY_LATER)
    later_still = actions.add_service("Backup", **BY_LATER)
    actions.set_global(later_still, is_global=True, **BY_LATER)
    assert cast.a.id not in holders(kept) + holders(later_still)
    actions.restore_company(cast.a, version=cast.a.version, by=SYSTEM, now=LATER + timedelta(days=1))
    assert cast.a.id in holders(kept)
    assert cast.a.id in holders(later_still)
    assert cast.a.id not in holders(ended)
    assert not actions.hold_global_services(LATER + timedelta(days=2))
    assert holders(kept).count(cast.a.id) == 1


def test_an_archived_service_is_given_to_nobody_and_is_for_nobody_when_it_is_taken_back(cast: Cast) -> None:
    service = actions.add_service("Email", **BY)
    actions.set_global(service, is_global=True, **BY)
    assert actions.archive_service(service, version=service.version, ends_holdings=True, **BY_LATER) == 2
    actions.restore_service(service, version=service.version, **BY_LATER)
    actions.add_company("New", **BY_LATER)
    actions.hold_global_services(LATER)
    assert not service.is_global
    assert holders(service) == []


def brought_in(company_id: int) -> None:
    row = {"id": company_id, "name": f"C{company_id}", "name_key": f"c{company_id}", "created_at": NOW}
    db.session.execute(insert(Company), [row])


def test_a_company_whose_number_is_lower_and_that_came_later_is_not_missed(cast: Cast) -> None:
    """An id is taken before a transaction ends: another one with a higher id may be there first."""
    service = actions.add_service("Email", **BY)
    late, early = cast.b.id + 1005, cast.b.id + 1010
    brought_in(early)
    actions.set_global(service, is_global=True, **BY)
    brought_in(late)
    actions.hold_global_services(NOW + timedelta(minutes=5))
    assert holders(service) == [cast.a.id, cast.b.id, late, early]


def test_many_companies_are_given_it_in_pieces_by_the_worker(cast: Cast, monkeypatch: Any) -> None:
    monkeypatch.setattr(everyone, "GIVEN_AT_ONCE", 10)
    rows = [{"name": f"C{number}", "name_key": f"c{number}", "created_at": NOW} for number in range(33)]
    db.session.execute(insert(Company), rows)
    service = actions.add_service("Email", **BY)
    assert actions.set_global(service, is_global=True, **BY) == 10
    events.commit()
    tasks.hold_global_services()
    assert len(holders(service)) == 35
    assert len(set(holders(service))) == 35


def test_six_hundred_companies_cost_as_many_queries_as_twice_as_many(cast: Cast) -> None:
    counts = []
    for size in (600, 1200):
        rows = [
            {"name": f"C{size}-{number}", "name_key": f"c{size}-{number}", "created_at": NOW} for number in range(size)
        ]
        db.session.execute(insert(Company), rows)
        service = actions.add_service(f"Service {size}", **BY)
        with counted_queries() as statements:
            actions.set_global(service, is_global=True, **BY)
            actions.archive_service(service, version=service.version, ends_holdings=True, **BY_LATER)
        counts.append(len(statements))
    assert counts[0] == counts[1]
