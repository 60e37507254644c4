"""The promise: kill any process at any moment, and no mail is lost, hardly any arrives twice, and nobody has to act."""

import random
import time
from collections import Counter
from collections.abc import Iterator
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


def victims(senders: Senders, port: int, dice: random.Random) -> tuple[str, list[int]]:
    """Whom to kill: a parent, a child of one, a whole tree, or a process that works alone.

    If possible somebody who talks to the server just now: to kill whoever waits proves little.
    """
    trees = {root: senders.tree(root) for root in senders.roots}
    how = dice.choice(["alone", "parent", "child", "tree"])
    roots = [root for root, tree in trees.items() if (len(tree) == 1) == (how == "alone") and tree]
    busy = [root for root in roots if any(connections_of(pid, port) for pid in trees[root])]
    root = dice.choice(busy or roots)
    if how == "child":
        below = trees[root][1:]
        return how, [dice.choice([pid for pid in below if connections_of(pid, port)] or below)]
    return how, trees[root] if how == "tree" else [root]


@pytest.mark.processes
def test_r01_r02_forty_kills_lose_nothing_and_repeat_at_most_one_mail_a_connection(
    environment: dict[str, str], smtp_sink: SmtpSink, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Real `portal worker` parents with their children, and real pulses, killed at random until the mails are through.

    A mail whose repeat is hit too is left to a human, who sees it as possibly sent: it has arrived all the same.
    """
    dice = random.Random()  # noqa: S311 (nothing is kept secret by it)
    smtp_sink.script("*", Step(At.DOT, seconds=0.02))
    kills: list[str] = []
    held = 0
    with working(environment, redis_server, tmp_path) as (outbox, senders):
        for command in ("worker 2", "worker 2", "pulse", "pulse"):
            senders.again(command)
        ids = [outbox.queue("incident:0", named(0, MAILS // BROADCASTS))]
        while len(kills) < KILLS:
            if len(kills) >= len(ids) * KILLS // BROADCASTS:
                ids.append(outbox.queue(f"incident:{len(ids)}", named(len(ids), MAILS // BROADCASTS)))
            _wait_for_some(smtp_sink, len(smtp_sink.received) + MAILS // KILLS // 2)
            time.sleep(dice.uniform(0, 0.1))
            how, pids = victims(senders, smtp_sink.port, dice)
            root = next(root for root in senders.roots if pids[0] in senders.tree(root))
            command = senders.roots[root]
            held += senders.kill(pids, smtp_sink.port)
            kills.append(how)
            if how != "child":
                # Its children end with a parent that was killed: the kernel sees to it.
                senders.again(command)
        wait_until(
            lambda: not {"pending", "claimed", "sending"} & outbox.states().keys(), LEASE + 10 + PATIENCE, "the last"
        )
        wait_until(
            lambda: all(outbox.broadcast(each).state is BroadcastState.DONE for each in ids), PATIENCE, "their end"
        )
        rows = [Fate(each.message_id, str(each.state), each.in_doubt) for each in outbox.deliveries()]
    copies = smtp_sink.deliveries()
    assert len(copies) == len(rows) == MAILS, "nothing is lost"
    assert copies.keys() == {each.message_id for each in rows}
    assert len(smtp_sink.recipients()) == MAILS, "a second copy has the Message-ID of the first"
    assert max(copies.values()) <= 2
    repeats = sum(copies.values()) - MAILS
    assert repeats <= held, f"{repeats} repeats by {len(kills)} kills of processes that held {held} connections"
    assert held <= len(kills) * CONNECTIONS * RELAYS
    print(f"{len(kills)} kills {dict(Counter(kills))}, {held} connections held, {repeats} repeats")
    doubtful = [each for each in rows if each.state == "unknown"]
    assert sum(each.state == "sent" for each in rows) == MAILS - len(doubtful), "the states add up"
    assert {each.in_doubt for each in doubtful} <= {2}
    assert {each.message_id for each in rows if copies[each.message_id] > 1} <= {
        each.message_id for each in rows if each.in_doubt
    }, "every repeat is known, and shown as possibly twice"
    assert held >= KILLS, "the kills have hit processes that were sending"
    assert {"parent", "child", "tree", "alone"} == set(kills)


def named(number: int, count: int) -> list[dict[str, str]]:
    return [{"address": f"b{number}-{each}@customers.test", "name": f"Person {each}"} for each in range(count)]


def _wait_for_some(sink: SmtpSink, count: int) -> None:
    """Until so many have arrived, or a while has passed: what the dead held comes back with their lease."""
    deadline = time.monotonic() + 0.7
    while len(sink.received) < count and time.monotonic() < deadline:
        time.sleep(0.01)
