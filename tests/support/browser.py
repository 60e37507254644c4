"""Debian's Chromium, as Playwright takes it, and pages that are answered by the test itself."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

UNTRUSTED = "The Cross-Origin-Opener-Policy header has been ignored"
"""What Chromium says of every page that comes by plain HTTP from a name that is not localhost."""

QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Every host of the tests is this machine, whatever its name.
    "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.localhost 127.0.0.1",
]


def chromium() -> dict[str, Any]:
    """Arguments for `playwright.chromium.launch`: headless, and without the calls home it makes at start."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "Chromium is not installed; `make test` installs it"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": found, "headless": True, "args": [*sandbox, *QUIET]}


@contextmanager
def answered_page(
    browser: "Browser", client: FlaskClient, address: str, *, refused: int = 0, **options: Any
) -> "Iterator[Page]":
    """A page at this address in a context with these options, whose requests the client answers.

    So it lives in the test's own transaction; no hub runs, so its stream says nothing. It ends with the block, however
    that ends: a page that stayed would go on asking in other tests, or on connections nobody closes. Fails on
    anything the console complained of, but for answers with the status `refused`, which are to come.
    """
    complaints: list[str] = []
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.route("**/*", lambda route: _answer(route, client))
        page.route("**/live?*", lambda route: route.fulfill(status=204))
        page.goto(address)
        yield page
    known = f"status of {refused} "
    assert [text for text in complaints if not text.startswith(UNTRUSTED) and known not in text] == []


def _answer(route: "Route", client: FlaskClient) -> None:
    request = route.request
    address = urlsplit(request.url)
    headers = {name: value for name, value in request.headers.items() if name not in {"cookie", "accept-encoding"}}
    response = client.open(
        f"{address.path}?{address.query}", method=request.method, data=request.post_data_buffer, headers=headers
    )
    route.fulfill(status=response.status_code, headers=dict(response.headers), body=response.data)
