"""Inviting people, one or many, as a plan of `rules/invitations.py` says it."""

from collections.abc import Sequence
from datetime import datetime

from portal.accounts.actions.links import invite, revoke_links, write_to
from portal.accounts.actions.people import add_membership, add_person
from portal.accounts.models import Company, Person
from portal.accounts.queries import person_by_id
from portal.accounts.queries.people import known_by_address
from portal.accounts.rules import Role
from portal.accounts.rules.invitations import MOST_LINES, Line, Plan, Planned, plan_for_company, plan_for_staff
from portal.accounts.rules.links import Letter, Purpose
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit


def plan_invitations(lines: Sequence[Line], company: Company | None) -> Plan:
    """What inviting these people does: to act for the company, or to the staff where there is none. One query.

    RuleViolation for more lines than are invited at once.
    """
    if len(lines) > MOST_LINES:
        raise RuleViolation(
            f"At most {MOST_LINES} people are invited at once. Import a file to bring in more.", "lines"
        )
    keys = {line.email_key for line in lines if not line.fault}
    known = known_by_address(keys, company.id if company else None)
    return plan_for_company(lines, known, company.name) if company else plan_for_staff(lines, known)


def invite_to_company(plan: Plan, company: Company, *, language: str, time_zone: str, by: Actor, now: datetime) -> None:
    """Do what the plan says for a company. Whoever is known is told by a notice, unless they have yet to choose a
    password: then, and for whoever is new, it is an invitation.
    """
    if company.archived_at is not None:
        raise RuleViolation(f"{company.name} is archived. Take it back first.")
    for row in _agreed(plan):
        person = _known(row) or add_person(
            row.line.name, row.line.email, language=language, time_zone=time_zone, by=by, now=now
        )
        add_membership(person, company, by=by, now=now)
        if person.password_hash is None:
            invite(person, by=by, now=now, company_id=company.id)
        else:
            write_to(person, Letter.MEMBERSHIP, now=now, details={"company_id": company.id})


def invite_to_staff(plan: Plan, role: Role, *, time_zone: str, by: Actor, now: datetime) -> None:
    """Do what the plan says for the staff: each is added with this role and mailed an invitation."""
    for row in _agreed(plan):
        person = add_person(row.line.name, row.line.email, role=role, time_zone=time_zone, by=by, now=now)
        invite(person, by=by, now=now)


def withdraw_invitation(person: Person, *, by: Actor, now: datetime) -> None:
    """The invitation opens nothing any more. What else there is of the person stays."""
    revoke_links(person.id, now=now, purposes={Purpose.INVITATION})
    audit.record("person.withdraw_invitation", object_kind="person", object_id=person.id, by=by, now=now)


def _agreed(plan: Plan) -> Sequence[Planned]:
    if plan.refused:
        raise RuleViolation("Some lines cannot be used; nobody was invited.", "lines")
    return plan.to_do


def _known(row: Planned) -> Person | None:
    if row.person_id is None:
        return None
    person = person_by_id(row.person_id)
    if person is None:
        raise StaleEdit
    return person
