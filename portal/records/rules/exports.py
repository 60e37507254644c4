"""Exports, pure: what can be asked for, how far it is, for how long it is there."""

from datetime import timedelta
from enum import StrEnum


class ExportState(StrEnum):
    """QUEUED → RUNNING → READY; FAILED when it could not be made. What has expired is gone altogether."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


class ExportKind(StrEnum):
    """COMPANY and PERSON are all that is held about one; the others are the firm's own lists, as imports take them."""

    COMPANY = "company"
    PERSON = "person"
    COMPANIES = "companies"
    PEOPLE = "people"
    COMPONENTS = "components"
    SERVICES = "services"
    HOLDINGS = "holdings"


ABOUT_ONE = frozenset({ExportKind.COMPANY, ExportKind.PERSON})

CHUNK_BYTES = 256 * 1024
"""Bytes of a stored file in one row, so that neither a statement nor a download holds all of it."""

LEASE = timedelta(minutes=2)
"""How long a process may be silent about an export before another begins it anew."""
