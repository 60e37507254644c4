"""Setting a status from the company's page: the form, its preview, what is refused, and what becomes of it."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock
from portal.admin.services.routes import HOLDINGS_AT_MOST
from portal.catalogue.models import Holding, HoldingDependency
from portal.extensions import db
from portal.incidents.rules import Severity
from portal.notifications.models import Broadcast, Delivery
from portal.services.models import ServiceUpdate, StarterNote
from portal.services.rules import Scope, ServiceStatus, UpdateKind, Wanted
from tests.admin.incidents.conftest import report
from tests.admin.services.conftest import fields_of, last_update, post, soup, standing, state, windows
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import LONG_AGO, World

SET = "/admin/services/set"


def opened(client: FlaskClient, world: World, **changes: Any) -> dict[str, Any]:
    """The form for what company A holds, filled in."""
    fields = fields_of(client, f"{SET}?holding={world.holding_a.id}", "set-form")
    return fields | {"status": "system_is_down", "notes": "No calls get through. More at 10:00."} | changes


def preview(client: FlaskClient, fields: dict[str, Any]) -> str:
    answer = client.post(f"{SET}/preview", data=fields, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    return " ".join(soup(answer).get_text(" ").split())


def test_the_companys_page_says_how_each_is_and_leads_here(world: World, cast: Cast, sign_in: SignIn) -> None:
    second = Holding(company_id=cast.a.id, service_id=world.internet.id, reference="LINE-1", valid_from=LONG_AGO)
    db.session.add(second)
    db.session.commit()
    state([world.holding_a.id], Wanted(ServiceStatus.DOWN), clock.utcnow())
    page = soup(sign_in(cast.ada).get(f"/admin/companies/{cast.a.id}"))
    rows = [" ".join(row.get_text(" ").split()) for row in page.select("#holdings tbody tr")]
    assert ["System is down" in row for row in rows] == [True, False]
    assert [link["href"] for link in page.find_all("a", string="Set status")] == [
        f"{SET}?holding={world.holding_a.id}",
        f"{SET}?holding={second.id}",
    ]
    assert len(page.select('input[name="holding"]')) == 2
    office = sign_in(cast.olaf).get(f"/admin/companies/{cast.a.id}").get_data(as_text=True)
    assert "System is down" in office
    assert "Set status" not in office


def test_a_problem_is_set_told_and_shown(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    answer = post(client, SET, opened(client, world, ticket="T-9"))
    made = last_update()
    assert answer.status_code == 303
    assert answer.location == f"/admin/services/updates/{made.id}"
    assert standing() == {world.holding_a.id: ServiceStatus.DOWN}
    assert (made.kind, made.scope, made.ticket, made.author_id) == (UpdateKind.STATED, Scope.ONE, "T-9", cast.ada.id)
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 2
    page = client.get(answer.location).get_data(as_text=True)
    assert "No calls get through" in page
    assert "Undo" in page
    assert "T-9" in page


def test_a_form_sent_twice_is_one_update(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields = opened(client, world)
    assert post(client, SET, fields).location == post(client, SET, fields).location
    assert db.session.scalar(select(func.count()).select_from(ServiceUpdate)) == 1


def test_several_holdings_of_a_company_are_set_at_once(world: World, cast: Cast, sign_in: SignIn) -> None:
    second = Holding(company_id=cast.a.id, service_id=world.internet.id, reference="LINE-1", valid_from=LONG_AGO)
    db.session.add(second)
    db.session.commit()
    client = sign_in(cast.ada)
    ids = [str(world.holding_a.id), str(second.id)]
    page = client.get(f"{SET}?holding={ids[0]}&holding={ids[1]}").get_data(as_text=True)
    assert "Set the status of 2 services" in page
    assert post(client, SET, opened(client, world, holding=ids)).status_code == 303
    assert standing() == dict.fromkeys((world.holding_a.id, second.id), ServiceStatus.DOWN)
    assert last_update().scope is Scope.CHOSEN


def test_one_that_ended_meanwhile_is_said_and_nothing_is_set(world: World, cast: Cast, sign_in: SignIn) -> None:
    second = Holding(company_id=cast.a.id, service_id=world.internet.id, reference="LINE-1", valid_from=LONG_AGO)
    db.session.add(second)
    db.session.commit()
    client = sign_in(cast.ada)
    fields = opened(client, world, holding=[str(world.holding_a.id), str(second.id)])
    second.valid_to = clock.utcnow()
    db.session.commit()
    answer = post(client, SET, fields)
    assert answer.status_code == 422
    assert "is not there any more" in answer.get_data(as_text=True)
    assert standing() == {}


def test_more_than_a_form_holds_are_refused_and_never_left_out_silently(
    world: World, cast: Cast, sign_in: SignIn
) -> None:
    more = [
        Holding(company_id=cast.a.id, service_id=world.internet.id, reference=f"LINE-{number}", valid_from=LONG_AGO)
        for number in range(HOLDINGS_AT_MOST)
    ]
    db.session.add_all(more)
    db.session.commit()
    client = sign_in(cast.ada)
    ids = [str(each.id) for each in (world.holding_a, *more)]
    page = client.get(f"{SET}?{'&'.join(f'holding={each}' for each in ids)}")
    assert len(soup(page).select('#set-form [name="holding"]')) == HOLDINGS_AT_MOST
    assert "Here are the first 200 of 201" in page.get_data(as_text=True)
    answer = post(client, SET, opened(client, world, holding=ids))
    assert answer.status_code == 422
    assert "This form names 201." in answer.get_data(as_text=True)
    assert standing() == {}
    assert post(client, SET, opened(client, world, holding=ids[1:])).status_code == 303
    assert len(standing()) == HOLDINGS_AT_MOST


def test_nothing_ticked_leads_back_and_nothing_there_is_nothing(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    answer = client.get(f"{SET}?company={cast.a.id}")
    assert (answer.status_code, answer.location) == (303, f"/admin/companies/{cast.a.id}#holdings")
    for query in ("", "?company=99999", "?holding=99999", "?holding=x", "?holding=-1"):
        assert client.get(SET + query).status_code == 404


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"status": ""}, "Choose a status."),
        ({"status": "on_fire"}, "Choose a status."),
        ({"notes": "Back at [time]."}, "[time]"),
        ({"notes": "x" * 10_001}, "at most 10,000"),
        ({"status": "scheduled_service"}, "Say when the work starts."),
        ({"status": "scheduled_service", "starts_at": "2027-06-01T10:00"}, "Say when the work ends."),
        ({"status": "scheduled_service", "starts_at": "2027-06-01T10:00", "ends_at": "2027-06-01T09:00"}, "after"),
        ({"ends_at": "2020-01-01T10:00"}, "over already"),
        ({"zone": "Mars/Olympus"}, "Choose a time zone"),
        ({"began": "at"}, "Say when it began."),
        ({"began": "at", "began_at": "2099-01-01T10:00"}, "cannot have begun in the future"),
        ({"ticket": "x" * 61}, "at most 60"),
        ({"ends_at": "soon"}, "Not a valid"),
    ],
)
def test_a_refusal_stands_beside_its_field_and_keeps_everything(
    world: World, cast: Cast, sign_in: SignIn, changes: dict[str, str], sentence: str
) -> None:
    client = sign_in(cast.ada)
    answer = post(client, SET, opened(client, world, **changes))
    assert answer.status_code == 422
    page = soup(answer)
    assert any(sentence in each.get_text() for each in page.select(".field-error"))
    assert changes.get("notes", "No calls get through. More at 10:00.") in page.select_one("#notes").get_text()  # type: ignore[union-attr]
    assert standing() == {}
    assert db.session.scalar(select(func.count()).select_from(Broadcast)) == 0


def test_scheduled_service_is_entered_in_a_zone(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    times = {"starts_at": "2027-06-01T22:00", "ends_at": "2027-06-02T01:00", "zone": "Europe/Berlin"}
    fields = opened(client, world, status="scheduled_service", notes="New switch.", **times)
    assert "Announce for 1 company and mail 2 people" in preview(client, fields)
    assert post(client, SET, fields).status_code == 303
    window = windows()[0]
    assert (window.starts_at.isoformat(), window.zone) == ("2027-06-01T20:00:00+00:00", "Europe/Berlin")
    assert standing() == {}


def test_an_hour_that_clocks_leave_out_is_refused_and_one_they_show_twice_asked_for(
    world: World, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    fields = opened(client, world, status="scheduled_service", zone="Europe/London")
    gap = post(client, SET, fields | {"starts_at": "2027-03-28T01:30", "ends_at": "2027-03-28T04:00"})
    assert gap.status_code == 422
    assert "01:30 does not exist" in gap.get_data(as_text=True)
    overlap = fields | {"starts_at": "2027-10-31T01:30", "ends_at": "2027-10-31T01:45"}
    twice = post(client, SET, overlap)
    assert twice.status_code == 422
    assert len(soup(twice).select('[name="starts_reading"]')) == 2
    asked_end = post(client, SET, overlap | {"starts_reading": "first"})
    assert len(soup(asked_end).select('[name="ends_reading"]')) == 2
    assert post(client, SET, overlap | {"starts_reading": "first", "ends_reading": "second"}).status_code == 303
    window = windows()[0]
    assert window.ends_at - window.starts_at == timedelta(minutes=75)


def test_when_it_began_is_proposed_from_the_earliest_incident(world: World, cast: Cast, sign_in: SignIn) -> None:
    now = clock.utcnow()
    first = report("Exchange out", {world.exchange.id: Severity.MAJOR_OUTAGE}, now=now - timedelta(hours=2))
    report("Calls drop", {world.trunk.id: Severity.PARTIAL_RTH}, now=now - timedelta(hours=1))
    report("Fibre cut", {world.fibre.id: Severity.MAJOR_OUTAGE}, now=now - timedelta(hours=3))
    db.session.commit()
    began = first.started_at
    client = sign_in(cast.ada)
    fields = opened(client, world)
    assert fields["began"] == "cause"
    assert "Exchange out" in client.get(f"{SET}?holding={world.holding_a.id}").get_data(as_text=True)
    post(client, SET, fields)
    assert last_update().began_at == began
    # What is over began to be over now, whatever stands chosen for a problem.
    post(client, SET, opened(client, world, status="operating_normally", notes="", key="another-key-of-a-form"))
    assert last_update().began_at >= now


def test_a_service_of_the_holding_itself_counts_for_the_proposal(world: World, cast: Cast, sign_in: SignIn) -> None:
    db.session.query(HoldingDependency).delete()
    report("Exchange out", {world.exchange.id: Severity.MAJOR_OUTAGE})
    db.session.commit()
    assert opened(sign_in(cast.ada), world)["began"] == "now"


def test_the_preview_says_what_is_seen_who_is_told_and_what_to_think_of(
    world: World, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    page = preview(client, opened(client, world, notes="", ticket="T-9"))
    assert "Set for 1 company and mail 2 people" in page
    assert "There are no notes." in page
    assert "There is no estimate" in page
    assert "Hosted telephony System is down" in page
    assert "2 people at 1 company" in page
    assert "Alice" in page
    assert "Mail: [Northline status] Hosted telephony" in page.replace(" ,", ",")
    assert "{{" not in page
    quiet = opened(client, world)
    del quiet["notify"]
    assert "Set for 1 company without mail" in preview(client, quiet)
    assert "Still to be filled in: [time], [cause]" in preview(client, opened(client, world, notes="[time] [cause]"))
    assert "Choose a status" in preview(client, opened(client, world, status=""))
    assert db.session.scalar(select(func.count()).select_from(ServiceUpdate)) == 0


def test_the_mail_is_read_in_each_language_in_the_words_of_the_readers_portal(
    world: World, cast: Cast, sign_in: SignIn
) -> None:
    cast.domain_a.wordings = {
        "en": {"service.system_is_down": "Out of order"},
        "de": {"service.system_is_down": "Kaputt"},
    }
    db.session.commit()
    client = sign_in(cast.ada)
    found = soup(client.post(f"{SET}/preview", data=opened(client, world), headers={"HX-Request": "true"}))
    texts = {each["lang"]: each.get_text() for each in found.select(".letter-plain")}
    assert list(texts) == ["en", "de"]
    assert "Out of order" in texts["en"]
    assert "Kaputt" in texts["de"]
    assert len(found.select(".seen-mail")) == 2
    assert "No calls get through" in texts["en"]
    assert "No calls get through" in texts["de"]
    assert "in German" in found.select_one("#told-mail-de summary").get_text()  # type: ignore[union-attr]


def test_a_recovery_kept_quiet_is_warned_of_where_the_outage_was_mailed(
    world: World, cast: Cast, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    quiet = opened(client, world, status="operating_normally")
    del quiet["notify"]
    assert "people are waiting to hear" not in preview(client, quiet)
    state([world.holding_a.id], Wanted(ServiceStatus.DOWN), clock.utcnow())
    page = preview(client, quiet)
    assert "people are waiting to hear" in page
    assert "Now 1 system is down" in page
    assert post(client, SET, quiet).status_code == 303


def test_starter_notes_are_put_in_without_script_and_own_ones_kept(world: World, cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    put = post(client, SET, opened(client, world, notes="Hello.", starter="system_is_down-0"))
    assert put.status_code == 200
    assert "Hello.\n\n[What cannot be used] is down" in soup(put).select_one("#notes").get_text().replace("\r", "")  # type: ignore[union-attr]
    assert post(client, SET, opened(client, world, starter="nothing")).status_code == 422
    kept = post(client, SET, opened(client, world, notes="Down [since].", starter_title="Short", do="keep"))
    assert kept.status_code == 200
    assert "Down [since]." in kept.get_data(as_text=True)
    note = db.session.scalars(select(StarterNote)).one()
    assert (note.status, note.title, note.body) == (ServiceStatus.DOWN, "Short", "Down [since].")
    again = post(client, SET, opened(client, world, notes="Down [since].", starter_title="short", do="keep"))
    assert again.status_code == 422
    assert "There are notes of this name" in again.get_data(as_text=True)
    assert post(client, SET, opened(client, world, starter_title="", do="keep")).status_code == 422
    assert standing() == {}


def test_office_may_look_and_not_set(world: World, cast: Cast, sign_in: SignIn) -> None:
    made = state([world.holding_a.id], Wanted(ServiceStatus.DOWN), clock.utcnow())
    client = sign_in(cast.olaf)
    assert client.get(f"{SET}?holding={world.holding_a.id}").status_code == 403
    assert client.get(f"/admin/services/{world.telephony.id}/set").status_code == 403
    page = client.get(f"/admin/services/updates/{made.id}").get_data(as_text=True)
    assert "Undo" not in page


def test_how_many_queries_do_not_follow_how_many_there_are(world: World, cast: Cast, sign_in: SignIn) -> None:
    report("Calls drop", {world.trunk.id: Severity.PARTIAL_RTH})
    more = [
        Holding(company_id=cast.a.id, service_id=world.telephony.id, reference=f"ACC-{number}", valid_from=LONG_AGO)
        for number in range(30)
    ]
    db.session.add_all(more)
    db.session.commit()
    client = sign_in(cast.ada)
    counts = []
    for ids in ([world.holding_a.id], [world.holding_a.id, *(each.id for each in more)]):
        fields = opened(client, world, holding=[str(each) for each in ids])
        with counted_queries() as statements:
            preview(client, fields)
        counts.append(len(statements))
    assert counts[1] <= counts[0]
    assert counts[0] <= 30
