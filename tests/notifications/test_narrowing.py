"""Telling fewer than were to be told, while mails are written down, claimed, offered, put off and tried again."""

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from portal import events
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.database import read_only
from portal.extensions import db
from portal.notifications import actions, leases
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import CALLED_OFF, BroadcastState, DeliveryState
from tests.notifications.outbox import Outbox
from tests.support.smtp_sink import At, SmtpSink, Step

OTHERS = 10


def some(count: int, *, priority: int = 0) -> list[dict[str, Any]]:
    return [{"address": f"p{priority}-{each}@x.test", "priority": priority} for each in range(count)]


def first_ring(selector: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    return {"recipients": [each for each in selector["recipients"] if each["priority"] < OTHERS]}, 0


def locked(broadcast_id: int) -> Broadcast:
    return db.session.scalars(
        select(Broadcast)
        .where(Broadcast.id == broadcast_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def narrow(outbox: Outbox, broadcast_id: int) -> int:
    count = actions.narrow([locked(broadcast_id)], first_ring, by=SYSTEM, now=outbox.now())
    events.commit()
    return count


def send_in_thread(outbox: Outbox) -> None:
    with outbox.app.app_context():
        read_only.set(False)
        outbox.send()


def test_what_waits_for_others_is_called_off_and_the_rest_goes_out(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    broadcast_id = outbox.queue("incident:1", [*some(3), *some(4, priority=OTHERS)])
    assert narrow(outbox, broadcast_id) == 4
    assert narrow(outbox, broadcast_id) == 0, "again it changes nothing"
    (entry,) = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "broadcast.narrow")).all()
    assert (entry.object_id, entry.after) == (broadcast_id, {"mails": 4})
    assert outbox.send() == 3
    assert set(smtp_sink.recipients()) == {each["address"] for each in some(3)}
    assert outbox.states() == {"sent": 3, "cancelled": 4}
    assert {each.answer for each in outbox.deliveries() if each.state is DeliveryState.CANCELLED} == {CALLED_OFF}
    assert outbox.broadcast(broadcast_id).state is BroadcastState.DONE


def test_what_is_not_written_down_yet_is_looked_for_anew(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what a worker has worked out a moment before, and was to write down now."""
    monkeypatch.setattr("portal.notifications.actions.queueing.WRITTEN_AT_ONCE", 0)
    monkeypatch.setattr("portal.notifications.actions.queueing.WRITTEN_PER_STEP", 2)
    people = [*some(1), *some(3, priority=OTHERS), *[{"address": "late@x.test", "priority": 0}]]
    broadcast_id = actions.queue_broadcast(
        "test",
        idempotency_key="one",
        title="Calls fail",
        selector={"recipients": people},
        content={"en": {"subject": "Calls fail", "text": "{{service}}", "html": "{{service}}"}},
        thread_key="one",
        by_person_id=None,
        now=outbox.now(),
    ).id
    events.commit()
    step = actions.next_step(broadcast_id, outbox.now())
    assert step is not None
    events.rollback()
    assert len(step.rows) == 2
    assert narrow(outbox, broadcast_id) == 0
    assert actions.write_step(step, outbox.now()), "there is more: all of it, anew"
    events.commit()
    while actions.expand_step(broadcast_id, outbox.now()):
        events.commit()
    events.commit()
    assert [each.address for each in outbox.deliveries()] == ["p0-0@x.test", "late@x.test"]


def test_it_takes_effect_while_mails_are_going_out(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.script("*", Step(At.DOT, seconds=0.02))
    broadcast_id = outbox.queue("incident:1", [*some(30), *some(600, priority=OTHERS)])
    sending = threading.Thread(target=send_in_thread, args=(outbox,))
    sending.start()
    smtp_sink.wait_for(60)
    called_off = narrow(outbox, broadcast_id)
    sending.join(20)
    assert not sending.is_alive()
    assert called_off > 400
    assert outbox.states() == {"sent": len(smtp_sink.received), "cancelled": 630 - len(smtp_sink.received)}
    # What servers were offered at that moment is all that went out besides.
    assert 0 <= 630 - len(smtp_sink.received) - called_off <= 8
    assert {each["address"] for each in some(30)} <= set(smtp_sink.recipients())


def test_what_was_offered_at_that_moment_goes_no_more_if_it_comes_back(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    other = some(1, priority=OTHERS)[0]["address"]
    smtp_sink.script(other, Step(At.DOT, reply="451 4.7.1 Come back later", seconds=0.5, times=1))
    broadcast_id = outbox.queue("incident:1", [*some(1), *some(1, priority=OTHERS)])
    sending = threading.Thread(target=send_in_thread, args=(outbox,))
    sending.start()
    smtp_sink.wait_for(1)
    threading.Event().wait(0.25)
    assert narrow(outbox, broadcast_id) == 0, "a server has it"
    sending.join(20)
    outbox.ahead = timedelta(hours=2)
    assert outbox.send() == 0
    assert set(smtp_sink.recipients()) == {"p0-0@x.test"}
    found = outbox.delivery(other)
    assert (found.state, found.answer) == (DeliveryState.CANCELLED, CALLED_OFF)


def test_what_failed_for_others_is_not_tried_again(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    """Neither before nor after everything else is sent; of those who are told it is."""
    people = [*some(2), *some(2, priority=OTHERS)]
    for each in people:
        smtp_sink.script(each["address"], Step(At.RCPT, reply="554 5.6.0 Not like this", times=1))
    broadcast_id = outbox.queue("incident:1", people)
    outbox.send()
    assert outbox.states() == {"failed": 4}
    narrow(outbox, broadcast_id)
    assert actions.retry_failed(outbox.broadcast(broadcast_id), by=SYSTEM, now=outbox.now()) == 2
    events.commit()
    assert outbox.send() == 2
    assert set(smtp_sink.recipients()) == {each["address"] for each in some(2)}


def test_what_is_claimed_after_all_is_closed_with_the_claim(outbox: Outbox) -> None:
    """However it came to wait again: whoever claims looks who is told now."""
    broadcast_id = outbox.queue("incident:1", [*some(1), *some(1, priority=OTHERS)])
    narrow(outbox, broadcast_id)
    db.session.execute(update(Delivery).values(state=DeliveryState.PENDING, answer=None))
    events.commit()
    outbox.send()
    assert outbox.states() == {"sent": 1, "cancelled": 1}


# --- at the same moment ---------------------------------------------------------------------------------------------


def in_thread(outbox: Outbox, what: Any, found: list[Any]) -> threading.Thread:
    def work() -> None:
        with outbox.app.app_context():
            read_only.set(False)
            try:
                found.append(what())
                events.commit()
            except Exception as trouble:
                events.rollback()
                found.append(trouble)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def claim(outbox: Outbox) -> int:
    made = leases.claim("another", outbox.settings, now=outbox.now())
    return len(made.deliveries) if made is not None else 0


@pytest.mark.postgres
def test_a_claim_does_not_wait_for_who_narrows(outbox: Outbox) -> None:
    broadcast_id = outbox.queue("incident:1", [*some(3), *some(4, priority=OTHERS)])
    outbox.send(seconds=0)
    found: list[Any] = []
    mine = locked(broadcast_id)
    claiming = in_thread(outbox, lambda: claim(outbox), found)
    claiming.join(10)
    assert found == [7], "it holds them now, and has offered none"
    assert actions.narrow([mine], first_ring, by=SYSTEM, now=outbox.now()) == 4
    events.commit()
    assert outbox.states() == {"pending": 3, "cancelled": 4}


@pytest.mark.postgres
def test_who_narrows_waits_for_a_claim_and_neither_for_ever(outbox: Outbox) -> None:
    broadcast_id = outbox.queue("incident:1", [*some(3), *some(4, priority=OTHERS)])
    outbox.send(seconds=0)
    assert claim(outbox) == 7
    found: list[Any] = []
    narrowing = in_thread(
        outbox, lambda: actions.narrow([locked(broadcast_id)], first_ring, by=SYSTEM, now=outbox.now()), found
    )
    narrowing.join(0.5)
    assert found == [], "the claim is not over"
    events.commit()
    narrowing.join(10)
    assert found == [4]
    assert outbox.states() == {"pending": 3, "cancelled": 4}


@pytest.mark.postgres
def test_several_that_steer_and_claim_at_once_end(outbox: Outbox) -> None:
    """Two broadcasts about one thing are called off together while both are claimed, cancelled, and closed as old."""
    ids = [outbox.queue(f"incident:{each}", [*some(20), *some(20, priority=OTHERS)]) for each in range(2)]
    outbox.send(seconds=0)
    for _round in range(5):
        found: list[Any] = []
        gate = threading.Barrier(4)

        def narrowing(gate: threading.Barrier = gate) -> str:
            gate.wait()
            mine = db.session.scalars(
                select(Broadcast).where(Broadcast.id.in_(ids)).order_by(Broadcast.id).with_for_update()
            ).all()
            actions.narrow(mine, first_ring, by=SYSTEM, now=outbox.now())
            return "narrowed"

        def cancelling(gate: threading.Barrier = gate) -> str:
            gate.wait()
            actions.cancel_what_waits(ids[1], outbox.now())
            return "cancelled"

        def claiming(gate: threading.Barrier = gate) -> str:
            gate.wait()
            claim(outbox)
            return "claimed"

        threads = [in_thread(outbox, what, found) for what in (narrowing, cancelling, claiming, claiming)]
        for thread in threads:
            thread.join(20)
        assert sorted(map(str, found)) == ["cancelled", "claimed", "claimed", "narrowed"]
        db.session.execute(update(Delivery).values(state=DeliveryState.PENDING, answer=None))
        events.commit()
