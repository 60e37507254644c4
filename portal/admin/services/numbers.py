"""Account numbers as somebody pastes them or brings them in a file."""

import csv
import io
from collections.abc import Iterable

from portal.accounts.rules import one_line, text_key
from portal.errors import RuleViolation
from portal.records.rules.files import DELIMITERS, Unreadable, encoding_of

NUMBERS_AT_MOST = 20_000
LONGEST = 120

COLUMNS = ("account number", "account", "reference", "number", "external id", "external_id", "customer number", "id")
"""What the column of the numbers is called in a file with several, the surest name first."""


def numbers_in(text: str) -> list[str]:
    """Every number, once and in order: one a line or in a list; of a table the column that is called so, or the first.

    RuleViolation at `accounts` for more than can be meant, and for what is longer than a number is.
    """
    rows = [[one_line(cell) for cell in row] for row in _rows(text.removeprefix("\ufeff"))]
    rows = [row for row in rows if any(row)]
    if not rows:
        return []
    head = [text_key(cell) for cell in rows[0]]
    named = next((head.index(name) for name in COLUMNS if name in head), None)
    if named is not None:
        found: Iterable[str] = (row[named] for row in rows[1:] if len(row) > named)
    elif len(rows) == 1:
        found = rows[0]
    else:
        found = (row[0] for row in rows)
    numbers = list(dict.fromkeys(each for each in found if each))
    if len(numbers) > NUMBERS_AT_MOST:
        raise RuleViolation(f"At most {NUMBERS_AT_MOST:,} numbers at once; these are {len(numbers):,}.", "accounts")
    if too_long := next((each for each in numbers if len(each) > LONGEST), None):
        raise RuleViolation(f"“{too_long[:40]}…” is longer than an account number is.", "accounts")
    return numbers


def text_of(content: bytes) -> str:
    """What a file of numbers says; RuleViolation at `accounts_file` when it is no text."""
    try:
        text = content.decode(encoding_of(content))
    except (Unreadable, UnicodeError) as problem:
        sentence = problem.sentence if isinstance(problem, Unreadable) else "This file cannot be read as text."
        raise RuleViolation(sentence, "accounts_file") from problem
    if "\0" in text:
        raise RuleViolation("This file is no text. Save the numbers as CSV, and choose that.", "accounts_file")
    return text


def _rows(text: str) -> list[list[str]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        # What no program wrote as a table is read line by line: then a stray quotation mark is part of a number.
        return [[line] for line in text.splitlines()]
