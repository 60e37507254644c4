"""Talking SMTP: opening a connection, and one conversation over it that never blocks.

A conversation has at most two mails: one that was offered and waits for its answer, and one ahead whose envelope
is on its way. Where the server offers PIPELINING (RFC 2920) the body of the one and the envelope of the
next travel together, one round trip a mail. Who drives it decides when a body is offered, because that must have been
stored first.
"""

import smtplib
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from portal.notifications.rules import Stage

CONNECT_SECONDS = 30.0
GREETING_SECONDS = 60.0
BLOCK_SECONDS = 180.0
ANSWER_SECONDS = {Stage.MAIL: 60.0, Stage.RCPT: 60.0, Stage.DATA: 120.0, Stage.DOT: 600.0}
"""How long each answer may take. RFC 5321, 4.5.3.2; impatience after the dot makes copies."""

LONGEST_ANSWER, MOST_LINES = 65_536, 1_000
"""Characters of one line, and lines of one answer, after which a server is not listened to any more."""

_CODES = {b"%03d" % code: code for code in range(1000)}
_OF_ENVELOPE = (Stage.MAIL, Stage.RCPT)
TEXT_KEPT = 500


class Refusal(Exception):  # noqa: N818 (it is what the server said, not an error of ours)
    """A connection that could not be opened; `code` is None when nobody answered."""

    def __init__(self, stage: Stage, code: int | None, text: str) -> None:
        super().__init__(text)
        self.stage = stage
        self.code = code
        self.text = text[:TEXT_KEPT]


@dataclass(frozen=True)
class Route:
    """Where an SMTP URL leads. `smtp+starttls` and `smtps` are never talked to unencrypted."""

    host: str
    port: int
    scheme: Literal["smtp", "smtps", "smtp+starttls"]
    user: str = ""
    password: str = ""

    @classmethod
    def of(cls, url: str) -> "Route":
        parts = urlsplit(url)
        scheme: Literal["smtp", "smtps", "smtp+starttls"]
        match parts.scheme:
            case "smtps":
                scheme, port = "smtps", 465
            case "smtp+starttls":
                scheme, port = "smtp+starttls", 587
            case _:
                scheme, port = "smtp", 25
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname or "localhost", parts.port or port, scheme, user, password)


class Link(NamedTuple):
    """An open, greeted connection."""

    sock: socket.socket
    pipelining: bool


def connect(route: Route, own_name: str) -> Link:
    """Open a connection, greet, encrypt and sign in as the route says. Blocks; Refusal says what stood in the way."""
    stage = Stage.CONNECT
    client = _Client(local_hostname=own_name)
    try:
        code, text = client.open(route)
        stage = Stage.GREETING
        _expect(code == 220, stage, code, text)
        client.ehlo_or_helo_if_needed()
        if route.scheme == "smtp+starttls":
            stage = Stage.TLS
            code, text = client.starttls(context=ssl.create_default_context())
            _expect(code == 220, stage, code, text)
            client.ehlo_or_helo_if_needed()
        if route.user:
            stage = Stage.AUTH
            client.login(route.user, route.password)
    except Refusal:
        client.close()
        raise
    except smtplib.SMTPResponseException as refused:
        client.close()
        # Some servers repeat what they were told.
        words = _words(refused.smtp_error).replace(route.password or "\n", "…")
        raise Refusal(stage, refused.smtp_code, words) from None
    except smtplib.SMTPNotSupportedError as missing:
        client.close()
        # Without TLS or a way to sign in nothing can be sent until somebody changes the relay or its address.
        raise Refusal(Stage.AUTH if stage is Stage.AUTH else Stage.TLS, 504, str(missing)) from None
    except (OSError, smtplib.SMTPException) as broken:
        client.close()
        where = Stage.TLS if isinstance(broken, ssl.SSLError) else stage
        raise Refusal(where, None, f"{type(broken).__name__}: {broken}") from None
    sock: socket.socket = client.sock  # type: ignore[assignment]  # it is connected, or we were not here
    sock.setblocking(False)
    return Link(sock, client.has_extn("pipelining"))


class _Client(smtplib.SMTP):
    """The standard client up to where bulk begins, with a time-out of its own for connecting."""

    def open(self, route: Route) -> tuple[int, bytes]:
        self._host = route.host  # the name STARTTLS checks the certificate against
        self._route = route
        return self.connect(route.host, route.port)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), CONNECT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(GREETING_SECONDS)
        if self._route.scheme == "smtps":
            return ssl.create_default_context().wrap_socket(sock, server_hostname=self._route.host)
        return sock


def _expect(is_good: bool, stage: Stage, code: int, text: bytes) -> None:
    if not is_good:
        raise Refusal(stage, code, _words(text))


def _words(text: bytes | str) -> str:
    raw = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return " ".join(raw.replace("\x00", "").split())[:TEXT_KEPT]


class Parcel:
    """One mail as a conversation knows it: its envelope, and the body once it may be offered."""

    __slots__ = ("body", "recipient", "refusal", "sender")

    def __init__(self, sender: str, recipient: str, body: bytes) -> None:
        self.sender = b"MAIL FROM:<%b>\r\n" % sender.encode("ascii")
        self.recipient = b"RCPT TO:<%b>\r\n" % recipient.encode("ascii")
        self.body = body
        self.refusal: tuple[Stage, int, str] | None = None


class Answer(NamedTuple):
    """What became of a mail: `code` 2xx means that the server has it; None that the connection broke off."""

    parcel: Parcel
    stage: Stage
    code: int | None
    text: str


class Conversation:
    """One kept connection. After `receive` and `flush`, look at `answers`, `is_ready` and `is_over`.

    When it is over, `untouched` is a mail whose envelope the server never came to. `accepted` counts its mails.
    """

    def __init__(self, link: Link) -> None:
        self.sock = link.sock
        self.pipelining = link.pipelining
        self.offered: Parcel | None = None
        self.ahead: Parcel | None = None
        self.is_ready = False
        self.is_over = False
        self._is_ending = False
        self.accepted = 0
        self.untouched: Parcel | None = None
        self.last_words = ""
        self.answers: list[Answer] = []
        self._expected: deque[Stage | None] = deque()
        self._rest = b""
        self._lines: list[bytes] = []
        self._out = bytearray()
        self._queued = 0
        self._written = 0
        self._dot_at = 0
        self.read_at = self._waits_since = self._wrote_at = time.monotonic()

    # What the driver says.

    @property
    def can_begin(self) -> bool:
        """Whether the envelope of another mail may be sent."""
        return not self.is_over and not self._is_ending and self.ahead is None and (self.pipelining or not self.offered)

    @property
    def is_idle(self) -> bool:
        return self.ahead is None and self.offered is None

    def begin(self, parcel: Parcel) -> None:
        """Send a mail's envelope. Nothing of the mail itself, so it is in no doubt whatever happens now."""
        self.ahead = parcel
        parcel.refusal = None
        if self.pipelining:
            self._say(parcel.sender + parcel.recipient + b"DATA\r\n", Stage.MAIL, Stage.RCPT, Stage.DATA)
        else:
            self._say(parcel.sender, Stage.MAIL)

    def offer(self) -> None:
        """Send the body of the mail whose envelope was accepted; from its last byte on it may have been taken."""
        if self.ahead is None:
            return
        self.offered, self.ahead, self.is_ready = self.ahead, None, False
        self._say(self.offered.body + b".\r\n", Stage.DOT)
        self._dot_at = self._queued

    def take_back(self) -> None:
        """Give up the mail ahead, and take no other. After 354 there is no polite way, so the connection ends, at once
        or when the mail that was offered is answered."""
        if self.ahead is None and self.offered is None:
            self.close()
            return
        self.ahead, self.is_ready, self._is_ending = None, False, True
        self._end_if_due()

    def give_up(self, text: str) -> None:
        """Wait no longer. What was offered stays in doubt."""
        self._break_off(text)

    def _end_if_due(self) -> None:
        if self._is_ending and self.offered is None and not self.is_over:
            self.is_over = True
            self.sock.close()

    def close(self) -> None:
        """End the connection, with a QUIT where nothing is under way."""
        if not self.is_over and self.is_idle and not self._out:
            self._out += b"QUIT\r\n"
            self.flush()
        self.is_over = True
        self.sock.close()

    # What the network says.

    @property
    def wants_to_write(self) -> bool:
        return bool(self._out)

    def flush(self) -> None:
        """Write what can be written now."""
        if self.is_over:
            return
        try:
            while self._out:
                count = self.sock.send(self._out)
                del self._out[:count]
                self._written += count
                self._wrote_at = time.monotonic()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as broken:
            self._break_off(f"{type(broken).__name__}: {broken}")

    def receive(self) -> None:
        """Read what has come and understand it."""
        if self.is_over:
            return
        self.read_at = time.monotonic()
        try:
            data = self.sock.recv(65_536)
            while isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
                data += self.sock.recv(65_536)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as broken:
            self._break_off(f"{type(broken).__name__}: {broken}")
            return
        self._understand(data)
        if not data and not self.is_over:
            self._break_off("the server closed the connection")

    def has_waited(self, now: float) -> float:
        """Seconds since the server last said something it owed us. `now` is of time.monotonic()."""
        return now - self._waits_since if self._expected else 0.0

    def check_patience(self, now: float) -> None:
        """Break off when an answer, or room to write, has been waited for too long. `now` is of time.monotonic()."""
        if self.is_over:
            return
        if self._out and now - self._wrote_at > BLOCK_SECONDS:
            self._break_off("the server stopped reading")
        elif self._expected:
            stage = self._expected[0] or Stage.MAIL
            if now - self._waits_since > ANSWER_SECONDS[stage]:
                self._break_off(f"no answer within {ANSWER_SECONDS[stage]:.0f} s")

    def _say(self, data: bytes, *expected: Stage | None) -> None:
        if not self._expected:
            self._waits_since = time.monotonic()
        if not self._out:
            self._wrote_at = time.monotonic()
        self._expected.extend(expected)
        self._out += data
        self._queued += len(data)

    def _understand(self, data: bytes) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        expected, ahead = self._expected, self.ahead
        for line in lines:
            code = _CODES.get(line[:3])
            if (
                (code == 250 and self.pipelining and expected and expected[0] in _OF_ENVELOPE)
                and (ahead is not None and ahead.refusal is None)
                and (line[3:4] == b" " and not self._lines)
            ):
                # As nearly always: the envelope is accepted, line by line.
                expected.popleft()
                self._waits_since = self.read_at
                continue
            if code is None:
                self._break_off("the server does not speak SMTP")
                return
            if line[3:4] == b"-":
                self._lines.append(line[4:].rstrip(b"\r"))
                continue
            text = line[4:].rstrip(b"\r")
            if self._lines:
                text = b" ".join([*self._lines, text])
                self._lines.clear()
            self._hear(code, text)
            if self.is_over:
                return
            ahead = self.ahead
        if len(self._rest) > LONGEST_ANSWER or len(self._lines) > MOST_LINES:
            self._break_off("the server's answer has no end")

    def _hear(self, code: int, raw: bytes) -> None:
        stage = self._expected.popleft() if self._expected else None
        self._waits_since = self.read_at
        if code == 421:
            self._hung_up(stage, _words(raw))
        elif stage is Stage.DOT:
            if self.offered is not None:
                self.answers.append(Answer(self.offered, Stage.DOT, code, _words(raw)))
            self.offered = None
            self.accepted += 200 <= code < 300
            self._end_if_due()
        elif stage is not None and self.ahead is not None:
            self._envelope_answered(self.ahead, stage, code, raw)

    def _envelope_answered(self, parcel: Parcel, stage: Stage, code: int, raw: bytes) -> None:
        is_good = code == 354 if stage is Stage.DATA else 200 <= code < 300
        if not is_good and parcel.refusal is None:
            parcel.refusal = (stage, code, _words(raw))
        if stage is Stage.DATA or (parcel.refusal and not self.pipelining):
            self._envelope_done(parcel, code)
        elif not self.pipelining:
            if stage is Stage.MAIL:
                self._say(parcel.recipient, Stage.RCPT)
            else:
                self._say(b"DATA\r\n", Stage.DATA)

    def _envelope_done(self, parcel: Parcel, code: int) -> None:
        if parcel.refusal is None:
            self.is_ready = True
            return
        if code == 354:
            self._say(b".\r\n", None)  # no recipient was accepted, so there is nobody to get an empty mail
        self._say(b"RSET\r\n", None)
        self.ahead = None
        self.answers.append(Answer(parcel, *parcel.refusal))

    def _hung_up(self, stage: Stage | None, text: str) -> None:
        """421: the server ends the conversation, and says so, which is an answer to whatever it was asked."""
        if stage is Stage.DOT and self.offered is not None:
            self.answers.append(Answer(self.offered, Stage.DOT, 421, text))
            self.offered, self.untouched, self.ahead = None, self.ahead, None
        elif stage is not None and self.ahead is not None:
            self.answers.append(Answer(self.ahead, stage, 421, text))
            self.ahead = None
        self._break_off(text)

    def _break_off(self, text: str) -> None:
        """The connection is gone. What was fully offered is in doubt; what stood behind it was not even looked at."""
        self.is_over = True
        self.is_ready = False
        self.last_words = text[:TEXT_KEPT]
        self.sock.close()
        if self.offered is not None:
            stage = Stage.DOT if self._written >= self._dot_at else Stage.DATA
            self.answers.append(Answer(self.offered, stage, None, text[:TEXT_KEPT]))
            self.offered, self.untouched, self.ahead = None, self.ahead, None
        if self.ahead is not None:
            self.answers.append(Answer(self.ahead, Stage.MAIL, None, text[:TEXT_KEPT]))
            self.ahead = None
