"""A table of work statuses as it is edited: read from a form, changed by its buttons, compared with what is saved.

Everything stays in the form until it is saved: adding, deleting, archiving and resetting too. So all of it works
without script, is previewed together, and is one transaction.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from werkzeug.datastructures import MultiDict

from portal.jobs.rules import (
    PALETTE,
    STATUSES_AT_MOST,
    Category,
    Showing,
    StatusRow,
    StatusTable,
    WorkKind,
    normal,
    reset,
)

_ID = re.compile(r"-?[1-9][0-9]{0,8}", re.ASCII)
_PLACE = re.compile(r"[0-9]{1,6}", re.ASCII)
_CATEGORIES = frozenset(each.value for each in Category)
LONGEST = 500
"""Characters of a field that are looked at: what is longer than a name may be is refused for that."""


@dataclass(frozen=True)
class Edit:
    """A table as it stands in the form, not yet normal; `deleted` are to go, each with where its items go to."""

    table: StatusTable
    deleted: Mapping[int, int | None]

    @property
    def normal(self) -> StatusTable:
        """The table as it would be stored."""
        return normal(self.table)

    def do(self, what: str) -> "Edit":
        """The form after one of its buttons; a button it does not have changes nothing."""
        verb, _colon, target = what.partition(":")
        if verb == "add":
            return self._added()
        if verb == "reset" and target == "all":
            return replace(self, table=reset(self.table, [row.role for row in self.table.rows if row.role]))
        row = self.table.by_id.get(int(target)) if _ID.fullmatch(target) else None
        step = _STEPS.get(verb)
        return step(self, row) if row and step else self

    def _added(self) -> "Edit":
        """One more row, behind the last of its category, that says nothing yet: what customers see is asked."""
        rows = list(self.table.rows)
        category = Category.UNDER_WAY
        used = {row.color for row in rows}
        color = next((swatch.colour for swatch in PALETTE if swatch.colour not in used), PALETTE[0].colour)
        new = StatusRow(
            id=min(0, *(row.id for row in rows)) - 1,
            role=None,
            category=category,
            name="",
            showing=Showing.MAPPED,
            color=color,
        )
        places = [place for place, row in enumerate(rows) if row.category is category and not row.is_archived]
        rows.insert(places[-1] + 1 if places else len(self.table.live), new)
        return replace(self, table=StatusTable.of(self.table.kind, rows))

    def _delete(self, row: StatusRow) -> "Edit":
        if row.id < 0:
            left = [each for each in self.table.rows if each.id != row.id]
            return replace(self, table=StatusTable.of(self.table.kind, left))
        return self if row.is_system else replace(self, deleted={**self.deleted, row.id: self.deleted.get(row.id)})

    def _keep(self, row: StatusRow) -> "Edit":
        return replace(self, deleted={each: to for each, to in self.deleted.items() if each != row.id})

    def _archive(self, row: StatusRow) -> "Edit":
        return self._with(replace(row, is_archived=True))

    def _restore(self, row: StatusRow) -> "Edit":
        return self._with(replace(row, is_archived=False))

    def _reset(self, row: StatusRow) -> "Edit":
        return replace(self, table=reset(self.table, [row.role])) if row.role else self

    def _up(self, row: StatusRow) -> "Edit":
        return self._stepped(row, -1)

    def _down(self, row: StatusRow) -> "Edit":
        return self._stepped(row, 1)

    def _stepped(self, row: StatusRow, direction: int) -> "Edit":
        rows = list(self.table.rows)
        place = rows.index(row)
        rows.insert(max(0, place + direction), rows.pop(place))
        return replace(self, table=StatusTable.of(self.table.kind, rows))

    def _with(self, row: StatusRow) -> "Edit":
        rows = [row if each.id == row.id else each for each in self.table.rows]
        return replace(self, table=StatusTable.of(self.table.kind, rows))


_STEPS = {
    "delete": Edit._delete,
    "keep": Edit._keep,
    "archive": Edit._archive,
    "restore": Edit._restore,
    "reset": Edit._reset,
    "up": Edit._up,
    "down": Edit._down,
}


def fresh(table: StatusTable) -> Edit:
    """The form of a table nobody has touched."""
    return Edit(table, {})


def read(kind: WorkKind, sent: MultiDict[str, str], saved: StatusTable) -> Edit:
    """What was typed. Roles, and whatever the form does not hold, are as they are saved; rows that are saved and were
    not sent stand where they are, and rows that are not there any more are left out."""
    ids = [int(each) for each in sent.getlist("row") if _ID.fullmatch(each)]
    ids = [each for each in dict.fromkeys(ids) if each < 0 or each in saved.by_id][:STATUSES_AT_MOST]
    rows = _arranged([_read_row(each, sent, saved) for each in ids], sent)
    rows += [row for row in saved.rows if row.id not in set(ids)]
    deleted = {
        each: int(to) if _ID.fullmatch(to := sent.get(f"replacement.{each}", "")) else None
        for each in ids
        if sent.get(f"deleted.{each}") and each in saved.by_id
    }
    return Edit(StatusTable.of(kind, rows), deleted)


def _read_row(row_id: int, sent: MultiDict[str, str], saved: StatusTable) -> StatusRow:
    there = saved.by_id.get(row_id)

    def typed(field: str, otherwise: str = "") -> str:
        return sent.get(f"{field}.{row_id}", otherwise)[:LONGEST]

    showing, mapped_to_id = showing_of(typed("showing"))
    category = there.category if there else Category.UNDER_WAY
    if (chosen := typed("category")) in _CATEGORIES:
        category = Category(chosen)
    return StatusRow(
        id=row_id,
        role=there.role if there else None,
        category=category,
        name=typed("name"),
        showing=showing,
        mapped_to_id=mapped_to_id,
        portal_name=typed("portal_name"),
        color=typed("color") or (there.color if there else PALETTE[0].colour),
        portal_color=typed("portal_color").strip() or None,
        is_mailed=typed("mailed", "no") == "yes",
        is_archived=typed("archived") == "yes",
    )


def _arranged(rows: Sequence[StatusRow], sent: MultiDict[str, str]) -> list[StatusRow]:
    """The rows by the numbers of their places. One that was given another's number stands before it if it moved up,
    and behind it if it moved down, so that it has that number then."""

    def place(numbered: tuple[int, StatusRow]) -> tuple[int, int, int]:
        stands, row = numbered
        typed = sent.get(f"place.{row.id}", "")
        wanted = int(typed) if _PLACE.fullmatch(typed) else stands
        return wanted, (wanted > stands) - (wanted < stands), stands

    return [row for _place, row in sorted(enumerate(rows, start=1), key=place)]


def showing_of(code: str) -> tuple[Showing, int | None]:
    """What a choice of the mapping means: "itself", "hidden", "item_hidden", "to:12". Else it says nothing yet."""
    verb, _colon, target = code.partition(":")
    if verb == "to" and _ID.fullmatch(target):
        return Showing.MAPPED, int(target)
    if code in {Showing.ITSELF.value, Showing.HIDDEN.value, Showing.ITEM_HIDDEN.value}:
        return Showing(code), None
    return Showing.MAPPED, None


def code_of(row: StatusRow) -> str:
    """The choice of the mapping that stands for a row; "" while it says nothing."""
    if row.showing is Showing.MAPPED:
        return f"to:{row.mapped_to_id}" if row.mapped_to_id else ""
    return row.showing.value


def changed_rows(saved: StatusTable, edited: Edit) -> frozenset[int]:
    """The rows that would be saved differently: typed over, added, deleted, or moved to another place."""
    table = edited.normal
    typed = {row.id for row in table.rows if saved.by_id.get(row.id) != row}
    return frozenset(typed | set(edited.deleted) | _moved(saved, table))


def _moved(saved: StatusTable, table: StatusTable) -> set[int]:
    """The fewest rows that make the one order the other when they are moved."""
    places = {row.id: place for place, row in enumerate(saved.rows) if not row.is_archived}
    ids = [row.id for row in table.live if row.id in places]
    runs: list[list[int]] = []
    for row_id in ids:
        before = [run for run in runs if places[run[-1]] < places[row_id]]
        runs.append([*_longest(before), row_id])
    return set(ids) - set(_longest(runs))


def _longest(runs: list[list[int]]) -> list[int]:
    return max(runs, key=len) if runs else []
