"""The lane of channels: threads with one channel each at a time, so that a hanging receiver holds up itself alone.

Nothing of it is shared with the sending of mails but the rows, and no transaction is open while somebody is asked.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from flask import Flask

from portal import events, sealing
from portal.config import Settings
from portal.database import read_only
from portal.notifications import endings, outbound
from portal.notifications.channels import alarms, gateway, lane
from portal.notifications.channels.rules import ChannelKind, Outcome, post_text, short_text, webhook_id
from portal.notifications.channels.sealed import ADDRESS, SECRET
from portal.notifications.channels.texts import fill
from portal.notifications.persistence import persistently
from portal.notifications.rules import Failure
from portal.outside import Lookup

log = logging.getLogger(__name__)

Result = TypeVar("Result")

THREADS = 8
"""Receivers that are asked at the same time by one process. One that hangs keeps one of them, for some seconds."""

MESSAGES_A_TURN = 20
"""Messages a channel gets before it makes room for the next one."""

SOON = timedelta(seconds=6)
"""What is due within it is waited for: the first retry comes after five seconds, not after the next pulse."""


class ChannelSender:
    """Tells every channel what it is due, until nothing is, or until told to stop.

    `now` reads the clock; `stop` ends the work once what is on its way is answered, in `gateway.SECONDS` at most.
    """

    def __init__(
        self,
        app: Flask,
        *,
        now: Callable[[], datetime],
        stop: threading.Event,
        lookup: Lookup | None = None,
        soon: timedelta = SOON,
    ) -> None:
        self.app = app
        self.settings: Settings = app.config["SETTINGS"]
        self.now = now
        self.stop = stop
        self.guard = gateway.Guard(self.settings, lookup)
        self.soon = soon
        self.owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.lease_seconds = self.settings.lease_seconds + gateway.SECONDS
        self.sent = 0
        self._counting = threading.Lock()

    def run(self) -> int:
        """Send, and return how many messages were taken."""
        with self.app.app_context():
            read_only.set(False)
            if self._persistently(lambda: outbound.recognise(self.now())) is not None:
                return 0
            while not self.stop.is_set():
                self._persistently(lambda: lane.release_expired(self.now()))
                due = self._persistently(lambda: lane.count_due(self.now(), THREADS))
                if due:
                    self._work_in_threads(due)
                elif not self._wait_for_what_is_soon():
                    break
        return self.sent

    def _wait_for_what_is_soon(self) -> bool:
        """Wait for the next message if it is due soon; whether it is worth looking again."""
        now = self.now()
        moment = self._persistently(lambda: lane.next_due(now))
        if moment is None or moment > now + self.soon:
            return False
        return not self.stop.wait(max(0.05, (moment - now).total_seconds()))

    def _work_in_threads(self, due: int) -> None:
        # Not daemons: a process that ends politely waits for the answers to what it has asked.
        others = [threading.Thread(target=self._work, name="channels") for _ in range(min(due, THREADS))]
        for thread in others:
            thread.start()
        for thread in others:
            thread.join()

    def _work(self) -> None:
        """Give one channel after the other its turn."""
        with self.app.app_context():
            read_only.set(False)
            try:
                while not self.stop.is_set():
                    channel_id = self._persistently(lambda: lane.claim(self.owner, self.lease_seconds, self.now()))
                    if channel_id is None:
                        return
                    self._serve(channel_id)
            except Exception:
                # What this thread held comes back when its lease ends; the others go on.
                log.exception("a channel could not be served")
                events.rollback()

    def _serve(self, channel_id: int) -> None:
        owner, touched = f"{self.owner}", set()
        for _turn in range(MESSAGES_A_TURN):
            if self.stop.is_set():
                break
            message = self._persistently(lambda: lane.mark_next(channel_id, owner, self.lease_seconds, self.now()))
            if message is None:
                break
            outcome = self._send(message)
            touched.add(message.broadcast_id)
            is_over = self._persistently(lambda: self._settle(message, channel_id, outcome))  # noqa: B023 (called here)
            if is_over:
                log.warning("channel %s is disabled (%s)", channel_id, outcome.code or "no answer")
            if outcome.failure is None:
                with self._counting:
                    self.sent += 1
        self._persistently(lambda: lane.release(channel_id, owner))
        self._persistently(lambda: endings.finish(self.now(), touched) if touched else None)

    def _settle(self, message: lane.Message, channel_id: int, outcome: Outcome) -> bool:
        now = self.now()
        is_over = lane.settle(message, channel_id, outcome, worker=self.owner, now=now)
        if is_over:
            alarms.tell_of_disabled(channel_id, now)
        return is_over

    def _send(self, message: lane.Message) -> Outcome:
        """Make the message and hand it over; no transaction is open meanwhile."""
        try:
            address = sealing.unseal(message.sealed_address, ADDRESS)
            keys = [sealing.unseal(each, SECRET) for each in message.sealed_secrets]
        except sealing.Unreadable:
            text = "Its address was sealed with a secret key this installation no longer has. Enter it anew."
            return Outcome(Failure.HARD, None, text, is_over=True)
        texts = message.values.get("values", {})
        link = str(message.values.get("link", ""))
        brief = message.kind is ChannelKind.SMS
        wording = fill(message.wording.get("brief" if brief else "post", ""), texts)
        foot = str(message.values.get("foot", ""))
        text = short_text(wording, link) if brief else post_text(wording, f"{link}\n\n{foot}".strip())
        told = {
            "title": fill(message.wording.get("subject", ""), texts),
            "text": fill(message.wording.get("post", ""), texts),
            **message.values.get("data", {}),
        }
        body = gateway.webhook_body(str(message.values.get("event", "")), told, message.written_at)
        try:
            parcel = gateway.Parcel(message.kind, address, text, body, webhook_id(message.message_id), keys)
            return gateway.send(parcel, self.guard, self.now())
        except Exception as trouble:
            # One message that cannot be made must not keep the others of its channel.
            log.exception("a message to channel kind %s cannot be made", message.kind)
            return Outcome(Failure.POISON, None, f"It cannot be made: {type(trouble).__name__}")

    def _persistently(self, work: Callable[[], Result]) -> Result:
        """Do something in a transaction, for as long as it takes."""

        def attempt() -> Result:
            result = work()
            events.commit()
            return result

        return persistently(attempt, events.rollback, stop=self.stop, seconds=gateway.SECONDS)


def start(app: Flask, *, now: Callable[[], datetime], stop: threading.Event) -> None:
    """Have the lane run in a thread of its own beside whatever this process does, unless it does already.

    A process that ends waits for it, since its threads are no daemons.
    """
    running: threading.Thread | None = app.extensions.get("channel_lane")
    if running is not None and running.is_alive():
        return
    thread = threading.Thread(target=_run, args=(app, now, stop), name="channel lane")
    app.extensions["channel_lane"] = thread
    thread.start()


def _run(app: Flask, now: Callable[[], datetime], stop: threading.Event) -> None:
    try:
        ChannelSender(app, now=now, stop=stop).run()
    except Exception:
        # The rows stay due, and the next beat begins anew.
        log.exception("the lane of channels ended")
