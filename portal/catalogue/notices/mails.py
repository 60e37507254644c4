"""Who hears of a notice written by hand: the kinds "notice" and "notice_test"."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext

from portal.accounts.models import Company
from portal.catalogue.notices.queries import (
    Addressee,
    addressees,
    chosen_companies_of,
    companies_chosen,
    companies_open,
    holdings_told,
)
from portal.catalogue.notices.rules import TOPIC, Chosen, named_in_words
from portal.extensions import db
from portal.language import known
from portal.notifications.kinds import Cursor, Kind, Listener, Recipient, Told, register

COMPANIES_NAMED = 3
SERVICES_NAMED = 8
"""How many a mail names of what a reader has; the rest is a number."""


@dataclass(frozen=True)
class Selection:
    """A frozen selector as it is read back: what was chosen, as things stood at a moment. `tells_services` when a
    wording says what readers hold."""

    chosen: Chosen
    at: datetime
    tells_services: bool

    @classmethod
    def read(cls, selector: dict[str, Any]) -> "Selection":
        return cls(Chosen.read(selector), datetime.fromisoformat(selector["at"]), "services" in selector["variables"])


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next people of the chosen companies, by id; somebody of several is told once. At most three queries."""
    wanted = Selection.read(selector)
    people = addressees(wanted.chosen, wanted.at, after=after["person_id"] if after else 0, limit=limit)
    found = recipients_among(people, wanted.chosen, wanted.at, tells_services=wanted.tells_services)
    return found, {"person_id": people[-1].id} if len(people) == limit else None


def recipients_among(
    people: Sequence[Addressee], chosen: Chosen, at: datetime, *, tells_services: bool
) -> list[Recipient]:
    """These people as recipients, with what a notice says of them. Two queries at most."""
    if not people:
        return []
    companies = chosen_companies_of([person.id for person in people], chosen, at)
    ids = {each.company_id for theirs in companies.values() for each in theirs}
    holdings = holdings_told(ids, chosen, at) if tells_services else {}
    found = []
    for person in people:
        theirs = companies.get(person.id, [])
        services = list(dict.fromkeys(name for each in theirs for name in holdings.get(each.company_id, ())))
        found.append(
            Recipient(
                person_id=person.id,
                company_ids=tuple(each.company_id for each in theirs),
                address=person.email,
                name=person.name,
                language=known(person.language),
                values={
                    "company": named_in_words([each.name for each in theirs], COMPANIES_NAMED),
                    "services": named_in_words(services, SERVICES_NAMED),
                },
            )
        )
    return [each for each in found if each.company_ids]


def tell(selector: dict[str, Any], listeners: Sequence[Listener], now: datetime) -> Mapping[int, Told]:
    """What channels of the chosen companies are told. At most two queries."""
    wanted = Selection.read(selector)
    ids = {company_id for each in listeners for company_id in each.company_ids}
    chosen = companies_chosen(wanted.chosen, wanted.at).where(Company.id.in_(ids))
    reached = frozenset(db.session.scalars(chosen))
    holdings = holdings_told(reached, wanted.chosen, wanted.at) if wanted.tells_services else {}
    told = {}
    for each in listeners:
        theirs = tuple(company_id for company_id in each.company_ids if company_id in reached)
        if theirs:
            services = list(dict.fromkeys(name for company_id in theirs for name in holdings.get(company_id, ())))
            values = {"services": named_in_words(services, SERVICES_NAMED)}
            told[each.id] = Told(theirs, values, "/", "notice", {})
    return told


def one_recipient(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The one member of staff who tries a notice out."""
    return [
        Recipient(
            person_id=selector["person_id"],
            company_ids=tuple(selector["company_ids"]),
            address=selector["address"],
            name=selector["name"],
            language=selector["language"],
            values=selector["values"],
        )
    ], None


def still_there(company_ids: Collection[int]) -> frozenset[int]:
    """A notice reaches whom it names, whatever areas are open to them; but nobody of a company that has gone."""
    return companies_open(company_ids)


LABEL = lazy_gettext("News and notices")

register(
    Kind(
        name="notice_test",
        topic=TOPIC,
        label=LABEL,
        recipients=one_recipient,
        allowed=still_there,
        variables=frozenset({"services"}),
        expires_after=timedelta(hours=1),
        priority=5,
    )
)

NOTICE = register(
    Kind(
        name="notice",
        topic=TOPIC,
        label=LABEL,
        recipients=recipients,
        allowed=still_there,
        tell=tell,
        variables=frozenset({"services"}),
        # A mailbox that takes 10,000 a day has told 50,000 readers by then.
        expires_after=timedelta(days=7),
        # After everything about incidents, the unaffected told of them too.
        priority=60,
    )
)
