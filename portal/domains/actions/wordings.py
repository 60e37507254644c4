"""What a portal domain calls the states its customers see."""

from collections.abc import Mapping
from datetime import datetime

from portal import events
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import PortalDomain
from portal.domains.rules.wordings import KEYS, LENGTH
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import LANGUAGES


def set_wordings(
    domain: PortalDomain,
    language: str,
    wordings: Mapping[str, str],
    *,
    defaults: Mapping[str, str],
    version: int,
    by: Actor,
    now: datetime,
) -> int:
    """Call states so on this domain, in this language, from the next page on; returns how many differ.

    `wordings` are by key (`severity.partial_rth`); what is left out, empty or the same as in `defaults` is called as
    everywhere. Raises RuleViolation with the key as its field.
    """
    if domain.version != version:
        raise StaleEdit
    if language not in LANGUAGES:
        raise RuleViolation("Choose one of the languages in the list.")
    chosen = {}
    for key in KEYS:
        wording = one_line(wordings.get(key, ""))
        if len(wording) > LENGTH:
            raise RuleViolation(f"A wording has at most {LENGTH} characters.", key)
        if wording and wording != defaults.get(key):
            chosen[key] = wording
    before = domain.wordings.get(language, {})
    if chosen == before:
        return len(chosen)
    kept = {code: words for code, words in domain.wordings.items() if code != language}
    domain.wordings = {**kept, language: chosen} if chosen else kept
    db.session.flush()
    events.ring(events.public_topic(domain.id), events.STAFF)
    audit.record(
        "portal.wording",
        object_kind="portal",
        object_id=domain.id,
        by=by,
        now=now,
        before={language: before},
        after={language: chosen},
    )
    return len(chosen)
