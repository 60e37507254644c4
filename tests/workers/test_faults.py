"""R04 to R11, R42, R46, R48: what sends goes on, whatever becomes of Redis, of processes and of what is sent.

Real workers, pulses and timetables, over a real Redis and a real SMTP server, shared by the tests of this file.
"""

import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import delete, select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Person
from portal.audit.rules import SYSTEM
from portal.database import read_only
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.models import Delivery, Slice
from portal.notifications.queries import broadcast_for_staff
from portal.notifications.rules import BroadcastState
from tests.notifications.outbox import Outbox, opened, relay_to, states
from tests.support import databases
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import At, SmtpSink, Step
from tests.workers.senders import PATIENCE, Senders

pytestmark = pytest.mark.processes

LEASE = 2.0


@dataclass
class Office:
    """An installation that sends. What a test queues is told apart by its key."""

    outbox: Outbox
    senders: Senders
    redis: RedisServer
    sink: SmtpSink

    def queue(self, key: str, count: int, **more: Any) -> int:
        """Queue to so many addresses and wake the workers, as the web does."""
        return self.outbox.queue(key, [{"address": f"{key}-{number}@x.test", **more} for number in range(count)])

    def copies(self, key: str) -> Counter[str]:
        """How often each address of this key was delivered to."""
        return Counter({to: count for to, count in self.sink.recipients().items() if to.startswith(f"{key}-")})

    def states(self, broadcast_id: int) -> dict[str, int]:
        found = states(broadcast_id)
        db.session.rollback()
        return found

    def arrived(self, key: str, count: int) -> None:
        """Wait until so many of this key have arrived."""
        wait_until(lambda: self.copies(key).total() >= count, PATIENCE, f"the arrival of {count} mails")

    def settled(self, broadcast_id: int, wanted: dict[str, int]) -> None:
        """Wait until the deliveries stand so, and nobody holds anything any more."""
        wait_until(lambda: self.states(broadcast_id) == wanted, PATIENCE, f"{wanted}")
        wait_until(lambda: self.leases() == 0, PATIENCE, "the end of the leases")

    def leases(self) -> int:
        found = len(db.session.scalars(select(Slice.id)).all())
        db.session.rollback()
        return found

    def all_once(self, key: str, broadcast_id: int, count: int) -> None:
        self.settled(broadcast_id, {"sent": count})
        assert Counter(self.copies(key).values()) == {1: count}


@pytest.fixture(scope="module")
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, settings: object
) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    server = str(request.config.getoption("--database-url"))
    with databases.empty(server, folder) as url, SmtpSink() as sink, RedisServer() as redis:
        environment = {
            "PORTAL_INSTANCE": str(folder),
            "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
            "PORTAL_BASE_URL": "http://admin.portal.test",
            "PORTAL_MAIL_DOMAIN": "portal.test",
            "PORTAL_DATABASE_URL": url,
            "PORTAL_REDIS_URL": redis.url,
            "PORTAL_SMTP_URL": sink.url,
            "PORTAL_LEASE_SECONDS": str(LEASE),
            "PORTAL_PULSE_SECONDS": "0.2",
            "PORTAL_CONNECTIONS_PER_RELAY": "4",
            "PORTAL_SLICE_SIZE": "50",
        }
        with opened(environment) as outbox, Senders(environment, folder) as senders:
            db.session.add(relay_to(sink.url, "second", position=1))
            events.commit()
            db.session.remove()
            yield Office(outbox, senders, redis, sink)


@pytest.fixture
def office(installation: Office) -> Iterator[Office]:
    """The installation with nothing running and nothing wrong."""
    installation.sink.forgive()
    installation.sink.script("*", Step(At.DOT, seconds=0.01))
    with installation.outbox.app.app_context():
        read_only.set(False)
        yield installation
        installation.senders.end_all()
        installation.redis.flush()
        db.session.remove()


# --- Redis ----------------------------------------------------------------------------------------------------------


def stopped(redis: RedisServer) -> None:
    redis.kill()


def hung(redis: RedisServer) -> None:
    redis.hang()


def wiped(redis: RedisServer) -> None:
    redis.flush()


def full(redis: RedisServer) -> None:
    with redis.client() as client:
        client.config_set("maxmemory", "1")


def read_only_redis(redis: RedisServer) -> None:
    with redis.client() as client:
        client.config_set("min-replicas-to-write", "1")


def locked(redis: RedisServer) -> None:
    """Its password was changed: every connection there is ends, and nobody gets in again."""
    with redis.client() as client:
        client.config_set("requirepass", "another password")
        client.client_kill_filter(_type="normal", skipme=False)


@pytest.mark.parametrize(
    ("row", "trouble"),
    [("r06", stopped), ("r06", hung), ("r08", wiped), ("r10", full), ("r10", read_only_redis), ("r10", locked)],
    ids=["r06-stopped", "r06-hung", "r08-wiped", "r10-full", "r10-read-only", "r10-wrong password"],
)
def test_r06_r08_r10_a_batch_goes_on_whatever_becomes_of_redis(
    office: Office, row: str, trouble: Callable[[RedisServer], None]
) -> None:
    """In the middle of a batch, at about a third of it. What is queued meanwhile goes out too, and each mail once."""
    key = f"{row}{trouble.__name__}"
    for command in ("worker 2", "pulse"):
        office.senders.again(command)
    first = office.queue(key, 240)
    office.arrived(key, 72)
    trouble(office.redis)
    try:
        began = time.monotonic()
        second = office.queue(f"{key}more", 20)
        assert time.monotonic() - began < 15, "whoever publishes does not wait for Redis"
        office.all_once(f"{key}more", second, 20)
        office.all_once(key, first, 240)
    finally:
        office.redis.kill()
        office.redis.start()


def test_r09_redis_is_restarted_twenty_times_and_the_workers_come_back_by_themselves(office: Office) -> None:
    """It stores nothing, so each restart forgets what was queued there."""
    dice = random.Random()  # noqa: S311 (nothing is kept secret by it)
    worker = office.senders.start("worker", 2)
    pulse = office.senders.start("pulse")
    broadcast_id = office.queue("r09", 400)
    for number in range(20):
        office.redis.kill()
        time.sleep(dice.uniform(0, 0.05))
        office.redis.start()
        if number % 5 == 0:
            office.queue(f"r09bell{number}", 1)
        time.sleep(dice.uniform(0, 0.1))
    office.all_once("r09", broadcast_id, 400)
    office.senders.end(pulse)
    after = office.queue("r09after", 20)
    # A ring that meets a Redis that is not back yet is lost, and nobody looks without one: so it is rung again.
    rings = count()

    def has_gone() -> bool:
        office.queue(f"r09ring{next(rings)}", 1)
        time.sleep(0.5)
        return office.states(after) == {"sent": 20}

    wait_until(has_gone, PATIENCE, "the mails of workers that came back")
    office.all_once("r09after", after, 20)
    assert office.senders.tree(worker), "it is the one that was started first"


def test_r11_a_job_that_stands_fifty_times_in_the_queue_of_four_workers_sends_once(office: Office) -> None:
    broadcast_id = office.queue("r11", 200)
    with office.redis.client() as client:
        line = Queue("portal", connection=client, serializer=JSONSerializer)
        for _ in range(50):
            line.enqueue("workers.tasks.deliver")
        office.senders.start("worker", 4)
        office.all_once("r11", broadcast_id, 200)
        wait_until(lambda: line.count == 0, PATIENCE, "the end of the jobs")
        assert line.failed_job_registry.count == 0


# --- processes ------------------------------------------------------------------------------------------------------


def test_r02_what_a_killed_tree_held_is_taken_up_after_its_lease_and_a_beat(office: Office) -> None:
    """Parent and children at once, as when a container runs out of memory; nothing else was running."""
    office.sink.script("*", Step(At.DOT, seconds=0.05))
    tree = office.senders.start("worker", 2)
    broadcast_id = office.queue("r02", 150)
    office.arrived("r02", 20)
    held = office.senders.kill(office.senders.tree(tree), office.sink.port)
    assert held
    found = office.states(broadcast_id)
    assert found.get("sending", 0) <= held
    office.sink.forgive()
    office.senders.start("pulse")
    office.settled(broadcast_id, {"sent": 150})
    copies = office.copies("r02")
    assert len(copies) == 150
    assert sum(copies.values()) - 150 <= held
    db.session.rollback()
    doubtful = db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast_id, Delivery.in_doubt > 0))
    for each in doubtful.all():
        # `sending_since` is of the copy that arrived: the repeat came with the first look after the lease.
        assert each.finished_at is not None
        assert each.attempts == 2


def test_r04_workers_that_are_asked_to_end_finish_what_they_offered_and_give_the_rest_back(office: Office) -> None:
    office.sink.script("*", Step(At.DOT, seconds=0.03))
    broadcast_id = office.queue("r04", 300)
    for wanted, command in ((40, "worker 2"), (120, "pulse")):
        root = office.senders.again(command)
        office.queue(f"r04wake{wanted}", 1)
        office.arrived("r04", wanted)
        began = time.monotonic()
        office.senders.end(root, 30)
        assert time.monotonic() - began < 30
        assert office.leases() == 0, "the rest is released at once"
        assert set(office.states(broadcast_id)) == {"sent", "pending"}
        assert office.copies("r04").total() == office.states(broadcast_id)["sent"]
    office.sink.forgive()
    office.senders.start("pulse")
    office.all_once("r04", broadcast_id, 300)


def test_r05_a_stop_between_taking_a_job_and_beginning_it_loses_nothing(office: Office) -> None:
    """The signal comes in that very moment, four times; the rows are found without the job."""
    ids = []
    for number in range(4):
        # What a worker had in hand when it ended keeps its name in Redis for a minute.
        office.redis.flush()
        ids.append(office.queue(f"r05n{number}", 5))
        root = office.senders.start("hasty")
        wait_until(lambda root=root: not office.senders.tree(root), PATIENCE, "its end")  # type: ignore[misc]
        office.senders.roots.pop(root)
    office.senders.start("pulse")
    for number, broadcast_id in enumerate(ids):
        office.all_once(f"r05n{number}", broadcast_id, 5)


def test_r42_two_timetables_and_two_pulses_send_once(office: Office) -> None:
    """Nobody rings for what is queued; the clocks do."""
    with office.redis.client() as client:
        broadcast_id = office.queue("r42", 60)
        client.flushall()
        for command in ("worker 2", "timetable", "timetable"):
            office.senders.again(command)
        office.all_once("r42", broadcast_id, 60)
    both = office.queue("r42pulses", 60)
    for _ in range(2):
        office.senders.start("pulse")
    office.all_once("r42pulses", both, 60)


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_r46_nothing_goes_to_people_who_are_deleted_while_mails_go_out(office: Office) -> None:
    office.sink.script("*", Step(At.DOT, seconds=0.02))
    said = len(office.senders.log())
    now = clock.utcnow()
    people = [accounts.add_person(f"P{number}", f"r46-{number}@x.test", by=SYSTEM, now=now) for number in range(120)]
    db.session.flush()
    pairs = [(each.id, each.email) for each in people]
    broadcast_id = office.outbox.queue(
        "r46", [{"address": email, "person_id": person_id} for person_id, email in pairs]
    )
    office.senders.start("pulse")
    office.arrived("r46", 20)
    gone = [person_id for person_id, _email in pairs[60:]]
    db.session.execute(delete(Person).where(Person.id.in_(gone)))
    events.commit()
    deleted_at = time.monotonic()
    wait_until(lambda: set(office.states(broadcast_id)) == {"sent", "cancelled"}, PATIENCE, "the end")
    found = office.states(broadcast_id)
    assert sum(found.values()) == 120
    assert office.copies("r46").total() == found["sent"]
    addresses = {email for person_id, email in pairs if person_id in gone}
    late = [each for each in office.sink.received if each.arrived > deleted_at and addresses & set(each.recipients)]
    assert len(late) <= 8, "but for those that were on their way over eight connections"
    assert "Traceback" not in office.senders.log()[said:]


def test_r48_twenty_times_paused_and_resumed_then_cancelled_adds_up(office: Office) -> None:
    office.sink.script("*", Step(At.DOT, seconds=0.15))
    dice = random.Random()  # noqa: S311 (nothing is kept secret by it)
    for command in ("worker 2", "pulse"):
        office.senders.again(command)
    office.sink.refuse("r48-7@x.test", "550 5.1.1 No such user")
    broadcast_id = office.queue("r48", 1000)
    for number in range(20):
        office.arrived("r48", 10 + 4 * number)
        steer(actions.pause, broadcast_id, note="")
        time.sleep(dice.uniform(0, 0.05))
        assert office.outbox.broadcast(broadcast_id).state is BroadcastState.PAUSED
        steer(actions.resume, broadcast_id)
    steer(actions.cancel, broadcast_id)
    wait_until(lambda: "pending" not in office.states(broadcast_id), PATIENCE, "the end")
    found = office.states(broadcast_id)
    assert found.get("sent", 0) + found["cancelled"] + found.get("failed", 0) == 1000
    assert office.copies("r48").total() == found["sent"]
    assert set(office.copies("r48").values()) == {1}


def steer(action: Callable[..., object], broadcast_id: int, **more: Any) -> None:
    """As the screen does: locked, so that the workers do not change it under the hand that steers it."""
    db.session.rollback()
    broadcast = broadcast_for_staff(broadcast_id, to_steer=True)
    action(broadcast, *more.values(), by=SYSTEM, now=clock.utcnow())
    events.commit()
