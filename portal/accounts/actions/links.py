"""The only writers of mailed links and of the mails about an account that are still to be written."""

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, cast

from flask import current_app
from sqlalchemy import CursorResult, update

from portal import events
from portal.accounts.models import AccountMail, MailedLink, Person
from portal.accounts.rules.links import LIVES, UNBOUND, Letter, Purpose, derived_token, hashed
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.config import Settings
from portal.errors import NotFound, RuleViolation
from portal.extensions import db

RAW: Any = {"synchronize_session": False}


def issue(
    person: Person,
    purpose: Purpose,
    *,
    now: datetime,
    address: str | None = None,
    by_id: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> MailedLink:
    """Make a link for a person; older ones of the same purpose open nothing any more, but for those that are UNBOUND.

    Its token is in no row.
    """
    revoke_links(person.id, now=now, purposes={purpose} - UNBOUND)
    nonce = secrets.token_hex(32)
    link = MailedLink(
        purpose=purpose,
        nonce=nonce,
        token_hash=hashed(derived_token(_settings().secret_key, purpose, person.id, nonce)),
        person_id=person.id,
        address=address or person.email,
        password_stamp=None if purpose in UNBOUND else person.password_stamp,
        details=dict(details or {}),
        created_by_id=by_id,
        created_at=now,
        expires_at=now + LIVES[purpose],
    )
    db.session.add(link)
    db.session.flush()
    return link


def token_of(link: MailedLink) -> str:
    """The token that opens a link, derived anew; LookupError when no key of ours made it (the keys were replaced)."""
    settings = _settings()
    for key in (settings.secret_key, *settings.secret_key_fallbacks):
        token = derived_token(key, link.purpose, link.person_id, link.nonce)
        if hashed(token) == link.token_hash:
            return token
    raise LookupError("the secret key this link was made with is no longer known")


def use(link: MailedLink, now: datetime) -> None:
    """Spend a link; NotFound when somebody else was quicker. Two at once: one of them spends it."""
    spent = db.session.execute(
        update(MailedLink)
        .where(MailedLink.id == link.id, MailedLink.used_at.is_(None), MailedLink.revoked_at.is_(None))
        .values(used_at=now),
        execution_options=RAW,
    )
    if cast(CursorResult[Any], spent).rowcount != 1:
        raise NotFound


def revoke_links(
    person_id: int, *, now: datetime, purposes: Collection[Purpose] = tuple(Purpose), newer_than: int = 0
) -> None:
    """Close every link of this person that could still open something, or those of some purposes.

    `newer_than` is the id of a link that stays, with all that were made before it.
    """
    db.session.execute(
        update(MailedLink)
        .where(
            MailedLink.person_id == person_id,
            MailedLink.purpose.in_(purposes),
            MailedLink.id > newer_than,
            MailedLink.used_at.is_(None),
            MailedLink.revoked_at.is_(None),
        )
        .values(revoked_at=now),
        execution_options=RAW,
    )


def write_to(
    person: Person | None,
    letter: Letter,
    *,
    now: datetime,
    address: str | None = None,
    link: MailedLink | None = None,
    host: str = "",
    details: Mapping[str, Any] | None = None,
) -> AccountMail:
    """Have a mail about an account written, to its own address unless another is given, and wake who writes it."""
    mail = AccountMail(
        kind=letter,
        address=address or (person.email if person else ""),
        person_id=person.id if person else None,
        link_id=link.id if link else None,
        host=host[:255],
        details=dict(details or {}),
        created_at=now,
    )
    db.session.add(mail)
    db.session.flush()
    events.wake("write_account_mails")
    return mail


def invite(person: Person, *, by: Actor, now: datetime, company_id: int | None = None) -> MailedLink:
    """Mail somebody the link with which they choose their first password. A second invitation replaces the first.

    `company_id` is the company whose portal it should lead to, where they act for several. RuleViolation for somebody
    who is shut out, or who has a password already and so needs no invitation.
    """
    if person.deactivated_at:
        raise RuleViolation(f"{person.name} is deactivated. Let them in again first.")
    if person.password_hash:
        raise RuleViolation(f"{person.name} has a password already. Send a link for a new one instead.")
    link = issue(person, Purpose.INVITATION, now=now, by_id=by.person_id, details={"company_id": company_id})
    write_to(person, Letter.INVITATION, now=now, link=link, details={"company_id": company_id, "by": by.person_id})
    audit.record("person.invite", object_kind="person", object_id=person.id, company_id=company_id, by=by, now=now)
    return link


def send_reset(person: Person, *, by: Actor, now: datetime) -> None:
    """Mail somebody a link for a new password because staff asked for it. Nobody else learns or chooses that."""
    if person.deactivated_at:
        raise RuleViolation(f"{person.name} is deactivated. Let them in again first.")
    write_to(person, Letter.RESET, now=now)
    audit.record("person.reset", object_kind="person", object_id=person.id, by=by, now=now)


def ask_reset(address: str, *, host: str, now: datetime) -> None:
    """Somebody who cannot sign in asks for a way back. Whether anybody has this address shows only in the mail."""
    write_to(None, Letter.RESET, now=now, address=address, host=host)


def _settings() -> Settings:
    return cast(Settings, current_app.config["SETTINGS"])
