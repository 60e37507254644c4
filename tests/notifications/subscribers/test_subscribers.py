"""Subscribers: signing up twice over, what they hear and what never, leaving, quarantine, and being forgotten."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.admin.incidents.preview import Shown, preview_of
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue.models import Component
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.notifications import actions as outbox
from portal.notifications import leases
from portal.notifications.kinds import FOR_SUBSCRIBERS
from portal.notifications.models import Broadcast, Delivery, Suppression
from portal.notifications.rules import EVERY_TOPIC, DeliveryState, SuppressionReason
from portal.notifications.subscribers import actions, hearing, letters, queries
from portal.notifications.subscribers.forgetting import forget
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberState, hears
from portal.records import erasure, retention
from portal.records.rules.exports import ExportKind
from tests.conftest import NOW, Cast, counted_queries

STRANGER = Actor("anonymous")


@pytest.fixture
def domain(cast: Cast) -> PortalDomain:
    """Portal A with its public page open."""
    cast.domain_a.areas = [*cast.domain_a.areas, Area.PUBLIC_STATUS]
    db.session.flush()
    return cast.domain_a


@pytest.fixture
def components(cast: Cast) -> list[Component]:
    made = [
        Component(title=f"Part {name}", public_id=f"part-{name}", position=place, created_at=NOW, updated_at=NOW)
        for place, name in enumerate("ab")
    ]
    db.session.add_all(made)
    db.session.flush()
    return made


def subscribe(domain: PortalDomain, address: str = "rita@reader.test", *topics: str, **more: Any) -> Subscriber:
    """Somebody who has signed up and confirmed."""
    found = actions.sign_up(domain.id, address, topics or ["incidents"], language="en", by=STRANGER, now=NOW, **more)
    actions.confirm(found, by=STRANGER, now=NOW)
    return found


def report(component: Component | None, key: str = "one", **more: Any) -> Broadcast | None:
    """Publish an incident, and the broadcast about it, if there is one."""
    incidents.publish(
        **{
            "title": "Calls fail",
            "state": State.INVESTIGATING,
            "body": "We look into it.",
            "severities": {component.id: Severity.MAJOR_OUTAGE} if component else {},
            "visibility": Visibility.PUBLIC,
            "audience": Audience.EVERYONE,
            "notify": True,
            "mail_affected_only": False,
            "by": SYSTEM,
            "author_id": None,
            "now": NOW,
            "idempotency_key": key,
            **more,
        }
    )
    return db.session.scalars(
        select(Broadcast).where(Broadcast.kind == "incident").order_by(Broadcast.id.desc())
    ).first()


def told(broadcast: Broadcast | None) -> dict[str, Delivery]:
    """What was written down for subscribers, by address."""
    if broadcast is None:
        return {}
    rows = select(Delivery).where(Delivery.broadcast_id == broadcast.id, Delivery.subscriber_id.is_not(None))
    return {each.address: each for each in db.session.scalars(rows)}


def letters_of(address: str) -> list[Delivery]:
    rows = select(Delivery).join(Broadcast).where(Broadcast.kind == letters.NAME, Delivery.address == address)
    return list(db.session.scalars(rows.order_by(Delivery.id)))


def test_nobody_hears_before_the_address_has_said_yes(domain: PortalDomain, components: list[Component]) -> None:
    rita = actions.sign_up(domain.id, "Rita@Reader.test", ["incidents"], language="de", by=STRANGER, now=NOW)
    assert rita.state is SubscriberState.UNCONFIRMED
    assert told(report(components[0])) == {}
    [letter] = letters_of("Rita@Reader.test")
    assert (letter.wording, letter.values["brand"]) == ("de", domain.brand)
    actions.confirm(rita, by=STRANGER, now=NOW)
    found = told(report(components[0], "two"))
    assert list(found) == ["Rita@Reader.test"]
    delivery = found["Rita@Reader.test"]
    assert (delivery.person_id, delivery.company_ids, delivery.wording) == (None, [], f"de-{FOR_SUBSCRIBERS}")
    assert delivery.values["portal_url"] == domain.base_url
    assert delivery.values["manage_url"].startswith(f"{domain.base_url}/subscribe/manage/")
    assert delivery.values["unsubscribe_url"].startswith(f"{domain.base_url}/u/")


def test_a_letter_waits_behind_every_mail_about_an_incident(domain: PortalDomain, components: list[Component]) -> None:
    subscribe(domain)
    last = (
        max(
            each.priority
            for each in db.session.scalars(select(Delivery).join(Broadcast).where(Broadcast.kind == "incident"))
        )
        if told(report(components[0]))
        else 0
    )
    actions.sign_up(domain.id, "flood@reader.test", ["incidents"], language="en", by=STRANGER, now=NOW)
    assert letters_of("flood@reader.test")[0].priority > last > 0


def test_what_is_not_for_everybody_is_told_to_no_subscriber(domain: PortalDomain, components: list[Component]) -> None:
    subscribe(domain)
    some: list[dict[str, Any]] = [
        {"visibility": Visibility.PRIVATE},
        {"audience": Audience.AFFECTED},
        {"mail_affected_only": True},
        {"notify": False},
    ]
    for number, more in enumerate(some):
        assert told(report(components[0], f"some-{number}", **more)) == {}


def test_a_choice_of_components_narrows(domain: PortalDomain, components: list[Component]) -> None:
    first, second = components
    subscribe(domain, "all@reader.test")
    subscribe(domain, "first@reader.test", "incidents", f"component:{first.id}")
    subscribe(domain, "second@reader.test", "incidents", f"component:{second.id}")
    assert set(told(report(first))) == {"all@reader.test", "first@reader.test"}
    assert hearing.count_hearing("incidents", [f"component:{first.id}"]) == 2
    assert set(told(report(None, "two"))) == {"all@reader.test", "first@reader.test", "second@reader.test"}
    assert hearing.count_hearing("incidents", []) == 3


@pytest.mark.parametrize(
    ("topics", "about", "expected"),
    [
        (["incidents"], ["component:1"], True),
        (["incidents", "component:1"], ["component:1", "component:2"], True),
        (["incidents", "component:1"], ["component:11"], False),
        (["incidents", "component:1"], [], True),
        (["maintenance"], ["component:1"], False),
    ],
)
def test_hearing(topics: list[str], about: list[str], expected: bool) -> None:
    assert hears(topics, "incidents", about) is expected


def test_an_address_with_a_login_gets_the_mail_of_its_person_alone(
    domain: PortalDomain, components: list[Component], cast: Cast
) -> None:
    subscribe(domain, cast.alice.email)
    found = report(components[0])
    assert found is not None
    mine = select(Delivery).where(Delivery.broadcast_id == found.id, Delivery.address_key == cast.alice.email_key)
    assert [each.person_id for each in db.session.scalars(mine)] == [cast.alice.id]
    assert (
        "You sign in with this address"
        in db.session.scalars(select(Broadcast.content).where(Broadcast.kind == letters.NAME)).one()["en"]["text"]
    )


def test_an_address_at_two_portals_is_mailed_once(
    domain: PortalDomain, components: list[Component], cast: Cast
) -> None:
    cast.domain_b.areas = [*cast.domain_b.areas, Area.PUBLIC_STATUS]
    subscribe(domain)
    subscribe(cast.domain_b)
    assert len(told(report(components[0]))) == 1


def test_a_closed_page_silences_at_expansion_and_before_sending(
    domain: PortalDomain, components: list[Component]
) -> None:
    rita = subscribe(domain)
    waiting = told(report(components[0]))
    assert hearing.stopped_among([each.id for each in waiting.values()]) == frozenset()
    domain.areas = [each for each in domain.areas if each != Area.PUBLIC_STATUS]
    db.session.flush()
    assert told(report(components[0], "two")) == {}
    assert hearing.stopped_among([each.id for each in waiting.values()]) == {each.id for each in waiting.values()}
    assert rita.state is SubscriberState.ACTIVE


def test_whoever_was_silenced_is_not_sent_what_was_written_down(
    domain: PortalDomain, components: list[Component]
) -> None:
    rita = subscribe(domain)
    [delivery] = told(report(components[0])).values()
    actions.quarantine(rita, why="They called", version=rita.version, by=SYSTEM, now=NOW)
    taken = leases._read([delivery.id], NOW)
    assert leases.stop_not_allowed(taken, NOW) == taken
    db.session.refresh(delivery)
    assert delivery.state is DeliveryState.CANCELLED


@pytest.mark.parametrize(
    "reason", [SuppressionReason.HARD_BOUNCE, SuppressionReason.QUARANTINED, SuppressionReason.COMPLAINT]
)
def test_what_a_mailbox_answers_puts_its_subscription_to_rest(
    domain: PortalDomain, components: list[Component], reason: SuppressionReason
) -> None:
    rita = subscribe(domain)
    outbox.suppress(rita.address, EVERY_TOPIC, reason, detail="550 nobody here", now=NOW)
    db.session.refresh(rita)
    assert (rita.state, rita.reason) == (SubscriberState.QUARANTINED, "550 nobody here")
    assert told(report(components[0])) == {}
    again = actions.sign_up(
        domain.id, rita.address, ["incidents"], language="en", by=STRANGER, now=NOW + timedelta(days=2)
    )
    assert again.state is SubscriberState.QUARANTINED
    actions.confirm(again, by=STRANGER, now=NOW)
    assert told(report(components[0], "two"))[rita.address].state is DeliveryState.PENDING


def test_staff_take_one_out_of_quarantine_and_what_they_stopped_stays(
    domain: PortalDomain, components: list[Component]
) -> None:
    rita = subscribe(domain)
    outbox.suppress(rita.address, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=NOW)
    outbox.suppress(rita.address, EVERY_TOPIC, SuppressionReason.BY_HAND, detail="asked by phone", now=NOW)
    db.session.refresh(rita)
    with pytest.raises(RuleViolation):
        actions.reactivate(rita, why=" ", version=rita.version, by=SYSTEM, now=NOW)
    actions.reactivate(rita, why="Mailbox is back", version=rita.version, by=SYSTEM, now=NOW)
    assert [each.reason for each in db.session.scalars(select(Suppression))] == [SuppressionReason.BY_HAND]
    assert told(report(components[0]))[rita.address].state is DeliveryState.SUPPRESSED
    before = len(letters_of("gone@reader.test"))
    outbox.suppress("gone@reader.test", EVERY_TOPIC, SuppressionReason.BY_HAND, now=NOW)
    actions.sign_up(domain.id, "gone@reader.test", ["incidents"], language="en", by=STRANGER, now=NOW)
    assert len(letters_of("gone@reader.test")) == before


def test_signing_up_again_changes_nothing_of_who_is_subscribed(domain: PortalDomain) -> None:
    rita = subscribe(domain)
    later = NOW + timedelta(minutes=5)
    again = actions.sign_up(
        domain.id, "RITA@reader.test", ["incidents", "component:7"], language="de", by=STRANGER, now=later
    )
    assert (again.id, again.topics, again.language) == (rita.id, ["incidents"], "en")
    assert len(letters_of("rita@reader.test")) == 2


def test_leaving_the_last_kind_forgets_the_address(domain: PortalDomain, components: list[Component]) -> None:
    rita = subscribe(domain)
    broadcast = report(components[0])
    [delivery] = told(broadcast).values()
    outbox.suppress(rita.address, "notices", SuppressionReason.BY_HAND, now=NOW)
    assert actions.leave(rita, "incidents", by=STRANGER, now=NOW) is False
    db.session.expire_all()
    assert db.session.scalars(select(Subscriber)).all() == []
    db.session.refresh(delivery)
    assert (delivery.state, delivery.values, delivery.name) == (DeliveryState.CANCELLED, {}, "")
    kept = [str(row) for table in (Delivery, Suppression) for row in db.session.execute(select(table.__table__))]
    kept += [str((each.actor, each.before, each.after)) for each in db.session.scalars(select(AuditEntry))]
    assert not [each for each in kept if "rita@" in each]


def test_somebody_elses_hashes_are_left_alone(domain: PortalDomain, cast: Cast) -> None:
    shared = subscribe(domain, cast.bob.email)
    outbox.suppress(cast.bob.email, "notices", SuppressionReason.UNSUBSCRIBED, now=NOW)
    assert forget([shared.id], NOW) == 1
    assert db.session.scalars(select(Suppression.address_key)).all() == [cast.bob.email_key]


def test_unconfirmed_ones_go_after_a_week_and_quarantined_after_ninety_days(domain: PortalDomain) -> None:
    actions.sign_up(domain.id, "never@reader.test", ["incidents"], language="en", by=STRANGER, now=NOW)
    rita = subscribe(domain)
    actions.quarantine(rita, why="Full", version=rita.version, by=SYSTEM, now=NOW)
    subscribe(domain, "stays@reader.test")

    def left(after: timedelta) -> set[str]:
        for name in ("unconfirmed_subscribers", "quarantined_subscribers"):
            while retention.forget_some(name, NOW + after):
                pass
        return set(db.session.scalars(select(Subscriber.address)))

    assert len(left(timedelta(days=6))) == 3
    assert left(timedelta(days=8)) == {"rita@reader.test", "stays@reader.test"}
    assert left(timedelta(days=91)) == {"stays@reader.test"}


def test_limits_count_by_mailbox_by_place_and_by_portal(domain: PortalDomain) -> None:
    def take(address: str, ip: str = "203.0.113.9") -> int:
        return actions.take_letter(domain.id, address, ip=ip, now=NOW)

    assert [bool(take(each)) for each in ("a.b@x.test", "ab+1@x.test", "ab@x.test", "ab+2@x.test")] == [False] * 3 + [
        True
    ]
    assert [bool(take(f"p{number}@x.test")) for number in range(8)] == [False] * 7 + [True]
    assert take("other@x.test", ip="203.0.113.10") == 0
    tries = [take(f"q{number}@x.test", ip=f"198.51.{number}.7") for number in range(200)]
    assert sum(1 for each in tries if each) == 200 - (200 - 11)


def test_an_import_adds_and_says_what_it_left_out(domain: PortalDomain) -> None:
    subscribe(domain)
    typed = ["new@reader.test", "rita@reader.test", "nonsense", "new@reader.test"]
    with pytest.raises(RuleViolation):
        actions.add_many(domain.id, typed, ["incidents"], language="en", consent=" ", by=SYSTEM, now=NOW)
    count, refused = actions.add_many(
        domain.id, typed, ["incidents"], language="en", consent="On paper", by=SYSTEM, now=NOW
    )
    assert (count, [each for each, _why in refused]) == (1, ["nonsense", "rita@reader.test"])
    found = queries.by_address(domain.id, SubscriberKind.EMAIL, "new@reader.test")
    assert found is not None
    assert (found.state, found.consent) == (SubscriberState.ACTIVE, "On paper")


def test_the_expansion_is_set_wise(domain: PortalDomain, components: list[Component]) -> None:
    """As many queries for three hundred as for three, and pieces that end where the next begins."""

    def add(count: int, name: str) -> None:
        for number in range(count):
            actions.add(
                domain.id,
                f"{name}{number}@reader.test",
                ["incidents"],
                language="en",
                is_shared=False,
                consent="x",
                by=SYSTEM,
                now=NOW,
            )
        db.session.flush()

    add(3, "few")
    with counted_queries() as few:
        report(components[0])
    add(300, "many")
    with counted_queries() as many:
        broadcast = report(components[0], "two")
    assert len(told(broadcast)) == 303
    # The rows themselves are written in batches.
    assert (
        len([each for each in many if each.startswith("SELECT")])
        <= len([each for each in few if each.startswith("SELECT")]) + 2
    )


def test_staff_see_how_many_would_hear_before_they_publish(domain: PortalDomain, components: list[Component]) -> None:
    first, second = components
    subscribe(domain)
    subscribe(domain, "second@reader.test", "incidents", f"component:{second.id}")
    shown = Shown("Calls fail", "Text", State.INVESTIGATING, Severity.MAJOR_OUTAGE, NOW, None)

    def count(component: Component, audience: Audience = Audience.EVERYONE, **more: bool) -> int:
        wishes: dict[str, Any] = {"notify": True, "affected_only": False, **more}
        found = preview_of(
            shown, [component.id], verb="Publish", audience=audience, visibility=Visibility.PUBLIC, now=NOW, **wishes
        )
        return found.subscribers

    assert (count(first), count(second)) == (1, 2)
    assert count(first, Audience.AFFECTED) == count(first, affected_only=True) == count(first, notify=False) == 0


def test_who_is_forgotten_is_no_subscriber_any_more(domain: PortalDomain, cast: Cast) -> None:
    subscribe(domain, cast.bob.email)
    assert (1, "subscriptions on public pages") in erasure.touched(ExportKind.PERSON, cast.bob.id)
    erasure.erase(ExportKind.PERSON, cast.bob.id, NOW)
    assert db.session.scalars(select(Subscriber)).all() == []
