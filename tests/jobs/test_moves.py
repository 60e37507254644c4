"""Making items and moving them: numbers, refusals, what is told to whom, and many at once."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal import events
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.jobs import actions, queries
from portal.jobs.actions import Outcome
from portal.jobs.models import WorkItem, WorkMove, WorkNotice
from portal.jobs.rules import Role, Showing, WorkKind, written_number
from tests.conftest import NOW, Cast, counted_queries
from tests.jobs.conftest import OLAF, Make, role, save, settings, shown

LATER = NOW + timedelta(hours=3)


def rung() -> set[str]:
    """The topics noted since the last commit."""
    found: set[str] = db.session.info.get("topics", set())
    return set(found)


def test_what_is_booked_lands_in_requested_with_a_number_of_its_kind(cast: Cast) -> None:
    job = actions.create_item(WorkKind.JOB, " Move  it ", company_id=cast.a.id, by=OLAF, now=NOW)
    quote = actions.create_item(WorkKind.QUOTE, "Price it", company_id=cast.a.id, by=OLAF, now=NOW)
    again = actions.create_item(WorkKind.JOB, "Move it again", company_id=cast.b.id, by=OLAF, now=NOW)
    assert [written_number(each.kind, each.number) for each in (job, quote, again)] == ["J-1001", "Q-1001", "J-1002"]
    assert (job.title, job.status_id, shown(job)) == ("Move it", role(Role.REQUESTED).id, ("Requested", NOW))
    assert db.session.scalars(select(WorkMove.told_name).where(WorkMove.item_id == job.id)).all() == ["Requested"]


def test_sent_twice_it_is_the_one_that_is_there(cast: Cast) -> None:
    book: dict[str, Any] = {"company_id": cast.a.id, "by": OLAF, "now": NOW, "idempotency_key": "k1"}
    first = actions.create_item(WorkKind.JOB, "Move it", **book)
    assert actions.create_item(WorkKind.JOB, "Move it", **book) is first
    assert len(db.session.scalars(select(WorkItem)).all()) == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"title": "  "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "ok", "site": "x" * 301}, "site"),
        ({"title": "ok", "description": "x" * 20_001}, "description"),
        ({"title": "ok", "starts_at": NOW, "ends_at": NOW - timedelta(hours=1)}, "ends_at"),
        ({"title": "ok", "status_id": 999_999}, "status"),
    ],
)
def test_what_cannot_be_made_says_why(cast: Cast, values: dict[str, object], field: str) -> None:
    given: dict[str, Any] = {"company_id": cast.a.id, "by": OLAF, "now": NOW, **values}
    with pytest.raises(RuleViolation) as refused:
        actions.create_item(WorkKind.JOB, **given)
    assert refused.value.field == field


def test_a_move_customers_see_rings_them_and_waits_to_be_mailed(make: Make, cast: Cast) -> None:
    item = make()
    db.session.query(WorkNotice).delete()
    events.commit()
    moved = actions.move(item, role(Role.SCHEDULED).id, by=OLAF, now=LATER)
    assert (moved.outcome, moved.is_seen, shown(item)) == (Outcome.MOVED, True, ("Scheduled", LATER))
    number = written_number(item.kind, item.number)
    assert rung() == {events.STAFF, events.company_topic(cast.a.id), events.item_topic("job", number)}
    notice = db.session.scalars(select(WorkNotice)).one()
    assert (notice.from_public_status_id, notice.due_at) == (role(Role.REQUESTED).id, LATER + actions.NOTICE_AFTER)
    actions.move(item, role(Role.IN_PROGRESS).id, by=OLAF, now=LATER + timedelta(minutes=1))
    db.session.refresh(notice)
    assert (notice.from_public_status_id, notice.due_at) == (role(Role.REQUESTED).id, LATER + actions.NOTICE_AFTER)


@pytest.mark.parametrize("showing", [Showing.HIDDEN, Showing.MAPPED])
def test_a_move_customers_do_not_see_leaves_no_trace_for_them(make: Make, showing: Showing) -> None:
    target = role(Role.SCHEDULED).id if showing is Showing.MAPPED else None
    save(replace(role(Role.ON_HOLD), showing=showing, mapped_to_id=target))
    item = make(Role.SCHEDULED)
    db.session.query(WorkNotice).delete()
    events.commit()
    revision = item.public_revision
    moved = actions.move(item, role(Role.ON_HOLD).id, by=OLAF, now=LATER, reason="They did not pay")
    assert (moved.outcome, moved.is_seen) == (Outcome.MOVED, False)
    assert (shown(item), item.public_revision) == (("Scheduled", NOW), revision)
    assert rung() == {events.STAFF}
    assert db.session.scalars(select(WorkNotice)).all() == []
    assert item.status_since == LATER


def test_staff_read_later_what_was_told_then(make: Make) -> None:
    item = make(Role.SCHEDULED)
    save(replace(role(Role.SCHEDULED), portal_name="Planned"), now=LATER)
    told = db.session.scalars(select(WorkMove.told_name).where(WorkMove.item_id == item.id)).all()
    assert (told, shown(item)[0]) == (["Scheduled"], "Planned")


def test_finished_work_is_taken_up_again_for_a_reason_only(make: Make) -> None:
    item = make(Role.COMPLETED)

    def finished_at() -> datetime | None:
        return item.finished_at

    assert finished_at() == NOW
    with pytest.raises(RuleViolation, match="It is finished"):
        actions.move(item, role(Role.IN_PROGRESS).id, by=OLAF, now=LATER)
    actions.move(item, role(Role.IN_PROGRESS).id, by=OLAF, now=LATER, reason="It broke again")
    assert finished_at() is None
    actions.move(item, role(Role.COMPLETED).id, by=OLAF, now=LATER + timedelta(hours=1))
    actions.move(item, role(Role.CANCELLED).id, by=OLAF, now=LATER + timedelta(hours=2))
    assert finished_at() == LATER + timedelta(hours=1)


def test_an_archived_status_takes_nothing_more(make: Make) -> None:
    item, held = make(Role.SCHEDULED), make(Role.ON_HOLD)
    save(replace(role(Role.ON_HOLD), is_archived=True))
    with pytest.raises(RuleViolation, match="in use"):
        actions.move(item, role(Role.ON_HOLD).id, by=OLAF, now=LATER)
    assert shown(held)[0] == "On hold"


def test_a_stale_move_is_refused(make: Make) -> None:
    item = make()
    version = item.version
    actions.move(item, role(Role.SCHEDULED).id, by=OLAF, now=LATER, version=version)
    with pytest.raises(StaleEdit):
        actions.move(item, role(Role.COMPLETED).id, by=OLAF, now=LATER, version=version)


def test_many_are_moved_and_each_says_what_became_of_it(make: Make) -> None:
    moved, same, stale, done = make(), make(Role.SCHEDULED), make(), make(Role.COMPLETED)
    quote = make(kind=WorkKind.QUOTE)
    versions = {each.id: each.version for each in (moved, same, stale, done, quote)}
    versions[stale.id] += 1
    versions[999_999] = 1
    results = actions.move_many(WorkKind.JOB, versions, role(Role.SCHEDULED).id, by=OLAF, now=LATER)
    assert [each.item_id for each in results] == list(versions)
    assert [each.outcome for each in results] == [
        Outcome.MOVED,
        Outcome.UNCHANGED,
        Outcome.STALE,
        Outcome.REFUSED,
        Outcome.MISSING,
        Outcome.MISSING,
    ]
    assert [bool(each.sentence) for each in results] == [False, False, True, True, True, True]
    assert [shown(each)[0] for each in (moved, same, stale, done)] == [
        "Scheduled",
        "Scheduled",
        "Requested",
        "Completed",
    ]
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.action == "job.move")).all()) == 1


def test_moving_many_asks_as_much_as_moving_few(make: Make) -> None:
    items = [make() for _ in range(30)]
    db.session.commit()
    scheduled, progress = role(Role.SCHEDULED).id, role(Role.IN_PROGRESS).id

    def asked(count: int, target: int) -> int:
        versions = {each.id: each.version for each in items[:count]}
        with counted_queries() as statements:
            actions.move_many(WorkKind.JOB, versions, target, by=SYSTEM, now=LATER)
        return len([each for each in statements if not each.startswith(("UPDATE", "INSERT"))])

    assert asked(3, scheduled) == asked(30, progress)


def test_the_view_of_now_and_that_of_a_day(make: Make) -> None:
    item = make()
    actions.move(item, role(Role.SCHEDULED).id, by=OLAF, now=LATER)
    save(replace(role(Role.SCHEDULED), portal_name="Planned"), now=LATER + timedelta(hours=1))
    assert [event.status.name for event in queries.public_view(item).events] == ["Requested", "Planned"]
    assert [event.status.name for event in queries.public_view(item, LATER).events] == ["Requested", "Scheduled"]
    assert [event.status.name for event in queries.public_view(item, NOW).events] == ["Requested"]
    assert not queries.public_view(item, NOW - timedelta(hours=1)).is_in_portal


def test_a_save_holds_the_settings_against_a_second_one(make: Make) -> None:
    make()
    version = settings().version
    rows = settings().table.rows
    actions.save_table(WorkKind.JOB, rows, version=version, by=OLAF, now=NOW)
    with pytest.raises(StaleEdit):
        actions.save_table(WorkKind.JOB, rows, version=version, by=OLAF, now=NOW)


def test_rows_that_are_not_those_that_are_there_are_a_stale_save(cast: Cast) -> None:
    present = settings()
    with pytest.raises(StaleEdit):
        actions.save_table(WorkKind.JOB, present.table.rows[:-1], version=present.version, by=OLAF, now=NOW)


def test_a_save_rings_only_the_companies_whose_view_changed(make: Make, cast: Cast) -> None:
    make(Role.SCHEDULED)
    make(Role.ON_HOLD, company_id=cast.b.id)
    events.commit()
    present = settings()
    wanted = [
        replace(row, portal_name="Planned") if row.role is Role.SCHEDULED else replace(row, name=f"{row.name}!")
        for row in present.table.rows
    ]
    actions.save_table(WorkKind.JOB, wanted, version=present.version, by=OLAF, now=LATER)
    assert rung() == {events.STAFF, events.company_topic(cast.a.id)}
