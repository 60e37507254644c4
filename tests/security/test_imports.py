"""I20 and I21: files that come in and go out by the browser and the command line, and processes killed meanwhile."""

import csv
import io
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import Select, func, select, update
from werkzeug.test import TestResponse

from portal import clock, events
from portal.accounts.models import AccountMail, Company, Membership, Person, Session
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.database import read_only
from portal.extensions import db
from portal.records import actions
from portal.records.models import ImportRun
from portal.records.rules import ImportState
from tests.cli.installation import Installation
from tests.conftest import Cast, SignIn, token_in
from tests.records.bringing_in import worked_on
from tests.support.processes import wait_until
from tests.support.product import EXECUTABLE, Portal

NEW = "/admin/imports/new"


@pytest.fixture
def root(cast: Cast, sign_in: SignIn) -> FlaskClient:
    return sign_in(cast.root)


def send(client: FlaskClient, kind: str, content: bytes, filename: str = "file.csv") -> TestResponse:
    """Choose a file, as the form does."""
    return post(client, NEW, content, filename, csrf_token=token_in(client, NEW), kind=kind)


def post(client: FlaskClient, address: str, content: bytes, filename: str = "f.csv", **fields: str) -> TestResponse:
    """Send a form with a file, as one piece: the client of the tests would put what is long on the disk."""
    mark = "----form-of-the-test"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
    parts += [f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n']
    body = "".join(parts).encode() + content + f"\r\n--{mark}--\r\n".encode()
    return client.post(address, data=body, content_type=f"multipart/form-data; boundary={mark}")


def press(client: FlaskClient, address: str, action: str) -> TestResponse:
    """Press the button of the form that leads to this action, with everything its page has put in."""
    page = BeautifulSoup(client.get(address).get_data(as_text=True), "html.parser")
    form = page.find("form", action=f"{address}/{action}")
    assert form is not None, f"no button for {action} on {address}"
    data = {str(each["name"]): str(each.get("value", "")) for each in form.find_all("input")}
    for each in form.find_all("select"):
        chosen = each.find("option", selected=True) or each.find("option")
        data[str(each["name"])] = str(chosen["value"]) if chosen else ""
    return client.post(f"{address}/{action}", data=data)


def dry_run(client: FlaskClient, kind: str, content: bytes) -> str:
    """Send a file and have its dry run made; the address of the import."""
    sent = send(client, kind, content)
    assert sent.status_code == 303, sentence_of(sent)
    address = sent.headers["Location"]
    assert press(client, address, "columns").status_code == 303
    worked_on(int(address.rpartition("/")[2]))
    return address


def sentence_of(answer: TestResponse) -> str:
    page = BeautifulSoup(answer.get_data(as_text=True), "html.parser")
    return page.get_text(" ", strip=True)


def refused_in(client: FlaskClient, address: str) -> list[list[str]]:
    answer = client.get(f"{address}/refused.csv")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Cache-Control"] == "no-store"
    return list(csv.reader(io.StringIO(answer.get_data(as_text=True), newline="")))


def names() -> set[str]:
    return set(db.session.scalars(select(Company.name)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_i21_any_usual_encoding_and_delimiter_comes_in(root: FlaskClient, encoding: str, mark: str) -> None:
    """BOM, UTF-16, Windows letters; comma, semicolon, tab; CRLF inside quotation marks."""
    text = f'Firma{mark}KdNr\r\n"Bäckerei\r\nHuber{mark} Söhne"{mark}7\r\n'
    sent = send(root, "companies", text.encode(encoding))
    address = sent.headers["Location"]
    told = sentence_of(root.get(address))
    assert ("read as Windows-1252" in told) == (encoding == "cp1252")
    assert "Bäckerei" in told
    assert press(root, address, "columns").status_code == 303
    worked_on(int(address.rpartition("/")[2]))
    assert press(root, address, "apply").status_code == 303
    worked_on(int(address.rpartition("/")[2]))
    assert f"Bäckerei Huber{mark.strip() or ''} Söhne".replace("Huber Söhne", "Huber Söhne") in names()
    assert "1 row came in" in sentence_of(root.get(address))


def test_applying_asks_for_the_password_again(root: FlaskClient) -> None:
    sent = send(root, "companies", b"Name\nNew firm\n")
    address = sent.headers["Location"]
    assert press(root, address, "columns").status_code == 303
    worked_on(int(address.rpartition("/")[2]))
    db.session.execute(update(Session).values(confirmed_at=clock.utcnow() - timedelta(hours=1)))
    db.session.commit()
    answer = press(root, address, "apply")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/confirm?next=%2F")
    worked_on(int(address.rpartition("/")[2]))
    assert "New firm" not in names()


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"name\n" + b"x\n" * 1_000_000, 422, "more than 100,000 rows"),
        (b"name\n" + b"x" * 25_000_100, 413, "at most 25 MB"),
        (b"name\n" + b"x" * 100_000_000, 413, "at most 25 MB"),
        (b"name\nAl\x00der\n", 422, "NUL"),
        (b"", 422, "empty"),
        (b"name\n", 422, "no row below"),
        (b'name\n"Alder\n', 422, "quotation mark"),
        (b"a@b.test,Ada\n", 422, "name the columns"),
    ],
    ids=["a million rows", "25 MB and more", "100 MB", "NUL", "nothing", "header only", "open quote", "no header"],
)
def test_i21_what_is_too_much_or_no_table_is_refused_with_words(
    root: FlaskClient, content: bytes, status: int, words: str
) -> None:
    answer = send(root, "companies", content)
    assert answer.status_code == status
    assert words in sentence_of(answer)
    assert db.session.scalar(select(func.count(ImportRun.id))) == 0


def test_i21_only_who_may_import_may_send_much_and_only_there(
    root: FlaskClient, cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]
) -> None:
    much = b"name\n" + b"x\n" * 1_000_000
    for client in (sign_in(cast.ada), visitor("admin.portal.test")):
        answer = post(client, NEW, much, kind="companies")
        assert answer.status_code == 413
    assert post(root, "/admin/companies/new", much).status_code == 413


def test_i21_bad_rows_are_named_and_good_ones_come_in_when_somebody_says_so(root: FlaskClient, cast: Cast) -> None:
    """Duplicate addresses, a forged header in the mail column, formula cells, unknown companies: part, with report."""
    text = (
        "email,name,company\r\n"
        "eve@people.test,=HYPERLINK(1),Alder Dental\r\n"
        "EVE@people.test,Eve again,Alder Dental\r\n"
        '"mallory@people.test\r\nBcc: all@people.test",Mallory,Alder Dental\r\n'
        "finn@people.test,Finn,Cedar\r\n"
        "gail@people.test,Gail,Birch Logistics\r\n"
        "ada@people.test,Ada,Alder Dental\r\n"
    )
    before = db.session.scalar(select(func.count(Person.id)))
    address = dry_run(root, "people", text.encode())
    told = sentence_of(root.get(address))
    assert "2 rows would come in" in told
    assert db.session.scalar(select(func.count(Person.id))) == before, "a dry run writes nothing"
    table = refused_in(root, address)
    assert [row[-2] for row in table] == ["Row", "3", "4", "5", "7"]
    assert [row[-1].partition(": ")[2] for row in table[1:]] == [
        "the address EVE@people.test stands in row 2 already; each may stand in one row only.",
        "“mallory@people.test Bcc: all@people.test” is not an e-mail address.",
        "there is no company called Cedar, add it or import companies first.",
        "Ada is staff, and staff are changed under People.",
    ]
    assert press(root, address, "apply").status_code == 303
    worked_on(int(address.rpartition("/")[2]))
    eve = db.session.scalars(select(Person).where(Person.email_key == "eve@people.test")).one()
    assert (eve.name, eve.password_hash, eve.role) == ("=HYPERLINK(1)", None, None)
    assert db.session.scalar(select(func.count(Person.id))) == (before or 0) + 2
    assert db.session.scalar(select(func.count(AccountMail.id))) == 0
    done = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "import.apply")).one()
    assert done.actor == "root@people.test"
    assert done.after is not None
    assert (done.after["added"], done.after["left_out"]) == (2, 4)


def test_i21_nothing_is_half_applied_when_a_row_breaks_the_transaction(
    root: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last statement of many fails: none of the others is kept, and the page says so."""
    address = dry_run(root, "companies", b"name\n" + b"".join(b"C %d\n" % each for each in range(2500)))
    before = names()
    press(root, address, "apply")

    def fail(*_rest: object, **_more: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("portal.records.working.Parts.replace_ids", fail)
    run = worked_on(int(address.rpartition("/")[2]))
    assert run.state is ImportState.MAPPING
    assert names() == before
    assert db.session.scalar(select(func.count(AuditEntry.id)).where(AuditEntry.action == "company.add")) == 2
    assert "Nothing was changed" in sentence_of(root.get(address))


def test_i20_refused_rows_leave_as_text_that_no_spreadsheet_runs(root: FlaskClient) -> None:
    hostile = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", 'quo"te', "semi;colon", "new\r\nline"]
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in hostile]
    address = dry_run(root, "companies", ("name,note\r\n" + "".join(f",{cell}\r\n" for cell in quoted)).encode())
    table = refused_in(root, address)
    assert table[0] == ["name", "note", "Row", "Reason"]
    assert len(table) == 1 + len(hostile)
    assert [row[1] for row in table[1:]] == [f"'{cell}" if cell[0] in "=+-@" else cell for cell in hostile]
    raw = root.get(f"{address}/refused.csv").get_data(as_text=True)
    assert raw.count("\r\n") == 1 + len(hostile) + 1, "rows end with CRLF, and one cell holds one"


def test_i20_templates_are_files_that_come_in_again(root: FlaskClient, cast: Cast) -> None:
    for kind in ("companies", "people", "components", "services", "holdings", "jobs", "quotes"):
        template = root.get(f"/admin/imports/template/{kind}.csv")
        assert template.mimetype == "text/csv"
        address = dry_run(root, kind, template.get_data())
        told = sentence_of(root.get(address))
        assert "cannot come in" not in told, told
        if "would come in" in told:
            press(root, address, "apply")
            assert worked_on(int(address.rpartition("/")[2])).state is ImportState.DONE
    assert root.get("/admin/imports/template/nothing.csv").status_code == 404


def test_columns_that_will_not_do_are_named_and_kept(root: FlaskClient) -> None:
    address = send(root, "companies", b"a,b\nCedar,7\n").headers["Location"]
    refused = press(root, address, "columns")
    assert refused.status_code == 422
    assert "Choose the column that holds “Name”" in sentence_of(refused)
    page = BeautifulSoup(root.get(address).get_data(as_text=True), "html.parser")
    fields = {str(each["name"]): str(each.get("value", "")) for each in page.find_all("input")}
    both = {**fields, "column_0": "name", "column_1": "name", "option_home": ""}
    twice = root.post(f"{address}/columns", data=both)
    assert twice.status_code == 422
    assert "“a” is read as this already" in sentence_of(twice)
    assert root.post(f"{address}/columns", data={**both, "column_1": "external_id"}).status_code == 303
    stale = root.post(f"{address}/columns", data={**both, "column_1": "external_id"})
    assert stale.status_code == 409


def test_an_import_is_steered_back_again_and_thrown_away(root: FlaskClient) -> None:
    address = dry_run(root, "companies", b"name\nCedar\n")
    assert press(root, address, "again").status_code == 303
    worked_on(int(address.rpartition("/")[2]))
    assert press(root, address, "back").status_code == 303
    assert press(root, address, "columns").status_code == 303
    assert press(root, address, "stop").status_code == 303
    assert "Stopped. Nothing was changed." in sentence_of(root.get(address))
    listed = sentence_of(root.get("/admin/imports"))
    assert "file.csv" in listed
    assert press(root, address, "discard").status_code == 303
    assert root.get(address).status_code == 404
    assert "Nothing has been imported yet" in sentence_of(root.get("/admin/imports"))


def test_rows_are_shown_page_by_page_each_leading_to_what_came_in(root: FlaskClient) -> None:
    address = dry_run(root, "components", b"title\n" + b"".join(b"Part %d\n" % each for each in range(120)))
    assert "Page 1 of 3" in sentence_of(root.get(f"{address}?show=added"))
    press(root, address, "apply")
    worked_on(int(address.rpartition("/")[2]))
    page = BeautifulSoup(root.get(f"{address}?show=added&page=3").get_data(as_text=True), "html.parser")
    links = [str(link["href"]) for link in page.select("table a")]
    assert len(links) == 20
    assert "Part 119" in sentence_of(root.get(links[-1]))
    assert root.get(f"{address}?show=nonsense").status_code == 404


# The command line.


@pytest.fixture
def portal(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    portal = Installation(database_url, capsys, monkeypatch)
    assert portal.run("init").returncode == 0
    yield portal
    portal.__exit__()


def test_the_command_line_brings_in_files(portal: Installation, tmp_path: Path) -> None:
    file, refused = tmp_path / "kunden.csv", tmp_path / "refused.csv"
    file.write_bytes("Firma;KdNr;Nix\r\nMüller & Söhne;1;\r\n;2;=1\r\n".encode("cp1252"))
    dry = portal.run("import", "companies", str(file), "--dry-run", "--refused", str(refused))
    assert dry.returncode == 0
    assert dry.stdout == "2 rows: 1 added, 0 changed, 0 unchanged, 1 refused.\n"
    assert "read as Windows-1252" in dry.stderr
    assert "Row 3: the name is missing." in dry.stderr
    assert refused.read_text(encoding="utf-8").splitlines()[1] == ",2,'=1,3,Row 3: the name is missing."
    strict = portal.run("import", "companies", str(file))
    assert strict.returncode == 1
    assert "Nothing was written" in strict.stderr
    done = portal.run("import", "companies", str(file), "--leave-out-refused")
    assert done.returncode == 0
    assert "Written: 1 added, 0 changed, 1 left out." in done.stdout
    again = portal.run("import", "companies", str(file), "--leave-out-refused")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "Nothing to write.")
    people = tmp_path / "people.csv"
    people.write_text("wer,wo\nalice@people.test,1\n", encoding="utf-8")
    chosen = ["--column", "email=wer", "--column", "companies=WO", "--column", "name=wer", "--choose", "language=de"]
    twice = portal.run("import", "people", str(people), *chosen)
    assert twice.returncode == 2
    assert "already read as" in twice.stderr
    people.write_text("wer,wo,wie\nalice@people.test,1,Alice\n", encoding="utf-8")
    chosen[5] = "name=wie"
    assert portal.run("import", "people", str(people), *chosen).returncode == 0
    with portal.database():
        alice = db.session.scalars(select(Person)).one()
        assert (alice.name, alice.language) == ("Alice", "de")
        assert db.session.scalars(select(Membership)).one().person_id == alice.id


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["import", "companies", "/nowhere.csv"], 2, "does not exist"),
        (["import", "companies", "FILE", "--column", "name"], 2, "takes NAME=VALUE"),
        (["import", "companies", "FILE", "--column", "nope=a"], 2, "There is no column"),
        (["import", "companies", "FILE", "--column", "name=nope"], 2, "The file has no column"),
        (["import", "companies", "FILE", "--choose", "home=99"], 2, "home cannot be"),
        (["import", "people", "FILE"], 2, "Choose the column that holds"),
        (["import", "companies", "EMPTY"], 1, "This file is empty"),
    ],
    ids=lambda each: each[-1] if isinstance(each, list) else "",
)
def test_the_command_line_says_what_it_cannot_do(
    portal: Installation, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    (tmp_path / "file.csv").write_text("name\nCedar\n", encoding="utf-8")
    (tmp_path / "empty.csv").touch()
    paths = {"FILE": str(tmp_path / "file.csv"), "EMPTY": str(tmp_path / "empty.csv")}
    done = portal.run(*(paths.get(each, each) for each in arguments))
    assert (done.returncode, words in done.stderr) == (status, True), done.stderr


# Killed.


@pytest.mark.processes
def test_i21_a_killed_process_leaves_nothing_half_applied_and_the_next_one_doubles_nothing(database_url: str) -> None:
    """Whatever is being done with the file when its process dies, the rows come in once and all together."""
    count = 6_000
    portal = Portal(database_url=database_url, environment={"PORTAL_PULSE_SECONDS": "0.1", "PORTAL_LEASE_SECONDS": "1"})
    portal.prepare()
    with portal.database():
        run = actions.begin(
            "companies",
            "many.csv",
            b"name\n" + b"".join(b"Company %d\n" % each for each in range(count)),
            by=SYSTEM,
            now=clock.utcnow(),
        )
        actions.plan(run, run.mapping, {"home": ""}, version=run.version, by=SYSTEM, now=clock.utcnow())
        run_id = run.id
        events.commit()

        def state() -> ImportRun:
            return _state_of(run_id)

        def work_and_die(when: Callable[[], bool], what: str) -> None:
            worker = _pulse(portal)
            try:
                wait_until(when, 60, what)
            finally:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait(30)

        work_and_die(lambda: 0 < state().done < count, "a dry run under way")
        assert _how_many(COMPANIES) == 0
        work_and_die(lambda: state().state is ImportState.PLANNED, "the dry run")
        asked = db.session.get_one(ImportRun, run_id)
        actions.apply(
            asked,
            leave_out_refused=False,
            plan_hash=asked.plan_hash or "",
            version=asked.version,
            by=SYSTEM,
            now=clock.utcnow(),
        )
        events.commit()
        owners: list[str | None] = [None]
        for _kill in range(2):
            owners.append(state().lease_owner)
            work_and_die(lambda: state().lease_owner not in owners, "somebody who applies it")
            assert (_how_many(COMPANIES), state().state) == (0, ImportState.APPLYING)
        work_and_die(lambda: state().state is ImportState.DONE, "the end")
        assert (_how_many(COMPANIES), _how_many(ADDED)) == (count, count)
    portal.__exit__()


def _state_of(run_id: int) -> ImportRun:
    """The import as it stands, read without holding anybody up: it belongs to no session any more."""
    read_only.set(True)
    found = db.session.get_one(ImportRun, run_id, populate_existing=True)
    db.session.expunge(found)
    db.session.rollback()
    read_only.set(False)
    return found


def _how_many(statement: Select[int]) -> int:
    counted = db.session.scalar(statement) or 0
    db.session.rollback()
    return counted


COMPANIES = select(func.count(Company.id))
ADDED = select(func.count()).where(AuditEntry.action == "company.add")


def _pulse(portal: Portal) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", EXECUTABLE, "pulse"],
        env=portal.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
