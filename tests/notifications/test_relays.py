"""Relays with rates, budgets and an order: what is claimed for which, on the session and so on both databases."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal import sealing
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from portal.notifications import actions, leases, outlook, relays, results
from portal.notifications.actions.relays import (
    MOST_RELAYS,
    Address,
    Load,
    add_relay,
    arrange_relays,
    edit_relay,
    mend_relay,
    order_version,
    remove_relay,
    step_relay,
    switch_relay,
)
from portal.notifications.leases import Claim
from portal.notifications.models import RELAY_PASSWORD, Broadcast, Delivery, Relay, RelayUse, Slice
from portal.notifications.profiles import Profile, Security
from portal.notifications.rules import DeliveryState, Failure, RelayState
from tests.conftest import NOW, counted_queries
from tests.notifications.outbox import TEST_KIND, known, queue, states

SERVER = Address("smtp.example.com", None, Security.STARTTLS, "me", "right")
NO_LOGIN = Address("smtp.example.com")


@pytest.fixture(autouse=True)
def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that is more urgent than the usual one and one that is less."""
    known(monkeypatch, replace(TEST_KIND, name="report", priority=10))
    known(monkeypatch, replace(TEST_KIND, name="newsletter", topic="news", priority=60))


@pytest.fixture
def house(session: None, app: Flask) -> Settings:
    found: Settings = app.config["SETTINGS"]
    relays.prepare_relays(found)
    db.session.flush()
    return found


def default() -> Relay:
    return db.session.scalars(select(Relay).where(Relay.host.is_(None))).one()


def add(name: str, address: Address = NO_LOGIN, **load: object) -> Relay:
    return add_relay(name, address, Load(**load), by=SYSTEM, now=NOW)  # type: ignore[arg-type]


def limit(**limits: int | None) -> Relay:
    """The relay of the settings with these limits."""
    db.session.execute(update(Relay).where(Relay.host.is_(None)).values(profile=Profile.CUSTOM, **limits))
    return default()


def people(count: int, mark: str = "x") -> list[dict[str, str]]:
    return [{"address": f"{mark}{number}@x.test"} for number in range(count)]


def offer(claim: Claim, now: datetime, *, count: int | None = None) -> int:
    """Mark the mails of a claim as being sent, as the loop does."""
    taken = list(claim.deliveries)[:count]
    granted = results.store_and_mark(
        db.session.connection(),
        (),
        taken,
        offered={claim.slice_id: {each.id: now for each in taken}},
        relay_id=claim.relay_id,
        is_bounded=claim.is_bounded,
        now=now,
    )
    return len(granted)


def finish(claim: Claim) -> None:
    """The server has taken all of them, and the slice is closed."""
    mine = [each.id for each in claim.deliveries]
    db.session.execute(update(Delivery).where(Delivery.id.in_(mine)).values(state=DeliveryState.SENT))
    leases.close_slices([claim.slice_id])


def drive(house: Settings, seconds: int, owners: Sequence[str], *, each_second: int = 2) -> list[tuple[datetime, str]]:
    """Several processes claim in turn for so long; returns when a mail was offered, and over which relay."""
    sent = []
    names = dict(db.session.execute(select(Relay.id, Relay.name)).all())
    for step in range(seconds * each_second):
        now = NOW + timedelta(seconds=step / each_second)
        claim = leases.claim(owners[step % len(owners)], house, now=now)
        if claim is not None:
            sent += [(now, names[claim.relay_id])] * offer(claim, now)
            finish(claim)
    return sent


# --- rates ------------------------------------------------------------------------------------------------------------


def test_thirty_a_minute_over_several_processes_and_the_edges_of_the_minute(house: Settings) -> None:
    limit(per_minute=30)
    queue("incident:1", people(120), now=NOW)
    moments = [moment for moment, _relay in drive(house, 130, ["one", "two", "three"])]
    assert 60 <= len(moments) <= 66
    for moment in moments:
        assert sum(moment - timedelta(minutes=1) < other <= moment for other in moments) <= 30


def test_the_next_relay_takes_what_the_first_has_no_room_for(house: Settings) -> None:
    limit(per_minute=30)
    add("own", profile=Profile.UNLIMITED)
    queue("incident:1", people(60), now=NOW)
    sent = drive(replace(house, slice_size=5), 10, ["one"])
    assert len(sent) == 60
    through = [relay for _moment, relay in sent]
    assert through.count("default") in range(2, 8)
    assert through.count("own") == 60 - through.count("default")


def test_a_day_is_24_hours_and_not_a_date(house: Settings) -> None:
    relay = limit(per_day=10)
    queue("incident:1", people(40), now=NOW)
    first = leases.claim("one", house, now=NOW)
    assert first is not None
    assert offer(first, NOW) == 10
    finish(first)
    for later in (timedelta(minutes=1), timedelta(hours=13), timedelta(hours=24)):
        assert leases.claim("one", house, now=NOW + later) is None
    comes_at = relays.room_comes_at("one", house, NOW + timedelta(hours=1))
    assert comes_at == NOW + timedelta(hours=24, minutes=10)
    assert outlook.health_of([relay], NOW + timedelta(hours=1))[0].look == "full"
    db.session.execute(update(Broadcast).values(expires_at=NOW + timedelta(days=3)))
    again = leases.claim("one", house, now=comes_at)
    assert again is not None
    assert len(again.deliveries) == 10


def test_what_is_handed_back_gives_its_budget_back(house: Settings) -> None:
    limit(per_day=10)
    queue("incident:1", people(40), now=NOW)
    found = leases.claim("one", house, now=NOW)
    assert found is not None
    assert offer(found, NOW, count=3) == 3
    assert leases.claim("one", house, now=NOW) is None
    leases.hand_back([each.id for each in list(found.deliveries)[3:]], [found.slice_id])
    again = leases.claim("one", house, now=NOW)
    assert again is not None
    # Those three may not have been answered yet, so they count as claimed as well as given.
    assert len(again.deliveries) in {4, 7}


def test_the_budget_of_a_process_that_died_comes_back_with_its_lease(house: Settings) -> None:
    limit(per_day=10)
    queue("incident:1", people(40), now=NOW)
    assert leases.claim("one", house, now=NOW) is not None
    assert leases.claim("two", house, now=NOW) is None
    later = NOW + timedelta(seconds=house.lease_seconds + 1)
    found = leases.claim("two", house, now=later)
    assert found is not None
    assert len(found.deliveries) == 10


def test_a_relay_without_limits_is_counted_for_the_screen_alone(house: Settings) -> None:
    queue("incident:1", people(20), now=NOW)
    with counted_queries() as statements:
        found = leases.claim("one", house, now=NOW)
        assert found is not None
        offer(found, NOW)
    assert not [each for each in statements if "relay_use" in each]


def test_what_was_given_is_counted_in_spans_and_forgotten_in_time(house: Settings) -> None:
    relay, connection = default(), db.session.connection()
    for seconds in (0, 0.4, 1, 700):
        relays.count_use(
            connection,
            relay_id=relay.id,
            now=NOW + timedelta(seconds=seconds),
            use={"offered": 2, "taken": 1, "refused": 1},
        )
    rows = db.session.execute(select(RelayUse.span, RelayUse.offered).order_by(RelayUse.span, RelayUse.began_at)).all()
    assert [tuple(row) for row in rows] == [(1, 4), (1, 2), (1, 2), (600, 6), (600, 2)]
    health = outlook.health_of([relay], NOW + timedelta(seconds=701))[0]
    assert (health.minute.taken, health.hour.taken, health.day.taken) == (1, 4, 4)
    assert health.day.share == 0.5
    relays.forget_use(NOW + timedelta(hours=1))
    assert db.session.scalar(select(func.count()).select_from(RelayUse)) == 2
    relays.forget_use(NOW + timedelta(days=3))
    assert db.session.scalar(select(func.count()).select_from(RelayUse)) == 0


# --- order, failover, hands -------------------------------------------------------------------------------------------


def test_the_order_decides_and_a_resting_relay_hands_over(house: Settings) -> None:
    first, second = default(), add("second")
    queue("incident:1", people(30), now=NOW)
    small = replace(house, slice_size=5)

    def through() -> int | None:
        found = leases.claim("one", small, now=NOW)
        if found is None:
            return None
        leases.close_slices([found.slice_id])
        return found.relay_id

    assert through() == first.id
    step_relay(second.id, -1, version=order_version(outlook.relays_in_order()), by=SYSTEM, now=NOW)
    assert through() == second.id
    relays.rest_relay(second.id, Failure.RELAY, "421 4.3.2 later", NOW)
    assert through() == first.id
    relays.rest_relay(first.id, Failure.CONFIGURATION, "535 5.7.8 no", NOW)
    assert through() is None
    assert outlook.waiting_until(NOW) == NOW + timedelta(seconds=60)
    mend_relay(first.id, by=SYSTEM, now=NOW)
    assert through() == first.id


def test_health_is_written_past_the_version_so_that_a_form_stays_good(house: Settings) -> None:
    relay = add("second", SERVER)
    version = relay.version
    relays.rest_relay(relay.id, Failure.RELAY, "421 later", NOW)
    relays.relay_works(relay.id)
    relays.note_claimed(limit(per_minute=30), 3, NOW)
    db.session.expire_all()
    edit_relay(relay, "third", SERVER, Load(), version=version, by=SYSTEM, now=NOW)
    assert relay.name == "third"


def test_connections_are_bounded_over_all_processes(house: Settings) -> None:
    relay = add("second", connections=3)
    switch_relay(default(), off=True, version=default().version, by=SYSTEM, now=NOW)
    queue("incident:1", people(30), now=NOW)
    small = replace(house, slice_size=2)
    found = leases.claim("one", small, now=NOW)
    assert found is not None
    assert found.connections == 3
    assert leases.claim("two", small, now=NOW) is None
    leases.close_slices([found.slice_id])
    assert leases.claim("two", small, now=NOW) is not None
    assert relays.free_connections(relay, "three", small, NOW) == 0


@pytest.mark.parametrize("how", ["off", "removed"])
def test_a_relay_that_is_put_away_gets_nothing_any_more(house: Settings, how: str) -> None:
    relay = add("second")
    step_relay(relay.id, -1, version=order_version(outlook.relays_in_order()), by=SYSTEM, now=NOW)
    queue("incident:1", people(3), now=NOW)
    if how == "off":
        switch_relay(relay, off=True, version=relay.version, by=SYSTEM, now=NOW)
    else:
        remove_relay(relay, version=relay.version, by=SYSTEM, now=NOW)
    assert relays.put_away([relay.id, default().id]) == {relay.id}
    found = leases.claim("one", house, now=NOW)
    assert found is not None
    assert found.relay_id == default().id


def test_a_password_sealed_with_a_lost_key_waits_for_an_admin_and_stops_no_other_relay(house: Settings) -> None:
    relay = add("second", SERVER)
    relay.password_sealed = "not ours"
    step_relay(relay.id, -1, version=order_version(outlook.relays_in_order()), by=SYSTEM, now=NOW)
    queue("incident:1", people(3), now=NOW)
    found = leases.claim("one", house, now=NOW)
    assert found is not None
    assert found.relay_id == default().id
    db.session.expire_all()
    assert relay.state is RelayState.BROKEN
    assert relay.last_answer == relays.UNREADABLE


# --- fairness ---------------------------------------------------------------------------------------------------------


def next_ones(settings: Settings, now: datetime, *, at_most: int = 1) -> list[str]:
    found = leases.claim("one", settings, now=now, at_most=at_most)
    if found is None:
        return []
    offer(found, now)
    addresses = [each.address for each in found.deliveries]
    finish(found)
    return addresses


def test_an_incident_goes_before_five_thousand_newsletters_even_at_thirty_a_minute(house: Settings) -> None:
    limit(per_minute=30)
    newsletter = queue("news:1", people(600, "news"), now=NOW, kind="newsletter")
    while actions.expand_step(newsletter.id, NOW):
        pass
    at = NOW
    for _ in range(120):
        at += timedelta(seconds=1)
        next_ones(house, at)
    queue("incident:1", people(3, "urgent"), now=at, kind="report")
    came: list[str] = []
    began = at
    while len([each for each in came if each.startswith("urgent")]) < 3:
        at += timedelta(seconds=1)
        came += next_ones(house, at)
        assert at - began < timedelta(seconds=30)
    assert came == ["urgent0@x.test", "urgent1@x.test", "urgent2@x.test"]


def test_broadcasts_of_the_same_urgency_take_turns_at_a_slow_relay(house: Settings) -> None:
    limit(per_minute=30)
    queue("news:1", people(400, "a"), now=NOW, kind="newsletter")
    queue("news:2", people(40, "b"), now=NOW + timedelta(seconds=1), kind="newsletter")
    came: list[str] = []
    for step in range(80):
        came += next_ones(house, NOW + timedelta(seconds=2 + step))
    firsts = [each[0] for each in came]
    assert abs(firsts.count("a") - firsts.count("b")) <= 1


def test_the_affected_come_first_however_many_others_there_are(house: Settings) -> None:
    limit(per_minute=30)
    others = [{"address": f"other{number}@x.test", "priority": 40} for number in range(50)]
    affected = [{"address": f"affected{number}@x.test", "priority": 0} for number in range(5)]
    queue("incident:1", [*others, *affected], now=NOW, kind="report")
    came: list[str] = []
    for step in range(30):
        came += next_ones(house, NOW + timedelta(seconds=step))
    assert [each.startswith("affected") for each in came[:6]] == [True] * 5 + [False]


def test_what_waits_before_counts_as_far_as_it_goes_before(house: Settings) -> None:
    limit(per_minute=60)
    queue("news:1", people(300, "a"), now=NOW, kind="newsletter")
    queue("incident:1", people(30, "b"), now=NOW, kind="report")
    assert outlook.waiting_ahead(10, 100) == 30
    assert outlook.waiting_ahead(60, 100) == 30 + 100
    assert outlook.waiting_ahead(60, 1000) == 30 + 300
    assert outlook.arrival(60, NOW, priority=0).seconds == 60
    assert outlook.arrival(60, NOW, priority=60).seconds == 60 + 30 + 60


# --- by hand ----------------------------------------------------------------------------------------------------------


def audited() -> list[AuditEntry]:
    db.session.flush()
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.noun == "relay").order_by(AuditEntry.id)))


def test_a_password_is_sealed_and_told_to_nobody(house: Settings) -> None:
    relay = add("second", replace(SERVER, password="correct-horse"))
    assert relay.password_sealed is not None
    assert "correct-horse" not in relay.password_sealed
    assert sealing.unseal(relay.password_sealed, RELAY_PASSWORD) == "correct-horse"
    assert relays.route_of(relay, house, NOW) == "smtp+starttls://me:correct-horse@smtp.example.com:587"
    edit_relay(
        relay, "second", replace(SERVER, password="battery-staple"), Load(), version=relay.version, by=SYSTEM, now=NOW
    )
    remove_relay(relay, version=relay.version, by=SYSTEM, now=NOW)
    told = str([(each.before, each.after) for each in audited()])
    assert [each.action for each in audited()] == ["relay.add", "relay.edit", "relay.remove"]
    assert "correct-horse" not in told
    assert "battery-staple" not in told
    assert "smtp.example.com" in told
    assert [relay.password_sealed, relay.username] == [None, None]


def test_an_empty_password_keeps_the_stored_one(house: Settings) -> None:
    relay = add("second", SERVER)
    sealed = relay.password_sealed
    edit_relay(relay, "third", replace(SERVER, password=""), Load(), version=relay.version, by=SYSTEM, now=NOW)
    assert (relay.name, relay.password_sealed) == ("third", sealed)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"host": "evil.example.com"},
        {"port": 2525},
        {"username": "other"},
        {"security": Security.NONE},
    ],
)
def test_a_stored_password_goes_to_no_other_server_or_user(house: Settings, elsewhere: dict[str, object]) -> None:
    relay = add("second", SERVER)
    moved = replace(SERVER, **{"password": "", "port": 587, **elsewhere})  # type: ignore[arg-type]
    with pytest.raises(RuleViolation) as refused:
        edit_relay(relay, "second", moved, Load(), version=relay.version, by=SYSTEM, now=NOW)
    assert refused.value.field == "password"


def test_a_user_that_is_taken_away_takes_the_password_along(house: Settings) -> None:
    relay = add("second", SERVER)
    edit_relay(relay, "second", NO_LOGIN, Load(), version=relay.version, by=SYSTEM, now=NOW)
    assert [relay.username, relay.password_sealed] == [None, None]


@pytest.mark.parametrize(
    ("address", "load", "field"),
    [
        (replace(SERVER, security=Security.NONE), Load(), "security"),
        (replace(SERVER, password=""), Load(), "password"),
        (replace(SERVER, username=""), Load(), "username"),
        (replace(SERVER, username="me\nAUTH"), Load(), "username"),
        (replace(SERVER, password="p\r\nw"), Load(), "password"),
        (replace(SERVER, port=0), Load(), "port"),
        (replace(SERVER, port=65_536), Load(), "port"),
        (replace(SERVER, sender="me@x.test\r\nBcc: all@x.test"), Load(), "sender"),
        (replace(SERVER, sender="nobody"), Load(), "sender"),
        (replace(SERVER, sender="müller@x.test"), Load(), "sender"),
        (replace(SERVER, host="smtp.x\nSECRET_KEY=pwn"), Load(), "host"),
        (SERVER, Load(Profile.CUSTOM), "per_minute"),
        (SERVER, Load(Profile.CUSTOM, per_minute=0), "per_minute"),
        (SERVER, Load(Profile.CUSTOM, per_minute=10**9), "per_minute"),
        (SERVER, Load(per_day=0), "per_day"),
        (SERVER, Load(Profile.GOOGLE_WORKSPACE, per_day=2_001), "per_day"),
        (SERVER, Load(connections=0), "connections"),
        (SERVER, Load(connections=101), "connections"),
    ],
)
def test_what_cannot_be_used_is_refused_beside_its_field(
    house: Settings, address: Address, load: Load, field: str
) -> None:
    with pytest.raises(RuleViolation) as refused:
        add_relay("second", address, load, by=SYSTEM, now=NOW)
    assert refused.value.field == field


def test_a_password_may_stay_within_this_machine_unencrypted(house: Settings) -> None:
    relay = add("local", Address("127.0.0.1", 2525, Security.NONE, "me", "right"))
    assert relays.route_of(relay, house, NOW) == "smtp://me:right@127.0.0.1:2525"


@pytest.mark.parametrize(
    ("load", "limits"),
    [
        (Load(Profile.MICROSOFT_365), (30, 10_000)),
        (Load(Profile.MICROSOFT_365, per_day=4_000), (30, 4_000)),
        (Load(Profile.GOOGLE_WORKSPACE), (None, 2_000)),
        (Load(Profile.UNLIMITED), (None, None)),
        (Load(Profile.UNLIMITED, per_day=500), (None, 500)),
        (Load(Profile.CUSTOM, per_minute=100), (100, None)),
        (Load(Profile.UNLIMITED, per_minute=7), (None, None)),
    ],
)
def test_a_profile_says_what_a_relay_takes(house: Settings, load: Load, limits: tuple[int | None, int | None]) -> None:
    relay = add_relay("second", SERVER, load, by=SYSTEM, now=NOW)
    assert (relay.per_minute, relay.per_day) == limits


def test_a_name_is_taken_once_whatever_its_case_and_free_after_removal(house: Settings) -> None:
    relay = add("Office")
    with pytest.raises(RuleViolation):
        add(" OFFICE ")
    with pytest.raises(RuleViolation):
        add("two\nlines")
    remove_relay(relay, version=relay.version, by=SYSTEM, now=NOW)
    assert add("Office").id != relay.id


def test_a_stale_form_changes_nothing(house: Settings) -> None:
    relay = add("second", SERVER)
    old = relay.version
    switch_relay(relay, off=True, version=old, by=SYSTEM, now=NOW)
    steps: list[Callable[[], None]] = [
        lambda: edit_relay(relay, "x", SERVER, Load(), version=old, by=SYSTEM, now=NOW),
        lambda: switch_relay(relay, off=False, version=old, by=SYSTEM, now=NOW),
        lambda: remove_relay(relay, version=old, by=SYSTEM, now=NOW),
        lambda: arrange_relays([relay.id, default().id], version=1, by=SYSTEM, now=NOW),
        lambda: step_relay(relay.id, 1, version=1, by=SYSTEM, now=NOW),
    ]
    for step in steps:
        with pytest.raises(StaleEdit):
            step()


def test_the_order_holds_all_of_them_and_nothing_else(house: Settings) -> None:
    second, third = add("second"), add("third")
    ids = [third.id, default().id, second.id]
    version = order_version(outlook.relays_in_order())
    for wrong in (ids[:2], [*ids, 0], [ids[0], ids[0], ids[1]], []):
        with pytest.raises(StaleEdit):
            arrange_relays(wrong, version=version, by=SYSTEM, now=NOW)
    arrange_relays(ids, version=version, by=SYSTEM, now=NOW)
    db.session.expire_all()
    assert [each.id for each in outlook.relays_in_order()] == ids
    assert audited()[-1].after == {"order": ["third", "default", "second"]}


def test_the_relay_of_the_settings_stays_and_changes_in_its_profile_alone(house: Settings) -> None:
    relay = default()
    with pytest.raises(RuleViolation):
        remove_relay(relay, version=relay.version, by=SYSTEM, now=NOW)
    edit_relay(relay, "other", None, Load(Profile.MICROSOFT_365), version=relay.version, by=SYSTEM, now=NOW)
    assert (relay.name, relay.host, relay.per_minute) == ("default", None, 30)
    assert relays.route_of(relay, house, NOW) == house.smtp_url


def test_there_are_only_so_many(house: Settings) -> None:
    for number in range(MOST_RELAYS - 1):
        add(f"relay {number}")
    with pytest.raises(RuleViolation):
        add("one too many")


def test_a_changed_relay_is_trusted_again(house: Settings) -> None:
    relay = add("second", SERVER)
    relays.rest_relay(relay.id, Failure.CONFIGURATION, "535 5.7.8 no", NOW)
    edit_relay(relay, "second", replace(SERVER, password="better"), Load(), version=relay.version, by=SYSTEM, now=NOW)
    assert relay.state is RelayState.UP
    with pytest.raises(NotFound):
        mend_relay(10**9, by=SYSTEM, now=NOW)


def test_a_slice_of_a_removed_relay_is_given_back(house: Settings) -> None:
    relay = add("second")
    step_relay(relay.id, -1, version=order_version(outlook.relays_in_order()), by=SYSTEM, now=NOW)
    queue("incident:1", people(3), now=NOW)
    assert leases.claim("one", house, now=NOW) is not None
    remove_relay(relay, version=relay.version, by=SYSTEM, now=NOW)
    assert db.session.scalar(select(func.count()).select_from(Slice)) == 1
    leases.release_expired(NOW + timedelta(seconds=house.lease_seconds + 1))
    assert states() == {"pending": 3}
