"""Hashing and checking passwords."""

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.accounts.models import Person

_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_hashing = threading.BoundedSemaphore(4)
"""Bounds the memory that sign-ins can take: four hashes of 19 MiB at once."""

_NOBODY = _hasher.hash(secrets.token_hex(16))
"""What an unknown address is checked against, so that it takes as long as a known one."""


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
