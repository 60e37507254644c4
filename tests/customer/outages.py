"""Publishing an incident as staff would, for the tests of what customers then see."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.incidents import actions
from portal.incidents.models import Incident
from portal.incidents.rules import Audience, Severity, State, Visibility
from tests.incidents.conftest import World

Outage = Callable[..., Incident]


@pytest.fixture
def outage_of(world: World) -> Outage:
    """Publish an incident on these components, ten minutes ago, and commit."""

    def publish(
        *components: Component,
        title: str = "Calls fail",
        body: str = "We are looking into it.",
        severity: Severity = Severity.MAJOR_OUTAGE,
        visibility: Visibility = Visibility.PUBLIC,
        audience: Audience = Audience.EVERYONE,
        next_update: timedelta | None = None,
    ) -> Incident:
        severities: Mapping[int, Severity] = {component.id: severity for component in components}
        incident = actions.publish(
            title,
            State.INVESTIGATING,
            body,
            severities,
            visibility=visibility,
            audience=audience,
            notify=False,
            by=SYSTEM,
            author_id=None,
            now=clock.utcnow() - timedelta(minutes=10),
            idempotency_key=title,
            next_update=next_update,
        )
        events.commit()
        return incident

    return publish


def update(
    incident: Incident,
    state: State | None,
    body: str,
    severities: Mapping[int, Severity] | None = None,
    visibility: Visibility = Visibility.PUBLIC,
) -> None:
    """Write an update on the incident now, and commit."""
    actions.post_update(
        incident,
        state,
        body,
        severities or {},
        visibility=visibility,
        notify=False,
        version=incident.version,
        by=SYSTEM,
        author_id=None,
        now=clock.utcnow(),
        idempotency_key=body,
    )
    events.commit()
