"""A notice costs as many queries for twenty recipients as for one, on either engine."""

from datetime import timedelta
from decimal import Decimal

from portal import events
from portal.accounts import actions as accounts
from portal.alerts import telling
from portal.alerts.recipients import unreachable
from portal.alerts.rules import Happening
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications.models import Delivery
from tests.alerts.telling import PHONE, World
from tests.alerts.test_mails import world  # noqa: F401 (a fixture)
from tests.conftest import counted_queries
from tests.notifications.conftest import environment, outbox  # noqa: F401 (fixtures)


def test_a_notice_costs_the_same_however_many_it_names(world: World) -> None:  # noqa: F811
    now = world.box.now() - timedelta(days=1)
    people = [accounts.add_person(f"P{number}", f"p{number}@c.test", by=SYSTEM, now=now) for number in range(15)]
    for each in people:
        accounts.add_membership(each, world.company, by=SYSTEM, now=now)
    few = world.alert(world.alice, "one@elsewhere.test", PHONE)
    many = world.alert(
        *people, *(f"a{number}@elsewhere.test" for number in range(4)), PHONE, world.alice, title="Many are named"
    )
    counts = []
    for made in (few, many):
        # Loaded before it is counted, as whoever evaluates has them.
        assert made[0].threshold == Decimal(30)
        assert made[1].triggered_at is not None
        with counted_queries() as queries:
            telling.tell(*made, Happening.TRIGGERED, world.reading(), now=world.box.now())
        counts.append(len(queries))
        events.commit()
    assert counts[0] == counts[1] <= 50
    assert db.session.query(Delivery).count() == 3 + 21
    named = world.named(many)
    assert many[0].company_id == world.company.id
    with counted_queries() as queries:
        unreachable(many[0], named, world.box.now())
    assert len(queries) <= 7
