"""Subscribers as staff see them: the list, adding, importing, resting, coming back, removing, exporting."""

import io
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.subscribers import actions
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberState
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in

LIST = "/admin/subscribers"


@pytest.fixture
def domain(cast: Cast) -> PortalDomain:
    cast.domain_a.areas = [*cast.domain_a.areas, Area.PUBLIC_STATUS]
    db.session.commit()
    return cast.domain_a


def subscribed(domain: PortalDomain, address: str = "rita@reader.test", consent: str = "By phone") -> Subscriber:
    found = actions.add(
        domain.id, address, ["incidents"], language="en", is_shared=False, consent=consent, by=SYSTEM, now=NOW
    )
    db.session.commit()
    return found


def state_of(subscriber: Subscriber) -> SubscriberState:
    db.session.expire_all()
    return subscriber.state


def text_of(client: FlaskClient, path: str = LIST) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_the_list_is_searched_and_narrowed_in_few_queries(sign_in: SignIn, cast: Cast, domain: PortalDomain) -> None:
    subscribed(domain)
    subscribed(domain, "asked@reader.test", consent="")
    client = sign_in(cast.ada)
    text_of(client)
    with counted_queries() as few:
        text_of(client)
    actions.add_many(
        domain.id,
        [f"p{number}@reader.test" for number in range(60)],
        ["incidents"],
        language="en",
        consent="x",
        by=SYSTEM,
        now=NOW,
    )
    db.session.commit()
    with counted_queries() as many:
        text_of(client)
    assert len(many) == len(few)
    assert "asked@reader.test" in text_of(client, f"{LIST}?state=unconfirmed")
    assert "rita@reader.test" not in text_of(client, f"{LIST}?state=unconfirmed")
    assert "rita@reader.test" in text_of(client, f"{LIST}?q=RITA&portal={domain.id}&kind=email")
    assert "Nothing matches" in text_of(client, f"{LIST}?portal={cast.domain_b.id}")
    assert client.get(f"{LIST}?page=3").status_code == 404


def test_an_empty_list_says_what_to_do(sign_in: SignIn, cast: Cast) -> None:
    assert "Nobody has subscribed yet" in text_of(sign_in(cast.ada))


def test_adding_by_hand(sign_in: SignIn, cast: Cast, domain: PortalDomain) -> None:
    client = sign_in(cast.ada)
    form = {
        "csrf_token": token_in(client, f"{LIST}/new"),
        "kind": "email",
        "address": "rita@reader.test",
        "domain": str(domain.id),
        "kinds": ["incidents"],
        "language": "en",
        "consent": "Asked at the counter",
    }
    assert client.post(f"{LIST}/new", data=form).status_code == 303
    twice = client.post(f"{LIST}/new", data=form)
    assert twice.status_code == 422
    assert "subscribed at this portal already" in twice.get_data(as_text=True)
    wrong: dict[str, Any]
    for wrong in ({"address": "x"}, {"kinds": []}, {"domain": "999"}):
        assert client.post(f"{LIST}/new", data={**form, **wrong}).status_code == 422
    assert [each.state for each in db.session.scalars(select(Subscriber))] == [SubscriberState.ACTIVE]


def test_a_list_is_brought_in_and_the_rest_named(sign_in: SignIn, cast: Cast, domain: PortalDomain) -> None:
    subscribed(domain)
    client = sign_in(cast.ada)
    form = {
        "csrf_token": token_in(client, f"{LIST}/import"),
        "addresses": "typed@reader.test\nnonsense\n",
        "domain": str(domain.id),
        "kinds": ["incidents"],
        "language": "en",
        "consent": "On paper",
    }
    file = (io.BytesIO(b"\xef\xbb\xbffile@reader.test;Rita\nrita@reader.test,x\n"), "list.csv")
    answer = client.post(f"{LIST}/import", data={**form, "file": file})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "2 added" in page
    assert "nonsense" in page
    assert {each.address for each in db.session.scalars(select(Subscriber))} == {
        "rita@reader.test",
        "typed@reader.test",
        "file@reader.test",
    }
    for wrong in (
        {"consent": " "},
        {"addresses": ""},
        {"file": (io.BytesIO(b"\xff\xfe\x00"), "x.csv")},
        {"addresses": "\n".join(f"a{number}@x.test" for number in range(5001))},
    ):
        assert client.post(f"{LIST}/import", data={**form, **wrong}).status_code == 422


def test_resting_and_coming_back_with_a_reason(sign_in: SignIn, cast: Cast, domain: PortalDomain) -> None:
    rita = subscribed(domain)
    client = sign_in(cast.ada)
    form = {"csrf_token": token_in(client, LIST), "version": str(rita.version), "why": ""}
    path = f"{LIST}/{rita.id}"
    assert client.post(f"{path}/quarantine", data=form).status_code == 422
    assert client.post(f"{path}/quarantine", data={**form, "why": "Full"}).status_code == 303
    assert client.post(f"{path}/reactivate", data={**form, "why": "Back"}).status_code == 409
    assert state_of(rita) is SubscriberState.QUARANTINED
    form["version"] = str(rita.version)
    assert client.post(f"{path}/reactivate", data={**form, "why": "Back"}).status_code == 303
    assert state_of(rita) is SubscriberState.ACTIVE


def test_removing_forgets(sign_in: SignIn, cast: Cast, domain: PortalDomain) -> None:
    rita = subscribed(domain)
    client = sign_in(cast.ada)
    path = f"{LIST}/{rita.id}/remove"
    token = token_in(client, LIST)
    assert client.post(path, data={"csrf_token": token, "version": "99"}).status_code == 409
    assert client.post(path, data={"csrf_token": token, "version": str(rita.version)}).status_code == 303
    assert db.session.scalars(select(Subscriber)).all() == []
    assert client.post(path, data={"csrf_token": token, "version": "1"}).status_code == 404
    trail = [str((each.before, each.after)) for each in db.session.scalars(select(AuditEntry))]
    assert not [each for each in trail if "rita@" in each]


def test_only_admins_take_the_list_home_and_no_cell_is_a_formula(
    sign_in: SignIn, cast: Cast, domain: PortalDomain
) -> None:
    subscribed(domain, consent="=1+1")
    ada = sign_in(cast.ada)
    assert ada.post(f"{LIST}/export", data={"csrf_token": token_in(ada, LIST)}).status_code == 403
    root = sign_in(cast.root)
    answer = root.post(f"{LIST}/export", data={"csrf_token": token_in(root, LIST)})
    assert answer.mimetype == "text/csv"
    assert "rita@reader.test,email" in answer.get_data(as_text=True)
    assert "'=1+1" in answer.get_data(as_text=True)
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.action == "subscriber.export")).one()


def test_machines_and_rooms_are_set_up_by_staff(sign_in: SignIn, cast: Cast, domain: PortalDomain) -> None:
    client = sign_in(cast.ada)
    form = {
        "csrf_token": token_in(client, f"{LIST}/new"),
        "kind": "webhook",
        "address": "https://machine.example/hook",
        "domain": str(domain.id),
        "kinds": ["incidents"],
        "language": "en",
    }
    shown = client.post(f"{LIST}/new", data=form).get_data(as_text=True)
    assert "whsec_" in shown
    slack = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert client.post(f"{LIST}/new", data={**form, "kind": "slack", "address": slack}).status_code == 303
    for wrong in ("http://127.0.0.1/x", "https://machine.example/hook", "nonsense"):
        assert client.post(f"{LIST}/new", data={**form, "address": wrong}).status_code == 422
    page = text_of(client)
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in page
    assert "Slack" in page
    # They are nobody's else: the channels of customers and staff are another list.
    assert "machine.example" not in text_of(sign_in(cast.root), "/admin/channels")
