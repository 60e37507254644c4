"""What is watched for the demo companies that telephone: nothing of it is triggered, so the demo mails nobody."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from portal.accounts.models import Company
from portal.alerts.actions import add_alert, set_rights
from portal.alerts.rules import AlertArea, Operator, Repeat, Rights
from portal.alerts.rules.checks import Wanted
from portal.audit.rules import Actor
from portal.extensions import db

WATCHED: tuple[tuple[str, str, AlertArea, Operator, dict[str, Any]], ...] = (
    (
        "Balance runs low",
        "Pennine Contact Centres",
        AlertArea.CREDIT,
        Operator.LESS,
        {"threshold": Decimal(-5000), "reset": Decimal(-4900), "repeat": Repeat.DAILY, "repeat_hour": 8},
    ),
    (
        "Every channel is in use",
        "Pennine Contact Centres",
        AlertArea.CHANNELS,
        Operator.AT_LEAST,
        {"threshold": Decimal(400), "reset": Decimal(350), "must_last": 300},
    ),
    (
        "Calls do not get through",
        "Pennine Contact Centres",
        AlertArea.NER,
        Operator.LESS,
        {"threshold": Decimal(1), "reset": Decimal(2), "window": 3600, "least_count": 5},
    ),
    (
        "Das Guthaben wird knapp",
        "Ammersee Segelschule",
        AlertArea.BALANCE,
        Operator.LESS,
        {"threshold": Decimal(-5000)},
    ),
)
"""Title, company, figure, how it is held against its line, and the rest. The values are far from what is measured."""


def watch(by: Actor, now: datetime) -> None:
    """Have these watched; the contact centre may set up its own."""
    companies = {
        company.name: company
        for company in db.session.scalars(select(Company).where(Company.name.in_([each[1] for each in WATCHED])))
    }
    for title, name, area, operator, rest in WATCHED:
        wanted = Wanted(title, area, operator, company_id=companies[name].id, tells_contacts=True, **rest)
        add_alert(wanted, by=by, now=now, idempotency_key=f"demo:alert:{title}")
    set_rights(companies["Pennine Contact Centres"].id, Rights.ALL, version=0, by=by, now=now)
