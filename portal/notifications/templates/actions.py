"""Wording a mail, taking the built-in words back: every save is a version of its own."""

from datetime import datetime

from sqlalchemy import func, select

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import PortalDomain
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import LANGUAGES
from portal.notifications.templates.models import MailTemplate
from portal.notifications.templates.queries import newest
from portal.notifications.templates.rules import FieldError, Words, checked, template_named


def save_template(
    name: str,
    language: str,
    domain_id: int | None,
    words: Words,
    *,
    expected: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
) -> MailTemplate:
    """Have these words stand from the next mail on, for all portal domains or (`domain_id`) for one.

    `expected` is the id of the version they were made from, 0 for none; StaleEdit where there is a newer one.
    RuleViolation, at subject, text or html, for what cannot be sent; NotFound for a place there is not.
    """
    _check_place(name, language, domain_id)
    before = _locked(name, language, domain_id, expected)
    try:
        kept = checked(template_named(name), words)
    except FieldError as refusal:
        raise RuleViolation(str(refusal), refusal.field) from None
    if before is not None and not before.is_reset and Words(before.subject, before.text, before.html) == kept:
        return before
    return _add(name, language, domain_id, kept, by=by, author_id=author_id, now=now)


def reset_template(
    name: str,
    language: str,
    domain_id: int | None,
    *,
    expected: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
) -> None:
    """Take the words of this place back: those of all domains stand there again, or the built-in ones. Twice is once.

    StaleEdit where there is a newer version than `expected`.
    """
    _check_place(name, language, domain_id)
    before = _locked(name, language, domain_id, expected)
    if before is None or before.is_reset:
        return
    _add(name, language, domain_id, Words("", "", ""), is_reset=True, by=by, author_id=author_id, now=now)


def _check_place(name: str, language: str, domain_id: int | None) -> None:
    try:
        template_named(name)
    except KeyError:
        raise NotFound from None
    if language not in LANGUAGES or (domain_id is not None and db.session.get(PortalDomain, domain_id) is None):
        raise NotFound


def _locked(name: str, language: str, domain_id: int | None, expected: int) -> MailTemplate | None:
    """The version that stands in a place, while nobody else may save one there."""
    if db.session.get_bind().dialect.name == "postgresql":
        # The first version has no row to lock. SQLite lets one write at a time anyway.
        place = f"mail_template:{name}:{language}:{domain_id or ''}"
        db.session.execute(select(func.pg_advisory_xact_lock(func.hashtext(place))))
    before = newest(name, language, domain_id)
    if (before.id if before else 0) != expected:
        raise StaleEdit
    return before


def _add(
    name: str,
    language: str,
    domain_id: int | None,
    words: Words,
    *,
    is_reset: bool = False,
    by: Actor,
    author_id: int | None,
    now: datetime,
) -> MailTemplate:
    row = MailTemplate(
        name=name,
        domain_id=domain_id,
        language=language,
        subject=words.subject,
        text=words.text,
        html=words.html,
        is_reset=is_reset,
        created_at=now,
        created_by_id=author_id,
    )
    db.session.add(row)
    db.session.flush()
    events.ring(events.STAFF)
    audit.record(
        "mail_template.reset" if is_reset else "mail_template.save",
        object_kind="mail_template",
        object_id=row.id,
        by=by,
        now=now,
        after={"name": name, "language": language, "domain_id": domain_id, "subject": words.subject},
    )
    return row
