"""A company's alerts: how they stand, who is told, tested and reported; nobody else's, and nothing that is internal."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.accounts import actions as accounts
from portal.alerts import actions
from portal.alerts.models import Alert, AlertEvent, AlertWatch
from portal.alerts.rules import AlertArea, Happening, Level, Operator
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.models import Broadcast
from portal.usage.models import Metric
from tests.admin.alerts.conftest import MakeAlert, measure
from tests.conftest import Cast, SignIn, counted_queries, token_in

pytestmark = pytest.mark.both


def _watch(alert: Alert) -> AlertWatch:
    return db.session.scalars(select(AlertWatch).where(AlertWatch.alert_id == alert.id)).one()


def test_what_is_triggered_stands_first_in_words(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    make_alert("A quiet one", threshold=Decimal(10))
    make_alert("Zero hour", threshold=Decimal(50))
    measure(balance, "40.5")
    page = sign_in(cast.alice).get("/alerts").text
    assert page.index("Zero hour") < page.index("A quiet one")
    assert "1 alert is triggered." in page
    assert "Balance: below 50.00\u202fEUR" in page
    assert "Now 40.50\u202fEUR" in page
    assert ">Triggered<" in page
    assert ">Normal<" in page
    only = sign_in(cast.alice).get("/alerts?state=triggered").text
    assert "Zero hour" in only
    assert "A quiet one" not in only
    assert "A quiet one" in sign_in(cast.alice).get("/alerts?q=QUIET").text
    assert "No such alert" in sign_in(cast.alice).get("/alerts?q=nothing").text


@pytest.mark.parametrize("query", ["state=muted", "state=x", "page=0", "page=2", "page=x", "page=٣"])
def test_what_is_no_page_or_state_is_missing(cast: Cast, sign_in: SignIn, query: str) -> None:
    assert sign_in(cast.alice).get(f"/alerts?{query}").status_code == 404


def test_nobody_of_another_company_sees_anything_of_it(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    alert = make_alert("Only of A")
    measure(balance, "40")
    other = sign_in(cast.charlie)
    assert "Only of A" not in other.get("/alerts").text
    assert "No alerts yet" in other.get("/alerts").text
    missing = other.get("/alerts/" + "0" * 16)
    for method, path in (("get", ""), ("get", "/edit"), ("post", "/test"), ("post", "/off"), ("post", "/rehearse")):
        data = {"csrf_token": token_in(other, "/alerts")} if method == "post" else None
        answer = getattr(other, method)(f"/alerts/{alert.public_id}{path}", data=data)
        assert answer.status_code == missing.status_code == 404
    assert other.get(f"/alerts/{alert.public_id}?span=week").status_code == 404


def test_of_who_is_told_only_people_of_the_company_have_names(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    """Staff and addresses of nobody known are others; so is B's Charlie, though he has signed in."""
    told = (cast.bob.email, "noc@elsewhere.test", cast.ada.email, cast.charlie.email)
    alert = make_alert("Told to many", recipients=told, tells_contacts=True)
    client = sign_in(cast.alice)
    for path in ("/alerts", f"/alerts/{alert.public_id}"):
        page = client.get(path).text
        assert f"Told: {cast.bob.name}, the contacts of your company, others whom" in page
        for hidden in ("noc@elsewhere.test", cast.ada.name, cast.ada.email, cast.charlie.name, cast.charlie.email):
            assert hidden not in page


def test_one_for_companies_of_a_kind_is_seen_and_its_tag_is_not(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert
) -> None:
    accounts.tag_company(cast.a, ["wholesale-secret"], version=cast.a.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    alert = make_alert("For several", company_id=None, tag="wholesale-secret", recipients=("noc@elsewhere.test",))
    client = sign_in(cast.alice)
    for path in ("/alerts", f"/alerts/{alert.public_id}"):
        page = client.get(path).text
        assert "For several" in page
        assert "secret" not in page
    assert sign_in(cast.charlie).get(f"/alerts/{alert.public_id}").status_code == 404


def test_notes_drafts_scripts_and_muting_nobody_may_explain_stay_inside(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert
) -> None:
    script = make_alert(
        "By a rule",
        area=AlertArea.SCRIPT,
        operator=Operator.MORE,
        threshold=None,
        script='asr("10m") < 42',
        opens_draft=True,
    )
    watch, now = _watch(script), clock.utcnow()
    watch.muted_since = now
    db.session.add_all(
        AlertEvent(watch_id=watch.id, at=now, kind=kind, note="a private incident")
        for kind in (Happening.TRIGGERED, Happening.MUTED, Happening.UNMUTED)
    )
    db.session.commit()
    client = sign_in(cast.alice)
    page = client.get(f"/alerts/{script.public_id}").text
    assert "It is triggered while what its rule looks for is the case." in page
    assert "Triggered</td>" in page
    for hidden in ("asr(", "private incident", "draft", "Muted", "muted"):
        assert hidden not in page
    assert "Muted" not in client.get("/alerts").text


def test_its_page_has_the_condition_the_chart_the_table_and_the_log(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    alert = make_alert(threshold=Decimal(50), reset=Decimal(60))
    now = clock.utcnow()
    measure(balance, "70", now - timedelta(hours=2))
    measure(balance, "40", now)
    page = sign_in(cast.alice).get(f"/alerts/{alert.public_id}").text
    assert "It is triggered when Balance is below 50.00\u202fEUR." in page
    assert "It is normal again when it is 60.00\u202fEUR or more." in page
    assert '<svg class="chart-drawing"' in page
    assert "Threshold 50.00\u202fEUR" in page
    assert "Normal again at 60.00\u202fEUR" in page
    assert "The figures as a table" in page
    assert '<td data-label="What">Triggered</td>' in page
    week = sign_in(cast.alice).get(f"/alerts/{alert.public_id}?span=week")
    assert 'href="/alerts/' in week.text
    assert sign_in(cast.alice).get(f"/alerts/{alert.public_id}?span=year").status_code == 404


def test_what_has_no_data_says_since_when_and_that_it_still_counts(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    make_alert()
    begun = clock.utcnow() - timedelta(hours=3)
    measure(balance, "40", begun)
    actions.evaluate_all(clock.utcnow())
    db.session.commit()
    client = sign_in(cast.alice)
    listed = client.get("/alerts").text
    assert "No data since" in listed
    assert "nothing comes in" in listed


def test_a_test_goes_to_whoever_asks_and_to_nobody_else(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    alert = make_alert(recipients=(cast.bob.email, "noc@elsewhere.test"))
    at, client = f"/alerts/{alert.public_id}", sign_in(cast.alice)
    answer = client.post(f"{at}/test", data={"csrf_token": token_in(client, at)})
    assert answer.status_code == 303
    assert "A test is on its way to you." in client.get(at).text
    made = db.session.scalars(select(Broadcast)).one()
    assert made.selector["only_person_id"] == cast.alice.id
    token = token_in(client, at)
    for _again in range(9):
        assert client.post(f"{at}/test", data={"csrf_token": token}).status_code == 303
    refused = client.post(f"{at}/test", data={"csrf_token": token})
    assert refused.status_code == 422
    assert "This alert was tested 10 times within the hour." in refused.text
    assert client.post(f"{at}/test").status_code == 400


def test_a_problem_is_reported_with_the_facts_where_messages_are_open(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    alert = make_alert()
    measure(balance, "40")
    link = f"/messages/alert/{_watch(alert).id}?told=now"
    client = sign_in(cast.alice)
    assert f'href="{link}"' in client.get(f"/alerts/{alert.public_id}").text
    form = client.get(link).text
    assert "About the alert “Balance is low”:" in form
    assert "40.00\u202fEUR" in form
    _close(cast, Area.MESSAGES)
    assert link not in sign_in(cast.alice).get(f"/alerts/{alert.public_id}").text


def _close(cast: Cast, area: Area) -> None:
    domains.set_override(cast.domain_a, cast.a, area, False, by=SYSTEM, now=clock.utcnow())
    db.session.commit()


def test_where_the_area_is_closed_nothing_of_it_is_there(cast: Cast, sign_in: SignIn, make_alert: MakeAlert) -> None:
    alert = make_alert()
    client = sign_in(cast.alice)
    assert 'href="/alerts"' in client.get("/").text
    token = token_in(client, f"/alerts/{alert.public_id}")
    _close(cast, Area.ALERTS)
    client = sign_in(cast.alice)
    assert 'href="/alerts"' not in client.get("/").text
    at = f"/alerts/{alert.public_id}"
    for path in ("/alerts", "/alerts/new", at, f"{at}/edit"):
        for headers in ({}, {"HX-Request": "true"}):
            assert client.get(path, headers=headers).status_code == 404
    for path in (
        "/alerts/new",
        "/alerts/rehearse",
        f"{at}/edit",
        f"{at}/test",
        f"{at}/on",
        f"{at}/off",
        f"{at}/archive",
    ):
        assert client.post(path, data={"csrf_token": token}).status_code in {400, 404}


def test_both_pages_ask_the_same_however_many_alerts_and_recipients_there_are(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric
) -> None:
    alert = make_alert("First", recipients=(cast.bob.email, "one@elsewhere.test"))
    measure(balance, "40")
    client = sign_in(cast.alice)
    paths = ("/alerts", f"/alerts/{alert.public_id}")
    few = [_count(client.get, path) for path in paths]
    for number in range(6):
        make_alert(f"More {number}", recipients=(cast.bob.email, f"{number}@elsewhere.test"), level=Level.INFO)
    measure(balance, "30")
    assert [_count(client.get, path) for path in paths] == few
    assert few[0] <= 22
    assert few[1] <= 28


def _count(get: Callable[[str], object], path: str) -> int:
    with counted_queries() as asked:
        get(path)
    return len(asked)


def test_more_than_fifty_stand_on_pages(cast: Cast, sign_in: SignIn, make_alert: MakeAlert) -> None:
    for number in range(51):
        make_alert(f"Number {number:02}")
    client = sign_in(cast.alice)
    first, second = client.get("/alerts").text, client.get("/alerts?page=2").text
    assert "Number 49" in first
    assert "Number 50" not in first
    assert "Number 50" in second
    assert db.session.scalar(select(func.count(AlertWatch.id))) == 51
