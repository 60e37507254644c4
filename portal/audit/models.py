"""The audit trail: append only, written in the transaction of what it tells of, sealed by a chain of hashes."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base

UNSEALED = text("chain_no IS NULL")


class AuditEntry(Base):
    """Who did what to what, when and from where. `before` and `after` hold only what may be read again.

    Ids are plain numbers: an entry outlives what it speaks of. `noun` is what stands before the dot of `action`.
    A task gives every entry its place in the chain (`chain_no` from 1 on without gaps, `chain_hash` over it and all
    before it). Texts that name a person go into that hash as salted digests, so that they can be erased: then the
    digest takes the place of the salt. `who` is `actor` and `ip`, `what` are the personal fields in `before` and
    `after`. The database itself refuses to change or remove what is sealed (triggers of migration 0005).
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_at", "at", "id"),
        Index("ix_audit_entry_actor", "actor_id", "at", "id"),
        Index("ix_audit_entry_company", "company_id", "at", "id"),
        Index("ix_audit_entry_object", "object_kind", "object_id", "at", "id"),
        Index("ix_audit_entry_noun", "noun", "at", "id"),
        Index("uq_audit_entry_chain_no", "chain_no", unique=True),
        Index("ix_audit_entry_unsealed", "id", sqlite_where=UNSEALED, postgresql_where=UNSEALED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[int | None]
    actor: Mapped[str] = mapped_column(String(254))
    ip: Mapped[str | None] = mapped_column(String(45))
    request_id: Mapped[str | None] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(60))
    noun: Mapped[str] = mapped_column(String(40), server_default="")
    object_kind: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[int | None]
    company_id: Mapped[int | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    chain_no: Mapped[int | None]
    chain_hash: Mapped[str | None] = mapped_column(String(64))
    who_salt: Mapped[str | None] = mapped_column(String(32))
    who_digest: Mapped[str | None] = mapped_column(String(64))
    what_salt: Mapped[str | None] = mapped_column(String(32))
    what_digest: Mapped[str | None] = mapped_column(String(64))


class AuditChain(Base):
    """The one row (id 1) that says how far the chain reaches, and up to where retention has forgotten its beginning."""

    __tablename__ = "audit_chain"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
    sealed_at: Mapped[datetime | None]
    forgotten: Mapped[int]
    forgotten_hash: Mapped[str] = mapped_column(String(64))


class AuditTally(Base):
    """What an outsider can cause without end (failed sign-ins, refusals), counted instead of written one by one.

    `bucket` is when the stretch began that is counted together; `slot` says whose count it is, and there are only
    so many of them. Once the bucket has ended the count becomes one entry of the trail. `ip`, `request_id` and
    `detail` are those of the first time.
    """

    __tablename__ = "audit_tally"
    __table_args__ = (UniqueConstraint("bucket", "action", "slot"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(String(60))
    bucket: Mapped[datetime]
    slot: Mapped[str] = mapped_column(String(80))
    actor_id: Mapped[int | None]
    actor: Mapped[str] = mapped_column(String(254))
    ip: Mapped[str | None] = mapped_column(String(45))
    request_id: Mapped[str | None] = mapped_column(String(40))
    object_kind: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[int | None]
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    count: Mapped[int] = mapped_column(default=1)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
