"""Reports as they were understood, and the mailbox they are polled from."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base
from portal.notifications.bounces.rules import CameBy, Outcome


class BounceReport(Base):
    """A report that came back, and what was made of it.

    `digest` hashes what the report says of which delivery, so that the same one is counted once whichever way and
    however often it comes; of one that names no mail of ours it hashes the bytes. `address_key` and `delivery_id`
    are those of the delivery it is about, `words` what it says itself, or why nothing could be made of it.
    """

    __tablename__ = "bounce_report"
    __table_args__ = (
        Index("ix_bounce_report_received_at", "received_at"),
        Index("ix_bounce_report_address_key", "address_key"),
        Index("ix_bounce_report_delivery_id", "delivery_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    came_by: Mapped[CameBy]
    outcome: Mapped[Outcome]
    delivery_id: Mapped[int | None]
    address_key: Mapped[str | None] = mapped_column(String(254))
    enhanced_code: Mapped[str | None] = mapped_column(String(12))
    subject: Mapped[str] = mapped_column(String(200), default="")
    words: Mapped[str] = mapped_column(String(500), default="")
    received_at: Mapped[datetime]


class BounceMailbox(Base):
    """How the mailbox of PORTAL_BOUNCE_IMAP_URL fares. One row, whose id is 1, made by the migration.

    `owner` polls it until `leased_until`, and nobody else. `fingerprint` is a hash of the address and login last used,
    so that corrected ones are tried at once. `failing_since` is when it last stopped answering, `last_answer` with
    which words; `pause_seconds` is how long it rests then. `polled_at` is when it was last read, and `unread`
    how many reports lay in it afterwards still (None: nobody has looked yet).
    """

    __tablename__ = "bounce_mailbox"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    owner: Mapped[str | None] = mapped_column(String(80))
    leased_until: Mapped[datetime | None]
    next_poll_at: Mapped[datetime | None]
    pause_seconds: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None]
    last_answer: Mapped[str | None] = mapped_column(String(500))
    polled_at: Mapped[datetime | None]
    unread: Mapped[int | None]
