"""Alerts, whom they tell, how each stands for each company, and what happened."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Company, Person
from portal.alerts.rules import (
    ADDRESS_LENGTH,
    LEAST_COUNT,
    SCRIPT_LENGTH,
    SMS_LENGTH,
    SUBJECT_LENGTH,
    TAG_LENGTH,
    TEMPLATE_NAME_LENGTH,
    TITLE_LENGTH,
    TRUNK_LENGTH,
    AlertArea,
    AlertState,
    Happening,
    Lack,
    Level,
    Maker,
    Operator,
    RecipientKind,
    Repeat,
    Rights,
    Told,
)
from portal.catalogue.models import Service
from portal.database import Base, Versioned
from portal.incidents.models import IncidentDraft
from portal.usage.models import Amount, Metric

IS_KEPT_FOR_COMPANY = text("archived_at IS NULL AND company_id IS NOT NULL")
IS_KEPT_FOR_TAG = text("archived_at IS NULL AND tag IS NOT NULL")
IS_DUE = text("due_at IS NOT NULL")
IS_BAD = text("state = 'triggered' OR kept = 'triggered'")
IS_MUTED = text("muted_since IS NOT NULL")
IS_ON_ITS_WAY = text("broadcast_id IS NOT NULL")
IS_UNSAID = text("lack = 'stale' AND staff_told_at IS NULL")


class AlertTemplate(Versioned, Base):
    """Own words for what alerts say. An empty part falls back to the built-in one. `name_key` is the compared name.

    `trouble` is why it could not be filled when it was last used, so that the built-in text went out instead.
    """

    __tablename__ = "alert_template"
    __table_args__ = (
        Index(
            "uq_alert_template_name_key",
            "name_key",
            unique=True,
            sqlite_where=text("archived_at IS NULL"),
            postgresql_where=text("archived_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(TEMPLATE_NAME_LENGTH))
    name_key: Mapped[str] = mapped_column(String(TEMPLATE_NAME_LENGTH * 2))
    subject: Mapped[str] = mapped_column(String(SUBJECT_LENGTH), default="")
    text: Mapped[str] = mapped_column(Text, default="")
    html: Mapped[str] = mapped_column(Text, default="")
    sms: Mapped[str] = mapped_column(String(SMS_LENGTH), default="")
    trouble: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class Alert(Versioned, Base):
    """What is watched for one company, or for each that has a tag, and who hears when it crosses its line.

    The subject is the whole company, or a service, a trunk or a metric of it. `window`, `must_last` and `must_be_well`
    are seconds. `repeat_hour` is an hour of the day in `zone`; an empty zone is that of each company's home portal.
    `tells_contacts` also tells the contacts of each company. `draft_id` is the draft incident it opened and that is
    still open; neither it nor what a watch goes through raises the version people edit by.
    """

    __tablename__ = "alert"
    __table_args__ = (
        CheckConstraint("(company_id IS NULL) != (tag IS NULL)", name="one_subject"),
        Index(
            "uq_alert_company_id_title_key",
            "company_id",
            "title_key",
            unique=True,
            sqlite_where=IS_KEPT_FOR_COMPANY,
            postgresql_where=IS_KEPT_FOR_COMPANY,
        ),
        Index(
            "uq_alert_tag_title_key",
            "tag",
            "title_key",
            unique=True,
            sqlite_where=IS_KEPT_FOR_TAG,
            postgresql_where=IS_KEPT_FOR_TAG,
        ),
        Index("ix_alert_company_id", "company_id"),
        Index("ix_alert_service_id", "service_id"),
        Index("ix_alert_metric_id", "metric_id"),
        Index("ix_alert_template_id", "template_id"),
        Index("ix_alert_draft_id", "draft_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    tag: Mapped[str | None] = mapped_column(String(TAG_LENGTH))
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    title_key: Mapped[str] = mapped_column(String(250))
    area: Mapped[AlertArea]
    service_id: Mapped[int | None] = mapped_column(ForeignKey("service.id", ondelete="CASCADE"))
    trunk: Mapped[str] = mapped_column(String(TRUNK_LENGTH), default="")
    metric_id: Mapped[int | None] = mapped_column(ForeignKey("metric.id", ondelete="CASCADE"))
    operator: Mapped[Operator]
    threshold: Mapped[Decimal | None] = mapped_column(Amount())
    reset: Mapped[Decimal | None] = mapped_column(Amount())
    window: Mapped[int] = mapped_column(default=0)
    least_count: Mapped[int] = mapped_column(default=LEAST_COUNT)
    must_last: Mapped[int] = mapped_column(default=0)
    must_be_well: Mapped[int] = mapped_column(default=0)
    repeat: Mapped[Repeat] = mapped_column(default=Repeat.NONE)
    repeat_hour: Mapped[int | None]
    zone: Mapped[str] = mapped_column(String(64), default="")
    template_id: Mapped[int | None] = mapped_column(ForeignKey("alert_template.id", ondelete="SET NULL"))
    level: Mapped[Level] = mapped_column(default=Level.WARNING)
    script: Mapped[str] = mapped_column(String(SCRIPT_LENGTH), default="")
    is_on: Mapped[bool] = mapped_column(default=True)
    tells_normal: Mapped[bool] = mapped_column(default=True)
    tells_contacts: Mapped[bool] = mapped_column(default=False)
    opens_draft: Mapped[bool] = mapped_column(default=False)
    draft_id: Mapped[int | None] = mapped_column(ForeignKey("incident_draft.id", ondelete="SET NULL"))
    made_by: Mapped[Maker] = mapped_column(default=Maker.STAFF)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    company: Mapped[Company | None] = relationship(lazy="raise_on_sql")
    service: Mapped[Service | None] = relationship(lazy="raise_on_sql")
    metric: Mapped[Metric | None] = relationship(lazy="raise_on_sql")
    template: Mapped[AlertTemplate | None] = relationship(lazy="raise_on_sql")
    draft: Mapped[IncidentDraft | None] = relationship(lazy="raise_on_sql")
    recipients: Mapped[list["AlertRecipient"]] = relationship(
        lazy="raise_on_sql", order_by="AlertRecipient.id", cascade="all, delete-orphan"
    )


class AlertRecipient(Base):
    """Whom an alert tells: an e-mail address or a telephone. `person_id` is whose it is, where that is somebody known;
    with the person goes the row."""

    __tablename__ = "alert_recipient"
    __table_args__ = (UniqueConstraint("alert_id", "address"), Index("ix_alert_recipient_person_id", "person_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id", ondelete="CASCADE"))
    kind: Mapped[RecipientKind]
    address: Mapped[str] = mapped_column(String(ADDRESS_LENGTH))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))

    person: Mapped[Person | None] = relationship(lazy="raise_on_sql")


class AlertWatch(Base):
    """How one alert stands for one company: `rules.Standing`, in columns, and the last value that was looked at.

    `last_sent_at` is when a recipient last got a notice; `broadcast_id` is the notice of which that is not known yet.
    `changes` are moments as ISO 8601. `muted_openly` is whether what mutes it may be named to the company.
    `staff_told_at` is when staff were told that what it reads does not come in. It is looked at when `due_at` has come
    or something came in. One that is `closed_at` is not: the alert is off, its company was archived or has the tag no
    more. Nobody edits this row.
    """

    __tablename__ = "alert_watch"
    __table_args__ = (
        UniqueConstraint("alert_id", "company_id"),
        Index("ix_alert_watch_company_id", "company_id"),
        Index("ix_alert_watch_due_at", "due_at", "id", sqlite_where=IS_DUE, postgresql_where=IS_DUE),
        Index("ix_alert_watch_bad", "triggered_at", "id", sqlite_where=IS_BAD, postgresql_where=IS_BAD),
        Index("ix_alert_watch_muted", "id", sqlite_where=IS_MUTED, postgresql_where=IS_MUTED),
        Index("ix_alert_watch_unsaid", "id", sqlite_where=IS_UNSAID, postgresql_where=IS_UNSAID),
        Index(
            "ix_alert_watch_broadcast_id", "broadcast_id", sqlite_where=IS_ON_ITS_WAY, postgresql_where=IS_ON_ITS_WAY
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    state: Mapped[AlertState] = mapped_column(default=AlertState.NORMAL)
    kept: Mapped[AlertState | None]
    lack: Mapped[Lack | None]
    since: Mapped[datetime]
    pending_since: Mapped[datetime | None]
    well_since: Mapped[datetime | None]
    value: Mapped[Decimal | None] = mapped_column(Amount())
    count: Mapped[int | None]
    value_at: Mapped[datetime | None]
    triggered_at: Mapped[datetime | None]
    told: Mapped[Told] = mapped_column(default=Told.NORMAL)
    told_at: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]
    broadcast_id: Mapped[int | None]
    failures: Mapped[int] = mapped_column(default=0)
    changes: Mapped[list[str]] = mapped_column(JSON, default=list)
    held_until: Mapped[datetime | None]
    muted_since: Mapped[datetime | None]
    muted_openly: Mapped[bool] = mapped_column(default=False)
    staff_told_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    alert: Mapped[Alert] = relationship(lazy="raise_on_sql")
    company: Mapped[Company] = relationship(lazy="raise_on_sql")


class AlertEvent(Base):
    """Something that happened to an alert for one company, with the value it was seen by.

    `broadcast_id` is the notice that told it, if any; `note` is for staff.
    """

    __tablename__ = "alert_event"
    __table_args__ = (Index("ix_alert_event_watch_id", "watch_id", "id"), Index("ix_alert_event_at", "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    watch_id: Mapped[int] = mapped_column(ForeignKey("alert_watch.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    kind: Mapped[Happening]
    value: Mapped[Decimal | None] = mapped_column(Amount())
    count: Mapped[int | None]
    note: Mapped[str] = mapped_column(String(300), default="")
    broadcast_id: Mapped[int | None]

    watch: Mapped[AlertWatch] = relationship(lazy="raise_on_sql")


class AlertRights(Versioned, Base):
    """What the people of a company may do with its alerts; without a row they may see and test them."""

    __tablename__ = "alert_rights"

    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"), primary_key=True)
    may: Mapped[Rights] = mapped_column(default=Rights.SEE)

    company: Mapped[Company] = relationship(lazy="raise_on_sql")


class AlertClock(Base):
    """How far alerts have followed what happens further down. One row, whose id is 1, made when it is first needed.

    `muting` is a hash of the open incidents and running maintenances that were last looked at; `swept_at` is when it
    was last looked for companies that were archived, or got or lost a tag; `staff_told_at` is when staff were last told
    what does not come in.
    """

    __tablename__ = "alert_clock"
    __table_args__ = (CheckConstraint("id = 1", name="only_one"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    muting: Mapped[str] = mapped_column(String(64), default="")
    swept_at: Mapped[datetime | None]
    staff_told_at: Mapped[datetime | None]
