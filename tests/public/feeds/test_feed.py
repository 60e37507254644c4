"""The Atom feed: what a reader of feeds finds in it, what never stands in it, and how it is given out."""

from collections.abc import Callable
from datetime import datetime, timedelta

import feedparser
import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.announcements.actions import announce
from portal.domains.rules import Area
from portal.incidents.rules import Audience, Severity, State, Visibility
from tests.api.v2.conftest import StatusPage, plan, publish, say
from tests.conftest import NOW, Cast, counted_queries

FEED = "/status/feed.atom"
A, B = "a.portal.test", "b.portal.test"
HOUR = timedelta(hours=1)
Visitor = Callable[[str], FlaskClient]

pytestmark = pytest.mark.usefixtures("at")


def tell(cast: Cast, title: str, *, starts_at: datetime = NOW - HOUR, ends_at: datetime | None = None) -> None:
    announce(
        cast.domain_a,
        {"en": {"title": title, "body": "**Closed** on Friday."}, "de": {"title": f"DE {title}", "body": "Zu."}},
        starts_at=starts_at,
        ends_at=ends_at,
        is_pinned=False,
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key=title,
    )
    events.commit()


def read(client: FlaskClient, path: str = FEED) -> feedparser.FeedParserDict:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found = feedparser.parse(answer.data)
    assert not found.bozo, found.get("bozo_exception")
    assert found.version == "atom10"
    return found


def test_a_reader_finds_incidents_maintenance_and_announcements(
    cast: Cast,
    status_page: StatusPage,
    visitor: Visitor,
) -> None:
    incident = publish("No <dial> tone", {status_page.core.id: Severity.MAJOR_OUTAGE}, now=NOW - 3 * HOUR)
    say(incident, State.WATCHING, "Calls *go* through\x0b again.", now=NOW - HOUR / 2)
    plan("New battery", [status_page.fibre], begin=HOUR, end=2 * HOUR)
    tell(cast, "Office closed")
    found = read(visitor(A))
    assert found.feed.title == "Northline status"
    assert found.feed.language == "en"
    assert {link.rel: link.href for link in found.feed.links} == {
        "alternate": "http://a.portal.test/status",
        "self": "http://a.portal.test/status/feed.atom",
    }
    assert [(each.title, each.tags[0].term) for each in found.entries] == [
        ("Office closed", "announcement"),
        ("No <dial> tone", "incident"),
        ("New battery", "maintenance"),
    ]
    closed, fault, work = found.entries
    assert fault.link == f"http://a.portal.test/incidents/{incident.public_id}"
    assert (fault.published, fault.updated) == ("2026-11-21T09:00:00+00:00", "2026-11-21T11:30:00+00:00")
    text = fault.content[0].value
    assert all(words in text for words in ("Voice core", "Watching", "<em>go</em>", "Investigating", "GMT"))
    assert text.index("Watching") < text.index("Investigating")
    assert "<strong>Closed</strong>" in closed.content[0].value
    assert "Scheduled" in work.content[0].value
    assert "Fibre" in work.content[0].value
    assert len({each.id for each in found.entries}) == 3
    assert all(each.id.startswith("urn:uuid:") for each in found.entries)


def test_ids_stay_when_titles_and_addresses_change(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    before, other = read(visitor(A)), read(visitor(B))
    domain = cast.domain_a
    domains.edit_domain(
        domain,
        base_url="http://a.portal.test:8443",
        brand="Renamed",
        accent=domain.accent,
        support_email=None,
        support_phone=None,
        language="de",
        time_zone="Europe/Berlin",
        version=domain.version,
        by=SYSTEM,
        now=NOW,
    )
    events.commit()
    after = read(visitor(A))
    assert (after.feed.id, after.entries[0].id) == (before.feed.id, before.entries[0].id)
    assert (after.feed.title, after.feed.language) == ("Status von Renamed", "de")
    assert after.entries[0].link.startswith("http://a.portal.test:8443/incidents/")
    assert other.feed.id != before.feed.id
    assert other.entries[0].id != before.entries[0].id
    assert read(visitor(A), f"{FEED}?lang=en").feed.title == "Renamed status"


def test_what_is_private_for_some_or_of_another_portal_never_stands_in_it(
    cast: Cast,
    status_page: StatusPage,
    visitor: Visitor,
) -> None:
    hit = {status_page.core.id: Severity.MAJOR_OUTAGE}
    shown = publish("Shown", hit)
    before = visitor(A).get(FEED)
    publish("Canary one", hit, visibility=Visibility.PRIVATE)
    publish("Canary two", hit, audience=Audience.AFFECTED)
    say(shown, None, "Canary three", now=NOW, visibility=Visibility.PRIVATE)
    plan("Canary four", [status_page.core], begin=HOUR, end=2 * HOUR, visibility=Visibility.PRIVATE)
    tell(cast, "Canary five", starts_at=NOW + HOUR)
    after = visitor(A).get(FEED)
    assert (after.data, after.headers["ETag"]) == (before.data, before.headers["ETag"])
    tell(cast, "Only on A")
    assert b"Only on A" in visitor(A).get(FEED).data
    assert b"Only on A" not in visitor(B).get(FEED).data


def test_it_is_kept_and_dies_with_a_change_and_when_an_announcement_begins(
    cast: Cast,
    status_page: StatusPage,
    visitor: Visitor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tell(cast, "Later", starts_at=NOW + timedelta(seconds=10), ends_at=NOW + timedelta(seconds=20))
    first = visitor(A).get(FEED)
    assert first.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    assert first.headers["Cache-Control"] == "public, max-age=5, stale-while-revalidate=30"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert first.headers["Vary"] == "Accept-Encoding"
    with counted_queries() as statements:
        again = visitor(A).get(f"{FEED}?nothing=of-ours", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, len(statements)) == (304, 1)
    head = visitor(A).head(FEED)
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(first.data)))
    publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    assert b"No dial tone" in visitor(A).get(FEED).data
    told = []
    for second in (9, 10, 19, 20):
        monkeypatch.setattr(clock, "utcnow", lambda second=second: NOW + timedelta(seconds=second))
        told.append(b"Later" in visitor(A).get(FEED).data)
    assert told == [False, True, True, True]


def test_the_number_of_queries_does_not_depend_on_what_there_is(
    app: Flask,
    cast: Cast,
    status_page: StatusPage,
    visitor: Visitor,
) -> None:
    def count() -> int:
        for shortcut in app.extensions["shortcuts"].values():
            shortcut.forget()
        with counted_queries() as statements:
            visitor(A).get(FEED)
        return len(statements)

    publish("One", {status_page.core.id: Severity.MAJOR_OUTAGE})
    plan("Work one", [status_page.fibre], begin=HOUR, end=2 * HOUR)
    tell(cast, "Word one")
    few = count()
    for number in range(8):
        publish(f"Fault {number}", {status_page.core.id: Severity.MAJOR_OUTAGE})
        plan(f"Work {number}", [status_page.fibre], begin=HOUR, end=2 * HOUR)
        tell(cast, f"Word {number}")
    assert count() == few


def test_only_an_open_public_status_has_one(cast: Cast, visitor: Visitor) -> None:
    domains.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    for path in (FEED, "/status/badge.svg", "/status/embed", "/status/embed.js"):
        assert visitor(A).get(path).status_code == 404
        assert visitor(B).get(path).status_code == 200
