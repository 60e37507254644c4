"""What becomes of a mail to a monitor of the kind “e-mail”: a draft, or an entry in the timeline it names.

Whoever knows the address may write to it, so that opens drafts and writes private updates, which no customer sees. What
staff who may publish write is published where the monitor is set to do so. The sender of a mail can be made up; the key
in the address is what is secret.
"""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import select

from portal.accounts.models import Person
from portal.accounts.rules import Permission, Role, may, text_key
from portal.audit.rules import SYSTEM, Actor
from portal.config import Settings
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.actions.drafts import publish_draft, save_draft
from portal.incidents.actions.monitors import ask_staff, note_heard
from portal.incidents.actions.updating import post_update
from portal.incidents.models import Incident, IncidentDraft, Monitor
from portal.incidents.queries.monitors import monitor_with_key, titles_of_components
from portal.incidents.rules import Severity, Visibility
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.incidents.rules.mail_in import Letter, read_letter
from portal.incidents.rules.monitors import NotUnderstoodError, Shape, draft_text
from portal.notifications.bounces import doors

DOOR = "incident"
"""The name of our door in the mailbox of reports."""

FIRST_PROMISE = timedelta(minutes=30)


def take_mail(monitor: Monitor, raw: bytes, *, now: datetime) -> str:
    """Do what a mail says; the same mail again does nothing more. Returns in a few words what became of it.

    Raises NotUnderstoodError, RuleViolation where what it says cannot be done: nothing is changed then.
    """
    letter = read_letter(raw)
    settings: Settings = current_app.config["SETTINGS"]
    is_ours = letter.message_id.endswith(f"@{settings.mail_domain}>")
    if letter.is_automatic or is_ours:
        return "An automatic answer: nothing was done."
    note_heard(monitor.id, "", now)
    author = _author(letter.sender)
    publishes = monitor.publishes and author is not None
    key = _key(monitor.id, letter, raw)
    named = _components(letter, monitor.severity)
    if letter.report is not None:
        return _write_to(letter, letter.report, named, key, author=author, publishes=publishes, now=now)
    return _open(monitor, letter, named, key, author=author, publishes=publishes, now=now)


def take_from_mailbox(key: str, raw: bytes, now: datetime) -> str | None:
    """The same for a mail that lay in the mailbox of reports. What could not be done stands with the monitor."""
    monitor = monitor_with_key(key)
    if monitor is None or monitor.shape is not Shape.MAIL:
        return None
    try:
        with db.session.begin_nested():
            return take_mail(monitor, raw, now=now)
    except (NotUnderstoodError, RuleViolation) as why:
        trouble = why.sentence if isinstance(why, RuleViolation) else str(why)
        note_heard(monitor.id, trouble[:300], now)
        return trouble


doors.register(DOOR, take_from_mailbox)


def _write_to(
    letter: Letter,
    number: int,
    named: dict[int, Severity],
    key: str,
    *,
    author: Person | None,
    publishes: bool,
    now: datetime,
) -> str:
    """Write the next entry of a report's timeline: a private one, with its commands as text, unless it is published."""
    incident = db.session.scalars(
        select(Incident).where(Incident.id == number).with_for_update().execution_options(populate_existing=True)
    ).one_or_none()
    if incident is None:
        raise RuleViolation(f"There is no report #{number}.")
    said = letter.text or letter.subject
    by = _by(author)
    if publishes:
        post_update(
            incident,
            letter.state,
            said,
            named,
            version=incident.version,
            by=by,
            author_id=author.id if author else None,
            now=now,
            idempotency_key=key,
        )
        return f"An update of report #{number}."
    wishes = [f"State: {letter.state}"] if letter.state else []
    wishes += [f"Component {component_id}: {severity}" for component_id, severity in named.items()]
    whose = letter.sender or "somebody"
    post_update(
        incident,
        None,
        "\n\n".join([f"By mail from {whose}:", *wishes, said]),
        {},
        visibility=Visibility.PRIVATE,
        notify=False,
        version=incident.version,
        by=by,
        author_id=author.id if author else None,
        now=now,
        idempotency_key=key,
    )
    return f"A private update of report #{number}."


def _open(
    monitor: Monitor,
    letter: Letter,
    named: dict[int, Severity],
    key: str,
    *,
    author: Person | None,
    publishes: bool,
    now: datetime,
) -> str:
    """Draft a report, or publish it. A second mail with the same subject is counted in the draft that is open."""
    content = DraftContent(
        title=letter.subject,
        body=letter.text or draft_text([]),
        severities=named or None,
        next_update=FIRST_PROMISE,
    )
    if letter.state is not None:
        content = replace(content, state=letter.state)
    known = db.session.scalar(select(IncidentDraft.id).where(IncidentDraft.idempotency_key == key))
    draft = save_draft(
        content,
        origin=Origin.MAIL,
        origin_name=monitor.name,
        fold_key=f"mail:{monitor.id}:{hashlib.sha256(text_key(letter.subject).encode()).hexdigest()[:32]}",
        signal="\n".join([letter.sender, letter.subject, letter.text]),
        by=_by(author),
        author_id=author.id if author else None,
        now=now,
        idempotency_key=key,
    )
    if publishes and author is not None:
        incident = publish_draft(draft, by=_by(author), author_id=author.id, now=now)
        return f"Report #{incident.id}."
    if known is None and draft.signals == 1:
        ask_staff(monitor, draft, letter.text or letter.subject, now)
    return "A draft." if draft.signals == 1 else "Counted in a draft that was open."


def _components(letter: Letter, usual: Severity) -> dict[int, Severity]:
    """The components the mail names, in its commands; or else those whose titles stand in its subject."""
    titles = titles_of_components()
    unknown = [title for title in letter.named if title not in titles]
    if unknown:
        raise RuleViolation(f"There is no component called “{unknown[0][:80]}”.")
    if letter.named or letter.report is not None:
        return {titles[title]: severity or usual for title, severity in letter.named.items()}
    subject = f" {' '.join(letter.subject.split()).casefold()} "
    return {
        component_id: usual
        for title, component_id in titles.items()
        if any(f"{before}{title}{after}" in subject for before in " (:[" for after in " ):],.")
    }


def _author(sender: str) -> Person | None:
    """Who wrote it, where that is one of the staff who may publish."""
    person = db.session.scalars(
        select(Person).where(Person.email_key == text_key(sender), Person.deactivated_at.is_(None))
    ).one_or_none()
    return person if person and may(person.role and Role(person.role), Permission.INCIDENTS_PUBLISH) else None


def _by(author: Person | None) -> Actor:
    return Actor(f"{author.email} (by mail)", author.id) if author else SYSTEM


def _key(monitor_id: int, letter: Letter, raw: bytes) -> str:
    """The same for the same mail, whichever way and however often it comes."""
    named = letter.message_id.encode() or raw
    return f"mail:{monitor_id}:{hashlib.sha256(named).hexdigest()[:40]}"
