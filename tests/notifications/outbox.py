"""A kind of broadcast for tests, and an installation's outbox on a database and a relay of its own."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import clock, create_app, events
from portal.config import Settings
from portal.database import read_only
from portal.extensions import db
from portal.notifications import actions, kinds
from portal.notifications.kinds import Content, Cursor, Kind, Recipient
from portal.notifications.models import Broadcast, Delivery, Relay
from portal.notifications.rules import DeliveryState
from portal.notifications.sending import Sender
from portal.notifications.smtp import Route
from tests.support.databases import give_tables

CONTENT: Content = {
    "en": {
        "subject": "SIP trunks: registration failures",
        "text": "Hello {{name}},\n\ncalls through {{service}} fail.\n\nYour list: {{unsubscribe_url}}\n",
        "html": "<p>Hello {{name}},</p><p>calls through <b>{{service}}</b> fail.</p>"
        '<p><a href="{{unsubscribe_url}}">Your list</a></p>',
    },
    "de": {
        "subject": "SIP-Trunks: Registrierung gestört",
        "text": "Guten Tag {{name}},\n\nAnrufe über {{service}} schlagen fehl.\n",
        "html": "<p>Guten Tag {{name}},</p><p>Anrufe über <b>{{service}}</b> schlagen fehl.</p>",
    },
}

CLOSED: set[int] = set()
"""Companies whose area is closed for the test kind."""


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The recipients the selector lists as dicts, or `count` made-up ones."""
    start = after["at"] if after else 0
    listed = selector.get("recipients")
    total = len(listed) if listed is not None else selector["count"]
    end = min(start + limit, total)
    found = [
        Recipient(**{**_PLAIN, **(listed[index] if listed is not None else _made_up(index))})
        for index in range(start, end)
    ]
    return found, {"at": end} if end < total else None


_PLAIN: dict[str, Any] = {
    "person_id": None,
    "company_ids": (),
    "name": "",
    "language": "en",
    "values": {"service": "Hosted telephony"},
}


def _made_up(index: int) -> dict[str, Any]:
    return {"address": f"person{index}@customers.test", "name": f"Person {index}", "priority": 0 if index % 3 else 10}


def allowed(company_ids: Collection[int]) -> frozenset[int]:
    return frozenset(company_ids) - CLOSED


TEST_KIND = kinds.register(
    Kind(
        name="test",
        topic="incidents",
        label="Service status",
        recipients=recipients,
        allowed=allowed,
        variables=frozenset({"service"}),
        expires_after=timedelta(hours=24),
    )
)


def known(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> Kind:
    """Make a kind known until the end of this test: the registry is the process's, and pages list what is in it."""
    monkeypatch.setitem(kinds._kinds, kind.name, kind)
    return kind


def queue(
    key: str,
    people: int | Iterable[dict[str, Any]],
    *,
    now: datetime,
    content: Content = CONTENT,
    kind: str = "test",
) -> Broadcast:
    """Queue a broadcast to so many made-up people, or to these, in the current transaction."""
    selector: dict[str, Any] = {"count": people} if isinstance(people, int) else {"recipients": list(people)}
    return actions.queue_broadcast(
        kind,
        idempotency_key=key,
        title="SIP trunks: registration failures",
        selector=selector,
        content=content,
        thread_key=f"thread-{key.split(':', maxsplit=1)[0]}",
        by_person_id=None,
        now=now,
    )


def relay_to(url: str, name: str, **more: Any) -> Relay:
    """Another relay, of no profile: the server this `smtp://` address leads to. For the caller to add."""
    route = Route.of(url)
    return Relay(name=name, host=route.host, port=route.port, **more)


def states(broadcast_id: int | None = None) -> dict[str, int]:
    """How many deliveries are in each state."""
    statement = select(Delivery.state, func.count()).group_by(Delivery.state)
    if broadcast_id is not None:
        statement = statement.where(Delivery.broadcast_id == broadcast_id)
    return {state.value: count for state, count in db.session.execute(statement)}


@dataclass
class Outbox:
    """An app on a database of its own whose relay is the sink. Its clock runs, `ahead` of the real one."""

    app: Flask
    settings: Settings
    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return clock.utcnow() + self.ahead

    def queue(self, key: str, people: int | Iterable[dict[str, Any]], **options: Any) -> int:
        """Queue, write every recipient down and commit; returns the id."""
        broadcast_id = queue(key, people, now=self.now(), **options).id
        events.commit()
        while actions.expand_step(broadcast_id, self.now()):
            events.commit()
        events.commit()
        return broadcast_id

    def send(self, **options: Any) -> int:
        """Send everything that is due; returns how many mails were taken."""
        sender = Sender(self.settings, now=self.now, stop=options.pop("stop", Event()), **options)
        return sender.run()

    def states(self) -> dict[str, int]:
        found = states()
        db.session.rollback()
        return found

    def deliveries(self) -> Sequence[Delivery]:
        db.session.rollback()
        return db.session.scalars(select(Delivery).order_by(Delivery.id)).all()

    def delivery(self, address: str) -> Delivery:
        db.session.rollback()
        return db.session.scalars(select(Delivery).where(Delivery.address == address)).one()

    def broadcast(self, broadcast_id: int) -> Broadcast:
        db.session.rollback()
        return db.session.get_one(Broadcast, broadcast_id)


OPEN = {DeliveryState.PENDING, DeliveryState.SENDING}


@contextmanager
def opened(environment: dict[str, str]) -> Iterator[Outbox]:
    """An outbox on the database of this environment, in an app context that may write."""
    settings = Settings.from_environment(environment)
    give_tables(settings.database_url)
    app = create_app(settings)
    with app.app_context():
        read_only.set(False)
        try:
            yield Outbox(app, settings)
        finally:
            CLOSED.clear()
            db.session.remove()
            db.engine.dispose()
