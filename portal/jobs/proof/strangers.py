"""Another company, and somebody of the staff, planted on the ground of a leak proof: what is theirs bears unlikely
words wherever a customer could meet it.

The other company holds every service there is, and one that depends on a component of its own: so there is something
that concerns it alone.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import Role
from portal.catalogue.models import Component, Holding, Service, ServiceDependency
from portal.catalogue.notices.models import Notice
from portal.domains.announcements.models import Announcement
from portal.domains.models import Admission
from portal.incidents.models import AvailabilitySettings, CompanyContract
from portal.jobs.proof.ground import ROWS_AT_MOST, Ground, Row, blank
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.models import ContactChannel
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberSource, SubscriberState
from portal.searching import key_of

HELD_SINCE = timedelta(days=3650)
"""For how long the other company has held everything: longer than anything that is shown."""

STANDS = "leakproofstands"
"""The public id of the announcement that everybody reads."""

PLAIN = "Leak proof"
"""What the things are called that customers may read of."""


@dataclass(frozen=True)
class Strangers:
    """By their ids: the company that looks and its home portal, the other company and one of its people, somebody of
    the staff, a portal domain that is not there, a component that reaches the company that looks, and one that reaches
    the other company alone. `reached_id` is None where the company that looks holds nothing."""

    own_id: int
    domain_id: int
    company_id: int
    person_id: int
    staff_id: int
    other_domain_id: int
    reached_id: int | None
    component_id: int


def last_id(found: Ground, model: Any) -> int:
    """The highest id there is of a model, 0 where there is none."""
    return found.connection.scalar(select(func.max(model.id))) or 0


def keep(found: Ground, model: Any, made: Row | list[Row], *conditions: Any) -> None:
    """Copy the newest rows of a model that meet the conditions, with these beside them."""
    rows = found.rows(
        select(model.__table__).where(*conditions).order_by(model.__table__.c.id.desc()).limit(ROWS_AT_MOST)
    )
    found.copy(model, [*rows, *(made if isinstance(made, list) else [made])])


def plant_strangers(found: Ground, company_id: int, person_id: int, now: datetime) -> Strangers:
    """Copy who is there, with the strangers beside them; to be called when memberships have been copied."""
    theirs = select(Membership.company_id)
    home = select(Admission.domain_id).where(Admission.company_id == company_id, Admission.is_home)
    first = select(Holding.service_id).where(
        Holding.company_id == company_id, Holding.valid_from <= now, Holding.valid_to.is_(None)
    )
    held_id = found.connection.scalar(first.order_by(Holding.id).limit(1))
    component_id = last_id(found, Component) + 1
    strangers = Strangers(
        own_id=company_id,
        domain_id=found.connection.scalar(home) or 0,
        company_id=last_id(found, Company) + 1,
        person_id=last_id(found, Person) + 1,
        staff_id=last_id(found, Person) + 2,
        other_domain_id=(found.connection.scalar(select(func.max(Admission.domain_id))) or 0) + 1_000,
        reached_id=component_id + 1 if held_id else None,
        component_id=component_id,
    )
    _plant_people(found, strangers, theirs, now)
    _plant_catalogue(found, strangers, theirs, held_id, now)
    _plant_promises(found, strangers)
    _plant_listeners(found, strangers, now)
    _plant_words_to_come(found, strangers, now)
    return strangers


def _person(found: Ground, person_id: int, told: str, role: Role | None, now: datetime) -> Row:
    name, address = found.words.name(f"the name of {told}"), found.words.name(f"the address of {told}")
    email = f"{address}@leak.example".lower()
    return {
        **blank(Person),
        "id": person_id,
        "name": name,
        "name_key": key_of(name),
        "email": email,
        "email_key": email,
        "role": role,
        "created_at": now - HELD_SINCE,
    }


def _plant_people(found: Ground, strangers: Strangers, theirs: Any, now: datetime) -> None:
    name = found.words.name("the name of another company")
    company = {
        **blank(Company),
        "id": strangers.company_id,
        "name": name,
        "name_key": name.casefold(),
        "external_id": found.words.name("the number of another company"),
        "created_at": now - HELD_SINCE,
    }
    keep(found, Company, company, Company.id.in_(theirs))
    people = [
        _person(found, strangers.person_id, "somebody of another company", None, now),
        _person(found, strangers.staff_id, "somebody of the staff", Role.STATUS, now),
    ]
    keep(found, Person, people, Person.id.in_(select(Membership.person_id)) | Person.role.is_not(None))
    membership = {
        **blank(Membership),
        "id": last_id(found, Membership) + 1,
        "person_id": strangers.person_id,
        "company_id": strangers.company_id,
        "is_contact": True,
        "created_at": now - HELD_SINCE,
    }
    found.connection.execute(Membership.__table__.insert(), [membership])  # type: ignore[attr-defined]


def _plant_catalogue(found: Ground, strangers: Strangers, theirs: Any, held_id: int | None, now: datetime) -> None:
    since = now - HELD_SINCE
    begun: Row = {"created_at": since, "updated_at": since, "title": PLAIN, "title_key": key_of(PLAIN)}
    components = [
        {**blank(Component), **begun, "id": each, "public_id": f"leakproof{each}"}
        for each in (strangers.component_id, strangers.reached_id)
        if each is not None
    ]
    service_id = last_id(found, Service) + 1
    service = {**blank(Service), "id": service_id, "name": PLAIN, "name_key": key_of(PLAIN), "created_at": since}
    first = last_id(found, ServiceDependency) + 1
    pairs = [(service_id, strangers.component_id)]
    if held_id is not None and strangers.reached_id is not None:
        pairs.append((held_id, strangers.reached_id))
    dependencies = [
        {
            **blank(ServiceDependency),
            "id": first + number,
            "service_id": depends,
            "component_id": component_id,
            "valid_from": since,
        }
        for number, (depends, component_id) in enumerate(pairs)
    ]
    keep(found, Component, components)
    keep(found, Service, service)
    keep(found, ServiceDependency, dependencies)
    first = last_id(found, Holding) + 1
    reference = found.words.name("the reference of another company")
    holdings = [
        {
            **blank(Holding),
            "id": first + number,
            "company_id": strangers.company_id,
            "service_id": each,
            "reference": reference,
            "reference_key": key_of(reference),
            "valid_from": since,
        }
        for number, each in enumerate(found.connection.scalars(select(Service.id).limit(ROWS_AT_MOST)).all())
    ]
    keep(found, Holding, holdings, Holding.company_id.in_(theirs))


def _plant_promises(found: Ground, strangers: Strangers) -> None:
    """What was promised to the other company: a figure that no availability ever comes to."""
    target = found.words.figure("what was promised to another company")
    contract = {
        **blank(CompanyContract),
        "id": last_id(found, CompanyContract) + 1,
        "company_id": strangers.company_id,
        "from_month": "2000-01",
        "counts_maintenance": True,
        "target": target,
    }
    keep(found, CompanyContract, contract, CompanyContract.company_id == strangers.own_id)
    keep(found, AvailabilitySettings, [])


def _plant_listeners(found: Ground, strangers: Strangers, now: datetime) -> None:
    """Who else is told: a subscriber of this portal, and machines of another company and of the staff."""
    address = f"{found.words.name('the address of a subscriber')}@leak.example".lower()
    subscriber = {
        **blank(Subscriber),
        "id": last_id(found, Subscriber) + 1,
        "domain_id": strangers.domain_id,
        "kind": SubscriberKind.EMAIL,
        "key": f"leakproof{strangers.company_id}",
        "address": address,
        "address_key": address,
        "state": SubscriberState.QUARANTINED,
        "source": SubscriberSource.STAFF,
        "consent": found.words.name("how staff came to a subscriber"),
        "reason": found.words.name("why a subscriber is in quarantine"),
        "created_at": now,
        "asked_at": now,
    }
    found.copy(Subscriber, [subscriber])
    first = last_id(found, ContactChannel) + 1
    channels = [
        {
            **blank(ContactChannel),
            "id": first + number,
            "company_id": company_id,
            "kind": ChannelKind.WEBHOOK,
            "label": found.words.name(f"the name of a webhook of {whose}"),
            "hint": found.words.name(f"the address of a webhook of {whose}"),
            "address": "",
            "fingerprint": f"leakproof{number}",
        }
        for number, (company_id, whose) in enumerate(((strangers.company_id, "another company"), (None, "the staff")))
    ]
    members = ContactChannel.person_id.in_(select(Membership.person_id))
    keep(found, ContactChannel, channels, (ContactChannel.company_id == strangers.own_id) | members)


def _plant_words_to_come(found: Ground, strangers: Strangers, now: datetime) -> None:
    """Of this portal an announcement that stands and one that is still ahead, one of another portal, and a notice that
    nobody has sent."""
    first, day = last_id(found, Announcement) + 1, timedelta(days=1)
    told = (
        ("an announcement that is still ahead", strangers.domain_id, now + day),
        ("an announcement of another portal", strangers.other_domain_id, now - day),
    )
    made = []
    for number, (what, domain_id, starts_at) in enumerate(told):
        text = found.words.name(what)
        announcement = {
            **blank(Announcement),
            "id": first + number,
            "public_id": f"leakproof{number}",
            "domain_id": domain_id,
            "title": text,
            "wordings": {"en": {"title": text, "body": text}},
            "starts_at": starts_at,
            "is_pinned": True,
            "created_at": now,
            "updated_at": now,
        }
        made.append(announcement)
    stands = {
        **made[0],
        "id": first + len(made),
        "public_id": STANDS,
        "title": PLAIN,
        "wordings": {"en": {"title": PLAIN, "body": PLAIN}},
        "starts_at": now - day,
        "tells_subscribers": True,
    }
    keep(found, Announcement, [*made, stands], Announcement.domain_id == strangers.domain_id)
    text = found.words.name("a notice that nobody has sent")
    notice = {
        **blank(Notice),
        "id": 1,
        "title": text,
        "title_key": key_of(text),
        "wordings": {"en": {"subject": text, "body": text}},
        "chosen": {},
        "created_at": now,
        "updated_at": now,
    }
    found.copy(Notice, [notice])
