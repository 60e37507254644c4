"""Reading a mail that opens a report or writes to one.

Its subject is the title, or names the report it is about as `[#12]`. Its first lines may be commands, one each:

    State: Identified
    Component: SIP edge London = Major Outage

What follows is the text, up to what the mail program quotes below an answer.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr

from portal import plaintext
from portal.incidents.rules import Severity, State
from portal.incidents.rules.monitors import NotUnderstoodError, severity_of
from portal.notifications.bounces.rules import BrokenReport, within_bounds

SUBJECT_LENGTH = 200
TEXT_LENGTH = 20_000
COMMANDS_AT_MOST = 50

STATES = {
    "investigating": State.INVESTIGATING,
    "identified": State.IDENTIFIED,
    "watching": State.WATCHING,
    "monitoring": State.WATCHING,
    "fixed": State.FIXED,
    "resolved": State.FIXED,
}
SEVERITIES = {
    "none": Severity.NONE,
    "ok": Severity.NONE,
    "performance issue": Severity.PERFORMANCE_ISSUE,
    "partial rth": Severity.PARTIAL_RTH,
    "partial outage": Severity.PARTIAL_RTH,
    "major outage": Severity.MAJOR_OUTAGE,
}


@dataclass(frozen=True)
class Letter:
    """What a mail says. `report` is the number of the report it is about, None where it is about a new one.

    `named` are components by their titles in lower case, with None where the mail does not say how bad it is.
    `sender` is an address in lower case, "" where there is none; nothing proves that it is theirs.
    """

    message_id: str
    sender: str
    subject: str
    text: str
    is_automatic: bool
    report: int | None
    state: State | None
    named: Mapping[str, Severity | None]


def read_letter(raw: bytes) -> Letter:
    """What a mail says. Raises NotUnderstoodError for what cannot be read, or says nothing that is known."""
    try:
        return _letter(message_from_bytes(within_bounds(raw), policy=policy.default))
    except (BrokenReport, LookupError, ValueError, AttributeError, TypeError, RecursionError) as why:
        # The parser of headers calls itself for each bracket that opens.
        raise NotUnderstoodError("The mail cannot be read.") from why


def _letter(message: EmailMessage) -> Letter:
    subject = _line(_header(message, "Subject"))
    state, named, text = _commands(_said(message))
    number = _NUMBER.search(subject)
    title = _line(_REPLY.sub("", _NUMBER.sub("", subject)))
    return Letter(
        message_id=_line(_header(message, "Message-ID")),
        sender=parseaddr(_header(message, "From"))[1].casefold()[:254],
        subject=title,
        text=text[:TEXT_LENGTH],
        is_automatic=_is_automatic(message),
        report=int(number[1]) if number else None,
        state=state,
        named=named,
    )


_NUMBER = re.compile(r"\[#(\d{1,9})\]")
_REPLY = re.compile(r"^(?:\s*(?:re|aw|fwd?|wg|antw)\s*:)+", re.IGNORECASE)
_COMMAND = re.compile(r"(state|status|component)\s*:(.+)", re.IGNORECASE)
_QUOTED = re.compile(
    r"^(?:>|-- ?$|_{10,}|-{3,} ?(?:original message|ursprüngliche nachricht)"
    r"|(?:on|am) .{4,200}(?:wrote|schrieb).{0,80}:\s*$)",
    re.IGNORECASE,
)


def _commands(said: str) -> tuple[State | None, dict[str, Severity | None], str]:
    """The commands in the first lines, and the text below them without what is quoted."""
    state: State | None = None
    named: dict[str, Severity | None] = {}
    lines = said.strip().splitlines()
    while lines and len(named) < COMMANDS_AT_MOST and (found := _COMMAND.fullmatch(lines[0].strip())):
        word, value = found[1].casefold(), found[2].strip()
        if word == "component":
            title, _, severity = value.partition("=")
            named[_key(title)] = _severity(severity) if severity.strip() else None
        elif (state := STATES.get(value.casefold())) is None:
            raise NotUnderstoodError(f"“{value[:60]}” is no state. Say Investigating, Identified, Watching or Fixed.")
        lines.pop(0)
    return state, named, "\n".join(_until_quoted(lines)).strip()


def _until_quoted(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if _QUOTED.match(line.strip()):
            return
        yield line.rstrip()


def _severity(word: str) -> Severity:
    found = SEVERITIES.get(_key(word)) or severity_of(word)
    if found is None:
        raise NotUnderstoodError(
            f"“{word.strip()[:60]}” is no severity. Say None, Performance Issue, Partial RTH or Major Outage."
        )
    return found


def _said(message: EmailMessage) -> str:
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    content = body.get_content()
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    if body.get_content_subtype() == "html":
        text = plaintext.from_html(text)
    return "".join(each for each in text.replace("\r\n", "\n") if each.isprintable() or each in "\n\t")


def _header(message: EmailMessage, name: str) -> str:
    return str(message.get(name, ""))


def _is_automatic(message: EmailMessage) -> bool:
    """Whether it only answers another mail (RFC 3834): an absence, a receipt. What a monitor generates is meant."""
    submitted = _header(message, "Auto-Submitted").partition(";")[0].strip().casefold()
    return submitted == "auto-replied" or _header(message, "Return-Path").strip() == "<>"


def _line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:SUBJECT_LENGTH]


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()[:200]
