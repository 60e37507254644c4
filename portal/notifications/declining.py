"""Claimed mails that nobody wants any more, because of a wish said after their delivery was written down."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from portal.extensions import db
from portal.notifications.kinds import Kind, kind_named
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.wishes import BY_COMPANY, CLOCKS_APART, MUTED, newest_wish, wishes_of

if TYPE_CHECKING:
    from portal.notifications.leases import Taken


def declined_since(deliveries: Collection["Taken"], now: datetime) -> dict[int, str]:
    """Why, by delivery id, those of these claimed deliveries are no longer wanted.

    Wishes were honoured when the deliveries were written, so this asks only about broadcasts that are older than the
    newest wish there is: one or two small queries as a rule, and six for each broadcast that somebody's wish overtook.
    A person's own word on the kind itself is looked at again with the mark, right before the mail goes.
    """
    newest = newest_wish() if deliveries else None
    if newest is None:
        return {}
    overtaken = db.session.execute(
        select(Broadcast.id, Broadcast.kind, Broadcast.selector).where(
            Broadcast.id.in_({each.broadcast_id for each in deliveries}),
            Broadcast.created_at <= newest + CLOCKS_APART,
        )
    ).all()
    found: dict[int, str] = {}
    for broadcast_id, name, selector in overtaken:
        kind = kind_named(name)
        if kind.is_list:
            mine = [each for each in deliveries if each.broadcast_id == broadcast_id]
            found |= _declined(kind, selector, mine, now)
    return found


def _declined(kind: Kind, selector: dict[str, object], mine: Iterable["Taken"], now: datetime) -> dict[int, str]:
    companies = {each.id: tuple(each.company_ids) for each in mine}
    rows = db.session.execute(
        select(Delivery.id, Delivery.person_id).where(Delivery.id.in_(companies), Delivery.person_id.is_not(None))
    )
    people = {delivery_id: person_id for delivery_id, person_id in rows if person_id is not None}
    wishes = wishes_of(people.values(), {each for ids in companies.values() for each in ids}, [kind.topic])
    found = {
        delivery_id: BY_COMPANY
        for delivery_id, ids in companies.items()
        if ids and not any(wishes.wants(people.get(delivery_id), company_id, kind.topic) for company_id in ids)
    }
    if kind.muted_by is not None:
        muted = kind.muted_by(selector, [(person, companies[each]) for each, person in people.items()], now)
        found |= {each: MUTED for each, person in people.items() if person in muted}
    return found
