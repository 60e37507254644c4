"""The form of an alert: what it asks for by area, refusals, two at one form, copies, and the rehearsal beside it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from portal import clock
from portal.alerts.models import Alert
from portal.alerts.queries import alert_for_staff
from portal.alerts.rules import AlertArea, Level, Operator, Repeat
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.usage.actions import Wanted as WantedMetric
from portal.usage.actions import add_metric, take_samples
from portal.usage.models import Metric
from portal.usage.rules import Measure, Sample
from tests.admin.alerts.conftest import MakeAlert
from tests.conftest import Cast, SignIn, token_in

LIST = "/admin/alerts"


def typed(client: FlaskClient, **more: str) -> dict[str, str]:
    return {
        "csrf_token": token_in(client, LIST),
        "key": "once",
        "title": "Balance is low",
        "company": "Alder",
        "tag": "",
        "area": "balance",
        "service": "0",
        "operator": "<",
        "threshold": "50",
        "reset": "",
        "window": "15",
        "least_count": "20",
        "must_last": "0",
        "must_be_well": "0",
        "repeat": "none",
        "repeat_hour": "",
        "zone": "",
        "recipients": "noc@elsewhere.test",
        "tells_normal": "y",
        "template": "0",
        "level": "warning",
        "is_on": "y",
    } | more


def made() -> Alert:
    db.session.expire_all()
    found = alert_for_staff(db.session.query(Alert).one().public_id)
    assert found is not None
    return found


def fault(client: FlaskClient, **more: str) -> str:
    """What is said beside the first field that is wrong; everything typed must still be there."""
    values = typed(client, **more)
    answer = client.post(f"{LIST}/new", data=values)
    assert answer.status_code == 422
    page = BeautifulSoup(answer.data, "html.parser")
    kept = page.select_one("#title")
    assert kept is not None
    assert kept["value"] == values["title"]
    error = page.select_one(".field-error, .form-errors li")
    assert error is not None
    return error.get_text()


def test_one_is_added_once_and_leads_to_its_page(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert client.get(f"{LIST}/new").status_code == 200
    values = typed(
        client,
        reset="60,5",
        must_last="5",
        repeat="daily",
        repeat_hour="9",
        zone="Europe/Berlin",
        level="critical",
        recipients="noc@elsewhere.test\n desk@elsewhere.test, noc@elsewhere.test",
        opens_draft="y",
    )
    answer = client.post(f"{LIST}/new", data=values)
    assert answer.status_code == 303
    assert client.post(f"{LIST}/new", data=values).headers["Location"] == answer.headers["Location"]
    alert = made()
    assert (alert.company_id, alert.area, alert.operator) == (cast.a.id, AlertArea.BALANCE, Operator.LESS)
    assert (alert.threshold, alert.reset, alert.must_last, alert.window) == (Decimal(50), Decimal("60.5"), 300, 0)
    assert (alert.repeat, alert.repeat_hour, alert.zone) == (Repeat.DAILY, 9, "Europe/Berlin")
    assert (alert.level, alert.opens_draft, alert.is_on) == (Level.CRITICAL, True, True)
    assert [each.address for each in alert.recipients] == ["noc@elsewhere.test", "desk@elsewhere.test"]


def test_one_may_be_added_switched_off(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    values = typed(client)
    del values["is_on"]
    assert client.post(f"{LIST}/new", data=values).status_code == 303
    assert made().is_on is False


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"title": ""}, "Give the alert a title."),
        ({"company": ""}, "Choose either a company or a tag."),
        ({"tag": "wholesale"}, "Choose either a company or a tag."),
        ({"company": "Nobody"}, "There is no company of this name."),
        ({"threshold": ""}, "Write the value from which on it is bad."),
        ({"threshold": "much"}, "Write the value as a number, such as 12.5."),
        ({"reset": "49.99"}, "it is well again at the threshold or above it: write 50"),
        ({"operator": ">", "reset": "50.01"}, "it is well again at the threshold or below it: write 50"),
        ({"operator": "=", "reset": "50"}, "leave this empty"),
        ({"operator": "always"}, "choose how often"),
        ({"area": "asr", "threshold": "140"}, "write a number from 0 to 100"),
        ({"area": "asr", "window": "0"}, "Choose a sample period of whole minutes"),
        ({"area": "asr", "window": "-5"}, "Type minutes, from 0"),
        ({"area": "custom"}, "Choose the metric that is watched."),
        ({"area": "custom", "metric": "not-there"}, "This company has no metric with this key."),
        ({"area": "script", "script": ""}, "Write the expression that is watched."),
        ({"area": "script", "script": "[1].all(x, x > 0)"}, "Lists are not possible here."),
        ({"area": "script", "script": "1 > 0" + " " * 500 + "|| true"}, "at most 500"),
        ({"recipients": ""}, "Name somebody who is told"),
        ({"recipients": "nobody"}, "nobody"),
        ({"recipients": "+44 20 7946 0123"}, ""),
        ({"area": "nothing"}, "Not a valid choice."),
        ({"key": ""}, "This field is required."),
    ],
)
def test_what_cannot_be_is_refused_with_why_and_nothing_typed_is_lost(
    cast: Cast, sign_in: SignIn, values: dict[str, str], sentence: str
) -> None:
    assert sentence in fault(sign_in(cast.ada), **values)
    assert db.session.query(Alert).count() == 0


def test_what_does_not_belong_to_the_area_counts_for_nothing(cast: Cast, sign_in: SignIn) -> None:
    """Without the sheet that hides them all fields are there, and may be filled in."""
    client = sign_in(cast.ada)
    values = typed(client, trunk="north", metric="x", script="nonsense [", window="7", least_count="3")
    assert client.post(f"{LIST}/new", data=values).status_code == 303
    alert = made()
    assert (alert.trunk, alert.metric_id, alert.script, alert.window, alert.least_count) == ("", None, "", 0, 0)


def test_every_field_says_when_it_applies(cast: Cast, sign_in: SignIn) -> None:
    page = BeautifulSoup(sign_in(cast.ada).get(f"{LIST}/new").data, "html.parser")
    for name in ("service", "trunk", "metric", "script", "threshold", "window", "least_count", "repeat_hour"):
        assert page.select_one(f"#{name}-hint") is not None, name
    assert [code.get_text() for code in page.select("#script-words button")][:2] == ['asr("10m")', 'ner("10m")']
    assert page.select_one('link[href*="alerts/form."]') is not None
    assert page.select_one("style, [style]") is None


def test_a_metric_and_a_script_of_its_own_are_watched(cast: Cast, sign_in: SignIn) -> None:
    wanted = WantedMetric("queue", "Queue", "calls", company_id=cast.a.id, measure=Measure.CUSTOM)
    metric = add_metric(wanted, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    client = sign_in(cast.ada)
    assert client.post(f"{LIST}/new", data=typed(client, area="custom", metric="queue")).status_code == 303
    alert = made()
    assert alert.metric_id == metric.id
    edit = client.get(f"{LIST}/{alert.public_id}/edit").text
    assert 'value="queue"' in edit
    script = typed(client, area="script", script='metric("queue") > 4', threshold="", version=str(alert.version))
    assert client.post(f"{LIST}/{alert.public_id}/edit", data=script).status_code == 303
    assert (made().area, made().script, made().metric_id) == (AlertArea.SCRIPT, 'metric("queue") > 4', None)
    assert "What its script looks for is the case." in client.get(f"{LIST}/{alert.public_id}").text


def test_two_who_change_one_notice_each_other(cast: Cast, sign_in: SignIn, make_alert: MakeAlert) -> None:
    alert = make_alert()
    client, address = sign_in(cast.ada), f"{LIST}/{alert.public_id}/edit"
    page = BeautifulSoup(client.get(address).data, "html.parser")
    assert page.select_one("#company") is None
    values = typed(client, title="Theirs", version=str(alert.version))
    assert client.post(address, data=values).status_code == 303
    stale = client.post(address, data=values | {"title": "Mine"})
    assert stale.status_code == 409
    assert 'value="Mine"' in stale.text
    assert "Somebody else saved this alert in the meantime" in stale.text
    version = BeautifulSoup(stale.data, "html.parser").select_one("input[name=version]")
    assert version is not None
    assert client.post(address, data=values | {"title": "Mine", "version": str(version["value"])}).status_code == 303
    assert (made().title, made().company_id) == ("Mine", cast.a.id)


def test_a_copy_begins_with_all_of_the_other(cast: Cast, sign_in: SignIn, make_alert: MakeAlert) -> None:
    alert = make_alert(reset=Decimal(60), level=Level.CRITICAL)
    page = BeautifulSoup(sign_in(cast.ada).get(f"{LIST}/new?copy={alert.public_id}").data, "html.parser")
    values = {field["name"]: field.get("value") for field in page.select("#alert-form input[name]")}
    assert (values["title"], values["company"]) == ("Balance is low (copy)", "Alder Dental")
    assert (values["threshold"], values["reset"]) == ("50", "60")
    assert "noc@elsewhere.test" in str(page.select_one("#recipients"))
    assert sign_in(cast.ada).get(f"{LIST}/new?copy=nothing").status_code == 404


# The rehearsal


def told(client: FlaskClient, at: str = f"{LIST}/rehearse", **more: str) -> str:
    answer = client.post(at, data=typed(client, **more), headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert '<hx-partial hx-target="#rehearsal"' in answer.text
    return " ".join(BeautifulSoup(answer.data, "html.parser").get_text(" ").split())


@pytest.fixture
def past(balance: Metric) -> None:
    """Ten days ago the balance fell below 50 for four hours, and touched 50.5 in between."""
    begin = clock.utcnow() - timedelta(days=10)
    steps = [(0, "80"), (60, "40"), (120, "50.5"), (150, "45"), (300, "90")]
    samples = [(balance.id, Sample(begin + timedelta(minutes=minutes), Decimal(value))) for minutes, value in steps]
    take_samples(samples, clock.utcnow())
    db.session.commit()


@pytest.mark.usefixtures("past")
def test_it_says_what_it_would_have_sent_and_what_the_reset_spares(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    before = db.session.query(Alert).count()
    without = told(client)
    assert "at Alder Dental" in without
    assert "it would have sent 4 mails." in without
    spared = told(client, reset="60", title="", recipients="")
    assert "it would have sent 2 mails." in spared
    assert "The longest alert lasted 4 hours." in spared
    assert "2 more were held back by the reset value." in spared
    assert "Triggered, 40.00" in spared
    assert db.session.query(Alert).count() == before


def test_what_is_unfinished_is_said_and_never_a_fault(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    for values, sentence in (
        ({"company": ""}, "Say for whom it is"),
        ({"company": "", "tag": "nobody"}, "No company has this tag yet"),
        ({"company": "Nobody"}, "There is no company of this name."),
        ({"threshold": "x"}, "Write the value as a number"),
        ({"threshold": ""}, "Write the value from which on it is bad."),
        ({"area": "script", "script": "asr(", "threshold": ""}, "At character"),
        ({"area": "x"}, "Not a valid choice."),
        ({}, "no figures of the last 30 days"),
    ):
        assert sentence in told(client, **values), values


@pytest.mark.usefixtures("past")
def test_the_form_of_one_that_is_there_opens_with_its_rehearsal(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert
) -> None:
    alert = make_alert(reset=Decimal(60))
    client, address = sign_in(cast.ada), f"{LIST}/{alert.public_id}"
    opened = client.get(f"{address}/edit").text
    assert "2 more were held back by the reset value." in opened
    assert "form-errors" not in opened
    assert "field-error" not in opened
    assert "it would have sent 4 mails." in told(client, f"{address}/rehearse", company="", version="1")
