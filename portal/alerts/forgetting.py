"""For how long it is kept what happened to alerts, and what of them goes with a company or a person."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select, update

from portal.accounts.models import Person
from portal.alerts import mails
from portal.alerts.actions import following
from portal.alerts.models import Alert, AlertEvent, AlertRecipient, AlertWatch
from portal.alerts.rules import RecipientKind
from portal.extensions import db
from portal.notifications.channels.records import forget_numbers
from portal.notifications.models import Broadcast
from portal.records import erasure, retention
from portal.records.rules.exports import ExportKind
from portal.searching import key_of

RAW: Any = {"synchronize_session": False}

FORGOTTEN = "An alert of a company that was forgotten"


def _is_old(before: datetime) -> ColumnElement[bool]:
    return AlertEvent.at < before


retention.register(
    retention.Keeping(
        "alert_events",
        "What happened to alerts",
        "When alerts were triggered, normal again or without data. How they stand now is no part of it, and stays.",
        default_days=400,
        least_days=30,
        place=82,
        **retention.rows_older(_is_old, AlertEvent.id),
    )
)


def _count_of_company(company_id: int) -> int:
    return db.session.scalar(select(func.count(AlertWatch.id)).where(AlertWatch.company_id == company_id)) or 0


def _erase_company(company_id: int, now: datetime) -> int:
    """Take its alerts and watches away before its mails are called off: whoever looks at them now is waited for, so
    that no notice is written behind that. What was said of them goes too: a notice is about one company alone.

    Nobody follows what comes in meanwhile: who does holds sources of the company and waits for its watches, and here it
    is the other way round.
    """
    following.hold_clock()
    mine = select(AlertWatch.id).where(AlertWatch.company_id == company_id)
    db.session.execute(mine.order_by(AlertWatch.id).with_for_update())
    _forget_what_was_said(company_id, now)
    gone = db.session.execute(delete(AlertWatch).where(AlertWatch.company_id == company_id), execution_options=RAW)
    db.session.execute(delete(Alert).where(Alert.company_id == company_id), execution_options=RAW)
    return cast(CursorResult[Any], gone).rowcount


def _forget_what_was_said(company_id: int, now: datetime) -> None:
    """Leave no words in the notices about a company, and no number that only its own alerts name."""
    db.session.execute(
        update(Broadcast)
        .where(
            Broadcast.kind.in_((mails.KIND, mails.TEST)), Broadcast.selector["company_id"].as_integer() == company_id
        )
        .values(title=FORGOTTEN, title_key=key_of(FORGOTTEN), content={}, selector=mails.FORGOTTEN),
        execution_options=RAW,
    )
    phones = select(AlertRecipient.address).join(Alert).where(AlertRecipient.kind == RecipientKind.PHONE)
    named_elsewhere = phones.where(or_(Alert.company_id.is_(None), Alert.company_id != company_id))
    mine = phones.where(Alert.company_id == company_id, AlertRecipient.address.not_in(named_elsewhere))
    forget_numbers(set(db.session.scalars(mine)), now)


def _count_of_person(person_id: int) -> int:
    return db.session.scalar(select(func.count(AlertRecipient.id)).where(_names(person_id))) or 0


def _names(person_id: int) -> ColumnElement[bool]:
    """The condition that a recipient is this person, or the bare address they have."""
    address = select(Person.email_key).where(Person.id == person_id).scalar_subquery()
    return or_(AlertRecipient.person_id == person_id, func.lower(AlertRecipient.address) == address)


def _erase_person(person_id: int, now: datetime) -> int:
    gone = db.session.execute(delete(AlertRecipient).where(_names(person_id)), execution_options=RAW)
    return cast(CursorResult[Any], gone).rowcount


erasure.register(
    erasure.Eraser(
        ExportKind.COMPANY,
        "alerts",
        "alerts that watch it, with what happened to them",
        _count_of_company,
        _erase_company,
        0,
    )
)
erasure.register(
    erasure.Eraser(
        ExportKind.PERSON, "alerts", "places among the recipients of alerts", _count_of_person, _erase_person, 0
    )
)
