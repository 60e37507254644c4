"""Whom a choice reaches, whom it does not and why, and what each reader is told."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.accounts import actions as accounts
from portal.accounts.models import Membership, Person
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.notices import mails, queries
from portal.catalogue.notices.rules import TOPIC, Chosen, Unreached
from portal.extensions import db
from portal.notifications.actions import suppress, unsubscribe
from portal.notifications.kinds import Recipient
from portal.notifications.models import CompanyPreference, Preference
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from portal.notifications.wishes import declined
from tests.catalogue.notices.conftest import Firm
from tests.conftest import NOW, counted_queries

LATER = NOW + timedelta(minutes=1)

Choose = Callable[[Firm], Chosen]

CHOICES: dict[str, tuple[Choose, set[str]]] = {
    "a company": (lambda firm: Chosen.of(companies=[firm.cast.a.id]), {"Alice", "Bob", "Dora"}),
    "a service": (lambda firm: Chosen.of(services=[firm.line.id]), {"Charlie"}),
    "a component through a service": (lambda firm: Chosen.of(components=[firm.switch.id]), {"Alice", "Bob", "Dora"}),
    "a component of a holding": (lambda firm: Chosen.of(components=[firm.ring.id]), {"Charlie"}),
    "a portal domain": (lambda firm: Chosen.of(domains=[firm.cast.domain_a.id]), {"Alice", "Bob", "Carla", "Dora"}),
    "any of several": (
        lambda firm: Chosen.of(companies=[firm.c.id], services=[firm.line.id], components=[firm.ring.id]),
        {"Carla", "Charlie"},
    ),
    "everyone": (lambda firm: Chosen(everyone=True), {"Alice", "Bob", "Carla", "Charlie", "Dora"}),
    "nobody": (lambda firm: Chosen(), set()),
}


def told(chosen: Chosen, limit: int = 1000) -> list[Recipient]:
    """Everybody a frozen choice expands to, `limit` at a time."""
    selector = {**chosen.stored(), "at": NOW.isoformat(), "variables": ["services"]}
    found: list[Recipient] = []
    cursor = None
    while True:
        some, cursor = mails.recipients(selector, cursor, limit, LATER)
        found += some
        if cursor is None:
            return found


@pytest.mark.parametrize("name", list(CHOICES))
def test_a_choice_reaches_these_people_once(firm: Firm, name: str) -> None:
    choose, expected = CHOICES[name]
    for limit in (1000, 2, 1):
        names = [each.name for each in told(choose(firm), limit)]
        assert sorted(names) == sorted(expected)
    reach = queries.reach_of(choose(firm), LATER)
    assert (reach.people, reach.unreached, reach.silent) == (len(expected), {}, 0)


def test_readers_are_told_of_their_own_companies_and_holdings(firm: Firm) -> None:
    chosen = Chosen.of(companies=[firm.cast.a.id, firm.d.id, firm.c.id], services=[firm.line.id])
    found = {each.name: each for each in told(chosen)}
    # The company with a portal stands first: its links lead somewhere.
    assert found["Dora"].company_ids == (firm.cast.a.id, firm.d.id)
    assert found["Dora"].values == {"company": "Alder Dental, Dogwood Dairy", "services": "Telephony (T-1)"}
    assert found["Charlie"].values == {"company": "Birch Logistics", "services": "Line (L-7)"}
    assert found["Carla"].values == {"company": "Cedar Care", "services": ""}
    assert found["Carla"].language == "de"


def test_a_company_is_told_of_what_was_chosen_and_not_of_the_rest(firm: Firm) -> None:
    catalogue.add_holding(firm.cast.a, firm.line, by=SYSTEM, now=NOW, reference="L-9")
    by_service = {each.name: each.values["services"] for each in told(Chosen.of(services=[firm.line.id]))}
    assert by_service["Alice"] == "Line (L-9)"
    by_name = {each.name: each.values["services"] for each in told(Chosen.of(companies=[firm.cast.a.id]))}
    assert by_name["Alice"] == "Telephony (T-1), Line (L-9)"


def test_the_portal_that_was_chosen_is_where_links_lead(firm: Firm) -> None:
    accounts.add_membership(firm.dora, firm.cast.b, by=SYSTEM, now=NOW)
    chosen = Chosen.of(domains=[firm.cast.domain_b.id], companies=[firm.cast.a.id])
    dora = next(each for each in told(chosen) if each.name == "Dora")
    assert dora.company_ids == (firm.cast.b.id, firm.cast.a.id)


def test_everybody_who_cannot_be_reached_is_counted_and_named_with_why(firm: Firm) -> None:
    people = {}

    def person(name: str) -> Person:
        added = accounts.add_person(name, f"{name.lower()}@people.test", by=SYSTEM, now=NOW)
        accounts.add_membership(added, firm.c, by=SYSTEM, now=NOW)
        people[name] = added
        return added

    person("Deactivated").deactivated_at = NOW
    suppress(person("Bounced").email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    suppress(person("Complained").email, EVERY_TOPIC, SuppressionReason.COMPLAINT, now=NOW)
    suppress(person("Stopped").email, TOPIC, SuppressionReason.BY_HAND, now=NOW)
    unsubscribe(person("Left").email, TOPIC, people["Left"].id, now=NOW)
    db.session.add(Preference(person_id=person("Muted").id, topic=TOPIC, wanted=False, changed_at=NOW))
    # Both at once: the reason that outweighs counts, and one person is one.
    suppress(people["Deactivated"].email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    # Neither is about notices now.
    suppress(person("Other").email, "incidents", SuppressionReason.UNSUBSCRIBED, now=NOW)
    suppress(person("Ended").email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW, until=NOW)
    db.session.flush()
    reach = queries.reach_of(Chosen.of(companies=[firm.c.id]), LATER)
    assert reach.unreached == {
        Unreached.DEACTIVATED: 1,
        Unreached.BOUNCED: 1,
        Unreached.COMPLAINED: 1,
        Unreached.BY_HAND: 1,
        Unreached.UNSUBSCRIBED: 2,
    }
    assert (reach.people, reach.unreached_total) == (3, 6)
    assert {each.name: each.reason for each in reach.named}["Muted"] is Unreached.UNSUBSCRIBED
    assert {each.company for each in reach.named} == {"Cedar Care"}


def test_who_is_counted_is_who_is_written_down(firm: Firm) -> None:
    """A company's own wish counts for its people, unless they say otherwise or another of theirs wants it."""
    db.session.add_all(
        [
            CompanyPreference(company_id=firm.cast.a.id, topic=TOPIC, wanted=False, changed_at=NOW),
            Preference(person_id=firm.cast.bob.id, topic=TOPIC, wanted=True, changed_at=NOW),
        ]
    )
    db.session.flush()
    for chosen, left in ((Chosen.of(companies=[firm.cast.a.id]), 2), (Chosen(everyone=True), 1)):
        reach = queries.reach_of(chosen, LATER)
        assert reach.unreached == {Unreached.COMPANY_LEFT: left}
        assert len(declined(told(chosen), TOPIC)) == left
        assert reach.people == len(told(chosen)) - left


def test_companies_without_anybody_to_write_to_are_named(firm: Firm) -> None:
    firm.carla.deactivated_at = NOW
    empty = accounts.add_company("Elm Empty", by=SYSTEM, now=NOW)
    db.session.flush()
    reach = queries.reach_of(Chosen.of(companies=[firm.c.id, empty.id, firm.cast.a.id]), LATER)
    assert (reach.companies, reach.silent) == (3, 2)
    assert [each.name for each in reach.silent_named] == ["Cedar Care", "Elm Empty"]


def test_archived_companies_are_chosen_by_nothing(firm: Firm) -> None:
    accounts.archive_company(firm.cast.b, version=firm.cast.b.version, by=SYSTEM, now=NOW)
    assert told(Chosen.of(companies=[firm.cast.b.id], services=[firm.line.id])) == []
    assert queries.reach_of(Chosen.of(services=[firm.line.id]), LATER).companies == 0
    assert mails.still_there([firm.cast.a.id, firm.cast.b.id, 2**31 - 1]) == {firm.cast.a.id}


def test_reaching_many_takes_as_many_queries_as_reaching_few(firm: Firm) -> None:
    def cost(chosen: Chosen) -> int:
        with counted_queries() as statements:
            queries.reach_of(chosen, LATER)
            told(chosen)
        return len(statements)

    chosen = Chosen.of(companies=[firm.c.id], services=[firm.line.id], domains=[firm.cast.domain_a.id])
    suppress(firm.carla.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    before = cost(chosen)
    people = [
        Person(name=f"P{number}", email=f"p{number}@x.test", email_key=f"p{number}@x.test", created_at=NOW)
        for number in range(120)
    ]
    db.session.add_all(people)
    db.session.flush()
    db.session.add_all(
        Membership(person_id=each.id, company_id=company.id, created_at=NOW)
        for each in people
        for company in (firm.c, firm.cast.a)
    )
    db.session.flush()
    assert cost(chosen) == before <= 14
    assert queries.reach_of(chosen, LATER).people == 120 + 4
