"""Files for the tests: small ones of each kind, and those somebody sends who means harm."""

import io
import struct
import zipfile
import zlib

from PIL import Image

GPS = 0x8825


def png(width: int = 8, height: int = 8, colour: str = "red") -> bytes:
    """A picture of one colour."""
    made = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(made, "PNG")
    return made.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """A picture that says it has so many pixels, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def photo(width: int = 40, height: int = 20, *, orientation: int = 1) -> bytes:
    """A photo as a phone takes it: with the place, the camera and a comment, held in one of eight ways."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "CANARY-camera"
    exif.get_ifd(GPS).update({1: "N", 2: (51.0, 30.0, 26.0), 3: "W", 4: (0.0, 7.0, 39.0)})
    picture = Image.new("RGB", (width, height), "blue")
    picture.paste((255, 0, 0), (0, 0, width // 2, height))
    made = io.BytesIO()
    picture.save(made, "JPEG", exif=exif, comment=b"CANARY-comment", quality=95)
    return made.getvalue()


def pdf(size: int = 100) -> bytes:
    """The beginning of a PDF, and then whatever."""
    return b"%PDF-1.7\n" + b"x" * (size - 9)


def packed(**members: bytes) -> bytes:
    """A ZIP with these members; a double underscore stands for a slash, "types" for [Content_Types].xml."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr("[Content_Types].xml" if name == "types" else name.replace("__", "/"), content)
    return made.getvalue()


def docx() -> bytes:
    """Just enough of a Word document."""
    return packed(types=b"<Types/>", word__document=b"<document/>")
