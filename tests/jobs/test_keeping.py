"""What leaves with an export is what the company reads; what is forgotten leaves nothing behind, proofs excepted."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal import clock, events
from portal.accounts.actions.anonymise import anonymise_person
from portal.audit.rules import Actor
from portal.extensions import db
from portal.jobs.models import QuoteAnswer, QuoteOffer, SavedView, WorkItem, WorkMove
from portal.jobs.rules import Role, Showing, WorkKind
from portal.messages.models import Message
from portal.records import erasure, retention
from portal.records.parts import parts_about
from portal.records.rules.exports import ExportKind
from tests.conftest import Cast, SignIn
from tests.customer.jobs.conftest import Book, move_to, work  # noqa: F401 (fixtures are found by name)
from tests.jobs.conftest import role, save
from tests.jobs.test_quotes import accept, decline, quote  # noqa: F401


def rows(about: ExportKind, name: str, whose: int) -> list[dict[str, object]]:
    part = next(each for each in parts_about(about) if each.name == name)
    return [dict(row) for row in part.rows(whose, clock.utcnow())]


def test_an_export_tells_a_company_what_its_pages_tell(work: Book, cast: Cast) -> None:  # noqa: F811
    save(replace(role(Role.ON_HOLD), name="CANARY stuck", showing=Showing.HIDDEN))
    shown = work(title="Move the router")
    move_to(shown, Role.ON_HOLD)
    unseen = work(title="CANARY never shown", role=Role.ON_HOLD)
    assert unseen.public_status_id is None
    found = rows(ExportKind.COMPANY, "work", cast.a.id)
    assert [(row["number"], row["title"], row["status"]) for row in found] == [
        (f"J-{shown.number}", "Move the router", role(Role.REQUESTED).portal_name)
    ]
    assert "CANARY" not in repr(found)
    assert rows(ExportKind.COMPANY, "work", cast.b.id) == []


def test_answers_go_out_with_the_hash_of_what_was_shown(quote: WorkItem, sign_in: SignIn, cast: Cast) -> None:  # noqa: F811
    assert accept(sign_in(cast.alice), quote).status_code == 303
    offer = db.session.scalars(select(QuoteOffer).where(QuoteOffer.item_id == quote.id)).one()
    for about, whose in ((ExportKind.COMPANY, cast.a.id), (ExportKind.PERSON, cast.alice.id)):
        (row,) = rows(about, "answers", whose)
        assert (row["number"], row["answer"], row["name"]) == (f"Q-{quote.number}", "accepted", "Alice Alder")
        assert row["hash"] == offer.hash
    assert rows(ExportKind.COMPANY, "answers", cast.b.id) == []
    assert rows(ExportKind.PERSON, "answers", cast.charlie.id) == []


def test_somebody_who_is_forgotten_leaves_a_proof_without_where_from(
    quote: WorkItem,  # noqa: F811
    sign_in: SignIn,
    cast: Cast,
) -> None:
    assert decline(sign_in(cast.alice), quote).status_code == 303
    db.session.add(
        SavedView(person_id=cast.alice.id, kind=WorkKind.JOB, name="Mine", query="", created_at=clock.utcnow())
    )
    events.commit()
    name = cast.alice.name
    anonymise_person(
        cast.alice, cast.alice.email, version=cast.alice.version, by=Actor("root", cast.root.id), now=clock.utcnow()
    )
    events.commit()
    answer = db.session.scalars(select(QuoteAnswer)).one()
    assert (answer.name, answer.address, answer.agent) == ("Alice", "", "")
    assert name not in set(db.session.scalars(select(WorkMove.by_name)))
    assert db.session.scalar(select(func.count()).select_from(SavedView)) == 0


def test_what_was_finished_long_ago_is_forgotten_with_what_was_said_of_it(
    work: Book,  # noqa: F811
    sign_in: SignIn,
    cast: Cast,
) -> None:
    done, open_still = work(title="Old"), work(title="Open")
    answer = sign_in(cast.alice)
    page = answer.get(f"/jobs/J-{done.number}")
    assert page.status_code == 200
    move_to(done, Role.COMPLETED)
    finished = done.finished_at
    assert finished is not None
    days = timedelta(days=retention.setting("work").days)
    assert retention.forget_some("work", finished + days - timedelta(hours=1)) == 0
    assert retention.forget_some("work", finished + days + timedelta(hours=1)) == 1
    assert list(db.session.scalars(select(WorkItem.title))) == ["Open"]
    assert set(db.session.scalars(select(WorkMove.item_id))) == {open_still.id}
    assert retention.forget_some("work", finished + days + timedelta(hours=1)) == 0


@pytest.mark.usefixtures("quote")
def test_a_company_that_goes_takes_its_work_along(work: Book, cast: Cast) -> None:  # noqa: F811
    work(title="Another")
    (eraser,) = (each for each in erasure.erasers_of(ExportKind.COMPANY) if each.name == "work")
    assert eraser.count(cast.a.id) == 2
    assert eraser.erase(cast.a.id, clock.utcnow()) == 2
    for model in (WorkItem, WorkMove, QuoteOffer, Message):
        assert db.session.scalar(select(func.count()).select_from(model)) == 0
