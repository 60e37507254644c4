"""Static files: hashed, immutable, compressed, and nothing private among them."""

import gzip
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.assets import STATIC, address_of
from portal.brand import STAFF_ACCENT, style_sheet
from portal.extensions import db
from tests.conftest import STAFF_HOST, Cast, SignIn

Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def addresses(app: Flask) -> Callable[[str], str]:
    def of(name: str) -> str:
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            return address_of(name)

    return of


def test_an_asset_may_be_kept_for_ever(cast: Cast, visitor: Visitor, addresses: Callable[[str], str]) -> None:
    answer = visitor("a.portal.test").get(addresses("portal.css"), headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.mimetype == "text/css"
    assert gzip.decompress(answer.data).startswith(b"@layer reset, base, layout, components, utilities;")
    assert "Set-Cookie" not in answer.headers


def test_the_mark_is_where_browsers_look_for_it(cast: Cast, visitor: Visitor) -> None:
    answer = visitor("a.portal.test").get("/favicon.ico")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("encoding", ["identity", "br", "gzip;q=0", ""])
def test_whoever_cannot_unpack_gets_it_plain(
    cast: Cast, visitor: Visitor, addresses: Callable[[str], str], encoding: str
) -> None:
    answer = visitor("a.portal.test").get(addresses("portal.js"), headers={"Accept-Encoding": encoding})
    assert "Content-Encoding" not in answer.headers
    assert b"htmx:config:request" in answer.data


@pytest.mark.parametrize(
    "address",
    ["portal.0000000000.css", "portal.css", "../config.py", "vendor/axe.js", "brand/staff", "css/10-tokens.css"],
)
def test_only_what_has_a_hash_is_served(cast: Cast, visitor: Visitor, address: str) -> None:
    assert visitor("a.portal.test").get(f"/static/{address}").status_code in {200, 404}
    if not address.startswith("brand/"):
        assert visitor("a.portal.test").get(f"/static/{address}").status_code == 404


def test_a_first_visit_is_light(app: Flask) -> None:
    """What every page loads stays well below the 70 KB of DESIGN section 9, target 6."""
    assets = app.extensions["assets"]
    for audience, most in (("portal", 42_000), ("staff", 57_000)):
        packed = sum(len(assets[name].compressed) for name in (f"{audience}.css", f"{audience}.js"))
        assert packed < most, audience


def test_staff_screens_have_their_own_sheet_and_customers_load_none_of_it(app: Flask) -> None:
    assets = app.extensions["assets"]
    for suffix in ("css", "js"):
        parts = [path.read_bytes() for path in (STATIC / suffix / "admin").glob(f"*.{suffix}")]
        assert parts
        assert all(part in assets[f"staff.{suffix}"].body for part in parts)
        assert not any(part in assets[f"portal.{suffix}"].body for part in parts)


def test_layers_keep_every_rule_in_its_place() -> None:
    """A rule outside the cascade layers would beat all of them."""
    for path in sorted((STATIC / "css").rglob("*.css")):
        depth, outside = 0, ""
        for character in path.read_text(encoding="utf-8"):
            depth += (character == "{") - (character == "}")
            outside += character if depth == 0 and character != "}" else ""
        while "/*" in outside:
            start = outside.index("/*")
            outside = outside[:start] + outside[outside.index("*/", start) + 2 :]
        assert depth == 0, path
        assert all(part.strip().startswith("@layer") for part in outside.splitlines() if part.strip()), path


class TestBrand:
    """The colours of a brand: one sheet for each portal domain, one for the staff."""

    def sheet_of(self, client: FlaskClient, path: str) -> str:
        page = client.get(path).get_data(as_text=True)
        return page.split('<link rel="stylesheet" href="/static/brand/', 1)[1].split('"', 1)[0]

    def test_each_portal_domain_has_its_own(self, cast: Cast, visitor: Visitor) -> None:
        cast.domain_a.accent, cast.domain_b.accent = "#0e7c66", "#b3261e"
        db.session.commit()
        a, b = visitor("a.portal.test"), visitor("b.portal.test")
        sheet_a, sheet_b = self.sheet_of(a, "/nothing"), self.sheet_of(b, "/nothing")
        assert sheet_a != sheet_b
        answer = a.get(f"/static/brand/{sheet_a}")
        assert answer.get_data(as_text=True) == style_sheet("#0e7c66")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert a.get(f"/static/brand/{sheet_b}").status_code == 404

    def test_the_staff_have_theirs(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        sheet = self.sheet_of(client, "/admin/styleguide")
        assert sheet.startswith("staff.")
        assert client.get(f"/static/brand/{sheet}").get_data(as_text=True) == style_sheet(STAFF_ACCENT)

    def test_a_new_colour_has_a_new_address_and_the_old_one_is_not_kept(self, cast: Cast, visitor: Visitor) -> None:
        client = visitor("a.portal.test")
        before = self.sheet_of(client, "/nothing")
        cast.domain_a.accent = "#7a1fa2"
        db.session.commit()
        assert self.sheet_of(client, "/nothing") != before
        answer = client.get(f"/static/brand/{before}")
        assert answer.get_data(as_text=True) == style_sheet("#7a1fa2")
        assert answer.headers["Cache-Control"] == "public, no-cache"

    def test_a_status_has_the_colour_of_the_portal_domain_it_is_seen_on(self, cast: Cast, visitor: Visitor) -> None:
        a, b = visitor("a.portal.test"), visitor("b.portal.test")
        before = self.sheet_of(a, "/nothing")
        cast.domain_a.status_colors = {"system_is_down": "#8b1e5f"}
        db.session.commit()
        assert self.sheet_of(a, "/nothing") != before
        sheet = a.get(f"/static/brand/{self.sheet_of(a, '/nothing')}").get_data(as_text=True)
        assert ".service-system-is-down{--tone:#8b1e5f" in sheet
        assert "service-" not in b.get(f"/static/brand/{self.sheet_of(b, '/nothing')}").get_data(as_text=True)

    def test_no_cookie_and_no_session_are_looked_at(self, cast: Cast, visitor: Visitor) -> None:
        client = visitor("a.portal.test")
        answer = client.get(f"/static/brand/{self.sheet_of(client, '/nothing')}")
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
