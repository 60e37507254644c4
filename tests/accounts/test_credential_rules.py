"""The pure rules of passwords, throttles, mailed links and second factors."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.rules import passwords
from portal.accounts.rules.browsers import browser_and_system
from portal.accounts.rules.links import LIVES, Purpose, derived_token, hashed, opens
from portal.accounts.rules.passwords import Refusal, Surroundings, folded_list, refusal
from portal.accounts.rules.second_factor import (
    acceptable_steps,
    looks_like_recovery_code,
    matching_step,
    new_recovery_codes,
    recovery_hash,
    step_at,
)
from portal.accounts.rules.throttles import (
    DAY,
    HOUR,
    LIMITS,
    Level,
    Limit,
    Throttle,
    filled,
    full_at,
    ip_subject,
    mailbox_subject,
    seconds_until_one,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
COMMON = folded_list(["Dragon", "correcthorsebattery", "sunshine", "password"])
ALICE = Surroundings("Alice Moor", "a.moor@people.test", ("Green Energy Solutions", "BT"), ("Northline",))


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("x" * 11, Refusal.SHORT),
        ("🐎" * 11, Refusal.SHORT),
        ("ab" * 65, Refusal.LONG),
        ("a quiet\x00bicycle", Refusal.NUL),
        ("CorrectHorseBattery", Refusal.COMMON),
        (" correcthorsebattery ", Refusal.COMMON),
        ("!!Sunshine2026", Refusal.COMMON),
        ("sunshine and rain", None),
        ("0000000000000", Refusal.PATTERN),
        ("zyxwvutsrqponm", Refusal.PATTERN),
        ("asdfghjklzxcvb", Refusal.PATTERN),
        ("xy-xy-xy-xy-", Refusal.PATTERN),
        ("greenenergysolutions", Refusal.COMPANY),
        ("GREEN-green-2026", Refusal.COMPANY),
        ("correct green battery", None),
        ("the BT of the Bay", None),
        ("Nørthline Northline!", Refusal.BRAND),
        ("amoor@people.test", Refusal.ADDRESS),
        ("alice moor 2026", Refusal.OWN_NAME),
        ("alice has nine cats", None),
        ("signal box of mine", Refusal.PRODUCT),
    ],
)
def test_a28_which_passwords_are_taken(password: str, why: Refusal | None) -> None:
    assert refusal(password, COMMON, ALICE) is why


def test_a28_the_list_holds_what_is_tried_first() -> None:
    from portal.accounts.actions.passwords import _common  # noqa: PLC0415 (reads the list)

    assert len(_common()) >= 3000
    assert {"password", "123456", "qwerty", "iloveyou", "letmein"} <= _common()


@given(st.text(min_size=20, max_size=128, alphabet=st.characters(exclude_characters="\x00")))
def test_a28_any_long_text_is_taken_unless_it_names_something(password: str) -> None:
    assert refusal(password, frozenset(), Surroundings()) in {None, Refusal.PRODUCT}


@given(st.text(max_size=200))
def test_a28_every_text_gets_an_answer(password: str) -> None:
    why = refusal(password, COMMON, ALICE)
    assert (why is Refusal.LONG) <= (len(password) > passwords.MOST)


def test_a_bucket_is_full_at_first_and_fills_evenly() -> None:
    limit = Limit(10, HOUR)
    assert filled(limit, None, NOW) == 10
    empty = Level(0, NOW)
    assert filled(limit, empty, NOW + timedelta(minutes=6)) == pytest.approx(1)
    assert filled(limit, empty, NOW + timedelta(hours=9)) == 10
    assert filled(limit, empty, NOW - timedelta(hours=9)) == 0
    assert [seconds_until_one(limit, tokens) for tokens in (0, 0.5, 0.999, 1, 7)] == [360, 180, 1, 0, 0]
    assert full_at(limit, 9, NOW) == NOW + timedelta(minutes=6)


def test_the_figures_are_those_of_the_table() -> None:
    """reliability-security section 5, "Login throttle"."""
    assert {
        Throttle.SIGN_IN_BY_ADDRESS: Limit(20, HOUR),
        Throttle.SIGN_IN_BY_ACCOUNT: Limit(10, HOUR),
        Throttle.SIGN_IN_BY_ACCOUNT_DAILY: Limit(20, DAY),
        Throttle.RESET_BY_ADDRESS: Limit(20, HOUR),
        Throttle.RESET_BY_ACCOUNT: Limit(3, HOUR),
        Throttle.SECOND_FACTOR: Limit(96, DAY),
        Throttle.EMAIL_CHANGE: Limit(10, DAY),
        Throttle.API_FAILURE_BY_ADDRESS: Limit(60, HOUR),
    } == LIMITS


@given(
    st.lists(st.tuples(st.floats(0, 7200), st.booleans()), max_size=60),
    st.integers(1, 30),
    st.sampled_from([HOUR, DAY]),
)
def test_no_order_of_tries_yields_more_than_the_bucket_and_its_refill(
    tries: list[tuple[float, bool]], capacity: int, period: timedelta
) -> None:
    limit, level, now, granted = Limit(capacity, period), None, NOW, 0
    for pause, _wanted in tries:
        now += timedelta(seconds=pause)
        tokens = filled(limit, level, now)
        assert 0 <= tokens <= capacity
        if seconds_until_one(limit, tokens) == 0:
            level = Level(tokens - 1, now)
            granted += 1
    assert granted <= capacity + (now - NOW).total_seconds() * limit.per_second + 1e-6


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("a socket", "a socket"),
    ],
)
def test_whom_an_ip_address_stands_for(address: str | None, subject: str) -> None:
    assert ip_subject(address) == subject


def test_one_mailbox_has_many_spellings() -> None:
    spellings = ["alice@x.test", "A.L.I.C.E@X.test", "alice+a@x.test", " ａlice+b+c@x.test "]
    assert {mailbox_subject(each) for each in spellings} == {"alice@x.test"}
    assert mailbox_subject("alice@y.test") != mailbox_subject("alice@x.test")


def test_a_token_is_of_one_key_purpose_person_and_link() -> None:
    made = [
        derived_token(key, purpose, person, nonce)
        for key in ("k" * 40, "K" * 40)
        for purpose in Purpose
        for person in (1, 11)
        for nonce in ("a", "b")
    ]
    assert len(set(made)) == len(made)
    assert {len(token) for token in made} == {43}
    assert hashed(made[0]) != made[0]


@pytest.mark.parametrize(
    ("changes", "is_open"),
    [
        ({}, True),
        ({"used_at": NOW}, False),
        ({"revoked_at": NOW}, False),
        ({"expires_at": NOW}, False),
        ({"stamp": 2}, False),
        ({"stamp": 2, "bound_stamp": None}, True),
    ],
)
def test_when_a_link_opens(changes: dict[str, object], is_open: bool) -> None:
    fresh: dict[str, object] = {"now": NOW, "expires_at": NOW + LIVES[Purpose.RESET], "used_at": None}
    fresh |= {"revoked_at": None, "bound_stamp": 1, "stamp": 1}
    assert opens(**{**fresh, **changes}) is is_open  # type: ignore[arg-type]


def test_codes_are_taken_a_step_around_now_and_never_up_to_the_last() -> None:
    step = step_at(NOW)
    assert list(acceptable_steps(NOW, None)) == [step - 1, step, step + 1]
    assert list(acceptable_steps(NOW, step)) == [step + 1]
    assert list(acceptable_steps(NOW, step + 1)) == []
    codes = {step: "123456", step + 1: "654321"}
    assert matching_step(" 654 321 ", codes) == step + 1
    assert [matching_step(typed, codes) for typed in ("", "12345", "1234567", "１２３４５６")] == [None] * 4


def test_recovery_codes_are_read_however_they_are_typed() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    for code in codes:
        assert looks_like_recovery_code(code)
        assert recovery_hash(code) == recovery_hash(f" {code.upper().replace('-', ' ')} ")
    assert not looks_like_recovery_code("123456")


@pytest.mark.parametrize(
    ("user_agent", "named"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0", ("Firefox", "Windows")),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0",
            ("Edge", "macOS"),
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Version/17.0 Mobile Safari/604.1",
            ("Safari", "iPhone"),
        ),
        ("Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36", ("Chrome", "Android")),
        ("curl/8.5", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_browser_is_named_as_its_owner_would(user_agent: str, named: tuple[str, str]) -> None:
    assert browser_and_system(user_agent) == named
