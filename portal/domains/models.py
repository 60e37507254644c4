"""Portal domains with their brand, their access areas, and which companies they admit."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Company
from portal.database import Base, Versioned
from portal.domains.rules import Area


class PortalDomain(Versioned, Base):
    """A host name with its own brand. `base_url` (scheme, host, port) is the source of every link to it.

    `areas` lists the access areas that are open; `accent` is a #rrggbb colour.
    """

    __tablename__ = "portal_domain"

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(253), unique=True)
    base_url: Mapped[str] = mapped_column(String(300))
    brand: Mapped[str] = mapped_column(String(100))
    accent: Mapped[str] = mapped_column(String(7), default="#2457d6")
    support_email: Mapped[str | None] = mapped_column(String(254))
    support_phone: Mapped[str | None] = mapped_column(String(40))
    language: Mapped[str] = mapped_column(String(10), default="en")
    time_zone: Mapped[str] = mapped_column(String(64), default="Europe/London")
    areas: Mapped[list[str]] = mapped_column(JSON, default=list)
    created_at: Mapped[datetime]


class Admission(Base):
    """This portal domain admits this company; exactly one admission of a company is its home."""

    __tablename__ = "admission"
    __table_args__ = (
        UniqueConstraint("company_id", "domain_id"),
        Index("ix_admission_domain_id", "domain_id"),
        Index(
            "uq_admission_home",
            "company_id",
            unique=True,
            sqlite_where=text("is_home"),
            postgresql_where=text("is_home"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    domain_id: Mapped[int] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"))
    is_home: Mapped[bool] = mapped_column(default=False)

    company: Mapped[Company] = relationship(lazy="raise_on_sql")
    domain: Mapped[PortalDomain] = relationship(lazy="raise_on_sql")


class AreaOverride(Versioned, Base):
    """For this company on this portal domain the area is open or closed, whatever the domain's switch says."""

    __tablename__ = "area_override"
    __table_args__ = (
        UniqueConstraint("domain_id", "company_id", "area"),
        Index("ix_area_override_company_id", "company_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    area: Mapped[Area]
    is_open: Mapped[bool]

    company: Mapped[Company] = relationship(lazy="raise_on_sql")
    domain: Mapped[PortalDomain] = relationship(lazy="raise_on_sql")
