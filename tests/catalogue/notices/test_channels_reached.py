"""What the preview says of channels beside mail is what is written down when the notice is sent."""

from dataclasses import replace

from flask import Flask
from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.catalogue.notices import actions, queries
from portal.catalogue.notices.rules import Chosen
from portal.extensions import db
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.rules import ChannelKind, ChannelState
from portal.notifications.models import ContactChannel, Delivery
from portal.notifications.rules import DeliveryState
from tests.catalogue.notices.conftest import Firm
from tests.conftest import NOW, counted_queries

SLACK = "https://hooks.slack.com/services/T0/B0/" + "c" * 20
WORDS = {"en": {"subject": "News", "body": "Text"}}


def channel(
    kind: ChannelKind,
    label: str,
    address: str,
    topics: tuple[str, ...] = ("notices",),
    *,
    company_id: int | None = None,
    person_id: int | None = None,
) -> None:
    add_channel(kind, label, address, topics, company_id=company_id, person_id=person_id, by=SYSTEM, now=NOW)


def test_channels_are_counted_by_what_becomes_of_them(app: Flask, firm: Firm) -> None:
    a, alice, b = firm.cast.a.id, firm.cast.alice.id, firm.cast.b.id
    channel(ChannelKind.SLACK, "Room", SLACK + "aaaa", company_id=a)
    channel(ChannelKind.WEBHOOK, "Machine", "https://hooks.example.com/1", person_id=alice)
    channel(ChannelKind.WEBHOOK, "Deaf", "https://hooks.example.com/2", ("incidents",), company_id=a)
    channel(ChannelKind.WEBHOOK, "Theirs", "https://hooks.example.com/3", company_id=b)
    channel(ChannelKind.WEBHOOK, "Pager of the staff", "https://hooks.example.com/4", ())
    channel(ChannelKind.WEBHOOK, "Broken", "https://hooks.example.com/5", company_id=a)
    broken = db.session.scalars(select(ContactChannel).where(ContactChannel.label == "Broken")).one()
    broken.state, broken.reason = ChannelState.DISABLED, "410 Gone"
    with_texts = replace(app.config["SETTINGS"], sms_url="smseagle://token@sms.example.com")
    app.config["SETTINGS"], before = with_texts, app.config["SETTINGS"]
    try:
        channel(ChannelKind.SMS, "On call", "+49 160 1234567", company_id=a)
    finally:
        app.config["SETTINGS"] = before
    chosen = Chosen.of(companies=[a])
    db.session.flush()
    with counted_queries() as statements:
        found = queries.channels_of(chosen, NOW, before)
    assert len(statements) == 2
    assert (found.told, found.total) == ({ChannelKind.SLACK: 1, ChannelKind.WEBHOOK: 1}, 2)
    assert (found.unreached, found.deaf) == (2, 1)
    assert [(each.label, each.owner) for each in found.named] == [
        ("Broken", firm.cast.a.name), ("On call", firm.cast.a.name),
    ]  # fmt: skip
    assert "410 Gone" in found.named[0].why
    assert "PORTAL_SMS_URL" in found.named[1].why
    assert queries.channels_of(chosen, NOW, with_texts).told[ChannelKind.SMS] == 1
    assert queries.channels_of(Chosen(), NOW, before).total == 0
    actions.send_at_once(WORDS, chosen, by=SYSTEM, now=NOW)
    states = db.session.execute(select(Delivery.name, Delivery.state).where(Delivery.channel != "mail")).all()
    assert sorted(states) == [
        ("Broken", DeliveryState.SUPPRESSED), ("Machine", DeliveryState.PENDING),
        ("On call", DeliveryState.SUPPRESSED), ("Room", DeliveryState.PENDING),
    ]  # fmt: skip


def test_a_notice_goes_out_where_only_a_channel_hears_it(firm: Firm) -> None:
    company = accounts.add_company("Machines alone", by=SYSTEM, now=NOW)
    channel(ChannelKind.WEBHOOK, "Machine", "https://hooks.example.com/1", company_id=company.id)
    broadcast = actions.send_at_once(WORDS, Chosen.of(companies=[company.id]), by=SYSTEM, now=NOW)
    told = db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast.id)).one()
    assert (told.channel, told.company_id) == ("webhook", company.id)
