"""The leak proof looks at all that customers get, finds a leak wherever one is put in, and leaves nothing behind."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask, Response
from flask_migrate import upgrade
from sqlalchemy import inspect, select, update

from portal import clock, create_app, events
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.admin.leak_proof.doors import doors
from portal.alerts.actions import set_rights
from portal.alerts.models import Alert
from portal.alerts.rules import Maker, Rights
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Holding
from portal.config import Settings
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.actions import compose, telling
from portal.incidents.calendars import Account, Note, own_lines
from portal.incidents.mails import maintenance as maintenance_mails
from portal.incidents.models import (
    CompanyContract,
    Freeze,
    Incident,
    IncidentDraft,
    IncidentRevision,
    IncidentTemplate,
    IncidentUpdate,
    IncidentWording,
    Maintenance,
    MaintenanceSeries,
    Monitor,
    MonitorCondition,
    Postmortem,
    SlotRequest,
)
from portal.incidents.rules import Visibility
from portal.incidents.rules.wordings import Wording
from portal.jobs import exports, letters
from portal.jobs.actions import create_item, move, quotes
from portal.jobs.models import WorkMove, WorkStatus
from portal.jobs.proof import As, Door, Proof, Sort, prove
from portal.jobs.proof.words import Words
from portal.jobs.queries import public, settings_of
from portal.jobs.queries.offers import offered_now
from portal.jobs.queries.settings import revisions
from portal.jobs.rules import Role, Showing, StatusTable, Unseen, WorkKind, resolve
from portal.messages.models import Message
from portal.notifications import kinds
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.subscribers.models import Subscriber
from tests.conftest import NOW, Cast
from tests.jobs.conftest import role, save
from tests.security.world import World, checksum

PATIENCE = 600.0
"""Seconds: how busy the machine is says nothing of the code."""

LEADS_NOWHERE = {
    "/metrics",
    "/files/<public_id>/small",
    "/api/v1/availability",
    "/api/v1/availability/rule",
    "/api/v1/companies/<int:company_id>/admissions",
    "/api/v1/companies/<int:company_id>/availability-contract",
    "/api/v1/companies/<int:company_id>/memberships",
    "/api/v1/components/<int:component_id>/services",
    "/api/v1/components/<int:component_id>/status",
    "/api/v1/components/order",
    "/api/v1/incidents/<string(maxlength=40):incident_id>/updates/<string(maxlength=40):update_id>/wordings",
    "/api/v1/services/order",
}
"""Doors that refuse every customer, and small copies of pictures, of which A has none."""


def look(company_id: int, *rules: str, seconds: float = PATIENCE) -> Proof:
    """A proof through the doors of these rules only, or through all."""
    return prove(
        company_id, [each for each in doors() if not rules or each.rule in rules], clock.utcnow(), seconds=seconds
    )


@pytest.fixture
def some_work(cast: Cast) -> None:
    """A job that was moved to and fro, one shown as something else, a quote that was accepted."""
    now = clock.utcnow()
    save(replace(role(Role.ON_HOLD), showing=Showing.MAPPED, mapped_to_id=role(Role.SCHEDULED).id), now=now)
    of_a: Any = {"company_id": cast.a.id, "by": SYSTEM, "now": now, "contact_id": cast.alice.id}
    job = create_item(WorkKind.JOB, "Move the router", status_id=role(Role.SCHEDULED).id, **of_a)
    move(job, role(Role.IN_PROGRESS).id, by=SYSTEM, now=now, reason="Nobody else wants to")
    create_item(WorkKind.JOB, "Wait for parts", status_id=role(Role.ON_HOLD).id, **of_a)
    _accepted_quote(cast)
    events.commit()


def _accepted_quote(cast: Cast) -> None:
    now, kind = clock.utcnow(), WorkKind.QUOTE
    quote = create_item(kind, "Ten phones", company_id=cast.a.id, by=SYSTEM, now=now, contact_id=cast.alice.id)
    move(quote, role(Role.SENT, kind).id, by=SYSTEM, now=now, reason="")
    signer = quotes.Signer(cast.alice.id, cast.a.id, "", "")
    signature = quotes.Signature("Alice", "Alice")
    quotes.accept(quote.id, offered_now(quote.id).hash, signature, signer, agrees=True, by=SYSTEM, now=now)


class TestTheProductAsItIs:
    def test_everything_is_proven_and_nothing_found_and_nothing_stays(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every door of customers and their machines, whoever added it; every sort; every table as it was."""
        set_rights(world.cast.a.id, Rights.ALL, version=0, by=SYSTEM, now=clock.utcnow())
        db.session.execute(update(Alert).values(made_by=Maker.CUSTOMER))
        db.session.commit()
        rung: list[Any] = []
        # What the world has rung is rung again by a timer, because no Redis answers.
        here = threading.current_thread()
        monkeypatch.setattr(
            events.bell(), "announce", lambda *given: rung.append(given) if threading.current_thread() is here else None
        )
        # Other tests of this process may have kinds of mail of their own, which nobody writes here.
        own = {name: kind for name, kind in kinds._kinds.items() if kind.recipients.__module__.startswith("portal.")}
        monkeypatch.setattr(kinds, "_kinds", own)
        before = checksum()
        found = look(world.cast.a.id)
        assert found.leaks == ()
        assert [each for each in found.unproven if not each.is_nothing] == []
        assert {each.where for each in found.unproven} == LEADS_NOWHERE & {door.rule for door in doors()}
        assert all(found.counts[sort] for sort in Sort)
        assert found.words > 30
        assert checksum() == before
        assert not rung
        assert not db.session.info.get("tasks")
        places = {where for _sort, where in found.looked_at}
        assert {"/", "/jobs", "/quotes", "/your-jobs", "/status", "/live-token", "/api/v1/openapi.json"} <= places
        assert any(where.startswith("/badges/") for where in places)
        assert any(where.startswith("csv/work.csv") for where in places)
        assert any("receipt" in where for where in places)
        assert not [where for where in places if "/invitation/" in where and "<" not in where], "no token is told"

    def test_work_is_made_in_every_status(self, cast: Cast) -> None:
        """A company with no work at all will do."""
        found = look(cast.a.id, "/jobs", "/jobs/<number>", "/api/v1/jobs", "/quotes/<number>")
        pages = [where for sort, where in found.looked_at if sort is Sort.PAGE and where.startswith("/jobs/")]
        assert len(pages) == len(settings_of(WorkKind.JOB).table.rows)
        assert found.leaks == ()

    def test_a_door_is_found_by_its_audience(self, settings: Settings) -> None:
        """A route that is added tomorrow is proven without anybody remembering."""
        made = create_app(settings)
        made.add_url_rule("/things/<int:thing_id>", endpoint="customer_home.thing", view_func=lambda thing_id: "")
        made.add_url_rule("/admin/things", endpoint="admin_jobs.thing", view_func=lambda: "")
        with made.app_context():
            found = {door.rule: door for door in doors()}
            db.engine.dispose()
        assert found["/things/<int:thing_id>"] == Door("/things/<int:thing_id>", (As.CUSTOMER,))
        assert found["/api/v1/jobs"].asked_as == (As.MACHINE,)
        assert found["/sign-in"].asked_as == (As.CUSTOMER, As.NOBODY, As.OUTSIDER)
        assert "/api/v1/work-statuses" not in found, "no token of a company reads the office's names"
        assert not [rule for rule in found if rule.startswith("/admin")]


Spoil = Callable[[Response, StatusTable], Any]


@pytest.fixture
def spoiled(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Spoil], None]:
    """Has a view give something away that is made of the statuses as the office has them."""

    def spoil(endpoint: str, how: Spoil) -> None:
        view: Any = app.view_functions[endpoint]

        def leaky(**values: Any) -> Response:
            response = app.make_response(view(**values))
            how(response, settings_of(WorkKind.JOB).table)
            return response

        monkeypatch.setitem(app.view_functions, endpoint, leaky)

    return spoil


def _say(told: Callable[[StatusTable], str]) -> Spoil:
    return lambda response, table: response.set_data(response.get_data(as_text=True) + told(table))


def _first_name(table: StatusTable) -> str:
    return table.rows[0].name


def _place(_table: StatusTable) -> str:
    return str(db.session.scalar(select(WorkStatus.position).where(WorkStatus.kind == WorkKind.JOB).limit(1)))


def _sorts(found: Proof) -> set[Sort]:
    return {leak.sort for leak in found.leaks}


def test_a_colour_that_is_in_use_is_never_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be found where nothing has leaked."""
    thrown = iter(["2457d6", "aabbcc", "aabbcc", "010203"])
    monkeypatch.setattr("portal.jobs.proof.words.secrets.token_hex", lambda _bytes: next(thrown))
    words = Words()
    words.avoid(".badge { color: #2457D6 }")
    assert [words.color("the first"), words.color("the second")] == ["#aabbcc", "#010203"]
    assert words.found_in("#2457d6 %23AABBCC #0102034") == ["the first"]


class GivenAway(NamedTuple):
    """A leak in the answer of a view, what it is an answer of, and how what it gives away is called."""

    rule: str
    endpoint: str
    how: Spoil
    sort: Sort
    what: str = "the name of"


GIVEN_AWAY = {
    "page": GivenAway("/jobs", "customer_jobs.jobs", _say(_first_name), Sort.PAGE),
    "fragment": GivenAway("/your-jobs", "customer_home.your_jobs", _say(_first_name), Sort.FRAGMENT),
    "order": GivenAway("/jobs", "customer_jobs.jobs", _say(_place), Sort.PAGE, "the place of"),
    "live": GivenAway("/live-token", "public_live.live_token", _say(_first_name), Sort.FEED),
    "feed": GivenAway("/api/v2/summary.json", "api_v2.summary", _say(_place), Sort.FEED, "the place of"),
    "api": GivenAway("/api/v1/jobs", "api_jobs.list_jobs", _say(_first_name), Sort.API),
    "sheet": GivenAway(
        "/badges/<version>.css",
        "customer_work_sheet.sheet",
        _say(lambda table: f".x{{color:{table.rows[0].color}}}"),
        Sort.SHEET,
        "the colour of",
    ),
    "header": GivenAway(
        "/services",
        "customer_services.services",
        lambda response, table: response.headers.set("X-Status", _first_name(table)),
        Sort.PAGE,
    ),
    "etag": GivenAway(
        "/quotes",
        "customer_quotes.quotes",
        lambda response, table: response.set_etag(_first_name(table)),
        Sort.PAGE,
    ),
}


@pytest.mark.usefixtures("some_work")
class TestLeaksThatArePutIn:
    """One in each class of what customers get."""

    @pytest.mark.parametrize("given", GIVEN_AWAY.values(), ids=GIVEN_AWAY.keys())
    def test_in_an_answer(self, cast: Cast, spoiled: Callable[[str, Spoil], None], given: GivenAway) -> None:
        spoiled(given.endpoint, given.how)
        # The sheet is found through a page that links it.
        found = look(cast.a.id, given.rule, "/jobs")
        assert given.sort in _sorts(found)
        assert all(leak.what.startswith(given.what) for leak in found.leaks)
        assert all(leak.where.startswith(given.rule.partition("<")[0]) for leak in found.leaks)

    def test_in_whatever_resolves_a_status(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        """The one way to a public status gives away the internal name: pages, API, mails and exports show it."""

        def leaky(table: StatusTable, status_id: int) -> Any:
            seen = resolve(table, status_id)
            return seen if isinstance(seen, Unseen) else replace(seen, name=table.by_id[seen.id].name)

        monkeypatch.setattr(public, "resolve", leaky)
        found = look(cast.a.id, "/", "/jobs", "/jobs/<number>", "/api/v1/jobs")
        assert {Sort.PAGE, Sort.FRAGMENT, Sort.API, Sort.MAIL, Sort.EXPORT} <= _sorts(found)
        assert {"/", "/jobs"} <= {leak.where for leak in found.leaks}

    def test_in_an_export(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        def leaky(table: StatusTable, status_id: int) -> Any:
            return replace(public.shown_status(table, status_id), name=table.by_id[status_id].name)

        monkeypatch.setattr(exports, "shown_status", leaky)
        found = look(cast.a.id, "/jobs")
        assert _sorts(found) == {Sort.EXPORT}
        assert any(leak.where.startswith("json/work.json in the export of company") for leak in found.leaks)

    @pytest.mark.parametrize("letter", ["window_of", "format_currency"], ids=["status", "receipt"])
    def test_in_a_mail(self, cast: Cast, monkeypatch: pytest.MonkeyPatch, letter: str) -> None:
        monkeypatch.setattr(letters, letter, lambda *_given: _first_name(settings_of(WorkKind.JOB).table))
        found = look(cast.a.id, "/jobs")
        assert _sorts(found) == {Sort.MAIL}
        assert all(leak.where.startswith("the mail “") for leak in found.leaks)

    def test_of_a_move_and_of_a_note(
        self, cast: Cast, spoiled: Callable[[str, Spoil], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def moves(_table: StatusTable) -> str:
            return " ".join(db.session.execute(select(WorkMove.reason, WorkMove.by_name).limit(1)).one())

        spoiled("customer_jobs.jobs", _say(moves))
        found = look(cast.a.id, "/jobs")
        assert {leak.what for leak in found.leaks} == {"the reason of a move", "who made a move"}

    def test_of_a_status_that_is_named_differently_today(
        self, cast: Cast, spoiled: Callable[[str, Spoil], None]
    ) -> None:
        """What an earlier save called it is the office's too."""
        spoiled("customer_jobs.jobs", _say(lambda _table: revisions(WorkKind.JOB)[0].table.rows[1].name))
        assert look(cast.a.id, "/jobs").leaks


def _of(column: Any, *where: Any) -> Spoil:
    """Gives away the newest of a column, as JSON escapes it."""

    def told(_table: StatusTable) -> str:
        value = db.session.scalar(select(column).where(*where).order_by(column.class_.id.desc()).limit(1))
        return f"{value / 1000:.3f} %" if isinstance(value, int) else str(value)

    return _say(told)


PRIVATE = Visibility.PRIVATE

OF_OTHERS = {
    "calendar": ("/calendar/<secret>.ics", "public_own_calendar.company", _of(Freeze.reason), Sort.FEED),
    "manage": ("/subscribe/manage/<token>", "public_subscribe.manage", _of(Company.name), Sort.PAGE),
    "confirm": ("/subscribe/confirm/<token>", "public_subscribe.confirm", _of(Person.email), Sort.PAGE),
    "subscribe": (
        "/subscribe",
        "public_subscribe.sign_up",
        _of(Subscriber.consent, Subscriber.consent != ""),
        Sort.PAGE,
    ),
    "work": ("/maintenances/<public_id>", "public_maintenances.maintenance", _of(SlotRequest.text), Sort.PAGE),
    "asked": ("/maintenances/<public_id>/slot", "customer_maintenances.slot", _of(SlotRequest.answer), Sort.PAGE),
    "freezes": ("/maintenances/freezes", "customer_maintenances.freezes", _of(Freeze.reason), Sort.PAGE),
    "incident": (
        "/incidents/<public_id>",
        "public_incidents.incident",
        _of(IncidentUpdate.body, IncidentUpdate.visibility == PRIVATE),
        Sort.PAGE,
    ),
    "changes": ("/incidents/<public_id>", "public_incidents.incident", _of(IncidentRevision.before), Sort.PAGE),
    "page": ("/status", "public_status.status", _of(Postmortem.body, Postmortem.published_at.is_(None)), Sort.PAGE),
    "history": ("/status/history", "public_status.history", _of(Incident.title), Sort.PAGE),
    "atom": ("/status/feed.atom", "public_feeds.feed", _of(IncidentWording.text), Sort.FEED),
    "ics": ("/status/maintenance.ics", "public_calendar.maintenance", _of(Maintenance.title), Sort.FEED),
    "badge": ("/status/badge.svg", "public_badge.badge", _of(IncidentDraft.title), Sort.SHEET),
    "banner": ("/status/embed", "public_embed.frame", _of(Monitor.name), Sort.PAGE),
    "summary": ("/api/v2/summary.json", "api_v2.summary", _of(MonitorCondition.text), Sort.FEED),
    "months": (
        "/services/availability/month.csv",
        "customer_availability.as_csv",
        _of(CompanyContract.target),
        Sort.FEED,
    ),
    "api": ("/api/v1/incidents", "api_incidents.list_incidents", _of(IncidentTemplate.body), Sort.API),
    "planned": ("/api/v1/maintenances", "api_maintenances.list_maintenances", _of(MaintenanceSeries.title), Sort.API),
    "reach": ("/api/v1/companies", "api_companies.list_companies", _of(Delivery.address, Delivery.id == 1), Sort.API),
}
"""Doors at which something of reports and planned work is given away: the rule, its endpoint, what, and as what."""


@pytest.fixture
def something_held(cast: Cast) -> None:
    service = catalogue.add_service("Hosted telephony", by=SYSTEM, now=NOW)
    catalogue.add_holding(cast.a, service, by=SYSTEM, now=NOW, reference="HT-1")
    events.commit()


@pytest.mark.usefixtures("something_held")
class TestLeaksOfReportsAndPlannedWork:
    """What is another company's, or the staff's alone: one is put into each door, another each time."""

    @pytest.mark.parametrize("given", OF_OTHERS.values(), ids=OF_OTHERS.keys())
    def test_in_an_answer(
        self, cast: Cast, spoiled: Callable[[str, Spoil], None], given: tuple[str, str, Spoil, Sort]
    ) -> None:
        rule, endpoint, how, sort = given
        spoiled(endpoint, how)
        # What leads there, beside the door itself.
        found = look(cast.a.id, rule, "/", "/status", "/maintenances/<public_id>")
        assert sort in _sorts(found)
        assert all(leak.where.startswith(rule.partition("<")[0]) for leak in found.leaks)

    def test_in_the_words_of_an_incident(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever picks among the wordings gives everybody the same one: the mail is another company's."""

        def leaky(incident: Incident, update: IncidentUpdate, components: Any, wordings: Sequence[Wording] = ()) -> Any:
            told = compose(incident, update, components, wordings)
            theirs = {key.partition("-c")[0]: wording for key, wording in told.items() if "-c" in key}
            return {key: theirs.get(key, wording) for key, wording in told.items()}

        monkeypatch.setattr(telling, "compose", leaky)
        found = look(cast.a.id, "/status")
        assert {leak.what for leak in found.leaks} == {"what is told another company"}
        assert _sorts(found) == {Sort.MAIL}

    def test_in_the_call_of_a_webhook(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        def leaky(*_given: Any) -> dict[str, Any]:
            note = select(IncidentUpdate.body).where(IncidentUpdate.visibility == PRIVATE)
            return {"incident": {}, "update": {"text": db.session.scalars(note).first()}, "components": []}

        monkeypatch.setattr(telling, "facts_of", leaky)
        found = look(cast.a.id, "/status")
        assert {leak.what for leak in found.leaks} == {"a private update of an incident"}
        assert _sorts(found) == {Sort.CALL}

    def test_in_the_account_of_planned_work(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        """The part of a mail that programs read names the circuits of every company."""

        def leaky(note: Note, accounts: Sequence[Account]) -> str:
            every = db.session.scalars(select(Holding.reference)).all()
            return own_lines(note, [replace(each, objects=every) for each in accounts])

        monkeypatch.setattr(maintenance_mails, "own_lines", leaky)
        found = look(cast.a.id, "/status")
        assert {leak.what for leak in found.leaks} == {"the reference of another company"}
        assert _sorts(found) == {Sort.MAIL}


class TestWhatCannotBeLookedAt:
    def test_what_breaks_is_not_proven(self, cast: Cast, spoiled: Callable[[str, Spoil], None]) -> None:
        def breaks(_response: Response, _table: StatusTable) -> None:
            raise ZeroDivisionError

        spoiled("customer_jobs.jobs", breaks)
        found = look(cast.a.id, "/jobs")
        assert ("/jobs", "it could not be rendered: ZeroDivisionError") in [(u.where, u.why) for u in found.unproven]

    @pytest.mark.parametrize("commits", [True, False])
    def test_what_wants_to_write_is_not_proven_and_writes_nothing(
        self, cast: Cast, spoiled: Callable[[str, Spoil], None], *, commits: bool
    ) -> None:
        before = checksum()

        def writes(_response: Response, _table: StatusTable) -> None:
            if commits:
                db.session.commit()
            else:
                catalogue.add_group("Kept", by=SYSTEM, now=NOW)
                db.session.flush()

        spoiled("customer_jobs.jobs", writes)
        found = look(cast.a.id, "/jobs")
        assert any(each.where == "/jobs" and not each.is_nothing for each in found.unproven)
        assert checksum() == before

    def test_time_is_bounded_and_what_was_left_is_told(self, cast: Cast) -> None:
        found = look(cast.a.id, "/jobs", "/quotes", seconds=0)
        assert found.leaks == ()
        told = {each.where: each.why for each in found.unproven}
        assert "the time was up" in told["/jobs"]
        assert "the time was up" in told["/quotes"]
        assert any("the time was up" in why for where, why in told.items() if "mail" in where or "export" in where)

    def test_a_company_nobody_signs_in_for_is_refused(self, cast: Cast) -> None:
        cast.alice.deactivated_at = cast.bob.deactivated_at = clock.utcnow()
        db.session.commit()
        with pytest.raises(RuleViolation, match="somebody who signs in"):
            look(cast.a.id, "/jobs")


# On a database of its own, where transactions are real


@pytest.fixture
def own_app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    """An app whose sessions really commit, with one company."""
    environment = {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": "a key that protects nothing but this test",
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }
    app = create_app(Settings.from_environment(environment))
    with app.app_context():
        read_only.set(False)
        upgrade()
        domain = domains.add_domain("http://a.portal.test", "Northline", areas=set(Area), by=SYSTEM, now=NOW)
        company = accounts.add_company("Alder Dental", by=SYSTEM, now=NOW)
        domains.admit(company, domain, is_home=True, by=SYSTEM, now=NOW)
        person = accounts.add_person("Alice", "alice@people.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, company, by=SYSTEM, now=NOW)
        create_item(
            WorkKind.JOB, "Move the router", company_id=company.id, by=SYSTEM, now=clock.utcnow() - timedelta(1)
        )
        db.session.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


def test_others_write_and_read_as_ever_while_a_proof_runs(own_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a lock of it, nobody sees a word of it, and a second press is told to wait."""
    met: list[Any] = []
    view = own_app.view_functions["customer_jobs.jobs"]

    def others() -> None:
        with own_app.app_context():
            read_only.set(False)
            begun = time.monotonic()
            catalogue.add_group("Others", by=SYSTEM, now=NOW)
            events.commit()
            names = db.session.scalars(select(WorkStatus.name)).all()
            db.session.rollback()
            try:
                look(1, "/jobs")
            except RuleViolation as refused:
                met.append((time.monotonic() - begun, [name for name in names if name.startswith("LEAK")], refused))

    def meanwhile(**values: Any) -> Any:
        if not met:
            beside = threading.Thread(target=others)
            beside.start()
            beside.join(30)
        return view(**values)

    monkeypatch.setitem(own_app.view_functions, "customer_jobs.jobs", meanwhile)
    with own_app.app_context():
        read_only.set(False)
        found = look(1, "/jobs")
        names = db.session.scalars(select(WorkStatus.name)).all()
        temporary = inspect(db.session.connection()).get_temp_table_names()
        assert db.session.scalars(select(Broadcast)).all() == []
        assert db.session.scalars(select(Message)).all() == []
    assert found.leaks == ()
    assert not [each for each in found.unproven if each.where == "/jobs"]
    assert temporary == []
    assert not [name for name in names if name.startswith("LEAK")]
    ((waited, seen, refused),) = met
    assert "is running" in str(refused)
    assert seen == []
    assert waited < 4, "less than a writer waits for the lock of another"


def test_one_proof_after_another_on_the_same_connections(own_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements a connection knows from before still find what is planted, and afterwards what is real."""
    with own_app.app_context():
        read_only.set(False)
        for _ in range(8):
            # PostgreSQL keeps a statement prepared after it was asked a few times.
            settings_of(WorkKind.JOB)
        db.session.rollback()
    monkeypatch.setattr(
        letters, "window_of", lambda *_given: _first_name(settings_of(WorkKind.JOB).table), raising=True
    )
    for _ in range(2):
        with own_app.app_context():
            read_only.set(False)
            before = settings_of(WorkKind.JOB)
            assert _sorts(look(1, "/jobs")) == {Sort.MAIL}
            assert settings_of(WorkKind.JOB) == before
