"""Telephones: numbers as they are stored, texts at a real receiver through the gateway, and what one message holds."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.alerts import telling
from portal.alerts.actions.wording import add_template
from portal.alerts.facts import Facts
from portal.alerts.letters import Own, text_of
from portal.alerts.models import Alert
from portal.alerts.recipients import contacts_of, named_in, phone, unreachable
from portal.alerts.rules import AlertArea, Operator, RecipientKind, gsm
from portal.alerts.words import Thing
from portal.audit.rules import SYSTEM, Actor
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.channels import dialled
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.queries import channels_page, counts
from portal.notifications.channels.records import forget_numbers
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.models import ContactChannel, Delivery
from portal.notifications.rules import DeliveryState
from tests.alerts.telling import ALICE, HOME, PHONE, World, made_world
from tests.conftest import NOW
from tests.notifications.channels.conftest import environment, lane, receiver  # noqa: F401 (fixtures)
from tests.notifications.channels.lane import Lane
from tests.support.receiver import Reply
from tests.support.smtp_sink import SmtpSink

SENT = Reply(body=b'{"result": [{"message_id": 1, "status": "ok"}]}')


@pytest.fixture
def world(lane: Lane, smtp_sink: SmtpSink) -> World:  # noqa: F811
    lane.receiver.default = SENT
    return made_world(lane.outbox, smtp_sink)


def sent(lane: Lane) -> int:  # noqa: F811
    """Send what is due by now: the clock of the lane stands still."""
    lane.began = clock.utcnow()
    return lane.send()


def texts(lane: Lane) -> list[tuple[str, str]]:  # noqa: F811
    """What the gateway was asked to send: the number, and the text."""
    found = []
    for request in lane.receiver.requests:
        params = json.loads(request.body)["params"]
        found.append((params["to"], params["message"]))
    return found


class TestAtTheGateway:
    def test_a_text_arrives_whole_within_one_message(self, lane: Lane, world: World) -> None:  # noqa: F811
        world.tell(world.alert(PHONE, world.alice, trunk="North"))
        assert sent(lane) == 1
        [(number, text)] = texts(lane)
        assert number == PHONE
        assert text == f"Alert: Low ASR. ASR 28.40 %, below 30.00 % {HOME}/alerts/a000000001"
        assert gsm.parts(text) == 1
        delivery = db.session.scalars(select(Delivery).where(Delivery.channel == "sms")).one()
        assert delivery.state is DeliveryState.SENT
        assert PHONE not in delivery.address
        assert delivery.company_id == world.company.id
        assert set(world.arrived()) == {ALICE}

    def test_two_alerts_and_two_companies_share_the_row_of_a_number(self, lane: Lane, world: World) -> None:  # noqa: F811
        world.tell(world.alert(PHONE))
        world.tell(world.alert(PHONE, title="Another"))
        assert sent(lane) == 2
        assert len(db.session.scalars(select(ContactChannel)).all()) == 1
        assert counts().total == 0, "it is nobody's channel"
        assert channels_page(1, world.box.settings).total == 0

    def test_a_closed_area_stops_a_text_that_waits(self, lane: Lane, world: World) -> None:  # noqa: F811
        world.tell(world.alert(PHONE))
        domains.set_override(world.domain, world.company, Area.ALERTS, False, by=SYSTEM, now=world.box.now())
        events.commit()
        assert sent(lane) == 0
        assert lane.receiver.requests == []
        assert world.box.states() == {"cancelled": 1}

    def test_a_test_to_oneself_calls_no_telephone(self, lane: Lane, world: World) -> None:  # noqa: F811
        alert, _watch = world.alert(PHONE)
        every: dict[str, Any] = {"by": Actor("Alice"), "now": world.box.now(), "person_id": world.alice.id}
        telling.send_test(alert, world.company.id, world.reading(), to_all=False, **every)
        events.commit()
        assert sent(lane) == 0
        telling.send_test(alert, world.company.id, world.reading(), to_all=True, **{**every, "now": world.box.now()})
        events.commit()
        assert sent(lane) == 1
        assert texts(lane)[0][1].startswith("[TEST] Alert: Low ASR")
        assert gsm.parts(texts(lane)[0][1]) == 1

    def test_staffs_own_words_are_texted_with_their_values(self, lane: Lane, world: World) -> None:  # noqa: F811
        own = Own(
            "{{alert}}", "{{what_happened}}", "", "{{company}}: {{metric}} {{value}} since {{since}}. {{alert_url}}"
        )
        template = add_template("Short", own, by=SYSTEM, now=world.box.now())
        world.tell(world.alert(PHONE, template_id=template.id))
        assert sent(lane) == 1
        text = texts(lane)[0][1]
        assert text.startswith("Alder <Dental> & Co: ASR (answered calls) 28.40 % since ")
        assert text.endswith(f". {HOME}/alerts/a000000001")
        assert "CE" in text, "in the time of the portal, with the zone named"

    def test_a_number_that_is_given_up_is_shown_and_forgotten_after_a_month(self, lane: Lane, world: World) -> None:  # noqa: F811
        lane.receiver.default = Reply(410, b"no such subscriber")
        made = world.alert(PHONE)
        world.tell(made)
        sent(lane)
        named = world.named(made)
        assert unreachable(made[0], named, world.box.now()) == {
            named[0].id: "The gateway gave this number up. It is tried again after a month."
        }
        lane.later(timedelta(days=31))
        assert dialled.tidy(lane.now()) == 1
        events.commit()
        assert unreachable(made[0], named, lane.now()) == {}

    def test_one_that_still_waits_is_not_forgotten(self, lane: Lane, world: World) -> None:  # noqa: F811
        world.tell(world.alert(PHONE))
        assert dialled.tidy(lane.now() + timedelta(days=60)) == 0

    def test_a_number_is_forgotten_with_its_mask(self, lane: Lane, world: World) -> None:  # noqa: F811
        world.tell(world.alert(PHONE))
        assert forget_numbers([PHONE], world.box.now()) == 1
        events.commit()
        assert sent(lane) == 0
        delivery = db.session.scalars(select(Delivery)).one()
        assert (delivery.state, delivery.address) == (DeliveryState.CANCELLED, "forgotten")
        assert db.session.scalars(select(ContactChannel)).all() == []


class TestWhoMayBeNamed:
    def test_numbers_and_addresses_are_told_apart_and_stored_once(self, world: World) -> None:
        found = named_in(
            ["+49 160 1234567", "0049 (160) 123-4567", ALICE.upper(), "noc@elsewhere.test", " "],
            company_id=world.company.id,
            by_customer=False,
        )
        assert [(each.kind, each.address, each.person_id) for each in found] == [
            (RecipientKind.PHONE, PHONE, None),
            (RecipientKind.MAIL, ALICE.upper(), world.alice.id),
            (RecipientKind.MAIL, "noc@elsewhere.test", None),
        ]

    @pytest.mark.parametrize(
        "typed", ["12345", "0160 1234567", "+49", "+999 123456789", "+1 555", "call me", "+49 160 1234567 ext. 9"]
    )
    def test_what_can_be_no_number_anywhere_is_refused(self, world: World, typed: str) -> None:
        with pytest.raises(RuleViolation, match="Write a number with its country code"):
            phone(typed)

    @pytest.mark.parametrize(
        "typed", ["a@b", "x@y.test\r\nBcc: v@e.test", "two@at@signs.test", "@", f"{'x' * 300}@y.test"]
    )
    def test_what_is_no_address_is_refused(self, world: World, typed: str) -> None:
        with pytest.raises(RuleViolation, match="is not an e-mail address"):
            named_in([typed], company_id=world.company.id, by_customer=False)

    def test_without_a_gateway_a_telephone_is_refused_in_words_for_each(self, world: World) -> None:
        object.__setattr__(world.box.app.config["SETTINGS"], "sms_url", "")
        with pytest.raises(RuleViolation, match="PORTAL_SMS_URL"):
            named_in([PHONE], company_id=world.company.id, by_customer=False)
        with pytest.raises(RuleViolation, match=r"^Text messages cannot be sent from here\. Name an e-mail"):
            named_in([PHONE], company_id=world.company.id, by_customer=True)

    def test_customers_name_people_of_theirs_who_have_signed_in_and_nobody_else(self, world: World) -> None:
        world.doerte.last_signed_in_at = None
        events.commit()
        company_id = world.company.id
        assert [each.address for each in contacts_of(company_id)] == [ALICE]
        assert named_in([ALICE], company_id=company_id, by_customer=True)[0].person_id == world.alice.id
        for other in (world.doerte.email, world.ada.email, "noc@elsewhere.test", PHONE):
            with pytest.raises(RuleViolation, match="cannot be told from here"):
                named_in([other], company_id=company_id, by_customer=True)
        kept = named_in(
            ["noc@elsewhere.test", PHONE], company_id=company_id, by_customer=True, kept=["noc@elsewhere.test", PHONE]
        )
        assert len(kept) == 2, "what staff named may stay"

    def test_a_number_the_company_is_told_on_already_may_be_named(self, lane: Lane, world: World) -> None:  # noqa: F811
        channel, _secret = add_channel(
            ChannelKind.SMS,
            "On call",
            PHONE,
            ["incidents"],
            company_id=world.company.id,
            by=SYSTEM,
            now=world.box.now(),
        )
        with pytest.raises(RuleViolation, match="cannot be told from here"):
            named_in([PHONE], company_id=world.company.id, by_customer=True)
        channel.last_sent_at = world.box.now()
        db.session.flush()
        assert named_in([PHONE], company_id=world.company.id, by_customer=True)[0].address == PHONE
        birch = accounts.add_company("Birch", by=SYSTEM, now=NOW)
        with pytest.raises(RuleViolation, match="cannot be told from here"):
            named_in([PHONE], company_id=birch.id, by_customer=True)


class TestTheAlphabet:
    @pytest.mark.parametrize(
        ("text", "places", "parts"),
        [
            ("x" * 160, 160, 1),
            ("x" * 161, 161, 2),
            ("€" * 80, 160, 1),
            ("€" * 81, 162, 2),
            ("ä" * 160, 160, 1),
            ("ç" * 70, 70, 1),
            ("ç" * 71, 71, 2),
            ("\U0001f600" * 35, 70, 1),
            ("\U0001f600" * 36, 72, 2),
            ("x" * 306, 306, 2),
            ("x" * 307, 307, 3),
        ],
    )
    def test_how_much_of_a_message_a_text_takes(self, text: str, places: int, parts: int) -> None:
        assert (gsm.length(text), gsm.parts(text)) == (places, parts)

    def test_what_the_alphabet_lacks_is_said_with_what_it_has(self) -> None:
        assert gsm.in_alphabet("„ça va“ – 28,4\u202f% … naïve\tł") == '"ca va" - 28,4 % ... naive l'
        assert gsm.in_alphabet("Тревога") is None

    @given(st.text(max_size=200), st.integers(0, 200))
    def test_what_is_brought_in_or_cut_is_in_it_and_fits(self, text: str, room: int) -> None:
        said = gsm.in_alphabet(text)
        assert said is None or gsm.is_in_alphabet(said)
        assert gsm.length(gsm.cut(said or "", room)) <= room

    @given(
        said=st.builds(
            Facts,
            alert=st.builds(
                Alert,
                public_id=st.just("Xy7Xy7Xy7Xy7Xy7Xy7Xy7X"),
                title=st.text(min_size=1, max_size=200),
                area=st.just(AlertArea.CUSTOM),
                operator=st.sampled_from([Operator.LESS, Operator.MORE]),
                threshold=st.just(Decimal("1234567.891")),
                trunk=st.just(""),
            ),
            company_id=st.just(1),
            company=st.just("Alder"),
            says=st.sampled_from(sorted(telling.HAS_WORDS)),
            thing=st.builds(
                Thing, st.just(AlertArea.CUSTOM), st.text(max_size=100), st.just(""), st.text(max_size=20), st.just(3)
            ),
            value=st.just(Decimal("99999999.123")),
            count=st.just(1),
            at=st.just(NOW),
        ),
        base=st.sampled_from(["https://status.northline.test", f"https://{'long.' * 14}example.test"]),
        is_test=st.booleans(),
    )
    def test_our_own_words_are_one_message_whatever_is_in_them(
        self, app: Flask, said: Facts, base: str, is_test: bool
    ) -> None:
        with app.test_request_context():
            text = text_of(said, None, base_url=base, moments={}, is_staff=False, is_test=is_test)
        assert gsm.is_in_alphabet(text)
        assert gsm.length(text) <= gsm.ONE_MESSAGE
        assert text.endswith(f"{base}/alerts/{said.alert.public_id}") or "long." in base
