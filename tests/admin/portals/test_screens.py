"""The screens of one portal domain: preview, exceptions in place, names, wording, companies, removal."""

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.admin.portals.areas import EXCEPTIONS_SHOWN
from portal.audit.rules import SYSTEM
from portal.domains import actions
from portal.domains.models import AreaOverride, PortalDomain, PortalHost
from portal.domains.queries import admissions_of, home_of
from portal.domains.queries.hosts import hosts_of
from portal.domains.rules import Area
from portal.domains.rules.hosts import Finding
from portal.extensions import db
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, counted_queries, token_in

LIST = "/admin/settings/portals"
HTMX = {"HX-Request": "true"}
BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}
LOOK: dict[str, Any] = {
    "base_url": "http://a.portal.test",
    "brand": "Northline",
    "accent": "#2457d6",
    "language": "en",
    "time_zone": "Europe/London",
}


@pytest.fixture
def root(cast: Cast, sign_in: SignIn) -> FlaskClient:
    return sign_in(cast.root)


def post(client: FlaskClient, path: str, headers: dict[str, str] | None = None, **fields: Any) -> tuple[int, str]:
    data = {"csrf_token": token_in(client, LIST), **fields}
    answer = client.post(path, data=data, headers=headers)
    return answer.status_code, answer.text


def fresh(domain: PortalDomain) -> PortalDomain:
    return db.session.get_one(PortalDomain, domain.id, populate_existing=True)


def base(cast: Cast) -> str:
    return f"{LIST}/{cast.domain_a.id}"


# Address and brand.


def test_the_preview_follows_what_is_typed_and_saves_nothing(cast: Cast, root: FlaskClient) -> None:
    typed = {
        **LOOK,
        "base_url": "https://c.portal.test",
        "brand": "<b>Coast & Co</b>",
        "tagline": "By the sea",
        "accent": "#ffe600",
        "language": "de",
        "support_phone": "0199 496",
    }
    page = BeautifulSoup(root.get(f"{LIST}/preview", query_string=typed, headers=HTMX).text, "html.parser")
    assert page.select_one("figure#preview") is not None
    text = page.get_text(" ", strip=True)
    for shown in ("c.portal.test", "<b>Coast & Co</b>", "By the sea", "Anmelden", "0199 496"):
        assert shown in text
    assert "White words on #ffe600 cannot be read" in text
    assert {rect["fill"] for rect in page.select(".scheme-dark rect")} == {"#ffe600"}
    darkened = {rect["fill"] for rect in page.select(".scheme-light rect")}
    assert len(darkened) == 1
    assert str(next(iter(darkened))) in text
    assert fresh(cast.domain_a).brand == "Northline"


def test_a_preview_of_nonsense_is_still_a_preview(root: FlaskClient) -> None:
    nonsense = {"base_url": "javascript:x", "accent": 'red"/><script>', "brand": "", "language": "tlh"}
    answer = root.get(f"{LIST}/preview", query_string=nonsense)
    assert answer.status_code == 200
    assert "Your brand" in answer.text
    assert "<script" not in answer.text


def test_the_whole_look_is_saved_and_shown_to_customers(cast: Cast, root: FlaskClient, sign_in: SignIn) -> None:
    more: dict[str, Any] = {
        "tagline": "By the sea",
        "support_email": "help@a.test",
        "support_phone": "+44 20 7946 0000",
        "support_hours": "Mon to Fri",
        "help_url": "https://help.a.test/start",
    }
    status, _ = post(root, f"{base(cast)}/edit", **LOOK, **more, version=cast.domain_a.version)
    assert status == 303
    shown = ("By the sea", "mailto:help@a.test", "tel:+442079460000", "Mon to Fri", "https://help.a.test/start")
    alice = sign_in(cast.alice)
    signed_out = alice.application.test_client()
    for page in (
        alice.get("/status").text,
        signed_out.get("/sign-in", base_url="http://a.portal.test").text,
        signed_out.get("/status", base_url="http://a.portal.test").text,
    ):
        for each in shown:
            assert each in page
    missing = signed_out.get("/nothing", base_url="http://a.portal.test").text
    assert "mailto:help@a.test" in missing
    assert "mailto:" not in signed_out.get("/sign-in", base_url=f"http://{STAFF_HOST}").text


@pytest.mark.parametrize(
    ("field", "value"), [("help_url", "javascript:alert(1)"), ("support_phone", "call us"), ("tagline", "x" * 161)]
)
def test_a_refused_support_channel_stands_beside_its_field(
    cast: Cast, root: FlaskClient, field: str, value: str
) -> None:
    fields: dict[str, Any] = {**LOOK, "brand": "Typed anew", field: value}
    status, text = post(root, f"{base(cast)}/edit", **fields, version=cast.domain_a.version)
    page = BeautifulSoup(text, "html.parser")
    error = page.select_one(f"#{field}-error")
    assert status == 422
    assert error is not None
    assert 'value="Typed anew"' in text


def test_of_two_editors_the_second_keeps_what_was_typed(cast: Cast, root: FlaskClient) -> None:
    opened = cast.domain_a.version
    assert post(root, f"{base(cast)}/edit", **{**LOOK, "brand": "First"}, version=opened)[0] == 303
    status, text = post(root, f"{base(cast)}/edit", **{**LOOK, "brand": "Second"}, version=opened)
    assert status == 409
    assert 'value="Second"' in text
    assert fresh(cast.domain_a).brand == "First"
    form = BeautifulSoup(text, "html.parser").select_one("#look-form input[name=version]")
    assert form is not None
    assert post(root, f"{base(cast)}/edit", **{**LOOK, "brand": "Second"}, version=form["value"])[0] == 303


# Exceptions.


def test_an_exception_is_made_and_removed_in_place(cast: Cast, root: FlaskClient) -> None:
    found = root.get(base(cast), query_string={"area": "status", "q": "ald"}, headers=HTMX).text
    assert "sees it, by the switch" in found
    assert "1 of 1 company sees it now" in found
    fields: dict[str, Any] = {"area": "status", "company_id": cast.a.id, "q": "ald"}
    status, made = post(root, f"{base(cast)}/exceptions", HTMX, **fields, is_open="no", was="")
    assert status == 200
    assert made.startswith('<div class="catalogue" id="portal">')
    assert "closed by an exception, although the switch is on" in made
    assert "0 of 1 company sees it now" in made
    assert 'value="ald"' in made
    status, stale = post(root, f"{base(cast)}/exceptions", HTMX, **fields, is_open="no", was="")
    assert status == 409
    assert "Somebody else changed the exceptions" in stale
    status, gone = post(root, f"{base(cast)}/exceptions", HTMX, **fields, is_open="", was="no")
    assert status == 200
    assert "although the switch is on" not in gone
    assert not db.session.scalars(select(AreaOverride)).all()


def test_many_exceptions_are_bounded_and_paged(cast: Cast, root: FlaskClient) -> None:
    counts = []
    for number in range(60):
        company = accounts.add_company(f"Company {number:02}", **BY)
        actions.admit(company, cast.domain_a, is_home=True, **BY)
        actions.set_override(cast.domain_a, company, Area.SERVICES, False, **BY)
        if number in {0, 59}:
            db.session.commit()
            with counted_queries() as statements:
                page = root.get(base(cast)).text
            counts.append(len(statements))
    assert counts[0] == counts[1]
    assert page.count("Remove the exception for") == EXCEPTIONS_SHOWN
    assert "All 60 exceptions" in page
    first, second = (root.get(f"{base(cast)}/exceptions/services?page={number}").text for number in (1, 2))
    assert (first.count("Remove the exception for"), second.count("Remove the exception for")) == (50, 10)
    assert root.get(f"{base(cast)}/exceptions/services?q=company+07").text.count("Remove the exception for") == 1
    for wrong in ("services?page=3", "public_status", "tickets", "nonsense"):
        assert root.get(f"{base(cast)}/exceptions/{wrong}").status_code == 404


def test_areas_that_are_not_built_are_named_and_not_offered(cast: Cast, root: FlaskClient) -> None:
    page = root.get(base(cast)).text
    assert "Chat come with later versions" in page
    assert 'name="chat"' not in page


# Host names.


def test_a_name_is_added_checked_and_taken_away(cast: Cast, root: FlaskClient) -> None:
    status, _ = post(root, f"{base(cast)}/hosts", host="www.a.portal.test", version=cast.domain_a.version)
    assert status == 303
    main, added = hosts_of(fresh(cast.domain_a))
    assert added.check_wanted_at is not None
    assert "Being asked since" in root.get(f"{base(cast)}/hosts").text
    actions.store_check(added.id, Finding.CERTIFICATE, "The certificate has ended.", NOW, now=NOW)
    db.session.commit()
    page = root.get(f"{base(cast)}/hosts").text
    assert "Certificate refused" in page
    assert "The certificate has ended." in page
    assert "is-marked" in page, "a certificate that ends soon, or has ended, is marked"
    assert post(root, f"{base(cast)}/hosts/{main.id}/check")[0] == 303
    assert db.session.get_one(PortalHost, main.id, populate_existing=True).check_wanted_at is not None
    version = fresh(cast.domain_a).version
    assert post(root, f"{base(cast)}/hosts/{main.id}/remove", version=version)[0] == 422
    assert post(root, f"{base(cast)}/hosts/{added.id}/remove", version=version - 1)[0] == 409
    assert post(root, f"{LIST}/{cast.domain_b.id}/hosts/{added.id}/remove", version=cast.domain_b.version)[0] == 404
    assert post(root, f"{LIST}/{cast.domain_b.id}/hosts/{added.id}/check")[0] == 404
    assert post(root, f"{base(cast)}/hosts/{added.id}/remove", version=version)[0] == 303
    assert len(hosts_of(fresh(cast.domain_a))) == 1


def test_a_refused_name_keeps_what_was_typed(cast: Cast, root: FlaskClient) -> None:
    for host in (STAFF_HOST, "b.portal.test", "not a name"):
        status, page = post(root, f"{base(cast)}/hosts", host=host, version=cast.domain_a.version)
        assert status == 422
        assert f'value="{host}"' in page
        assert 'id="host-error"' in page
    status, page = post(root, f"{base(cast)}/hosts", host="c.portal.test", version=cast.domain_a.version - 1)
    assert status == 409
    assert 'value="c.portal.test"' in page


def test_a_home_says_so_where_it_would_be_removed(cast: Cast, root: FlaskClient) -> None:
    assert "It is the home of Alder Dental" in root.get(f"{base(cast)}/hosts").text
    status, page = post(root, f"{base(cast)}/remove", version=cast.domain_a.version)
    assert status == 422
    assert "Give them another home first" in page
    actions.admit(cast.a, cast.domain_b, is_home=True, **BY)
    db.session.commit()
    page = root.get(f"{base(cast)}/hosts").text
    assert "1 address is refused from then on" in page
    assert "1 company that may sign in here" in page
    assert post(root, f"{base(cast)}/remove", version=cast.domain_a.version)[0] == 303
    assert root.get(base(cast)).status_code == 404


# Wording.


def test_wordings_are_saved_shown_and_put_back(cast: Cast, root: FlaskClient) -> None:
    page = BeautifulSoup(root.get(f"{base(cast)}/wording").text, "html.parser")
    field = page.select_one("#severity-partial_rth")
    assert field is not None
    assert (field["placeholder"], field.get("value", "")) == ("Partial outage", "")
    assert "Partial RTH (return traffic handling)" in page.get_text()
    version = cast.domain_a.version
    fields: dict[str, Any] = {"language": "en", "version": version, "severity-partial_rth": "<i>Calls back fail</i>"}
    assert post(root, f"{base(cast)}/wording", **fields)[0] == 303
    text = root.get(f"{base(cast)}/wording").text
    assert "&lt;i&gt;Calls back fail&lt;/i&gt;" in text
    assert "<i>Calls" not in text
    german = BeautifulSoup(root.get(f"{base(cast)}/wording?language=de").text, "html.parser")
    field = german.select_one("#state-fixed")
    assert field is not None
    assert (field["placeholder"], field["lang"]) == ("Behoben", "de")
    status, stale = post(root, f"{base(cast)}/wording", **{**fields, "severity-partial_rth": "Mine"})
    assert status == 409
    assert 'value="Mine"' in stale
    status, _ = post(root, f"{base(cast)}/wording", language="en", version=fresh(cast.domain_a).version)
    assert status == 303
    assert fresh(cast.domain_a).wordings == {}


def test_a_wording_that_is_too_long_is_refused_beside_its_field(cast: Cast, root: FlaskClient) -> None:
    fields: dict[str, Any] = {
        "language": "en",
        "version": cast.domain_a.version,
        "state-fixed": "x" * 61,
        "state-watching": "Kept",
    }
    status, page = post(root, f"{base(cast)}/wording", **fields)
    assert status == 422
    assert "at most 60 characters" in page
    assert 'value="Kept"' in page
    for language in ("tlh", ""):
        assert post(root, f"{base(cast)}/wording", **{**fields, "language": language})[0] == 422
    assert root.get(f"{base(cast)}/wording?language=tlh").status_code == 404


# Companies.


def test_a_company_is_let_in_gets_its_home_here_and_leaves(cast: Cast, root: FlaskClient) -> None:
    page = root.get(f"{base(cast)}/companies?q=birch").text
    assert "Let it sign in here: Birch Logistics" in page
    assert "Home: Southline" in page
    fields: dict[str, Any] = {"company_id": cast.b.id}
    assert post(root, f"{base(cast)}/companies", **fields)[0] == 303
    assert "Links in its mails lead to its home as before" in root.get(LIST).text
    page = root.get(f"{base(cast)}/companies").text
    assert "Mails it already has keep leading to Southline" in page
    assert post(root, f"{base(cast)}/companies", **fields, is_home="y")[0] == 303
    assert "keep leading to http://b.portal.test" in root.get(LIST).text
    home = home_of(cast.b.id)
    assert home is not None
    assert home.id == cast.domain_a.id
    assert post(root, f"{base(cast)}/companies/dismiss", **fields)[0] == 422
    assert post(root, f"{LIST}/{cast.domain_b.id}/companies/dismiss", **fields)[0] == 303
    assert [each.domain_id for each in admissions_of(cast.b.id)] == [cast.domain_a.id]
    assert post(root, f"{base(cast)}/companies", company_id=4711)[0] == 422


def test_the_first_portal_of_a_company_is_its_home(cast: Cast, root: FlaskClient) -> None:
    company = accounts.add_company("Cedar Foods", **BY)
    db.session.commit()
    assert post(root, f"{base(cast)}/companies", company_id=company.id)[0] == 303
    assert home_of(company.id) is not None


def test_companies_are_searched_and_paged(cast: Cast, root: FlaskClient) -> None:
    counts = []
    for number in range(55):
        company = accounts.add_company(f"Company {number:02}", **BY)
        actions.admit(company, cast.domain_a, is_home=number % 2 == 0, **BY)
        if number in {0, 54}:
            db.session.commit()
            with counted_queries() as statements:
                page = root.get(f"{base(cast)}/companies").text
            counts.append(len(statements))
    assert counts[0] == counts[1]
    assert page.count("/admin/companies/") == 50
    assert "Company 54" in root.get(f"{base(cast)}/companies?page=2").text
    assert "Company 07" in root.get(f"{base(cast)}/companies?q=company+07").text
    assert root.get(f"{base(cast)}/companies?page=3").status_code == 404
