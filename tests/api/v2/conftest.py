"""A status page with a group, components beside it, and ways to read what it says."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, ComponentGroup
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.models import Incident, IncidentUpdate, Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.rules import Audience, MaintenanceState, Severity, State, Visibility
from tests.conftest import NOW, Cast, client_on

HOST = "a.portal.test"
BORN = NOW - timedelta(days=30)


@dataclass
class StatusPage:
    """The group "Voice" with the core and the trunks in it, and the fibre beside it."""

    group: ComponentGroup
    core: Component
    trunks: Component
    fibre: Component


@pytest.fixture
def status_page(cast: Cast) -> StatusPage:
    group = catalogue.add_group("Voice", by=SYSTEM, now=BORN)

    def component(title: str, group_id: int | None) -> Component:
        return catalogue.add_component(
            title, group_id=group_id, description=f"{title} in one line", by=SYSTEM, now=BORN
        )

    made = StatusPage(
        group, component("Voice core", group.id), component("SIP trunks", group.id), component("Fibre", None)
    )
    events.commit()
    return made


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock; it stands at NOW until then."""

    def turn(moment: datetime) -> None:
        monkeypatch.setattr(clock, "utcnow", lambda: moment)

    turn(NOW)
    return turn


def read(app: Flask, name: str, host: str = HOST) -> Any:
    """The document as a program reads it."""
    answer = client_on(app, host).get(f"/api/v2/{name}.json")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def publish(
    title: str,
    severities: dict[int, Severity],
    *,
    state: State = State.INVESTIGATING,
    now: datetime = NOW - timedelta(hours=1),
    visibility: Visibility = Visibility.PUBLIC,
    audience: Audience = Audience.EVERYONE,
) -> Incident:
    """Publish a report nobody is mailed about."""
    made = incidents.publish(
        title,
        state,
        f"{title}: we look into it.",
        severities,
        visibility=visibility,
        audience=audience,
        notify=False,
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=title,
    )
    events.commit()
    return made


def say(
    incident: Incident,
    state: State | None,
    body: str,
    severities: dict[int, Severity] | None = None,
    *,
    now: datetime,
    visibility: Visibility = Visibility.PUBLIC,
) -> IncidentUpdate:
    """Post an update."""
    update = incidents.post_update(
        incident,
        state,
        body,
        severities or {},
        visibility=visibility,
        notify=False,
        version=incident.version,
        by=SYSTEM,
        author_id=None,
        now=now,
    )
    events.commit()
    return update


def plan(
    title: str,
    components: list[Component],
    *,
    begin: timedelta,
    end: timedelta,
    state: MaintenanceState = MaintenanceState.SCHEDULED,
    visibility: Visibility = Visibility.PUBLIC,
    audience: Audience = Audience.EVERYONE,
    is_told: bool = True,
) -> Maintenance:
    """Plan maintenance with its window counted from NOW, without a bell: only the clock moves it."""
    work = Maintenance(
        public_id=title.lower().replace(" ", "-"),
        title=title,
        state=state,
        visibility=visibility,
        audience=audience,
        starts_at=NOW + begin,
        ends_at=NOW + end,
        created_at=BORN,
        public_updated_at=BORN,
    )
    db.session.add(work)
    db.session.flush()
    db.session.add_all(MaintenanceComponent(maintenance_id=work.id, component_id=each.id) for each in components)
    if is_told:
        told = MaintenanceUpdate(
            maintenance_id=work.id, public_id="told", state=state, body=f"{title} is planned.", posted_at=BORN
        )
        db.session.add(told)
    events.commit()
    return work
