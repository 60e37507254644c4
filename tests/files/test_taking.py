"""What is looked into: F01 by content and ending together, F05 pictures without their places and without bombs."""

import io
import tracemalloc
from pathlib import Path

import pytest
from flask import Flask
from PIL import Image

from portal.errors import RuleViolation
from portal.files.store import PREVIEW, Store
from portal.files.taking import Taken, take
from tests.files.contents import GPS, docx, huge_png, packed, pdf, photo, png

MOST = 2_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store((tmp_path / "files").as_uri())


@pytest.fixture(autouse=True)
def _in_english(app: Flask) -> object:
    with app.test_request_context("/"):
        yield


def lying(store: Store) -> list[Path]:
    folder = store.directory
    assert folder is not None
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


def taken(content: bytes, name: str, store: Store, most: int = MOST) -> Taken:
    return take(io.BytesIO(content), name, store, most_bytes=most)


def refused(content: bytes, name: str, store: Store, most: int = MOST) -> str:
    with pytest.raises(RuleViolation) as refusal:
        taken(content, name, store, most)
    assert refusal.value.field == "files"
    assert lying(store) == [], "what is refused leaves nothing behind"
    return refusal.value.sentence


def stored(store: Store, name: str) -> bytes:
    with store.open(name) as content:
        return content.read()


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (pdf(), "plan.pdf", "application/pdf"),
        (b"Line 1\r\nLine 2\t\xe4\xf6", "readings.csv", "text/plain"),
        ("Grüße".encode("utf-16"), "letter.txt", "text/plain"),
        (docx(), "offer.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (
            packed(mimetype=b"application/vnd.oasis.opendocument.text", content=b""),
            "offer.odt",
            "application/vnd.oasis.opendocument.text",
        ),
        (b"RIFF\x10\0\0\0WAVEfmt ", "call.wav", "audio/wav"),
        (b"ID3\x04\0\0\0\0\0\0", "call.mp3", "audio/mpeg"),
    ],
)
def test_what_is_what_it_says_is_taken_as_it_is(content: bytes, name: str, media_type: str, store: Store) -> None:
    found = taken(content, name, store)
    assert (found.name, found.media_type, found.size) == (name, media_type, len(content))
    assert stored(store, found.storage_name) == content
    assert found.width is None


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<html><script>alert(1)</script>", "a.pdf"),
        (b"MZ\x90\0program", "a.txt"),
        (b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script></html>", "a.png"),
        (b"<svg onload=alert(1)>", "a.png"),
        (png(), "a.pdf"),
        (pdf(), "a.jpg"),
        (packed(anything=b"x"), "a.docx"),
        (b"PK\x03\x04broken", "a.xlsx"),
        (packed(types=b"<Types/>", xl__workbook=b"x"), "a.docx"),
        (packed(mimetype=b"text/html"), "a.odt"),
        (b"RIFF\x10\0\0\0AVI ", "a.wav"),
    ],
)
def test_f01_what_is_something_else_inside_is_not_taken(content: bytes, name: str, store: Store) -> None:
    assert name.rpartition(".")[0] in refused(content, name, store)


def test_macros_are_not_taken(store: Store) -> None:
    content = packed(types=b"<Types/>", word__document=b"x", **{"word__vbaProject.bin": b"x"})
    assert "macros" in refused(content, "offer.docx", store)


def test_an_empty_file_and_one_without_an_ending_are_not_taken(store: Store) -> None:
    assert "empty" in refused(b"", "a.pdf", store)
    assert "ending" in refused(pdf(), "plan", store)
    assert "kind" in refused(b"<html>", "a.jpg.html", store)


def test_f03_a_byte_too_many_is_refused_and_the_limit_itself_is_not(store: Store) -> None:
    assert taken(pdf(MOST), "a.pdf", store).size == MOST
    for path in lying(store):
        path.unlink()
    assert "larger than 2 MB" in refused(pdf(MOST + 1), "a.pdf", store)


def test_f03_an_endless_stream_is_read_to_the_limit_and_in_bounded_memory(store: Store) -> None:
    class Endless(io.BytesIO):
        given = 0

        def read(self, size: int | None = -1) -> bytes:
            self.given += size or 0
            return b"%PDF-" + b"x" * ((size or 0) - 5)

    source = Endless()
    tracemalloc.start()
    with pytest.raises(RuleViolation):
        take(source, "a.pdf", store, most_bytes=20_000_000)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert source.given <= 20_000_000 + 2 * 65_536
    assert peak < 5_000_000
    assert lying(store) == []


def test_f05_a_photo_loses_where_and_with_what_it_was_taken(store: Store) -> None:
    content = photo()
    assert b"CANARY-camera" in content
    found = taken(content, "leak.jpg", store)
    kept = stored(store, found.storage_name)
    assert b"CANARY" not in kept
    assert b"Exif" not in kept
    with Image.open(io.BytesIO(kept)) as picture:
        assert not picture.getexif()
        assert not picture.getexif().get_ifd(GPS)
        assert picture.size == (found.width, found.height) == (40, 20)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_the_right_way_up_without_its_metadata(orientation: int, store: Store) -> None:
    found = taken(photo(40, 20, orientation=orientation), "a.jpg", store)
    assert (found.width, found.height) == ((40, 20) if orientation < 5 else (20, 40))


@pytest.mark.parametrize("size", [(50_000, 50_000), (40_000, 1_001), (2**31 - 1, 1)])
def test_f05_a_bomb_is_never_decoded(size: tuple[int, int], store: Store) -> None:
    tracemalloc.start()
    sentence = refused(huge_png(*size), "bomb.png", store)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "pixels" in sentence
    assert peak < 5_000_000


def test_f05_what_hangs_on_a_picture_does_not_come_along(store: Store) -> None:
    """A polyglot is a picture and a page at once; what is stored is the picture."""
    kept = stored(store, taken(png() + b"<html><script>CANARY</script>", "a.png", store).storage_name)
    assert b"CANARY" not in kept
    with Image.open(io.BytesIO(kept)) as picture:
        assert picture.getpixel((0, 0)) == (255, 0, 0)


def test_f05_of_an_animation_the_first_picture_is_kept(store: Store) -> None:
    made = io.BytesIO()
    frames = [Image.new("P", (4, 4), colour) for colour in (1, 2, 3)]
    frames[0].save(made, "GIF", save_all=True, append_images=frames[1:], comment=b"CANARY")
    kept = stored(store, taken(made.getvalue(), "a.gif", store).storage_name)
    assert b"CANARY" not in kept
    with Image.open(io.BytesIO(kept)) as picture:
        assert getattr(picture, "n_frames", 1) == 1


def test_a_damaged_picture_is_refused_with_its_name(store: Store) -> None:
    assert "cannot be read" in refused(png(400, 400)[:200], "half.png", store)


def test_a_picture_with_a_wrong_ending_is_named_as_what_it_is(store: Store) -> None:
    found = taken(png(), "chat.jpg", store)
    assert (found.name, found.media_type) == ("chat.png", "image/png")


def test_a_large_picture_gets_a_small_copy_and_a_small_one_none(store: Store) -> None:
    large, small = taken(png(900, 300), "a.png", store), taken(png(64, 64), "b.png", store)
    assert (large.has_preview, small.has_preview) == (True, False)
    with Image.open(io.BytesIO(stored(store, large.storage_name + PREVIEW))) as preview:
        assert preview.format == "WEBP"
        assert preview.size == (640, 213)
    with Image.open(io.BytesIO(stored(store, large.storage_name))) as whole:
        assert whole.size == (900, 300)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "I;16", "1"])
def test_pictures_of_every_mode_are_taken(mode: str, store: Store) -> None:
    made = io.BytesIO()
    Image.new(mode, (700, 10)).save(made, "PNG")
    assert taken(made.getvalue(), "a.png", store).has_preview


def test_a_print_shop_s_photo_becomes_one_screens_show(store: Store) -> None:
    made = io.BytesIO()
    Image.new("CMYK", (10, 10)).save(made, "JPEG")
    kept = stored(store, taken(made.getvalue(), "a.jpg", store).storage_name)
    with Image.open(io.BytesIO(kept)) as picture:
        assert picture.mode == "RGB"
