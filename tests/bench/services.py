"""Target 11, ours: the dashboard of service statuses among many holdings, and one act on ten thousand of them."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from flask import Flask
from sqlalchemy import delete, func, insert, select

from portal import clock, create_app, events
from portal.accounts.actions import token_hash
from portal.accounts.models import Person, Session
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.database import read_only
from portal.extensions import db
from portal.services import actions
from portal.services.models import ServiceUpdate, StatedPeriod, UpdateTarget
from portal.services.rules import Scope, ServiceStatus, UpdateKind, Wanted
from tests.bench.figures import Result, at_most, run_rounds
from tests.bench.seed import insert_rows
from tests.support.product import Portal

ROUNDS, REPEATS = 7, 4
ACT_ROUNDS = 5
COMPANIES = 33_400
"""With three holdings each a hundred thousand of them."""

HELD = 10_000
"""Holdings of the one act."""

STAFF_HOST = "admin.portal.test"
STAFF_COOKIE = "bench-status-session"
STAFF_ID = 2_000_000

PAGES = (("11a", "dashboard of service statuses", "/admin/services"),)


def seed_staff(now: datetime) -> None:
    """Somebody who may look."""
    email = "status@bench.example"
    person = {"id": STAFF_ID, "name": "Status", "email": email, "email_key": email, "created_at": now}
    insert_rows(Person, [person | {"role": Role.STATUS}])
    session = {
        "token_hash": token_hash(STAFF_COOKIE),
        "person_id": STAFF_ID,
        "company_id": None,
        "host": STAFF_HOST,
        "ip": "127.0.0.1",
        "user_agent": "bench",
        "created_at": now,
        "last_seen_at": now,
    }
    insert_rows(Session, [session])
    events.commit()


def measure(few: Portal, many: Portal, names: tuple[int, int]) -> list[Result]:
    """The lines of the table. `names` are how many companies each portal has, with three holdings each."""
    apps = {}
    for count, portal in zip(names, (few, many), strict=True):
        apps[count] = create_app(portal.settings)
        with apps[count].app_context():
            read_only.set(False)
            seed_staff(clock.utcnow())
    return [*(_page(apps, names, *page) for page in PAGES), _act(apps[names[1]])]


def _page(apps: dict[int, Flask], names: tuple[int, int], target: str, what: str, path: str) -> Result:
    contenders = {str(count): _request(app, path) for count, app in apps.items()}
    for warm in contenders.values():
        warm()
    rounds = run_rounds(contenders, ROUNDS)
    ratio = rounds.ratio(str(names[1]), str(names[0]))
    few, many = (rounds.spread(str(count)).median * 1000 for count in names)
    grown = names[1] // names[0]
    return Result(
        target,
        f"{what} among {3 * names[1]:,} holdings",
        f"its own time among {3 * names[0]:,}",
        f"≤ {grown / 5:.0f} × for {grown} times as many",
        ratio.shown(2),
        at_most(grown / 5, ratio),
        f"{many:.0f} ms against {few:.0f} ms",
    )


def _request(app: Flask, path: str) -> Callable[[], float]:
    """Seconds for one request as the fastest of a few, rendered anew each time."""
    client = app.test_client(use_cookies=False)
    asked = {"Host": STAFF_HOST, "Cookie": f"sid={STAFF_COOKIE}"}

    def seconds() -> float:
        best = float("inf")
        for _ in range(REPEATS):
            began = time.perf_counter()
            answer = client.get(path, headers=asked)
            best = min(best, time.perf_counter() - began)
            assert answer.status_code == 200, answer.status
        return best

    return seconds


def _act(app: Flask) -> Result:
    """One act with its mails, beside writing the same number of its rows and nothing else."""
    with app.app_context():
        read_only.set(False)
        most_held = select(Holding.service_id).group_by(Holding.service_id).order_by(func.count().desc()).limit(2)
        services = list(db.session.scalars(most_held))
        ids = list(db.session.scalars(select(Holding.id).where(Holding.service_id.in_(services)).limit(HELD)))
        db.session.rollback()
        contenders: dict[str, Callable[[], float]] = {"act": partial(_stated, ids), "rows": partial(_written, ids)}
        for warm in contenders.values():
            warm()
        rounds = run_rounds(contenders, ACT_ROUNDS)
    ratio = rounds.ratio("act", "rows")
    return Result(
        "11b",
        f"one act on {len(ids):,} holdings, its broadcast included",
        "inserting its 2 rows a holding, one executemany each",
        "≤ 2 ×",
        ratio.shown(2),
        at_most(2, ratio),
        f"{rounds.spread('act').median:.2f} s against {rounds.spread('rows').median * 1000:.0f} ms",
    )


def _stated(ids: list[int]) -> float:
    """Seconds of the whole transaction, which is taken back instead of being committed."""
    now = clock.utcnow()
    wanted = Wanted(status=ServiceStatus.INTERMITTENT, notes="Calls fail now and then. We are looking into it.")
    began = time.perf_counter()
    actions.set_status(
        ids,
        wanted,
        scope=Scope.CHOSEN,
        chosen={},
        by=SYSTEM,
        author_id=STAFF_ID,
        now=now,
        idempotency_key=f"bench-{now.isoformat()}",
    )
    db.session.flush()
    seconds = time.perf_counter() - began
    db.session.rollback()
    return seconds


def _written(ids: list[int]) -> float:
    """Seconds to write as many rows of the same tables with nothing worked out."""
    now = clock.utcnow()
    update = {
        "idempotency_key": "bench-rows",
        "kind": UpdateKind.STATED,
        "status": ServiceStatus.INTERMITTENT,
        "began_at": now,
        "scope": Scope.ALL,
        "holdings": len(ids),
        "companies": len(ids),
        "notify": False,
        "created_at": now,
    }
    db.session.execute(delete(ServiceUpdate).where(ServiceUpdate.idempotency_key == "bench-rows"))
    update_id = db.session.scalars(insert(ServiceUpdate).returning(ServiceUpdate.id), [update]).one()
    target = {"update_id": update_id, "company_id": 1, "service_id": 1, "before": ServiceStatus.NORMAL}
    period = {"update_id": update_id, "company_id": 1, "service_id": 1, "status": ServiceStatus.INTERMITTENT}
    began = time.perf_counter()
    db.session.execute(insert(UpdateTarget), [target | {"holding_id": each} for each in ids])
    db.session.execute(insert(StatedPeriod), [period | {"holding_id": each, "began_at": now} for each in ids])
    seconds = time.perf_counter() - began
    db.session.rollback()
    return seconds
