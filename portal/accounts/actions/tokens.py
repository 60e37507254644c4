"""The only writers of tokens of the API, and of the answers kept for their Idempotency-Keys."""

import hashlib
from datetime import datetime

from sqlalchemy import delete, func, select, update

from portal import events
from portal.accounts.models import ApiAnswer, ApiToken, Company
from portal.accounts.rules import one_line
from portal.accounts.rules.tokens import (
    COMPANY_SCOPES,
    LONGEST_LIFE,
    NAME_LENGTH,
    Scope,
    new_token,
    token_hash,
    token_hint,
)
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db


def make_token(
    name: str,
    scope: Scope,
    *,
    by: Actor,
    now: datetime,
    company: Company | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Make a token and return it with its secret, which is stored nowhere and can be shown only now.

    With a company it sees what the people of that company could see, and can only read.
    """
    name = one_line(name)
    if not 1 <= len(name) <= NAME_LENGTH:
        raise RuleViolation(f"Give the token a name of at most {NAME_LENGTH} characters.", "name")
    if company is not None and scope not in COMPANY_SCOPES:
        raise RuleViolation("A token of one company can only read. Choose the scope “read”.", "scope")
    if company is not None and company.archived_at is not None:
        raise RuleViolation(f"{company.name} is archived. Take it back from the archive first.", "company")
    if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
        raise RuleViolation("A token lives between a day and ten years, or until somebody revokes it.", "expires_days")
    secret = new_token()
    token = ApiToken(
        name=name,
        token_hash=token_hash(secret),
        hint=token_hint(secret),
        scope=scope,
        company_id=company.id if company else None,
        created_by_id=by.person_id,
        created_at=now,
        expires_at=expires_at,
    )
    db.session.add(token)
    db.session.flush()
    events.ring(events.STAFF)
    audit.record(
        "token.make",
        object_kind="token",
        object_id=token.id,
        company_id=token.company_id,
        by=by,
        now=now,
        after={
            "name": name,
            "scope": scope,
            "company_id": token.company_id,
            "expires_at": expires_at.isoformat() if expires_at else None,
        },
    )
    return token, secret


def revoke_token(token: ApiToken, *, by: Actor, now: datetime) -> None:
    """End a token: its very next request is refused. Twice is harmless."""
    if token.revoked_at is not None:
        return
    token.revoked_at = now
    db.session.execute(delete(ApiAnswer).where(ApiAnswer.token_id == token.id))
    db.session.flush()
    events.ring(events.STAFF)
    audit.record(
        "token.revoke",
        object_kind="token",
        object_id=token.id,
        company_id=token.company_id,
        by=by,
        now=now,
        before={"name": token.name, "scope": token.scope},
    )


def note_used(token_id: int, now: datetime) -> None:
    """Remember that a token was used; called at most once a minute, in a transaction of its own."""
    db.session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


def claim_key(token_id: int, key: str) -> bool:
    """Hold this Idempotency-Key until the transaction ends; False while another request holds it.

    SQLite lets one writing transaction in at a time, so whoever comes second waits and finds the answer.
    """
    if db.session.get_bind().dialect.name == "sqlite":
        return True
    number = int.from_bytes(hashlib.sha256(f"{token_id}:{key}".encode()).digest()[:8], signed=True)
    return bool(db.session.scalar(select(func.pg_try_advisory_xact_lock(number))))


def keep_answer(
    token_id: int,
    key: str,
    *,
    request_hash: str,
    status: int,
    location: str | None,
    etag: str | None,
    body: str,
    now: datetime,
) -> None:
    """Write down what a request with this key is answered, in the transaction of the change it made.

    An answer too old to be given again makes room for the new one.
    """
    db.session.execute(delete(ApiAnswer).where(ApiAnswer.token_id == token_id, ApiAnswer.key == key))
    db.session.add(
        ApiAnswer(
            token_id=token_id,
            key=key,
            request_hash=request_hash,
            status=status,
            location=location,
            etag=etag,
            body=body,
            created_at=now,
        )
    )
    db.session.flush()
