"""What external monitors send, as their own documents show it, and what is made of it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.incidents.rules import Severity
from portal.incidents.rules.monitors import (
    Match,
    NotUnderstoodError,
    Shape,
    Signal,
    began,
    draft_text,
    read,
    severities,
    severity_of,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def alerts(status: str = "firing", **changed: Any) -> dict[str, Any]:
    """As Alertmanager 0.28 sends it."""
    alert = {
        "status": status,
        "labels": {"alertname": "SipDown", "instance": "SIP-LON", "severity": "critical"},
        "annotations": {"summary": "SIP edge does not answer", "description": "No OPTIONS reply for 2 minutes."},
        "startsAt": "2026-11-21T11:58:03.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": "9a1c3d2f",
        **changed,
    }
    return {"version": "4", "groupKey": "{}:{alertname='SipDown'}", "status": status, "alerts": [alert]}


def kuma(status: int | None = 0) -> dict[str, Any]:
    """As Uptime Kuma 2 sends it; its “Test” button has neither a heartbeat nor a monitor."""
    if status is None:
        return {"heartbeat": None, "monitor": None, "msg": "Office Testing"}
    return {
        "heartbeat": {
            "monitorID": 7,
            "status": status,
            "time": "2026-11-21 11:59:30.250",
            "msg": "connect ECONNREFUSED",
        },
        "monitor": {
            "id": 7,
            "name": "SIP edge London",
            "hostname": "sip-lon.example",
            "tags": [{"name": "edge", "value": "London"}],
        },
        "msg": "[SIP edge London] [🔴 Down] connect ECONNREFUSED",
    }


@pytest.mark.parametrize("shape", [Shape.ALERTMANAGER, Shape.GRAFANA])
def test_an_alert_is_read(shape: Shape) -> None:
    (signal,) = read(shape, alerts())
    assert (signal.is_over, signal.title) == (False, "SIP edge does not answer")
    assert signal.severity is Severity.MAJOR_OUTAGE
    assert {"sip-lon", "instance=sip-lon", "sipdown"} <= signal.words
    assert signal.began_at == datetime(2026, 11, 21, 11, 58, 3, 123456, tzinfo=UTC)
    assert signal.text.startswith("No OPTIONS reply")


def test_what_is_over_folds_with_what_began() -> None:
    (began_so,) = read(Shape.ALERTMANAGER, alerts())
    (ended_so,) = read(Shape.ALERTMANAGER, alerts("resolved"))
    assert ended_so.is_over
    assert ended_so.fold == began_so.fold
    (other,) = read(Shape.ALERTMANAGER, alerts(fingerprint="another"))
    assert other.fold != began_so.fold


def test_without_a_fingerprint_the_labels_tell_one_from_another() -> None:
    (one,) = read(Shape.GRAFANA, alerts(fingerprint=None))
    (same,) = read(Shape.GRAFANA, alerts("resolved", fingerprint=None))
    (other,) = read(Shape.GRAFANA, alerts(fingerprint=None, labels={"alertname": "SipDown", "instance": "sip-man"}))
    assert one.fold == same.fold != other.fold


@pytest.mark.parametrize(("status", "is_over"), [(0, False), (1, True), (2, False), (3, True)])
def test_a_heartbeat_is_read(status: int, is_over: bool) -> None:
    (signal,) = read(Shape.UPTIME_KUMA, kuma(status))
    assert (signal.is_over, signal.title, signal.severity) == (is_over, "SIP edge London", None)
    assert {"sip edge london", "sip-lon.example", "edge=london"} <= signal.words
    assert signal.began_at == datetime(2026, 11, 21, 11, 59, 30, 250000, tzinfo=UTC)


def test_a_trial_says_nothing() -> None:
    assert read(Shape.UPTIME_KUMA, kuma(None)) == []


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (Shape.ALERTMANAGER, None),
        (Shape.ALERTMANAGER, []),
        (Shape.ALERTMANAGER, {}),
        (Shape.GRAFANA, {"alerts": "all of them"}),
        (Shape.UPTIME_KUMA, alerts()),
        (Shape.UPTIME_KUMA, {"heartbeat": 1, "monitor": 2}),
    ],
)
def test_what_is_no_such_message_is_refused(shape: Shape, body: Any) -> None:
    with pytest.raises(NotUnderstoodError):
        read(shape, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMES = ("alerts", "status", "labels", "annotations", "startsAt", "fingerprint", "heartbeat", "monitor", "time", "tags")


@given(
    st.sampled_from(Shape),
    st.dictionaries(st.sampled_from(NAMES), JSON | st.lists(st.dictionaries(st.sampled_from(NAMES), JSON))),
)
def test_whatever_is_sent_is_read_or_refused(shape: Shape, body: dict[str, Any]) -> None:
    try:
        signals = read(shape, body)
    except NotUnderstoodError:
        return
    for signal in signals:
        assert 0 < len(signal.title) <= 200
        assert len(signal.text) <= 2000
        assert len(signal.fold) == 32
        assert signal.began_at is None or signal.began_at.tzinfo is UTC


def a_signal(*words: str, severity: Severity | None = None, began_at: datetime | None = None) -> Signal:
    return Signal("f" * 32, False, "It is down", "", frozenset(words), severity, began_at)


def test_words_stand_for_components_and_the_worst_counts() -> None:
    matches = [
        Match("SIP-LON", 1, Severity.PARTIAL_RTH),
        Match("job=sip", 1, Severity.MAJOR_OUTAGE),
        Match("sip-lon", 2, Severity.PERFORMANCE_ISSUE),
    ]
    titles = {"sip-lon": 9}
    found = severities(a_signal("sip-lon", "job=sip"), matches, titles, Severity.PARTIAL_RTH)
    assert found == {1: Severity.MAJOR_OUTAGE, 2: Severity.PERFORMANCE_ISSUE}
    said = severities(a_signal("sip-lon", severity=Severity.MAJOR_OUTAGE), matches, titles, Severity.PARTIAL_RTH)
    assert said == {1: Severity.MAJOR_OUTAGE, 2: Severity.MAJOR_OUTAGE}


def test_a_components_own_title_is_found_where_no_word_is() -> None:
    titles = {"sip edge london": 9}
    assert severities(a_signal("sip edge london"), [], titles, Severity.PARTIAL_RTH) == {9: Severity.PARTIAL_RTH}
    assert severities(a_signal("sip edge"), [], titles, Severity.PARTIAL_RTH) == {}


def test_a_clock_that_is_ahead_says_nothing_of_when() -> None:
    assert began(a_signal(began_at=datetime(2026, 11, 21, 11, 0, tzinfo=UTC)), NOW) is not None
    assert began(a_signal(began_at=datetime(2026, 11, 21, 13, 0, tzinfo=UTC)), NOW) is None


@pytest.mark.parametrize(
    ("word", "severity"),
    [(" Critical ", Severity.MAJOR_OUTAGE), ("warning", Severity.PERFORMANCE_ISSUE), ("purple", None), ("", None)],
)
def test_a_monitors_own_word_for_how_bad_it_is(word: str, severity: Severity | None) -> None:
    assert severity_of(word) is severity


def test_what_no_monitor_sends_is_read_without_stumbling() -> None:
    beat = kuma()
    beat["heartbeat"]["status"] = [1]
    assert not read(Shape.UPTIME_KUMA, beat)[0].is_over
    (signal,) = read(Shape.ALERTMANAGER, alerts(labels={"al\ud800ertname": "SipDown"}, fingerprint=""))
    assert "alertname=sipdown" in signal.words


def test_a_draft_says_what_is_known_and_nothing_else() -> None:
    assert "SIP edge and Voicemail" in draft_text(["SIP edge", "Voicemail"])
    assert "problem that our monitoring has reported" in draft_text([])
