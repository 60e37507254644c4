"""The world of the incident tests, and a way to send the forms of these screens."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal import clock
from portal.audit.rules import SYSTEM
from portal.incidents import actions
from portal.incidents.models import Incident
from portal.incidents.rules import Severity, State
from tests.incidents.conftest import world

__all__ = ["fields_of", "post", "report", "soup", "world"]


def soup(response: TestResponse) -> BeautifulSoup:
    return BeautifulSoup(response.get_data(as_text=True), "html.parser")


def fields_of(client: FlaskClient, path: str, form_id: str) -> dict[str, Any]:
    """What a browser would send of this form as it opens."""
    form = soup(client.get(path)).find(id=form_id)
    assert form is not None
    data: dict[str, Any] = {}
    for control in form.find_all(["input", "textarea", "select"]):
        name, value = str(control.get("name", "")), str(control.get("value", ""))
        is_box = control.get("type") in ("checkbox", "radio")
        if not name or (is_box and not control.has_attr("checked")):
            continue
        if control.name == "textarea":
            value = control.text.lstrip("\n")
        elif control.name == "select":
            chosen = control.find("option", selected=True) or control.find("option")
            assert chosen is not None
            value = str(chosen["value"])
        data[name] = [*data.get(name, []), value] if name == "components" else value
    return data


def post(client: FlaskClient, path: str, data: Mapping[str, Any]) -> TestResponse:
    return client.post(path, data=data)


def report(title: str, severities: Mapping[int, Severity], **changes: Any) -> Incident:
    """A report made a little while ago, without mail."""
    now = changes.pop("now", clock.utcnow() - timedelta(minutes=5))
    given: dict[str, Any] = {
        "state": State.INVESTIGATING,
        "body": f"{title} body",
        "notify": False,
        "by": SYSTEM,
        "author_id": None,
        "now": now,
        "idempotency_key": f"{title}-{datetime.now(UTC).timestamp()}",
    } | changes
    return actions.publish(title, severities=severities, **given)
