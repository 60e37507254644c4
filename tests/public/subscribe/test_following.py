"""One incident followed from its public page: what may be, the letter, the way to change it, and one click."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.clock import utcnow
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import Incident
from portal.incidents.rules import Audience, Visibility
from portal.incidents.rules.conversations import thread_key
from portal.notifications.channels import gateway
from portal.notifications.links import unsubscribe_path
from portal.notifications.models import Broadcast, ContactChannel
from portal.notifications.subscribers import following
from portal.notifications.subscribers.links import confirm_path, manage_path
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import Conversation, Purpose, SubscriberState
from tests.conftest import Cast, token_in
from tests.notifications.subscribers.test_following import published
from tests.public.subscribe.test_rooms import link_in, parcels
from tests.public.subscribe.test_subscribe import HOST, ONE_CLICK, Visitor, domain, letters, rows
from tests.security.test_channels import SLACK

__all__ = ["domain", "parcels"]

RITA = "rita@reader.test"


@pytest.fixture
def incident(domain: PortalDomain) -> Incident:
    found = published("open")
    db.session.commit()
    return found


def about(incident: Incident) -> Conversation:
    return Conversation(thread_key(incident.id), "incidents")


def ask(client: FlaskClient, incident: Incident, path: str = "/subscribe", **more: object) -> Any:
    path = f"{path}?incident={incident.public_id}"
    form = {"csrf_token": token_in(client, path), "address": RITA, "language": "en"} | more
    return client.post(path, data=form)


def follower(client: FlaskClient, incident: Incident) -> Subscriber:
    """Rita, who asked and confirmed."""
    assert ask(client, incident).location == "/subscribe?sent=1"
    [rita] = rows()
    path = confirm_path(rita.key, utcnow(), about(incident))
    client.post(path, data={"csrf_token": token_in(client, path)})
    return rows()[0]


def keys(subscriber: Subscriber) -> list[str]:
    return following.followed_by([subscriber.id]).get(subscriber.id, [])


def test_from_the_page_of_the_incident_to_the_confirmed_address(visitor: Visitor, incident: Incident) -> None:
    client = visitor(HOST)
    page = client.get(f"/incidents/{incident.public_id}").get_data(as_text=True)
    assert f'href="/subscribe?incident={incident.public_id}"' in page
    asked = client.get(f"/subscribe?incident={incident.public_id}").get_data(as_text=True)
    assert incident.title in asked
    assert 'name="kinds"' not in asked, "there is nothing else to choose"
    assert ask(client, incident).location == "/subscribe?sent=1"
    [rita] = rows()
    assert (rita.state, rita.topics, keys(rita)) == (SubscriberState.UNCONFIRMED, [], [])
    path = confirm_path(rita.key, utcnow(), about(incident))
    for method in ("GET", "HEAD"):
        assert client.open(path, method=method).status_code == 200
    assert rows()[0].state is SubscriberState.UNCONFIRMED
    assert incident.title in client.get(path).get_data(as_text=True)
    confirmed = client.post(path, data={"csrf_token": token_in(client, path)})
    assert confirmed.location.startswith("/subscribe/manage/")
    rita = rows()[0]
    assert (rita.state, rita.topics, keys(rita)) == (SubscriberState.ACTIVE, [], [thread_key(incident.id)])
    assert incident.title in client.get(confirmed.location).get_data(as_text=True)


@pytest.mark.parametrize("path", ["/subscribe", "/subscribe/webhook", "/subscribe/room"])
def test_what_not_everybody_may_see_looks_as_what_is_not_there(
    visitor: Visitor, incident: Incident, cast: Cast, path: str
) -> None:
    """Private, for some, of nobody, and odd: one answer, to look and to send."""
    hidden = published("private", visibility=Visibility.PRIVATE)
    some = published("some", audience=Audience.AFFECTED)
    db.session.commit()
    client = visitor(HOST)
    token = token_in(client, "/subscribe")
    answers = set()
    for public_id in (hidden.public_id, some.public_id, "nothing", "", "x" * 999, "%F0%9F", "' OR 1=1"):
        for answer in (
            client.get(path, query_string={"incident": public_id}),
            client.post(f"{path}?incident={public_id}", data={"csrf_token": token, "address": RITA, "language": "en"}),
        ):
            assert answer.status_code == 404
            body = re.sub(r'(?:nonce|content|value)="[^"]*"', "", answer.get_data(as_text=True))
            assert hidden.title not in body
            answers.add((answer.status_code, answer.request.method, len(body)))
    assert len(answers) <= 2, answers
    assert (rows(), letters()) == ([], 0)


def test_a_portal_whose_page_is_closed_offers_none(visitor: Visitor, incident: Incident, cast: Cast) -> None:
    cast.domain_b.areas = []
    db.session.commit()
    assert visitor("b.portal.test").get(f"/subscribe?incident={incident.public_id}").status_code == 404


def test_a_link_is_good_for_what_it_names_and_while_that_is_seen(
    visitor: Visitor, incident: Incident, domain: PortalDomain, cast: Cast
) -> None:
    client = visitor(HOST)
    ask(client, incident)
    [rita] = rows()
    path = confirm_path(rita.key, utcnow(), about(incident))
    cast.domain_b.areas = [*cast.domain_b.areas, Area.PUBLIC_STATUS]
    db.session.commit()
    assert visitor("b.portal.test").get(path).status_code == 404
    assert client.get(path.replace("/confirm/", "/manage/")).status_code == 404
    for wrong in (Conversation("incident:99999", "incidents"), Conversation("maintenance:1", "maintenance")):
        assert client.get(confirm_path(rita.key, utcnow(), wrong)).status_code == 404
    incident.visibility = Visibility.PRIVATE
    db.session.commit()
    token = token_in(client, "/subscribe")
    for answer in (client.get(path), client.post(path, data={"csrf_token": token})):
        assert answer.status_code == 404
        assert incident.title not in answer.get_data(as_text=True)
    assert rows()[0].state is SubscriberState.UNCONFIRMED


def test_nobody_learns_who_is_subscribed_or_follows(visitor: Visitor, incident: Incident, cast: Cast) -> None:
    follower(visitor(HOST), incident)
    answers = set()
    for address in (RITA, "new@reader.test", cast.alice.email):
        answer = ask(visitor(HOST), incident, address=address)
        answers.add((answer.status_code, answer.location, answer.get_data(as_text=True)))
    assert len(answers) == 1


def test_limits_and_the_trap_hold_here_too(visitor: Visitor, incident: Incident) -> None:
    client = visitor(HOST)
    assert ask(client, incident, website="https://spam.test").location == "/subscribe?sent=1"
    assert rows() == []
    assert [ask(client, incident).status_code for _ in range(4)] == [303, 303, 303, 429]
    refused = ask(client, incident, address="nonsense")
    assert refused.status_code == 422
    assert incident.title in refused.get_data(as_text=True)


def test_it_is_shown_and_changed_with_the_rest(visitor: Visitor, incident: Incident) -> None:
    client = visitor(HOST)
    rita = follower(client, incident)
    following.begin(rita, about(published("other")), utcnow())
    db.session.commit()
    path = manage_path(rita.key, utcnow(), Purpose.CHANGE)
    page = client.get(path).get_data(as_text=True)
    assert page.count('name="followed"') == 2
    form = {"csrf_token": token_in(client, path), "version": str(rows()[0].version), "scope": "all", "language": "de"}
    refused = client.post(path, data=form)
    assert refused.status_code == 422
    assert "Choose at least one" in refused.get_data(as_text=True)
    saved = client.post(path, data=form | {"followed": [incident.public_id]})
    assert saved.status_code == 303
    rita = rows()[0]
    assert (keys(rita), rita.topics, rita.language) == ([thread_key(incident.id)], [], "de")
    form["version"] = str(rita.version)
    client.post(path, data=form | {"kinds": ["maintenance"]})
    rita = rows()[0]
    assert (keys(rita), rita.topics) == ([], ["maintenance"])


def test_what_is_hidden_by_now_is_counted_not_named_and_stays(visitor: Visitor, incident: Incident) -> None:
    client = visitor(HOST)
    rita = follower(client, incident)
    incident.audience = Audience.AFFECTED
    db.session.commit()
    path = manage_path(rita.key, utcnow())
    page = client.get(path).get_data(as_text=True)
    assert incident.title not in page
    assert incident.public_id not in page
    assert "1 more that is not shown here at the moment" in page
    form = {"csrf_token": token_in(client, path), "version": str(rows()[0].version), "scope": "all", "language": "de"}
    assert client.post(path, data=form | {"followed": [incident.public_id]}).status_code == 303
    assert keys(rows()[0]) == [thread_key(incident.id)]


def test_one_click_leaves_the_one_and_repeats(visitor: Visitor, incident: Incident) -> None:
    client = visitor(HOST)
    rita = follower(client, incident)
    other = published("other")
    following.begin(rita, about(other), utcnow())
    db.session.commit()
    path = unsubscribe_path(rita.address, thread_key(incident.id), None, rita.key)
    page = client.get(path).get_data(as_text=True)
    assert "this one incident" in page
    assert "another incident that is followed" in page
    assert thread_key(incident.id) not in re.sub(r'value="[^"]*"', "", page)
    for _ in range(2):
        assert client.post(path, data=ONE_CLICK).status_code == 200
        assert keys(rows()[0]) == [thread_key(other.id)]
    rest = {"csrf_token": token_in(client, path), "wanted": "no", "topic": thread_key(other.id)}
    assert client.post(f"{path}/lists", data=rest | {"topic": "incident:99999"}).status_code == 422
    assert client.post(f"{path}/lists", data=rest).status_code == 303
    assert rows() == []
    assert "no more of these mails" in client.get(path).get_data(as_text=True)


def test_a_machine_and_a_room_follow_too(visitor: Visitor, incident: Incident, parcels: list[gateway.Parcel]) -> None:
    client = visitor(HOST)
    assert ask(client, incident, "/subscribe/room", address=SLACK).status_code == 303
    assert incident.title in parcels[0].text
    path = link_in(parcels[0].text, "confirm")
    client.post(path, data={"csrf_token": token_in(client, "/subscribe")})
    hook = {"address": "https://machine.example/hook"}
    assert ask(client, incident, "/subscribe/webhook", **hook).status_code == 303
    confirm = re.findall(rb'"confirm_url":"http://[^/]+([^"]+)"', parcels[1].body)[0].decode()
    secret = client.post(confirm, data={"csrf_token": token_in(client, "/subscribe")})
    assert "whsec_" in secret.get_data(as_text=True)
    room, machine = rows()
    assert [keys(each) for each in (room, machine)] == [[thread_key(incident.id)]] * 2
    sealed = select(ContactChannel.secret).where(ContactChannel.id == machine.contact_channel_id)
    before = db.session.scalar(sealed)
    # Following another one does not take the secret away that its receiver checks with.
    other = published("other")
    db.session.commit()
    again = client.post(
        confirm_path(machine.key, utcnow(), about(other)), data={"csrf_token": token_in(client, "/subscribe")}
    )
    assert again.status_code == 303
    assert db.session.scalar(sealed) == before
    assert len(keys(rows()[1])) == 2


def test_every_mail_about_it_says_that_it_ends(visitor: Visitor, incident: Incident) -> None:
    for language, content in (
        db.session.scalars(select(Broadcast.content).where(Broadcast.kind == "incident")).one().items()
    ):
        is_theirs = language.endswith("-open")
        assert ("{{following}}" in content["text"]) is is_theirs
        assert ("{{following}}" in content["html"]) is is_theirs
