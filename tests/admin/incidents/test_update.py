"""Updating, resolving and correcting a report, also by two people at once."""

from typing import Any

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.incidents.models import Incident, IncidentComponent, IncidentUpdate
from portal.incidents.rules import Severity, State, Visibility
from portal.notifications.models import Broadcast
from tests.admin.incidents.conftest import fields_of, post, report, soup
from tests.conftest import Cast, SignIn, token_in
from tests.incidents.conftest import World

MAJOR = Severity.MAJOR_OUTAGE


@pytest.fixture
def incident(world: World) -> Incident:
    made = report("Calls drop", {world.trunk.id: MAJOR})
    db.session.commit()
    return made


def path(incident: Incident) -> str:
    return f"/admin/incidents/{incident.id}"


def update_fields(client: Any, incident: Incident, query: str = "", **changes: Any) -> dict[str, Any]:
    return fields_of(client, path(incident) + query, "report-form") | {"body": "More."} | changes


def bodies(incident: Incident) -> list[str]:
    return list(
        db.session.scalars(
            select(IncidentUpdate.body).where(IncidentUpdate.incident_id == incident.id).order_by(IncidentUpdate.id)
        )
    )


def test_the_form_opens_with_what_stands(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, path(incident), "report-form")
    assert (fields["state"], fields["components"]) == ("investigating", [str(world.trunk.id)])
    assert fields[f"components-{world.trunk.id}"] == "major_outage"
    assert fields_of(client, path(incident) + "?state=fixed", "report-form")["state"] == "fixed"
    assert fields_of(client, path(incident) + "?state=x", "report-form")["state"] == "investigating"


def test_an_update_moves_state_and_severities(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = update_fields(client, incident, state="watching", components=[str(world.trunk.id), str(world.fibre.id)])
    fields |= {f"components-{world.trunk.id}": "none", f"components-{world.fibre.id}": "performance_issue"}
    assert post(client, f"{path(incident)}/updates", fields).status_code == 303
    db.session.refresh(incident)
    assert incident.state is State.WATCHING
    rows = db.session.execute(select(IncidentComponent.component_id, IncidentComponent.severity)).all()
    assert sorted(rows) == [(world.trunk.id, Severity.NONE), (world.fibre.id, Severity.PERFORMANCE_ISSUE)]
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 1


def test_resolving_is_one_link_and_one_text_away(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    link = soup(client.get("/admin/")).find("a", string="Resolve")
    assert link is not None
    fields = fields_of(client, str(link["href"]).split("#")[0], "report-form")
    post(client, f"{path(incident)}/updates", fields | {"body": "All back."})
    db.session.refresh(incident)
    assert incident.state is State.FIXED
    assert incident.resolved_at is not None
    page = client.get(path(incident)).get_data(as_text=True)
    assert "Add to it, or reopen it" in page


def test_a_note_for_staff_is_marked_and_mails_nobody(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = update_fields(client, incident, visibility="private", state="fixed", body="CANARY ticket 4471")
    assert post(client, f"{path(incident)}/updates", fields).status_code == 303
    db.session.refresh(incident)
    assert incident.state is State.INVESTIGATING
    page = client.get(path(incident)).get_data(as_text=True)
    assert "CANARY ticket 4471" in page
    assert "Private" in page
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 0


def test_a_refusal_keeps_the_text(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    for body, kept in (("", ""), ("x" * 20_001, "x" * 20_001)):
        answer = post(client, f"{path(incident)}/updates", update_fields(client, incident, body=body))
        assert answer.status_code == 422
        assert kept in answer.get_data(as_text=True)
    assert bodies(incident) == ["Calls drop body"]


def test_r43_two_admins_update_one_incident(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    """The second gets 409 with both texts; nothing is lost silently; sending it again is a decision."""
    ada, root = sign_in(cast.ada), sign_in(cast.root)
    first, second = update_fields(ada, incident, body="First text"), update_fields(root, incident, body="Second text")
    assert post(ada, f"{path(incident)}/updates", first).status_code == 303
    answer = post(root, f"{path(incident)}/updates", second)
    assert answer.status_code == 409
    page = answer.get_data(as_text=True)
    assert "Ada changed this report while you wrote" in page
    assert "First text" in page
    assert "Second text" in page
    assert bodies(incident) == ["Calls drop body", "First text"]
    version = soup(answer).find("input", attrs={"name": "version"})
    again = second | {"version": version["value"]}  # type: ignore[index]
    assert post(root, f"{path(incident)}/updates", again).status_code == 303
    assert bodies(incident) == ["Calls drop body", "First text", "Second text"]


def test_r43_two_admins_edit_one_incident(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    ada, root = sign_in(cast.ada), sign_in(cast.root)
    edit = f"{path(incident)}/edit"
    first = fields_of(ada, edit, "edit-form") | {"title": "Ada's title"}
    second = fields_of(root, edit, "edit-form") | {"title": "Root's title"}
    assert post(ada, edit, first).status_code == 303
    answer = post(root, edit, second)
    assert answer.status_code == 409
    page = answer.get_data(as_text=True)
    assert "Ada&#39;s title" in page
    assert "Root&#39;s title" in page
    db.session.refresh(incident)
    assert incident.title == "Ada's title"


def test_r45_resolving_and_updating_at_once_has_one_order(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    """Who comes second is told that it is fixed; the report is not reopened by accident, and no mail says so."""
    ada, root = sign_in(cast.ada), sign_in(cast.root)
    fix = update_fields(ada, incident, state="fixed", body="Fixed it")
    more = update_fields(root, incident, state="identified", body="Found it")
    assert post(ada, f"{path(incident)}/updates", fix).status_code == 303
    assert post(root, f"{path(incident)}/updates", more).status_code == 409
    db.session.refresh(incident)
    assert incident.state is State.FIXED
    [broadcast] = db.session.scalars(select(Broadcast)).all()
    assert broadcast.content["en"]["text"].startswith("Fixed:")


def test_an_update_sent_twice_is_written_once(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = update_fields(client, incident, body="Once")
    assert post(client, f"{path(incident)}/updates", fields).status_code == 303
    assert post(client, f"{path(incident)}/updates", fields).status_code == 303
    assert bodies(incident) == ["Calls drop body", "Once"]


def test_an_edit_says_how_many_mails_it_called_off(world: World, cast: Cast, sign_in: SignIn) -> None:
    incident = report("Calls drop", {world.trunk.id: MAJOR}, notify=True)
    db.session.commit()
    client = sign_in(cast.ada)
    edit = f"{path(incident)}/edit"
    assert "those that wait for others are" in client.get(edit).text
    fields = fields_of(client, edit, "edit-form") | {"audience": "affected"}
    assert post(client, edit, fields).status_code == 303
    said = client.get(path(incident)).text
    assert "1 message that still waited was called off; what was sent stays sent." in said
    assert post(client, edit, fields_of(client, edit, "edit-form") | {"audience": "everyone"}).status_code == 303
    assert "called off" not in client.get(path(incident)).text


def test_an_edit_hides_or_shows_a_report(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    edit = f"{path(incident)}/edit"
    fields = fields_of(client, edit, "edit-form") | {"visibility": "private", "title": "Hidden"}
    assert post(client, edit, fields).status_code == 303
    db.session.refresh(incident)
    assert (incident.visibility, incident.title) == (Visibility.PRIVATE, "Hidden")
    fields = fields_of(client, edit, "edit-form") | {"title": "x" * 300}
    assert post(client, edit, fields).status_code == 422


def test_a_text_is_corrected_and_two_who_do_so_are_told(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    ada, root = sign_in(cast.ada), sign_in(cast.root)
    update_id = db.session.scalars(select(IncidentUpdate.id)).one()
    correct = f"{path(incident)}/updates/{update_id}/edit"
    first = fields_of(ada, correct, "text-form") | {"body": "Ada's words"}
    second = fields_of(root, correct, "text-form") | {"body": "Root's words"}
    assert post(ada, correct, first).status_code == 303
    answer = post(root, correct, second)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "Ada's words" in page
    assert "Root&#39;s words" in page
    assert bodies(incident) == ["Ada's words"]
    assert post(ada, correct, fields_of(ada, correct, "text-form") | {"body": ""}).status_code == 422
    assert ada.get(f"{path(incident)}/updates/999999/edit").status_code == 404


def test_the_preview_of_an_update_says_what_its_button_does(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)

    def button(**changes: Any) -> str:
        answer = client.post(f"{path(incident)}/preview", data=update_fields(client, incident, **changes))
        found = soup(answer).find(id="publish-button")
        assert found is not None
        return found.get_text()

    assert button() == "Post and notify 3 people"
    assert button(state="fixed") == "Resolve and notify 3 people"
    assert button(visibility="private") == "Add the note for staff"
    post(client, f"{path(incident)}/updates", update_fields(client, incident, state="fixed"))
    assert button(state="identified") == "Reopen and notify 3 people"


def test_missing_reports_are_not_there_and_readers_cannot_write(
    incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    for tail in ("", "/edit", "/updates/1/edit"):
        assert client.get(f"/admin/incidents/999999{tail}").status_code == 404
    token = {"csrf_token": token_in(client, "/admin/")}
    assert client.post("/admin/incidents/999999/updates", data=token).status_code == 404
    office = sign_in(cast.olaf)
    page = office.get(path(incident))
    assert page.status_code == 200
    assert soup(page).find(id="report-form") is None
    token = {"csrf_token": token_in(office, "/admin/")}
    for tail in ("/edit", "/updates", "/preview"):
        assert office.post(path(incident) + tail, data=token).status_code == 403


def test_the_live_part_is_inside_the_page(incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fragment = client.get(path(incident), headers={"HX-Request": "true"})
    assert fragment.get_data(as_text=True).lstrip().startswith('<div class="report" id="timeline"')
    again = client.get(path(incident), headers={"HX-Request": "true", "If-None-Match": fragment.headers["ETag"]})
    assert again.status_code == 304
