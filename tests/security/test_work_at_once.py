"""What happens once though several press at the same moment, on a database that commits: booking, answering, moving."""

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.test import TestResponse

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Person
from portal.accounts.rules import Role as StaffRole
from portal.audit.rules import SYSTEM
from portal.database import read_only
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.jobs.actions import create_item, move
from portal.jobs.actions.items import Facts, add_item, edit_item, set_lines
from portal.jobs.models import QuoteAnswer, WorkItem, WorkMove
from portal.jobs.queries import settings_of
from portal.jobs.rules import Role, WorkKind, written_number
from portal.jobs.rules.amounts import LineGiven
from portal.messages.models import Message
from portal.notifications.models import Broadcast
from tests.conftest import client_on, token_in
from tests.security.test_doors_at_once import A_HOST, AT_ONCE, House, at_once, house, inside  # noqa: F401 (fixtures)


def browser_of(house: House, person: Person) -> tuple[FlaskClient, str]:  # noqa: F811
    """Somebody signed in on the portal, with a good token for forms."""
    cookie = accounts.open_session(
        person, house.company_id, A_HOST, ip="127.0.0.1", user_agent="test", now=clock.utcnow()
    )
    db.session.commit()
    client = client_on(house.app, A_HOST)
    client.set_cookie("sid", cookie, domain=A_HOST)
    return client, token_in(client, "/nothing-here")


def item_of(house: House, kind: WorkKind, role: Role) -> WorkItem:  # noqa: F811
    made = create_item(
        kind,
        "Ten phones",
        company_id=house.company_id,
        status_id=settings_of(kind).table.with_role(Role.REQUESTED).id,
        by=SYSTEM,
        now=clock.utcnow(),
    )
    if kind is WorkKind.QUOTE:
        set_lines(made, [LineGiven("Phone", 10_000, 8050)], version=made.version, by=SYSTEM, now=clock.utcnow())
    if role is not Role.REQUESTED:
        move(made, settings_of(kind).table.with_role(role).id, by=SYSTEM, now=clock.utcnow())
    events.commit()
    return made


def test_of_several_who_answer_a_quote_at_once_one_has_answered(inside: House) -> None:  # noqa: F811
    """Colleagues who accept and decline at the same moment: one answer stands, with one receipt, and all are led back
    to the page that says whose."""
    quote = item_of(inside, WorkKind.QUOTE, Role.SENT)
    path = f"/quotes/{written_number(quote.kind, quote.number)}"
    people = [browser_of(inside, inside.person()) for _ in range(AT_ONCE)]
    page = people[0][0].get(f"{path}/accept").text
    shown = page.split('name="shown"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
    db.session.commit()

    def press(place: int) -> TestResponse:
        client, token = people[place]
        form = {
            "csrf_token": token,
            "name": f"P{place}",
            "signature": "P",
            "agrees": "y",
            "shown": shown,
            "reason": "No",
        }
        return client.post(f"{path}/{'decline' if place % 2 else 'accept'}", data=form)

    answers = at_once([lambda place=place: press(place) for place in range(AT_ONCE)])  # type: ignore[misc]
    assert {answer.status_code for answer in answers} <= {303, 422}
    assert 303 in {answer.status_code for answer in answers}
    db.session.expire_all()
    (standing,) = db.session.scalars(select(QuoteAnswer).where(QuoteAnswer.item_id == quote.id))
    table = settings_of(WorkKind.QUOTE).table
    assert quote.status_id == table.with_role(Role.ACCEPTED if standing.is_accepted else Role.DECLINED).id
    receipts = select(func.count()).select_from(Broadcast).where(Broadcast.kind == "quote_receipt")
    assert db.session.scalar(receipts) == 1
    assert {standing.name in client.get(path).text for client, _token in people} == {True}


def test_a_booking_and_a_message_sent_several_times_at_once_are_one(inside: House) -> None:  # noqa: F811
    client, token = browser_of(inside, inside.person())
    cookie = client.get_cookie("sid", domain=A_HOST)
    form_cookie = client.get_cookie("form", domain=A_HOST)
    assert cookie is not None
    assert form_cookie is not None

    def window() -> FlaskClient:
        again = client_on(inside.app, A_HOST)
        again.set_cookie("sid", cookie.value, domain=A_HOST)
        again.set_cookie("form", form_cookie.value, domain=A_HOST)
        return again

    before = db.session.scalar(select(func.count()).select_from(WorkItem)) or 0
    db.session.commit()
    form = {"csrf_token": token, "title": "Move it", "key": "one"}
    answers = at_once([lambda: window().post("/jobs/new", data=form)] * AT_ONCE)
    assert [answer.status_code for answer in answers] == [303] * AT_ONCE
    (where,) = {answer.headers["Location"] for answer in answers}
    assert db.session.scalar(select(func.count()).select_from(WorkItem)) == before + 1
    db.session.commit()
    words = {"csrf_token": token, "body": "Soon, please", "key": "two"}
    path = f"/messages/job/{where.rpartition('/')[2]}"
    answers = at_once([lambda: window().post(path, data=words)] * AT_ONCE)
    assert [answer.status_code for answer in answers] == [303] * AT_ONCE
    assert db.session.scalar(select(func.count()).select_from(Message)) == 1


def test_of_several_who_move_an_item_at_once_one_does(inside: House) -> None:  # noqa: F811
    job = item_of(inside, WorkKind.JOB, Role.REQUESTED)
    inside.person(StaffRole.OFFICE)
    job_id, version = job.id, job.version
    table = settings_of(WorkKind.JOB).table
    targets = [table.with_role(role).id for role in (Role.SCHEDULED, Role.IN_PROGRESS, Role.ON_HOLD, Role.COMPLETED)]
    now = clock.utcnow() + timedelta(minutes=1)
    db.session.commit()

    def press(status_id: int) -> str:
        with inside.app.app_context():
            read_only.set(False)
            try:
                move(db.session.get_one(WorkItem, job_id), status_id, version=version, by=SYSTEM, now=now)
                events.commit()
            except (StaleEdit, StaleDataError):
                events.rollback()
                return "stale"
            return "moved"

    results = at_once([lambda target=target: press(target) for target in targets])  # type: ignore[misc]
    assert sorted(results) == ["moved", *["stale"] * (AT_ONCE - 1)]
    moves = select(WorkMove.status_id).where(WorkMove.item_id == job_id).order_by(WorkMove.id)
    found = db.session.scalars(moves).all()
    assert len(found) == 2
    db.session.expire_all()
    assert db.session.get_one(WorkItem, job_id).status_id == found[-1] == targets[results.index("moved")]


def test_an_item_that_staff_add_several_times_at_once_is_one(inside: House) -> None:  # noqa: F811
    """With the key of one form it is the same item; a number elsewhere that is taken is refused and no fault."""
    company_id, now = inside.company_id, clock.utcnow()

    def press(facts: Facts, key: str) -> str:
        with inside.app.app_context():
            read_only.set(False)
            try:
                item = add_item(WorkKind.JOB, company_id, facts, by=SYSTEM, now=now, idempotency_key=key)
                events.commit()
                return written_number(item.kind, item.number)
            except RuleViolation as refusal:
                events.rollback()
                return str(refusal.field)

    assert len(set(at_once([lambda: press(Facts("One form"), "the key")] * AT_ONCE))) == 1
    other = Facts("Two forms", external_number="WO-1")
    keys = [f"key {place}" for place in range(AT_ONCE)]
    results = at_once([lambda key=key: press(other, key) for key in keys])  # type: ignore[misc]
    assert sorted(results, reverse=True)[: AT_ONCE - 1] == ["external_number"] * (AT_ONCE - 1)
    assert sorted(results)[0].startswith("J-")


def test_of_several_items_that_are_given_one_number_elsewhere_at_once_one_has_it(inside: House) -> None:  # noqa: F811
    jobs = [item_of(inside, WorkKind.JOB, Role.REQUESTED) for _ in range(AT_ONCE)]
    versions = {each.id: each.version for each in jobs}
    facts, now = Facts("Ten phones", external_number="WO-7"), clock.utcnow()
    db.session.commit()

    def press(item_id: int) -> str:
        with inside.app.app_context():
            read_only.set(False)
            try:
                item = db.session.get_one(WorkItem, item_id)
                edit_item(item, facts, version=versions[item_id], by=SYSTEM, now=now)
                events.commit()
            except RuleViolation as refusal:
                events.rollback()
                return str(refusal.field)
            return "given"

    results = at_once([lambda item_id=item_id: press(item_id) for item_id in versions])  # type: ignore[misc]
    assert sorted(results) == [*["external_number"] * (AT_ONCE - 1), "given"]
