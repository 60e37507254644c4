"""Every page that links lead to, in both schemes and at both widths: axe finds nothing, nothing overflows."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

from tests.story.conftest import DESKTOP, PHONE, Visit, violations, windows
from tests.support.product import Portal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

pytestmark = [pytest.mark.browser, pytest.mark.processes]

KINDS_AT_MOST = 60
"""Kinds of pages a crawl visits at most; there are fewer, and a runaway would show."""

VISITORS = [
    ("admin.portal.test", "admin@demo.example", "/admin/"),
    ("north.localhost", "customer@kirkstall-logistics.example", "/"),
    ("north.localhost", None, "/status"),
    ("south.localhost", "customer@baeckerei-huber.example", "/"),
]
LOOKS: "list[tuple[Literal['light', 'dark'], ViewportSize]]" = [
    ("light", DESKTOP),
    ("dark", DESKTOP),
    ("light", PHONE),
    ("dark", PHONE),
]


def test_every_page_is_accessible_in_every_look(browser: "Browser", business_once: Portal) -> None:
    found: list[str] = []
    with windows(browser, business_once) as visit:
        for host, email, start in VISITORS:
            window = visit(host, email, reduced_motion="reduce")
            paths = []
            for path in pages(window, start):
                paths.append(path)
                found += [f"{email or 'signed out'} {path} {line}" for line in flaws(window.page)]
            assert 1 <= len(paths) < KINDS_AT_MOST
    assert not found, "\n".join(found)


def flaws(page: "Page") -> list[str]:
    """What is wrong with a page in any look, a line each."""
    found: list[str] = []
    for scheme, size in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        found += [f"{scheme} {size['width']}: {line}" for line in (*violations(page), *overflow(page))]
    return found


def pages(window: Visit, start: str) -> Iterator[str]:
    """Open one page of each kind that can be reached by links, ids and queries folded, and give its address."""
    kinds: set[str] = set()
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
        kinds.add(kind)
        links = window.page.eval_on_selector_all("a[href]", "all => all.map(a => a.href)")
        waiting += [link.removeprefix(window.address) for link in links if link.startswith(window.address + "/")]
        yield path


def overflow(page: "Page") -> list[str]:
    """A line if the page scrolls sideways."""
    wider: int = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"is {wider} px wider than the screen"] if wider > 0 else []
