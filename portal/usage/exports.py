"""What goes out of what was measured about a company."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select

from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind
from portal.usage.models import Metric, MetricFigure
from portal.usage.rules import Step


def _days(company_id: int | None, now: datetime) -> Iterator[Told]:
    """What was measured about the company, a line a day."""
    for metric in in_pieces(
        select(Metric.id, Metric.name, Metric.unit).where(Metric.company_id == company_id), Metric.id
    ):
        days = select(
            MetricFigure.count,
            MetricFigure.total,
            MetricFigure.least,
            MetricFigure.most,
            MetricFigure.last,
        ).where(MetricFigure.metric_id == metric.id, MetricFigure.step == Step.DAY)
        for row in in_pieces(days, MetricFigure.at):
            yield {
                "metric": metric.name,
                "unit": metric.unit,
                "day": row.key,
                "samples": row.count,
                "mean": f"{row.total / row.count:.6f}",
                "least": f"{row.least:f}",
                "most": f"{row.most:f}",
                "last": f"{row.last:f}",
            }


register(
    Part(
        ExportKind.COMPANY,
        "metrics",
        "what was measured about it, a line a day of UTC",
        {
            "metric": "Metric",
            "unit": "Unit",
            "day": "Day",
            "samples": "Samples",
            "mean": "Mean",
            "least": "Least",
            "most": "Most",
            "last": "Last",
        },
        _days,
        20,
    )
)
