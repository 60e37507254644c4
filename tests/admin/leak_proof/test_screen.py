"""The button of the leak proof: what it found in plain words, a note in the audit trail, and nothing else stays."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.admin.leak_proof import routes
from portal.admin.leak_proof.doors import doors
from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.jobs import proof
from portal.jobs.queries import settings_of
from portal.jobs.rules import WorkKind
from tests.conftest import Cast, SignIn, counted_queries, token_in

PATH = "/admin/settings/leak-proof"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two doors are enough to see what becomes of what is found; tests/security goes through all."""
    monkeypatch.setattr(routes, "doors", lambda: [each for each in doors() if each.rule in {"/jobs", "/quotes"}])


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands, so that nobody is noted as having been there."""
    now = clock.utcnow()
    monkeypatch.setattr(clock, "utcnow", lambda: now)


def stored() -> dict[str, list[Any]]:
    """Every row of every table."""
    tables = db.metadata.sorted_tables
    found = {each.name: [tuple(row) for row in db.session.execute(select(each)).all()] for each in tables}
    db.session.rollback()
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


@pytest.mark.usefixtures("still")
def test_pressing_leaves_one_note_and_every_table_as_it_was(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    form = {"csrf_token": token_in(client, PATH), "company": cast.a.name}
    before = stored()
    answer = client.post(PATH, data=form)
    assert (answer.status_code, answer.location) == (303, PATH)
    after = stored()
    noted = [row for row in after.pop("audit_entry") if row not in before["audit_entry"]]
    del before["audit_entry"]
    assert after == before
    assert len(noted) == 1
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "leak_proof.run")).one()
    assert (entry.actor_id, entry.company_id, (entry.after or {})["leak_count"]) == (cast.olaf.id, None, 0)
    page = client.get(PATH).text
    assert "Nothing surfaced anywhere" in page
    for words in ("Pages", "Mails", "Files of exports", "Answers of the API", f"about {cast.a.name}"):
        assert words in page
    assert "ran the leak proof (places found: 0)" in sign_in(cast.root).get("/admin/audit").text


def test_what_surfaced_is_listed(app: Flask, cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    view: Any = app.view_functions["customer_jobs.jobs"]

    def leaky(**values: Any) -> Any:
        response = app.make_response(view(**values))
        response.set_data(response.get_data(as_text=True) + settings_of(WorkKind.JOB).table.rows[0].name)
        return response

    monkeypatch.setitem(app.view_functions, "customer_jobs.jobs", leaky)
    client = sign_in(cast.olaf)
    name = settings_of(WorkKind.JOB).table.rows[0].name
    client.post(PATH, data={"csrf_token": token_in(client, PATH), "company": cast.a.name})
    page = client.get(PATH).text
    assert "things surfaced" in page, "the page, its fragment, and both by status"
    assert "<code>/jobs</code>" in page
    assert f"The name of “{name}”" in page
    assert "Nothing surfaced" not in page


def test_what_could_not_be_looked_at_is_listed(
    app: Flask, cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_values: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(app.view_functions, "customer_jobs.jobs", broken)
    client = sign_in(cast.olaf)
    client.post(PATH, data={"csrf_token": token_in(client, PATH), "company": cast.a.name})
    page = client.get(PATH).text
    assert "Not proven" in page
    assert "it could not be rendered: ZeroDivisionError" in page


@pytest.mark.parametrize(
    ("company", "sentence"),
    [("", "Name a company"), ("Nobody of that name", "There is no company of this name")],
)
def test_a_company_is_named(cast: Cast, sign_in: SignIn, company: str, sentence: str) -> None:
    client = sign_in(cast.olaf)
    answer = client.post(PATH, data={"csrf_token": token_in(client, PATH), "company": company})
    assert answer.status_code == 422
    assert sentence in answer.text


def test_a_second_press_meanwhile_is_told_to_wait(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    form = {"csrf_token": token_in(client, PATH), "company": cast.a.name}
    with proof._turn:
        answer = client.post(PATH, data=form)
    assert answer.status_code == 422
    assert "The proof is running at this moment" in answer.text


def test_the_page_suggests_a_company_that_can_be_looked_through(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    assert f'value="{cast.a.name}"' in client.get(PATH).text
    with counted_queries() as queries:
        client.get(PATH)
    assert len(queries) <= 12
