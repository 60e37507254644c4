"""The page of an incident as a customer has it: following it, saying that one knows, its postmortem, merged reports."""

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.incidents import actions
from portal.incidents.models import Incident, IncidentAcknowledgement, IncidentFollower, IncidentSighting
from portal.incidents.rules import Audience, Severity, State, Visibility
from tests.admin.incidents.conftest import report, soup
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in
from tests.incidents.conftest import World, world
from tests.incidents.test_actions import ADA

__all__ = ["world"]

MAJOR = Severity.MAJOR_OUTAGE


@pytest.fixture
def incident(world: World) -> Incident:
    made = report("Calls drop", {world.trunk.id: MAJOR})
    db.session.commit()
    return made


def where(incident: Incident, rest: str = "") -> str:
    return f"/incidents/{incident.public_id}{rest}"


def count(row: type) -> int:
    return db.session.scalar(select(func.count()).select_from(row)) or 0


def test_somebody_follows_mutes_and_changes_their_mind(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.alice)
    token = token_in(client, where(incident))
    said = {"all": "You follow this incident", "none": "You get no mails about this incident", "usual": "as about all"}
    for wish, words in said.items():
        answer = client.post(where(incident, "/follow"), data={"csrf_token": token, "wish": wish})
        assert answer.status_code == 303
        assert words in client.get(where(incident)).get_data(as_text=True)
    assert count(IncidentFollower) == 0
    assert client.post(where(incident, "/follow"), data={"csrf_token": token, "wish": "x"}).status_code == 404


def test_a_company_says_that_it_knows(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    token = token_in(client, where(incident))
    page = soup(client.get(where(incident)))
    assert page.find("form", action=where(incident, "/acknowledge"))
    for _again in range(2):
        assert client.post(where(incident, "/acknowledge"), data={"csrf_token": token}).status_code == 303
    assert count(IncidentAcknowledgement) == 1
    page = soup(client.get(where(incident)))
    assert page.find("form", action=where(incident, "/acknowledge")) is None
    assert "aware of this" in page.get_text()


def test_a_page_notes_once_that_it_was_seen(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    for path in (where(incident), "/"):
        assert soup(client.get(path)).find("form", action="/incidents/seen")
    token = token_in(client, where(incident))
    given = {"csrf_token": token, "incident": [incident.public_id, "x"]}
    assert client.post("/incidents/seen", data=given).status_code == 204
    with counted_queries() as statements:
        assert client.post("/incidents/seen", data=given).status_code == 204
    assert not [each for each in statements if each.startswith("INSERT")]
    assert count(IncidentSighting) == 1
    for path in (where(incident), "/"):
        assert soup(client.get(path)).find("form", action="/incidents/seen") is None


def test_what_a_company_does_not_see_it_can_say_nothing_of(world: World, cast: Cast, sign_in: SignIn) -> None:
    theirs = report("Only B", {world.fibre.id: MAJOR}, audience=Audience.AFFECTED)
    hidden = report("Only us", {world.trunk.id: MAJOR}, visibility=Visibility.PRIVATE)
    db.session.commit()
    client = sign_in(cast.alice)
    token = token_in(client, "/account")
    missing = client.post("/incidents/nothing/follow", data={"csrf_token": token, "wish": "all"})
    for each in (theirs, hidden):
        for rest in ("/follow", "/acknowledge"):
            answer = client.post(where(each, rest), data={"csrf_token": token, "wish": "all"})
            assert (answer.status_code, len(answer.data)) == (404, len(missing.data))
        client.post("/incidents/seen", data={"csrf_token": token, "incident": each.public_id})
    assert count(IncidentFollower) + count(IncidentAcknowledgement) + count(IncidentSighting) == 0


def test_a_postmortem_shows_once_it_is_published(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    actions.post_update(
        incident, State.FIXED, "Fixed.", {}, notify=False, version=incident.version, by=ADA, author_id=None, now=NOW
    )
    written = actions.write_postmortem(incident, "A fuse **blew**.", version=0, by=ADA, author_id=None, now=NOW)
    db.session.commit()
    client = sign_in(cast.alice)
    assert "blew" not in client.get(where(incident)).get_data(as_text=True)
    actions.publish_postmortem(incident, written, notify=False, version=written.version, by=ADA, now=NOW)
    db.session.commit()
    shown = soup(client.get(where(incident))).find(id="postmortem")
    assert shown is not None
    assert shown.find("strong") is not None


def test_the_address_of_a_merged_report_leads_to_the_other(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    into = report("Exchange burns", {world.exchange.id: MAJOR})
    theirs = report("Only B", {world.fibre.id: MAJOR}, audience=Audience.AFFECTED, body="Canary of B")
    for each in (incident, theirs):
        actions.merge(each, into, "The same.", notify=False, version=each.version, by=ADA, author_id=None, now=NOW)
    db.session.commit()
    client = sign_in(cast.alice)
    answer = client.get(where(incident))
    assert (answer.status_code, answer.headers["Location"]) == (302, where(into))
    page = client.get(where(into)).get_data(as_text=True)
    assert "Also reported as “Calls drop”" in page
    assert "Canary of B" not in page
    assert client.get(where(theirs)).status_code == 404
    assert "Calls drop" not in client.get("/").get_data(as_text=True)
