"""After a report: who was reached, whom to call, what was changed, its postmortem, merging. On a phone; axe agrees."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.models import IncidentUpdate
from portal.incidents.rules import Severity, State
from portal.notifications.models import Delivery
from portal.notifications.rules import DeliveryState
from tests.admin.incidents.conftest import report
from tests.admin.incidents.test_in_browser import PHONE, STAFF, is_well
from tests.conftest import NOW, Cast, SignIn
from tests.incidents.conftest import World
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_what_comes_after_a_report(browser: "Browser", world: World, cast: Cast, sign_in: SignIn) -> None:
    incident = report("Calls drop", {world.trunk.id: Severity.MAJOR_OUTAGE}, notify=True)
    other = report("Exchange burns", {world.exchange.id: Severity.PARTIAL_RTH})
    db.session.execute(update(Delivery).values(state=DeliveryState.FAILED, finished_at=NOW))
    entry = db.session.scalars(select(IncidentUpdate).where(IncidentUpdate.incident_id == incident.id)).one()
    actions.edit_update(entry, incident, "Some calls drop.", version=incident.version, by=SYSTEM, now=NOW)
    db.session.commit()
    ours = f"{STAFF}/admin/incidents/{incident.id}"
    with answered_page(browser, sign_in(cast.ada), ours, viewport=PHONE) as page:
        assert is_well(page)
        page.get_by_role("link", name="Whom to call").click()
        page.get_by_text(cast.alice.email).wait_for()
        assert is_well(page)
        page.goto(f"{ours}/reach?show=nobody")
        page.get_by_role("link", name=cast.a.name).click()
        page.get_by_role("heading", name=cast.a.name).wait_for()
        assert is_well(page)
        page.goto(f"{ours}/changes")
        page.locator("ins", has_text="Some calls").wait_for()
        assert is_well(page)
        page.goto(f"{ours}/merge?into={other.id}")
        assert is_well(page)
        page.get_by_role("button", name="Merge for good").click()
        page.get_by_role("link", name="Calls drop").wait_for()
        assert is_well(page)


def test_a_postmortem_is_published(browser: "Browser", world: World, cast: Cast, sign_in: SignIn) -> None:
    fixed = report("Exchange burns", {world.exchange.id: Severity.PARTIAL_RTH}, state=State.FIXED)
    db.session.commit()
    theirs = f"{STAFF}/admin/incidents/{fixed.id}"
    with answered_page(browser, sign_in(cast.ada), theirs, viewport={"width": 1280, "height": 900}) as page:
        page.get_by_role("link", name="Write the postmortem").click()
        page.get_by_label("The postmortem").fill("A fuse **blew**.")
        page.get_by_role("button", name="Save the draft").click()
        page.get_by_role("button", name="Publish the postmortem").wait_for()
        assert is_well(page)
        page.get_by_role("button", name="Publish the postmortem").click()
        page.get_by_text("Published", exact=True).first.wait_for()
        assert is_well(page)
