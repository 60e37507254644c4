"""I04, T30 and T07 for the search of staff: wildcards are letters, no page is out of bounds, no role sees beyond."""

import time
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from portal import events
from portal.accounts import actions as accounts
from portal.admin.search.groups import GROUPS
from portal.audit.rules import SYSTEM
from tests.conftest import NOW, Cast, SignIn
from tests.security.world import ROLES, World, checksum, client_of

PAGE, OPTIONS = "/admin/search", "/admin/search/options"
SECONDS = 10
"""Ten times what the catalogue allows: the machine of a test run may be busy with others."""


def finds(client: FlaskClient, text: str) -> list[str]:
    found = client.get(f"{PAGE}?q={quote(text)}")
    assert found.status_code == 200
    return [each.get_text() for each in BeautifulSoup(found.text, "html.parser").select(".line-title")]


def test_i04_wildcards_are_letters(cast: Cast, sign_in: SignIn) -> None:
    names = {"100% Oat": "100%", "under_score": "r_s", "back\\slash": "k\\s", "quote's": "e's", "(brackets)": "(b"}
    for name in names:
        accounts.add_company(name, by=SYSTEM, now=NOW)
    events.commit()
    client = sign_in(cast.ada)
    for name, part in names.items():
        assert finds(client, part) == [name]
    for nothing in ("%%", "__", "%oat", "1_0%", "\\%", "a%r", "' OR 1=1 --", "*", "[a-z]"):
        assert finds(client, nothing) == [], nothing


@pytest.mark.parametrize("text", ["%a" * 10_000, "\\" * 5_000, "_%" * 5_000, "a" * 20_000, "İ" * 300, "ﷺ" * 300])
def test_i04_a_hostile_text_is_answered_soon(cast: Cast, sign_in: SignIn, text: str) -> None:
    client = sign_in(cast.ada)
    for path in (PAGE, OPTIONS):
        began = time.monotonic()
        answer = client.get(path, query_string={"q": text}, headers={"HX-Request": "true"})
        assert answer.status_code == 200
        assert time.monotonic() - began < SECONDS


def test_i04_a_nul_is_refused_and_odd_letters_are_not(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert client.get(f"{PAGE}?q=a%00b").status_code == 400
    for text in ("%ED%A0%80", "%FF%FE", "%E2%80%AE", "%F0%9F%92%A3", "%20%20"):
        assert client.get(f"{PAGE}?q={text}").status_code == 200


def test_i04_what_is_typed_is_shown_as_text(cast: Cast, sign_in: SignIn) -> None:
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    accounts.add_company(hostile, by=SYSTEM, now=NOW)
    events.commit()
    for path in (PAGE, OPTIONS):
        shown = sign_in(cast.ada).get(path, query_string={"q": hostile}, headers={"HX-Request": "true"}).text
        assert "<script>" not in shown
        assert "<img" not in shown
        assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("group", [group.name for group in GROUPS])
def test_t30_no_page_is_out_of_bounds(cast: Cast, sign_in: SignIn, group: str) -> None:
    client = sign_in(cast.root)
    assert client.get(f"{PAGE}?q=a&in={group}").status_code == 200
    for page in ("999", "0", "-1", "a", "1e3", "²", "999999999", "9999999999", "2"):
        asked = {"q": "a", "in": group, "page": page, "per_page": "100000"}
        assert client.get(PAGE, query_string=asked).status_code == 404, page


def test_t30_no_group_but_those_there_are(cast: Cast, sign_in: SignIn) -> None:
    for group in ("secrets", "person", "' OR 1=1", "companies "):
        assert sign_in(cast.root).get(PAGE, query_string={"q": "a", "in": group}).status_code == 404


def test_t07_nobody_but_staff_searches(app: Flask, world: World) -> None:
    for role in sorted(ROLES, key=lambda each: each.spoil is not None):  # who is deactivated stays so
        client = client_of(app, world.cast, role)
        before = checksum()
        for path in (f"{PAGE}?q=canary", f"{OPTIONS}?q=canary", f"{PAGE}?q=canary&in=people"):
            answer = client.get(path)
            assert (answer.status_code == 200) == role.is_staff, (role.name, path)
            assert bool(role.forbidden().search(answer.text)) is False
        assert checksum() == before


def test_t07_office_and_status_find_no_portal_domain(app: Flask, world: World) -> None:
    """Its page is for administrators: its brand and address must not be told to others by the way of a find."""
    for role in [each for each in ROLES if each.is_staff]:
        client = client_of(app, world.cast, role)
        for path in (f"{PAGE}?q=b.portal.test", f"{OPTIONS}?q=canaryonbbrandqx"):
            found = client.get(path, headers={"HX-Request": "true"}).text
            assert (f"/admin/settings/portals/{world.cast.domain_b.id}" in found) == (role.person == "root")
