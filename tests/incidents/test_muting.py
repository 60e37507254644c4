"""Who does not want to hear of an incident: by kind, service and component, by themselves or by their company."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.queries import reach_of, reach_of_everyone
from portal.catalogue.queries.hearing import ELSEWHERE, TOPIC
from portal.catalogue.rules import Unreached, component_topic, service_topic
from portal.domains import actions as domains
from portal.extensions import db
from portal.incidents.mails import incidents as mails
from portal.incidents.rules import Audience
from portal.notifications import actions, declining
from portal.notifications.leases import Taken
from portal.notifications.models import CompanyPreference, Delivery, Preference
from portal.notifications.rules import DeliveryState
from portal.notifications.wishes import BY_COMPANY, MUTED
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from tests.incidents.test_mails import MAJOR, everybody, publish

AFFECTED = Audience.AFFECTED


def told() -> dict[str, str]:
    """The state of each delivery, by the first name of whose it is."""
    rows = db.session.execute(select(Delivery.name, Delivery.state))
    return {name: state.value for name, state in rows}


def test_who_muted_all_that_is_hit_gets_no_mail_and_a_line_that_says_why(cast: Cast, world: World) -> None:
    actions.choose_for_person(cast.alice, {service_topic(world.telephony.id): False}, by=SYSTEM, now=NOW)
    publish({world.trunk.id: MAJOR}, audience=AFFECTED)
    assert told() == {"Alice": "suppressed", "Bob": "pending"}
    alice = db.session.scalars(select(Delivery).where(Delivery.name == "Alice")).one()
    assert (alice.answer, alice.attempts, alice.finished_at) == (MUTED, 0, NOW)


def test_who_muted_one_of_two_is_told_of_the_other(cast: Cast, world: World) -> None:
    catalogue.add_holding(cast.a, world.internet, reference="LINE-2", by=SYSTEM, now=NOW - timedelta(days=1))
    actions.choose_for_person(cast.alice, {service_topic(world.telephony.id): False}, by=SYSTEM, now=NOW)
    publish({world.trunk.id: MAJOR, world.fibre.id: MAJOR}, audience=AFFECTED)
    affected: dict[str, dict[str, str]] = dict(db.session.execute(select(Delivery.name, Delivery.values)).all())
    assert affected["Alice"]["affected"] == "Affected for you: Internet access (LINE-2)."
    assert "Hosted telephony" in affected["Bob"]["affected"]


def test_a_component_is_muted_for_itself_alone(cast: Cast, world: World) -> None:
    """The exchange hits the same holding as the trunk: who muted one still hears of the other."""
    actions.choose_for_person(cast.alice, {component_topic(world.trunk.id): False}, by=SYSTEM, now=NOW)
    publish({world.trunk.id: MAJOR}, audience=AFFECTED)
    assert told() == {"Alice": "suppressed", "Bob": "pending"}
    publish({world.trunk.id: MAJOR, world.exchange.id: MAJOR}, audience=AFFECTED, idempotency_key="mail-2")
    latest = select(Delivery.state).where(Delivery.name == "Alice").order_by(Delivery.id.desc()).limit(1)
    assert db.session.scalar(latest) is DeliveryState.PENDING


@pytest.mark.parametrize(
    ("own", "state"), [({}, "suppressed"), ({TOPIC: True}, "pending"), ({ELSEWHERE: True}, "suppressed")]
)
def test_a_persons_own_word_counts_for_more_than_their_companys(
    cast: Cast, world: World, own: dict[str, bool], state: str
) -> None:
    actions.choose_for_company(cast.a, {TOPIC: False}, by=SYSTEM, now=NOW)
    actions.choose_for_person(cast.alice, own, by=SYSTEM, now=NOW)
    publish({world.trunk.id: MAJOR}, audience=AFFECTED)
    assert told() == {"Alice": state, "Bob": "suppressed"}
    assert db.session.scalar(select(Delivery.answer).where(Delivery.name == "Bob")) in {BY_COMPANY, MUTED}


def test_what_touches_nothing_of_theirs_can_be_left_out(cast: Cast, world: World) -> None:
    actions.choose_for_person(cast.charlie, {ELSEWHERE: False}, by=SYSTEM, now=NOW)
    publish({world.trunk.id: MAJOR})
    assert told() == {"Alice": "pending", "Bob": "pending", "Charlie": "suppressed"}


def test_what_concerns_everyone_is_nobody_elses(cast: Cast, world: World) -> None:
    """Nothing depends on the spare: then it concerns Charlie as much as anybody."""
    actions.choose_for_person(cast.charlie, {ELSEWHERE: False}, by=SYSTEM, now=NOW)
    publish({world.spare.id: MAJOR})
    assert told()["Charlie"] == "pending"


def test_the_wish_of_one_of_two_companies_leaves_the_other(cast: Cast, world: World) -> None:
    accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=NOW)
    actions.choose_for_company(cast.a, {service_topic(world.telephony.id): False}, by=SYSTEM, now=NOW)
    found = {each.name: each for each in everybody(publish({world.trunk.id: MAJOR, world.fibre.id: MAJOR}).selector, 9)}
    assert found["Alice"].company_ids == (cast.b.id,)
    assert found["Alice"].values["affected"] == "Affected for you: Internet access (LINE-9)."
    assert not found["Bob"].is_wanted


# The preview counts what the expansion does.


def test_the_preview_says_how_many_chose_not_to_hear(cast: Cast, world: World) -> None:
    actions.choose_for_person(cast.alice, {component_topic(world.trunk.id): False}, by=SYSTEM, now=NOW)
    actions.unsubscribe(cast.bob.email, TOPIC, cast.bob.id, now=NOW)
    reach = reach_of([world.trunk.id], NOW)
    assert (reach.people, reach.unreachable_total, reach.declined_total) == (0, 2, 2)
    assert {each.name: each.reason for each in reach.unreachable} == {
        "Alice": Unreached.DECLINED,
        "Bob": Unreached.UNSUBSCRIBED,
    }
    actions.strike(cast.bob.email, detail="full", delivery_id=None, now=NOW)
    accounts.deactivate_person(cast.bob, version=cast.bob.version, by=SYSTEM, now=NOW)
    assert reach_of([world.trunk.id], NOW).declined_total == 1


def _crowd(cast: Cast, world: World, luck: random.Random) -> tuple[list[Company], list[Person]]:
    """Some companies that hold this or that, and people who act for one or two of them."""
    companies = [cast.a, cast.b, *(accounts.add_company(f"Company {n}", by=SYSTEM, now=NOW) for n in range(3))]
    for company in companies[2:]:
        domains.admit(company, luck.choice([cast.domain_a, cast.domain_b]), is_home=True, by=SYSTEM, now=NOW)
        for held in luck.sample([world.telephony, world.internet], luck.randint(0, 2)):
            catalogue.add_holding(company, held, by=SYSTEM, now=NOW - timedelta(days=9))
    people = [accounts.add_person(f"P{n}", f"p{n}@people.test", by=SYSTEM, now=NOW) for n in range(12)]
    for person in people:
        for company in luck.sample(companies, luck.randint(1, 2)):
            accounts.add_membership(person, company, by=SYSTEM, now=NOW)
    return companies, [cast.alice, cast.bob, cast.charlie, *people]


def test_preview_and_expansion_agree_whatever_anybody_says(cast: Cast, world: World) -> None:
    luck = random.Random(4)  # noqa: S311 - the same wishes every time
    companies, people = _crowd(cast, world, luck)
    components = [world.trunk, world.fibre, world.exchange, world.spare]
    topics = [TOPIC, ELSEWHERE, *(component_topic(each.id) for each in components)]
    topics += [service_topic(world.telephony.id), service_topic(world.internet.id)]
    for number in range(10):
        for person in people:
            wishes = {topic: luck.random() < 0.5 for topic in luck.sample(topics, luck.choice([0, 0, 1, 2, 4]))}
            actions.choose_for_person(person, wishes, by=SYSTEM, now=NOW)
        for company in companies:
            wishes = {topic: luck.random() < 0.6 for topic in luck.sample(topics, luck.choice([0, 1, 2]))}
            actions.choose_for_company(company, wishes, by=SYSTEM, now=NOW)
        hit = sorted(each.id for each in luck.sample(components, luck.randint(1, 3)))
        audience = luck.choice([Audience.EVERYONE, AFFECTED])
        found = everybody(
            publish(dict.fromkeys(hit, MAJOR), audience=audience, idempotency_key=f"{number}").selector, 4
        )
        to_all = audience is Audience.EVERYONE or reach_of(hit, NOW).concerns_everyone
        reach = reach_of_everyone(NOW, hit) if to_all else reach_of(hit, NOW)
        wanted = {each.name for each in found if each.is_wanted}
        assert wanted == {each.name for each in found} - {each.name for each in reach.unreachable}
        assert (reach.people, reach.declined_total) == (len(wanted), len(found) - len(wanted))


def test_the_preview_costs_the_same_whoever_says_what(cast: Cast, world: World) -> None:
    with counted_queries() as none_said:
        reach_of([world.trunk.id], NOW)
    for person in (cast.alice, cast.bob):
        actions.choose_for_person(person, {service_topic(world.telephony.id): False}, by=SYSTEM, now=NOW)
    db.session.flush()
    with counted_queries() as said:
        reach_of([world.trunk.id], NOW)
    assert len(none_said) <= 10
    assert len(said) <= 11


# A wish that is said while mails wait.


def _taken() -> list[Taken]:
    return [Taken(*row) for row in db.session.execute(select(*[getattr(Delivery, name) for name in Taken._fields]))]


def test_a_wish_said_while_mails_wait_is_honoured_when_they_are_claimed(cast: Cast, world: World) -> None:
    publish({world.trunk.id: MAJOR})
    with counted_queries() as statements:
        assert declining.declined_since(_taken(), NOW) == {}
    assert len(statements) <= 2
    later = NOW + timedelta(hours=1)
    actions.choose_for_person(cast.alice, {service_topic(world.telephony.id): False}, by=SYSTEM, now=later)
    actions.choose_for_person(cast.charlie, {ELSEWHERE: False}, by=SYSTEM, now=later)
    actions.choose_for_company(cast.a, {component_topic(world.trunk.id): False}, by=SYSTEM, now=later)
    names = dict(db.session.execute(select(Delivery.id, Delivery.name)).all())
    found = {names[each]: why for each, why in declining.declined_since(_taken(), later).items()}
    assert found == {"Alice": MUTED, "Bob": MUTED, "Charlie": MUTED}


def test_a_company_that_wants_no_incidents_any_more_stops_those_that_wait(cast: Cast, world: World) -> None:
    publish({world.trunk.id: MAJOR})
    actions.choose_for_company(cast.a, {TOPIC: False}, by=SYSTEM, now=NOW + timedelta(minutes=1))
    actions.choose_for_person(cast.bob, {TOPIC: True}, by=SYSTEM, now=NOW + timedelta(minutes=1))
    names = dict(db.session.execute(select(Delivery.id, Delivery.name)).all())
    assert [names[each] for each in declining.declined_since(_taken(), NOW)] == ["Alice"]


def test_a_step_with_wishes_takes_a_bounded_number_of_queries(cast: Cast, world: World) -> None:
    selector = publish({world.trunk.id: MAJOR}).selector
    actions.choose_for_person(cast.alice, {component_topic(world.trunk.id): False}, by=SYSTEM, now=NOW)
    for number in range(20):
        person = accounts.add_person(f"P{number}", f"p{number}@people.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, cast.a, by=SYSTEM, now=NOW)
        actions.choose_for_person(person, {service_topic(world.telephony.id): False}, by=SYSTEM, now=NOW)
    db.session.flush()
    with counted_queries() as statements:
        found, _cursor = mails.recipients(selector, None, 1000, NOW)
    assert len([each for each in found if not each.is_wanted]) == 21
    assert len(statements) <= 18


# Writing wishes down.


def test_a_company_keeps_no_row_for_what_is_wanted(cast: Cast, world: World) -> None:
    assert actions.choose_for_company(cast.a, {TOPIC: True}, by=SYSTEM, now=NOW) == 0
    assert actions.choose_for_company(cast.a, {TOPIC: False, ELSEWHERE: False}, by=SYSTEM, now=NOW) == 2
    assert actions.choose_for_company(cast.a, {TOPIC: True}, by=SYSTEM, now=NOW) == 1
    assert db.session.scalars(select(CompanyPreference.topic)).all() == [ELSEWHERE]


def test_saying_the_same_again_changes_nothing(cast: Cast, world: World) -> None:
    assert actions.choose_for_person(cast.alice, {TOPIC: False}, by=SYSTEM, now=NOW) == 1
    assert actions.choose_for_person(cast.alice, {TOPIC: False}, by=SYSTEM, now=NOW) == 0
    assert actions.choose_for_person(cast.alice, {TOPIC: True}, by=SYSTEM, now=NOW) == 1
    assert actions.follow_company(cast.alice, by=SYSTEM, now=NOW) == 1
    assert db.session.scalar(select(func.count()).select_from(Preference)) == 0
