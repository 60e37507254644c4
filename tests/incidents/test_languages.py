"""One report in several languages: which text somebody reads, everywhere, and what mails and machines are told."""

import json
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import select

from portal import clock, events
from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents import actions, exports
from portal.incidents.actions import maintenance as work
from portal.incidents.actions.languages import clean_texts
from portal.incidents.actions.postmortems import publish_postmortem, write_postmortem
from portal.incidents.actions.templates import fill_translations
from portal.incidents.actions.wordings import edit_wordings
from portal.incidents.actions.writing import clean_title
from portal.incidents.mails import incidents as mails
from portal.incidents.models import Incident, IncidentRevision, IncidentUpdate, Maintenance
from portal.incidents.queries import open_incidents, open_maintenance, recently_fixed, visible_incident
from portal.incidents.queries.calendars import planned_work
from portal.incidents.queries.listings import update as update_named
from portal.incidents.queries.maintenance import visible_maintenance
from portal.incidents.queries.months import began_between
from portal.incidents.queries.open_now import concerning, open_now, open_work
from portal.incidents.queries.postmortems import postmortem_of
from portal.incidents.queries.search import search_incidents
from portal.incidents.queries.whole import whole_incidents, whole_maintenance
from portal.incidents.rules import Severity, State
from portal.incidents.rules.languages import (
    subject_in,
    subjects_after,
    told_in,
    translations_of,
)
from portal.incidents.rules.languages import texts_of as texts_beside
from portal.incidents.rules.maintenance import Plan
from portal.incidents.rules.revisions import Revised
from portal.incidents.rules.wordings import Wording
from portal.notifications.kinds import Listener
from portal.notifications.models import Broadcast
from tests.conftest import Cast, SignIn, client_on, counted_queries
from tests.incidents.conftest import World

TITLE, TITEL = "Calls drop", "Anrufe brechen ab"
BODY, TEXT = "general-english", "allgemein-deutsch"
ALDER, ERLE, SOUTH = "alder-english", "erle-deutsch", "south-english"


@pytest.fixture
def now() -> Any:
    return clock.utcnow() - timedelta(minutes=3)


def publish(world: World, now: Any, **changes: Any) -> Incident:
    given: dict[str, Any] = {
        "translations": {"de": {"title": TITEL, "body": TEXT}},
        "by": SYSTEM,
        "author_id": None,
        "now": now,
        "idempotency_key": "told",
    } | changes
    return actions.publish(TITLE, State.INVESTIGATING, BODY, {world.trunk.id: Severity.MAJOR_OUTAGE}, **given)


@pytest.fixture
def told(world: World, cast: Cast, now: Any) -> Incident:
    """A report in two languages; Alder has a wording in both, Birch's home one in English alone."""
    made = publish(
        world,
        now,
        wordings=[
            Wording(ALDER, company_id=cast.a.id, texts={"de": ERLE}),
            Wording(SOUTH, domain_id=cast.domain_b.id),
        ],
    )
    events.commit()
    return made


def readers(cast: Cast) -> list[tuple[Viewpoint, str, str, str]]:
    """Who reads what: the language, the title, the text."""
    return [
        (STAFF, "de", TITLE, BODY),
        (SIGNED_OUT, "en", TITLE, BODY),
        (SIGNED_OUT, "de", TITEL, TEXT),
        (Viewpoint(company_id=cast.a.id), "en", TITLE, ALDER),
        (Viewpoint(company_id=cast.a.id), "de", TITEL, ERLE),
        (Viewpoint(company_id=cast.b.id), "en", TITLE, SOUTH),
        # A wording that has no German goes before the German text that is for others.
        (Viewpoint(company_id=cast.b.id), "de", TITEL, SOUTH),
    ]


# Rules


def test_own_words_go_before_the_language_and_the_language_before_the_original() -> None:
    general = ("general", {"de": "allgemein"})
    assert told_in("de", *general) == "allgemein"
    assert told_in("en", *general) == "general"
    assert told_in("de", "general", {}) == "general"
    company, home = ("company", {"de": "Firma"}), ("home", {"de": "Heim"})
    assert told_in("de", *general, [company, home]) == "Firma"
    assert told_in("en", *general, [company, home]) == "company"
    assert told_in("de", *general, [("company", {}), home]) == "company"
    assert told_in("de", *general, [home]) == "Heim"
    assert told_in("de", "general", {"de": ""}) == "general"


def test_texts_are_sorted_by_language_and_by_what_they_stand_beside() -> None:
    both = {"de": {"title": "Titel", "body": "Text"}, "en": {"body": " "}}
    assert texts_beside(both, "title") == {"de": "Titel"}
    assert texts_beside(both, "body") == {"de": "Text"}
    assert translations_of(title={"de": "Titel"}, body={"de": "Text"}) == {"de": {"title": "Titel", "body": "Text"}}


def test_a_conversation_keeps_the_titles_it_began_with() -> None:
    begun = subjects_after({}, "Calls drop", {})
    assert begun == {"": "Calls drop"}
    later = subjects_after(begun, "Calls drop", {"de": "Anrufe brechen ab"})
    assert [subject_in(code, later) for code in ("de", "en")] == ["Calls drop", "Calls drop"]
    in_both = subjects_after({}, "Calls drop", {"de": "Anrufe brechen ab"})
    assert subject_in("de", subjects_after(in_both, "Calls drop", {"de": "Anders"})) == "Anrufe brechen ab"
    anew = subjects_after(in_both, "Calls fail", {"de": "Anders"})
    assert [subject_in(code, anew) for code in ("de", "en")] == ["Anders", "Calls fail"]


def test_what_is_no_language_and_what_is_too_long_is_refused() -> None:
    assert clean_texts({"de": "  "}, clean_title) == {}
    with pytest.raises(RuleViolation) as refused:
        clean_texts({"fr": "Panne"}, clean_title)
    assert refused.value.field == "translations"
    with pytest.raises(RuleViolation, match="German: A title has at most"):
        clean_texts({"de": "x" * 201}, clean_title)


# Reading


def test_every_reading_is_in_the_language_of_the_reader(told: Incident, cast: Cast, app: Flask) -> None:
    at = clock.utcnow()
    for viewpoint, language, title, body in readers(cast):
        with force_locale(language):
            db.session.expire_all()
            (as_row,) = open_now(viewpoint, at)
            (as_entity,) = open_incidents(viewpoint, at)
            (whole,) = whole_incidents(viewpoint, at, limit=5)
            single = visible_incident(viewpoint, told.public_id, at)
            assert single is not None
            month = began_between(viewpoint, at - timedelta(days=1), at, 1, at)
            assert month is not None
            hits = search_incidents(viewpoint, body, 5, at).items
            found: list[Any] = [as_row, as_entity, whole, single]
            assert [each.title for each in [*found, *month.items, *hits]] == [title] * 6, (viewpoint, language)
            assert [each.updates[0].body for each in found] == [body] * 4, (viewpoint, language)
            if viewpoint.company_id == cast.a.id:
                (mine,) = concerning(viewpoint.company_id, at).mine
                assert (mine.title, mine.updates[0].body) == (title, body)
    assert not db.session.dirty


def test_what_is_searched_is_what_is_read(told: Incident, cast: Cast, app: Flask) -> None:
    at = clock.utcnow()
    texts = (BODY, TEXT, ALDER, ERLE, SOUTH)
    for viewpoint, language, _title, body in readers(cast):
        with force_locale(language):
            hits = {text: len(search_incidents(viewpoint, text, 5, at).items) for text in texts}
        assert hits == {text: int(text == body) for text in texts}
    with force_locale("de"):
        assert search_incidents(SIGNED_OUT, "brechen", 5, at).items
    assert not search_incidents(SIGNED_OUT, "brechen", 5, at).items


def test_languages_cost_no_query(told: Incident, cast: Cast, app: Flask) -> None:
    at = clock.utcnow()
    for viewpoint, language in product((SIGNED_OUT, Viewpoint(company_id=cast.a.id)), ("en", "de")):
        with force_locale(language), counted_queries() as statements:
            open_now(viewpoint, at)
        assert len(statements) == 3
        with force_locale(language), counted_queries() as statements:
            whole_incidents(viewpoint, at, limit=5)
        assert len(statements) == 4


def test_a_machine_of_a_company_is_given_its_own_words_in_every_language(told: Incident, cast: Cast) -> None:
    public_id = whole_incidents(SIGNED_OUT, clock.utcnow(), limit=1)[0].updates[0].public_id
    given = {}
    for name, viewpoint in (
        ("a", Viewpoint(company_id=cast.a.id)),
        ("b", Viewpoint(company_id=cast.b.id)),
        ("", STAFF),
    ):
        found = update_named(viewpoint, told.id, public_id)
        assert found is not None
        given[name] = (found.body, found.bodies)
    assert given == {"a": (ALDER, {"de": ERLE}), "b": (SOUTH, {}), "": (BODY, {"de": TEXT})}


def test_the_past_and_the_postmortem_are_in_the_language_of_the_reader(told: Incident, cast: Cast, app: Flask) -> None:
    at = clock.utcnow()
    given: dict[str, Any] = {"by": SYSTEM, "author_id": None, "now": at}
    actions.post_update(told, State.FIXED, "Mended.", {}, bodies={"de": "Behoben."}, version=told.version, **given)
    written = write_postmortem(told, "A digger.", bodies={"de": "Ein Bagger."}, version=0, **given)
    publish_postmortem(told, written, notify=True, version=written.version, by=SYSTEM, now=at)
    events.commit()
    with force_locale("de"):
        (last,) = recently_fixed(SIGNED_OUT, 5, at)
        assert last.title == TITEL
        postmortem = postmortem_of(told.id, SIGNED_OUT, at)
        assert postmortem is not None
        assert postmortem.body == "Ein Bagger."
    db.session.expire_all()
    postmortem = postmortem_of(told.id, SIGNED_OUT, at)
    assert postmortem is not None
    assert postmortem.body == "A digger."
    mail = db.session.scalars(select(Broadcast).where(Broadcast.idempotency_key.startswith("postmortem"))).one()
    assert "Ein Bagger." in mail.content["de"]["text"]
    assert "A digger." in mail.content["en"]["html"]
    assert mail.content["de"]["subject"].endswith(TITEL)


def test_pages_for_everybody_are_kept_apart_by_language(
    told: Incident, app: Flask, cast: Cast, sign_in: SignIn
) -> None:
    client = client_on(app, cast.domain_a.host)
    for address in ("/status", f"/incidents/{told.public_id}", "/status/feed.atom", "/status/embed"):
        for _ in range(2):
            shown = {code: client.get(f"{address}?lang={code}").text for code in ("de", "en")}
            assert (TITEL in shown["de"], TITLE in shown["de"]) == (True, False), address
            assert (TITLE in shown["en"], TITEL in shown["en"]) == (True, False), address
        assert not {text for text in (ALDER, ERLE, SOUTH) if text in "".join(shown.values())}
    for address in ("/api/v2/summary.json", "/api/v2/summary.json?lang=de"):
        # Programs are told in the language of the portal domain, whatever a browser beside them has chosen.
        summary = client.get(address).get_json()
        assert summary["incidents"][0]["name"] == TITLE
    cast.domain_a.language = "de"
    events.commit()
    (incident,) = client.get("/api/v2/incidents/unresolved.json").get_json()["incidents"]
    assert (incident["name"], incident["incident_updates"][0]["body"]) == (TITEL, TEXT)


def test_an_export_is_in_one_language_with_own_words(told: Incident, cast: Cast, now: Any) -> None:
    (row,) = list(exports._incidents(cast.a.id, clock.utcnow()))
    assert (row["title"], row["updates"][0]["text"]) == (TITLE, ALDER)


# Mails and machines


def broadcast_of(told: Incident) -> Broadcast:
    return db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc()).limit(1)).one()


def test_a_mail_is_in_the_language_of_its_reader_whole(told: Incident, cast: Cast) -> None:
    content = broadcast_of(told).content
    for part in ("text", "html"):
        assert (TITEL in content["de"][part], TEXT in content["de"][part]) == (True, True)
        assert (TITLE in content["de"][part], BODY in content["de"][part]) == (False, False)
        assert (TITLE in content["en"][part], TEXT in content["en"][part]) == (True, False)
    assert content["de"]["subject"].endswith(TITEL)
    assert content["en"]["subject"].endswith(TITLE)
    a, b = f"c{cast.a.id}", f"d{cast.domain_b.id}"
    bodies = {key: wording["text"] for key, wording in content.items()}
    assert {text for text in (BODY, TEXT, ALDER, ERLE, SOUTH) if text in bodies[f"de-{a}"]} == {ERLE}
    assert {text for text in (BODY, TEXT, ALDER, ERLE, SOUTH) if text in bodies[f"en-{a}"]} == {ALDER}
    assert {text for text in (BODY, TEXT, ALDER, ERLE, SOUTH) if text in bodies[f"de-{b}"]} == {SOUTH}
    for key, wording in content.items():
        if a not in key:
            assert ERLE not in json.dumps(wording)


def test_channels_are_told_in_their_language(told: Incident, cast: Cast) -> None:
    selector = broadcast_of(told).selector
    listeners = [
        Listener(1, (cast.a.id,), "de", "UTC"),
        Listener(2, (cast.a.id,), "en", "UTC"),
        Listener(3, (cast.b.id,), "de", "UTC"),
    ]
    found = mails.tell(selector, listeners, clock.utcnow())
    said = {each: (one.data["incident"]["title"], one.data["update"]["text"]) for each, one in found.items()}
    assert said == {1: (TITEL, ERLE), 2: (TITLE, ALDER), 3: (TITEL, SOUTH)}
    published = mails.INCIDENT.published(selector, clock.utcnow()) if mails.INCIDENT.published else None
    assert published is not None
    assert published.data_in is not None
    told_all = {code: published.data_in(code) for code in ("de", "en")}
    assert told_all["de"]["update"]["text"] == TEXT
    assert told_all["en"]["incident"]["title"] == TITLE
    assert not {text for text in (ALDER, ERLE, SOUTH) if text in json.dumps(told_all)}


def test_a_title_translated_later_leaves_the_conversation_as_it_is(world: World, cast: Cast, now: Any) -> None:
    made = publish(world, now, translations={})
    before = {code: broadcast_of(made).content[code]["subject"] for code in ("de", "en")}
    edit(made, title=TITLE, titles={"de": TITEL})
    version = made.version
    update(made)
    after = broadcast_of(made).content
    assert {code: after[code]["subject"] for code in ("de", "en")} == before
    assert TITEL in after["de"]["text"]
    assert made.version == version + 1  # the update alone: noting what the mails are called is nobody's writing
    edit(made, title="Calls fail", titles={"de": "Anrufe scheitern"})
    update(made)
    anew = broadcast_of(made).content
    assert anew["en"]["subject"].endswith("Calls fail")
    assert anew["de"]["subject"].endswith("Anrufe scheitern")


def edit(made: Incident, **changes: Any) -> None:
    given: dict[str, Any] = {"visibility": made.visibility, "audience": made.audience, "version": made.version}
    actions.edit(made, **(given | changes), by=SYSTEM, now=clock.utcnow())
    db.session.flush()


def update(made: Incident) -> None:
    given: dict[str, Any] = {"version": made.version, "by": SYSTEM, "author_id": None, "now": clock.utcnow()}
    actions.post_update(made, State.IDENTIFIED, "More.", {}, **given)
    db.session.flush()


# Writing


def test_corrections_are_kept_and_noted(told: Incident, cast: Cast) -> None:
    edit(told, title=TITLE, titles={"de": "Anders"})
    entry = db.session.scalars(select(IncidentUpdate).where(IncidentUpdate.incident_id == told.id)).one()
    at = clock.utcnow()
    actions.edit_update(entry, told, BODY, bodies={}, version=told.version, by=SYSTEM, now=at)
    wordings = [Wording(ALDER, company_id=cast.a.id, texts={"de": "neu"}), Wording(SOUTH, domain_id=cast.domain_b.id)]
    edit_wordings(entry, told, wordings, version=told.version, by=SYSTEM, now=at)
    kept = db.session.scalars(select(IncidentRevision).order_by(IncidentRevision.id)).all()
    assert [(each.what, each.before, each.after) for each in kept] == [
        (Revised.TITLE_IN, TITEL, "Anders"),
        (Revised.TEXT_IN, TEXT, ""),
        (Revised.WORDING_IN, ERLE, "neu"),
    ]
    assert all(each.seen_from is not None for each in kept)
    noted = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(3)).all()
    assert TITEL in json.dumps([each.before for each in noted])
    version = told.version
    edit(told, title=TITLE, titles={"de": "Anders"})
    actions.edit_update(entry, told, BODY, bodies={}, version=version, by=SYSTEM, now=at)
    assert told.version == version


def test_variables_are_filled_in_the_words_of_each_language(world: World) -> None:
    began = clock.utcnow().replace(year=2026, month=3, day=5, hour=8, minute=30)
    given: dict[str, Any] = {
        "component_ids": [world.trunk.id, world.fibre.id],
        "began_at": began,
        "zone": "Europe/Berlin",
    }
    text = {"de": {"title": "{{components}}", "body": "{{date}}, {{time}} {{zone}}: {{ticket}}"}}
    filled = fill_translations(text, {"ticket": "T1"}, **given)["de"]
    assert filled["body"] == "5. März 2026, 09:30 MEZ: T1"
    assert " und " in filled["title"]
    with pytest.raises(RuleViolation, match="German: Nobody has filled") as refused:
        fill_translations(text, {}, **given)
    assert refused.value.field == "translations"
    with pytest.raises(RuleViolation, match="German: Fill in the blank"):
        fill_translations({"de": {"body": "Um [Uhrzeit]."}}, {}, **given)


# Maintenance


def plan(world: World, **changes: Any) -> Maintenance:
    now = clock.utcnow()
    given: dict[str, Any] = {
        "title": "Cards are replaced",
        "body": "planned-english",
        "component_ids": frozenset([world.trunk.id]),
        "starts_at": now + timedelta(days=3),
        "ends_at": now + timedelta(days=3, hours=1),
        "zone": "UTC",
        "translations": {"de": {"title": "Karten werden getauscht", "body": "geplant-deutsch"}},
    } | changes
    made = work.plan(Plan(**given), by=SYSTEM, author_id=None, now=now, idempotency_key="planned")
    events.commit()
    return made


def test_maintenance_is_read_in_the_language_of_the_reader(world: World, cast: Cast, app: Flask) -> None:
    made, at = plan(world), clock.utcnow()
    said = {"en": ("Cards are replaced", "planned-english"), "de": ("Karten werden getauscht", "geplant-deutsch")}
    for viewpoint, language in product((SIGNED_OUT, Viewpoint(company_id=cast.a.id), STAFF), said):
        expected = said["en" if viewpoint.is_staff else language]
        with force_locale(language):
            db.session.expire_all()
            (as_row,) = open_work(viewpoint, at)
            (as_entity,) = open_maintenance(viewpoint, at)
            (whole,) = whole_maintenance(viewpoint, at, limit=5)
            single = visible_maintenance(viewpoint, made.public_id, at)
            (entry,) = planned_work(viewpoint, at)
            assert single is not None
            assert [(each.title, each.updates[0].body) for each in (as_row, as_entity, whole, single)] == [expected] * 4
            assert (entry.title, entry.body) == expected
    assert not db.session.dirty
    db.session.expire_all()
    mail = db.session.scalars(select(Broadcast)).one()
    for language, (title, body) in said.items():
        other = said["de" if language == "en" else "en"]
        wording = mail.content[language]
        assert wording["subject"].endswith(title)
        for part in ("text", "html", "calendar"):
            unfolded = wording[part].replace("\r\n ", "")
            assert (title in unfolded, body in unfolded) == (True, True), (language, part)
            assert not {text for text in other if text in unfolded}, (language, part)
    client = client_on(app, cast.domain_a.host)
    for language, (title, body) in said.items():
        for address in ("/status", f"/maintenances/{made.public_id}", "/status/maintenance.ics", "/status/feed.atom"):
            shown = client.get(f"{address}?lang={language}").text.replace("\r\n ", "")
            assert (title in shown, body in shown) == (True, True), address
            assert said["de" if language == "en" else "en"][0] not in shown, address


def test_steps_of_maintenance_say_it_in_both_and_keep_the_conversation(world: World, cast: Cast) -> None:
    made = plan(world, translations={})
    given: dict[str, Any] = {"notify": True, "by": SYSTEM, "author_id": None, "now": clock.utcnow()}
    changed = {name: getattr(made, name) for name in ("impact", "visibility", "audience", "notify", "owner_id")}
    work.edit(
        made,
        **changed,
        title=made.title,
        body="planned-english",
        translations={"de": {"title": "Karten", "body": "geplant"}},
        component_ids=[world.trunk.id],
        reminders=(),
        starts_itself=True,
        ends_itself=True,
        version=made.version,
        by=SYSTEM,
        now=given["now"],
    )
    noted = work.add_note(
        made, "A word.", bodies={"de": "Ein Wort."}, version=made.version, idempotency_key="note", **given
    )
    assert noted.bodies == {"de": "Ein Wort."}
    cancelled = work.cancel(made, "Off.", bodies={"de": "Aus."}, version=made.version, idempotency_key="off", **given)
    assert cancelled.bodies == {"de": "Aus."}
    (first, *later) = db.session.scalars(select(Broadcast).order_by(Broadcast.id)).all()
    assert {each.content["de"]["subject"] for each in later} == {first.content["de"]["subject"]}
    assert "Ein Wort." in later[0].content["de"]["text"]
    assert "Karten" in later[0].content["de"]["text"]
