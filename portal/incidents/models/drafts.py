"""Reports that are not published yet. They exist on staff screens and for staff's own tokens, and nowhere else."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Person
from portal.database import Base, Versioned
from portal.incidents.rules.drafts import Origin, Stage

IS_OPEN = text("published_at IS NULL AND discarded_at IS NULL")


class IncidentDraft(Versioned, Base):
    """A report as it would be published: frozen in `content`, as `rules.drafts.DraftContent` writes itself.

    `origin` is who began it, and `origin_name` which monitor or mailbox. What says the same again while it is open has
    the same `fold_key` and is counted in `signals` instead of becoming another draft; `evidence` is what the first
    and the last of them said, as text. With `publish_at` the clock publishes it then, as a clock in `zone` showed it;
    `trouble` is why it could not. `owner_id` is whom that concerns: who last saved it by hand.
    """

    __tablename__ = "incident_draft"
    __table_args__ = (
        Index("uq_incident_draft_fold_key", "fold_key", unique=True, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
        Index("ix_incident_draft_open", "id", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
        Index(
            "ix_incident_draft_publish_at",
            "publish_at",
            sqlite_where=text("publish_at IS NOT NULL"),
            postgresql_where=text("publish_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(200), default="")
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    origin: Mapped[Origin] = mapped_column(default=Origin.HAND)
    origin_name: Mapped[str] = mapped_column(String(120), default="")
    fold_key: Mapped[str | None] = mapped_column(String(200))
    signals: Mapped[int] = mapped_column(default=1)
    first_signal: Mapped[str] = mapped_column(Text, default="")
    last_signal: Mapped[str] = mapped_column(Text, default="")
    signalled_at: Mapped[datetime | None]
    publish_at: Mapped[datetime | None]
    zone: Mapped[str] = mapped_column(String(64), default="UTC")
    trouble: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    saved_at: Mapped[datetime]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    published_at: Mapped[datetime | None]
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id", ondelete="SET NULL"))
    discarded_at: Mapped[datetime | None]
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))

    owner: Mapped[Person | None] = relationship(foreign_keys=[owner_id], lazy="raise_on_sql")

    @property
    def is_open(self) -> bool:
        """Neither published nor discarded."""
        return self.published_at is None and self.discarded_at is None

    @property
    def stage(self) -> Stage:
        """What has become of it."""
        if self.published_at is not None:
            return Stage.PUBLISHED
        return Stage.OPEN if self.discarded_at is None else Stage.DISCARDED
