"""Notices by hand against whoever would make templates, mails, frames and tests do more than they should."""

import re
import time
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock
from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.catalogue.notices import actions
from portal.catalogue.notices.models import Notice
from portal.catalogue.notices.rules import TESTS_PER_HOUR, Chosen
from portal.extensions import db
from portal.notifications.compose import ComposeError, Letter, Wording, envelope_address
from portal.notifications.kinds import BUILT_IN, kind_named
from portal.notifications.leases import claim
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.relays import prepare_relays
from portal.notifications.rules import BroadcastState, DeliveryState
from tests.conftest import Cast, SignIn, token_in

NOTICES = "/admin/broadcasts/notices"

LITERAL = ["${7*7}", "#{7*7}", "<%= 7*7 %>", "$(7*7)", "%{7*7}"]
REFUSED = [
    "{{ 7*7 }}",
    "{{7*'7'}}",
    "{% for x in (1,) %}{{ 7*7 }}{% endfor %}",
    "{{ config }}",
    '{{ env "DATABASE_URL" }}',
    "{{ customer.__class__ }}",
    "{{ customer.password_hash }}",
    "{{ request }}",
    "{{ self }}",
    "{{ name | attr('x') }}",
    "{{ name.__class__ }}",
    "{# comment #}",
    "{{ name",
    "{{ na\r\nme }}",
    "{{name}}" * 2_000,
    "{{" * 9_000,
]
MARKUP = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[x](javascript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "![](//evil.test/x.png)",
    '<div hx-get="/admin/users/1/delete" hx-trigger="load">',
    "<svg/onload=alert(1)>",
]


@pytest.fixture
def staff(sign_in: SignIn, cast: Cast) -> FlaskClient:
    return sign_in(cast.ada)


def post(client: FlaskClient, path: str, **values: Any) -> Any:
    return client.post(path, data={"csrf_token": token_in(client, "/admin/"), **values})


def written(body: str = "Text", subject: str = "Subject", chosen: Chosen | None = None) -> Notice:
    words = {"en": {"subject": subject, "body": body}}
    made = actions.write(words, chosen or Chosen(everyone=True), by=SYSTEM, author_id=None, now=clock.utcnow())
    db.session.commit()
    return made


class Mail(NamedTuple):
    """A notice as a mail program reads it."""

    address: str
    subject: str
    text: str
    message: EmailMessage


_IN_ORDER = select(Delivery, Broadcast).join(Delivery.broadcast).order_by(Delivery.id)


def mails() -> list[Mail]:
    """What waits to be sent of all notices, composed as the sending process does it and parsed as readers do."""
    found = []
    for delivery, broadcast in db.session.execute(_IN_ORDER).all():
        wording = Wording(
            broadcast.content[delivery.wording],
            BUILT_IN | kind_named(broadcast.kind).variables,
            mail_from="status@portal.test",
            list_name="Notices",
            list_id="notices.portal.test",
            feedback_id="x",
        )
        letter = Letter(
            delivery.message_id,
            "<root@portal.test>",
            envelope_address(delivery.address),
            delivery.name,
            clock.utcnow(),
            delivery.values,
        )
        message = BytesParser(policy=policy.default).parsebytes(wording.fill(letter))
        assert isinstance(message, EmailMessage)
        assert not message.defects
        plain = message.get_body(("plain",))
        assert plain is not None
        found.append(
            Mail(delivery.address, str(message["Subject"]), plain.get_content().replace("\r\n", "\n"), message)
        )
    assert found
    return found


@pytest.mark.parametrize("field", ["subject", "body", "subject_de", "body_de"])
def test_i05_i06_i09_no_template_is_saved_or_run(staff: FlaskClient, cast: Cast, field: str) -> None:
    for text in REFUSED if field == "body" else REFUSED[::4]:
        values = {"to": "everyone", "subject": "a", "body": "b", "subject_de": "c", "body_de": "d", field: text}
        began = time.process_time()
        answer = post(staff, f"{NOTICES}/new", **values)
        seen = post(staff, f"{NOTICES}/preview", **values)
        assert time.process_time() - began < 2
        assert (answer.status_code, seen.status_code) == (422, 200)
        for page in (answer, seen):
            shown = re.sub(r"<(textarea|input)[^>]*>[^<]*", "", page.get_data(as_text=True))
            assert not [word for word in ("SECRET", ">49<", "&lt;class", "&lt;Config") if word in shown]
    assert db.session.scalars(select(Notice)).all() == []


def test_i05_what_other_languages_would_run_arrives_as_it_was_typed(app: Flask, staff: FlaskClient, cast: Cast) -> None:
    notice = written("\n\n".join(LITERAL), " ".join(LITERAL))
    assert post(staff, f"{NOTICES}/{notice.id}/send", version=notice.version).status_code == 303
    for mail in mails():
        for text in LITERAL:
            assert text in mail.subject
            assert text in mail.text
        assert "49" not in mail.subject + mail.text


def test_i09_a_megabyte_is_refused_at_once(staff: FlaskClient, cast: Cast) -> None:
    for size, expected in ((30_000, {422}), (400_000, {413, 422}), (1_000_000, {413})):
        for text in ("x" * size, ("{{name}}" * (size // 8))):
            began = time.process_time()
            answer = post(staff, f"{NOTICES}/new", to="everyone", subject="a", body=text)
            assert answer.status_code in expected
            assert time.process_time() - began < 2
    assert db.session.scalars(select(Notice)).all() == []


def test_i10_i15_i16_i17_markup_does_nothing_in_preview_frame_or_mail(
    app: Flask, staff: FlaskClient, cast: Cast
) -> None:
    for text in MARKUP:
        cast.alice.name = text
        db.session.commit()
        notice = written(f"Dear {{{{name}}}}\n\n{text}", "Hello {{name}}", Chosen.of(companies=[cast.a.id]))
        path = f"{NOTICES}/{notice.id}"
        values = {"to": "some", "companies": cast.a.id, "subject": "x", "body": text, "reader": "alice@"}
        frame, seen = staff.get(f"{path}/mail?reader_id={cast.alice.id}"), post(staff, f"{NOTICES}/preview", **values)
        assert post(staff, f"{path}/send", version=notice.version).status_code == 303
        part = mails()[-2].message.get_body(("html",))
        assert part is not None
        for page in (frame.get_data(as_text=True), seen.get_data(as_text=True), part.get_content()):
            assert not re.search(r"<(script|img|svg/|iframe)[\s>/]", page)
            assert not re.search(r'(href|src)="(javascript|data|//evil)', page)
            assert not re.search(r"<[a-z]+[^>]*\s(on[a-z]+|hx-get|hx-trigger)=", page)


def test_i10_the_frame_of_a_mail_can_run_load_and_send_nothing(staff: FlaskClient, cast: Cast) -> None:
    notice = written()
    page = staff.get(f"{NOTICES}/{notice.id}")
    html = page.get_data(as_text=True)
    assert re.search(r"<iframe[^>]* sandbox[ >]", html)
    assert "allow-" not in html
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    frame = staff.get(f"{NOTICES}/{notice.id}/mail")
    rules = {part.strip() for part in frame.headers["Content-Security-Policy"].split(";")}
    assert {"sandbox", "default-src 'none'", "form-action 'none'", "frame-ancestors 'self'", "base-uri 'none'"} <= rules
    assert "script-src" not in frame.headers["Content-Security-Policy"]
    assert frame.headers["X-Content-Type-Options"] == "nosniff"
    # No other page may hold frames.
    assert "frame-src" not in staff.get(NOTICES).headers["Content-Security-Policy"]


def test_t01_the_frame_shows_nobody_who_would_not_get_it(staff: FlaskClient, cast: Cast) -> None:
    notice = written("Dear {{name}}", chosen=Chosen.of(companies=[cast.a.id]))
    path = f"{NOTICES}/{notice.id}/mail?reader_id="
    assert staff.get(path + str(cast.alice.id)).status_code == 200
    for other in (cast.charlie.id, cast.ada.id, 999_999_999):
        assert staff.get(path + str(other)).status_code == 404


def test_no_link_of_a_reader_is_shown_to_staff(staff: FlaskClient, cast: Cast) -> None:
    notice = written("Leave: {{unsubscribe_url}}")
    for page in (
        staff.get(f"{NOTICES}/{notice.id}"),
        staff.get(f"{NOTICES}/{notice.id}/mail?reader_id={cast.alice.id}"),
        post(staff, f"{NOTICES}/preview", to="everyone", subject="x", body="{{unsubscribe_url}}"),
    ):
        assert not re.search(r"/u/[A-Za-z0-9_-]{8}", page.get_data(as_text=True))


def test_h15_test_mails_are_few_and_go_nowhere_else(staff: FlaskClient, cast: Cast) -> None:
    notice = written()
    statuses = [
        post(
            staff,
            f"{NOTICES}/{notice.id}/test",
            version=notice.version,
            to=["a@x.test", "b@x.test"],
            address=",".join(f"p{number}@x.test" for number in range(10_000)),
        ).status_code
        for _ in range(TESTS_PER_HOUR + 3)
    ]
    assert statuses == [303] * TESTS_PER_HOUR + [422] * 3
    assert set(db.session.scalars(select(Delivery.address))) == {cast.ada.email}
    assert db.session.scalar(select(func.count(Delivery.id))) == TESTS_PER_HOUR


def test_i09_a_readers_name_is_never_a_template_or_a_header(app: Flask, cast: Cast) -> None:
    for name in ("{{company}}", "{{ unsubscribe_url }}", "𝕏" * 60, "x" * 200, '"; Bcc: a@b.test'):
        cast.alice.name = name
        notice = written("Dear {{name}},", "For {{name}}", Chosen.of(companies=[cast.a.id]))
        actions.send(notice, version=notice.version, by=SYSTEM, now=clock.utcnow())
        db.session.commit()
        mail = mails()[-2]
        assert mail.address == cast.alice.email
        assert (mail.subject, mail.text.splitlines()[2]) == (f"For {name}", f"Dear {name},")
        assert mail.message["Bcc"] is None
        assert len(mail.message.get_all("Subject", [])) == 1


def test_i09_a_name_that_no_header_takes_fails_alone(app: Flask, cast: Cast) -> None:
    cast.alice.name = "=?utf-8?q?x=0ABcc:_a@b.test?="
    notice = written("Dear {{name}},", "For {{name}}", Chosen.of(companies=[cast.a.id]))
    actions.send(notice, version=notice.version, by=SYSTEM, now=clock.utcnow())
    with pytest.raises(ComposeError, match="encoded word"):
        mails()


def test_nobody_but_status_staff_writes_or_sends(sign_in: SignIn, cast: Cast) -> None:
    notice = written()
    office, customer = sign_in(cast.olaf), sign_in(cast.alice)
    for path in ("", "/new", f"/{notice.id}", f"/{notice.id}/mail", "/companies?company_q=a"):
        assert office.get(NOTICES + path).status_code == 403
        assert customer.get(NOTICES + path).status_code == 404
    for path in ("/new", "/preview", f"/{notice.id}/send", f"/{notice.id}/test", f"/{notice.id}/delete"):
        assert post(office, NOTICES + path, version=1).status_code == 403
    assert db.session.scalar(select(func.count(Broadcast.id))) == 0


def test_r48_twenty_times_paused_and_resumed_then_cancelled_nothing_is_lost_or_doubled(
    staff: FlaskClient, cast: Cast
) -> None:
    notice = written()
    sent = post(staff, f"{NOTICES}/{notice.id}/send", version=notice.version).headers["Location"]
    broadcast_id = int(sent.rpartition("/")[2])
    total = db.session.scalar(select(func.count(Delivery.id)))
    for number in range(20):
        assert post(staff, f"{sent}/pause").status_code == 303
        assert post(staff, f"{sent}/resume").status_code == 303
        if number == 10:
            first = db.session.scalars(select(Delivery).order_by(Delivery.id)).first()
            assert first is not None
            first.state, first.finished_at = DeliveryState.SENT, clock.utcnow()
            db.session.commit()
        # Sent once more, it is the same broadcast.
        assert post(staff, f"{NOTICES}/{notice.id}/send", version=1).headers["Location"] == sent
    assert post(staff, f"{sent}/cancel").status_code == 303
    states = dict(db.session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).all())
    assert states == {DeliveryState.SENT: 1, DeliveryState.CANCELLED: (total or 0) - 1}
    addresses = db.session.scalars(select(Delivery.address)).all()
    assert len(set(addresses)) == len(addresses) == total
    assert db.session.get_one(Broadcast, broadcast_id).state is BroadcastState.CANCELLED
    page = staff.get(sent).get_data(as_text=True)
    assert re.search(rf'progress-number">{(total or 0) - 1}</span> left out', page)


def test_r46_a_company_that_is_archived_meanwhile_is_told_nothing_more(
    app: Flask, staff: FlaskClient, cast: Cast
) -> None:
    notice, now = written(), clock.utcnow()
    actions.send(notice, version=notice.version, by=SYSTEM, now=now)
    accounts.archive_company(cast.b, version=cast.b.version, by=SYSTEM, now=now)
    prepare_relays(app.config["SETTINGS"])
    taken = claim("a sender", app.config["SETTINGS"], now=now)
    db.session.commit()
    assert taken is not None
    assert {each.address for each in taken.deliveries} == {cast.alice.email, cast.bob.email}
    page = staff.get(f"/admin/broadcasts/{notice.broadcast_id}?show=left_out").get_data(as_text=True)
    assert cast.charlie.email in page
