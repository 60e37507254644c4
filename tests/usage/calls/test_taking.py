"""Taking call records: what they come to is always what all of them say, whatever came when and how often."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.errors import RuleViolation
from portal.extensions import db
from portal.records import retention
from portal.records.erasure import touched
from portal.records.parts import parts_about
from portal.records.rules.exports import ExportKind
from portal.usage.calls.actions import BadCallsError, CallsTaken, forget_calls, take_call_file, take_calls
from portal.usage.calls.models import CallRecord, CallTally
from portal.usage.calls.queries import DAYS, HOURS, MINUTES, RECORDS, CallFilter, call_by_id, search
from portal.usage.calls.rules import CALLS_AT_MOST, Call, CallStep, Outcome, milliseconds
from portal.usage.calls.rules.reading import BEFORE, LASTS_TOO_LONG, NO_ANSWER_TIME, NOT_ANSWERED, TOO_LATE
from portal.usage.models import MeasuredSource
from portal.usage.rules import AHEAD
from tests.conftest import NOW, counted_queries
from tests.usage.calls.kept import T0, call, kept, stored
from tests.usage.calls.scratch import tallied


def take(company: Company, *calls: Call) -> CallsTaken:
    return take_calls([(company.id, each) for each in calls], NOW)


def wrong_of(company: Company, *calls: Call) -> dict[int, tuple[str, str]]:
    with pytest.raises(BadCallsError) as refused:
        take(company, *calls)
    return {place: (each.field, each.sentence) for place, each in refused.value.wrong.items()}


@pytest.fixture
def company(session: None) -> Company:
    return accounts.add_company("Alder Dental", by=SYSTEM, now=NOW - timedelta(days=60))


HOUR = 3_600_000


@st.composite
def told(draw: st.DrawFn) -> Call:
    """A record of one of a few calls, so that many tell of the same, within some hours that cross midnight of UTC."""
    name = draw(st.sampled_from("abcdef"))
    base = ord(name) % 3 * 10 * HOUR - 60 * HOUR
    start = base + draw(st.sampled_from([0, 1, 400, 999, 1000, 7_000, 59_999, 60_000, HOUR - 1, HOUR]))
    last = start + draw(st.sampled_from([0, 1, 500, 7_000, 60_000, 3 * HOUR, 27 * HOUR]))
    inside = st.none() | st.integers(start, last)
    answered = draw(inside)
    outcome = Outcome.ANSWERED if answered is not None else None
    if outcome is None:
        outcome = draw(st.none() | st.sampled_from([each for each in Outcome if each is not Outcome.ANSWERED]))
    return call(
        name,
        start,
        ringing=draw(inside),
        answered=answered,
        ended=draw(st.sampled_from([None, last])),
        outcome=outcome,
        trunk=draw(st.sampled_from(["", f"trunk {ord(name) % 2}"])),
        carrier=draw(st.sampled_from(["", "Alpha", "Beta"])),
    )


class TestTallies:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
    @given(batches=st.lists(st.lists(told(), max_size=8), max_size=5), dice=st.randoms(use_true_random=False))
    def test_they_are_what_all_records_say_whatever_came_when(
        self, company: Company, batches: Sequence[Sequence[Call]], dice: Any
    ) -> None:
        """In other batches, in another order, and some of it twice, the same records leave the same calls and sums."""
        # An example may be given up half way, and the next one is of the same test.
        self._begin_anew(company)
        for batch in batches:
            take(company, *batch)
            assert stored(company.id) == tallied(kept(company.id))
        once, sums = {each.call_id: _without_carrier(each) for each in kept(company.id)}, stored(company.id)
        self._begin_anew(company)
        all_told = [each for batch in batches for each in batch]
        again = [*all_told, *dice.sample(all_told, len(all_told) // 2)]
        dice.shuffle(again)
        while again:
            piece = dice.randint(1, len(again))
            take(company, *again[:piece])
            del again[:piece]
        assert {each.call_id: _without_carrier(each) for each in kept(company.id)} == once
        assert stored(company.id) == sums

    @staticmethod
    def _begin_anew(company: Company) -> None:
        db.session.execute(delete(CallRecord).where(CallRecord.company_id == company.id))
        db.session.execute(delete(CallTally).where(CallTally.company_id == company.id))

    def test_the_same_again_changes_nothing_and_writes_nothing(self, company: Company) -> None:
        calls = [call(f"{each}", each * 1000, answered=each * 1000 + 5, ended=each * 1000 + 900) for each in range(300)]
        assert take(company, *calls) == CallsTaken(300, 0)
        before = stored(company.id)
        with counted_queries() as statements:
            assert take(company, *calls) == CallsTaken(0, 300)
        written = [each for each in statements if "INSERT" in each or "UPDATE" in each]
        assert not any("call_record" in each or "call_tally" in each for each in written if "FOR UPDATE" not in each)
        assert stored(company.id) == before

    def test_a_peak_that_falls_is_looked_for_among_the_other_minutes(self, company: Company) -> None:
        """Three in one second, two in another minute; then one of the three turns out to be a challenge."""
        burst = [call(f"burst-{each}", 7_000 + each) for each in range(3)]
        pair = [call(f"pair-{each}", 130_000 + each) for each in range(2)]
        take(company, *burst, *pair)
        hour = milliseconds(NOW) - 3 * HOUR
        day = hour - hour % (24 * HOUR)
        peaks = [("", CallStep.MINUTE, hour), ("", CallStep.HOUR, hour), ("", CallStep.DAY, day)]
        assert [stored(company.id)[key][9] for key in peaks] == [3, 3, 3]
        for each in burst[:2]:
            take(company, each._replace(outcome=Outcome.CHALLENGED))
        assert [stored(company.id)[key][9] for key in peaks] == [1, 2, 2]

    def test_a_start_that_moves_within_a_minute_moves_the_peak(self, company: Company) -> None:
        take(company, call("a", 8_000), call("b", 9_000))
        take(company, call("b", 8_500))
        assert {values[9] for key, values in stored(company.id).items() if values[0]} == {2}
        assert stored(company.id) == tallied(kept(company.id))

    def test_more_in_one_second_than_a_byte_holds(self, company: Company) -> None:
        take(company, *(call(f"{each}", 500) for each in range(300)))
        take(company, *(call(f"more-{each}", 600) for each in range(30)))
        assert stored(company.id) == tallied(kept(company.id))
        assert max(values[9] for values in stored(company.id).values()) == 330


def _without_carrier(one: Call) -> Call:
    """Of two records as good as each other, the carrier is the one of whichever came first."""
    return one._replace(carrier="")


class TestBatches:
    def test_a_batch_is_taken_whole_or_not_at_all(self, company: Company) -> None:
        day = 86_400_000
        wrong = wrong_of(
            company,
            call("good"),
            call("ahead", milliseconds(NOW) - T0 + 301_000),
            call("early", -36 * day),
            call("end-before", 1000, ended=999),
            call("ring-before", 1000, ringing=999),
            call("ring-after", ringing=2000, ended=1000),
            call("end-ahead", ended=milliseconds(NOW) - T0 + 301_000),
            call("long", -8 * day, ended=0),
            call("silent", outcome=Outcome.ANSWERED),
            call("both", answered=5, outcome=Outcome.BUSY),
            call("service", service_id=999),
        )
        assert wrong == {
            1: ("started_at", AHEAD),
            2: ("started_at", TOO_LATE),
            3: ("ended_at", BEFORE),
            4: ("ringing_at", BEFORE),
            5: ("ringing_at", "This is after the call ended."),
            6: ("ended_at", AHEAD),
            7: ("ended_at", LASTS_TOO_LONG),
            8: ("answered_at", NO_ANSWER_TIME),
            9: ("result", NOT_ANSWERED),
            10: ("service_id", "There is no such service."),
        }
        assert kept(company.id) == []
        assert stored(company.id) == {}

    def test_of_no_company_and_of_an_archived_one_nothing_is_taken(self, company: Company) -> None:
        company.archived_at = NOW
        db.session.flush()
        for company_id in (company.id, company.id + 1000):
            with pytest.raises(BadCallsError) as refused:
                take_calls([(company_id, call())], NOW)
            assert [each.field for each in refused.value.wrong.values()] == ["company_id"]

    def test_the_same_call_id_a_week_later_is_no_completion(self, company: Company) -> None:
        take(company, call("a", -8 * 24 * HOUR))
        assert wrong_of(company, call("a", ended=5)) == {0: ("call_id", LASTS_TOO_LONG)}

    def test_the_same_call_id_at_two_companies_is_two_calls(self, company: Company) -> None:
        other = accounts.add_company("Birch Logistics", by=SYSTEM, now=NOW)
        assert take_calls([(company.id, call()), (other.id, call(ended=50))], NOW) == CallsTaken(2, 0)
        assert (kept(company.id), kept(other.id)) == ([call()], [call(ended=50)])

    def test_a_batch_has_an_end(self, company: Company) -> None:
        assert take(company, *[call()] * CALLS_AT_MOST) == CallsTaken(1, CALLS_AT_MOST - 1)
        with pytest.raises(RuleViolation, match="10,000"):
            take(company, *[call()] * (CALLS_AT_MOST + 1))
        assert take(company) == CallsTaken(0, 0)

    def test_a_batch_costs_the_same_statements_whatever_there_is(self, company: Company) -> None:
        others = [accounts.add_company(f"Company {each}", by=SYSTEM, now=NOW) for each in range(40)]

        def cost(companies: Sequence[Company], name: str, count: int) -> int:
            batch = [(each.id, call(f"{name}-{place}", place * 70_000)) for each in companies for place in range(count)]
            with counted_queries() as statements:
                assert take_calls(batch, NOW).taken == len(batch)
            return len(statements)

        cost([company], "first", 5)
        once = cost([company], "second", 1)
        assert cost([company], "third", 150) == once
        assert cost(others, "fourth", 100) == once
        assert once <= 16

    def test_a_batch_marks_its_source_as_unread(self, company: Company) -> None:
        take(company, call("a", ended=9000), call("b", 4000))
        (source,) = db.session.scalars(select(MeasuredSource).where(MeasuredSource.company_id == company.id))
        assert (source.kind, source.unread_since, milliseconds(source.last_at)) == ("calls", NOW, T0 + 9000)
        source.unread_since = None
        db.session.flush()
        take(company, call("b", 4000))
        db.session.refresh(source)
        assert source.unread_since is None


class TestForgetting:
    def _forget(self, name: str, days: int = 0) -> int:
        """All of what is older than its time so many days from now."""
        gone = 0
        while some := retention.forget_some(name, NOW + timedelta(days=days)):
            gone += some
        return gone

    def test_records_go_and_what_they_came_to_stays(self, company: Company) -> None:
        take(company, *(call(f"{each}", -each * 24 * HOUR, ended=-each * 24 * HOUR + 5) for each in range(30)))
        before = stored(company.id)
        assert self._forget(RECORDS, 40) == 9
        assert len(kept(company.id)) == 21
        assert stored(company.id) == before

    def test_of_a_forgotten_day_nothing_is_taken_any_more(self, company: Company) -> None:
        """Not even where records are kept for longer from now on: a sum of it would be of some calls only."""
        take(company, call("old", -30 * 24 * HOUR, ended=-30 * 24 * HOUR + 5))
        before = stored(company.id)
        forget_calls(NOW - timedelta(days=20), 1000)
        assert wrong_of(company, call("late", -30 * 24 * HOUR)) == {0: ("started_at", TOO_LATE)}
        assert stored(company.id) == before
        assert take(company, call("later", -19 * 24 * HOUR)).taken == 1

    def test_a_call_that_is_too_old_to_be_counted_anew_is_not_completed(self, company: Company) -> None:
        """Its start lies where minutes are forgotten, though its record is kept."""
        take(company, call("a", -34 * 24 * HOUR))
        before = stored(company.id)
        with pytest.raises(BadCallsError):
            take_calls([(company.id, call("a", -33 * 24 * HOUR))], NOW + timedelta(days=2))
        assert stored(company.id) == before

    def test_steps_go_by_their_own_clocks_in_bounded_pieces(self, company: Company) -> None:
        take(company, *(call(f"{each}", -each * 24 * HOUR, ended=-each * 24 * HOUR + 5) for each in range(30)))
        assert retention.forget_some(MINUTES, NOW + timedelta(days=20)) == 14
        assert self._forget(HOURS, 20) == self._forget(DAYS, 20) == 0
        by_step = db.session.execute(select(CallTally.step, func.count()).group_by(CallTally.step))
        assert {step: count for step, count in by_step} == {  # noqa: C416 (a row is no pair to the checker)
            CallStep.MINUTE: 16,
            CallStep.HOUR: 30,
            CallStep.DAY: 30,
        }

    def test_minutes_are_kept_for_a_month_of_rehearsal_and_days_for_a_year(self, session: None) -> None:
        kept_for = {each.keeping.name: (each.days, each.keeping.least_days) for each in retention.settings()}
        assert [kept_for[name] for name in (RECORDS, MINUTES, HOURS, DAYS)] == [
            (60, 2),
            (35, 32),
            (400, 32),
            (1100, 366),
        ]


def test_what_goes_with_a_company_is_counted(company: Company) -> None:
    take(company, call("a"), call("b"))
    assert (2, "calls it made or took, with what they came to") in touched(ExportKind.COMPANY, company.id)
    accounts_gone = delete(Company).where(Company.id == company.id)
    db.session.execute(delete(MeasuredSource).where(MeasuredSource.company_id == company.id))
    db.session.execute(accounts_gone)
    assert kept(company.id) == []
    assert stored(company.id) == {}


def test_a_company_takes_its_calls_along_without_carriers(company: Company) -> None:
    take(company, call("a", ended=5, outcome=Outcome.BUSY, carrier="Alpha"), call("b"))
    (part,) = (each for each in parts_about(ExportKind.COMPANY) if each.name == "calls")
    rows = list(part.rows(company.id, NOW))
    assert [(row["call_id"], row["outcome"]) for row in rows] == [("a", "busy"), ("b", None)]
    assert "Alpha" not in str(rows)
    assert list(part.rows(company.id + 1, NOW)) == []


class TestFiles:
    HEAD = ("Call-ID", "From", "To", "Start", "Ringing", "Answer", "End", "Result", "Trunk", "Carrier")

    def test_what_is_right_is_taken_and_what_is_wrong_is_told_by_line(self, company: Company) -> None:
        at = "2026-11-21 11:0{}:00"
        rows = [
            self.HEAD,
            ("a", "+49", "+44", at.format(0), at.format(1), at.format(2), at.format(3), "200", "London", "Alpha"),
            ("b", "+49", "+44", "soon", "", "", "", "", "", ""),
            ("c", "+49", "+44", at.format(5), "", "", at.format(4), "486", "", ""),
            ("d", "+49", "+44", at.format(5), "", "", "", "busy", "", ""),
            ("e", "+49", "+44", "2025-11-21 11:00:00", "", "", "", "busy", "", ""),
        ]
        taken, wrong = take_call_file(company, rows, by=SYSTEM, now=NOW)
        assert (taken, [each.number for each in wrong]) == (CallsTaken(2, 0), [3, 4, 6])
        assert wrong[1].sentence == f"ended_at: {BEFORE}"
        assert take_call_file(company, rows, by=SYSTEM, now=NOW)[0] == CallsTaken(0, 2)
        found = call_by_id(company.id, "a")
        assert found is not None
        assert (found.outcome, found.trunk, found.carrier) == (Outcome.ANSWERED, "London", "Alpha")
        entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "calls.upload")).all()
        assert len(entries) == 2

    def test_a_file_without_records_or_with_too_many_is_refused(self, company: Company) -> None:
        with pytest.raises(RuleViolation, match="no call record"):
            take_call_file(company, [self.HEAD, ("", "")], by=SYSTEM, now=NOW)
        many = [(f"{each}", "", "", "2026-11-21 11:00:00") for each in range(CALLS_AT_MOST + 1)]
        with pytest.raises(RuleViolation, match="10,000"):
            take_call_file(company, many, by=SYSTEM, now=NOW)

    def test_a_formula_is_only_text(self, company: Company) -> None:
        take_call_file(company, [("a", "=1+1", "@x", "2026-11-21 11:00:00")], by=SYSTEM, now=NOW)
        found = search(company.id, CallFilter(call_id="a"))
        assert found is not None
        assert [each.from_number for each in found.items] == ["=1+1"]
