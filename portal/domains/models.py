"""Portal domains with their brand, their access areas, and which companies they admit."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Company
from portal.database import Base, Versioned
from portal.domains.rules import Area
from portal.domains.rules.hosts import Finding
from portal.domains.rules.support import Channels


class PortalDomain(Versioned, Base):
    """A host name with its own brand. `base_url` (scheme, host, port) is the source of every link to it.

    `host` is its main name; further ones, which only lead there, are rows of PortalHost. `areas` lists the access
    areas that are open; `accent` is a #rrggbb colour; `tagline` stands under the brand. `wordings` are its own words
    for states by language and kind: {"en": {"severity.partial_rth": "Calls back to you fail"}}; what is not in it is
    called as everywhere. `status_colors` are its own colours (#rrggbb) for service statuses, by their values.

    Of its public page: `is_indexed`, whether search engines may list it; `says_maintenance`, whether the Statuspage API
    calls a page with nothing but planned work `maintenance` rather than `none`; `shows_global_services`, whether it
    says how the services are that every company has; `rooms_sign_up`, whether a room of Slack or Teams may be signed up
    there by whoever has its address.
    """

    __tablename__ = "portal_domain"

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(253), unique=True)
    base_url: Mapped[str] = mapped_column(String(300))
    brand: Mapped[str] = mapped_column(String(100))
    accent: Mapped[str] = mapped_column(String(7), default="#2457d6")
    support_email: Mapped[str | None] = mapped_column(String(254))
    support_phone: Mapped[str | None] = mapped_column(String(40))
    tagline: Mapped[str | None] = mapped_column(String(160))
    support_hours: Mapped[str | None] = mapped_column(String(120))
    help_url: Mapped[str | None] = mapped_column(String(300))
    wordings: Mapped[dict[str, dict[str, str]]] = mapped_column(JSON, default=dict, server_default="{}")
    status_colors: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
    language: Mapped[str] = mapped_column(String(10), default="en")
    time_zone: Mapped[str] = mapped_column(String(64), default="Europe/London")
    areas: Mapped[list[str]] = mapped_column(JSON, default=list)
    is_indexed: Mapped[bool] = mapped_column(default=True, server_default=true())
    says_maintenance: Mapped[bool] = mapped_column(default=True, server_default=true())
    shows_global_services: Mapped[bool] = mapped_column(default=False, server_default=false())
    rooms_sign_up: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime]

    @property
    def support(self) -> Channels:
        """How customers of this portal reach a human."""
        return Channels(self.support_email, self.support_phone, self.support_hours, self.help_url)


class PortalHost(Versioned, Base):
    """A name a portal domain answers to: its main one, and those that lead there. A name belongs to one domain.

    A check is wanted from `check_wanted_at` on and under way from `check_began_at`; `finding` is what the last one
    found at `checked_at`, with the `detail` in words, and `certificate_until` when its certificate ends.
    """

    __tablename__ = "portal_host"
    __table_args__ = (
        Index("ix_portal_host_domain_id", "domain_id"),
        Index(
            "ix_portal_host_check_wanted_at",
            "check_wanted_at",
            sqlite_where=text("check_wanted_at IS NOT NULL"),
            postgresql_where=text("check_wanted_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    domain_id: Mapped[int] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"))
    host: Mapped[str] = mapped_column(String(253), unique=True)
    created_at: Mapped[datetime]
    check_wanted_at: Mapped[datetime | None]
    check_began_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    finding: Mapped[Finding | None]
    detail: Mapped[str | None] = mapped_column(String(300))
    certificate_until: Mapped[datetime | None]


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
