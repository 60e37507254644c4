"""What of a report is kept as it was before a change, and how two versions of a text differ."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum


class Revised(StrEnum):
    """What was changed."""

    TITLE = "title"
    TEXT = "text"
    VISIBILITY = "visibility"
    AUDIENCE = "audience"
    IMPACT = "impact"
    WORDING = "wording"
    POSTMORTEM = "postmortem"
    TITLE_IN = "title_in"
    TEXT_IN = "text_in"
    WORDING_IN = "wording_in"
    POSTMORTEM_IN = "postmortem_in"


class Change(StrEnum):
    """What became of a stretch of words."""

    SAME = "same"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True)
class Stretch:
    """Words of a text, with the white space that follows them."""

    change: Change
    text: str


WORDS_COMPARED = 4_000
"""Beyond so many words in both texts together the whole text counts as changed: comparing is not linear."""

_WORD = re.compile(r"\S+\s*|\s+")


def difference(before: str, after: str) -> list[Stretch]:
    """The two texts as one: what stayed, what went and what came, word by word, in the order of reading."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) + len(new) > WORDS_COMPARED:
        return [*_stretch(Change.GONE, old), *_stretch(Change.NEW, new)] if before != after else [*_same(old)]
    found: list[Stretch] = []
    for tag, begin, end, new_begin, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found += _same(old[begin:end])
        else:
            found += _stretch(Change.GONE, old[begin:end])
            found += _stretch(Change.NEW, new[new_begin:new_end])
    return found


def _same(words: Sequence[str]) -> list[Stretch]:
    return _stretch(Change.SAME, words)


def _stretch(change: Change, words: Sequence[str]) -> list[Stretch]:
    return [Stretch(change, "".join(words))] if words else []
