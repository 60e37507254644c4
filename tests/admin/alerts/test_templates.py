"""Own words for alerts: refusals where they stand, two at one form, what they become, and putting them away."""

from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from portal.alerts.models import AlertTemplate
from portal.extensions import db
from tests.admin.alerts.conftest import MakeAlert
from tests.conftest import Cast, SignIn, counted_queries, token_in

LIST = "/admin/alerts/templates"


def typed(client: FlaskClient, **more: str) -> dict[str, str]:
    return {
        "csrf_token": token_in(client, LIST),
        "name": "Wholesale",
        "subject": "Alert: {{alert}}",
        "text": "{{alert}} at {{company}}: {{value}}.",
        "html": "",
        "sms": "{{alert}}: {{value}}",
    } | more


def test_one_is_written_changed_and_put_away(cast: Cast, sign_in: SignIn, make_alert: MakeAlert) -> None:
    client = sign_in(cast.ada)
    assert "No template yet" in client.get(LIST).text
    assert "{{alert}}" in client.get(f"{LIST}/new").text
    made = client.post(f"{LIST}/new", data=typed(client))
    assert made.status_code == 303
    template = db.session.query(AlertTemplate).one()
    alert = make_alert(template_id=template.id)
    address = made.headers["Location"]
    edit = typed(client, subject="Now: {{alert}}", version=str(template.version))
    assert client.post(address, data=edit).status_code == 303
    stale = client.post(address, data=edit | {"subject": "Mine: {{alert}}"})
    assert stale.status_code == 409
    assert 'value="Mine: {{alert}}"' in stale.text
    row = BeautifulSoup(client.get(LIST).data, "html.parser").select_one("#templates tbody tr")
    assert row is not None
    assert row.get_text(" ").split() == ["Wholesale", "Now:", "{{alert}}", "1"]
    page = client.get(address).text
    assert "1 alert speaks in these words" in page
    assert address in client.get(f"/admin/alerts/{alert.public_id}").text
    db.session.expire_all()
    values = {"csrf_token": typed(client)["csrf_token"], "version": str(db.session.query(AlertTemplate).one().version)}
    assert client.post(f"{address}/archive", data=values).status_code == 303
    assert "Wholesale" not in client.get(LIST).text
    assert "Archived" in client.get(address).text


def test_what_cannot_be_sent_is_refused_where_it_stands(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    for field, value in (
        ("name", " "),
        ("subject", "{{nothing}}"),
        ("subject", ""),
        ("text", "{{alert"),
        ("html", "<a href='{{value}}'>x</a>"),
        ("sms", "{{support}}"),
        ("sms", "x" * 700),
    ):
        answer = client.post(f"{LIST}/new", data=typed(client, **{field: value}))
        assert answer.status_code == 422, (field, value)
        error = BeautifulSoup(answer.data, "html.parser").select_one(f"#{field}-error")
        assert error is not None, (field, value)
    assert db.session.query(AlertTemplate).count() == 0


def test_what_they_become_is_shown_while_they_are_typed(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)

    def seen(**more: str) -> str:
        answer = client.post(f"{LIST}/preview", data=typed(client, **more), headers={"HX-Request": "true"})
        assert answer.status_code == 200
        return " ".join(BeautifulSoup(answer.data, "html.parser").get_text(" ").split())

    shown = seen()
    assert "Alert: Too few calls are answered" in shown
    assert "28.40" in shown
    assert "characters, sent as 1 message." in shown
    assert "nothing" in seen(subject="{{nothing}}")
    assert db.session.query(AlertTemplate).count() == 0


def test_the_variables_are_listed_and_the_list_asks_the_same(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    page = BeautifulSoup(client.get(f"{LIST}/new").data, "html.parser")
    assert "{{value}}" in [code.get_text() for code in page.select("#template-variables code")]
    client.post(f"{LIST}/new", data=typed(client))
    client.get(LIST)
    with counted_queries() as before:
        client.get(LIST)
    for number in range(3):
        client.post(f"{LIST}/new", data=typed(client, name=f"Another {number}"))
    with counted_queries() as after:
        client.get(LIST)
    assert len(after) == len(before)
    assert client.get(f"{LIST}/99999").status_code == 404
    assert sign_in(cast.olaf).get(LIST).status_code == 403
