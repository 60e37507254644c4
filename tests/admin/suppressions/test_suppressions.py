"""The screen of suppressions: reading it, stopping an address by hand, letting mails go again."""

from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock
from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.models import Suppression
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from tests.conftest import Cast, SignIn, counted_queries, token_in

LIST = "/admin/suppressions"


def page(client: FlaskClient, path: str = LIST) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def post(client: FlaskClient, path: str, **data: str) -> tuple[int, str]:
    answer = client.post(path, data={**data, "csrf_token": token_in(client, LIST)})
    return answer.status_code, answer.get_data(as_text=True)


def plant(cast: Cast) -> tuple[int, int]:
    """A bounce of Alice's and a list that Bob left; their ids."""
    now = clock.utcnow()
    actions.suppress(cast.alice.email, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, detail="550 <b>no</b>", now=now)
    actions.unsubscribe(cast.bob.email, "incidents", cast.bob.id, now=now)
    db.session.commit()
    bounced, left = db.session.scalars(select(Suppression.id).order_by(Suppression.id))
    return bounced, left


def test_each_stands_with_its_reason_its_source_and_the_servers_words(cast: Cast, sign_in: SignIn) -> None:
    bounced, left = plant(cast)
    text = page(sign_in(cast.ada))
    for words in ("alice@people.test", "550 &lt;b&gt;no&lt;/b&gt;", "A server’s answer", "Whoever reads it", "Bounced"):
        assert words in text
    assert f"{LIST}/{bounced}/lift" in text
    assert f"{LIST}/{left}/lift" not in text
    assert "bob@people.test" not in page(sign_in(cast.ada), f"{LIST}?reason=hard_bounce")
    assert "Nothing matches" in page(sign_in(cast.ada), f"{LIST}?q=zebra")
    assert sign_in(cast.ada).get(f"{LIST}?page=9").status_code == 404


def test_the_office_reads_and_changes_nothing(cast: Cast, sign_in: SignIn) -> None:
    bounced, _left = plant(cast)
    client = sign_in(cast.olaf)
    assert "Send again" not in page(client)
    assert client.get(f"{LIST}/new").status_code == 403
    assert post(client, f"{LIST}/{bounced}/lift", why="They asked.")[0] == 403


def test_mails_go_again_with_a_reason_and_never_to_a_list_its_reader_left(cast: Cast, sign_in: SignIn) -> None:
    bounced, left = plant(cast)
    client = sign_in(cast.ada)
    status, text = post(client, f"{LIST}/{bounced}/lift", why=" ")
    assert (status, "Say why mails will arrive now." in text) == (422, True)
    status, text = post(client, f"{LIST}/{left}/lift", why="They asked.")
    assert status == 422
    assert post(client, f"{LIST}/{bounced}/lift", why="A typing error of ours.")[0] == 303
    assert db.session.scalars(select(Suppression.id)).all() == [left]
    assert post(client, f"{LIST}/{bounced}/lift", why="Once more.")[0] == 404
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "suppression.lift")).one()
    assert entry.after == {"why": "A typing error of ours."}
    assert "let mails reach" in page(sign_in(cast.root), "/admin/audit")


def test_an_address_is_stopped_by_hand_until_a_day(cast: Cast, sign_in: SignIn) -> None:
    client, ada_id = sign_in(cast.ada), cast.ada.id
    given = {
        "address": "x@customers.test",
        "scope": "incidents",
        "detail": "Asked on the phone.",
        "until": "2099-12-31",
    }
    for field, wrong in (("address", "nobody"), ("scope", "nothing"), ("detail", ""), ("until", "2001-01-01")):
        status, text = post(client, f"{LIST}/new", **{**given, field: wrong})
        assert (status, 'aria-invalid="true"' in text) == (422, True), field
    assert post(client, f"{LIST}/new", **given)[0] == 303
    row = db.session.scalars(select(Suppression)).one()
    assert (row.reason, row.created_by_id, row.detail) == (SuppressionReason.BY_HAND, ada_id, "Asked on the phone.")
    assert row.until is not None
    assert row.until.isoformat() == "2100-01-01T00:00:00+00:00"
    assert "Ada" in page(client)


def test_the_page_costs_the_same_however_many_there_are(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)

    def cost() -> int:
        with counted_queries() as statements:
            page(client)
        return len(statements)

    plant(cast)
    few = cost()
    for number in range(40):
        actions.suppress(f"r{number}@x.test", EVERY_TOPIC, SuppressionReason.HARD_BOUNCE, now=clock.utcnow())
    db.session.commit()
    assert cost() == few
