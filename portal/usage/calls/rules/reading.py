"""Reading records of calls, as machines send them and as files hold them, and what is wrong with one. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from portal.usage.calls.rules import (
    CARRIER_LENGTH,
    LASTS_AT_MOST,
    MILLISECOND,
    NUMBER_LENGTH,
    TAIL_LENGTH,
    Call,
    Outcome,
    milliseconds,
    outcome_of,
)
from portal.usage.rules import AHEAD, FUTURE_AT_MOST, TRUNK_LENGTH, Line, moment

FIELDS = (
    "call_id",
    "from",
    "to",
    "started_at",
    "ringing_at",
    "answered_at",
    "ended_at",
    "result",
    "trunk",
    "carrier",
    "service_id",
)
"""What a record says, by the names it has in the API; a file without a heading has these columns in this order."""

CALL_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
NOT_DIGITS = re.compile(r"[^0-9]+", re.ASCII)
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
WORDS = tuple(each.value for each in Outcome)
CODE = re.compile(r"[2-6][0-9]{2}", re.ASCII)


class Wrong(ValueError):  # noqa: N818 (refusals are named as one says them)
    """What cannot be taken of a record: the field, and a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


def strict_moment(text: Any) -> int:
    """A moment as machines write it, RFC 3339 with a zone; ValueError with a sentence."""
    if not isinstance(text, str) or not RFC_3339.fullmatch(text):
        raise ValueError("Write a moment like 2026-11-21T12:00:00Z.")
    try:
        return milliseconds(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):
        raise ValueError("Write a moment like 2026-11-21T12:00:00Z.") from None


def lenient_moment(text: Any) -> int:
    """A moment out of a file, in UTC where it names no zone; ValueError with a sentence."""
    return milliseconds(moment(text))


def read(raw: Mapping[str, Any], moment_of: Callable[[Any], int]) -> Call:
    """A record by the names of `FIELDS`, what is None or empty left out; Wrong for what is no record.

    Whether its moments can be, `refusal` says.
    """
    call_id = raw.get("call_id")
    if not isinstance(call_id, str) or not CALL_ID.fullmatch(call_id):
        raise Wrong("call_id", "A Call-ID has 1 to 200 plain characters without spaces.")
    started = _moment(raw, "started_at", moment_of)
    if started is None:
        raise Wrong("started_at", "A record says when its call started.")
    answered = _moment(raw, "answered_at", moment_of)
    outcome, code = _result(raw.get("result"))
    if answered is not None and outcome is None:
        outcome = Outcome.ANSWERED
    return Call(
        call_id,
        _text(raw, "from", NUMBER_LENGTH),
        _text(raw, "to", NUMBER_LENGTH),
        started,
        _moment(raw, "ringing_at", moment_of),
        answered,
        _moment(raw, "ended_at", moment_of),
        outcome,
        code,
        _text(raw, "trunk", TRUNK_LENGTH),
        _text(raw, "carrier", CARRIER_LENGTH),
        _service(raw.get("service_id")),
    )


def _moment(raw: Mapping[str, Any], field: str, moment_of: Callable[[Any], int]) -> int | None:
    text = raw.get(field)
    if text is None or text == "":
        return None
    try:
        return moment_of(text)
    except ValueError as error:
        raise Wrong(field, str(error)) from None


def _text(raw: Mapping[str, Any], field: str, most: int) -> str:
    text = raw.get(field)
    if text is None or text == "":
        return ""
    if not isinstance(text, str):
        raise Wrong(field, "This is text.")
    text = text.strip()
    if len(text) > most or not text.isprintable():
        raise Wrong(field, f"This is at most {most} characters on one line.")
    return text


def _result(raw: Any) -> tuple[Outcome | None, int | None]:
    """What a record says the call came to, as a SIP response or a word."""
    if raw is None or raw == "":
        return None, None
    if isinstance(raw, str):
        word = raw.strip().lower().replace(" ", "_").replace("-", "_")
        if word in WORDS:
            return Outcome(word), None
        raw = int(word) if CODE.fullmatch(word) else None
    if type(raw) is int and (outcome := outcome_of(raw)):
        return outcome, raw
    raise Wrong("result", f"A result is a last SIP response from 200 to 699, or one of {', '.join(WORDS)}.")


def _service(raw: Any) -> int | None:
    if raw is None or raw == "":
        return None
    if isinstance(raw, str) and raw.strip().isascii() and raw.strip().isdigit() and len(raw.strip()) < 11:
        raw = int(raw)
    if type(raw) is not int or not 1 <= raw < 2**31:
        raise Wrong("service_id", "A service is named by its number.")
    return raw


def tail_of(number: str) -> str:
    """The digits of a number from the last to the first: what follows an @ or a ; says where it is, not who."""
    if "@" in number or ";" in number:
        number = re.split("[@;]", number, maxsplit=1)[0]
    return NOT_DIGITS.sub("", number)[::-1][:TAIL_LENGTH]


def searched_tail(text: str) -> str:
    """The same of what somebody searches for; the ways to write a country or a trunk prefix are left out.

    +49 30 …, 0049 30 … and 030 … all find what ends alike.
    """
    return tail_of(text).rstrip("0") or tail_of(text)


_COLUMNS = {
    "callid": "call_id",
    "from": "from",
    "fromnumber": "from",
    "caller": "from",
    "to": "to",
    "tonumber": "to",
    "called": "to",
    "start": "started_at",
    "started": "started_at",
    "startedat": "started_at",
    "ringing": "ringing_at",
    "ringingat": "ringing_at",
    "answer": "answered_at",
    "answered": "answered_at",
    "answeredat": "answered_at",
    "end": "ended_at",
    "ended": "ended_at",
    "endedat": "ended_at",
    "result": "result",
    "trunk": "trunk",
    "carrier": "carrier",
    "service": "service_id",
    "serviceid": "service_id",
}


def columns_of(row: Sequence[str]) -> list[str | None] | None:
    """Which field each column of a heading is, None for columns that say nothing; None where it is no heading."""
    found = [_COLUMNS.get(re.sub("[^a-z]", "", cell.lower())) for cell in row]
    return found if "call_id" in found and "started_at" in found else None


def read_lines(rows: Iterable[Sequence[str]]) -> tuple[dict[int, Call], list[Line]]:
    """The records of a file by their lines, and the lines that are none."""
    columns: Sequence[str | None] = FIELDS
    calls: dict[int, Call] = {}
    wrong: list[Line] = []
    for number, row in enumerate(rows, 1):
        if number == 1 and (named := columns_of(row)):
            columns = named
        elif any(cell.strip() for cell in row):
            raw = {name: cell.strip() for name, cell in zip(columns, row, strict=False) if name}
            try:
                calls[number] = read(raw, lenient_moment)
            except Wrong as error:
                wrong.append(Line(number, f"{error.field}: {error.sentence}"))
    return calls, wrong


def refusal(call: Call, now: int, earliest: int) -> tuple[str, str] | None:
    """Which field of a record is wrong, and why; None for one that can be taken.

    `earliest` is from when on everything is kept that it is counted in.
    """
    if call.started < earliest:
        return "started_at", TOO_LATE
    ahead = now + FUTURE_AT_MOST // MILLISECOND
    last = call.started if call.ended is None else call.ended
    if not call.started <= last <= min(ahead, call.started + LASTS_AT_MOST):
        return _wrong_end(call, last, ahead)
    for field, at in (("ringing_at", call.ringing), ("answered_at", call.answered)):
        if at is not None and not call.started <= at <= (ahead if call.ended is None else last):
            return field, BEFORE if at < call.started else AHEAD if at > ahead else "This is after the call ended."
    if (call.outcome is Outcome.ANSWERED) != (call.answered is not None):
        return ("result", NOT_ANSWERED) if call.answered is not None else ("answered_at", NO_ANSWER_TIME)
    return None


def joined_refusal(call: Call, earliest: int) -> tuple[str, str] | None:
    """The same of what is known of a call once a record is joined to it that could be taken by itself."""
    if call.started < earliest:
        return "started_at", TOO_LATE
    if call.ended is not None and call.ended - call.started > LASTS_AT_MOST:
        return "call_id", LASTS_TOO_LONG
    return None


def _wrong_end(call: Call, last: int, ahead: int) -> tuple[str, str]:
    if call.started > ahead:
        return "started_at", AHEAD
    return "ended_at", BEFORE if last < call.started else AHEAD if last > ahead else LASTS_TOO_LONG


BEFORE = "This is before the call started."
TOO_LATE = "This call is older than what is still kept, so it cannot be counted any more."
LASTS_TOO_LONG = "A call lasts at most seven days. Is this another one with the same Call-ID?"
NOT_ANSWERED = "A call with a time of answer was answered: its result is 200, or left out."
NO_ANSWER_TIME = "An answered call has the time of its answer."
