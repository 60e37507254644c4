"""Setting monitors up: the address shown once, words that stand for components, and two people at one form."""

import re

from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.extensions import db
from portal.incidents.actions.monitors import add_monitor
from portal.incidents.models import Monitor
from portal.incidents.queries.monitors import monitor_by_id, monitor_with_key
from portal.incidents.rules import Severity
from portal.incidents.rules.monitors import Shape
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in

LIST = "/admin/settings/monitors"


def test_one_is_added_changed_moved_and_removed(cast: Cast, sign_in: SignIn) -> None:
    sip = catalogue.add_component("SIP edge London", by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.root)
    assert "No monitor yet" in client.get(LIST).text
    token = token_in(client, f"{LIST}/new")
    form = {
        "csrf_token": token,
        "name": "Grafana",
        "shape": "grafana",
        "severity": "partial_rth",
        "matches-0-word": "sip-lon",
        "matches-0-component": "0",
        "matches-0-severity": "major_outage",
    }
    refused = client.post(f"{LIST}/new", data=form)
    assert refused.status_code == 422
    assert "“sip-lon” stands for" in refused.text
    assert 'value="sip-lon"' in refused.text
    shown = client.post(f"{LIST}/new", data=form | {"matches-0-component": str(sip.id)})
    assert (shown.status_code, shown.headers["Cache-Control"]) == (200, "no-store")
    found = re.search(r"http://admin\.portal\.test/inbound/monitors/([\w-]+)", shown.text)
    assert found is not None
    monitor = monitor_with_key(found[1])
    assert monitor is not None
    page = client.get(f"{LIST}/{monitor.id}").text
    assert "sip-lon" in page
    assert found[1] not in page
    edit = form | {"matches-0-component": str(sip.id), "name": "Grafana Leeds", "version": str(monitor.version)}
    assert client.post(f"{LIST}/{monitor.id}/edit", data=edit).status_code == 303
    stale = client.post(f"{LIST}/{monitor.id}/edit", data=edit | {"name": "Mine"})
    assert stale.status_code == 409
    assert 'value="Mine"' in stale.text
    db.session.expire_all()
    loaded = monitor_by_id(monitor.id)
    assert loaded is not None
    assert loaded.name == "Grafana Leeds"
    values = {"csrf_token": token, "version": str(loaded.version)}
    assert "/inbound/monitors/" in client.post(f"{LIST}/{monitor.id}/renew", data=values).text
    assert monitor_with_key(found[1]) is None
    assert client.post(f"{LIST}/{monitor.id}/remove", data=values).status_code == 409
    db.session.expire_all()
    newer = db.session.scalars(select(Monitor.version)).one()
    assert client.post(f"{LIST}/{monitor.id}/remove", data=values | {"version": str(newer)}).status_code == 303
    assert client.get(f"{LIST}/{monitor.id}").status_code == 404


def test_the_list_asks_the_same_whatever_there_is(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    client.get(LIST)
    with counted_queries() as before:
        client.get(LIST)
    for number in range(20):
        add_monitor(f"Monitor {number}", Shape.GRAFANA, Severity.MAJOR_OUTAGE, [], by=SYSTEM, now=NOW)
    db.session.commit()
    with counted_queries() as after:
        assert client.get(LIST).text.count("Grafana Alerting") == 20
    assert len(after) == len(before)


def test_who_may_not_make_keys_sees_none(cast: Cast, sign_in: SignIn) -> None:
    for person in (cast.olaf, cast.alice):
        assert sign_in(person).get(LIST).status_code in {403, 404}
