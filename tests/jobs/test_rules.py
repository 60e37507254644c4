"""What customers see of work statuses: mapping, hiding, colours, and what a table must be to be saved."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.rules import text_key
from portal.brand import contrast
from portal.jobs.rules import (
    NEUTRAL_NAME,
    PALETTE,
    STATUSES_AT_MOST,
    Category,
    PublicStatus,
    Role,
    Showing,
    StatusTable,
    Unseen,
    WorkKind,
    check,
    defaults,
    normal,
    normal_colour,
    public_key,
    public_order,
    resolve,
    text_colour,
    warnings,
)
from tests.jobs.tables import any_table, id_of, job_table, row, saved_table, table


def seen(of: StatusTable, status_id: int) -> PublicStatus:
    found = resolve(of, status_id)
    assert isinstance(found, PublicStatus)
    return found


def end_of(of: StatusTable, status_id: int) -> int:
    """The end of a chain, walked one by one: an own way to what `resolve` follows."""
    each = of.by_id[status_id]
    return end_of(of, each.mapped_to_id or 0) if each.showing is Showing.MAPPED else status_id


# Resolving


@given(any_table())
def test_resolving_ends_on_any_table_and_is_never_blank(of: StatusTable) -> None:
    for each in [*of.by_id, 0, 99]:
        found = resolve(of, each)
        assert isinstance(found, Unseen) or (found.name.strip() and found.key and found.color)
        assert resolve(of, each) == found


@given(saved_table())
def test_a_chain_shows_what_its_end_shows(of: StatusTable) -> None:
    for each in of.by_id:
        assert resolve(of, each) == resolve(of, end_of(of, each))


@given(saved_table())
def test_nothing_hidden_is_shown_through_a_mapping(of: StatusTable) -> None:
    for each in of.by_id:
        end = of.by_id[end_of(of, each)]
        found = resolve(of, each)
        if end.showing is Showing.ITSELF:
            assert isinstance(found, PublicStatus)
            assert of.by_id[found.id].showing is Showing.ITSELF
            assert text_key(found.name) == text_key(end.portal_name)
        else:
            assert found is (Unseen.HIDDEN if end.showing is Showing.HIDDEN else Unseen.ITEM_HIDDEN)


@given(saved_table())
def test_resolving_what_a_status_shows_changes_nothing(of: StatusTable) -> None:
    for each in of.by_id:
        found = resolve(of, each)
        if isinstance(found, PublicStatus):
            assert resolve(of, found.id) == found


@given(saved_table())
def test_the_first_in_order_lends_its_look_to_all_of_the_same_name(of: StatusTable) -> None:
    public = public_order(of)
    assert [each.place for each in public] == list(range(len(public)))
    places = {each.id: place for place, each in enumerate(of.rows)}
    assert all(places[one.id] < places[other.id] for one, other in pairwise(public))
    assert len({each.key for each in public}) == len({text_key(each.name) for each in public}) == len(public)
    for each in of.rows:
        found = resolve(of, each.id)
        if isinstance(found, PublicStatus):
            assert found in public
            assert (found.name, found.color) == (of.by_id[found.id].portal_name, of.by_id[found.id].shown_color)


def test_mapping_beats_naming_and_takes_name_colour_and_place_of_the_end() -> None:
    of = table(
        row(1, "Parked", portal_name="Parked by us", portal_color="#dc2626", shown_as=2),
        row(2, "Waiting", portal_name="Waiting for parts", shown_as=3),
        row(3, "Sent", portal_name="With you", color="#2457d6", portal_color="#15803d"),
    )
    assert seen(of, 1) == seen(of, 2) == seen(of, 3)
    assert (seen(of, 1).name, seen(of, 1).color, seen(of, 1).id) == ("With you", "#15803d", 3)


@pytest.mark.parametrize("showing", [Showing.HIDDEN, Showing.ITEM_HIDDEN])
def test_what_is_shown_as_something_hidden_is_hidden_in_the_same_way(showing: Showing) -> None:
    of = table(row(1, "A", shown_as=2), row(2, "B", shown_as=3), row(3, "C", showing=showing))
    assert resolve(of, 1) is resolve(of, 3) is Unseen(showing.value)


def test_a_loop_nobody_checked_shows_a_neutral_status() -> None:
    of = table(row(1, "Secret", shown_as=2), row(2, "Hush", shown_as=1), row(3, "Lost", shown_as=9))
    assert {seen(of, each).name for each in (1, 2, 3)} == {NEUTRAL_NAME}


def test_two_statuses_of_one_portal_name_are_one_to_customers() -> None:
    of = table(row(1, "A", portal_name="With us", color="#dc2626"), row(2, "B", portal_name="with  US"))
    assert seen(of, 1) == seen(of, 2)
    assert (seen(of, 2).name, seen(of, 2).color) == ("With us", "#dc2626")


def test_a_portal_name_that_is_anothers_internal_name_leads_nowhere_else() -> None:
    of = table(row(1, "Draft", portal_name="Sent", color="#dc2626"), row(2, "Sent", portal_name="With you"))
    assert (seen(of, 1).color, seen(of, 2).name) == ("#dc2626", "With you")


def test_an_archived_status_lends_its_look_only_where_no_other_has_the_name() -> None:
    of = table(
        row(1, "Old", portal_name="With us", color="#dc2626", is_archived=True),
        row(2, "New", portal_name="With us", color="#15803d"),
    )
    assert seen(of, 1).id == 2


def test_the_key_is_made_of_kind_and_name_alone() -> None:
    of = table(row(7, "Secret", portal_name="With us"))
    assert seen(of, 7).key == public_key(WorkKind.JOB, "WITH  us") != public_key(WorkKind.QUOTE, "With us")
    assert seen(table(row(3, "Other", portal_name="With us", color="#dc2626")), 3).key == seen(of, 7).key


# Colours


@given(st.integers(0, 0xFFFFFF))
def test_text_on_any_colour_can_be_read(number: int) -> None:
    ground = f"#{number:06x}"
    assert contrast(text_colour(ground), ground) >= 4.5


def test_the_palette_is_of_colours_that_differ() -> None:
    assert len({swatch.colour for swatch in PALETTE}) == len({swatch.name for swatch in PALETTE}) == 12
    assert all(normal_colour(swatch.colour) == swatch.colour for swatch in PALETTE)


@pytest.mark.parametrize(
    ("typed", "colour"),
    [("#2457D6", "#2457d6"), (" 2457d6 ", "#2457d6"), ("#fa0", "#ffaa00"), ("fa0", "#ffaa00")],
)
def test_a_colour_is_read_as_people_write_it(typed: str, colour: str) -> None:
    assert normal_colour(typed) == colour


@pytest.mark.parametrize("typed", ["", "#", "blue", "#12345", "#1234567", "rgb(1,2,3)", "#ffffff;x", "#١٢٣", "#fff\n#"])
def test_what_is_no_colour_is_none(typed: str) -> None:
    assert normal_colour(typed) is None


# What may be saved


def sentences(of: StatusTable) -> list[str]:
    return [problem.sentence for problem in check(normal(of))]


@pytest.mark.parametrize("kind", WorkKind)
def test_what_an_installation_begins_with_may_be_saved(kind: WorkKind) -> None:
    of = defaults(kind)
    assert check(of) == []
    assert normal(of) == of
    assert isinstance(resolve(of, id_of(of, Role.REQUESTED)), PublicStatus)


def test_a_quote_that_begins_as_a_draft_is_not_in_the_portal() -> None:
    of = defaults(WorkKind.QUOTE)
    assert resolve(of, id_of(of, Role.DRAFT)) is Unseen.HIDDEN


@given(saved_table())
def test_tables_without_loops_may_be_saved_and_stay_as_they_are(of: StatusTable) -> None:
    assert check(of) == []
    assert normal(of) == of
    assert StatusTable.from_json(of.kind, of.to_json()) == of


@given(any_table())
def test_making_a_table_normal_twice_is_making_it_once(of: StatusTable) -> None:
    assert normal(normal(of)) == normal(of)


@given(any_table(most=5))
def test_what_passes_the_check_holds_no_loop_and_hides_no_request(of: StatusTable) -> None:
    system = job_table().rows
    whole = normal(StatusTable.of(of.kind, [*system, *(replace(each, id=each.id + 100) for each in of.rows)]))
    if not check(whole):
        for each in whole.rows:
            if each.showing is Showing.MAPPED:
                assert end_of(whole, each.id) in whole.by_id
            assert each.portal_name


def test_an_empty_portal_name_is_filled_with_the_name_of_that_moment_and_stays() -> None:
    first = normal(table(row(1, "On  hold ", portal_name="  ")))
    assert (first.rows[0].name, first.rows[0].portal_name) == ("On hold", "On hold")
    renamed = normal(table(replace(first.rows[0], name="Parked")))
    assert renamed.rows[0].portal_name == "On hold"


def test_a_status_shown_as_itself_by_mapping_is_stored_as_not_mapped() -> None:
    stored = normal(table(row(1, "A", shown_as=1))).rows[0]
    assert (stored.showing, stored.mapped_to_id) == (Showing.ITSELF, None)


def test_names_are_unique_however_they_are_written() -> None:
    of = job_table(on_hold={"name": "iN  pROGRESS"})
    assert sentences(of) == ["There is a status called “In progress” already. Give this one another name."]


def test_a_loop_is_spelled_out() -> None:
    of = job_table(
        scheduled={"shown_as": 3}, in_progress={"shown_as": 4}, on_hold={"shown_as": 2}, completed={"shown_as": 2}
    )
    problems = check(of)
    assert [problem.sentence for problem in problems] == [
        "“Scheduled” is shown as “In progress”, which is shown as “On hold”, which is shown as “Scheduled”: "
        "that never ends. Show one of them as itself."
    ]
    assert (problems[0].status_id, problems[0].field) == (2, "showing")


@pytest.mark.parametrize("showing", [Showing.HIDDEN, Showing.ITEM_HIDDEN])
def test_requested_cannot_be_hidden(showing: Showing) -> None:
    assert sentences(job_table(requested={"showing": showing})) == [
        "“Requested” cannot be hidden: it is where jobs booked in the portal land. "
        "Give it another name, or show it as another status."
    ]


def test_requested_cannot_be_hidden_behind_another_status() -> None:
    of = job_table(requested={"shown_as": 4}, on_hold={"showing": Showing.HIDDEN})
    assert sentences(of) == [
        "“Requested” is shown as “On hold”, which customers do not see. It is where jobs booked in the portal land, "
        "so show it as something they do see."
    ]


def test_requested_may_be_shown_as_something_customers_see() -> None:
    assert sentences(job_table(requested={"shown_as": 2})) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": " "}, "Give the status a name."),
        ({"name": "x" * 61}, "A name has at most 60 characters."),
        ({"portal_name": "x" * 61}, "A name has at most 60 characters."),
        ({"color": "blue"}, "A colour is # and six digits from 0 to f, such as #2457d6."),
        ({"portal_color": "#12"}, "A colour is # and six digits from 0 to f, such as #2457d6."),
        ({"showing": Showing.MAPPED}, "Say what customers see: this status, another one, or nothing."),
        ({"shown_as": 99}, "Say what customers see: this status, another one, or nothing."),
        ({"is_archived": True}, "“Scheduled” is needed and cannot be archived."),
        ({"role": Role.SENT}, "This list of statuses is not complete. Reload the page."),
        ({"role": None}, "This list of statuses is not complete. Reload the page."),
    ],
)
def test_what_cannot_be_saved_says_why(change: dict[str, object], sentence: str) -> None:
    assert sentence in sentences(job_table(scheduled=change))


def test_a_status_in_use_is_not_shown_as_an_archived_one() -> None:
    of = job_table(on_hold={"is_archived": True}, scheduled={"shown_as": 4})
    assert sentences(of) == ["“On hold” is archived. Choose a status that is in use."]


def test_a_name_of_an_archived_status_is_free_again() -> None:
    of = job_table(on_hold={"is_archived": True}, scheduled={"name": "On hold"})
    assert sentences(of) == []


def test_there_is_an_end_to_how_many_there_may_be() -> None:
    more = [row(number, f"Status {number}") for number in range(100, 100 + STATUSES_AT_MOST)]
    assert sentences(StatusTable.of(WorkKind.JOB, [*job_table().rows, *more])) == [
        "There is room for 200 statuses, archived ones included."
    ]


def test_hiding_a_sent_quote_is_allowed_and_warned_about() -> None:
    of = defaults(WorkKind.QUOTE)
    assert warnings(of) == []
    hidden = StatusTable.of(
        of.kind, [replace(each, showing=Showing.HIDDEN) if each.role is Role.SENT else each for each in of.rows]
    )
    assert check(hidden) == []
    assert [each.sentence for each in warnings(hidden)] == [
        "While “Sent” is hidden, customers can neither accept nor decline a quote."
    ]
    assert warnings(job_table()) == []


def test_terminal_categories_are_the_two_that_say_so() -> None:
    assert [each for each in Category if each.is_terminal] == [Category.DONE, Category.CALLED_OFF]
