"""Many holdings in one act, and several who act at the same moment, on a database of their own."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import func, insert, select

from portal import create_app, events
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding, Service
from portal.config import Settings
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.models import Broadcast
from portal.services.actions import Wanted, due_windows, look_after, set_status, undo
from portal.services.models import ServiceUpdate, StatedPeriod, UpdateTarget
from portal.services.rules import PROBLEMS, Scope, ServiceStatus, UpdateKind
from tests.conftest import NOW
from tests.services.acts import HOUR, scheduled

COMPANIES = 1_000
HOLDINGS = 10_000
SECONDS = 30
"""What one act on all of them may take here: about ten times what it takes."""

ROUNDS = 12


@pytest.fixture
def own_app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An app whose sessions really commit, on a database that is thrown away: one service with some holders."""
    yield from _app(database_url, tmp_path, companies=30, holdings=300)


@pytest.fixture
def large_app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """The same with ten thousand holdings, of a thousand companies."""
    yield from _app(database_url, tmp_path, companies=COMPANIES, holdings=HOLDINGS)


def _app(database_url: str, tmp_path: Path, *, companies: int, holdings: int) -> Iterator[Flask]:
    environment = {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": "a key that protects nothing but this test",
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }
    app = create_app(Settings.from_environment(environment))
    with app.app_context():
        read_only.set(False)
        upgrade()
        domain = domains.add_domain("http://a.portal.test", "Northline", areas=set(Area), by=SYSTEM, now=NOW)
        alder = accounts.add_company("Alder Dental", by=SYSTEM, now=NOW)
        domains.admit(alder, domain, is_home=True, by=SYSTEM, now=NOW)
        alice = accounts.add_person("Alice", "alice@people.test", by=SYSTEM, now=NOW)
        accounts.add_membership(alice, alder, by=SYSTEM, now=NOW)
        service = Service(name="Email", name_key="email", created_at=NOW)
        db.session.add(service)
        db.session.flush()
        db.session.execute(
            insert(Company),
            [
                {"name": f"Company {number}", "name_key": f"company {number}", "created_at": NOW}
                for number in range(companies - 1)
            ],
        )
        ids = db.session.scalars(select(Company.id).order_by(Company.id)).all()
        db.session.execute(
            insert(Holding),
            [
                {
                    "company_id": ids[number % companies],
                    "service_id": service.id,
                    "reference": f"N-{number}",
                    "reference_key": f"n-{number}",
                    "valid_from": NOW - HOUR,
                }
                for number in range(holdings)
            ],
        )
        events.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


def everything() -> list[int]:
    return list(db.session.scalars(select(Holding.id).order_by(Holding.id)))


def state(ids: list[int], wanted: Wanted, key: str, now: datetime = NOW) -> ServiceUpdate:
    return set_status(ids, wanted, scope=Scope.ALL, chosen={}, by=SYSTEM, author_id=None, now=now, idempotency_key=key)


def stating(ids: list[int], status: ServiceStatus, key: str, now: datetime) -> Callable[[], int]:
    """This act, to be done in a transaction of its own; what it comes to is the id of the update."""
    return lambda: state(ids, Wanted(status), key, now).id


def take_back(update_id: int, now: datetime) -> None:
    made = db.session.get(ServiceUpdate, update_id)
    assert made is not None
    undo(made, by=SYSTEM, now=now)


def count(model: type[object]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    events.commit()
    return time.monotonic() - began


def test_ten_thousand_holdings_are_one_act_one_broadcast_and_one_entry(large_app: Flask) -> None:
    with large_app.app_context():
        read_only.set(False)
        ids = everything()
        entries = count(AuditEntry)
        took = [timed(lambda: state(ids, Wanted(ServiceStatus.DOWN, "We are on it."), "down"))]
        assert (count(ServiceUpdate), count(Broadcast), count(AuditEntry) - entries) == (1, 1, 1)
        assert count(StatedPeriod) == count(UpdateTarget) == HOLDINGS
        made = db.session.scalars(select(ServiceUpdate)).one()
        assert (made.holdings, made.companies) == (HOLDINGS, COMPANIES)
        took.append(timed(lambda: undo(made, by=SYSTEM, now=NOW + timedelta(minutes=1))))
        assert count(StatedPeriod) == 0
        took.append(timed(lambda: state(ids, Wanted(ServiceStatus.DOWN), "again")))
        took.append(timed(lambda: state(ids, Wanted(ServiceStatus.INTERMITTENT), "better", NOW + HOUR)))
        took.append(timed(lambda: state(ids, scheduled(), "window", NOW + HOUR)))
        took.append(timed(lambda: state(ids, Wanted(ServiceStatus.NORMAL), "over", NOW + 2 * HOUR)))
        open_now = select(func.count()).select_from(StatedPeriod).where(StatedPeriod.ended_at.is_(None))
        assert db.session.scalar(open_now) == 0
        assert max(took) < SECONDS, [round(each, 2) for each in took]


def test_an_act_that_fails_at_the_last_leaves_nothing(large_app: Flask) -> None:
    with large_app.app_context():
        read_only.set(False)
        ids = everything()
        with pytest.raises(RuleViolation):
            state([*ids, max(ids) + 1], Wanted(ServiceStatus.DOWN), "down")
        events.commit()
        assert (count(ServiceUpdate), count(UpdateTarget), count(StatedPeriod)) == (0, 0, 0)


def _together(app: Flask, acts: Sequence[Callable[[], object]]) -> list[object]:
    """Do these at the same moment, each in a transaction of its own; what each came to."""
    start = threading.Barrier(len(acts))

    def one(act: Callable[[], object]) -> object:
        with app.app_context():
            read_only.set(False)
            start.wait()
            try:
                found = act()
                events.commit()
            except RuleViolation as refusal:
                events.rollback()
                return refusal
            return found

    with ThreadPoolExecutor(len(acts)) as people:
        return [each.result() for each in [people.submit(one, act) for act in acts]]


def test_two_who_state_the_same_holdings_at_once_follow_each_other(own_app: Flask) -> None:
    with own_app.app_context():
        ids = everything()
    for number in range(ROUNDS):
        now = NOW + number * HOUR
        first, second = (PROBLEMS * 2)[number % 2 : number % 2 + 2]
        # The other way round: who locks in the order of what was given waits for ever.
        acts = [stating(ids, first, f"{number}a", now), stating(ids[::-1], second, f"{number}b", now)]
        _together(own_app, acts)
    with own_app.app_context():
        standing = db.session.scalars(
            select(StatedPeriod.holding_id).where(StatedPeriod.ended_at.is_(None)).order_by(StatedPeriod.holding_id)
        ).all()
        assert standing == ids
        assert count(ServiceUpdate) == 2 * ROUNDS
        # They ended alike: whoever came second counts for all of them.
        last = set(db.session.scalars(select(StatedPeriod.status).where(StatedPeriod.ended_at.is_(None))))
        assert len(last) == 1


def test_one_key_sent_many_times_at_once_is_one_update(own_app: Flask) -> None:
    with own_app.app_context():
        ids = everything()[:50]
    made = _together(own_app, [lambda: state(ids, scheduled(), "once").id for _ in range(6)])
    assert len(set(made)) == 1
    with own_app.app_context():
        assert count(ServiceUpdate) == 1
        assert count(UpdateTarget) == 50


def test_r42_two_schedulers_tell_the_end_once(own_app: Flask) -> None:
    with own_app.app_context():
        read_only.set(False)
        ids = everything()
        for number in range(5):
            state(ids[number * 10 : number * 10 + 10], scheduled(), f"w{number}")
        events.commit()
    end = NOW + 3 * HOUR

    def scheduler() -> int:
        done = 0
        for window_id in due_windows(end):
            events.rollback()
            done += look_after(window_id, end)
            events.commit()
        return done

    _together(own_app, [scheduler] * 3)
    with own_app.app_context():
        read_only.set(False)
        # A scheduler that found every row held looks again a minute later.
        scheduler()
        kinds = Counter(db.session.scalars(select(ServiceUpdate.kind)))
        assert kinds == {UpdateKind.ANNOUNCED: 5, UpdateKind.ENDED: 5}
        assert due_windows(end) == []


def test_undoing_while_something_newer_is_said_leaves_one_of_both(own_app: Flask) -> None:
    with own_app.app_context():
        ids = everything()[:100]
    for number in range(4):
        now = NOW + number * HOUR
        with own_app.app_context():
            read_only.set(False)
            made_id = state(ids, Wanted(ServiceStatus.DOWN), f"{number}").id
            events.commit()

        newer = stating(ids, ServiceStatus.NORMAL, f"{number}n", now + timedelta(minutes=1))
        _together(own_app, [partial(take_back, made_id, now + timedelta(minutes=1)), newer])
        with own_app.app_context():
            standing = select(func.count()).select_from(StatedPeriod).where(StatedPeriod.ended_at.is_(None))
            assert db.session.scalar(standing) == 0
