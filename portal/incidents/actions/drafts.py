"""Reports that wait: saving them, publishing them by hand or by the clock, and putting them away.

A draft is told to nobody, shows nowhere but on staff screens, and counts nowhere. Publishing it is publishing a
report, once: its key is that of the draft.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.accounts.rules import one_line, paragraphs
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM, Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.languages import clean_translations
from portal.incidents.actions.publishing import publish
from portal.incidents.actions.templates import fill, fill_translations
from portal.incidents.actions.wordings import checked_wordings
from portal.incidents.actions.writing import BODY_LENGTH, TITLE_LENGTH
from portal.incidents.models import Incident, IncidentDraft
from portal.incidents.queries.drafts import is_open
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.language import TIME_ZONES
from portal.notifications.actions import queue_broadcast
from portal.notifications.wordings import render_wordings

SIGNAL_LENGTH = 4000
"""Characters of what a monitor or a mail said that are kept."""

QUESTION = "incident_question"
"""The registered kind of what asks the staff who look after a report."""


def save_draft(
    content: DraftContent,
    *,
    origin: Origin = Origin.HAND,
    origin_name: str = "",
    fold_key: str | None = None,
    signal: str = "",
    publish_at: datetime | None = None,
    zone: str = "UTC",
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
) -> IncidentDraft:
    """Keep a report for later; the same key again returns the draft it made the first time.

    While a draft with the same `fold_key` is open, this is counted there as a further signal and changes nothing else
    of it. `signal` is what the monitor or the mail said. `publish_at` has the clock publish it, `zone` names the clock.
    """
    if known := _draft_with(idempotency_key):
        return known
    if fold_key and (found := _open_with(fold_key[:200])):
        return _fold(found, signal, now)
    _check(content)
    _check_time(publish_at, zone, now)
    made = IncidentDraft(
        idempotency_key=idempotency_key[:64],
        title=one_line(content.title)[:TITLE_LENGTH],
        content=content.to_json(),
        origin=origin,
        origin_name=one_line(origin_name)[:120],
        fold_key=fold_key[:200] if fold_key else None,
        first_signal=paragraphs(signal)[:SIGNAL_LENGTH],
        signalled_at=None if origin is Origin.HAND else now,
        publish_at=publish_at,
        zone=zone,
        created_at=now,
        created_by_id=author_id,
        saved_at=now,
        owner_id=author_id,
    )
    try:
        with db.session.begin_nested():
            db.session.add(made)
            db.session.flush()
    except IntegrityError:
        # Another request made it just now, or another monitor saw the same.
        if known := _draft_with(idempotency_key):
            return known
        if fold_key and (found := _open_with(fold_key[:200])):
            return _fold(found, signal, now)
        raise
    events.ring(events.STAFF)
    _note("incident_draft.save", made, by=by, now=now, after=_facts(made))
    return made


def signal_open(fold_key: str, signal: str, now: datetime) -> bool:
    """Count a further signal in the draft with this key that is open; whether there was one."""
    found = _open_with(fold_key[:200])
    if found is not None:
        _fold(found, signal, now)
    return found is not None


def edit_draft(
    draft: IncidentDraft,
    content: DraftContent,
    *,
    publish_at: datetime | None = None,
    zone: str = "UTC",
    version: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
) -> None:
    """Save a draft anew; who saves it looks after it. The same again is no change, but clears what troubled it."""
    if not draft.is_open:
        raise RuleViolation(_over(draft))
    if draft.version != version:
        raise StaleEdit
    _check(content)
    _check_time(publish_at, zone, now)
    before = _facts(draft)
    draft.title = one_line(content.title)[:TITLE_LENGTH]
    draft.content = content.to_json()
    draft.publish_at, draft.zone, draft.trouble = publish_at, zone, ""
    draft.saved_at, draft.owner_id = now, author_id
    db.session.flush()
    events.ring(events.STAFF)
    _note("incident_draft.edit", draft, by=by, now=now, before=before, after=_facts(draft))


def publish_draft(
    draft: IncidentDraft, *, version: int | None = None, by: Actor, author_id: int | None, now: datetime
) -> Incident:
    """Publish it as it stands; a second time returns the report it became the first time.

    With `version` it is refused (StaleEdit) where somebody saved it in between. RuleViolation says what keeps it from
    being published; it stays a draft then.
    """
    found = _locked(draft.id)
    if found.incident_id is not None or found.published_at is not None:
        incident = db.session.get(Incident, found.incident_id) if found.incident_id is not None else None
        if incident is None:
            raise RuleViolation("It was published, and the report is gone.")
        return incident
    if found.discarded_at is not None:
        raise RuleViolation(_over(found))
    if version is not None and found.version != version:
        raise StaleEdit
    content = DraftContent.from_json(found.content)
    title, body, wordings = fill(
        content.title,
        content.body,
        content.wordings,
        content.values,
        component_ids=list(content.severities or ()),
        began_at=content.started_at or now,
        zone=found.zone,
    )
    translations = fill_translations(
        content.translations,
        content.values,
        component_ids=list(content.severities or ()),
        began_at=content.started_at or now,
        zone=found.zone,
    )
    incident = publish(
        title,
        content.state,
        body,
        content.severities,
        visibility=content.visibility,
        audience=content.audience,
        notify=content.notify,
        mail_affected_only=content.mail_affected_only,
        started_at=content.started_at,
        next_update=content.next_update,
        wordings=wordings,
        translations=translations,
        idempotency_key=f"draft:{found.id}",
        by=by,
        author_id=author_id,
        now=now,
    )
    found.published_at, found.incident_id, found.closed_by_id = now, incident.id, by.person_id
    found.publish_at, found.trouble = None, ""
    db.session.flush()
    _note("incident_draft.publish", found, by=by, now=now, after={"incident_id": incident.id})
    return incident


def discard_draft(draft: IncidentDraft, *, version: int | None = None, by: Actor, now: datetime) -> None:
    """Put a draft away for good; a second time changes nothing. What was published stays published."""
    found = _locked(draft.id)
    if found.discarded_at is not None:
        return
    if found.published_at is not None:
        raise RuleViolation(_over(found))
    if version is not None and found.version != version:
        raise StaleEdit
    found.discarded_at, found.closed_by_id, found.publish_at = now, by.person_id, None
    db.session.flush()
    events.ring(events.STAFF)
    _note("incident_draft.discard", found, by=by, now=now, before=_facts(found))


# By the clock


def publish_due(draft_id: int, now: datetime) -> bool:
    """Publish a draft whose time has come, whoever else looks at it too; whether it was. The caller commits.

    Late is better than never: after a time in which nothing ran it is published at once. What can no longer be
    published stays a draft with the reason, and whoever looks after it is asked.
    """
    draft = db.session.scalars(
        select(IncidentDraft)
        .where(IncidentDraft.id == draft_id, IncidentDraft.publish_at <= now, is_open())
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if draft is None:
        return False
    due_at = draft.publish_at
    try:
        with db.session.begin_nested():
            publish_draft(draft, by=SYSTEM, author_id=draft.owner_id, now=now)
    except RuleViolation as violation:
        db.session.refresh(draft)
        draft.publish_at, draft.trouble = None, violation.sentence
        db.session.flush()
        title = f"A report was not published: {draft.title or 'without a title'}"
        when = f"It was to be published at {due_at:%d %B %Y %H:%M} UTC."
        queue_broadcast(
            QUESTION,
            idempotency_key=f"{QUESTION}:draft:{draft.id}:{due_at:%Y%m%d%H%M%S}",
            title=title[:250],
            selector={"person_id": draft.owner_id},
            content=render_wordings(
                "alarm",
                ("en",),
                title=title,
                text=f"{when} {violation.sentence} It is still a draft.",
                path=f"/admin/incidents/drafts/{draft.id}",
            ),
            thread_key=f"{QUESTION}:draft:{draft.id}",
            by_person_id=None,
            now=now,
        )
        events.ring(events.STAFF)
        _note("incident_draft.fail", draft, by=SYSTEM, now=now, after={"trouble": draft.trouble})
    return True


# Small steps


def _fold(draft: IncidentDraft, signal: str, now: datetime) -> IncidentDraft:
    # Past the version: a signal is nothing anybody has written, so whoever has the draft open may still save it.
    db.session.execute(
        update(IncidentDraft)
        .where(IncidentDraft.id == draft.id)
        .values(
            signals=IncidentDraft.signals + 1,
            signalled_at=now,
            last_signal=paragraphs(signal)[:SIGNAL_LENGTH],
        )
        .execution_options(synchronize_session=False)
    )
    db.session.refresh(draft)
    events.ring(events.STAFF)
    return draft


def _check(content: DraftContent) -> None:
    """What no draft may hold, however unfinished: what could not be stored or shown."""
    if len(content.title) > TITLE_LENGTH:
        raise RuleViolation(f"A title has at most {TITLE_LENGTH} characters.", "title")
    if len(content.body) > BODY_LENGTH:
        raise RuleViolation(f"A text has at most {BODY_LENGTH:,} characters.", "body")
    checked_wordings(content.wordings)
    clean_translations(content.translations)


def _check_time(publish_at: datetime | None, zone: str, now: datetime) -> None:
    if zone not in dict(TIME_ZONES):
        raise RuleViolation("Choose a time zone from the list.", "zone")
    if publish_at is not None and publish_at <= now:
        raise RuleViolation("Choose a time ahead, or publish it now.", "publish_at")


def _over(draft: IncidentDraft) -> str:
    return "It was published in the meantime." if draft.published_at else "It was discarded in the meantime."


def _locked(draft_id: int) -> IncidentDraft:
    return db.session.scalars(
        select(IncidentDraft)
        .where(IncidentDraft.id == draft_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _draft_with(idempotency_key: str) -> IncidentDraft | None:
    return db.session.scalars(
        select(IncidentDraft).where(IncidentDraft.idempotency_key == idempotency_key[:64])
    ).one_or_none()


def _open_with(fold_key: str) -> IncidentDraft | None:
    return db.session.scalars(
        select(IncidentDraft)
        .where(IncidentDraft.fold_key == fold_key, is_open())
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def _facts(draft: IncidentDraft) -> dict[str, Any]:
    return {
        "title": draft.title,
        "content": draft.content,
        "origin": draft.origin,
        "publish_at": draft.publish_at.isoformat() if draft.publish_at else None,
        "zone": draft.zone,
    }


def _note(
    action: str,
    draft: IncidentDraft,
    *,
    by: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(action, object_kind="incident_draft", object_id=draft.id, by=by, now=now, before=before, after=after)
