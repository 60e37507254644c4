"""Drafts of reports, for staff only: what waits, and what the clock publishes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import joinedload

from portal.extensions import db
from portal.incidents.models import IncidentDraft
from portal.incidents.queries import Page
from portal.incidents.rules.drafts import Origin, Stage
from portal.keyset import Order, Piece, Wanted, piece_of

DRAFTS_PER_PAGE = 20

DRAFT_ORDERS = {
    "-saved_at": Order((IncidentDraft.saved_at, IncidentDraft.id), is_descending=True),
    "saved_at": Order((IncidentDraft.saved_at, IncidentDraft.id)),
}
"""How a machine may have them sorted."""


def is_open() -> ColumnElement[bool]:
    """Neither published nor discarded."""
    return and_(IncidentDraft.published_at.is_(None), IncidentDraft.discarded_at.is_(None))


def draft_by_id(draft_id: int) -> IncidentDraft | None:
    """The draft, with its owner, whatever became of it. One query."""
    return db.session.scalars(
        select(IncidentDraft).options(joinedload(IncidentDraft.owner)).where(IncidentDraft.id == draft_id)
    ).one_or_none()


def first_drafts(limit: int) -> tuple[Sequence[IncidentDraft], int]:
    """The open drafts saved last, with their owners, and how many there are. At most two queries."""
    found = db.session.scalars(_listed().limit(limit)).all()
    return found, len(found) if len(found) < limit else _total()


def drafts_page(page: int) -> Page[IncidentDraft] | None:
    """The open drafts, a page at a time. None for a page that does not exist (page 1 always does). Two queries."""
    total = _total()
    pages = max(1, -(-total // DRAFTS_PER_PAGE))
    if not 1 <= page <= pages:
        return None
    found = db.session.scalars(_listed().limit(DRAFTS_PER_PAGE).offset((page - 1) * DRAFTS_PER_PAGE)).all()
    return Page(found, page, pages, total, DRAFTS_PER_PAGE)


def drafts(
    wanted: Wanted, *, stage: Stage, origin: Origin | None = None, is_scheduled: bool | None = None
) -> Piece[IncidentDraft]:
    """The drafts of which this has become, as a machine reads them, narrowed by what is not None. One query."""
    statement = select(IncidentDraft).where(_is(stage))
    if origin is not None:
        statement = statement.where(IncidentDraft.origin == origin)
    if is_scheduled is not None:
        at = IncidentDraft.publish_at
        statement = statement.where(at.is_not(None) if is_scheduled else at.is_(None))
    return piece_of(statement, wanted)


def _is(stage: Stage) -> ColumnElement[bool]:
    """`IncidentDraft.stage` as a condition."""
    match stage:
        case Stage.OPEN:
            return is_open()
        case Stage.PUBLISHED:
            return IncidentDraft.published_at.is_not(None)
        case Stage.DISCARDED:
            return and_(IncidentDraft.published_at.is_(None), IncidentDraft.discarded_at.is_not(None))


def due_drafts(now: datetime, limit: int) -> list[int]:
    """The drafts that are to be published by now, longest due first. One query."""
    return list(
        db.session.scalars(
            select(IncidentDraft.id)
            .where(IncidentDraft.publish_at <= now, is_open())
            .order_by(IncidentDraft.publish_at, IncidentDraft.id)
            .limit(limit)
        )
    )


def is_draft_due(now: datetime) -> bool:
    """Whether a draft is to be published. One query."""
    return bool(due_drafts(now, 1))


def _listed() -> Select[IncidentDraft]:
    return (
        select(IncidentDraft)
        .options(joinedload(IncidentDraft.owner))
        .where(is_open())
        .order_by(IncidentDraft.saved_at.desc(), IncidentDraft.id.desc())
    )


def _total() -> int:
    return db.session.scalar(select(func.count()).select_from(IncidentDraft).where(is_open())) or 0
