"""Setting the base status of a component by hand, without an incident, and asking after one that is forgotten.

Nobody is mailed: whoever wants customers told of it reports an incident. Open pages change as with one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from portal import events
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Component
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.filters import LOOKS
from portal.incidents.actions.nagging import KIND
from portal.incidents.actions.telling import ring_customers
from portal.incidents.models import BaseStatus
from portal.incidents.queries.base import base_of, base_version, has_open_incident
from portal.incidents.rules import STATUS_OF_SEVERITY, Audience, ComponentStatus, Severity
from portal.incidents.rules.base import AHEAD_AT_MOST, NAG_AFTER, NOTE_LENGTH, SEVERITY_OF_STATUS, due_at, steps_past
from portal.notifications.actions import queue_broadcast
from portal.notifications.wordings import render_wordings


def set_base_status(
    component: Component,
    status: ComponentStatus,
    *,
    until: datetime | None = None,
    note: str = "",
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Set what a component is by hand from now on, `until` somebody sets something else or, if given, that moment.

    The same status again changes its end and its note and keeps when it began. `version` is that of
    `queries.base.base_of`; where it moved on, StaleEdit.
    """
    _lock(component.id)
    if base_version(component.id) != version:
        raise StaleEdit
    if status not in SEVERITY_OF_STATUS:
        raise RuleViolation("Plan maintenance to have it under maintenance: it cannot be set by hand.", "status")
    severity, note = SEVERITY_OF_STATUS[status], _clean_note(note)
    if severity is Severity.NONE:
        until, note = None, ""
    if until is not None and not now < until <= now + AHEAD_AT_MOST:
        raise RuleViolation("Choose an end that is ahead, and no more than a year.", "until")
    standing = base_of(component.id, now).standing
    before, after = _facts(standing), _as_facts(severity, until, note)
    if before == after:
        return
    if standing is not None and standing.severity is severity:
        standing.to_at, standing.note = until, note
        standing.due_at = due_at(standing.from_at, until, standing.nagged, now)
    else:
        if standing is not None:
            standing.to_at, standing.due_at = now, None
        _begin(component.id, severity, until, note, by=by, now=now)
    db.session.flush()
    _ring(component.id, now)
    audit.record(
        "component.set_status",
        object_kind="component",
        object_id=component.id,
        by=by,
        now=now,
        before=before,
        after=after,
    )


def _lock(component_id: int) -> None:
    """One setting after the other, or two at once would both stand; RuleViolation for an archived component."""
    is_live = select(Component.archived_at.is_(None)).where(Component.id == component_id)
    if not db.session.scalar(is_live.with_for_update(key_share=True)):
        raise RuleViolation("This component is archived. Take it back before you set how it is.")


def _begin(
    component_id: int, severity: Severity, until: datetime | None, note: str, *, by: Actor, now: datetime
) -> None:
    """Begin another stretch, unless the component is well from now on."""
    if severity is Severity.NONE:
        return
    begun = BaseStatus(component_id=component_id, severity=severity, from_at=now, to_at=until, note=note)
    begun.set_by_id, begun.due_at = by.person_id, due_at(now, until, 0, now)
    db.session.add(begun)


def end_base_status(component: Component, *, by: Actor, now: datetime) -> None:
    """Set a component back to Operational, whatever stands: it goes out of use."""
    if base_of(component.id, now).standing is not None:
        version = base_version(component.id)
        set_base_status(component, ComponentStatus.OPERATIONAL, version=version, by=by, now=now)


def look_after_base(base_id: int, now: datetime) -> bool:
    """Do what is due of what was set by hand: ask staff about it, or ring the pages that show it once it has ended.

    False when somebody else is at it, or nothing is due. Of steps that were missed the last one counts. Nobody is
    asked while an open incident holds the component: then customers are told, and its owner is asked about that.
    """
    base = db.session.scalars(
        select(BaseStatus)
        .where(BaseStatus.id == base_id, BaseStatus.due_at <= now)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if base is None:
        return False
    if base.to_at is not None and base.to_at <= now:
        _move_on(base, base.nagged, None)
        _ring(base.component_id, now)
        return True
    nagged = max(base.nagged, steps_past(base.from_at, now))
    if nagged > base.nagged and not has_open_incident(base.component_id):
        _ask(base, nagged, now)
    _move_on(base, nagged, due_at(base.from_at, base.to_at, nagged, now))
    return True


def _ask(base: BaseStatus, step: int, now: datetime) -> None:
    title = db.session.scalars(select(Component.title).where(Component.id == base.component_id)).one()
    label = LOOKS["component"][STATUS_OF_SEVERITY[base.severity]].label
    asked = f"Is it still so? {title}: {str(label).lower()}"[:250]
    hours = int(NAG_AFTER[step - 1].total_seconds() // 3600)
    queue_broadcast(
        KIND,
        idempotency_key=f"base_status_question:{base.id}:{step}",
        title=asked,
        selector={"person_id": base.set_by_id},
        content=render_wordings(
            "alarm",
            ("en",),
            title=asked,
            text=f"It was set by hand {hours} hours ago, and no incident tells customers of it. "
            "Set it back if it works again, or report an incident.",
            path=f"/admin/catalogue/components/{base.component_id}#status",
        ),
        thread_key=f"base_status_question:{base.id}",
        by_person_id=None,
        now=now,
    )
    events.ring(events.STAFF)


def _move_on(base: BaseStatus, nagged: int, at: datetime | None) -> None:
    """Past the version: being asked is no change, so whoever has the form open may still save it."""
    db.session.execute(update(BaseStatus).where(BaseStatus.id == base.id).values(nagged=nagged, due_at=at))


def _ring(component_id: int, now: datetime) -> None:
    events.ring(events.STAFF)
    ring_customers([component_id], {Audience.EVERYONE}, now)


def _clean_note(note: str) -> str:
    cleaned = one_line(note)
    if len(cleaned) > NOTE_LENGTH:
        raise RuleViolation(f"A note has at most {NOTE_LENGTH} characters; this one has {len(cleaned)}.", "note")
    return cleaned


def _facts(base: BaseStatus | None) -> dict[str, Any]:
    return _as_facts(base.severity, base.to_at, base.note) if base else _as_facts(Severity.NONE, None, "")


def _as_facts(severity: Severity, until: datetime | None, note: str) -> dict[str, Any]:
    """What the audit trail remembers of it."""
    return {
        "status": STATUS_OF_SEVERITY[severity].value,
        "until": until.isoformat() if until else None,
        "note": note,
    }
