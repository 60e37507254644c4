"""The settings of work statuses: one table, one save, and what it would do before it is saved."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.admin.audit.sentences import lines
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.jobs import actions, queries
from portal.jobs.models import WorkItem, WorkMove, WorkNotice, WorkStatus
from portal.jobs.rules import Category, PublicStatus, Role, Showing, StatusRow, WorkKind, resolve
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in
from tests.jobs.conftest import role, save, settings, shown

JOBS, QUOTES = "/admin/settings/job-statuses", "/admin/settings/quote-statuses"


@pytest.fixture
def olaf(cast: Cast, sign_in: SignIn) -> FlaskClient:
    return sign_in(cast.olaf)


def fields(page: str) -> dict[str, Any]:
    """What the form on a page would send as it stands."""
    form = BeautifulSoup(page, "html.parser").find(id="work-form")
    assert form is not None
    sent: dict[str, Any] = {"row": []}
    for field in form.find_all(["input", "select"]):
        name = str(field["name"])
        if field.name == "select":
            chosen = field.find("option", selected=True) or field.find("option")
            sent[name] = chosen["value"] if chosen else ""
        elif field.get("type") == "checkbox":
            if field.has_attr("checked"):
                sent[name] = field["value"]
        elif name == "row":
            sent["row"].append(field["value"])
        else:
            sent[name] = field.get("value", "")
    return sent


def opened(client: FlaskClient, place: str = JOBS) -> dict[str, Any]:
    return fields(client.get(place).get_data(as_text=True))


def send(
    client: FlaskClient, typed: Mapping[str, Any], place: str = JOBS, do: str = "save", **changes: Any
) -> TestResponse:
    return client.post(
        place, data={**typed, **{each.replace("__", "."): value for each, value in changes.items()}, "do": do}
    )


def words(response: TestResponse) -> str:
    return re.sub(r"\s+", " ", BeautifulSoup(response.get_data(as_text=True), "html.parser").get_text(" "))


def seen(page: str, status_id: int) -> str:
    """What the page says customers see of a status."""
    cell = BeautifulSoup(page, "html.parser").find(id=f"seen-{status_id}")
    assert cell is not None
    return re.sub(r"\s+", " ", cell.get_text(" ")).strip()


def make(cast: Cast, wanted: Role = Role.REQUESTED, kind: WorkKind = WorkKind.JOB) -> WorkItem:
    made = actions.create_item(
        kind, "Move the router", company_id=cast.a.id, status_id=role(wanted, kind).id, by=SYSTEM, now=NOW
    )
    db.session.commit()
    return made


def test_the_table_is_there_from_the_beginning(olaf: FlaskClient) -> None:
    assert words(olaf.get(JOBS)).count("Requested") >= 1
    names = [
        [row["name"] for row in queries.settings_of(kind).table.to_json()] for kind in (WorkKind.JOB, WorkKind.QUOTE)
    ]
    assert names == [
        ["Requested", "Scheduled", "In progress", "On hold", "Completed", "Cancelled"],
        ["Requested", "Draft", "On hold", "Sent", "Accepted", "Declined", "Cancelled"],
    ]


def test_saving_what_nobody_changed_changes_nothing(olaf: FlaskClient) -> None:
    before = settings().table
    assert send(olaf, opened(olaf)).status_code == 303
    assert settings().table == before


def test_a_name_for_customers_reaches_them(olaf: FlaskClient, cast: Cast) -> None:
    """The brief's example: Requested named Submitted."""
    item, requested = make(cast), role(Role.REQUESTED).id
    typed = opened(olaf) | {f"portal_name.{requested}": " Submitted "}
    live = olaf.post(f"{JOBS}/preview", data=typed).get_data(as_text=True)
    assert seen(live, requested) == "Submitted Unsaved"
    assert "1 open job of 1 company looks different to customers" in re.sub(
        r"\s+", " ", BeautifulSoup(live, "html.parser").get_text(" ")
    )
    assert shown(item) == ("Requested", NOW)
    answer = send(olaf, typed)
    assert (answer.status_code, answer.location) == (303, JOBS)
    assert shown(item) == ("Submitted", NOW)
    assert "Saved. 1 open job looks different to customers now." in words(olaf.get(JOBS))
    assert role(Role.REQUESTED).name == "Requested"


def test_a_mapping_shows_the_end_of_the_chain(olaf: FlaskClient, cast: Cast) -> None:
    """The brief's example: On hold mapped to Sent."""
    item = make(cast, Role.ON_HOLD, WorkKind.QUOTE)
    held, sent = role(Role.ON_HOLD, WorkKind.QUOTE).id, role(Role.SENT, WorkKind.QUOTE).id
    typed = opened(olaf, QUOTES) | {f"showing.{held}": f"to:{sent}", f"portal_name.{sent}": "With you"}
    live = olaf.post(f"{QUOTES}/preview", data=typed).get_data(as_text=True)
    assert seen(live, held) == seen(live, sent) == "With you Unsaved"
    assert send(olaf, typed, QUOTES).status_code == 303
    assert shown(item) == ("With you", NOW)


def test_a_loop_is_refused_with_its_sentence_and_what_was_typed_stays(olaf: FlaskClient) -> None:
    scheduled, held = role(Role.SCHEDULED).id, role(Role.ON_HOLD).id
    typed = opened(olaf) | {
        f"showing.{scheduled}": f"to:{held}",
        f"showing.{held}": f"to:{scheduled}",
        f"name.{held}": "Parked",
    }
    answer = send(olaf, typed)
    assert answer.status_code == 422
    sentence = "“Scheduled” is shown as “Parked”, which is shown as “Scheduled”: that never ends."
    assert sentence in words(answer)
    assert opened_again(answer)[f"name.{held}"] == "Parked"
    assert settings().version == 1
    live = olaf.post(f"{JOBS}/preview", data=typed)
    assert sentence in words(live)


def opened_again(answer: TestResponse) -> dict[str, Any]:
    return fields(answer.get_data(as_text=True))


def test_a_stale_save_is_refused_with_both_versions(olaf: FlaskClient) -> None:
    requested, held = role(Role.REQUESTED).id, role(Role.ON_HOLD).id
    typed = opened(olaf) | {f"portal_name.{requested}": "Submitted"}
    save(replace(role(Role.ON_HOLD), name="Parked"))
    answer = send(olaf, typed)
    assert answer.status_code == 409
    assert "“On hold”: is called “Parked”, no longer “On hold”." in words(answer)
    again = opened_again(answer)
    assert (again[f"portal_name.{requested}"], again["version"]) == ("Submitted", "2")
    assert role(Role.REQUESTED).portal_name == "Requested"
    again[f"name.{held}"] = "Parked"
    assert send(olaf, again).status_code == 303
    assert (role(Role.REQUESTED).portal_name, role(Role.ON_HOLD).name) == ("Submitted", "Parked")


def test_what_somebody_else_added_is_there_after_a_stale_save(olaf: FlaskClient) -> None:
    typed = opened(olaf)
    saved = save(StatusRow(id=-1, role=None, category=Category.WAITING, name="Parts ordered", color="#15803d"))
    new = next(row for row in saved.table.rows if not row.is_system)
    answer = send(olaf, typed)
    assert answer.status_code == 409
    assert "“Parts ordered” was added." in words(answer)
    assert opened_again(answer)[f"name.{new.id}"] == "Parts ordered"


def test_a_new_status_asks_at_once_what_customers_see(olaf: FlaskClient) -> None:
    added = send(olaf, opened(olaf), do="add")
    assert "Not decided yet" in words(added)
    typed = opened_again(added) | {"name.-1": "Parts ordered"}
    assert typed["showing.-1"] == ""
    refused = send(olaf, typed)
    assert refused.status_code == 422
    assert "Say what customers see: this status, another one, or nothing." in words(refused)
    assert send(olaf, typed | {"showing.-1": f"to:{role(Role.ON_HOLD).id}"}).status_code == 303
    new = next(row for row in settings().table.rows if row.name == "Parts ordered")
    found = resolve(settings().table, new.id)
    assert isinstance(found, PublicStatus)
    assert found.name == "On hold"
    assert (new.category, new.role, new.portal_name) == (Category.UNDER_WAY, None, "Parts ordered")


def test_the_first_thing_a_new_row_says_is_no_reproach(olaf: FlaskClient) -> None:
    added = send(olaf, opened(olaf), do="add")
    assert added.status_code == 200
    assert "Give the status a name." not in words(added)
    assert opened_again(send(olaf, opened_again(added), do="delete:-1"))["row"] == opened(olaf)["row"]


def test_deleting_asks_where_everything_goes_and_is_part_of_the_save(olaf: FlaskClient, cast: Cast) -> None:
    custom = StatusRow(id=-1, role=None, category=Category.WAITING, name="Parked", color="#15803d")
    parked = next(row for row in save(custom).table.rows if row.name == "Parked")
    held = role(Role.ON_HOLD)
    save(replace(held, showing=Showing.MAPPED, mapped_to_id=parked.id))
    item = actions.create_item(WorkKind.JOB, "Move it", company_id=cast.a.id, status_id=parked.id, by=SYSTEM, now=NOW)
    db.session.commit()
    asked = send(olaf, opened(olaf), do=f"delete:{parked.id}")
    assert "Move 1 job, and what is shown as it (On hold), to" in words(asked)
    typed = opened_again(asked)
    refused = send(olaf, typed)
    assert refused.status_code == 422
    assert "Choose where the jobs of “Parked” go, and what is shown as it." in words(refused)
    assert opened_again(send(olaf, typed, do=f"keep:{parked.id}")).get(f"deleted.{parked.id}") is None
    scheduled = role(Role.SCHEDULED).id
    live = olaf.post(f"{JOBS}/preview", data=typed | {f"replacement.{parked.id}": str(scheduled)})
    assert "1 job of 1 company: Alder Dental" in words(live)
    assert send(olaf, typed | {f"replacement.{parked.id}": str(scheduled)}).status_code == 303
    db.session.expire_all()
    assert (item.status_id, shown(item)[0]) == (scheduled, "Scheduled")
    assert role(Role.ON_HOLD).mapped_to_id == scheduled
    assert db.session.get_one(WorkStatus, parked.id).archived_at is not None
    last = db.session.scalars(select(WorkMove).where(WorkMove.item_id == item.id).order_by(WorkMove.id.desc())).first()
    assert last is not None
    assert last.reason == "“Parked” was deleted."


def test_a_system_status_is_never_deleted(olaf: FlaskClient) -> None:
    held = role(Role.ON_HOLD)
    typed = opened(olaf) | {f"deleted.{held.id}": "1", f"replacement.{held.id}": str(role(Role.SCHEDULED).id)}
    answer = send(olaf, typed)
    assert answer.status_code == 422
    assert "“On hold” is a system status. Rename or hide it: it cannot be deleted." in words(answer)


def test_archiving_and_taking_back(olaf: FlaskClient) -> None:
    held = role(Role.ON_HOLD).id
    assert send(olaf, opened_again(send(olaf, opened(olaf), do=f"archive:{held}"))).status_code == 303
    assert [row.name for row in settings().table.rows if row.is_archived] == ["On hold"]
    assert "Archived (1)" in words(olaf.get(JOBS))
    assert send(olaf, opened_again(send(olaf, opened(olaf), do=f"restore:{held}"))).status_code == 303
    assert not role(Role.ON_HOLD).is_archived


def test_reset_brings_back_one_or_all(olaf: FlaskClient) -> None:
    save(
        replace(role(Role.ON_HOLD), name="Parked", color="#000000"),
        replace(role(Role.SCHEDULED), name="Planned"),
    )
    one = opened_again(send(olaf, opened(olaf), do=f"reset:{role(Role.ON_HOLD).id}"))
    assert (one[f"name.{role(Role.ON_HOLD).id}"], one[f"name.{role(Role.SCHEDULED).id}"]) == ("On hold", "Planned")
    assert send(olaf, opened_again(send(olaf, opened(olaf), do="reset:all"))).status_code == 303
    assert [row.name for row in settings().table.rows][:4] == ["Requested", "Scheduled", "In progress", "On hold"]


@pytest.mark.parametrize(("place", "expected"), [("1", 0), ("3", 2), ("6", 5)])
def test_numbers_put_a_status_where_they_say_without_script(olaf: FlaskClient, place: str, expected: int) -> None:
    held = role(Role.ON_HOLD).id
    assert send(olaf, opened(olaf) | {f"place.{held}": place}).status_code == 303
    assert [row.id for row in settings().table.rows].index(held) == expected


def test_buttons_move_a_status_without_script(olaf: FlaskClient) -> None:
    held = role(Role.ON_HOLD).id
    moved = send(olaf, opened(olaf), do=f"up:{held}")
    assert [int(each) for each in opened_again(moved)["row"]].index(held) == 2
    assert send(olaf, opened_again(moved)).status_code == 303
    assert [row.role for row in settings().table.rows][2:4] == [Role.ON_HOLD, Role.IN_PROGRESS]


def test_two_names_may_change_places(olaf: FlaskClient) -> None:
    held, scheduled = role(Role.ON_HOLD).id, role(Role.SCHEDULED).id
    swapped = opened(olaf) | {f"name.{held}": "Scheduled", f"name.{scheduled}": "On hold"}
    assert send(olaf, swapped).status_code == 303
    assert (role(Role.ON_HOLD).name, role(Role.SCHEDULED).name) == ("Scheduled", "On hold")


def test_colours_inside_and_in_the_portal_differ(olaf: FlaskClient) -> None:
    held = role(Role.ON_HOLD).id
    typed = opened(olaf) | {f"color.{held}": "FA0", f"portal_color.{held}": "#15803d"}
    assert send(olaf, typed).status_code == 303
    assert (role(Role.ON_HOLD).color, role(Role.ON_HOLD).portal_color) == ("#ffaa00", "#15803d")
    refused = send(olaf, opened(olaf) | {f"color.{held}": "red; }"})
    assert refused.status_code == 422
    assert "A colour is # and six digits from 0 to f" in words(refused)


def test_ticking_the_box_mails_those_whose_status_changes(olaf: FlaskClient, cast: Cast) -> None:
    item = make(cast, Role.SCHEDULED)
    db.session.query(WorkNotice).delete()
    db.session.commit()
    scheduled = role(Role.SCHEDULED).id
    answer = send(olaf, opened(olaf) | {f"portal_name.{scheduled}": "Booked in", "tell": "y"})
    assert answer.status_code == 303
    assert [each.item_id for each in db.session.scalars(select(WorkNotice))] == [item.id]


def test_a_save_is_written_down(olaf: FlaskClient, cast: Cast) -> None:
    held = role(Role.ON_HOLD).id
    send(olaf, opened(olaf) | {f"name.{held}": "Parked"})
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "work_statuses.edit")).one()
    assert (entry.actor, entry.before) == (cast.olaf.email, {"statuses": {"On hold": {"name": "On hold"}}})
    assert entry.after is not None
    assert (entry.after["kind"], entry.after["statuses"]) == ("job", {"On hold": {"name": "Parked"}})
    assert [line.sentence for line in lines([entry])] == ["Olaf saved the statuses of jobs"]


def test_the_preview_of_a_hundred_statuses_is_one_round_trip_of_few_queries(olaf: FlaskClient, cast: Cast) -> None:
    custom = [
        StatusRow(id=-n, role=None, category=Category.UNDER_WAY, name=f"Step {n}", color="#2457d6")
        for n in range(1, 95)
    ]
    save(*custom)
    rows = settings().table.rows
    for row in rows:
        for company in (cast.a, cast.b):
            actions.create_item(WorkKind.JOB, "Job", company_id=company.id, status_id=row.id, by=SYSTEM, now=NOW)
    db.session.commit()
    typed = opened(olaf) | {f"portal_name.{row.id}": f"Public {row.id}" for row in rows}
    with counted_queries() as queries_made:
        live = olaf.post(f"{JOBS}/preview", data=typed)
    assert live.status_code == 200
    assert "100 changes , 196 open jobs of 2 companies look different to customers" in words(live)
    assert len(queries_made) <= 10
    assert len(live.get_data()) < 200_000


@pytest.mark.parametrize(
    "typed",
    [
        {"row": ["x", "²", "1" * 5000, "-0", ""]},
        {"row": ["1", "1", "2"]},
        {"place.1": "9" * 400, "place.2": "-1", "place.3": "²"},
        {"showing.1": "to:999999999", "showing.2": "to:" + "9" * 99, "category.1": "no", "showing.3": "mapped"},
        {"name.1": "\u202e" + "x" * 5000, "portal_name.2": "\ud800".encode("utf-8", "replace").decode()},
        {"do": "delete:" + "9" * 50, "deleted.1": "1", "replacement.1": "²"},
        {"do": "nonsense:1"},
    ],
)
def test_forged_fields_are_answered_and_change_nothing(olaf: FlaskClient, typed: dict[str, Any]) -> None:
    for place in (JOBS, f"{JOBS}/preview"):
        answer = olaf.post(place, data={**opened(olaf), **typed, "version": "1"})
        assert answer.status_code in {200, 303, 409, 422}
    assert len(settings().table.rows) == 6


def test_who_may_not_decide_it_does_not_see_it(cast: Cast, sign_in: SignIn) -> None:
    ada = sign_in(cast.ada)
    assert ada.get(JOBS).status_code == ada.get(QUOTES).status_code == 403
    assert "Job statuses" not in words(ada.get("/admin/"))
    assert "Job statuses" in words(sign_in(cast.olaf).get("/admin/"))
    token = token_in(ada, "/admin/")
    assert ada.post(JOBS, data={"csrf_token": token, "version": "1"}).status_code == 403


def test_time_goes_on_from_what_was_saved(olaf: FlaskClient, cast: Cast) -> None:
    item = make(cast, Role.SCHEDULED)
    send(olaf, opened(olaf) | {f"portal_name.{role(Role.SCHEDULED).id}": "Planned"})
    db.session.expire_all()
    view = queries.public_view(item, NOW + timedelta(seconds=1))
    assert view.status is not None
    assert view.status.name == "Scheduled"
