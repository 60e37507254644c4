"""What was for everyone becomes for the affected: what still waits for others is called off."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.actions import announcing
from portal.incidents.actions import maintenance as acts
from portal.incidents.actions.series import SeriesPlan, edit_series, plan_series
from portal.incidents.mails import following as followed
from portal.incidents.mails import maintenance as mails
from portal.incidents.models import Incident, Maintenance, MaintenanceUpdate
from portal.incidents.rules import Audience, State, Visibility
from portal.incidents.rules.maintenance import Notice
from portal.incidents.rules.telling import AFFECTED, OTHERS, PRIORITY, narrowed
from portal.notifications import actions as notifications
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.kinds import register
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import CALLED_OFF, BroadcastState, DeliveryState
from portal.notifications.subscribers import actions as subscribers
from portal.notifications.subscribers.hearing import PRIORITY as SUBSCRIBERS
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents import test_maintenance as planned
from tests.incidents.conftest import World
from tests.incidents.test_actions import ADA, LATER, MAJOR, publish
from tests.incidents.test_actions import update as post

WAITS, OFF, SENT = DeliveryState.PENDING, DeliveryState.CANCELLED, DeliveryState.SENT
READER = "rita@reader.test"


@pytest.fixture(autouse=True)
def kinds() -> None:
    register(mails.MAINTENANCE)
    register(followed.FOLLOWED)


@pytest.fixture
def reader(cast: Cast) -> str:
    """Somebody without a login who hears of incidents and of maintenance on Portal A."""
    cast.domain_a.areas = [*cast.domain_a.areas, Area.PUBLIC_STATUS]
    db.session.flush()
    topics = ["incidents", "maintenance"]
    found = subscribers.sign_up(cast.domain_a.id, READER, topics, language="en", by=SYSTEM, now=NOW)
    subscribers.confirm(found, by=SYSTEM, now=NOW)
    return READER


def told() -> dict[str, set[DeliveryState]]:
    """What became of what is told of incidents and maintenance, by address."""
    rows = db.session.execute(
        select(Delivery.address, Delivery.state)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Broadcast.kind.in_(("incident", "incident_followed", "maintenance")))
    )
    found: dict[str, set[DeliveryState]] = {}
    for address, state in rows:
        found.setdefault(address, set()).add(state)
    return found


def narrow(incident: Incident, **changes: Any) -> int:
    given: dict[str, Any] = {
        "title": incident.title,
        "visibility": incident.visibility,
        "audience": Audience.AFFECTED,
        "impact_override": incident.impact_override,
        "version": incident.version,
        "by": ADA,
        "now": LATER,
    } | changes
    return actions.edit(incident, **given)


def test_the_rings_are_told_apart_by_their_priority() -> None:
    """The affected, the others, those without a login: a lower ring never comes before a higher one."""
    assert PRIORITY[AFFECTED] < PRIORITY[OTHERS] < SUBSCRIBERS


@pytest.mark.parametrize(
    ("company_ids", "is_for_all", "last"), [([1], False, AFFECTED), (None, False, AFFECTED), ([], True, OTHERS)]
)
def test_a_selector_for_fewer_is_what_it_would_have_been(company_ids: Any, is_for_all: bool, last: str) -> None:
    selector = {"company_ids": company_ids, "everyone": True, "public": True, "followers": [4], "followed_by_all": True}
    found, ring = narrowed(selector)
    assert found == {"company_ids": company_ids, "everyone": is_for_all, "public": False, "followers": [4]}
    assert ring == PRIORITY[last]
    assert selector["public"], "what was frozen is not written over"


def test_what_waits_for_others_is_called_off_and_the_affected_are_told(world: World, cast: Cast, reader: str) -> None:
    incident = publish({world.trunk.id: MAJOR})
    post(incident, State.IDENTIFIED)
    assert told()[cast.charlie.email] == told()[reader] == {WAITS}
    assert narrow(incident) == 4
    assert told() == {
        cast.alice.email: {WAITS},
        cast.bob.email: {WAITS},
        cast.charlie.email: {OFF},
        reader: {OFF},
    }
    answers = set(db.session.scalars(select(Delivery.answer).where(Delivery.state == OFF)))
    assert answers == {CALLED_OFF}
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "incident.edit")).one()
    assert entry.after == {"audience": "affected", "called_off": 4}
    notes = db.session.scalars(select(AuditEntry.after).where(AuditEntry.action == "broadcast.narrow")).all()
    assert notes == [{"mails": 2}, {"mails": 2}]


def test_what_was_sent_stays_sent(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    db.session.execute(
        update(Delivery).where(Delivery.address == cast.charlie.email).values(state=SENT, finished_at=NOW)
    )
    assert narrow(incident) == 0
    assert told()[cast.charlie.email] == {SENT}
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "incident.edit")).one()
    assert entry.after == {"audience": "affected"}


def test_the_next_update_is_for_the_affected_too(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    narrow(incident)
    post(incident, State.IDENTIFIED)
    assert told() == {cast.alice.email: {WAITS}, cast.bob.email: {WAITS}, cast.charlie.email: {OFF}}


def test_what_reaches_nobody_concerns_all_who_have_a_login(world: World, cast: Cast, reader: str) -> None:
    incident = publish({world.spare.id: MAJOR})
    assert narrow(incident) == 1
    assert told() == {
        cast.alice.email: {WAITS},
        cast.bob.email: {WAITS},
        cast.charlie.email: {WAITS},
        reader: {OFF},
    }


def test_who_was_not_written_down_yet_is_not(
    world: World, cast: Cast, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor whom a worker has worked out already, and writes down a moment after."""
    monkeypatch.setattr("portal.notifications.actions.queueing.WRITTEN_AT_ONCE", 0)
    monkeypatch.setattr("portal.notifications.actions.queueing.WRITTEN_PER_STEP", 10)
    incident = publish({world.trunk.id: MAJOR})
    assert told() == {}
    broadcast = db.session.scalars(select(Broadcast).where(Broadcast.kind == "incident")).one()
    step = notifications.next_step(broadcast.id, NOW)
    assert step is not None
    assert {each["address"] for each in step.rows} >= {cast.alice.email, cast.charlie.email}
    assert narrow(incident) == 0
    assert notifications.write_step(step, NOW)
    assert told() == {}
    while notifications.expand_step(broadcast.id, NOW):
        pass
    assert told() == {cast.alice.email: {WAITS}, cast.bob.email: {WAITS}}
    assert broadcast.state is BroadcastState.SENDING


def test_followers_of_whom_nothing_is_hit_are_not_told(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR}, notify=False)
    for person, company in ((cast.alice, cast.a), (cast.charlie, cast.b)):
        actions.follow(incident, person.id, company.id, True, by=SYSTEM, now=NOW)
    post(incident, State.IDENTIFIED, mail_affected_only=True)
    assert told()[cast.charlie.email] == {WAITS}
    assert narrow(incident) == 1
    assert (told()[cast.alice.email], told()[cast.charlie.email]) == ({WAITS}, {OFF})


def test_the_postmortem_goes_to_no_others_either(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR}, notify=False)
    post(incident, State.FIXED, notify=False)
    written = actions.write_postmortem(incident, "A fuse blew.", version=0, by=ADA, author_id=None, now=LATER)
    actions.publish_postmortem(incident, written, notify=True, version=written.version, by=ADA, now=LATER)
    assert narrow(incident) == 1
    assert told() == {cast.alice.email: {WAITS}, cast.bob.email: {WAITS}, cast.charlie.email: {OFF}}


def test_a_channel_of_others_is_not_told(world: World, cast: Cast) -> None:
    for company, name in ((cast.a, "theirs"), (cast.b, "others")):
        add_channel(
            ChannelKind.WEBHOOK,
            name,
            "https://hooks.example.com/in",
            ["incidents"],
            company_id=company.id,
            by=SYSTEM,
            now=NOW,
        )
    incident = publish({world.trunk.id: MAJOR})
    assert narrow(incident) == 2
    rows = db.session.execute(select(Delivery.name, Delivery.state).where(Delivery.channel == "webhook"))
    assert dict(rows.all()) == {"theirs": WAITS, "others": OFF}


def test_what_failed_for_others_is_not_tried_again(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    db.session.execute(update(Delivery).values(state=DeliveryState.FAILED, finished_at=NOW))
    broadcast = db.session.scalars(select(Broadcast)).one()
    broadcast.state, broadcast.finished_at = BroadcastState.DONE, NOW
    db.session.flush()
    assert narrow(incident) == 0
    assert notifications.retry_failed(broadcast, by=SYSTEM, now=LATER) == 2
    assert told()[cast.charlie.email] == {DeliveryState.FAILED}


def test_widening_calls_nothing_off_and_mails_nobody(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR}, audience=Audience.AFFECTED)
    before = told()
    assert narrow(incident, audience=Audience.EVERYONE) == 0
    assert told() == before == {cast.alice.email: {WAITS}, cast.bob.email: {WAITS}}
    assert narrow(incident) == 0
    assert told() == before


def test_private_and_for_fewer_at_once_calls_everything_off(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR})
    assert narrow(incident, visibility=Visibility.PRIVATE) == 3
    assert {state for states in told().values() for state in states} == {OFF}


def test_what_nobody_saw_has_nothing_to_call_off(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR}, visibility=Visibility.PRIVATE)
    assert narrow(incident) == 0


def test_it_costs_as_many_queries_for_many_mails_as_for_few(world: World, cast: Cast) -> None:
    def asked(key: str, mails: int) -> int:
        incident = publish({world.trunk.id: MAJOR}, idempotency_key=key)
        broadcast = db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc())).first()
        assert broadcast is not None
        row = db.session.scalars(
            select(Delivery).where(Delivery.broadcast_id == broadcast.id, Delivery.address == cast.charlie.email)
        ).one()
        mine = ("broadcast_id", "address", "address_key", "person_id", "company_ids", "priority", "next_attempt_at")
        same = {name: getattr(row, name) for name in (*mine, "created_at")}
        db.session.add_all(
            Delivery(**same, dedupe_key=f"{key}{each}", message_id=f"{key}{each}") for each in range(mails)
        )
        db.session.commit()
        with counted_queries() as statements:
            assert narrow(incident) == mails + 1
        return len(statements)

    assert asked("few", 1) == asked("many", 60)


# Planned work


def edit_work(found: Maintenance, world: World, **changes: Any) -> int:
    given: dict[str, Any] = {
        "title": found.title,
        "body": "We replace a card.",
        "component_ids": {world.trunk.id},
        "impact": found.impact,
        "visibility": found.visibility,
        "audience": found.audience,
        "notify": found.notify,
        "reminders": [timedelta(minutes=each) for each in found.reminders],
        "starts_itself": found.starts_itself,
        "ends_itself": found.ends_itself,
        "owner_id": found.owner_id,
        "version": found.version,
        "by": ADA,
        "now": LATER,
    } | changes
    return acts.edit(found, **given)


def test_planned_work_does_the_same_for_all_it_has_told(world: World, cast: Cast, reader: str) -> None:
    found = planned.plan(cast, {world.trunk.id})
    planned.do(acts.add_note, cast, found, NOW, "Bring a torch.")
    assert told()[cast.charlie.email] == told()[reader] == {WAITS}
    assert edit_work(found, world, audience=Audience.AFFECTED) == 4
    assert told() == {
        cast.alice.email: {WAITS},
        cast.bob.email: {WAITS},
        cast.charlie.email: {OFF},
        reader: {OFF},
    }
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "maintenance.edit")).one()
    assert entry.after == {"audience": "affected", "called_off": 4}
    assert edit_work(found, world, audience=Audience.EVERYONE) == 0
    assert told()[cast.charlie.email] == {OFF}


def series(world: World, **changes: Any) -> SeriesPlan:
    given: dict[str, Any] = {
        "title": "Patches",
        "body": "We patch.",
        "component_ids": frozenset({world.trunk.id}),
        "rule": "FREQ=DAILY",
        "starts_on": datetime.fromisoformat("2026-11-25T02:00"),
        "duration": timedelta(hours=1),
        "zone": "Europe/Berlin",
    } | changes
    return SeriesPlan(**given)


@pytest.mark.parametrize(
    ("changes", "called_off", "is_left"),
    [({"audience": Audience.AFFECTED}, 1, True), ({"visibility": Visibility.PRIVATE}, 3, False)],
)
def test_a_series_does_the_same_for_its_occurrences(
    world: World, cast: Cast, changes: dict[str, Any], called_off: int, is_left: bool
) -> None:
    made = plan_series(series(world), by=ADA, author_id=None, now=NOW, idempotency_key="series")
    assert told()[cast.charlie.email] == {WAITS}
    plan = series(world, **changes)
    found = edit_series(made, plan, notify=False, version=made.version, by=ADA, now=NOW + timedelta(minutes=1))
    assert found == called_off
    assert told()[cast.charlie.email] == {OFF}
    assert (told()[cast.alice.email] == {WAITS}) is is_left


def test_a_reminder_of_times_that_a_series_gives_up_is_called_off(world: World, cast: Cast) -> None:
    made = plan_series(series(world, notify=False), by=ADA, author_id=None, now=NOW, idempotency_key="series")
    first = db.session.scalars(select(Maintenance).order_by(Maintenance.starts_at)).first()
    assert first is not None
    reminder = MaintenanceUpdate(
        maintenance_id=first.id,
        public_id="reminder",
        kind=Notice.REMINDED,
        state=first.state,
        body="",
        posted_at=NOW,
        starts_at=first.starts_at,
        ends_at=first.ends_at,
        notify=True,
    )
    db.session.add(reminder)
    db.session.flush()
    announcing.tell(first, reminder, by=SYSTEM, now=NOW)
    assert told()[cast.alice.email] == {WAITS}
    plan = series(world, starts_on=datetime.fromisoformat("2026-11-25T04:00"))
    assert edit_series(made, plan, notify=False, version=made.version, by=ADA, now=NOW + timedelta(minutes=1)) == 3
    assert {state for states in told().values() for state in states} == {OFF}
