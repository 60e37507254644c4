"""The mailbox is polled from a real IMAP server: nothing is lost, nothing counts twice, nobody waits for it."""

import secrets
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from portal import clock, events
from portal.config import Settings
from portal.database import read_only
from portal.extensions import db
from portal.notifications import marks
from portal.notifications.bounces import actions, mailbox, polling, queries
from portal.notifications.bounces.mailbox import PROCESSED, UNCLEAR, MailboxTrouble, Place, Waiting
from portal.notifications.bounces.models import BounceMailbox, BounceReport
from portal.notifications.bounces.rules import Outcome
from portal.notifications.models import Broadcast, Delivery, DeliveryAttempt, Relay, Slice, Strike, Suppression
from portal.notifications.rules import DeliveryState
from tests.notifications.bounces import reports
from tests.notifications.bounces.conftest import token_of
from tests.notifications.outbox import Outbox, opened
from tests.support import databases
from tests.support.imap_server import ImapServer, behind_tls, make_certificate
from tests.support.smtp_sink import SmtpSink
from workers import bounces, tasks

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def imap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapServer]:
    with ImapServer(tmp_path_factory.mktemp("imap")) as server:
        yield server


@pytest.fixture(scope="module")
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as found:
        yield found


@pytest.fixture(scope="module")
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with databases.empty(request.config.getoption("--database-url"), tmp_path_factory.mktemp("data")) as url:
        yield url


@pytest.fixture(scope="module")
def installation(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, imap: ImapServer, sink: SmtpSink
) -> Iterator[Outbox]:
    """An outbox whose mails come back to that server."""
    folder = tmp_path_factory.mktemp("returning")
    environment = {
        "PORTAL_INSTANCE": str(folder),
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_MAIL_DOMAIN": "portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{folder}/nobody.sock",
        "PORTAL_SMTP_URL": sink.url,
        "PORTAL_BOUNCE_ADDRESS": reports.BOUNCES,
        "PORTAL_BOUNCE_IMAP_URL": imap.url(),
    }
    with opened(environment) as outbox:
        yield outbox


@pytest.fixture
def returning(installation: Outbox, imap: ImapServer) -> Outbox:
    """The same with nothing sent, nothing come back and nothing known of the mailbox."""
    db.session.rollback()
    read_only.set(False)
    for table in (BounceReport, DeliveryAttempt, Delivery, Broadcast, Suppression, Strike):
        db.session.execute(delete(table))
    nothing = dict.fromkeys(("fingerprint", "owner", "leased_until", "next_poll_at", "failing_since", "polled_at"))
    db.session.execute(update(BounceMailbox).values(pause_seconds=0, last_answer=None, **nothing))
    db.session.commit()
    imap.empty()
    return installation


def poll(outbox: Outbox, *, settings: Settings | None = None) -> bool:
    """One look, however short a while ago the last one was."""
    db.session.rollback()
    row = db.session.scalars(select(BounceMailbox)).one()
    row.next_poll_at = None
    events.commit()
    return bounces.poll(settings or outbox.settings, lambda: False)


def kept() -> list[Outcome]:
    db.session.rollback()
    return sorted(db.session.scalars(select(BounceReport.outcome)))


def fares() -> queries.Mailbox:
    db.session.rollback()
    return queries.mailbox()


def send_some(outbox: Outbox, count: int) -> list[Delivery]:
    outbox.queue("incident:1", [{"address": f"reader{number}@customers.test"} for number in range(count)])
    assert outbox.send() == count
    return list(outbox.deliveries())


def bounce_of(delivery: Delivery) -> bytes:
    return reports.dsn(address=delivery.address, token=token_of(delivery))


def test_what_came_back_to_the_sender_of_a_mail_stops_its_address(
    returning: Outbox, imap: ImapServer, sink: SmtpSink
) -> None:
    """The whole way: the sender a server was told is the address the report comes back to."""
    first, second = send_some(returning, 2)
    senders = {each.recipients[0]: each.sender for each in sink.received}
    assert senders[first.address] == f"bounces+{token_of(first)}@mail.portal.test"
    assert len(set(senders.values())) == 2
    imap.bring(reports.dsn(address=first.address, to=senders[first.address], token=token_of(first), returned=""))
    assert poll(returning) is False
    assert returning.delivery(first.address).state is DeliveryState.FAILED
    assert returning.delivery(second.address).state is DeliveryState.SENT
    assert (imap.count(), imap.count(PROCESSED), imap.count(UNCLEAR)) == (0, 1, 0)
    assert fares().polled_at is not None
    assert returning.queue("incident:2", [{"address": first.address}])
    assert returning.states() == {"failed": 1, "sent": 1, "suppressed": 1}


def test_every_report_is_put_where_it_belongs_and_stays_unread(returning: Outbox, imap: ImapServer) -> None:
    (delivery,) = send_some(returning, 1)
    question = reports.answer(body="Who are you?")
    huge = bounce_of(delivery).replace(b"--b1--", b"x" * 3_000_000 + b"\n--b1--")
    broken = b"Content-Type: multipart/mixed; boundary=b\n" * 100
    imap.bring(reports.answer("Auto-Submitted: auto-replied"), question, broken, huge)
    poll(returning)
    assert kept() == [Outcome.AUTOMATIC, Outcome.BOUNCED, Outcome.BROKEN, Outcome.UNCLEAR]
    assert (imap.count(), imap.count(PROCESSED), imap.count(UNCLEAR)) == (0, 2, 2)
    with imap.mailbox(UNCLEAR) as box:
        found = list(box.fetch(mark_seen=False))
        assert {each.flags.count("\\Seen") for each in found} == {0}
        assert any("Who are you?" in each.text for each in found)


def test_a_process_that_dies_before_a_report_is_put_away_loses_and_repeats_nothing(
    returning: Outbox, imap: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = send_some(returning, 3)
    imap.bring(*map(bounce_of, mails))

    def die(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Waiting, "put_away", die)
        with pytest.raises(KeyboardInterrupt):
            poll(returning)
    assert kept() == [Outcome.BOUNCED]
    assert imap.count() == 3, "nothing was put away that was not written down"
    db.session.rollback()
    assert bounces.poll(returning.settings, lambda: False) is False, "its lease still holds"
    assert imap.count() == 3
    row = db.session.scalars(select(BounceMailbox)).one()
    assert row.leased_until is not None
    row.leased_until = clock.utcnow()
    events.commit()
    poll(returning)
    assert kept() == [Outcome.BOUNCED] * 3
    assert (imap.count(), imap.count(PROCESSED)) == (0, 3)


def test_a_report_that_overtakes_the_result_of_its_mail_waits_for_it(returning: Outbox, imap: ImapServer) -> None:
    (delivery,) = send_some(returning, 1)
    report = bounce_of(delivery)
    delivery.state = DeliveryState.PENDING
    offered = marks.written({delivery.id: clock.utcnow()})
    moments = dict.fromkeys(("leased_until", "created_at"), clock.utcnow() + timedelta(minutes=1))
    relay_id = db.session.scalars(select(Relay.id)).one()
    db.session.add(Slice(relay_id=relay_id, owner="x", connections=1, offered=offered, **moments))
    events.commit()
    imap.bring(report)
    poll(returning)
    assert (kept(), imap.count()) == ([], 1)
    db.session.execute(delete(Slice))
    db.session.execute(update(Delivery).values(state=DeliveryState.SENT))
    events.commit()
    poll(returning)
    assert (kept(), imap.count()) == ([Outcome.BOUNCED], 0)


def test_a_report_that_breaks_the_reader_holds_up_no_other(
    returning: Outbox, imap: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = send_some(returning, 2)
    imap.bring(reports.answer(subject="poison"), *map(bounce_of, mails))
    take = actions.take

    def stumble(raw: bytes, *args: object, **more: object) -> Outcome:
        if b"poison" in raw:
            raise LookupError("nobody thought of this")
        return take(raw, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(actions, "take", stumble)
    poll(returning)
    assert kept() == [Outcome.BOUNCED, Outcome.BOUNCED, Outcome.BROKEN]
    assert imap.count(UNCLEAR) == 1
    assert "nobody thought of this" in queries.newest(queries.Wanted.FOR_A_HUMAN)[0].report.words


def test_one_process_looks_at_a_time(returning: Outbox, imap: ImapServer) -> None:
    (delivery,) = send_some(returning, 1)
    imap.bring(bounce_of(delivery))
    now = clock.utcnow()
    taken = []

    def begin(name: str) -> None:
        with returning.app.app_context():
            if polling.begin(returning.settings, name, now):
                taken.append(name)
            events.commit()
            db.session.remove()

    db.session.rollback()
    threads = [threading.Thread(target=begin, args=(f"process {number}",)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(taken) == 1
    assert poll(returning) is False
    assert imap.count() == 1, "whoever does not have it does not look"


def test_a_mailbox_that_is_down_rests_longer_each_time_and_is_tried_at_once_when_corrected(
    returning: Outbox, imap: ImapServer
) -> None:
    wrong = replace(returning.settings, bounce_imap_url=imap.url(password="not this"))
    rests = []
    for _ in range(3):
        poll(returning, settings=wrong)
        found = fares()
        assert found.next_poll_at is not None
        rests.append(round((found.next_poll_at - clock.utcnow()) / timedelta(seconds=10)) * 10)
    assert rests == [60, 120, 240]
    assert found.failing_since is not None
    assert "AUTHENTICATIONFAILED" in found.last_answer
    assert "not this" not in found.last_answer
    assert bounces.poll(wrong, lambda: False) is False
    assert polling.is_due(wrong, clock.utcnow()) is False
    assert polling.is_due(returning.settings, clock.utcnow()), "another password is tried at once"
    assert bounces.poll(returning.settings, lambda: False) is False
    assert (fares().failing_since, fares().last_answer) == (None, "")


def test_nothing_is_lost_while_the_mailbox_does_not_answer(
    returning: Outbox, imap: ImapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (delivery,) = send_some(returning, 1)
    imap.bring(bounce_of(delivery))
    monkeypatch.setattr(mailbox, "TIMEOUT_SECONDS", 0.5)
    imap.hang()
    poll(returning)
    assert "does not answer" in fares().last_answer
    imap.resume()
    monkeypatch.undo()
    poll(returning)
    assert kept() == [Outcome.BOUNCED]


def dripping(port_of: list[int], stop: threading.Event) -> None:
    """A server that is never silent and never done."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port_of.append(listening.getsockname()[1])
        connection, _ = listening.accept()
        with connection:
            try:
                connection.sendall(b"* OK ")
                while not stop.wait(0.05):
                    connection.sendall(b"x")
            except OSError:
                stop.set()


def test_a_server_that_only_drips_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "LONGEST_LOOK", 1.0)
    ports: list[int] = []
    stop = threading.Event()
    thread = threading.Thread(target=dripping, args=(ports, stop))
    thread.start()
    try:
        while not ports:
            stop.wait(0.01)
        with pytest.raises(MailboxTrouble), mailbox.opened(Place.of(f"imap://a:b@127.0.0.1:{ports[0]}/")):
            raise AssertionError("it never said who it is")
    finally:
        hung_up = stop.is_set()
        stop.set()
        thread.join()
    assert hung_up or not thread.is_alive()


def test_without_redis_the_pulse_looks_and_with_it_the_clock_rings(returning: Outbox, imap: ImapServer) -> None:
    (delivery,) = send_some(returning, 1)
    imap.bring(bounce_of(delivery))
    db.session.rollback()
    woken: list[str] = []
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patched:
        patched.setattr(events, "wake", lambda name, *_args: woken.append(name))
        tasks.beat()
    assert "poll_bounces" in woken
    tasks.work_off()
    assert kept() == [Outcome.BOUNCED]
    assert imap.count() == 0
    assert polling.is_due(returning.settings, clock.utcnow()) is False
    assert polling.is_due(returning.settings, clock.utcnow() + timedelta(seconds=60))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_starttls_and_tls_from_the_first_byte_are_spoken_and_the_certificate_is_looked_at(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, found = certificate
    server = ImapServer(tmp_path, key=key, certificate=found)
    with server, behind_tls(server.port, key, found) as port:
        addresses = [server.url("imap+starttls", host="localhost"), server.url("imaps", host="localhost", port=port)]
        for address in addresses:
            with pytest.raises(MailboxTrouble, match="certificate"), mailbox.opened(Place.of(address)):
                raise AssertionError("nobody vouches for it")
        monkeypatch.setenv("SSL_CERT_FILE", str(found))
        for address in addresses:
            with mailbox.opened(Place.of(address)) as waiting:
                assert waiting.uids() == []
