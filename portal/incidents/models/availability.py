"""How availability is counted, and what was promised of it.

What counts in a month is the latest row from that month or an earlier one. A month that is over therefore keeps
its figures, whatever is agreed later.
"""

from sqlalchemy import ForeignKey, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Company
from portal.database import Base, Versioned


class AvailabilitySettings(Versioned, Base):
    """The rule of this installation from a month (2026-10) on; no row until somebody changes what is usual.

    Weights are percent. `notice_hours` is how long ahead maintenance is announced to be agreed; `target` is what is
    promised to every company without a promise of its own, in thousandths of a percent.
    """

    __tablename__ = "availability_settings"

    id: Mapped[int] = mapped_column(primary_key=True)
    from_month: Mapped[str] = mapped_column(String(7), unique=True)
    partial_weight: Mapped[int]
    performance_weight: Mapped[int]
    maintenance_weight: Mapped[int]
    notice_hours: Mapped[int]
    counts_maintenance: Mapped[bool] = mapped_column(default=False, server_default=false())
    target: Mapped[int | None]


class CompanyContract(Versioned, Base):
    """What is agreed with one company from a month on; None is what holds for the installation."""

    __tablename__ = "company_contract"
    __table_args__ = (UniqueConstraint("company_id", "from_month"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    from_month: Mapped[str] = mapped_column(String(7))
    counts_maintenance: Mapped[bool | None]
    target: Mapped[int | None]

    company: Mapped[Company] = relationship(lazy="raise_on_sql")
