"""The reach ledger: which company was told what, and which nobody could be reached at."""

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import select, update

from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.catalogue.rules import Unreached
from portal.domains.models import Admission, PortalDomain
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.models import Incident
from portal.incidents.queries import ledger
from portal.incidents.rules import Audience, Severity
from portal.incidents.rules.ledger import Reached, Told, reached
from portal.notifications import actions as notifications
from portal.notifications.bounces.models import BounceReport
from portal.notifications.bounces.rules import CameBy, Outcome
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import DeliveryState, SuppressionReason
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import LONG_AGO, World
from tests.incidents.test_actions import publish

LATER = NOW + timedelta(minutes=20)


def company(name: str, world: World, people: int = 1) -> Company:
    """Another company that holds telephony, at home on the first portal."""
    made = Company(name=name, name_key=name.lower(), created_at=LONG_AGO)
    db.session.add(made)
    db.session.flush()
    home = db.session.scalars(select(PortalDomain.id).order_by(PortalDomain.id)).first()
    db.session.add(Admission(company_id=made.id, domain_id=home, is_home=True))
    db.session.add(Holding(company_id=made.id, service_id=world.telephony.id, reference="", valid_from=LONG_AGO))
    for number in range(people):
        person = accounts.add_person(f"{name} {number}", f"{number}@{name.lower()}.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, made, by=SYSTEM, now=NOW)
    db.session.flush()
    return made


def became(state: DeliveryState, *addresses: str) -> None:
    ends = state not in (DeliveryState.PENDING, DeliveryState.SENDING)
    db.session.execute(
        update(Delivery)
        .where(Delivery.address.in_(addresses) if addresses else Delivery.id > 0)
        .values(state=state, finished_at=LATER if ends else None)
    )


def came_back(address: str) -> None:
    delivery = db.session.scalars(select(Delivery).where(Delivery.address == address)).first()
    assert delivery is not None
    db.session.add(
        BounceReport(
            digest=address,
            came_by=CameBy.MAILBOX,
            outcome=Outcome.BOUNCED,
            delivery_id=delivery.id,
            address_key=delivery.address_key,
            words="550 no such user",
            received_at=LATER,
        )
    )
    db.session.flush()


def standing(incident: Incident) -> dict[str, Reached]:
    page = ledger.ledger_page(incident, None, 1, LATER)
    assert page is not None
    return {each.name: each.reached for each in page.items}


@pytest.fixture
def incident(world: World) -> Incident:
    return publish({world.trunk.id: Severity.MAJOR_OUTAGE}, audience=Audience.AFFECTED)


def test_the_statement_says_what_the_rule_says(world: World, cast: Cast) -> None:
    for sent, waiting, missed, seen, says in product((0, 1), (0, 1), (0, 1), (0, 1), (False, True)):
        told = Told(sent, waiting, missed, seen, says, is_affected=True)
        name = f"C{sent}{waiting}{missed}{seen}{int(says)}"
        company(name, world, people=3)
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, audience=Audience.AFFECTED)
    became(DeliveryState.SUPPRESSED)
    expected = {}
    for sent, waiting, missed, seen, says in product((0, 1), (0, 1), (0, 1), (0, 1), (False, True)):
        name = f"C{sent}{waiting}{missed}{seen}{int(says)}"
        told = Told(sent, waiting, missed, seen, says, is_affected=True)
        expected[name] = reached(told)
        states = (DeliveryState.SENT, DeliveryState.PENDING, DeliveryState.FAILED)
        for number, (state, wanted) in enumerate(zip(states, (sent, waiting, missed), strict=True)):
            if wanted:
                became(state, f"{number}@{name.lower()}.test")
        person = db.session.scalars(select(Person).where(Person.email == f"0@{name.lower()}.test")).one()
        company_id = db.session.scalars(select(Company.id).where(Company.name == name)).one()
        if says:
            actions.acknowledge(incident, company_id, person.id, by=SYSTEM, now=LATER)
        elif seen:
            actions.note_seen([incident.id], person.id, company_id, LATER)
    found = standing(incident)
    assert {name: found[name] for name in expected} == expected
    ranks = [each.rank for each in found.values()]
    assert ranks == sorted(ranks)


def test_companies_nobody_is_reached_at_come_first(world: World, cast: Cast, incident: Incident) -> None:
    company("Zebra", world, people=0)
    became(DeliveryState.SENT)
    assert standing(incident) == {"Zebra": Reached.NOBODY, cast.a.name: Reached.TOLD}
    page = ledger.ledger_page(incident, Reached.NOBODY, 1, LATER)
    assert page is not None
    assert [each.name for each in page.items] == ["Zebra"]
    assert ledger.ledger_page(incident, Reached.NOBODY, 2, LATER) is None
    assert ledger.summary_of(incident, LATER).companies == {Reached.NOBODY: 1, Reached.TOLD: 1}


def test_a_mail_that_came_back_has_reached_nobody(world: World, cast: Cast, incident: Incident) -> None:
    became(DeliveryState.SENT)
    people = db.session.scalars(select(Delivery.address)).all()
    for each in people:
        came_back(each)
    line = ledger.company_line(incident, cast.a.id, LATER)
    assert line is not None
    assert (line.reached, line.sent, line.bounced, line.last_sent_at) == (Reached.NOBODY, 0, len(people), None)
    page = ledger.messages_to(incident, cast.a.id, 1)
    assert page is not None
    assert {each.came_back for each in page.items} == {"550 no such user"}


def test_somebody_counts_once_however_many_updates_there_were(world: World, cast: Cast, incident: Incident) -> None:
    actions.post_update(incident, None, "More.", {}, version=incident.version, by=SYSTEM, author_id=None, now=LATER)
    became(DeliveryState.SENT)
    line = ledger.company_line(incident, cast.a.id, LATER)
    assert line is not None
    mails = db.session.scalars(select(Delivery.id)).all()
    assert len(mails) == 2 * line.people
    assert (line.sent, line.last_sent_at) == (line.people, LATER)
    page = ledger.messages_to(incident, cast.a.id, 1)
    assert page is not None
    assert page.total == len(mails)
    assert len({each.update_id for each in page.items}) == 2


def test_a_person_of_two_companies_counts_for_both(world: World, cast: Cast) -> None:
    other = company("Zebra", world, people=0)
    accounts.add_membership(cast.alice, other, by=SYSTEM, now=NOW)
    db.session.flush()
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, audience=Audience.AFFECTED)
    became(DeliveryState.SENT)
    assert standing(incident) == {cast.a.name: Reached.TOLD, "Zebra": Reached.TOLD}


def test_where_nobody_was_told_all_who_are_affected_are_to_be_called(world: World, cast: Cast) -> None:
    incident = publish({world.trunk.id: Severity.MAJOR_OUTAGE}, notify=False)
    assert standing(incident) == {cast.a.name: Reached.NOBODY}
    assert ledger.summary_of(incident, LATER).broadcasts == 0
    spare = publish({world.spare.id: Severity.MAJOR_OUTAGE}, notify=False, idempotency_key="spare")
    assert set(standing(spare)) == {cast.a.name, cast.b.name}


def test_a_call_list_says_why_no_mail_arrives(world: World, cast: Cast, incident: Incident) -> None:
    zebra = company("Zebra", world, people=3)
    notifications.suppress("0@zebra.test", "all", SuppressionReason.HARD_BOUNCE, now=NOW)
    gone = db.session.scalars(select(Person).where(Person.email == "1@zebra.test")).one()
    gone.deactivated_at = NOW
    db.session.flush()
    contacts = ledger.contacts_among([zebra.id, cast.a.id], LATER)
    assert [(each.email, each.why) for each in contacts[zebra.id]] == [
        ("0@zebra.test", Unreached.BOUNCED),
        ("1@zebra.test", Unreached.DEACTIVATED),
        ("2@zebra.test", None),
    ]
    assert ledger.telephones_among([zebra.id]) == {}


def test_the_ledger_takes_as_many_queries_for_many_as_for_few(world: World, cast: Cast) -> None:
    def asked(incident: Incident) -> list[int]:
        incident_id = incident.id
        db.session.commit()
        counts = []
        for read in (
            lambda each: ledger.ledger_page(each, None, 1, LATER),
            lambda each: ledger.summary_of(each, LATER),
            lambda each: ledger.messages_to(each, cast.a.id, 1),
            lambda each: list(ledger.every_line(each, None, LATER)),
            lambda each: ledger.contacts_among(list(db.session.scalars(select(Company.id))), LATER),
        ):
            db.session.expire_all()
            found = db.session.get(Incident, incident_id)
            with counted_queries() as statements:
                read(found)
            counts.append(len(statements))
        return counts

    few = asked(publish({world.trunk.id: Severity.MAJOR_OUTAGE}))
    for number in range(60):
        company(f"Many{number:02}", world, people=2)
    many = asked(publish({world.trunk.id: Severity.MAJOR_OUTAGE}, idempotency_key="many"))
    assert few == many
    assert max(many) <= 7
    assert db.session.scalar(select(Broadcast.id).limit(1)) is not None
