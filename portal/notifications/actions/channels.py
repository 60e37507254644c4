"""Writing down what channels are told: a delivery for each that is reached and wants it, with the broadcast itself."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import and_, or_, select

from portal import events
from portal.accounts.models import Company, Membership, Person
from portal.config import Settings
from portal.domains.models import Admission, PortalDomain
from portal.extensions import db
from portal.language import known
from portal.notifications.actions.inserting import insert_new
from portal.notifications.channels import dialled
from portal.notifications.channels.queries import why_unreachable
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.kinds import Kind, Listener, Told, wording_for, wording_for_subscriber
from portal.notifications.models import IS_SOMEBODYS, Broadcast, ContactChannel, Delivery
from portal.notifications.queries import Home, homes_of
from portal.notifications.rules import DeliveryState, dedupe_key, message_id, name_key
from portal.notifications.subscribers import hearing
from portal.notifications.subscribers.links import manage_path
from portal.notifications.subscribers.rules import hears

FINER = ":"
"""What marks a topic as finer than that of a kind: "service:12"."""

STAFF_ZONE = "UTC"


def write_down_channels(broadcast: Broadcast, kind: Kind, now: datetime) -> int:
    """One delivery per channel that this is for; returns how many channels that are.

    One that cannot be reached gets a line that says why, and is not counted as told. Safe to do twice. Seven queries
    and those of the kind, whatever there is; a few more where it names telephones itself.
    """
    count = _write_down_subscribers(broadcast, kind, now) + _write_down_numbers(broadcast, kind, now)
    if kind.tell is None:
        return count
    channels = [each for each in _channels(is_for_staff=kind.is_for_staff) if broadcast.topic in each.topics]
    if not channels:
        return count
    companies = _companies_of(channels)
    allowed = kind.allowed({company_id for each in companies.values() for company_id in each})
    open_to = {channel_id: tuple(each for each in ids if each in allowed) for channel_id, ids in companies.items()}
    zones = _zones_of(channels, {ids[0] for ids in open_to.values() if ids})
    listeners = [
        Listener(each.id, open_to.get(each.id, ()), each.language, zones.get(each.id, STAFF_ZONE))
        for each in channels
        if kind.is_for_staff or open_to.get(each.id)
    ]
    told = kind.tell(broadcast.selector, listeners, now)
    homes = homes_of({company_id for each in told.values() for company_id in each.company_ids[:1]})
    rows = [
        _row(broadcast, channel, told[channel.id], homes, now)
        for channel in channels
        if channel.id in told and _wants(channel.topics, told[channel.id].about)
    ]
    if rows:
        insert_new(Delivery, *rows)
        events.wake("deliver_channels")
    return count + len(rows)


def _write_down_subscribers(broadcast: Broadcast, kind: Kind, now: datetime) -> int:
    """The same for channels of subscribers, who hear what everybody may. Three queries where there are any."""
    published = kind.published(broadcast.selector, now) if kind.published is not None else None
    if published is None:
        return 0
    rows = []
    for channel, subscriber, place, follows in hearing.channels_hearing(
        broadcast.topic, broadcast.thread_key, published.domain_id
    ):
        does_hear = hears(subscriber.topics, broadcast.topic, published.about)
        if not does_hear and not follows:
            continue
        values = hearing.filled(published, channel.language, place.time_zone, alone=not does_hear)
        manage_url = (place.home.base_url or "") + manage_path(subscriber.key, now)
        data = published.data_in(known(channel.language)) if published.data_in else published.data
        told = Told((), values, published.path, published.event, {**data, "manage_url": manage_url})
        row = _row_at(broadcast, channel, told, place.home, now)
        if channel.kind is not ChannelKind.WEBHOOK:
            row["values"]["foot"] = _foot(values["following"], manage_url, channel.language)
        wording = wording_for_subscriber(broadcast.content, channel.language, place.home.domain_id)
        rows.append(
            {
                **row,
                "subscriber_id": subscriber.id,
                "wording": wording,
                "priority": broadcast.priority + hearing.PRIORITY,
            }
        )
    if rows:
        insert_new(Delivery, *rows)
        events.wake("deliver_channels")
    return len(rows)


def _foot(following: str, manage_url: str, language: str) -> str:
    """What stands under every post in the room of a subscriber: how it is changed or ended, by whoever reads there."""
    with force_locale(known(language)):
        said = _("Change or end this subscription:")
    return f"{following}\n\n{said} {manage_url}".strip()


def _write_down_numbers(broadcast: Broadcast, kind: Kind, now: datetime) -> int:
    """The same for telephones the kind names itself: each with its own text, made when it is written down."""
    named = kind.numbers(broadcast.selector, now) if kind.numbers is not None else ()
    allowed = kind.allowed({each.company_id for each in named if each.company_id is not None}) if named else ()
    reached = [each for each in named if each.company_id is None or each.company_id in allowed]
    if not reached:
        return 0
    slots = dialled.slots_of([each.number for each in reached], now)
    homes = homes_of({each.company_id for each in reached if each.company_id is not None})
    rows = []
    for each in reached:
        companies = () if each.company_id is None else (each.company_id,)
        home = homes.get(each.company_id) if each.company_id is not None else None
        row = _row_at(broadcast, slots[each.number], Told(companies, {"sms": each.text}, "", kind.name, {}), home, now)
        row["values"] |= {"link": ""}
        wording = wording_for(broadcast.content, known(each.language), home.domain_id if home else None)
        rows.append({**row, "person_id": each.person_id, "wording": wording})
    insert_new(Delivery, *rows)
    events.wake("deliver_channels")
    return len(rows)


def _channels(*, is_for_staff: bool) -> Sequence[ContactChannel]:
    """The channels a broadcast may be for: those of the staff, or those of customers who still are."""
    statement = select(ContactChannel).order_by(ContactChannel.id)
    if is_for_staff:
        statement = statement.where(
            ContactChannel.company_id.is_(None),
            ContactChannel.person_id.is_(None),
            IS_SOMEBODYS,
        )
    else:
        statement = (
            statement.outerjoin(Company, Company.id == ContactChannel.company_id)
            .outerjoin(Person, Person.id == ContactChannel.person_id)
            .where(
                or_(
                    and_(Company.id.is_not(None), Company.archived_at.is_(None)),
                    and_(Person.id.is_not(None), Person.deactivated_at.is_(None)),
                )
            )
        )
    return db.session.scalars(statement).all()


def _companies_of(channels: Collection[ContactChannel]) -> dict[int, tuple[int, ...]]:
    """The companies each channel hears for: its own, or all those its person acts for."""
    of_person: dict[int, list[int]] = {}
    people = {each.person_id for each in channels if each.person_id is not None}
    if people:
        rows = db.session.execute(
            select(Membership.person_id, Membership.company_id)
            .join(Company, Company.id == Membership.company_id)
            .where(Membership.person_id.in_(people), Company.archived_at.is_(None))
            .order_by(Membership.person_id, Membership.id)
        )
        for person_id, company_id in rows:
            of_person.setdefault(person_id, []).append(company_id)
    found: dict[int, tuple[int, ...]] = {}
    for each in channels:
        if each.company_id is not None:
            found[each.id] = (each.company_id,)
        elif each.person_id is not None:
            found[each.id] = tuple(of_person.get(each.person_id, ()))
    return found


def _zones_of(channels: Collection[ContactChannel], company_ids: Collection[int]) -> dict[int, str]:
    """The zone each channel is spoken to in: that of its person, or of its company's home portal."""
    people = {each.person_id for each in channels if each.person_id is not None}
    of_people: dict[int, str] = {}
    if people:
        of_people = dict(db.session.execute(select(Person.id, Person.time_zone).where(Person.id.in_(people))).all())
    homes = select(Admission.company_id, PortalDomain.time_zone).join(
        PortalDomain, PortalDomain.id == Admission.domain_id
    )
    of_companies = dict(db.session.execute(homes.where(Admission.is_home, Admission.company_id.in_(company_ids))).all())
    found = {}
    for each in channels:
        zone = of_people.get(each.person_id or 0) or of_companies.get(each.company_id or 0)
        if zone is not None:
            found[each.id] = zone
    return found


def _wants(topics: Collection[str], about: Collection[str]) -> bool:
    """Whether a channel that wants these topics wants what is about those: all of it, unless it names finer ones."""
    finer = {each for each in topics if FINER in each}
    return not finer or not about or not finer.isdisjoint(about)


def _row(
    broadcast: Broadcast, channel: ContactChannel, told: Told, homes: Mapping[int, Home], now: datetime
) -> dict[str, Any]:
    home = homes.get(told.company_ids[0]) if told.company_ids else None
    wording = wording_for(broadcast.content, channel.language, home.domain_id if home else None, told.variant)
    return {**_row_at(broadcast, channel, told, home, now), "wording": wording}


def _row_at(
    broadcast: Broadcast, channel: ContactChannel, told: Told, home: Home | None, now: datetime
) -> dict[str, Any]:
    """A delivery but for its wording; its links lead to this home."""
    settings: Settings = current_app.config["SETTINGS"]
    base_url = (home and home.base_url) or settings.base_url
    address_key = f"channel:{channel.id}"
    dedupe = dedupe_key(broadcast.idempotency_key, channel.kind.value, address_key)
    values = {
        "company": home.company if home else "",
        **told.values,
        "name": channel.label,
        "brand": (home and home.brand) or settings.mail_domain,
        "portal_url": base_url,
    }
    link = base_url + told.path
    why = why_unreachable(channel, settings)
    return {
        "broadcast_id": broadcast.id,
        "dedupe_key": dedupe,
        "message_id": message_id(name_key(settings.secret_key), dedupe, settings.mail_domain),
        "channel": channel.kind.value,
        "contact_channel_id": channel.id,
        "address": channel.hint,
        "address_key": address_key,
        "name": channel.label,
        "person_id": channel.person_id,
        "company_id": told.company_ids[0] if told.company_ids else None,
        "company_ids": list(told.company_ids),
        "values": {"values": values, "link": link, "event": told.event, "data": {**told.data, "url": link}},
        "priority": broadcast.priority + told.priority,
        "created_at": now,
        "next_attempt_at": now,
        "state": DeliveryState.SUPPRESSED if why else DeliveryState.PENDING,
        "answer": why,
        "finished_at": now if why else None,
    }
