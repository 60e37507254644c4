"""Companies, people, who acts for whom, and who is signed in where."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.rules import Role
from portal.database import Base, Versioned


class Company(Versioned, Base):
    """A customer company. `name_key` is the compared form of its name."""

    __tablename__ = "company"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    memberships: Mapped[list["Membership"]] = relationship(back_populates="company", lazy="raise_on_sql")


class Person(Versioned, Base):
    """One e-mail address, installation-wide; `role` is set for staff only.

    `password_hash` is None while the person has never chosen a password and so cannot sign in.
    """

    __tablename__ = "person"
    __table_args__ = (
        Index(
            "ix_person_deactivated",
            "id",
            sqlite_where=text("deactivated_at IS NOT NULL"),
            postgresql_where=text("deactivated_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[Role | None]
    language: Mapped[str] = mapped_column(String(10), default="en")
    time_zone: Mapped[str] = mapped_column(String(64), default="Europe/London")
    created_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]

    memberships: Mapped[list["Membership"]] = relationship(back_populates="person", lazy="raise_on_sql")


class Membership(Base):
    """This person may act for this company."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("person_id", "company_id"), Index("ix_membership_company_id", "company_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]

    person: Mapped[Person] = relationship(back_populates="memberships", lazy="raise_on_sql")
    company: Mapped[Company] = relationship(back_populates="memberships", lazy="raise_on_sql")


class Session(Base):
    """One signed-in browser on one host. The cookie holds a random token; only its SHA-256 is stored.

    `host` is where it was opened, and it answers nowhere else. `company_id` is the chosen company of a customer.
    """

    __tablename__ = "session"

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"), index=True)
    host: Mapped[str] = mapped_column(String(255))
    ip: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

    person: Mapped[Person] = relationship(lazy="raise_on_sql")
    company: Mapped[Company | None] = relationship(lazy="raise_on_sql")
