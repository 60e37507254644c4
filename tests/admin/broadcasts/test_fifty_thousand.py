"""Fifty thousand recipients: the pages ask as many queries as with a handful, and no step holds more than its piece."""

import time
import tracemalloc
from collections.abc import Mapping
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import JSON, ColumnElement, String, case, insert, literal, select

from portal.accounts.models import Membership, Person
from portal.audit.rules import SYSTEM
from portal.catalogue.notices import actions, mails, queries
from portal.catalogue.notices.rules import Chosen
from portal.database import UTCDateTime
from portal.extensions import db
from portal.notifications.actions import WRITTEN_PER_STEP, expand_step
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState
from tests.conftest import NOW, Cast, SignIn, counted_queries
from tests.notifications.outbox import queue

MANY = 50_000

CPU_SECONDS = 5.0
"""What a page may cost at most; it takes a tenth of it here, and the machine of the tests may be busy."""


def numbers() -> Any:
    """The numbers from 0 up to fifty thousand, made by the database."""
    first = select(literal(0).label("n")).cte(recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < MANY - 1))


def fill(table: Any, values: Mapping[str, Any]) -> None:
    """One row a number, all by one statement: made one by one they would cost more than what is measured."""
    named = {name: value if isinstance(value, ColumnElement) else literal(value) for name, value in values.items()}
    columns = [_as_column(value, table.__table__.c[name].type) for name, value in named.items()]
    rows = insert(table).from_select(list(named), select(*columns), include_defaults=False)
    db.session.execute(rows)


def _as_column(value: Any, kind: Any) -> Any:
    """The value with the type of its column; PostgreSQL takes no text for JSON without being told."""
    if isinstance(kind, JSON):
        return value.cast(JSON) if db.engine.dialect.name == "postgresql" else value
    return literal(value.value, kind) if isinstance(kind, UTCDateTime) else value


def add_people(cast: Cast) -> None:
    """So many more people of company A, as an import would have brought them."""
    n = numbers().c.n.cast(String)
    address = literal("r") + n + "@many.test"
    fill(
        Person,
        {
            "name": literal("Reader ") + n,
            "name_key": literal("reader ") + n,
            "email": address,
            "email_key": address,
            "language": "en",
            "time_zone": "UTC",
            "password_stamp": 0,
            "version": 1,
            "created_at": NOW,
        },
    )
    mine = select(Person.id, literal(cast.a.id), Person.created_at).where(Person.email_key.like("r%@many.test"))
    db.session.execute(insert(Membership).from_select(["person_id", "company_id", "created_at"], mine))
    db.session.commit()


def add_deliveries(broadcast: Broadcast) -> None:
    """So many deliveries: of a hundred one failed, of ten one waits or was put off, the others are sent."""
    number = numbers().c.n
    n = number.cast(String)
    address = literal("d") + n + "@many.test"
    state = case((number % 100 == 0, "failed"), (number % 10 == 9, "pending"), else_="sent")
    fill(
        Delivery,
        {
            "broadcast_id": broadcast.id,
            "dedupe_key": literal("many-") + n,
            "message_id": literal("<many-") + n + "@portal.test>",
            "channel": "mail",
            "address": address,
            "address_key": address,
            "name": literal("Reader ") + n,
            "company_ids": literal("[]", String()),
            "wording": "en",
            "values": literal("{}", String()),
            "priority": 50,
            "state": state,
            "attempts": case((number % 20 == 9, 1), else_=0),
            "in_doubt": 0,
            "next_attempt_at": NOW,
            "finished_at": NOW,
            "answer": literal("250 Queued as ") + n,
            "created_at": NOW,
        },
    )
    db.session.commit()


def cost(client: FlaskClient, path: str) -> tuple[int, float, int]:
    """Queries, seconds of this process, and bytes of an answer."""
    began = time.process_time()
    with counted_queries() as statements:
        answer = client.get(path)
    assert answer.status_code == 200
    return len(statements), time.process_time() - began, len(answer.data)


def test_the_progress_page_costs_what_it_costs_for_a_few(sign_in: SignIn, cast: Cast) -> None:
    client = sign_in(cast.ada)
    few = queue("few:1", 60, now=NOW)
    many = queue("many:1", 1, now=NOW)
    many.state = BroadcastState.SENDING
    db.session.commit()
    add_deliveries(many)
    for path in ("", "/progress", "?q=.test"):
        small = cost(client, f"/admin/broadcasts/{few.id}{path}")
        large = cost(client, f"/admin/broadcasts/{many.id}{path}")
        assert large[0] <= small[0], path
        assert large[1] < CPU_SECONDS, path
        assert large[2] < 2 * small[2] + 20_000, path
    for path in ("?page=1000", "?show=failed&q=reader%2049", "?q=nobody"):
        assert cost(client, f"/admin/broadcasts/{many.id}{path}")[1] < CPU_SECONDS, path
    page = client.get(f"/admin/broadcasts/{many.id}/progress").get_data(as_text=True)
    figures = queries_figures(page)
    assert sum(figures.values()) == MANY + 1
    assert figures["failed"] == MANY // 100
    assert client.get("/admin/broadcasts").status_code == 200


def queries_figures(page: str) -> dict[str, int]:
    parts = page.split('progress-number">')[1:]
    return {part.split("</span> ")[1].split("<")[0].strip(): int(part.split("<")[0].replace(",", "")) for part in parts}


def test_a_notice_to_fifty_thousand_is_counted_and_expanded_a_piece_at_a_time(sign_in: SignIn, cast: Cast) -> None:
    client = sign_in(cast.ada)
    words = {"en": {"subject": "News", "body": "Dear {{name}}, {{services}}"}}
    notice = actions.write(words, Chosen(everyone=True), by=SYSTEM, author_id=None, now=NOW)
    db.session.commit()
    path = f"/admin/broadcasts/notices/{notice.id}"
    few = cost(client, path)
    add_people(cast)
    newest = db.session.scalars(select(db.func.max(Person.id))).one()
    large = cost(client, path)
    assert large[0] == few[0]
    assert large[1] < CPU_SECONDS
    assert abs(large[2] - few[2]) < 5_000
    assert queries.reach_of(notice.to, NOW).people == MANY + 3
    began = time.process_time()
    broadcast = actions.send(notice, version=notice.version, by=SYSTEM, now=NOW)
    assert time.process_time() - began < CPU_SECONDS
    # Nothing is written with the change itself; each step writes its piece, and holds no more at the end than before.
    assert db.session.scalar(select(db.func.count(Delivery.id))) == 0
    peaks = []
    for _ in range(3):
        tracemalloc.start()
        assert expand_step(broadcast.id, NOW)
        db.session.commit()
        db.session.expire_all()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        # On to the far end: what comes last must cost what came first.
        db.session.get_one(Broadcast, broadcast.id).expand_cursor = {
            "person_id": newest - MANY + MANY // 2 * len(peaks) - 5_000
        }
        db.session.commit()
    assert peaks[-1] < 2 * peaks[0] + 1_000_000
    assert db.session.scalar(select(db.func.count(Delivery.id))) == 3 * WRITTEN_PER_STEP
    selector = {**Chosen(everyone=True).stored(), "at": NOW.isoformat(), "variables": []}
    last, cursor = mails.recipients(selector, {"person_id": newest - 10}, 500, NOW)
    assert cursor is None
    assert len(last) < 500
