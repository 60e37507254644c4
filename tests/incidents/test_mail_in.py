"""Reports by mail: what is read, who may publish, and that the same mail does nothing twice."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component
from portal.config import Settings
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.actions import publish
from portal.incidents.actions.mail_in import DOOR, take_mail
from portal.incidents.actions.monitors import add_monitor
from portal.incidents.models import Incident, IncidentDraft, IncidentUpdate, Monitor
from portal.incidents.rules import Severity, State, Visibility
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.incidents.rules.mail_in import read_letter
from portal.incidents.rules.monitors import NotUnderstoodError, Shape
from portal.notifications.bounces import actions as bounces
from portal.notifications.bounces.doors import address_of
from portal.notifications.bounces.rules import CameBy, Outcome
from tests.conftest import NOW, Cast, client_on

BOUNCES = "bounces@mail.portal.test"


def mail(
    text: str,
    *,
    subject: str = "Calls fail",
    sender: str = "ada@people.test",
    message_id: str = "<1@people.test>",
    to: str = "noc@example.com",
    more: str = "",
) -> bytes:
    return (
        f"From: Somebody <{sender}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n{more}"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


def test_commands_stand_first_and_what_is_quoted_is_left_out() -> None:
    said = (
        "State: Identified\nComponent: SIP  edge London = Major Outage\ncomponent: Voicemail\n\n"
        "A card failed.\nState: of the art\n\nOn Saturday Ada wrote:\n> Calls fail"
    )
    letter = read_letter(mail(said, subject="Re: AW: [#12] Calls fail"))
    assert (letter.report, letter.subject, letter.state) == (12, "Calls fail", State.IDENTIFIED)
    assert letter.named == {"sip edge london": Severity.MAJOR_OUTAGE, "voicemail": None}
    assert letter.text == "A card failed.\nState: of the art"
    assert letter.sender == "ada@people.test"


@pytest.mark.parametrize("header", ["From", "Message-ID", "Content-Disposition", "Content-Transfer-Encoding"])
def test_brackets_that_never_close_are_refused_in_words(header: str) -> None:
    with pytest.raises(NotUnderstoodError, match="cannot be read"):
        read_letter(f"{header}: {'(' * 1900}\nSubject: Calls fail\n\nA card failed.".encode())


def test_a_command_that_is_mostly_blanks_costs_no_time() -> None:
    blanks = (" " * 70 + "=\n") * 3000
    raw = f"Subject: Calls fail\nContent-Transfer-Encoding: quoted-printable\n\nComponent: a{blanks}b\nText".encode()
    began = perf_counter()
    letter = read_letter(raw)
    assert perf_counter() - began < 2
    assert (dict(letter.named), letter.text) == ({"a b": None}, "Text")


@pytest.mark.parametrize("line", ["State: Broken", "Component: SIP = Terrible"])
def test_a_command_that_is_none_is_said(line: str) -> None:
    with pytest.raises(NotUnderstoodError, match=r"“(Broken|Terrible)” is no"):
        read_letter(mail(line))


def test_html_alone_is_read_as_text() -> None:
    raw = mail("<p>Calls <b>fail</b>.</p><script>x</script>").replace(b"text/plain", b"text/html")
    assert read_letter(raw).text == "Calls fail."


@given(st.binary(max_size=2000))
def test_whatever_comes_is_read_or_refused(raw: bytes) -> None:
    try:
        letter = read_letter(raw)
    except NotUnderstoodError:
        return
    assert len(letter.subject) <= 200
    assert letter.text.isprintable() or set(letter.text) - {"\n", "\t"}


@pytest.fixture
def sip(cast: Cast) -> Component:
    return catalogue.add_component("SIP edge London", by=SYSTEM, now=NOW)


Door = Callable[..., Monitor]


@pytest.fixture
def door(sip: Component) -> Door:
    def of(*, publishes: bool = False) -> Monitor:
        monitor, _key = add_monitor(
            "Mail", Shape.MAIL, Severity.PARTIAL_RTH, [], publishes=publishes, by=SYSTEM, now=NOW
        )
        db.session.commit()
        return monitor

    return of


def updates(incident: Incident) -> list[IncidentUpdate]:
    return list(
        db.session.scalars(
            select(IncidentUpdate).where(IncidentUpdate.incident_id == incident.id).order_by(IncidentUpdate.id)
        )
    )


@pytest.fixture
def incident(sip: Component) -> Incident:
    return publish(
        "Calls fail", State.INVESTIGATING, "We look.", {sip.id: Severity.PARTIAL_RTH},
        by=SYSTEM, author_id=None, now=NOW, idempotency_key="calls",
    )  # fmt: skip


def test_a_mail_opens_a_draft_once_and_another_of_the_subject_is_counted(door: Door, sip: Component) -> None:
    monitor = door()
    raw = mail("State: Identified\nSomething burns.", subject="SIP edge London: no calls", sender="ups@machine.test")
    assert take_mail(monitor, raw, now=NOW) == "A draft."
    assert take_mail(monitor, raw, now=NOW) == "A draft."
    again = mail("Still.", subject="Re: SIP edge London: no calls", message_id="<2@machine.test>")
    assert take_mail(monitor, again, now=NOW) == "Counted in a draft that was open."
    (draft,) = db.session.scalars(select(IncidentDraft))
    content = DraftContent.from_json(draft.content)
    assert (draft.origin, draft.signals, content.state) == (Origin.MAIL, 2, State.IDENTIFIED)
    assert content.severities == {sip.id: Severity.PARTIAL_RTH}
    assert db.session.scalars(select(Incident)).all() == []


def test_only_staff_who_may_publish_do_and_only_where_it_is_set(door: Door, cast: Cast, sip: Component) -> None:
    said = "Component: SIP edge London = Major Outage\n\nCalls fail. We are on it."
    monitor = door(publishes=True)
    assert take_mail(monitor, mail(said, sender="olaf@people.test", message_id="<a@x>"), now=NOW) == "A draft."
    assert take_mail(monitor, mail(said, subject="New", sender="alice@people.test"), now=NOW) == "A draft."
    made = take_mail(monitor, mail(said, subject="Third", message_id="<b@x>"), now=NOW)
    (incident,) = db.session.scalars(select(Incident))
    assert made == f"Report #{incident.id}."
    assert (incident.title, incident.created_by_id) == ("Third", cast.ada.id)
    assert take_mail(monitor, mail(said, subject="Third", message_id="<b@x>"), now=NOW) == made
    assert len(db.session.scalars(select(Incident)).all()) == 1


def test_what_others_write_to_a_report_stays_with_staff(door: Door, incident: Incident) -> None:
    raw = mail("State: Fixed\nIt works again.", subject=f"Re: [#{incident.id}] Calls fail", sender="carrier@far.test")
    for _number in range(2):
        assert take_mail(door_of(door), raw, now=NOW) == f"A private update of report #{incident.id}."
    (_first, update) = updates(incident)
    assert (update.visibility, update.state, update.notify) == (Visibility.PRIVATE, None, False)
    assert "By mail from carrier@far.test" in update.body
    assert "State: fixed" in update.body
    db.session.refresh(incident)
    assert incident.state is State.INVESTIGATING


def door_of(door: Door) -> Monitor:
    return db.session.scalars(select(Monitor)).first() or door()


def test_staff_move_a_report_by_mail(door: Door, incident: Incident, sip: Component, cast: Cast) -> None:
    said = "State: Identified\nComponent: SIP edge London = Major Outage\nA card failed."
    made = take_mail(door(publishes=True), mail(said, subject=f"[#{incident.id}] found"), now=NOW)
    assert made == f"An update of report #{incident.id}."
    update = updates(incident)[-1]
    assert (update.visibility, update.author_id, update.body) == (Visibility.PUBLIC, cast.ada.id, "A card failed.")
    db.session.refresh(incident)
    assert incident.state is State.IDENTIFIED


@pytest.mark.parametrize(
    ("said", "subject"), [("Component: Nothing of ours\nText", "Calls fail"), ("Text", "[#99999999] gone")]
)
def test_what_cannot_be_done_is_refused(door: Door, said: str, subject: str) -> None:
    with pytest.raises(RuleViolation, match="There is no"):
        take_mail(door(publishes=True), mail(said, subject=subject), now=NOW)


@pytest.mark.parametrize("more", ["Auto-Submitted: auto-replied\r\n", "Return-Path: <>\r\n"])
def test_an_answer_without_a_reader_does_nothing(door: Door, more: str) -> None:
    monitor = door()
    assert "nothing was done" in take_mail(monitor, mail("I am away.", more=more), now=NOW)
    assert "nothing was done" in take_mail(monitor, mail("Ours.", message_id="<x@portal.test>"), now=NOW)
    assert db.session.scalars(select(IncidentDraft)).all() == []


def test_the_mailbox_hands_on_what_is_for_a_door(
    app: Flask, sip: Component, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(settings, bounce_address=BOUNCES))
    monitor, key = add_monitor("Mail", Shape.MAIL, Severity.PARTIAL_RTH, [], by=SYSTEM, now=NOW)
    address = address_of(DOOR, key, BOUNCES)
    assert bounces.take(mail("It burns.", to=address.upper()), CameBy.MAILBOX, now=NOW) is Outcome.HANDED_ON
    assert [each.title for each in db.session.scalars(select(IncidentDraft))] == ["Calls fail"]
    wrong = mail("State: Broken", to=address, message_id="<2@x>")
    assert bounces.take(wrong, CameBy.MAILBOX, now=NOW) is Outcome.HANDED_ON
    db.session.refresh(monitor)
    assert "is no state" in monitor.last_trouble
    nobody = mail("It burns.", to=address_of(DOOR, "0" * 40, BOUNCES), message_id="<3@x>")
    assert bounces.take(nobody, CameBy.MAILBOX, now=NOW) is not Outcome.HANDED_ON


def test_a_mail_server_hands_mails_over(app: Flask, sip: Component) -> None:
    _monitor, key = add_monitor("Mail", Shape.MAIL, Severity.PARTIAL_RTH, [], by=SYSTEM, now=NOW)
    db.session.commit()
    client = client_on(app, "admin.portal.test")
    taken = client.post(f"/inbound/monitors/{key}", data=mail("It burns."), content_type="message/rfc822")
    assert (taken.status_code, taken.json) == (202, {"outcome": "A draft."})
    refused = client.post(f"/inbound/monitors/{key}", data=mail("State: Broken"), content_type="message/rfc822")
    assert refused.status_code == 422
    assert client.post(f"/inbound/monitors/{key}", json={}).status_code == 422
