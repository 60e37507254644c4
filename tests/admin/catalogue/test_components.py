"""The components screens: works, signed out, wrong role, fragment, conflicts, refusals, escaping, counted."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.catalogue import actions, queries
from portal.catalogue.models import Component, ComponentGroup
from portal.catalogue.queries import lists
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, Severity, State, Visibility
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, counted_queries, token_in

LIST = "/admin/catalogue/components"
HTMX = {"HX-Request": "true"}

Row = TypeVar("Row")
NASTY = "<script>alert(1)</script>\"'&{{7*7}}"


@pytest.fixture
def carrier(cast: Cast) -> Component:
    component = actions.add_component("Carrier One", description="The main carrier", by=SYSTEM, now=NOW)
    db.session.commit()
    return component


def fresh(kind: type[Row], row_id: int) -> Row:
    """The row as the database has it, whatever this session remembers."""
    return db.session.get_one(kind, row_id, populate_existing=True)


def post(client: FlaskClient, path: str, headers: dict[str, str] | None = None, **fields: Any) -> tuple[int, str]:
    data = {"csrf_token": token_in(client, LIST), **fields}
    answer = client.post(path, data=data, headers=headers)
    return answer.status_code, answer.get_data(as_text=True)


def test_the_list_shows_what_there_is_and_the_fragment_is_part_of_the_page(
    cast: Cast, carrier: Component, sign_in: SignIn
) -> None:
    client = sign_in(cast.ada)
    page = client.get(LIST).get_data(as_text=True)
    fragment = client.get(LIST, headers=HTMX).get_data(as_text=True)
    assert "Carrier One" in page
    assert fragment.startswith('<div class="catalogue" id="component-list">')
    assert fragment.split('name="csrf_token"')[0] in page


def test_the_empty_list_says_what_to_do_next(cast: Cast, sign_in: SignIn) -> None:
    assert "Add the first component" in sign_in(cast.ada).get(LIST).get_data(as_text=True)


def test_signed_out_is_sent_to_sign_in(carrier: Component, visitor: Callable[[str], FlaskClient]) -> None:
    assert visitor(STAFF_HOST).get(LIST).status_code == 302


def test_the_office_reads_and_does_not_write(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    page = client.get(f"{LIST}/{carrier.id}").get_data(as_text=True)
    assert "Carrier One" in page
    assert "/archive" not in page
    assert "/archive" not in client.get(LIST).get_data(as_text=True)
    for path in ("/new", f"/{carrier.id}/edit", f"/{carrier.id}/archive", f"/{carrier.id}/dependents", "/order"):
        assert post(client, LIST + path, title="X", version=1)[0] == 403


def test_a_customer_finds_nothing_here(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    assert sign_in(cast.alice).get(LIST).status_code == 404


def test_what_is_missing_is_404(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    for path in (
        "/4711",
        "/4711/edit",
        "/groups/4711",
        "?show=archived&page=2",
        "?show=archived&page=x",
        "?q=a&page=0",
    ):
        assert client.get(LIST + path).status_code == 404


def test_a_component_is_added_edited_archived_and_taken_back(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert post(client, f"{LIST}/new", title="  Route  7 ", description="To Spain")[0] == 303
    added = db.session.scalars(select(Component)).one()
    assert (added.title, added.description) == ("Route 7", "To Spain")
    path = f"{LIST}/{added.id}"
    assert post(client, f"{path}/edit", title="Route 8", version=added.version)[0] == 303
    assert post(client, f"{path}/archive", version=fresh(Component, added.id).version)[0] == 303
    assert "Route 8" not in client.get(LIST, headers=HTMX).get_data(as_text=True)
    assert "Route 8" in client.get(f"{LIST}?show=archived").get_data(as_text=True)
    assert post(client, f"{path}/restore", version=fresh(Component, added.id).version)[0] == 303
    assert "Route 8" in client.get(LIST).get_data(as_text=True)


@pytest.mark.parametrize("fields", [{"title": ""}, {"title": "x" * 201}, {"title": "Fine", "group_id": "4711"}])
def test_a_refusal_keeps_what_was_typed_and_stands_beside_the_field(
    cast: Cast, sign_in: SignIn, fields: dict[str, Any]
) -> None:
    client = sign_in(cast.ada)
    status, page = post(client, f"{LIST}/new", description="Kept text", **fields)
    assert status == 422
    assert "Kept text" in page
    assert "field-error" in page
    assert not db.session.scalars(select(Component)).all()


@pytest.mark.parametrize("group_id", ["x", "9" * 40, "-1", "1.5"])
def test_a_nonsense_group_is_refused_and_never_a_fault(cast: Cast, sign_in: SignIn, group_id: str) -> None:
    assert post(sign_in(cast.ada), f"{LIST}/new", title="Fine", group_id=group_id)[0] == 422


def test_two_people_editing_one_component_the_second_is_told(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client, opened = sign_in(cast.ada), carrier.version
    assert post(client, f"{LIST}/{carrier.id}/edit", title="First", version=opened)[0] == 303
    assert post(client, f"{LIST}/{carrier.id}/edit", title="Second", version=opened)[0] == 409
    assert fresh(Component, carrier.id).title == "First"


def test_names_are_text_and_never_markup(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    service = actions.add_service(NASTY, category=NASTY, by=SYSTEM, now=NOW)
    group = actions.add_group(NASTY, by=SYSTEM, now=NOW)
    component = actions.add_component(NASTY, description=NASTY, group_id=group.id, by=SYSTEM, now=NOW)
    actions.set_dependencies(service, [component.id], by=SYSTEM, now=NOW)
    db.session.commit()
    paths = [LIST, f"{LIST}/{component.id}", f"{LIST}/{component.id}/edit", f"{LIST}/groups/{group.id}"]
    paths += [f"{LIST}?q=%3Cscript%3Ealert(1)", f"{LIST}/new", "/admin/catalogue/services"]
    paths += [f"/admin/catalogue/services/{service.id}", f"/admin/catalogue/services/{service.id}/edit"]
    for path in paths:
        page = client.get(path).get_data(as_text=True)
        assert "<script>alert" not in page


def order(client: FlaskClient, headers: dict[str, str] | None = HTMX, **fields: Any) -> tuple[int, str]:
    return post(client, f"{LIST}/order", headers, **fields)


def test_the_order_is_sent_whole_and_the_list_comes_back(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    other = actions.add_component("Other", by=SYSTEM, now=NOW)
    db.session.commit()
    client, version = sign_in(cast.ada), lists.list_version(actions.COMPONENTS)
    status, fragment = order(client, order=f"c{other.id},c{carrier.id}", version=version)
    assert status == 200
    assert fragment.index("Other") < fragment.index("Carrier One")
    status, fragment = order(client, order=f"c{carrier.id},c{other.id}", version=version)
    assert status == 409
    assert "Somebody else changed the list" in fragment
    assert [each.title for each in queries.all_components()] == ["Other", "Carrier One"]


def test_without_script_a_step_is_a_plain_form(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    actions.add_component("Other", by=SYSTEM, now=NOW)
    db.session.commit()
    client, version = sign_in(cast.ada), lists.list_version(actions.COMPONENTS)
    assert order(client, None, move=f"c{carrier.id}:down", version=version)[0] == 303
    assert [each.title for each in queries.all_components()] == ["Other", "Carrier One"]
    assert order(client, None, move=f"c{carrier.id}:up", version=version)[0] == 409


@pytest.mark.parametrize(
    "fields", [{"order": "c1,c1"}, {"order": ""}, {"order": "x" * 1000}, {"move": "c4711:up"}, {"move": ":"}]
)
def test_a_nonsense_order_changes_nothing(
    cast: Cast, carrier: Component, sign_in: SignIn, fields: dict[str, Any]
) -> None:
    version = lists.list_version(actions.COMPONENTS)
    assert order(sign_in(cast.ada), version=version, **fields)[0] == 409
    assert lists.list_version(actions.COMPONENTS) == version


def test_an_order_without_a_version_is_refused(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    assert order(sign_in(cast.ada), order=f"c{carrier.id}")[0] == 422


def test_a_group_is_named_and_removed_and_its_components_stay(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert post(client, f"{LIST}/groups/new", name="Carriers")[0] == 303
    group = db.session.scalars(select(ComponentGroup)).one()
    assert post(client, f"{LIST}/new", title="Inside", group_id=str(group.id))[0] == 303
    assert post(client, f"{LIST}/groups/{group.id}", name="", version=group.version)[0] == 422
    assert post(client, f"{LIST}/groups/{group.id}/remove", version=group.version)[0] == 303
    assert [(each.title, each.group_id) for each in queries.all_components()] == [("Inside", None)]


def test_the_page_of_a_component_says_whom_it_reaches(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert "concerns everyone" in client.get(f"{LIST}/{carrier.id}").get_data(as_text=True)
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    actions.add_holding(cast.a, service, by=SYSTEM, now=NOW)
    db.session.commit()
    assert post(client, f"{LIST}/{carrier.id}/dependents", service_ids=[service.id])[0] == 303
    page = client.get(f"{LIST}/{carrier.id}").get_data(as_text=True)
    assert "concerns everyone" not in page
    assert "people reached by mail" in page
    assert "Telephony · 1" in page
    assert post(client, f"{LIST}/{carrier.id}/dependents", service_ids=[4711])[0] == 422
    assert post(client, f"{LIST}/{carrier.id}/dependents", service_ids=["x"])[0] == 422


def test_with_an_open_incident_it_is_not_archived(cast: Cast, carrier: Component, sign_in: SignIn) -> None:
    incidents.publish(
        title="Calls fail",
        state=State.INVESTIGATING,
        body="We are looking.",
        severities={carrier.id: Severity.MAJOR_OUTAGE},
        visibility=Visibility.PRIVATE,
        audience=Audience.EVERYONE,
        notify=False,
        mail_affected_only=False,
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key="k",
    )
    db.session.commit()
    client = sign_in(cast.ada)
    status, page = post(client, f"{LIST}/{carrier.id}/archive", version=carrier.version)
    assert status == 422
    assert "Resolve “Calls fail” first" in page
    assert "Major outage" in client.get(LIST).get_data(as_text=True)


def test_the_list_costs_the_same_queries_for_3_and_for_103_components(cast: Cast, sign_in: SignIn) -> None:
    client, counts = sign_in(cast.ada), []
    service = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    for size in (3, 100):
        group = actions.add_group(f"Group {size}", by=SYSTEM, now=NOW)
        ids = [actions.add_component(f"C{size}-{n}", group_id=group.id, by=SYSTEM, now=NOW).id for n in range(size)]
        actions.set_dependencies(service, ids, by=SYSTEM, now=NOW)
        db.session.commit()
        with counted_queries() as statements:
            assert client.get(LIST).status_code == 200
        counts.append(len(statements))
    assert counts[0] == counts[1]
