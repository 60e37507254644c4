"""Reading tokens of the API, and what they were answered before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import ApiAnswer, ApiToken, Company, Person
from portal.accounts.rules import Permission, Role, may, text_key
from portal.accounts.rules.tokens import ANSWERS_KEPT, ApiKey, Scope, token_is_live
from portal.errors import NotFound
from portal.extensions import db, rows

PER_PAGE = 50


def key_by_hash(token_hash: str, now: datetime) -> ApiKey | None:
    """The live token with this hash. One query.

    Found by the hash of the whole secret through a unique index, so how long it takes says nothing of the secret.
    """
    found = next(iter(rows(_KEY, token_hash=token_hash)), None)
    if found is None or found.archived_at is not None:
        return None
    is_live = token_is_live(
        revoked_at=found.revoked_at,
        expires_at=found.expires_at,
        maker_may_make=found.created_by_id is None
        or (found.deactivated_at is None and may(found.role and Role(found.role), Permission.TOKENS_EDIT)),
        now=now,
    )
    if not is_live:
        return None
    return ApiKey(found.id, found.name, Scope(found.scope), found.company_id, found.last_used_at)


_KEY = (
    select(
        ApiToken.id,
        ApiToken.name,
        ApiToken.scope,
        ApiToken.company_id,
        ApiToken.created_by_id,
        ApiToken.expires_at,
        ApiToken.last_used_at,
        ApiToken.revoked_at,
        Person.role,
        Person.deactivated_at,
        Company.archived_at,
    )
    .outerjoin(Person, Person.id == ApiToken.created_by_id)
    .outerjoin(Company, Company.id == ApiToken.company_id)
    .where(ApiToken.token_hash == bindparam("token_hash"))
)
"""Built once, because every request of a machine executes it."""


def maker_of(token_id: int) -> tuple[int, str] | None:
    """Whoever made a token, by id and name; None for one that was made at the command line. One query."""
    found = db.session.execute(
        select(Person.id, Person.name)
        .join(ApiToken, ApiToken.created_by_id == Person.id)
        .where(ApiToken.id == token_id)
    ).one_or_none()
    return (found.id, found.name) if found else None


@dataclass(frozen=True)
class TokenLine:
    """One line of the list: the token, and whether it opens anything at this moment."""

    token: ApiToken
    is_live: bool


@dataclass(frozen=True)
class TokenPage:
    """One page of the list, `page` of `pages` (from 1), of `total` tokens in all."""

    items: Sequence[TokenLine]
    page: int
    pages: int
    total: int


def tokens_page(page: int, now: datetime) -> TokenPage:
    """Tokens with their company and maker, those not revoked first, the newest first. Two queries."""
    total = db.session.scalar(select(func.count(ApiToken.id))) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        raise NotFound
    found = db.session.scalars(
        select(ApiToken)
        .options(joinedload(ApiToken.company), joinedload(ApiToken.created_by))
        .order_by(ApiToken.revoked_at.is_not(None), ApiToken.created_at.desc(), ApiToken.id.desc())
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    ).all()
    return TokenPage([TokenLine(each, _is_live(each, now)) for each in found], page, pages, total)


def _is_live(token: ApiToken, now: datetime) -> bool:
    maker = token.created_by
    if token.company is not None and token.company.archived_at is not None:
        return False
    return token_is_live(
        revoked_at=token.revoked_at,
        expires_at=token.expires_at,
        maker_may_make=maker is None or (maker.deactivated_at is None and may(maker.role, Permission.TOKENS_EDIT)),
        now=now,
    )


def token_by_id(token_id: int) -> ApiToken | None:
    return db.session.get(ApiToken, token_id)


def answer_to(token_id: int, key: str, now: datetime) -> ApiAnswer | None:
    """What this token was answered when it sent this Idempotency-Key less than a day ago."""
    return db.session.scalars(
        select(ApiAnswer).where(
            ApiAnswer.token_id == token_id, ApiAnswer.key == key, ApiAnswer.created_at > now - ANSWERS_KEPT
        )
    ).one_or_none()


def companies_called(name: str, limit: int = 4) -> Sequence[Company]:
    """The company of exactly this name, whatever its case; else the first of those whose name holds it."""
    live = select(Company).where(Company.archived_at.is_(None))
    exact = db.session.scalars(live.where(Company.name_key == text_key(name))).one_or_none()
    if exact is not None:
        return [exact]
    holding = live.where(Company.name_key.contains(text_key(name), autoescape=True))
    return db.session.scalars(holding.order_by(Company.name_key).limit(limit)).all()
