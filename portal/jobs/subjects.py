"""Jobs and quotes as what files and messages belong to."""

from collections.abc import Callable, Collection, Mapping

from sqlalchemy import select

from portal.accounts.rules import Permission, Viewpoint
from portal.domains.rules import Area
from portal.extensions import db
from portal.files import subjects
from portal.files.subjects import Known, Ref, Subject
from portal.jobs.models import WorkItem
from portal.jobs.rules import PLURALS, WorkKind, number_of, written_number

AREAS = {WorkKind.JOB: Area.JOBS, WorkKind.QUOTE: Area.QUOTES}
"""The access area customers need for each kind of work."""


def ref_of(item: WorkItem) -> Ref:
    """What files and messages know an item by."""
    return Ref(item.kind.value, item.id)


def path_of(kind: WorkKind, number: int, *, is_staff: bool) -> str:
    """The page of an item, on the host of whoever looks."""
    return f"{'/admin' if is_staff else ''}/{PLURALS[kind]}/{written_number(kind, number)}"


def _seen(kind: WorkKind) -> Callable[[Viewpoint, Collection[int]], Mapping[int, Known]]:
    def seen(viewpoint: Viewpoint, item_ids: Collection[int]) -> Mapping[int, Known]:
        """Staff see every item, a company those of its own that are in the portal. One query."""
        wanted = select(WorkItem.id, WorkItem.company_id, WorkItem.number, WorkItem.title).where(
            WorkItem.kind == kind, WorkItem.id.in_(item_ids)
        )
        if not viewpoint.is_staff:
            wanted = wanted.where(WorkItem.company_id == viewpoint.company_id, WorkItem.public_status_id.is_not(None))
        return {
            row.id: Known(
                row.company_id,
                f"{written_number(kind, row.number)} {row.title}",
                path_of(kind, row.number, is_staff=viewpoint.is_staff),
            )
            for row in db.session.execute(wanted)
        }

    return seen


def _key(kind: WorkKind) -> Callable[[int], str]:
    def key(item_id: int) -> str:
        number = db.session.scalar(select(WorkItem.number).where(WorkItem.kind == kind, WorkItem.id == item_id))
        return written_number(kind, number or 0)

    return key


def _find(kind: WorkKind) -> Callable[[str], int | None]:
    def find(key: str) -> int | None:
        number = number_of(kind, key)
        if number is None:
            return None
        return db.session.scalar(select(WorkItem.id).where(WorkItem.kind == kind, WorkItem.number == number))

    return find


for _kind in WorkKind:
    subjects.register(
        Subject(
            kind=_kind.value,
            area=AREAS[_kind],
            seen=_seen(_kind),
            key=_key(_kind),
            find=_find(_kind),
            permission=Permission.WORK_EDIT,
        )
    )
