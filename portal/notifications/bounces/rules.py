"""Reading what comes back, pure: what a report says, of which mail, and what follows from it.

Source: RFC 3464 (delivery reports), RFC 5965 (complaints), RFC 3834 (automatic answers); status-pages, section 4.3.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from enum import StrEnum

from portal.notifications.rules import Failure, Stage, classify, enhanced_code

MOST_BYTES = 256 * 1024
"""What of a report is read: what it says comes first, the mail it returns last."""

MOST_LINES = 20_000
LONGEST_LINE = 2_000
LONGEST_CONTENT_TYPE = 2_000
MOST_PARTS = 40
"""Beyond these bounds a report is broken: reading it would cost more than anybody's mail program makes."""

MOST_RECIPIENTS = 50
MOST_NAMES = 20
"""Recipients, and names of mails, of one report that are looked at."""


BY_REPORT = "report"
"""What stands as the worker of an attempt that a report tells of."""


class CameBy(StrEnum):
    """Which way a report came."""

    MAILBOX = "mailbox"
    HTTP = "http"


class Outcome(StrEnum):
    """What was made of a report.

    BOUNCED: no such address, suppressed · STRIKE: did not arrive for a reason that may pass · POLICY: refused by
    policy, which is our fault · REFUSED: this mail was refused for what it is · COMPLAINT: whoever reads it wants no
    more of that list. Nothing follows from the rest. DELAYED: still being tried · DELIVERED: has arrived · AUTOMATIC:
    an answer without a reader, or one of our own mails · HANDED_ON: no report, but for a door (`doors`) · NOT_OURS:
    names no mail we know · OTHER_ADDRESS: is about an address that mail did not go to · UNCLEAR: is no report we can
    read · BROKEN: cannot be read at all.
    """

    BOUNCED = "bounced"
    STRIKE = "strike"
    POLICY = "policy"
    REFUSED = "refused"
    COMPLAINT = "complaint"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    AUTOMATIC = "automatic"
    HANDED_ON = "handed_on"
    NOT_OURS = "not_ours"
    OTHER_ADDRESS = "other_address"
    UNCLEAR = "unclear"
    BROKEN = "broken"


NOT_ARRIVED = frozenset({Outcome.BOUNCED, Outcome.STRIKE, Outcome.POLICY, Outcome.REFUSED})
"""Outcomes after which the mail counts as failed."""

FOR_A_HUMAN = frozenset({Outcome.OTHER_ADDRESS, Outcome.UNCLEAR, Outcome.BROKEN})
"""Outcomes that somebody may want to look into; in the mailbox these stay apart."""


class BrokenReport(ValueError):  # noqa: N818 (it is what the report is)
    """A report that cannot be read within bounds; the sentence says why."""


# How we name a mail, so that a report can name it again.

_LETTERS = "[a-z2-7]{26}"


def envelope_sender(bounce_address: str, message_id: str, otherwise: str) -> str:
    """The sender a server is told for this mail: local+token@domain, the token being that of its Message-ID.

    `otherwise` is the plain sender, for where no bounce address is set.
    """
    if not bounce_address:
        return otherwise
    local, _, domain = bounce_address.rpartition("@")
    return f"{local}+{message_id[1:].partition('@')[0]}@{domain}"


@dataclass(frozen=True)
class Names:
    """How this installation names its mails: the domain of Message-IDs and the bounce address (empty: none)."""

    mail_domain: str
    bounce_address: str

    def in_text(self, text: str) -> Iterator[str]:
        """The Message-IDs that stand in a text, as such or as a bounce address."""
        for found in self._pattern.finditer(text):
            yield f"<{(found.group(1) or found.group(2)).lower()}@{self.mail_domain}>"

    @property
    def _pattern(self) -> re.Pattern[str]:
        local, _, domain = self.bounce_address.rpartition("@")
        sender = rf"{re.escape(local)}\+({_LETTERS})@{re.escape(domain)}" if domain else r"(?!)()"
        own = rf"({_LETTERS})@{re.escape(self.mail_domain)}"
        before, after = r"(?<![A-Za-z0-9.+_-])", r"(?![A-Za-z0-9-]|\.[A-Za-z0-9])"
        return re.compile(rf"{before}(?:{sender}|{own}){after}", re.IGNORECASE)


# What a report says.


@dataclass(frozen=True)
class Said:
    """What a report says of one recipient. `addresses` are the forms it is named in, compared in lower case.

    `action` is a word of RFC 3464 ("failed", "delayed" …), `status` an enhanced code, "" where none is named.
    """

    addresses: frozenset[str]
    action: str
    status: str
    words: str


@dataclass(frozen=True)
class Reading:
    """A report as it was read: its nature so far, which mails it names (most reliable first), of whom it says what."""

    outcome: Outcome | None
    subject: str
    message_ids: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()
    words: str = ""
    is_own_mail: bool = False
    text: str = ""

    @property
    def is_complaint(self) -> bool:
        return self.outcome is Outcome.COMPLAINT


def ended(reading: Reading, outcome: Outcome, words: str = "") -> Reading:
    """The reading with what was made of it, and why where the report itself does not tell."""
    return replace(reading, outcome=outcome, words=words or reading.words)


def with_said(reading: Reading, said: tuple[Said, ...]) -> Reading:
    """The reading of something that turned out to be a report after all."""
    return replace(reading, outcome=None, said=said)


_CONTENT_TYPE = re.compile(rb"^content-type:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
_NESTS = re.compile(rb"boundary|message/", re.IGNORECASE)


def within_bounds(raw: bytes) -> bytes:
    """What of these bytes is read, with plain line ends; BrokenReport where reading it could take long."""
    lines = raw[:MOST_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n", MOST_LINES)[:MOST_LINES]
    text = b"\n".join([line[:LONGEST_LINE] for line in lines])
    if b"\0" in text:
        text = text.replace(b"\0", b"")
    if sum(1 for _ in _NESTS.finditer(text)) > MOST_PARTS:
        raise BrokenReport("it has too many parts within parts")
    if any(len(each.group()) > LONGEST_CONTENT_TYPE for each in _CONTENT_TYPE.finditer(text)):
        raise BrokenReport("a header of it is too long")
    return text


def read(raw: bytes, names: Names) -> Reading:
    """Read a report; `outcome` is None where what follows depends on the recipient. BrokenReport says why not."""
    text = within_bounds(raw)
    try:
        message = message_from_bytes(text, policy=policy.compat32)
        parts = list(message.walk())
    except RecursionError:
        raise BrokenReport("its parts are nested too deep") from None
    if len(parts) > MOST_PARTS * 2:
        raise BrokenReport("it has too many parts")
    reading = _reading(message, parts)
    found = tuple(dict.fromkeys(_message_ids(message, parts, text, names)))[:MOST_NAMES]
    own = tuple(names.in_text(_header(message, "Message-ID")))
    return replace(reading, message_ids=found, is_own_mail=bool(own), text=_first_text(parts))


def _reading(message: Message, parts: Sequence[Message]) -> Reading:
    subject = one_line(_decoded(_header(message, "Subject")))[:200]
    for part in parts:
        kind = part.get_content_type()
        if kind in {"message/delivery-status", "message/global-delivery-status"}:
            said = tuple(_recipients(part))
            return Reading(None if said else Outcome.UNCLEAR, subject, said=said)
        if kind == "message/feedback-report":
            return _complaint(part, parts, subject)
    if _is_automatic(message):
        return Reading(Outcome.AUTOMATIC, subject, words=_first_line(parts))
    return Reading(Outcome.UNCLEAR, subject, words=_first_line(parts))


# RFC 3464: a group of fields about the mail, then one per recipient.


def _recipients(part: Message) -> Iterator[Said]:
    for group in _groups(part)[:MOST_RECIPIENTS]:
        addresses = frozenset(
            address
            for name in ("Original-Recipient", "Final-Recipient")
            for address in _forms(_typed(_header(group, name)).lower())
        )
        if not addresses:
            continue
        words = one_line(_typed(_header(group, "Diagnostic-Code")))
        yield Said(
            addresses,
            action=_header(group, "Action").split("(")[0].strip().lower(),
            status=_status(_header(group, "Status")),
            words=words[:500],
        )


def _forms(address: str) -> set[str]:
    """An address as it stands there and as it was before it was encoded (xtext, RFC 3461): `a+2Bb` is `a+b`."""
    plain = re.sub(r"\+([0-9a-f]{2})", lambda found: chr(int(found.group(1), 16)), address)
    return {address, plain} if address else set()


def _groups(part: Message) -> list[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        return [each for each in payload if isinstance(each, Message)]
    # Encoded, which RFC 3464 forbids and some do: the parser has left it as it was.
    decoded = part.get_payload(decode=True)
    if not isinstance(decoded, bytes):
        return []
    blocks = decoded.replace(b"\r\n", b"\n").split(b"\n\n")[: MOST_RECIPIENTS + 1]
    return [message_from_bytes(block.strip() + b"\n\n", policy=policy.compat32) for block in blocks]


def _typed(value: str) -> str:
    """What stands behind the type of a field such as `rfc822; alice@customers.test`, without angle brackets."""
    _type, mark, rest = value.partition(";")
    return (rest if mark else value).strip().removeprefix("<").removesuffix(">").strip()


def _status(value: str) -> str:
    found = re.match(r"\s*([245]\.\d{1,3}\.\d{1,3})(?!\d)", value)
    return found.group(1) if found else ""


# RFC 5965: what a reader, or their provider, thinks of a mail.

_UNWANTED = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})


def _complaint(part: Message, parts: Sequence[Message], subject: str) -> Reading:
    groups = _groups(part)
    fields = groups[0] if groups else part
    kind = _header(fields, "Feedback-Type").strip().lower()
    if kind not in _UNWANTED:
        return Reading(Outcome.UNCLEAR, subject, words=f"A feedback report of the type “{kind[:40] or 'none'}”.")
    named = [_typed(value) for value in _headers(fields, "Original-Rcpt-To")]
    named += [_typed(value) for value in _headers(fields, "Removal-Recipient")]
    if not named:
        for original in _originals(parts):
            named += [address for _name, address in getaddresses(_headers(original, "To")[:1])]
    addresses = frozenset(each.lower() for each in named[:MOST_RECIPIENTS] if _looks_whole(each))
    said = (Said(addresses, kind, "", ""),) if addresses else ()
    agent = one_line(_header(fields, "User-Agent"))[:100]
    return Reading(Outcome.COMPLAINT, subject, said=said, words=f"Feedback report ({kind}) of {agent or 'a receiver'}.")


def _looks_whole(address: str) -> bool:
    """Whether an address was left as it is: many receivers strike out who complained (RFC 6590)."""
    local, at, domain = address.partition("@")
    return bool(local and at and domain) and "redact" not in address.lower() and "*" not in address


# Which mail it is about.

DELIVERED_TO = ("Delivered-To", "X-Original-To", "X-Delivered-To", "Envelope-To", "X-Envelope-To", "To")


def _message_ids(message: Message, parts: Sequence[Message], raw: bytes, names: Names) -> Iterator[str]:
    """The mails of ours that a report names, most reliable first: where it was sent to, what it returns, its text."""
    for name in DELIVERED_TO:
        for value in _headers(message, name)[:5]:
            yield from names.in_text(value)
    for part in parts:
        if part.get_content_type() == "message/feedback-report":
            for group in _groups(part)[:1]:
                yield from names.in_text(_header(group, "Original-Mail-From"))
    for original in _originals(parts):
        yield from names.in_text(_header(original, "Message-ID"))
        yield from names.in_text(_header(original, "Return-Path"))
    # Whoever writes reports of their own kind quotes the mail as text; a token cannot be there by chance.
    yield from names.in_text(raw.replace(b"=\n", b"").decode("ascii", "replace"))


def _originals(parts: Sequence[Message]) -> Iterator[Message]:
    """The mails, or their headers, that a report returns."""
    for part in parts:
        kind = part.get_content_type()
        payload = part.get_payload()
        if kind in {"message/rfc822", "message/global"} and isinstance(payload, list) and payload:
            yield from (each for each in payload[:1] if isinstance(each, Message))
        elif kind in {"text/rfc822-headers", "message/global-headers"}:
            decoded = part.get_payload(decode=True)
            if isinstance(decoded, bytes):
                yield message_from_bytes(decoded.lstrip() + b"\n\n", policy=policy.compat32)


# Answers without a reader, none of which says anything of an address.

_AWAY = re.compile(
    r"out of (?:the )?office|auto(?:matic|mated)?[ -]?(?:reply|response)|vacation|away from|abwesen|urlaub"
    r"|automatische antwort|eingangsbest|please confirm|confirm(?:ation)? (?:your|required)|challenge",
    re.IGNORECASE,
)


def _is_automatic(message: Message) -> bool:
    """Whether this is a note of somebody's absence, a receipt, a challenge or the like (RFC 3834 and custom)."""
    sender = _header(message, "From").lower()
    if "mailer-daemon" in sender or "postmaster@" in sender or _header(message, "X-Failed-Recipients"):
        return False
    submitted = _header(message, "Auto-Submitted").strip().lower()
    return (
        submitted.startswith(("auto-replied", "auto-notified", "auto-generated"))
        or any(_header(message, name) for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponse", "X-Vacation"))
        or _header(message, "Precedence").strip().lower() in {"auto_reply", "bulk", "junk", "list"}
        or message.get_content_type() == "multipart/report"
        or bool(_AWAY.search(_decoded(_header(message, "Subject"))))
    )


# What follows.

_OF_THE_ADDRESS = ("5.0.", "5.1.", "5.2.", "5.4.")
_SMTP_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?![\d.])")
_NOT_ITS_OWN = frozenset({"421", "530", "535"})
"""Codes that speak of a relay when a server answers us with them, and of nothing we know in a report."""


def follows(said: Said) -> tuple[Outcome, Failure | None]:
    """What follows from what a delivery report says of one recipient, and which kind of failure it is."""
    if said.action in {"delivered", "relayed", "expanded"} or said.status.startswith("2."):
        return Outcome.DELIVERED, None
    if said.action == "delayed":
        return Outcome.DELAYED, None
    status = precise_status(said)
    found = _SMTP_CODE.search(said.words)
    code = found.group(1) if found and found.group(1) not in _NOT_ITS_OWN else ""
    if not status and not code:
        return Outcome.STRIKE, Failure.REFUSED
    if status.startswith("4.7."):
        return Outcome.POLICY, Failure.REPUTATION
    if not code or (status and status[0] != code[0]):
        code = f"{status[0]}50"
    failure = classify(Stage.RCPT, int(code), f"{status} {said.words}" if status else said.words)
    return _outcome(failure, status), failure


def precise_status(said: Said) -> str:
    """The most telling enhanced code: many name a general one in the field, and their server's own in the words."""
    words = re.sub(r"^\s*\d{3}[ -]", "", said.words)
    own = enhanced_code(words.lstrip("#( ")) or _status_within(words)
    is_general = not said.status or said.status.endswith(".0.0")
    return own if own and is_general else said.status


def _status_within(words: str) -> str:
    found = re.search(r"(?<![\d.])#?([45]\.\d{1,2}\.\d{1,3})(?![\d.])", words)
    return found.group(1) if found else ""


def _outcome(failure: Failure, status: str) -> Outcome:
    if failure is Failure.HARD:
        return Outcome.BOUNCED
    if failure is Failure.REPUTATION:
        return Outcome.POLICY
    if failure in {Failure.SOFT, Failure.MESSAGE_FULL}:
        return Outcome.STRIKE
    is_of_the_address = not status or status.startswith(_OF_THE_ADDRESS)
    return Outcome.STRIKE if failure is Failure.REFUSED and is_of_the_address else Outcome.REFUSED


# Text of strangers.


def one_line(text: str) -> str:
    """Text of a stranger as it may stand in a list: one line, nothing that cannot be printed."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _header(message: Message, name: str) -> str:
    return str(message.get(name, ""))[:4000]


def _headers(message: Message, name: str) -> list[str]:
    return [str(value)[:4000] for value in message.get_all(name, [])]


def _decoded(value: str) -> str:
    try:
        pieces = decode_header(value[:1000])
        return "".join(
            piece.decode(charset or "ascii", "replace") if isinstance(piece, bytes) else piece
            for piece, charset in pieces
        )
    except (LookupError, ValueError):
        return value[:1000]


def _first_text(parts: Sequence[Message]) -> str:
    """The beginning of the first part people read, decoded."""
    for part in parts:
        if part.get_content_type() == "text/plain":
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                return payload[:16_000].decode("utf-8", "replace")
    return ""


def _first_line(parts: Sequence[Message]) -> str:
    return one_line(_first_text(parts)[:2000])[:300]
