"""T04–T06, F01, F03, F05–F08, I29, R18, R19, R53: files, as somebody who means harm sends and asks for them."""

import errno
import io
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.datastructures import FileStorage
from werkzeug.test import Client, TestResponse, encode_multipart

from portal import bodies, clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.anonymise import delete_company
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.files import cleaning, store
from portal.files.models import StoredFile
from portal.files.rules import FILES_A_MESSAGE, UNFINISHED_AT_MOST
from portal.messages.models import Message
from tests.conftest import Cast, SignIn, client_on, token_in
from tests.files.contents import huge_png, pdf, photo, png
from tests.security.conftest import masked
from tests.support.cases import Cases, make_known

PAGE, OF_STAFF = "/messages/case/C1", "/admin/messages/case/C1"


@pytest.fixture
def cases(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Cases:
    return make_known(monkeypatch, {1: cast.a.id, 2: cast.b.id})


@pytest.fixture(autouse=True)
def own_store(app: Flask, tmp_path: Path) -> Iterator[store.Store]:
    """An empty store for each test."""
    made = store.Store((tmp_path / "files").as_uri())
    store.replace(app, made)
    yield made
    app.extensions.pop("files")


@pytest.fixture
def alice(sign_in: SignIn, cast: Cast, cases: Cases) -> FlaskClient:
    return sign_in(cast.alice)


@pytest.fixture
def charlie(sign_in: SignIn, cast: Cast, cases: Cases) -> FlaskClient:
    return sign_in(cast.charlie)


@pytest.fixture
def olaf(sign_in: SignIn, cast: Cast, cases: Cases) -> FlaskClient:
    return sign_in(cast.olaf)


def form(**values: Any) -> dict[str, Any]:
    """What a browser sends for a form with files, held in memory."""
    boundary, data = encode_multipart({name: value for name, value in values.items() if value != []})
    return {"data": data, "content_type": f"multipart/form-data; boundary={boundary}"}


def upload(client: FlaskClient, content: bytes, name: str, base: str = "/files") -> TestResponse:
    """Send one file as the script of a form does."""
    token = token_in(client, "/nothing-here")
    sent = form(files=FileStorage(io.BytesIO(content), name), csrf_token=token)
    return client.post(base, headers={"HX-Request": "true"}, **sent)


def id_in(answer: TestResponse) -> str:
    found = re.search(r'name="file_ids" value="([a-z2-7]{26})"', answer.get_data(as_text=True))
    assert found, answer.get_data(as_text=True)
    return found[1]


def uploaded(
    client: FlaskClient, content: bytes = b"CANARYcontent", name: str = "plan.txt", base: str = "/files"
) -> str:
    answer = upload(client, content, name, base)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return id_in(answer)


def send(client: FlaskClient, path: str, *, files: Any = (), key: str = "k1", **fields: Any) -> TestResponse:
    """Send a message as a browser without script does."""
    token = token_in(client, "/nothing-here")
    brought = [FileStorage(io.BytesIO(content), name) for content, name in files]
    return client.post(path, **form(**{"csrf_token": token, "key": key, "body": "Hello", "files": brought, **fields}))


def sent_file(client: FlaskClient, content: bytes, name: str, path: str = PAGE) -> str:
    """A file that came with a message; its id."""
    answer = send(client, path, files=[(content, name)], key=name)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return db.session.scalars(select(StoredFile.public_id).order_by(StoredFile.id.desc())).first() or ""


def lying(app: Flask) -> list[Path]:
    folder = store.of_app().directory
    assert folder is not None
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


# Whose they are


def test_t04_a_file_of_another_company_looks_like_a_missing_one(
    alice: FlaskClient, charlie: FlaskClient, olaf: FlaskClient
) -> None:
    unfinished, linked = uploaded(alice), sent_file(alice, pdf(), "offer.pdf")
    charlie.get("/")
    for public_id in (unfinished, linked):
        assert alice.get(f"/files/{public_id}").status_code == 200
        for end in ("", "/small", "?download=1"):
            answer, missing = (charlie.get(f"/files/{each}{end}") for each in (public_id, "a" * 26))
            assert answer.status_code == 404
            assert masked(answer).replace(public_id, "a" * 26) == masked(missing)
        assert client_on(charlie.application, "a.portal.test").get(f"/files/{public_id}").status_code == 302
    assert olaf.get(f"/admin/files/{linked}").status_code == 200
    assert olaf.get(f"/admin/files/{unfinished}").status_code == 404, "a form that was not sent is its writer's alone"


def test_t04_a_colleague_sees_a_file_once_it_is_sent(alice: FlaskClient, sign_in: SignIn, cast: Cast) -> None:
    bob = sign_in(cast.bob)
    public_id = uploaded(alice)
    assert bob.get(f"/files/{public_id}").status_code == 404
    assert send(alice, PAGE, file_ids=public_id).status_code == 303
    assert bob.get(f"/files/{public_id}").status_code == 200


def test_t05_nobody_sends_what_somebody_else_has_uploaded(
    alice: FlaskClient, charlie: FlaskClient, sign_in: SignIn, cast: Cast
) -> None:
    of_charlie, of_bob = uploaded(charlie), uploaded(sign_in(cast.bob))
    for stolen in (of_charlie, of_bob, "a" * 26, "x", "", "' OR 1=1 --"):
        answer = send(alice, PAGE, file_ids=["", stolen], key=f"k-{stolen}")
        assert answer.status_code == (422 if stolen else 303)
        assert alice.get(f"/files/{stolen or 'a' * 26}").status_code == 404
    assert charlie.get(f"/files/{of_charlie}").status_code == 200, "it is still there for its owner"
    linked = db.session.scalars(select(StoredFile).where(StoredFile.linked_at.is_not(None))).all()
    assert linked == []
    assert db.session.scalar(select(func.count()).select_from(Message)) == 1, "only the one without files was sent"


def test_t05_a_file_belongs_to_one_message_only(alice: FlaskClient) -> None:
    public_id = uploaded(alice)
    assert send(alice, PAGE, file_ids=public_id, key="one").status_code == 303
    assert send(alice, PAGE, file_ids=public_id, key="two").status_code == 422


def test_a_form_with_files_that_is_sent_twice_is_one_message(alice: FlaskClient, app: Flask) -> None:
    public_id = uploaded(alice)
    for _press in range(2):
        assert send(alice, PAGE, file_ids=public_id, files=[(pdf(), "plan.pdf")], key="one").status_code == 303
    assert db.session.scalar(select(func.count()).select_from(Message)) == 1
    assert len(lying(app)) == 2, "what came the second time was not even looked at"


def test_t06_ids_are_random_and_long(alice: FlaskClient) -> None:
    ids = {uploaded(alice) for _ in range(5)}
    assert len(ids) == 5
    assert all(re.fullmatch("[a-z2-7]{26}", each) for each in ids)
    rows = db.session.scalars(select(StoredFile.id)).all()
    for number in rows:
        for near in (number - 1, number, number + 1):
            assert alice.get(f"/files/{near}").status_code == 404


def test_t06_staff_files_are_not_a_customers_to_send_and_the_other_way_round(
    alice: FlaskClient, olaf: FlaskClient
) -> None:
    of_staff, of_alice = uploaded(olaf, base="/admin/files"), uploaded(alice)
    assert alice.get(f"/files/{of_staff}").status_code == 404
    assert send(alice, PAGE, file_ids=of_staff).status_code == 422
    assert send(olaf, OF_STAFF, file_ids=of_alice).status_code == 422
    assert send(olaf, OF_STAFF, file_ids=of_staff).status_code == 303
    assert alice.get(f"/files/{of_staff}").status_code == 200


def test_t04_what_staff_note_for_themselves_no_customer_reads(
    alice: FlaskClient, olaf: FlaskClient, cast: Cast
) -> None:
    secret = uploaded(olaf, b"CANARYnote", "CANARYname.txt", "/admin/files")
    assert send(olaf, OF_STAFF, file_ids=secret, body="CANARYbody", send="note").status_code == 303
    assert alice.get(f"/files/{secret}").status_code == 404
    for headers in ({}, {"HX-Request": "true"}):
        page = alice.get(PAGE, headers=headers).get_data(as_text=True)
        assert "CANARY" not in page
        assert secret not in page
        assert "CANARYbody" in olaf.get(OF_STAFF, headers=headers).get_data(as_text=True)


def test_a_closed_area_closes_its_files(alice: FlaskClient, cast: Cast) -> None:
    public_id = sent_file(alice, pdf(), "offer.pdf")
    for area in (Area.MESSAGES, Area.JOBS):
        domains.set_areas(
            cast.domain_a, set(Area) - {area}, version=cast.domain_a.version, by=SYSTEM, now=clock.utcnow()
        )
        events.commit()
        assert alice.get(f"/files/{public_id}").status_code == 404, area
        assert alice.get(PAGE).status_code == 404, area
        domains.set_areas(cast.domain_a, set(Area), version=cast.domain_a.version, by=SYSTEM, now=clock.utcnow())
        events.commit()
    assert alice.get(f"/files/{public_id}").status_code == 200


def test_a_subject_that_is_hidden_hides_its_files(alice: FlaskClient, olaf: FlaskClient, cases: Cases) -> None:
    public_id = sent_file(alice, pdf(), "offer.pdf")
    cases.hidden.add(1)
    assert alice.get(f"/files/{public_id}").status_code == 404
    assert send(alice, PAGE, key="again").status_code == 404
    assert olaf.get(f"/admin/files/{public_id}").status_code == 200


# What they are


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<script>alert(1)</script>", name)
        for name in (
            *("a.html", "a.htm", "a.svg", "a.xhtml", "a.xml", "a.js", "a.mjs", "a.shtml", "a.hta", "a.exe", "a.php"),
            *("a.py", "a.jpg.html", "a.html%00.png", "noending", "a.png", "a.pdf"),
        )
    ]
    + [(b"\x89PNG\r\n\x1a\n<html>", "a.png")],
)
def test_f01_what_a_browser_might_run_is_refused(alice: FlaskClient, app: Flask, content: bytes, name: str) -> None:
    answer = upload(alice, content, name)
    assert answer.status_code == 422
    assert "upload-refused" in answer.get_data(as_text=True)
    assert b"<script>" not in answer.data
    assert lying(app) == []


@pytest.mark.parametrize(
    ("content", "name", "kind", "is_shown"),
    [
        (b"<script>alert(1)</script>", "a.txt", "text/plain", False),
        (pdf(), "a.pdf", "application/pdf", False),
        (png(), "a.png", "image/png", True),
    ],
)
def test_f01_what_is_served_can_do_nothing(
    alice: FlaskClient, content: bytes, name: str, kind: str, is_shown: bool
) -> None:
    public_id = sent_file(alice, content, name)
    for path, shown in ((f"/files/{public_id}", is_shown), (f"/files/{public_id}?download=1", False)):
        headers = alice.get(path).headers
        assert headers["Content-Type"].partition(";")[0] == kind
        assert headers["Content-Disposition"].startswith("inline" if shown else "attachment")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert headers["Cache-Control"] == ("private, no-cache" if shown else "private, no-store")
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_f01_the_type_the_browser_names_counts_for_nothing(alice: FlaskClient) -> None:
    token = token_in(alice, "/nothing-here")
    sent = (io.BytesIO(b"just text"), "a.txt", "text/html")
    answer = alice.post("/files", data={"files": sent, "csrf_token": token})
    headers = alice.get(f"/files/{id_in(answer)}").headers
    assert headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "name",
    [
        "a\r\nSet-Cookie: x=1.txt",
        'a"; filename="b.html.txt',
        "../../../etc/cron.d/a.txt",
        "Größe – 日本.txt",
        "a%0d%0a.txt",
    ],
)
def test_i29_a_name_splits_no_header(alice: FlaskClient, name: str) -> None:
    sent = upload(alice, b"text", name)
    assert "Set-Cookie: x" not in str(sent.headers)
    if sent.status_code == 422:
        # What stands behind a line break is no part of the name any more, and so it has no ending.
        assert "\r" in name
        return
    answer = alice.get(f"/files/{id_in(sent)}")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    value = answer.headers["Content-Disposition"]
    assert re.fullmatch(
        r"attachment; filename=\"[ !#-\[\]-~]+\.txt\"(; filename\*=UTF-8''[A-Za-z0-9%._~-]+\.txt)?", value
    )
    assert "/" not in value.partition("filename*")[0].replace("UTF-8", "")


def test_i29_a_name_is_text_on_every_page(alice: FlaskClient, olaf: FlaskClient) -> None:
    sent_file(alice, b"text", "<img src=x onerror=alert(1)>.txt")
    for client, path in ((alice, PAGE), (olaf, OF_STAFF)):
        page = client.get(path).get_data(as_text=True)
        assert "<img src=x" not in page
        assert "_img src=x onerror=alert(1)_.txt" in page


def test_f05_a_photo_is_served_without_where_it_was_taken(alice: FlaskClient, olaf: FlaskClient) -> None:
    public_id = sent_file(alice, photo(1200, 800), "leak.jpg")
    for client, path in ((alice, f"/files/{public_id}"), (olaf, f"/admin/files/{public_id}")):
        for end, kind in (("", "image/jpeg"), ("/small", "image/webp")):
            answer = client.get(path + end)
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == kind
            assert b"Exif" not in answer.data
            assert b"CANARY" not in answer.data


def test_f05_a_bomb_is_refused_and_never_decoded(alice: FlaskClient, app: Flask) -> None:
    answer = upload(alice, huge_png(50_000, 50_000), "bomb.png")
    assert answer.status_code == 422
    assert "pixels" in answer.get_data(as_text=True)
    assert lying(app) == []


# How much


def test_f03_the_limit_is_taken_and_a_byte_more_is_not(alice: FlaskClient, app: Flask, settings: Settings) -> None:
    most = settings.file_megabytes * 1_000_000
    assert upload(alice, pdf(most + 1), "a.pdf").status_code == 422
    assert lying(app) == []
    assert upload(alice, pdf(most), "a.pdf").status_code == 200


def test_f03_more_than_any_form_may_bring_is_a_413(alice: FlaskClient, olaf: FlaskClient, app: Flask) -> None:
    for client, path in ((alice, "/files"), (alice, PAGE), (olaf, OF_STAFF)):
        token = token_in(client, "/nothing-here")
        sent = form(csrf_token=token, key="k", body="x", files=FileStorage(io.BytesIO(pdf(26_000_000)), "a.pdf"))
        answer = client.post(path, **sent)
        assert answer.status_code == 413, path
        assert "25 MB" in answer.get_data(as_text=True)
    assert lying(app) == []


def test_f03_nobody_else_may_send_that_much(visitor: Callable[[str], FlaskClient], cases: Cases) -> None:
    client = visitor("a.portal.test")
    token = token_in(client, "/sign-in")
    answer = client.post("/files", **form(csrf_token=token, files=FileStorage(io.BytesIO(pdf(2_000_000)), "a.pdf")))
    assert answer.status_code == 413


def test_f03_ten_gigabytes_that_never_come_are_refused_at_once(alice: FlaskClient) -> None:
    answer = alice.post("/files", headers={"Content-Length": str(10**10)}, input_stream=io.BytesIO(b"x"))
    assert answer.status_code in {400, 413}


def test_f06_so_many_files_go_with_one_message(alice: FlaskClient, app: Flask) -> None:
    many = [(b"text", f"{number}.txt") for number in range(FILES_A_MESSAGE + 1)]
    answer = send(alice, PAGE, files=many, body="Eleven of them")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "At most 10 files" in page
    assert "Eleven of them" in page
    assert lying(app) == []
    assert send(alice, PAGE, files=many[:-1]).status_code == 303


def test_f06_somebody_who_only_uploads_is_stopped(alice: FlaskClient, sign_in: SignIn, cast: Cast) -> None:
    for number in range(UNFINISHED_AT_MOST):
        assert upload(alice, b"text", f"{number}.txt").status_code == 200
    answer = upload(alice, b"text", "one-more.txt")
    assert answer.status_code == 422
    assert "without sending them" in answer.get_data(as_text=True)
    assert upload(sign_in(cast.bob), b"text", "a.txt").status_code == 200, "others are not affected"


def test_f06_a_company_has_its_room_and_no_other_s(
    alice: FlaskClient, charlie: FlaskClient, olaf: FlaskClient, cast: Cast, settings: Settings
) -> None:
    public_id = sent_file(alice, pdf(), "a.pdf")
    room = settings.company_files_megabytes * 1_000_000
    db.session.execute(update(StoredFile).values(size=room - 5000))
    events.commit()
    answer = send(alice, PAGE, files=[(pdf(6000), "more.pdf")], body="With the plan", key="full")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert f"{settings.company_files_megabytes:,} MB" in page
    assert "With the plan" in page, "the text is kept"
    assert upload(charlie, pdf(6000), "theirs.pdf").status_code == 200
    assert upload(olaf, pdf(6000), "ours.pdf", "/admin/files").status_code == 200, "staff answer all the same"
    assert (
        olaf.post(f"/admin/files/{public_id}/delete", data={"csrf_token": token_in(olaf, "/nothing-here")}).status_code
        == 303
    )
    assert upload(alice, pdf(6000), "more.pdf").status_code == 200, "room that was given back is room again"


# How they are fetched


def test_f07_no_path_and_no_parameter_leads_anywhere_else(alice: FlaskClient) -> None:
    public_id = sent_file(alice, pdf(5000), "a.pdf")
    for path in ("/files/..%2f..%2fetc%2fpasswd", "/files/../portal.db", "/files/%2e%2e/secret_key", "/files/a/b/c"):
        assert alice.get(path).status_code == 404, path
    whole = alice.get(f"/files/{public_id}")
    assert alice.get(f"/files/{public_id}?file=../secret_key&path=/etc/passwd").data == whole.data


def test_f07_parts_are_exact_and_never_more_than_there_is(alice: FlaskClient) -> None:
    content = pdf(5000)
    path = f"/files/{sent_file(alice, content, 'a.pdf')}"
    tag = alice.get(path).headers["ETag"]
    for asked, status, data in (
        ("bytes=0-99", 206, content[:100]),
        ("bytes=4990-", 206, content[4990:]),
        ("bytes=-10", 206, content[-10:]),
        ("bytes=4999-999999", 206, content[-1:]),
        ("bytes=" + ",".join(["0-"] * 1000), 200, content),
        ("bytes=nonsense", 200, content),
        ("lines=0-1", 200, content),
    ):
        answer = alice.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.data) == (status, data), asked[:30]
        assert int(answer.headers["Content-Length"]) == len(data)
    beyond = alice.get(path, headers={"Range": "bytes=5000-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */5000")
    stale = alice.get(path, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (stale.status_code, len(stale.data)) == (200, 5000)
    fresh = alice.get(path, headers={"Range": "bytes=0-9", "If-Range": tag})
    assert (fresh.status_code, fresh.data) == (206, content[:10])


def test_f07_head_says_what_get_would_and_gives_nothing(alice: FlaskClient) -> None:
    path = f"/files/{sent_file(alice, pdf(5000), 'a.pdf')}"
    head, get = alice.head(path), alice.get(path)
    assert head.data == b""
    for name in ("Content-Length", "ETag", "Content-Type", "Content-Disposition", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


def test_f07_a_picture_that_is_known_is_not_sent_again_and_only_to_whom_may_see_it(
    alice: FlaskClient, charlie: FlaskClient
) -> None:
    path = f"/files/{sent_file(alice, png(), 'a.png')}"
    tag = alice.get(path).headers["ETag"]
    again = alice.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert charlie.get(path, headers={"If-None-Match": tag}).status_code == 404


def test_f07_a_large_file_comes_in_pieces(alice: FlaskClient) -> None:
    content = pdf(3_000_000)
    path = f"/files/{sent_file(alice, content, 'a.pdf')}"
    answer = alice.get(path, buffered=False)
    assert answer.is_streamed
    assert answer.data == content
    answer.close()
    part = alice.get(path, headers={"Range": "bytes=100-2000099"})
    assert part.data == content[100:2_000_100]


def test_bytes_that_are_lost_are_a_404_and_no_fault(alice: FlaskClient, app: Flask) -> None:
    path = f"/files/{sent_file(alice, pdf(), 'a.pdf')}"
    for each in lying(app):
        each.unlink()
    assert alice.get(path).status_code == 404


# What becomes of them


def test_f08_what_is_deleted_is_gone_at_once_and_its_bytes_soon(
    alice: FlaskClient, olaf: FlaskClient, app: Flask
) -> None:
    gone, stays = sent_file(alice, png(900, 900), "a.png"), sent_file(alice, pdf(), "b.pdf")
    message = db.session.scalars(
        select(Message.public_id)
        .join(StoredFile, StoredFile.message_id == Message.id)
        .where(StoredFile.public_id == gone)
    ).one()
    token = token_in(olaf, "/nothing-here")
    assert olaf.post(f"{OF_STAFF}/{message}/delete", data={"csrf_token": token}).status_code == 303
    assert alice.get(f"/files/{gone}").status_code == 404
    assert olaf.get(f"/admin/files/{gone}").status_code == 404
    assert len(lying(app)) == 3, "a picture, its small copy, and the plan"
    cleaning.clean_some(store.of_app(), clock.utcnow())
    assert len(lying(app)) == 1
    assert alice.get(f"/files/{stays}").status_code == 200
    assert list(cleaning.orphans(store.of_app(), clock.utcnow() + timedelta(days=2))) == []
    assert list(cleaning.missing(store.of_app())) == []


def test_f08_a_company_that_is_deleted_takes_its_files_along(alice: FlaskClient, app: Flask, cast: Cast) -> None:
    linked, unfinished = sent_file(alice, pdf(), "a.pdf"), uploaded(alice)
    name = cast.a.name
    accounts.archive_company(cast.a, version=cast.a.version, by=SYSTEM, now=clock.utcnow())
    delete_company(cast.a, name, version=cast.a.version, by=SYSTEM, now=clock.utcnow())
    events.commit()
    for public_id in (linked, unfinished):
        assert alice.get(f"/files/{public_id}").status_code in {302, 404}
    cleaning.clean_some(store.of_app(), clock.utcnow())
    assert lying(app) == []
    assert db.session.scalar(select(func.count()).select_from(StoredFile)) == 0
    assert db.session.scalar(select(func.count()).select_from(Message)) == 0


def test_f08_a_form_that_is_never_sent_leaves_nothing_after_a_day(alice: FlaskClient, app: Flask) -> None:
    public_id = uploaded(alice)
    cleaning.clean_some(store.of_app(), clock.utcnow() + timedelta(hours=23))
    assert alice.get(f"/files/{public_id}").status_code == 200
    cleaning.clean_some(store.of_app(), clock.utcnow() + timedelta(hours=25))
    assert alice.get(f"/files/{public_id}").status_code == 404
    assert lying(app) == []


def test_f08_what_lies_there_without_a_row_is_found(alice: FlaskClient, app: Flask) -> None:
    """As a process leaves it that dies between storing the bytes and writing the row."""
    uploaded(alice)
    orphan = store.new_name()
    store.of_app().put(orphan, io.BytesIO(b"nobody's"))
    now = clock.utcnow()
    assert list(cleaning.orphans(store.of_app(), now - timedelta(hours=24))) == [], "it may get its row any moment"
    found = cleaning.sweep(store.of_app(), now + timedelta(hours=25))
    assert found.orphans == 1
    assert not store.of_app().has(orphan)
    assert len(lying(app)) == 1
    assert cleaning.sweep(store.of_app(), now + timedelta(hours=25)).orphans == 0


def test_r53_a_dead_upload_leaves_nothing_that_is_seen_and_goes_within_a_day(alice: FlaskClient, app: Flask) -> None:
    folder = store.of_app().directory
    assert folder is not None
    (folder / "incoming").mkdir(parents=True)
    (folder / "incoming" / "half").write_bytes(b"half a fil")
    now = clock.utcnow()
    assert cleaning.sweep(store.of_app(), now).incoming == 0, "it may still be written"
    assert cleaning.sweep(store.of_app(), now + timedelta(hours=25)).incoming == 1
    assert lying(app) == []


def test_r53_a_body_that_breaks_off_is_no_upload(alice: FlaskClient, app: Flask) -> None:
    token = token_in(alice, "/nothing-here")
    half = (
        b"--b\r\nContent-Disposition: form-data; name=csrf_token\r\n\r\n" + token.encode() + b"\r\n--b\r\n"
        b'Content-Disposition: form-data; name="files"; filename="a.pdf"\r\n\r\n%PDF-half of'
    )
    answer = alice.post("/files", data=half, content_type="multipart/form-data; boundary=b")
    assert answer.status_code in {400, 422}
    assert lying(app) == []
    assert db.session.scalar(select(func.count()).select_from(StoredFile)) == 0


def full(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_r18_a_full_disk_is_a_507_that_keeps_the_text(
    alice: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    public_id = sent_file(alice, pdf(), "a.pdf")
    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "put", full)
        answer = send(alice, PAGE, files=[(pdf(), "b.pdf")], body="Where is the engineer?", key="full")
        assert answer.status_code == 507
        assert "Where is the engineer?" in answer.get_data(as_text=True)
        assert "no room left" in answer.get_data(as_text=True)
        assert upload(alice, pdf(), "b.pdf").status_code == 507
        assert alice.get(f"/files/{public_id}").status_code == 200, "reading goes on"
        assert send(alice, PAGE, body="Without a file", key="none").status_code == 303
    assert send(alice, PAGE, files=[(pdf(), "b.pdf")], key="room").status_code == 303, "after freeing, it goes on"


def test_r19_no_room_for_what_passes_through_is_a_507_too(
    alice: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("portal.files.taking._hold", full)
        assert upload(alice, pdf(), "b.pdf").status_code == 507
    assert alice.get(PAGE).status_code == 200


def test_a_bucket_that_is_away_is_a_503_that_keeps_the_text(
    alice: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    public_id = sent_file(alice, pdf(), "a.pdf")

    def away(*_arguments: object) -> None:
        raise store.StoreTroubleError("EndpointConnectionError")

    monkeypatch.setattr(store.Store, "put", away)
    monkeypatch.setattr(store.Store, "open", away)
    answer = send(alice, PAGE, files=[(pdf(), "b.pdf")], body="Are you there?", key="away")
    assert answer.status_code == 503
    assert "Are you there?" in answer.get_data(as_text=True)
    assert "EndpointConnectionError" not in answer.get_data(as_text=True)
    assert alice.get(f"/files/{public_id}").status_code == 503


def test_r19_a_body_the_disk_has_no_room_for_is_a_507(
    app: Flask, alice: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        write = full  # type: ignore[assignment]

    monkeypatch.setattr(bodies, "SpooledTemporaryFile", lambda **_options: Full())
    server = Client(bodies.Bodies(app.wsgi_app, 1))
    with app.app_context():
        answer = server.post("/files", base_url="http://a.portal.test", data=b"x" * 2000, content_type="text/plain")
    assert answer.status_code == 507
    assert "no room left to store this" in answer.get_data(as_text=True)
    answer.close()
