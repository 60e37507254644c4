"""Availability through the API: the month of each company with its rule, what is promised, and what is agreed."""

from datetime import timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal import clock
from portal.accounts.models import Company
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component, Holding, Service, ServiceDependency
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import ImpactInterval, Incident
from portal.incidents.rules import Audience, Impact, Severity, State, Visibility
from portal.incidents.rules.availability import Month
from portal.services.models import ServiceView
from tests.api.v1.conftest import MakeMachine, refusal
from tests.conftest import Cast, counted_queries

HOUR = timedelta(hours=1)


class Ledger(NamedTuple):
    """The month that is over, its length in minutes, and what A and B hold in it."""

    month: str
    minutes: float
    holding_a: int
    holding_b: int


@pytest.fixture
def ledger(cast: Cast) -> Ledger:
    """In the month before this one what A holds was down for four hours, and partly for ten; B's was well."""
    now, zone = clock.utcnow(), ZoneInfo(cast.domain_a.time_zone)
    month = Month.of(now, zone).moved(-1)
    begin, end = month.bounds(zone)
    long_ago = begin - 48 * HOUR
    holdings = []
    for company, name in ((cast.a, "Telephony"), (cast.b, "Internet")):
        part = Component(public_id=name.lower(), title=name, created_at=long_ago, updated_at=long_ago)
        service = Service(name=name, name_key=name.lower(), category="Voice", created_at=long_ago)
        db.session.add_all([part, service])
        db.session.flush()
        holding = Holding(company_id=company.id, service_id=service.id, reference=name[0], valid_from=long_ago)
        db.session.add_all(
            [holding, ServiceDependency(service_id=service.id, component_id=part.id, valid_from=long_ago)]
        )
        holdings.append((holding, part))
    db.session.flush()
    for severity, hours, day in ((Severity.MAJOR_OUTAGE, 4, 3), (Severity.PARTIAL_RTH, 10, 9)):
        at = begin + timedelta(days=day)
        incident = Incident(
            public_id=f"broke-{day}",
            title="Calls fail",
            state=State.FIXED,
            impact=Impact.CRITICAL,
            visibility=Visibility.PUBLIC,
            audience=Audience.EVERYONE,
            started_at=at,
            resolved_at=at + hours * HOUR,
            created_at=at,
            public_updated_at=at,
        )
        db.session.add(incident)
        db.session.flush()
        db.session.add(
            ImpactInterval(
                incident_id=incident.id,
                component_id=holdings[0][1].id,
                severity=severity,
                from_at=at,
                to_at=at + hours * HOUR,
            )
        )
    db.session.commit()
    return Ledger(str(month), (end - begin) / timedelta(minutes=1), *(holding.id for holding, _part in holdings))


def test_a_month_is_told_with_its_rule_and_line_by_line(machine: MakeMachine, cast: Cast, ledger: Ledger) -> None:
    reader = machine(Scope.READ)
    path = f"/availability/{cast.a.id}/{ledger.month}"
    found = reader.read(path)
    down = 4 * 60 + 10 * 60 * 0.3
    share = int((ledger.minutes - down) / ledger.minutes * 100_000) / 1000
    assert (found["availability"], found["worst"], found["holdings"], found["missed"]) == (share, share, 1, 0)
    assert (found["minutes"]["total"], found["minutes"]["measured"]) == (ledger.minutes, ledger.minutes)
    assert (found["minutes"]["down"], found["minutes"]["partial_outage"]) == (240, 600)
    assert found["minutes"]["counted_as_down"] == down
    rule = found["rule"]
    assert (rule["partial_outage"], rule["notice_hours"], rule["counts_maintenance"], rule["target"]) == (
        30,
        48,
        False,
        None,
    )
    assert "partly down for 30 %" in rule["words"]
    (line,) = reader.all(f"{path}/holdings")
    assert (line["holding_id"], line["service_name"], line["reference"]) == (ledger.holding_a, "Telephony", "T")
    assert (line["availability"], line["minutes"], line["is_met"]) == (share, found["minutes"], None)
    assert [(each["kind"], each["title"]) for each in line["causes"]] == [("incident", "Calls fail")] * 2
    assert all(each["id"] for each in line["causes"])
    assert reader.read(f"/availability/{cast.b.id}/{ledger.month}")["availability"] == 100.0


def test_companies_are_listed_by_number_and_the_worst_first(machine: MakeMachine, cast: Cast, ledger: Ledger) -> None:
    reader = machine(Scope.READ)
    a, b = cast.a, cast.b
    for query, wanted in (
        ("", [a, b]),
        ("?sort=worst", [a, b]),
        ("?limit=1", [a, b]),
        ("?sort=worst&limit=1", [a, b]),
        (f"?month={ledger.month}&missed=false", [a, b]),
        ("?missed=true", []),
        (f"?q={b.name[:5].upper()}", [b]),
        ("?month=2001-01", []),
    ):
        assert [each["company_id"] for each in reader.all(f"/availability{query}")] == [each.id for each in wanted]
    machine().send(
        "PUT",
        "/availability/rule",
        rule(from_month=ledger.month, target=99.95),
        match=0,
    )
    (missed,) = reader.all("/availability?missed=true")
    assert (missed["company_id"], missed["missed"], missed["target"]) == (a.id, 1, 99.95)
    for query in ("month=2026-13", "month=9999-12", "month=2026", "sort=name", "cursor=x"):
        refusal(reader.get(f"/availability?{query}"), 422)
    for path in (f"/availability/{a.id}/2999-01", f"/availability/{a.id}/2026-13", "/availability/2000000/2026-10"):
        refusal(reader.get(path), 404)


def test_a_company_reads_its_own_month_and_no_other(machine: MakeMachine, cast: Cast, ledger: Ledger) -> None:
    bound = machine(Scope.READ, cast.a)
    own = f"/availability/{cast.a.id}/{ledger.month}"
    assert bound.read(own)["minutes"]["down"] == 240
    (line,) = bound.all(f"{own}/holdings")
    assert all("id" not in each and each["public_id"] for each in line["causes"])
    of_b = f"/availability/{cast.b.id}/{ledger.month}"
    contract = f"/companies/{cast.a.id}/availability-contract"
    for path in (of_b, f"{of_b}/holdings", "/availability", "/availability/rule", contract):
        refusal(bound.get(path), 404)
    for method, path, body in (("PUT", "/availability/rule", rule()), ("PUT", contract, agreed())):
        assert bound.send(method, path, body, match="*").status_code in {403, 404}
    db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[line["service_id"]]))
    db.session.commit()
    assert bound.read(own)["holdings"] == 0
    assert bound.all(f"{own}/holdings") == []


@pytest.mark.parametrize("area", [Area.SERVICES, Area.STATUS])
def test_where_the_portal_does_not_show_it_its_token_does_not_either(
    machine: MakeMachine, cast: Cast, ledger: Ledger, area: Area
) -> None:
    bound = machine(Scope.READ, cast.a)
    path = f"/availability/{cast.a.id}/{ledger.month}"
    assert bound.get(path).status_code == 200
    domains.set_override(cast.domain_a, cast.a, area, False, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    for each in (path, f"{path}/holdings"):
        refusal(bound.get(each), 404)


def test_without_its_history_a_company_has_no_months(machine: MakeMachine, cast: Cast, ledger: Ledger) -> None:
    db.session.add(ServiceView(domain_id=cast.domain_a.id, shows_history=False))
    db.session.commit()
    refusal(machine(Scope.READ, cast.a).get(f"/availability/{cast.a.id}/{ledger.month}"), 404)


def rule(**more: Any) -> dict[str, Any]:
    usual = {"partial_outage": 50, "performance_issue": 10, "maintenance": 5, "notice_hours": 72}
    return {**usual, "counts_maintenance": True, "target": 99.9, **more}


def agreed(**more: Any) -> dict[str, Any]:
    return {"counts_maintenance": True, "target": 99.95, **more}


def test_the_rule_is_read_and_set_from_a_month_on(machine: MakeMachine, cast: Cast) -> None:
    desk = machine(Scope.WRITE)
    usual = desk.read("/availability/rule")
    assert (usual["partial_outage"], usual["from_month"], usual["known"], usual["version"]) == (30, None, [], 0)
    refusal(desk.send("PUT", "/availability/rule", rule()), 428)
    found = desk.send("PUT", "/availability/rule", rule(), match=0).json
    assert found is not None
    named = ("partial_outage", "performance_issue", "maintenance", "notice_hours", "counts_maintenance", "target")
    assert {name: found[name] for name in named} == rule()
    assert (found["from_month"], found["version"]) == (f"{clock.utcnow():%Y-%m}", 1)
    assert [each["target"] for each in found["known"]] == [99.9]
    assert "Maintenance counts as down." in found["words"]
    refusal(desk.send("PUT", "/availability/rule", rule(partial_outage=60), match=0), 409)
    later = str(Month.of(clock.utcnow(), ZoneInfo("UTC")).moved(2))
    ahead = desk.send("PUT", "/availability/rule", rule(from_month=later, target=None), match=1).json
    assert ahead is not None
    assert (ahead["target"], [each["from_month"] for each in ahead["known"]]) == (
        99.9,
        [later, found["from_month"]],
    )
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "availability_settings.edit")).all()
    assert len(entries) == 2


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"performance_issue": 60}, "/performance_issue"),
        ({"notice_hours": 90 * 24 + 1}, "/notice_hours"),
        ({"target": 0.0001}, "/target"),
        ({"target": 101}, "/target"),
        ({"target": "99"}, "/target"),
        ({"from_month": "2001-01"}, "/from_month"),
        ({"from_month": "2026-1x"}, "/from_month"),
    ],
)
def test_a_rule_that_cannot_be_says_where(
    machine: MakeMachine, cast: Cast, changes: dict[str, Any], pointer: str
) -> None:
    problem = refusal(machine().send("PUT", "/availability/rule", rule() | changes, match=0), 422)
    assert [each.get("pointer") for each in problem["errors"]] == [pointer]


def test_what_is_agreed_with_a_company_counts_for_it_alone(machine: MakeMachine, cast: Cast, ledger: Ledger) -> None:
    desk, reader = machine(Scope.COMPANIES), machine(Scope.READ)
    path = f"/companies/{cast.a.id}/availability-contract"
    none = desk.read(path)
    assert (none["target"], none["counts_maintenance"], none["from_month"], none["version"]) == (None, None, None, 0)
    assert (none["rule"]["counts_maintenance"], none["known"]) == (False, [])
    refusal(desk.send("PUT", path, agreed()), 428)
    found = desk.send("PUT", path, agreed(from_month=ledger.month), match=0).json
    assert found is not None
    assert (found["target"], found["counts_maintenance"], found["version"]) == (99.95, True, 1)
    assert found["known"] == [{"from_month": ledger.month, "counts_maintenance": True, "target": 99.95}]
    refusal(desk.send("PUT", path, agreed(target=None), match=0), 409)
    month = reader.read(f"/availability/{cast.a.id}/{ledger.month}")
    assert (month["missed"], month["rule"]["target"], month["rule"]["counts_maintenance"]) == (1, 99.95, True)
    (line,) = reader.all(f"/availability/{cast.a.id}/{ledger.month}/holdings")
    assert (line["target"], line["is_met"]) == (99.95, False)
    other = reader.read(f"/availability/{cast.b.id}/{ledger.month}")
    assert (other["rule"]["target"], other["rule"]["counts_maintenance"]) == (None, False)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "company_contract.edit")).one()
    assert entry.company_id == cast.a.id
    problem = refusal(desk.send("PUT", path, agreed(from_month="2001-01"), match=1), 422)
    assert [each["pointer"] for each in problem["errors"]] == ["/from_month"]
    for method, body in (("GET", None), ("PUT", agreed())):
        refusal(desk.send(method, "/companies/2000000000/availability-contract", body, match="*"), 404)


def test_who_may_set_what_is_as_on_screen(machine: MakeMachine, cast: Cast) -> None:
    contract = f"/companies/{cast.a.id}/availability-contract"
    for scope, of_rule, of_contract in (
        (Scope.READ, 403, 403),
        (Scope.WRITE, 200, 403),
        (Scope.COMPANIES, 403, 200),
        (Scope.INCIDENTS, 403, 403),
        (Scope.ADMIN, 200, 200),
    ):
        token = machine(scope)
        assert token.send("PUT", "/availability/rule", rule(), match="*").status_code == of_rule, scope
        assert token.send("PUT", contract, agreed(), match="*").status_code == of_contract, scope


def test_more_holdings_take_no_more_queries(machine: MakeMachine, cast: Cast, ledger: Ledger) -> None:
    reader = machine(Scope.READ)
    path = f"/availability/{cast.a.id}/{ledger.month}/holdings?limit=5"
    with counted_queries() as few:
        reader.read(path)
    held = db.session.get(Holding, ledger.holding_a)
    assert held is not None
    db.session.add_all(
        Holding(company_id=cast.a.id, service_id=held.service_id, reference=f"N{n}", valid_from=held.valid_from)
        for n in range(12)
    )
    db.session.commit()
    with counted_queries() as many:
        piece = reader.read(path)
    assert len(piece["items"]) == 5
    assert len(many) <= len(few) <= 20
    ids = [each["holding_id"] for each in reader.all(path)]
    assert (len(ids), ids) == (13, sorted(set(ids)))


def test_more_companies_take_no_more_queries(machine: MakeMachine, cast: Cast, ledger: Ledger) -> None:
    reader = machine(Scope.READ)
    with counted_queries() as few:
        reader.read("/availability")
    held = db.session.get(Holding, ledger.holding_a)
    assert held is not None
    for number in range(9):
        company = Company(name=f"Mill {number}", name_key=f"mill {number}", created_at=held.valid_from)
        db.session.add(company)
        db.session.flush()
        db.session.add(
            Holding(company_id=company.id, service_id=held.service_id, reference="M", valid_from=held.valid_from)
        )
    db.session.commit()
    reader.client.application.extensions.pop("months_kept")
    with counted_queries() as many:
        assert len(reader.read("/availability?limit=5")["items"]) == 5
    assert len(many) <= len(few) <= 20
    with counted_queries() as kept:
        assert len(reader.all("/availability?limit=100")) == 11
    assert len(kept) <= 4
