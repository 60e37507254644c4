"""Setting by hand how a component is: one step, with and without script, refusals, conflicts, who may, counted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue import actions
from portal.catalogue.models import Component
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.models import BaseStatus
from portal.incidents.queries.base import base_version
from portal.incidents.rules import ComponentStatus, Severity, State
from portal.notifications.models import Broadcast
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in

LIST = "/admin/catalogue/components"
HTMX = {"HX-Request": "true"}
NASTY = "<script>alert(1)</script>\"'&{{7*7}}"


@pytest.fixture
def carrier(cast: Cast) -> Component:
    component = actions.add_component("Carrier One", by=SYSTEM, now=NOW - timedelta(days=9))
    db.session.commit()
    return component


def send(
    client: FlaskClient, component_id: int, headers: dict[str, str] | None = HTMX, **fields: Any
) -> tuple[int, str]:
    version = base_version(component_id)
    data = {"csrf_token": token_in(client, LIST), "status": "partial_outage", "version": version, **fields}
    answer = client.post(f"{LIST}/{component_id}/status", data=data, headers=headers)
    return answer.status_code, answer.get_data(as_text=True)


def put(component_id: int, status: ComponentStatus, **more: Any) -> None:
    component = db.session.get_one(Component, component_id)
    at: datetime = more.pop("now", NOW)
    incidents.set_base_status(component, status, version=base_version(component_id), by=SYSTEM, now=at, **more)
    db.session.commit()


def standing() -> list[tuple[Severity, str, bool]]:
    rows = db.session.scalars(select(BaseStatus).order_by(BaseStatus.id).execution_options(populate_existing=True))
    return [(each.severity, each.note, each.to_at is None) for each in rows]


def test_it_is_set_in_one_step_and_the_part_comes_back(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    status, part = send(client, carrier.id, note="The second line")
    assert status == 200
    assert part.startswith('<section class="base-status stack" id="status">')
    assert "nobody was mailed" in part
    assert "The second line" in part
    assert cast.ada.name in part
    assert standing() == [(Severity.PARTIAL_RTH, "The second line", True)]
    assert db.session.scalars(select(BaseStatus.set_by_id)).one() == cast.ada.id
    assert not db.session.scalars(select(Broadcast)).all()
    page = client.get(f"{LIST}/{carrier.id}").get_data(as_text=True)
    assert part.count("Partial outage") > 1 < page.count("Partial outage")
    assert "Set by hand</a>" in client.get(LIST).get_data(as_text=True)


def test_without_script_it_is_a_plain_form(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert send(client, carrier.id, None)[0] == 303
    assert send(client, carrier.id, None, status="operational")[0] == 303
    assert standing() == [(Severity.PARTIAL_RTH, "", False)]
    page = client.get(f"{LIST}/{carrier.id}/status").get_data(as_text=True)
    assert "<title>" in page
    assert "Last set by hand" in page
    assert "Set by hand</a>" not in client.get(LIST).get_data(as_text=True)


def test_what_lies_over_it_is_named(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    put(carrier.id, ComponentStatus.PERFORMANCE_ISSUE)
    incident = incidents.publish(
        "Calls fail",
        State.INVESTIGATING,
        "We look.",
        {carrier.id: Severity.MAJOR_OUTAGE},
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key="k",
    )
    db.session.commit()
    page = sign_in(cast.ada).get(f"{LIST}/{carrier.id}").get_data(as_text=True)
    facts = page.split('id="standing"')[1].split("</dl>")[0]
    assert facts.index("Major outage") < facts.index("By hand") < facts.index("Performance issue")
    assert f'href="/admin/incidents/{incident.id}">Calls fail</a>' in facts
    assert "lies over what is set by hand" in facts


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "under_maintenance"},
        {"status": ""},
        {"status": "nonsense"},
        {"until": "2020-01-01T10:00"},
        {"until": "9999-12-31T23:59"},
        {"until": "0001-01-01T00:00"},
        {"until": "soon"},
        {"note": "x" * 501},
        {"version": ""},
        {"version": "x"},
    ],
)
def test_nonsense_is_refused_beside_its_field_and_keeps_what_was_typed(
    cast: Cast, carrier: Component, sign_in: SignIn, fields: dict[str, Any]
) -> None:
    status, part = send(sign_in(cast.ada), carrier.id, **{"note": "Kept", **fields})
    assert status == 422
    assert "form-errors" in part
    assert fields.get("note", "Kept") in part
    assert not standing()


def test_the_end_is_read_by_the_clock_of_whoever_sets_it(
    cast: Cast, carrier: Component, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "utcnow", lambda: datetime(2026, 10, 24, 12, 0, tzinfo=UTC))
    cast.ada.time_zone = "Europe/Berlin"
    db.session.commit()
    client = sign_in(cast.ada)
    status, part = send(client, carrier.id, until="2026-10-25T02:30")
    assert status == 422
    assert "comes twice" in part
    assert send(client, carrier.id, until="2026-10-25T02:30", until_reading="second")[0] == 200
    ends = db.session.scalars(select(BaseStatus.to_at)).one()
    assert ends is not None
    assert ends.isoformat() == "2026-10-25T01:30:00+00:00"


def test_two_people_the_second_is_told(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client, opened = sign_in(cast.ada), base_version(carrier.id)
    assert send(client, carrier.id, version=opened)[0] == 200
    status, part = send(client, carrier.id, version=opened, status="major_outage")
    assert status == 409
    assert "Somebody else has set it" in part
    assert send(client, carrier.id, None, version=opened, status="major_outage")[0] == 409
    assert standing() == [(Severity.PARTIAL_RTH, "", True)]


def test_the_office_reads_and_does_not_set(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    put(carrier.id, ComponentStatus.MAJOR_OUTAGE, note="The card")
    client = sign_in(cast.olaf)
    page = client.get(f"{LIST}/{carrier.id}").get_data(as_text=True)
    assert "The card" in page
    assert "Set the status" not in page
    assert send(client, carrier.id)[0] == 403
    assert sign_in(cast.alice).get(f"{LIST}/{carrier.id}/status").status_code == 404


def test_what_is_missing_is_404_and_an_archived_one_is_not_set(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client, component_id = sign_in(cast.ada), carrier.id
    assert client.get(f"{LIST}/4711/status").status_code == 404
    assert send(client, 4711)[0] == 404
    put(component_id, ComponentStatus.MAJOR_OUTAGE)
    token, version = token_in(client, LIST), db.session.get_one(Component, component_id).version
    data = {"csrf_token": token, "version": version}
    assert client.post(f"{LIST}/{component_id}/archive", data=data).status_code == 303
    assert standing() == [(Severity.MAJOR_OUTAGE, "", False)]
    status, part = send(client, component_id)
    assert status == 422
    assert "archived" in part


def test_a_note_is_text_and_never_markup(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert send(client, carrier.id, note=NASTY)[0] == 200
    for path in (f"{LIST}/{carrier.id}", f"{LIST}/{carrier.id}/status", "/admin/audit"):
        assert "<script>alert" not in client.get(path).get_data(as_text=True)


def test_the_page_costs_the_same_whatever_was_set(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client, component_id, counts = sign_in(cast.ada), carrier.id, []
    for number in range(8):
        status = (ComponentStatus.MAJOR_OUTAGE, ComponentStatus.OPERATIONAL)[number % 2]
        component = db.session.get_one(Component, component_id)
        incidents.set_base_status(
            component,
            status,
            version=base_version(component_id),
            by=Actor(cast.ada.name, cast.ada.id),
            now=NOW + timedelta(minutes=number),
        )
        db.session.commit()
        with counted_queries() as statements:
            assert client.get(f"{LIST}/{component_id}").status_code == 200
        counts.append(len(statements))
    assert len(set(counts[1:])) == 1
