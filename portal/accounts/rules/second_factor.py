"""The second factor: six digits that change every thirty seconds (RFC 6238), and codes for when the phone is lost."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest

STEP_SECONDS = 30
TOLERANCE = 1
"""Steps a code may be early or late, because clocks of phones are."""

DIGITS = 6
RECOVERY_CODES = 10

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Nothing that is mistaken for something else when read from paper."""

_GROUPS, _GROUP = 4, 4


def step_at(now: datetime) -> int:
    """The time step a moment lies in."""
    return int(now.timestamp()) // STEP_SECONDS


def acceptable_steps(now: datetime, last_step: int | None) -> range:
    """The steps whose codes are taken now: one around the present one, and none up to that of the last code taken."""
    present = step_at(now)
    earliest = present - TOLERANCE if last_step is None else max(present - TOLERANCE, last_step + 1)
    return range(earliest, present + TOLERANCE + 1)


def matching_step(typed: str, codes: Mapping[int, str]) -> int | None:
    """The step whose code was typed, given the codes of the acceptable steps; None for none of them."""
    digits = "".join(typed.split())
    found = None
    for step, code in codes.items():
        if compare_digest(code.encode(), digits.encode("utf-8", "replace")):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Ten codes of about 79 bits each, in groups that are easy to copy: `k7mf-2xqa-…`."""
    return ["-".join(_group() for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP))


def looks_like_recovery_code(typed: str) -> bool:
    """Whether this is meant to be a recovery code and not the digits of an app."""
    return len(_bare(typed)) == _GROUPS * _GROUP


def recovery_hash(code: str) -> str:
    """What is stored of a recovery code, whichever way its groups and letters were typed."""
    return hashlib.sha256(_bare(code).encode("utf-8", "replace")).hexdigest()


def _bare(code: str) -> str:
    return "".join(character for character in code.casefold() if character.isalnum())
