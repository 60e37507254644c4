"""Where caught mail lies: one file a mail in a folder that never grows beyond its bounds."""

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import policy
from email.errors import MessageError
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser, BytesParser
from functools import partial
from pathlib import Path

MOST_MAILS = 2000
"""Mails that are kept; the oldest goes when one more comes."""

MOST_BYTES = 256_000_000
"""Bytes that are kept."""

PAGE_LENGTH = 50


@dataclass(frozen=True)
class Caught:
    """What the list shows of one mail. `number` counts all mail ever caught; `arrived` is an ISO moment in UTC."""

    number: int
    arrived: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    size: int

    @property
    def moment(self) -> datetime:
        """When it arrived, in this machine's zone."""
        return datetime.fromisoformat(self.arrived).astimezone()


@dataclass(frozen=True)
class Page:
    """A page of the list, newest first."""

    items: list[Caught]
    page: int
    pages: int
    total: int


class Box:
    """The last mails. Safe to use from several threads; the summaries are held in memory, the mails are not."""

    def __init__(self, folder: Path, *, most: int = MOST_MAILS, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        found = (_read_summary(path) for path in sorted(folder.glob("*.mail")))
        self._kept = deque(caught for caught in found if caught)
        self._bytes = sum(caught.size for caught in self._kept)
        self._last = self._kept[-1].number if self._kept else 0

    @property
    def taken(self) -> int:
        """How many mails were ever caught here."""
        return self._last

    def add(self, sender: str, recipients: list[str], content: bytes, now: datetime) -> Caught:
        """Keep a mail, and let the oldest go where it would be one too many."""
        subject = _header(content, "Subject")
        with self._lock:
            self._last += 1
            moment = now.astimezone(UTC).isoformat(timespec="milliseconds")
            caught = Caught(self._last, moment, sender, tuple(recipients), subject, len(content))
            path = self._path(caught.number)
            half = path.with_suffix(".part")
            half.write_bytes(json.dumps(asdict(caught)).encode() + b"\n" + content)
            half.rename(path)
            self._kept.append(caught)
            self._bytes += caught.size
            self._let_go()
        return caught

    def page(self, wanted: str, number: int) -> Page | None:
        """A page of the mails whose recipients or subject hold this text; None for a page that is not there."""
        wanted = wanted.casefold().strip()
        with self._lock:
            kept = list(self._kept)
        found = [caught for caught in reversed(kept) if not wanted or _holds(caught, wanted)]
        pages = max(1, -(-len(found) // PAGE_LENGTH))
        if not 1 <= number <= pages:
            return None
        return Page(found[(number - 1) * PAGE_LENGTH : number * PAGE_LENGTH], number, pages, len(found))

    def open(self, number: int) -> tuple[Caught, bytes] | None:
        """A mail as it arrived, unless it is gone."""
        with self._lock:
            caught = next((caught for caught in self._kept if caught.number == number), None)
        if caught is None:
            return None
        try:
            return caught, self._path(number).read_bytes().partition(b"\n")[2]
        except FileNotFoundError:
            return None

    def _let_go(self) -> None:
        while len(self._kept) > self._most or (self._bytes > self._most_bytes and len(self._kept) > 1):
            oldest = self._kept.popleft()
            self._bytes -= oldest.size
            self._path(oldest.number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:010}.mail"


@dataclass(frozen=True)
class Parts:
    """A mail taken apart for the eye."""

    headers: list[tuple[str, str]]
    text: str
    html: str
    attachments: list[str]


def take_apart(content: bytes) -> Parts:
    """The headers and bodies of a mail. What cannot be read is left out; nothing here raises on bad mail."""
    message = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(content)
    return Parts(
        headers=[(name, _header_text(name, raw)) for name, raw in message.raw_items()],
        text=_safely(lambda: _body(message, "plain")),
        html=_safely(lambda: _body(message, "html")),
        attachments=[_safely(partial(_name_of, part)) for part in message.iter_attachments()],
    )


def _header_text(name: str, raw: str) -> str:
    return _safely(lambda: str(policy.default.header_fetch_parse(name, raw))) or str(raw)


def _name_of(part: Message) -> str:
    return part.get_filename() or part.get_content_type()


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    return str(part.get_content()) if part else ""


def _safely(read: Callable[[], str]) -> str:
    """What `read` gives, or nothing: mail from outside may break any parser."""
    try:
        return read()
    except (MessageError, LookupError, ValueError, AttributeError, TypeError):
        return ""


def _header(content: bytes, name: str) -> str:
    return _safely(lambda: str(BytesHeaderParser(policy=policy.default).parsebytes(content)[name] or ""))


def _holds(caught: Caught, wanted: str) -> bool:
    return any(wanted in text.casefold() for text in (*caught.recipients, caught.subject))


def _read_summary(path: Path) -> Caught | None:
    """The first line of a kept file; None for one that is not ours."""
    with path.open("rb") as file:
        try:
            known = json.loads(file.readline())
            return Caught(**{**known, "recipients": tuple(known["recipients"])})
        except (ValueError, TypeError, KeyError):
            return None
