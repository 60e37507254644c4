"""Templates of reports: their variables, their order, the set to begin with."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from portal.audit.rules import SYSTEM
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.templates import (
    TemplateContent,
    archive_template,
    edit_template,
    fill,
    keep_starters,
    keep_template,
    move_template,
    restore_template,
)
from portal.incidents.models import IncidentTemplate
from portal.incidents.queries.templates import live_templates, missing_starters, severities_of
from portal.incidents.rules import Severity, State
from portal.incidents.rules.starters import STARTERS
from portal.incidents.rules.templates import blanks, filled, own_fields, still_open, variables
from portal.incidents.rules.wordings import Wording
from tests.conftest import NOW
from tests.incidents.conftest import World


def kept(name: str, body: str = "We look into it.", **changes: Any) -> IncidentTemplate:
    return keep_template(TemplateContent(name, body, **changes), by=SYSTEM, author_id=None, now=NOW)


def names() -> list[str]:
    return [each.name for each in live_templates()]


def filled_in(body: str, world: World, title: str = "", **values: str) -> str:
    both = fill(
        title, body, (), values, component_ids=[world.trunk.id, world.fibre.id], began_at=NOW, zone="Europe/Berlin"
    )
    return both[1]


def test_variables_are_found_whichever_way_they_are_written() -> None:
    assert variables("{{place}} and {{ Place }}", "{{ticket number}} {{Ticket-Number}}") == ["place", "ticket_number"]
    assert variables("{place} {{}} {{ }} {{1st}} {{a.b}} {{ a|safe }} {% raw %}") == []
    assert own_fields("{{date}} {{components}} {{place}} {{time}} {{zone}}") == ["place"]


def test_what_a_value_holds_is_not_looked_at_again() -> None:
    assert filled("{{a}}{{b}}", {"a": "{{b}}", "b": "x"}) == "{{b}}x"
    assert filled("{{a}}", {"a": "  "}) == "{{a}}"
    assert filled("{{a}}", {"a": "{{ 7 * 7 }} <b> \\1 {% x %}"}) == "{{ 7 * 7 }} <b> \\1 {% x %}"


@given(st.text(max_size=300), st.dictionaries(st.sampled_from(["a", "place", "date"]), st.text(max_size=20)))
def test_no_text_breaks_the_rules(text: str, values: dict[str, str]) -> None:
    filled(text, values)
    assert isinstance(still_open([text, filled(text, values)]), str)
    assert all(blanks(text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("All is well.", ""),
        ("See [our page](https://example.org) and note [1].", ""),
        ("Mended by {{ who }}", "Nobody has filled {{who}} yet."),
        ("Back by [time]", "Fill in the blank [time]"),
        ("Back by […]", "Fill in the blank […]"),
        ("Back by [ ... ]", "Fill in the blank [...]"),
    ],
)
def test_what_is_left_open_is_said(text: str, sentence: str) -> None:
    assert still_open([text]).startswith(sentence)
    assert bool(still_open([text])) is bool(sentence)


def test_what_everybody_knows_is_filled(world: World) -> None:
    said = filled_in("{{components}} fail since {{date}} {{time}} {{zone}} at {{place}}.", world, place="Leeds")
    local = NOW.astimezone(ZoneInfo("Europe/Berlin"))
    assert said == f"Fibre and Trunk fail since {local.day} {local:%B %Y} {local:%H:%M} {local.tzname()} at Leeds."


def test_an_own_value_replaces_nothing_that_is_known(world: World) -> None:
    assert filled_in("{{components}}", world, components="Everything") == "Fibre and Trunk"


def test_an_unfilled_text_is_refused_beside_its_field(world: World) -> None:
    for title, body, told, field in (
        ("{{place}}", "Text", (), "title"),
        ("Title", "Back by [time]", (), "body"),
        ("Title", "Text", (Wording("{{circuit}}", domain_id=1),), "wordings"),
        ("Title", "{{components}}", (), "body"),
    ):
        with pytest.raises(RuleViolation) as refused:
            fill(title, body, told, {}, component_ids=[], began_at=NOW, zone="UTC")
        assert refused.value.field == field


def test_a_template_is_kept_changed_and_put_away(world: World) -> None:
    made = kept(
        "Calls fail", title="Calls through {{components}} fail", severities={world.trunk.id: Severity.PARTIAL_RTH}
    )
    assert (made.position, severities_of(made)) == (1, {world.trunk.id: Severity.PARTIAL_RTH})
    with pytest.raises(RuleViolation, match="of this name"):
        kept("calls FAIL")
    edit_template(made, TemplateContent("Calls fail", "New.", state=State.WATCHING), version=1, by=SYSTEM, now=NOW)
    assert (made.body, made.state, made.severities, made.version) == ("New.", State.WATCHING, {}, 2)
    edit_template(made, TemplateContent("Calls fail", "New.", state=State.WATCHING), version=2, by=SYSTEM, now=NOW)
    assert made.version == 2
    with pytest.raises(StaleEdit):
        edit_template(made, TemplateContent("Calls fail", "Other."), version=1, by=SYSTEM, now=NOW)
    archive_template(made, version=2, by=SYSTEM, now=NOW)
    archive_template(made, version=2, by=SYSTEM, now=NOW)
    assert names() == []
    kept("Calls fail")
    with pytest.raises(RuleViolation, match="of this name"):
        restore_template(made, version=made.version, by=SYSTEM, now=NOW)


def test_a_component_that_is_gone_is_left_out(world: World) -> None:
    made = kept("Both", severities={world.trunk.id: Severity.MAJOR_OUTAGE, world.fibre.id: Severity.PERFORMANCE_ISSUE})
    world.fibre.archived_at = NOW
    db.session.flush()
    assert severities_of(made) == {world.trunk.id: Severity.MAJOR_OUTAGE}
    with pytest.raises(RuleViolation, match="no longer exists"):
        kept("Gone", severities={world.fibre.id: Severity.MAJOR_OUTAGE})


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (TemplateContent(" ", "Text"), "name"),
        (TemplateContent("n" * 101, "Text"), "name"),
        (TemplateContent("Name", " "), "body"),
        (TemplateContent("Name", "Text", title="t" * 201), "title"),
        (TemplateContent("Name", " ".join(f"{{{{field_{number}}}}}" for number in range(9))), "body"),
    ],
)
def test_what_is_no_template_is_refused(cast: Any, content: TemplateContent, field: str) -> None:
    with pytest.raises(RuleViolation) as refused:
        keep_template(content, by=SYSTEM, author_id=None, now=NOW)
    assert refused.value.field == field


def test_their_order_is_staffs(cast: Any) -> None:
    a, b, c = kept("A"), kept("B"), kept("C")
    move_template(c, up=True, version=c.version, by=SYSTEM, now=NOW)
    assert names() == ["A", "C", "B"]
    move_template(a, up=True, version=a.version, by=SYSTEM, now=NOW)
    assert names() == ["A", "C", "B"]
    move_template(a, up=False, version=a.version, by=SYSTEM, now=NOW)
    assert names() == ["C", "A", "B"]
    with pytest.raises(StaleEdit):
        move_template(b, up=True, version=99, by=SYSTEM, now=NOW)


def test_the_set_to_begin_with_is_kept_once(cast: Any) -> None:
    kept("Fibre cut")
    assert missing_starters() == 8
    assert keep_starters(by=SYSTEM, author_id=None, now=NOW) == 7
    first = next(each for each in live_templates() if each.starter == "calls-fail")
    edit_template(first, TemplateContent("Renamed", "Changed."), version=first.version, by=SYSTEM, now=NOW)
    archive_template(first, version=first.version, by=SYSTEM, now=NOW)
    assert keep_starters(by=SYSTEM, author_id=None, now=NOW) == 0
    assert db.session.scalar(select(func.count()).select_from(IncidentTemplate)) == 8


def test_the_set_is_whole_once_its_variables_are_filled() -> None:
    assert len({each.key for each in STARTERS}) == len({each.name for each in STARTERS}) == 8
    for each in STARTERS:
        values = dict.fromkeys(variables(each.title, each.body), "x")
        assert not still_open([filled(each.title, values), filled(each.body, values)])
        assert len(own_fields(each.title, each.body)) <= 3
