"""Images are opened and written anew before they are stored: what is kept is the picture and nothing else.

So the place and time a photo was taken at are gone, with whatever else stood in or behind it. Nothing is decoded that
would take more memory than the limit says, and only by the decoder of the format the file claims.
"""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from PIL import Image, ImageOps, UnidentifiedImageError

from portal.files.rules import MOST_PIXELS, PREVIEW_FROM_BYTES, PREVIEW_PIXELS, FileType, Refusal, image_type

IN_MEMORY = 1_000_000
"""Bytes of a file that is looked at before they go to a temporary file."""

ORIENTATION = 0x0112
"""The Exif field that says how a camera was held."""

PROFILE_AT_MOST = 4096
"""Bytes of a colour profile that is kept: those of displays and cameras are smaller, what is larger may be anything."""

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# Its own limit only warns, and is higher: MOST_PIXELS is asked before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

_one_at_a_time = threading.BoundedSemaphore(1)
"""Two large images at once would cost twice the memory, and no time would be won."""


class RefusedError(Exception):
    """A file that is not taken, with why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(frozen=True)
class Picture:
    """An image written anew: its type, its content from the beginning, its pixels, and a small copy if it needs one."""

    file_type: FileType
    content: IO[bytes]
    width: int
    height: int
    preview: IO[bytes] | None


@contextmanager
def cleaned(source: IO[bytes]) -> Iterator[Picture]:
    """The image in `source` without anything but the picture, the right way up. Of an animation the first picture.

    RefusedError for what is no image of FORMATS, is damaged, or has too many pixels; OSError when a disk is full.
    """
    with SpooledTemporaryFile(IN_MEMORY) as content, SpooledTemporaryFile(IN_MEMORY) as small:
        with _one_at_a_time:
            picture = _rewrite(source, content, small)
        yield picture


def _rewrite(source: IO[bytes], content: IO[bytes], small: IO[bytes]) -> Picture:
    try:
        with Image.open(source, formats=FORMATS) as opened:
            return _write(opened, content, small)
    except RefusedError:
        raise
    except UnidentifiedImageError:
        raise RefusedError(Refusal.OTHER_INSIDE) from None
    except Exception as trouble:
        # What the decoders raise for damaged files is of many kinds; a full disk is the one that is not the file's.
        if isinstance(trouble, OSError) and trouble.errno in NO_ROOM:
            raise
        raise RefusedError(Refusal.BROKEN) from trouble


def _write(opened: Image.Image, content: IO[bytes], small: IO[bytes]) -> Picture:
    file_type = image_type(opened.format or "")
    if file_type is None:
        raise RefusedError(Refusal.OTHER_INSIDE)
    if opened.width * opened.height > MOST_PIXELS:
        raise RefusedError(Refusal.TOO_MANY_PIXELS)
    picture, options = _picture(opened)
    picture.save(content, format=opened.format, **options)
    size = content.tell()
    width, height = picture.size
    preview = None
    if max(width, height) > PREVIEW_PIXELS or size > PREVIEW_FROM_BYTES:
        _shrink(picture).save(small, format="WEBP", quality=75)
        preview = small
    for each in (content, small):
        each.seek(0)
    return Picture(file_type, content, width, height, preview)


def _picture(opened: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
    """The decoded picture, the right way up, with what its format is written with. Nothing else goes along."""
    is_turned = opened.getexif().get(ORIENTATION, 1) not in {1, None}
    profile, transparency = opened.info.get("icc_profile"), opened.info.get("transparency")
    picture = (ImageOps.exif_transpose(opened) if is_turned else None) or opened
    picture.load()
    options: dict[str, Any] = {}
    if opened.format == "JPEG":
        if picture.mode not in {"RGB", "L"}:
            picture, profile, is_turned = picture.convert("RGB"), None, True
        # The tables of the camera are kept where the pixels are: nothing is lost by writing them again.
        options = {"quality": 90} if is_turned else {"quality": "keep"}
    elif opened.format == "WEBP":
        options = {"quality": 90}
    picture.info = {} if transparency is None else {"transparency": transparency}
    if profile and len(profile) <= PROFILE_AT_MOST and opened.format in {"JPEG", "PNG", "WEBP"}:
        options["icc_profile"] = profile
    return picture, options


def _shrink(picture: Image.Image) -> Image.Image:
    """A copy whose longer side is that of a preview, in colours WebP knows."""
    is_clear = picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info
    small = picture if picture.mode in {"RGB", "RGBA"} else picture.convert("RGBA" if is_clear else "RGB")
    if small is picture:
        small.info = {}
    small.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
    return small
