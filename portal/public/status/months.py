"""A month of the past under its own address, which stays."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, NamedTuple

from portal.accounts.rules import Viewpoint
from portal.domains.announcements.queries import told_between
from portal.domains.models import PortalDomain
from portal.incidents.queries.months import PER_PAGE, Worked, began_between, first_beginning, worked_between
from portal.incidents.rules import MaintenanceState
from portal.incidents.rules.maintenance import state_of
from portal.language import current, reader_zone
from portal.public.status.pages import by_day

WRITTEN = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


class Month(NamedTuple):
    """A month of a year, as a clock of the reader's zone counts it."""

    year: int
    month: int

    @classmethod
    def read(cls, written: str) -> "Month | None":
        """The month written as 2026-11; None for anything else."""
        found = WRITTEN.fullmatch(written)
        return cls(int(found[1]), int(found[2])) if found and 1970 <= int(found[1]) <= 9000 else None

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        """The month of this moment in the reader's zone."""
        local = moment.astimezone(reader_zone())
        return cls(local.year, local.month)

    @property
    def first_day(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def address(self) -> str:
        return f"/status/history/{self.year:04}-{self.month:02}"

    def moved(self, months: int) -> "Month":
        """So many months later."""
        years, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(years, month + 1)

    def begins_at(self) -> datetime:
        """Its first moment, in UTC."""
        return datetime.combine(self.first_day, time.min, reader_zone()).astimezone(UTC)


def month_view(
    viewpoint: Viewpoint, domain: PortalDomain, month: Month, page: int, now: datetime
) -> dict[str, Any] | None:
    """What the page of a month shows; None for one that is not over or under way, or that has no such page.

    Seven queries at most. A month in which nothing happened is there, and says so, from the first one on.
    """
    last = Month.of(now)
    if month > last:
        return None
    begin, end = month.begins_at(), month.moved(1).begins_at()
    listed = began_between(viewpoint, begin, end, page, now)
    if listed is None:
        return None
    since = first_beginning(viewpoint, now)
    first = min(Month.of(since or now), Month.of(domain.created_at))
    if month < first:
        return None
    is_first_page = page == 1
    return {
        "month": month,
        "before": month.moved(-1) if month > first else None,
        "after": month.moved(1) if month < last else None,
        "listed": listed,
        "days": by_day(listed.items),
        "work": _with_states(worked_between(viewpoint, begin, end, now), now) if is_first_page else [],
        "told": told_between(domain.id, (current(), domain.language), begin, end, now) if is_first_page else [],
        "is_signed_out": viewpoint.is_signed_out,
        "most": PER_PAGE,
    }


def _with_states(work: Sequence[Worked], now: datetime) -> list[tuple[Worked, MaintenanceState]]:
    return [(each, state_of(each, now)) for each in work]
