"""The service dashboard in a real browser: at a glance, live, with the form beside it; axe agrees, phones have room."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from portal import clock, events
from portal.extensions import db
from portal.services.rules import ServiceStatus, Wanted
from tests.admin.services.conftest import state
from tests.conftest import STAFF_HOST, Cast, SignIn
from tests.incidents.conftest import World
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

STAFF = f"http://{STAFF_HOST}"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SIZES = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])


def has_room(page: "Page") -> bool:
    """Whether nothing stands out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def trouble(world: World) -> None:
    """A's telephony is down and nothing was said of it for hours; B's internet access is scheduled for service."""
    now = clock.utcnow()
    state([world.holding_a.id], Wanted(ServiceStatus.DOWN, "A fibre was **cut**."), now - timedelta(hours=13))
    starts_at = now + timedelta(hours=20)
    planned = Wanted(
        ServiceStatus.SCHEDULED, "New router.", starts_at=starts_at, ends_at=starts_at + timedelta(hours=2)
    )
    state([world.holding_b.id], planned, now, "2")
    events.commit()


@SIZES
def test_every_screen_can_be_read(
    size: dict[str, int], browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    trouble(world)
    paths = [
        "/admin/services",
        "/admin/services/choose",
        f"/admin/services/{world.telephony.id}",
        f"/admin/services/{world.telephony.id}/history",
        f"/admin/services/companies/{cast.a.id}",
        f"/admin/services/companies/{cast.a.id}?list=history",
        f"/admin/services/holdings/{world.holding_a.id}",
        "/admin/services/timeliness?show=all",
        "/admin/settings/services",
        f"/admin/settings/portals/{cast.domain_a.id}/services?q=ald",
        f"/admin/settings/portals/{cast.domain_a.id}/services/companies/{cast.a.id}",
    ]
    client = sign_in(cast.root)
    with answered_page(browser, client, f"{STAFF}{paths[0]}", viewport=size) as page:
        for path in paths:
            page.goto(f"{STAFF}{path}")
            assert violations(page) == [], path
            assert has_room(page), path


def test_the_form_opens_beside_it_and_what_is_typed_outlives_a_change(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    trouble(world)
    with answered_page(browser, sign_in(cast.ada), f"{STAFF}/admin/services", viewport=DESK) as page:
        page.get_by_role("link", name="Set status for everyone").click()
        page.get_by_label("For everybody who holds").select_option(label="Internet access")
        page.get_by_role("button", name="Say how it is").click()
        notes = page.locator("#beside #notes")
        notes.wait_for()
        assert page.url.endswith("/admin/services")
        notes.fill("Half typed")
        assert violations(page) == []
        assert has_room(page)
        state([world.holding_b.id], Wanted(ServiceStatus.DOWN, "Gone."), clock.utcnow(), "3")
        events.commit()
        page.evaluate("htmx.trigger('#dashboard', 'live')")
        page.locator(f"#service-{world.internet.id} .matrix-number.tone-bad").wait_for()
        assert notes.input_value() == "Half typed"


def test_a_search_narrows_it_and_a_number_leads_to_whose_it_is(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    trouble(world)
    with answered_page(browser, sign_in(cast.ada), f"{STAFF}/admin/services", viewport=DESK) as page:
        page.get_by_role("searchbox", name="Search services").fill("telep")
        page.locator(f"#service-{world.internet.id}").wait_for(state="detached")
        page.locator(f"#service-{world.telephony.id} .matrix-number.tone-bad").click()
        page.get_by_role("link", name="Alder Dental", exact=True).wait_for()
        assert "status=system_is_down" in page.url


def test_the_preview_shows_what_a_customer_would_see(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    trouble(world)
    address = f"{STAFF}/admin/settings/portals/{cast.domain_a.id}/services"
    with answered_page(browser, sign_in(cast.root), address, viewport=DESK) as page:
        preview = page.locator("#services-preview")
        preview.get_by_text("A fibre was cut.").wait_for()
        page.get_by_role("switch", name="Notes").uncheck()
        preview.get_by_text("A fibre was cut.").wait_for(state="detached")
        page.locator("#view-form summary").click()
        page.get_by_role("checkbox", name="Hosted telephony").check()
        preview.get_by_text("Hosted telephony").wait_for(state="detached")
        assert violations(page) == []
        page.locator("#view-form").get_by_role("button", name="Save").click()
        page.get_by_text("see it at once").wait_for()
    db.session.expire_all()


def test_a_colour_is_chosen_and_seen_as_customers_see_it(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    address = f"{STAFF}/admin/settings/portals/{cast.domain_a.id}/services"
    with answered_page(browser, sign_in(cast.root), address, viewport=DESK) as page:
        page.locator("#color_system_is_down").fill("#8b1e5f")
        page.locator("#own_system_is_down").check()
        page.get_by_role("button", name="Save colours").click()
        page.get_by_text("in this portal’s own colours").wait_for()
        shape = page.locator("#colours .service-system-is-down .shape-fill")
        assert shape.evaluate("(shape) => getComputedStyle(shape).fill") == "rgb(139, 30, 95)"
