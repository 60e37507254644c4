"""The screens of jobs and quotes: lists, one item, what is refused, who may."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal import clock
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.extensions import db
from portal.files.actions import Giver
from portal.incidents import actions as incidents
from portal.incidents.rules import Severity, State
from portal.jobs import queries
from portal.jobs.models import QuoteLine, SavedView, WorkItem, WorkMove
from portal.jobs.rules import Role, WorkKind
from portal.jobs.subjects import ref_of
from portal.messages import actions as messages
from tests.admin.jobs.conftest import Make, fresh, number, post, status_id
from tests.conftest import NOW, Cast, SignIn, counted_queries

JOBS, QUOTES = "/admin/jobs", "/admin/quotes"
NASTY = "<script>alert(1)</script>\"'&"


def rows(page: str) -> list[str]:
    """The titles of the list, in order."""
    return re.findall(r'<span class="jobs-title"><a [^>]*>([^<]*)</a>', page)


def test_items_are_found_narrowed_and_sorted(cast: Cast, sign_in: SignIn, make: Make) -> None:
    now = clock.utcnow()
    router = make("Move the router", assignee_id=cast.olaf.id, starts_at=now - timedelta(days=3), site="12 High Street")
    make("New line", Role.SCHEDULED, company_id=cast.b.id, starts_at=now + timedelta(days=3), external_number="EXT-9")
    make("Old cabling", Role.COMPLETED)
    client = sign_in(cast.olaf)

    def shown(query: str) -> list[str]:
        return rows(client.get(JOBS + query).get_data(as_text=True))

    assert shown("") == ["New line", "Move the router"]
    assert shown("?show=all") == ["Old cabling", "New line", "Move the router"]
    assert shown("?show=finished") == ["Old cabling"]
    assert shown("?q=ROUTER") == ["Move the router"]
    assert shown("?q=high street") == ["Move the router"]
    assert shown("?q=birch") == ["New line"]
    assert shown("?q=EXT-9") == ["New line"]
    assert shown(f"?q={number(router)}&show=all") == shown(f"?q={router.number}") == ["Move the router"]
    assert shown("?q=%25") == []
    assert shown("?assignee=me") == ["Move the router"]
    assert shown("?assignee=none") == ["New line"]
    assert shown(f"?company={cast.b.id}") == ["New line"]
    assert shown("?window=overdue") == ["Move the router"]
    assert shown("?window=week") == ["New line"]
    assert shown(f"?status={status_id(Role.COMPLETED)}") == ["Old cabling"]
    assert shown("?sort=title") == ["Move the router", "New line"]
    assert shown("?sort=-company") == ["New line", "Move the router"]
    assert shown("?sort=window") == ["Move the router", "New line"]
    assert shown("?sort=nonsense&status=x&window=never&assignee=-1") == ["New line", "Move the router"]
    assert rows(client.get(QUOTES).get_data(as_text=True)) == []


@pytest.mark.parametrize("page", ["0", "2", "-1", "a", "99999999999999999999", "１"])
def test_t30_a_page_of_work_that_does_not_exist_is_404(cast: Cast, sign_in: SignIn, page: str) -> None:
    client = sign_in(cast.olaf)
    assert client.get(f"{JOBS}?page={page}").status_code == 404
    assert client.get(f"{JOBS}/J-{page}").status_code == 404


def test_a_list_asks_as_often_for_many_as_for_few(cast: Cast, sign_in: SignIn, make: Make) -> None:
    client = sign_in(cast.olaf)
    make("First", starts_at=NOW)

    def asked(path: str) -> int:
        client.get(path)
        with counted_queries() as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    few = [asked(path) for path in (JOBS, f"{JOBS}/board")]
    for place in range(20):
        role = (Role.SCHEDULED, Role.IN_PROGRESS, Role.COMPLETED)[place % 3]
        make(f"Job {place}", role, assignee_id=cast.olaf.id, company_id=(cast.a.id, cast.b.id)[place % 2])
    assert [asked(path) for path in (JOBS, f"{JOBS}/board")] == few


def test_an_item_is_made_for_a_company_and_a_double_click_makes_one(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    assert "Alder Dental" in client.get(f"{JOBS}/new?q=alder").get_data(as_text=True)
    page = client.get(f"{JOBS}/new?company={cast.a.id}").get_data(as_text=True)
    key = re.search(r'name="key"[^>]*value="([^"]+)"', page)
    assert key is not None
    fields = {
        "company_id": str(cast.a.id),
        "key": key[1],
        "title": NASTY,
        "starts_at": "2026-12-01T09:00",
        "ends_at": "2026-12-01T11:00",
        "contact_id": str(cast.alice.id),
        "assignee_id": str(cast.olaf.id),
        "status_id": str(status_id(Role.SCHEDULED)),
        "currency": "GBP",
    }
    for _ in range(2):
        assert post(client, f"{JOBS}/new?company={cast.a.id}", **fields)[0] == 303
    item = db.session.scalars(select(WorkItem)).one()
    assert (item.contact_id, item.assignee_id, item.status_id) == (
        cast.alice.id,
        cast.olaf.id,
        status_id(Role.SCHEDULED),
    )
    page = client.get(f"{JOBS}/{number(item)}").get_data(as_text=True)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"ends_at": "2026-11-30T09:00"}, "ends_at"),
        ({"starts_at": "", "ends_at": "2026-12-01T09:00"}, "starts_at"),
        ({"contact_id": "@charlie"}, "contact_id"),
        ({"assignee_id": "@alice"}, "assignee_id"),
        ({"holding_id": "4711"}, "holding_id"),
        ({"currency": "XXX"}, "currency"),
        ({"starts_at": "2027-03-28T01:30", "ends_at": ""}, "starts_at"),
    ],
)
def test_what_cannot_be_is_refused_and_kept(cast: Cast, sign_in: SignIn, wrong: dict[str, str], field: str) -> None:
    client = sign_in(cast.olaf)
    known = {"@charlie": str(cast.charlie.id), "@alice": str(cast.alice.id)}
    fields = {
        "company_id": str(cast.a.id),
        "key": "k",
        "title": "Kept",
        "site": "Kept site",
        "starts_at": "2026-12-01T09:00",
        "currency": "GBP",
    } | {name: known.get(value, value) for name, value in wrong.items()}
    status, page = post(client, f"{QUOTES}/new?company={cast.a.id}", **fields)
    assert status == 422
    assert "Kept site" in page
    assert f'id="{field}-error"' in page
    assert not db.session.scalars(select(WorkItem)).all()


def test_a_time_that_comes_twice_is_asked_about(cast: Cast, sign_in: SignIn) -> None:
    client, path = sign_in(cast.olaf), f"{JOBS}/new?company={cast.a.id}"
    fields = {"company_id": str(cast.a.id), "title": "At night", "starts_at": "2026-10-25T01:30", "currency": "GBP"}
    status, page = post(client, path, key="a", **fields)
    assert (status, "Which of the two" in page) == (422, True)
    assert post(client, path, key="a", reading="second", **fields)[0] == 303
    item = db.session.scalars(select(WorkItem)).one()
    assert item.starts_at is not None
    assert item.starts_at.isoformat() == "2026-10-25T01:30:00+00:00"
    form = client.get(f"{JOBS}/{number(item)}/edit").get_data(as_text=True)
    assert re.search(r'value="second"[^>]*checked|checked[^>]*value="second"', form)


def test_two_people_edit_one_item_the_second_is_told(cast: Cast, sign_in: SignIn, make: Make) -> None:
    client, item = sign_in(cast.olaf), make("Old title")
    opened, path = item.version, f"{JOBS}/{number(item)}/edit"
    assert post(client, path, version=opened, title="First", currency="GBP")[0] == 303
    status, page = post(client, path, version=opened, title="Second", currency="GBP")
    assert (status, "in the meantime" in page, "Second" in page, "First" in page) == (409, True, True, True)
    assert fresh(item).title == "First"
    assert post(client, path, version=fresh(item).version, title="Second", currency="GBP")[0] == 303
    assert fresh(item).title == "Second"


def test_somebody_who_has_left_stays_on_the_item_they_were_given(cast: Cast, sign_in: SignIn, make: Make) -> None:
    client, item = sign_in(cast.root), make("Theirs", assignee_id=cast.olaf.id)
    cast.olaf.deactivated_at = NOW
    db.session.commit()
    path = f"{JOBS}/{number(item)}/edit"
    assert "Olaf" in client.get(path).get_data(as_text=True)
    given = {"currency": "GBP", "assignee_id": str(cast.olaf.id)}
    assert post(client, path, version=item.version, title="Still theirs", **given)[0] == 303
    assert fresh(item).assignee_id == cast.olaf.id


def test_a_finished_item_is_taken_up_again_with_a_reason(cast: Cast, sign_in: SignIn, make: Make) -> None:
    client, item = sign_in(cast.olaf), make("Done", Role.COMPLETED)
    path, wanted = f"{JOBS}/{number(item)}/move", status_id(Role.IN_PROGRESS)
    status, page = post(client, path, version=item.version, status=wanted)
    assert (status, "Say why it is taken up again" in page) == (422, True)
    assert post(client, path, version=item.version, status=wanted, reason="It broke again")[0] == 303
    page = client.get(f"{JOBS}/{number(item)}").get_data(as_text=True)
    assert "It broke again" in page
    assert post(client, path, version=item.version - 1, status=wanted)[0] == 409
    assert fresh(item).status_id == wanted


def test_the_page_says_what_the_customer_sees_and_was_told(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Offer", Role.DRAFT, kind=WorkKind.QUOTE)
    client, path = sign_in(cast.ada), f"{QUOTES}/{number(item)}"
    page = client.get(path).get_data(as_text=True)
    assert "Nothing: it is not in the portal" in page
    assert "Not shown to the customer" in page
    sent = status_id(Role.SENT, WorkKind.QUOTE)
    assert post(sign_in(cast.olaf), f"{path}/move", version=item.version, status=sent)[0] == 303
    assert "The customer was told “Sent”" in client.get(path).get_data(as_text=True)


def test_an_item_is_shown_as_it_was_seen_on_a_day(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Long job", Role.REQUESTED, now=NOW - timedelta(days=10))
    path = f"{JOBS}/{number(item)}"
    client = sign_in(cast.olaf)
    assert post(client, f"{path}/move", version=item.version, status=status_id(Role.SCHEDULED))[0] == 303

    def then(day: str) -> str:
        page = client.get(f"{path}?on={day}").get_data(as_text=True)
        found = re.search(r'id="then".*?</div>', page, re.DOTALL)
        return found[0] if found else ""

    assert "Requested" in then((NOW - timedelta(days=5)).date().isoformat())
    assert "not in the portal" in then((NOW - timedelta(days=20)).date().isoformat())
    assert then("2999-01-01") == then("nonsense") == ""


def test_an_open_incident_of_its_holding_delays_an_item(cast: Cast, sign_in: SignIn, make: Make) -> None:
    now = clock.utcnow()
    ring = catalogue.add_component("Ring", by=SYSTEM, now=NOW)
    service = catalogue.add_service("Access", by=SYSTEM, now=NOW)
    catalogue.set_dependencies(service, [ring.id], by=SYSTEM, now=NOW)
    holding = catalogue.add_holding(cast.a, service, by=SYSTEM, now=NOW)
    db.session.commit()
    item, other = make("Delayed", holding_id=holding.id), make("Not delayed")
    client = sign_in(cast.olaf)
    assert "Delayed by an outage" not in client.get(JOBS).get_data(as_text=True)
    incidents.publish(
        "Ring cut",
        State.INVESTIGATING,
        "We look.",
        {ring.id: Severity.MAJOR_OUTAGE},
        notify=False,
        by=SYSTEM,
        author_id=cast.ada.id,
        now=now,
        idempotency_key="ring",
    )
    db.session.commit()
    for path in (JOBS, f"{JOBS}/board"):
        assert client.get(path).get_data(as_text=True).count("Delayed by an outage") == 1
    assert "Ring cut" in client.get(f"{JOBS}/{number(item)}").get_data(as_text=True)
    assert "Ring cut" not in client.get(f"{JOBS}/{number(other)}").get_data(as_text=True)


def test_the_message_icon_stands_until_somebody_answers(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item, quiet = (make(title, assignee_id=cast.olaf.id) for title in ("Asked about", "Quiet"))
    client = sign_in(cast.olaf)
    words, places = "The customer waits for an answer</span>", (JOBS, f"{JOBS}/board", "/admin/my-work")
    messages.write(ref_of(item), "When?", Giver(cast.alice.id, "Alice", cast.a.id), key="1", now=NOW)
    db.session.commit()
    for path in places:
        assert client.get(path).get_data(as_text=True).count(words) == 1, path
    assert rows(client.get(f"{JOBS}?waiting=1").get_data(as_text=True)) == ["Asked about"]
    assert "When?" in client.get(f"{JOBS}/{number(item)}").get_data(as_text=True)
    assert "When?" not in client.get(f"{JOBS}/{number(quiet)}").get_data(as_text=True)
    note = messages.write(
        ref_of(item), "Ask Ada.", Giver(cast.olaf.id, "Olaf", None), key="2", is_internal=True, now=NOW
    )
    db.session.commit()
    assert note.is_internal
    assert words in client.get(JOBS).get_data(as_text=True), "neither looking nor a note is an answer"
    messages.write(ref_of(item), "Tomorrow.", Giver(cast.olaf.id, "Olaf", None), key="3", now=NOW)
    db.session.commit()
    for path in places:
        assert words not in client.get(path).get_data(as_text=True), path


def lines_of(item: WorkItem) -> list[tuple[Any, ...]]:
    found = db.session.scalars(select(QuoteLine).where(QuoteLine.item_id == item.id).order_by(QuoteLine.position))
    return [(each.description, each.quantity_thousandths, each.unit_price_minor, each.tax_hundredths) for each in found]


def test_lines_of_a_quote_are_typed_added_up_and_kept(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Offer", Role.DRAFT, kind=WorkKind.QUOTE)
    client, path = sign_in(cast.olaf), f"{QUOTES}/{number(item)}/lines"
    fields: dict[str, Any] = {
        "description": ["Router", "Labour", "Discount", ""],
        "quantity": ["", "1.5", "1", ""],
        "price": ["1,250.00", "80", "-12.50", ""],
        "tax": ["20", "20", "20", ""],
    }
    revision, opened = item.public_revision, item.version
    assert post(client, path, version=opened, do="save", **fields)[0] == 303
    assert lines_of(item) == [
        ("Router", 1000, 125_000, 2000),
        ("Labour", 1500, 8000, 2000),
        ("Discount", 1000, -1250, 2000),
    ]
    assert fresh(item).public_revision == revision + 1
    page = client.get(f"{QUOTES}/{number(item)}").get_data(as_text=True)
    assert "GBP 1,629.00" in page
    status, page = post(client, path, version=opened, do="save", **fields | {"price": ["1", "2", "3", ""]})
    assert (status, "in the meantime" in page) == (409, True)
    status, page = post(client, path, version=fresh(item).version, do="save", **fields | {"price": ["12,345.678"] * 4})
    assert (status, "An amount such as" in page) == (422, True)
    assert post(client, path, version=opened, do="more", **fields)[0] == 200
    assert post(client, f"{JOBS}/{number(make('Job'))}/lines", version=1)[0] == 404


def test_lines_are_put_into_order_without_script(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Offer", Role.DRAFT, kind=WorkKind.QUOTE)
    client, path = sign_in(cast.olaf), f"{QUOTES}/{number(item)}/lines"
    fields: dict[str, Any] = {
        "description": ["Router", "", "Labour", "Discount"],
        "quantity": ["", "", "1.5", "x"],
        "price": ["1", "", "2", "3"],
        "tax": ["", "", "", ""],
    }
    for move, order in (
        ("2:up", ["Labour", "Router", "Discount"]),
        ("2:down", ["Router", "Discount", "Labour"]),
        ("0:up", ["Router", "Labour", "Discount"]),
        ("3:down", ["Router", "Labour", "Discount"]),
        ("1:up", ["Router", "Labour", "Discount"]),
        ("9:up", ["Router", "Labour", "Discount"]),
        ("x", ["Router", "Labour", "Discount"]),
    ):
        status, page = post(client, path, version=item.version, move=move, **fields)
        assert status == 200
        typed = re.findall(r'name="description" value="([^"]*)"', page)
        assert [each for each in typed if each] == order, move
        assert "A number such as" in page, "what is wrong is told beside it all the same"
    assert lines_of(item) == []


def test_a_quote_with_lines_is_sent_with_one_button(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Offer", Role.DRAFT, kind=WorkKind.QUOTE)
    client, path = sign_in(cast.olaf), f"{QUOTES}/{number(item)}"
    page = client.get(path).get_data(as_text=True)
    assert ("Send the quote" in page, "How it was answered" in page) == (False, False)
    line = {"description": "Router", "quantity": "1", "price": "80", "tax": "20"}
    assert post(client, path + "/lines", version=item.version, do="save", **line)[0] == 303
    page = client.get(path).get_data(as_text=True)
    assert page.count("button-primary") == page.count("Send the quote") == 1
    sent = status_id(Role.SENT, WorkKind.QUOTE)
    assert post(client, path + "/move", version=fresh(item).version, status=sent)[0] == 303
    assert fresh(item).status_id == sent
    page = client.get(path).get_data(as_text=True)
    assert ("Send the quote" in page, "How it was answered" in page) == (False, True)


def test_cards_move_on_the_board_and_a_stale_one_is_refused(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Card")
    client, path = sign_in(cast.olaf), f"{JOBS}/board/move"
    opened, wanted = item.version, status_id(Role.SCHEDULED)
    assert post(client, path, go=f"{number(item)}:{opened}:{wanted}")[0] == 303
    assert fresh(item).status_id == wanted
    status, page = post(client, path, go=f"{number(item)}:{opened}:{status_id(Role.COMPLETED)}")
    assert (status, "changed by somebody else" in page) == (409, True)
    assert fresh(item).status_id == wanted
    done = status_id(Role.COMPLETED)
    assert post(client, path, go=f"{number(item)}:{fresh(item).version}:{done}")[0] == 303
    status, page = post(client, path, go=f"{number(item)}:{fresh(item).version}:{wanted}")
    assert (status, 'name="reason"' in page) == (422, True)
    again = {"go": f"{number(item)}:{fresh(item).version}:{wanted}", "reason": "Not done after all"}
    assert post(client, path, **again)[0] == 303
    for nonsense in ("", "J-1", f"{number(item)}:x:y", f"{number(item)}:1:{'9' * 30}"):
        assert post(client, path, go=nonsense)[0] == 422
    assert post(client, path, go=f"J-999:1:{wanted}")[0] == 404


def test_many_are_moved_and_each_says_what_became_of_it(cast: Cast, sign_in: SignIn, make: Make) -> None:
    moved, stale, done = make("Moved"), make("Stale"), make("Done", Role.COMPLETED)
    ticked = [f"{each.id}:{each.version}" for each in (moved, stale, done)]
    stale.site = "Elsewhere"
    db.session.commit()
    client, wanted = sign_in(cast.olaf), status_id(Role.SCHEDULED)
    status, page = post(client, f"{JOBS}/bulk", item=[*ticked, "4711:1", "x"], do="move", status=wanted)
    assert (status, "1 of 4 jobs done" in page) == (200, True)
    assert "changed it in the meantime" in page
    assert "Say why it is taken up again" in page
    assert [fresh(each).status_id == wanted for each in (moved, stale, done)] == [True, False, False]
    ticked = [f"{each.id}:{fresh(each).version}" for each in (moved, stale)]
    status, page = post(client, f"{JOBS}/bulk", item=ticked, do="assign", assignee=cast.olaf.id)
    assert (status, "2 of 2 jobs done" in page) == (200, True)
    assert fresh(stale).assignee_id == cast.olaf.id
    assert post(client, f"{JOBS}/bulk", do="assign", assignee=cast.olaf.id)[0] == 422
    assert post(client, f"{JOBS}/bulk", item=ticked, do="assign", assignee=cast.alice.id)[0] == 422


def test_views_are_kept_shared_and_removed_by_their_owner(cast: Cast, sign_in: SignIn) -> None:
    olaf, root = sign_in(cast.olaf), sign_in(cast.root)
    for name, shared in (("Mine", ""), ("Ours", "y")):
        fields = {"name": name, "query": "assignee=none&junk=1&show=all", "is_shared": shared}
        assert post(olaf, f"{JOBS}/views", **{key: value for key, value in fields.items() if value})[0] == 303
    views = db.session.scalars(select(SavedView).order_by(SavedView.id)).all()
    assert [(view.name, view.query, view.is_shared) for view in views] == [
        ("Mine", "show=all&assignee=none", False),
        ("Ours", "show=all&assignee=none", True),
    ]
    page = root.get(JOBS).get_data(as_text=True)
    assert ("Ours" in page, "Mine" in page) == (True, False)
    assert "Ours" not in root.get(QUOTES).get_data(as_text=True)
    assert post(root, f"{JOBS}/views/{views[1].id}/delete")[0] == 404
    assert post(olaf, f"{JOBS}/views/{views[1].id}/delete")[0] == 303
    assert post(olaf, f"{JOBS}/views", name=" ", query="")[0] == 422


def test_status_staff_read_and_the_office_writes(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item, client = make("Looked at"), sign_in(cast.ada)
    for path in (JOBS, f"{JOBS}/board", f"{JOBS}/{number(item)}"):
        page = client.get(path).get_data(as_text=True)
        assert "Looked at" in page
        assert "/new" not in page
    assert client.get(f"{JOBS}/new").status_code == 403
    for path in (f"{JOBS}/bulk", f"{JOBS}/board/move", f"{JOBS}/{number(item)}/move", f"{JOBS}/{number(item)}/edit"):
        assert post(client, path, version=1, status=1)[0] == 403


def test_a_job_is_not_found_among_quotes(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item, client = make("Job"), sign_in(cast.olaf)
    for path in (f"{QUOTES}/{number(item)}", f"{QUOTES}/Q-{item.number}", f"{JOBS}/{item.number}", f"{JOBS}/J-4711"):
        assert client.get(path).status_code == 404


def test_moves_name_who_made_them(cast: Cast, sign_in: SignIn, make: Make) -> None:
    item = make("Whose")
    assert (
        post(sign_in(cast.olaf), f"{JOBS}/{number(item)}/move", version=item.version, status=status_id(Role.SCHEDULED))[
            0
        ]
        == 303
    )
    last = db.session.scalars(select(WorkMove).order_by(WorkMove.id.desc())).first()
    assert last is not None
    assert last.by_id == cast.olaf.id
    assert queries.public_view(fresh(item)).status is not None
