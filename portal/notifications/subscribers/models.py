"""The subscribers of each portal domain."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Versioned
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberSource, SubscriberState


class Subscriber(Versioned, Base):
    """An address without a login that hears what is public on one portal domain.

    `topics` are the kinds it asked for ("incidents") and what narrows them ("component:12"), opaque here. `key` is what
    its links are made of; a new one ends all that were mailed before. For all but mails `address` is only the mask of
    what the channel (`contact_channel_id`) has sealed, and `address_key` its keyed hash. `is_shared` means that many
    read the mailbox: the link in a mail alone changes nothing. `consent` is how staff came to it, `reason` why it is in
    quarantine, `asked_at` when a letter was last asked for.
    """

    __tablename__ = "subscriber"
    __table_args__ = (
        UniqueConstraint("domain_id", "kind", "address_key"),
        # Whoever is told of something is read by id among the active ones.
        Index("ix_subscriber_state", "state", "kind", "id"),
        Index("ix_subscriber_address_key", "address_key"),
        Index("ix_subscriber_contact_channel_id", "contact_channel_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"))
    kind: Mapped[SubscriberKind]
    key: Mapped[str] = mapped_column(String(32), unique=True)
    address: Mapped[str] = mapped_column(String(254))
    address_key: Mapped[str] = mapped_column(String(254))
    contact_channel_id: Mapped[int | None]
    language: Mapped[str] = mapped_column(String(10), default="en")
    topics: Mapped[list[str]] = mapped_column(JSON, default=list)
    is_shared: Mapped[bool] = mapped_column(default=False)
    state: Mapped[SubscriberState]
    source: Mapped[SubscriberSource]
    consent: Mapped[str] = mapped_column(String(500), default="")
    reason: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None]
    asked_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    quarantined_at: Mapped[datetime | None]


class SubscriberFollowing(Base):
    """A subscriber hears of one conversation of broadcasts, such as that of an incident, whatever else they hear of.

    `conversation` is the `thread_key` of its broadcasts, opaque here, and `topic` that of their kind, so that whoever
    leaves the list leaves this too.
    """

    __tablename__ = "subscriber_following"
    __table_args__ = (
        # Who follows one is read by it, and every one that is followed is found by skipping along it.
        Index("ix_subscriber_following_conversation", "conversation", "subscriber_id"),
    )

    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscriber.id", ondelete="CASCADE"), primary_key=True)
    conversation: Mapped[str] = mapped_column(String(60), primary_key=True)
    topic: Mapped[str] = mapped_column(String(60))
    since: Mapped[datetime]
