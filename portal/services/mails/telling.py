"""What an update of services tells, frozen when it is made: the broadcasts, their facts and their conversations."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any, NamedTuple, cast

from flask import current_app
from flask_babel import force_locale
from sqlalchemy import func, or_, select

from portal import calendars, plaintext
from portal.audit.rules import Actor
from portal.catalogue.models import Service
from portal.config import Settings
from portal.extensions import db
from portal.filters import LOOKS, markdown
from portal.incidents.models import Incident
from portal.incidents.rules import Visibility
from portal.notifications import actions as notifications
from portal.notifications.kinds import Recipient
from portal.notifications.models import Broadcast
from portal.notifications.templates.placeholders import on_one_line
from portal.services.letters import INCIDENT, OF_WINDOWS, Facts, content_of, mailed_as, variant_of
from portal.services.mails.readers import recipients
from portal.services.mails.selecting import changing_much, kept_back_in
from portal.services.models import (
    ServiceUpdate,
    ServiceView,
    ServiceWindow,
    StatedPeriod,
    UpdateBroadcast,
    UpdateTarget,
)
from portal.services.queries.hearing import is_mailed, without_hidden
from portal.services.queries.settings import EVERYTHING, View, settings
from portal.services.rules import ServiceStatus, UpdateKind

KIND = "service_status"

AHEAD_AT_MOST = timedelta(days=7)
"""How long a mail about scheduled service that is far ahead may wait for a mailbox that takes few a day."""

READERS_LOOKED_AT = 25
"""Of the readers of an update, so many are looked at to find one of a portal domain."""


def tell(update: ServiceUpdate, *, by: Actor, now: datetime) -> list[Broadcast]:
    """Write down that the companies of an update are told, in its transaction: one broadcast for each service, and one
    for the companies of which more services change than are told of one by one.

    Nothing where the status is not mailed of any of the services. Call it when the update's targets, periods and
    window are written. A bounded number of queries beside those of the broadcasts.
    """
    status = mailed_as(update.kind, update.status)
    services = [each for each in _services_of(update.id) if is_mailed(each.notifies, status)]
    if not services:
        return []
    over = _digest_over(update)
    ids = [each.id for each in services]
    told = _Story(update, ids, over, now)
    broadcasts = [told.queue(each, by=by) for each in services if each.id in told.single]
    return [*broadcasts, told.queue(None, by=by)] if told.has_digest else broadcasts


class _Service(NamedTuple):
    id: int
    name: str
    notifies: Sequence[str] | None


def _services_of(update_id: int) -> list[_Service]:
    mine = select(UpdateTarget.service_id).where(UpdateTarget.update_id == update_id)
    rows = db.session.execute(
        select(Service.id, Service.name, Service.notifies)
        .where(Service.id.in_(mine))
        .order_by(Service.position, Service.name_key)
    )
    return [_Service(*row) for row in rows]


def _digest_over(update: ServiceUpdate) -> int:
    """From how many services on a company is told of all in one mail: a window goes on as it was announced."""
    first = _first_told(update)
    return settings().digest_over if first is None else cast(int, first["over"])


def _first_told(update: ServiceUpdate) -> Mapping[str, Any] | None:
    """The selector by which the window of this update was first told of; None where that is no window, or was not."""
    if update.window_id is None:
        return None
    return db.session.scalar(
        select(Broadcast.selector)
        .join(UpdateBroadcast, UpdateBroadcast.broadcast_id == Broadcast.id)
        .join(ServiceUpdate, ServiceUpdate.id == UpdateBroadcast.update_id)
        .where(ServiceUpdate.window_id == update.window_id)
        .order_by(Broadcast.id)
        .limit(1)
    )


class _Story:
    """One update, as its broadcasts tell it. `single` are the services told of one by one somewhere."""

    def __init__(self, update: ServiceUpdate, service_ids: Sequence[int], over: int, now: datetime) -> None:
        self.update, self.service_ids, self.over, self.now = update, service_ids, over, now
        self.status = mailed_as(update.kind, update.status)
        self.window = db.session.get(ServiceWindow, update.window_id) if update.window_id is not None else None
        self.incident = _incident_of(update)
        self.few = self._few()
        many = changing_much(update.id, service_ids, over, self.few)
        self.has_digest = many is not None and db.session.scalar(many.limit(1)) is not None
        mine = select(UpdateTarget.service_id).where(UpdateTarget.update_id == update.id)
        if many is not None:
            mine = mine.where(UpdateTarget.company_id.not_in(many))
        self.single = frozenset(db.session.scalars(mine.distinct()))
        self.befores = self._befores()
        self.spans = self._spans()
        self.threads = self._threads()

    def _few(self) -> list[int]:
        """The companies of which many services change, and few that they see: these are told of them one by one.

        A window goes on as it was announced. One query where nothing is hidden, else four.
        """
        first = _first_told(self.update)
        if first is not None and "few" in first:
            return cast(list[int], first["few"])
        many = changing_much(self.update.id, self.service_ids, self.over, [])
        if many is None or not any(db.session.scalars(select(ServiceView.hidden_services))):
            return []
        held: dict[int, set[int]] = {}
        for company_id, service_id in db.session.execute(
            select(UpdateTarget.company_id, UpdateTarget.service_id)
            .where(
                UpdateTarget.update_id == self.update.id,
                UpdateTarget.service_id.in_(self.service_ids),
                UpdateTarget.company_id.in_(many),
            )
            .distinct()
        ):
            held.setdefault(company_id, set()).add(service_id)
        seen = without_hidden(held)
        return sorted(company_id for company_id in held if len(seen.get(company_id, ())) <= self.over)

    def queue(self, service: _Service | None, *, by: Actor) -> Broadcast:
        """The broadcast of one service, or (None) the digest."""
        facts = self.facts(service)
        variants = sorted(_variants(facts.to_keep))
        place = "digest" if service is None else str(service.id)
        label = str(LOOKS["service"][self.status.value].label)
        with force_locale("en"):
            title = f"{'Several services' if service is None else service.name}: {label}"
        broadcast = notifications.queue_broadcast(
            KIND,
            idempotency_key=f"service-update:{self.update.id}:{place}",
            title=on_one_line(title),
            selector=self.selector(service, facts, variants),
            content=content_of(facts, variants),
            thread_key=self._thread_key(service),
            by_person_id=by.person_id,
            now=self.now,
        )
        broadcast.expires_at = self._worth_until(broadcast.expires_at)
        return broadcast

    def selector(self, service: _Service | None, facts: Facts, variants: Sequence[str]) -> dict[str, Any]:
        """What is frozen to find the readers by."""
        return {
            "update_id": self.update.id,
            "service_ids": [service.id] if service is not None else list(self.service_ids),
            "mailed": list(self.service_ids),
            "digest": service is None,
            "over": self.over,
            "few": self.few,
            "occasion": self.update.kind.value,
            "status": self.status.value,
            "variants": list(variants),
            "to_keep": sorted(facts.to_keep),
            "moments": moments_of(facts),
            "facts": _facts_for_machines(self.update, facts),
        }

    def facts(self, service: _Service | None) -> Facts:
        """What there is to tell of one service, or (None) in the digest."""
        starts_at, ends_at, lasted = self._times(None if service is None else service.id)
        befores = [each for service_id, each in self.befores if service is None or service_id == service.id]
        return Facts(
            kind=self.update.kind,
            status=self.update.status,
            service_name=None if service is None else on_one_line(service.name),
            notes=self.update.notes,
            ticket=on_one_line(self.update.ticket),
            starts_at=starts_at,
            ends_at=ends_at,
            lasted=lasted,
            incident=self.incident,
            befores=frozenset(befores),
            is_late=self.update.is_late,
            entry=self._entry(None if service is None else service.id),
        )

    def _times(self, service_id: int | None) -> tuple[datetime | None, datetime | None, timedelta | None]:
        """Since when, until when, and how long it lasted: where it differs from holding to holding it is not said."""
        update = self.update
        if update.kind in OF_WINDOWS:
            return update.starts_at, update.ends_at, None
        if update.kind in (UpdateKind.ENDED, UpdateKind.FINISHED):
            over = min(update.ends_at, update.created_at) if update.ends_at is not None else None
            return update.starts_at, over, None
        began = self._began(service_id)
        if self.status is not ServiceStatus.NORMAL:
            return began, update.ends_at, None
        if began is None:
            return None, None, None
        return began, update.began_at, max(update.began_at - began, timedelta())

    def _began(self, service_id: int | None) -> datetime | None:
        moments = {
            moment
            for each, first, last in self.spans
            if service_id is None or each == service_id
            for moment in (first, last)
        }
        return next(iter(moments)) if len(moments) == 1 else None

    def _spans(self) -> Sequence[tuple[int, datetime, datetime]]:
        """From when to when the problems of each service began that this update opened, goes on with or ended."""
        if self.update.kind in OF_WINDOWS:
            return []
        mine = select(UpdateTarget.holding_id).where(UpdateTarget.update_id == self.update.id)
        state = (
            StatedPeriod.ended_by_id == self.update.id
            if self.status is ServiceStatus.NORMAL
            else StatedPeriod.ended_at.is_(None)
        )
        rows = db.session.execute(
            select(StatedPeriod.service_id, func.min(StatedPeriod.began_at), func.max(StatedPeriod.began_at))
            .where(StatedPeriod.holding_id.in_(mine), state)
            .group_by(StatedPeriod.service_id)
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def _befores(self) -> Sequence[tuple[int, ServiceStatus]]:
        rows = db.session.execute(
            select(UpdateTarget.service_id, UpdateTarget.before)
            .where(UpdateTarget.update_id == self.update.id)
            .distinct()
        )
        return [(row[0], row[1]) for row in rows]

    def _threads(self) -> Mapping[int | None, str]:
        """The conversations in which what this update goes on with was told, by service."""
        if self.window is not None:
            return {}
        mine = select(UpdateTarget.holding_id).where(UpdateTarget.update_id == self.update.id)
        rows = db.session.execute(
            select(UpdateBroadcast.service_id, func.min(Broadcast.thread_key))
            .join(Broadcast, Broadcast.id == UpdateBroadcast.broadcast_id)
            .join(StatedPeriod, StatedPeriod.update_id == UpdateBroadcast.update_id)
            .where(
                StatedPeriod.holding_id.in_(mine),
                StatedPeriod.update_id != self.update.id,
                or_(StatedPeriod.ended_at.is_(None), StatedPeriod.ended_by_id == self.update.id),
            )
            .group_by(UpdateBroadcast.service_id)
        )
        return dict(rows.all())

    def _thread_key(self, service: _Service | None) -> str:
        place = "digest" if service is None else str(service.id)
        if self.window is not None:
            return f"service-window:{self.window.public_id}:{place}"
        known_thread = self.threads.get(None if service is None else service.id)
        return known_thread or f"service-update:{self.update.id}:{place}"

    def _entry(self, service_id: int | None) -> calendars.Entry | None:
        """What calendars are told. A service has an entry of its own: what it is called stands in it."""
        window, update = self.window, self.update
        if window is None or update.kind not in OF_WINDOWS or not (update.starts_at and update.ends_at):
            return None
        own: Settings = current_app.config["SETTINGS"]
        name = window.public_id if service_id is None else f"{window.public_id}-{service_id}"
        return calendars.Entry(
            uid=f"{name}@{own.mail_domain}",
            sequence=window.sequence,
            starts_at=update.starts_at,
            ends_at=update.ends_at,
            is_cancelled=update.kind is UpdateKind.CANCELLED,
            changed_at=update.created_at,
            organizer=parseaddr(own.mail_from)[1],
        )

    def _worth_until(self, usual: datetime) -> datetime:
        """Until when it is worth sending: plans longer than news, and no reminder of what is over."""
        update = self.update
        if update.starts_at is None or update.ends_at is None:
            return usual
        if update.kind is UpdateKind.REMINDED:
            return max(self.now, min(usual, update.ends_at))
        if update.kind in OF_WINDOWS:
            return max(usual, min(update.starts_at, self.now + AHEAD_AT_MOST))
        return usual


def _incident_of(update: ServiceUpdate) -> str | None:
    """The public id of the incident behind it, if customers may open its page."""
    if update.incident_id is None:
        return None
    return db.session.scalar(
        select(Incident.public_id).where(Incident.id == update.incident_id, Incident.visibility == Visibility.PUBLIC)
    )


def _variants(to_keep: frozenset[str]) -> set[str]:
    """The variants of its wordings that readers need: whatever portals keep back, with and without the incident's
    address, and one without any of it for what is kept back from now on. One query."""
    rows = db.session.execute(
        select(ServiceView.shows_notes, ServiceView.shows_tickets, ServiceView.shows_end_times).distinct()
    )
    views = [View(shows_notes=row[0], shows_tickets=row[1], shows_end_times=row[2]) for row in rows]
    found = {to_keep & kept_back_in(view) for view in (EVERYTHING, *views)}
    found |= {each | (to_keep & {INCIDENT}) for each in found}
    return {variant_of(each) for each in (*found, to_keep)}


def _facts_for_machines(update: ServiceUpdate, facts: Facts) -> dict[str, Any]:
    """What a webhook is told of an update, before what its company may not see is taken out: JSON, and frozen."""
    return {
        "id": update.id,
        "kind": update.kind.value,
        "status": facts.mailed_as.value,
        "text": plaintext.from_html(markdown(update.notes)),
        "ticket": update.ticket,
        "told_at": update.created_at.isoformat(),
        "starts_at": facts.starts_at.isoformat() if facts.starts_at else None,
        "ends_at": facts.ends_at.isoformat() if facts.ends_at else None,
    }


def moments_of(facts: Facts) -> dict[str, str]:
    """The moments of a mail, which each reader gets in their own time zone."""
    named = (("start_time", facts.starts_at), ("end_time", facts.ends_at))
    return {name: moment.isoformat() for name, moment in named if moment is not None}


def told_lately(update: ServiceUpdate, now: datetime, *, is_digest: bool) -> tuple[Facts, Sequence[Recipient]] | None:
    """An update as it was, or would be, told: what there is to say, and its first readers; None if nobody is one.

    Writes nothing.
    """
    status = mailed_as(update.kind, update.status)
    services = [each for each in _services_of(update.id) if is_mailed(each.notifies, status)]
    if not services:
        return None
    # As a digest even of few: this is to see what one looks like.
    over = 0 if is_digest else len(services)
    story = _Story(update, [each.id for each in services], over, now)
    service = None if is_digest else services[0]
    facts = story.facts(service)
    variants = sorted(_variants(facts.to_keep))
    found, _cursor = recipients(story.selector(service, facts, variants), None, READERS_LOOKED_AT, now)
    return (facts, found) if found else None
