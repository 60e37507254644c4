"""The kinds of import: what a file of each holds, who judges its rows, and who writes them.

A lower capability must not know an upper one, so the upper ones register what can be brought in to them when they
are loaded (`accounts/imports.py` registers "people"); the rows of `ImportRun` only name the kind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from portal.audit.rules import Actor
from portal.records.rules.columns import Column
from portal.records.rules.judging import Judged, Row


@dataclass(frozen=True)
class Option:
    """A choice for the whole file beside its columns. `values` are (value, label), the first being taken by itself."""

    name: str
    label: str
    hint: str
    values: Callable[[], Sequence[tuple[str, str]]]


class Importer(Protocol):
    """One look at one file, from its first row to its last; a new one for each look."""

    def judge(self, rows: Sequence[Row]) -> list[Judged]:
        """What would become of the next rows, each of them in its order. Reads what they need and writes nothing."""

    def write(self, judged: Sequence[Judged], *, by: Actor, now: datetime) -> Mapping[int, int]:
        """Add and change these rows, set-wise and with their audit entries; the id to show by number of the row.

        Only rows that were judged added or changed come, all of one file in as few calls as memory allows.
        Raises Moved when somebody else was quicker.
        """

    def finish(self, *, by: Actor, now: datetime) -> None:
        """After the last write: what is done once for all rows, such as ringing the pages that show them."""


class Moved(Exception):  # noqa: N818 (refusals are named as one says them)
    """What the rows were judged by is no longer so; nothing may be kept of the transaction."""


@dataclass(frozen=True)
class FollowUp:
    """What may be done with the rows that were added, once they are in. It is done when its option says anything.

    `act` gets some of the new ids at a time; each is given once, whatever dies in between.
    """

    option: Option
    doing: str
    act: Callable[[Sequence[int], Actor, datetime], None]


@dataclass(frozen=True)
class ImportKind:
    """One kind of import.

    `one` and `many` are its noun, `lead` says in a sentence what a row is and by what it is found again. `begin` makes
    an importer from the choices taken for the file (by name of the option).
    """

    name: str
    title: str
    one: str
    many: str
    lead: str
    columns: tuple[Column, ...]
    begin: Callable[[Mapping[str, str]], Importer]
    options: tuple[Option, ...] = ()
    follow_up: FollowUp | None = None
    place: int = 0
    """Where it stands in the list of kinds: what others refer to comes first."""


_kinds: dict[str, ImportKind] = {}


def register(kind: ImportKind) -> ImportKind:
    """Make a kind known under its name; registering it again replaces it."""
    _kinds[kind.name] = kind
    return kind


def kind_named(name: str) -> ImportKind:
    """The registered kind of this name; KeyError when there is none."""
    return _kinds[name]


def all_kinds() -> list[ImportKind]:
    """Every kind, in the order in which they are brought in: companies before their people."""
    return sorted(_kinds.values(), key=lambda kind: kind.place)
