"""The mail catcher: it takes what mail servers take, keeps the last of it, and shows it without running any of it."""

import smtplib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from portal.cli.catcher.box import PAGE_LENGTH, Box, take_apart
from portal.cli.catcher.smtp import listen
from portal.cli.catcher.web import create_app
from tests.support.processes import free_port

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ALICE = "alice@people.test"


def mail(subject: str = "Outage of Würzburg", to: str = ALICE) -> bytes:
    message = EmailMessage()
    message["Subject"] = subject
    message["To"] = to
    message["Message-ID"] = "<1@portal.test>"
    message.set_content("The text part.\n")
    message.add_alternative("<p>The <b>HTML</b> part</p><script>alert(1)</script>", subtype="html")
    message.set_boundary("=between=")
    return message.as_bytes()


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "mail")


@pytest.fixture
def client(box: Box) -> FlaskClient:
    client = create_app(box, "127.0.0.1").test_client()
    client.environ_base["HTTP_HOST"] = "localhost:8002"
    return client


@pytest.fixture
def smtp_port(box: Box) -> Iterator[int]:
    port = free_port()
    controller = listen(box, "127.0.0.1", port)
    yield port
    controller.stop()


def test_it_takes_mail_by_smtp_and_lists_it(box: Box, client: FlaskClient, smtp_port: int) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_port) as connection:
        connection.ehlo()
        assert all(connection.has_extn(name) for name in ("pipelining", "8bitmime", "smtputf8", "size"))
        connection.sendmail("from@portal.test", [ALICE, "bob@people.test"], mail())
    page = client.get("/").get_data(as_text=True)
    assert "Outage of Würzburg" in page
    assert "alice@people.test, bob@people.test" in page
    found = box.open(1)
    assert found is not None
    assert found[1].replace(b"\r\n", b"\n").rstrip() == mail().rstrip()


def test_an_address_beyond_ascii_is_taken(box: Box, smtp_port: int) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_port) as connection:
        connection.ehlo()
        connection.sendmail("from@portal.test", ["jürgen@people.test"], mail(), mail_options=["SMTPUTF8"])
    listed = box.page("jürgen", 1)
    assert listed is not None
    assert listed.total == 1


def test_a_mail_shows_headers_text_and_its_html_in_a_frame_that_can_do_nothing(box: Box, client: FlaskClient) -> None:
    box.add("from@portal.test", [ALICE], mail(), NOW)
    page = client.get("/mails/1").get_data(as_text=True)
    assert "The text part." in page
    assert "&lt;1@portal.test&gt;" in page
    assert "<script>alert" not in page
    assert 'src="/mails/1/html" sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    frame = client.get("/mails/1/html")
    policy = frame.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "<p>The <b>HTML</b> part</p>" in frame.get_data(as_text=True)


def test_a_mail_can_be_downloaded_as_it_came(box: Box, client: FlaskClient) -> None:
    box.add("from@portal.test", [ALICE], mail(), NOW)
    answer = client.get("/mails/1/raw")
    assert answer.data == mail()
    assert answer.mimetype == "message/rfc822"
    assert answer.headers["Content-Disposition"] == "attachment; filename=mail-1.eml"


def test_the_list_is_newest_first_in_pages_and_searched_by_recipient(box: Box, client: FlaskClient) -> None:
    for number in range(PAGE_LENGTH + 5):
        to = "bob@people.test" if number == 7 else ALICE
        box.add("from@portal.test", [to], mail(f"Mail {number:02}", to), NOW)
    first = client.get("/").get_data(as_text=True)
    assert first.index("Mail 54") < first.index("Mail 53")
    assert "Mail 04" not in first
    assert "Mail 04" in client.get("/?page=2").get_data(as_text=True)
    assert client.get("/?page=3").status_code == 404
    assert client.get("/?page=0").status_code == 404
    assert client.get("/?page=x").status_code == 200
    found = client.get("/?q=BOB@people").get_data(as_text=True)
    assert "Mail 07" in found
    assert "Mail 08" not in found
    assert "No mail to or about “nobody”" in client.get("/?q=nobody").get_data(as_text=True)


def test_only_so_many_mails_and_bytes_are_kept(tmp_path: Path) -> None:
    box = Box(tmp_path, most=3, most_bytes=10_000)
    for number in range(5):
        box.add("a@portal.test", [ALICE], mail(f"Mail {number}"), NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{n:010}.mail" for n in (3, 4, 5)]
    assert box.open(2) is None
    box.add("a@portal.test", [ALICE], mail() + b"x" * 9_500, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["0000000006.mail"]


def test_what_was_caught_is_there_after_a_restart(tmp_path: Path) -> None:
    Box(tmp_path).add("a@portal.test", [ALICE], mail("Before"), NOW)
    (tmp_path / "0000000000.mail").write_text("not ours")
    again = Box(tmp_path)
    again.add("a@portal.test", [ALICE], mail("After"), NOW)
    listed = again.page("", 1)
    assert listed is not None
    assert [(caught.number, caught.subject) for caught in listed.items] == [(2, "After"), (1, "Before")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no headers at all",
        b"Subject: =?utf-8?q?=ff=fe?=\r\nContent-Type: text/html; charset=nonsense\r\n\r\n\xff\xfe",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"Subject: a\x00b\r\nDate: yesterday\r\nTo: <<>>\r\nReceived\r\n\r\n",
        b"Content-Transfer-Encoding: base64\r\nContent-Type: text/plain\r\n\r\n!!!!",
    ],
)
def test_broken_mail_breaks_nothing(box: Box, client: FlaskClient, content: bytes) -> None:
    box.add("", [], content, NOW)
    take_apart(content)
    for path in ("/", "/mails/1", "/mails/1/html", "/mails/1/raw"):
        assert client.get(path).status_code == 200


def test_markup_in_a_mail_stays_text_on_our_pages(box: Box, client: FlaskClient) -> None:
    box.add("<img src=x>", ["<b>@people.test"], b"Subject: <img src=x onerror=alert(1)>\r\n\r\n<script>", NOW)
    for path in ("/", "/mails/1", "/?q=<img"):
        assert "<img src=x" not in client.get(path).get_data(as_text=True)


def test_every_page_has_a_strict_policy(box: Box, client: FlaskClient) -> None:
    box.add("a@portal.test", [ALICE], mail(), NOW)
    for path in ("/", "/mails/1", "/files/portal.css", "/nothing"):
        policy = client.get(path).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy


def test_a_foreign_name_that_leads_here_is_refused(box: Box, client: FlaskClient) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "mail.localhost:8002"}).status_code == 200
    elsewhere = create_app(box, "192.0.2.1").test_client()
    assert elsewhere.get("/", headers={"Host": "demo.example"}).status_code == 200


@pytest.mark.parametrize("path", ["/mails/9", "/mails/9/html", "/mails/9/raw", "/mails/x", "/files/secret"])
def test_what_is_not_there_is_404(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404
