"""What `portal doctor` knows about versions, clocks and disks. Pure: standard library only."""

import re
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """How a check came out; FAIL is what keeps the installation from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One line of the doctor: what was looked at, how it is, and for anything but OK what to do."""

    subject: str
    verdict: Verdict
    text: str


WAL_RESET_FIRST = (3, 7, 0)
WAL_RESET_FIXED = (3, 51, 3)
WAL_RESET_BACKPORTS = {(3, 44): 6, (3, 50): 7}
"""The first release with the fix on branches older than WAL_RESET_FIXED. Source: reliability-security, fact 7."""

SKEW_WARN, SKEW_FAIL = 2.0, 60.0
"""Seconds two clocks may differ: leases and sessions are compared between machines, and links live for minutes."""

DISK_WARN, DISK_FAIL = 1_000_000_000, 100_000_000
"""Bytes that are left."""


def has_wal_reset_bug(version: str) -> bool:
    """Whether this SQLite can lose a committed transaction when two connections reset the WAL at the same moment.

    >>> has_wal_reset_bug("3.40.1"), has_wal_reset_bug("3.44.6"), has_wal_reset_bug("3.51.3")
    (True, False, False)
    """
    major, minor, patch = (int(number) for number in re.findall(r"\d+", f"{version}.0.0")[:3])
    if not WAL_RESET_FIRST <= (major, minor, patch) < WAL_RESET_FIXED:
        return False
    fixed = WAL_RESET_BACKPORTS.get((major, minor))
    return fixed is None or patch < fixed


def sqlite_finding(version: str) -> Finding:
    """What to say about the SQLite library in use."""
    if has_wal_reset_bug(version):
        return Finding(
            "SQLite",
            Verdict.WARN,
            f"{version} has the WAL-reset bug: in rare moments two processes can damage the database. Keep a backup; "
            "use SQLite 3.51.3 or newer (or 3.50.7, 3.44.6), or PostgreSQL.",
        )
    return Finding("SQLite", Verdict.OK, f"{version}, without the WAL-reset bug")


def skew_finding(subject: str, here: datetime, there: datetime) -> Finding:
    """What to say about another machine's clock."""
    seconds = abs((here - there).total_seconds())
    if seconds < SKEW_WARN:
        return Finding(subject, Verdict.OK, "agrees with this machine's clock")
    verdict = Verdict.WARN if seconds < SKEW_FAIL else Verdict.FAIL
    return Finding(subject, verdict, f"differs from this machine's clock by {seconds:.0f} s; set both by NTP.")


def disk_finding(free: int, folder: str) -> Finding:
    """What to say about the space left where the data lies."""
    shown = f"{free / 1e9:.1f} GB free in {folder}"
    if free < DISK_FAIL:
        return Finding("Disk", Verdict.FAIL, f"{shown}: too little to go on; free some.")
    if free < DISK_WARN:
        return Finding("Disk", Verdict.WARN, f"{shown}: free some before it runs out.")
    return Finding("Disk", Verdict.OK, shown)
