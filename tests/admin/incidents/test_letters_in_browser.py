"""The section with the mail beside a form: it stands there once the page is there, and follows what is typed."""

from typing import TYPE_CHECKING

import pytest

from portal import clock
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions.templates import keep_starters
from portal.incidents.rules import Severity
from tests.admin.incidents.conftest import report
from tests.conftest import STAFF_HOST, Cast, SignIn
from tests.incidents.conftest import World
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

STAFF = f"http://{STAFF_HOST}"
SUBJECT, TEXT = "#letter .letter-subject", "#letter .letter-body"


def shows(page: "Page", place: str, text: str) -> None:
    """Wait until this part of the mail has the text; fails after five seconds."""
    page.locator(place).filter(has_text=text).wait_for(timeout=5000)


def test_the_mail_of_a_report_is_there_at_once_and_follows(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    keep_starters(by=SYSTEM, author_id=None, now=clock.utcnow())
    db.session.commit()
    with answered_page(browser, sign_in(cast.ada), f"{STAFF}/admin/incidents/new") as page:
        shows(page, SUBJECT, "Your title")
        page.get_by_role("button", name="Fibre cut").click()
        shows(page, SUBJECT, "A cut fibre near {{place}}")
        page.get_by_label("Place").press_sequentially("Leeds")
        shows(page, SUBJECT, "A cut fibre near Leeds")
        page.locator("#body").press_sequentially("Engineers are there. ")
        shows(page, TEXT, "Engineers are there.")


def test_the_mail_of_an_update_is_there_at_once_and_follows(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    incident = report("Trunk down", {world.trunk.id: Severity.MAJOR_OUTAGE})
    cast.bob.language = "de"
    db.session.commit()
    with answered_page(browser, sign_in(cast.ada), f"{STAFF}/admin/incidents/{incident.id}") as page:
        shows(page, SUBJECT, "Trunk down")
        page.locator("#body").press_sequentially("It works again.")
        shows(page, TEXT, "It works again.")
        page.get_by_label("Read by").select_option("Bob")
        page.locator("#letter article[lang=de]").wait_for(timeout=5000)
        shows(page, TEXT, "It works again.")


def test_the_announcement_of_maintenance_is_there_at_once_and_follows(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    address = f"{STAFF}/admin/maintenances/new?component={world.trunk.id}"
    with answered_page(browser, sign_in(cast.ada), address) as page:
        shows(page, SUBJECT, "Your title")
        page.locator("#title").press_sequentially("New software")
        shows(page, SUBJECT, "New software")
        page.locator("#body").press_sequentially("Two restarts.")
        shows(page, TEXT, "Two restarts.")
