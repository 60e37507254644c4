"""For how long calls and what they came to are kept, and what of it goes with a company."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import func, select

from portal.extensions import db
from portal.records import erasure, retention
from portal.records.rules.exports import ExportKind
from portal.usage.calls import actions
from portal.usage.calls.models import CallRecord, CallTally
from portal.usage.calls.queries import DAYS, HOURS, MINUTES, RECORDS
from portal.usage.calls.rules import CallStep


def _older(column: Any, *conditions: Any) -> Callable[[datetime], int]:
    def count(before: datetime) -> int:
        old = (*conditions, column < CallStep.DAY.begin(before))
        found = select(column).where(*old).limit(retention.COUNTED_AT_MOST).subquery()
        return db.session.scalar(select(func.count()).select_from(found)) or 0

    return count


retention.register(
    retention.Keeping(
        RECORDS,
        "Call records",
        "Who called whom and how it ended, by days of UTC from the start. What they came to stays; no late one is "
        "taken for such a day.",
        default_days=60,
        least_days=2,
        count=_older(CallRecord.started_at),
        forget=actions.forget_calls,
        place=82,
    )
)
for _name, _label, _step, _days, _least in (
    (MINUTES, "Calls by minutes", CallStep.MINUTE, 35, 32),
    (HOURS, "Calls by hours", CallStep.HOUR, 400, 32),
    (DAYS, "Calls by days", CallStep.DAY, 1100, 366),
):
    retention.register(
        retention.Keeping(
            _name,
            _label,
            "What figures and charts of calls are made of: attempts, answers and times, added up.",
            default_days=_days,
            least_days=_least,
            count=_older(CallTally.at, CallTally.step == _step),
            forget=partial(actions.forget_tallies, _step),
            place=83,
        )
    )


def _count(company_id: int) -> int:
    return db.session.scalar(select(func.count(CallRecord.id)).where(CallRecord.company_id == company_id)) or 0


def _erase(company_id: int, now: datetime) -> int:
    """The rows themselves go with the company's, by the database."""
    return _count(company_id)


erasure.register(
    erasure.Eraser(ExportKind.COMPANY, "calls", "calls it made or took, with what they came to", _count, _erase, 22)
)
