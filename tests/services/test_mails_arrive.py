"""Mails about service statuses at a real SMTP server, as a parser and a calendar read them."""

from dataclasses import dataclass
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

import pytest
from bs4 import BeautifulSoup
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from icalendar import Calendar
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.accounts.rules import Role
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, Holding, ServiceDependency
from portal.domains import actions as domains
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Severity, State
from portal.notifications import actions
from portal.notifications.compose import Letter, Wording
from portal.notifications.kinds import BUILT_IN, register
from portal.notifications.models import Broadcast
from portal.notifications.templates.actions import save_template
from portal.notifications.templates.placeholders import on_one_line
from portal.notifications.templates.rules import Words, checked, filled_for, known_templates, template_named, told
from portal.services import mails
from portal.services.actions import Wanted, cancel_window, move_window, set_status
from portal.services.letters import OF_READERS, Facts, content_of
from portal.services.models import ServiceUpdate, ServiceWindow
from portal.services.queries.hearing import status_topic
from portal.services.rules import Scope, ServiceStatus, UpdateKind
from tests.conftest import NOW, Cast
from tests.notifications.conftest import environment, outbox  # noqa: F401 (fixtures)
from tests.notifications.outbox import Outbox
from tests.support.smtp_sink import SmtpSink

HOUR = timedelta(hours=1)
HOME = "https://status.northline.test"
ALICE, DOERTE = "alice@customers.test", "doerte@customers.test"


@dataclass
class Firm:
    """A portal, a company whose Alice reads English and whose Dörte reads German, and what it holds."""

    box: Outbox
    sink: SmtpSink
    domain: PortalDomain
    company: Company
    alice: Person
    doerte: Person
    ada: Person
    trunk: Component
    holding: Holding

    def state(self, wanted: Wanted, key: str) -> ServiceUpdate:
        made = set_status(
            [self.holding.id],
            wanted,
            scope=Scope.ONE,
            chosen={},
            by=Actor("Ada", self.ada.id),
            author_id=self.ada.id,
            now=self.box.now(),
            idempotency_key=key,
        )
        events.commit()
        return made

    def arrived(self) -> dict[str, EmailMessage]:
        """Send what is due; what has arrived since the last look, by who reads it."""
        before = len(self.sink.received)
        self.box.send()
        return {each.recipients[0]: read(each.content) for each in self.sink.received[before:]}


@pytest.fixture
def firm(outbox: Outbox, smtp_sink: SmtpSink) -> Firm:  # noqa: F811
    register(mails.SERVICE_STATUS)
    every: dict[str, Any] = {"by": SYSTEM, "now": outbox.now() - timedelta(days=90)}
    domain = domains.add_domain(HOME, "Northline", areas=set(Area), support_email="help@northline.test", **every)
    company = accounts.add_company("Alder <Dental> & Co", **every)
    domains.admit(company, domain, is_home=True, **every)
    alice = accounts.add_person("Alice", ALICE, **every)
    doerte = accounts.add_person("Dörte Weiß", DOERTE, language="de", time_zone="Europe/Berlin", **every)
    ada = accounts.add_person("Ada", "ada@portal.test", role=Role.STATUS, **every)
    for person in (alice, doerte):
        accounts.add_membership(person, company, **every)
    trunk = Component(public_id="trunk", title="Trunk", created_at=every["now"], updated_at=every["now"])
    db.session.add(trunk)
    service = catalogue.add_service("E-mail & calendar", **every)
    db.session.flush()
    db.session.add(ServiceDependency(service_id=service.id, component_id=trunk.id, valid_from=every["now"]))
    holding = catalogue.add_holding(company, service, reference="ACC-1", **every)
    events.commit()
    return Firm(outbox, smtp_sink, domain, company, alice, doerte, ada, trunk, holding)


def read(raw: bytes) -> EmailMessage:
    """A mail as a parser of the standard library reads it."""
    return BytesParser(policy=policy.default).parsebytes(raw)


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def html_of(message: EmailMessage) -> BeautifulSoup:
    part = message.get_body(("html",))
    assert part is not None
    return BeautifulSoup(str(part.get_content()), "html.parser")


def test_a_problem_arrives_once_for_each_in_their_language_and_its_end_in_the_same_conversation(firm: Firm) -> None:
    notes = "Mail is **delayed**. <script>x</script> Do not resend {{name}}."
    firm.state(Wanted(ServiceStatus.DOWN, notes, ticket="T-1", ends_at=firm.box.now() + 3 * HOUR), "1")
    first = firm.arrived()
    assert set(first) == {ALICE, DOERTE}
    alice, doerte = first[ALICE], first[DOERTE]
    assert alice["Subject"] == "[Northline status] E-mail & calendar (ACC-1)"
    assert "services.portal.test" in alice["List-Id"]
    assert alice["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert alice["List-Unsubscribe"].startswith(f"<{HOME}/u/")
    text = text_of(alice)
    assert text.startswith("System is down: E-mail & calendar (ACC-1)\n\nIt is not available at the moment.")
    assert "Mail is delayed." in text
    assert "Ticket: T-1" in text
    assert "We expect it to be over:" in text
    assert "What is behind it" not in text
    assert f"{HOME}/services" in text
    assert "Do not resend {\u2060{name}}." in text
    page = html_of(alice)
    assert page.select_one(".prose strong").text == "delayed"  # type: ignore[union-attr]
    assert page.select_one("script") is None
    assert page.select_one("h1").text == "E-mail & calendar (ACC-1)"  # type: ignore[union-attr]
    assert page.select_one(f'a[href="{HOME}/services"]')
    assert text_of(doerte).startswith("Ausgefallen: E-mail & calendar (ACC-1)")
    assert "Wir wissen, wie viel davon abhängt" in text_of(doerte)
    assert "MEZ" in text_of(doerte) or "CE" in text_of(doerte)
    firm.state(Wanted(ServiceStatus.NORMAL, "All mail has been delivered.", began_at=firm.box.now()), "2")
    second = firm.arrived()
    assert second[ALICE]["Subject"] == alice["Subject"]
    assert second[ALICE]["References"] == alice["References"]
    assert second[ALICE]["Message-ID"] != alice["Message-ID"]
    assert "Everything works again as it should." in text_of(second[ALICE])
    assert "It began:" in text_of(second[ALICE])
    assert firm.box.states() == {"sent": 4}


def test_an_incident_alone_makes_no_mail_about_a_status(firm: Firm) -> None:
    incidents.publish(
        "Calls fail",
        State.INVESTIGATING,
        "We look.",
        {firm.trunk.id: Severity.MAJOR_OUTAGE},
        by=SYSTEM,
        author_id=None,
        now=clock.utcnow(),
        idempotency_key="incident",
    )
    events.commit()
    found = firm.arrived()
    assert set(found) == {ALICE, DOERTE}
    assert all("Calls fail" in each["Subject"] for each in found.values())
    assert set(db.session.scalars(select(Broadcast.kind))) == {"incident"}


def test_who_opts_out_while_the_mail_waits_gets_none(firm: Firm) -> None:
    firm.state(Wanted(ServiceStatus.INTERMITTENT), "1")
    wishes = {status_topic(ServiceStatus.INTERMITTENT): False}
    actions.choose_for_person(firm.alice, wishes, by=SYSTEM, now=firm.box.now())
    events.commit()
    assert set(firm.arrived()) == {DOERTE}


def test_an_area_that_closes_while_the_mail_waits_stops_it(firm: Firm) -> None:
    firm.state(Wanted(ServiceStatus.INTERMITTENT), "1")
    domains.set_override(firm.domain, firm.company, Area.SERVICES, False, by=SYSTEM, now=firm.box.now())
    events.commit()
    assert firm.arrived() == {}


def test_own_words_of_the_portal_are_what_arrives(firm: Firm) -> None:
    words = Words("{{company_name}}: {{service_name}}", "Dear {{name}}: {{notes}}", "<p>Dear {{name}}</p>{{notes}}")
    for domain_id, subject in ((None, "Not this: {{brand}}"), (firm.domain.id, words.subject)):
        save_template(
            "outage_system_down",
            "en",
            domain_id,
            Words(subject, words.text, words.html),
            expected=0,
            by=SYSTEM,
            author_id=None,
            now=firm.box.now(),
        )
    firm.state(Wanted(ServiceStatus.DOWN, "Soon."), "1")
    found = firm.arrived()
    assert found[ALICE]["Subject"] == "Alder <Dental> & Co: E-mail & calendar (ACC-1)"
    assert text_of(found[ALICE]).startswith("Dear Alice: Soon.")
    assert found[DOERTE]["Subject"] == "[Status von Northline] E-mail & calendar (ACC-1)"


# Calendars


def event_in(message: EmailMessage) -> Any:
    """The only event of the mail's calendar part, as a reader of calendars finds it."""
    assert message.get_content_type() == "multipart/mixed"
    (part,) = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    assert part.get_param("method") == "PUBLISH"
    assert part.get_filename() == "calendar.ics"
    calendar = Calendar.from_ical(str(part.get_content()))
    assert calendar["METHOD"] == "PUBLISH"
    (event,) = calendar.walk("VEVENT")
    return event


def test_scheduled_service_is_for_the_calendar_from_its_announcement_to_its_cancellation(firm: Firm) -> None:
    starts = (firm.box.now() + timedelta(days=3)).replace(microsecond=0)
    wanted = Wanted(
        ServiceStatus.SCHEDULED,
        "A new **switch**, and a line; with, marks\n\nand one more: " + "long " * 40,
        starts_at=starts,
        ends_at=starts + 2 * HOUR,
        zone="Europe/Berlin",
    )
    announced = firm.state(wanted, "1")
    found = firm.arrived()
    first, german = event_in(found[ALICE]), event_in(found[DOERTE])
    assert (first.decoded("DTSTART"), first.decoded("DTEND")) == (starts, starts + 2 * HOUR)
    assert str(first["UID"]).endswith("@portal.test")
    assert first["UID"] == german["UID"]
    assert (first["SEQUENCE"], first["STATUS"]) == (0, "CONFIRMED")
    assert first["SUMMARY"] == "Scheduled service: E-mail & calendar"
    assert german["SUMMARY"] == "Geplante Wartung: E-mail & calendar"
    assert "A new switch, and a line; with, marks" in first["DESCRIPTION"]
    assert html_of(found[ALICE]).select_one(".prose strong") is not None
    window = db.session.get_one(ServiceWindow, announced.window_id)
    steps: dict[str, Any] = {"notify": True, "by": SYSTEM, "now": firm.box.now()}
    later = starts + timedelta(days=1)
    move_window(window, later, later + HOUR, "Europe/Berlin", "", version=window.version, idempotency_key="2", **steps)
    events.commit()
    second = event_in(firm.arrived()[ALICE])
    assert (second["UID"], second.decoded("DTSTART")) == (first["UID"], later)
    assert second["SEQUENCE"] > first["SEQUENCE"]
    window = db.session.get_one(ServiceWindow, announced.window_id)
    cancel_window(window, "", version=window.version, idempotency_key="3", **steps)
    events.commit()
    third = event_in(firm.arrived()[ALICE])
    assert (third["UID"], third["STATUS"]) == (first["UID"], "CANCELLED")
    assert third["SEQUENCE"] > second["SEQUENCE"]


# What nobody can do with words, names and notes

HOSTILE = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "{{name}}",
                "{{ config }}",
                "{% raw %}",
                "{{{{7*7}}",
                "{#x#}",
                "\r\nBcc: all@evil.test",
                "\n\n",
                "<script>alert(1)</script>",
                '"><img src=x onerror=y>',
                "</p></div>",
                "=?utf-8?q?x?=",
                "{{unsubscribe_url}}",
                "\u2028",
                "\x00",
                "[x](javascript:y)",
                "Ä & Ö",
                "{{",
                "}}",
            ]
        ),
        max_size=8,
    ).map("".join),
)
SECRETS = {"name": "VALUE-OF-NAME", "unsubscribe_url": "https://portal.test/u/VALUE"}


def values_with(company: str, service: str) -> dict[str, str]:
    return {
        **dict.fromkeys(BUILT_IN | OF_READERS, "x"),
        **SECRETS,
        "portal_url": "https://portal.test",
        "company_name": on_one_line(company),
        "service_name": on_one_line(service),
    }


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(company=HOSTILE, service=HOSTILE, notes=HOSTILE, ticket=HOSTILE)
def test_no_name_and_no_notes_inject_a_header_an_element_or_a_variable(
    cast: Cast, company: str, service: str, notes: str, ticket: str
) -> None:
    facts = Facts(
        kind=UpdateKind.STATED,
        status=ServiceStatus.DOWN,
        service_name=on_one_line(service),
        notes=notes,
        ticket=on_one_line(ticket),
        starts_at=NOW,
        ends_at=NOW + HOUR,
    )
    # The words of staff name everything, in each of their places.
    words = Words(
        "{{service_name}} {{company_name}} {{ticket_number}}",
        "T {{company_name}} {{ticket_number}}\n{{notes}}",
        "<p>H {{company_name}} {{ticket_number}}</p>\n<div>{{notes}}</div>",
    )
    template = template_named("outage_system_down")
    plain = told(
        checked(template, words),
        {"notes": notes, "ticket_number": facts.ticket},
        rich={},
        links={},
    )
    assert (
        "VALUE" not in filled_for({"subject": plain.subject, "text": plain.text, "html": plain.html}, SECRETS)["text"]
    )
    content = content_of(facts, [""])["en"]
    wording = Wording(
        {**content, "subject": plain.subject},
        BUILT_IN | OF_READERS,
        mail_from="status@portal.test",
        list_name="Service status",
        list_id="services.portal.test",
        feedback_id="1",
    )
    raw = wording.fill(
        Letter("<1@portal.test>", "<root@portal.test>", ALICE, "Alice", NOW, values_with(company, service))
    )
    message = read(raw)
    assert "Bcc" not in message
    assert len(message.defects) == 0
    assert sorted(set(message.keys())) == sorted(message.keys())
    page = html_of(message)
    assert page.select("script, img, iframe, [onerror]") == []
    assert not [each for each in page.select("a[href]") if str(each["href"]).startswith("javascript")]
    assert "VALUE-OF-NAME" not in text_of(message)
    assert "VALUE-OF-NAME" not in page.get_text()


@pytest.mark.parametrize("language", ["en", "de"])
def test_our_own_words_could_be_saved_as_they_are(cast: Cast, language: str) -> None:
    """Whoever opens the editor and saves changes nothing."""
    found = [each for each in known_templates() if each.name.startswith("outage_")]
    assert len(found) == 5
    for template in found:
        ours = template.builtin(language)
        kept = checked(template, ours)
        assert (kept.subject, kept.text) == (ours.subject, ours.text)
        assert BeautifulSoup(kept.html, "html.parser").get_text() == BeautifulSoup(ours.html, "html.parser").get_text()
