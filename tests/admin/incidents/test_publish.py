"""Publishing a report: the form, its preview, and what becomes of it."""

from typing import Any

import pytest
from sqlalchemy import func, select

from portal import events
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.models import PortalDomain
from portal.extensions import db
from portal.incidents.models import Incident, IncidentDraft, IncidentUpdate
from portal.incidents.rules import Audience, State, Visibility
from portal.notifications.models import Broadcast, Delivery
from tests.admin.incidents.conftest import fields_of, post, soup
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, token_in
from tests.incidents.conftest import World

NEW = "/admin/incidents/new"


def filled(client: Any, world: World, **changes: Any) -> dict[str, Any]:
    trunk = world.trunk.id
    return (
        fields_of(client, NEW, "report-form")
        | {"title": "Calls drop", "body": "We look into it.", "components": [str(trunk)]}
        | {f"components-{trunk}": "partial_rth"}
        | changes
    )


def test_defaults_are_public_for_everyone_with_mail(world: World, cast: Cast, sign_in: SignIn) -> None:
    fields = fields_of(sign_in(cast.ada), NEW, "report-form")
    assert (fields["visibility"], fields["audience"], fields["notify"]) == ("public", "everyone", "y")
    assert (fields["state"], fields["next_update"]) == ("investigating", "30")
    assert len(fields["key"]) >= 20


def test_a_report_is_published_and_mailed(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    answer = post(client, NEW, filled(client, world))
    incident = db.session.scalars(select(Incident)).one()
    assert answer.status_code == 303
    assert answer.location == f"/admin/incidents/{incident.id}"
    assert (incident.state, incident.visibility, incident.audience) == (
        State.INVESTIGATING,
        Visibility.PUBLIC,
        Audience.EVERYONE,
    )
    assert incident.impact == "major"
    assert incident.created_by_id == cast.ada.id
    assert incident.next_update_due_at is not None
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 3
    page = client.get(answer.location).get_data(as_text=True)
    assert "Calls drop" in page
    assert "0 of 3 mails sent" in page


def test_a_form_sent_twice_makes_one_report(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = filled(client, world)
    first, second = post(client, NEW, fields), post(client, NEW, fields)
    assert first.location == second.location
    assert db.session.scalar(select(func.count()).select_from(Incident)) == 1
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 1


def test_the_mail_can_be_narrowed_or_left_out(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    post(client, NEW, filled(client, world, affected_only="y"))
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 2
    fields = filled(client, world)
    del fields["notify"]
    post(client, NEW, fields)
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 1


def test_it_may_have_begun_earlier(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    post(client, NEW, filled(client, world, began="20"))
    incident = db.session.scalars(select(Incident)).one()
    assert 1199 < (incident.created_at - incident.started_at).total_seconds() < 1201


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"title": " "}, "Give the report a title."),
        ({"title": "x" * 201}, "longer than 200"),
        ({"body": ""}, "Say what customers should know."),
        ({"body": "x" * 20_001}, "at most 20,000 characters"),
        ({"components": []}, "Choose the components it affects"),
        ({"components": ["99999"]}, "no longer exists"),
        ({"components": ["x"]}, "from the list"),
        ({"state": "sleeping"}, "Not a valid choice"),
        ({"visibility": ""}, "Not a valid choice"),
        ({"next_update": "x"}, "Invalid Choice"),
        ({"began": "99999999"}, "up to a week ago"),
        ({"key": ""}, "required"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_refusal_keeps_the_text_and_says_why(
    world: World, cast: Cast, sign_in: SignIn, changes: dict[str, Any], sentence: str
) -> None:
    client = sign_in(cast.ada)
    answer = post(client, NEW, filled(client, world) | {"body": "CANARY kept"} | changes)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert sentence in page
    assert "body" in changes or "CANARY kept" in page
    assert db.session.scalar(select(func.count()).select_from(Incident)) == 0


def test_a_refused_form_keeps_its_components_and_severities(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    page = soup(post(client, NEW, filled(client, world, title="")))
    assert page.select_one(f'input[name="components"][value="{world.trunk.id}"][checked]') is not None
    chosen = page.select_one(f'select[name="components-{world.trunk.id}"] option[selected]')
    assert chosen is not None
    assert chosen["value"] == "partial_rth"


def test_a_report_may_name_no_component(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = filled(client, world, components=[], names_none="y")
    assert post(client, NEW, fields).status_code == 303
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 3


def test_a_link_fills_the_form_in(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, f"{NEW}?title=Fibre+cut&component={world.fibre.id}", "report-form")
    assert (fields["title"], fields["components"]) == ("Fibre cut", [str(world.fibre.id)])
    assert client.get(f"{NEW}?component=x'--&title={'x' * 999}").status_code == 200


def preview(client: Any, world: World, **changes: Any) -> str:
    answer = client.post(
        "/admin/incidents/preview", data=filled(client, world, **changes), headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    return " ".join(soup(answer).get_text(" ").split())


def test_the_preview_says_what_is_seen_who_and_when(world: World, cast: Cast, sign_in: SignIn) -> None:
    text = preview(sign_in(cast.ada), world)
    assert "Partial outage · Investigating" in text.replace(
        "Partial outage Investigating", "Partial outage · Investigating"
    )
    assert "Calls drop Affects your Hosted telephony We look into it." in text
    assert "1 company is affected, 2 people in them, through Hosted telephony" in text
    assert "Alder Dental" in text
    assert "By mail to 3 people" in text
    assert text.endswith("Publish and notify 3 people")


def test_the_preview_names_portals_with_words_of_their_own(world: World, cast: Cast, sign_in: SignIn) -> None:
    own = {"severity.partial_rth": "Teilweise gestört", "state.investigating": "Wir prüfen", "state.fixed": "Erledigt"}
    domain = db.session.get_one(PortalDomain, cast.domain_b.id)
    domains.set_wordings(domain, "de", own, defaults={}, version=domain.version, by=SYSTEM, now=NOW)
    events.commit()
    client, brand = sign_in(cast.ada), cast.domain_b.brand
    assert f"{brand} says “Teilweise gestört” and “Wir prüfen” in German." in preview(client, world)
    assert f"{brand} says “Erledigt” in German." in preview(client, world, state="fixed")
    assert "says" not in preview(client, world, visibility="private")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"visibility": "private"}, ["It exists nowhere else", "Publish for staff only"]),
        ({"audience": "affected"}, ["Nobody else sees it.", "Publish and notify 2 people"]),
        ({"affected_only": "y"}, ["Publish and notify 2 people"]),
        ({"notify": ""}, ["No mail is sent.", "Publish without mail"]),
        ({"components": []}, ["It names no component, so it concerns every company", "notify 3 people"]),
        ({"state": "fixed"}, ["The banner goes from their pages"]),
        ({"title": "", "body": ""}, ["Your title", "Your text"]),
        ({"components": ["x", "99999"], "state": "?", "next_update": "?", "began": "x"}, ["Publish and notify"]),
    ],
    ids=str,
)
def test_the_preview_follows_the_form(
    world: World, cast: Cast, sign_in: SignIn, changes: dict[str, Any], parts: list[str]
) -> None:
    client = sign_in(cast.ada)
    fields = {key: value for key, value in changes.items() if (key, value) != ("notify", "")}
    if "notify" in changes:
        data = filled(client, world)
        del data["notify"]
        answer = client.post("/admin/incidents/preview", data=data, headers={"HX-Request": "true"})
        text = " ".join(soup(answer).get_text(" ").split())
    else:
        text = preview(client, world, **fields)
    for part in parts:
        assert part in text


def test_what_nobody_holds_offers_to_add_the_dependency(world: World, cast: Cast, sign_in: SignIn) -> None:
    text = preview(sign_in(cast.ada), world, components=[str(world.spare.id)])
    assert "Nothing a customer holds depends on these components yet" in text


def test_who_cannot_be_reached_is_named_with_the_reason(world: World, cast: Cast, sign_in: SignIn) -> None:
    cast.bob.deactivated_at = cast.bob.created_at
    db.session.commit()
    text = preview(sign_in(cast.ada), world, audience="affected")
    assert "1 person cannot be reached by mail" in text
    assert "Bob Alder Dental, no longer active" in text


def test_a_preview_writes_nothing(world: World, cast: Cast, sign_in: SignIn) -> None:
    preview(sign_in(cast.ada), world)
    assert db.session.scalar(select(func.count()).select_from(IncidentUpdate)) == 0


def test_only_who_may_publish_does(world: World, cast: Cast, sign_in: SignIn, visitor: Any) -> None:
    office = sign_in(cast.olaf)
    assert office.get(NEW).status_code == 403
    token = {"csrf_token": token_in(office, "/admin/")}
    assert office.post(NEW, data=token).status_code == 403
    assert office.post("/admin/incidents/preview", data=token).status_code == 403
    assert office.get("/admin/incidents").status_code == 200
    assert sign_in(cast.alice).get(NEW).status_code == 404
    assert visitor(STAFF_HOST).get(NEW).status_code == 302


def test_user_text_is_shown_and_never_run(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    body = '<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) <div hx-get="/x">'
    answer = client.post(
        "/admin/incidents/preview",
        data=filled(client, world, title='"><b>x', body=body),
        headers={"HX-Request": "true"},
    )
    page = answer.get_data(as_text=True)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "<b>x" not in page
    assert soup(answer).select('[hx-get="/x"]') == []


def test_a_report_is_published_in_two_languages(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    cast.alice.language = "de"
    events.commit()
    german = {"translations-de-title": "Anrufe scheitern", "translations-de-body": "Wir sehen nach, {{wer}}."}
    fields = filled(client, world, **german)
    shown = soup(post(client, "/admin/incidents/preview", fields))
    readers, language = shown.find(id="preview-readers"), shown.find(id="preview-language-1")
    assert readers is not None
    assert language is not None
    assert "read English" in readers.text
    assert "1 reads German" in readers.text
    assert "Nobody has filled {{wer}} yet" in language.text
    # A voice that reads the page aloud reads German as German; what stands there untranslated has no language of ours.
    assert next((each["lang"], each.text) for each in language.select("[lang]")) == ("de", "Anrufe scheitern")
    assert "sehen nach" in language.select(".prose[lang=de]")[0].text
    half = soup(post(client, "/admin/incidents/preview", fields | {"translations-de-body": ""}))
    assert half.select("#preview-language-1 .prose")
    assert not half.select("#preview-language-1 .prose[lang]")
    refused = post(client, NEW, fields)
    assert refused.status_code == 422
    form = soup(refused).find(id="translations-de")
    assert form is not None
    assert "German: Nobody has filled {{wer}} yet" in form.text
    assert form.has_attr("open")
    assert "Anrufe scheitern" in str(form)
    assert post(client, NEW, fields | {"values-wer": "die Technik"}).status_code == 303
    made = db.session.scalars(select(Incident)).one()
    assert made.titles == {"de": "Anrufe scheitern"}
    update = db.session.scalars(select(IncidentUpdate)).one()
    assert update.bodies == {"de": "Wir sehen nach, die Technik."}
    page = client.get(f"/admin/incidents/{made.id}").get_data(as_text=True)
    assert "In German" in page
    assert "Anrufe scheitern" in page


def test_a_draft_keeps_what_is_written_in_another_language(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    german = {"translations-de-title": "Anrufe scheitern", "translations-de-body": "Seit {{time}}."}
    assert post(client, NEW, filled(client, world, **german) | {"do": "draft"}).status_code == 303
    draft = db.session.scalars(select(IncidentDraft)).one()
    path = f"/admin/incidents/drafts/{draft.id}"
    again = fields_of(client, path, "report-form")
    assert {name: again[name] for name in german} == german
    assert post(client, path, again | {"do": "publish"}).status_code == 303
    assert db.session.scalars(select(Incident)).one().titles == {"de": "Anrufe scheitern"}
    (body,) = db.session.scalars(select(IncidentUpdate)).one().bodies.values()
    assert body.startswith("Seit ")
    assert "{{" not in body
