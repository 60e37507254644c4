"""How services are that every company has: on the public page only where wanted, and only what holds for all."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Holding, Service
from portal.domains import actions as domains
from portal.extensions import db
from portal.services import actions
from portal.services.models import ServiceView
from portal.services.rules import Scope, ServiceStatus, Wanted
from tests.conftest import NOW, Cast

Visitor = Callable[[str], FlaskClient]
A, B = "a.portal.test", "b.portal.test"


@pytest.fixture
def mail(cast: Cast) -> Service:
    """A service of everybody's, which A's portal would tell everybody of."""
    service = catalogue.add_service("Mail for all", by=SYSTEM, now=NOW)
    db.session.flush()
    service.is_global = True
    for company in (cast.a, cast.b):
        db.session.add(Holding(company_id=company.id, service_id=service.id, valid_from=NOW))
    domains.set_public_page(
        cast.domain_a,
        is_indexed=True,
        says_maintenance=True,
        rooms_sign_up=True,
        shows_global_services=True,
        version=cast.domain_a.version,
        by=SYSTEM,
        now=NOW,
    )
    events.commit()
    return service


def state(service: Service, status: ServiceStatus, scope: Scope, at_most: int = 9) -> None:
    ids = db.session.scalars(db.select(Holding.id).where(Holding.service_id == service.id).order_by(Holding.id))
    now = clock.utcnow()
    actions.set_status(
        list(ids)[:at_most],
        Wanted(status, notes="Canary notes", ticket="CANARY-1", notify=False),
        scope=scope,
        chosen={},
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=f"{status} {scope} {now.isoformat()}",
    )
    events.commit()


def test_what_holds_for_all_is_told_at_the_next_look_without_notes(mail: Service, visitor: Visitor) -> None:
    assert "Mail for all" not in visitor(A).get("/status").text
    state(mail, ServiceStatus.DOWN, Scope.ALL)
    page = visitor(A).get("/status").text
    assert "Mail for all" in page
    assert "System is down" in page
    assert "canary" not in page.lower()
    assert "Mail for all" not in visitor(B).get("/status").text
    state(mail, ServiceStatus.NORMAL, Scope.ALL)
    assert "Mail for all" not in visitor(A).get("/status").text


def test_what_holds_for_some_or_was_stated_one_by_one_is_theirs(mail: Service, visitor: Visitor) -> None:
    state(mail, ServiceStatus.DOWN, Scope.CHOSEN)
    assert "Mail for all" not in visitor(A).get("/status").text
    state(mail, ServiceStatus.INTERMITTENT, Scope.ALL)
    assert "Mail for all" in visitor(A).get("/status").text
    state(mail, ServiceStatus.NORMAL, Scope.ONE, at_most=1)
    assert "Mail for all" not in visitor(A).get("/status").text


def test_nor_what_is_no_longer_for_everybody_or_is_left_out_there(cast: Cast, mail: Service, visitor: Visitor) -> None:
    state(mail, ServiceStatus.DOWN, Scope.ALL)
    assert "Mail for all" in visitor(A).get("/status").text
    db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[mail.id]))
    events.ring(events.public_topic(cast.domain_a.id))
    events.commit()
    assert "Mail for all" not in visitor(A).get("/status").text
