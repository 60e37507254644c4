"""Several who write calls of one company at the same moment lose nothing, on a database of their own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import select

from portal import create_app
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.database import read_only
from portal.extensions import db
from portal.usage.calls.actions import take_calls
from tests.conftest import NOW
from tests.usage.calls.kept import call, kept, stored
from tests.usage.calls.scratch import tallied

WRITERS = 4
ROUNDS = 6


@pytest.fixture
def own_app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An app whose sessions really commit, on a database that is thrown away: two companies, and nothing else."""
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
        for name in ("Alder Dental", "Birch Logistics"):
            accounts.add_company(name, by=SYSTEM, now=NOW)
        db.session.commit()
        db.session.remove()
        yield app
        db.session.remove()
        db.engine.dispose()


def test_batches_of_one_company_at_once_lose_nothing(own_app: Flask) -> None:
    """Each writer sends calls of its own and tells more of those of all; every other one names the companies the other
    way round, so that waiting in a ring would show."""
    company_ids = list(db.session.scalars(select(Company.id).order_by(Company.id)))
    db.session.rollback()

    def write(writer: int) -> int:
        taken = 0
        for number in range(ROUNDS):
            own = [call(f"{writer}-{number}-{each}", each * 900, ended=each * 900 + 60_000) for each in range(20)]
            shared = [call(f"shared-{each}", each * 500, ringing=each * 500 + 9 - writer) for each in range(20)]
            order = company_ids if writer % 2 else company_ids[::-1]
            with own_app.app_context():
                read_only.set(False)
                taken += take_calls([(each, one) for each in order for one in (*own, *shared)], NOW).taken
                db.session.commit()
        return taken

    with ThreadPoolExecutor(WRITERS) as pool:
        taken = list(pool.map(write, range(WRITERS)))
    assert sum(taken) >= 2 * (WRITERS * ROUNDS * 20 + 20)
    for company_id in company_ids:
        calls = kept(company_id)
        assert len(calls) == WRITERS * ROUNDS * 20 + 20
        assert stored(company_id) == tallied(calls)
