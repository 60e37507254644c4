"""Templates of reports."""

from collections.abc import Sequence

from sqlalchemy import select

from portal.catalogue.models import Component
from portal.extensions import db
from portal.incidents.models import IncidentTemplate
from portal.incidents.rules import Severity
from portal.incidents.rules.starters import STARTERS
from portal.keyset import Order, Piece, Wanted, piece_of

TEMPLATE_ORDERS = {
    "position": Order((IncidentTemplate.position, IncidentTemplate.id)),
    "-id": Order((IncidentTemplate.id,), is_descending=True),
    "id": Order((IncidentTemplate.id,)),
}
"""How a machine may have them sorted; by position as they are offered."""


def live_templates() -> Sequence[IncidentTemplate]:
    """Those that are offered, in their order; there are at most `actions.templates.KEPT_AT_MOST`. One query."""
    return db.session.scalars(
        select(IncidentTemplate)
        .where(IncidentTemplate.archived_at.is_(None))
        .order_by(IncidentTemplate.position, IncidentTemplate.id)
    ).all()


def archived_templates(limit: int) -> Sequence[IncidentTemplate]:
    """Those put away last, the last one first. One query."""
    return db.session.scalars(
        select(IncidentTemplate)
        .where(IncidentTemplate.archived_at.is_not(None))
        .order_by(IncidentTemplate.archived_at.desc(), IncidentTemplate.id.desc())
        .limit(limit)
    ).all()


def templates(wanted: Wanted, *, is_archived: bool | None = None) -> Piece[IncidentTemplate]:
    """Templates as a machine reads them, narrowed by what is not None. One query."""
    statement = select(IncidentTemplate)
    if is_archived is not None:
        at = IncidentTemplate.archived_at
        statement = statement.where(at.is_not(None) if is_archived else at.is_(None))
    return piece_of(statement, wanted)


def template_by_id(template_id: int) -> IncidentTemplate | None:
    return db.session.get(IncidentTemplate, template_id)


def severities_of(template: IncidentTemplate) -> dict[int, Severity]:
    """The components a template names that are still there, with their severities. One query, none without any."""
    wanted = {int(each): Severity(severity) for each, severity in template.severities.items()}
    if not wanted:
        return {}
    live = db.session.scalars(
        select(Component.id).where(Component.id.in_(wanted), Component.archived_at.is_(None)).order_by(Component.id)
    )
    return {each: wanted[each] for each in live}


def titles_of(component_ids: Sequence[int]) -> list[str]:
    """What these components are called, by name. One query, none without any."""
    if not component_ids:
        return []
    return list(
        db.session.scalars(select(Component.title).where(Component.id.in_(component_ids)).order_by(Component.title))
    )


def missing_starters() -> int:
    """How many of the set to begin with were never kept. One query."""
    known = set(db.session.scalars(select(IncidentTemplate.starter).where(IncidentTemplate.starter.is_not(None))))
    return sum(1 for each in STARTERS if each.key not in known)
