"""The kind of mail that answers a customer who asked for another slot: to whoever asked, and to nobody else."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask_babel import lazy_gettext
from sqlalchemy import select

from portal.accounts.models import Company, Membership, Person
from portal.domains.queries import companies_with_status_open
from portal.extensions import db
from portal.incidents.rules.languages import told_in
from portal.language import known
from portal.notifications.kinds import ACCOUNT_TOPIC, Cursor, Kind, Recipient, register


def _recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """Whoever asked, while they act for the company."""
    company_id = selector["company_id"]
    person = db.session.scalars(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .join(Company, Company.id == Membership.company_id)
        .where(
            Person.id == selector["person_id"],
            Membership.company_id == company_id,
            Person.deactivated_at.is_(None),
            Company.archived_at.is_(None),
        )
    ).one_or_none()
    if person is None:
        return [], None
    # What was queued before titles were told in other languages has none.
    title = told_in(known(person.language), selector["title"], selector.get("titles", {}))
    values = {"title": title, "answer": selector["answer"]}
    return [Recipient(person.id, (company_id,), person.email, person.name, person.language, values)], None


ANSWER = register(
    Kind(
        name="slot_answer",
        # The answer to one's own question is no list to leave.
        topic=ACCOUNT_TOPIC,
        label=lazy_gettext("Answers about maintenance"),
        recipients=_recipients,
        allowed=companies_with_status_open,
        variables=frozenset({"title", "answer"}),
        expires_after=timedelta(days=7),
        priority=20,
    )
)
