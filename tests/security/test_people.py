"""T20, T22, T23, A32 on the people screens, and the rows of staff who look at a portal as a company sees it."""

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.links import token_of
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import ApiToken, Company, MailedLink, Membership, Person, Session
from portal.accounts.rules import Role
from portal.accounts.rules.tokens import Scope
from portal.accounts.rules.view_as import LIFE
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from tests.conftest import NOW, STAFF_HOST, Cast, HostClient, SignIn, client_on, token_in
from tests.security.rights import RIGHTS, address, routes
from tests.security.world import ONLY_B, STAFF_ONLY, World, canary, checksum

A_HOST, B_HOST = "a.portal.test", "b.portal.test"
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
PEOPLE = "/admin/people"


def post(client: FlaskClient, path: str, **fields: Any) -> TestResponse:
    return client.post(path, data={"csrf_token": token_in(client, "/nothing-here"), **fields})


def row(person: Person) -> dict[str, Any]:
    db.session.expire_all()
    found = db.session.get_one(Person, person.id)
    return {column.name: getattr(found, column.name) for column in Person.__table__.columns}


# T20: mass assignment.


SMUGGLED = {
    "role": "admin",
    "is_active": "1",
    "is_view_as": "1",
    "company_id": "2",
    "password_hash": "x",
    "password": "chosen by somebody else",
    "password_stamp": "99",
    "email": "taken@people.test",
    "email_key": "taken@people.test",
    "email_verified": "1",
    "deactivated_at": "2026-01-01",
    "anonymised_at": "2026-01-01",
    "last_signed_in_at": "2026-01-01",
    "id": "1",
    "person_id": "1",
}


@pytest.mark.parametrize("who", ["alice", "root"])
def test_t20_a_profile_takes_its_own_fields_and_no_other(cast: Cast, sign_in: SignIn, who: str) -> None:
    client, is_own = sign_in(getattr(cast, who)), who == "alice"
    before = row(cast.alice)
    path = "/account" if is_own else f"{PEOPLE}/{cast.alice.id}/edit"
    fields = {"name": "Alicia", "language": "de", "time_zone": "Europe/Berlin", "version": before["version"]}
    answer = post(client, path, **{**SMUGGLED, **fields})
    assert answer.status_code == 303
    after = row(cast.alice)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"name", "name_key", "language", "time_zone", "version"}
    companies = select(Membership.company_id).where(Membership.person_id == cast.alice.id)
    assert db.session.scalars(companies).all() == [cast.a.id]


def test_t20_an_invitation_takes_name_and_address_and_no_other(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    fields = {**SMUGGLED, "name": "Dora", "email": "dora@people.test", "company_id": cast.a.id}
    assert post(client, f"{PEOPLE}/invite", **fields).status_code == 303
    dora = db.session.scalars(select(Person).where(Person.email_key == "dora@people.test")).one()
    assert (dora.role, dora.password_hash, dora.password_stamp, dora.deactivated_at) == (None, None, 0, None)
    assert post(client, f"{PEOPLE}/invite/staff", **{**fields, "email": "stan@people.test", "role": "office"})
    stan = db.session.scalars(select(Person).where(Person.email_key == "stan@people.test")).one()
    assert (stan.role, stan.password_hash) == (Role.OFFICE, None)
    assert db.session.scalar(select(func.count()).where(Membership.person_id == stan.id)) == 0


def test_t20_a_button_does_its_one_thing(cast: Cast, sign_in: SignIn) -> None:
    client, before = sign_in(cast.root), row(cast.bob)
    for path in ("/reset", "/sessions/end", "/companies"):
        post(client, f"{PEOPLE}/{cast.bob.id}{path}", **SMUGGLED, version="1")
    assert row(cast.bob) == before


# A32: nobody chooses or reads another's password.


def test_a32_staff_send_a_way_in_and_never_choose_or_read_a_password(app: Flask, world: World, sign_in: SignIn) -> None:
    client, cast = sign_in(world.cast.root), world.cast
    hashes = {person.password_hash for person in db.session.scalars(select(Person)) if person.password_hash}
    for rule in routes(app):
        if "GET" not in (rule.methods or set()) or not rule.rule.startswith("/admin"):
            continue
        answer = client.get(address(app, world, rule, RIGHTS[rule.endpoint].ours))
        text = answer.get_data(as_text=True)
        if rule.endpoint.startswith(("admin_people", "admin_companies")):
            assert 'type="password"' not in text, rule.rule
        assert not any(each in text for each in hashes), rule.rule
    before = row(cast.alice)["password_hash"]
    answer = post(client, f"{PEOPLE}/{cast.alice.id}/reset", password="chosen by staff 123", new_password="x" * 20)
    assert answer.status_code == 303
    assert row(cast.alice)["password_hash"] == before
    (entry,) = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "person.reset")).all()
    assert (entry.actor_id, entry.object_id) == (cast.root.id, cast.alice.id)
    for link in db.session.scalars(select(MailedLink)):
        page = client.get(f"{PEOPLE}/{cast.alice.id}").get_data(as_text=True)
        assert token_of(link) not in page
        assert link.token_hash not in page
        assert link.nonce not in page


# T22: shut out everywhere at once.


def test_t22_deactivated_on_the_people_screen_is_out_everywhere_at_once(
    cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]
) -> None:
    root, olaf = sign_in(cast.root), sign_in(cast.olaf)
    look = begin(cast, olaf)
    maker = Actor(cast.olaf.email, cast.olaf.id)
    make_token("wallboard", Scope.READ, by=maker, now=clock.utcnow())
    accounts.ask_reset(cast.olaf.email, host=STAFF_HOST, now=clock.utcnow())
    link = issue_reset(cast.olaf)
    db.session.commit()
    assert (olaf.get("/admin/").status_code, look.get("/").status_code) == (200, 200)
    topics = [
        events.session_topic(each) for each in db.session.scalars(select(Session.token_hash).where(of(cast.olaf)))
    ]
    before = events.versions_of(topics)
    version = row(cast.olaf)["version"]
    assert post(root, f"{PEOPLE}/{cast.olaf.id}/deactivate", version=version).status_code == 303
    assert (olaf.get("/admin/").status_code, look.get("/").status_code) == (302, 302)
    assert olaf.get("/admin/", headers={"HX-Request": "true"}).status_code == 401
    after = events.versions_of(topics)
    assert len(topics) == 2
    assert all(after[topic] > before.get(topic, 0) for topic in topics)
    db.session.expire_all()
    assert db.session.get_one(MailedLink, link).revoked_at is not None
    assert all(token.revoked_at for token in db.session.scalars(select(ApiToken)))
    assert enter(visitor(STAFF_HOST), cast.olaf).status_code == 422
    version = row(cast.olaf)["version"]
    assert post(root, f"{PEOPLE}/{cast.olaf.id}/reactivate", version=version).status_code == 303
    db.session.expire_all()
    assert all(token.revoked_at for token in db.session.scalars(select(ApiToken)))
    assert olaf.get("/admin/").status_code == 302


def of(person: Person) -> Any:
    return Session.person_id == person.id


def issue_reset(person: Person) -> int:
    from portal.accounts.actions.links import issue  # noqa: PLC0415 (only this row makes one by hand)
    from portal.accounts.rules.links import Purpose  # noqa: PLC0415

    return issue(person, Purpose.RESET, now=clock.utcnow()).id


def enter(client: FlaskClient, person: Person) -> TestResponse:
    form = {"csrf_token": token_in(client, "/sign-in"), "email": person.email, "password": "correct horse battery"}
    return client.post("/sign-in", data=form)


# T23: removed from a company in the middle of a session.


def test_t23_removed_from_a_company_its_pages_are_gone_with_the_next_request(cast: Cast, sign_in: SignIn) -> None:
    accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=NOW)
    domains.admit(cast.b, cast.domain_a, is_home=False, by=SYSTEM, now=NOW)
    db.session.commit()
    root, alice, other = sign_in(cast.root), sign_in(cast.alice), sign_in(cast.alice)
    assert post(other, "/company", company=cast.b.id).status_code == 303
    assert (alice.get("/").status_code, other.get("/").status_code) == (200, 200)
    version = row(cast.alice)["version"]
    path = f"{PEOPLE}/{cast.alice.id}/companies/{cast.a.id}/remove"
    assert post(root, path, version=version).status_code == 303
    assert alice.get("/").status_code == 302
    assert alice.get("/banner", headers={"HX-Request": "true", "X-Background": "1"}).status_code == 401
    assert post(alice, "/company", company=cast.a.id).status_code in {302, 404}
    assert other.get("/").status_code == 200
    assert post(other, "/company", company=cast.a.id).status_code == 404


# Looking as a company.


def hand_over_path(cast: Cast, client: FlaskClient, domain_id: int | None = None) -> str:
    """Ask for a look at A's portal as the staff screens do; the address the browser is led to."""
    path = f"/admin/companies/{cast.a.id}/view-as"
    answer = post(client, path, domain_id=domain_id or cast.domain_a.id)
    assert answer.status_code == 303
    return answer.headers["Location"]


def follow(app: Flask, url: str) -> tuple[FlaskClient, TestResponse]:
    parts = urlsplit(url)
    client = client_on(app, parts.netloc)
    return client, client.get(parts.path)


def begin(cast: Cast, staff: FlaskClient) -> FlaskClient:
    """A browser that looks at A's portal as A."""
    client, answer = follow(staff.application, hand_over_path(cast, staff))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    # What the requests stored must not be rolled back together with what the test has read meanwhile.
    db.session.commit()
    return client


def text_of(client: FlaskClient, path: str) -> str:
    return html.unescape(client.get(path).get_data(as_text=True))


def test_view_as_shows_the_portal_and_says_so_on_every_page(app: Flask, world: World, sign_in: SignIn) -> None:
    look, nobody = begin(world.cast, sign_in(world.cast.olaf)), client_on(app, A_HOST)
    seen = 0
    for rule in routes(app):
        if "GET" not in (rule.methods or set()) or rule.endpoint.startswith("admin"):
            continue
        answer = look.get(address(app, world, rule, RIGHTS[rule.endpoint].ours))
        text = html.unescape(answer.get_data(as_text=True))
        assert answer.status_code < 500, rule.rule
        assert canary(ONLY_B, "")[:-2].lower() not in text.lower(), rule.rule
        if rule.endpoint == "public_embed.frame":
            # What stands in frames on other sites is the same for everybody: it knows of no company, and of no look.
            assert world.cast.a.name not in text, rule.rule
            assert world.cast.olaf.email not in text, rule.rule
            assert answer.data == nobody.get(address(app, world, rule, RIGHTS[rule.endpoint].ours)).data, rule.rule
        elif answer.mimetype == "text/html" and answer.status_code in {200, 403, 404}:
            assert f"You are looking at this portal as {world.cast.a.name}" in text, rule.rule
            assert 'action="/view-as/stop"' in text, rule.rule
            assert world.cast.olaf.email not in text, rule.rule
            assert "public" not in answer.headers["Cache-Control"], rule.rule
            seen += answer.status_code == 200
    assert seen >= 4
    assert STAFF_ONLY in canary(STAFF_ONLY, "privatetitle")
    assert canary(STAFF_ONLY, "privatetitle") not in text_of(look, "/status")


def test_view_as_sees_what_the_people_of_the_company_see(world: World, sign_in: SignIn) -> None:
    look, alice = begin(world.cast, sign_in(world.cast.ada)), sign_in(world.cast.alice)

    def main(client: FlaskClient, path: str) -> str:
        text = client.get(path).get_data(as_text=True)
        text = re.sub(r"\s+", " ", text[text.index("<main") : text.index("</main>")])
        # Who looks as somebody else has not seen a report for them.
        return re.sub(r'<form hidden method="post" action="/incidents/seen".*?</form>', "", text).rstrip()

    for path in ("/", "/status", "/services", "/status/history"):
        assert main(look, path) == main(alice, path), path
    domains.set_override(world.cast.domain_a, world.cast.a, Area.SERVICES, False, by=SYSTEM, now=NOW)
    db.session.commit()
    assert look.get("/services").status_code == alice.get("/services").status_code == 404


def test_view_as_may_send_nothing_whatever_the_route(app: Flask, world: World, sign_in: SignIn) -> None:
    look = begin(world.cast, sign_in(world.cast.root))
    token = token_in(look, "/")
    before, tried = checksum(), 0
    for rule in routes(app):
        for method in sorted(UNSAFE & (rule.methods or set())):
            # What a server signs is nobody's session.
            if rule.endpoint in {"accounts.sign_out", "public_view_as.stop"} or rule.rule.startswith(
                ("/api/", "/inbound/")
            ):
                continue
            path = address(app, world, rule, RIGHTS[rule.endpoint].ours)
            for headers in ({}, {"HX-Request": "true"}):
                answer = look.open(path, method=method, data={"csrf_token": token, "version": "1"}, headers=headers)
                assert answer.status_code == 403, f"{method} {path}: {answer.status_code}"
                assert "You are only looking" in answer.get_data(as_text=True), path
                tried += 1
    assert tried > 60
    assert checksum() == before


def test_view_as_leaves_no_trace_in_the_customers_name(cast: Cast, sign_in: SignIn) -> None:
    olaf, alice = sign_in(cast.olaf), sign_in(cast.alice)
    look = begin(cast, olaf)
    session = db.session.scalars(select(Session).where(Session.is_view_as)).one()
    age(session, timedelta(minutes=5))
    before = checksum()
    for path in ("/", "/status", "/services", "/account", "/live-token"):
        look.get(path)
    assert checksum() == before
    assert look.get("/account").status_code == 403
    assert session.user_agent not in text_of(alice, "/account") or session.person_id != cast.alice.id
    assert row(cast.alice)["last_signed_in_at"] is not None
    told = [entry.action for entry in db.session.scalars(select(AuditEntry).where(AuditEntry.actor_id == cast.olaf.id))]
    assert {"company.view_as", "session.view_as"} <= set(told)
    asked = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "company.view_as")).one()
    assert (asked.company_id, asked.after) == (cast.a.id, {"host": A_HOST})


def test_view_as_has_no_staff_rights_and_stays_on_its_host(cast: Cast, sign_in: SignIn) -> None:
    look = begin(cast, sign_in(cast.root))
    cookie = look.get_cookie("sid", domain=A_HOST)
    assert cookie is not None
    for host in (STAFF_HOST, B_HOST):
        other = client_on(look.application, host)
        other.set_cookie("sid", cookie.value, domain=host)
        assert other.get("/admin/" if host == STAFF_HOST else "/").status_code == 302
    assert look.get("/admin/").status_code == 404
    assert post(look, "/company", company=cast.b.id).status_code == 403


def test_view_as_link_opens_once_here_and_within_a_minute(app: Flask, cast: Cast, sign_in: SignIn) -> None:
    domains.admit(cast.a, cast.domain_b, is_home=False, by=SYSTEM, now=NOW)
    db.session.commit()
    staff = sign_in(cast.olaf)
    url = hand_over_path(cast, staff)
    path = urlsplit(url).path
    assert client_on(app, B_HOST).get(path).status_code == 404
    assert client_on(app, STAFF_HOST).get(path).status_code == 404
    assert client_on(app, A_HOST).head(path).status_code == 404
    assert client_on(app, A_HOST).get(path[:-1] + ("A" if path[-1] != "A" else "B")).status_code == 404
    assert follow(app, url)[1].status_code == 303
    used = follow(app, url)[1]
    assert used.status_code == 410
    assert "Set-Cookie" not in used.headers or "sid=" not in used.headers["Set-Cookie"]
    late = hand_over_path(cast, staff)
    newest = db.session.scalars(select(func.max(MailedLink.id))).one()
    db.session.execute(update(MailedLink).where(MailedLink.id == newest).values(expires_at=clock.utcnow()))
    db.session.commit()
    assert follow(app, late)[1].status_code == 410
    older, newer = hand_over_path(cast, staff), hand_over_path(cast, staff)
    assert (follow(app, older)[1].status_code, follow(app, newer)[1].status_code) == (410, 303)
    asked = hand_over_path(cast, staff)
    assert post(staff, "/sign-out").status_code == 303
    assert follow(app, asked)[1].status_code == 410


def test_view_as_is_only_for_portals_that_admit_the_company(app: Flask, cast: Cast, sign_in: SignIn) -> None:
    client, path = sign_in(cast.olaf), f"/admin/companies/{cast.a.id}/view-as"
    page = client.get(path)
    assert "form-action 'self' http://a.portal.test;" in page.headers["Content-Security-Policy"]
    for wrong in (cast.domain_b.id, 4711, "x", ""):
        assert post(client, path, domain_id=wrong).status_code == 422
    assert post(client, "/admin/companies/4711/view-as", domain_id=cast.domain_a.id).status_code == 404
    look = begin(cast, client)
    db.session.execute(update(Company).where(Company.id == cast.a.id).values(archived_at=NOW))
    db.session.commit()
    assert look.get("/").status_code == 302
    assert post(client, path, domain_id=cast.domain_a.id).status_code == 422


def age(session: Session, by: timedelta) -> None:
    """Let a session have begun, and been used, earlier."""
    moments = {"created_at": session.created_at - by, "last_seen_at": session.last_seen_at - by}
    db.session.execute(update(Session).where(Session.id == session.id).values(**moments))
    db.session.commit()
    db.session.expire_all()


ENDINGS: dict[str, Callable[[Cast, FlaskClient, FlaskClient], object]] = {
    "after half an hour": lambda cast, staff, root: age(
        db.session.scalars(select(Session).where(Session.is_view_as)).one(), LIFE
    ),
    "with the staff session": lambda cast, staff, root: post(staff, "/sign-out"),
    "when the person loses their role": lambda cast, staff, root: post(
        root, f"{PEOPLE}/{cast.olaf.id}/role", role="customer", version=row(cast.olaf)["version"]
    ),
    "when the person is deactivated": lambda cast, staff, root: post(
        root, f"{PEOPLE}/{cast.olaf.id}/deactivate", version=row(cast.olaf)["version"]
    ),
    "when an admin ends their sessions": lambda cast, staff, root: post(root, f"{PEOPLE}/{cast.olaf.id}/sessions/end"),
    "when the portal no longer admits the company": lambda cast, staff, root: post(
        root, f"/admin/companies/{cast.a.id}/portals/dismiss", domain_id=cast.domain_a.id
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_view_as_ends(cast: Cast, sign_in: SignIn, ending: str) -> None:
    domains.admit(cast.a, cast.domain_b, is_home=True, by=SYSTEM, now=NOW)
    db.session.commit()
    staff, root = sign_in(cast.olaf), sign_in(cast.root)
    look = begin(cast, staff)
    assert look.get("/").status_code == 200
    ENDINGS[ending](cast, staff, root)
    assert look.get("/").status_code == 302
    assert look.get("/banner", headers={"HX-Request": "true", "X-Background": "1"}).status_code == 401


def test_view_as_is_stopped_and_leads_back(cast: Cast, sign_in: SignIn) -> None:
    staff = sign_in(cast.olaf)
    look = begin(cast, staff)
    assert f"form-action 'self' http://{STAFF_HOST};" in look.get("/").headers["Content-Security-Policy"]
    topic = events.session_topic(db.session.scalars(select(Session.token_hash).where(Session.is_view_as)).one())
    answer = post(look, "/view-as/stop")
    assert answer.headers["Location"] == f"http://{STAFF_HOST}/admin/companies/{cast.a.id}"
    assert events.versions_of([topic])[topic] == 1
    assert look.get("/").status_code == 302
    assert staff.get("/admin/").status_code == 200
    again = begin(cast, staff)
    assert post(again, "/sign-out").headers["Location"] == "/sign-in"
    assert again.get("/").status_code == 302


def test_view_as_hears_what_the_company_hears_and_no_staff_bell(cast: Cast, sign_in: SignIn) -> None:
    look, alice = begin(cast, sign_in(cast.root)), sign_in(cast.alice)
    from portal.live import read_token  # noqa: PLC0415 (what the hub reads it with)

    settings = look.application.config["SETTINGS"]
    topics = []
    for client in (look, alice):
        url = client.get("/live-token").get_json()["url"]
        token = read_token(settings, url.partition("token=")[2], clock.utcnow().timestamp())
        assert token is not None
        topics.append(token.topics)
    assert topics[0] == topics[1]
    assert events.STAFF not in topics[0]


def test_view_as_is_refused_to_whoever_lacks_the_right(cast: Cast, sign_in: SignIn, app: Flask) -> None:
    path = f"/admin/companies/{cast.a.id}/view-as"
    assert client_on(app, STAFF_HOST).get(path).status_code == 302
    alice = HostClient(app, app.response_class, use_cookies=True)
    alice.host = STAFF_HOST
    assert alice.get(path).status_code == 302
    assert sign_in(cast.alice).get(path).status_code == 404
