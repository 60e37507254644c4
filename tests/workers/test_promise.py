"""The promise: kill any process at any moment, and no mail is lost, hardly any arrives twice, and nobody has to act."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from portal import events
from portal.extensions import db
from portal.notifications.rules import BroadcastState
from tests.notifications.outbox import Outbox, opened, relay_to
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import At, SmtpSink, Step
from tests.workers.senders import PATIENCE, Senders, connections_of

MAILS = 4_000
BROADCASTS = 4
KILLS = 40
LEASE = 3.0
RELAYS = 5
CONNECTIONS = 3
"""Held to each relay, by all processes together. Several relays, so that several processes send at a time."""


class Fate(NamedTuple):
    """What the ledger says of one mail."""

    message_id: str
    state: str
    in_doubt: int


@contextmanager
def working(environment: dict[str, str], redis: RedisServer, folder: Path) -> Iterator[tuple[Outbox, Senders]]:
    """An outbox over several relays, which are all the sink, and the processes that work it off."""
    environment = {
        **environment,
        "PORTAL_REDIS_URL": redis.url,
        "PORTAL_LEASE_SECONDS": str(LEASE),
        "PORTAL_PULSE_SECONDS": "0.2",
        "PORTAL_SLICE_SIZE": "40",
        "PORTAL_CONNECTIONS_PER_RELAY": str(CONNECTIONS),
    }
    with opened(environment) as outbox, Senders(environment, folder) as senders:
        db.session.add_all(
            relay_to(environment["PORTAL_SMTP_URL"], f"relay {number}", position=number) for number in range(1, RELAYS)
        )
        events.commit()
        yield outbox, senders


class Victims(NamedTuple):
    """Whom to kill: a parent, a child of one, a whole tree, or a process that works alone; `root` is what it is of."""

    how: str
    root: int
    pids: list[int]


def victims(senders: Senders, port: int, dice: random.Random, kills: Counter[str]) -> Victims | None:
    """Somebody of those who talk to the server just now, because to kill whoever waits proves little; None if nobody
    does. In the way that was tried least."""
    found = []
    for root in senders.roots:
        tree = senders.tree(root)
        busy = [pid for pid in tree if connections_of(pid, port)]
        if busy and busy == [root] == tree:
            found.append(Victims("alone", root, [root]))
        elif busy:
            found += [Victims("parent", root, [root]), Victims("tree", root, tree)]
            found.append(Victims("child", root, [dice.choice(busy)]))
    dice.shuffle(found)
    return min(found, key=lambda each: kills[each.how], default=None)


@pytest.mark.processes
def test_r01_r02_forty_kills_lose_nothing_and_repeat_at_most_one_mail_a_connection(
    environment: dict[str, str], smtp_sink: SmtpSink, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Real `portal worker` parents with their children, and a real pulse, killed at random; Redis is wiped each time.

    A mail whose repeat is hit too is left to a human, who sees it as possibly sent: it has arrived all the same.
    """
    dice = random.Random()  # noqa: S311 (nothing is kept secret by it)
    smtp_sink.script("*", Step(At.DOT, seconds=0.02))
    kills: Counter[str] = Counter()
    held = 0
    with working(environment, redis_server, tmp_path) as (outbox, senders):
        for command in ("worker 2", "worker 2", "pulse"):
            senders.again(command)
        ids: list[int] = []
        while kills.total() < KILLS:
            if kills.total() >= len(ids) * KILLS // BROADCASTS:
                ids.append(outbox.queue(f"incident:{len(ids)}", named(len(ids), MAILS // BROADCASTS)))
            # Redis forgets everything each time, and is rung as by whoever publishes anything.
            redis_server.flush()
            events.wake("deliver")
            events.commit()
            _wait_for_some(smtp_sink, len(smtp_sink.received) + MAILS // KILLS // 2)
            time.sleep(dice.uniform(0, 0.1))
            chosen = victims(senders, smtp_sink.port, dice, kills)
            if chosen is None:
                continue
            command = senders.roots[chosen.root]
            held += senders.kill(chosen.pids, smtp_sink.port)
            kills[chosen.how] += 1
            if chosen.how != "child":
                senders.again(command)
        wait_until(lambda: "pending" not in outbox.states(), LEASE + 10 + PATIENCE, "the last")
        wait_until(
            lambda: all(outbox.broadcast(each).state is BroadcastState.DONE for each in ids), PATIENCE, "their end"
        )
        rows = [Fate(each.message_id, str(each.state), each.in_doubt) for each in outbox.deliveries()]
    check(smtp_sink, rows, held)
    print(f"{dict(kills)}, {held} connections held")
    assert KILLS / 2 <= held <= KILLS * CONNECTIONS * RELAYS, "the kills have hit processes that were sending"
    assert set(kills) == {"parent", "child", "tree", "alone"}


def check(sink: SmtpSink, rows: Sequence[Fate], held: int) -> None:
    """The promise, read from the server and from the ledger. `held` is how many connections the kills have cut."""
    copies = sink.deliveries()
    assert len(copies) == len(rows) == MAILS, "nothing is lost"
    assert copies.keys() == {each.message_id for each in rows}
    assert len(sink.recipients()) == MAILS, "a second copy has the Message-ID of the first"
    assert max(copies.values()) <= 2
    repeats = sum(copies.values()) - MAILS
    assert repeats <= held, f"{repeats} repeats by kills of processes that held {held} connections"
    doubtful = [each for each in rows if each.state == "unknown"]
    assert sum(each.state == "sent" for each in rows) == MAILS - len(doubtful), "the states add up"
    assert {each.in_doubt for each in doubtful} <= {2}
    assert {each.message_id for each in rows if copies[each.message_id] > 1} <= {
        each.message_id for each in rows if each.in_doubt
    }, "every repeat is known, and shown as possibly twice"


def named(number: int, count: int) -> list[dict[str, str]]:
    return [{"address": f"b{number}-{each}@customers.test", "name": f"Person {each}"} for each in range(count)]


def _wait_for_some(sink: SmtpSink, count: int) -> None:
    """Until so many have arrived, or a while has passed: what the dead held comes back with their lease."""
    deadline = time.monotonic() + 0.7
    while len(sink.received) < count and time.monotonic() < deadline:
        time.sleep(0.01)
