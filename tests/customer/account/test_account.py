"""One's own account: name, language, zone, and nothing else (T20)."""

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.accounts.models import Person
from portal.extensions import db
from tests.conftest import PASSWORD, Cast, SignIn, token_in

GERMAN = {"name": "Alice", "language": "de", "time_zone": "Europe/Berlin"}


def save(client: FlaskClient, version: int, **fields: str) -> TestResponse:
    data = {"csrf_token": token_in(client, "/account"), "version": version, **GERMAN, **fields}
    return client.post("/account", data=data)


def again(person: Person) -> Person:
    db.session.refresh(person)
    return person


def test_language_and_zone_hold_from_the_next_page_on(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    answer = save(client, cast.alice.version)
    assert (answer.status_code, answer.location) == (303, "/account")
    page = client.get("/account").text
    assert '<html lang="de"' in page
    assert "Gespeichert." in page
    assert "Ihr Konto" in page
    assert (again(cast.alice).language, cast.alice.time_zone) == ("de", "Europe/Berlin")


def test_times_are_shown_in_ones_own_zone(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    save(client, cast.alice.version, time_zone="Asia/Tokyo", language="en")
    assert "JST" in client.get("/banner").text


def test_t20_what_is_not_asked_for_is_not_read(cast: Cast, sign_in: SignIn) -> None:
    before = cast.alice.password_hash
    save(
        sign_in(cast.alice),
        cast.alice.version,
        role="admin",
        email="root@people.test",
        email_key="x",
        password_hash="x",
        company_id=str(cast.b.id),
        deactivated_at="",
        id="1",
    )
    alice = again(cast.alice)
    assert (alice.role, alice.email, alice.password_hash) == (None, "alice@people.test", before)
    assert alice.language == "de"


def test_what_cannot_be_is_refused_beside_its_field_and_kept(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    answer = save(client, cast.alice.version, name="x" * 201)
    assert answer.status_code == 422
    assert "at most 200 characters" in answer.text
    assert "x" * 201 in answer.text
    assert save(client, cast.alice.version, language="xx").status_code == 422
    assert save(client, cast.alice.version, time_zone="Mars/Olympus").status_code == 422
    assert save(client, cast.alice.version, name="   ").status_code == 422
    assert again(cast.alice).language == "en"


def test_a_stale_form_overwrites_nothing(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    stale = cast.alice.version
    assert save(client, stale, name="Alice Alder").status_code == 303
    assert save(client, stale, name="Alice Birch").status_code == 409
    assert again(cast.alice).name == "Alice Alder"


def test_bobs_account_is_bobs(cast: Cast, sign_in: SignIn) -> None:
    assert "bob@people.test" in sign_in(cast.bob).get("/account").text
    assert "alice@people.test" not in sign_in(cast.bob).get("/account").text
    assert PASSWORD not in sign_in(cast.bob).get("/account").text
