"""The services screens."""

from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock
from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.catalogue import actions, queries
from portal.catalogue.models import Service
from portal.catalogue.queries import lists
from portal.extensions import db
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in

LIST = "/admin/catalogue/services"
HTMX = {"HX-Request": "true"}


def post(client: FlaskClient, path: str, headers: dict[str, str] | None = None, **fields: Any) -> tuple[int, str]:
    data = {"csrf_token": token_in(client, LIST), **fields}
    answer = client.post(path, data=data, headers=headers)
    return answer.status_code, answer.get_data(as_text=True)


def test_a_service_is_added_with_what_it_depends_on_and_edited(cast: Cast, sign_in: SignIn) -> None:
    one, two = (actions.add_component(title, by=SYSTEM, now=NOW).id for title in ("One", "Two"))
    db.session.commit()
    client = sign_in(cast.ada)
    assert post(client, f"{LIST}/new", name="Telephony", category="Voice", component_ids=[one])[0] == 303
    service = db.session.scalars(select(Service)).one()
    assert "One" in client.get(f"{LIST}/{service.id}").get_data(as_text=True)
    status, _ = post(
        client, f"{LIST}/{service.id}/edit", name="Telephony", version=service.version, component_ids=[two]
    )
    assert status == 303
    assert queries.services_reached([one], clock.utcnow()) == []
    assert queries.services_reached([two], clock.utcnow()) == [service.id]


def test_a_name_in_use_is_refused_and_nothing_is_half_saved(cast: Cast, sign_in: SignIn) -> None:
    actions.add_service("Telephony", by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)
    status, page = post(client, f"{LIST}/new", name="TELEPHONY", description="Kept text")
    assert (status, "Kept text" in page, "already a service called TELEPHONY" in page) == (422, True, True)
    status, page = post(client, f"{LIST}/new", name="Other", component_ids=[4711])
    assert status == 422
    assert [each.name for each in lists.all_services()] == ["Telephony"]


def test_an_edit_that_fails_half_way_saves_nothing(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    db.session.commit()
    status, _ = post(
        sign_in(cast.ada), f"{LIST}/{service.id}/edit", name="New", version=service.version, component_ids=[4711]
    )
    assert status == 422
    db.session.expire_all()
    assert db.session.get_one(Service, service.id).name == "Telephony"


def test_holders_are_listed_searched_and_paged(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    noise = actions.add_service("Noise", by=SYSTEM, now=NOW)
    actions.add_holding(cast.b, noise, by=SYSTEM, now=NOW)
    for number in range(51):
        company = accounts.add_company(f"Company {number:02}", by=SYSTEM, now=NOW)
        actions.add_holding(company, service, reference=f"NL-{number}", by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)
    page = client.get(f"{LIST}/{service.id}").get_data(as_text=True)
    assert "51 companies hold it now" in page
    assert "Company 49" in page
    assert "Company 50" not in page
    assert "Birch" not in page
    assert "Company 50" in client.get(f"{LIST}/{service.id}?page=2").get_data(as_text=True)
    assert "Company 50" in client.get(f"{LIST}/{service.id}?q=NL-50").get_data(as_text=True)
    assert client.get(f"{LIST}/{service.id}?page=3").status_code == 404


def test_a_service_in_use_is_not_archived(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    holding = actions.add_holding(cast.a, service, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)
    assert post(client, f"{LIST}/{service.id}/archive", version=service.version)[0] == 422
    actions.end_holding(holding, version=holding.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert post(client, f"{LIST}/{service.id}/archive", version=service.version)[0] == 303
    gone = db.session.get_one(Service, service.id, populate_existing=True)
    assert "Take back" in client.get(f"{LIST}/{service.id}").get_data(as_text=True)
    assert post(client, f"{LIST}/{service.id}/restore", version=gone.version)[0] == 303


def test_services_are_put_in_order(cast: Cast, sign_in: SignIn) -> None:
    a, b = (actions.add_service(name, by=SYSTEM, now=NOW).id for name in "AB")
    db.session.commit()
    client, version = sign_in(cast.ada), lists.list_version(actions.SERVICES)
    assert post(client, f"{LIST}/order", HTMX, order=f"{b},{a}", version=version)[0] == 200
    assert [each.name for each in lists.all_services()] == ["B", "A"]
    assert post(client, f"{LIST}/order", HTMX, order=f"{a},{b}", version=version)[0] == 409
    assert post(client, f"{LIST}/order", HTMX, move="x:up", version=version + 1)[0] == 409
    assert post(client, f"{LIST}/order", None, move=f"{a}:up", version=version + 1)[0] == 303


def test_the_office_reads_and_does_not_write(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.olaf)
    assert client.get(LIST).status_code == client.get(f"{LIST}/{service.id}").status_code == 200
    for path in ("/new", f"/{service.id}/edit", f"/{service.id}/archive", f"/{service.id}/delete", "/order"):
        assert post(client, LIST + path, name="X", version=1)[0] == 403


def test_the_list_costs_the_same_queries_for_3_and_for_103_services(cast: Cast, sign_in: SignIn) -> None:
    client, counts = sign_in(cast.ada), []
    component = actions.add_component("One", by=SYSTEM, now=NOW)
    for size in (3, 100):
        for number in range(size):
            service = actions.add_service(f"S{size}-{number}", by=SYSTEM, now=NOW)
            actions.set_dependencies(service, [component.id], by=SYSTEM, now=NOW)
            actions.add_holding(cast.a, service, by=SYSTEM, now=NOW)
        db.session.commit()
        with counted_queries() as statements:
            assert client.get(LIST).status_code == 200
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_what_a_service_says_of_itself_is_typed_shown_and_kept_when_refused(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    fields: dict[str, Any] = {
        "name": "Microsoft 365",
        "icon": "mail",
        "aliases": "Outlook, Teams; outlook",
        "notifies": ["intermittent_problems", "system_is_down"],
    }
    assert post(client, f"{LIST}/new", **fields)[0] == 303
    service = db.session.scalars(select(Service)).one()
    assert (service.icon, service.aliases) == ("mail", ["Outlook", "Teams"])
    assert service.notifies == ["intermittent_problems", "system_is_down"]
    page = client.get(f"{LIST}/{service.id}").get_data(as_text=True)
    assert "Outlook, Teams" in page
    assert "Intermittent problems, System is down" in page
    form = client.get(f"{LIST}/{service.id}/edit").get_data(as_text=True)
    assert 'value="Outlook, Teams"' in form
    assert client.get(f"{LIST}?q=teams").get_data(as_text=True).count("Microsoft 365") == 1
    edit = f"{LIST}/{service.id}/edit"
    status, page = post(client, edit, **fields | {"version": service.version, "aliases": "x" * 61})
    assert (status, "at most 60 characters" in page, "x" * 61 in page) == (422, True, True)
    status, page = post(client, edit, **fields | {"version": service.version, "icon": "dragon"})
    assert (status, "Choose one of the icons" in page) == (422, True)
    status, page = post(client, edit, **fields | {"version": service.version, "notifies": "somewhat"})
    assert (status, "Choose among the four statuses" in page) == (422, True)
    assert post(client, edit, name="Microsoft 365", icon="", aliases="", version=service.version)[0] == 303
    db.session.expire_all()
    assert (service.icon, service.aliases, service.notifies) == ("", [], [])


def test_every_company_is_given_a_service_by_a_tick(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert "2 companies hold it from now on" in client.get(f"{LIST}/new").get_data(as_text=True)
    post(client, f"{LIST}/new", name="Email", is_global="y")
    service = db.session.scalars(select(Service)).one()
    page = client.get(f"{LIST}/{service.id}").get_data(as_text=True)
    assert "2 companies hold it now" in page
    assert "Every company" in client.get(LIST).get_data(as_text=True)
    status, _ = post(client, f"{LIST}/{service.id}/edit", name="Email", version=service.version)
    assert status == 303
    db.session.expire_all()
    assert not service.is_global
    assert lists.holders_by_service([service.id], clock.utcnow()) == {service.id: 2}


def test_the_services_to_begin_with_are_offered_on_an_empty_list_only(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert "VoIP Phone System" in client.get(LIST).get_data(as_text=True)
    assert "VoIP Phone System" not in sign_in(cast.olaf).get(LIST).get_data(as_text=True), "the office adds nothing"
    assert post(client, f"{LIST}/starters", keys="no such one")[0] == 422
    for _ in range(2):
        assert post(client, f"{LIST}/starters", keys=["email", "backup"])[0] == 303
    assert [each.name for each in lists.all_services()] == ["Email / Microsoft 365", "Backup Systems"]
    assert post(sign_in(cast.olaf), f"{LIST}/starters", keys=["voip"])[0] == 403


def test_whoever_declines_is_left_alone(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert post(client, f"{LIST}/starters", keys=["email"], declines="1")[0] == 303
    page = client.get(LIST).get_data(as_text=True)
    assert "Add the first service" in page
    assert "VoIP Phone System" not in page
    assert not lists.all_services()


def test_a_held_service_is_archived_after_saying_who_holds_it(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    actions.add_holding(cast.a, service, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)
    page = client.get(f"{LIST}/{service.id}").get_data(as_text=True)
    assert "Archive it and end 1 holding" in page
    for path in (f"/admin/services/{service.id}/set", f"/admin/services/{service.id}/history"):
        assert f'href="{path}"' in page
        assert client.get(path).status_code == 200
    assert "Delete it" not in page
    assert post(client, f"{LIST}/{service.id}/delete", version=service.version)[0] == 422
    archive = f"{LIST}/{service.id}/archive"
    assert post(client, archive, version=service.version, ends_holdings="1")[0] == 303
    assert "1 holding ended with it" in client.get(LIST).get_data(as_text=True)
    assert queries.services_held(cast.a.id, clock.utcnow()) == []


def test_a_service_nobody_held_is_deleted(cast: Cast, sign_in: SignIn) -> None:
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.ada)
    assert "Delete it" in client.get(f"{LIST}/{service.id}").get_data(as_text=True)
    assert post(client, f"{LIST}/{service.id}/delete", version=service.version + 1)[0] == 409
    assert post(client, f"{LIST}/{service.id}/delete", version=service.version)[0] == 303
    assert client.get(f"{LIST}/{service.id}").status_code == 404
