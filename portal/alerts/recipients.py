"""Whom an alert may name: e-mail addresses and telephones, and who may name which."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.alerts.models import Alert, AlertRecipient
from portal.alerts.rules import RecipientKind


@dataclass(frozen=True)
class Named:
    """One recipient as it is stored: a phone in E.164, and whose an address is, where that is somebody known."""

    kind: RecipientKind
    address: str
    person_id: int | None = None


def named_in(typed: Sequence[str], *, company_id: int | None, by_customer: bool) -> list[Named]:
    """The recipients somebody typed, each an e-mail address or a telephone; RuleViolation on `recipients`.

    Customers may only name addresses of people of their company who have signed in, and numbers that are there already;
    staff any. A telephone is refused where no gateway for texts is set up.
    """
    raise NotImplementedError


def unreachable(alert: Alert, recipients: Collection[AlertRecipient], now: datetime) -> Mapping[int, str]:
    """Why those of these recipients who hear nothing hear nothing, by id: sentences for whoever owns the alert."""
    raise NotImplementedError
