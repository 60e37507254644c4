"""Scheduled service on its screens: where it stands, and moving, cancelling and finishing it."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock
from portal.extensions import db
from portal.notifications.models import Broadcast
from portal.services.actions.clockwork import look_after
from portal.services.models import ServiceUpdate, ServiceWindow
from portal.services.rules import ServiceStatus, UpdateKind, Wanted, WindowState
from tests.admin.services.conftest import fields_of, last_update, post, soup, state, windows
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World

LIST = "/admin/services/windows"
HOUR = timedelta(hours=1)


def planned(world: World, starts_in: timedelta = 72 * HOUR, lasts: timedelta = 2 * HOUR, **more: Any) -> ServiceWindow:
    """A window on what company A holds, announced a while ago."""
    now = clock.utcnow().replace(second=0, microsecond=0)
    wanted = Wanted(
        ServiceStatus.SCHEDULED, "New switch.", now + starts_in, now + starts_in + lasts, "Europe/London", **more
    )
    state([world.holding_a.id], wanted, min(now, now + starts_in) - HOUR, key=f"{starts_in}{lasts}")
    return windows()[-1]


def opened(client: FlaskClient, window: ServiceWindow, do: str) -> dict[str, Any]:
    return fields_of(client, f"{LIST}/{window.id}?do={do}", "window-form")


def fresh(window: ServiceWindow) -> ServiceWindow:
    db.session.refresh(window)
    return window


def wall(moment: datetime) -> str:
    """As a clock in London shows it, which is what the form is filled in with."""
    return f"{moment.astimezone(ZoneInfo('Europe/London')):%Y-%m-%dT%H:%M}"


def test_each_stands_where_the_clock_says(world: World, cast: Cast, sign_in: SignIn) -> None:
    ahead, under_way = planned(world), planned(world, -HOUR)
    ended = planned(world, -5 * HOUR, 6 * HOUR)
    ended.ends_at, ended.state = clock.utcnow() - HOUR, WindowState.ENDED
    cancelled = planned(world, 100 * HOUR)
    cancelled.state, cancelled.ended_at = WindowState.CANCELLED, clock.utcnow()
    db.session.commit()
    client = sign_in(cast.olaf)
    for show, window in (("ahead", ahead), ("under-way", under_way), ("unconfirmed", ended), ("past", cancelled)):
        page = soup(client.get(f"{LIST}?show={show}"))
        links = [each["href"] for each in page.select(".window-lines a")]
        assert links == [f"{LIST}/{window.id}"], show
        assert client.get(links[0]).status_code == 200
    assert [each.get_text() for each in page.select(".tabs .count")] == ["1", "1", "1"]
    assert client.get(f"{LIST}?show=x").status_code == 404
    assert client.get(f"{LIST}?page=2").status_code == 404
    assert client.get(f"{LIST}/99999").status_code == 404


def test_it_is_moved_with_a_notice(world: World, cast: Cast, sign_in: SignIn) -> None:
    window = planned(world)
    client = sign_in(cast.ada)
    later = window.starts_at + 24 * HOUR
    fields = opened(client, window, "move") | {
        "starts_at": wall(later),
        "ends_at": wall(later + HOUR),
        "notes": "Parts.",
    }
    seen = client.post(f"{LIST}/{window.id}/preview?do=move", data=fields).get_data(as_text=True)
    assert "Scheduled service is moved" in seen
    assert "Alice" in seen
    before = db.session.scalar(select(func.count()).select_from(Broadcast)) or 0
    assert post(client, f"{LIST}/{window.id}/move", fields).status_code == 303
    assert (fresh(window).starts_at, window.ends_at, window.sequence) == (later, later + HOUR, 1)
    assert last_update().kind is UpdateKind.MOVED
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == before + 1
    assert post(client, f"{LIST}/{window.id}/move", fields).status_code == 303
    assert db.session.scalar(select(func.count()).select_from(ServiceUpdate)) == 2


def test_one_under_way_is_extended_and_finished(world: World, cast: Cast, sign_in: SignIn) -> None:
    window = planned(world, -HOUR)
    client = sign_in(cast.ada)
    fields = opened(client, window, "move")
    assert "starts_at" not in fields
    longer = window.ends_at + HOUR
    assert post(client, f"{LIST}/{window.id}/move", fields | {"ends_at": wall(longer)}).status_code == 303
    assert (fresh(window).ends_at, window.state) == (longer, WindowState.STARTED)
    done = opened(client, window, "finish") | {"notes": "All new."}
    del done["notify"]
    assert post(client, f"{LIST}/{window.id}/finish", done).status_code == 303
    assert fresh(window).confirmed_at is not None
    assert last_update().kind is UpdateKind.FINISHED
    page = soup(client.get(f"{LIST}/{window.id}"))
    assert page.find(id="window-form") is None


def test_what_ended_by_itself_is_confirmed_without_a_notice(world: World, cast: Cast, sign_in: SignIn) -> None:
    window = planned(world, -3 * HOUR, HOUR + timedelta(minutes=59))
    look_after(window.id, clock.utcnow())
    db.session.commit()
    assert fresh(window).state is WindowState.ENDED
    client = sign_in(cast.ada)
    page = client.get(f"{LIST}/{window.id}").get_data(as_text=True)
    assert "Nobody has said yet that the work is done." in page
    assert "Nothing is sent" in page
    updates = db.session.scalar(select(func.count()).select_from(ServiceUpdate))
    fields = opened(client, window, "finish")
    for _click in range(2):
        assert post(client, f"{LIST}/{window.id}/finish", fields).status_code == 303
    assert fresh(window).confirmed_at is not None
    assert db.session.scalar(select(func.count()).select_from(ServiceUpdate)) == updates


def test_one_of_a_zone_nobody_chooses_any_more_opens_in_utc(world: World, cast: Cast, sign_in: SignIn) -> None:
    window = planned(world)
    window.zone = "Zulu"
    db.session.commit()
    client = sign_in(cast.ada)
    assert client.get(f"{LIST}/{window.id}").status_code == 200
    fields = opened(client, window, "move")
    assert (fields["zone"], fields["starts_at"]) == ("UTC", f"{window.starts_at:%Y-%m-%dT%H:%M}")
    assert post(client, f"{LIST}/{window.id}/cancel", opened(client, window, "cancel")).status_code == 303


def test_it_is_cancelled(world: World, cast: Cast, sign_in: SignIn) -> None:
    window = planned(world)
    client = sign_in(cast.ada)
    fields = opened(client, window, "cancel") | {"notes": "No parts."}
    assert "is cancelled" in client.post(f"{LIST}/{window.id}/preview?do=cancel", data=fields).get_data(as_text=True)
    assert post(client, f"{LIST}/{window.id}/cancel", fields).status_code == 303
    assert fresh(window).state is WindowState.CANCELLED
    again = opened_form(fields)
    answer = post(client, f"{LIST}/{window.id}/cancel", again | {"version": str(window.version)})
    assert answer.status_code == 422
    assert "nothing left to cancel" in answer.get_data(as_text=True)


def opened_form(fields: dict[str, Any]) -> dict[str, Any]:
    """The same form opened once more: it has a key of its own."""
    return fields | {"key": "another-key-of-a-form"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"starts_at": ""}, "Say when the work starts."),
        ({"ends_at": ""}, "Say when the work ends."),
        ({"starts_at": "2027-03-28T01:30", "ends_at": "2027-03-28T05:00"}, "01:30 does not exist"),
        ({"starts_at": "2027-10-31T01:30", "ends_at": "2027-10-31T05:00"}, "comes twice"),
        ({"zone": "Nowhere"}, "Choose a time zone"),
        ({"notes": "Until [time]."}, "[time]"),
        ({}, "These are the times it has."),
    ],
)
def test_a_refusal_stands_beside_its_field(
    world: World, cast: Cast, sign_in: SignIn, changes: dict[str, str], sentence: str
) -> None:
    window = planned(world)
    client = sign_in(cast.ada)
    answer = post(client, f"{LIST}/{window.id}/move", opened(client, window, "move") | changes)
    assert answer.status_code == 422
    page = soup(answer)
    assert any(sentence in each.get_text() for each in page.select(".field-error, .form-errors li"))
    assert changes.get("notes", "") in page.select_one("#notes").get_text()  # type: ignore[union-attr]


def test_two_who_change_it_at_once_are_told_and_nothing_is_lost(world: World, cast: Cast, sign_in: SignIn) -> None:
    window = planned(world)
    ada, root = sign_in(cast.ada), sign_in(cast.root)
    first, second = opened(ada, window, "cancel"), opened(root, window, "move") | {"notes": "Later, please."}
    second |= {"ends_at": wall(window.ends_at + HOUR)}
    later = opened(ada, window, "move") | {"ends_at": wall(window.ends_at + 2 * HOUR), "key": "k1"}
    assert post(ada, f"{LIST}/{window.id}/move", later).status_code == 303
    answer = post(root, f"{LIST}/{window.id}/move", second)
    assert answer.status_code == 409
    assert "Somebody has changed this window in the meantime" in answer.get_data(as_text=True)
    assert "Later, please." in answer.get_data(as_text=True)
    again = second | {"version": soup(answer).select_one('#window-form [name="version"]')["value"]}  # type: ignore[index]
    assert post(root, f"{LIST}/{window.id}/move", again).status_code == 303
    assert post(ada, f"{LIST}/{window.id}/cancel", first).status_code == 409


def test_office_looks_only(world: World, cast: Cast, sign_in: SignIn) -> None:
    window = planned(world)
    client = sign_in(cast.olaf)
    page = client.get(f"{LIST}/{window.id}")
    assert soup(page).find(id="window-form") is None
    token = {"csrf_token": soup(page).select_one('meta[name="csrf-token"]')["content"]}  # type: ignore[index]
    for step in ("move", "cancel", "finish", "preview"):
        assert post(client, f"{LIST}/{window.id}/{step}", token).status_code == 403


def test_lists_ask_as_often_however_long_they_are(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    planned(world)
    with counted_queries() as one:
        client.get(LIST)
    for number in range(12):
        planned(world, (80 + number) * HOUR)
    with counted_queries() as many:
        page = client.get(LIST)
    assert len(soup(page).select(".window-lines > li")) == 13
    assert len(many) == len(one)
    with counted_queries() as single:
        client.get(f"{LIST}/{windows()[0].id}")
    assert len(single) <= 38
