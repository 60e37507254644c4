"""Recovering what is stated of holdings together with the incident that was its cause."""

from collections.abc import Collection, Mapping
from datetime import datetime

from portal.audit.rules import Actor
from portal.incidents import actions as incidents
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.rules import Severity, State
from portal.services.actions.recording import held, update_with
from portal.services.actions.stating import set_status
from portal.services.models import ServiceUpdate
from portal.services.queries.stated import stated_under
from portal.services.queries.wellbeing import hit_now
from portal.services.rules import Scope, ServiceStatus, UpdateKind, Wanted


def fix_and_recover(
    incident: Incident,
    body: str,
    holding_ids: Collection[int],
    *,
    notes: str = "",
    notify: bool = True,
    notify_services: bool = True,
    mail_affected_only: bool = False,
    named: Mapping[int, Severity] | None = None,
    version: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
    began_at: datetime | None = None,
) -> tuple[IncidentUpdate, ServiceUpdate | None]:
    """Mark an incident Fixed and state of these holdings that they operate normally, in one step.

    See `recover_with` for the second part, `incidents.actions.post_update` for the first and what it refuses.
    """
    posted = incidents.post_update(
        incident,
        State.FIXED,
        body,
        named or {},
        notify=notify,
        version=version,
        by=by,
        author_id=author_id,
        now=now,
        mail_affected_only=mail_affected_only,
        idempotency_key=idempotency_key,
    )
    recovered = recover_with(
        incident,
        holding_ids,
        notes=notes,
        notify=notify_services,
        by=by,
        author_id=author_id,
        now=now,
        idempotency_key=idempotency_key,
        began_at=began_at,
    )
    return posted, recovered


def recover_with(
    incident: Incident,
    holding_ids: Collection[int],
    *,
    notes: str = "",
    notify: bool = True,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
    began_at: datetime | None = None,
) -> ServiceUpdate | None:
    """State that those of these holdings operate normally of which a problem still stands under this incident.

    Their companies are told of the recovery of their services, unless another incident still hits them: what was stated
    of those ends with an update of its own, without a mail. The update that tells is returned, else the other; None
    when no problem is left: somebody else was quicker.
    """
    key = f"recover:{incident.id}:{idempotency_key}"[:120]
    if known := update_with(key):
        return known
    standing = {period.holding_id for period in stated_under(incident.id, now)}.intersection(holding_ids)
    if not standing:
        return None
    # Two updates may follow, but all of it is locked at once: see `held`.
    wanted = [each.holding_id for each in held(standing, now)]
    hit = hit_now(wanted, now)
    well, ailing = [each for each in wanted if each not in hit], [each for each in wanted if each in hit]

    def recovered(targets: list[int], key: str, *, notify: bool) -> ServiceUpdate:
        return set_status(
            targets,
            Wanted(ServiceStatus.NORMAL, notes, notify=notify, began_at=began_at),
            scope=Scope.ONE if len(targets) == 1 else Scope.CHOSEN,
            chosen={"incident_id": incident.id},
            by=by,
            author_id=author_id,
            now=now,
            idempotency_key=key,
            kind=UpdateKind.RECOVERED,
            incident_id=incident.id,
        )

    told = recovered(well, key, notify=notify) if well else None
    quiet = recovered(ailing, f"quiet:{key}"[:120] if well else key, notify=False) if ailing else None
    return told or quiet
