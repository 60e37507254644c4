"""For how long what was measured is kept, and what of it goes with a company."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import func, select

from portal.extensions import db
from portal.records import erasure, retention
from portal.records.rules.exports import ExportKind
from portal.usage import actions
from portal.usage.models import Metric, MetricFigure, MetricSample
from portal.usage.queries import DAYS, FIVE_MINUTES, HOURS, SAMPLES
from portal.usage.rules import Step


def _older(table: Any, *conditions: Any) -> Callable[[datetime], int]:
    def count(before: datetime) -> int:
        old = (*conditions, table.at < Step.DAY.begin(before))
        found = select(table.at).where(*old).limit(retention.COUNTED_AT_MOST).subquery()
        return db.session.scalar(select(func.count()).select_from(found)) or 0

    return count


retention.register(
    retention.Keeping(
        SAMPLES,
        "Samples of metrics",
        "Each value as it came in, by days of UTC. Figures made of them stay; no late one is taken for such a day.",
        default_days=30,
        least_days=2,
        count=_older(MetricSample),
        forget=actions.forget_samples,
        place=80,
    )
)
for _name, _label, _step, _days, _least in (
    (FIVE_MINUTES, "Figures of five minutes", Step.FIVE_MINUTES, 92, 2),
    (HOURS, "Figures of an hour", Step.HOUR, 400, 31),
    (DAYS, "Figures of a day", Step.DAY, 1100, 366),
):
    retention.register(
        retention.Keeping(
            _name,
            f"{_label} (metrics)",
            "What charts are drawn of: count, sum, least, most and last of the samples.",
            default_days=_days,
            least_days=_least,
            count=_older(MetricFigure, MetricFigure.step == _step),
            forget=partial(actions.forget_figures, _step),
            place=81,
        )
    )


def _count(company_id: int) -> int:
    return db.session.scalar(select(func.count(Metric.id)).where(Metric.company_id == company_id)) or 0


def _erase(company_id: int, now: datetime) -> int:
    """The rows themselves go with the company's, by the database."""
    return _count(company_id)


erasure.register(
    erasure.Eraser(ExportKind.COMPANY, "metrics", "metrics about it, with all that was measured", _count, _erase, 21)
)
