"""Target 7: one company's home and banner among many, and what its queries cost beside the same SQL through Core."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ClauseElement

from portal import clock, create_app
from portal.database import read_only
from portal.extensions import db
from portal.prepared import Prepared
from portal.services.queries import company_picture
from tests.bench.figures import Result, Spread, at_most, run_rounds
from tests.bench.seed import HOST, open_sessions
from tests.support.product import Portal

FEW, MANY = 1_000, 100_000
COMPANY = 500
ROUNDS = 15
REPEATS = 8


def measure(few: Portal, many: Portal) -> list[Result]:
    """The lines of the table. Both portals are seeded, with FEW and with MANY companies."""
    apps = {FEW: create_app(few.settings), MANY: create_app(many.settings)}
    results = []
    for what, path, headers in [("home", "/", {}), ("banner", "/banner", {"HX-Request": "true"})]:
        contenders = {str(count): _request(app, path, headers) for count, app in apps.items()}
        for warm in contenders.values():
            warm()
        rounds = run_rounds(contenders, ROUNDS)
        ratio = rounds.ratio(str(MANY), str(FEW))
        among = {count: rounds.spread(str(count)).median * 1000 for count in apps}
        figures = f"{among[MANY]:.1f} ms against {among[FEW]:.1f} ms"
        results.append(
            Result(
                "7a" if path == "/" else "7b",
                f"one company's {what} among {MANY:,}",
                f"its own time among {FEW:,}",
                "≤ 1.5 ×",
                ratio.shown(2),
                at_most(1.5, ratio),
                figures,
            )
        )
    return [*results, _queries(apps[MANY])]


def _request(app: Flask, path: str, headers: dict[str, str]) -> Callable[[], float]:
    """Seconds for one request as the fastest of a few, rendered anew each time."""
    with app.app_context():
        read_only.set(False)
        cookie = open_sessions([COMPANY], 1, clock.utcnow())[COMPANY][0]
    client = app.test_client(use_cookies=False)
    asked = {"Host": HOST, "Cookie": f"sid={cookie}", **headers}

    def seconds() -> float:
        best = float("inf")
        for _ in range(REPEATS):
            began = time.perf_counter()
            answer = client.get(path, headers=asked)
            best = min(best, time.perf_counter() - began)
            assert answer.status_code == 200, answer.status
        return best

    return seconds


def _queries(app: Flask) -> Result:
    with app.app_context():
        read_only.set(True)
        statements = _recorded(lambda: company_picture(COMPANY, clock.utcnow()))
        engine = db.engine

        def ours() -> float:
            return _fastest(lambda: company_picture(COMPANY, clock.utcnow()), db.session.remove)

        def core() -> float:
            with engine.connect() as connection:
                return _fastest(lambda: _replay(connection, statements), connection.rollback)

        rounds = run_rounds({"queries": ours, "core": core}, ROUNDS)
    ratio = rounds.ratio("queries", "core")
    median = Spread.of(rounds.figures["queries"]).median
    return Result(
        "7c",
        f"its {len(statements)} queries alone, to finished objects",
        "the same SQL through Core",
        "≤ 3.0 ×",
        ratio.shown(2),
        at_most(3.0, ratio),
        f"{median * 1000:.1f} ms",
    )


def _recorded(action: Callable[[], object]) -> list[tuple[Any, Any]]:
    """The statements an action has executed, as Core constructs, with their values."""
    statements: list[tuple[Any, Any]] = []

    def note(_connection: object, statement: Any, many: Any, values: Any, _options: object) -> None:
        if isinstance(statement, ClauseElement):
            statements.append((statement, values or many))

    run = Prepared.rows

    def noted(ready: Prepared, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        # What was made ready goes to the database as text: here it is noted as the construct it was made of.
        statements.append((ready.statement, dict(values)))
        return run(ready, connection, values)

    event.listen(db.engine, "before_execute", note)
    with mock.patch.object(Prepared, "rows", noted):
        action()
    event.remove(db.engine, "before_execute", note)
    return statements


def _replay(connection: Connection, statements: list[tuple[Any, Any]]) -> None:
    for statement, values in statements:
        connection.execute(statement, values or None).all()


def _fastest(action: Callable[[], object], after: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - began)
        after()
    return best
