"""What an item says and costs, found by its number, and somebody's own day."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.audit.rules import SYSTEM, Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.jobs.actions import move
from portal.jobs.actions.items import Facts, assign_many, edit_item, set_lines
from portal.jobs.queries import items as reading
from portal.jobs.rules import Role, WorkKind, written_number
from portal.jobs.rules.amounts import LineGiven, line_net, read_number, totals, written
from portal.jobs.searching import search_work
from tests.conftest import NOW, Cast, counted_queries
from tests.jobs.conftest import Make, role, settings

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("text", "places", "number"),
    [
        ("1,250.00", 2, 125_000),
        ("12,50", 2, 1250),
        ("1,234", 2, 123_400),
        ("-80", 2, -8000),
        ("\u22125.5", 2, -550),
        (".5", 3, 500),
        ("1.5000", 3, 1500),
        ("20 %", 2, 2000),
        ("0", 2, 0),
        ("", 2, None),
        ("-", 2, None),
        (".", 2, None),
        ("1.005", 2, None),
        ("1e5", 2, None),
        ("12,34,56", 2, None),
        ("١٢", 2, None),
        ("9" * 30, 2, None),
    ],
)
def test_numbers_are_read_as_people_type_them(text: str, places: int, number: int | None) -> None:
    assert read_number(text, places) == number


@given(st.integers(-(10**12), 10**12), st.integers(0, 3), st.integers(0, 3))
def test_a_number_that_was_written_is_read_as_the_same(value: int, places: int, least: int) -> None:
    assert read_number(written(value, places, min(least, places)), places) == value


def test_totals_add_up_and_round_half_away_from_nothing() -> None:
    lines = [
        LineGiven("Half a penny up", 500, 1, 0),
        LineGiven("Labour", 1500, 8001, 2000),
        LineGiven("Reduction", 500, -1, 2000),
        LineGiven("Reduced rate", 1000, 999, 500),
    ]
    assert [line_net(line) for line in lines] == [1, 12_002, -1, 999]
    told = totals(lines)
    assert [(part.tax_hundredths, part.net, part.tax) for part in told.taxes] == [(2000, 12_001, 2400), (500, 999, 50)]
    assert (told.net, told.tax, told.gross) == (13_001, 2450, 15_451)


LINE = st.builds(
    LineGiven,
    st.just("x"),
    st.integers(0, 10**9),
    st.integers(-(10**10), 10**10),
    st.integers(0, 10_000),
)


@given(st.lists(LINE, max_size=8))
def test_the_order_of_lines_changes_no_total(lines: list[LineGiven]) -> None:
    told = totals(lines)
    assert told == totals(lines[::-1])
    assert told.net == sum(line_net(line) for line in lines)
    assert told.gross == told.net + sum(part.tax for part in told.taxes)


def test_an_edit_that_changes_nothing_leaves_no_trace(make: Make) -> None:
    item = make()
    revision, version = item.public_revision, item.version
    assert not edit_item(item, Facts("Move the router"), version=version, by=SYSTEM, now=NOW)
    assert (item.public_revision, item.version) == (revision, version)
    assert edit_item(
        item, Facts("Move the router", assignee_id=None, external_number="X"), version=version, by=SYSTEM, now=NOW
    )
    assert item.public_revision == revision
    assert edit_item(item, Facts("Move it", external_number="X"), version=item.version, by=SYSTEM, now=NOW)
    assert item.public_revision == revision + 1
    with pytest.raises(StaleEdit):
        edit_item(item, Facts("Late"), version=version, by=SYSTEM, now=NOW)
    with pytest.raises(RuleViolation, match="has this number"):
        edit_item(make(), Facts("Other", external_number="X"), version=2, by=SYSTEM, now=NOW)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (LineGiven(" "), "description-1"),
        (LineGiven("x" * 501), "description-1"),
        (LineGiven("x", -1), "quantity-1"),
        (LineGiven("x", 1, 10**11), "price-1"),
        (LineGiven("x", 1, 1, 10_001), "tax-1"),
    ],
)
def test_a_line_that_cannot_be_is_named(make: Make, line: LineGiven, field: str) -> None:
    item = make(kind=WorkKind.QUOTE)
    with pytest.raises(RuleViolation) as refused:
        set_lines(item, [LineGiven("Fine"), line], version=item.version, by=SYSTEM, now=NOW)
    assert refused.value.field == field


def test_somebodys_day_is_told_from_what_is_late_and_what_comes(cast: Cast, make: Make) -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    def planned(hours: float | None, length: float | None = 1) -> int:
        start = None if hours is None else now + timedelta(hours=hours)
        item = make()
        item.assignee_id, item.starts_at = cast.olaf.id, start
        item.ends_at = start + timedelta(hours=length) if start and length else None
        db.session.flush()
        return item.id

    late, over, today, evening = planned(-30), planned(-3), planned(1), planned(11.5)
    ahead, far, unplanned, open_end = planned(24), planned(24 * 20), planned(None), planned(-5, None)
    work = reading.own_work(cast.olaf.id, now, LONDON)
    assert [item.id for item in work.overdue] == [late, over]
    assert [item.id for item in work.now] == [open_end, today, evening]
    assert [item.id for item in work.ahead] == [ahead]
    assert [item.id for item in work.unplanned] == [unplanned]
    assert far not in {item.id for item in work.items}
    with counted_queries() as asked:
        reading.own_work(cast.olaf.id, now, LONDON)
    assert len(asked) <= 4


def test_a_column_of_what_is_finished_shows_the_last_only_and_counts_all(make: Make) -> None:
    made = [make(Role.COMPLETED) for _number in range(reading.CARDS_FINISHED + 2)]
    table, kind = settings().table, WorkKind.JOB
    board = reading.board(kind, table, reading.Filters(), NOW, LONDON)
    done = next(column for column in board.columns if column.status_id == table.with_role(Role.COMPLETED).id)
    assert done.total == len(made)
    assert list(done.items) == made[:1:-1]


def test_a_column_is_counted_no_further_than_a_thousand(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for _number in range(3):
        make(Role.SCHEDULED)
    table, scheduled = settings().table, role(Role.SCHEDULED).id

    def column() -> tuple[int, bool]:
        board = reading.board(WorkKind.JOB, table, reading.Filters(), NOW, LONDON)
        return next((each.total, each.is_counted) for each in board.columns if each.status_id == scheduled)

    monkeypatch.setattr(reading, "COLUMN_COUNTED_AT_MOST", 3)
    assert column() == (3, True)
    monkeypatch.setattr(reading, "COLUMN_COUNTED_AT_MOST", 2)
    assert column() == (2, False)


@pytest.mark.parametrize("sort", [reading.Sort.COMPANY, reading.Sort.STATUS, reading.Sort.ASSIGNEE])
@pytest.mark.parametrize("is_descending", [False, True])
def test_a_long_list_is_sorted_as_a_short_one(
    cast: Cast, make: Make, monkeypatch: pytest.MonkeyPatch, sort: reading.Sort, is_descending: bool
) -> None:
    roles = [Role.SCHEDULED, Role.ON_HOLD, Role.REQUESTED]
    people = [cast.olaf.id, None, cast.ada.id]
    for number in range(18):
        item = make(roles[number % 3], company_id=(cast.a.id, cast.b.id)[number % 2])
        item.assignee_id = people[(number // 2) % 3]
    db.session.flush()
    filters = reading.Filters(sort=sort, is_descending=is_descending, stage=reading.Stage.OPEN)

    def pages() -> list[int]:
        found = [reading.items_page(WorkKind.JOB, filters, page, NOW, LONDON) for page in (1, 2, 3)]
        return [item.id for page in found for item in page.items]

    monkeypatch.setattr(reading, "PER_PAGE", 7)
    short = pages()
    assert len(set(short)) == 18
    monkeypatch.setattr(reading, "SORTED_AT_ONCE", 0)
    assert pages() == short
    with counted_queries() as asked:
        reading.items_page(WorkKind.JOB, filters, 1, NOW, LONDON)
    assert len(asked) <= 8


def test_what_holds_a_text_is_counted_a_little_only(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [make() for _number in range(4)]
    filters = reading.Filters(text="router")
    monkeypatch.setattr(reading, "SORTED_AT_ONCE", 3)
    page = reading.items_page(WorkKind.JOB, filters, 1, NOW, LONDON)
    assert (page.total, page.is_counted, list(page.items)) == (3, False, made[::-1])
    monkeypatch.setattr(reading, "SORTED_AT_ONCE", 4)
    page = reading.items_page(WorkKind.JOB, filters, 1, NOW, LONDON)
    assert (page.total, page.is_counted, list(page.items)) == (4, True, made[::-1])


def test_a_number_typed_whole_means_that_item(make: Make) -> None:
    item, other = make(), make()
    number = written_number(WorkKind.JOB, item.number)
    other.title = f"After {number}"
    db.session.flush()

    def found(text: str) -> list[int]:
        page = reading.items_page(WorkKind.JOB, reading.Filters(text=text), 1, NOW, LONDON)
        return [each.id for each in page.items]

    assert found(number) == [item.id]
    assert found("after") == [other.id]
    other.external_number = number
    db.session.flush()
    assert set(found(number)) == {item.id, other.id}


def test_the_timeline_of_staff_names_people_by_their_names(cast: Cast, make: Make) -> None:
    item = make(Role.SCHEDULED)
    move(item, role(Role.COMPLETED).id, by=Actor(cast.olaf.email, cast.olaf.id), now=NOW)
    assert [each.by_name for each in reading.past_moves(item)] == ["Olaf", SYSTEM.label]


def test_a_day_has_as_many_hours_as_clocks_give_it() -> None:
    for day, hours in ((datetime(2026, 3, 29, 12, tzinfo=UTC), 23), (datetime(2026, 10, 25, 12, tzinfo=UTC), 25)):
        start, end = reading.day_around(day, LONDON)
        assert end - start == timedelta(hours=hours)


def test_work_is_found_by_number_title_and_number_elsewhere_by_staff_only(cast: Cast, make: Make) -> None:
    item = make()
    item.external_number = "WO-77"
    db.session.commit()

    def found(text: str, viewpoint: Viewpoint = STAFF, kind: WorkKind = WorkKind.JOB) -> list[int]:
        return [hit.id for hit in search_work(viewpoint, kind, text, 5).items]

    number = written_number(WorkKind.JOB, item.number)
    for text in (number, number.lower(), "router", "WO-77", "move the"):
        assert found(text) == [item.id]
    assert found("J-999999") == found(number, kind=WorkKind.QUOTE) == []
    assert found("router", SIGNED_OUT) == found("router", Viewpoint(company_id=cast.a.id)) == []


def test_many_are_given_to_somebody_who_is_of_the_staff(cast: Cast, make: Make) -> None:
    item = make()
    with pytest.raises(RuleViolation):
        assign_many(item.kind, {item.id: item.version}, cast.alice.id, by=SYSTEM, now=NOW)
    done = assign_many(item.kind, {item.id: item.version, 4711: 1}, cast.olaf.id, by=SYSTEM, now=NOW)
    assert [each.outcome.value for each in done] == ["moved", "missing"]
