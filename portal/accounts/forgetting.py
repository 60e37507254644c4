"""What this capability forgets once it is old, and what it holds about a person or a company."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select

from portal.accounts.models import (
    AccountMail,
    ApiAnswer,
    ApiToken,
    MailedLink,
    Membership,
    Person,
    RecoveryCode,
    SecondFactor,
    Session,
)
from portal.accounts.rules import LIFETIMES
from portal.database import Base
from portal.extensions import db
from portal.records import erasure, retention
from portal.records.retention import Keeping, rows_older
from portal.records.rules.exports import ExportKind

OLDEST = max(each.absolute for each in LIFETIMES.values())
"""A session older than this can be used by nobody, whether anybody ended it or not."""


def _old_sessions(before: datetime) -> ColumnElement[bool]:
    return or_(Session.revoked_at < before, Session.created_at < before - OLDEST)


retention.register(
    Keeping(
        "sessions",
        "Sessions",
        "Sessions, from when they ended: host, address and browser.",
        30,
        1,
        **rows_older(_old_sessions, Session.id),
        place=10,
    )
)
retention.register(
    Keeping(
        "links",
        "Mailed links",
        "Links for invitations, new passwords and new addresses, from when they stopped working.",
        30,
        1,
        **rows_older(lambda before: MailedLink.expires_at < before, MailedLink.id),
        place=20,
    )
)
retention.register(
    Keeping(
        "account_mails",
        "Mails about accounts",
        "What was written to people about their own account, from when it was handed over.",
        30,
        1,
        **rows_older(lambda before: AccountMail.handled_at < before, AccountMail.id),
        place=21,
    )
)
retention.register(
    Keeping(
        "api_answers",
        "Answers kept for a key",
        "What the API answered to a request with an Idempotency-Key, so that a repeat within a day gets the same.",
        2,
        1,
        **rows_older(lambda before: ApiAnswer.created_at < before, ApiAnswer.id),
        place=40,
    )
)


def _rows(model: type[Base], whose: Any) -> tuple[Callable[[int], int], Callable[[int, datetime], int]]:
    """How many rows of a table are somebody's, and taking them away."""

    def count(subject_id: int) -> int:
        return db.session.scalar(select(func.count()).select_from(model).where(whose == subject_id)) or 0

    def erase(subject_id: int, now: datetime) -> int:
        gone = db.session.execute(
            delete(model).where(whose == subject_id), execution_options={"synchronize_session": False}
        )
        return cast(CursorResult[Any], gone).rowcount

    return count, erase


def _mails_to(person_id: int) -> Any:
    """Mails about an account are known by person or, from those who asked for a way back in, by address."""
    address = select(Person.email_key).where(Person.id == person_id).scalar_subquery()
    return or_(AccountMail.person_id == person_id, func.lower(AccountMail.address) == address)


def _count_mails(person_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(AccountMail).where(_mails_to(person_id))) or 0


def _erase_mails(person_id: int, now: datetime) -> int:
    gone = db.session.execute(
        delete(AccountMail).where(_mails_to(person_id)), execution_options={"synchronize_session": False}
    )
    return cast(CursorResult[Any], gone).rowcount


def _answers_naming(person_id: int) -> Any:
    """Answers of the API that are kept to be given again, where their address stands in them."""
    address = db.session.scalar(select(Person.email).where(Person.id == person_id)) or ""
    return ApiAnswer.body.contains(json.dumps(address, ensure_ascii=False), autoescape=True)


def _count_answers(person_id: int) -> int:
    found = select(func.count()).select_from(ApiAnswer).where(_answers_naming(person_id))
    return db.session.scalar(found) or 0


def _erase_answers(person_id: int, now: datetime) -> int:
    gone = db.session.execute(
        delete(ApiAnswer).where(_answers_naming(person_id)), execution_options={"synchronize_session": False}
    )
    return cast(CursorResult[Any], gone).rowcount


for _about, _name, _told, _model, _whose in (
    (ExportKind.PERSON, "memberships", "companies they act for", Membership, Membership.person_id),
    (ExportKind.PERSON, "sessions", "sessions, open and ended", Session, Session.person_id),
    (ExportKind.PERSON, "links", "mailed links", MailedLink, MailedLink.person_id),
    (ExportKind.PERSON, "second_factor", "second factor", SecondFactor, SecondFactor.person_id),
    (ExportKind.PERSON, "recovery_codes", "recovery codes", RecoveryCode, RecoveryCode.person_id),
    (ExportKind.PERSON, "api_tokens", "API tokens they made", ApiToken, ApiToken.created_by_id),
    (ExportKind.COMPANY, "memberships", "people who act for it", Membership, Membership.company_id),
    (ExportKind.COMPANY, "sessions", "sessions of its people", Session, Session.company_id),
    (ExportKind.COMPANY, "api_tokens", "API tokens bound to it", ApiToken, ApiToken.company_id),
):
    erasure.register(erasure.Eraser(_about, _name, _told, *_rows(_model, _whose), 10))
erasure.register(
    erasure.Eraser(ExportKind.PERSON, "account_mails", "mails about their account", _count_mails, _erase_mails, 9)
)
erasure.register(
    erasure.Eraser(
        ExportKind.PERSON,
        "api_answers",
        "answers of the API that are kept for a day",
        _count_answers,
        _erase_answers,
        9,
    )
)
