"""What figures of companies are, now and back then: of many at once, in as many statements for thousands as for one.

A reading is what a screen shows and an alert judges, rounded as it is shown. A windowed figure is of the half-open
stretch of `window` seconds that ends at the last full minute `calls_delay` seconds ago, since records of calls come a
little late; where a metric delivers samples of it, it ends now. Nothing read here grows with what is stored.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from portal.usage.rules import Measure

HISTORY_AT_MOST = 43_200
"""Readings of one history: a month of minutes."""


class Subject(NamedTuple):
    """A figure somebody asks for: of a company, or of one service or one trunk of it.

    `window` is how many seconds it looks back over where it is of a stretch of time, and says nothing else. Of a trunk
    and a service together it is of the trunk. A figure that is somebody's own is named by its metric.
    """

    measure: Measure
    company_id: int
    service_id: int | None = None
    trunk: str = ""
    metric_id: int | None = None
    window: int = 0


@dataclass(frozen=True)
class Reading:
    """What a figure was at a moment: `value` as it is shown, None where it is undefined, as a ratio of no calls is.

    `count` is the calls behind it, None where none are. `is_stale` says that what should deliver it does not: it is
    late, or nothing delivers it at all. `next_at` is when it may change although nothing comes in; None for not before
    something does.
    """

    value: Decimal | None
    count: int | None
    at: datetime
    is_stale: bool
    next_at: datetime | None


def readings(subjects: Collection[Subject], now: datetime) -> dict[Subject, Reading]:
    """What these figures are now."""
    raise NotImplementedError


def history(subject: Subject, begin: datetime, end: datetime) -> list[Reading]:
    """What a figure was, from `begin` to before `end`: one reading at each minute at which it may have changed.

    At most 43,200, the latest ones, in the order of time; of what is still kept.
    """
    raise NotImplementedError
