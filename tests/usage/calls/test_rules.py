"""The formulas against tables worked by hand, what is no attempt, and reading records."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.usage.calls.rules import MINUTE, NONE, Call, CallStep, Outcome, Sums, joined, outcome_of, over_at
from portal.usage.calls.rules.reading import Wrong, lenient_moment, read, read_lines, searched_tail, tail_of
from portal.usage.calls.rules.tallies import Ledger, packed, unpacked

NINE = 1_795_251_600_000
"""21 November 2026, 09:00 UTC."""

TABLE = """
  start   ringing  answer   end      result
  0.0     1.2      10.0     70.0     200
  0.4     2.0      5.5      125.5    200
  0.9     -        4.0      -        200
  5.0     6.5      -        30.0     480
  5.0     -        -        5.3      486
  5.1     7.1      -        9.0      603
  5.2     8.0      -        12.0     487
  6.0     -        -        7.0      487
  7.0     -        -        7.1      503
  8.0     -        -        8.2      404
  9.0     -        -        9.1      401
  9.5     -        -        9.6      302
  9.9     -        -        -        -
"""
"""Thirteen calls by seconds after nine, of which two are no attempts: the challenge (401) and the redirect (302)."""


def calls_of(table: str) -> list[Call]:
    found = []
    for number, line in enumerate(table.strip().splitlines()[1:]):
        *moments, result = line.split()
        times = [None if each == "-" else NINE + int(Decimal(each) * 1000) for each in moments]
        code = None if result == "-" else int(result)
        outcome = outcome_of(code) if code else None
        assert times[0] is not None
        ringing, answered, ended = times[1:]
        found.append(Call(f"{number}", "", "", times[0], ringing, answered, ended, outcome, code, "", "", None))
    return found


def summed(calls: list[Call]) -> Sums:
    """All of it, whatever minute it is in."""
    ledger = Ledger()
    for call in calls:
        ledger.count(1, call, 1)
    found = NONE
    for each in ledger.changes():
        if each.step is CallStep.MINUTE and not each.scope:
            found += Sums(*(*each.counts.sums, max(each.counts.seconds.values(), default=0)))
    return found


def test_the_formulas_against_the_table() -> None:
    sums = summed(calls_of(TABLE))
    # Eleven attempts, the one in progress among them; three were answered.
    assert (sums.attempts, sums.answered) == (11, 3)
    assert sums.asr == Decimal(300) / 11
    # Reached people: three answered, one did not answer (480), one busy (486), one rejected (603), and one caller gave
    # up while it rang (487). Not the caller who gave up before (487), 503, 404, and the one in progress.
    assert sums.effective == 7
    assert sums.ner == Decimal(700) / 11
    # Ringing after 1.2, 1.6, 1.5, 2.0 and 2.8 s; an answer without ringing after 3.1 s. Mean 12.2 / 6 s.
    assert (sums.rung, sums.pdd_ms) == (6, 12_200)
    assert sums.pdd == Decimal(12_200) / 6
    # Answer to end: 60 and 120 s of the two answered calls that ended; the third still talks.
    assert (sums.ended, sums.talk_ms) == (2, 180_000)
    assert sums.acd == 90
    # Most in one second: three at nine, and four between five and six seconds past.
    assert sums.peak == 4
    # All are over but those still talking or being set up, which count as open for a day.
    assert sums.closed == 11


def test_nothing_is_undefined_and_not_nought() -> None:
    assert (NONE.asr, NONE.ner, NONE.acd, NONE.pdd, NONE.peak) == (None, None, None, None, 0)
    failed = summed(calls_of("-\n 0.0 - - 0.1 503"))
    assert (failed.asr, failed.ner, failed.peak) == (Decimal(), Decimal(), 1)
    assert (failed.acd, failed.pdd) == (None, None)


def test_challenges_and_redirects_are_no_attempts() -> None:
    refused = "\n".join(f"0.0 0.1 - 0.2 {code}" for code in (300, 301, 302, 380, 399, 401, 402, 407))
    assert summed(calls_of(f"-\n{refused}")) == NONE


def test_sums_of_stretches_are_added_and_never_averaged() -> None:
    """100 calls of which 10 were answered, then 2 of which 2 were: 11.76 %, and not the mean of 10 and 100 %."""
    both = Sums(attempts=100, answered=10, peak=7) + Sums(attempts=2, answered=2, peak=1)
    assert both.asr is not None
    assert round(both.asr, 2) == Decimal("11.76")
    assert both.peak == 7


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        *((code, Outcome.ANSWERED) for code in (200, 202)),
        *((code, Outcome.REDIRECTED) for code in (300, 302, 399)),
        *((code, Outcome.CHALLENGED) for code in (401, 402, 407)),
        *((code, Outcome.BUSY) for code in (486, 600)),
        *((code, Outcome.REJECTED) for code in (603, 607)),
        *((code, Outcome.NOT_FOUND) for code in (404, 410, 484, 604)),
        *((code, Outcome.FAILED) for code in (400, 403, 408, 488, 500, 503, 504, 606, 699)),
        (480, Outcome.NO_ANSWER),
        (487, Outcome.CANCELLED),
        *((code, None) for code in (0, -1, 100, 180, 199, 700, 1000)),
    ],
)
def test_what_a_response_says(code: int, outcome: Outcome | None) -> None:
    assert outcome_of(code) is outcome


def one(**said: Any) -> Call:
    return read({"call_id": "a", "started_at": NINE} | said, int)


class TestJoining:
    def test_a_failover_is_one_attempt_with_the_best_result_and_its_carrier(self) -> None:
        """The first carrier failed after two seconds, the second was answered."""
        first = one(ended_at=NINE + 2000, result=503, carrier="Alpha", trunk="London")
        second = one(
            started_at=NINE + 2100,
            ringing_at=NINE + 4000,
            answered_at=NINE + 9000,
            ended_at=NINE + 60_000,
            carrier="Beta",
        )
        for whole in (joined(first, second), joined(second, first)):
            assert (whole.started, whole.outcome) == (NINE, Outcome.ANSWERED)
            assert (whole.carrier, whole.trunk) == ("Beta", "London")
            assert summed([whole]) == Sums(1, 1, 1, 1, 4000, 1, 51_000, 1, 1)

    def test_while_the_second_carrier_talks_the_end_of_the_first_is_no_end(self) -> None:
        talking = joined(one(ended_at=NINE + 2000, result=503), one(answered_at=NINE + 9000))
        assert over_at(talking) is None
        assert over_at(joined(talking, one(ended_at=NINE + 20_000))) == NINE + 20_000

    def test_a_challenge_that_was_met_is_an_attempt(self) -> None:
        met = joined(one(ended_at=NINE + 10, result=401), one(answered_at=NINE + 9000))
        assert summed([met]).attempts == 1

    def test_what_came_to_nothing_is_over_with_its_result(self) -> None:
        assert over_at(one(result=486)) == NINE
        assert over_at(one(result=480, ringing_at=NINE + 700)) == NINE + 700
        assert over_at(one()) is None

    def test_the_same_again_says_nothing_new(self) -> None:
        known = one(ringing_at=NINE + 5, result="cancelled", carrier="Alpha")
        assert joined(known, known) == known
        assert joined(known, one()) == known


@given(st.dictionaries(st.integers(0, 59), st.integers(0, 2**40)))
def test_seconds_come_back_as_they_were(seconds: dict[int, int]) -> None:
    assert unpacked(packed(seconds)) == {second: count for second, count in seconds.items() if count}


def test_a_call_open_for_hours_is_in_progress_as_each_begins() -> None:
    ledger = Ledger()
    ledger.count(1, one(started_at=NINE + 5 * MINUTE, answered_at=NINE + 6 * MINUTE, ended_at=NINE + 180 * MINUTE), 1)
    open_at = {each.at: each.counts.open for each in ledger.changes() if each.step is CallStep.HOUR}
    assert open_at == {NINE: 0, NINE + 60 * MINUTE: 1, NINE + 120 * MINUTE: 1, NINE + 180 * MINUTE: 1}


class TestReading:
    @pytest.mark.parametrize("word", ["No answer", "no-answer", "NO_ANSWER", " no_answer "])
    def test_words_are_read_as_people_write_them(self, word: str) -> None:
        assert (one(result=word).outcome, one(result="486").code) == (Outcome.NO_ANSWER, 486)

    @pytest.mark.parametrize(
        ("number", "tail"),
        [
            ("+49 30 123456", "6543210394"),
            ("sip:+4930123456@sbc.example:5060", "6543210394"),
            ("tel:+4930123456;phone-context=x", "6543210394"),
            ("anonymous", ""),
            ("1" * 60, "1" * 24),
        ],
    )
    def test_the_digits_of_a_number_from_its_end(self, number: str, tail: str) -> None:
        assert tail_of(number) == tail

    @pytest.mark.parametrize("text", ["+49 30 123456", "(030) 123456", "30-123456", "123456"])
    def test_a_number_is_found_however_its_beginning_is_written(self, text: str) -> None:
        assert tail_of("+4930123456").startswith(searched_tail(text))

    def test_a_file_is_read_with_or_without_a_heading(self) -> None:
        lines = [
            ["Trunk", "Call-ID", "Start", "Colour", "Result"],
            ["London", "a@b", "2026-11-21 09:00:00", "red", "486"],
            [" ", "", "", "", ""],
            ["London", "", "2026-11-21 09:00:00", "", ""],
            ["London", "c@d", "yesterday", "", ""],
        ]
        calls, wrong = read_lines(lines)
        assert [(line, each.call_id, each.trunk, each.started, each.code) for line, each in calls.items()] == [
            (2, "a@b", "London", NINE, 486)
        ]
        assert [(each.number, each.sentence.split(":")[0]) for each in wrong] == [(4, "call_id"), (5, "started_at")]
        plain = ["a@b", "+49", "+44", "2026-11-21T09:00:00Z", "", "", "", "busy"]
        calls, wrong = read_lines([plain])
        assert (calls[1].from_number, calls[1].outcome, wrong) == ("+49", Outcome.BUSY, [])

    def test_a_moment_without_a_zone_is_utc(self) -> None:
        assert lenient_moment("2026-11-21 09:00:00.0009") == NINE
        assert lenient_moment("2026-11-21T10:00:00+01:00") == NINE

    @given(
        st.dictionaries(
            st.sampled_from(["call_id", "from", "started_at", "result", "service_id", "trunk"]),
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
        )
    )
    def test_whatever_is_sent_is_read_or_refused(self, raw: dict[str, Any]) -> None:
        def moment(text: Any) -> int:
            raise ValueError("No moment.")

        with pytest.raises(Wrong):
            read(raw, moment)
