"""Calls as a switch tells of them."""

from datetime import datetime, timedelta
from typing import Any

from portal import clock
from portal.accounts.models import Company
from portal.usage.calls.actions import take_calls
from portal.usage.calls.rules import Call, Outcome, milliseconds


def call(name: str, ago: timedelta, *, talk: int | None = 60, **rest: Any) -> Call:
    """A call that began so long ago and rang after two seconds; without `talk` nobody answered."""
    started = milliseconds(clock.utcnow() - ago)
    told: dict[str, Any] = {
        "from_number": "+441632960001",
        "to_number": "+4930901820",
        "ringing": started + 2000,
        "answered": None if talk is None else started + 5000,
        "ended": started + 5000 + (talk or 0) * 1000,
        "outcome": Outcome.NO_ANSWER if talk is None else Outcome.ANSWERED,
        "code": 480 if talk is None else 200,
        "trunk": "INTERNAL-TRUNK",
        "carrier": "INTERNAL-CARRIER",
        "service_id": None,
    }
    return Call(name, started=started, **told | rest)


def take(company: Company, *calls: Call, now: datetime | None = None) -> None:
    take_calls([(company.id, each) for each in calls], now or clock.utcnow())
