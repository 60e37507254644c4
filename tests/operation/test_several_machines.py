"""Two of every process on one database and one Redis, behind nginx: everything happens, and happens once."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Session
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import Incident
from portal.notifications.models import Delivery
from portal.notifications.queries import pause_of_all
from tests.conftest import PASSWORD
from tests.operation.conftest import Databases
from tests.operation.machines import Machines
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import SmtpSink
from tests.support.visitor import Visitor

pytestmark = pytest.mark.processes

PATIENCE = 60.0
READERS = 5


class Stream:
    """A page that listens for bells, through the proxy or at one hub."""

    def __init__(self, port: int, path: str, origin: str) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.connection.request("GET", path, headers={"Host": urlsplit(origin).netloc, "Origin": origin})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.status
        self.topics: set[str] = set()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            while line := self.answer.readline():
                if line.startswith(b"data:") and b'"topic"' in line:
                    self.topics.add(json.loads(line[5:])["topic"])
        except (OSError, ValueError, AttributeError):
            return

    def close(self) -> None:
        self.connection.close()


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as server:
        yield server


@pytest.fixture(scope="module")
def machines(fresh_databases: Databases, settings: object, redis: RedisServer, sink: SmtpSink) -> Iterator[Machines]:
    with Machines(fresh_databases.empty(), redis.url, sink.url) as running:
        with running.portal.database():
            now = clock.utcnow()
            address = f"http://a.portal.test:{running.port}"
            domain = domains.add_domain(address, "Northline", areas=set(Area), by=SYSTEM, now=now)
            company = accounts.add_company("Alder Dental", by=SYSTEM, now=now)
            domains.admit(company, domain, is_home=True, by=SYSTEM, now=now)
            accounts.add_person("Ada", "ada@people.test", by=SYSTEM, now=now, role=Role.STATUS, password=PASSWORD)
            for number in range(READERS):
                person = accounts.add_person(f"Reader {number}", f"reader{number}@people.test", by=SYSTEM, now=now)
                accounts.add_membership(person, company, by=SYSTEM, now=now)
            db.session.add(Component(public_id="north", title="North ring", created_at=now, updated_at=now))
            events.commit()
        yield running


def report(title: str, component: int) -> list[tuple[str, str]]:
    number = str(component)
    return [
        *(("title", title), ("state", "investigating"), ("body", "We look into it."), ("components", number)),
        *((f"components-{number}", "major_outage"), ("began", "0"), ("audience", "everyone"), ("visibility", "public")),
        *(("notify", "y"), ("next_update", "30"), ("key", f"key-{title}")),
    ]


def ada_at(machines: Machines, port: int) -> Visitor:
    ada = Visitor(port, "admin.portal.test", seconds=PATIENCE)
    answer = ada.sign_in("ada@people.test", PASSWORD)
    assert answer.status == 303, answer.text
    return ada


def component_id(machines: Machines) -> int:
    with machines.portal.database():
        return db.session.scalars(select(Component.id)).one()


def mails_of(sink: SmtpSink, title: str) -> Counter[str]:
    found = [each for each in sink.received if title in str(each.headers["Subject"])]
    return Counter(to for each in found for to in each.recipients)


def test_either_machine_signs_in_and_the_other_knows_it(machines: Machines) -> None:
    first, second = (each.port for each in machines.processes["web"])
    ada = ada_at(machines, first)
    for port in (second, first, machines.port):
        ada.port = port
        assert ada.get("/admin/").status == 200
    with machines.portal.database():
        ips = set(db.session.scalars(select(Session.ip)))
    assert ips == {"127.0.0.1"}
    ada.port = second
    ada.post("/sign-out", {})
    ada.port = first
    assert ada.get("/admin/").status == 302


def test_a_report_rings_both_hubs_and_mails_everybody_once(machines: Machines, sink: SmtpSink) -> None:
    ada = ada_at(machines, machines.port)
    origin = f"http://admin.portal.test:{machines.port}"
    stream = json.loads(ada.get("/live-token").text)["url"]
    assert stream.startswith("/live?token="), "the same origin: the proxy leads there"
    pages = [
        Stream(port, stream, origin) for port in (*[each.port for each in machines.processes["live"]], machines.port)
    ]
    try:
        ada.get("/admin/incidents/new")
        answer = ada.post("/admin/incidents/new", report("Two machines", component_id(machines)))
        assert answer.status == 303, answer.text[-500:]
        for page in pages:
            wait_until(lambda page=page: "staff" in page.topics, PATIENCE, "the bell")  # type: ignore[misc]
    finally:
        for page in pages:
            page.close()
    wait_until(lambda: sum(mails_of(sink, "Two machines").values()) >= READERS, PATIENCE, "the mails")
    # The other worker, both pulses and both timetables look at the same rows meanwhile.
    wait_until(lambda: states_of(machines) == {"sent": READERS}, PATIENCE, "the end of the broadcast")
    assert mails_of(sink, "Two machines") == {f"reader{number}@people.test": 1 for number in range(READERS)}
    with machines.portal.database():
        assert pause_of_all() is None, "both machines see the data in the same place"


def states_of(machines: Machines) -> dict[str, int]:
    with machines.portal.database():
        rows = db.session.execute(select(Delivery.state, func.count()).group_by(Delivery.state))
        return {state.value: count for state, count in rows}


def test_what_is_due_is_done_once_with_one_of_each_killed(machines: Machines, sink: SmtpSink) -> None:
    """One web process, hub, worker, timetable and pulse die at once; the proxy goes on with the others."""
    for name in ("web", "live", "worker", "timetable", "pulse"):
        machines.processes[name][0].kill()
    # The first request may meet the dead one; nginx asks the other before it answers.
    ada = ada_at(machines, machines.port)
    for _ in range(6):
        assert ada.get("/admin/").status == 200
    ada.get("/admin/incidents/new")
    answer = ada.post("/admin/incidents/new", report("One machine left", component_id(machines)))
    assert answer.status == 303
    with machines.portal.database():
        assert db.session.scalar(select(func.count()).where(Incident.title == "One machine left")) == 1
    wait_until(lambda: states_of(machines) == {"sent": 2 * READERS}, PATIENCE, "the mails")
    assert set(mails_of(sink, "One machine left").values()) == {1}
    stream = json.loads(ada.get("/live-token").text)["url"]
    began = time.monotonic()
    page = Stream(machines.port, stream, f"http://admin.portal.test:{machines.port}")
    page.close()
    assert time.monotonic() - began < PATIENCE
