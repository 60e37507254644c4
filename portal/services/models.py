"""What staff state of holdings: updates, the periods and windows they make, and what decides who sees and hears it.

Stated statuses are sparse: a holding that nobody said anything of operates normally and has no row.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Company, Person
from portal.catalogue.models import Holding, Service
from portal.database import Base, Versioned
from portal.notifications.models import Broadcast
from portal.services.rules import Scope, ServiceStatus, UpdateKind, WindowState

IS_OPEN = text("ended_at IS NULL")
IS_DUE = text("due_at IS NOT NULL")
NAGS = text("nag_at IS NOT NULL")


class ServiceWindow(Versioned, Base):
    """Scheduled service on some holdings, from its announcement until its end.

    Whether it is under way follows the clock; `state` says how far its notices have come, and what was done by hand.
    `zone` is the zone its times were entered in. `due_at` is when something is due of it next: its reminder, its
    start, its end, or the question whether it is finished. `sequence` counts what calendars were told of it,
    `public_id` is what they know it by. `confirmed_at` is when somebody said that the work is done.
    """

    __tablename__ = "service_window"
    __table_args__ = (
        Index("ix_service_window_due", "due_at", sqlite_where=IS_DUE, postgresql_where=IS_DUE),
        Index("ix_service_window_ends_at", "ends_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    state: Mapped[WindowState] = mapped_column(default=WindowState.ANNOUNCED)
    notes: Mapped[str] = mapped_column(Text, default="")
    ticket: Mapped[str] = mapped_column(String(60), default="")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    zone: Mapped[str] = mapped_column(String(64))
    notify: Mapped[bool] = mapped_column(default=True, server_default=true())
    sequence: Mapped[int] = mapped_column(default=0, server_default="0")
    announced_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))

    owner: Mapped[Person | None] = relationship(lazy="raise_on_sql")
    holdings: Mapped[list["WindowHolding"]] = relationship(back_populates="window", lazy="raise_on_sql")


class WindowHolding(Base):
    """A holding in a window. `left_at` is when it was taken out of it before the end."""

    __tablename__ = "service_window_holding"
    __table_args__ = (
        Index("ix_service_window_holding_holding_id", "holding_id"),
        Index("ix_service_window_holding_company_id", "company_id"),
        Index("ix_service_window_holding_service_id", "service_id"),
    )

    window_id: Mapped[int] = mapped_column(ForeignKey("service_window.id", ondelete="CASCADE"), primary_key=True)
    holding_id: Mapped[int] = mapped_column(ForeignKey("holding.id", ondelete="CASCADE"), primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    service_id: Mapped[int] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"))
    left_at: Mapped[datetime | None]

    window: Mapped[ServiceWindow] = relationship(back_populates="holdings", lazy="raise_on_sql")


class ServiceUpdate(Base):
    """One act: a status, with what was said of it, for one or many holdings.

    `status` is what was set; `kind` says by what. `began_at` is when what it tells of began: the problem, or the
    recovery; for scheduled service it is when it was announced. `starts_at` and `ends_at` are the window's as this
    update told it, or (`ends_at` alone) when a problem is estimated to be over. `chosen` says how the holdings were
    chosen, `holdings` and `companies` how many there were. `is_late` marks a notice that a clock should have sent
    earlier. While a problem it stated is still open somewhere, `nag_at` is when staff are asked about it next; `nags`
    is how often they were.
    """

    __tablename__ = "service_update"
    __table_args__ = (
        Index("ix_service_update_created_at", "created_at"),
        Index("ix_service_update_window_id", "window_id"),
        Index("ix_service_update_incident_id", "incident_id"),
        Index("ix_service_update_nag", "nag_at", sqlite_where=NAGS, postgresql_where=NAGS),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[UpdateKind]
    status: Mapped[ServiceStatus]
    notes: Mapped[str] = mapped_column(Text, default="")
    ticket: Mapped[str] = mapped_column(String(60), default="")
    began_at: Mapped[datetime]
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    scope: Mapped[Scope]
    chosen: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    holdings: Mapped[int]
    companies: Mapped[int]
    notify: Mapped[bool]
    is_late: Mapped[bool] = mapped_column(default=False, server_default=false())
    window_id: Mapped[int | None] = mapped_column(ForeignKey("service_window.id", ondelete="SET NULL"))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id", ondelete="SET NULL"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    undone_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    nags: Mapped[int] = mapped_column(default=0, server_default="0")
    nag_at: Mapped[datetime | None]

    author: Mapped[Person | None] = relationship(foreign_keys=[author_id], lazy="raise_on_sql")
    window: Mapped[ServiceWindow | None] = relationship(lazy="raise_on_sql")


class UpdateTarget(Base):
    """A holding that an update was for, with the status that was stated of it before."""

    __tablename__ = "service_update_target"
    __table_args__ = (
        Index("ix_service_update_target_holding_id", "holding_id", "update_id"),
        Index("ix_service_update_target_company_id", "company_id", "update_id"),
        Index("ix_service_update_target_service_id", "service_id", "update_id"),
    )

    update_id: Mapped[int] = mapped_column(ForeignKey("service_update.id", ondelete="CASCADE"), primary_key=True)
    holding_id: Mapped[int] = mapped_column(ForeignKey("holding.id", ondelete="CASCADE"), primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    service_id: Mapped[int] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"))
    before: Mapped[ServiceStatus]

    update: Mapped[ServiceUpdate] = relationship(lazy="raise_on_sql")
    holding: Mapped[Holding] = relationship(lazy="raise_on_sql")
    service: Mapped[Service] = relationship(lazy="raise_on_sql")
    company: Mapped[Company] = relationship(lazy="raise_on_sql")


class UpdateBroadcast(Base):
    """A broadcast that told of an update: of one service, or (`service_id` is None) of many in one mail."""

    __tablename__ = "service_update_broadcast"
    __table_args__ = (Index("ix_service_update_broadcast_broadcast_id", "broadcast_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    update_id: Mapped[int] = mapped_column(ForeignKey("service_update.id", ondelete="CASCADE"), index=True)
    service_id: Mapped[int | None] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"))
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcast.id", ondelete="CASCADE"))

    broadcast: Mapped[Broadcast] = relationship(lazy="raise_on_sql")


class StatedPeriod(Base):
    """From–to, staff stated this problem of this holding; `ended_at` is None while it lasts, once at most a holding."""

    __tablename__ = "stated_period"
    __table_args__ = (
        Index("uq_stated_period_open", "holding_id", unique=True, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
        Index("ix_stated_period_open_service", "service_id", "status", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
        Index("ix_stated_period_open_company", "company_id", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
        Index("ix_stated_period_holding_id", "holding_id", "began_at"),
        Index("ix_stated_period_update_id", "update_id"),
        Index("ix_stated_period_ended_by_id", "ended_by_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    holding_id: Mapped[int] = mapped_column(ForeignKey("holding.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    service_id: Mapped[int] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"))
    status: Mapped[ServiceStatus]
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    update_id: Mapped[int] = mapped_column(ForeignKey("service_update.id", ondelete="CASCADE"))
    ended_by_id: Mapped[int | None] = mapped_column(ForeignKey("service_update.id", ondelete="SET NULL"))

    update: Mapped[ServiceUpdate] = relationship(foreign_keys=[update_id], lazy="raise_on_sql")
    holding: Mapped[Holding] = relationship(lazy="raise_on_sql")


class StarterNote(Versioned, Base):
    """Notes staff keep to begin with, beside the built-in ones; what stands in [brackets] is a blank to fill."""

    __tablename__ = "starter_note"
    __table_args__ = (Index("ix_starter_note_status", "status", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[ServiceStatus]
    title: Mapped[str] = mapped_column(String(100))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))


class ServiceView(Versioned, Base):
    """What customers of a portal domain see of their services, or (with `company_id`) those of one company there.

    `hidden_services` are the ids of the services that are left out. Without a row everything is shown.
    """

    __tablename__ = "service_view"
    __table_args__ = (
        UniqueConstraint("domain_id", "company_id"),
        Index(
            "uq_service_view_domain",
            "domain_id",
            unique=True,
            sqlite_where=text("company_id IS NULL"),
            postgresql_where=text("company_id IS NULL"),
        ),
        Index("ix_service_view_company_id", "company_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"))
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    hidden_services: Mapped[list[int]] = mapped_column(JSON, default=list)
    shows_notes: Mapped[bool] = mapped_column(default=True)
    shows_history: Mapped[bool] = mapped_column(default=True)
    shows_tickets: Mapped[bool] = mapped_column(default=True)
    shows_end_times: Mapped[bool] = mapped_column(default=True)


class ServiceSettings(Versioned, Base):
    """How service statuses are told in this installation: one row, none until somebody changes what is usual.

    More than `digest_over` services of a company that change together are told in one mail. `reminder_minutes` before
    it starts, scheduled service is told of again. `targets` are seconds by status (`rules.TARGETS`).
    `is_assistant_open` is the setting Assistant → Permissions → Service status access.
    """

    __tablename__ = "service_settings"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest_over: Mapped[int] = mapped_column(default=3)
    reminder_minutes: Mapped[int] = mapped_column(default=24 * 60)
    targets: Mapped[dict[str, int]] = mapped_column(JSON, default=dict)
    is_assistant_open: Mapped[bool] = mapped_column(default=False, server_default=false())
