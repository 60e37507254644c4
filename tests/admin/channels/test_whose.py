"""Channels of one person, and channels that hear of some services only: their forms, and what they are told."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, Holding, Service
from portal.catalogue.queries.hearing import ELSEWHERE
from portal.catalogue.rules import component_topic, service_topic
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Severity, State
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.choosing import offer_to
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.models import ContactChannel, Delivery
from tests.admin.channels.test_channels import admin, post, set_up, stored
from tests.conftest import Cast, SignIn

__all__ = ["admin"]


@pytest.fixture
def held(cast: Cast) -> tuple[Service, Service, Component, Component]:
    """Telephony on a trunk and internet on fibre; company A holds both, B the internet alone."""
    now = clock.utcnow()
    telephony, internet = (catalogue.add_service(name, by=SYSTEM, now=now) for name in ("Telephony", "Internet"))
    trunk, fibre = (catalogue.add_component(name, by=SYSTEM, now=now) for name in ("Trunk", "Fibre"))
    for service, component in ((telephony, trunk), (internet, fibre)):
        catalogue.set_dependencies(service, [component.id], by=SYSTEM, now=now)
    for company, service in ((cast.a, telephony), (cast.a, internet), (cast.b, internet)):
        catalogue.add_holding(company, service, component_ids=[], by=SYSTEM, now=now)
    db.session.commit()
    return telephony, internet, trunk, fibre


def told_of(component: Component) -> list[int]:
    """The channels that are told of an outage of this component."""
    broadcasts = set(db.session.scalars(select(Delivery.broadcast_id)))
    incidents.publish(
        "Down", State.IDENTIFIED, "We look.", {component.id: Severity.MAJOR_OUTAGE},
        by=SYSTEM, author_id=None, now=clock.utcnow(), idempotency_key=f"down-{component.id}-{len(broadcasts)}",
    )  # fmt: skip
    events.commit()
    rows = select(Delivery.contact_channel_id).where(
        Delivery.channel != "mail", Delivery.broadcast_id.not_in(broadcasts)
    )
    return sorted(each for each in db.session.scalars(rows) if each is not None)


def test_a_channel_of_a_person_hears_for_the_companies_they_act_for(
    admin: FlaskClient, cast: Cast, held: tuple[Service, Service, Component, Component]
) -> None:
    form = admin.get(f"/admin/channels/new?person={cast.alice.id}").text
    assert f'value="{cast.alice.email}"' in form
    assert set_up(admin, whose="person", company="", person=cast.alice.email.upper())[0] == 200
    channel = stored()
    assert (channel.person_id, channel.company_id) == (cast.alice.id, None)
    for path in ("/admin/channels", f"/admin/channels/{channel.id}"):
        assert f'href="/admin/people/{cast.alice.id}"' in admin.get(path).text
    assert f'href="/admin/channels/{channel.id}"' in admin.get(f"/admin/people/{cast.alice.id}").text
    assert f'href="/admin/channels/new?person={cast.bob.id}"' in admin.get(f"/admin/people/{cast.bob.id}").text
    assert told_of(held[2]) == [channel.id]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Say whose it is, by e-mail address."),
        ("nobody@people.test", "Nobody here has this e-mail address."),
        ("olaf", "acts for no company, so there is nothing to tell them of."),
        ("gone", "is deactivated, so they are told nothing any more."),
    ],
)
def test_whoever_could_be_told_nothing_gets_none(admin: FlaskClient, cast: Cast, typed: str, said: str) -> None:
    cast.bob.deactivated_at = clock.utcnow()
    db.session.commit()
    person = {"olaf": cast.olaf.email, "gone": cast.bob.email}.get(typed, typed)
    status, page = set_up(admin, whose="person", company="", person=person)
    assert (status, said in page) == (422, True)
    assert db.session.scalar(select(ContactChannel.id)) is None


def test_one_whose_owner_is_told_nothing_is_shown_as_unreachable(admin: FlaskClient, cast: Cast) -> None:
    now = clock.utcnow()
    owners = {"company": (cast.b.id, None), "person": (None, cast.bob.id), "loose": (None, cast.charlie.id)}
    of = {
        name: add_channel(
            ChannelKind.WEBHOOK, name, f"https://hooks.example.com/{name}", ["incidents"],
            company_id=company_id, person_id=person_id, by=SYSTEM, now=now,
        )[0].id
        for name, (company_id, person_id) in owners.items()
    }  # fmt: skip
    db.session.commit()
    assert "Unreachable" not in admin.get("/admin/channels").text
    catalogue.archive_company(cast.b, version=cast.b.version, by=SYSTEM, now=now)
    cast.bob.deactivated_at = now
    db.session.commit()
    assert admin.get("/admin/channels").text.count("Unreachable") == 3
    for name, said in (
        ("company", "Its company is archived"), ("person", "Its person is deactivated"),
        ("loose", "Its person acts for no company"),
    ):  # fmt: skip
        assert said in admin.get(f"/admin/channels/{of[name]}").text
    assert "Unreachable" in admin.get(f"/admin/people/{cast.bob.id}").text


def test_one_that_is_narrowed_hears_of_what_touches_that_and_of_what_concerns_everyone(
    admin: FlaskClient, cast: Cast, held: tuple[Service, Service, Component, Component]
) -> None:
    telephony, internet, trunk, fibre = held
    set_up(admin)
    channel = stored()
    path = f"/admin/channels/{channel.id}"
    page = admin.get(path).text
    for key in (service_topic(telephony.id), component_topic(trunk.id), service_topic(internet.id), ELSEWHERE):
        assert f'name="finer" value="{key}"' in page
    values = {"label": "Their NOC", "topics": ["incidents"], "language": "en", "address": ""}
    foreign = service_topic(2_147_483_000)
    status, page = post(admin, path, version=channel.version, finer=[foreign], **values)
    assert (status, "could hear of." in page) == (422, True)
    finer = [service_topic(telephony.id)]
    assert post(admin, path, version=channel.version, finer=finer, **values)[0] in {302, 303}
    assert stored().topics == ["incidents", *finer]
    assert "only what touches Telephony" in admin.get(path).text
    spare = catalogue.add_component("Spare", by=SYSTEM, now=clock.utcnow())
    assert (told_of(trunk), told_of(fibre), told_of(spare)) == ([channel.id], [], [channel.id])


def test_what_touches_nothing_of_theirs_is_heard_of_unless_it_is_narrowed_away(
    cast: Cast, held: tuple[Service, Service, Component, Component]
) -> None:
    telephony, _internet, trunk, _fibre = held
    made = [
        add_channel(
            ChannelKind.WEBHOOK, "Room", f"https://hooks.example.com/{number}", ["incidents", *finer],
            company_id=cast.b.id, by=SYSTEM, now=clock.utcnow(),
        )[0].id
        for number, finer in enumerate(([], [service_topic(held[1].id)], [service_topic(held[1].id), ELSEWHERE]))
    ]  # fmt: skip
    assert service_topic(telephony.id) not in offer_to(cast.b.id, None, clock.utcnow()).finer_keys
    assert told_of(trunk) == [made[0], made[2]]


def test_what_it_hears_of_may_stay_though_its_owner_has_given_it_up(
    admin: FlaskClient, cast: Cast, held: tuple[Service, Service, Component, Component]
) -> None:
    telephony = held[0]
    set_up(admin)
    channel = stored()
    path, gone = f"/admin/channels/{channel.id}", service_topic(telephony.id)
    values = {"label": "Their NOC", "topics": ["incidents"], "language": "en", "address": "", "finer": [gone]}
    post(admin, path, version=channel.version, **values)
    for holding in db.session.scalars(select(Holding).where(Holding.service_id == telephony.id)):
        catalogue.end_holding(holding, version=holding.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    page = admin.get(path).text
    assert "No longer theirs" in page
    assert "Telephony" in page
    assert post(admin, path, version=stored().version, **values)[0] in {302, 303}
    assert stored().topics == ["incidents", gone]


def test_only_who_may_set_channels_up_sees_those_of_a_person(cast: Cast, sign_in: SignIn) -> None:
    assert 'id="channels"' not in sign_in(cast.olaf).get(f"/admin/people/{cast.alice.id}").text
