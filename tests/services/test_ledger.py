"""The ledger of a month: what was down, what is left out, what was promised, and that it stays what it was."""

from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal import events
from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding, HoldingDependency, ServiceDependency
from portal.domains.models import PortalDomain
from portal.errors import RuleViolation, StaleEdit
from portal.events import public_topic, versions_of
from portal.extensions import db
from portal.incidents import queries
from portal.incidents.actions.availability import change_contract, change_rule
from portal.incidents.models import ImpactInterval, Incident, Maintenance, MaintenanceComponent
from portal.incidents.queries.availability import contract_of, rule_in, weights_now
from portal.incidents.rules import Audience, Impact, MaintenanceState, Severity, State, Visibility
from portal.incidents.rules.availability import Counts, Month, Terms, Weights
from portal.incidents.rules.maintenance import WorkImpact
from portal.incidents.upkeep import refresh_history
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, WindowHolding
from portal.services.queries.behind import Source
from portal.services.queries.ledger import CompanyMonth, company_month, months_of_all, names_of, summaries
from portal.services.queries.uptime import service_histories, whole_service
from portal.services.rules import Scope, ServiceStatus, UpdateKind, WindowState
from portal.services.sheets import written
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JANUARY, OCTOBER = Month(2026, 1), Month(2026, 10)
MORNING = datetime(2026, 10, 10, 6, tzinfo=UTC)
SPAN = 31 * DAY + HOUR
"""October in a zone whose clocks go back in it."""

_keys = count()


def broken(
    component_id: int,
    from_at: datetime,
    lasted: timedelta | None,
    severity: Severity = Severity.MAJOR_OUTAGE,
    visibility: Visibility = Visibility.PUBLIC,
) -> Incident:
    """A component was hit."""
    until = from_at + lasted if lasted is not None else None
    made = Incident(
        public_id=f"inc{next(_keys)}",
        title="Calls fail",
        state=State.FIXED if until else State.IDENTIFIED,
        impact=Impact.CRITICAL,
        visibility=visibility,
        audience=Audience.EVERYONE,
        started_at=from_at,
        resolved_at=until,
        created_at=from_at,
        public_updated_at=from_at,
    )
    db.session.add(made)
    db.session.flush()
    db.session.add(
        ImpactInterval(incident_id=made.id, component_id=component_id, severity=severity, from_at=from_at, to_at=until)
    )
    db.session.flush()
    return made


def stated(holding: Holding, status: ServiceStatus, began_at: datetime, lasted: timedelta) -> ServiceUpdate:
    """Staff stated a problem of a holding."""
    update = ServiceUpdate(
        idempotency_key=f"ledger-{next(_keys)}",
        kind=UpdateKind.STATED,
        status=status,
        began_at=began_at,
        scope=Scope.ONE,
        chosen={},
        holdings=1,
        companies=1,
        notify=False,
        created_at=began_at,
    )
    db.session.add(update)
    db.session.flush()
    db.session.add(
        StatedPeriod(
            holding_id=holding.id,
            company_id=holding.company_id,
            service_id=holding.service_id,
            status=status,
            began_at=began_at,
            ended_at=began_at + lasted,
            update_id=update.id,
        )
    )
    db.session.flush()
    return update


def window(holding: Holding, starts_at: datetime, lasted: timedelta, announced_at: datetime) -> ServiceWindow:
    """Scheduled service on a holding, which took as long as was said."""
    made = ServiceWindow(
        public_id=f"win{next(_keys)}",
        state=WindowState.ENDED,
        starts_at=starts_at,
        ends_at=starts_at + lasted,
        ended_at=starts_at + lasted,
        zone="UTC",
        announced_at=announced_at,
    )
    db.session.add(made)
    db.session.flush()
    db.session.add(
        WindowHolding(
            window_id=made.id, holding_id=holding.id, company_id=holding.company_id, service_id=holding.service_id
        )
    )
    db.session.flush()
    return made


def worked_on(component_id: int, starts_at: datetime, lasted: timedelta, **changes: object) -> Maintenance:
    """Maintenance of a component, announced long before and done."""
    given: dict[str, object] = {
        "state": MaintenanceState.COMPLETED,
        "impact": WorkImpact.OUTAGE,
        "starts_at": starts_at,
        "ends_at": starts_at + lasted,
        "started_at": starts_at,
        "completed_at": starts_at + lasted,
        "announced_at": starts_at - 10 * DAY,
        "created_at": starts_at - 10 * DAY,
        "public_updated_at": starts_at,
    } | changes
    made = Maintenance(public_id=f"work{next(_keys)}", title="New boards", **given)
    db.session.add(made)
    db.session.flush()
    db.session.add(MaintenanceComponent(maintenance_id=made.id, component_id=component_id))
    db.session.flush()
    return made


def october(company_id: int) -> CompanyMonth:
    found = company_month(company_id, OCTOBER, NOW)
    assert found is not None
    return found


def set_rule(terms: Terms, month: Month = JANUARY) -> None:
    change_rule(terms, month, version=rule_in(month).version, by=SYSTEM, now=NOW)


@pytest.fixture(autouse=True)
def berlin(cast: Cast) -> None:
    """Both companies are at home on a portal domain in Berlin."""
    for domain in db.session.scalars(select(PortalDomain)):
        domain.time_zone = "Europe/Berlin"
    db.session.flush()


class TestCounting:
    """What a line comes to."""

    def test_a_quiet_month_is_whole_and_as_long_as_its_clocks_say(self, cast: Cast, world: World) -> None:
        found = october(cast.a.id)
        (line,) = found.lines
        assert (found.zone, line.account.span, line.account.share) == ("Europe/Berlin", SPAN, 1.0)
        assert (line.since, line.until) == OCTOBER.bounds(ZoneInfo("Europe/Berlin"))
        assert (line.target, line.is_met) == (None, None)

    def test_what_was_reported_and_what_was_stated_count_once(self, cast: Cast, world: World) -> None:
        incident = broken(world.trunk.id, MORNING, 2 * HOUR)
        broken(world.exchange.id, MORNING + HOUR, 3 * HOUR, Severity.PARTIAL_RTH)
        update = stated(world.holding_a, ServiceStatus.DOWN, MORNING + 90 * HOUR / 60, HOUR)
        (line,) = october(cast.a.id).lines
        assert line.account.of(Counts.DOWN) == 2.5 * HOUR
        assert line.account.of(Counts.PARTIAL) == 1.5 * HOUR
        assert line.account.down == 2.5 * HOUR + 0.3 * 1.5 * HOUR
        assert [(each.source, each.id) for each in line.causes][::2] == [
            (Source.INCIDENT, incident.id),
            (Source.STATED, update.id),
        ]
        assert october(cast.b.id).lines[0].account.share == 1.0

    def test_only_while_it_was_held_and_depended_on(self, cast: Cast, world: World) -> None:
        world.holding_a.valid_from = MORNING
        (dependency,) = db.session.query(HoldingDependency).all()
        dependency.valid_to = MORNING + 5 * HOUR
        db.session.flush()
        broken(world.trunk.id, MORNING - 3 * HOUR, 4 * HOUR)
        broken(world.exchange.id, MORNING + 4 * HOUR, 10 * HOUR)
        (line,) = october(cast.a.id).lines
        assert line.account.of(Counts.DOWN) == 2 * HOUR
        assert line.since == MORNING

    def test_what_customers_never_saw_does_not_count(self, cast: Cast, world: World) -> None:
        broken(world.trunk.id, MORNING, HOUR, visibility=Visibility.PRIVATE)
        assert october(cast.a.id).lines[0].account.share == 1.0

    def test_what_lasts_counts_until_now_in_a_month_that_runs(self, cast: Cast, world: World) -> None:
        broken(world.trunk.id, NOW - HOUR, None)
        found = company_month(cast.a.id, Month(2026, 11), NOW)
        assert found is not None
        assert (found.end, found.lines[0].account.down) == (NOW, HOUR)
        assert company_month(cast.a.id, Month(2026, 12), NOW) is None


class TestMaintenance:
    """What is left out, and what is not."""

    def test_agreed_maintenance_is_not_measured(self, cast: Cast, world: World) -> None:
        worked_on(world.trunk.id, MORNING, 2 * HOUR)
        window(world.holding_a, MORNING + DAY, HOUR, MORNING - 5 * DAY)
        counted = october(cast.a.id).lines[0].account
        assert (counted.of(Counts.LEFT_OUT), counted.down, counted.measured) == (
            3 * HOUR,
            timedelta(),
            SPAN - 3 * HOUR,
        )

    def test_what_was_announced_late_ran_over_or_is_not_agreed_counts(self, cast: Cast, world: World) -> None:
        worked_on(world.trunk.id, MORNING, 2 * HOUR, announced_at=MORNING - HOUR)
        assert october(cast.a.id).lines[0].account.down == 2 * HOUR
        worked_on(world.trunk.id, MORNING + DAY, 2 * HOUR, completed_at=MORNING + DAY + 3 * HOUR)
        assert october(cast.a.id).lines[0].account.down == 3 * HOUR
        change_contract(cast.a, OCTOBER, counts_maintenance=True, target=None, version=0, by=SYSTEM, now=NOW)
        assert october(cast.a.id).lines[0].account.down == 5 * HOUR

    def test_what_broke_in_it_counts(self, cast: Cast, world: World) -> None:
        worked_on(world.trunk.id, MORNING, 4 * HOUR)
        broken(world.trunk.id, MORNING + HOUR, HOUR)
        counted = october(cast.a.id).lines[0].account
        assert (counted.of(Counts.LEFT_OUT), counted.down) == (3 * HOUR, HOUR)

    def test_what_nobody_felt_was_called_off_or_never_begun_is_nothing(self, cast: Cast, world: World) -> None:
        worked_on(world.trunk.id, MORNING, HOUR, impact=WorkImpact.NO_IMPACT)
        worked_on(world.trunk.id, MORNING, HOUR, state=MaintenanceState.CANCELLED, completed_at=None)
        waiting = {"state": MaintenanceState.SCHEDULED, "started_at": None, "completed_at": None}
        worked_on(world.trunk.id, MORNING, HOUR, starts_itself=False, **waiting)
        counted = october(cast.a.id).lines[0].account
        assert (counted.by_kind, counted.measured) == ((), SPAN)

    def test_work_by_the_clock_counts_though_no_clock_has_run(self, cast: Cast, world: World) -> None:
        waiting = {"state": MaintenanceState.SCHEDULED, "started_at": None, "completed_at": None}
        worked_on(world.trunk.id, MORNING, HOUR, **waiting)
        assert october(cast.a.id).lines[0].account.of(Counts.LEFT_OUT) == HOUR


class TestAgreed:
    """Promises, and from when they hold."""

    def test_a_promise_is_met_or_missed(self, cast: Cast, world: World) -> None:
        broken(world.trunk.id, MORNING, HOUR)
        set_rule(Terms(target=99_900))
        a, b = october(cast.a.id), october(cast.b.id)
        assert (a.lines[0].is_met, a.missed, b.lines[0].is_met) == (False, 1, True)
        change_contract(cast.a, OCTOBER, counts_maintenance=None, target=99_500, version=0, by=SYSTEM, now=NOW)
        assert october(cast.a.id).missed == 0

    def test_a_month_keeps_the_rule_it_had(self, cast: Cast, world: World) -> None:
        broken(world.trunk.id, MORNING, 10 * HOUR, Severity.PARTIAL_RTH)
        before = october(cast.a.id)
        set_rule(Terms(Weights(partial=100), target=99_999), Month(2026, 11))
        change_contract(cast.a, Month(2026, 11), counts_maintenance=True, target=1, version=0, by=SYSTEM, now=NOW)
        assert october(cast.a.id) == before
        assert (weights_now(NOW).partial, contract_of(cast.a.id, Month(2026, 12)).target) == (100, 1)

    def test_it_stays_what_it_was_when_the_catalogue_moves_on(self, cast: Cast, world: World) -> None:
        broken(world.trunk.id, MORNING, HOUR)
        before = october(cast.a.id)
        world.trunk.archived_at = NOW
        world.holding_a.valid_to = NOW
        for each in db.session.query(ServiceDependency).all():
            each.valid_to = NOW
        world.telephony.archived_at = NOW
        db.session.flush()
        assert company_month(cast.a.id, OCTOBER, NOW + 40 * DAY) == before

    def test_whoever_looked_at_an_older_rule_is_told(self, cast: Cast, world: World) -> None:
        set_rule(Terms(Weights(50)))
        with pytest.raises(StaleEdit):
            change_rule(Terms(), OCTOBER, version=0, by=SYSTEM, now=NOW)
        with pytest.raises(StaleEdit):
            change_contract(cast.a, OCTOBER, counts_maintenance=None, target=None, version=3, by=SYSTEM, now=NOW)

    @pytest.mark.parametrize(
        ("terms", "field"),
        [
            (Terms(Weights(101)), "partial"),
            (Terms(Weights(20, 30)), "performance"),
            (Terms(Weights(30, 0, -1)), "maintenance"),
            (Terms(notice=timedelta(hours=-1)), "notice"),
            (Terms(target=100_001), "target"),
        ],
    )
    def test_a_rule_that_cannot_be_is_refused_at_its_field(self, cast: Cast, terms: Terms, field: str) -> None:
        with pytest.raises(RuleViolation) as refused:
            set_rule(terms)
        assert refused.value.field == field

    def test_every_page_that_shows_a_figure_hears_of_a_change(self, cast: Cast) -> None:
        topics = [public_topic(each) for each in db.session.scalars(select(PortalDomain.id))]
        before = versions_of([events.STAFF, *topics])
        set_rule(Terms(Weights(40)))
        events.commit()
        after = versions_of([events.STAFF, *topics])
        assert topics
        assert all(after[each] > before.get(each, 0) for each in [events.STAFF, *topics])


class TestMany:
    """All companies at once."""

    def test_everybody_comes_out_as_alone(self, cast: Cast, world: World) -> None:
        broken(world.trunk.id, MORNING, HOUR)
        stated(world.holding_b, ServiceStatus.INTERMITTENT, MORNING, 5 * HOUR)
        db.session.commit()
        together = {each.company_id: each for each in months_of_all(OCTOBER, NOW)}
        assert together == {each.id: october(each.id) for each in (cast.a, cast.b)}
        short = {each.company_id: each for each in summaries(OCTOBER, NOW)}
        assert {key: (each.worst, each.down) for key, each in short.items()} == {
            key: (each.worst.thousandths, each.total.down) for key, each in together.items()
        }

    def test_more_holdings_take_no_more_queries(self, cast: Cast, world: World) -> None:
        broken(world.trunk.id, MORNING, HOUR)
        worked_on(world.trunk.id, MORNING, HOUR)

        def queries_of() -> int:
            with counted_queries() as statements:
                assert list(months_of_all(OCTOBER, NOW))
            return len(statements)

        few = queries_of()
        for number in range(20):
            holding = Holding(
                company_id=cast.b.id, service_id=world.telephony.id, reference=f"{number}", valid_from=MORNING - DAY
            )
            db.session.add(holding)
            db.session.flush()
            stated(holding, ServiceStatus.DOWN, MORNING, HOUR)
        assert queries_of() == few <= 16

    def test_a_file_names_what_lay_on_each_and_runs_nothing(self, cast: Cast, world: World) -> None:
        incident = broken(world.trunk.id, MORNING, HOUR)
        incident.title = "=cmd()"
        cast.a.external_id = "@7"
        db.session.flush()
        lines = list(
            written(months_of_all(OCTOBER, NOW), STAFF, lambda named, line: f"x/{named.cause.id}", NOW, of_many=True)
        )
        assert lines[0].startswith("Company,Company number,Category,Service,Reference,Month,Time zone,From,To,Minutes,")
        of_a = next(each for each in lines if ",ACC-1," in each)
        assert "'@7," in of_a
        assert f"'=cmd() (x/{incident.id})" in of_a
        assert ",2026-10,Europe/Berlin,2026-10-01T00:00+02:00,2026-11-01T00:00+01:00,44700.00," in of_a
        assert ",60.00,99.865," in of_a

    def test_names_are_those_that_may_be_seen(self, cast: Cast, world: World) -> None:
        incident = broken(world.trunk.id, MORNING, HOUR)
        causes = october(cast.a.id).lines[0].causes
        incident.visibility = Visibility.PRIVATE
        db.session.flush()
        assert names_of(causes, Viewpoint(company_id=cast.a.id), NOW) == {}
        assert len(names_of(causes, STAFF, NOW)) == 1


class TestWholes:
    """Groups of components, and whole services."""

    def test_a_group_is_as_bad_as_its_worst_member_at_each_moment(self, cast: Cast, world: World) -> None:
        today = NOW.replace(hour=0)
        broken(world.trunk.id, today, 2 * HOUR)
        broken(world.fibre.id, today + HOUR, 2 * HOUR, Severity.PARTIAL_RTH)
        world.fibre.created_at = world.trunk.created_at = NOW - 9 * DAY
        db.session.flush()
        refresh_history([world.trunk.id, world.fibre.id], NOW)
        with counted_queries() as statements:
            found = queries.group_histories({"carrier": [world.trunk, world.fibre]}, NOW, SIGNED_OUT)["carrier"]
        assert len(statements) == 3
        assert found.bar.days == "-" * 80 + "0" * 9 + "3"
        down = 2 * HOUR + 0.3 * HOUR
        assert found.uptime == pytest.approx(1 - down / (9 * DAY))

    def test_maintenance_counts_for_components_only_where_it_has_a_weight(self, cast: Cast, world: World) -> None:
        worked_on(world.trunk.id, NOW - DAY, HOUR)
        assert queries.uptimes([world.trunk], NOW)[world.trunk.id] == 1.0
        set_rule(Terms(Weights(maintenance=50)))
        begin = (NOW - 89 * DAY).replace(hour=0)
        assert queries.uptimes([world.trunk], NOW)[world.trunk.id] == pytest.approx(1 - 0.5 * HOUR / (NOW - begin))

    def test_a_service_is_what_it_depended_on_and_all_who_hold_it(self, cast: Cast, world: World) -> None:
        broken(world.trunk.id, NOW - 2 * HOUR, HOUR)
        db.session.add(
            Holding(company_id=cast.b.id, service_id=world.telephony.id, reference="2", valid_from=NOW - DAY)
        )
        db.session.flush()
        history = service_histories([world.telephony.id], STAFF, NOW)[world.telephony.id]
        begin = (NOW - 89 * DAY).replace(hour=0)
        assert history.share == pytest.approx(1 - HOUR / (NOW - begin))
        assert history.days[-1] == "3"
        whole = whole_service(world.telephony.id, STAFF, NOW)
        assert whole.holdings == 2
        assert whole.share == pytest.approx(1 - 2 * HOUR / (NOW - begin + DAY))
