"""What each document says: the fields and types of the Statuspage API v2, and what follows from our rows."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from portal import events
from portal.api.v2.documents import DOCUMENTS, MOST_RECENT
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.config import ConfigError, Settings
from portal.domains import actions as domains
from portal.incidents import actions as incidents
from portal.incidents.actions import maintenance
from portal.incidents.rules import (
    Audience,
    ComponentStatus,
    Impact,
    MaintenanceState,
    Severity,
    State,
    Visibility,
    roll_up,
)
from tests.api.v2.conftest import BORN, StatusPage, plan, publish, read, say
from tests.conftest import NOW, Cast, client_on, counted_queries

Turn = Callable[[datetime], None]
pytestmark = pytest.mark.usefixtures("at")

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NOTHING = type(None)

# Statuspage's own field names and types (status-pages, section 2.2), as strict readers have them.
PAGE = {"id": str, "name": str, "url": str, "time_zone": str, "updated_at": TIME}
STATUS = {"indicator": {"none", "minor", "major", "critical", "maintenance"}, "description": str}
COMPONENT = {
    "id": str,
    "name": str,
    "status": {"operational", "under_maintenance", "degraded_performance", "partial_outage", "major_outage"},
    "created_at": TIME,
    "updated_at": TIME,
    "position": int,
    "description": (str, NOTHING),
    "showcase": bool,
    "start_date": (str, NOTHING),
    "group_id": (str, NOTHING),
    "page_id": str,
    "group": bool,
    "only_show_if_degraded": bool,
}
AFFECTED = {"code": str, "name": str, "old_status": COMPONENT["status"], "new_status": COMPONENT["status"]}
UPDATE = {
    "id": str,
    "status": {"investigating", "identified", "monitoring", "resolved"},
    "body": str,
    "incident_id": str,
    "created_at": TIME,
    "updated_at": TIME,
    "display_at": TIME,
    "affected_components": ([AFFECTED], NOTHING),
    "deliver_notifications": bool,
    "custom_tweet": NOTHING,
    "tweet_id": NOTHING,
}
INCIDENT = {
    "id": str,
    "name": str,
    "status": UPDATE["status"],
    "created_at": TIME,
    "updated_at": TIME,
    "monitoring_at": (TIME, NOTHING),
    "resolved_at": (TIME, NOTHING),
    "impact": {"none", "minor", "major", "critical"},
    "shortlink": str,
    "started_at": TIME,
    "page_id": str,
    "incident_updates": [UPDATE],
    "components": [COMPONENT],
    "reminder_intervals": NOTHING,
}
PLANNED = {"scheduled", "in_progress", "verifying", "completed"}
MAINTENANCE = {
    **INCIDENT,
    "status": PLANNED,
    "impact": {"maintenance"},
    "incident_updates": [{**UPDATE, "status": PLANNED}],
    "scheduled_for": TIME,
    "scheduled_until": TIME,
}
SHAPES = {
    "summary": {
        "page": PAGE,
        "components": [COMPONENT],
        "incidents": [INCIDENT],
        "scheduled_maintenances": [MAINTENANCE],
        "status": STATUS,
    },
    "status": {"page": PAGE, "status": STATUS},
    "components": {"page": PAGE, "components": [COMPONENT]},
    "incidents": {"page": PAGE, "incidents": [INCIDENT]},
    "incidents/unresolved": {"page": PAGE, "incidents": [INCIDENT]},
    "scheduled-maintenances": {"page": PAGE, "scheduled_maintenances": [MAINTENANCE]},
    "scheduled-maintenances/upcoming": {"page": PAGE, "scheduled_maintenances": [MAINTENANCE]},
    "scheduled-maintenances/active": {"page": PAGE, "scheduled_maintenances": [MAINTENANCE]},
}


def misfits(value: Any, shape: Any, path: str = "") -> list[str]:
    """Where a value is not of a shape: a pattern, a set of words, a type, a list, an object, or one of several."""
    if isinstance(shape, tuple):
        tried = [misfits(value, each, path) for each in shape]
        return min(tried, key=len)
    if isinstance(shape, dict) and isinstance(value, dict):
        keys = set(value) - ({"components"} if value.get("group") is True else set())
        wrong = [f"{path}: {sorted(keys ^ set(shape))}"] if keys != set(shape) else []
        for key in keys & set(shape):
            wrong += misfits(value[key], shape[key], f"{path}.{key}")
        return wrong
    if isinstance(shape, list) and isinstance(value, list):
        return [line for number, each in enumerate(value) for line in misfits(each, shape[0], f"{path}[{number}]")]
    if isinstance(shape, re.Pattern):
        fits = isinstance(value, str) and bool(shape.fullmatch(value))
    else:
        fits = value in shape if isinstance(shape, set) else type(value) is shape
    return [] if fits else [f"{path}: {value!r}"]


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


@pytest.fixture
def busy(status_page: StatusPage) -> StatusPage:
    """An incident that moved about, a fixed one, and maintenance over, under way, ahead and called off."""
    open_one = publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    say(
        open_one,
        State.WATCHING,
        "Calls go through again.",
        {status_page.core.id: Severity.PARTIAL_RTH, status_page.fibre.id: Severity.PERFORMANCE_ISSUE},
        now=NOW - timedelta(minutes=30),
    )
    publish(
        "Slow line", {status_page.fibre.id: Severity.PERFORMANCE_ISSUE}, state=State.FIXED, now=NOW - timedelta(days=2)
    )
    hour = timedelta(hours=1)
    plan("Old work", [status_page.fibre], begin=-9 * hour, end=-8 * hour)
    plan("Work now", [status_page.trunks], begin=-hour, end=hour)
    plan("Work ahead", [status_page.core], begin=5 * hour, end=6 * hour, is_told=False)
    plan("Not at all", [status_page.core], begin=7 * hour, end=8 * hour, state=MaintenanceState.CANCELLED)
    return status_page


@pytest.mark.parametrize("name", SHAPES)
def test_every_document_has_the_fields_and_types_of_the_original(app: Flask, busy: StatusPage, name: str) -> None:
    found = read(app, name)
    assert misfits(found, SHAPES[name]) == []
    lists = [value for value in found.values() if isinstance(value, list)]
    assert all(lists), "a list is empty, so nothing of it was looked at"
    assert set(SHAPES) == set(DOCUMENTS)


def test_the_page_is_that_of_the_portal_domain(app: Flask, cast: Cast, status_page: StatusPage) -> None:
    page = read(app, "status")["page"]
    assert (page["name"], page["url"], page["time_zone"]) == ("Northline", "http://a.portal.test", "Europe/London")
    assert re.fullmatch(r"[a-z0-9]{12}", page["id"])
    assert page["updated_at"] == "2026-10-22T12:00:00.000Z"  # when the components were made
    assert read(app, "status", "b.portal.test")["page"]["id"] != page["id"]
    before = cast.domain_a
    domains.edit_domain(
        before,
        base_url="http://a.portal.test:8443",
        brand="Renamed",
        accent=before.accent,
        support_email=None,
        support_phone=None,
        language="de",
        time_zone="Europe/Berlin",
        version=before.version,
        by=SYSTEM,
        now=NOW,
    )
    events.commit()
    after = read(app, "status")["page"]
    assert after["id"] == page["id"] == read(app, "components")["page"]["id"]
    assert (after["name"], after["url"], after["time_zone"]) == (
        "Renamed",
        "http://a.portal.test:8443",
        "Europe/Berlin",
    )


def test_components_stand_in_their_order_with_their_group_before_them(app: Flask, busy: StatusPage) -> None:
    rows = read(app, "components")["components"]
    assert [(row["name"], row["status"], row["group"]) for row in rows] == [
        ("Fibre", "degraded_performance", False),
        ("Voice", "partial_outage", True),
        ("Voice core", "partial_outage", False),
        ("SIP trunks", "under_maintenance", False),
    ]
    fibre, voice, core, trunks = rows
    assert voice["id"] == busy.group.public_id
    assert voice["components"] == [core["id"], trunks["id"]] == [busy.core.public_id, busy.trunks.public_id]
    assert core["group_id"] == trunks["group_id"] == voice["id"]
    assert fibre["group_id"] is voice["group_id"] is None
    assert core["description"] == "Voice core in one line"
    assert core["created_at"] == "2026-10-22T12:00:00.000Z"
    # The core last moved with the second update, the trunks when their window began, and the group with the later.
    assert (core["updated_at"], trunks["updated_at"]) == ("2026-11-21T11:30:00.000Z", "2026-11-21T11:00:00.000Z")
    assert voice["updated_at"] == core["updated_at"]
    assert {row["page_id"] for row in rows} == {read(app, "status")["page"]["id"]}


def test_an_archived_component_is_gone_from_the_page_but_stays_in_what_happened(app: Flask, busy: StatusPage) -> None:
    publish("It was the trunks", {busy.trunks.id: Severity.PARTIAL_RTH}, state=State.FIXED, now=NOW - timedelta(days=1))
    catalogue.archive_component(busy.trunks, version=busy.trunks.version, open_incidents=[], by=SYSTEM, now=NOW)
    events.commit()
    assert ids(read(app, "components")["components"]) == ["Fibre", "Voice", "Voice core"]
    named = next(each for each in read(app, "incidents")["incidents"] if each["name"] == "It was the trunks")
    assert ids(named["components"]) == ["SIP trunks"]


def test_an_incident_tells_its_life(app: Flask, busy: StatusPage) -> None:
    shown = read(app, "incidents")["incidents"]
    assert ids(shown) == ["No dial tone", "Slow line"]
    incident = shown[0]
    assert incident["status"] == "monitoring"
    assert incident["impact"] == "major"
    assert incident["started_at"] == incident["created_at"] == "2026-11-21T11:00:00.000Z"
    assert incident["monitoring_at"] == incident["updated_at"] == "2026-11-21T11:30:00.000Z"
    assert incident["resolved_at"] is None
    assert incident["shortlink"] == f"http://a.portal.test/incidents/{incident['id']}"
    assert ids(incident["components"]) == ["Voice core", "Fibre"]
    newest, oldest = incident["incident_updates"]
    assert (newest["status"], newest["body"]) == ("monitoring", "Calls go through again.")
    assert newest["incident_id"] == incident["id"]
    core = {"code": busy.core.public_id, "name": "Voice - Voice core"}
    fibre = {"code": busy.fibre.public_id, "name": "Fibre"}
    assert oldest["affected_components"] == [{**core, "old_status": "operational", "new_status": "major_outage"}]
    assert newest["affected_components"] == [
        {**core, "old_status": "major_outage", "new_status": "partial_outage"},
        {**fibre, "old_status": "operational", "new_status": "degraded_performance"},
    ]


def test_an_update_that_moves_nothing_still_names_what_is_affected(app: Flask, status_page: StatusPage) -> None:
    incident = publish("Slow line", {status_page.fibre.id: Severity.PERFORMANCE_ISSUE})
    say(incident, None, "Still slow.\\\nWe are on it.", now=NOW - timedelta(minutes=20))
    say(incident, State.FIXED, "Quick again.", now=NOW - timedelta(minutes=10))
    found = read(app, "incidents")["incidents"][0]
    fixed, still, first = found["incident_updates"]
    assert [each["status"] for each in (first, still, fixed)] == ["investigating", "investigating", "resolved"]
    moves = [
        (row["old_status"], row["new_status"]) for each in (first, still, fixed) for row in each["affected_components"]
    ]
    slow = "degraded_performance"
    assert moves == [("operational", slow), (slow, slow), (slow, "operational")]
    assert still["body"] == "Still slow.\nWe are on it."
    assert (found["resolved_at"], found["impact"]) == (fixed["created_at"], "minor")
    assert read(app, "incidents/unresolved")["incidents"] == []
    assert read(app, "summary")["incidents"] == []


def test_an_update_says_when_it_was_corrected_after_readers_had_seen_it(app: Flask, status_page: StatusPage) -> None:
    incident = publish("Slow line", {status_page.fibre.id: Severity.PERFORMANCE_ISSUE})
    said = say(incident, None, "Still slow.", now=NOW - timedelta(minutes=20))
    incidents.edit_update(said, incident, "Slow still.", version=incident.version, by=SYSTEM, now=NOW)
    events.commit()
    second, first = read(app, "incidents")["incidents"][0]["incident_updates"]
    assert (second["body"], second["updated_at"]) == ("Slow still.", "2026-11-21T12:00:00.000Z")
    assert second["created_at"] == second["display_at"] == "2026-11-21T11:40:00.000Z"
    assert first["updated_at"] == first["created_at"]


def test_maintenance_says_which_updates_were_mailed(app: Flask, status_page: StatusPage) -> None:
    work = plan("Work ahead", [status_page.fibre], begin=timedelta(hours=1), end=timedelta(hours=2))
    maintenance.add_note(
        work,
        "We bring a second crew.",
        notify=True,
        version=work.version,
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key="second crew",
    )
    events.commit()
    found = read(app, "scheduled-maintenances")["scheduled_maintenances"][0]["incident_updates"]
    assert [(each["body"], each["deliver_notifications"]) for each in found] == [
        ("We bring a second crew.", True),
        ("Work ahead is planned.", False),
    ]


def test_an_incident_without_components_affects_none(app: Flask, status_page: StatusPage) -> None:
    incident = publish("Something is odd", {})
    incidents.edit(
        incident,
        title=incident.title,
        visibility=Visibility.PUBLIC,
        audience=Audience.EVERYONE,
        impact_override=Impact.CRITICAL,
        version=incident.version,
        by=SYSTEM,
        now=NOW,
    )
    events.commit()
    found = read(app, "summary")
    assert found["incidents"][0]["incident_updates"][0]["affected_components"] is None
    assert (found["incidents"][0]["components"], found["incidents"][0]["impact"]) == ([], "critical")
    assert found["status"] == {"indicator": "critical", "description": "Major System Outage"}


def test_maintenance_follows_the_clock(app: Flask, busy: StatusPage) -> None:
    shown = read(app, "scheduled-maintenances")["scheduled_maintenances"]
    assert [(each["name"], each["status"], each["resolved_at"]) for each in shown] == [
        ("Not at all", "completed", "2026-10-22T12:00:00.000Z"),
        ("Work ahead", "scheduled", None),
        ("Work now", "in_progress", None),
        ("Old work", "completed", "2026-11-21T04:00:00.000Z"),
    ]
    assert ids(read(app, "scheduled-maintenances/upcoming")["scheduled_maintenances"]) == ["Work ahead"]
    assert ids(read(app, "scheduled-maintenances/active")["scheduled_maintenances"]) == ["Work now"]
    assert ids(read(app, "summary")["scheduled_maintenances"]) == ["Work now", "Work ahead"]
    now = shown[2]
    assert (now["scheduled_for"], now["scheduled_until"]) == ("2026-11-21T11:00:00.000Z", "2026-11-21T13:00:00.000Z")
    assert now["incident_updates"][0]["body"] == "Work now is planned."
    assert ids(now["components"]) == ["SIP trunks"]
    assert shown[1]["incident_updates"][0]["body"] == "Work ahead"  # nobody wrote anything: readers need one


def test_the_lists_hold_the_fifty_latest(app: Flask, status_page: StatusPage) -> None:
    for number in range(MOST_RECENT + 2):
        publish(f"Fault {number}", {}, state=State.FIXED, now=BORN + timedelta(hours=number))
        plan(f"Work {number}", [], begin=timedelta(hours=-number - 2), end=timedelta(hours=-number - 1), is_told=False)
    assert ids(read(app, "incidents")["incidents"]) == [f"Fault {number}" for number in range(51, 1, -1)]
    found = read(app, "scheduled-maintenances")["scheduled_maintenances"]
    assert ids(found) == [f"Work {number}" for number in range(MOST_RECENT)]


@pytest.mark.parametrize(
    ("statuses", "indicator", "description"),
    [
        (("none", "none", "none"), "none", "All Systems Operational"),
        (("major", "major", "major"), "critical", "Major System Outage"),
        (("major", "none", "minor"), "major", "Partial System Outage"),
        (("partial", "partial", "partial"), "major", "Partial System Outage"),
        (("partial", "minor", "none"), "minor", "Minor Service Outage"),
        (("minor", "minor", "minor"), "minor", "Degraded System Service"),
        (("minor", "none", "none"), "minor", "Partially Degraded Service"),
    ],
)
def test_the_roll_up_counts_components_and_no_groups(
    app: Flask, status_page: StatusPage, statuses: tuple[str, ...], indicator: str, description: str
) -> None:
    words = {
        "none": Severity.NONE,
        "minor": Severity.PERFORMANCE_ISSUE,
        "partial": Severity.PARTIAL_RTH,
        "major": Severity.MAJOR_OUTAGE,
    }
    leaves = (status_page.core, status_page.trunks, status_page.fibre)
    hit = {leaf.id: words[word] for leaf, word in zip(leaves, statuses, strict=True) if word != "none"}
    if hit:
        publish("Trouble", hit)
    expected = {"indicator": indicator, "description": description}
    assert read(app, "status")["status"] == read(app, "summary")["status"] == expected


def test_nothing_but_maintenance_is_told_by_the_word_the_installation_chose(
    app: Flask, status_page: StatusPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan("Work now", [status_page.fibre], begin=timedelta(hours=-1), end=timedelta(hours=1))
    under_way = "Service Under Maintenance"
    assert read(app, "status")["status"] == {"indicator": "maintenance", "description": under_way}
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], maintenance_indicator="none"))
    for shortcut in app.extensions["shortcuts"].values():
        shortcut.forget()
    for name in ("status", "summary"):
        assert read(app, name)["status"] == {"indicator": "none", "description": under_way}
    with pytest.raises(ConfigError, match="PORTAL_MAINTENANCE_INDICATOR"):
        Settings.from_environment(
            {"PORTAL_SECRET_KEY": app.config["SECRET_KEY"], "PORTAL_MAINTENANCE_INDICATOR": "major"}
        )


def test_reports_for_some_and_for_nobody_are_not_there(app: Flask, status_page: StatusPage) -> None:
    before = {name: read(app, name) for name in DOCUMENTS}
    hit = {status_page.core.id: Severity.MAJOR_OUTAGE}
    publish("Hush", hit, visibility=Visibility.PRIVATE, now=NOW)
    publish("For some", hit, audience=Audience.AFFECTED, now=NOW)
    for title, visibility, audience in (
        ("Quiet work", Visibility.PRIVATE, Audience.EVERYONE),
        ("Work for some", Visibility.PUBLIC, Audience.AFFECTED),
    ):
        plan(
            title,
            [status_page.core],
            begin=-timedelta(hours=1),
            end=timedelta(hours=1),
            visibility=visibility,
            audience=audience,
        )
    for shortcut in app.extensions["shortcuts"].values():
        shortcut.forget()
    assert {name: read(app, name) for name in DOCUMENTS} == before


@pytest.mark.parametrize("name", SHAPES)
def test_the_number_of_queries_does_not_grow_with_the_rows(app: Flask, busy: StatusPage, name: str) -> None:
    def asked() -> int:
        for shortcut in app.extensions["shortcuts"].values():
            shortcut.forget()
        with counted_queries() as statements:
            read(app, name)
        return len(statements)

    few = asked()
    for number in range(12):
        catalogue.add_component(f"Part {number}", group_id=busy.group.id, description=None, by=SYSTEM, now=BORN)
        hit = {busy.core.id: Severity.PARTIAL_RTH, busy.fibre.id: Severity.PARTIAL_RTH}
        say(publish(f"Fault {number}", hit), State.IDENTIFIED, "Found.", now=NOW)
        plan(f"Work {number}", [busy.core, busy.fibre], begin=timedelta(hours=number - 5), end=timedelta(hours=9))
    assert asked() == few <= 16


def test_the_page_changes_with_what_is_public_and_when_a_window_begins(
    app: Flask, status_page: StatusPage, at: Turn
) -> None:
    incident = publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE}, now=NOW - timedelta(minutes=50))
    plan("Work soon", [status_page.fibre], begin=timedelta(minutes=5), end=timedelta(minutes=15))
    say(incident, None, "Between us.", now=NOW - timedelta(minutes=5), visibility=Visibility.PRIVATE)
    moments = []
    for minutes in (0, 4, 5, 14, 15):
        at(NOW + timedelta(minutes=minutes))
        found = read(app, "summary")
        assert found["page"]["updated_at"] == read(app, "status")["page"]["updated_at"]
        moments.append(found["page"]["updated_at"][11:16])
    assert moments == ["11:10", "11:10", "12:05", "12:05", "12:15"]


def test_the_roll_up_is_the_rule_of_the_status_page(app: Flask, busy: StatusPage) -> None:
    statuses = [ComponentStatus(row["status"]) for row in read(app, "components")["components"] if not row["group"]]
    expected = roll_up(statuses, [Impact.MAJOR])
    assert read(app, "status")["status"] == {
        "indicator": expected.indicator.value,
        "description": expected.description,
    }
    page = client_on(app, "a.portal.test").get("/status").text
    assert all(title in page for title in ("No dial tone", "Work now", "Work ahead"))
