"""What broke: incidents with their updates and impacts.

The timeline of updates is the truth. `IncidentComponent` (severities as they stand) and `ImpactInterval`
(severities over time) are written with each update by the same action, so that pages never fold timelines.
"""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, query_expression, relationship, validates

from portal.accounts.models import Person
from portal.catalogue.models import OWN, Component
from portal.database import Base, Versioned
from portal.incidents.rules import Audience, Impact, Severity, State, Visibility
from portal.searching import KEY_LENGTH, key_of, keyed


class Incident(Versioned, Base):
    """A report. `state` follows the last public update; `impact` is what is shown: the override, else the derived one.

    `public_id` is made from the idempotency key, so that a form sent twice finds its first report.
    `public_updated_at` moves only with what customers can see. `next_update_due_at` is what they were promised.
    `is_backfill` marks what was entered or imported after the fact: it never mails.
    `owner_id` is the person of the staff who sees to it that customers hear more; at `nag_at` they are reminded of it.
    What turned out to be part of another report was merged into that one: `merged_into_id`, at `merged_at`.
    `titles` are the title in other languages (`rules.languages`), `subjects` what its mails are called by language.
    """

    __tablename__ = "incident"
    __table_args__ = (
        UniqueConstraint("source", "public_id"),
        Index("ix_incident_started_at", "started_at"),
        Index(
            "ix_incident_open",
            "id",
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index(
            "ix_incident_nag_at",
            "nag_at",
            sqlite_where=text("nag_at IS NOT NULL"),
            postgresql_where=text("nag_at IS NOT NULL"),
        ),
        Index(
            "ix_incident_merged_into_id",
            "merged_into_id",
            sqlite_where=text("merged_into_id IS NOT NULL"),
            postgresql_where=text("merged_into_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(40), default=OWN)
    title: Mapped[str] = mapped_column(String(200))
    title_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=keyed("title"), server_default="")
    titles: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    subjects: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    state: Mapped[State]
    visibility: Mapped[Visibility] = mapped_column(default=Visibility.PUBLIC)
    audience: Mapped[Audience] = mapped_column(default=Audience.EVERYONE)
    impact: Mapped[Impact]
    impact_override: Mapped[Impact | None]
    is_backfill: Mapped[bool] = mapped_column(default=False)
    next_update_due_at: Mapped[datetime | None]
    started_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    public_updated_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    owner_id: Mapped[int | None]
    nag_at: Mapped[datetime | None]
    merged_into_id: Mapped[int | None]
    merged_at: Mapped[datetime | None]

    updates: Mapped[list["IncidentUpdate"]] = relationship(
        back_populates="incident",
        lazy="raise_on_sql",
        order_by="IncidentUpdate.posted_at.desc(), IncidentUpdate.id.desc()",
    )
    components: Mapped[list["IncidentComponent"]] = relationship(back_populates="incident", lazy="raise_on_sql")

    @validates("title")
    def _key_title(self, _name: str, value: str) -> str:
        self.title_key = key_of(value)
        return value


class IncidentUpdate(Base):
    """One entry of a timeline. A private update carries text only: `state` is None and it has no changes.

    `bodies` are its text in other languages.
    """

    __tablename__ = "incident_update"
    __table_args__ = (
        UniqueConstraint("incident_id", "public_id"),
        Index("ix_incident_update_posted_at", "incident_id", "posted_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    public_id: Mapped[str] = mapped_column(String(40))
    visibility: Mapped[Visibility] = mapped_column(default=Visibility.PUBLIC)
    state: Mapped[State | None]
    body: Mapped[str] = mapped_column(Text)
    bodies: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    posted_at: Mapped[datetime]
    notify: Mapped[bool] = mapped_column(default=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))

    incident: Mapped[Incident] = relationship(back_populates="updates", lazy="raise_on_sql")
    own_words: Mapped[str | None] = query_expression()
    """What it says to whom it was read for instead of `body`; see `queries.wordings`."""

    own_bodies: Mapped[dict[str, str] | None] = query_expression()
    """The same in other languages, instead of `bodies`, where a machine is given all of them."""

    author: Mapped[Person | None] = relationship(lazy="raise_on_sql")
    changes: Mapped[list["SeverityChange"]] = relationship(back_populates="update", lazy="raise_on_sql")


class SeverityChange(Base):
    """This update moved this component from one severity to another."""

    __tablename__ = "severity_change"
    __table_args__ = (
        UniqueConstraint("update_id", "component_id"),
        Index("ix_severity_change_component_id", "component_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    update_id: Mapped[int] = mapped_column(ForeignKey("incident_update.id", ondelete="CASCADE"))
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"))
    old: Mapped[Severity]
    new: Mapped[Severity]

    update: Mapped[IncidentUpdate] = relationship(back_populates="changes", lazy="raise_on_sql")
    component: Mapped[Component] = relationship(lazy="raise_on_sql")


class IncidentComponent(Base):
    """A component this incident has named, with the severity that stands now (None once cleared or fixed)."""

    __tablename__ = "incident_component"
    __table_args__ = (
        UniqueConstraint("incident_id", "component_id"),
        Index("ix_incident_component_component_id", "component_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"))
    severity: Mapped[Severity]

    incident: Mapped[Incident] = relationship(back_populates="components", lazy="raise_on_sql")
    component: Mapped[Component] = relationship(lazy="raise_on_sql")


class ImpactInterval(Base):
    """From–to, this incident held this component at this severity. `to_at` is None while it lasts."""

    __tablename__ = "impact_interval"
    __table_args__ = (
        Index("ix_impact_interval_component_id", "component_id", "from_at"),
        Index("ix_impact_interval_incident_id", "incident_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id", ondelete="CASCADE"))
    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"))
    severity: Mapped[Severity]
    from_at: Mapped[datetime]
    to_at: Mapped[datetime | None]


class ComponentHistory(Base):
    """The last days of one component as anyone signed out sees them, packed for the history bars.

    `days` holds one character per UTC day, oldest first, ending on `last_day` (ISO): the worst severity of that
    day as a digit (0 none … 3 major). It is remade from the intervals by the action that changes them; the
    days since then are filled from what is still open when it is read.
    """

    __tablename__ = "component_history"

    component_id: Mapped[int] = mapped_column(ForeignKey("component.id", ondelete="CASCADE"), primary_key=True)
    last_day: Mapped[str] = mapped_column(String(10))
    days: Mapped[str] = mapped_column(String(400))
