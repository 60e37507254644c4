"""Who hears of planned work, what they read, and what their calendars and programs are told."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from icalendar import Calendar
from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.catalogue.rules import component_topic, service_topic
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.actions import announcing
from portal.incidents.calendars import OBJECTS_AT_MOST, Account, Note, own_lines, sequence_of, uid_of
from portal.incidents.letters import window_in
from portal.incidents.mails import maintenance as mails
from portal.incidents.models import Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.rules import Audience, MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.language import LANGUAGES
from portal.notifications import actions as notifications
from portal.notifications.kinds import Listener, Recipient, register
from portal.notifications.models import Broadcast, Delivery, Preference
from portal.services.models import ServiceView
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import LONG_AGO, World

BEGIN, END = NOW + timedelta(days=2), NOW + timedelta(days=2, hours=3)


@pytest.fixture(autouse=True)
def known() -> None:
    register(mails.MAINTENANCE)


def work(*component_ids: int, **changes: Any) -> Maintenance:
    given: dict[str, Any] = {
        "public_id": "battery",
        "title": "New battery",
        "state": MaintenanceState.SCHEDULED,
        "impact": WorkImpact.OUTAGE,
        "starts_at": BEGIN,
        "ends_at": END,
        "created_at": NOW,
        "public_updated_at": NOW,
        "sequence": 1,
    } | changes
    made = Maintenance(**given)
    db.session.add(made)
    db.session.flush()
    db.session.add_all(MaintenanceComponent(maintenance_id=made.id, component_id=each) for each in component_ids)
    db.session.flush()
    return made


def noted(made: Maintenance, kind: Notice = Notice.ANNOUNCED, **changes: Any) -> MaintenanceUpdate:
    given: dict[str, Any] = {
        "public_id": f"told-{kind}",
        "kind": kind,
        "state": made.state,
        "body": "The old one is **tired**.",
        "posted_at": NOW,
        "starts_at": made.starts_at,
        "ends_at": made.ends_at,
        "notify": True,
    } | changes
    update = MaintenanceUpdate(maintenance_id=made.id, **given)
    db.session.add(update)
    db.session.flush()
    return update


def told(made: Maintenance, kind: Notice = Notice.ANNOUNCED, **changes: Any) -> Broadcast:
    broadcast = announcing.tell(made, noted(made, kind, **changes), by=SYSTEM, now=NOW)
    assert broadcast is not None
    return broadcast


def everybody(broadcast: Broadcast, limit: int = 100) -> list[Recipient]:
    found: list[Recipient] = []
    cursor = None
    while True:
        some, cursor = mails.recipients(broadcast.selector, cursor, limit, NOW)
        found += some
        if cursor is None:
            return found


def entries_of(broadcast: Broadcast, reader: Recipient) -> list[Any]:
    """The entries in the reader's calendar part, as a real reader finds them."""
    lines = broadcast.content[reader.language]["calendar"].replace("\r\n", "\n")
    head, _, tail = lines.partition("\n{{calendar}}\n")
    start = head[head.rindex("BEGIN:VEVENT") :]
    own = reader.values["calendar"].replace("\r\n", "\n").split("\n\n")
    whole = head[: head.rindex("BEGIN:VEVENT")]
    whole += "".join(f"{start}\n{each.strip()}\nEND:VEVENT\n" for each in own) + "END:VCALENDAR\n"
    assert tail == "END:VEVENT\nEND:VCALENDAR\n"
    return list(Calendar.from_ical(whole.replace("\n", "\r\n")).walk("VEVENT"))


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_everybody_is_told_once_and_who_is_touched_first(world: World, limit: int) -> None:
    found = everybody(told(work(world.trunk.id)), limit)
    assert [(each.name, each.priority) for each in found] == [("Alice", 0), ("Bob", 0), ("Charlie", 40)]
    assert found[0].values["affected"] == "It is about services of yours: Hosted telephony (ACC-1)."
    assert found[2].values["affected"] == "As far as we know, it touches none of your services."


def test_work_for_the_affected_is_told_to_them_alone_and_without_any_to_all(world: World) -> None:
    broadcast = told(work(world.fibre.id, audience=Audience.AFFECTED))
    assert [each.name for each in everybody(broadcast)] == ["Charlie"]
    nobody = told(work(world.spare.id, audience=Audience.AFFECTED, public_id="spare"))
    assert [each.name for each in everybody(nobody)] == ["Alice", "Bob", "Charlie"]


def test_nobody_hears_of_what_is_private_over_or_quiet(world: World) -> None:
    quiet: list[dict[str, Any]] = [{"visibility": Visibility.PRIVATE}, {"is_backfill": True}, {}]
    for number, changes in enumerate(quiet):
        made = work(world.trunk.id, public_id=f"w{number}", **changes)
        update = noted(made, notify=bool(changes))
        assert announcing.tell(made, update, by=SYSTEM, now=NOW) is None
    assert db.session.scalars(select(Broadcast)).all() == []


def test_an_update_is_told_once(world: World) -> None:
    made = work(world.trunk.id)
    update = noted(made)
    first = announcing.tell(made, update, by=SYSTEM, now=NOW)
    assert announcing.tell(made, update, by=SYSTEM, now=NOW) is first
    assert len(db.session.scalars(select(Delivery)).all()) == 3


def test_it_is_a_list_of_its_own_that_can_be_left(world: World, cast: Cast) -> None:
    notifications.unsubscribe(cast.alice.email, "incidents", cast.alice.id, now=NOW)
    notifications.unsubscribe(cast.bob.email, "maintenance", cast.bob.id, now=NOW)
    broadcast = told(work(world.trunk.id))
    assert broadcast.topic == "maintenance"
    states = {each.name: each.state.value for each in db.session.scalars(select(Delivery))}
    assert states == {"Alice": "pending", "Bob": "suppressed", "Charlie": "pending"}


@pytest.mark.parametrize("topic", ["maintenance", "service", "component"])
def test_wishes_hold_by_kind_service_and_component(world: World, cast: Cast, topic: str) -> None:
    keys = {"service": service_topic(world.telephony.id), "component": component_topic(world.trunk.id)}
    db.session.add(Preference(person_id=cast.alice.id, topic=keys.get(topic, topic), channel="mail", wanted=False))
    db.session.flush()
    broadcast = told(work(world.trunk.id))
    assert {each.name: each.is_wanted for each in everybody(broadcast)} == {
        "Alice": False,
        "Bob": True,
        "Charlie": True,
    }
    assert mails.muted_by(broadcast.selector, [(cast.alice.id, (cast.a.id,))], NOW) == {cast.alice.id}


def test_what_touches_nothing_of_theirs_need_not_be_told(world: World, cast: Cast) -> None:
    for person, topic in ((cast.charlie, "maintenance:elsewhere"), (cast.alice, "incidents:elsewhere")):
        db.session.add(Preference(person_id=person.id, topic=topic, channel="mail", wanted=False))
    db.session.flush()
    wanted = {each.name: each.is_wanted for each in everybody(told(work(world.trunk.id)))}
    assert wanted == {"Alice": True, "Bob": True, "Charlie": False}


def test_companies_that_do_not_see_status_are_not_told(world: World, cast: Cast) -> None:
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    assert [each.name for each in everybody(told(work(world.trunk.id)))] == ["Charlie"]


def test_what_is_hidden_from_a_company_is_named_to_it_nowhere(world: World, cast: Cast) -> None:
    db.session.add(Holding(company_id=cast.a.id, service_id=world.internet.id, reference="CANARY", valid_from=LONG_AGO))
    db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.internet.id]))
    db.session.flush()
    broadcast = told(work(world.fibre.id))
    alice = next(each for each in everybody(broadcast) if each.name == "Alice")
    assert alice.values["affected"] == "It may touch any of your services."
    (entry,) = entries_of(broadcast, alice)
    assert "X-MAINTNOTE-ACCOUNT" not in entry
    assert not any("CANARY" in str(each) for each in db.session.scalars(select(Delivery.values)))
    listener = Listener(id=1, company_ids=(cast.a.id,), language="de", time_zone="Europe/Berlin")
    heard = mails.tell(broadcast.selector, [listener], NOW)[1]
    assert (heard.data["services"], heard.data["is_affected"]) == ([], True)


def test_channels_are_told_the_same(world: World, cast: Cast) -> None:
    broadcast = told(work(world.trunk.id), Notice.ANNOUNCED)
    listeners = [
        Listener(id=1, company_ids=(cast.a.id,), language="en", time_zone="UTC"),
        Listener(id=2, company_ids=(cast.b.id,), language="de", time_zone="Europe/Berlin"),
    ]
    found = mails.tell(broadcast.selector, listeners, NOW)
    assert found[1].event == "maintenance.announced"
    assert found[1].path == "/maintenances/battery"
    assert found[1].data["maintenance"]["impact"] == "outage"
    assert found[1].data["services"] == ["Hosted telephony (ACC-1)"]
    assert found[1].about == {service_topic(world.telephony.id), component_topic(world.trunk.id)}
    assert found[2].about == {"maintenance:elsewhere"}
    assert found[2].values["window"] == "23. Nov. 2026, 13:00–16:00 MEZ (12:00–15:00 UTC)"
    wording = broadcast.content["en"]
    assert wording["brief"] == "{{brand}}: Planned maintenance: New battery, {{window}} – {{affected}}"
    assert wording["post"].startswith("Planned maintenance: New battery\n")


def test_a_step_costs_the_same_however_many_there_are(world: World, cast: Cast) -> None:
    broadcast = told(work(world.trunk.id))
    db.session.flush()

    def cost() -> int:
        with counted_queries() as statements:
            mails.recipients(broadcast.selector, None, 500, NOW)
        return len(statements)

    few = cost()
    assert few <= 16
    for number in range(20):
        person = accounts.add_person(f"Noise {number}", f"n{number}@noise.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, cast.a if number % 2 else cast.b, by=SYSTEM, now=NOW)
    db.session.flush()
    assert cost() == few


# What they read


def test_the_window_stands_in_the_readers_zone_and_in_utc(world: World, cast: Cast) -> None:
    cast.alice.time_zone, cast.bob.time_zone = "America/New_York", "Asia/Kolkata"
    db.session.flush()
    alice, bob, _charlie = everybody(told(work(world.trunk.id)))
    assert alice.values["window"] == "23 Nov 2026, 07:00–10:00 EST (12:00–15:00 UTC)"
    assert bob.values["window"] == "23 Nov 2026, 17:30–20:30 IST (12:00–15:00 UTC)"


@pytest.mark.parametrize(
    ("begin", "hours", "place", "said"),
    [
        (NOW, 3, ("en", "UTC"), "21 Nov 2026, 12:00–15:00 UTC"),
        (NOW, 14, ("en", "UTC"), "21 Nov 2026, 12:00 – 22 Nov 2026, 02:00 UTC"),
        (NOW, 11, ("de", "Europe/Berlin"), "21. Nov. 2026, 13:00 – 22. Nov. 2026, 00:00 MEZ "
         "(21. Nov., 12:00–23:00 UTC)"),
        (NOW.replace(month=10, day=25, hour=0), 2, ("en", "Europe/Berlin"), "25 Oct 2026, 02:00 CEST–03:00 CET "
         "(00:00–02:00 UTC)"),
        (NOW.replace(hour=2), 1, ("en", "America/New_York"), "20 Nov 2026, 21:00–22:00 EST "
         "(21 Nov, 02:00–03:00 UTC)"),
    ],
)  # fmt: skip
def test_a_window_says_its_days_where_one_could_mistake_them(
    app: Flask, begin: Any, hours: int, place: tuple[str, str], said: str
) -> None:
    language, zone = place
    with app.app_context():
        assert window_in(begin, begin + timedelta(hours=hours), language, zone) == said


HEADINGS = {
    Notice.ANNOUNCED: (MaintenanceState.SCHEDULED, "Planned maintenance"),
    Notice.REMINDED: (MaintenanceState.SCHEDULED, "Reminder: maintenance begins soon"),
    Notice.MOVED: (MaintenanceState.SCHEDULED, "Maintenance moved"),
    Notice.STARTED: (MaintenanceState.IN_PROGRESS, "Maintenance has begun"),
    Notice.VERIFYING: (MaintenanceState.VERIFYING, "Maintenance is being checked"),
    Notice.COMPLETED: (MaintenanceState.COMPLETED, "Maintenance completed"),
    Notice.EXTENDED: (MaintenanceState.IN_PROGRESS, "Maintenance takes longer"),
    Notice.CANCELLED: (MaintenanceState.CANCELLED, "Maintenance cancelled"),
    Notice.NOTE: (MaintenanceState.SCHEDULED, "News about maintenance"),
}
assert set(HEADINGS) == set(Notice)


@pytest.mark.parametrize("kind", list(Notice))
def test_every_notice_says_what_has_happened_in_one_conversation(world: World, kind: Notice) -> None:
    state, heading = HEADINGS[kind]
    made = work(world.trunk.id, state=state)
    broadcast = told(made, kind)
    assert set(broadcast.content) == {f"{each}{variant}" for each in LANGUAGES for variant in ("", "-open")}
    english, german = broadcast.content["en"], broadcast.content["de"]
    assert english["subject"] == "[{{brand}} maintenance] New battery"
    assert broadcast.thread_key == f"maintenance:{made.id}"
    assert english["text"].startswith(f"{heading}: New battery\n")
    assert not german["text"].startswith(heading)
    for part in ("{{affected}}", "{{window}}", "What is worked on: Trunk.", "The old one is tired."):
        assert part in english["text"]
    assert "{{portal_url}}/maintenances/battery" in english["text"]
    assert "{{unsubscribe_url}}" in english["text"]
    assert "<strong>tired</strong>" in english["html"]
    assert ("is not available" in english["text"]) is (state not in {
        MaintenanceState.COMPLETED, MaintenanceState.CANCELLED, MaintenanceState.VERIFYING})  # fmt: skip


def test_moved_work_names_the_times_it_had(world: World) -> None:
    made = work(world.trunk.id)
    told(made)
    made.starts_at, made.ends_at, made.sequence = BEGIN + timedelta(days=1), END + timedelta(days=1), 2
    broadcast = told(made, Notice.MOVED)
    text = broadcast.content["en"]["text"]
    assert "New time: {{window}}\nUntil now: {{old_window}}\n" in text
    alice = everybody(broadcast)[0]
    assert alice.values["window"].startswith("24 Nov 2026, 12:00")
    assert alice.values["old_window"].startswith("23 Nov 2026, 12:00")


def test_what_is_completed_says_when_it_was_really_done(world: World) -> None:
    made = work(
        world.trunk.id,
        state=MaintenanceState.COMPLETED,
        starts_at=NOW - timedelta(hours=3),
        ends_at=NOW + timedelta(hours=1),
        started_at=NOW - timedelta(hours=2),
        completed_at=NOW,
    )
    broadcast = told(made, Notice.COMPLETED)
    assert "How long: 2 hours" in broadcast.content["en"]["text"]
    assert everybody(broadcast)[0].values["window"] == "21 Nov 2026, 10:00–12:00 GMT (= UTC)"
    (entry,) = entries_of(broadcast, everybody(broadcast)[0])
    assert entry["DTEND"].dt == made.ends_at


def test_a_late_notice_says_so(world: World) -> None:
    assert "later than it should" in told(work(world.trunk.id), Notice.REMINDED, is_late=True).content["en"]["text"]


def test_texts_are_no_templates_and_no_markup(world: World) -> None:
    content = told(
        work(title='{{ 7*7 }} <b>"x"</b>'), body="{% for x in y %} {{ config }} <script>alert(1)</script>"
    ).content["en"]
    assert content["subject"] == '[{{brand}} maintenance] {{ 7*7 }} <b>"x"</b>'
    assert "<script" not in content["html"]
    assert "{{affected}}" not in content["text"]
    assert "49" not in content["subject"]


@pytest.mark.parametrize(
    ("kind", "hours"), [(Notice.ANNOUNCED, 48), (Notice.REMINDED, 24), (Notice.COMPLETED, 24), (Notice.CANCELLED, 48)]
)
def test_plans_are_worth_sending_longer_than_news(world: World, kind: Notice, hours: int) -> None:
    broadcast = told(work(world.trunk.id, state=HEADINGS[kind][0]), kind)
    assert broadcast.expires_at == NOW + timedelta(hours=hours)


# What calendars and programs are told


def test_the_entry_names_the_companys_own_account_and_circuits(world: World, cast: Cast) -> None:
    cast.a.external_id = "K-4711"
    db.session.add(Holding(company_id=cast.a.id, service_id=world.telephony.id, valid_from=LONG_AGO))
    db.session.flush()
    broadcast = told(work(world.trunk.id, world.exchange.id))
    alice, _bob, charlie = everybody(broadcast)
    (entry,) = entries_of(broadcast, alice)
    assert entry["UID"] == uid_of("battery", "portal.test", cast.a.id)
    assert (entry["DTSTART"].dt, entry["DTEND"].dt) == (BEGIN, END)
    assert (int(entry["SEQUENCE"]), entry["STATUS"], entry["TRANSP"]) == (10, "CONFIRMED", "TRANSPARENT")
    assert entry["SUMMARY"] == "Maintenance: New battery"
    assert entry["X-MAINTNOTE-PROVIDER"] == "portal.test"
    assert entry["X-MAINTNOTE-ACCOUNT"] == "K-4711"
    assert entry["X-MAINTNOTE-MAINTENANCE-ID"] == "battery"
    assert entry["X-MAINTNOTE-STATUS"] == "CONFIRMED"
    assert entry["X-MAINTNOTE-IMPACT"] == "OUTAGE"
    objects = entry["X-MAINTNOTE-OBJECT-ID"]
    assert {str(each) for each in objects} == {"ACC-1", "Hosted telephony"}
    assert {each.params["X-MAINTNOTE-OBJECT-IMPACT"] for each in objects} == {"OUTAGE"}
    (plain,) = entries_of(broadcast, charlie)
    assert plain["UID"] == "battery@portal.test"
    assert not [name for name in plain if name.startswith("X-")]


def test_who_acts_for_two_companies_has_an_entry_for_each(world: World, cast: Cast) -> None:
    accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=NOW)
    broadcast = told(work(world.trunk.id, world.fibre.id))
    alice = next(each for each in everybody(broadcast) if each.name == "Alice")
    first, second = entries_of(broadcast, alice)
    assert (first["X-MAINTNOTE-ACCOUNT"], second["X-MAINTNOTE-ACCOUNT"]) == (cast.a.name, cast.b.name)
    assert (str(first["X-MAINTNOTE-OBJECT-ID"]), str(second["X-MAINTNOTE-OBJECT-ID"])) == ("ACC-1", "LINE-9")
    assert first["UID"] != second["UID"]
    assert first["DTSTART"].dt == second["DTSTART"].dt == BEGIN


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Notice.ANNOUNCED, "CONFIRMED"),
        (Notice.REMINDED, "CONFIRMED"),
        (Notice.MOVED, "RE-SCHEDULED"),
        (Notice.STARTED, "IN-PROCESS"),
        (Notice.VERIFYING, "IN-PROCESS"),
        (Notice.EXTENDED, "IN-PROCESS"),
        (Notice.COMPLETED, "COMPLETED"),
        (Notice.CANCELLED, "CANCELLED"),
    ],
)
def test_programs_are_told_the_status_in_their_words(world: World, kind: Notice, status: str) -> None:
    state = HEADINGS[kind][0]
    broadcast = told(work(world.trunk.id, state=state, sequence=5), kind)
    (entry,) = entries_of(broadcast, everybody(broadcast)[0])
    assert entry["X-MAINTNOTE-STATUS"] == status
    assert entry["STATUS"] == ("CANCELLED" if kind is Notice.CANCELLED else "CONFIRMED")
    assert int(entry["SEQUENCE"]) == sequence_of(5, state) < sequence_of(6, MaintenanceState.SCHEDULED)


@pytest.mark.parametrize(
    "hard",
    [
        "Zürich, 1; \\ 2",
        "x" * 200,
        "ü" * 200,
        "a\r\nEND:VEVENT\r\nX-EVIL:1",
        "\x00\u2028{{name}}",
        " ",
        "=?utf-8?q?a?=",
    ],
)
def test_whatever_a_reference_holds_the_entry_stays_whole(hard: str) -> None:
    note = Note("battery", "portal.test", "CONFIRMED", "OUTAGE")
    text = own_lines(note, [Account(1, hard, [hard, "B-2"]), Account(2, "K", ["C"])])
    assert max(len(each.encode()) for each in text.split("\r\n")) <= 75
    read: list[Any] = [
        Calendar.from_ical(f"BEGIN:VEVENT\r\n{each.strip()}\r\nEND:VEVENT\r\n") for each in text.split("\r\n\r\n")
    ]
    first, second = read
    objects = first["X-MAINTNOTE-OBJECT-ID"]
    assert "B-2" in {str(each) for each in (objects if isinstance(objects, list) else [objects])}
    assert "X-EVIL" not in first
    assert str(second["X-MAINTNOTE-OBJECT-ID"]) == "C"


def test_an_entry_names_so_many_circuits_and_no_more() -> None:
    note = Note("battery", "portal.test", "CONFIRMED", "OUTAGE")
    text = own_lines(note, [Account(1, "K", [f"C-{number}" for number in range(1000)])])
    assert text.count("X-MAINTNOTE-OBJECT-ID") == OBJECTS_AT_MOST
