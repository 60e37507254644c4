"""Telling what happened to an alert, in the transaction in which it happened: to its recipients, or to the staff."""

from datetime import datetime

from portal.alerts.models import Alert, AlertWatch
from portal.alerts.rules import Happening, Measured
from portal.audit.rules import Actor
from portal.notifications.models import Broadcast


def tell(
    alert: Alert,
    watch: AlertWatch,
    says: Happening,
    reading: Measured,
    *,
    now: datetime,
    since: datetime | None = None,
) -> Broadcast | None:
    """Write down that this is said of an alert of one company, in the caller's transaction.

    `since` is when it became, or had been, bad, where the watch does not know it any more. NO_DATA goes to the staff,
    in one notice an hour however many alerts it is true of. None where nobody is to be told: what happened has no
    words, or nobody is named who could hear of it now.
    """
    raise NotImplementedError


def send_test(
    alert: Alert,
    company_id: int,
    reading: Measured,
    *,
    to_all: bool,
    person_id: int | None,
    by: Actor,
    now: datetime,
) -> Broadcast:
    """Say what the alert would say now, marked as a test: to whoever tests or, with `to_all`, to all it names.

    Neither state nor clock hears of it. RuleViolation where too many were made within the hour, or nobody would get it.
    """
    raise NotImplementedError
