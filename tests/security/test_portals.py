"""T16 to T19, H02, H03, A19 on the names of portal domains: a further name leads to the main one and shows nothing."""

from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Session
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.domains.rules.hosts import CHECK_PATH, check_answer, check_key
from portal.extensions import db
from portal.incidents.rules import State
from portal.notifications.links import unsubscribe_path
from portal.notifications.queries import left_lists
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, client_on, counted_queries, token_in
from tests.security.conftest import check_headers, https_on
from tests.security.rights import RIGHTS, For, address, routes
from tests.security.world import World

ALIAS = "www.a.portal.test"
NONCE = "n" * 32
BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}
HTMX = {"HX-Request": "true"}


def fresh(domain: PortalDomain) -> PortalDomain:
    return db.session.get_one(PortalDomain, domain.id, populate_existing=True)


def give_name(domain: PortalDomain, host: str = ALIAS) -> int:
    row = fresh(domain)
    added = actions.add_host(row, host, staff_host=STAFF_HOST, version=row.version, **BY).id
    events.commit()
    return added


@pytest.fixture
def alias(app: Flask, cast: Cast) -> FlaskClient:
    """A browser on a further name of A's portal."""
    give_name(cast.domain_a)
    return client_on(app, ALIAS)


def test_t16_a_session_is_worth_nothing_on_a_further_name(app: Flask, cast: Cast, alias: FlaskClient) -> None:
    """Even one opened in its name: nobody is ever signed in there, and no cookie is set."""
    for host in ("a.portal.test", ALIAS):
        token = accounts.open_session(cast.alice, cast.a.id, host, ip="127.0.0.1", user_agent="test", now=NOW)
        db.session.commit()
        alias.set_cookie("sid", token, domain=ALIAS)
        for path in ("/", "/services", "/banner", "/live-token", "/account"):
            answer = alias.get(path, headers={"X-Background": "1"})
            assert answer.status_code == 308
            assert not answer.data
            assert not answer.headers.getlist("Set-Cookie")


def test_t17_every_page_on_a_further_name_leads_to_its_main_one(app: Flask, world: World) -> None:
    """Pages, fragments, feeds and files, those of staff too: nothing is ever served twice."""
    give_name(world.cast.domain_a)
    alias = client_on(app, ALIAS)
    for rule in routes(app):
        entry = RIGHTS[rule.endpoint]
        if entry.audience is For.MACHINES or "GET" not in (rule.methods or set()):
            continue
        path = address(app, world, rule, entry.ours)
        for headers in ({}, HTMX):
            answer = alias.get(path, headers=headers)
            assert answer.status_code == 308, path
            assert (answer.headers["Location"], answer.data) == (f"http://a.portal.test{path}", b""), path


def test_t18_closing_an_area_closes_it_behind_every_name(cast: Cast, sign_in: SignIn, alias: FlaskClient) -> None:
    alice = sign_in(cast.alice)
    assert alice.get("/status").status_code == 200
    domain = fresh(cast.domain_a)
    actions.set_areas(domain, [Area.SERVICES], version=domain.version, **BY)
    events.commit()
    led_to = alias.get("/status").headers["Location"].removeprefix("http://a.portal.test")
    assert alice.get(led_to).status_code == alice.get(led_to, headers=HTMX).status_code == 404


def test_t18_a_name_counts_from_the_next_request_until_it_is_taken_away(app: Flask, cast: Cast) -> None:
    client = client_on(app, ALIAS)
    assert client.get("/status").status_code == 400
    host_id = give_name(cast.domain_a)
    assert client.get("/status").status_code == 308
    domain = fresh(cast.domain_a)
    actions.remove_host(domain, host_id, version=domain.version, **BY)
    events.commit()
    assert client.get("/status").status_code == 400


def test_t19_no_parameter_chooses_another_portal(cast: Cast, alias: FlaskClient) -> None:
    query = f"company_id={cast.b.id}&portal={cast.domain_b.id}&host=b.portal.test"
    answer = alias.get(f"/status?{query}", headers={"X-Tenant-Id": "b", "X-Forwarded-Host": "b.portal.test"})
    assert answer.headers["Location"] == f"http://a.portal.test/status?{query}"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_what_is_sent_to_a_further_name_is_not_sent_on(cast: Cast, alias: FlaskClient, method: str) -> None:
    for path in ("/sign-in", "/sign-out", "/company", "/status", "/nothing"):
        answer = alias.open(path, method=method, data={"email": "alice@people.test", "password": "x"})
        assert answer.status_code in {400, 404}, path
        assert "Location" not in answer.headers
        assert not [cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith("sid=")]


def test_one_click_unsubscribe_works_on_a_name_links_once_had(app: Flask, cast: Cast) -> None:
    """RFC 8058: mail programs follow no redirect, and a mail may be years older than the new name."""
    domain = fresh(cast.domain_a)
    path = unsubscribe_path("alice@people.test", "incidents", cast.alice.id)
    look = {name: getattr(domain, name) for name in ("accent", "language", "time_zone")}
    support: dict[str, Any] = {"support_email": None, "support_phone": None}
    actions.edit_domain(domain, "http://new.portal.test", "Northline", version=domain.version, **look, **support, **BY)
    events.commit()
    old = client_on(app, "a.portal.test")
    assert old.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert left_lists("alice@people.test")
    assert old.get(path).headers["Location"] == f"http://new.portal.test{path}"
    assert client_on(app, "new.portal.test").get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["//evil.test", "///evil.test/a", "/\\evil.test", "/%5cevil.test", "/@evil.test", "/.evil.test", "/%0d%0aX:%20y",
     "/%09//evil.test", "/a?next=//evil.test", "/a?x=%0d%0aSet-Cookie:%20sid=x", "/..//evil.test", "/%2f%2fevil.test",
     "/a%3F//evil.test", "/%C3%BC?%C3%BC=1", "/a?\xfc=1", "/:80@evil.test/"],
)  # fmt: skip
def test_a19_a_further_name_leads_to_its_main_one_and_nowhere_else(alias: FlaskClient, path: str) -> None:
    answer = alias.get(path, base_url=f"http://{ALIAS}")
    if answer.status_code == 400:
        return
    location = answer.headers["Location"]
    assert answer.status_code == 308
    assert location.startswith("http://a.portal.test/")
    assert not location.startswith("http://a.portal.test//")
    assert location.isascii()
    assert not set(location) & set("\r\n\t \\")
    assert "X" not in answer.headers


@pytest.mark.parametrize("host", [f"{ALIAS}:99", f"{ALIAS.upper()}.", f"{ALIAS}:80"])
def test_a19_the_port_of_the_request_is_never_in_the_address(alias: FlaskClient, host: str) -> None:
    assert alias.get("/status", headers={"Host": host}).headers["Location"] == "http://a.portal.test/status"


def test_h02_h03_a_further_name_answers_with_every_header_and_believes_none(alias: FlaskClient) -> None:
    lies = {
        "X-Forwarded-Host": "evil.test",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Port": "99",
        "X-Forwarded-Prefix": "/evil",
        "X-Original-URL": "/admin/",
        "Forwarded": "host=evil.test",
    }
    for headers in ({}, lies):
        answer = alias.get("/status", headers=headers)
        assert answer.headers["Location"] == "http://a.portal.test/status"
        check_headers(answer, is_https=False)
        # Browsers keep a 308 for ever otherwise, and a name may be given to another portal one day.
        assert answer.headers["Cache-Control"] == "private, no-cache"
    check_headers(alias.post("/status"), is_https=False)


def test_looking_up_a_name_is_one_query_whichever_it_is(app: Flask, cast: Cast, alias: FlaskClient) -> None:
    for host in (ALIAS, "nobody.portal.test"):
        with counted_queries() as statements:
            client_on(app, host).get("/services")
        assert len(statements) == 1


def test_staff_get_in_although_their_host_has_become_a_further_name(
    app: Flask, cast: Cast, sign_in: SignIn, settings: Settings
) -> None:
    """PORTAL_BASE_URL can be changed to a name that leads elsewhere: nobody may be locked out by that."""
    row = fresh(cast.domain_a)
    actions.add_host(row, STAFF_HOST, staff_host="elsewhere.test", version=row.version, **BY)
    events.commit()
    assert sign_in(cast.root).get("/admin/settings/portals").status_code == 200
    assert client_on(app, STAFF_HOST).get("/status").status_code == 404


# The check.


def test_the_check_answers_on_any_name_and_proves_the_key(app: Flask, cast: Cast, settings: Settings) -> None:
    give_name(cast.domain_a)
    key = check_key(settings.secret_key)
    for host in ("a.portal.test", ALIAS, STAFF_HOST, "nobody-knows-me.test"):
        answer = client_on(app, host).get(CHECK_PATH + NONCE)
        assert (answer.status_code, answer.text) == (200, check_answer(key, NONCE, host))
        assert answer.headers["Cache-Control"] == "no-store"
        assert not answer.headers.getlist("Set-Cookie")
        check_headers(answer, is_https=False)


def test_the_check_says_nothing_else(app: Flask, cast: Cast, settings: Settings) -> None:
    """Its answer depends on nonce and name alone, and opens nothing that the secret key opens elsewhere."""
    client = client_on(app, "nobody-knows-me.test")
    with counted_queries() as statements:
        one, other = client.get(CHECK_PATH + NONCE), client.get(CHECK_PATH + "m" * 32)
    assert statements == []
    assert one.text != other.text
    assert settings.secret_key not in one.text
    for nonce in ("short", "n" * 65, "../../etc/passwd", "n" * 31 + "!", "%00" * 20, "n" * 31 + "%0a"):
        assert client.get(CHECK_PATH + nonce).status_code in {400, 404}
    assert client.post(CHECK_PATH + NONCE).status_code in {400, 405}


def test_h02_the_check_hears_the_name_itself_and_no_forwarded_one(app: Flask, cast: Cast, settings: Settings) -> None:
    lies = {"X-Forwarded-Host": "a.portal.test", "Forwarded": "host=a.portal.test"}
    answer = client_on(app, "real.test").get(CHECK_PATH + NONCE, headers=lies)
    assert answer.text == check_answer(check_key(settings.secret_key), NONCE, "real.test")


def test_h03_the_new_screens_carry_every_header_over_https_too(https_app: Flask, cast: Cast) -> None:
    client = https_on(https_app, "nobody-knows-me.test")
    check_headers(client.get(CHECK_PATH + NONCE), is_https=True)
    give_name(cast.domain_a)
    check_headers(https_on(https_app, ALIAS).get("/status"), is_https=True)


# Wording.


def test_own_words_are_read_on_their_portal_alone_and_never_by_staff(world: World, app: Flask, sign_in: SignIn) -> None:
    row = fresh(world.cast.domain_a)
    actions.set_wordings(
        row,
        "en",
        {f"state.{state}": "<b>Being seen to & mended</b>" for state in State}
        | {"severity.performance_issue": "Calls crackle"},
        defaults={},
        version=row.version,
        **BY,
    )
    events.commit()
    for client in (client_on(app, "a.portal.test"), sign_in(world.cast.alice)):
        page = client.get(f"/incidents/{world.public_ids['public']}").text
        assert "&lt;b&gt;Being seen to &amp; mended&lt;/b&gt;" in page
        assert "<b>Being seen" not in page
        assert "Calls crackle" in client.get("/status").text
        assert "Calls crackle" in client.get("/status", headers=HTMX).text
    elsewhere = client_on(app, "b.portal.test").get("/status").text
    assert "Calls crackle" not in elsewhere
    root = sign_in(world.cast.root)
    for path in ("/admin/", "/admin/incidents", f"/admin/incidents/{world.ids['public']}", "/admin/incidents/new"):
        # The preview of what customers read names the portals that say it in words of their own.
        screen = BeautifulSoup(root.get(path).text, "html.parser")
        for preview in screen.select("#preview"):
            preview.decompose()
        assert "Calls crackle" not in str(screen)
        assert "Being seen" not in str(screen)


def test_h02_a_kept_status_page_changes_with_its_words(world: World, app: Flask) -> None:
    """The page is kept for everybody: the new word must be there with the very next answer."""
    client = client_on(app, "a.portal.test")
    before = client.get("/status")
    assert client.get("/status", headers={"If-None-Match": before.headers["ETag"]}).status_code == 304
    row = fresh(world.cast.domain_a)
    words = {"severity.performance_issue": "Slow going"}
    actions.set_wordings(row, "en", words, defaults={}, version=row.version, **BY)
    events.commit()
    after = client.get("/status", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert "Slow going" in after.text
    row = fresh(world.cast.domain_a)
    actions.set_wordings(row, "en", {}, defaults={}, version=row.version, **BY)
    events.commit()
    assert client.get("/status").headers["ETag"] == before.headers["ETag"]


def test_the_home_banner_that_is_kept_changes_with_its_words(world: World, sign_in: SignIn) -> None:
    alice = sign_in(world.cast.alice)
    poll = {"X-Background": "1", **HTMX}
    before = alice.get("/banner", headers=poll)
    assert alice.get("/banner", headers={**poll, "If-None-Match": before.headers["ETag"]}).status_code == 304
    row = fresh(world.cast.domain_a)
    words = {"severity.performance_issue": "Calls crackle"}
    actions.set_wordings(row, "en", words, defaults={}, version=row.version, **BY)
    events.commit()
    assert "Calls crackle" in alice.get("/banner", headers={**poll, "If-None-Match": before.headers["ETag"]}).text


def test_host_names_want_the_password_typed_lately(app: Flask, cast: Cast, sign_in: SignIn) -> None:
    root, base = sign_in(cast.root), f"/admin/settings/portals/{cast.domain_a.id}"
    token = token_in(root, f"{base}/hosts")
    db.session.execute(update(Session).values(confirmed_at=clock.utcnow() - timedelta(hours=1)))
    db.session.commit()
    row = fresh(cast.domain_a)
    fields = {"csrf_token": token, "version": row.version}
    look = {"brand": "X", "accent": "#112233", "language": "en", "time_zone": "UTC"}
    for path, more in (
        (f"{base}/hosts", {"host": "x.portal.test"}),
        (f"{base}/edit", {**look, "base_url": "https://evil.test"}),
        (f"{base}/remove", {}),
    ):
        answer = root.post(path, data={**fields, **more})
        assert answer.status_code == 302
        assert (answer.location or "").startswith("/confirm?")
    assert fresh(cast.domain_a).host == "a.portal.test"
    assert root.post(f"{base}/edit", data={**fields, **look, "base_url": "http://a.portal.test"}).status_code == 303
