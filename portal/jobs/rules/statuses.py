"""A table of work statuses: what the office decided for one kind of work, as one value."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property
from typing import Any

from portal.accounts.rules import text_key
from portal.jobs.rules.kinds import Category, Role, Showing, WorkKind


@dataclass(frozen=True, kw_only=True)
class StatusRow:
    """One work status. `id` is negative for one that was never saved.

    `name` is for staff. `portal_name` and `portal_color` are for customers, and rest while the status is shown as
    another one; a `portal_color` of None is the same as `color`. `role` is None for those the office added.
    `is_mailed`: a customer whose public status becomes this one is mailed. `is_archived`: nothing is moved here any
    more.
    """

    id: int
    role: Role | None
    category: Category
    name: str
    showing: Showing = Showing.ITSELF
    mapped_to_id: int | None = None
    portal_name: str = ""
    color: str
    portal_color: str | None = None
    is_mailed: bool = True
    is_archived: bool = False

    @property
    def is_system(self) -> bool:
        return self.role is not None

    @property
    def shown_color(self) -> str:
        """Its colour in the portal."""
        return self.portal_color or self.color


@dataclass(frozen=True)
class StatusTable:
    """All work statuses of one kind in their order, archived ones last."""

    kind: WorkKind
    rows: tuple[StatusRow, ...]

    @classmethod
    def of(cls, kind: WorkKind, rows: Iterable[StatusRow]) -> "StatusTable":
        """A table of these rows: in the order given, the archived behind the others."""
        return cls(kind, tuple(sorted(rows, key=lambda row: row.is_archived)))

    @cached_property
    def by_id(self) -> Mapping[int, StatusRow]:
        return {row.id: row for row in self.rows}

    @cached_property
    def by_portal_name(self) -> Mapping[str, StatusRow]:
        """Of those shown as themselves the first of each portal name, by its compared form, in order."""
        found: dict[str, StatusRow] = {}
        for row in self.rows:
            if row.showing is Showing.ITSELF and (key := text_key(row.portal_name)):
                found.setdefault(key, row)
        return found

    @property
    def live(self) -> tuple[StatusRow, ...]:
        """Those that are in use."""
        return tuple(row for row in self.rows if not row.is_archived)

    def with_role(self, role: Role) -> StatusRow:
        """The system status of this role. KeyError where the kind has none."""
        for row in self.rows:
            if row.role is role:
                return row
        raise KeyError(role)

    def __iter__(self) -> Iterator[StatusRow]:
        return iter(self.rows)

    def to_json(self) -> list[dict[str, Any]]:
        """The rows as a revision stores them."""
        return [{field.name: getattr(row, field.name) for field in fields(StatusRow)} for row in self.rows]

    @classmethod
    def from_json(cls, kind: WorkKind, stored: Iterable[Mapping[str, Any]]) -> "StatusTable":
        """The table a revision stored."""
        return cls(kind, tuple(_row(each) for each in stored))


_ENUMS: Mapping[str, type[StrEnum]] = {"role": Role, "category": Category, "showing": Showing}


def _row(stored: Mapping[str, Any]) -> StatusRow:
    values = dict(stored)
    for name, kind in _ENUMS.items():
        values[name] = None if values[name] is None else kind(values[name])
    return StatusRow(**values)
