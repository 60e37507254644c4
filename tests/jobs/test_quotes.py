"""A quote is accepted exactly as it was shown, once, in time, by its own customer; what was signed stays on record."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal import clock, events
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.jobs import queries
from portal.jobs.actions import items as work_items
from portal.jobs.actions import quotes
from portal.jobs.models import QuoteAnswer, QuoteOffer, WorkItem
from portal.jobs.queries.offers import offered_now
from portal.jobs.rules import Role, Showing, WorkKind
from portal.jobs.rules.amounts import LineGiven
from portal.jobs.rules.offers import Difference, Offered, differences, drawing_of, drawn_strokes
from portal.notifications.models import Broadcast, Delivery
from tests.conftest import Cast, SignIn, token_in
from tests.customer.jobs.conftest import OLAF, Book, move_to, work  # noqa: F401 (fixtures are found by name)
from tests.jobs.conftest import role, save

LINES = (LineGiven("Phone", 10_000, 8_050, 2000), LineGiven("Fitting", 1500, 6_000, 0))
TERMS = "Paid within 14 days."


@pytest.fixture
def quote(work: Book) -> WorkItem:  # noqa: F811
    """A quote of company A, priced and sent, valid for a month."""
    item = work(kind=WorkKind.QUOTE, title="Ten phones", terms=TERMS, valid_until=today() + timedelta(days=30))
    price(item, LINES)
    move_to(item, Role.SENT)
    return item


def today() -> date:
    return clock.utcnow().date()


def price(item: WorkItem, lines: tuple[LineGiven, ...]) -> None:
    work_items.set_lines(item, lines, version=item.version, by=OLAF, now=clock.utcnow())
    events.commit()


def path_of(item: WorkItem, rest: str = "") -> str:
    return f"/quotes/Q-{item.number}{rest}"


def shown_on(client: FlaskClient, item: WorkItem) -> str:
    page = client.get(path_of(item, "/accept")).text
    return page.split('name="shown"', 1)[1].split('value="', 1)[1].split('"', 1)[0]


def accept(client: FlaskClient, item: WorkItem, shown: str = "", **typed: Any) -> TestResponse:
    path = path_of(item, "/accept")
    form = {"name": "Alice Alder", "signature": "Alice Alder", "agrees": "y", **typed}
    form |= {"shown": shown or shown_on(client, item), "csrf_token": token_in(client, "/quotes")}
    return client.post(path, data=form, headers={"User-Agent": "Test browser"})


def decline(client: FlaskClient, item: WorkItem, reason: str = "Too dear") -> TestResponse:
    form = {"name": "Alice", "reason": reason, "csrf_token": token_in(client, "/quotes")}
    return client.post(path_of(item, "/decline"), data=form)


def status_of(item: WorkItem) -> Role | None:
    db.session.refresh(item)
    return queries.settings_of(WorkKind.QUOTE).table.by_id[item.status_id].role


def mails() -> list[tuple[str, str]]:
    """The kinds and addresses of all mails that were written down."""
    rows = db.session.execute(
        select(Broadcast.kind, Delivery.address)
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .order_by(Delivery.id)
    )
    return [(kind, address) for kind, address in rows]


class TestAccepting:
    def test_the_offer_is_shown_with_sums_terms_and_last_day(
        self, cast: Cast, quote: WorkItem, sign_in: SignIn
    ) -> None:
        for page in (sign_in(cast.alice).get(path_of(quote, rest)).text for rest in ("", "/accept")):
            for words in ("Phone", "£80.50", "£805.00", "£895.00", "£161.00", "£1,056.00", TERMS, "Valid until"):
                assert words in page, words

    def test_one_button_stands_out(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        pages = [client.get(path_of(quote, rest)).text for rest in ("", "/accept", "/decline")]
        assert 'name="send"' in pages[0]
        assert [page.count("button-primary") for page in pages] == [1, 1, 1]

    def test_terms_come_first_and_the_signature_last(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        page = sign_in(cast.alice).get(path_of(quote, "/accept")).text
        places = [page.index(words) for words in (TERMS, 'name="agrees"', 'name="name"', 'name="signature"')]
        assert places == sorted(places)

    def test_it_is_bound_to_what_was_shown_and_told_at_once(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        shown = shown_on(client, quote)
        answer = accept(client, quote, shown)
        assert answer.status_code == 303
        assert status_of(quote) is Role.ACCEPTED
        record = db.session.scalars(select(QuoteAnswer)).one()
        offer = db.session.get_one(QuoteOffer, record.offer_id)
        assert offer.hash == shown == Offered.from_json(offer.content).hash
        assert (record.person_id, record.name, record.agent) == (cast.alice.id, "Alice Alder", "Test browser")
        assert record.address == "127.0.0.1"
        assert mails() == [("quote_receipt", cast.alice.email), ("work_office", cast.olaf.email)]
        page = client.get(path_of(quote)).text
        for words in ("Accepted by Alice Alder", "£1,056.00", shown):
            assert words in page

    def test_twice_is_once_and_ends_on_the_same_page(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        shown = shown_on(client, quote)
        assert accept(client, quote, shown).location == accept(client, quote, shown).location
        assert db.session.scalar(select(func.count()).select_from(QuoteAnswer)) == 1
        assert len(mails()) == 2

    def test_what_the_form_lacks_is_said_beside_it_and_nothing_is_signed(
        self, cast: Cast, quote: WorkItem, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.alice)
        for lacking, words in (
            ({"agrees": "false"}, "Read the terms"),
            ({"name": " "}, "Write your name"),
            ({"signature": " "}, "Sign: type your name"),
            ({"drawn": "[[1,2]]"}, "cannot be read"),
        ):
            answer = accept(client, quote, **lacking)
            assert answer.status_code == 422, lacking
            assert words in answer.text
        assert status_of(quote) is Role.SENT
        assert mails() == []

    def test_a_drawn_signature_is_shown_again(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        assert accept(client, quote, signature="", drawn="[[10,20,100,60,200,20]]").status_code == 303
        assert 'd="M10 20L100 60L200 20"' in client.get(path_of(quote)).text

    def test_a_hidden_or_mapped_status_leaves_the_proof(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        accept(client, quote)
        save(
            replace(role(Role.ACCEPTED, WorkKind.QUOTE), showing=Showing.HIDDEN),
            kind=WorkKind.QUOTE,
            now=clock.utcnow(),
        )
        page = client.get(path_of(quote)).text
        assert "Accepted by Alice Alder" in page
        assert "/accept" not in page.split('id="quote"', 1)[1]


class TestRefusing:
    def test_of_what_was_changed_since_it_shows_the_difference(
        self, cast: Cast, quote: WorkItem, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.alice)
        shown = shown_on(client, quote)
        price(quote, (replace(LINES[0], unit_price_minor=9_000), LINES[1]))
        answer = accept(client, quote, shown)
        assert answer.status_code == 422
        for words in (
            "was changed since",
            "<del>10 × Phone, £80.50</del>",
            "<ins>10 × Phone, £90.00</ins>",
            "£1,170.00",
        ):
            assert words in answer.text
        assert "Alice Alder" in answer.text
        assert status_of(quote) is Role.SENT
        assert accept(client, quote).status_code == 303, "read again, it can be accepted"

    def test_of_a_hash_nobody_was_shown(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        for shown in ("0" * 64, "x"):
            assert accept(client, quote, shown).status_code == 422
        assert status_of(quote) is Role.SENT

    def test_the_last_day_ends_in_the_companys_zone(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        signer = quotes.Signer(cast.alice.id, cast.a.id, "", "")
        cast.domain_a.time_zone = "America/New_York"
        quote.valid_until = date(2027, 1, 15)
        db.session.flush()
        offered = offered_now(quote.id)

        def tried(now: datetime) -> None:
            signature = quotes.Signature("Alice", "Alice")
            quotes.accept(quote.id, offered.hash, signature, signer, agrees=True, by=OLAF, now=now)

        with pytest.raises(RuleViolation, match="valid until"):
            tried(datetime(2027, 1, 16, 5, 0, tzinfo=UTC))
        tried(datetime(2027, 1, 16, 4, 59, 59, tzinfo=UTC))
        assert status_of(quote) is Role.ACCEPTED

    def test_of_what_has_expired_the_page_says_so(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        shown = shown_on(client, quote)
        quote.valid_until = today() - timedelta(days=2)
        db.session.commit()
        assert "can no longer be accepted" in client.get(path_of(quote)).text
        answer = accept(client, quote, shown)
        assert answer.status_code == 303
        assert status_of(quote) is Role.SENT

    def test_while_its_status_is_hidden_there_is_nothing_to_press(
        self, cast: Cast, quote: WorkItem, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.alice)
        shown = shown_on(client, quote)
        save(replace(role(Role.SENT, WorkKind.QUOTE), showing=Showing.HIDDEN), kind=WorkKind.QUOTE, now=clock.utcnow())
        assert accept(client, quote, shown).status_code == 303
        assert status_of(quote) is Role.SENT

    def test_prices_of_a_draft_are_nobodys_to_read(self, cast: Cast, work: Book, sign_in: SignIn) -> None:  # noqa: F811
        item = work(kind=WorkKind.QUOTE, title="Asked for", terms="SECRETTERMS")
        price(item, (LineGiven("SECRETLINE", 1000, 12_345),))
        move_to(item, Role.DRAFT)
        client = sign_in(cast.alice)
        page = client.get(path_of(item)).text
        assert "Requested" in page
        assert [words for words in ("SECRETLINE", "SECRETTERMS", "123.45") if words in page] == []
        assert client.get(path_of(item, "/accept")).status_code == 303

    def test_t02_nobody_answers_for_another_company(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        shown = shown_on(sign_in(cast.alice), quote)
        charlie = sign_in(cast.charlie)
        assert accept(charlie, quote, shown).status_code == 404
        assert decline(charlie, quote).status_code == 404
        with pytest.raises(NotFound):
            quotes.accept(
                quote.id,
                shown,
                quotes.Signature("C", "C"),
                quotes.Signer(cast.charlie.id, cast.b.id, "", ""),
                agrees=True,
                by=OLAF,
                now=clock.utcnow(),
            )


class TestDeclining:
    def test_a_reason_is_needed_and_reaches_the_office(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        assert decline(client, quote, " ").status_code == 422
        assert decline(client, quote).status_code == 303
        assert decline(client, quote).status_code == 303
        assert status_of(quote) is Role.DECLINED
        assert mails() == [("quote_receipt", cast.alice.email), ("work_office", cast.olaf.email)]
        page = client.get(path_of(quote)).text
        assert "Declined by Alice" in page
        assert "Too dear" in page

    def test_one_answer_stands(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        alice, bob = sign_in(cast.alice), sign_in(cast.bob)
        shown = shown_on(bob, quote)
        decline(alice, quote)
        assert accept(bob, quote, shown).status_code == 303
        assert status_of(quote) is Role.DECLINED
        signer = quotes.Signer(cast.bob.id, cast.a.id, "", "")
        with pytest.raises(RuleViolation, match="declined by Alice"):
            quotes.accept(quote.id, shown, quotes.Signature("B", "B"), signer, agrees=True, by=OLAF, now=clock.utcnow())


class TestTakingBack:
    def test_it_leaves_a_trace_and_the_quote_is_open_again(self, cast: Cast, quote: WorkItem, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        accept(client, quote)
        answer = db.session.scalars(select(QuoteAnswer)).one()
        with pytest.raises(RuleViolation):
            quotes.take_back(answer.id, " ", by=OLAF, now=clock.utcnow())
        quotes.take_back(answer.id, "Wrong button SECRETREASON", by=OLAF, now=clock.utcnow())
        events.commit()
        assert status_of(quote) is Role.SENT
        page = client.get(path_of(quote)).text
        for words in ("Accepted by Alice Alder", "took this back", path_of(quote, "/accept")):
            assert words in page
        assert "SECRETREASON" not in page
        with pytest.raises(NotFound):
            quotes.take_back(answer.id, "Again", by=OLAF, now=clock.utcnow())
        assert accept(client, quote).status_code == 303
        assert db.session.scalar(select(func.count()).select_from(QuoteAnswer)) == 2


# Rules

LINE = st.builds(
    LineGiven,
    st.sampled_from(("Phone", "Fitting", "Line")),
    st.integers(-5000, 5000),
    st.integers(-9999, 9999),
    st.sampled_from((0, 700, 2000)),
)
OFFERED = st.builds(
    Offered,
    number=st.just("Q-1"),
    title=st.sampled_from(("A", "B")),
    description=st.text(max_size=5),
    site=st.just(""),
    currency=st.sampled_from(("GBP", "EUR")),
    valid_until=st.none() | st.dates(),
    terms=st.text(max_size=5),
    lines=st.lists(LINE, max_size=5).map(tuple),
)


@given(OFFERED, OFFERED)
def test_two_offers_have_one_hash_where_nothing_differs(one: Offered, other: Offered) -> None:
    assert (one.hash == other.hash) is (differences(one, other) == ()) is (one == other)
    assert Offered.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_a_difference_names_the_line() -> None:
    one = Offered("Q-1", "A", "", "", "GBP", None, "", LINES)
    other = replace(one, lines=(LINES[1], LineGiven("Cable")))
    assert differences(one, other) == (
        Difference("line", LINES[0], None),
        Difference("line", None, LineGiven("Cable")),
        Difference("total", 105_600, 9_000),
    )


@given(st.text() | st.recursive(st.integers(-9, 999), st.lists, max_leaves=20).map(json.dumps))
def test_whatever_is_sent_as_a_drawing_is_none_or_one(text: str) -> None:
    strokes = drawn_strokes(text)
    assert strokes is None or drawing_of(strokes).startswith("M")
