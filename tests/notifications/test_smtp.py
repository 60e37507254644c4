"""Opening a connection as a relay wants it, and conversations that go wrong in ways a whole run seldom shows."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.notifications import smtp
from portal.notifications.models import Relay
from portal.notifications.rules import Failure, RelayState, Stage, classify
from portal.notifications.smtp import Conversation, Link, Parcel, Refusal, Route, connect
from tests.notifications.outbox import Outbox, opened
from tests.notifications.servers import Certificate, Inbox, certificate_for, serving
from tests.support.smtp_sink import At, SmtpSink, Step

# The server of these tests cannot tell that TLS was there before the first byte, and warns.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("smtp://mail.test", Route("mail.test", 25, "smtp")),
        ("smtp://mail.test:2525", Route("mail.test", 2525, "smtp")),
        ("smtps://mail.test", Route("mail.test", 465, "smtps")),
        ("smtp+starttls://me%40x:p%2Fw@mail.test", Route("mail.test", 587, "smtp+starttls", "me@x", "p/w")),
    ],
)
def test_where_an_address_leads(url: str, route: Route) -> None:
    assert Route.of(url) == route


# --- real servers with certificates and passwords -------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate_for(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["smtp+starttls", "smtps"])
def server(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[tuple[str, Inbox]]:
    inbox = Inbox()
    with serving(inbox, certificate.context(), implicit=request.param == "smtps") as port:
        yield f"{request.param}://{{login}}@localhost:{port}", inbox


def test_mails_go_out_encrypted_and_signed_in(
    environment: dict[str, str],
    server: tuple[str, Inbox],
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, inbox = server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    with opened({**environment, "PORTAL_SMTP_URL": address.format(login="me:right")}) as outbox:
        outbox.queue("incident:1", 40)
        assert outbox.send() == 40
    assert len({each.rcpt_tos[0] for each in inbox.received}) == 40


def test_r28_a_certificate_nobody_signed_is_refused_and_nothing_is_sent_in_plain(
    environment: dict[str, str], server: tuple[str, Inbox]
) -> None:
    address, inbox = server
    with opened({**environment, "PORTAL_SMTP_URL": address.format(login="me:right")}) as outbox:
        outbox.queue("incident:1", 5)
        assert outbox.send() == 0
        assert relay_state(outbox) is RelayState.PAUSED
        assert outbox.states() == {"pending": 5}
    assert inbox.received == []


def test_r28_a_wrong_password_waits_for_an_admin(
    environment: dict[str, str],
    server: tuple[str, Inbox],
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, _inbox = server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    with opened({**environment, "PORTAL_SMTP_URL": address.format(login="me:wrong")}) as outbox:
        outbox.queue("incident:1", 5)
        assert outbox.send() == 0
        assert relay_state(outbox) is RelayState.BROKEN
        assert outbox.states() == {"pending": 5}
    with opened({**environment, "PORTAL_SMTP_URL": address.format(login="me:right")}) as mended:
        assert mended.send() == 5


def test_r28_a_server_without_starttls_is_not_spoken_to_in_plain(smtp_sink: SmtpSink) -> None:
    with pytest.raises(Refusal) as refused:
        connect(Route.of(f"smtp+starttls://127.0.0.1:{smtp_sink.port}"), "portal.test")
    assert refused.value.stage is Stage.TLS
    assert smtp_sink.commands["MAIL"] == 0


@pytest.mark.parametrize("without", ["PLAIN", "LOGIN"])
def test_signing_in_works_whichever_way_the_server_offers(
    certificate: Certificate, without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    inbox = Inbox()
    with serving(inbox, certificate.context(), without=[without]) as port:
        link = connect(Route("localhost", port, "smtp+starttls", "me", "right"), "portal.test")
        link.sock.close()
    assert inbox.mechanisms == {"PLAIN", "LOGIN"} - {without}


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("name", "since", "until"), [("localhost", -3, -1), ("localhost", 1, 2), ("elsewhere.test", -1, 1)]
)
def test_r28_a_certificate_that_is_trusted_but_not_valid_here_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, since: int, until: int, *, implicit: bool
) -> None:
    found = certificate_for(tmp_path, name, since=timedelta(days=since), until=timedelta(days=until))
    monkeypatch.setenv("SSL_CERT_FILE", str(found.certificate))
    inbox = Inbox()
    with serving(inbox, found.context(), implicit=implicit) as port, pytest.raises(Refusal) as refused:
        connect(Route("localhost", port, "smtps" if implicit else "smtp+starttls", "me", "right"), "portal.test")
    assert (refused.value.stage, refused.value.code) == (Stage.TLS, None)
    assert classify(refused.value.stage, None) is Failure.RELAY
    assert inbox.mechanisms == set()


def relay_state(outbox: Outbox) -> RelayState:
    return db.session.scalars(select(Relay.state)).one()


def test_r32_a_server_that_never_greets_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "GREETING_SECONDS", 0.2)
    mute = socket.create_server(("127.0.0.1", 0))
    with pytest.raises(Refusal) as refused:
        connect(Route("127.0.0.1", mute.getsockname()[1], "smtp"), "portal.test")
    mute.close()
    assert refused.value.code is None
    assert classify(refused.value.stage, None) is Failure.RELAY


def test_a_server_that_greets_with_a_refusal_is_believed(smtp_sink: SmtpSink) -> None:
    smtp_sink.script("*", Step(At.CONNECT, reply="554 5.3.2 no mail here"))
    with pytest.raises(Refusal) as refused:
        connect(Route.of(smtp_sink.url), "portal.test")
    assert (refused.value.stage, refused.value.code, refused.value.text) == (
        Stage.GREETING,
        554,
        "5.3.2 no mail here",
    )


# --- one conversation, answer by answer -----------------------------------------------------------------------------


class Far:
    """The other end of a conversation, in the test's hands."""

    def __init__(self, *, pipelining: bool = True) -> None:
        near, self.sock = socket.socketpair()
        near.setblocking(False)
        self.sock.settimeout(2)
        self.conversation = Conversation(Link(near, pipelining))

    def say(self, *lines: str) -> None:
        self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode())
        self.conversation.receive()

    def heard(self) -> bytes:
        self.conversation.flush()
        return self.sock.recv(1_000_000)


def parcel(number: int = 1) -> Parcel:
    return Parcel("status@portal.test", f"to{number}@x.test", b"Subject: x\r\n\r\nx\r\n")


@pytest.fixture
def far() -> Iterator[Far]:
    found = Far()
    yield found
    found.conversation.close()
    found.sock.close()


def test_the_next_envelope_travels_with_the_body(far: Far) -> None:
    talk = far.conversation
    talk.begin(parcel(1))
    assert far.heard() == b"MAIL FROM:<status@portal.test>\r\nRCPT TO:<to1@x.test>\r\nDATA\r\n"
    assert not talk.can_begin
    far.say("250 2.1.0 Ok", "250 2.1.5 Ok")
    was_ready = talk.is_ready
    far.say("354 go")
    assert (was_ready, talk.is_ready) == (False, True)
    talk.offer()
    talk.begin(parcel(2))
    assert far.heard() == (
        b"Subject: x\r\n\r\nx\r\n.\r\nMAIL FROM:<status@portal.test>\r\nRCPT TO:<to2@x.test>\r\nDATA\r\n"
    )
    far.say("250-2.0.0 Ok:", "250 queued as 4Gx", "250 Ok", "250 Ok", "354 go")
    (answer,) = talk.answers
    assert (answer.code, answer.text) == (250, "2.0.0 Ok: queued as 4Gx")
    assert talk.is_ready


def test_an_answer_may_come_in_pieces(far: Far) -> None:
    far.conversation.begin(parcel())
    far.heard()
    for piece in (b"25", b"0 2.1.0 O", b"k\r", b"\n250 Ok\r\n35", b"4 go\r\n"):
        far.sock.sendall(piece)
        far.conversation.receive()
    assert far.conversation.is_ready


def test_data_that_is_wanted_for_nobody_gets_a_lone_dot(far: Far) -> None:
    far.conversation.begin(parcel())
    far.heard()
    far.say("250 Ok", "550 5.1.1 No such user", "354 go")
    (answer,) = far.conversation.answers
    assert (answer.stage, answer.code) == (Stage.RCPT, 550)
    assert far.heard() == b".\r\nRSET\r\n"
    far.say("554 5.5.1 no valid recipients", "250 Ok")
    assert len(far.conversation.answers) == 1
    assert far.conversation.can_begin


def test_a_line_cut_while_the_body_is_still_being_written_leaves_no_doubt() -> None:
    far = Far()
    far.conversation.begin(Parcel("a@x.test", "b@x.test", b"x" * 20_000_000))
    far.heard()
    far.say("250 Ok", "250 Ok", "354 go")
    far.conversation.offer()
    far.conversation.flush()
    assert far.conversation.wants_to_write
    far.sock.close()
    far.conversation.flush()
    (answer,) = far.conversation.answers
    assert (answer.stage, answer.code) == (Stage.DATA, None)


def test_what_stands_behind_a_mail_in_doubt_was_not_looked_at() -> None:
    far = Far()
    first, second = parcel(1), parcel(2)
    far.conversation.begin(first)
    far.heard()
    far.say("250 Ok", "250 Ok", "354 go")
    far.conversation.offer()
    far.conversation.begin(second)
    far.heard()
    far.sock.close()
    far.conversation.receive()
    (answer,) = far.conversation.answers
    assert (answer.parcel, answer.stage, answer.code) == (first, Stage.DOT, None)
    assert far.conversation.untouched is second


@pytest.mark.parametrize("noise", ["hello", "25", "2x0 no", "\x00\x01\x02"])
def test_what_does_not_speak_smtp_is_hung_up_on(far: Far, noise: str) -> None:
    far.conversation.begin(parcel())
    far.heard()
    far.say(noise)
    assert far.conversation.is_over


def test_an_answer_without_an_end_is_not_listened_to_for_ever(far: Far) -> None:
    far.conversation.begin(parcel())
    far.heard()
    thread = threading.Thread(target=far.sock.sendall, args=(b"250-" + b"x" * 100_000,))
    thread.start()
    while not far.conversation.is_over:
        far.conversation.receive()
    far.sock.close()
    thread.join(5)
    assert "no end" in far.conversation.last_words


@pytest.mark.parametrize(
    ("stage", "seconds"), [(Stage.MAIL, 60), (Stage.RCPT, 60), (Stage.DATA, 120), (Stage.DOT, 600)]
)
def test_each_answer_has_the_time_the_standard_gives_it(far: Far, stage: Stage, seconds: int) -> None:
    talk = far.conversation
    talk.begin(parcel())
    far.heard()
    far.say(*{Stage.MAIL: [], Stage.RCPT: ["250 Ok"]}.get(stage, ["250 Ok", "250 Ok"]))
    if stage is Stage.DOT:
        far.say("354 go")
        talk.offer()
        far.heard()
    now = time.monotonic()
    talk.check_patience(now + seconds - 1)
    over = [talk.is_over]
    talk.check_patience(now + seconds + 1)
    assert [*over, talk.is_over] == [False, True]
    assert talk.answers[0].code is None
    assert talk.answers[0].stage is (Stage.DOT if stage is Stage.DOT else Stage.MAIL)
