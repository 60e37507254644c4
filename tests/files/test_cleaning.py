"""Taking files away: found by the pulse without Redis, never by a copy of the data, and tried again after trouble."""

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.files import actions, cleaning, queries
from portal.files import store as stores
from portal.files.actions import Giver
from portal.files.models import StoredFile
from portal.files.store import Store, StoreTroubleError
from portal.files.taking import take
from portal.notifications import outbound
from tests.conftest import Cast
from workers import tasks


@pytest.fixture
def store(app: Flask, tmp_path: Path) -> Iterator[Store]:
    made = Store((tmp_path / "files").as_uri())
    stores.replace(app, made)
    yield made
    app.extensions.pop("files")


def given(cast: Cast, store: Store, number: int = 1) -> list[StoredFile]:
    giver = Giver(cast.alice.id, "Alice", cast.a.id)
    now = clock.utcnow()
    found = [
        actions.keep(take(io.BytesIO(b"text"), f"{each}.txt", store, most_bytes=10), giver, now)
        for each in range(number)
    ]
    events.commit()
    return found


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(StoredFile)) or 0


def bin_all(cast: Cast) -> None:
    actions.bin_of_company(cast.a.id, clock.utcnow())
    events.commit()


def test_what_is_gone_is_taken_away_by_the_task(cast: Cast, store: Store) -> None:
    names = [each.storage_name for each in given(cast, store, 3)]
    assert not queries.cleaning_waits(clock.utcnow())
    assert queries.cleaning_waits(clock.utcnow() + timedelta(hours=25)), "forms that were never sent"
    bin_all(cast)
    assert queries.cleaning_waits(clock.utcnow())
    tasks.clean_files()
    assert [store.has(name) for name in names] == [False] * 3
    assert count() == 0


def test_a_copy_of_the_data_takes_nothing_away(cast: Cast, store: Store) -> None:
    """It may point at the bucket of its original, whose newer files it does not know."""
    (file,) = given(cast, store)
    orphan = stores.new_name()
    store.put(orphan, io.BytesIO(b"of the original"))
    bin_all(cast)
    outbound.pause_all(outbound.A_COPY, by=SYSTEM, now=clock.utcnow())
    events.commit()
    tasks.clean_files()
    tasks.sweep_files()
    assert store.has(file.storage_name)
    assert store.has(orphan)
    outbound.resume_all(by=SYSTEM, now=clock.utcnow())
    events.commit()
    tasks.clean_files()
    assert count() == 0


def test_a_store_that_is_away_loses_no_work(
    cast: Cast, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given(cast, store, 2)
    bin_all(cast)

    def away(*_arguments: object) -> None:
        raise StoreTroubleError("the bucket does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "delete", away)
        patch.setattr(Store, "lying_in", away)
        assert cleaning.clean_some(store, clock.utcnow()) is False
        tasks.sweep_files()
    assert "does not answer" in caplog.text
    assert count() == 2
    cleaning.clean_some(store, clock.utcnow())
    assert count() == 0


def test_much_is_taken_away_a_bounded_piece_at_a_time(
    cast: Cast, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleaning, "AT_ONCE", 2)
    given(cast, store, 5)
    bin_all(cast)
    assert [cleaning.clean_some(store, clock.utcnow()) for _ in range(3)] == [True, True, False]
    assert count() == 0
