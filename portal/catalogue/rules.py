"""The graph without a database: what is valid when, who is reached through it, and how a list is put in order."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Unreached(StrEnum):
    """Why a person of a reached company gets no mail, the reason that outweighs the others first."""

    DEACTIVATED = "deactivated"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    BY_HAND = "by_hand"
    UNSUBSCRIBED = "unsubscribed"
    AREA_OFF = "area_off"


@dataclass(frozen=True)
class Span:
    """From–to, the end excluded; without an end it lasts."""

    valid_from: datetime
    valid_to: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Whether the moment lies inside; a span that ends where it begins holds at no moment."""
        return self.valid_from <= moment and (self.valid_to is None or moment < self.valid_to)


@dataclass(frozen=True)
class Use:
    """A holding as the graph sees it: whose it is, of which service, and while when."""

    holding_id: int
    company_id: int
    service_id: int
    span: Span


@dataclass(frozen=True)
class Edge:
    """A dependency: `source_id` (a service or a holding) breaks when the component breaks."""

    source_id: int
    component_id: int
    span: Span


def reached(
    component_ids: Collection[int],
    uses: Iterable[Use],
    *,
    through_services: Iterable[Edge],
    through_holdings: Iterable[Edge],
    at: datetime,
) -> frozenset[Use]:
    """The uses that break when these components break at this moment.

    A use is reached when its service depends on one of the components, or when the use itself does; both the
    dependency and the use must be valid then. This is the meaning of `queries.reach_of`, and what tests hold it to.
    """

    def sources(edges: Iterable[Edge]) -> set[int]:
        return {edge.source_id for edge in edges if edge.component_id in component_ids and edge.span.holds_at(at)}

    services, holdings = sources(through_services), sources(through_holdings)
    return frozenset(
        use for use in uses if use.span.holds_at(at) and (use.service_id in services or use.holding_id in holdings)
    )


def is_complete_order(wanted: Sequence[int], present: Collection[int]) -> bool:
    """Whether `wanted` names each of the present ids exactly once and nothing else."""
    return len(wanted) == len(present) and set(wanted) == set(present)


def moved(order: Sequence[int], item: int, step: int) -> list[int]:
    """The order with the item moved by so many places, stopping at either end; an unknown item moves nothing."""
    if item not in order:
        return list(order)
    rest = [other for other in order if other != item]
    place = max(0, min(len(rest), order.index(item) + step))
    return [*rest[:place], item, *rest[place:]]
