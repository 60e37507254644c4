"""What the outbox forgets: the rows of its ledger once they are old, and what names somebody who is to be forgotten."""

from datetime import datetime
from typing import Any, cast

from flask import current_app
from sqlalchemy import CursorResult, String, delete, exists, func, literal, or_, select, update
from sqlalchemy import cast as sql_cast

from portal import events
from portal.accounts.actions.anonymise import NOWHERE
from portal.accounts.models import Person
from portal.extensions import db
from portal.notifications import marks
from portal.notifications.models import (
    RAW,
    Broadcast,
    CompanyPreference,
    Delivery,
    DeliveryAttempt,
    Preference,
    Strike,
    Suppression,
)
from portal.notifications.rules import OPEN_STATES, STRIKE_WINDOW, BroadcastState, DeliveryState, hashed_address
from portal.records import erasure, retention
from portal.records.retention import COUNTED_AT_MOST, Keeping
from portal.records.rules.exports import ExportKind

ENDED = (BroadcastState.DONE, BroadcastState.CANCELLED)


# What is old


def _count_ledger(before: datetime) -> int:
    old = select(Broadcast.id).where(Broadcast.state.in_(ENDED), Broadcast.finished_at < before)
    found = select(Delivery.id).where(Delivery.broadcast_id.in_(old)).limit(COUNTED_AT_MOST).subquery()
    return db.session.scalar(select(func.count()).select_from(found)) or 0


def _forget_ledger(before: datetime, limit: int) -> int:
    """Take the next rows of the oldest broadcast that has any. Their sums are written on it first, so what was sent
    and what failed is still told, and right while the rows are going."""
    broadcast = db.session.execute(
        select(Broadcast.id, Broadcast.counted)
        .where(
            Broadcast.state.in_(ENDED),
            Broadcast.finished_at < before,
            exists().where(Delivery.broadcast_id == Broadcast.id),
        )
        .order_by(Broadcast.id)
        .limit(1)
        .with_for_update(of=Broadcast)
    ).one_or_none()
    if broadcast is None:
        return 0
    if broadcast.counted is None:
        sums = db.session.execute(
            select(Delivery.state, func.count()).where(Delivery.broadcast_id == broadcast.id).group_by(Delivery.state)
        ).all()
        counted = {state.value: number for state, number in sums}
        db.session.execute(
            update(Broadcast).where(Broadcast.id == broadcast.id).values(counted=counted), execution_options=RAW
        )
    some = select(Delivery.id).where(Delivery.broadcast_id == broadcast.id).limit(limit)
    gone = db.session.execute(delete(Delivery).where(Delivery.id.in_(some)), execution_options=RAW)
    events.ring(events.broadcast_topic(broadcast.id))
    return cast(CursorResult[Any], gone).rowcount


retention.register(
    Keeping(
        "mail_ledger",
        "Mail ledger",
        "Who was mailed, with the server's words, from when the broadcast ended. The broadcast and its sums stay.",
        730,
        30,
        count=_count_ledger,
        forget=_forget_ledger,
        place=30,
    )
)

retention.register(
    Keeping(
        "ended_suppressions",
        "Ended suppressions",
        "Addresses that rested in quarantine, or were stopped until a day, from when that was over.",
        90,
        1,
        **retention.rows_older(lambda before: Suppression.until < before, Suppression.id),
        place=31,
    )
)
retention.register(
    Keeping(
        "strikes",
        "Strikes",
        "Days on which mails to an address failed for now, of which three make a quarantine.",
        90,
        STRIKE_WINDOW.days,
        **retention.rows_older(lambda before: Strike.created_at < before, Strike.id),
        place=32,
    )
)


# A person


def _to(person_id: int) -> Any:
    """The deliveries to a person: theirs by address, or by id under an address they had before."""
    address = select(Person.email_key).where(Person.id == person_id).scalar_subquery()
    return or_(Delivery.address_key == address, Delivery.person_id == person_id)


def _count_open(person_id: int) -> int:
    open_ones = select(func.count()).select_from(Delivery).where(_to(person_id), Delivery.state.in_(OPEN_STATES))
    return db.session.scalar(open_ones) or 0


def _cancel_open(person_id: int, now: datetime) -> int:
    return _cancel(_to(person_id), now)


def _cancel(whose: Any, now: datetime) -> int:
    """Call off what no server was offered yet; a row that is in a sender's hands this moment ends with its answer."""
    waiting = select(Delivery.id).where(whose, marks.can_be_called_off()).with_for_update(skip_locked=True, of=Delivery)
    cancelled = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(waiting))
        .values(state=DeliveryState.CANCELLED, finished_at=now)
        .returning(Delivery.broadcast_id),
        execution_options=RAW,
    ).all()
    events.ring(*{events.broadcast_topic(broadcast_id) for (broadcast_id,) in cancelled})
    return len(cancelled)


def _count_mails(person_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(Delivery).where(_to(person_id))) or 0


def _blank_mails(person_id: int, now: datetime) -> int:
    """Keep that a mail was sent and how it ended; take away to whom, with which words, and what the server said."""
    ids = select(Delivery.id).where(_to(person_id))
    db.session.execute(
        update(DeliveryAttempt).where(DeliveryAttempt.delivery_id.in_(ids)).values(answer=None), execution_options=RAW
    )
    nobody = f"former-{person_id}@{NOWHERE}"
    blanked = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids))
        .values(
            address=nobody,
            address_key=nobody,
            name="",
            values={},
            answer=None,
            dedupe_key=literal("erased:") + sql_cast(Delivery.id, String),
        ),
        execution_options=RAW,
    )
    return cast(CursorResult[Any], blanked).rowcount


def _address_of(person_id: int) -> str:
    return db.session.scalar(select(Person.email_key).where(Person.id == person_id)) or ""


def _count_suppressions(person_id: int) -> int:
    whose = Suppression.address_key == _address_of(person_id)
    return db.session.scalar(select(func.count()).select_from(Suppression).where(whose)) or 0


def _hash_suppressions(person_id: int, now: datetime) -> int:
    """What somebody did not want must still hold if their address ever comes back, so a hash of it stays."""
    address = _address_of(person_id)
    secret: str = current_app.config["SETTINGS"].secret_key
    hashed = db.session.execute(
        update(Suppression)
        .where(Suppression.address_key == address)
        .values(address_key=hashed_address(secret, address), detail=None, delivery_id=None),
        execution_options=RAW,
    )
    db.session.execute(delete(Strike).where(Strike.address_key == address), execution_options=RAW)
    return cast(CursorResult[Any], hashed).rowcount


def _count_preferences(person_id: int) -> int:
    whose = Preference.person_id == person_id
    return db.session.scalar(select(func.count()).select_from(Preference).where(whose)) or 0


def _erase_preferences(person_id: int, now: datetime) -> int:
    gone = db.session.execute(delete(Preference).where(Preference.person_id == person_id), execution_options=RAW)
    return cast(CursorResult[Any], gone).rowcount


# A company


def _count_company_preferences(company_id: int) -> int:
    whose = CompanyPreference.company_id == company_id
    return db.session.scalar(select(func.count()).select_from(CompanyPreference).where(whose)) or 0


def _erase_company_preferences(company_id: int, now: datetime) -> int:
    gone = db.session.execute(
        delete(CompanyPreference).where(CompanyPreference.company_id == company_id), execution_options=RAW
    )
    return cast(CursorResult[Any], gone).rowcount


def _through(company_id: int) -> Any:
    """Open mails that go to people through this company and no other; others are asked about before each sending."""
    only = sql_cast(Delivery.company_ids, String).in_((f"[{company_id}]",))
    return Delivery.state.in_(OPEN_STATES) & only


def _count_company_mails(company_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(Delivery).where(_through(company_id))) or 0


def _cancel_company_mails(company_id: int, now: datetime) -> int:
    return _cancel(_through(company_id), now)


PERSON = ExportKind.PERSON
for _eraser in (
    erasure.Eraser(PERSON, "open_mails", "mails that wait are called off", _count_open, _cancel_open, 1),
    erasure.Eraser(PERSON, "mails", "mails in the ledger lose name and address", _count_mails, _blank_mails, 2),
    erasure.Eraser(
        PERSON,
        "suppressions",
        "wishes not to be mailed are kept as a hash only",
        _count_suppressions,
        _hash_suppressions,
        3,
    ),
    erasure.Eraser(PERSON, "preferences", "choices of mails", _count_preferences, _erase_preferences, 4),
    erasure.Eraser(
        ExportKind.COMPANY,
        "open_mails",
        "mails that wait are called off",
        _count_company_mails,
        _cancel_company_mails,
        1,
    ),
    erasure.Eraser(
        ExportKind.COMPANY,
        "preferences",
        "choices of mails",
        _count_company_preferences,
        _erase_company_preferences,
        2,
    ),
):
    erasure.register(_eraser)
