"""Who is told that the status of a service has changed: the kind "service_status", each person once a broadcast."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

from flask import current_app
from flask_babel import force_locale, format_datetime, lazy_gettext
from sqlalchemy import ColumnElement, Row, Select, distinct, exists, func, or_, select

from portal import calendars, plaintext
from portal.accounts.models import Company, Membership, Person
from portal.audit.rules import Actor
from portal.catalogue.models import Holding, Service
from portal.catalogue.notices.mails import one_recipient, still_there
from portal.catalogue.notices.rules import named_in_words
from portal.catalogue.rules import service_topic
from portal.config import Settings
from portal.domains.queries import companies_with_area_open, companies_with_status_open
from portal.domains.rules import Area
from portal.extensions import db
from portal.filters import DATES, LOOKS, markdown
from portal.incidents.models import Incident
from portal.incidents.rules import Visibility
from portal.language import known, zone, zone_word
from portal.notifications import actions as notifications
from portal.notifications.kinds import Cursor, Kind, Listener, Recipient, Told, register
from portal.notifications.models import Broadcast
from portal.notifications.templates.placeholders import on_one_line
from portal.notifications.topics import Source, Topic
from portal.notifications.topics import register as register_topics
from portal.notifications.wishes import Wishes, wishes_of
from portal.services.letters import (
    END,
    INCIDENT,
    NOTES,
    OF_READERS,
    OF_WINDOWS,
    PATH,
    TICKET,
    Facts,
    content_of,
    labels_of,
    mailed_as,
    variant_of,
)
from portal.services.models import (
    ServiceUpdate,
    ServiceView,
    ServiceWindow,
    StatedPeriod,
    UpdateBroadcast,
    UpdateTarget,
)
from portal.services.queries.hearing import TOPIC, Audience, among, is_mailed, status_topic, who_hears, without_hidden
from portal.services.queries.settings import EVERYTHING, View, settings, views_of
from portal.services.rules import ServiceStatus, UpdateKind

KIND, TEST = "service_status", "service_status_test"

SERVICES_NAMED = 8
COMPANIES_NAMED = 3
LINES_AT_MOST = 200
"""How many a mail names; the rest is a number."""

PRIORITY = {
    ServiceStatus.DOWN: 0,
    ServiceStatus.INTERMITTENT: 1,
    ServiceStatus.NORMAL: 2,
    ServiceStatus.SCHEDULED: 20,
}
"""Added to that of the broadcast: who has a problem now hears of it before anybody is told of plans."""

AHEAD_AT_MOST = timedelta(days=7)
"""How long a mail about scheduled service that is far ahead may wait for a mailbox that takes few a day."""


# What is told


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
        many = _many(update.id, service_ids, over, self.few)
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
        many = _many(self.update.id, self.service_ids, self.over, [])
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
    found = {to_keep & _kept_back(view) for view in (EVERYTHING, *views)}
    found |= {each | (to_keep & {INCIDENT}) for each in found}
    return {variant_of(each) for each in (*found, to_keep)}


def _kept_back(view: View) -> frozenset[str]:
    shown = {NOTES: view.shows_notes, TICKET: view.shows_tickets, END: view.shows_end_times}
    return frozenset(letter for letter, is_shown in shown.items() if not is_shown)


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


READERS_LOOKED_AT = 25
"""Of the readers of an update, so many are looked at to find one of a portal domain."""


# Who hears of it


@dataclass(frozen=True)
class Selection:
    """A frozen selector as it is read back. `mailed` are all services of the update that are told of, `service_ids`
    those of this broadcast; a company of which more than `over` change is told of them in the digest, but for the
    `few`, which do not see so many of them."""

    update_id: int
    service_ids: Sequence[int]
    mailed: Sequence[int]
    is_digest: bool
    over: int
    few: Collection[int]
    occasion: UpdateKind
    status: ServiceStatus
    variants: Sequence[str]
    to_keep: frozenset[str]
    moments: Mapping[str, datetime]

    @classmethod
    def read(cls, selector: Mapping[str, Any]) -> "Selection":
        return cls(
            update_id=selector["update_id"],
            service_ids=selector["service_ids"],
            mailed=selector["mailed"],
            is_digest=selector["digest"],
            over=selector["over"],
            few=selector.get("few", ()),
            occasion=UpdateKind(selector["occasion"]),
            status=ServiceStatus(selector["status"]),
            variants=selector["variants"],
            to_keep=frozenset(selector["to_keep"]),
            moments={name: datetime.fromisoformat(moment) for name, moment in selector["moments"].items()},
        )

    def is_target(self) -> ColumnElement[bool]:
        """The condition that a target is told of in this broadcast."""
        # The company is known wherever this is asked, and leads to a few rows; the service would lead to all of them,
        # so no index is to be used for it.
        service_id = UpdateTarget.service_id + 0
        mine = (UpdateTarget.update_id == self.update_id) & service_id.in_(self.service_ids)
        many = _many(self.update_id, self.mailed, self.over, self.few)
        if many is not None:
            mine &= UpdateTarget.company_id.in_(many) if self.is_digest else UpdateTarget.company_id.not_in(many)
        if self.occasion in (UpdateKind.ENDED, UpdateKind.FINISHED):
            # Scheduled service is over, and a problem that was stated besides is not: nobody says that all is well.
            still = exists().where(StatedPeriod.holding_id == UpdateTarget.holding_id, StatedPeriod.ended_at.is_(None))
            mine &= ~still.correlate(UpdateTarget)
        return mine

    def variant(self, kept_back: Collection[str]) -> str:
        """The variant for readers from whom this is kept: theirs, or one that says still less."""
        wanted = self.to_keep & frozenset(kept_back)
        fitting = [each for each in self.variants if wanted <= set(each)]
        return min(fitting, key=lambda each: (len(each), each))


def _many(update_id: int, service_ids: Sequence[int], over: int, few: Collection[int]) -> Select[int] | None:
    """A statement selecting the companies of which more than so many of these services change, but for these few; None
    if there can be none."""
    if len(service_ids) <= over:
        return None
    inner = UpdateTarget.__table__.alias("counted")
    many = (
        select(inner.c.company_id)
        .where(inner.c.update_id == update_id, inner.c.service_id.in_(service_ids))
        .group_by(inner.c.company_id)
        .having(func.count(distinct(inner.c.service_id)) > over)
    )
    return many.where(inner.c.company_id.not_in(among(few))) if few else many


class Held(NamedTuple):
    """A holding that an update is about, as a mail names it."""

    service_id: int
    name: str
    reference: str


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next people of the companies an update is about, by id; somebody of several is told once, of all of theirs.

    At most eleven queries.
    """
    wanted = Selection.read(selector)
    people = _people(wanted, after["person_id"] if after else 0, limit)
    found = _addressed(people, wanted)
    return found, {"person_id": people[-1].id} if len(people) == limit else None


def goes_beyond(selector: dict[str, Any], count: int, now: datetime) -> bool:
    """Whether there are more people than so many whom an update may concern. One query."""
    return bool(_people(Selection.read(selector), 0, 1, past=count))


def _people(wanted: Selection, after: int, limit: int, *, past: int = 0) -> Sequence[Row[int, str, str, str, str]]:
    # Asked of each person in turn, which is two looks into indexes: the targets may be ten thousand, the page is not.
    of_company = exists().where(UpdateTarget.company_id == Membership.company_id, wanted.is_target())
    hears = exists().where(Membership.person_id == Person.id, of_company.correlate(Membership)).correlate(Person)
    return db.session.execute(
        select(Person.id, Person.name, Person.email, Person.language, Person.time_zone)
        .where(Person.id > after, Person.deactivated_at.is_(None), hears)
        .order_by(Person.id)
        .limit(limit)
        .offset(past)
    ).all()


def _addressed(people: Sequence[Row[int, str, str, str, str]], wanted: Selection) -> list[Recipient]:
    if not people:
        return []
    companies = _companies_of([person.id for person in people])
    reach = _Reach({each.id for theirs in companies.values() for each in theirs}, wanted)
    wishes = wishes_of([person.id for person in people], reach.held)
    found = []
    for person in people:
        hit = [each for each in companies.get(person.id, ()) if each.id in reach.held]
        if not hit:
            continue
        named = [(each, one) for each in hit for one in reach.held[each.id]]
        heard = [(each, one) for each, one in named if _wants(wishes, person.id, each.id, one, wanted)]
        told = list(dict.fromkeys(each for each, _one in heard)) or hit
        found.append(
            Recipient(
                person_id=person.id,
                company_ids=tuple(each.id for each in told),
                address=person.email,
                name=person.name,
                language=known(person.language),
                values=_values(known(person.language), person.time_zone, heard or named, wanted),
                priority=PRIORITY[wanted.status],
                is_wanted=bool(heard),
                variant=reach.variant([each.id for each in told]),
            )
        )
    return found


def _wants(wishes: Wishes, person_id: int, company_id: int, held: Held, wanted: Selection) -> bool:
    """Whether somebody wants to hear this of a service: neither the list, nor it, nor the status is unwanted."""
    about = (TOPIC, status_topic(wanted.status), service_topic(held.service_id))
    return wishes.wants_all(person_id, company_id, about)


class Firm(NamedTuple):
    """A company as a mail names it."""

    id: int
    name: str


class _Reach:
    """What an update is about for some companies: those that see their services, without what they do not see."""

    def __init__(self, company_ids: Collection[int], wanted: Selection) -> None:
        shown = companies_with_area_open(Area.SERVICES, company_ids) if company_ids else frozenset[int]()
        self.wanted = wanted
        self.views = views_of(shown) if shown else {}
        self.held = self._held(shown)
        self._sees_incident: frozenset[int] = frozenset()
        if INCIDENT in wanted.to_keep and self.held:
            self._sees_incident = companies_with_status_open(list(self.held))

    def _held(self, company_ids: Collection[int]) -> dict[int, list[Held]]:
        if not company_ids:
            return {}
        rows = db.session.execute(
            select(UpdateTarget.company_id, Service.id, Service.name, Holding.reference)
            .join(Service, Service.id == UpdateTarget.service_id)
            .join(Holding, Holding.id == UpdateTarget.holding_id)
            .where(UpdateTarget.company_id.in_(company_ids), self.wanted.is_target())
            .order_by(UpdateTarget.company_id, Service.position, Service.name_key, Holding.reference)
        )
        found: dict[int, list[Held]] = {}
        for company_id, service_id, name, reference in rows:
            if service_id not in self.views[company_id].hidden_services:
                held = Held(service_id, on_one_line(name), on_one_line(reference))
                found.setdefault(company_id, []).append(held)
        return found

    def kept_back(self, company_ids: Collection[int]) -> frozenset[str]:
        """What is kept from somebody told for all of these companies: whatever one of them does not see."""
        kept = {letter for company_id in company_ids for letter in _kept_back(self.views[company_id])}
        if not self._sees_incident.issuperset(company_ids):
            kept.add(INCIDENT)
        return frozenset(kept)

    def variant(self, company_ids: Collection[int]) -> str:
        return self.wanted.variant(self.kept_back(company_ids))


def _companies_of(person_ids: Collection[int]) -> dict[int, list[Firm]]:
    rows = db.session.execute(
        select(Membership.person_id, Company.id, Company.name)
        .join(Company, Company.id == Membership.company_id)
        .where(Membership.person_id.in_(person_ids), Company.archived_at.is_(None))
        .order_by(Membership.person_id, Membership.id)
    )
    found: dict[int, list[Firm]] = {}
    for person_id, company_id, name in rows:
        found.setdefault(person_id, []).append(Firm(company_id, on_one_line(name)))
    return found


def muted_by(
    selector: dict[str, Any], people: Collection[tuple[int, tuple[int, ...]]], now: datetime
) -> frozenset[int]:
    """Those of the people, each with the companies a mail reaches them through, who want none of it any more.

    At most eight queries.
    """
    wanted = Selection.read(selector)
    company_ids = {company_id for _person_id, theirs in people for company_id in theirs}
    wishes = wishes_of([person_id for person_id, _theirs in people], company_ids)
    if wishes.is_empty:
        return frozenset()
    held = _Reach(company_ids, wanted).held
    return frozenset(
        person_id
        for person_id, theirs in people
        if not any(
            _wants(wishes, person_id, company_id, one, wanted)
            for company_id in theirs
            for one in held.get(company_id, ())
        )
    )


def tell_channels(selector: dict[str, Any], listeners: Sequence[Listener], now: datetime) -> Mapping[int, Told]:
    """What channels are told of an update: those of the companies it is about. At most eight queries."""
    wanted = Selection.read(selector)
    ids = {company_id for each in listeners for company_id in each.company_ids}
    reach = _Reach(ids, wanted)
    names: dict[int, str] = {}
    if reach.held:
        names = dict(db.session.execute(select(Company.id, Company.name).where(Company.id.in_(reach.held))).all())
    told = {}
    for each in listeners:
        hit = tuple(company_id for company_id in each.company_ids if company_id in reach.held)
        if not hit:
            continue
        named = [(Firm(one, on_one_line(names[one])), held) for one in hit for held in reach.held[one]]
        kept_back = reach.kept_back(hit)
        told[each.id] = Told(
            company_ids=hit,
            # A channel is nobody's mailbox: what a mail says of those has no value here.
            values={"support": "", "address": "", "unsubscribe_url": ""}
            | _values(known(each.language), each.time_zone, named, wanted),
            path=PATH,
            event="service_status.changed",
            data={
                "update": _seen_by(selector.get("facts", {}), kept_back, wanted),
                "services": labels_of([(one.name, one.reference) for _company, one in named]),
            },
            about=frozenset(service_topic(one.service_id) for _company, one in named),
            priority=PRIORITY[wanted.status],
            variant=reach.variant(hit),
        )
    return told


def _seen_by(facts: Mapping[str, Any], kept_back: frozenset[str], wanted: Selection) -> dict[str, Any]:
    """What a machine is told, without what its company does not see."""
    hidden = {NOTES: "text", TICKET: "ticket", END: "ends_at"}
    gone = {name for letter, name in hidden.items() if letter in kept_back & wanted.to_keep}
    return {name: value for name, value in facts.items() if name not in gone}


def _values(language: str, time_zone: str, named: Sequence[tuple[Firm, Held]], wanted: Selection) -> dict[str, str]:
    return values_for(language, time_zone, named, wanted.moments, is_digest=wanted.is_digest)


def values_for(
    language: str,
    time_zone: str,
    named: Sequence[tuple[Firm, Held]],
    moments: Mapping[str, datetime],
    *,
    is_digest: bool,
) -> dict[str, str]:
    """What of a mail is a reader's own: the services of their companies, and the moments in their time zone."""
    companies = list(dict.fromkeys(company for company, _held in named))
    labels = labels_of([(held.name, held.reference) for _company, held in named])
    values = {name: written(moment, language, time_zone) for name, moment in moments.items()}
    values["service_name"] = named_in_words(labels, SERVICES_NAMED)
    values["company_name"] = named_in_words([company.name for company in companies], COMPANIES_NAMED)
    if is_digest:
        values["services"] = _lines(companies, named)
    return values


def _lines(companies: Sequence[Firm], named: Sequence[tuple[Firm, Held]]) -> str:
    """Each service on a line of its own; with the company where they are of several."""
    lines = []
    for company in companies:
        labels = labels_of([(held.name, held.reference) for each, held in named if each == company])
        lines += [f"{company.name}: {label}" if len(companies) > 1 else label for label in labels]
    more = len(lines) - LINES_AT_MOST
    return "\n".join([*lines[:LINES_AT_MOST], f"+{more}"] if more > 0 else lines)


@lru_cache(maxsize=4096)
def written(moment: datetime, language: str, zone_name: str) -> str:
    """A moment in the reader's own zone, with the zone named."""
    local = moment.astimezone(zone(zone_name))
    with force_locale(language):
        return f"{format_datetime(local, DATES[language][1], rebase=False)} {zone_word(local)}"


LABEL = lazy_gettext("Service status")

register(
    Kind(
        name=TEST,
        topic=TOPIC,
        label=LABEL,
        recipients=one_recipient,
        allowed=still_there,
        variables=OF_READERS,
        expires_after=timedelta(hours=1),
        priority=5,
    )
)

SERVICE_STATUS = register(
    Kind(
        name=KIND,
        topic=TOPIC,
        label=LABEL,
        recipients=recipients,
        goes_beyond=goes_beyond,
        muted_by=muted_by,
        tell=tell_channels,
        allowed=partial(companies_with_area_open, Area.SERVICES),
        variables=OF_READERS,
        # What a relay would not take for a day tells nobody anything new; plans are given longer.
        expires_after=timedelta(hours=24),
        priority=10,
    )
)


def _statuses(company_id: int, now: datetime) -> Sequence[Topic]:
    return list(_topics()) if companies_with_area_open(Area.SERVICES, [company_id]) else []


def _topics() -> Sequence[Topic]:
    return [
        Topic(status_topic(status), str(LOOKS["service"][status.value].label)) for status in reversed(ServiceStatus)
    ]


def _named(keys: Collection[str]) -> dict[str, str]:
    return {topic.key: topic.label for topic in _topics() if topic.key in keys}


register_topics(Source("status", lazy_gettext("How services are"), _statuses, _named, under=TOPIC))

__all__ = ["SERVICE_STATUS", "Audience", "tell", "who_hears"]
