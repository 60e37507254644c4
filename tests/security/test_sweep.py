"""T01, T02: every route, as everybody, with the ids of what is not theirs. Nothing may be seen, nothing changed.

The clock stands still where the whole database is compared: after a minute it is noted that somebody is still there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.extensions import db
from tests.conftest import STAFF_HOST, token_in
from tests.security.conftest import masked
from tests.security.rights import RIGHTS, Entry, For, Values, address, routes
from tests.security.world import ONLY_B, ROLES, Role, World, checksum, client_of

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
OURS, MISSING, HIDDEN = "ours", "missing", "hidden"


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Role:
    found: Role = request.param
    return found


def test_t01_every_route_has_its_place_in_the_rights_table(app: Flask) -> None:
    """Whoever adds a route says in rights.py whom it is for, and whoever removes one takes its line away."""
    assert {rule.endpoint for rule in routes(app)} == set(RIGHTS)


def test_t01_every_path_with_an_id_names_one_that_is_missing(app: Flask) -> None:
    for rule in routes(app):
        entry = RIGHTS[rule.endpoint]
        assert set(entry.ours) == set(entry.missing) == rule.arguments, rule.endpoint


MAY_ENTER = {
    For.STAFF: {"olaf", "ada", "root"},
    For.PUBLISHERS: {"ada", "root"},
    For.OFFICE: {"olaf", "root"},
    For.ADMINS: {"root"},
}
"""Who of the cast may open the screens of an audience of staff."""


def expected(entry: Entry, role: Role, thing: str) -> set[int]:
    """What the house rules say this role is answered."""
    found = set(entry.answers) if thing == OURS else {404}
    if entry.audience is For.TOKENS:
        return {401}
    if entry.audience in {For.MACHINES, For.ANYONE}:
        return found
    if entry.audience in MAY_ENTER:
        return expected_of_staff(entry, role, found)
    if role.host == STAFF_HOST:
        return {404}
    if entry.audience is For.PUBLIC or role.is_customer:
        return found
    return found if entry.audience is For.READERS and thing == OURS else {302}


def expected_of_staff(entry: Entry, role: Role, found: set[int]) -> set[int]:
    if role.host != STAFF_HOST:
        return {404}
    if not role.is_staff:
        return {302}
    return found if role.person in MAY_ENTER[entry.audience] else {403}


def leaks(role: Role, response: TestResponse) -> str:
    """The first canary in an answer that is not for these eyes, or ""."""
    text = response.get_data(as_text=True) + str(response.headers)
    found = role.forbidden().search(text)
    return found.group() if found else ""


def hidden_things(entry: Entry, role: Role) -> list[Values]:
    if role.is_staff:
        return []
    return [*entry.hidden, *(() if ONLY_B in role.may_see else entry.hidden_from_a)]


HOME_OF_STAFF = "customer_home.home"
LEADS_ON = Entry(For.ANYONE, answers=frozenset({302}))
"""The bare address of the staff host leads staff to their screens."""


@pytest.mark.usefixtures("frozen")
def test_t01_t02_nobody_sees_or_changes_what_is_not_theirs(app: Flask, world: World, role: Role) -> None:
    client = client_of(app, world.cast, role)
    wrong = [*sights(app, world, role, client), *changes(app, world, role, client)]
    assert not wrong, "\n".join(wrong)


def sights(app: Flask, world: World, role: Role, client: FlaskClient) -> list[str]:
    """What is wrong with the answers to everything that can be looked at."""
    wrong = []
    for rule in routes(app):
        entry = RIGHTS[rule.endpoint]
        if "GET" not in (rule.methods or set()):
            continue
        if rule.endpoint == HOME_OF_STAFF and role.host == STAFF_HOST:
            entry = LEADS_ON
        ours, nothing = address(app, world, rule, entry.ours), ""
        wrong += look(client, role, entry, ours, OURS)[0]
        if not rule.arguments:
            continue
        missing = address(app, world, rule, entry.missing)
        found, nothing = look(client, role, entry, missing, MISSING)
        wrong += found
        for values in hidden_things(entry, role):
            path = address(app, world, rule, values)
            found, looks = look(client, role, entry, path, HIDDEN)
            wrong += found
            if looks != nothing:
                wrong.append(f"{path}: looks different from what is missing")
    return wrong


def look(client: FlaskClient, role: Role, entry: Entry, path: str, thing: str) -> tuple[list[str], str]:
    """What is wrong with a page and its fragment, and how the page looks whatever it is about."""
    wrong = []
    page, fragment = client.get(path), client.get(path, headers={"HX-Request": "true"})
    statuses = expected(entry, role, thing)
    parts = statuses if entry.audience in {For.ANYONE, For.MACHINES} else in_parts(statuses)
    if page.status_code not in statuses:
        wrong.append(f"{path} ({thing}): {page.status_code}, not {statuses}")
    if fragment.status_code not in parts:
        wrong.append(f"{path} ({thing}, fragment): {fragment.status_code}, not {parts}")
    is_page = entry.audience is not For.TOKENS
    if is_page and fragment.status_code == 401 and fragment.headers.get("HX-Redirect") != "/sign-in":
        wrong.append(f"{path} ({thing}, fragment): 401 without a way to sign in")
    if thing == OURS:
        head = client.head(path)
        if (head.status_code, head.data) != (page.status_code, b""):
            wrong.append(f"HEAD {path}: {head.status_code}")
    wrong += [f"{path} ({thing}): {leak}" for each in (page, fragment) if (leak := leaks(role, each))]
    return wrong, masked(page).replace(path, "…").replace(urlencode({"": path})[1:], "…")


def changes(app: Flask, world: World, role: Role, client: FlaskClient) -> list[str]:
    """What is wrong with the answers to every write, sent with a valid form token: only the rights stand in the way."""
    token = token_in(client, "/nothing-here")
    before = checksum()
    wrong = []
    for rule, method, values, thing in writes(app):
        statuses = expected(RIGHTS[rule.endpoint], role, thing)
        if statuses & RIGHTS[rule.endpoint].answers:
            continue
        path = address(app, world, rule, values)
        page = client.open(path, method=method, data={"csrf_token": token, "version": "1", "title": "x"})
        part = send(client, method, path, token)
        if page.status_code not in statuses or leaks(role, page):
            wrong.append(f"{method} {path}: {page.status_code}, not {statuses} {leaks(role, page)}")
        if part.status_code not in in_parts(statuses):
            wrong.append(f"{method} {path} (fragment): {part.status_code}, not {statuses}")
    if checksum() != before:
        wrong.append("a refused write has changed the database")
    return wrong


def writes(app: Flask) -> Iterator[tuple[Rule, str, Values, str]]:
    """Every unsafe method of every route that is not for everybody, on what is there and on what is missing."""
    for rule in routes(app):
        entry = RIGHTS[rule.endpoint]
        for method in sorted(UNSAFE & (rule.methods or set())):
            if entry.audience is not For.ANYONE:
                yield rule, method, entry.ours, OURS
                if rule.arguments:
                    yield rule, method, entry.missing, MISSING


def in_parts(statuses: set[int]) -> set[int]:
    """The same answers to htmx: 401 where a page is sent to sign in."""
    return {401 if status == 302 else status for status in statuses}


def send(client: FlaskClient, method: str, path: str, token: str, **form: str) -> TestResponse:
    return client.open(path, method=method, data=form, headers={"HX-Request": "true", "X-CSRFToken": token})


TEXTS = ("title", "name", "body", "email", "order", "move", "reference", "brand", "base_url", "accent", "topic", "key")
NUMBERS = ("component_ids", "components", "service_ids", "service_id", "company_id", "domain_id", "home_id", "group_id")
JUNK: list[dict[str, str]] = [
    {},
    {"version": "-1", **dict.fromkeys(TEXTS, "x" * 30_000), **dict.fromkeys(NUMBERS, "-1")},
    {"version": "1", **dict.fromkeys(TEXTS, "\u202e\ufffe\U0001f4a3' OR 1=1 --"), **dict.fromkeys(NUMBERS, "x")},
    {**dict.fromkeys(("version", *NUMBERS), str(2**70)), **dict.fromkeys(TEXTS, "x")},
    {**dict.fromkeys(("version", *NUMBERS), str(2**31)), **dict.fromkeys(TEXTS, str(2**31))},
]


def test_t02_whoever_may_write_is_told_what_is_wrong_and_never_a_fault(app: Flask, world: World) -> None:
    """Every form, as somebody who may send it, with nothing and with nonsense in it: a sentence, never a 500."""
    wrong = []
    writers = [each for each in ROLES if each.name in {"admin", "Alice"}]
    clients = [client_of(app, world.cast, role) for role in writers]
    for role, client in zip(writers, clients, strict=True):
        token = token_in(client, "/nothing-here")
        for rule in routes(app):
            for method in sorted(UNSAFE & (rule.methods or set())):
                wrong += answers_to_junk(app, world, role, client, (rule, method, token))
    assert not wrong, "\n".join(wrong)


def answers_to_junk(
    app: Flask, world: World, role: Role, client: FlaskClient, write: tuple[Rule, str, str]
) -> list[str]:
    rule, method, token = write
    entry, wrong = RIGHTS[rule.endpoint], []
    for values in [entry.ours, *([entry.missing, *hidden_things(entry, role)] if rule.arguments else [])]:
        path = address(app, world, rule, values)
        for junk in JUNK if values is entry.ours else JUNK[:1]:
            with taken_back(app):
                response = client.open(path, method=method, data={"csrf_token": token, **junk})
            if response.status_code >= 500 or leaks(role, response):
                wrong.append(f"{method} {path} {list(junk)}: {response.status_code} {leaks(role, response)}")
            if values is not entry.ours and response.status_code < 300:
                wrong.append(f"{method} {path}: {response.status_code} for what is not there")
    return wrong


@contextmanager
def taken_back(app: Flask) -> Iterator[None]:
    """Whatever is committed inside is undone."""
    connection = cast(Connection, db._app_engines[app][None])
    savepoint = connection.begin_nested()
    try:
        yield
    finally:
        db.session.remove()
        savepoint.rollback()


@pytest.mark.usefixtures("frozen")
def test_a20_no_form_is_taken_without_its_token(app: Flask, world: World) -> None:
    wrong = []
    before = checksum()
    for role in (each for each in ROLES if each.name in {"admin", "Alice", "nobody on A's portal"}):
        client = client_of(app, world.cast, role)
        other = client_of(app, world.cast, role)
        before = checksum()
        client.get("/nothing-here")
        stolen = token_in(other, "/nothing-here")
        for rule in routes(app):
            entry = RIGHTS[rule.endpoint]
            if rule.endpoint in TAKES_NO_TOKEN or entry.audience is For.TOKENS:
                continue
            for method in sorted(UNSAFE & (rule.methods or set())):
                path = address(app, world, rule, entry.ours)
                for form in ({}, {"csrf_token": stolen}, {"csrf_token": ""}):
                    status = client.open(path, method=method, data=form).status_code
                    if status != 400:
                        wrong.append(f"{method} {path} {form}: {status}")
    assert not wrong, "\n".join(wrong)
    assert checksum() == before


TAKES_NO_TOKEN: set[str] = {
    "public_unsubscribe.leave",
    "public_inbound.take_bounce",
    "public_monitors.take_signals",
    "api_v2_subscribers.subscribe",
}
"""One-click unsubscribing is posted by mailbox providers (RFC 8058), reports of mails by a server that signs them, and
what is wrong by monitors whose key stands in the address."""


@pytest.mark.usefixtures("frozen")
@pytest.mark.parametrize("who", ["admin", "Alice"])
def test_a22_no_other_method_does_anything(app: Flask, world: World, who: str) -> None:
    role = next(each for each in ROLES if each.name == who)
    client = client_of(app, world.cast, role)
    token = token_in(client, "/nothing-here")
    before = checksum()
    by_path: dict[str, set[str]] = {}
    paths = {}
    for rule in routes(app):
        by_path.setdefault(rule.rule, set()).update(rule.methods or set())
        paths[rule.rule] = address(app, world, rule, RIGHTS[rule.endpoint].ours).partition("?")[0]
    wrong = []
    matching = app.url_map.bind(role.host)
    for pattern, methods in by_path.items():
        # A path may also be one of a wider pattern, whose methods are its own: /jobs/by-external-number is.
        methods |= set(matching.allowed_methods(paths[pattern]))
        for method in sorted((UNSAFE | {"GET", "TRACE", "PROPFIND"}) - methods):
            headers = {"X-CSRFToken": token, "X-HTTP-Method-Override": "POST"}
            response = client.open(f"{paths[pattern]}?_method=POST", method=method, headers=headers)
            if response.status_code not in {404, 405}:
                wrong.append(f"{method} {paths[pattern]}: {response.status_code}")
        if "GET" in methods:
            response = client.get(paths[pattern], query_string={"_method": "DELETE", "csrf_token": token})
            if response.status_code >= 500:
                wrong.append(f"GET {paths[pattern]}: {response.status_code}")
    assert not wrong, "\n".join(wrong)
    assert checksum() == before
