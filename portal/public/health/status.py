"""How everything is, as staff see it, in the form Prometheus reads."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from portal.accounts.rules import STAFF
from portal.catalogue.queries import live_components
from portal.incidents.queries import statuses_of
from portal.incidents.queries.overall import incident_counts, under_way_count
from portal.incidents.rules import ComponentStatus, Impact


class Standing(NamedTuple):
    """Each component by its public id and title, the open incidents by impact, and how much work is under way."""

    components: Mapping[tuple[str, str], ComponentStatus]
    incidents: Mapping[Impact, int]
    under_way: int


def standing(now: datetime) -> Standing:
    """What stands now, private reports too. Five queries, whatever the number of rows."""
    components = live_components()
    statuses = statuses_of([each.id for each in components], STAFF, now)
    return Standing(
        {(each.public_id, each.title): statuses[each.id] for each in components},
        Counter(incident_counts()),
        under_way_count(now),
    )


def told(found: Standing) -> Iterator[Metric]:
    """The samples: a number a component, which is worse the higher it is."""
    words = ", ".join(f"{status.rank} {status.value}" for status in ComponentStatus)
    components = GaugeMetricFamily(
        "signalbox_component_status",
        f"The effective status of a component: {words}.",
        labels=("component", "component_id"),
    )
    for (public_id, title), status in found.components.items():
        components.add_metric((title, public_id), status.rank)
    incidents = GaugeMetricFamily(
        "signalbox_incidents_open_by_impact", "Incidents that are not fixed, by their impact.", labels=("impact",)
    )
    for impact in Impact:
        incidents.add_metric((impact.value,), found.incidents.get(impact, 0))
    yield components
    yield incidents
    yield GaugeMetricFamily(
        "signalbox_maintenance_under_way", "Windows of maintenance that are under way.", value=found.under_way
    )
