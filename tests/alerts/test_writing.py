"""Making, changing, switching and archiving alerts, by staff and by customers as far as their company may."""

from dataclasses import replace
from decimal import Decimal

import pytest
from flask_babel import force_locale
from sqlalchemy import func, select

from portal.accounts import actions as accounts
from portal.alerts import actions
from portal.alerts.models import Alert, AlertTemplate, AlertWatch
from portal.alerts.queries import alert_by_id, alert_page, alerts_of, counts, found_or_404, rights_of, triggered_page
from portal.alerts.rules import AlertArea, AlertState, Maker, Operator, Repeat, Rights
from portal.alerts.rules.checks import Wanted
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from portal.records.parts import parts_about
from portal.records.rules.exports import ExportKind
from portal.usage.actions import Wanted as WantedMetric
from portal.usage.actions import add_metric
from portal.usage.rules import Measure
from tests.alerts.conftest import LOW_BALANCE, Meter, add, balance_of
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World, world  # noqa: F401 (a fixture)


def own(alert: Alert) -> Alert:
    return found_or_404(alert_by_id(alert.id))


def edit(alert: Alert, *, made_by: Maker = Maker.STAFF, version: int | None = None, **changes: object) -> None:
    found = own(alert)
    wish = replace(actions.wanted_of(found), **changes)  # type: ignore[arg-type]
    actions.edit_alert(found, wish, version=version or found.version, made_by=made_by, by=SYSTEM, now=NOW)


def refusal(wanted: Wanted, **given: object) -> tuple[str | None, str]:
    with pytest.raises(RuleViolation) as found:
        actions.add_alert(wanted, by=SYSTEM, now=NOW, idempotency_key=f"refused-{wanted}", **given)  # type: ignore[arg-type]
    return found.value.field, found.value.sentence


def test_the_same_key_again_is_the_same_alert(cast: Cast) -> None:
    wish = replace(LOW_BALANCE, company_id=cast.a.id)
    given = {"by": SYSTEM, "now": NOW, "idempotency_key": "once"}
    assert actions.add_alert(wish, **given) is actions.add_alert(wish, **given)  # type: ignore[arg-type]


def test_title_is_unique_per_company_whatever_its_case(cast: Cast) -> None:
    first = add(LOW_BALANCE, cast.a)
    add(LOW_BALANCE, cast.b)
    found = refusal(replace(LOW_BALANCE, company_id=cast.a.id, title=" LOW  balance "))
    assert found == ("title", "There is an alert called LOW balance already.")
    actions.archive_alert(own(first), version=first.version, by=SYSTEM, now=NOW)
    add(LOW_BALANCE, cast.a)


def test_an_alert_and_whom_it_tells_are_written_in_the_audit_trail(cast: Cast) -> None:
    alert = add(LOW_BALANCE, cast.a)
    edit(alert, threshold=Decimal("12.5"))
    edit(alert)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "alert.edit")).one()
    assert entry.company_id == cast.a.id
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["threshold"], entry.after["threshold"]) == ("10", "12.5")
    assert entry.after["recipients"] == ["noc@elsewhere.test"]


def test_a_stale_edit_is_refused_and_looking_at_it_makes_none_stale(cast: Cast, meter: Meter) -> None:
    alert = add(LOW_BALANCE, cast.a)
    version = alert.version
    meter.reads(5, 50, 5)
    edit(alert, version=version, title="New")
    with pytest.raises(StaleEdit):
        edit(alert, version=version, title="Newer")


def test_whose_an_alert_is_stays(cast: Cast) -> None:
    alert = add(LOW_BALANCE, cast.a)
    edit(alert, company_id=cast.b.id, title="Theirs")
    assert own(alert).company_id == cast.a.id


def test_what_is_named_must_be_there(cast: Cast, world: World) -> None:  # noqa: F811
    wish = replace(LOW_BALANCE, company_id=cast.a.id)
    foreign = add_metric(WantedMetric("q", "Queue", company_id=cast.b.id, measure=Measure.CUSTOM), by=SYSTEM, now=NOW)
    custom = replace(wish, area=AlertArea.CUSTOM, metric_id=foreign.id, threshold=Decimal(1))
    assert refusal(custom)[0] == "metric"
    assert refusal(replace(wish, service_id=99_999))[0] == "service"
    assert refusal(replace(wish, template_id=99_999))[0] == "template"
    assert refusal(replace(wish, company_id=99_999))[0] == "company"
    daily = {"repeat": Repeat.DAILY, "repeat_hour": 9}
    assert refusal(replace(wish, zone="Mars/Base", **daily))[0] == "zone"  # type: ignore[arg-type]
    assert refusal(replace(wish, area=AlertArea.SCRIPT, script="import os"))[0] == "script"
    assert refusal(replace(wish, area=AlertArea.SCRIPT, script='metric("nope") < 1'))[0] == "script"
    assert refusal(replace(wish, recipients=("neither",)))[0] == "recipients"


def test_a_threshold_has_the_digits_of_the_companys_own_money(cast: Cast) -> None:
    balance_of(cast.a, decimals=0)
    assert refusal(replace(LOW_BALANCE, company_id=cast.a.id, threshold=Decimal("9.50")))[0] == "threshold"
    add(LOW_BALANCE, cast.b, threshold=Decimal("9.50"))


def test_a_daily_hour_stores_the_zone_of_the_company(cast: Cast) -> None:
    cast.domain_a.time_zone = "Europe/Berlin"
    alert = add(LOW_BALANCE, cast.a, repeat=Repeat.DAILY, repeat_hour=9)
    assert (alert.repeat_hour, alert.zone) == (9, "Europe/Berlin")


def test_a_company_has_so_many_alerts_and_no_more(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.alerts.actions.writing.ALERTS_AT_MOST", 2)
    add(LOW_BALANCE, cast.a)
    add(LOW_BALANCE, cast.a, title="Two")
    assert "2 alerts already" in refusal(replace(LOW_BALANCE, company_id=cast.a.id, title="Three"))[1]


def test_a_sentence_is_in_the_language_of_whoever_acts(cast: Cast) -> None:
    with force_locale("de"):
        found = refusal(replace(LOW_BALANCE, company_id=cast.a.id, threshold=None))
    assert found == ("threshold", "Schreiben Sie den Wert, ab dem es schlecht ist.")


# Customers


def test_customers_of_a_company_that_may_only_see_change_nothing(cast: Cast) -> None:
    alert = add(LOW_BALANCE, cast.a)
    customer = {"made_by": Maker.CUSTOMER}
    assert "Ask us" in refusal(replace(LOW_BALANCE, company_id=cast.a.id, title="Mine"), **customer)[1]
    for act in (
        lambda: edit(alert, made_by=Maker.CUSTOMER, title="x"),
        lambda: actions.switch_alert(own(alert), False, version=alert.version, by=SYSTEM, now=NOW, **customer),
        lambda: actions.archive_alert(own(alert), version=alert.version, by=SYSTEM, now=NOW, **customer),
        lambda: threshold(cast, alert, "5"),
    ):
        with pytest.raises(RuleViolation, match="Ask us"):
            act()  # type: ignore[no-untyped-call]


def threshold(cast: Cast, alert: Alert, value: str, reset: str | None = None) -> None:
    actions.set_threshold(
        own(alert),
        Decimal(value),
        None if reset is None else Decimal(reset),
        version=own(alert).version,
        company_id=cast.a.id,
        by=SYSTEM,
        now=NOW,
    )


def test_behind_the_company_switch_they_set_the_threshold_of_balance_alerts_and_of_no_other(cast: Cast) -> None:
    money = add(LOW_BALANCE, cast.a)
    asr = add(replace(LOW_BALANCE, title="ASR", area=AlertArea.ASR, window=300), cast.a)
    actions.set_rights(cast.a.id, Rights.THRESHOLDS, version=0, by=SYSTEM, now=NOW)
    threshold(cast, money, "25.50", "30")
    assert (own(money).threshold, own(money).reset) == (Decimal("25.50"), Decimal(30))
    with pytest.raises(RuleViolation, match="Ask us"):
        threshold(cast, asr, "25")
    with pytest.raises(RuleViolation, match="at the threshold or above it") as wrong_side:
        threshold(cast, money, "25", "20")
    assert wrong_side.value.field == "reset"
    foreign = add(LOW_BALANCE, cast.b)
    with pytest.raises(NotFound):
        threshold(cast, foreign, "5")


def test_who_may_all_makes_their_own_and_leaves_those_of_staff(cast: Cast, world: World) -> None:  # noqa: F811
    of_staff = add(LOW_BALANCE, cast.a)
    actions.set_rights(cast.a.id, Rights.ALL, version=0, by=SYSTEM, now=NOW)
    db.session.flush()
    wish = replace(LOW_BALANCE, company_id=cast.a.id, title="Mine", recipients=(), tells_contacts=True)
    mine = actions.add_alert(wish, made_by=Maker.CUSTOMER, by=SYSTEM, now=NOW, idempotency_key="mine")
    edit(mine, made_by=Maker.CUSTOMER, title="Ours")
    with pytest.raises(RuleViolation, match="Ask us"):
        edit(of_staff, made_by=Maker.CUSTOMER, title="Theirs")
    customer = {"made_by": Maker.CUSTOMER}
    for changes in (
        {"area": AlertArea.SCRIPT, "script": "balance() < 1"},
        {"tag": "x", "company_id": None},
        {"opens_draft": True},
    ):
        refusal(replace(wish, **changes), **customer)
    assert refusal(replace(wish, title="Net", service_id=world.internet.id), **customer)[0] == "service"
    actions.switch_alert(own(mine), False, version=own(mine).version, by=SYSTEM, now=NOW, **customer)
    actions.archive_alert(own(mine), version=own(mine).version, by=SYSTEM, now=NOW, **customer)
    assert own(mine).archived_at == NOW


def test_rights_are_versioned_and_audited(cast: Cast) -> None:
    row = actions.set_rights(cast.a.id, Rights.ALL, version=0, by=Actor("Ada"), now=NOW)
    assert rights_of(cast.a.id) is Rights.ALL
    with pytest.raises(StaleEdit):
        actions.set_rights(cast.a.id, Rights.SEE, version=0, by=SYSTEM, now=NOW)
    actions.set_rights(cast.a.id, Rights.SEE, version=row.version, by=SYSTEM, now=NOW)
    assert db.session.scalar(select(func.count()).where(AuditEntry.action == "alert_rights.set")) == 2
    assert rights_of(cast.b.id) is Rights.SEE


# Reading


def test_lists_are_bounded_and_cost_the_same_however_long(cast: Cast, meter: Meter) -> None:
    found = []
    for number in (2, 12):
        for each in range(number):
            add(LOW_BALANCE, cast.a, title=f"Alert {number} {each}")
        meter.reads(5)
        db.session.expunge_all()
        with counted_queries() as statements:
            page = alert_page(1)
            triggered = triggered_page(1)
            own_ones = alerts_of(cast.a.id)
            whole = counts()
        assert page is not None
        assert triggered is not None
        found.append(len(statements))
        assert page.total == triggered.total == len(own_ones) == whole.bad
    assert found[0] == found[1]
    assert alert_page(2) is None


def test_a_company_sees_its_own_also_while_it_is_off(cast: Cast) -> None:
    alert = add(LOW_BALANCE, cast.a)
    actions.switch_alert(own(alert), False, version=alert.version, by=SYSTEM, now=NOW)
    assert [(each.alert.id, each.watch) for each in alerts_of(cast.a.id)] == [(alert.id, None)]
    assert alerts_of(cast.b.id) == []


def test_export_tells_a_company_of_its_alerts_and_of_nobody_else_whom_they_tell(cast: Cast, meter: Meter) -> None:
    accounts.tag_company(cast.a, ["gold"], version=cast.a.version, by=SYSTEM, now=NOW)
    add(LOW_BALANCE, cast.a, recipients=(cast.alice.email, "noc@elsewhere.test"))
    add(LOW_BALANCE, tag="gold", title="Shared", recipients=("staff@ours.test",))
    meter.reads(5)
    parts = {each.name: each for each in parts_about(ExportKind.COMPANY)}
    rows = {each["title"]: each for each in parts["alerts"].rows(cast.a.id, NOW)}
    assert rows["Low balance"]["recipients"] == [cast.alice.email]
    assert rows["Shared"]["recipients"] == []
    assert {each["kind"].value for each in parts["alert_events"].rows(cast.a.id, NOW)} == {"triggered"}
    assert list(parts["alerts"].rows(cast.b.id, NOW)) == []


def test_an_archived_template_stands_for_none(cast: Cast) -> None:
    template = AlertTemplate(name="Own", name_key="own", created_at=NOW, archived_at=NOW)
    db.session.add(template)
    db.session.flush()
    assert refusal(replace(LOW_BALANCE, company_id=cast.a.id, template_id=template.id))[0] == "template"


def test_always_is_a_report_whatever_the_value(cast: Cast, meter: Meter) -> None:
    wish = replace(LOW_BALANCE, operator=Operator.ALWAYS, threshold=None, repeat=Repeat.DAILY)
    alert = add(wish, cast.a)
    meter.reads(-3)
    assert db.session.scalar(select(AlertWatch.state).where(AlertWatch.alert_id == alert.id)) is AlertState.NORMAL
