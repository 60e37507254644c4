"""What is stored with items is what the fold makes of their past, whatever is moved and saved in whatever order."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.jobs import actions, queries
from portal.jobs.models import WorkItem, WorkMove, WorkNotice
from portal.jobs.rules import (
    Category,
    Move,
    PublicStatus,
    PublicView,
    Role,
    Showing,
    StatusRow,
    StatusTable,
    Unseen,
    WorkKind,
    fold,
    resolve,
)
from tests.conftest import NOW, Cast
from tests.jobs.conftest import Make, role, save, settings, shown

COLOURS = ("#2457d6", "#15803d", "#dc2626")
NAMES = ("Open", "With us", "Sent", "Done")


class Walk:
    """A random walk over moves and saves, with what a customer was shown after each step."""

    def __init__(self, seed: int, cast: Cast) -> None:
        self.dice = random.Random(seed)  # noqa: S311 (dice, and the same ones each time)
        self.now = NOW
        self.companies = [cast.a.id, cast.b.id]
        self.seen: dict[int, list[tuple[datetime, PublicView]]] = {}

    def step(self) -> None:
        self.now += timedelta(minutes=self.dice.randint(1, 90))
        kind = self.dice.choices([self.make, self.move, self.change, self.add, self.delete], [2, 6, 6, 1, 1])[0]
        try:
            kind()
        except actions.TableRefused:
            events_undone()
        db.session.commit()

    def table(self) -> StatusTable:
        return settings().table

    def make(self) -> None:
        status = self.dice.choice(self.table().live)
        company = self.dice.choice(self.companies)
        actions.create_item(WorkKind.JOB, "A job", company_id=company, status_id=status.id, by=SYSTEM, now=self.now)

    def move(self) -> None:
        items = db.session.scalars(select(WorkItem).order_by(WorkItem.id)).all()
        if items:
            status = self.dice.choice(self.table().live)
            actions.move(self.dice.choice(items), status.id, by=SYSTEM, now=self.now, reason="Why not")

    def change(self) -> None:
        rows = list(self.table().rows)
        for place in self.dice.sample(range(len(rows)), self.dice.randint(1, 3)):
            rows[place] = self.changed(rows[place], rows)
        if self.dice.random() < 0.4:
            self.dice.shuffle(rows)
        self.save(rows)

    def changed(self, row: StatusRow, rows: list[StatusRow]) -> StatusRow:
        showing = self.dice.choice(list(Showing))
        return replace(
            row,
            showing=showing,
            mapped_to_id=self.dice.choice(rows).id if showing is Showing.MAPPED else None,
            portal_name=self.dice.choice([*NAMES, row.name]),
            portal_color=self.dice.choice([None, *COLOURS]),
        )

    def add(self) -> None:
        rows = list(self.table().rows)
        name = f"Status {len(rows)}"
        new = StatusRow(id=-1, role=None, category=Category.UNDER_WAY, name=name, color="#0f8b8d")
        rows.insert(self.dice.randint(0, len(rows)), new)
        self.save(rows)

    def delete(self) -> None:
        table = self.table()
        custom = [row for row in table.live if not row.is_system]
        if custom:
            doomed = self.dice.choice(custom)
            other = self.dice.choice([row for row in table.live if row != doomed])
            actions.delete_status(
                WorkKind.JOB,
                doomed.id,
                replacement_id=other.id,
                version=settings().version,
                by=SYSTEM,
                now=self.now,
            )

    def save(self, rows: list[StatusRow]) -> None:
        actions.save_table(WorkKind.JOB, rows, version=settings().version, by=SYSTEM, now=self.now)

    def hold(self) -> None:
        """Every item is stored as the pure fold says, and is remembered as it was seen."""
        table, saves = self.table(), queries.revisions(WorkKind.JOB)
        assert saves[-1].table == table
        for item in db.session.scalars(select(WorkItem)):
            moves = db.session.scalars(select(WorkMove).where(WorkMove.item_id == item.id).order_by(WorkMove.id))
            view = fold([Move(each.status_id, each.at, each.revision) for each in moves], saves)
            stored = (item.public_status_id, item.public_since)
            assert stored == (view.status.id if view.status else None, view.since)
            assert queries.public_view(item) == view
            assert (item.finished_at is not None) == table.by_id[item.status_id].category.is_terminal
            self.seen.setdefault(item.id, []).append((self.now, view))


def events_undone() -> None:
    db.session.rollback()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_stored_is_what_the_fold_says_after_any_moves_and_saves(cast: Cast, seed: int) -> None:
    walk = Walk(seed, cast)
    for _ in range(3):
        walk.make()
    for _ in range(20):
        walk.step()
        db.session.expire_all()
        walk.hold()


def test_many_items_follow_in_parts(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.jobs.actions.carry.AT_ONCE", 2)
    walk = Walk(7, cast)
    for _ in range(5):
        walk.make()
    for _ in range(20):
        walk.step()
        db.session.expire_all()
        walk.hold()


@pytest.mark.parametrize("seed", [101, 102])
def test_time_travel_shows_what_was_shown_on_that_day(cast: Cast, seed: int) -> None:
    walk = Walk(seed, cast)
    walk.make()
    for _ in range(16):
        walk.step()
        db.session.expire_all()
        walk.hold()
    for item_id, snapshots in walk.seen.items():
        item = db.session.get_one(WorkItem, item_id)
        for moment, view in snapshots:
            assert queries.public_view(item, moment) == view


def test_a_rename_leaves_dates_alone_and_reaches_every_item(make: Make) -> None:
    item = make()
    saved = save(replace(role(Role.REQUESTED), portal_name="Submitted"), now=NOW + timedelta(days=1))
    assert saved.items == 1
    assert shown(item) == ("Submitted", NOW)


def test_on_hold_shown_as_sent_joins_what_was_sent_before(make: Make) -> None:
    """The brief's own example."""
    kind = WorkKind.QUOTE
    item = make(Role.SENT, kind=kind)
    actions.move(item, role(Role.ON_HOLD, kind).id, by=SYSTEM, now=NOW + timedelta(hours=2))
    assert shown(item) == ("On hold", NOW + timedelta(hours=2))
    mapped = replace(role(Role.ON_HOLD, kind), showing=Showing.MAPPED, mapped_to_id=role(Role.SENT, kind).id)
    assert save(mapped, kind=kind, now=NOW + timedelta(days=1)).items == 1
    assert shown(item) == ("Sent", NOW)
    save(replace(mapped, showing=Showing.ITSELF, mapped_to_id=None), kind=kind, now=NOW + timedelta(days=2))
    assert shown(item) == ("On hold", NOW + timedelta(hours=2))


def test_hiding_brings_back_the_status_before_and_unhiding_counts_from_the_save(make: Make) -> None:
    item, never = make(Role.SCHEDULED), make(Role.ON_HOLD)
    actions.move(item, role(Role.ON_HOLD).id, by=SYSTEM, now=NOW + timedelta(hours=2))
    save(replace(role(Role.ON_HOLD), showing=Showing.HIDDEN), now=NOW + timedelta(days=1))
    assert shown(item) == ("Scheduled", NOW)
    assert shown(never) == (None, None)
    later = make(Role.ON_HOLD, now=NOW + timedelta(days=2))
    assert shown(later) == (None, None)
    save(replace(role(Role.ON_HOLD), showing=Showing.ITSELF), now=NOW + timedelta(days=3))
    assert shown(later) == ("On hold", NOW + timedelta(days=3))
    assert shown(item) == ("On hold", NOW + timedelta(hours=2))
    assert shown(never) == ("On hold", NOW)


def test_a_save_mails_nobody_unless_staff_tick_it(make: Make) -> None:
    make(), make(Role.SCHEDULED), make(Role.COMPLETED)
    db.session.query(WorkNotice).delete()
    save(replace(role(Role.SCHEDULED), portal_name="Planned"))
    assert db.session.scalars(select(WorkNotice)).all() == []
    save(replace(role(Role.SCHEDULED), portal_color="#15803d"), tell=True)
    assert db.session.scalars(select(WorkNotice)).all() == []
    save(
        replace(role(Role.SCHEDULED), portal_name="Booked in"),
        replace(role(Role.COMPLETED), portal_name="All done"),
        tell=True,
    )
    assert len(db.session.scalars(select(WorkNotice)).all()) == 1


def test_hiding_with_the_tick_mails_those_who_see_something_else(make: Make) -> None:
    item, gone = make(Role.SCHEDULED), make(Role.ON_HOLD)
    actions.move(item, role(Role.ON_HOLD).id, by=SYSTEM, now=NOW)
    db.session.query(WorkNotice).delete()
    assert save(replace(role(Role.ON_HOLD), showing=Showing.HIDDEN), tell=True).items == 2
    assert [each.item_id for each in db.session.scalars(select(WorkNotice))] == [item.id]
    assert shown(gone) == (None, None)


def test_what_hides_the_whole_item_takes_it_out_and_gives_it_back(make: Make) -> None:
    item = make(Role.SCHEDULED)
    actions.move(item, role(Role.IN_PROGRESS).id, by=SYSTEM, now=NOW + timedelta(hours=1))
    save(replace(role(Role.IN_PROGRESS), showing=Showing.ITEM_HIDDEN))
    assert resolve(settings().table, role(Role.IN_PROGRESS).id) is Unseen.ITEM_HIDDEN
    assert shown(item) == (None, None)
    save(replace(role(Role.IN_PROGRESS), showing=Showing.HIDDEN))
    assert shown(item) == ("Scheduled", NOW)
    assert isinstance(resolve(settings().table, role(Role.SCHEDULED).id), PublicStatus)
