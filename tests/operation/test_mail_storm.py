"""R14 with mail workers, and R49: much is published while a batch goes out, and what is changed meanwhile stays out."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.rules import SYSTEM
from portal.database import read_only
from portal.extensions import db
from portal.incidents.models import Incident, IncidentUpdate
from tests.conftest import token_in
from tests.notifications.outbox import queue, relay_to, states
from tests.operation.conftest import Databases
from tests.operation.firm import FORM, Firm, found
from tests.support.processes import wait_until
from tests.support.product import Portal
from tests.support.smtp_sink import At, SmtpSink, Step
from tests.workers.senders import PATIENCE, Senders

pytestmark = pytest.mark.processes

SLACK = 10
"""Times on a machine that also does something else."""

READERS = 80
BATCH = 600


@pytest.fixture(scope="module")
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as server:
        yield server


@pytest.fixture(scope="module")
def firm(fresh_databases: Databases, settings: object, sink: SmtpSink) -> Iterator[Firm]:
    """A firm with many readers, whose mails go to the sink over four relays that are all the same server."""
    portal = Portal(database_url=fresh_databases.prepared(), smtp_url=sink.url)
    portal.variables |= {"PORTAL_PULSE_SECONDS": "0.2", "PORTAL_SLICE_SIZE": "50"}
    portal.variables["PORTAL_REDIS_URL"] = f"unix://{portal.folder}/nobody.sock"
    made = found(portal)
    with made.app.app_context():
        read_only.set(False)
        now = clock.utcnow()
        company = db.session.scalars(select(Company)).one()
        for number in range(READERS - 2):
            person = accounts.add_person(f"Reader {number}", f"reader{number}@people.test", by=SYSTEM, now=now)
            accounts.add_membership(person, company, by=SYSTEM, now=now)
        db.session.add_all(relay_to(sink.url, f"relay {number}", position=number) for number in range(1, 4))
        events.commit()
        db.session.remove()
        db.engine.dispose()
    yield made
    made.let_go()
    portal.__exit__()


@pytest.fixture(scope="module")
def workers(firm: Firm, sink: SmtpSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Senders]:
    """Four processes that send."""
    sink.script("*", Step(At.DOT, seconds=0.01))
    with Senders(firm.portal.variables, tmp_path_factory.mktemp("workers")) as senders:
        for _ in range(4):
            senders.start("pulse")
        yield senders


def test_r14_four_mail_workers_hold_up_nobody_who_publishes_or_reads(
    firm: Firm, workers: Senders, sink: SmtpSink
) -> None:
    with firm.app.app_context():
        read_only.set(False)
        batch = queue("storm:1", [{"address": f"storm{each}@x.test"} for each in range(BATCH)], now=clock.utcnow()).id
        events.commit()
        db.session.remove()
    titles = [f"Storm {number:02}" for number in range(5)]
    reads: list[float] = []

    def publish(title: str) -> tuple[int, float]:
        client = firm.ada()
        token = token_in(client, FORM)
        began = time.perf_counter()
        form = {"csrf_token": token, **firm.report(title, f"key-{title}")}
        return client.post(FORM, data=form).status_code, time.perf_counter() - began

    def read(_number: int) -> int:
        client = firm.ada()
        began = time.perf_counter()
        status = client.get("/admin/incidents").status_code
        reads.append(time.perf_counter() - began)
        return status

    with ThreadPoolExecutor(2) as writers, ThreadPoolExecutor(2) as readers:
        published = writers.map(publish, titles)
        looked = list(readers.map(read, range(12)))
        answers = list(published)
    assert Counter(status for status, _seconds in answers) == {303: len(titles)}, "nobody was told to wait"
    assert set(looked) == {200}
    assert max(seconds for _status, seconds in answers) < SLACK
    assert sorted(reads)[int(0.95 * len(reads))] < 0.3 * SLACK * 2
    wanted = BATCH + len(titles) * READERS
    sink.wait_for(wanted, 2 * PATIENCE)
    with firm.app.app_context():
        wait_until(lambda: all_states() == {"sent": wanted}, PATIENCE, "the end of every broadcast")
        assert states(batch) == {"sent": BATCH}
        db.session.remove()
    assert set(sink.deliveries().values()) == {1}
    assert "locked" not in workers.log()


def all_states() -> dict[str, int]:
    found = states()
    db.session.rollback()
    return found


def test_r49_a_report_that_is_changed_while_its_mails_go_out_reaches_all_as_it_was(
    firm: Firm, workers: Senders, sink: SmtpSink
) -> None:
    assert firm.publish(firm.ada(), "As it was").status_code == 303
    arrived = [each for each in sink.received if "As it was" in str(each.headers["Subject"])]
    wait_until(lambda: count_of(sink, "As it was") >= READERS // 10, PATIENCE, "the first of its mails")
    with firm.app.app_context():
        read_only.set(False)
        incident = db.session.scalars(select(Incident).where(Incident.title == "As it was")).one()
        incident.title = "As it is now"
        for each in db.session.scalars(select(IncidentUpdate)).all():
            each.body = "Other words."
        db.session.scalars(select(Company)).one().name = "Another name"
        events.commit()
        db.session.remove()
    assert len(arrived) < READERS
    wait_until(lambda: count_of(sink, "As it was") == READERS, PATIENCE, "the rest")
    assert count_of(sink, "As it is now") == 0
    mails = [each for each in sink.received if "As it was" in str(each.headers["Subject"])]
    assert len({str(each.headers["Subject"]) for each in mails}) == 1
    assert not [each for each in mails if b"Other words" in each.content or b"Another name" in each.content]


def count_of(sink: SmtpSink, subject: str) -> int:
    return sum(subject in str(each.headers["Subject"]) for each in list(sink.received))
