"""What is shown to whoever chooses what mails them: the topics, each with what holds for it now and who says so."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import text_key
from portal.extensions import db
from portal.notifications.kinds import topics
from portal.notifications.links import Unsubscription
from portal.notifications.queries import left_lists
from portal.notifications.rules import EVERY_TOPIC
from portal.notifications.topics import Group, Topic, names_of, topics_of_company
from portal.notifications.wishes import Wishes, wishes_of

COMPANIES_AT_MOST = 10
"""Companies of one person whose topics are shown together; hardly anybody acts for more."""


class By(StrEnum):
    """Who says what holds: nobody, the company for its people, the person, or the reader of the address, who left."""

    NOBODY = ""
    COMPANY = "company"
    PERSON = "person"
    LEFT = "left"


@dataclass(frozen=True)
class Line:
    """A topic that can be chosen, and what holds for it."""

    key: str
    label: str
    is_wanted: bool
    by: By
    below: tuple["Line", ...] = ()


@dataclass(frozen=True)
class Choice:
    """Everything somebody can choose, under its headings."""

    groups: Sequence[tuple[str, Sequence[Line]]]

    @property
    def lines(self) -> list[Line]:
        """Every line, those below others too."""
        return list(_flat(line for _label, lines in self.groups for line in lines))

    def without(self, keys: Collection[str]) -> "Choice":
        """The same without these topics; what stood below them moves up under no heading."""
        found = []
        for label, lines in self.groups:
            kept = [below for each in lines for below in (each.below if each.key in keys else (each,))]
            if kept:
                found.append((label, kept))
        return Choice(found)

    def changes(self, shown: Collection[str], was: Collection[str], wanted: Collection[str]) -> dict[str, bool]:
        """What a form says anew, by topic: what was `shown`, what of it `was` wanted then, and what is wanted now.

        What has changed elsewhere in the meantime stays as it is, unless this form changes it too; what cannot be
        chosen here is left out.
        """
        among = {each.key for each in self.lines}
        return {key: key in wanted for key in shown if key in among and (key in wanted) is not (key in was)}


def choice_of_person(person: Person, company_ids: Sequence[int], now: datetime) -> Choice:
    """What a person can choose who acts for these companies. What one of several companies does not want is wanted."""
    groups = _merged([topics_of_company(each, now) for each in company_ids[:COMPANIES_AT_MOST] or (None,)])
    wishes = wishes_of([person.id], company_ids)
    left = left_lists(person.email)
    kinds = topics()

    def line(topic: Topic) -> Line:
        below = tuple(line(each) for each in topic.below)
        if topic.key in kinds and left & {topic.key, EVERY_TOPIC}:
            return Line(topic.key, topic.label, False, By.LEFT, below)
        is_wanted = any(wishes.wants(person.id, each, topic.key) for each in company_ids or (None,))
        return Line(topic.key, topic.label, is_wanted, _by(wishes, person.id, topic.key, is_wanted), below)

    return Choice([(group.label, [line(each) for each in group.topics]) for group in groups])


def choice_of_company(company_id: int, now: datetime) -> Choice:
    """What a company can choose for those of its people who say nothing themselves."""
    wishes = wishes_of([], [company_id])

    def line(topic: Topic) -> Line:
        is_wanted = wishes.wants(None, company_id, topic.key)
        by = By.NOBODY if is_wanted else By.COMPANY
        return Line(topic.key, topic.label, is_wanted, by, tuple(line(each) for each in topic.below))

    return Choice(
        [(group.label, [line(each) for each in group.topics]) for group in topics_of_company(company_id, now)]
    )


def reader_of(link: Unsubscription) -> Person | None:
    """The person an unsubscribe link was sent to, while its address is theirs and they can sign in: whoever holds a
    link to an address they have left may take that address off lists, and see or choose nothing else of theirs."""
    person = db.session.get(Person, link.person_id) if link.person_id else None
    is_theirs = person is not None and person.deactivated_at is None and person.email_key == text_key(link.address)
    return person if is_theirs else None


def live_companies_of(person_id: int) -> list[int]:
    """The companies somebody acts for that are not archived, by name. One query."""
    return list(
        db.session.scalars(
            select(Company.id)
            .join(Membership, Membership.company_id == Company.id)
            .where(Membership.person_id == person_id, Company.archived_at.is_(None))
            .order_by(Company.name_key)
        )
    )


def own_words(person_id: int) -> tuple[list[str], list[str]]:
    """What a person has said they do not want, and what they want although it may be otherwise, as people call it."""
    said = wishes_of([person_id], []).own
    names = names_of([topic for _id, topic in said])
    return (
        sorted(names[topic] for (_id, topic), wanted in said.items() if not wanted),
        sorted(names[topic] for (_id, topic), wanted in said.items() if wanted),
    )


def _by(wishes: Wishes, person_id: int, key: str, is_wanted: bool) -> By:
    if (person_id, key) in wishes.own:
        return By.PERSON
    return By.NOBODY if is_wanted else By.COMPANY


def _merged(each_company: Iterable[Sequence[Group]]) -> list[Group]:
    """The topics of several companies under one set of headings, each topic once with all that stands below it."""
    labels: dict[str, dict[str, Topic]] = {}
    for groups in each_company:
        for label, found in groups:
            there = labels.setdefault(label, {})
            for topic in found:
                known = there.get(topic.key)
                below = {each.key: each for each in (*(known.below if known else ()), *topic.below)}
                there[topic.key] = topic._replace(below=tuple(below.values()))
    return [Group(label, tuple(found.values())) for label, found in labels.items()]


def _flat(lines: Iterable[Line]) -> Iterable[Line]:
    for each in lines:
        yield each
        yield from _flat(each.below)
