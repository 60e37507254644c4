"""What a component is said to be by hand, without an incident."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Person
from portal.catalogue.models import Component
from portal.database import Base, Versioned
from portal.incidents.rules import Severity
from portal.incidents.rules.base import NOTE_LENGTH

IS_DUE: Any = text("due_at IS NOT NULL")


class BaseStatus(Versioned, Base):
    """From–to, a component was set to this by hand; a stretch like those of incidents, and counted with them.

    No row is operational. `to_at` is None until somebody ends it; one that ends by itself has it ahead. `note` is
    staff's own. `nagged` is how many of the steps of `rules.base` staff were asked at, and `due_at` when the clock has
    something to do of it: asking again, or telling open pages that it ended.
    """

    __tablename__ = "base_status"
    __table_args__ = (
        Index("ix_base_status_component_id", "component_id", "from_at"),
        Index("ix_base_status_to_at", "to_at"),
        Index("ix_base_status_due", "due_at", sqlite_where=IS_DUE, postgresql_where=IS_DUE),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"))
    severity: Mapped[Severity]
    from_at: Mapped[datetime]
    to_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(String(NOTE_LENGTH), default="")
    set_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    nagged: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]

    component: Mapped[Component] = relationship(lazy="raise_on_sql")
    set_by: Mapped[Person | None] = relationship(lazy="raise_on_sql")
