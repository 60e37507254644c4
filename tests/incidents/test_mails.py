"""Who hears of an incident, in which order, and what they read."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.catalogue.rules import service_topic
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.mails import incidents as mails
from portal.incidents.models import Incident
from portal.incidents.rules import Audience, Severity, State
from portal.language import LANGUAGES
from portal.notifications.kinds import FOR_SUBSCRIBERS, Listener, Recipient, wording_key
from portal.notifications.models import Broadcast, Delivery, Preference
from portal.services.models import ServiceView
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import LONG_AGO, World

MAJOR = Severity.MAJOR_OUTAGE


def publish(severities: Mapping[int, Severity], **changes: Any) -> Broadcast:
    given: dict[str, Any] = {
        "title": "Calls drop",
        "state": State.INVESTIGATING,
        "body": "We are **looking** into it.\n\n- [More](https://x.test/a)\n- Less <0.1%",
        "by": SYSTEM,
        "author_id": None,
        "now": NOW,
        "idempotency_key": "mail-1",
        "next_update": timedelta(minutes=30),
    } | changes
    actions.publish(severities=severities, **given)
    return db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc()).limit(1)).one()


def everybody(selector: dict[str, Any], limit: int) -> list[Recipient]:
    found: list[Recipient] = []
    cursor = None
    while True:
        some, cursor = mails.recipients(selector, cursor, limit, NOW)
        assert len(some) <= limit
        found += some
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_everybody_is_found_once_whatever_the_size_of_a_step(world: World, limit: int) -> None:
    broadcast = publish({world.trunk.id: MAJOR})
    found = everybody(broadcast.selector, limit)
    assert [each.name for each in found] == ["Alice", "Bob", "Charlie"]
    assert [each.priority for each in found] == [0, 0, 40]


def test_too_many_companies_to_list_are_found_through_the_components(world: World) -> None:
    selector = dict(publish({world.trunk.id: MAJOR, world.exchange.id: MAJOR}).selector)
    listed = everybody(selector, 2)
    assert everybody(selector | {"company_ids": None}, 2) == listed


@pytest.mark.parametrize(("is_for_all", "many"), [(True, 3), (False, 2)])
def test_whether_there_are_more_people_than_so_many(world: World, *, is_for_all: bool, many: int) -> None:
    selector = dict(publish({world.trunk.id: MAJOR}).selector) | {"everyone": is_for_all}
    assert [mails.goes_beyond(selector, count, NOW) for count in (many - 1, many)] == [True, False]
    with counted_queries() as statements:
        mails.goes_beyond(selector, 1, NOW)
    assert len(statements) == 1


def test_somebody_of_two_companies_is_told_once_about_both(world: World, cast: Cast) -> None:
    accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=NOW)
    broadcast = publish({world.trunk.id: MAJOR, world.fibre.id: MAJOR})
    alice = next(each for each in everybody(broadcast.selector, 10) if each.name == "Alice")
    assert alice.company_ids == (cast.a.id, cast.b.id)
    assert alice.values["affected"] == "Affected for you: Hosted telephony (ACC-1), Internet access (LINE-9)."
    assert db.session.scalars(select(Delivery.address)).all().count("alice@people.test") == 1


def test_who_is_not_affected_is_told_so(world: World) -> None:
    broadcast = publish({world.trunk.id: MAJOR})
    charlie = next(each for each in everybody(broadcast.selector, 10) if each.name == "Charlie")
    assert charlie.values["affected"] == "As far as we know, none of your services is affected."


def test_what_is_hidden_from_a_company_is_not_named_to_it(world: World, cast: Cast) -> None:
    db.session.add(Holding(company_id=cast.a.id, service_id=world.internet.id, reference="CANARY", valid_from=LONG_AGO))
    db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.internet.id]))
    db.session.flush()
    both = publish({world.trunk.id: MAJOR, world.fibre.id: MAJOR})
    said = {each.name: each.values["affected"] for each in everybody(both.selector, 10)}
    assert said["Alice"] == "Affected for you: Hosted telephony (ACC-1)."
    assert said["Charlie"] == "Affected for you: Internet access (LINE-9)."
    hidden = publish({world.fibre.id: MAJOR}, idempotency_key="mail-2")
    alice = next(each for each in everybody(hidden.selector, 10) if each.name == "Alice")
    assert (alice.values["affected"], alice.priority) == ("This may affect any of your services.", 0)
    listener = Listener(id=1, company_ids=(cast.a.id,), language="de", time_zone="Europe/Berlin")
    told = mails.tell(hidden.selector, [listener], NOW)[1]
    assert (told.data["services"], told.data["is_affected"]) == ([], True)
    assert told.values["affected"] == "Das kann jeden Ihrer Dienste betreffen."
    assert not any("CANARY" in str(each) for each in db.session.scalars(select(Delivery.values)))


def test_who_muted_what_is_shown_of_it_is_not_mailed_for_what_is_hidden(world: World, cast: Cast) -> None:
    db.session.add(Holding(company_id=cast.a.id, service_id=world.internet.id, valid_from=LONG_AGO))
    db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.internet.id]))
    db.session.add(
        Preference(person_id=cast.alice.id, topic=service_topic(world.telephony.id), channel="mail", wanted=False)
    )
    db.session.flush()
    both = publish({world.trunk.id: MAJOR, world.fibre.id: MAJOR})
    wanted = {each.name: each.is_wanted for each in everybody(both.selector, 10)}
    assert wanted == {"Alice": False, "Bob": True, "Charlie": True}


def test_companies_that_do_not_see_status_are_not_mailed(world: World, cast: Cast) -> None:
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    broadcast = publish({world.trunk.id: MAJOR})
    assert [each.name for each in everybody(broadcast.selector, 10)] == ["Charlie"]
    accounts.add_membership(cast.bob, cast.b, by=SYSTEM, now=NOW)
    found = everybody(broadcast.selector, 10)
    assert [(each.name, each.company_ids) for each in found] == [("Bob", (cast.b.id,)), ("Charlie", (cast.b.id,))]


def test_those_who_left_are_not_mailed(world: World, cast: Cast) -> None:
    cast.alice.deactivated_at = NOW
    cast.b.archived_at = NOW
    db.session.flush()
    broadcast = publish({world.trunk.id: MAJOR})
    assert [each.name for each in everybody(broadcast.selector, 10)] == ["Bob"]


def test_moments_are_in_the_readers_zone_and_say_which(world: World, cast: Cast) -> None:
    cast.alice.time_zone = "America/New_York"
    cast.bob.language = "de"
    cast.bob.time_zone = "Europe/Berlin"
    db.session.flush()
    broadcast = publish({world.trunk.id: MAJOR})
    alice, bob, _charlie = everybody(broadcast.selector, 10)
    assert alice.values["since"] == "21 Nov 2026, 07:00 EST"
    assert alice.values["next_update"] == "21 Nov 2026, 07:30 EST"
    assert bob.values["since"] == "21. Nov. 2026, 13:00 MEZ"
    assert bob.language == "de"


def test_a_step_costs_the_same_however_many_there_are(world: World, cast: Cast) -> None:
    selector = publish({world.trunk.id: MAJOR}).selector

    def cost() -> int:
        with counted_queries() as statements:
            mails.recipients(selector, None, 500, NOW)
        return len(statements)

    few = cost()
    assert few <= 16
    for number in range(20):
        person = accounts.add_person(f"Noise {number}", f"n{number}@noise.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, cast.a if number % 2 else cast.b, by=SYSTEM, now=NOW)
    db.session.flush()
    assert cost() == few


def test_the_wording_stands_once_per_language_and_says_what_readers_expect(world: World) -> None:
    content = publish({world.trunk.id: MAJOR}).content
    assert set(content) == {wording_key(each, None, variant) for each in LANGUAGES for variant in ("", FOR_SUBSCRIBERS)}
    english = content["en"]
    assert english["subject"] == "[{{brand}} status] Calls drop"
    text = english["text"]
    assert text.startswith("Investigating: Calls drop\n")
    for part in (
        "{{affected}}",
        "Since {{since}}.",
        "What it is about: Trunk.",
        "We are looking into it.",
        "- More (https://x.test/a)",
        "- Less <0.1%",
        "We write again by {{next_update}}.",
        "{{unsubscribe_url}}",
    ):
        assert part in text
    incident = db.session.scalars(select(Incident)).one()
    assert f"{{{{portal_url}}}}/incidents/{incident.public_id}" in text
    html = english["html"]
    assert "<strong>looking</strong>" in html
    assert "&lt;0.1%" in html
    assert f'href="{{{{portal_url}}}}/incidents/{incident.public_id}"' in html
    without_login = content[wording_key("en", None, FOR_SUBSCRIBERS)]["text"]
    assert "{{affected}}" not in without_login
    assert "{{company}}" not in without_login
    assert "{{manage_url}}" in without_login


def test_the_subject_stays_and_the_end_says_how_long_it_took(world: World) -> None:
    first = publish({world.trunk.id: MAJOR}).content
    incident = db.session.scalars(select(Incident)).one()
    actions.post_update(
        incident,
        State.FIXED,
        "All back.",
        {},
        version=incident.version,
        by=SYSTEM,
        author_id=None,
        now=NOW + timedelta(minutes=76),
    )
    last = db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc()).limit(1)).one()
    assert {each["subject"] for each in last.content.values()} == {each["subject"] for each in first.values()}
    assert last.content["en"]["text"].startswith("Fixed: Calls drop\n")
    assert "From {{since}} to {{fixed}}: 1 hour 16 minutes." in last.content["en"]["text"]
    assert "We write again" not in last.content["en"]["text"]
    assert last.thread_key == f"incident:{incident.id}"


def test_texts_are_no_templates_and_no_markup(world: World) -> None:
    content = publish(
        {}, title='{{ 7*7 }} <b>"x"</b>', body="{% for x in y %} {{ config }} <script>alert(1)</script>"
    ).content["en"]
    assert content["subject"] == '[{{brand}} status] {{ 7*7 }} <b>"x"</b>'
    assert "{% for x in y %} {{ config }}" in content["text"]
    assert "<script" not in content["html"]
    assert "49" not in content["subject"]
    assert "{{affected}}" not in content["text"]


def test_a_report_for_the_affected_is_expanded_for_them_alone(world: World) -> None:
    broadcast = publish({world.fibre.id: MAJOR}, audience=Audience.AFFECTED)
    assert [each.name for each in everybody(broadcast.selector, 1)] == ["Charlie"]
