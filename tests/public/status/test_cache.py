"""The public status page as it is kept: true within a second, the same for everybody, and nobody else's."""

import gzip
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, events
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.models import Maintenance, MaintenanceComponent
from portal.incidents.rules import MaintenanceState, Severity, State, Visibility
from portal.kept import LOOK_EVERY
from portal.public.status.cache import PublicPages
from tests.conftest import NOW, Cast, SignIn, counted_queries

Visitor = Callable[[str], FlaskClient]
HOST = "a.portal.test"


@pytest.fixture
def component(cast: Cast) -> Component:
    added = catalogue.add_component("Voice core", by=SYSTEM, now=NOW)
    events.commit()
    return added


def publish(component: Component, title: str, visibility: Visibility = Visibility.PUBLIC) -> None:
    incidents.publish(
        title,
        State.INVESTIGATING,
        "Calls fail.",
        {component.id: Severity.MAJOR_OUTAGE},
        visibility=visibility,
        notify=False,
        by=SYSTEM,
        author_id=None,
        now=clock.utcnow(),
        idempotency_key=title,
    )
    events.commit()


def pages(app: Flask) -> PublicPages:
    found: PublicPages = app.extensions["shortcuts"][PublicPages]
    return found


def test_a_page_is_rendered_once_and_given_to_everybody(component: Component, visitor: Visitor) -> None:
    first = visitor(HOST).get("/status")
    with counted_queries() as statements:
        second = visitor(HOST).get("/status")
    assert first.status_code == second.status_code == 200
    assert "Voice core" in second.text
    assert second.text == first.text
    assert len(statements) == 1
    assert second.headers["Cache-Control"] == "public, max-age=5, stale-while-revalidate=30"
    assert "Set-Cookie" not in second.headers


def test_a_kept_page_carries_every_header_of_a_fresh_one(app: Flask, component: Component, visitor: Visitor) -> None:
    fresh = visitor(HOST).get("/status?past=the+copy")
    kept = [visitor(HOST).get("/status") for _ in range(2)][1]
    assert set(dict(kept.headers)) == set(dict(fresh.headers)) - {"Date"}  # the server gives every answer its date
    same = set(dict(kept.headers)) - {"X-Request-Id", "ETag", "Vary", "Content-Length"}
    assert {name: kept.headers[name] for name in same} == {name: fresh.headers[name] for name in same}
    assert kept.headers["X-Request-Id"] != fresh.headers["X-Request-Id"]
    assert {part.strip() for part in kept.headers["Vary"].split(",")} == {"HX-Request", "Cookie", "Accept-Encoding"}


def test_it_is_packed_for_who_takes_it_and_not_for_others(component: Component, visitor: Visitor) -> None:
    plain = visitor(HOST).get("/status")
    packed = visitor(HOST).get("/status", headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) == int(packed.headers["Content-Length"]) < len(plain.data)
    for refused in ("identity", "gzip;q=0", "br", ""):
        answer = visitor(HOST).get("/status", headers={"Accept-Encoding": refused})
        assert "Content-Encoding" not in answer.headers


def test_who_has_it_is_told_304_and_head_has_no_body(component: Component, visitor: Visitor) -> None:
    first = visitor(HOST).get("/status")
    etag = first.headers["ETag"]
    for condition in (etag, etag.removeprefix("W/"), f'"other", {etag}'):
        again = visitor(HOST).get("/status", headers={"If-None-Match": condition})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == etag
        assert "Content-Security-Policy" in again.headers
    assert visitor(HOST).get("/status", headers={"If-None-Match": '"other"'}).status_code == 200
    head = visitor(HOST).head("/status")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == first.headers["Content-Length"]


def test_a_change_shows_at_the_next_look(component: Component, visitor: Visitor) -> None:
    before = visitor(HOST).get("/status")
    publish(component, "No dial tone")
    after = visitor(HOST).get("/status", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert "No dial tone" in after.text


def test_the_look_is_shared_for_a_moment_and_no_longer(
    app: Flask, component: Component, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    monkeypatch.setattr("portal.kept.time.monotonic", lambda: moment)
    # At the turn of a minute the kept page would die by itself.
    standing = clock.utcnow().replace(second=30)
    monkeypatch.setattr(clock, "utcnow", lambda: standing)
    kept = pages(app)
    kept.look_every = LOOK_EVERY
    visitor(HOST).get("/status")
    with counted_queries() as statements:
        visitor(HOST).get("/status")
    assert statements == []
    publish(component, "No dial tone")
    assert "No dial tone" not in visitor(HOST).get("/status").text
    moment += LOOK_EVERY
    assert "No dial tone" in visitor(HOST).get("/status").text
    assert LOOK_EVERY <= 0.5


def test_a_private_report_moves_nothing(component: Component, visitor: Visitor) -> None:
    before = visitor(HOST).get("/status")
    publish(component, "Hush", Visibility.PRIVATE)
    after = visitor(HOST).get("/status", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 304


def test_an_area_switched_off_is_gone_with_the_next_look(cast: Cast, component: Component, visitor: Visitor) -> None:
    assert visitor(HOST).get("/status").status_code == 200
    domains.set_areas(cast.domain_a, [], version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    for headers in ({}, {"HX-Request": "true"}):
        assert visitor(HOST).get("/status", headers=headers).status_code == 404
    assert visitor("b.portal.test").get("/status").status_code == 200


def test_each_domain_has_its_own_and_an_unknown_host_has_none(component: Component, visitor: Visitor) -> None:
    for _ in range(2):
        assert "Northline" in visitor(HOST).get("/status").text
        assert "Southline" not in visitor(HOST).get("/status").text
        assert "Southline" in visitor("b.portal.test").get("/status").text
        assert visitor("evil.test").get("/status").status_code == 400
    assert "Northline" in visitor("A.Portal.Test.:8123").get("/status").text
    assert "8123" not in visitor(HOST).get("/status").text


def test_what_one_request_brings_does_not_shape_the_copy(component: Component, visitor: Visitor) -> None:
    marked = visitor(HOST)
    marked.set_cookie("form", "canary-cookie", domain=HOST)
    marked.get("/status", headers={"X-Forwarded-Host": "canary.test", "User-Agent": "canary", "Accept-Language": "de"})
    clean = visitor(HOST).get("/status")
    assert "canary" not in clean.text + str(clean.headers)
    assert 'lang="en"' in clean.text


def test_who_is_signed_in_gets_the_own_page(
    cast: Cast, component: Component, sign_in: SignIn, visitor: Visitor
) -> None:
    visitor(HOST).get("/status")
    own = sign_in(cast.alice).get("/status")
    assert "Alder Dental" in own.text
    assert own.headers["Cache-Control"].startswith("private")
    assert "Alder Dental" not in visitor(HOST).get("/status").text


def test_the_fragment_is_kept_apart_from_the_page(component: Component, visitor: Visitor) -> None:
    for _ in range(2):
        page = visitor(HOST).get("/status")
        fragment = visitor(HOST).get("/status", headers={"HX-Request": "true"})
        boosted = visitor(HOST).get("/status", headers={"HX-Request": "true", "HX-Boosted": "true"})
        assert fragment.text.startswith('<div class="status-page"')
        assert fragment.text.strip() in re.sub(r"\A.*?(?=<div class=\"status-page\")", "", page.text, flags=re.S)
        assert boosted.text == page.text


def test_the_copy_dies_with_the_minute_and_when_planned_work_begins(
    cast: Cast, component: Component, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = NOW + timedelta(seconds=10)
    monkeypatch.setattr(clock, "utcnow", lambda: now)
    work = Maintenance(
        public_id="m1",
        title="New battery",
        state=MaintenanceState.SCHEDULED,
        starts_at=NOW + timedelta(seconds=20),
        ends_at=NOW + timedelta(seconds=30),
        created_at=NOW,
        public_updated_at=NOW,
    )
    db.session.add(work)
    db.session.flush()
    db.session.add(MaintenanceComponent(maintenance_id=work.id, component_id=component.id))
    events.commit()
    texts = []
    for second in (10, 19, 20, 29, 30, 59, 60):
        now = NOW + timedelta(seconds=second)
        with counted_queries() as statements:
            texts.append(visitor(HOST).get("/status").text)
        assert (len(statements) > 1) == (second in {10, 20, 30, 60}), second
    assert texts[1] != texts[2]
    assert texts[3] != texts[4]


def test_staff_who_look_at_the_public_page_see_the_public_page(
    cast: Cast, component: Component, visitor: Visitor
) -> None:
    assert cast.ada.role is Role.STATUS
    publish(component, "Hush", Visibility.PRIVATE)
    assert "Hush" not in visitor(HOST).get("/status").text


def test_public_status_is_asked_for_and_not_status(cast: Cast, component: Component, visitor: Visitor) -> None:
    domains.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    assert visitor(HOST).get("/status").status_code == 302
