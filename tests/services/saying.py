"""Stating how a holding is, as staff would, for the tests of what customers then see."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.services import actions
from portal.services.models import ServiceUpdate
from portal.services.rules import Scope, ServiceStatus, Wanted


def say(
    holding: Holding, status: ServiceStatus, *, minutes_ago: int = 0, also: Sequence[Holding] = (), **wanted: Any
) -> ServiceUpdate:
    """What staff would state of it, and at once of others, some minutes ago, mailing nobody."""
    now = clock.utcnow() - timedelta(minutes=minutes_ago)
    made = actions.set_status(
        [each.id for each in (holding, *also)],
        Wanted(status, notify=False, **wanted),
        scope=Scope.CHOSEN if also else Scope.ONE,
        chosen={},
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=f"{holding.id} {status} {now.isoformat()}",
    )
    events.commit()
    return made
