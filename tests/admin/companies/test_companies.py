"""The companies screens: who may, what is refused, isolation between companies, escaping, counted."""

import re
from typing import Any, TypeVar

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.rules import SYSTEM
from portal.catalogue import actions, queries
from portal.catalogue.models import Holding
from portal.domains import actions as domains
from portal.domains.queries import admissions_of, home_of, overrides_of
from portal.domains.rules import Area
from portal.extensions import db
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in

LIST = "/admin/companies"
NASTY = "<script>alert(1)</script>\"'&"

Row = TypeVar("Row")


def fresh(kind: type[Row], row_id: int) -> Row:
    """The row as the database has it, whatever this session remembers."""
    return db.session.get_one(kind, row_id, populate_existing=True)


def post(client: FlaskClient, path: str, **fields: Any) -> tuple[int, str]:
    answer = client.post(path, data={"csrf_token": token_in(client, LIST), **fields})
    return answer.status_code, answer.get_data(as_text=True)


def test_companies_are_listed_searched_and_filtered(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)

    def shown(query: str) -> list[bool]:
        page = client.get(LIST + query).get_data(as_text=True)
        return [name in page for name in ("Alder Dental", "Birch Logistics")]

    assert shown("") == [True, True]
    assert shown("?q=birch") == [False, True]
    assert shown("?q=alice@people") == [True, False]
    assert shown(f"?portal={cast.domain_b.id}") == [False, True]
    assert shown("?show=archived") == [False, False]
    assert "No company matches" in client.get(f"{LIST}?q=%25").get_data(as_text=True)
    assert client.get(f"{LIST}?portal=x").status_code == 200


@pytest.mark.parametrize("page", ["0", "2", "-1", "a", "99999999999999999999", "１"])
def test_t30_a_page_that_does_not_exist_is_404(cast: Cast, sign_in: SignIn, page: str) -> None:
    assert sign_in(cast.olaf).get(f"{LIST}?page={page}").status_code == 404


def test_the_office_reads_and_only_admins_write(cast: Cast, sign_in: SignIn) -> None:
    for person in (cast.olaf, cast.ada):
        client = sign_in(person)
        page = client.get(f"{LIST}/{cast.a.id}").get_data(as_text=True)
        assert "alice@people.test" in page
        assert "/admin/people/invite" not in page
        for path in ("/new", f"/{cast.a.id}/edit", f"/{cast.a.id}/archive"):
            assert post(client, LIST + path, name="X", version=1)[0] == 403
    assert post(sign_in(cast.olaf), f"{LIST}/{cast.a.id}/holdings/new")[0] == 403


def test_a_company_is_added_with_its_home(cast: Cast, sign_in: SignIn) -> None:
    status, _ = post(sign_in(cast.root), f"{LIST}/new", name="Cedar Law", home_id=str(cast.domain_a.id))
    assert status == 303
    added = db.session.scalars(select(Company).where(Company.name == "Cedar Law")).one()
    assert home_of(added.id) is cast.domain_a


@pytest.mark.parametrize("name", ["", "alder  DENTAL", "x" * 201])
def test_a_refused_company_keeps_what_was_typed(cast: Cast, sign_in: SignIn, name: str) -> None:
    status, page = post(sign_in(cast.root), f"{LIST}/new", name=name)
    assert status == 422
    assert "field-error" in page
    assert len(db.session.scalars(select(Company)).all()) == 2


def test_two_admins_rename_one_company_the_second_is_told(cast: Cast, sign_in: SignIn) -> None:
    client, opened = sign_in(cast.root), cast.a.version
    assert post(client, f"{LIST}/{cast.a.id}/edit", name="First", version=opened)[0] == 303
    assert post(client, f"{LIST}/{cast.a.id}/edit", name="Second", version=opened)[0] == 409
    assert fresh(Company, cast.a.id).name == "First"


def test_tags_are_edited_with_the_name_and_stand_on_the_page(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    typed = {"name": cast.a.name, "version": str(cast.a.version), "tags": "VIP, wholesale"}
    assert post(client, f"{LIST}/{cast.a.id}/edit", **typed)[0] == 303
    assert '<span class="tag">VIP</span>' in client.get(f"{LIST}/{cast.a.id}").text
    assert 'value="VIP, wholesale"' in client.get(f"{LIST}/{cast.a.id}/edit").text
    status, text = post(client, f"{LIST}/{cast.a.id}/edit", **typed | {"version": "2", "tags": "x" * 41})
    assert (status, "A tag has at most 40 characters." in text) == (422, True)


def test_people_stand_on_the_page_with_a_word_each(cast: Cast, sign_in: SignIn) -> None:
    cast.bob.deactivated_at = NOW
    dora = accounts.add_person("Dora", "dora@people.test", by=SYSTEM, now=NOW)
    accounts.add_membership(dora, cast.a, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.root)
    page = client.get(f"{LIST}/{cast.a.id}").get_data(as_text=True)
    people = page[page.index('id="people"') : page.index('id="portals"')]
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", people))
    for name, word in (("Alice", "Active"), ("Bob", "Deactivated"), ("Dora", "Not invited")):
        assert f"{name} {name.lower()}@people.test {word}" in words
    assert f"/admin/people/invite?company={cast.a.id}" in people


def test_a_holding_of_another_company_is_not_found_here(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    holding = actions.add_holding(cast.b, service, by=SYSTEM, now=NOW)
    db.session.commit()
    client, base = sign_in(cast.root), f"{LIST}/{cast.a.id}"
    for path in (f"/holdings/{holding.id}", "/holdings/4711"):
        assert client.get(base + path).status_code == 404
    assert post(client, f"{base}/holdings/{holding.id}/end", version=1)[0] == 404
    assert client.get(f"{LIST}/4711").status_code == 404


def test_holdings_are_added_changed_and_ended(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    line = actions.add_component("Line", by=SYSTEM, now=NOW).id
    db.session.commit()
    client, base = sign_in(cast.ada), f"{LIST}/{cast.a.id}/holdings"
    new = {"service_id": str(service.id), "reference": "NL-1", "component_ids": [line]}
    assert post(client, f"{base}/new", **new)[0] == 303
    status, page = post(client, f"{base}/new", **new)
    assert (status, "already holds Telephony under the reference NL-1" in page) == (422, True)
    holding = db.session.scalars(select(Holding)).one()
    page = client.get(f"{LIST}/{cast.a.id}").get_data(as_text=True)
    assert all(text in page for text in ("Telephony", "NL-1", "Line"))
    opened = holding.version
    assert post(client, f"{base}/{holding.id}", reference="NL-2", version=opened)[0] == 303
    assert post(client, f"{base}/{holding.id}", reference="NL-3", version=opened)[0] == 409
    assert post(client, f"{base}/{holding.id}/end", version=opened + 1)[0] == 303
    assert client.get(f"{base}/{holding.id}").status_code == 404
    assert queries.holdings_of_company(cast.a.id, clock.utcnow()) == []


@pytest.mark.parametrize(
    "wrong", [{"service_id": ""}, {"service_id": "4711"}, {"service_id": "x"}, {"component_ids": [4711]}]
)
def test_a_refused_holding_keeps_what_was_typed(cast: Cast, sign_in: SignIn, wrong: dict[str, Any]) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    db.session.commit()
    fields = {"service_id": str(service.id), "reference": "Kept text", **wrong}
    status, page = post(sign_in(cast.ada), f"{LIST}/{cast.a.id}/holdings/new", **fields)
    assert (status, "Kept text" in page) == (422, True)
    assert not db.session.scalars(select(Holding)).all()


def test_where_a_company_signs_in_is_chosen_here(cast: Cast, sign_in: SignIn) -> None:
    client, base = sign_in(cast.root), f"{LIST}/{cast.a.id}/portals"
    assert post(client, base, domain_id=cast.domain_b.id)[0] == 303
    assert [each.is_home for each in admissions_of(cast.a.id)] == [True, False]
    assert post(client, f"{base}/dismiss", domain_id=cast.domain_a.id)[0] == 422
    assert post(client, base, domain_id=cast.domain_b.id, is_home="y")[0] == 303
    assert post(client, f"{base}/dismiss", domain_id=cast.domain_a.id)[0] == 303
    assert post(client, base, domain_id=4711)[0] == 404
    assert post(client, base, domain_id="x")[0] == 422


def test_exceptions_are_shown_and_taken_away(cast: Cast, sign_in: SignIn) -> None:
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.root)
    assert "Status: closed" in client.get(f"{LIST}/{cast.a.id}").get_data(as_text=True)
    path = f"{LIST}/{cast.a.id}/exceptions/remove"
    assert post(client, path, domain_id=cast.domain_a.id, area="nonsense")[0] == 422
    assert post(client, path, domain_id=cast.domain_a.id, area="status")[0] == 303
    assert not overrides_of(cast.a.id)


def test_an_archived_company_is_out_of_the_list_and_comes_back_without_holdings(cast: Cast, sign_in: SignIn) -> None:
    actions.add_holding(cast.a, actions.add_service("Telephony", by=SYSTEM, now=NOW), by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.root)
    assert post(client, f"{LIST}/{cast.a.id}/archive", version=cast.a.version)[0] == 303
    assert "Alder" not in client.get(LIST).get_data(as_text=True).split("table")[1]
    assert "Take back" in client.get(f"{LIST}/{cast.a.id}").get_data(as_text=True)
    assert post(client, f"{LIST}/{cast.a.id}/restore", version=fresh(Company, cast.a.id).version)[0] == 303
    assert queries.holdings_of_company(cast.a.id, clock.utcnow()) == []


def test_names_are_text_and_never_markup(cast: Cast, sign_in: SignIn) -> None:
    company = accounts.add_company(NASTY, by=SYSTEM, now=NOW)
    person = accounts.add_person(NASTY, "nasty@people.test", by=SYSTEM, now=NOW)
    accounts.add_membership(person, company, by=SYSTEM, now=NOW)
    service = actions.add_service(NASTY, by=SYSTEM, now=NOW)
    holding = actions.add_holding(company, service, reference=NASTY, by=SYSTEM, now=NOW)
    db.session.commit()
    client, base = sign_in(cast.root), f"{LIST}/{company.id}"
    paths = (
        LIST,
        f"{LIST}?q=%3Cscript%3Ealert(1)",
        base,
        f"{base}/edit",
        f"{base}/view-as",
        f"/admin/people/{person.id}",
    )
    for path in (*paths, f"{base}/holdings/{holding.id}", f"/admin/catalogue/services/{service.id}"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.get_data(as_text=True)


def test_two_lists_on_one_page_are_paged_one_at_a_time(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    for number in range(51):
        actions.add_holding(cast.a, service, reference=f"NL-{number:02}", by=SYSTEM, now=NOW)
    db.session.commit()
    client, base = sign_in(cast.root), f"{LIST}/{cast.a.id}"
    page = client.get(base).get_data(as_text=True)
    assert "All 51 holdings" in page
    assert "NL-50" not in page
    assert "NL-50" in client.get(f"{base}?list=holdings&page=2").get_data(as_text=True)
    assert client.get(f"{base}?page=2").status_code == 404


def test_the_pages_cost_the_same_queries_for_few_rows_and_for_many(cast: Cast, sign_in: SignIn) -> None:
    client, counts = sign_in(cast.root), []
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    for size in (3, 40):
        for number in range(size):
            company = accounts.add_company(f"Company {size}-{number}", by=SYSTEM, now=NOW)
            domains.admit(company, cast.domain_a, is_home=True, by=SYSTEM, now=NOW)
            person = accounts.add_person("P", f"p{size}-{number}@people.test", by=SYSTEM, now=NOW)
            accounts.add_membership(person, company, by=SYSTEM, now=NOW)
            accounts.add_membership(person, cast.a, by=SYSTEM, now=NOW)
            actions.add_holding(cast.a, service, reference=f"{size}-{number}", by=SYSTEM, now=NOW)
        db.session.commit()
        for path in (LIST, f"{LIST}/{cast.a.id}"):
            with counted_queries() as statements:
                assert client.get(path).status_code == 200
            counts.append(len(statements))
    assert counts[:2] == counts[2:]
