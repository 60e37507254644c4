"""What was stated of services with a report that is merged into another: it stands with the other, for all who look."""

from datetime import timedelta

from sqlalchemy import select

from portal.accounts.rules import Viewpoint
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents import queries
from portal.incidents.models import Incident
from portal.incidents.queries.merging import touched_by
from portal.incidents.rules import Severity, State
from portal.services.actions import Wanted, recover_with
from portal.services.models import ServiceUpdate
from portal.services.queries import stated_under
from portal.services.queries.listings import causes_of
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast
from tests.incidents.conftest import World
from tests.services.acts import ada, state

LATER = NOW + timedelta(minutes=10)


def report(title: str, component_id: int) -> Incident:
    return incidents.publish(
        title,
        State.INVESTIGATING,
        "We look into it.",
        {component_id: Severity.MAJOR_OUTAGE},
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key=title,
    )


def merge(duplicate: Incident, into: Incident) -> None:
    incidents.merge(
        duplicate,
        into,
        "The same trouble.",
        notify=False,
        version=duplicate.version,
        by=SYSTEM,
        author_id=None,
        now=LATER,
    )


def moved(duplicate: Incident, into: Incident) -> list[tuple[int, str]]:
    both = [queries.incident_for_staff(each.id) for each in (duplicate, into)]
    assert both[0] is not None
    assert both[1] is not None
    return [each for each in touched_by(both[0], both[1], NOW).moved if "stated" in each[1]]


def test_what_was_stated_under_it_is_asked_about_when_the_other_is_fixed(world: World, cast: Cast) -> None:
    duplicate, into = report("Calls drop", world.trunk.id), report("Fibre is cut", world.fibre.id)
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN, "We are on it."), "1")
    assert moved(duplicate, into) == [
        (1, "holding with a problem that is stated is asked about when the other is marked Fixed.")
    ]
    merge(duplicate, into)
    assert [each.holding_id for each in stated_under(into.id, LATER)] == [world.holding_a.id]


def test_a_recovery_that_was_told_with_it_stands_with_the_other(world: World, cast: Cast) -> None:
    """Customers who look at what was said of their service are led to the report that goes on."""
    duplicate, into = report("Calls drop", world.trunk.id), report("Fibre is cut", world.fibre.id)
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN, "We are on it."), "1")
    told = recover_with(
        duplicate,
        [world.holding_a.id],
        notes="It works.",
        notify=False,
        by=ada(cast),
        author_id=cast.ada.id,
        now=NOW,
        idempotency_key="form",
    )
    assert told is not None
    theirs = Viewpoint(company_id=cast.a.id)
    assert causes_of([told], theirs, NOW) == {duplicate.id: duplicate.public_id}
    assert moved(duplicate, into) == [(1, "service status that was stated with it stands with the other.")]
    merge(duplicate, into)
    db.session.refresh(told)
    assert db.session.scalars(select(ServiceUpdate.incident_id).where(ServiceUpdate.id == told.id)).one() == into.id
    assert causes_of([told], theirs, LATER) == {into.id: into.public_id}
