"""Mails as bytes: built once per wording and language, filled per recipient.

Python's `email` package takes most of the time of a bulk mail, so nothing of it runs per recipient. Both parts are
quoted-printable, because in it a value can be set in anywhere: what stands before a slot ends in a soft line break and
so does the value, hence every value begins at column 0 and is encoded for itself, whatever it holds. No encoded
line begins with a dot, so nothing is left to be stuffed; no line is longer than 76; no byte is above 127, so any
server takes it.
"""

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from portal.notifications.rules import HeaderError, header_text

MOST_BYTES = 1_000_000
"""The largest mail that is sent; a bigger one is a mistake in a template."""

OF_LISTS = frozenset({b"List-Unsubscribe-Post", b"List-Id", b"Precedence"})
"""What only a mail says that goes to many and can be left, beside `List-Unsubscribe` itself."""

OWN_LINES = "calendar"
"""The variable whose value is the reader's own lines in a calendar: whole lines of iCalendar, and an empty one between
those of one entry and of the next. It stands on a line of its own in the entry."""

LONGEST_TO = 320
"""A display name that makes the address header longer than this is left out."""

_SLOT = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,39})\s*\}\}")
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
_LINK = re.compile(r"https?://[!#-;=?-~]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_PRINTABLE = re.compile(r"[ -~]*")
_TO_MARK_UP = re.compile(r"[&<>\"'\r\n]")
_TO_ESCAPE = re.compile(rb"[^\t -<>-~]")
_SIMPLE_NAME = re.compile(r"[A-Za-z0-9'-]+(?: [A-Za-z0-9'-]+)*")

_DOT = ord(".")
_LINE = 73
"""Characters of an encoded line before its soft break: 76 less the equals sign and a dot that grows to =2E."""


class ComposeError(ValueError):
    """This mail cannot be made; the sentence says why. It fails alone, the rest of its broadcast goes on."""


# Quoted-printable.


def quoted(text: str) -> bytes:
    """Text in quoted-printable; its line breaks become CRLF, and the last line stays open."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").split(b"\n")
    return b"\r\n".join([_quoted_line(line) for line in lines])


def _quoted_line(line: bytes) -> bytes:
    escaped = _TO_ESCAPE.sub(lambda found: b"=%02X" % found.group()[0], line)
    if escaped.endswith((b" ", b"\t")):
        escaped = escaped[:-1] + b"=%02X" % escaped[-1]
    pieces = []
    start = 0
    while start < len(escaped):
        end = start + _LINE
        if end < len(escaped):
            if escaped[end - 1] == 61:  # "=": an escape is never torn apart
                end -= 1
            elif escaped[end - 2] == 61:
                end -= 2
        piece = escaped[start:end]
        pieces.append(b"=2E" + piece[1:] if piece.startswith(b".") else piece)
        start = end
    return b"=\r\n".join(pieces)


def _encoded_text(value: str) -> bytes:
    if not value:
        return b""
    if not (value.isascii() and value.isprintable()) or "=" in value or value[-1] == " ":
        return quoted(value) + b"=\r\n"
    plain = value.encode("ascii")
    if len(plain) <= _LINE:
        return (b"=2E" + plain[1:] if plain[0] == _DOT else plain) + b"=\r\n"
    pieces = [plain[start : start + _LINE] for start in range(0, len(plain), _LINE)]
    return b"".join([(b"=2E" + each[1:] if each[0] == _DOT else each) + b"=\r\n" for each in pieces])


def _encoded_html(value: str) -> bytes:
    return _encoded_text("<br>".join(html.escape(value).replace("\r\n", "\n").replace("\r", "\n").split("\n")))


# Headers.


def encoded_header(text: str) -> bytes:
    """Text as the value of a header: as it is where that is plain and short, else as encoded words (RFC 2047).

    Raises HeaderError for what may not stand in a header at all.
    """
    header_text(text)
    if len(text) <= 60 and _PRINTABLE.fullmatch(text) and text == text.strip():
        return text.encode("ascii")
    words = []
    word = b""
    for character in text:
        piece = character.encode("utf-8")
        if len(word) + len(piece) > 45:
            words.append(word)
            word = b""
        word += piece
    words.append(word)
    return b"\r\n ".join([b"=?utf-8?b?" + base64.b64encode(each) + b"?=" for each in words])


def mailbox(name: str, address: str) -> bytes:
    """`Name <address>` for a From or To header. A name that is unsafe or too long is left out: the mail matters."""
    bare = address.encode("ascii")
    if len(name) <= 60 and _SIMPLE_NAME.fullmatch(name):
        return name.encode("ascii") + b"\r\n <" + bare + b">"
    try:
        header_text(name)
    except HeaderError:
        return bare
    name = " ".join(name.split())
    if not name:
        return bare
    if len(name) <= 60 and _ATOMS.fullmatch(name):
        phrase = name.encode("ascii")
    elif len(name) <= 60 and _PRINTABLE.fullmatch(name):
        phrase = b'"' + re.sub(rb'(["\\])', rb"\\\1", name.encode("ascii")) + b'"'
    else:
        phrase = encoded_header(name)
    full = phrase + b"\r\n <" + bare + b">"
    return full if len(full) <= LONGEST_TO else bare


def envelope_address(address: str) -> str:
    """The address as SMTP takes it, its domain in ASCII; ComposeError for one that no server would."""
    local, at, domain = address.strip().rpartition("@")
    ascii_domain = domain if domain.isascii() else _ascii_domain(domain)
    if not local.isascii():
        raise ComposeError("the address has letters before the @ that most servers do not take")
    found = f"{local}@{ascii_domain}"
    if not at or len(found) > 254 or not _ADDRESS.fullmatch(found):
        raise ComposeError("this is not an e-mail address")
    return found


@lru_cache(maxsize=4096)
def _ascii_domain(domain: str) -> str:
    """The domain as DNS knows it, empty where there is no such form."""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


@lru_cache(maxsize=256)
def _date(moment: datetime) -> bytes:
    return format_datetime(moment).encode("ascii")


# Templates.


class _Part:
    """A text with slots, encoded but for them. `names` are those that are to be filled."""

    def __init__(self, pieces: Sequence[bytes | str]) -> None:
        """`pieces` are encoded text, and the names of slots."""
        self._pieces: list[bytes] = [b""]
        self._slots: list[tuple[int, str]] = []
        for piece in pieces:
            if isinstance(piece, str):
                self._slots.append((len(self._pieces), piece))
                self._pieces += (b"", b"")
            else:
                self._pieces[-1] += piece
        self.names = frozenset(name for _index, name in self._slots)

    @classmethod
    def of(cls, text: str, variables: frozenset[str]) -> "_Part":
        """The part this text is, with slots for those of the variables it names."""
        text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        pieces: list[bytes | str] = []
        place = 0
        for found in _SLOT.finditer(text):
            if found.group(1) in variables:
                encoded = quoted(text[place : found.start()])
                pieces.append(encoded + b"=\r\n" if encoded and not encoded.endswith(b"\r\n") else encoded)
                pieces.append(found.group(1))
                place = found.end()
        return cls([*pieces, quoted(text[place:]) + b"\r\n"])

    def given(self, encoded: Mapping[str, bytes]) -> "_Part":
        """The same part with these slots filled for good."""
        pieces: list[bytes | str] = list(self._pieces)
        for index, name in self._slots:
            pieces[index] = encoded.get(name, name)
        return _Part(pieces)

    def fill(self, encoded: Mapping[str, bytes]) -> list[bytes]:
        """The pieces of the part in their order."""
        pieces = self._pieces.copy()
        for index, name in self._slots:
            pieces[index] = encoded[name]
        return pieces


_CALENDAR = (
    b'\r\n--%b\r\nContent-Type: text/calendar; charset="utf-8"; method=PUBLISH\r\n'
    b'Content-Disposition: attachment; filename="calendar.ics"\r\n'
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
)
"""What goes into the calendar of whoever reads the mail: beside it, so nothing of the mail hides behind it."""

_OWN_LINES = f"\n{{{{{OWN_LINES}}}}}\n"


class _Calendar:
    """A calendar whose entry stands in it once for each that the reader has, with the lines that are their own.

    Its lines end in CRLF. `names` is the variable that fills it, if one does.
    """

    def __init__(self, text: str) -> None:
        text = text.replace("\r\n", "\n").strip("\n") + "\n"
        before, _, after = text.partition(_OWN_LINES)
        self.names = frozenset([OWN_LINES]) if after else frozenset[str]()
        # What people wrote stands behind a name or a blank, so none of it is a line of these.
        head, begin, start = before.rpartition("BEGIN:VEVENT\n")
        end, stop, tail = after.partition("END:VEVENT\n")
        self._head, self._tail = quoted(head), quoted(tail)
        self._start, self._end = quoted(f"{begin}{start}\n"), quoted(f"{end}{stop}")
        if not after:
            self._head = quoted(text)

    def filled(self, values: Mapping[str, str]) -> bytes:
        """The calendar of whoever has these values."""
        if not self.names:
            return self._head
        own = [quoted(each.strip("\n") + "\n") for each in values[OWN_LINES].replace("\r\n", "\n").split("\n\n")]
        return b"".join((self._head, *(self._start + each + self._end for each in own), self._tail))


@dataclass(slots=True)
class Letter:
    """What is one recipient's own of a mail. `address` is as `envelope_address` returns it."""

    message_id: str
    thread_root: str
    address: str
    name: str
    date: datetime
    values: Mapping[str, str]


class Wording:
    """A wording in one language, ready to be filled.

    `variables` are the names that may be filled; any other `{{name}}` stays as it was typed. `list_name` and `list_id`
    name the list it is unsubscribed from, `feedback_id` what Gmail groups its complaints by. Without a `list_id` it is
    a letter to one person and says nothing of lists. A wording with a "calendar" (iCalendar) carries that as a part of
    its own, the same for everybody but for the lines that OWN_LINES fills.
    """

    def __init__(
        self,
        wording: Mapping[str, str],
        variables: frozenset[str],
        *,
        mail_from: str,
        list_name: str,
        list_id: str,
        feedback_id: str,
    ) -> None:
        self._subject = wording["subject"]
        self._in_subject = frozenset(_SLOT.findall(self._subject)) & variables
        self._fixed_subject = None if self._in_subject else encoded_header(self._subject)
        self._is_list = bool(list_id)
        self.sender = parseaddr(mail_from)[1]
        self._text = _Part.of(wording["text"], variables)
        self._html = _Part.of(wording["html"], variables)
        self._names = self._text.names | self._html.names
        seed = hashlib.sha256((wording["text"] + wording["html"]).encode("utf-8", "replace")).hexdigest()[:24]
        # "=_" cannot occur in quoted-printable, so no content can look like this boundary.
        boundary = b"=_" + seed.encode("ascii")
        said_twice = b'multipart/alternative; boundary="' + boundary + b'"'
        calendar = wording.get("calendar", "")
        around = boundary + b"_"
        fixed = {
            b"List-Unsubscribe-Post": b"List-Unsubscribe=One-Click",
            b"List-Id": encoded_header(list_name) + b" <" + header_text(list_id).encode("ascii") + b">",
            b"Auto-Submitted": b"auto-generated",
            b"Precedence": b"bulk",
            b"X-Auto-Response-Suppress": b"All",
            b"Feedback-ID": encoded_header(feedback_id),
            b"MIME-Version": b"1.0",
            b"Content-Type": b'multipart/mixed; boundary="' + around + b'"' if calendar else said_twice,
        }
        if not self._is_list:
            fixed = {name: value for name, value in fixed.items() if name not in OF_LISTS}
        part = b'--%b\r\nContent-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
        self._before_text = (
            b"".join([name + b": " + value + b"\r\n" for name, value in fixed.items()])
            + b"\r\n"
            + (b"--" + around + b"\r\nContent-Type: " + said_twice + b"\r\n\r\n" if calendar else b"")
            + part % (boundary, b"plain")
        )
        self._before_html = b"\r\n" + part % (boundary, b"html")
        self._end = b"\r\n--" + boundary + b"--\r\n"
        self._calendar: _Calendar | None = None
        self._calendar_of_all: bytes | None = None
        if calendar:
            self._end += _CALENDAR % around
            self._after_calendar = b"\r\n--" + around + b"--\r\n"
            self._calendar = _Calendar(calendar)

    def given(self, values: Mapping[str, str]) -> "Wording":
        """The same wording for recipients who all have these values: what they share is filled in once.

        Values it cannot be filled with are left to each mail, which says so.
        """
        try:
            texts, htmls = _encoded({name: values[name] for name in self._names & values.keys()})
            subject = self._fixed_subject
            if self._in_subject <= values.keys():
                subject = self._subject_of(values)
        except (HeaderError, UnicodeError, TypeError, AttributeError):
            return self
        found = copy(self)
        found._fixed_subject = subject
        found._text, found._html = self._text.given(texts), self._html.given(htmls)
        found._names = found._text.names | found._html.names
        if self._calendar is not None and self._calendar.names <= values.keys():
            found._calendar_of_all = self._calendar.filled(values)
        return found

    def fill(self, letter: Letter) -> bytes:
        """The whole mail, every line ended by CRLF, none beginning with a dot. ComposeError if it cannot be made."""
        values = letter.values
        try:
            texts, htmls = _encoded({name: values[name] for name in self._names})
            message = b"".join(
                (
                    *(b"Message-ID: ", letter.message_id.encode("ascii"), b"\r\nDate: ", _date(letter.date)),
                    *(b"\r\nFrom: ", _sender(values["brand"], self.sender)),
                    *(b"\r\nTo: ", mailbox(letter.name, letter.address)),
                    *(b"\r\nSubject: ", self._fixed_subject or self._subject_of(values)),
                    *(b"\r\nReferences: ", root := letter.thread_root.encode("ascii"), b"\r\nIn-Reply-To: ", root),
                    *self._way_out(values),
                    self._before_text,
                    *self._text.fill(texts),
                    self._before_html,
                    *self._html.fill(htmls),
                    self._end,
                    *self._calendar_of(values),
                )
            )
        except KeyError as missing:
            raise ComposeError(f"there is no value for {missing}") from None
        except HeaderError as refusal:
            raise ComposeError(f"its subject cannot be sent: {refusal}") from None
        except (UnicodeError, TypeError, AttributeError):
            raise ComposeError("a value of it is not text") from None
        if len(message) > MOST_BYTES:
            raise ComposeError(f"it is larger than {MOST_BYTES // 1000:,} kB")
        return message

    def _calendar_of(self, values: Mapping[str, str]) -> tuple[bytes, ...]:
        if self._calendar is None:
            return ()
        if self._calendar_of_all is None:
            return self._calendar.filled(values), self._after_calendar
        return self._calendar_of_all, self._after_calendar

    def _way_out(self, values: Mapping[str, str]) -> tuple[bytes, ...]:
        if not self._is_list:
            return (b"\r\n",)
        return (b"\r\nList-Unsubscribe: <", _link(values["unsubscribe_url"]), b">\r\n")

    def _subject_of(self, values: Mapping[str, str]) -> bytes:
        return encoded_header(
            _SLOT.sub(
                lambda found: values[found.group(1)] if found.group(1) in self._in_subject else found.group(),
                self._subject,
            )
        )


def _encoded(values: Mapping[str, str]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """These values as they are set into the text and into the HTML."""
    texts = {name: _encoded_text(value) for name, value in values.items()}
    marked_up = {name: _encoded_html(value) for name, value in values.items() if _TO_MARK_UP.search(value)}
    return texts, {**texts, **marked_up} if marked_up else texts


@lru_cache(maxsize=256)
def _sender(brand: str, address: str) -> bytes:
    """The From of a brand."""
    return mailbox(brand, address)


def _link(url: str) -> bytes:
    if not _LINK.fullmatch(url):
        raise ComposeError("its unsubscribe link is not an address of the web")
    return url.encode("ascii")
