"""Reading files and judging rows, without a database."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.records.rules import Verdict
from portal.records.rules.columns import Column, complaints, guess, header_key, named, names_in, row_of
from portal.records.rules.files import (
    MOST_ROWS,
    Record,
    TooBig,
    Unreadable,
    line_of,
    refused_lines,
    rows_of,
    safe_cell,
    safe_filename,
    shape_of,
)
from portal.records.rules.judging import Claims, Judged, PlanHash, Refusal, seconds_left

TEXT = "Firma;KdNr\r\nMüller & Söhne;1\r\n\r\nAlder;2\r\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "utf-8-sig"),
        (TEXT.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16-le"),
        (TEXT.encode("utf-16-be"), "utf-16-be"),
        (TEXT.encode("cp1252"), "cp1252"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_every_usual_encoding_is_read(content: bytes, encoding: str) -> None:
    shape = shape_of(content)
    assert shape.encoding == encoding
    assert shape.headers == ("Firma", "KdNr")
    assert shape.total == 2
    assert list(rows_of(content, shape.encoding, shape.delimiter)) == [
        Record(2, ("Müller & Söhne", "1")),
        Record(4, ("Alder", "2")),
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_delimiter_is_what_the_header_has_most_of(mark: str) -> None:
    content = mark.join(["a", '"b,;\t"', "c"]) + "\n" + mark.join(["1", '"x, y; z"', "3"])
    shape = shape_of(content.encode())
    assert shape.delimiter == mark
    assert shape.samples == (("1",), ("x, y; z",), ("3",))


def test_a_file_may_say_its_delimiter_itself() -> None:
    shape = shape_of(b"sep=;\r\na,b;c\r\n1;2\r\n")
    assert (shape.delimiter, shape.headers, shape.header_row, shape.total) == (";", ("a,b", "c"), 2, 1)


def test_line_breaks_inside_quotation_marks_are_text_and_rows_are_counted_as_a_spreadsheet_does() -> None:
    content = b'name,note\r\nAlder,"first\r\nsecond"\r\nBirch,\r\n'
    assert list(rows_of(content, "utf-8", ",")) == [Record(2, ("Alder", "first\r\nsecond")), Record(3, ("Birch", ""))]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\r\n\r\n", "empty"),
        (b"name\nAl\x00der\n", "NUL"),
        (b'name\n"Alder\nBirch\n', "quotation mark"),
        (b'name\n"Al"der\n', "quotation mark"),
        (b"ada@people.test,Ada\nbob@people.test,Bob\n", "name the columns"),
        (b"name\n" + b"x" * 10_001, "10,000 characters"),
        (b"a," * 201 + b"\n", "at most 200"),
        (b"name\n\x81\x8d\x8f\n", "CSV UTF-8"),
    ],
    ids=["nothing", "blank", "nul", "open quote", "text after quote", "no header", "cell", "columns", "letters"],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(content: bytes, word: str) -> None:
    with pytest.raises(Unreadable, match=word):
        shape_of(content)


def test_a_file_has_an_end() -> None:
    with pytest.raises(TooBig, match="25 MB"):
        shape_of(b"x" * 25_000_001)
    with pytest.raises(Unreadable, match="100,000 rows"):
        shape_of(b"name\n" + b"x\n" * (MOST_ROWS + 1))


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=4)))
def test_what_is_written_is_read_again_row_by_row_and_nothing_is_a_formula(table: list[list[str]]) -> None:
    written = "".join(line_of(row) for row in table)
    read = list(csv.reader(io.StringIO(written, newline="")))
    assert len(read) == len(table)
    for cells, row in zip(read, table, strict=True):
        assert cells == [safe_cell(cell) for cell in row]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)
        assert not any("\x00" in cell for cell in cells)


def test_a_guarded_cell_is_what_it_was_when_it_comes_back() -> None:
    content = ("name\r\n" + line_of(["=1+1"]) + line_of(["'quoted'"])).encode()
    assert [record.cells[0] for record in rows_of(content, "utf-8", ",")] == ["=1+1", "'quoted'"]


def test_refused_rows_come_back_as_they_stood() -> None:
    rows = [{"row": 3, "sentence": "Row 3: the name is missing.", "cells": ["", "=1", "surplus"]}]
    assert list(refused_lines(["name", "note"], [rows])) == [
        "name,note,Row,Reason\r\n",
        ",'=1,3,Row 3: the name is missing.\r\n",
    ]


def test_names_of_files_are_shown_without_path_and_tricks() -> None:
    assert safe_filename("C:\\Users\\ada\\kunden\u202e.csv") == "kunden.csv"
    assert safe_filename("../../etc/passwd") == "passwd"
    assert safe_filename("\r\n") == "unnamed.csv"


COLUMNS = (
    Column("name", "Name", ("company", "Firma"), is_required=True),
    Column("external_id", "Reference", ("Kunden-Nr",)),
    Column("note", "Note"),
)


def test_columns_are_guessed_from_their_headers_in_two_languages() -> None:
    assert guess(COLUMNS, ["KUNDEN NR.", "firma", "x"], {}) == {"name": 1, "external_id": 0}
    assert header_key("Straße (Ort)") == "strasseort"
    assert header_key("Größe") == header_key("GROESSE")


def test_what_was_chosen_last_comes_before_a_guess() -> None:
    remembered = {"name": "x", "external_id": "", "note": "gone"}
    assert guess(COLUMNS, ["Kunden-Nr", "Firma", "x"], remembered) == {"name": 2}


def test_a_mapping_that_will_not_do_says_why() -> None:
    headers = ["Firma", "x"]
    assert set(complaints(COLUMNS, {}, headers)) == {"name"}
    assert "already read as “Name”" in complaints(COLUMNS, {"name": 0, "note": 0}, headers)["note"]
    assert set(complaints(COLUMNS, {"name": 7}, headers)) == {"name"}
    assert complaints(COLUMNS, {"name": 0, "note": 1}, headers) == {}


def test_the_command_line_names_columns_by_header() -> None:
    assert named(COLUMNS, ["Firma", "x"], {"name": "FIRMA"}) == {"name": 0}
    for wrong in ({"nope": "x"}, {"name": "nope"}):
        with pytest.raises(ValueError, match=r"There is no|The file has no"):
            named(COLUMNS, ["Firma", "x"], wrong)


def test_an_empty_cell_says_nothing() -> None:
    row = row_of(Record(2, ("Alder", "")), {"name": 0, "note": 1, "external_id": 9})
    assert dict(row.cells) == {"name": "Alder"}
    assert row.get("note") == ""


def test_a_cell_may_hold_several_names() -> None:
    assert names_in("Alder | Birch;Alder\r\nCedar |") == ("Alder", "Birch", "Cedar")


def test_no_two_rows_mean_the_same() -> None:
    claims = Claims()
    claims.claim(2, "the company Alder", "name:alder", "id:1")
    with pytest.raises(Refusal, match="row 2 already"):
        claims.claim(17, "the company ALDER", "name:other", "id:1")
    claims.claim(18, "the company Other", "name:other")


def test_two_dry_runs_are_alike_only_when_every_row_is() -> None:
    def of(*judged: Judged) -> str:
        digest = PlanHash()
        digest.add(judged)
        return digest.hexdigest()

    one, other = Judged(2, Verdict.ADDED, "Alder"), Judged(2, Verdict.UNCHANGED, "Alder", row_id=1)
    assert of(one) == of(Judged(2, Verdict.ADDED, "Alder"))
    assert len({of(one), of(other), of(one, one), of()}) == 4


def test_time_left_is_the_pace_so_far() -> None:
    assert seconds_left(250, 1000, 5.0) == 15.0
    assert seconds_left(0, 1000, 5.0) is None
    assert seconds_left(1000, 1000, 5.0) == 0.0
