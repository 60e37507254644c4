"""Notes of staff's own to begin with."""

from typing import Any

from sqlalchemy import select

from portal.extensions import db
from portal.services.models import StarterNote
from portal.services.notes import GUIDES
from portal.services.rules import ServiceStatus
from tests.admin.services.conftest import post, soup
from tests.conftest import Cast, SignIn

LIST = "/admin/services/starters"


def sent(client: Any, path: str, **changes: str) -> dict[str, str]:
    form = soup(client.get(path)).select_one("#starter-form form")
    assert form is not None
    fields = {str(each["name"]): str(each.get("value", "")) for each in form.select('input[type="hidden"]')}
    return fields | {"status": "system_is_down", "title": "Short", "body": "Down since [when]."} | changes


def test_they_are_kept_changed_and_deleted(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert post(client, f"{LIST}/new", sent(client, f"{LIST}/new")).status_code == 303
    note = db.session.scalars(select(StarterNote)).one()
    assert (note.status, note.title, note.created_by_id) == (ServiceStatus.DOWN, "Short", cast.ada.id)
    edit = f"{LIST}/{note.id}"
    assert post(client, edit, sent(client, edit, body="Down.", status="operating_normally")).status_code == 303
    db.session.refresh(note)
    assert (note.status, note.body) == (ServiceStatus.NORMAL, "Down.")
    page = client.get(LIST).get_data(as_text=True)
    assert "Down." in page
    fields = sent(client, edit)
    assert post(client, f"{edit}/delete", fields).status_code == 303
    assert db.session.scalars(select(StarterNote)).all() == []


def test_refusals_keep_what_was_typed(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    new = f"{LIST}/new"
    for changes, sentence in (
        ({"title": " "}, "Give them a name."),
        ({"body": ""}, "Write what they say."),
        ({"title": "x" * 101}, "at most 100"),
        ({"body": "x" * 10_001}, "at most 10,000"),
        ({"status": "x"}, "Not a valid choice"),
    ):
        answer = post(client, new, sent(client, new, **changes))
        assert answer.status_code == 422, changes
        assert sentence in answer.get_data(as_text=True)
    post(client, new, sent(client, new))
    answer = post(client, new, sent(client, new, title="SHORT", body="Other."))
    assert answer.status_code == 422
    assert "There are notes of this name" in answer.get_data(as_text=True)
    assert "Other." in answer.get_data(as_text=True)


def test_two_who_edit_one(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    post(client, f"{LIST}/new", sent(client, f"{LIST}/new"))
    note = db.session.scalars(select(StarterNote)).one()
    edit = f"{LIST}/{note.id}"
    first, second = sent(client, edit, body="First."), sent(client, edit, body="Second.")
    assert post(client, edit, first).status_code == 303
    answer = post(client, edit, second)
    assert answer.status_code == 409
    assert "First." in answer.get_data(as_text=True)
    assert "Second." in answer.get_data(as_text=True)
    assert post(client, f"{edit}/delete", second).status_code == 409
    assert post(client, f"{LIST}/99999", second).status_code == 404


def test_the_built_in_ones_stand_beside_them_and_office_only_looks(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    page = client.get(LIST).get_data(as_text=True)
    assert [each.title in page for guide in GUIDES.values() for each in guide.starters].count(False) == 0
    assert "Write some" not in page
    assert client.get(f"{LIST}/new").status_code == 403
