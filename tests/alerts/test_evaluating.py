"""Looking at what is due: on both databases, with real samples, notices and drafts."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, update

from portal import events
from portal.accounts import actions as accounts
from portal.alerts import actions, telling
from portal.alerts.actions import clockwork
from portal.alerts.models import AlertEvent, AlertWatch
from portal.alerts.queries import alert_by_id, alert_of, found_or_404, told_to
from portal.alerts.queries.muting import named_to
from portal.alerts.rules import AlertArea, AlertState, Happening, Lack, Operator, Repeat, Told
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions import maintenance, post_update, publish
from portal.incidents.actions.drafts import discard_draft, edit_draft, publish_draft
from portal.incidents.models import Incident, IncidentDraft
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.incidents.rules.maintenance import Plan
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import DeliveryState
from portal.records import erasure, retention
from portal.records.rules.exports import ExportKind
from portal.usage.calls.actions import take_calls
from portal.usage.calls.rules import Call, Outcome, milliseconds
from portal.usage.models import MeasuredSource
from tests.alerts.conftest import LOW_BALANCE, Meter, add, balance_of, happened, take, watch_of
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World, world  # noqa: F401 (a fixture)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def sends(state: DeliveryState, at: object) -> None:
    """Have every notice that waits come to this state."""
    db.session.execute(
        update(Delivery).where(Delivery.state == DeliveryState.PENDING).values(state=state, finished_at=at),
        execution_options={"synchronize_session": False},
    )


def notices() -> int:
    return db.session.scalar(select(func.count(Broadcast.id)).where(Broadcast.kind == "alert")) or 0


def test_state_event_and_notice_are_of_one_transaction(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a)
    meter.reads(50, 9, 8, 50)
    assert happened(alert) == ["triggered+", "normal+"]
    told = db.session.execute(select(AlertEvent.kind, AlertEvent.value, AlertEvent.at).order_by(AlertEvent.id)).all()
    assert [tuple(each) for each in told] == [
        (Happening.TRIGGERED, Decimal(9), NOW + 2 * MINUTE),
        (Happening.NORMAL, Decimal(50), NOW + 4 * MINUTE),
    ]
    addresses = db.session.scalars(select(Delivery.address).join(Broadcast).where(Broadcast.kind == "alert"))
    assert list(addresses) == ["noc@elsewhere.test"] * 2


def test_created_while_already_bad_it_triggers_at_the_first_evaluation(cast: Cast, meter: Meter) -> None:
    meter.reads(3)
    alert = add(LOW_BALANCE, cast.a, now=meter.now)
    actions.evaluate_all(meter.now)
    assert watch_of(alert, cast.a).state is AlertState.TRIGGERED


def test_a_stored_state_survives_a_restart(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a, must_last=600)
    meter.reads(5)
    assert watch_of(alert, cast.a).state is AlertState.PENDING
    db.session.expire_all()
    meter.reads(*[5] * 9)
    assert happened(alert) == []
    meter.reads(5)
    watch = watch_of(alert, cast.a)
    assert (watch.state, watch.value, watch.triggered_at) == (AlertState.TRIGGERED, Decimal(5), NOW + 11 * MINUTE)


def test_edited_while_triggered_a_new_threshold_makes_it_normal_silently_and_evaluates_anew(
    cast: Cast, meter: Meter
) -> None:
    alert = add(LOW_BALANCE, cast.a)
    meter.reads(5)
    alert = found_or_404(alert_by_id(alert.id))
    wish = replace(actions.wanted_of(alert), threshold=Decimal(4))
    actions.edit_alert(alert, wish, version=alert.version, by=SYSTEM, now=meter.now)
    assert watch_of(alert, cast.a).state is AlertState.NORMAL
    meter.reads(5, 3)
    assert happened(alert) == ["triggered+", "cleared", "triggered+"]


def test_edited_while_triggered_a_new_title_or_recipient_keeps_the_state(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a)
    meter.reads(5)
    alert = found_or_404(alert_by_id(alert.id))
    wish = replace(actions.wanted_of(alert), title="Money", recipients=("noc@elsewhere.test", "two@elsewhere.test"))
    actions.edit_alert(alert, wish, version=alert.version, by=SYSTEM, now=meter.now)
    meter.reads(5)
    assert watch_of(alert, cast.a).state is AlertState.TRIGGERED
    assert happened(alert) == ["triggered+"]


def test_switched_off_it_closes_silently_and_on_again_it_is_as_new(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a)
    meter.reads(5)
    actions.switch_alert(alert, False, version=alert.version, by=SYSTEM, now=meter.now)
    meter.reads(50, 5)
    watch = watch_of(alert, cast.a)
    assert (watch.state, watch.due_at, notices()) == (AlertState.NORMAL, None, 1)
    actions.switch_alert(alert, True, version=alert.version, by=SYSTEM, now=meter.now)
    meter.reads(5)
    assert happened(alert) == ["triggered+", "cleared", "triggered+"]


@pytest.mark.parametrize("is_swept_first", [True, False])
def test_company_archived_closes_silently_without_a_resolved_mail(
    cast: Cast, meter: Meter, is_swept_first: bool
) -> None:
    alert = add(LOW_BALANCE, cast.a)
    meter.reads(5)
    accounts.archive_company(cast.a, version=cast.a.version, by=SYSTEM, now=meter.now)
    db.session.flush()
    if is_swept_first:
        actions.evaluate_all(meter.now + 2 * MINUTE)
    else:
        db.session.execute(update(AlertWatch).values(due_at=meter.now))
        actions.evaluate(meter.now)
    assert happened(alert) == ["triggered+", "cleared"]
    assert watch_of(alert, cast.a).closed_at is not None


def test_repeat_hourly_counts_from_the_last_successful_send(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a, repeat=Repeat.HOURLY)
    meter.reads(5)
    sends(DeliveryState.SENT, meter.now + 5 * MINUTE)
    meter.reads(*[5] * 64)
    assert happened(alert) == ["triggered+"]
    assert watch_of(alert, cast.a).last_sent_at == NOW + 6 * MINUTE
    meter.reads(5)
    assert happened(alert) == ["triggered+", "repeated+"]
    meter.reads(*[5] * 120)
    assert happened(alert) == ["triggered+", "repeated+"], "nobody knows yet whether that one arrives"


def test_a_send_that_failed_for_good_is_said_again_soon(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a, repeat=Repeat.DAILY)
    meter.reads(5)
    sends(DeliveryState.FAILED, meter.now)
    meter.reads(5, 5, 5, 5, 5)
    assert happened(alert) == ["triggered+", "repeated+"]
    assert watch_of(alert, cast.a).failures == 1


def test_a_dead_feed_is_no_data_staff_are_told_together_and_customers_not(cast: Cast, meter: Meter) -> None:
    other = balance_of(cast.b)
    first, second = add(LOW_BALANCE, cast.a), add(LOW_BALANCE, cast.b)
    take(other, 50, NOW + MINUTE)
    meter.reads(50)
    for _minute in range(40):
        meter.reads(None)
    assert [watch_of(first, cast.a).lack, watch_of(second, cast.b).lack] == [Lack.STALE] * 2
    titles = list(db.session.scalars(select(Broadcast.title).order_by(Broadcast.id)))
    assert titles == ["2 alerts have no data"]
    assert happened(first) == ["no_data"]
    meter.reads(50)
    assert watch_of(first, cast.a).state is AlertState.NORMAL


def test_what_dies_soon_after_is_told_with_the_next_notice(cast: Cast, meter: Meter) -> None:
    other = balance_of(cast.b)
    add(LOW_BALANCE, cast.a)
    add(LOW_BALANCE, cast.b)
    take(other, 50, NOW)
    meter.reads(50, 50, 50, 50, 50, 50)
    titles = select(Broadcast.title).order_by(Broadcast.id)
    assert list(db.session.scalars(titles)) == ["An alert has no data"]
    for _minute in range(30):
        meter.reads(None)
    assert list(db.session.scalars(titles)) == ["An alert has no data"] * 2


def test_r55_a_hundred_crossings_in_ten_minutes_are_three_notices_and_the_final_state_is_right(
    cast: Cast, meter: Meter
) -> None:
    alert = add(LOW_BALANCE, cast.a)
    meter.reads(*[5, 50] * 50, after=timedelta(seconds=6))
    assert notices() == 3
    watch = watch_of(alert, cast.a)
    assert (watch.state, watch.told) == (AlertState.NORMAL, Told.UNSTABLE)
    meter.reads(*[50] * 61)
    assert (notices(), watch_of(alert, cast.a).told) == (4, Told.NORMAL)


# Muting


def outage(world: World, component_id: int, **values: object) -> Incident:  # noqa: F811
    given = {"visibility": Visibility.PUBLIC, "audience": Audience.AFFECTED, "notify": False, **values}
    return publish(
        "Trouble",
        State.INVESTIGATING,
        "We look.",
        {component_id: Severity.MAJOR_OUTAGE},
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key=f"outage-{component_id}-{values}",
        **given,  # type: ignore[arg-type]
    )


def fix(incident: Incident, meter: Meter) -> None:
    post_update(
        incident,
        State.FIXED,
        "Done.",
        {},
        version=incident.version,
        by=SYSTEM,
        author_id=None,
        now=meter.now,
        notify=False,
        idempotency_key=f"fix-{incident.id}",
    )


def test_open_incident_on_the_service_mutes_exactly_the_affected_and_sends_at_the_end_if_still_bad(
    cast: Cast,
    world: World,  # noqa: F811
) -> None:
    mine = Meter(balance_of(cast.a, service_id=world.telephony.id))
    others = balance_of(cast.b, service_id=world.internet.id)
    alert = add(LOW_BALANCE, cast.a, service_id=world.telephony.id)
    other = add(LOW_BALANCE, cast.b, service_id=world.internet.id)
    incident = outage(world, world.trunk.id)
    take(others, 5, NOW + MINUTE)
    mine.reads(5)
    assert happened(other) == ["triggered+"], "the other company's service is well"
    assert happened(alert) == ["triggered", "muted"]
    watch = watch_of(alert, cast.a)
    assert (watch.state, watch.muted_since, watch.muted_openly) == (AlertState.TRIGGERED, NOW + MINUTE, True)
    assert named_to(cast.a.id, mine.now) == {world.telephony.id}
    mine.reads(4)
    fix(incident, mine)
    mine.reads(3)
    assert happened(alert) == ["triggered", "muted", "unmuted", "triggered+"]
    assert named_to(cast.a.id, mine.now) == frozenset()
    assert watch_of(alert, cast.a).muted_since is None


def test_an_incident_that_ends_without_anything_coming_in_is_noticed(cast: Cast, world: World) -> None:  # noqa: F811
    meter = Meter(balance_of(cast.a, service_id=world.telephony.id, interval=3600))
    alert = add(LOW_BALANCE, cast.a, service_id=world.telephony.id)
    incident = outage(world, world.exchange.id)
    meter.reads(5, None)
    fix(incident, meter)
    assert clockwork.is_anything_due(meter.now)
    meter.reads(None)
    assert happened(alert) == ["triggered", "muted", "unmuted", "triggered+"]
    assert not clockwork.is_anything_due(meter.now)


def test_a_private_incident_mutes_and_nothing_a_company_is_given_says_so(cast: Cast, world: World) -> None:  # noqa: F811
    meter = Meter(balance_of(cast.a, service_id=world.telephony.id))
    alert = add(LOW_BALANCE, cast.a, service_id=world.telephony.id)
    meter.reads(50)
    outage(world, world.trunk.id, visibility=Visibility.PRIVATE)
    topic = events.company_topic(cast.a.id)
    db.session.info.pop("topics", None)
    take(meter.metric, 50, meter.now + MINUTE)
    db.session.info.pop("topics", None)
    actions.evaluate_all(meter.now + MINUTE)
    assert topic not in db.session.info.get("topics", set())
    meter.reads(5, 5)
    watch = watch_of(alert, cast.a)
    assert watch.muted_since is not None
    assert not watch.muted_openly
    assert named_to(cast.a.id, meter.now) == frozenset()
    assert [each.kind for each in told_to(cast.a.id, alert.id)] == [Happening.TRIGGERED]
    assert notices() == 0


def test_maintenance_under_way_mutes_and_ends_by_the_clock(cast: Cast, world: World) -> None:  # noqa: F811
    meter = Meter(balance_of(cast.a, service_id=world.telephony.id))
    alert = add(LOW_BALANCE, cast.a, service_id=world.telephony.id)
    plan = Plan("Cards", "We replace cards.", frozenset({world.trunk.id}), NOW + 2 * MINUTE, NOW + 5 * MINUTE, "UTC")
    maintenance.plan(plan, by=SYSTEM, author_id=None, now=NOW - HOUR, idempotency_key="cards")
    meter.reads(50)
    assert happened(alert) == []
    meter.reads(5, 5, 5)
    assert happened(alert) == ["triggered", "muted"]
    meter.reads(5)
    assert happened(alert) == ["triggered", "muted", "unmuted", "triggered+"]


def test_a_cleared_component_mutes_nothing(cast: Cast, world: World) -> None:  # noqa: F811
    meter = Meter(balance_of(cast.a, service_id=world.telephony.id))
    alert = add(LOW_BALANCE, cast.a, service_id=world.telephony.id)
    incident = outage(world, world.trunk.id)
    post_update(
        incident,
        State.WATCHING,
        "Well so far.",
        {world.trunk.id: Severity.NONE},
        version=incident.version,
        by=SYSTEM,
        author_id=None,
        now=NOW,
        notify=False,
        idempotency_key="cleared",
    )
    meter.reads(5)
    assert happened(alert) == ["triggered+"]


def test_money_of_the_whole_company_is_muted_by_nothing(cast: Cast, world: World, meter: Meter) -> None:  # noqa: F811
    alert = add(LOW_BALANCE, cast.a)
    outage(world, world.trunk.id)
    meter.reads(5)
    assert happened(alert) == ["triggered+"]


def test_calls_of_nobody_knows_which_service_are_muted_by_any_the_company_holds(
    cast: Cast,
    world: World,  # noqa: F811
) -> None:
    asr = replace(LOW_BALANCE, title="ASR", area=AlertArea.ASR, threshold=Decimal(30), window=600, least_count=1)
    alert, other = add(asr, cast.a), add(asr, cast.b)
    outage(world, world.trunk.id)
    for company in (cast.a, cast.b):
        at = milliseconds(NOW - 2 * MINUTE)
        calls = [
            Call(f"c{each}", "1", "2", at, None, None, at, Outcome.FAILED, None, "", "", None) for each in range(3)
        ]
        take_calls([(company.id, each) for each in calls], NOW)
    actions.evaluate_all(NOW)
    assert happened(alert) == ["triggered", "muted"]
    assert happened(other) == ["triggered+"]


# Drafts


def test_by_rule_a_triggered_alert_opens_one_draft_and_says_in_it_when_it_is_over(
    cast: Cast,
    world: World,  # noqa: F811
) -> None:
    meter = Meter(balance_of(cast.a, service_id=world.telephony.id))
    alert = add(LOW_BALANCE, cast.a, service_id=world.telephony.id, opens_draft=True)
    meter.reads(5, 50, 5)
    draft = db.session.scalars(select(IncidentDraft)).one()
    assert (draft.origin, draft.origin_name, draft.signals) == (Origin.ALERT, "Low balance", 3)
    assert draft.content["severities"] == {str(world.trunk.id): "performance_issue"}
    assert draft.content["audience"] == "affected"
    assert "Alder Dental" in draft.first_signal
    assert "Alder Dental" not in draft.content["body"], "a text that may be published names no customer"
    db.session.refresh(alert)
    assert alert.draft_id == draft.id
    questions = list(db.session.scalars(select(Broadcast.title).where(Broadcast.kind == "incident_question")))
    assert questions == ["Low balance opened a draft"]
    meter.reads(50)
    db.session.refresh(draft)
    assert "normal again. That was the last of them." in draft.last_signal


def test_what_a_draft_became_takes_no_second_one_until_it_is_over(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a, opens_draft=True)
    meter.reads(5)
    draft = db.session.scalars(select(IncidentDraft)).one()
    content = replace(DraftContent.from_json(draft.content), severities={}, audience=Audience.EVERYONE)
    given = {"by": SYSTEM, "author_id": None, "now": meter.now}
    edit_draft(draft, content, version=draft.version, **given)  # type: ignore[arg-type]
    incident = publish_draft(draft, **given)  # type: ignore[arg-type]
    meter.reads(50, *[50] * 90, 5)
    assert db.session.scalar(select(func.count(IncidentDraft.id))) == 1
    fix(incident, meter)
    meter.reads(50, *[50] * 90, 5)
    drafts = list(db.session.scalars(select(IncidentDraft).order_by(IncidentDraft.id)))
    assert len(drafts) == 2
    discard_draft(drafts[1], by=SYSTEM, now=meter.now)
    meter.reads(50, *[50] * 90, 5)
    assert db.session.scalar(select(func.count(IncidentDraft.id))) == 3
    assert alert.version == 1, "nothing of this is an edit"


# Tags


def test_an_alert_for_a_tag_watches_each_company_that_has_it_and_no_other(cast: Cast) -> None:
    accounts.tag_company(cast.a, ["Wholesale"], version=cast.a.version, by=SYSTEM, now=NOW)
    mine, others = balance_of(cast.a), balance_of(cast.b)
    alert = add(LOW_BALANCE, tag="WHOLESALE")
    take(mine, 5, NOW)
    take(others, 5, NOW)
    actions.evaluate_all(NOW)
    assert [each.company_id for each in db.session.scalars(select(AlertWatch))] == [cast.a.id]
    assert alert_of(cast.b.id, alert.public_id) is None
    shared = alert_of(cast.a.id, alert.public_id)
    assert shared is not None
    assert shared.is_shared
    accounts.tag_company(cast.b, ["wholesale"], version=cast.b.version, by=SYSTEM, now=NOW)
    accounts.tag_company(cast.a, [], version=cast.a.version, by=SYSTEM, now=NOW)
    take(others, 5, NOW + 2 * MINUTE)
    actions.evaluate_all(NOW + 2 * MINUTE)
    assert watch_of(alert, cast.a).closed_at is not None
    assert alert_of(cast.a.id, alert.public_id) is None
    actions.evaluate_all(NOW + 2 * MINUTE)
    assert notices() == 2, "one to each as it became bad, and none as it was watched no more"


# Scripts


def test_a_script_is_watched_by_what_it_comes_to(cast: Cast, meter: Meter) -> None:
    wish = replace(
        LOW_BALANCE, title="Script", area=AlertArea.SCRIPT, threshold=None, script="balance() < 10 && credit() < 20"
    )
    alert = add(wish, cast.a)
    meter.reads(50, 5, 50)
    assert happened(alert) == ["triggered+", "normal+"]


# What it costs, and what goes wrong


def test_a_slice_costs_the_same_number_of_statements_whatever_it_holds(cast: Cast) -> None:
    found = []
    for number in (3, 40):
        for _each in range(number):
            company = accounts.add_company(f"Company {number} {_each}", by=SYSTEM, now=NOW)
            add(LOW_BALANCE, company)
            take(balance_of(company), 50, NOW)
        while actions.follow(NOW):
            pass
        with counted_queries() as statements:
            actions.evaluate(NOW)
        found.append(len(statements))
    assert found[0] == found[1] <= 12


def test_so_many_notices_are_of_one_transaction_and_the_rest_of_the_next(
    cast: Cast, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.alerts.actions.evaluating.NOTICES", 2)
    alerts = [add(LOW_BALANCE, cast.a, title=f"Alert {each}") for each in range(5)]
    take(meter.metric, 5, NOW)
    while actions.follow(NOW):
        pass
    found = []
    for _slice in range(3):
        is_more = actions.evaluate(NOW)
        found.append((notices(), is_more))
    assert found == [(2, True), (4, True), (5, False)]
    assert [happened(each) for each in alerts] == [["triggered+"]] * 5


def test_only_what_is_due_or_unread_is_looked_at(cast: Cast, meter: Meter) -> None:
    first, second = add(LOW_BALANCE, cast.a), add(LOW_BALANCE, cast.b)
    take(balance_of(cast.b), 50, NOW)
    meter.reads(50)
    before = watch_of(second, cast.b).value_at
    take(meter.metric, 40, meter.now)
    while actions.follow(meter.now):
        pass
    due = db.session.scalars(select(AlertWatch.alert_id).where(AlertWatch.due_at <= meter.now))
    assert list(due) == [first.id]
    assert watch_of(second, cast.b).value_at == before


def test_what_came_in_is_read_once(cast: Cast, meter: Meter) -> None:
    add(LOW_BALANCE, cast.a)
    meter.reads(50)
    assert db.session.scalar(select(func.count()).where(MeasuredSource.unread_since.is_not(None))) == 0
    assert not clockwork.is_anything_due(meter.now)
    take(meter.metric, 40, meter.now)
    assert clockwork.is_anything_due(meter.now)


def test_without_alerts_nothing_is_due(cast: Cast, meter: Meter) -> None:
    take(meter.metric, 5, NOW)
    with counted_queries() as statements:
        assert not clockwork.is_anything_due(NOW)
    assert len(statements) == 1


def test_one_that_cannot_be_told_holds_up_no_other_and_is_tried_again(
    cast: Cast, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = add(LOW_BALANCE, cast.a, title="Broken"), add(LOW_BALANCE, cast.a, title="Sound")
    tell = telling.tell

    def fail(alert: object, *rest: object, **named: object) -> object:
        if alert is not None and getattr(alert, "id", None) == broken.id:
            raise ValueError("no words")
        return tell(alert, *rest, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(telling, "tell", fail)
        meter.reads(5)
    assert (happened(broken), happened(sound)) == ([], ["triggered+"])
    assert watch_of(broken, cast.a).state is AlertState.NORMAL
    meter.reads(None, None, None, None, None, after=MINUTE)
    meter.reads(5)
    assert "triggered+" in happened(broken)


# Keeping and forgetting


def test_events_are_forgotten_when_old_and_how_it_stands_is_not(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a)
    meter.reads(5)
    kept = next(each for each in retention._keepings.values() if each.name == "alert_events")
    assert kept.count(meter.now + HOUR) == 1
    assert kept.forget(meter.now, 10) == 0
    assert kept.forget(meter.now + HOUR, 10) == 1
    assert watch_of(alert, cast.a).state is AlertState.TRIGGERED


def test_with_a_company_go_its_alerts_and_its_part_in_shared_ones(cast: Cast, meter: Meter) -> None:
    accounts.tag_company(cast.a, ["x"], version=cast.a.version, by=SYSTEM, now=NOW)
    accounts.tag_company(cast.b, ["x"], version=cast.b.version, by=SYSTEM, now=NOW)
    add(LOW_BALANCE, cast.a)
    shared = add(LOW_BALANCE, tag="x")
    eraser = next(each for each in erasure.erasers_of(ExportKind.COMPANY) if each.name == "alerts")
    assert eraser.count(cast.a.id) == 2
    assert eraser.erase(cast.a.id, NOW) == 2
    left = db.session.execute(select(AlertWatch.alert_id, AlertWatch.company_id)).all()
    assert [tuple(each) for each in left] == [(shared.id, cast.b.id)]
    names = [each.name for each in erasure.erasers_of(ExportKind.COMPANY)]
    assert names.index("alerts") < min(names.index(each) for each in names if "deliver" in each or "mail" in each)


def test_an_always_alert_reports_by_the_clock(cast: Cast, meter: Meter) -> None:
    wish = replace(LOW_BALANCE, title="Report", operator=Operator.ALWAYS, threshold=None, repeat=Repeat.HOURLY)
    alert = add(wish, cast.a)
    meter.reads(500)
    sends(DeliveryState.SENT, meter.now)
    meter.reads(*[500] * 60)
    assert happened(alert) == ["reported+", "reported+"]
