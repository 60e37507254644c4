"""Names of files made safe, and the types that are taken by their name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.files.rules import (
    LEAST_COUNTED,
    NAME_LENGTH,
    TYPES,
    Family,
    counted,
    image_type,
    is_storage_name,
    named_as,
    safe_name,
    type_of,
)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("photo.jpg", "photo.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\plan.pdf", "plan.pdf"),
        ("a\r\nSet-Cookie: x.png", "aSet-Cookie_ x.png"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("a.html\x00.png", "a.html.png"),
        ("  . .. ", "file"),
        ("", "file"),
        (".htaccess", "htaccess"),
        ("Übersicht – März.pdf", "Übersicht – März.pdf"),
        ('we"ird<name>?.txt', "we_ird_name__.txt"),
        (".", "file"),
        ("....png", "png"),
    ],
)
def test_a_name_is_made_safe(typed: str, kept: str) -> None:
    assert safe_name(typed) == kept


@given(st.text(max_size=400))
def test_any_text_makes_a_name_that_is_one_and_stays_it(typed: str) -> None:
    name = safe_name(typed)
    assert name
    assert len(name) <= NAME_LENGTH
    assert not set(name) & set('/\\\r\n\0<>:"|?*')
    assert name.isprintable() or all(character.isspace() for character in name if not character.isprintable())
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("a.html", "a.htm", "a.svg", "a.xhtml", "a.xml", "a.js", "a.mjs", "a.shtml", "a.hta", "a.exe", "a.php"),
        *("a.py", "a.jpg.html", "a.docm", "a.zip", "a.heic", "png"),
    ],
)
def test_what_could_run_or_hide_something_is_no_type_of_ours(name: str) -> None:
    assert type_of(name) is None


def test_the_last_ending_counts_in_any_case() -> None:
    assert type_of("scan.html.PDF") is type_of("x.pdf")


def test_only_four_kinds_of_image_are_shown_in_pages() -> None:
    shown = {each.media_type for each in TYPES if each.family is Family.IMAGE}
    assert shown == {"image/png", "image/jpeg", "image/gif", "image/webp"}
    assert image_type("TIFF") is None


def test_a_picture_is_named_as_what_it_is() -> None:
    jpeg, png = image_type("JPEG"), image_type("PNG")
    assert jpeg is not None
    assert png is not None
    assert named_as("a.jpeg", jpeg) == "a.jpeg"
    assert named_as("a.b.jpg", png) == "a.b.png"


def test_small_files_count_for_more_than_they_are() -> None:
    assert counted(1) == LEAST_COUNTED
    assert counted(LEAST_COUNTED + 1) == LEAST_COUNTED + 1


def test_names_in_the_store_are_told_from_others() -> None:
    assert is_storage_name("ab/" + "0" * 32)
    assert is_storage_name("ab/" + "0" * 32 + ".small")
    assert not is_storage_name("ab/../" + "0" * 32)
    assert not is_storage_name("readme.txt")
