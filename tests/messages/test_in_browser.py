"""Writing with files in a real browser: each is sent as it is chosen, what is refused costs no text, axe agrees."""

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.files.models import StoredFile
from tests.conftest import Cast, SignIn
from tests.files.contents import png
from tests.story.conftest import violations
from tests.support.browser import answered_page
from tests.support.cases import make_known

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def _cases(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    make_known(monkeypatch, {1: cast.a.id})


@pytest.mark.usefixtures("_cases")
@pytest.mark.parametrize(
    ("who", "address"),
    [("alice", "http://a.portal.test/messages/case/C1"), ("olaf", "http://admin.portal.test/admin/messages/case/C1")],
)
def test_a_message_with_a_photo_is_written_with_one_thumb(
    browser: "Browser", cast: Cast, sign_in: SignIn, who: str, address: str
) -> None:
    client = sign_in(getattr(cast, who))
    with answered_page(browser, client, address, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        assert violations(page) == []
        page.fill("#body", "It looks like this.")
        camera = page.locator("input[capture]")
        assert camera.is_visible()
        camera.set_input_files({"name": "door.png", "mimeType": "image/png", "buffer": png(900, 900)})
        page.get_by_role("button", name="Remove door.png").wait_for()
        page.locator("input[multiple]").set_input_files(
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Second floor"}
        )
        page.get_by_role("button", name="Remove notes.txt").tap()
        page.get_by_text("notes.txt").wait_for(state="detached")
        assert page.input_value("#body") == "It looks like this."
        page.get_by_role("button", name="Send").first.tap()
        page.locator(".message-sent:focus").wait_for()
        page.locator(".file-picture").wait_for()
        assert page.input_value("#body") == ""
        assert page.locator("[data-upload-done]").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert violations(page) == []
    sent = db.session.scalars(select(StoredFile).order_by(StoredFile.id)).all()
    assert [(each.name, each.linked_at is not None, each.deleted_at is not None) for each in sent] == [
        ("door.png", True, False),
        ("notes.txt", False, True),
    ]
