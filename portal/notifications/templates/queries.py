"""Which words of a mail stand: staff's own of a portal domain, else their own for all, else the built-in ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from portal.errors import NotFound
from portal.extensions import db
from portal.notifications.queries import Page
from portal.notifications.templates.models import MailTemplate
from portal.notifications.templates.rules import Words, template_named


@dataclass(frozen=True)
class Standing:
    """The words that stand in one place. `own` is the version they come from, None where they are the built-in ones;
    `is_inherited` says that it is that of all portal domains."""

    words: Words
    own: MailTemplate | None
    is_inherited: bool = False


def built_in(name: str, language: str) -> Words:
    """Our own words. Raises KeyError for a template there is not."""
    return template_named(name).builtin(language)


def newest(name: str, language: str, domain_id: int | None) -> MailTemplate | None:
    """The newest version in exactly this place, a reset too. One query."""
    return db.session.scalars(
        _of(name, language, domain_id)
        .options(joinedload(MailTemplate.created_by))
        .order_by(MailTemplate.id.desc())
        .limit(1)
    ).one_or_none()


def standing(name: str, language: str, domain_id: int | None) -> Standing:
    """The words people of a portal domain (None: of those without words of their own) are mailed in. Two queries."""
    own = newest(name, language, domain_id)
    if own is not None and not own.is_reset:
        return Standing(_words(own), own)
    if domain_id is not None:
        own = newest(name, language, None)
        if own is not None and not own.is_reset:
            return Standing(_words(own), own, is_inherited=True)
    return Standing(built_in(name, language), None)


def template_for(name: str, language: str, domain_id: int | None) -> Words:
    """The words of a template, most specific first: of the domain, of all domains, built in. At most two queries."""
    return standing(name, language, domain_id).words


@dataclass(frozen=True)
class OwnWords:
    """Every word of staff's own of one template, by language and portal domain."""

    name: str
    by_place: dict[tuple[str, int | None], Words]

    @property
    def domain_ids(self) -> list[int]:
        """The portal domains with words of their own, in any language."""
        return sorted({domain_id for _language, domain_id in self.by_place if domain_id is not None})

    def words(self, language: str, domain_id: int | None) -> Words:
        """The words that stand there."""
        return (
            self.by_place.get((language, domain_id))
            or self.by_place.get((language, None))
            or built_in(self.name, language)
        )


def own_words(name: str) -> OwnWords:
    """What staff have written of a template, everywhere at once. One query."""
    return OwnWords(
        name, {(row.language, row.domain_id): _words(row) for row in _standing_rows(name) if not row.is_reset}
    )


def rewritten() -> dict[tuple[str, str, int | None], MailTemplate]:
    """The version that stands wherever staff have words of their own, by name, language and domain. One query."""
    return {(row.name, row.language, row.domain_id): row for row in _standing_rows() if not row.is_reset}


PER_PAGE = 20


def versions(name: str, language: str, domain_id: int | None, page: int = 1) -> Page[MailTemplate]:
    """What was saved in this place, newest first. Two queries; NotFound beyond the last page."""
    statement = _of(name, language, domain_id)
    total = db.session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        raise NotFound
    ordered = statement.options(joinedload(MailTemplate.created_by)).order_by(MailTemplate.id.desc())
    return Page(db.session.scalars(ordered.limit(PER_PAGE).offset((page - 1) * PER_PAGE)).all(), page, pages, total)


def version(name: str, language: str, domain_id: int | None, version_id: int) -> MailTemplate | None:
    """One version of this place, by its id; None for one of another place."""
    return db.session.scalars(_of(name, language, domain_id).where(MailTemplate.id == version_id)).one_or_none()


def _of(name: str, language: str, domain_id: int | None) -> Select[MailTemplate]:
    return select(MailTemplate).where(
        MailTemplate.name == name, MailTemplate.language == language, MailTemplate.domain_id == domain_id
    )


def _standing_rows(name: str | None = None) -> Sequence[MailTemplate]:
    newest_ids = select(func.max(MailTemplate.id)).group_by(
        MailTemplate.name, MailTemplate.language, MailTemplate.domain_id
    )
    if name is not None:
        newest_ids = newest_ids.where(MailTemplate.name == name)
    return db.session.scalars(
        select(MailTemplate)
        .where(MailTemplate.id.in_(newest_ids))
        .options(joinedload(MailTemplate.created_by))
        .order_by(MailTemplate.id)
    ).all()


def _words(row: MailTemplate) -> Words:
    return Words(row.subject, row.text, row.html)
