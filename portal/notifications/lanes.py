"""The relays a sending process uses, and the mails on their way through them."""

from collections import Counter, deque
from datetime import datetime

from portal.notifications.leases import Claim, Taken
from portal.notifications.smtp import Conversation, Parcel, Route


class Mail(Parcel):
    """A claimed delivery on its way through a conversation. `since` is set once it is marked as being sent."""

    __slots__ = ("since", "slice_id", "taken")

    def __init__(self, taken: Taken, slice_id: int, sender: str, recipient: str, body: bytes) -> None:
        super().__init__(sender, recipient, body)
        self.taken = taken
        self.slice_id = slice_id
        self.since: datetime | None = None


class Lane:
    """One relay as this process uses it: its connections, and the mails that wait for one."""

    def __init__(self, relay_id: int) -> None:
        self.relay_id = relay_id
        self.route = Route("localhost", 25, "smtp")
        self.wanted = 0
        self.connecting = 0
        self.conversations: list[Conversation] = []
        self.queue: deque[tuple[Taken, int]] = deque()
        self.made: deque[Mail] = deque()
        self.has_worked = False
        self.is_resting = False
        self.is_bounded = False
        self.seat: int | None = None
        self.use: Counter[str] = Counter()
        self.idle_since: float | None = None

    def take_up(self, claim: Claim) -> None:
        """Use it for the mails of a claim; one that rested is tried anew, while old connections may still wait.

        The newest slice is kept for as long as there are connections: it is what counts them for other processes.
        """
        self.route = Route.of(claim.relay_url)
        self.wanted = claim.connections
        self.is_bounded = claim.is_bounded
        self.seat = claim.slice_id
        self.has_worked = self.has_worked and not self.is_resting
        self.is_resting = False

    def unmake(self) -> None:
        """Put the mails that were composed ahead back to where they came from."""
        self.queue.extendleft([(mail.taken, mail.slice_id) for mail in reversed(self.made)])
        self.made.clear()

    @property
    def has_more(self) -> bool:
        """Whether a mail waits for a connection."""
        return bool(self.made or self.queue)

    @property
    def is_busy(self) -> bool:
        return bool(self.has_more or self.connecting) or any(not each.is_idle for each in self.conversations)
