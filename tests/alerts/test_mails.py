"""What alerts say at a real SMTP server, as a parser reads it: to whom, in which words, and who hears nothing."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Membership
from portal.accounts.rules import Role
from portal.alerts import telling
from portal.alerts.models import Alert, AlertTemplate, AlertWatch
from portal.alerts.recipients import unreachable
from portal.alerts.rules import AlertArea, Happening, Operator
from portal.audit.rules import SYSTEM, Actor
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.kinds import for_people, listed
from portal.notifications.models import Broadcast, Suppression
from portal.notifications.rules import DeliveryState, SuppressionReason
from portal.usage.actions import Wanted, add_metric, take_samples
from portal.usage.rules import Measure, Sample
from tests.alerts.telling import ALICE, DOERTE, HOME, NOC, World, html_of, made_world, text_of
from tests.notifications.conftest import environment, outbox  # noqa: F401 (fixtures)
from tests.notifications.outbox import Outbox
from tests.support.smtp_sink import SmtpSink


@pytest.fixture
def world(outbox: Outbox, smtp_sink: SmtpSink) -> World:  # noqa: F811
    return made_world(outbox, smtp_sink)


def tried(world: World, made: tuple[Alert, AlertWatch], *, value: str = "28.4", **more: Any) -> Broadcast:
    told = telling.send_test(
        made[0],
        made[1].company_id,
        world.reading(value),
        **{"to_all": False, "by": Actor("Somebody"), "now": world.box.now(), **more},
    )
    events.commit()
    return told


def test_a_triggered_alert_says_all_there_is_to_know_to_each_in_their_language(world: World) -> None:
    made = world.alert(world.alice, world.doerte, NOC, trunk="North", must_be_well=600)
    world.tell(made)
    mails = world.arrived()
    assert set(mails) == {ALICE, DOERTE, NOC}
    alice, doerte, noc = (text_of(mails[each]) for each in (ALICE, DOERTE, NOC))
    assert mails[ALICE]["Subject"].replace("\u202f", " ") == "Alert: Low ASR (28.40 %)"
    assert "alert.a000000001.portal.test" in mails[ALICE]["List-Id"]
    lines = alice.split("\n")
    assert lines[0] == "ASR (answered calls), North: 28.40 %, and so below 30.00 %."
    assert lines[2:6] == [
        "Alert: Low ASR",
        "Company: Alder <Dental> & Co",
        "How much it matters: Warning",
        "What is watched: ASR (answered calls), North",
    ]
    assert "Value: 28.40 %" in lines
    assert "Its line: below 30.00 %" in lines
    assert "Calls behind the figure: 134 calls in 30 minutes" in lines
    assert "Normal again: when it is 40.00 % or more, and stays so for 10 minutes" in lines
    assert re.search(r"\nBeyond its line since: .* GMT\n", alice)
    assert "Balance" not in alice
    assert "It lasted" not in alice
    assert "{{" not in alice
    assert f"See this alert: {HOME}/alerts/a000000001\n" in alice
    assert lines[-3].startswith("-- ") or "-- " in lines
    assert "because the alert “Low ASR” of Alder <Dental> & Co names it." in alice
    assert doerte.startswith("ASR (angenommene Anrufe), North: 28,40 %, also unter 30,00 %.")
    assert mails[DOERTE]["Subject"].startswith("Alarm: Low ASR")
    assert "Wieder normal: bei 40,00 % oder mehr, und das 10 Minuten lang" in doerte
    assert re.search(r"\nGemessen: .* ME?S?Z\n", doerte)
    assert "Anrufe hinter dem Wert: 134 Anrufe in 30 Minuten" in doerte
    assert re.search(r"\nMeasured: .* CES?T\n", noc), "somebody nobody knows reads the clock of the company's portal"
    page = html_of(mails[ALICE])
    rows = {row.th.text: row.td.text.replace("\u202f", " ") for row in page.select(".prose tr")}  # type: ignore[union-attr]
    assert rows["Value"] == "28.40 %"
    assert rows["Company"] == "Alder <Dental> & Co"
    assert "It lasted" not in rows
    assert page.select_one("dental") is None
    assert page.select_one(f'a[href="{HOME}/alerts/a000000001"]')
    report = page.select_one('a[href*="/messages/alert/"]')
    assert report is not None
    assert "with these facts filled in" in report.text


def test_all_of_one_alarm_is_one_conversation_and_its_end_says_how_long_it_was(world: World) -> None:
    made = world.alert(world.alice)
    world.tell(made)
    first = world.arrived()[ALICE]
    began = made[1].triggered_at
    world.box.ahead = timedelta(hours=2)
    world.tell(made, Happening.REPEATED)
    again = world.arrived()[ALICE]
    made[1].triggered_at = None
    world.tell(made, Happening.NORMAL, world.reading("52.5"), since=began)
    over = world.arrived()[ALICE]
    assert first["References"] == again["References"] == over["References"] is not None
    assert text_of(again).startswith("ASR (answered calls): still below 30.00 %, now 28.40 %.")
    assert over["Subject"].replace("\u202f", " ") == "Normal again: Low ASR (52.50 %)"
    assert "It lasted: 2 hours 10 minutes" in text_of(over)
    assert text_of(over).startswith("ASR (answered calls): normal again, now 52.50 %.")


def test_an_unstable_one_says_that_it_waits_and_no_data_says_what_was_last_known(world: World) -> None:
    made = world.alert(world.alice)
    world.tell(made, Happening.UNSTABLE)
    assert "crosses its line again and again, now 28.40 %" in text_of(world.arrived()[ALICE])
    world.tell(made, Happening.REPEATED, world.reading(None, 0))
    text = text_of(world.arrived()[ALICE])
    assert text.startswith("ASR (answered calls): the last figure was below 30.00 %, and none has come since.")
    assert "Value: no figure" in text


def test_what_has_no_words_for_customers_tells_nobody(world: World) -> None:
    made = world.alert(world.alice)
    for says in (Happening.MUTED, Happening.CLEARED, Happening.DATA_AGAIN):
        assert world.tell(made, says) is None
    assert world.tell(world.alert(title="Nobody is named")) is None
    assert world.broadcasts() == []


def test_the_same_happening_twice_is_told_once(world: World) -> None:
    made, now = world.alert(world.alice), world.box.now()
    first = telling.tell(*made, Happening.TRIGGERED, world.reading(), now=now)
    second = telling.tell(*made, Happening.TRIGGERED, world.reading(), now=now)
    events.commit()
    assert first is second is not None
    assert len(world.broadcasts()) == 1


# Who hears of it


def test_somebody_named_twice_and_a_contact_too_gets_one_mail(world: World) -> None:
    db.session.scalars(select(Membership)).first().is_contact = True  # type: ignore[union-attr]
    world.tell(world.alert(world.alice, ALICE.upper(), tells_contacts=True))
    assert list(world.arrived()) == [ALICE]


def test_a_tag_tells_each_company_of_itself_alone(world: World) -> None:
    other = accounts.add_company("Birch Logistics", by=SYSTEM, now=world.box.now())
    domains.admit(other, world.domain, is_home=True, by=SYSTEM, now=world.box.now())
    charlie = accounts.add_person("Charlie", "charlie@customers.test", by=SYSTEM, now=world.box.now())
    accounts.add_membership(charlie, other, by=SYSTEM, now=world.box.now())
    for each in db.session.scalars(select(Membership)):
        each.is_contact = True
    made = world.alert(world.alice, tag="resellers", tells_contacts=True, company=other)
    world.tell(made)
    mails = world.arrived()
    assert set(mails) == {"charlie@customers.test"}, "Alice is of another company, and the alert names her as a person"
    text = text_of(mails["charlie@customers.test"])
    assert "Birch Logistics" in text
    assert "resellers" not in mails["charlie@customers.test"].as_string()


def test_staff_read_whose_alert_it_is_from_their_own_screen_whatever_is_open(world: World) -> None:
    made = world.alert(world.ada, world.alice)
    domains.set_override(world.domain, world.company, Area.ALERTS, False, by=SYSTEM, now=world.box.now())
    events.commit()
    world.tell(made)
    mails = world.arrived()
    assert set(mails) == {"ada@portal.test"}
    text = text_of(mails["ada@portal.test"])
    assert "Company: Alder <Dental> & Co" in text
    assert "http://admin.portal.test/admin/alerts/a000000001" in text
    assert "/messages/alert/" not in text


def test_a_closed_area_stops_what_waits_and_what_comes(world: World) -> None:
    made = world.alert(world.alice, NOC)
    world.tell(made)
    domains.set_override(world.domain, world.company, Area.ALERTS, False, by=SYSTEM, now=world.box.now())
    events.commit()
    assert world.arrived() == {}
    assert world.box.states() == {"cancelled": 2}
    assert world.tell(made, Happening.REPEATED) is None
    reasons = unreachable(made[0], world.named(made), world.box.now())
    assert set(reasons.values()) == {"The area Alerts is closed for this company, so nothing is sent to it."}


def test_without_messages_there_is_no_report_to_write(world: World) -> None:
    domains.set_override(world.domain, world.company, Area.MESSAGES, False, by=SYSTEM, now=world.box.now())
    world.tell(world.alert(world.alice))
    assert "Report a problem" not in world.arrived()[ALICE].as_string()


def test_one_click_leaves_this_alert_alone_and_its_owner_sees_it(world: World) -> None:
    low, other = world.alert(world.alice, NOC), world.alert(world.alice, NOC, title="Another")
    world.tell(low)
    link = urlsplit(world.arrived()[NOC]["List-Unsubscribe"].strip("<>"))
    browser = world.box.app.test_client()
    page = browser.get(link.path, base_url=HOME)
    assert "Alert “Low ASR”" in page.text
    answer = browser.post(link.path, base_url=HOME, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    world.tell(low, Happening.REPEATED)
    world.tell(other)
    mails = world.arrived()
    assert set(mails) == {ALICE, NOC}
    assert mails[NOC]["Subject"].startswith("Alert: Another")
    recipients = world.named(low)
    left = unreachable(low[0], recipients, world.box.now())
    assert [(each.address, left.get(each.id)) for each in recipients] == [
        (ALICE, None),
        (NOC, "Whoever reads this address has left this alert."),
    ]
    suppressed = db.session.scalars(select(Suppression)).one()
    assert (suppressed.scope, suppressed.reason) == ("alert:a000000001", SuppressionReason.UNSUBSCRIBED)


def test_no_topic_mutes_an_alert_and_none_is_offered_for_it(world: World) -> None:
    assert "alert" not in {each.topic for each in [*listed(), *for_people()]}
    actions.choose_for_person(
        world.alice, {"incidents": False, "service_status": False}, by=SYSTEM, now=world.box.now()
    )
    world.tell(world.alert(world.alice))
    assert set(world.arrived()) == {ALICE}


def test_a_bounced_address_hears_nothing_and_is_shown_so(world: World) -> None:
    actions.suppress(NOC, "all", SuppressionReason.HARD_BOUNCE, now=world.box.now())
    made = world.alert(world.alice, NOC)
    world.tell(made)
    assert set(world.arrived()) == {ALICE}
    assert world.box.delivery(NOC).state is DeliveryState.SUPPRESSED
    assert list(unreachable(made[0], world.named(made), world.box.now()).values()) == [
        "The mail server says that there is no such address."
    ]


def test_who_is_not_of_the_company_any_more_hears_nothing(world: World) -> None:
    made = world.alert(world.alice, world.doerte)
    membership = db.session.scalars(select(Membership).where(Membership.person_id == world.alice.id)).one()
    db.session.delete(membership)
    world.doerte.deactivated_at = world.box.now()
    events.commit()
    assert world.tell(made) is None
    assert sorted(unreachable(made[0], world.named(made), world.box.now()).values()) == [
        "This person is deactivated.",
        "This person is not of the company any more.",
    ]


# Money, and reports by the clock


def test_money_is_told_with_balance_and_available_credit(world: World) -> None:
    now = world.box.now()
    wanted = Wanted(
        "balance",
        "Internal ledger 7",
        unit="EUR",
        decimals=2,
        company_id=world.company.id,
        measure=Measure.BALANCE,
        debit_limit=Decimal(50),
        interval=300,
    )
    metric = add_metric(wanted, by=SYSTEM, now=now - timedelta(days=1))
    take_samples([(metric.id, Sample(now - timedelta(minutes=1), Decimal("-12.5")))], now)
    events.commit()
    made = world.alert(
        world.alice,
        title="Running low",
        area=AlertArea.CREDIT,
        operator=Operator.AT_MOST,
        threshold=Decimal(40),
        reset=None,
        window=0,
    )
    world.tell(made, reading=world.reading("37.5", None))
    mail = world.arrived()[ALICE]
    text = text_of(mail)
    assert text.startswith("Available credit: 37.50 EUR, and so 40.00 EUR or less.")
    assert "\nBalance: -12.50 EUR\nAvailable credit: 37.50 EUR\n" in text
    assert "Normal again: when it is above 40.00 EUR" in text
    assert "Calls behind" not in text
    assert "Internal ledger" not in mail.as_string(), "what staff call a metric is no word of customers"


def test_a_report_says_the_figure_and_neither_line_nor_normal(world: World) -> None:
    made = world.alert(
        world.alice,
        title="Every day",
        operator=Operator.ALWAYS,
        threshold=None,
        reset=None,
    )
    made[1].triggered_at = None
    world.tell(made, Happening.REPORTED)
    mail = world.arrived()[ALICE]
    assert mail["Subject"].replace("\u202f", " ") == "Report: Every day (28.40 %)"
    text = text_of(mail)
    assert text.startswith("ASR (answered calls): 28.40 %.\n")
    for absent in ("line", "Normal again", "since"):
        assert absent not in text.partition("See this alert")[0]


def test_a_script_that_says_yes_or_no_has_no_amounts(world: World) -> None:
    made = world.alert(
        world.alice,
        title="Night fraud",
        area=AlertArea.SCRIPT,
        script='cps("10m") > 5 && balance() < 3.0',
        operator=Operator.MORE,
        threshold=Decimal(0),
        reset=None,
        window=0,
    )
    world.tell(made, reading=world.reading("1", None))
    mail = world.arrived()[ALICE]
    assert text_of(mail).startswith("What this alert looks for is the case.")
    assert mail["Subject"] == "Alert: Night fraud (the case)"
    assert "cps(" not in mail.as_string()


# The staff


def test_staff_are_told_in_one_notice_what_does_not_come_in(world: World) -> None:
    accounts.add_person("Root", "root@portal.test", role=Role.ADMIN, by=SYSTEM, now=world.box.now())
    watches = [world.alert(world.alice, title=f"Alert {number:02}")[1] for number in range(22)]
    telling.tell_no_data(watches, world.box.now())
    events.commit()
    mails = world.arrived()
    assert set(mails) == {"root@portal.test"}, "customers are not told"
    text = text_of(mails["root@portal.test"])
    assert text.startswith("22 alerts have no data")
    assert "- Alder <Dental> & Co: Alert 00\n" in text
    assert "and 2 more" in text
    assert "/admin/alerts?state=no_data" in text


def test_a_template_that_cannot_be_sent_falls_back_and_staff_hear_of_it_once(world: World) -> None:
    accounts.add_person("Root", "root@portal.test", role=Role.ADMIN, by=SYSTEM, now=world.box.now())
    broken = AlertTemplate(
        name="Ours",
        name_key="ours",
        subject="{{customer.password_hash}}",
        text="{{ 7*7 }}",
        html="",
        created_at=world.box.now(),
    )
    db.session.add(broken)
    db.session.flush()
    made = world.alert(world.alice, template_id=broken.id)
    for says in (Happening.TRIGGERED, Happening.REPEATED):
        world.tell(made, says)
    mails = world.arrived()
    assert set(mails) == {ALICE, "root@portal.test"}
    assert len([each for each in world.sink.received if "root@portal.test" in each.recipients]) == 1
    assert "ASR (answered calls)" in text_of(mails[ALICE])
    assert "49" not in text_of(mails[ALICE]).partition("See this alert")[0].replace("04:49", "").replace("05:49", "")
    assert "The alert template Ours cannot be used" in mails["root@portal.test"]["Subject"]
    db.session.expire_all()
    assert db.session.get_one(AlertTemplate, broken.id).trouble.startswith("There is no variable")
    assert db.session.get_one(AlertTemplate, broken.id).version == 1, "nobody's open form is stale for it"


# Tests


def test_a_test_goes_to_whoever_tests_alone_and_leaves_state_and_clock(world: World) -> None:
    made = world.alert(world.alice, world.doerte, NOC)
    before = {
        name: getattr(made[1], name) for name in ("state", "told", "told_at", "last_sent_at", "broadcast_id", "due_at")
    }
    tried(world, made, person_id=world.alice.id)
    mails = world.arrived()
    assert set(mails) == {ALICE}
    assert mails[ALICE]["Subject"].replace("\u202f", " ") == "[TEST] Alert: Low ASR (28.40 %)"
    assert text_of(mails[ALICE]).startswith("This is a test: nothing has happened")
    assert html_of(mails[ALICE]).find(string=re.compile("This is a test"))
    db.session.expire_all()
    assert {name: getattr(made[1], name) for name in before} == before


def test_a_test_to_all_reaches_all_and_says_what_is_true_now(world: World) -> None:
    made = world.alert(world.alice, world.doerte, NOC)
    tried(world, made, person_id=world.ada.id, to_all=True, value="77")
    mails = world.arrived()
    assert set(mails) == {ALICE, DOERTE, NOC}
    assert mails[ALICE]["Subject"].startswith("[TEST] Normal again: Low ASR")
    assert mails[DOERTE]["Subject"].startswith("[TEST] Wieder normal: Low ASR")


def test_tests_are_limited_and_a_machine_must_test_with_all(world: World) -> None:
    made = world.alert(world.alice)
    with pytest.raises(RuleViolation, match="a machine can only test with all"):
        tried(world, made, person_id=None)
    for _number in range(telling.TESTS_AN_HOUR):
        tried(world, made, person_id=None, to_all=True)
    with pytest.raises(RuleViolation, match="tested 10 times within the hour"):
        tried(world, made, person_id=world.alice.id)
    world.box.ahead = timedelta(minutes=61)
    assert tried(world, made, person_id=world.alice.id) is not None
    with pytest.raises(RuleViolation, match="Nobody would get this test"):
        tried(world, world.alert(title="Nobody"), person_id=None, to_all=True)
