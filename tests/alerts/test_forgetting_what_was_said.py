"""Of a company or a person that is forgotten nothing is left in what alerts said, and nobody hears of it any more."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import events
from portal.accounts import actions as accounts
from portal.alerts.models import AlertRecipient
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.extensions import db
from portal.notifications.models import Broadcast, ContactChannel, Delivery
from portal.notifications.rules import DeliveryState
from portal.records import erasure
from portal.records.rules.exports import ExportKind
from tests.alerts.telling import ALICE, NOC, PHONE, World, made_world
from tests.notifications.channels.conftest import environment, lane, receiver  # noqa: F401 (fixtures)
from tests.notifications.channels.lane import Lane
from tests.support.smtp_sink import SmtpSink

OTHER = "+491607654321"


@pytest.fixture
def world(lane: Lane, smtp_sink: SmtpSink) -> World:  # noqa: F811
    return made_world(lane.outbox, smtp_sink)


def forget(kind: ExportKind, subject_id: int, world: World) -> None:
    for eraser in erasure.erasers_of(kind):
        if eraser.name == "alerts":
            eraser.erase(subject_id, world.box.now())
    events.commit()


def test_with_a_company_go_the_words_of_its_notices_and_the_numbers_only_it_names(lane: Lane, world: World) -> None:  # noqa: F811
    birch = accounts.add_company("Birch Logistics", by=SYSTEM, now=world.box.now() - timedelta(days=1))
    domains.admit(birch, world.domain, is_home=True, by=SYSTEM, now=world.box.now())
    world.tell(world.alert(PHONE, OTHER, NOC))
    world.tell(world.alert(OTHER, title="Of Birch", company=birch))
    forget(ExportKind.COMPANY, world.company.id, world)
    first, second = world.broadcasts()
    assert (first.title, first.content) == ("An alert of a company that was forgotten", {})
    assert "Alder" not in str(first.selector)
    assert "Of Birch" in second.title
    hints = set(db.session.scalars(select(ContactChannel.hint)))
    assert hints == {"+49…321"}
    texted = db.session.scalars(select(Delivery).where(Delivery.channel == "sms", Delivery.broadcast_id == first.id))
    assert {each.address for each in texted} == {"forgotten", "+49…321"}


def test_with_a_person_goes_the_bare_address_too(world: World) -> None:
    made = world.alert(ALICE.upper(), world.alice, NOC)
    forget(ExportKind.PERSON, world.alice.id, world)
    assert [each.address for each in world.named(made)] == [NOC]
    assert db.session.scalars(select(AlertRecipient)).one().address == NOC
    assert db.session.scalars(select(Broadcast)).all() == []
    assert DeliveryState.PENDING not in set(db.session.scalars(select(Delivery.state)))
