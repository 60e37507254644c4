"""Which passwords are taken: long enough, not among those everybody tries, not made of what everybody knows."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

LEAST, MOST = 12, 128
"""Characters of a password, counted as typed: nothing is stripped, nothing cut off."""

PRODUCT_WORDS = ("signalbox",)

SHORTEST_NAME = 4
"""A name shorter than this occurs in many a word by chance."""

ENOUGH_BESIDE = 8
"""Letters and digits that must be left when a name, or a word of it, is taken out of a password."""

PATTERNS_BELOW = 20
"""Characters from which on even a pattern takes more guesses than anybody is allowed."""

_RUNS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
)
"""What fingers type by themselves: digits, the alphabet, the rows and columns of keyboards."""


class Refusal(StrEnum):
    """Why a password is not taken."""

    SHORT = "short"
    LONG = "long"
    NUL = "nul"
    COMMON = "common"
    PATTERN = "pattern"
    OWN_NAME = "own name"
    ADDRESS = "address"
    COMPANY = "company"
    BRAND = "brand"
    PRODUCT = "product"


@dataclass(frozen=True)
class Surroundings:
    """What somebody who knows the person would try first."""

    name: str = ""
    email: str = ""
    companies: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()


def refusal(password: str, common: Collection[str], surroundings: Surroundings) -> Refusal | None:
    """Why this password is not taken, None when it is.

    `common` holds the passwords everybody tries, casefolded. Sources: reliability-security section 5 and OWASP ASVS
    6.2: 12 to 128 characters of any kind, no composition rules, no rotation, common and obvious ones refused.
    """
    if "\x00" in password:
        return Refusal.NUL
    if len(password) < LEAST:
        return Refusal.SHORT
    if len(password) > MOST:
        return Refusal.LONG
    if _is_common(password.casefold(), common):
        return Refusal.COMMON
    if len(password) < PATTERNS_BELOW and _is_pattern(password.casefold()):
        return Refusal.PATTERN
    return _obvious(_squashed(password), surroundings)


def _is_common(folded: str, common: Collection[str]) -> bool:
    """A common password stays one with a few digits or signs around it."""
    if folded in common or folded.strip() in common:
        return True
    stem = folded.strip("0123456789 !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~")
    return len(stem) >= SHORTEST_NAME and len(folded) - len(stem) <= ENOUGH_BESIDE and stem in common


def _is_pattern(folded: str) -> bool:
    """One piece again and again, or a walk along a keyboard or the alphabet."""
    if len(set(folded)) <= 3:
        return True
    if any(len(folded) >= 2 * size and _repeats(folded, size) for size in range(1, len(folded) // 2 + 1)):
        return True
    return any(folded in run * 2 or folded in run[::-1] * 2 for run in _RUNS)


def _repeats(text: str, size: int) -> bool:
    return (text[:size] * (len(text) // size + 1))[: len(text)] == text


def _obvious(squashed: str, surroundings: Surroundings) -> Refusal | None:
    """The names of the house may not occur at all; one's own may, where they are not most of it."""
    of_house = (
        (Refusal.PRODUCT, PRODUCT_WORDS),
        (Refusal.BRAND, surroundings.brands),
        (Refusal.COMPANY, surroundings.companies),
        (Refusal.ADDRESS, (surroundings.email,)),
    )
    for why, names in of_house:
        if any(_occurs(squashed, name) or _is_most(squashed, name) for name in names):
            return why
    if _is_most(squashed, surroundings.email.rpartition("@")[0]):
        return Refusal.ADDRESS
    return Refusal.OWN_NAME if _is_most(squashed, surroundings.name) else None


def _occurs(squashed: str, name: str) -> bool:
    whole = _squashed(name)
    return len(whole) >= SHORTEST_NAME and whole in squashed


def _is_most(squashed: str, name: str) -> bool:
    """Whether little is left of a password when a name, or a word of it, is taken out."""
    parts = [_squashed(part) for part in (name, *_words(name))]
    return any(
        part in squashed and len(squashed.replace(part, "")) < ENOUGH_BESIDE
        for part in parts
        if len(part) >= SHORTEST_NAME
    )


def _words(name: str) -> Iterator[str]:
    word = ""
    for character in name:
        if character.isalnum():
            word += character
        elif word:
            yield word
            word = ""
    if word:
        yield word


def _squashed(text: str) -> str:
    """Letters and digits only, without accents and case, as somebody who guesses would compare."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if character.isalnum())


def folded_list(passwords: Iterable[str]) -> frozenset[str]:
    """A list of common passwords as `refusal` compares it."""
    return frozenset(password.casefold() for password in passwords)
