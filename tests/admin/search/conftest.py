"""A business with names that resemble each other."""

from datetime import timedelta

import pytest

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Severity, State, Visibility
from tests.conftest import NOW, Cast

BORN = NOW - timedelta(days=30)


@pytest.fixture
def town(cast: Cast) -> Company:
    """Oaks of all kinds, a circuit each, and faults on the Oakham ring. Returns the company "Oak"."""
    oak = [accounts.add_company(name, by=SYSTEM, now=BORN) for name in ("Oakley & Sons", "Royal Oak Hotel", "Oak")][-1]
    accounts.add_company("Soaked Ltd", by=SYSTEM, now=BORN)
    accounts.archive_company(accounts.add_company("Oak (old)", by=SYSTEM, now=BORN), version=1, by=SYSTEM, now=BORN)
    accounts.add_membership(
        accounts.add_person("Olivia Oakes", "olivia@oak.test", by=SYSTEM, now=BORN), oak, by=SYSTEM, now=BORN
    )
    accounts.add_person("Sören Größe", "soeren@people.test", by=SYSTEM, now=BORN)
    ring = catalogue.add_component("Oakham ring", description=None, by=SYSTEM, now=BORN)
    service = catalogue.add_service("Oak fibre", by=SYSTEM, now=BORN, category="Access")
    for company, reference in ((oak, "OAK-1"), (cast.a, "OAK-10"), (cast.b, "X-OAK-1")):
        catalogue.add_holding(company, service, reference=reference, by=SYSTEM, now=BORN)
    for title, visibility in (("Oakham ring is cut", Visibility.PUBLIC), ("Oaks, between us", Visibility.PRIVATE)):
        incidents.publish(
            title,
            State.IDENTIFIED,
            "A digger was at work.",
            {ring.id: Severity.PARTIAL_RTH},
            visibility=visibility,
            notify=visibility is Visibility.PUBLIC,
            by=SYSTEM,
            author_id=None,
            now=BORN + timedelta(days=1),
            idempotency_key=title,
        )
    events.commit()
    found = db.session.get(Company, oak.id)
    assert found is not None
    return found
