"""Whom nothing is sent to: by hand, by strikes, for a while, and how it ends."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.notifications import actions, suppressed
from portal.notifications.models import Delivery, Strike, Suppression
from portal.notifications.queries import suppressed_addresses
from portal.notifications.rules import (
    EVERY_TOPIC,
    QUARANTINE,
    DeliveryState,
    SuppressionReason,
    SuppressionSource,
    hashed_address,
)
from portal.notifications.suppressed import Filters
from portal.records import retention
from tests.conftest import NOW, Cast, counted_queries
from tests.notifications.outbox import queue

ADDRESS = "reader@customers.test"
DAY = timedelta(days=1)


def only() -> Suppression:
    return db.session.scalars(select(Suppression)).one()


def by_hand(**changes: Any) -> None:
    given: dict[str, Any] = {"detail": "Asked for it on the phone.", "until": None, "by_person_id": None} | changes
    actions.suppress_by_hand(
        given.pop("address", ADDRESS), given.pop("scope", EVERY_TOPIC), by=SYSTEM, now=NOW, **given
    )


def strike(at: datetime, **more: Any) -> bool:
    return actions.strike(ADDRESS, **({"detail": "452 4.2.2 full", "delivery_id": None} | more), now=at)


# Strikes.


def test_three_strikes_on_three_days_are_a_quarantine(session: None) -> None:
    assert [strike(NOW), strike(NOW + DAY), strike(NOW + 2 * DAY)] == [False, False, True]
    found = only()
    assert (found.reason, found.source, found.detail) == (
        SuppressionReason.QUARANTINED,
        SuppressionSource.DELIVERY,
        "452 4.2.2 full",
    )
    assert found.until == NOW + 2 * DAY + QUARANTINE
    assert ADDRESS in suppressed_addresses([ADDRESS], "incidents", NOW + 3 * DAY)
    assert ADDRESS not in suppressed_addresses([ADDRESS], "incidents", found.until)


def test_many_strikes_of_one_day_are_one(session: None) -> None:
    assert not any(strike(NOW + timedelta(minutes=n)) for n in range(6))
    assert len(db.session.scalars(select(Strike)).all()) == 1


def test_strikes_of_long_ago_do_not_count(session: None) -> None:
    assert not any(strike(NOW + n * 16 * DAY) for n in range(4))


def _arrived(at: datetime) -> int:
    queue(f"incident:{at:%d}", [{"address": ADDRESS}], now=at)
    delivery = db.session.scalars(select(Delivery).order_by(Delivery.id.desc())).first()
    assert delivery is not None
    delivery.state, delivery.finished_at = DeliveryState.SENT, at
    db.session.flush()
    return delivery.id


def test_a_mail_that_arrived_in_between_forgives_the_strikes_before_it(session: None) -> None:
    strike(NOW)
    strike(NOW + DAY)
    _arrived(NOW + DAY + timedelta(hours=1))
    assert not strike(NOW + 2 * DAY)


def test_a_mail_that_was_taken_and_came_back_forgives_nothing(session: None) -> None:
    strike(NOW)
    strike(NOW + DAY)
    taken = _arrived(NOW + 2 * DAY)
    assert strike(NOW + 2 * DAY + timedelta(hours=1), delivery_id=taken, source=SuppressionSource.REPORT)
    assert only().source is SuppressionSource.REPORT


def test_who_comes_back_from_quarantine_begins_anew_and_may_fall_into_it_again(session: None) -> None:
    for day in range(3):
        strike(NOW + day * DAY)
    first = only().until
    assert first is not None
    again = [strike(first + day * DAY) for day in range(3)]
    assert again == [False, False, True]
    assert only().until == first + 2 * DAY + QUARANTINE


# By hand.


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"address": "nobody"}, "address"),
        ({"address": "a@b.test\nBcc: v@e.test"}, "address"),
        ({"scope": "no-such-list"}, "scope"),
        ({"detail": "  "}, "detail"),
        ({"until": NOW}, "until"),
    ],
)
def test_what_cannot_be_stopped_is_refused_beside_its_field(session: None, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleViolation) as refusal:
        by_hand(**changes)
    assert refusal.value.field == field
    assert db.session.scalar(select(Suppression.id)) is None


def test_stopping_twice_is_refused_and_an_ended_stop_can_be_made_again(session: None) -> None:
    by_hand(until=NOW + DAY)
    with pytest.raises(RuleViolation, match="already"):
        by_hand(until=NOW + 2 * DAY)
    by_hand(until=None)
    assert only().until is None


def test_a_hard_bounce_outlives_a_rest_that_would_have_ended(session: None) -> None:
    bounce = SuppressionReason.HARD_BOUNCE
    assert actions.suppress(ADDRESS, EVERY_TOPIC, bounce, until=NOW + DAY, now=NOW)
    assert not actions.suppress(ADDRESS, EVERY_TOPIC, bounce, until=NOW + 2 * DAY, now=NOW)
    assert actions.suppress(ADDRESS, EVERY_TOPIC, bounce, now=NOW)
    assert not actions.suppress(ADDRESS, EVERY_TOPIC, bounce, now=NOW)
    assert only().until is None


def test_letting_mails_go_again_needs_a_reason_and_forgives_strikes(cast: Cast) -> None:
    for day in range(3):
        actions.strike(cast.alice.email, detail="full", delivery_id=None, now=NOW + day * DAY)
    actions.strike(cast.alice.email, detail="full", delivery_id=None, now=NOW + 4 * DAY)
    with pytest.raises(RuleViolation):
        actions.lift_suppression(only(), why=" ", by=SYSTEM, now=NOW)
    actions.lift_suppression(only(), why="She has made room.", by=SYSTEM, now=NOW)
    assert db.session.scalar(select(Suppression.id)) is None
    assert db.session.scalar(select(Strike.id)) is None
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "suppression.lift")).one()
    assert (entry.object_kind, entry.object_id) == ("person", cast.alice.id)
    assert entry.after == {"why": "She has made room."}
    assert entry.before is not None
    assert entry.before["reason"] == "quarantined"


def test_what_its_reader_left_only_they_come_back_to(session: None) -> None:
    actions.unsubscribe(ADDRESS, "incidents", None, now=NOW)
    with pytest.raises(RuleViolation, match="Only they"):
        actions.lift_suppression(only(), why="They asked.", by=SYSTEM, now=NOW)


# The list.


def test_the_list_is_searched_and_narrowed_and_says_whose_it_is(cast: Cast) -> None:
    by_hand(by_person_id=cast.ada.id)
    actions.suppress(cast.alice.email, "incidents", SuppressionReason.HARD_BOUNCE, detail="550 no such user", now=NOW)
    everything = suppressed.suppressions(Filters(), 1, NOW)
    assert [(each.person, each.by, each.list_name != "") for each in everything.items] == [
        ("Alice", None, True),
        (None, "Ada", False),
    ]

    def found(**filters: Any) -> list[str]:
        return [each.suppression.address_key for each in suppressed.suppressions(Filters(**filters), 1, NOW).items]

    assert found(text="CUSTOMERS.test") == [ADDRESS]
    assert found(text="no such user") == [cast.alice.email]
    assert found(text="%") == []
    assert found(reason=SuppressionReason.BY_HAND) == [ADDRESS]
    assert suppressed.counts(NOW) == {SuppressionReason.BY_HAND: 1, SuppressionReason.HARD_BOUNCE: 1}
    with pytest.raises(NotFound):
        suppressed.suppressions(Filters(), 2, NOW)


def test_an_erased_address_is_found_by_whoever_knows_it_and_never_shown(app: Any, session: None) -> None:
    key = hashed_address(app.config["SETTINGS"].secret_key, ADDRESS)
    actions.suppress(key, EVERY_TOPIC, SuppressionReason.UNSUBSCRIBED, now=NOW)
    [stop] = suppressed.suppressions(Filters(text=ADDRESS.upper()), 1, NOW).items
    assert stop.is_erased
    assert suppressed.suppressions(Filters(text="sha256"), 1, NOW).items == []


def test_more_suppressions_cost_no_more_queries(session: None) -> None:
    for number in range(60):
        actions.suppress(f"r{number}@x.test", EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    db.session.flush()
    with counted_queries() as statements:
        page = suppressed.suppressions(Filters(), 1, NOW)
    assert (len(page.items), page.pages, page.total) == (50, 2, 60)
    assert len(statements) == 2


def test_what_has_ended_is_forgotten_after_its_time_and_the_rest_stays(session: None) -> None:
    actions.suppress("ended@x.test", EVERY_TOPIC, SuppressionReason.QUARANTINED, until=NOW, now=NOW)
    actions.suppress("lasting@x.test", EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    assert retention.setting("ended_suppressions").days == 90
    assert retention.forget_some("ended_suppressions", NOW + 90 * DAY) == 0
    assert retention.forget_some("ended_suppressions", NOW + 91 * DAY) == 1
    assert only().address_key == "lasting@x.test"
    strike(NOW)
    assert retention.forget_some("strikes", NOW + 91 * DAY) == 1
