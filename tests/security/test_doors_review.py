"""A03, A09, A30, A31, F03, I16, S08, T25 once more: what was found when the new doors were attacked."""

import base64
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import EnvironBuilder, run_wsgi_app

import portal
from portal import clock
from portal.accounts import actions as accounts
from portal.accounts.actions import passwords
from portal.accounts.actions.anonymise import anonymise_person
from portal.accounts.actions.invitations import withdraw_invitation
from portal.accounts.actions.links import invite, token_of
from portal.accounts.models import ApiAnswer, MailedLink, Person, Session
from portal.accounts.rules import Role
from portal.accounts.rules.throttles import LIMITS, Throttle
from portal.accounts.rules.tokens import Scope
from portal.admin.imports.routes import FORM_BYTES
from portal.audit.rules import SYSTEM, Actor
from portal.bodies import LARGE_AT_ONCE, MOST_BYTES, Bodies, most_bytes
from portal.cli import Failure
from portal.cli.backups import archive
from portal.cli.doctor import _without_password
from portal.errors import RuleViolation
from portal.extensions import db
from portal.filters import markdown
from portal.records.rules import files
from portal.records.rules.files import MOST_BYTES as MOST_FILE_BYTES
from portal.records.rules.files import MOST_LINES, Unreadable, shape_of
from tests.api.v1.conftest import Machine, maker, refusal
from tests.conftest import NOW, PASSWORD, STAFF_HOST, Cast, SignIn, token_in
from tests.security.conftest import masked
from tests.security.mailbox import mails, one_mail
from tests.security.test_links import open_it, want
from tests.security.test_resets import NEW, ask, choose
from tests.security.test_second_factor import set_up
from tests.security.test_sessions import enter

A_HOST = "a.portal.test"
SECONDS = 1.0 * 10  # the limit of the catalogue, with slack for a busy machine

Visitor = Callable[[str], FlaskClient]


# Ways back


def test_a30_who_moves_an_address_twice_leaves_the_first_way_back_open(
    cast: Cast, sign_in: SignIn, visitor: Visitor
) -> None:
    """Else a thief would have the account for good: the second way back goes to an address of their own."""
    thief = sign_in(cast.alice)
    ways_back = []
    for address in ("first@evil.test", "second@evil.test"):
        want(thief, address)
        open_it(visitor(A_HOST), one_mail().path)
        ways_back.append(one_mail())
    assert [mail.to for mail in ways_back] == ["alice@people.test", "first@evil.test"]
    # The thief is even quicker, and goes back to the address in between.
    assert open_it(visitor(A_HOST), ways_back[1].path).status_code == 303
    owner = visitor(A_HOST)
    answer = open_it(owner, ways_back[0].path)
    assert (answer.status_code, answer.location.rpartition("/")[0]) == (303, "/reset")
    assert choose(owner, answer.location).location == "/"
    assert enter(visitor(A_HOST), "alice@people.test", NEW).status_code == 303


def test_a30_who_takes_it_back_closes_the_ways_to_addresses_in_between(
    cast: Cast, sign_in: SignIn, visitor: Visitor
) -> None:
    thief = sign_in(cast.alice)
    ways_back = []
    for address in ("first@evil.test", "second@evil.test"):
        want(thief, address)
        open_it(visitor(A_HOST), one_mail().path)
        ways_back.append(one_mail())
    assert open_it(visitor(A_HOST), ways_back[0].path).status_code == 303
    assert open_it(visitor(A_HOST), ways_back[1].path).status_code == 404
    db.session.expire_all()
    assert db.session.get_one(Person, cast.alice.id).email == "alice@people.test"


def test_a30_the_account_page_tells_no_taken_address_from_a_free_one(
    cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, pages = sign_in(cast.alice), []
    now = clock.utcnow().replace(microsecond=0)
    monkeypatch.setattr(clock, "utcnow", lambda: now)
    for address in ("nobody@people.test", "charlie@people.test"):
        want(client, address)
        client.get("/account")  # takes the flash
        pages.append(masked(client.get("/account")).replace(address, "…"))
    assert pages[0] == pages[1]


def test_a30_the_link_of_a_taken_address_is_in_nobodys_hands(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    want(client, "charlie@people.test")
    token = token_of(db.session.scalars(select(MailedLink)).one())
    assert token not in one_mail().text
    assert token not in client.get("/account").get_data(as_text=True)


def test_a30_word_of_a_taken_address_goes_to_the_one_on_record(cast: Cast, sign_in: SignIn) -> None:
    """Two addresses that compare alike may be two mailboxes: `ß` is compared as `ss`, but is another domain."""
    cast.charlie.email = cast.charlie.email_key = "charlie@strasse.test"
    db.session.commit()
    want(sign_in(cast.alice), "charlie@straße.test")
    assert one_mail().to == "charlie@strasse.test"


def test_t25_what_was_taken_back_is_not_asked_for_by_a_reset(cast: Cast, visitor: Visitor) -> None:
    """An invitation to the wrong address, withdrawn: whoever reads mail there must not get in by the other door."""
    wrong = accounts.add_person("Wrong", "wrong@people.test", by=SYSTEM, now=NOW, role=Role.ADMIN)
    by = Actor(cast.root.email, cast.root.id)
    invite(wrong, by=by, now=clock.utcnow())
    withdraw_invitation(wrong, by=by, now=clock.utcnow())
    db.session.commit()
    assert mails() == []
    ask(visitor(STAFF_HOST), wrong.email)
    assert mails() == []
    invite(wrong, by=by, now=clock.utcnow())
    db.session.commit()
    assert one_mail().to == "wrong@people.test"
    ask(visitor(STAFF_HOST), wrong.email)
    assert one_mail().link


def test_nobody_takes_back_that_somebody_was_forgotten(cast: Cast) -> None:
    by = Actor(cast.root.email, cast.root.id)
    anonymise_person(cast.bob, cast.bob.email, version=cast.bob.version, by=by, now=clock.utcnow())
    db.session.commit()
    with pytest.raises(RuleViolation, match="anonymised"):
        accounts.reactivate_person(cast.bob, version=cast.bob.version, by=by, now=clock.utcnow())


def test_what_the_api_keeps_for_a_day_is_forgotten_with_its_person(app: Flask, cast: Cast) -> None:
    machine = maker(app, cast)(Scope.COMPANIES)
    for name in ("dora", "emil"):
        body = {"name": name, "email": f"{name}_x@people.test"}
        assert machine.send("POST", "/people", body, Idempotency_Key=name).status_code == 201
    dora = db.session.scalars(select(Person).where(Person.name == "dora")).one()
    by = Actor(cast.root.email, cast.root.id)
    anonymise_person(dora, dora.email, version=dora.version, by=by, now=clock.utcnow())
    db.session.commit()
    (kept,) = db.session.scalars(select(ApiAnswer.body))
    assert "emil_x@people.test" in kept


# What changes while a password is checked


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen while the next password is checked, as it can where nobody holds a lock for that long."""
    real = passwords._hasher.verify
    has_happened: list[bool] = []

    class Slow:
        def verify(self, stored: str, password: str) -> bool:
            try:
                return real(stored, password)
            finally:
                if not has_happened:
                    has_happened.append(True)
                    happens()
                    db.session.commit()

        def __getattr__(self, name: str) -> Any:
            return getattr(passwords_hasher, name)

    passwords_hasher = passwords._hasher
    monkeypatch.setattr(passwords, "_hasher", Slow())


def live(person: Person) -> list[Session]:
    found = select(Session).where(Session.person_id == person.id, Session.revoked_at.is_(None))
    return list(db.session.scalars(found))


def change_password(person_id: int) -> None:
    person = db.session.get_one(Person, person_id)
    accounts.set_password(person, person.password_hash or "", by=SYSTEM, now=clock.utcnow())


def deactivate(person_id: int) -> None:
    person = db.session.get_one(Person, person_id)
    accounts.deactivate_person(person, version=person.version, by=SYSTEM, now=clock.utcnow())


def add_factor(person_id: int) -> None:
    set_up(db.session.get_one(Person, person_id))


@pytest.mark.parametrize("change", [change_password, deactivate, add_factor])
def test_a09_no_session_opens_after_the_change_that_ended_them(
    cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, change: Callable[[int], None]
) -> None:
    """Whoever signs in with the old password in the very moment it is changed is not in afterwards."""
    person_id = cast.ada.id
    meanwhile(monkeypatch, lambda: change(person_id))
    client = visitor(STAFF_HOST)
    answer = enter(client, cast.ada.email)
    assert (answer.status_code, answer.location) in {(303, "/sign-in"), (303, "/sign-in/code")}
    assert client.get("/admin/").status_code == 302
    assert live(db.session.get_one(Person, person_id)) == []


def test_a09_the_old_password_changes_nothing_once_there_is_another(
    cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thief's change of password that was under way when the owner made theirs does not undo it."""
    thief, person_id = sign_in(cast.alice), cast.alice.id
    form = {"csrf_token": token_in(thief, "/account/password"), "current": PASSWORD, "password": "a thief s own choice"}
    meanwhile(monkeypatch, lambda: change_password(person_id))
    stamp = cast.alice.password_stamp
    thief.post("/account/password", data=form)
    db.session.expire_all()
    assert db.session.get_one(Person, person_id).password_stamp == stamp + 1
    assert live(db.session.get_one(Person, person_id)) == []


@pytest.mark.parametrize("typed", [PASSWORD, "a wrong password 12"])
def test_a03_many_at_once_try_no_more_than_one_after_another(
    cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    """The last try goes to somebody else while this one is checked: then neither right nor wrong is told."""

    def use_up() -> None:
        for _ in range(LIMITS[Throttle.SIGN_IN_BY_ACCOUNT].capacity):
            accounts.note_wrong_password("alice@people.test", by=Actor("anonymous", ip="10.9.9.9"), now=clock.utcnow())

    meanwhile(monkeypatch, use_up)
    answer = enter(visitor(A_HOST), cast.alice.email, typed)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert live(cast.alice) == []


@pytest.mark.parametrize("typed", [PASSWORD, "a wrong password 12"])
def test_a03_nor_do_those_who_are_signed_in(
    cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    def use_up() -> None:
        for _ in range(LIMITS[Throttle.SIGN_IN_BY_ACCOUNT].capacity):
            accounts.note_wrong_password("root@people.test", by=Actor("anonymous", ip="10.9.9.9"), now=clock.utcnow())

    client = sign_in(cast.root)
    form = {"csrf_token": token_in(client, "/confirm"), "password": typed, "next": "/"}
    meanwhile(monkeypatch, use_up)
    assert client.post("/confirm", data=form).status_code == 429


# Machines


def test_t27_staff_are_not_reached_through_memberships_by_a_scope_that_does_not_see_them(
    app: Flask, cast: Cast
) -> None:
    machines = maker(app, cast)
    companies = machines(Scope.COMPANIES)
    path = f"/companies/{cast.a.id}/memberships/{{}}"
    to_staff = companies.send("PUT", path.format(cast.root.id))
    to_nobody = companies.send("PUT", path.format(999_999))
    assert to_staff.status_code == to_nobody.status_code == 404
    assert masked(to_staff).replace(str(to_staff.headers["RateLimit-Remaining"]), "…") == masked(to_nobody).replace(
        str(to_nobody.headers["RateLimit-Remaining"]), "…"
    )
    assert companies.send("PUT", path.format(cast.charlie.id)).status_code == 200
    assert machines(Scope.ADMIN).send("PUT", path.format(cast.olaf.id)).status_code == 200


def test_t27_where_passwords_are_chosen_is_moved_by_no_token_for_portals(app: Flask, cast: Cast) -> None:
    """Else it could lead the links of mails to another machine, and learn what opens every account."""
    machines, path = maker(app, cast), f"/portals/{cast.domain_a.id}"
    moved, kept = {"base_url": "http://evil.test"}, {"base_url": "http://a.portal.test", "brand": "Northline II"}
    portals = machines(Scope.PORTALS)
    refusal(portals.send("PATCH", path, moved, match="*"), 403)
    assert portals.send("PATCH", path, kept, match="*").status_code == 200
    assert machines(Scope.ADMIN).send("PATCH", path, moved, match="*").status_code == 200


ENDS_OF_TIME = ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")


@pytest.mark.parametrize("moment", ENDS_OF_TIME)
def test_i28_a_place_at_the_end_of_time_is_no_place(app: Flask, cast: Cast, sign_in: SignIn, moment: str) -> None:
    machine: Machine = maker(app, cast)(Scope.ADMIN)
    cursor = base64.urlsafe_b64encode(json.dumps([moment, 1]).encode()).decode().rstrip("=")
    for listing in ("incidents", "maintenances"):
        assert machine.get(f"/{listing}?cursor={cursor}").status_code == 422
    place = f"{moment}_1".replace("+", "%2B")
    assert sign_in(cast.root).get(f"/admin/audit?before={place}").status_code == 404


# Files


@pytest.mark.parametrize(
    "content",
    [
        b"@." * 4000 + b" x,name\nAlder,b\n",
        b",".join([b"a@" + b"b." * 400 + b" c"] * 100) + b"\n1\n",
        b"\xef\xbb\xbf" + b"@" * 9000 + b",name\nAlder,b\n",
    ],
)
def test_i21_no_header_takes_long_to_read(content: bytes) -> None:
    began = time.monotonic()
    assert shape_of(content).total == 1
    assert time.monotonic() - began < SECONDS


def test_i21_an_address_in_the_header_is_still_noticed() -> None:
    for address in ("a@b.test", "ada.b-c+d@mail.example.co.uk", "ä@bücher.test"):
        with pytest.raises(Unreadable, match="name the columns"):
            shape_of(f"{address},Ada\nx,y\n".encode())


def test_i21_blank_rows_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a sheet has are read, which takes seconds; 25 MB of them would take minutes."""
    assert MOST_LINES == 2**20
    monkeypatch.setattr(files, "MOST_LINES", 1000)
    assert shape_of(b"name\nAlder\n" + b"\n" * 998).total == 1
    with pytest.raises(Unreadable, match="most of them blank"):
        shape_of(b"name\nAlder\n" + b"\n" * 999)


class Endless(io.RawIOBase):
    """A body that never ends; `given` is how much of it was asked for."""

    given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        return b"x" * size


def test_f03_a_file_one_byte_too_long_is_refused_with_and_without_a_length(
    app: Flask, cast: Cast, sign_in: SignIn
) -> None:
    root = sign_in(cast.root)
    token = token_in(root, "/admin/imports/new")
    headers = {"X-CSRFToken": token, "Content-Type": "multipart/form-data; boundary=x"}
    too_long = MOST_FILE_BYTES + FORM_BYTES + 1
    assert root.post("/admin/imports/new", data=b"x" * too_long, headers=headers).status_code == 413
    # As the server hands it on: without a length, and without an end that anybody would wait for.
    endless, body = EnvironBuilder(path="/admin/imports/new", method="POST").get_environ(), Endless()
    endless |= {"HTTP_HOST": STAFF_HOST, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": body}
    endless.pop("CONTENT_LENGTH", None)
    with app.app_context():
        _, status, _ = run_wsgi_app(Bodies(app.wsgi_app, at_once=4), endless, buffered=True)
    assert status[:3] in {"400", "413"}
    assert body.given <= most_bytes("/admin/imports/new") + 1


def test_f03_strangers_hold_no_more_large_bodies_at_once_than_the_disk_bears() -> None:
    """Who may send a file is known only when it has arrived; so only so many are taken in at once, and then go."""
    held: list[Any] = []

    def inner(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        environ["seen"] = environ.get("portal.refusal")
        return iter([b""])

    middleware = Bodies(inner, at_once=100)

    def send(size: int) -> dict[str, Any]:
        environ: dict[str, Any] = {
            "PATH_INFO": "/admin/imports/new",
            "CONTENT_LENGTH": str(size),
            "wsgi.input": io.BytesIO(b"x" * size),
        }
        held.append(middleware(environ, lambda *_: lambda _written: None))
        return environ

    large = MOST_BYTES + 1
    assert [send(large)["seen"] for _ in range(LARGE_AT_ONCE)] == [None] * LARGE_AT_ONCE
    assert send(large)["seen"] == 503
    assert send(MOST_BYTES)["seen"] is None
    while held:
        held.pop().close()
    assert send(large)["seen"] is None
    held.pop().close()


# Markup that acts


@pytest.mark.parametrize(
    "text",
    [
        '<div hx-get="/admin/companies/1/delete" hx-trigger="load">x</div>',
        '<b data-hx-post="/sign-out" hx-vals="js:{a: 1}" hx-on:click="alert(1)">x</b>',
        '<i hx-swap-oob="true" id="navigation">x</i><meta name="htmx-config" content="{}">',
    ],
)
def test_i16_nothing_in_a_text_is_read_as_htmx(text: str) -> None:
    """Not one element or attribute of it survives; that templates put such text into hx-ignore is the second net."""
    shown = BeautifulSoup(markdown(text), "html.parser")
    names = {name for tag in shown.find_all() for name in tag.attrs}
    assert not {name for name in names if "hx" in name}
    assert {tag.name for tag in shown.find_all()} <= {"p"}


def test_i16_every_place_that_shows_cleaned_html_is_out_of_reach_of_htmx() -> None:
    folder = Path(portal.__file__).parent / "templates"
    for template in folder.rglob("*.html"):
        if {"mail", "feeds", "reference"} & set(template.relative_to(folder).parts):
            continue  # a mail is no page, nor is an entry of a feed, and the words of the reference are our own
        for line in template.read_text(encoding="utf-8").splitlines():
            if re.search(r"\|\s*markdown\b", line):
                assert "hx-ignore" in line, f"{template}: {line.strip()}"


# What leaves the machine


def test_the_doctor_names_no_password() -> None:
    for url in (
        "redis://:s3cret@cache.test:6379/0",
        "rediss://user:s3cret@cache.test/0?ssl_cert_reqs=none",
        "redis://cache.test:6379/0?password=s3cret",
        "unix:///run/redis.sock?username=x&password=s3cret",
    ):
        assert "s3cret" not in _without_password(url)
        assert "/" in _without_password(url)


def test_a_backup_writes_into_nobody_elses_file(tmp_path: Path) -> None:
    """In a folder others may write to too, a file or link laid out under the name a backup begins with gets nothing."""
    trap, mine = tmp_path / "trap", tmp_path / "backup.zip"
    trap.write_bytes(b"")
    trap.chmod(0o644)
    (tmp_path / ".backup.zip.unfinished").symlink_to(trap)
    data = tmp_path / "portal.db"
    data.write_bytes(b"CANARY-of-the-data")
    archive.write(mine, archive.Manifest.of_now(NOW, "sqlite", "x", {}, "0"), {"portal.db": data})
    assert trap.read_bytes() == b""
    assert mine.stat().st_mode & 0o777 == 0o600
    assert not mine.is_symlink()
    with pytest.raises(Failure, match="never written over"):
        archive.write(mine, archive.Manifest.of_now(NOW, "sqlite", "x", {}, "0"), {"portal.db": data})
