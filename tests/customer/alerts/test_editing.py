"""What a company may do with its alerts: look, move limits of its money, or make its own; refused in sentences."""

from datetime import timedelta
from decimal import Decimal

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock
from portal.alerts import actions, queries
from portal.alerts.models import Alert
from portal.alerts.rules import AlertArea, Maker, Operator, Rights
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.usage.actions import Wanted as WantedMetric
from portal.usage.actions import add_metric
from portal.usage.models import Metric
from tests.admin.alerts.conftest import MakeAlert, measure
from tests.conftest import NOW, Cast, SignIn, token_in

pytestmark = pytest.mark.both


def _may(cast: Cast, rights: Rights) -> None:
    row = queries.rights_row(cast.a.id)
    actions.set_rights(cast.a.id, rights, version=row.version if row else 0, by=SYSTEM, now=clock.utcnow())
    for person in (cast.alice, cast.bob):
        person.last_signed_in_at = NOW
    db.session.commit()


def _typed(client: FlaskClient, cast: Cast, **other: object) -> dict[str, object]:
    return {
        "csrf_token": token_in(client, "/alerts"),
        "key": "a key of one form",
        "title": "Few answers",
        "area": "asr",
        "service": "0",
        "operator": "<",
        "threshold": "30,5",
        "reset": "40",
        "window": "30",
        "least_count": "50",
        "must_last": "5",
        "must_be_well": "0",
        "people": [cast.bob.email],
        "repeat": "none",
        "level": "warning",
        "tells_normal": "y",
    } | other


def _made() -> Alert | None:
    return db.session.scalars(select(Alert)).one_or_none()


def test_one_makes_their_own_alert_once_however_often_it_is_sent(cast: Cast, sign_in: SignIn) -> None:
    _may(cast, Rights.ALL)
    client = sign_in(cast.alice)
    assert 'href="/alerts/new"' in client.get("/alerts").text
    form = client.get("/alerts/new").text
    assert cast.bob.name in form
    assert cast.charlie.email not in form
    assert 'value="script"' not in form
    typed = _typed(client, cast)
    for _again in range(2):
        answer = client.post("/alerts/new", data=typed)
        assert answer.status_code == 303
    alert = _made()
    assert alert is not None
    found = (
        alert.company_id,
        alert.made_by,
        alert.area,
        alert.operator,
        alert.threshold,
        alert.window,
        alert.least_count,
    )
    assert found == (cast.a.id, Maker.CUSTOMER, AlertArea.ASR, Operator.LESS, Decimal("30.5"), 1800, 50)
    page = client.get(answer.location).text
    assert "over 30 minutes, is below 30.50\u202f% for 5 minutes without a break." in page
    assert "It is judged as soon as there are 50 calls." in page
    assert f"Told: {cast.bob.name}" in page


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"title": ""}, "Give the alert a title."),
        ({"reset": "20"}, "Low values are bad here"),
        ({"threshold": ""}, "Write the value from which on it is bad."),
        ({"threshold": "many"}, "Write a number, such as 12 or 12.5."),
        ({"threshold": "101"}, "write a number from 0 to 100"),
        ({"window": "9000"}, "Write minutes, from 0 to 1,440."),
        ({"window": "0"}, "Choose a sample period of whole minutes"),
        ({"people": []}, "Name somebody who is told"),
        ({"operator": "always"}, "choose how often"),
        ({"numbers": "+49 160 1234567"}, "Text messages cannot be sent from here."),
    ],
)
def test_a_refusal_is_a_sentence_and_keeps_what_was_typed(
    cast: Cast, sign_in: SignIn, other: dict[str, object], sentence: str
) -> None:
    _may(cast, Rights.ALL)
    client = sign_in(cast.alice)
    typed = _typed(client, cast, must_be_well="17", **other)
    answer = client.post("/alerts/new", data=typed)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert 'value="17"' in answer.text
    assert _made() is None


@pytest.mark.parametrize("field", ["people", "area", "service", "level", "operator"])
def test_what_is_not_offered_is_refused(cast: Cast, sign_in: SignIn, field: str) -> None:
    """An address of another company, a script, a service it does not have: whatever is sent past the form."""
    _may(cast, Rights.ALL)
    client = sign_in(cast.alice)
    forged = {"people": [cast.charlie.email], "area": "script", "service": "1", "level": "x", "operator": "!="}
    answer = client.post("/alerts/new", data=_typed(client, cast, **{field: forged[field]}))
    assert answer.status_code == 422
    assert cast.charlie.name not in answer.text
    assert _made() is None


def test_of_its_own_metrics_only_those_it_is_shown_are_offered(cast: Cast, sign_in: SignIn) -> None:
    _may(cast, Rights.ALL)
    for key, is_shown in (("queue", True), ("hidden-one", False)):
        wanted = WantedMetric(key, f"Named {key}", company_id=cast.a.id, is_shown=is_shown)
        add_metric(wanted, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    client = sign_in(cast.alice)
    form = client.get("/alerts/new").text
    assert "Named queue" in form
    assert "hidden-one" not in form
    refused = client.post("/alerts/new", data=_typed(client, cast, area="custom:hidden-one"))
    assert refused.status_code == 422
    made = client.post("/alerts/new", data=_typed(client, cast, area="custom:queue", threshold="30", reset=""))
    assert made.status_code == 303
    alert = _made()
    assert alert is not None
    assert alert.area is AlertArea.CUSTOM
    assert "Named queue" in client.get(made.location).text


def _own(client: FlaskClient, cast: Cast) -> str:
    assert client.post("/alerts/new", data=_typed(client, cast)).status_code == 303
    alert = _made()
    assert alert is not None
    return f"/alerts/{alert.public_id}"


def test_what_they_made_they_change_switch_and_put_away_and_who_was_later_is_told(cast: Cast, sign_in: SignIn) -> None:
    _may(cast, Rights.ALL)
    client = sign_in(cast.alice)
    at = _own(client, cast)
    typed = _typed(client, cast, title="Very few answers", version="1")
    assert client.post(f"{at}/edit", data=typed).status_code == 303
    assert "Very few answers" in client.get(at).text
    stale = client.post(f"{at}/edit", data=typed | {"title": "Mine"})
    assert stale.status_code == 409
    assert "Somebody else saved this alert in the meantime." in stale.text
    assert 'value="Mine"' in stale.text
    assert 'name="version" type="hidden" value="2"' in stale.text
    pressed = {"csrf_token": typed["csrf_token"], "version": "1"}
    late = client.post(f"{at}/off", data=pressed)
    assert late.status_code == 409
    assert "Somebody changed this alert in the meantime." in late.text
    assert client.post(f"{at}/off", data=pressed | {"version": "2"}).status_code == 303
    assert "It is switched off" in client.get(at).text
    assert client.post(f"{at}/on", data=pressed | {"version": "3"}).status_code == 303
    assert client.post(f"{at}/archive", data=pressed | {"version": "4"}).status_code == 303
    assert client.get(at).status_code == 404


def test_whom_staff_added_stays_when_customers_save(cast: Cast, sign_in: SignIn) -> None:
    _may(cast, Rights.ALL)
    client = sign_in(cast.alice)
    at = _own(client, cast)
    alert = queries.alert_for_staff(at.rsplit("/", maxsplit=1)[-1])
    assert alert is not None
    wanted = actions.wanted_of(alert)
    told = (*wanted.recipients, cast.ada.email)
    actions.edit_alert(
        alert,
        type(wanted)(**{**wanted.__dict__, "recipients": told, "opens_draft": True}),
        version=alert.version,
        by=SYSTEM,
        now=clock.utcnow(),
    )
    db.session.commit()
    form = client.get(f"{at}/edit").text
    assert cast.ada.email not in form
    assert "Others whom" in form
    typed = _typed(client, cast, people=[cast.alice.email], version="2")
    assert client.post(f"{at}/edit", data=typed).status_code == 303
    kept = queries.alert_for_staff(at.rsplit("/", maxsplit=1)[-1])
    assert kept is not None
    assert {each.address for each in kept.recipients} == {cast.alice.email, cast.ada.email}
    assert kept.opens_draft


@pytest.mark.parametrize("rights", [Rights.SEE, Rights.THRESHOLDS, Rights.ALL])
def test_what_staff_made_they_only_see_but_for_limits_of_money(
    cast: Cast, sign_in: SignIn, make_alert: MakeAlert, balance: Metric, rights: Rights
) -> None:
    money = make_alert()
    calls = make_alert("Too busy", area=AlertArea.CHANNELS, operator=Operator.MORE)
    _may(cast, rights)
    client = sign_in(cast.alice)
    token = {"csrf_token": token_in(client, "/alerts"), "version": "1"}
    for alert in (money, calls):
        for path in ("on", "off", "archive", "rehearse"):
            assert client.post(f"/alerts/{alert.public_id}/{path}", data=token).status_code == 403
    assert client.get(f"/alerts/{calls.public_id}/edit").status_code == 403
    may_move = rights is not Rights.SEE
    at = f"/alerts/{money.public_id}"
    assert client.get(f"{at}/edit").status_code == (200 if may_move else 403)
    assert ("Change the limit" in client.get(at).text) is may_move
    answer = client.post(f"{at}/edit", data=token | {"threshold": "75", "reset": ""})
    assert answer.status_code == (303 if may_move else 403)
    made = client.get("/alerts/new").status_code, client.post("/alerts/rehearse", data=token).status_code
    assert made == ((200, 200) if rights is Rights.ALL else (403, 403))
    db.session.expire_all()
    assert money.threshold == (75 if may_move else 50)
    if may_move:
        assert client.post(f"{at}/edit", data=token | {"threshold": "80"}).status_code == 409
        wrong = client.post(f"{at}/edit", data=token | {"version": "2", "threshold": "", "reset": "90"})
        assert wrong.status_code == 422
        assert "Write the value from which on it is bad." in wrong.text
        assert 'value="90"' in wrong.text


def test_it_is_tried_on_thirty_days_with_and_without_script(cast: Cast, sign_in: SignIn, balance: Metric) -> None:
    _may(cast, Rights.ALL)
    now = clock.utcnow()
    for hours, value in ((30, "90"), (20, "10"), (10, "90")):
        measure(balance, value, now - timedelta(hours=hours))
    client = sign_in(cast.alice)
    typed = _typed(client, cast, area="balance", threshold="50", reset="")
    panel = client.post("/alerts/rehearse", data=typed, headers={"HX-Request": "true"})
    assert panel.status_code == 200
    assert "it would have sent" in panel.text
    assert "<form" not in panel.text
    page = client.post("/alerts/rehearse", data=typed | {"title": "", "must_be_well": "17"}).text
    assert "it would have sent" in page
    assert 'value="17"' in page
    assert "field-error" not in page
    missing = client.post("/alerts/rehearse", data=typed | {"threshold": ""}, headers={"HX-Request": "true"})
    assert "Write the value from which on it is bad." in missing.text
    assert _made() is None
