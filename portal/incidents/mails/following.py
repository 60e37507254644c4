"""Who hears of one incident by following it: the kind "incident_followed", and whom the usual mail leaves out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext
from sqlalchemy import Row, select

from portal.accounts.models import Person
from portal.domains.queries import companies_with_status_open
from portal.extensions import db
from portal.incidents.mails.incidents import SUBJECT, values_for
from portal.incidents.mails.reaching import Selection, addressed
from portal.incidents.mails.wordings import in_own_words
from portal.incidents.rules.telling import AFFECTED, FOLLOWED_BY_ALL, OTHERS
from portal.notifications.kinds import Cursor, Kind, Recipient, register

TOPIC = "followed"
"""The list of those who follow an incident, which can be left as any other."""


def _recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next of the followers that were frozen, who may still see the incident: those it hits, and, where it is for
    everyone, the others. What else they have muted does not count. At most sixteen queries."""
    wanted = Selection.read(selector, SUBJECT)
    start = after["person_id"] if after else 0
    ids = sorted(each for each in selector["followers"] if each > start)[:limit]
    people = _people(ids)
    found = addressed(people, wanted, AFFECTED, values_for(wanted))
    if wanted.is_for_all or selector.get(FOLLOWED_BY_ALL):
        found += addressed(people, wanted, OTHERS, values_for(wanted))
    heard = in_own_words(selector, [replace(each, is_wanted=True) for each in found])
    return heard, {"person_id": ids[-1]} if len(ids) == limit else None


def _people(ids: Sequence[int]) -> Sequence[Row[int, str, str, str, str]]:
    return db.session.execute(
        select(Person.id, Person.name, Person.email, Person.language, Person.time_zone)
        .where(Person.id.in_(ids), Person.deactivated_at.is_(None))
        .order_by(Person.id)
    ).all()


FOLLOWED = register(
    Kind(
        name="incident_followed",
        topic=TOPIC,
        label=lazy_gettext("Incidents you follow"),
        recipients=_recipients,
        allowed=companies_with_status_open,
        variables=frozenset({"affected", "since", "fixed", "next_update"}),
        expires_after=timedelta(hours=24),
        priority=10,
    )
)
