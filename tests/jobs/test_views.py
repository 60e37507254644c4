"""The public view of an item: what its customer reads, and what the past does not tell."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from portal.jobs.rules import (
    Move,
    PublicEvent,
    PublicStatus,
    PublicView,
    Revision,
    Showing,
    StatusTable,
    Unseen,
    fold,
    resolve,
)
from tests.jobs.tables import at, history, job_table

REQUESTED, SCHEDULED, IN_PROGRESS, ON_HOLD, COMPLETED = 1, 2, 3, 4, 5


def told(moves: Sequence[Move], revisions: Sequence[Revision]) -> PublicView:
    """The view by its definition and nothing else: every moment, every status, one after the other."""
    moments: list[tuple[int, int, datetime, int | None]] = [
        *((each.revision, 1 + place, each.at, each.status_id) for place, each in enumerate(moves)),
        *((each.number, 0, each.saved_at, None) for each in revisions),
    ]
    tables = {each.number: each.table for each in revisions}
    present, current, events = revisions[-1].table, 0, []
    for number, _place, moment, moved_to in sorted(moments, key=lambda each: each[:2]):
        current = moved_to or current
        if current and isinstance(resolve(tables[number], current), PublicStatus):
            now = resolve(present, current)
            if isinstance(now, PublicStatus):
                events.append((moment, now))
    if not moves or resolve(present, current) is Unseen.ITEM_HIDDEN:
        return PublicView()
    runs = [list(run) for _key, run in groupby(events, key=lambda event: event[1].key)]
    return PublicView(tuple(PublicEvent(*run[0]) for run in runs))


def read(moves: Sequence[Move], revisions: Sequence[Revision]) -> list[tuple[str, datetime]]:
    return [(event.status.name, event.at) for event in fold(moves, revisions).events]


def path(*steps: tuple[int, int], revision: int = 1) -> list[Move]:
    return [Move(status_id, at(hour), revision) for status_id, hour in steps]


@given(history())
def test_the_fold_is_what_its_definition_says(given: tuple[list[Move], list[Revision]]) -> None:
    assert fold(*given) == told(*given)


@given(history())
def test_nothing_customers_do_not_see_now_is_in_the_view(given: tuple[list[Move], list[Revision]]) -> None:
    moves, revisions = given
    view = fold(moves, revisions)
    assert all(one.status.key != other.status.key for one, other in pairwise(view.events))
    visible = {
        found.key
        for each in revisions[-1].table.rows
        if isinstance(found := resolve(revisions[-1].table, each.id), PublicStatus)
    }
    assert {event.status.key for event in view.events} <= visible
    moments = {each.at for each in moves} | {each.saved_at for each in revisions}
    assert {event.at for event in view.events} <= moments


@given(history())
def test_a_save_that_shows_the_same_statuses_alike_moves_no_date(given: tuple[list[Move], list[Revision]]) -> None:
    moves, revisions = given
    last = revisions[-1]
    renamed = StatusTable.of(last.table.kind, [replace(each, name=f"Hush {each.id}") for each in last.table.rows])
    again = [*revisions, Revision(last.number + 1, at(99), renamed)]
    assert fold(moves, again) == fold(moves, revisions)


@given(history(), st.integers(0, 6))
def test_what_came_later_is_not_known_earlier(given: tuple[list[Move], list[Revision]], count: int) -> None:
    """Time travel: the view of a day is the fold over what was there on that day."""
    moves, revisions = given
    earlier = moves[:count]
    known = [each for each in revisions if not earlier or each.number <= earlier[-1].revision] or revisions[:1]
    view = fold(earlier, known)
    moments = [known[-1].saved_at, *(each.at for each in earlier)]
    assert all(event.at <= max(moments) for event in view.events)
    assert view == told(earlier, known)


def test_an_item_without_moves_is_not_in_the_portal() -> None:
    view = fold([], [Revision(1, at(0), job_table())])
    assert (view.status, view.since, view.is_in_portal) == (None, None, False)


def test_each_visible_move_is_an_event_of_its_time() -> None:
    moves = path((REQUESTED, 1), (SCHEDULED, 2), (COMPLETED, 5))
    assert read(moves, [Revision(1, at(0), job_table())]) == [
        ("Requested", at(1)),
        ("Scheduled", at(2)),
        ("Completed", at(5)),
    ]


def test_a_hidden_status_keeps_the_last_visible_one_and_its_date() -> None:
    settings = [Revision(1, at(0), job_table(on_hold={"showing": Showing.HIDDEN}))]
    view = fold(path((SCHEDULED, 1), (ON_HOLD, 3)), settings)
    assert view.status is not None
    assert (view.status.name, view.since) == ("Scheduled", at(1))


def test_coming_back_from_a_hidden_status_is_no_event() -> None:
    settings = [Revision(1, at(0), job_table(on_hold={"showing": Showing.HIDDEN}))]
    assert read(path((SCHEDULED, 1), (ON_HOLD, 3), (SCHEDULED, 4)), settings) == [("Scheduled", at(1))]


def test_an_item_that_was_never_visible_is_not_in_the_portal() -> None:
    settings = [Revision(1, at(0), job_table(scheduled={"showing": Showing.HIDDEN}))]
    assert not fold(path((SCHEDULED, 1)), settings).is_in_portal


def test_a_status_that_hides_the_item_takes_it_out_of_the_portal_while_it_lasts() -> None:
    settings = [Revision(1, at(0), job_table(on_hold={"showing": Showing.ITEM_HIDDEN}))]
    assert not fold(path((SCHEDULED, 1), (ON_HOLD, 3)), settings).is_in_portal
    assert read(path((SCHEDULED, 1), (ON_HOLD, 3), (COMPLETED, 4)), settings) == [
        ("Scheduled", at(1)),
        ("Completed", at(4)),
    ]


def test_on_hold_shown_as_scheduled_is_no_event_beside_it() -> None:
    settings = [Revision(1, at(0), job_table(on_hold={"shown_as": SCHEDULED}))]
    assert read(path((SCHEDULED, 1), (ON_HOLD, 3), (COMPLETED, 4)), settings) == [
        ("Scheduled", at(1)),
        ("Completed", at(4)),
    ]


def test_history_is_called_as_it_is_called_now() -> None:
    settings = [
        Revision(1, at(0), job_table()),
        Revision(2, at(5), job_table(requested={"portal_name": "Submitted"}, on_hold={"shown_as": SCHEDULED})),
    ]
    moves = path((REQUESTED, 1), (SCHEDULED, 2), (ON_HOLD, 3))
    assert read(moves, settings) == [("Submitted", at(1)), ("Scheduled", at(2))]


def test_hiding_a_status_takes_it_out_of_the_past_and_brings_back_the_one_before() -> None:
    settings = [
        Revision(1, at(0), job_table()),
        Revision(2, at(5), job_table(on_hold={"showing": Showing.HIDDEN})),
    ]
    assert read(path((SCHEDULED, 1), (ON_HOLD, 3)), settings) == [("Scheduled", at(1))]


def test_unhiding_counts_from_the_save_on_and_never_reveals_the_past() -> None:
    settings = [
        Revision(1, at(0), job_table(on_hold={"showing": Showing.HIDDEN}, in_progress={"showing": Showing.HIDDEN})),
        Revision(2, at(9), job_table()),
    ]
    moves = path((SCHEDULED, 1), (IN_PROGRESS, 2), (ON_HOLD, 3))
    assert read(moves, settings) == [("Scheduled", at(1)), ("On hold", at(9))]


def test_what_was_visible_then_is_back_with_its_date_when_it_is_visible_again() -> None:
    settings = [
        Revision(1, at(0), job_table()),
        Revision(2, at(4), job_table(on_hold={"showing": Showing.HIDDEN})),
        Revision(3, at(8), job_table()),
    ]
    assert read(path((SCHEDULED, 1), (ON_HOLD, 3)), settings) == [("Scheduled", at(1)), ("On hold", at(3))]


def test_a_draft_that_is_sent_is_in_the_portal_from_then_on() -> None:
    settings = [Revision(1, at(0), job_table(in_progress={"showing": Showing.HIDDEN}))]
    assert read(path((IN_PROGRESS, 1), (SCHEDULED, 6)), settings) == [("Scheduled", at(6))]


def test_moves_written_under_later_settings_are_judged_by_the_last_that_are_known() -> None:
    settings = [Revision(4, at(0), job_table(on_hold={"showing": Showing.HIDDEN}))]
    assert read([Move(SCHEDULED, at(1), 2), Move(ON_HOLD, at(2), 9)], settings) == [("Scheduled", at(1))]
