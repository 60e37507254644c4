"""Jobs and quotes, their work statuses, and every state these were saved in.

Of an item, `public_status_id` and `public_since` are what its customer may know of its status. They are written by
whoever moves the item and, set-wise, by whoever saves the settings, and are what `rules.fold` makes of its moves and
the revisions: lists, filters and sorting of the portal need nothing internal.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from portal.accounts.models import Company, Person
from portal.catalogue.models import Holding
from portal.database import Base, Versioned
from portal.jobs.rules import Category, Role, Showing, WorkKind
from portal.searching import KEY_LENGTH, key_of, keyed


class WorkTable(Versioned, Base):
    """The settings of one kind of work. Its version is the number of the last revision.

    Whoever moves an item reads it with a shared lock, whoever saves the settings writes it first: so no move is made
    under settings that are just being replaced.
    """

    __tablename__ = "work_table"

    kind: Mapped[WorkKind] = mapped_column(primary_key=True)


class WorkNumber(Base):
    """The last number an item of this kind was given."""

    __tablename__ = "work_number"

    kind: Mapped[WorkKind] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(default=0, server_default="0")


class WorkStatus(Base):
    """One work status as it is now. It has no version of its own: the whole table is saved at once (`WorkTable`).

    `role` is None for those the office added. A `portal_color` of None is the internal colour. An archived one keeps
    the items that are in it, and takes no more; its name is free for another.
    """

    __tablename__ = "work_status"
    __table_args__ = (
        UniqueConstraint("kind", "role"),
        Index(
            "uq_work_status_name",
            "kind",
            "name_key",
            unique=True,
            sqlite_where=text("archived_at IS NULL"),
            postgresql_where=text("archived_at IS NULL"),
        ),
        Index("ix_work_status_mapped_to_id", "mapped_to_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[WorkKind]
    role: Mapped[Role | None]
    category: Mapped[Category]
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(60))
    name_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=keyed("name"))
    showing: Mapped[Showing]
    mapped_to_id: Mapped[int | None] = mapped_column(ForeignKey("work_status.id"))
    portal_name: Mapped[str] = mapped_column(String(60))
    color: Mapped[str] = mapped_column(String(7))
    portal_color: Mapped[str | None] = mapped_column(String(7))
    is_mailed: Mapped[bool] = mapped_column(default=True)
    archived_at: Mapped[datetime | None]

    @validates("name")
    def _key_name(self, _name: str, value: str) -> str:
        self.name_key = key_of(value)
        return value


class WorkTableRevision(Base):
    """The whole table as it was saved for the `number`th time: `statuses` as `rules.StatusTable.to_json`.

    `unveiled` lists the ids of the statuses customers saw from this save on and not before.
    """

    __tablename__ = "work_table_revision"
    __table_args__ = (UniqueConstraint("kind", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[WorkKind]
    number: Mapped[int]
    statuses: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    unveiled: Mapped[list[int]] = mapped_column(JSON)
    saved_at: Mapped[datetime]
    saved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))


class WorkItem(Versioned, Base):
    """A job or a quote. `number` counts per kind and is read as J-1042 or Q-1007.

    `external_number` is what the system it came from calls it; imports find it again by that. `starts_at` and
    `ends_at` are the scheduled window. `public_status_id` is None while the item is not in the portal;
    `public_revision` is raised whenever what its customer sees of it changes, and is all that forms and answers to
    customers carry. `valid_until` is the last day a quote may be accepted on, in the company's zone; amounts of its
    lines are in `currency` (ISO 4217). `finished_at` is when it came to a terminal category.
    """

    __tablename__ = "work_item"
    __table_args__ = (
        UniqueConstraint("kind", "number"),
        UniqueConstraint("kind", "external_number"),
        UniqueConstraint("idempotency_key"),
        Index("ix_work_item_status", "kind", "status_id", "id"),
        Index("ix_work_item_company", "company_id", "kind", "id"),
        Index("ix_work_item_public", "company_id", "kind", "public_since", "id"),
        Index("ix_work_item_public_status", "public_status_id", "company_id"),
        Index(
            "ix_work_item_open",
            "kind",
            "status_id",
            "public_status_id",
            "company_id",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_work_item_open_number",
            "kind",
            "number",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_work_item_open_planned",
            "kind",
            "status_id",
            "starts_at",
            "id",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_work_item_open_assignee",
            "assignee_id",
            "starts_at",
            "id",
            sqlite_where=text("finished_at IS NULL AND assignee_id IS NOT NULL"),
            postgresql_where=text("finished_at IS NULL AND assignee_id IS NOT NULL"),
        ),
        Index("ix_work_item_window", "kind", "starts_at", "id"),
        Index(
            "ix_work_item_assignee",
            "assignee_id",
            "starts_at",
            sqlite_where=text("assignee_id IS NOT NULL"),
            postgresql_where=text("assignee_id IS NOT NULL"),
        ),
        Index(
            "ix_work_item_holding",
            "holding_id",
            sqlite_where=text("holding_id IS NOT NULL"),
            postgresql_where=text("holding_id IS NOT NULL"),
        ),
        Index("ix_work_item_title_key", "title_key", postgresql_ops={"title_key": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[WorkKind]
    number: Mapped[int]
    external_number: Mapped[str | None] = mapped_column(String(120))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    site: Mapped[str] = mapped_column(String(300), default="")
    holding_id: Mapped[int | None] = mapped_column(ForeignKey("holding.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(String(200))
    title_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=keyed("title"))
    description: Mapped[str] = mapped_column(Text, default="")
    starts_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    status_id: Mapped[int] = mapped_column(ForeignKey("work_status.id"))
    status_since: Mapped[datetime]
    public_status_id: Mapped[int | None] = mapped_column(ForeignKey("work_status.id"))
    public_since: Mapped[datetime | None]
    public_revision: Mapped[int] = mapped_column(default=1)
    booked_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    valid_until: Mapped[date | None]
    terms: Mapped[str] = mapped_column(Text, default="")
    currency: Mapped[str] = mapped_column(String(3), default="GBP")
    idempotency_key: Mapped[str | None] = mapped_column(String(80))
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    finished_at: Mapped[datetime | None]

    company: Mapped[Company] = relationship(lazy="raise_on_sql")
    contact: Mapped[Person | None] = relationship(lazy="raise_on_sql", foreign_keys=[contact_id])
    assignee: Mapped[Person | None] = relationship(lazy="raise_on_sql", foreign_keys=[assignee_id])
    booked_by: Mapped[Person | None] = relationship(lazy="raise_on_sql", foreign_keys=[booked_by_id])
    holding: Mapped[Holding | None] = relationship(lazy="raise_on_sql")
    status: Mapped[WorkStatus] = relationship(lazy="raise_on_sql", foreign_keys=[status_id])
    lines: Mapped[list["QuoteLine"]] = relationship(lazy="raise_on_sql", order_by="QuoteLine.position")

    @validates("title")
    def _key_title(self, _name: str, value: str) -> str:
        self.title_key = key_of(value)
        return value


class WorkMove(Base):
    """An item came to a work status; from None when it was made. Never changed.

    `revision` is the number of the settings in force. `told_status_id` is the public status its customer was shown at
    that moment, None if the status could not be seen: staff read later what was told.
    """

    __tablename__ = "work_move"
    __table_args__ = (
        Index("ix_work_move_item_id", "item_id", "id"),
        Index("ix_work_move_status_id", "status_id", "item_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("work_item.id", ondelete="CASCADE"))
    from_status_id: Mapped[int | None] = mapped_column(ForeignKey("work_status.id"))
    status_id: Mapped[int] = mapped_column(ForeignKey("work_status.id"))
    at: Mapped[datetime]
    revision: Mapped[int]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    by_name: Mapped[str] = mapped_column(String(254))
    reason: Mapped[str] = mapped_column(String(500), default="")
    told_status_id: Mapped[int | None] = mapped_column(ForeignKey("work_status.id"))
    told_name: Mapped[str | None] = mapped_column(String(60))


class QuoteLine(Base):
    """One line of a quote: a quantity in thousandths, a price of one in minor units, a tax in hundredths of a percent.

    Whole numbers, because money is exact and SQLite has no decimals.
    """

    __tablename__ = "quote_line"
    __table_args__ = (Index("ix_quote_line_item_id", "item_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("work_item.id", ondelete="CASCADE"))
    position: Mapped[int]
    description: Mapped[str] = mapped_column(String(500))
    quantity_thousandths: Mapped[int] = mapped_column(BigInteger)
    unit_price_minor: Mapped[int] = mapped_column(BigInteger)
    tax_hundredths: Mapped[int] = mapped_column(default=0)


class QuoteOffer(Base):
    """A quote as it was sent: a frozen copy with the SHA-256 of its canonical JSON. A signature is bound to it."""

    __tablename__ = "quote_offer"
    __table_args__ = (UniqueConstraint("item_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("work_item.id", ondelete="CASCADE"))
    number: Mapped[int]
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    hash: Mapped[str] = mapped_column(String(64))
    sent_at: Mapped[datetime]
    sent_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))


class QuoteAnswer(Base):
    """A customer accepted or declined an offer. Only one answer of a quote stands; one that was undone leaves a trace.

    `signature` is {"typed": text} or {"drawn": strokes}; None for a decline. `address` and `agent` are where it came
    from.
    """

    __tablename__ = "quote_answer"
    __table_args__ = (
        Index(
            "uq_quote_answer_standing",
            "item_id",
            unique=True,
            sqlite_where=text("withdrawn_at IS NULL"),
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
        Index("ix_quote_answer_item_id", "item_id", "id"),
        Index("ix_quote_answer_person_id", "person_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("work_item.id", ondelete="CASCADE"))
    offer_id: Mapped[int] = mapped_column(ForeignKey("quote_offer.id", ondelete="CASCADE"))
    is_accepted: Mapped[bool]
    name: Mapped[str] = mapped_column(String(200))
    signature: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    reason: Mapped[str] = mapped_column(Text, default="")
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    at: Mapped[datetime]
    address: Mapped[str] = mapped_column(String(45), default="")
    agent: Mapped[str] = mapped_column(String(300), default="")
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    withdrawn_reason: Mapped[str] = mapped_column(String(500), default="")

    offer: Mapped[QuoteOffer] = relationship(lazy="raise_on_sql")


class SavedView(Base):
    """Filters of a staff list under a name; `query` is what stands behind the ? of its address. Shared or one's own."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("person_id", "kind", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    kind: Mapped[WorkKind]
    name: Mapped[str] = mapped_column(String(60))
    query: Mapped[str] = mapped_column(String(1000))
    is_shared: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]


class WorkNotice(Base):
    """The public status of an item has changed, and its customer is to be mailed at `due_at`.

    Changes until then join it, so that several within a short time become one mail; none is sent when the item is back
    at `from_public_status_id` by then.
    """

    __tablename__ = "work_notice"
    __table_args__ = (Index("ix_work_notice_due_at", "due_at"),)

    item_id: Mapped[int] = mapped_column(ForeignKey("work_item.id", ondelete="CASCADE"), primary_key=True)
    from_public_status_id: Mapped[int | None] = mapped_column(ForeignKey("work_status.id"))
    due_at: Mapped[datetime]
