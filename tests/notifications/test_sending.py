"""What arrives at a real SMTP server, and what the ledger says of it."""

from collections import Counter

from tests.notifications.outbox import Outbox
from tests.support.smtp_sink import SmtpSink


def test_every_recipient_gets_one_mail_and_the_broadcast_is_done(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    broadcast_id = outbox.queue("incident:1", 250)
    assert outbox.send() == 250
    assert Counter(smtp_sink.recipients().values()) == {1: 250}
    assert outbox.states() == {"sent": 250}
    broadcast = outbox.broadcast(broadcast_id)
    assert broadcast.state == "done"
    assert broadcast.finished_at is not None
    assert {each.answer for each in outbox.deliveries()} == {"2.0.0 Queued"}
