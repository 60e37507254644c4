"""Calls of the tests, and what is kept of them and of what they came to."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import select

from portal.extensions import db
from portal.usage.calls.actions import SAID
from portal.usage.calls.models import CallRecord, CallTally
from portal.usage.calls.rules import Call, Outcome, milliseconds
from tests.conftest import NOW

T0 = milliseconds(NOW) - 3 * 3_600_000 - 7_000


def call(call_id: str = "a@switch", start: int = 0, **said: Any) -> Call:
    """A call that started so many milliseconds after 08:59:53; other moments are told likewise."""
    moments = {name: None if said.get(name) is None else T0 + said[name] for name in ("ringing", "answered", "ended")}
    outcome = said.get("outcome", Outcome.ANSWERED if said.get("answered") is not None else None)
    return Call(
        call_id,
        said.get("caller", "+4930123456"),
        said.get("called", "+442071234567"),
        T0 + start,
        moments["ringing"],
        moments["answered"],
        moments["ended"],
        outcome,
        said.get("code"),
        said.get("trunk", ""),
        said.get("carrier", ""),
        said.get("service_id"),
    )


def kept(company_id: int) -> list[Call]:
    db.session.expire_all()
    rows = db.session.scalars(select(CallRecord).where(CallRecord.company_id == company_id)).all()
    return [Call(*cast(Any, (_plain(getattr(row, name)) for name in SAID))) for row in rows]


def _plain(value: Any) -> Any:
    return milliseconds(value) if isinstance(value, datetime) else value


def stored(company_id: int) -> dict[Any, tuple[int, ...]]:
    """What is kept of what calls came to, without steps in which nothing is left."""
    db.session.expire_all()
    rows = db.session.scalars(select(CallTally).where(CallTally.company_id == company_id)).all()
    names = ("attempts", "answered", "effective", "rung", "pdd_ms", "ended", "talk_ms", "closed", "open", "peak")
    found = {(row.scope, row.step, milliseconds(row.at)): tuple(getattr(row, name) for name in names) for row in rows}
    return {key: values for key, values in found.items() if any(values)}
