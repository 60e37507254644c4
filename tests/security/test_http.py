"""H02 to H10, I28, I29: what every answer carries, and what no request may do to one."""

import re
import time
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from portal.assets import address_of
from portal.extensions import db
from tests.conftest import STAFF_HOST, Cast, client_on, token_in
from tests.security.conftest import SECRET, check_headers, https_on

SECONDS = 1.0 * 10  # the limit of the catalogue, with slack for a busy machine

STAFF = {"Host": STAFF_HOST}
TRACES = ("Traceback", SECRET, "RuntimeError", "sqlalchemy", "SELECT", ".py", "/work", "site-packages", "werkzeug")
INLINE = re.compile(rb"<style|\sstyle=|\son\w+\s*=|hx-on|javascript:|<script(?![^>]*\bsrc=)|hx-vals=.js:", re.I)

Asking = Callable[[FlaskClient], TestResponse]

ANSWERS: dict[str, tuple[int, Asking]] = {
    "a page": (200, lambda client: client.get("/sign-in", headers=STAFF)),
    "its fragment": (200, lambda client: client.get("/sign-in", headers={**STAFF, "HX-Request": "true"})),
    "a probe": (200, lambda client: client.get("/healthz")),
    "a missing page": (404, lambda client: client.get("/nothing/here", headers=STAFF)),
    "a missing fragment": (404, lambda client: client.get("/nothing", headers={**STAFF, "HX-Request": "true"})),
    "a missing resource": (404, lambda client: client.get("/api/nothing", headers=STAFF)),
    "a missing file": (404, lambda client: client.get("/static/nothing.css", headers=STAFF)),
    "an unknown host": (400, lambda client: client.get("/sign-in", headers={"Host": "evil.test"})),
    "no form token": (400, lambda client: client.post("/sign-in", headers=STAFF)),
    "a wrong method": (405, lambda client: client.put("/healthz")),
    "too much": (413, lambda client: client.post("/sign-in", headers=STAFF, data={"email": "x" * 1_100_000})),
    "a missing slash": (308, lambda client: client.get("/probe/item/3", headers=STAFF)),
    "a fault": (500, lambda client: client.get("/probe/fault", headers=STAFF)),
    "a lost database": (503, lambda client: client.get("/probe/sql", headers=STAFF)),
    "a redirect": (303, lambda client: client.get("/probe/redirect?to=/x", headers=STAFF)),
    "an htmx redirect": (
        204,
        lambda client: client.get("/probe/redirect?to=/x", headers={**STAFF, "HX-Request": "true"}),
    ),
    "sign-in wanted": (302, lambda client: client.get("/admin/", headers=STAFF)),
}


@pytest.fixture(params=["a page", *list(ANSWERS)[1:]])
def answer_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_h03_every_kind_of_answer_carries_every_header(probe_app: Flask, session: None, answer_name: str) -> None:
    status, ask = ANSWERS[answer_name]
    response = ask(client_on(probe_app, STAFF_HOST))
    assert response.status_code == status
    check_headers(response, is_https=False)


def test_h03_and_says_so_when_it_is_reached_by_https(https_app: Flask, session: None, answer_name: str) -> None:
    status, ask = ANSWERS[answer_name]
    client = https_on(https_app, STAFF_HOST)
    response = ask(client)
    assert response.status_code == status
    check_headers(response, is_https=True)


def test_h03_static_files_and_unchanged_ones(app: Flask, session: None) -> None:
    client = client_on(app, STAFF_HOST)
    with app.test_request_context("/", headers=STAFF):
        addresses = [address_of(name) for name in ("portal.css", "portal.js", "vendor/sortable.js")]
    for address in addresses:
        found = client.get(address, headers={**STAFF, "Accept-Encoding": "gzip"})
        assert found.status_code == 200
        check_headers(found, is_https=False)
        assert "immutable" in found.headers["Cache-Control"]


def test_h09_a_fault_says_nothing_but_a_number(probe_app: Flask, session: None) -> None:
    client = client_on(probe_app, STAFF_HOST)
    for path, headers in (
        ("/probe/fault", {"Accept": "*/*"}),
        ("/probe/fault", {"HX-Request": "true"}),
        ("/probe/fault?__debugger__=yes&cmd=1", {"Accept": "application/json"}),
        ("/api/probe/fault", {"Accept": "application/json"}),
        ("/probe/sql", {}),
    ):
        response = client.get(path, headers={**STAFF, **headers})
        body = response.get_data(as_text=True)
        assert response.status_code in {500, 503}
        assert not [trace for trace in TRACES if trace in body + str(response.headers)]
        if response.status_code == 500 and not path.startswith("/api/"):
            assert response.headers["X-Request-Id"] in body
        assert response.headers["Cache-Control"] == "no-store"


def test_h09_each_asker_gets_the_shape_it_can_read(probe_app: Flask, session: None) -> None:
    client = client_on(probe_app, STAFF_HOST)
    page = client.get("/probe/fault", headers=STAFF)
    fragment = client.get("/probe/fault", headers={**STAFF, "HX-Request": "true"})
    problem = client.get("/api/probe/fault", headers=STAFF)
    assert "<!doctype html>" in page.get_data(as_text=True)
    assert "<!doctype" not in fragment.get_data(as_text=True)
    assert problem.mimetype == "application/problem+json"
    assert problem.json is not None
    assert set(problem.json) == {"type", "status", "title", "detail"}


def test_r16_a_database_that_is_gone_is_a_calm_503(
    probe_app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even for somebody signed in, though the error page then knows neither portal nor person."""

    def gone(*_args: object, **_kwargs: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))

    monkeypatch.setattr(db.session, "execute", gone)
    monkeypatch.setattr(db.session, "scalars", gone)
    monkeypatch.setattr(Connection, "exec_driver_sql", gone)
    client = client_on(probe_app, STAFF_HOST)
    client.set_cookie("sid", "anything", domain=STAFF_HOST)
    for headers in ({}, {"HX-Request": "true"}):
        response = client.get("/admin/", headers={**STAFF, **headers})
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert not [trace for trace in TRACES if trace in response.get_data(as_text=True)]
        check_headers(response, is_https=False)


@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Forwarded-Server", "X-Original-URL", "X-Rewrite-URL", "Forwarded"]
)
def test_h02_headers_of_an_unknown_proxy_change_nothing(probe_app: Flask, session: None, name: str) -> None:
    value = {"Forwarded": "host=evil.test;proto=https", "X-Original-URL": "/admin/", "X-Rewrite-URL": "/admin/"}
    lies = {name: value.get(name, "evil.test")}
    client = client_on(probe_app, STAFF_HOST)
    for path in ("/sign-in", "/admin/", "/probe/item/3", "/nothing"):
        plain, lied = client.get(path, headers=STAFF), client.get(path, headers={**STAFF, **lies})
        assert (plain.status_code, plain.location) == (lied.status_code, lied.location)
        assert "evil.test" not in lied.get_data(as_text=True) + str(lied.headers)


def test_h02_a_forwarded_protocol_port_or_prefix_changes_nothing(probe_app: Flask, session: None) -> None:
    lies = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Port": "99",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-For": "9.9.9.9",
    }
    client = client_on(probe_app, STAFF_HOST)
    lied = client.get("/probe/item/3", headers={**STAFF, **lies})
    assert lied.location == "/probe/item/3/"
    page = client.get("/sign-in", headers={**STAFF, **lies})
    assert "/evil" not in page.get_data(as_text=True)
    assert all("Secure" not in cookie for cookie in page.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize(
    "host",
    ["evil.test", "a.portal.test.evil.test", "a.portal.test@evil.test", "", "a b", "[::1]", "127.0.0.1", "-a.test",
     "admin.portal.test, evil.test", "admin.portal.test/evil", "a_b.test", "."],
)  # fmt: skip
def test_a16_a_host_that_is_not_ours_is_refused(app: Flask, session: None, host: str) -> None:
    for path in ("/sign-in", "/", "/admin/"):
        assert app.test_client(use_cookies=False).get(path, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", [f"{STAFF_HOST}:99", f"{STAFF_HOST.upper()}:80", f"{STAFF_HOST}."])
def test_a16_a_port_is_never_copied_into_a_link(probe_app: Flask, session: None, host: str) -> None:
    client = client_on(probe_app, STAFF_HOST)
    for path in ("/sign-in", "/probe/item/3", "/admin/", "/probe/redirect?to=/x"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code in {200, 302, 303, 308}
        assert ":99" not in response.get_data(as_text=True) + str(response.headers)
        assert (response.location or "/").startswith("/")


@pytest.mark.parametrize(
    "path", ["//evil.test/probe/item/3", "/\\evil.test/%2e%2e", "//evil.test//", "/%5cevil.test/", "/..//evil.test"]
)
def test_a19_a_path_never_becomes_another_host(probe_app: Flask, session: None, path: str) -> None:
    response = client_on(probe_app, STAFF_HOST).get(path, headers=STAFF, base_url=f"http://{STAFF_HOST}")
    location = response.location or "/"
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "CONNECT", "LOCK", "DELETE", "A" * 200])
def test_h06_strange_methods(app: Flask, session: None, method: str) -> None:
    assert client_on(app, STAFF_HOST).open("/healthz", method=method).status_code in {400, 405}


def test_h06_long_addresses_and_many_headers(app: Flask, session: None) -> None:
    client = client_on(app, STAFF_HOST)
    begun = time.perf_counter()
    assert client.get("/" + "a" * 20_000, headers=STAFF).status_code == 404
    assert client.get("/sign-in?next=/" + "a" * 20_000, headers=STAFF).status_code == 200
    assert client.get("/sign-in", headers={**STAFF, **{f"X-{n}": "x" for n in range(1000)}}).status_code == 200
    assert client.get("/sign-in?" + "&".join(f"a{n}=b" for n in range(5000)), headers=STAFF).status_code == 200
    assert time.perf_counter() - begun < SECONDS


@pytest.mark.parametrize(
    "path",
    [
        "/console", "/?__debugger__=yes&cmd=resource&f=style.css", "/.env", "/.git/config", "/instance/portal.db",
        "/static/../config.py", "/static/%2e%2e/config.py", "/static/..%2f..%2fpyproject.toml", "/static//etc/passwd",
        "/static/css/10-reset.css", "/static/vendor.mjs", "/rq", "/rq/", "/phpinfo.php", "/wp-login.php",
        "/server-status", "/debug", "/config", "/static/portal.css%00.png", "/portal.db", "/secret_key",
    ],
)  # fmt: skip
def test_h10_nothing_of_the_machine_is_served(app: Flask, session: None, path: str) -> None:
    response = client_on(app, STAFF_HOST).get(path, headers=STAFF)
    if path.startswith("/?"):
        assert b"debugger" not in response.data.lower()
    else:
        assert response.status_code in {308, 400, 404}
        assert response.location in {None, "/static/etc/passwd"}


BAD_JSON = {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "nothing": b"",
    "half": b'{"a": ',
    "not utf-8": b'{"a": "\xff\xfe"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "a page": b"<html>",
    "huge number": b"1" + b"0" * 10_000,
}


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_i28_bad_json_is_refused_at_once(probe_app: Flask, session: None, body: bytes) -> None:
    client = client_on(probe_app, STAFF_HOST)
    token = token_in(client, "/sign-in")
    begun = time.perf_counter()
    for kind in ("application/json", "text/plain"):
        response = client.post(
            "/api/probe/json", data=body, headers={**STAFF, "Content-Type": kind, "X-CSRFToken": token}
        )
        assert response.status_code in {200, 400, 413, 415, 422}
        assert (kind, response.status_code) != ("text/plain", 200)
    assert time.perf_counter() - begun < SECONDS


@pytest.mark.parametrize(
    "name", ["", "evil\r\nSet-Cookie: sid=x", "evil\nX: y", "x\r\n\r\n<script>", "\u2028", "/\x00"]
)
@pytest.mark.parametrize("kind", [{}, {"HX-Request": "true"}])
def test_i29_a_line_break_splits_no_header(probe_app: Flask, session: None, name: str, kind: dict[str, str]) -> None:
    response = client_on(probe_app, STAFF_HOST).get(
        "/probe/redirect", query_string={"to": f"/{name}"}, headers={**STAFF, **kind}
    )
    assert response.status_code in {204, 303, 400}
    assert "X" not in response.headers
    assert not any("sid=x" in cookie for cookie in response.headers.getlist("Set-Cookie"))
    for _name, value in response.headers:
        assert "\n" not in value
        assert "\r" not in value


@pytest.mark.parametrize("number", [2**31, 2**63, 10**30])
def test_t01_an_id_no_row_can_have_is_no_address(probe_app: Flask, session: None, number: int) -> None:
    client = client_on(probe_app, STAFF_HOST)
    assert client.get(f"/probe/item/{number}/", headers=STAFF).status_code == 404
    assert client.get(f"/probe/item/{2**31 - 1}/", headers=STAFF).status_code == 200


def test_a_nul_is_refused_wherever_it_stands(probe_app: Flask, session: None) -> None:
    client = client_on(probe_app, STAFF_HOST)
    token = token_in(client, "/sign-in")
    assert client.get("/sign-in", query_string="q=a&q=b%00c", headers=STAFF).status_code == 400
    assert client.get("/a%00b", headers=STAFF).status_code == 400
    sent = client.post("/probe/form", data={"csrf_token": token, "name": ["a", "b\x00"]}, headers=STAFF)
    assert sent.status_code == 400
    assert client.post("/probe/form", data={"csrf_token": token, "name": "a"}, headers=STAFF).status_code == 303
