"""`portal backup` and `portal restore`: all data in one file, and back, with sending paused until a person says go."""

import hashlib
import hmac
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from sqlalchemy.exc import OperationalError

from portal import clock, events
from portal.cli import Failure
from portal.cli.backups import archive, postgres, sqlite
from portal.cli.backups.archive import FILES, KEY, Archive, Manifest
from portal.cli.installation import COMMAND_LINE, is_at_head, load
from portal.cli.progress import Progress
from portal.config import Settings, create_secret_key
from portal.database import Trouble, trouble_of
from portal.files.store import FOLDERS, Store

NOTE_PATIENCE = 60.0
"""Seconds for which a backup waits to be noted while others write without a pause."""

WITHOUT_KEY = (
    "The secret key is not in it. Without the key, second factors of staff must be set up anew, and links in mails "
    "that were sent (unsubscribe, reset) no longer work: keep the key itself somewhere safe, or use --with-secret-key."
)
SEALED = (
    "Second factors of staff must be set up anew, and links in mails that were sent no longer work, unless the old key "
    "is put into PORTAL_SECRET_KEY_FALLBACKS or in its place."
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--with-secret-key", is_flag=True, help="Put the secret key into it too; whoever has the file has all.")
def backup(file: Path, *, with_secret_key: bool) -> None:
    """Write all data into FILE, as it stands at one moment, while everything goes on.

    The file is readable by its owner only, and never written over one that is there.
    """
    if file.exists():
        raise Failure(f"{file} is there already; a backup is never written over another file.")
    if not file.absolute().parent.is_dir():
        raise Failure(f"There is no folder {file.absolute().parent}.")
    app = load()
    settings: Settings = app.config["SETTINGS"]
    engine = sqlite if _is_sqlite(settings) else postgres
    store = Store(settings.files_url)
    now = clock.utcnow()
    with tempfile.TemporaryDirectory(prefix=".signalbox-", dir=file.absolute().parent) as folder:
        data = Path(folder) / engine.MEMBER
        found = engine.dump(settings.database_url, data)
        manifest = Manifest.of_now(now, engine.NAME, found.revision, found.counts, _mark(settings.secret_key))
        members = {engine.MEMBER: data} | _uploads(store)
        if with_secret_key:
            members[KEY] = _private(Path(folder) / KEY, settings.secret_key)
        size = archive.write(file.absolute(), manifest, members)
    with app.app_context():
        if is_at_head():
            _patiently(partial(_note, file, size, with_secret_key=with_secret_key))
    rows = sum(found.counts.values())
    click.echo(f"{file}: {rows:,} rows in {len(found.counts)} tables, {size / 1e6:,.1f} MB.")
    if not store.is_local:
        click.echo(f"The files of customers lie in {store.told} and are not in it: keep copies of that bucket too.")
    click.echo("The secret key is in it: keep it as you keep a key." if with_secret_key else WITHOUT_KEY)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", "is_replacing", is_flag=True, help="Put it in the place of the data that is there.")
def restore(file: Path, *, is_replacing: bool) -> None:
    """Put the data of FILE into this installation, whose processes are stopped.

    FILE is one of `portal backup`, or of `instance/backups`. The copy starts with sending paused, so that nothing is
    mailed twice; `portal resume-sending` lets it send.
    """
    with Archive.opened(file) as found:
        found.verify()
        settings = _settings_for(found)
        engine = sqlite if _is_sqlite(settings) else postgres
        if found.manifest.engine != engine.NAME:
            raise Failure(
                f"{file} holds data of {found.manifest.engine}, but PORTAL_DATABASE_URL names {engine.NAME}; "
                "a backup goes back into the kind of database it came from."
            )
        if not found.is_known_here():
            raise Failure(f"{file} was made by a newer version ({found.manifest.version}); install that first.")
        is_empty = engine.is_empty(settings.database_url)
        if not is_empty and not is_replacing:
            raise Failure("There is data in this installation already; --replace puts the backup in its place.")
        # Files without a row are harmless, rows without a file are not.
        _put_uploads(found, settings)
        kept = engine.load(settings, found, clock.utcnow())
        words = _put_key(found, settings)
    app = load()
    with app.app_context():
        is_current = is_at_head()
        if is_current:
            _note_restored(file, found.manifest)
    manifest = found.manifest
    rows = f"{sum(manifest.counts.values()):,} rows" if manifest.counts else "The data"
    click.echo(f"{rows} of {manifest.made_at:%Y-%m-%d %H:%M} UTC are back.")
    if kept:
        click.echo(f"What was there before is kept as {kept}.")
    for sentence in words:
        click.echo(sentence)
    if not is_current:
        click.echo("The tables are those of an older version: run `portal migrate` before you start it.")
    click.echo("Sending is paused. When this copy is the one to send, run `portal resume-sending`.")


def _uploads(store: Store) -> dict[str, Path]:
    """The uploads that lie on this machine, by their names in the backup. Listed after the data was copied, so that
    none of them is missing in it."""
    folder = store.directory
    if folder is None:
        return {}
    return {FILES + lying.name: folder / lying.name for each in FOLDERS for lying in store.lying_in(each)}


def _put_uploads(found: Archive, settings: Settings) -> None:
    """Put the uploads of a backup into the store, those that are there already left alone."""
    store, names = Store(settings.files_url), found.uploads()
    if not names:
        return
    settings.instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (
        tempfile.TemporaryDirectory(prefix=".signalbox-", dir=settings.instance) as folder,
        Progress("Files", len(names)) as progress,
    ):
        for number, name in enumerate(names, start=1):
            if not store.has(name):
                fetched = Path(folder) / str(number)
                found.extract(FILES + name, fetched)
                with fetched.open("rb") as content:
                    store.put(name, content)
                fetched.unlink()
            progress.at(number)


def _is_sqlite(settings: Settings) -> bool:
    return settings.database_url.startswith("sqlite")


def _mark(key: str) -> str:
    """What tells two secret keys apart without saying anything about either: 32 bits of a keyed hash."""
    return hmac.new(key.encode(), b"signalbox backup", hashlib.sha256).hexdigest()[:8]


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
    return path


def _patiently(write: Callable[[], None]) -> None:
    """Write to a database that is busy: the file is made, and that it was must stand in the audit trail."""
    deadline = time.monotonic() + NOTE_PATIENCE
    while True:
        try:
            write()
        except OperationalError as trouble:
            events.rollback()
            if trouble_of(trouble) is not Trouble.BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _note(file: Path, size: int, *, with_secret_key: bool) -> None:
    from portal.audit import actions as audit
    from portal.notifications import outbound

    now = clock.utcnow()
    outbound.note_backup(size, now)
    audit.record(
        "backup.make",
        object_kind="installation",
        object_id=1,
        by=COMMAND_LINE,
        now=now,
        after={"file": str(file), "bytes": size, "with_secret_key": with_secret_key},
    )
    events.commit()


def _note_restored(file: Path, manifest: Manifest) -> None:
    from portal.audit import actions as audit

    audit.record(
        "backup.restore",
        object_kind="installation",
        object_id=1,
        by=COMMAND_LINE,
        now=clock.utcnow(),
        before={"sending": "on"},
        after={"file": str(file), "made_at": manifest.made_at.isoformat(), "sending": "paused"},
    )
    events.commit()


def _settings_for(found: Archive) -> Settings:
    """The settings; on a new machine, where there is no secret key yet, as they will be with one."""
    instance = Path(os.environ.get("PORTAL_INSTANCE") or "instance").resolve()
    if os.environ.get("PORTAL_SECRET_KEY") or (instance / "secret_key").exists():
        return Settings.from_environment(os.environ)
    key = found.secret_key()
    instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    if key is None:
        create_secret_key(instance)
        return Settings.from_environment(os.environ)
    return Settings.from_environment({**os.environ, "PORTAL_SECRET_KEY": key})


def _put_key(found: Archive, settings: Settings) -> list[str]:
    """Put the secret key of the backup in its place where there is none; sentences about what that leaves."""
    words = []
    key, path = found.secret_key(), settings.instance / "secret_key"
    if key is not None and not os.environ.get("PORTAL_SECRET_KEY") and not path.exists():
        _private(path, key)
        words.append(f"Its secret key was put into {path}.")
    elif found.manifest.key_mark and found.manifest.key_mark != _mark(settings.secret_key):
        words.append(f"This installation has another secret key than the one it came from. {SEALED}")
    return words
