"""What each kind of file brings in, on the database: found again, changed, refused, and never doubled."""

import io
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import AccountMail, Company, Membership, Person
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, ComponentGroup, Holding, HoldingDependency, Service, ServiceDependency
from portal.database import Base
from portal.domains.models import Admission
from portal.errors import RuleViolation, StaleEdit
from portal.events import LiveTopic
from portal.extensions import db
from portal.notifications.models import Delivery
from portal.records import actions, exports
from portal.records.bulk import table_of
from portal.records.models import ImportFile, ImportPart, ImportRun
from portal.records.parts import parts_about
from portal.records.queries import due_runs
from portal.records.rules import ImportState, Verdict
from portal.records.rules.exports import ExportKind
from portal.records.working import Work
from tests.conftest import Cast, counted_queries
from tests.records.bringing_in import ROOT, applied, apply, begun, counts, planned, rows, sentences, worked_on
from workers import tasks

pytestmark = pytest.mark.usefixtures("session")


def how_many(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def topic(name: str) -> int:
    return db.session.scalar(select(LiveTopic.version).where(LiveTopic.name == name)) or 0


def state_of(run: ImportRun) -> ImportState:
    db.session.refresh(run)
    return run.state


# Companies.


def test_companies_come_in_with_their_home_and_are_found_again(cast: Cast) -> None:
    home = str(cast.domain_a.id)
    run = applied("companies", "Firma,KdNr,Portal\nCedar,7,\nDogwood,,b.portal.test\n", {"home": home}, by=ROOT)
    assert (run.state, counts(run)) == (ImportState.DONE, (2, 0, 0, 0))
    at_home = select(Company.name, Admission.domain_id).join(Admission).where(Admission.is_home)
    homes = {row.name: row.domain_id for row in db.session.execute(at_home)}
    assert homes["Cedar"] == cast.domain_a.id
    assert homes["Dogwood"] == cast.domain_b.id
    again = planned("companies", "Firma,KdNr,Portal\nCedar,7,\nDogwood,,b.portal.test\n", {"home": home})
    assert counts(again) == (0, 0, 2, 0)
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "company.add").order_by(AuditEntry.id))
    last = entries.all()[-1]
    assert (last.actor, last.after, last.company_id) == ("root@people.test", {"name": "Dogwood"}, last.object_id)


def test_a_company_with_a_reference_keeps_its_row_under_a_new_name_and_home(cast: Cast) -> None:
    applied("companies", "name,reference\nCedar,7\n")
    known = db.session.scalars(select(Company).where(Company.external_id == "7")).one()
    run = applied("companies", "name,reference,portal\nCedar & Sons,7,Northline\nCEDAR TWO,8,\n")
    assert counts(run) == (1, 1, 0, 0)
    assert rows(run, Verdict.CHANGED)[0]["changes"] == [
        ["Name", "Cedar", "Cedar & Sons"],
        ["Home portal", "", "a.portal.test"],
    ]
    db.session.refresh(known)
    assert (known.name, known.version) == ("Cedar & Sons", 2)
    moved = applied("companies", "name,portal\ncedar & sons,http://b.portal.test/\n")
    assert rows(moved, Verdict.CHANGED)[0]["changes"][1] == ["Home portal", "a.portal.test", "b.portal.test"]
    there = select(Admission.domain_id, Admission.is_home).where(Admission.company_id == known.id)
    assert {row.domain_id: row.is_home for row in db.session.execute(there)} == {
        cast.domain_a.id: False,
        cast.domain_b.id: True,
    }


def test_a_company_without_a_reference_takes_one_over(cast: Cast) -> None:
    run = applied("companies", "name,reference\nalder dental,A-1\n")
    assert counts(run) == (0, 1, 0, 0)
    db.session.refresh(cast.a)
    assert (cast.a.name, cast.a.external_id) == ("alder dental", "A-1")


def test_a_company_that_is_unclear_is_refused(cast: Cast) -> None:
    applied("companies", "name,reference\nAlder Dental,A-1\nBirch Logistics,B-1\n")
    accounts.archive_company(
        cast.b, version=db.session.get_one(Company, cast.b.id).version, by=SYSTEM, now=clock.utcnow()
    )
    events.commit()
    text = "name,reference,portal\n"
    text += "Alder Dental,A-2,\nBirch Logistics,,\nCedar,A-9,\nCEDAR,,\n,C-1,\nDogwood,,c.portal.test\n"
    text += "x" * 201 + ",,\nElm," + "9" * 121 + ",\n"
    assert sentences(planned("companies", text)) == [
        "Row 2: the company Alder Dental has the reference A-1 already.",
        "Row 3: the company Birch Logistics is in the archive, take it back first.",
        "Row 5: the company CEDAR stands in row 4 already; each may stand in one row only.",
        "Row 6: the name is missing.",
        "Row 7: there is no portal domain called c.portal.test, add it under Setup first.",
        "Row 8: the name has more than 200 characters.",
        "Row 9: the reference has more than 120 characters.",
    ]


# People.


def test_people_come_in_without_a_password_and_are_found_by_address(cast: Cast) -> None:
    text = "Mail,Vorname,Nachname,Firma,Sprache\nDora@People.test,Dora,Dahl,Alder Dental|Birch Logistics,Deutsch\n"
    run = applied("people", text, {"time_zone": "Europe/Berlin"})
    assert counts(run) == (1, 0, 0, 0)
    dora = db.session.scalars(select(Person).where(Person.email_key == "dora@people.test")).one()
    assert (dora.name, dora.language, dora.time_zone) == ("Dora Dahl", "de", "Europe/Berlin")
    assert dora.password_hash is None
    assert dora.role is None
    assert counts(planned("people", text.replace("Dora@People", "DORA@people"))) == (0, 0, 1, 0)
    changed = applied("people", "email,name\ndora@people.test,Dora Dahl-Ek\n")
    assert rows(changed, Verdict.CHANGED)[0]["changes"] == [["Name", "Dora Dahl", "Dora Dahl-Ek"]]
    companies = select(Membership.company_id).where(Membership.person_id == dora.id)
    assert set(db.session.scalars(companies)) == {cast.a.id, cast.b.id}
    assert how_many(AccountMail) == how_many(Delivery) == 0


def test_a_second_company_is_added_and_none_is_taken_away(cast: Cast) -> None:
    run = applied("people", "email,company\nalice@people.test,Birch Logistics\n")
    assert rows(run, Verdict.CHANGED)[0]["changes"] == [["Companies", "", "also Birch Logistics"]]
    companies = select(Membership.company_id).where(Membership.person_id == cast.alice.id)
    assert set(db.session.scalars(companies)) == {cast.a.id, cast.b.id}
    assert counts(planned("people", "email,company\nalice@people.test,Birch Logistics\n")) == (0, 0, 1, 0)


def test_people_who_cannot_come_in_are_named_with_the_reason(cast: Cast) -> None:
    accounts.deactivate_person(cast.bob, version=cast.bob.version, by=SYSTEM, now=clock.utcnow())
    events.commit()
    text = (
        "email,name,company,language,time zone\n"
        "ada@people.test,Ada,Alder Dental,,\n"
        "bob@people.test,Bob,,,\n"
        "new@people.test,New,,,\n"
        "new@people.test,,Alder Dental,,\n"
        "new@people.test,New,Cedar,,\n"
        "new@people.test,New,Alder Dental,Klingon,\n"
        "new@people.test,New,Alder Dental,,Mars/Base\n"
        "not an address,New,Alder Dental,,\n"
        ",New,Alder Dental,,\n"
    )
    assert sentences(planned("people", text)) == [
        "Row 2: Ada is staff, and staff are changed under People.",
        "Row 3: Bob is deactivated, let them in again first.",
        "Row 4: a new person needs a company to act for.",
        "Row 5: the name of a new person is missing.",
        "Row 6: there is no company called Cedar, add it or import companies first.",
        "Row 7: “Klingon” is no language we know.",
        "Row 8: “Mars/Base” is no time zone we know.",
        "Row 9: “not an address” is not an e-mail address.",
        "Row 10: the address is missing.",
    ]


def test_invitations_are_sent_only_when_they_are_asked_for_and_once(cast: Cast) -> None:
    text = "email,name,company\n" + "".join(f"p{each}@people.test,P,Alder Dental\n" for each in range(120))
    run = planned("people", text, {"invite": "now"})
    actions.apply(
        run, leave_out_refused=False, plan_hash=run.plan_hash or "", version=run.version, by=SYSTEM, now=clock.utcnow()
    )
    events.commit()
    Work(run.id, now=clock.utcnow, lease_seconds=60).run()
    assert state_of(run) is ImportState.FOLLOWING
    assert how_many(AccountMail) == 0
    # A process dies in the middle of it: what is left is done by the next one.
    stopping = Work(run.id, now=clock.utcnow, lease_seconds=60, progress=_die_after(50))
    with pytest.raises(KeyboardInterrupt):
        stopping.run()
    db.session.rollback()
    assert how_many(AccountMail) == 50
    Work(run.id, now=lambda: clock.utcnow() + timedelta(minutes=2), lease_seconds=60).run()
    assert state_of(run) is ImportState.DONE
    assert how_many(AccountMail) == db.session.scalar(select(func.count(AccountMail.person_id.distinct()))) == 120


def _die_after(rows_done: int) -> Any:
    def progress(done: int, _total: int) -> None:
        if done >= rows_done:
            raise KeyboardInterrupt

    return progress


# Components, services, holdings.

COMPONENTS = "title,group,id\nNorth ring,Network,NET-1\nSouth ring,network,\nSBC,,\n"
SERVICES = "name,category,components\nInternet access,Connections,Network / North ring|South ring\nTelephony,,SBC\n"
HOLDINGS = "company,service,circuit,components\nAlder Dental,Internet access,CIR-1,SBC\nBirch Logistics,telephony,,\n"


def test_a_whole_catalogue_comes_in_by_three_files(cast: Cast) -> None:
    events.commit()  # what the cast has rung is heard
    heard = {each.id: topic(events.company_topic(each.id)) for each in (cast.a, cast.b)}
    for kind, text, added in (("components", COMPONENTS, 3), ("services", SERVICES, 2), ("holdings", HOLDINGS, 2)):
        assert counts(applied(kind, text)) == (added, 0, 0, 0)
        before = topic(events.STAFF)
        assert counts(applied(kind, text)) == (0, 0, added, 0)
        assert topic(events.STAFF) > before
    groups = db.session.scalars(select(ComponentGroup)).all()
    assert [group.name for group in groups] == ["Network"]
    placed = select(Component.title, Component.group_id, Component.position, Component.external_id)
    assert {tuple(row) for row in db.session.execute(placed)} == {
        ("North ring", groups[0].id, 0, "NET-1"),
        ("South ring", groups[0].id, 1, None),
        ("SBC", None, 0, None),
    }
    edges = select(Service.name, Component.title).select_from(ServiceDependency).join(Service).join(Component)
    assert {tuple(row) for row in db.session.execute(edges)} == {
        ("Internet access", "North ring"),
        ("Internet access", "South ring"),
        ("Telephony", "SBC"),
    }
    held = select(Company.name, Service.name, Holding.reference).select_from(Holding).join(Company).join(Service)
    assert {tuple(row) for row in db.session.execute(held)} == {
        ("Alder Dental", "Internet access", "CIR-1"),
        ("Birch Logistics", "Telephony", ""),
    }
    assert how_many(HoldingDependency) == 1
    assert [topic(events.company_topic(each.id)) - heard[each.id] for each in (cast.a, cast.b)] == [1, 1]


def test_dependencies_become_those_of_the_row_and_the_past_is_kept(cast: Cast) -> None:
    applied("components", COMPONENTS)
    applied("services", SERVICES)
    applied("holdings", HOLDINGS)
    run = applied("services", "name,category,components\nInternet access,Lines,NET-1|SBC\nTelephony,,\n")
    assert rows(run, Verdict.CHANGED)[0]["changes"] == [
        ["Category", "Connections", "Lines"],
        ["Components", "Network / North ring, Network / South ring", "Network / North ring, SBC"],
    ]
    assert counts(run) == (0, 1, 1, 0)
    ended = select(Component.title).join(ServiceDependency).where(ServiceDependency.valid_to.is_not(None))
    assert list(db.session.scalars(ended)) == ["South ring"]
    moved = applied("holdings", "company,service,circuit,components\nAlder Dental,Internet access,CIR-1,NET-1\n")
    assert rows(moved, Verdict.CHANGED)[0]["changes"] == [["Components", "SBC", "Network / North ring"]]
    assert db.session.scalar(select(func.count()).where(HoldingDependency.valid_to.is_(None))) == 1
    other = applied("holdings", "company,service,circuit\nAlder Dental,Internet access,CIR-2\n")
    assert counts(other) == (1, 0, 0, 0)


def test_a_component_is_renamed_and_moved_by_its_reference_at_the_end_of_the_new_group(cast: Cast) -> None:
    applied("components", COMPONENTS + "Other,Voice,\n")
    run = applied("components", "title,group,id,description\nNorth loop,Voice,NET-1,Fibre\nSBC,,SBC-1,\n")
    assert rows(run, Verdict.CHANGED)[0]["changes"] == [
        ["Title", "North ring", "North loop"],
        ["Group", "Network", "Voice"],
        ["Description", "", "Fibre"],
    ]
    loop = db.session.scalars(select(Component).where(Component.external_id == "NET-1")).one()
    assert (loop.title, loop.position, loop.description) == ("North loop", 1, "Fibre")
    assert counts(planned("components", "title,group,id,description\nNorth loop,Voice,NET-1,Fibre\n")) == (0, 0, 1, 0)


def test_what_the_catalogue_cannot_take_is_named_with_the_reason(cast: Cast) -> None:
    applied("components", COMPONENTS + "SBC,Voice,\nSBC,Video,\n")
    applied("services", SERVICES)
    now = clock.utcnow()
    old = catalogue.add_component("Old", by=SYSTEM, now=now)
    catalogue.archive_component(old, version=old.version, open_incidents=(), by=SYSTEM, now=now)
    gone = catalogue.add_service("Gone", by=SYSTEM, now=now)
    catalogue.archive_service(gone, version=gone.version, by=SYSTEM, now=now)
    events.commit()
    components = (
        "title,group,id\nNorth ring,Network,NET-2\nSouth ring,Network,NET-1\n,Network,\nsbc,voice,\nSBC,Voice,\n"
    )
    assert sentences(planned("components", components)) == [
        "Row 2: the component Network / North ring has the reference NET-1 already.",
        "Row 3: Network / North ring has the reference NET-1, and there is another component Network / South ring.",
        "Row 4: the title is missing.",
        "Row 6: the component SBC stands in row 5 already; each may stand in one row only.",
    ]
    services = "name,components\nA,Old\nB,Video / SBC\nGone,\nTELEPHONY,\nTelephony,\n"
    assert sentences(planned("services", services)) == [
        "Row 2: there is no component called Old, add it or import components first.",
        "Row 4: the service Gone is in the archive, take it back first.",
        "Row 6: the service Telephony stands in row 5 already; each may stand in one row only.",
    ]
    holdings = (
        "company,service,circuit,components\nCedar,Telephony,1,\nAlder Dental,Fax,1,\nAlder Dental,,1,\n,Telephony,1,\n"
        "Alder Dental,Gone,1,\nAlder Dental,Telephony,1,Nothing\nAlder Dental,Telephony,1,\nALDER DENTAL,telephony,1,\n"
    )
    assert sentences(planned("holdings", holdings)) == [
        "Row 2: there is no company called Cedar, add it or import companies first.",
        "Row 3: there is no service called Fax, add it or import services first.",
        "Row 4: the service is missing.",
        "Row 5: the company is missing.",
        "Row 6: the service Gone is in the archive, take it back first.",
        "Row 7: there is no component called Nothing, add it or import components first.",
        "Row 9: Telephony of Alder Dental under 1 stands in row 8 already; each may stand in one row only.",
    ]


# What holds for all of them.


NAMES = st.sampled_from(["Alder", "ALDER", "Birch", "Cedar ", "=Dogwood", "Ä;b", "", "x" * 201])
REFERENCES = st.sampled_from(["", "1", "2", "3"])


TABLE = st.lists(st.tuples(NAMES, REFERENCES).filter(any), min_size=1, max_size=5)


@given(st.sampled_from(["companies", "components"]), TABLE, TABLE)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_importing_a_file_twice_is_importing_it_once(
    session: None, kind: str, there_before: list[tuple[str, str]], table: list[tuple[str, str]]
) -> None:
    """What came in comes to nothing the second time, whatever was there before; a whole file is known row by row."""
    for model in (Component, Company):
        db.session.execute(delete(model))
    applied(kind, _written(kind, there_before))
    first = applied(kind, _written(kind, table))
    told = _everything(kind)
    second = planned(kind, _written(kind, table))
    came_in = {row["row"] for verdict in set(Verdict) - {Verdict.REFUSED} for row in rows(first, verdict)}
    again = {row["row"] for verdict in (Verdict.ADDED, Verdict.CHANGED) for row in rows(second, verdict)}
    assert not came_in & again
    if not first.counts["refused"]:
        assert second.counts["unchanged"] == second.total
        assert _everything(kind) == told


def _written(kind: str, table: list[tuple[str, str]]) -> str:
    lines = [",".join(f'"{cell}"' for cell in row) for row in table]
    return "\n".join([f"{'name' if kind == 'companies' else 'title'},reference", *lines]) + "\n"


def _everything(kind: str) -> list[tuple[Any, ...]]:
    model: type[Base] = Company if kind == "companies" else Component
    return [tuple(row) for row in db.session.execute(select(table_of(model)).order_by(table_of(model).c.id))]


def test_the_number_of_queries_does_not_grow_with_the_rows(cast: Cast) -> None:
    def of(count: int) -> int:
        run = begun(
            "companies", "name,reference\n" + "".join(f"C {count} {each},{count}-{each}\n" for each in range(count))
        )
        actions.plan(
            run, run.mapping, {"home": str(cast.domain_a.id)}, version=run.version, by=SYSTEM, now=clock.utcnow()
        )
        events.commit()
        with counted_queries() as dry:
            worked_on(run.id)
        with counted_queries() as wet:
            apply(run)
        return len(dry) + len(wet)

    assert of(400) <= of(10) + 2


def test_live_pages_are_rung_once_whatever_the_number_of_rows(cast: Cast) -> None:
    run = planned("companies", "name\n" + "".join(f"C {each}\n" for each in range(300)))
    before = topic(events.STAFF)
    apply(run)
    # Once for the question and once for the answer.
    assert topic(events.STAFF) == before + 2


def test_a_world_that_has_moved_is_looked_at_again_and_nothing_is_applied(cast: Cast) -> None:
    run = planned("companies", "name\nCedar\nDogwood\n")
    accounts.add_company("cedar", by=SYSTEM, now=clock.utcnow())
    events.commit()
    seen, before = run.plan_hash, how_many(Company)
    again = apply(run)
    assert again.state is ImportState.PLANNED
    assert "nothing was applied" in (again.note or "")
    assert counts(again) == (1, 1, 0, 0)
    assert how_many(Company) == before
    with pytest.raises(StaleEdit):
        actions.apply(
            again, leave_out_refused=False, plan_hash=seen or "", version=again.version, by=SYSTEM, now=clock.utcnow()
        )
    assert apply(again).state is ImportState.DONE
    assert how_many(Company) == before + 1


def test_bad_rows_are_left_out_only_when_somebody_says_so(cast: Cast) -> None:
    run = planned("companies", "name,x\nCedar,\n,y\n")
    with pytest.raises(RuleViolation, match="1 rows cannot come in"):
        actions.apply(
            run,
            leave_out_refused=False,
            plan_hash=run.plan_hash or "",
            version=run.version,
            by=SYSTEM,
            now=clock.utcnow(),
        )
    assert apply(run).state is ImportState.DONE
    known = planned("companies", "name\nCedar\n")
    with pytest.raises(RuleViolation, match="nothing to apply"):
        apply(known)


def test_a_dry_run_is_stopped_by_hand_and_by_the_end_of_its_process(cast: Cast) -> None:
    text = "name\n" + "".join(f"C {each}\n" for each in range(3000))
    run = begun("companies", text)
    actions.plan(run, run.mapping, {"home": ""}, version=run.version, by=SYSTEM, now=clock.utcnow())
    events.commit()
    assert due_runs(clock.utcnow()) == [run.id]

    def stop(done: int, _total: int) -> None:
        if done == 1000:
            actions.stop(db.session.get_one(ImportRun, run.id), by=SYSTEM, now=clock.utcnow())
            events.commit()

    Work(run.id, now=clock.utcnow, lease_seconds=60, progress=stop).run()
    db.session.refresh(run)
    assert (run.state, run.note) == (ImportState.MAPPING, "Stopped. Nothing was changed.")
    actions.plan(run, run.mapping, {"home": ""}, version=run.version, by=SYSTEM, now=clock.utcnow())
    events.commit()
    work = Work(run.id, now=clock.utcnow, lease_seconds=60)
    work.stop.set()
    work.run()
    assert due_runs(clock.utcnow()) == [run.id], "the next process begins at once"
    assert counts(worked_on(run.id)) == (3000, 0, 0, 0)
    waiting = planned("companies", "name\nZebra\n")
    actions.plan_again(waiting, version=waiting.version, by=SYSTEM, now=clock.utcnow())
    actions.stop(waiting, by=SYSTEM, now=clock.utcnow())
    assert waiting.state is ImportState.MAPPING


def test_whoever_falls_silent_loses_the_import_and_whoever_comes_late_does_nothing(cast: Cast) -> None:
    run = begun("companies", "name\nCedar\n")
    actions.plan(run, run.mapping, {"home": ""}, version=run.version, by=SYSTEM, now=clock.utcnow())
    events.commit()
    with pytest.raises(KeyboardInterrupt):
        Work(run.id, now=clock.utcnow, lease_seconds=60, progress=_die_after(1)).run()
    db.session.rollback()
    assert due_runs(clock.utcnow()) == []
    Work(run.id, now=clock.utcnow, lease_seconds=60).run()
    assert state_of(run) is ImportState.PLANNING
    later = clock.utcnow() + timedelta(minutes=2)
    assert due_runs(later) == [run.id]
    Work(run.id, now=lambda: later, lease_seconds=60).run()
    assert state_of(run) is ImportState.PLANNED


def test_files_go_after_their_time_and_what_came_of_them_stays(cast: Cast) -> None:
    run = applied("companies", "name\nCedar\n")
    waiting = begun("companies", "name\nElm\n")
    assert actions.forget_files(clock.utcnow()) == 0
    assert actions.forget_files(clock.utcnow() + timedelta(days=31)) == 2
    events.commit()
    assert how_many(ImportPart) == how_many(ImportFile) == 0
    assert db.session.get_one(ImportRun, run.id).counts["added"] == 1
    with pytest.raises(RuleViolation, match="no longer kept"):
        actions.plan(waiting, {"name": 0}, {"home": ""}, version=waiting.version, by=SYSTEM, now=clock.utcnow())


def test_the_columns_chosen_last_are_remembered(cast: Cast) -> None:
    planned("companies", "a,b\nCedar,7\n", mapping={"name": 0, "external_id": 1})
    assert begun("companies", "b,a\n8,Dogwood\n").mapping == {"name": 1, "external_id": 0}


def test_what_a_service_says_of_itself_comes_in_and_goes_out_the_same(cast: Cast) -> None:
    text = (
        "name,aliases,icon,everyone,notifies\n"
        "Email,Mail|Outlook;mail,mail,yes,Intermittent problems|system_is_down\n"
        "Backup,,,,\nPhones,,Phone,no,none\n"
    )
    assert counts(applied("services", text)) == (3, 0, 0, 0)
    email, backup, phones = db.session.scalars(select(Service).order_by(Service.position)).all()
    assert (email.icon, email.aliases, email.alias_keys) == ("mail", ["Mail", "Outlook"], "mail\noutlook")
    assert email.notifies == ["intermittent_problems", "system_is_down"]
    assert (backup.icon, backup.aliases, backup.notifies, backup.is_global) == ("", [], None, False)
    assert (phones.icon, phones.notifies) == ("phone", [])
    assert email.is_global
    tasks.hold_global_services()
    assert db.session.scalar(select(func.count(Holding.id)).where(Holding.service_id == email.id)) == 2
    exported = io.BytesIO()
    exports.write_list(exported, parts_about(ExportKind.SERVICES)[0], clock.utcnow())
    assert "Email,,,Mail|Outlook,mail,yes,intermittent_problems|system_is_down," in exported.getvalue().decode()
    assert "Phones,,,,phone,no,none," in exported.getvalue().decode()
    assert counts(applied("services", exported.getvalue())) == (0, 0, 3, 0)
    silent = "name,aliases,icon,everyone,notifies\nEmail,,,,\n"
    assert counts(applied("services", silent)) == (0, 0, 1, 0)
    run = applied("services", "name,aliases,icon,everyone,notifies\nEmail,Post,cloud,no,all\nPhones,,,ja,\n")
    assert rows(run, Verdict.CHANGED)[0]["changes"] == [
        ["Other names", "Mail, Outlook", "Post"],
        ["Icon", "mail", "cloud"],
        ["Mailed statuses", "intermittent_problems, system_is_down", "all"],
        ["Every company", "yes", "no"],
    ]
    db.session.expire_all()
    now_said: tuple[Any, ...] = (email.aliases, email.notifies, email.is_global, phones.is_global)
    assert now_said == (["Post"], None, False, True)
    wrong = f"name,aliases,icon,everyone,notifies\nA,{'x' * 61},,,\nB,,dragon,,\nC,,,perhaps,\nD,,,,sometimes\n"
    assert sentences(planned("services", wrong)) == [
        "Row 2: another name has at most 60 characters.",
        "Row 3: choose one of the icons.",
        "Row 4: whether every company holds it is yes or no, and not perhaps.",
        "Row 5: choose among the four statuses.",
    ]
