"""the audit trail sealed by a chain of hashes; exports, and how long things are kept

Revision ID: 0005
Revises: 0004

Each step looks whether it was done, because SQLite commits every change of a table by itself: killed at any point,
this can be run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GENESIS = "0" * 64

COLUMNS = {
    "chain_no": sa.Integer(),
    "chain_hash": sa.String(length=64),
    "who_salt": sa.String(length=32),
    "who_digest": sa.String(length=64),
    "what_salt": sa.String(length=32),
    "what_digest": sa.String(length=64),
}

INDEXES = {
    "ix_audit_entry_at": ["at", "id"],
    "ix_audit_entry_actor": ["actor_id", "at", "id"],
    "ix_audit_entry_company": ["company_id", "at", "id"],
    "ix_audit_entry_object": ["object_kind", "object_id", "at", "id"],
    "ix_audit_entry_noun": ["noun", "at", "id"],
}

OLD_INDEXES = {
    "ix_audit_entry_at": ["at"],
    "ix_audit_entry_company_id": ["company_id"],
    "ix_audit_entry_object": ["object_kind", "object_id"],
}

UNSEALED = sa.text("chain_no IS NULL")


def upgrade() -> None:
    present = sa.inspect(op.get_bind())
    known = {column["name"] for column in present.get_columns("audit_entry")}
    if "noun" not in known:
        op.add_column("audit_entry", sa.Column("noun", sa.String(length=40), server_default="", nullable=False))
    for name, kind in COLUMNS.items():
        if name not in known:
            op.add_column("audit_entry", sa.Column(name, kind, nullable=True))
    if "counted" not in {column["name"] for column in present.get_columns("broadcast")}:
        op.add_column("broadcast", sa.Column("counted", sa.JSON(none_as_null=True), nullable=True))
    _name_nouns()
    _index(present)
    if "ix_suppression_hashed" not in {index["name"] for index in present.get_indexes("suppression")}:
        hashed = sa.text("address_key LIKE 'sha256:%'")
        op.create_index("ix_suppression_hashed", "suppression", ["id"], sqlite_where=hashed, postgresql_where=hashed)
    tables = set(present.get_table_names())
    for name, make in (
        ("audit_chain", _create_chain),
        ("audit_tally", _create_tally),
        ("export_run", _create_export_run),
        ("export_chunk", _create_export_chunk),
        ("retention_rule", _create_retention_rule),
    ):
        if name not in tables:
            make()
    op.execute(
        "INSERT INTO audit_chain (id, number, hash, forgotten, forgotten_hash) "
        f"SELECT 1, 0, '{GENESIS}', 0, '{GENESIS}' WHERE NOT EXISTS (SELECT 1 FROM audit_chain)"
    )
    _drop_triggers()
    for statement in SQLITE_TRIGGERS if op.get_bind().dialect.name == "sqlite" else POSTGRESQL_TRIGGERS:
        op.execute(statement)


def _name_nouns() -> None:
    noun = "substr(action, 1, instr(action, '.') - 1)"
    if op.get_bind().dialect.name == "postgresql":
        noun = "split_part(action, '.', 1)"
    op.execute(f"UPDATE audit_entry SET noun = {noun} WHERE noun = ''")


def _index(present) -> None:
    there = {index["name"]: index["column_names"] for index in present.get_indexes("audit_entry")}
    for name in OLD_INDEXES:
        if name in there and there[name] == OLD_INDEXES[name]:
            op.drop_index(name, table_name="audit_entry")
            del there[name]
    for name, columns in INDEXES.items():
        if name not in there:
            op.create_index(name, "audit_entry", columns)
    if "uq_audit_entry_chain_no" not in there:
        op.create_index("uq_audit_entry_chain_no", "audit_entry", ["chain_no"], unique=True)
    if "ix_audit_entry_unsealed" not in there:
        op.create_index(
            "ix_audit_entry_unsealed", "audit_entry", ["id"], sqlite_where=UNSEALED, postgresql_where=UNSEALED
        )


def _create_chain() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("forgotten", sa.Integer(), nullable=False),
        sa.Column("forgotten_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chain")),
    )


def _create_tally() -> None:
    op.create_table(
        "audit_tally",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slot", sa.String(length=80), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(length=254), nullable=False),
        sa.Column("ip", sa.String(length=45), nullable=True),
        sa.Column("request_id", sa.String(length=40), nullable=True),
        sa.Column("object_kind", sa.String(length=40), nullable=False),
        sa.Column("object_id", sa.Integer(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_tally")),
        sa.UniqueConstraint("bucket", "action", "slot", name=op.f("uq_audit_tally_bucket_action_slot")),
    )


def _create_export_run() -> None:
    op.create_table(
        "export_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=True),
        sa.Column("file_name", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("parts_done", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("downloads", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("requested_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_run")),
    )
    op.create_index("ix_export_run_state", "export_run", ["state"])
    op.create_index("ix_export_run_subject", "export_run", ["kind", "subject_id"])


def _create_export_chunk() -> None:
    op.create_table(
        "export_chunk",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["export_run.id"], name=op.f("fk_export_chunk_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_chunk")),
        sa.UniqueConstraint("run_id", "number", name=op.f("uq_export_chunk_run_id_number")),
    )


def _create_retention_rule() -> None:
    op.create_table(
        "retention_rule",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_count", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_retention_rule")),
    )


# Append only, whoever holds the pen. Sealed text may only be erased: then its digest takes its place.

FIXED = (
    "id",
    "at",
    "actor_id",
    "request_id",
    "action",
    "noun",
    "object_kind",
    "object_id",
    "company_id",
    "chain_no",
    "chain_hash",
)


def _changed(different: str) -> str:
    def text(column: str) -> str:
        return f"CAST(OLD.{column} AS TEXT) {different} CAST(NEW.{column} AS TEXT)"

    def erased(columns: tuple[str, ...], piece: str) -> str:
        """A change of these columns that is not their erasure."""
        change = " OR ".join(text(column) for column in columns)
        return (
            f"(({change} OR {text(piece + '_salt')}) AND (NEW.{piece}_salt IS NOT NULL OR NEW.{piece}_digest IS NULL))"
            f" OR (OLD.{piece}_digest IS NOT NULL AND {text(piece + '_digest')})"
        )

    fixed = " OR ".join(text(column) for column in FIXED)
    return f"{fixed} OR {erased(('actor', 'ip'), 'who')} OR {erased(('before', 'after'), 'what')}"


NOT_AN_ENTRY = (
    "NEW.forgotten > OLD.forgotten AND NOT EXISTS (SELECT 1 FROM audit_entry"
    " WHERE chain_no = NEW.forgotten AND chain_hash = NEW.forgotten_hash)"
)
CHAIN_TURNED_BACK = f"NEW.number < OLD.number OR NEW.forgotten < OLD.forgotten OR ({NOT_AN_ENTRY})"
KEPT = "OLD.chain_no IS NULL OR OLD.chain_no > (SELECT forgotten FROM audit_chain WHERE id = 1)"
REFUSAL = "the audit trail is append only"

SQLITE_TRIGGERS = [
    f"""CREATE TRIGGER audit_entry_sealed BEFORE UPDATE ON audit_entry
        WHEN OLD.chain_no IS NOT NULL AND ({_changed("IS NOT")})
        BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    f"""CREATE TRIGGER audit_entry_kept BEFORE DELETE ON audit_entry
        WHEN {KEPT} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    f"""CREATE TRIGGER audit_chain_onward BEFORE UPDATE ON audit_chain
        WHEN {CHAIN_TURNED_BACK} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    f"""CREATE TRIGGER audit_chain_kept BEFORE DELETE ON audit_chain
        BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
]

REFUSE = "RAISE EXCEPTION '" + REFUSAL + "' USING ERRCODE = 'integrity_constraint_violation';"


def _postgresql(name: str, condition: str, row: str) -> str:
    return f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF {condition} THEN {REFUSE} END IF; RETURN {row}; END $$"""


POSTGRESQL_TRIGGERS = [
    _postgresql(
        "audit_entry_sealed", f"OLD.chain_no IS NOT NULL AND ({_changed('IS DISTINCT FROM')})", "NEW"
    ),
    _postgresql("audit_entry_kept", KEPT, "OLD"),
    _postgresql("audit_chain_onward", CHAIN_TURNED_BACK, "NEW"),
    _postgresql("audit_chain_kept", "TRUE", "NULL"),
    """CREATE TRIGGER audit_entry_sealed BEFORE UPDATE ON audit_entry
        FOR EACH ROW EXECUTE FUNCTION audit_entry_sealed()""",
    "CREATE TRIGGER audit_entry_kept BEFORE DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_entry_kept()",
    """CREATE TRIGGER audit_chain_onward BEFORE UPDATE ON audit_chain
        FOR EACH ROW EXECUTE FUNCTION audit_chain_onward()""",
    "CREATE TRIGGER audit_chain_kept BEFORE DELETE ON audit_chain FOR EACH ROW EXECUTE FUNCTION audit_chain_kept()",
    """CREATE TRIGGER audit_entry_whole BEFORE TRUNCATE ON audit_entry
        FOR EACH STATEMENT EXECUTE FUNCTION audit_chain_kept()""",
]


def _drop_triggers() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in ("audit_entry_sealed", "audit_entry_kept", "audit_chain_onward", "audit_chain_kept"):
            op.execute(f"DROP TRIGGER IF EXISTS {name}")
        return
    for name in ("audit_entry_sealed", "audit_entry_kept", "audit_chain_onward", "audit_chain_kept"):
        op.execute(f"DROP FUNCTION IF EXISTS {name}() CASCADE")


def downgrade() -> None:
    _drop_triggers()
    present = sa.inspect(op.get_bind())
    tables = set(present.get_table_names())
    for name in ("retention_rule", "export_chunk", "export_run", "audit_tally", "audit_chain"):
        if name in tables:
            op.drop_table(name)
    if "ix_suppression_hashed" in {index["name"] for index in present.get_indexes("suppression")}:
        op.drop_index("ix_suppression_hashed", table_name="suppression")
    there = {index["name"] for index in present.get_indexes("audit_entry")}
    for name in (*INDEXES, "uq_audit_entry_chain_no", "ix_audit_entry_unsealed"):
        if name in there:
            op.drop_index(name, table_name="audit_entry")
    known = {column["name"] for column in present.get_columns("audit_entry")}
    with op.batch_alter_table("audit_entry") as batch_op:
        for name in ("noun", *COLUMNS):
            if name in known:
                batch_op.drop_column(name)
    if "counted" in {column["name"] for column in present.get_columns("broadcast")}:
        with op.batch_alter_table("broadcast") as batch_op:
            batch_op.drop_column("counted")
    for name, columns in OLD_INDEXES.items():
        op.create_index(name, "audit_entry", columns)
