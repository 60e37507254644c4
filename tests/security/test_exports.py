"""What goes out: all that is about one company and nothing of another, nothing private, no formula, to be fetched once
more only by whoever may."""

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import select

from portal import clock
from portal.accounts import actions as accounts
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery
from portal.records import exports
from portal.records.kinds import kind_named
from portal.records.models import ExportRun
from portal.records.parts import parts_about
from portal.records.rules import Verdict
from portal.records.rules.columns import guess, row_of
from portal.records.rules.exports import ExportKind, ExportState
from portal.records.rules.files import rows_of, shape_of
from tests.conftest import Cast, SignIn, token_in
from tests.security.world import EVERYTHING, ON_B, ONLY_A, ONLY_B, World
from workers import exporting

LISTS = [ExportKind.COMPANIES, ExportKind.PEOPLE, ExportKind.COMPONENTS, ExportKind.SERVICES, ExportKind.HOLDINGS]


def made(kind: ExportKind, subject_id: int | None = None) -> bytes:
    """The bytes of an export."""
    target = io.BytesIO()
    for _rows in exports.write_all(target, kind, subject_id, clock.utcnow()):
        pass
    return target.getvalue()


def texts(kind: ExportKind, subject_id: int) -> dict[str, str]:
    """Every file of a ZIP as text."""
    with ZipFile(io.BytesIO(made(kind, subject_id))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def foreign(owner: str) -> re.Pattern[str]:
    own = {owner, ON_B} if owner == ONLY_B else {owner}
    others = "|".join(sorted(EVERYTHING - own))
    return re.compile(rf"canary(?:{others})[a-z]+?qx", re.IGNORECASE)


def test_a_companys_export_holds_all_of_it_and_nothing_of_anybody_else(world: World) -> None:
    for company, owner in ((world.cast.a, ONLY_A), (world.cast.b, ONLY_B)):
        files = texts(ExportKind.COMPANY, company.id)
        everything = "\n".join(files.values())
        for what in ("company", "person", "address", "reference"):
            assert f"canary{owner}{what}qx" in everything.lower(), what
        for name, text in files.items():
            found = foreign(owner).search(text)
            assert found is None, f"{name}: {found and found.group()}"
        assert {f"json/{part.name}.json" for part in parts_about(ExportKind.COMPANY)} < set(files)


def test_incidents_in_an_export_are_what_the_company_could_read(world: World) -> None:
    of_a = json.loads(texts(ExportKind.COMPANY, world.cast.a.id)["json/incidents.json"])
    texts_of = {each["title"]: [update["text"] for update in each["updates"]] for each in of_a}
    # Of what others are told in words of their own, A reads what is for everybody.
    assert texts_of == {
        "North ring is slow": ["We look at the ring."],
        "South was slow": ["We looked at it."],
        "West is slow": ["We look at it."],
    }
    of_b = json.loads(texts(ExportKind.COMPANY, world.cast.b.id)["json/incidents.json"])
    of_everybody = {"North ring is slow", "South was slow", "West is slow"}
    assert {each["title"] for each in of_b} - of_everybody == {"CANARYbaffectedtitleQX", "CANARYbaffectedtitleQXpast"}


def test_a_persons_export_is_about_that_person(world: World) -> None:
    everything = "\n".join(texts(ExportKind.PERSON, world.cast.alice.id).values())
    assert "canaryaaddressqx-a@people.test" in everything
    assert "canaryaaddressqx-b@people.test" not in everything
    assert foreign(ONLY_A).search(everything) is None


def test_a_mail_about_two_companies_gives_neither_the_words_of_the_other(cast: Cast) -> None:
    now = clock.utcnow()
    accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=now)
    content = {"en": {"subject": "Down", "text": "Affected: {{affected}}. {{unsubscribe_url}}", "html": ""}}
    broadcast = Broadcast(
        idempotency_key="k",
        kind="incident",
        title="Down",
        selector={},
        content=content,
        thread_key="t",
        topic="incidents",
        state="done",
        expires_at=now,
        created_at=now,
    )
    db.session.add(broadcast)
    db.session.flush()
    for number, companies in enumerate(([cast.a.id], [cast.a.id, cast.b.id], [cast.b.id])):
        values = {"affected": f"line {number}", "unsubscribe_url": "https://a.portal.test/u/secret"}
        delivery = Delivery(
            broadcast_id=broadcast.id,
            dedupe_key=f"d{number}",
            message_id=f"m{number}",
            address=cast.alice.email,
            address_key=cast.alice.email_key,
            person_id=cast.alice.id,
            company_ids=companies,
            values=values,
            state="sent",
            created_at=now,
            next_attempt_at=now,
        )
        db.session.add(delivery)
    db.session.flush()
    mails = json.loads(texts(ExportKind.COMPANY, cast.a.id)["json/mails.json"])
    assert [mail["text"] for mail in mails] == ["Affected: line 0. …", "(was about other companies too)"]
    own = json.loads(texts(ExportKind.PERSON, cast.alice.id)["json/mails.json"])
    assert [mail["text"] for mail in own] == [f"Affected: line {number}. …" for number in range(3)]


FORMULAS = ["=cmd|' /C calc'!A0", "+1 Ltd", "-1 Ltd", "@SUM(A1) Ltd", 'Say "hi" Ltd', "A;b Ltd", "'=quoted Ltd"]


@pytest.mark.parametrize("kind", LISTS)
def test_i20_no_cell_of_any_csv_is_a_formula_and_no_row_is_lost(cast: Cast, kind: ExportKind) -> None:
    now = clock.utcnow()
    for number, text in enumerate(FORMULAS):
        company = accounts.add_company(text, by=SYSTEM, now=now)
        person = accounts.add_person(text, f"formula{number}@people.test", by=SYSTEM, now=now)
        accounts.add_membership(person, company, by=SYSTEM, now=now)
        component = catalogue.add_component(text, by=SYSTEM, now=now)
        service = catalogue.add_service(text, by=SYSTEM, now=now)
        catalogue.set_dependencies(service, [component.id], by=SYSTEM, now=now)
        catalogue.add_holding(company, service, reference=text, component_ids=(), by=SYSTEM, now=now)
    rows = list(csv.reader(io.StringIO(made(kind).decode(), newline="")))
    own = [row for row in rows[1:] if any(text[2:] in cell for text in FORMULAS for cell in row)]
    assert len(own) == len(FORMULAS)
    assert not [cell for row in rows for cell in row if cell[:1] in set("=+-@\t\r\n")]


def judged(kind: ExportKind, data: bytes) -> list[Any]:
    """What the import would do with a file of ours."""
    imported = kind_named(kind.value)
    shape = shape_of(data)
    mapping = guess(imported.columns, shape.headers, {})
    assert len(mapping) == len(shape.headers), "the import knows every column of the export"
    rows = [row_of(record, mapping) for record in rows_of(data, shape.encoding, shape.delimiter)]
    return imported.begin({}).judge(rows)


@pytest.mark.parametrize("kind", LISTS)
def test_what_is_exported_and_brought_in_again_changes_nothing(world: World, kind: ExportKind) -> None:
    now = clock.utcnow()
    service = catalogue.add_service("=Fax", by=SYSTEM, now=now, category="Old things", description="On paper")
    catalogue.set_dependencies(service, [world.ids["north"], world.ids["south"]], by=SYSTEM, now=now)
    own = [world.ids["south"]]
    catalogue.add_holding(world.cast.a, service, reference="+44", component_ids=own, by=SYSTEM, now=now)
    accounts.add_membership(world.cast.alice, world.cast.b, by=SYSTEM, now=now)
    db.session.flush()
    found = judged(kind, made(kind))
    assert found
    assert {(each.verdict, str(each.changes)) for each in found} == {(Verdict.UNCHANGED, str(found[0].changes))}


# The screen and the worker


def asked(cast: Cast, sign_in: SignIn, **form: str) -> ExportRun:
    client = sign_in(cast.root)
    token = token_in(client, "/admin/exports")
    assert client.post("/admin/exports", data={"csrf_token": token, **form}).status_code == 303
    return db.session.scalars(select(ExportRun).order_by(ExportRun.id.desc())).first() or pytest.fail("no export")


def test_an_export_is_asked_for_made_fetched_and_recorded(cast: Cast, sign_in: SignIn) -> None:
    run = asked(cast, sign_in, kind="company", about="alder dental")
    again = asked(cast, sign_in, kind="company", about="Alder Dental")
    assert run.id == again.id
    exporting.make(run.id, lambda: False)
    exporting.make(run.id, lambda: False)
    db.session.refresh(run)
    assert (run.state, run.parts_done) == (ExportState.READY, run.parts)
    client = sign_in(cast.root)
    page = client.get("/admin/exports").get_data(as_text=True)
    assert run.file_name in page
    token = token_in(client, "/admin/exports")
    answer = client.post(f"/admin/exports/{run.id}/file", data={"csrf_token": token})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    with ZipFile(io.BytesIO(answer.data)) as archive:
        assert "README.txt" in archive.namelist()
    for action in ("export.request", "export.download"):
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == action)).one()
        assert (entry.actor_id, entry.company_id) == (cast.root.id, cast.a.id)


def test_an_export_cut_short_is_made_anew_and_two_makers_never_mix(cast: Cast, sign_in: SignIn) -> None:
    run = asked(cast, sign_in, kind="companies")
    now = clock.utcnow()
    exporting.make(run.id, lambda: True)
    db.session.refresh(run)
    assert run.state is ExportState.RUNNING
    assert exports.due(now) == []
    lease = run.leased_until
    assert lease is not None
    assert exports.due(now + timedelta(minutes=10)) == [run.id]
    assert exports.claim(run.id, now + timedelta(minutes=10)) is not None
    assert exports.keep(run.id, lease, now) is None
    assert exports.claim(run.id, now) is None


def test_an_export_is_gone_after_its_time(cast: Cast, sign_in: SignIn) -> None:
    run = asked(cast, sign_in, kind="companies")
    exporting.make(run.id, lambda: False)
    db.session.refresh(run)
    run.expires_at = clock.utcnow() - timedelta(seconds=1)
    db.session.commit()
    client = sign_in(cast.root)
    token = token_in(client, "/admin/exports")
    assert client.post(f"/admin/exports/{run.id}/file", data={"csrf_token": token}).status_code == 404


@pytest.mark.parametrize(("kind", "about"), [("company", "No such"), ("person", "no@body.test"), ("x", "")])
def test_an_export_of_nobody_is_refused_beside_the_field(cast: Cast, sign_in: SignIn, kind: str, about: str) -> None:
    client = sign_in(cast.root)
    form = {"csrf_token": token_in(client, "/admin/exports"), "kind": kind, "about": about}
    assert client.post("/admin/exports", data=form).status_code == 422


def test_t29_nobody_without_the_right_exports_anything(world: World, sign_in: SignIn) -> None:
    run_id = world.ids["export"]
    for person in (world.cast.olaf, world.cast.ada):
        client = sign_in(person)
        token = token_in(client, "/admin/companies")
        assert client.get("/admin/exports", headers={"Accept": "text/csv"}).status_code == 403
        for path in ("/admin/exports", f"/admin/exports/{run_id}/file", f"/admin/exports/{run_id}/discard"):
            assert client.post(path, data={"csrf_token": token, "kind": "companies"}).status_code == 403
        # Asking a list for CSV gives the page, and never a file.
        listed = client.get("/admin/companies", headers={"Accept": "text/csv"})
        assert listed.mimetype == "text/html"
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.action == "export.download")).all() == []
