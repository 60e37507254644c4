"""Freezing what a quote offers: whenever it is sent, and whenever it is changed while its customer can accept it."""

from collections.abc import Iterable
from datetime import datetime

from portal.extensions import db
from portal.jobs.models import QuoteOffer, WorkItem
from portal.jobs.queries.offers import last_offer, offered_now
from portal.jobs.queries.settings import settings_of
from portal.jobs.rules import Role, WorkKind


def freeze(items: Iterable[WorkItem], *, by_id: int | None, now: datetime) -> None:
    """Keep a copy of what these quotes offer now, of those whose last copy says something else."""
    for item in items:
        if item.kind is WorkKind.QUOTE:
            freeze_one(item.id, by_id=by_id, now=now)


def freeze_one(item_id: int, *, by_id: int | None, now: datetime) -> QuoteOffer:
    """The copy of what a quote offers now: the last one where nothing was changed since, else a new one."""
    db.session.flush()
    offered, last = offered_now(item_id), last_offer(item_id)
    if last is not None and last.hash == offered.hash:
        return last
    offer = QuoteOffer(
        item_id=item_id,
        number=last.number + 1 if last else 1,
        content=offered.to_json(),
        hash=offered.hash,
        sent_at=now,
        sent_by_id=by_id,
    )
    db.session.add(offer)
    db.session.flush()
    return offer


def freeze_if_sent(item: WorkItem, *, by_id: int | None, now: datetime) -> None:
    """Keep a copy of what a quote offers now, if its customer can accept it: they are told what has changed."""
    if item.kind is WorkKind.QUOTE and settings_of(item.kind).table.by_id[item.status_id].role is Role.SENT:
        freeze_one(item.id, by_id=by_id, now=now)
