"""A36, H07, R06 to R21, R43: the product as it runs, with what it depends on gone, and people who do things at once."""

import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from typing import cast

import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Session
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, Service
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import Incident, IncidentUpdate
from portal.notifications.models import Broadcast, Delivery
from tests.conftest import PASSWORD
from tests.support import databases
from tests.support.processes import wait_until
from tests.support.product import Portal, is_postgres
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import Received, SmtpSink
from tests.support.visitor import Answer, Visitor

pytestmark = pytest.mark.processes

SLACK = 10
"""Times on a machine that also does something else."""

ANSWERS_WITHIN = 1.5 * SLACK
"""Seconds a publish may take whatever has become of Redis."""


@dataclass
class Running:
    """The product with its servers and the ids of what was put into it."""

    portal: Portal
    redis: RedisServer
    sink: SmtpSink
    component_id: int

    def staff(self, name: str = "ada") -> Visitor:
        visitor = Visitor(self.portal.port, "admin.portal.test", seconds=60)
        assert visitor.sign_in(f"{name}@people.test", PASSWORD).status == 303
        return visitor

    def customer(self) -> Visitor:
        return Visitor(self.portal.port, "a.portal.test", seconds=60)

    def report(self, title: str, key: str) -> list[tuple[str, str]]:
        number = str(self.component_id)
        return [
            *(("title", title), ("state", "investigating"), ("body", "We are looking into it.")),
            *(("components", number), (f"components-{number}", "major_outage"), ("began", "0")),
            *(("audience", "everyone"), ("visibility", "public"), ("notify", "y"), ("next_update", "30")),
            ("key", key),
        ]

    def publish(self, visitor: Visitor, title: str, key: str = "") -> Answer:
        page = visitor.get("/admin/incidents/new")
        assert page.status == 200
        return visitor.post("/admin/incidents/new", self.report(title, key or f"key-{title}"))

    def incidents(self, title: str) -> list[int]:
        with self.portal.database():
            return list(db.session.scalars(select(Incident.id).where(Incident.title == title)))

    def deliveries(self, title: str) -> int:
        with self.portal.database():
            rows = select(func.count(Delivery.id)).join(Broadcast).where(Broadcast.title.contains(title))
            return db.session.scalar(rows) or 0

    def mails(self, title: str) -> int:
        return sum(title in str(each.headers["Subject"]) for each in self.sink.received)


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, settings: object
) -> Iterator[Running]:
    server = request.config.getoption("--database-url")
    folder = tmp_path_factory.mktemp("faults")
    with (
        databases.empty(server, folder) as url,
        RedisServer() as redis,
        SmtpSink() as sink,
        Portal(database_url=url, redis_url=redis.url, smtp_url=sink.url) as portal,
    ):
        with portal.database():
            now = clock.utcnow()
            domain = domains.add_domain("http://a.portal.test", "Northline", areas=set(Area), by=SYSTEM, now=now)
            company = accounts.add_company("Alder Dental", by=SYSTEM, now=now)
            domains.admit(company, domain, is_home=True, by=SYSTEM, now=now)
            for name, role in (("ada", Role.STATUS), ("root", Role.ADMIN), ("alice", None), ("bob", None)):
                person = accounts.add_person(
                    name.title(), f"{name}@people.test", role=role, password=PASSWORD, by=SYSTEM, now=now
                )
                if role is None:
                    accounts.add_membership(person, company, by=SYSTEM, now=now)
            component = Component(public_id="north", title="North ring", created_at=now, updated_at=now)
            db.session.add(component)
            db.session.flush()
            component_id = component.id
            for name in ("Access", "Backup", "Calls", "Domains"):
                catalogue.add_service(name, by=SYSTEM, now=now)
            events.commit()
        yield Running(portal, redis, sink, component_id)


def test_a36_fifty_sign_ins_at_once(running: Running) -> None:
    def enter(_number: int) -> tuple[int, float]:
        visitor = running.customer()
        begun = time.perf_counter()
        answer = visitor.sign_in("alice@people.test", PASSWORD)
        return answer.status, time.perf_counter() - begun

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(enter, range(50)))
    assert [status for status, _seconds in results] == [303] * 50
    assert max(seconds for _status, seconds in results) < 5 * SLACK
    with running.portal.database():
        rows = select(func.count(Session.id)).where(Session.host == "a.portal.test", Session.revoked_at.is_(None))
        assert db.session.scalar(rows) == 50


def raw(running: Running, request: bytes) -> bytes:
    """Send bytes as they are, and read until the server hangs up or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", running.portal.port), timeout=10) as line:
        line.sendall(request)
        line.settimeout(2)
        answer = b""
        try:
            while chunk := line.recv(65_536):
                answer += chunk
        except TimeoutError:
            pass
        return answer


HOST = b"Host: a.portal.test\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.portal.test\r\n\r\n"

SMUGGLING = {
    "both lengths": b"POST /sign-in HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /sign-in HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: 50\r\n\r\n",
    "no such coding": b"POST /sign-in HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a hidden coding": b"POST /sign-in HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a negative length": b"POST /sign-in HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    "a signed length": b"POST /sign-in HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nabcde",
    "a bare line feed in a name": b"GET /sign-in HTTP/1.1\r\n" + HOST + b"X\nY: z\r\n\r\n",
    "no version": b"GET /sign-in\r\n\r\n",
    "nonsense": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" * 4 + b"\r\n\r\n",
    "a bad chunk": b"POST /sign-in HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", SMUGGLING.values(), ids=SMUGGLING)
def test_h07_a_request_of_two_lengths_is_one_request_or_none(running: Running, request_bytes: bytes) -> None:
    """Refused, or at least read as exactly one request: what comes after it is never answered as a second."""
    answer = raw(running, request_bytes + SMUGGLED)
    statuses = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    assert len(statuses) <= 1
    assert not statuses or statuses[0].split()[1] == b"400"


@pytest.mark.parametrize(
    ("head", "answers"),
    [
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {b"404", b"414", b"431", b"400"}),
        (
            b"GET /sign-in HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: x\r\n" % n for n in range(1000)) + b"\r\n",
            {b"431", b"400", b"200"},
        ),
        (b"get /sign-in HTTP/1.1\r\n" + HOST + b"\r\n", {b"200", b"400", b"405"}),
        (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", {b"400", b"405"}),
        (b"GET http://evil.test/sign-in HTTP/1.1\r\n" + HOST + b"\r\n", {b"400", b"200", b"404"}),
        (b"GET /sign-in HTTP/1.1\r\n\r\n", {b"400"}),
        (b"GET /sign-in HTTP/1.1\r\nHost: evil.test\r\nHost: a.portal.test\r\n\r\n", {b"400"}),
        (b"GET /sign-in HTTP/1.1\r\nHost: a.portal.test@evil.test\r\n\r\n", {b"400"}),
        (b"GET /sign-in HTTP/1.0\r\n\r\n", {b"400"}),
    ],
)
def test_h06_odd_requests_get_a_plain_answer(running: Running, head: bytes, answers: set[bytes]) -> None:
    answer = raw(running, head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.split()[1] in answers
    assert b"evil.test" not in answer
    assert b"Traceback" not in answer


def test_h03_the_real_server_names_itself_to_nobody(running: Running) -> None:
    for path in ("/sign-in", "/nothing", "/static/nothing.css", "/healthz"):
        answer = running.customer().get(path)
        assert "x-powered-by" not in answer.headers
        assert not any(character.isdigit() for character in answer.headers.get("server", ""))
        assert "content-security-policy" in answer.headers


@contextmanager
def stopped(running: Running) -> Iterator[None]:
    running.redis.kill()
    try:
        yield
    finally:
        running.redis.start()


@contextmanager
def hanging(running: Running) -> Iterator[None]:
    """It takes connections and never says a word."""
    running.redis.hang()
    try:
        yield
    finally:
        running.redis.resume()


@contextmanager
def full(running: Running) -> Iterator[None]:
    with running.redis.client() as client:
        # Filled first and bounded then, well below what it holds: it refuses a small write as surely as a large one.
        for number in range(20):
            client.set(f"ballast{number}", "x" * 100_000)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
    try:
        yield
    finally:
        with running.redis.client() as client:
            client.config_set("maxmemory", "0")
            client.flushall()


@contextmanager
def wiped(running: Running) -> Iterator[None]:
    running.redis.flush()
    yield
    running.redis.flush()


@pytest.mark.parametrize(
    ("row", "trouble"),
    [("r06", stopped), ("r06-hangs", hanging), ("r08", wiped), ("r10", full)],
    ids=lambda each: str(each)[:12],
)
def test_r06_r08_r10_publishing_needs_no_redis(
    running: Running, row: str, trouble: Callable[[Running], AbstractContextManager[None]]
) -> None:
    ada = running.staff()
    title = f"Without Redis {row}"
    with trouble(running):
        begun = time.perf_counter()
        answer = running.publish(ada, title)
        assert answer.status == 303, answer.text[-500:]
        assert time.perf_counter() - begun < ANSWERS_WITHIN
        page = ada.get("/admin/incidents/new")
        assert page.status == 200
        told = "mails and open pages follow some seconds later" in page.text
        assert told or row == "r08", "whoever publishes is told; one that was wiped answers"
        assert running.deliveries(title) == 2
        wait_until(lambda: running.mails(title) == 2, 15 * SLACK, "both mails without Redis")
    assert ada.get("/admin/incidents/new").status == 200, "sessions live in the database"
    assert running.mails(title) == 2


def test_r13_a_short_lock_is_waited_for_and_a_long_one_is_a_503(running: Running) -> None:
    """Three seconds, and one that ends only after the answer: whether that takes the row's sixty or the five a request
    waits, who holds it cannot be told apart."""
    url = make_url(running.portal.settings.database_url)
    if is_postgres(str(url)):
        return  # there a writer locks rows, and not everybody out
    ada, alice = running.staff(), running.customer()
    alice.sign_in("alice@people.test", PASSWORD)
    ada.get("/admin/incidents/new")
    holder = sqlite3.connect(str(url.database), isolation_level=None, check_same_thread=False)
    try:
        holder.execute("BEGIN IMMEDIATE")
        release = threading.Timer(3, holder.rollback)
        release.start()
        answer = ada.post("/admin/incidents/new", running.report("After a short lock", "short"))
        release.join()
        assert answer.status == 303
        ada.get("/admin/incidents/new")
        holder.execute("BEGIN IMMEDIATE")
        assert alice.get("/").status == 200, "reading goes on"
        refused = ada.post("/admin/incidents/new", running.report("During a long lock", "long"))
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
        assert "Traceback" not in refused.text
        assert "locked" not in refused.text
        holder.rollback()
    finally:
        holder.close()
    assert running.incidents("During a long lock") == []
    assert ada.post("/admin/incidents/new", running.report("During a long lock", "long")).status == 303
    assert len(running.incidents("During a long lock")) == 1


def test_r21_a_form_sent_ten_times_at_once_is_one_incident(running: Running) -> None:
    """A double click, or an answer that was lost: the second finds what the first made."""
    title = "Sent twice"
    people = [running.staff() for _ in range(5)]
    for visitor in people:
        visitor.get("/admin/incidents/new")

    def send(number: int) -> str:
        answer = people[number % 5].post("/admin/incidents/new", running.report(title, "once"))
        assert answer.status == 303, answer.text[-500:]
        return answer.headers["location"]

    with ThreadPoolExecutor(10) as pool:
        places = set(pool.map(send, range(10)))
    assert len(running.incidents(title)) == len(places) == 1
    assert running.deliveries(title) == 2
    wait_until(lambda: running.mails(title) == 2, 15 * SLACK, "the mails")
    time.sleep(1.5)
    assert running.mails(title) == 2


def update_form(
    page: Answer, running: Running, body: str, key: str, state: str = "identified"
) -> list[tuple[str, str]]:
    version = page.text.split('name="version"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
    number = str(running.component_id)
    return [
        *(("version", version), ("state", state), ("body", body), ("visibility", "public"), ("notify", "y")),
        *(("components", number), (f"components-{number}", "major_outage"), ("next_update", "30"), ("key", key)),
    ]


def test_r43_the_second_of_two_editors_is_shown_both_texts(running: Running) -> None:
    ada, root = running.staff("ada"), running.staff("root")
    place = running.publish(ada, "Two at once").headers["location"]
    first, second = ada.get(place), root.get(place)
    assert ada.post(f"{place}/updates", update_form(first, running, "Ada's words.", "k1")).status == 303
    answer = root.post(f"{place}/updates", update_form(second, running, "Root's words.", "k2"))
    assert answer.status == 409
    assert "Root&#39;s words." in answer.text
    assert "Ada&#39;s words." in answer.text or "Ada's words." in answer.text
    with running.portal.database():
        bodies = set(db.session.scalars(select(IncidentUpdate.body).where(IncidentUpdate.body.contains("words"))))
    assert bodies == {"Ada's words."}
    again = root.post(f"{place}/updates", update_form(answer, running, "Root's words.", "k2"))
    assert again.status == 303


def test_r43_of_ten_editors_at_the_same_moment_one_wins(running: Running) -> None:
    people = [running.staff() for _ in range(5)]
    place = running.publish(people[0], "Ten at once").headers["location"]
    pages = [visitor.get(place) for visitor in people]

    def send(number: int) -> int:
        form = update_form(pages[number], running, f"Update {number}.", f"ten{number}")
        return people[number].post(f"{place}/updates", form).status

    with ThreadPoolExecutor(5) as pool:
        statuses = sorted(pool.map(send, range(5)))
    assert statuses == [303, 409, 409, 409, 409]


def test_r17_of_two_who_order_the_same_list_one_wins(running: Running) -> None:
    """And the order is whole whoever it is: every service once, no place twice."""
    ada, root = running.staff("ada"), running.staff("root")
    with running.portal.database():
        ids = [str(each) for each in db.session.scalars(select(Service.id).order_by(Service.position, Service.id))]
    for _round in range(5):
        version = (
            ada.get("/admin/catalogue/services").text.split('name="version"', 1)[1].split('value="', 1)[1].split('"')[0]
        )
        root.get("/admin/catalogue/services")

        def send(visitor: Visitor, order: list[str], version: str = version) -> int:
            form = {"order": ",".join(order), "version": version}
            return visitor.post("/admin/catalogue/services/order", form).status

        orders = [ids[1:] + ids[:1], ids[::-1]]
        with ThreadPoolExecutor(2) as pool:
            statuses = list(pool.map(send, (ada, root), orders))
        assert sorted(statuses) == [303, 409]
        with running.portal.database():
            rows = db.session.execute(select(Service.id, Service.position).order_by(Service.position)).all()
        assert [str(each.id) for each in rows] == orders[statuses.index(303)]
        assert len({each.position for each in rows}) == len(ids)
        ids = [str(each.id) for each in rows]


NASTY = {
    "r\r\nBcc: victim@evil.test nasty1": "nasty1",
    "ä =?UTF-8?Q?=0A?=Bcc: victim@evil.test nasty2": "nasty2",
    "x\u2028Bcc: victim@evil.test\u0085nasty3": "nasty3",
    "=?utf-8?b?QmNjOiB2aWN0aW1AZXZpbC50ZXN0?= nasty4": "nasty4",
    "<script>alert(1)</script> {{name}} {{unsubscribe_url}} nasty5": "nasty5",
}


def test_i22_i26_at_the_server_a_title_is_a_subject_and_a_text_is_a_body(running: Running) -> None:
    ada = running.staff()
    body = ".\r\n..\r\n.\r\nMAIL FROM:<evil@evil.test>\r\nRCPT TO:<victim@evil.test>\r\n" + "long " * 600 + "\r\nBcc: y"
    wanted = 0
    for title, mark in NASTY.items():
        ada.get("/admin/incidents/new")
        form = [(name, body if name == "body" else value) for name, value in running.report(title, f"key-{mark}")]
        answer = ada.post("/admin/incidents/new", form)
        assert answer.status in {303, 422}
        wanted += 2 if answer.status == 303 else 0
    # The rest is refused in words: line breaks in a title, and variables that nothing fills.
    assert wanted >= 4

    def mails() -> list[Received]:
        return [each for each in running.sink.received if "nasty" in each.content.decode("utf-8", "replace")]

    wait_until(lambda: len(mails()) >= wanted, 15 * SLACK, f"{wanted} mails")
    for each in mails():
        assert each.recipients in {("alice@people.test",), ("bob@people.test",)}
        headers = each.headers
        assert headers["Bcc"] is None
        assert headers["Cc"] is None
        assert len(headers.get_all("Subject") or []) == len(headers.get_all("To") or []) == 1
        assert len(headers.get_all("Message-ID") or []) == 1
        assert all(len(line) <= 998 for line in each.content.split(b"\r\n"))
        html = next(part for part in message_from_bytes(each.content).walk() if part.get_content_type() == "text/html")
        assert b"<script>" not in cast(bytes, html.get_payload(decode=True))


def test_the_servers_own_log_holds_no_secret(running: Running) -> None:
    log = running.portal.log()
    assert PASSWORD not in log
    assert running.portal.variables["PORTAL_SECRET_KEY"] not in log
    visitor = running.staff()
    assert visitor.cookies["sid"] not in running.portal.log()
