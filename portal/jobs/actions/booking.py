"""What customers do to work by themselves: book a job, ask for a quote, add files, call off what they asked for."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import func, select

from portal import events
from portal.accounts.rules import one_line, paragraphs
from portal.audit.rules import Actor
from portal.catalogue.queries import services_held
from portal.errors import RuleViolation
from portal.extensions import db
from portal.files import actions as files
from portal.files import subjects
from portal.files.actions import Giver
from portal.files.subjects import Ref
from portal.jobs import letters
from portal.jobs.actions.moves import (
    SITE_LENGTH,
    TEXT_LENGTH,
    TITLE_LENGTH,
    create_item,
    hold_numbers,
    lock_settings,
    made_before,
    move,
)
from portal.jobs.models import WorkItem
from portal.jobs.queries.public import PublicItem, is_shown_as
from portal.jobs.rules import Role, WorkKind

WITHIN = timedelta(hours=1)
BOOKINGS_AN_HOUR = 20
"""What one person may book within the hour: more than anybody needs, and less than a script would like."""


@dataclass(frozen=True)
class Wanted:
    """What a customer asks for, as they typed it. `holding_id` is one of their own company's, or None."""

    title: str
    description: str = ""
    site: str = ""
    holding_id: int | None = None


def book(
    kind: WorkKind,
    wanted: Wanted,
    giver: Giver,
    *,
    key: str,
    by: Actor,
    now: datetime,
    file_ids: Sequence[str] = (),
    tell: bool = True,
) -> WorkItem:
    """Book a job or ask for a quote, for the company of the giver; it lands in the role Requested.

    Sent again with the same `key`, it is the item that was made the first time. The office is mailed, without `tell`
    it is not. RuleViolation names the field.
    """
    stored_key = _booking_key(kind, giver, key)
    there = made_before(stored_key)
    if there is None:
        # Pressed twice at once, the second waits here for what the first has made.
        hold_numbers(kind)
        there = made_before(stored_key)
    if there is not None:
        return there
    company_id = giver.company_id
    if company_id is None or giver.person_id is None:
        raise LookupError("only somebody who acts for a company books")
    known = _checked(wanted, company_id, now)
    if _booked_since(company_id, giver.person_id, now - WITHIN) >= BOOKINGS_AN_HOUR:
        raise RuleViolation(_("You have asked for a lot within the hour. Wait a little, then send this."))
    item = create_item(
        kind,
        known.title,
        company_id=company_id,
        by=by,
        now=now,
        contact_id=giver.person_id,
        site=known.site,
        holding_id=known.holding_id,
        description=known.description,
        booked_by_id=giver.person_id,
        idempotency_key=stored_key,
        tell=False,
    )
    files.link(file_ids, Ref(kind.value, item.id), giver, company_id=company_id, now=now)
    if tell:
        words = "was booked" if kind is WorkKind.JOB else "was asked for"
        letters.tell_office(item, f"{words} by {giver.name}", known.description, key=f"book:{item.id}", now=now)
    return item


def add_files(item: PublicItem, file_ids: Sequence[str], giver: Giver, *, now: datetime) -> None:
    """Give files to an item the giver sees. RuleViolation for none, or for one that is gone."""
    if not file_ids:
        raise RuleViolation(_("Choose a file first."), "files")
    if giver.company_id is None:
        raise LookupError("only somebody who acts for a company gives files here")
    files.link(file_ids, item.ref, giver, company_id=giver.company_id, now=now)
    events.ring(events.STAFF, subjects.topic_of(item.ref))


def may_cancel(item: PublicItem, person_id: int | None) -> bool:
    """Whether this person may call an item off: they booked it, and what they read of it is still what it began with.

    Asked of what they see alone, so a move they do not see leaves the button where it is.
    """
    return item.is_requested and person_id is not None and item.booked_by_id == person_id


def cancel(item_id: int, giver: Giver, *, by: Actor, now: datetime) -> None:
    """Call off what one has asked for oneself; done already, nothing happens. RuleViolation where it is too late."""
    item = db.session.scalars(
        select(WorkItem)
        .where(WorkItem.id == item_id, WorkItem.company_id == giver.company_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    table = lock_settings(item.kind).table
    cancelled = table.with_role(Role.CANCELLED)
    if item.status_id == cancelled.id:
        return
    is_own = giver.person_id is not None and item.booked_by_id == giver.person_id
    is_begun = not is_shown_as(table, item.public_status_id, Role.REQUESTED)
    if not is_own or is_begun or item.finished_at is not None:
        raise RuleViolation(_("This can no longer be called off here. Write to us instead."))
    move(item, cancelled.id, by=by, now=now, tell=False)
    letters.tell_office(item, f"was called off by {giver.name}", "", key=f"cancel:{item.id}:{now.isoformat()}", now=now)


def _checked(wanted: Wanted, company_id: int, now: datetime) -> Wanted:
    title, site = one_line(wanted.title), one_line(wanted.site)
    description = paragraphs(wanted.description)
    if not title:
        raise RuleViolation(_("Say in a few words what it is about."), "title")
    for text, most, field in (
        (title, TITLE_LENGTH, "title"),
        (site, SITE_LENGTH, "site"),
        (description, TEXT_LENGTH, "description"),
    ):
        if len(text) > most:
            raise RuleViolation(_("At most %(most)s characters, please.", most=most), field)
    holding_id = wanted.holding_id
    if holding_id is not None and holding_id not in {held.holding_id for held in services_held(company_id, now)}:
        raise RuleViolation(_("Choose one of your services, or none."), "holding_id")
    return Wanted(title, description, site, holding_id)


def _booking_key(kind: WorkKind, giver: Giver, key: str) -> str:
    """One key per person and company, so that nobody's key opens what somebody else has booked."""
    parts = f"{kind.value}:{giver.company_id}:{giver.person_id}:{key}"
    return f"book:{hashlib.sha256(parts.encode()).hexdigest()}"


def _booked_since(company_id: int, person_id: int, since: datetime) -> int:
    wanted = select(func.count()).where(
        WorkItem.company_id == company_id, WorkItem.booked_by_id == person_id, WorkItem.created_at > since
    )
    return db.session.scalar(wanted) or 0
