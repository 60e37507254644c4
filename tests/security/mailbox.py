"""The letters about accounts as their readers get them, composed from the outbox of the test's own transaction."""

import re
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import NamedTuple

from sqlalchemy import select

from portal import clock
from portal.extensions import db
from portal.notifications.account_mails import write_account_mails
from portal.notifications.compose import Letter, Wording, envelope_address
from portal.notifications.kinds import ACCOUNT_TOPIC, BUILT_IN, kind_named
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import DeliveryState


class Mail(NamedTuple):
    """One letter: to whom, its subject, its plain text, and the address its link leads to, "" without one."""

    to: str
    subject: str
    text: str
    message: EmailMessage
    broadcast: Broadcast

    @property
    def link(self) -> str:
        found = re.search(r"^https?://\S+/(?:reset|invitation|email)/\S+$", self.text, re.MULTILINE)
        return found.group() if found else ""

    @property
    def path(self) -> str:
        return "/" + self.link.split("/", 3)[3]


def as_sent(delivery: Delivery, broadcast: Broadcast, now: datetime) -> EmailMessage:
    """A mail as it goes out, read again as its reader's program reads it. ValueError where it must not go any more."""
    kind = kind_named(broadcast.kind)
    wording = Wording(
        broadcast.content[delivery.wording],
        BUILT_IN | kind.variables,
        mail_from="status@portal.test",
        list_name="",
        list_id="",
        feedback_id="x",
    )
    late = kind.late_values(delivery.values, now) if kind.late_values else {}
    address = envelope_address(delivery.address)
    letter = Letter(delivery.message_id, "<root@portal.test>", address, delivery.name, now, {**delivery.values, **late})
    message = BytesParser(policy=policy.default).parsebytes(wording.fill(letter))
    assert isinstance(message, EmailMessage)
    return message


def mails(now: datetime | None = None) -> list[Mail]:
    """What has been written since this was last asked, oldest first; it counts as sent.

    A letter whose link is dead by now is not sent, as in service.
    """
    now = now or clock.utcnow()
    while write_account_mails(now):
        pass
    rows = db.session.execute(
        select(Delivery, Broadcast)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Broadcast.topic == ACCOUNT_TOPIC, Delivery.state == DeliveryState.PENDING)
        .order_by(Delivery.id)
    ).all()
    found = []
    for delivery, broadcast in rows:
        try:
            message = as_sent(delivery, broadcast, now)
        except ValueError:
            delivery.state = DeliveryState.FAILED
            continue
        plain = message.get_body(("plain",))
        assert plain is not None
        found.append(
            Mail(
                delivery.address, str(message["Subject"]), plain.get_content().replace("\r\n", "\n"), message, broadcast
            )
        )
        delivery.state = DeliveryState.SENT
    db.session.commit()
    return found


def one_mail(now: datetime | None = None) -> Mail:
    """The one letter that was written."""
    (found,) = mails(now)
    return found
