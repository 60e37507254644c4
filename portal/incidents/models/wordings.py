"""One report, told to some in words of their own."""

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base


class IncidentWording(Base):
    """What an update says to one company, or to all who are at home on one portal domain, instead of its own text.

    Exactly one of the two is set; `texts` is what it says in other languages. Who reads which,
    `queries.wordings.body_for` says, and nothing else does.
    """

    __tablename__ = "incident_wording"
    __table_args__ = (
        CheckConstraint("(company_id IS NULL) <> (domain_id IS NULL)", name="one_audience"),
        Index(
            "uq_incident_wording_company",
            "update_id",
            "company_id",
            unique=True,
            sqlite_where=text("company_id IS NOT NULL"),
            postgresql_where=text("company_id IS NOT NULL"),
        ),
        Index(
            "uq_incident_wording_domain",
            "update_id",
            "domain_id",
            unique=True,
            sqlite_where=text("domain_id IS NOT NULL"),
            postgresql_where=text("domain_id IS NOT NULL"),
        ),
        Index("ix_incident_wording_company_id", "company_id"),
        Index("ix_incident_wording_domain_id", "domain_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    update_id: Mapped[int] = mapped_column(ForeignKey("incident_update.id", ondelete="CASCADE"))
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    texts: Mapped[dict[str, str]] = mapped_column(JSON, default=dict, server_default="{}")
