"""Target 12, ours: planned work and reports that reach ten thousand, and a month of as many holdings."""

import csv
import io
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import select

from portal import clock, create_app, events
from portal.accounts.models import Company
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component, Holding, Service, ServiceDependency
from portal.database import read_only
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.actions.maintenance import plan
from portal.incidents.models import IncidentUpdate
from portal.incidents.queries import notify_key
from portal.incidents.rules import State
from portal.incidents.rules.maintenance import Plan
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from tests.bench.figures import Result, at_most, run_rounds
from tests.bench.seed import HOST, insert_rows
from tests.bench.services import STAFF_COOKIE, STAFF_HOST, STAFF_ID, seed_staff
from tests.conftest import token_in
from tests.support.product import Portal

COMPANIES = 3_334
"""With three holdings each ten thousand of them."""

RECIPIENTS = (1_000, 10_000)
PEOPLE_EACH = 3
"""Of a company, in the ledger."""

ROUNDS, REPEATS = 7, 3
COMPANY = 500

Contenders = Mapping[str, Callable[[], float]]
"""`few` is the yardstick, `many` what is measured."""


def measure(portal: Portal) -> list[Result]:
    """The lines of the table, on a business of `COMPANIES`."""
    app = create_app(portal.settings)
    with app.app_context():
        read_only.set(False)
        seed_staff(clock.utcnow())
        few, many = _components()
        reports = [_told_report(count, clock.utcnow()) for count in RECIPIENTS]
        events.commit()
    pages = [_request(app, f"/admin/incidents/{number}/reach") for number in reports]
    return [
        _compared("12a", "preview of planned work on 10,000 holdings", _previews(app, few, many), 4),
        _compared("12b", "planning it, with its broadcast", _plans(app, few, many), 3),
        _changed(app),
        _ledger(app),
        _summaries(app),
        _compared(
            "12f",
            "reach ledger of 10,000 recipients",
            dict(zip(("few", "many"), pages, strict=True)),
            10,
            "the same of 1,000",
        ),
    ]


def _components() -> tuple[list[int], list[int]]:
    """A component that reaches few holdings, of those that reach any, and all of them."""
    every = list(db.session.scalars(select(Component.id).order_by(Component.id)))
    used = select(ServiceDependency.component_id).order_by(ServiceDependency.id).limit(1)
    return [db.session.scalars(used).one()], every


def _told_report(recipients: int, now: datetime) -> int:
    """The id of a report that so many were mailed."""
    made = incidents.publish(
        f"Reached {recipients}",
        State.INVESTIGATING,
        "Calls fail.",
        {},
        notify=False,
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=f"reached-{recipients}",
    )
    db.session.flush()
    update_id = db.session.scalars(select(IncidentUpdate.id).where(IncidentUpdate.incident_id == made.id)).one()
    broadcast = Broadcast(
        idempotency_key=notify_key(update_id),
        kind="incident",
        title=made.title,
        selector={},
        content={},
        thread_key=f"incident:{made.id}",
        topic="incidents",
        state=BroadcastState.DONE,
        expires_at=now + timedelta(days=3),
        created_at=now,
        expanded_at=now,
    )
    db.session.add(broadcast)
    db.session.flush()
    rows = (
        {
            "broadcast_id": broadcast.id,
            "dedupe_key": f"reach-{recipients}-{number}",
            "message_id": f"<reach-{recipients}-{number}@bench.example>",
            "address": f"reader{number}@bench.example",
            "address_key": f"reader{number}@bench.example",
            "company_id": number // PEOPLE_EACH + 1,
            "company_ids": [number // PEOPLE_EACH + 1],
            "state": DeliveryState.SENT if number % 10 else DeliveryState.FAILED,
            "next_attempt_at": now,
            "finished_at": now,
            "created_at": now,
        }
        for number in range(recipients)
    )
    insert_rows(Delivery, rows)
    return made.id


def _compared(
    target: str, what: str, contenders: Contenders, most: int, beside: str = "the same on one component"
) -> Result:
    for warm in contenders.values():
        warm()
    rounds = run_rounds(contenders, ROUNDS)
    ratio = rounds.ratio("many", "few")
    many, few = (rounds.spread(name).median * 1000 for name in ("many", "few"))
    shown = f"{many:.0f} ms against {few:.0f} ms"
    return Result(target, what, beside, f"≤ {most} ×", ratio.shown(2), at_most(most, ratio), shown)


def _fastest(act: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        act()
        best = min(best, time.perf_counter() - began)
    return best


def _request(app: Flask, path: str) -> Callable[[], float]:
    """Seconds for one request of somebody of the staff, as the fastest of a few."""
    client = app.test_client(use_cookies=False)
    asked = {"Host": STAFF_HOST, "Cookie": f"sid={STAFF_COOKIE}"}

    def ask() -> None:
        answer = client.get(path, headers=asked)
        assert answer.status_code == 200, answer.status
        assert answer.get_data()

    return lambda: _fastest(ask)


def _previews(app: Flask, few: list[int], many: list[int]) -> Contenders:
    """What staff are shown while they plan: whom it reaches, who is mailed and when, what else there is."""
    client = app.test_client()
    client.set_cookie("sid", STAFF_COOKIE, domain=STAFF_HOST)
    base = f"http://{STAFF_HOST}"
    token = token_in(client, f"{base}/admin/maintenances/new")
    begins = clock.utcnow() + timedelta(days=3)

    def ask(components: list[int]) -> Callable[[], float]:
        form = {
            "title": "New software",
            "body": "We update it.",
            "components": [str(each) for each in components],
            "starts_at": f"{begins:%Y-%m-%dT%H:%M}",
            "ends_at": f"{begins + timedelta(hours=1):%Y-%m-%dT%H:%M}",
            "zone": "UTC",
            "audience": "affected",
            "notify": "y",
        }
        headers = {"X-CSRFToken": token, "HX-Request": "true"}

        def act() -> None:
            answer = client.post(f"{base}/admin/maintenances/preview", data=form, headers=headers)
            assert answer.status_code == 200, answer.status

        return lambda: _fastest(act)

    return {"few": ask(few), "many": ask(many)}


def _plans(app: Flask, few: list[int], many: list[int]) -> Contenders:
    """Seconds of the whole transaction, which is taken back instead of being committed."""

    def act(components: list[int]) -> None:
        now = clock.utcnow()
        wanted = Plan(
            title="New software",
            body="We update it.",
            component_ids=frozenset(components),
            starts_at=now + timedelta(days=3),
            ends_at=now + timedelta(days=3, hours=1),
            zone="UTC",
            notify=True,
        )
        with app.app_context():
            read_only.set(False)
            plan(wanted, by=SYSTEM, author_id=STAFF_ID, now=now, idempotency_key=f"bench-{now.isoformat()}")
            db.session.flush()
            db.session.rollback()

    return {"few": lambda: _fastest(lambda: act(few)), "many": lambda: _fastest(lambda: act(many))}


def _changed(app: Flask) -> Result:
    """The public page with a change that was made just now, beside the same page as it is kept."""
    client = app.test_client(use_cookies=False)
    number = 0

    def ask() -> str:
        answer = client.get("/status", headers={"Host": HOST})
        assert answer.status_code == 200, answer.status
        return answer.get_data(as_text=True)

    def changed() -> float:
        nonlocal number
        number += 1
        told = f"Word number {number} of the bench"
        with app.app_context():
            read_only.set(False)
            incidents.publish(
                told,
                State.INVESTIGATING,
                "Calls fail.",
                {},
                notify=False,
                by=SYSTEM,
                author_id=None,
                now=clock.utcnow(),
                idempotency_key=told,
            )
            events.commit()
        began = time.perf_counter()
        while told not in ask():
            assert time.perf_counter() - began < 10, "the page never shows the change"
        return time.perf_counter() - began

    contenders: Contenders = {"kept": lambda: _fastest(ask), "changed": changed}
    for warm in contenders.values():
        warm()
    rounds = run_rounds(contenders, ROUNDS)
    seconds, ratio = rounds.spread("changed"), rounds.ratio("changed", "kept")
    return Result(
        "12c",
        "public page, from a change until it shows it",
        "the page as it is kept",
        "< 1 s",
        f"{seconds.median:.3f} s",
        seconds.most < 1,
        f"{ratio.median:.0f} times an answer that is kept, which takes {rounds.spread('kept').median * 1000:.2f} ms",
    )


def _ledger(app: Flask) -> Result:
    """The file of a month of all companies, beside reading the holdings and writing what they are called."""

    def written() -> None:
        with app.app_context():
            rows = db.session.execute(
                select(Company.name, Service.name, Holding.reference, Holding.valid_from)
                .join(Company, Company.id == Holding.company_id)
                .join(Service, Service.id == Holding.service_id)
                .order_by(Company.id)
            )
            csv.writer(io.StringIO()).writerows(rows)

    contenders = {
        "few": lambda: _fastest(written),
        "many": _request(app, "/admin/availability/month.csv"),
    }
    what = "CSV of a month of all 10,000 holdings"
    return _compared("12d", what, contenders, 30, "reading and writing their names alone")


def _summaries(app: Flask) -> Result:
    """The page of all companies, beside that of one."""
    contenders = {
        "few": _request(app, f"/admin/availability/companies/{COMPANY}"),
        "many": _request(app, "/admin/availability"),
    }
    what = "page of a month of all 3,334 companies"
    return _compared("12e", what, contenders, 5, "the page of one company")
