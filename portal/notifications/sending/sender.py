"""The sending process: one loop drives several SMTP connections and shares every commit between them.

A round: whatever the servers have answered is stored, and whatever is offered next is marked, in one transaction; then
the bodies go out, each with the envelope of the mail after it. So every connection has at most one mail in
doubt at any commit, and a kill can repeat no more than that. A round takes the connections that are ready and waits
hardly for others, so a slow one holds up nobody; while it is made durable the loop hears servers and composes what
comes next. The lease is renewed by the loop itself: one that hangs loses it.
"""

import gc
import logging
import os
import secrets
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import cast

from sqlalchemy import Connection

from portal import events
from portal.config import Settings
from portal.database import read_only
from portal.notifications import endings, leases, outbound, relays, results
from portal.notifications.compose import ComposeError
from portal.notifications.composing import Composer
from portal.notifications.lanes import Lane, Mail
from portal.notifications.leases import Claim, Taken
from portal.notifications.marks import Sent
from portal.notifications.queries import pause_of_all
from portal.notifications.results import Failed
from portal.notifications.rules import (
    RELAY_AT_FAULT,
    Failure,
    classify,
)
from portal.notifications.sending.clerk import Errand
from portal.notifications.sending.pace import Pace
from portal.notifications.sending.storing import Store
from portal.notifications.sending.switchboard import Switchboard
from portal.notifications.sending.tally import Tally
from portal.notifications.smtp import Answer, Conversation

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""How often open pages are rung, leases looked after, and closed areas noticed."""

LAST_ANSWERS_SECONDS = 20.0
"""How long a process that is told to stop waits for the answers to what it has offered."""

SLOW_SECONDS = 5.0
"""How long an answer may take before what stands behind it looks for another connection."""

ROOM_SECONDS = 30.0
"""How long a process waits with its connections open for a relay that has taken as many as it may for now."""

KEPT_SECONDS = 15.0
"""How long connections are kept that nothing is sent over; other processes may want to open theirs."""

GATHERING_SECONDS, WORTH_A_COMMIT = 0.001, 16
"""For so long after mails were offered a commit waits until all connections, or so many, are ready for their next."""

COMPOSED_AT_ONCE = 8
"""Mails composed ahead between two looks at the servers."""

NEW_OBJECTS = 20_000
"""So many new objects are looked through for garbage at once."""

IDLE_SECONDS = 0.25


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage in cycles rarely. Mails make none, and looking through all that wait, each time some hundreds
    of objects are new, takes a tenth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(slots=True)
class _Round:
    """A transaction on its way to the disk, and what follows from it.

    `ready` are the mails that were marked, `done` those that were answered, `answered` the broadcasts of these.
    """

    lane: Lane
    ready: list[tuple[Mail, Conversation]]
    done: list[Sent]
    answered: set[int]
    granted: frozenset[int]
    work: Callable[[Connection], frozenset[int]]
    now: datetime
    commit: Errand


class Sender:
    """Sends what is due until nothing is, or until told to stop.

    `now` reads the clock; `stop` ends the work politely; after `seconds` it is ended in the same way, so that one job
    does not run for ever. Needs an app context.
    """

    def __init__(
        self, settings: Settings, *, now: Callable[[], datetime], stop: threading.Event, seconds: float = float("inf")
    ) -> None:
        self.settings = settings
        self.now = now
        self.stop = stop
        self.deadline = time.monotonic() + seconds
        self.owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self.sent = 0
        self.was_cut_short = False
        self._board = Switchboard(settings.mail_domain)
        self._store = Store(stop, self._board.ring)
        self._in_session = self._store.in_session
        self._tally = Tally(self._board.ring)
        self._composer = Composer(settings, now, self._in_session)
        self._pace = Pace(settings.slice_size)
        self._lanes: dict[int, Lane] = {}
        self._done: list[Sent] = []
        self._answered: set[int] = set()
        self._failed: list[Failed] = []
        self._touched: set[int] = set()
        self._nothing_due = False
        self._room_at: float | None = None
        self._is_paused = False
        self._has_called = False
        self._round_under_way: _Round | None = None
        self._offered_at = 0.0
        self._last_tick = self._last_renewal = time.monotonic()

    def run(self) -> int:
        """Send, and return how many mails were taken by a server."""
        read_only.set(False)
        with _rare_collections():
            self._run()
        return self.sent

    def _run(self) -> None:
        try:
            self._in_session(lambda: relays.prepare_relays(self.settings))
            self._is_paused = self._in_session(lambda: outbound.recognise(self.now())) is not None
            while not self._is_told_to_stop():
                self._claim()
                is_idle = self._nothing_due and not any(lane.is_busy for lane in self._lanes.values())
                if is_idle and not self._waits_for_room():
                    break
                self._turn()
            self.was_cut_short = self._is_told_to_stop() and not self._is_paused
            self._let_go()
            self._await_last_answers()
        finally:
            self._close()

    def _is_told_to_stop(self) -> bool:
        return self.stop.is_set() or self._is_paused or time.monotonic() > self.deadline

    def _turn(self) -> None:
        """Once around: read what has come, commit, offer, begin, connect."""
        for lane in list(self._lanes.values()):
            self._connect(lane)
            self._begin(lane)
        self._hear_and_store()
        self._tick()

    def _hear_and_store(self) -> None:
        """Hear what servers say for as long as there is nothing else to do; then the next step of a round."""
        self._poll(self._patience())
        self._round()

    # Work to do.

    def _claim(self) -> None:
        """Have more mails at hand than connections, so that none of them waits for a claim."""
        if self._nothing_due or any(len(lane.queue) + len(lane.made) > lane.wanted for lane in self._lanes.values()):
            return
        self._pace.follow()
        batch = self._pace.batch
        claim = self._in_session(lambda: leases.claim(self.owner, self.settings, now=self.now(), at_most=batch))
        if claim is None:
            self._nothing_due = True
            return
        self._pace.claimed(len(claim.deliveries))
        self._composer.load(claim)
        lane = self._lanes.get(claim.relay_id)
        if lane is None:
            lane = self._lanes[claim.relay_id] = Lane(claim.relay_id)
        lane.take_up(claim)
        self._call_for_help(claim)
        lane.queue.extend((each, claim.slice_id) for each in claim.deliveries)
        self._tally.take_up(claim.slice_id, len(claim.deliveries))
        self._touched.update(each.broadcast_id for each in claim.deliveries)

    def _call_for_help(self, claim: Claim) -> None:
        """One process keeps only so many connections busy: where the relay has more, another worker may take them."""
        if claim.connections >= relays.busy_connections() and not self._has_called:
            self._has_called = True
            events.wake("deliver")
            events.commit()

    def _waits_for_room(self) -> bool:
        """Whether mails wait for nothing but a relay's next minute; then time passes here, with connections kept."""
        if self._room_at is None:
            now = self.now()
            comes = self._in_session(lambda: leases.room_comes_at(self.owner, self.settings, now))
            is_ours = any(lane.is_bounded and lane.conversations for lane in self._lanes.values())
            seconds = (comes - now).total_seconds() if comes else ROOM_SECONDS + 1
            if seconds > ROOM_SECONDS or (seconds <= 0 and not is_ours):
                return False
            self._room_at = time.monotonic() + max(seconds, 0.05)
        self.stop.wait(max(0.0, min(self._room_at - time.monotonic(), IDLE_SECONDS)))
        if time.monotonic() >= self._room_at:
            self._room_at, self._nothing_due = None, False
        return True

    def _compose(self, taken: Taken, slice_id: int) -> Mail | None:
        """The mail itself; None, and a failure of its own, if there is no making it."""
        try:
            return self._composer.mail(taken, slice_id)
        except ComposeError as refusal:
            self._failed.append(Failed(taken, slice_id, None, Failure.POISON, None, f"Not composed: {refusal}."))
            return None

    # Connections.

    def _connect(self, lane: Lane) -> None:
        """Open what is missing: one connection first, to see whether the relay answers at all, then the rest."""
        if lane.is_resting or not lane.has_more:
            return
        missing = min(lane.wanted, len(lane.queue) + len(lane.made)) - len(lane.conversations) - lane.connecting
        if not lane.conversations:
            missing = min(missing, 1 - lane.connecting)
        for _ in range(missing):
            self._board.dial(lane)

    def _greet_new(self) -> None:
        for lane, answer in self._board.arrivals():
            if isinstance(answer, Conversation):
                lane.conversations.append(answer)
            elif lane.conversations:
                # The relay talks to us, only not over so many connections: make do with those there are.
                lane.wanted = len(lane.conversations) + lane.connecting
            else:
                self._rest(lane, classify(answer.stage, answer.code, answer.text), answer.text)

    def _rest(self, lane: Lane, failure: Failure, text: str) -> None:
        """The relay is at fault: leave it alone for a while and give its mails back. What was offered is waited for."""
        if lane.is_resting:
            return
        lane.is_resting = True
        log.warning("relay %s rests (%s): %s", lane.relay_id, failure, text)
        self._in_session(lambda: relays.rest_relay(lane.relay_id, failure, text, self.now()))
        self._empty(lane)
        self._nothing_due = False

    def _empty(self, lane: Lane) -> None:
        """Give back what waits here and was not offered; connections end once what they were offered is answered."""
        lane.unmake()
        waiting = list(lane.queue)
        lane.queue.clear()
        for conversation in list(lane.conversations):
            mail = cast(Mail | None, conversation.ahead)
            if mail is not None:
                waiting.append((mail.taken, mail.slice_id))
            conversation.take_back()
            if conversation.is_over:
                self._drop(lane, conversation)
        self._hand_back(waiting)

    def _hand_back(self, waiting: list[tuple[Taken, int]]) -> None:
        if waiting:
            ids = [taken.id for taken, _slice_id in waiting]
            self._in_session(lambda: leases.hand_back(ids, self._tally.slice_ids))
            for _taken, slice_id in waiting:
                self._tally.settle(slice_id)

    def _begin(self, lane: Lane) -> None:
        """Send envelopes ahead wherever a connection has none on its way."""
        for conversation in lane.conversations:
            if lane.has_more and conversation.can_begin and not lane.is_resting:
                mail = self._next_mail(lane)
                if mail is not None:
                    conversation.begin(mail)
                    self._flush(lane, conversation)

    def _next_mail(self, lane: Lane) -> Mail | None:
        """The next mail that waits for a connection; None where none does that could be composed."""
        if lane.made:
            return lane.made.popleft()
        while lane.queue:
            mail = self._compose(*lane.queue.popleft())
            if mail is not None:
                return mail
        return None

    def _compose_ahead(self) -> bool:
        """Compose a few mails for when connections are ready for them; whether there is nothing left to compose."""
        for lane in self._lanes.values():
            if lane.queue and not lane.is_resting and len(lane.made) < len(lane.conversations):
                for _ in range(min(COMPOSED_AT_ONCE, len(lane.queue))):
                    mail = self._compose(*lane.queue.popleft())
                    if mail is not None:
                        lane.made.append(mail)
                return False
        return True

    def _flush(self, lane: Lane, conversation: Conversation) -> None:
        conversation.flush()
        if conversation.is_over:
            self._hear(lane, conversation)
        elif conversation.wants_to_write:
            self._board.watch(lane, conversation, for_room=True)

    # What the servers say.

    def _patience(self) -> float:
        """Seconds to wait for what servers say: none where there is something to do."""
        under_way = self._round_under_way
        if under_way is not None:
            return 0 if under_way.commit.is_over.is_set() or not self._compose_ahead() else IDLE_SECONDS
        if self._failed:
            return 0
        if self._done or any(each.is_ready for lane in self._lanes.values() for each in lane.conversations):
            return GATHERING_SECONDS if self._gathers() else 0
        return IDLE_SECONDS if any(lane.is_busy for lane in self._lanes.values()) else 0

    def _gathers(self) -> bool:
        """Whether more connections are likely to be ready in a moment, so that a commit is worth waiting for them."""
        if time.monotonic() - self._offered_at > GATHERING_SECONDS:
            return False
        conversations = [each for lane in self._lanes.values() for each in lane.conversations]
        return sum(each.is_ready for each in conversations) < min(len(conversations), WORTH_A_COMMIT)

    def _poll(self, timeout: float) -> None:
        """Hear what servers have said, waiting for it at most so many seconds."""
        for heard in self._board.listen(timeout):
            if heard is None:
                self._greet_new()
                continue
            lane, conversation, is_readable, is_writable = heard
            if is_readable:
                conversation.receive()
            self._hear(lane, conversation)
            if not conversation.is_over:
                self._flush(lane, conversation)
                if is_writable and not conversation.wants_to_write:
                    self._board.watch(lane, conversation, for_room=False)

    def _hear(self, lane: Lane, conversation: Conversation) -> None:
        """Sort the answers of a conversation into what was sent and what was not."""
        for answer in conversation.answers:
            self._note(lane, conversation, answer)
        conversation.answers.clear()
        if conversation.is_over and conversation in lane.conversations:
            self._drop(lane, conversation)

    def _note(self, lane: Lane, conversation: Conversation, answer: Answer) -> None:
        mail = cast(Mail, answer.parcel)
        if answer.code is not None and 200 <= answer.code < 300:
            if not lane.has_worked:
                lane.has_worked = True
                self._in_session(lambda: relays.relay_works(lane.relay_id))
            lane.use["taken"] += 1
            self._done.append(Sent(mail.taken.id, mail.slice_id, cast(datetime, mail.since), answer.code, answer.text))
            self._answered.add(mail.taken.broadcast_id)
            self._tally.unmark(mail.slice_id, mail.taken.id)
            self.sent += 1
            return
        lane.use["refused"] += 1
        self._tally.unmark(mail.slice_id, mail.taken.id)
        failure = classify(answer.stage, answer.code, answer.text)
        self._failed.append(Failed(mail.taken, mail.slice_id, mail.since, failure, answer.code, answer.text))
        # A server may end a conversation that went well; the next one shows whether it still takes mails.
        hung_up_after_work = answer.code == 421 and conversation.accepted
        if failure in RELAY_AT_FAULT and not hung_up_after_work:
            self._rest(lane, failure, answer.text)

    def _drop(self, lane: Lane, conversation: Conversation) -> None:
        lane.conversations.remove(conversation)
        self._board.forget(conversation)
        if conversation.untouched is not None:
            mail = cast(Mail, conversation.untouched)
            conversation.untouched = None
            if lane.is_resting or self._is_told_to_stop():
                self._hand_back([(mail.taken, mail.slice_id)])
            else:
                lane.queue.appendleft((mail.taken, mail.slice_id))
        if not conversation.accepted and conversation.last_words and not lane.conversations and not lane.is_resting:
            self._rest(lane, Failure.RELAY, conversation.last_words)

    # Commits.

    def _round(self) -> None:
        """Go on with the rounds: end the one that is durable by now, and begin the next."""
        under_way = self._round_under_way
        if under_way is not None:
            if not under_way.commit.is_over.is_set():
                return
            self._end_round(under_way)
        if self._failed:
            self._settle()
        if not self._gathers():
            self._begin_round()
        self._tally.fold_when_due()
        self._close_finished_slices()

    def _begin_round(self) -> None:
        """Store what was answered and mark what is ready, in one transaction that another thread makes durable."""
        for lane in list(self._lanes.values()):
            ready = [
                (cast(Mail, conversation.ahead), conversation)
                for conversation in lane.conversations
                if conversation.is_ready
            ]
            if not ready and not self._done:
                continue
            # Each relay in its turn.
            self._lanes[lane.relay_id] = self._lanes.pop(lane.relay_id)
            now = self.now()
            done, self._done = self._done, []
            answered, self._answered = self._answered, set()
            for mail, _conversation in ready:
                self._tally.mark(mail.slice_id, mail.taken.id, now)
                self._touched.add(mail.taken.broadcast_id)
            work = partial(
                results.store_and_mark,
                sent=done,
                next_ones=[mail.taken for mail, _conversation in ready],
                offered=self._tally.changed_marks(),
                relay_id=lane.relay_id,
                is_bounded=lane.is_bounded,
                now=now,
            )
            granted, commit = self._store.begin(work)
            self._round_under_way = _Round(lane, ready, done, answered, granted, work, now, commit)
            return

    def _end_round(self, this: "_Round") -> None:
        """It is durable; then what was marked may go."""
        self._round_under_way = None
        granted = this.granted
        if this.commit.trouble is not None:
            granted = self._store.again(this.work)
        for each in this.done:
            self._tally.store_answer(each.slice_id)
        self._touched |= this.answered
        if not this.lane.is_bounded:
            this.lane.use["offered"] += len(granted)
        # A server that hung up in the meantime has not been offered anything: better known now than guessed later.
        self._poll(0)
        self._offer(this.lane, this.ready, granted, this.now)
        self._offered_at = time.monotonic()

    def _offer(
        self, lane: Lane, ready: list[tuple[Mail, Conversation]], granted: frozenset[int], now: datetime
    ) -> None:
        turned_away = []
        for mail, conversation in ready:
            if conversation.ahead is not mail:
                self._tally.unmark(mail.slice_id, mail.taken.id)
                continue
            if mail.taken.id not in granted:
                turned_away.append(mail)
                self._tally.unmark(mail.slice_id, mail.taken.id)
                conversation.take_back()
                self._drop(lane, conversation)
                continue
            mail.since = now
            conversation.offer()
            if conversation.pipelining and lane.has_more and not lane.is_resting:
                following = self._next_mail(lane)
                if following is not None:
                    conversation.begin(following)
            self._flush(lane, conversation)
        if turned_away:
            self._turn_away(lane, turned_away)

    def _turn_away(self, lane: Lane, mails: list[Mail]) -> None:
        """Close or give back what may not go. Of a broadcast that was stopped, that is everything that waits here."""
        stopped = self._close_unwanted(lane, [(mail.taken, mail.slice_id) for mail in mails])
        if stopped:
            self._stop_waiting(lane, stopped)

    def _stop_waiting(self, lane: Lane, broadcasts: Collection[int]) -> None:
        lane.unmake()
        others = [each for each in lane.queue if each[0].broadcast_id in broadcasts]
        lane.queue = deque(each for each in lane.queue if each[0].broadcast_id not in broadcasts)
        self._close_unwanted(lane, others)

    def _close_unwanted(self, lane: Lane, pairs: list[tuple[Taken, int]]) -> frozenset[int]:
        """Returns the broadcasts that were stopped; mails that may be sent after all come first again."""
        ids = [taken.id for taken, _slice_id in pairs]
        outcome = self._in_session(lambda: results.turn_away(ids, self._tally.slice_ids, self.now()))
        for taken, slice_id in pairs:
            self._touched.add(taken.broadcast_id)
            if taken.id in outcome.left:
                lane.queue.appendleft((taken, slice_id))
            else:
                self._tally.settle(slice_id)
        return outcome.stopped

    def _settle(self) -> None:
        failed, self._failed = self._failed, []
        refused = self._in_session(lambda: results.settle(failed, self.owner, self.now()))
        for each in failed:
            self._tally.settle(each.slice_id)
            self._touched.add(each.delivery.broadcast_id)
        for broadcast_id in refused:
            if self._in_session(partial(endings.trip_breaker, broadcast_id, self.now())):
                for lane in self._lanes.values():
                    self._stop_waiting(lane, {broadcast_id})

    def _close_finished_slices(self) -> None:
        seats = {lane.seat or 0 for lane in self._lanes.values() if lane.conversations or lane.connecting}
        finished = self._tally.finished(seats)
        if finished:
            self._tally.await_fold()
            self._in_session(lambda: leases.close_slices(finished))
            self._tally.forget(finished)
            for slice_id in finished:
                self._composer.forget(slice_id)

    def _tick(self) -> None:
        """What is looked after about once a second, whatever the pace."""
        since = time.monotonic()
        if since - self._last_tick < min(TICK_SECONDS, self.settings.lease_seconds / 4):
            return
        self._last_tick = since
        for lane in list(self._lanes.values()):
            for conversation in list(lane.conversations):
                conversation.check_patience(since)
                self._hear(lane, conversation)
                self._free_mail_behind(lane, conversation, since)
        if self._tally.slice_ids and since - self._last_renewal >= self.settings.lease_seconds / 4:
            self._last_renewal = since
            self._renew()
        if any(lane.is_busy for lane in self._lanes.values()):
            self._nothing_due = False  # more may have become due since it was asked for
        self._is_paused = self._in_session(pause_of_all) is not None
        self._look_after_relays(since)
        self._stop_closed_areas()
        self._ring()

    def _look_after_relays(self, since: float) -> None:
        """Leave relays that people put away, let connections go that nothing is sent over, tell what was given."""
        put_away = self._in_session(lambda: relays.put_away(self._lanes.keys())) if self._lanes else frozenset()
        for lane in self._lanes.values():
            if lane.relay_id in put_away and not lane.is_resting:
                lane.is_resting, self._nothing_due = True, False
                self._empty(lane)
            lane.idle_since = None if lane.is_busy else lane.idle_since or since
            if lane.idle_since is not None and since - lane.idle_since > KEPT_SECONDS:
                self._empty(lane)
        self._tell_use()

    def _tell_use(self) -> None:
        for lane in self._lanes.values():
            if lane.use:
                use, lane.use = lane.use, Counter()
                given = {name: use[name] for name in ("offered", "taken", "refused")}
                at = self.now()
                self._store.in_transaction(partial(relays.count_use, relay_id=lane.relay_id, now=at, use=given))

    def _free_mail_behind(self, lane: Lane, conversation: Conversation, now: float) -> None:
        """A mail whose envelope went ahead does not wait for a slow answer to the one before it."""
        mail = cast(Mail | None, conversation.ahead)
        if mail is not None and conversation.offered is not None and conversation.has_waited(now) > SLOW_SECONDS:
            conversation.take_back()
            lane.queue.appendleft((mail.taken, mail.slice_id))

    def _renew(self) -> None:
        """Keep the leases; when they are lost (this process was stopped for long), what was not offered is not ours."""
        if self._in_session(lambda: leases.renew(self.owner, self.settings, now=self.now())):
            return
        log.warning("the leases of %s were lost; what it had not offered goes to others", self.owner)
        self._tally.give_up()
        for lane in self._lanes.values():
            self._empty(lane)

    def _stop_closed_areas(self) -> None:
        """An area that was closed a moment ago stops its mails, also those already claimed."""
        for lane in self._lanes.values():
            lane.unmake()
            waiting = [taken for taken, _slice_id in lane.queue]
            if not waiting:
                continue
            stopped = {each.id for each in self._in_session(partial(leases.stop_not_allowed, waiting, self.now()))}
            for taken, slice_id in lane.queue:
                if taken.id in stopped:
                    self._tally.settle(slice_id)
            lane.queue = deque(each for each in lane.queue if each[0].id not in stopped)

    def _ring(self) -> None:
        """Ring the progress pages of what has moved, and close what is complete."""
        touched, self._touched = self._touched, set()
        if touched:
            self._tally.fold(self._store.in_transaction)
            self._in_session(lambda: self._ring_and_finish(touched))

    def _ring_and_finish(self, touched: set[int]) -> None:
        endings.finish(self.now(), touched)
        events.ring(*[events.broadcast_topic(each) for each in touched])

    # The end.

    def _let_go(self) -> None:
        for lane in list(self._lanes.values()):
            self._empty(lane)

    def _await_last_answers(self) -> None:
        """Whatever was offered deserves its answer; on the way out not for as long as the protocol allows."""
        told_at: float | None = None
        while self._round_under_way or any(each.offered for at in self._lanes.values() for each in at.conversations):
            if self.stop.is_set():
                told_at = told_at or time.monotonic()
                if time.monotonic() - told_at > LAST_ANSWERS_SECONDS:
                    self._hang_up()
            self._hear_and_store()
            self._tick()
        while self._failed or self._done or self._round_under_way:
            self._offered_at = 0.0
            self._hear_and_store()
        self._close_finished_slices()
        self._tell_use()
        self._ring()

    def _hang_up(self) -> None:
        for lane in list(self._lanes.values()):
            for conversation in list(lane.conversations):
                conversation.give_up("the sending process had to end")
                self._hear(lane, conversation)

    def _close(self) -> None:
        for lane in self._lanes.values():
            for conversation in lane.conversations:
                conversation.close()
        self._store.close()
        self._tally.close()
        self._board.close()
