"""Calls of companies as staff see them, and files of more."""

from datetime import timedelta
from io import BytesIO

from portal import clock
from portal.extensions import db
from tests.conftest import Cast, SignIn, counted_queries, token_in
from tests.customer.calls.examples import call, take

LIST, HOUR = "/admin/calls", timedelta(hours=1)


def test_companies_whose_calls_come_in_are_listed_and_searched(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.olaf)
    assert "No calls yet" in client.get(LIST).text
    take(cast.a, call("one", HOUR))
    db.session.commit()
    page = client.get(LIST).text
    assert f'href="{LIST}/{cast.a.id}"' in page
    assert "Birch" not in page
    assert "Nothing found" in client.get(f"{LIST}?q=birch").text
    assert client.get(f"{LIST}?page=2").status_code == 404
    with counted_queries() as few:
        client.get(LIST)
    take(cast.b, call("two", HOUR))
    db.session.commit()
    with counted_queries() as many:
        client.get(LIST)
    assert len(many) == len(few)


def test_staff_read_the_trunk_and_the_carrier(cast: Cast, sign_in: SignIn) -> None:
    take(cast.a, call("one", HOUR), call("two", 2 * HOUR, talk=None))
    db.session.commit()
    client = sign_in(cast.olaf)
    page = client.get(f"{LIST}/{cast.a.id}").text
    assert "INTERNAL-TRUNK" in page
    assert "INTERNAL-CARRIER" in page
    assert "<h2>Take a file</h2>" not in page, "the office edits no catalogue"
    found = client.get(f"{LIST}/{cast.a.id}?result=no_answer").text.partition('id="calls"')[2]
    assert "two" in found
    assert ">one<" not in found
    assert client.get(f"{LIST}/{cast.a.id}?number=1").status_code == 422
    assert client.get(f"{LIST}/999999").status_code == 404
    assert "No calls yet" in client.get(f"{LIST}/{cast.b.id}").text


def test_a_file_is_taken_and_its_bad_lines_are_named(cast: Cast, sign_in: SignIn) -> None:
    client, path = sign_in(cast.ada), f"{LIST}/{cast.a.id}"
    token = token_in(client, path)

    def upload(content: str) -> tuple[int, str]:
        data = {"csrf_token": token, "file": (BytesIO(content.encode()), "calls.csv")}
        answer = client.post(f"{path}/records", data=data, content_type="multipart/form-data", follow_redirects=True)
        return answer.status_code, answer.text

    begun = (clock.utcnow() - HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    heading = "call_id;from;to;started_at;result\n"
    status, page = upload(f"{heading}new-1;4711;4712;{begun};486\n")
    assert (status, "1 records taken" in page, "new-1" in page) == (200, True, True)
    status, page = upload(f"{heading}new-1;4711;4712;{begun};486\nnew-2;4711;4712;soon;486\n")
    assert (status, "1 lines were not taken" in page, "started_at" in page) == (422, True, True)
    assert upload("")[0] == 422
    assert upload("\x00\x01")[0] in {400, 422}
    status, _page = upload("nothing")
    assert status == 422
