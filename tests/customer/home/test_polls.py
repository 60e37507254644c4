"""Polls of the banner: answered without rendering, and never to whom the ordinary route would not answer."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Membership, Person, Session
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, Holding, Service
from portal.domains import actions as domains
from portal.domains.models import Admission
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.services.actions import Wanted, set_status
from portal.services.actions.settings import SHOWN, set_view
from portal.services.rules import Scope, ServiceStatus
from tests.conftest import NOW, Cast, SignIn, counted_queries
from tests.services.saying import say

POLL = {"HX-Request": "true", "X-Background": "1"}
LOOKS = 2
"""Queries of a poll that finds nothing changed: the session, and the versions."""


@pytest.fixture
def component(cast: Cast) -> Component:
    added = catalogue.add_component("Voice core", by=SYSTEM, now=NOW)
    service: Service = catalogue.add_service("Hosted telephony", by=SYSTEM, now=NOW)
    catalogue.set_dependencies(service, [added.id], by=SYSTEM, now=NOW)
    catalogue.add_holding(cast.a, service, reference="A-1", by=SYSTEM, now=NOW)
    events.commit()
    return added


def poll(client: FlaskClient, etag: str = "") -> TestResponse:
    return client.get("/banner", headers={**POLL, **({"If-None-Match": etag} if etag else {})})


def publish(component: Component, title: str, visibility: Visibility = Visibility.PUBLIC) -> None:
    incidents.publish(
        title,
        State.INVESTIGATING,
        "Calls fail.",
        {component.id: Severity.MAJOR_OUTAGE},
        visibility=visibility,
        audience=Audience.AFFECTED,
        notify=False,
        by=SYSTEM,
        author_id=None,
        now=clock.utcnow(),
        idempotency_key=title,
    )
    events.commit()


def test_an_unchanged_banner_is_not_rendered(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    first = poll(alice)
    with counted_queries() as statements:
        second = poll(alice, first.headers["ETag"])
    assert (first.status_code, second.status_code, second.data) == (200, 304, b"")
    assert len(statements) == LOOKS
    assert second.headers["ETag"] == first.headers["ETag"]
    assert second.headers["Cache-Control"] == "private, no-cache"
    assert "Content-Security-Policy" in second.headers


def test_it_is_what_the_ordinary_route_answers(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    publish(component, "No dial tone")
    ordinary = alice.get("/banner", headers={"HX-Request": "true"})
    short = [poll(alice) for _ in range(2)][1]
    assert "No dial tone" in short.text
    assert short.text == ordinary.text
    unlike = {"X-Request-Id", "Date"}  # the server gives every answer its date
    assert {k: v for k, v in short.headers if k not in unlike} == {k: v for k, v in ordinary.headers if k not in unlike}


def test_people_of_one_company_share_it_and_nobody_else_does(cast: Cast, component: Component, sign_in: SignIn) -> None:
    publish(component, "No dial tone")
    assert "No dial tone" in poll(sign_in(cast.alice)).text
    bob = sign_in(cast.bob)
    with counted_queries() as statements:
        assert "No dial tone" in poll(bob).text
    assert len(statements) == LOOKS
    assert "No dial tone" not in poll(sign_in(cast.charlie)).text


def test_a_change_shows_at_once(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    before = poll(alice)
    publish(component, "No dial tone")
    after = poll(alice, before.headers["ETag"])
    assert after.status_code == 200
    assert "No dial tone" in after.text
    assert poll(alice, after.headers["ETag"]).status_code == 304


def test_a_private_report_changes_nothing_and_no_etag(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    before = poll(alice)
    publish(component, "Hush", Visibility.PRIVATE)
    with counted_queries() as statements:
        assert poll(alice, before.headers["ETag"]).status_code == 304
    assert len(statements) == LOOKS


def test_an_override_closes_it_at_once(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    etag = poll(alice).headers["ETag"]
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    events.commit()
    assert poll(alice, etag).status_code == 404
    assert poll(alice).status_code == 404


def test_a_switched_off_domain_closes_it_at_once(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    etag = poll(alice).headers["ETag"]
    domains.set_areas(cast.domain_a, [Area.SERVICES], version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    assert poll(alice, etag).status_code == 404


def end_session(person: Person, _cast: Cast) -> None:
    session = db.session.scalars(db.select(Session).where(Session.person_id == person.id)).one()
    accounts.end_session(session.id, by=SYSTEM, now=clock.utcnow())


def be_idle(person: Person, _cast: Cast) -> None:
    long_ago = clock.utcnow() - timedelta(days=8)
    db.session.execute(update(Session).where(Session.person_id == person.id).values(last_seen_at=long_ago))


def leave(person: Person, _cast: Cast) -> None:
    db.session.execute(delete(Membership).where(Membership.person_id == person.id))


def not_be_admitted(_person: Person, cast: Cast) -> None:
    db.session.execute(delete(Admission).where(Admission.company_id == cast.a.id))


def be_deactivated(person: Person, _cast: Cast) -> None:
    person.deactivated_at = clock.utcnow()


def lose_the_company(_person: Person, cast: Cast) -> None:
    cast.a.archived_at = clock.utcnow()


@pytest.mark.parametrize(
    "happens",
    [end_session, be_idle, leave, not_be_admitted, be_deactivated, lose_the_company],
    ids=lambda f: f.__name__,
)
def test_the_session_is_checked_at_every_poll(
    cast: Cast, component: Component, sign_in: SignIn, happens: Callable[[Person, Cast], None]
) -> None:
    alice, bob = sign_in(cast.alice), sign_in(cast.bob)
    etag = poll(alice).headers["ETag"]
    poll(bob)
    happens(cast.alice, cast)
    events.commit()
    for answer in (poll(alice, etag), poll(alice)):
        assert answer.status_code == 401
        assert answer.headers["HX-Redirect"].startswith("/sign-in")
        assert "Voice" not in answer.text


def test_a_session_counts_only_on_its_own_host(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    etag = poll(alice).headers["ETag"]
    stolen = alice.get_cookie("sid", domain="a.portal.test")
    assert stolen is not None
    other = sign_in(cast.charlie)
    other.set_cookie("sid", stolen.value, domain="b.portal.test")
    assert poll(other, etag).status_code == 401


def test_polls_keep_no_session_alive(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    hour_ago = clock.utcnow() - timedelta(hours=1)
    db.session.execute(update(Session).values(last_seen_at=hour_ago))
    events.commit()
    poll(alice)
    poll(alice)
    assert db.session.scalar(db.select(Session.last_seen_at)) == hour_ago


def test_only_polls_take_the_short_way(cast: Cast, component: Component, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    poll(alice)
    for headers in ({"HX-Request": "true"}, {"X-Background": "1"}, {**POLL, "HX-Boosted": "true"}):
        with counted_queries() as statements:
            assert alice.get("/banner", headers=headers).status_code == 200
        assert len(statements) > LOOKS


def test_scheduled_service_goes_with_its_end_though_nothing_rings(
    cast: Cast, component: Component, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, now = sign_in(cast.alice), clock.utcnow()
    ends_at = now.replace(second=0, microsecond=0) + timedelta(minutes=5, seconds=30)
    holding_id = db.session.scalars(select(Holding.id).where(Holding.company_id == cast.a.id)).one()
    wanted = Wanted(ServiceStatus.SCHEDULED, "New handsets.", starts_at=now, ends_at=ends_at, notify=False)
    set_status(
        [holding_id], wanted, scope=Scope.ONE, chosen={}, by=SYSTEM, author_id=None, now=now, idempotency_key="1"
    )
    events.commit()
    shown = poll(alice)
    assert "New handsets." in shown.text
    for moment, is_shown in ((ends_at - timedelta(seconds=1), True), (ends_at, False)):
        monkeypatch.setattr(clock, "utcnow", lambda moment=moment: moment)
        assert ("New handsets." in poll(alice).text) is is_shown


def test_what_is_stated_and_what_may_be_seen_of_it_show_at_once(
    cast: Cast, component: Component, sign_in: SignIn
) -> None:
    alice, charlie = sign_in(cast.alice), sign_in(cast.charlie)
    holding = db.session.scalars(select(Holding).where(Holding.company_id == cast.a.id)).one()
    quiet, elsewhere = poll(alice), poll(charlie)
    say(holding, ServiceStatus.DOWN, notes="No dial tone.")
    assert "No dial tone." in poll(alice, quiet.headers["ETag"]).text
    assert poll(charlie, elsewhere.headers["ETag"]).status_code == 304
    shows = dict.fromkeys(SHOWN, True) | {"shows_notes": False}
    set_view(cast.domain_a, None, hidden_services=[], shows=shows, version=0, by=SYSTEM, now=NOW)
    events.commit()
    assert "No dial tone." not in poll(alice).text
    assert "System is down" in poll(alice).text
    set_view(cast.domain_a, cast.a.id, hidden_services=[holding.service_id], shows=shows, version=0, by=SYSTEM, now=NOW)
    events.commit()
    assert "System is down" not in poll(alice).text
