"""The connections of a sending process, opened by threads and watched together."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue

from portal.notifications.lanes import Lane
from portal.notifications.smtp import Conversation, Link, Refusal, connect


class Switchboard:
    """Dials relays, watches the conversations with them, and can be rung from other threads.

    `mail_domain` is the name this side gives in its greeting.
    """

    def __init__(self, mail_domain: str) -> None:
        self._mail_domain = mail_domain
        self._selector = selectors.DefaultSelector()
        self._links: SimpleQueue[tuple[Lane, Link | Refusal]] = SimpleQueue()
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def dial(self, lane: Lane) -> None:
        """Open one more connection, in a thread; what came of it is among the `arrivals`."""
        lane.connecting += 1
        threading.Thread(target=self._dial, args=(lane,), daemon=True).start()

    def _dial(self, lane: Lane) -> None:
        try:
            answer: Link | Refusal = connect(lane.route, self._mail_domain)
        except Refusal as refusal:
            answer = refusal
        self._links.put((lane, answer))
        if not self.ring():
            self._discard()

    def ring(self) -> bool:
        """Have the loop look around, from another thread; whether it is still there."""
        try:
            self._wake.send(b"!")
        except OSError:
            return False
        return True

    def arrivals(self) -> Iterator[tuple[Lane, Conversation | Refusal]]:
        """The relays that have answered, with a conversation that is watched, or why there is none.

        A relay that rests by now is hung up on, and not named.
        """
        while not self._links.empty():
            lane, answer = self._links.get()
            lane.connecting -= 1
            if isinstance(answer, Refusal):
                yield lane, answer
            elif lane.is_resting:
                answer.sock.close()
            else:
                conversation = Conversation(answer)
                self._selector.register(conversation.sock, selectors.EVENT_READ, (lane, conversation))
                yield lane, conversation

    def listen(self, timeout: float) -> Iterator[tuple[Lane, Conversation, bool, bool] | None]:
        """What happens within so many seconds: a conversation that can be read or written, None for a ring."""
        for key, mask in self._selector.select(timeout):
            if key.data is None:
                self._woken.recv(4096)
                yield None
                continue
            lane, conversation = key.data
            yield lane, conversation, bool(mask & selectors.EVENT_READ), bool(mask & selectors.EVENT_WRITE)

    def watch(self, lane: Lane, conversation: Conversation, *, for_room: bool) -> None:
        """Watch it for what the relay says, and for room to write where more is to be written."""
        wanted = selectors.EVENT_READ | selectors.EVENT_WRITE if for_room else selectors.EVENT_READ
        self._selector.modify(conversation.sock, wanted, (lane, conversation))

    def forget(self, conversation: Conversation) -> None:
        """Watch it no more. Its descriptor may be closed, so it is found by the object and not by its number."""
        for key in [key for key in self._selector.get_map().values() if key.data and key.data[1] is conversation]:
            self._selector.unregister(key.fileobj)

    def close(self) -> None:
        """Watch nothing any more, and hang up on relays that answer now."""
        self._selector.close()
        self._woken.close()
        self._wake.close()
        self._discard()

    def _discard(self) -> None:
        while not self._links.empty():
            with suppress(Empty):
                _lane, answer = self._links.get_nowait()
                if isinstance(answer, Link):
                    answer.sock.close()
