"""What a relay has room for, and what a host may be called: rules, without a database."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.notifications.profiles import (
    DAY,
    DAY_SPAN,
    MINUTE,
    PROFILES,
    SECOND_SPAN,
    Limits,
    Profile,
    Security,
    Spent,
    Unusable,
    address_of,
    begin_of_span,
    checked_host,
    left_today,
    next_pace,
    room,
    room_again,
    url_of,
)
from portal.notifications.smtp import Route

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
M365 = PROFILES[Profile.MICROSOFT_365]


class House:
    """Several processes that claim, dawdle, send, give back or die, with a ledger as the relay itself would keep it."""

    def __init__(self, limits: Limits, seed: int) -> None:
        self.limits = limits
        self.random = random.Random(seed)  # noqa: S311 (it plays processes, it guards nothing)
        self.now = NOW
        self.next_at: datetime | None = None
        self.claimed: list[datetime] = []
        self.sent: list[datetime] = []

    def spent(self) -> Spent:
        def spans(span: timedelta, window: timedelta) -> list[tuple[datetime, int]]:
            counts = Counter(begin_of_span(each, span) for each in self.sent if each > self.now - window - 2 * span)
            return sorted(counts.items())

        return Spent(spans(SECOND_SPAN, MINUTE), spans(DAY_SPAN, DAY), len(self.claimed))

    def step(self, longest: float) -> None:
        self.now += timedelta(seconds=self.random.uniform(0.05, longest))
        count = room(self.limits, self.spent(), self.next_at, self.now) or 0
        if count:
            count = self.random.randint(1, count)
            self.next_at = next_pace(self.limits, count, self.next_at, self.now)
            self.claimed += [self.now] * count
        for each in list(self.claimed):
            fate = self.random.random()
            if fate < 0.5:
                self.claimed.remove(each)
                if fate > 0.05:
                    self.sent.append(self.now)

    def most_within(self, window: timedelta) -> int:
        """The most mails in any window, open at its beginning, as the relay counts them."""
        most, first = 0, 0
        for last, moment in enumerate(self.sent):
            while self.sent[first] <= moment - window:
                first += 1
            most = max(most, last - first + 1)
        return most


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([1, 7, 30, 100]), st.floats(0.2, 20))
def test_in_no_minute_is_a_relay_given_more_than_it_takes(seed: int, per_minute: int, longest: float) -> None:
    house = House(Limits(per_minute), seed)
    for _ in range(150):
        house.step(longest)
    assert house.most_within(MINUTE) <= per_minute


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([1, 50, 400]))
def test_in_no_24_hours_is_a_relay_given_more_than_it_takes(seed: int, per_day: int) -> None:
    house = House(Limits(None, per_day), seed)
    for _ in range(120):
        house.step(3600)
    assert house.most_within(DAY) <= per_day


def through(limits: Limits, seconds: int, every: float = 0.25) -> list[datetime]:
    """When mails go out if somebody looks so often, and sends what there is room for at once."""
    house = House(limits, 1)
    while house.now < NOW + timedelta(seconds=seconds):
        count = room(limits, house.spent(), house.next_at, house.now) or 0
        if count:
            house.next_at = next_pace(limits, count, house.next_at, house.now)
            house.sent += [house.now] * count
        house.now += timedelta(seconds=every)
    return house.sent


def test_a_minutes_worth_is_spread_over_the_minute() -> None:
    sent = through(M365, 240)
    assert 112 <= len(sent) <= 121
    in_five = Counter(begin_of_span(each, timedelta(seconds=5)) for each in sent)
    assert max(in_five.values()) <= 4


def test_a_quick_relay_is_used_to_the_full() -> None:
    assert len(through(Limits(1_200), 30)) >= 590


def test_what_is_more_urgent_finds_room_within_seconds_whatever_went_before() -> None:
    sent = through(M365, 180)
    assert max(later - sooner for sooner, later in pairwise(sent)) <= timedelta(seconds=6)


def test_a_relay_without_limits_takes_any_number() -> None:
    assert room(Limits(), Spent(claimed=10**6), None, NOW) is None
    assert left_today(Limits(), Spent(), NOW) is None
    assert room_again(Limits(), Spent(), None, NOW) == NOW


def test_what_is_given_back_may_be_given_out_again() -> None:
    limits = Limits(None, 100)
    assert room(limits, Spent(claimed=100), None, NOW) == 0
    assert room(limits, Spent(claimed=0), None, NOW) == 100


def test_when_there_is_room_again_is_when_the_oldest_of_the_day_is_a_day_old() -> None:
    long_ago, lately = NOW - timedelta(hours=23), NOW - timedelta(hours=2)
    spent = Spent(tens=[(long_ago, 40), (lately, 60)])
    limits = Limits(None, 100)
    assert room(limits, spent, None, NOW) == 0
    again = room_again(limits, spent, None, NOW)
    assert again == long_ago + DAY + DAY_SPAN
    assert room(limits, spent, None, again) == 40
    assert left_today(limits, spent, again - timedelta(seconds=1)) == 0


def test_a_clock_that_was_set_back_does_not_stop_the_mails_for_long() -> None:
    assert room(M365, Spent(), NOW + timedelta(days=3), NOW) == 2
    assert room_again(M365, Spent(), NOW + timedelta(days=3), NOW) == NOW


def test_the_profiles_are_those_the_providers_name() -> None:
    assert Limits(30, 10_000) == M365
    assert PROFILES[Profile.GOOGLE_WORKSPACE] == Limits(None, 2_000)
    assert not PROFILES[Profile.UNLIMITED].is_bounded


# --- what people type -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("smtp.example.com", "smtp.example.com"),
        (" SMTP.Example.COM. ", "smtp.example.com"),
        ("mail_1.example.com", "mail_1.example.com"),
        ("10.0.0.7", "10.0.0.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("localhost", "localhost"),
        ("müller.example", "xn--mller-kva.example"),
    ],
)
def test_hosts_that_can_be_reached(typed: str, host: str) -> None:
    assert checked_host(typed) == host


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "smtp.x\nSECRET_KEY=pwn",
        "smtp.x\r\nX: y",
        "smtp.x\x00",
        "${SECRET_KEY}",
        "$DATABASE_URL",
        "smtp://smtp.example.com",
        "smtp.example.com/path",
        "smtp.example.com:25",
        "user@smtp.example.com",
        "smtp example.com",
        "-smtp.example.com",
        "smtp..example.com",
        "a" * 64 + ".example.com",
        ".".join(["a" * 60] * 5),
        "smtp.example.com\u2028",
        "\ud800",
    ],
)
def test_i31_what_is_no_host_is_refused(typed: str) -> None:
    with pytest.raises(Unusable):
        checked_host(typed)


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("host", ["smtp.example.com", "2001:db8::7"])
def test_an_address_comes_out_as_it_went_in(security: Security, host: str) -> None:
    user, password = "me@x.test", "p/w:@#?%20 ä$"
    route = Route.of(url_of(security, host, 2525, user, password))
    assert (route.host, route.port, route.user, route.password) == (host, 2525, user, password)
    assert route.scheme == {"none": "smtp", "starttls": "smtp+starttls", "tls": "smtps"}[security.value]
    assert address_of(host, 25) == ("[2001:db8::7]:25" if ":" in host else "smtp.example.com:25")
