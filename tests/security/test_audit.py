"""The audit trail is complete, reads as plain words, is searched in bounded queries, and holds no secret."""

import ast
import csv
import io
import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Person
from portal.audit import actions as audit
from portal.audit.models import AuditEntry, AuditTally
from portal.audit.queries import Search, search
from portal.audit.rules import BUCKET, SYSTEM, Actor
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from tests.conftest import REPOSITORY, Cast, SignIn, counted_queries, token_in

WRITERS = [
    *sorted((REPOSITORY / "portal").glob("*/actions.py")),
    *sorted((REPOSITORY / "portal").glob("*/actions/*.py")),
    *sorted((REPOSITORY / "portal" / "records").glob("*.py")),
]

RECORDS = {"record", "record_many", "count"}

WRITES_NO_ENTRY = {
    "portal/records/kinds.py:write": "a protocol; its makers are those of the capabilities",
    "portal/records/kinds.py:finish": "rings the pages once the rows are written",
    "portal/jobs/actions/importing.py:finish": "rings the pages once the rows are written",
    "portal/records/actions.py:plan": "asks for a dry run, which changes nothing",
    "portal/records/actions.py:plan_again": "asks for a dry run, which changes nothing",
    "portal/records/actions.py:apply": "the worker records it in the transaction that applies it",
    "portal/records/actions.py:stop": "ends a dry run; what is applied is whole or not at all, and recorded there",
}
"""Public functions that take who acts and yet record nothing, with the reason."""


def functions(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def called_in(function: ast.FunctionDef) -> set[str]:
    """The names of all that a function calls, whatever it calls them on."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    methods = {each.attr for each in calls if isinstance(each, ast.Attribute)}
    return methods | {each.id for each in calls if isinstance(each, ast.Name)}


def test_every_action_that_takes_who_acts_leaves_an_entry() -> None:
    """Directly, or through what it calls; a new action without one fails here."""
    everywhere = {path: functions(path) for path in WRITERS}
    recording = set(RECORDS)
    grown = True
    while grown:
        names = {
            name
            for found in everywhere.values()
            for name, function in found.items()
            if name not in recording and called_in(function) & recording
        }
        grown = bool(names)
        recording |= names
    silent = []
    for path, found in everywhere.items():
        for name, function in found.items():
            takes_actor = "by" in {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}
            if takes_actor and not name.startswith("_") and name not in recording:
                silent.append(f"{path.relative_to(REPOSITORY)}:{name}")
    assert set(silent) == set(WRITES_NO_ENTRY) & set(silent)
    assert len(recording) > 40


def entries(action: str) -> list[AuditEntry]:
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)))


def test_signing_in_and_out_and_failing_to_stands_in_the_trail(app: Flask, cast: Cast, visitor: object) -> None:
    assert callable(visitor)
    client: FlaskClient = visitor("a.portal.test")
    token = token_in(client, "/sign-in")
    for password in ("wrong one here", "another wrong one"):
        form = {"email": cast.alice.email, "password": password, "csrf_token": token}
        assert client.post("/sign-in", data=form).status_code == 422
    counted = db.session.scalars(select(AuditTally).where(AuditTally.action == "session.refuse")).one()
    assert (counted.object_id, counted.count) == (cast.alice.id, 2)
    assert entries("session.refuse") == []
    assert audit.fold(clock.utcnow() + BUCKET) == 1
    assert entries("session.refuse")[-1].object_id == cast.alice.id
    assert "wrong one" not in str([(each.before, each.after) for each in db.session.scalars(select(AuditEntry))])


def test_a_refusal_is_counted_and_told_once(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    for _ in range(5):
        assert client.get("/admin/audit").status_code == 403
    assert client.get("/admin/exports").status_code == 403
    counts = db.session.execute(
        select(AuditTally.slot, AuditTally.count).where(AuditTally.action == "access.refuse").order_by(AuditTally.count)
    ).all()
    assert [count for _slot, count in counts] == [1, 5]
    assert audit.fold(clock.utcnow() + BUCKET) == 2
    events.commit()
    page = sign_in(cast.root).get("/admin/audit").get_data(as_text=True)
    assert "Olaf was refused 5 times at admin_audit.trail" in page
    assert "Olaf was refused once at admin_exports.export_list" in page


def test_entries_read_as_sentences_with_before_and_after(cast: Cast, sign_in: SignIn) -> None:
    now = clock.utcnow()
    root = Actor(cast.root.email, cast.root.id, "192.0.2.1", "req-1")
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=root, now=now)
    accounts.rename_company(cast.a, "Alder & Sons", version=cast.a.version, by=root, now=now)
    db.session.commit()
    page = sign_in(cast.root).get("/admin/audit").get_data(as_text=True)
    assert "Root closed Status for Alder &amp; Sons on portal domain a.portal.test" in page
    assert "Root renamed company Alder &amp; Sons" in page
    assert "<del>Alder Dental</del>" in page
    assert "<ins>Alder &amp; Sons</ins>" in page
    assert "192.0.2.1" in page
    assert "req-1" in page


def links_of(page: str) -> list[str]:
    return re.findall(r'href="(/admin/audit/\d+)"', page)


def test_every_entry_has_an_address_of_its_own(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    links = links_of(client.get("/admin/audit").get_data(as_text=True))
    assert links
    assert client.get(links[0]).status_code == 200


@pytest.mark.parametrize(
    ("query", "found", "left_out"),
    [
        ("person=alice@people.test", "Alice", "Charlie"),
        ("company=alder dental", "Alder Dental", "Birch Logistics"),
        ("about=portal", "a.portal.test", "Charlie"),
        ("q=charlie", "Charlie", "a.portal.test"),
        ("from=2026-11-21&to=2026-11-21", "Alice", "No entry"),
    ],
)
def test_the_trail_is_searched(cast: Cast, sign_in: SignIn, query: str, found: str, left_out: str) -> None:
    rows = sign_in(cast.root).get(f"/admin/audit?{query}").get_data(as_text=True).split('class="audit-rows"')
    assert len(rows) == 2, "nothing was found"
    shown = rows[1].split("</ol>")[0]
    assert found in shown
    assert left_out not in shown


@pytest.mark.parametrize("query", ["from=2026-13-41", "person=nobody@nowhere.test", "company=No such", "id=x"])
def test_what_cannot_be_understood_is_said_beside_its_field(cast: Cast, sign_in: SignIn, query: str) -> None:
    answer = sign_in(cast.root).get(f"/admin/audit?{query}")
    assert answer.status_code == 422
    assert 'class="field-error"' in answer.get_data(as_text=True)


@pytest.mark.parametrize("before", ["x", "2026-01-01_5", "_", "2026-01-01T00:00:00+00:00_x"])
def test_a_place_that_is_none_is_not_there(cast: Cast, sign_in: SignIn, before: str) -> None:
    assert sign_in(cast.root).get("/admin/audit", query_string={"before": before}).status_code == 404


def fill(person: Person, count: int) -> None:
    for number in range(count):
        by = Actor(person.email, person.id)
        at = clock.utcnow() - timedelta(hours=number // 7)
        audit.record("probe.look", object_kind="probe", object_id=number, by=by, now=at, after={"number": f"n{number}"})
    db.session.flush()


def test_pages_follow_each_other_without_gap_or_repeat(cast: Cast) -> None:
    fill(cast.root, 130)
    for wanted in (Search(noun="probe"), Search(noun="probe", text="n"), Search(person_id=cast.root.id, noun="probe")):
        seen: list[int] = []
        before = None
        for _ in range(10):
            page = search(wanted, before)
            seen += [each.id for each in page.entries]
            before = page.older
            if before is None:
                break
        assert len(seen) == len(set(seen)) == 130
        moments = [db.session.get_one(AuditEntry, each).at for each in seen]
        assert moments == sorted(moments, reverse=True)


def test_a_page_costs_the_same_whatever_is_on_it(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    client.get("/admin/audit")
    with counted_queries() as few:
        client.get("/admin/audit?about=portal")
    fill(cast.root, 60)
    db.session.commit()
    with counted_queries() as many:
        assert client.get("/admin/audit?about=probe").status_code == 200
    assert len(many) <= len(few) + 2
    assert all(
        "LIMIT" in statement or "audit_entry" not in statement for statement in many if "count(" not in statement
    )


FORMULAS = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'say "hi"', "a;b", "two\nlines"]


def test_i20_a_csv_of_the_trail_holds_no_formula_and_as_many_rows_as_entries(cast: Cast, sign_in: SignIn) -> None:
    for text in FORMULAS:
        audit.record(
            "probe.look", object_kind="probe", object_id=None, by=Actor(text), now=clock.utcnow(), after={"x": text}
        )
    db.session.commit()
    client = sign_in(cast.root)
    form = {"csrf_token": token_in(client, "/admin/audit"), "about": "probe"}
    answer = client.post("/admin/audit/export", data=form)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True))))
    assert len(rows) == 1 + len(FORMULAS)
    assert not [cell for row in rows for cell in row if cell[:1] in set("=+-@\t\r")]
    assert entries("audit.export")[-1].actor_id == cast.root.id


def test_t29_the_trail_and_its_export_are_for_whoever_may(cast: Cast, sign_in: SignIn) -> None:
    for person in (cast.olaf, cast.ada):
        client = sign_in(person)
        token = token_in(client, "/admin/companies")
        for accept in ("text/html", "text/csv"):
            assert client.get("/admin/audit", headers={"Accept": accept}).status_code == 403
        assert client.post("/admin/audit/export", data={"csrf_token": token}).status_code == 403


def test_the_name_of_the_installation_stands_for_tasks(cast: Cast, sign_in: SignIn) -> None:
    accounts.add_company("By a task", by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    page = sign_in(cast.root).get("/admin/audit?company=By a task").get_data(as_text=True)
    assert "System added company By a task" in page
