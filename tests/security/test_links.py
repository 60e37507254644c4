"""T25, A30, I22, R-rows of mail: invitations, changes of address, and what reaches a mailbox of all that is typed."""

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.links import issue, token_of
from portal.accounts.models import MailedLink, Person
from portal.accounts.queries import person_by_email
from portal.accounts.rules import Role
from portal.accounts.rules.links import Letter, Purpose
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.account_mails import PATHS, WORDS, write_account_mails
from portal.notifications.kinds import ACCOUNT_TOPIC, kind_named, topics
from portal.notifications.models import Broadcast, Delivery
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, token_in
from tests.notifications.outbox import Outbox, opened
from tests.security.mailbox import mails, one_mail
from tests.security.test_resets import NEW, choose
from tests.security.test_sessions import enter
from tests.support.smtp_sink import SmtpSink

A_HOST = "a.portal.test"
Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def dora(cast: Cast) -> Person:
    """Somebody of company A who was never here."""
    added = accounts.add_person("Dora", "dora@people.test", by=SYSTEM, now=NOW)
    accounts.add_membership(added, cast.a, by=SYSTEM, now=NOW)
    db.session.commit()
    return added


def invited(person: Person) -> str:
    """Invite somebody; returns the path of the link they get."""
    accounts.invite(person, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    return one_mail().path


def test_t25_an_invitation_lets_its_reader_in_once(cast: Cast, dora: Person, visitor: Visitor) -> None:
    accounts.invite(dora, by=Actor(cast.root.email, cast.root.id), now=clock.utcnow())
    db.session.commit()
    mail = one_mail()
    assert (mail.to, mail.link.rsplit("/", 1)[0]) == ("dora@people.test", "http://a.portal.test/invitation")
    assert mail.subject == "Your access to Northline"
    client = visitor(A_HOST)
    assert "dora@people.test" in client.get(mail.path).get_data(as_text=True)
    assert choose(client, mail.path, "short").status_code == 422
    assert choose(client, mail.path, "dora dora 12").status_code == 422
    done = choose(client, mail.path)
    assert (done.status_code, done.location) == (303, "/")
    assert client.get("/").status_code == 200
    assert mails() == []
    for path in (mail.path, mail.path.replace("invitation", "reset")):
        assert visitor(A_HOST).get(path).status_code == 404
        assert choose(visitor(A_HOST), path, "another good one here").status_code == 404
    assert enter(visitor(A_HOST), "dora@people.test", NEW).status_code == 303


def test_t25_the_address_is_fixed_by_the_token(cast: Cast, dora: Person, visitor: Visitor, sign_in: SignIn) -> None:
    path = invited(dora)
    eve = sign_in(cast.charlie)
    form = {"csrf_token": token_in(eve, "/"), "password": NEW, "email": "eve@evil.test", "username": "eve@evil.test"}
    form |= {"person_id": str(cast.charlie.id), "company_id": str(cast.b.id), "role": "admin", "address": "x@evil.test"}
    answer = eve.post(path, data=form)
    assert answer.status_code == 303
    db.session.expire_all()
    found = db.session.get(Person, dora.id)
    assert found is not None
    assert (found.email, found.role) == ("dora@people.test", None)
    assert person_by_email("eve@evil.test") is None
    assert not accounts.password_matches(db.session.get(Person, cast.charlie.id), NEW)
    assert enter(visitor("b.portal.test"), "dora@people.test", NEW).status_code == 422


@pytest.mark.parametrize(("days", "status"), [(6.9, 200), (7.1, 404)])
def test_t25_an_invitation_waits_seven_days(
    dora: Person, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, days: float, status: int
) -> None:
    path = invited(dora)
    later = clock.utcnow() + timedelta(days=days)
    monkeypatch.setattr(clock, "utcnow", lambda: later)
    assert visitor(A_HOST).get(path).status_code == status


def test_t25_a_second_invitation_replaces_the_first(dora: Person, visitor: Visitor) -> None:
    first, second = invited(dora), invited(dora)
    assert visitor(A_HOST).get(first).status_code == 404
    assert visitor(A_HOST).get(second).status_code == 200


def test_whoever_has_a_password_or_is_shut_out_is_not_invited(cast: Cast, dora: Person) -> None:
    with pytest.raises(RuleViolation):
        accounts.invite(cast.alice, by=SYSTEM, now=NOW)
    dora.deactivated_at = NOW
    with pytest.raises(RuleViolation):
        accounts.invite(dora, by=SYSTEM, now=NOW)
    with pytest.raises(RuleViolation):
        accounts.send_reset(dora, by=SYSTEM, now=NOW)


def test_staff_are_invited_to_their_own_host(cast: Cast, visitor: Visitor) -> None:
    nora = accounts.add_person("Nora", "nora@people.test", by=SYSTEM, now=NOW, role=Role.OFFICE)
    path = invited(nora)
    client = visitor(STAFF_HOST)
    assert choose(client, path).location == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_a_link_opened_on_a_host_that_does_not_let_its_owner_in_sets_the_password_all_the_same(
    dora: Person, visitor: Visitor
) -> None:
    path = invited(dora)
    client = visitor("b.portal.test")
    done = choose(client, path)
    assert (done.status_code, done.location) == (303, "/sign-in")
    assert "Your password is set" in client.get("/sign-in").get_data(as_text=True)
    assert enter(visitor(A_HOST), "dora@people.test", NEW).status_code == 303


# A30


def want(client: FlaskClient, address: str, at: str = "/account") -> TestResponse:
    return client.post(f"{at}/email", data={"csrf_token": token_in(client, at), "email": address})


def open_it(client: FlaskClient, path: str) -> TestResponse:
    return client.post(path, data={"csrf_token": token_in(client, "/reset")})


def test_a30_a_new_address_holds_when_it_was_confirmed_and_the_old_one_is_told(
    cast: Cast, sign_in: SignIn, visitor: Visitor
) -> None:
    client = sign_in(cast.alice)
    answer = want(client, "Alice.New@people.test")
    assert (answer.status_code, answer.location) == (303, "/account")
    page = client.get("/account").get_data(as_text=True)
    assert "Alice.New@people.test as soon as the link we sent there is opened." in page
    mail = one_mail()
    assert mail.to == "Alice.New@people.test"
    assert mail.link.startswith("http://a.portal.test/email/")
    elsewhere = visitor(A_HOST)
    for method in ("GET", "HEAD", "GET"):
        assert elsewhere.open(mail.path, method=method).status_code == 200
    assert enter(visitor(A_HOST), "alice@people.test").status_code == 303
    assert open_it(elsewhere, mail.path).status_code == 303
    assert elsewhere.get(mail.path).status_code == 404
    assert enter(visitor(A_HOST), "alice@people.test").status_code == 422
    assert enter(visitor(A_HOST), "alice.new@people.test").status_code == 303
    told = one_mail()
    assert told.to == "alice@people.test"
    assert "Alice.New@people.test" in told.text
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "person.email")).one()
    assert (entry.before, entry.after) == ({"email": "alice@people.test"}, {"email": "Alice.New@people.test"})


def test_a30_the_old_address_takes_it_back_and_everybody_is_out(cast: Cast, sign_in: SignIn, visitor: Visitor) -> None:
    thief = sign_in(cast.alice)
    want(thief, "thief@evil.test")
    open_it(visitor(A_HOST), one_mail().path)
    form = {"csrf_token": token_in(thief, "/account/password"), "current": "correct horse battery", "password": NEW}
    assert thief.post("/account/password", data=form).status_code == 303
    way_back = next(mail for mail in mails() if mail.to == "alice@people.test")
    owner = visitor(A_HOST)
    assert owner.get(way_back.path).status_code == 200
    answer = open_it(owner, way_back.path)
    assert answer.status_code == 303
    assert answer.location.startswith("/reset/")
    assert thief.get("/").status_code == 302
    assert enter(visitor(A_HOST), "thief@evil.test", NEW).status_code == 422
    assert enter(visitor(A_HOST), "alice@people.test", NEW).status_code == 422
    assert choose(owner, answer.location, "another good one here").location == "/"
    assert enter(visitor(A_HOST), "alice@people.test", "another good one here").status_code == 303
    assert open_it(visitor(A_HOST), way_back.path).status_code == 404


@pytest.mark.parametrize("address", ["charlie@people.test", "CHARLIE@People.test", " charlie@people.test "])
def test_a30_an_address_of_somebody_else_is_not_taken_and_not_betrayed(
    cast: Cast, sign_in: SignIn, address: str
) -> None:
    client = sign_in(cast.alice)
    free, taken = want(client, "nobody@people.test"), want(client, address)
    assert (free.status_code, free.location) == (taken.status_code, taken.location) == (303, "/account")
    page = client.get("/account").get_data(as_text=True)
    assert "already" not in page
    found = [mail for mail in mails() if mail.to.strip().casefold() != "nobody@people.test"]
    (told,) = found
    assert told.subject == "This address is in use already"
    assert told.link == ""
    assert "Alice" not in told.text
    assert "alice" not in told.text
    db.session.expire_all()
    assert db.session.get(Person, cast.alice.id).email == "alice@people.test"  # type: ignore[union-attr]


@pytest.mark.parametrize("address", ["\u0441harlie@people.test", "\uff43harlie@people.test"])
def test_a30_letters_that_only_look_alike_are_refused(cast: Cast, sign_in: SignIn, address: str) -> None:
    """Cyrillic, and full width, which is the same letter once compared: no server takes either before the @."""
    assert want(sign_in(cast.alice), address).status_code == 422
    assert mails() == []


def test_a30_a_look_alike_of_a_domain_is_another_address(cast: Cast, sign_in: SignIn) -> None:
    assert want(sign_in(cast.alice), "charlie@p\u0435ople.test").status_code == 303
    assert one_mail().broadcast.kind == f"{ACCOUNT_TOPIC}-{Letter.EMAIL_CHANGE}"


def test_a30_of_two_who_want_one_address_one_gets_it(cast: Cast, sign_in: SignIn, visitor: Visitor) -> None:
    for person in (cast.alice, cast.bob):
        want(sign_in(person), "same@people.test")
    first, second = (mail.path for mail in mails())
    assert open_it(visitor(A_HOST), first).status_code == 303
    lost = open_it(visitor(A_HOST), second)
    assert lost.status_code == 422
    assert "Somebody else has this address by now" in lost.get_data(as_text=True)
    owner = person_by_email("same@people.test")
    assert owner is not None
    assert owner.id == cast.alice.id
    assert person_by_email("bob@people.test") is not None


def test_a30_the_link_acts_for_its_own_person_whoever_is_signed_in(cast: Cast, sign_in: SignIn) -> None:
    want(sign_in(cast.alice), "new@people.test")
    path = one_mail().path
    assert open_it(sign_in(cast.bob), path).status_code == 303
    emails = {person.name: person.email for person in db.session.scalars(select(Person))}
    assert (emails["Alice"], emails["Bob"]) == ("new@people.test", "bob@people.test")


@pytest.mark.parametrize(("hours", "status"), [(23.9, 200), (24.1, 404)])
def test_a30_a_change_waits_a_day(
    cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, hours: float, status: int
) -> None:
    accounts.ask_email_change(cast.alice, "new@people.test", by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    path = one_mail().path
    later = clock.utcnow() + timedelta(hours=hours)
    monkeypatch.setattr(clock, "utcnow", lambda: later)
    assert visitor(A_HOST).get(path).status_code == status


@pytest.mark.parametrize(
    "address", ["", " ", "nobody", "a@b", "x@y.test\r\nBcc: v@e.test", "x" * 250 + "@people.test", "alice@people.test"]
)
def test_a30_what_is_no_new_address_is_said(cast: Cast, sign_in: SignIn, address: str) -> None:
    assert want(sign_in(cast.alice), address).status_code == 422
    assert mails() == []


def test_a30_staff_change_theirs_on_their_own_page(cast: Cast, sign_in: SignIn, visitor: Visitor) -> None:
    assert want(sign_in(cast.ada), "ada.new@people.test", at="/admin/account").location == "/admin/account"
    mail = one_mail()
    assert mail.link.startswith(f"http://{STAFF_HOST}/email/")
    assert open_it(visitor(STAFF_HOST), mail.path).status_code == 303
    assert enter(visitor(STAFF_HOST), "ada.new@people.test").status_code == 303


# What they are made of


def test_no_link_opens_what_another_is_for(cast: Cast, visitor: Visitor) -> None:
    paths = {Purpose.RESET: "/reset/", Purpose.INVITATION: "/invitation/", Purpose.EMAIL_CHANGE: "/email/",
             Purpose.EMAIL_UNDO: "/email/back/"}  # fmt: skip
    tokens = {each: token_of(issue(cast.alice, each, now=clock.utcnow())) for each in Purpose}
    db.session.commit()
    for purpose, path in paths.items():
        for other, token in tokens.items():
            status = visitor(A_HOST).get(path + token).status_code
            assert status == (200 if other is purpose else 404), (purpose, other)


def test_a_link_outlives_the_change_of_the_secret_key_while_the_old_one_is_named(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace  # noqa: PLC0415

    from flask import current_app  # noqa: PLC0415

    link = issue(cast.alice, Purpose.RESET, now=clock.utcnow())
    token, before = token_of(link), current_app.config["SETTINGS"]
    new_key = secrets.token_urlsafe(48)
    with_old = replace(before, secret_key=new_key, secret_key_fallbacks=[before.secret_key])
    monkeypatch.setitem(current_app.config, "SETTINGS", with_old)
    assert token_of(link) == token
    monkeypatch.setitem(current_app.config, "SETTINGS", replace(before, secret_key=new_key))
    with pytest.raises(LookupError):
        token_of(link)


def test_letters_about_accounts_are_no_list_anybody_could_leave() -> None:
    assert ACCOUNT_TOPIC not in topics()
    assert set(WORDS) == set(Letter)
    for letter in Letter:
        kind = kind_named(f"{ACCOUNT_TOPIC}-{letter}")
        assert not kind.is_list
        assert (kind.late_values is not None) is (letter in PATHS)


# I22: the real way of a letter, over the outbox to a server


@pytest.fixture
def outbox(database_url: str, smtp_sink: SmtpSink, tmp_path: Path) -> Iterator[Outbox]:
    environment = {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_MAIL_DOMAIN": "portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "PORTAL_SMTP_URL": smtp_sink.url,
    }
    with opened(environment) as found:
        yield found


NASTY = [
    "x\r\nBcc: v@e.test",
    "x\nBcc: v@e.test",
    "x\rBcc: v@e.test",
    "%0d%0aBcc: v@e.test",
    "x\u2028Bcc: v@e.test",
    "x\u0085Bcc: v@e.test",
    "ä =?UTF-8?Q?=0A?=Bcc: injected@e.test",
    "{{link_url}} {{unsubscribe_url}} {{config}}",
    "<script>alert(1)</script>",
]


def test_i22_nothing_that_is_typed_breaks_out_of_a_letter(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    now = outbox.now()
    domain = domains.add_domain("http://a.portal.test", "Northline", areas=set(Area), by=SYSTEM, now=now)
    addresses = []
    for index, name in enumerate(NASTY):
        company = accounts.add_company(f"{name} {index}", by=SYSTEM, now=now)
        domains.admit(company, domain, is_home=True, by=SYSTEM, now=now)
        address = f"n{index}@people.test"
        person = accounts.add_person(name, address, by=SYSTEM, now=now)
        person.name = name  # past what the rules take, as an import of old data might
        accounts.add_membership(person, company, by=SYSTEM, now=now)
        accounts.invite(person, by=SYSTEM, now=now)
        addresses.append(address)
    events.commit()
    while write_account_mails(now):
        events.commit()
    events.commit()
    assert outbox.send() == len(NASTY)
    assert dict(smtp_sink.recipients()) == dict.fromkeys(addresses, 1)
    kept = json.dumps([row.values for row in db.session.scalars(select(Delivery))], ensure_ascii=False)
    kept += json.dumps([[row.content, row.selector] for row in db.session.scalars(select(Broadcast))])
    usual = None
    for index, address in enumerate(addresses):
        (received,) = smtp_sink.to(address)
        headers = {header.lower() for header in received.headers}
        usual = usual or headers
        assert headers == usual
        assert "bcc" not in headers
        message = BytesParser(policy=policy.default).parsebytes(received.content)
        plain = message.get_body(("plain",))
        assert plain is not None
        links = [line for line in plain.get_content().split() if line.startswith("http://a.portal.test/invitation/")]
        token = links[-1].rsplit("/", 1)[1]
        link = db.session.scalars(select(MailedLink).where(MailedLink.address == address)).one()
        assert token == token_of(link)
        assert token not in kept, index
        rich = message.get_body(("html",))
        assert rich is not None
        assert "<script>" not in rich.get_content()
