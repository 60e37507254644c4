"""The outbox: what a broadcast and a delivery may be. Source: reliability-security, sections 4.1 to 4.5."""

from enum import StrEnum


class BroadcastState(StrEnum):
    """EXPANDING until every recipient has its delivery, then SENDING; DONE once no delivery is open."""

    EXPANDING = "expanding"
    SENDING = "sending"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    """PENDING → CLAIMED → SENDING → SENT; the others end it, but for soft failures, which go back to PENDING."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.SENDING)


class SuppressionReason(StrEnum):
    HARD_BOUNCE = "hard_bounce"
    UNSUBSCRIBED = "unsubscribed"
    COMPLAINT = "complaint"
    BY_HAND = "by_hand"


class RelayState(StrEnum):
    UP = "up"
    PAUSED = "paused"
    BROKEN = "broken"
