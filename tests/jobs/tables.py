"""Tables of work statuses, drawn at random or written short."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from portal.jobs.rules import (
    CATEGORIES,
    ROLES,
    Category,
    Move,
    Revision,
    Role,
    Showing,
    StatusRow,
    StatusTable,
    WorkKind,
    defaults,
)

START = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def row(status_id: int, name: str, **values: Any) -> StatusRow:
    given: dict[str, Any] = {"role": None, "category": Category.UNDER_WAY, "portal_name": name, "color": "#2457d6"}
    if "shown_as" in values:
        values["mapped_to_id"], values["showing"] = values.pop("shown_as"), Showing.MAPPED
    return StatusRow(id=status_id, name=name, **(given | values))


def table(*rows: StatusRow) -> StatusTable:
    return StatusTable.of(WorkKind.JOB, rows)


def job_table(**changes: dict[str, Any]) -> StatusTable:
    """The job statuses an installation begins with, ids from 1, some of them changed by role."""
    rows = []
    for number, each in enumerate(defaults(WorkKind.JOB).rows, start=1):
        values = dict(vars(each)) | {"id": number} | (changes.get(each.role.value, {}) if each.role else {})
        if "shown_as" in values:
            values["mapped_to_id"], values["showing"] = values.pop("shown_as"), Showing.MAPPED
        rows.append(StatusRow(**values))
    return StatusTable.of(WorkKind.JOB, rows)


def id_of(wanted: StatusTable, role: Role) -> int:
    return wanted.with_role(role).id


NAMES = ("Open", "open", "Sent", "Bei uns", "STRASSE", "straße", " ", "")
COLOURS = ("#000000", "#ffffff", "#767676", "#2457d6", "#f2b01e")


@st.composite
def any_table(draw: st.DrawFn, *, most: int = 8) -> StatusTable:
    """Any table at all, also one no check would let pass: loops, blanks, mappings to nowhere."""
    count = draw(st.integers(1, most))
    rows = [
        StatusRow(
            id=number,
            role=None,
            category=draw(st.sampled_from(Category)),
            name=draw(st.sampled_from(NAMES)),
            showing=draw(st.sampled_from(Showing)),
            mapped_to_id=draw(st.none() | st.integers(1, count + 1)),
            portal_name=draw(st.sampled_from(NAMES)),
            color=draw(st.sampled_from(COLOURS)),
            portal_color=draw(st.none() | st.sampled_from(COLOURS)),
            is_archived=draw(st.booleans()),
        )
        for number in range(1, count + 1)
    ]
    return StatusTable.of(WorkKind.JOB, draw(st.permutations(rows)))


@st.composite
def saved_table(draw: st.DrawFn, *, custom: int = 3) -> StatusTable:
    """A table that may be saved: the system statuses of jobs and a few more, mapped without loops."""
    roles: list[Role | None] = [*ROLES[WorkKind.JOB], *[None] * custom]
    numbers = list(range(1, len(roles) + 1))
    # Each may only be shown as one that stands before it here, so that no loop comes about.
    order = draw(st.permutations(numbers[1:]))
    rows = {1: _drawn(draw, 1, roles[0], (), may_hide=False)}
    for place, number in enumerate(order):
        rows[number] = _drawn(draw, number, roles[number - 1], (1, *order[:place]), may_hide=True)
    return StatusTable.of(WorkKind.JOB, [rows[number] for number in draw(st.permutations(numbers))])


def _drawn(draw: st.DrawFn, number: int, role: Role | None, targets: tuple[int, ...], *, may_hide: bool) -> StatusRow:
    showing = draw(st.sampled_from(Showing)) if may_hide else Showing.ITSELF
    if showing is Showing.MAPPED and not targets:
        showing = Showing.ITSELF
    return StatusRow(
        id=number,
        role=role,
        category=CATEGORIES[role] if role else Category.UNDER_WAY,
        name=f"Status {number}",
        showing=showing,
        mapped_to_id=draw(st.sampled_from(targets)) if showing is Showing.MAPPED else None,
        portal_name=draw(st.sampled_from(("Open", "open", "Sent", "With us", f"Status {number}"))),
        color=draw(st.sampled_from(COLOURS)),
    )


@st.composite
def history(draw: st.DrawFn, *, saves: int = 4, most: int = 8) -> tuple[list[Move], list[Revision]]:
    """Moves of one item and saves of the settings in the order in which they happened."""
    hour, moves = 0, []
    revisions = [Revision(1, at(0), draw(saved_table()))]
    for _ in range(draw(st.integers(1, most))):
        hour += draw(st.integers(0, 3))
        if len(revisions) <= saves and draw(st.booleans()):
            revisions.append(Revision(len(revisions) + 1, at(hour), draw(saved_table())))
        else:
            moves.append(Move(draw(st.integers(1, 9)), at(hour), len(revisions)))
    return moves, revisions
