"""The companies nobody can be reached at, and why."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from portal.accounts import actions as accounts
from portal.accounts.models import Company, Membership, Person
from portal.audit.rules import SYSTEM
from portal.catalogue import actions
from portal.catalogue.models import Holding
from portal.catalogue.queries import lists, unreached
from portal.catalogue.queries.hearing import TOPIC
from portal.catalogue.rules import Unreached, service_topic
from portal.extensions import db
from portal.notifications import actions as notifications
from portal.notifications.models import Preference
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from portal.notifications.wishes import MAIL
from tests.conftest import NOW, Cast, counted_queries
from tests.support.effort import effort_of

LATER = NOW + timedelta(hours=1)
Bar = Callable[[Cast], None]


def _deactivate(cast: Cast) -> None:
    accounts.deactivate_person(cast.charlie, version=cast.charlie.version, by=SYSTEM, now=NOW)


def _suppress(reason: SuppressionReason, scope: str = EVERY_TOPIC) -> Bar:
    return lambda cast: (notifications.suppress(cast.charlie.email, scope, reason, now=NOW), None)[1]


def _decline(cast: Cast) -> None:
    notifications.choose_for_person(cast.charlie, {TOPIC: False}, by=SYSTEM, now=NOW)


def _company_declines(cast: Cast) -> None:
    notifications.choose_for_company(cast.b, {TOPIC: False}, by=SYSTEM, now=NOW)


def _mute_every_service(cast: Cast) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    actions.add_holding(cast.b, service, by=SYSTEM, now=NOW)
    notifications.choose_for_person(cast.charlie, {service_topic(service.id): False}, by=SYSTEM, now=NOW)


@pytest.mark.parametrize(
    ("bar", "why"),
    [
        (_deactivate, Unreached.DEACTIVATED),
        (_suppress(SuppressionReason.HARD_BOUNCE), Unreached.BOUNCED),
        (_suppress(SuppressionReason.QUARANTINED), Unreached.QUARANTINED),
        (_suppress(SuppressionReason.UNSUBSCRIBED, TOPIC), Unreached.UNSUBSCRIBED),
        (_decline, Unreached.DECLINED),
        (_company_declines, Unreached.DECLINED),
        (_mute_every_service, Unreached.DECLINED),
    ],
)
def test_a_company_whose_only_contact_is_barred_is_found_with_the_reason(cast: Cast, bar: Bar, why: Unreached) -> None:
    bar(cast)
    assert unreached.nobody_reached_among([cast.a.id, cast.b.id], LATER) == {cast.b.id}
    assert unreached.count_nobody_reached(LATER) == 1
    assert unreached.why_unreached(cast.b.id, [cast.charlie.id], LATER) == {cast.charlie.id: why}


def _another_list(cast: Cast) -> None:
    notifications.suppress(cast.charlie.email, "jobs", SuppressionReason.UNSUBSCRIBED, now=NOW)


def _ended(cast: Cast) -> None:
    notifications.suppress(cast.charlie.email, EVERY_TOPIC, SuppressionReason.QUARANTINED, until=NOW, now=NOW)


def _own_word(cast: Cast) -> None:
    _company_declines(cast)
    notifications.choose_for_person(cast.charlie, {TOPIC: True}, by=SYSTEM, now=NOW)


def _one_of_two_services(cast: Cast) -> None:
    _mute_every_service(cast)
    actions.add_holding(cast.b, actions.add_service("Internet", by=SYSTEM, now=NOW), by=SYSTEM, now=NOW)


@pytest.mark.parametrize("harmless", [_another_list, _ended, _own_word, _one_of_two_services])
def test_what_leaves_somebody_to_tell_is_no_reason(cast: Cast, harmless: Bar) -> None:
    harmless(cast)
    assert unreached.nobody_reached_among([cast.b.id], LATER) == frozenset()
    assert unreached.why_unreached(cast.b.id, [cast.charlie.id], LATER) == {}


def test_a_company_without_people_is_one_and_an_archived_one_is_not_counted(cast: Cast) -> None:
    empty = accounts.add_company("Cedar Clinic", by=SYSTEM, now=NOW)
    assert unreached.count_nobody_reached(LATER) == 1
    filters = lists.CompanyFilters(is_unreached=True)
    assert [row.company.name for row in lists.companies_page(filters, 1, LATER).items] == ["Cedar Clinic"]
    assert all(row.is_unreached for row in lists.companies_page(filters, 1, LATER).items)
    accounts.archive_company(empty, version=empty.version, by=SYSTEM, now=NOW)
    assert unreached.count_nobody_reached(LATER) == 0


def test_the_count_of_a_page_is_kept_for_a_while_where_there_are_many(
    app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> tuple[int, int]:
        with counted_queries() as statements:
            found = unreached.count_nobody_reached_lately(LATER)
        return found, len(statements)

    assert counted() == (0, 2)
    _deactivate(cast)
    db.session.flush()
    assert counted() == (1, 2), "of few companies it is always the newest"
    monkeypatch.setattr(unreached, "MANY_COMPANIES", 2)
    monkeypatch.setitem(app.extensions, "nobody_reached", None)
    assert counted() == (1, 2)
    accounts.add_company("Cedar Clinic", by=SYSTEM, now=NOW)
    db.session.flush()
    assert counted() == (1, 1), "of many the one that is kept"
    monkeypatch.setattr(unreached, "COUNT_LIVES", 0.0)
    assert counted() == (2, 2)


def test_a_company_that_says_no_and_has_nobody_is_counted_once(cast: Cast) -> None:
    empty = accounts.add_company("Cedar Clinic", by=SYSTEM, now=NOW)
    notifications.choose_for_company(empty, {TOPIC: False}, by=SYSTEM, now=NOW)
    assert unreached.count_nobody_reached(LATER) == 1


def test_the_preview_names_those_an_incident_hits(cast: Cast) -> None:
    carrier = actions.add_component("Carrier", by=SYSTEM, now=NOW)
    telephony = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    actions.set_dependencies(telephony, [carrier.id], by=SYSTEM, now=NOW)
    actions.add_holding(cast.b, telephony, by=SYSTEM, now=NOW)
    accounts.add_company("Cedar Clinic", by=SYSTEM, now=NOW)
    _deactivate(cast)
    assert unreached.stranded([carrier.id], LATER, 9, is_for_all=False) == ([(cast.b.id, "Birch Logistics")], 1)
    everyone = unreached.stranded([carrier.id], LATER, 1, is_for_all=True)
    assert (everyone.first, everyone.total) == ([(cast.b.id, "Birch Logistics")], 2)


def test_more_companies_cost_no_more_queries(cast: Cast) -> None:
    company_id, people = cast.a.id, [cast.alice.id, cast.bob.id]

    def cost() -> int:
        with counted_queries() as statements:
            unreached.count_nobody_reached(LATER)
            lists.companies_page(lists.CompanyFilters(is_unreached=True), 1, LATER)
            unreached.why_unreached(company_id, people, LATER)
        return len(statements)

    accounts.add_company("Cedar Clinic", by=SYSTEM, now=NOW)
    db.session.flush()
    few = cost()
    for number in range(30):
        company = accounts.add_company(f"Company {number}", by=SYSTEM, now=NOW)
        person = accounts.add_person(f"P{number}", f"p{number}@people.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, company, by=SYSTEM, now=NOW)
        notifications.suppress(person.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    db.session.flush()
    assert cost() == few
    assert unreached.count_nobody_reached(LATER) == 31


def _companies(numbers: range, service_id: int) -> None:
    """Each with one person and one holding; of every tenth person something keeps the mails."""
    companies = [Company(name=f"C{each}", name_key=f"c{each}", created_at=NOW) for each in numbers]
    people = [
        Person(name=f"P{each}", email=f"p{each}@people.test", email_key=f"p{each}@people.test", created_at=NOW)
        for each in numbers
    ]
    db.session.add_all([*companies, *people])
    db.session.flush()
    for company, person in zip(companies, people, strict=True):
        db.session.add(Membership(person_id=person.id, company_id=company.id, created_at=NOW))
        db.session.add(Holding(company_id=company.id, service_id=service_id, valid_from=NOW))
    for person in people[::20]:
        notifications.suppress(person.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    for person in people[10::20]:
        db.session.add(Preference(person_id=person.id, topic=TOPIC, channel=MAIL, wanted=False))
    db.session.flush()


def _never_counted() -> None:
    """Take away what PostgreSQL has counted in this database by now, until the transaction ends."""
    if db.session.connection().dialect.name != "postgresql":
        return
    db.session.execute(
        text(
            "DELETE FROM pg_statistic USING pg_class"
            " WHERE oid = starelid AND relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    )
    db.session.execute(
        text(
            "UPDATE pg_class SET reltuples = -1, relpages = 0"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    )


@pytest.mark.parametrize("is_for_all", [True, False, None])
def test_the_work_grows_as_the_companies_do_where_nothing_was_counted(cast: Cast, is_for_all: bool | None) -> None:
    """PostgreSQL takes tables it has not counted for nearly empty, however many rows come."""
    _never_counted()
    carrier = actions.add_component("Carrier", by=SYSTEM, now=NOW)
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    actions.set_dependencies(service, [carrier.id], by=SYSTEM, now=NOW)

    def effort() -> int:
        if is_for_all is None:
            return effort_of(lambda: unreached.count_nobody_reached(LATER))
        return effort_of(lambda: unreached.stranded([carrier.id], LATER, 9, is_for_all=is_for_all))

    _companies(range(200), service.id)
    few = effort()
    _companies(range(200, 1_000), service.id)
    assert unreached.count_nobody_reached(LATER) == 100
    assert effort() < 8 * few, "five times as many companies; each beside each other would be 25 times"
