"""The style guide shows all there is, to staff alone."""

import re

import pytest
from bs4 import BeautifulSoup

from portal.filters import LOOKS
from tests.conftest import REPOSITORY, Cast, SignIn

COMPONENTS = sorted((REPOSITORY / "portal/templates/components").glob("*.html"))
GUIDE = (REPOSITORY / "portal/templates/admin/styleguide/styleguide.html").read_text(encoding="utf-8")


def macros_of(name: str) -> set[str]:
    text = (REPOSITORY / "portal/templates/components" / name).read_text(encoding="utf-8")
    return {macro for macro in re.findall(r"{%-? macro (\w+)\(", text) if not macro.startswith("_")}


@pytest.mark.parametrize("name", [path.name for path in COMPONENTS])
def test_every_macro_is_shown(name: str) -> None:
    """`flashes` stands in the layout, so the page shows it too."""
    imported = re.search(rf'{{% from "components/{re.escape(name)}" import ([^%]+)%}}', GUIDE)
    assert imported is not None
    for macro in macros_of(name) - {"flashes"}:
        assert macro in re.findall(r"\w+", imported.group(1))
        assert len(re.findall(rf"\b{macro}\(", GUIDE)) >= 1


@pytest.mark.parametrize("name", [path.name for path in COMPONENTS])
def test_every_macro_is_described(name: str) -> None:
    """The comment at the head of a file names each macro in it."""
    text = (REPOSITORY / "portal/templates/components" / name).read_text(encoding="utf-8")
    head = text.split("#}", 1)[0]
    assert text.startswith("{#")
    for macro in macros_of(name):
        assert re.search(rf"\b{macro}\b", head)


def test_every_state_is_shown_with_its_shape_and_word(cast: Cast, sign_in: SignIn) -> None:
    page = BeautifulSoup(sign_in(cast.ada).get("/admin/styleguide").data, "html.parser")
    shown = {badge.get_text(strip=True) for badge in page.select(".badge:has(svg)")}
    assert {str(seen.label) for values in LOOKS.values() for seen in values.values()} <= shown


def test_staff_alone_see_it(cast: Cast, sign_in: SignIn) -> None:
    assert sign_in(cast.olaf).get("/admin/styleguide").status_code == 200
    assert sign_in(cast.alice).get("/admin/styleguide").status_code == 404


def test_no_id_stands_twice(cast: Cast, sign_in: SignIn) -> None:
    page = BeautifulSoup(sign_in(cast.ada).get("/admin/styleguide").data, "html.parser")
    ids = [str(element["id"]) for element in page.select("[id]")]
    assert sorted(ids) == sorted(set(ids))
