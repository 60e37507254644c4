"""The list of alerts: what is triggered first, every filter, and the same queries whatever there is."""

from decimal import Decimal

from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from portal.alerts.rules import AlertArea, Level, Operator
from portal.usage.models import Metric
from tests.admin.alerts.conftest import MakeAlert, measure
from tests.conftest import Cast, SignIn, counted_queries

LIST = "/admin/alerts"


def titles(client: FlaskClient, query: str = "") -> list[str]:
    page = BeautifulSoup(client.get(f"{LIST}{query}").data, "html.parser")
    return [link.get_text() for link in page.select("#alerts tbody th a")]


def test_an_empty_list_says_what_to_do_next(cast: Cast, sign_in: SignIn) -> None:
    assert "Add the first one" in sign_in(cast.ada).get(LIST).text
    office = sign_in(cast.olaf).get(LIST).text
    assert "No alert yet" in office
    assert "Add the first one" not in office


def test_what_is_triggered_stands_first(cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric) -> None:
    make_alert("A good one", threshold=Decimal(0))
    make_alert("Low", level=Level.CRITICAL)
    client = sign_in(cast.ada)
    assert titles(client) == ["A good one", "Low"]
    measure(balance, "12.5")
    assert titles(client) == ["Low", "A good one"]
    page = BeautifulSoup(client.get(LIST).data, "html.parser")
    row = page.select_one("#alerts tbody tr")
    assert row is not None
    words = " ".join(row.get_text(" ").split())
    assert "Low Critical" in words
    assert "Alder Dental" in words
    assert "Balance below 50.00" in words
    assert "Triggered" in words
    assert row.select_one("svg.shape") is not None


def test_every_filter_narrows_and_says_when_nothing_is_like_that(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    make_alert("Low")
    make_alert("Channels", company_id=cast.b.id, area=AlertArea.CHANNELS, operator=Operator.MORE, level=Level.INFO)
    measure(balance, "12.5")
    client = sign_in(cast.ada)
    assert titles(client, "?state=triggered") == ["Low"]
    assert titles(client, "?area=channels") == ["Channels"]
    assert titles(client, "?level=info") == ["Channels"]
    assert titles(client, f"?company={cast.b.id}") == ["Channels"]
    assert titles(client, "?q=alder") == ["Low"]
    assert titles(client, "?q=chan&area=channels") == ["Channels"]
    for empty in ("?state=muted", "?state=off", "?state=archived", "?state=pending", "?area=asr", "?q=nothing"):
        assert titles(client, empty) == []
        assert "Show all" in client.get(LIST + empty).text
    for wrong in ("?state=x", "?area=x", "?level=x", "?company=x", "?company=99999", "?page=2", "?page=x"):
        assert client.get(LIST + wrong).status_code == 404


def test_the_list_asks_the_same_whatever_there_is(cast: Cast, sign_in: SignIn, make_alert: MakeAlert) -> None:
    client = sign_in(cast.ada)
    make_alert("The first")
    client.get(LIST)
    with counted_queries() as before:
        client.get(LIST)
    for number in range(20):
        make_alert(f"One more {number}", company_id=cast.b.id if number % 2 else cast.a.id)
    with counted_queries() as after:
        assert len(titles(client)) == 21
    assert len(after) == len(before)


def test_it_lives_on_the_bell_of_the_staff(cast: Cast, sign_in: SignIn) -> None:
    fragment = sign_in(cast.ada).get(f"{LIST}?state=triggered", headers={"HX-Request": "true"}).text
    assert 'id="alerts" data-live="staff" hx-get="/admin/alerts?state=triggered"' in fragment


def test_customers_find_nothing_here(cast: Cast, sign_in: SignIn) -> None:
    assert sign_in(cast.alice).get(LIST).status_code == 404
