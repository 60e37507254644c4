"""The mailbox reports come back to, over IMAP: what waits in it is read, and put away once it was written down.

Nothing is deleted, and nothing of the mailbox is remembered: whatever lies in the folder is waiting, whatever was
read lies in another one. So a process that dies in between reads a report twice, which is harmless, and loses none.
"""

import imaplib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socket import SHUT_RDWR
from urllib.parse import unquote, urlsplit

from imap_tools import BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted
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
        """What lies in the folder, oldest first, so many as are read in one look and one more."""
        with _told():
            return sorted(self._box.uids("UNDELETED", charset=None), key=int)[: MOST_AT_ONCE + 1]

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
    with _told():
        box = _connected(place)
    # A server that sends a byte now and then is never silent, and would hold us for as long as it likes.
    watchdog = threading.Timer(LONGEST_LOOK, _hang_up, args=(box,))
    watchdog.daemon = True
    watchdog.start()
    try:
        with _told():
            box.login_utf8(place.user, place.password, None) if not _is_ascii(place) else box.login(
                place.user, place.password, None
            )
            box.folder.set(place.folder)
        yield Waiting(box)
    finally:
        watchdog.cancel()
        with suppress(Exception):
            box.logout()
        _hang_up(box)


def _connected(place: Place) -> BaseMailBox:
    if place.scheme == "imaps":
        return MailBox(place.host, place.port, TIMEOUT_SECONDS, ssl_context=ssl.create_default_context())
    if place.scheme == "imap+starttls":
        return MailBoxStartTls(place.host, place.port, TIMEOUT_SECONDS, ssl_context=ssl.create_default_context())
    return MailBoxUnencrypted(place.host, place.port, TIMEOUT_SECONDS)


def _is_ascii(place: Place) -> bool:
    return place.user.isascii() and place.password.isascii()


def _hang_up(box: BaseMailBox) -> None:
    with suppress(Exception):
        box.client.sock.shutdown(SHUT_RDWR)
    with suppress(Exception):
        box.client.sock.close()


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
