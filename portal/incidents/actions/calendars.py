"""The secret address of a company's calendar: making it, giving it another one, and ending it."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import update

from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import StaleEdit
from portal.extensions import db
from portal.incidents.models import CalendarAddress
from portal.incidents.queries.calendars import PURPOSE, address_of, hash_of
from portal.sealing import seal

SECRET_BYTES = 24

READ_NOTED_EVERY = timedelta(hours=1)
"""How often at most it is written down that a calendar was read."""


def make_address(company_id: int, *, by: Actor, now: datetime) -> CalendarAddress:
    """Give the company's calendar an address. Where it has one already, that stays."""
    if known := address_of(company_id):
        return known
    made = CalendarAddress(company_id=company_id, created_at=now, created_by_id=by.person_id)
    _give_secret(made)
    db.session.add(made)
    db.session.flush()
    _record("make", made, by=by, now=now)
    return made


def renew_address(address: CalendarAddress, *, version: int, by: Actor, now: datetime) -> None:
    """Give it another secret: the old address answers nobody any more. StaleEdit if somebody else was quicker."""
    _check(address, version)
    _give_secret(address)
    address.created_at, address.created_by_id, address.read_at = now, by.person_id, None
    db.session.flush()
    _record("renew", address, by=by, now=now)


def end_address(address: CalendarAddress, *, version: int, by: Actor, now: datetime) -> None:
    """Have no address any more. StaleEdit if somebody else was quicker."""
    _check(address, version)
    _record("end", address, by=by, now=now)
    db.session.delete(address)
    db.session.flush()


def _check(address: CalendarAddress, version: int) -> None:
    if address.version != version:
        raise StaleEdit


def _give_secret(address: CalendarAddress) -> None:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    address.secret_hash, address.sealed = hash_of(secret), seal(secret, PURPOSE)


def _record(what: str, address: CalendarAddress, *, by: Actor, now: datetime) -> None:
    audit.record(f"calendar_address.{what}", object_kind="company", object_id=address.company_id, by=by, now=now)


def note_read(address_id: int, now: datetime) -> None:
    """Write down that it was read, without making it another version of the address."""
    db.session.execute(update(CalendarAddress).where(CalendarAddress.id == address_id).values(read_at=now))
