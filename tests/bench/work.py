"""Target 8: lists of jobs and their public statuses among many items, beside the same among few."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from flask import Flask

from portal import clock, create_app, events
from portal.accounts.actions import token_hash
from portal.accounts.models import Person, Session
from portal.accounts.rules import Role
from portal.database import read_only
from portal.jobs.models import WorkItem, WorkMove
from portal.jobs.queries import settings_of
from portal.jobs.rules import WorkKind
from tests.bench.figures import Result, at_most, run_rounds
from tests.bench.seed import HOST, insert_rows, open_sessions
from tests.support.product import Portal

FEW, MANY = 1_000, 100_000
COMPANIES = 1_000
COMPANY, THEIRS = 500, 60
"""The customer who looks, and how many jobs are theirs among few and among many alike."""

STAFF = 20
OPEN_SHARE = 0.1
"""Of a firm's jobs most are done: a tenth are open."""

ROUNDS, REPEATS = 11, 6
STAFF_HOST = "admin.portal.test"
STAFF_COOKIE = "bench-staff-session"

_WORDS = (
    *("router", "fibre", "line", "handset", "survey", "move", "replace", "install", "repair", "cable"),
    *("switch", "phone", "office", "floor", "desk", "camera", "alarm", "wifi", "cabinet", "socket"),
)

PAGES = (
    ("8a", "staff list of jobs", "/admin/jobs", True),
    ("8b", "one customer's list of jobs", "/jobs", False),
    ("8c", "staff list of all, sorted by company", "/admin/jobs?show=all&sort=company", True),
    ("8d", "staff list of all, searched by a word", "/admin/jobs?show=all&q=router", True),
    ("8e", "staff list, searched by a number", "/admin/jobs?show=all&q=J-777", True),
    ("8f", "board of jobs", "/admin/jobs/board", True),
)


def seed_work(count: int, now: datetime) -> None:
    """That many jobs of the companies there are, a tenth of them open, with their moves; and staff who do them."""
    pick = random.Random(17)  # noqa: S311  # the same work every time
    first = 1_000_000
    names = [f"staff{number}@bench.example" for number in range(STAFF)]
    people = (
        {
            "id": first + number,
            "name": f"Staff {number}",
            "email": name,
            "email_key": name,
            "role": Role.OFFICE,
            "created_at": now,
        }
        for number, name in enumerate(names)
    )
    insert_rows(Person, people)
    session = {
        "token_hash": token_hash(STAFF_COOKIE),
        "person_id": first,
        "company_id": None,
        "host": STAFF_HOST,
        "ip": "127.0.0.1",
        "user_agent": "bench",
        "created_at": now,
        "last_seen_at": now,
    }
    insert_rows(Session, [session])
    statuses = [row.id for row in settings_of(WorkKind.JOB).table.rows]
    items = [_item(number, statuses, first, pick, now) for number in range(1, count + 1)]
    insert_rows(WorkItem, items)
    insert_rows(WorkMove, _moves(items, statuses[0]))
    events.commit()


def _item(number: int, statuses: list[int], first: int, pick: random.Random, now: datetime) -> dict[str, Any]:
    requested, scheduled, going_on, on_hold, completed, *_rest = statuses
    is_open = pick.random() < OPEN_SHARE
    status = pick.choice([requested, scheduled, going_on, on_hold]) if is_open else completed
    at = now - timedelta(days=pick.randrange(1, 300), seconds=pick.randrange(86_000))
    starts = at + timedelta(days=pick.randrange(-20, 20)) if pick.random() < 0.8 else None
    title = " ".join(pick.choices(_WORDS, k=4))
    other = pick.randrange(1, COMPANIES)
    return {
        "id": number,
        "kind": WorkKind.JOB,
        "number": number,
        "company_id": COMPANY if number <= THEIRS else other + (other >= COMPANY),
        "site": f"{pick.randrange(1, 99)} High Street",
        "title": title,
        "title_key": title,
        "description": "The line in the back office has to be moved to the new rooms. " * 3,
        "starts_at": starts,
        "ends_at": starts and starts + timedelta(hours=2),
        "assignee_id": first + pick.randrange(STAFF) if pick.random() < 0.7 else None,
        "status_id": status,
        "status_since": at,
        "public_status_id": status,
        "public_since": at,
        "created_at": at - timedelta(days=1),
        "finished_at": None if is_open else at,
    }


def _moves(items: list[dict[str, Any]], requested: int) -> Iterator[dict[str, Any]]:
    for item in items:
        made = {"item_id": item["id"], "revision": 1, "by_name": "Bench", "told_name": "Told"}
        yield made | {"status_id": requested, "at": item["created_at"], "told_status_id": requested}
        if item["status_id"] != requested:
            yield made | {
                "status_id": item["status_id"],
                "at": item["status_since"],
                "told_status_id": item["status_id"],
            }


def measure(few: Portal, many: Portal) -> list[Result]:
    """The lines of the table. Both portals have the same companies, with FEW and with MANY jobs."""
    apps = {FEW: create_app(few.settings), MANY: create_app(many.settings)}
    cookies = {}
    for count, app in apps.items():
        with app.app_context():
            read_only.set(False)
            cookies[count] = open_sessions([COMPANY], 1, clock.utcnow())[COMPANY][0]
    results = []
    for target, what, path, is_staff in PAGES:
        contenders = {
            str(count): _request(
                app, path, STAFF_HOST if is_staff else HOST, STAFF_COOKIE if is_staff else cookies[count]
            )
            for count, app in apps.items()
        }
        for warm in contenders.values():
            warm()
        rounds = run_rounds(contenders, ROUNDS)
        ratio = rounds.ratio(str(MANY), str(FEW))
        among = {count: rounds.spread(str(count)).median * 1000 for count in apps}
        results.append(
            Result(
                target,
                f"{what} among {MANY:,}",
                f"its own time among {FEW:,}",
                "≤ 1.5 ×",
                ratio.shown(2),
                at_most(1.5, ratio),
                f"{among[MANY]:.1f} ms against {among[FEW]:.1f} ms",
            )
        )
    return results


def _request(app: Flask, path: str, host: str, cookie: str) -> Callable[[], float]:
    """Seconds for one request as the fastest of a few, rendered anew each time."""
    client = app.test_client(use_cookies=False)
    asked = {"Host": host, "Cookie": f"sid={cookie}"}

    def seconds() -> float:
        best = float("inf")
        for _ in range(REPEATS):
            began = time.perf_counter()
            answer = client.get(path, headers=asked)
            best = min(best, time.perf_counter() - began)
            assert answer.status_code == 200, answer.status
        return best

    return seconds
