"""What an alert may be asked to watch: each refusal a sentence, beside its field; and what customers may."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.alerts.rules import AlertArea, Condition, Maker, Operator, Repeat, Rights
from portal.alerts.rules.checks import (
    Wanted,
    condition_of,
    hint,
    may_edit,
    may_make,
    may_set_threshold,
    refusals,
    tidied,
)
from portal.alerts.rules.stepping import is_bad, is_well
from portal.usage.rules import Measure

ASR = Wanted(
    "Low ASR",
    AlertArea.ASR,
    Operator.AT_MOST,
    company_id=1,
    threshold=Decimal(30),
    reset=Decimal(31),
    window=300,
    recipients=("a@b.test",),
)
BALANCE = replace(ASR, area=AlertArea.BALANCE, window=0)


def refused(wanted: Wanted, decimals: int = 2) -> list[tuple[str, str]]:
    return [(each.name, each.sentence % each.values) for each in refusals(tidied(wanted), decimals)]


def test_the_worked_example_is_fine() -> None:
    assert refused(ASR) == []


def test_an_area_is_a_measure_by_its_name_or_a_script() -> None:
    names = {each.value for each in AlertArea} - {"script"}
    assert names <= {each.value for each in Measure}
    for area in AlertArea:
        if area is not AlertArea.SCRIPT:
            measure = Measure(area.value)
            assert (area.is_windowed, area.is_of_calls) == (measure.is_windowed, measure.is_of_calls), area


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"title": ""}, "title", "Give the alert a title of at most 200 characters."),
        ({"title": "x" * 201}, "title", "at most 200"),
        ({"company_id": None}, "company", "either a company or a tag"),
        ({"tag": "gold"}, "company", "either a company or a tag"),
        ({"threshold": None}, "threshold", "Write the value from which on it is bad."),
        ({"threshold": Decimal(101), "reset": None}, "threshold", "from 0 to 100"),
        ({"threshold": Decimal(-1)}, "threshold", "from 0 to 100"),
        ({"reset": Decimal(101)}, "reset", "from 0 to 100"),
        ({"threshold": Decimal("30.001")}, "threshold", "at most 2 digits"),
        ({"threshold": Decimal(100), "reset": None}, "threshold", "never be normal again"),
        ({"operator": Operator.LESS, "threshold": Decimal(0)}, "threshold", "never be triggered"),
        ({"operator": Operator.MORE, "threshold": Decimal(100), "reset": None}, "threshold", "never be triggered"),
        ({"operator": Operator.AT_LEAST, "threshold": Decimal(0), "reset": None}, "threshold", "never be normal again"),
        ({"reset": Decimal(29)}, "reset", "at the threshold or above it: write 30 or more"),
        ({"operator": Operator.MORE, "reset": Decimal(31)}, "reset", "at the threshold or below it: write 30 or less"),
        ({"operator": Operator.EQUAL}, "reset", "leave this empty"),
        ({"window": 0}, "window", "from 1 minute to 24 hours"),
        ({"window": 90}, "window", "whole minutes"),
        ({"window": 86_460}, "window", "24 hours"),
        ({"least_count": -1}, "least_count", "between 0 and 1,000,000"),
        ({"must_last": 86_401}, "must_last", "at most 24 hours"),
        ({"must_be_well": -60}, "must_be_well", "at most 24 hours"),
        ({"repeat": Repeat.DAILY, "repeat_hour": 24}, "repeat_hour", "from 0 to 23"),
        ({"operator": Operator.ALWAYS}, "repeat", "choose how often"),
        ({"area": AlertArea.CUSTOM}, "metric", "Choose the metric"),
        ({"area": AlertArea.CUSTOM, "metric_id": 1, "tag": "x", "company_id": None}, "area", "belongs to one company"),
        ({"area": AlertArea.SCRIPT, "reset": None}, "script", "Write the expression"),
        ({"area": AlertArea.SCRIPT, "reset": None, "script": "x" * 501}, "script", "at most 500 characters"),
        ({"trunk": "t" * 101}, "trunk", "at most 100"),
        ({"trunk": "North", "service_id": 1}, "trunk", "not both"),
        ({"recipients": ()}, "recipients", "Name somebody who is told"),
        ({"recipients": tuple(f"{each}@b.test" for each in range(21))}, "recipients", "at most 20"),
        ({"area": AlertArea.CHANNELS, "threshold": Decimal(-1), "reset": None}, "threshold", "never below 0"),
    ],
)
def test_every_refusal_is_a_sentence_beside_its_field(changes: dict[str, Any], field: str, says: str) -> None:
    (found,) = refused(replace(ASR, **changes))
    assert found[0] == field
    assert says in found[1]
    assert found[1].endswith(".")


def test_a_number_no_database_holds_is_refused() -> None:
    for value in (Decimal("NaN"), Decimal("Infinity"), Decimal(10) ** 12):
        assert refused(replace(BALANCE, threshold=value, reset=None))[0][0] == "threshold"


def test_whole_figures_take_whole_thresholds() -> None:
    found = refused(replace(BALANCE, threshold=Decimal("1.5"), reset=None), 0)
    assert found == [("threshold", "Write a whole number: this figure is shown without digits behind the point.")]


def test_fields_follow_the_area_what_it_does_not_use_is_dropped_and_never_refused() -> None:
    """Sample period on balance and channels: hidden and ignored."""
    for area in (AlertArea.BALANCE, AlertArea.CREDIT, AlertArea.CHANNELS):
        assert tidied(replace(ASR, area=area, window=77)).window == 0
        assert refused(replace(ASR, area=area, window=77, least_count=-5)) == []
    money = tidied(replace(BALANCE, trunk="North", metric_id=4, script="x", repeat_hour=9, zone="UTC", least_count=7))
    assert (money.trunk, money.metric_id, money.script, money.repeat_hour, money.zone) == ("", None, "", None, "")
    assert money.least_count == 0
    assert tidied(replace(ASR, area=AlertArea.CUSTOM, service_id=4, metric_id=1)).service_id is None


def test_always_has_neither_threshold_nor_reset_nor_waits() -> None:
    found = tidied(replace(ASR, operator=Operator.ALWAYS, repeat=Repeat.DAILY, must_last=60, must_be_well=60))
    assert (found.threshold, found.reset, found.must_last, found.must_be_well, found.least_count) == (
        None,
        None,
        0,
        0,
        0,
    )
    assert refused(found) == []


def test_a_script_that_holds_is_bad_without_a_threshold() -> None:
    found = tidied(replace(ASR, area=AlertArea.SCRIPT, script=" asr('5m') < 3 ", threshold=None, reset=None))
    condition = condition_of(found, "")
    assert (is_bad(condition, Decimal(1)), is_bad(condition, Decimal(0)), found.script) == (
        True,
        False,
        "asr('5m') < 3",
    )


def test_exact_values_are_advised_against_except_for_whole_numbers() -> None:
    assert hint(replace(ASR, operator=Operator.EQUAL))
    assert hint(replace(ASR, operator=Operator.EQUAL, area=AlertArea.CHANNELS)) is None
    assert hint(ASR) is None


def test_a_daily_hour_is_of_the_companys_zone_unless_the_alert_has_one() -> None:
    daily = tidied(replace(ASR, repeat=Repeat.DAILY, repeat_hour=9))
    assert condition_of(daily, "Europe/Berlin").zone == "Europe/Berlin"
    assert condition_of(replace(daily, zone="Asia/Tokyo"), "Europe/Berlin").zone == "Asia/Tokyo"
    assert condition_of(daily, "").zone == "UTC"


AMOUNTS = st.integers(-200, 200).map(lambda each: Decimal(each) / 2)


@given(
    operator=st.sampled_from([each for each in Operator if each is not Operator.ALWAYS]),
    threshold=AMOUNTS,
    reset=st.none() | AMOUNTS,
    area=st.sampled_from([AlertArea.ASR, AlertArea.BALANCE, AlertArea.CPS]),
)
def test_what_is_accepted_can_be_triggered_and_be_normal_again(
    operator: Operator, threshold: Decimal, reset: Decimal | None, area: AlertArea
) -> None:
    """And no value is bad and well at once."""
    wanted = replace(ASR, area=area, operator=operator, threshold=threshold, reset=reset)
    if refused(wanted):
        return
    condition = Condition(operator, threshold, reset)
    least, most = (0, 200) if area is AlertArea.ASR else (0, 1000) if area is AlertArea.CPS else (-1000, 1000)
    values = [Decimal(each) / 2 for each in range(least, most + 1)]
    assert any(is_bad(condition, each) for each in values)
    assert any(is_well(condition, each) for each in values)
    assert not any(is_bad(condition, each) and is_well(condition, each) for each in values)


# What customers may


def test_customers_see_and_test_and_the_threshold_of_money_is_behind_a_switch() -> None:
    money, other = AlertArea.BALANCE, AlertArea.ASR
    table = {
        each: (
            may_make(each),
            may_set_threshold(each, money, is_shared=False),
            may_set_threshold(each, other, is_shared=False),
            may_edit(each, made_by=Maker.STAFF, is_shared=False),
            may_edit(each, made_by=Maker.CUSTOMER, is_shared=False),
        )
        for each in Rights
    }
    assert table == {
        Rights.SEE: (False, False, False, False, False),
        Rights.THRESHOLDS: (False, True, False, False, False),
        Rights.ALL: (True, True, False, False, True),
    }
    assert not may_set_threshold(Rights.ALL, money, is_shared=True)
    assert not may_edit(Rights.ALL, made_by=Maker.CUSTOMER, is_shared=True)
