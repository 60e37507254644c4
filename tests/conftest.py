"""The app once a session, a rolled-back transaction a test, the cast, and a counter of queries."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Connection, Engine, create_engine, event
from werkzeug.test import TestResponse

from portal import clock, create_app
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.database import engine_options, prepare_engine, read_only
from portal.domains import actions as domains
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.services.queries.ledger import KEPT
from tests.support.databases import copy, of_worker

pytest_plugins = ["tests.support.fixtures"]

# How long one example takes says more of the machine than of the code.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")

STAFF_HOST = "admin.portal.test"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database-url", default="", help="run on this database (made empty first) instead of SQLite")
    parser.addoption("--screenshots", action="store_true", help="make the README's pictures anew")


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Settings:
    instance = tmp_path_factory.mktemp("instance")
    environment = {
        "PORTAL_INSTANCE": str(instance),
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_BASE_URL": f"http://{STAFF_HOST}",
        "PORTAL_MAIL_DOMAIN": "portal.test",
        # Nothing listens here: what a test needs of Redis it starts itself.
        "PORTAL_REDIS_URL": f"unix://{instance}/nobody.sock",
    }
    if url := request.config.getoption("--database-url"):
        environment["PORTAL_DATABASE_URL"] = of_worker(str(url))
    return Settings.from_environment(environment)


@pytest.fixture(scope="session")
def app(settings: Settings) -> Iterator[Flask]:
    """The app on a database whose schema comes from the migrations."""
    app = create_app(settings)
    app.config["TESTING"] = False
    with app.app_context():
        upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def cast_ids(app: Flask, password_hash: str) -> Iterator[tuple[Engine, dict[str, int]]]:
    """A copy of the app's database in which the cast lives, and the ids of its rows: made once, because
    thousands of tests would each write the same ten people."""
    with app.app_context():
        url = db.engine.url
        # Nobody may be connected to what is copied.
        db.engine.dispose()
        copied = url.set(database=f"{url.database}_cast")
        copy(*(each.render_as_string(hide_password=False) for each in (url, copied)))
        engine = create_engine(copied, **engine_options(url.render_as_string(hide_password=False)))
        prepare_engine(engine)
        with _on(app, engine):
            read_only.set(False)
            ids = {name: row.id for name, row in vars(_cast(password_hash)).items()}
            db.session.remove()
    yield engine, ids
    engine.dispose()


@contextmanager
def _on(app: Flask, place: Engine | Connection) -> Iterator[None]:
    """Have the app read and write there for a while."""
    engines = db._app_engines[app]
    before = engines[None]
    engines[None] = place  # type: ignore[assignment]
    try:
        yield
    finally:
        engines[None] = before


@pytest.fixture
def session(app: Flask, request: pytest.FixtureRequest) -> Iterator[None]:
    """An app context whose every session joins one outer transaction, rolled back at the end.

    What a request forgot to commit is rolled back to its savepoint, so a test sees that it is gone. The database
    is empty, but for the cast where the test has one.
    """
    has_cast = "cast" in request.fixturenames
    engine = request.getfixturevalue("cast_ids")[0] if has_cast else None
    with app.app_context():
        read_only.set(False)
        # Ids begin anew with each rolled-back test, and so would share what was counted for them.
        app.extensions["limiter"].forget()
        app.extensions.pop(KEPT, None)
        with (engine or db.engine).connect() as connection:
            outer = connection.begin()
            db.session.configure(join_transaction_mode="create_savepoint")
            connect = _begin_shortcuts_anew(app, lambda: nullcontext(connection))
            try:
                with _on(app, connection):
                    yield
            finally:
                _begin_shortcuts_anew(app, connect)
                db.session.remove()
                outer.rollback()


def _begin_shortcuts_anew(app: Flask, connect: Callable[[], Any]) -> Callable[[], Any]:
    """Have what answers before Flask remember nothing, look at every request, and read on this connection."""
    reader = app.extensions["shortcut_reader"]
    before: Callable[[], Any] = reader.connect
    reader.connect = connect
    for shortcut in app.extensions["shortcuts"].values():
        shortcut.forget()
        shortcut.look_every = 0
    return before


@dataclass
class Cast:
    """Ada runs status, Olaf the office, Root everything. Alice and Bob are of company A on a.portal.test,
    Charlie of company B on b.portal.test, and must see nothing of A's."""

    a: Company
    b: Company
    domain_a: PortalDomain
    domain_b: PortalDomain
    ada: Person
    olaf: Person
    root: Person
    alice: Person
    bob: Person
    charlie: Person


class HostClient(FlaskClient):
    """A browser on one host. Each request has an app context and a database session of its own, as in service."""

    host = STAFF_HOST

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("base_url", f"http://{self.host}")
        with self.application.app_context():
            return super().open(*args, **kwargs)


def client_on(app: Flask, host: str) -> FlaskClient:
    """A browser on this host that is not signed in."""
    client = HostClient(app, app.response_class, use_cookies=True)
    client.host = host
    return client


@pytest.fixture(scope="session")
def password_hash() -> str:
    return accounts.hash_password(PASSWORD)


@pytest.fixture
def cast(session: None, cast_ids: tuple[Engine, dict[str, int]]) -> Cast:
    """The people of the tests, in this test's session."""
    kinds = get_type_hints(Cast)
    return Cast(**{name: db.session.get_one(kinds[name], row_id) for name, row_id in cast_ids[1].items()})


def _cast(password_hash: str) -> Cast:
    """Write the cast down."""
    every = set(Area)
    domain_a = domains.add_domain("http://a.portal.test", "Northline", areas=every, by=SYSTEM, now=NOW)
    domain_b = domains.add_domain("http://b.portal.test", "Southline", areas=every, by=SYSTEM, now=NOW)
    a = accounts.add_company("Alder Dental", by=SYSTEM, now=NOW)
    b = accounts.add_company("Birch Logistics", by=SYSTEM, now=NOW)
    domains.admit(a, domain_a, is_home=True, by=SYSTEM, now=NOW)
    domains.admit(b, domain_b, is_home=True, by=SYSTEM, now=NOW)

    def person(name: str, role: Role | None = None, company: Company | None = None) -> Person:
        added = accounts.add_person(name, f"{name.lower()}@people.test", by=SYSTEM, now=NOW, role=role)
        added.password_hash = password_hash
        if company:
            accounts.add_membership(added, company, by=SYSTEM, now=NOW)
        return added

    people = Cast(
        a=a,
        b=b,
        domain_a=domain_a,
        domain_b=domain_b,
        ada=person("Ada", Role.STATUS),
        olaf=person("Olaf", Role.OFFICE),
        root=person("Root", Role.ADMIN),
        alice=person("Alice", company=a),
        bob=person("Bob", company=a),
        charlie=person("Charlie", company=b),
    )
    db.session.commit()
    return people


SignIn = Callable[[Person], FlaskClient]


@pytest.fixture
def sign_in(app: Flask, cast: Cast) -> SignIn:
    """A client signed in as this person of the cast, on the host that is theirs."""

    def of(person: Person) -> FlaskClient:
        company = cast.a if person in (cast.alice, cast.bob) else cast.b if person is cast.charlie else None
        host = STAFF_HOST if company is None else "a.portal.test" if company is cast.a else "b.portal.test"
        token = accounts.open_session(
            person, company.id if company else None, host, ip="127.0.0.1", user_agent="test", now=clock.utcnow()
        )
        db.session.commit()
        client = client_on(app, host)
        client.set_cookie("sid", token, domain=host)
        return client

    return of


@pytest.fixture
def visitor(app: Flask) -> Callable[[str], FlaskClient]:
    """A client of this host that is not signed in."""

    def on(host: str) -> FlaskClient:
        return client_on(app, host)

    return on


def token_in(client: FlaskClient, path: str) -> str:
    """The form token of a page, as its forms would send it."""
    page = client.get(path).get_data(as_text=True)
    return page.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """Every statement the database is given inside the block, savepoints left out."""
    statements: list[str] = []
    engine = db.engine if not hasattr(db.engine, "engine") else db.engine.engine

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN")):
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


REPOSITORY = Path(__file__).parent.parent
