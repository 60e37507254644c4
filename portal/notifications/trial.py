"""One mail to oneself through exactly one relay, and what the server said to it, in words one can act on.

It belongs to no broadcast. Whoever may enter any host must not learn more of it by this than a mail server tells: what
does not speak SMTP is not repeated, what does is cut short, and how often it may be asked is bounded.
"""

import base64
import secrets
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from sqlalchemy import delete, update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.config import Settings
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications import relays
from portal.notifications.compose import ComposeError, envelope_address
from portal.notifications.models import MENDED, RAW, Relay, Slice
from portal.notifications.profiles import Profile, address_of
from portal.notifications.queries import pause_of_all
from portal.notifications.rules import Stage, enhanced_code
from portal.notifications.smtp import Route

PATIENCE = 8.0
"""Seconds the server has for each answer; somebody waits for the result."""

WHOLE_PATIENCE = 25.0
"""Seconds after which the conversation is cut, however far it has come."""

SEAT = timedelta(seconds=60)
"""For how long the test counts as one of the relay's connections, if its process dies meanwhile."""

WORDS_KEPT = 160
MOST_LINES, LONGEST_LINE = 60, 1000


@dataclass(frozen=True)
class Step:
    """One thing that was tried: what it came to, and whether that is good."""

    words: str
    is_good: bool = True


@dataclass
class Report:
    """What a test mail met. `advice` says what to change where it was not taken; `stage` is where that was."""

    at: datetime
    is_taken: bool = False
    steps: list[Step] = field(default_factory=list)
    advice: str = ""
    stage: Stage | None = None

    def as_row(self) -> dict[str, Any]:
        """As it stands in the row of the relay. JSON."""
        return {
            "at": self.at.isoformat(),
            "is_taken": self.is_taken,
            "steps": [asdict(each) for each in self.steps],
            "advice": self.advice,
        }

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "Report":
        steps = [Step(each["words"], each["is_good"]) for each in row["steps"]]
        return cls(datetime.fromisoformat(row["at"]), row["is_taken"], steps, row["advice"])


@dataclass(frozen=True)
class Prepared:
    """A test that may begin: what is needed for it once no transaction is open any more."""

    relay_id: int
    slice_id: int
    route: Route = field(repr=False)
    sender: str
    recipient: str
    profile: Profile
    message: bytes = field(repr=False)


def begin_test(relay: Relay, to: str, settings: Settings, *, now: datetime) -> Prepared:
    """Take one of the relay's connections and one mail of its budget for a test, in the caller's transaction.

    Raises RuleViolation where it must not be made now.
    """
    if pause_of_all() is not None:
        raise RuleViolation("Sending is paused for the whole installation, so no test is made either.")
    if relays.allowance(relay, now) < 1:
        raise RuleViolation("It was given as many mails as it takes. Try again when it has room.")
    if relays.free_connections(relay, "", settings, now) < 1:
        raise RuleViolation(
            "All its connections are busy with mails on their way. Look at how they fare, or try again."
        )
    url = relays.route_of(relay, settings, now)
    if url is None:
        raise RuleViolation(relays.UNREADABLE)
    try:
        recipient = envelope_address(to)
        sender = envelope_address(parseaddr(relays.sender_of(relay, settings))[1])
    except ComposeError as refusal:
        raise RuleViolation(f"No mail can be made: {refusal}.") from None
    seat = Slice(
        relay_id=relay.id,
        owner=f"test:{secrets.token_hex(8)}",
        connections=1,
        leased_until=now + SEAT,
        created_at=now,
    )
    db.session.add(seat)
    db.session.flush()
    relays.note_claimed(relay, 1, now)
    relays.count_use(db.session.connection(), relay_id=relay.id, now=now, use={"offered": 1})
    message = _message(relay.name, sender, recipient, settings, now)
    return Prepared(relay.id, seat.id, Route.of(url), sender, recipient, relay.profile, message)


def end_test(prepared: Prepared, report: Report, *, by: Actor, now: datetime) -> None:
    """Store what a test met and give its connection back. A relay that took the mail is trusted again."""
    values: dict[str, Any] = {"test": report.as_row()}
    if report.is_taken:
        values |= MENDED
    db.session.execute(update(Relay).where(Relay.id == prepared.relay_id).values(values))
    db.session.execute(delete(Slice).where(Slice.id == prepared.slice_id), execution_options=RAW)
    use = {"taken" if report.is_taken else "refused": 1}
    relays.count_use(db.session.connection(), relay_id=prepared.relay_id, now=now, use=use)
    events.ring(events.STAFF)
    if report.is_taken:
        events.wake("deliver")
    audit.record(
        "relay.test",
        object_kind="relay",
        object_id=prepared.relay_id,
        by=by,
        now=now,
        after={"to": prepared.recipient, "taken": report.is_taken, "last": report.steps[-1].words},
    )


def _message(name: str, sender: str, recipient: str, settings: Settings, now: datetime) -> bytes:
    message = EmailMessage()
    message["Message-ID"] = f"<test-{secrets.token_hex(13)}@{settings.mail_domain}>"
    message["Date"] = format_datetime(now)
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = f"Test mail through the relay {name}"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(
        f"This mail came through the relay “{name}”.\n\n"
        "If it lies among spam, ask whoever runs the domain of its sender for SPF, DKIM and DMARC records that cover "
        "this relay.\n"
    )
    return message.as_bytes()


# The conversation.


def converse(prepared: Prepared, own_name: str, *, now: datetime) -> Report:
    """Send the mail and listen. Blocks for `WHOLE_PATIENCE` at most; needs no database and raises nothing."""
    report = Report(now)
    with _talk(prepared, own_name, report) as talk:
        for part in (talk.connect, talk.greet, talk.encrypt, talk.sign_in, talk.send):
            if not part():
                break
    return report


class _NotSmtpError(smtplib.SMTPException):
    """Whatever answers there is no mail server."""


class _Client(smtplib.SMTP):
    """The standard client that hears out no endless answer, and repeats nothing that is no SMTP."""

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = self.sock.makefile("rb")  # type: ignore[union-attr]  # it is connected, or we were not here
        lines = []
        for _ in range(MOST_LINES):
            line = self.file.readline(LONGEST_LINE)
            if not line:
                self.close()
                raise smtplib.SMTPServerDisconnected("the server closed the connection")
            if not line.endswith(b"\n") or not line[:3].isdigit() or line[3:4] not in b" -\r\n":
                break
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(lines)
        self.close()
        raise _NotSmtpError


@contextmanager
def _talk(prepared: Prepared, own_name: str, report: Report) -> Iterator["_Talk"]:
    talk = _Talk(prepared, own_name, report)
    timer = threading.Timer(WHOLE_PATIENCE, talk.cut)
    timer.daemon = True
    timer.start()
    try:
        yield talk
    finally:
        timer.cancel()
        talk.end()


class _Talk:
    """A conversation, part by part; each says whether it went well, and notes in the report what it came to."""

    def __init__(self, prepared: Prepared, own_name: str, report: Report) -> None:
        self.prepared = prepared
        self.route = prepared.route
        self.report = report
        self.client = _Client(local_hostname=own_name)
        self.client._host = self.route.host  # type: ignore[attr-defined]  # the name STARTTLS checks the certificate against

    def connect(self) -> bool:
        place = address_of(self.route.host, self.route.port)
        try:
            sock = socket.create_connection((self.route.host, self.route.port), PATIENCE)
        except OSError as trouble:
            return self._fails(Stage.CONNECT, f"No connection to {place}.", _why_no_connection(trouble, self.route))
        self.client.sock = sock
        self._notes(f"Connected to {place}.")
        if self.route.scheme != "smtps":
            return True
        try:
            self.client.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=self.route.host)
        except OSError as trouble:
            sock.close()
            return self._fails(Stage.TLS, "Not encrypted.", _why_not_encrypted(trouble, self.route))
        self._notes(self._how_encrypted())
        return True

    def greet(self) -> bool:
        def listen() -> tuple[int, bytes]:
            code, text = self.client.getreply()
            return (code, text) if code != 220 else self.client.ehlo()

        code, text = self._answered(Stage.GREETING, listen)
        if code is None:
            return False
        if not 200 <= code < 300:
            return self._refused(Stage.GREETING, "It greets with a refusal", code, text, "Ask whoever runs it why.")
        self._notes("It greets as a mail server.")
        return True

    def encrypt(self) -> bool:
        if self.route.scheme != "smtp+starttls":
            if self.route.scheme == "smtp":
                self._notes("Not encrypted, as it is set up.")
            return True
        if not self.client.has_extn("starttls"):
            advice = (
                "The server offers no STARTTLS here. Choose TLS with its port (mostly 465), or none if it is yours."
            )
            return self._fails(Stage.TLS, "Not encrypted.", advice)
        try:
            code, text = self.client.starttls(context=ssl.create_default_context())
            if code == 220:
                self.client.ehlo()
        except (OSError, smtplib.SMTPException) as trouble:
            return self._fails(Stage.TLS, "Not encrypted.", _why_not_encrypted(trouble, self.route))
        if code != 220:
            return self._refused(Stage.TLS, "It refuses to encrypt", code, text, "Ask whoever runs it why.")
        self._notes(self._how_encrypted())
        return True

    def sign_in(self) -> bool:
        if not self.route.user:
            self._notes("Not signed in, as it is set up.")
            return True
        if not self.client.has_extn("auth"):
            advice = (
                "The server lets nobody sign in here. Leave user and password empty, or choose encryption and its port."
            )
            return self._fails(Stage.AUTH, "Not signed in.", advice)
        try:
            self.client.login(self.route.user, self.route.password)
        except smtplib.SMTPResponseException as refused:
            advice = _why_not_signed_in(self._words(refused.smtp_error), self.prepared.profile)
            return self._refused(Stage.AUTH, "Not signed in", refused.smtp_code, refused.smtp_error, advice)
        except smtplib.SMTPNotSupportedError:
            return self._fails(Stage.AUTH, "Not signed in.", "The server knows no way to sign in that we know too.")
        except (OSError, smtplib.SMTPException) as trouble:
            return self._broke_off(Stage.AUTH, trouble)
        self._notes("Signed in.")
        return True

    def send(self) -> bool:
        sender, recipient = self.prepared.sender, self.prepared.recipient
        for stage, what, say in (
            (Stage.MAIL, f"The sender {sender} is refused", lambda: self.client.mail(sender)),
            (Stage.RCPT, f"The recipient {recipient} is refused", lambda: self.client.rcpt(recipient)),
            (Stage.DOT, "The mail is refused", lambda: self.client.data(self.prepared.message)),
        ):
            code, text = self._answered(stage, say)
            if code is None:
                return False
            if not 200 <= code < 300:
                return self._refused(stage, what, code, text, _why_refused(stage, code, self._words(text)))
        self.report.is_taken = True
        self._notes(f"The mail to {recipient} was taken: {code} {self._words(text)}".rstrip())
        return True

    def cut(self) -> None:
        """Wait no longer, whatever is being waited for."""
        sock = self.client.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def end(self) -> None:
        if self.client.sock is not None and self.report.is_taken:
            try:
                self.client.quit()
            except (OSError, smtplib.SMTPException):
                self.client.close()
        self.client.close()

    # What is noted.

    def _notes(self, words: str) -> None:
        self.report.steps.append(Step(words))

    def _fails(self, stage: Stage, words: str, advice: str) -> bool:
        self.report.steps.append(Step(words, is_good=False))
        self.report.stage, self.report.advice = stage, advice
        return False

    def _refused(self, stage: Stage, what: str, code: int, text: bytes | str, advice: str) -> bool:
        return self._fails(stage, f"{what}: {code} {self._words(text)}".rstrip(), advice)

    def _answered(self, stage: Stage, say: Any) -> tuple[int | None, bytes]:
        try:
            code, text = say()
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code, refused.smtp_error if isinstance(refused.smtp_error, bytes) else b""
        except (OSError, smtplib.SMTPException) as trouble:
            self._broke_off(stage, trouble)
            return None, b""
        return code, text

    def _broke_off(self, stage: Stage, trouble: Exception) -> bool:
        if isinstance(trouble, _NotSmtpError):
            advice = "Check the port: 587 with STARTTLS, 465 with TLS, 25 without encryption."
            return self._fails(stage, "Something answers there, but it is no mail server.", advice)
        if isinstance(trouble, TimeoutError):
            advice = "Check port and encryption: a port for TLS says nothing until it is spoken to encrypted."
            return self._fails(stage, f"No answer within {PATIENCE:.0f} seconds.", advice)
        return self._fails(stage, "The server ended the conversation.", "Check port and encryption, and try again.")

    def _how_encrypted(self) -> str:
        sock = self.client.sock
        version = sock.version() if isinstance(sock, ssl.SSLSocket) else None
        return f"Encrypted with {(version or 'TLS').replace('TLSv', 'TLS ')}; its certificate is valid for this name."

    def _words(self, text: bytes | str) -> str:
        """What the server said, short, on one line, and without the password if it repeats that."""
        said = text if isinstance(text, str) else text.decode("utf-8", "replace")
        for secret in _shapes_of(self.route.user, self.route.password):
            said = said.replace(secret, "…")
        line = " ".join("".join(each if each.isprintable() else " " for each in said).split())
        return line if len(line) <= WORDS_KEPT else line[: WORDS_KEPT - 1] + "…"


def _shapes_of(user: str, password: str) -> list[str]:
    """A password as it is and as it travels, for servers that repeat what they were told."""
    if not password:
        return []
    plain = f"\0{user}\0{password}".encode()
    return [password, base64.b64encode(password.encode()).decode(), base64.b64encode(plain).decode()]


# What to change.


def _why_no_connection(trouble: OSError, route: Route) -> str:
    if isinstance(trouble, socket.gaierror):
        return "There is no host of this name, or the name servers here do not know it. Check how it is written."
    if isinstance(trouble, ConnectionRefusedError):
        return f"Nothing takes connections on port {route.port} there. Check host and port: mostly 587, 465 or 25."
    if isinstance(trouble, TimeoutError):
        return "Nothing answers. Check host and port, and whether a firewall here lets mail out through this port."
    return "It cannot be reached from here. Check the host, and the network of this machine."


_CERTIFICATES = {
    10: "Its certificate has expired. Whoever runs the server has to renew it.",
    18: "It signed its certificate itself. Use one that this machine trusts, or have its authority trusted here.",
    19: "Its certificate comes from an authority that this machine does not trust.",
    20: "Its certificate comes from an authority that this machine does not trust.",
    21: "Its certificate comes from an authority that this machine does not trust.",
    62: "Its certificate is for another name. Enter the host by the name its certificate bears.",
    64: "Its certificate is for a name, not for this IP address. Enter the host by its name.",
}
"""By the code of OpenSSL's verification."""


def _why_not_encrypted(trouble: Exception, route: Route) -> str:
    if isinstance(trouble, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(
            trouble.verify_code, "Its certificate was refused. Nothing is sent without a valid one."
        )
    if isinstance(trouble, ssl.SSLError) and route.scheme == "smtps":
        return "It does not begin with encryption on this port. Choose STARTTLS, mostly on port 587."
    if isinstance(trouble, TimeoutError):
        return "Nothing answers to encryption on this port. Choose STARTTLS, mostly on port 587."
    return "It cannot agree with us on how to encrypt. It has to offer TLS 1.2 or newer."


def _why_not_signed_in(words: str, profile: Profile) -> str:
    if profile is Profile.MICROSOFT_365 or "5.7.139" in words:
        return (
            "Check user and password. Microsoft 365 also has to allow this mailbox to send by SMTP: “Authenticated "
            "SMTP” in its mail settings."
        )
    if profile is Profile.GOOGLE_WORKSPACE:
        return "Check user and password. Google wants a password made for this app, not the one of the account."
    return "Check user and password. Some providers want a password made for this app."


def _why_refused(stage: Stage, code: int, words: str) -> str:
    enhanced = enhanced_code(words) or ""
    if code < 500:
        return "It says that this passes. Try again in some minutes."
    if code == 530 or enhanced == "5.7.0":
        return "It wants us to sign in or to encrypt first. Enter user and password, and choose encryption."
    if stage is Stage.MAIL or enhanced == "5.7.60":
        return "Enter a sender address that this user may send as, or have that allowed at the provider."
    if stage is Stage.RCPT and (enhanced.startswith("5.7.") or "relay" in words.lower()):
        return (
            "It takes mails for its own addresses only. Enter a user, or have this machine allowed to send through it."
        )
    if stage is Stage.RCPT:
        return "It does not take mails for your address. Check the address in your account."
    return "It refuses what it was sent. Its words say why; whoever runs it can tell more."
