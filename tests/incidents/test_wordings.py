"""One report in several wordings: everybody reads their own, and by no door that of anybody else."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, current_app
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import Company
from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM, Actor
from portal.domains import actions as domains
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents import actions, exports
from portal.incidents.actions.wordings import edit_wordings
from portal.incidents.mails import incidents as mails
from portal.incidents.models import Incident, IncidentUpdate, IncidentWording
from portal.incidents.queries import open_incidents, past_incidents, visible_incident
from portal.incidents.queries.listings import update as update_named
from portal.incidents.queries.open_now import concerning, open_now
from portal.incidents.queries.search import search_incidents
from portal.incidents.queries.whole import whole_incidents
from portal.incidents.rules import Severity, State, Visibility
from portal.incidents.rules.wordings import WORDINGS_AT_MOST, Wording
from portal.notifications.kinds import Listener
from portal.notifications.models import Broadcast, Delivery
from tests.conftest import STAFF_HOST, Cast, SignIn, client_on, counted_queries
from tests.incidents.conftest import World

GENERAL, ALDER, BIRCH, SOUTH = "general-canary", "alder-canary", "birch-canary", "south-canary"
PUBLISHED = ("/api/v2/", "/status/feed")
EVERY = (GENERAL, ALDER, BIRCH, SOUTH)


@pytest.fixture
def now() -> Any:
    return clock.utcnow() - timedelta(minutes=3)


@pytest.fixture
def cedar(cast: Cast) -> Company:
    """A company at home where Birch is, without a wording of its own."""
    made = accounts.add_company("Cedar Foods", by=SYSTEM, now=clock.utcnow())
    domains.admit(made, cast.domain_b, is_home=True, by=SYSTEM, now=clock.utcnow())
    return made


@pytest.fixture
def told(world: World, cast: Cast, cedar: Company, now: Any) -> Incident:
    """A report for everyone with four wordings."""
    made = publish(
        world,
        now,
        wordings=[
            Wording(ALDER, company_id=cast.a.id),
            Wording(BIRCH, company_id=cast.b.id),
            Wording(SOUTH, domain_id=cast.domain_b.id),
        ],
    )
    events.commit()
    return made


def publish(world: World, now: Any, **changes: Any) -> Incident:
    given: dict[str, Any] = {
        "body": GENERAL,
        "state": State.INVESTIGATING,
        "by": SYSTEM,
        "author_id": None,
        "now": now,
        "idempotency_key": "told",
    } | changes
    return actions.publish("Calls drop", severities={world.trunk.id: Severity.MAJOR_OUTAGE}, **given)


def viewpoints(cast: Cast, cedar: Company) -> list[tuple[Viewpoint, str]]:
    return [
        (STAFF, GENERAL),
        (SIGNED_OUT, GENERAL),
        (Viewpoint(company_id=cast.a.id), ALDER),
        (Viewpoint(company_id=cast.b.id), BIRCH),
        (Viewpoint(company_id=cedar.id), SOUTH),
    ]


def test_every_reading_has_the_readers_own_words(told: Incident, cast: Cast, cedar: Company) -> None:
    at = clock.utcnow()
    for viewpoint, words in viewpoints(cast, cedar):
        (as_row,) = open_now(viewpoint, at)
        (as_entity,) = open_incidents(viewpoint, at)
        (whole,) = whole_incidents(viewpoint, at, limit=5)
        single = visible_incident(viewpoint, told.public_id, at)
        assert single is not None
        alone = update_named(viewpoint, told.id, whole.updates[0].public_id)
        assert alone is not None
        found = [each.updates[0].body for each in (as_row, as_entity, whole, single)]
        assert [*found, alone.body] == [words] * 5
        if viewpoint.company_id is not None:
            assert concerning(cast.a.id, at).mine[0].updates[0].body == ALDER
        hits = {text: len(search_incidents(viewpoint, text, 5, at).items) for text in EVERY}
        assert hits == {text: int(text == words) for text in EVERY}
    assert not db.session.dirty


def test_what_is_over_keeps_its_words(told: Incident, world: World, cast: Cast, cedar: Company) -> None:
    at = clock.utcnow()
    actions.post_update(
        told, State.FIXED, "Mended.", {}, version=told.version, by=SYSTEM, author_id=None, now=at, notify=False
    )
    db.session.flush()
    for viewpoint, words in viewpoints(cast, cedar):
        page = past_incidents(viewpoint, 1, at)
        assert page is not None
        assert [each.body for each in page.items[0].updates] == ["Mended.", words]


def test_wordings_cost_no_query(told: Incident, cast: Cast) -> None:
    at = clock.utcnow()
    for viewpoint in (SIGNED_OUT, Viewpoint(company_id=cast.a.id)):
        with counted_queries() as statements:
            open_now(viewpoint, at)
        assert len(statements) == 3


def test_mails_and_channels_hold_the_words_of_whom_they_are_for(told: Incident, cast: Cast) -> None:
    broadcast = db.session.scalars(select(Broadcast)).one()
    assert {f"de-c{cast.a.id}", f"en-c{cast.b.id}", f"de-d{cast.domain_b.id}", "en"} <= set(broadcast.content)
    for key, wording in broadcast.content.items():
        variant = key.partition("-")[2]
        own = {f"c{cast.a.id}": ALDER, f"c{cast.b.id}": BIRCH, f"d{cast.domain_b.id}": SOUTH}.get(variant, GENERAL)
        for part in ("text", "html", "post"):
            assert [text for text in EVERY if text in wording[part]] == [own]
    wanted = {cast.alice.email: ALDER, cast.bob.email: ALDER, cast.charlie.email: BIRCH}
    deliveries = db.session.scalars(select(Delivery)).all()
    assert {each.address for each in deliveries} == set(wanted)
    for each in deliveries:
        assert wanted[each.address] in broadcast.content[each.wording]["text"]
    listeners = [Listener(1, (cast.a.id,), "de", "UTC"), Listener(2, (cast.b.id,), "en", "UTC")]
    heard = mails.tell(broadcast.selector, listeners, clock.utcnow())
    assert [(each.variant, each.data["update"]["text"].strip()) for each in heard.values()] == [
        (f"c{cast.a.id}", ALDER),
        (f"c{cast.b.id}", BIRCH),
    ]


def test_somebody_of_two_companies_reads_the_words_of_the_one_the_mail_names(
    world: World, cast: Cast, now: Any
) -> None:
    accounts.add_membership(cast.charlie, cast.a, by=SYSTEM, now=now)
    publish(world, now, wordings=[Wording(ALDER, company_id=cast.a.id), Wording(BIRCH, company_id=cast.b.id)])
    delivery = db.session.scalars(select(Delivery).where(Delivery.address == cast.charlie.email)).one()
    assert (delivery.company_id, delivery.wording) == (cast.a.id, f"en-c{cast.a.id}")


def test_an_export_has_the_words_the_company_could_read(told: Incident, cast: Cast, cedar: Company) -> None:
    for company, words in ((cast.a, ALDER), (cast.b, BIRCH), (cedar, SOUTH)):
        # It concerns only who is reached; the trunk reaches Alder alone.
        rows = list(exports._incidents(company.id, clock.utcnow()))
        assert all(each["updates"][0]["text"] == words for each in rows)
        assert bool(rows) is (company is cast.a)


def leaks(client: FlaskClient, paths: list[str], headers: dict[str, str] | None = None) -> dict[str, set[str]]:
    """Which of the texts each of these shows, where it shows any."""
    found: dict[str, set[str]] = {}
    for path in paths:
        for extra in ({}, {"HX-Request": "true"}):
            answer = client.get(path, headers={**(headers or {}), **extra})
            shown = {text for text in EVERY if text in answer.get_data(as_text=True) + json.dumps(dict(answer.headers))}
            if shown:
                found.setdefault(path, set()).update(shown)
    return found


def doors(app: Flask, told: Incident, world: World) -> list[str]:
    """Every address one can read without being staff, with the ids there are."""
    update = db.session.scalars(select(IncidentUpdate.public_id).where(IncidentUpdate.incident_id == told.id)).first()
    ids: dict[str, Any] = {
        "incident_id": told.public_id,
        "public_id": told.public_id,
        "update_id": update,
        "component_id": world.trunk.id,
        "service_id": world.telephony.id,
        "holding_id": world.holding_a.id,
        "name": told.public_id,
    }
    rules = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.startswith(("/admin", "/static", "/live", "/healthz"))
    ]
    found = [re.sub(r"<(?:[^<>]*:)?(\w+)>", lambda part: str(ids.get(part[1], 1)), rule) for rule in rules]
    return [*(path for path in found if "sign-out" not in path), *(f"/search?q={text}" for text in EVERY)]


def test_no_door_shows_the_words_of_somebody_else(
    told: Incident, world: World, cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]
) -> None:
    paths = doors(current_app, told, world)
    assert f"/incidents/{told.public_id}" in paths
    for client, words in (
        (sign_in(cast.alice), ALDER),
        (sign_in(cast.charlie), BIRCH),
        (visitor("a.portal.test"), GENERAL),
        (visitor("b.portal.test"), GENERAL),
    ):
        found = leaks(client, paths)
        # A search page repeats what was searched for.
        searched = {path: shown for path, shown in found.items() if path.startswith("/search?q=")}
        assert all(shown <= {path.removeprefix("/search?q="), words} for path, shown in searched.items())
        others = {path: shown for path, shown in found.items() if path not in searched}
        assert others
        # What is published for everybody holds the general text, whoever asks for it.
        assert all(shown == {words} for path, shown in others.items() if not path.startswith(PUBLISHED)), others
        assert all(shown == {GENERAL} for path, shown in others.items() if path.startswith(PUBLISHED)), others
        assert f"/incidents/{told.public_id}" in others


def test_machines_of_a_company_read_its_own_words(told: Incident, cast: Cast, app: Flask, world: World) -> None:
    paths = [each for each in doors(app, told, world) if each.startswith("/api/v1")]
    for company, words in ((cast.a, ALDER), (cast.b, BIRCH), (None, GENERAL)):
        by = Actor(cast.root.email, cast.root.id)
        _token, secret = make_token("reads", Scope.READ, company=company, by=by, now=clock.utcnow())
        events.commit()
        client = client_on(app, STAFF_HOST)
        found = leaks(client, paths, {"Authorization": f"Bearer {secret}"})
        # What staff's machines write for some they read here, and nobody else's do.
        told_apart = {path: found.pop(path) for path in list(found) if path.endswith("/wordings")}
        assert {text for shown in found.values() for text in shown} == {words}
        assert any("/updates" in path for path in found)
        assert set().union(*told_apart.values()) == (set() if company else {ALDER, BIRCH, SOUTH})


def test_answers_have_etags_of_their_own(told: Incident, cast: Cast, sign_in: SignIn) -> None:
    path = f"/incidents/{told.public_id}"
    answer = sign_in(cast.alice).get(path)
    other = sign_in(cast.charlie)
    assert "private" in answer.headers["Cache-Control"]
    assert other.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 200


def test_words_can_be_corrected_for_those_who_read_them(told: Incident, cast: Cast, cedar: Company) -> None:
    update = db.session.scalars(select(IncidentUpdate)).one()
    before, moved = told.version, told.public_updated_at
    given: dict[str, Any] = {"by": SYSTEM, "now": clock.utcnow()}
    kept = [Wording(BIRCH, company_id=cast.b.id), Wording(SOUTH, domain_id=cast.domain_b.id)]
    edit_wordings(update, told, [Wording(ALDER, company_id=cast.a.id), *kept], version=before, **given)
    assert told.version == before
    edit_wordings(update, told, [Wording("Corrected.", company_id=cast.a.id), *kept[:1]], version=before, **given)
    assert (told.version, told.public_updated_at) == (before + 1, moved)
    at = clock.utcnow()
    read = [open_now(viewpoint, at)[0].updates[0].body for viewpoint, _words in viewpoints(cast, cedar)]
    assert read == [GENERAL, GENERAL, "Corrected.", BIRCH, GENERAL]
    with pytest.raises(StaleEdit):
        edit_wordings(update, told, [], version=before, **given)


def test_what_is_no_wording_is_refused(world: World, cast: Cast, now: Any) -> None:
    of_a = Wording("x", company_id=cast.a.id)
    for number, wordings in enumerate(
        (
            [of_a, of_a],
            [Wording(" ", company_id=cast.a.id)],
            [Wording("x", company_id=999_999)],
            [Wording("x", domain_id=999_999)],
            [Wording("x", domain_id=each) for each in range(1, WORDINGS_AT_MOST + 2)],
        )
    ):
        with pytest.raises(RuleViolation) as refused:
            publish(world, now, wordings=wordings, idempotency_key=str(number))
        assert refused.value.field == "wordings"
        db.session.rollback()
    with pytest.raises(ValueError, match="one company"):
        Wording("x")


def test_a_note_for_staff_has_none(told: Incident, cast: Cast) -> None:
    with pytest.raises(RuleViolation):
        actions.post_update(
            told,
            None,
            "Note",
            {},
            visibility=Visibility.PRIVATE,
            version=told.version,
            by=SYSTEM,
            author_id=None,
            now=clock.utcnow(),
            wordings=[Wording("x", company_id=cast.a.id)],
        )


def test_the_words_go_with_the_company(told: Incident, cast: Cast) -> None:
    assert db.session.scalars(select(IncidentWording.company_id).where(IncidentWording.company_id == cast.a.id)).all()
