"""The banner for other sites: its frame may be shown anywhere, nothing else of ours may."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.incidents.rules import Audience, Severity, State, Visibility
from tests.api.v2.conftest import StatusPage, plan, publish, say
from tests.conftest import NOW, Cast, client_on, counted_queries

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

FRAME, SCRIPT = "/status/embed", "/status/embed.js"
A = "a.portal.test"
Visitor = Callable[[str], FlaskClient]

pytestmark = pytest.mark.usefixtures("at")


def test_while_all_is_well_it_says_nothing_unless_asked(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    assert "<main" not in visitor(A).get(FRAME).text
    assert "All systems operational" in visitor(A).get(f"{FRAME}?well=show").text
    assert 'lang="de"' in visitor(A).get(f"{FRAME}?well=show&lang=de").text
    assert 'class="dark"' in visitor(A).get(f"{FRAME}?theme=dark").text
    assert "hotpink" not in visitor(A).get(f"{FRAME}?theme=hotpink").text


def test_its_language_sets_no_cookie_on_pages_of_others(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    answer = visitor(A).get(f"{FRAME}?lang=de")
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"].startswith("public")


def test_it_names_the_worst_and_leads_to_the_page(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    found = [publish(f"<b>Fault {n}</b>", {status_page.core.id: Severity.MAJOR_OUTAGE}) for n in range(5)]
    page = visitor(A).get(FRAME).text
    assert "Some systems are down" in page
    assert page.count("<li>") == 3
    assert "&lt;b&gt;Fault 4&lt;/b&gt;" in page
    assert f'href="http://a.portal.test/incidents/{found[4].public_id}" target="_blank" rel="noopener"' in page
    assert "2 more on the status page" in page


def test_work_under_way_is_told_where_nothing_is_broken(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    plan("New battery", [status_page.core], begin=timedelta(hours=-1), end=timedelta(hours=1))
    page = visitor(A).get(FRAME).text
    assert "Maintenance under way" in page
    assert "New battery" in page


def test_only_the_frame_may_be_framed_and_it_may_do_nothing_else(
    cast: Cast, status_page: StatusPage, visitor: Visitor
) -> None:
    answer = visitor(A).get(FRAME)
    policy = answer.headers["Content-Security-Policy"]
    assert policy == (
        "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors *"
    )
    assert "X-Frame-Options" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/status", "/status/history", "/sign-in", SCRIPT, "/status/badge.svg", "/status/feed.atom"):
        assert "frame-ancestors 'none'" in visitor(A).get(path).headers["Content-Security-Policy"], path
    for text in ("<form", "<input", "csrf", "on" + "click", "style="):
        assert text not in answer.text


def test_no_cookie_is_read_or_set_and_a_copy_is_given_to_all(
    app: Flask, cast: Cast, status_page: StatusPage, sign_in: Any, visitor: Visitor
) -> None:
    publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    first = visitor(A).get(FRAME)
    alice = sign_in(cast.alice)
    alice.set_cookie("lang", "de", domain=A)
    with counted_queries() as statements:
        known = alice.get(f"{FRAME}?utm=1")
    assert known.data == first.data
    assert len(statements) == 1
    for answer in (first, known, visitor(A).get(SCRIPT)):
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
    assert visitor(A).get(FRAME, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert visitor(A).head(FRAME).data == b""


def test_nothing_private_is_in_it(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    hit = {status_page.core.id: Severity.MAJOR_OUTAGE}
    shown = publish("Shown", hit)
    before = visitor(A).get(FRAME).data
    publish("Canary one", hit, visibility=Visibility.PRIVATE)
    publish("Canary two", hit, audience=Audience.AFFECTED)
    say(shown, None, "Canary three", now=NOW, visibility=Visibility.PRIVATE)
    plan(
        "Canary four",
        [status_page.fibre],
        begin=-timedelta(hours=1),
        end=timedelta(hours=1),
        audience=Audience.AFFECTED,
    )
    assert visitor(A).get(FRAME).data == before


def test_a_foreign_page_with_one_script_tag_shows_it(
    app: Flask, cast: Cast, status_page: StatusPage, browser: "Browser"
) -> None:
    """In a browser, on a page of another site with rules of its own: only the frame's word counts."""
    client = client_on(app, A)
    complaints: list[str] = []
    tag = '<script src="http://a.portal.test/status/embed.js" data-title="How we are" async></script>'
    foreign = f"<!doctype html><title>Shop</title><p>Before</p>{tag}<p>After</p>"
    rules = "default-src 'none'; script-src http://a.portal.test; frame-src http://a.portal.test"

    def answer(route: "Route") -> None:
        url = route.request.url
        if url.startswith("http://shop.test/"):
            headers = {"Content-Type": "text/html", "Content-Security-Policy": rules}
            route.fulfill(status=200, headers=headers, body=foreign)
            return
        path = url.removeprefix("http://a.portal.test")
        assert "cookie" not in route.request.headers
        found = client.get(path)
        route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.data)

    with browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.route("**/*", answer)
        page.goto("http://shop.test/")
        frame = page.locator("iframe")
        page.frame_locator("iframe").locator("body").wait_for(state="attached")
        assert frame.get_attribute("title") == "How we are"
        assert frame.bounding_box() is None or frame.evaluate("f => f.offsetHeight") == 0
        publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE}, state=State.IDENTIFIED)
        page.reload()
        page.frame_locator("iframe").get_by_text("No dial tone").wait_for()
        page.wait_for_function("document.querySelector('iframe').offsetHeight > 40")
        height = frame.evaluate("f => f.offsetHeight")
        page.evaluate("window.postMessage({signalbox: 'height', height: 500}, '*')")
        page.wait_for_timeout(100)
        assert frame.evaluate("f => f.offsetHeight") == height < 200
        assert page.frames[1].locator("html").evaluate("e => e.scrollHeight <= e.clientHeight")
    known = "Cross-Origin-Opener-Policy header has been ignored"
    assert [text for text in complaints if known not in text and "favicon" not in text] == []
