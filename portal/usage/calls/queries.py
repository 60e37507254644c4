"""Reading calls and what they come to.

Everything here is of companies that are named: who asks says which, and was looked at before. What calls come to is
read from sums that were written with the records, so no answer grows with how many calls there were.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from portal.keyset import Order, Piece, Wanted
from portal.records import retention
from portal.usage.calls.models import CallRecord
from portal.usage.calls.rules import WHOLE, CallStep, Outcome, Sums

PER_PAGE = 50
PAGES_AT_MOST = 100

RECORDS, MINUTES, HOURS, DAYS = "call records", "calls by minutes", "calls by hours", "calls by days"
"""The names under which it is set how long each is kept."""

CALL_ORDERS = {
    "-started_at": Order((CallRecord.started_at, CallRecord.call_id), is_descending=True),
    "started_at": Order((CallRecord.started_at, CallRecord.call_id)),
}


class Stretch(NamedTuple):
    """Calls of a company, or of a scope of it, from `begin` to before `end`; both are full minutes."""

    company_id: int
    scope: str
    begin: datetime
    end: datetime


class Tallied(NamedTuple):
    """What calls come to in the step that begins at `at`; `open` are the attempts in progress as it begins."""

    at: datetime
    sums: Sums
    open: int


@dataclass(frozen=True)
class Found:
    """One page of the calls that were searched, the newest first. `has_more` says whether another page follows."""

    items: Sequence[CallRecord]
    page: int
    has_more: bool


def sums_over(wanted: Collection[Stretch]) -> dict[Stretch, Sums]:
    """What calls come to in each of these stretches. A few statements for thousands of them."""
    raise NotImplementedError


def steps(company_id: int, scope: str, step: CallStep, begin: datetime, end: datetime) -> list[Tallied]:
    """The steps that begin from `begin` to before `end` in which anything happened, in the order of time. One query.

    `open` of a minute is exact too: it is counted from the hour before.
    """
    raise NotImplementedError


def channels_at(wanted: Collection[tuple[int, str]], at: datetime) -> dict[tuple[int, str], int]:
    """The calls in progress, those being set up too, of each company and scope as the minute of a moment begins.

    One statement for thousands of them.
    """
    raise NotImplementedError


def pdd_p95(company_id: int, begin: datetime, end: datetime, scope: str = WHOLE) -> Decimal | None:
    """The post-dial delay in milliseconds that 95 of 100 attempts stay within; None where nothing rang. One query."""
    raise NotImplementedError


def trunks_of(company_ids: Collection[int], since: datetime) -> Mapping[int, Sequence[str]]:
    """The trunks on which each of these companies had calls since a moment, by name. One query."""
    raise NotImplementedError


def search(
    company_id: int,
    *,
    number: str = "",
    call_id: str = "",
    outcome: Outcome | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
    page: int = 1,
) -> Found | None:
    """Calls of a company, the newest first, 50 a page; None for a page there cannot be.

    `number` finds whom called and who was called by the last digits. One query.
    """
    raise NotImplementedError


def records(
    company_id: int,
    wanted: Wanted,
    *,
    number: str = "",
    call_id: str = "",
    outcome: Outcome | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> Piece[CallRecord]:
    """A piece of the same, for machines. One query."""
    raise NotImplementedError


def call_by_id(company_id: int, call_id: str) -> CallRecord | None:
    """The call of this Call-ID of a company. One query."""
    raise NotImplementedError


def days_kept() -> int:
    """For how many days everything is kept that a late call is counted in. One query."""
    return min(each.days for each in retention.settings() if each.keeping.name in {RECORDS, MINUTES, HOURS, DAYS})
