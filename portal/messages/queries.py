"""Reading threads, always from a viewpoint: to a customer the notes of staff are not there, nor counted, nor dated."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select

from portal import events
from portal.accounts.rules import Viewpoint
from portal.errors import NotFound
from portal.extensions import db
from portal.files import subjects
from portal.files.models import StoredFile
from portal.files.queries import files_of_messages
from portal.files.subjects import Known, Ref
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.messages.models import Message, Thread
from portal.messages.rules import SHOWN, message_key

MESSAGE_ORDERS = {
    "-sent_at": Order((Message.sent_at, Message.public_id), is_descending=True),
    "sent_at": Order((Message.sent_at, Message.public_id)),
}
"""Orders of a thread for machines; by public ids, so that no place in it says how many messages there are."""


@dataclass(frozen=True)
class Line:
    """One message as it is shown. `is_own` is whether whoever looks wrote it."""

    public_id: str
    author: str
    is_staff: bool
    is_internal: bool
    is_own: bool
    body: str
    sent_at: datetime
    files: Sequence[StoredFile]


@dataclass(frozen=True)
class Waiting:
    """A subject whose customer waits for an answer since a moment, and the last they wrote about it."""

    ref: Ref
    since: datetime
    author: str
    body: str


@dataclass(frozen=True)
class Conversation:
    """A part of a thread from one viewpoint, oldest first.

    `ref`, `kind` and `key` name its subject, `known` is what is known of that. `earlier` is the id of the first message
    shown where there are older ones, `before` that of the one these come before, None for the newest. `waits_since` is
    None for customers: only staff see who waits. `topic` rings when a customer's page of it should look again.
    """

    ref: Ref
    key: str
    known: Known
    lines: Sequence[Line]
    earlier: str | None
    before: str | None
    waits_since: datetime | None
    topic: str
    is_for_staff: bool

    @property
    def kind(self) -> str:
        """The kind of the subject, as addresses have it."""
        return self.ref.kind


def conversation(
    viewpoint: Viewpoint, ref: Ref, *, person_id: int | None, earlier: str | None = None, limit: int = SHOWN
) -> Conversation | None:
    """What was written about a subject; its newest messages, or those before the message `earlier`.

    None for a subject that is not there for this viewpoint, NotFound for an `earlier` that is not. Whether the areas
    are open the caller has asked. Three queries, one where nothing was written, and what the subject asks.
    """
    known = subjects.seen(viewpoint, ref)
    subject = subjects.subject_of(ref.kind)
    if known is None or subject is None:
        return None
    thread = thread_of(ref)
    found = _messages(viewpoint, thread.id, earlier, limit) if thread else []
    if earlier and not thread:
        raise NotFound
    shown, key = found[:limit][::-1], subject.key(ref.id)
    files = files_of_messages(viewpoint, [each.id for each in shown])
    return Conversation(
        ref=ref,
        key=key,
        known=known,
        lines=[_line(each, person_id, files.get(each.id, ())) for each in shown],
        earlier=shown[0].public_id if len(found) > limit else None,
        before=earlier,
        waits_since=thread.waits_since if thread and viewpoint.is_staff else None,
        topic=events.item_topic(ref.kind, key),
        is_for_staff=viewpoint.is_staff,
    )


def _messages(viewpoint: Viewpoint, thread_id: int, earlier: str | None, limit: int) -> Sequence[Message]:
    """Messages newest first, one more than asked for."""
    statement = select(Message).where(Message.thread_id == thread_id)
    if not viewpoint.is_staff:
        statement = statement.where(Message.is_internal.is_(False))
    if earlier:
        before = db.session.scalar(statement.with_only_columns(Message.id).where(Message.public_id == earlier))
        if before is None:
            raise NotFound
        statement = statement.where(Message.id < before)
    return db.session.scalars(statement.order_by(Message.id.desc()).limit(limit + 1)).all()


def _line(message: Message, person_id: int | None, files: Sequence[StoredFile]) -> Line:
    return Line(
        public_id=message.public_id,
        author=message.author_name,
        is_staff=message.is_staff,
        is_internal=message.is_internal,
        is_own=person_id is not None and message.person_id == person_id,
        body=message.body,
        sent_at=message.sent_at,
        files=files,
    )


def thread_of(ref: Ref) -> Thread | None:
    """The thread of a subject, if anything was ever written about it. One query."""
    return db.session.scalars(
        select(Thread).where(Thread.subject_kind == ref.kind, Thread.subject_id == ref.id)
    ).one_or_none()


def message_in(ref: Ref, public_id: str) -> Message | None:
    """The message of this id about a subject, for staff. One query."""
    return db.session.scalars(
        select(Message)
        .join(Thread, Thread.id == Message.thread_id)
        .where(Thread.subject_kind == ref.kind, Thread.subject_id == ref.id, Message.public_id == public_id)
    ).one_or_none()


def messages_about(wanted: Wanted, viewpoint: Viewpoint, ref: Ref) -> Piece[Message]:
    """A piece of what was written about a subject, as this viewpoint reads it; whether the subject is there for it, the
    caller has asked. One query."""
    return piece_of(_about(viewpoint, ref), wanted)


def message_about(viewpoint: Viewpoint, ref: Ref, public_id: str) -> Message | None:
    """The message of this id about a subject, if this viewpoint reads it. One query."""
    return db.session.scalars(_about(viewpoint, ref).where(Message.public_id == public_id)).one_or_none()


def _about(viewpoint: Viewpoint, ref: Ref) -> Select[Message]:
    statement = (
        select(Message)
        .join(Thread, Thread.id == Message.thread_id)
        .where(Thread.subject_kind == ref.kind, Thread.subject_id == ref.id)
    )
    return statement if viewpoint.is_staff else statement.where(Message.is_internal.is_(False))


def written_with(person_id: int | None, ref: Ref, key: str) -> Message | None:
    """The message this person has written about a subject with a form of this key, if they have. One query."""
    stored_key = message_key(person_id, ref.kind, ref.id, key)
    return db.session.scalars(select(Message).where(Message.idempotency_key == stored_key)).one_or_none()


def waiting_among(kind: str, subject_ids: Collection[int]) -> Mapping[int, datetime]:
    """Those of some subjects whose customer waits for an answer, with since when. For staff's lists. One query."""
    statement = select(Thread.subject_id, Thread.waits_since).where(
        Thread.subject_kind == kind, Thread.subject_id.in_(subject_ids), Thread.waits_since.is_not(None)
    )
    return {row.subject_id: row.waits_since for row in db.session.execute(statement)}


def count_waiting() -> int:
    """How many customers wait for an answer. One query."""
    return db.session.scalar(select(func.count()).select_from(Thread).where(Thread.waits_since.is_not(None))) or 0


def waiting(limit: int) -> Sequence[Waiting]:
    """The subjects whose customers have waited longest for an answer, longest first. One query."""
    last = (
        select(Message.id)
        .where(Message.thread_id == Thread.id, Message.is_staff.is_(False))
        .order_by(Message.id.desc())
        .limit(1)
        .correlate(Thread)
        .scalar_subquery()
    )
    statement = (
        select(Thread.subject_kind, Thread.subject_id, Thread.waits_since, Message.author_name, Message.body)
        .outerjoin(Message, Message.id == last)
        .where(Thread.waits_since.is_not(None))
        .order_by(Thread.waits_since, Thread.id)
        .limit(limit)
    )
    return [
        Waiting(Ref(row.subject_kind, row.subject_id), row.waits_since, row.author_name or "", row.body or "")
        for row in db.session.execute(statement)
    ]


def written_since(person_id: int, since: datetime) -> int:
    """How many messages somebody has written since a moment. One query."""
    statement = select(func.count()).select_from(Message)
    return db.session.scalar(statement.where(Message.person_id == person_id, Message.sent_at > since)) or 0


def public_of(thread_id: int) -> Sequence[tuple[bool, datetime]]:
    """The messages of a thread that both sides read, in their order: whether staff wrote them, and when. One query."""
    statement = (
        select(Message.is_staff, Message.sent_at)
        .where(Message.thread_id == thread_id, Message.is_internal.is_(False))
        .order_by(Message.id)
    )
    return [(row.is_staff, row.sent_at) for row in db.session.execute(statement)]
