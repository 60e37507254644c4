"""How a company's services are, in one bounded set of queries."""

from datetime import timedelta

from portal import clock, events
from portal.catalogue.models import Holding
from portal.extensions import db
from portal.incidents.models import Maintenance, MaintenanceComponent
from portal.incidents.rules import Audience, MaintenanceState, Severity, State, Visibility
from portal.services.queries import company_picture, service_lines
from portal.services.rules import ServiceStatus
from tests.conftest import Cast, counted_queries
from tests.customer.outages import Outage, update
from tests.incidents.conftest import World


def work_on(component_id: int, *, starts_in: timedelta) -> Maintenance:
    now = clock.utcnow()
    work = Maintenance(
        public_id="window",
        title="New batteries",
        state=MaintenanceState.SCHEDULED,
        starts_at=now + starts_in,
        ends_at=now + starts_in + timedelta(hours=2),
        created_at=now,
        public_updated_at=now,
    )
    db.session.add(work)
    db.session.flush()
    db.session.add(MaintenanceComponent(maintenance_id=work.id, component_id=component_id))
    events.commit()
    return work


def test_without_trouble_every_line_is_normal_and_gives_no_reason(cast: Cast, world: World) -> None:
    (line,) = service_lines(cast.a.id, clock.utcnow())
    assert (line.name, line.reference, line.status) == ("Hosted telephony", "ACC-1", ServiceStatus.NORMAL)
    assert (line.reason, line.since, line.incident) == ("", None, None)


def test_an_outage_of_its_component_takes_a_service_down_and_is_its_reason(
    cast: Cast, world: World, outage_of: Outage
) -> None:
    incident = outage_of(world.trunk)
    (line,) = service_lines(cast.a.id, clock.utcnow())
    assert line.status is ServiceStatus.DOWN
    assert (line.reason, line.since, line.incident) == (incident.title, incident.started_at, incident.public_id)


def test_a_dependency_of_the_holding_itself_counts_too(cast: Cast, world: World, outage_of: Outage) -> None:
    outage_of(world.exchange, severity=Severity.PERFORMANCE_ISSUE)
    (line,) = service_lines(cast.a.id, clock.utcnow())
    assert line.status is ServiceStatus.INTERMITTENT


def test_an_outage_of_others_is_counted_and_touches_nothing(cast: Cast, world: World, outage_of: Outage) -> None:
    outage_of(world.fibre)
    picture = company_picture(cast.a.id, clock.utcnow())
    assert [line.status for line in picture.lines] == [ServiceStatus.NORMAL]
    assert (picture.concerns, picture.others) == ([], 1)


def test_an_outage_for_the_affected_alone_is_not_even_counted_elsewhere(
    cast: Cast, world: World, outage_of: Outage
) -> None:
    outage_of(world.fibre, audience=Audience.AFFECTED)
    assert company_picture(cast.a.id, clock.utcnow()).others == 0


def test_a_private_outage_changes_nothing(cast: Cast, world: World, outage_of: Outage) -> None:
    before = company_picture(cast.a.id, clock.utcnow())
    outage_of(world.trunk, visibility=Visibility.PRIVATE)
    assert company_picture(cast.a.id, clock.utcnow()) == before


def test_an_outage_that_reaches_nobody_concerns_everybody_without_naming_a_service(
    cast: Cast, world: World, outage_of: Outage
) -> None:
    outage_of(world.spare)
    for company in (cast.a, cast.b):
        (concern,) = company_picture(company.id, clock.utcnow()).concerns
        assert concern.services == ()
        assert concern.severity is Severity.MAJOR_OUTAGE


def test_the_severity_shown_is_that_of_what_the_company_uses(cast: Cast, world: World, outage_of: Outage) -> None:
    incident = outage_of(world.trunk, severity=Severity.PERFORMANCE_ISSUE)
    update(incident, State.IDENTIFIED, "It is worse elsewhere.", {world.fibre.id: Severity.MAJOR_OUTAGE})
    (concern,) = company_picture(cast.a.id, clock.utcnow()).concerns
    assert concern.severity is Severity.PERFORMANCE_ISSUE


def test_a_fixed_outage_leaves_no_trace(cast: Cast, world: World, outage_of: Outage) -> None:
    update(outage_of(world.trunk), State.FIXED, "Over.")
    picture = company_picture(cast.a.id, clock.utcnow())
    assert [line.status for line in picture.lines] == [ServiceStatus.NORMAL]
    assert picture.concerns == []


def test_work_under_way_shows_where_nothing_is_worse(cast: Cast, world: World, outage_of: Outage) -> None:
    work_on(world.trunk.id, starts_in=-timedelta(hours=1))
    (line,) = service_lines(cast.a.id, clock.utcnow())
    assert (line.status, line.reason, line.incident) == (ServiceStatus.SCHEDULED, "New batteries", None)
    outage_of(world.trunk, severity=Severity.PERFORMANCE_ISSUE)
    (line,) = service_lines(cast.a.id, clock.utcnow())
    assert (line.status, line.reason) == (ServiceStatus.INTERMITTENT, "Calls fail")


def test_work_that_is_ahead_changes_nothing_yet(cast: Cast, world: World) -> None:
    work_on(world.trunk.id, starts_in=timedelta(hours=1))
    assert [line.status for line in service_lines(cast.a.id, clock.utcnow())] == [ServiceStatus.NORMAL]


def test_work_on_what_others_use_is_not_shown(cast: Cast, world: World) -> None:
    work_on(world.fibre.id, starts_in=-timedelta(hours=1))
    assert company_picture(cast.a.id, clock.utcnow()).work == []


def test_where_status_is_off_nothing_derived_from_incidents_is_said(
    cast: Cast, world: World, outage_of: Outage
) -> None:
    outage_of(world.trunk)
    (line,) = service_lines(cast.a.id, clock.utcnow(), shows_incidents=False)
    assert (line.status, line.reason, line.since, line.incident) == (None, "", None, None)


def test_the_number_of_queries_does_not_grow_with_what_is_held(cast: Cast, world: World, outage_of: Outage) -> None:
    for number in range(3):
        outage_of(world.trunk, title=f"Outage {number}")
    company_id = cast.a.id
    db.session.expire_all()
    with counted_queries() as few:
        company_picture(company_id, clock.utcnow())
    db.session.add_all(
        Holding(
            company_id=company_id,
            service_id=world.telephony.id,
            reference=f"R{number}",
            valid_from=world.holding_a.valid_from,
        )
        for number in range(40)
    )
    events.commit()
    for number in range(3, 9):
        outage_of(world.trunk, world.exchange, title=f"Outage {number}")
    db.session.expunge_all()
    with counted_queries() as many:
        assert len(company_picture(company_id, clock.utcnow()).lines) == 41
    assert len(many) <= len(few) <= 14
