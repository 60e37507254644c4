"""Setting statuses in a real browser: one, many by a file, taking it back, a window; axe agrees, phones have room."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from portal.catalogue.models import Holding
from portal.extensions import db
from portal.services.models import ServiceUpdate
from portal.services.rules import ServiceStatus
from tests.admin.services.conftest import last_update, standing
from tests.conftest import STAFF_HOST, Cast, SignIn
from tests.incidents.conftest import LONG_AGO, World
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

STAFF = f"http://{STAFF_HOST}"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


def has_room(page: "Page") -> bool:
    """Whether nothing stands out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_one_is_set_from_the_companys_page_on_a_phone(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    with answered_page(browser, client, f"{STAFF}/admin/companies/{cast.a.id}", viewport=PHONE) as page:
        assert violations(page) == []
        assert has_room(page)
        page.get_by_role("link", name="Set status of Hosted telephony").click()
        assert violations(page) == []
        page.get_by_role("radio", name="System is down").check()
        page.get_by_role("button", name="Set for 1 company and mail 2 people").wait_for()
        page.get_by_role("button", name="Cause and estimate").click()
        chosen = "(field) => field.value.slice(field.selectionStart, field.selectionEnd)"
        assert page.locator("#notes:focus").evaluate(chosen) == "[cause, in plain words]"
        page.keyboard.type("a fibre was cut")
        page.get_by_text("Still to be filled in: [estimated restoration]").wait_for()
        assert violations(page) == []
        assert has_room(page)
        page.fill("#notes", "A fibre was cut. **Mobile phones work.**")
        page.locator("#preview strong", has_text="Mobile phones work.").wait_for()
        page.get_by_role("button", name="Set for 1 company and mail 2 people").click()
        page.get_by_role("button", name="Undo").wait_for()
        assert violations(page) == []
        assert has_room(page)
    assert standing() == {world.holding_a.id: ServiceStatus.DOWN}


def test_many_are_chosen_by_a_file_and_taken_back(
    browser: "Browser", world: World, cast: Cast, sign_in: SignIn
) -> None:
    other = Holding(company_id=cast.b.id, service_id=world.telephony.id, reference="ACC-2", valid_from=LONG_AGO)
    db.session.add(other)
    db.session.commit()
    client = sign_in(cast.ada)
    address = f"{STAFF}/admin/services/{world.telephony.id}/set"
    with answered_page(browser, client, address, viewport=DESK, color_scheme="dark", refused=422) as page:
        page.get_by_text("2 services of 2 companies.").wait_for()
        page.get_by_label("Only some of them").check()
        page.get_by_text("Nobody is chosen yet.").wait_for()
        numbers = b"Account number\nACC-2\nACC-404\n"
        page.locator("#accounts_file").set_input_files(
            {"name": "numbers.csv", "mimeType": "text/csv", "buffer": numbers}
        )
        page.get_by_text("1 number goes by nobody who holds it").wait_for()
        assert page.input_value("#accounts").split("\n")[1:] == ["ACC-2", "ACC-404"]
        page.get_by_role("radio", name="Intermittent problems").check()
        page.fill("#notes", "Some calls drop.")
        page.get_by_role("button", name="Set for 1 company and mail 1 person").click()
        page.get_by_text("this number goes by nobody: ACC-404.").first.wait_for()
        assert page.input_value("#notes") == "Some calls drop."
        assert violations(page) == []
        page.get_by_label("Leave out the numbers nobody goes by").check()
        page.get_by_role("button", name="Set for 1 company and mail 1 person").click()
        page.get_by_role("button", name="Undo").wait_for()
        assert standing() == {other.id: ServiceStatus.INTERMITTENT}
        assert violations(page) == []
        page.get_by_role("button", name="Undo").click()
        page.get_by_text("Nothing of it was mailed, and everything stood again as before.").wait_for()
        assert violations(page) == []
    assert standing() == {}
    assert last_update().undone_at is not None


def test_a_window_is_planned_and_moved(browser: "Browser", world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    address = f"{STAFF}/admin/services/set?holding={world.holding_a.id}&status=scheduled_service"
    with answered_page(browser, client, address, viewport=DESK) as page:
        page.fill("#starts_at", "2027-06-01T22:00")
        page.fill("#ends_at", "2027-06-02T01:00")
        page.fill("#notes", "A new switch.")
        page.get_by_role("button", name="Announce for 1 company and mail 2 people").click()
        page.get_by_role("button", name="Undo").wait_for()
        page.locator(".crumbs").get_by_role("link", name="Scheduled service").click()
        page.get_by_role("heading", name="Hosted telephony").wait_for()
        assert violations(page) == []
        page.fill("#ends_at", "2027-06-02T02:00")
        page.locator("#preview s").wait_for()
        page.get_by_role("button", name="Move it").click()
        page.get_by_role("link", name="Moved").wait_for()
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        assert has_room(page)
        assert violations(page) == []
        for path in ("windows", "starters", "starters/new"):
            page.goto(f"{STAFF}/admin/services/{path}")
            assert violations(page) == [], path
            assert has_room(page), path
    assert db.session.scalars(select(ServiceUpdate.kind).order_by(ServiceUpdate.id)).all() == ["announced", "moved"]
