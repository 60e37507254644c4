"""What the people of a company may do with its alerts, and what its page says of them."""

from portal.alerts.queries import rights_of
from portal.alerts.rules import Rights
from portal.usage.models import Metric
from tests.admin.alerts.conftest import MakeAlert, measure
from tests.conftest import Cast, SignIn, token_in


def test_they_are_chosen_and_two_who_choose_notice_each_other(cast: Cast, sign_in: SignIn) -> None:
    client, address = sign_in(cast.ada), f"/admin/alerts/companies/{cast.a.id}"
    values = {"csrf_token": token_in(client, address), "version": "0", "may": "thresholds"}
    assert client.post(address, data=values).status_code == 303
    stale = client.post(address, data=values | {"may": "all"})
    assert stale.status_code == 409
    assert "Somebody else chose something" in stale.text
    assert rights_of(cast.a.id) is Rights.THRESHOLDS
    assert client.post(address, data=values | {"may": "everything"}).status_code == 422
    assert "change limits of money too" in client.get(f"/admin/companies/{cast.a.id}").text
    assert client.get("/admin/alerts/companies/99999").status_code == 404
    assert sign_in(cast.olaf).get(address).status_code == 403


def test_the_page_of_a_company_says_what_is_watched_and_what_is_wrong(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    client, address = sign_in(cast.ada), f"/admin/companies/{cast.a.id}"
    assert "None of its figures is watched." in client.get(address).text
    make_alert()
    measure(balance, "12.5")
    page = client.get(address).text
    assert "1 alert watches it" in page
    assert "1 triggered" in page
    assert "1 triggered" in client.get("/admin/").text
    assert "Add an alert" not in sign_in(cast.olaf).get(address).text
