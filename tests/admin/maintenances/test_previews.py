"""What the forms of maintenance say before anything is sent: subscribers beside people, and who is not reached."""

from typing import Any

import pytest

from portal.audit.rules import SYSTEM
from portal.catalogue.rules import component_topic
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.rules import Audience, Visibility
from portal.notifications import actions as notifications
from portal.notifications.models import Delivery
from portal.notifications.rules import EVERY_TOPIC
from portal.notifications.subscribers import actions as subscribers
from tests.admin.maintenances.conftest import LIST, fields, last, one, planned, post, soup
from tests.admin.maintenances.test_planning import NEW, filled
from tests.conftest import NOW, Cast, SignIn, counted_queries
from tests.incidents.conftest import World


@pytest.fixture
def subscribed(world: World, cast: Cast) -> None:
    """Four without a login: to all maintenance, to that of the trunk, to that of the spare, and to incidents alone."""
    cast.domain_a.areas = [*cast.domain_a.areas, Area.PUBLIC_STATUS]
    wanted = {
        "all": ["maintenance"],
        "trunk": ["maintenance", component_topic(world.trunk.id)],
        "spare": ["maintenance", component_topic(world.spare.id)],
        "other": ["incidents"],
    }
    for name, topics in wanted.items():
        subscribers.add(
            cast.domain_a.id,
            f"{name}@reader.test",
            topics,
            language="en",
            is_shared=False,
            consent="By phone",
            by=SYSTEM,
            now=NOW,
        )
    db.session.commit()


@pytest.mark.usefixtures("subscribed")
def test_subscribers_are_counted_by_what_they_chose_as_they_will_be_told(
    world: World, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    form = filled(client, world)

    def said(**changes: str) -> str:
        return " ".join(soup(post(client, f"{LIST}/preview", form | changes)).get_text().split())

    with counted_queries() as queries:
        text = said()
    assert len(queries) <= 52
    assert "2 subscribers without a login are told too." in text
    assert "Then to 2 subscribers without a login." in text
    for silent in ({"audience": "affected"}, {"visibility": "private"}, {"notify": ""}):
        assert "subscriber" not in said(**silent), silent
    assert post(client, NEW, form).status_code == 303
    told = db.session.query(Delivery.address).filter(Delivery.subscriber_id.is_not(None))
    assert {address for (address,) in told} == {"all@reader.test", "trunk@reader.test"}
    for step in ("move", "begin", "cancel", "note"):
        page = soup(client.get(f"{LIST}/{last().id}?do={step}"))
        assert "2 subscribers without a login are told too." in one(page, "#preview").get_text(), step


def test_who_is_not_reached_is_told_apart_from_who_chose_not_to_hear(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    notifications.unsubscribe(cast.alice.email, "maintenance", cast.alice.id, now=NOW)
    stopped: Any = {"detail": "Left", "until": None, "by_person_id": None, "by": SYSTEM, "now": NOW}
    notifications.suppress_by_hand(cast.bob.email, EVERY_TOPIC, **stopped)
    db.session.commit()
    work = planned("Switch", [world.trunk.id], notify=True)
    for answer in (
        post(client, f"{LIST}/preview", filled(client, world)),
        post(client, f"{LIST}/{work.id}/preview?do=move", fields(client, f"{LIST}/{work.id}?do=move", "step-form")),
    ):
        beside = " ".join(one(soup(answer), "#preview-unreachable").get_text().split())
        assert "1 person cannot be reached by mail, 1 person chose not to hear of it" in beside
        assert f"{cast.alice.name} {cast.a.name}, unsubscribed" in beside
        assert f"{cast.bob.name} {cast.a.name}, stopped by staff" in beside


def test_it_says_how_many_read_each_language(world: World, cast: Cast, sign_in: SignIn) -> None:
    cast.alice.language = cast.charlie.language = "de"
    client = sign_in(cast.ada)

    def counted(path: str) -> str:
        return " ".join(one(soup(client.get(path)), ".in-language summary").get_text(" ").split())

    # Nothing is named, so everybody who acts for a company is counted, and then those of Alder alone.
    assert counted(NEW) == "Deutsch 2 of 3 read it"
    work = planned("Switch", [world.trunk.id], audience=Audience.AFFECTED)
    for path in (f"{LIST}/{work.id}/edit", f"{LIST}/{work.id}?do=note"):
        assert counted(path) == "Deutsch 1 of 2 read it", path
    hidden = planned("Vault", [world.trunk.id], visibility=Visibility.PRIVATE)
    assert counted(f"{LIST}/{hidden.id}/edit") == "Deutsch"
