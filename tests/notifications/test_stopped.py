"""A broadcast that stops by itself is told to the admins at once, by mail, and the telling never feeds on itself."""

from email import policy
from email.parser import BytesParser

import pytest
from sqlalchemy import select

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Person
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.channels.alarms import KIND
from portal.notifications.models import Broadcast, Suppression
from portal.notifications.rules import ACTIVE, BroadcastState
from tests.notifications.outbox import Outbox
from tests.support.processes import wait_until
from tests.support.smtp_sink import SmtpSink

ADMIN = "root@portal.test"
POLICY = "550 5.7.1 Blocked by policy"


@pytest.fixture
def admin(outbox: Outbox) -> Person:
    person = accounts.add_person("Root", ADMIN, role=Role.ADMIN, by=SYSTEM, now=outbox.now())
    events.commit()
    return person


def send(outbox: Outbox) -> None:
    """Send what is due and what is written down meanwhile, until every broadcast is over or stopped."""
    under_way = select(Broadcast.id).where(Broadcast.state.in_(ACTIVE)).limit(1)

    def is_over() -> bool:
        outbox.send()
        return db.session.scalar(under_way) is None

    wait_until(is_over, 60, "an end of all broadcasts")


def alarms() -> list[Broadcast]:
    db.session.expire_all()
    return list(db.session.scalars(select(Broadcast).where(Broadcast.kind == KIND).order_by(Broadcast.id)))


def test_r27_the_admins_are_mailed_at_once_when_a_broadcast_stops_by_itself(
    outbox: Outbox, smtp_sink: SmtpSink, admin: Person
) -> None:
    people = [{"address": f"person{index}@customers.test"} for index in range(60)]
    for each in people:
        smtp_sink.refuse(each["address"], POLICY)
    broadcast_id = outbox.queue("incident:1", people)
    send(outbox)
    assert outbox.broadcast(broadcast_id).state is BroadcastState.PAUSED
    (alarm,) = alarms()
    assert alarm.state is BroadcastState.DONE
    (mail,) = smtp_sink.received
    assert mail.recipients == (ADMIN,)
    message = BytesParser(policy=policy.default).parsebytes(mail.content)
    assert message["Subject"] == "[portal.test] Stopped by itself: SIP trunks: registration failures"
    plain = message.get_body(("plain",))
    assert plain is not None
    text = plain.get_content()
    assert "5.7.1 Blocked by policy" in text
    assert f"http://admin.portal.test/admin/broadcasts/{broadcast_id}" in text
    # Let go on and stopped once more, it is told once more; looked at without having gone on, it is not.
    send(outbox)
    assert len(smtp_sink.received) == 1
    actions.resume(outbox.broadcast(broadcast_id), by=SYSTEM, now=outbox.now())
    events.commit()
    send(outbox)
    assert [mail.recipients for mail in smtp_sink.received] == [(ADMIN,), (ADMIN,)]


def test_r27_an_alarm_that_is_refused_too_raises_no_other(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    for number in range(30):
        accounts.add_person(f"Root {number}", f"root{number}@portal.test", role=Role.ADMIN, by=SYSTEM, now=outbox.now())
    events.commit()
    smtp_sink.refuse("*", POLICY)
    broadcast_id = outbox.queue("incident:1", [{"address": f"person{index}@customers.test"} for index in range(60)])
    send(outbox)
    (alarm,) = alarms()
    assert outbox.broadcast(broadcast_id).state is BroadcastState.PAUSED
    assert alarm.state is BroadcastState.PAUSED, "refused thirty times, it stops like any other"
    assert smtp_sink.received == []
    assert db.session.scalar(select(Suppression.id)) is None
