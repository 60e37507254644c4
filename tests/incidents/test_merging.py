"""Merging a report into another: what goes on, what ends, and that nobody is told or counted twice."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy import update as sql_update

from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.audit.models import AuditEntry
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents import actions, queries
from portal.incidents.actions import monitors
from portal.incidents.actions.drafts import publish_draft
from portal.incidents.actions.following import note_seen
from portal.incidents.models import (
    Incident,
    IncidentComponent,
    IncidentDraft,
    IncidentFollower,
    IncidentSighting,
    IncidentUpdate,
    MonitorCondition,
)
from portal.incidents.queries.conditions import visible_to
from portal.incidents.queries.following import followers_of
from portal.incidents.queries.merging import could_take, led_to, merged_into, touched_by
from portal.incidents.queries.postmortems import postmortem_for_staff
from portal.incidents.rules import Audience, Interval, Severity, State, Visibility
from portal.incidents.rules.merging import joined, narrows, until
from portal.incidents.rules.monitors import Shape, Signal
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from tests.incidents.test_actions import ADA, publish, stretches, update

MAJOR, SLOW, NONE = Severity.MAJOR_OUTAGE, Severity.PERFORMANCE_ISSUE, Severity.NONE
LATER, LATEST = NOW + timedelta(minutes=10), NOW + timedelta(minutes=20)


def merge(duplicate: Incident, into: Incident, **changes: Any) -> None:
    given: dict[str, Any] = {
        "notify": False,
        "version": duplicate.version,
        "by": ADA,
        "author_id": None,
        "now": LATER,
    } | changes
    actions.merge(duplicate, into, given.pop("body", "The same trouble: we write here."), **given)
    db.session.flush()


def two(world: World, **changes: Any) -> tuple[Incident, Incident]:
    """A report of fibre, and one of the trunk that began later."""
    duplicate = publish({world.fibre.id: MAJOR}, title="Internet is down", idempotency_key="dup", **changes)
    into = publish({world.trunk.id: SLOW}, title="Exchange burns", idempotency_key="into", now=NOW)
    return duplicate, into


def standing(incident: Incident) -> dict[int, Severity]:
    rows = db.session.execute(
        select(IncidentComponent.component_id, IncidentComponent.severity).where(
            IncidentComponent.incident_id == incident.id
        )
    )
    return dict(rows.all())


def seen(viewpoint: Viewpoint) -> set[int]:
    return set(db.session.scalars(select(Incident.id).where(visible_to(Incident, viewpoint, LATEST))))


@pytest.mark.parametrize(
    ("visibility", "audience", "into_visibility", "into_audience", "is_fine"),
    [
        ("public", "everyone", "public", "everyone", True),
        ("public", "affected", "public", "everyone", True),
        ("private", "everyone", "public", "affected", True),
        ("private", "everyone", "private", "everyone", True),
        ("public", "everyone", "private", "everyone", False),
        ("public", "everyone", "public", "affected", False),
    ],
)
def test_nobody_loses_sight_of_it(
    visibility: str, audience: str, into_visibility: str, into_audience: str, is_fine: bool
) -> None:
    found = narrows(Visibility(visibility), Audience(audience), Visibility(into_visibility), Audience(into_audience))
    assert (found is None) is is_fine


def test_the_worse_of_both_stands() -> None:
    assert joined({1: SLOW, 2: MAJOR, 3: SLOW}, {1: MAJOR, 2: SLOW, 4: SLOW, 5: NONE}) == {1: MAJOR, 4: SLOW, 5: NONE}


def test_what_a_merged_report_held_ends_then() -> None:
    open_one, late = Interval(MAJOR, NOW, None), Interval(SLOW, LATEST, None)
    assert until({1: [open_one], 2: [late]}, LATER) == {1: [Interval(MAJOR, NOW, LATER)], 2: []}


def test_components_and_severities_join(world: World) -> None:
    duplicate, into = two(world)
    merge(duplicate, into)
    assert standing(into) == {world.trunk.id: SLOW, world.fibre.id: MAJOR}
    assert standing(duplicate) == {world.fibre.id: NONE}
    assert (duplicate.state, duplicate.resolved_at, duplicate.nag_at) == (State.FIXED, LATER, None)
    assert (duplicate.merged_into_id, duplicate.merged_at, into.state) == (into.id, LATER, State.INVESTIGATING)


def test_no_stretch_counts_twice(world: World) -> None:
    duplicate, into = two(world)
    merge(duplicate, into)
    assert stretches(duplicate) == [(world.fibre.id, MAJOR, NOW, LATER)]
    assert (world.fibre.id, MAJOR, LATER, None) in stretches(into)
    update(into, State.FIXED, now=LATEST)
    bars = queries.history_bars([world.fibre.id], LATEST)
    assert bars[world.fibre.id].days[-1] == str(MAJOR.rank)
    up = queries.uptimes([world.fibre], LATEST)[world.fibre.id]
    alone = publish({world.spare.id: MAJOR}, idempotency_key="alone")
    update(alone, State.FIXED, now=LATEST)
    assert up == queries.uptimes([world.spare], LATEST)[world.spare.id]


def test_for_everybody_but_staff_there_is_one_report_then(world: World, cast: Cast) -> None:
    duplicate, into = two(world)
    for viewpoint in (SIGNED_OUT, Viewpoint(company_id=cast.a.id)):
        assert led_to(viewpoint, duplicate.public_id, LATER) is None
    merge(duplicate, into)
    assert seen(STAFF) == {duplicate.id, into.id}
    for viewpoint in (SIGNED_OUT, Viewpoint(company_id=cast.a.id)):
        assert seen(viewpoint) == {into.id}
        assert led_to(viewpoint, duplicate.public_id, LATEST) == into.public_id
        assert led_to(viewpoint, into.public_id, LATEST) is None
    found = merged_into(into.id, SIGNED_OUT, LATEST)
    assert [(each.title, len(each.updates)) for each in found] == [("Internet is down", 1)]


def test_what_somebody_could_not_see_stays_unseen(world: World, cast: Cast) -> None:
    """The words of a report for the affected, or for staff, do not come to light on the page of the other."""
    duplicate, into = two(world, audience=Audience.AFFECTED)
    update(duplicate, None, visibility=Visibility.PRIVATE, body="The supplier is bankrupt.")
    hidden = publish({world.spare.id: MAJOR}, visibility=Visibility.PRIVATE, idempotency_key="hidden", title="Canary")
    merge(duplicate, into)
    merge(hidden, into, now=LATEST)
    at = LATEST + timedelta(minutes=1)
    assert merged_into(into.id, SIGNED_OUT, at) == []
    assert merged_into(into.id, Viewpoint(company_id=cast.a.id), at) == []
    (theirs,) = merged_into(into.id, Viewpoint(company_id=cast.b.id), at)
    assert [each.body for each in theirs.updates] == ["We are looking into it."]
    assert len(merged_into(into.id, STAFF, at)) == 2
    assert led_to(SIGNED_OUT, duplicate.public_id, at) is None
    assert led_to(SIGNED_OUT, hidden.public_id, at) is None
    assert led_to(Viewpoint(company_id=cast.b.id), duplicate.public_id, at) == into.public_id


def test_waiting_mails_are_called_off_and_nothing_is_told_again(world: World) -> None:
    duplicate, into = two(world)
    before = db.session.scalar(select(func.count()).select_from(Delivery))
    merge(duplicate, into)
    update_id = db.session.scalar(select(IncidentUpdate.id).where(IncidentUpdate.incident_id == duplicate.id))
    told = db.session.scalars(
        select(Broadcast).where(Broadcast.idempotency_key == queries.notify_key(update_id or 0))
    ).one()
    assert told.state is BroadcastState.CANCELLED
    states = set(db.session.scalars(select(Delivery.state).where(Delivery.broadcast_id == told.id)))
    assert states <= {DeliveryState.CANCELLED, DeliveryState.SUPPRESSED}
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == before


def test_followers_and_who_has_seen_it_move(world: World, cast: Cast) -> None:
    duplicate, into = two(world)
    for person in (cast.alice, cast.bob):
        actions.follow(duplicate, person.id, cast.a.id, True, by=ADA, now=NOW)
    actions.follow(into, cast.alice.id, cast.a.id, False, by=ADA, now=NOW)
    actions.acknowledge(duplicate, cast.a.id, cast.alice.id, by=ADA, now=NOW)
    both = [queries.incident_for_staff(each.id) for each in (duplicate, into)]
    assert both[0] is not None
    assert both[1] is not None
    touched = touched_by(both[0], both[1], NOW)
    assert (touched.followers, touched.updates, touched.companies, touched.refusal) == (2, 1, 1, None)
    assert touched.components == [("Fibre", MAJOR)]
    assert touched.mails_waiting > 0
    merge(duplicate, into)
    assert followers_of(into.id) == [cast.bob.id]
    left = select(func.count()).select_from(IncidentFollower).where(IncidentFollower.incident_id == duplicate.id)
    assert db.session.scalar(left) == 0


def test_again_it_changes_nothing_and_two_at_once_do_not_both(world: World) -> None:
    duplicate, into = two(world)
    version = duplicate.version
    merge(duplicate, into)
    after = into.version
    merge(duplicate, into, version=version)
    assert into.version == after
    other = publish({world.spare.id: MAJOR}, idempotency_key="other")
    with pytest.raises(StaleEdit):
        merge(other, into, version=other.version - 1)
    with pytest.raises(RuleViolation, match="merged into another"):
        update(duplicate, None)


def hangs_on(row: Any, incident: Incident) -> int:
    return db.session.scalar(select(func.count()).select_from(row).where(row.incident_id == incident.id)) or 0


def signal(title: str, *, is_over: bool = False) -> Signal:
    """What a monitor says of the component with this title."""
    return Signal(title.ljust(32, "x"), is_over, title, "", frozenset({title.lower()}))


def test_every_key_to_a_report_goes_with_it_or_is_its_own_past(world: World) -> None:
    """Whoever gives a table a key to a report says here what becomes of it when the report is merged."""
    keys = {
        table.name
        for table in db.metadata.tables.values()
        for each in table.foreign_keys
        if each.target_fullname == "incident.id"
    }
    stays = {"incident_update", "incident_component", "impact_interval", "incident_revision"}
    moves = {"incident_follower", "incident_sighting", "incident_acknowledgement", "postmortem"}
    moves |= {"monitor_condition", "incident_draft", "service_update"}
    assert keys == stays | moves


def test_what_monitors_say_of_it_is_about_the_other(world: World, cast: Cast) -> None:
    """One that was found to be about it, and one that opened the draft it was published from: both are asked about."""
    duplicate, into = two(world)
    monitor, _key = monitors.add_monitor("Watch", Shape.ALERTMANAGER, MAJOR, [], by=ADA, now=NOW)
    monitors.hear(monitor.id, [signal("Fibre")], now=NOW)
    monitors.hear(monitor.id, [signal("Spare")], now=NOW)
    (draft,) = db.session.scalars(select(IncidentDraft)).all()
    opened = publish_draft(draft, by=ADA, author_id=None, now=NOW)
    assert [hangs_on(MonitorCondition, duplicate), hangs_on(IncidentDraft, opened)] == [1, 1]
    merge(duplicate, into)
    merge(opened, into, now=LATEST)
    assert [hangs_on(MonitorCondition, into), hangs_on(IncidentDraft, into)] == [1, 1]
    db.session.expire_all()
    over = [signal("Fibre", is_over=True), signal("Spare", is_over=True)]
    monitors.hear(monitor.id, over, now=LATEST + timedelta(minutes=1))
    said = select(IncidentUpdate).where(IncidentUpdate.visibility == Visibility.PRIVATE)
    (question,) = db.session.scalars(said).all()
    assert (question.incident_id, "Watch says that it is over" in question.body) == (into.id, True)
    assert publish_draft(draft, by=ADA, author_id=None, now=LATEST) is into, "the draft leads to what goes on"


def test_a_signal_that_was_placed_while_it_was_merged_is_about_the_other(world: World) -> None:
    duplicate, into = two(world)
    monitor, _key = monitors.add_monitor("Watch", Shape.ALERTMANAGER, MAJOR, [], by=ADA, now=NOW)
    monitors.hear(monitor.id, [signal("Fibre")], now=NOW)
    merge(duplicate, into)
    db.session.execute(sql_update(MonitorCondition).values(incident_id=duplicate.id))
    db.session.expire_all()
    monitors.hear(monitor.id, [signal("Fibre", is_over=True)], now=LATEST)
    said = select(IncidentUpdate.incident_id).where(IncidentUpdate.visibility == Visibility.PRIVATE)
    assert list(db.session.scalars(said)) == [into.id]


def test_who_has_seen_it_for_one_company_has_seen_the_other_for_that_one(world: World, cast: Cast) -> None:
    duplicate, into = two(world)
    note_seen([into.id], cast.alice.id, cast.a.id, NOW)
    note_seen([duplicate.id], cast.alice.id, cast.a.id, NOW)
    note_seen([duplicate.id], cast.alice.id, cast.b.id, NOW)
    merge(duplicate, into)
    seen_for = select(IncidentSighting.incident_id, IncidentSighting.company_id).order_by(IncidentSighting.company_id)
    assert [tuple(each) for each in db.session.execute(seen_for)] == [(into.id, cast.a.id), (into.id, cast.b.id)]


@pytest.mark.parametrize(
    ("own", "others", "kept"), [(60, None, 60), (None, 40, 40), (60, 40, 40), (30, 50, 30), (5, None, None)]
)
def test_the_earlier_promise_is_kept(world: World, own: int | None, others: int | None, kept: int | None) -> None:
    """Minutes from the first report; it is merged after ten."""
    promise = [timedelta(minutes=each) if each else None for each in (own, others)]
    duplicate = publish({world.fibre.id: MAJOR}, idempotency_key="dup", next_update=promise[0])
    into = publish({world.trunk.id: SLOW}, idempotency_key="into", next_update=promise[1])
    merge(duplicate, into)
    due_at = NOW + timedelta(minutes=kept) if kept else None
    assert (into.next_update_due_at, duplicate.next_update_due_at, duplicate.nag_at) == (due_at, None, None)
    assert into.nag_at is not None


def test_where_the_other_is_fixed_no_promise_stands(world: World) -> None:
    duplicate = publish({world.fibre.id: MAJOR}, idempotency_key="dup", next_update=timedelta(hours=1))
    into = publish({world.trunk.id: SLOW}, idempotency_key="into")
    update(duplicate, State.FIXED)
    update(into, State.FIXED)
    merge(duplicate, into, now=LATEST)
    assert (into.state, into.next_update_due_at, into.nag_at) == (State.FIXED, None, None)


def test_a_draft_of_a_postmortem_becomes_that_of_the_other_unless_it_has_one(world: World) -> None:
    duplicate, into = two(world)
    written = actions.write_postmortem(duplicate, "A fuse blew.", version=0, by=ADA, author_id=None, now=NOW)
    theirs = actions.write_postmortem(into, "A digger.", version=0, by=ADA, author_id=None, now=NOW)
    with pytest.raises(RuleViolation, match="Both have a postmortem"):
        merge(duplicate, into)
    actions.discard_postmortem(theirs, version=theirs.version, by=ADA, now=NOW)
    merge(duplicate, into)
    assert written.incident_id == into.id
    update(into, State.FIXED, now=LATEST)
    actions.publish_postmortem(into, written, notify=False, version=written.version, by=ADA, now=LATEST)
    assert written.published_at == LATEST


def test_what_moves_is_said_before(world: World, cast: Cast) -> None:
    duplicate, into = two(world)
    actions.acknowledge(duplicate, cast.a.id, cast.alice.id, by=ADA, now=NOW)
    note_seen([duplicate.id], cast.bob.id, cast.a.id, NOW)
    actions.write_postmortem(duplicate, "A fuse blew.", version=0, by=ADA, author_id=None, now=NOW)
    duplicate.next_update_due_at = LATEST
    db.session.flush()
    both = [queries.incident_for_staff(each.id) for each in (duplicate, into)]
    assert both[0] is not None
    assert both[1] is not None
    with counted_queries() as statements:
        touched = touched_by(both[0], both[1], NOW)
    assert len(statements) <= 16
    assert touched.moved == [
        (2, "people who have seen it count for the other."),
        (1, "company that says it knows of it says so of the other."),
        (1, "draft of a postmortem becomes that of the other."),
    ]
    assert touched.promised == LATEST
    merge(duplicate, into)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "incident.merge")).one()
    assert entry.after is not None
    assert entry.after["moved"] == {"incident_sighting": 2, "incident_acknowledgement": 1, "postmortem": 1}


@pytest.mark.parametrize("case", ["itself", "fixed", "private", "merged", "merged already", "postmortem"])
def test_what_cannot_be_merged_says_why(world: World, case: str) -> None:
    duplicate, into = two(world)
    third = publish({world.spare.id: MAJOR}, idempotency_key="third")
    if case == "itself":
        into = duplicate
    elif case == "fixed":
        update(into, State.FIXED)
    elif case == "private":
        into = publish({}, visibility=Visibility.PRIVATE, idempotency_key="private")
    elif case == "merged":
        merge(into, third)
    elif case == "merged already":
        merge(duplicate, third)
    else:
        update(duplicate, State.FIXED)
        written = actions.write_postmortem(duplicate, "Why", version=0, by=ADA, author_id=None, now=LATER)
        actions.publish_postmortem(duplicate, written, notify=False, version=written.version, by=ADA, now=LATER)
    with pytest.raises(RuleViolation):
        merge(duplicate, into)


def test_a_merged_report_gets_no_postmortem_of_its_own(world: World) -> None:
    duplicate, into = two(world)
    written = actions.write_postmortem(duplicate, "Why", version=0, by=ADA, author_id=None, now=NOW)
    merge(duplicate, into)
    mailed = db.session.scalar(select(func.count(Broadcast.id)))
    with pytest.raises(RuleViolation, match="merged into another"):
        actions.publish_postmortem(duplicate, written, notify=True, version=written.version, by=ADA, now=LATEST)
    assert (written.published_at, db.session.scalar(select(func.count(Broadcast.id)))) == (None, mailed)
    assert postmortem_for_staff(duplicate.id) is None


def test_what_was_merged_into_a_merged_one_goes_on_with_the_last(world: World) -> None:
    duplicate, into = two(world)
    last = publish({world.spare.id: SLOW}, idempotency_key="last")
    merge(duplicate, into)
    merge(into, last, now=LATEST)
    assert {each.id for each in merged_into(last.id, STAFF, LATEST)} == {duplicate.id, into.id}
    assert led_to(SIGNED_OUT, duplicate.public_id, LATEST) == last.public_id
    assert [each.id for each in could_take(last)] == []
    assert standing(last) == {world.spare.id: SLOW, world.trunk.id: SLOW, world.fibre.id: MAJOR}
