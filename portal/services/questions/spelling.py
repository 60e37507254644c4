"""How likely two words are the same word, mistyped. The library is loaded when the first word is compared."""

from collections.abc import Collection, Iterator
from enum import IntEnum

LEAST_LETTERS = 5
"""Shorter words differ in one letter too often to be the same word."""

SWAPPED_FROM = 8
"""From so many letters on, one letter instead of another is a slip; in shorter words it is another word as often."""

RESEMBLES_FROM = 4
RESEMBLES = 0.7
"""From which share of agreement on a word is worth asking back about."""


class Likeness(IntEnum):
    """How alike two words are: they are not, they resemble each other, or they are the same with a slip of a finger."""

    NONE = 0
    RESEMBLES = 1
    SLIP = 2


def alike(word: str, names: Collection[str]) -> Iterator[tuple[str, Likeness]]:
    """Those of these names that are like the word, each with how much. Words with digits in them are like no other."""
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    if len(word) < RESEMBLES_FROM or not word.isalpha():
        return
    close = process.extract(word, names, scorer=OSA.normalized_similarity, score_cutoff=RESEMBLES, limit=None)
    for name, _score, _index in close:
        if len(name) >= RESEMBLES_FROM and name.isalpha() and name != word:
            yield name, Likeness.SLIP if _is_slip(word, name) else Likeness.RESEMBLES


def _is_slip(word: str, name: str) -> bool:
    """One letter too many, too few, or two turned round; in long words also one instead of another. Never the first."""
    from rapidfuzz.distance import OSA

    shorter = min(len(word), len(name))
    if shorter < LEAST_LETTERS or word[0] != name[0] or OSA.distance(word, name, score_cutoff=1) > 1:
        return False
    is_swapped = len(word) == len(name) and sorted(word) != sorted(name)
    return not is_swapped or shorter >= SWAPPED_FROM
