"""The graph and its orders, with no app."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.catalogue.rules import Edge, Layout, LayoutError, Span, Use, moved, reached, read_layout, step

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALWAYS = Span(NOW - timedelta(days=1))
PAST = Span(NOW - timedelta(days=2), NOW - timedelta(days=1))
TO_COME = Span(NOW + timedelta(days=1))

LAYOUT = Layout((1,), ((7, (2, 3)), (8, ()), (9, (4,))))


@pytest.mark.parametrize(
    ("span", "holds"),
    [
        (ALWAYS, True),
        (PAST, False),
        (TO_COME, False),
        (Span(NOW), True),
        (Span(NOW - timedelta(1), NOW), False),
        (Span(NOW, NOW), False),
    ],
)
def test_a_span_holds_from_its_start_up_to_but_not_at_its_end(span: Span, holds: bool) -> None:
    assert span.holds_at(NOW) is holds


def test_a_use_is_reached_through_its_service_or_by_itself() -> None:
    uses = [Use(1, 10, 100, ALWAYS), Use(2, 11, 101, ALWAYS), Use(3, 12, 102, ALWAYS)]
    found = reached({5}, uses, through_services=[Edge(100, 5, ALWAYS)], through_holdings=[Edge(2, 5, ALWAYS)], at=NOW)
    assert {use.company_id for use in found} == {10, 11}


def test_what_has_ended_or_not_begun_reaches_nobody() -> None:
    uses = [Use(1, 10, 100, PAST), Use(2, 11, 101, ALWAYS), Use(3, 12, 102, ALWAYS)]
    edges = [Edge(100, 5, ALWAYS), Edge(101, 5, PAST), Edge(102, 5, TO_COME)]
    assert not reached({5}, uses, through_services=edges, through_holdings=[], at=NOW)


def test_another_component_reaches_nobody() -> None:
    uses = [Use(1, 10, 100, ALWAYS)]
    assert not reached({6}, uses, through_services=[Edge(100, 5, ALWAYS)], through_holdings=[], at=NOW)


def test_a_layout_reads_back_from_its_tokens() -> None:
    assert LAYOUT.tokens == ["c1", "g7", "c2", "c3", "g8", "g9", "c4"]
    assert read_layout(LAYOUT.tokens, LAYOUT) == LAYOUT


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [""],
        ["c1"],
        [*LAYOUT.tokens, "c5"],
        [*LAYOUT.tokens, "c1"],
        [*LAYOUT.tokens[:-1], "c99"],
        [*LAYOUT.tokens[:-1], "x4"],
        [*LAYOUT.tokens[:-1], "c٤"],
    ],
)
def test_a_layout_that_repeats_forgets_or_invents_is_refused(tokens: list[str]) -> None:
    with pytest.raises(LayoutError):
        read_layout(tokens, LAYOUT)


def test_a_component_steps_over_the_edge_into_the_group_beside_it() -> None:
    assert step(LAYOUT, "c2", -1) == Layout((1, 2), ((7, (3,)), (8, ()), (9, (4,))))
    assert step(LAYOUT, "c3", 1) == Layout((1,), ((7, (2,)), (8, (3,)), (9, (4,))))


def test_a_group_takes_along_what_it_holds() -> None:
    assert step(LAYOUT, "g7", 1) == Layout((1,), ((8, ()), (7, (2, 3)), (9, (4,))))


@pytest.mark.parametrize("token", ["c1", "g7"])
def test_nothing_steps_over_the_end(token: str) -> None:
    assert step(LAYOUT, token, -1) == LAYOUT


def test_a_step_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(LayoutError):
        step(LAYOUT, "c77", 1)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    items = draw(st.permutations(range(draw(st.integers(0, 12)))))
    count = draw(st.integers(0, 4))
    cuts = sorted(draw(st.lists(st.integers(0, len(items)), min_size=count, max_size=count)))
    edges = [*cuts, len(items)]
    groups = tuple((100 + n, tuple(items[edges[n] : edges[n + 1]])) for n in range(count))
    return Layout(tuple(items[: edges[0]]), groups)


@given(layouts(), st.lists(st.tuples(st.integers(0, 30), st.sampled_from([-1, 1])), max_size=20))
def test_whatever_is_stepped_places_have_no_gaps_and_no_repeats(layout: Layout, steps: list[tuple[int, int]]) -> None:
    start = layout
    for number, direction in steps:
        if layout.tokens:
            layout = step(layout, layout.tokens[number % len(layout.tokens)], direction)
    assert sorted(layout.tokens) == sorted(start.tokens)
    places: dict[int | None, list[int]] = {}
    for group, place in layout.positions.values():
        places.setdefault(group, []).append(place)
    assert all(sorted(found) == list(range(len(found))) for found in places.values())


@given(layouts(), st.randoms())
def test_any_shuffle_of_the_tokens_is_a_layout_of_the_same_things(layout: Layout, random: object) -> None:
    tokens = layout.tokens
    random.shuffle(tokens)  # type: ignore[attr-defined]
    assert read_layout(tokens, layout).tokens == tokens


@given(st.lists(st.integers(), unique=True, min_size=1), st.integers(-3, 3), st.data())
def test_moving_keeps_everything(order: list[int], by: int, data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(order))
    after = moved(order, item, by)
    assert sorted(after) == sorted(order)
    assert [each for each in after if each != item] == [each for each in order if each != item]
