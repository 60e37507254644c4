"""The screen "Operation" and the notice that nothing is sent."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from portal import clock, events
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.files.store import Store
from portal.notifications import outbound
from portal.notifications.models import Delivery, Relay
from portal.notifications.queries import pause_of_all
from portal.notifications.rules import RelayState
from tests.conftest import Cast, SignIn, counted_queries, token_in
from tests.notifications.outbox import queue

SCREEN = "/admin/operation"
STAFF_PAGES = ("/admin/", "/admin/broadcasts", "/admin/companies", "/admin/catalogue/components", "/admin/incidents")


def parts_of(page: str) -> dict[str, str]:
    """The verdict of each part by its subject, with what is said of it."""
    found = re.findall(r'<li id="part-[^"]+">(.*?)</li>', page, re.DOTALL)
    lines = [" ".join(re.sub(r"<[^>]+>", " ", each).split()) for each in found]
    words = ("Fine", "To look at", "Needs you")
    split = [next((word, line.removeprefix(word).strip()) for word in words if line.startswith(word)) for line in lines]
    return {rest.split(" ", 1)[0]: f"{word}: {rest.split(' ', 1)[1]}" for word, rest in split}


def post(client: FlaskClient, path: str, **fields: object) -> int:
    return client.post(path, data={"csrf_token": token_in(client, SCREEN), **fields}).status_code


def test_every_part_is_told_in_words(sign_in: SignIn, cast: Cast) -> None:
    page = sign_in(cast.root).get(SCREEN).get_data(as_text=True)
    parts = parts_of(page)
    assert parts["Migrations"].startswith("Fine")
    assert parts["Sending"] == "Fine: Goes on"
    assert parts["Redis"].startswith("To look at")
    assert re.match(r"Fine: 0 files, 0\.0 MB in ", parts["Files"])
    assert parts["Backup"].startswith("To look at")
    assert "<code>portal backup</code>" in page
    assert ("WAL" in parts) is (db.engine.dialect.name == "sqlite")


def test_a_store_that_takes_no_files_needs_somebody(
    sign_in: SignIn, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "trouble", lambda _self: "EndpointConnectionError")
    client = sign_in(cast.root)
    told = parts_of(client.get(SCREEN).get_data(as_text=True))["Files"]
    assert told.startswith("Needs you:")
    assert "PORTAL_FILES_URL" in told
    assert "Fine" in parts_of(client.get(SCREEN).get_data(as_text=True))["Migrations"], (
        "the rest is looked at all the same"
    )


def test_mails_that_nobody_sends_and_a_broken_relay_need_somebody(sign_in: SignIn, cast: Cast) -> None:
    queue("incident:1", 3, now=clock.utcnow())
    db.session.execute(update(Delivery).values(next_attempt_at=clock.utcnow() - timedelta(hours=1)))
    db.session.add(Relay(name="backup", host="127.0.0.1", port=1, state=RelayState.BROKEN))
    outbound.note_backup(5_000_000, clock.utcnow())
    events.commit()
    page = sign_in(cast.root).get(SCREEN).get_data(as_text=True)
    parts = parts_of(page)
    assert parts["Outbox"].startswith("Needs you: 3 mails wait, the oldest due for 1 hour")
    assert parts["Relays"].startswith("Needs you: 1 of 1")
    assert parts["Backup"].startswith("Fine")


def test_the_screen_costs_the_same_whatever_there_is(sign_in: SignIn, cast: Cast) -> None:
    client = sign_in(cast.root)
    counts = []
    for number in range(2):
        for each in range(number * 5):
            queue(f"incident:{each}", 20, now=clock.utcnow())
        events.commit()
        client.get(SCREEN)
        with counted_queries() as statements:
            client.get(SCREEN)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 36


def test_a_pause_is_seen_by_all_of_staff_on_every_page_and_by_no_customer(sign_in: SignIn, cast: Cast) -> None:
    client = sign_in(cast.root)
    assert post(client, f"{SCREEN}/pause") == 303
    pause = pause_of_all()
    assert pause is not None
    assert pause.reason == "Paused by Root."
    for person, sees_the_way in ((cast.olaf, False), (cast.ada, False), (cast.root, True)):
        staff = sign_in(person)
        for path in STAFF_PAGES:
            page = staff.get(path).get_data(as_text=True)
            assert "No mail goes out: sending is paused." in page, path
            assert ("What to do" in page) is sees_the_way, path
        fragment = staff.get("/admin/sending", headers={"HX-Request": "true"}).get_data(as_text=True)
        assert fragment.strip().startswith('<div class="sending-notice" id="sending"')
    assert "sending is paused" not in sign_in(cast.alice).get("/").get_data(as_text=True)


def test_without_a_pause_there_is_no_notice(sign_in: SignIn, cast: Cast) -> None:
    client = sign_in(cast.ada)
    assert "sending is paused" not in client.get("/admin/").get_data(as_text=True)
    assert "Mail goes out as it should" in client.get("/admin/sending").get_data(as_text=True)


def test_the_progress_of_a_broadcast_says_that_nothing_goes_out(sign_in: SignIn, cast: Cast) -> None:
    broadcast = queue("incident:1", 3, now=clock.utcnow())
    outbound.pause_all(outbound.A_COPY, by=SYSTEM, now=clock.utcnow())
    events.commit()
    page = sign_in(cast.ada).get(f"/admin/broadcasts/{broadcast.id}/progress", headers={"HX-Request": "true"})
    assert "Sending is paused for the whole installation" in page.get_data(as_text=True)


def test_resuming_names_what_goes_out_and_is_audited(sign_in: SignIn, cast: Cast) -> None:
    queue("incident:1", 3, now=clock.utcnow())
    outbound.pause_all(outbound.RESTORED, by=SYSTEM, now=clock.utcnow())
    events.commit()
    client = sign_in(cast.root)
    page = client.get(SCREEN).get_data(as_text=True)
    assert "3 mails go out from here at once" in page
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version is not None
    assert post(client, f"{SCREEN}/resume", version=int(version.group(1)) - 1) == 409
    assert post(client, f"{SCREEN}/resume") == 422
    assert pause_of_all() is not None
    assert post(client, f"{SCREEN}/resume", version=version.group(1)) == 303
    assert pause_of_all() is None
    assert outbound.outbound().fingerprint == outbound.fingerprint()
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "sending.resume")).one()
    assert entry.actor_id == cast.root.id
    assert entry.before is not None
    assert entry.before["reason"] == outbound.RESTORED
    assert entry.after == {"sending": "on"}
    assert post(client, f"{SCREEN}/resume", version=outbound.outbound().version) == 422


@pytest.mark.parametrize("name", ["olaf", "ada"])
def test_only_admins_steer(sign_in: Callable[..., FlaskClient], cast: Cast, name: str) -> None:
    client = sign_in(getattr(cast, name))
    assert client.get(SCREEN).status_code == 403
    token = token_in(client, "/admin/")
    for action in ("pause", "resume"):
        assert client.post(f"{SCREEN}/{action}", data={"csrf_token": token}).status_code == 403
    assert pause_of_all() is None


def test_an_unchanged_screen_is_answered_304(sign_in: SignIn, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.utcnow()
    monkeypatch.setattr(clock, "utcnow", lambda: now)
    client = sign_in(cast.root)
    first = client.get(SCREEN, headers={"HX-Request": "true"})
    again = client.get(SCREEN, headers={"HX-Request": "true", "If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
