"""What files and messages may belong to: things of upper capabilities, known down here by kind and id only.

A lower capability must not know an upper one, so each of those registers its kinds of subject when it is loaded, and
says who may see one.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from portal import events
from portal.accounts.rules import STAFF, Permission, Viewpoint
from portal.domains.rules import Area


@dataclass(frozen=True)
class Ref:
    """One subject: its kind, and the id of its row among that kind."""

    kind: str
    id: int


@dataclass(frozen=True)
class Known:
    """What must be known of a subject somebody may see: whose it is, what they call it, where its page is.

    `title` and `path` are those of whoever looks; `path` begins with a slash, on their own host.
    """

    company_id: int
    title: str
    path: str


@dataclass(frozen=True)
class Subject:
    """One kind of subject.

    `kind` is at most 24 letters and stands in addresses, with the text `key` makes of an id; `find` gives the id of
    such a text, None for nonsense. `seen` says by id what is known of subjects from a viewpoint, without those that are
    missing or not to be seen: the caller cannot tell them apart. It asks nothing of areas; `area` is the one that must
    be open for customers, for the subject and everything that belongs to it. `permission` is what staff need to write
    about it or to give it files; all staff may read. `opening` is what a message about it begins with where a link
    names something that was told of it: by its id and that name, for whoever may see it, "" for what it does not know.
    What `is_written_to_only` is given files with messages and in no other way.
    """

    kind: str
    area: Area
    seen: Callable[[Viewpoint, Collection[int]], Mapping[int, Known]]
    key: Callable[[int], str]
    find: Callable[[str], int | None]
    permission: Permission = Permission.STAFF_ENTER
    opening: Callable[[int, str], str] | None = None
    is_written_to_only: bool = False

    def is_open(self, areas: Collection[Area]) -> bool:
        """Whether customers to whom these areas are open can give it files at all."""
        return self.area in areas and (not self.is_written_to_only or Area.MESSAGES in areas)


_subjects: dict[str, Subject] = {}


def register(subject: Subject) -> Subject:
    """Make a kind of subject known; registering it again replaces it."""
    _subjects[subject.kind] = subject
    return subject


def subject_of(kind: str) -> Subject | None:
    """The registered kind of this name, if there is one."""
    return _subjects.get(kind)


def any_open(areas: Collection[Area]) -> bool:
    """Whether there is anything that files and messages could belong to where these areas are open."""
    return any(each.is_open(areas) for each in _subjects.values())


def seen(viewpoint: Viewpoint, ref: Ref) -> Known | None:
    """What is known of a subject from this viewpoint; None for what is missing, hidden, or of a kind nobody knows."""
    return seen_among(viewpoint, [ref]).get(ref)


def seen_among(viewpoint: Viewpoint, refs: Iterable[Ref]) -> Mapping[Ref, Known]:
    """What is known of those of some subjects that this viewpoint sees. As many queries as there are kinds of them."""
    ids: dict[str, set[int]] = {}
    for ref in refs:
        ids.setdefault(ref.kind, set()).add(ref.id)
    return {
        Ref(kind, subject_id): known
        for kind, wanted in ids.items()
        if (subject := _subjects.get(kind))
        for subject_id, known in subject.seen(viewpoint, wanted).items()
    }


def title_of(ref: Ref) -> str:
    """What staff call a subject, for the audit trail."""
    known = seen(STAFF, ref)
    return known.title if known else f"{ref.kind} {ref.id}"


def found(kind: str, key: str) -> Ref | None:
    """The subject an address names, whether or not there is one."""
    subject = _subjects.get(kind)
    subject_id = subject.find(key) if subject else None
    return None if subject_id is None else Ref(kind, subject_id)


def topic_of(ref: Ref) -> str:
    """The topic that rings customers' pages of a subject. Staff pages hear that of all staff."""
    return events.item_topic(ref.kind, _subjects[ref.kind].key(ref.id))


def may_hear(viewpoint: Viewpoint, topic: str, areas: Collection[Area]) -> bool:
    """Whether somebody may listen for a topic that `topic_of` made: whether they may see what it is about."""
    _item, _, name = topic.partition(":")
    kind, _, key = name.partition(":")
    ref = found(kind, key)
    return ref is not None and _subjects[kind].area in areas and seen(viewpoint, ref) is not None
