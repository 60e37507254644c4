"""The only writer of notices: writing, trying out, scheduling, sending.

A notice becomes a broadcast once: the broadcast is keyed by the notice, and freezes the choice, the words and the
moment as of which things stand. Whatever is changed afterwards, everybody gets the same.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import current_app

from portal import events
from portal.accounts.models import Person
from portal.accounts.rules import one_line, paragraphs, text_key
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue.notices import queries
from portal.catalogue.notices.letters import body_of, content_of, wording_for
from portal.catalogue.notices.models import Notice
from portal.catalogue.notices.rules import (
    BODY_LENGTH,
    CHOSEN_AT_MOST,
    FIRST,
    NAMED,
    SUBJECT_LENGTH,
    TEST,
    TESTS_PER_HOUR,
    TOO_LATE,
    TOPIC,
    Chosen,
    NoticeState,
    check_placeholders,
    is_too_late,
    schedule_refusal,
)
from portal.config import Settings
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import LANGUAGES, zone
from portal.localtime import LocalTimeError, Reading, moment_of
from portal.notifications import actions as notifications
from portal.notifications.models import Broadcast
from portal.notifications.rules import HeaderError, header_text
from portal.notifications.templates.placeholders import WordingError, placeholders

Wordings = Mapping[str, Mapping[str, str]]
"""What was typed, by language: {"en": {"subject": …, "body": …}}."""

GONE = {
    "companies": "A company you chose is not there any more.",
    "services": "A service you chose is not there any more.",
    "components": "A component you chose is not there any more.",
    "domains": "A portal domain you chose is not there any more.",
}


# Writing.


def write(wordings: Wordings, chosen: Chosen, *, by: Actor, author_id: int | None, now: datetime) -> Notice:
    """A new draft. RuleViolation names the field: `subject`, `body`, with `_de` behind it for German, or what was
    chosen."""
    checked = checked_wordings(wordings)
    _check_choice(chosen)
    notice = Notice(
        title=checked[FIRST]["subject"],
        wordings=checked,
        chosen=chosen.stored(),
        state=NoticeState.DRAFT,
        created_at=now,
        updated_at=now,
        created_by_id=author_id,
    )
    db.session.add(notice)
    db.session.flush()
    _record("notice.add", notice, by=by, now=now, after=_told(notice))
    return notice


def edit(notice: Notice, wordings: Wordings, chosen: Chosen, *, version: int, by: Actor, now: datetime) -> None:
    """Change what is not sent yet. A scheduled one stays scheduled. StaleEdit when somebody else has saved since."""
    _must_be(notice, version)
    before = _told(notice)
    checked = checked_wordings(wordings)
    _check_choice(chosen)
    if notice.state is NoticeState.SCHEDULED and chosen.is_nobody:
        raise RuleViolation("It is scheduled, so it needs somebody to go to.", "chosen")
    notice.title = checked[FIRST]["subject"]
    notice.wordings, notice.chosen = checked, chosen.stored()
    notice.updated_at, notice.trouble = now, None
    db.session.flush()
    _record("notice.edit", notice, by=by, now=now, before=before, after=_told(notice))


def duplicate(notice: Notice, *, by: Actor, author_id: int | None, now: datetime) -> Notice:
    """A new draft with the same words to the same people; what has gone meanwhile is left out."""
    there = queries.names_of(notice.to)
    chosen = Chosen.by_kind({kind: [each.id for each in there.get(kind, ())] for kind in NAMED})
    if notice.to.everyone:
        chosen = Chosen(everyone=True)
    return write(notice.wordings, chosen, by=by, author_id=author_id, now=now)


def delete(notice: Notice, *, version: int, by: Actor, now: datetime) -> None:
    """Throw away what is not sent yet; a sent one stays, with its broadcast."""
    _must_be(notice, version)
    _record("notice.delete", notice, by=by, now=now, before=_told(notice))
    db.session.delete(notice)
    db.session.flush()


def checked_wordings(wordings: Wordings) -> dict[str, dict[str, str]]:
    """The wordings as they are stored: tidied, complete, and without anything that could not be filled or sent.

    A language with neither subject nor text is left out, but for English. RuleViolation names the field.
    """
    found = {}
    for language, wording in wordings.items():
        subject, body = one_line(wording.get("subject", "")), paragraphs(wording.get("body", ""))
        if not subject and not body and language != FIRST:
            continue
        place = "" if language == FIRST else f"_{language}"
        _check_subject(subject, f"subject{place}", language)
        _check_body(body, f"body{place}", language)
        found[language] = {"subject": subject, "body": body}
    return found


def _check_subject(subject: str, field: str, language: str) -> None:
    if not subject:
        raise RuleViolation(f"Give it a subject{_in(language)}.", field)
    if len(subject) > SUBJECT_LENGTH:
        raise RuleViolation(f"A subject has at most {SUBJECT_LENGTH} characters.", field)
    try:
        check_placeholders(subject)
        header_text(subject)
    except WordingError as refusal:
        raise RuleViolation(str(refusal), field) from None
    except HeaderError as refusal:
        raise RuleViolation(f"This cannot be the subject of a mail: {refusal}.", field) from None


def _check_body(body: str, field: str, language: str) -> None:
    if not body:
        raise RuleViolation(f"Write what they should know{_in(language)}.", field)
    if len(body) > BODY_LENGTH:
        raise RuleViolation(f"A notice has at most {BODY_LENGTH:,} characters; this has {len(body):,}.", field)
    try:
        check_placeholders(body)
        body_of(body)
    except WordingError as refusal:
        raise RuleViolation(str(refusal), field) from None


def _in(language: str) -> str:
    return "" if language == FIRST else f" in {'German' if language == 'de' else LANGUAGES[language]} too"


def _check_choice(chosen: Chosen) -> None:
    for kind in NAMED:
        if len(getattr(chosen, kind)) > CHOSEN_AT_MOST:
            raise RuleViolation(f"At most {CHOSEN_AT_MOST} can be named. Choose a portal domain or a service.", kind)
    there = queries.names_of(chosen)
    for kind in NAMED:
        if len(there.get(kind, ())) != len(getattr(chosen, kind)):
            raise RuleViolation(GONE[kind], kind)


# Trying it out.


def send_test(notice: Notice, person: Person, reader_id: int | None, *, by: Actor, now: datetime) -> Broadcast:
    """Send the notice to the member of staff who asks, and to nobody else, as this reader's company would get it.

    RuleViolation when they have asked too often within the hour, or when nothing reaches their address.
    """
    if queries.tests_since(person.id, now - timedelta(hours=1), TEST) >= TESTS_PER_HOUR:
        raise RuleViolation(f"You have sent yourself {TESTS_PER_HOUR} tests within the hour. Try again a little later.")
    if why := notifications.why_suppressed(text_key(person.email), person.id, TOPIC, now):
        raise RuleViolation(f"Nothing of this list is mailed to {person.email}: {why}")
    found = queries.addressees(notice.to, now, limit=1, only=reader_id) if not notice.to.is_nobody else ()
    theirs = queries.chosen_companies_of([each.id for each in found], notice.to, now) if found else {}
    companies = theirs.get(found[0].id, []) if found else []
    told = queries.holdings_told([each.company_id for each in companies], notice.to, now) if companies else {}
    broadcast = notifications.queue_broadcast(
        TEST,
        idempotency_key=f"notice-test:{notice.id}:{person.id}:{now.isoformat()}",
        title=f"Test: {notice.title}",
        selector={
            "person_id": person.id,
            "company_ids": [each.company_id for each in companies[:1]],
            "address": person.email,
            "name": person.name,
            "language": wording_for(notice.wordings, person.language),
            "values": {
                "company": ", ".join(each.name for each in companies[:1]),
                "services": ", ".join(told.get(companies[0].company_id, ())) if companies else "",
            },
        },
        content=content_of(notice.wordings, is_test=True),
        thread_key=f"notice-test:{notice.id}",
        by_person_id=person.id,
        now=now,
    )
    _record("notice.test", notice, by=by, now=now, after={"title": notice.title})
    return broadcast


# When.


def schedule(
    notice: Notice, wall: datetime, zone_name: str, reading: Reading | None, *, version: int, by: Actor, now: datetime
) -> None:
    """Have it start by itself at this time of the zone. RuleViolation, at `due`, for a time that is none or has passed.

    A time that clocks leave out is refused; for one they show twice, `reading` says which is meant (field `reading`).
    """
    _must_be(notice, version)
    _must_reach_somebody(notice)
    try:
        due_at = moment_of(wall, zone(zone_name), reading)
    except LocalTimeError as refusal:
        raise RuleViolation(str(refusal), "due") from None
    if refused := schedule_refusal(due_at, now):
        raise RuleViolation(refused, "due")
    before = {"state": notice.state, "due_at": _plain(notice.due_at)}
    notice.state, notice.due_at, notice.due_zone = NoticeState.SCHEDULED, due_at, zone_name
    notice.updated_at, notice.trouble = now, None
    notice.sent_by_id = by.person_id
    db.session.flush()
    after = {"state": notice.state, "due_at": _plain(due_at), "title": notice.title}
    _record("notice.schedule", notice, by=by, now=now, before=before, after=after)


def unschedule(notice: Notice, *, version: int, by: Actor, now: datetime) -> None:
    """Make a scheduled notice a draft again."""
    _must_be(notice, version)
    if notice.state is not NoticeState.SCHEDULED:
        return
    before = {"due_at": _plain(notice.due_at), "title": notice.title}
    _take_back(notice, now)
    db.session.flush()
    _record("notice.unschedule", notice, by=by, now=now, before=before)


def _take_back(notice: Notice, now: datetime) -> None:
    notice.state, notice.due_at, notice.due_zone, notice.sent_by_id = NoticeState.DRAFT, None, None, None
    notice.updated_at = now


def send(notice: Notice, *, version: int, by: Actor, now: datetime) -> Broadcast:
    """Send it to everybody it reaches, now. Sent a second time it is the same broadcast.

    RuleViolation when it reaches nobody; StaleEdit when it was changed since it was looked at.
    """
    if notice.state is NoticeState.SENT:
        return _broadcast_of(notice)
    _must_be(notice, version)
    _must_reach_somebody(notice)
    if not _reaches_somebody(notice.to, now):
        raise RuleViolation(
            "Nobody of those you chose can be reached, by mail or otherwise. Their page says why.", "chosen"
        )
    notice.due_at, notice.due_zone = None, None
    return _start(notice, by=by, now=now)


def send_at_once(wordings: Wordings, chosen: Chosen, *, by: Actor, now: datetime) -> Broadcast:
    """Write a notice and send it, in one step."""
    notice = write(wordings, chosen, by=by, author_id=by.person_id, now=now)
    return send(notice, version=notice.version, by=by, now=now)


def start_due(notice_id: int, now: datetime) -> None:
    """Start a notice that is due, once: whoever comes second finds it started.

    One that is more than a day late, or reaches nobody any more, becomes a draft again and says why.
    """
    notice = queries.notice_by_id(notice_id, to_change=True)
    if notice is None or notice.state is not NoticeState.SCHEDULED or notice.due_at is None or notice.due_at > now:
        return
    trouble = ""
    if is_too_late(notice.due_at, now):
        hours = int(TOO_LATE.total_seconds() // 3600)
        trouble = (
            f"It was due more than {hours} hours before anything could start it, so it was not sent. "
            "Look whether it is still true."
        )
    elif not _reaches_somebody(notice.to, now):
        trouble = "When it was due nobody was left whom it would have reached, so it was not sent."
    if trouble:
        _miss(notice, trouble, now)
    else:
        _start(notice, by=SYSTEM, now=now)


def give_up(notice_id: int, reason: str, now: datetime) -> None:
    """Make a scheduled notice that cannot be started a draft again, with the reason; a human decides."""
    notice = queries.notice_by_id(notice_id, to_change=True)
    if notice is not None and notice.state is NoticeState.SCHEDULED:
        _miss(notice, f"It could not be started: {reason}"[:500], now)


def _miss(notice: Notice, trouble: str, now: datetime) -> None:
    before = {"due_at": _plain(notice.due_at), "title": notice.title}
    _take_back(notice, now)
    notice.trouble = trouble
    db.session.flush()
    _record("notice.miss", notice, by=SYSTEM, now=now, before=before)


def _start(notice: Notice, *, by: Actor, now: datetime) -> Broadcast:
    broadcast = notifications.queue_broadcast(
        "notice",
        idempotency_key=f"notice:{notice.id}",
        title=notice.title,
        selector={
            **notice.chosen,
            "at": now.isoformat(),
            "variables": sorted({name for each in notice.wordings.values() for name in _used(each)}),
        },
        content=content_of(notice.wordings),
        thread_key=f"notice:{notice.id}",
        by_person_id=by.person_id or notice.sent_by_id,
        now=now,
    )
    notice.state, notice.broadcast_id, notice.sent_at = NoticeState.SENT, broadcast.id, now
    notice.updated_at, notice.trouble = now, None
    notice.sent_by_id = by.person_id or notice.sent_by_id
    db.session.flush()
    _record("notice.send", notice, by=by, now=now, after={"title": notice.title, "broadcast_id": broadcast.id})
    return broadcast


def _used(wording: Mapping[str, str]) -> list[str]:
    return placeholders(wording["subject"]) + placeholders(wording["body"])


def _broadcast_of(notice: Notice) -> Broadcast:
    found = db.session.get(Broadcast, notice.broadcast_id) if notice.broadcast_id else None
    if found is None:
        raise RuleViolation("It was sent, and what became of it has been forgotten since.")
    return found


def _must_be(notice: Notice, version: int) -> None:
    """StaleEdit unless this is the version that was looked at; RuleViolation when it has gone out already."""
    if notice.state is NoticeState.SENT:
        raise RuleViolation("It has been sent, so it stays as it is. Duplicate it to write another.")
    if notice.version != version:
        raise StaleEdit


def _reaches_somebody(chosen: Chosen, now: datetime) -> bool:
    """Whether a notice would be told to anybody, by mail or on a channel. Nine queries at most."""
    settings: Settings = current_app.config["SETTINGS"]
    return bool(queries.reach_of(chosen, now).people or queries.channels_of(chosen, now, settings).total)


def _must_reach_somebody(notice: Notice) -> None:
    chosen = notice.to
    if chosen.is_nobody:
        raise RuleViolation("Choose whom it goes to first.", "chosen")
    _check_choice(chosen)


def _told(notice: Notice) -> dict[str, Any]:
    """What the audit trail says of a notice: its words and whom it goes to."""
    words = {f"{language} {part}": text for language, each in notice.wordings.items() for part, text in each.items()}
    chosen = {kind: value for kind, value in notice.chosen.items() if value}
    return {"title": notice.title, **words, **chosen}


def _plain(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _record(action: str, notice: Notice, *, by: Actor, now: datetime, **told: Any) -> None:
    audit.record(action, object_kind="notice", object_id=notice.id, by=by, now=now, **told)
    events.ring(events.STAFF)
