"""Writing messages, answering them, taking them back."""

from collections.abc import Collection, Sequence
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from portal import events
from portal.accounts.rules import paragraphs
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.files import actions as files
from portal.files import subjects
from portal.files.actions import Giver, new_public_id
from portal.files.queries import files_of_messages
from portal.files.subjects import Ref
from portal.messages import queries, telling
from portal.messages.models import Message, Thread
from portal.messages.rules import BODY_LENGTH, MESSAGES_AN_HOUR, WITHIN, message_key, waits_since
from portal.messages.telling import Written


def write(
    ref: Ref,
    body: str,
    giver: Giver,
    *,
    key: str,
    now: datetime,
    file_ids: Sequence[str] = (),
    is_internal: bool = False,
    tell: bool = True,
) -> Message:
    """Write about a subject; sent again with the same `key` it is the message that is there already.

    A customer's message begins their waiting, a reply of staff ends it, a note (`is_internal`, staff only) does
    neither. Whoever takes part in the subject is mailed, without `tell` nobody. NotFound for a subject that is not
    there for this giver; RuleViolation on `body` or `files`.
    """
    known = subjects.seen(giver.viewpoint, ref)
    is_staff = giver.company_id is None
    if known is None or (is_internal and not is_staff):
        raise NotFound
    thread = _thread(ref, known.company_id, now)
    if there := queries.written_with(giver.person_id, ref, key):
        return there
    text = _checked(body, giver, file_ids, now)
    message = Message(
        public_id=new_public_id(),
        thread_id=thread.id,
        person_id=giver.person_id,
        author_name=giver.name,
        is_staff=is_staff,
        is_internal=is_internal,
        body=text,
        sent_at=now,
        idempotency_key=message_key(giver.person_id, ref.kind, ref.id, key),
    )
    db.session.add(message)
    db.session.flush()
    files.link(
        file_ids,
        ref,
        giver,
        company_id=known.company_id,
        message_id=message.id,
        is_internal=is_internal,
        now=now,
    )
    events.ring(events.STAFF)
    if not is_internal:
        _let_wait(thread, is_staff=is_staff, now=now)
        events.ring(subjects.topic_of(ref))
        if tell:
            _tell(message, thread, ref, giver)
    return message


def _thread(ref: Ref, company_id: int, now: datetime) -> Thread:
    """The thread of a subject, made if this is the first message, and held until the transaction ends: two that write
    at once come one after the other."""
    insert = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    values = {"subject_kind": ref.kind, "subject_id": ref.id, "company_id": company_id}
    db.session.execute(insert(Thread).values(values).on_conflict_do_nothing())
    mine = select(Thread).where(Thread.subject_kind == ref.kind, Thread.subject_id == ref.id)
    return db.session.scalars(mine.with_for_update().execution_options(populate_existing=True)).one()


def _checked(body: str, giver: Giver, file_ids: Sequence[str], now: datetime) -> str:
    text = paragraphs(body)
    if not text.strip() and not file_ids:
        raise RuleViolation(_("Write something, or add a file."), "body")
    if len(text) > BODY_LENGTH:
        raise RuleViolation(
            _("A message has at most %(most)s characters; this has %(have)s.", most=BODY_LENGTH, have=len(text)), "body"
        )
    is_customer = giver.company_id is not None and giver.person_id is not None
    if is_customer and queries.written_since(giver.person_id or 0, now - WITHIN) >= MESSAGES_AN_HOUR:
        raise RuleViolation(_("You have written many messages within the hour. Wait a little, then send this."), "body")
    return text


def _let_wait(thread: Thread, *, is_staff: bool, now: datetime) -> None:
    thread.last_public_at = now
    thread.waits_since = None if is_staff else thread.waits_since or now
    db.session.flush()


def _tell(message: Message, thread: Thread, ref: Ref, giver: Giver) -> None:
    came_along = files_of_messages(giver.viewpoint, [message.id]).get(message.id, ())
    telling.tell(
        Written(
            message_id=message.id,
            ref=ref,
            company_id=thread.company_id,
            person_id=message.person_id,
            author_name=message.author_name,
            is_staff=message.is_staff,
            body=message.body,
            files=tuple(each.name for each in came_along),
            sent_at=message.sent_at,
        )
    )


def settle(ref: Ref, *, by: Actor, now: datetime) -> None:
    """Staff say that what the customer wrote last needs no answer: nobody waits any more."""
    thread = queries.thread_of(ref)
    if thread is None or thread.waits_since is None:
        return
    audit.record(
        "thread.settle",
        object_kind="thread",
        object_id=thread.id,
        company_id=thread.company_id,
        by=by,
        now=now,
        before={"about": subjects.title_of(ref), "waits_since": thread.waits_since.isoformat()},
    )
    thread.waits_since = None
    db.session.flush()
    events.ring(events.STAFF)


def delete_message(message: Message, ref: Ref, *, by: Actor, now: datetime) -> None:
    """Take a message away for everybody, with its files. That there was one stays in the audit trail, not its words."""
    thread = db.session.get_one(Thread, message.thread_id)
    count = files.bin_of_messages([message.id], now)
    audit.record(
        "message.delete",
        object_kind="message",
        object_id=message.id,
        company_id=thread.company_id,
        by=by,
        now=now,
        before={
            "about": subjects.title_of(ref),
            "person": message.author_name,
            "sent_at": message.sent_at.isoformat(),
            "files": count,
        },
    )
    was_internal = message.is_internal
    db.session.delete(message)
    db.session.flush()
    events.ring(events.STAFF)
    if not was_internal:
        _look_again(thread)
        events.ring(subjects.topic_of(ref))


def _look_again(thread: Thread) -> None:
    """What is said of a thread, from the messages that are still in it. Nobody begins to wait by that."""
    public = queries.public_of(thread.id)
    thread.last_public_at = public[-1][1] if public else None
    if thread.waits_since is not None:
        thread.waits_since = waits_since(public)
    db.session.flush()


def delete_of_subjects(kind: str, subject_ids: Collection[int], now: datetime) -> None:
    """Delete everything that was written about subjects which are deleted, with all their files, theirs own too.

    Upper capabilities call it before their rows go: an id may be given again.
    """
    files.bin_of_subjects(kind, subject_ids, now)
    db.session.execute(
        delete(Thread).where(Thread.subject_kind == kind, Thread.subject_id.in_(subject_ids)),
        execution_options={"synchronize_session": False},
    )
