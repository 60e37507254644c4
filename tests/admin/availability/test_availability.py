"""The screens of availability for staff: the months, a company's, what is agreed, and the rule."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, events
from portal.audit.models import AuditEntry
from portal.catalogue.models import Holding
from portal.extensions import db
from portal.incidents.models import Maintenance
from portal.incidents.queries.availability import contract_of, rule_in
from portal.incidents.rules.availability import Month, Terms
from portal.services.rules import ServiceStatus
from tests.conftest import Cast, SignIn, counted_queries, token_in
from tests.incidents.conftest import World
from tests.services.test_ledger import broken, stated, worked_on

LIST, RULE = "/admin/availability", "/admin/settings/availability"
MORNING = datetime(2026, 10, 10, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TYPED = {
    "from_month": "2026-11",
    "partial": "50",
    "performance": "5",
    "maintenance": "0",
    "notice": "24",
    "target": "99.95",
}


@pytest.fixture(autouse=True)
def november(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "utcnow", lambda: NOW)


def october(client: FlaskClient, path: str = LIST, **query: Any) -> Any:
    return client.get(path, query_string={"month": "2026-10", **query})


def post(client: FlaskClient, path: str, **fields: Any) -> Any:
    version = re.search(r'name="version"[^>]*value="(\d*)"', client.get(path).text)
    assert version is not None
    return client.post(path, data={"csrf_token": token_in(client, path), "version": version[1], **fields})


class TestMonths:
    """All companies of a month."""

    def test_the_worst_stands_first_and_who_missed_can_be_picked(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        broken(world.fibre.id, MORNING, HOUR)
        client = sign_in(cast.ada)
        assert post(client, RULE, **TYPED | {"from_month": "2026-10"}).status_code == 303
        page = october(client).text
        assert page.index(f"company-{cast.b.id}") < page.index(f"company-{cast.a.id}")
        by_name = october(client, sort="name").text
        assert by_name.index(f"company-{cast.a.id}") < by_name.index(f"company-{cast.b.id}")
        missed = october(client, missed="1").text
        assert f"company-{cast.b.id}" in missed
        assert f"company-{cast.a.id}" not in missed
        assert "99.865\u202f%" in page
        assert "for 50 %" in page
        assert f"company-{cast.a.id}" in october(client, q=cast.a.name).text
        assert "No company" in october(client, q="nobody is called so").text

    def test_without_a_month_it_is_the_last_that_is_over(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        assert "Availability, October 2026" in sign_in(cast.ada).get(LIST).text

    @pytest.mark.parametrize(
        "query", ["month=2026-12", "month=2026-13", "month=", "month=1999-01", "sort=x", "page=0", "page=2", "page=x"]
    )
    def test_what_there_is_not_is_not_found(self, cast: Cast, world: World, sign_in: SignIn, query: str) -> None:
        assert sign_in(cast.ada).get(f"{LIST}?{query}").status_code == 404

    def test_a_month_nobody_held_anything_in_says_so(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        assert "Nothing was held in this month" in sign_in(cast.ada).get(f"{LIST}?month=2010-01").text

    def test_pages_hold_fifty_and_take_few_queries(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        october(client)
        with counted_queries() as statements:
            october(client)
        assert len(statements) <= 10  # counted once, and kept until something rings

    def test_it_follows_what_happens(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        assert "99.865" not in october(client).text
        broken(world.fibre.id, MORNING, HOUR)
        events.ring(events.STAFF)
        events.commit()
        assert "99.865\u202f%" in october(client).text

    def test_as_csv(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        broken(world.fibre.id, MORNING, HOUR)
        db.session.commit()
        answer = october(sign_in(cast.ada), f"{LIST}/month.csv")
        assert answer.mimetype == "text/csv"
        assert "availability-2026-10.csv" in answer.headers["Content-Disposition"]
        lines = answer.text.splitlines()
        assert len(lines) == 3
        assert "/admin/incidents/" in answer.text


class TestCompany:
    """The month of one company."""

    def test_holdings_figures_and_what_is_behind_them(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        incident = broken(world.trunk.id, MORNING, HOUR)
        update = stated(world.holding_a, ServiceStatus.INTERMITTENT, MORNING + 2 * HOUR, HOUR)
        work = worked_on(world.exchange.id, MORNING + 5 * HOUR, 2 * HOUR)
        db.session.add(
            Holding(
                company_id=cast.a.id,
                service_id=world.internet.id,
                reference="LATE",
                valid_from=MORNING,
                valid_to=MORNING + HOUR,
            )
        )
        db.session.commit()
        page = october(sign_in(cast.ada), f"{LIST}/companies/{cast.a.id}").text
        for path in (f"incidents/{incident.id}", f"services/updates/{update.id}", f"maintenances/{work.id}"):
            assert f"/admin/{path}" in page
        for words in (
            "ACC-1",
            "LATE",
            "1\u00a0h\u00a000\u00a0min",
            "2\u00a0h\u00a000\u00a0min",
            "99.8",
            "As for everybody",
            "Times of ",
        ):
            assert words in page
        assert db.session.scalar(select(Maintenance.title)) in page

    def test_as_csv(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        answer = october(sign_in(cast.ada), f"{LIST}/companies/{cast.a.id}/month.csv")
        assert answer.text.count("\r\n") == 2
        assert "ACC-1" in answer.text
        assert "LINE-9" not in answer.text

    def test_a_company_that_held_nothing_says_so(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        path = f"{LIST}/companies/{cast.a.id}"
        assert "Held nothing in this month" in client.get(f"{path}?month=2010-01").text
        assert client.get(f"{LIST}/companies/99999").status_code == 404
        assert client.get(f"{path}?month=2026-12").status_code == 404

    def test_what_is_agreed_is_changed_from_a_month_on(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.root)
        path = f"{LIST}/companies/{cast.a.id}/contract"
        typed = {"from_month": "2026-11", "maintenance": "counted", "target": "99.5"}
        assert post(client, path, **typed).status_code == 303
        assert contract_of(cast.a.id, Month(2026, 11)).terms == Terms(counts_maintenance=True, target=99_500)
        assert contract_of(cast.a.id, Month(2026, 10)).terms == Terms()
        (entry,) = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "company_contract.edit"))
        assert entry.company_id == cast.a.id
        assert "99.5 % promised" in client.get(path).text
        stale = client.post(path, data={"csrf_token": token_in(client, path), "version": "0", **typed, "target": "99"})
        assert stale.status_code == 409
        refused = post(client, path, **typed | {"target": "101"})
        assert refused.status_code == 422
        assert 'value="101"' in refused.text
        assert post(sign_in(cast.root), path, **typed | {"maintenance": "usual", "target": ""}).status_code == 303
        assert contract_of(cast.a.id, Month(2026, 11)).terms == Terms()


class TestRule:
    """Settings → Availability."""

    def test_what_is_saved_counts_from_its_month_and_is_printed(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.ada)
        assert post(client, RULE, **TYPED).status_code == 303
        rule = rule_in(Month(2026, 11))
        assert (rule.terms.weights.partial, rule.terms.notice, rule.terms.target) == (50, 24 * HOUR, 99_950)
        assert rule_in(Month(2026, 10)).terms == Terms()
        assert "From 2026-11" in client.get(RULE).text
        assert "for 50 %" in client.get(f"/admin/services/{world.telephony.id}").text

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("partial", "101"),
            ("partial", "x"),
            ("performance", "60"),
            ("notice", "-1"),
            ("target", "100.1"),
            ("target", "0"),
        ],
    )
    def test_what_cannot_be_is_refused_with_what_was_typed(
        self, cast: Cast, sign_in: SignIn, field: str, value: str
    ) -> None:
        answer = post(sign_in(cast.ada), RULE, **TYPED | {field: value})
        assert answer.status_code == 422
        assert f'value="{value}"' in answer.text
        assert rule_in(Month(2026, 11)).version == 0

    def test_who_looked_at_an_older_one_is_told(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        post(client, RULE, **TYPED)
        stale = client.post(RULE, data={"csrf_token": token_in(client, RULE), "version": "0", **TYPED, "partial": "9"})
        assert stale.status_code == 409
        assert 'value="9"' in stale.text


def test_the_dashboard_says_how_a_whole_service_was(cast: Cast, world: World, sign_in: SignIn) -> None:
    stated(world.holding_a, ServiceStatus.DOWN, NOW - 3 * HOUR, HOUR)
    db.session.commit()
    page = sign_in(cast.ada).get(f"/admin/services/{world.telephony.id}").text
    assert "Over all who held it, 1 holding" in page
    assert "99.95 %" in page
