"""Every action the audit trail may hold is told in a sentence of its own, or by a verb that fits."""

import ast
import re
from collections.abc import Iterator

import pytest

from portal.admin.audit.sentences import SENTENCES, VERBS, lines
from portal.audit import actions as audit
from portal.audit.models import AuditEntry
from portal.audit.rules import Actor
from portal.extensions import db
from tests.conftest import NOW, REPOSITORY

ACTION = re.compile(r"[a-z_-]+\.[a-z_-]+")
RECORDS = re.compile(r"_?(record|count|audit|steer)(_many)?")


def recorded() -> Iterator[str]:
    """Every action that stands in a call which records one."""
    for folder in ("portal", "workers"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(call, ast.Call):
                    continue
                called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                if RECORDS.fullmatch(called):
                    for part in (each for argument in call.args for each in ast.walk(argument)):
                        if isinstance(part, ast.Constant) and ACTION.fullmatch(str(part.value)):
                            yield str(part.value)


def test_no_action_is_told_by_its_bare_name() -> None:
    found = set(recorded())
    assert {"portal.wording", "second-factor.remove", "broadcast.pause", "token.refuse"} <= found
    assert {each for each in found if each not in SENTENCES and each.partition(".")[2] not in VERBS} == set()


@pytest.mark.usefixtures("session")
def test_what_a_file_or_a_name_was_called_stands_in_the_sentence() -> None:
    by = Actor("root@people.test")
    for action, kind, after in (
        ("import.apply", "import", {"file": "companies.csv", "kind": "companies"}),
        ("portal.add_host", "portal", {"host": "help.alder.test"}),
    ):
        audit.record(action, object_kind=kind, object_id=77, by=by, now=NOW, after=after)
    db.session.flush()
    entries = db.session.query(AuditEntry).filter_by(object_id=77).order_by(AuditEntry.id).all()
    brought, named = (line.sentence for line in lines(entries))
    assert brought == "Root@people.test brought in companies.csv"
    assert "help.alder.test" in named
