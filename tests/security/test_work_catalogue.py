"""T04–T06, T12, T13, T15–T20, T23, T29, T30, W03: jobs, quotes, their messages and files, to those they are not for."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from bs4 import BeautifulSoup, Comment
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Person
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.files.actions import Giver
from portal.files.models import StoredFile
from portal.jobs import mails
from portal.jobs.actions import NOTICE_AFTER, move
from portal.jobs.models import QuoteAnswer, WorkItem, WorkStatus
from portal.jobs.queries import settings_of
from portal.jobs.rules import Category, Role, Showing, StatusRow, WorkKind, written_number
from portal.jobs.subjects import ref_of
from portal.messages.actions import write
from portal.messages.models import Message
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.choosing import offer_for
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.models import Broadcast, ContactChannel, Delivery
from portal.records.rules.exports import ExportKind
from tests.api.v1.conftest import Machine, MakeMachine, maker, refusal
from tests.conftest import Cast, SignIn, client_on, token_in
from tests.customer.jobs.conftest import OLAF, Book, move_to
from tests.files.contents import pdf
from tests.jobs.conftest import role, save
from tests.jobs.test_quotes import shown_on
from tests.security.conftest import masked
from tests.security.mailbox import as_sent
from tests.security.rights import RIGHTS, For, address, routes
from tests.security.test_exports import texts
from tests.security.test_files import form, id_in, upload
from tests.security.world import A_HOST, B_HOST, ROLES, World, checksum, client_of

HTMX = {"HX-Request": "true"}
UNLIKELY = 987_654_321
"""The id of a work status that stands in no page for any other reason."""


@pytest.fixture
def alice(sign_in: SignIn, cast: Cast) -> FlaskClient:
    return sign_in(cast.alice)


@pytest.fixture
def charlie(sign_in: SignIn, cast: Cast) -> FlaskClient:
    return sign_in(cast.charlie)


@pytest.fixture
def machine(app: Flask, cast: Cast) -> MakeMachine:
    return maker(app, cast)


def path_of(item: WorkItem, rest: str = "") -> str:
    return f"/{item.kind.value}s/{written_number(item.kind, item.number)}{rest}"


def sent(client: FlaskClient, path: str, **values: Any) -> TestResponse:
    """Send a form with a good token, as a script of the page would."""
    return client.post(path, data={"csrf_token": token_in(client, "/nothing-here"), **values})


def sent_with_file(client: FlaskClient, path: str, content: bytes = b"The plan", **values: Any) -> TestResponse:
    token = token_in(client, "/nothing-here")
    return client.post(path, **form(csrf_token=token, files=FileStorage(io.BytesIO(content), "plan.txt"), **values))


def last_file() -> str:
    return db.session.scalars(select(StoredFile.public_id).order_by(StoredFile.id.desc())).first() or ""


def count(model: type[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def letters() -> list[tuple[str, Broadcast, EmailMessage]]:
    """Every mail about work that was written down, as it goes out, with its address."""
    mails.mail_notices(clock.utcnow() + NOTICE_AFTER)
    events.commit()
    rows = db.session.execute(
        select(Delivery, Broadcast)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Broadcast.kind.in_(["job", "quote", "quote_receipt", "work_office"]))
        .order_by(Delivery.id)
    )
    return [(row.address, broadcast, as_sent(row, broadcast, clock.utcnow())) for row, broadcast in rows]


# T12, W03: how the office works


@pytest.fixture
def internal(world: World) -> World:
    """A's job stands in a status of its own that is shown as In progress, whose name, colour and id are unlikely."""

    def name_it(_mapper: Any, _connection: Any, row: WorkStatus) -> None:
        row.id = UNLIKELY

    now, shown = clock.utcnow(), role(Role.IN_PROGRESS)
    event.listen(WorkStatus, "before_insert", name_it)
    try:
        save(
            replace(shown, portal_name="Being worked on"),
            StatusRow(
                id=-1,
                role=None,
                category=Category.UNDER_WAY,
                name="CANARYstaffinternalQX",
                showing=Showing.MAPPED,
                mapped_to_id=shown.id,
                color="#64ab64",
            ),
            now=now,
        )
    finally:
        event.remove(WorkStatus, "before_insert", name_it)
    item = db.session.get_one(WorkItem, world.ids["job_a"])
    item.contact_id = world.cast.alice.id
    move(item, UNLIKELY, by=OLAF, now=now, reason="CANARYstaffreasonQX")
    events.commit()
    return world


def seen_by_alice(app: Flask, world: World) -> Iterator[tuple[str, str]]:
    """All that a customer of A is ever given: every page and fragment, every answer of the API, exports and mails."""
    yield from answers_to_alice(app, world)
    for about, whose in ((ExportKind.COMPANY, world.cast.a.id), (ExportKind.PERSON, world.cast.alice.id)):
        yield from texts(about, whose).items()
    for to, broadcast, message in letters():
        if to == world.cast.alice.email:
            parts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
            yield f"mail {broadcast.kind}", "".join([message.as_string(), *parts])


def answers_to_alice(app: Flask, world: World) -> Iterator[tuple[str, str]]:
    client = client_of(app, world.cast, next(each for each in ROLES if each.name == "Alice"))
    bound = maker(app, world.cast)(Scope.READ, world.cast.a)
    key = bound.read("/jobs")["items"][0]["public_status"]["key"]
    for rule in routes(app):
        if "GET" in (rule.methods or set()):
            path = address(app, world, rule, RIGHTS[rule.endpoint].ours)
            is_api = RIGHTS[rule.endpoint].audience is For.TOKENS
            asked = bound.client.get if is_api else client.get
            for headers in ({"Authorization": f"Bearer {bound.token}"},) if is_api else ({}, HTMX):
                answer = asked(path, headers=headers)
                yield path, f"{answer.get_data(as_text=True)}\n{answer.headers}"
    job = f"/jobs/{world.public_ids['job_a']}"
    for path in (f"/jobs?status={key}", "/jobs?q=CANARYstaff", f"/jobs?status={UNLIKELY}", f"{job}?on=2026-11-22"):
        yield path, client.get(path).get_data(as_text=True)


def test_t12_nothing_of_an_internal_status_is_in_anything_a_customer_is_given(app: Flask, internal: World) -> None:
    """Neither name, colour nor id: not in text, attributes, classes, options, comments, JSON, CSV, headers or mails."""
    forbidden = next(each for each in ROLES if each.name == "Alice").forbidden()
    wrong, shown = [], set()
    for where, said in seen_by_alice(app, internal):
        shown |= {where} if "Being worked on" in said else set()
        for what, found in (
            ("a canary", forbidden.search(said)),
            ("the id", re.search(str(UNLIKELY), said)),
            ("an internal colour", re.search(r"#6[4-9a-f]ab6[4-9a-f]", said, re.IGNORECASE)),
        ):
            if found and not (what == "the id" and where.endswith(f"status={UNLIKELY}")):
                wrong.append(f"{where}: {what}, {found.group()}")
        if "<html" in said:
            soup = BeautifulSoup(said, "html.parser")
            wrong += [f"{where}: a comment, {each}" for each in soup.find_all(string=lambda s: isinstance(s, Comment))]
    assert not wrong, "\n".join(wrong)
    job = internal.public_ids["job_a"]
    assert {"/jobs", f"/jobs/{job}", "/your-jobs", f"/api/v1/jobs/{job}", "/api/v1/jobs", "mail job"} <= shown
    assert {"csv/work.csv", "json/work.json"} <= shown


def test_t12_a_badge_is_told_by_an_opaque_word(app: Flask, internal: World) -> None:
    """Classes of badges and values of filters are made of the public name alone, so they are those of In progress."""
    client = client_of(app, internal.cast, next(each for each in ROLES if each.name == "Alice"))
    bound = maker(app, internal.cast)(Scope.READ, internal.cast.a)
    keys = {each["public_status"]["key"] for each in bound.all("/jobs")}
    for path in ("/jobs", f"/jobs/{internal.public_ids['job_a']}"):
        page = client.get(path).get_data(as_text=True)
        soup = BeautifulSoup(page, "html.parser")
        words = {word for each in soup.select("[class]") for word in each["class"] if word.startswith("w-")}
        known = set(re.findall(r"\.(w-[\w-]+)", client.get(sheet_in(soup)).get_data(as_text=True)))
        assert words
        assert words <= known
        statuses = {option["value"] for option in soup.select("[name=status] option, input[name=status]")}
        links = {
            found
            for each in soup.select("a[href*='status=']")
            for found in re.findall(r"status=([^&]*)", str(each["href"]))
        }
        assert not any(each.isdecimal() for each in (*statuses, *links))
        assert all(any(key in word for word in known) for key in keys)


def sheet_in(soup: BeautifulSoup) -> str:
    """The address of the colours of badges."""
    return next(str(each["href"]) for each in soup.select("link[rel=stylesheet]") if "/badges/" in str(each["href"]))


def test_w03_t12_no_channel_of_a_customer_is_told_of_work(internal: World) -> None:
    """Whatever a webhook of A may hear of: moves, answers and messages of staff send nothing there."""
    now, cast = clock.utcnow(), internal.cast
    channel = db.session.get_one(ContactChannel, internal.ids["channel"])
    offer = offer_for(channel, now)
    everything = [*offer.kinds, *offer.finer_keys]
    assert not {"jobs", "quotes", "work"} & set(everything)
    added, _secret = add_channel(
        ChannelKind.WEBHOOK, "All", "https://hooks.invalid/all", everything, company_id=cast.a.id, by=SYSTEM, now=now
    )
    job = db.session.get_one(WorkItem, internal.ids["job_a"])
    move(job, role(Role.COMPLETED).id, by=OLAF, now=now, reason="Done")
    write(ref_of(job), "We have been there.", Giver(cast.olaf.id, "Olaf", None), key="there", now=now)
    events.commit()
    assert [to for to, _broadcast, _message in letters()].count(cast.alice.email) >= 2, "by mail it is told"
    told = select(func.count()).where(Delivery.contact_channel_id.in_([channel.id, added.id]))
    assert db.session.scalar(told.where(Delivery.created_at >= now)) == 0


# T13, T15: what customers are shown instead


def test_t13_a_status_without_a_mapping_shows_its_stored_name(
    alice: FlaskClient,
    machine: MakeMachine,
    cast: Cast,
    work: Book,
) -> None:
    item = work()
    save(
        StatusRow(id=-1, role=None, category=Category.WAITING, name="CANARYone", portal_name="With us", color="#135135")
    )
    added = next(row for row in settings_of(WorkKind.JOB).table.rows if row.name == "CANARYone")
    move(item, added.id, by=OLAF, now=clock.utcnow())
    events.commit()
    bound = machine(Scope.READ, cast.a)
    for name in ("CANARYtwo", "CANARYthree"):
        save(replace(added, name=name))
        listed, page = alice.get("/jobs").text, alice.get(path_of(item)).text
        assert path_of(item) in listed
        assert "With us" in listed
        assert "With us" in page
        assert bound.read(path_of(item))["public_status"]["name"] == "With us"
        assert "CANARY" not in listed + page


@pytest.mark.usefixtures("frozen")
def test_t15_moves_within_one_public_status_leave_no_trace(
    alice: FlaskClient,
    machine: MakeMachine,
    cast: Cast,
    work: Book,
) -> None:
    """No entry, no moment, no ETag, no mail; and the place in the list stays."""
    shown = role(Role.SCHEDULED)
    save(
        replace(role(Role.ON_HOLD), showing=Showing.MAPPED, mapped_to_id=shown.id),
        StatusRow(id=-1, role=None, category=Category.WAITING, name="Parts", portal_name="scheduled", color="#135135"),
    )
    parts = next(row.id for row in settings_of(WorkKind.JOB).table.rows if row.name == "Parts")
    item = work(Role.SCHEDULED, now=clock.utcnow() - timedelta(days=3), contact_id=cast.alice.id)
    work(now=clock.utcnow() - timedelta(days=2))
    bound = machine(Scope.READ, cast.a)
    letters()

    def looks() -> list[str]:
        pages = [masked(alice.get(path, headers=HTMX)) for path in ("/jobs", path_of(item), "/your-jobs")]
        answers = [bound.get(path) for path in ("/jobs", path_of(item))]
        return [*pages, *(f"{each.data!r} {each.headers['ETag']}" for each in answers)]

    looks()  # with it come the cookie of forms and the last use of the token
    before, told = looks(), len(letters())
    for status_id in (role(Role.ON_HOLD).id, parts, shown.id):
        move(item, status_id, by=OLAF, now=clock.utcnow(), reason="Why")
        events.commit()
        assert looks() == before
    assert len(letters()) == told
    assert len(bound.read(path_of(item))["changes"]) == 1


# T03, T16, T23, T30: whose it is


def test_t03_t02_what_is_foreign_looks_missing_and_takes_nothing(
    alice: FlaskClient,
    charlie: FlaskClient,
    work: Book,
    quote: WorkItem,
) -> None:
    shown, job = shown_on(alice, quote), work()
    charlie.get("/jobs")
    before = checksum()
    for item in (job, quote):
        number, missing = written_number(item.kind, item.number), f"{item.kind.value[0].upper()}-999999"
        for rest in ("", "/accept", "/decline", "/files", "/cancel"):
            for path in (path_of(item, rest), f"/messages/{item.kind.value}/{number}"):
                nothing = path.replace(number, missing)
                assert masked(charlie.get(path)).replace(number, missing) == masked(charlie.get(nothing)), path
                answers = [
                    sent(charlie, each, key="k", body="x", name="C", signature="C", shown=shown, agrees="y", reason="x")
                    for each in (path, nothing)
                ]
                assert answers[0].status_code in {404, 405}, path
                assert masked(answers[0]).replace(number, missing) == masked(answers[1]), path
    assert checksum() == before


def test_t03_a_hidden_item_is_missing_everywhere(
    alice: FlaskClient, machine: MakeMachine, cast: Cast, work: Book
) -> None:
    item = work(Role.IN_PROGRESS)
    number, bound = f"J-{item.number}", machine(Scope.READ, cast.a)
    paths = (f"/jobs/{number}", f"/messages/job/{number}")
    assert {alice.get(path).status_code for path in paths} == {200}
    save(replace(role(Role.IN_PROGRESS), showing=Showing.ITEM_HIDDEN))
    for path in paths:
        assert alice.get(path).status_code == 404, path
        assert sent(alice, path, body="x", key="k").status_code in {404, 405}, path
    refusal(bound.get(f"/jobs/{number}"), 404)
    for path in ("/jobs", "/", "/your-jobs", f"/jobs?q={number}"):
        assert f"/jobs/{number}" not in alice.get(path).text, path
    assert bound.all("/jobs") == []


def test_t16_a_session_of_one_portal_opens_no_work_on_another(app: Flask, alice: FlaskClient, work: Book) -> None:
    item, cookie = work(), alice.get_cookie("sid", domain=A_HOST)
    assert cookie is not None
    other = client_on(app, B_HOST)
    other.set_cookie("sid", cookie.value, domain=B_HOST)
    for path in ("/jobs", path_of(item), "/quotes"):
        assert other.get(path).status_code == 302, path


def test_t23_who_no_longer_belongs_to_the_company_is_out(alice: FlaskClient, cast: Cast, quote: WorkItem) -> None:
    shown, token = shown_on(alice, quote), token_in(alice, "/quotes")
    accounts.remove_membership(cast.alice, cast.a, by=SYSTEM, now=clock.utcnow())
    events.commit()
    for path in ("/quotes", path_of(quote), path_of(quote, "/accept"), f"/messages/quote/Q-{quote.number}"):
        assert alice.get(path).status_code in {302, 401, 404}, path
    given = {"csrf_token": token, "name": "A", "signature": "A", "agrees": "y", "shown": shown}
    assert alice.post(path_of(quote, "/accept"), data=given).status_code in {302, 400, 401, 404}
    assert count(QuoteAnswer) == 0


def test_t30_pages_and_counts_are_of_what_is_shown(alice: FlaskClient, work: Book, cast: Cast) -> None:
    save(replace(role(Role.ON_HOLD), showing=Showing.ITEM_HIDDEN))
    for _each in range(2):
        work(), work(Role.ON_HOLD), work(company=cast.b)
    for path in ("/jobs", "/quotes"):
        for page in ("0", "-1", "a", "999", "1e3", "99999999999999999999", "٣"):
            assert alice.get(f"{path}?page={page}").status_code == 404, f"{path} {page}"
        assert alice.get(f"{path}?page=1&per_page=100000").status_code == 200
    soup = BeautifulSoup(alice.get("/jobs").text, "html.parser")
    assert len({str(each["href"]) for each in soup.select("a[href^='/jobs/J-']")}) == 2
    counts = [int(found) for each in soup.select("a[href*='status=']") for found in re.findall(r"\d+", each.get_text())]
    assert max(counts, default=2) == 2


# T04, T05, T06: files of work


def test_t04_a_file_of_work_is_for_whoever_sees_the_work(
    sign_in: SignIn, machine: MakeMachine, cast: Cast, work: Book
) -> None:
    item, alice, bob, charlie = work(), *(sign_in(each) for each in (cast.alice, cast.bob, cast.charlie))
    assert sent_with_file(alice, path_of(item, "/files")).status_code == 303
    linked = last_file()
    unfinished = id_in(upload(alice, pdf(), "draft.pdf"))
    charlie.get("/")
    for public_id in (linked, unfinished):
        answer, missing = (charlie.get(f"/files/{each}") for each in (public_id, "a" * 26))
        assert masked(answer).replace(public_id, "a" * 26) == masked(missing)
    assert bob.get(f"/files/{linked}").status_code == 200
    assert bob.get(f"/files/{unfinished}").status_code == 404, "before the form is sent it is its writer's alone"
    for bound, status in ((machine(Scope.READ, cast.a), 200), (machine(Scope.READ, cast.b), 404)):
        assert bound.get(path_of(item, f"/files/{linked}/content")).status_code == status
        assert bound.get(path_of(item, f"/files/{unfinished}/content")).status_code == 404
    save(replace(role(Role.REQUESTED), name="Asked"), replace(role(Role.ON_HOLD), showing=Showing.ITEM_HIDDEN))
    move_to(item, Role.ON_HOLD)
    assert bob.get(f"/files/{linked}").status_code == 404, "with the job its files are hidden"


def test_t05_t06_nobody_sends_along_what_somebody_else_has_chosen(sign_in: SignIn, cast: Cast, work: Book) -> None:
    item, theirs = work(), work(company=cast.b)
    alice, charlie, olaf = (sign_in(each) for each in (cast.alice, cast.charlie, cast.olaf))
    assert sent_with_file(charlie, path_of(theirs, "/files")).status_code == 303
    stolen = [
        last_file(),
        id_in(upload(charlie, pdf(), "b.pdf")),
        id_in(upload(sign_in(cast.bob), pdf(), "c.pdf")),
        id_in(upload(olaf, pdf(), "s.pdf", "/admin/files")),
        "a" * 26,
        str(db.session.scalar(select(func.max(StoredFile.id)))),
    ]
    made = count(WorkItem)
    for public_id in stolen:
        for path, values in (
            ("/jobs/new", {"title": "Mine", "key": public_id}),
            ("/quotes/new", {"title": "Mine", "key": public_id}),
            (path_of(item, "/files"), {}),
            (f"/messages/job/J-{item.number}", {"body": "Mine", "key": public_id}),
        ):
            assert sent(alice, path, file_ids=public_id, **values).status_code == 422, path
    linked = select(func.count()).where(StoredFile.linked_at.is_not(None))
    assert (count(WorkItem), count(Message), db.session.scalar(linked)) == (made, 0, 1)
    assert charlie.get(f"/files/{stolen[1]}").status_code == 200, "it is still there for its owner"


# T17, T18: areas


def test_t17_an_area_that_is_off_is_off_for_all_of_it_on_that_domain_alone(
    app: Flask,
    machine: MakeMachine,
    cast: Cast,
    work: Book,
    sign_in: SignIn,
) -> None:
    """Page, fragment, API, attachment, and the link of a mail that came before."""
    domains.admit(cast.a, cast.domain_b, is_home=False, by=SYSTEM, now=clock.utcnow())
    item = work(Role.SCHEDULED, contact_id=cast.alice.id)
    here = sign_in(cast.alice)
    assert sent_with_file(here, path_of(item, "/files")).status_code == 303
    there = on_portal(app, cast.alice, cast.a.id, B_HOST)
    link = next(
        found
        for _to, _broadcast, message in letters()
        for found in re.findall(r"https?://\S+/jobs/J-\d+", plain_of(message))
    )
    assert link == f"http://{A_HOST}{path_of(item)}"
    bound = machine(Scope.READ, cast.a)
    paths = [
        "/jobs",
        "/jobs/new",
        path_of(item),
        "/your-jobs",
        f"/files/{last_file()}",
        f"/messages/job/J-{item.number}",
    ]
    in_api = ["/jobs", path_of(item), path_of(item, "/files"), path_of(item, "/messages")]

    def statuses() -> list[set[int]]:
        return [
            {here.get(path, headers=headers).status_code for path in paths for headers in ({}, HTMX)},
            {there.get(path, headers=headers).status_code for path in paths for headers in ({}, HTMX)},
            {Machine(app, bound.token, A_HOST).get(path).status_code for path in in_api},
            {Machine(app, bound.token, B_HOST).get(path).status_code for path in in_api},
        ]

    assert statuses() == [{200}] * 4
    domains.set_areas(
        cast.domain_a, set(Area) - {Area.JOBS}, version=cast.domain_a.version, by=SYSTEM, now=clock.utcnow()
    )
    events.commit()
    assert statuses() == [{404}, {200}, {404}, {200}]
    assert here.get(link.removeprefix(f"http://{A_HOST}")).status_code == 404
    assert here.get("/quotes").status_code == 200, "the other kind is an area of its own"
    assert "/jobs" not in here.get("/").text


def on_portal(app: Flask, person: Person, company_id: int, host: str) -> FlaskClient:
    """Somebody signed in on another portal that admits their company."""
    token = accounts.open_session(person, company_id, host, ip="127.0.0.1", user_agent="test", now=clock.utcnow())
    events.commit()
    client = client_on(app, host)
    client.set_cookie("sid", token, domain=host)
    return client


def plain_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def test_t18_what_is_posted_after_the_switch_changes_nothing(
    alice: FlaskClient,
    cast: Cast,
    quote: WorkItem,
    work: Book,
) -> None:
    job = work(booked_by_id=cast.alice.id)
    shown, token = shown_on(alice, quote), token_in(alice, "/jobs")
    forms = {
        "/jobs/new": Area.JOBS,
        path_of(job, "/files"): Area.JOBS,
        path_of(job, "/cancel"): Area.JOBS,
        f"/messages/job/J-{job.number}": Area.JOBS,
        "/quotes/new": Area.QUOTES,
        path_of(quote, "/accept"): Area.QUOTES,
        path_of(quote, "/decline"): Area.QUOTES,
        f"/messages/quote/Q-{quote.number}": Area.MESSAGES,
    }
    given = {"csrf_token": token, "title": "T", "body": "B", "key": "k", "shown": shown, "agrees": "y"}
    given |= {"name": "A", "signature": "A", "reason": "R"}
    for path, area in forms.items():
        areas(cast, set(Area) - {area})
        before = checksum()
        assert alice.post(path, data=given).status_code == 404, path
        assert checksum() == before, path
    areas(cast, set(Area) - {Area.JOBS, Area.QUOTES, Area.MESSAGES})
    assert upload(alice, pdf(), "a.pdf").status_code == 404, "there is nothing a file could belong to"
    areas(cast, set(Area))
    assert alice.post(path_of(quote, "/accept"), data=given).status_code == 303, "open again, it is taken"


def areas(cast: Cast, which: set[Area]) -> None:
    domains.set_areas(cast.domain_a, which, version=cast.domain_a.version, by=SYSTEM, now=clock.utcnow())
    events.commit()


# T19, T20: who says whose it is


def test_t19_a_company_named_by_the_sender_changes_nothing(
    alice: FlaskClient,
    machine: MakeMachine,
    cast: Cast,
    work: Book,
    quote: WorkItem,
) -> None:
    theirs = work(company=cast.b, title="CANARYtheirs")
    b = str(cast.b.id)
    headers = {"X-Tenant-Id": b, "X-Company-Id": b}
    for path in ("/jobs", "/quotes", "/jobs/new", path_of(quote)):
        answer = alice.get(path, query_string={"company_id": b, "company": b}, headers=headers)
        assert answer.status_code == 200
        assert "CANARYtheirs" not in answer.text
    assert alice.get(path_of(theirs), query_string={"company_id": b}, headers=headers).status_code == 404
    token = token_in(alice, "/jobs")
    named = {"csrf_token": token, "company_id": b, "company": b}
    shown = shown_on(alice, quote)
    for path, rest in (
        (f"/jobs/new?company_id={b}", {"title": "Ours", "key": "k"}),
        (path_of(quote, f"/accept?company_id={b}"), {"name": "A", "signature": "A", "agrees": "y", "shown": shown}),
    ):
        assert alice.post(path, data={**named, **rest}, headers=headers).status_code == 303, path
    made = db.session.scalars(select(WorkItem).order_by(WorkItem.id.desc())).first()
    assert made is not None
    assert (made.company_id, made.contact_id) == (cast.a.id, cast.alice.id)
    bound = machine(Scope.READ, cast.a)
    assert "CANARYtheirs" not in bound.get("/jobs", **{"X_Tenant_Id": b}).get_data(as_text=True)
    refusal(bound.get(f"/jobs?company_id={b}"), 422)
    refusal(bound.send("POST", "/jobs", {"company_id": cast.b.id, "title": "Theirs"}), 403)
    desk, job = machine(Scope.WORK), f"/jobs/J-{made.number}"
    refusal(desk.send("PATCH", job, {"company_id": cast.b.id}, match="*"), 422)
    assert desk.read(job)["company_id"] == cast.a.id


MORE = {
    "id": "1",
    "kind": "quote",
    "number": "1",
    "status_id": "3",
    "public_status_id": "3",
    "assignee_id": "1",
    "contact_id": "1",
    "booked_by_id": "1",
    "external_number": "X-1",
    "created_at": "2001-01-01",
    "finished_at": "2001-01-01",
    "starts_at": "2001-01-01T10:00",
    "valid_until": "2001-01-01",
    "terms": "None",
    "currency": "USD",
    "lines": "[]",
    "is_internal": "y",
    "internal": "true",
    "send": "note",
    "is_staff": "y",
    "person_id": "1",
    "author_name": "The boss",
    "sent_at": "2001-01-01",
    "is_accepted": "y",
    "offer_id": "1",
    "hash": "x",
    "address": "10.0.0.1",
    "agent": "x",
    "at": "2001-01-01",
    "withdrawn_at": "2001-01-01",
}


def test_t20_a_form_sets_what_it_shows_and_no_more(
    alice: FlaskClient,
    cast: Cast,
    quote: WorkItem,
) -> None:
    assert sent(alice, "/jobs/new", **MORE, title="Ours", key="k").status_code == 303
    made = db.session.scalars(select(WorkItem).where(WorkItem.kind == WorkKind.JOB)).one()
    assert (made.title, made.status_id, made.assignee_id) == ("Ours", role(Role.REQUESTED).id, None)
    assert (made.contact_id, made.booked_by_id, made.external_number) == (cast.alice.id, cast.alice.id, None)
    assert (made.starts_at, made.finished_at, made.valid_until, made.terms) == (None, None, None, "")
    assert made.created_at.year > 2001
    shown = shown_on(alice, quote)
    before = [getattr(quote, name) for name in ("title", "terms", "currency", "valid_until", "assignee_id")]
    form_given = {**MORE, "name": "A", "signature": "A", "agrees": "y", "shown": shown}
    assert sent(alice, path_of(quote, "/accept"), **form_given).status_code == 303
    db.session.refresh(quote)
    assert [getattr(quote, name) for name in ("title", "terms", "currency", "valid_until", "assignee_id")] == before
    answer = db.session.scalars(select(QuoteAnswer)).one()
    assert (answer.person_id, answer.address, answer.withdrawn_at) == (cast.alice.id, "127.0.0.1", None)
    assert answer.at.year > 2001


def test_t20_a_customer_s_message_is_theirs_and_public(
    alice: FlaskClient,
    sign_in: SignIn,
    cast: Cast,
    work: Book,
) -> None:
    item = work()
    answer = sent(alice, f"/messages/job/J-{item.number}", **MORE, body="Hello", key="k")
    assert answer.status_code in {303, 404}
    for message in db.session.scalars(select(Message)):
        assert (message.is_internal, message.is_staff, message.person_id) == (False, False, cast.alice.id)
        assert message.author_name == cast.alice.name
        assert message.sent_at.year > 2001


# T29: no list is a file


def test_t29_no_list_of_work_is_given_out_as_a_file(
    alice: FlaskClient,
    sign_in: SignIn,
    cast: Cast,
    work: Book,
) -> None:
    work()
    for client, paths in (
        (sign_in(cast.ada), ("/admin/jobs", "/admin/quotes", "/admin/my-work")),
        (alice, ("/jobs", "/quotes")),
    ):
        for path in paths:
            for asked in (path, f"{path}?format=csv"):
                answer = client.get(asked, headers={"Accept": "text/csv"})
                assert (answer.status_code, answer.mimetype) == (200, "text/html"), asked
                assert "Content-Disposition" not in answer.headers
            assert client.get(f"{path}.csv").status_code == 404
            assert client.get(f"{path}/export.csv").status_code == 404
