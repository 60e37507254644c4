"""Reading files: always from a viewpoint, so that what is not theirs to see is not there."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from portal.accounts.rules import Viewpoint
from portal.domains.rules import Area
from portal.extensions import db
from portal.files import subjects
from portal.files.models import StoredFile
from portal.files.rules import LEAST_COUNTED, UNFINISHED_FOR
from portal.files.subjects import Ref
from portal.keyset import Order, Piece, Wanted, piece_of

SHOWN = 100
"""Files of one subject that are shown; the newest."""

IS_THERE = StoredFile.deleted_at.is_(None)

FILE_ORDERS = {
    "-uploaded_at": Order((StoredFile.uploaded_at, StoredFile.public_id), is_descending=True),
    "uploaded_at": Order((StoredFile.uploaded_at, StoredFile.public_id)),
}
"""Orders of the files of a subject for machines; by public ids, so that no place in it says how many there are."""


def _visible(viewpoint: Viewpoint) -> ColumnElement[bool]:
    """What a viewpoint may see among the files of a subject it may see."""
    return IS_THERE if viewpoint.is_staff else and_(IS_THERE, StoredFile.is_internal.is_(False))


def file_to_serve(
    viewpoint: Viewpoint, public_id: str, areas: Collection[Area], person_id: int | None
) -> StoredFile | None:
    """The file of this id if it may be looked at: of a subject that is seen, or unfinished and one's own.

    `areas` are those open to whoever asks; staff need none. None is for all that is missing, foreign, internal or of
    an area that is closed. At most two queries and what the subject asks.
    """
    file = db.session.scalars(
        select(StoredFile).where(StoredFile.public_id == public_id, _visible(viewpoint))
    ).one_or_none()
    if file is None:
        return None
    if file.linked_at is None:
        is_own = person_id is not None and file.uploaded_by_id == person_id
        return file if is_own and (viewpoint.is_staff or file.company_id == viewpoint.company_id) else None
    ref = ref_of(file)
    subject = subjects.subject_of(ref.kind) if ref else None
    if ref is None or subject is None or subjects.seen(viewpoint, ref) is None:
        return None
    needed = {subject.area} | ({Area.MESSAGES} if file.message_id is not None else set())
    return file if viewpoint.is_staff or needed <= set(areas) else None


def ref_of(file: StoredFile) -> Ref | None:
    """What a file belongs to; None while it is unfinished."""
    if file.subject_kind is None or file.subject_id is None:
        return None
    return Ref(file.subject_kind, file.subject_id)


def files_of(viewpoint: Viewpoint, ref: Ref, *, with_messages: bool = True) -> Sequence[StoredFile]:
    """The files of a subject somebody may see, newest first, at most SHOWN; `with_messages` those of its messages too.

    The caller has looked whether the subject is seen, and whether the area Messages is open. One query.
    """
    statement = _about(viewpoint, ref, with_messages=with_messages)
    return db.session.scalars(statement.order_by(StoredFile.id.desc()).limit(SHOWN)).all()


def files_about(wanted: Wanted, viewpoint: Viewpoint, ref: Ref, *, with_messages: bool) -> Piece[StoredFile]:
    """A piece of the files of a subject, as this viewpoint sees them; the caller has looked as for `files_of`. One
    query."""
    return piece_of(_about(viewpoint, ref, with_messages=with_messages), wanted)


def file_about(viewpoint: Viewpoint, ref: Ref, public_id: str, *, with_messages: bool) -> StoredFile | None:
    """The file of this id of a subject, if this viewpoint sees it; the caller has looked as for `files_of`. One
    query."""
    statement = _about(viewpoint, ref, with_messages=with_messages)
    return db.session.scalars(statement.where(StoredFile.public_id == public_id)).one_or_none()


def _about(viewpoint: Viewpoint, ref: Ref, *, with_messages: bool) -> Select[StoredFile]:
    statement = select(StoredFile).where(
        StoredFile.subject_kind == ref.kind, StoredFile.subject_id == ref.id, _visible(viewpoint)
    )
    return statement if with_messages else statement.where(StoredFile.message_id.is_(None))


def files_of_messages(viewpoint: Viewpoint, message_ids: Collection[int]) -> Mapping[int, Sequence[StoredFile]]:
    """The files that came with messages, by message, in the order in which they were chosen. One query."""
    found: dict[int, list[StoredFile]] = {}
    if not message_ids:
        return found
    statement = select(StoredFile).where(StoredFile.message_id.in_(message_ids), _visible(viewpoint))
    for file in db.session.scalars(statement.order_by(StoredFile.id)):
        found.setdefault(file.message_id or 0, []).append(file)
    return found


def unfinished(public_ids: Collection[str], *, person_id: int | None, company_id: int | None) -> Sequence[StoredFile]:
    """Those of these files that this person has chosen for a form that was not sent yet, oldest first. One query.

    `company_id` is that of a customer, None for staff.
    """
    statement = select(StoredFile).where(
        StoredFile.public_id.in_(public_ids), is_unfinished_of(person_id=person_id, company_id=company_id)
    )
    return db.session.scalars(statement.order_by(StoredFile.id)).all()


def is_unfinished_of(*, person_id: int | None, company_id: int | None) -> ColumnElement[bool]:
    """Whose unfinished files these are: one person's, as staff or for one company."""
    whose = StoredFile.is_by_staff.is_(True) if company_id is None else StoredFile.company_id == company_id
    return and_(StoredFile.uploaded_by_id == person_id, whose, StoredFile.linked_at.is_(None), IS_THERE)


def count_unfinished(*, person_id: int | None, company_id: int | None) -> int:
    """How many files this person has chosen for forms that were not sent yet. One query."""
    whose = is_unfinished_of(person_id=person_id, company_id=company_id)
    return db.session.scalar(select(func.count()).select_from(StoredFile).where(whose)) or 0


def used(company_id: int) -> int:
    """Bytes the files a company's own people gave take of its room. What staff gave counts for nobody. One query."""
    each = case((StoredFile.size < LEAST_COUNTED, LEAST_COUNTED), else_=StoredFile.size)
    statement = select(func.sum(each)).where(
        StoredFile.company_id == company_id, StoredFile.is_by_staff.is_(False), IS_THERE
    )
    return int(db.session.scalar(statement) or 0)


# For the clean-up


def binned(limit: int) -> Sequence[tuple[int, str]]:
    """Files that are gone for everybody and whose bytes still lie there: ids with their names in the store."""
    statement = (
        select(StoredFile.id, StoredFile.storage_name)
        .where(StoredFile.deleted_at.is_not(None))
        .order_by(StoredFile.id)
        .limit(limit)
    )
    return [(row.id, row.storage_name) for row in db.session.execute(statement)]


def cleaning_waits(now: datetime) -> bool:
    """Whether there is anything to take away. One query."""
    old = and_(StoredFile.linked_at.is_(None), StoredFile.uploaded_at < now - UNFINISHED_FOR)
    found = select(StoredFile.id).where(or_(StoredFile.deleted_at.is_not(None), old)).limit(1)
    return db.session.scalar(found) is not None


def known_names(names: Collection[str]) -> frozenset[str]:
    """Those of these names in the store that a row has. One query."""
    statement = select(StoredFile.storage_name).where(StoredFile.storage_name.in_(names))
    return frozenset(db.session.scalars(statement))


def names_after(last: int, limit: int) -> Sequence[tuple[int, str]]:
    """Files that should lie in the store, from an id on: ids with names, at most so many. One query."""
    statement = (
        select(StoredFile.id, StoredFile.storage_name)
        .where(StoredFile.id > last, IS_THERE)
        .order_by(StoredFile.id)
        .limit(limit)
    )
    return [(row.id, row.storage_name) for row in db.session.execute(statement)]


def totals() -> tuple[int, int]:
    """How many files there are, and their bytes. One query."""
    row = db.session.execute(select(func.count(), func.sum(StoredFile.size)).where(IS_THERE)).one()
    return int(row[0]), int(row[1] or 0)
