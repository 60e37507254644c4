"""A02, A06, A09, A15, A16, A18, T22: the way back in by mail, for its owner only, once, and told to nobody else."""

import json
import re
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts import actions as accounts
from portal.accounts.actions.links import token_of
from portal.accounts.models import AccountMail, MailedLink, Person, Session
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery, Suppression
from portal.notifications.rules import DeliveryState, SuppressionReason
from tests.conftest import NOW, PASSWORD, STAFF_HOST, Cast, SignIn, token_in
from tests.security.conftest import masked
from tests.security.mailbox import mails, one_mail
from tests.security.test_sessions import enter

A_HOST = "a.portal.test"
NEW = "a quiet blue bicycle"

Visitor = Callable[[str], FlaskClient]


def ask(client: FlaskClient, email: str, **options: Any) -> TestResponse:
    form = {"csrf_token": token_in(client, "/reset"), "email": email}
    return client.post("/reset", data=form, **options)


def choose(client: FlaskClient, path: str, password: str = NEW, **more: str) -> TestResponse:
    return client.post(path, data={"csrf_token": token_in(client, "/sign-in"), "password": password, **more})


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "utcnow", lambda: moment)


@pytest.mark.parametrize("who", ["alice", "root"])
def test_a_forgotten_password_is_replaced_by_mail(cast: Cast, visitor: Visitor, who: str) -> None:
    person: Person = getattr(cast, who)
    host = STAFF_HOST if who == "root" else A_HOST
    client = visitor(host)
    assert 'href="/reset"' in client.get("/sign-in").get_data(as_text=True)
    sent = ask(client, f"  {person.email.upper()} ")
    assert (sent.status_code, sent.location) == (303, "/reset?sent=1")
    assert "on its way" in client.get("/reset?sent=1").get_data(as_text=True)
    mail = one_mail()
    assert (mail.to, mail.link.rsplit("/", 1)[0]) == (person.email, f"http://{host}/reset")
    assert "30 minutes" in mail.text
    assert mail.broadcast.expires_at - mail.broadcast.created_at == timedelta(minutes=30)
    page = client.get(mail.path)
    assert page.status_code == 200
    assert person.email in page.get_data(as_text=True)
    done = choose(client, mail.path)
    assert (done.status_code, done.location) == (303, "/admin/" if who == "root" else "/")
    assert client.get(done.location).status_code == 200
    assert enter(visitor(host), person.email, NEW).status_code == 303
    assert enter(visitor(host), person.email, PASSWORD).status_code == 422
    told = one_mail()
    assert (told.to, told.subject) == (person.email, "Your password was changed")


def test_a02_nobody_learns_from_a_reset_who_is_known(cast: Cast, frozen: datetime, visitor: Visitor) -> None:
    cast.bob.deactivated_at = NOW
    accounts.add_person("New", "new@people.test", by=SYSTEM, now=NOW)
    accounts.add_person("Lost", "lost@people.test", by=SYSTEM, now=NOW)
    db.session.commit()
    answers = set()
    for email in ("nobody@people.test", cast.alice.email, cast.bob.email, "new@people.test", cast.root.email):
        client = visitor(A_HOST)
        answers.add(masked(ask(client, email)) + masked(client.get("/reset?sent=1")))
    assert len(answers) == 1
    assert {mail.to for mail in mails()} == {cast.alice.email, cast.root.email}


def test_a02_asking_takes_as_long_for_everybody(cast: Cast, visitor: Visitor) -> None:
    """The same statements run, and nothing of the mail is made before the answer is given."""

    def seconds(client: FlaskClient, email: str) -> float:
        token = token_in(client, "/reset")
        begun = time.perf_counter()
        address = {"REMOTE_ADDR": f"203.0.113.{abs(hash(email)) % 250}"}
        client.post("/reset", data={"csrf_token": token, "email": email}, environ_overrides=address)
        return time.perf_counter() - begun

    client = visitor(A_HOST)
    people = [cast.alice, cast.bob, cast.charlie, cast.root, cast.ada, cast.olaf]
    rounds = [
        (seconds(client, f"nobody{index}@x.test"), seconds(client, who.email)) for index, who in enumerate(people)
    ]
    unknown, known = (statistics.median(column) for column in zip(*rounds, strict=True))
    assert 0.4 < unknown / known < 2.5
    assert db.session.scalars(select(MailedLink)).all() == []
    assert db.session.scalars(select(Broadcast)).all() == []
    assert {mail.person_id for mail in db.session.scalars(select(AccountMail))} == {None}


@pytest.mark.parametrize("who", ["new", "nowhere"])
def test_who_never_had_a_password_gets_one_and_who_belongs_nowhere_gets_nothing(
    cast: Cast, visitor: Visitor, who: str
) -> None:
    person = accounts.add_person("Somebody", "somebody@people.test", by=SYSTEM, now=NOW)
    if who == "new":
        accounts.add_membership(person, cast.a, by=SYSTEM, now=NOW)
    db.session.commit()
    ask(visitor(A_HOST), person.email)
    assert len(mails()) == (1 if who == "new" else 0)


def test_a15_a_link_works_once(cast: Cast, visitor: Visitor) -> None:
    ask(visitor(A_HOST), cast.alice.email)
    path = one_mail().path
    assert choose(visitor(A_HOST), path).status_code == 303
    for client in (visitor(A_HOST), visitor(STAFF_HOST)):
        assert client.get(path).status_code == 404
        assert choose(client, path, "another good one here").status_code == 404
    assert enter(visitor(A_HOST), cast.alice.email, NEW).status_code == 303


@pytest.mark.parametrize(("minutes", "status"), [(29, 200), (31, 404)])
def test_a15_a_link_dies_after_half_an_hour(
    cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, minutes: int, status: int
) -> None:
    now = clock.utcnow()
    ask(visitor(A_HOST), cast.alice.email)
    path = one_mail(now).path
    set_clock(monkeypatch, now + timedelta(minutes=minutes))
    assert visitor(A_HOST).get(path).status_code == status
    assert choose(visitor(A_HOST), path).status_code == (303 if status == 200 else 404)


def test_a15_a_newer_link_replaces_the_older(cast: Cast, visitor: Visitor) -> None:
    ask(visitor(A_HOST), cast.alice.email)
    first = one_mail().path
    ask(visitor(A_HOST), cast.alice.email)
    second = one_mail().path
    assert first != second
    assert choose(visitor(A_HOST), first).status_code == 404
    assert choose(visitor(A_HOST), second).status_code == 303


def test_a15_a_replaced_link_is_not_even_sent(cast: Cast, visitor: Visitor) -> None:
    ask(visitor(A_HOST), cast.alice.email)
    ask(visitor(A_HOST), cast.alice.email)
    assert len(mails()) == 1
    assert {state for (state,) in db.session.execute(select(Delivery.state))} == {
        DeliveryState.SENT,
        DeliveryState.FAILED,
    }


def test_a15_a_change_of_password_ends_the_link(cast: Cast, visitor: Visitor, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    ask(visitor(A_HOST), cast.alice.email)
    path = one_mail().path
    form = {"csrf_token": token_in(client, "/account/password"), "current": PASSWORD, "password": NEW}
    assert client.post("/account/password", data=form).status_code == 303
    assert visitor(A_HOST).get(path).status_code == 404
    assert choose(visitor(A_HOST), path, "another good one here").status_code == 404


def test_a15_parts_and_mixtures_of_tokens_open_nothing(cast: Cast, visitor: Visitor) -> None:
    for person in (cast.alice, cast.bob):
        ask(visitor(A_HOST), person.email)
    alice, bob = (mail.path.rsplit("/", 1)[1] for mail in mails())
    wrong = [alice[:8], alice[:-1], alice + "A", alice[:-1] + ("A" if alice[-1] != "A" else "B"), alice[:20] + bob[20:]]
    wrong += ["0", "", "null", "../reset", alice.swapcase(), f"{alice}%00", f" {alice}", "x" * 5000]
    client = visitor(A_HOST)
    for token in wrong:
        assert client.get(f"/reset/{token}").status_code in {400, 404, 308, 414} - ({308} if token else set())
        assert choose(client, f"/reset/{token or 'x'}").status_code in {400, 404}
    for purpose in ("invitation", "email", "email/back", "view-as"):
        assert client.get(f"/{purpose}/{alice}").status_code in {404, 410}
    unchanged = {person.password_hash for person in db.session.scalars(select(Person).where(Person.role.is_(None)))}
    assert len(unchanged) == 1
    assert (
        choose(client, f"/reset/{alice}", **{"person_id": str(cast.bob.id), "email": cast.bob.email}).status_code == 303
    )
    assert enter(visitor(A_HOST), cast.bob.email, PASSWORD).status_code == 303
    assert enter(visitor(A_HOST), cast.alice.email, NEW).status_code == 303


HOSTS = [
    {"Host": "evil.test"},
    {"Host": "a.portal.test@evil.test"},
    {"Host": "a.portal.test:99@evil.test"},
    {"Host": "evil.test/a.portal.test"},
    {"Host": "a.portal.test.evil.test"},
    {"Host": ""},
    {"Host": "a.portal.test:99"},
    {"Host": "a.portal.test", "X-Forwarded-Host": "evil.test"},
    {"Host": "a.portal.test", "X-Forwarded-Server": "evil.test", "Forwarded": "host=evil.test"},
    {"Host": "a.portal.test", "X-Host": "evil.test", "X-Original-Host": "evil.test", "X-Forwarded-Port": "99"},
    {"Host": "b.portal.test"},
    {"Host": "admin.portal.test"},
]


@pytest.mark.parametrize("headers", HOSTS, ids=str)
def test_a16_the_link_leads_to_the_persons_own_portal_whatever_was_asked(
    app: Flask, cast: Cast, visitor: Visitor, headers: dict[str, str]
) -> None:
    client = visitor(A_HOST)
    form = {"csrf_token": token_in(client, "/reset"), "email": cast.alice.email}
    cookie = client.get_cookie("form", domain=A_HOST)
    assert cookie is not None
    with app.app_context():
        answer = app.test_client(use_cookies=False).post(
            "/reset",
            data=form,
            headers={**headers, "Cookie": f"form={cookie.value}"},
            environ_overrides={"HTTP_HOST": headers["Host"]},
        )
    assert answer.status_code in {303, 400}
    assert "evil" not in answer.headers.get("Location", "")
    found = mails()
    assert len(found) == (1 if answer.status_code == 303 else 0)
    for mail in found:
        assert mail.link.startswith("http://a.portal.test/reset/")
        assert "evil" not in mail.text
        assert ":99" not in mail.text


def test_a16_two_host_headers_and_an_absolute_request_line(app: Flask, cast: Cast, visitor: Visitor) -> None:
    client = visitor(A_HOST)
    for name in ("a.portal.test,evil.test", "a.portal.test, a.portal.test", "evil.test,a.portal.test"):
        answer = client.post("/reset", data={"email": cast.alice.email}, environ_overrides={"HTTP_HOST": name})
        assert answer.status_code == 400
    token = token_in(client, "/reset")
    form = {"csrf_token": token, "email": cast.alice.email}
    wanted = {"PATH_INFO": "http://evil.test/reset", "REQUEST_URI": "http://evil.test/reset"}
    assert client.post("/reset", data=form, environ_overrides=wanted).status_code in {400, 404}
    assert mails() == []


def test_a18_a_scanner_that_looks_takes_nothing_and_learns_nothing(cast: Cast, visitor: Visitor) -> None:
    ask(visitor(A_HOST), cast.alice.email)
    path = one_mail().path
    for _round in range(2):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert visitor(A_HOST).open(path, method=method).status_code == 200
    page = visitor(A_HOST).get(path)
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cache-Control"] == "no-store"
    html = page.get_data(as_text=True)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', html)
    assert choose(visitor(A_HOST), path).status_code == 303


def test_the_form_of_a_link_needs_its_token(cast: Cast, visitor: Visitor) -> None:
    ask(visitor(A_HOST), cast.alice.email)
    path = one_mail().path
    assert visitor(A_HOST).post(path, data={"password": NEW}).status_code == 400
    assert visitor(A_HOST).get(path).status_code == 200


def test_a06_the_administrator_gets_in_by_link_while_somebody_guesses(cast: Cast, visitor: Visitor) -> None:
    guesser = visitor(STAFF_HOST)
    while enter(guesser, cast.root.email, "a wrong password 12").status_code != 429:
        pass
    refused = enter(visitor(STAFF_HOST), cast.root.email)
    assert refused.status_code == 429
    (told,) = mails()
    assert (told.to, told.subject) == (cast.root.email, "Somebody keeps typing wrong passwords for your account")
    assert f"http://{STAFF_HOST}/reset" in told.text
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "session.throttle")).one()
    assert (entry.object_kind, entry.object_id) == ("person", cast.root.id)
    owner = visitor(STAFF_HOST)
    ask(owner, cast.root.email)
    done = choose(owner, one_mail().path)
    assert done.status_code == 303
    assert owner.get("/admin/").status_code == 200
    assert enter(visitor(STAFF_HOST), cast.root.email, NEW).status_code == 429


def test_a09_a_reset_ends_every_session_there_was(cast: Cast, visitor: Visitor, sign_in: SignIn) -> None:
    first, second = sign_in(cast.alice), sign_in(cast.alice)
    ask(visitor(A_HOST), cast.alice.email)
    me = visitor(A_HOST)
    assert choose(me, one_mail().path).status_code == 303
    for client in (first, second):
        assert client.get("/").status_code == 302
        assert client.get("/", headers={"HX-Request": "true"}).status_code == 401
    assert me.get("/").status_code == 200
    live = db.session.scalars(
        select(Session).where(Session.person_id == cast.alice.id, Session.revoked_at.is_(None))
    ).all()
    assert len(live) == 1


def test_t22_deactivation_ends_the_links_and_none_is_mailed_again(cast: Cast, visitor: Visitor) -> None:
    ask(visitor(A_HOST), cast.alice.email)
    path = one_mail().path
    accounts.deactivate_person(cast.alice, version=cast.alice.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert visitor(A_HOST).get(path).status_code == 404
    assert choose(visitor(A_HOST), path).status_code == 404
    ask(visitor(A_HOST), cast.alice.email)
    assert mails() == []
    accounts.reactivate_person(cast.alice, version=cast.alice.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert visitor(A_HOST).get(path).status_code == 404


def test_the_token_stands_in_no_row_and_on_no_screen(cast: Cast, visitor: Visitor, sign_in: SignIn) -> None:
    ask(visitor(A_HOST), cast.alice.email)
    mail = one_mail()
    token = mail.path.rsplit("/", 1)[1]
    link = db.session.scalars(select(MailedLink)).one()
    assert token_of(link) == token
    delivery = db.session.scalars(select(Delivery)).one()
    kept = [delivery.values, mail.broadcast.content, mail.broadcast.selector, link.details, link.nonce, link.token_hash]
    assert token not in json.dumps(kept)
    root = sign_in(cast.root)
    for path in (f"/admin/broadcasts/{mail.broadcast.id}", "/admin/broadcasts"):
        assert token not in root.get(path).get_data(as_text=True)
    assert mail.broadcast.title not in root.get("/admin/broadcasts").get_data(as_text=True)


def test_leaving_every_list_stops_no_way_back_and_it_says_nothing_of_lists(cast: Cast, visitor: Visitor) -> None:
    for reason in (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT, SuppressionReason.BY_HAND):
        db.session.add(Suppression(address_key=cast.alice.email_key, scope="all", reason=reason, created_at=NOW))
    db.session.commit()
    ask(visitor(A_HOST), cast.alice.email)
    mail = one_mail()
    assert not {"List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Precedence"} & set(mail.message.keys())
    assert "/u/" not in mail.message.as_string()
    assert mail.message["Auto-Submitted"] == "auto-generated"


def test_a_dead_address_is_tried_once_a_day(cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.utcnow()
    reason = SuppressionReason.HARD_BOUNCE
    db.session.add(Suppression(address_key=cast.alice.email_key, scope="all", reason=reason, created_at=NOW))
    db.session.commit()
    ask(visitor(A_HOST), cast.alice.email)
    assert len(mails(now)) == 1
    ask(visitor(A_HOST), cast.alice.email)
    assert mails(now + timedelta(hours=1)) == []
    states = {state for (state,) in db.session.execute(select(Delivery.state))}
    assert states == {DeliveryState.SENT, DeliveryState.SUPPRESSED}
    later = now + timedelta(hours=25)
    set_clock(monkeypatch, later)
    ask(visitor(A_HOST), cast.alice.email)
    assert len(mails(later)) == 1


def test_the_letter_is_in_the_readers_language_from_their_portal(cast: Cast, visitor: Visitor) -> None:
    cast.charlie.language = "de"
    db.session.commit()
    ask(visitor(A_HOST), cast.charlie.email)
    mail = one_mail()
    assert mail.subject == "Neues Passwort für Southline wählen"
    assert "30 Minuten" in mail.text
    assert mail.link.startswith("http://b.portal.test/reset/")
    assert mail.message["From"].startswith("Southline <")


def test_staff_of_a_company_too_go_back_where_they_asked(cast: Cast, visitor: Visitor) -> None:
    accounts.add_membership(cast.ada, cast.a, by=SYSTEM, now=NOW)
    db.session.commit()
    for host in (STAFF_HOST, A_HOST):
        ask(visitor(host), cast.ada.email)
        assert one_mail().link.startswith(f"http://{host}/reset/")


def test_staff_send_a_way_back_and_never_see_it(cast: Cast) -> None:
    """A32: the office can have a link mailed, and neither chooses nor reads a password."""
    by = SYSTEM
    accounts.send_reset(cast.alice, by=by, now=clock.utcnow())
    db.session.commit()
    mail = one_mail()
    assert (mail.to, mail.link.rsplit("/", 1)[0]) == (cast.alice.email, "http://a.portal.test/reset")
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.action == "person.reset")).one()
