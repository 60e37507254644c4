"""Companies, people, who acts for whom, and who is signed in where."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from portal.accounts.rules import TAG_LENGTH, Role
from portal.accounts.rules.links import Letter, Purpose
from portal.accounts.rules.tokens import Scope
from portal.database import Base, Versioned
from portal.searching import KEY_LENGTH, key_of, keyed, prefix_index


class Company(Versioned, Base):
    """A customer company. `name_key` is the compared form of its name.

    `external_id` is what another system of ours calls it; imports find it again by that.
    """

    __tablename__ = "company"
    __table_args__ = (prefix_index("ix_company_name_beginning", "name_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(200), unique=True)
    external_id: Mapped[str | None] = mapped_column(String(120), index=True, unique=True)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    memberships: Mapped[list["Membership"]] = relationship(back_populates="company", lazy="raise_on_sql")


class CompanyTag(Base):
    """A word that companies of a kind share, so that what is meant for all of them names it once.

    `tag_key` is the compared form; `tag` is as it was written for this company.
    """

    __tablename__ = "company_tag"
    __table_args__ = (Index("ix_company_tag_tag_key", "tag_key"),)

    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"), primary_key=True)
    tag_key: Mapped[str] = mapped_column(String(TAG_LENGTH), primary_key=True)
    tag: Mapped[str] = mapped_column(String(TAG_LENGTH))


class Person(Versioned, Base):
    """One e-mail address, installation-wide; `role` is set for staff only.

    `password_hash` is None while the person has never chosen a password and so cannot sign in. `password_stamp`
    is raised by every change of it and by every way back in: mailed links are bound to it and die with it.
    `last_signed_in_at` outlives the sessions it speaks of; it is None for somebody who has never signed in.
    `anonymised_at` is when everything that names them was taken out of this row.
    """

    __tablename__ = "person"
    __table_args__ = (
        Index(
            "ix_person_deactivated",
            "id",
            sqlite_where=text("deactivated_at IS NOT NULL"),
            postgresql_where=text("deactivated_at IS NOT NULL"),
        ),
        Index("ix_person_name_key", "name_key", postgresql_ops={"name_key": "text_pattern_ops"}),
        prefix_index("ix_person_email_beginning", "email_key"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=keyed("name"), server_default="")
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[Role | None]
    language: Mapped[str] = mapped_column(String(10), default="en")
    time_zone: Mapped[str] = mapped_column(String(64), default="Europe/London")
    created_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]
    password_stamp: Mapped[int] = mapped_column(default=0, server_default="0")
    password_changed_at: Mapped[datetime | None]
    last_signed_in_at: Mapped[datetime | None]
    anonymised_at: Mapped[datetime | None]

    memberships: Mapped[list["Membership"]] = relationship(back_populates="person", lazy="raise_on_sql")

    @validates("name")
    def _key_name(self, _name: str, value: str) -> str:
        self.name_key = key_of(value)
        return value


class Membership(Base):
    """This person may act for this company. As a contact (`is_contact`) they also decide for all of its people what it
    is mailed about."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("person_id", "company_id"), Index("ix_membership_company_id", "company_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"))
    is_contact: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]

    person: Mapped[Person] = relationship(back_populates="memberships", lazy="raise_on_sql")
    company: Mapped[Company] = relationship(back_populates="memberships", lazy="raise_on_sql")


class Session(Base):
    """One signed-in browser on one host. The cookie holds a random token; only its SHA-256 is stored.

    `host` is where it was opened, and it answers nowhere else. `company_id` is the chosen company of a customer.
    `confirmed_at` is when the password was last typed in it, `second_factor_at` when a code of the second factor was.
    `is_view_as` marks one in which staff (`person_id`) look, and only look, through the eyes of the company; it was
    opened from their own session `opened_from_id` and ends with that one.
    """

    __tablename__ = "session"
    __table_args__ = (
        Index(
            "ix_session_opened_from_id",
            "opened_from_id",
            sqlite_where=text("opened_from_id IS NOT NULL"),
            postgresql_where=text("opened_from_id IS NOT NULL"),
        ),
    )

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
    confirmed_at: Mapped[datetime | None]
    second_factor_at: Mapped[datetime | None]
    is_view_as: Mapped[bool] = mapped_column(default=False, server_default=false())
    opened_from_id: Mapped[int | None]

    person: Mapped[Person] = relationship(lazy="raise_on_sql")
    company: Mapped[Company | None] = relationship(lazy="raise_on_sql")


class MailedLink(Base):
    """A link that proves who one is because it came by mail: single use, for one person and one purpose.

    Only the SHA-256 of its token is stored; the token itself is derived from the secret key, the id and `nonce` when
    the mail is composed, and stands in no row. `address` is where it was mailed to; for a change of address that is
    the new one. It opens nothing once `used_at` or `revoked_at` is set, after `expires_at`, or, where
    `password_stamp` is not None, once the person's own has moved on. `details` is what the purpose needs beside.
    """

    __tablename__ = "mailed_link"
    __table_args__ = (
        Index("ix_mailed_link_person_id_purpose", "person_id", "purpose"),
        Index("ix_mailed_link_expires_at", "expires_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[Purpose]
    nonce: Mapped[str] = mapped_column(String(64))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    address: Mapped[str] = mapped_column(String(254))
    password_stamp: Mapped[int | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_by_id: Mapped[int | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    person: Mapped[Person] = relationship(lazy="raise_on_sql")


class AccountMail(Base):
    """A mail about somebody's account that is still to be written; the outbox looks here and writes it.

    `kind` says which mail. Who asks for a way back in is known by `address` only, and whether anybody has it is found
    out later, so that the asking takes as long for everybody. `host` is where it was asked for. `handled_at` is when
    the outbox had done what there was to do.
    """

    __tablename__ = "account_mail"
    __table_args__ = (
        Index(
            "ix_account_mail_waiting",
            "id",
            sqlite_where=text("handled_at IS NULL"),
            postgresql_where=text("handled_at IS NULL"),
        ),
        Index("ix_account_mail_handled_at", "handled_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[Letter]
    address: Mapped[str] = mapped_column(String(254))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    link_id: Mapped[int | None] = mapped_column(ForeignKey("mailed_link.id", ondelete="CASCADE"), index=True)
    host: Mapped[str] = mapped_column(String(255), default="")
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]

    link: Mapped[MailedLink | None] = relationship(lazy="raise_on_sql")
    person: Mapped[Person | None] = relationship(lazy="raise_on_sql")


class ThrottleBucket(Base):
    """How many tries of one kind somebody has left. No row means all of them.

    `subject` is the SHA-256 of whom it is about, so that the table names nobody. `level` is what was left at
    `updated_at`; from `full_at` on the row says nothing and may go. `told_at` is when its owner was last told.
    """

    __tablename__ = "throttle_bucket"
    __table_args__ = (Index("ix_throttle_bucket_full_at", "full_at"),)

    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    level: Mapped[float]
    updated_at: Mapped[datetime]
    full_at: Mapped[datetime]
    told_at: Mapped[datetime | None]


class SecondFactor(Base):
    """The secret an authenticator app shares with us, sealed with a key made of the installation's secret key.

    It counts from `confirmed_at` on, when a first code of it was right. `last_step` is the time step of the last code
    that was taken: neither it nor an earlier one is taken again.
    """

    __tablename__ = "second_factor"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    sealed_secret: Mapped[str] = mapped_column(String(300))
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """One of the codes that stand in for a lost authenticator, each for once. Only its SHA-256 is stored."""

    __tablename__ = "recovery_code"
    __table_args__ = (UniqueConstraint("person_id", "code_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    code_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInPolicy(Versioned, Base):
    """What signing in asks of everybody in this installation: one row, none until an administrator decides."""

    __tablename__ = "sign_in_policy"

    id: Mapped[int] = mapped_column(primary_key=True)
    second_factor_required: Mapped[bool] = mapped_column(default=False)


class ApiToken(Base):
    """A key of the API. Only its SHA-256 is stored; `hint` is how it begins and ends, to tell it from others.

    With `company_id` it sees what the people of that company could see. It lives no longer than its maker's right
    to make one; `created_by_id` is None for those made at the command line.
    """

    __tablename__ = "api_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(12))
    scope: Mapped[Scope]
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id", ondelete="CASCADE"), index=True)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    company: Mapped[Company | None] = relationship(lazy="raise_on_sql")
    created_by: Mapped[Person | None] = relationship(lazy="raise_on_sql")


class ApiAnswer(Base):
    """What a token was answered when it sent this Idempotency-Key, written with the change the answer tells of.

    `request_hash` is of method, path and body, so that the same key with another request is noticed.
    """

    __tablename__ = "api_answer"
    __table_args__ = (UniqueConstraint("token_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("api_token.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(255))
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    location: Mapped[str | None] = mapped_column(String(300))
    etag: Mapped[str | None] = mapped_column(String(100))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)
