"""What the search finds, in which order, for whom, and how it stands on the page and in the palette."""

import re
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, text

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.accounts.queries.search import search_companies, search_people
from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.admin.search.groups import GROUPS, PER_GROUP, PER_PAGE
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, Holding
from portal.catalogue.queries.search import search_components, search_holdings, search_services
from portal.domains.queries.search import search_domains
from portal.extensions import db
from portal.incidents.models import Incident
from portal.incidents.queries.search import search_incidents
from portal.notifications.models import Broadcast
from portal.notifications.searching import search_broadcasts
from portal.searching import key_of
from tests.conftest import NOW, Cast, SignIn, counted_queries

PAGE, OPTIONS = "/admin/search", "/admin/search/options"


def page(client: FlaskClient, query: str, **headers: str) -> BeautifulSoup:
    answer = client.get(query, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == 200, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def sections(client: FlaskClient, wanted: str) -> dict[str, list[str]]:
    """The titles of the finds by the titles of their groups, in their order."""
    found = page(client, f"{PAGE}?q={wanted}").select("#finds section")
    return {_text(each, "h2"): [_text(line) for line in each.select(".line-title")] for each in found}


def _text(element: Tag, selector: str = "") -> str:
    found = element.select_one(selector) if selector else element
    assert found is not None
    return found.get_text(strip=True)


def test_everything_is_found_beginnings_before_what_stands_inside(town: Company, cast: Cast, sign_in: SignIn) -> None:
    assert sections(sign_in(cast.root), "oak") == {
        "Companies": ["Oak", "Oak (old)", "Oakley & Sons", "Royal Oak Hotel", "Soaked Ltd"],
        "People": ["Olivia Oakes"],
        "References": ["OAK-1", "OAK-10", "X-OAK-1"],
        "Incidents": ["Oaks, between us", "Oakham ring is cut"],
        "Components": ["Oakham ring"],
        "Services": ["Oak fibre"],
        "Broadcasts": ["Oakham ring is cut"],
    }


def test_component_groups_are_found_and_lead_to_where_they_stand(town: Company, cast: Cast, sign_in: SignIn) -> None:
    groups = {
        name: catalogue.add_group(name, by=SYSTEM, now=NOW) for name in ("Ring of oak", "Oak ring", "Croak", "Elm")
    }
    catalogue.add_component("Acorn", description=None, group_id=groups["Oak ring"].id, by=SYSTEM, now=NOW)
    events.commit()
    client = sign_in(cast.ada)
    assert sections(client, "oak")["Component groups"] == ["Oak ring", "Ring of oak", "Croak"]
    assert sections(client, "o").get("Component groups") == ["Oak ring"]
    assert next(iter(sections(client, "OAK  ring"))) == "Component groups"
    whole = page(client, f"{PAGE}?q=oak&in=groups")
    assert "3" in _text(whole, "#finds section .section-head")
    line = page(client, f"{PAGE}?q=oak+ring").select_one(".line:has(.line-title[href*='#group-'])")
    assert line is not None
    assert "1 component" in line.get_text()
    target = line.select_one("a")
    assert target is not None
    address, _, anchor = str(target["href"]).partition("#")
    found = page(client, address).select_one(f"#{anchor}")
    assert found is not None
    assert "Oak ring" in found.get_text()


def test_what_is_called_just_so_stands_first(town: Company, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert next(iter(sections(client, "oak-1"))) == "References"
    assert sections(client, "oak-1")["References"][0] == "OAK-1"
    assert next(iter(sections(client, "olivia@oak.test"))) == "People"
    assert next(iter(sections(client, "OAK"))) == "Companies"


def test_names_are_compared_as_they_are_everywhere(town: Company, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    for wanted in ("SÖREN  GRÖSSE", "größe", "So\u0308ren", "sören gr"):
        assert sections(client, wanted) == {"People": ["Sören Größe"]}, wanted
    assert sections(client, "ｏａｋ-10")["References"] == ["OAK-10"]  # as some keyboards type it


def test_a_change_of_name_is_found_and_the_old_one_is_not(town: Company, cast: Cast, sign_in: SignIn) -> None:
    person = accounts.add_person("Before Marriage", "m@people.test", by=SYSTEM, now=NOW)
    events.commit()
    person.name = "After Wedding"
    events.commit()
    client = sign_in(cast.ada)
    assert sections(client, "after wed") == {"People": ["After Wedding"]}
    assert sections(client, "marriage") == {}


def test_rows_written_in_bulk_carry_their_compared_names(town: Company, cast: Cast, sign_in: SignIn) -> None:
    row = {"name": "Bulk Ärmel", "email": "b@x.test", "email_key": "b@x.test", "created_at": NOW}
    db.session.execute(insert(Person), [row])
    events.commit()
    assert sections(sign_in(cast.ada), "ärm") == {"People": ["Bulk Ärmel"]}
    for model, name in ((Person, "name"), (Holding, "reference"), (Component, "title"), (Incident, "title")):
        for each in db.session.scalars(select(model)):
            assert getattr(each, f"{name}_key") == key_of(getattr(each, name))


@pytest.mark.parametrize(
    ("person", "hidden"), [("root", set()), ("ada", {"Portal domains"}), ("olaf", {"Portal domains"})]
)
def test_each_role_finds_what_it_may_open(
    town: Company, cast: Cast, sign_in: SignIn, person: str, hidden: set[str]
) -> None:
    client = sign_in(getattr(cast, person))
    found = page(client, f"{PAGE}?q=o")
    titles = {_text(each) for each in found.select("#finds h2")}
    assert not titles & hidden
    assert titles >= {"Companies", "People", "References", "Incidents", "Components", "Services"}
    for link in found.select("#finds .line-title"):
        assert client.get(str(link["href"])).status_code == 200
    # A brand is found by whoever may open portal domains, and by nobody else.
    assert ("Portal domains" in sections(client, "northl")) == (not hidden)
    assert client.get(f"{PAGE}?q=north&in=portals").status_code == (404 if hidden else 200)


def test_a_group_has_a_page_of_its_own(town: Company, cast: Cast, sign_in: SignIn) -> None:
    for number in range(PER_PAGE + 8):
        accounts.add_company(f"Pine {number:03}", by=SYSTEM, now=NOW)
    accounts.add_company("Big pine", by=SYSTEM, now=NOW)
    events.commit()
    client = sign_in(cast.ada)
    first = page(client, f"{PAGE}?q=pine")
    assert [_text(line) for line in first.select(".line-title")] == [f"Pine {number:03}" for number in range(PER_GROUP)]
    more = first.select_one(".section-action")
    assert more is not None
    listed = page(client, str(more["href"]))
    assert "59 found" in listed.get_text()
    assert [_text(line) for line in listed.select(".line-title")] == [f"Pine {number:03}" for number in range(PER_PAGE)]
    rest = page(client, f"{PAGE}?q=pine&in=companies&page=2")
    expected = [*(f"Pine {number:03}" for number in range(PER_PAGE, PER_PAGE + 8)), "Big pine"]
    assert [_text(line) for line in rest.select(".line-title")] == expected


def test_nothing_found_and_nothing_asked_say_what_to_do(town: Company, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert "Nothing found" in page(client, f"{PAGE}?q=zebra").get_text()
    assert "circuit numbers" in page(client, PAGE).get_text()
    assert page(client, OPTIONS, HX_Request="true").select("[role=option]") == []


def test_the_options_are_a_list_that_can_be_read_out(town: Company, cast: Cast, sign_in: SignIn) -> None:
    found = page(sign_in(cast.ada), f"{OPTIONS}?q=oak", HX_Request="true")
    options = found.select("[role=listbox] > [role=group] > [role=option]")
    assert [_text(each, ".option-title") for each in options][:2] == ["Oak", "Oak (old)"]
    assert len({each["id"] for each in found.select("[id]")}) == len(found.select("[id]"))
    for group in found.select("[role=group]"):
        assert found.select_one(f"#{group['aria-labelledby']}")
    root = found.select_one("#options")
    assert root is not None
    assert re.match(r"\d+ finds", str(root["data-told"]))
    assert root["data-text"] == "oak"
    assert {str(each["data-address"]).split("?")[0] for each in found.select("[role=option]")} >= {
        f"/admin/companies/{town.id}",
        PAGE,
    }


def test_every_staff_page_has_the_palette_and_no_other_page(cast: Cast, sign_in: SignIn) -> None:
    for path in ("/admin/", "/admin/companies", "/admin/incidents", PAGE):
        found = page(sign_in(cast.olaf), path)
        opener = found.select_one("a[data-palette]")
        assert opener is not None
        assert opener["href"] == PAGE
        assert found.select_one("dialog#palette [role=combobox]")
    assert not page(sign_in(cast.alice), "/").select("#palette, [data-palette]")


def test_the_number_of_queries_does_not_grow_with_the_finds(town: Company, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)

    def asked() -> int:
        client.get(f"{OPTIONS}?q=oak")
        with counted_queries() as statements:
            client.get(f"{OPTIONS}?q=oak", headers={"HX-Request": "true"})
        return len(statements)

    few = asked()
    for number in range(30):
        accounts.add_person(f"Oak {number}", f"oak{number}@people.test", by=SYSTEM, now=NOW)
    events.commit()
    assert asked() <= few <= 3 * len(GROUPS) + 8


def test_beginnings_are_found_through_an_index(app: Flask, town: Company) -> None:
    """On SQLite the plan is the same however few rows there are; PostgreSQL reads few rows whole."""
    if db.engine.dialect.name != "sqlite":
        with counted_queries() as statements:
            search_holdings(STAFF, "oak-1", 5, NOW)
        assert any("~>=~" in statement for statement in statements)
        names = text("SELECT tablename FROM pg_indexes WHERE indexdef LIKE '%text_pattern_ops%'")
        assert set(db.session.scalars(names)) == {"company", "person", "holding", "work_item"}
        return
    with counted_queries() as statements:
        search_companies(STAFF, "oak", 1)
        search_people(STAFF, "oli", 1)
        search_holdings(STAFF, "oak", 1, NOW)
    for statement in statements:
        if " LIKE " in statement:
            continue
        marks = statement.count("?")
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("x",) * marks).all()
        searched = [row[3] for row in plan]
        assert not [step for step in searched if step.startswith("SCAN")], f"{statement}\n{searched}"


def test_a_company_finds_its_own_and_somebody_signed_out_next_to_nothing(town: Company, cast: Cast) -> None:
    """The capabilities answer for any viewpoint, so that customers may be given a search of their own."""
    now = NOW + timedelta(days=1)
    own = Viewpoint(company_id=cast.a.id)
    assert [hit.reference for hit in search_holdings(own, "oak", 9, now).items] == ["OAK-10"]
    assert [hit.name for hit in search_services(own, "oak", 9, now).items] == ["Oak fibre"]
    assert [hit.name for hit in search_companies(own, "o", 9).items] == []
    assert [hit.name for hit in search_companies(own, "alder", 9).items] == ["Alder Dental"]
    assert {hit.name for hit in search_people(own, "people.test", 9).items} == {"Alice", "Bob"}
    for viewpoint in (own, SIGNED_OUT):
        assert [hit.title for hit in search_incidents(viewpoint, "oak", 9, now).items] == ["Oakham ring is cut"]
        assert [hit.title for hit in search_components(viewpoint, "oak", 9).items] == ["Oakham ring"]
        assert not search_domains(viewpoint, "north", 9).items
        assert not search_broadcasts(viewpoint, "oak", 9).items
    for nothing in (
        search_holdings(SIGNED_OUT, "oak", 9, now),
        search_services(SIGNED_OUT, "oak", 9, now),
        search_companies(SIGNED_OUT, "oak", 9),
        search_people(SIGNED_OUT, "oak", 9),
    ):
        assert nothing.items == ()


def test_what_was_written_in_an_incident_is_found_after_the_titles(town: Company) -> None:
    found = search_incidents(STAFF, "digger", 9, clock.utcnow())
    assert [hit.title for hit in found.items] == ["Oaks, between us", "Oakham ring is cut"]
    public = db.session.scalars(select(Incident).where(Incident.title == "Oakham ring is cut")).one()
    exact = search_incidents(STAFF, public.public_id, 9, clock.utcnow())
    assert (exact.is_exact, [hit.id for hit in exact.items]) == (True, [public.id])
    assert db.session.scalar(select(Broadcast.title_key)) == "oakham ring is cut"
