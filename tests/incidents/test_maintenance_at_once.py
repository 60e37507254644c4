"""Several schedulers, and people, at planned work in the same moment, on a database of their own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import func, select

from portal import create_app, events
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.database import read_only
from portal.errors import StaleEdit
from portal.extensions import db
from portal.incidents.actions import clockwork
from portal.incidents.actions import maintenance as acts
from portal.incidents.actions.series import SeriesPlan, make_occurrences, plan_series
from portal.incidents.models import Maintenance, MaintenanceSeries, MaintenanceUpdate
from portal.incidents.rules.maintenance import Notice, Plan
from portal.notifications.models import Broadcast
from tests.conftest import NOW

HOUR = timedelta(hours=1)
START, END = NOW + 48 * HOUR, NOW + 50 * HOUR
AT_ONCE = 4


@pytest.fixture
def own_app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An app whose sessions really commit, on a database that is thrown away."""
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


def planned(title: str = "Cards") -> int:
    plan = Plan(title, "We replace cards.", frozenset(), START, END, "UTC")
    made = acts.plan(plan, by=SYSTEM, author_id=None, now=NOW, idempotency_key=title)
    events.commit()
    return made.id


def scheduler(moment: datetime) -> int:
    done = 0
    for do, row_id in clockwork.due(moment):
        done += do(row_id, moment)
        events.commit()
    return done


def kinds() -> list[Notice]:
    return list(db.session.scalars(select(MaintenanceUpdate.kind).order_by(MaintenanceUpdate.id)))


def test_several_schedulers_tell_each_thing_once_and_make_each_occurrence_once(own_app: Flask) -> None:
    with own_app.app_context():
        read_only.set(False)
        planned()
    for moment in (START - 24 * HOUR, START - HOUR, START, END, END + HOUR):
        at_once(own_app, *[partial(scheduler, moment)] * AT_ONCE)
    with own_app.app_context():
        told = [Notice.ANNOUNCED, Notice.REMINDED, Notice.REMINDED, Notice.STARTED, Notice.COMPLETED]
        assert kinds() == told
        sent = db.session.scalar(select(func.count()).select_from(Broadcast).where(Broadcast.kind == "maintenance"))
        assert sent == len(told)
        plan = SeriesPlan(
            "Patches",
            "We patch.",
            frozenset(),
            "FREQ=DAILY",
            datetime.fromisoformat("2026-11-25T02:00"),
            HOUR,
            "Europe/Berlin",
            notify=False,
        )
        series_id = plan_series(plan, by=SYSTEM, author_id=None, now=NOW, idempotency_key="s").id
        events.commit()
    later = NOW + 20 * 24 * HOUR
    done = at_once(own_app, *[partial(make_occurrences, series_id, later)] * AT_ONCE)
    assert done.count(True) == 1
    with own_app.app_context():
        moments = db.session.scalars(select(Maintenance.occurs_at).where(Maintenance.series_id == series_id)).all()
        assert len(moments) == len(set(moments)) == 77
        assert db.session.get_one(MaintenanceSeries, series_id).due_at == later + 24 * HOUR


def test_a_plan_sent_twice_at_once_is_one_and_of_two_who_move_it_one_is_refused(own_app: Flask) -> None:
    (maintenance_id,) = set(at_once(own_app, *[planned] * AT_ONCE))
    with own_app.app_context():
        assert kinds() == [Notice.ANNOUNCED]
        version = db.session.get_one(Maintenance, maintenance_id).version

    def move(hours: int) -> str:
        found = db.session.get_one(Maintenance, maintenance_id)
        acts.move(
            found,
            START + hours * HOUR,
            END + hours * HOUR,
            "UTC",
            "",
            notify=True,
            version=version,
            by=SYSTEM,
            author_id=None,
            now=NOW,
            idempotency_key=f"move-{hours}",
        )
        return "moved"

    moved = at_once(own_app, partial(move, 1), partial(move, 2))
    assert sorted(type(each) is str for each in moved) == [False, True]
    with own_app.app_context():
        assert kinds() == [Notice.ANNOUNCED, Notice.MOVED]
