"""Debian's Chromium, as Playwright takes it."""

import os
import shutil
from typing import Any

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
