"""Every page that links lead to, in both schemes and at both widths: axe finds nothing, nothing overflows."""

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.story.conftest import DESKTOP, PHONE, Visit, Visits, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.processes]

KINDS_AT_MOST = 60
"""Kinds of pages a crawl visits at most; there are fewer, and a runaway would show."""

VISITORS = [
    ("admin.portal.test", "admin@demo.example", "/admin/"),
    ("north.localhost", "customer@kirkstall-logistics.example", "/"),
    ("north.localhost", None, "/status"),
    ("south.localhost", "customer@baeckerei-huber.example", "/"),
]
LOOKS = [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE)]


@pytest.mark.parametrize(
    ("host", "email", "start"), VISITORS, ids=["staff", "customer", "signed out", "customer in German"]
)
def test_every_page_is_accessible_in_every_look(visit: Visits, host: str, email: str | None, start: str) -> None:
    window = visit(host, email)
    found: list[str] = []
    kinds = kinds_of_pages(window, start)
    assert 1 <= len(kinds) < KINDS_AT_MOST
    for path in kinds.values():
        for scheme, size in LOOKS:
            window.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            window.page.set_viewport_size(size)  # type: ignore[arg-type]
            window.open(path)
            where = f"{path} {scheme} {size['width']}"
            found += [f"{where}: {line}" for line in violations(window.page)]
            found += [f"{where}: {line}" for line in overflow(window.page)]
    assert not found, "\n".join(found)


def kinds_of_pages(window: Visit, start: str) -> dict[str, str]:
    """One address for each kind of page that can be reached by links, ids and queries folded."""
    kinds: dict[str, str] = {}
    waiting = [start]
    while waiting and len(kinds) < KINDS_AT_MOST:
        path = waiting.pop(0)
        kind = re.sub(r"/(\d+|[a-z0-9]{10,})(?=/|$)", "/…", urlsplit(path).path)
        if kind in kinds:
            continue
        answer = window.page.goto(window.address + path, wait_until="load")
        if answer is None or "text/html" not in answer.headers.get("content-type", ""):
            continue
        assert answer.status == 200, f"{path} answered {answer.status}"
        kinds[kind] = path
        links = window.page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
        waiting += [link.removeprefix(window.address) for link in links if link.startswith(window.address + "/")]
    return kinds


def overflow(page: "Page") -> list[str]:
    """A line if the page scrolls sideways."""
    wider: int = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"is {wider} px wider than the screen"] if wider > 0 else []
