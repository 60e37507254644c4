"""The file of a backup: a ZIP with the data, its manifest and, if asked for, the secret key; or a bare SQLite file."""

import hashlib
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

from alembic.script import ScriptDirectory

import portal
from portal.cli import Failure
from portal.cli.progress import Progress
from portal.files.rules import is_storage_name

FORMAT = 1
"""Raised when a reader of before could not read what is written now."""

MANIFEST, KEY, SQLITE_DATA = "manifest.json", "secret_key", "portal.db"
FILES = "files/"
"""What the names of uploads begin with; one that is deleted while the backup is made is left out."""
SQLITE_HEADER = b"SQLite format 3\x00"
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself. `counts` are rows by table; `files` the SHA-256 and bytes of the other members.

    `key_mark` tells whether a secret key is the one of the installation it came from, and nothing else about it.
    """

    made_at: datetime
    engine: str
    revision: str
    version: str
    key_mark: str
    counts: dict[str, int] = field(default_factory=dict)
    files: dict[str, dict[str, str | int]] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def of_now(cls, now: datetime, engine: str, revision: str, counts: dict[str, int], key_mark: str) -> Self:
        """The manifest of a backup this version makes."""
        return cls(now, engine, revision, version("signalbox"), key_mark, counts)

    @classmethod
    def read(cls, text: bytes) -> Self:
        """The manifest in these bytes; a Failure if they hold none that can be understood."""
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise Failure(f"This backup has format {found['format']!r}; this version reads {FORMAT}.")
            return cls(**{**found, "made_at": datetime.fromisoformat(found["made_at"])})
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Failure("The manifest of this backup cannot be read; the file is damaged.") from None

    def text(self) -> str:
        """As it stands in the file."""
        return json.dumps({**asdict(self), "made_at": self.made_at.isoformat()}, indent=2, sort_keys=True)


def write(file: Path, manifest: Manifest, members: Mapping[str, Path]) -> int:
    """Make the file, readable by its owner only; returns its bytes. Under its name it is there whole or not at all."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    members = {name: path for name, path in members.items() if path.exists() or not name.startswith(FILES)}
    total = sum(path.stat().st_size for path in members.values())
    try:
        # What a killed run has left goes. What is there all the same is somebody else's: nothing is written into it.
        unfinished.unlink(missing_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as output, Progress("Packing", total) as progress:
            with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
                files = {}
                for name, path in members.items():
                    try:
                        files[name] = _pack(packed, name, path, progress)
                    except FileNotFoundError:
                        if not name.startswith(FILES):
                            raise
                whole = Manifest(**{**vars(manifest), "files": files})
                packed.writestr(MANIFEST, whole.text())
            output.flush()
            os.fsync(output.fileno())
        # A link never takes the place of a file that came about in the meantime.
        os.link(unfinished, file)
    except FileExistsError:
        raise Failure(f"{file} is there already; a backup is never written over another file.") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return file.stat().st_size


def _pack(packed: zipfile.ZipFile, name: str, path: Path, progress: Progress) -> dict[str, str | int]:
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as source, packed.open(name, "w", force_zip64=True) as target:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
            done += len(chunk)
            progress.at(done)
    return {"sha256": digest.hexdigest(), "bytes": done}


class Archive:
    """A backup that is read. A bare SQLite file, such as those made before an upgrade, is one without checksums."""

    def __init__(self, file: Path, packed: zipfile.ZipFile | None, manifest: Manifest) -> None:
        self.file, self.manifest = file, manifest
        self._packed = packed

    @classmethod
    @contextmanager
    def opened(cls, file: Path) -> Iterator[Self]:
        """Open the file for reading; a Failure says why it is no backup."""
        with file.open("rb") as start:
            head = start.read(len(SQLITE_HEADER))
        if head == SQLITE_HEADER:
            yield cls(file, None, _manifest_of_sqlite(file))
            return
        try:
            with zipfile.ZipFile(file) as packed:
                if MANIFEST not in packed.namelist():
                    raise Failure(f"{file} is a ZIP file, but not a backup of Signalbox.")
                yield cls(file, packed, Manifest.read(packed.read(MANIFEST)))
        except zipfile.BadZipFile:
            raise Failure(f"{file} is not a backup of Signalbox, or it is damaged.") from None

    def verify(self) -> None:
        """A Failure unless every member has the checksum the manifest names."""
        if self._packed is None:
            with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as database:
                if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                    raise Failure(f"{self.file} is damaged: SQLite finds faults in it.")
            return
        total = sum(int(each["bytes"]) for each in self.manifest.files.values())
        done = 0
        with Progress("Checking", total) as progress:
            for name, wanted in self.manifest.files.items():
                digest = hashlib.sha256()
                for chunk in self._chunks(name):
                    digest.update(chunk)
                    done += len(chunk)
                    progress.at(done)
                if digest.hexdigest() != wanted["sha256"]:
                    raise Failure(f"{self.file} is damaged: {name} has another checksum than when it was made.")

    def is_known_here(self) -> bool:
        """Whether this version knows the revision of the tables in it."""
        scripts = ScriptDirectory(str(Path(portal.__file__).parent / "migrations"))
        return self.manifest.revision in {each.revision for each in scripts.walk_revisions()}

    def secret_key(self) -> str | None:
        """The secret key in it, if there is one."""
        return b"".join(self._chunks(KEY)).decode("ascii").strip() if KEY in self.manifest.files else None

    def uploads(self) -> list[str]:
        """The names of the uploads in it, as they are called in the store; anything else is not taken for one."""
        named = (name.removeprefix(FILES) for name in self.manifest.files if name.startswith(FILES))
        return [name for name in named if is_storage_name(name)]

    def extract(self, name: str, target: Path) -> None:
        """Write a member into a new file, readable by its owner only."""
        target.touch(mode=0o600)
        with target.open("wb") as output:
            for chunk in self._chunks(name):
                output.write(chunk)
            output.flush()
            os.fsync(output.fileno())

    def _chunks(self, name: str) -> Iterator[bytes]:
        try:
            with self._packed.open(name) if self._packed else self.file.open("rb") as source:
                while chunk := source.read(CHUNK):
                    yield chunk
        except (KeyError, zipfile.BadZipFile, EOFError):
            raise Failure(f"{self.file} is damaged: {name} cannot be read from it.") from None


def _manifest_of_sqlite(file: Path) -> Manifest:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        try:
            revision = database.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.DatabaseError:
            raise Failure(f"{file} is a SQLite file, but not one of Signalbox.") from None
    made_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return Manifest(made_at, "sqlite", revision[0] if revision else "", "an earlier one", "")
