"""Every kind of mail as it arrives: read by a parser, with and without style sheet, in the light and in the dark."""

import re
import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pytest
from bs4 import BeautifulSoup
from icalendar import Calendar
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.links import issue
from portal.accounts.models import AccountMail, Person
from portal.accounts.rules import Role
from portal.accounts.rules.links import Letter, Purpose
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component, Holding, Service, ServiceDependency
from portal.catalogue.notices.letters import content_of
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.actions import announcing
from portal.incidents.models import Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.rules import MaintenanceState, Severity, State
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.notifications import account_mails
from portal.notifications.channels.alarms import tell_staff
from portal.services.actions import Wanted, set_status
from portal.services.rules import Scope, ServiceStatus
from tests.notifications.outbox import Outbox, opened, queue
from tests.support import databases
from tests.support.mail_looks import Balance, Scheme, colours, parsed
from tests.support.smtp_sink import SmtpSink

HOME = "https://status.northline.test"
STAFF = "https://admin.portal.test"
ALICE, DOERTE, ROOT = "alice@customers.test", "doerte@customers.test", "root@portal.test"
NAME = "Zoë “Ali” <b>O'Hara</b> & Söhne"
TYPED = """Calls out of **London** fail & we know why: `a < b`.

1. Do not restart your phones.
2. Use the mobile app.

> Incoming calls arrive.

[The carrier's page](https://carrier.test/status?a=1&b=2) says more.

| Site | State |
|---|---|
| London | down |
"""
LARGEST = 102 * 1024
"""Bytes of HTML beyond which Gmail cuts a mail off, and with it the way out."""

LEAST_CONTRAST = 4.5


@dataclass(frozen=True)
class Mail:
    """A mail as the server got it, the kind it is of, and its reader."""

    kind: str
    reader: str
    raw: bytes

    @cached_property
    def message(self) -> EmailMessage:
        return parsed(self.raw)

    @property
    def parts(self) -> list[EmailMessage]:
        said = self.message
        if said.get_content_type() == "multipart/mixed":
            # Beside it there is something for the calendar.
            said = next(part for part in said.iter_parts() if isinstance(part, EmailMessage))
        return [part for part in said.iter_parts() if isinstance(part, EmailMessage)]

    @cached_property
    def text(self) -> str:
        return str(self.parts[0].get_content()).replace("\r\n", "\n")

    @cached_property
    def html(self) -> str:
        return str(self.parts[1].get_content())

    @cached_property
    def page(self) -> BeautifulSoup:
        return BeautifulSoup(self.html, "html.parser")

    @property
    def language(self) -> str:
        return "de" if self.reader == DOERTE else "en"

    @property
    def home(self) -> str:
        return STAFF if self.reader == ROOT else HOME

    def __str__(self) -> str:
        return f"{self.kind} to {self.reader}"


Mails = list[Mail]


@pytest.fixture(scope="module")
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with databases.empty(request.config.getoption("--database-url"), tmp_path_factory.mktemp("data")) as url:
        yield url


@pytest.fixture(scope="module")
def mails(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mails]:
    """Everything the product mails, to a reader of each language, as a server took it."""
    folder = tmp_path_factory.mktemp("looks")
    with SmtpSink() as sink:
        environment = {
            "PORTAL_INSTANCE": str(folder),
            "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
            "PORTAL_BASE_URL": STAFF,
            "PORTAL_MAIL_DOMAIN": "portal.test",
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_REDIS_URL": f"unix://{folder}/nobody.sock",
            "PORTAL_SMTP_URL": sink.url,
        }
        with opened(environment) as outbox:
            yield everything(outbox, sink)


def everything(outbox: Outbox, sink: SmtpSink) -> Mails:
    found: Mails = []
    alice, doerte, company_id, component_id = firm(outbox)

    def sent(kind: str) -> None:
        events.commit()
        outbox.send()
        found.extend(Mail(kind, each.recipients[0], each.content) for each in sink.received[len(found) :])

    for title, began in (("SIP trunks: registration failures", 125), ("Voicemail is slow", 1600)):
        told(outbox, sent, title, began, component_id)
    planned(outbox, sent, component_id)
    for status in (ServiceStatus.DOWN, ServiceStatus.INTERMITTENT, ServiceStatus.NORMAL, ServiceStatus.SCHEDULED):
        stated(outbox, status)
        sent(f"service {status}")
    for letter in Letter:
        for person in (alice, doerte):
            db.session.add(account_mail(letter, person, company_id))
        account_mails.write_account_mails(clock.utcnow())
        sent(f"account {letter}")
    notice = content_of({"en": {"subject": "New address", "body": f"Dear {{{{name}}}},\n\n{TYPED}"}})
    queue("notice:1", [{"address": ALICE, "name": NAME, "company_ids": [company_id]}], now=outbox.now(), content=notice)
    sent("notice")
    tell_staff("relay", "The relay “default” is paused", "It has refused 20 mails < 5 minutes.", now=clock.utcnow())
    sent("alarm")
    return found


def firm(outbox: Outbox) -> tuple[Person, Person, int, int]:
    """A portal, a company with a service on a component, Alice who reads English and Dörte who reads German."""
    now = outbox.now() - timedelta(days=90)
    every: dict[str, Any] = {"by": SYSTEM, "now": now}
    contact: dict[str, Any] = {"support_email": "help@northline.test", "support_phone": "+44 20 7946 0000"}
    domain = domains.add_domain(HOME, "Northline & Partners", areas=set(Area), **contact, **every)
    company = accounts.add_company("Alder <Dental> & Co", **every)
    domains.admit(company, domain, is_home=True, **every)
    alice = accounts.add_person(NAME, ALICE, **every)
    doerte = accounts.add_person("Dörte Weiß", DOERTE, language="de", time_zone="Europe/Berlin", **every)
    accounts.add_person("Root", ROOT, role=Role.ADMIN, **every)
    for person in (alice, doerte):
        accounts.add_membership(person, company, **every)
    trunk = Component(public_id="trunk", title="SIP <trunk> London", created_at=now, updated_at=now)
    service = Service(name="Hosted telephony", name_key="hosted telephony", created_at=now)
    db.session.add_all([trunk, service])
    db.session.flush()
    db.session.add_all(
        [
            Holding(company_id=company.id, service_id=service.id, reference="ACC-1 & 2", valid_from=now),
            ServiceDependency(service_id=service.id, component_id=trunk.id, valid_from=now),
        ]
    )
    db.session.flush()
    return alice, doerte, company.id, trunk.id


def stated(outbox: Outbox, status: ServiceStatus) -> None:
    """What staff state of the holding, with all there is to say."""
    now = outbox.now()
    is_ahead = status is ServiceStatus.SCHEDULED
    wanted = Wanted(
        status,
        TYPED,
        starts_at=now + timedelta(hours=50) if is_ahead else None,
        ends_at=now + timedelta(hours=52) if status is not ServiceStatus.NORMAL else None,
        ticket="T-1 & 2",
    )
    set_status(
        db.session.scalars(select(Holding.id)).all(),
        wanted,
        scope=Scope.ALL,
        chosen={},
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=status.value,
    )


def told(outbox: Outbox, sent: Any, title: str, minutes: int, component_id: int) -> None:
    """An incident from its beginning to its end, which took so many minutes."""
    by: dict[str, Any] = {"by": SYSTEM, "author_id": None}
    began = clock.utcnow() - timedelta(minutes=minutes)
    incident = incidents.publish(
        title,
        State.INVESTIGATING,
        TYPED,
        {component_id: Severity.MAJOR_OUTAGE},
        now=clock.utcnow(),
        started_at=began,
        idempotency_key=title,
        next_update=timedelta(minutes=30),
        **by,
    )
    sent("incident investigating")
    for state in (State.IDENTIFIED, State.WATCHING, State.FIXED):
        more: dict[str, Any] = {} if state is State.FIXED else {"next_update": timedelta(minutes=30)}
        incidents.post_update(
            incident,
            state,
            TYPED,
            {},
            version=incident.version,
            now=clock.utcnow(),
            idempotency_key=f"{title} {state}",
            **more,
            **by,
        )
        sent(f"incident {state}")


def planned(outbox: Outbox, sent: Any, component_id: int) -> None:
    """Planned work from its announcement to its end, with every notice there is."""
    begin = outbox.now().replace(second=0, microsecond=0) + timedelta(hours=50)
    work = Maintenance(
        public_id="battery",
        title="New <battery> & fans in London",
        state=MaintenanceState.SCHEDULED,
        impact=WorkImpact.OUTAGE,
        starts_at=begin,
        ends_at=begin + timedelta(hours=2, minutes=30),
        created_at=outbox.now(),
        public_updated_at=outbox.now(),
    )
    db.session.add(work)
    db.session.flush()
    db.session.add(MaintenanceComponent(maintenance_id=work.id, component_id=component_id))
    for notice in Notice:
        work.sequence += 1
        work.state = STATES.get(notice, work.state)
        if notice in (Notice.MOVED, Notice.EXTENDED):
            work.ends_at += timedelta(hours=1)
        update = MaintenanceUpdate(
            maintenance_id=work.id,
            public_id=notice.value,
            kind=notice,
            state=work.state,
            body=TYPED,
            posted_at=outbox.now(),
            starts_at=work.starts_at,
            ends_at=work.ends_at,
            notify=True,
            is_late=notice is Notice.REMINDED,
        )
        db.session.add(update)
        db.session.flush()
        announcing.tell(work, update, by=SYSTEM, now=outbox.now())
        sent(f"maintenance {notice}")


STATES = {
    Notice.STARTED: MaintenanceState.IN_PROGRESS,
    Notice.VERIFYING: MaintenanceState.VERIFYING,
    Notice.COMPLETED: MaintenanceState.COMPLETED,
    Notice.EXTENDED: MaintenanceState.IN_PROGRESS,
    Notice.CANCELLED: MaintenanceState.CANCELLED,
    Notice.NOTE: MaintenanceState.SCHEDULED,
}
"""The state in which each of these notices is told; the others are told before the work."""


def account_mail(letter: Letter, person: Person, company_id: int) -> AccountMail:
    purpose = {
        Letter.INVITATION: Purpose.INVITATION,
        Letter.EMAIL_CHANGE: Purpose.EMAIL_CHANGE,
        Letter.EMAIL_CHANGED: Purpose.EMAIL_UNDO,
    }.get(letter)
    link = issue(person, purpose, now=clock.utcnow()) if purpose else None
    return AccountMail(
        kind=letter,
        address=person.email,
        person_id=None if letter is Letter.RESET else person.id,
        link_id=link.id if link else None,
        details={"ip": "192.0.2.7", "new": "new@customers.test", "company_id": company_id},
        created_at=clock.utcnow(),
    )


def of_incidents(mails: Mails) -> Mails:
    return [each for each in mails if each.kind.startswith("incident")]


def test_every_kind_and_language_is_among_them(mails: Mails) -> None:
    kinds = defaultdict(set)
    for mail in mails:
        kinds[mail.kind].add(mail.language)
    both = {"en", "de"}
    wanted = {f"incident {state}" for state in ("investigating", "identified", "watching", "fixed")}
    wanted |= {f"maintenance {notice}" for notice in Notice}
    wanted |= {f"account {letter}" for letter in Letter} | {f"service {status}" for status in ServiceStatus}
    assert kinds == {**dict.fromkeys(wanted, both), "notice": {"en"}, "alarm": {"en"}}


def test_the_parts_are_text_first_then_html_and_nothing_is_odd_about_them(mails: Mails) -> None:
    for mail in mails:
        message = mail.message
        is_for_calendars = mail.kind == f"service {ServiceStatus.SCHEDULED}" or mail.kind.startswith("maintenance")
        whole = "multipart/mixed" if is_for_calendars else "multipart/alternative"
        assert message.get_content_type() == whole, mail
        assert [part.get_content_type() for part in mail.parts] == ["text/plain", "text/html"], mail
        assert [part.get_content_charset() for part in mail.parts] == ["utf-8", "utf-8"], mail
        assert not [*message.defects, *(defect for part in mail.parts for defect in part.defects)], mail
        assert not [header for header in message.values() if header.defects], mail
        assert message["MIME-Version"] == "1.0"


def test_on_the_way_it_is_short_lines_of_plain_characters(mails: Mails) -> None:
    for mail in mails:
        assert mail.raw.isascii(), mail
        assert b"\n" not in mail.raw.replace(b"\r\n", b""), mail
        head, _, body = mail.raw.partition(b"\r\n\r\n")
        assert max(map(len, body.split(b"\r\n"))) <= 76, mail
        assert max(map(len, head.split(b"\r\n"))) <= 998, mail
        assert len(str(mail.parts[1].get_payload())) < LARGEST / 4, "far from where Gmail cuts"


def test_the_markup_is_whole_names_its_language_and_loads_nothing(mails: Mails) -> None:
    for mail in mails:
        assert Balance(mail.html).faults == [], mail
        page = mail.page
        assert page.html is not None
        assert page.html["lang"] == mail.language, mail
        assert page.title is not None
        assert page.title.get_text().strip(), mail
        named = {each.get("name"): each.get("content") for each in page.find_all("meta")}
        assert named["color-scheme"] == "light dark", mail
        loading = page.find_all(
            ["img", "link", "script", "iframe", "object", "embed", "form", "input", "svg", "video", "audio", "base"]
        )
        assert loading == [], mail
        assert not page.find_all(src=True), mail
        assert "url(" not in mail.html.lower(), mail
        assert "@import" not in mail.html.lower(), mail
        assert not [name for each in page.find_all(True) for name in each.attrs if name.startswith("on")], mail
        frame = [each for each in page.find_all("table") if each.find_parent(class_="prose") is None]
        assert {each.get("role") for each in frame} == {"presentation"}, mail


def test_every_link_is_whole_and_leads_home(mails: Mails) -> None:
    for mail in mails:
        links = [str(each["href"]) for each in mail.page.find_all("a")]
        typed = {"https://carrier.test/status?a=1&b=2"}
        strangers = [each for each in links if each not in typed and not each.startswith(mail.home)]
        assert strangers == [], mail
        assert all(each.get_text().strip() for each in mail.page.find_all("a")), mail
        in_text = re.findall(r"https?://[^\s)]+", mail.text)
        assert {each for each in in_text if not each.startswith(mail.home)} <= typed, mail
        assert set(links) - {mail.home} <= set(in_text), f"{mail}: both parts lead to the same places"


@pytest.mark.parametrize("scheme", ["light", "dark", "without style sheet"])
def test_every_text_can_be_read_on_its_ground(mails: Mails, scheme: Scheme) -> None:
    for mail in mails:
        found = list(colours(mail.page, scheme))
        assert len(found) > 4, mail
        faint = [each for each in found if each.contrast < LEAST_CONTRAST]
        assert faint == [], mail


def test_in_the_dark_it_is_dark(mails: Mails) -> None:
    for mail in mails:
        assert not {each.ground for each in colours(mail.page, "dark")} & {"#ffffff", "#f4f5f7"}, mail
        assert {each.ground for each in colours(mail.page, "light")} == {"#ffffff", "#f4f5f7"}, mail


def test_the_text_reads_well_by_itself(mails: Mails) -> None:
    for mail in mails:
        text = mail.text
        assert "{{" not in text + mail.html, mail
        assert not re.search(r"&(?:amp|lt|gt|quot|#\d+|nbsp);", text), mail
        assert not re.search(r"</?(?:p|div|br|b|a|span|table)\b", text.replace(NAME, "")), mail
        assert "\n\n\n" not in text, mail
        lines = text.split("\n")
        assert lines[0].strip(), mail
        assert [line for line in lines if line != line.rstrip() and line != "-- "] == [], mail
        assert "None" not in text, mail
        if mail.kind != "alarm":
            assert "-- " in lines, f"{mail}: what stands below is not part of what is said"


def words(text: str) -> str:
    return " ".join(text.split())


def test_both_parts_tell_the_same(mails: Mails) -> None:
    for mail in mails:
        in_html = words(mail.page.get_text(" "))
        # A button says in its own words where the address below such a line leads.
        for line in re.sub(r"^.*:\nhttps?://", "https://", mail.text, flags=re.MULTILINE).split("\n"):
            told_there = re.sub(r"\(?https?://\S+|^\s*(?:\d+\.|-+|>)\s*", "", line).strip(" :")
            for piece in re.split(r"\s{2,}| (?=says)", told_there):
                assert words(piece) in in_html or squeezed(piece) in squeezed(in_html), f"{mail}: {piece!r}"


def squeezed(text: str) -> str:
    return re.sub(r"\W+", "", text)


def test_what_somebody_is_called_stays_text(mails: Mails) -> None:
    named = [mail for mail in mails if mail.reader == ALICE and mail.kind.startswith(("account", "notice"))]
    assert len(named) == len(Letter) + 1
    for mail in named:
        assert NAME in mail.text, mail
        assert NAME in words(mail.page.get_text()), mail
        assert str(mail.message["To"].addresses[0].display_name) == NAME, mail


def test_a_report_tells_its_reader_what_they_need(mails: Mails) -> None:
    """State first, what of theirs is affected, since when in their zone, what to do, when they hear more, where."""
    labels = {"investigating": ("Investigating", "Wird untersucht"), "fixed": ("Fixed", "Behoben")}
    for mail in of_incidents(mails):
        state = mail.kind.rpartition(" ")[2]
        in_english, in_german = labels.get(state, (state.capitalize(), ""))
        label = in_german if mail.language == "de" else in_english
        beginning = mail.text.split("\n")[0]
        assert beginning.startswith(label), mail
        preheader = mail.page.find(style=re.compile("display:none"))
        assert preheader is not None
        assert preheader.get_text().strip().startswith(label), mail
        assert "\n" not in preheader.get_text().strip(), mail
        for part in (mail.text, words(mail.page.get_text())):
            assert "Hosted telephony (ACC-1 & 2)" in part, mail
            assert "Do not restart your phones." in part, mail
            zone = "MEZ|MESZ" if mail.language == "de" else "GMT|BST"
            assert re.search(rf"\d\d:\d\d (?:{zone})", part), mail
            promise = {"en": "We write again by", "de": "Wir schreiben wieder"}[mail.language]
            assert (promise in part) is (state != "fixed"), mail


def test_the_last_mail_says_how_long_it_took(mails: Mails) -> None:
    found = [mail for mail in mails if mail.kind == "incident fixed"]
    lasted = {
        "en": {"2 hours 5 minutes", "1 day 2 hours"},
        "de": {"2 Stunden 5 Minuten", "1 Tag 2 Stunden"},
    }
    for language, wanted in lasted.items():
        texts = [mail.text for mail in found if mail.language == language]
        assert {each for each in wanted for text in texts if f": {each}." in text} == wanted


def test_the_mails_of_an_incident_are_one_conversation_for_each_reader(mails: Mails) -> None:
    threads = defaultdict(list)
    for mail in of_incidents(mails):
        threads[mail.reader, str(mail.message["Subject"])].append(mail.message)
    assert len(threads) == 4, "two incidents, two readers: the subject stays for the incident's life"
    roots = []
    for messages in threads.values():
        assert len(messages) == 4
        assert len({each["Message-ID"] for each in messages}) == 4
        (root,) = {str(each["References"]) for each in messages}
        assert {str(each["In-Reply-To"]) for each in messages} == {root}
        roots.append(root)
    assert len(set(roots)) == 4
    assert not set(roots) & {str(mail.message["Message-ID"]) for mail in mails}, "so one can join late"
    for _reader, subject in threads:
        assert re.match(r"\[(?:Northline & Partners status|Status von Northline & Partners)\] ", subject)
        assert "fixed" not in subject.lower()
        assert "behoben" not in subject.lower()


def test_the_mails_of_planned_work_are_one_conversation_and_say_when(mails: Mails) -> None:
    found = [mail for mail in mails if mail.kind.startswith("maintenance")]
    for reader in (ALICE, DOERTE):
        theirs = [mail.message for mail in found if mail.reader == reader]
        assert len({str(each["Subject"]) for each in theirs}) == len({str(each["References"]) for each in theirs}) == 1
    for mail in found:
        zone = "MEZ|MESZ" if mail.language == "de" else "GMT|BST"
        for part in (mail.text, words(mail.page.get_text())):
            assert re.search(rf"\d\d:\d\d (?:{zone}) \((?:.*\d\d:\d\d|=) UTC\)", part), mail
            assert "Hosted telephony (ACC-1 & 2)" in part, mail
        (calendar,) = mail.message.iter_attachments()
        (entry,) = Calendar.from_ical(calendar.get_content()).walk("VEVENT")
        assert str(entry["X-MAINTNOTE-OBJECT-ID"]) == "ACC-1 & 2", mail


def test_who_sends_it_why_and_how_to_leave_stands_in_the_headers(mails: Mails) -> None:
    for mail in mails:
        message = mail.message
        assert message["From"].addresses[0].addr_spec == "status@portal.test", mail
        assert message["Auto-Submitted"] == "auto-generated", mail
        assert message["X-Auto-Response-Suppress"] == "All", mail
        assert str(message["Feedback-ID"]).endswith(":portal.test"), mail
        assert message["Date"].datetime.tzinfo is not None, mail
        assert [each.addr_spec for each in message["To"].addresses] == [mail.reader], mail
        is_list = mail.kind.startswith(("incident", "maintenance", "notice", "service"))
        assert all((name in message) is is_list for name in ("List-Id", "List-Unsubscribe", "Precedence")), mail
        if is_list:
            assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click", mail
            way_out = str(message["List-Unsubscribe"]).strip("<>")
            assert way_out.startswith(f"{mail.home}/u/"), mail
            assert way_out in mail.text, f"{mail}: visible in the body too"


def test_the_page_of_the_way_out_belongs_to_the_list(mails: Mails) -> None:
    for kind, topic in (("incident", "incidents"), ("maintenance", "maintenance")):
        found = next(mail for mail in mails if mail.kind.startswith(kind))
        assert re.search(rf"<{topic}\.portal\.test>$", str(found.message["List-Id"]))


def test_a_checker_that_sees_nothing_would_be_of_no_use() -> None:
    bad = SimpleNamespace(page=BeautifulSoup("<body><p style='color:#cccccc'>faint</p></body>", "html.parser"))
    (found,) = colours(bad.page, "light")
    assert found.contrast < 2
    assert Balance("<p><b>x</p>").faults
