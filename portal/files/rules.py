"""What may be uploaded, pure: names made safe, the types that are taken, how much of what. Source of the limits:
reliability-security, section 5, "Uploads"."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

NAME_LENGTH = 120
"""Characters of a file's name that are kept, its ending among them."""

FILES_A_MESSAGE = 10
"""Files one message, or one form, may bring."""

UNFINISHED_AT_MOST = 30
"""Files somebody may have chosen for forms that were not sent yet."""

UNFINISHED_FOR = timedelta(hours=24)
"""After this a file whose form was never sent goes, and so does whatever a process that died has left in the store."""

LEAST_COUNTED = 4096
"""Bytes a file counts for at least, so that the room of a company also bounds how many files it has."""

MOST_PIXELS = 40_000_000
"""Pixels of an image that is opened: with 4 bytes each that is what one costs a process, for a moment twice."""

PREVIEW_PIXELS = 640
"""The longer side of the small copy pages show."""

PREVIEW_FROM_BYTES = 100_000
"""An image that is no larger than this, and fits into a preview, needs none."""


class Family(StrEnum):
    """How the content of a type is looked into."""

    IMAGE = "image"
    PDF = "pdf"
    TEXT = "text"
    OFFICE = "office"
    OPEN_DOCUMENT = "open_document"
    SOUND = "sound"


@dataclass(frozen=True)
class FileType:
    """A type that is taken: the endings of its names, how it is served, and what its content must be.

    `inside` is what tells the members of a family apart: the folder of an Office file, the word of an OpenDocument,
    the first bytes of a sound.
    """

    endings: tuple[str, ...]
    media_type: str
    family: Family
    label: str
    inside: str = ""


TYPES = (
    FileType(("jpg", "jpeg"), "image/jpeg", Family.IMAGE, "JPEG"),
    FileType(("png",), "image/png", Family.IMAGE, "PNG"),
    FileType(("gif",), "image/gif", Family.IMAGE, "GIF"),
    FileType(("webp",), "image/webp", Family.IMAGE, "WEBP"),
    FileType(("pdf",), "application/pdf", Family.PDF, "PDF"),
    FileType(("txt", "log", "csv"), "text/plain", Family.TEXT, "TXT"),
    FileType(
        ("docx",),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Family.OFFICE,
        "DOCX",
        "word/",
    ),
    FileType(
        ("xlsx",), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Family.OFFICE, "XLSX", "xl/"
    ),
    FileType(
        ("pptx",),
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        Family.OFFICE,
        "PPTX",
        "ppt/",
    ),
    FileType(("odt",), "application/vnd.oasis.opendocument.text", Family.OPEN_DOCUMENT, "ODT"),
    FileType(("ods",), "application/vnd.oasis.opendocument.spreadsheet", Family.OPEN_DOCUMENT, "ODS"),
    FileType(("odp",), "application/vnd.oasis.opendocument.presentation", Family.OPEN_DOCUMENT, "ODP"),
    FileType(("wav",), "audio/wav", Family.SOUND, "WAV", "wav"),
    FileType(("mp3",), "audio/mpeg", Family.SOUND, "MP3", "mp3"),
)
"""Whatever is not here is not taken: pages, scripts, programs and archives above all. Nor is HEIC: the place a photo
was taken at could not be removed from it."""

_BY_ENDING = {ending: each for each in TYPES for ending in each.endings}
_BY_FORMAT = {each.label: each for each in TYPES if each.family is Family.IMAGE}

ACCEPT = ",".join(f".{ending}" for ending in _BY_ENDING)
"""The endings as the `accept` of a file field has them."""

LABELS = ", ".join(each.label for each in TYPES)
"""The types for people, as a sentence lists them."""


class Refusal(StrEnum):
    """Why a file is not taken."""

    NO_ENDING = "no_ending"
    TYPE = "type"
    OTHER_INSIDE = "other_inside"
    EMPTY = "empty"
    TOO_BIG = "too_big"
    TOO_MANY_PIXELS = "too_many_pixels"
    BROKEN = "broken"
    MACROS = "macros"
    TOO_MANY = "too_many"
    UNFINISHED = "unfinished"
    NO_ROOM = "no_room"


_UNSAFE = re.compile(r'[<>:"/\\|?*]')
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe_name(typed: str) -> str:
    """The name of a file as it is kept and sent: without a path, controls or marks that turn the direction of text.

    Whatever came, some name comes out: of "../../etc/passwd" it is "passwd", of nothing "file".
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", typed))[-1]
    plain = "".join(character for character in last if unicodedata.category(character) not in _HIDDEN)
    plain = " ".join(_UNSAFE.sub("_", plain).split()).strip(". ")
    stem, dot, ending = plain.rpartition(".")
    if not dot:
        return plain[:NAME_LENGTH] or "file"
    ending = ending[:10]
    return f"{stem[: NAME_LENGTH - len(ending) - 1].rstrip('. ') or 'file'}.{ending}"


def ending_of(name: str) -> str:
    """What stands behind the last dot of a name, in small letters; "" where there is none."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def type_of(name: str) -> FileType | None:
    """The type a name claims, by its last ending and nothing before it; None for one that is not taken."""
    return _BY_ENDING.get(ending_of(name))


def image_type(image_format: str) -> FileType | None:
    """The type of an image by what it is inside ("JPEG", "PNG" …); None for a format pages may not show."""
    return _BY_FORMAT.get(image_format)


def named_as(name: str, file_type: FileType) -> str:
    """The name with the ending of what the file is: phones call pictures .jpg that are none."""
    if ending_of(name) in file_type.endings:
        return name
    return f"{name.rpartition('.')[0]}.{file_type.endings[0]}"


def counted(size: int) -> int:
    """What a file of so many bytes takes of the room of its company."""
    return max(size, LEAST_COUNTED)


def is_storage_name(name: str) -> bool:
    """Whether something in the store may be one of ours, whole or the small copy of one."""
    return re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{32}(?:\.small)?", name) is not None
