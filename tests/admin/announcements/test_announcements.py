"""Staff write announcements; whoever reads the portal finds them, from when to when, in their own language."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient

from portal import clock
from portal.audit.rules import SYSTEM
from portal.domains.announcements.models import Announcement
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.subscribers import actions as subscribers
from portal.notifications.subscribers import announcing
from tests.conftest import NOW, Cast, SignIn, token_in

Visitor = Callable[[str], FlaskClient]
LIST = "/admin/announcements"
A, B = "a.portal.test", "b.portal.test"


@pytest.fixture(autouse=True)
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    def turn(moment: datetime) -> None:
        monkeypatch.setattr(clock, "utcnow", lambda: moment)

    turn(NOW)
    return turn


def form_of(client: FlaskClient, cast: Cast, **values: str) -> dict[str, str]:
    return {
        "csrf_token": token_in(client, LIST),
        "key": "one",
        "domain_id": str(cast.domain_a.id),
        "title_en": "Closed on Friday",
        "body_en": "We are **closed**.",
        "title_de": "Freitag zu",
        "body_de": "Wir haben **zu**.",
        "starts_at": "2026-11-21T12:00",
        "ends_at": "2026-11-22T12:00",
        "zone": "Europe/London",
        **values,
    }


def only() -> Announcement:
    found = db.session.query(Announcement).one()
    db.session.refresh(found)
    return found


def test_written_once_it_stands_on_its_portal_alone_until_its_end(
    cast: Cast, sign_in: SignIn, visitor: Visitor, at: Callable[[datetime], None]
) -> None:
    ada = sign_in(cast.ada)
    assert "Nothing is announced" in ada.get(LIST).text
    form = form_of(ada, cast)
    for _ in range(2):
        assert ada.post(f"{LIST}/new", data=form).status_code == 303
    told = only()
    assert "Closed on Friday" in ada.get(LIST).text
    page = visitor(A).get("/status").text
    assert "Closed on Friday" in page
    assert "<strong>closed</strong>" in page
    german = visitor(A).get("/status?lang=de").text
    assert "Freitag zu" in german
    assert "Closed on Friday" not in german
    assert "Closed on Friday" not in visitor(B).get("/status").text
    address = f"/announcements/{told.public_id}"
    assert "We are" in visitor(A).get(address).text
    assert visitor(B).get(address).status_code == 302
    alice = sign_in(cast.alice)
    assert "Closed on Friday" in alice.get("/status").text
    assert "Closed on Friday" in alice.get("/").text
    assert "Closed on Friday" not in sign_in(cast.charlie).get("/").text
    at(NOW + timedelta(hours=24))
    assert "Closed on Friday" not in visitor(A).get("/status").text
    assert "Closed on Friday" in visitor(A).get("/status/history/2026-11").text
    assert visitor(A).get(address).status_code == 200
    assert "Closed on Friday" in sign_in(cast.ada).get(f"{LIST}?show=over").text


def test_what_is_ahead_is_nowhere_until_it_begins(
    cast: Cast, sign_in: SignIn, visitor: Visitor, at: Callable[[datetime], None]
) -> None:
    ada = sign_in(cast.ada)
    assert ada.post(f"{LIST}/new", data=form_of(ada, cast, starts_at="2026-11-21T13:00")).status_code == 303
    address = f"/announcements/{only().public_id}"
    paths = ("/status", "/status/feed.atom", "/status/history/2026-11")
    assert all("Closed on Friday" not in visitor(A).get(path).text for path in paths)
    assert visitor(A).get(address).status_code == 302
    assert "Closed on Friday" in ada.get(f"{LIST}?show=ahead").text
    at(NOW + timedelta(hours=1))
    assert all("Closed on Friday" in visitor(A).get(path).text for path in paths)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"title_en": ""}, "Give it a title in English."),
        ({"title_de": ""}, "Give it a title in Deutsch."),
        ({"title_en": "x" * 161}, "A title has at most 160 characters."),
        ({"body_en": "x" * 10_001}, "A text has at most 10,000 characters."),
        ({"ends_at": "2026-11-21T12:00"}, "It must end after it begins."),
        ({"starts_at": ""}, "Say from when on it stands there."),
        ({"zone": "Mars/Olympus"}, "Choose a time zone from the list."),
        ({"domain_id": "999999"}, ""),
    ],
)
def test_what_cannot_be_is_refused_with_what_was_typed(
    cast: Cast, sign_in: SignIn, values: dict[str, str], words: str
) -> None:
    ada = sign_in(cast.ada)
    answer = ada.post(f"{LIST}/new", data=form_of(ada, cast, **values))
    assert answer.status_code == 422
    assert words in answer.text
    assert "Freitag zu" in answer.text or values.get("title_de") == ""
    assert db.session.query(Announcement).count() == 0


def test_it_is_changed_by_one_at_a_time_ended_and_taken_away(
    cast: Cast, sign_in: SignIn, visitor: Visitor, at: Callable[[datetime], None]
) -> None:
    ada = sign_in(cast.ada)
    ada.post(f"{LIST}/new", data=form_of(ada, cast, ends_at=""))
    page = f"{LIST}/{only().id}"
    shown = ada.get(page).text
    assert 'value="2026-11-21T12:00"' in shown
    assert "Closed on Friday" in shown
    form = form_of(ada, cast, title_en="Closed on Monday", version="1", is_pinned="y")
    assert ada.post(page, data=form).status_code == 303
    stale = ada.post(page, data={**form, "title_en": "Mine"})
    assert stale.status_code == 409
    assert "Somebody else saved" in stale.text
    assert "Mine" in stale.text
    assert "Closed on Monday" in visitor(A).get("/status").text
    at(NOW + timedelta(minutes=5))
    row = {"csrf_token": form["csrf_token"], "version": "2"}
    assert ada.post(f"{page}/end", data={**row, "version": "1"}).status_code == 409
    assert ada.post(f"{page}/end", data=row).status_code == 303
    assert "Closed on Monday" not in visitor(A).get("/status").text
    assert "Closed on Monday" in visitor(A).get("/status/feed.atom").text
    assert ada.post(f"{page}/remove", data={**row, "version": "3"}).status_code == 303
    assert "Closed on Monday" not in visitor(A).get("/status/feed.atom").text
    assert ada.get(page).status_code == 404
    trail = sign_in(cast.root).get("/admin/audit?kind=announcement").text
    assert all(words in trail for words in ("added", "changed", "ended", "removed"))


def test_only_who_publishes_writes_them(cast: Cast, sign_in: SignIn, visitor: Visitor) -> None:
    assert sign_in(cast.olaf).get(LIST).status_code == 403
    assert sign_in(cast.alice).get(LIST).status_code == 404
    assert sign_in(cast.root).get(f"{LIST}/new").status_code == 200
    assert sign_in(cast.ada).get(f"{LIST}?show=nothing").status_code == 404
    assert sign_in(cast.ada).get(f"{LIST}?page=9").status_code == 404


def test_the_home_leaves_them_out_where_status_is_off(cast: Cast, sign_in: SignIn) -> None:
    ada = sign_in(cast.ada)
    ada.post(f"{LIST}/new", data=form_of(ada, cast))
    cast.domain_a.areas = [area for area in cast.domain_a.areas if area != Area.STATUS.value]
    db.session.commit()
    assert "Closed on Friday" not in sign_in(cast.alice).get("/").text


def test_subscribers_are_told_only_where_that_is_ticked_and_the_form_says_how_many(
    cast: Cast, sign_in: SignIn, at: Callable[[datetime], None]
) -> None:
    cast.domain_a.areas = [*cast.domain_a.areas, Area.PUBLIC_STATUS]
    cast.domain_b.areas = [each for each in cast.domain_b.areas if each != Area.PUBLIC_STATUS]
    subscribers.add(
        cast.domain_a.id,
        "rita@reader.test",
        ["announcements"],
        language="en",
        is_shared=False,
        consent="By phone",
        by=SYSTEM,
        now=NOW,
    )
    db.session.commit()
    ada = sign_in(cast.ada)
    page = ada.get(f"{LIST}/new").text
    assert "Northline: 1 subscriber." in page
    assert "Southline: " not in page
    assert 'name="tells_subscribers"' in page
    assert not re.search(r'name="tells_subscribers"[^>]*checked|checked[^>]*name="tells_subscribers"', page)
    plain = form_of(ada, cast)
    assert ada.post(f"{LIST}/new", data=plain).status_code == 303
    assert not only().tells_subscribers
    assert announcing.due(NOW) == []
    address, form = f"{LIST}/{only().id}", plain | {"tells_subscribers": "y"}
    assert ada.post(address, data=form | {"version": str(only().version)}).status_code == 303
    [(tell, announcement_id)] = announcing.due(NOW)
    assert tell(announcement_id, NOW)
    db.session.commit()
    later = ada.get(address).text
    assert "Subscribers were told of it" in later
    assert 'name="tells_subscribers"' not in later
    at(NOW + timedelta(minutes=5))
    # Without the field a save leaves it as it is, and nobody hears of it twice.
    changed = plain | {"title_en": "Closed on Monday", "version": str(only().version)}
    assert ada.post(address, data=changed).status_code == 303
    assert only().tells_subscribers
    assert announcing.due(NOW + timedelta(minutes=5)) == []
