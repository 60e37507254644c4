"""The only writer of staff roles."""

from datetime import datetime

from sqlalchemy import select

from portal.accounts.actions.sessions import end_sessions
from portal.accounts.actions.tokens import revoke_token
from portal.accounts.models import ApiToken, Person
from portal.accounts.rules import Permission, Role, may
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db


def change_role(person: Person, role: Role | None, *, version: int, by: Actor, now: datetime) -> None:
    """Give a person another staff role, or none (a customer). All their sessions end at once, so that nothing
    opened under the old role goes on under it; so do the API tokens they made, unless they may still make some.

    Nobody changes their own role, and the last administrator stays one.
    """
    if person.version != version:
        raise StaleEdit
    if person.role == role:
        return
    if person.id == by.person_id:
        raise RuleViolation("Nobody changes their own role. Ask another administrator.", "role")
    if person.role is Role.ADMIN:
        keep_an_administrator(person, "role")
    before, person.role = person.role, role
    db.session.flush()
    end_sessions(person.id, by=by, now=now)
    if not may(role, Permission.TOKENS_EDIT):
        revoke_tokens_of(person.id, by=by, now=now)
    audit.record(
        "person.role",
        object_kind="person",
        object_id=person.id,
        by=by,
        now=now,
        before={"role": before},
        after={"role": role},
    )


def keep_an_administrator(leaving: Person, field: str | None = None) -> None:
    """Refuse unless somebody else would still be an administrator.

    Locks the administrators' rows where the database locks rows, so that two who take the role from each other at
    one moment do not both find the other still there.
    """
    if leaving.deactivated_at is not None:
        return
    active = select(Person.id).where(Person.role == Role.ADMIN, Person.deactivated_at.is_(None)).order_by(Person.id)
    if set(db.session.scalars(active.with_for_update())) <= {leaving.id}:
        raise RuleViolation("This is the last administrator. Make somebody else one first.", field)


def revoke_tokens_of(person_id: int, *, by: Actor, now: datetime) -> None:
    """End every API token this person made, for good: taking them back in does not bring keys back to life."""
    made = select(ApiToken).where(ApiToken.created_by_id == person_id, ApiToken.revoked_at.is_(None))
    for token in db.session.scalars(made.order_by(ApiToken.id)).all():
        revoke_token(token, by=by, now=now)
