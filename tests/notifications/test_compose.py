"""Filling: whatever the values hold, the standard library parses the same mail back."""

import quopri
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from html import escape, unescape
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portal.notifications.compose import (
    ComposeError,
    Letter,
    Wording,
    encoded_header,
    envelope_address,
    mailbox,
    quoted,
)
from portal.notifications.rules import HeaderError

NAMES = frozenset({"name", "service", "brand", "unsubscribe_url"})
VALUES = {
    "name": "Alice",
    "service": "Hosted telephony",
    "brand": "Northline",
    "unsubscribe_url": "https://a.portal.test/u/abc.def-ghi_jkl",
}
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

hard_text = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(list("..=\r\n\t \x00\u2028\u0085<>&\"'?{}-ÄÖ電🚨")),
    max_size=100,
)
hard_lines = st.lists(hard_text, max_size=4).map("\n".join)


def wording(text: str = "Hello {{name}}", html: str = "<p>{{name}}</p>", subject: str = "Outage") -> Wording:
    return Wording(
        {"subject": subject, "text": text, "html": html},
        NAMES,
        mail_from="status@portal.test",
        list_name="Störungen und Wartung",
        list_id="incidents.portal.test",
        feedback_id="1:incident:incidents:portal.test",
    )


def letter(to: str = "Alice", **values: str) -> Letter:
    return Letter("<mid@portal.test>", "<root@portal.test>", "alice@people.test", to, AT, {**VALUES, **values})


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    payload = cast(bytes, body.get_payload(decode=True))
    return payload.decode("utf-8")


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sound(raw: bytes) -> None:
    """What every server takes: CRLF only, 7 bits, lines of 998 at most, none that begins with a dot."""
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert raw.isascii()
    assert raw.endswith(b"\r\n")
    assert not re.search(rb"(?m)^\.", raw)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76


@given(hard_text, hard_lines)
@example("", ".")
@example("x" * 71 + ".", "\n.\nMAIL FROM:<x@y>\n")
@example("{{service}}", "{{name}}")
@example("\r", "\r")
@settings(max_examples=80)
def test_values_come_out_as_they_went_in(name: str, service: str) -> None:
    made = wording(
        "Hello {{name}},\n\n{{service}}.\nend of {{ service }}",
        "<p title='{{name}}'>{{service}}.</p>\n{{unknown}}",
    )
    raw = made.fill(letter("Alice", name=name, service=service))
    sound(raw)
    message = parsed(raw)
    assert [each.get_content_type() for each in message.iter_parts()] == ["text/plain", "text/html"]
    # The last line break is the wording's, whatever the value before it ends with.
    wanted = lines(f"Hello {name},\n\n{service}.\nend of {service}") + "\n"
    assert lines(part(message, "plain")) == wanted
    shown = part(message, "html")
    assert "{{unknown}}" in shown
    found = re.fullmatch(r"<p title='(.*)'>(.*)\.</p>\r\n\{\{unknown\}\}\r\n", shown, re.DOTALL)
    assert found is not None
    for value, given_value in zip(found.groups(), (name, service), strict=True):
        assert not re.search("<(?!br>)|[\"']", value)
        assert unescape(value.replace("<br>", "\n")) == unescape(re.sub("<br>", "\n", _escaped(given_value)))


def _escaped(text: str) -> str:
    return escape(lines(text))


@given(hard_text, hard_lines, st.sets(st.sampled_from(["name", "service", "brand", "unsubscribe_url"])))
@example("x.", ".", {"service"})
@example("{{service}}", "{{name}}", {"name", "brand"})
@settings(max_examples=80)
def test_what_recipients_share_is_filled_in_once_and_makes_the_same_mail(
    name: str, service: str, shared: set[str]
) -> None:
    made = wording(
        "Hello {{name}},\n\n{{service}}.\nend of {{ service }}",
        "<p title='{{name}}'>{{service}}.</p>\n{{unknown}}",
        "{{brand}}: an outage",
    )
    mine = letter("Alice", name=name, service=service)
    given_before = made.given({each: mine.values[each] for each in shared})
    assert given_before.fill(mine) == made.fill(mine)


def test_what_cannot_be_filled_in_for_all_is_left_to_each_mail() -> None:
    with pytest.raises(ComposeError):
        wording(subject="{{service}}").given({"service": "a\nb"}).fill(letter(service="a\nb"))


@given(hard_lines, hard_lines)
@settings(max_examples=80)
def test_whatever_the_wording_holds_is_what_is_read(text: str, html: str) -> None:
    """Text from outside stands in the wording too: an incident's description."""
    plain = re.sub(r"\{\{|\}\}", "", text)
    raw = wording(plain, re.sub(r"\{\{|\}\}", "", html)).fill(letter())
    sound(raw)
    message = parsed(raw)
    assert lines(part(message, "plain")) == lines(plain).rstrip("\n") + "\n"
    assert len(list(message.iter_parts())) == 2


@given(hard_text)
@example("ä =?UTF-8?Q?=0A?=Bcc: injected@e.test")
@example("x\r\nBcc: v@e.test")
@example('"Bob" <evil@e.test>, x')
@example("a,b;c:d@e [f] (g) \\h")
@settings(max_examples=80)
def test_i22_a_name_never_adds_a_header_or_a_recipient(name: str) -> None:
    raw = wording().fill(letter(name))
    sound(raw)
    message = parsed(raw)
    assert [address.addr_spec for address in cast(Any, message["To"]).addresses] == ["alice@people.test"]
    assert [name.lower() for name in message] == HEADERS
    # The header decoder of the library goes by RFC 2047; its newer parser sets a space between two encoded words.
    raw_header = re.search(rb"\r\nTo: ([^\r]*(?:\r\n [^\r]*)*)", raw)
    assert raw_header is not None
    shown = str(make_header(decode_header(raw_header.group(1).decode().replace("\r\n", ""))))
    assert unquoted(shown.removesuffix("<alice@people.test>").strip()) in {"alice@people.test", " ".join(name.split())}


def unquoted(phrase: str) -> str:
    return re.sub(r"\\(.)", r"\1", phrase[1:-1]) if phrase.startswith('"') else phrase


HEADERS = [
    "message-id",
    "date",
    "from",
    "to",
    "subject",
    "references",
    "in-reply-to",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-id",
    "auto-submitted",
    "precedence",
    "x-auto-response-suppress",
    "feedback-id",
    "mime-version",
    "content-type",
]


@given(hard_text.map(lambda text: " ".join(text.split())))
@example("x" * 300)
@example("Ä" * 200)
def test_a_subject_is_read_as_it_was_written_or_refused(subject: str) -> None:
    try:
        raw = wording(subject=subject).fill(letter())
    except HeaderError:
        assert re.search(r"[\x00-\x08\x0e-\x1b\x7f-\x9f]|=\?[^?\s]*\?[bqBQ]\?", subject)
        return
    sound(raw)
    assert [name.lower() for name in parsed(raw)] == HEADERS
    # str() of the parsed header: a run of spaces within encoded words is kept by it.
    assert str(parsed(raw)["Subject"]) == subject


def test_a_subject_may_hold_the_brand_of_the_recipients_portal() -> None:
    made = wording(subject="[{{brand}} status] Störung")
    assert str(parsed(made.fill(letter(brand="Südnetz")))["Subject"]) == "[Südnetz status] Störung"
    assert str(parsed(made.fill(letter(brand="Northline")))["Subject"]) == "[Northline status] Störung"


@pytest.mark.parametrize("brand", ["x\r\nBcc: v@e.test", "x\u2028Bcc: v", "=?UTF-8?Q?=0A?=Bcc:"])
def test_i22_a_value_that_breaks_the_subject_is_no_mail(brand: str) -> None:
    with pytest.raises(ComposeError):
        wording(subject="[{{brand}}] x").fill(letter(brand=brand))


def test_the_headers_of_a_bulk_mail() -> None:
    message = parsed(wording().fill(letter("Alice Ärmel")))
    assert message["Message-ID"] == "<mid@portal.test>"
    assert message["References"] == message["In-Reply-To"] == "<root@portal.test>"
    assert message["Date"] == "Sat, 21 Nov 2026 12:00:00 +0000"
    assert message["From"] == "Northline <status@portal.test>"
    assert message["To"] == "Alice Ärmel <alice@people.test>"
    assert message["List-Id"] == "Störungen und Wartung <incidents.portal.test>"
    assert message["List-Unsubscribe"] == "<https://a.portal.test/u/abc.def-ghi_jkl>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Precedence"] == "bulk"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["Feedback-ID"] == "1:incident:incidents:portal.test"


CALENDAR = (
    "BEGIN:VCALENDAR\r\nMETHOD:PUBLISH\r\nBEGIN:VEVENT\r\nSUMMARY:{{calendar}} {{name}} of BEGIN:VEVENT\r\n"
    "{{calendar}}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def in_calendar(raw: bytes) -> list[str]:
    sound(raw)
    (calendar,) = parsed(raw).iter_attachments()
    assert calendar.get_content_type() == "text/calendar"
    assert calendar.get_param("method") == "PUBLISH"
    payload = cast(bytes, calendar.get_payload(decode=True)).decode("utf-8")
    assert payload.endswith("END:VCALENDAR\r\n")
    return payload.removesuffix("\r\n").split("\r\n")


def calendar_wording(calendar: str) -> Wording:
    return Wording(
        {"subject": "Work", "text": "Hello {{name}}", "html": "<p>{{name}}</p>", "calendar": calendar},
        NAMES | {"calendar"},
        mail_from="status@portal.test",
        list_name="Maintenance",
        list_id="maintenance.portal.test",
        feedback_id="1",
    )


def test_an_entry_of_a_calendar_stands_there_once_for_each_the_reader_has() -> None:
    made = calendar_wording(CALENDAR)
    own = "UID:1\r\nX-NOTE:Zürich\\, 1\r\n\r\nUID:2\r\nX-NOTE:" + "x" * 60 + "\r\n " + "y" * 70 + "\r\n"
    lines = in_calendar(made.fill(letter(calendar=own)))
    summary = "SUMMARY:{{calendar}} {{name}} of BEGIN:VEVENT"
    assert lines == [
        *("BEGIN:VCALENDAR", "METHOD:PUBLISH"),
        *("BEGIN:VEVENT", summary, "UID:1", "X-NOTE:Zürich\\, 1", "END:VEVENT"),
        *("BEGIN:VEVENT", summary, "UID:2", "X-NOTE:" + "x" * 60, " " + "y" * 70, "END:VEVENT"),
        "END:VCALENDAR",
    ]
    shared = made.given({"calendar": own, "name": "Alice"})
    assert shared.fill(letter(calendar=own)) == made.fill(letter(calendar=own))
    with pytest.raises(ComposeError, match="calendar"):
        made.fill(letter())


def test_a_calendar_without_lines_of_readers_is_the_same_for_everybody() -> None:
    text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:{{calendar}}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    assert "\r\n".join(in_calendar(calendar_wording(text).fill(letter()))) == text.rstrip()


@given(hard_lines)
@settings(max_examples=40)
def test_whatever_lines_a_calendar_is_given_the_mail_is_sound(own: str) -> None:
    sound(calendar_wording(CALENDAR).fill(letter(calendar=own)))


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "https://x/\r\nBcc: v", "https://x/> , <mailto:v@e", "https://x/ä"]
)
def test_i23_an_unsubscribe_link_that_breaks_its_header_is_no_mail(url: str) -> None:
    with pytest.raises(ComposeError):
        wording().fill(letter(unsubscribe_url=url))


@pytest.mark.parametrize("list_id", ["x\r\nBcc: v@e.test", "x\ny", "=?utf-8?q?=0A?="])
def test_i23_no_header_takes_a_line_break(list_id: str) -> None:
    with pytest.raises(HeaderError):
        Wording(
            {"subject": "x", "text": "x", "html": "x"},
            NAMES,
            mail_from="status@portal.test",
            list_name="List",
            list_id=list_id,
            feedback_id="1",
        )


def test_i25_what_cannot_be_made_says_why() -> None:
    values = {name: value for name, value in VALUES.items() if name != "service"}
    with pytest.raises(ComposeError, match="no value for 'service'"):
        wording("{{service}}").fill(replace(letter(), values=values))
    with pytest.raises(ComposeError, match="larger than"):
        wording("{{service}}").fill(letter(service="x" * 1_100_000))
    with pytest.raises(ComposeError, match="not text"):
        wording("{{service}}").fill(letter(service=cast(str, 7)))


@pytest.mark.parametrize(
    ("address", "envelope"),
    [
        ("a@b.test", "a@b.test"),
        (" a@b.test ", "a@b.test"),
        ("o'neil+x@b.test", "o'neil+x@b.test"),
        ("a@bücher.test", "a@xn--bcher-kva.test"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_an_address_as_smtp_takes_it(address: str, envelope: str) -> None:
    assert envelope_address(address) == envelope


@given(hard_text)
@example("a@b.test>\r\nRCPT TO:<v@e.test")
@example("ä@b.test")
@example("a b@c.test")
@example("@b.test")
def test_an_envelope_address_never_breaks_the_protocol(text: str) -> None:
    for address in (text, f"{text}@b.test", f"a@{text}"):
        try:
            envelope = envelope_address(address)
        except ComposeError:
            continue
        assert re.fullmatch(r"[!-;=?-~]+@[A-Za-z0-9.-]+", envelope)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("", b"a@b.test"),
        ("Alice", b"Alice\r\n <a@b.test>"),
        ("Alice (Ops), Ltd.", b'"Alice (Ops), Ltd."\r\n <a@b.test>'),
        ('A "B" \\', b'"A \\"B\\" \\\\"\r\n <a@b.test>'),
        ("x" * 400, b"a@b.test"),
        ("a\nb", b"a@b.test"),
    ],
)
def test_a_display_name_that_does_not_fit_is_left_out(name: str, header: bytes) -> None:
    assert mailbox(name, "a@b.test") == header


@given(hard_lines)
@settings(max_examples=80)
def test_quoted_printable_is_decoded_to_the_same_text(text: str) -> None:
    encoded = quoted(text)
    assert quopri.decodestring(encoded).decode() == lines(text).replace("\n", "\r\n")
    assert all(len(line) <= 76 and not line.startswith(b".") for line in encoded.split(b"\r\n"))


@given(hard_text)
def test_an_encoded_header_is_one_header(text: str) -> None:
    try:
        encoded = encoded_header(text)
    except HeaderError:
        return
    assert encoded.isascii()
    assert all(line.startswith(b" ") for line in encoded.split(b"\r\n")[1:])
