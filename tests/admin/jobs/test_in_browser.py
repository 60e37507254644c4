"""Board, list and somebody's own day in a real browser: by mouse, by keyboard, and when somebody else was quicker."""

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.jobs.actions.items import set_lines
from portal.jobs.models import QuoteLine
from portal.jobs.rules import Role, WorkKind
from portal.jobs.rules.amounts import LineGiven
from tests.admin.jobs.conftest import Make, fresh, number, status_id
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

WIDE: Any = {"width": 1280, "height": 900}
PHONE: Any = {"width": 390, "height": 844}


def test_cards_move_by_keyboard_and_by_mouse_and_never_over_somebody_else(
    browser: "Browser", cast: Cast, sign_in: SignIn, make: Make
) -> None:
    keyed, dragged = make("By keyboard"), make("By mouse")
    scheduled, under_way = status_id(Role.SCHEDULED), status_id(Role.IN_PROGRESS)
    client = sign_in(cast.olaf)
    board = f"http://{STAFF_HOST}/admin/jobs/board"
    with answered_page(browser, client, board, refused=409, viewport=WIDE) as page:
        page.get_by_role("button", name=f"Move {number(keyed)} to Scheduled").focus()
        page.keyboard.press("ArrowRight")
        page.locator(f"#cards-{scheduled} #card-{keyed.id}").wait_for()
        page.wait_for_function(f"document.activeElement.closest('li')?.id === 'card-{keyed.id}'")
        page.keyboard.press("ArrowRight")
        page.locator(f"#cards-{under_way} #card-{keyed.id}").wait_for()
        page.locator(f"#card-{dragged.id} .board-words").drag_to(page.locator(f"#cards-{scheduled}"))
        page.locator(f"#column-{scheduled} .count", has_text="1").wait_for()
        assert page.locator(f"#cards-{scheduled} #card-{dragged.id}").count() == 1
        assert not violations(page)
        assert [fresh(each).status_id for each in (keyed, dragged)] == [under_way, scheduled]
        fresh(dragged).site = "Elsewhere"
        db.session.commit()
        page.locator(f"#card-{dragged.id} .board-words").drag_to(page.locator(f"#cards-{under_way}"))
        page.get_by_text("was changed by somebody else").wait_for()
        assert page.locator(f"#cards-{scheduled} #card-{dragged.id}").count() == 1


def test_what_is_ticked_brings_up_the_bar_and_nothing_is_wider_than_a_telephone(
    browser: "Browser", cast: Cast, sign_in: SignIn, make: Make
) -> None:
    item = make("Long words of a job on a telephone", assignee_id=cast.olaf.id, starts_at=NOW, site="12 High Street")
    client = sign_in(cast.olaf)
    base = f"http://{STAFF_HOST}/admin"
    with answered_page(browser, client, f"{base}/jobs", viewport=PHONE) as page:
        bar = page.get_by_role("region", name="What is ticked")
        assert not bar.is_visible()
        page.get_by_role("checkbox", name=f"Tick {number(item)}").check()
        bar.wait_for()
        assert not violations(page)
        for path in ("jobs/board", f"jobs/{number(item)}", f"jobs/{number(item)}/edit", "my-work"):
            page.goto(f"{base}/{path}")
            assert not violations(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.get_by_role("link", name="Long words of a job").click()
        page.get_by_role("button", name="Completed").click()
        page.get_by_text("The customer sees it.").wait_for()
    assert fresh(item).status_id == status_id(Role.COMPLETED)


def test_lines_are_put_into_order_by_handle_and_by_buttons_and_enter_saves(
    browser: "Browser", cast: Cast, sign_in: SignIn, make: Make
) -> None:
    quote = make("Offer", Role.DRAFT, kind=WorkKind.QUOTE)
    names = ["Router", "Labour", "Cable"]
    set_lines(quote, [LineGiven(name) for name in names], version=quote.version, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.olaf)
    address = f"http://{STAFF_HOST}/admin/quotes/{number(quote)}/lines"
    with answered_page(browser, client, address, viewport=PHONE) as page:
        assert not violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.set_viewport_size(WIDE)
        assert not violations(page)
        rows = page.locator(".jobs-row")
        rows.nth(2).locator("[data-handle]").drag_to(rows.nth(0).locator("[data-handle]"))
        page.wait_for_function("document.querySelector('.jobs-row input').value === 'Cable'")
        page.get_by_role("button", name="Move Labour up").click()
        assert page.locator("form[data-guard][data-dirty]").count() == 1, "leaving it like that warns"
        page.get_by_label("What").first.press("Enter")
        page.get_by_text("Saved.").wait_for()
    found = db.session.scalars(
        select(QuoteLine.description).where(QuoteLine.item_id == quote.id).order_by(QuoteLine.position)
    )
    assert list(found) == ["Cable", "Labour", "Router"]
