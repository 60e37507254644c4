"""Staff's own words for alerts: what cannot be sent is not saved, and what is saved is what a reader gets."""

import time

import pytest
from sqlalchemy import select

from portal import events
from portal.alerts.actions.wording import add_template, archive_template, change_template
from portal.alerts.letters import OF_TEXTS, VARIABLES, Own
from portal.alerts.models import AlertEvent, AlertTemplate
from portal.alerts.rules import Happening
from portal.alerts.specimen import preview, specimen_of
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from tests.alerts.telling import ALICE, DOERTE, World, html_of, made_world, text_of
from tests.notifications.conftest import environment, outbox  # noqa: F401 (fixtures)
from tests.notifications.outbox import Outbox
from tests.support.smtp_sink import SmtpSink

GOOD = Own(
    "{{company}}: {{alert}}, {{value}}",
    "{{what_happened}}\n\nCall the night desk.\nBalance: {{balance}}\nNormal again: {{normal_again}}",
    '<p>{{what_happened}}</p>\n<p><a href="{{alert_url}}">Look</a></p>',
    "{{alert}} {{value}}",
)


@pytest.fixture
def world(outbox: Outbox, smtp_sink: SmtpSink) -> World:  # noqa: F811
    return made_world(outbox, smtp_sink)


def add(world: World, own: Own = GOOD, name: str = "Night desk") -> AlertTemplate:
    template = add_template(name, own, by=SYSTEM, now=world.box.now())
    events.commit()
    return template


def test_own_words_are_sent_in_their_place_with_our_frame_around_them(world: World) -> None:
    made = world.alert(world.alice, world.doerte, template_id=add(world).id)
    world.tell(made)
    mails = world.arrived()
    alice, doerte = mails[ALICE], mails[DOERTE]
    assert alice["Subject"].replace("\u202f", " ") == "Alder <Dental> & Co: Low ASR, 28.40 %"
    text = text_of(alice)
    assert text.startswith(
        "ASR (answered calls): 28.40 %, and so below 30.00 %.\n\nCall the night desk.\nNormal again: when"
    ), "a line whose variable has nothing to say is left out"
    assert "No more mails from this alert:" in text
    assert "{{" not in text
    page = html_of(alice)
    assert page.select_one('.prose a[href$="/alerts/a000000001"]').text == "Look"  # type: ignore[union-attr]
    assert "28,40 %" in text_of(doerte), "amounts are written as the reader writes them"


def test_without_html_the_text_is_shown_as_it_stands(world: World) -> None:
    own = Own("{{alert}}", "One & <two>\nthree\n\n{{what_happened}}", "")
    world.tell(world.alert(world.alice, template_id=add(world, own).id))
    prose = html_of(world.arrived()[ALICE]).select(".prose p")
    assert [each.get_text(" ", strip=True).partition(" (")[0] for each in prose] == ["One & <two> three", "ASR"]


def test_an_archived_template_is_not_used_any_more(world: World) -> None:
    template = add(world)
    made = world.alert(world.alice, template_id=template.id)
    archive_template(template, version=template.version, by=SYSTEM, now=world.box.now())
    events.commit()
    world.tell(made)
    assert text_of(world.arrived()[ALICE]).startswith("ASR (answered calls)")
    with pytest.raises(RuleViolation, match="archived"):
        change_template(template, "New", GOOD, version=template.version, by=SYSTEM, now=world.box.now())


def test_what_values_hold_is_no_template(world: World) -> None:
    made = world.alert(world.alice, title="{{unsubscribe_url}} <b>x</b> {% x %} ${7*7}", template_id=add(world).id)
    world.tell(made)
    mail = world.arrived()[ALICE]
    assert "/u/" not in mail["Subject"]
    assert "<b>x</b> {% x %} ${7*7}" in mail["Subject"]
    assert html_of(mail).select_one(".prose b") is None
    assert "49" not in mail["Subject"]


def test_no_header_is_made_by_a_title(world: World) -> None:
    made = world.alert(world.alice, title="x\r\nBcc: v@e.test ä =?UTF-8?Q?=0A?=Bcc: injected@e.test\u2028\x85y")
    world.tell(made)
    received = world.sink.received
    mail = world.arrived()[ALICE]
    assert mail["Bcc"] is None
    assert [list(each.recipients) for each in received] == [[ALICE]]
    assert "Bcc: v@e.test" in mail["Subject"], "on one line, where it does nothing"


@pytest.mark.parametrize(
    ("part", "typed", "sentence"),
    [
        ("subject", "", "Write a subject"),
        ("subject", "x" * 201, "200 are allowed"),
        ("subject", "a\r\nBcc: v@e.test", "subject of a mail"),
        ("subject", "ä =?UTF-8?Q?=0A?=Bcc: x@e.test", "subject of a mail"),
        ("subject", "{{support}}", "many lines"),
        ("subject", "{{unclosed", "not closed"),
        ("text", "", "Write a text"),
        ("text", "{{ 7*7 }}", "There is no variable"),
        ("text", "{{config}}", "There is no variable “config”"),
        ("text", "{{ customer.__class__ }}", "There is no variable"),
        ("text", "{% for x in y %}", "template language"),
        ("text", "{# x #}", "template language"),
        ("text", "{{value", "not closed"),
        ("text", "{{value\n}}", "no variable|not closed"),
        ("text", "{{value}}" * 101, "100 can be filled"),
        ("text", "x" * 20_001, "20,000 are allowed"),
        ("text", "x\x00y", "control character"),
        ("html", "<script>alert(1)</script>", "cannot stand in a mail"),
        ("html", '<p style="background:url(//evil)">x</p>', "loads nothing"),
        ("html", '<a href="{{company}}">x</a>', "cannot lead to"),
        ("html", "<p>{{nobody}}</p>", "There is no variable"),
        ("sms", "{{support}}", "There is no variable"),
        ("sms", "{{value", "not closed"),
        ("sms", "x" * 301, "300 are allowed"),
        ("sms", "x\x07y", "control character"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_its_part(world: World, part: str, typed: str, sentence: str) -> None:
    with pytest.raises(RuleViolation, match=sentence) as refused:
        add(world, GOOD._replace(**{part: typed}))
    assert refused.value.field == part
    db.session.rollback()
    assert db.session.scalars(select(AlertTemplate)).all() == []


def test_a_huge_one_is_refused_at_once(world: World) -> None:
    began = time.monotonic()
    for text in ("x" * 1_000_000, "{{value}}" * 50_000, "{{" * 200_000):
        with pytest.raises(RuleViolation):
            add(world, GOOD._replace(text=text))
    assert time.monotonic() - began < 30  # ten times what is wanted


def test_every_variable_that_is_listed_is_filled(world: World) -> None:
    every = "\n".join(f"{name}=[{{{{{name}}}}}]" for name in VARIABLES)
    own = Own("All", every, "", " ".join(f"{{{{{name}}}}}" for name in sorted(OF_TEXTS)))
    world.tell(world.alert(world.alice, template_id=add(world, own).id))
    text = text_of(world.arrived()[ALICE])
    assert "{{" not in text
    said = preview(own, specimen_of(None, world.box.now()))
    assert "{{" not in said.subject + said.text + said.html + said.sms


def test_a_template_is_versioned_named_once_and_its_changes_are_on_record(world: World) -> None:
    template = add(world)
    with pytest.raises(RuleViolation, match="There is a template called NIGHT desk already"):
        add(world, name="NIGHT desk")
    db.session.rollback()
    template = db.session.get_one(AlertTemplate, template.id)
    template.trouble = "Something was wrong"
    events.commit()
    version = template.version
    changed = change_template(
        template, "Day desk", GOOD._replace(subject="{{alert}}"), version=version, by=SYSTEM, now=world.box.now()
    )
    events.commit()
    assert (changed.name, changed.trouble, changed.version) == ("Day desk", "", version + 1)
    with pytest.raises(StaleEdit):
        change_template(changed, "Day desk", GOOD, version=version, by=SYSTEM, now=world.box.now())
    with pytest.raises(StaleEdit):
        archive_template(changed, version=version, by=SYSTEM, now=world.box.now())
    archive_template(changed, version=changed.version, by=SYSTEM, now=world.box.now())
    events.commit()
    assert add(world, name="day desk").id != changed.id, "the name of an archived one is free"
    actions = db.session.scalars(select(AuditEntry.action).where(AuditEntry.object_kind == "alert_template"))
    assert list(actions) == [
        "alert_template.add",
        "alert_template.edit",
        "alert_template.archive",
        "alert_template.add",
    ]


def test_a_preview_is_what_the_reader_got(world: World) -> None:
    own_id = add(world).id
    made = world.alert(world.doerte, template_id=own_id)
    reading, now = world.reading(), world.box.now()
    made[1].triggered_at = now
    world.tell(made, reading=reading)
    db.session.add(
        AlertEvent(
            watch_id=made[1].id, at=reading.at, kind=Happening.TRIGGERED, value=reading.value, count=reading.count
        )
    )
    events.commit()
    arrived = world.arrived()[DOERTE]
    seen = preview(GOOD, specimen_of(own_id, world.box.now()))
    assert seen.reader == "Dörte Weiß <doerte@customers.test>"
    assert seen.language == "de"
    assert seen.subject == arrived["Subject"]
    first = seen.text.replace("\u202f", " ").partition("\n\n")[0]
    assert first == text_of(arrived).partition("\n\n")[0]
    assert "/u/…" in seen.text, "their own way off the list is theirs alone"
    assert (seen.sms_length, seen.sms_parts) == (len(seen.sms), 1)


def test_a_preview_is_made_up_where_nothing_was_ever_told(world: World) -> None:
    found = specimen_of(None, world.box.now())
    assert found.is_made_up
    seen = preview(None, found)
    assert "Too few calls are answered" in seen.subject
    assert seen.sms_parts == 1
