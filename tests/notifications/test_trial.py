"""A test mail through one relay, and what it says about the server: with real servers, good and bad."""

import email
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import policy
from pathlib import Path

import pytest

from portal.config import Settings
from portal.notifications import trial
from portal.notifications.profiles import Profile
from portal.notifications.rules import Stage
from portal.notifications.smtp import Route
from portal.notifications.trial import Prepared, Report, converse
from tests.conftest import NOW
from tests.notifications.servers import Certificate, Inbox, certificate_for, serving
from tests.support.smtp_sink import At, SmtpSink, Step

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

PASSWORD = "correct-horse-battery"
MESSAGE = b"From: status@portal.test\r\nTo: root@people.test\r\nSubject: Test\r\n\r\nHello\r\n"


def try_it(route: Route, profile: Profile = Profile.UNLIMITED) -> Report:
    return converse(
        Prepared(1, 1, route, "status@portal.test", "root@people.test", profile, MESSAGE), "portal.test", now=NOW
    )


def to(port: int, scheme: str = "smtp", user: str = "", password: str = "", host: str = "localhost") -> Route:
    return Route(host, port, scheme, user, password)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate_for(tmp_path_factory.mktemp("tls"))


@contextmanager
def saying(*answers: bytes) -> Iterator[int]:
    """A listener that says these things, one for each line it hears; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)

    def serve() -> None:
        try:
            near, _address = listener.accept()
            with near, near.makefile("rb") as heard:
                near.settimeout(30)
                for number, answer in enumerate(answers):
                    if number and not heard.readline():
                        return
                    near.sendall(answer)
                heard.read()
        except OSError:
            return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(30)


def words(report: Report) -> str:
    return " ".join(step.words for step in report.steps)


@pytest.mark.parametrize("implicit", [False, True])
def test_a_mail_that_is_taken_says_every_step(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, *, implicit: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    inbox = Inbox()
    with serving(inbox, certificate.context(), implicit=implicit) as port:
        report = try_it(to(port, "smtps" if implicit else "smtp+starttls", "me", "right"))
    assert report.is_taken
    assert report.advice == ""
    assert all(step.is_good for step in report.steps)
    for part in (f"Connected to localhost:{port}", "Encrypted with TLS 1.3", "Signed in.", "was taken: 250 2.0.0 Ok"):
        assert part in words(report)
    (envelope,) = inbox.received
    assert envelope.rcpt_tos == ["root@people.test"]


def test_a_wrong_password_is_said_and_never_repeated(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    with serving(Inbox(), certificate.context()) as port:
        report = try_it(to(port, "smtp+starttls", "me", PASSWORD), Profile.MICROSOFT_365)
    assert (report.is_taken, report.stage) == (False, Stage.AUTH)
    assert "Not signed in: 535" in words(report)
    assert "Authenticated SMTP" in report.advice
    assert PASSWORD not in words(report)


def test_a_server_that_repeats_the_password_is_not_quoted_with_it() -> None:
    repeated = f"535 5.7.8 no: {PASSWORD} AG1lAGNvcnJlY3QtaG9yc2UtYmF0dGVyeQ==\r\n".encode()
    hello = b"250-hello\r\n250 AUTH PLAIN\r\n"
    with saying(b"220 hi\r\n", hello, repeated, repeated) as port:
        report = try_it(to(port, user="me", password=PASSWORD))
    assert report.stage is Stage.AUTH
    assert PASSWORD not in words(report)
    assert "AG1lAGNvcnJlY3QtaG9yc2UtYmF0dGVyeQ" not in words(report)


@pytest.mark.parametrize(
    ("name", "valid", "advice"),
    [
        ("localhost", (-3, -1), "has expired"),
        ("elsewhere.test", (-1, 1), "is for another name"),
    ],
)
def test_a_certificate_that_is_not_valid_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, valid: tuple[int, int], advice: str
) -> None:
    since, until = (timedelta(days=each) for each in valid)
    found = certificate_for(tmp_path, name, since=since, until=until)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.certificate))
    inbox = Inbox()
    for implicit in (False, True):
        with serving(inbox, found.context(), implicit=implicit) as port:
            report = try_it(to(port, "smtps" if implicit else "smtp+starttls", "me", "right"))
        assert report.stage is Stage.TLS
        assert advice in report.advice
    assert inbox.mechanisms == set()


def test_a_certificate_that_signed_itself_says_so(certificate: Certificate) -> None:
    with serving(Inbox(), certificate.context()) as port:
        assert "signed its certificate itself" in try_it(to(port, "smtp+starttls")).advice


def test_what_does_not_offer_what_was_chosen_says_what_to_choose(
    smtp_sink: SmtpSink, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = try_it(to(smtp_sink.port, "smtp+starttls", host="127.0.0.1"))
    assert (without.stage, "offers no STARTTLS" in without.advice) == (Stage.TLS, True)
    at_once = try_it(to(smtp_sink.port, "smtps", host="127.0.0.1"))
    assert (at_once.stage, "Choose STARTTLS" in at_once.advice) == (Stage.TLS, True)
    no_login = try_it(to(smtp_sink.port, user="me", password="right", host="127.0.0.1"))
    assert (no_login.stage, "lets nobody sign in" in no_login.advice) == (Stage.AUTH, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    with serving(Inbox(), certificate.context()) as port:
        unsigned = try_it(to(port, "smtp+starttls"))
    assert (unsigned.stage, "sign in" in unsigned.advice) == (Stage.MAIL, True)
    assert smtp_sink.received == []


@pytest.mark.parametrize(
    ("at", "reply", "stage", "advice"),
    [
        (At.CONNECT, "554 5.3.2 not you", Stage.GREETING, "Ask whoever runs it"),
        (At.MAIL, "550 5.7.60 SendAsDenied", Stage.MAIL, "Enter a sender address"),
        (At.RCPT, "554 5.7.1 Relay access denied", Stage.RCPT, "its own addresses only"),
        (At.RCPT, "550 5.1.1 No such user", Stage.RCPT, "does not take mails for your address"),
        (At.RCPT, "451 4.7.1 Greylisted", Stage.RCPT, "Try again in some minutes"),
        (At.DOT, "554 5.7.1 Spam", Stage.DOT, "Its words say why"),
    ],
)
def test_a_refusal_is_repeated_with_what_to_do(
    smtp_sink: SmtpSink, at: At, reply: str, stage: Stage, advice: str
) -> None:
    smtp_sink.script("*", Step(at, reply=reply))
    report = try_it(to(smtp_sink.port, host="127.0.0.1"))
    assert report.stage is stage
    assert reply in words(report)
    assert advice in report.advice
    assert not report.steps[-1].is_good


def test_nobody_there_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = try_it(to(port, host="127.0.0.1"))
    assert (refused.stage, f"on port {port}" in refused.advice) == (Stage.CONNECT, True)
    unknown = try_it(to(25, host="nobody.invalid"))
    assert "There is no host of this name" in unknown.advice


def test_s07_what_is_no_mail_server_is_not_repeated() -> None:
    for banner in (
        b"SSH-2.0-OpenSSH_9.9 secret\r\n",
        b"HTTP/1.1 400 secret\r\n\r\n",
        b"secret" * 5000,
        b"220secret\r\n",
    ):
        with saying(banner) as port:
            report = try_it(to(port, host="127.0.0.1"))
        assert (report.stage, report.is_taken) == (Stage.GREETING, False)
        assert "no mail server" in words(report)
        assert "secret" not in words(report)


def test_s07_what_a_server_says_is_cut_short_and_on_one_line() -> None:
    long = b"554-" + b"<script>alert(1)</script> \x1b[31m\xff" + b"x" * 400 + b"\r\n554 more\r\n"
    with saying(long) as port:
        report = try_it(to(port, host="127.0.0.1"))
    (connected, said) = report.steps
    assert connected.is_good
    assert len(said.words) < 220
    assert said.words.isprintable()


def test_s07_an_answer_without_an_end_is_not_heard_out() -> None:
    with saying(b"220-more\r\n" * 5000) as port:
        assert try_it(to(port, host="127.0.0.1")).stage is Stage.GREETING


@pytest.mark.parametrize("part", ["PATIENCE", "WHOLE_PATIENCE"])
def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setattr(trial, part, 0.2)
    with saying(b"") as port:
        report = try_it(to(port, host="127.0.0.1"))
    assert (report.stage, report.is_taken) == (Stage.GREETING, False)


def test_a_server_that_drops_the_line_says_so(smtp_sink: SmtpSink) -> None:
    smtp_sink.script("*", Step(At.DOT, drop=True))
    report = try_it(to(smtp_sink.port, host="127.0.0.1"))
    assert (report.stage, words(report).endswith("ended the conversation.")) == (Stage.DOT, True)


def test_a_report_comes_back_from_its_row(smtp_sink: SmtpSink) -> None:
    report = try_it(to(smtp_sink.port, host="127.0.0.1"))
    again = Report.of_row(report.as_row())
    assert (again.at, again.is_taken, again.steps, again.advice) == (report.at, True, report.steps, "")


def test_the_mail_itself_is_plain_and_says_where_it_came_through(smtp_sink: SmtpSink) -> None:
    settings = Settings.from_environment(
        {"PORTAL_SECRET_KEY": "an example key that is long enough 123", "PORTAL_MAIL_DOMAIN": "portal.test"}
    )
    raw = trial._message("Büro-Postfach", "status@portal.test", "root@people.test", settings, NOW)
    found = email.message_from_bytes(raw, policy=policy.default)
    assert found["Subject"] == "Test mail through the relay Büro-Postfach"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Message-ID"].endswith("@portal.test>")
    assert "Büro-Postfach" in found.get_content()
