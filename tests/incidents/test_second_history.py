"""Another page's history in the shape of the Statuspage API v2, with all that such pages leave out and do otherwise:
it comes in whole, as a person would read it, and a second time changes nothing."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component, ComponentGroup
from portal.errors import RuleViolation
from portal.extensions import db
from portal.filters import markdown
from portal.incidents.imports import import_statuspage
from portal.incidents.models import (
    ImpactInterval,
    Incident,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    Postmortem,
)
from portal.incidents.rules import Impact, MaintenanceState, Severity, State
from tests.conftest import NOW

ZONES = ("Z", "+00:00", "-07:00", "+05:30", ".000Z", ".123456-08:00")
STEPS = (
    ("investigating", "identified", "monitoring", "resolved"),
    ("investigating", "resolved"),
    ("identified", "monitoring", "resolved", "postmortem"),
    ("resolved",),
)
PLANNED = (
    ("scheduled", "in_progress", "completed"),
    ("scheduled", "in_progress", "verifying", "completed"),
    ("scheduled",),
)
BODIES = (
    "We are investigating.",
    "<p>Calls <strong>fail</strong> &amp; drop.<br />Sorry!</p>",
    "Line one\r\nLine two",
    "Störung in Köln – wir prüfen 🙂",
    "",
    None,
)


def stamp(moment: datetime, zone: str) -> str:
    """The moment as some page writes it, at this offset and with or without a fraction."""
    fraction, offset = (
        (zone[: -len(zone.lstrip(".0123456789"))], zone.lstrip(".0123456789")) if "." in zone else ("", zone)
    )
    if offset == "Z":
        return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
    sign, hours, minutes = -1 if offset[0] == "-" else 1, int(offset[1:3]), int(offset[4:])
    local = moment + sign * timedelta(hours=hours, minutes=minutes)
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{offset}"


GROUP = {"id": "grp1", "name": "Voice", "group": True, "components": ["cmp0", "cmp1"], "position": 1}
GONE = {"id": "cmp-gone", "name": "Fax", "status": "operational", "group": False}


def component(number: int, dice: random.Random) -> dict[str, Any]:
    """A component of the page; half of them do not say since when they are there."""
    found = {
        "id": f"cmp{number}",
        "name": f"Component {number}" if number else "C" * 230,
        "status": dice.choice(("operational", "under_maintenance", "major_outage")),
        "description": dice.choice((None, "", "Calls & queues")),
        "group": False,
        "group_id": "grp1" if number < 2 else dice.choice((None, "a group that is gone")),
        "position": dice.choice((number, None)),
        "showcase": dice.random() < 0.5,
        "only_show_if_degraded": False,
    }
    return found | ({} if dice.random() < 0.5 else {"created_at": "2021-03-01T00:00:00+01:00"})


def moved(dice: random.Random) -> list[dict[str, Any]]:
    """What an update says it did to a component, or to one that is not on the page."""
    words = ("operational", "degraded_performance", "partial_outage", "major_outage", "under_maintenance")
    code = dice.choice(("cmp1", "cmp3", "elsewhere"))
    return [{"code": code, "name": code, "old_status": dice.choice((*words, None)), "new_status": dice.choice(words)}]


def report(number: int, components: list[dict[str, Any]], dice: random.Random) -> dict[str, Any]:
    """An incident, or planned work."""
    zone, begins = dice.choice(ZONES), datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=dice.uniform(0, 400))
    is_planned = dice.random() < 0.3
    states = dice.choice(PLANNED if is_planned else STEPS)
    moments = [stamp(begins + timedelta(minutes=17 * step), zone) for step in range(len(states))]
    updates = [
        {
            "id": f"u{number}-{step}",
            "status": state,
            "body": dice.choice(BODIES),
            "created_at": at,
            "display_at": dice.choice((at, at, None)),
            "affected_components": dice.choice((None, [], [{"code": "cmp1", "name": "Component 1"}], moved(dice))),
            "deliver_notifications": dice.choice((True, False, None)),
        }
        for step, (state, at) in enumerate(zip(states, moments, strict=True))
    ]
    found = {
        "id": f"r{number}",
        "name": dice.choice(("Errors in the API", "  Calls\nfail ", "Wartung & Umbau", "x" * 250)),
        "status": states[-1],
        "impact": dice.choice(("none", "minor", "major", "critical", "maintenance", None)),
        "impact_override": dice.choice((None, "critical")),
        "incident_updates": updates if dice.random() < 0.3 else updates[::-1],
        "components": dice.choice((None, [], [components[1]], [components[3], GONE], [GROUP])),
        "created_at": stamp(begins, zone),
        "resolved_at": dice.choice((None, moments[-1])) if "resolved" in states else None,
        "backfilled": states == ("resolved",),
        "reminder_intervals": "[3, 6, 12]",
    }
    if not is_planned:
        return found | {"started_at": dice.choice((None, stamp(begins, zone)))}
    until = dice.choice((stamp(begins + timedelta(hours=1), zone), None))
    times = {"scheduled_for": stamp(begins, zone), "scheduled_until": until}
    return found | times | {"impact": "maintenance", "auto_completed": True, "scheduled_auto_in_progress": True}


def history(seed: int, count: int = 30) -> dict[str, Any]:
    """A page with groups, components that are gone, incidents and planned work, each written a little otherwise."""
    dice = random.Random(seed)  # noqa: S311  # the same page every time
    components = [GROUP, *(component(number, dice) for number in range(5))]
    reports = [report(number, components, dice) for number in range(count)]
    if dice.random() < 0.5:
        reports.reverse()
    planned = [each for each in reports if "scheduled_for" in each]
    incidents = [each for each in reports if each not in planned]
    if dice.random() < 0.5:
        # Two pages of a list that overlap.
        incidents.append(incidents[0])
    if dice.random() < 0.3:
        # One list for both, as of pages that tell them apart by when they are scheduled.
        incidents, planned = [*incidents, *planned], []
    found = {"page": {"id": f"page{seed}", "name": "Other", "time_zone": "Europe/Berlin"}, "components": components}
    return found | {"incidents": incidents} | ({"scheduled_maintenances": planned} if planned else {})


@pytest.mark.parametrize("seed", range(12))
def test_another_history_comes_in_whole_and_a_second_time_changes_nothing(session: None, seed: int) -> None:
    data = history(seed)
    first = import_statuspage(data, by=SYSTEM, now=NOW)
    listed = {each["id"]: each for each in (*data["incidents"], *data.get("scheduled_maintenances", ()))}
    planned = {key for key, each in listed.items() if "scheduled_for" in each}
    rows = {row.public_id: row for row in db.session.scalars(select(Incident))}
    works = {row.public_id: row for row in db.session.scalars(select(Maintenance))}
    assert (set(rows), set(works)) == (listed.keys() - planned, planned)
    assert first.updates == sum(len(listed[key]["incident_updates"]) for key in rows)
    explained = db.session.scalar(select(func.count()).select_from(Postmortem)) or 0
    assert explained == sum(listed[key]["status"] == "postmortem" for key in rows)
    assert db.session.scalar(select(func.count()).select_from(IncidentUpdate)) == first.updates - explained
    for key, row in rows.items():
        at = datetime.fromisoformat(listed[key]["started_at"] or listed[key]["created_at"])
        assert row.started_at == at
        assert row.impact.value == (listed[key]["impact"] or "none").replace("maintenance", "none")
        last = max(listed[key]["incident_updates"], key=lambda each: each["id"])
        assert (row.state is State.FIXED) == (last["status"] in {"resolved", "postmortem"})
        shown = select(IncidentUpdate.public_id).where(IncidentUpdate.incident_id == row.id)
        in_order = db.session.scalars(shown.order_by(IncidentUpdate.posted_at, IncidentUpdate.id)).all()
        assert list(in_order) == sorted(in_order)
    for key, work in works.items():
        assert work.state.value == listed[key]["status"]
        assert work.ends_at >= work.starts_at
    gone = db.session.scalars(select(Component).where(Component.public_id == "cmp-gone")).one_or_none()
    assert gone is None or gone.archived_at is not None
    assert db.session.scalars(select(ComponentGroup.name)).all() == ["Voice"]
    assert {len(title) for title in db.session.scalars(select(Component.title))} <= {3, 11, 200}

    again = import_statuspage(data, by=SYSTEM, now=NOW)
    assert (again.created, again.updated, again.unchanged) == (0, 0, first.created)


def small(**values: Any) -> dict[str, Any]:
    """A page with one incident of two updates at one component."""
    update = {"status": "resolved", "body": "Fixed.", "created_at": "2025-05-01T11:00:00Z"}
    incident = {
        "id": "one",
        "name": "Calls fail",
        "status": "resolved",
        "impact": "major",
        "started_at": "2025-05-01T10:00:00Z",
        "created_at": "2025-05-01T10:00:00Z",
        "resolved_at": "2025-05-01T11:00:00Z",
        "components": [{"id": "cmp", "name": "Calls"}],
        "incident_updates": [
            {"id": "2", **update},
            {"id": "1", **update, "status": "investigating", "body": "Looking.", "created_at": "2025-05-01T10:00:00Z"},
        ],
    }
    return {"page": {"id": "other"}, "components": [{"id": "cmp", "name": "Calls"}], "incidents": [incident | values]}


def test_a_list_of_incidents_alone_brings_the_components_it_names(session: None) -> None:
    """`incidents.json` has no components of its own: what is named in it is there, and past."""
    data = small()
    del data["components"]
    import_statuspage(data, by=SYSTEM, now=NOW)
    component = db.session.scalars(select(Component)).one()
    assert (component.title, component.created_at) == ("Calls", datetime(2025, 5, 1, 10, tzinfo=UTC))
    stretch = db.session.scalars(select(ImpactInterval)).one()
    assert (stretch.severity, stretch.to_at) == (Severity.PARTIAL_RTH, datetime(2025, 5, 1, 11, tzinfo=UTC))


def test_a_group_that_was_hit_hits_what_is_in_it(session: None) -> None:
    group = {"id": "grp", "name": "Voice", "group": True}
    data = small(components=[group])
    data["components"] = [group, *({"id": f"c{each}", "name": f"C{each}", "group_id": "grp"} for each in range(2))]
    import_statuspage(data, by=SYSTEM, now=NOW)
    titles = select(Component.title).join(ImpactInterval, ImpactInterval.component_id == Component.id)
    assert sorted(db.session.scalars(titles)) == ["C0", "C1"]


def test_a_group_that_is_gone_hits_nothing_in_incidents_and_planned_work(session: None) -> None:
    """A list of reports alone names groups too, and does not say what was in them."""
    gone = {"id": "grp", "name": "Voice", "group": True}
    data = small(components=[gone, {"id": "cmp", "name": "Calls"}])
    work = {
        **data["incidents"][0],
        "id": "work",
        "status": "completed",
        "scheduled_for": "2025-05-01T10:00:00Z",
        "incident_updates": [{"id": "3", "status": "completed", "body": "", "created_at": "2025-05-01T11:00:00Z"}],
    }
    import_statuspage(data | {"scheduled_maintenances": [work]}, by=SYSTEM, now=NOW)
    [calls] = db.session.scalars(select(Component.id))
    assert db.session.scalars(select(ImpactInterval.component_id)).all() == [calls]
    assert db.session.scalars(select(MaintenanceComponent.component_id)).all() == [calls]


def test_updates_of_one_moment_keep_their_order_whichever_way_the_list_runs(session: None) -> None:
    data = small()
    updates = data["incidents"][0]["incident_updates"]
    updates.insert(1, updates[0] | {"id": "1b", "status": "monitoring", "created_at": "2025-05-01T10:00:00Z"})
    data["incidents"].append(data["incidents"][0] | {"id": "two", "incident_updates": updates[::-1]})
    import_statuspage(data, by=SYSTEM, now=NOW)
    for number in db.session.scalars(select(Incident.id)):
        of_it = select(IncidentUpdate.public_id).where(IncidentUpdate.incident_id == number)
        rows = db.session.scalars(of_it.order_by(IncidentUpdate.posted_at, IncidentUpdate.id))
        assert list(rows) == ["1", "1b", "2"]


def test_planned_work_in_the_list_of_incidents_is_planned_work(session: None) -> None:
    """With its own steps, of which the clock took one without a word."""
    steps = ("scheduled", "in_progress", "completed")
    updates = [
        {
            "id": state,
            "status": state,
            "body": "" if number else "We move.",
            "created_at": f"2025-05-0{1 + number}T10:00:00Z",
        }
        for number, state in enumerate(steps)
    ]
    data = small(
        status="completed",
        impact="maintenance",
        incident_updates=updates,
        scheduled_for="2025-05-02T10:00:00+02:00",
        scheduled_until="2025-05-02T12:00:00+02:00",
    )
    report = import_statuspage(data, by=SYSTEM, now=NOW)
    assert (report.incidents, report.maintenances) == (0, 1)
    work = db.session.scalars(select(Maintenance)).one()
    assert (work.state, work.starts_at) == (MaintenanceState.COMPLETED, datetime(2025, 5, 2, 8, tzinfo=UTC))
    told = db.session.scalars(select(MaintenanceUpdate.body).order_by(MaintenanceUpdate.posted_at)).all()
    assert list(told) == ["We move.", "", ""]
    assert db.session.scalar(select(func.count()).select_from(MaintenanceComponent)) == 1


def test_what_was_restored_without_words_is_shown_as_that(session: None) -> None:
    data = small(impact=None, resolved_at="")
    data["incidents"][0]["incident_updates"][0]["body"] = " "
    import_statuspage(data, by=SYSTEM, now=NOW)
    incident = db.session.scalars(select(Incident)).one()
    assert (incident.impact, incident.resolved_at) == (Impact.NONE, datetime(2025, 5, 1, 11, tzinfo=UTC))
    bodies = db.session.scalars(select(IncidentUpdate.body).order_by(IncidentUpdate.posted_at)).all()
    assert [str(markdown(body)) for body in bodies] == ["<p>Looking.</p>\n", ""]


def told(*steps: tuple[str, str, list[tuple[str, str, str]] | None]) -> list[dict[str, Any]]:
    """Updates an hour apart from ten o'clock, oldest first: the state, the words, and (component, before, after)."""
    return [
        {
            "id": f"u{number}",
            "status": state,
            "body": body,
            "created_at": f"2025-05-01T{10 + number}:00:00Z",
            "deliver_notifications": number == 0,
            "affected_components": moves
            and [{"code": code, "name": code, "old_status": old, "new_status": new} for code, old, new in moves],
        }
        for number, (state, body, moves) in enumerate(steps)
    ]


UP, SLOW, PART, DOWN = "operational", "degraded_performance", "partial_outage", "major_outage"


def stretches() -> list[tuple[str, Severity, int, int]]:
    """What each component went through: its title, how badly, and from and until which hour of the day."""
    rows = db.session.execute(
        select(Component.title, ImpactInterval.severity, ImpactInterval.from_at, ImpactInterval.to_at)
        .join(Component, Component.id == ImpactInterval.component_id)
        .order_by(Component.title, ImpactInterval.from_at)
    )
    return [(title, severity, begin.hour, end.hour) for title, severity, begin, end in rows if end]


def test_each_update_moves_what_it_says(session: None) -> None:
    """Two components of one incident, each with a course of its own, and one that no update speaks of."""
    data = small(
        impact="critical",
        components=[{"id": each, "name": each} for each in ("core", "web", "fax")],
        incident_updates=told(
            ("investigating", "Looking.", [("core", UP, DOWN), ("web", UP, UP)]),
            ("identified", "A card.", [("core", DOWN, PART), ("web", UP, SLOW)]),
            ("resolved", "Fixed.", [("core", PART, UP), ("web", SLOW, UP)]),
        ),
        resolved_at="2025-05-01T12:00:00Z",
    )
    import_statuspage(data, by=SYSTEM, now=NOW)
    assert stretches() == [
        ("core", Severity.MAJOR_OUTAGE, 10, 11),
        ("core", Severity.PARTIAL_RTH, 11, 12),
        ("fax", Severity.MAJOR_OUTAGE, 10, 12),
        ("web", Severity.PERFORMANCE_ISSUE, 11, 12),
    ]
    assert db.session.scalars(select(IncidentUpdate.notify).order_by(IncidentUpdate.id)).all() == [True, False, False]
    changed = import_statuspage(small(**data["incidents"][0] | {"name": "Calls failed"}), by=SYSTEM, now=NOW)
    assert (changed.created, changed.updated) == (0, 1)
    assert len(stretches()) == 4


def test_what_was_told_when_it_was_over_tells_how_it_was_until_then(session: None) -> None:
    data = small(impact="minor", components=[{"id": each, "name": each} for each in ("core", "web")])
    data["incidents"][0]["incident_updates"] = told(("resolved", "It was.", [("core", DOWN, UP), ("web", UP, UP)]))
    data["incidents"][0]["started_at"] = "2025-05-01T08:00:00Z"
    import_statuspage(data, by=SYSTEM, now=NOW)
    assert stretches() == [("core", Severity.MAJOR_OUTAGE, 8, 10), ("web", Severity.PERFORMANCE_ISSUE, 8, 10)]


def test_the_impact_is_what_the_page_said_of_it(session: None) -> None:
    """A page may call an incident worse than what it did to its components."""
    steps = told(("investigating", "Looking.", [("core", UP, UP)]), ("resolved", "Fixed.", None))
    data = small(impact="critical", components=[{"id": "core", "name": "core"}], incident_updates=steps)
    import_statuspage(data, by=SYSTEM, now=NOW)
    incident = db.session.scalars(select(Incident)).one()
    assert (incident.impact, incident.impact_override, stretches()) == (Impact.CRITICAL, Impact.CRITICAL, [])


def test_the_explanation_of_an_incident_is_a_postmortem(session: None) -> None:
    steps = told(
        ("investigating", "Looking.", None), ("resolved", "Fixed.", None), ("postmortem", "<p>A <b>card</b>.</p>", None)
    )
    data = small(status="postmortem", incident_updates=steps)
    import_statuspage(data, by=SYSTEM, now=NOW)
    incident, explained = db.session.scalars(select(Incident)).one(), db.session.scalars(select(Postmortem)).one()
    assert (incident.state, incident.resolved_at) == (State.FIXED, datetime(2025, 5, 1, 11, tzinfo=UTC))
    assert db.session.scalar(select(func.count()).select_from(IncidentUpdate)) == 2
    assert (explained.public_id, explained.body, explained.notify) == ("u2", "A **card**.", False)
    assert explained.published_at == datetime(2025, 5, 1, 12, tzinfo=UTC)
    steps[2]["body"] = "A card, and its spare."
    again = import_statuspage(data, by=SYSTEM, now=NOW)
    assert (again.updated, db.session.scalars(select(Postmortem.body)).all()) == (1, ["A card, and its spare."])
    assert import_statuspage(data, by=SYSTEM, now=NOW).updated == 0


def differing(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    data = small()
    data["incidents"].append(dict(data["incidents"][0]))
    change(data["incidents"][1])
    return data


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (differing(lambda each: each.update(name="Something else")), "incidents holds the id 'one' twice"),
        (small(incident_updates=[]), "incidents[0].incident_updates must hold at least one update"),
        (small(incident_updates=[*told(("resolved", "Fixed.", None)), {}]), "incidents[0].incident_updates[1].id"),
        (
            small(incident_updates=[told(("resolved", "", None))[0] | {"affected_components": "all"}]),
            "incidents[0].incident_updates[0].affected_components must be a list",
        ),
        (small(started_at="2025-05-01T10:00:00"), "incidents[0].started_at must be a time with its zone"),
        (small(status="on fire"), "incidents[0].status must be one of investigating"),
        (
            small(scheduled_for="2025-05-01T10:00:00Z", status="scheduled", resolved_at="2025-04-01T10:00:00Z"),
            "incidents[0]",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_cannot_be_meant_is_still_refused_by_its_place(session: None, data: object, sentence: str) -> None:
    with pytest.raises(RuleViolation) as refusal:
        import_statuspage(data, by=SYSTEM, now=NOW)
    assert sentence in refusal.value.sentence
    assert db.session.scalar(select(func.count()).select_from(Incident)) == 0
