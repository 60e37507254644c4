"""`portal doctor`: looks at everything an installation relies on and says what to do about each."""

import os
import shutil
import smtplib
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import click
import redis
from flask import Flask
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from portal import clock
from portal.config import ConfigError, Settings
from portal.extensions import db
from portal.files.rules import UNFINISHED_FOR
from portal.notifications.profiles import address_of
from portal.notifications.smtp import Route
from portal.operation.rules import (
    Finding,
    Schema,
    Stored,
    Verdict,
    audit_finding,
    backup_finding,
    disk_finding,
    files_finding,
    incident_mail_finding,
    late,
    mailbox_finding,
    metrics_finding,
    outbox_finding,
    relays_finding,
    returns_finding,
    schema_finding,
    sending_finding,
    skew_finding,
    sqlite_finding,
    texts_finding,
    wal_finding,
)

DEFAULT_RELAY = "default"
UNREADABLE = "its stored password was sealed with another secret key than today’s; enter it again on screen."

PATIENCE = 5.0
"""Seconds the doctor waits for Redis or a relay."""

COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}

Check = Callable[[Settings], Iterator[Finding]]


@click.command()
def doctor() -> int:
    """Check database, migrations, sending, backups, Redis, relays, returned mails, texts, clocks, key, disk and files.

    Each line is ok, warn or fail, with what to do. Exit status 1 if anything fails.
    """
    findings = []
    for finding in examine():
        findings.append(finding)
        verdict = click.style(f"{finding.verdict:<4}", fg=COLOURS[finding.verdict])
        click.echo(f"{verdict}  {finding.subject:<11} {finding.text}")
    failed = sum(finding.verdict is Verdict.FAIL for finding in findings)
    warned = sum(finding.verdict is Verdict.WARN for finding in findings)
    click.echo(f"{failed} failed, {warned} to look at, {len(findings) - failed - warned} fine.")
    return 1 if failed else 0


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which they are best mended. None of the checks stops the others."""
    try:
        settings = Settings.from_environment(os.environ)
    except ConfigError as problem:
        yield Finding("Settings", Verdict.FAIL, str(problem))
        return
    yield Finding("Secret key", Verdict.OK, "present and long enough")
    for check in (_database, _redis, _relay, _mailbox, _texts, _disk, _files):
        yield from check(settings)
    yield metrics_finding(has_token=bool(settings.metrics_token))


def _database(settings: Settings) -> Iterator[Finding]:
    from portal.cli.installation import load
    from portal.operation import queries

    app: Flask = load()
    with app.app_context():
        dialect = db.engine.dialect.name
        try:
            with db.engine.connect() as connection:
                version, there = connection.execute(text(QUESTIONS[dialect])).one()
        except SQLAlchemyError as problem:
            reason = str(getattr(problem, "orig", problem)).strip().splitlines()[0]
            todo = "check PORTAL_DATABASE_URL and that the server runs"
            yield Finding("Database", Verdict.FAIL, f"does not answer ({reason}); {todo}.")
            return
        if dialect == "sqlite":
            yield Finding("Database", Verdict.OK, f"SQLite in {db.engine.url.database}")
            yield sqlite_finding(sqlite3.sqlite_version)
        else:
            yield Finding("Database", Verdict.OK, f"PostgreSQL {version}")
            yield skew_finding("Its clock", clock.utcnow(), there)
        schema = queries.schema_state()
        yield schema_finding(schema)
        if schema is Schema.OK:
            yield from _figures(clock.utcnow())


def _figures(now: datetime) -> Iterator[Finding]:
    """What the tables say about sending, waiting mails, the audit trail and backups. Needs an app context."""
    from portal.notifications.outbound import fingerprint, outbound
    from portal.operation.queries import measure, outgoing
    from portal.operation.watch import patience

    found = measure(now)
    if found.wal_bytes is not None:
        yield wal_finding(found.wal_bytes)
    yield sending_finding(found.paused_since, found.paused_reason)
    known = outbound().fingerprint
    if found.paused_since is None and known not in {None, fingerprint()}:
        todo = "the next process that sends will pause the sending until `portal resume-sending` says it is the one"
        yield Finding("Place", Verdict.WARN, f"the data lies elsewhere than where it was sent from last; {todo}.")
    else:
        yield Finding("Place", Verdict.OK, "the data lies where it was" if known else "nothing was sent from here yet")
    mail = outgoing(now)
    yield outbox_finding(found.waiting, mail.oldest_due, now, is_paused=found.paused_since is not None)
    yield incident_mail_finding(late(mail.incidents, now, patience()), now)
    yield relays_finding(found.relays)
    yield returns_finding(found.returns, now)
    yield audit_finding(found.audit_unsealed)
    yield backup_finding(found.backed_up_at, now)


QUESTIONS = {
    "sqlite": "SELECT sqlite_version(), NULL",
    "postgresql": "SELECT current_setting('server_version'), clock_timestamp()",
}


def _redis(settings: Settings) -> Iterator[Finding]:
    try:
        with redis.Redis.from_url(
            settings.redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
        ) as client:
            version = str(client.info("server")["redis_version"])
            seconds, microseconds = client.time()
            is_writable = bool(client.set("portal:doctor", "1", ex=1))
    except (RedisError, OSError) as problem:
        if settings.embedded_redis:
            yield Finding("Redis", Verdict.WARN, "the one of `portal up` does not run now; it starts with it.")
        else:
            todo = "mail and live pages are slower meanwhile, nothing is lost; check PORTAL_REDIS_URL"
            yield Finding("Redis", Verdict.FAIL, f"does not answer ({_reason(problem)}); {todo}.")
        return
    if is_writable:
        yield Finding("Redis", Verdict.OK, f"{version} at {_without_password(settings.redis_url)}")
    yield skew_finding("Its clock", clock.utcnow(), datetime.fromtimestamp(seconds + microseconds / 1e6, UTC))


def _relay(settings: Settings) -> Iterator[Finding]:
    """Every relay in use is greeted, and signed in to; those that are switched off are left alone."""
    for name, url in _relay_urls(settings):
        route = Route.of(url) if url else None
        address = f"{name}, {address_of(route.host, route.port)}," if route else f"{name}"
        if route is None:
            yield Finding("Relay", Verdict.FAIL, f"{address}: {UNREADABLE}")
            continue
        try:
            with _greeted(route) as connection:
                connection.noop()
        except (OSError, smtplib.SMTPException) as problem:
            todo = "mail waits, or goes over another, until it does; check PORTAL_SMTP_URL or the relay on screen"
            yield Finding("Relay", Verdict.FAIL, f"{address} does not take mail ({_reason(problem)}); {todo}.")
        else:
            yield Finding("Relay", Verdict.OK, f"{address} greets")


def _relay_urls(settings: Settings) -> list[tuple[str, str | None]]:
    """The relays in use, in their order, with what leads there (None: its password cannot be read).

    Only the one of the settings while the database, which knows the others, cannot be asked.
    """
    from portal.cli.installation import load
    from portal.notifications.outlook import relays_in_order
    from portal.notifications.relays import url_for

    with load().app_context():
        try:
            return [(each.name, url_for(each, settings)) for each in relays_in_order() if each.switched_off_at is None]
        except SQLAlchemyError:
            return [(DEFAULT_RELAY, settings.smtp_url)]


def _greeted(route: Route) -> smtplib.SMTP:
    """A connection to the relay that has said EHLO, encrypted and signed in where its address asks for it."""
    context = ssl.create_default_context()
    if route.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(route.host, route.port, timeout=PATIENCE, context=context)
    else:
        connection = smtplib.SMTP(route.host, route.port, timeout=PATIENCE)
    if route.scheme == "smtp+starttls":
        connection.starttls(context=context)
    connection.ehlo()
    if route.user:
        connection.login(route.user, route.password)
    return connection


def _mailbox(settings: Settings) -> Iterator[Finding]:
    """The mailbox of reports is signed in to and counted; nothing in it is read or moved."""
    from portal.notifications.bounces.mailbox import MailboxTrouble, Place, opened

    if not settings.bounce_imap_url:
        return
    try:
        with opened(Place.of(settings.bounce_imap_url)) as waiting:
            yield mailbox_finding("", len(waiting.uids()))
    except MailboxTrouble as trouble:
        yield mailbox_finding(str(trouble), None)


def _texts(settings: Settings) -> Iterator[Finding]:
    """The gateway for text messages is understood and reached; no text is sent."""
    from portal.notifications.channels.gateway import sms_trouble

    if settings.sms_url:
        yield texts_finding(sms_trouble(settings))


def _disk(settings: Settings) -> Iterator[Finding]:
    if not settings.instance.is_dir():
        yield Finding("Disk", Verdict.FAIL, f"there is no folder {settings.instance}; run `portal init`.")
        return
    yield disk_finding(shutil.disk_usage(settings.instance).free, str(settings.instance))


LOOKED_FOR = 1000
"""Files the doctor looks for in the store, the oldest: in a bucket each costs a request."""


def _files(settings: Settings) -> Iterator[Finding]:
    from portal.cli.installation import load
    from portal.files import cleaning, queries, store

    with load().app_context():
        place = store.of_app()
        if trouble := place.trouble():
            yield files_finding(place.told, trouble)
            return
        try:
            files, size = queries.totals()
            lost = sum(not place.has(name) for _file_id, name in queries.names_after(0, LOOKED_FOR))
            orphans = sum(1 for _name in cleaning.orphans(place, clock.utcnow() - UNFINISHED_FOR))
        except SQLAlchemyError:
            # What is the matter with the database is told above.
            return
        except store.StoreTroubleError as problem:
            yield files_finding(place.told, _reason(problem))
            return
        yield files_finding(place.told, "", Stored(files, size, lost, orphans))
        folder = place.directory
        if folder and folder.is_dir() and folder.stat().st_dev != settings.instance.stat().st_dev:
            yield disk_finding(shutil.disk_usage(folder).free, str(folder))


def _reason(problem: Exception) -> str:
    lines = str(problem).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(problem).__name__


def _without_password(url: str) -> str:
    """Where it is, without what opens it: redis-py takes a password before the host and in the query."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
