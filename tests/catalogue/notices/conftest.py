"""A firm with four companies, what they hold, and notices to them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest

from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, Service
from portal.catalogue.notices import actions
from portal.catalogue.notices.models import Notice
from portal.catalogue.notices.rules import Chosen
from portal.domains import actions as domains
from portal.extensions import db
from tests.conftest import NOW, Cast

WORDS = {
    "en": {"subject": "News for {{company}}", "body": "Dear **{{name}}**,\n\nyou hold {{services}}."},
    "de": {"subject": "Neues für {{company}}", "body": "Guten Tag {{name}}, Sie nutzen {{services}}."},
}


@dataclass
class Firm:
    """Company A holds telephony, which needs the switch; B holds a line that needs the ring by itself; C, at home on
    A's portal, holds nothing; D, at home nowhere, has nobody but Dora, who also acts for A."""

    cast: Cast
    c: Company
    d: Company
    carla: Person
    dora: Person
    telephony: Service
    line: Service
    switch: Component
    ring: Component


@pytest.fixture
def firm(cast: Cast) -> Firm:
    def person(name: str, *companies: Company) -> Person:
        added = accounts.add_person(name, f"{name.lower()}@people.test", by=SYSTEM, now=NOW)
        for company in companies:
            accounts.add_membership(added, company, by=SYSTEM, now=NOW)
        return added

    c = accounts.add_company("Cedar Care", by=SYSTEM, now=NOW)
    d = accounts.add_company("Dogwood Dairy", by=SYSTEM, now=NOW)
    domains.admit(c, cast.domain_a, is_home=True, by=SYSTEM, now=NOW)
    switch = catalogue.add_component("Switch", by=SYSTEM, now=NOW)
    ring = catalogue.add_component("Ring", by=SYSTEM, now=NOW)
    telephony = catalogue.add_service("Telephony", by=SYSTEM, now=NOW)
    line = catalogue.add_service("Line", by=SYSTEM, now=NOW)
    db.session.flush()
    catalogue.set_dependencies(telephony, [switch.id], by=SYSTEM, now=NOW)
    catalogue.add_holding(cast.a, telephony, by=SYSTEM, now=NOW, reference="T-1")
    catalogue.add_holding(cast.b, line, by=SYSTEM, now=NOW, reference="L-7", component_ids=[ring.id])
    made = Firm(cast, c, d, person("Carla", c), person("Dora", d, cast.a), telephony, line, switch, ring)
    made.carla.language = "de"
    db.session.commit()
    return made


Write = Callable[..., Notice]


@pytest.fixture
def write(cast: Cast) -> Write:
    """Write a notice as Ada."""

    def written(chosen: Chosen, words: dict[str, dict[str, str]] | None = None, now: datetime = NOW) -> Notice:
        by = Actor(cast.ada.email, cast.ada.id)
        return actions.write(words or WORDS, chosen, by=by, author_id=cast.ada.id, now=now)

    return written
