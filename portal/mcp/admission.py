"""Who may ask at this moment: a token of a company, while the setting is on and the company is shown its services.

Asked for every call, so that switching off, revoking a token or closing an area works from the next call on.
"""

from datetime import datetime
from typing import cast

from flask import current_app

from portal import events, limits
from portal.access import CHALLENGE, IDENTIFY, OPENS_NOTHING, TOO_MANY, TOO_OFTEN
from portal.accounts.actions import throttles
from portal.accounts.actions.tokens import note_used
from portal.accounts.queries.tokens import key_by_hash
from portal.accounts.rules import throttles as throttle_rules
from portal.accounts.rules import tokens as token_rules
from portal.accounts.rules.throttles import Throttle
from portal.accounts.rules.tokens import ApiKey, Resource, Right
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.config import Settings
from portal.database import read_only
from portal.services.questions.queries import is_open

OFF = "Service status access is switched off, so nothing is answered here."
NO_COMPANY = "Assistants are answered for one company: use a token that is bound to it."
TOO_NARROW = "The scope of this token does not reach that far."


class Refused(Exception):  # noqa: N818 (refusals are named as one says them)
    """A call that is not answered: the status of an answer over HTTP, a sentence, and its headers."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


def company_of(secret: str, address: str | None, now: datetime) -> int:
    """The company this token asks for, in an app context; Refused says why nobody is answered.

    It counts as a request of the token, in the same allowance as those of the API.
    """
    read_only.set(True)
    try:
        if not is_open():
            raise Refused(404, OFF)
        if not secret:
            raise Refused(401, IDENTIFY, {"WWW-Authenticate": CHALLENGE})
        found = key_by_hash(token_rules.token_hash(secret), now)
    finally:
        events.rollback()
    if found is None:
        raise _unknown(address, now)
    _count(found, now)
    if found.company_id is None:
        raise Refused(403, NO_COMPANY)
    if token_rules.right(found.scope, Resource.QUESTIONS, for_company=True) < Right.READ:
        raise Refused(403, TOO_NARROW)
    _note(found, now)
    return found.company_id


def _count(found: ApiKey, now: datetime) -> None:
    settings = cast(Settings, current_app.config["SETTINGS"])
    limiter: limits.Limiter = current_app.extensions["limiter"]
    allowance = limiter.take(f"token:{found.token_id}", settings.api_requests_per_minute, now.timestamp())
    if allowance.is_over:
        raise Refused(429, TOO_OFTEN, {"Retry-After": str(allowance.reset)})


def _note(found: ApiKey, now: datetime) -> None:
    """That it was used, once a minute at most."""
    if found.last_used_at is not None and now - found.last_used_at < token_rules.SEEN_EVERY:
        return
    read_only.set(False)
    note_used(found.token_id, now)
    events.commit()
    read_only.set(True)


def _unknown(address: str | None, now: datetime) -> Refused:
    """401, or 429 for an address that has tried too many; nothing of the token is written down."""
    subject = throttle_rules.ip_subject(address)
    wait = throttles.waiting(Throttle.API_FAILURE_BY_ADDRESS, subject, now)
    if not wait:
        events.rollback()
        read_only.set(False)
        wait = throttles.take(Throttle.API_FAILURE_BY_ADDRESS, subject, now)
        audit.count("token.refuse", by=Actor("anonymous", ip=address), now=now, object_kind="token")
        events.commit()
        read_only.set(True)
    if wait:
        return Refused(429, TOO_MANY, {"Retry-After": str(wait)})
    return Refused(401, OPENS_NOTHING, {"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'})
