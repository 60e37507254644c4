"""Somebody's own day: what is theirs and open, a status with one press, a message and a photo."""

import io
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import clock
from portal.extensions import db
from portal.files.models import StoredFile
from portal.jobs.rules import Role, WorkKind
from portal.messages.models import Message
from tests.admin.jobs.conftest import Make, fresh, number, post, status_id
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in
from tests.files.contents import photo

OWN = "/admin/my-work"


def test_it_holds_what_is_open_and_theirs_in_the_order_of_the_day(
    cast: Cast, sign_in: SignIn, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, mine = NOW, {"assignee_id": cast.olaf.id}
    monkeypatch.setattr(clock, "utcnow", lambda: now)
    make("Long due", starts_at=now - timedelta(days=3), ends_at=now - timedelta(days=2), **mine)
    make("Before long", starts_at=now + timedelta(hours=1), **mine)
    make("In three days", starts_at=now + timedelta(days=3), **mine)
    make("In a month", starts_at=now + timedelta(days=30), **mine)
    make("Some time", kind=WorkKind.QUOTE, **mine)
    make("Somebody else's", assignee_id=cast.ada.id, starts_at=now)
    make("Done", Role.COMPLETED, starts_at=now, **mine)
    client = sign_in(cast.olaf)
    page = client.get(OWN).text
    shown = [
        "Overdue",
        "Long due",
        "Today",
        "Before long",
        "Next seven days",
        "In three days",
        "Not planned",
        "Some time",
    ]
    places = [page.index(words) for words in shown]
    assert places == sorted(places)
    assert not [words for words in ("In a month", "Somebody else", ">Done<") if words in page]
    assert "Nothing to do" in sign_in(cast.root).get(OWN).text
    assert client.get(OWN, headers={"HX-Request": "true"}).text.lstrip().startswith('<div class="jobs own-work"')


def test_a_day_asks_as_often_for_much_as_for_little(cast: Cast, sign_in: SignIn, make: Make) -> None:
    client, counts = sign_in(cast.olaf), []
    for _more in range(2):
        for place in range(3):
            make(f"Job {place}", assignee_id=cast.olaf.id, starts_at=clock.utcnow() + timedelta(days=place))
        client.get(OWN)
        with counted_queries() as statements:
            client.get(OWN)
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_a_status_is_one_press_and_never_over_somebody_else(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Door", Role.SCHEDULED, assignee_id=cast.olaf.id)
    client, path = sign_in(cast.olaf), f"{OWN}/{number(item)}"
    seen = item.version
    assert 'name="status"' in client.get(path).text
    assert post(client, f"{path}/move", version=seen, status=status_id(Role.IN_PROGRESS))[0] == 303
    assert fresh(item).status_id == status_id(Role.IN_PROGRESS)
    status, page = post(client, f"{path}/move", version=seen, status=status_id(Role.COMPLETED))
    assert (status, "since you looked" in page) == (409, True)
    assert fresh(item).status_id == status_id(Role.IN_PROGRESS)
    assert post(client, f"{path}/move", version=fresh(item).version, status=status_id(Role.COMPLETED))[0] == 303
    again = {"version": fresh(item).version, "status": status_id(Role.IN_PROGRESS)}
    status, page = post(client, f"{path}/move", **again)
    assert (status, "Say why it is taken up again" in page) == (422, True)
    assert post(client, f"{path}/move", **again, reason="The door sticks")[0] == 303
    for wrong in ({"version": "x", "status": "1"}, {"version": 1}, {"version": 1, "status": "9" * 12}):
        assert post(client, f"{path}/move", **wrong)[0] == 422
    for missing in ("J-999999", "X-1", "J-0"):
        assert client.get(f"{OWN}/{missing}").status_code == 404


def test_a_message_and_a_photo_are_sent_from_where_the_work_is(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Door", Role.IN_PROGRESS, assignee_id=cast.olaf.id, contact_id=cast.alice.id)
    client, path = sign_in(cast.olaf), f"{OWN}/{number(item)}"
    page = client.get(path).text
    assert "capture" in page
    assert f'action="/admin/messages/job/{number(item)}"' in page
    token = token_in(client, OWN)
    sent = {"csrf_token": token, "key": "k", "body": "It is open.", "files": (io.BytesIO(photo(900, 600)), "door.jpg")}
    assert client.post(f"/admin/messages/job/{number(item)}", data=sent).status_code == 303
    assert db.session.scalars(select(Message.body)).all() == ["It is open."]
    file = db.session.scalars(select(StoredFile)).one()
    assert (file.name, file.subject_id) == ("door.jpg", item.id)
    assert file.public_id in client.get(path).text
    assert file.public_id in sign_in(cast.alice).get(f"/jobs/{number(item)}").text


def test_whoever_only_looks_has_nothing_to_press(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Door", assignee_id=cast.ada.id)
    client, path = sign_in(cast.ada), f"{OWN}/{number(item)}"
    assert 'name="status"' not in client.get(path).text
    assert post(client, f"{path}/move", version=item.version, status=status_id(Role.SCHEDULED))[0] == 403
    assert fresh(item).status_id == status_id(Role.REQUESTED)
