"""Publishing, updating and editing: what is written, who is rung, who is mailed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import events
from portal.audit.models import AuditEntry
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents import actions, queries
from portal.incidents.models import ComponentHistory, ImpactInterval, Incident, IncidentComponent, IncidentUpdate
from portal.incidents.rules import Audience, Impact, Severity, State, Visibility
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from tests.conftest import NOW, Cast
from tests.incidents.conftest import World

ADA = Actor("ada@people.test")
LATER = NOW + timedelta(minutes=14)
MAJOR, PARTIAL, SLOW, NONE = (
    Severity.MAJOR_OUTAGE,
    Severity.PARTIAL_RTH,
    Severity.PERFORMANCE_ISSUE,
    Severity.NONE,
)


def publish(severities: Mapping[int, Severity], **changes: Any) -> Incident:
    given: dict[str, Any] = {
        "title": "Calls drop",
        "state": State.INVESTIGATING,
        "body": "We are looking into it.",
        "by": ADA,
        "author_id": None,
        "now": NOW,
        "idempotency_key": "key-1",
    } | changes
    return actions.publish(severities=severities, **given)


def update(
    incident: Incident, state: State | None, named: Mapping[int, Severity] = {}, **changes: Any
) -> IncidentUpdate:
    given: dict[str, Any] = {
        "body": "More.",
        "version": incident.version,
        "by": ADA,
        "author_id": None,
        "now": LATER,
    } | changes
    return actions.post_update(incident, state, named=named, **given)


def rung() -> set[str]:
    return set(db.session.info.pop("topics", set()))


def mailed_to(incident: Incident) -> list[str]:
    updates = db.session.scalars(select(IncidentUpdate.id).where(IncidentUpdate.incident_id == incident.id))
    keys = [queries.notify_key(each) for each in updates]
    return list(
        db.session.scalars(
            select(Delivery.address)
            .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
            .where(Broadcast.idempotency_key.in_(keys))
            .order_by(Delivery.priority, Delivery.address)
        )
    )


def stretches(incident: Incident) -> list[tuple[int, Severity, Any, Any]]:
    rows = db.session.scalars(select(ImpactInterval).where(ImpactInterval.incident_id == incident.id))
    return sorted((each.component_id, each.severity, each.from_at, each.to_at) for each in rows)


def test_publishing_writes_the_report_and_all_that_follows_from_it(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR, world.fibre.id: NONE}, next_update=timedelta(minutes=30))

    assert (incident.state, incident.impact) == (State.INVESTIGATING, Impact.CRITICAL)
    assert incident.next_update_due_at == NOW + timedelta(minutes=30)
    assert incident.resolved_at is None
    assert stretches(incident) == [(world.trunk.id, MAJOR, NOW, None)]
    standing = db.session.execute(select(IncidentComponent.component_id, IncidentComponent.severity)).all()
    assert sorted(standing) == [(world.trunk.id, MAJOR), (world.fibre.id, NONE)]
    history = db.session.get(ComponentHistory, world.trunk.id)
    assert history is not None
    assert history.days.endswith("03")
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "incident.publish")).one()
    assert entry.after is not None
    assert entry.after["severities"] == {str(world.trunk.id): "major_outage", str(world.fibre.id): "none"}


def test_the_affected_are_mailed_first_then_everybody_else(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR})
    assert mailed_to(incident) == ["alice@people.test", "bob@people.test", "charlie@people.test"]
    priorities = db.session.execute(select(Delivery.address, Delivery.priority)).all()
    assert dict(priorities)["alice@people.test"] < dict(priorities)["charlie@people.test"]


def test_the_mail_alone_can_be_narrowed_to_the_affected(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR}, mail_affected_only=True)
    assert incident.audience is Audience.EVERYONE
    assert mailed_to(incident) == ["alice@people.test", "bob@people.test"]


def test_an_incident_for_the_affected_mails_them_alone(world: World) -> None:
    incident = publish({world.fibre.id: MAJOR}, audience=Audience.AFFECTED)
    assert mailed_to(incident) == ["charlie@people.test"]


@pytest.mark.parametrize("audience", list(Audience))
def test_what_reaches_no_holding_is_told_to_everybody(world: World, audience: Audience) -> None:
    incident = publish({world.spare.id: SLOW}, audience=audience, mail_affected_only=True)
    assert len(mailed_to(incident)) == 3
    assert publish({}, audience=audience, idempotency_key="none") is not incident
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 6


@pytest.mark.parametrize(
    "changes", [{"notify": False}, {"visibility": Visibility.PRIVATE}, {"is_backfill": True}], ids=str
)
def test_some_reports_mail_nobody(world: World, changes: dict[str, Any]) -> None:
    publish({world.trunk.id: MAJOR}, **changes)
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 0


def test_the_same_key_makes_one_report_and_one_mail(world: World) -> None:
    first = publish({world.trunk.id: MAJOR})
    assert publish({world.trunk.id: MAJOR}) is first
    assert db.session.scalar(select(func.count()).select_from(Incident)) == 1
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 1


def test_a_report_for_everyone_rings_every_page_and_the_reached(world: World, cast: Cast) -> None:
    rung()
    publish({world.trunk.id: MAJOR, world.exchange.id: SLOW}, notify=False)
    assert rung() == {
        events.STAFF,
        events.public_topic(cast.domain_a.id),
        events.public_topic(cast.domain_b.id),
        events.service_topic(world.telephony.id),
        events.company_topic(cast.a.id),
    }


def test_a_report_for_the_affected_rings_only_them(world: World, cast: Cast) -> None:
    rung()
    publish({world.fibre.id: MAJOR}, audience=Audience.AFFECTED, notify=False)
    assert rung() == {events.STAFF, events.service_topic(world.internet.id)}
    publish({world.spare.id: MAJOR}, audience=Audience.AFFECTED, notify=False, idempotency_key="spare")
    assert events.public_topic(cast.domain_a.id) in rung()


def test_a_private_report_rings_staff_alone(world: World) -> None:
    rung()
    incident = publish({world.trunk.id: MAJOR}, visibility=Visibility.PRIVATE)
    update(incident, State.IDENTIFIED, {world.fibre.id: MAJOR})
    assert rung() == {events.STAFF}


def test_a_private_update_carries_text_only_and_moves_nothing_customers_see(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR}, notify=False)
    version, seen = incident.version, incident.public_updated_at
    rung()
    posted = update(incident, None, visibility=Visibility.PRIVATE)
    assert (posted.state, posted.notify) == (None, False)
    assert rung() == {events.STAFF}
    assert incident.public_updated_at == seen
    assert incident.version > version
    for state, named in ((State.FIXED, {}), (None, {world.trunk.id: NONE})):
        with pytest.raises(RuleViolation, match="text only"):
            update(incident, state, named, visibility=Visibility.PRIVATE)


def test_a_component_not_named_keeps_its_severity_and_fixed_clears_all(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR, world.fibre.id: PARTIAL})
    update(incident, State.WATCHING, {world.trunk.id: NONE}, next_update=timedelta(hours=1))
    assert incident.impact == "major"
    fixed = LATER + timedelta(minutes=5)
    update(incident, State.FIXED, {world.fibre.id: MAJOR}, now=fixed, next_update=timedelta(hours=1))
    assert stretches(incident) == [(world.trunk.id, MAJOR, NOW, LATER), (world.fibre.id, PARTIAL, NOW, fixed)]
    assert incident.resolved_at == fixed
    assert incident.next_update_due_at is None
    assert incident.impact == "critical", "a fixed report shows the worst it ever was"
    assert set(db.session.scalars(select(IncidentComponent.severity))) == {NONE}


def test_an_open_state_after_fixed_reopens_the_report(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR})
    update(incident, State.FIXED)
    again = LATER + timedelta(hours=1)
    update(incident, State.INVESTIGATING, {world.trunk.id: SLOW}, now=again)
    assert incident.resolved_at is None
    assert stretches(incident)[-1] == (world.trunk.id, SLOW, again, None)


def test_a_report_that_begins_fixed_remembers_what_was_broken(world: World) -> None:
    began = NOW - timedelta(hours=2)
    incident = publish({world.trunk.id: MAJOR}, state=State.FIXED, started_at=began)
    assert incident.resolved_at == NOW
    assert stretches(incident) == [(world.trunk.id, MAJOR, began, NOW)]
    assert incident.impact is Impact.CRITICAL


def test_what_began_before_it_was_reported_counts_from_then(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR}, started_at=NOW - timedelta(minutes=20))
    assert stretches(incident) == [(world.trunk.id, MAJOR, NOW - timedelta(minutes=20), None)]


def test_the_second_of_two_writers_is_told(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR})
    version = incident.version
    update(incident, State.FIXED, version=version)
    with pytest.raises(StaleEdit):
        update(incident, State.IDENTIFIED, version=version)
    with pytest.raises(StaleEdit):
        edit(incident, title="Other", version=version)
    assert incident.state is State.FIXED


def test_a_repeated_update_is_written_once(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR})
    version = incident.version
    first = update(incident, State.FIXED, version=version, idempotency_key="form-1")
    assert update(incident, State.FIXED, version=version, idempotency_key="form-1") is first


def edit(incident: Incident, **changes: Any) -> None:
    given: dict[str, Any] = {
        "title": incident.title,
        "visibility": incident.visibility,
        "audience": incident.audience,
        "impact_override": incident.impact_override,
        "version": incident.version,
        "by": ADA,
        "now": LATER,
    } | changes
    actions.edit(incident, **given)


def test_editing_to_the_same_content_is_no_change(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR})
    version = incident.version
    rung()
    edit(incident, title="  Calls   drop ")
    assert (incident.version, rung()) == (version, set())


def test_an_edit_keeps_what_was_before_in_the_audit_trail(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR})
    edit(incident, title="Calls drop in London", impact_override=Impact.MINOR)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "incident.edit")).one()
    assert entry.before == {"title": "Calls drop", "impact_override": None}
    assert entry.after == {"title": "Calls drop in London", "impact_override": "minor"}
    assert incident.impact is Impact.MINOR


def test_making_a_report_private_hides_it_everywhere_and_calls_off_its_mail(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    rung()
    edit(incident, visibility=Visibility.PRIVATE)
    assert events.public_topic(cast.domain_b.id) in rung()
    assert set(db.session.scalars(select(Delivery.state))) == {DeliveryState.CANCELLED}
    assert db.session.scalars(select(Broadcast.state)).one() is BroadcastState.CANCELLED
    history = db.session.get(ComponentHistory, world.trunk.id, populate_existing=True)
    assert history is not None
    assert set(history.days) == {"0"}
    edit(incident, visibility=Visibility.PUBLIC)
    assert events.public_topic(cast.domain_b.id) in rung()
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 1, "showing it mails nobody"


def test_correcting_a_text_mails_nobody_and_rings_who_sees_it(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR}, notify=False)
    posted = db.session.scalars(select(IncidentUpdate)).one()
    rung()
    actions.edit_update(posted, incident, "Corrected.", version=incident.version, by=ADA, now=LATER)
    assert posted.body == "Corrected."
    assert incident.public_updated_at == LATER
    assert events.service_topic(world.telephony.id) in rung()
    version = incident.version
    actions.edit_update(posted, incident, " Corrected.\r\n", version=version, by=ADA, now=LATER)
    assert (incident.version, rung()) == (version, set())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": "  "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"body": "\r\n \x00"}, "body"),
        ({"body": "x" * 20_001}, "body"),
        ({"severities": {999_999: MAJOR}}, "components"),
        ({"severities": None}, "components"),
        ({"started_at": NOW + timedelta(minutes=1)}, "started_at"),
    ],
    ids=["empty title", "long title", "empty text", "long text", "unknown component", "nothing said", "future"],
)
def test_a_refusal_is_a_sentence_beside_its_field(world: World, changes: dict[str, Any], field: str) -> None:
    given = {"severities": {world.trunk.id: MAJOR}} | changes
    with pytest.raises(RuleViolation) as refusal:
        publish(**given)
    assert refusal.value.field == field
    assert refusal.value.sentence.endswith(".")


def test_an_archived_component_cannot_be_named_but_may_be_cleared(world: World) -> None:
    incident = publish({world.trunk.id: MAJOR})
    world.trunk.archived_at = NOW
    db.session.flush()
    with pytest.raises(RuleViolation):
        publish({world.trunk.id: MAJOR}, idempotency_key="other")
    update(incident, State.WATCHING, {world.trunk.id: NONE})
    assert incident.impact is Impact.NONE


def test_a_title_is_one_line_whatever_was_pasted(world: World) -> None:
    incident = publish({}, title="Calls\r\nBcc: x@y.test\u2028drop\x07", notify=False)
    assert incident.title == "Calls Bcc: x@y.test drop"


def test_a_past_report_is_written_whole_and_mails_nobody(world: World) -> None:
    began = NOW - timedelta(days=3)
    timeline = [
        actions.PastUpdate(began, State.INVESTIGATING, "It began.", {world.trunk.id: PARTIAL}),
        actions.PastUpdate(began + timedelta(hours=1), State.IDENTIFIED, "Worse.", {world.trunk.id: MAJOR}),
        actions.PastUpdate(began + timedelta(hours=2), State.FIXED, "Over.", {}),
    ]
    given: dict[str, Any] = {"by": ADA, "author_id": None, "now": NOW, "idempotency_key": "past"}
    incident = actions.backfill("Long over", timeline, **given)
    assert actions.backfill("Long over", timeline, **given) is incident
    assert (incident.started_at, incident.resolved_at) == (began, began + timedelta(hours=2))
    assert incident.public_updated_at == incident.resolved_at
    assert [each[1] for each in stretches(incident)] == [MAJOR, PARTIAL]
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 0
    history = db.session.get(ComponentHistory, world.trunk.id)
    assert history is not None
    assert history.days[-4] == "3"
    with pytest.raises(RuleViolation):
        actions.backfill("Wrong order", timeline[::-1], **(given | {"idempotency_key": "wrong"}))
    with pytest.raises(RuleViolation):
        actions.backfill("Empty", [], **(given | {"idempotency_key": "empty"}))
