"""The demo business in the running product, and people with a browser each."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from portal import clock, events
from portal.cli import demo
from tests.conftest import REPOSITORY
from tests.support.product import Portal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize

DESKTOP: "ViewportSize" = {"width": 1280, "height": 900}
PHONE: "ViewportSize" = {"width": 390, "height": 844}
AXE = REPOSITORY / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = REPOSITORY / "tests" / "screenshots"


@pytest.fixture
def business(product: Portal) -> Portal:
    """The product with the demo business in it."""
    fill(product)
    return product


@pytest.fixture
def business_once() -> Iterator[Portal]:
    """The same on SQLite whatever engine the tests run on, for what does not depend on it."""
    with Portal() as product:
        fill(product)
        yield product


def fill(product: Portal) -> None:
    with product.database():
        demo.load(clock.utcnow(), port=product.port)
        events.commit()


@dataclass
class Visit:
    """One person's browser window. `complaints` are its console's errors and refused content."""

    page: "Page"
    address: str
    complaints: list[str]

    def open(self, path: str) -> None:
        self.page.goto(self.address + path, wait_until="load")


Visits = Callable[..., Visit]

NOT_OVER_HTTP = "The Cross-Origin-Opener-Policy header has been ignored, because the URL's origin was untrustworthy"
"""What Chromium says of any plain-http host name but localhost; with https it obeys."""


@pytest.fixture
def visit(browser: "Browser", business: Portal) -> Iterator[Visits]:
    """Open a window on a host, signed in if an address is given, and hold its console against it at the end."""
    with windows(browser, business) as on:
        yield on


@contextmanager
def windows(browser: "Browser", business: Portal) -> Iterator[Visits]:
    made: list[Visit] = []

    def on(host: str, email: str | None = None, password: str = demo.PASSWORD, **options: Any) -> Visit:
        context = browser.new_context(viewport=DESKTOP, **options)
        page = context.new_page()
        page.set_default_timeout(20_000)
        visit = Visit(page, business.address(host), [])

        def hear(message: "ConsoleMessage") -> None:
            if message.type == "error" and not message.text.startswith(NOT_OVER_HTTP):
                visit.complaints.append(f"{message.text} {message.location.get('url', '')} on {page.url}")

        page.on("console", hear)
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        if email:
            visit.open("/sign-in")
            page.get_by_label(re.compile("mail", re.I)).fill(email)
            page.locator("input[name=password]").fill(password)
            page.locator("input[name=password]").press("Enter")
            page.wait_for_url(lambda url: "/sign-in" not in url)
        made.append(visit)
        return visit

    try:
        yield on
    except BaseException as failure:
        for each in made:
            failure.add_note(f"{each.page.url}: {each.complaints}")
        raise
    finally:
        for each in made:
            each.page.context.close()
    assert [line for each in made for line in each.complaints] == []


ALL_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: "Page", rules: Sequence[str] = ALL_RULES) -> list[str]:
    """What axe finds against WCAG 2.2 AA and good practice, or against some of its rules, a line each."""
    # A change of scheme or width is looked at once it has been drawn.
    page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    page.evaluate("() => Promise.allSettled(document.getAnimations().map(each => each.finished))")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", list(rules))
    return [
        f"{each['id']}: {node['target']} {node.get('failureSummary', '')}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[["Page", str], None]:
    """Keep a picture for the README, when the tests are run with --screenshots."""
    wanted = bool(request.config.getoption("--screenshots"))

    def take(page: "Page", name: str) -> None:
        if wanted:
            PICTURES.mkdir(exist_ok=True)
            page.screenshot(path=Path(PICTURES / f"{name}.png"))

    return take
