"""What people, and companies for their people, say they want to hear of."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select, update

from portal.accounts.models import Company, Membership, Person
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.actions.inserting import insert_new
from portal.notifications.actions.suppressions import subscribe_again
from portal.notifications.models import RAW, CompanyPreference, Preference
from portal.notifications.queries import left_lists
from portal.notifications.wishes import MAIL, wishes_of

LONGEST_TOPIC = 60


def choose_for_person(
    person: Person, wanted: Mapping[str, bool], *, by: Actor, now: datetime, is_recipient: bool = False
) -> int:
    """Write down what a person wants of these topics; their word then counts for more than their company's.

    With `is_recipient` it is they who say so, and a list that their address had left is joined again. Returns how many
    changed.
    """
    _refuse_strange(wanted)
    before = {topic: word for (_id, topic), word in wishes_of([person.id], [], wanted).own.items()}
    left = left_lists(person.email) if is_recipient else frozenset()
    for topic, word in wanted.items():
        if word and topic in left:
            subscribe_again(person.email, topic, person.id, now=now)
    changed = {topic: word for topic, word in wanted.items() if before.get(topic) is not word}
    for topic, word in changed.items():
        key = {"person_id": person.id, "topic": topic, "channel": MAIL}
        if not insert_new(Preference, **key, wanted=word, changed_at=now):
            db.session.execute(
                update(Preference).filter_by(**key).values(wanted=word, changed_at=now), execution_options=RAW
            )
    _audit("person", person.id, {topic: before.get(topic) for topic in changed}, changed, by=by, now=now)
    return len(changed)


def follow_company(person: Person, *, by: Actor, now: datetime) -> int:
    """Take back everything a person has said about mails, so that what their company says counts. Returns how much."""
    before = {topic: word for (_id, topic), word in wishes_of([person.id], []).own.items()}
    db.session.execute(
        delete(Preference).where(Preference.person_id == person.id, Preference.channel == MAIL), execution_options=RAW
    )
    _audit("person", person.id, before, dict.fromkeys(before), by=by, now=now)
    return len(before)


def choose_for_company(company: Company, wanted: Mapping[str, bool], *, by: Actor, now: datetime) -> int:
    """Write down what a company wants for those of its people who say nothing themselves. Returns how many changed.

    What is wanted needs no row: that is what holds while nobody says anything.
    """
    _refuse_strange(wanted)
    before = {topic: word for (_id, topic), word in wishes_of([], [company.id], wanted).companies.items()}
    changed = {topic: word for topic, word in wanted.items() if before.get(topic, True) is not word}
    mine = CompanyPreference.company_id == company.id, CompanyPreference.channel == MAIL
    db.session.execute(
        delete(CompanyPreference).where(*mine, CompanyPreference.topic.in_(changed)), execution_options=RAW
    )
    for topic in sorted(topic for topic, word in changed.items() if not word):
        insert_new(CompanyPreference, company_id=company.id, topic=topic, channel=MAIL, wanted=False, changed_at=now)
    _audit("company", company.id, {topic: before.get(topic, True) for topic in changed}, changed, by=by, now=now)
    return len(changed)


def set_contact(person: Person, company: Company, is_contact: bool, *, by: Actor, now: datetime) -> None:
    """Let a person decide for the whole company what it is mailed about, or no longer. RuleViolation for a stranger."""
    membership = db.session.scalars(
        select(Membership).where(Membership.person_id == person.id, Membership.company_id == company.id)
    ).one_or_none()
    if membership is None:
        raise RuleViolation(f"{person.name} does not act for {company.name}.")
    if membership.is_contact is is_contact:
        return
    membership.is_contact = is_contact
    audit.record(
        "membership.contact",
        object_kind="company",
        object_id=company.id,
        company_id=company.id,
        by=by,
        now=now,
        before={"person": person.email, "is_contact": not is_contact},
        after={"person": person.email, "is_contact": is_contact},
    )
    db.session.flush()


def _refuse_strange(wanted: Mapping[str, bool]) -> None:
    if any(not topic or len(topic) > LONGEST_TOPIC for topic in wanted):
        raise RuleViolation("One of these is nothing mails are about. Open the page again.")


def _audit(
    kind: str,
    row_id: int,
    before: Mapping[str, bool | None],
    after: Mapping[str, bool | None],
    *,
    by: Actor,
    now: datetime,
) -> None:
    if after:
        audit.record(
            "preference.change",
            object_kind=kind,
            object_id=row_id,
            company_id=row_id if kind == "company" else None,
            by=by,
            now=now,
            before=dict(before),
            after=dict(after),
        )
