"""Exports, pure: what can be asked for, how far it is, and how a table is written so that no spreadsheet runs it."""

import re
from datetime import timedelta
from enum import StrEnum


class ExportState(StrEnum):
    """QUEUED → RUNNING → READY; FAILED when it could not be made. What has expired is gone altogether."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


class ExportKind(StrEnum):
    """COMPANY and PERSON are everything held about one; the others are the firm's own lists, as the import takes them."""

    COMPANY = "company"
    PERSON = "person"
    COMPANIES = "companies"
    PEOPLE = "people"
    COMPONENTS = "components"
    SERVICES = "services"
    HOLDINGS = "holdings"


ABOUT_ONE = frozenset({ExportKind.COMPANY, ExportKind.PERSON})

KEPT_FOR = timedelta(days=7)
"""How long an export can be fetched; afterwards it is made anew when somebody asks."""

CHUNK_BYTES = 256 * 1024
"""Bytes of a stored file in one row, so that neither a statement nor a download holds all of it."""

LEASE = timedelta(minutes=2)
"""How long a process may be silent about an export before another begins it anew."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def safe_cell(text: str) -> str:
    """Text for one cell of a CSV file that a spreadsheet takes for text, whatever it begins with.

    What could be a formula (=, +, -, @, tab, line break; also the full-width forms, which some read as such) gets an
    apostrophe in front, and what has one already gets a second, so that `plain_cell` finds what was there. NUL goes.
    Source: ASVS 1.2.10.
    """
    text = text.replace("\x00", "")
    return f"'{text}" if _FORMULA.match(_narrow(text[:64])) else text


def plain_cell(text: str) -> str:
    """The text `safe_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(_narrow(text[:65])) else text


def _narrow(text: str) -> str:
    return text.translate({0xFF1D: "=", 0xFF0B: "+", 0xFF0D: "-", 0xFF20: "@"})
