"""The second factor of staff: setting it up, checking a code, and taking it away."""

from datetime import datetime
from typing import Any, cast

import pyotp
from sqlalchemy import CursorResult, delete, or_, update

from portal.accounts.actions.links import write_to
from portal.accounts.actions.sessions import end_sessions, note_second_factor
from portal.accounts.models import Person, RecoveryCode, SecondFactor, SignInPolicy
from portal.accounts.queries import person_held
from portal.accounts.rules.links import Letter
from portal.accounts.rules.second_factor import (
    acceptable_steps,
    looks_like_recovery_code,
    matching_step,
    new_recovery_codes,
    recovery_hash,
)
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.sealing import Unreadable, seal, unseal

RAW: Any = {"synchronize_session": False}

POLICY_ID = 1

SEALED_FOR = "second factor"


def begin_second_factor(person: Person, now: datetime) -> str:
    """Make a secret for somebody's authenticator and return it (base32); it counts once a code of it was right.

    Begun again before that, the secret is a new one.
    """
    if person.role is None:
        raise RuleViolation("A second factor is for staff.")
    factor = db.session.get(SecondFactor, person.id, with_for_update=True)
    if factor is not None and factor.confirmed_at:
        raise RuleViolation("You have a second factor already. Remove it first to set up another.")
    secret = pyotp.random_base32()
    if factor is None:
        factor = SecondFactor(person_id=person.id)
        db.session.add(factor)
    factor.sealed_secret, factor.created_at, factor.last_step = seal(secret, SEALED_FOR), now, None
    db.session.flush()
    return secret


def secret_of(factor: SecondFactor) -> str | None:
    """The secret itself (base32), to be shown while it is set up; None when no key of ours sealed it.

    That is so where the secret key was replaced and the old one is not among the fallbacks: recovery codes still work.
    """
    try:
        return unseal(factor.sealed_secret, SEALED_FOR)
    except Unreadable:
        return None


def confirm_second_factor(person: Person, code: str, *, session_id: int, by: Actor, now: datetime) -> list[str]:
    """Switch the second factor on with a first right code; returns the recovery codes, which are shown this once.

    Every other session of theirs ends: it was opened with less. RuleViolation on the field "code" for a wrong one.
    """
    # Whoever signs in at this moment is let in before this and signed out by it, or after it and asked for a code.
    person_held(person.id)
    factor = db.session.get(SecondFactor, person.id, with_for_update=True)
    if factor is None or factor.confirmed_at:
        raise RuleViolation("There is nothing to confirm. Begin again.", "code")
    if not _take_code(factor, code, now):
        raise RuleViolation("This code is not right. Type the six digits the app shows now.", "code")
    factor.confirmed_at = now
    note_second_factor(session_id, now)
    end_sessions(person.id, by=by, now=now, but=session_id)
    audit.record("second-factor.add", object_kind="person", object_id=person.id, by=by, now=now)
    write_to(person, Letter.SECOND_FACTOR_ON, now=now, details={"ip": by.ip or ""})
    return renew_recovery_codes(person, by=by, now=now)


def check_second_factor(person: Person, typed: str, *, by: Actor, now: datetime) -> bool:
    """Whether this is a code of the person's app or a recovery code of theirs; a right one is never right again."""
    factor = db.session.get(SecondFactor, person.id, with_for_update=True)
    if factor is None or factor.confirmed_at is None:
        return False
    if not looks_like_recovery_code(typed):
        return _take_code(factor, typed, now)
    spent = db.session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.person_id == person.id,
            RecoveryCode.code_hash == recovery_hash(typed),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now),
        execution_options=RAW,
    )
    if cast(CursorResult[Any], spent).rowcount != 1:
        return False
    audit.record("second-factor.recover", object_kind="person", object_id=person.id, by=by, now=now)
    return True


def renew_recovery_codes(person: Person, *, by: Actor, now: datetime) -> list[str]:
    """Ten new recovery codes, shown this once; the old ones open nothing any more."""
    codes = new_recovery_codes()
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person.id), execution_options=RAW)
    db.session.add_all(
        RecoveryCode(person_id=person.id, code_hash=recovery_hash(code), created_at=now) for code in codes
    )
    db.session.flush()
    audit.record("second-factor.codes", object_kind="person", object_id=person.id, by=by, now=now)
    return codes


def remove_second_factor(person: Person, *, by: Actor, now: datetime) -> None:
    """Take a second factor away, one's own or, as an administrator, another's; its owner is told by mail.

    Asking for the password first is up to the route (`access.require_recent_password`). Removed by somebody else,
    every session of its owner ends.
    """
    factor = db.session.get(SecondFactor, person.id, with_for_update=True)
    if factor is None:
        return
    was_on = factor.confirmed_at is not None
    db.session.delete(factor)
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person.id), execution_options=RAW)
    db.session.flush()
    if not was_on:
        return
    if by.person_id != person.id:
        end_sessions(person.id, by=by, now=now)
    audit.record("second-factor.remove", object_kind="person", object_id=person.id, by=by, now=now)
    write_to(person, Letter.SECOND_FACTOR_OFF, now=now, details={"ip": by.ip or "", "by_id": by.person_id})


def require_second_factor(required: bool, *, version: int, by: Actor, now: datetime) -> None:
    """Decide whether all staff need a second factor. Who has none is led to set one up when they next open a screen."""
    policy = db.session.get(SignInPolicy, POLICY_ID, with_for_update=True)
    if policy is None:
        policy = SignInPolicy(id=POLICY_ID, second_factor_required=False)
        db.session.add(policy)
        db.session.flush()
    elif policy.version != version:
        raise StaleEdit
    if policy.second_factor_required == required:
        return
    policy.second_factor_required = required
    db.session.flush()
    audit.record(
        "sign-in-policy.change",
        object_kind="sign-in-policy",
        object_id=POLICY_ID,
        by=by,
        now=now,
        before={"second_factor_required": not required},
        after={"second_factor_required": required},
    )


def _take_code(factor: SecondFactor, typed: str, now: datetime) -> bool:
    """Whether the code is right now, and was not used before. Two with the same code at once: one of them gets in."""
    secret = secret_of(factor)
    if secret is None:
        return False
    app = pyotp.TOTP(secret)
    codes = {step: app.generate_otp(step) for step in acceptable_steps(now, factor.last_step)}
    step = matching_step(typed, codes)
    if step is None:
        return False
    taken = db.session.execute(
        update(SecondFactor)
        .where(
            SecondFactor.person_id == factor.person_id,
            or_(SecondFactor.last_step.is_(None), SecondFactor.last_step < step),
        )
        .values(last_step=step),
        execution_options=RAW,
    )
    return cast(CursorResult[Any], taken).rowcount == 1
