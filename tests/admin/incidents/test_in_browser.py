"""From a template to a draft to a report the clock publishes, on a phone and at a desk; axe agrees."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions.drafts import publish_due
from portal.incidents.actions.templates import keep_starters
from portal.incidents.models import Incident, IncidentDraft
from tests.conftest import STAFF_HOST, Cast, SignIn
from tests.incidents.conftest import World
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

STAFF = f"http://{STAFF_HOST}"
PHONE = {"width": 390, "height": 844}


def has_room(page: "Page") -> bool:
    """Whether nothing stands out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def is_well(page: "Page") -> bool:
    assert violations(page) == []
    return has_room(page)


def test_a_template_becomes_a_draft_that_the_clock_publishes(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    keep_starters(by=SYSTEM, author_id=None, now=clock.utcnow())
    events.commit()
    with answered_page(browser, sign_in(cast.ada), f"{STAFF}/admin/incidents/templates", viewport=PHONE) as page:
        assert is_well(page)
        page.get_by_role("link", name="Fibre cut").click()
        assert is_well(page)
        page.goto(f"{STAFF}/admin/incidents/past/new")
        assert is_well(page)
        page.goto(f"{STAFF}/admin/incidents/new")
        page.get_by_role("button", name="Fibre cut").click()
        page.get_by_text("Nobody has filled {{place}}").wait_for()
        assert page.input_value("#title") == "A cut fibre near {{place}}"
        page.get_by_label("Place").fill("Leeds")
        page.locator(".pick", has_text="Fibre").locator("label").click()
        page.get_by_role("heading", name="A cut fibre near Leeds").wait_for()
        page.get_by_text("Other words for some").click()
        page.get_by_label("Company", exact=True).fill("Birch Logistics")
        page.get_by_label("What they read", exact=True).fill("Your circuit LINE-9 is cut near {{place}}.")
        page.locator("#preview").get_by_text("Your circuit LINE-9 is cut near Leeds.").wait_for()
        assert is_well(page)
        page.get_by_role("button", name="Save as a draft").click()
        page.get_by_role("link", name="A cut fibre near {{place}}").click()
        assert is_well(page)
        page.get_by_text("Publish it later, by the clock").click()
        page.get_by_label("Time zone").select_option("Europe/London")
        page.fill("#publish_at", "2031-07-01T06:30")
        page.get_by_role("button", name="Publish at this time").click()
        page.get_by_role("heading", name="Drafts").wait_for()
        assert is_well(page)
    draft = db.session.scalars(select(IncidentDraft)).one()
    db.session.refresh(draft)
    assert draft.publish_at is not None
    assert draft.publish_at.isoformat() == "2031-07-01T05:30:00+00:00"
    assert not publish_due(draft.id, draft.publish_at - timedelta(minutes=1))
    assert publish_due(draft.id, draft.publish_at)
    assert db.session.scalars(select(Incident.title)).one() == "A cut fibre near Leeds"
