"""Subscriptions in the export of a person, and what becomes of them when that person is forgotten: by the address."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from portal.accounts.models import Person
from portal.domains.models import PortalDomain
from portal.extensions import db
from portal.notifications.subscribers.following import followed_by
from portal.notifications.subscribers.forgetting import forget
from portal.notifications.subscribers.models import Subscriber
from portal.records import erasure
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind


def _of(person_id: int | None) -> Any:
    address = select(Person.email_key).where(Person.id == person_id).scalar_subquery()
    return Subscriber.address_key == address


def _rows(person_id: int | None, _now: datetime) -> Iterator[Told]:
    followed = followed_by(db.session.scalars(select(Subscriber.id).where(_of(person_id))).all())
    statement = (
        select(
            Subscriber.id,
            PortalDomain.brand,
            Subscriber.address,
            Subscriber.topics,
            Subscriber.state,
            Subscriber.consent,
            Subscriber.created_at,
            Subscriber.confirmed_at,
        )
        .join(PortalDomain, PortalDomain.id == Subscriber.domain_id)
        .where(_of(person_id))
    )
    for row in in_pieces(statement, Subscriber.id):
        yield {
            "portal": row.brand,
            "address": row.address,
            "topics": ", ".join([*row.topics, *followed.get(row.id, ())]),
            "state": row.state,
            "consent": row.consent,
            "since": row.created_at,
            "confirmed": row.confirmed_at,
        }


def _count(person_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(Subscriber).where(_of(person_id))) or 0


def _forget(person_id: int, now: datetime) -> int:
    return forget(db.session.scalars(select(Subscriber.id).where(_of(person_id))).all(), now)


register(
    Part(
        ExportKind.PERSON,
        "subscriptions",
        "what the address subscribed to on public pages",
        {
            "portal": "Portal",
            "address": "Address",
            "topics": "Topics",
            "state": "State",
            "consent": "How they agreed",
            "since": "Since",
            "confirmed": "Confirmed",
        },
        _rows,
        34,
    )
)
erasure.register(
    # Before the mails of the ledger, which are found by the address too.
    erasure.Eraser(ExportKind.PERSON, "subscriptions", "subscriptions on public pages", _count, _forget, 0)
)
