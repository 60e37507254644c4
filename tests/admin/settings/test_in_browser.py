"""The settings of work statuses in a real browser: by mouse, by keyboard, live before anything is saved."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.jobs import actions
from portal.jobs.rules import Role, WorkKind
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn
from tests.jobs.conftest import role, save, settings
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

Open = Callable[..., "AbstractContextManager[Page]"]
WIDE: Any = {"width": 1280, "height": 900}
PHONE: Any = {"width": 390, "height": 844}


@pytest.fixture
def open_page(browser: "Browser", cast: Cast, sign_in: SignIn) -> Open:
    """Opens the settings of a kind as the office; leaving the block fails on what the console complained of."""
    client = sign_in(cast.olaf)

    def opened(kind: str = "job", size: Any = WIDE, refused: int = 0) -> "AbstractContextManager[Page]":
        address = f"http://{STAFF_HOST}/admin/settings/{kind}-statuses"
        return answered_page(browser, client, address, refused=refused, viewport=size)

    return opened


def test_both_examples_of_the_brief_live_and_saved(open_page: Open, cast: Cast) -> None:
    """On hold shown as Sent, Requested called Submitted: seen while they are typed, and after they are saved."""
    kind = WorkKind.QUOTE
    item = actions.create_item(kind, "A quote", company_id=cast.a.id, by=SYSTEM, now=NOW)
    db.session.commit()
    held, sent, requested = (role(each, kind).id for each in (Role.ON_HOLD, Role.SENT, Role.REQUESTED))
    with open_page("quote") as page:
        page.locator(f"[name='showing.{held}']").select_option(f"to:{sent}")
        page.locator(f"#seen-{held}").get_by_text("Sent").wait_for()
        page.locator(f"[name='portal_name.{requested}']").fill("Submitted")
        page.locator(f"#seen-{requested}").get_by_text("Submitted").wait_for()
        page.get_by_text("2 changes, 1 open quote of 1 company looks different to customers").wait_for()
        ground = page.locator(f"#seen-{held} .work-badge").evaluate(
            "(badge) => getComputedStyle(badge).backgroundColor"
        )
        assert ground == "rgb(36, 87, 214)"
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved. 1 open quote looks different to customers now.").wait_for()
        assert page.locator(".work-mark").count() == 0
    db.session.expire_all()
    assert item.public_status_id == requested
    assert role(Role.REQUESTED, kind).portal_name == "Submitted"
    assert role(Role.ON_HOLD, kind).mapped_to_id == sent


def test_a_save_that_finds_no_database_loses_nothing_that_was_typed(open_page: Open) -> None:
    busy = "<section id=error><h1>Busy</h1><p>Wait a moment</p></section>"
    requested = role(Role.REQUESTED, WorkKind.JOB).id
    with open_page(refused=503) as page:
        name = page.locator(f"[name='portal_name.{requested}']")
        name.fill("Submitted")
        page.locator(f"#seen-{requested}").get_by_text("Submitted").wait_for()
        page.route(
            "**/job-statuses",
            lambda route: (
                route.fulfill(status=503, content_type="text/html", body=busy)
                if route.request.method == "POST"
                else route.fallback()
            ),
        )
        save_it = page.get_by_role("button", name="Save", exact=True)
        save_it.click()
        page.get_by_text("Busy. Wait a moment.").wait_for()
        assert name.input_value() == "Submitted"
        page.unroute("**/job-statuses")
        save_it.click()
        page.get_by_text("Saved.").first.wait_for()
    assert role(Role.REQUESTED, WorkKind.JOB).portal_name == "Submitted"


def test_order_by_keyboard_and_by_handle(open_page: Open) -> None:
    with open_page() as page:
        up = page.get_by_role("button", name="Move On hold up")
        up.focus()
        page.keyboard.press("ArrowUp")
        page.get_by_text("1 change, nothing looks different to customers").wait_for()
        assert page.evaluate("document.activeElement.closest('tr').dataset.name") == "On hold"
        page.locator("#row-5 [data-handle]").drag_to(page.locator("#row-1 [data-handle]"))
        page.get_by_text("2 changes, nothing").wait_for()
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved. Nothing looks different").wait_for()
    assert [row.role for row in settings().table.rows] == [
        Role.COMPLETED,
        Role.REQUESTED,
        Role.SCHEDULED,
        Role.ON_HOLD,
        Role.IN_PROGRESS,
        Role.CANCELLED,
    ]


def test_colours_are_chosen_from_the_palette_and_seen_at_once(open_page: Open) -> None:
    held = role(Role.ON_HOLD).id
    with open_page() as page:
        page.get_by_label("Colour of On hold in the portal", exact=True).first.click()
        page.locator(f"#row-{held}").get_by_role("button", name="Pink").last.click()
        page.keyboard.press("Escape")
        badge = page.locator(f"#seen-{held} .work-badge[data-ground='#d6338a']")
        badge.wait_for()
        assert badge.evaluate("(badge) => getComputedStyle(badge).backgroundColor") == "rgb(214, 51, 138)"
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved. Nothing looks different").wait_for()
    assert (role(Role.ON_HOLD).portal_color, role(Role.ON_HOLD).color) == ("#d6338a", "#f2b01e")


def test_a_new_status_is_named_where_it_stands_and_leaving_warns(open_page: Open) -> None:
    with open_page() as page:
        page.get_by_role("button", name="Add status").click()
        page.locator("[name='name.-1']").wait_for()
        page.wait_for_function("document.activeElement.name === 'name.-1'")
        page.keyboard.type("Parts ordered")
        page.locator("[name='showing.-1']").select_option("hidden")
        page.locator("#seen--1").get_by_text("The last they could see").wait_for()
        assert page.evaluate("document.getElementById('work-form').dataset.dirty") == ""
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved. Nothing looks different").wait_for()
    assert "Parts ordered" in [row.name for row in settings().table.rows]


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_is_wrong_with_it_for_those_who_do_not_see_it(open_page: Open, size: Any) -> None:
    with open_page(size=size) as page:
        page.locator("[name='showing.4']").select_option("to:2")
        page.locator("#seen-4").get_by_text("Scheduled").wait_for()
        page.locator("#row-3 .work-colour summary").first.click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_where_the_jobs_of_a_deleted_status_go_is_asked_within_the_page(open_page: Open, cast: Cast, size: Any) -> None:
    held = role(Role.ON_HOLD)
    parts = replace(held, id=-1, role=None, name="Parts ordered", portal_name="Parts ordered")
    parts_id = save(parts).table.rows[-1].id
    actions.create_item(WorkKind.JOB, "Router", company_id=cast.a.id, status_id=parts_id, by=SYSTEM, now=NOW)
    db.session.commit()
    with open_page(size=size) as page:
        page.locator("[aria-label='More about Parts ordered']").click()
        page.locator("details[open]").get_by_role("button", name="Delete").click()
        page.get_by_label("Move 1 job to").select_option(label="On hold")
        page.get_by_text("1 change").wait_for()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text(re.compile(r"^Saved\.")).wait_for()
    db.session.expire_all()
    assert "Parts ordered" not in [row.name for row in settings().table.live]
