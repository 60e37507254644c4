"""A small world: components, two services that depend on them, and who holds what."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from portal.catalogue.models import Component, Holding, HoldingDependency, Service, ServiceDependency
from portal.extensions import db
from portal.incidents.mails import incidents as mails
from portal.notifications.kinds import register
from tests.conftest import NOW, Cast

LONG_AGO = NOW - timedelta(days=400)


@dataclass
class World:
    """Telephony depends on the trunk and is held by company A; internet depends on fibre and is held by B.

    A's circuit depends on the exchange by itself. Nothing depends on the spare.
    """

    trunk: Component
    fibre: Component
    exchange: Component
    spare: Component
    telephony: Service
    internet: Service
    holding_a: Holding
    holding_b: Holding


def component(title: str) -> Component:
    row = Component(public_id=title.lower(), title=title, created_at=LONG_AGO, updated_at=LONG_AGO)
    db.session.add(row)
    return row


def service(name: str) -> Service:
    row = Service(name=name, name_key=name.lower(), created_at=LONG_AGO)
    db.session.add(row)
    return row


@pytest.fixture
def world(cast: Cast) -> World:
    register(mails.INCIDENT)
    trunk, fibre, exchange, spare = (component(title) for title in ("Trunk", "Fibre", "Exchange", "Spare"))
    telephony, internet = service("Hosted telephony"), service("Internet access")
    db.session.flush()
    a = Holding(company_id=cast.a.id, service_id=telephony.id, reference="ACC-1", valid_from=LONG_AGO)
    b = Holding(company_id=cast.b.id, service_id=internet.id, reference="LINE-9", valid_from=LONG_AGO)
    db.session.add_all([a, b])
    db.session.flush()
    db.session.add_all(
        [
            ServiceDependency(service_id=telephony.id, component_id=trunk.id, valid_from=LONG_AGO),
            ServiceDependency(service_id=internet.id, component_id=fibre.id, valid_from=LONG_AGO),
            HoldingDependency(holding_id=a.id, component_id=exchange.id, valid_from=LONG_AGO),
        ]
    )
    db.session.commit()
    return World(trunk, fibre, exchange, spare, telephony, internet, a, b)
