"""Templates as Python code, kept in the instance folder: compiling those of one mail takes a tenth of a second, which
whoever publishes the first incident after a start would wait for.

What is kept is of one state of the code: filters fold constants into it, and a filter may change.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator

from flask import Flask
from jinja2.bccache import Bucket, FileSystemBytecodeCache

from portal.config import Settings

FOLDER = "compiled"
WITHOUT_CODE = frozenset({"__pycache__", "static", "templates", "translations"})


class KeptTemplates(FileSystemBytecodeCache):
    """Compiled templates in a folder; where that cannot be read or written they are compiled, as without it."""

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, TypeError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        try:
            super().dump_bytecode(bucket)
        except OSError:
            return


def init_app(app: Flask) -> None:
    """Keep compiled templates in the instance folder; those of another state of the code go."""
    settings: Settings = app.config["SETTINGS"]
    state = state_of_code(app.root_path)
    place = settings.instance / FOLDER / state
    if not place.is_dir():
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError:
            return
        for other in place.parent.iterdir():
            if other.name != state:
                shutil.rmtree(other, ignore_errors=True)
    app.jinja_env.bytecode_cache = KeptTemplates(str(place), "%s.code")


def state_of_code(root: str) -> str:
    """Names the code below a folder as it stands: each module by its path, size, and time of the last change."""
    found = hashlib.sha256()
    for path, about in sorted(_modules(root)):
        found.update(f"{path}\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    return found.hexdigest()[:16]


def _modules(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as entries:
        for each in entries:
            if each.name.endswith(".py"):
                yield each.path, each.stat()
            elif each.is_dir() and each.name not in WITHOUT_CODE:
                yield from _modules(each.path)
