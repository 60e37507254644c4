"""What was learnt of an incident, written after it was fixed."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Versioned


class Postmortem(Versioned, Base):
    """The postmortem of one incident. Nobody but staff knows of it before `published_at`.

    `body` is what customers read once it is published; until then it is the draft; `bodies` is the
    same in other languages. `notify` says whether they were
    mailed, and `changed_at` moves with every change of the text.
    """

    __tablename__ = "postmortem"

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"), unique=True)
    public_id: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    bodies: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    author_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    notify: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
