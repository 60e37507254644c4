"""The only writer of announcements."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.accounts.rules import one_line, paragraphs
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.announcements.models import Announcement
from portal.domains.announcements.rules import BODY_LENGTH, TITLE_LENGTH, language_of
from portal.domains.models import PortalDomain
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import LANGUAGES

TELL = "tell_announcements"
"""The task that tells subscribers of what has begun to stand, and calls off what is gone."""

Wordings = Mapping[str, Mapping[str, str]]
"""What was typed, by language: {"en": {"title": …, "body": …}}."""


def announce(
    domain: PortalDomain,
    wordings: Wordings,
    *,
    starts_at: datetime,
    ends_at: datetime | None,
    is_pinned: bool,
    tells_subscribers: bool = False,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
) -> Announcement:
    """Tell everybody on this portal domain something, from `starts_at` on. The same key finds what it made before.

    With `tells_subscribers` whoever subscribed to announcements here is told of it too, once it stands: the
    notifications pull that. RuleViolation names the field: `title` or `body` with the language behind it
    (`title_de`), or `ends_at`.
    """
    checked = checked_wordings(wordings, domain.language)
    _check_times(starts_at, ends_at)
    public_id = hashlib.sha256(f"announcement:{idempotency_key}".encode()).hexdigest()[:16]
    made = Announcement(
        public_id=public_id,
        domain_id=domain.id,
        title=_title_of(checked, domain),
        wordings=checked,
        starts_at=starts_at,
        ends_at=ends_at,
        is_pinned=is_pinned,
        tells_subscribers=tells_subscribers,
        created_at=now,
        updated_at=now,
        created_by_id=author_id,
    )
    try:
        with db.session.begin_nested():
            db.session.add(made)
            db.session.flush()
    except IntegrityError:
        if known := db.session.scalar(select(Announcement).where(Announcement.public_id == public_id)):
            return known
        raise
    _ring(made)
    _record("announcement.add", made, by=by, now=now, after=_seen(made))
    return made


def edit(
    announcement: Announcement,
    domain: PortalDomain,
    wordings: Wordings,
    *,
    starts_at: datetime,
    ends_at: datetime | None,
    is_pinned: bool,
    tells_subscribers: bool | None = None,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change what stands and when: every field as it should be. StaleEdit when somebody else has saved since.

    `tells_subscribers` stays as it is where that is None; who was told stays told.
    """
    if announcement.version != version:
        raise StaleEdit
    checked = checked_wordings(wordings, domain.language)
    _check_times(starts_at, ends_at)
    before = _seen(announcement)
    announcement.wordings, announcement.title = checked, _title_of(checked, domain)
    announcement.starts_at, announcement.ends_at, announcement.is_pinned = starts_at, ends_at, is_pinned
    if tells_subscribers is not None:
        announcement.tells_subscribers = tells_subscribers
    if _seen(announcement) == before:
        return
    announcement.updated_at = now
    db.session.flush()
    _ring(announcement)
    _record("announcement.edit", announcement, by=by, now=now, before=before, after=_seen(announcement))


def end(announcement: Announcement, *, version: int, by: Actor, now: datetime) -> None:
    """Have it stand no longer; history keeps it. One that has not begun, and nobody has seen, is taken away instead."""
    if announcement.version != version:
        raise StaleEdit
    if announcement.ends_at is not None and announcement.ends_at <= now:
        return
    if announcement.starts_at > now:
        raise RuleViolation("It has not begun, so nobody has seen it. Take it away instead.")
    before = _seen(announcement)
    announcement.ends_at = announcement.updated_at = now
    db.session.flush()
    _ring(announcement)
    _record("announcement.end", announcement, by=by, now=now, before=before, after=_seen(announcement))


def remove(announcement: Announcement, *, version: int, by: Actor, now: datetime) -> None:
    """Take it away altogether, from history and feed too."""
    if announcement.version != version:
        raise StaleEdit
    _ring(announcement)
    events.wake(TELL)
    _record("announcement.remove", announcement, by=by, now=now, before=_seen(announcement))
    db.session.delete(announcement)
    db.session.flush()


def note_told(announcement_id: int, now: datetime) -> bool:
    """Subscribers are told of it from now on; False where they were before, or nobody wants that any more.

    Written past the version, so that nobody who edits the row at this moment is in the way.
    """
    told = db.session.execute(
        update(Announcement)
        .where(
            Announcement.id == announcement_id,
            Announcement.tells_subscribers,
            Announcement.told_at.is_(None),
            Announcement.starts_at <= now,
            or_(Announcement.ends_at.is_(None), Announcement.ends_at > now),
        )
        .values(told_at=now)
        .returning(Announcement.id),
        execution_options={"synchronize_session": False},
    )
    return told.first() is not None


def checked_wordings(wordings: Wordings, language: str) -> dict[str, dict[str, str]]:
    """The wordings as they are stored: tidied, whole, and there in the portal domain's own language."""
    found = {}
    for each, words in wordings.items():
        title, body = one_line(words.get("title", "")), paragraphs(words.get("body", ""))
        if each not in LANGUAGES or (not title and not body and each != language):
            continue
        if not title:
            raise RuleViolation(f"Give it a title in {LANGUAGES[each]}.", f"title_{each}")
        if len(title) > TITLE_LENGTH:
            raise RuleViolation(f"A title has at most {TITLE_LENGTH} characters.", f"title_{each}")
        if len(body) > BODY_LENGTH:
            raise RuleViolation(f"A text has at most {BODY_LENGTH:,} characters.", f"body_{each}")
        found[each] = {"title": title, "body": body}
    if language not in found:
        raise RuleViolation(f"Give it a title in {LANGUAGES[language]}.", f"title_{language}")
    return found


def _check_times(starts_at: datetime, ends_at: datetime | None) -> None:
    if ends_at is not None and ends_at <= starts_at:
        raise RuleViolation("It must end after it begins.", "ends_at")


def _title_of(wordings: dict[str, dict[str, str]], domain: PortalDomain) -> str:
    return wordings[language_of(wordings, [domain.language])]["title"]


def _ring(announcement: Announcement) -> None:
    events.ring(events.public_topic(announcement.domain_id), events.STAFF)
    if announcement.tells_subscribers:
        events.wake(TELL)


def _seen(announcement: Announcement) -> dict[str, Any]:
    """What of an announcement the audit trail remembers."""
    return {
        "portal": announcement.domain_id,
        "wordings": announcement.wordings,
        "starts_at": announcement.starts_at.isoformat(),
        "ends_at": announcement.ends_at.isoformat() if announcement.ends_at else None,
        "is_pinned": announcement.is_pinned,
        "tells_subscribers": announcement.tells_subscribers,
    }


def _record(
    action: str,
    announcement: Announcement,
    *,
    by: Actor,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    audit.record(
        action,
        object_kind="announcement",
        object_id=announcement.id,
        by=by,
        now=now,
        before=before,
        after=after,
    )
