"""What customers ask of planned work, what clashes with a plan, and what is kept and forgotten of it."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from portal import events
from portal.accounts.actions.anonymise import delete_company
from portal.accounts.models import Company
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.database import Base
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions import maintenance as acts
from portal.incidents.actions.requests import add_freeze, answer_request, ask_for_slot, remove_freeze
from portal.incidents.mails import slots
from portal.incidents.models import Freeze, Maintenance, SlotRequest
from portal.incidents.queries.maintenance import (
    CLASHES_SHOWN,
    FrozenTime,
    clashes,
    count_open_requests,
    freeze_of,
    freezes_of,
    may_ask,
    open_requests,
    request_for_staff,
    requests_by_company,
    requests_of,
)
from portal.incidents.rules import MaintenanceState
from portal.incidents.rules.maintenance import FREEZES_AT_MOST, SlotState
from portal.notifications.models import Broadcast
from portal.records import erasure, retention
from portal.records.parts import parts_about
from portal.records.rules.exports import ExportKind
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import LONG_AGO, World
from tests.incidents.test_maintenance import END, HOUR, START, ada, do, plan, questions

_keys = count()
DAY = timedelta(days=1)


def ask(cast: Cast, found: Maintenance, company: Company | None = None, **changes: Any) -> SlotRequest:
    given: dict[str, Any] = {
        "company_id": (company or cast.a).id,
        "person_id": cast.alice.id,
        "text": "We open at six that day.",
        "starts_at": START + DAY,
        "ends_at": END + DAY,
        "zone": "Europe/Berlin",
        "by": SYSTEM,
        "now": NOW,
        "idempotency_key": f"ask-{next(_keys)}",
    } | changes
    return ask_for_slot(found, **given)


def freeze(company: Company, days: int = 1, length: timedelta = DAY, **changes: Any) -> Freeze:
    given: dict[str, Any] = {
        "zone": "UTC",
        "by": SYSTEM,
        "author_id": None,
        "now": NOW,
        "idempotency_key": f"freeze-{next(_keys)}",
    } | changes
    return add_freeze(company.id, NOW + days * DAY, NOW + days * DAY + length, "Inventory", **given)


# Other slots


def test_a_reached_company_asks_once_and_staff_are_told(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    db.session.info.pop("topics")
    asked = ask(cast, made, idempotency_key="same")
    assert ask(cast, made, idempotency_key="same") is asked
    assert db.session.info["topics"] >= {events.STAFF, events.company_topic(cast.a.id)}
    assert not [each for each in db.session.info["topics"] if each.startswith(("public:", "service:"))]
    with pytest.raises(RuleViolation):
        ask(cast, made)
    assert questions() == [f"{cast.a.name} asks for another slot: Exchange upgrade"]
    assert (may_ask(made.id, cast.a.id, NOW), may_ask(made.id, cast.b.id, NOW)) == (True, False)
    with pytest.raises(NotFound):
        ask(cast, made, cast.b)
    assert count_open_requests() == 1
    page = open_requests(1)
    assert page is not None
    assert [each.company.name for each in page.items] == [cast.a.name]
    loaded = request_for_staff(asked.id)
    assert loaded is not None
    assert loaded.maintenance.title == "Exchange upgrade"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": " "}, "text"),
        ({"text": "x" * 2001}, "text"),
        ({"starts_at": NOW - HOUR}, "starts_at"),
        ({"starts_at": None}, "starts_at"),
        ({"ends_at": START}, "ends_at"),
        ({"starts_at": NOW + 1000 * DAY, "ends_at": None}, "starts_at"),
        ({"zone": "Nowhere"}, "zone"),
    ],
)
def test_what_cannot_be_asked_says_where(cast: Cast, world: World, changes: dict[str, Any], field: str) -> None:
    made = plan(cast, {world.trunk.id})
    with pytest.raises(RuleViolation) as refused:
        ask(cast, made, **changes)
    assert refused.value.field == field


def test_nothing_is_asked_of_what_has_begun(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    with pytest.raises(RuleViolation):
        ask(cast, made, now=START)
    do(acts.cancel, cast, made, NOW, "")
    with pytest.raises(RuleViolation):
        ask(cast, made)


def test_accepted_it_moves_the_window_in_the_same_step(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id}, translations={"de": {"title": "Neue Karte"}})
    asked = ask(cast, made)
    db.session.commit()
    given: dict[str, Any] = {
        "is_accepted": True,
        "answer": "Gladly.",
        "version": asked.version,
        "by": ada(cast),
        "author_id": cast.ada.id,
        "now": NOW,
        "idempotency_key": "yes",
    }
    with pytest.raises(StaleEdit):
        answer_request(asked, times=(START + DAY, END + DAY, "UTC"), maintenance_version=made.version + 1, **given)
    db.session.rollback()
    loaded = request_for_staff(asked.id)
    assert loaded is not None
    answer_request(loaded, times=(START + DAY, END + DAY, "UTC"), maintenance_version=made.version, **given)
    assert (made.starts_at, made.ends_at, loaded.state) == (START + DAY, END + DAY, SlotState.ACCEPTED)
    assert answer_request(loaded, **given) is loaded
    (mail,) = db.session.scalars(select(Broadcast).where(Broadcast.kind == "slot_answer"))
    assert "as you asked" in mail.content["en"]["text"]
    assert "wie Sie es sich gewünscht haben" in mail.content["de"]["text"]
    (recipient,) = slots.ANSWER.recipients(mail.selector, None, 10, NOW)[0]
    assert (recipient.person_id, recipient.company_ids) == (cast.alice.id, (cast.a.id,))
    assert recipient.values == {"title": "Exchange upgrade", "answer": "Gladly."}
    cast.alice.language = "de"
    (recipient,) = slots.ANSWER.recipients(mail.selector, None, 10, NOW)[0]
    assert recipient.values["title"] == "Neue Karte"
    assert mail.title == "Exchange upgrade"
    cast.alice.deactivated_at = NOW
    db.session.flush()
    assert slots.ANSWER.recipients(mail.selector, None, 10, NOW) == ([], None)
    with pytest.raises(StaleEdit):
        answer_request(loaded, **given | {"answer": "Or not."})
    assert count_open_requests() == 0
    assert [each.state for each in requests_by_company(made.id, cast.a.id)] == [SlotState.ACCEPTED]


def test_declined_it_says_why_and_may_be_asked_again_a_few_times(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    given: dict[str, Any] = {"by": ada(cast), "author_id": cast.ada.id, "now": NOW, "idempotency_key": "no"}
    for number in range(5):
        asked = ask(cast, made)
        with pytest.raises(RuleViolation):
            answer_request(asked, is_accepted=False, answer="", version=asked.version, **given)
        with pytest.raises(RuleViolation):
            answer_request(
                asked,
                is_accepted=False,
                answer="x",
                times=(START + DAY, END + DAY, "UTC"),
                version=asked.version,
                **given,
            )
        answer_request(asked, is_accepted=False, answer=f"No {number}.", version=asked.version, **given)
    with pytest.raises(RuleViolation):
        ask(cast, made)
    assert [each.answer for each in requests_of(made.id)] == ["No 4.", "No 3.", "No 2.", "No 1.", "No 0."]
    assert made.starts_at == START


# Freezes


def test_a_freeze_is_noted_once_bounded_and_taken_back(cast: Cast, world: World) -> None:
    made = freeze(cast.a, idempotency_key="same")
    assert freeze(cast.a, idempotency_key="same") is made
    for length, field in ((timedelta(), "ends_at"), (-2 * DAY, "ends_at"), (93 * DAY, "ends_at")):
        with pytest.raises(RuleViolation) as refused:
            freeze(cast.a, length=length)
        assert refused.value.field == field
    for _ in range(FREEZES_AT_MOST - 1):
        freeze(cast.a)
    with pytest.raises(RuleViolation):
        freeze(cast.a)
    freeze(cast.b)
    assert len(freezes_of(cast.a.id, NOW)) == FREEZES_AT_MOST
    assert freeze_of(cast.b.id, made.public_id) is None
    assert freeze_of(cast.a.id, made.public_id) is made
    remove_freeze(made, by=SYSTEM, now=NOW)
    remove_freeze(made, by=SYSTEM, now=NOW)
    assert len(freezes_of(cast.a.id, NOW)) == FREEZES_AT_MOST - 1
    assert len(freezes_of(cast.a.id, NOW + 5 * DAY)) == 0
    trail = db.session.scalars(select(AuditEntry.action).where(AuditEntry.object_kind == "freeze")).all()
    assert trail.count("freeze.remove") == 1


# Clashes


def test_what_meets_the_companies_of_a_plan_at_its_time(cast: Cast, world: World) -> None:
    other = plan(cast, {world.exchange.id}, title="Exchange", notify=False)
    plan(cast, {world.fibre.id}, title="Of B alone", notify=False)
    plan(cast, {world.trunk.id}, title="Later", starts_at=END, ends_at=END + HOUR, notify=False)
    gone = plan(cast, {world.trunk.id}, title="Called off", notify=False)
    do(acts.cancel, cast, gone, NOW, "")
    frozen = add_freeze(
        cast.a.id,
        START - HOUR,
        START + HOUR,
        "Sale",
        zone="UTC",
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key="f",
    )
    removed = freeze(cast.a, days=1, length=5 * DAY)
    remove_freeze(removed, by=SYSTEM, now=NOW)
    found = clashes([world.trunk.id], START, END, NOW)
    assert (found.total, found.reached) == (1, 1)
    (item,) = found.items
    assert (item.name, item.holdings) == (cast.a.name, 1)
    assert [each.title for each in item.works] == ["Exchange"]
    assert item.freezes == (FrozenTime(frozen.starts_at, frozen.ends_at, "Sale"),)
    assert clashes([world.trunk.id], START, END, NOW, but=other.id).items[0].works == ()
    assert clashes([world.trunk.id], END + DAY, END + 2 * DAY, NOW).total == 0
    assert clashes([world.spare.id], START, END, NOW).reached == 0
    assert clashes([], START, END, NOW).items == ()


def test_what_overruns_its_end_still_clashes(cast: Cast, world: World) -> None:
    long = plan(cast, {world.trunk.id}, starts_at=NOW - HOUR, ends_at=NOW + HOUR, ends_itself=False, notify=False)
    now = NOW + 3 * HOUR
    found = clashes([world.trunk.id], now, now + HOUR, now)
    assert [each.id for each in found.items[0].works] == [long.id]


def test_ten_thousand_companies_cost_no_more_queries_than_one(cast: Cast, world: World) -> None:
    names = [f"Company {number:05}" for number in range(10_000)]
    db.session.execute(
        insert(Company),
        [{"name": name, "name_key": name.lower(), "created_at": LONG_AGO, "version": 1} for name in names],
    )
    ids = db.session.scalars(select(Company.id).where(Company.name.startswith("Company "))).all()
    db.session.execute(
        insert(Holding),
        [
            {"company_id": each, "service_id": world.telephony.id, "reference": f"C-{each}", "valid_from": LONG_AGO}
            for each in ids
        ],
    )
    plan(cast, {world.trunk.id}, title="Other", notify=False)
    freeze(cast.a, days=1, length=5 * DAY)
    db.session.flush()
    with counted_queries() as made:
        found = clashes([world.trunk.id], START, END, NOW)
    assert (found.total, found.reached, len(found.items)) == (10_001, 10_001, CLASHES_SHOWN)
    assert all(each.works for each in found.items)
    assert len(made) <= 7


# Kept and forgotten


def exported(kind: ExportKind, subject_id: int, name: str) -> list[Mapping[str, Any]]:
    (part,) = [each for each in parts_about(kind) if each.name == name]
    rows: Iterable[Mapping[str, Any]] = part.rows(subject_id, NOW + DAY)
    return [{column: row.get(column) for column in part.columns} for row in rows]


def rows_of(model: type[Base]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def test_what_was_asked_goes_out_with_its_company_and_person(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    ask(cast, made)
    freeze(cast.a, author_id=cast.alice.id)
    for kind, subject in ((ExportKind.COMPANY, cast.a.id), (ExportKind.PERSON, cast.alice.id)):
        (wish,) = exported(kind, subject, "slot_requests")
        assert (wish["text"], wish["maintenance"]) == ("We open at six that day.", made.public_id)
        (frozen,) = exported(kind, subject, "freezes")
        assert frozen["reason"] == "Inventory"
    for kind, subject in ((ExportKind.COMPANY, cast.b.id), (ExportKind.PERSON, cast.bob.id)):
        assert exported(kind, subject, "slot_requests") == exported(kind, subject, "freezes") == []
    (told,) = exported(ExportKind.COMPANY, cast.a.id, "maintenance")
    assert [each["text"] for each in told["updates"]] == ["We replace a card."]


def test_who_is_forgotten_leaves_that_was_asked_without_words(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    asked = ask(cast, made)
    frozen = freeze(cast.a, author_id=cast.alice.id)
    (eraser,) = [each for each in erasure.erasers_of(ExportKind.PERSON) if each.name == "maintenance_wishes"]
    assert (eraser.count(cast.alice.id), eraser.erase(cast.alice.id, NOW)) == (2, 2)
    db.session.expire_all()
    assert (asked.person_id, asked.text, frozen.created_by_id, frozen.reason) == (None, "…", None, "")


def test_a_company_that_goes_takes_its_wishes_along(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    ask(cast, made)
    freeze(cast.a)
    freeze(cast.b)
    (eraser,) = [each for each in erasure.erasers_of(ExportKind.COMPANY) if each.name == "maintenance_wishes"]
    assert eraser.count(cast.a.id) == 2
    cast.a.archived_at = NOW
    db.session.flush()
    delete_company(cast.a, typed=cast.a.name, version=cast.a.version, by=ada(cast), now=NOW)
    assert (rows_of(SlotRequest), rows_of(Freeze)) == (0, 1)
    assert made.state is MaintenanceState.SCHEDULED


def test_wishes_of_what_is_long_over_are_forgotten(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    ask(cast, made)
    freeze(cast.a)
    assert retention.forget_some("maintenance_wishes", NOW + 1095 * DAY) == 0
    late = END + 1096 * DAY
    assert retention.setting("maintenance_wishes").keeping.count(late - 1095 * DAY) == 2
    assert retention.forget_some("maintenance_wishes", late) == 2
