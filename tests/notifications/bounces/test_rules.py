"""Reports are read as their servers mean them, within bounds, and judged by what they say of the address."""

import resource

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.notifications.bounces import rules, unusual
from portal.notifications.bounces.rules import BrokenReport, Names, Outcome, Said
from portal.notifications.rules import Failure
from tests.notifications.bounces import reports
from tests.notifications.bounces.reports import ALICE, BOUNCES, MAIL_DOMAIN, TOKEN, message_id

NAMES = Names(MAIL_DOMAIN, BOUNCES)
MOST_CPU_SECONDS = 5.0


def said_in(raw: bytes) -> Said:
    (found,) = rules.read(raw, NAMES).said
    return found


@pytest.mark.parametrize(
    ("status", "words", "outcome", "failure"),
    [
        ("5.1.1", "smtp; 550 5.1.1 User unknown", Outcome.BOUNCED, Failure.HARD),
        ("5.1.10", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound", Outcome.BOUNCED, Failure.HARD),
        ("5.2.1", "smtp; 550 5.2.1 mailbox disabled", Outcome.BOUNCED, Failure.HARD),
        ("5.0.0", "smtp; 550-5.1.1 The email account does not exist", Outcome.BOUNCED, Failure.HARD),
        ("5.0.0", "smtp; 550 user unknown", Outcome.STRIKE, Failure.REFUSED),
        ("5.2.2", "smtp; 552 5.2.2 mailbox full", Outcome.STRIKE, Failure.MESSAGE_FULL),
        ("4.2.2", "smtp; 452 4.2.2 over quota", Outcome.STRIKE, Failure.MESSAGE_FULL),
        ("4.4.7", "X-Postfix; delivery temporarily suspended", Outcome.STRIKE, Failure.SOFT),
        ("5.4.4", "X-Postfix; Host or domain name not found", Outcome.STRIKE, Failure.REFUSED),
        ("5.4.1", "smtp;550 5.4.1 Recipient address rejected: Access denied", Outcome.STRIKE, Failure.REFUSED),
        ("5.7.1", "smtp; 550 5.7.1 blocked using a list", Outcome.POLICY, Failure.REPUTATION),
        ("5.7.26", "smtp; 550-5.7.26 not authenticated", Outcome.POLICY, Failure.REPUTATION),
        ("4.7.0", "smtp; 421 4.7.0 too many mails from you", Outcome.POLICY, Failure.REPUTATION),
        ("5.0.0", "smtp; 554 5.7.1 Message rejected as spam", Outcome.POLICY, Failure.REPUTATION),
        ("5.3.4", "smtp; 552 5.3.4 message too big", Outcome.REFUSED, Failure.TOO_LARGE),
        ("5.6.0", "smtp; 550 5.6.0 content not accepted", Outcome.REFUSED, Failure.REFUSED),
        ("", "smtp; something went wrong", Outcome.STRIKE, Failure.REFUSED),
        ("", "smtp; 550 no such user here", Outcome.BOUNCED, Failure.HARD),
    ],
)
def test_what_follows_from_a_failure(status: str, words: str, outcome: Outcome, failure: Failure) -> None:
    assert rules.follows(said_in(reports.dsn(status, words))) == (outcome, failure)


@pytest.mark.parametrize(
    ("action", "status", "outcome"),
    [
        ("delayed", "4.4.1", Outcome.DELAYED),
        ("delivered", "2.1.5", Outcome.DELIVERED),
        ("relayed", "2.0.0", Outcome.DELIVERED),
        ("expanded", "2.0.0", Outcome.DELIVERED),
    ],
)
def test_nothing_follows_from_a_delay_or_a_success(action: str, status: str, outcome: Outcome) -> None:
    assert rules.follows(said_in(reports.dsn(status, "smtp; 250 ok", action=action))) == (outcome, None)


def test_a_report_names_the_mail_by_where_it_went_by_what_it_returns_or_by_its_text() -> None:
    bare = reports.dsn(to="postmaster@portal.test", returned="")
    assert rules.read(reports.dsn(returned=""), NAMES).message_ids == (message_id(),), "the address it went to"
    assert rules.read(reports.dsn(to=BOUNCES), NAMES).message_ids[0] == message_id(), "the mail it returns"
    assert rules.read(reports.complaint(), NAMES).message_ids[0] == message_id()
    assert rules.read(reports.QMAIL, NAMES).message_ids[0] == message_id(), "its text"
    assert rules.read(bare, NAMES).message_ids == ()
    assert rules.read(reports.dsn(), Names("elsewhere.test", "")).message_ids == (), "another installation's"


def test_a_token_is_not_seen_where_it_is_part_of_something_else() -> None:
    for text in (
        f"x{message_id()[1:]}",
        f"{TOKEN}@{MAIL_DOMAIN}.attacker.test",
        f"a+{TOKEN}@{MAIL_DOMAIN}",
        f"{TOKEN}@",
    ):
        assert list(NAMES.in_text(text)) == [], text
    assert list(NAMES.in_text(f"{reports.verp().upper()}, <{TOKEN}@{MAIL_DOMAIN}>.")) == [message_id(), message_id()]


def test_an_address_is_known_again_in_every_form_a_server_writes_it() -> None:
    raw = reports.dsn(
        address="forwarded@elsewhere.test", extra="Original-Recipient: rfc822;alice+2Bwork@customers.test\n"
    )
    assert "alice+work@customers.test" in said_in(raw).addresses
    assert said_in(reports.EXCHANGE).addresses == {ALICE}, "whatever the case"
    assert rules.follows(said_in(reports.EXCHANGE)) == (Outcome.BOUNCED, Failure.HARD)


@pytest.mark.parametrize("raw", [reports.QMAIL, reports.EXIM], ids=["qmail", "Exim"])
def test_a_report_in_a_form_of_its_own_is_recognised(raw: bytes) -> None:
    reading = rules.read(raw, NAMES)
    assert reading.outcome is Outcome.UNCLEAR
    (said,) = unusual.recognised(raw, reading.text)
    assert said.addresses == {ALICE}
    assert rules.follows(said) == (Outcome.BOUNCED, Failure.HARD)


@pytest.mark.parametrize(
    "raw",
    [
        reports.answer("Auto-Submitted: auto-replied"),
        reports.answer("X-Autoreply: yes"),
        reports.answer("Precedence: bulk"),
        reports.answer(subject="Out of office: Re: SIP trunks"),
        reports.answer(subject="=?utf-8?q?Abwesenheitsnotiz?="),
        reports.answer(subject="Please confirm your message", body="Click here to prove that you are human."),
        reports.answer(subject="Automatic reply: SIP trunks", body="550 5.1.1 user unknown is what I would say."),
        reports.RECEIPT,
    ],
)
def test_answers_without_a_reader_say_nothing_of_an_address(raw: bytes) -> None:
    assert rules.read(raw, NAMES).outcome is Outcome.AUTOMATIC


def test_a_mail_of_a_person_is_left_for_a_person() -> None:
    reading = rules.read(reports.answer(body="Your last mail to bob@customers.test did not reach him."), NAMES)
    assert reading.outcome is Outcome.UNCLEAR
    assert reading.words.startswith("Your last mail")


def test_complaints_are_told_from_other_feedback() -> None:
    for kind in ("abuse", "fraud", "opt-out"):
        assert rules.read(reports.complaint(kind), NAMES).is_complaint
    for kind in ("not-spam", "auth-failure", "virus"):
        assert rules.read(reports.complaint(kind), NAMES).outcome is Outcome.UNCLEAR
    named = rules.read(reports.complaint(named="Original-Rcpt-To: <Bob@customers.test>\n"), NAMES)
    assert [each.addresses for each in named.said] == [{"bob@customers.test"}]
    struck_out = rules.read(reports.complaint(to="redacted@redacted.test"), NAMES)
    assert struck_out.is_complaint
    assert struck_out.said == ()


def test_our_own_mail_in_the_mailbox_is_known_as_such() -> None:
    assert rules.read(reports.OWN_MAIL, NAMES).is_own_mail


def test_the_sender_of_a_mail_names_it() -> None:
    assert rules.envelope_sender(BOUNCES, message_id(), "status@portal.test") == f"bounces+{TOKEN}@mail.portal.test"
    assert rules.envelope_sender("", message_id(), "status@portal.test") == "status@portal.test"


def nested(depth: int) -> bytes:
    opening = "".join(f'Content-Type: multipart/mixed; boundary="{number}"\n\n--{number}\n' for number in range(depth))
    return opening.encode() + b"x\n" * 100_000


HOSTILE = {
    "nested parts": nested(2_000),
    "nested mails": b"Content-Type: message/rfc822\n\n" * 8_000,
    "a long content type": b'Content-Type: multipart/mixed; a="' + b";" * 400_000 + b"\n\nx",
    "a folded content type": b"Content-Type: multipart/mixed\n" + b" ;a=b\n" * 60_000 + b"\nx",
    "nothing but line ends": b"\r\n" * 500_000,
    "one endless line": b"a" * 2_000_000,
    "headers without end": b"X-A: b\n" * 300_000,
    "a subject of encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 100_000 + b"\n\nx",
    "NULs": b"\0" * 300_000,
    "brackets": b"From: " + b"<" * 200_000 + b"\n\n" + b"<a@" * 80_000,
    "recipients without end": b"Content-Type: message/delivery-status\n\n"
    + b"Final-Recipient: rfc822; a@b.test\nAction: failed\nStatus: 5.1.1\n\n" * 20_000,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_reports_cost_little_and_break_nothing(raw: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    try:
        reading = rules.read(raw, NAMES)
    except BrokenReport:
        pass
    else:
        unusual.recognised(raw, reading.text)
        assert len(reading.said) <= rules.MOST_RECIPIENTS
        assert len(reading.subject) <= 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < MOST_CPU_SECONDS


PIECES = st.sampled_from(
    [
        b"Content-Type: multipart/report; boundary=b\n",
        b"Content-Type: message/delivery-status\n",
        b"Content-Type: message/feedback-report\n",
        b"Content-Type: message/rfc822\n",
        b"Content-Type: text/rfc822-headers; charset=nonsense\n",
        b"Content-Transfer-Encoding: base64\n",
        b"Feedback-Type: abuse\n",
        b"Final-Recipient: rfc822; alice@customers.test\n",
        b"Status: 5.1.1\n",
        b"Action: failed\n",
        b"Subject: =?nonsense?b?!!!?=\n",
        b"Message-ID: " + message_id().encode() + b"\n",
        b"\n",
        b"--b\n",
        b"--b--\n",
    ]
)


@given(st.lists(st.one_of(PIECES, st.binary(max_size=40)), max_size=40))
def test_whatever_comes_is_read_or_refused(pieces: list[bytes]) -> None:
    raw = b"".join(pieces)
    try:
        reading = rules.read(raw, NAMES)
    except BrokenReport:
        return
    assert all(each.isprintable() for each in (reading.subject, reading.words))
    for said in (*reading.said, *unusual.recognised(raw, reading.text)):
        rules.follows(said)
