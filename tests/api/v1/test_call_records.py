"""Call records through the API: in batches, all or none, once; and read by whoever may."""

from datetime import timedelta
from typing import Any

import pytest

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.usage.calls.rules import CALLS_AT_MOST
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast

PATH = "/call-records"


def at(seconds: float) -> str:
    """So many seconds ago."""
    return (clock.utcnow() - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


@pytest.fixture
def switch(machine: MakeMachine, cast: Cast) -> Machine:
    return machine(Scope.CALLS)


def record(company_id: int, call_id: str = "1@sbc", **said: Any) -> dict[str, Any]:
    whole = {"company_id": company_id, "call_id": call_id, "from": "+49 30 123456", "to": "+442071234567"}
    return whole | {"started_at": at(300)} | said


def answered(company_id: int, call_id: str = "1@sbc") -> dict[str, Any]:
    times = {"started_at": at(300), "ringing_at": at(299), "answered_at": at(290), "ended_at": at(100)}
    return record(company_id, call_id, **times, result=200, trunk="London", carrier="Alpha")


def test_they_come_in_once_and_are_read_back(switch: Machine, cast: Cast) -> None:
    batch = {"records": [answered(cast.a.id), record(cast.b.id, "1@sbc", result=486, ended_at=at(290))]}
    first = switch.send("POST", PATH, batch, Idempotency_Key="one")
    again = switch.send("POST", PATH, batch, Idempotency_Key="one")
    assert (first.status_code, first.json, again.json) == (200, {"taken": 2, "known": 0}, {"taken": 2, "known": 0})
    assert again.headers["Idempotent-Replayed"] == "true"
    refusal(switch.send("POST", PATH, {"records": batch["records"][:1]}, Idempotency_Key="one"), 422)
    assert switch.send("POST", PATH, batch, Idempotency_Key="two").json == {"taken": 0, "known": 2}
    (shown,) = switch.all(f"{PATH}?company_id={cast.a.id}")
    assert (shown["result"], shown["code"], shown["carrier"], shown["to"]) == (
        "answered",
        200,
        "Alpha",
        "+442071234567",
    )
    assert shown["answered_at"] == batch["records"][0]["answered_at"].replace("+00:00", "000Z")
    (busy,) = switch.all(f"{PATH}?company_id={cast.b.id}&result=busy")
    assert (busy["call_id"], busy["company_id"], busy["code"]) == ("1@sbc", cast.b.id, 486)


def test_later_facts_complete_earlier_ones(switch: Machine, cast: Cast) -> None:
    started = {"started_at": at(300)}
    for said in ({}, {"ringing_at": at(299)}, {"answered_at": at(290), "trunk": "London"}, {"ended_at": at(3)}):
        sent = {"records": [record(cast.a.id, **started, **said)]}
        assert switch.send("POST", PATH, sent).json == {"taken": 1, "known": 0}
    (shown,) = switch.all(f"{PATH}?company_id={cast.a.id}")
    assert (shown["result"], shown["trunk"]) == ("answered", "London")
    assert None not in (shown["ringing_at"], shown["answered_at"], shown["ended_at"])


def test_they_are_searched_and_read_piece_by_piece(switch: Machine, cast: Cast) -> None:
    calls = [record(cast.a.id, f"{each}@sbc", started_at=at(each * 60), to=f"+4420{each:05}") for each in range(1, 8)]
    assert switch.send("POST", PATH, {"records": calls}).json == {"taken": 7, "known": 0}
    path = f"{PATH}?company_id={cast.a.id}"

    def ids(query: str) -> list[str]:
        return [each["call_id"].split("@")[0] for each in switch.all(f"{path}&limit=3&{query}")]

    assert ids("") == list("1234567")
    assert ids("sort=started_at") == list("7654321")
    assert ids("number=020%2000003") == ["3"]
    assert ids("number=0049%2030%20123456") == list("1234567")
    assert ids("call_id=5@sbc") == ["5"]
    assert ids(f"since={at(250)[:19]}Z&until={at(100)[:19]}Z") == list("234")
    assert ids("result=failed") == []
    refusal(switch.get(f"{path}&number=12"), 422)
    refusal(switch.get(PATH), 422)
    refusal(switch.get(f"{PATH}?company_id={cast.b.id + 1000}"), 404)


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"call_id": ""}, "call_id"),
        ({"call_id": "a b"}, "call_id"),
        ({"call_id": "a\n"}, "call_id"),
        ({"call_id": "x" * 201}, "call_id"),
        ({"call_id": 5}, "call_id"),
        ({"company_id": "1"}, "company_id"),
        ({"company_id": True}, "company_id"),
        ({"company_id": 2**31}, "company_id"),
        ({"company_id": 999_999}, "company_id"),
        ({"from": "a\x00"}, "from"),
        ({"from": "\ud800"}, "from"),
        ({"to": "4" * 101}, "to"),
        ({"to": ["4"]}, "to"),
        ({"started_at": None}, "started_at"),
        ({"started_at": "2026-11-21T12:00:00"}, "started_at"),
        ({"started_at": "9999-12-31T23:59:59Z"}, "started_at"),
        ({"started_at": "9999-12-31T23:59:59-23:59"}, "started_at"),
        ({"started_at": "1970-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "0001-01-01T00:00:00+23:59"}, "started_at"),
        ({"started_at": 1e18}, "started_at"),
        ({"answered_at": "yes"}, "answered_at"),
        ({"result": 100}, "result"),
        ({"result": 700}, "result"),
        ({"result": "fine"}, "result"),
        ({"result": 486.0}, "result"),
        ({"result": True}, "result"),
        ({"result": 10**400}, "result"),
        ({"result": "answered"}, "answered_at"),
        ({"trunk": "x" * 101}, "trunk"),
        ({"service_id": 0}, "service_id"),
        ({"service_id": 999_999}, "service_id"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_record_is_refused_where_it_stands(
    switch: Machine, cast: Cast, said: dict[str, Any], pointer: str
) -> None:
    batch = {"records": [record(cast.a.id, "good"), record(cast.a.id) | said]}
    refused = refusal(switch.send("POST", PATH, batch), 422)
    assert [each["pointer"] for each in refused["errors"]] == [f"/records/1/{pointer}"]
    assert switch.all(f"{PATH}?company_id={cast.a.id}") == []


def test_at_most_fifty_wrong_ones_are_named(switch: Machine, cast: Cast) -> None:
    for said in ({"call_id": ""}, {"service_id": 999_999}):
        batch = {"records": [record(cast.a.id, f"{each}") | said for each in range(120)]}
        refused = refusal(switch.send("POST", PATH, batch), 422)
        assert [each["pointer"].split("/")[2] for each in refused["errors"]] == [str(each) for each in range(50)]


def test_a_batch_of_ten_thousand_is_taken_and_one_more_is_not(switch: Machine, cast: Cast) -> None:
    batch = [answered(cast.a.id, f"{each}@sbc") for each in range(CALLS_AT_MOST + 1)]
    refusal(switch.send("POST", PATH, {"records": batch}), 422)
    refusal(switch.send("POST", PATH, {"records": []}), 422)
    refusal(switch.send("POST", PATH, {"records": "all"}), 422)
    assert switch.send("POST", PATH, {"records": batch[1:]}).json == {"taken": CALLS_AT_MOST, "known": 0}


def test_a_token_of_a_company_reads_its_own_without_how_they_went(
    machine: MakeMachine, switch: Machine, cast: Cast
) -> None:
    batch = {"records": [answered(cast.a.id, "ours"), answered(cast.b.id, "theirs")]}
    assert switch.send("POST", PATH, batch).status_code == 200
    own = machine(Scope.READ, cast.a)
    for path in (PATH, f"{PATH}?company_id={cast.a.id}"):
        (shown,) = own.all(path)
        assert shown["call_id"] == "ours"
        assert not {"carrier", "trunk"} & set(shown)
    refusal(own.get(f"{PATH}?company_id={cast.b.id}"), 404)
    assert own.all(f"{PATH}?call_id=theirs") == []
    refusal(own.send("POST", PATH, batch), 403)


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE, Scope.METRICS])
def test_telephone_numbers_take_a_scope_of_their_own(machine: MakeMachine, cast: Cast, scope: Scope) -> None:
    refusal(machine(scope).get(f"{PATH}?company_id={cast.a.id}"), 403)
