"""Marking an incident Fixed recovers the services of which a problem is still stated, in the same step."""

from typing import Any

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.extensions import db
from portal.incidents.models import Incident
from portal.incidents.rules import Severity, State
from portal.notifications.models import Broadcast
from portal.services.models import ServiceUpdate
from portal.services.rules import ServiceStatus, UpdateKind, Wanted
from tests.admin.incidents.conftest import fields_of, post, report, soup
from tests.admin.services.conftest import last_update, standing, state
from tests.conftest import Cast, SignIn
from tests.incidents.conftest import World


@pytest.fixture
def incident(world: World) -> Incident:
    """An incident on the trunk, with what company A holds stated down, and company B's internet too."""
    made = report("Calls drop", {world.trunk.id: Severity.MAJOR_OUTAGE})
    db.session.commit()
    state([world.holding_a.id, world.holding_b.id], Wanted(ServiceStatus.DOWN, notify=False), clock.utcnow())
    return made


def fixing(client: Any, incident: Incident, **changes: Any) -> dict[str, Any]:
    fields = fields_of(client, f"/admin/incidents/{incident.id}?state=fixed", "report-form")
    return fields | {"body": "All calls work again."} | changes


def test_what_still_stands_is_listed_and_recovered(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    page = soup(client.get(f"/admin/incidents/{incident.id}"))
    listed = " ".join(page.select_one(".recovers").get_text(" ").split())  # type: ignore[union-attr]
    assert "Also set this service to Operating normally." in listed
    assert "Hosted telephony ACC-1" in listed
    assert "Internet" not in listed
    fields = fixing(client, incident)
    assert (fields["recovers"], fields["tells_recovery"]) == ("y", "y")
    before = db.session.scalar(select(func.count()).select_from(Broadcast)) or 0
    assert post(client, f"/admin/incidents/{incident.id}/updates", fields).status_code == 303
    made = last_update()
    assert (made.kind, made.incident_id, made.notes) == (UpdateKind.RECOVERED, incident.id, "All calls work again.")
    assert standing() == {world.holding_b.id: ServiceStatus.DOWN}
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == before + 2
    db.session.refresh(incident)
    assert incident.state is State.FIXED
    assert soup(client.get(f"/admin/incidents/{incident.id}")).select_one(".recovers") is None


@pytest.mark.parametrize("left_out", ["recovers", "tells_recovery"])
def test_it_can_be_left_or_kept_quiet(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn, left_out: str
) -> None:
    client = sign_in(cast.ada)
    fields = fixing(client, incident)
    del fields[left_out]
    assert post(client, f"/admin/incidents/{incident.id}/updates", fields).status_code == 303
    is_left = left_out == "recovers"
    assert (world.holding_a.id in standing()) is is_left
    assert is_left or last_update().notify is False


def test_only_what_the_form_has_named_is_recovered(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    fields = fixing(client, incident)
    state([world.holding_a.id], Wanted(ServiceStatus.INTERMITTENT, notify=False), clock.utcnow(), key="later")
    assert post(client, f"/admin/incidents/{incident.id}/updates", fields).status_code == 303
    assert standing()[world.holding_a.id] is ServiceStatus.INTERMITTENT


def test_another_state_or_a_note_recovers_nothing(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    for changes in ({"state": "watching"}, {"visibility": "private"}):
        fields = fixing(client, incident, **changes)
        assert post(client, f"/admin/incidents/{incident.id}/updates", fields).status_code == 303
    assert len(standing()) == 2


def test_a_refusal_undoes_both(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    answer = post(client, f"/admin/incidents/{incident.id}/updates", fixing(client, incident, body="Back at [time]."))
    assert answer.status_code == 422
    assert "[time]" in soup(answer).select_one(".field-error").get_text()  # type: ignore[union-attr]
    db.session.refresh(incident)
    assert incident.state is State.INVESTIGATING
    assert db.session.scalar(select(func.count()).select_from(ServiceUpdate)) == 1
