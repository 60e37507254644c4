"""What there is to tell of an alert at one moment: gathered when it happens, and kept as JSON with the broadcast."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from portal.accounts.models import Company
from portal.alerts.models import Alert
from portal.alerts.rules import AlertArea, Happening, Measured
from portal.alerts.words import Thing, thing_of
from portal.catalogue.models import Service
from portal.extensions import db
from portal.usage.models import Metric
from portal.usage.readings import Subject, readings
from portal.usage.rules import Measure


@dataclass(frozen=True)
class Facts:
    """One happening of an alert for one company. `since` is when it became bad, `lasted` how long it was, once it is
    over. `balance` and `credit` are there where it is about money. `told` names it in links; empty for what is told in
    no mail."""

    alert: Alert
    company_id: int
    company: str
    says: Happening
    thing: Thing
    value: Decimal | None
    count: int | None
    at: datetime
    since: datetime | None = None
    lasted: timedelta | None = None
    balance: Decimal | None = None
    credit: Decimal | None = None
    watch_id: int | None = None
    told: str = ""

    @property
    def moments(self) -> dict[str, datetime]:
        """The moments of it, which each reader gets in their own time zone."""
        found = {"measured_at": self.at, "since": self.since}
        return {name: moment for name, moment in found.items() if moment is not None}

    def as_json(self) -> dict[str, Any]:
        """As it stands in the selector of its broadcast."""
        return {
            "company": self.company,
            "thing": {**asdict(self.thing), "area": self.thing.area.value},
            "says": self.says.value,
            "value": _text(self.value),
            "count": self.count,
            "at": self.at.isoformat(),
            "since": self.since.isoformat() if self.since else None,
            "lasted": self.lasted.total_seconds() if self.lasted is not None else None,
            "balance": _text(self.balance),
            "credit": _text(self.credit),
            "told": self.told,
        }


def gathered(
    alert: Alert,
    company_id: int,
    says: Happening,
    reading: Measured,
    *,
    since: datetime | None,
    watch_id: int | None,
    told: str,
    now: datetime,
) -> Facts:
    """What there is to tell now. At most three queries, and those of two readings where it is about money."""
    over = now - since if since is not None and says is Happening.NORMAL else None
    balance, credit = _money(alert, company_id, now) if alert.area.is_money else (None, None)
    return Facts(
        alert,
        company_id,
        _company(company_id),
        says,
        _thing(alert, company_id),
        reading.value,
        reading.count,
        reading.at,
        since if says is not Happening.REPORTED else None,
        over,
        balance,
        credit,
        watch_id,
        told,
    )


def read_back(selector: Mapping[str, Any]) -> Facts | None:
    """What was told by a broadcast, from its selector; None where the alert is gone. At most one query."""
    alert = db.session.get(Alert, selector["alert_id"])
    if alert is None:
        return None
    kept = selector["facts"]
    thing = {**kept["thing"], "area": AlertArea(kept["thing"]["area"])}
    return Facts(
        alert,
        selector["company_id"],
        kept["company"],
        Happening(kept["says"]),
        Thing(**thing),
        _number(kept["value"]),
        kept["count"],
        datetime.fromisoformat(kept["at"]),
        datetime.fromisoformat(kept["since"]) if kept["since"] else None,
        timedelta(seconds=kept["lasted"]) if kept["lasted"] is not None else None,
        _number(kept["balance"]),
        _number(kept["credit"]),
        selector["watch_id"],
        kept["told"],
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _company(company_id: int) -> str:
    return db.session.scalar(select(Company.name).where(Company.id == company_id)) or ""


def _thing(alert: Alert, company_id: int) -> Thing:
    service = ""
    if alert.service_id is not None:
        service = db.session.scalar(select(Service.name).where(Service.id == alert.service_id)) or ""
    return thing_of(alert, _metric(alert, company_id), service)


_DELIVERED = {
    AlertArea.BALANCE: Measure.BALANCE,
    AlertArea.CREDIT: Measure.BALANCE,
    AlertArea.CPS: Measure.CPS,
    AlertArea.CHANNELS: Measure.CHANNELS,
}


def things(alerts: Collection[Alert], company_id: int) -> dict[int, Thing]:
    """What these alerts watch at one company, by their ids. Their services and metrics must be loaded. One query."""
    delivers: dict[tuple[Measure, str, int | None], Metric] = {}
    for each in db.session.scalars(
        select(Metric)
        .where(
            Metric.company_id == company_id,
            Metric.measure.in_(set(_DELIVERED.values())),
            Metric.archived_at.is_(None),
        )
        .order_by(Metric.id.desc())
    ):
        if each.measure is not None:
            delivers[each.measure, each.trunk, each.service_id] = each
    return {each.id: _named(each, delivers) for each in alerts}


def _named(alert: Alert, delivers: Mapping[tuple[Measure, str, int | None], Metric]) -> Thing:
    metric, measure = alert.metric, _DELIVERED.get(alert.area)
    if metric is None and measure is not None:
        metric = delivers.get((measure, alert.trunk, None if alert.trunk else alert.service_id))
    return thing_of(alert, metric, alert.service.name if alert.service is not None else "")


def _metric(alert: Alert, company_id: int) -> Metric | None:
    """The metric that delivers what is watched, whose unit and places it has; None where calls tell it."""
    if alert.metric_id is not None:
        return db.session.get(Metric, alert.metric_id)
    measure = _DELIVERED.get(alert.area)
    if measure is None:
        return None
    return db.session.scalars(
        select(Metric)
        .where(
            Metric.company_id == company_id,
            Metric.measure == measure,
            Metric.trunk == alert.trunk,
            Metric.service_id == (alert.service_id if not alert.trunk else None),
            Metric.archived_at.is_(None),
        )
        .order_by(Metric.id)
        .limit(1)
    ).one_or_none()


def _money(alert: Alert, company_id: int, now: datetime) -> tuple[Decimal | None, Decimal | None]:
    """The balance and the credit that is available, of what the alert is about."""
    asked = [
        Subject(measure, company_id, alert.service_id, alert.trunk) for measure in (Measure.BALANCE, Measure.CREDIT)
    ]
    found = readings(asked, now)
    balance, credit = (found[each].value if each in found else None for each in asked)
    return balance, credit
