"""Planned work that recurs: its occurrences are maintenances, made ahead up to a horizon, each of them once.

An occurrence can be moved, edited or cancelled by itself: then the series leaves it alone. What is made far ahead is
not announced by mail, as nobody wants eight mails at once: the first one is, and of each its own reminders tell.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM, Actor
from portal.config import Settings
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions import announcing
from portal.incidents.actions.entries import (
    WINDOW_AT_MOST,
    call_off,
    check_zone,
    clean,
    clean_text,
    components_of,
    create,
    facts,
    give_times,
    minutes_of,
    note,
    reckon,
    ring,
    set_components,
    tell,
    write,
)
from portal.incidents.models import (
    Maintenance,
    MaintenanceSeries,
    MaintenanceSeriesComponent,
    MaintenanceUpdate,
)
from portal.incidents.rules import Audience, MaintenanceState, Visibility, public_id_for
from portal.incidents.rules.languages import Translations, texts_of, translations_of
from portal.incidents.rules.maintenance import Notice, Plan, WorkImpact, state_of
from portal.incidents.rules.recurrence import RuleError, checked_rule, happens, moment_of, occurrences

MADE_AGAIN_AFTER = timedelta(days=1)
"""How often the clock looks whether further ones have come within the horizon."""


@dataclass(frozen=True)
class SeriesPlan:
    """Recurring work as somebody enters it. `starts_on` is the first day and time, local and naive, in `zone`."""

    title: str
    body: str
    component_ids: frozenset[int]
    rule: str
    starts_on: datetime
    duration: timedelta
    zone: str
    impact: WorkImpact = WorkImpact.DEGRADED
    visibility: Visibility = Visibility.PUBLIC
    audience: Audience = Audience.EVERYONE
    notify: bool = True
    reminders: tuple[timedelta, ...] = (timedelta(hours=24), timedelta(hours=1))
    starts_itself: bool = True
    ends_itself: bool = True
    translations: Translations = field(default_factory=dict)


def plan_series(
    plan: SeriesPlan, *, by: Actor, author_id: int | None, now: datetime, idempotency_key: str
) -> MaintenanceSeries:
    """Plan recurring work and make its occurrences up to the horizon; the first one is announced by mail.

    The same key again returns what it made the first time.
    """
    if known := _planned_with(idempotency_key):
        return known
    wanted = _checked(plan, now)
    made = MaintenanceSeries(
        public_id=public_id_for(idempotency_key), created_at=now, created_by_id=author_id, owner_id=author_id
    )
    _fill(made, wanted)
    try:
        with db.session.begin_nested():
            db.session.add(made)
            db.session.flush()
    except IntegrityError:
        if known := _planned_with(idempotency_key):
            return known
        raise
    _set_components(made.id, wanted.component_ids)
    _note("plan", made, by=by, now=now, after=_facts(made, wanted.component_ids))
    _make(made, wanted, by=by, now=now, announces=wanted.notify)
    events.ring(events.STAFF)
    db.session.flush()
    return made


def edit_series(
    series: MaintenanceSeries, plan: SeriesPlan, *, notify: bool, version: int, by: Actor, now: datetime
) -> int:
    """Change recurring work, and with it the occurrences ahead that nobody has touched.

    They keep their place: the next one becomes the next one, so calendars see it moved. What is too many is cancelled,
    what is missing is made. `notify` mails each that moves or is cancelled. StaleEdit when somebody else changed it.
    Returns how many messages were called off that are not true any more, or are for others only.
    """
    db.session.refresh(series, with_for_update={"of": MaintenanceSeries})
    if series.version != version:
        raise StaleEdit
    if series.stopped_at is not None:
        raise RuleViolation("This series was stopped. Plan a new one.")
    had = _components_of(series.id)
    wanted = _checked(plan, now, known=had)
    before = _facts(series, had)
    _fill(series, wanted)
    if _facts(series, wanted.component_ids) == before:
        return 0
    if wanted.component_ids != had:
        _set_components(series.id, wanted.component_ids)
    called_off = _carry_over(series, wanted, notify=notify, by=by, now=now)
    _make(series, wanted, by=by, now=now)
    _note("edit", series, by=by, now=now, before=before, after=_facts(series, wanted.component_ids))
    events.ring(events.STAFF)
    db.session.flush()
    return called_off


def stop_series(series: MaintenanceSeries, body: str, *, notify: bool, version: int, by: Actor, now: datetime) -> int:
    """End recurring work: the occurrences ahead that nobody has touched are cancelled. Returns how many.

    `notify` mails their cancellation, with `body`. Stopped before, it changes nothing.
    """
    db.session.refresh(series, with_for_update={"of": MaintenanceSeries})
    if series.stopped_at is not None:
        return 0
    if series.version != version:
        raise StaleEdit
    text = clean_text(body)
    series.stopped_at, series.due_at = now, None
    ahead = _untouched(series.id, now)
    for each in ahead:
        _cancel(each, text, notify=notify, by=by, now=now)
    _note("stop", series, by=by, now=now, after={"cancelled": len(ahead), "notify": notify})
    events.ring(events.STAFF)
    db.session.flush()
    return len(ahead)


def make_occurrences(series_id: int, now: datetime) -> bool:
    """Make the occurrences that have come within the horizon; False when somebody else is at it, or none is due.

    Twice at once or again changes nothing: an occurrence is one by its series and its moment. The caller commits.
    """
    series = db.session.scalars(
        select(MaintenanceSeries)
        .where(MaintenanceSeries.id == series_id, MaintenanceSeries.due_at <= now)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if series is None:
        return False
    _make(series, _plan_of(series), by=SYSTEM, now=now)
    db.session.flush()
    return True


def horizon() -> timedelta:
    """How far ahead occurrences are made: customers see them, and planners plan around them."""
    settings: Settings = current_app.config["SETTINGS"]
    return timedelta(days=settings.maintenance_days_ahead)


def _make(series: MaintenanceSeries, wanted: SeriesPlan, *, by: Actor, now: datetime, announces: bool = False) -> None:
    until = now + horizon()
    moments = occurrences(wanted.rule, wanted.starts_on, wanted.zone, now, until)
    known = set(
        db.session.scalars(
            select(Maintenance.occurs_at).where(Maintenance.series_id == series.id, Maintenance.occurs_at > now)
        )
    )
    for number, moment in enumerate(moments):
        if moment not in known:
            _occur(series, wanted, moment, by=by, now=now, notify=announces and number == 0)
    is_over = not occurrences(wanted.rule, wanted.starts_on, wanted.zone, until, until + _LOOK_ON)
    series.due_at = None if is_over else now + MADE_AGAIN_AFTER


_LOOK_ON = timedelta(days=366 * 5)


def _occur(
    series: MaintenanceSeries, wanted: SeriesPlan, moment: datetime, *, by: Actor, now: datetime, notify: bool
) -> None:
    # What was cancelled because the series changed may come again when it changes back.
    key = f"series:{series.public_id}:{series.version}:{moment:%Y%m%dT%H%M%S}"
    made, is_new = create(
        _plan_at(wanted, moment),
        author_id=series.created_by_id,
        owner_id=series.owner_id,
        now=now,
        idempotency_key=key,
        series_id=series.id,
        occurs_at=moment,
    )
    if not is_new:
        return
    give_times(made, now)
    announcement = write(
        made,
        Notice.ANNOUNCED,
        wanted.body,
        bodies=texts_of(wanted.translations, "body"),
        notify=notify,
        author_id=series.created_by_id,
        now=now,
        public_id=public_id_for(f"{key}:0"),
    )
    note("plan", made, by=by, now=now, after=facts(made) | {"series_id": series.id})
    tell(made, announcement, by=by, now=now)


def _carry_over(series: MaintenanceSeries, wanted: SeriesPlan, *, notify: bool, by: Actor, now: datetime) -> int:
    """Give the untouched occurrences ahead what the series says now, in order; what is too many is cancelled.

    Returns how many messages of those that stay were called off.
    """
    ahead = _untouched(series.id, now)
    taken = set(
        db.session.scalars(
            select(Maintenance.occurs_at).where(
                Maintenance.series_id == series.id,
                Maintenance.occurs_at > now,
                Maintenance.id.not_in([each.id for each in ahead]),
            )
        )
    )
    moments = [
        each
        for each in occurrences(wanted.rule, wanted.starts_on, wanted.zone, now, now + horizon())
        if each not in taken
    ]
    # Each moment is a series' once at any time, also while they change places.
    for each in ahead:
        each.occurs_at = None
    db.session.flush()
    called_off = sum(
        _become(each, wanted, moment, notify=notify, by=by, now=now)
        for each, moment in zip(ahead, moments, strict=False)
    )
    for each in ahead[len(moments) :]:
        _cancel(each, "", notify=notify, by=by, now=now)
    return called_off


def _become(
    maintenance: Maintenance, wanted: SeriesPlan, moment: datetime, *, notify: bool, by: Actor, now: datetime
) -> int:
    """Give an occurrence what the series says now; how many messages that are not true any more were called off."""
    plan = _plan_at(wanted, moment)
    before, audience, was_public = facts(maintenance), maintenance.audience, maintenance.visibility is Visibility.PUBLIC
    is_moved = (maintenance.starts_at, maintenance.ends_at) != (plan.starts_at, plan.ends_at)
    maintenance.occurs_at = moment
    maintenance.title, maintenance.impact = plan.title, plan.impact
    maintenance.titles = texts_of(plan.translations, "title")
    maintenance.visibility, maintenance.audience, maintenance.notify = plan.visibility, plan.audience, plan.notify
    maintenance.starts_at, maintenance.ends_at, maintenance.zone = plan.starts_at, plan.ends_at, plan.zone
    maintenance.starts_itself, maintenance.ends_itself = plan.starts_itself, plan.ends_itself
    maintenance.reminders = minutes_of(plan.reminders)
    maintenance.sequence += 1
    had = components_of(maintenance.id)
    if had != plan.component_ids:
        set_components(maintenance.id, plan.component_ids)
    give_times(maintenance, now)
    announcement = db.session.scalars(
        select(MaintenanceUpdate)
        .where(MaintenanceUpdate.maintenance_id == maintenance.id, MaintenanceUpdate.kind == Notice.ANNOUNCED)
        .order_by(MaintenanceUpdate.id)
        .limit(1)
    ).one_or_none()
    if announcement is not None:
        announcement.body, announcement.bodies = plan.body, texts_of(plan.translations, "body")
    db.session.flush()
    called_off = call_off(maintenance, was_public=was_public, was_for=audience, by=by, now=now)
    if is_moved:
        called_off += announcing.cancel_mails(maintenance.id, by=by, now=now, kinds=(Notice.REMINDED,))
    after = facts(maintenance) | ({"called_off": called_off} if called_off else {})
    note("edit", maintenance, by=by, now=now, before=before, after=after)
    if is_moved:
        key = f"series:{maintenance.public_id}:moved:{maintenance.sequence}"
        update = write(
            maintenance,
            Notice.MOVED,
            "",
            notify=notify,
            author_id=by.person_id,
            now=now,
            public_id=public_id_for(key),
        )
        tell(maintenance, update, by=by, now=now)
    elif maintenance.visibility is Visibility.PUBLIC:
        maintenance.public_updated_at = max(now, maintenance.public_updated_at)
    ring(maintenance, {audience, maintenance.audience}, now, also=had, was_public=was_public)
    db.session.flush()
    return called_off


def _cancel(maintenance: Maintenance, body: str, *, notify: bool, by: Actor, now: datetime) -> None:
    maintenance.state = MaintenanceState.CANCELLED
    maintenance.sequence += 1
    reckon(maintenance)
    announcing.cancel_mails(maintenance.id, by=by, now=now, kinds=(Notice.REMINDED,))
    key = f"series:{maintenance.public_id}:cancelled:{maintenance.sequence}"
    update = write(
        maintenance,
        Notice.CANCELLED,
        body,
        notify=notify,
        author_id=by.person_id,
        now=now,
        public_id=public_id_for(key),
    )
    note("cancel", maintenance, by=by, now=now, after={"body": body, "notify": update.notify})
    tell(maintenance, update, by=by, now=now)


def _untouched(series_id: int, now: datetime) -> Sequence[Maintenance]:
    """The occurrences ahead that are as the series made them, soonest first, locked."""
    found = db.session.scalars(
        select(Maintenance)
        .where(
            Maintenance.series_id == series_id,
            Maintenance.is_detached.is_(False),
            Maintenance.state == MaintenanceState.SCHEDULED,
            Maintenance.starts_at > now,
        )
        .order_by(Maintenance.starts_at, Maintenance.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    return [each for each in found if state_of(each, now) is MaintenanceState.SCHEDULED]


# What a series is


def _checked(plan: SeriesPlan, now: datetime, *, known: Collection[int] = ()) -> SeriesPlan:
    check_zone(plan.zone)
    if not timedelta(minutes=1) <= plan.duration <= WINDOW_AT_MOST:
        raise RuleViolation(f"It lasts between a minute and {WINDOW_AT_MOST.days} days.", "duration")
    first = plan.starts_on.replace(second=0, microsecond=0, tzinfo=None)
    if abs(moment_of(first, plan.zone) - now) > timedelta(days=731):
        raise RuleViolation("The first day lies within two years.", "starts_on")
    try:
        rule = checked_rule(plan.rule)
        if not happens(rule, first, plan.zone):
            raise RuleViolation("No day comes of this rule.", "rule")
    except RuleError as trouble:
        raise RuleViolation(str(trouble), "rule") from trouble
    cleaned = clean(_plan_at(plan, moment_of(first, plan.zone)), known=known)
    return replace(
        plan,
        title=cleaned.title,
        body=cleaned.body,
        translations=cleaned.translations,
        component_ids=cleaned.component_ids,
        rule=rule,
        starts_on=first,
        duration=timedelta(minutes=int(plan.duration / timedelta(minutes=1))),
    )


def _fill(series: MaintenanceSeries, wanted: SeriesPlan) -> None:
    series.title, series.body, series.rule = wanted.title, wanted.body, wanted.rule
    series.titles, series.bodies = (texts_of(wanted.translations, each) for each in ("title", "body"))
    series.starts_on = wanted.starts_on.isoformat(timespec="minutes")
    series.duration = int(wanted.duration / timedelta(minutes=1))
    series.zone, series.impact = wanted.zone, wanted.impact
    series.visibility, series.audience, series.notify = wanted.visibility, wanted.audience, wanted.notify
    series.reminders = minutes_of(wanted.reminders)
    series.starts_itself, series.ends_itself = wanted.starts_itself, wanted.ends_itself


def _plan_of(series: MaintenanceSeries) -> SeriesPlan:
    return SeriesPlan(
        title=series.title,
        body=series.body,
        translations=translations_of(title=series.titles, body=series.bodies),
        component_ids=_components_of(series.id),
        rule=series.rule,
        starts_on=datetime.fromisoformat(series.starts_on),
        duration=timedelta(minutes=series.duration),
        zone=series.zone,
        impact=series.impact,
        visibility=series.visibility,
        audience=series.audience,
        notify=series.notify,
        reminders=tuple(timedelta(minutes=each) for each in series.reminders),
        starts_itself=series.starts_itself,
        ends_itself=series.ends_itself,
    )


def _plan_at(wanted: SeriesPlan, moment: datetime) -> Plan:
    return Plan(
        title=wanted.title,
        body=wanted.body,
        translations=wanted.translations,
        component_ids=wanted.component_ids,
        starts_at=moment,
        ends_at=moment + wanted.duration,
        zone=wanted.zone,
        impact=wanted.impact,
        visibility=wanted.visibility,
        audience=wanted.audience,
        notify=wanted.notify,
        reminders=wanted.reminders,
        starts_itself=wanted.starts_itself,
        ends_itself=wanted.ends_itself,
    )


def _components_of(series_id: int) -> frozenset[int]:
    return frozenset(
        db.session.scalars(
            select(MaintenanceSeriesComponent.component_id).where(MaintenanceSeriesComponent.series_id == series_id)
        )
    )


def _set_components(series_id: int, component_ids: Collection[int]) -> None:
    of_it = MaintenanceSeriesComponent.series_id == series_id
    db.session.execute(delete(MaintenanceSeriesComponent).where(of_it))
    db.session.add_all(
        MaintenanceSeriesComponent(series_id=series_id, component_id=each) for each in sorted(component_ids)
    )
    db.session.flush()


def _planned_with(idempotency_key: str) -> MaintenanceSeries | None:
    return db.session.scalars(
        select(MaintenanceSeries).where(MaintenanceSeries.public_id == public_id_for(idempotency_key))
    ).one_or_none()


def _facts(series: MaintenanceSeries, component_ids: Collection[int]) -> dict[str, object]:
    names = ("title", "body", "rule", "starts_on", "duration", "zone", "impact", "visibility", "audience", "notify")
    switches = ("titles", "bodies", "reminders", "starts_itself", "ends_itself")
    return {name: getattr(series, name) for name in (*names, *switches)} | {"components": sorted(component_ids)}


def _note(
    verb: str,
    series: MaintenanceSeries,
    *,
    by: Actor,
    now: datetime,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    audit.record(
        f"maintenance_series.{verb}",
        object_kind="maintenance_series",
        object_id=series.id,
        by=by,
        now=now,
        before=before,
        after=after,
    )
