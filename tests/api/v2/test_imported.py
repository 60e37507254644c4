"""What was imported comes out the same: every incident and all maintenance of a real history, field by field."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal import events
from portal.accounts.rules import SIGNED_OUT
from portal.api.v2.documents import MOST_RECENT
from portal.api.v2.shapes import Shaper, named_in
from portal.audit.rules import SYSTEM
from portal.catalogue.queries.described import described_components
from portal.incidents.imports import import_statuspage
from portal.incidents.queries import statuses_of
from portal.incidents.queries.whole import (
    WholeIncident,
    WholeMaintenance,
    last_moves,
    whole_incidents,
    whole_maintenance,
)
from portal.incidents.rules import STATUS_OF_SEVERITY
from tests.api.v2.conftest import read
from tests.conftest import NOW, REPOSITORY, Cast

EXTRACT = REPOSITORY / "tests" / "incidents" / "statuspage-extract.json"
WHOLE = REPOSITORY.parent / "shared" / "data" / "statuspage-history.json"
FILES = [path for path in (EXTRACT, WHOLE) if path.exists()]

STATUS_OF_IMPACT = {"none": "operational", "minor": "degraded_performance", "major": "partial_outage"}
STATUS_OF_IMPACT["critical"] = "major_outage"

OURS = {"page_id", "shortlink"}
"""Fields that name the page: it is another one now."""

Row = dict[str, Any]


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def source(request: pytest.FixtureRequest, cast: Cast) -> Any:
    path: Path = request.param
    found = json.loads(path.read_text(encoding="utf-8"))
    import_statuspage(found, by=SYSTEM, now=NOW)
    events.commit()
    return found


def everything(app: Flask, cast: Cast) -> tuple[list[Row], list[Row]]:
    """All incidents and all maintenance, shaped as the documents shape the latest fifty."""
    incidents: list[WholeIncident] = []
    work: list[WholeMaintenance] = []
    with app.test_request_context("/"):
        while len(found := whole_incidents(SIGNED_OUT, NOW, limit=MOST_RECENT, offset=len(incidents))):
            incidents += found
        while len(planned := whole_maintenance(SIGNED_OUT, NOW, limit=MOST_RECENT, offset=len(work))):
            work += planned
        components = described_components(named_in([*incidents, *work]))
        statuses = statuses_of((each.id for each in components), SIGNED_OUT, NOW)
        shaper = Shaper(cast.domain_a, components, statuses, last_moves(SIGNED_OUT, NOW), NOW)
        return [shaper.incident(each) for each in incidents], [shaper.maintenance(each) for each in work]


def test_every_report_comes_out_as_it_came_in(app: Flask, cast: Cast, source: Any) -> None:
    incidents, work = everything(app, cast)
    assert differences(source["incidents"], incidents) == []
    assert differences(source["scheduled_maintenances"], work) == []


def test_the_documents_give_the_latest_of_them(app: Flask, cast: Cast, source: Any) -> None:
    incidents, work = everything(app, cast)
    shown = read(app, "incidents")["incidents"]
    assert shown == incidents[:MOST_RECENT]
    assert read(app, "scheduled-maintenances")["scheduled_maintenances"] == work[:MOST_RECENT]
    starts = [each["started_at"] for each in source["incidents"]]
    assert [each["started_at"] for each in shown] == sorted(starts, reverse=True)[:MOST_RECENT]
    assert (
        differences([each for each in source["incidents"] if each["id"] in {row["id"] for row in shown}], shown) == []
    )


def test_every_component_comes_out_as_it_came_in(app: Flask, source: Any) -> None:
    shown = read(app, "components")["components"]
    assert {row["id"] for row in shown} == {row["id"] for row in source["components"]}
    by_id = {row["id"]: row for row in shown}
    for row in source["components"]:
        assert component_differences(row, by_id[row["id"]]) == []


def test_what_each_update_moved_and_the_postmortem_come_out_as_they_came_in(app: Flask, cast: Cast) -> None:
    """The given history says neither; pages that do are of the same kind."""
    core, web = ({"id": each, "name": each.title()} for each in ("core", "web"))
    up, slow, part, down = (each.value for each in STATUS_OF_SEVERITY.values())
    courses: tuple[tuple[str, str, bool, list[tuple[str, str, str]] | None], ...] = (
        ("investigating", "We look.", True, [("core", up, down)]),
        ("monitoring", "A card.", False, [("core", down, part), ("web", up, slow)]),
        ("resolved", "Replaced.", True, [("core", part, up), ("web", slow, up)]),
        ("postmortem", "It was old.", False, None),
    )
    updates = [
        {
            "id": f"u{number}",
            "status": state,
            "body": body,
            "incident_id": "one",
            "created_at": f"2025-05-01T{10 + number}:00:00.000Z",
            "updated_at": f"2025-05-01T{10 + number}:00:00.000Z",
            "display_at": f"2025-05-01T{10 + number}:00:00.000Z",
            "deliver_notifications": is_told,
            "affected_components": None
            if moves is None
            else [
                {"code": code, "name": code.title(), "old_status": old, "new_status": new} for code, old, new in moves
            ],
        }
        for number, (state, body, is_told, moves) in enumerate(courses)
    ]
    incident = {
        "id": "one",
        "name": "Calls fail",
        "status": "postmortem",
        "impact": "critical",
        "started_at": "2025-05-01T10:00:00.000Z",
        "created_at": "2025-05-01T10:00:00.000Z",
        "updated_at": "2025-05-01T13:00:00.000Z",
        "monitoring_at": "2025-05-01T11:00:00.000Z",
        "resolved_at": "2025-05-01T12:00:00.000Z",
        "components": [core, web],
        "incident_updates": updates[::-1],
    }
    import_statuspage({"page": {"id": "other"}, "components": [core, web], "incidents": [incident]}, by=SYSTEM, now=NOW)
    events.commit()
    shown = read(app, "incidents")["incidents"][0]
    parts = {"components", "incident_updates"}
    assert {name: shown[name] for name in incident.keys() - parts} == {
        name: value for name, value in incident.items() if name not in parts
    }
    assert {each["id"] for each in shown["components"]} == {"core", "web"}
    for old, new in zip(incident["incident_updates"], shown["incident_updates"], strict=True):
        assert {name: new[name] for name in old} == old


def differences(wanted: list[Row], found: list[Row]) -> list[str]:
    """A line for each field of a report that is not as it was, whatever the order of the reports."""
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(found) == len(wanted)
    return [line for row in wanted for line in report_differences(row, by_id[row["id"]])]


def report_differences(wanted: Row, found: Row) -> list[str]:
    parts = {"components", "incident_updates"}
    wrong = [
        f"{wanted['id']}.{name}: {found[name]!r}, not {wanted[name]!r}"
        for name in wanted.keys() - OURS - parts
        if found[name] != wanted[name]
    ]
    named = {row["id"]: row for row in found["components"]}
    if {row["id"] for row in wanted["components"]} != set(named):
        wrong.append(f"{wanted['id']}.components: {sorted(named)}")
    wrong += [line for row in wanted["components"] for line in component_differences(row, named[row["id"]])]
    pairs = zip(wanted["incident_updates"], found["incident_updates"], strict=True)
    return wrong + [line for old, new in pairs for line in update_differences(old, new, found)]


def component_differences(wanted: Row, found: Row) -> list[str]:
    """`updated_at` is when the component last moved, which the source did not keep."""
    names = wanted.keys() - OURS - {"updated_at"}
    return [f"{wanted['id']}.{name}: {found[name]!r}" for name in names if found[name] != wanted[name]]


def update_differences(wanted: Row, found: Row, report: Row) -> list[str]:
    """What each update moved follows from the impact: the source does not say it."""
    names = wanted.keys() - {"affected_components"}
    wrong = [f"{wanted['id']}.{name}: {found[name]!r}" for name in names if found[name] != wanted[name]]
    codes = {row["id"] for row in report["components"]}
    hit = {"operational", STATUS_OF_IMPACT.get(report["impact"], "operational")}
    for row in found["affected_components"] or ():
        if row["code"] not in codes or not {row["old_status"], row["new_status"]} <= hit:
            wrong.append(f"{wanted['id']}.affected_components: {row}")
    return wrong
