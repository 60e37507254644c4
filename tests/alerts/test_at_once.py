"""Several evaluators, editors and killers at alerts in the same moment, on a database of their own."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import delete, func, select
from sqlalchemy.exc import OperationalError

from portal import create_app, events
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.alerts import actions, telling
from portal.alerts.actions import clockwork
from portal.alerts.models import Alert, AlertEvent, AlertWatch
from portal.alerts.queries import alert_by_id, found_or_404
from portal.alerts.rules import AlertState
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.database import Trouble, read_only, trouble_of
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import StaleEdit
from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import DeliveryState
from portal.records.erasure import erase
from portal.records.rules.exports import ExportKind
from tests.alerts.conftest import LOW_BALANCE, add, balance_of, take
from tests.conftest import NOW, REPOSITORY

COMPANIES = 12
AT_ONCE = 4
MINUTE = timedelta(minutes=1)


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": "a key that protects nothing but this test",
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }


@pytest.fixture
def own_app(environment: dict[str, str]) -> Iterator[Flask]:
    """An app whose sessions really commit, on a database that is thrown away: many companies whose balance is low."""
    app = create_app(Settings.from_environment(environment))
    with app.app_context():
        read_only.set(False)
        upgrade()
        home = domains.add_domain("http://a.portal.test", "Northline", areas=set(Area), by=SYSTEM, now=NOW)
        for number in range(COMPANIES):
            company = accounts.add_company(f"Company {number:02}", by=SYSTEM, now=NOW)
            domains.admit(company, home, is_home=True, by=SYSTEM, now=NOW)
            add(LOW_BALANCE, company)
            take(balance_of(company), 5, NOW)
        events.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


def at_once(app: Flask, *what: Callable[[], Any]) -> list[Any]:
    """Do all of it in the same moment, each with a session of its own; what each returned, or was refused with."""
    barrier = Barrier(len(what))

    def one(do: Callable[[], Any]) -> Any:
        with app.app_context():
            read_only.set(False)
            barrier.wait()
            try:
                found = do()
                events.commit()
            except StaleEdit as refusal:
                events.rollback()
                return refusal
            return found

    with ThreadPoolExecutor(len(what)) as pool:
        return list(pool.map(one, what))


def evaluate_in_small_slices() -> None:
    """As the task does, a few at a time, so that those who look at once meet often."""
    now = NOW + MINUTE
    while clockwork.follow(now):
        events.commit()
    events.commit()
    for _round in range(20):
        actions.evaluate(now, 3)
        events.commit()


def told() -> dict[int, int]:
    """How many notices each watch has in its log."""
    rows = db.session.execute(
        select(AlertEvent.watch_id, func.count())
        .where(AlertEvent.broadcast_id.is_not(None))
        .group_by(AlertEvent.watch_id)
    )
    return dict(rows.all())


def test_two_evaluators_never_tell_twice(own_app: Flask) -> None:
    at_once(own_app, *[evaluate_in_small_slices] * AT_ONCE)
    with own_app.app_context():
        assert list(told().values()) == [1] * COMPANIES
        assert db.session.scalar(select(func.count(Broadcast.id))) == COMPANIES
        states = set(db.session.scalars(select(AlertWatch.state)))
        assert states == {AlertState.TRIGGERED}


def test_what_comes_in_while_somebody_looks_is_looked_at_after(own_app: Flask) -> None:
    """Samples of every company come in while others evaluate: in the end each alert knows the last value."""

    def feed() -> None:
        from portal.usage.models import Metric  # noqa: PLC0415 (only here)

        for metric in db.session.scalars(select(Metric).order_by(Metric.id)).all():
            take(metric, 50, NOW + MINUTE)
            events.commit()

    at_once(own_app, feed, evaluate_in_small_slices, evaluate_in_small_slices)
    with own_app.app_context():
        read_only.set(False)
        actions.evaluate_all(NOW + MINUTE)
        events.commit()
        values = set(db.session.scalars(select(AlertWatch.value)))
        assert values == {Decimal(50)}
        assert set(db.session.scalars(select(AlertWatch.state))) == {AlertState.NORMAL}


def test_an_edit_while_it_is_looked_at_is_never_lost(own_app: Flask) -> None:
    with own_app.app_context():
        ids = list(db.session.scalars(select(Alert.id).order_by(Alert.id)))

    def edit_one(alert_id: int) -> None:
        alert = found_or_404(alert_by_id(alert_id))
        wish = replace(actions.wanted_of(alert), threshold=Decimal(1))
        actions.edit_alert(alert, wish, version=alert.version, by=SYSTEM, now=NOW)
        events.commit()

    def edit() -> None:
        for alert_id in ids:
            for _attempt in range(10):
                try:
                    edit_one(alert_id)
                    break
                except OperationalError as error:
                    # Who is told to come back in a moment does.
                    events.rollback()
                    if trouble_of(error) is not Trouble.BUSY:
                        raise
            else:
                raise AssertionError("busy ten times")

    at_once(own_app, edit, evaluate_in_small_slices, evaluate_in_small_slices)
    with own_app.app_context():
        read_only.set(False)
        actions.evaluate_all(NOW + MINUTE)
        events.commit()
        assert set(db.session.scalars(select(AlertWatch.state))) == {AlertState.NORMAL}


def test_a_company_erased_while_it_is_looked_at_is_told_nothing_after(own_app: Flask) -> None:
    """As row R46: nothing breaks, and no mail of it waits once it is gone."""
    with own_app.app_context():
        ids = list(db.session.scalars(select(Company.id).order_by(Company.id)))[::2]

    def forget() -> None:
        for company_id in ids:
            erase(ExportKind.COMPANY, company_id, NOW)
            db.session.execute(delete(Company).where(Company.id == company_id))
            events.commit()

    at_once(own_app, forget, evaluate_in_small_slices, evaluate_in_small_slices)
    with own_app.app_context():
        left = set(db.session.scalars(select(AlertWatch.company_id)))
        assert left.isdisjoint(ids)
        waiting = select(Delivery.company_id).where(Delivery.state == DeliveryState.PENDING)
        assert set(db.session.scalars(waiting)).isdisjoint(ids)
        gone = select(Broadcast.selector).join(Delivery).where(Delivery.state == DeliveryState.PENDING)
        assert {each["company_id"] for each in db.session.scalars(gone)}.isdisjoint(ids)


KILLED = textwrap.dedent(
    """
    import os, sys, time
    from datetime import datetime, timedelta
    from portal import create_app, events
    from portal.alerts import actions, telling
    from portal.alerts.actions import clockwork
    from portal.config import Settings
    from portal.database import Trouble, read_only, trouble_of

    app = create_app(Settings.from_environment(os.environ))
    now = datetime.fromisoformat(sys.argv[1])
    tell = telling.tell
    said = []

    def slow(alert, watch, says, reading, **named):
        # The state of the watch is decided here, and of some others stored already: the worst moment.
        if sys.argv[2] == "before":
            print("now", flush=True)
            time.sleep(60)
        found = tell(alert, watch, says, reading, **named)
        said.append(found)
        if sys.argv[2] == "between" and len(said) == 3:
            print("now", flush=True)
            time.sleep(60)
        return found

    telling.tell = slow
    with app.app_context():
        read_only.set(False)
        clockwork.follow(now)
        events.commit()
        actions.evaluate(now)
        if sys.argv[2] == "after":
            print("now", flush=True)
            time.sleep(60)
        events.commit()
    """
)


@pytest.mark.processes
@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_r57_killed_between_state_and_notice_the_notice_goes_out_once(
    own_app: Flask, environment: dict[str, str], moment: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, (NOW + MINUTE).isoformat(), moment],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    with own_app.app_context():
        assert told() == {}, "nothing of it was stored"
        assert set(db.session.scalars(select(AlertWatch.state))) == {AlertState.NORMAL}
        events.rollback()
        read_only.set(False)
        for _attempt in range(50):
            actions.evaluate_all(NOW + MINUTE)
            events.commit()
            if len(told()) == COMPANIES:
                break
            # The server may not have noticed yet that whoever held the rows is gone.
            time.sleep(0.2)
        assert list(told().values()) == [1] * COMPANIES
        assert db.session.scalar(select(func.count(Broadcast.id))) == COMPANIES


def test_restart_loses_nothing(own_app: Flask, environment: dict[str, str]) -> None:
    """Each look by an app of its own, as after a restart."""
    for minutes in range(1, 4):
        app = create_app(Settings.from_environment(environment))
        with app.app_context():
            read_only.set(False)
            actions.evaluate_all(NOW + minutes * timedelta(seconds=30))
            events.commit()
            db.engine.dispose()
    with own_app.app_context():
        assert list(told().values()) == [1] * COMPANIES


def test_telling_is_called_within_the_transaction(own_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commit fails there is neither state, event nor notice."""
    tell, calls = telling.tell, []

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(1)
        return tell(*given, **named)

    monkeypatch.setattr(telling, "tell", counted)
    with own_app.app_context():
        read_only.set(False)
        clockwork.follow(NOW + MINUTE)
        actions.evaluate(NOW + MINUTE)
        events.rollback()
        assert len(calls) == COMPANIES
        assert told() == {}
        assert db.session.scalar(select(func.count(Broadcast.id))) == 0
