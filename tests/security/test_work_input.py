"""I05, I06, I09, I15–I17, I20–I22, I28, I29, A16, A20, A23, A24, F01, F03, F05–F08: jobs and quotes, typed, sent and
given files by somebody who means harm."""

import csv
import io
import json
import re
import time
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.anonymise import delete_company
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.files import cleaning, store
from portal.files.models import StoredFile
from portal.files.rules import FILES_A_MESSAGE
from portal.jobs.actions.settings import TableRefused
from portal.jobs.models import QuoteAnswer, WorkItem, WorkStatus
from portal.jobs.rules import Role, StatusRow, WorkKind
from portal.messages.models import Message
from portal.records.rules.exports import ExportKind
from tests.api.v1.conftest import maker, refusal
from tests.conftest import Cast, SignIn, token_in
from tests.customer.jobs.conftest import Book, move_to
from tests.files.contents import huge_png, pdf, photo
from tests.jobs.conftest import role, save
from tests.jobs.test_quotes import accept, decline, shown_on
from tests.records.bringing_in import applied, planned, sentences
from tests.security.test_api import BAD_JSON, NO_JSON
from tests.security.test_exports import FORMULAS, texts
from tests.security.test_files import form, lying, own_store  # noqa: F401 (every test has an empty store)
from tests.security.test_injection import HEADERS, MARKUP, unsafe
from tests.security.test_work_catalogue import last_file, letters, path_of, plain_of, sent
from tests.security.world import checksum

SECONDS = 1.0 * 10  # the limit of the catalogue, with slack for a busy machine
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@pytest.fixture
def alice(sign_in: SignIn, cast: Cast) -> FlaskClient:
    return sign_in(cast.alice)


@pytest.fixture
def olaf(sign_in: SignIn, cast: Cast) -> FlaskClient:
    return sign_in(cast.olaf)


@pytest.fixture
def desk(app: Flask, cast: Cast) -> Any:
    return maker(app, cast)(Scope.WORK)


def booked(client: FlaskClient, path: str = "/jobs/new", **values: Any) -> TestResponse:
    return sent(client, path, **{"title": "Move it", "key": "k", **values})


def booked_with(client: FlaskClient, *files: tuple[bytes, str], path: str = "/jobs/new", **values: Any) -> TestResponse:
    """Book as a browser without script does, files and all."""
    token = token_in(client, "/nothing-here")
    brought = [FileStorage(io.BytesIO(content), name) for content, name in files]
    return client.post(
        path, **form(**{"csrf_token": token, "title": "Move it", "key": "k", "files": brought, **values})
    )


def items() -> list[WorkItem]:
    return list(db.session.scalars(select(WorkItem).order_by(WorkItem.id)))


def whole(message: EmailMessage) -> str:
    return "\n".join(str(part.get_content()) for part in message.walk() if part.get_content_maintype() == "text")


# I05, I06, I09, I22, A16: mails

TEMPLATES = [
    "{{ 7*7 }} {{7*'7'}} ${7*7} #{7*7} <%= 7*7 %>",
    "{% for x in (1,2) %}{{ config }}{% endfor %} {{ request }} {{ self }}",
    "{{status}} {{number}} {{ message }} {{unsubscribe_url}}",
    "{{ unclosed %( name )s %s {0} {title}",
]


@pytest.mark.parametrize("typed", TEMPLATES)
def test_i05_i06_i09_what_looks_like_a_template_is_text_in_mails(
    alice: FlaskClient, olaf: FlaskClient, cast: Cast, typed: str
) -> None:
    """A title, what is typed in the form, a message of either side and the name of a status, in every mail of it."""
    assert booked(alice, title=typed, description=typed, site=typed).status_code == 303
    (item,) = items()
    item.assignee_id = cast.olaf.id
    save(*[_named(each, typed) for each in (Role.SCHEDULED,)], now=clock.utcnow())
    move_to(item, Role.SCHEDULED)
    for client, base in ((alice, ""), (olaf, "/admin")):
        assert sent(client, f"{base}/messages/job/J-{item.number}", body=typed, key=f"k{base}").status_code == 303
    found = letters()
    assert len(found) >= 4
    for _to, broadcast, message in found:
        text = plain_of(message)
        assert typed in text or typed in str(message["Subject"]), broadcast.kind
        assert not re.search(r"\b49\b|7777777|SECRET_KEY|<Request", whole(message))


def _named(which: Role, name: str) -> StatusRow:
    return replace(role(which), portal_name=name[:60])


def test_i22_no_field_of_work_becomes_a_header(alice: FlaskClient, olaf: FlaskClient, cast: Cast, desk: Any) -> None:
    """Refused, or one line: titles, places, names under signatures, and what customers call a status."""
    for place, text in enumerate(HEADERS):
        answer = booked(alice, title=text, site=text, description=text, key=f"k{place}")
        assert answer.status_code in {303, 422}
        made = desk.send("POST", "/quotes", {"company_id": cast.a.id, "contact_id": cast.alice.id, "title": text})
        assert made.status_code in {201, 422}
        with suppress(TableRefused):
            save(_named(Role.IN_PROGRESS, text), now=clock.utcnow())
        db.session.rollback()
    for item in items():
        for line in (item.title, item.site):
            assert not CONTROL.search(line)
        move_to(item, Role.ON_HOLD)
        if item.kind is WorkKind.JOB:
            move_to(item, Role.IN_PROGRESS)
    for status in db.session.scalars(select(WorkStatus.portal_name)):
        assert not CONTROL.search(status or "")
    found = letters()
    assert len(found) >= len(HEADERS)
    for to, _broadcast, message in found:
        assert not {"bcc", "cc"} & {name.lower() for name in message}
        assert len(message.get_all("To", [])) == len(message.get_all("Subject", [])) == 1
        assert to in str(message["To"])
        assert not CONTROL.search(str(message["Subject"]))


def test_i22_nor_does_the_name_under_an_answer(
    alice: FlaskClient, sign_in: SignIn, cast: Cast, work: Book, quote: WorkItem
) -> None:
    accept(alice, quote, name="Al\r\nBcc: victim@evil.test", signature="A\nBcc: victim@evil.test")
    other = work(Role.SENT, kind=WorkKind.QUOTE, title="Other")
    decline(alice, other, "No\r\nBcc: victim@evil.test")
    for answer in db.session.scalars(select(QuoteAnswer)):
        assert not CONTROL.search(answer.name)
    found = letters()
    assert found
    for _to, _broadcast, message in found:
        assert "Bcc" not in message
        assert not CONTROL.search(str(message["Subject"]))


def test_a16_links_in_mails_of_work_lead_to_the_stored_address(alice: FlaskClient, cast: Cast) -> None:
    forged = {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.test"}
    token = token_in(alice, "/jobs")
    answer = alice.post("/jobs/new", data={"csrf_token": token, "title": "T", "key": "k"}, headers=forged)
    assert answer.status_code == 303
    assert "evil" not in answer.headers["Location"]
    (item,) = items()
    move_to(item, Role.SCHEDULED)
    found = letters()
    links = {link for _to, _broadcast, message in found for link in re.findall(r"https?://[^/\s\"<]+", whole(message))}
    assert len(found) == 2
    assert links == {"http://a.portal.test", "http://admin.portal.test"}


# I15, I16, I17: text stays text

HTMX_TEXT = (
    '<div hx-get="/admin/people" hx-trigger="load" data-hx-post="/x" hx-on:click="x()" hx-vals="js:{}">'
    '<meta name="htmx-config" content="{}"><script>pwn()</script><svg/onload=pwn()><math>[x](javascript:alert(1))'
    '![](//evil.test/x.png) javascript:alert(1) data:text/html,x https://example.test/"onmouseover=pwn()'
)


def test_i15_i16_i17_what_is_typed_about_work_does_nothing_anywhere(
    alice: FlaskClient, olaf: FlaskClient, work: Book, quote: WorkItem
) -> None:
    for typed in (HTMX_TEXT, MARKUP):
        assert booked(alice, title=typed[:150], description=typed, site=typed[:150], key=typed[:9]).status_code == 303
        item = items()[-1]
        for client, base in ((alice, ""), (olaf, "/admin")):
            assert sent(client, f"{base}/messages/job/J-{item.number}", body=typed, key=typed[:9]).status_code == 303
        move_to(item, Role.ON_HOLD, typed[:150])
        pages = [alice.get(path) for path in ("/", "/jobs", "/your-jobs", path_of(item), f"/jobs?q={typed[:20]}")]
        staff = ("/admin/jobs", "/admin/jobs/board", f"/admin{path_of(item)}", f"/admin{path_of(item)}/edit")
        pages += [olaf.get(path) for path in staff]
        for page in pages:
            assert page.status_code == 200, page.request.path
            soup = BeautifulSoup(page.text, "html.parser")
            assert [each for tag in soup.find_all() for each in unsafe(tag)] == [], page.request.path
            assert soup.find_all(["svg:onload", "math", "pwn", "iframe", "object"]) == []
            assert soup.select("[hx-on\\:click], [data-hx-post], [pwn], meta[name=htmx-config][content='{}']") == []
            assert all(each.get("hx-get") != "/admin/people" for each in soup.select("[hx-get]"))
            assert not [each for each in soup.find_all("img") if "evil" in str(each.get("src"))]


def test_i15_a_signature_is_text_or_a_drawing_and_nothing_else(
    alice: FlaskClient, olaf: FlaskClient, quote: WorkItem
) -> None:
    nasty = [
        '"><script>pwn()</script>',
        '[["<svg onload=pwn()>"]]',
        "[" * 30_000 + "]" * 30_000,
        '{"d":"M0 0"}',
        "[[NaN,1],[1e999,2]]",
        "[[-1,5,99999999999999999999,3]]",
        "[[10,20,100,60]]".replace("10", "1" * 5000),
        "x" * 60_001,
    ]
    for drawn in nasty:
        begun = time.perf_counter()
        answer = accept(alice, quote, signature="", drawn=drawn)
        assert answer.status_code == 422, drawn[:40]
        assert "<script>pwn" not in answer.text
        assert time.perf_counter() - begun < SECONDS
    assert db.session.scalar(select(func.count()).select_from(QuoteAnswer)) == 0
    assert accept(alice, quote, name=MARKUP[:100], signature=MARKUP[:100]).status_code == 303
    for client, path in ((alice, path_of(quote)), (olaf, f"/admin{path_of(quote)}"), (olaf, "/admin/quotes")):
        soup = BeautifulSoup(client.get(path).text, "html.parser")
        assert soup.select("pwn, [pwn], [onerror]") == []


def test_i17_long_and_deep_texts_cost_little(alice: FlaskClient, work: Book) -> None:
    item = work()
    for place, text in enumerate(
        ("[" * 9_999, "> " * 5_000, "http://a" * 1_200, "https://" + "a" * 9_000, "*_`" * 3_000)
    ):
        begun = time.perf_counter()
        answer = booked(alice, description=text, key=f"k{place}")
        assert answer.status_code in {303, 422}
        if answer.status_code == 303:
            assert alice.get(answer.headers["Location"]).status_code == 200
        assert sent(alice, f"/messages/job/J-{item.number}", body=text, key=f"k{place}").status_code in {303, 422}
        assert alice.get(path_of(item)).status_code == 200
        assert time.perf_counter() - begun < SECONDS, text[:10]


# I20, I21: files of rows


def test_i20_no_cell_of_exported_work_is_a_formula(alice: FlaskClient, work: Book, quote: WorkItem, cast: Cast) -> None:
    for place, formula in enumerate(FORMULAS):
        assert (
            booked(alice, title=formula, site=formula, description=f"{formula}\n=1+1", key=str(place)).status_code
            == 303
        )
        item = items()[-1]
        assert sent(alice, f"/messages/job/J-{item.number}", body=formula, key=str(place)).status_code == 303
    assert accept(alice, quote, name=FORMULAS[0], signature=FORMULAS[0]).status_code == 303
    files = texts(ExportKind.COMPANY, cast.a.id)
    for name, rows in (("work", len(FORMULAS) + 1), ("messages", len(FORMULAS)), ("answers", 1)):
        table = list(csv.reader(io.StringIO(files[f"csv/{name}.csv"].removeprefix("\ufeff"), newline="")))
        assert len(table) == rows + 1, name
        for cell in (cell for row in table for cell in row):
            assert not re.match(r"[=+\-@\t\r]", cell), (name, cell)
    told = json.loads(files["json/work.json"])
    assert {each["title"] for each in told} >= set(FORMULAS), "for machines it is as it was typed"


def test_i21_rows_of_work_come_in_whole_or_say_why_not(cast: Cast) -> None:
    zone = {"time_zone": "Europe/London"}
    head = "number;company;title;site\r\n"
    text = (
        f'{head}W-1;Alder Dental;"One\r\nBcc: v@evil.test";Lab\r\nW-2;Alder Dental;=cmd|;@SUM\r\n'
        "W-1;Alder Dental;Twice;\r\nW-3;Nobody;Foreign;\r\n"
    )
    for encoding in ("utf-8-sig", "utf-16"):
        run = planned("jobs", text.encode(encoding), zone)
        told = sentences(run)
        assert len(told) == 2
        assert "row 2 already" in told[0]
        assert "Nobody" in told[1]
    assert items() == [], "a dry run changes nothing"
    applied("jobs", text.encode("utf-16"), zone)
    assert [(item.external_number, item.title, item.site) for item in items()] == [
        ("W-1", "One Bcc: v@evil.test", "Lab"),
        ("W-2", "=cmd|", "@SUM"),
    ]
    applied("jobs", f"{head}W-1;Birch Logistics;Stolen;\r\nW-2;Alder Dental;Named;\r\n".encode(), zone)
    assert [(item.company_id, item.title) for item in items()] == [
        (cast.a.id, "One Bcc: v@evil.test"),
        (cast.a.id, "Named"),
    ]


# I28, I29, A20, A23, A24: requests


def test_i28_a24_json_about_work_is_read_strictly_and_from_tokens_alone(
    alice: FlaskClient, olaf: FlaskClient, desk: Any, quote: WorkItem
) -> None:
    paths = {
        "POST": ("/jobs", "/quotes", "/jobs/move", path_of(quote, "/messages")),
        "PUT": (path_of(quote, "/lines"),),
    }
    asked = [(method, path) for method, of_it in paths.items() for path in of_it]
    db.session.commit()
    desk.get("/jobs")  # that it was used is noted now, and not again within a minute
    before = checksum()
    for method, path in asked:
        for name, (body, status) in BAD_JSON.items():
            begun = time.monotonic()
            headers = {"Authorization": f"Bearer {desk.token}", "If-Match": "*"}
            raw = {"data": body, "content_type": "application/json", "headers": headers}
            refusal(desk.client.open(f"/api/v1{path}", method=method, **raw), status)
            assert time.monotonic() - begun < SECONDS, name
        for kind in NO_JSON:
            raw = {"data": b"{}", "content_type": kind, "headers": headers}
            refusal(desk.client.open(f"/api/v1{path}", method=method, **raw), 415)
    assert checksum() == before
    for client in (alice, olaf):
        token = token_in(client, "/nothing-here")
        for method, path in asked:
            with_session = client.open(
                f"/api/v1{path}", method=method, data=b"{}", content_type="text/plain", headers={"X-CSRFToken": token}
            )
            assert with_session.status_code == 401


WRONG_LINES: list[Any] = [
    {"description": "x", "quantity_thousandths": "1"},
    {"description": "x", "quantity_thousandths": 1.5},
    {"description": "x", "quantity_thousandths": -1},
    {"description": "x", "quantity_thousandths": 10**18},
    {"description": "x", "unit_price_minor": 10**18},
    {"description": "x", "unit_price_minor": True},
    {"description": "x", "tax_hundredths": 100_000},
    {"description": "x\u0000"},
    {"description": ""},
    {"description": ["x"]},
    {},
    [],
    None,
]


def test_i28_amounts_are_whole_numbers_within_bounds(desk: Any, quote: WorkItem) -> None:
    before = desk.read(path_of(quote))["offer"]
    for line in WRONG_LINES:
        refusal(desk.send("PUT", path_of(quote, "/lines"), {"lines": [line]}, match="*"), 422)
    refusal(desk.send("PUT", path_of(quote, "/lines"), {"lines": [{"description": "x"}] * 5_000}, match="*"), 422)
    assert desk.read(path_of(quote))["offer"] == before


def test_i29_no_path_and_no_name_splits_a_header(alice: FlaskClient, olaf: FlaskClient, desk: Any, work: Book) -> None:
    for path in ("/jobs/J-1%0d%0aSet-Cookie:x=1", "/messages/job/J-1%0d%0aX:y", "/jobs?q=%0d%0aSet-Cookie:x=1"):
        for client, base in ((alice, ""), (olaf, "/admin")):
            answer = client.get(base + path)
            assert answer.status_code in {200, 404}
            assert "Set-Cookie: x" not in str(answer.headers)
    item = work()
    name = 'a"; filename="b.html\r\nSet-Cookie: x=1 Größe.txt'.replace("\r\n", "%0d%0a")
    assert booked_with(alice, (b"text", name), path=path_of(item, "/files")).status_code == 303
    for answer in (
        alice.get(f"/files/{last_file()}"),
        olaf.get(f"/admin/files/{last_file()}"),
        desk.get(path_of(item, f"/files/{last_file()}/content")),
    ):
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert re.fullmatch(
            r"attachment; filename=\"[ !#-\[\]-~]+\"(; filename\*=UTF-8''\S+)?", answer.headers["Content-Disposition"]
        )


def test_a20_a23_forms_of_work_are_taken_from_their_own_page_alone(
    alice: FlaskClient, sign_in: SignIn, cast: Cast, quote: WorkItem, work: Book
) -> None:
    job, shown = work(), shown_on(alice, quote)
    own, stolen = token_in(alice, "/jobs"), token_in(sign_in(cast.bob), "/jobs")
    given = {"title": "T", "key": "k", "body": "B", "name": "A", "signature": "A", "agrees": "y", "shown": shown}
    before = checksum()
    for path in (
        *("/jobs/new", "/quotes/new", path_of(job, "/files"), path_of(job, "/cancel")),
        *(path_of(quote, "/accept"), path_of(quote, "/decline"), f"/messages/job/J-{job.number}"),
    ):
        for token in ({}, {"csrf_token": ""}, {"csrf_token": stolen}, {"csrf_token": own + "x"}):
            assert alice.post(path, data={**given, **token}).status_code == 400, (path, token)
        assert alice.post(f"{path}?csrf_token={own}", data=given).status_code == 400, path
        crossed = alice.post(path, data={**given, "csrf_token": own}, headers={"Sec-Fetch-Site": "cross-site"})
        assert crossed.status_code == 400, path
    assert checksum() == before


# F01, F03, F05, F06, F07, F08: files that come with work

DANGEROUS = [
    *((b"<script>alert(1)</script>", name) for name in ("a.html", "a.svg", "a.xhtml", "a.jpg.html", "a.html%00.png")),
    *((b"<script>alert(1)</script>", name) for name in ("a.js", "a.exe", "a.php", "noending", "a.png", "a.pdf")),
    (b"\x89PNG\r\n\x1a\n<html>", "a.png"),
]


def test_f01_what_a_browser_might_run_is_refused_with_every_form_of_work(
    alice: FlaskClient, olaf: FlaskClient, app: Flask, work: Book
) -> None:
    item = work()
    for content, name in DANGEROUS:
        for client, path in (
            (alice, "/jobs/new"),
            (alice, "/quotes/new"),
            (alice, path_of(item, "/files")),
            (alice, f"/messages/job/J-{item.number}"),
            (olaf, f"/admin/messages/job/J-{item.number}"),
        ):
            answer = booked_with(client, (content, name), path=path, body="Kept text", description="Kept text")
            assert answer.status_code == 422, (path, name)
            assert b"<script>alert" not in answer.data
            assert "Kept text" in answer.text or path.endswith("/files")
    assert (lying(app), len(items()), db.session.scalar(select(func.count()).select_from(Message))) == ([], 1, 0)


def test_f01_f05_f07_what_is_kept_is_served_to_do_nothing(
    alice: FlaskClient, olaf: FlaskClient, desk: Any, app: Flask, work: Book
) -> None:
    item = work()
    for content, name in (
        (b"<script>alert(1)</script>", "a.txt"),
        (pdf(5000), "a.pdf"),
        (photo(1200, 800), "leak.jpg"),
    ):
        assert booked_with(alice, (content, name), path=path_of(item, "/files")).status_code == 303
        in_api = path_of(item, f"/files/{last_file()}/content")
        answers = [alice.get(f"/files/{last_file()}"), olaf.get(f"/admin/files/{last_file()}"), desk.get(in_api)]
        for answer in answers:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
            assert b"Exif" not in answer.data
            assert b"CANARY" not in answer.data
        shown = [answer.headers["Content-Disposition"].partition(";")[0] for answer in answers]
        assert shown == (["inline"] * 2 if name == "leak.jpg" else ["attachment"] * 2) + ["attachment"]
        whole_file = answers[2].data
        for asked, status, data in (
            ("bytes=0-99", 206, whole_file[:100]),
            ("bytes=" + ",".join(["0-"] * 1000), 200, whole_file),
            ("bytes=nonsense", 200, whole_file),
        ):
            part = desk.get(in_api, Range=asked)
            assert (part.status_code, part.data) == (status, data), asked[:20]
        refusal(desk.get(in_api, Range=f"bytes={len(whole_file)}-"), 416)
        head = desk.send("HEAD", in_api)
        assert (head.data, head.headers["Content-Length"]) == (b"", str(len(whole_file)))
        refusal(desk.get(f"{in_api}?file=../secret_key"), 422)
        refusal(desk.get(path_of(item, "/files/..%2f..%2fsecret_key/content")), 404)
    assert booked_with(alice, (huge_png(50_000, 50_000), "bomb.png")).status_code == 422


def test_f03_f06_a_form_of_work_brings_so_much_and_no_more(
    alice: FlaskClient, sign_in: SignIn, cast: Cast, app: Flask, settings: Settings
) -> None:
    most = settings.file_megabytes * 1_000_000
    assert booked_with(alice, (pdf(most + 1), "a.pdf")).status_code == 422
    large = booked_with(alice, (pdf(26_000_000), "a.pdf"))
    assert large.status_code == 413
    many = [(b"text", f"{number}.txt") for number in range(FILES_A_MESSAGE + 1)]
    refused = booked_with(alice, *many, description="Eleven of them")
    assert refused.status_code == 422
    assert "Eleven of them" in refused.text
    assert (lying(app), items()) == ([], [])
    assert booked_with(alice, *many[:-1]).status_code == 303
    db.session.execute(update(StoredFile).values(size=settings.company_files_megabytes * 1_000_000))
    events.commit()
    full = booked_with(alice, (pdf(6000), "more.pdf"), key="full", description="With a plan")
    assert full.status_code == 422
    assert "With a plan" in full.text
    charlie = sign_in(cast.charlie)
    assert booked_with(charlie, (pdf(6000), "theirs.pdf")).status_code == 303, "others are not affected"


def test_f08_with_the_message_or_the_company_a_file_of_work_goes(
    sign_in: SignIn, desk: Any, app: Flask, cast: Cast, work: Book
) -> None:
    item, alice, olaf = work(), sign_in(cast.alice), sign_in(cast.olaf)
    path, conversation = path_of(item), f"/messages/job/J-{item.number}"
    assert booked_with(alice, (pdf(), "a.pdf"), path=conversation, body="Here").status_code == 303
    said = last_file()
    assert booked_with(alice, (pdf(), "b.pdf"), path=path_of(item, "/files")).status_code == 303
    own = last_file()
    message = db.session.scalars(select(Message.public_id)).one()
    assert sent(olaf, f"/admin{conversation}/{message}/delete").status_code == 303
    for answer in (alice.get(f"/files/{said}"), desk.get(path_of(item, f"/files/{said}/content"))):
        assert answer.status_code == 404
    assert alice.get(f"/files/{own}").status_code == 200
    cleaning.clean_some(store.of_app(), clock.utcnow())
    assert len(lying(app)) == 1
    accounts.archive_company(cast.a, version=cast.a.version, by=SYSTEM, now=clock.utcnow())
    delete_company(cast.a, cast.a.name, version=cast.a.version, by=SYSTEM, now=clock.utcnow())
    events.commit()
    assert alice.get(f"/files/{own}").status_code in {302, 404}
    refusal(desk.get(f"{path}/files/{own}/content"), 404)
    cleaning.clean_some(store.of_app(), clock.utcnow())
    assert (lying(app), db.session.scalar(select(func.count()).select_from(StoredFile))) == ([], 0)
    assert list(cleaning.orphans(store.of_app(), clock.utcnow())) == []
