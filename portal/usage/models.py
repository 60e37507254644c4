"""Metrics, their samples, and the figures samples were gathered into."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import BigInteger, Dialect, ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from portal.accounts.models import Company
from portal.catalogue.models import Service
from portal.database import Base, Versioned
from portal.usage.rules import KEY_LENGTH, NAME_LENGTH, TRUNK_LENGTH, UNIT_LENGTH, Measure, Step

MILLION = 1_000_000


def millionths(amount: Decimal) -> int:
    """What the databases hold of an amount."""
    return int(amount.scaleb(6))


class Amount(TypeDecorator[Decimal]):
    """An exact amount to the millionth, stored as a whole number of them: SQLite has no decimals of its own."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else millionths(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-6)


class Total(TypeDecorator[Decimal]):
    """A sum of amounts, as text: a day of large ones is beyond what any whole number of a database holds."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        return None if value is None else f"{value:f}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


def total_text(total: int) -> str:
    """What the databases hold of a sum of so many millionths."""
    return f"{Decimal(total).scaleb(-6):f}"


def _one_a_measure(name: str, place: str, *columns: str) -> Index:
    """Of one measure at one place there is one live metric; of those that are somebody's own, as many as they like."""
    which = text(f"{place} AND archived_at IS NULL AND measure <> 'custom'")
    return Index(name, *columns, unique=True, sqlite_where=which, postgresql_where=which)


class Metric(Versioned, Base):
    """Something that is measured again and again, for everybody (no company) or about one company.

    A sample is due every `interval` seconds. `decimals` is how many digits people read behind the point. `whole_from`
    is where what is kept sample by sample begins, as far as something was forgotten.

    What is about a company says by `measure` which figure it delivers, of all the company has or of one service or
    `trunk` of it: each but what is its own by one metric at a time. `debit_limit` is how far a balance may fall below
    nothing; None says the same as nothing does. People of the company read what a measure says under its own words;
    what is custom they see, under the name it has here, where it `is_shown`. What is of a trunk only staff see.
    """

    __tablename__ = "metric"
    __table_args__ = (
        _one_a_measure("uq_metric_measure_of_company", "service_id IS NULL", "company_id", "trunk", "measure"),
        _one_a_measure(
            "uq_metric_measure_of_service", "service_id IS NOT NULL", "company_id", "service_id", "trunk", "measure"
        ),
        Index("ix_metric_company_id", "company_id"),
        Index("ix_metric_service_id", "service_id"),
        Index("ix_metric_position_id", "position", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), unique=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    unit: Mapped[str] = mapped_column(String(UNIT_LENGTH), default="")
    decimals: Mapped[int] = mapped_column(default=0)
    interval: Mapped[int] = mapped_column(default=60)
    position: Mapped[int] = mapped_column(default=0)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    service_id: Mapped[int | None] = mapped_column(ForeignKey("service.id", ondelete="SET NULL"))
    measure: Mapped[Measure | None]
    trunk: Mapped[str] = mapped_column(String(TRUNK_LENGTH), default="", server_default="")
    debit_limit: Mapped[Decimal | None] = mapped_column(Amount())
    is_shown: Mapped[bool] = mapped_column(default=False, server_default=false())
    whole_from: Mapped[datetime | None]
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    company: Mapped[Company | None] = relationship(lazy="raise_on_sql")
    service: Mapped[Service | None] = relationship(lazy="raise_on_sql")
    portals: Mapped[list["MetricPortal"]] = relationship(
        lazy="raise_on_sql", order_by="MetricPortal.domain_id", cascade="all, delete-orphan"
    )


class MetricPortal(Base):
    """A portal domain whose status page shows a metric."""

    __tablename__ = "metric_portal"
    __table_args__ = (Index("ix_metric_portal_domain_id", "domain_id"),)

    metric_id: Mapped[int] = mapped_column(ForeignKey("metric.id", ondelete="CASCADE"), primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"), primary_key=True)


class MetricSample(Base):
    """One amount of a metric at one moment, of which there is one."""

    __tablename__ = "metric_sample"
    __table_args__ = ({"sqlite_with_rowid": False},)

    metric_id: Mapped[int] = mapped_column(ForeignKey("metric.id", ondelete="CASCADE"), primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[Decimal] = mapped_column(Amount())


class MetricFigure(Base):
    """What the samples of one step came to: always what is kept of them says, written with them."""

    __tablename__ = "metric_figure"
    __table_args__ = ({"sqlite_with_rowid": False},)

    metric_id: Mapped[int] = mapped_column(ForeignKey("metric.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[Step] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int]
    total: Mapped[Decimal] = mapped_column(Total())
    least: Mapped[Decimal] = mapped_column(Amount())
    most: Mapped[Decimal] = mapped_column(Amount())
    last: Mapped[Decimal] = mapped_column(Amount())
    last_at: Mapped[datetime]


class SourceKind(StrEnum):
    """What delivers figures of a company."""

    CALLS = "calls"
    METRIC = "metric"


_OF_METRIC = text("metric_id IS NOT NULL")
_OF_NONE = text("metric_id IS NULL")
_UNREAD = text("unread_since IS NOT NULL")


class MeasuredSource(Base):
    """What delivers figures of a company, and whether what it delivered was looked at since.

    Every ingest marks its row within its own transaction: `last_at` is the latest moment it told of, `last_value` the
    sample of that moment (None for calls), and `unread_since` when the first came that nobody has looked at yet.
    """

    __tablename__ = "measured_source"
    __table_args__ = (
        Index(
            "uq_measured_source_metric_id",
            "metric_id",
            unique=True,
            sqlite_where=_OF_METRIC,
            postgresql_where=_OF_METRIC,
        ),
        Index(
            "uq_measured_source_kind",
            "company_id",
            "kind",
            unique=True,
            sqlite_where=_OF_NONE,
            postgresql_where=_OF_NONE,
        ),
        Index("ix_measured_source_company_id", "company_id"),
        Index("ix_measured_source_unread", "unread_since", "id", sqlite_where=_UNREAD, postgresql_where=_UNREAD),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    kind: Mapped[SourceKind]
    metric_id: Mapped[int | None] = mapped_column(ForeignKey("metric.id", ondelete="CASCADE"))
    last_at: Mapped[datetime]
    last_value: Mapped[Decimal | None] = mapped_column(Amount())
    unread_since: Mapped[datetime | None]
