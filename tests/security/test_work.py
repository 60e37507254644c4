"""No internal word of jobs and quotes reaches a customer, and the proof of it finds a leak that is put in."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from portal import clock
from portal.errors import RuleViolation
from portal.extensions import db
from portal.jobs import proof
from portal.jobs.models import WorkItem, WorkMove, WorkStatus
from portal.jobs.queries import public
from portal.jobs.rules import Role, Showing, StatusTable, Unseen, WorkKind
from portal.jobs.rules.resolving import resolve
from tests.conftest import Cast
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
