"""Drafts on their screens: kept, found, published later, put away; and past reports."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions import monitors
from portal.incidents.actions.drafts import save_draft
from portal.incidents.actions.monitors import Named
from portal.incidents.models import ImpactInterval, Incident, IncidentDraft, IncidentUpdate, IncidentWording
from portal.incidents.rules import Severity, State
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.incidents.rules.monitors import Shape, Signal
from portal.notifications.models import Broadcast
from tests.admin.incidents.conftest import fields_of, post, report, soup
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World

NEW = "/admin/incidents/new"
DRAFTS = "/admin/incidents/drafts"
PAST = "/admin/incidents/past/new"


def saved(world: World, key: str = "one", **changes: Any) -> IncidentDraft:
    content = DraftContent("Calls drop", "We look into it.", severities={world.trunk.id: Severity.PARTIAL_RTH})
    given: dict[str, Any] = {"by": SYSTEM, "author_id": None, "now": clock.utcnow(), "idempotency_key": key} | changes
    made = save_draft(given.pop("content", content), **given)
    events.commit()
    return made


def count(row: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(row)) or 0


def test_an_unfinished_report_is_kept_and_finished_by_somebody_else(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, NEW, "report-form") | {"title": "Calls", "do": "draft"}
    for _again in range(2):
        assert post(client, NEW, fields).status_code == 303
    draft = db.session.scalars(select(IncidentDraft)).one()
    assert (draft.owner_id, count(Incident), count(Broadcast)) == (cast.ada.id, 0, 0)
    page = client.get("/admin/incidents").get_data(as_text=True)
    assert "Saved" in page
    assert "by Ada" in page
    other = sign_in(cast.root)
    path = f"{DRAFTS}/{draft.id}"
    whole = fields_of(other, path, "report-form") | {"body": "We look into it.", "names_none": "y"}
    assert post(other, path, whole | {"do": "draft"}).status_code == 303
    stale = post(client, path, whole | {"title": "Mine", "csrf_token": fields["csrf_token"]})
    assert stale.status_code == 409
    assert "Root saved this draft" in stale.get_data(as_text=True)
    fresh = fields_of(other, path, "report-form")
    assert (fresh["title"], fresh["body"].strip(), fresh["names_none"]) == ("Calls", "We look into it.", "y")
    answer = post(other, path, fresh)
    incident = db.session.scalars(select(Incident)).one()
    assert answer.location == f"/admin/incidents/{incident.id}"
    assert post(other, path, fresh).location == answer.location
    assert other.get(path).location == answer.location
    assert "Saved" not in other.get("/admin/incidents").get_data(as_text=True)


def test_one_click_publishes_or_discards(world: World, cast: Cast, sign_in: SignIn) -> None:
    first, second = saved(world), saved(world, "two")
    client = sign_in(cast.ada)
    token = {"csrf_token": fields_of(client, f"{DRAFTS}/{first.id}", "report-form")["csrf_token"]}
    assert post(client, f"{DRAFTS}/{first.id}/publish", token | {"version": "9"}).status_code == 409
    for _again in range(2):
        answer = post(client, f"{DRAFTS}/{first.id}/publish", token | {"version": "1"})
        assert answer.status_code == 303
    assert (count(Incident), count(Broadcast)) == (1, 1)
    assert post(client, f"{DRAFTS}/{first.id}/discard", token | {"version": "2"}).location == answer.location
    assert post(client, f"{DRAFTS}/{second.id}/discard", token | {"version": "7"}).status_code == 409
    for _again in range(2):
        assert post(client, f"{DRAFTS}/{second.id}/discard", token | {"version": "1"}).status_code == 303
    db.session.refresh(second)
    assert second.discarded_at is not None
    assert (
        client.get(f"{DRAFTS}/{second.id}").status_code == 302 or client.get(f"{DRAFTS}/{second.id}").status_code == 303
    )


def test_what_keeps_it_from_being_published_is_said_in_its_form(world: World, cast: Cast, sign_in: SignIn) -> None:
    draft = saved(world, content=DraftContent("Calls", "Back by [time]", severities={}))
    client = sign_in(cast.ada)
    token = {"csrf_token": fields_of(client, f"{DRAFTS}/{draft.id}", "report-form")["csrf_token"], "version": "1"}
    answer = post(client, f"{DRAFTS}/{draft.id}/publish", token)
    assert answer.status_code == 422
    assert "Fill in the blank [time]" in answer.get_data(as_text=True)


def test_it_is_published_later_as_a_clock_of_its_zone_shows(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, NEW, "report-form") | {"title": "Calls", "body": "Text", "names_none": "y"}
    later = {"do": "later", "zone": "Europe/Berlin"}
    for given, sentence in (
        ({}, "Choose the time"),
        ({"publish_at": "2020-01-01T10:00"}, "Choose a time ahead"),
        ({"publish_at": "2031-03-30T02:30"}, "02:30"),
        ({"publish_at": "2031-07-01T10:00", "zone": "Mars"}, "Choose a time zone"),
    ):
        answer = post(client, NEW, fields | later | given)
        assert answer.status_code == 422
        assert sentence in answer.get_data(as_text=True)
    twice = fields | later | {"publish_at": "2031-10-26T02:30"}
    assert post(client, NEW, twice).status_code == 422
    assert post(client, NEW, twice | {"publish_reading": "second"}).status_code == 303
    draft = db.session.scalars(select(IncidentDraft)).one()
    assert (draft.publish_at.isoformat(), draft.zone) == ("2031-10-26T01:30:00+00:00", "Europe/Berlin")  # type: ignore[union-attr]
    page = client.get(f"{DRAFTS}/{draft.id}").get_data(as_text=True)
    assert "26 October 2031 02:30 CET" in page
    assert 'value="2031-10-26T02:30"' in page


def test_a_monitors_draft_says_so(world: World, cast: Cast, sign_in: SignIn) -> None:
    monitor: dict[str, Any] = {"origin": Origin.MONITOR, "origin_name": "Probe <1>", "fold_key": "x"}
    draft = saved(world, signal="<script>alert(1)</script>", **monitor)
    saved(world, "two", signal="again", **monitor)
    client = sign_in(cast.ada)
    for page in (client.get("/admin/incidents"), client.get(f"{DRAFTS}/{draft.id}")):
        text = page.get_data(as_text=True)
        assert "From a monitor" in text
        assert "Probe &lt;1&gt;" in text
        assert "<script>alert" not in text
    assert "2 signals" in client.get(f"{DRAFTS}?first=1").get_data(as_text=True)


def test_a_draft_exists_for_those_who_publish(world: World, cast: Cast, sign_in: SignIn) -> None:
    draft = saved(world)
    assert sign_in(cast.olaf).get(f"{DRAFTS}/{draft.id}").status_code == 403
    assert "Calls drop" not in sign_in(cast.olaf).get("/admin/incidents").get_data(as_text=True)
    assert sign_in(cast.ada).get(f"{DRAFTS}/999999").status_code == 404


def test_the_lists_cost_the_same_however_many_there_are(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    saved(world)
    client.get("/admin/incidents")
    with counted_queries() as few:
        client.get("/admin/incidents")
    for number in range(25):
        saved(world, str(number))
    with counted_queries() as many:
        page = client.get("/admin/incidents").get_data(as_text=True)
    assert "All 26" in page
    assert len(many) <= len(few) + 1
    assert client.get(f"{DRAFTS}?page=2").status_code == 200
    assert client.get(f"{DRAFTS}?page=9").status_code == 404


def test_wordings_are_typed_shown_and_kept(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, NEW, "report-form") | {
        "title": "Calls",
        "body": "Text",
        "names_none": "y",
        "wordings-to": ["company", f"d{cast.domain_b.id}", "company"],
        "wordings-company": ["Alder Dental", "", ""],
        "wordings-text": ["Your <b>phones</b>.", "Your circuits.", ""],
    }
    preview = post(client, "/admin/incidents/preview", fields).get_data(as_text=True)
    assert "Alder Dental reads this instead" in preview
    assert "Everybody at Southline reads this instead" in preview
    assert "<b>phones" not in preview
    for name, sentence in (("Nobody Ltd", "no company of this name"), ("", "Say which company")):
        wrong = fields | {"wordings-company": [name, "", ""]}
        refused = post(client, NEW, wrong)
        assert refused.status_code == 422
        assert sentence in refused.get_data(as_text=True)
        assert "Your circuits." in refused.get_data(as_text=True)
    assert post(client, NEW, fields | {"do": "more"}).status_code == 200
    assert post(client, NEW, fields | {"do": "draft"}).status_code == 303
    draft = db.session.scalars(select(IncidentDraft)).one()
    again = client.get(f"{DRAFTS}/{draft.id}").get_data(as_text=True)
    assert 'value="Alder Dental"' in again
    assert "Your circuits." in again
    answer = post(client, NEW, fields | {"key": "another-key-for-it"})
    assert answer.status_code == 303
    rows = db.session.scalars(select(IncidentWording).order_by(IncidentWording.id)).all()
    assert [(row.company_id, row.domain_id, row.text) for row in rows] == [
        (cast.a.id, None, "Your <b>phones</b>."),
        (None, cast.domain_b.id, "Your circuits."),
    ]
    shown = client.get(answer.location).get_data(as_text=True)
    assert "Alder Dental" in shown
    assert "Your circuits." in shown


def test_the_draft_of_a_monitor_says_which_companies_it_affects(world: World, cast: Cast, sign_in: SignIn) -> None:
    named = [Named("trunk-lon", world.trunk.id, Severity.PARTIAL_RTH)]
    now = clock.utcnow()
    monitor, _key = monitors.add_monitor(
        "Prometheus", Shape.ALERTMANAGER, Severity.PARTIAL_RTH, named, by=SYSTEM, now=now
    )
    words = frozenset({"trunk-lon"})
    signal = Signal("a" * 32, False, "Trunk does not answer", "No reply", words, Severity.MAJOR_OUTAGE)
    assert monitors.hear(monitor.id, [signal], now=now).opened == 1
    events.commit()
    page = soup(sign_in(cast.ada).get(f"{DRAFTS}/{db.session.scalars(select(IncidentDraft.id)).one()}"))
    head = page.select_one(".draft-head")
    assert head is not None
    assert "From a monitor: Prometheus" in head.text
    chosen = [each["value"] for each in page.select("input[name=components][checked]")]
    assert chosen == [str(world.trunk.id)]
    assert [each.text for each in page.select("#preview-companies li")] == [cast.a.name]
    assert "1 company is affected" in " ".join(page.select("#preview")[0].text.split())
    assert count(Incident) == 0


def test_a_past_report_is_written_down_and_nobody_is_told(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    day = clock.utcnow() - timedelta(days=20)
    fields = fields_of(client, PAST, "past-form") | {
        "title": "Trunk was down",
        "components": [str(world.trunk.id)],
        f"components-{world.trunk.id}": "major_outage",
        "zone": "Europe/Berlin",
        "entries-at": [f"{day:%Y-%m-%d}T10:00", f"{day:%Y-%m-%d}T08:00", ""],
        "entries-state": ["fixed", "investigating", "investigating"],
        "entries-text": ["Mended.", "We look into it.", ""],
    }
    for changes, sentence in (
        ({"entries-text": ["Mended.", "", ""]}, "Say in each entry"),
        ({"entries-at": [fields["entries-at"][0], "", ""]}, "when it was"),
        ({"entries-at": ["2031-01-01T10:00", fields["entries-at"][1], ""]}, "none of them in the future"),
        ({"entries-state": ["fixed", "x", ""]}, "Choose each state"),
        ({"entries-at": ["", "", ""], "entries-text": ["", "", ""]}, "at least one entry"),
    ):
        answer = post(client, PAST, fields | changes)
        assert answer.status_code == 422
        assert sentence in answer.get_data(as_text=True)
    assert post(client, PAST, fields | {"do": "more"}).status_code == 200
    for _again in range(2):
        answer = post(client, PAST, fields)
        assert answer.status_code == 303
    incident = db.session.scalars(select(Incident)).one()
    assert (incident.is_backfill, incident.state, count(IncidentUpdate), count(Broadcast)) == (True, State.FIXED, 2, 0)
    stretch = db.session.scalars(select(ImpactInterval)).one()
    assert (stretch.to_at, stretch.from_at) == (incident.resolved_at, incident.started_at)
    assert (incident.resolved_at - incident.started_at) == timedelta(hours=2)  # type: ignore[operator]
    assert "Entered later" in client.get("/admin/incidents").get_data(as_text=True)


def test_a_past_report_says_it_in_other_languages(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    day = clock.utcnow() - timedelta(days=20)
    fields = fields_of(client, PAST, "past-form") | {
        "title": "Trunk was down",
        "translations-de-title": " Leitung gestört ",
        "components": [str(world.trunk.id)],
        f"components-{world.trunk.id}": "major_outage",
        "zone": "UTC",
        "entries-at": [f"{day:%Y-%m-%d}T10:00", f"{day:%Y-%m-%d}T08:00", ""],
        "entries-state": ["fixed", "investigating", "investigating"],
        "entries-text": ["Mended.", "We look into it.", ""],
        "entries-text-de": ["Behoben.", "", ""],
    }
    more = soup(post(client, PAST, fields | {"do": "more"}))
    assert [each.text.strip() for each in more.select("textarea[name=entries-text-de]")] == ["Behoben.", "", ""]
    for changes, sentence in (
        ({"translations-de-title": "x" * 201}, "German: "),
        ({"entries-text-de": ["x" * 20_001, "", ""]}, "German: "),
        ({"entries-text-de": ["", "", "Noch etwas."]}, "Say in each entry"),
    ):
        answer = post(client, PAST, fields | changes)
        assert answer.status_code == 422, changes
        assert sentence in answer.get_data(as_text=True)
    assert post(client, PAST, fields).status_code == 303
    incident = db.session.scalars(select(Incident)).one()
    assert incident.titles == {"de": "Leitung gestört"}
    told = db.session.scalars(select(IncidentUpdate).order_by(IncidentUpdate.id)).all()
    assert [(each.body, each.bodies) for each in told] == [("We look into it.", {}), ("Mended.", {"de": "Behoben."})]
    cast.alice.language = "de"
    db.session.commit()
    page = sign_in(cast.alice).get(f"/incidents/{incident.public_id}").get_data(as_text=True)
    assert "Leitung gestört" in page
    assert "Behoben." in page
    assert "We look into it." in page


def test_when_it_began_can_be_corrected(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    incident = report("Trunk down", {world.trunk.id: Severity.MAJOR_OUTAGE})
    events.commit()
    path = f"/admin/incidents/{incident.id}/edit"
    before = incident.started_at
    fields = fields_of(client, path, "edit-form")
    assert post(client, path, fields).status_code == 303
    db.session.refresh(incident)
    assert (incident.started_at, incident.version) == (before, 1)
    earlier = (before - timedelta(hours=3)).replace(second=0, microsecond=0)
    typed = fields | {"zone": "UTC", "started_at": f"{earlier:%Y-%m-%dT%H:%M}"}
    assert post(client, path, typed).status_code == 303
    db.session.refresh(incident)
    assert incident.started_at == earlier
    assert db.session.scalars(select(ImpactInterval.from_at)).one() == earlier
    assert count(Broadcast) == 0
    assert post(client, path, typed).status_code == 409
    later = clock.utcnow() + timedelta(hours=1)
    late = fields_of(client, path, "edit-form") | {"zone": "UTC", "started_at": f"{later:%Y-%m-%dT%H:%M}"}
    refused = post(client, path, late)
    assert refused.status_code == 422
    assert "It cannot have begun after the first word about it." in refused.get_data(as_text=True)
