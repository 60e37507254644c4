"""Alerts through the API: made, changed, tested and archived; how they stand; and what a company's token is shown."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal import clock
from portal.accounts.actions.companies import tag_company
from portal.accounts.rules.tokens import Scope
from portal.alerts import actions
from portal.alerts.models import Alert
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.models import Delivery
from portal.usage.actions import Wanted as WantedMetric
from portal.usage.actions import add_metric, take_samples
from portal.usage.rules import Measure, Sample
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.ALERTS)


def _low(company_id: int | None, **more: Any) -> dict[str, Any]:
    return {
        "title": "Balance is low",
        "area": "balance",
        "operator": "<",
        "threshold": 50,
        "company_id": company_id,
        "recipients": ["noc@elsewhere.test"],
    } | more


def _spend(company_id: int) -> None:
    """Have the balance of a company be 12.50, and alerts looked at."""
    now = clock.utcnow()
    wanted = WantedMetric("money", "Money", "EUR", decimals=2, company_id=company_id, measure=Measure.BALANCE)
    metric = add_metric(wanted, by=SYSTEM, now=now)
    db.session.flush()
    take_samples([(metric.id, Sample(now, Decimal("12.5")))], now)
    actions.evaluate_all(now)
    db.session.commit()


def test_one_is_made_once_changed_and_archived(desk: Machine, cast: Cast) -> None:
    body = _low(cast.a.id, reset=60.5, must_last=300)
    first = desk.send("POST", "/alerts", body, Idempotency_Key="one")
    assert first.status_code == 201
    assert desk.send("POST", "/alerts", body, Idempotency_Key="one").json == first.json
    made = first.json
    assert made is not None
    path = f"/alerts/{made['public_id']}"
    assert (made["threshold"], made["reset"], made["window"], made["recipients"]) == (50, 60.5, 0, body["recipients"])
    assert first.headers["Location"].endswith(f"/api/v1{path}")
    shown = desk.send("PATCH", path, {"threshold": 40, "is_on": False}, match=made["version"])
    assert shown.json is not None
    assert (shown.json["threshold"], shown.json["is_on"], shown.json["reset"]) == (40, False, 60.5)
    refusal(desk.send("PATCH", path, {"threshold": 30}, match=made["version"]), 409)
    refusal(desk.send("PATCH", path, {"threshold": 30}), 428)
    assert desk.send("POST", f"{path}/archive", match="*").status_code == 200
    assert desk.all("/alerts?is_archived=false") == []
    assert [each["public_id"] for each in desk.all("/alerts?is_archived=true")] == [made["public_id"]]
    assert "archived" in refusal(desk.send("PATCH", path, {"title": "Mine"}, match="*"), 422)["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"reset": 49}, "/reset"),
        ({"threshold": None}, "/threshold"),
        ({"tag": "wholesale"}, "/company_id"),
        ({"company_id": 2147483000}, "/company_id"),
        ({"service_id": 2147483000}, "/service_id"),
        ({"template_id": 2147483000}, "/template_id"),
        ({"area": "custom"}, "/metric_id"),
        ({"area": "script", "script": "[1]"}, "/script"),
        ({"area": "asr", "window": 90}, "/window"),
        ({"repeat": "daily", "repeat_hour": 9, "zone": "Mars/Base"}, "/zone"),
        ({"recipients": []}, "/recipients"),
        ({"recipients": ["nobody"]}, "/recipients"),
        ({"operator": "like"}, "/operator"),
        ({"threshold": "50"}, "/threshold"),
        ({"more": 1}, "/more"),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(
    desk: Machine, cast: Cast, body: dict[str, Any], pointer: str
) -> None:
    refused = refusal(desk.send("POST", "/alerts", _low(cast.a.id) | body), 422)
    assert refused["errors"][0]["pointer"] == pointer
    assert db.session.query(Alert).count() == 0


def test_how_it_stands_and_what_happened_are_read_company_by_company(desk: Machine, cast: Cast) -> None:
    for company in (cast.a, cast.b):
        tag_company(company, ["Wholesale"], version=company.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    made = desk.make("/alerts", _low(None, tag="Wholesale"))
    path = f"/alerts/{made['public_id']}"
    _spend(cast.a.id)
    states = desk.all(f"{path}/states?limit=1")
    assert [(each["company_id"], each["state"]) for each in states] == [
        (cast.a.id, "triggered"),
        (cast.b.id, "no_data"),
    ]
    assert (states[0]["value"], states[0]["is_triggered"], states[1]["lack"]) == (12.5, True, "stale")
    events = desk.all(f"{path}/events?company_id={cast.a.id}")
    assert [(each["kind"], each["value"]) for each in events] == [("triggered", 12.5)]
    assert events[0]["broadcast_id"]
    assert len(desk.all(f"{path}/events?sort=id")) == 2
    assert [each["public_id"] for each in desk.all(f"/alerts?company_id={cast.b.id}")] == [made["public_id"]]


def test_a_test_tells_everybody_it_names_and_nobody_else(desk: Machine, cast: Cast) -> None:
    made = desk.make("/alerts", _low(cast.a.id))
    path = f"/alerts/{made['public_id']}"
    tested = desk.send("POST", f"{path}/test", {})
    assert tested.status_code == 200
    assert set(db.session.scalars(select(Delivery.address))) == {"noc@elsewhere.test"}
    assert desk.all(f"{path}/events") == []
    refusal(desk.send("POST", f"{path}/test", {"company_id": cast.b.id}), 422)


def test_a_token_of_a_company_sees_what_watches_it_and_no_address(
    machine: MakeMachine, desk: Machine, cast: Cast
) -> None:
    tag_company(cast.a, ["secret kind"], version=cast.a.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    own = desk.make("/alerts", _low(cast.a.id))
    shared = desk.make("/alerts", _low(None, tag="Secret kind"))
    other = desk.make("/alerts", _low(cast.b.id))
    _spend(cast.a.id)
    bound = machine(Scope.READ, cast.a)
    listed = bound.all("/alerts")
    assert {each["public_id"] for each in listed} == {own["public_id"], shared["public_id"]}
    for each in listed:
        assert not {"recipients", "tag", "script", "template_id", "version", "opens_draft", "tells_contacts"} & set(
            each
        )
    refusal(bound.get(f"/alerts/{other['public_id']}"), 404)
    assert bound.all(f"/alerts?company_id={cast.b.id}") == []
    path = f"/alerts/{shared['public_id']}"
    assert [each["company_id"] for each in bound.all(f"{path}/states")] == [cast.a.id]
    events = bound.all(f"{path}/events")
    assert [each["kind"] for each in events] == ["triggered"]
    assert not {"note", "broadcast_id", "id"} & set(events[0])
    refusal(bound.send("POST", f"{path}/test", {}), 403)
    domains.set_override(cast.domain_a, cast.a, Area.ALERTS, False, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    refusal(bound.get("/alerts"), 404)


def test_reading_shows_no_address_and_changes_nothing(machine: MakeMachine, desk: Machine, cast: Cast) -> None:
    made = desk.make("/alerts", _low(cast.a.id))
    path = f"/alerts/{made['public_id']}"
    reader = machine(Scope.READ)
    assert "recipients" not in reader.read(path)
    refusal(reader.send("PATCH", path, {"title": "x"}, match="*"), 403)
    refusal(machine(Scope.WORK).get(path), 403)
