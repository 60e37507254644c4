"""Writing the rows of planned work: the maintenance with its timeline, checked, and whoever sees it rung."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import OWN
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.actions import announcing
from portal.incidents.actions.languages import clean_translations
from portal.incidents.actions.telling import ring_customers
from portal.incidents.actions.writing import check_components, clean_body, clean_title
from portal.incidents.models import Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.rules import Audience, MaintenanceState, Visibility, public_id_for
from portal.incidents.rules.languages import NO_TEXTS, Texts, texts_of, translations_of
from portal.incidents.rules.maintenance import (
    REMINDER_AT_LEAST,
    REMINDER_AT_MOST,
    REMINDERS_AT_MOST,
    STAFF_TOLD_BEFORE,
    Course,
    Notice,
    Plan,
    next_step,
    reminders_past,
)
from portal.language import TIME_ZONES

BACK_AT_MOST = timedelta(days=365)
AHEAD_AT_MOST = timedelta(days=731)
WINDOW_AT_MOST = timedelta(days=31)
COMPONENTS_AT_MOST = 500

_ZONES = frozenset(name for name, _ in TIME_ZONES)


def create(
    wanted: Plan,
    *,
    author_id: int | None,
    owner_id: int | None,
    now: datetime,
    idempotency_key: str,
    state: MaintenanceState = MaintenanceState.SCHEDULED,
    series_id: int | None = None,
    occurs_at: datetime | None = None,
    is_backfill: bool = False,
) -> tuple[Maintenance, bool]:
    """The maintenance with its components, flushed, and whether it is new: another request may just have made it."""
    made = Maintenance(
        public_id=public_id_for(idempotency_key),
        source=OWN,
        title=wanted.title,
        titles=texts_of(wanted.translations, "title"),
        state=state,
        visibility=wanted.visibility,
        audience=wanted.audience,
        starts_at=wanted.starts_at,
        ends_at=wanted.ends_at,
        zone=wanted.zone,
        impact=wanted.impact,
        notify=wanted.notify,
        reminders=minutes_of(wanted.reminders),
        starts_itself=wanted.starts_itself,
        ends_itself=wanted.ends_itself,
        is_backfill=is_backfill,
        created_at=now,
        public_updated_at=now,
        created_by_id=author_id,
        owner_id=owner_id,
        series_id=series_id,
        occurs_at=occurs_at,
    )
    try:
        with db.session.begin_nested():
            db.session.add(made)
            db.session.flush()
    except IntegrityError:
        if known := planned_with(idempotency_key):
            return known, False
        raise
    db.session.add_all(
        MaintenanceComponent(maintenance_id=made.id, component_id=component_id)
        for component_id in sorted(wanted.component_ids)
    )
    db.session.flush()
    return made, True


def give_times(maintenance: Maintenance, now: datetime) -> None:
    """Begin anew with what is told of it, because it has times that are told now: earlier reminders need not come.

    One that starts by itself and should have begun already is under way from here on.
    """
    starts_at = maintenance.starts_at
    if maintenance.starts_itself and starts_at <= now and maintenance.state is MaintenanceState.SCHEDULED:
        maintenance.state, maintenance.started_at = MaintenanceState.IN_PROGRESS, starts_at
    maintenance.announced_at = now
    maintenance.reminded = reminders_past(reminders_of(maintenance), starts_at, now)
    maintenance.staff_told_at = now if starts_at - STAFF_TOLD_BEFORE <= now else None
    maintenance.asked = 0
    reckon(maintenance)


def reckon(maintenance: Maintenance) -> None:
    """Write down when something is due of it next."""
    step = next_step(course_of(maintenance))
    maintenance.due_at = step[1] if step else None


def course_of(maintenance: Maintenance) -> Course:
    """How far its notices have come."""
    return Course(
        state=maintenance.state,
        starts_at=maintenance.starts_at,
        ends_at=maintenance.ends_at,
        starts_itself=maintenance.starts_itself,
        ends_itself=maintenance.ends_itself,
        reminders=reminders_of(maintenance),
        reminded=maintenance.reminded,
        is_staff_told=maintenance.staff_told_at is not None,
        asked=maintenance.asked,
    )


def reminders_of(maintenance: Maintenance) -> list[timedelta]:
    """How long before the start customers are told again, the longest first."""
    return [timedelta(minutes=each) for each in maintenance.reminders]


def minutes_of(reminders: Iterable[timedelta]) -> list[int]:
    """The reminders as they are stored."""
    return sorted({int(each / timedelta(minutes=1)) for each in reminders}, reverse=True)


def write(
    maintenance: Maintenance,
    kind: Notice,
    body: str,
    *,
    notify: bool,
    is_late: bool = False,
    author_id: int | None,
    now: datetime,
    public_id: str,
    at: datetime | None = None,
    bodies: Texts = NO_TEXTS,
) -> MaintenanceUpdate:
    """The next entry of the timeline, flushed, with the state and the times the maintenance has by now.

    `bodies` are its text in other languages, as they are stored.
    """
    is_told = maintenance.visibility is Visibility.PUBLIC and not maintenance.is_backfill
    made = MaintenanceUpdate(
        maintenance_id=maintenance.id,
        public_id=public_id,
        kind=kind,
        state=maintenance.state,
        body=body,
        bodies=dict(bodies),
        posted_at=at or _after_last(maintenance.id, now),
        starts_at=maintenance.starts_at,
        ends_at=maintenance.ends_at,
        notify=notify and is_told,
        is_late=is_late,
        author_id=author_id,
    )
    if maintenance.visibility is Visibility.PUBLIC and kind is not Notice.REMINDED:
        maintenance.public_updated_at = made.posted_at
    db.session.add(made)
    db.session.flush()
    return made


def tell(maintenance: Maintenance, update: MaintenanceUpdate, *, by: Actor, now: datetime) -> None:
    """Queue the mail about this entry, ring those who see it, and have the clock look where something is due soon."""
    if update.notify:
        announcing.tell(maintenance, update, by=by, now=now)
    ring(maintenance, {maintenance.audience}, now)


def call_off(maintenance: Maintenance, *, was_public: bool, was_for: Audience, by: Actor, now: datetime) -> int:
    """Call off what still waits for those who see it no more; returns how many messages that were."""
    if was_public and maintenance.visibility is not Visibility.PUBLIC:
        return announcing.cancel_mails(maintenance.id, by=by, now=now)
    if maintenance.audience is Audience.AFFECTED and was_for is Audience.EVERYONE:
        return announcing.narrow_mails(maintenance.id, by=by, now=now)
    return 0


def ring(
    maintenance: Maintenance,
    audiences: Collection[Audience],
    now: datetime,
    *,
    also: Iterable[int] = (),
    was_public: bool = False,
) -> None:
    """Ring staff, and the customers who see it or (`was_public`) saw it; `also` are components it has had until now."""
    events.ring(events.STAFF)
    if was_public or maintenance.visibility is Visibility.PUBLIC:
        ring_customers({*components_of(maintenance.id), *also}, audiences, now)


def note(
    action: str,
    maintenance: Maintenance,
    *,
    by: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write the act down in the trail."""
    audit.record(
        f"maintenance.{action}",
        object_kind="maintenance",
        object_id=maintenance.id,
        by=by,
        now=now,
        before=before,
        after=after,
    )


def facts(maintenance: Maintenance) -> dict[str, Any]:
    """The maintenance as the trail keeps it."""
    return {
        "title": maintenance.title,
        "titles": dict(maintenance.titles),
        "state": maintenance.state,
        "starts_at": maintenance.starts_at.isoformat(),
        "ends_at": maintenance.ends_at.isoformat(),
        "zone": maintenance.zone,
        "impact": maintenance.impact,
        "visibility": maintenance.visibility,
        "audience": maintenance.audience,
        "notify": maintenance.notify,
        "reminders": list(maintenance.reminders),
        "starts_itself": maintenance.starts_itself,
        "ends_itself": maintenance.ends_itself,
    }


def set_components(maintenance_id: int, component_ids: Iterable[int]) -> None:
    """Have it worked on exactly these components."""
    db.session.execute(delete(MaintenanceComponent).where(MaintenanceComponent.maintenance_id == maintenance_id))
    db.session.add_all(
        MaintenanceComponent(maintenance_id=maintenance_id, component_id=component_id)
        for component_id in sorted(component_ids)
    )
    db.session.flush()


# Checks


def checked(wanted: Plan, now: datetime, *, known: Collection[int] = ()) -> Plan:
    """The plan with its texts cleaned; RuleViolation at the field that cannot be so.

    `known` are components it has already: they may be archived meanwhile.
    """
    check_times(wanted.starts_at, wanted.ends_at, wanted.zone, now)
    return clean(wanted, known=known)


def clean(wanted: Plan, *, known: Collection[int] = ()) -> Plan:
    """The plan but for its times, checked and cleaned."""
    if len(wanted.component_ids) > COMPONENTS_AT_MOST:
        raise RuleViolation(f"Choose at most {COMPONENTS_AT_MOST} components.", "components")
    check_components(set(wanted.component_ids) - set(known))
    if len(wanted.reminders) > REMINDERS_AT_MOST:
        raise RuleViolation(f"There are at most {REMINDERS_AT_MOST} reminders.", "reminders")
    if any(not REMINDER_AT_LEAST <= each <= REMINDER_AT_MOST for each in wanted.reminders):
        raise RuleViolation("A reminder comes between five minutes and 30 days before the start.", "reminders")
    titles, bodies = clean_translations(wanted.translations)
    return Plan(
        title=clean_title(wanted.title),
        body=clean_body(wanted.body),
        component_ids=frozenset(wanted.component_ids),
        starts_at=wanted.starts_at,
        ends_at=wanted.ends_at,
        zone=wanted.zone,
        impact=wanted.impact,
        visibility=wanted.visibility,
        audience=wanted.audience,
        notify=wanted.notify,
        reminders=wanted.reminders,
        starts_itself=wanted.starts_itself,
        ends_itself=wanted.ends_itself,
        translations=translations_of(title=titles, body=bodies),
    )


def check_times(starts_at: datetime, ends_at: datetime, zone: str, now: datetime) -> None:
    """RuleViolation when this is no window of planned work. It may have begun already, but not be over."""
    check_zone(zone)
    if ends_at <= starts_at:
        raise RuleViolation("The end must come after the start.", "ends_at")
    if ends_at - starts_at > WINDOW_AT_MOST:
        raise RuleViolation(f"A window lasts at most {WINDOW_AT_MOST.days} days. Plan it in several.", "ends_at")
    if ends_at <= now:
        raise RuleViolation("This window is over already.", "ends_at")
    if ends_at - now > AHEAD_AT_MOST:
        raise RuleViolation("The end is more than two years ahead.", "ends_at")


def check_zone(zone: str) -> None:
    """RuleViolation when nobody can choose this time zone."""
    if zone not in _ZONES:
        raise RuleViolation("Choose a time zone from the list.", "zone")


def clean_text(body: str) -> str:
    """What is said beside an act, which may be nothing."""
    return clean_body(body) if body.strip() else ""


# Small readings the writing needs


def planned_with(idempotency_key: str) -> Maintenance | None:
    """The maintenance that was planned with this key before."""
    return db.session.scalars(
        select(Maintenance).where(Maintenance.source == OWN, Maintenance.public_id == public_id_for(idempotency_key))
    ).one_or_none()


def update_with(maintenance_id: int, public_id: str) -> MaintenanceUpdate | None:
    """The entry of this timeline with this public id."""
    return db.session.scalars(
        select(MaintenanceUpdate).where(
            MaintenanceUpdate.maintenance_id == maintenance_id, MaintenanceUpdate.public_id == public_id
        )
    ).one_or_none()


def components_of(maintenance_id: int) -> set[int]:
    """The components it is worked on."""
    return set(
        db.session.scalars(
            select(MaintenanceComponent.component_id).where(MaintenanceComponent.maintenance_id == maintenance_id)
        )
    )


def _after_last(maintenance_id: int, now: datetime) -> datetime:
    """Now, but never before the last entry: a clock set back must not reorder a timeline."""
    last = db.session.scalar(
        select(MaintenanceUpdate.posted_at)
        .where(MaintenanceUpdate.maintenance_id == maintenance_id)
        .order_by(MaintenanceUpdate.posted_at.desc())
        .limit(1)
    )
    return max(now, last) if last else now
