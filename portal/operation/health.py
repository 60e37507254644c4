"""Each part of the installation in words, put together for the screen "Operation"."""

import platform
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from portal.config import Settings
from portal.extensions import db
from portal.files import store
from portal.files.queries import totals
from portal.operation.queries import MailFigures, Measures, mail_figures, measure, redis_trouble, schema_state
from portal.operation.rules import (
    Finding,
    Stored,
    Verdict,
    audit_finding,
    backup_finding,
    disk_finding,
    files_finding,
    incident_mail_finding,
    metrics_finding,
    outbox_finding,
    redis_finding,
    relays_finding,
    returns_finding,
    schema_finding,
    sending_finding,
    sqlite_finding,
    wal_finding,
    worst,
)
from portal.operation.watch import patience


@dataclass(frozen=True)
class Health:
    """How everything is: the figures, the parts in the order in which they are best mended, and what runs."""

    measures: Measures
    mail: MailFigures
    findings: list[Finding]
    versions: list[tuple[str, str]]

    @property
    def verdict(self) -> Verdict:
        """The worst of all parts."""
        return worst(self.findings)


def look(settings: Settings, now: datetime) -> Health:
    """Look at everything this machine sees. The relay itself is not asked: what the last mails met there is known."""
    found, mail = measure(now), mail_figures(now, patience())
    is_sqlite = db.engine.dialect.name == "sqlite"
    engine = sqlite3.sqlite_version if is_sqlite else _postgres_version()
    is_paused = found.paused_since is not None
    findings = [
        sqlite_finding(engine) if is_sqlite else Finding("PostgreSQL", Verdict.OK, "answers"),
        schema_finding(schema_state()),
        *([wal_finding(found.wal_bytes)] if found.wal_bytes is not None else []),
        redis_finding(redis_trouble()),
        sending_finding(found.paused_since, found.paused_reason),
        outbox_finding(found.waiting, mail.outgoing.oldest_due, now, is_paused=is_paused),
        incident_mail_finding(mail.late, now),
        relays_finding(found.relays),
        returns_finding(found.returns, now),
        audit_finding(found.audit_unsealed),
        backup_finding(found.backed_up_at, now),
        disk_finding(shutil.disk_usage(settings.instance).free, "the instance folder"),
        _files(),
        metrics_finding(has_token=bool(settings.metrics_token)),
    ]
    versions = [
        ("Signalbox", version("signalbox")),
        ("Tables", found.revision),
        ("SQLite" if is_sqlite else "PostgreSQL", engine),
        ("Python", platform.python_version()),
    ]
    return Health(found, mail, findings, versions)


def _files() -> Finding:
    """Whether the store takes files. What of it is lost or nobody's takes longer to count: `portal doctor` tells it."""
    place = store.of_app()
    if trouble := place.trouble():
        return files_finding(place.told, trouble)
    files, size = totals()
    return files_finding(place.told, "", Stored(files, size))


def _postgres_version() -> str:
    return str(db.session.scalar(db.text("SELECT current_setting('server_version')")))
