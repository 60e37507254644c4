"""What monitors say becomes drafts: one for each cause, told to staff once and to no customer."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions import monitors as actions
from portal.incidents.actions import post_update, publish
from portal.incidents.actions.drafts import discard_draft, edit_draft, publish_draft
from portal.incidents.actions.monitors import Heard, Named
from portal.incidents.models import Incident, IncidentDraft, IncidentUpdate, Monitor, MonitorCondition
from portal.incidents.queries.monitors import monitor_by_id, monitor_with_key
from portal.incidents.rules import Severity, State, Visibility
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.incidents.rules.monitors import Shape, Signal
from portal.notifications.models import Broadcast
from tests.conftest import NOW, Cast

DOWN = Signal("a" * 32, False, "SIP edge does not answer", "No reply", frozenset({"sip-lon"}), Severity.MAJOR_OUTAGE)
UP = replace(DOWN, is_over=True)
OTHER = replace(DOWN, fold="b" * 32, title="Calls fail", words=frozenset({"calls", "sip-lon"}))
ELSEWHERE = replace(DOWN, fold="c" * 32, title="Web is slow", words=frozenset({"web"}))


@pytest.fixture
def sip(cast: Cast) -> Component:
    return catalogue.add_component("SIP edge London", by=SYSTEM, now=NOW)


@pytest.fixture
def monitor(sip: Component) -> Monitor:
    named = [Named("sip-lon", sip.id, Severity.PARTIAL_RTH)]
    made, _key = actions.add_monitor("Prometheus", Shape.ALERTMANAGER, Severity.PARTIAL_RTH, named, by=SYSTEM, now=NOW)
    db.session.commit()
    return made


def drafts() -> list[IncidentDraft]:
    return list(db.session.scalars(select(IncidentDraft).order_by(IncidentDraft.id)))


def test_what_is_wrong_opens_one_draft_and_tells_staff_once(monitor: Monitor, sip: Component) -> None:
    assert actions.hear(monitor.id, [DOWN], now=NOW) == Heard(opened=1)
    assert actions.hear(monitor.id, [DOWN], now=NOW + timedelta(minutes=1)) == Heard(folded=1)
    (draft,) = drafts()
    content = DraftContent.from_json(draft.content)
    assert (draft.origin, draft.origin_name, draft.signals) == (Origin.MONITOR, "Prometheus", 2)
    assert content.severities == {sip.id: Severity.MAJOR_OUTAGE}
    assert "SIP edge London" in content.body
    assert db.session.scalars(select(Incident)).all() == []
    told = db.session.scalars(select(Broadcast)).all()
    assert [each.kind for each in told] == ["incident_question"]


def test_several_alerts_of_one_component_are_one_draft(monitor: Monitor) -> None:
    assert actions.hear(monitor.id, [DOWN, OTHER], now=NOW) == Heard(opened=1, folded=1)
    assert [each.signals for each in drafts()] == [2]
    conditions = db.session.scalars(select(MonitorCondition)).all()
    assert {each.draft_id for each in conditions} == {drafts()[0].id}


def test_a_draft_nobody_wrote_in_grows_and_one_somebody_wrote_in_does_not(
    monitor: Monitor, sip: Component, cast: Cast
) -> None:
    web = catalogue.add_component("Web", by=SYSTEM, now=NOW)
    both = replace(DOWN, fold="d" * 32, words=frozenset({"sip edge london", "web"}))
    loaded = monitor_by_id(monitor.id)
    assert loaded is not None
    actions.edit_monitor(loaded, "Prometheus", Severity.PARTIAL_RTH, [], version=loaded.version, by=SYSTEM, now=NOW)
    actions.hear(monitor.id, [replace(DOWN, words=frozenset({"sip edge london"}))], now=NOW)
    actions.hear(monitor.id, [both], now=NOW)
    (draft,) = drafts()
    content = DraftContent.from_json(draft.content)
    assert set(content.severities or ()) == {sip.id, web.id}
    assert "SIP edge London and Web" in content.body
    narrowed = replace(content, severities={sip.id: Severity.PARTIAL_RTH}, body="We know.")
    edit_draft(draft, narrowed, version=draft.version, by=SYSTEM, author_id=cast.ada.id, now=NOW)
    actions.hear(monitor.id, [replace(both, fold="e" * 32)], now=NOW)
    assert DraftContent.from_json(draft.content) == narrowed


def test_more_of_what_an_open_report_names_belongs_to_it(monitor: Monitor, sip: Component) -> None:
    incident = publish(
        "Known", State.IDENTIFIED, "We know.", {sip.id: Severity.PARTIAL_RTH},
        by=SYSTEM, author_id=None, now=NOW, idempotency_key="known",
    )  # fmt: skip
    assert actions.hear(monitor.id, [DOWN], now=NOW) == Heard(folded=1)
    assert drafts() == []
    (condition,) = db.session.scalars(select(MonitorCondition))
    assert condition.incident_id == incident.id


def test_what_is_over_is_said_to_staff_alone(monitor: Monitor, sip: Component, cast: Cast) -> None:
    actions.hear(monitor.id, [DOWN, OTHER], now=NOW)
    (draft,) = drafts()
    incident = publish_draft(draft, by=SYSTEM, author_id=cast.ada.id, now=NOW)
    actions.hear(monitor.id, [UP], now=NOW + timedelta(minutes=5))
    said = select(IncidentUpdate).where(
        IncidentUpdate.incident_id == incident.id, IncidentUpdate.visibility == Visibility.PRIVATE
    )
    assert db.session.scalars(said).all() == []  # another alert of the same report still stands
    over = replace(OTHER, is_over=True)
    actions.hear(monitor.id, [over], now=NOW + timedelta(minutes=6))
    actions.hear(monitor.id, [over], now=NOW + timedelta(minutes=6))
    (update,) = db.session.scalars(said).all()
    assert "Prometheus says that it is over" in update.body
    db.session.refresh(incident)
    assert incident.state is State.INVESTIGATING


def test_over_before_anybody_looked_stands_in_the_draft(monitor: Monitor) -> None:
    actions.hear(monitor.id, [DOWN], now=NOW)
    assert actions.hear(monitor.id, [UP], now=NOW) == Heard(over=1)
    db.session.expire_all()
    (draft,) = drafts()
    assert (draft.is_open, draft.last_signal) == (True, "Prometheus says that it is over.")
    assert actions.hear(monitor.id, [UP], now=NOW) == Heard()


def test_what_comes_back_is_counted_where_it_was(monitor: Monitor) -> None:
    for minute in range(3):
        now = NOW + timedelta(minutes=minute)
        actions.hear(monitor.id, [DOWN], now=now)
        actions.hear(monitor.id, [UP], now=now)
    assert len(drafts()) == 1


def test_a_draft_put_away_stays_away_while_the_same_stands(monitor: Monitor) -> None:
    actions.hear(monitor.id, [DOWN], now=NOW)
    discard_draft(drafts()[0], by=SYSTEM, now=NOW)
    actions.hear(monitor.id, [DOWN], now=NOW + timedelta(hours=1))
    assert [each.is_open for each in drafts()] == [False]
    actions.hear(monitor.id, [UP], now=NOW + timedelta(hours=2))
    actions.hear(monitor.id, [DOWN], now=NOW + timedelta(hours=3))
    assert [each.is_open for each in drafts()] == [False, True]


def test_a_storm_opens_ten_drafts_and_keeps_the_rest_as_conditions(monitor: Monitor) -> None:
    storm = [replace(ELSEWHERE, fold=f"{number:032}", words=frozenset({str(number)})) for number in range(60)]
    assert actions.hear(monitor.id, storm, now=NOW) == Heard(opened=10, folded=50)
    assert db.session.scalar(select(func.count()).select_from(MonitorCondition)) == 60
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 10


def test_only_the_last_conditions_that_are_over_are_kept(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "KEPT_PER_MONITOR", 3)
    for number in range(8):
        each = replace(ELSEWHERE, fold=f"{number:032}")
        actions.hear(monitor.id, [each], now=NOW)
        actions.hear(monitor.id, [replace(each, is_over=True)], now=NOW)
    kept = db.session.scalars(select(MonitorCondition.fold).order_by(MonitorCondition.id)).all()
    assert kept == [f"{number:032}" for number in (5, 6, 7)]


def test_an_open_report_that_is_fixed_takes_nothing_more(monitor: Monitor, sip: Component) -> None:
    incident = publish(
        "Known", State.IDENTIFIED, "We know.", {sip.id: Severity.PARTIAL_RTH},
        by=SYSTEM, author_id=None, now=NOW, idempotency_key="known",
    )  # fmt: skip
    post_update(incident, State.FIXED, "Done.", {}, version=incident.version, by=SYSTEM, author_id=None, now=NOW)
    assert actions.hear(monitor.id, [DOWN], now=NOW) == Heard(opened=1)


def test_a_monitor_is_set_up_changed_and_removed(sip: Component) -> None:
    named = [Named("a", sip.id, Severity.MAJOR_OUTAGE)]
    monitor, key = actions.add_monitor("Kuma", Shape.UPTIME_KUMA, Severity.MAJOR_OUTAGE, named, by=SYSTEM, now=NOW)
    assert monitor_with_key(key) is monitor
    assert key not in repr(vars(monitor))
    with pytest.raises(RuleViolation, match="called KUMA already"):
        actions.add_monitor("KUMA", Shape.GRAFANA, Severity.MAJOR_OUTAGE, [], by=SYSTEM, now=NOW)
    with pytest.raises(RuleViolation, match="no longer exists"):
        actions.add_monitor(
            "Other",
            Shape.GRAFANA,
            Severity.MAJOR_OUTAGE,
            [Named("a", 10**6, Severity.MAJOR_OUTAGE)],
            by=SYSTEM,
            now=NOW,
        )
    with pytest.raises(StaleEdit):
        actions.edit_monitor(
            monitor, "Kuma", Severity.MAJOR_OUTAGE, named, version=monitor.version - 1, by=SYSTEM, now=NOW
        )
    version = monitor.version
    actions.edit_monitor(monitor, "Kuma", Severity.MAJOR_OUTAGE, named, version=version, by=SYSTEM, now=NOW)
    assert monitor.version == version
    newer = actions.renew_address(monitor, by=SYSTEM, now=NOW)
    assert (monitor_with_key(key), monitor_with_key(newer)) == (None, monitor)
    actions.hear(monitor.id, [DOWN], now=NOW)
    assert monitor_by_id(monitor.id) is monitor
    actions.remove_monitor(monitor, by=SYSTEM, now=NOW)
    assert monitor_with_key(newer) is None
    assert db.session.scalars(select(MonitorCondition.over_at)).all() == [NOW]
