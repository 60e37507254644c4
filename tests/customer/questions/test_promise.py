"""“We'll send you an update” is said to those who will be sent one, and to nobody else."""

import pytest

from portal import clock, events
from portal.accounts.models import Person
from portal.extensions import db
from portal.notifications.models import Preference
from portal.notifications.wishes import MAIL
from portal.services.queries.hearing import TOPIC, status_topic
from portal.services.rules import ServiceStatus, Wanted
from tests.conftest import Cast, SignIn
from tests.customer.questions.test_ask import asked, is_on  # noqa: F401 (a fixture is found by name)
from tests.incidents.conftest import World
from tests.services.acts import state

PROMISE = "We’ll send you an update."


@pytest.fixture(autouse=True)
def is_down(cast: Cast, world: World, is_on: None) -> None:  # noqa: F811
    wanted = Wanted(ServiceStatus.DOWN, "We are on it.", notify=True)
    state(cast, [world.holding_a.id], wanted, "mailed", clock.utcnow())
    events.commit()


def unwanted(person: Person, topic: str) -> None:
    db.session.add(Preference(person_id=person.id, topic=topic, channel=MAIL, wanted=False, changed_at=clock.utcnow()))
    events.commit()


def test_who_was_mailed_and_wants_to_know_is_promised_the_next(cast: Cast, sign_in: SignIn) -> None:
    assert f"We are on it. {PROMISE}" in asked(sign_in(cast.alice), "is hosted telephony down?")


def test_who_does_not_want_these_mails_is_promised_nothing(cast: Cast, sign_in: SignIn) -> None:
    unwanted(cast.alice, TOPIC)
    assert PROMISE not in asked(sign_in(cast.alice), "is hosted telephony down?")
    assert PROMISE in asked(sign_in(cast.bob), "is hosted telephony down?")


def test_who_wants_no_news_of_the_end_is_promised_none(cast: Cast, sign_in: SignIn) -> None:
    unwanted(cast.bob, status_topic(ServiceStatus.NORMAL))
    assert PROMISE not in asked(sign_in(cast.bob), "is hosted telephony down?")


def test_of_a_service_whose_end_is_not_mailed_nothing_is_promised(cast: Cast, world: World, sign_in: SignIn) -> None:
    world.telephony.notifies = [ServiceStatus.DOWN.value]
    events.commit()
    assert PROMISE not in asked(sign_in(cast.alice), "is hosted telephony down?")
