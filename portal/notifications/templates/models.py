"""The mails of which staff have words of their own."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.models import Person
from portal.database import Base
from portal.domains.models import PortalDomain


class MailTemplate(Base):
    """One version of a template's own words in one language, for all portal domains or (`domain_id`) for one.

    Nothing is changed in place: the newest row stands, and one that `is_reset` takes the built-in words back.
    """

    __tablename__ = "mail_template"
    __table_args__ = (Index("ix_mail_template_name", "name", "domain_id", "language", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    domain_id: Mapped[int | None] = mapped_column(ForeignKey("portal_domain.id", ondelete="CASCADE"), index=True)
    language: Mapped[str] = mapped_column(String(10))
    subject: Mapped[str] = mapped_column(String(250))
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    is_reset: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))

    created_by: Mapped[Person | None] = relationship(lazy="raise_on_sql")
    domain: Mapped[PortalDomain | None] = relationship(lazy="raise_on_sql")
