"""The conversation on screens of customers and of staff: pages, fragments, text kept, and nothing a text can do."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.files.actions import Giver
from portal.jobs.actions import create_item
from portal.jobs.rules import WorkKind
from portal.jobs.subjects import ref_of
from portal.messages.actions import write
from portal.messages.models import Message
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in
from tests.live.test_token import heard
from tests.support.cases import Cases, make_known

PAGE, OF_STAFF = "/messages/case/C1", "/admin/messages/case/C1"


@pytest.fixture
def cases(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Cases:
    return make_known(monkeypatch, {1: cast.a.id, 2: cast.b.id})


@pytest.fixture
def alice(sign_in: SignIn, cast: Cast, cases: Cases) -> FlaskClient:
    return sign_in(cast.alice)


@pytest.fixture
def olaf(sign_in: SignIn, cast: Cast, cases: Cases) -> FlaskClient:
    return sign_in(cast.olaf)


def post(client: FlaskClient, path: str, body: str, *, part: bool = False, **fields: str) -> tuple[int, str, str]:
    """Status, text and Location of what a form is answered."""
    data = {"csrf_token": token_in(client, "/nothing-here"), "key": body[:50], "body": body, **fields}
    answer = client.post(path, data=data, headers={"HX-Request": "true"} if part else {})
    return answer.status_code, answer.get_data(as_text=True), answer.headers.get("Location", "")


def test_a_message_goes_to_and_fro(cast: Cast, alice: FlaskClient, olaf: FlaskClient) -> None:
    assert "Nothing was written yet" in alice.get(PAGE).get_data(as_text=True)
    status, _text, place = post(alice, PAGE, "Is anybody there?")
    assert (status, place) == (303, f"{PAGE}#messages")
    waiting = olaf.get("/admin/messages").get_data(as_text=True)
    assert "1 customer waits" in waiting
    assert f'href="{OF_STAFF}#messages"' in waiting
    assert cast.a.name in waiting
    assert "Is anybody there?" in waiting
    assert "The customer waits for an answer" in olaf.get(OF_STAFF).get_data(as_text=True)
    assert post(olaf, OF_STAFF, "In an hour.")[0] == 303
    assert "Nobody waits" in olaf.get("/admin/messages").get_data(as_text=True)
    page = alice.get(PAGE).get_data(as_text=True)
    assert page.index("Is anybody there?") < page.index("In an hour.")
    assert "The customer waits" not in page


def test_who_waits_is_asked_as_often_for_many_as_for_few(cast: Cast, olaf: FlaskClient) -> None:
    def ask(times: int) -> None:
        for kind in WorkKind:
            for _time in range(times):
                item = create_item(kind, "Asked about", company_id=cast.a.id, by=SYSTEM, now=NOW)
                giver = Giver(cast.alice.id, cast.alice.name, cast.a.id)
                write(ref_of(item), "Is anybody there?", giver, key="once", now=NOW)
        db.session.commit()

    ask(1)
    with counted_queries() as few:
        assert "2 customers wait" in olaf.get("/admin/messages").get_data(as_text=True)
    ask(3)
    with counted_queries() as many:
        assert "8 customers wait" in olaf.get("/admin/messages").get_data(as_text=True)
    assert len(few) == len(many)


def test_a_fragment_is_the_part_the_page_holds(alice: FlaskClient) -> None:
    post(alice, PAGE, "Hello")
    page, part = alice.get(PAGE), alice.get(PAGE, headers={"HX-Request": "true"})
    assert part.get_data(as_text=True).strip().startswith('<div class="messages" id="messages"')
    assert part.get_data(as_text=True).strip() in page.get_data(as_text=True)
    assert 'data-live="item:case:C1"' in part.get_data(as_text=True)
    again = alice.get(PAGE, headers={"HX-Request": "true", "If-None-Match": part.headers["ETag"]})
    assert again.status_code == 304


def test_htmx_gets_the_conversation_with_an_empty_form(alice: FlaskClient) -> None:
    status, text, _place = post(alice, PAGE, "Hello", part=True)
    assert status == 200
    assert text.strip().startswith('<section class="conversation" id="conversation"')
    assert "Sent." in text
    assert text.count("Hello") == 1, "in the list, and no more in the form"


@pytest.mark.parametrize("part", [False, True])
def test_what_is_refused_keeps_its_text(alice: FlaskClient, part: bool) -> None:
    status, text, _place = post(alice, PAGE, "x" * 10_001 + "CANARYend", part=part)
    assert status == 422
    assert "CANARYend</textarea>" in text
    assert 'id="message-error"' in text
    assert 'aria-invalid="true"' in text
    assert post(alice, PAGE, "", part=part, key="k")[0] == 422
    assert post(alice, PAGE, "Hello", part=part, key="")[0] == 422, "a form without its key is none of ours"
    assert db.session.scalar(select(func.count()).select_from(Message)) == 0


def test_t02_what_is_foreign_looks_missing(alice: FlaskClient, visitor: Callable[[str], FlaskClient]) -> None:
    for path in ("/messages/case/C2", "/messages/case/C99", "/messages/case/x", "/messages/nothing/C1"):
        assert alice.get(path).status_code == 404
        assert post(alice, path, "Let me in")[0] == 404
    assert alice.get(f"{PAGE}?earlier={'a' * 26}").status_code == 404
    assert visitor("a.portal.test").get(PAGE).status_code == 302


def test_only_who_may_write_about_it_writes(sign_in: SignIn, cast: Cast, olaf: FlaskClient, alice: FlaskClient) -> None:
    post(alice, PAGE, "Hello")
    assert post(olaf, OF_STAFF, "Noted", send="note")[0] == 303
    assert "Noted" not in alice.get(PAGE).get_data(as_text=True)
    assert post(olaf, f"{OF_STAFF}/settle", "x")[0] == 303
    assert post(alice, f"{PAGE}/settle", "x")[0] == 404


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    '<div hx-get="/admin/users/1/delete" hx-trigger="load">',
    '<meta name="htmx-config" content="{}">',
    "</textarea><script>alert(1)</script>",
    "[x](javascript:alert(1)) ![](//evil/x.png)",
    'https://evil.test/"onmouseover=alert(1)//',
]


def test_i15_i16_i17_a_message_is_text_and_nothing_else(alice: FlaskClient, olaf: FlaskClient) -> None:
    for number, text in enumerate(HOSTILE):
        assert post(alice, PAGE, text, key=f"k{number}")[0] == 303
    for client, path in ((alice, PAGE), (olaf, OF_STAFF)):
        page = client.get(path).get_data(as_text=True)
        for text in (
            "<script>alert",
            "<img src=x",
            "<svg/onload",
            '<div hx-get="/admin/users',
            '<meta name="htmx-config" content="{}"',
        ):
            assert text not in page
        assert 'href="javascript' not in page
        assert '"onmouseover' not in page
        assert page.count('class="message-body" hx-ignore') == len(HOSTILE)


def test_lines_stay_and_addresses_become_links(alice: FlaskClient) -> None:
    post(alice, PAGE, "Part *12* _x_\nsee https://a.example/b?c=1&d=2 now")
    page = alice.get(PAGE).get_data(as_text=True)
    assert "Part *12* _x_\nsee" in page
    assert '<a href="https://a.example/b?c=1&amp;d=2" rel="nofollow noopener noreferrer">' in page.replace(
        'rel="noopener noreferrer nofollow"', 'rel="nofollow noopener noreferrer"'
    )


def test_i17_long_and_deep_texts_cost_little(alice: FlaskClient) -> None:
    for number, text in enumerate(("[" * 10_000, "www." * 2_500, "(" * 5_000 + "http://x.y" + ")" * 4_000)):
        assert post(alice, PAGE, text, key=f"k{number}")[0] == 303
    assert alice.get(PAGE).status_code == 200


def test_a_page_may_hear_of_what_it_shows_and_of_nothing_else(
    alice: FlaskClient, sign_in: SignIn, cast: Cast, cases: Cases, settings: Settings
) -> None:
    wanted = "?topic=item:case:C1&topic=item:case:C2&topic=item:case:C99&topic=item:x:C1&topic=item:case:"
    assert [topic for topic in heard(alice, settings, wanted).topics if topic.startswith("item")] == ["item:case:C1"]
    of_charlie = heard(sign_in(cast.charlie), settings, wanted).topics
    assert [topic for topic in of_charlie if topic.startswith("item")] == ["item:case:C2"]
    cases.hidden.add(1)
    assert "item:case:C1" not in heard(alice, settings, wanted).topics
