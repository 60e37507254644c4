"""Notes to begin with, blanks in them, and what the form gives to think about."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.incidents.rules.templates import blanks
from portal.services.notes import GUIDES, warnings
from portal.services.rules import PROBLEMS, ServiceStatus, Wanted

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOTES = "Calls drop. We will write again at 10:00."


def fields(wanted: Wanted, *, was_mailed: bool = False, is_hit: bool = False) -> list[str]:
    return [each.field for each in warnings(wanted, NOW, was_mailed=was_mailed, is_hit=is_hit)]


def test_every_status_has_a_guide_with_notes_to_begin_with() -> None:
    assert list(GUIDES) == list(ServiceStatus)
    for guide in GUIDES.values():
        assert all([guide.meaning, guide.when, guide.do, guide.avoid, guide.starters])
        assert all(blanks(each.body) for each in guide.starters)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (ServiceStatus.SCHEDULED, ["expected impact", "must do"]),
        (ServiceStatus.INTERMITTENT, ["aware", "investigating", "next update"]),
        (ServiceStatus.DOWN, ["cause", "estimated restoration", "apologise"]),
        (ServiceStatus.NORMAL, ["restored", "root cause", "caught up", "Thank you"]),
    ],
)
def test_starter_notes_say_what_such_a_note_should_say(status: ServiceStatus, words: list[str]) -> None:
    bodies = " ".join(each.body for each in GUIDES[status].starters)
    assert [word for word in words if word not in bodies] == []


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [
        (timedelta(hours=48), None),
        (timedelta(hours=47, minutes=59), "It starts in 47 hours. People should hear 48 hours ahead."),
        (timedelta(minutes=90), "It starts in 90 minutes. People should hear 48 hours ahead."),
        (timedelta(minutes=1), "It starts in 1 minute. People should hear 48 hours ahead."),
        (timedelta(0), "It has begun already, so this is no announcement any more."),
    ],
)
def test_a_window_that_starts_soon_is_warned_of(ahead: timedelta, sentence: str | None) -> None:
    wanted = Wanted(ServiceStatus.SCHEDULED, NOTES, NOW + ahead, NOW + ahead + timedelta(hours=1))
    assert [each.sentence for each in warnings(wanted, NOW)] == ([sentence] if sentence else [])


def test_how_far_ahead_is_what_the_installation_says() -> None:
    wanted = Wanted(ServiceStatus.SCHEDULED, NOTES, NOW + timedelta(hours=50), NOW + timedelta(hours=51))
    targets = {ServiceStatus.SCHEDULED: timedelta(days=5)}
    found = [each.sentence for each in warnings(wanted, NOW, targets=targets)]
    assert found == ["It starts in 50 hours. People should hear 5 days ahead."]


@pytest.mark.parametrize("status", PROBLEMS)
def test_a_problem_without_notes_or_estimate_is_warned_of(status: ServiceStatus) -> None:
    soon = NOW + timedelta(hours=1)
    assert fields(Wanted(status)) == ["notes", "ends_at"]
    assert fields(Wanted(status, " \n", ends_at=soon)) == ["notes"]
    assert fields(Wanted(status, NOTES)) == ["ends_at"]
    assert fields(Wanted(status, NOTES, ends_at=soon)) == []


def test_a_recovery_kept_quiet_is_warned_of_where_the_outage_was_mailed() -> None:
    assert fields(Wanted(ServiceStatus.NORMAL, notify=False), was_mailed=True) == ["notify"]
    assert fields(Wanted(ServiceStatus.NORMAL, notify=False)) == []
    assert fields(Wanted(ServiceStatus.NORMAL), was_mailed=True) == []


def test_saying_that_all_is_well_while_an_incident_hits_it_is_warned_of() -> None:
    assert fields(Wanted(ServiceStatus.NORMAL), is_hit=True) == ["status"]
    assert fields(Wanted(ServiceStatus.DOWN, NOTES, ends_at=NOW + timedelta(hours=1)), is_hit=True) == []
