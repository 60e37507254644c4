"""Alerts of the cast's companies, with figures to judge by."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from portal import clock
from portal.alerts import actions
from portal.alerts.models import Alert
from portal.alerts.rules import AlertArea, Operator
from portal.alerts.rules.checks import Wanted
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.usage.actions import Wanted as WantedMetric
from portal.usage.actions import add_metric, take_samples
from portal.usage.models import Metric
from portal.usage.rules import Measure, Sample
from tests.conftest import Cast

MakeAlert = Callable[..., Alert]


@pytest.fixture
def balance(cast: Cast) -> Metric:
    """What delivers the balance of A, in euros."""
    wanted = WantedMetric("balance-a", "Balance of A", "EUR", decimals=2, company_id=cast.a.id, measure=Measure.BALANCE)
    made = add_metric(wanted, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    return made


@pytest.fixture
def make_alert(cast: Cast) -> MakeAlert:
    """An alert of A's balance that is bad below 50, or as the keywords say."""
    made = []

    def make(title: str = "Balance is low", **other: Any) -> Alert:
        values: dict[str, Any] = {
            "area": AlertArea.BALANCE,
            "operator": Operator.LESS,
            "threshold": Decimal(50),
            "company_id": cast.a.id,
            "recipients": ("noc@elsewhere.test",),
        } | other
        made.append(title)
        wanted = Wanted(title=title, **values)
        alert = actions.add_alert(wanted, by=SYSTEM, now=clock.utcnow(), idempotency_key=f"test-{len(made)}")
        db.session.commit()
        return alert

    return make


def measure(metric: Metric, value: str, at: datetime | None = None) -> None:
    """Have it measured, and every alert looked at."""
    now = clock.utcnow()
    take_samples([(metric.id, Sample(at or now, Decimal(value)))], now)
    actions.evaluate_all(now)
    db.session.commit()
