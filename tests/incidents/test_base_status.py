"""What a component is by hand, without an incident: set, ended, seen everywhere, and asked after when forgotten."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import select

from portal import events
from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue.models import Component
from portal.domains.rules import Area
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.actions.clockwork import due, is_anything_due
from portal.incidents.models import BaseStatus, Incident
from portal.incidents.queries import history_bars, next_boundary, statuses_of, uptimes
from portal.incidents.queries.base import base_of, base_version, overlays_on, past_by_hand
from portal.incidents.queries.open_now import open_now, open_work
from portal.incidents.queries.overall import component_standing, overall
from portal.incidents.queries.whole import last_change, last_moves
from portal.incidents.rules import ComponentStatus, Severity, State, Visibility
from portal.incidents.rules.availability import Month
from portal.incidents.rules.base import AHEAD_AT_MOST, due_at, steps_past
from portal.notifications.models import Broadcast, Delivery
from portal.services.queries import company_picture, service_lines
from portal.services.queries.behind import Source
from portal.services.queries.ledger import company_month, names_of
from portal.services.queries.uptime import service_histories
from portal.services.queries.uptime import uptimes as holding_uptimes
from portal.services.queries.wellbeing import hit_now
from portal.services.questions.queries import answer
from portal.services.questions.words import in_words
from portal.services.rules import CauseKind, ServiceStatus
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from tests.incidents.test_actions import publish, update

HOUR = timedelta(hours=1)
WELL, SLOW = ComponentStatus.OPERATIONAL, ComponentStatus.PERFORMANCE_ISSUE
PART, DOWN = ComponentStatus.PARTIAL_RTH, ComponentStatus.MAJOR_OUTAGE


def put(
    component: Component,
    status: ComponentStatus,
    *,
    now: datetime = NOW,
    until: datetime | None = None,
    note: str = "",
    version: int | None = None,
    by: Actor = SYSTEM,
) -> None:
    known = base_version(component.id) if version is None else version
    actions.set_base_status(component, status, until=until, note=note, version=known, by=by, now=now)
    events.commit()


def status_of(component: Component, viewpoint: Viewpoint = SIGNED_OUT, now: datetime = NOW) -> ComponentStatus:
    return statuses_of([component.id], viewpoint, now)[component.id]


def rows() -> list[BaseStatus]:
    wanted = select(BaseStatus).order_by(BaseStatus.id).execution_options(populate_existing=True)
    return list(db.session.scalars(wanted))


def asked() -> list[Broadcast]:
    return list(
        db.session.scalars(select(Broadcast).where(Broadcast.kind == "incident_question").order_by(Broadcast.id))
    )


def run_the_clock(now: datetime) -> None:
    for do, row_id in due(now):
        do(row_id, now)
    events.commit()


# Rules


@pytest.mark.parametrize(
    ("passed", "expected"), [(0, 0), (2.9, 0), (3, 1), (6, 2), (11, 2), (12, 3), (24, 4), (900, 4)]
)
def test_the_steps_of_asking(passed: float, expected: int) -> None:
    assert steps_past(NOW, NOW + passed * HOUR) == expected


@pytest.mark.parametrize(
    ("ends", "nagged", "now", "expected"),
    [
        (None, 0, 0, 3),
        (None, 1, 3, 6),
        (None, 3, 12, 24),
        (None, 4, 24, None),
        (2, 0, 0, 2),
        (4, 0, 0, 3),
        (4, 1, 3, 4),
        (30, 4, 24, 30),
        (2, 0, 2, None),
    ],
)
def test_what_the_clock_does_next(ends: float | None, nagged: int, now: float, expected: float | None) -> None:
    found = due_at(NOW, NOW + ends * HOUR if ends is not None else None, nagged, NOW + now * HOUR)
    assert found == (NOW + expected * HOUR if expected is not None else None)


# Setting


def test_what_is_set_stands_until_it_is_set_back_and_is_kept(world: World, cast: Cast) -> None:
    ada = Actor(cast.ada.name, cast.ada.id)
    put(world.trunk, PART, note="  The second\nline ", by=ada)
    found = base_of(world.trunk.id, NOW)
    assert found.standing is not None
    assert (found.status, found.standing.note, found.standing.set_by_id) == (PART, "The second line", cast.ada.id)
    put(world.trunk, DOWN, now=NOW + HOUR)
    put(world.trunk, WELL, now=NOW + 2 * HOUR)
    assert base_of(world.trunk.id, NOW + 2 * HOUR).standing is None
    assert [(each.severity, each.from_at, each.to_at) for each in rows()] == [
        (Severity.PARTIAL_RTH, NOW, NOW + HOUR),
        (Severity.MAJOR_OUTAGE, NOW + HOUR, NOW + 2 * HOUR),
    ]
    later = NOW + 2 * HOUR
    assert [each.severity for each in past_by_hand(world.trunk.id, later, 5)] == [
        Severity.MAJOR_OUTAGE,
        Severity.PARTIAL_RTH,
    ]
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "component.set_status")).all()
    assert [(each.before or {})["status"] for each in entries] == ["operational", "partial_outage", "major_outage"]
    assert (entries[0].after or {})["note"] == "The second line"
    assert entries[0].actor_id == cast.ada.id


def test_the_same_status_again_changes_its_end_and_note_and_no_more(world: World) -> None:
    put(world.trunk, SLOW)
    version = base_version(world.trunk.id)
    put(world.trunk, SLOW, now=NOW + HOUR)
    assert (base_version(world.trunk.id), len(rows())) == (version, 1)
    put(world.trunk, SLOW, now=NOW + HOUR, until=NOW + 2 * HOUR, note="A card is swapped")
    (row,) = rows()
    assert (row.from_at, row.to_at, row.due_at, row.note) == (NOW, NOW + 2 * HOUR, NOW + 2 * HOUR, "A card is swapped")
    assert base_version(world.trunk.id) > version


def test_a_change_in_between_is_a_conflict(world: World) -> None:
    put(world.trunk, SLOW)
    with pytest.raises(StaleEdit):
        put(world.trunk, DOWN, version=0)
    put(world.trunk, WELL)
    with pytest.raises(StaleEdit):
        put(world.trunk, DOWN, version=1)
    assert status_of(world.trunk) is WELL


@pytest.mark.parametrize(
    ("status", "until", "note", "field"),
    [
        (ComponentStatus.MAINTENANCE, None, "", "status"),
        (DOWN, timedelta(0), "", "until"),
        (DOWN, -HOUR, "", "until"),
        (DOWN, AHEAD_AT_MOST + HOUR, "", "until"),
        (DOWN, None, "x" * 501, "note"),
    ],
)
def test_what_cannot_be_set_is_refused_at_its_field(
    world: World, status: ComponentStatus, until: timedelta | None, note: str, field: str
) -> None:
    with pytest.raises(RuleViolation) as refused:
        put(world.trunk, status, until=None if until is None else NOW + until, note=note)
    assert refused.value.field == field
    db.session.rollback()
    assert not rows()


def test_an_archived_component_is_not_set(world: World) -> None:
    world.spare.archived_at = NOW
    db.session.commit()
    with pytest.raises(RuleViolation, match="archived"):
        put(world.spare, DOWN)


# What it makes of a component


def test_the_worst_of_base_incident_and_maintenance_shows(world: World) -> None:
    put(world.trunk, PART)
    assert status_of(world.trunk) is PART
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE})
    assert status_of(world.trunk) is DOWN
    assert [(each.is_incident, each.id, each.status) for each in overlays_on(world.trunk.id, NOW)] == [
        (True, incident.id, DOWN)
    ]
    update(incident, None, {world.trunk.id: Severity.PERFORMANCE_ISSUE}, now=NOW + HOUR)
    assert status_of(world.trunk, now=NOW + HOUR) is PART
    update(incident, State.FIXED, now=NOW + 2 * HOUR)
    put(world.trunk, WELL, now=NOW + 3 * HOUR)
    assert status_of(world.trunk, now=NOW + 3 * HOUR) is WELL


def test_what_ends_by_itself_is_over_at_that_moment_without_any_clock(world: World) -> None:
    put(world.trunk, DOWN, until=NOW + HOUR)
    assert status_of(world.trunk, now=NOW + HOUR - timedelta(seconds=1)) is DOWN
    assert status_of(world.trunk, now=NOW + HOUR) is WELL
    assert next_boundary(NOW) == NOW + HOUR
    assert base_of(world.trunk.id, NOW + HOUR).standing is None


def test_every_reader_of_a_status_sees_it(world: World, cast: Cast) -> None:
    put(world.trunk, DOWN)
    for viewpoint in (SIGNED_OUT, STAFF, Viewpoint(company_id=cast.a.id), Viewpoint(company_id=cast.b.id)):
        assert status_of(world.trunk, viewpoint) is DOWN
        found = overall(viewpoint, NOW)
        assert found.status.description == "Partial System Outage"
    standing = component_standing(world.trunk.public_id, SIGNED_OUT, NOW)
    assert standing is not None
    assert standing.status is DOWN
    assert last_moves(SIGNED_OUT, NOW)[world.trunk.id] == NOW
    assert last_change(SIGNED_OUT, NOW + HOUR) == NOW
    put(world.trunk, WELL, now=NOW + HOUR)
    assert last_moves(SIGNED_OUT, NOW + HOUR)[world.trunk.id] == NOW + HOUR
    assert last_change(SIGNED_OUT, NOW + HOUR) == NOW + HOUR


def test_bars_and_uptime_count_it_as_they_count_incidents(world: World) -> None:
    day = timedelta(days=1)
    put(world.trunk, DOWN, now=NOW - 2 * day, until=NOW - 2 * day + 9 * HOUR)
    put(world.fibre, DOWN, now=NOW)
    incident = publish({world.exchange.id: Severity.MAJOR_OUTAGE}, now=NOW - 2 * day)
    update(incident, State.FIXED, now=NOW - 2 * day + 9 * HOUR)
    bars = history_bars([world.trunk.id, world.exchange.id, world.fibre.id], NOW + HOUR)
    assert bars[world.trunk.id].days == bars[world.exchange.id].days
    assert bars[world.trunk.id].days.count("3") in {1, 2}
    assert bars[world.fibre.id].days[-1] == "3"
    found = uptimes([world.trunk, world.exchange], NOW)
    assert found[world.trunk.id] == found[world.exchange.id] < 1
    # One that will end by itself only counts for as long as it has lasted.
    put(world.spare, DOWN, now=NOW - HOUR, until=NOW + 30 * day)
    assert history_bars([world.spare.id], NOW)[world.spare.id].days.strip("0") in {"3", "33"}
    assert 1 - uptimes([world.spare], NOW)[world.spare.id] < 2 * HOUR / (89 * day)
    assert history_bars([world.spare.id], NOW + 3 * day)[world.spare.id].days.endswith("333")


def test_an_overlap_with_an_incident_counts_once(world: World) -> None:
    put(world.trunk, DOWN, now=NOW - 10 * HOUR)
    before = uptimes([world.trunk], NOW)[world.trunk.id]
    publish({world.trunk.id: Severity.MAJOR_OUTAGE}, now=NOW - 5 * HOUR)
    assert uptimes([world.trunk], NOW)[world.trunk.id] == before


# What depends on it


def test_services_that_depend_on_it_follow_and_name_the_component(world: World, cast: Cast) -> None:
    put(world.trunk, PART)
    (line,) = service_lines(cast.a.id, NOW)
    assert (line.status, line.reason, line.since) == (ServiceStatus.INTERMITTENT, "Trunk", NOW)
    assert (line.cause, line.incident) == (CauseKind.COMPONENT, None)
    assert [each.status for each in service_lines(cast.b.id, NOW)] == [ServiceStatus.NORMAL]
    assert hit_now([world.holding_a.id, world.holding_b.id], NOW) == {world.holding_a.id}
    # Where Status is closed nothing of it shows through.
    assert [each.status for each in service_lines(cast.a.id, NOW, shows_incidents=False)] == [None]


def test_an_incident_is_named_before_what_is_set_by_hand(world: World, cast: Cast) -> None:
    put(world.trunk, PART)
    incident = publish({world.trunk.id: Severity.PARTIAL_RTH}, now=NOW + HOUR)
    (line,) = company_picture(cast.a.id, NOW + HOUR).lines
    assert (line.cause, line.incident) == (CauseKind.INCIDENT, incident.public_id)


def test_a_question_is_answered_with_it(world: World, cast: Cast) -> None:
    put(world.trunk, DOWN, note="SECRET")
    said = answer("Is hosted telephony down?", cast.a.id, NOW, areas={Area.STATUS})
    assert said is not None
    words = in_words(said)
    assert "Hosted telephony" in words
    assert "Trunk" in words
    assert "SECRET" not in words


def test_holdings_services_and_ledgers_count_it(world: World, cast: Cast) -> None:
    viewpoint = Viewpoint(company_id=cast.a.id)
    whole = holding_uptimes([world.holding_a.id], viewpoint, NOW)[world.holding_a.id].share
    put(world.trunk, DOWN, now=NOW - 5 * HOUR)
    assert holding_uptimes([world.holding_a.id], viewpoint, NOW)[world.holding_a.id].share < whole == 1
    closed = holding_uptimes([world.holding_a.id], viewpoint, NOW, counts_incidents=False)
    assert closed[world.holding_a.id].share == 1
    assert service_histories([world.telephony.id], SIGNED_OUT, NOW)[world.telephony.id].days.endswith("3")
    month = company_month(cast.a.id, Month(NOW.year, NOW.month), NOW)
    assert month is not None
    causes = {cause for line in month.lines for cause in line.causes}
    assert [each.source for each in causes] == [Source.COMPONENT]
    (named,) = names_of(causes, viewpoint, NOW).values()
    assert (named.title, named.from_at, named.to_at, named.component_id) == (
        "Trunk",
        NOW - 5 * HOUR,
        None,
        world.trunk.id,
    )


def test_the_queries_stay_as_many_whatever_is_set(world: World, cast: Cast) -> None:
    ids = [each.id for each in (world.trunk, world.fibre, world.exchange, world.spare)]
    company_id, holding_id = cast.a.id, world.holding_a.id
    viewpoint = Viewpoint(company_id=company_id)

    def counts() -> list[int]:
        found = []
        for read in (
            lambda: statuses_of(ids, SIGNED_OUT, NOW),
            lambda: overall(SIGNED_OUT, NOW),
            lambda: history_bars(ids, NOW),
            lambda: company_picture(company_id, NOW),
            lambda: holding_uptimes([holding_id], viewpoint, NOW),
            lambda: base_of(ids[0], NOW),
            lambda: overlays_on(ids[0], NOW),
        ):
            with counted_queries() as made:
                read()
            found.append(len(made))
        return found

    before = counts()
    assert before[0] == 2
    for component in (world.trunk, world.fibre, world.exchange, world.spare):
        put(component, DOWN)
    assert counts() == before
    assert open_now(SIGNED_OUT, NOW) == [] == list(open_work(SIGNED_OUT, NOW))


def test_open_pages_are_rung_and_nobody_is_mailed(world: World, cast: Cast) -> None:
    topics = [events.STAFF, events.service_topic(world.telephony.id), events.public_topic(cast.domain_a.id)]
    before = events.versions_of(topics)
    put(world.trunk, DOWN, until=NOW + HOUR)
    first = events.versions_of(topics)
    assert all(first.get(each, 0) > before.get(each, 0) for each in topics)
    run_the_clock(NOW + HOUR)
    second = events.versions_of(topics)
    assert all(second[each] > first[each] for each in topics)
    assert not db.session.scalars(select(Broadcast)).all()
    assert not is_anything_due(NOW + 100 * HOUR)


# Asking after what is forgotten


def test_who_set_it_is_asked_once_at_each_step_and_then_no_more(world: World, cast: Cast) -> None:
    put(world.trunk, PART, by=Actor(cast.ada.name, cast.ada.id))
    version = base_version(world.trunk.id)
    assert not is_anything_due(NOW + 3 * HOUR - timedelta(seconds=1))
    for number, hours in enumerate((3, 6, 12, 24), 1):
        assert is_anything_due(NOW + hours * HOUR)
        run_the_clock(NOW + hours * HOUR)
        run_the_clock(NOW + hours * HOUR)
        assert len(asked()) == number
    assert not is_anything_due(NOW + 500 * HOUR)
    last = asked()[-1]
    assert "24 hours ago" in last.content["en"]["text"]
    assert set(db.session.scalars(select(Delivery.address).where(Delivery.broadcast_id == last.id))) == {cast.ada.email}
    assert base_version(world.trunk.id) == version


def test_of_steps_that_were_missed_the_last_one_counts(world: World) -> None:
    put(world.trunk, PART)
    run_the_clock(NOW + 13 * HOUR)
    assert ["12 hours ago" in each.content["en"]["text"] for each in asked()] == [True]
    assert rows()[0].due_at == NOW + 24 * HOUR


def test_nobody_is_asked_while_an_incident_holds_the_component(world: World) -> None:
    put(world.trunk, PART)
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, visibility=Visibility.PRIVATE)
    run_the_clock(NOW + 3 * HOUR)
    assert not asked()
    update(incident, State.FIXED, now=NOW + 4 * HOUR)
    run_the_clock(NOW + 6 * HOUR)
    assert len(asked()) == 1


def test_nobody_is_asked_of_what_was_set_back_or_has_ended(world: World) -> None:
    put(world.trunk, PART)
    put(world.fibre, PART, until=NOW + 2 * HOUR)
    put(world.trunk, WELL, now=NOW + HOUR)
    run_the_clock(NOW + 30 * HOUR)
    assert not asked()
    assert [each.due_at for each in rows()] == [None, None]
    assert db.session.scalars(select(Incident)).first() is None


def test_a_later_severity_is_asked_about_anew(world: World) -> None:
    put(world.trunk, PART)
    run_the_clock(NOW + 3 * HOUR)
    put(world.trunk, DOWN, now=NOW + 4 * HOUR)
    run_the_clock(NOW + 6 * HOUR)
    assert len(asked()) == 1
    run_the_clock(NOW + 7 * HOUR)
    assert len(asked()) == 2


def test_what_goes_out_of_use_is_ended(world: World) -> None:
    put(world.spare, DOWN)
    actions.end_base_status(world.spare, by=SYSTEM, now=NOW + HOUR)
    events.commit()
    assert [each.to_at for each in rows()] == [NOW + HOUR]
    actions.end_base_status(world.spare, by=SYSTEM, now=NOW + 2 * HOUR)
    assert [each.to_at for each in rows()] == [NOW + HOUR]


def test_a_day_of_the_bar_is_the_day_it_was(world: World) -> None:
    put(world.trunk, PART, now=NOW - 3 * timedelta(days=1), until=NOW - 3 * timedelta(days=1) + timedelta(minutes=5))
    bar = history_bars([world.trunk.id], NOW)[world.trunk.id]
    day = (NOW - 3 * timedelta(days=1)).date()
    assert isinstance(bar.first_day, date)
    assert bar.days[(day - bar.first_day).days] == "2"
