"""Idempotency-Key: the same request again does nothing and is answered the same."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import func, select

from portal import clock, create_app, events
from portal.accounts.actions import tokens as token_actions
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import ApiAnswer, Company
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.database import read_only
from portal.extensions import db
from portal.jobs.models import WorkItem
from portal.records import retention
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast

KEY = {"Idempotency_Key": "a-key-of-ours"}
CEDAR = {"name": "Cedar Mill"}


def cedars() -> int:
    return db.session.scalar(select(func.count(Company.id)).where(Company.name.startswith("Cedar"))) or 0


def test_the_same_request_again_is_answered_the_same_and_done_once(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    first = root.send("POST", "/companies", CEDAR, **KEY)
    again = root.send("POST", "/companies", CEDAR, **KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    for header in ("Location", "ETag", "Content-Type"):
        assert first.headers[header] == again.headers[header]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert cedars() == 1


def test_an_answer_is_given_again_whatever_has_become_of_the_row(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    made = root.make("/companies", CEDAR)
    path = f"/companies/{made['id']}/archive"
    first = root.send("POST", path, match=made["version"], **KEY)
    assert first.status_code == 200
    assert root.send("POST", path, match=made["version"], **KEY).data == first.data


def test_another_request_with_the_key_is_refused(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    assert root.send("POST", "/companies", CEDAR, **KEY).status_code == 201
    for path, body in (("/companies", {"name": "Cedar Hill"}), ("/component-groups", CEDAR)):
        problem = refusal(root.send("POST", path, body, **KEY), 422)
        assert problem["errors"][0]["header"] == "Idempotency-Key"
    assert cedars() == 1


def test_a_key_belongs_to_its_token(machine: MakeMachine, cast: Cast) -> None:
    assert machine().send("POST", "/component-groups", CEDAR, **KEY).status_code == 201
    assert machine().send("POST", "/component-groups", CEDAR, **KEY).headers.get("Idempotent-Replayed") is None


def test_a_refusal_is_not_kept(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    taken = {"name": cast.a.name}
    refusal(root.send("POST", "/companies", taken, **KEY), 422)
    assert root.send("PATCH", f"/companies/{cast.a.id}", {"name": "Alder"}, match="*").status_code == 200
    assert root.send("POST", "/companies", taken, **KEY).status_code == 201


def test_after_a_day_a_key_is_new_again(machine: MakeMachine, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    root, now = machine(), clock.utcnow()
    assert root.send("POST", "/component-groups", CEDAR, **KEY).status_code == 201
    monkeypatch.setattr(clock, "utcnow", lambda: now + timedelta(hours=23))
    assert "Idempotent-Replayed" in root.send("POST", "/component-groups", CEDAR, **KEY).headers
    monkeypatch.setattr(clock, "utcnow", lambda: now + timedelta(hours=25))
    other = root.send("POST", "/component-groups", {"name": "Cedar Hill"}, **KEY)
    assert other.status_code == 201
    assert other.json is not None
    assert other.json["name"] == "Cedar Hill"


def test_old_answers_are_forgotten(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    root.send("POST", "/component-groups", CEDAR, **KEY)
    assert retention.forget_some("api_answers", clock.utcnow() + timedelta(hours=47)) == 0
    assert db.session.scalar(select(func.count(ApiAnswer.id))) == 1
    assert retention.forget_some("api_answers", clock.utcnow() + timedelta(hours=49)) == 1
    assert db.session.scalar(select(func.count(ApiAnswer.id))) == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "ümlaut"])
def test_a_key_that_is_none_is_refused(machine: MakeMachine, cast: Cast, key: str) -> None:
    refusal(machine().send("POST", "/companies", CEDAR, Idempotency_Key=key), 422)
    assert cedars() == 0


def test_a_crash_leaves_neither_the_change_nor_its_answer(
    machine: MakeMachine, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine()

    def crash() -> None:
        raise SystemExit

    with monkeypatch.context() as crashing:
        crashing.setattr(events, "commit", crash)
        with pytest.raises(SystemExit):
            root.send("POST", "/companies", CEDAR, **KEY)
    db.session.rollback()
    assert cedars() == 0
    response = root.send("POST", "/companies", CEDAR, **KEY)
    assert (response.status_code, "Idempotent-Replayed" in response.headers) == (201, False)


@pytest.fixture
def own_app(settings: Settings, database_url: str) -> Iterator[tuple[Flask, str]]:
    """An app on a database of this test's own, where everything is really committed, and a token for it."""
    own = create_app(replace(settings, database_url=database_url))
    with own.app_context():
        read_only.set(False)
        upgrade()
        secret = make_token("racer", Scope.ADMIN, by=SYSTEM, now=clock.utcnow())[1]
        events.commit()
    yield own, secret
    with own.app_context():
        db.engine.dispose()


def test_two_at_once_make_one(own_app: tuple[Flask, str]) -> None:
    """Whoever comes second is told the answer of the first, or to ask again in a second."""
    own, secret = own_app
    gate, answers = threading.Barrier(4), []

    def ask() -> None:
        machine = Machine(own, secret)
        gate.wait()
        answers.append(machine.send("POST", "/companies", CEDAR, **KEY))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [answer.status_code for answer in answers]
    assert 201 in statuses
    assert set(statuses) <= {201, 409}
    assert len({answer.data for answer in answers if answer.status_code == 201}) == 1
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 409)
    with own.app_context():
        assert cedars() == 1


def test_a_job_another_system_tells_of_four_times_at_once_is_one(own_app: tuple[Flask, str]) -> None:
    """Without any key: it is the number of the other system that makes it one."""
    own, secret = own_app
    company = Machine(own, secret).send("POST", "/companies", CEDAR).json
    assert company is not None
    told = {"external_number": "WO-1", "company_id": company["id"], "title": "Survey"}
    gate, answers = threading.Barrier(4), []

    def tell() -> None:
        machine = Machine(own, secret)
        gate.wait()
        answers.append(machine.send("PUT", "/jobs/by-external-number", told))

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert sorted(answer.get_json()["created"] for answer in answers) == [False, False, False, True]
    with own.app_context():
        assert db.session.scalar(select(func.count(WorkItem.id))) == 1


def test_a_key_that_is_held_elsewhere_is_409(machine: MakeMachine, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_actions, "claim_key", lambda _token, _key: False)
    response = machine().send("POST", "/companies", CEDAR, **KEY)
    refusal(response, 409)
    assert response.headers["Retry-After"] == "1"
