"""Notices from the first draft to the broadcast, on time and late, once and never twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from portal import clock, events
from portal.accounts import actions as accounts
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Holding
from portal.catalogue.notices import actions, queries
from portal.catalogue.notices.models import Notice
from portal.catalogue.notices.rules import (
    BODY_LENGTH,
    CHOSEN_AT_MOST,
    LATE_FROM,
    TESTS_PER_HOUR,
    TOO_LATE,
    TOPIC,
    Chosen,
    NoticeState,
    lateness,
)
from portal.domains import actions as domains
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.mails.incidents import INCIDENT
from portal.incidents.rules.telling import PRIORITY
from portal.localtime import Reading
from portal.notifications import actions as notifications
from portal.notifications.actions import suppress
from portal.notifications.kinds import kind_named
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from tests.catalogue.notices.conftest import WORDS, Firm, Write
from tests.conftest import NOW, Cast
from tests.notifications.outbox import states
from workers import tasks

LATER = NOW + timedelta(minutes=1)
BY = Actor("ada@people.test")


def wall(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type, misc]


def schedule(notice: Notice, at: datetime, zone: str = "Europe/London", reading: Reading | None = None) -> None:
    actions.schedule(notice, at, zone, reading, version=notice.version, by=BY, now=NOW)


def deliveries() -> list[Delivery]:
    return list(db.session.scalars(db.select(Delivery).order_by(Delivery.id)))


def trail() -> list[str]:
    return list(
        db.session.scalars(db.select(AuditEntry.action).where(AuditEntry.noun == "notice").order_by(AuditEntry.id))
    )


@pytest.mark.parametrize(
    ("words", "field", "sentence"),
    [
        ({"en": {"subject": " ", "body": "x"}}, "subject", "Give it a subject."),
        ({"en": {"subject": "x", "body": "\n"}}, "body", "Write what they should know."),
        ({"en": {"subject": "x" * 201, "body": "x"}}, "subject", "at most 200"),
        ({"en": {"subject": "x", "body": "x" * (BODY_LENGTH + 1)}}, "body", "at most 20,000"),
        ({"en": {"subject": "{{ config }}", "body": "x"}}, "subject", "no variable “config”"),
        ({"en": {"subject": "x", "body": "{% if %}"}}, "body", "template language"),
        ({"en": {"subject": "=?utf-8?q?a?=", "body": "x"}}, "subject", "encoded word"),
        ({"en": {"subject": "x", "body": "[a]({{name}})"}}, "body", "cannot lead to {{name}}"),
        ({**WORDS, "de": {"subject": "x", "body": ""}}, "body_de", "in German too"),
        ({**WORDS, "de": {"subject": "", "body": "x"}}, "subject_de", "in German too"),
        ({**WORDS, "de": {"subject": "x", "body": "{{ wer }}"}}, "body_de", "no variable “wer”"),
    ],
)
def test_what_cannot_be_sent_is_not_saved(
    firm: Firm, write: Write, words: dict[str, dict[str, str]], field: str, sentence: str
) -> None:
    with pytest.raises(RuleViolation) as refusal:
        write(Chosen(everyone=True), words)
    assert refusal.value.field == field
    assert sentence in refusal.value.sentence


def test_what_is_not_there_cannot_be_chosen(firm: Firm, write: Write) -> None:
    for kind in ("companies", "services", "components", "domains"):
        with pytest.raises(RuleViolation) as refusal:
            write(Chosen.by_kind({kind: [2**31 - 1]}))
        assert refusal.value.field == kind
    with pytest.raises(RuleViolation, match=str(CHOSEN_AT_MOST)):
        write(Chosen.of(companies=range(1, CHOSEN_AT_MOST + 2)))


def test_a_subject_is_one_line_whatever_was_pasted(firm: Firm, write: Write) -> None:
    notice = write(Chosen(everyone=True), {"en": {"subject": "a\r\nBcc: x@y.test", "body": "x"}})
    assert notice.wordings["en"]["subject"] == "a Bcc: x@y.test"


def test_sent_in_each_readers_language_and_only_once(firm: Firm, write: Write) -> None:
    notice = write(Chosen(everyone=True))
    broadcast = actions.send(notice, version=notice.version, by=BY, now=LATER)
    assert actions.send(notice, version=1, by=BY, now=LATER) is broadcast
    assert (broadcast.kind, broadcast.topic, broadcast.title) == ("notice", TOPIC, "News for {{company}}")
    found = {each.name: each for each in deliveries()}
    assert {name: each.wording for name, each in found.items()} == {
        "Alice": "en",
        "Bob": "en",
        "Carla": "de",
        "Charlie": "en",
        "Dora": "en",
    }
    assert found["Alice"].values["services"] == "Telephony (T-1)"
    assert found["Alice"].values["portal_url"] == "http://a.portal.test"
    assert (notice.state, notice.broadcast_id) == (NoticeState.SENT, broadcast.id)
    assert trail() == ["notice.add", "notice.send"]
    with pytest.raises(RuleViolation, match="has been sent"):
        actions.edit(notice, WORDS, Chosen(), version=notice.version, by=BY, now=LATER)


def test_after_everything_about_incidents(firm: Firm, write: Write) -> None:
    notice = write(Chosen(everyone=True))
    broadcast = actions.send(notice, version=notice.version, by=BY, now=LATER)
    assert broadcast.priority > INCIDENT.priority + max(PRIORITY.values())


def test_who_has_left_the_list_gets_none_and_a_closed_area_stops_nothing(firm: Firm, write: Write) -> None:
    domains.set_areas(firm.cast.domain_a, [], version=firm.cast.domain_a.version, by=SYSTEM, now=NOW)
    notifications.unsubscribe(firm.cast.alice.email, TOPIC, firm.cast.alice.id, now=NOW)
    notice = write(Chosen.of(companies=[firm.cast.a.id]))
    actions.send(notice, version=notice.version, by=BY, now=LATER)
    assert {each.name: each.state.value for each in deliveries()} == {
        "Alice": "suppressed",
        "Bob": "pending",
        "Dora": "pending",
    }


def test_nobody_is_nobody_to_send_to(firm: Firm, write: Write) -> None:
    empty = write(Chosen())
    for act in (
        lambda: actions.send(empty, version=empty.version, by=BY, now=NOW),
        lambda: schedule(empty, wall(2027, 1, 1, 9, 0)),
    ):
        with pytest.raises(RuleViolation, match="Choose whom it goes to"):
            act()
    suppress(firm.carla.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    unreachable = write(Chosen.of(companies=[firm.c.id]))
    with pytest.raises(RuleViolation, match="Nobody of those you chose"):
        actions.send(unreachable, version=unreachable.version, by=BY, now=LATER)
    assert db.session.scalars(db.select(Broadcast)).all() == []


def test_r43_the_second_of_two_who_save_is_told(firm: Firm, write: Write) -> None:
    notice = write(Chosen(everyone=True))
    seen = notice.version
    actions.edit(notice, {"en": {"subject": "One", "body": "x"}}, Chosen(), version=seen, by=BY, now=NOW)
    db.session.flush()
    for act in (actions.delete, actions.send, actions.unschedule):
        with pytest.raises(StaleEdit):
            act(notice, version=seen, by=BY, now=NOW)
    with pytest.raises(StaleEdit):
        actions.edit(notice, WORDS, Chosen(), version=seen, by=BY, now=NOW)
    assert notice.title == "One"


def test_r49_what_is_changed_during_the_expansion_changes_no_mail(
    firm: Firm, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.notifications.actions.queueing.WRITTEN_AT_ONCE", 2)
    monkeypatch.setattr("portal.notifications.actions.queueing.WRITTEN_PER_STEP", 2)
    notice = write(Chosen.of(services=[firm.telephony.id], companies=[firm.cast.b.id]))
    broadcast = actions.send(notice, version=notice.version, by=BY, now=LATER)
    assert broadcast.expanded_at is None
    assert notifications.expand_step(broadcast.id, LATER)
    # The words, the choice and the graph move on between two steps; the broadcast does not.
    notice.wordings, notice.chosen = {"en": {"subject": "Changed", "body": "Changed"}}, Chosen().stored()
    holding = db.session.scalars(db.select(Holding).where(Holding.company_id == firm.cast.a.id)).one()
    catalogue.end_holding(holding, version=holding.version, by=SYSTEM, now=LATER + timedelta(seconds=1))
    db.session.flush()
    while notifications.expand_step(broadcast.id, LATER + timedelta(minutes=1)):
        pass
    assert {each.name for each in deliveries()} == {"Alice", "Bob", "Charlie", "Dora"}
    assert "Changed" not in str(broadcast.content)


def test_r46_a_company_that_goes_meanwhile_gets_no_further_mail(firm: Firm, write: Write) -> None:
    notice = write(Chosen.of(companies=[firm.cast.b.id, firm.c.id]))
    broadcast = actions.send(notice, version=notice.version, by=BY, now=LATER)
    accounts.archive_company(firm.cast.b, version=firm.cast.b.version, by=SYSTEM, now=LATER)
    assert kind_named(broadcast.kind).allowed([firm.cast.b.id, firm.c.id]) == {firm.c.id}


# When.


def test_it_starts_when_it_is_due_and_only_once(app: Flask, firm: Firm, write: Write) -> None:
    notice = write(Chosen(everyone=True))
    schedule(notice, wall(2026, 12, 1, 9, 0), "Europe/Berlin")
    due = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    assert (notice.state, notice.due_at, notice.due_zone) == (NoticeState.SCHEDULED, due, "Europe/Berlin")
    assert queries.due_notices(due - timedelta(seconds=1)) == []
    actions.start_due(notice.id, due - timedelta(seconds=1))
    assert notice.state is NoticeState.SCHEDULED
    for _ in range(2):
        actions.start_due(notice.id, due)
    assert db.session.scalar(db.select(db.func.count(Broadcast.id))) == 1
    assert lateness(notice.due_at, notice.sent_at) is None
    assert trail() == ["notice.add", "notice.schedule", "notice.send"]


def test_r37_r38_clocks_that_change_are_told_and_asked(firm: Firm, write: Write) -> None:
    notice = write(Chosen(everyone=True))
    with pytest.raises(RuleViolation, match="02:30 does not exist") as refusal:
        schedule(notice, wall(2027, 3, 28, 2, 30), "Europe/Berlin")
    assert refusal.value.field == "due"
    with pytest.raises(RuleViolation, match="comes twice"):
        schedule(notice, wall(2027, 10, 31, 2, 30), "Europe/Berlin")
    schedule(notice, wall(2027, 10, 31, 2, 30), "Europe/Berlin", Reading.SECOND)
    assert notice.due_at == datetime(2027, 10, 31, 1, 30, tzinfo=UTC)


OUTSIDE = [wall(2026, 11, 21, 12, 0), wall(2020, 1, 1, 0, 0), wall(2028, 1, 1, 0, 0), wall(9999, 12, 31, 23, 59)]


@pytest.mark.parametrize("at", OUTSIDE)
def test_only_the_coming_year_can_be_chosen(firm: Firm, write: Write, at: datetime) -> None:
    notice = write(Chosen(everyone=True))
    with pytest.raises(RuleViolation) as refusal:
        schedule(notice, at)
    assert refusal.value.field == "due"
    assert notice.state is NoticeState.DRAFT


def test_until_it_starts_it_can_be_changed_and_taken_back(firm: Firm, write: Write) -> None:
    notice = write(Chosen(everyone=True))
    schedule(notice, wall(2026, 12, 1, 9, 0))
    actions.edit(
        notice,
        {"en": {"subject": "Better", "body": "x"}},
        Chosen(everyone=True),
        version=notice.version,
        by=BY,
        now=NOW,
    )
    assert (notice.state, notice.title) == (NoticeState.SCHEDULED, "Better")
    with pytest.raises(RuleViolation, match="needs somebody"):
        actions.edit(notice, WORDS, Chosen(), version=notice.version, by=BY, now=NOW)
    actions.unschedule(notice, version=notice.version, by=BY, now=NOW)
    assert (notice.state, notice.due_at) == (NoticeState.DRAFT, None)
    actions.start_due(notice.id, NOW + timedelta(days=30))
    assert states() == {}


def test_r41_what_starts_late_says_how_late_and_a_day_later_it_does_not_start(firm: Firm, write: Write) -> None:
    late, too_late = write(Chosen(everyone=True)), write(Chosen(everyone=True))
    for each in (late, too_late):
        schedule(each, wall(2026, 12, 1, 9, 0))
    due = late.due_at
    assert due is not None
    actions.start_due(late.id, due + timedelta(hours=3))
    assert late.state is NoticeState.SENT
    assert lateness(late.due_at, late.sent_at) == timedelta(hours=3)
    assert lateness(due, due + LATE_FROM - timedelta(seconds=1)) is None
    actions.start_due(too_late.id, due + TOO_LATE + timedelta(seconds=1))
    assert too_late.state is NoticeState.DRAFT
    assert "more than 24 hours" in (too_late.trouble or "")
    assert db.session.scalar(db.select(db.func.count(Broadcast.id))) == 1


def test_a_scheduled_one_that_reaches_nobody_any_more_waits_for_a_human(firm: Firm, write: Write) -> None:
    notice = write(Chosen.of(companies=[firm.c.id]))
    schedule(notice, wall(2026, 12, 1, 9, 0))
    accounts.archive_company(firm.c, version=firm.c.version, by=SYSTEM, now=NOW)
    assert notice.due_at is not None
    actions.start_due(notice.id, notice.due_at)
    assert (notice.state, db.session.scalars(db.select(Broadcast)).all()) == (NoticeState.DRAFT, [])
    assert "nobody was left" in (notice.trouble or "")


def test_r42_the_pulse_and_the_worker_start_what_is_due(
    app: Flask, firm: Firm, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.utcnow()
    broken, fine = write(Chosen(everyone=True)), write(Chosen(everyone=True))
    for number, each in enumerate((broken, fine)):
        each.state, each.due_at = NoticeState.SCHEDULED, now - timedelta(minutes=2 - number)
    ids = (broken.id, fine.id)
    events.commit()
    start = actions.start_due

    def fails_once(notice_id: int, at: datetime) -> None:
        if notice_id == ids[0]:
            raise KeyError("a kind that is gone")
        start(notice_id, at)

    monkeypatch.setattr(actions, "start_due", fails_once)
    woken: list[tuple[Any, ...]] = []
    monkeypatch.setattr(events, "wake", lambda *task: woken.append(task))
    tasks.beat()
    assert ("start_notices",) in woken
    for _ in range(2):
        tasks.start_notices()
    held, sent = (db.session.get(Notice, each) for each in ids)
    assert held is not None
    assert sent is not None
    assert (held.state, sent.state) == (NoticeState.DRAFT, NoticeState.SENT)
    assert "KeyError" in (held.trouble or "")
    assert db.session.scalar(db.select(db.func.count(Broadcast.id))) == 1


# Trying it out, and what else is done with one.


def test_h15_a_test_goes_to_oneself_alone_and_not_often(firm: Firm, write: Write, cast: Cast) -> None:
    notice = write(Chosen.of(companies=[firm.cast.a.id]))
    for number in range(TESTS_PER_HOUR):
        now = LATER + timedelta(seconds=number)
        actions.send_test(notice, cast.ada, None, by=BY, now=now)
    mails = deliveries()
    assert {each.address for each in mails} == {cast.ada.email}
    assert mails[0].values["company"] == "Alder Dental"
    assert mails[0].values["portal_url"] == "http://a.portal.test"
    content = db.session.scalars(db.select(Broadcast.content)).first()
    assert content is not None
    assert content["en"]["subject"] == "[Test] News for {{company}}"
    with pytest.raises(RuleViolation, match="within the hour"):
        actions.send_test(notice, cast.ada, None, by=BY, now=LATER + timedelta(minutes=30))
    actions.send_test(notice, cast.root, None, by=BY, now=LATER)
    actions.send_test(notice, cast.ada, None, by=BY, now=LATER + timedelta(minutes=61))
    assert notice.state is NoticeState.DRAFT


def test_a_test_that_would_not_arrive_is_refused_with_why(firm: Firm, write: Write, cast: Cast) -> None:
    notifications.unsubscribe(cast.ada.email, TOPIC, cast.ada.id, now=NOW)
    with pytest.raises(RuleViolation, match="Unsubscribed"):
        actions.send_test(write(Chosen()), cast.ada, None, by=BY, now=LATER)
    # Nobody chosen yet is no reason: names are then left empty.
    actions.send_test(write(Chosen()), cast.root, None, by=BY, now=LATER)
    assert [each.values["company"] for each in deliveries()] == [""]


def test_a_copy_leaves_out_what_has_gone(firm: Firm, write: Write, cast: Cast) -> None:
    notice = write(Chosen.of(companies=[firm.cast.a.id, firm.c.id], services=[firm.line.id]))
    accounts.archive_company(firm.c, version=firm.c.version, by=SYSTEM, now=NOW)
    copy = actions.duplicate(notice, by=BY, author_id=cast.root.id, now=LATER)
    assert copy.to == Chosen.of(companies=[firm.cast.a.id], services=[firm.line.id])
    assert (copy.wordings, copy.state, copy.created_by_id) == (notice.wordings, NoticeState.DRAFT, cast.root.id)


def test_a_draft_can_go_and_a_sent_one_stays(firm: Firm, write: Write) -> None:
    draft, sent = write(Chosen(everyone=True)), write(Chosen(everyone=True))
    actions.send(sent, version=sent.version, by=BY, now=LATER)
    actions.delete(draft, version=draft.version, by=BY, now=LATER)
    with pytest.raises(RuleViolation, match="has been sent"):
        actions.delete(sent, version=sent.version, by=BY, now=LATER)
    assert [each.id for each in db.session.scalars(db.select(Notice))] == [sent.id]
