"""Importing a Statuspage history: a small extract always, the whole file where it lies beside the repository."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.accounts.rules import SIGNED_OUT
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.errors import RuleViolation
from portal.extensions import db
from portal.filters import markdown
from portal.incidents import queries
from portal.incidents.imports import as_markdown, import_statuspage
from portal.incidents.models import (
    ComponentHistory,
    ImpactInterval,
    Incident,
    IncidentComponent,
    IncidentUpdate,
    Maintenance,
    MaintenanceUpdate,
    SeverityChange,
)
from portal.incidents.rules import Impact, MaintenanceState, Severity, State
from portal.notifications.models import Broadcast
from tests.conftest import NOW, REPOSITORY, counted_queries

EXTRACT = Path(__file__).parent / "statuspage-extract.json"
WHOLE = REPOSITORY.parent / "shared" / "data" / "statuspage-history.json"
FILES = [path for path in (EXTRACT, WHOLE) if path.exists()]

TABLES = (Component, Incident, IncidentUpdate, SeverityChange, IncidentComponent, ImpactInterval, Maintenance)


def extract() -> Any:
    return json.loads(EXTRACT.read_text(encoding="utf-8"))


def counts() -> list[int | None]:
    return [db.session.scalar(select(func.count()).select_from(table)) for table in TABLES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_import_is_complete_and_a_second_one_changes_nothing(session: None, path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    seen: list[tuple[int, int]] = []
    first = import_statuspage(data, by=SYSTEM, now=NOW, progress=lambda done, total: seen.append((done, total)))
    written = counts()
    assert written[1] == len(data["incidents"]) == first.incidents
    assert written[2] == sum(len(each["incident_updates"]) for each in data["incidents"]) == first.updates
    assert written[6] == len(data["scheduled_maintenances"])
    assert first.created == len(data["components"]) + len(data["incidents"]) + len(data["scheduled_maintenances"])
    assert seen[-1] == (len(data["incidents"]), len(data["incidents"]))

    second = import_statuspage(data, by=SYSTEM, now=NOW)
    assert (second.created, second.updated, second.unchanged) == (0, 0, first.created)
    assert counts() == written
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_severities_follow_from_the_imported_impact(session: None, path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    import_statuspage(data, by=SYSTEM, now=NOW)
    expected = {"none": None, "minor": Severity.PERFORMANCE_ISSUE, "major": Severity.PARTIAL_RTH}
    expected["critical"] = Severity.MAJOR_OUTAGE
    rows = db.session.execute(
        select(Incident.public_id, Incident.impact, func.min(ImpactInterval.severity), func.count(ImpactInterval.id))
        .outerjoin(ImpactInterval, ImpactInterval.incident_id == Incident.id)
        .group_by(Incident.id)
    )
    held = {public_id: (impact, severity, number) for public_id, impact, severity, number in rows}
    for report in data["incidents"]:
        impact, severity, number = held[report["id"]]
        assert impact == Impact(report["impact"])
        lasted = report["incident_updates"][0]["display_at"] > report["started_at"]
        hit = len(report["components"]) if report["impact"] != "none" and lasted else 0
        assert number == hit
        assert severity == (expected[report["impact"]] if hit else None)
    assert set(db.session.scalars(select(IncidentComponent.severity))) == {Severity.NONE}
    assert not db.session.scalars(select(ImpactInterval).where(ImpactInterval.to_at.is_(None))).all()


def test_the_whole_costs_few_statements(session: None) -> None:
    with counted_queries() as statements:
        import_statuspage(extract(), by=SYSTEM, now=NOW)
    assert len(statements) < 60


def test_what_changed_in_the_source_is_brought_in_line(session: None) -> None:
    data = extract()
    import_statuspage(data, by=SYSTEM, now=NOW)
    changed = copy.deepcopy(data)
    report = changed["incidents"][0]
    report["name"] = "Renamed"
    report["impact"] = "critical"
    report["incident_updates"][0]["body"] = "Rewritten."
    report["components"] = [changed["components"][2]]
    changed["components"][0]["name"] = "Workspaces"
    again = import_statuspage(changed, by=SYSTEM, now=NOW)
    assert (again.created, again.updated) == (0, 2)
    incident = db.session.scalars(select(Incident).where(Incident.public_id == report["id"])).one()
    assert (incident.title, incident.impact) == ("Renamed", Impact.CRITICAL)
    stretches = db.session.scalars(select(ImpactInterval).where(ImpactInterval.incident_id == incident.id)).all()
    assert [each.severity for each in stretches] == [Severity.MAJOR_OUTAGE]
    bodies = db.session.scalars(select(IncidentUpdate.body).where(IncidentUpdate.incident_id == incident.id)).all()
    assert "Rewritten." in bodies


def test_an_open_incident_counts_for_the_status_at_once(session: None) -> None:
    data = extract()
    report = data["incidents"][0]
    report |= {"status": "monitoring", "resolved_at": None, "impact": "major"}
    for update in report["incident_updates"]:
        update["status"] = "monitoring"
    report["components"] = data["components"][:1]
    import_statuspage(data, by=SYSTEM, now=NOW)
    [incident] = queries.open_incidents(SIGNED_OUT, NOW)
    assert (incident.state, incident.is_backfill) == (State.WATCHING, True)
    component_id = db.session.scalars(select(Component.id).where(Component.title == "Codespaces")).one()
    assert queries.component_statuses(SIGNED_OUT, NOW)[component_id] == "partial_outage"
    history = db.session.get(ComponentHistory, component_id)
    assert history is not None
    assert history.days.endswith("222")


def test_groups_removed_components_and_postmortems_have_their_place(session: None) -> None:
    data = extract()
    group = data["components"][0] | {"id": "group0000001", "name": "Everything", "group": True}
    data["components"][1]["group_id"] = "group0000001"
    gone = data["components"].pop()
    data["incidents"][0]["components"] = [gone]
    data["incidents"][0]["status"] = "postmortem"
    data["incidents"][0]["incident_updates"][0]["status"] = "postmortem"
    data["components"].append(group)
    import_statuspage(data, by=SYSTEM, now=NOW)
    grouped = db.session.scalars(select(Component).where(Component.group_id.is_not(None))).one()
    assert grouped.public_id == data["components"][1]["id"]
    removed = db.session.scalars(select(Component).where(Component.public_id == gone["id"])).one()
    assert removed.archived_at == NOW
    incident = db.session.scalars(select(Incident).where(Incident.public_id == data["incidents"][0]["id"])).one()
    assert incident.state is State.FIXED


def test_maintenance_keeps_its_window_and_its_story(session: None) -> None:
    data = extract()
    import_statuspage(data, by=SYSTEM, now=NOW)
    maintenance = db.session.scalars(select(Maintenance)).one()
    assert maintenance.state is MaintenanceState.COMPLETED
    assert maintenance.starts_at == datetime(2023, 2, 7, 10, 8, tzinfo=UTC)
    assert db.session.scalar(select(func.count()).select_from(MaintenanceUpdate)) == 4
    data["scheduled_maintenances"][0]["incident_updates"][0]["body"] = "Done, and well."
    assert import_statuspage(data, by=SYSTEM, now=NOW).updated == 1


def test_two_sources_may_use_the_same_ids(session: None) -> None:
    data = extract()
    import_statuspage(data, by=SYSTEM, now=NOW)
    data["page"]["id"] = "anotherpage1"
    assert import_statuspage(data, by=SYSTEM, now=NOW).updated == 0
    assert db.session.scalar(select(func.count()).select_from(Incident)) == 2 * len(data["incidents"])


def broken(change: Any) -> Any:
    data = extract()
    change(data)
    return data


def put(*path: Any, value: Any) -> Any:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "The file must be an object"),
        ("text", "The file must be an object"),
        (None, "The file must be an object"),
        ({}, "page must be an object, not missing"),
        (broken(put("page", "id", value=7)), "page.id must be a text, not 7"),
        (broken(put("page", "id", value="own")), "page.id cannot be 'own'"),
        (broken(put("components", value={})), "components must be a list, not a dict"),
        (broken(put("components", 1, "name", value=None)), "components[1].name must be a text, not missing"),
        (broken(put("components", 1, "position", value="2")), "components[1].position must be a whole number"),
        (broken(put("components", 1, "id", value="6330d34e8758")), "components holds the id '6330d34e8758' twice"),
        (broken(put("incidents", value=None)), "incidents must be a list, not missing"),
        (broken(put("incidents", 2, "status", value="gone")), "incidents[2].status must be one of investigating"),
        (broken(put("incidents", 2, "impact", value=[])), "incidents[2].impact must be one of"),
        (broken(put("incidents", 2, "started_at", value="yesterday")), "incidents[2].started_at must be a time"),
        (broken(put("incidents", 2, "started_at", value="2024-01-01T00:00")), "must be a time with its zone"),
        (broken(put("incidents", 2, "incident_updates", value=[])), "incidents[2].incident_updates must hold"),
        (
            broken(put("incidents", 0, "incident_updates", 1, "body", value={})),
            "incidents[0].incident_updates[1].body must be a text, not a dict",
        ),
        (
            broken(put("scheduled_maintenances", 0, "scheduled_until", value="2020-01-01T00:00:00Z")),
            "scheduled_maintenances[0].scheduled_until is before scheduled_for",
        ),
        (broken(put("incidents", 1, "id", value="x" * 41)), "incidents[1].id is longer than 40 characters"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_bad_file_is_refused_where_it_is_bad_and_nothing_is_written(
    session: None, data: object, sentence: str
) -> None:
    with pytest.raises(RuleViolation) as refusal:
        import_statuspage(data, by=SYSTEM, now=NOW)
    assert sentence in refusal.value.sentence
    assert counts() == [0] * len(TABLES)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("Errors for <0.1% of users.", "<p>Errors for &lt;0.1% of users.</p>\n"),
        ("<p>One.</p><p>Two <b>bold</b>.</p>", "<p>One.</p>\n<p>Two <strong>bold</strong>.</p>\n"),
        ("One<br>Two", "<p>One<br>\nTwo</p>\n"),
        ("One\nTwo", "<p>One<br>\nTwo</p>\n"),
        ("<script>alert(1)</script>Safe <i>here</i>", "<p>Safe <em>here</em></p>\n"),
        (
            'See <a href="https://x.test/a_b">the page</a>',
            '<p>See <a href="https://x.test/a_b" rel="noopener noreferrer nofollow">the page</a></p>\n',
        ),
        ("<ul><li>One</li><li>2*3*4</li></ul>", "<ul>\n<li>One</li>\n<li>2*3*4</li>\n</ul>\n"),
        ('<a href="javascript:alert(1)">x</a>', "<p>[x](javascript:alert(1))</p>\n"),
    ],
)
def test_texts_look_as_they_did(body: str, shown: str) -> None:
    assert str(markdown(as_markdown(body))) == shown
