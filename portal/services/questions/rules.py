"""What is asked about: which of somebody's services, all of them, or nothing of the kind. Pure.

A wrong answer given with certainty is worse than none. So a service is taken as meant only where the words name it,
but for slips of a finger, and name nothing else beside it; what only resembles a name is asked back about. Nothing is
known here but the services of whoever asks: what others have, or do not have, changes no answer.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from portal.services.questions import vocabulary as say
from portal.services.questions.spelling import Likeness, alike

MOST_LETTERS = 300
"""Longer texts are no questions; nothing reads them."""

MOST_WORDS = 60
ASKED_BACK = 3
"""How many services a question is asked back about at most."""

_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "’": "'", "‘": "'", "`": "'", "´": "'"})
_PARTED = re.compile(r"(?<=\w)'(?=\w)")
_E_MAIL = re.compile(r"\be[-\s]m(?=\w?ai|ia)")
_WORD = re.compile(r"[^\W_]+")
_PARTS_OF_NAME = re.compile(r"\s*[/|()\[\],;]\s*")


class Meaning(StrEnum):
    """What a text asks for.

    ABOUT certain services; EVERYTHING they have; UNSURE which of a few; UNKNOWN a status of something that is none of
    theirs; OTHER than a status.
    """

    ABOUT = "about"
    EVERYTHING = "everything"
    UNSURE = "unsure"
    UNKNOWN = "unknown"
    OTHER = "other"


@dataclass(frozen=True)
class Known:
    """A service of whoever asks, with everything it is asked for by. `reference` is their own, such as a circuit."""

    id: int
    name: str
    aliases: tuple[str, ...] = ()
    reference: str = ""


@dataclass(frozen=True)
class Understood:
    """The meaning of a text, and the services it is about or could be about, by id in the order they were given."""

    meaning: Meaning
    ids: tuple[int, ...] = ()


OTHER = Understood(Meaning.OTHER)


def folded(text: str) -> str:
    """A text as it is compared: small, without accents, umlauts written out, “e-mail” in one word."""
    small = unicodedata.normalize("NFKC", text).casefold().translate(_UMLAUTS)
    plain = "".join(each for each in unicodedata.normalize("NFKD", small) if not unicodedata.combining(each))
    return _E_MAIL.sub("em", _PARTED.sub("", plain))


def understand(text: str, services: Sequence[Known]) -> Understood:
    """What is asked, of these services. Takes time in proportion to the text, of which a question is a short one."""
    if len(text) > MOST_LETTERS:
        return OTHER
    plain = folded(text)
    words = _WORD.findall(plain)
    if not words or len(words) > MOST_WORDS:
        return OTHER
    found = _Reading(words, _names(tuple(services)))
    if not _asks(plain, words, found):
        return OTHER
    return _meant(found, services)


def _meant(found: "_Reading", services: Sequence[Known]) -> Understood:
    left = found.left(_said_of_references(found, services))
    if found.sure and not left and not found.runs_together():
        ids = _narrowed(found, services, frozenset(found.sure))
        return _ordered(Meaning.ABOUT, ids, services)
    maybe = {**found.guesses(), **dict.fromkeys(found.sure, 2.0)}
    if maybe:
        best = sorted(maybe, key=lambda each: -maybe[each])[:ASKED_BACK]
        return _ordered(Meaning.UNSURE, best, services)
    return Understood(Meaning.UNKNOWN if left else Meaning.EVERYTHING)


def _ordered(meaning: Meaning, ids: Collection[int], services: Sequence[Known]) -> Understood:
    return Understood(meaning, tuple(each.id for each in services if each.id in ids))


def _narrowed(found: "_Reading", services: Sequence[Known], ids: frozenset[int]) -> frozenset[int]:
    """Of several with one name, those of whose own reference most was said, if anything was."""
    said = {each.id: len(_reference(each).intersection(found.words)) for each in services if each.id in ids}
    most = max(said.values(), default=0)
    return frozenset(each for each, count in said.items() if count == most) if most else ids


def _said_of_references(found: "_Reading", services: Sequence[Known]) -> frozenset[str]:
    return frozenset[str]().union(*(_reference(each) for each in services if each.id in found.sure))


def _reference(service: Known) -> frozenset[str]:
    """The words of a reference that tell it from others."""
    words = _WORD.findall(folded(service.reference))
    return frozenset(word for word in words if _names_something(word) or word.isdecimal())


def _asks(plain: str, words: Sequence[str], found: "_Reading") -> bool:
    """Whether somebody asks how something is at this moment, or will be."""
    free = [word for place, word in enumerate(words) if place not in found.taken]
    said = set(free)
    text = f" {' '.join(words)} "
    if said & say.ERRAND_WORDS or any(f" {phrase} " in text for phrase in say.ERRANDS):
        return False
    if said & say.PAST and not said & say.PRESENT:
        return False
    if not free:
        # The bare name of a service, as one types it into a field that asks what is down.
        return bool(found.sure)
    if len(words) == 1:
        return words[0] in say.ALONE or ("?" in plain and words[0] in say.STATUS)
    return _speaks_of_status(free, text, is_question="?" in plain, is_named=bool(found.sure))


def _speaks_of_status(free: Sequence[str], text: str, *, is_question: bool, is_named: bool) -> bool:
    said = set(free)
    if said & (say.STATUS - say.WEAK):
        return True
    is_framed = is_question or said & say.FRAMES or free[-1] in say.WEAK
    if is_named and said & say.WITHOUT:
        return True
    if (said & say.WEAK and is_framed) or (said & say.NEGATIONS and said & say.ABILITIES and is_named):
        return True
    return is_named and any(text.startswith(f" {phrase} ") for phrase in say.HOW_IT_IS)


@dataclass(frozen=True)
class _Names:
    """What services are asked for by: whole names run together, and the single words of them, with whose they are."""

    whole: Mapping[str, frozenset[int]]
    words: Mapping[str, frozenset[int]]
    longest: int


@lru_cache(maxsize=256)
def _names(services: tuple[Known, ...]) -> _Names:
    whole: defaultdict[str, set[int]] = defaultdict(set)
    single: defaultdict[str, set[int]] = defaultdict(set)
    longest = 1
    for each in services:
        for name in _called(each):
            longest = max(longest, len(name))
            whole["".join(name)].add(each.id)
            for word in name:
                if _names_something(word):
                    single[word].add(each.id)
    return _Names(
        {name: frozenset(ids) for name, ids in whole.items()},
        {word: frozenset(ids) for word, ids in single.items()},
        min(longest + 1, 8),
    )


def _called(service: Known) -> Iterable[tuple[str, ...]]:
    """Every name of a service as words, and those without what says little at their ends."""
    for name in (service.name, *service.aliases):
        for part in {name, *_PARTS_OF_NAME.split(name)}:
            words = tuple(_WORD.findall(folded(part)))[:12]
            while words and _says_something(words):
                yield words
                words = _shortened(words)


def _shortened(words: tuple[str, ...]) -> tuple[str, ...]:
    if words[-1] in say.GENERIC:
        return words[:-1]
    return words[1:] if words[0] in say.QUALIFIERS else ()


def _says_something(words: Sequence[str]) -> bool:
    """Whether words could name a service: “IT” cannot be told from “it”, nor “Status” from a status."""
    return any(_names_something(word) for word in words)


def _names_something(word: str) -> bool:
    return len(word) > 1 and word not in say.STOP and word not in say.STATUS


@dataclass
class _Reading:
    """The words of a text with the services found in them.

    `sure` are those named for certain, each with the places (from, to) of its names; `maybe` how near the others come.
    `taken` are the places of words that are names.
    """

    words: Sequence[str]
    names: _Names
    sure: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    maybe: dict[int, float] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._spelled = [self._spell(word) for word in self.words]
        self._find()

    def _spell(self, word: str) -> str:
        """The word as the names have it: without an ending, or a slip; what only resembles one is kept in mind."""
        if word in self.names.words or word in self.names.whole or not _names_something(word):
            return word
        for other in _other_forms(word):
            if other in self.names.words or other in self.names.whole:
                return other
        near = [found for form in (word, word.removesuffix("s")) for found in alike(form, self.names.words.keys())]
        slips = {name for name, likeness in near if likeness is Likeness.SLIP}
        if len(slips) == 1:
            return slips.pop()
        for name, likeness in near:
            self._guess(self.names.words[name], 0.9 if likeness is Likeness.SLIP else 0.6)
        return word

    def _guess(self, ids: Iterable[int], weight: float) -> None:
        for each in ids:
            self.maybe[each] = max(self.maybe.get(each, 0.0), weight)

    def _find(self) -> None:
        """Names from left to right, the longest first; a word belongs to one name."""
        place = 0
        while place < len(self.words):
            place = self._take(place) or place + 1
        for each, word in enumerate(self._spelled):
            if each not in self.taken:
                self._guess(self.names.words.get(word, ()), 0.8)

    def _take(self, start: int) -> int | None:
        """The place behind the longest name that begins here, None where none does."""
        for end in range(min(start + self.names.longest, len(self.words)), start, -1):
            joined = {"".join(self._spelled[start:end]), "".join(self.words[start:end])}
            if not _says_something(self.words[start:end]):
                continue
            ids = frozenset[int]().union(*(self.names.whole.get(each, frozenset()) for each in joined))
            if ids:
                for each in ids:
                    self.sure.setdefault(each, []).append((start, end))
                self.taken.update(range(start, end))
                return end
        return None

    def left(self, references: Collection[str]) -> list[str]:
        """The words that say something else: no name found, no reference to it, no word of the trade, no place."""
        return [
            word
            for place, word in enumerate(self.words)
            if place not in self.taken
            and word not in say.STOP
            and word not in say.STATUS
            and word not in references
            and not (word in say.FILLERS and word not in self.names.words)
            and not (word in say.IGNORABLE and self.sure)
            and not self._is_place(place)
        ]

    def _is_place(self, place: int) -> bool:
        """Whether a name was said before, and “in” or the like stands up to two words ahead of this one."""
        before = self.words[max(0, place - 2) : place]
        return any(each < place for each in self.taken) and any(word in say.PLACES for word in before)

    def runs_together(self) -> bool:
        """Whether names of different services stand side by side: an “email server” may be either, or neither."""
        spans = sorted({span for each in self.sure.values() for span in each})
        return any(
            first[1] == second[0] and self._named_at(first) != self._named_at(second)
            for first, second in pairwise(spans)
        )

    def _named_at(self, span: tuple[int, int]) -> frozenset[int]:
        return frozenset(each for each, spans in self.sure.items() if span in spans)

    def guesses(self) -> dict[int, float]:
        """The services that are not named, and come near."""
        return {each: weight for each, weight in self.maybe.items() if each not in self.sure}


def _other_forms(word: str) -> Iterable[str]:
    """The word in the singular, in the plural, and without what German writes behind it."""
    endings = ("s", "e", "n", "en", "es", "er")
    if len(word) >= 5:
        yield from (word + ending for ending in endings)
    yield from (
        word.removesuffix(ending) for ending in endings if word.endswith(ending) and len(word) - len(ending) >= 5
    )
    for ending in say.COMPOUND_ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            yield word.removesuffix(ending)
