"""The list of suppressions for staff: whom nothing is sent to, why, how we know, and who it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import aliased

from portal.accounts.models import Person
from portal.accounts.rules import is_email, text_key
from portal.config import Settings
from portal.errors import NotFound
from portal.extensions import db
from portal.notifications.models import Delivery, Suppression
from portal.notifications.rules import EVERY_TOPIC, HASHED, SuppressionReason, hashed_address
from portal.notifications.topics import names_of

PAGE_SIZE = 50


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed by: a part of an address or of a detail, and a reason."""

    text: str = ""
    reason: SuppressionReason | None = None


@dataclass(frozen=True)
class Stop:
    """One line: a suppression, whose address it is if somebody's here, who stopped it by hand, and the broadcast that
    showed it. `has_ended` once it stops nothing any more; `list_name` is the list it is about, as people call it, empty
    for every mail."""

    suppression: Suppression
    person_id: int | None
    person: str | None
    by: str | None
    broadcast_id: int | None
    has_ended: bool
    list_name: str

    @property
    def is_erased(self) -> bool:
        """Whether the address went with its person, so that only a hash of it is known."""
        return self.suppression.address_key.startswith(HASHED)


@dataclass(frozen=True)
class Page:
    """One page of the list, `page` of `pages` (from 1), of `total` in all."""

    items: Sequence[Stop]
    page: int
    pages: int
    total: int


def suppressions(filters: Filters, page: int, now: datetime) -> Page:
    """Suppressions, newest first, 50 a page. Two queries, and one for each sort of topics; NotFound beyond the last."""
    narrowed = _narrowed(filters)
    total = db.session.scalar(select(func.count()).select_from(Suppression).where(*narrowed)) or 0
    pages = max(1, -(-total // PAGE_SIZE))
    if not 1 <= page <= pages:
        raise NotFound
    staff = aliased(Person)
    rows = db.session.execute(
        select(Suppression, Person.id, Person.name, staff.name, Delivery.broadcast_id)
        .outerjoin(Person, Person.email_key == Suppression.address_key)
        .outerjoin(staff, staff.id == Suppression.created_by_id)
        .outerjoin(Delivery, Delivery.id == Suppression.delivery_id)
        .where(*narrowed)
        .order_by(Suppression.created_at.desc(), Suppression.id.desc())
        .limit(PAGE_SIZE)
        .offset((page - 1) * PAGE_SIZE)
    )
    found = rows.all()
    names = names_of({row[0].scope for row in found} - {EVERY_TOPIC})
    items = [
        Stop(
            each,
            person_id,
            person,
            by,
            broadcast_id,
            has_ended=each.until is not None and each.until <= now,
            list_name=names.get(each.scope, ""),
        )
        for each, person_id, person, by, broadcast_id in found
    ]
    return Page(items, page, pages, total)


def counts(now: datetime) -> dict[SuppressionReason, int]:
    """How many of each reason stop something now. One query."""
    rows = db.session.execute(
        select(Suppression.reason, func.count())
        .where(or_(Suppression.until.is_(None), Suppression.until > now))
        .group_by(Suppression.reason)
    )
    return dict(rows.all())


def suppression_by_id(suppression_id: int) -> Suppression | None:
    """This suppression, locked until the transaction ends."""
    return db.session.get(Suppression, suppression_id, with_for_update=True)


def _narrowed(filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.reason is not None:
        conditions.append(Suppression.reason == filters.reason)
    if wanted := text_key(filters.text):
        found = [
            and_(
                Suppression.address_key.contains(wanted, autoescape=True), ~Suppression.address_key.startswith(HASHED)
            ),
            Suppression.detail.icontains(filters.text.strip(), autoescape=True),
        ]
        if is_email(filters.text.strip()):
            settings: Settings = current_app.config["SETTINGS"]
            secrets = (settings.secret_key, *settings.secret_key_fallbacks)
            found.append(Suppression.address_key.in_([hashed_address(each, wanted) for each in secrets]))
        conditions.append(or_(*found))
    return conditions
