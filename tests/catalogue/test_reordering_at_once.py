"""Two admins put one list in opposite order at the same moment, on a database of their own."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from portal import create_app, events
from portal.audit.rules import SYSTEM
from portal.catalogue import actions
from portal.catalogue.models import Component
from portal.catalogue.queries import all_components, lists
from portal.config import Settings
from portal.database import read_only
from portal.errors import StaleEdit
from portal.extensions import db
from tests.conftest import NOW

ROUNDS = 100
WRITES = 7
"""What the fixture adds: one group and six components, each a new version of the list."""


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
        group = actions.add_group("Group", by=SYSTEM, now=NOW)
        for title in "ABCDEF":
            actions.add_component(title, group_id=group.id if title > "C" else None, by=SYSTEM, now=NOW)
        db.session.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


def reorder(app: Flask, start: threading.Barrier, *, is_backwards: bool) -> int:
    """Put the whole list in one order again and again; how often it was let through."""
    start.wait()
    return sum(_once(app, is_backwards=is_backwards) for _ in range(ROUNDS))


def _once(app: Flask, *, is_backwards: bool) -> bool:
    with app.app_context():
        read_only.set(False)
        version = lists.list_version(actions.COMPONENTS)
        rows = all_components()
        group_id = next(each.group_id for each in rows if each.group_id)
        tokens = sorted((f"c{each.id}" for each in rows), reverse=is_backwards)
        db.session.rollback()
        try:
            actions.arrange_components([*tokens[:3], f"g{group_id}", *tokens[3:]], version=version, by=SYSTEM, now=NOW)
            events.commit()
        except (StaleEdit, OperationalError):
            events.rollback()
            return False
        return True


def test_r17_two_hundred_orders_at_once_leave_no_gap_and_no_repeat(own_app: Flask) -> None:
    start = threading.Barrier(2)
    with ThreadPoolExecutor(2) as admins:
        ways = [admins.submit(reorder, own_app, start, is_backwards=is_backwards) for is_backwards in (True, False)]
    won = [way.result() for way in ways]
    assert min(won) > 0
    with own_app.app_context():
        places: dict[int | None, list[int]] = {}
        for group_id, position in db.session.execute(select(Component.group_id, Component.position)):
            places.setdefault(group_id, []).append(position)
        assert [sorted(found) for found in places.values()] == [[0, 1, 2], [0, 1, 2]]
        assert lists.list_version(actions.COMPONENTS) == 1 + WRITES + sum(won)
