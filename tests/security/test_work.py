"""Jobs and quotes: no internal word reaches a customer, nobody acts for another, and the proof of it finds a leak."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from portal import clock, events
from portal.errors import RuleViolation
from portal.extensions import db
from portal.jobs import proof
from portal.jobs.models import WorkItem, WorkMove, WorkStatus
from portal.jobs.queries import public
from portal.jobs.rules import Role, Showing, StatusTable, Unseen, WorkKind
from portal.jobs.rules.resolving import resolve
from tests.conftest import Cast, SignIn, token_in
from tests.customer.jobs.conftest import Book, move_to, work  # noqa: F401 (fixtures are found by name)
from tests.jobs.conftest import role, save


@pytest.fixture
def some_work(cast: Cast, work: Book) -> list[WorkItem]:  # noqa: F811
    """A job that was moved to and fro, one shown as something else, a quote that can be accepted."""
    save(replace(role(Role.ON_HOLD), showing=Showing.MAPPED, mapped_to_id=role(Role.SCHEDULED).id), now=clock.utcnow())
    job = work(Role.SCHEDULED, contact_id=cast.alice.id)
    move_to(job, Role.IN_PROGRESS, "Nobody else wants to")
    held = work(Role.ON_HOLD, contact_id=cast.alice.id)
    quote = work(Role.SENT, kind=WorkKind.QUOTE, contact_id=cast.alice.id)
    return [job, held, quote]


class TestTheProof:
    def test_finds_nothing_and_leaves_nothing(self, cast: Cast, some_work: list[WorkItem]) -> None:
        def stored() -> list[Any]:
            names = db.session.execute(select(WorkStatus.name, WorkStatus.color).order_by(WorkStatus.id)).all()
            return [names, db.session.scalars(select(WorkMove.reason).order_by(WorkMove.id)).all()]

        before = stored()
        found = proof.prove(cast.a.id, clock.utcnow())
        assert found.leaks == ()
        for each in some_work:
            path = f"/{each.kind.value}s/{each.kind.value[0].upper()}-{each.number}"
            assert found.looked_at.count(path) == 2, "page and fragment"
        assert {"/", "/jobs", "/quotes", "/your-jobs", "/status"} <= set(found.looked_at)
        assert sum(where.startswith("the mail") for where in found.looked_at) == len(some_work)
        assert stored() == before

    def test_finds_a_leak_that_is_put_in(
        self, cast: Cast, some_work: list[WorkItem], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def leaky(table: StatusTable, status_id: int) -> Any:
            seen = resolve(table, status_id)
            return seen if isinstance(seen, Unseen) else replace(seen, name=table.by_id[seen.id].name)

        monkeypatch.setattr(public, "resolve", leaky)
        found = proof.prove(cast.a.id, clock.utcnow())
        where = {leak.where for leak in found.leaks}
        assert {"/", "/jobs", f"/jobs/J-{some_work[0].number}"} <= where
        assert any(each.startswith("the mail") for each in where)
        assert any("the name of" in leak.what for leak in found.leaks)

    def test_finds_a_colour_in_a_page(
        self, cast: Cast, some_work: list[WorkItem], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def leaky(table: StatusTable, status_id: int) -> Any:
            seen = resolve(table, status_id)
            return seen if isinstance(seen, Unseen) else replace(seen, color=table.by_id[seen.id].color)

        monkeypatch.setattr(public, "resolve", leaky)
        assert any("the colour of" in leak.what for leak in proof.prove(cast.a.id, clock.utcnow()).leaks)

    def test_what_it_planted_cannot_be_committed(
        self, cast: Cast, some_work: list[WorkItem], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def committing(*_arguments: Any) -> tuple[bool, str]:
            db.session.commit()
            return True, ""

        monkeypatch.setattr(proof, "_rendered", committing)
        with pytest.raises(proof._CommitError):
            proof.prove(cast.a.id, clock.utcnow())
        assert not db.session.scalars(select(WorkStatus).where(WorkStatus.name.startswith("LEAK"))).all()

    def test_a_company_nobody_signs_in_for_is_refused(self, cast: Cast) -> None:
        cast.alice.deactivated_at = cast.bob.deactivated_at = clock.utcnow()
        db.session.commit()
        with pytest.raises(RuleViolation):
            proof.prove(cast.a.id, clock.utcnow())


class TestNobodyActsForAnother:
    """T12, T13, T15: writes on what is foreign are answered as on what is missing, and change nothing."""

    def test_t12_t13_writes_on_foreign_items(self, cast: Cast, some_work: list[WorkItem], sign_in: SignIn) -> None:
        charlie = sign_in(cast.charlie)
        token = token_in(charlie, "/jobs")
        job, _held, quote = some_work
        before = [(each.status_id, each.version) for each in some_work]
        for path in (
            f"/jobs/J-{job.number}/cancel",
            f"/jobs/J-{job.number}/files",
            f"/quotes/Q-{quote.number}/accept",
            f"/quotes/Q-{quote.number}/decline",
            f"/messages/job/J-{job.number}",
        ):
            form = {"csrf_token": token, "name": "C", "signature": "C", "reason": "x", "body": "x", "key": "k"}
            assert charlie.post(path, data=form).status_code == 404, path
        for each in some_work:
            db.session.refresh(each)
        assert [(each.status_id, each.version) for each in some_work] == before

    def test_t17_a_form_without_its_token_is_refused(
        self, cast: Cast, some_work: list[WorkItem], sign_in: SignIn
    ) -> None:
        client = sign_in(cast.alice)
        for path in ("/jobs/new", f"/quotes/Q-{some_work[2].number}/accept"):
            assert client.post(path, data={"title": "x", "key": "k"}).status_code == 400

    def test_t18_a_hidden_item_is_missing_everywhere(
        self, cast: Cast, some_work: list[WorkItem], sign_in: SignIn
    ) -> None:
        job = some_work[0]
        client = sign_in(cast.alice)
        save(replace(role(Role.IN_PROGRESS), showing=Showing.ITEM_HIDDEN), now=clock.utcnow())
        events.commit()
        for path in (f"/jobs/J-{job.number}", f"/messages/job/J-{job.number}"):
            assert client.get(path).status_code == 404, path
        assert f"J-{job.number}" not in client.get("/jobs").text
        assert f"J-{job.number}" not in client.get("/").text
