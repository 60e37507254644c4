"""Telling what happened to an alert, in the transaction in which it happened: to its recipients, or to the staff."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import func, select, update

from portal.accounts.models import Company
from portal.alerts.facts import Facts, gathered
from portal.alerts.letters import content_of, own_of
from portal.alerts.mails import KIND, TEST, is_anybody_told
from portal.alerts.models import Alert, AlertTemplate, AlertWatch
from portal.alerts.rules import Happening, Measured, Operator
from portal.alerts.topics import topic_of
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.queries import companies_with_area_open
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.actions import queue_broadcast
from portal.notifications.channels.alarms import tell_staff
from portal.notifications.kinds import Content
from portal.notifications.models import RAW, Broadcast
from portal.notifications.templates.placeholders import WordingError, on_one_line

HAS_WORDS = frozenset(
    {Happening.TRIGGERED, Happening.NORMAL, Happening.REPEATED, Happening.UNSTABLE, Happening.REPORTED}
)

TESTS_AN_HOUR = 10
"""Tests of one alert within an hour."""

NAMED_AT_MOST = 20
"""Alerts without data that one notice names; the rest is a number."""


def tell(
    alert: Alert,
    watch: AlertWatch,
    says: Happening,
    reading: Measured,
    *,
    now: datetime,
    since: datetime | None = None,
) -> Broadcast | None:
    """Write down that this is said of an alert of one company, in the caller's transaction.

    `since` is when it became, or had been, bad, where the watch does not know it any more. Twice at the same moment is
    once. NO_DATA is for the staff. None where nobody is to be told: what happened has no words, or nobody is named who
    could hear of it now.
    """
    if says is Happening.NO_DATA:
        return tell_no_data([watch], now)
    if says not in HAS_WORDS:
        return None
    name = f"{says.value}-{now:%Y%m%dT%H%M%S}-{now.microsecond:06}"
    began = since or watch.triggered_at
    facts = gathered(alert, watch.company_id, says, reading, since=began, watch_id=watch.id, told=name, now=now)
    thread = f"alert:{watch.id}:{began.isoformat() if began else now.isoformat()}"
    return _queue(facts, KIND, key=f"alert:{watch.id}:{name}", thread=thread, now=now)


def _queue(
    facts: Facts,
    kind: str,
    *,
    key: str,
    thread: str,
    now: datetime,
    only_person_id: int | None = None,
    by_person_id: int | None = None,
) -> Broadcast | None:
    alert, is_test = facts.alert, kind == TEST
    has_messages = bool(companies_with_area_open(Area.MESSAGES, [facts.company_id])) and facts.watch_id is not None
    selector: dict[str, Any] = {
        "alert_id": alert.id,
        "company_id": facts.company_id,
        "watch_id": facts.watch_id,
        "only_person_id": only_person_id,
        "is_test": is_test,
        "is_own": False,
        "facts": facts.as_json(),
    }
    if not is_anybody_told(selector, now):
        return None
    content, selector["is_own"] = _said(facts, has_messages=has_messages, is_test=is_test, now=now)
    mark = "[TEST] " if is_test else ""
    return queue_broadcast(
        kind,
        idempotency_key=key,
        title=on_one_line(f"{mark}{facts.company}: {alert.title} ({facts.says.value.replace('_', ' ')})"),
        selector=selector,
        content=content,
        thread_key=thread[:120],
        by_person_id=by_person_id,
        now=now,
        topic=topic_of(alert),
    )


def _said(facts: Facts, *, has_messages: bool, is_test: bool, now: datetime) -> tuple[Content, bool]:
    """What is said, and whether in own words: where those do not do, in ours, and the staff hear of it once."""
    template_id = facts.alert.template_id
    template = db.session.get(AlertTemplate, template_id) if template_id is not None else None
    own = own_of(template)
    if template is None or own is None:
        return content_of(facts, None, has_messages=has_messages, is_test=is_test), False
    try:
        return content_of(facts, own, has_messages=has_messages, is_test=is_test), True
    except WordingError as refusal:
        _warn(template, str(refusal), now)
    return content_of(facts, None, has_messages=has_messages, is_test=is_test), False


def _warn(template: AlertTemplate, why: str, now: datetime) -> None:
    """Tell the staff that a template does not do: once for each version of it."""
    # Past the version people edit by: nobody's open form is stale for it.
    db.session.execute(
        update(AlertTemplate).where(AlertTemplate.id == template.id).values(trouble=why[:500]), execution_options=RAW
    )
    tell_staff(
        f"alert-template:{template.id}:{template.version}",
        f"The alert template {template.name} cannot be used",
        f"An alert was told in the built-in words, because those of the template {template.name} cannot be sent: {why}",
        path=f"/admin/alerts/templates/{template.id}",
        now=now,
    )


def send_test(
    alert: Alert,
    company_id: int,
    reading: Measured,
    *,
    to_all: bool,
    person_id: int | None,
    by: Actor,
    now: datetime,
) -> Broadcast:
    """Say what the alert would say now, marked as a test: to whoever tests or, with `to_all`, to all it names.

    Neither state nor clock hears of it. RuleViolation where too many were made within the hour, or nobody would get it.
    """
    if not to_all and person_id is None:
        raise RuleViolation(_("Nobody is named: a machine can only test with all recipients."), "to")
    made = db.session.scalar(
        select(func.count()).where(
            Broadcast.kind == TEST, Broadcast.topic == topic_of(alert), Broadcast.created_at > now - timedelta(hours=1)
        )
    )
    if (made or 0) >= TESTS_AN_HOUR:
        raise RuleViolation(
            _("This alert was tested %(most)s times within the hour. Wait a little.", most=TESTS_AN_HOUR)
        )
    watch_id = db.session.scalar(
        select(AlertWatch.id).where(AlertWatch.alert_id == alert.id, AlertWatch.company_id == company_id)
    )
    name = f"test-{now:%Y%m%dT%H%M%S}-{now.microsecond:06}"
    facts = gathered(
        alert, company_id, _as_it_is(alert, reading), reading, since=None, watch_id=watch_id, told=name, now=now
    )
    key = f"alert-test:{alert.id}:{company_id}:{name}"
    broadcast = _queue(
        facts,
        TEST,
        key=key,
        thread=key,
        now=now,
        only_person_id=None if to_all else person_id,
        by_person_id=person_id,
    )
    if broadcast is None:
        raise RuleViolation(_("Nobody would get this test: nobody is named who can be told now."), "to")
    audit.record(
        "alert.test",
        object_kind="alert",
        object_id=alert.id,
        by=by,
        now=now,
        company_id=company_id,
        after={"title": alert.title, "to": "everybody it names" if to_all else "whoever tested"},
    )
    return broadcast


def _as_it_is(alert: Alert, reading: Measured) -> Happening:
    """What the alert would say of this value."""
    if alert.operator is Operator.ALWAYS:
        return Happening.REPORTED
    if reading.value is None or alert.threshold is None:
        return Happening.TRIGGERED
    return Happening.TRIGGERED if alert.operator.holds(reading.value, alert.threshold) else Happening.NORMAL


def tell_no_data(watches: Collection[AlertWatch], now: datetime) -> Broadcast | None:
    """Tell the staff, in one notice, which alerts have nothing to judge by because what they read does not come in."""
    if not watches:
        return None
    ids = sorted(each.id for each in watches)
    rows = db.session.execute(
        select(Company.name, Alert.title, AlertWatch.value_at)
        .join(Alert, Alert.id == AlertWatch.alert_id)
        .join(Company, Company.id == AlertWatch.company_id)
        .where(AlertWatch.id.in_(ids))
        .order_by(Company.name_key, Alert.title_key, AlertWatch.id)
        .limit(NAMED_AT_MOST)
    ).all()
    named = [
        f"{row.name}: {row.title}" + (f", last at {row.value_at:%Y-%m-%d %H:%M} UTC" if row.value_at else "")
        for row in rows
    ]
    more = len(ids) - len(rows)
    text = (
        "What these alerts read does not come in, so nothing is judged and their state stays. Look at what delivers it."
        f" Customers are told nothing.\n{_lines([*named, f'and {more:,} more'] if more > 0 else named)}"
    )
    title = "An alert has no data" if len(ids) == 1 else f"{len(ids):,} alerts have no data"
    return tell_staff(
        f"alert-no-data:{ids[0]}:{now.isoformat()}", title, text, path="/admin/alerts?state=no_data", now=now
    )


def _lines(named: Sequence[str]) -> str:
    return "\n".join(f"- {on_one_line(each)}" for each in named)
