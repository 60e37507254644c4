"""How soon customers were told, as the mails that were handed over say. `services.timeliness` has the rules."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, or_, select

from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.services.models import ServiceUpdate, UpdateBroadcast, UpdateTarget
from portal.services.rules import UpdateKind
from portal.services.timeliness import JUDGED, Told

LATELY = timedelta(days=30)
LONGER = timedelta(days=90)

READ_AT_MOST = 20_000
"""Updates by service that are looked at, the newest; a business with more in ninety days has said it every five
minutes."""

_FINISHED = (BroadcastState.DONE, BroadcastState.CANCELLED)


def told_since(since: datetime, service_id: int | None = None) -> list[Told]:
    """What was told since then and has a target, newest first, a row for each update and service. Two queries.

    Left out is what was undone, what was not mailed, and the same said again: customers knew of it. So is what
    retention no longer has the mails of.
    """
    found = db.session.execute(_told(since, service_id)).all()
    services = _services_of({row.id for row in found if row.service_id is None})
    merged: dict[tuple[int, int], Told] = {}
    for row in found:
        if row.first_at is None and row.counted:
            continue
        for each in [row.service_id] if row.service_id is not None else services.get(row.id, ()):
            if service_id is not None and each != service_id:
                continue
            told = _row(row, each)
            known = merged.get((row.id, each))
            merged[row.id, each] = told if known is None else _together(known, told)
    return list(merged.values())


def _told(since: datetime, service_id: int | None) -> Select[*tuple[Any, ...]]:
    each = ServiceUpdate
    mails = select(Delivery.finished_at).where(
        Delivery.broadcast_id == UpdateBroadcast.broadcast_id, Delivery.state == DeliveryState.SENT
    )
    changed = select(UpdateTarget.holding_id).where(
        UpdateTarget.update_id == each.id, UpdateTarget.before != each.status
    )
    found = (
        select(
            each.id,
            each.kind,
            each.status,
            each.created_at,
            each.began_at,
            each.starts_at,
            each.is_late,
            UpdateBroadcast.service_id,
            Broadcast.state,
            Broadcast.counted,
            mails.order_by(Delivery.finished_at).limit(1).scalar_subquery().label("first_at"),
            mails.order_by(Delivery.finished_at.desc()).limit(1).scalar_subquery().label("last_at"),
        )
        .join(UpdateBroadcast, UpdateBroadcast.update_id == each.id)
        .join(Broadcast, Broadcast.id == UpdateBroadcast.broadcast_id)
        .where(
            each.created_at >= since,
            each.undone_at.is_(None),
            each.kind.in_(JUDGED),
            or_(each.kind != UpdateKind.STATED, changed.exists()),
        )
        .order_by(each.created_at.desc(), each.id.desc(), UpdateBroadcast.id)
        .limit(READ_AT_MOST)
    )
    if service_id is None:
        return found
    touched = select(UpdateTarget.holding_id).where(
        UpdateTarget.update_id == each.id, UpdateTarget.service_id == service_id
    )
    return found.where(
        or_(
            UpdateBroadcast.service_id == service_id,
            and_(UpdateBroadcast.service_id.is_(None), touched.exists()),
        )
    )


def _services_of(update_ids: Iterable[int]) -> dict[int, list[int]]:
    """The services that updates told in one mail were of. One query, none without such updates."""
    ids = sorted(update_ids)
    if not ids:
        return {}
    found: dict[int, list[int]] = {}
    for update_id, service_id in db.session.execute(
        select(UpdateTarget.update_id, UpdateTarget.service_id).where(UpdateTarget.update_id.in_(ids)).distinct()
    ):
        found.setdefault(update_id, []).append(service_id)
    return found


def _row(row: Any, service_id: int) -> Told:
    return Told(
        update_id=row.id,
        service_id=service_id,
        kind=row.kind,
        status=row.status,
        began_at=row.began_at,
        starts_at=row.starts_at,
        set_at=row.created_at,
        first_at=row.first_at,
        last_at=row.last_at,
        is_over=row.state in _FINISHED,
        is_late=row.is_late,
    )


def _together(one: Told, other: Told) -> Told:
    """What two broadcasts told of the same."""
    firsts = [each.first_at for each in (one, other) if each.first_at is not None]
    lasts = [each.last_at for each in (one, other) if each.last_at is not None]
    return replace(
        one,
        first_at=min(firsts, default=None),
        last_at=max(lasts, default=None),
        is_over=one.is_over and other.is_over,
    )
