"""The lane of channels under test: a kind that tells them, channels that lead to a receiver, and a clock that jumps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Any, TypeVar

from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.database import Base
from portal.extensions import db
from portal.notifications import kinds
from portal.notifications.actions import queue_broadcast
from portal.notifications.channels import lane as rows
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.channels.sending import ChannelSender
from portal.notifications.kinds import Cursor, Kind, Listener, Recipient, Told
from portal.notifications.models import Broadcast, ContactChannel, Delivery
from tests.notifications.outbox import Outbox
from tests.support.receiver import Receiver

CONTENT = {
    "en": {
        "subject": "SIP trunks: registration failures",
        "text": "Calls fail.",
        "html": "<p>Calls fail.</p>",
        "brief": "{{brand}}: calls through {{service}} fail",
        "post": "SIP trunks\n\nCalls through {{service}} fail. <!channel> *now*",
    }
}


def _nobody(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    return [], None


def _tell(selector: dict[str, Any], listeners: Sequence[Listener], now: datetime) -> Mapping[int, Told]:
    return {
        each.id: Told(
            each.company_ids,
            {"service": "Hosted telephony"},
            "/incidents/abc",
            "incident.identified",
            {"incident": {"id": "abc", "title": "SIP trunks: Störung"}},
            frozenset({"service:1"}),
        )
        for each in listeners
    }


LANE_KIND = kinds.register(
    Kind(
        name="lane-test",
        topic="incidents",
        label="Service status",
        recipients=_nobody,
        expires_after=timedelta(hours=24),
        tell=_tell,
    )
)


Row = TypeVar("Row", bound=Base)


def _detached(row: Row) -> Row:
    """The row as it stood, with no transaction left open: one that may write keeps everybody else from writing."""
    db.session.expunge(row)
    db.session.rollback()
    return row


@dataclass
class Lane:
    """An outbox with channels. What is sent goes to `receiver`."""

    outbox: Outbox
    receiver: Receiver
    began: datetime = field(default_factory=clock.utcnow)

    def now(self) -> datetime:
        """A clock that stands still, so that a loaded machine does not bring anything nearer."""
        return self.began + self.outbox.ahead

    def company(self, name: str = "Alder Dental") -> int:
        company = accounts.add_company(name, by=SYSTEM, now=self.now())
        company_id = company.id
        events.commit()
        return company_id

    def channel(
        self,
        kind: ChannelKind = ChannelKind.WEBHOOK,
        address: str | None = None,
        company_id: int | None = None,
        label: str = "Their monitoring",
    ) -> tuple[int, str]:
        """A channel of a company (a new one, unless it is given); its id, and the secret of a webhook."""
        channel, secret = add_channel(
            kind,
            label,
            address or self.receiver.url(),
            ["incidents"],
            company_id=company_id or self.company(f"Company of {label}"),
            by=SYSTEM,
            now=self.now(),
        )
        channel_id = channel.id
        events.commit()
        return channel_id, secret or ""

    def staff(self, path: str) -> tuple[int, str]:
        """A webhook of the staff, for alarms."""
        channel, secret = add_channel(
            ChannelKind.WEBHOOK, "Our own", self.receiver.url(path), [], by=SYSTEM, now=self.now()
        )
        channel_id = channel.id
        events.commit()
        return channel_id, secret or ""

    def queue(self, key: str, kind: str = "lane-test") -> int:
        broadcast = queue_broadcast(
            kind,
            idempotency_key=key,
            title="SIP trunks: registration failures",
            selector={},
            content=CONTENT,
            thread_key="thread",
            by_person_id=None,
            now=self.now(),
        )
        broadcast_id = broadcast.id
        events.commit()
        return broadcast_id

    def sender(self, stop: Event | None = None) -> ChannelSender:
        return ChannelSender(self.outbox.app, now=self.now, stop=stop or Event(), soon=timedelta(0))

    def send(self) -> int:
        """Send what is due now, without waiting for what is due soon."""
        db.session.rollback()
        return self.sender().run()

    def expire_leases(self) -> None:
        """What a process that died has held is free again, as if its lease had run out."""
        rows.let_go_of_everything(self.now())
        events.commit()

    def later(self, wait: timedelta) -> None:
        """Let time pass."""
        self.outbox.ahead += wait

    def delivery(self, channel_id: int, broadcast_id: int | None = None) -> Delivery:
        db.session.rollback()
        statement = select(Delivery).where(Delivery.contact_channel_id == channel_id)
        if broadcast_id is not None:
            statement = statement.where(Delivery.broadcast_id == broadcast_id)
        return _detached(db.session.scalars(statement.execution_options(populate_existing=True)).one())

    def stored(self, channel_id: int) -> ContactChannel:
        db.session.rollback()
        return _detached(db.session.get_one(ContactChannel, channel_id, populate_existing=True))

    def broadcast(self, broadcast_id: int) -> Broadcast:
        db.session.rollback()
        return db.session.get_one(Broadcast, broadcast_id, populate_existing=True)
