"""Subscribers hear of announcements: only where staff say so, on that portal, once it stands, and nobody else does."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from portal import events
from portal.accounts.models import Person
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.catalogue.rules import component_topic
from portal.domains.announcements import actions as announcements
from portal.domains.announcements.models import Announcement
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.choosing import choice_of_company, choice_of_person
from portal.notifications.kinds import told_to_subscribers, usual_for_subscribers
from portal.notifications.models import Broadcast, ContactChannel, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.notifications.subscribers import actions, announcing, hearing
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind
from tests.conftest import NOW, Cast, counted_queries
from workers import tasks

DAY = timedelta(days=1)


@pytest.fixture
def domain(cast: Cast) -> PortalDomain:
    for each in (cast.domain_a, cast.domain_b):
        each.areas = [*each.areas, Area.PUBLIC_STATUS]
    db.session.flush()
    return cast.domain_a


def subscribe(domain: PortalDomain, name: str, *topics: str, language: str = "en") -> Subscriber:
    return actions.add(
        domain.id,
        f"{name}@reader.test",
        topics,
        language=language,
        is_shared=False,
        consent="By phone",
        by=SYSTEM,
        now=NOW,
    )


def announced(domain: PortalDomain, key: str = "one", **more: Any) -> Announcement:
    made = announcements.announce(
        domain,
        **{
            "wordings": {"en": {"title": "We move", "body": "To **Leeds**."}},
            "starts_at": NOW,
            "ends_at": None,
            "is_pinned": False,
            "tells_subscribers": True,
            "by": SYSTEM,
            "author_id": None,
            "now": NOW,
            "idempotency_key": key,
            **more,
        },
    )
    db.session.commit()
    return made


def look_after(now: Any = NOW) -> None:
    for do, row_id in announcing.due(now):
        do(row_id, now)
    db.session.commit()
    db.session.expire_all()


def broadcasts() -> list[Broadcast]:
    return list(db.session.scalars(select(Broadcast).where(Broadcast.kind == "announcement").order_by(Broadcast.id)))


def told() -> list[str]:
    rows = select(Delivery.address).join(Broadcast).where(Broadcast.kind == "announcement").order_by(Delivery.address)
    return list(db.session.scalars(rows))


def test_who_chose_announcements_on_this_portal_is_told_once(domain: PortalDomain, cast: Cast) -> None:
    component = Component(title="Trunk", public_id="trunk", position=1, created_at=NOW, updated_at=NOW)
    db.session.add(component)
    db.session.flush()
    subscribe(domain, "all", "incidents", "announcements")
    subscribe(domain, "narrow", "announcements", component_topic(component.id))
    subscribe(domain, "other", "incidents", "maintenance")
    subscribe(cast.domain_b, "elsewhere", "announcements")
    made = announced(domain)
    assert hearing.count_by_domain("announcements") == {cast.domain_a.id: 2, cast.domain_b.id: 1}
    with counted_queries() as few:
        assert announcing.is_anything_due(NOW)
    assert len(few) <= 3
    for _ in range(3):
        look_after()
    # What is about nothing in particular reaches those too who chose some parts; of the people with a login nobody.
    assert told() == ["all@reader.test", "narrow@reader.test"]
    assert len(broadcasts()) == 1
    db.session.refresh(made)
    assert made.told_at == NOW
    assert not announcing.is_anything_due(NOW)


def test_nobody_is_told_unless_staff_say_so(domain: PortalDomain) -> None:
    subscribe(domain, "rita", "announcements")
    made = announced(domain, tells_subscribers=False)
    look_after()
    assert told() == []
    announcements.edit(
        made,
        domain,
        made.wordings,
        starts_at=made.starts_at,
        ends_at=None,
        is_pinned=True,
        tells_subscribers=True,
        version=made.version,
        by=SYSTEM,
        now=NOW + DAY,
    )
    db.session.commit()
    look_after(NOW + DAY)
    assert told() == ["rita@reader.test"]


def test_it_is_told_when_it_begins_and_not_when_it_is_over(domain: PortalDomain) -> None:
    subscribe(domain, "rita", "announcements")
    announced(domain, starts_at=NOW + DAY)
    announced(domain, "over", ends_at=NOW + timedelta(minutes=1))
    assert [row_id for _do, row_id in announcing.due(NOW + timedelta(minutes=1))] == []
    look_after(NOW + DAY - timedelta(seconds=1))
    assert told() == []
    look_after(NOW + DAY)
    assert told() == ["rita@reader.test"]


def test_the_clock_and_the_change_itself_have_it_told(domain: PortalDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[tuple[object, ...]] = []
    monkeypatch.setattr(events, "wake", lambda *task: woken.append(task))
    subscribe(domain, "rita", "announcements")
    announced(domain)
    assert ("tell_announcements",) in woken
    woken.clear()
    tasks.beat()
    assert ("tell_announcements",) in woken
    tasks.tell_announcements()
    assert told() == ["rita@reader.test"]


def test_a_closed_public_page_tells_nobody(domain: PortalDomain) -> None:
    subscribe(domain, "rita", "announcements")
    domain.areas = [each for each in domain.areas if each != Area.PUBLIC_STATUS]
    announced(domain)
    look_after()
    assert told() == []
    assert [each.state for each in broadcasts()] == [BroadcastState.DONE]


@pytest.mark.parametrize("way", ["end", "remove"])
def test_what_is_taken_back_is_called_off(domain: PortalDomain, way: str) -> None:
    subscribe(domain, "rita", "announcements")
    made = announced(domain)
    look_after()
    act = announcements.end if way == "end" else announcements.remove
    act(made, version=made.version, by=SYSTEM, now=NOW + timedelta(seconds=5))
    db.session.commit()
    look_after(NOW + timedelta(seconds=6))
    assert [each.state for each in broadcasts()] == [BroadcastState.CANCELLED]
    assert [each.state for each in db.session.scalars(select(Delivery))] == [DeliveryState.CANCELLED]
    assert not announcing.is_anything_due(NOW + timedelta(seconds=7))


def test_what_is_taken_away_is_called_off_though_another_gets_its_number(domain: PortalDomain) -> None:
    subscribe(domain, "rita", "announcements")
    made = announced(domain)
    number = made.id
    look_after()
    announcements.remove(made, version=made.version, by=SYSTEM, now=NOW)
    db.session.commit()
    next_one = announced(domain, "two", tells_subscribers=False)
    if next_one.id != number:  # SQLite gives it again by itself
        db.session.execute(update(Announcement).where(Announcement.id == next_one.id).values(id=number))
        db.session.commit()
    look_after(NOW + timedelta(seconds=6))
    assert [each.state for each in broadcasts()] == [BroadcastState.CANCELLED]


def test_each_reads_it_in_their_language_or_that_of_the_portal(domain: PortalDomain) -> None:
    wordings = {"en": {"title": "We move", "body": "To **Leeds**."}, "de": {"title": "Wir ziehen um", "body": ""}}
    announced(domain, wordings=wordings)
    announced(domain, "english", wordings={"en": {"title": "=?utf-8?b?eA==?= <b>", "body": "{{address}}"}})
    look_after()
    both, english = broadcasts()
    assert both.content["de"]["subject"] == "[{{brand}}] Wir ziehen um"
    assert "Leeds" not in both.content["de"]["text"]
    assert "<strong>Leeds</strong>" in both.content["en"]["html"]
    assert both.content["en"]["post"] == "We move\n\nTo Leeds."
    assert "/announcements/" in both.content["en"]["text"]
    assert english.content["de"]["subject"] == "[{{brand}}] = ?utf-8?b?eA== ?= <b>"
    assert "&lt;b&gt;" in english.content["de"]["html"]
    assert "Abonnement" in english.content["de"]["text"]


def test_a_machine_is_told_what_the_page_shows(domain: PortalDomain, cast: Cast) -> None:
    for place, address in ((domain, "https://hooks.test/a"), (cast.domain_b, "https://hooks.test/b")):
        actions.add_room(
            place.id,
            SubscriberKind.WEBHOOK,
            address,
            ["announcements"],
            language="en",
            consent="",
            by=SYSTEM,
            now=NOW,
        )
    made = announced(domain)
    look_after()
    [delivery] = db.session.scalars(select(Delivery))
    channel = db.session.get_one(ContactChannel, delivery.contact_channel_id)
    assert db.session.get_one(Subscriber, channel.subscriber_id).domain_id == domain.id
    assert delivery.values["event"] == "announcement.published"
    assert delivery.values["data"]["announcement"]["text"] == "To Leeds."
    assert delivery.values["link"] == f"{domain.base_url}/announcements/{made.public_id}"


def test_people_do_not_find_among_their_lists_what_never_reaches_them(domain: PortalDomain, cast: Cast) -> None:
    assert "announcements" in told_to_subscribers()
    # Other tests make kinds of their own known.
    assert {"incidents", "maintenance"} <= set(usual_for_subscribers())
    assert "announcements" not in usual_for_subscribers()
    person = db.session.get_one(Person, cast.alice.id)
    for choice in (choice_of_person(person, [cast.a.id], NOW), choice_of_company(cast.a.id, NOW)):
        assert "announcements" not in {line.key for line in choice.lines}
