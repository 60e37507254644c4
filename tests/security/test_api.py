"""A24, A26, H02, H06, I01, I02, I04, I28, T18, T19, T22, T27, T30: what no machine may do with API v1."""

import io
import json
import logging
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import access, clock
from portal.accounts import actions as accounts
from portal.accounts.actions.tokens import make_token, revoke_token
from portal.accounts.models import ApiToken
from portal.accounts.rules import Role
from portal.accounts.rules.tokens import MAY, Resource, Right, Scope
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.models import IncidentUpdate
from tests.api.v1.conftest import Machine, MakeMachine, maker, refusal
from tests.conftest import STAFF_HOST, SignIn, client_on
from tests.security.rights import RIGHTS, For, address, routes
from tests.security.test_sweep import UNSAFE
from tests.security.world import A_HOST, B_HOST, ONLY_A, ROLES, World, checksum

SECONDS = 1.0 * 10  # the limit of the catalogue, with slack for a busy machine

OPEN_TO_A = {
    "companies": ("list_companies", "read_company"),
    "components": ("list_components", "read_component"),
    "component_groups": ("list_component_groups", "read_component_group"),
    "incidents": ("list_incidents", "list_updates", "read_incident", "read_update"),
    "maintenances": ("list_maintenances", "read_maintenance"),
    "services": ("list_services", "read_service"),
    "holdings": ("list_holdings", "read_holding", "read_holding_status"),
    "service_updates": ("list_service_updates", "read_service_update"),
    "service_windows": ("list_service_windows", "read_service_window"),
    "availability": ("read_company_month", "list_holding_months"),
    "questions": ("ask_question",),
    "call_records": ("list_call_records",),
    "alerts": ("list_alerts", "read_alert", "list_alert_states", "list_alert_events"),
    "jobs": (
        *("list_jobs", "read_job", "list_job_messages", "read_job_message"),
        *("list_job_files", "read_job_file", "fetch_job_file"),
    ),
    "quotes": (
        *("list_quotes", "read_quote", "list_quote_messages", "read_quote_message"),
        *("list_quote_files", "read_quote_file", "fetch_quote_file"),
    ),
}
"""All that a token of one company may read; everything else is not there for it."""


@pytest.fixture
def machine(app: Flask, world: World) -> MakeMachine:
    return maker(app, world.cast)


def operations(app: Flask) -> Iterator[tuple[Any, str]]:
    """Every operation of the API, as rule and method."""
    for rule in routes(app):
        if RIGHTS[rule.endpoint].audience is For.TOKENS:
            for method in sorted((rule.methods or set()) & (UNSAFE | {"GET"})):
                yield rule, method


def path_of(app: Flask, world: World, rule: Any, **names: str) -> str:
    return address(app, world, rule, {**RIGHTS[rule.endpoint].ours, **names}).removeprefix("/api/v1")


def forbidden_to(name: str) -> re.Pattern[str]:
    return next(role for role in ROLES if role.name == name).forbidden()


# Whose eyes


@pytest.mark.parametrize("host", [STAFF_HOST, A_HOST])
def test_t01_a_company_s_token_sees_what_its_people_could_see(
    app: Flask, machine: MakeMachine, world: World, host: str
) -> None:
    """Every operation, on what is A's, what is B's, what is private and what is missing: no canary but A's own."""
    bound, wrong = machine(Scope.READ, world.cast.a, host), []
    canaries = re.compile(forbidden_to("Alice").pattern + f"|{ONLY_A}address", re.IGNORECASE)
    open_endpoints = {f"api_{resource}.{name}" for resource, names in OPEN_TO_A.items() for name in names}
    public = {"incident_id": "@public", "update_id": _public_update(world)}
    bound.get("/companies")  # that it was used is noted now, and not again within a minute
    before = checksum()
    for rule, method in operations(app):
        path = path_of(app, world, rule, **{name: value for name, value in public.items() if name in rule.arguments})
        response = bound.send(method, path, {} if method != "GET" else None)
        wanted = 200 if rule.endpoint in open_endpoints and method == "GET" else None
        if rule.endpoint == "api_maintenances.read_maintenance":
            wanted = 404  # it is for those B's components reach
        if response.status_code not in ({wanted} if wanted else {403, 404}):
            wrong.append(f"{method} {path}: {response.status_code}")
        if found := canaries.search(response.get_data(as_text=True) + str(response.headers)):
            wrong.append(f"{method} {path}: {found.group()}")
    assert not wrong, "\n".join(wrong)
    assert checksum() == before


def _public_update(world: World) -> str:
    found = db.session.get(IncidentUpdate, world.ids["update"])
    assert found is not None
    public_id = found.public_id
    db.session.commit()
    return public_id


def test_t01_what_is_not_a_company_s_looks_missing_to_its_token(machine: MakeMachine, world: World) -> None:
    bound = machine(Scope.READ, world.cast.a)
    ids, named = world.ids, world.public_ids

    def looks(path: str) -> tuple[int, bytes]:
        answer = bound.get(path)
        return answer.status_code, answer.data

    for path, missing in (
        (f"/companies/{world.cast.b.id}", "/companies/2147483000"),
        (f"/holdings/{ids['holding_telephony']}", "/holdings/2147483000"),
        (f"/holdings/{ids['holding_telephony']}/status", "/holdings/2147483000/status"),
        (f"/services/{ids['service_telephony']}", "/services/2147483000"),
        (f"/holdings/{ids['holding_hidden']}", "/holdings/2147483000"),
        (f"/holdings/{ids['holding_hidden']}/status", "/holdings/2147483000/status"),
        (f"/service-updates/{ids['service_update_b']}", "/service-updates/2147483000"),
        (f"/service-updates/{ids['service_update_hidden']}", "/service-updates/2147483000"),
        ("/service-windows/1", "/service-windows/2147483000"),
        (f"/components/{ids['archived']}", "/components/2147483000"),
        (f"/incidents/{named['private']}", "/incidents/0000000000000000"),
        (f"/incidents/{named['affected']}", "/incidents/0000000000000000"),
        (f"/incidents/{ids['public']}", "/incidents/2147483000"),
        (f"/incidents/{named['public']}/updates/{ids['update']}", f"/incidents/{named['public']}/updates/2147483000"),
        (f"/incidents/{named['private']}/updates", "/incidents/0000000000000000/updates"),
        ("/maintenances/mnt-maintenance_private", "/maintenances/nothing"),
        (f"/people/{world.cast.alice.id}", "/people/2147483000"),
        (f"/portals/{world.cast.domain_a.id}", "/portals/2147483000"),
        (f"/companies/{world.cast.a.id}/memberships", "/companies/2147483000/memberships"),
        ("/components/order", "/components/2147483000"),
        *(
            (f"/{kind}s/{named[f'{kind}_{name}']}{rest}", f"/{kind}s/{kind[0].upper()}-999999{rest}")
            for kind in ("job", "quote")
            for name in ("b", "hidden")
            for rest in ("", "/messages", "/files")
        ),
        *(
            (f"/{kind}s/{named[f'{kind}_a']}/messages/{named[f'note_{kind}']}", f"/{kind}s/J-1/messages/none")
            for kind in ("job", "quote")
        ),
        *(
            (f"/{kind}s/{named[f'{kind}_a']}/files/{named[f'file_{other}']}{end}", f"/{kind}s/J-1/files/none{end}")
            for kind in ("job", "quote")
            for other in (f"{kind}_note", "a", "b")
            for end in ("", "/content")
        ),
        *((path, "/jobs/J-999999") for path in ("/jobs/by-external-number", "/jobs/move")),
        (f"/work-statuses/{ids['work_status']}", "/work-statuses/2147483000"),
        *((f"/alerts/{named['alert_b']}{end}", f"/alerts/nothing{end}") for end in ("", "/states", "/events")),
    ):
        assert looks(path) == looks(missing), path
        assert looks(path)[0] == 404


def test_t07_t09_numbers_say_nothing_of_private_reports(machine: MakeMachine, world: World) -> None:
    """No row numbers, versions or totals of incidents leave for a company, not even inside a cursor."""
    bound = machine(Scope.READ, world.cast.a)
    listed = bound.all("/incidents?limit=1")
    assert {each["public_id"] for each in listed} == {
        world.public_ids[name] for name in ("public", "worded", "worded_home")
    }
    staff_only = {"id", "version", "visibility", "audience", "is_backfill", "created_at", "impact_override"}
    assert not staff_only & set(listed[0])
    updates = bound.all(f"/incidents/{world.public_ids['public']}/updates?limit=1")
    assert len(updates) == 1
    assert not {"id", "visibility", "notify"} & set(updates[0])
    assert bound.get("/incidents?visibility=private").json == {"items": [], "next": None}


def test_t03_b_s_token_sees_what_is_b_s(machine: MakeMachine, world: World) -> None:
    bound = machine(Scope.READ, world.cast.b, B_HOST)
    assert {each["public_id"] for each in bound.all("/incidents")} == {
        world.public_ids[name] for name in ("public", "worded", "worded_home", "affected", "affected_past")
    }
    assert [each["public_id"] for each in bound.all("/maintenances")] == ["mnt-maintenance_affected"]
    assert [each["id"] for each in bound.all("/holdings")] == [world.ids["holding_telephony"]]
    assert bound.read(f"/holdings/{world.ids['holding_telephony']}/status")["status"] == "system_is_down"


def test_t17_t18_an_area_switched_off_is_gone_for_its_token_at_once(machine: MakeMachine, world: World) -> None:
    cast = world.cast
    bound, unbound = machine(Scope.READ, cast.a), machine(Scope.READ)
    of_status = ("/incidents", "/maintenances", "/components", "/component-groups")
    of_services = ("/services", "/holdings", "/service-updates", "/service-windows")
    job, quote = f"/jobs/{world.public_ids['job_a']}", f"/quotes/{world.public_ids['quote_a']}"
    of_work = {
        Area.MESSAGES: tuple(
            f"/{kind}s/{world.public_ids[f'{kind}_a']}/{rest}"
            for kind in ("job", "quote")
            for rest in ("messages", f"files/{world.public_ids[f'file_{kind}']}/content")
        ),
        Area.JOBS: ("/jobs", job, f"{job}/files"),
        Area.QUOTES: ("/quotes", quote, f"{quote}/files"),
    }
    status = f"/holdings/{world.ids['holding_internet']}/status"
    assert {bound.get(path).status_code for path in (*of_status, *of_services)} == {200}
    assert bound.read(status)["status"] == "intermittent_problems"
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert {bound.get(path).status_code for path in of_status} == {404}
    assert {bound.get(path).status_code for path in of_services} == {200}
    told = bound.read(status)
    # What staff state of it is no incident, and still said; nothing is claimed of what nobody stated anything of.
    assert (told["status"], told["reason"], told["incident_public_id"]) == ("scheduled_service", "", None)
    domains.set_override(cast.domain_a, cast.a, Area.SERVICES, False, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert {bound.get(path).status_code for path in of_services} == {404}
    for area, paths in of_work.items():
        assert {bound.get(path).status_code for path in paths} == {200}
        domains.set_override(cast.domain_a, cast.a, area, False, by=SYSTEM, now=clock.utcnow())
        db.session.commit()
        assert {bound.get(path).status_code for path in paths} == {404}
    assert bound.get("/companies").status_code == 200
    every = [path for each in (of_status, of_services, *of_work.values()) for path in each]
    assert {unbound.get(path).status_code for path in every} == {200}


def test_t16_a_token_works_where_it_belongs(app: Flask, machine: MakeMachine, world: World) -> None:
    """Without a company on the staff host; of a company there and on the portals that admit it."""
    bound, unbound = machine(Scope.READ, world.cast.a), machine(Scope.READ)
    expected = {STAFF_HOST: (200, 200), A_HOST: (200, 401), B_HOST: (401, 401)}
    for host, statuses in expected.items():
        found = tuple(Machine(app, each.token, host).get("/companies").status_code for each in (bound, unbound))
        assert found == statuses, host
    assert Machine(app, bound.token, "evil.test").get("/companies").status_code == 400


def test_t16_a_company_without_a_home_has_no_areas(machine: MakeMachine, world: World) -> None:
    homeless = accounts.add_company("Cedar Mill", by=SYSTEM, now=clock.utcnow())
    bound = machine(Scope.READ, homeless)
    assert [bound.get(path).status_code for path in ("/incidents", "/holdings", "/companies")] == [404, 404, 200]


# Scopes


def test_t27_every_operation_keeps_to_the_table_of_scopes(app: Flask, machine: MakeMachine, world: World) -> None:
    wrong = []
    for scope in Scope:
        unbound = machine(scope)
        unbound.get("/companies")
        before = checksum()
        for rule, method in operations(app):
            resource = Resource(rule.rule.split("/")[3])
            needed = Right.READ if method == "GET" else Right.WRITE
            if MAY[scope].get(resource, Right.NONE) >= needed and method != "GET":
                continue
            response = unbound.send(method, path_of(app, world, rule), {} if method != "GET" else None)
            is_let_in = MAY[scope].get(resource, Right.NONE) >= needed
            if (response.status_code == 403) is is_let_in:
                wrong.append(f"{scope} {method} {rule.rule}: {response.status_code}")
        if checksum() != before:
            wrong.append(f"{scope}: what was refused has changed something")
    assert not wrong, "\n".join(wrong)


def test_t27_who_only_reads_meets_no_address(app: Flask, machine: MakeMachine, world: World) -> None:
    for scope in (Scope.READ, Scope.WRITE, Scope.INCIDENTS, Scope.CATALOGUE, Scope.PORTALS):
        reader = machine(scope)
        for rule, method in operations(app):
            if method == "GET":
                text = reader.get(path_of(app, world, rule)).get_data(as_text=True)
                assert "@people.test" not in text, (scope, rule.rule)
                assert "address" not in re.sub(r'"detail":"[^"]*"', "", text), (scope, rule.rule)


def test_t27_a_company_s_token_only_reads(world: World) -> None:
    for scope in set(Scope) - {Scope.READ}:
        with pytest.raises(RuleViolation, match="only read"):
            make_token("x", scope, company=world.cast.a, by=SYSTEM, now=clock.utcnow())


# Identifying


def test_a24_a_session_opens_nothing_of_the_api(app: Flask, world: World, sign_in: SignIn) -> None:
    for person in (world.cast.root, world.cast.alice):
        client = sign_in(person)
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            response = client.post("/api/v1/companies", data='{"name": "Cedar"}', content_type=kind)
            refusal(response, 401)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
        refusal(client.get("/api/v1/companies"), 401)


def test_a24_a_session_beside_a_token_changes_nothing(machine: MakeMachine, world: World, sign_in: SignIn) -> None:
    reader = machine(Scope.READ)
    reader.client = sign_in(world.cast.root)
    refusal(reader.send("POST", "/companies", {"name": "Cedar"}), 403)


def test_a26_a_token_in_an_address_is_none(app: Flask, machine: MakeMachine, world: World) -> None:
    secret = machine().token
    client = client_on(app, STAFF_HOST)
    for name in ("token", "access_token", "api_key", "key", "Authorization"):
        refusal(client.get(f"/api/v1/companies?{name}={secret}"), 401)
        refusal(client.post(f"/api/v1/companies?{name}={secret}", data={name: secret}), 401)
    for header in ("X-Api-Key", "X-Auth-Token", "Proxy-Authorization", "X-Forwarded-Authorization"):
        refusal(client.get("/api/v1/companies", headers={header: f"Bearer {secret}"}), 401)


def test_a26_no_other_token_is_taken(app: Flask, machine: MakeMachine, world: World) -> None:
    good = machine().token
    assert good is not None
    last = "A" if good[-1] != "A" else "B"
    for token in (good[:-1], good[:-1] + last, good + "A", good.upper(), good[4:], "", "sbx_", "sbx_" + "é" * 32):
        response = client_on(app, STAFF_HOST).get(
            "/api/v1/companies", headers={"Authorization": f"Bearer {token}".encode().decode("latin-1")}
        )
        refusal(response, 401)
    for scheme in ("Basic", "Token", "Bearer:", ""):
        refusal(client_on(app, STAFF_HOST).get("/api/v1/companies", headers={"Authorization": f"{scheme} {good}"}), 401)
    assert client_on(app, STAFF_HOST).get("/api/v1/companies", headers={"Authorization": f"bearer {good}"}).status_code


def test_a26_t22_a_token_dies_by_revocation_expiry_and_with_its_maker(app: Flask, world: World) -> None:
    cast = world.cast
    by = Actor(cast.root.email, cast.root.id)

    def fresh(**rest: Any) -> tuple[ApiToken, Machine]:
        token, secret = make_token("mortal", Scope.READ, by=by, now=clock.utcnow(), **rest)
        db.session.commit()
        machine = Machine(app, secret)
        assert machine.get("/companies").status_code == 200
        return token, machine

    revoked, machine = fresh()
    revoke_token(revoked, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    refusal(machine.get("/companies"), 401)
    expired, machine = fresh(expires_at=clock.utcnow() + timedelta(days=1))
    expired.expires_at = clock.utcnow() - timedelta(seconds=1)
    db.session.commit()
    refusal(machine.get("/companies"), 401)
    _, bound = fresh(company=cast.b)
    accounts.archive_company(cast.b, version=cast.b.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    refusal(bound.get("/companies"), 401)
    _, machine = fresh()
    cast.root.role = Role.STATUS
    db.session.commit()
    refusal(machine.get("/companies"), 401)
    cast.root.role, cast.ada.role = Role.ADMIN, Role.ADMIN
    db.session.commit()
    assert machine.get("/companies").status_code == 200
    accounts.deactivate_person(cast.root, version=cast.root.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    refusal(machine.get("/companies"), 401)


def test_a26_no_secret_is_stored_logged_or_audited(machine: MakeMachine, world: World) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        good = machine()
        good.get("/companies")
        good.get("/nothing")
        Machine(good.client.application, f"{good.token}x").get("/companies")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert good.token is not None
    secret = good.token.removeprefix("sbx_")
    assert secret not in stream.getvalue()
    for table in db.metadata.sorted_tables:
        for row in db.session.execute(select(table)):
            assert secret not in repr(tuple(row)), table.name
    made = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "token.make")).all()
    assert made


def test_a26_failures_are_throttled_by_where_they_come_from(app: Flask, machine: MakeMachine, world: World) -> None:
    good, bad = machine(), Machine(app, "sbx_" + "A" * 43)
    statuses = [bad.get("/companies").status_code for _ in range(61)]
    assert statuses == [401] * 60 + [429]
    refused = bad.get("/companies")
    refusal(refused, 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert good.get("/companies").status_code == 200
    assert Machine(app, None).get("/companies").status_code == 401
    elsewhere = bad.client.get(
        "/api/v1/companies",
        headers={"Authorization": f"Bearer {bad.token}", "X-Forwarded-For": "203.0.113.7"},
    )
    assert elsewhere.status_code == 429
    other = bad.client.get(
        "/api/v1/companies",
        headers={"Authorization": f"Bearer {bad.token}"},
        environ_overrides={"REMOTE_ADDR": "203.0.113.7"},
    )
    assert other.status_code == 401


def test_a26_use_is_noted_once_a_minute(machine: MakeMachine, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good, now = machine(), clock.utcnow()
    token = db.session.scalars(select(ApiToken).order_by(ApiToken.id.desc())).first()
    assert token is not None
    seen = []
    for seconds in (0, 30, 59, 61):
        monkeypatch.setattr(clock, "utcnow", lambda seconds=seconds: now + timedelta(seconds=seconds))
        good.get("/companies")
        db.session.expire_all()
        assert token.last_used_at is not None
        seen.append(round((token.last_used_at - now).total_seconds()))
    assert seen == [0, 0, 0, 61]


# What is sent


def test_t19_a_company_named_by_the_sender_changes_nothing(machine: MakeMachine, world: World) -> None:
    bound, b = machine(Scope.READ, world.cast.a), str(world.cast.b.id)
    for headers in ({"X_Tenant_Id": b}, {"X_Company_Id": b}, {"Cookie": f"company_id={b}"}):
        listed = bound.get("/companies", **headers).json
        assert listed is not None
        assert [each["id"] for each in listed["items"]] == [world.cast.a.id]
    refusal(bound.get(f"/companies?company_id={b}"), 422)
    assert bound.read(f"/holdings?company_id={b}")["items"] == []
    body = {"title": "x", "body": "y", "components": [], "company_id": int(b)}
    problem = refusal(machine(Scope.WRITE).send("POST", "/incidents", body), 422)
    assert problem["errors"][0]["pointer"] == "/company_id"


def test_t20_no_more_is_set_than_may_be(machine: MakeMachine, world: World) -> None:
    root, alice = machine(), world.cast.alice
    root.get("/companies")
    before = checksum()
    for name, value in (
        ("role", "admin"),
        ("password", "x" * 20),
        ("password_hash", "x"),
        ("email", "x@people.test"),
        ("deactivated_at", None),
        ("id", 1),
        ("version", 9),
    ):
        problem = refusal(root.send("PATCH", f"/people/{alice.id}", {"name": "Al", name: value}, match="*"), 422)
        assert problem["errors"][0]["pointer"] == f"/{name}"
    assert checksum() == before


FORGED = (
    "name=1&1[0]=&1[1]=a&1[2]=&1[3]=or%20%27a%27=%27a%27)--%20",
    "q[]=a",
    "q[0]=a",
    "q=a&q=b",
    "sort=(select%20sleep(6))",
    "sort=password_hash",
    "sort=name_key",
    "sort=id;drop%20table%20company",
    "sort=id,name",
    "order=;drop",
    "filter[id][$gt]=0",
    "limit=1%20or%201=1",
    "portal_id=1%20or%201=1",
    "archived=1",
)


def test_i01_i02_queries_are_taken_by_allow_list(machine: MakeMachine, world: World) -> None:
    root = machine()
    for query in FORGED:
        began = time.monotonic()
        refusal(root.get(f"/companies?{query}"), 422)
        assert time.monotonic() - began < SECONDS


def test_i01_text_that_looks_like_sql_is_text(machine: MakeMachine, world: World) -> None:
    root = machine()
    for text in ("' or 'a'='a", "'; drop table company; --", '" or 1=1 --', "\\"):
        assert root.client.get(
            "/api/v1/companies", query_string={"q": text}, headers={"Authorization": f"Bearer {root.token}"}
        ).json == {"items": [], "next": None}


def test_i04_what_is_searched_for_is_literal(machine: MakeMachine, world: World) -> None:
    root = machine()
    began = time.monotonic()
    names = ("companies", "components", "services", "incidents", "broadcasts", "jobs", "quotes")
    for name, text in product(names, ("%", "_", "\\", "%25", "a%b", "%a" * 45)):
        response = root.client.get(
            f"/api/v1/{name}", query_string={"q": text}, headers={"Authorization": f"Bearer {root.token}"}
        )
        assert response.json == {"items": [], "next": None}, name
    assert root.client.get(
        "/api/v1/companies", query_string={"q": "%a" * 10_000}, headers={"Authorization": f"Bearer {root.token}"}
    ).status_code in {414, 422}
    assert time.monotonic() - began < SECONDS


BAD_JSON: dict[str, tuple[bytes, int]] = {
    "nested": (b"[" * 100_000 + b"]" * 100_000, 400),
    "nested objects": (b'{"name":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "twins": (b'{"name": "Cedar", "name": "Birch"}', 400),
    "not a number": (b'{"name": NaN}', 400),
    "infinite": (b'{"name": Infinity}', 400),
    "too large": (b'{"name": 1e400}', 400),
    "many digits": (b'{"name": ' + b"9" * 10_000 + b"}", 400),
    "byte order mark": (b'\xef\xbb\xbf{"name": "Cedar"}', 400),
    "not utf-8": (b'{"name": "\xff\xfe"}', 400),
    "utf-16": ('{"name": "Cedar"}'.encode("utf-16"), 400),
    "cut": (b'{"name": "Cedar"', 400),
    "empty": (b"", 400),
    "two": (b'{"name": "Cedar"}{}', 400),
    "a list": (b'["name"]', 422),
    "a text": (b'"name"', 422),
    "null": (b"null", 422),
    "number for text": (b'{"name": 7}', 422),
    "list for text": (b'{"name": ["Cedar"]}', 422),
    "object for text": (b'{"name": {"$ne": ""}}', 422),
    "text for number": (b'{"name": "Cedar", "home_portal_id": "1"}', 422),
    "fraction for number": (b'{"name": "Cedar", "home_portal_id": 1.0}', 422),
    "true for number": (b'{"name": "Cedar", "home_portal_id": true}', 422),
    "beyond a row": (b'{"name": "Cedar", "home_portal_id": 99999999999999999999}', 422),
    "NUL": (b'{"name": "Cedar\\u0000"}', 422),
    "half a character": (b'{"name": "Cedar\\ud800"}', 422),
    "unknown": (b'{"name": "Cedar", "__proto__": {}}', 422),
}


def test_i28_json_is_read_strictly(machine: MakeMachine, world: World) -> None:
    root = machine()
    for name, (body, status) in BAD_JSON.items():
        began = time.monotonic()
        response = root.client.post(
            "/api/v1/companies",
            data=body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {root.token}"},
        )
        assert response.status_code == status, name
        refusal(response, status)
        assert time.monotonic() - began < SECONDS, name


NO_JSON = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/json",
    "",
    "application/xml",
)


def test_i28_only_json_is_taken(machine: MakeMachine, world: World) -> None:
    root = machine()
    for kind in NO_JSON:
        response = root.client.post(
            "/api/v1/companies",
            data=b'{"name": "Cedar"}',
            content_type=kind,
            headers={"Authorization": f"Bearer {root.token}"},
        )
        refusal(response, 415)


def test_i28_numbers_and_switches_in_bodies_are_what_they_say(machine: MakeMachine, world: World) -> None:
    root = machine()
    base: dict[str, Any] = {"title": "x", "body": "y", "components": []}
    bad: list[dict[str, Any]] = [
        {"notify": "true"},
        {"notify": 1},
        {"components": {}},
        {"components": [{"component_id": "1", "severity": "none"}]},
        {"components": [[]]},
        {"next_update_minutes": 0},
        {"next_update_minutes": "30"},
        {"started_at": 1_700_000_000},
        {"started_at": "2026-11-21T12:00:00"},
        {"started_at": "0001-01-01T00:00:00+23:59"},
        {"state": ["fixed"]},
    ]
    for wrong in bad:
        refusal(root.send("POST", "/incidents", base | wrong), 422)


def test_h02_headers_from_outside_lead_nowhere(machine: MakeMachine, world: World) -> None:
    root = machine()
    forged = {
        "X_Forwarded_Host": "evil.test",
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Prefix": "/evil",
        "X_Original_URL": "/evil",
        "Forwarded": "host=evil.test",
    }
    made = root.send("POST", "/companies", {"name": "Cedar Mill"}, **forged)
    assert made.headers["Location"].startswith(f"http://{STAFF_HOST}/api/v1/companies/")
    assert "evil" not in made.get_data(as_text=True) + str(made.headers)


def test_h06_other_methods_and_shapes_of_requests_are_refused(app: Flask, machine: MakeMachine, world: World) -> None:
    root = machine()
    for method in ("TRACE", "PROPFIND", "DELETE", "PATCH", "CONNECT"):
        response = root.send(method, "/companies")
        assert response.status_code in {400, 405}, method
    assert set(root.send("PUT", "/companies").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    root.get("/companies")
    before = checksum()
    overridden = root.client.get(
        f"/api/v1/companies/{world.cast.a.id}/archive",
        headers={"Authorization": f"Bearer {root.token}", "X-HTTP-Method-Override": "POST"},
    )
    refusal(overridden, 405)
    assert root.get("/companies?" + "x" * 20_000).status_code in {414, 422}
    assert root.get("/companies", **{f"X_Header_{n}": "x" for n in range(200)}).status_code in {200, 431}
    refusal(root.send("POST", "/companies", {"name": "x" * 1_100_000}), 413)
    for path in ("/nothing", "/companies/abc", "/companies/-1", "/companies/99999999999", "/companies/1/"):
        refusal(root.get(path), 404)
    assert checksum() == before


def test_t30_lists_tell_nothing_of_what_is_not_shown(machine: MakeMachine, world: World) -> None:
    for each in (machine(), machine(Scope.READ, world.cast.a)):
        for query in ("page=999", "per_page=100000", "limit=100000", "page=-1", "page=a", "offset=1"):
            refusal(each.get(f"/incidents?{query}"), 422)
    listed = machine(Scope.READ, world.cast.a).read("/incidents")
    assert set(listed) == {"items", "next"}


def test_a_machine_never_gets_a_page(app: Flask, machine: MakeMachine, world: World) -> None:
    """Every refusal under /api/v1/ is problem details in English, whatever language and kind the client asks for."""
    root = machine()
    headers = {"Accept": "text/html", "Accept_Language": "de", "HX_Request": "true"}
    answers = [
        Machine(app, None).get("/companies", **headers),
        root.get("/nothing", **headers),
        root.send("PUT", "/companies", **headers),
        root.get("/companies?x=1", **headers),
        machine(Scope.AUDIT).get("/companies", **headers),
    ]
    for response in answers:
        problem = refusal(response, response.status_code)
        assert json.dumps(problem).isascii() or "“" in problem["detail"]
        assert "Set-Cookie" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"


def test_every_operation_is_declared_for_tokens(app: Flask) -> None:
    for rule, _method in operations(app):
        declared = access.declaration_of(rule.endpoint)
        assert declared is not None
        assert declared.resource is not None
        assert rule.rule.split("/")[3] == declared.resource
