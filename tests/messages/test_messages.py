"""Threads: who writes, who reads, who waits for whom, and what becomes of it all."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from portal import events
from portal.accounts.actions.anonymise import anonymise_person
from portal.accounts.rules import STAFF, Viewpoint
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.files.actions import Giver
from portal.messages import actions, queries, telling
from portal.messages.models import Message, Thread
from portal.messages.rules import BODY_LENGTH, MESSAGES_AN_HOUR, SHOWN, waits_since
from portal.messages.telling import Written
from portal.records import retention
from portal.records.parts import parts_about
from portal.records.rules.exports import ExportKind
from tests.conftest import NOW, Cast, counted_queries
from tests.support.cases import Cases, case, make_known

LATER = timedelta(minutes=10)


@pytest.fixture
def cases(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Cases:
    return make_known(monkeypatch, {1: cast.a.id, 2: cast.b.id, 3: cast.a.id})


@pytest.fixture
def alice(cast: Cast, cases: Cases) -> Giver:
    return Giver(cast.alice.id, cast.alice.name, cast.a.id)


@pytest.fixture
def olaf(cast: Cast, cases: Cases) -> Giver:
    return Giver(cast.olaf.id, cast.olaf.name, None)


def write(giver: Giver, body: str, *, to: int = 1, now: datetime = NOW, **more: Any) -> Message:
    return actions.write(case(to), body, giver, key=more.pop("key", body), now=now, **more)


def waiting(case_id: int = 1) -> datetime | None:
    return queries.waiting_among("case", [case_id]).get(case_id)


def read(viewpoint: Viewpoint, case_id: int = 1, **more: Any) -> list[str]:
    found = queries.conversation(viewpoint, case(case_id), person_id=None, **more)
    assert found is not None
    return [line.body for line in found.lines]


def test_a_customer_waits_until_staff_have_answered(alice: Giver, olaf: Giver) -> None:
    write(alice, "Where are you?")
    assert waiting() == NOW
    write(alice, "Hello?", now=NOW + LATER)
    assert waiting() == NOW, "since the first that nobody has answered"
    write(olaf, "He is new here.", now=NOW + 2 * LATER, is_internal=True)
    assert waiting() == NOW, "a note is no answer"
    write(olaf, "In an hour.", now=NOW + 3 * LATER)
    assert waiting() is None
    write(alice, "Thanks.", now=NOW + 4 * LATER)
    assert waiting() == NOW + 4 * LATER
    assert queries.count_waiting() == 1
    assert queries.waiting(10) == [queries.Waiting(case(1), NOW + 4 * LATER, "Alice", "Thanks.")]


def test_staff_say_that_nothing_needs_an_answer(alice: Giver, olaf: Giver) -> None:
    write(alice, "Thanks.")
    actions.settle(case(1), by=Actor("olaf@people.test", olaf.person_id), now=NOW)
    assert waiting() is None
    assert db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id.desc())).first() == "thread.settle"
    actions.settle(case(1), by=SYSTEM, now=NOW)
    actions.settle(case(3), by=SYSTEM, now=NOW)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=12))
def test_who_waits_is_what_was_said_since_staff_spoke_last(said: list[tuple[bool, int]]) -> None:
    public = [(is_staff, NOW + timedelta(seconds=at)) for is_staff, at in said]
    last = max((number for number, (is_staff, _at) in enumerate(public) if is_staff), default=-1)
    rest = public[last + 1 :]
    assert waits_since(public) == (rest[0][1] if rest else None)


def test_notes_are_for_staff_alone(alice: Giver, olaf: Giver, cast: Cast) -> None:
    write(olaf, "CANARY note", is_internal=True)
    company = Viewpoint(company_id=cast.a.id)
    empty = queries.conversation(company, case(1), person_id=cast.alice.id)
    assert empty is not None
    assert (list(empty.lines), empty.earlier, empty.waits_since) == ([], None, None)
    write(alice, "Mine")
    write(olaf, "Yours")
    assert read(company) == ["Mine", "Yours"]
    assert read(STAFF) == ["CANARY note", "Mine", "Yours"]
    thread = db.session.scalars(select(Thread)).one()
    assert thread.last_public_at == NOW
    with pytest.raises(NotFound):
        write(alice, "Among us", is_internal=True)


def test_what_is_not_theirs_to_see_is_not_theirs_to_write_about(alice: Giver, cases: Cases, cast: Cast) -> None:
    for foreign in (2, 99):
        with pytest.raises(NotFound):
            write(alice, "Let me in", to=foreign)
        assert queries.conversation(alice.viewpoint, case(foreign), person_id=alice.person_id) is None
    cases.hidden.add(1)
    with pytest.raises(NotFound):
        write(alice, "And here?")
    assert db.session.scalar(select(func.count()).select_from(Thread)) == 0


def test_a_form_that_is_sent_twice_is_one_message(alice: Giver, olaf: Giver, cast: Cast) -> None:
    first = write(alice, "Once", key="form")
    again = write(alice, "Once", key="form", now=NOW + LATER)
    assert again.id == first.id
    assert waiting() == NOW
    write(olaf, "Answered", key="form", now=NOW + LATER)
    write(alice, "Once", key="form", now=NOW + 2 * LATER)
    assert waiting() is None, "the repeat of what was answered already makes nobody wait"
    assert write(alice, "Elsewhere", to=3, key="form").id != first.id
    assert write(Giver(cast.bob.id, "Bob", cast.a.id), "Me too", key="form").id != first.id
    assert db.session.scalar(select(func.count()).select_from(Message)) == 4


def test_a_message_says_something_and_not_too_much(alice: Giver) -> None:
    for body, word in (("", "Write something"), (" \n\t ", "Write something"), ("x" * (BODY_LENGTH + 1), "at most")):
        with pytest.raises(RuleViolation, match=word) as refusal:
            write(alice, body)
        assert refusal.value.field == "body"
    assert write(alice, "x" * BODY_LENGTH, key="long").body == "x" * BODY_LENGTH
    assert write(alice, "Two\r\nlines\x07 \u0000").body == "Two\nlines"


def test_a_flood_is_stopped_and_an_hour_later_it_is_none(alice: Giver, olaf: Giver) -> None:
    for number in range(MESSAGES_AN_HOUR):
        write(alice, f"{number}")
    with pytest.raises(RuleViolation, match="within the hour"):
        write(alice, "One more")
    write(olaf, "Calm down.")
    write(alice, "One more", now=NOW + timedelta(hours=1))


def test_a_long_thread_comes_in_pieces_that_do_not_move(alice: Giver, olaf: Giver, cast: Cast) -> None:
    for number in range(SHOWN + 7):
        write(olaf, f"{number}", now=NOW + timedelta(seconds=number))
        write(olaf, f"note {number}", is_internal=True)
    viewpoint = Viewpoint(company_id=cast.a.id)
    newest = queries.conversation(viewpoint, case(1), person_id=None)
    assert newest is not None
    assert [line.body for line in newest.lines] == [str(number) for number in range(7, SHOWN + 7)]
    write(alice, "And now this")
    older = queries.conversation(viewpoint, case(1), person_id=None, earlier=newest.earlier)
    assert older is not None
    assert [line.body for line in older.lines] == [str(number) for number in range(7)]
    assert older.earlier is None
    note = db.session.scalars(select(Message.public_id).where(Message.is_internal.is_(True))).first()
    for unknown in ("a" * 26, note or "", "'"):
        with pytest.raises(NotFound):
            queries.conversation(viewpoint, case(1), person_id=None, earlier=unknown)


def test_a_thread_costs_the_same_whatever_its_length(alice: Giver, olaf: Giver, cast: Cast) -> None:
    viewpoint = Viewpoint(company_id=cast.a.id)

    def cost() -> int:
        with counted_queries() as statements:
            queries.conversation(viewpoint, case(1), person_id=None)
        return len(statements)

    write(alice, "First")
    first = cost()
    for number in range(SHOWN):
        write(olaf, f"{number}")
    assert cost() == first == 3


def test_pages_of_the_customer_hear_only_what_they_see(alice: Giver, olaf: Giver) -> None:
    def heard() -> set[str]:
        topics: set[str] = db.session.info.pop("topics", set())
        return topics

    heard()
    write(olaf, "Between us", is_internal=True)
    assert heard() == {events.STAFF}
    write(olaf, "Hello")
    assert heard() == {events.STAFF, "item:case:C1"}
    write(alice, "Hello back")
    assert heard() == {events.STAFF, "item:case:C1"}


def test_who_has_asked_to_hear_of_messages_hears_of_public_ones(
    alice: Giver, olaf: Giver, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Written] = []
    monkeypatch.setattr(telling, "_hearers", {})
    telling.register("case", heard.append)
    write(olaf, "Between us", is_internal=True)
    write(alice, "Hello", key="k")
    write(alice, "Hello", key="k")
    write(olaf, "Hello back")
    assert [(each.body, each.is_staff, each.ref) for each in heard] == [
        ("Hello", False, case(1)),
        ("Hello back", True, case(1)),
    ]


def test_a_message_that_is_taken_back_leaves_no_words(alice: Giver, olaf: Giver, cast: Cast) -> None:
    first = write(alice, "CANARY password is 1234")
    write(alice, "Please answer", now=NOW + LATER)
    actions.delete_message(first, case(1), by=Actor("olaf@people.test", olaf.person_id), now=NOW + LATER)
    assert read(STAFF) == ["Please answer"]
    assert waiting() == NOW + LATER
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "message.delete")).one()
    assert "CANARY" not in f"{entry.before}{entry.after}"
    assert (entry.before or {})["about"] == "Case 1"


def test_what_was_written_about_something_deleted_is_gone(alice: Giver, olaf: Giver) -> None:
    write(alice, "Kept", to=3)
    write(alice, "Gone")
    actions.delete_of_subjects("case", [1], NOW)
    assert read(STAFF) == []
    assert read(STAFF, 3) == ["Kept"]


def test_an_export_holds_what_they_could_read(alice: Giver, olaf: Giver, cast: Cast) -> None:
    write(alice, "Mine")
    write(olaf, "Yours")
    write(olaf, "CANARY note", is_internal=True)
    write(Giver(cast.charlie.id, "Charlie", cast.b.id), "CANARY of B", to=2)
    for kind, subject_id, wanted in (
        (ExportKind.COMPANY, cast.a.id, ["Mine", "Yours"]),
        (ExportKind.PERSON, cast.alice.id, ["Mine"]),
        (ExportKind.PERSON, cast.olaf.id, ["Yours"]),
    ):
        part = next(each for each in parts_about(kind) if each.name == "messages")
        assert [row["text"] for row in part.rows(subject_id, NOW)] == wanted


def test_somebody_who_is_forgotten_leaves_words_without_a_name(alice: Giver, cast: Cast) -> None:
    write(alice, "Hello")
    version = cast.alice.version
    anonymise_person(cast.alice, "alice@people.test", version=version, by=Actor("root", cast.root.id), now=NOW)
    found = queries.conversation(STAFF, case(1), person_id=None)
    assert found is not None
    assert [(line.author, line.body) for line in found.lines] == [("Former person", "Hello")]


def test_old_messages_are_forgotten_when_their_time_has_come(alice: Giver) -> None:
    write(alice, "Old")
    days = timedelta(days=retention.setting("messages").days)
    write(alice, "New", now=NOW + timedelta(days=2))
    assert retention.forget_some("messages", NOW + days + timedelta(days=1)) == 1
    assert read(STAFF) == ["New"]
    assert retention.forget_some("messages", NOW + days + timedelta(days=1)) == 0
