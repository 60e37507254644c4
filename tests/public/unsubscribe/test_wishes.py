"""The page behind an unsubscribe link also offers what narrows a list, and only to whom the link was sent."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.accounts.models import Person
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.queries.hearing import ELSEWHERE, TOPIC
from portal.catalogue.rules import component_topic, service_topic
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.links import unsubscribe_path
from portal.notifications.models import Preference
from portal.notifications.rules import EVERY_TOPIC
from tests.conftest import NOW, Cast, token_in
from tests.incidents.conftest import World

Visitor = Callable[[str], FlaskClient]


def say_no(client: FlaskClient, link: str, *topics: str) -> int:
    data = {"shown": list(topics), "was": list(topics), "csrf_token": token_in(client, link)}
    return client.post(f"{link}/wishes", data=data).status_code


def words() -> list[tuple[int, str, bool]]:
    rows = db.session.execute(select(Preference.person_id, Preference.topic, Preference.wanted))
    return [(person_id, topic, wanted) for person_id, topic, wanted in rows]


@pytest.fixture
def link(cast: Cast, world: World) -> str:
    return unsubscribe_path(cast.alice.email, TOPIC, cast.alice.id)


def test_single_services_are_left_out_without_signing_in(visitor: Visitor, cast: Cast, world: World, link: str) -> None:
    client, alice, service = visitor("a.portal.test"), cast.alice.id, service_topic(world.telephony.id)
    text = client.get(link).get_data(as_text=True)
    for key in (ELSEWHERE, service, component_topic(world.trunk.id)):
        assert f'value="{key}"' in text
    assert "Internet access" not in text
    assert words() == []
    assert say_no(client, link, service) == 303
    assert words() == [(alice, service, False)]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "preference.change")).one()
    assert entry.actor == "alice@people.test"


def test_a33_looking_changes_nothing(visitor: Visitor, cast: Cast, world: World, link: str) -> None:
    client = visitor("a.portal.test")
    assert client.get(f"{link}/wishes").status_code == 405
    for method in ("GET", "HEAD"):
        client.open(f"{link}?shown={TOPIC}&was={TOPIC}", method=method)
    assert words() == []


def test_a20_the_form_token_is_needed(visitor: Visitor, cast: Cast, world: World, link: str) -> None:
    service = service_topic(world.telephony.id)
    answer = visitor("a.portal.test").post(f"{link}/wishes", data={"shown": [service], "was": [service]})
    assert answer.status_code == 400
    assert words() == []


def test_t01_a_link_changes_nobody_elses_wishes_and_no_foreign_topic(
    visitor: Visitor, cast: Cast, world: World, link: str
) -> None:
    """Neither with a foreign service in the form, nor with the list itself, which has a button of its own."""
    client = visitor("a.portal.test")
    assert say_no(client, link, service_topic(world.internet.id), component_topic(world.fibre.id), TOPIC) == 303
    assert words() == []


def test_a35_a_link_to_an_address_that_was_left_shows_and_changes_nothing_of_the_person(
    visitor: Visitor, cast: Cast, world: World, link: str
) -> None:
    """Whoever has the old mailbox by now must not read what the company uses, nor mute it."""
    alice = db.session.get_one(Person, cast.alice.id)
    alice.email = alice.email_key = "new@people.test"
    db.session.commit()
    client = visitor("a.portal.test")
    assert "Hosted telephony" not in client.get(link).get_data(as_text=True)
    assert say_no(client, link, service_topic(world.telephony.id)) == 404
    assert words() == []


@pytest.mark.parametrize("whose", ["charlie", "nobody", "stranger"])
def test_t01_a_link_made_out_to_another_address_opens_nothing_of_the_person(
    visitor: Visitor, cast: Cast, world: World, whose: str
) -> None:
    person_id = {"charlie": cast.charlie.id, "nobody": None, "stranger": 999_999_999}[whose]
    link = unsubscribe_path(cast.alice.email, TOPIC, person_id)
    client = visitor("a.portal.test")
    assert 'name="shown"' not in client.get(link).get_data(as_text=True)
    assert say_no(client, link, service_topic(world.internet.id)) == 404
    assert words() == []


def test_t22_somebody_deactivated_leaves_lists_and_sees_no_more(
    visitor: Visitor, cast: Cast, world: World, link: str
) -> None:
    db.session.get_one(Person, cast.alice.id).deactivated_at = NOW
    db.session.commit()
    client = visitor("a.portal.test")
    assert "Hosted telephony" not in client.get(link).get_data(as_text=True)
    assert say_no(client, link, service_topic(world.telephony.id)) == 404


def test_with_every_mail_stopped_there_is_nothing_to_narrow(
    visitor: Visitor, cast: Cast, world: World, link: str
) -> None:
    actions.unsubscribe(cast.alice.email, EVERY_TOPIC, cast.alice.id, now=NOW)
    actions.choose_for_person(cast.alice, {ELSEWHERE: False}, by=SYSTEM, now=NOW)
    db.session.commit()
    assert 'name="shown"' not in visitor("a.portal.test").get(link).get_data(as_text=True)
