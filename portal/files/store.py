"""Where the bytes of files lie: a directory of this machine, or a bucket that several machines see.

What is in the store is there whole: in a directory a file is written under another name first and then moved, in a
bucket an object appears when its last byte has arrived. Nothing here knows the database.
"""

import io
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
from flask import Flask, current_app

from portal.config import Settings
from portal.files.rules import is_storage_name

log = logging.getLogger(__name__)

PIECE = 65_536
"""Bytes that are read and written at once."""

INCOMING = "incoming"
"""The folder of what is being written, in a store that is a directory."""

PREVIEW = ".small"
"""What the name of an image's small copy ends with."""

FOLDERS = tuple(f"{number:02x}" for number in range(256))
"""The first part of every name in the store, so that no folder holds too many."""


class StoreTroubleError(Exception):
    """The store does not answer as it should: a bucket that cannot be reached, a directory that may not be written."""


@dataclass(frozen=True)
class Lying:
    """Something that lies in the store, under its name, since a moment (UTC)."""

    name: str
    since: datetime


def new_name() -> str:
    """A name in the store that nobody has and nobody guesses: 128 random bits, in one of 256 folders."""
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name}"


class Store:
    """The place `PORTAL_FILES_URL` names. Its connections are made when they are first needed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.is_local = parts.scheme == "file"
        if self.is_local:
            self.root = unquote(parts.path).rstrip("/")
            self._system: Any = fsspec.filesystem("file")
        else:
            self.root = f"{parts.hostname}{unquote(parts.path)}".rstrip("/")
            self._system = fsspec.filesystem("s3", **_bucket_options(url))

    @property
    def directory(self) -> Path | None:
        """The directory, for a store that is one."""
        return Path(self.root) if self.is_local else None

    def put(self, name: str, source: IO[bytes]) -> None:
        """Store everything that can be read from `source`, whole or not at all.

        OSError where a disk takes no more; StoreTroubleError when the bucket does not take it.
        """
        if self.is_local:
            self._put_into_directory(name, source)
        else:
            self._put_into_bucket(name, source)

    def _put_into_directory(self, name: str, source: IO[bytes]) -> None:
        if not os.path.isdir(self.root):
            Path(self.root).mkdir(parents=True, exist_ok=True, mode=0o700)
        incoming, final = f"{self.root}/{INCOMING}/{secrets.token_hex(16)}", f"{self.root}/{name}"
        self._system.makedirs(os.path.dirname(incoming), exist_ok=True)
        try:
            with self._system.open(incoming, "wb") as target:
                shutil.copyfileobj(source, target, PIECE)
                target.flush()
                os.fsync(target.fileno())
            self._system.makedirs(os.path.dirname(final), exist_ok=True)
            self._system.mv(incoming, final)
            _keep_folder(os.path.dirname(final))
        except BaseException:
            Path(incoming).unlink(missing_ok=True)
            raise

    def _put_into_bucket(self, name: str, source: IO[bytes]) -> None:
        target = None
        try:
            target = self._system.open(f"{self.root}/{name}", "wb", autocommit=False)
            shutil.copyfileobj(source, target, PIECE)
            target.close()
            target.commit()
        except Exception as trouble:
            if target is not None:
                _let_go(target)
            raise StoreTroubleError(f"{type(trouble).__name__}: {trouble}") from trouble

    def open(self, name: str) -> IO[bytes]:
        """A file of the store for reading, anywhere in it; FileNotFoundError where there is none."""
        try:
            return cast(IO[bytes], self._system.open(f"{self.root}/{name}", "rb", cache_type="readahead"))
        except FileNotFoundError:
            raise
        except Exception as trouble:
            raise StoreTroubleError(f"{type(trouble).__name__}: {trouble}") from trouble

    def delete(self, name: str) -> None:
        """Take a file away, with its small copy if it has one. One that is not there is no trouble."""
        for each in (name, name + PREVIEW):
            try:
                self._system.rm_file(f"{self.root}/{each}")
            except FileNotFoundError:
                continue
            except Exception as trouble:
                raise StoreTroubleError(f"{type(trouble).__name__}: {trouble}") from trouble

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            return bool(self._system.exists(f"{self.root}/{name}"))
        except Exception as trouble:
            raise StoreTroubleError(f"{type(trouble).__name__}: {trouble}") from trouble

    def lying_in(self, folder: str) -> Iterator[Lying]:
        """Every file of ours in one of FOLDERS, in no order; what has a name we never give is left alone."""
        for found in self._listed(folder):
            name = f"{folder}/{found['name'].rstrip('/').rpartition('/')[2]}"
            if found["type"] == "file" and is_storage_name(name):
                yield Lying(name, _since(found))

    def forget_incoming(self, before: datetime) -> int:
        """Take away what processes that died were writing before a moment; returns how much that was."""
        if not self.is_local:
            return 0
        old = [found["name"] for found in self._listed(INCOMING) if _since(found) < before]
        for name in old:
            Path(name).unlink(missing_ok=True)
        return len(old)

    def _listed(self, folder: str) -> list[dict[str, Any]]:
        try:
            return list(self._system.ls(f"{self.root}/{folder}", detail=True, refresh=True))
        except FileNotFoundError:
            return []
        except Exception as trouble:
            raise StoreTroubleError(f"{type(trouble).__name__}: {trouble}") from trouble

    @property
    def told(self) -> str:
        """Where it is, for people: without any key."""
        return self.root if self.is_local else f"s3://{self.root}"

    def trouble(self) -> str:
        """What is the matter with the store; "" for one that takes files, and for a directory that is not there yet.

        A directory is only looked at: whoever looks may be somebody else than who writes into it later.
        """
        if self.is_local:
            is_writable = not os.path.isdir(self.root) or os.access(self.root, os.W_OK | os.X_OK)
            return "" if is_writable else "it may not be written"
        try:
            name = new_name()
            self.put(name, io.BytesIO())
            self.delete(name)
        except StoreTroubleError as trouble:
            return str(trouble).partition("\n")[0].rstrip(".")
        return ""


def of_app() -> Store:
    """The store of the current app."""
    found: Store | None = current_app.extensions.get("files")
    if found is None:
        settings: Settings = current_app.config["SETTINGS"]
        found = current_app.extensions["files"] = Store(settings.files_url)
    return found


def replace(app: Flask, store: Store) -> None:
    """Give an app another store than its settings name."""
    app.extensions["files"] = store


def _bucket_options(url: str) -> dict[str, Any]:
    """What s3fs needs: keys from the URL or, without any there, from where AWS's own tools take them."""
    parts = urlsplit(url)
    wanted = {name: values[0] for name, values in parse_qs(parts.query).items()}
    options: dict[str, Any] = {
        "client_kwargs": {"region_name": wanted["region"]} if "region" in wanted else {},
        "config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}},
        "use_listings_cache": False,
        "skip_instance_cache": True,
    }
    if "endpoint" in wanted:
        options["endpoint_url"] = wanted["endpoint"]
    if parts.username:
        options |= {"key": unquote(parts.username), "secret": unquote(parts.password or "")}
    return options


def _since(found: dict[str, Any]) -> datetime:
    """When a file was written, by what the system says of it."""
    moment = found.get("mtime", found.get("LastModified"))
    return moment if isinstance(moment, datetime) else datetime.fromtimestamp(float(moment or 0), UTC)


def _keep_folder(path: str) -> None:
    """Have the disk remember that the folder has a new file in it, whatever happens to the power."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _let_go(target: Any) -> None:
    """Give up an upload into a bucket that was begun."""
    try:
        target.discard()
    except Exception:
        log.warning("a begun upload could not be given up; the bucket should expire such parts", exc_info=True)
    finally:
        # It would try once more to send what it holds when it is collected.
        target.closed = True
