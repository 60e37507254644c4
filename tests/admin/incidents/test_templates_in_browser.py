"""A template is chosen in a real browser: the form is filled in where it stands, and what was typed or ticked stays."""

from typing import TYPE_CHECKING

import pytest

from portal import events
from portal.incidents.rules import Severity
from tests.admin.incidents.conftest import report
from tests.admin.incidents.test_templates import NEW, kept
from tests.conftest import STAFF_HOST, Cast, SignIn
from tests.incidents.conftest import World
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_a_template_fills_the_form_in_where_it_stands(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    kept(
        "Fibre cut",
        "A fibre is cut at {{place}}.",
        title="Fibre cut",
        severities={world.fibre.id: Severity.MAJOR_OUTAGE},
    )
    client = sign_in(cast.ada)
    with answered_page(browser, client, f"http://{STAFF_HOST}{NEW}") as page:
        page.evaluate("window.stayed = true")
        page.locator("#report-form input[name=title]").fill("Typed")
        page.locator("textarea[name=body]").fill("We look into it.")
        page.get_by_role("checkbox", name="Trunk").check(force=True)
        page.get_by_role("button", name="Fibre cut").click()
        page.get_by_label("Place").wait_for()
        assert page.locator("#report-form input[name=title]").input_value() == "Typed"
        assert page.locator("textarea[name=body]").input_value() == "We look into it.\n\nA fibre is cut at {{place}}."
        assert page.get_by_role("checkbox", name="Trunk").is_checked()
        assert page.get_by_role("checkbox", name="Fibre").is_checked()
        # What is chosen stands above the list, and what customers will see beside it, without a new page.
        assert page.locator(".picker-chosen .pick").count() == 2
        page.locator("#preview").get_by_text("A fibre is cut").wait_for()
        assert page.evaluate("window.stayed") is True


def test_the_next_update_begins_with_one_in_place(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    kept("Mended", "Mended: {{cause}}.")
    incident = report("Trunk down", {world.trunk.id: Severity.MAJOR_OUTAGE})
    events.commit()
    client = sign_in(cast.ada)
    with answered_page(browser, client, f"http://{STAFF_HOST}/admin/incidents/{incident.id}") as page:
        page.evaluate("window.stayed = true")
        page.get_by_role("button", name="Mended").click()
        page.get_by_label("Cause").fill("a loose plug")
        assert page.locator("textarea[name=body]").first.input_value() == "Mended: {{cause}}."
        page.locator("#preview").get_by_text("Mended: a loose plug.").wait_for()
        assert page.evaluate("window.stayed") is True
