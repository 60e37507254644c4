"""Acts of staff on the services of the small world, as tests make them."""

from datetime import datetime, timedelta
from typing import Any

from portal.audit.rules import Actor
from portal.services.actions import Wanted, set_status
from portal.services.models import ServiceUpdate
from portal.services.rules import Scope, ServiceStatus
from tests.conftest import NOW, Cast

HOUR = timedelta(hours=1)


def ada(cast: Cast) -> Actor:
    return Actor("Ada", cast.ada.id)


def state(cast: Cast, holdings: list[int], wanted: Wanted, key: str, now: datetime = NOW, **more: Any) -> ServiceUpdate:
    """Ada states this of these holdings."""
    scope = Scope.ONE if len(holdings) == 1 else Scope.CHOSEN
    return set_status(
        holdings,
        wanted,
        scope=scope,
        chosen={},
        by=ada(cast),
        author_id=cast.ada.id,
        now=now,
        idempotency_key=key,
        **more,
    )


def scheduled(**changes: Any) -> Wanted:
    """Two hours of scheduled service that begin in one."""
    given = {"starts_at": NOW + HOUR, "ends_at": NOW + 3 * HOUR, "zone": "Europe/Berlin", **changes}
    return Wanted(ServiceStatus.SCHEDULED, **given)
