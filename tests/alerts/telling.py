"""A company with a portal, alerts of it made directly, and what arrives of what they say."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from bs4 import BeautifulSoup
from sqlalchemy import select

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.accounts.rules import Role
from portal.alerts import telling
from portal.alerts.models import Alert, AlertRecipient, AlertWatch
from portal.alerts.rules import AlertArea, AlertState, Happening, Operator, RecipientKind
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.models import Broadcast
from portal.usage.readings import Reading
from tests.notifications.outbox import Outbox
from tests.support.smtp_sink import SmtpSink

HOME = "https://status.northline.test"
ALICE, DOERTE, NOC = "alice@customers.test", "doerte@customers.test", "noc@elsewhere.test"
PHONE = "+491601234567"


@dataclass
class World:
    """A portal in German time, a company whose Alice reads English and whose Dörte reads German, and Ada of staff."""

    box: Outbox
    sink: SmtpSink
    domain: PortalDomain
    company: Company
    alice: Person
    doerte: Person
    ada: Person

    def alert(self, *named: str | Person, company: Company | None = None, **values: Any) -> tuple[Alert, AlertWatch]:
        """An alert of the company, with these recipients, that has been triggered ten minutes ago."""
        now = self.box.now()
        about: dict[str, Any] = {
            "title": "Low ASR",
            "area": AlertArea.ASR,
            "operator": Operator.LESS,
            "threshold": Decimal(30),
            "reset": Decimal(40),
            "window": 1800,
            **values,
        }
        of = company or self.company
        alert = Alert(
            public_id=f"a{db.session.query(Alert).count() + 1:09}",
            company_id=of.id if about.get("tag") is None else None,
            title_key=about["title"].casefold(),
            created_at=now,
            **about,
        )
        alert.recipients = [
            AlertRecipient(
                kind=RecipientKind.PHONE if isinstance(each, str) and "@" not in each else RecipientKind.MAIL,
                address=each if isinstance(each, str) else each.email,
                person_id=None if isinstance(each, str) else each.id,
            )
            for each in named
        ]
        db.session.add(alert)
        db.session.flush()
        watch = AlertWatch(
            alert_id=alert.id,
            company_id=of.id,
            state=AlertState.TRIGGERED,
            since=now,
            triggered_at=now - timedelta(minutes=10),
        )
        db.session.add(watch)
        events.commit()
        return alert, watch

    def named(self, made: tuple[Alert, AlertWatch]) -> list[AlertRecipient]:
        mine = select(AlertRecipient).where(AlertRecipient.alert_id == made[0].id)
        return list(db.session.scalars(mine.order_by(AlertRecipient.id)))

    def reading(self, value: str | None = "28.4", count: int | None = 134) -> Reading:
        return Reading(Decimal(value) if value else None, count, self.box.now(), is_stale=False, next_at=None)

    def tell(
        self,
        made: tuple[Alert, AlertWatch],
        says: Happening = Happening.TRIGGERED,
        reading: Reading | None = None,
        **more: Any,
    ) -> Broadcast | None:
        told = telling.tell(*made, says, reading or self.reading(), now=self.box.now(), **more)
        events.commit()
        return told

    def arrived(self) -> dict[str, EmailMessage]:
        """Send what is due; what has arrived since the last look, by who reads it."""
        before = len(self.sink.received)
        self.box.send()
        return {each.recipients[0]: read(each.content) for each in self.sink.received[before:]}

    def broadcasts(self) -> list[Broadcast]:
        db.session.rollback()
        return list(db.session.scalars(select(Broadcast).order_by(Broadcast.id)))


def made_world(outbox: Outbox, sink: SmtpSink) -> World:
    every: dict[str, Any] = {"by": SYSTEM, "now": outbox.now() - timedelta(days=90)}
    domain = domains.add_domain(HOME, "Northline", areas=set(Area), support_email="help@northline.test", **every)
    domain.time_zone = "Europe/Berlin"
    company = accounts.add_company("Alder <Dental> & Co", **every)
    domains.admit(company, domain, is_home=True, **every)
    alice = accounts.add_person("Alice", ALICE, **every)
    doerte = accounts.add_person("Dörte Weiß", DOERTE, language="de", time_zone="Europe/Berlin", **every)
    ada = accounts.add_person("Ada", "ada@portal.test", role=Role.STATUS, **every)
    for person in (alice, doerte):
        accounts.add_membership(person, company, **every)
        person.last_signed_in_at = outbox.now()
    events.commit()
    return World(outbox, sink, domain, company, alice, doerte, ada)


def read(raw: bytes) -> EmailMessage:
    """A mail as a parser of the standard library reads it."""
    return BytesParser(policy=policy.default).parsebytes(raw)


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n").replace("\u202f", " ").replace("\u00a0", " ")


def html_of(message: EmailMessage) -> BeautifulSoup:
    part = message.get_body(("html",))
    assert part is not None
    return BeautifulSoup(str(part.get_content()), "html.parser")
