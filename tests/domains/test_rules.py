"""Hosts, addresses and areas, with no app."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domains.rules import AREA_WORDS, BUILT_AREAS, Area, area_is_open, normal_address, normal_host

LONG = ".".join(["a" * 63] * 4)[:253]


@pytest.mark.parametrize(
    ("raw", "host"),
    [
        ("a.portal.test", "a.portal.test"),
        ("A.Portal.TEST", "a.portal.test"),
        ("a.portal.test:8000", "a.portal.test"),
        ("a.portal.test.", "a.portal.test"),
        ("a.portal.test.:443", "a.portal.test"),
        (" a.portal.test ", "a.portal.test"),
        ("localhost", "localhost"),
        ("127.0.0.1:5000", "127.0.0.1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        (LONG, LONG),
    ],
)
def test_a_host_is_compared_in_one_form(raw: str, host: str) -> None:
    assert normal_host(raw) == host


@pytest.mark.parametrize(
    "raw",
    [
        "", " ", ".", "..", "a..b", ".a", "-a.test", "a-.test", "a_b.test",
        "user@a.test", "user:pw@a.test", "a.test@evil.test", "a.test:80@evil.test",
        "[::1]", "[::1]:80", "::1", "a.test:80:90", "a.test:", "a.test:x", "a.test:123456", "a.test:٨٠",
        "a.test/path", "a.test?x", "a.test#x", "a.test\\b", "a b.test", "a.test\nb.test", "a\x00.test",
        "bücher.example", "ａ.test", "\u212aelvin.test", "a.test\u3002b", "a.test..", "%61.test",
        LONG + "a", "a" * 64 + ".test",
    ],
)  # fmt: skip
def test_what_is_no_host_name_is_none(raw: str) -> None:
    assert normal_host(raw) == ""


@given(st.text())
def test_a_normal_host_is_normal(raw: str) -> None:
    host = normal_host(raw)
    assert normal_host(host) == host
    assert host == host.lower()
    assert len(host) <= 253


@pytest.mark.parametrize(
    ("raw", "base_url", "host"),
    [
        ("https://status.example.com", "https://status.example.com", "status.example.com"),
        ("status.example.com", "https://status.example.com", "status.example.com"),
        ("HTTPS://Status.Example.com/", "https://status.example.com", "status.example.com"),
        ("https://status.example.com:443", "https://status.example.com", "status.example.com"),
        ("http://status.example.com:80/", "http://status.example.com", "status.example.com"),
        ("http://north.localhost:8000", "http://north.localhost:8000", "north.localhost"),
        ("north.localhost:8000", "https://north.localhost:8000", "north.localhost"),
        ("https://status.example.com.:8443", "https://status.example.com:8443", "status.example.com"),
    ],
)
def test_an_address_is_scheme_host_and_port(raw: str, base_url: str, host: str) -> None:
    assert normal_address(raw) == (base_url, host)


@pytest.mark.parametrize(
    "raw",
    [
        "", "https://", "ftp://a.test", "javascript://a.test", "//a.test", "https://a.test/path", "https://a.test?q=1",
        "https://a.test#x", "https://user@a.test", "https://user:pw@a.test", "https://[::1]", "https://[::1", "http://[",
        "https://a.test:0", "https://a.test:99999", "https://a.test:x", "https://a.test\n.evil.test", "https://a .test",
        "https://bücher.example", "https://a.test\\@evil.test", "https:///a.test", "a.test/../b",
    ],
)  # fmt: skip
def test_what_is_no_address_is_none(raw: str) -> None:
    assert normal_address(raw) is None


@given(st.text())
def test_no_text_breaks_the_reading_of_an_address(raw: str) -> None:
    address = normal_address(raw)
    assert address is None or normal_address(address.base_url) == address


def test_an_override_beats_the_switch_but_not_on_the_public_page() -> None:
    on = frozenset({Area.STATUS, Area.PUBLIC_STATUS})
    assert not area_is_open(Area.STATUS, on, {Area.STATUS: False})
    assert area_is_open(Area.SERVICES, on, {Area.SERVICES: True})
    assert area_is_open(Area.PUBLIC_STATUS, on, {Area.PUBLIC_STATUS: False})
    assert not area_is_open(Area.JOBS, on, {})


def test_every_area_has_its_words() -> None:
    assert set(AREA_WORDS) == set(Area) >= set(BUILT_AREAS)
    assert all(words.sentence.endswith(".") for words in AREA_WORDS.values())
