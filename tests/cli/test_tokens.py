"""`portal create-token`: the secret once on standard output, and a sentence for whatever cannot be made."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import clock, events
from portal.accounts.actions import add_company
from portal.accounts.models import ApiToken
from portal.accounts.queries.tokens import key_by_hash
from portal.accounts.rules.tokens import Scope, token_hash
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.extensions import db
from tests.cli.installation import Installation


@pytest.fixture
def portal(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    portal = Installation(database_url, capsys, monkeypatch)
    assert portal.run("init").returncode == 0
    yield portal
    portal.__exit__()


def test_a_token_is_made_printed_once_and_audited(portal: Installation) -> None:
    done = portal.run("create-token", "--name", "Monitoring", "--scope", "incidents", "--expires-days", "30")
    assert done.returncode == 0, done.stderr
    secret = done.stdout.strip()
    assert done.stdout == f"{secret}\n"
    assert secret.startswith("sbx_")
    assert len(secret) == 47
    assert secret not in done.stderr
    with portal.database():
        token = db.session.scalars(select(ApiToken)).one()
        assert (token.name, token.scope, token.created_by_id) == ("Monitoring", Scope.INCIDENTS, None)
        assert token.expires_at is not None
        assert timedelta(days=29) < token.expires_at - clock.utcnow() <= timedelta(days=30)
        assert key_by_hash(token_hash(secret), clock.utcnow()) is not None
        assert key_by_hash(token_hash(secret), clock.utcnow() + timedelta(days=31)) is None
        made = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "token.make")).one()
        assert made.actor == "command line"
        assert secret not in repr(made.after)


def test_a_token_may_be_of_one_company(portal: Installation) -> None:
    with portal.database():
        for name in ("Alder Dental", "Alder Mills"):
            add_company(name, by=SYSTEM, now=clock.utcnow())
        events.commit()
    arguments = ("create-token", "--name", "Board", "--scope", "read", "--company")
    assert portal.run(*arguments, "alder dental").returncode == 0
    several = portal.run(*arguments, "alder")
    assert several.returncode == 1
    assert "Alder Mills" in several.stderr
    nobody = portal.run(*arguments, "Birch")
    assert nobody.returncode == 1
    assert "There is no company called Birch." in nobody.stderr
    writing = portal.run("create-token", "--name", "Board", "--scope", "write", "--company", "Alder Dental")
    assert writing.returncode == 1
    assert "can only read" in writing.stderr
    with portal.database():
        assert db.session.scalars(select(ApiToken.name)).all() == ["Board"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--scope", "read"],
        ["--name", "x"],
        ["--name", "x", "--scope", "everything"],
        ["--name", "x", "--scope", "read", "--expires-days", "0"],
        ["--name", "x", "--scope", "read", "--expires-days", "soon"],
    ],
)
def test_a_call_that_cannot_be_meant_is_a_mistake(portal: Installation, arguments: list[str]) -> None:
    done = portal.run("create-token", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""


def test_an_empty_name_is_refused(portal: Installation) -> None:
    done = portal.run("create-token", "--name", " ", "--scope", "read")
    assert (done.returncode, done.stdout) == (1, "")
    assert "name" in done.stderr


def test_the_help_tells_every_scope(portal: Installation) -> None:
    done = portal.run("create-token", "--help")
    assert done.returncode == 0
    assert all(scope.value in done.stdout for scope in Scope)
