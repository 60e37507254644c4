"""Targets 1 and 2: bulk mail beside `smtp-source`, and publishing to 50,000 recipients.

Both sides talk to the same `smtp-sink`, over as many connections, with mails of the same size: the product's are those
of an incident that was really published. What is timed of the product is everything between deliveries that wait in the
database and the last of their results stored in it; `smtp-source` makes its mails up and keeps no books.
"""

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select, text, update

from portal import clock
from portal.accounts.models import Company, Membership, Person
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Holding
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.models import Admission
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from tests.bench.figures import Result, Rounds, at_least, run_rounds
from tests.bench.machine import child, free_port, pss, tool, wait_for_port
from tests.bench.seed import HOST, insert_rows
from tests.support.postgres import PostgresServer
from tests.support.processes import wait_until
from tests.support.product import Portal

FEW, MANY = 1_000, 50_000
MAILS = 5_000
ROUNDS = 5
SAMPLE = 20
"""Mails whose size is looked at."""

CONNECTIONS: Mapping[int, float] = {50: 1.0, 8: 0.6}
"""The target by the number of connections."""

WORKERS = 2
"""Sending processes: the workers of `portal up`."""

PATIENCE = 240.0
"""Seconds that sending to many may take before the measuring is given up."""


@dataclass
class House:
    """An installation whose business reaches few and many people, on one engine."""

    engine: str
    portal: Portal
    few: int = 0
    many: int = 0
    token: str = ""
    results: list[Result] = field(default_factory=list)


def measure(wanted: set[str]) -> list[Result]:
    """The lines of targets 1 and 2 that are wanted, on SQLite and on PostgreSQL."""
    sink, source = tool("smtp-sink", "postfix"), tool("smtp-source", "postfix")
    results = []
    with PostgresServer(durable=True) as server:
        server.execute("CREATE DATABASE bench")
        for engine, url in (("SQLite", None), ("PostgreSQL", server.url("bench"))):
            port = free_port()
            options = {"PORTAL_CONNECTIONS_PER_RELAY": str(max(CONNECTIONS))}
            portal = Portal(database_url=url, smtp_url=f"smtp://127.0.0.1:{port}", environment=options)
            try:
                with _sink(sink, port):
                    house = _business(engine, portal)
                    results += _publish(house)
                    if "1" in wanted:
                        results += _bulk(house, port, source, sink)
            finally:
                portal.__exit__()
    return [result for result in results if result.target[0] in wanted]


@contextlib.contextmanager
def _sink(program: str, port: int, *options: str) -> Iterator[None]:
    user = ["-u", "nobody"] if _is_root() else []
    with child([program, *user, *options, f"127.0.0.1:{port}", "1024"]):
        wait_for_port(port)
        yield


def _is_root() -> bool:
    import os  # noqa: PLC0415

    return os.geteuid() == 0


# The business.


def _business(engine: str, portal: Portal) -> House:
    """Two components, each with a service that depends on it: one held by a thousand companies, one by all."""
    portal.prepare()
    house = House(engine, portal)
    now = clock.utcnow()
    with portal.database():
        domain = domains.add_domain(portal.address(HOST), "Northline", areas=set(Area), by=SYSTEM, now=now)
        services = []
        for name in ("Fibre", "Voice core"):
            component = catalogue.add_component(name, by=SYSTEM, now=now, description=None)
            service = catalogue.add_service(f"{name} service", by=SYSTEM, now=now, category="Frankfurt")
            catalogue.set_dependencies(service, [component.id], by=SYSTEM, now=now)
            services.append((component.id, service.id))
        (house.few, few_service), (house.many, many_service) = services
        numbers = range(1, MANY + 1)
        insert_rows(
            Company, ({"id": n, "name": f"Company {n}", "name_key": f"company {n}", "created_at": now} for n in numbers)
        )
        addresses = ((n, f"person{n}@company{n}.example") for n in numbers)
        insert_rows(
            Person,
            ({"id": n, "name": f"Person {n}", "email": a, "email_key": a, "created_at": now} for n, a in addresses),
        )
        insert_rows(Membership, ({"person_id": n, "company_id": n, "created_at": now} for n in numbers))
        insert_rows(Admission, ({"company_id": n, "domain_id": domain.id, "is_home": True} for n in numbers))
        held = [(n, many_service) for n in numbers] + [(n, few_service) for n in range(1, FEW + 1)]
        insert_rows(
            Holding,
            (
                {"company_id": n, "service_id": service, "reference": f"CIR-{n:06d}-{service}", "valid_from": now}
                for n, service in held
            ),
        )
        db.session.commit()
        _tidy()
    made = portal.run("create-token", "--name", "bench", "--scope", "admin")
    assert made.returncode == 0, made.stderr
    house.token = made.stdout.strip()
    return house


def _tidy() -> None:
    """What a database that has been running for a while knows of itself."""
    db.session.remove()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE" if connection.dialect.name == "postgresql" else "ANALYZE"))


# Target 2.


def _publish(house: House) -> list[Result]:
    """Publish to a thousand and to fifty thousand over the API of the running product; watch until all is sent."""
    portal = house.portal
    portal.start(60)
    try:
        workers = [pid for name, pid in portal.pids().items() if name.startswith("worker")]
        _answer, _first, few_peak = _published(house, house.few, FEW, workers)
        answer, first, many_peak = _published(house, house.many, MANY, workers)
    finally:
        portal.stop()
    growth = many_peak / few_peak
    whom = f"publish to {MANY:,}, {house.engine}"
    peaks = f"{few_peak / 1024:.0f} MB at {FEW:,}, {many_peak / 1024:.0f} MB at {MANY:,}"
    return [
        Result("2a", f"{whom}: answer", "–", "< 300 ms", f"{answer * 1000:.0f} ms", answer < 0.3, "POST of the API"),
        Result("2b", f"{whom}: first mail taken", "–", "< 2 s", f"{first:.2f} s", first < 2, "as the ledger tells"),
        Result("2c", f"{whom}: memory of a worker", f"at {FEW:,}", "≤ 1.2", f"{growth:.2f}", growth <= 1.2, peaks),
    ]


def _published(house: House, component: int, count: int, workers: list[int]) -> tuple[float, float, int]:
    """Seconds to the answer and to the first mail, and the most memory of a worker until the last one, in KiB."""
    began_at, began = clock.utcnow(), time.monotonic()
    body = {
        "title": "Voice core: calls fail",
        "body": "Calls to mobile numbers fail. Our carrier has **confirmed** a fault and is moving traffic away.",
        "components": [{"component_id": component, "severity": "major_outage"}],
        "audience": "affected",
        "mail_affected_only": True,
    }
    connection = http.client.HTTPConnection("127.0.0.1", house.portal.port, timeout=30)
    headers = {
        "Host": house.portal.base_url.partition("//")[2],
        "Authorization": f"Bearer {house.token}",
        "Content-Type": "application/json",
        "Idempotency-Key": f"bench-{component}",
    }
    connection.request("POST", "/api/v1/incidents", json.dumps(body), headers)
    told = connection.getresponse()
    answer = json.loads(told.read())
    seconds = time.monotonic() - began
    assert told.status == 201, answer
    peak = 0

    def all_sent() -> bool:
        nonlocal peak
        peak = max(peak, *(pss(each) for each in workers))
        return _count(answer["broadcast_id"], DeliveryState.SENT) == count

    with house.portal.database():
        read_only.set(True)  # who only watches takes no turn at writing
        wait_until(all_sent, PATIENCE, f"{count} mails sent")
        first = db.session.scalar(
            select(func.min(Delivery.finished_at)).where(Delivery.broadcast_id == answer["broadcast_id"])
        )
    assert first is not None
    return seconds, (first - began_at).total_seconds(), peak


def _count(broadcast_id: int, state: DeliveryState) -> int:
    db.session.rollback()
    mine = Delivery.broadcast_id == broadcast_id, Delivery.state == state
    return db.session.scalar(select(func.count()).select_from(Delivery).where(*mine)) or 0


# Target 1.


def _bulk(house: House, port: int, source: str, sink: str) -> list[Result]:
    """Rounds of both senders over 50 and over 8 connections."""
    size = _mail_size(house, sink)
    results = []
    for connections, wanted in CONNECTIONS.items():
        spent: list[float] = []
        with _senders(house, connections, port) as send:

            def ours(send: Callable[[], float] = send, spent: list[float] = spent) -> float:
                _wait_again(house, MAILS)
                began = time.monotonic()
                spent.append(send())
                seconds = time.monotonic() - began
                with house.portal.database():
                    read_only.set(True)
                    assert _unsent() == 0
                return MAILS / seconds

            def theirs(connections: int = connections) -> float:
                command = [source, "-d", "-s", str(connections), "-m", str(MAILS), "-l", str(size)]
                began = time.monotonic()
                subprocess.run(
                    [*command, "-f", "a@portal.test", "-t", "b@company.example", f"127.0.0.1:{port}"], check=True
                )
                return MAILS / (time.monotonic() - began)

            found = run_rounds({"ours": ours, "smtp-source": theirs}, ROUNDS)
        letter = "a" if connections == max(CONNECTIONS) else "b"
        ratio = found.ratio("ours", "smtp-source")
        what = f"bulk mail with ledger and promise, {connections} connections, {house.engine}"
        figures = _figures(found, size, sum(spent) / len(spent) / MAILS)
        met = at_least(wanted, ratio)
        results.append(Result(f"1{letter}", what, "smtp-source -d", f"≥ {wanted}", ratio.shown(2), met, figures))
    return results


def _figures(found: Rounds, size: int, spent: float) -> str:
    """Both speeds, and the processor seconds a mail took of our sending processes."""
    ours, theirs = found.spread("ours").median, found.spread("smtp-source").median
    return f"{ours:,.0f} and {theirs:,.0f} mails/s of {size:,} bytes; {spent * 1e6:.0f} µs of processor a mail"


@contextlib.contextmanager
def _senders(house: House, connections: int, port: int) -> Iterator[Callable[[], float]]:
    """As many sending processes as `portal up` starts workers; each call has them send what waits, and tells the
    processor time it took."""
    variables = {
        **house.portal.variables,
        "PORTAL_CONNECTIONS_PER_RELAY": str(connections),
        "PORTAL_SMTP_URL": f"smtp://127.0.0.1:{port}",
    }
    with contextlib.ExitStack() as running:
        senders = [running.enter_context(_sender(variables)) for _ in range(WORKERS)]

        def send() -> float:
            for sender in senders:
                assert sender.stdin is not None
                sender.stdin.write("send\n")
                sender.stdin.flush()
            return sum(float(_told(sender)[1]) for sender in senders)

        yield send


@contextlib.contextmanager
def _sender(variables: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.bench.sender"]
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert _told(process) == ["ready"]
            yield process
        finally:
            process.kill()


def _told(sender: "subprocess.Popen[str]") -> list[str]:
    assert sender.stdout is not None
    return sender.stdout.readline().split()


def _unsent() -> int:
    waiting = select(func.count()).select_from(Delivery).where(Delivery.state != DeliveryState.SENT)
    return db.session.scalar(waiting) or 0


def _wait_again(house: House, count: int) -> None:
    """Have the first so many deliveries wait as if they had just been written down, and nothing else."""
    with house.portal.database():
        now = clock.utcnow()
        db.session.execute(
            update(Delivery)
            .where(Delivery.id.in_(select(Delivery.id).order_by(Delivery.id).limit(count)))
            .values(
                state=DeliveryState.PENDING,
                attempts=0,
                next_attempt_at=now,
                first_attempt_at=None,
                sending_since=None,
                finished_at=None,
                answer=None,
                code=None,
            )
        )
        db.session.execute(update(Broadcast).values(state=BroadcastState.SENDING, finished_at=None))
        db.session.commit()
        _tidy()


def _mail_size(house: House, sink: str) -> int:
    """Bytes of a mail as the product sends it: of some, as another sink wrote them down."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="sb-mails-") as name:
        Path(name).chmod(0o777)
        with _sink(sink, port, "-d", f"{name}/mail."), _senders(house, 2, port) as send:
            _wait_again(house, SAMPLE)
            send()
        sizes = [len(each.read_bytes().partition(b"Message-ID:")[2]) for each in Path(name).iterdir()]
    return sum(sizes) // len(sizes)
