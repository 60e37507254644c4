"""Customers are mailed of changes they can see, in their own words and once; staff of what customers do."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from portal import events
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.files.actions import Giver
from portal.jobs import actions, mails, queries
from portal.jobs.actions.booking import Wanted, book
from portal.jobs.models import WorkItem, WorkNotice
from portal.jobs.rules import Role, Showing, WorkKind
from portal.jobs.subjects import ref_of
from portal.messages.actions import write
from portal.notifications.actions.preferences import choose_for_person
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import DeliveryState
from tests.conftest import NOW, Cast
from tests.customer.jobs.conftest import OLAF, Book, work  # noqa: F401 (fixtures are found by name)
from tests.jobs.conftest import role, save
from workers import tasks

LATER = NOW + actions.NOTICE_AFTER


def move(item: WorkItem, wanted: Role, minutes: int = 0) -> None:
    status_id = queries.settings_of(item.kind).table.with_role(wanted).id
    actions.move(item, status_id, by=OLAF, now=NOW + timedelta(minutes=minutes), reason="Because")
    events.commit()


def sent(now: datetime = LATER) -> Sequence[tuple[str, Delivery]]:
    """Mail what is due; every mail with its broadcast's subject in the language of the reader."""
    mails.mail_notices(now)
    events.commit()
    rows = db.session.execute(
        select(Broadcast, Delivery).join(Delivery, Delivery.broadcast_id == Broadcast.id).order_by(Delivery.id)
    )
    return [(broadcast.content[delivery.wording]["subject"], delivery) for broadcast, delivery in rows]


@pytest.fixture
def job(cast: Cast, work: Book) -> WorkItem:  # noqa: F811
    item = work(now=NOW - timedelta(days=1), contact_id=cast.alice.id)
    mails.mail_notices(NOW)
    events.commit()
    return item


class TestStatuses:
    def test_a_visible_change_is_mailed_in_the_customers_words_and_language(self, cast: Cast, job: WorkItem) -> None:
        save(replace(role(Role.SCHEDULED), name="CREWB", portal_name="Geplant"), now=NOW)
        cast.alice.language, cast.alice.time_zone = "de", "Europe/Berlin"
        job.starts_at = NOW + timedelta(days=1)
        move(job, Role.SCHEDULED)
        assert sent(NOW) == [], "it waits for further changes"
        ((subject, delivery),) = sent()
        assert delivery.address == cast.alice.email
        assert subject == "{{number}} {{title}}: {{status}}"
        values = delivery.values
        assert (values["status"], values["number"]) == ("Geplant", f"J-{job.number}")
        assert "13:00" in values["window"], "in the reader's zone"
        text = db.session.scalars(select(Broadcast)).one().content["de"]["text"]
        assert "Der Stand ist jetzt" in text
        assert "CREWB" not in f"{text}{values}"
        assert len(sent()) == 1, "once"

    def test_several_within_a_short_time_are_one(self, job: WorkItem) -> None:
        move(job, Role.SCHEDULED)
        move(job, Role.IN_PROGRESS, minutes=1)
        ((_subject, delivery),) = sent()
        assert delivery.values["status"] == "In progress"

    def test_back_where_it_was_is_no_change(self, job: WorkItem) -> None:
        move(job, Role.SCHEDULED)
        move(job, Role.REQUESTED, minutes=1)
        assert sent() == []
        assert db.session.scalars(select(WorkNotice)).all() == []

    def test_hidden_moves_and_equal_names_are_no_change(self, job: WorkItem) -> None:
        save(
            replace(role(Role.ON_HOLD), showing=Showing.HIDDEN),
            replace(role(Role.SCHEDULED), portal_name="Requested"),
            now=NOW,
        )
        move(job, Role.ON_HOLD)
        move(job, Role.SCHEDULED)
        assert sent() == []

    def test_a_status_that_is_not_mailed_is_not(self, job: WorkItem) -> None:
        save(replace(role(Role.SCHEDULED), is_mailed=False), now=NOW)
        move(job, Role.SCHEDULED)
        assert sent() == []

    def test_a_save_of_the_settings_mails_nobody_unless_it_is_ticked(self, cast: Cast, job: WorkItem) -> None:
        save(replace(role(Role.REQUESTED), portal_name="Received", is_mailed=True), now=NOW)
        assert sent() == []
        save(replace(role(Role.REQUESTED), portal_name="With us"), now=NOW, tell=True)
        ((_subject, delivery),) = sent()
        assert (delivery.address, delivery.values["status"]) == (cast.alice.email, "With us")

    def test_many_items_of_one_customer_are_one_mail(self, cast: Cast, work: Book) -> None:  # noqa: F811
        jobs = [work(now=NOW, contact_id=cast.alice.id, title=f"Job {n}") for n in range(3)]
        mails.mail_notices(LATER)
        for each in jobs:
            move(each, Role.SCHEDULED)
        ((subject, delivery),) = sent()
        assert subject == "{{count}} of your jobs have changed"
        assert [line.partition(" ")[2] for line in delivery.values["items"].splitlines()] == [
            f"Job {n}: Scheduled" for n in range(3)
        ]

    def test_where_the_area_is_closed_nobody_is_mailed(self, cast: Cast, job: WorkItem) -> None:
        domains.set_areas(cast.domain_a, set(Area) - {Area.JOBS}, version=cast.domain_a.version, by=SYSTEM, now=NOW)
        move(job, Role.SCHEDULED)
        assert sent() == []

    def test_who_does_not_want_to_hear_of_jobs_does_not(self, cast: Cast, job: WorkItem) -> None:
        choose_for_person(cast.alice, {"jobs": False}, by=SYSTEM, now=NOW)
        move(job, Role.SCHEDULED)
        ((_subject, delivery),) = sent()
        assert delivery.state is DeliveryState.SUPPRESSED

    def test_the_beat_and_the_pulse_find_what_is_due(self, job: WorkItem, monkeypatch: pytest.MonkeyPatch) -> None:
        move(job, Role.SCHEDULED)
        woken: list[str] = []
        monkeypatch.setattr(tasks, "utcnow", lambda: LATER)
        monkeypatch.setattr(events, "wake", lambda name, *_arguments: woken.append(name))
        tasks.beat()
        assert "mail_work" in woken
        tasks._mail_work_that_is_due()
        assert db.session.scalars(select(WorkNotice)).all() == []


class TestMessages:
    def test_staffs_is_mailed_to_the_contact_a_note_to_nobody(self, cast: Cast, job: WorkItem) -> None:
        olaf = Giver(cast.olaf.id, "Olaf", None)
        write(ref_of(job), "SECRETNOTE", olaf, key="1", now=NOW, is_internal=True)
        assert sent() == []
        write(ref_of(job), "We come at nine.", olaf, key="2", now=NOW)
        ((subject, delivery),) = sent()
        assert delivery.address == cast.alice.email
        assert subject == "{{number}} {{title}}: a message for you"
        assert delivery.values["message"] == "We come at nine."

    def test_a_customers_reaches_whoever_is_assigned(self, cast: Cast, job: WorkItem) -> None:
        alice = Giver(cast.alice.id, "Alice", cast.a.id)
        write(ref_of(job), "When?", alice, key="1", now=NOW)
        assert sent() == []
        job.assignee_id = cast.olaf.id
        write(ref_of(job), "When, please?", alice, key="2", now=NOW)
        ((_subject, delivery),) = sent()
        assert (delivery.address, delivery.values["text"]) == (cast.olaf.email, "When, please?")

    def test_of_what_is_hidden_nothing_is_mailed(self, cast: Cast, work: Book) -> None:  # noqa: F811
        draft = work(Role.DRAFT, kind=WorkKind.QUOTE, contact_id=cast.alice.id)
        write(ref_of(draft), "Too early", Giver(cast.olaf.id, "Olaf", None), key="1", now=NOW)
        assert sent() == []


def test_staff_hear_of_what_is_booked_at_once(cast: Cast, job: WorkItem) -> None:
    giver = Giver(cast.alice.id, "Alice", cast.a.id)
    book(WorkKind.JOB, Wanted("Move it"), giver, key="k", by=OLAF, now=NOW)
    ((_subject, delivery),) = sent()
    assert delivery.address == cast.olaf.email
    assert delivery.values["words"] == "was booked by Alice"
