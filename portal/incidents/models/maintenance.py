"""Planned work: windows with their timeline and components, what they recur by, and what customers ask of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Company, Person
from portal.catalogue.models import OWN, Component
from portal.database import Base, Versioned
from portal.incidents.rules import Audience, MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice, SlotState, WorkImpact

IS_DUE: Any = text("due_at IS NOT NULL")
IS_OPEN: Any = text("state = 'open'")


class MaintenanceSeries(Versioned, Base):
    """Planned work that recurs. Its occurrences are maintenances, made ahead up to a horizon.

    `rule` is an RRULE, reckoned in wall-clock time from `starts_on` (ISO, local, to the minute) in `zone`;
    `duration` is real minutes. `due_at` is when further occurrences are made; None once there are no more.
    `titles` and `bodies` are its texts in other languages.
    """

    __tablename__ = "maintenance_series"
    __table_args__ = (Index("ix_maintenance_series_due", "due_at", sqlite_where=IS_DUE, postgresql_where=IS_DUE),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    titles: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    bodies: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    rule: Mapped[str] = mapped_column(String(400))
    starts_on: Mapped[str] = mapped_column(String(16))
    duration: Mapped[int]
    zone: Mapped[str] = mapped_column(String(64))
    impact: Mapped[WorkImpact]
    visibility: Mapped[Visibility]
    audience: Mapped[Audience]
    notify: Mapped[bool]
    reminders: Mapped[list[int]] = mapped_column(JSON, default=list)
    starts_itself: Mapped[bool]
    ends_itself: Mapped[bool]
    due_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))

    owner: Mapped[Person | None] = relationship(foreign_keys=[owner_id], lazy="raise_on_sql")
    components: Mapped[list["MaintenanceSeriesComponent"]] = relationship(back_populates="series", lazy="raise_on_sql")


class MaintenanceSeriesComponent(Base):
    """A component that recurring work is done on."""

    __tablename__ = "maintenance_series_component"
    __table_args__ = (Index("ix_maintenance_series_component_component_id", "component_id"),)

    series_id: Mapped[int] = mapped_column(ForeignKey("maintenance_series.id", ondelete="CASCADE"), primary_key=True)
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"), primary_key=True)

    series: Mapped[MaintenanceSeries] = relationship(back_populates="components", lazy="raise_on_sql")
    component: Mapped[Component] = relationship(lazy="raise_on_sql")


class Maintenance(Versioned, Base):
    """Planned work with its window. What it is at a moment `rules.maintenance.state_of` says; `state` is how far its
    notices and the people who do it have come.

    `zone` is the zone its times were entered in, `reminders` minutes before the start, the longest first, of which
    `reminded` are done. `due_at` is when something is due of it next. `announced_at` is when customers were given the
    times it has; `sequence` counts what calendars were told. `staff_told_at` and `asked` are about its owner. An
    occurrence of a series has `occurs_at`, when the series wants it, which stays where it is moved by itself
    (`is_detached`). Imported and backfilled work has no `due_at`: nobody is told of it.
    `titles` are the title in other languages (`rules.languages`), `subjects` what its mails are called by language.
    """

    __tablename__ = "maintenance"
    __table_args__ = (
        UniqueConstraint("source", "public_id"),
        Index("ix_maintenance_window", "starts_at", "ends_at"),
        Index("ix_maintenance_due", "due_at", sqlite_where=IS_DUE, postgresql_where=IS_DUE),
        Index("uq_maintenance_occurrence", "series_id", "occurs_at", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(40), default=OWN)
    title: Mapped[str] = mapped_column(String(200))
    titles: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    subjects: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    state: Mapped[MaintenanceState]
    visibility: Mapped[Visibility] = mapped_column(default=Visibility.PUBLIC)
    audience: Mapped[Audience] = mapped_column(default=Audience.EVERYONE)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    zone: Mapped[str] = mapped_column(String(64), default="UTC", server_default="UTC")
    impact: Mapped[WorkImpact] = mapped_column(default=WorkImpact.DEGRADED, server_default="degraded")
    notify: Mapped[bool] = mapped_column(default=True, server_default=true())
    reminders: Mapped[list[int]] = mapped_column(JSON, default=list, server_default="[]")
    reminded: Mapped[int] = mapped_column(default=0, server_default="0")
    starts_itself: Mapped[bool] = mapped_column(default=True, server_default=true())
    ends_itself: Mapped[bool] = mapped_column(default=True, server_default=true())
    due_at: Mapped[datetime | None]
    announced_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    staff_told_at: Mapped[datetime | None]
    asked: Mapped[int] = mapped_column(default=0, server_default="0")
    sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    is_backfill: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    public_updated_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    series_id: Mapped[int | None] = mapped_column(ForeignKey("maintenance_series.id", ondelete="SET NULL"))
    occurs_at: Mapped[datetime | None]
    is_detached: Mapped[bool] = mapped_column(default=False, server_default=false())

    updates: Mapped[list["MaintenanceUpdate"]] = relationship(
        back_populates="maintenance",
        lazy="raise_on_sql",
        order_by="MaintenanceUpdate.posted_at.desc(), MaintenanceUpdate.id.desc()",
    )
    components: Mapped[list["MaintenanceComponent"]] = relationship(back_populates="maintenance", lazy="raise_on_sql")
    series: Mapped[MaintenanceSeries | None] = relationship(lazy="raise_on_sql")
    owner: Mapped[Person | None] = relationship(foreign_keys=[owner_id], lazy="raise_on_sql")


class MaintenanceUpdate(Base):
    """One entry of a maintenance's timeline. `body` is empty where nobody wrote a text: then `kind` says it.

    `starts_at` and `ends_at` are the times it told of. A reminder is an entry too, which only staff are shown.
    `is_late` marks a notice that a clock should have sent earlier.
    """

    __tablename__ = "maintenance_update"
    __table_args__ = (UniqueConstraint("maintenance_id", "public_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    maintenance_id: Mapped[int] = mapped_column(ForeignKey("maintenance.id", ondelete="CASCADE"))
    public_id: Mapped[str] = mapped_column(String(40))
    kind: Mapped[Notice] = mapped_column(default=Notice.NOTE, server_default="note")
    state: Mapped[MaintenanceState]
    body: Mapped[str] = mapped_column(Text)
    bodies: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    posted_at: Mapped[datetime]
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    notify: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_late: Mapped[bool] = mapped_column(default=False, server_default=false())
    author_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))

    maintenance: Mapped[Maintenance] = relationship(back_populates="updates", lazy="raise_on_sql")
    author: Mapped[Person | None] = relationship(lazy="raise_on_sql")


class MaintenanceComponent(Base):
    """A component this maintenance is worked on."""

    __tablename__ = "maintenance_component"
    __table_args__ = (
        UniqueConstraint("maintenance_id", "component_id"),
        Index("ix_maintenance_component_component_id", "component_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    maintenance_id: Mapped[int] = mapped_column(ForeignKey("maintenance.id", ondelete="CASCADE"))
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"))

    maintenance: Mapped[Maintenance] = relationship(back_populates="components", lazy="raise_on_sql")
    component: Mapped[Component] = relationship(lazy="raise_on_sql")


class SlotRequest(Versioned, Base):
    """A company asks for a maintenance at another time; one wish of it is open at a time."""

    __tablename__ = "slot_request"
    __table_args__ = (
        Index(
            "uq_slot_request_open",
            "maintenance_id",
            "company_id",
            unique=True,
            sqlite_where=IS_OPEN,
            postgresql_where=IS_OPEN,
        ),
        Index("ix_slot_request_maintenance_id", "maintenance_id"),
        Index("ix_slot_request_company_id", "company_id"),
        Index("ix_slot_request_state", "created_at", "id", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    maintenance_id: Mapped[int] = mapped_column(ForeignKey("maintenance.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    text: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    zone: Mapped[str] = mapped_column(String(64), default="UTC")
    state: Mapped[SlotState] = mapped_column(default=SlotState.OPEN)
    answer: Mapped[str] = mapped_column(Text, default="")
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]

    maintenance: Mapped[Maintenance] = relationship(lazy="raise_on_sql")
    company: Mapped[Company] = relationship(lazy="raise_on_sql")
    person: Mapped[Person | None] = relationship(foreign_keys=[person_id], lazy="raise_on_sql")
    answered_by: Mapped[Person | None] = relationship(foreign_keys=[answered_by_id], lazy="raise_on_sql")


class Freeze(Base):
    """From–to, a company asks that nothing it uses is worked on; planners see it, nothing is refused for it."""

    __tablename__ = "freeze"
    __table_args__ = (Index("ix_freeze_company_id", "company_id", "ends_at"), Index("ix_freeze_ends_at", "ends_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    zone: Mapped[str] = mapped_column(String(64), default="UTC")
    reason: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    removed_at: Mapped[datetime | None]

    company: Mapped[Company] = relationship(lazy="raise_on_sql")
    created_by: Mapped[Person | None] = relationship(lazy="raise_on_sql")
