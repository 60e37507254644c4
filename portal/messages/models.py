"""What was written to and fro between customers and staff, and since when a customer waits for an answer."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base

_IS_WAITING = text("waits_since IS NOT NULL")


class Thread(Base):
    """Everything that was written about one subject of an upper capability, known by kind and id only.

    `waits_since` is when the customer wrote what nobody has answered yet: a reply of staff clears it, looking at it or
    noting something does not. `last_public_at` is when either side last wrote something the other can read.
    """

    __tablename__ = "thread"
    __table_args__ = (
        UniqueConstraint("subject_kind", "subject_id"),
        Index("ix_thread_company_id", "company_id"),
        Index("ix_thread_waiting", "waits_since", "id", sqlite_where=_IS_WAITING, postgresql_where=_IS_WAITING),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(24))
    subject_id: Mapped[int]
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    waits_since: Mapped[datetime | None]
    last_public_at: Mapped[datetime | None]


class Message(Base):
    """One message of a thread, or with `is_internal` a note of staff to staff that no customer ever sees.

    `author_name` is how the author was called when it was written. `idempotency_key` is made of its author and the key
    of the form, so that a form sent twice is one message.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_thread_id_id", "thread_id", "id"),
        Index("ix_message_person_id", "person_id"),
        Index("ix_message_sent_at", "sent_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(26), unique=True)
    thread_id: Mapped[int] = mapped_column(ForeignKey("thread.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    author_name: Mapped[str] = mapped_column(String(200))
    is_staff: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_internal: Mapped[bool] = mapped_column(default=False, server_default=false())
    body: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime]
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
