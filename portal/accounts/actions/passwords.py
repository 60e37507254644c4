"""Choosing, changing, hashing and checking passwords."""

import secrets
import threading
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION
from flask_babel import lazy_gettext as _
from sqlalchemy import update

from portal.accounts.actions.links import revoke_links, use, write_to
from portal.accounts.actions.sessions import end_sessions
from portal.accounts.models import MailedLink, Person
from portal.accounts.queries import companies_of
from portal.accounts.rules.links import UNBOUND, Letter, Purpose
from portal.accounts.rules.passwords import (
    LEAST,
    MOST,
    Refusal,
    Surroundings,
    folded_list,
    refusal,
)
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db

_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_hashing = threading.BoundedSemaphore(4)
"""Bounds the memory that sign-ins can take: four hashes of 19 MiB at once."""


def _hash_of_nothing() -> str:
    """A hash that no password has, by the same parameters; put together, because to make one takes a while."""
    salt, found = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    cost = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${found}"


_NOBODY = _hash_of_nothing()
"""What an unknown address is checked against, so that it takes as long as a known one."""


SENTENCES = {
    Refusal.SHORT: _("A password has at least %(least)d characters. Three or four words make a good one.", least=LEAST),
    Refusal.LONG: _("A password has at most %(most)d characters.", most=MOST),
    Refusal.NUL: _("This password holds a character that no keyboard types."),
    Refusal.COMMON: _("This is one of the passwords that are tried first. Choose something nobody else has."),
    Refusal.PATTERN: _("This repeats itself or follows the keyboard. Choose something that is harder to guess."),
    Refusal.OWN_NAME: _("Leave your own name out of your password."),
    Refusal.ADDRESS: _("Leave your e-mail address out of your password."),
    Refusal.COMPANY: _("Leave the name of your company out of your password."),
    Refusal.BRAND: _("Leave the name of this portal out of your password."),
    Refusal.PRODUCT: _("Leave the name of this software out of your password."),
}
"""What is said of each refusal: what to do about it, in one sentence or two."""


def hash_password(password: str) -> str:
    """argon2id with the parameters of reliability-security section 5."""
    with _hashing:
        return _hasher.hash(password)


def password_matches(person: Person | None, password: str) -> bool:
    """Whether this is the person's password; takes the same time for somebody unknown."""
    stored = person.password_hash if person and person.password_hash else None
    with _hashing:
        try:
            _hasher.verify(stored or _NOBODY, password[:1024])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def hashed_anew(person: Person, password: str) -> str | None:
    """A hash of the right password by today's parameters, where the stored one was made by older ones; else None."""
    if person.password_hash is None or not _hasher.check_needs_rehash(person.password_hash):
        return None
    return hash_password(password)


def keep_hash(person_id: int, before: str | None, after: str) -> None:
    """Store a better hash of the same password, unless it was changed meanwhile. Links and sessions live on."""
    db.session.execute(
        update(Person).where(Person.id == person_id, Person.password_hash == before).values(password_hash=after),
        execution_options={"synchronize_session": False},
    )


def surroundings(person: Person, brands: Iterable[str] = ()) -> Surroundings:
    """What somebody who knows this person would guess first."""
    companies = tuple(company.name for company in companies_of(person.id)) if person.id else ()
    return Surroundings(person.name, person.email, companies, tuple(brand for brand in brands if brand))


def refuse_weak(password: str, known: Surroundings) -> None:
    """RuleViolation on the field "password", with a sentence that says what to do, for one the rules do not take."""
    why = refusal(password, _common(), known)
    if why is not None:
        raise RuleViolation(str(SENTENCES[why]), "password")


def set_password(
    person: Person,
    hashed: str,
    *,
    by: Actor,
    now: datetime,
    link: MailedLink | None = None,
    keep_session_id: int | None = None,
) -> None:
    """Make this hash the person's password. Every other session ends, every mailed link dies, its owner is told.

    `hashed` was made by `hash_password` before the transaction began, from a password that `refuse_weak` let pass.
    `link` is the mailed one that allowed it, spent with it: NotFound when it was spent already.
    """
    if link is not None:
        use(link, now)
    is_first = person.password_hash is None
    person.password_hash = hashed
    person.password_stamp += 1
    person.password_changed_at = now
    db.session.flush()
    revoke_links(person.id, now=now, purposes=set(Purpose) - UNBOUND)
    end_sessions(person.id, by=by, now=now, but=keep_session_id)
    audit.record(
        "person.password",
        object_kind="person",
        object_id=person.id,
        by=by,
        now=now,
        after={"by": link.purpose if link else "hand"},
    )
    if not is_first:
        write_to(person, Letter.PASSWORD_CHANGED, now=now, details={"ip": by.ip or ""})


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    """The passwords people choose most: zxcvbn's list of 30,000, counted in real leaks. Read when first needed."""
    # Nobody pays for this who changes no password.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]  # noqa: PLC0415

    return folded_list(FREQUENCY_LISTS["passwords"])
