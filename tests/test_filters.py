"""What templates are given: looks, times, Markdown, history bars, addresses of pages."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask_babel import force_locale

from portal import clock
from portal.catalogue import models as catalogue_models  # noqa: F401 (the tables the models below refer to)
from portal.filters import (
    LOOKS,
    OPENING,
    ago,
    bar_paths,
    bars_sentence,
    duration,
    full_duration,
    iso,
    local_time,
    local_window,
    look,
    markdown,
    opening,
    page_address,
    short_duration,
    uptime,
)
from portal.incidents.rules import ComponentStatus, MaintenanceState, Severity, State
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.services.rules import ServiceStatus
from tests.conftest import REPOSITORY, STAFF_HOST

MACROS = (REPOSITORY / "portal/templates/components/status.html").read_text(encoding="utf-8")
CSS = (REPOSITORY / "portal/static/css/10-tokens.css").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "states"),
    [
        ("component", ComponentStatus),
        ("service", ServiceStatus),
        ("severity", Severity),
        ("staff_severity", Severity),
        ("state", State),
        ("maintenance", MaintenanceState),
        ("delivery", DeliveryState),
        ("broadcast", BroadcastState),
    ],
)
def test_every_state_has_a_look(kind: str, states: type[StrEnum]) -> None:
    assert {state.value for state in states} <= set(LOOKS[kind])


def test_every_look_has_a_shape_a_tone_and_a_word(app: Flask) -> None:
    with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
        for kind, values in LOOKS.items():
            for value in values:
                seen = look(kind, value)
                assert str(seen.label)
                assert f'"{seen.shape}":' in MACROS
                assert f".tone-{seen.tone} " in CSS


def test_no_two_states_of_a_kind_are_told_apart_by_colour_alone() -> None:
    """Shape or word differ wherever the tone does."""
    for kind, values in LOOKS.items():
        words = {(str(seen.label), seen.tone) for seen in values.values()}
        assert len({label for label, _tone in words}) == len(words), kind


class TestTimes:
    @pytest.fixture(autouse=True)
    def _at_noon(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clock, "utcnow", lambda: self.now)

    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("seconds", "words"),
        [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (3599, "59 minutes ago"),
            (3600, "1 hour ago"),
            (47 * 3600, "47 hours ago"),
            (48 * 3600, "2 days ago"),
            (-30, "in a moment"),
            (-60, "in 1 minute"),
            (-7200, "in 2 hours"),
        ],
    )
    def test_ago(self, app: Flask, seconds: int, words: str) -> None:
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            assert ago(self.now - timedelta(seconds=seconds)) == words

    def test_durations_round_down(self, app: Flask) -> None:
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            assert duration(timedelta(seconds=119)) == "1 minute"
            assert duration(timedelta(hours=-1)) == "0 minutes"

    def test_durations_for_the_record_have_two_units(self, app: Flask) -> None:
        words = {
            timedelta(seconds=59): "0 minutes",
            timedelta(minutes=1): "1 minute",
            timedelta(hours=2): "2 hours",
            timedelta(hours=2, minutes=5): "2 hours 5 minutes",
            timedelta(days=1, minutes=40): "1 day 40 minutes",
            timedelta(days=3, hours=1, minutes=59): "3 days 1 hour",
        }
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            assert {span: full_duration(span) for span in words} == words

    def test_durations_of_a_column_are_short_and_line_up(self) -> None:
        words = {
            timedelta(minutes=38): "38\u00a0min",
            timedelta(hours=2, minutes=5): "2\u00a0h\u00a005\u00a0min",
            timedelta(days=2, hours=3): "51\u00a0h\u00a000\u00a0min",
        }
        assert {span: short_duration(span) for span in words} == words

    @pytest.mark.parametrize(("thousandths", "shown"), [(100_000, "100.000"), (99_890, "99.890"), (0, "0.000")])
    def test_shares_of_a_column_have_the_same_places(self, app: Flask, thousandths: int, shown: str) -> None:
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            assert uptime(thousandths) == f"{shown}\u202f%"
            with force_locale("de"):
                assert uptime(thousandths) == f"{shown.replace('.', ',')}\u202f%"

    def test_the_zone_is_named(self, app: Flask) -> None:
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            assert local_time(self.now) == "21 Nov 2026, 12:00 UTC"
        assert iso(self.now) == "2026-11-21T12:00:00Z"

    def test_german_has_its_own_words_for_zones(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("portal.filters.reader_zone", lambda: ZoneInfo("Europe/Berlin"))
        summer = datetime(2026, 7, 1, 12, tzinfo=UTC)
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            assert local_time(summer) == "1 Jul 2026, 14:00 CEST"
            with force_locale("de"):
                assert local_time(summer) == "1. Juli 2026, 14:00 MESZ"
                assert local_time(self.now) == "21. Nov. 2026, 13:00 MEZ"

    def test_a_window_names_its_day_once(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("portal.filters.reader_zone", lambda: ZoneInfo("Europe/London"))
        change = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            assert local_window(self.now, self.now + timedelta(hours=2)) == "21 Nov 2026, 12:00 – 14:00 GMT"
            assert local_window(self.now, None) == "21 Nov 2026, 12:00 GMT"
            over_night = local_window(self.now, self.now + timedelta(hours=13))
            assert over_night == "21 Nov 2026, 12:00 – 22 Nov 2026, 01:00 GMT"
            assert (
                local_window(change, change + timedelta(hours=1)) == "25 Oct 2026, 01:30 BST – 25 Oct 2026, 01:30 GMT"
            )


class TestMarkdown:
    def test_what_it_knows(self) -> None:
        html = markdown("**Calls** fail\n\n- one\n- two\n\n[more](https://example.com)")
        assert "<strong>Calls</strong>" in html
        assert "<li>one</li>" in html
        assert '<a href="https://example.com" rel="noopener noreferrer nofollow">more</a>' in html

    @pytest.mark.parametrize(
        "text",
        [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "[x](data:text/html,hi)",
            "![x](https://example.com/a.png)",
            '<a href="https://example.com" onclick="alert(1)">x</a>',
            '<div hx-get="/admin">x</div>',
            "<style>p{}</style>",
        ],
    )
    def test_nothing_that_runs_or_loads_survives(self, text: str) -> None:
        html = str(markdown(text))
        assert "<script" not in html
        assert "<img" not in html
        assert "<style" not in html
        assert "<div" not in html
        assert 'href="javascript' not in html
        assert 'href="data' not in html
        assert "<a href" not in html or "onclick" not in html.split("<a href", 1)[1].split(">", 1)[0]


class TestBars:
    def test_one_path_for_each_severity_and_the_worse_the_taller(self) -> None:
        assert bar_paths("-0010") == [
            ("none", 6, "M0 29h3"),
            ("good", 20, "M4 22h7M16 22h3"),
            ("warn", 24, "M12 20h3"),
        ]

    @pytest.mark.parametrize(
        ("days", "words"),
        [
            ("000", "no problems in 3 days"),
            ("--0", "no problems in 1 day"),
            ("-0030", "problems on 1 day of 4"),
            ("2130", "problems on 3 days of 4"),
        ],
    )
    def test_in_words(self, app: Flask, days: str, words: str) -> None:
        with app.test_request_context(base_url=f"http://{STAFF_HOST}"):
            assert bars_sentence(days) == words
            assert bars_sentence(days, "Trunks") == f"Trunks: {words}"


def test_the_address_of_another_page_keeps_the_filters(app: Flask) -> None:
    with app.test_request_context("/admin/styleguide?q=alder&state=a&state=b&page=3", base_url=f"http://{STAFF_HOST}"):
        assert page_address(4) == "/admin/styleguide?q=alder&state=a&state=b&page=4"
        assert page_address(1) == "/admin/styleguide?q=alder&state=a&state=b"


@pytest.mark.parametrize("name", ["_method", "_external", "_scheme", "_anchor"])
def test_a_filter_of_any_name_is_kept_as_it_is(app: Flask, name: str) -> None:
    with app.test_request_context(f"/admin/styleguide?{name}=a&{name}=b", base_url=f"http://{STAFF_HOST}"):
        assert page_address(2) == f"/admin/styleguide?{name}=a&{name}=b&page=2"


class TestOpening:
    def test_markdown_becomes_one_plain_line(self) -> None:
        text = "Mails to **Outlook** are [late](https://example.org).\n\n* Nothing is <b>lost</b> & all is well."
        assert opening(text) == "Mails to Outlook are late. Nothing is <b>lost</b> & all is well."

    def test_what_is_long_is_cut_after_a_word(self) -> None:
        assert opening("nine more " * 30) == "nine more " * 13 + "nine more…"

    def test_one_endless_word_is_cut_anywhere(self) -> None:
        assert opening("x" * 900) == "x" * OPENING + "…"
