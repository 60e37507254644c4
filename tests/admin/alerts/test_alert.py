"""The page of an alert: its condition, its chart with the table behind, what happened, who hears, its buttons."""

from datetime import timedelta
from decimal import Decimal

from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock
from portal.accounts.actions.companies import tag_company
from portal.accounts.models import Company
from portal.alerts import actions
from portal.alerts.models import Alert
from portal.alerts.queries import alert_for_staff
from portal.alerts.rules import AlertArea, Operator, Repeat
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications.models import Delivery
from portal.usage.models import Metric
from tests.admin.alerts.conftest import MakeAlert, measure
from tests.conftest import Cast, SignIn, counted_queries, token_in

LIST = "/admin/alerts"


def tag(company: Company) -> None:
    tag_company(company, ["Wholesale"], version=company.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()


def page_of(client: FlaskClient, address: str) -> BeautifulSoup:
    return BeautifulSoup(client.get(address).data, "html.parser")


def words_of(page: BeautifulSoup, selector: str = "main") -> str:
    found = page.select_one(selector)
    assert found is not None, selector
    return " ".join(found.get_text(" ").split())


def test_its_condition_is_one_sentence_and_its_lines_are_drawn(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    alert = make_alert(reset=Decimal(60), must_last=300, repeat=Repeat.DAILY, repeat_hour=9)
    measure(balance, "45", clock.utcnow() - timedelta(hours=2))
    measure(balance, "12.5")
    page = page_of(sign_in(cast.ada), f"{LIST}/{alert.public_id}")
    words = words_of(page)
    assert "Balance below 50.00, for 5 minutes without a break." in words
    assert "Normal again when it is 60.00 or more." in words
    assert "said again every day at 09:00" in words
    assert [text.get_text() for text in page.select(".chart g + text.chart-label")] == [
        "Threshold 50.00",
        "Normal again at 60.00",
    ]
    assert page.select_one(".chart-line") is not None
    table = words_of(page, ".chart-figures")
    assert "From Last Least Most" in table
    assert "12.50" in table
    assert page.select_one('nav[aria-label="Time shown"]') is not None


def test_what_happened_is_told_with_values_and_the_notice(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    alert = make_alert()
    measure(balance, "12.5")
    page = page_of(sign_in(cast.ada), f"{LIST}/{alert.public_id}")
    events = words_of(page, "#events")
    assert "Triggered" in events
    assert "12.50" in events
    notice = page.select_one('#events a[href^="/admin/broadcasts/"]')
    assert notice is not None
    assert sign_in(cast.ada).get(str(notice["href"])).status_code == 200
    assert page.select_one(".chart circle.shape-fill") is not None


def test_of_a_tag_every_company_is_shown_and_one_of_them_drawn(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    for company in (cast.a, cast.b):
        tag(company)
    alert = make_alert(company_id=None, tag="Wholesale")
    measure(balance, "12.5")
    client, address = sign_in(cast.ada), f"{LIST}/{alert.public_id}"
    page = page_of(client, address)
    rows = [" ".join(row.get_text(" ").split()) for row in page.select("#companies tbody tr")]
    assert rows[0].startswith("Alder Dental Triggered")
    assert rows[1].startswith("Birch Logistics No data")
    assert "Alder Dental" in words_of(page, "#shown h2")
    assert "Birch Logistics" in words_of(page_of(client, f"{address}?company={cast.b.id}"), "#shown h2")
    assert client.get(f"{address}?company=99999").status_code == 404
    assert client.get(f"{address}?span=year").status_code == 404
    assert "for 1 of 2" in client.get(LIST).text


def test_who_cannot_be_reached_is_named_with_why(cast: Cast, sign_in: SignIn, make_alert: MakeAlert) -> None:
    alert = make_alert(recipients=("noc@elsewhere.test", cast.alice.email))
    cast.alice.deactivated_at = clock.utcnow()
    db.session.commit()
    who = page_of(sign_in(cast.ada), f"{LIST}/{alert.public_id}").select("#recipients li")
    found = {line.get_text(" ").split()[0]: line.select_one(".badge") is not None for line in who}
    assert found["noc@elsewhere.test"] is False
    assert found[cast.alice.email] is True


def test_a_test_goes_to_whoever_tests_and_changes_nothing(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    alert = make_alert()
    address = f"{LIST}/{alert.public_id}"
    for person, to_all, status in ((cast.olaf, "", 303), (cast.olaf, "y", 403), (cast.ada, "y", 303)):
        client = sign_in(person)
        values = {
            "csrf_token": token_in(client, LIST),
            "version": str(alert.version),
            "company_id": str(cast.a.id),
            "to_all": to_all,
        }
        assert client.post(f"{address}/test", data=values).status_code == status
    told = set(db.session.scalars(select(Delivery.address)))
    assert told == {cast.olaf.email, "noc@elsewhere.test"}
    assert "Nothing yet." in words_of(page_of(sign_in(cast.ada), address), "#events")


def test_a_button_does_its_one_thing_to_the_version_it_was_shown_with(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert
) -> None:
    alert = make_alert()
    client, address = sign_in(cast.ada), f"{LIST}/{alert.public_id}"
    values = {"csrf_token": token_in(client, LIST), "version": str(alert.version)}
    assert client.post(f"{address}/off", data=values).status_code == 303
    assert client.post(f"{address}/on", data=values).status_code == 409
    assert "Switched off: nothing is watched" in client.get(address).text
    assert "Switched off" in words_of(page_of(client, LIST), "#alerts tbody")
    now = _again(alert.public_id)
    values["version"] = str(now.version)
    assert client.post(f"{address}/on", data=values).status_code == 303
    values["version"] = str(_again(alert.public_id).version)
    assert client.post(f"{address}/archive", data=values).status_code == 303
    page = client.get(address)
    assert "Archived" in page.text
    assert f"{address}/edit" not in page.text
    values["version"] = str(_again(alert.public_id).version)
    refused = client.post(f"{address}/on", data=values)
    assert refused.status_code == 422
    assert "This alert is archived." in refused.text


def _again(public_id: str) -> Alert:
    db.session.expire_all()
    found = alert_for_staff(public_id)
    assert found is not None
    return found


def test_the_office_looks_and_does_not_steer(cast: Cast, sign_in: SignIn, make_alert: MakeAlert) -> None:
    alert = make_alert()
    client, address = sign_in(cast.olaf), f"{LIST}/{alert.public_id}"
    page = client.get(address).text
    assert "Send a test" in page
    assert "Switch off" not in page
    values = {"csrf_token": token_in(client, LIST), "version": str(alert.version)}
    for action in ("on", "off", "archive", "edit"):
        assert client.post(f"{address}/{action}", data=values).status_code == 403
    assert client.get(f"{LIST}/nothing").status_code == 404


def test_the_page_asks_the_same_however_many_companies_there_are(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert
) -> None:
    client = sign_in(cast.ada)
    tag(cast.a)
    alert = make_alert(company_id=None, tag="Wholesale", area=AlertArea.CHANNELS, operator=Operator.MORE)
    address = f"{LIST}/{alert.public_id}"
    client.get(address)
    with counted_queries() as before:
        client.get(address)
    tag(cast.b)
    actions.evaluate_all(clock.utcnow() + timedelta(minutes=2))
    db.session.commit()
    with counted_queries() as after:
        assert "Birch Logistics" in client.get(address).text
    assert len(after) == len(before)
