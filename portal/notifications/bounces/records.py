"""How long reports are kept; what of them is told when somebody asks for their data, and goes with who is forgotten."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, func, or_, select, update

from portal.accounts.actions.anonymise import NOWHERE
from portal.accounts.models import Person
from portal.extensions import db
from portal.notifications.bounces.models import BounceReport
from portal.notifications.models import RAW, Delivery
from portal.records import erasure, retention
from portal.records.parts import Part, in_pieces, register
from portal.records.retention import Keeping, rows_older
from portal.records.rules.exports import ExportKind

retention.register(
    Keeping(
        "bounce_reports",
        "Returned mails",
        "Reports that a mail did not arrive, and complaints, with their words. What follows from them stays.",
        90,
        30,
        **rows_older(lambda before: BounceReport.received_at < before, BounceReport.id),
        place=31,
    )
)


def _of(person_id: int | None) -> Any:
    """The reports about a person's address, or about a mail to them under one they had before."""
    address = select(Person.email_key).where(Person.id == person_id).scalar_subquery()
    theirs = select(Delivery.id).where(Delivery.person_id == person_id)
    return or_(BounceReport.address_key == address, BounceReport.delivery_id.in_(theirs))


def _count(person_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(BounceReport).where(_of(person_id))) or 0


def _blank(person_id: int, now: datetime) -> int:
    """Keep that a mail came back and what followed; take away whose it was and what the report said."""
    ids = select(BounceReport.id).where(_of(person_id))
    blanked = db.session.execute(
        update(BounceReport)
        .where(BounceReport.id.in_(ids))
        .values(address_key=f"former-{person_id}@{NOWHERE}", subject="", words=""),
        execution_options=RAW,
    )
    return cast(CursorResult[Any], blanked).rowcount


erasure.register(
    erasure.Eraser(
        ExportKind.PERSON, "bounce_reports", "reports of returned mails lose name and words", _count, _blank, 5
    )
)


def _told(person_id: int | None, now: datetime) -> Iterator[Mapping[str, Any]]:
    statement = select(
        BounceReport.address_key.label("address"),
        BounceReport.outcome,
        BounceReport.words,
        BounceReport.received_at,
    ).where(_of(person_id))
    for row in in_pieces(statement, BounceReport.id):
        yield row._mapping


register(
    Part(
        ExportKind.PERSON,
        "bounces",
        "reports of mails that came back",
        {"address": "Address", "outcome": "Outcome", "words": "Words", "received_at": "Received"},
        _told,
        33,
    )
)
