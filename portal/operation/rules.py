"""How each part of an installation is, in words and with what to do. Pure: standard library only.

Read by `portal doctor` and by the screen "Operation"; the figures behind them are those of `/metrics`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """How a check came out; FAIL is what keeps the installation from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One thing that was looked at: how it is, and for anything but OK what to do."""

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


class Stored(NamedTuple):
    """What lies in the store of uploads: `lost` have a row and no bytes, `orphans` bytes and no row."""

    files: int = 0
    size: int = 0
    lost: int = 0
    orphans: int = 0


def files_finding(place: str, trouble: str, stored: Stored | None = None) -> Finding:
    """What to say about the store of uploads; `trouble` is "" where there is none."""
    if trouble or stored is None:
        todo = "nobody can upload anything or open a file; check PORTAL_FILES_URL and who may write there"
        return Finding("Files", Verdict.FAIL, f"{place} does not take files ({trouble}); {todo}.")
    shown = f"{stored.files:,} {'file' if stored.files == 1 else 'files'}, {stored.size / 1e6:,.1f} MB in {place}"
    if stored.lost:
        todo = "bring them back from a backup"
        return Finding("Files", Verdict.WARN, f"{shown}; the bytes of {stored.lost:,} are not there: {todo}.")
    if stored.orphans:
        return Finding("Files", Verdict.OK, f"{shown}; {stored.orphans:,} without a row are taken away at night")
    return Finding("Files", Verdict.OK, shown)


class Schema(StrEnum):
    """How the tables stand to this version of the product."""

    OK = "ok"
    BEHIND = "behind"
    AHEAD = "ahead"
    AWAY = "away"


WAL_LARGE = 64 * 1024 * 1024
"""Bytes of SQLite's write-ahead log above which a reader that never ends keeps it from being emptied (row R15)."""

BACKUP_OLD = timedelta(days=2)
"""Age after which the last backup is worth a word."""

DUE_LATE, DUE_STUCK = timedelta(minutes=2), timedelta(minutes=15)
"""For how long a mail may have been due before a person should look."""

REDIS_AWAY = "away"
"""The trouble with a Redis that does not answer at all."""

UNSEALED_MANY = 10_000
"""Entries of the audit trail that wait for their seal; the task that seals them is not running then."""


def schema_finding(schema: Schema) -> Finding:
    """What to say about the tables."""
    words = {
        Schema.OK: (Verdict.OK, "the tables are those of this version"),
        Schema.BEHIND: (Verdict.FAIL, "the tables are not those of this version; run `portal migrate`."),
        Schema.AHEAD: (
            Verdict.FAIL,
            "the tables are those of a newer version; install that, or restore the backup made before it.",
        ),
        Schema.AWAY: (Verdict.FAIL, "cannot be seen while the database does not answer."),
    }
    return Finding("Migrations", *words[schema])


def wal_finding(size: int) -> Finding:
    """What to say about SQLite's write-ahead log of this many bytes."""
    shown = f"the write-ahead log has {size / 1024 / 1024:,.1f} MB"
    if size > WAL_LARGE:
        return Finding(
            "WAL",
            Verdict.WARN,
            f"{shown}: something has been reading for long and keeps it from being emptied; end that (a backup "
            "program, an open database shell), or restart.",
        )
    return Finding("WAL", Verdict.OK, shown)


def sending_finding(since: datetime | None, reason: str) -> Finding:
    """What to say about sending: paused since, and why; None while it goes on."""
    if since is None:
        return Finding("Sending", Verdict.OK, "goes on")
    return Finding(
        "Sending",
        Verdict.WARN,
        f"paused since {since:%Y-%m-%d %H:%M} UTC: {reason} If this copy is the one to send, run "
        "`portal resume-sending`, or say so on the screen Operation.",
    )


def backup_finding(at: datetime | None, now: datetime) -> Finding:
    """What to say about the last backup."""
    if at is None:
        return Finding("Backup", Verdict.WARN, "none was made with `portal backup` yet; make one every night.")
    age = now - at
    shown = f"the last one of `portal backup` is {_age(age)} old"
    if age > BACKUP_OLD:
        return Finding("Backup", Verdict.WARN, f"{shown}; make one every night.")
    return Finding("Backup", Verdict.OK, shown)


def outbox_finding(waiting: int, oldest_due: datetime | None, now: datetime, *, is_paused: bool) -> Finding:
    """What to say about the mails that wait: how many, and for how long the oldest has been due."""
    if not waiting:
        return Finding("Outbox", Verdict.OK, "empty: no mail waits")
    mails = f"{waiting:,} mail waits" if waiting == 1 else f"{waiting:,} mails wait"
    late = max(now - oldest_due, timedelta()) if oldest_due else timedelta()
    if is_paused or late < DUE_LATE:
        return Finding("Outbox", Verdict.OK, mails)
    verdict = Verdict.FAIL if late > DUE_STUCK else Verdict.WARN
    return Finding(
        "Outbox",
        verdict,
        f"{mails}, the oldest due for {_age(late)}: see whether `portal worker` and `portal pulse` run, and the "
        "relays.",
    )


# The watch over mails of incidents.

INCIDENT_KINDS = frozenset({"incident"})
"""The kinds of broadcast whose mails customers wait for during an outage."""


@dataclass(frozen=True)
class Flow:
    """How mails of incidents go out at one moment.

    `due_since` is since when the one that waits longest could have gone out, None while none waits. `per_minute` is how
    many mails of all kinds servers took in the last minute, `relays` how many relays are in each state (those that are
    switched off left out), `is_paused` whether the whole installation sends nothing.
    """

    due_since: datetime | None
    per_minute: int
    relays: Mapping[str, int]
    is_paused: bool


class Late(NamedTuple):
    """That mails of incidents are late: since when the oldest could have gone out, why, and whether any go out."""

    since: datetime
    reason: str
    is_moving: bool


def late(flow: Flow, now: datetime, patience: timedelta) -> Late | None:
    """Whether a mail of an incident has waited for longer than `patience`, and what keeps it.

    A mail that a receiving server has put off does not wait until it may be tried again.
    """
    if flow.due_since is None or now - flow.due_since <= patience:
        return None
    return Late(flow.due_since, *_what_keeps(flow))


def _what_keeps(flow: Flow) -> tuple[str, bool]:
    if flow.is_paused:
        return "Sending is paused for the whole installation.", False
    states = {state for state, count in flow.relays.items() if count}
    if states and states <= {"broken"}:
        return "Every relay refuses us until its settings are changed.", False
    if states and states <= {"broken", "full"}:
        return "Every relay has used up its budget of the day.", False
    if states and states <= {"broken", "full", "paused"}:
        return "No relay takes mails at the moment; each is tried again by itself.", False
    if flow.per_minute:
        return f"They go out, {flow.per_minute:,} a minute, but slower than they come in.", True
    return "Nothing sends them: see whether `portal worker` and `portal pulse` run.", False


def incident_mail_finding(found: Late | None, now: datetime) -> Finding:
    """What to say about the mails of incidents."""
    if found is None:
        return Finding("Incidents", Verdict.OK, "none of their mails is late")
    verdict = Verdict.WARN if found.is_moving else Verdict.FAIL
    return Finding("Incidents", verdict, f"mails are late, the oldest by {_age(now - found.since)}. {found.reason}")


def relays_finding(states: Mapping[str, int]) -> Finding:
    """What to say about the relays, counted by state."""
    total, broken, paused = sum(states.values()), states.get("broken", 0), states.get("paused", 0)
    if broken:
        return Finding(
            "Relays", Verdict.FAIL, f"{broken} of {total} refuse us until their settings are changed; see Broadcasts."
        )
    if paused:
        return Finding("Relays", Verdict.WARN, f"{paused} of {total} do not take mails now; tried again by themselves.")
    return Finding(
        "Relays", Verdict.OK, "none was used yet" if not total else f"{total} in use" if total > 1 else "in use"
    )


MAILBOX_SILENT = timedelta(minutes=15)
"""For how long the mailbox of reports may have been left unread; it is looked into every minute."""

REPORTS_MANY = 1000
"""Reports that lie unread above which they come in faster than they are read."""


@dataclass(frozen=True)
class Returns:
    """How what comes back is read. `is_polled` when a mailbox is, `is_posted` when reports are taken over HTTP.

    `read_at` is when the mailbox was last read, `failing_since` since when it cannot be, with the words of `answer`;
    `unread` is how many reports lay in it then (None: nobody has looked yet).
    """

    is_polled: bool
    is_posted: bool
    read_at: datetime | None
    failing_since: datetime | None
    answer: str
    unread: int | None


def returns_finding(found: Returns, now: datetime) -> Finding:
    """What to say about the reports of mails that did not arrive."""
    if not found.is_polled:
        todo = "PORTAL_BOUNCE_IMAP_URL or PORTAL_BOUNCE_HTTP_SECRET has them read"
        text = "taken over HTTP" if found.is_posted else f"nobody reads what comes back; {todo}"
        return Finding("Reports", Verdict.OK, text)
    if found.failing_since is not None:
        since = f"their mailbox could not be read since {found.failing_since:%Y-%m-%d %H:%M} UTC"
        return Finding("Reports", Verdict.WARN, f"{since}. {found.answer.rstrip('.')}. See Returned mails.")
    if found.read_at is None:
        return Finding("Reports", Verdict.OK, "their mailbox was not looked into yet")
    return _read_finding(found, found.read_at, now)


def _read_finding(found: Returns, read_at: datetime, now: datetime) -> Finding:
    shown = f"their mailbox was read {_age(max(now - read_at, timedelta()))} ago"
    if now - read_at > MAILBOX_SILENT:
        return Finding("Reports", Verdict.WARN, f"{shown}: see whether `portal worker` and `portal pulse` run.")
    if (found.unread or 0) > REPORTS_MANY:
        return Finding("Reports", Verdict.WARN, f"{shown}, and {found.unread:,} lie unread: more come than are read.")
    left = f"{found.unread:,} unread" if found.unread else "none unread"
    return Finding("Reports", Verdict.OK, f"{shown}, {left}")


def mailbox_finding(trouble: str, waiting: int | None) -> Finding:
    """What to say after signing in to the mailbox of reports: what went wrong, or how many reports lie in it."""
    if trouble:
        todo = "check PORTAL_BOUNCE_IMAP_URL"
        return Finding("Mailbox", Verdict.FAIL, f"cannot be read ({trouble.rstrip('.')}); {todo}.")
    return Finding("Mailbox", Verdict.OK, f"signed in, {waiting or 0:,} waiting")


def texts_finding(trouble: str) -> Finding:
    """What to say about the gateway for text messages, which was asked nothing but whether it answers."""
    if trouble:
        return Finding("Texts", Verdict.FAIL, f"cannot be sent ({trouble.rstrip('.')}); check PORTAL_SMS_URL.")
    return Finding("Texts", Verdict.OK, "their gateway answers; whether it knows the login a channel’s test shows")


def redis_finding(trouble: str) -> Finding:
    """What to say about Redis: "" when it takes what it is given, "away" when it does not answer, else what it says."""
    if not trouble:
        return Finding("Redis", Verdict.OK, "answers")
    effect = "mail and live pages are slower, nothing is lost"
    if trouble == REDIS_AWAY:
        return Finding("Redis", Verdict.WARN, f"does not answer: {effect}; start it.")
    return Finding("Redis", Verdict.WARN, f"refuses what it is given ({trouble.rstrip('.')}): {effect}.")


def audit_finding(unsealed: int) -> Finding:
    """What to say about the entries of the audit trail that are not in its chain yet."""
    if unsealed > UNSEALED_MANY:
        return Finding(
            "Audit", Verdict.WARN, f"{unsealed:,} entries wait for their seal; see whether `portal pulse` runs."
        )
    entries = "1 entry waits for its seal" if unsealed == 1 else f"{unsealed:,} entries wait for their seal"
    return Finding("Audit", Verdict.OK, entries if unsealed else "all entries sealed")


def metrics_finding(*, has_token: bool) -> Finding:
    """What to say about `/metrics`."""
    if has_token:
        return Finding("Metrics", Verdict.OK, "/metrics answers whoever has the token")
    return Finding("Metrics", Verdict.OK, "/metrics is off; PORTAL_METRICS_TOKEN turns it on")


def worst(findings: "list[Finding]") -> Verdict:
    """The worst verdict among these."""
    order = [Verdict.OK, Verdict.WARN, Verdict.FAIL]
    return max((each.verdict for each in findings), key=order.index, default=Verdict.OK)


def _age(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= size:
            count = minutes // size
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{minutes} minute{'s' if minutes != 1 else ''}"
