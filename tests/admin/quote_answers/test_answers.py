"""Staff read how a quote was answered, and take an answer back with a reason."""

from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, events
from portal.extensions import db
from portal.jobs.actions import quotes
from portal.jobs.models import QuoteAnswer, WorkItem
from portal.jobs.queries.offers import offered_now
from portal.jobs.rules import Role, WorkKind
from tests.conftest import Cast, SignIn, token_in
from tests.customer.jobs.conftest import OLAF, Book, work  # noqa: F401 (fixtures are found by name)


def accepted(cast: Cast, work: Book) -> WorkItem:  # noqa: F811
    item = work(Role.SENT, kind=WorkKind.QUOTE, title="Ten phones")
    signature, signer = quotes.Signature("Alice", "A. Alder"), quotes.Signer(cast.alice.id, cast.a.id, "", "")
    shown = offered_now(item.id).hash
    quotes.accept(item.id, shown, signature, signer, agrees=True, by=OLAF, now=clock.utcnow())
    events.commit()
    return item


def take_back(client: FlaskClient, item: WorkItem, reason: str) -> int:
    answer = db.session.scalars(select(QuoteAnswer)).one()
    path = f"/admin/quotes/Q-{item.number}/answers"
    form = {"reason": reason, "csrf_token": token_in(client, path)}
    return client.post(f"{path}/{answer.id}/take-back", data=form).status_code


def test_what_was_signed_is_read_and_taken_back_with_a_reason(cast: Cast, work: Book, sign_in: SignIn) -> None:  # noqa: F811
    item = accepted(cast, work)
    client = sign_in(cast.olaf)
    path = f"/admin/quotes/Q-{item.number}/answers"
    page = client.get(path).text
    for words in ("Accepted by Alice", "A. Alder", offered_now(item.id).hash, "Take back"):
        assert words in page
    assert take_back(client, item, " ") == 422
    assert take_back(client, item, "The wrong one") == 303
    assert "took this back" in client.get(path).text
    assert take_back(client, item, "Again") == 404


def test_without_the_right_it_is_read_only(cast: Cast, work: Book, sign_in: SignIn) -> None:  # noqa: F811
    item = accepted(cast, work)
    ada = sign_in(cast.ada)
    assert "Take back" not in ada.get(f"/admin/quotes/Q-{item.number}/answers").text
    assert take_back(ada, item, "Why not") == 403
    assert ada.get("/admin/quotes/Q-999999/answers").status_code == 404
