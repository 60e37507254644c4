"""Jobs, quotes, their messages and work statuses, through the API."""

import hashlib
import io
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.accounts.actions.tokens import make_token
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.files import store
from portal.files.actions import Giver, keep, link
from portal.files.taking import take
from portal.jobs.actions.quotes import Signature, Signer, accept
from portal.jobs.models import QuoteAnswer, QuoteOffer, WorkItem, WorkNotice
from portal.jobs.rules import Role, Showing, WorkKind
from portal.jobs.subjects import ref_of
from portal.messages.actions import write
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast
from tests.files.contents import png
from tests.jobs.conftest import role, save

INTERNAL = "Zebra internally"
STAFF_ONLY = {
    "id",
    "external_number",
    "company_id",
    "contact_id",
    "assignee_id",
    "booked_by_id",
    "status_id",
    "status_name",
    "status_since",
    "waits_since",
    "created_at",
    "finished_at",
    "version",
    "moves",
}


@pytest.fixture
def desk(machine: MakeMachine, cast: Cast) -> Machine:
    """A machine of the office; every status has a name customers never read, and On hold is hidden from them."""
    for kind in WorkKind:
        rows = [
            replace(
                row,
                name=f"{INTERNAL} {row.role}",
                color="#123456",
                portal_color="#2457d6",
                showing=Showing.HIDDEN if row.role is Role.ON_HOLD else row.showing,
            )
            for row in (role(each, kind) for each in _roles(kind))
        ]
        save(*rows, kind=kind)
    for area in (Area.JOBS, Area.QUOTES, Area.MESSAGES):
        domains.set_override(cast.domain_a, cast.a, area, True, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    return machine(Scope.WORK)


def _roles(kind: WorkKind) -> list[Role]:
    both = [Role.REQUESTED, Role.ON_HOLD, Role.CANCELLED]
    of_kind = {WorkKind.JOB: [Role.SCHEDULED, Role.COMPLETED], WorkKind.QUOTE: [Role.DRAFT, Role.SENT]}
    return both + of_kind[kind]


def done(answer: Any) -> Any:
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.json


LINES = [
    {"description": "Router", "unit_price_minor": 12_050, "tax_hundredths": 2000},
    {"description": "Labour", "quantity_thousandths": 1500, "unit_price_minor": 8001},
]


def test_a_job_is_made_once_changed_moved_and_found(desk: Machine, cast: Cast) -> None:
    body = {
        "company_id": cast.a.id,
        "title": "Move the router",
        "assignee_id": cast.olaf.id,
        "contact_id": cast.alice.id,
        "starts_at": "2026-12-01T09:00:00Z",
        "external_number": "WO-1",
    }
    first = desk.send("POST", "/jobs", body, Idempotency_Key="once")
    again = desk.send("POST", "/jobs", body, Idempotency_Key="once")
    assert first.status_code == 201, first.get_data(as_text=True)
    made = first.json
    assert made == again.json
    assert made is not None
    path = f"/jobs/{made['number']}"
    assert first.headers["Location"].endswith(path)
    assert desk.read(path) == made
    assert (made["status_id"], made["public_status"]["name"]) == (role(Role.REQUESTED).id, "Requested")
    assert (made["assignee_id"], made["contact_id"], made["open"]) == (cast.olaf.id, cast.alice.id, True)
    refusal(desk.send("PATCH", path, {"site": "Lab"}), 428)
    changed = done(desk.send("PATCH", path, {"site": "Lab", "assignee_id": None}, match=made["version"]))
    assert (changed["site"], changed["assignee_id"], changed["starts_at"]) == ("Lab", None, made["starts_at"])
    refusal(desk.send("PATCH", path, {"site": "Late"}, match=made["version"]), 409)
    finished = {"status_id": role(Role.COMPLETED).id}
    refusal(desk.send("POST", f"{path}/move", finished, match=made["version"]), 409)
    moved = done(desk.send("POST", f"{path}/move", finished, match=changed["version"]))
    assert (moved["open"], moved["moves"][0]["status_name"]) == (False, f"{INTERNAL} completed")
    assert [each["status"]["name"] for each in moved["changes"]] == ["Completed", "Requested"]
    reopened = {"status_id": role(Role.SCHEDULED).id}
    answer = refusal(desk.send("POST", f"{path}/move", reopened, match="*"), 422)
    assert answer["errors"][0]["pointer"] == "/reason"
    assert done(desk.send("POST", f"{path}/move", {**reopened, "reason": "Again"}, match="*"))["open"] is True
    other = desk.make("/jobs", {"company_id": cast.b.id, "title": "Elsewhere"})["number"]

    def numbers(query: str) -> list[str]:
        return [each["number"] for each in desk.all(f"/jobs?{query}&limit=1")]

    assert numbers("sort=number") == [made["number"], other]
    key = moved["changes"][1]["status"]["key"]
    for query, wanted in (
        ("q=router", [made["number"]]),
        (f"company_id={cast.b.id}", [other]),
        ("external_number=WO-1", [made["number"]]),
        (f"status_id={role(Role.SCHEDULED).id}", [made["number"]]),
        (f"status={key}", [other]),
        ("open=false", []),
        ("waiting=true", []),
        (f"assignee_id={cast.olaf.id}", []),
    ):
        assert numbers(query) == wanted, query
    told = db.session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "job.move")).all()
    assert set(told) == {"API token “test work”"}


def test_what_another_system_tells_of_twice_is_one_item(desk: Machine, cast: Cast) -> None:
    for kind, path in ((WorkKind.JOB, "/jobs"), (WorkKind.QUOTE, "/quotes")):
        told = {"external_number": " WO/7 é ", "company_id": cast.a.id, "title": "Survey", "site": "North"}
        first = done(desk.send("PUT", f"{path}/by-external-number", told))
        assert (first["created"], first["external_number"]) == (True, "WO/7 é")
        again = done(desk.send("PUT", f"{path}/by-external-number", told))
        assert (again["created"], again["number"], again["version"]) == (False, first["number"], first["version"])
        del told["site"]
        held = role(Role.ON_HOLD, kind).id
        changed = done(desk.send("PUT", f"{path}/by-external-number", {**told, "title": "Other", "status_id": held}))
        assert (changed["title"], changed["site"], changed["status_id"]) == ("Other", "North", held)
        assert db.session.scalar(select(func.count()).select_from(WorkItem).where(WorkItem.kind == kind)) == 1
        foreign = refusal(desk.send("PUT", f"{path}/by-external-number", {**told, "company_id": cast.b.id}), 422)
        assert foreign["errors"][0]["pointer"] == "/company_id"
        taken = refusal(desk.send("POST", path, {**told, "external_number": "WO/7 é"}), 422)
        assert taken["errors"][0]["pointer"] == "/external_number"
    assert db.session.scalars(select(WorkNotice.item_id)).all() == []  # nobody is mailed unless it is asked for
    done(desk.send("PUT", "/jobs/by-external-number", {**told, "status_id": role(Role.SCHEDULED).id, "notify": True}))
    assert len(db.session.scalars(select(WorkNotice.item_id)).all()) == 1


def test_a_quote_is_sent_with_its_lines_and_its_company_reads_it_as_sent(
    desk: Machine, machine: MakeMachine, cast: Cast
) -> None:
    sent, draft = role(Role.SENT, WorkKind.QUOTE).id, role(Role.DRAFT, WorkKind.QUOTE).id
    body = {"company_id": cast.a.id, "title": "Fibre", "lines": LINES, "status_id": sent, "valid_until": "2099-01-31"}
    made = desk.make("/quotes", body)
    path = f"/quotes/{made['number']}"
    offer = made["offer"]
    assert [offer[name] for name in ("net_minor", "tax_minor", "gross_minor")] == [24_052, 2410, 26_462]
    assert [line["net_minor"] for line in offer["lines"]] == [12_050, 12_002]
    assert db.session.scalars(select(QuoteOffer.hash)).all() == [offer["hash"]]
    bound = machine(Scope.READ, cast.a)
    seen = bound.read(path)
    assert (seen["offer"], seen["waiting"]) == (offer, True)
    assert bound.read("/quotes")["items"][0]["waiting"] is True
    refusal(desk.send("PUT", f"{path}/lines", {"lines": []}), 428)
    done(desk.send("POST", f"{path}/move", {"status_id": draft, "reason": "Wrong"}, match="*"))
    changed = done(desk.send("PUT", f"{path}/lines", {"lines": LINES[:1]}, match="*"))
    assert len(changed["offer"]["lines"]) == 1
    # What staff write on it now is not theirs to read yet, nor that they do.
    seen = bound.read(path)
    assert (seen["offer"], seen["waiting"], seen["public_status"]["name"]) == (offer, False, "Sent")
    refusal(desk.send("PUT", f"{path}/lines", {"lines": LINES}, match=made["version"]), 409)
    blank = refusal(desk.send("PUT", f"{path}/lines", {"lines": [*LINES, {"description": " "}]}, match="*"), 422)
    assert blank["errors"][0]["pointer"] == "/lines/2/description"
    terms = {"terms": "Thirty days.", "currency": "EUR", "valid_until": None}
    told = done(desk.send("PATCH", path, terms, match="*"))["offer"]
    assert {name: told[name] for name in terms} == terms


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"company_id": 2147483000}, "/company_id"),
        ({"title": " "}, "/title"),
        ({"contact_id": 2147483000}, "/contact_id"),
        ({"holding_id": 2147483000}, "/holding_id"),
        ({"assignee_id": 2147483000}, "/assignee_id"),
        ({"status_id": 2147483000}, "/status_id"),
        ({"ends_at": "2026-12-01T09:00:00Z"}, "/starts_at"),
        ({"valid_until": "20261231"}, "/valid_until"),
        ({"currency": "XXX"}, "/currency"),
        ({"lines": [{"description": "x", "quantity_thousandths": -1}]}, "/lines/0/quantity_thousandths"),
        ({"public_status_id": 1}, "/public_status_id"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_wrong(
    desk: Machine, cast: Cast, change: dict[str, Any], pointer: str
) -> None:
    body = {"company_id": cast.a.id, "title": "Fibre", **change}
    assert refusal(desk.send("POST", "/quotes", body), 422)["errors"][0]["pointer"] == pointer
    assert db.session.scalar(select(WorkItem.id)) is None


def test_a_company_that_is_archived_gets_none(desk: Machine, cast: Cast) -> None:
    catalogue.archive_company(cast.b, version=cast.b.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    answer = refusal(desk.send("POST", "/jobs", {"company_id": cast.b.id, "title": "Late"}), 422)
    assert "archived" in answer["detail"]


def test_many_are_moved_and_each_says_what_became_of_it(desk: Machine, cast: Cast) -> None:
    quiet = {"company_id": cast.a.id, "notify": False}
    one, two, three = [desk.make("/jobs", {**quiet, "title": title}) for title in ("One", "Two", "Three")]
    done_with = desk.make("/jobs", {**quiet, "title": "Done", "status_id": role(Role.COMPLETED).id})
    done(desk.send("PATCH", f"/jobs/{two['number']}", {"site": "Lab"}, match="*"))
    quote = desk.make("/quotes", {**quiet, "title": "Not a job"})["number"]
    numbers = [one["number"], two["number"], three["number"], done_with["number"], quote, "J-999999", "x"]
    versions = [one["version"], two["version"], None, None, None, 1, None]
    chosen = [{"number": number, "version": version} for number, version in zip(numbers, versions, strict=True)]
    body = {"status_id": role(Role.SCHEDULED).id, "items": chosen, "notify": False}
    first = desk.send("POST", "/jobs/move", body, Idempotency_Key="many")
    results = done(first)["results"]
    assert [each["number"] for each in results] == numbers
    outcomes = ["moved", "stale", "moved", "refused", "missing", "missing", "missing"]
    assert [each["outcome"] for each in results] == outcomes
    assert [bool(each["detail"]) for each in results] == [each != "moved" for each in outcomes]
    assert [each["version"] for each in results] == [
        *(desk.read(f"/jobs/{number}")["version"] for number in numbers[:4]),
        *[None] * 3,
    ]
    assert desk.send("POST", "/jobs/move", body, Idempotency_Key="many").json == first.json
    (again,) = done(desk.send("POST", "/jobs/move", {**body, "items": chosen[2:3]}))["results"]
    assert (again["outcome"], again["detail"]) == ("unchanged", "")
    assert db.session.scalars(select(WorkNotice.item_id)).all() == []
    twice = refusal(desk.send("POST", "/jobs/move", {**body, "items": [chosen[0], chosen[0]]}), 422)
    assert twice["errors"][0]["pointer"] == "/items/1/number"
    for items in ([], [{"number": "J-1"}] * 101):
        assert refusal(desk.send("POST", "/jobs/move", {**body, "items": items}), 422)
    gone = refusal(desk.send("POST", "/jobs/move", {**body, "status_id": 2147483000}), 422)
    assert gone["errors"][0]["pointer"] == "/status_id"


def test_a_thread_is_settled_and_nobody_waits(desk: Machine, cast: Cast) -> None:
    number = desk.make("/quotes", {"company_id": cast.a.id, "title": "Ours"})["number"]
    item = db.session.scalars(select(WorkItem)).one()
    write(ref_of(item), "When?", Giver(cast.alice.id, "Alice", cast.a.id), key="k", now=clock.utcnow())
    db.session.commit()
    assert desk.read(f"/quotes/{number}")["waits_since"] is not None
    assert done(desk.send("POST", f"/quotes/{number}/settle"))["waits_since"] is None
    assert done(desk.send("POST", f"/quotes/{number}/settle"))["waits_since"] is None, "twice is once"
    told = db.session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "thread.settle")).all()
    assert told == ["API token “test work”"]


def test_an_answer_is_taken_back_and_leaves_a_trace(desk: Machine, machine: MakeMachine, cast: Cast) -> None:
    sent = role(Role.SENT, WorkKind.QUOTE).id
    made = desk.make("/quotes", {"company_id": cast.a.id, "title": "Fibre", "lines": LINES, "status_id": sent})
    path = f"/quotes/{made['number']}"
    refusal(desk.send("POST", f"{path}/take-back", {"reason": "None stands"}, match="*"), 422)
    signer = Signer(cast.alice.id, cast.a.id, "127.0.0.1", "Test browser")
    signature = Signature("Alice Alder", "Alice Alder")
    accept(made["id"], made["offer"]["hash"], signature, signer, agrees=True, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    seen = desk.read(path)
    assert (seen["answer"]["accepted"], seen["answer"]["offer_hash"]) == (True, made["offer"]["hash"])
    refusal(desk.send("POST", f"{path}/take-back", {"reason": "Wrong button"}), 428)
    refusal(desk.send("POST", f"{path}/take-back", {"reason": "Wrong button"}, match=made["version"]), 409)
    blank = refusal(desk.send("POST", f"{path}/take-back", {"reason": " "}, match="*"), 422)
    assert blank["errors"][0]["pointer"] == "/reason"
    back = done(desk.send("POST", f"{path}/take-back", {"reason": "Wrong button"}, match=seen["version"]))
    assert ("answer" in back, back["status_id"], back["moves"][0]["reason"]) == (False, sent, "Wrong button")
    bound = machine(Scope.READ, cast.a)
    assert (bound.read(path)["waiting"], "Wrong button" in bound.get(path).get_data(as_text=True)) == (True, False)
    assert db.session.scalars(select(QuoteAnswer.withdrawn_reason)).all() == ["Wrong button"]


def test_files_are_listed_and_fetched_as_far_as_they_may_be_seen(
    desk: Machine, machine: MakeMachine, cast: Cast
) -> None:
    number = desk.make("/jobs", {"company_id": cast.a.id, "title": "Ours"})["number"]
    item = db.session.scalars(select(WorkItem)).one()
    alice, olaf = Giver(cast.alice.id, "Alice", cast.a.id), Giver(cast.olaf.id, "Olaf", None)

    def given(giver: Giver, content: bytes, name: str) -> str:
        taken = take(io.BytesIO(content), name, store.of_app(), most_bytes=1_000_000)
        return keep(taken, giver, clock.utcnow()).public_id

    own, said, noted = given(alice, png(), "a.png"), given(olaf, b"The plan", "plan.txt"), given(olaf, b"x", "n.txt")
    link([own], ref_of(item), alice, company_id=cast.a.id, now=clock.utcnow())
    write(ref_of(item), "Here", olaf, key="1", file_ids=[said], now=clock.utcnow())
    write(ref_of(item), "Ours", olaf, key="2", file_ids=[noted], is_internal=True, now=clock.utcnow())
    db.session.commit()
    path = f"/jobs/{number}/files"
    listed = desk.all(f"{path}?limit=1")
    assert [(each["id"], each["internal"]) for each in listed] == [(noted, True), (said, False), (own, False)]
    assert [each["id"] for each in desk.all(f"{path}?sort=uploaded_at")] == [own, said, noted]
    assert desk.read(f"{path}/{said}") == listed[1]
    bound = machine(Scope.READ, cast.a)
    seen = bound.all(path)
    assert [(each["id"], each["name"], each["from_staff"]) for each in seen] == [
        (said, "plan.txt", True),
        (own, "a.png", False),
    ]
    assert "internal" not in seen[0]
    assert [each["files"][0]["id"] for each in bound.all(f"/jobs/{number}/messages")] == [said]
    for file in seen:
        answer = bound.get(f"{path}/{file['id']}/content")
        assert (len(answer.data), hashlib.sha256(answer.data).hexdigest()) == (file["size"], file["sha256"])
        assert answer.headers["Content-Type"].partition(";")[0] == file["media_type"]
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert "Authorization" in answer.headers["Vary"]
        part = bound.get(f"{path}/{file['id']}/content", Range="bytes=1-3")
        assert (part.status_code, part.data) == (206, answer.data[1:4])
        assert bound.get(f"{path}/{file['id']}/content", If_None_Match=answer.headers["ETag"]).status_code == 304
    for other in (noted, "a" * 26):
        refusal(bound.get(f"{path}/{other}"), 404)
        refusal(bound.get(f"{path}/{other}/content"), 404)
    refusal(machine(Scope.READ, cast.b).get(f"{path}/{own}/content"), 404)
    assert desk.get(f"{path}/{noted}/content").data == b"x"
    domains.set_override(cast.domain_a, cast.a, Area.MESSAGES, False, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert [each["id"] for each in bound.all(path)] == [own], "what came with messages is closed with them"
    refusal(bound.get(f"{path}/{said}/content"), 404)


def test_a_company_s_token_sees_what_its_people_see(desk: Machine, machine: MakeMachine, cast: Cast) -> None:
    """No internal name, id, colour, order or moment, in no list, item, cursor or ETag; and nothing that is hidden."""
    held = role(Role.ON_HOLD).id
    job = desk.make("/jobs", {"company_id": cast.a.id, "title": "Ours", "external_number": "WO-9"})
    hidden = desk.make("/jobs", {"company_id": cast.a.id, "title": "Not yet", "status_id": held})
    foreign = desk.make("/jobs", {"company_id": cast.b.id, "title": "Theirs"})
    bound, path = machine(Scope.READ, cast.a), f"/jobs/{job['number']}"
    listed, whole = bound.get("/jobs"), bound.get(path)
    assert [each["number"] for each in bound.all("/jobs?limit=1")] == [job["number"]]
    for answer in (listed, whole):
        text = answer.get_data(as_text=True)
        assert not any(word in text for word in (INTERNAL, "#123456", "WO-9", "Why not"))
    assert not STAFF_ONLY & (set(bound.read("/jobs")["items"][0]) | set(bound.read(path)))
    # A move they do not see changes nothing they are sent.
    body = {"status_id": held, "reason": "Why not"}
    done(desk.send("POST", f"/jobs/{job['number']}/move", body, match="*"))
    for before, there in ((listed, "/jobs"), (whole, path)):
        after = bound.get(there)
        assert (after.data, after.headers["ETag"]) == (before.data, before.headers["ETag"])
    for number in (hidden["number"], foreign["number"]):
        for rest in ("", "/messages", "/files"):
            assert bound.get(f"/jobs/{number}{rest}").data == bound.get(f"/jobs/J-999999{rest}").data
            refusal(bound.get(f"/jobs/{number}{rest}"), 404)
    key = job["public_status"]["key"]
    for query, count in (("open=true", 1), ("open=false", 0), (f"status={key}", 1), ("status=x", 0), ("q=our", 1)):
        assert len(bound.all(f"/jobs?{query}")) == count, query
    for query in (f"status_id={held}", "assignee_id=1", "company_id=1", "external_number=WO-9", "waiting=true"):
        wrong = refusal(bound.get(f"/jobs?{query}"), 422)
        assert wrong["errors"][0]["parameter"] == query.partition("=")[0]


def test_what_is_written_is_written_by_who_made_the_token(desk: Machine, machine: MakeMachine, cast: Cast) -> None:
    job = desk.make("/jobs", {"company_id": cast.a.id, "title": "Ours"})
    path = f"/jobs/{job['number']}/messages"
    first = desk.send("POST", path, {"body": "We come on Monday."}, Idempotency_Key="said")
    again = desk.send("POST", path, {"body": "We come on Monday."}, Idempotency_Key="said")
    assert first.status_code == 201
    assert first.json == again.json
    note = desk.make(path, {"body": "They owe us.", "internal": True})
    mine = desk.read(path)["items"]
    assert [(each["author"], each["from_staff"], each["internal"]) for each in mine] == [
        (cast.root.name, True, True),
        (cast.root.name, True, False),
    ]
    assert [each["body"] for each in desk.all(f"{path}?sort=sent_at&limit=1")] == ["We come on Monday.", "They owe us."]
    bound = machine(Scope.READ, cast.a)
    (seen,) = bound.all(path)
    assert (seen["body"], "internal" in seen) == ("We come on Monday.", False)
    assert bound.read(f"{path}/{seen['id']}") == seen
    refusal(bound.get(f"{path}/{note['id']}"), 404)
    refusal(desk.send("POST", path, {"body": " "}), 422)
    refusal(desk.send("POST", "/jobs/J-999999/messages", {"body": "x"}), 404)
    domains.set_override(cast.domain_a, cast.a, Area.MESSAGES, False, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    refusal(bound.get(path), 404)
    assert bound.get(f"/jobs/{job['number']}").status_code == 200


def test_a_token_of_the_command_line_writes_under_its_own_name(desk: Machine, cast: Cast) -> None:
    quote = desk.make("/quotes", {"company_id": cast.a.id, "title": "Ours"})
    _token, desk.token = make_token("Dispatcher", Scope.WORK, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert desk.make(f"/quotes/{quote['number']}/messages", {"body": "Hello."})["author"] == "Dispatcher"


def test_work_statuses_are_read_with_what_customers_see(desk: Machine, machine: MakeMachine, cast: Cast) -> None:
    listed = desk.all("/work-statuses?kind=quote&archived=false&limit=2")
    assert {each["kind"] for each in listed} == {"quote"}
    by_role = {each["role"]: each for each in listed}
    assert by_role["sent"]["name"] == f"{INTERNAL} sent"
    assert (by_role["sent"]["public_status"]["name"], by_role["sent"]["color"]) == ("Sent", "#123456")
    assert "public_status" not in by_role["on_hold"]
    assert desk.read(f"/work-statuses/{by_role['sent']['id']}") == by_role["sent"]
    bound = machine(Scope.READ, cast.a)
    for path in ("/work-statuses", f"/work-statuses/{by_role['sent']['id']}", "/work-statuses/2147483000"):
        assert "internally" not in str(refusal(bound.get(path), 404))


def test_who_may_not_is_refused(machine: MakeMachine, cast: Cast, desk: Machine) -> None:
    job = desk.make("/jobs", {"company_id": cast.a.id, "title": "Ours"})["number"]
    for scope in (Scope.READ, Scope.WRITE):
        reader = machine(scope)
        assert reader.read(f"/jobs/{job}")["status_name"].startswith(INTERNAL)
        assert reader.get("/work-statuses").status_code == 200
        refusal(reader.send("POST", "/jobs", {}), 403)
        for rest in (f"{job}/messages", f"{job}/settle", "move"):
            refusal(reader.send("POST", f"/jobs/{rest}", {"body": "x"}), 403)
    for scope in (Scope.INCIDENTS, Scope.COMPANIES, Scope.AUDIT):
        for path in ("/jobs", "/quotes", "/work-statuses"):
            refusal(machine(scope).get(path), 403)
    assert machine(Scope.ADMIN).get("/jobs").status_code == 200
    bound = machine(Scope.READ, cast.a)
    for method, path in (
        ("POST", "/jobs"),
        ("PUT", "/jobs/by-external-number"),
        ("PATCH", f"/jobs/{job}"),
        ("POST", "/jobs/move"),
    ):
        refusal(bound.send(method, path, {}), 403)
