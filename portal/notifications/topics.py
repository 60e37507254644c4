"""What one can want, or not want, to hear of: the kinds of mail, and what narrows them.

A topic is an opaque key such as "incidents", "service:12" or "component:5". The upper capabilities know what such a
key stands for and which of them matter to a company, and say so here when they are loaded (`catalogue/topics.py`);
no row points upward.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from portal.notifications.kinds import for_people, listed


class Topic(NamedTuple):
    """Something one may want mails about, as people call it; `below` is what it consists of, if that can be chosen."""

    key: str
    label: str
    below: tuple["Topic", ...] = ()


@dataclass(frozen=True)
class Source:
    """Topics of one sort; the sorts stand in the order of their names. `label` is the heading (lazily translated).

    `under` is the topic of the kind of mail they stand below, None where they narrow several and stand by themselves.
    `of_company` lists those a company can choose among, nothing where their area is closed to it; `named` says what
    keys stand for, of whatever company, and leaves out what it does not know.
    """

    name: str
    label: Any
    of_company: Callable[[int, datetime], Sequence[Topic]]
    named: Callable[[Collection[str]], Mapping[str, str]]
    under: str | None = None


class Group(NamedTuple):
    """A heading with what can be chosen below it; the kinds of mail have none."""

    label: str
    topics: tuple[Topic, ...]


_sources: dict[str, Source] = {}


def register(source: Source) -> Source:
    """Make a sort of topics known under its name; registering it again replaces it."""
    _sources[source.name] = source
    return source


def topics_of_company(company_id: int | None, now: datetime) -> list[Group]:
    """What the people of this company can choose among: the kinds of mail it may get, then what narrows them.

    For None, somebody of no company, the kinds of mail alone. A few queries for each sort of topics.
    """
    kinds = [each for each in for_people() if company_id is None or company_id in each.allowed([company_id])]
    found = {} if company_id is None else {each: each.of_company(company_id, now) for each in _sources_in_order()}
    labels = {each.topic: str(each.label) for each in kinds}
    first = [
        Topic(
            topic, label, tuple(below for source, topics in found.items() if source.under == topic for below in topics)
        )
        for topic, label in labels.items()
    ]
    own = [
        Group(str(source.label), tuple(topics)) for source, topics in found.items() if source.under is None and topics
    ]
    return [Group("", tuple(first)), *own] if first else []


def keys_in(groups: Collection[Group]) -> list[str]:
    """Every key that can be chosen there, in the order of reading."""
    found: list[str] = []

    def walk(topics: Collection[Topic]) -> None:
        for each in topics:
            found.append(each.key)
            walk(each.below)

    for group in groups:
        walk(group.topics)
    return found


def names_of(keys: Collection[str]) -> dict[str, str]:
    """What these keys are called; what nobody knows any more keeps its key for a name."""
    names = {key: key for key in keys}
    names.update({each.topic: str(each.label) for each in listed() if each.topic in names})
    for source in _sources_in_order():
        names.update(source.named(keys))
    return names


def _sources_in_order() -> list[Source]:
    return [_sources[name] for name in sorted(_sources)]
