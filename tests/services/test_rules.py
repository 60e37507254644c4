"""What components imply for a holding, and which cause is named, with no app."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.incidents.rules import ComponentStatus
from portal.services.rules import Cause, ServiceStatus, effective_service_status, main_cause

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("component", "service"),
    [
        (ComponentStatus.OPERATIONAL, ServiceStatus.NORMAL),
        (ComponentStatus.MAINTENANCE, ServiceStatus.SCHEDULED),
        (ComponentStatus.PERFORMANCE_ISSUE, ServiceStatus.INTERMITTENT),
        (ComponentStatus.PARTIAL_RTH, ServiceStatus.INTERMITTENT),
        (ComponentStatus.MAJOR_OUTAGE, ServiceStatus.DOWN),
    ],
)
def test_each_component_status_implies_one_service_status(component: ComponentStatus, service: ServiceStatus) -> None:
    assert effective_service_status(ServiceStatus.NORMAL, [component]) is service


def test_the_worse_of_stated_and_implied_wins_both_ways() -> None:
    assert effective_service_status(ServiceStatus.DOWN, [ComponentStatus.MAINTENANCE]) is ServiceStatus.DOWN
    assert effective_service_status(ServiceStatus.SCHEDULED, [ComponentStatus.MAJOR_OUTAGE]) is ServiceStatus.DOWN


def test_a_holding_that_depends_on_nothing_is_as_stated() -> None:
    assert effective_service_status(ServiceStatus.NORMAL, []) is ServiceStatus.NORMAL


def test_maintenance_never_masks_an_outage() -> None:
    both = [ComponentStatus.MAINTENANCE, ComponentStatus.PERFORMANCE_ISSUE]
    assert effective_service_status(ServiceStatus.NORMAL, both) is ServiceStatus.INTERMITTENT


def cause(title: str, minutes_ago: int, **statuses: ComponentStatus) -> Cause:
    return Cause(
        title, NOW - timedelta(minutes=minutes_ago), {int(key[1:]): status for key, status in statuses.items()}
    )


def test_the_cause_named_is_the_one_that_hits_worst() -> None:
    slow = cause("slow", 90, c1=ComponentStatus.PERFORMANCE_ISSUE)
    down = cause("down", 5, c2=ComponentStatus.MAJOR_OUTAGE)
    assert main_cause({1, 2}, [slow, down]) is down


def test_of_equals_the_older_cause_is_named() -> None:
    old = cause("old", 90, c1=ComponentStatus.PARTIAL_RTH)
    new = cause("new", 5, c2=ComponentStatus.PARTIAL_RTH)
    assert main_cause({1, 2}, [new, old]) is old


def test_what_hits_other_components_is_no_cause() -> None:
    assert main_cause({1}, [cause("elsewhere", 5, c9=ComponentStatus.MAJOR_OUTAGE)]) is None


def test_a_component_that_is_well_again_is_no_cause() -> None:
    assert main_cause({1}, [cause("over", 5, c1=ComponentStatus.OPERATIONAL)]) is None
