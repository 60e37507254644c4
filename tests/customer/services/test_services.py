"""The page of a company's services."""

import pytest

from portal import events
from portal.catalogue.models import Holding
from portal.extensions import db
from tests.conftest import Cast, SignIn
from tests.customer.outages import Outage
from tests.incidents.conftest import LONG_AGO, World


def test_each_stands_under_its_category_with_reference_status_and_reason(
    cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
) -> None:
    world.telephony.category = "Voice"
    incident = outage_of(world.trunk)
    page = sign_in(cast.alice).get("/services").text
    assert "<h2>Voice</h2>" in page
    for words in ("Hosted telephony", "ACC-1", "System is down", "Calls fail", f"/incidents/{incident.public_id}"):
        assert words in page
    assert "LINE-9" not in page


class TestAList:
    @pytest.fixture(autouse=True)
    def many(self, cast: Cast, world: World) -> None:
        db.session.add_all(
            Holding(company_id=cast.a.id, service_id=world.internet.id, reference=f"LINE-{n:03}", valid_from=LONG_AGO)
            for n in range(60)
        )
        events.commit()

    def test_is_shown_fifty_a_page(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        assert client.get("/services").text.count("service-line") == 50
        assert client.get("/services?page=2").text.count("service-line") == 11

    def test_t30_pages_that_do_not_exist_are_not_found(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        for page in ("0", "3", "-1", "a", "", "999999999", "²"):
            assert client.get("/services", query_string={"page": page}).status_code == 404

    def test_is_narrowed_to_names_and_references(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        page = client.get("/services?q=line-007").text
        assert page.count("service-line") == 1
        assert "LINE-007" in page
        assert 'value="line-007"' in page
        assert client.get("/services?q=TELEPHONY").text.count("service-line") == 1

    def test_that_matches_nothing_says_so_and_leads_back(self, cast: Cast, sign_in: SignIn) -> None:
        page = sign_in(cast.alice).get("/services?q=%3Cscript%3E").text
        assert "Nothing matches" in page
        assert "Show all services" in page
        assert "&lt;script&gt;" in page

    def test_an_open_page_refreshes_what_it_shows(self, cast: Cast, sign_in: SignIn) -> None:
        fragment = sign_in(cast.alice).get("/services?q=line&page=2", headers={"HX-Request": "true"}).text
        assert 'hx-get="/services?q=line&amp;page=2"' in fragment
