"""The list of broadcasts and the progress page: what staff see, and who may steer."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from portal import events
from portal.audit.models import AuditEntry
from portal.audit.rules import Actor
from portal.extensions import db
from portal.notifications import actions, outlook
from portal.notifications.models import Broadcast, Delivery, Relay
from portal.notifications.rules import BroadcastState, DeliveryState, Failure, RelayState
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in
from tests.notifications.outbox import queue, states


def people(count: int, prefix: str = "reader") -> list[dict[str, object]]:
    return [{"address": f"{prefix}{index}@customers.test", "name": f"Reader {index}"} for index in range(count)]


@pytest.fixture
def broadcast(cast: Cast) -> Broadcast:
    """Of four mails one is sent, one failed, one put off, one waits."""
    made = queue("incident:1", people(4), now=NOW)
    ids = db.session.scalars(db.select(Delivery.id).order_by(Delivery.id)).all()
    set_to = [
        {"state": DeliveryState.SENT, "finished_at": NOW, "attempts": 1, "code": 250, "answer": "2.0.0 Queued as 4Gx"},
        {
            "state": DeliveryState.FAILED,
            "finished_at": NOW,
            "attempts": 1,
            "code": 550,
            "failure": Failure.HARD,
            "answer": "5.1.1 <b>No such user</b>",
        },
        {"attempts": 1, "next_attempt_at": NOW + timedelta(minutes=5), "code": 451, "answer": "4.7.1 Greylisted"},
    ]
    for delivery_id, values in zip(ids, set_to, strict=False):
        db.session.execute(update(Delivery).where(Delivery.id == delivery_id).values(values))
    db.session.commit()
    return made


def figures_on(page: str) -> dict[str, int]:
    found = re.findall(r'progress-number">([\d,]+)</span> ([a-z ]+)<', page)
    return {word: int(number.replace(",", "")) for number, word in found}


def test_the_list_shows_every_broadcast_with_its_figures(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    page = sign_in(cast.ada).get("/admin/broadcasts").get_data(as_text=True)
    assert "SIP trunks: registration failures" in page
    assert re.search(r'data-label="Sent" class="number"><span>1 <span class="quiet">of 4', page)
    assert re.search(r'data-label="Failed" class="number">1<', page)


def test_an_empty_list_says_what_it_is_for(sign_in: SignIn, cast: Cast) -> None:
    assert "Nothing has been sent yet" in sign_in(cast.ada).get("/admin/broadcasts").get_data(as_text=True)


def test_the_list_takes_the_same_queries_for_one_and_for_fifty(sign_in: SignIn, cast: Cast) -> None:
    client = sign_in(cast.ada)
    counts = []
    for number in (1, 50):
        for index in range(number):
            queue(f"incident:{number}-{index}", people(1), now=NOW)
        db.session.commit()
        with counted_queries() as statements:
            assert client.get("/admin/broadcasts").status_code == 200
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert client.get("/admin/broadcasts?page=2").status_code == 200
    assert client.get("/admin/broadcasts?page=3").status_code == 404


@pytest.mark.parametrize("page", ["0", "-1", "a", "99999999999999999999"])
def test_t30_a_page_that_is_none_is_not_found(sign_in: SignIn, cast: Cast, broadcast: Broadcast, page: str) -> None:
    client = sign_in(cast.ada)
    assert client.get(f"/admin/broadcasts?page={page}").status_code == 404
    assert client.get(f"/admin/broadcasts/{broadcast.id}?page={page}").status_code == 404


def test_the_progress_page_counts_from_the_rows(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    page = sign_in(cast.ada).get(f"/admin/broadcasts/{broadcast.id}").get_data(as_text=True)
    assert figures_on(page) == {"sent": 1, "waiting": 1, "retrying": 1, "failed": 1}
    assert f'data-live="broadcast:{broadcast.id}"' in page


def test_each_row_opens_to_the_servers_words_escaped(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    page = sign_in(cast.ada).get(f"/admin/broadcasts/{broadcast.id}").get_data(as_text=True)
    assert "550 5.1.1 &lt;b&gt;No such user&lt;/b&gt;" in page
    assert "250 2.0.0 Queued as 4Gx" in page


@pytest.mark.parametrize(
    ("show", "found"),
    [("all", 4), ("waiting", 1), ("retrying", 1), ("sent", 1), ("failed", 1), ("left_out", 0), ("doubtful", 0)],
)
def test_the_ledger_is_filtered_by_state(
    sign_in: SignIn, cast: Cast, broadcast: Broadcast, show: str, found: int
) -> None:
    client = sign_in(cast.ada)
    fragment = client.get(f"/admin/broadcasts/{broadcast.id}?show={show}", headers={"HX-Request": "true"})
    text = fragment.get_data(as_text=True)
    assert text.lstrip().startswith('<div class="ledger" id="ledger"')
    assert text.count("<details") == found


def test_an_unknown_filter_is_not_found(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    assert sign_in(cast.ada).get(f"/admin/broadcasts/{broadcast.id}?show=secret").status_code == 404


def test_the_ledger_is_searched_by_address_name_and_company(sign_in: SignIn, cast: Cast) -> None:
    mails = [
        {"address": "Alice@People.test", "name": "Alice Ärmel", "company_ids": (cast.a.id,)},
        {"address": "b_ob@people.test", "name": "Bob", "company_ids": (cast.b.id,)},
    ]
    made = queue("incident:1", mails, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)

    def found(text: str) -> int:
        page = client.get(f"/admin/broadcasts/{made.id}", query_string={"q": text}).get_data(as_text=True)
        return page.count('<details class="ledger-row"')

    assert found("alice@") == 1
    assert found("Alice") == 1
    assert found("birch") == 1
    assert found("_") == 1  # i04: a wildcard of LIKE is only itself
    assert found("%") == 0


def test_the_ledger_takes_the_same_queries_whatever_its_length(sign_in: SignIn, cast: Cast) -> None:
    client = sign_in(cast.ada)
    counts = []
    for number in (1, 120):
        made = queue(f"incident:{number}", people(number, f"x{number}-"), now=NOW)
        db.session.commit()
        with counted_queries() as statements:
            page = client.get(f"/admin/broadcasts/{made.id}").get_data(as_text=True)
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert page.count('<details class="ledger-row"') == 50
    assert "Page 1 of 3" in page


def test_the_moving_part_is_a_fragment_of_the_page(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    client = sign_in(cast.ada)
    fragment = client.get(f"/admin/broadcasts/{broadcast.id}/progress", headers={"HX-Request": "true"})
    assert fragment.get_data(as_text=True).lstrip().startswith("<section")
    again = {"HX-Request": "true", "If-None-Match": fragment.headers["ETag"]}
    assert client.get(f"/admin/broadcasts/{broadcast.id}/progress", headers=again).status_code == 304


def steer(client: FlaskClient, broadcast: Broadcast, action: str) -> int:
    path = f"/admin/broadcasts/{broadcast.id}"
    return client.post(f"{path}/{action}", data={"csrf_token": token_in(client, path)}).status_code


def state_of(broadcast: Broadcast) -> BroadcastState:
    return db.session.scalars(select(Broadcast.state).where(Broadcast.id == broadcast.id)).one()


def test_r48_pause_go_on_and_cancel(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    client = sign_in(cast.ada)
    for _ in range(5):
        assert steer(client, broadcast, "pause") == 303
        assert state_of(broadcast) is BroadcastState.PAUSED
        assert steer(client, broadcast, "resume") == 303
        assert state_of(broadcast) is BroadcastState.SENDING
    assert steer(client, broadcast, "cancel") == 303
    assert states() == {"sent": 1, "failed": 1, "cancelled": 2}
    assert steer(client, broadcast, "resume") == 422
    assert steer(client, broadcast, "pause") == 422


def test_failed_mails_can_be_tried_again(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    db.session.execute(update(Broadcast).values(expires_at=NOW + timedelta(days=3650)))
    db.session.commit()
    assert steer(sign_in(cast.ada), broadcast, "retry") == 303
    assert states() == {"sent": 1, "pending": 3}


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry", "relays/1/mend"])
def test_the_office_may_look_but_not_steer(sign_in: SignIn, cast: Cast, broadcast: Broadcast, action: str) -> None:
    client = sign_in(cast.olaf)
    page = client.get(f"/admin/broadcasts/{broadcast.id}").get_data(as_text=True)
    assert "Cancel the broadcast" not in page
    assert steer(client, broadcast, action) == 403
    assert states() == {"sent": 1, "failed": 1, "pending": 2}


def test_customers_and_strangers_find_nothing(
    sign_in: SignIn, visitor: Callable[[str], FlaskClient], cast: Cast, broadcast: Broadcast
) -> None:
    assert sign_in(cast.alice).get(f"/admin/broadcasts/{broadcast.id}").status_code == 404
    assert visitor("a.portal.test").get("/admin/broadcasts").status_code == 404
    assert visitor("admin.portal.test").get("/admin/broadcasts").status_code == 302


def test_a_missing_broadcast_is_not_found(sign_in: SignIn, cast: Cast) -> None:
    client = sign_in(cast.ada)
    assert client.get("/admin/broadcasts/999999999").status_code == 404
    assert client.get("/admin/broadcasts/999999999/progress").status_code == 404


def test_a_relay_in_trouble_is_named_with_its_words(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    relay = Relay(name="default", state=RelayState.BROKEN, last_answer="5.7.8 Authentication failed")
    db.session.add(relay)
    db.session.commit()
    client = sign_in(cast.ada)
    page = client.get(f"/admin/broadcasts/{broadcast.id}").get_data(as_text=True)
    assert "5.7.8 Authentication failed" in page
    assert steer(client, broadcast, f"relays/{relay.id}/mend") == 303
    assert db.session.scalar(select(Relay.state)) is RelayState.UP
    assert steer(client, broadcast, "relays/999999/mend") == 404


def test_steering_rings_the_page_and_leaves_an_audit_entry(sign_in: SignIn, cast: Cast, broadcast: Broadcast) -> None:
    topic = events.broadcast_topic(broadcast.id)
    before = events.versions_of([topic]).get(topic, 0)
    actions.pause(broadcast, "Paused.", by=Actor(cast.ada.email, cast.ada.id), now=NOW)
    events.commit()
    assert events.versions_of([topic])[topic] == before + 1
    entry = db.session.scalars(db.select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.action, entry.actor, entry.object_id) == ("broadcast.pause", cast.ada.email, broadcast.id)


def test_how_long_a_broadcast_will_take_follows_the_relay(cast: Cast) -> None:
    assert outlook.arrival(100, NOW).seconds == 1
    db.session.add(Relay(name="m365", per_minute=30, per_day=10_000))
    db.session.flush()
    assert outlook.arrival(600, NOW).seconds == 1200
    assert (outlook.arrival(20_001, NOW).seconds or 0) > 86_400
