"""W05: what comes in to be measured and is nonsense is refused as a whole, and no alert hears of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.alerts import actions
from portal.alerts.models import AlertEvent, AlertWatch
from portal.alerts.rules import AlertArea, AlertState, Operator
from portal.alerts.rules.checks import Wanted as WantedAlert
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications.models import Broadcast
from portal.usage.actions import Wanted, add_metric, take_samples
from portal.usage.calls.models import CallRecord
from portal.usage.models import MetricSample
from portal.usage.rules import Measure, Sample
from tests.api.v1.conftest import Machine, MakeMachine
from tests.conftest import Cast

pytestmark = pytest.mark.both


@pytest.fixture
def balance_id(cast: Cast) -> int:
    """The balance of A, 100 now, with an alert below 50 that has looked at it."""
    now = clock.utcnow()
    wanted = Wanted("money", "Money", "EUR", decimals=2, company_id=cast.a.id, measure=Measure.BALANCE)
    metric = add_metric(wanted, by=SYSTEM, now=now)
    db.session.flush()
    take_samples([(metric.id, Sample(now, Decimal(100)))], now)
    alert = WantedAlert(
        "Low",
        AlertArea.BALANCE,
        Operator.LESS,
        company_id=cast.a.id,
        threshold=Decimal(50),
        recipients=("noc@elsewhere.test",),
    )
    actions.add_alert(alert, by=SYSTEM, now=now, idempotency_key="low")
    actions.evaluate_all(now)
    db.session.commit()
    return metric.id


def _sample(value: str, at: str | None = None) -> str:
    moment = at or (clock.utcnow() + timedelta(seconds=1)).isoformat()
    return f'{{"at": "{moment}", "value": {value}}}'


def _call(company_id: int, **changes: str) -> str:
    moment = (clock.utcnow() - timedelta(seconds=10)).isoformat(timespec="milliseconds")
    facts = {"company_id": str(company_id), "call_id": '"one"', "from": '"+49301234"', "to": '"+49304567"'}
    facts |= {"started_at": f'"{moment}"', **changes}
    return "{" + ", ".join(f'"{name}": {value}' for name, value in facts.items()) + "}"


SAMPLES = {
    "NaN": lambda: _sample("NaN"),
    "Infinity": lambda: _sample("Infinity"),
    "-Infinity": lambda: _sample("-Infinity"),
    "1e400": lambda: _sample("1e400"),
    "a string": lambda: _sample('"0"'),
    "a list": lambda: _sample("[0]"),
    "nothing": lambda: _sample("null"),
    "1970": lambda: _sample("0", "1970-01-01T00:00:00Z"),
    "2099": lambda: _sample("0", "2099-01-01T00:00:00Z"),
    "no time": lambda: _sample("0", "yesterday"),
}
CALLS = {
    "1970": {"started_at": '"1970-01-01T00:00:00Z"'},
    "2099": {"started_at": '"2099-01-01T00:00:00Z"'},
    "a number as Call-ID": {"call_id": "1e400"},
    "an end before its start": {"ended_at": '"2026-01-01T00:00:00Z"'},
    "no result": {"result": '"fine"'},
}


def _is_untouched() -> bool:
    """Whether all is as it was: one sample, no call, one normal watch that has told nobody anything."""
    actions.evaluate_all(clock.utcnow())
    return (
        db.session.scalar(select(func.count()).select_from(MetricSample)) == 1
        and db.session.scalar(select(func.count()).select_from(CallRecord)) == 0
        and db.session.scalars(select(AlertWatch.state)).all() == [AlertState.NORMAL]
        and db.session.scalar(select(func.count()).select_from(AlertEvent)) == 0
        and db.session.scalar(select(func.count()).select_from(Broadcast)) == 0
    )


def _send(machine: Machine, path: str, body: str) -> int:
    headers = {"Authorization": f"Bearer {machine.token}", "Idempotency-Key": "a-key-of-its-own"}
    answer = machine.client.post(f"/api/v1{path}", data=body, content_type="application/json", headers=headers)
    return answer.status_code


@pytest.mark.parametrize("wrong", SAMPLES)
def test_w05_a_sample_that_is_none_takes_its_batch_with_it(machine: MakeMachine, balance_id: int, wrong: str) -> None:
    body = f'{{"samples": [{_sample("10")}, {SAMPLES[wrong]()}]}}'
    assert _send(machine(Scope.METRICS), f"/metrics/{balance_id}/samples", body) in {400, 422}
    assert _is_untouched()


@pytest.mark.parametrize("wrong", CALLS)
def test_w05_a_call_that_is_none_takes_its_batch_with_it(
    machine: MakeMachine, cast: Cast, balance_id: int, wrong: str
) -> None:
    body = f'{{"records": [{_call(cast.a.id)}, {_call(cast.a.id, **CALLS[wrong])}]}}'
    assert _send(machine(Scope.CALLS), "/call-records", body) in {400, 422}
    assert _is_untouched()


def test_w05_of_an_unknown_metric_nothing_is_taken(machine: MakeMachine, balance_id: int) -> None:
    desk: Any = machine(Scope.METRICS)
    assert _send(desk, "/metrics/4711/samples", f'{{"samples": [{_sample("10")}]}}') == 404
    rows = f'{{"metric_id": {balance_id}, {_sample("10")[1:]}, {{"metric_id": 4711, {_sample("10")[1:]}'
    assert _send(desk, "/samples", f'{{"samples": [{rows}]}}') == 422
    assert _is_untouched()


def test_w05_a_million_points_are_not_read(machine: MakeMachine, balance_id: int) -> None:
    many = ",".join([_sample("10")] * 1_000_000)
    assert _send(machine(Scope.METRICS), f"/metrics/{balance_id}/samples", f'{{"samples": [{many}]}}') == 413
    assert _is_untouched()


def test_w05_what_is_right_is_heard_of(machine: MakeMachine, balance_id: int) -> None:
    """So that the tests above would notice."""
    body = f'{{"samples": [{_sample("10")}]}}'
    assert _send(machine(Scope.METRICS), f"/metrics/{balance_id}/samples", body) == 200
    actions.evaluate_all(clock.utcnow() + timedelta(seconds=2))
    assert db.session.scalars(select(AlertWatch.state)).all() == [AlertState.TRIGGERED]


def test_w05_a_call_that_is_right_is_taken(machine: MakeMachine, cast: Cast) -> None:
    body = f'{{"records": [{_call(cast.a.id)}]}}'
    assert _send(machine(Scope.CALLS), "/call-records", body) == 200
    assert db.session.scalar(select(func.count()).select_from(CallRecord)) == 1
