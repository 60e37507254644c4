"""What a question is taken for: a list of phrasings, and everything else that somebody may type."""

import time
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.services.questions.rules import MOST_LETTERS, Known, Meaning, Understood, understand

SERVICES = {
    "email": Known(1, "Email / Microsoft 365", ("email", "mail", "Outlook", "Exchange", "Office 365", "O365")),
    "internet1": Known(2, "Internet Connectivity", ("internet", "broadband"), "CIR-1 Leeds"),
    "internet2": Known(3, "Internet Connectivity", ("internet", "broadband"), "CIR-2 York"),
    "phone": Known(
        4, "VoIP Phone System", ("phone", "phones", "telephony", "VoIP", "Telefon", "Telefonanlage", "Telefonie")
    ),
    "servers": Known(5, "On-Premise Servers", ("server", "servers")),
    "backup": Known(6, "Backup Systems", ("backup", "Datensicherung")),
    "security": Known(7, "Security Monitoring", ("security",)),
    "wifi": Known(8, "Office Wi-Fi", ("wifi", "WLAN")),
    "door": Known(9, "Door Access"),
}
THEIRS = list(SERVICES.values())

PHRASINGS = [
    (expected, text)
    for line in (Path(__file__).parent / "phrasings.tsv").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for expected, _tab, text in [line.partition("\t")]
]


def ids_of(names: str) -> set[int]:
    found = {SERVICES[name].id for name in names.split("+") if name in SERVICES}
    return found | ({2, 3} if "internet" in names.split("+") else set())


@pytest.mark.parametrize(("expected", "text"), PHRASINGS)
def test_a_phrasing_is_taken_for_what_it_means(expected: str, text: str) -> None:
    meaning, _space, names = expected.partition(" ")
    found = understand(text, THEIRS)
    assert found.meaning == meaning
    if meaning == "about":
        assert set(found.ids) == ids_of(names)
    elif meaning == "unsure":
        assert set(found.ids) >= ids_of(names)


def test_there_are_enough_of_them_in_both_languages() -> None:
    assert len(PHRASINGS) >= 120
    german = [
        text
        for _expected, text in PHRASINGS
        if {"ist", "das", "die", "es", "geht", "läuft"} & set(text.lower().split())
    ]
    assert len(german) >= 25
    assert {expected.split()[0] for expected, _text in PHRASINGS} == {str(each) for each in Meaning}


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
KNOWN = st.lists(
    st.builds(
        Known,
        id=st.integers(1, 50),
        name=NAMES,
        aliases=st.lists(NAMES, max_size=3).map(tuple),
        reference=st.text(max_size=12),
    ),
    max_size=8,
    unique_by=lambda each: each.id,
)
WORDS = sorted(set(chain.from_iterable(text.split() for _expected, text in PHRASINGS)))
SENTENCES = st.lists(st.sampled_from(WORDS) | st.text(max_size=12), max_size=12).map(" ".join)


@given(text=st.text(max_size=400) | SENTENCES, services=KNOWN)
def test_nothing_is_ever_named_but_what_is_theirs(text: str, services: list[Known]) -> None:
    found = understand(text, services)
    assert set(found.ids) <= {each.id for each in services}
    assert bool(found.ids) is (found.meaning in {Meaning.ABOUT, Meaning.UNSURE})


@given(text=SENTENCES)
def test_who_has_nothing_is_told_of_nothing_certain(text: str) -> None:
    assert understand(text, []).meaning in {Meaning.EVERYTHING, Meaning.UNKNOWN, Meaning.OTHER}


@given(st.sampled_from(["Gmail", "Intranet", "Portal", "Site B", "Line 2", "Contoso", "Mall", "Boot"]))
def test_a_name_beside_theirs_is_never_theirs_for_certain(name: str) -> None:
    near = [Known(1, "Email"), Known(2, "Internet"), Known(3, "Postal"), Known(4, "Site A"), Known(5, "Line 1")]
    assert understand(f"Is {name} down?", near).meaning is not Meaning.ABOUT


@pytest.mark.parametrize(
    ("services", "text"),
    [
        ([Known(1, "IT")], "Is it down?"),
        ([Known(1, "Status")], "What is the status?"),
        ([Known(1, "On")], "Is all ok on your end?"),
    ],
)
def test_a_service_called_like_a_word_of_the_trade_is_not_heard_in_it(services: list[Known], text: str) -> None:
    assert understand(text, services) == Understood(Meaning.EVERYTHING)


def test_of_two_names_the_longer_is_meant() -> None:
    both = [Known(1, "Backup"), Known(2, "Cloud Backup"), Known(3, "Cloud")]
    assert understand("is cloud backup down?", both).ids == (2,)
    assert understand("is the backup down?", both).ids == (1,)


HOSTILE = [
    "is " * 3_333,
    "email " * 1_600,
    "a" * 10_000,
    "is " + "e" * 9_990 + "?",
    "<b>" * 3_333,
    "ﷺ" * 10_000,
    "\u0301" * 10_000,
    "e-m" * 90,
    "e mail " * 42,
    "intrenet " * 33,
    "'" * 300,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_t30_hostile_text_is_read_in_no_time(text: str) -> None:
    many = [
        Known(number, f"Managed service {chr(97 + number % 26)}lpha{number}", (f"alias{number}", "email", "internet"))
        for number in range(300)
    ]
    began = time.perf_counter()
    for _ in range(3):
        understand(text, many)
    assert time.perf_counter() - began < 1.5


def test_a_question_is_short() -> None:
    assert understand("Is email down?" + " " * (MOST_LETTERS - 14), THEIRS).meaning is Meaning.ABOUT
    assert understand("Is email down?" + " " * MOST_LETTERS, THEIRS).meaning is Meaning.OTHER
