"""Who is mailed that the status of a service has changed, in which words, and who does not want to be."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Holding, Service
from portal.catalogue.rules import Unreached, service_topic
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.kinds import Listener, Recipient, register
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.topics import topics_of_company
from portal.notifications.wishes import BY_COMPANY, BY_PERSON, MUTED
from portal.services import mails
from portal.services.actions import Wanted, cancel_window, move_window
from portal.services.mails.readers import muted_by, recipients, tell_channels
from portal.services.models import ServiceUpdate, ServiceView, ServiceWindow, UpdateBroadcast
from portal.services.queries.hearing import TOPIC, Untold, status_topic, who_hears
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from tests.services.acts import HOUR, scheduled, state


@pytest.fixture(autouse=True)
def _kind() -> None:
    register(mails.SERVICE_STATUS)


def told() -> dict[str, str]:
    """The state of each delivery by mail, by whose it is."""
    rows = db.session.execute(select(Delivery.name, Delivery.state).where(Delivery.channel == "mail"))
    return {name: state.value for name, state in rows}


def broadcasts(update: ServiceUpdate) -> Sequence[Broadcast]:
    return db.session.scalars(
        select(Broadcast)
        .join(UpdateBroadcast, UpdateBroadcast.broadcast_id == Broadcast.id)
        .where(UpdateBroadcast.update_id == update.id)
        .order_by(Broadcast.id)
    ).all()


def everybody(broadcast: Broadcast) -> dict[str, Recipient]:
    found, _cursor = recipients(broadcast.selector, None, 1000, NOW)
    return {each.name: each for each in found}


def test_the_people_of_the_company_are_told_and_nobody_else(cast: Cast, world: World) -> None:
    made = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN, "The **trunk** is cut.", ticket="T-1"), "1")
    (broadcast,) = broadcasts(made)
    assert told() == {"Alice": "pending", "Bob": "pending"}
    assert (broadcast.title, broadcast.topic) == ("Hosted telephony: System is down", "services")
    alice = everybody(broadcast)["Alice"]
    assert alice.values["service_name"] == "Hosted telephony (ACC-1)"
    assert alice.values["company_name"] == "Alder Dental"
    wording = broadcast.content["en"]
    assert "The <strong>trunk</strong> is cut." in wording["html"]
    assert "The trunk is cut." in wording["text"]
    assert "Ticket: T-1" in wording["text"]
    assert "expect it to be over" not in wording["text"]
    assert wording["subject"] == "[{{brand}} status] {{service_name}}"


def test_somebody_of_two_companies_gets_one_mail_about_both(cast: Cast, world: World) -> None:
    accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=NOW)
    second = catalogue.add_holding(cast.b, world.telephony, reference="ACC-7", by=SYSTEM, now=NOW - HOUR)
    state(cast, [world.holding_a.id, second.id], Wanted(ServiceStatus.INTERMITTENT), "1")
    assert told() == {"Alice": "pending", "Bob": "pending", "Charlie": "pending"}
    alice = db.session.scalars(select(Delivery).where(Delivery.name == "Alice")).one()
    assert alice.company_ids == [cast.a.id, cast.b.id]
    assert alice.values["service_name"] == "Hosted telephony (ACC-1, ACC-7)"
    assert alice.values["company_name"] == "Alder Dental, Birch Logistics"


def test_a_status_a_service_does_not_notify_is_mailed_to_nobody(cast: Cast, world: World) -> None:
    world.telephony.notifies = [ServiceStatus.DOWN.value]
    db.session.flush()
    assert broadcasts(state(cast, [world.holding_a.id], Wanted(ServiceStatus.INTERMITTENT), "1")) == []
    assert len(broadcasts(state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "2"))) == 1


def test_without_notifications_nothing_is_written(cast: Cast, world: World) -> None:
    assert broadcasts(state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN, notify=False), "1")) == []


@pytest.mark.parametrize("topic", [TOPIC, status_topic(ServiceStatus.DOWN), "the service"])
@pytest.mark.parametrize("is_own", [True, False])
def test_one_can_opt_out_of_all_of_a_service_and_of_a_status(
    cast: Cast, world: World, topic: str, is_own: bool
) -> None:
    topic = service_topic(world.telephony.id) if topic == "the service" else topic
    if is_own:
        actions.choose_for_person(cast.alice, {topic: False}, by=SYSTEM, now=NOW)
    else:
        actions.choose_for_company(cast.a, {topic: False}, by=SYSTEM, now=NOW)
        actions.choose_for_person(cast.bob, {topic: True}, by=SYSTEM, now=NOW)
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    assert told() == {"Alice": "suppressed", "Bob": "pending"}
    answer = db.session.scalar(select(Delivery.answer).where(Delivery.name == "Alice"))
    assert answer in {MUTED, BY_PERSON, BY_COMPANY}


def test_another_status_is_still_heard(cast: Cast, world: World) -> None:
    actions.choose_for_person(cast.alice, {status_topic(ServiceStatus.NORMAL): False}, by=SYSTEM, now=NOW)
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    assert told()["Alice"] == "pending"
    made = state(cast, [world.holding_a.id], Wanted(ServiceStatus.NORMAL), "2", NOW + HOUR)
    (broadcast,) = broadcasts(made)
    assert not everybody(broadcast)["Alice"].is_wanted
    assert everybody(broadcast)["Bob"].is_wanted


def test_who_mutes_it_before_the_mail_goes_gets_none(cast: Cast, world: World) -> None:
    (broadcast,) = broadcasts(state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1"))
    people = [(cast.alice.id, (cast.a.id,)), (cast.bob.id, (cast.a.id,))]
    assert muted_by(broadcast.selector, people, NOW) == frozenset()
    actions.choose_for_person(cast.alice, {status_topic(ServiceStatus.DOWN): False}, by=SYSTEM, now=NOW)
    assert muted_by(broadcast.selector, people, NOW) == {cast.alice.id}


def test_where_services_are_closed_nobody_is_told(cast: Cast, world: World) -> None:
    domains.set_override(cast.domain_a, cast.a, Area.SERVICES, False, by=SYSTEM, now=NOW)
    (broadcast,) = broadcasts(state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1"))
    assert told() == {}
    assert mails.SERVICE_STATUS.allowed([cast.a.id, cast.b.id]) == {cast.b.id}
    assert everybody(broadcast) == {}


def test_with_status_closed_they_are_told_all_the_same(cast: Cast, world: World) -> None:
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    assert told() == {"Alice": "pending", "Bob": "pending"}


def test_what_one_can_choose_is_there_where_services_are_open(cast: Cast, world: World) -> None:
    def offered() -> set[str]:
        groups = topics_of_company(cast.a.id, NOW)
        return {each.key for group in groups for topic in group.topics for each in (topic, *topic.below)}

    theirs = {TOPIC, service_topic(world.telephony.id), *(status_topic(each) for each in ServiceStatus)}
    assert theirs <= offered()
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    assert theirs <= offered()
    domains.set_override(cast.domain_a, cast.a, Area.SERVICES, False, by=SYSTEM, now=NOW)
    assert not theirs & offered()


# What a company does not see stands in no mail of its people


def view(cast: Cast, **changes: Any) -> None:
    db.session.add(ServiceView(domain_id=cast.domain_a.id, company_id=None, **changes))
    db.session.flush()


def test_a_hidden_service_is_not_told_of(cast: Cast, world: World) -> None:
    view(cast, hidden_services=[world.telephony.id])
    state(cast, [world.holding_a.id, world.holding_b.id], Wanted(ServiceStatus.DOWN), "1")
    assert told() == {"Charlie": "pending"}


SECRET = Wanted(ServiceStatus.DOWN, "The secret cause.", ends_at=NOW + HOUR, ticket="TICKET-9")


def test_notes_tickets_and_end_times_are_left_out_of_the_mails_of_those_who_do_not_see_them(
    cast: Cast, world: World
) -> None:
    view(cast, shows_notes=False, shows_tickets=False, shows_end_times=False)
    also = catalogue.add_holding(cast.b, world.telephony, by=SYSTEM, now=NOW - HOUR)
    (broadcast,) = broadcasts(state(cast, [world.holding_a.id, also.id], SECRET, "1"))
    keys = {each.name: each.wording for each in db.session.scalars(select(Delivery))}
    assert keys["Charlie"] == "en"
    assert keys["Alice"] == keys["Bob"] == "en-ent"
    for part in ("text", "html", "post"):
        assert "secret cause" in broadcast.content["en"][part]
        assert "TICKET-9" in broadcast.content["en"][part]
        assert "{{end_time}}" in broadcast.content["en"][part]
        for word in ("secret", "TICKET", "end_time", "Ticket:", "expect"):
            assert word not in broadcast.content["en-ent"][part]


def test_what_is_hidden_while_the_mail_waits_is_not_in_it(cast: Cast, world: World) -> None:
    """Many people are written down later, by the worker: a setting of today counts, not that of the update."""
    (broadcast,) = broadcasts(state(cast, [world.holding_a.id], SECRET, "1"))
    assert everybody(broadcast)["Alice"].variant == ""
    view(cast, shows_tickets=False)
    assert everybody(broadcast)["Alice"].variant == "ent"


def test_who_is_of_a_company_that_sees_less_is_told_less(cast: Cast, world: World) -> None:
    accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=NOW)
    also = catalogue.add_holding(cast.b, world.telephony, by=SYSTEM, now=NOW - HOUR)
    view(cast, shows_notes=False)
    (broadcast,) = broadcasts(state(cast, [world.holding_a.id, also.id], SECRET, "1"))
    variants = {name: each.variant for name, each in everybody(broadcast).items()}
    assert variants == {"Alice": "n", "Bob": "n", "Charlie": ""}


# Many services at once


def four_more(cast: Cast) -> list[Holding]:
    found = []
    for number in range(4):
        service = catalogue.add_service(f"Service {number}", by=SYSTEM, now=NOW - HOUR)
        found.append(catalogue.add_holding(cast.a, service, reference=f"R{number}", by=SYSTEM, now=NOW - HOUR))
    return found


def test_more_services_than_are_told_one_by_one_are_told_in_one_mail(cast: Cast, world: World) -> None:
    mine = four_more(cast)
    theirs = catalogue.add_holding(cast.b, db.session.get_one(Service, mine[0].service_id), by=SYSTEM, now=NOW - HOUR)
    made = state(cast, [*(each.id for each in mine), theirs.id], Wanted(ServiceStatus.DOWN, "Power cut."), "1")
    single, digest = broadcasts(made)
    assert set(everybody(single)) == {"Charlie"}
    assert set(everybody(digest)) == {"Alice", "Bob"}
    assert digest.selector["digest"]
    alice = everybody(digest)["Alice"]
    assert alice.values["services"].splitlines() == [f"Service {number} (R{number})" for number in range(4)]
    assert "{{services}}" in digest.content["de"]["text"]
    assert "Mehrere Ihrer Dienste" in digest.content["de"]["subject"]
    links = db.session.scalars(select(UpdateBroadcast.service_id).where(UpdateBroadcast.update_id == made.id)).all()
    assert set(links) == {mine[0].service_id, None}


def test_three_are_told_one_by_one(cast: Cast, world: World) -> None:
    mine = four_more(cast)[:3]
    made = state(cast, [each.id for each in mine], Wanted(ServiceStatus.DOWN), "1")
    assert [each.selector["digest"] for each in broadcasts(made)] == [False] * 3


def test_what_is_hidden_does_not_make_them_many(cast: Cast, world: World) -> None:
    mine = four_more(cast)
    theirs = [
        catalogue.add_holding(cast.b, db.session.get_one(Service, each.service_id), by=SYSTEM, now=NOW - HOUR)
        for each in mine
    ]
    view(cast, hidden_services=[mine[0].service_id])
    ids = [each.id for each in (*mine, *theirs)]
    assert who_hears(ids, Wanted(ServiceStatus.DOWN), NOW).digests == 1
    *single, digest = broadcasts(state(cast, ids, Wanted(ServiceStatus.DOWN), "1"))
    assert set(everybody(digest)) == {"Charlie"}
    told_one_by_one = [everybody(each)["Alice"].values["service_name"] for each in single if everybody(each)]
    assert told_one_by_one == [f"Service {number} (R{number})" for number in (1, 2, 3)]
    # What is hidden from now on changes nothing for those who were to be told in one mail: they still are.
    db.session.add(ServiceView(domain_id=cast.domain_b.id, hidden_services=[mine[1].service_id]))
    db.session.flush()
    assert set(everybody(digest)) == {"Charlie"}


def test_scheduled_service_goes_on_as_it_was_announced_whatever_is_hidden_meanwhile(cast: Cast, world: World) -> None:
    mine = four_more(cast)
    planned = Wanted(ServiceStatus.SCHEDULED, starts_at=NOW + 2 * HOUR, ends_at=NOW + 3 * HOUR)
    made = state(cast, [each.id for each in mine], planned, "1")
    (announced,) = broadcasts(made)
    view(cast, hidden_services=[mine[0].service_id])
    window = db.session.get_one(ServiceWindow, made.window_id)
    cancelled = cancel_window(window, "", notify=True, version=window.version, by=SYSTEM, now=NOW, idempotency_key="2")
    (later,) = broadcasts(cancelled)
    assert later.thread_key == announced.thread_key
    assert len(everybody(later)["Alice"].values["services"].splitlines()) == 3


def test_who_muted_some_of_many_is_told_of_the_others(cast: Cast, world: World) -> None:
    mine = four_more(cast)
    actions.choose_for_person(cast.alice, {service_topic(mine[1].service_id): False}, by=SYSTEM, now=NOW)
    (digest,) = broadcasts(state(cast, [each.id for each in mine], Wanted(ServiceStatus.DOWN), "1"))
    assert len(everybody(digest)["Alice"].values["services"].splitlines()) == 3
    assert len(everybody(digest)["Bob"].values["services"].splitlines()) == 4


# Conversations, times, and what a problem became


def test_a_problem_is_one_conversation_until_it_is_over(cast: Cast, world: World) -> None:
    ids = [world.holding_a.id]
    first = state(cast, ids, Wanted(ServiceStatus.DOWN), "1")
    better = state(cast, ids, Wanted(ServiceStatus.INTERMITTENT), "2", NOW + HOUR)
    over = state(cast, ids, Wanted(ServiceStatus.NORMAL), "3", NOW + 2 * HOUR)
    again = state(cast, ids, Wanted(ServiceStatus.DOWN), "4", NOW + 30 * HOUR)
    threads = [broadcasts(each)[0].thread_key for each in (first, better, over, again)]
    assert threads[0] == threads[1] == threads[2] != threads[3]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, ServiceStatus.DOWN, "not available at the moment"),
        (ServiceStatus.DOWN, ServiceStatus.DOWN, "still not available"),
        (ServiceStatus.INTERMITTENT, ServiceStatus.DOWN, "has become worse"),
        (ServiceStatus.DOWN, ServiceStatus.INTERMITTENT, "works again in part"),
        (ServiceStatus.INTERMITTENT, ServiceStatus.INTERMITTENT, "still does not work as it should"),
        (ServiceStatus.DOWN, ServiceStatus.NORMAL, "Everything works again"),
    ],
)
def test_a_mail_says_what_has_changed(
    cast: Cast, world: World, before: ServiceStatus | None, after: ServiceStatus, words: str
) -> None:
    if before is not None:
        state(cast, [world.holding_a.id], Wanted(before), "1")
    (broadcast,) = broadcasts(state(cast, [world.holding_a.id], Wanted(after), "2", NOW + HOUR))
    assert words in broadcast.content["en"]["text"]
    assert words in broadcast.content["en"]["html"]
    assert words in broadcast.content["en"]["brief"]


def test_since_when_is_when_the_problem_began_whatever_was_said_since(cast: Cast, world: World) -> None:
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    again = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN, "Still."), "2", NOW + HOUR)
    assert broadcasts(again)[0].selector["moments"]["start_time"] == NOW.isoformat()
    over = state(cast, [world.holding_a.id], Wanted(ServiceStatus.NORMAL), "3", NOW + 2 * HOUR)
    (broadcast,) = broadcasts(over)
    assert "It lasted: 2 hours" in broadcast.content["en"]["text"]
    assert "Dauer: 2 Stunden" in broadcast.content["de"]["text"]
    assert broadcast.selector["moments"] == {
        "start_time": NOW.isoformat(),
        "end_time": (NOW + 2 * HOUR).isoformat(),
    }


def test_times_are_those_of_the_reader_with_the_zone_named(cast: Cast, world: World) -> None:
    cast.alice.time_zone, cast.bob.language = "America/New_York", "de"
    db.session.flush()
    (broadcast,) = broadcasts(state(cast, [world.holding_a.id], scheduled(), "1"))
    found = everybody(broadcast)
    assert "08:00 EST" in found["Alice"].values["start_time"]
    assert "13:00 GMT" in found["Bob"].values["start_time"]
    assert found["Bob"].language == "de"


# Scheduled service


def window_of(update: ServiceUpdate) -> ServiceWindow:
    return db.session.get_one(ServiceWindow, update.window_id)


def test_a_window_is_one_conversation_and_waits_for_slow_mailboxes(cast: Cast, world: World) -> None:
    wanted = scheduled(starts_at=NOW + timedelta(days=5), ends_at=NOW + timedelta(days=5, hours=2))
    announced = state(cast, [world.holding_a.id], wanted, "1")
    window = window_of(announced)
    moved = move_window(
        window,
        NOW + timedelta(days=6),
        NOW + timedelta(days=6, hours=1),
        "Europe/Berlin",
        "",
        notify=True,
        version=window.version,
        by=SYSTEM,
        now=NOW + HOUR,
        idempotency_key="2",
    )
    (first,), (second,) = broadcasts(announced), broadcasts(moved)
    assert first.thread_key == second.thread_key
    assert first.expires_at == NOW + timedelta(days=5)
    assert "has been moved" in second.content["en"]["text"]
    called_off = cancel_window(
        window, "", notify=True, version=window.version, by=SYSTEM, now=NOW + 2 * HOUR, idempotency_key="3"
    )
    assert "ist abgesagt" in broadcasts(called_off)[0].content["de"]["text"]


def test_the_end_of_a_window_tells_nobody_that_all_is_well_who_has_a_problem(cast: Cast, world: World) -> None:
    also = catalogue.add_holding(cast.b, world.telephony, by=SYSTEM, now=NOW - HOUR)
    announced = state(cast, [world.holding_a.id, also.id], scheduled(), "1")
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "2", NOW + HOUR)
    selector = {**broadcasts(announced)[0].selector, "occasion": "ended"}
    found, _cursor = recipients(selector, None, 100, NOW)
    assert [each.name for each in found] == ["Charlie"]


# What a form says before, and what it costs


def test_the_preview_says_who_is_told_and_who_not_and_why(cast: Cast, world: World) -> None:
    actions.choose_for_person(cast.alice, {status_topic(ServiceStatus.DOWN): False}, by=SYSTEM, now=NOW)
    domains.set_override(cast.domain_b, cast.b, Area.SERVICES, False, by=SYSTEM, now=NOW)
    both = [world.holding_a.id, world.holding_b.id]
    audience = who_hears(both, Wanted(ServiceStatus.DOWN), NOW)
    assert (audience.companies, audience.people, audience.digests) == (1, 1, 0)
    assert [(each.name, each.people) for each in audience.named_companies] == [("Alder Dental", 1)]
    assert [(each.name, each.company_name) for each in audience.named_people] == [("Bob", "Alder Dental")]
    assert [(each.name, each.reason) for each in audience.unreachable] == [("Alice", Unreached.DECLINED)]
    assert [(each.name, each.reason) for each in audience.silent] == [("Birch Logistics", Untold.AREA_CLOSED)]
    assert (audience.unreachable_total, audience.silent_total) == (1, 1)


def test_the_preview_names_what_is_never_mailed(cast: Cast, world: World) -> None:
    world.telephony.notifies = []
    view(cast, hidden_services=[world.internet.id])
    db.session.add(ServiceView(domain_id=cast.domain_b.id, company_id=cast.b.id, hidden_services=[world.internet.id]))
    db.session.flush()
    audience = who_hears([world.holding_a.id, world.holding_b.id], Wanted(ServiceStatus.DOWN), NOW)
    assert audience.quiet_services == ("Hosted telephony",)
    assert [(each.name, each.reason) for each in audience.silent] == [("Birch Logistics", Untold.HIDDEN)]
    assert (audience.companies, audience.people) == (0, 0)


def test_the_preview_tells_why_an_address_gets_nothing(cast: Cast, world: World) -> None:
    actions.unsubscribe(cast.alice.email, TOPIC, cast.alice.id, now=NOW)
    accounts.deactivate_person(cast.bob, version=cast.bob.version, by=SYSTEM, now=NOW)
    audience = who_hears([world.holding_a.id], Wanted(ServiceStatus.DOWN), NOW)
    assert {each.name: each.reason for each in audience.unreachable} == {
        "Alice": Unreached.UNSUBSCRIBED,
        "Bob": Unreached.DEACTIVATED,
    }
    assert [(each.name, each.reason) for each in audience.silent] == [("Alder Dental", Untold.UNREACHED)]


def test_many_companies_cost_no_more_queries(cast: Cast, world: World) -> None:
    def crowd(count: int, start: int) -> list[int]:
        ids = []
        for number in range(start, start + count):
            company = accounts.add_company(f"Company {number}", by=SYSTEM, now=NOW)
            domains.admit(company, cast.domain_a, is_home=True, by=SYSTEM, now=NOW)
            person = accounts.add_person(f"P{number}", f"p{number}@people.test", by=SYSTEM, now=NOW)
            accounts.add_membership(person, company, by=SYSTEM, now=NOW)
            ids.append(catalogue.add_holding(company, world.telephony, by=SYSTEM, now=NOW - HOUR).id)
        return ids

    actions.choose_for_person(cast.alice, {TOPIC: False}, by=SYSTEM, now=NOW)
    few = crowd(2, 0)
    (broadcast,) = broadcasts(state(cast, few, Wanted(ServiceStatus.DOWN), "1"))
    with counted_queries() as for_few:
        recipients(broadcast.selector, None, 1000, NOW)
        who_hears(few, Wanted(ServiceStatus.DOWN), NOW)
    many = few + crowd(30, 2)
    (broadcast,) = broadcasts(state(cast, many, Wanted(ServiceStatus.DOWN), "2", NOW + HOUR))
    with counted_queries() as for_recipients:
        found, _cursor = recipients(broadcast.selector, None, 1000, NOW)
    with counted_queries() as for_preview:
        audience = who_hears(many, Wanted(ServiceStatus.DOWN), NOW)
    assert len(found) == audience.people == 32
    assert len(audience.named_people) == 20
    assert len(for_recipients) <= 11
    assert len(for_preview) <= 13
    assert len(for_recipients) + len(for_preview) == len(for_few)


def test_channels_are_told_of_what_their_company_may_see(cast: Cast, world: World) -> None:
    view(cast, shows_notes=False, shows_tickets=False, shows_end_times=False)
    also = catalogue.add_holding(cast.b, world.telephony, by=SYSTEM, now=NOW - HOUR)
    (broadcast,) = broadcasts(state(cast, [world.holding_a.id, also.id], SECRET, "1"))
    listeners = [
        Listener(1, (cast.a.id,), "en", "UTC"),
        Listener(2, (cast.b.id,), "de", "UTC"),
        Listener(3, (), "en", "UTC"),
    ]
    found = tell_channels(broadcast.selector, listeners, NOW)
    assert set(found) == {1, 2}
    assert {each.event for each in found.values()} == {"service_status.changed"}
    assert found[1].data["update"].keys() & {"text", "ticket", "ends_at"} == set()
    assert found[2].data["update"]["text"] == "The secret cause."
    assert found[2].data["update"]["status"] == "system_is_down"
    assert (found[1].variant, found[2].variant) == ("ent", "")
    assert found[1].data["services"] == ["Hosted telephony (ACC-1)"]
    assert found[1].about == {service_topic(world.telephony.id)}
