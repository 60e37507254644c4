"""The announcements of portal domains."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Versioned

WAITS = text("tells_subscribers AND told_at IS NULL")
"""What subscribers are to be told of and have not been: what `ix_announcement_to_tell` holds."""


class Announcement(Versioned, Base):
    """What stands on one portal domain from `starts_at` on, until `ends_at` if that is given.

    `wordings` are what was written, by language: {"en": {"title": …, "body": …}}, the body in Markdown; `title` is that
    of the domain's own language, else of the first. A pinned one stands above the incidents.
    With `tells_subscribers` those who subscribed to announcements are told once it stands; `told_at` is when they were.
    """

    __tablename__ = "announcement"
    __table_args__ = (
        Index("ix_announcement_domain_id", "domain_id", "starts_at"),
        Index("ix_announcement_to_tell", "starts_at", sqlite_where=WAITS, postgresql_where=WAITS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(160))
    wordings: Mapped[dict[str, dict[str, str]]] = mapped_column(JSON)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    is_pinned: Mapped[bool] = mapped_column(default=False, server_default=false())
    tells_subscribers: Mapped[bool] = mapped_column(default=False, server_default=false())
    told_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
