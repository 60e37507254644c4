"""Reading announcements: what stands now, what was told, and all of them for staff."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func, or_, select

from portal.database import UTCDateTime
from portal.domains.announcements.models import Announcement
from portal.domains.announcements.rules import Stage, language_of
from portal.domains.models import PortalDomain
from portal.extensions import db, rows
from portal.keyset import Order, Piece, Wanted, piece_of

STANDING_AT_MOST = 20
"""How many announcements a page shows; a business with more has other troubles than a list."""

PER_PAGE = 50

ANNOUNCEMENT_ORDERS = {
    "-starts_at": Order((Announcement.starts_at, Announcement.id), is_descending=True),
    "starts_at": Order((Announcement.starts_at, Announcement.id)),
}
"""How a machine may have them sorted."""


class Told(NamedTuple):
    """An announcement in one language. `ends_at` is None while nobody has said when it ends."""

    public_id: str
    title: str
    body: str
    language: str
    starts_at: datetime
    ends_at: datetime | None
    is_pinned: bool
    updated_at: datetime


@dataclass(frozen=True)
class Page:
    """One page of all announcements, newest first. `pages` is at least 1."""

    items: Sequence[tuple[Announcement, PortalDomain]]
    page: int
    pages: int
    total: int


def standing(domain_id: int, preferred: Sequence[str], now: datetime) -> list[Told]:
    """What stands on this portal domain now, the pinned first, then the newest. One query."""
    return _told(rows(_standing(), domain_id=domain_id, now=now), preferred)


def told_lately(domain_id: int, preferred: Sequence[str], limit: int, now: datetime) -> list[Told]:
    """What has begun to stand on this portal domain, newest first, over or not. One query."""
    return _told(rows(_lately(), domain_id=domain_id, now=now, limit=limit), preferred)


def told_between(domain_id: int, preferred: Sequence[str], begin: datetime, end: datetime, now: datetime) -> list[Told]:
    """What began to stand in this stretch of time, newest first. One query."""
    return _told(rows(_between(), domain_id=domain_id, now=now, begin=begin, end=end), preferred)


def visible(domain_id: int, public_id: str, preferred: Sequence[str], now: datetime) -> Told | None:
    """The announcement with this public id, from when it begins to stand on. One query."""
    found = _told(rows(_one(), domain_id=domain_id, now=now, public_id=public_id), preferred)
    return found[0] if found else None


def next_boundary(now: datetime) -> datetime | None:
    """The next moment at which an announcement begins or ends to stand, on any portal domain. One query."""
    moment: datetime | None = rows(_next_boundary(), now=now)[0].at
    return moment


def announcement_by_id(announcement_id: int) -> Announcement | None:
    """The announcement with this id."""
    return db.session.get(Announcement, announcement_id)


def to_be_told(now: datetime, limit: int) -> Sequence[int]:
    """The ids of announcements that stand and that subscribers have still to be told of, oldest first. One query."""
    return db.session.scalars(
        select(Announcement.id)
        .where(
            Announcement.tells_subscribers,
            Announcement.told_at.is_(None),
            Announcement.starts_at <= now,
            or_(Announcement.ends_at.is_(None), Announcement.ends_at > now),
        )
        .order_by(Announcement.starts_at, Announcement.id)
        .limit(limit)
    ).all()


def standing_among(public_ids: Collection[str], now: datetime) -> frozenset[str]:
    """Those of these that are there and not over. One query.

    By their public ids: the number of one that was taken away may be given to the next.
    """
    return frozenset(
        db.session.scalars(
            select(Announcement.public_id).where(
                Announcement.public_id.in_(public_ids), or_(Announcement.ends_at.is_(None), Announcement.ends_at > now)
            )
        )
    )


def announcement_page(
    page: int, now: datetime, *, stage: Stage | None = None, domain_id: int | None = None
) -> Page | None:
    """All announcements with their portal domains, newest first, 50 a page; None for a page there is not."""
    conditions = []
    if stage is not None:
        conditions.append(_is(stage, now))
    if domain_id is not None:
        conditions.append(Announcement.domain_id == domain_id)
    total = db.session.scalar(select(func.count(Announcement.id)).where(*conditions)) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    found = db.session.execute(
        select(Announcement, PortalDomain)
        .join(PortalDomain, PortalDomain.id == Announcement.domain_id)
        .where(*conditions)
        .order_by(Announcement.starts_at.desc(), Announcement.id.desc())
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    )
    return Page([(announcement, domain) for announcement, domain in found], page, pages, total)


def announcements(
    wanted: Wanted, now: datetime, *, stage: Stage | None = None, domain_id: int | None = None
) -> Piece[Announcement]:
    """All announcements as a machine reads them, narrowed by what is not None. One query."""
    statement = select(Announcement)
    if stage is not None:
        statement = statement.where(_is(stage, now))
    if domain_id is not None:
        statement = statement.where(Announcement.domain_id == domain_id)
    return piece_of(statement, wanted)


def _told(found: Sequence[Any], preferred: Sequence[str]) -> list[Told]:
    told = []
    for row in found:
        language = language_of(row.wordings, preferred)
        words = row.wordings.get(language, {})
        told.append(
            Told(
                row.public_id,
                words.get("title", ""),
                words.get("body", ""),
                language,
                row.starts_at,
                row.ends_at,
                row.is_pinned,
                row.updated_at,
            )
        )
    return told


# The statements, each built once


def _columns() -> Select[*tuple[Any, ...]]:
    each = Announcement
    return select(each.public_id, each.wordings, each.starts_at, each.ends_at, each.is_pinned, each.updated_at).where(
        each.domain_id == bindparam("domain_id"), each.starts_at <= _moment("now")
    )


@cache
def _standing() -> Select[*tuple[Any, ...]]:
    each = Announcement
    return (
        _columns()
        .where(or_(each.ends_at.is_(None), each.ends_at > _moment("now")))
        .order_by(each.is_pinned.desc(), each.starts_at.desc(), each.id.desc())
        .limit(STANDING_AT_MOST)
    )


@cache
def _lately() -> Select[*tuple[Any, ...]]:
    each = Announcement
    return _columns().order_by(each.starts_at.desc(), each.id.desc()).limit(bindparam("limit", type_=Integer()))


@cache
def _between() -> Select[*tuple[Any, ...]]:
    each = Announcement
    within = and_(each.starts_at >= _moment("begin"), each.starts_at < _moment("end"))
    return _columns().where(within).order_by(each.starts_at.desc(), each.id.desc()).limit(STANDING_AT_MOST)


@cache
def _one() -> Select[*tuple[Any, ...]]:
    return _columns().where(Announcement.public_id == bindparam("public_id"))


@cache
def _next_boundary() -> Select[datetime]:
    each, now = Announcement, _moment("now")
    moments = (
        select(each.starts_at.label("at"))
        .where(each.starts_at > now)
        .union_all(select(each.ends_at).where(each.ends_at > now))
    ).subquery()
    return select(func.min(moments.c.at).label("at"))


def _moment(name: str) -> Any:
    return bindparam(name, type_=UTCDateTime())


def _is(stage: Stage, now: datetime) -> ColumnElement[bool]:
    """`rules.stage_of` as a condition."""
    over = and_(Announcement.ends_at.is_not(None), Announcement.ends_at <= now)
    if stage is Stage.OVER:
        return over
    begun = Announcement.starts_at <= now
    return and_(
        or_(Announcement.ends_at.is_(None), Announcement.ends_at > now), begun if stage is Stage.STANDING else ~begun
    )
