"""Changing one's e-mail address: asked for by who is signed in, confirmed from the new one, undone from the old one."""

from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.accounts.actions.links import invite, issue, revoke_links, use, write_to
from portal.accounts.actions.sessions import end_sessions
from portal.accounts.models import MailedLink, Person
from portal.accounts.queries.people import invitations_of
from portal.accounts.rules import is_email, text_key
from portal.accounts.rules.links import UNBOUND, Letter, Purpose
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db


def ask_email_change(person: Person, address: str, *, by: Actor, now: datetime) -> None:
    """Mail a link to the address somebody wants to be known by; nothing changes before it is opened.

    An address that is somebody else's gets a mail that says so and no link, and who asked is shown the same as ever,
    a change that waits: who is known here is not for everybody to find out.
    """
    address = address.strip()
    # Most servers take no other letters before the @, and a link that cannot arrive would be waited for in vain.
    if not is_email(address) or not address.partition("@")[0].isascii():
        raise RuleViolation(_("That is not an e-mail address we can write to."), "email")
    if address == person.email:
        raise RuleViolation(_("This is your address already."), "email")
    link = issue(person, Purpose.EMAIL_CHANGE, now=now, address=address, by_id=by.person_id)
    if _somebody_elses(address, person):
        # The link stands on no page and in no mail: nobody can ever follow it.
        write_to(person, Letter.EMAIL_TAKEN, now=now, address=address)
    else:
        write_to(person, Letter.EMAIL_CHANGE, now=now, address=address, link=link)
    audit.record(
        "person.email-ask",
        object_kind="person",
        object_id=person.id,
        by=by,
        now=now,
        before={"email": person.email},
        after={"email": address},
    )


def correct_address(person: Person, address: str, *, version: int, by: Actor, now: datetime) -> None:
    """Mend the address somebody was written down with; an invitation that went to the wrong one goes to this one.

    Only while they have no password: from then on it is theirs, and they alone change it. Raises StaleEdit, and
    RuleViolation on the field "email".
    """
    if person.version != version:
        raise StaleEdit
    address = address.strip()
    if address == person.email:
        return
    if person.password_hash:
        raise RuleViolation(f"{person.name} has signed in with this address and changes it themselves.", "email")
    if not is_email(address) or not address.partition("@")[0].isascii():
        raise RuleViolation("That is not an e-mail address we can write to.", "email")
    before = person.email
    was_invited = person.id in invitations_of([person.id])
    revoke_links(person.id, now=now)
    _set_address(person, address)
    _record("person.email-correct", person, before, by, now)
    if was_invited and not person.deactivated_at:
        invite(person, by=by, now=now)


def confirm_email_change(link: MailedLink, *, by: Actor, now: datetime) -> None:
    """The link was opened from the new address: it is the person's now. The old one is told, with a way back.

    RuleViolation when somebody else has taken it meanwhile.
    """
    use(link, now)
    person, before = link.person, link.person.email
    _set_address(person, link.address)
    way_back = issue(person, Purpose.EMAIL_UNDO, now=now, address=before, details={"from": link.address})
    write_to(person, Letter.EMAIL_CHANGED, now=now, address=before, link=way_back, details={"new": link.address})
    _record("person.email", person, before, by, now)


def undo_email_change(link: MailedLink, *, by: Actor, now: datetime) -> MailedLink:
    """The way back was taken: the old address holds again and everybody is signed out.

    Whoever changed it may know the password, so that opens nothing any more; returns the link for a new one. Ways back
    to addresses from before this one stay open: who changed it twice must not end them by going back once.
    """
    use(link, now)
    person, before = link.person, link.person.email
    _set_address(person, link.address)
    person.password_hash = None
    person.password_stamp += 1
    db.session.flush()
    revoke_links(person.id, now=now, purposes=set(Purpose) - UNBOUND)
    revoke_links(person.id, now=now, purposes=UNBOUND, newer_than=link.id)
    end_sessions(person.id, by=by, now=now)
    _record("person.email-undo", person, before, by, now)
    return issue(person, Purpose.RESET, now=now)


def _set_address(person: Person, address: str) -> None:
    """Two who want the same address at once: one gets it."""
    refusal = RuleViolation(_("Somebody else has this address by now. Nothing was changed."), "email")
    if _somebody_elses(address, person):
        raise refusal
    person.email, person.email_key = address, text_key(address)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise refusal from None


def _somebody_elses(address: str, person: Person) -> bool:
    known = select(Person.id).where(Person.email_key == text_key(address), Person.id != person.id)
    return db.session.scalar(known) is not None


def _record(action: str, person: Person, before: str, by: Actor, now: datetime) -> None:
    audit.record(
        action,
        object_kind="person",
        object_id=person.id,
        by=by,
        now=now,
        before={"email": before},
        after={"email": person.email},
    )
