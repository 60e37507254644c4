"""Reading delimited text as it comes: whatever program wrote it, and never more of it than fits.

What a spreadsheet calls row 1 is the header here too, blank rows count, and a cell may hold line breaks; so a row
number in a sentence is the one people see beside the row in their spreadsheet.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 25_000_000
"""Bytes of one file, so that one fits into memory several times over on a small machine."""

MOST_ROWS = 100_000
"""Rows of one file below its header."""

MOST_LINES = 1_048_576
"""Rows of one file, blank ones too: as many as a sheet of a spreadsheet has, and each takes its time."""

MOST_COLUMNS = 200
MOST_CELL = 10_000
"""Characters of one cell; the longest text of ours has 2,000. More is a quotation mark that is missing."""

SAMPLES = 3
"""Different values shown of each column while columns are chosen."""

SAMPLE_LENGTH = 60
DELIMITERS = (",", ";", "\t")
FORMULA_STARTS = frozenset("=+-@\t\r")
"""What makes a spreadsheet take a cell for a formula (OWASP; row I20)."""

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_PROBE = 4096
_ADDRESS = re.compile(r"[^\s@]+@[^\s@.]+(?:\.[^\s@.]+)+")
"""No two of its parts fit the same letter, so no cell, however long, makes it try more than once."""


class Unreadable(Exception):  # noqa: N818 (refusals are named as one says them)
    """The file cannot be read, with a sentence that says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class TooBig(Unreadable):
    """The file has more bytes than are taken."""


@dataclass(frozen=True)
class Shape:
    """How a file is to be read, what its columns are called, and a few of their values; `total` rows with anything in.

    `encoding` is a name Python knows. `header_row` is the number of the row the names stand in.
    """

    encoding: str
    delimiter: str
    headers: tuple[str, ...]
    samples: tuple[tuple[str, ...], ...]
    total: int
    header_row: int = 1


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the file: its number and all its cells."""

    number: int
    cells: tuple[str, ...]


def shape_of(content: bytes) -> Shape:
    """Look at a file from its first byte to its last, without keeping it; Unreadable says what is wrong with it."""
    if len(content) > MOST_BYTES:
        raise TooBig(
            f"This file has {len(content) / 1_000_000:,.0f} MB; at most {MOST_BYTES // 1_000_000} MB are taken at "
            "once. Split it: what was imported before is found again, so the parts can come one after the other."
        )
    encoding = encoding_of(content)
    delimiter = _delimiter(content, encoding)
    records = _records(content, encoding, delimiter)
    header = next((record for record in records if any(record.cells)), None)
    if header is None:
        raise Unreadable("This file is empty. Its first row names the columns, each row below it is one entry.")
    headers = _headers(header)
    seen: list[list[str]] = [[] for _each in headers]
    total = 0
    for record in records:
        if not any(record.cells):
            continue
        total += 1
        if total > MOST_ROWS:
            raise Unreadable(
                f"This file has more than {MOST_ROWS:,} rows. Split it: what was imported before is found again, "
                "so the parts can come one after the other."
            )
        for values, cell in zip(seen, record.cells, strict=False):
            if cell and len(values) < SAMPLES and cell[:SAMPLE_LENGTH] not in values:
                values.append(cell[:SAMPLE_LENGTH])
    return Shape(encoding, delimiter, headers, tuple(tuple(values) for values in seen), total, header.number)


def rows_of(content: bytes, encoding: str, delimiter: str) -> Iterator[Record]:
    """The rows below the header, those without any text left out; read as they are asked for."""
    records = _records(content, encoding, delimiter)
    next((record for record in records if any(record.cells)), None)
    return (record for record in records if any(record.cells))


def encoding_of(content: bytes) -> str:
    """The encoding of the bytes: by their mark, else UTF-8 if they are, else what Western spreadsheets write."""
    for mark, name in _MARKS:
        if content.startswith(mark):
            return _decodable(content, name) or _refuse_encoding()
    probe = content[:_PROBE]
    if b"\x00" in probe:
        # UTF-16 without its mark: in Western text every second byte is zero, all on the same side.
        for name, zeros in (("utf-16-le", probe[1::2]), ("utf-16-be", probe[0::2])):
            if zeros.count(0) * 2 > len(zeros) and _decodable(content, name):
                return name
    return _decodable(content, "utf-8") or _decodable(content, "cp1252") or _refuse_encoding()


def _decodable(content: bytes, encoding: str) -> str:
    """The encoding if all of the content can be read in it, else ""."""
    reader = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="")
    try:
        while reader.read(1 << 16):
            pass
    except UnicodeError:
        return ""
    return encoding


def _refuse_encoding() -> str:
    raise Unreadable("The letters of this file cannot be read. Save it as “CSV UTF-8” and try again.")


def _delimiter(content: bytes, encoding: str) -> str:
    """What stands between cells: as the file's own first line says (`sep=;`), else what the header has most of."""
    reader = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="")
    head = reader.read(1 << 16).lstrip("\ufeff")
    if said := re.match(r'"?sep=(.)"?\r?\n', head, re.IGNORECASE):
        return said.group(1) if said.group(1) in DELIMITERS else _refuse_delimiter()
    first = next((line for line in _logical_lines(head) if line.strip()), "")
    bare = re.sub(r'"(?:[^"]|"")*"', "", first)
    return max(DELIMITERS, key=lambda each: (bare.count(each), -DELIMITERS.index(each)))


def _refuse_delimiter() -> str:
    raise Unreadable("The cells of this file are parted by an unusual character. Part them by comma, semicolon or tab.")


def _logical_lines(text: str) -> Iterator[str]:
    """The lines of a text, a line break inside quotation marks being none."""
    line: list[str] = []
    is_quoted = False
    for char in text:
        is_quoted ^= char == '"'
        if char in "\r\n" and not is_quoted:
            yield "".join(line)
            line = []
        else:
            line.append(char)
    yield "".join(line)


def _records(content: bytes, encoding: str, delimiter: str) -> Iterator[Record]:
    """Every row, blank ones without cells; Unreadable names the row that breaks off."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if number > MOST_LINES:
                raise Unreadable(
                    f"This file has more than {MOST_LINES:,} rows, most of them blank. Save it without those."
                )
            if number == 1 and cells:
                cells[0] = cells[0].lstrip("\ufeff")
                if _is_separator_line(cells, delimiter):
                    yield Record(number, ())
                    continue
            yield Record(number, _cells(number, cells))
    except csv.Error as problem:
        raise Unreadable(f"Row {number + 1} cannot be read: {_in_words(problem)}.") from None


def _is_separator_line(cells: Sequence[str], delimiter: str) -> bool:
    return delimiter.join(cells).casefold().strip('"') == f"sep={delimiter}"


def _cells(number: int, cells: Sequence[str]) -> tuple[str, ...]:
    if len(cells) > MOST_COLUMNS:
        raise Unreadable(f"Row {number} has {len(cells):,} cells; at most {MOST_COLUMNS} are read.")
    for cell in cells:
        if "\x00" in cell:
            raise Unreadable(f"Row {number} holds a NUL character, which no text has. Save the file as CSV again.")
        if len(cell) > MOST_CELL:
            raise Unreadable(
                f"A cell of row {number} has more than {MOST_CELL:,} characters. Is a quotation mark missing?"
            )
    return tuple(_unguarded(cell.strip()) for cell in cells)


def _unguarded(cell: str) -> str:
    """A cell as it was before our own export, or somebody else's, kept spreadsheets from taking it for a formula."""
    return cell[1:] if cell[:1] == "'" and _is_guardable(cell) else cell


def _is_guardable(text: str) -> bool:
    """Whether a text begins as a formula does, or as one that was guarded already."""
    return text.lstrip("'")[:1] in FORMULA_STARTS


def _in_words(problem: csv.Error) -> str:
    words = str(problem)
    if "unexpected end of data" in words:
        return "a quotation mark is opened and never closed"
    if "field limit" in words:
        return "one of its cells is endless. Is a quotation mark missing?"
    if "expected after" in words:
        return "text follows a closing quotation mark. A quotation mark inside a cell is written twice"
    if "new-line character" in words:
        return "it holds a line break outside of quotation marks"
    return words


def _headers(header: Record) -> tuple[str, ...]:
    for cell in header.cells:
        if _ADDRESS.fullmatch(cell):
            raise Unreadable(
                f"The first row must name the columns, and this one holds an address ({cell[:SAMPLE_LENGTH]}). "
                "Put a row of names above it."
            )
    names = [" ".join(cell.split())[:SAMPLE_LENGTH] for cell in header.cells]
    while names and not names[-1]:
        names.pop()
    return tuple(name or f"Column {place}" for place, name in enumerate(names, start=1))


# Writing.


def safe_cell(value: str) -> str:
    """A text as a cell that no spreadsheet runs: with an apostrophe before what would begin a formula, without NUL."""
    text = value.replace("\x00", "")
    return f"'{text}" if _is_guardable(text) else text


def line_of(values: Sequence[str]) -> str:
    """One row as RFC 4180 has it: cells quoted where needed, parted by commas, ended by CRLF."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow([safe_cell(value) for value in values])
    return written.getvalue()


def refused_lines(headers: Sequence[str], parts: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """The rows that cannot come in as a file of their own: as they stood, each with its number and the reason."""
    yield line_of([*headers, "Row", "Reason"])
    for rows in parts:
        for row in rows:
            cells = [*row["cells"], *[""] * (len(headers) - len(row["cells"]))][: len(headers)]
            yield line_of([*cells, str(row["row"]), row["sentence"]])


def safe_filename(name: str) -> str:
    """The name of an uploaded file as it is shown: no path, no control characters, at most 200 characters."""
    last = re.split(r"[/\\]", name)[-1]
    printable = "".join(char for char in last if unicodedata.category(char)[0] != "C")
    return printable.strip()[:200] or "unnamed.csv"
