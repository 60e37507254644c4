"""Imports: the file, how its columns are read, what was found in it, and how far the work is."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Versioned
from portal.records.rules import ImportState, Verdict
from portal.records.rules.exports import ExportKind, ExportState


class ImportRun(Versioned, Base):
    """One file brought in: from the choice of its columns through the dry run to what was done.

    `headers` and `samples` (a few values of each column) are those of the file; `mapping` says for each column of the
    kind which one of the file it is (counted from 0). `total` and `done` count rows of the phase under way. `counts`
    has a number for each verdict, and `plan_hash` stands for all of them: applying does what it stands for or nothing.
    `asked_by` is the actor of the last step, for the audit trail. While a process works on the run it holds the lease.
    """

    __tablename__ = "import_run"
    __table_args__ = (
        Index(
            "ix_import_run_open",
            "id",
            sqlite_where=text("state IN ('planning', 'applying', 'following')"),
            postgresql_where=text("state IN ('planning', 'applying', 'following')"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    state: Mapped[ImportState]
    filename: Mapped[str] = mapped_column(String(200))
    size: Mapped[int]
    encoding: Mapped[str] = mapped_column(String(20))
    delimiter: Mapped[str] = mapped_column(String(1))
    headers: Mapped[list[str]] = mapped_column(JSON)
    samples: Mapped[list[list[str]]] = mapped_column(JSON)
    mapping: Mapped[dict[str, int]] = mapped_column(JSON)
    choices: Mapped[dict[str, Any]] = mapped_column(JSON)
    total: Mapped[int]
    done: Mapped[int] = mapped_column(default=0)
    counts: Mapped[dict[str, int]] = mapped_column(JSON)
    plan_hash: Mapped[str | None] = mapped_column(String(64))
    leave_out_refused: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str | None] = mapped_column(String(500))
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_by: Mapped[str] = mapped_column(String(254))
    asked_by: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    began_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(40))
    leased_until: Mapped[datetime | None]
    stop_asked: Mapped[bool] = mapped_column(default=False)


class ImportFile(Base):
    """The bytes of an import as they were sent, so that any machine can read them; gone after their retention."""

    __tablename__ = "import_file"

    run_id: Mapped[int] = mapped_column(ForeignKey("import_run.id", ondelete="CASCADE"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class ImportPart(Base):
    """Judged rows of one verdict, a few hundred in one piece and in the order of the file, so that lists are bounded.

    Each is {"row", "label", "sentence", "changes": [[field, from, to]], "id", "cells" (of refused ones)}.
    """

    __tablename__ = "import_part"

    run_id: Mapped[int] = mapped_column(ForeignKey("import_run.id", ondelete="CASCADE"), primary_key=True)
    verdict: Mapped[Verdict] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    rows: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


class ImportMapping(Base):
    """How the columns of a kind were mapped last: for each the header it had, "" for left out."""

    __tablename__ = "import_mapping"

    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    headers: Mapped[dict[str, str]] = mapped_column(JSON)


class ExportRun(Base):
    """One file that was asked for: how far it is (`parts_done` of `parts`), and until when it can be fetched.

    `subject_id` is the company or person it is about, None for the firm's own lists. `size` is in bytes, `rows` the
    number of rows in all its tables. While a process works on it, it holds the lease. `note` says why it failed.
    """

    __tablename__ = "export_run"
    __table_args__ = (Index("ix_export_run_state", "state"), Index("ix_export_run_subject", "kind", "subject_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[ExportKind]
    subject_id: Mapped[int | None]
    file_name: Mapped[str] = mapped_column(String(120))
    state: Mapped[ExportState] = mapped_column(default=ExportState.QUEUED)
    parts: Mapped[int] = mapped_column(default=0)
    parts_done: Mapped[int] = mapped_column(default=0)
    rows: Mapped[int] = mapped_column(default=0)
    size: Mapped[int] = mapped_column(default=0)
    downloads: Mapped[int] = mapped_column(default=0)
    note: Mapped[str | None] = mapped_column(String(500))
    requested_by_id: Mapped[int | None]
    created_at: Mapped[datetime]
    leased_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class ExportChunk(Base):
    """A piece of an export's file, so that any machine can hand it out and no statement carries all of it."""

    __tablename__ = "export_chunk"
    __table_args__ = (UniqueConstraint("run_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("export_run.id", ondelete="CASCADE"))
    number: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class RetentionRule(Versioned, Base):
    """For how many days one kind of record is kept, where it differs from the default; and what went last."""

    __tablename__ = "retention_rule"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    days: Mapped[int]
    last_at: Mapped[datetime | None]
    last_count: Mapped[int] = mapped_column(default=0)
