"""T07, T09: what is private, or another company's, leaves no trace at all: no text, count, tag, time, query or bell."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, select

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.domains.models import Admission
from portal.events import LiveTopic
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.models import Incident
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.live import read_token
from portal.notifications.models import Broadcast, ContactChannel, Delivery
from tests.conftest import counted_queries
from tests.security.conftest import check_headers, masked
from tests.security.rights import RIGHTS, For, address, routes
from tests.security.world import ROLES, World, client_of, publish

OUTSIDERS = ["nobody on A's portal", "Alice", "Charlie"]
WITHOUT_A = ["nobody on A's portal", "Charlie"]


@dataclass(frozen=True)
class Sight:
    """All that can be told from one answer."""

    status: int
    tag: str | None
    modified: str | None
    queries: int
    looks: str


Watching = Callable[[], dict[str, Sight]]


def watch(app: Flask, world: World, names: list[str]) -> Watching:
    """A function that looks at everything these people can look at."""
    clients = {name: client_of(app, world.cast, role) for role in ROLES if (name := role.name) in names}
    paths = []
    for rule in routes(app):
        entry = RIGHTS[rule.endpoint]
        if "GET" in (rule.methods or set()) and entry.audience in {For.CUSTOMERS, For.READERS, For.PUBLIC, For.ANYONE}:
            paths.append(address(app, world, rule, entry.ours))

    def look(client: FlaskClient, path: str) -> Sight:
        with counted_queries() as queries:
            answer = client.get(path)
        looks = masked(answer) if "token" not in path else ""
        # A form that may be sent once has another key each time it is shown, and its page another ETag.
        tag = answer.headers.get("ETag") if 'name="key"' not in looks else None
        return Sight(answer.status_code, tag, answer.headers.get("Last-Modified"), len(queries), looks)

    def look_around() -> dict[str, Sight]:
        return {f"{name} {path} ": look(client, path) for name, client in clients.items() for path in paths}

    look_around()  # caches are warm from here on
    return look_around


def differences(before: dict[str, Sight], after: dict[str, Sight]) -> list[str]:
    assert before.keys() == after.keys()
    return [key for key in before if before[key] != after[key]]


def versions() -> dict[str, int]:
    rows = db.session.execute(select(LiveTopic.name, LiveTopic.version))
    return {row.name: row.version for row in rows}


def rung(before: dict[str, int]) -> set[str]:
    return {name for name, version in versions().items() if before.get(name) != version}


def count(model: type[Broadcast] | type[Delivery]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def incident(world: World, name: str) -> Incident:
    found = db.session.get(Incident, world.ids[name])
    assert found is not None
    return found


def _publish_private(world: World) -> None:
    everything = {world.ids["north"]: Severity.MAJOR_OUTAGE, world.ids["south"]: Severity.MAJOR_OUTAGE}
    publish(world, "new0", "A secret", "Nobody knows.", everything, visibility=Visibility.PRIVATE)


def _publish_private_affected(world: World) -> None:
    publish(
        world, "new1", "A secret", "Nobody knows.", {world.ids["north"]: Severity.MAJOR_OUTAGE},
        visibility=Visibility.PRIVATE, audience=Audience.AFFECTED,
    )  # fmt: skip


def _publish_private_without_components(world: World) -> None:
    publish(world, "new2", "A secret", "Nobody knows.", {}, visibility=Visibility.PRIVATE)


def _publish_private_fixed(world: World) -> None:
    """Its days are packed as of then, so not before the last that was fixed in public: clocks do not run backwards."""
    severities = {world.ids["north"]: Severity.MAJOR_OUTAGE}
    publish(
        world, "new3", "A secret", "It was.", severities, state=State.FIXED, visibility=Visibility.PRIVATE, days_ago=2
    )


def _post(world: World, name: str, visibility: Visibility, state: State | None = None) -> None:
    found = incident(world, name)
    incidents.post_update(
        found,
        state,
        "More of it.",
        {},
        visibility=visibility,
        notify=True,
        version=found.version,
        by=SYSTEM,
        author_id=world.cast.ada.id,
        now=clock.utcnow(),
    )


def _post_private_update(world: World) -> None:
    _post(world, "public", Visibility.PRIVATE)


def _post_update_to_private(world: World) -> None:
    _post(world, "private", Visibility.PUBLIC, State.WATCHING)


def _fix_private(world: World) -> None:
    _post(world, "private", Visibility.PUBLIC, State.FIXED)


def _rename_private(world: World) -> None:
    found = incident(world, "private")
    incidents.edit(
        found, title="Another secret", visibility=Visibility.PRIVATE, audience=Audience.AFFECTED,
        version=found.version, by=SYSTEM, now=clock.utcnow(),
    )  # fmt: skip


PRIVATELY = [
    _publish_private,
    _publish_private_affected,
    _publish_private_without_components,
    _publish_private_fixed,
    _post_private_update,
    _rename_private,
    _post_update_to_private,
    _fix_private,
]


def test_t07_t09_what_is_private_leaves_no_trace(app: Flask, world: World, frozen: datetime) -> None:
    look = watch(app, world, OUTSIDERS)
    before, mails = look(), (count(Broadcast), count(Delivery))
    for happening in PRIVATELY:
        topics = versions()
        happening(world)
        events.commit()
        assert differences(before, look()) == [], happening.__name__
        assert rung(topics) == {events.STAFF}, happening.__name__
        assert (count(Broadcast), count(Delivery)) == mails, happening.__name__


def test_t07_the_same_in_public_does_leave_one(app: Flask, world: World, frozen: datetime) -> None:
    """The watching itself works: everybody sees, and is rung, when it is public."""
    look = watch(app, world, OUTSIDERS)
    before, topics, mails = look(), versions(), count(Delivery)
    publish(world, "new", "Known to all", "Everybody knows.", {world.ids["north"]: Severity.MAJOR_OUTAGE})
    events.commit()
    changed = differences(before, look())
    assert {name for name in OUTSIDERS if any(each.startswith(f"{name} /status ") for each in changed)} == set(
        OUTSIDERS
    )
    assert rung(topics) >= {
        events.STAFF,
        events.public_topic(world.cast.domain_a.id),
        events.public_topic(world.cast.domain_b.id),
        events.service_topic(world.ids["service_internet"]),
    }
    assert count(Delivery) == mails + 6, "three people, a subscriber, the webhook of one company and of a subscriber"


def test_t07_what_is_for_the_affected_is_invisible_to_everybody_else(
    app: Flask, world: World, frozen: datetime
) -> None:
    look, look_as_alice = watch(app, world, WITHOUT_A), watch(app, world, ["Alice"])
    before, topics = look(), versions()
    before_alice = look_as_alice()
    north = {world.ids["north"]: Severity.MAJOR_OUTAGE}
    made = publish(world, "new", "For A alone", "Only A knows.", north, audience=Audience.AFFECTED)
    events.commit()
    assert differences(before, look()) == []
    assert any(each.startswith("Alice / ") for each in differences(before_alice, look_as_alice()))
    a_hears = {events.service_topic(world.ids["service_internet"]), events.company_topic(world.cast.a.id)}
    heard = {topic for topic in rung(topics) if not topic.startswith("broadcast:")}  # staff watching it being sent
    assert events.STAFF in heard <= {events.STAFF, *a_hears}
    assert heard & a_hears
    mailed = (
        db.session.scalars(
            select(Delivery.address).join(Broadcast).where(Broadcast.thread_key.contains(str(made.public_id)))
        ).all()
        or db.session.scalars(select(Delivery.address).order_by(Delivery.id.desc()).limit(3)).all()
    )
    channel = db.session.get_one(ContactChannel, world.ids["channel"]).hint
    assert set(mailed) == {world.cast.alice.email, world.cast.bob.email, channel}


def test_t07_made_private_it_vanishes_at_once_with_its_waiting_mails(app: Flask, world: World) -> None:
    alice = client_of(app, world.cast, next(each for each in ROLES if each.name == "Alice"))
    path = f"/incidents/{world.public_ids['public']}"
    assert alice.get(path).status_code == 200
    found = incident(world, "public")
    title = found.title
    incidents.edit(
        found, title=title, visibility=Visibility.PRIVATE, audience=Audience.EVERYONE,
        version=found.version, by=SYSTEM, now=clock.utcnow(),
    )  # fmt: skip
    events.commit()
    assert alice.get(path).status_code == 404
    for page in ("/", "/status", "/status/history"):
        assert title not in alice.get(page).get_data(as_text=True)
    waiting = (
        select(func.count(Delivery.id))
        .join(Broadcast)
        .where(Broadcast.title.contains(title), Delivery.state.in_(["pending", "sending"]))
    )
    assert db.session.scalar(waiting) == 0


def test_t09_a_private_update_does_not_move_the_time_of_the_last_one(app: Flask, world: World) -> None:
    found = incident(world, "public")
    before = (found.public_updated_at, found.state, found.impact, found.resolved_at)
    _post_private_update(world)
    events.commit()
    found = incident(world, "public")
    assert (found.public_updated_at, found.state, found.impact, found.resolved_at) == before


def test_archived_components_and_services_are_shown_to_no_customer(app: Flask, world: World) -> None:
    assert db.session.scalar(select(func.count(Component.id)).where(Component.archived_at.is_not(None))) == 1
    for role in (each for each in ROLES if each.name in OUTSIDERS):
        client = client_of(app, world.cast, role)
        for path in ("/status", "/", "/services"):
            assert "archived" not in client.get(path).get_data(as_text=True).lower()


def topics_of(client: FlaskClient, query: str = "") -> set[str]:
    """What the token of an open page lets it hear."""
    answer = client.get(f"/live-token{query}")
    if answer.status_code == 404:
        return set()
    assert answer.json is not None
    token = parse_qs(urlsplit(answer.json["url"]).query)["token"][0]
    found = read_token(client.application.config["SETTINGS"], token, clock.utcnow().timestamp())
    assert found is not None
    assert read_token(client.application.config["SETTINGS"], token, clock.utcnow().timestamp() + 601) is None
    assert read_token(client.application.config["SETTINGS"], token.swapcase(), clock.utcnow().timestamp()) is None
    return set(found.topics)


def test_t01_a_page_hears_nothing_that_is_not_its_readers(app: Flask, world: World) -> None:
    cast = world.cast
    others = [events.STAFF, events.company_topic(cast.b.id), events.service_topic(world.ids["service_telephony"])]
    asked = "?" + urlencode({"topic": [*others, events.broadcast_topic(world.ids["broadcast"])]}, doseq=True)
    heard = {
        role.name: topics_of(client_of(app, cast, role), asked)
        for role in ROLES
        if role.name
        in {"nobody on A's portal", "Alice", "Charlie", "office", "nobody on the staff host", "an admin on A's portal"}
    }
    public_a, public_b = events.public_topic(cast.domain_a.id), events.public_topic(cast.domain_b.id)
    assert heard["nobody on A's portal"] == heard["an admin on A's portal"] == {public_a}
    assert heard["nobody on the staff host"] == set()
    assert heard["Alice"] == {
        public_a, events.company_topic(cast.a.id), events.service_topic(world.ids["service_internet"])
    }  # fmt: skip
    assert heard["Charlie"] == {
        public_b, events.company_topic(cast.b.id), events.service_topic(world.ids["service_telephony"])
    }  # fmt: skip
    assert heard["office"] == {events.STAFF, events.broadcast_topic(world.ids["broadcast"])}


def test_t23_a_company_no_longer_admitted_hears_nothing_of_its_own(app: Flask, world: World) -> None:
    alice = client_of(app, world.cast, next(each for each in ROLES if each.name == "Alice"))
    db.session.execute(delete(Admission).where(Admission.company_id == world.cast.a.id))
    events.commit()
    assert topics_of(alice) <= {events.public_topic(world.cast.domain_a.id)}


def test_kept_answers_carry_every_header_and_nothing_of_one_reader(app: Flask, world: World) -> None:
    """The public page and the banner's polls are answered from a copy: it must be as good as what it was made of."""
    for name, path, headers in (
        ("nobody on A's portal", "/status", {}),
        ("nobody on A's portal", "/status", {"HX-Request": "true"}),
        ("Alice", "/banner", {"HX-Request": "true", "X-Background": "1"}),
    ):
        role = next(each for each in ROLES if each.name == name)
        first, second = client_of(app, world.cast, role), client_of(app, world.cast, role)
        made, kept = first.get(path, headers=headers), second.get(path, headers=headers)
        assert made.status_code == kept.status_code == 200
        assert made.data == kept.data
        check_headers(kept, is_https=False)
        assert made.headers["X-Request-Id"] != kept.headers["X-Request-Id"]
        assert not kept.headers.getlist("Set-Cookie")
        assert "csrf" not in kept.get_data(as_text=True).lower()
        tag = kept.headers["ETag"]
        unchanged = second.get(path, headers={**headers, "If-None-Match": tag})
        assert (unchanged.status_code, unchanged.data) == (304, b"")
        check_headers(unchanged, is_https=False)


def test_a_kept_banner_is_given_to_no_other_company_and_to_nobody_who_left(app: Flask, world: World) -> None:
    poll = {"HX-Request": "true", "X-Background": "1"}
    alice, charlie = (
        client_of(app, world.cast, next(each for each in ROLES if each.name == name)) for name in ("Alice", "Charlie")
    )
    assert "North ring is slow" in alice.get("/banner", headers=poll).get_data(as_text=True)
    assert "canarya" not in charlie.get("/banner", headers=poll).get_data(as_text=True).lower()
    world.cast.alice.deactivated_at = clock.utcnow()
    events.commit()
    assert alice.get("/banner", headers=poll).status_code == 401
