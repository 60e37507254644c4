"""What the demo measures: a month of the post-dial delay, with a worse afternoon and an hour nobody measured."""

import math
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from portal.audit.rules import Actor
from portal.domains.models import PortalDomain
from portal.usage.actions import Wanted, add_metric, take_samples
from portal.usage.rules import BATCH_AT_MOST, Sample

EVERY = 300
DAYS = 29
"""Within what is kept sample by sample, or the first of them would be too late."""


def measure(portals: Mapping[str, PortalDomain], by: Actor, now: datetime) -> None:
    """One metric for everybody, on both portals, with a sample every five minutes."""
    dice = random.Random(11)  # noqa: S311 (the same month every time)
    metric = add_metric(
        Wanted(
            "post-dial-delay",
            "Time until it rings",
            "ms",
            interval=EVERY,
            domain_ids=frozenset(portal.id for portal in portals.values()),
        ),
        by=by,
        now=now - timedelta(days=DAYS),
    )
    count = DAYS * 86_400 // EVERY
    batch = [
        (metric.id, Sample(now - timedelta(seconds=number * EVERY), _delay(number, dice)))
        for number in range(count)
        if not 96 <= number < 108
    ]
    for start in range(0, len(batch), BATCH_AT_MOST):
        take_samples(batch[start : start + BATCH_AT_MOST], now)


def _delay(number: int, dice: random.Random) -> Decimal:
    """Milliseconds: more by day, a little noise, and four hours of trouble nine days ago."""
    day = 1 + math.sin((number % 288) / 288 * 2 * math.pi)
    trouble = 900 if 2600 <= number < 2648 else 0
    return Decimal(round(820 + 260 * day + trouble + dice.gauss(0, 45)))
