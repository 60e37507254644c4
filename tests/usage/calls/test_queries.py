"""What calls come to over any stretch, channels at any minute, series, searches: many in as few statements as one."""

import random
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.errors import RuleViolation
from portal.extensions import db
from portal.usage.calls.actions import take_calls
from portal.usage.calls.queries import (
    CallFilter,
    Stretch,
    channels_at,
    pdd_p95,
    search,
    steps,
    sums_over,
    trunks_of,
)
from portal.usage.calls.rules import NONE, Call, CallStep, Outcome, Sums, milliseconds, scope_of_trunk
from tests.conftest import NOW, counted_queries
from tests.usage.calls.scratch import in_progress, is_attempt, tallied

TO, FROM = "+442071234567", "+4930123456"
DAYS = 4
BEGIN = NOW - timedelta(days=DAYS)


@pytest.fixture
def company(session: None) -> Company:
    return accounts.add_company("Alder Dental", by=SYSTEM, now=NOW - timedelta(days=60))


@pytest.fixture
def calls(company: Company) -> list[Call]:
    """Four days of calls on two trunks, some of which nobody saw the end of."""
    dice = random.Random(11)  # noqa: S311 (the same calls every time)
    found = []
    for number in range(600):
        start = milliseconds(BEGIN) + dice.randrange(DAYS * 86_400_000)
        ringing = dice.choice([None, start + dice.randrange(5000)])
        answered = dice.choice([None, start + 5000 + dice.randrange(20_000)])
        ended = dice.choice([None, start + 25_000 + dice.randrange(dice.choice([100_000, 9_000_000]))])
        ended = None if ended and ended > milliseconds(NOW) else ended
        answered = None if answered and answered > milliseconds(NOW) else answered
        ringing = None if ringing and ringing > milliseconds(NOW) else ringing
        unanswered: list[Outcome | None] = [None, *(each for each in Outcome if each != "answered")]
        outcome = Outcome.ANSWERED if answered else dice.choice(unanswered)
        trunk = dice.choice(["", "London", "Berlin"])
        found.append(Call(f"{number}", FROM, TO, start, ringing, answered, ended, outcome, None, trunk, "", None))
    take_calls([(company.id, each) for each in found], NOW)
    return found


def counted(calls: list[Call], begin: datetime, end: datetime, scope: str = "") -> Sums:
    """The slow way: the minutes of all calls from scratch."""
    found = NONE
    for (of, step, at), values in tallied(calls).items():
        if of == scope and step is CallStep.MINUTE and milliseconds(begin) <= at < milliseconds(end):
            found += Sums(*(*values[:8], values[9]))
    return found


def test_sums_over_any_stretch_are_those_of_its_minutes(company: Company, calls: list[Call]) -> None:
    dice = random.Random(5)  # noqa: S311 (the same stretches every time)
    wanted = []
    for _number in range(60):
        begin = BEGIN + timedelta(minutes=dice.randrange(DAYS * 1440))
        length = timedelta(minutes=dice.choice([0, 1, 5, 59, 60, 61, 300, 1440, 1441, 4000]))
        wanted.append(Stretch(company.id, dice.choice(["", "t:London", "t:Nowhere"]), begin, begin + length))
    found = sums_over(wanted)
    for each in wanted:
        assert found[each] == counted(calls, each.begin, each.end, each.scope), each


def test_thousands_of_stretches_cost_what_one_does(company: Company, calls: list[Call]) -> None:
    wanted = [
        Stretch(company.id + dice, "", NOW - timedelta(minutes=minutes), NOW)
        for dice in range(30)
        for minutes in range(100)
    ]
    with counted_queries() as statements:
        found = sums_over(wanted)
        channels_at([(company.id + each, "") for each in range(1000)], NOW)
    assert len(statements) == 2
    assert len(found) == 3000
    with counted_queries() as statements:
        assert sums_over([]) == {}
        assert channels_at([], NOW) == {}
    assert not statements


def test_channels_are_those_in_progress_as_the_minute_begins(company: Company, calls: list[Call]) -> None:
    """Those being set up too; nobody saw the end of some, which count for a day."""
    for ago in (0, 1, 59, 60, 61, 700, 1440, 1500, 3000, DAYS * 1440):
        at = NOW - timedelta(minutes=ago)
        found = channels_at([(company.id, ""), (company.id, "t:London"), (company.id, "t:Nowhere")], at)
        of_london = [each for each in calls if each.trunk == "London"]
        assert found == {
            (company.id, ""): in_progress(calls, milliseconds(at)),
            (company.id, "t:London"): in_progress(of_london, milliseconds(at)),
            (company.id, "t:Nowhere"): 0,
        }
    assert channels_at([(company.id, "")], NOW + timedelta(seconds=59)) == channels_at([(company.id, "")], NOW)


def test_a_series_of_minutes_tells_what_was_in_progress_at_each(company: Company, calls: list[Call]) -> None:
    begin = NOW - timedelta(hours=7, minutes=23)
    with counted_queries() as statements:
        series = steps(company.id, "", CallStep.MINUTE, begin, NOW)
    assert len(statements) == 1
    assert series[0].at == begin
    for each in series:
        assert each.open == in_progress(calls, milliseconds(each.at))
        assert each.sums == counted(calls, each.at, each.at + timedelta(minutes=1))
        assert each.left == in_progress(calls, milliseconds(each.at) + 60_000)
    assert sum((each.sums for each in series), NONE) == counted(calls, begin, NOW)


def test_a_series_of_hours_and_days(company: Company, calls: list[Call]) -> None:
    for step in (CallStep.HOUR, CallStep.DAY):
        series = steps(company.id, "t:London", step, BEGIN, NOW)
        assert series
        for each in series:
            assert each.sums == counted(calls, each.at, each.at + step.length, "t:London")
            assert each.open == in_progress([one for one in calls if one.trunk == "London"], milliseconds(each.at))


def test_a_series_of_minutes_in_which_nothing_happened_still_begins(company: Company) -> None:
    started = milliseconds(NOW) - 3 * 3_600_000
    take_calls([(company.id, Call("a", "", "", started, None, None, None, None, None, "", "", None))], NOW)
    (only,) = steps(company.id, "", CallStep.MINUTE, NOW - timedelta(minutes=50), NOW)
    assert (only.open, only.left, only.sums) == (1, 1, NONE)


def test_the_95th_percentile_of_the_delay(company: Company, calls: list[Call]) -> None:
    def nearest_rank(some: list[Call]) -> Decimal | None:
        heard = [[at for at in (each.ringing, each.answered) if at is not None] for each in some]
        delays = sorted(min(at) - each.started for at, each in zip(heard, some, strict=True) if at)
        return Decimal(delays[-(-len(delays) * 95 // 100) - 1]) if delays else None

    attempts = [each for each in calls if is_attempt(each)]
    assert pdd_p95(company.id, BEGIN, NOW) == nearest_rank(attempts)
    of_london = [each for each in attempts if each.trunk == "London"]
    assert pdd_p95(company.id, BEGIN, NOW, scope_of_trunk("London")) == nearest_rank(of_london)
    assert pdd_p95(company.id, BEGIN, NOW, "s:5") is None
    assert pdd_p95(company.id + 1, BEGIN, NOW) is None


def test_trunks_are_those_with_calls(company: Company, calls: list[Call]) -> None:
    with counted_queries() as statements:
        found = trunks_of([company.id, company.id + 1], BEGIN)
    assert len(statements) == 1
    assert found == {company.id: ["Berlin", "London"], company.id + 1: []}
    assert trunks_of([company.id], NOW + timedelta(days=2)) == {company.id: []}


class TestSearching:
    @pytest.fixture
    def other(self, company: Company, calls: list[Call]) -> Company:
        """Somebody else's calls, with the same Call-IDs and numbers."""
        other = accounts.add_company("Birch Logistics", by=SYSTEM, now=NOW)
        take_calls([(other.id, each) for each in calls], NOW)
        return other

    def _ids(self, company: Company, wanted: CallFilter, page: int = 1) -> list[str]:
        with counted_queries() as statements:
            found = search(company.id, wanted, page)
        assert len(statements) == 1
        assert found is not None
        assert {each.company_id for each in found.items} <= {company.id}
        return [each.call_id for each in found.items]

    def test_a_company_finds_its_own_and_nothing_else(
        self, company: Company, other: Company, calls: list[Call]
    ) -> None:
        newest = [each.call_id for each in sorted(calls, key=lambda each: (-each.started, each.call_id))]
        assert self._ids(company, CallFilter()) == newest[:50]
        assert self._ids(company, CallFilter(), 2) == newest[50:100]
        assert self._ids(company, CallFilter(number="030 123456")) == newest[:50]
        assert self._ids(company, CallFilter(number="020 7123 4567"), 12) == newest[550:]
        assert self._ids(company, CallFilter(number="999")) == []
        assert self._ids(company, CallFilter(call_id="17")) == ["17"]
        assert self._ids(other, CallFilter(call_id="17")) == ["17"]

    def test_by_time_and_by_what_it_came_to(self, company: Company, calls: list[Call]) -> None:
        begin, end = NOW - timedelta(hours=9), NOW - timedelta(hours=3)
        expected = {
            each.call_id
            for each in calls
            if each.outcome is Outcome.BUSY and milliseconds(begin) <= each.started < milliseconds(end)
        }
        wanted = CallFilter(outcome=Outcome.BUSY, begin=begin, end=end)
        assert expected
        assert set(self._ids(company, wanted)) == expected
        with_number = CallFilter(number="123456", outcome=Outcome.BUSY, begin=begin, end=end)
        assert set(self._ids(company, with_number)) == expected

    def test_pages_have_an_end(self, company: Company, calls: list[Call]) -> None:
        last = search(company.id, CallFilter(), 12)
        assert last is not None
        assert (len(last.items), last.has_more) == (50, False)
        first = search(company.id, CallFilter())
        assert first is not None
        assert first.has_more
        assert [search(company.id, CallFilter(), page) for page in (0, -1, 101)] == [None, None, None]

    @pytest.mark.parametrize("number", ["12", "anonymous", "+0"])
    def test_too_few_digits_are_refused(self, company: Company, number: str) -> None:
        with pytest.raises(RuleViolation, match="last 3 digits"):
            search(company.id, CallFilter(number=number))


def test_calls_of_a_service_are_summed_up_apart(company: Company) -> None:
    service = catalogue.add_service("Voice", by=SYSTEM, now=NOW)
    db.session.flush()
    at = milliseconds(NOW) - 600_000
    one = Call("a", "", "", at, None, None, at + 5, Outcome.BUSY, 486, "London", "", service.id)
    take_calls([(company.id, one), (company.id, one._replace(call_id="b", service_id=None))], NOW)
    stretches = {
        scope: Stretch(company.id, scope, NOW - timedelta(hours=1), NOW)
        for scope in ("", "t:London", f"s:{service.id}")
    }
    found = sums_over(stretches.values())
    assert [found[each].attempts for each in stretches.values()] == [2, 2, 1]
