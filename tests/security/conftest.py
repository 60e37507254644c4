"""An app with routes that misbehave as no real route would, one that is told it runs on https, and the world."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify, request
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from portal import access, clock, create_app
from portal.config import Settings
from portal.extensions import db
from portal.fragments import redirect_to
from tests.conftest import Cast, HostClient
from tests.customer.jobs.conftest import work  # noqa: F401 (fixtures are found by name)
from tests.jobs.test_quotes import quote  # noqa: F401
from tests.security.world import World, plant
from tests.support.cases import make_known

probe = Blueprint("probe", __name__)
access.anyone(probe)

SECRET = "CANARY-trace-of-a-fault"


@probe.get("/probe/fault")
@probe.get("/api/probe/fault", endpoint="api_fault")
def fault() -> Response:
    raise RuntimeError(SECRET, "SELECT * FROM person", "/etc/passwd")


@probe.get("/probe/sql")
def bad_sql() -> Response:
    raise OperationalError(f"SELECT {SECRET}", {}, Exception("the server closed the connection"))


@probe.get("/probe/redirect")
def to_wherever() -> Response:
    return redirect_to(request.args["to"])


@probe.post("/api/probe/json")
def eat_json() -> Response:
    return jsonify(kind=type(request.get_json()).__name__)


@probe.post("/probe/form")
def eat_form() -> Response:
    return redirect_to("/probe/form")


@probe.get("/probe/item/<int:item_id>/")
def item(item_id: int) -> Response:
    return jsonify(id=item_id)


@pytest.fixture(scope="session")
def _probe_app(settings: Settings, app: Flask) -> Iterator[Flask]:
    yield from _probed(create_app(settings))


@pytest.fixture(scope="session")
def _https_app(settings: Settings, app: Flask) -> Iterator[Flask]:
    yield from _probed(create_app(replace(settings, base_url=settings.base_url.replace("http:", "https:"))))


def _probed(app: Flask) -> Iterator[Flask]:
    yield _with_probes(app)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def probe_app(_probe_app: Flask, app: Flask, session: None) -> Iterator[Flask]:
    """The product with the misbehaving routes added, in the transaction of the test."""
    with _same_transaction(_probe_app, app):
        yield _probe_app


@pytest.fixture
def https_app(_https_app: Flask, app: Flask, session: None) -> Iterator[Flask]:
    """The same, told that its staff host is reached by https."""
    with _same_transaction(_https_app, app):
        yield _https_app


@contextmanager
def _same_transaction(other: Flask, app: Flask) -> Iterator[None]:
    engines = db._app_engines[other]
    own, engines[None] = engines[None], db._app_engines[app][None]
    try:
        yield
    finally:
        engines[None] = own


def _with_probes(made: Flask) -> Flask:
    made.register_blueprint(probe)
    return made


class Https(HostClient):
    """A browser that reaches its host by https."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("base_url", f"https://{self.host}")
        return super().open(*args, **kwargs)


def https_on(app: Flask, host: str) -> FlaskClient:
    """A browser on this host, by https, that is not signed in."""
    client = Https(app, app.response_class, use_cookies=True)
    client.host = host
    return client


_TOKENS = re.compile(r'(name="(?:csrf[-_]token|key)"[^>]*?(?:content|value)=")[^"]*|(?<=<code>)[0-9a-f]{16}(?=</code>)')


def masked(response: TestResponse) -> str:
    """Status, headers and body of an answer, without what differs each time: token, key of a form, id, date."""
    body = _TOKENS.sub(r"\1…", response.get_data(as_text=True))
    told = sorted(
        (name, re.sub(r"=[^;]*", "=…", value, count=1) if name == "Set-Cookie" else value)
        for name, value in response.headers
        if name not in {"X-Request-Id", "Date", "ETag", "Content-Length"}
    )
    return f"{response.status_code}\n{told}\n{body}"


@pytest.fixture
def world(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world with its canaries."""
    make_known(monkeypatch, {1: cast.a.id, 2: cast.b.id})
    return plant(cast)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The clock stands still, so that two answers differ only by what happened between them."""
    now = clock.utcnow().replace(microsecond=0)
    monkeypatch.setattr(clock, "utcnow", lambda: now)
    return now


def check_headers(response: TestResponse, *, is_https: bool) -> None:
    """Every header the house gives, whatever the answer."""
    headers = response.headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} & set(
        headers["Content-Security-Policy"].split()
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["X-Request-Id"]
    assert headers["Cache-Control"]
    assert not {"X-Powered-By", "Server"} & set(headers.keys())
    assert ("upgrade-insecure-requests" in policy) is is_https
    assert headers.get("Strict-Transport-Security") == ("max-age=31536000" if is_https else None)
