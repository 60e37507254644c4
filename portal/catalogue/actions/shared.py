"""What the writers of the catalogue share: whom a change rings, what the trail keeps of it, and clean texts."""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal import events
from portal.accounts.rules import paragraphs
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue import queries
from portal.catalogue.models import Component, ComponentGroup, Holding, Service
from portal.domains.queries import all_domains
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db

DESCRIPTION_LENGTH = 2000
"""Characters of a description at most."""

RUNG_ONE_BY_ONE = 500
"""Companies rung each by their own bell; with more of them every open page is rung instead."""


def new_public_id() -> str:
    """An id for outsiders: random, so that it says nothing of how many there are."""
    return secrets.token_hex(8)


def forget_loaded(*kinds: type[Any]) -> None:
    """What is loaded of these is read again when it is next asked for, because it was written past the session."""
    for loaded in list(db.session.identity_map.values()):
        if isinstance(loaded, kinds):
            db.session.expire(loaded)


def live_components(component_ids: Collection[int]) -> set[int]:
    """The ids as a set; refused when one of them is missing or archived."""
    wanted = set(component_ids)
    found = set(
        db.session.scalars(select(Component.id).where(Component.id.in_(wanted), Component.archived_at.is_(None)))
    )
    if found != wanted:
        raise RuleViolation("One of these components is no longer in use. Choose again.", "component_ids")
    return found


def clean_description(description: str | None) -> str | None:
    """The text as it is stored, None where nothing is left of it; RuleViolation where it is too long."""
    text = paragraphs(description or "")
    if len(text) > DESCRIPTION_LENGTH:
        raise RuleViolation(f"A description has at most {DESCRIPTION_LENGTH} characters.", "description")
    return text or None


def ring_status_pages() -> None:
    """Ring staff, and every portal domain that shows components to somebody."""
    shown = {Area.STATUS, Area.PUBLIC_STATUS}
    domains = [domain.id for domain in all_domains() if shown.intersection(domain.areas)]
    events.ring(events.STAFF, *(events.public_topic(domain_id) for domain_id in domains))


def ring_reached(component_ids: Collection[int], now: datetime) -> None:
    """Ring whoever sees these components: the status pages, and the holders whose reasons name them."""
    ring_status_pages()
    events.ring(
        *(events.service_topic(service_id) for service_id in queries.services_reached(component_ids, now)),
        *(events.company_topic(company_id) for company_id in queries.companies_reached_directly(component_ids, now)),
    )


def ring_companies(company_ids: Collection[int]) -> None:
    """Ring staff and the people of these companies; when they are many, every open page."""
    events.ring(events.STAFF)
    if len(company_ids) > RUNG_ONE_BY_ONE:
        events.ring(*(events.public_topic(domain.id) for domain in all_domains()))
        return
    events.ring(*(events.company_topic(company_id) for company_id in company_ids))


def record(
    action: str,
    row: Component | ComponentGroup | Service | Holding,
    by: Actor,
    now: datetime,
    *,
    company_id: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Write the change of a row into the audit trail; `action` begins with the kind of the row, before a dot."""
    kind = action.partition(".")[0]
    audit.record(
        action, object_kind=kind, object_id=row.id, company_id=company_id, by=by, now=now, before=before, after=after
    )
