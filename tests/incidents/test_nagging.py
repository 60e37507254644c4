"""Who looks after a report, and when they are reminded that customers wait to hear more."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.models import Incident
from portal.incidents.queries.nagging import due_nags, is_nag_due, lateness, owner_of, possible_owners
from portal.incidents.rules import USUAL_GAP, Severity, State, Visibility
from portal.incidents.rules.nagging import late_by, next_nag
from portal.notifications.models import Broadcast, Delivery
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from tests.incidents.test_actions import ADA, publish, update

HOUR = timedelta(hours=1)
DUE = NOW + USUAL_GAP


def nags() -> list[Broadcast]:
    wanted = select(Broadcast).where(Broadcast.kind == "incident_question").order_by(Broadcast.id)
    return list(db.session.scalars(wanted))


def addresses(broadcast: Broadcast) -> set[str]:
    return set(db.session.scalars(select(Delivery.address).where(Delivery.broadcast_id == broadcast.id)))


def nag_at(incident: Incident) -> datetime | None:
    return db.session.scalar(select(Incident.nag_at).where(Incident.id == incident.id))


@pytest.mark.parametrize(
    ("now", "promised", "expected"),
    [
        (timedelta(0), None, USUAL_GAP),
        (timedelta(0), timedelta(minutes=30), timedelta(minutes=30)),
        (USUAL_GAP, None, 3 * HOUR),
        (timedelta(minutes=30), timedelta(minutes=30), 3 * HOUR),
        (3 * HOUR, None, 6 * HOUR),
        (5 * HOUR, timedelta(hours=4), 6 * HOUR),
        (12 * HOUR, None, 24 * HOUR),
        (24 * HOUR, None, 48 * HOUR),
        (80 * HOUR, None, 96 * HOUR),
        (4 * HOUR, timedelta(hours=30), 30 * HOUR),
    ],
)
def test_when_the_owner_is_reminded_next(now: timedelta, promised: timedelta | None, expected: timedelta) -> None:
    assert next_nag(NOW, NOW + promised if promised else None, NOW + now) == NOW + expected


def test_how_late_an_update_is() -> None:
    assert late_by(NOW, None, DUE) is None
    assert late_by(NOW, None, DUE + HOUR) == HOUR
    assert late_by(NOW, NOW + HOUR, DUE) is None


def test_the_author_is_reminded_once_for_each_due_moment(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, author_id=cast.ada.id)
    assert nag_at(incident) == DUE
    assert (due_nags(DUE - timedelta(seconds=1), 10), is_nag_due(NOW)) == ([], False)
    assert (due_nags(DUE, 10), is_nag_due(DUE)) == ([incident.id], True)
    version = incident.version
    assert actions.remind(incident.id, DUE)
    assert not actions.remind(incident.id, DUE)
    assert (nag_at(incident), incident.version) == (NOW + 3 * HOUR, version)
    (nag,) = nags()
    assert addresses(nag) == {cast.ada.email}
    assert nag.content["en"]["text"].count("Customers last heard of it 14 minutes ago") == 1
    assert actions.remind(incident.id, NOW + 3 * HOUR)
    assert len(nags()) == 2


def test_a_public_update_puts_it_off_and_a_fix_ends_it(world: World) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE})
    update(incident, State.WATCHING, now=NOW + HOUR, next_update=2 * HOUR)
    assert nag_at(incident) == NOW + 3 * HOUR
    update(incident, None, visibility=Visibility.PRIVATE, now=NOW + 2 * HOUR)
    assert nag_at(incident) == NOW + 3 * HOUR
    update(incident, State.FIXED, now=NOW + 2 * HOUR)
    assert nag_at(incident) is None
    update(incident, State.INVESTIGATING, now=NOW + 4 * HOUR)
    assert nag_at(incident) == NOW + 4 * HOUR + USUAL_GAP


def test_nobody_is_reminded_of_what_customers_do_not_see(world: World) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, visibility=Visibility.PRIVATE)
    assert nag_at(incident) is None
    actions.edit(
        incident,
        title=incident.title,
        visibility=Visibility.PUBLIC,
        audience=incident.audience,
        version=incident.version,
        by=ADA,
        now=NOW + HOUR,
    )
    assert nag_at(incident) == NOW + HOUR + USUAL_GAP


def test_a_promise_is_what_counts(world: World) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, next_update=HOUR)
    assert nag_at(incident) == NOW + HOUR
    assert lateness([incident], NOW + HOUR) == {}
    assert lateness([incident], NOW + 2 * HOUR) == {incident.id: HOUR}
    assert actions.remind(incident.id, NOW + 2 * HOUR)
    assert "were promised the next word 60 minutes ago" in nags()[0].content["en"]["text"]


def test_where_the_owner_is_gone_all_who_may_are_reminded(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, author_id=cast.ada.id)
    cast.ada.deactivated_at = NOW
    db.session.flush()
    assert owner_of(incident) is None
    assert actions.remind(incident.id, DUE)
    assert addresses(nags()[0]) == {each.email for each in possible_owners()}
    assert addresses(nags()[0])


def test_a_report_is_handed_over_to_somebody_who_may(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, author_id=cast.ada.id)
    other = next(each for each in possible_owners() if each.id != cast.ada.id)
    actions.hand_over(incident, other.id, version=incident.version, by=ADA, now=NOW)
    assert owner_of(incident) == other
    version = incident.version
    actions.hand_over(incident, other.id, version=version, by=ADA, now=NOW)
    assert incident.version == version
    with pytest.raises(RuleViolation):
        actions.hand_over(incident, cast.bob.id, version=version, by=ADA, now=NOW)
    with pytest.raises(StaleEdit):
        actions.hand_over(incident, None, version=version - 1, by=ADA, now=NOW)


def test_lateness_of_a_list_takes_one_query(world: World) -> None:
    made = [publish({world.trunk.id: Severity.MAJOR_OUTAGE}, idempotency_key=f"k{number}") for number in range(5)]
    db.session.flush()
    with counted_queries() as asked:
        assert len(lateness(made, DUE + HOUR)) == 5
    assert len(asked) == 1
