"""Which column of a file is which: guessed from its header, as it was chosen the last time, or as somebody says."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portal.records.rules.files import Record
from portal.records.rules.judging import Row


@dataclass(frozen=True)
class Column:
    """One thing a kind of import takes. `synonyms` are what other systems call it, in English and German.

    `examples` stand in the template people download, one for each of its two rows.
    """

    name: str
    label: str
    synonyms: tuple[str, ...] = ()
    is_required: bool = False
    hint: str = ""
    examples: tuple[str, str] = ("", "")


def header_key(header: str) -> str:
    """How headers are compared: letters and digits only, without case and accents; ä, ö, ü and ß in full."""
    text = unicodedata.normalize("NFC", header).casefold()
    for letter, spelled in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
        text = text.replace(letter, spelled)
    plain = unicodedata.normalize("NFKD", text)
    return "".join(char for char in plain if char.isalnum())


def guess(columns: Sequence[Column], headers: Sequence[str], remembered: Mapping[str, str]) -> dict[str, int]:
    """For each column the place of its header, counted from 0: the remembered one if it is there, else by its name.

    A column remembered as left out stays so, unless nothing comes in without it; no header serves two columns.
    """
    found: dict[str, int] = {}
    for column in columns:
        kept = remembered.get(column.name)
        if kept and kept in headers and headers.index(kept) not in found.values():
            found[column.name] = headers.index(kept)
    keys = [header_key(header) for header in headers]
    for column in columns:
        if column.name in found or (remembered.get(column.name) == "" and not column.is_required):
            continue
        for wanted in (column.name, column.label, *column.synonyms):
            place = next(
                (at for at, key in enumerate(keys) if key == header_key(wanted) and at not in found.values()), None
            )
            if place is not None:
                found[column.name] = place
                break
    return found


def complaints(columns: Sequence[Column], mapping: Mapping[str, int], headers: Sequence[str]) -> dict[str, str]:
    """What is wrong with a mapping, as a sentence for each column it is about; empty when it will do."""
    wrong: dict[str, str] = {}
    taken: dict[int, str] = {}
    for column in columns:
        place = mapping.get(column.name)
        if place is None:
            if column.is_required:
                wrong[column.name] = f"Choose the column that holds “{column.label}”: nothing comes in without it."
        elif not 0 <= place < len(headers):
            wrong[column.name] = f"This file has no such column for “{column.label}”. Choose again."
        elif place in taken:
            wrong[column.name] = f"“{headers[place]}” is already read as “{taken[place]}”. Choose another column."
        else:
            taken[place] = column.label
    return wrong


def named(columns: Sequence[Column], headers: Sequence[str], chosen: Mapping[str, str]) -> dict[str, int]:
    """A mapping from the words of the command line, column=Header; ValueError with a sentence for what is not there."""
    known = {column.name for column in columns}
    keys = [header_key(header) for header in headers]
    places: dict[str, int] = {}
    for name, header in chosen.items():
        if name not in known:
            raise ValueError(f"There is no column {name!r} to map; there are {', '.join(sorted(known))}.")
        if header_key(header) not in keys:
            raise ValueError(f"The file has no column {header!r}; it has {', '.join(headers)}.")
        places[name] = keys.index(header_key(header))
    return places


def row_of(record: Record, mapping: Mapping[str, int]) -> Row:
    """The mapped cells of a record that hold any text."""
    cells = record.cells
    texts = {name: cells[place] for name, place in mapping.items() if place < len(cells)}
    return Row(record.number, {name: text for name, text in texts.items() if text})


def names_in(cell: str) -> tuple[str, ...]:
    """The names in a cell that may hold several: parted by |, ; or a line break, each once, in their order."""
    parts = cell.replace(";", "|").replace("\r", "\n").replace("\n", "|").split("|")
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
