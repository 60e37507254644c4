"""What a report said before it was changed."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Person
from portal.database import Base
from portal.incidents.rules.revisions import Revised


class IncidentRevision(Base):
    """One change of one part of a report: what stood there before, and after.

    `part_id` tells several of the same sort apart: the update whose text it was, the wording. `seen_from` is since
    when customers could read what stood there before, None where they never could; they could until `changed_at`.
    `by_label` names who is no person: a token, the installation itself.
    """

    __tablename__ = "incident_revision"
    __table_args__ = (Index("ix_incident_revision_incident_id", "incident_id", "what", "part_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    what: Mapped[Revised]
    part_id: Mapped[int] = mapped_column(default=0)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    seen_from: Mapped[datetime | None]
    changed_at: Mapped[datetime]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    by_label: Mapped[str] = mapped_column(String(120), default="")

    by: Mapped[Person | None] = relationship(lazy="raise_on_sql")
