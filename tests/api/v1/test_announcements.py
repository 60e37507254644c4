"""Announcements through the API: made, changed, ended and taken away, and read by nobody who only reads."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.domains.announcements.actions import note_told
from portal.domains.announcements.models import Announcement
from portal.extensions import db
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast, client_on, counted_queries

DAY = timedelta(days=1)


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.INCIDENTS)


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def words(cast: Cast, **more: Any) -> dict[str, Any]:
    said = {"en": {"title": "We move", "body": "To the *harbour*."}}
    return {"portal_id": cast.domain_a.id, "wordings": said, **more}


def on_page(app: Flask) -> str:
    return client_on(app, "a.portal.test").get("/status").get_data(as_text=True)


def test_it_stands_from_its_beginning_until_it_is_ended(app: Flask, desk: Machine, cast: Cast) -> None:
    made = desk.make("/announcements", words(cast, is_pinned=True))
    assert (made["stage"], made["ends_at"], made["is_pinned"]) == ("standing", None, True)
    assert made["wordings"] == {"en": {"title": "We move", "body": "To the *harbour*."}}
    assert "We move" in on_page(app)
    path = f"/announcements/{made['id']}"
    refusal(desk.send("PATCH", path, {"is_pinned": False}), 428)
    refusal(desk.send("PATCH", path, {"is_pinned": False}, match=made["version"] + 1), 409)
    said = {**made["wordings"], "de": {"title": "Wir ziehen um"}}
    changed = desk.send("PATCH", path, {"wordings": said, "is_pinned": False}, match=made["version"]).json
    assert changed is not None
    assert changed["wordings"]["de"] == {"title": "Wir ziehen um", "body": ""}
    assert (changed["starts_at"], changed["is_pinned"]) == (made["starts_at"], False)
    ended = desk.send("POST", f"{path}/end", match=changed["version"]).json
    assert ended is not None
    assert ended["stage"] == "over"
    assert "We move" not in on_page(app)
    assert desk.read(path) == ended
    assert desk.send("DELETE", path, match=ended["version"]).status_code == 204
    refusal(desk.get(path), 404)
    actions = db.session.scalars(select(AuditEntry.action).where(AuditEntry.object_kind == "announcement")).all()
    assert actions == ["announcement.add", "announcement.edit", "announcement.end", "announcement.remove"]


def test_subscribers_are_told_where_it_says_so(desk: Machine, cast: Cast) -> None:
    made = desk.make("/announcements", words(cast))
    assert (made["tells_subscribers"], made["told_at"]) == (False, None)
    path = f"/announcements/{made['id']}"
    told = desk.send("PATCH", path, {"tells_subscribers": True}, match=made["version"]).json
    assert told is not None
    assert told["tells_subscribers"] is True
    assert note_told(made["id"], clock.utcnow())
    db.session.commit()
    found = desk.send("PATCH", path, {"tells_subscribers": False, "is_pinned": True}, match=told["version"]).json
    assert found is not None
    assert (found["tells_subscribers"], found["is_pinned"], found["told_at"] is not None) == (True, True, True)


def test_one_that_has_not_begun_is_not_ended(desk: Machine, cast: Cast) -> None:
    made = desk.make("/announcements", words(cast, starts_at=written(clock.utcnow() + DAY)))
    assert made["stage"] == "ahead"
    problem = refusal(desk.send("POST", f"/announcements/{made['id']}/end", match=made["version"]), 422)
    assert "Take it away" in problem["detail"]


def test_they_are_listed_by_stage_and_portal(desk: Machine, cast: Cast) -> None:
    now = clock.utcnow()
    ahead = desk.make("/announcements", words(cast, starts_at=written(now + DAY)))
    stands = desk.make("/announcements", words(cast))
    on_b = desk.make("/announcements", words(cast, portal_id=cast.domain_b.id))
    over = desk.make("/announcements", words(cast, starts_at=written(now - 2 * DAY), ends_at=written(now - DAY)))
    for query, wanted in (
        ("", [ahead, on_b, stands, over]),
        ("?stage=standing", [on_b, stands]),
        ("?stage=ahead", [ahead]),
        ("?stage=over", [over]),
        (f"?portal_id={cast.domain_b.id}", [on_b]),
        ("?sort=starts_at&limit=1", [over, stands, on_b, ahead]),
    ):
        assert [each["id"] for each in desk.all(f"/announcements{query}")] == [each["id"] for each in wanted], query


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"portal_id": 2_000_000_000}, "/portal_id"),
        ({"wordings": {"de": {"title": "Wir ziehen um"}}}, "/wordings"),
        ({"wordings": {}}, "/wordings"),
        ({"wordings": {"en": {"title": " "}}}, "/wordings"),
        ({"wordings": {"en": {"title": "x" * 161}}}, "/wordings/en/value/title"),
        ({"wordings": {"fr": {"title": "Nous"}}}, "/wordings/fr/key"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "/ends_at"),
        ({"starts_at": "2026-11-23"}, "/starts_at"),
        ({"title": "x"}, "/title"),
    ],
)
def test_what_cannot_be_says_where(desk: Machine, cast: Cast, changes: dict[str, Any], pointer: str) -> None:
    problem = refusal(desk.send("POST", "/announcements", words(cast) | changes), 422)
    assert [each.get("pointer") for each in problem["errors"]] == [pointer]
    assert db.session.scalar(select(Announcement.id)) is None


def test_the_same_request_with_the_same_key_announces_once(desk: Machine, cast: Cast) -> None:
    for _again in range(2):
        assert desk.send("POST", "/announcements", words(cast), Idempotency_Key="move").status_code == 201
    assert db.session.scalar(select(func.count(Announcement.id))) == 1


def test_a_list_takes_as_many_queries_however_long_it_is(desk: Machine, cast: Cast) -> None:
    desk.make("/announcements", words(cast))
    with counted_queries() as one:
        desk.read("/announcements")
    for _each in range(5):
        desk.make("/announcements", words(cast))
    with counted_queries() as six:
        assert len(desk.read("/announcements")["items"]) == 6
    assert len(six) == len(one)


def test_who_does_not_publish_finds_none(machine: MakeMachine, desk: Machine, cast: Cast) -> None:
    made = desk.make("/announcements", words(cast))
    for scope in (Scope.READ, Scope.PORTALS, Scope.BROADCASTS):
        refusal(machine(scope).get(f"/announcements/{made['id']}"), 403)
    refusal(machine(Scope.READ, cast.a).get(f"/announcements/{made['id']}"), 404)


@pytest.mark.parametrize(
    ("sent", "zone"),
    [
        (("ends_at", "9999-12-31T23:59:59Z"), "Europe/Berlin"),
        (("starts_at", "0001-01-01T00:00:00Z"), "America/New_York"),
    ],
)
def test_no_moment_breaks_the_pages_that_show_it(
    app: Flask, desk: Machine, cast: Cast, sent: tuple[str, str], zone: str
) -> None:
    """Machines write the end of the calendar for never; no clock of a zone shows it."""
    name, moment = sent
    cast.domain_a.time_zone = zone
    db.session.commit()
    refused = refusal(desk.send("POST", "/announcements", words(cast, **{name: moment})), 422)
    assert refused["errors"][0]["pointer"] == f"/{name}"
    made = desk.make("/announcements", words(cast, **{name: moment.replace("9999", "9000").replace("0001", "1970")}))
    for path in ("/status", "/status/feed.atom", f"/announcements/{made['public_id']}"):
        assert client_on(app, "a.portal.test").get(path).status_code == 200
