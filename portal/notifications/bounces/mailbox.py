"""The mailbox reports come back to, over IMAP: what waits in it is read, and put away once it was written down.

Nothing is deleted, and nothing of the mailbox is remembered: whatever lies in the folder is waiting, whatever was
read lies in another one. So a process that dies in between reads a report twice, which is harmless, and loses none.
"""

import imaplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from imap_tools import BaseMailBox
from imap_tools.errors import ImapToolsError

from portal.notifications.bounces.rules import MOST_BYTES, one_line

PROCESSED = "Processed"
UNCLEAR = "Unclear"
"""The folders what was read lies in: what could be used, and what somebody may want to look at."""

TIMEOUT_SECONDS = 15.0
"""How long the server may be silent."""

LONGEST_LOOK = 45.0
"""After so many seconds a look is broken off, however much the server still talks."""

MOST_AT_ONCE = 200
"""Reports read in one look."""


class MailboxTrouble(Exception):  # noqa: N818 (it is what there is)
    """The mailbox does not do what it is asked; the sentence says what, and holds no password."""


@dataclass(frozen=True)
class Place:
    """Where the mailbox is. `scheme` is imaps, imap+starttls or, for a server on this machine, imap."""

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str

    @classmethod
    def of(cls, url: str) -> "Place":
        """The parts of PORTAL_BOUNCE_IMAP_URL; name, password and folder may be percent-encoded."""
        parts = urlsplit(url)
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port or (993 if parts.scheme == "imaps" else 143),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            folder=unquote(parts.path.strip("/")) or "INBOX",
        )


class Waiting:
    """An open mailbox."""

    def __init__(self, box: BaseMailBox) -> None:
        self._box = box
        self._folders: set[str] = set()

    def uids(self) -> list[str]:
        """What lies in the folder, oldest first."""
        with _told():
            return sorted(self._box.uids("UNDELETED", charset=None), key=int)

    def read(self, uid: str) -> bytes | None:
        """The beginning of a mail, as much as is looked at; None when it is no longer there. It stays unread."""
        with _told():
            status, found = self._box.client.uid("FETCH", uid, f"(BODY.PEEK[]<0.{MOST_BYTES}>)")
            if status != "OK":
                raise MailboxTrouble(f"The mailbox would not hand out a mail: {_words(found)}")
        return next((each[1] for each in found if isinstance(each, tuple)), None)

    def put_away(self, uid: str, folder: str) -> None:
        """Move a mail to another folder, which is made where there is none."""
        with _told():
            if folder not in self._folders:
                if not self._box.folder.exists(folder):
                    self._box.folder.create(folder)
                self._folders.add(folder)
            self._box.move(uid, folder)


@contextmanager
def opened(place: Place) -> Iterator[Waiting]:
    """The mailbox, signed in and its folder chosen; MailboxTrouble for whatever goes wrong, here or meanwhile."""
    with _hung_up_in_time() as watch:
        with _told():
            box = _Box(place, watch)
            try:
                login = box.login if place.user.isascii() and place.password.isascii() else box.login_utf8
                login(place.user, place.password, None)
                box.folder.set(place.folder)
            except BaseException:
                with suppress(Exception):
                    box.logout()
                raise
        try:
            yield Waiting(box)
        finally:
            with suppress(Exception):
                box.logout()


Watch = Callable[[socket.socket], None]


class _Box(BaseMailBox):
    """A mailbox over a connection that somebody watches from its first byte on."""

    def __init__(self, place: Place, watch: Watch) -> None:
        self._place, self._watch = place, watch
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        if self._place.scheme == "imaps":
            return _Encrypted(self._place, self._watch)
        client = _Plain(self._place, self._watch)
        if self._place.scheme == "imap+starttls":
            client.starttls(ssl.create_default_context())
        return client


class _Plain(imaplib.IMAP4):
    def __init__(self, place: Place, watch: Watch) -> None:
        self._watch = watch
        super().__init__(place.host, place.port, TIMEOUT_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        sock: socket.socket = super()._create_socket(timeout)  # type: ignore[misc]
        self._watch(sock)
        return sock


class _Encrypted(imaplib.IMAP4_SSL):
    def __init__(self, place: Place, watch: Watch) -> None:
        self._watch = watch
        super().__init__(place.host, place.port, ssl_context=ssl.create_default_context(), timeout=TIMEOUT_SECONDS)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        sock: socket.socket = imaplib.IMAP4._create_socket(self, timeout)  # type: ignore[attr-defined]
        self._watch(sock)
        wrapped: socket.socket = self.ssl_context.wrap_socket(sock, server_hostname=self.host)
        return wrapped


@contextmanager
def _hung_up_in_time() -> Iterator[Watch]:
    """Hangs up on a server that is never silent and never done: it would hold us for as long as it likes."""
    sockets: list[socket.socket] = []

    def hang_up() -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(LONGEST_LOOK, hang_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        # A copy: TLS takes the socket itself away from whoever had it.
        yield lambda sock: sockets.append(sock.dup())
    finally:
        watchdog.cancel()
        hang_up()
        for each in sockets:
            each.close()


@contextmanager
def _told() -> Iterator[None]:
    """Whatever a server, or the way to it, can do wrong, as one sentence."""
    try:
        yield
    except ssl.SSLCertVerificationError as trouble:
        raise MailboxTrouble(f"The certificate of the mail server was refused: {trouble.verify_message}") from None
    except TimeoutError:
        raise MailboxTrouble("The mail server does not answer.") from None
    except (OSError, imaplib.IMAP4.error, ImapToolsError) as trouble:
        raise MailboxTrouble(f"The mail server refuses: {one_line(_said(trouble))[:300]}") from None
    except (ValueError, IndexError, TypeError, AttributeError) as trouble:
        # What imaplib and imap-tools say to answers they do not expect.
        raise MailboxTrouble(f"The mail server answers what cannot be read ({type(trouble).__name__}).") from None


def _said(trouble: Exception) -> str:
    result = getattr(trouble, "command_result", None)
    if result is not None:
        return _words(result[1])
    return trouble.strerror or str(trouble) if isinstance(trouble, OSError) else str(trouble)


def _words(data: object) -> str:
    pieces = data if isinstance(data, list | tuple) else [data]
    return one_line(
        " ".join(each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in pieces)
    )
