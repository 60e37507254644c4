"""Every page that links lead to, in both schemes and at both widths: axe finds nothing, nothing overflows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import pytest

from tests.story.conftest import ALL_RULES, DESKTOP, PHONE, Visit, violations, windows
from tests.support.product import Portal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.minutes]

KINDS_AT_MOST = 200
"""Kinds of pages a crawl visits at most; there are fewer, and a runaway would show."""

STAFF_PAGES = (
    "/admin/",
    "/admin/people?standing=invited",
    "/admin/search?q=car",
    "/admin/imports/1?show=refused",
    "/admin/settings/portals/1/exceptions/services",
    "/admin/incidents/drafts",
    "/admin/incidents/1/changes",
)
REACHED = {
    "admin@demo.example": {
        "/admin/alerts",
        "/admin/alerts/companies/…",
        "/admin/alerts/new",
        "/admin/alerts/templates",
        "/admin/alerts/templates/new",
        "/admin/alerts/…",
        "/admin/alerts/…/edit",
        "/admin/calls",
        "/admin/calls/…",
        "/admin/account",
        "/admin/account/email",
        "/admin/account/password",
        "/admin/account/second-factor",
        "/admin/announcements",
        "/admin/announcements/new",
        "/admin/announcements/…",
        "/admin/availability/companies/…/contract",
        "/admin/incidents/past/new",
        "/admin/incidents/templates",
        "/admin/incidents/templates/new",
        "/admin/incidents/…/calls",
        "/admin/incidents/…/merge",
        "/admin/incidents/…/reach",
        "/admin/incidents/…/reach/…",
        "/admin/maintenances",
        "/admin/maintenances/freezes",
        "/admin/maintenances/new",
        "/admin/maintenances/requests",
        "/admin/maintenances/series/…",
        "/admin/maintenances/series/…/edit",
        "/admin/maintenances/…",
        "/admin/maintenances/…/edit",
        "/admin/metrics",
        "/admin/metrics/new",
        "/admin/metrics/…",
        "/admin/metrics/…/edit",
        "/admin/settings/monitors",
        "/admin/settings/monitors/new",
        "/admin/settings/portals/…/public-page",
        "/admin/subscribers",
        "/admin/subscribers/import",
        "/admin/subscribers/new",
        "/admin/audit",
        "/admin/audit/…",
        "/admin/broadcasts/notices",
        "/admin/broadcasts/notices/new",
        "/admin/broadcasts/notices/…",
        "/admin/broadcasts/notices/…/edit",
        "/admin/companies/…/view-as",
        "/admin/erasure/people/…",
        "/admin/exports",
        "/admin/imports",
        "/admin/imports/new",
        "/admin/imports/…",
        "/admin/jobs",
        "/admin/jobs/board",
        "/admin/jobs/new",
        "/admin/jobs/…",
        "/admin/jobs/…/edit",
        "/admin/messages",
        "/admin/my-work",
        "/admin/operation",
        "/admin/people",
        "/admin/people/invite",
        "/admin/people/roles",
        "/admin/people/…",
        "/admin/quotes",
        "/admin/quotes/new",
        "/admin/quotes/…",
        "/admin/retention",
        "/admin/search",
        "/admin/availability",
        "/admin/availability/companies/…",
        "/admin/services",
        "/admin/services/choose",
        "/admin/services/companies/…",
        "/admin/services/holdings/…",
        "/admin/services/timeliness",
        "/admin/services/…",
        "/admin/services/…/history",
        "/admin/settings/assistant",
        "/admin/settings/availability",
        "/admin/settings/job-statuses",
        "/admin/settings/portals/…/companies",
        "/admin/settings/portals/…/hosts",
        "/admin/settings/portals/…/services",
        "/admin/settings/portals/…/wording",
        "/admin/settings/quote-statuses",
        "/admin/settings/services",
        "/admin/settings/templates",
        "/admin/settings/templates/…/…",
        "/admin/settings/tokens",
        "/admin/settings/tokens/new",
        "/api/v1/",
    },
    "customer@harewood-travel.example": {
        "/account",
        "/account/email",
        "/account/password",
        "/alerts",
        "/announcements/…",
        "/calendar",
        "/jobs",
        "/jobs/new",
        "/jobs/…",
        "/maintenances/…",
        "/quotes",
        "/quotes/new",
        "/quotes/…",
        "/quotes/…/accept",
        "/quotes/…/decline",
        "/services",
        "/services/availability",
        "/services/…",
        "/status",
        "/status/history",
        "/status/history/…",
        "/status/metrics/post-dial-delay",
    },
}
"""Kinds of pages that must be among those found, so that no link to them is lost unseen."""

Look = tuple[Literal["light", "dark"], "ViewportSize", Sequence[str]]
LOOKS: tuple[Look, ...] = (
    ("light", DESKTOP, ALL_RULES),
    ("dark", PHONE, ALL_RULES),
    ("dark", DESKTOP, ["color-contrast"]),
    ("light", PHONE, ["color-contrast"]),
)
"""Both schemes at both widths. What is not about colours is the same in both schemes, so it is asked once a width."""


KNOWN = LOOKS[:2]
"""Looks at a kind of page that another visitor has had in all of them."""


@dataclass(frozen=True)
class Visitor:
    """Who looks, where they begin, and in which looks a page is held against axe."""

    host: str
    email: str | None
    starts: tuple[str, ...]
    looks: Sequence[Look] = LOOKS

    def __str__(self) -> str:
        return f"{self.email or 'signed out'} on {self.host}"


VISITORS = (
    Visitor("admin.portal.test", "admin@demo.example", STAFF_PAGES),
    Visitor("admin.portal.test", None, ("/sign-in",)),
    Visitor("north.localhost", "customer@harewood-travel.example", ("/",)),
    Visitor("north.localhost", None, ("/status", "/sign-in", "/reset")),
    # The same kinds of pages in German and other colours.
    Visitor("south.localhost", "customer@baeckerei-huber.example", ("/",), KNOWN),
)
"""The one at Harewood Travel acts for two companies."""


@pytest.mark.parametrize("visitor", VISITORS, ids=str)
def test_every_page_is_accessible_in_every_look(visitor: Visitor, browser: "Browser", business_once: Portal) -> None:
    found: list[str] = []
    kinds: list[str] = []
    with windows(browser, business_once) as visit:
        window = visit(visitor.host, visitor.email, reduced_motion="reduce")
        for path in pages(window, visitor.starts):
            kinds.append(kind_of(path))
            found += [f"{path} {line}" for line in flaws(window.page, visitor.looks)]
    assert 1 <= len(kinds) < KINDS_AT_MOST
    assert REACHED.get(visitor.email or "", set()) - set(kinds) == set()
    assert not found, "\n".join(found)


def flaws(page: "Page", looks: Sequence[Look] = LOOKS) -> list[str]:
    """What is wrong with a page in these looks, a line each."""
    found: list[str] = []
    for scheme, size, rules in looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        found += [f"{scheme} {size['width']}: {line}" for line in (*violations(page, rules), *overflow(page))]
    return found


def kind_of(path: str) -> str:
    """The address with ids and queries folded, and the names and languages of templates, whose pages are one form."""
    path = re.sub(r"/templates/[a-z_]+/(en|de)$", "/templates/…/…", urlsplit(path).path)
    return re.sub(r"/(\d+|\d{4}-\d\d|[JQ]-\d+|[a-z0-9]{16,})(?=/|$)", "/…", path)


def pages(window: Visit, starts: Sequence[str]) -> Iterator[str]:
    """Open one page of each kind that can be reached by links from these, and give its address."""
    kinds: set[str] = set()
    waiting = list(starts)
    while waiting and len(kinds) < KINDS_AT_MOST:
        path = waiting.pop(0)
        kind = kind_of(path)
        if kind in kinds:
            continue
        answer = window.page.goto(window.address + path, wait_until="load")
        if answer is None or "text/html" not in answer.headers.get("content-type", ""):
            continue
        assert answer.status == 200, f"{path} answered {answer.status}"
        kinds.add(kind)
        # A page that leads to what was wrong has scrolled there, and what lies half under its bar then is chance.
        window.page.evaluate("() => scrollTo({top: 0, behavior: 'instant'})")
        followed = "a[href]:not([download], [type='text/calendar'])"
        links = window.page.eval_on_selector_all(followed, "all => all.map(a => a.href)")
        waiting += [link.removeprefix(window.address) for link in links if link.startswith(window.address + "/")]
        yield path


def overflow(page: "Page") -> list[str]:
    """A line if the page scrolls sideways."""
    wider: int = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"is {wider} px wider than the screen"] if wider > 0 else []
