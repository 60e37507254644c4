"""Taking call records: what they come to is always what all of them say, whatever came when and how often."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Service
from portal.errors import RuleViolation
from portal.extensions import db
from portal.usage.calls.actions import (
    SAID,
    BadCallsError,
    CallsTaken,
    forget_calls,
    forget_tallies,
    take_call_file,
    take_calls,
)
from portal.usage.calls.models import CallBook, CallRecord, CallTally
from portal.usage.calls.queries import call_by_id
from portal.usage.calls.rules import CALLS_AT_MOST, Call, CallStep, Outcome, milliseconds
from portal.usage.calls.rules.reading import LASTS_TOO_LONG, TOO_LATE
from portal.usage.models import MeasuredSource
from portal.usage.rules import AHEAD
from tests.conftest import NOW, Cast, counted_queries
from tests.usage.calls.scratch import tallied

T0 = milliseconds(NOW) - 3 * 3_600_000 - 7_000


def call(call_id: str = "a@switch", start: int = 0, **said: Any) -> Call:
    """A call that started so many milliseconds after 08:59:53; other moments are told likewise."""
    moments = {name: None if said.get(name) is None else T0 + said[name] for name in ("ringing", "answered", "ended")}
    outcome = said.get("outcome", Outcome.ANSWERED if said.get("answered") is not None else None)
    return Call(
        call_id,
        said.get("caller", "+4930123456"),
        said.get("called", "+442071234567"),
        T0 + start,
        moments["ringing"],
        moments["answered"],
        moments["ended"],
        outcome,
        said.get("code"),
        said.get("trunk", ""),
        said.get("carrier", ""),
        said.get("service_id"),
    )


def kept(company_id: int) -> list[Call]:
    db.session.expire_all()
    rows = db.session.scalars(select(CallRecord).where(CallRecord.company_id == company_id)).all()
    return [
        Call(*(milliseconds(each) if isinstance(each, datetime) else each for each in (getattr(row, n) for n in SAID)))
        for row in rows
    ]


def stored(company_id: int) -> dict[Any, tuple[int, ...]]:
    """What is kept of what calls came to, without steps in which nothing is left."""
    db.session.expire_all()
    rows = db.session.scalars(select(CallTally).where(CallTally.company_id == company_id)).all()
    names = ("attempts", "answered", "effective", "rung", "pdd_ms", "ended", "talk_ms", "closed", "open", "peak")
    found = {
        (row.scope, row.step, milliseconds(row.at)): tuple(getattr(row, name) for name in names) for row in rows
    }
    return {key: values for key, values in found.items() if any(values)}


def take(company: Company, *calls: Call) -> CallsTaken:
    return take_calls([(company.id, each) for each in calls], NOW)


def wrong_of(company: Company, *calls: Call) -> dict[int, tuple[str, str]]:
    with pytest.raises(BadCallsError) as refused:
        take(company, *calls)
    return {place: (each.field, each.sentence) for place, each in refused.value.wrong.items()}


@pytest.fixture
def company(session: None) -> Company:
    return accounts.add_company("Alder Dental", by=SYSTEM, now=NOW - timedelta(days=60))


@pytest.fixture
def service(session: None) -> Service:
    found = Service(name="Voice")
    db.session.add(found)
    db.session.flush()
    return found


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
        self._begin_anew(company)

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
        burst = [call(f"burst {each}".replace(" ", "-"), 7_000 + each) for each in range(3)]
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
