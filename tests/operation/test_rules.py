"""The doctor's rules."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.operation import rules
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


@pytest.mark.parametrize(
    ("waiting", "late", "is_paused", "verdict", "words"),
    [
        (0, None, False, Verdict.OK, "empty"),
        (1, timedelta(0), False, Verdict.OK, "1 mail waits"),
        (2, timedelta(minutes=5), False, Verdict.WARN, "due for 5 minutes"),
        (2, timedelta(hours=30), False, Verdict.FAIL, "due for 1 day"),
        (2, timedelta(hours=30), True, Verdict.OK, "2 mails wait"),
        (2, timedelta(hours=-1), False, Verdict.OK, "2 mails wait"),
    ],
)
def test_mails_that_nobody_sends_are_told(
    waiting: int, late: timedelta | None, is_paused: bool, verdict: Verdict, words: str
) -> None:
    due = None if late is None else NOON - late
    found = rules.outbox_finding(waiting, due, NOON, is_paused=is_paused)
    assert found.verdict is verdict
    assert words in found.text


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (rules.schema_finding(rules.Schema.OK), Verdict.OK),
        (rules.schema_finding(rules.Schema.BEHIND), Verdict.FAIL),
        (rules.schema_finding(rules.Schema.AHEAD), Verdict.FAIL),
        (rules.wal_finding(rules.WAL_LARGE), Verdict.OK),
        (rules.wal_finding(rules.WAL_LARGE + 1), Verdict.WARN),
        (rules.sending_finding(None, ""), Verdict.OK),
        (rules.sending_finding(NOON, "a copy."), Verdict.WARN),
        (rules.backup_finding(None, NOON), Verdict.WARN),
        (rules.backup_finding(NOON - timedelta(hours=20), NOON), Verdict.OK),
        (rules.backup_finding(NOON - timedelta(days=3), NOON), Verdict.WARN),
        (rules.relays_finding({}), Verdict.OK),
        (rules.relays_finding({"up": 2}), Verdict.OK),
        (rules.relays_finding({"up": 1, "paused": 1}), Verdict.WARN),
        (rules.relays_finding({"up": 1, "broken": 1}), Verdict.FAIL),
        (rules.redis_finding(rules.REDIS_AWAY), Verdict.WARN),
        (rules.redis_finding("OOM command not allowed when used memory > 'maxmemory'."), Verdict.WARN),
        (rules.audit_finding(rules.UNSEALED_MANY + 1), Verdict.WARN),
        (rules.audit_finding(1), Verdict.OK),
        (rules.metrics_finding(has_token=False), Verdict.OK),
    ],
)
def test_each_part_has_its_verdict(finding: rules.Finding, verdict: Verdict) -> None:
    assert finding.verdict is verdict
    assert finding.text


def test_the_worst_part_is_the_verdict_of_all() -> None:
    parts = [rules.redis_finding(rules.REDIS_AWAY), rules.schema_finding(rules.Schema.BEHIND), rules.audit_finding(0)]
    assert rules.worst(parts) is Verdict.FAIL
    assert rules.worst(parts[::2]) is Verdict.WARN
    assert rules.worst([]) is Verdict.OK
