"""Metrics, their samples and their figures, through the API."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.usage.rules import BATCH_AT_MOST
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast


def _at(minutes: float = 0) -> str:
    return (clock.utcnow() - timedelta(minutes=minutes)).isoformat()


@pytest.fixture
def desk(machine: MakeMachine, cast: Cast) -> Machine:
    return machine(Scope.METRICS)


@pytest.fixture
def metric(desk: Machine) -> Any:
    return desk.make("/metrics", {"key": "pdd", "name": "Post-dial delay", "unit": "ms"})


def test_one_is_made_changed_and_archived(desk: Machine, cast: Cast) -> None:
    body = {"key": "pdd", "name": "Post-dial delay", "unit": "ms", "portal_ids": [cast.domain_a.id]}
    made = desk.make("/metrics", body)
    path = f"/metrics/{made['id']}"
    assert (made["company_id"], made["portal_ids"], made["interval"]) == (None, [cast.domain_a.id], 60)
    assert refusal(desk.send("POST", "/metrics", body), 422)["errors"][0]["pointer"] == "/key"
    shown = desk.send("PATCH", path, {"portal_ids": [cast.domain_b.id]}, match=made["version"])
    assert shown.json is not None
    assert (shown.json["portal_ids"], shown.json["version"]) == ([cast.domain_b.id], made["version"] + 1)
    refusal(desk.send("PATCH", path, {"name": "Mine"}, match=made["version"]), 409)
    assert desk.send("POST", f"{path}/archive", match="*").status_code == 200
    assert [each["id"] for each in desk.all("/metrics?is_archived=true")] == [made["id"]]
    sample = {"samples": [{"at": _at(), "value": 1}]}
    assert "archived" in refusal(desk.send("POST", f"{path}/samples", sample), 422)["detail"]
    assert desk.send("POST", f"{path}/restore", match="*").status_code == 200
    assert desk.send("POST", f"{path}/samples", sample).status_code == 200


def test_one_of_a_company_stands_on_no_page(desk: Machine, cast: Cast) -> None:
    body = {"key": "calls-a", "name": "Calls", "company_id": cast.a.id}
    both = body | {"portal_ids": [cast.domain_a.id]}
    assert refusal(desk.send("POST", "/metrics", both), 422)["errors"][0]["pointer"] == "/portal_ids"
    made = desk.make("/metrics", body)
    assert [each["id"] for each in desk.all(f"/metrics?company_id={cast.a.id}")] == [made["id"]]
    assert desk.all(f"/metrics?company_id={cast.b.id}") == []


def test_one_of_a_company_delivers_a_measure(desk: Machine, cast: Cast) -> None:
    body = {"key": "money-a", "name": "Money", "company_id": cast.a.id, "measure": "balance", "debit_limit": -5.25}
    made = desk.make("/metrics", body | {"unit": "EUR", "decimals": 2})
    assert (made["measure"], made["debit_limit"], made["trunk"], made["is_shown"]) == ("balance", -5.25, "", False)
    assert refusal(desk.send("POST", "/metrics", body | {"key": "b"}), 422)["errors"][0]["pointer"] == "/measure"
    refusal(desk.send("POST", "/metrics", body | {"key": "b", "measure": "asr"}), 422)
    path = f"/metrics/{made['id']}"
    changed = desk.send("PATCH", path, {"measure": "custom", "debit_limit": None, "is_shown": True}, match="*").json
    assert changed is not None
    assert (changed["measure"], changed["debit_limit"], changed["is_shown"]) == ("custom", None, True)
    assert desk.make("/metrics", {"key": "own", "name": "Own", "company_id": cast.a.id})["measure"] == "custom"
    of_everybody = refusal(desk.send("POST", "/metrics", {"key": "c", "name": "C", "measure": "cps"}), 422)
    assert of_everybody["errors"][0]["pointer"] == "/measure"


def test_samples_come_in_once_and_are_read_back(desk: Machine, metric: Any) -> None:
    path = f"/metrics/{metric['id']}/samples"
    batch = {"samples": [{"at": _at(each), "value": each + 0.25} for each in range(7)]}
    first = desk.send("POST", path, batch, Idempotency_Key="one")
    again = desk.send("POST", path, batch, Idempotency_Key="one")
    assert (first.json, again.json) == ({"taken": 7, "known": 0}, {"taken": 7, "known": 0})
    assert again.headers["Idempotent-Replayed"] == "true"
    refusal(desk.send("POST", path, {"samples": batch["samples"][:1]}, Idempotency_Key="one"), 422)
    assert desk.send("POST", path, batch, Idempotency_Key="two").json == {"taken": 0, "known": 7}
    assert [each["value"] for each in desk.all(f"{path}?limit=3")] == [each + 0.25 for each in range(7)]
    assert len(desk.all(f"{path}?sort=at&since={_at(3.5)[:19]}Z")) == 4


def test_samples_of_several_come_at_once(desk: Machine, metric: Any) -> None:
    other = desk.make("/metrics", {"key": "asr", "name": "Answered", "unit": "%"})
    now = _at()
    batch = [{"metric_id": each["id"], "at": now, "value": 5} for each in (metric, other)]
    assert desk.send("POST", "/samples", {"samples": batch}).json == {"taken": 2, "known": 0}
    bad = [*batch, {"metric_id": other["id"] + 1000, "at": now, "value": 5}]
    refused = refusal(desk.send("POST", "/samples", {"samples": bad}), 422)
    assert [each["pointer"] for each in refused["errors"]] == ["/samples/2"]


def test_figures_are_read_by_step(desk: Machine, metric: Any) -> None:
    path = f"/metrics/{metric['id']}"
    batch = {"samples": [{"at": _at(each), "value": each} for each in range(3)]}
    assert desk.send("POST", f"{path}/samples", batch).status_code == 200
    for step in ("five_minutes", "hour", "day"):
        found = desk.read(f"{path}/series?step={step}")
        assert sum(each["count"] for each in found["figures"]) == 3
        assert sum(each["total"] for each in found["figures"]) == 3
        assert found["next_since"] is None
        assert found["figures"][-1]["last"] == 0
    assert desk.read(f"{path}/series?until=2020-01-01T00:00:00Z")["figures"] == []
    assert desk.read(f"{path}/series?until=1970-01-01T00:00:00Z")["figures"] == []


@pytest.mark.parametrize(
    ("sample", "pointer"),
    [
        ({"at": "soon", "value": 1}, "/samples/0/at"),
        ({"at": "2026-11-21T12:00:00", "value": 1}, "/samples/0/at"),
        ({"at": "9999-12-31T23:59:59Z", "value": 1}, "/samples/0/at"),
        ({"at": "0001-01-01T00:00:00Z", "value": 1}, "/samples/0/at"),
        ({"at": "9000-12-31T23:59:59Z", "value": 1}, "/samples/0"),
        ({"at": "1970-01-01T00:00:00Z", "value": 1}, "/samples/0"),
        ({"at": "now", "value": "1"}, "/samples/0/value"),
        ({"at": "now", "value": True}, "/samples/0/value"),
        ({"at": "now", "value": None}, "/samples/0/value"),
        ({"at": "now", "value": 1e12}, "/samples/0/value"),
        ({"at": "now", "value": -(10**400)}, "/samples/0/value"),
        ({"at": "now"}, "/samples/0/value"),
        ({"at": "now", "value": 1, "more": 1}, "/samples/0/more"),
    ],
)
def test_what_is_no_sample_is_refused_where_it_stands(
    desk: Machine, metric: Any, sample: dict[str, Any], pointer: str
) -> None:
    if sample["at"] == "now":
        sample = sample | {"at": _at()}
    refused = refusal(desk.send("POST", f"/metrics/{metric['id']}/samples", {"samples": [sample]}), 422)
    assert refused["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_of_json_is_refused(desk: Machine, metric: Any, number: str) -> None:
    response = desk.client.post(
        f"/api/v1/metrics/{metric['id']}/samples",
        data=f'{{"samples": [{{"at": "{_at()}", "value": {number}}}]}}',
        content_type="application/json",
        headers={"Authorization": f"Bearer {desk.token}"},
    )
    assert response.status_code == 400


def test_a_batch_of_ten_thousand_is_taken_and_one_more_is_not(desk: Machine, metric: Any) -> None:
    path, begin = f"/metrics/{metric['id']}/samples", clock.utcnow() - timedelta(days=3)
    batch = [
        {"at": f"{begin + timedelta(seconds=10 * each):%Y-%m-%dT%H:%M:%SZ}", "value": each}
        for each in range(BATCH_AT_MOST + 1)
    ]
    refusal(desk.send("POST", path, {"samples": batch}), 422)
    refusal(desk.send("POST", path, {"samples": []}), 422)
    assert desk.send("POST", path, {"samples": batch[1:]}).json == {"taken": BATCH_AT_MOST, "known": 0}


def test_a_token_of_a_company_knows_of_no_metric(app: Flask, machine: MakeMachine, metric: Any, cast: Cast) -> None:
    """Not even of its own, as long as its people are shown none."""
    own = machine(Scope.READ, cast.a)
    for path in ("/metrics", f"/metrics/{metric['id']}", f"/metrics/{metric['id']}/series"):
        refusal(own.get(path), 404)
    refusal(own.send("POST", "/samples", {"samples": []}), 404)


def test_reading_is_not_writing(machine: MakeMachine, metric: Any, cast: Cast) -> None:
    reader = machine(Scope.READ)
    assert reader.read(f"/metrics/{metric['id']}")["key"] == "pdd"
    refusal(reader.send("POST", f"/metrics/{metric['id']}/samples", {"samples": []}), 403)
