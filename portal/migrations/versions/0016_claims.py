"""claims leave the rows of deliveries alone: a slice names what it holds, and what servers have answered of it

Revision ID: 0016
Revises: 0015

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ANSWERS = "delivery_slice_answers"
BY_SLICE = "ix_delivery_slice_id"
HELD = sa.text("slice_id IS NOT NULL")
FOREIGN = {"slice_id": "delivery_slice", "relay_id": "relay"}
"""What a row of a delivery no longer points at with a constraint: it was checked whenever a mail was sent."""

delivery = sa.table(
    "delivery",
    *(sa.column(name) for name in ("id", "slice_id", "state", "attempts", "failure", "relay_id", "code")),
    *(sa.column(name) for name in ("enhanced_code", "answer")),
    *(sa.column(name, sa.DateTime(timezone=True)) for name in ("first_attempt_at", "sending_since", "finished_at")),
)
slices = sa.table("delivery_slice", *(sa.column(name) for name in ("id", "ids", "offered")))
answers = sa.table(
    ANSWERS,
    *(sa.column(name) for name in ("relay_id", "answers")),
    *(sa.column(name, sa.DateTime(timezone=True)) for name in ("claimed_at", "answered_at")),
)


def upgrade() -> None:
    if "ids" not in _columns("delivery_slice"):
        op.add_column("delivery_slice", sa.Column("ids", sa.Text(), server_default="[]", nullable=False))
    if ANSWERS not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table(
            ANSWERS,
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("slice_id", sa.Integer(), nullable=False),
            sa.Column("relay_id", sa.Integer(), nullable=False),
            sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("answers", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{ANSWERS}")),
        )
        op.create_index(op.f(f"ix_{ANSWERS}_slice_id"), ANSWERS, ["slice_id"])
    if "slice_id" in _columns("delivery"):
        _name_what_is_held()
        if BY_SLICE in _indexes():
            op.drop_index(BY_SLICE, table_name="delivery")
        foreign = _foreign_keys()
        with op.batch_alter_table("delivery") as batch:
            for column in FOREIGN:
                if foreign.get(column):
                    batch.drop_constraint(foreign[column], type_="foreignkey")
            batch.drop_column("slice_id")


def _name_what_is_held() -> None:
    """What was claimed waits, and stands on its slice; what was being sent when that still stood in its row, too."""
    connection = op.get_bind()
    for slice_id, offered in connection.execute(sa.select(slices.c.id, slices.c.offered)).all():
        mine = delivery.c.slice_id == slice_id
        held = connection.scalars(sa.select(delivery.c.id).where(mine).order_by(delivery.c.id)).all()
        marks = json.loads(offered) if offered else {}
        sending = connection.execute(
            sa.select(delivery.c.id, delivery.c.sending_since).where(mine, delivery.c.state == "sending")
        )
        for delivery_id, since in sending:
            marks.setdefault(_aware(since).isoformat(), []).append(delivery_id)
        connection.execute(
            sa.update(slices)
            .where(slices.c.id == slice_id)
            .values(ids=_packed(held), offered=json.dumps(marks) if marks else None)
        )
        connection.execute(sa.update(delivery).where(mine, delivery.c.state == "sending").values(state="pending"))
    connection.execute(sa.update(delivery).where(delivery.c.state == "claimed").values(state="pending"))


def downgrade() -> None:
    if "slice_id" not in _columns("delivery"):
        with op.batch_alter_table("delivery") as batch:
            batch.add_column(sa.Column("slice_id", sa.Integer(), nullable=True))
            for column, table in FOREIGN.items():
                batch.create_foreign_key(op.f(f"fk_delivery_{column}"), table, [column], ["id"], ondelete="SET NULL")
    if BY_SLICE not in _indexes():
        op.create_index(BY_SLICE, "delivery", ["slice_id"], sqlite_where=HELD, postgresql_where=HELD)
    if ANSWERS in sa.inspect(op.get_bind()).get_table_names():
        _write_what_was_answered()
        op.drop_table(ANSWERS)
    if "ids" in _columns("delivery_slice"):
        _claim_what_is_held()
        op.drop_column("delivery_slice", "ids")


def _write_what_was_answered() -> None:
    connection = op.get_bind()
    for relay_id, told, claimed_at, answered_at in connection.execute(sa.select(*answers.c)).all():
        for delivery_id, since, code, enhanced, answer in json.loads(told):
            connection.execute(
                sa.update(delivery)
                .where(delivery.c.id == delivery_id, delivery.c.state == "pending")
                .values(
                    state="sent",
                    attempts=delivery.c.attempts + 1,
                    failure=None,
                    relay_id=relay_id,
                    first_attempt_at=sa.func.coalesce(delivery.c.first_attempt_at, claimed_at),
                    sending_since=_aware(datetime.fromisoformat(since)),
                    finished_at=answered_at,
                    code=code,
                    enhanced_code=enhanced,
                    answer=answer,
                )
            )


def _claim_what_is_held() -> None:
    connection = op.get_bind()
    for slice_id, ids in connection.execute(sa.select(slices.c.id, slices.c.ids)).all():
        held = [first + each for first, count in json.loads(ids) for each in range(count)]
        connection.execute(
            sa.update(delivery)
            .where(delivery.c.id.in_(held), delivery.c.state == "pending")
            .values(state="claimed", slice_id=slice_id)
        )


def _packed(ids: Iterable[int]) -> str:
    """As JSON: pairs of a first id and how many follow each other from it on."""
    pairs: list[list[int]] = []
    for each in ids:
        if pairs and each == sum(pairs[-1]):
            pairs[-1][1] += 1
        else:
            pairs.append([each, 1])
    return json.dumps(pairs)


def _aware(moment: datetime) -> datetime:
    """SQLite keeps moments without their zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("delivery")}


def _foreign_keys() -> dict[str, str | None]:
    """The names of the constraints of a delivery, by their only column."""
    found = sa.inspect(op.get_bind()).get_foreign_keys("delivery")
    return {each["constrained_columns"][0]: each["name"] for each in found}
