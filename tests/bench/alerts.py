"""Target 9: evaluating ten thousand alerts over ten million samples, and taking samples, on both databases."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Flask
from sqlalchemy import BigInteger, Integer, String, cast, column, func, insert, literal, select, text, update, values

from portal import clock, create_app, events
from portal.accounts.models import Company
from portal.alerts import actions as alerts
from portal.alerts.models import Alert, AlertWatch
from portal.alerts.rules import AlertArea, AlertState, Operator
from portal.database import UTCDateTime, read_only
from portal.extensions import db
from portal.usage.actions import take_samples
from portal.usage.calls.models import CallTally
from portal.usage.calls.rules import CallStep
from portal.usage.models import MeasuredSource, Metric, MetricFigure, MetricSample, SourceKind
from portal.usage.rules import Measure, Sample, Step
from tests.bench.figures import Result, at_least, at_most, run_rounds
from tests.bench.seed import insert_rows
from tests.support.postgres import PostgresServer
from tests.support.product import Portal

COMPANIES, METRICS_EACH, ALERTS_EACH = 1_000, 10, 10
FEW, MANY = 100_000, 10_000_000
"""Samples, of as many metrics."""

BATCH, BATCH_METRICS = 10_000, 1_000
EVALUATIONS, INGESTS = 5, 5
INTERVAL = timedelta(minutes=1)
MILLION = 1_000_000

MEASURES = (Measure.BALANCE, Measure.CHANNELS, Measure.CPS) + (Measure.CUSTOM,) * (METRICS_EACH - 3)
SCRIPT = 'asr("10m") < 40 && attempts("10m") >= 50 || balance() < 0'


def measure(many: int = MANY) -> list[Result]:
    """The lines of the table, over as many samples: fewer where there is no time to make ten million."""
    results = []
    with PostgresServer(durable=True) as server:
        for name in ("few", "many"):
            server.execute(f"CREATE DATABASE {name}")
        for engine, urls in (("SQLite", (None, None)), ("PostgreSQL", (server.url("few"), server.url("many")))):
            with _portal(urls[0]) as little, _portal(urls[1]) as large:
                until = clock.utcnow().replace(second=0, microsecond=0)
                apps = {FEW: _house(little, FEW, until), many: _house(large, many, until)}
                results += [_evaluating(engine, apps, until), _taking(engine, apps[many], many, until)]
    return results


@contextlib.contextmanager
def _portal(url: str | None) -> Iterator[Portal]:
    portal = Portal(database_url=url)
    try:
        portal.prepare()
        yield portal
    finally:
        portal.__exit__()


# The business


def _house(portal: Portal, samples: int, until: datetime) -> Flask:
    """A thousand companies with ten metrics and ten alerts each, and samples and calls of each minute before now."""
    app = create_app(portal.settings)
    moments = samples // (COMPANIES * METRICS_EACH)
    born = until - timedelta(days=30)
    companies = range(1, COMPANIES + 1)
    with app.app_context():
        read_only.set(False)
        if db.engine.dialect.name == "postgresql":
            db.session.execute(text("SET LOCAL statement_timeout = 0"))
        insert_rows(
            Company,
            ({"id": n, "name": f"Company {n}", "name_key": f"company {n}", "created_at": born} for n in companies),
        )
        insert_rows(Metric, (_metric(n, place, born) for n in companies for place in range(METRICS_EACH)))
        _samples(moments, until)
        _calls(moments, until)
        _sources(until)
        insert_rows(Alert, (_alert(n, place, born) for n in companies for place in range(ALERTS_EACH)))
        insert_rows(
            AlertWatch,
            (
                {"alert_id": n * ALERTS_EACH + place, "company_id": n, "since": born, "due_at": until}
                for n in companies
                for place in range(ALERTS_EACH)
            ),
        )
        events.commit()
        db.session.remove()
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE"))
    return app


def _metric(company: int, place: int, born: datetime) -> dict[str, Any]:
    return {
        "id": company * METRICS_EACH + place,
        "key": f"m{company}-{place}",
        "name": "Anything",
        "company_id": company,
        "measure": MEASURES[place],
        "interval": 60,
        "created_at": born,
        "version": 1,
    }


def _alert(company: int, place: int, born: datetime) -> dict[str, Any]:
    """None of them is ever triggered: what mails take is measured elsewhere."""
    metric_id = company * METRICS_EACH
    low, high = (
        {"operator": Operator.LESS, "threshold": Decimal(0)},
        {"operator": Operator.MORE, "threshold": Decimal(1000)},
    )
    kinds: tuple[dict[str, Any], ...] = (
        {"area": AlertArea.BALANCE, **low},
        {"area": AlertArea.CREDIT, **low},
        {"area": AlertArea.CHANNELS, **high},
        {"area": AlertArea.CPS, "window": 300, **high},
        {"area": AlertArea.ASR, "window": 600, "operator": Operator.LESS, "threshold": Decimal(10)},
        {"area": AlertArea.SCRIPT, "script": SCRIPT, "operator": Operator.MORE, "threshold": Decimal(0)},
        *({"area": AlertArea.CUSTOM, "metric_id": metric_id + own, **high} for own in range(3, 7)),
    )
    empty = {"window": 0, "script": "", "metric_id": None}
    number = company * ALERTS_EACH + place
    return {
        **empty,
        **kinds[place],
        "id": number,
        "public_id": f"alert-{number}",
        "company_id": company,
        "title": f"Alert {place}",
        "title_key": f"alert {place}",
        "created_at": born,
        "version": 1,
    }


def _samples(moments: int, until: datetime) -> None:
    """A sample of each metric in each of the minutes before, and the figures of them: by the database alone."""
    ats = [until - INTERVAL * (moments - 1 - number) for number in range(moments)]
    rows = [(number, at, *(step.begin(at) for step in Step)) for number, at in enumerate(ats)]
    when = (
        values(column("n", Integer), *(column(name, UTCDateTime()) for name in ("at", *(step.value for step in Step))))
        .data(rows)
        .cte("moments")
    )

    def amount(number: Any) -> Any:
        return (Metric.id * 37 + number * 13) % 97 + 1

    def stored(number: Any) -> Any:
        return cast(amount(number), BigInteger) * MILLION

    db.session.execute(
        insert(MetricSample).from_select(
            ["metric_id", "at", "value"],
            select(Metric.id, when.c.at, stored(when.c.n)).join(when, literal(True)).order_by(Metric.id, when.c.at),
        )
    )
    for step in Step:
        begin = when.c[step.value]
        found = (
            select(
                Metric.id,
                literal(step, MetricFigure.step.type),
                begin,
                func.count(),
                cast(func.sum(amount(when.c.n)), String(40)),
                func.min(stored(when.c.n)),
                func.max(stored(when.c.n)),
                stored(func.max(when.c.n)),
                func.max(when.c.at),
            )
            .join(when, literal(True))
            .group_by(Metric.id, begin)
            .order_by(Metric.id, begin)
        )
        names = ["metric_id", "step", "at", "count", "total", "least", "most", "last", "last_at"]
        db.session.execute(insert(MetricFigure).from_select(names, found))


def _calls(moments: int, until: datetime) -> None:
    """Thirty attempts a minute of each company, twenty of them answered."""
    when = values(column("at", CallTally.at.type)).data([(until - (n + 1) * INTERVAL,) for n in range(moments)]).cte()
    told: dict[str, Any] = {"scope": "", "step": CallStep.MINUTE, "attempts": 30, "answered": 20, "effective": 28}
    told |= {"rung": 28, "pdd_ms": 28_000, "ended": 20, "talk_ms": 2_000_000, "closed": 30, "open": 0, "peak": 2}
    told |= {"seconds": b""}
    said = [literal(value, getattr(CallTally, name).type) for name, value in told.items()]
    found = select(Company.id, when.c.at, *said).join(when, literal(True)).order_by(Company.id, when.c.at)
    db.session.execute(insert(CallTally).from_select(["company_id", "at", *told], found))


def _sources(until: datetime) -> None:
    last = {"last_at": until, "unread_since": None}
    companies = range(1, COMPANIES + 1)
    calls = ({"company_id": n, "kind": SourceKind.CALLS, **last, "last_at": until - INTERVAL} for n in companies)
    insert_rows(MeasuredSource, calls)
    metrics = (
        {
            "company_id": n,
            "kind": SourceKind.METRIC,
            "metric_id": n * METRICS_EACH + place,
            "last_value": Decimal(50),
            **last,
        }
        for n in companies
        for place in range(METRICS_EACH)
    )
    insert_rows(MeasuredSource, metrics)


# Evaluating


def _evaluating(engine: str, apps: dict[int, Flask], until: datetime) -> Result:
    """Everything came in at once: all sources are unread, so all watches are looked at."""
    now = until + timedelta(seconds=10)
    contenders = {str(count): _evaluated(app, now) for count, app in apps.items()}
    for app, warm in zip(apps.values(), contenders.values(), strict=True):
        warm()
        _judged(app)
    rounds = run_rounds(contenders, EVALUATIONS)
    few, many = contenders
    ratio = rounds.ratio(many, few)
    seen = {name: rounds.spread(name).median for name in contenders}
    return Result(
        "9a",
        f"{COMPANIES * ALERTS_EACH:,} alerts over {int(many):,} samples, {engine}",
        f"its own time over {FEW:,}",
        "≤ 2 ×",
        ratio.shown(2),
        at_most(2, ratio),
        f"{seen[many]:.1f} s against {seen[few]:.1f} s: {COMPANIES * ALERTS_EACH / seen[many]:,.0f} alerts a second",
    )


def _evaluated(app: Flask, now: datetime) -> Callable[[], float]:
    def seconds() -> float:
        with app.app_context():
            read_only.set(False)
            db.session.execute(update(MeasuredSource).values(unread_since=now))
            events.commit()
            began = time.perf_counter()
            for look in (alerts.follow, alerts.evaluate):
                while look(now):
                    events.commit()
                events.commit()
            return time.perf_counter() - began

    return seconds


def _judged(app: Flask) -> None:
    """What is measured is what it is called: every alert has been judged by a value, and is normal."""
    with app.app_context():
        found = db.session.execute(select(AlertWatch.state, func.count(AlertWatch.value)).group_by(AlertWatch.state))
        seen = {row[0]: row[1] for row in found}
        assert seen == {AlertState.NORMAL: COMPANIES * ALERTS_EACH}, seen


# Taking


def _taking(engine: str, app: Flask, count: int, until: datetime) -> Result:
    """A batch as large as one may be, of a thousand metrics, beside writing the same rows and nothing else."""
    contenders = {"ours": _taken(app, until), "bare": _written(app, until)}
    for warm in contenders.values():
        warm()
    rounds = run_rounds(contenders, INGESTS)
    ratio = rounds.ratio("bare", "ours")
    seconds = rounds.spread("ours").median
    return Result(
        "9b",
        f"taking {BATCH:,} samples among {count:,}, {engine}",
        "a bare executemany of them",
        "≥ 0.3 ×",
        ratio.shown(2),
        at_least(0.3, ratio),
        f"{BATCH / seconds:,.0f} samples a second, their figures and sources included",
    )


def _batches(until: datetime) -> Iterator[tuple[datetime, list[tuple[int, datetime, int]]]]:
    """Ten minutes of a thousand metrics after another, each with the moment at which they would come in."""
    pick = random.Random(9)  # noqa: S311  # the same samples every time
    minutes = BATCH // BATCH_METRICS
    while True:
        ids = pick.sample(range(METRICS_EACH, METRICS_EACH * (COMPANIES + 1)), BATCH_METRICS)
        ats = [until + INTERVAL * number for number in range(1, minutes + 1)]
        until = ats[-1]
        yield until, [(metric, at, pick.randrange(100) * MILLION) for metric in ids for at in ats]


def _taken(app: Flask, until: datetime) -> Callable[[], float]:
    batches = _batches(until)

    def seconds() -> float:
        now, batch = next(batches)
        rows = [(metric, Sample(at, Decimal(amount).scaleb(-6))) for metric, at, amount in batch]
        with app.app_context():
            read_only.set(False)
            began = time.perf_counter()
            taken = take_samples(rows, now)
            events.commit()
            spent = time.perf_counter() - began
        assert taken.taken == BATCH
        return spent

    return seconds


def _written(app: Flask, until: datetime) -> Callable[[], float]:
    """The same into a table of its own, by the driver alone."""
    batches = _batches(until)
    with app.app_context():
        is_sqlite = db.engine.dialect.name == "sqlite"
        kind, mark = ("text", "?, ?, ?") if is_sqlite else ("timestamptz", "%s, %s, %s")
        table = f"CREATE TABLE bare_sample (metric_id integer, at {kind}, value bigint, PRIMARY KEY (metric_id, at))"
        read_only.set(False)
        db.session.execute(text(table + (" WITHOUT ROWID" if is_sqlite else "")))
        events.commit()

    def seconds() -> float:
        _now, batch = next(batches)
        rows = [(metric, _plain(at) if is_sqlite else at, amount) for metric, at, amount in batch]
        with app.app_context(), contextlib.closing(db.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            began = time.perf_counter()
            cursor.executemany(f"INSERT INTO bare_sample VALUES ({mark})", rows)  # noqa: S608
            connection.commit()
            return time.perf_counter() - began

    return seconds


def _plain(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(" ", timespec="microseconds")
