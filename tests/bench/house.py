"""Targets 6 and 10 and the story of 5: the whole product started, seen by a browser, watched by a thousand pages."""

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.catalogue.queries import company_reached_select
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, Severity, State
from portal.jobs import actions as jobs
from portal.jobs.rules import WorkKind
from portal.live import REPLAY
from tests.bench.figures import Result, Spread, at_most
from tests.bench.machine import MissingError, free_port, pss
from tests.bench.seed import HOST, open_sessions
from tests.support.product import Portal

PAGES, COMPANIES = 1_000, 100
PUBLISHES = 3
STARTS = 3
IDLE = 12
"""Seconds the house is left alone before its memory is read."""

HERE = Path(__file__).parent


def measure_start(portal: Portal) -> list[Result]:
    """Target 10: seconds from `portal up` to the first page, and the memory of everything it started."""
    seconds = []
    memory = 0.0
    for number in range(STARTS):
        began = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in portal.command()],
            env=dict(portal.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _first_answer(portal.port)
            seconds.append(time.monotonic() - began)
            if number == STARTS - 1:
                time.sleep(IDLE)
                memory = pss(process.pid) / 1024
        finally:
            process.terminate()
            process.wait(40)
    spread = Spread.of(seconds)
    return [
        Result("10a", "portal up to the first page", "–", "< 3 s", f"{spread.shown(2)} s", spread.median < 3),
        Result("10b", "memory of the whole set, idle", "–", "< 350 MB", f"{memory:.0f} MB", memory < 350, "PSS"),
    ]


def measure_story(portal: Portal, folder: Path) -> Result:
    """Target 5: from publish until every one of a thousand pages has its banner."""
    with portal.database():
        component = db.session.scalars(db.select(Component.id).order_by(Component.id)).first()
        assert component is not None
        reached = list(db.session.scalars(company_reached_select([component], clock.utcnow()).limit(COMPANIES)))
        assert len(reached) == COMPANIES
        cookies = open_sessions(reached, PAGES // COMPANIES, clock.utcnow())
    sessions = folder / "sessions"
    sessions.write_text("\n".join(cookie for found in cookies.values() for cookie in found))
    seconds = []
    with portal.database():
        for number in range(PUBLISHES):
            title = f"Bench fault {number} {free_port()}"
            with _pages(portal, sessions, title) as pages:
                assert pages.stdout
                assert pages.stdout.readline().split() == ["ready", str(PAGES)]
                time.sleep(1)
                began = time.monotonic()
                incidents.publish(
                    title,
                    State.INVESTIGATING,
                    "Calls fail.",
                    {component: Severity.MAJOR_OUTAGE},
                    audience=Audience.AFFECTED,
                    notify=False,
                    by=SYSTEM,
                    author_id=None,
                    now=clock.utcnow(),
                    idempotency_key=title,
                )
                events.commit()
                told = pages.stdout.readline().split()
                if told[:1] != ["done"]:
                    raise RuntimeError(f"not every page has its banner: {told}")
                seconds.append(float(told[1]) - began)
    spread = Spread.of(seconds)
    what = f"{PAGES:,} pages of {COMPANIES} companies: publish, bell, banner"
    return Result("5c", what, "–", "< 2 s", f"{spread.shown(2)} s", at_most(2, spread), "to the last page")


@contextlib.contextmanager
def _pages(portal: Portal, sessions: Path, title: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(HERE / "open_pages.py"), str(portal.port), HOST, str(sessions), title]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def measure_first_render(portal: Portal) -> list[Result]:
    """Target 6: the signed-in home, with services, a job and a quote, in a browser that was never here."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  # only this target needs a browser

        from tests.support.browser import chromium  # noqa: PLC0415
    except ImportError as error:
        raise MissingError(f"playwright is not installed ({error})") from error
    with portal.database():
        now = clock.utcnow()
        cookie = open_sessions([1], 1, now)[1][0]
        for kind in WorkKind:
            jobs.create_item(kind, "Move the router", company_id=1, by=SYSTEM, now=now)
        events.commit()
    # Until the hub repeats those bells no more: a part that asks again because of them is no first render.
    time.sleep(REPLAY + 1)
    requests: list[str] = []
    sizes: list[float] = []
    options = chromium()
    options["args"] = [*options.get("args", []), f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**options)
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.add_cookies([{"name": "sid", "value": cookie, "domain": HOST, "path": "/"}])
        page = context.new_page()
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.requestWillBeSent", lambda told: requests.append(told["request"]["url"]))
        wire.on("Network.responseReceived", lambda told: sizes.append(told["response"]["encodedDataLength"]))
        wire.on("Network.dataReceived", lambda told: sizes.append(told["encodedDataLength"]))
        page.add_init_script(SHIFTS)
        page.goto(f"http://{HOST}:{portal.port}/")
        page.wait_for_timeout(3_000)
        shift = float(page.evaluate("window.shifts"))
        browser.close()
    count, kilobytes = len(requests), sum(sizes) / 1000
    paths = ", ".join(sorted(url.split("?")[0].split("/", 3)[3] or "/" for url in requests))
    return [
        Result("6a", "first render signed in, requests", "–", "≤ 8", str(count), count <= 8, paths),
        Result("6b", "first render signed in, on the wire", "–", "≤ 70 KB", f"{kilobytes:.1f} KB", kilobytes <= 70),
        Result("6c", "first render signed in, layout shift", "–", "0", f"{shift:.4f}", shift == 0),
    ]


SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def _first_answer(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/status", headers={"Host": HOST})
            answer: Any = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status == 200:
                return
        time.sleep(0.02)
    raise TimeoutError("the portal does not answer")
