"""The doctor's rules."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.operation.rules import Verdict, disk_finding, has_wal_reset_bug, skew_finding, sqlite_finding

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.43.9", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.44.7", False),
        ("3.45.0", True),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.0", True),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.52", False),
        ("4.0.0", False),
    ],
)
def test_the_wal_reset_bug_is_known_by_version(version: str, is_affected: bool) -> None:
    assert has_wal_reset_bug(version) is is_affected
    assert sqlite_finding(version).verdict is (Verdict.WARN if is_affected else Verdict.OK)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (0, Verdict.OK),
        (1.9, Verdict.OK),
        (-5, Verdict.WARN),
        (59, Verdict.WARN),
        (60, Verdict.FAIL),
        (-3600, Verdict.FAIL),
    ],
)
def test_clocks_that_differ_are_told(seconds: float, verdict: Verdict) -> None:
    assert skew_finding("Redis", NOON, NOON + timedelta(seconds=seconds)).verdict is verdict


@pytest.mark.parametrize(
    ("free", "verdict"), [(5_000_000_000, Verdict.OK), (500_000_000, Verdict.WARN), (1_000_000, Verdict.FAIL)]
)
def test_a_disk_that_fills_up_is_told(free: int, verdict: Verdict) -> None:
    assert disk_finding(free, "instance").verdict is verdict
