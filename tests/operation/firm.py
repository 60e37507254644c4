"""A small firm on an installation: somebody who publishes, customers who hear of it, and their browsers."""

from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock, create_app, events
from portal.accounts import actions as accounts
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import Incident
from portal.notifications.models import Broadcast, Delivery
from tests.conftest import STAFF_HOST, client_on, token_in
from tests.support.product import Portal

FORM = "/admin/incidents/new"


@dataclass
class Firm:
    """An app on data of its own. Ada publishes; Alice and Bob are customers of a.portal.test."""

    portal: Portal
    app: Flask
    component_id: int
    token: str

    def ada(self) -> FlaskClient:
        """Her browser, signed in."""
        client = client_on(self.app, STAFF_HOST)
        client.set_cookie("sid", self.token, domain=STAFF_HOST)
        return client

    def report(self, title: str, key: str, **more: str) -> dict[str, Any]:
        number = str(self.component_id)
        return {
            **{"title": title, "state": "investigating", "body": "We look into it.", "components": number},
            **{f"components-{number}": "major_outage", "began": "0", "audience": "everyone", "visibility": "public"},
            **{"notify": "y", "next_update": "30", "key": key, **more},
        }

    def publish(self, client: FlaskClient, title: str, key: str = "") -> Any:
        form = {"csrf_token": token_in(client, FORM), **self.report(title, key or f"key-{title}")}
        return client.post(FORM, data=form)

    def count(self, title: str) -> tuple[int, int]:
        """How many incidents there are of this title, and how many mails about them."""
        with self.app.app_context():
            incidents = db.session.scalar(select(func.count()).where(Incident.title == title)) or 0
            mails = select(func.count(Delivery.id)).join(Broadcast).where(Broadcast.title.contains(title))
            found = incidents, db.session.scalar(mails) or 0
            db.session.remove()
        return found

    def let_go(self) -> None:
        """Close every connection."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()


def found(portal: Portal) -> Firm:
    """Make the firm on a prepared installation."""
    portal.variables["PORTAL_BASE_URL"] = f"http://{STAFF_HOST}"
    app = create_app(portal.settings)
    with app.app_context():
        read_only.set(False)
        now = clock.utcnow()
        domain = domains.add_domain("http://a.portal.test", "Northline", areas=set(Area), by=SYSTEM, now=now)
        company = accounts.add_company("Alder Dental", by=SYSTEM, now=now)
        domains.admit(company, domain, is_home=True, by=SYSTEM, now=now)
        ada = accounts.add_person("Ada", "ada@people.test", by=SYSTEM, now=now, role=Role.STATUS)
        for name in ("alice", "bob"):
            person = accounts.add_person(name.title(), f"{name}@people.test", by=SYSTEM, now=now)
            accounts.add_membership(person, company, by=SYSTEM, now=now)
        component = Component(public_id="north", title="North ring", created_at=now, updated_at=now)
        db.session.add(component)
        db.session.flush()
        token = accounts.open_session(ada, None, STAFF_HOST, ip="127.0.0.1", user_agent="test", now=now)
        component_id = component.id
        events.commit()
        db.session.remove()
        db.engine.dispose()
    return Firm(portal, app, component_id, token)
