"""Kill any process at any moment: nothing is lost, and a kill repeats at most one mail per connection."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.conftest import REPOSITORY
from tests.notifications.outbox import Outbox
from tests.support.processes import wait_until
from tests.support.smtp_sink import At, SmtpSink, Step

PROCESSES = 2
CONNECTIONS = 4
KILLS = 8


def start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "tests.workers.pulse_process"],
        cwd=REPOSITORY,
        env={**os.environ, **environment, "PORTAL_PULSE_SECONDS": "0.2", "PORTAL_LEASE_SECONDS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.processes
def test_r01_r02_killed_senders_lose_nothing_and_hardly_repeat(
    outbox: Outbox, smtp_sink: SmtpSink, environment: dict[str, str]
) -> None:
    """Processes are killed at random until the mails are through, each time with what they hold: a whole group."""
    mails = 900
    dice = random.Random(7)  # noqa: S311 (repeatable)
    smtp_sink.script("*", Step(At.DOT, seconds=0.01))
    broadcast_id = outbox.queue("incident:1", mails)
    running = [start(environment) for _ in range(PROCESSES)]
    kills = 0
    try:
        smtp_sink.wait_for(1, 30)
        while kills < KILLS and len(smtp_sink.received) < mails:
            before = len(smtp_sink.received)
            smtp_sink.wait_for(min(before + 20, mails), 30)
            time.sleep(dice.uniform(0, 0.1))
            index = dice.randrange(PROCESSES)
            os.killpg(running[index].pid, signal.SIGKILL)
            running[index].wait()
            running[index] = start(environment)
            kills += 1
        wait_until(lambda: outbox.states() == {"sent": mails}, 60, "the last mail")
        # Whoever sent it has still to write that the broadcast is done.
        wait_until(lambda: outbox.broadcast(broadcast_id).finished_at is not None, 30, "the end of the broadcast")
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)
    copies = smtp_sink.deliveries()
    assert kills >= 3
    assert len(copies) == mails
    assert {each.message_id for each in outbox.deliveries()} == set(copies)
    assert max(copies.values()) <= 2
    assert sum(copies.values()) - mails <= kills * CONNECTIONS


@pytest.mark.processes
def test_r04_a_sender_that_is_asked_to_end_repeats_nothing(
    outbox: Outbox, smtp_sink: SmtpSink, environment: dict[str, str]
) -> None:
    smtp_sink.script("*", Step(At.DOT, seconds=0.01))
    outbox.queue("incident:1", 400)
    for wanted in (50, 150):
        process = start(environment)
        try:
            smtp_sink.wait_for(wanted, 30)
        finally:
            process.terminate()
            began = time.monotonic()
            assert process.wait(30) == 0
        assert time.monotonic() - began < 10
        assert set(outbox.states()) == {"sent", "pending"}
    outbox.send()
    assert Counter(smtp_sink.deliveries().values()) == {1: 400}
    assert {each.in_doubt for each in outbox.deliveries()} == {0}
