"""The graph without a database: what is valid when, who is reached through it, and how a list is put in order."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Unreached(StrEnum):
    """Why a person of a reached company gets no mail, the reason that outweighs the others first."""

    DEACTIVATED = "deactivated"
    BOUNCED = "bounced"
    QUARANTINED = "quarantined"
    COMPLAINED = "complained"
    BY_HAND = "by_hand"
    UNSUBSCRIBED = "unsubscribed"
    DECLINED = "declined"
    AREA_OFF = "area_off"


CHOSEN = frozenset({Unreached.UNSUBSCRIBED, Unreached.DECLINED})
"""What is somebody's own choice, or their company's: they could be reached, and do not want to hear of it."""


def service_topic(service_id: int | str) -> str:
    """The topic of everything that hits this service."""
    return f"service:{service_id}"


def component_topic(component_id: int | str) -> str:
    """The topic of everything that comes of this component."""
    return f"component:{component_id}"


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


GROUP, ITEM = "g", "c"
"""What the tokens of a layout begin with: "g3" is group 3, "c12" component 12."""


class LayoutError(ValueError):
    """The tokens name something twice, leave something out, or name what is not there."""


@dataclass(frozen=True)
class Layout:
    """A list in groups, in order: first what stands in no group, then each group with what it holds."""

    ungrouped: tuple[int, ...]
    groups: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def tokens(self) -> list[str]:
        """The layout as one flat list, each group followed by what it holds: what a browser drags about."""
        flat = [f"{ITEM}{item}" for item in self.ungrouped]
        for group, items in self.groups:
            flat += [f"{GROUP}{group}", *(f"{ITEM}{item}" for item in items)]
        return flat

    @property
    def positions(self) -> dict[int, tuple[int | None, int]]:
        """For each item its group (None: ungrouped) and its place there, counted from 0 without gaps."""
        blocks: tuple[tuple[int | None, tuple[int, ...]], ...] = ((None, self.ungrouped), *self.groups)
        return {item: (group, place) for group, items in blocks for place, item in enumerate(items)}


def read_layout(tokens: Sequence[str], present: Layout) -> Layout:
    """The layout these tokens describe, which must hold just what `present` holds; raises LayoutError."""
    if sorted(tokens) != sorted(present.tokens):
        raise LayoutError
    ungrouped: list[int] = []
    groups: list[tuple[int, list[int]]] = []
    for token in tokens:
        number = int(token[1:])
        if token.startswith(GROUP):
            groups.append((number, []))
        else:
            (groups[-1][1] if groups else ungrouped).append(number)
    return Layout(tuple(ungrouped), tuple((group, tuple(items)) for group, items in groups))


def step(layout: Layout, token: str, direction: int) -> Layout:
    """The layout after one step up (-1) or down (1), stopping at either end; raises LayoutError for an unknown token.

    A component steps over its neighbour, or over the edge into the group beside it; a group steps over the whole
    group beside it and takes along what it holds.
    """
    tokens = layout.tokens
    if token not in tokens:
        raise LayoutError
    if not token.startswith(GROUP):
        return read_layout(moved(tokens, token, direction), layout)
    group = int(token[1:])
    order = moved([each for each, _items in layout.groups], group, direction)
    held = dict(layout.groups)
    return Layout(layout.ungrouped, tuple((each, held[each]) for each in order))


def moved(order: Sequence[T], item: T, by: int) -> list[T]:
    """The order with the item so many places further, stopping at either end."""
    rest = [other for other in order if other != item]
    place = max(0, min(len(rest), order.index(item) + by))
    return [*rest[:place], item, *rest[place:]]
