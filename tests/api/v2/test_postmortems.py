"""A fixed incident with a published postmortem: a state of its own, and an update that explains it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask

from portal import events
from portal.audit.rules import SYSTEM
from portal.incidents.actions.postmortems import publish_postmortem, write_postmortem
from portal.incidents.rules import Severity, State
from tests.api.v2.conftest import StatusPage, publish, read, say
from tests.api.v2.test_documents import INCIDENT, UPDATE, misfits
from tests.conftest import NOW, client_on

Turn = Callable[[datetime], None]
pytestmark = pytest.mark.usefixtures("at")

WORDS = {"investigating", "identified", "monitoring", "resolved", "postmortem"}
EXPLAINED = {**INCIDENT, "status": WORDS, "incident_updates": [{**UPDATE, "status": WORDS}]}


def test_it_is_told_once_it_is_published(app: Flask, status_page: StatusPage) -> None:
    incident = publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    say(incident, State.FIXED, "It rings.", now=NOW - timedelta(minutes=30))
    draft = write_postmortem(
        incident, "A *card* had failed.", version=0, by=SYSTEM, author_id=None, now=NOW - timedelta(minutes=20)
    )
    events.commit()
    assert read(app, "incidents")["incidents"][0]["status"] == "resolved"
    assert "card" not in client_on(app, "a.portal.test").get("/status/feed.atom").text
    publish_postmortem(incident, draft, notify=False, version=draft.version, by=SYSTEM, now=NOW)
    events.commit()
    found = read(app, "incidents")["incidents"][0]
    assert misfits(found, EXPLAINED) == []
    assert [each["status"] for each in found["incident_updates"]] == ["postmortem", "resolved", "investigating"]
    assert (found["status"], found["updated_at"]) == ("postmortem", "2026-11-21T12:00:00.000Z")
    assert found["incident_updates"][0]["body"] == "A *card* had failed."
    assert found["resolved_at"] == "2026-11-21T11:30:00.000Z"
    assert read(app, "incidents/unresolved")["incidents"] == []
    feed = client_on(app, "a.portal.test").get("/status/feed.atom").text
    assert "card" in feed
    assert "<updated>2026-11-21T12:00:00+00:00</updated>" in feed
