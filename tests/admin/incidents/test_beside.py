"""The screens beside a report: reach, calls, changes, its owner, postmortem and merging."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from portal.accounts import actions as accounts
from portal.accounts.models import Person
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents import actions
from portal.incidents.models import Incident, IncidentUpdate, Postmortem
from portal.incidents.queries.nagging import possible_owners
from portal.incidents.rules import Severity, State, Visibility
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import DeliveryState
from tests.admin.incidents.conftest import fields_of, post, report, soup
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in
from tests.incidents.conftest import World
from tests.incidents.test_ledger import company

MAJOR = Severity.MAJOR_OUTAGE


@pytest.fixture
def incident(world: World) -> Incident:
    made = report("Calls drop", {world.trunk.id: MAJOR}, notify=True)
    db.session.commit()
    return made


def path(incident: Incident, rest: str = "") -> str:
    return f"/admin/incidents/{incident.id}{rest}"


def mails() -> int:
    return db.session.scalar(select(func.count()).select_from(Broadcast)) or 0


def test_the_report_says_how_far_it_reached(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    db.session.execute(update(Delivery).values(state=DeliveryState.FAILED))
    db.session.commit()
    client = sign_in(cast.ada)
    page = soup(client.get(path(incident)))
    reach = page.find(id="reach")
    assert reach is not None
    assert "Nobody was reached at one company" in reach.get_text(" ")
    assert page.find("a", href=path(incident, "/calls"))
    ledger = soup(client.get(path(incident, "/reach?show=nobody")))
    row = ledger.find(id=f"company-{cast.a.id}")
    assert row is not None
    assert "is-unreached" in row["class"]
    assert client.get(path(incident, "/reach?show=x")).status_code == 404
    assert client.get(path(incident, "/reach?page=9")).status_code == 404
    company_page = client.get(path(incident, f"/reach/{cast.a.id}")).get_data(as_text=True)
    assert "Failed" in company_page
    assert cast.alice.email in company_page
    assert client.get(path(incident, "/reach/999999")).status_code == 404


def test_the_call_list_can_be_read_and_downloaded(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    made = company("Zebra", world, people=0)
    made.name = "=HYPERLINK(1)"
    person = accounts.add_person("+44 20 Zed", "zed@zebra.test", by=SYSTEM, now=NOW)
    accounts.add_membership(person, made, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)
    assert "zed@zebra.test" in client.get(path(incident, "/calls")).get_data(as_text=True)
    token = token_in(client, path(incident, "/calls"))
    answer = post(client, path(incident, "/reach/export"), {"csrf_token": token, "sheet": "calls"})
    assert answer.mimetype == "text/csv"
    lines = answer.get_data(as_text=True).splitlines()
    assert lines[0].startswith("Company,Customer number,Contact")
    assert lines[1].startswith("'=HYPERLINK(1),,'+44 20 Zed,zed@zebra.test")
    answer = post(client, path(incident, "/reach/export"), {"csrf_token": token})
    whole = answer.get_data(as_text=True)
    assert "'=HYPERLINK(1),,Nobody reached,yes" in whole
    assert cast.a.name in whole
    noted = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "incident.export_reach")).all()
    assert [each.after["sheet"] for each in noted if each.after] == ["calls", "all"]
    assert post(client, path(incident, "/reach/export"), {"csrf_token": token, "sheet": "x"}).status_code == 422


def test_the_ledger_asks_as_often_for_many_companies_as_for_few(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)

    def asked() -> list[int]:
        counts = []
        for rest in ("/reach", "/calls", ""):
            client.get(path(incident, rest))
            with counted_queries() as statements:
                assert client.get(path(incident, rest)).status_code == 200
            counts.append(len(statements))
        return counts

    few = asked()
    for number in range(20):
        company(f"Many{number:02}", world, people=2)
    db.session.commit()
    assert asked() == few


def test_changes_are_told_word_by_word(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert "Nothing was changed" in client.get(path(incident, "/changes")).get_data(as_text=True)
    update_id = db.session.scalar(select(IncidentUpdate.id).where(IncidentUpdate.incident_id == incident.id))
    where = path(incident, f"/updates/{update_id}/edit")
    post(client, where, fields_of(client, where, "text-form") | {"body": "Calls drop <b>hard</b>"})
    page = soup(client.get(path(incident, "/changes")))
    text = page.find(class_="change-text")
    assert text is not None
    assert text.find("del") is not None
    assert "<b>" not in str(text)
    assert "Customers saw what is struck out" in page.get_text()
    assert cast.ada.name in page.get_text()


def test_a_report_is_handed_over_on_its_page(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = fields_of(client, path(incident), "owner-form")
    other = next(each for each in possible_owners() if each.id != cast.ada.id)
    assert post(client, path(incident, "/owner"), fields | {"owner": str(other.id)}).status_code == 303
    db.session.refresh(incident)
    assert incident.owner_id == other.id
    assert other.name in client.get(path(incident)).get_data(as_text=True)
    assert post(client, path(incident, "/owner"), fields | {"owner": str(cast.bob.id)}).status_code == 303
    db.session.refresh(incident)
    assert incident.owner_id == other.id
    assert post(client, path(incident, "/owner"), fields | {"owner": "0"}).status_code == 409


def test_the_list_says_who_is_late(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert "late by" not in client.get("/admin/incidents").get_data(as_text=True)
    db.session.execute(update(IncidentUpdate).values(posted_at=NOW))
    db.session.commit()
    assert "late by" in client.get("/admin/incidents").get_data(as_text=True)


def fixed(incident: Incident) -> None:
    actions.post_update(
        incident, State.FIXED, "Fixed.", {}, notify=False, version=incident.version, by=SYSTEM, author_id=None, now=NOW
    )
    db.session.commit()


def test_a_postmortem_is_written_published_and_corrected(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    client, where = sign_in(cast.ada), path(incident, "/postmortem")
    first = fields_of(client, where, "postmortem-form")
    assert post(client, where, first | {"body": ""}).status_code == 422
    assert post(client, where, first | {"body": "A fuse blew."}).status_code == 303
    written = db.session.scalars(select(Postmortem)).one()
    assert (written.body, written.published_at) == ("A fuse blew.", None)
    stale = post(client, where, first | {"body": "A cable broke."})
    assert stale.status_code == 409
    assert "A cable broke." in stale.get_data(as_text=True)
    assert soup(client.get(where)).find(id="publish-form") is None
    fixed(incident)
    before = mails()
    publishing = fields_of(client, where, "publish-form")
    assert post(client, f"{where}/publish", publishing | {"notify": "y"}).status_code == 303
    assert mails() == before + 1
    assert post(client, f"{where}/publish", publishing | {"notify": "y"}).status_code == 303
    assert mails() == before + 1
    fields = fields_of(client, where, "postmortem-form")
    assert post(client, where, fields | {"body": "A fuse blew; it is replaced."}).status_code == 303
    assert mails() == before + 1
    assert "Postmortem" in client.get(path(incident, "/changes")).get_data(as_text=True)
    discard = post(client, f"{where}/discard", {"csrf_token": fields["csrf_token"], "version": "9"})
    assert discard.status_code == 422


def test_a_draft_is_thrown_away(world: World, incident: Incident, cast: Cast, sign_in: SignIn) -> None:
    client, where = sign_in(cast.ada), path(incident, "/postmortem")
    fields = fields_of(client, where, "postmortem-form")
    post(client, where, fields | {"body": "A fuse blew."})
    given = {"csrf_token": fields["csrf_token"], "version": "9"}
    assert post(client, f"{where}/discard", given).status_code == 409
    assert post(client, f"{where}/discard", given | {"version": "1"}).status_code == 303
    assert post(client, f"{where}/discard", given | {"version": "1"}).status_code == 303
    assert db.session.scalar(select(func.count()).select_from(Postmortem)) == 0


def test_merging_says_what_it_touches_and_leads_to_the_other(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    other = report("Exchange burns", {world.exchange.id: MAJOR})
    actions.acknowledge(incident, cast.a.id, cast.alice.id, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)
    where = path(incident, "/merge")
    page = soup(client.get(f"{where}?into={other.id}"))
    told = page.find(class_="merge-touches")
    assert told is not None
    assert "called off" in told.get_text()
    assert "1 company that says it knows of it says so of the other." in " ".join(told.get_text(" ").split())
    fields = fields_of(client, f"{where}?into={other.id}", "merge")
    assert post(client, where, fields | {"body": ""}).status_code == 422
    answer = post(client, where, fields)
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith(path(other))
    again = post(client, where, fields)
    assert again.status_code in (303, 422)
    assert "was merged into" in client.get(path(incident)).get_data(as_text=True)
    assert soup(client.get(path(incident))).find(id="report-form") is None
    assert "Calls drop" in client.get(path(other)).get_data(as_text=True)
    assert client.get(f"{where}?into={incident.id}").status_code == 200


def test_what_cannot_be_merged_says_why_before_it_is_tried(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn
) -> None:
    hidden = report("Only for us", {}, visibility=Visibility.PRIVATE)
    db.session.commit()
    client = sign_in(cast.ada)
    page = client.get(path(incident, f"/merge?into={hidden.id}")).get_data(as_text=True)
    assert "make the other public first" in page
    fields = fields_of(client, path(incident, f"/merge?into={hidden.id}"), "merge")
    refused = post(client, path(incident, "/merge"), fields | {"body": "x", "into": str(hidden.id)})
    assert refused.status_code == 422


@pytest.mark.parametrize("rest", ["/postmortem", "/postmortem/publish", "/postmortem/discard", "/owner", "/merge"])
def test_who_may_not_publish_changes_nothing(
    world: World, incident: Incident, cast: Cast, sign_in: SignIn, rest: str
) -> None:
    client = sign_in(cast.olaf)
    token = token_in(client, path(incident))
    given: dict[str, Any] = {"csrf_token": token, "version": "1", "body": "x", "owner": "0", "into": "1"}
    assert post(client, path(incident, rest), given).status_code == 403


def test_a_person_who_is_gone_is_no_owner(world: World, cast: Cast, sign_in: SignIn) -> None:
    made = report("Calls drop", {world.trunk.id: MAJOR}, author_id=cast.ada.id)
    db.session.execute(update(Person).where(Person.id == cast.ada.id).values(deactivated_at=NOW))
    db.session.commit()
    page = sign_in(cast.root).get(path(made)).get_data(as_text=True)
    assert "Nobody by name looks after it" in page
