"""External monitors that may open drafts, and the conditions they have told of."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.catalogue.models import Component
from portal.database import Base, Versioned
from portal.incidents.rules import Severity
from portal.incidents.rules.monitors import Shape

STANDS = text("over_at IS NULL")


class Monitor(Versioned, Base):
    """Something outside that watches, and says so to an address of its own.

    `key_hash` is of the secret in that address, `hint` its beginning. `severity` is how bad something is of which
    neither the monitor nor a match says it. `publishes` has what staff write by mail published instead of drafted.
    `last_trouble` is why its last message was not understood.
    """

    __tablename__ = "monitor"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    shape: Mapped[Shape]
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(12))
    severity: Mapped[Severity]
    publishes: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    last_heard_at: Mapped[datetime | None]
    last_trouble: Mapped[str] = mapped_column(String(300), default="")

    matches: Mapped[list["MonitorMatch"]] = relationship(
        back_populates="monitor", lazy="raise_on_sql", order_by="MonitorMatch.id", cascade="all, delete-orphan"
    )


class MonitorMatch(Base):
    """A word of this monitor (a label, a name) that stands for a component."""

    __tablename__ = "monitor_match"
    __table_args__ = (
        UniqueConstraint("monitor_id", "word", "component_id"),
        Index("ix_monitor_match_component_id", "component_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    monitor_id: Mapped[int] = mapped_column(ForeignKey("monitor.id", ondelete="CASCADE"))
    word: Mapped[str] = mapped_column(String(200))
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"))
    severity: Mapped[Severity]

    monitor: Mapped[Monitor] = relationship(back_populates="matches", lazy="raise_on_sql")
    component: Mapped[Component] = relationship(lazy="raise_on_sql")


class MonitorCondition(Base):
    """Something a monitor said is wrong, from the first word of it until it said that it is over.

    `fold` is the monitor's own name for it, hashed. `draft_id` is the draft it opened or was counted in, `incident_id`
    the open report it was found to be about instead.
    """

    __tablename__ = "monitor_condition"
    __table_args__ = (
        Index(
            "uq_monitor_condition_stands",
            "monitor_id",
            "fold",
            unique=True,
            sqlite_where=STANDS,
            postgresql_where=STANDS,
        ),
        Index("ix_monitor_condition_draft_id", "draft_id"),
        Index("ix_monitor_condition_incident_id", "incident_id"),
        Index("ix_monitor_condition_last_at", "last_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    monitor_id: Mapped[int] = mapped_column(ForeignKey("monitor.id", ondelete="CASCADE"))
    fold: Mapped[str] = mapped_column(String(32))
    title: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text, default="")
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    over_at: Mapped[datetime | None]
    signals: Mapped[int] = mapped_column(default=1)
    draft_id: Mapped[int | None] = mapped_column(ForeignKey("incident_draft.id", ondelete="SET NULL"))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id", ondelete="SET NULL"))

    monitor: Mapped[Monitor] = relationship(lazy="raise_on_sql")
