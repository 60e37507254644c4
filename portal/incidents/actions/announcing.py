"""Who hears of planned work: the mail about an update of a maintenance, in the transaction of the update itself."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal import plaintext
from portal.audit.rules import Actor
from portal.catalogue.models import Component
from portal.extensions import db
from portal.filters import markdown
from portal.incidents.actions.telling import begin_conversation, in_languages, reached_by
from portal.incidents.letters import Work, content_of, note_of
from portal.incidents.models import Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.queries import broadcasts_to_stop
from portal.incidents.rules import Audience, MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice
from portal.incidents.rules.telling import PUBLIC, narrowed
from portal.notifications import actions as notifications
from portal.notifications.models import Broadcast

KIND = "maintenance"
"""The registered kind of the mails about planned work."""

WORTH_AHEAD = timedelta(days=7)
"""How long a mail about work that is far ahead may wait for a mailbox that takes few a day."""

OF_NEW_TIMES = frozenset({Notice.MOVED, Notice.EXTENDED})
"""Notices that say when the work was to be done until now."""


def notify_key(update_id: int) -> str:
    """The idempotency key of the broadcast about an update: one update is mailed once, whatever happens."""
    return f"maintenance_update:{update_id}:notify"


def tell(maintenance: Maintenance, update: MaintenanceUpdate, *, by: Actor, now: datetime) -> Broadcast | None:
    """Queue the mail about an update of a maintenance, once, and return it; None where nobody is to hear of it.

    Call it when the maintenance, its components and the update are flushed, and `maintenance.sequence` is raised:
    calendars take what has the higher number. Five queries beside those of the broadcast.
    """
    if not update.notify or maintenance.visibility is not Visibility.PUBLIC or maintenance.is_backfill:
        return None
    rows = db.session.execute(
        select(Component.id, Component.title)
        .join(MaintenanceComponent, MaintenanceComponent.component_id == Component.id)
        .where(MaintenanceComponent.maintenance_id == maintenance.id)
        .order_by(Component.title_key, Component.id)
    )
    titles: dict[int, str] = dict(rows.all())
    begin_conversation(maintenance)
    work = work_of(maintenance, update, list(titles.values()), now)
    broadcast = notifications.queue_broadcast(
        KIND,
        idempotency_key=notify_key(update.id),
        title=maintenance.title,
        selector=_selector(maintenance, update, work, titles, now),
        content=content_of(work),
        thread_key=f"maintenance:{maintenance.id}",
        by_person_id=by.person_id,
        now=now,
    )
    broadcast.expires_at = _worth_until(work, broadcast.expires_at, now)
    return broadcast


def cancel_mails(maintenance_id: int, *, by: Actor, now: datetime, kinds: Collection[Notice] = tuple(Notice)) -> int:
    """Call off every mail about it that no server has been offered yet; returns how many messages that were."""
    found = broadcasts_to_stop(_keys(maintenance_id, kinds), now)
    return notifications.cancel_all(found, by=by, now=now)


def narrow_mails(maintenance_id: int, *, by: Actor, now: datetime) -> int:
    """Call off what still waits for those who are not affected, because it is for the affected only by now.

    Returns how many messages that were.
    """
    found = broadcasts_to_stop(_keys(maintenance_id, tuple(Notice)), now)
    return notifications.narrow(found, narrowed, by=by, now=now)


def _keys(maintenance_id: int, kinds: Collection[Notice]) -> list[str]:
    ids = db.session.scalars(
        select(MaintenanceUpdate.id).where(
            MaintenanceUpdate.maintenance_id == maintenance_id, MaintenanceUpdate.kind.in_(kinds)
        )
    )
    return [notify_key(update_id) for update_id in ids]


def work_of(maintenance: Maintenance, update: MaintenanceUpdate, components: list[str], now: datetime) -> Work:
    """What there is to tell of an update. At most one query."""
    starts_at, ends_at = update.starts_at or maintenance.starts_at, update.ends_at or maintenance.ends_at
    lasted = None
    if update.state is MaintenanceState.COMPLETED:
        end = maintenance.completed_at or min(ends_at, now)
        lasted = (min(maintenance.started_at or starts_at, end), end)
    return Work(
        public_id=maintenance.public_id,
        title=maintenance.title,
        state=update.state,
        notice=update.kind,
        impact=maintenance.impact,
        starts_at=starts_at,
        ends_at=ends_at,
        components=components,
        body=update.body,
        told_at=update.posted_at,
        sequence=maintenance.sequence,
        before=_told_before(update, starts_at, ends_at) if update.kind in OF_NEW_TIMES else None,
        lasted=lasted,
        is_late=update.is_late,
        titles=maintenance.titles,
        bodies=update.bodies,
        subjects=maintenance.subjects,
    )


def _told_before(update: MaintenanceUpdate, starts_at: datetime, ends_at: datetime) -> tuple[datetime, datetime] | None:
    """The times that customers were told last before this update; None where these are the same."""
    row = db.session.execute(
        select(MaintenanceUpdate.starts_at, MaintenanceUpdate.ends_at)
        .where(
            MaintenanceUpdate.maintenance_id == update.maintenance_id,
            MaintenanceUpdate.id < update.id,
            MaintenanceUpdate.starts_at.is_not(None),
            MaintenanceUpdate.ends_at.is_not(None),
        )
        .order_by(MaintenanceUpdate.notify.desc(), MaintenanceUpdate.id.desc())
        .limit(1)
    ).first()
    if row is None or row.starts_at is None or row.ends_at is None:
        return None
    return None if (row.starts_at, row.ends_at) == (starts_at, ends_at) else (row.starts_at, row.ends_at)


def _selector(
    maintenance: Maintenance, update: MaintenanceUpdate, work: Work, titles: dict[int, str], now: datetime
) -> dict[str, Any]:
    """What is frozen to find the readers by."""
    is_for_everyone = maintenance.audience is Audience.EVERYONE
    return {
        "maintenance_id": maintenance.id,
        "update_id": update.id,
        **reached_by(sorted(titles), now, is_for_everyone=is_for_everyone),
        PUBLIC: is_for_everyone,
        "moments": {name: moment.isoformat() for name, moment in work.moments.items()},
        "note": asdict(note_of(work.public_id, work.state, work.impact, is_moved=update.kind is Notice.MOVED)),
        "facts": _facts(update, work),
        **in_languages(maintenance.titles, update.bodies),
    }


def _facts(update: MaintenanceUpdate, work: Work) -> dict[str, Any]:
    """What a machine is told, as the page shows it to everybody who may see it: JSON, and frozen."""
    return {
        "maintenance": {
            "id": work.public_id,
            "title": work.title,
            "state": work.state.value,
            "impact": work.impact.value,
            "starts_at": work.starts_at.isoformat(),
            "ends_at": work.ends_at.isoformat(),
        },
        "update": {
            "id": update.public_id,
            "kind": update.kind.value,
            "state": update.state.value,
            "text": plaintext.from_html(markdown(update.body)),
            "posted_at": update.posted_at.isoformat(),
        },
        "components": [{"title": title} for title in work.components],
    }


def _worth_until(work: Work, usual: datetime, now: datetime) -> datetime:
    """Until when it is worth sending: plans longer than news, and no reminder of what is over."""
    if work.notice is Notice.REMINDED:
        return max(now, min(usual, work.ends_at))
    if work.state is MaintenanceState.COMPLETED:
        return usual
    return max(usual, min(work.starts_at, now + WORTH_AHEAD))
