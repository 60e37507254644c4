"""Following or muting one incident: who is mailed, once, whatever else they have muted."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.accounts.rules import Viewpoint
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.rules import service_topic
from portal.extensions import db
from portal.incidents import actions, queries
from portal.incidents.mails import following as mails
from portal.incidents.models import Incident, IncidentAcknowledgement, IncidentFollower, IncidentSighting
from portal.incidents.queries.following import followers_of, standing_of_person, unseen
from portal.incidents.rules import Audience, Severity, State
from portal.notifications import actions as notifications
from portal.notifications.kinds import register
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import DeliveryState
from tests.conftest import NOW, Cast
from tests.incidents.conftest import World
from tests.incidents.test_actions import ADA, publish, update

LATER = NOW + timedelta(minutes=20)
MAJOR = Severity.MAJOR_OUTAGE


@pytest.fixture(autouse=True)
def kinds() -> None:
    register(mails.FOLLOWED)


def follow(incident: Incident, person: Any, company: Any, wants: bool | None) -> None:
    actions.follow(incident, person.id, company.id, wants, by=SYSTEM, now=NOW)


def told_of(update_id: int) -> dict[str, list[tuple[str, DeliveryState]]]:
    """Who is told of an update, by which broadcast."""
    found = {}
    keys = {"all": queries.notify_key(update_id), "followers": queries.followers_key(queries.notify_key(update_id))}
    for name, key in keys.items():
        rows = db.session.execute(
            select(Delivery.address, Delivery.state)
            .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
            .where(Broadcast.idempotency_key == key)
            .order_by(Delivery.address)
        )
        found[name] = [(address, state) for address, state in rows]
    return found


def waiting(told: list[tuple[str, DeliveryState]]) -> set[str]:
    return {address for address, state in told if state is DeliveryState.PENDING}


def test_who_follows_is_mailed_once_and_apart(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    follow(incident, cast.alice, cast.a, True)
    told = told_of(update(incident, State.WATCHING).id)
    assert waiting(told["followers"]) == {cast.alice.email}
    assert cast.alice.email not in dict(told["all"])
    assert waiting(told["all"])


def test_what_they_have_muted_of_all_others_does_not_count(world: World, cast: Cast) -> None:
    topics = {"incidents": False, service_topic(world.telephony.id): False}
    notifications.choose_for_person(cast.alice, topics, by=SYSTEM, now=NOW)
    incident = publish({world.trunk.id: MAJOR})
    first = db.session.scalars(select(Broadcast).order_by(Broadcast.id)).first()
    assert first is not None
    follow(incident, cast.alice, cast.a, True)
    told = told_of(update(incident, State.WATCHING).id)
    assert waiting(told["followers"]) == {cast.alice.email}


def test_who_mutes_one_incident_hears_of_the_next(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    follow(incident, cast.alice, cast.a, False)
    told = told_of(update(incident, State.WATCHING).id)
    assert cast.alice.email not in waiting(told["all"])
    assert dict(told["all"])[cast.alice.email] is DeliveryState.SUPPRESSED
    assert told["followers"] == []
    other = publish({world.trunk.id: MAJOR}, idempotency_key="other")
    assert cast.alice.email in waiting(told_of(update(other, State.WATCHING).id)["all"])


def test_somebody_elsewhere_hears_of_what_they_follow_even_if_only_the_affected_are_mailed(
    world: World, cast: Cast
) -> None:
    incident = publish({world.trunk.id: MAJOR})
    follow(incident, cast.charlie, cast.b, True)
    told = told_of(update(incident, State.WATCHING, mail_affected_only=True).id)
    assert waiting(told["followers"]) == {cast.charlie.email}
    assert cast.charlie.email not in dict(told["all"])


def test_following_shows_nobody_what_they_may_not_see(world: World, cast: Cast) -> None:
    """Who is no longer affected hears no more of an incident for the affected, whatever they have asked for."""
    incident = publish({world.trunk.id: MAJOR}, audience=Audience.AFFECTED)
    follow(incident, cast.charlie, cast.b, True)
    told = told_of(update(incident, State.WATCHING).id)
    assert told["followers"] == []
    assert cast.charlie.email not in dict(told["all"])


def test_the_postmortem_reaches_followers_too_and_then_it_is_over(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    follow(incident, cast.alice, cast.a, True)
    update(incident, State.FIXED)
    assert not standing_of_person(incident, cast.alice.id, cast.a.id).is_over
    written = actions.write_postmortem(incident, "A fuse blew.", version=0, by=ADA, author_id=None, now=LATER)
    actions.publish_postmortem(incident, written, notify=True, version=written.version, by=ADA, now=LATER)
    kinds_told = list(
        db.session.scalars(
            select(Broadcast.kind).where(Broadcast.idempotency_key.startswith("postmortem:")).order_by(Broadcast.id)
        )
    )
    assert kinds_told == ["incident", "incident_followed"]
    assert standing_of_person(incident, cast.alice.id, cast.a.id).is_over


def test_the_same_wish_again_changes_nothing(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    for wants in (True, True, False, None, None):
        follow(incident, cast.alice, cast.a, wants)
    assert followers_of(incident.id) == []
    assert db.session.scalar(select(func.count()).select_from(IncidentFollower)) == 0
    noted = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "incident.follow")
    assert db.session.scalar(noted) == 3


def test_a_company_acknowledges_once_and_people_are_seen_once(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: MAJOR})
    for now in (NOW, LATER):
        actions.acknowledge(incident, cast.a.id, cast.alice.id, by=SYSTEM, now=now)
        actions.note_seen([incident.id], cast.alice.id, cast.a.id, now)
    assert db.session.scalars(select(IncidentAcknowledgement.acknowledged_at)).all() == [NOW]
    assert db.session.scalars(select(IncidentSighting.seen_at)).all() == [NOW]
    viewpoint = Viewpoint(company_id=cast.a.id)
    assert unseen(viewpoint, [incident.public_id], cast.alice.id, NOW) == []
    assert unseen(viewpoint, [incident.public_id], cast.bob.id, NOW) == [incident.id]
    assert unseen(viewpoint, ["x"], cast.bob.id, NOW) == []
