"""The public page as its readers want it: their language, its months, groups that fold, and who may list it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import events
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.rules.folding import Fold
from portal.domains import actions as domains
from portal.incidents.rules import Audience, Severity, State, Visibility
from tests.api.v2.conftest import StatusPage, plan, publish, say
from tests.conftest import NOW, Cast, HostClient, SignIn, counted_queries, token_in

Visitor = Callable[[str], FlaskClient]
Turn = Callable[[datetime], None]
A = "a.portal.test"

pytestmark = pytest.mark.usefixtures("at")


class TestLanguage:
    def test_one_is_chosen_in_the_address_and_remembered(
        self, cast: Cast, status_page: StatusPage, visitor: Visitor
    ) -> None:
        incident = publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
        client = visitor(A)
        assert '<a href="?lang=de" lang="de" hreflang="de">Deutsch</a>' in client.get("/status").text
        answer = client.get("/status?lang=de")
        assert '<html lang="de"' in answer.text
        assert answer.headers["Cache-Control"] == "private, no-cache"
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("lang=de; ")
        assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"))
        paths = (
            "/status",
            f"/incidents/{incident.public_id}",
            "/status/history",
            "/status/history/2026-11",
            "/sign-in",
        )
        for path in paths:
            assert '<html lang="de"' in client.get(path).text, path
            assert '<html lang="en"' in visitor(A).get(path).text, path
        assert "lang" not in client.get("/status").headers.get("Set-Cookie", "")

    def test_each_language_is_kept_and_nothing_else_of_a_cookie_makes_a_copy(
        self, app: Flask, cast: Cast, status_page: StatusPage
    ) -> None:
        client = HostClient(app, app.response_class, use_cookies=False)
        client.host = A

        def asked(cookie: str) -> tuple[str, int]:
            with counted_queries() as statements:
                page = client.get("/status", headers={"Cookie": cookie}).text
            return page.partition('<html lang="')[2][:2], len(statements)

        first = [asked("lang=de")[0], asked("a=b")[0]]
        assert first == ["de", "en"]
        for cookie, language in (
            ("lang=de", "de"),
            ("x=1; lang=de; y=2", "de"),
            ("lang=xx", "en"),
            ("slang=de", "en"),
            ("lang=deen", "en"),
            ("theme=dark", "en"),
        ):
            assert asked(cookie) == (language, 1), cookie

    def test_a_change_shows_in_every_language(self, cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
        client = visitor(A)
        client.get("/status?lang=de")
        client.get("/status")
        publish("Kein Freizeichen", {status_page.core.id: Severity.MAJOR_OUTAGE})
        assert "Kein Freizeichen" in client.get("/status").text

    def test_an_unknown_one_is_the_portals_and_a_person_has_their_own(
        self, cast: Cast, status_page: StatusPage, visitor: Visitor, sign_in: SignIn
    ) -> None:
        answer = visitor(A).get("/status?lang=xx")
        assert '<html lang="en"' in answer.text
        assert "Set-Cookie" not in answer.headers
        alice = sign_in(cast.alice)
        answer = alice.get("/status?lang=de")
        assert '<html lang="en"' in answer.text
        assert "lang=" not in answer.headers.get("Set-Cookie", "")


class TestMonths:
    def test_a_month_tells_what_began_in_it(
        self, cast: Cast, status_page: StatusPage, visitor: Visitor, at: Turn
    ) -> None:
        october = NOW - timedelta(days=25)
        publish("Then", {status_page.core.id: Severity.MAJOR_OUTAGE}, state=State.FIXED, now=october)
        publish("Still", {status_page.core.id: Severity.PARTIAL_RTH})
        plan("Battery", [status_page.fibre], begin=-timedelta(hours=9), end=-timedelta(hours=8))
        plan("Later", [status_page.fibre], begin=timedelta(hours=9), end=timedelta(hours=10))
        now = visitor(A).get("/status/history/2026-11").text
        assert "November 2026" in now
        assert "Still" in now
        assert "ongoing" in now
        assert "Battery" in now
        assert "Then" not in now
        assert "Later" not in now
        assert 'rel="prev" href="/status/history/2026-10"' in now
        assert 'rel="next"' not in now
        before = visitor(A).get("/status/history/2026-10").text
        assert "Then" in before
        assert 'rel="next" href="/status/history/2026-11"' in before

    @pytest.mark.parametrize("written", ["2026-12", "2026-13", "2026-1", "1999-01", "0000-01", "9999-12", "x"])
    def test_there_are_no_others(self, cast: Cast, status_page: StatusPage, visitor: Visitor, written: str) -> None:
        answer = visitor(A).get(f"/status/history/{written}")
        assert answer.status_code in {302, 404}
        assert answer.status_code == visitor(A).get("/incidents/nothing").status_code

    def test_a_month_begins_at_midnight_of_the_portals_zone(
        self, cast: Cast, status_page: StatusPage, visitor: Visitor
    ) -> None:
        cast.domain_a.time_zone = "America/New_York"
        late = datetime.fromisoformat("2026-11-01T03:30:00+00:00")
        publish("Late", {status_page.core.id: Severity.MAJOR_OUTAGE}, state=State.FIXED, now=late)
        events.commit()
        assert "Late" in visitor(A).get("/status/history/2026-10").text
        assert "Late" not in visitor(A).get("/status/history/2026-11").text

    def test_nothing_private_is_in_it_and_it_takes_a_fixed_number_of_queries(
        self, cast: Cast, status_page: StatusPage, visitor: Visitor
    ) -> None:
        def seen() -> tuple[str, int]:
            with counted_queries() as statements:
                page = visitor(A).get("/status/history/2026-11").text
            return page, len(statements)

        hit = {status_page.core.id: Severity.MAJOR_OUTAGE}
        shown = publish("Shown", hit)
        plan("Shown work", [status_page.core], begin=-timedelta(hours=2), end=-timedelta(hours=1))
        before, few = seen()
        publish("Canary one", hit, visibility=Visibility.PRIVATE)
        publish("Canary two", hit, audience=Audience.AFFECTED)
        say(shown, None, "Canary three", now=NOW, visibility=Visibility.PRIVATE)
        gone = timedelta(hours=1)
        plan("Canary four", [status_page.core], begin=-2 * gone, end=-gone, visibility=Visibility.PRIVATE)
        assert seen() == (before, few)
        for number in range(60):
            publish(f"Fault {number}", hit)
        page, many = seen()
        assert many == few
        assert page.count('class="line-title" href="/incidents/') == 50
        assert "Fault 0" in visitor(A).get("/status/history/2026-11?page=2").text
        assert visitor(A).get("/status/history/2026-11?page=3").status_code in {302, 404}


class TestGroups:
    @pytest.mark.parametrize(
        ("fold", "is_broken", "markup"),
        [
            (Fold.OPEN, True, ""),
            (Fold.FOLDED, True, '<details class="fold">'),
            (Fold.UNLESS_INCIDENT, False, '<details class="fold">'),
            (Fold.UNLESS_INCIDENT, True, '<details class="fold" open>'),
        ],
    )
    def test_they_stand_as_their_group_says(
        self, status_page: StatusPage, visitor: Visitor, *, fold: Fold, is_broken: bool, markup: str
    ) -> None:
        group = status_page.group
        catalogue.edit_group(group, group.name, fold=fold, version=group.version, by=SYSTEM, now=NOW)
        events.commit()
        if is_broken:
            publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
        page = visitor(A).get("/status").text
        assert ('<details class="fold' in page) == bool(markup)
        assert markup in page
        assert "SIP trunks" in page

    def test_a_component_may_stand_there_only_while_something_is_wrong(
        self, cast: Cast, sign_in: SignIn, status_page: StatusPage, visitor: Visitor
    ) -> None:
        ada, path = sign_in(cast.ada), f"/admin/catalogue/components/{status_page.fibre.id}/edit"
        form = {"csrf_token": token_in(ada, path), "version": str(status_page.fibre.version), "title": "Fibre"}
        assert ada.post(path, data={**form, "only_if_degraded": "y"}).status_code == 303
        assert f"component-{status_page.fibre.public_id}" not in visitor(A).get("/status").text
        rows = visitor(A).get("/api/v2/components.json").get_json()["components"]
        assert [row["name"] for row in rows if row["only_show_if_degraded"]] == ["Fibre"]
        publish("Slow", {status_page.fibre.id: Severity.PERFORMANCE_ISSUE})
        assert f"component-{status_page.fibre.public_id}" in visitor(A).get("/status").text


class TestSettings:
    def test_search_engines_are_kept_away_where_the_portal_wants_it(
        self, app: Flask, cast: Cast, sign_in: SignIn, status_page: StatusPage, visitor: Visitor
    ) -> None:
        incident = publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
        pages = ("/status", "/status/history", "/status/history/2026-11", f"/incidents/{incident.public_id}")
        machines = ("/status/feed.atom", "/status/badge.svg")
        for path in (*pages, *machines):
            assert "X-Robots-Tag" not in visitor(A).get(path).headers
        root = sign_in(cast.root)
        path = f"/admin/settings/portals/{cast.domain_a.id}/public-page"
        shown = root.get(path).text
        assert "&lt;script src=&#34;http://a.portal.test/status/embed.js&#34; async&gt;" in shown
        form = {"csrf_token": token_in(root, path), "version": str(cast.domain_a.version)}
        assert root.post(path, data=form).status_code == 303
        assert root.post(path, data={**form, "is_indexed": "y"}).status_code == 409
        for path in pages:
            answer = visitor(A).get(path)
            assert answer.headers["X-Robots-Tag"] == "noindex", path
            assert '<meta name="robots" content="noindex">' in answer.text, path
        for path in machines:
            assert visitor(A).get(path).headers["X-Robots-Tag"] == "noindex", path
        assert "X-Robots-Tag" not in visitor("b.portal.test").get("/status").headers

    def test_machines_are_told_none_during_planned_work_where_the_portal_wants_it(
        self, cast: Cast, status_page: StatusPage, visitor: Visitor
    ) -> None:
        def indicator() -> str:
            found: str = visitor(A).get("/api/v2/status.json").get_json()["status"]["indicator"]
            return found

        plan("Battery", [status_page.core], begin=-timedelta(hours=1), end=timedelta(hours=1))
        assert indicator() == "maintenance"
        domain = cast.domain_a
        domains.set_public_page(
            domain,
            is_indexed=True,
            says_maintenance=False,
            rooms_sign_up=True,
            shows_global_services=False,
            version=domain.version,
            by=SYSTEM,
            now=NOW,
        )
        events.commit()
        assert indicator() == "none"
        assert "Maintenance under way" in visitor(A).get("/status").text
