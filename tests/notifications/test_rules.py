"""Answers, schedules, names and figures: tables, no app."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.notifications.rules import (
    AFTER_DOUBT,
    DeliveryState,
    Failure,
    HeaderError,
    Progress,
    Stage,
    Verdict,
    breaker_opens,
    classify,
    dedupe_key,
    enhanced_code,
    header_text,
    message_id,
    name_key,
    next_pause,
    progress_of,
    retry_delay,
    thread_root,
    verdict,
    wait_hint,
)


@pytest.mark.parametrize(
    ("stage", "code", "text", "meant"),
    [
        # The relay is at fault.
        (Stage.CONNECT, None, "refused", Failure.RELAY),
        (Stage.GREETING, None, "no greeting", Failure.RELAY),
        (Stage.GREETING, 421, "4.3.2 shutting down", Failure.RELAY),
        (Stage.TLS, None, "certificate verify failed", Failure.RELAY),
        (Stage.TLS, 504, "STARTTLS not offered", Failure.RELAY),
        (Stage.AUTH, 454, "4.7.0 temporary failure", Failure.RELAY),
        (Stage.MAIL, 451, "4.3.0 try later", Failure.RELAY),
        (Stage.RCPT, 421, "4.7.0 too many", Failure.RELAY),
        (Stage.DOT, 421, "closing", Failure.RELAY),
        # Somebody has to act.
        (Stage.GREETING, 554, "no SMTP service here", Failure.CONFIGURATION),
        (Stage.AUTH, 535, "5.7.8 bad credentials", Failure.CONFIGURATION),
        (Stage.MAIL, 550, "5.7.1 sender not allowed", Failure.CONFIGURATION),
        (Stage.MAIL, 530, "5.7.0 authentication required", Failure.CONFIGURATION),
        (Stage.RCPT, 530, "5.7.0 authentication required", Failure.CONFIGURATION),
        # Put off.
        (Stage.RCPT, 450, "4.2.0 greylisted", Failure.SOFT),
        (Stage.RCPT, 451, "4.7.1 greylisted, try again in 5 minutes", Failure.SOFT),
        (Stage.DATA, 452, "4.3.1 out of space", Failure.SOFT),
        (Stage.DOT, 451, "4.3.0 queue file write error", Failure.SOFT),
        # No such address.
        (Stage.RCPT, 550, "5.1.1 no such user", Failure.HARD),
        (Stage.RCPT, 550, "5.1.10 recipient not found", Failure.HARD),
        (Stage.RCPT, 553, "5.1.3 bad address syntax", Failure.HARD),
        (Stage.RCPT, 550, "5.2.1 mailbox disabled", Failure.HARD),
        (Stage.DOT, 550, "5.1.1 no such user", Failure.HARD),
        (Stage.RCPT, 550, "No such user here", Failure.HARD),
        (Stage.RCPT, 551, "User not local", Failure.HARD),
        (Stage.RCPT, 553, "Mailbox name not allowed", Failure.HARD),
        # This mail, not this address.
        (Stage.RCPT, 552, "5.2.2 mailbox full", Failure.MESSAGE_FULL),
        (Stage.RCPT, 452, "4.2.2 mailbox full", Failure.MESSAGE_FULL),
        (Stage.RCPT, 552, "Quota exceeded", Failure.MESSAGE_FULL),
        (Stage.DOT, 552, "5.2.3 message too large", Failure.TOO_LARGE),
        (Stage.DOT, 552, "5.3.4 message size exceeds limit", Failure.TOO_LARGE),
        (Stage.DOT, 552, "Message size exceeds fixed limit", Failure.TOO_LARGE),
        (Stage.MAIL, 552, "5.3.4 message size exceeds limit", Failure.TOO_LARGE),
        (Stage.RCPT, 550, "5.4.1 recipient address rejected: access denied", Failure.REFUSED),
        (Stage.DATA, 503, "5.5.1 bad sequence", Failure.REFUSED),
        (Stage.DOT, 550, "not today", Failure.REFUSED),
        # Policy.
        (Stage.RCPT, 550, "5.7.1 blocked", Failure.REPUTATION),
        (Stage.DOT, 550, "5.7.26 unauthenticated", Failure.REPUTATION),
        (Stage.DOT, 554, "5.6.0 message looks like spam", Failure.REPUTATION),
        (Stage.DOT, 554, "Transaction failed", Failure.REPUTATION),
        (Stage.RCPT, 550, "blocked using zen.example", Failure.REPUTATION),
        # Broken off.
        (Stage.MAIL, None, "reset", Failure.DROP_NO_DOUBT),
        (Stage.RCPT, None, "reset", Failure.DROP_NO_DOUBT),
        (Stage.DATA, None, "reset", Failure.DROP_NO_DOUBT),
        (Stage.DOT, None, "no answer within 600 s", Failure.IN_DOUBT),
    ],
)
def test_what_an_answer_means(stage: Stage, code: int | None, text: str, meant: Failure) -> None:
    assert classify(stage, code, text) is meant


@given(st.sampled_from(Stage), st.none() | st.integers(0, 999), st.text(max_size=80))
def test_every_answer_means_something(stage: Stage, code: int | None, text: str) -> None:
    assert classify(stage, code, text) in Failure


@given(st.sampled_from([Stage.RCPT, Stage.DATA, Stage.DOT]), st.integers(500, 599), st.text(max_size=40))
def test_r27_nothing_said_with_5_7_suppresses_an_address(stage: Stage, code: int, text: str) -> None:
    assert classify(stage, code, f"5.7.1 {text}") in {Failure.REPUTATION, Failure.CONFIGURATION}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5.1.1 gone", "5.1.1"),
        ("  4.7.1 x", "4.7.1"),
        ("5.1.1.1 x", None),
        ("none", None),
        ("3.1.1 x", None),
        ("", None),
    ],
)
def test_the_enhanced_code_stands_first(text: str, code: str | None) -> None:
    assert enhanced_code(text) == code


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("4.7.1 Greylisted, try again in 300 seconds", timedelta(seconds=300)),
        ("try again in 5 minutes", timedelta(minutes=5)),
        ("retry after 90s", timedelta(seconds=90)),
        ("Greylisting in effect for 1 minute", timedelta(minutes=1)),
        ("come back in 999999 minutes", timedelta(hours=4)),
        ("in a moment", None),
        ("", None),
    ],
)
def test_a_server_may_name_a_time(text: str, asked: timedelta | None) -> None:
    assert wait_hint(text) == asked


@pytest.mark.parametrize(
    ("tries", "minutes"),
    [(1, 1), (2, 5), (3, 5), (4, 15), (5, 30), (6, 60), (7, 120), (8, 240), (9, 360), (10, 360), (50, 360)],
)
def test_the_schedule_of_retries(tries: int, minutes: int) -> None:
    assert retry_delay(tries, 0) == timedelta(minutes=minutes)
    assert retry_delay(tries, -1) == timedelta(minutes=minutes) * 0.9
    assert retry_delay(tries, 1) == timedelta(minutes=minutes) * 1.1


def test_r24_three_tries_outlast_postgrey() -> None:
    assert sum((retry_delay(tries, -1) for tries in (1, 2)), timedelta()) > timedelta(seconds=300)


@given(st.integers(1, 100), st.floats(-1, 1), st.text(max_size=60))
def test_a_retry_is_never_at_once_nor_beyond_a_working_day(tries: int, jitter: float, text: str) -> None:
    assert timedelta(seconds=1) <= retry_delay(tries, jitter, text) < timedelta(hours=8)


@given(st.integers(1, 14_400), st.floats(-1, 1))
def test_a_retry_is_not_before_the_time_the_server_named(seconds: int, jitter: float) -> None:
    assert retry_delay(1, jitter, f"try again in {seconds} seconds") > timedelta(seconds=seconds)


PENDING, FAILED, UNKNOWN = DeliveryState.PENDING, DeliveryState.FAILED, DeliveryState.UNKNOWN


@pytest.mark.parametrize(
    ("failure", "tries", "doubts", "becomes"),
    [
        (Failure.RELAY, 1, 0, Verdict(PENDING, is_counted=False)),
        (Failure.CONFIGURATION, 1, 0, Verdict(PENDING, is_counted=False)),
        (Failure.SOFT, 1, 0, Verdict(PENDING, timedelta(minutes=1))),
        (Failure.SOFT, 2, 0, Verdict(PENDING, timedelta(minutes=5))),
        (Failure.HARD, 1, 0, Verdict(FAILED)),
        (Failure.MESSAGE_FULL, 2, 0, Verdict(PENDING, timedelta(minutes=5))),
        (Failure.MESSAGE_FULL, 3, 0, Verdict(FAILED)),
        (Failure.TOO_LARGE, 1, 0, Verdict(FAILED)),
        (Failure.REFUSED, 1, 0, Verdict(FAILED)),
        (Failure.REPUTATION, 1, 0, Verdict(FAILED)),
        (Failure.POISON, 1, 0, Verdict(FAILED)),
        (Failure.DROP_NO_DOUBT, 4, 0, Verdict(PENDING, timedelta(minutes=1))),
        (Failure.IN_DOUBT, 1, 1, Verdict(PENDING, AFTER_DOUBT)),
        (Failure.IN_DOUBT, 2, 2, Verdict(UNKNOWN)),
    ],
)
def test_what_becomes_of_a_mail(failure: Failure, tries: int, doubts: int, becomes: Verdict) -> None:
    assert verdict(failure, tries=tries, doubts=doubts, repeat_in_doubt=True, jitter=0, text="") == becomes


def test_a_kind_may_refuse_to_repeat_when_in_doubt() -> None:
    ruling = verdict(Failure.IN_DOUBT, tries=1, doubts=1, repeat_in_doubt=False, jitter=0, text="")
    assert ruling.state is DeliveryState.UNKNOWN


def test_r23_a_relay_rests_a_minute_then_twice_as_long_up_to_a_quarter_of_an_hour() -> None:
    pauses, last = [], timedelta(0)
    for _ in range(7):
        last = next_pause(last)
        pauses.append(last.total_seconds() / 60)
    assert pauses == [1, 2, 4, 8, 15, 15, 15]


@pytest.mark.parametrize(
    ("refused", "opens"),
    [
        ([], False),
        ([True] * 19, False),
        ([True] * 20, True),
        ([True] * 19 + [False] + [True] * 19, False),
        ([False] + [True] * 20, False),
        ([True, *[False] * 19] * 10, False),
        (([True, *[False] * 18] * 11)[:200], True),
        ([False] * 200 + [True] * 200, False),
        ([True] * 11 + [False] * 188, False),
    ],
)
def test_r27_the_breaker(refused: list[bool], opens: bool) -> None:
    """20 in a row, or more than 5 % of a full window of 200, newest first."""
    assert breaker_opens(refused) is opens


KEY = name_key("a secret key of the installation")


def test_a_message_id_is_stable_and_cannot_be_guessed() -> None:
    of = dedupe_key("incident_update:12:notify", "mail", "alice@people.test")
    assert message_id(KEY, of, "portal.test") == message_id(KEY, of, "portal.test")
    assert message_id(name_key("another"), of, "portal.test") != message_id(KEY, of, "portal.test")
    token, _, domain = message_id(KEY, of, "portal.test").strip("<>").partition("@")
    assert (len(token), domain) == (26, "portal.test")
    assert token.isalnum()
    assert token.islower()


def test_one_event_one_channel_one_address_is_one_delivery() -> None:
    keys = {
        dedupe_key(event, channel, address)
        for event in ("incident:1", "incident:2")
        for channel in ("mail", "sms")
        for address in ("a@x.test", "b@x.test")
    }
    assert len(keys) == 8


def test_mails_of_one_thread_share_a_root_per_recipient() -> None:
    root = thread_root(KEY, "incident:1", "a@x.test", "portal.test")
    assert root == thread_root(KEY, "incident:1", "a@x.test", "portal.test")
    assert root != thread_root(KEY, "incident:2", "a@x.test", "portal.test")
    assert root != thread_root(KEY, "incident:1", "b@x.test", "portal.test")


@pytest.mark.parametrize(
    "text",
    [
        "x\r\nBcc: v@e.test",
        "x\nBcc: v@e.test",
        "x\ry",
        "x\x00y",
        "x\u2028y",
        "x\u2029y",
        "x\u0085y",
        "x\x1by",
        "ä =?UTF-8?Q?=0A?=Bcc: injected@e.test",
        "=?utf-8?b?eA==?=",
        "\ud800",
    ],
)
def test_i22_what_breaks_a_header_is_refused(text: str) -> None:
    with pytest.raises(HeaderError):
        header_text(text)


@pytest.mark.parametrize("text", ["", "plain", "50 % of =? calls", "Ärger im Süden", "電話", "🚨 outage", "a\tb"])
def test_other_text_may_stand_in_a_header(text: str) -> None:
    assert header_text(text) == text


def test_progress_is_counted_from_states() -> None:
    state = DeliveryState
    counts = {state.SENT: 60, state.PENDING: 34, state.SENDING: 1, state.FAILED: 3, state.EXPIRED: 2}
    progress = progress_of(counts, retrying=10, sent_last_minute=30, seconds=300)
    assert progress == Progress(sent=60, waiting=25, retrying=10, failed=3, left_out=2, per_second=0.5)
    assert (progress.total, progress.open, progress.seconds_left) == (100, 35, 50)


@pytest.mark.parametrize(
    ("progress", "seconds"),
    [(Progress(), 0), (Progress(waiting=5), None), (Progress(waiting=1, per_second=900), 1), (Progress(sent=9), 0)],
)
def test_the_time_left_goes_by_the_pace(progress: Progress, seconds: int | None) -> None:
    assert progress.seconds_left == seconds


def test_a_broadcast_that_just_began_is_not_called_slow() -> None:
    assert progress_of({DeliveryState.SENT: 50}, 0, sent_last_minute=50, seconds=2).per_second == 25
