"""A company with a balance that is measured, and alerts about it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.models import Company
from portal.alerts import actions
from portal.alerts.models import Alert, AlertEvent, AlertWatch
from portal.alerts.rules import AlertArea, Operator
from portal.alerts.rules.checks import Wanted
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.usage.actions import Wanted as WantedMetric
from portal.usage.actions import add_metric, take_samples
from portal.usage.models import Metric
from portal.usage.rules import Measure, Sample
from tests.conftest import NOW, Cast

LOW_BALANCE = Wanted(
    "Low balance", AlertArea.BALANCE, Operator.LESS, threshold=Decimal(10), recipients=("noc@elsewhere.test",)
)
STEPS = iter(range(1, 1_000_000))


def balance_of(company: Company, *, service_id: int | None = None, now: datetime = NOW, **values: Any) -> Metric:
    """A metric that delivers the balance of a company, every minute."""
    key = f"balance-{company.id}-{next(STEPS)}"
    wanted = WantedMetric(
        key, "Balance", "EUR", company_id=company.id, service_id=service_id, measure=Measure.BALANCE, decimals=2
    )
    return add_metric(replace(wanted, **values), by=SYSTEM, now=now - timedelta(days=1))


def take(metric: Metric, value: float | str, at: datetime) -> None:
    """One sample comes in."""
    take_samples([(metric.id, Sample(at, Decimal(str(value))))], at)


def add(wanted: Wanted, company: Company | None = None, *, now: datetime = NOW, **values: Any) -> Alert:
    """An alert as staff make it, of this company where the wish names none."""
    whose: dict[str, Any] = {"company_id": company.id} if company is not None else {}
    return actions.add_alert(
        replace(wanted, **whose, **values), by=SYSTEM, now=now, idempotency_key=f"alert-{next(STEPS)}"
    )


def watch_of(alert: Alert, company: Company) -> AlertWatch:
    """How the alert stands for the company, read anew."""
    return db.session.scalars(
        select(AlertWatch)
        .where(AlertWatch.alert_id == alert.id, AlertWatch.company_id == company.id)
        .execution_options(populate_existing=True)
    ).one()


def happened(alert: Alert) -> list[str]:
    """What stands in the log of an alert, in its order; with a plus what was told."""
    rows = db.session.execute(
        select(AlertEvent.kind, AlertEvent.broadcast_id)
        .join(AlertWatch, AlertWatch.id == AlertEvent.watch_id)
        .where(AlertWatch.alert_id == alert.id)
        .order_by(AlertEvent.id)
    )
    return [kind.value + ("+" if broadcast_id else "") for kind, broadcast_id in rows]


@dataclass
class Meter:
    """The balance of company A over time: what comes in, and looking at it."""

    metric: Metric
    now: datetime = NOW

    def reads(self, *values: float | str | None, after: timedelta = timedelta(minutes=1)) -> None:
        """Let time pass before each value comes in, or nothing does, and look at what is due."""
        for value in values:
            self.now += after
            if value is not None:
                take(self.metric, value, self.now)
            actions.evaluate_all(self.now)


@pytest.fixture
def meter(cast: Cast) -> Meter:
    return Meter(balance_of(cast.a))
