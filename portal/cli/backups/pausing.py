"""What a restored database is told before anybody can use it: you are a copy, send nothing, nobody holds anything."""

import secrets
from datetime import datetime
from typing import NamedTuple

from portal.notifications.outbound import RESTORED

MARK = "restored_copy"
"""A table that says the same in a database that is older than the row for it; migration 0007 reads it."""


class Found(NamedTuple):
    """What was copied: the revision of its tables, and how many rows each of them has."""

    revision: str
    counts: dict[str, int]


def statements(now: datetime, *, tables: frozenset[str]) -> list[str]:
    """SQL that makes a copy of what has these tables. Plain text, because psql and sqlite3 both run it."""
    at = now.strftime("%Y-%m-%d %H:%M:%S.%f")
    found = []
    if "outbound" in tables:
        found.append(
            f"UPDATE outbound SET installation_id = '{secrets.token_hex(16)}', fingerprint = NULL, "  # noqa: S608
            f"paused_at = '{at}', reason = '{RESTORED}', version = version + 1"
        )
    else:
        found.append(f"CREATE TABLE {MARK} (at VARCHAR(40))")
    if "delivery_slice" in tables:
        found.append(f"UPDATE delivery_slice SET leased_until = '{at}'")  # noqa: S608 (a moment of ours)
    return found
