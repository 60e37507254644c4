"""Signing up on the public page: the same answer for everybody, confirmed by POST, limits, managing, one click."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal.audit.rules import Actor
from portal.catalogue.models import Component, Service
from portal.clock import utcnow
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications import actions as outbox
from portal.notifications.links import unsubscribe_path
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from portal.notifications.subscribers import actions
from portal.notifications.subscribers.links import confirm_path, manage_path
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import Purpose, SubscriberState
from tests.conftest import NOW, Cast, counted_queries, token_in

Visitor = Callable[[str], FlaskClient]
HOST = "a.portal.test"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def domain(cast: Cast) -> PortalDomain:
    cast.domain_a.areas = [*cast.domain_a.areas, Area.PUBLIC_STATUS]
    db.session.commit()
    return cast.domain_a


@pytest.fixture
def part(domain: PortalDomain) -> Component:
    made = Component(title="SIP trunks", public_id="siptrunks", position=1, created_at=NOW, updated_at=NOW)
    db.session.add(made)
    db.session.commit()
    return made


def ask(client: FlaskClient, address: str = "rita@reader.test", **more: object) -> TestResponse:
    form = {
        "csrf_token": token_in(client, "/subscribe"),
        "address": address,
        "kinds": ["incidents"],
        "scope": "all",
        "language": "en",
        **more,
    }
    return client.post("/subscribe", data=form)


def rows() -> list[Subscriber]:
    db.session.expire_all()
    return list(db.session.scalars(select(Subscriber).order_by(Subscriber.id)))


def subscribed(
    domain: PortalDomain, topics: tuple[str, ...] = ("incidents",), *, is_shared: bool = False
) -> Subscriber:
    found = actions.add(
        domain.id, "rita@reader.test", topics, language="en", is_shared=is_shared, consent="x", by=Actor("t"), now=NOW
    )
    db.session.commit()
    return found


def letters() -> int:
    return db.session.scalar(select(func.count()).select_from(Broadcast).where(Broadcast.kind == "subscription")) or 0


def test_signing_up_and_confirming_by_post_alone(visitor: Visitor, domain: PortalDomain, part: Component) -> None:
    client = visitor(HOST)
    page = client.get("/subscribe").get_data(as_text=True)
    assert "SIP trunks" in page
    assert f'value="{part.id}"' not in page
    answer = ask(client, scope="some", components=[part.public_id])
    assert (answer.status_code, answer.location) == (303, "/subscribe?sent=1")
    assert "on its way" in client.get("/subscribe?sent=1").get_data(as_text=True)
    [rita] = rows()
    assert (rita.state, rita.topics) == (SubscriberState.UNCONFIRMED, ["incidents", f"component:{part.id}"])
    path = confirm_path(rita.key, utcnow())
    for method in ("GET", "HEAD"):
        assert client.open(path, method=method).status_code == 200
    assert rows()[0].state is SubscriberState.UNCONFIRMED
    confirmed = client.post(path, data={"csrf_token": token_in(client, "/subscribe")})
    assert confirmed.status_code == 303
    assert confirmed.location.startswith("/subscribe/manage/")
    assert rows()[0].state is SubscriberState.ACTIVE
    managed = client.get(confirmed.location).get_data(as_text=True)
    assert re.search(r'value="siptrunks"[^>]* checked', managed)


def test_nobody_learns_whether_an_address_is_known(visitor: Visitor, domain: PortalDomain, cast: Cast) -> None:
    subscribed(domain)
    outbox.suppress("spam@reader.test", EVERY_TOPIC, SuppressionReason.BY_HAND, now=NOW)
    db.session.commit()
    answers = set()
    for address in ("rita@reader.test", "new@reader.test", cast.alice.email, "spam@reader.test"):
        for path in ("/subscribe", "/subscribe/link"):
            client = visitor(HOST)
            if path == "/subscribe":
                answer = ask(client, address)
            else:
                answer = client.post(path, data={"csrf_token": token_in(client, path), "address": address})
            answers.add((path, answer.status_code, answer.location, answer.get_data(as_text=True)))
    assert len(answers) == 2


def test_what_is_wrong_is_said_and_what_was_typed_stays(
    visitor: Visitor, domain: PortalDomain, part: Component
) -> None:
    client = visitor(HOST)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"address": "nonsense"}, "not an e-mail address"),
        ({"kinds": []}, "Choose at least one"),
        ({"scope": "some"}, "Tick at least one part"),
    ]
    for form, sentence in cases:
        answer = ask(client, **form)
        assert answer.status_code == 422
        assert sentence in answer.get_data(as_text=True)
        assert form.get("address", "rita@reader.test") in answer.get_data(as_text=True)
    assert rows() == []


def test_what_fills_the_trap_is_answered_and_forgotten(visitor: Visitor, domain: PortalDomain) -> None:
    assert ask(visitor(HOST), website="https://spam.test").location == "/subscribe?sent=1"
    assert (rows(), letters()) == ([], 0)


def test_too_many_letters_are_refused_with_when_to_come_back(visitor: Visitor, domain: PortalDomain) -> None:
    client = visitor(HOST)
    assert [ask(client).status_code for _ in range(4)] == [303, 303, 303, 429]
    refused = ask(client)
    assert int(refused.headers["Retry-After"]) > 0
    # The same letter is written once a minute at most.
    assert letters() <= 2


def test_a_closed_page_has_no_subscribers_to_win(visitor: Visitor, domain: PortalDomain) -> None:
    rita = subscribed(domain)
    link, out = manage_path(rita.key, utcnow()), unsubscribe_path(rita.address, "incidents", None, rita.key)
    domain.areas = []
    db.session.commit()
    client = visitor(HOST)
    for path in ("/subscribe", "/subscribe/link", link):
        assert client.get(path).status_code == 404
    assert client.post(out, data=ONE_CLICK).status_code == 200
    assert rows() == []


def test_links_are_good_for_their_own_purpose_portal_and_time(
    visitor: Visitor, domain: PortalDomain, cast: Cast
) -> None:
    cast.domain_b.areas = [*cast.domain_b.areas, Area.PUBLIC_STATUS]
    rita = subscribed(domain)
    client = visitor(HOST)
    good = manage_path(rita.key, utcnow())
    assert client.get(good).status_code == 200
    assert visitor("b.portal.test").get(good).status_code == 404
    token = good.rsplit("/", 1)[1]
    for path in (
        f"/subscribe/confirm/{token}",
        f"/subscribe/manage/{token}x",
        manage_path("0" * 32, utcnow()),
        manage_path(rita.key, NOW.replace(year=2020)),
        manage_path(rita.key, NOW.replace(year=2020), Purpose.CHANGE),
    ):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "rita@" not in answer.get_data(as_text=True)


def test_a_choice_is_changed_and_an_older_page_refused(visitor: Visitor, domain: PortalDomain, part: Component) -> None:
    rita = subscribed(domain, ("incidents", "service:9"))
    client = visitor(HOST)
    path = manage_path(rita.key, utcnow())
    form = {
        "csrf_token": token_in(client, path),
        "version": str(rita.version),
        "kinds": ["incidents"],
        "scope": "some",
        "components": [part.public_id],
        "language": "de",
    }
    assert client.post(path, data=form).status_code == 303
    assert (rows()[0].topics, rows()[0].language) == (["incidents", f"component:{part.id}", "service:9"], "de")
    assert client.post(path, data=form).status_code == 409


def test_services_of_everybody_can_be_chosen_where_the_page_tells_of_them(
    visitor: Visitor, domain: PortalDomain, part: Component, cast: Cast
) -> None:
    email, private, old = (
        Service(name=name, name_key=name.lower(), is_global=is_global, created_at=NOW, archived_at=archived_at)
        for name, is_global, archived_at in (("Email", True, None), ("Own line", False, None), ("Fax", True, NOW))
    )
    db.session.add_all([email, private, old])
    db.session.commit()
    client = visitor(HOST)
    assert "Email</label>" not in client.get("/subscribe").text
    refused = ask(client, scope="some", services=[str(email.id)])
    assert refused.status_code == 422
    domain.shows_global_services = True
    db.session.commit()
    shown = client.get("/subscribe").text
    assert [name in shown for name in ("Email</label>", "Own line", "Fax")] == [True, False, False]
    with counted_queries() as statements:
        client.get("/subscribe")
    assert len([each for each in statements if "FROM service" in each]) == 2
    assert ask(client, scope="some", services=[str(private.id), str(old.id)]).status_code == 422
    answer = ask(client, scope="some", services=[str(email.id), str(private.id)], components=[part.public_id])
    assert answer.status_code == 303
    rita = rows()[0]
    assert rita.topics == ["incidents", f"component:{part.id}", f"service:{email.id}"]
    manage = client.get(manage_path(rita.key, utcnow())).text
    assert re.search(rf'name="services" value="{email.id}"[^>]* checked', manage)


def test_a_shared_mailbox_asks_for_a_mail_first_but_one_click_works(visitor: Visitor, domain: PortalDomain) -> None:
    rita = subscribed(domain, is_shared=True)
    client = visitor(HOST)
    path = manage_path(rita.key, utcnow())
    page = client.get(path).get_data(as_text=True)
    assert "Several people read this mailbox" in page
    form = {"csrf_token": token_in(client, "/subscribe")}
    assert client.post(path, data=form).status_code == 403
    assert client.post(f"{path}/leave", data=form).status_code == 403
    assert client.post(f"{path}/link", data=form).status_code == 303
    assert letters() == 1
    strong = manage_path(rita.key, utcnow(), Purpose.CHANGE)
    assert "End the subscription" in client.get(strong).get_data(as_text=True)
    assert client.post(unsubscribe_path(rita.address, "incidents", None, rita.key), data=ONE_CLICK).status_code == 200
    assert rows() == []


def test_the_page_of_a_shared_mailbox_mails_a_link_where_its_header_leaves_at_once(
    visitor: Visitor, domain: PortalDomain
) -> None:
    rita = subscribed(domain, ("incidents", "maintenance"), is_shared=True)
    client, path = visitor(HOST), unsubscribe_path(rita.address, "incidents", None, rita.key)
    page = client.get(path).get_data(as_text=True)
    assert "Several people read this mailbox" in page
    assert "One-Click" not in page
    assert "End the subscription" not in page
    form = {"csrf_token": token_in(client, path), "topic": "incidents", "wanted": "no"}
    for topic in ("incidents", "maintenance", EVERY_TOPIC):
        answer = client.post(f"{path}/lists", data=form | {"topic": topic})
        assert (answer.status_code, answer.location) == (303, f"{path}?asked=1"), topic
    assert "on its way" in client.get(f"{path}?asked=1").get_data(as_text=True)
    # Kinds of mail that other tests make known may stand in another order.
    assert [sorted(each.topics) for each in rows()] == [["incidents", "maintenance"]]
    # The three asked for the same letter within a minute; the next one is refused as any other.
    assert letters() == 1
    refused = client.post(f"{path}/lists", data=form)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    # What the mail program does needs no second mail, and does it once.
    assert client.post(path, data=ONE_CLICK).status_code == 200
    assert [each.topics for each in rows()] == [["maintenance"]]
    left = client.get(path).get_data(as_text=True)
    assert "You will get no more of these mails" in left
    assert "Several people read this mailbox" in left
    assert "End the subscription" not in left


def test_a33_one_click_leaves_one_list_and_repeats(visitor: Visitor, domain: PortalDomain) -> None:
    rita = subscribed(domain)
    rita.topics = ["incidents", "maintenance"]
    db.session.commit()
    client = visitor(HOST)
    path = unsubscribe_path(rita.address, "incidents", None, rita.key)
    assert "Stop these mails?" in client.get(path).get_data(as_text=True)
    assert rows()[0].topics == ["incidents", "maintenance"]
    for _ in range(2):
        assert client.post(path, data=ONE_CLICK).status_code == 200
        assert rows()[0].topics == ["maintenance"]
    every = {"csrf_token": token_in(client, path), "topic": EVERY_TOPIC, "wanted": "no"}
    assert client.post(f"{path}/lists", data=every).status_code == 303
    assert rows() == []
    answer = client.post(path, data=ONE_CLICK)
    assert answer.status_code == 200
    assert "no more of these mails" in answer.get_data(as_text=True)
    assert db.session.scalar(select(func.count()).select_from(Delivery).where(Delivery.address.contains("rita"))) == 0


def test_a_mailed_page_ends_the_subscription(visitor: Visitor, domain: PortalDomain) -> None:
    rita = subscribed(domain)
    client = visitor(HOST)
    path = manage_path(rita.key, utcnow())
    left = client.post(f"{path}/leave", data={"csrf_token": token_in(client, path)})
    assert (left.status_code, left.location) == (303, "/subscribe?left=1")
    assert "forgotten" in client.get(left.location).get_data(as_text=True)
    assert rows() == []
    assert client.get(path).status_code == 404


def test_the_status_page_leads_here_where_it_is_open(visitor: Visitor, domain: PortalDomain) -> None:
    assert 'href="/subscribe"' in visitor(HOST).get("/status").get_data(as_text=True)
