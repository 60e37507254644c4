"""A09, A15, A30, A31, I21, T25: what opens once, tried by several at the same moment on a database that commits."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.test import TestResponse

from portal import clock, create_app, events
from portal.accounts import actions as accounts
from portal.accounts.actions.links import issue, token_of
from portal.accounts.actions.view_as import hand_over
from portal.accounts.models import Company, Person, Session
from portal.accounts.rules import Role
from portal.accounts.rules.links import Purpose
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.config import Settings
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import StaleEdit
from portal.extensions import db
from portal.records import actions as imports
from portal.records.models import ImportRun
from portal.records.rules import ImportState
from portal.records.working import Work
from tests.conftest import NOW, PASSWORD, STAFF_HOST, client_on, token_in
from tests.support import databases

A_HOST = "a.portal.test"
AT_ONCE = 4
T = TypeVar("T")


@dataclass
class House:
    """An installation whose transactions really commit: Northline with Alder Dental on it."""

    app: Flask
    password_hash: str
    company_id: int = 0
    people: int = 0

    def person(self, role: Role | None = None) -> Person:
        """Somebody new; of Alder Dental, or of the staff. To be called in a context of the app."""
        self.people += 1
        name = f"Person {self.people}"
        added = accounts.add_person(name, f"person{self.people}@people.test", role=role, by=SYSTEM, now=NOW)
        added.password_hash = self.password_hash
        if role is None:
            accounts.add_membership(added, db.session.get_one(Company, self.company_id), by=SYSTEM, now=NOW)
        db.session.commit()
        return added

    def sign_in(self, email: str) -> FlaskClient:
        client = client_on(self.app, STAFF_HOST)
        form = {"csrf_token": token_in(client, "/sign-in"), "email": email, "password": PASSWORD}
        assert client.post("/sign-in", data=form).status_code == 303
        return client


@pytest.fixture(scope="module")
def house(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    settings: Settings,
    password_hash: str,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("at-once")
    with databases.empty(request.config.getoption("--database-url"), folder) as url:
        environment = {
            "PORTAL_INSTANCE": str(folder),
            "PORTAL_SECRET_KEY": settings.secret_key,
            "PORTAL_BASE_URL": f"http://{STAFF_HOST}",
            "PORTAL_DATABASE_URL": url,
            "PORTAL_REDIS_URL": f"unix://{folder}/nobody.sock",
        }
        app = create_app(Settings.from_environment(environment))
        with app.app_context():
            read_only.set(False)
            upgrade()
            domain = domains.add_domain(f"http://{A_HOST}", "Northline", areas=set(Area), by=SYSTEM, now=NOW)
            company = accounts.add_company("Alder Dental", by=SYSTEM, now=NOW)
            domains.admit(company, domain, is_home=True, by=SYSTEM, now=NOW)
            db.session.commit()
            made = House(app, password_hash, company.id)
        yield made
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def inside(house: House) -> Iterator[House]:
    """The same, in a context that may write."""
    with house.app.app_context():
        read_only.set(False)
        yield house
        db.session.remove()


def at_once(jobs: list[Callable[[], T]]) -> list[T]:
    """Begin all of them at the same moment; what came of each."""
    start = threading.Barrier(len(jobs))

    def begin(job: Callable[[], T]) -> T:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as crowd:
        return [each.result() for each in [crowd.submit(begin, job) for job in jobs]]


def posts(
    app: Flask, host: str, path: str, *, of: str = "/sign-in", clients: list[FlaskClient] | None = None, **form: str
) -> list[TestResponse]:
    """Send the same form from several browsers at once."""
    browsers = clients or [client_on(app, host) for _ in range(AT_ONCE)]
    tokens = [token_in(browser, of) for browser in browsers]

    def sender(browser: FlaskClient, token: str) -> Callable[[], TestResponse]:
        return lambda: browser.post(path, data={"csrf_token": token, **form})

    return at_once([sender(browser, token) for browser, token in zip(browsers, tokens, strict=True)])


def live(person_id: int) -> int:
    found = select(func.count(Session.id)).where(Session.person_id == person_id, Session.revoked_at.is_(None))
    return db.session.scalar(found) or 0


def audited(action: str, object_id: int) -> int:
    found = select(func.count(AuditEntry.id)).where(AuditEntry.action == action, AuditEntry.object_id == object_id)
    return db.session.scalar(found) or 0


@pytest.mark.parametrize("purpose", [Purpose.RESET, Purpose.INVITATION])
def test_a15_t25_of_several_who_follow_one_link_at_once_one_chooses_the_password(
    inside: House, purpose: Purpose
) -> None:
    person = inside.person()
    person_id, path = person.id, f"/{purpose}/{token_of(issue(person, purpose, now=clock.utcnow()))}"
    db.session.commit()
    answers = posts(inside.app, A_HOST, path, password="a quiet blue bicycle")
    assert sorted(answer.status_code for answer in answers) == [303] + [404] * (AT_ONCE - 1)
    db.session.expire_all()
    assert (audited("person.password", person_id), live(person_id)) == (1, 1)


@pytest.mark.parametrize("kind", ["digits of the app", "recovery code"])
def test_a31_of_several_who_type_one_code_at_once_one_gets_in(inside: House, kind: str) -> None:
    person = inside.person(Role.OFFICE)
    person_id, email, by = person.id, person.email, Actor(person.email, person.id)
    secret = accounts.begin_second_factor(person, NOW)
    codes = accounts.confirm_second_factor(person, pyotp.TOTP(secret).at(NOW), session_id=0, by=by, now=NOW)
    db.session.commit()
    browsers = [inside.sign_in(email) for _ in range(AT_ONCE)]
    code = codes[0] if kind == "recovery code" else pyotp.TOTP(secret).at(clock.utcnow())
    answers = posts(inside.app, STAFF_HOST, "/sign-in/code", of="/reset", clients=browsers, code=code)
    assert sorted(answer.status_code for answer in answers) == [303] + [422] * (AT_ONCE - 1)
    db.session.expire_all()
    assert live(person_id) == 1


def test_a_look_is_handed_over_to_one_browser(inside: House) -> None:
    person = inside.person(Role.OFFICE)
    email = person.email
    db.session.rollback()
    inside.sign_in(email)
    session_id = db.session.scalars(select(Session.id).where(Session.person_id == person.id)).one()
    company, by = db.session.get_one(Company, inside.company_id), Actor(person.email, person.id)
    token = hand_over(person, session_id, company, A_HOST, by=by, now=clock.utcnow())
    db.session.commit()
    browsers = [client_on(inside.app, A_HOST) for _ in range(AT_ONCE)]
    answers = at_once([lambda browser=browser: browser.get(f"/view-as/{token}") for browser in browsers])  # type: ignore[misc]
    assert sorted(answer.status_code == 303 for answer in answers) == [False] * (AT_ONCE - 1) + [True]
    assert {answer.status_code for answer in answers} <= {303, 404, 410}
    db.session.expire_all()
    assert live(person.id) == 2


def test_a30_of_several_who_confirm_one_address_at_once_one_gets_it(inside: House) -> None:
    paths, address = [], "wanted@people.test"
    for _ in range(AT_ONCE):
        link = issue(inside.person(), Purpose.EMAIL_CHANGE, now=clock.utcnow(), address=address)
        paths.append(f"/email/{token_of(link)}")
    db.session.commit()
    browsers = [client_on(inside.app, A_HOST) for _ in paths]
    tokens = [token_in(browser, "/sign-in") for browser in browsers]
    answers = at_once(
        [
            lambda browser=browser, path=path, token=token: browser.post(path, data={"csrf_token": token})  # type: ignore[misc]
            for browser, path, token in zip(browsers, paths, tokens, strict=True)
        ]
    )
    assert sorted(answer.status_code for answer in answers) == [303] + [422] * (AT_ONCE - 1)
    db.session.expire_all()
    assert db.session.scalar(select(func.count(Person.id)).where(Person.email == address)) == 1


def test_two_administrators_never_take_the_role_from_each_other_at_once(inside: House) -> None:
    pair = [inside.person(Role.ADMIN) for _ in range(2)]
    ids, emails = [each.id for each in pair], [each.email for each in pair]
    versions = [each.version for each in pair]
    db.session.rollback()
    browsers = [inside.sign_in(email) for email in emails]
    tokens = [token_in(browser, "/admin/people") for browser in browsers]

    def demote(by: int, whom: int) -> TestResponse:
        form = {"csrf_token": tokens[by], "version": str(versions[whom]), "role": "office"}
        return browsers[by].post(f"/admin/people/{ids[whom]}/role", data=form)

    answers = at_once([lambda: demote(0, 1), lambda: demote(1, 0)])
    assert sum("#role" in (answer.location or "") for answer in answers) == 1
    db.session.expire_all()
    roles = db.session.scalars(select(Person.role).where(Person.id.in_(ids))).all()
    assert sorted(roles, key=str) == [Role.ADMIN, Role.OFFICE]


def test_i21_an_import_is_applied_once_whoever_presses_and_however_many_work(inside: House) -> None:
    rows = 300
    content = "name\n" + "".join(f"Company {number}\n" for number in range(rows))
    run = imports.begin("companies", "x.csv", content.encode(), by=SYSTEM, now=clock.utcnow())
    assert imports.plan(run, run.mapping, {}, version=run.version, by=SYSTEM, now=clock.utcnow()) == {}
    run_id = run.id
    events.commit()

    def work() -> None:
        with inside.app.app_context():
            read_only.set(False)
            Work(run_id, now=clock.utcnow, lease_seconds=60).run()

    work()
    planned = db.session.get_one(ImportRun, run_id, populate_existing=True)
    assert planned.state is ImportState.PLANNED
    version, plan_hash = planned.version, planned.plan_hash or ""
    db.session.rollback()

    def press() -> bool:
        with inside.app.app_context():
            read_only.set(False)
            pressed = db.session.get_one(ImportRun, run_id)
            try:
                imports.apply(
                    pressed,
                    leave_out_refused=False,
                    plan_hash=plan_hash,
                    version=version,
                    by=SYSTEM,
                    now=clock.utcnow(),
                )
                events.commit()
            except (StaleEdit, StaleDataError, OperationalError):
                events.rollback()
                return False
            return True

    assert sum(at_once([press] * AT_ONCE)) == 1
    at_once([work] * AT_ONCE)
    db.session.expire_all()
    assert db.session.get_one(ImportRun, run_id).state is ImportState.DONE
    found = select(func.count(Company.id)).where(Company.name.startswith("Company "))
    assert db.session.scalar(found) == rows
    assert audited("import.apply", run_id) == 1


def test_a09_who_signs_in_while_the_password_changes_is_not_in_afterwards(inside: House) -> None:
    """Whichever of the two commits first: afterwards no session is open that the old password opened."""
    person = inside.person()
    person_id, email = person.id, person.email
    new_hash = accounts.hash_password("a quiet blue bicycle")
    db.session.rollback()
    browsers = [client_on(inside.app, A_HOST) for _ in range(AT_ONCE)]
    tokens = [token_in(browser, "/sign-in") for browser in browsers]

    def sign_in(browser: FlaskClient, token: str) -> int:
        return browser.post("/sign-in", data={"csrf_token": token, "email": email, "password": PASSWORD}).status_code

    def change() -> int:
        with inside.app.app_context():
            read_only.set(False)
            accounts.set_password(db.session.get_one(Person, person_id), new_hash, by=SYSTEM, now=clock.utcnow())
            events.commit()
        return 0

    pairs = zip(browsers, tokens, strict=True)
    at_once([*(lambda browser=browser, token=token: sign_in(browser, token) for browser, token in pairs), change])
    db.session.expire_all()
    assert live(person_id) == 0
