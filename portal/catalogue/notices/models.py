"""The notices staff write by hand."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from portal.accounts.models import Person
from portal.catalogue.notices.rules import Chosen, NoticeState
from portal.database import Base, Versioned
from portal.searching import KEY_LENGTH, key_of, keyed

IS_SCHEDULED = text("state = 'scheduled'")


class Notice(Versioned, Base):
    """What staff want to tell many people: a draft, then scheduled perhaps, then sent.

    `wordings` are what was typed, by language: {"en": {"subject": …, "body": …}}; `title` is the subject of the first.
    `chosen` says to whom (`rules.Chosen`). `due_at` is when it is to start and `due_zone` the zone that was entered in.
    `trouble` is why it did not start when it was due. Once sent, `broadcast_id` is what became of it.
    """

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_due", "due_at", sqlite_where=IS_SCHEDULED, postgresql_where=IS_SCHEDULED),
        Index("ix_notice_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(250))
    title_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=keyed("title"), server_default="")
    wordings: Mapped[dict[str, dict[str, str]]] = mapped_column(JSON)
    chosen: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[NoticeState] = mapped_column(default=NoticeState.DRAFT)
    due_at: Mapped[datetime | None]
    due_zone: Mapped[str | None] = mapped_column(String(64))
    trouble: Mapped[str | None] = mapped_column(String(500))
    broadcast_id: Mapped[int | None] = mapped_column(ForeignKey("broadcast.id", ondelete="SET NULL"), unique=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    sent_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))

    created_by: Mapped[Person | None] = relationship(foreign_keys=[created_by_id], lazy="raise_on_sql")

    @validates("title")
    def _key_title(self, _name: str, value: str) -> str:
        self.title_key = key_of(value)
        return value

    @property
    def to(self) -> Chosen:
        """To whom it goes."""
        return Chosen.read(self.chosen)
