"""Taking a file in: looked into, cleaned, and put into the store. Nothing here touches the database.

It takes its time (a photo is decoded, a bucket is far away), so callers end their transaction first. What was taken
and never got a row is found by the sweep.
"""

import codecs
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from portal.errors import RuleViolation
from portal.files import images
from portal.files.images import RefusedError
from portal.files.rules import Family, FileType, Refusal, ending_of, named_as, safe_name, type_of
from portal.files.store import PIECE, PREVIEW, Store, new_name
from portal.files.words import sentence

MEMBERS_AT_MOST = 5000
"""Files an Office document may be made of: a list that is longer belongs to something else."""

MIMETYPE_AT_MOST = 200

FIELD = "files"
"""The field of forms that refusals of files belong to."""


@dataclass(frozen=True)
class Taken:
    """A file that lies in the store, with all that is known of it."""

    name: str
    media_type: str
    size: int
    sha256: str
    storage_name: str
    width: int | None = None
    height: int | None = None
    has_preview: bool = False


def take(source: IO[bytes], name: str, store: Store, *, most_bytes: int) -> Taken:
    """Look into what `source` brings under this name, and store it.

    Holds a piece of it at a time. RuleViolation on `files` with a sentence for the reader when it is not taken; OSError
    when a disk takes no more; StoreTroubleError when the store cannot be reached.
    """
    name = safe_name(name)
    try:
        return _take(source, name, store, most_bytes)
    except RefusedError as refused:
        raise RuleViolation(sentence(refused.refusal, name, megabytes=most_bytes // 1_000_000), FIELD) from None


def _take(source: IO[bytes], name: str, store: Store, most_bytes: int) -> Taken:
    claimed = type_of(name)
    if claimed is None:
        raise RefusedError(Refusal.TYPE if ending_of(name) else Refusal.NO_ENDING)
    with SpooledTemporaryFile(images.IN_MEMORY) as held:
        _hold(source, held, most_bytes)
        if claimed.family is Family.IMAGE:
            with images.cleaned(held) as picture:
                return _store_image(picture, name, store)
        _look_into(held, claimed)
        return _store(held, name, claimed, store)


def _hold(source: IO[bytes], held: IO[bytes], most_bytes: int) -> None:
    size = 0
    while piece := source.read(PIECE):
        size += len(piece)
        if size > most_bytes:
            raise RefusedError(Refusal.TOO_BIG)
        held.write(piece)
    if not size:
        raise RefusedError(Refusal.EMPTY)
    held.seek(0)


def _store(content: IO[bytes], name: str, file_type: FileType, store: Store) -> Taken:
    digest, size = hashlib.sha256(), 0
    while piece := content.read(PIECE):
        digest.update(piece)
        size += len(piece)
    content.seek(0)
    storage_name = new_name()
    store.put(storage_name, content)
    return Taken(name, file_type.media_type, size, digest.hexdigest(), storage_name)


def _store_image(picture: images.Picture, name: str, store: Store) -> Taken:
    taken = _store(picture.content, named_as(name, picture.file_type), picture.file_type, store)
    if picture.preview is not None:
        store.put(taken.storage_name + PREVIEW, picture.preview)
    has_preview = picture.preview is not None
    return Taken(**{**vars(taken), "width": picture.width, "height": picture.height, "has_preview": has_preview})


# What is inside


def _look_into(held: IO[bytes], claimed: FileType) -> None:
    """RefusedError unless the content is what the name says. What is packed is listed, and not unpacked."""
    looks = {
        Family.PDF: _is_pdf,
        Family.TEXT: _is_text,
        Family.OFFICE: _is_office,
        Family.OPEN_DOCUMENT: _is_open_document,
        Family.SOUND: _is_sound,
    }
    if not looks[claimed.family](held, claimed):
        raise RefusedError(Refusal.OTHER_INSIDE)
    held.seek(0)


def _is_pdf(held: IO[bytes], _claimed: FileType) -> bool:
    return held.read(5) == b"%PDF-"


def _is_sound(held: IO[bytes], claimed: FileType) -> bool:
    start = held.read(12)
    if claimed.inside == "wav":
        return start[:4] == b"RIFF" and start[8:12] == b"WAVE"
    return start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2)


CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
"""Bytes that stand in no text; those of colours in a terminal's log do."""


def _is_text(held: IO[bytes], _claimed: FileType) -> bool:
    """Text of any encoding in use: UTF-8, UTF-16 with its mark, or one byte a letter; never with a NUL in it."""
    start = held.read(2)
    held.seek(0)
    if start in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        decoder = codecs.getincrementaldecoder("utf-16")()
        try:
            texts = [decoder.decode(piece, final=not piece).encode("utf-8") for piece in [*_pieces(held), b""]]
        except UnicodeError:
            return False
        return not any(CONTROLS & set(piece) for piece in texts)
    return not any(CONTROLS & set(piece) for piece in _pieces(held))


def _pieces(held: IO[bytes]) -> Iterator[bytes]:
    while piece := held.read(PIECE):
        yield piece


def _is_office(held: IO[bytes], claimed: FileType) -> bool:
    with _members(held) as packed:
        names = set(packed.namelist())
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise RefusedError(Refusal.MACROS)
    return "[Content_Types].xml" in names and any(name.startswith(claimed.inside) for name in names)


def _is_open_document(held: IO[bytes], claimed: FileType) -> bool:
    with _members(held) as packed:
        try:
            if packed.getinfo("mimetype").file_size > MIMETYPE_AT_MOST:
                return False
            with packed.open("mimetype") as inside:
                said = inside.read(MIMETYPE_AT_MOST)
        except (KeyError, RuntimeError, NotImplementedError, EOFError, zlib.error):
            return False
        if any(name.startswith("Basic/") for name in packed.namelist()):
            raise RefusedError(Refusal.MACROS)
    return said.strip() == claimed.media_type.encode()


@contextmanager
def _members(held: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(held) as packed:
            if len(packed.namelist()) > MEMBERS_AT_MOST:
                raise RefusedError(Refusal.OTHER_INSIDE)
            yield packed
    except (zipfile.BadZipFile, ValueError, OverflowError):
        raise RefusedError(Refusal.OTHER_INSIDE) from None
