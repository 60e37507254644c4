"""A company's own calls: found, copied, saved, and nobody else's."""

from datetime import timedelta

import pytest

from portal import clock
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.language import reader_zone
from portal.usage.calls.asked import Mistake, asked
from portal.usage.calls.rules import Outcome
from tests.conftest import NOW, Cast, SignIn, counted_queries
from tests.customer.calls.examples import call, take

HOUR = timedelta(hours=1)


@pytest.fixture
def calls(cast: Cast) -> None:
    take(
        cast.a,
        call("abc-1@sbc", HOUR),
        call("abc-2@sbc", 2 * HOUR, talk=None, to_number="+4940123456"),
        call("=HYPERLINK(1)", 30 * HOUR, outcome=Outcome.BUSY, talk=None, code=486),
    )
    take(cast.b, call("of-b@sbc", HOUR, from_number="+33140000000"))
    db.session.commit()


def test_a_customer_sees_their_own_and_nothing_internal(cast: Cast, sign_in: SignIn, calls: None) -> None:
    page = sign_in(cast.alice).get("/calls").text
    assert page.index("abc-1@sbc") < page.index("abc-2@sbc")
    assert "No answer" in page
    assert "2,000" in page
    assert "1:00" in page
    assert "of-b@sbc" not in page
    assert "INTERNAL" not in page
    other = sign_in(cast.charlie)
    assert "of-b@sbc" in other.get("/calls").text
    for query in ("?call_id=abc-1@sbc", "?number=960001", "?result=busy"):
        assert "<code id=" not in other.get(f"/calls{query}").text
        assert len(other.get(f"/calls.csv{query}").text.splitlines()) == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("number=0163 296 0001", ["abc-1@sbc", "abc-2@sbc", "=HYPERLINK"]),
        ("number=123456", ["abc-2@sbc"]),
        ("call_id=abc-1@sbc", ["abc-1@sbc"]),
        ("call_id=abc-1", []),
        ("result=busy", ["=HYPERLINK"]),
        ("result=nonsense", ["abc-1@sbc", "abc-2@sbc", "=HYPERLINK"]),
    ],
)
def test_they_are_found_by_number_call_id_and_result(
    cast: Cast, sign_in: SignIn, calls: None, query: str, found: list[str]
) -> None:
    page = sign_in(cast.alice).get(f"/calls?{query}").text.partition('id="calls"')[2]
    assert [name for name in ("abc-1@sbc", "abc-2@sbc", "=HYPERLINK") if name in page] == found
    assert found or "No such call" in page


def test_times_are_by_the_readers_clock(cast: Cast, sign_in: SignIn, calls: None) -> None:
    client = sign_in(cast.alice)
    now = clock.utcnow()
    since = f"{now - 90 * timedelta(minutes=1):%Y-%m-%dT%H:%M}"
    page = client.get("/calls", query_string={"since": since}).text
    assert "abc-1@sbc" in page
    assert "abc-2@sbc" not in page
    page = client.get("/calls", query_string={"until": since}).text
    assert "abc-1@sbc" not in page


def test_what_cannot_be_looked_for_is_said_beside_its_field(cast: Cast, sign_in: SignIn, calls: None) -> None:
    client = sign_in(cast.alice)
    for query, sentence in (
        ("number=12", "at least the last three digits"),
        ("since=soon", "Write a day and a time"),
        ("since=2026-11-20T12:00&until=2026-11-20T12:00", "not after the time"),
    ):
        answer = client.get(f"/calls?{query}")
        assert (answer.status_code, sentence in answer.text) == (422, True), query
        assert client.get(f"/calls.csv?{query}").status_code == 422


def test_the_file_is_safe_to_open_and_says_what_the_page_says(cast: Cast, sign_in: SignIn, calls: None) -> None:
    answer = sign_in(cast.alice).get("/calls.csv")
    assert answer.headers["Cache-Control"] == "private, no-store"
    lines = answer.text.splitlines()
    assert len(lines) == 4
    assert "'=HYPERLINK(1)" in answer.text
    assert "'+441632960001" in answer.text
    assert "INTERNAL" not in answer.text
    assert len(sign_in(cast.alice).get("/calls.csv?number=123456").text.splitlines()) == 2


def test_a_page_is_fifty_and_asks_the_same_whatever_there_is(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    assert "No calls yet" in client.get("/calls").text
    take(cast.a, *(call(f"c-{number}", number * timedelta(minutes=1) + HOUR) for number in range(60)))
    db.session.commit()
    with counted_queries() as few:
        first = client.get("/calls")
    assert first.text.count("<code id=") == 50
    assert client.get("/calls?page=2").text.count("<code id=") == 10
    assert client.get("/calls?page=0").status_code == 404
    assert client.get("/calls?page=101").status_code == 404
    take(cast.a, *(call(f"d-{number}", number * timedelta(minutes=1) + HOUR) for number in range(400)))
    db.session.commit()
    with counted_queries() as many:
        client.get("/calls")
    assert len(many) == len(few)


@pytest.mark.parametrize("path", ["/calls", "/calls.csv", "/figures", "/figures?span=week"])
def test_where_alerts_are_closed_there_is_nothing(cast: Cast, sign_in: SignIn, path: str) -> None:
    domains.set_override(cast.domain_a, cast.a, Area.ALERTS, False, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.alice)
    for headers in ({}, {"HX-Request": "true"}):
        assert client.get(path, headers=headers).status_code == 404
    assert 'href="/figures"' not in client.get("/").text


def test_a_time_that_clocks_show_twice_is_the_first_and_nonsense_is_none(session: None) -> None:
    found = asked({"since": "2026-10-25T02:30", "until": "9999-99-99T99:99", "number": "1"}, reader_zone())
    assert found.wrong == {"number": Mistake.SHORT, "until": Mistake.TIME}
    assert found.wanted.begin is not None
