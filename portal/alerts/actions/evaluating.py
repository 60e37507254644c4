"""Looking at the watches that are due: what they read, how they stand after it, and what is said of it.

One transaction holds the state, what happened and the notice, so that neither is ever there without the others. A slice
of watches is taken under locks that others skip, so that two who look never look at the same one, and costs the same
number of statements whatever it holds: what is read is read for all of it at once. Only notices are written one by one.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import joinedload

from portal import events
from portal.accounts.models import Company
from portal.alerts import scripts, telling
from portal.alerts.actions.drafting import note_over, open_draft
from portal.alerts.actions.following import follow, locked_clock
from portal.alerts.actions.standings import change, columns_of, keep, standing_of, write
from portal.alerts.models import IS_UNSAID, Alert, AlertEvent, AlertWatch
from portal.alerts.queries.muting import NOT_MUTED, Muting, mutings, services_of, troubles
from portal.alerts.rules import AlertArea, Condition, Happened, Happening, Lack, Measured, Standing
from portal.alerts.rules.checks import condition_of
from portal.alerts.rules.stepping import answered, begun, due_at, is_bad, step
from portal.domains.models import Admission, PortalDomain
from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.usage.models import Metric
from portal.usage.readings import Reading, Subject, readings
from portal.usage.rules import Measure

log = logging.getLogger(__name__)

SLICE = 500
"""Watches looked at by one transaction."""

NOTICES = 25
"""Notices written by one transaction: each takes as long as a hundred looks, and whoever edits an alert waits."""

TROUBLE_RESTS = timedelta(minutes=5)
"""How long one is left alone whose notice could not be written."""

TOLD_AT_ONCE = 5000
"""Watches that one notice to staff is about; they are named only so far, and counted."""

STAFF_TOLD_EVERY = timedelta(minutes=15)
"""Staff are told of what does not come in at once, and of more of it together after this time."""

SENT = (DeliveryState.SENT, DeliveryState.UNKNOWN)
"""What has, or may have, reached somebody: it is not said twice for a doubt."""

OPEN = (DeliveryState.PENDING, DeliveryState.SENDING)

SEEN_BY_CUSTOMERS = frozenset(Happening) - {Happening.MUTED, Happening.UNMUTED}
"""What rings the company: whether something private mutes an alert it is not to notice."""


@dataclass(frozen=True)
class Outcome:
    """What became of a notice: `sent_at` when somebody got it, `is_open` while some may; `failed` if nobody ever will.

    None of them for one that nobody was to get.
    """

    sent_at: datetime | None = None
    is_open: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Look:
    """All that one slice is judged by."""

    now: datetime
    alerts: Mapping[int, Alert]
    companies: Mapping[int, Company]
    zones: Mapping[int, str]
    readings: Mapping[Subject, Reading]
    metric_ids: Mapping[tuple[int, str], int]
    mutings: Mapping[int, Muting]
    outcomes: Mapping[int, Outcome]

    def reading_of(self, watch: AlertWatch, alert: Alert) -> Reading:
        """What this alert reads of this company."""
        if alert.area is AlertArea.SCRIPT:
            script = scripts.kept(alert.script)
            return scripts.reading(script, _needed(script, alert, watch, self.metric_ids), self.readings, self.now)
        return self.readings[_subject(alert, watch)]

    def condition_of(self, watch: AlertWatch, alert: Alert) -> Condition:
        return condition_of(alert, self.zones.get(watch.company_id, "UTC"))

    def services_of(self, alert: Alert) -> frozenset[int] | None:
        metric = alert.metric
        return services_of(alert, {metric.id: metric.service_id} if metric is not None else {})


def evaluate(now: datetime, limit: int = SLICE) -> bool:
    """Look at one slice of what is due; whether there may be more. The caller commits."""
    watches = _due(now, limit)
    if not watches:
        return False
    look = _gathered(watches, now)
    happened: list[dict[str, Any]] = []
    looked: list[AlertWatch] = []
    for watch in watches:
        happened += _look_at(watch, look)
        looked.append(watch)
        if sum(each["broadcast_id"] is not None for each in happened) >= NOTICES:
            break
    write(looked)
    if happened:
        db.session.execute(insert(AlertEvent), happened)
    return len(looked) == limit or len(looked) < len(watches)


def evaluate_all(now: datetime, limit: int = SLICE) -> None:
    """Follow what has happened and look at all that is due, in the caller's transaction: for small installations of
    which somebody wants to see the outcome at once."""
    while follow(now):
        pass
    while evaluate(now, limit):
        pass
    tell_staff(now)


def _due(now: datetime, limit: int) -> Sequence[AlertWatch]:
    """Watches that are due, the longest waiting first, locked; the session lets go of them, for they are written at
    once."""
    watches = db.session.scalars(
        select(AlertWatch)
        .where(AlertWatch.due_at <= now)
        .order_by(AlertWatch.due_at, AlertWatch.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    for watch in watches:
        db.session.expunge(watch)
    return watches


# What it is judged by


def _gathered(watches: Sequence[AlertWatch], now: datetime) -> Look:
    """Read all of it. What is edited meanwhile makes its watches due again, so the edit is never lost."""
    alerts = {
        each.id: each
        for each in db.session.scalars(
            select(Alert)
            .options(joinedload(Alert.metric), joinedload(Alert.service))
            .where(Alert.id.in_({watch.alert_id for watch in watches}))
            .execution_options(populate_existing=True)
        )
    }
    companies = {
        each.id: each
        for each in db.session.scalars(select(Company).where(Company.id.in_({each.company_id for each in watches})))
    }
    metric_ids = _metric_ids(watches, alerts)
    subjects: set[Subject] = set()
    for watch in watches:
        alert = alerts[watch.alert_id]
        if alert.area is AlertArea.SCRIPT:
            subjects.update(_needed(scripts.kept(alert.script), alert, watch, metric_ids).values())
        else:
            subjects.add(_subject(alert, watch))
    return Look(
        now,
        alerts,
        companies,
        _zones(watches, alerts),
        readings(subjects, now),
        metric_ids,
        mutings(companies, troubles(now), now),
        _outcomes({watch.broadcast_id for watch in watches if watch.broadcast_id is not None}),
    )


def _subject(alert: Alert, watch: AlertWatch) -> Subject:
    return subject_of(alert, watch.company_id)


def subject_of(alert: Any, company_id: int) -> Subject:
    """The figure an alert that is no script reads of a company."""
    return Subject(Measure(alert.area.value), company_id, alert.service_id, alert.trunk, alert.metric_id, alert.window)


def _needed(
    script: scripts.Script, alert: Alert, watch: AlertWatch, metric_ids: Mapping[tuple[int, str], int]
) -> dict[scripts.Need, Subject]:
    ids = {key: metric_ids[watch.company_id, key] for key in script.keys if (watch.company_id, key) in metric_ids}
    return scripts.subjects(script, watch.company_id, alert.service_id, alert.trunk, ids)


def _metric_ids(watches: Sequence[AlertWatch], alerts: Mapping[int, Alert]) -> dict[tuple[int, str], int]:
    """The metrics scripts name, by company and key. One query, none where no script names one."""
    keys: set[str] = set()
    for alert in alerts.values():
        if alert.area is AlertArea.SCRIPT:
            keys |= scripts.kept(alert.script).keys
    if not keys:
        return {}
    rows = db.session.execute(
        select(Metric.company_id, Metric.key, Metric.id).where(
            Metric.key.in_(keys),
            Metric.company_id.in_({watch.company_id for watch in watches}),
            Metric.measure == Measure.CUSTOM,
            Metric.archived_at.is_(None),
        )
    )
    return {(company_id, key): metric_id for company_id, key, metric_id in rows if company_id is not None}


def _zones(watches: Sequence[AlertWatch], alerts: Mapping[int, Alert]) -> dict[int, str]:
    """The zones of companies whose alerts repeat at an hour of theirs. One query, or none."""
    asked = {
        watch.company_id
        for watch in watches
        if alerts[watch.alert_id].repeat_hour is not None and not alerts[watch.alert_id].zone
    }
    return zones_of(asked) if asked else {}


def zones_of(company_ids: Iterable[int]) -> dict[int, str]:
    """The zone of each company: that of its home portal. One query."""
    rows = db.session.execute(
        select(Admission.company_id, PortalDomain.time_zone)
        .join(PortalDomain, PortalDomain.id == Admission.domain_id)
        .where(Admission.company_id.in_(set(company_ids)), Admission.is_home)
    )
    return dict(rows.all())


def _outcomes(broadcast_ids: set[int]) -> dict[int, Outcome]:
    """What became of these notices. Two queries, none without notices."""
    if not broadcast_ids:
        return {}
    states = db.session.execute(select(Broadcast.id, Broadcast.state).where(Broadcast.id.in_(broadcast_ids)))
    unfinished = {BroadcastState.EXPANDING, BroadcastState.PAUSED}
    found = {broadcast_id: Outcome(is_open=stage in unfinished) for broadcast_id, stage in states}
    rows = db.session.execute(
        select(Delivery.broadcast_id, Delivery.state, func.max(Delivery.finished_at))
        .where(Delivery.broadcast_id.in_(broadcast_ids))
        .group_by(Delivery.broadcast_id, Delivery.state)
    )
    for broadcast_id, state, finished_at in rows:
        before = found.get(broadcast_id, Outcome())
        if state in SENT and finished_at is not None:
            sent_at = max(finished_at, before.sent_at or finished_at)
            found[broadcast_id] = replace(before, sent_at=sent_at)
        elif state in OPEN:
            found[broadcast_id] = replace(before, is_open=True)
        else:
            found[broadcast_id] = replace(before, failed=True)
    return found


# One watch


def _look_at(watch: AlertWatch, look: Look) -> list[dict[str, Any]]:
    """Bring one watch up to date; the rows of what has happened."""
    alert, company = look.alerts[watch.alert_id], look.companies[watch.company_id]
    if alert.archived_at is not None or not alert.is_on or company.archived_at is not None:
        return _close(watch, look.now)
    before, reading, condition = _answered(watch, look), look.reading_of(watch, alert), look.condition_of(watch, alert)
    muting, services = look.mutings.get(watch.company_id, NOT_MUTED), look.services_of(alert)
    found = step(condition, before, reading, look.now, is_muted=muting.keeps_silent(services))
    kept = columns_of(watch)
    keep(watch, found.standing, reading)
    watch.due_at = found.due_at
    watch.muted_openly = watch.muted_since is not None and muting.may_be_said(services)
    if not found.happenings:
        return []
    try:
        with db.session.begin_nested():
            rows = _say(watch, alert, condition, reading, happenings=found.happenings, before=before, now=look.now)
    except SQLAlchemyError:
        raise
    except Exception:
        log.exception("what happened to alert %s of company %s cannot be told", alert.id, company.id)
        for name, value in kept.items():
            setattr(watch, name, value)
        watch.due_at = look.now + TROUBLE_RESTS
        return []
    events.ring(events.STAFF)
    if watch.muted_openly or any(each.what in SEEN_BY_CUSTOMERS for each in found.happenings):
        events.ring(events.company_topic(watch.company_id))
    return rows


def _answered(watch: AlertWatch, look: Look) -> Standing:
    """How it stood, with what has become known of its last notice."""
    standing = standing_of(watch)
    if watch.broadcast_id is None:
        return standing
    outcome = look.outcomes.get(watch.broadcast_id, Outcome())
    if outcome.sent_at is not None:
        return answered(standing, outcome.sent_at)
    if outcome.is_open:
        return standing
    return answered(standing, None) if outcome.failed else replace(standing, is_on_its_way=False)


def _say(
    watch: AlertWatch,
    alert: Alert,
    condition: Condition,
    reading: Reading,
    *,
    happenings: Sequence[Happened],
    before: Standing,
    now: datetime,
) -> list[dict[str, Any]]:
    """Write the notices of what happened, and its rows. What is told late stands in the log of its own."""
    rows = []
    for what, says in happenings:
        broadcast = None
        if says is not None and says is not Happening.NO_DATA:
            broadcast = telling.tell(alert, watch, says, reading, now=now, since=before.triggered_at)
            watch.broadcast_id = broadcast.id if broadcast is not None else None
        is_late = says is not None and says is not what
        rows.append(_row(watch, what, reading, now, None if is_late else broadcast))
        if is_late and says is not None:
            rows.append(_row(watch, says, reading, now, broadcast))
        _draft(watch, alert, what, now)
    if watch.broadcast_id is not None:
        watch.due_at = due_at(condition, replace(standing_of(watch), is_on_its_way=True), reading, now)
    return rows


def _draft(watch: AlertWatch, alert: Alert, what: Happening, now: datetime) -> None:
    """By rule: one that is triggered and not muted opens a draft, and says in it when it is over."""
    if not alert.opens_draft:
        return
    if what is Happening.TRIGGERED and watch.muted_since is None:
        open_draft(alert, watch, now)
    elif what is Happening.NORMAL:
        note_over(alert, watch, now)


def _row(
    watch: AlertWatch, kind: Happening, reading: Measured, now: datetime, broadcast: Broadcast | None
) -> dict[str, Any]:
    return {
        "watch_id": watch.id,
        "at": now,
        "kind": kind,
        "value": reading.value,
        "count": reading.count,
        "note": watch.lack.value if kind is Happening.NO_DATA and watch.lack else "",
        "broadcast_id": broadcast.id if broadcast is not None else None,
    }


def _close(watch: AlertWatch, now: datetime) -> list[dict[str, Any]]:
    """Watch it no more, without a word."""
    was_normal = standing_of(watch) == replace(begun(watch.since), muted_since=watch.muted_since)
    keep(watch, begun(now), Reading(watch.value, watch.count, watch.value_at or now, is_stale=False, next_at=None))
    watch.due_at, watch.closed_at, watch.muted_openly = None, now, False
    if was_normal:
        return []
    reading = Reading(None, None, now, is_stale=False, next_at=None)
    return [{**_row(watch, Happening.CLEARED, reading, now, None), "note": "it is watched no more"}]


# What does not come in


def tell_staff(now: datetime) -> bool:
    """Tell staff of what has ceased to come in, all of it in one notice; whether there was any. The caller commits."""
    if not is_unsaid():
        return False
    clock = locked_clock()
    if clock is None or (clock.staff_told_at is not None and now - clock.staff_told_at < STAFF_TOLD_EVERY):
        return False
    unsaid = db.session.scalars(select(AlertWatch).where(IS_UNSAID).order_by(AlertWatch.id).limit(TOLD_AT_ONCE)).all()
    telling.tell_no_data(unsaid, now)
    change([each.id for each in unsaid], {"staff_told_at": now})
    clock.staff_told_at = now
    db.session.flush()
    return True


def is_unsaid() -> bool:
    """Whether something has ceased to come in of which staff were not told. One query."""
    return db.session.scalar(select(AlertWatch.id).where(IS_UNSAID).limit(1)) is not None


def reading_now(alert: Any, company_id: int, now: datetime) -> Reading:
    """What an alert reads of a company now, for a test or a form: neither state nor clock hears of it."""
    if alert.area is not AlertArea.SCRIPT:
        subject = subject_of(alert, company_id)
        return readings([subject], now)[subject]
    script = scripts.read(alert.script)
    watch = AlertWatch(company_id=company_id)
    needed = _needed(script, alert, watch, _ids_of(script, company_id))
    return scripts.reading(script, needed, readings(needed.values(), now), now)


def _ids_of(script: scripts.Script, company_id: int) -> dict[tuple[int, str], int]:
    if not script.keys:
        return {}
    rows = db.session.execute(
        select(Metric.key, Metric.id).where(
            and_(Metric.key.in_(script.keys), Metric.company_id == company_id),
            Metric.measure == Measure.CUSTOM,
            Metric.archived_at.is_(None),
        )
    )
    return {(company_id, key): metric_id for key, metric_id in rows}


def is_lacking(condition: Condition, reading: Reading) -> Lack | None:
    """What a form says of a reading it shows beside its fields: why it would not be judged, None where it would."""
    if reading.is_stale:
        return Lack.STALE
    return Lack.NOTHING if reading.value is None else None


def would_trigger(condition: Condition, reading: Reading) -> bool:
    """Whether the reading is bad as it stands."""
    return reading.value is not None and not reading.is_stale and is_bad(condition, reading.value)
