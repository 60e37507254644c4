"""Planned work by hand: planning it, giving it other times, and saying how it goes. The clock's part is in `by_clock`.

Every act is idempotent by its key, refuses a stale `version`, writes the next entry of the timeline, and queues the
mail about it in the same transaction. Arithmetic is in UTC: three hours stay three hours over a change of the clocks.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NotRequired, TypedDict, Unpack

from sqlalchemy import select

from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions import announcing
from portal.incidents.actions.entries import (
    call_off,
    check_times,
    check_zone,
    checked,
    clean,
    clean_text,
    components_of,
    create,
    facts,
    give_times,
    minutes_of,
    note,
    planned_with,
    reckon,
    reminders_of,
    ring,
    set_components,
    tell,
    update_with,
    write,
)
from portal.incidents.actions.languages import clean_texts
from portal.incidents.actions.writing import clean_body
from portal.incidents.models import Maintenance, MaintenanceUpdate
from portal.incidents.rules import OPEN_MAINTENANCE, Audience, MaintenanceState, Visibility, public_id_for
from portal.incidents.rules.languages import NO_TEXTS, Texts, Translations, texts_of, translations_of
from portal.incidents.rules.maintenance import Notice, Plan, WorkImpact, reminders_past, state_of

OVER = (MaintenanceState.COMPLETED, MaintenanceState.CANCELLED)

VERBS = {
    Notice.STARTED: "begin",
    Notice.VERIFYING: "verify",
    Notice.COMPLETED: "complete",
    Notice.CANCELLED: "cancel",
}
"""What the audit trail calls an act, by the notice it makes."""

SENT_BEFORE = "This form was sent already. Open it anew."


def plan(plan: Plan, *, by: Actor, author_id: int | None, now: datetime, idempotency_key: str) -> Maintenance:
    """Plan a maintenance, and announce it to those it reaches if `plan.notify` says so and it is public.

    Whoever plans it owns it: they are told before it starts, and asked where it needs a hand. A window that has begun
    already is under way at once. The same key again returns what it made the first time.
    """
    if known := planned_with(idempotency_key):
        return known
    wanted = checked(plan, now)
    made, is_new = create(wanted, author_id=author_id, owner_id=author_id, now=now, idempotency_key=idempotency_key)
    if not is_new:
        return made
    give_times(made, now)
    announcement = write(
        made,
        Notice.ANNOUNCED,
        wanted.body,
        bodies=texts_of(wanted.translations, "body"),
        notify=wanted.notify,
        author_id=author_id,
        now=now,
        public_id=public_id_for(f"{idempotency_key}:0"),
    )
    note("plan", made, by=by, now=now, after=facts(made) | {"components": sorted(wanted.component_ids)})
    tell(made, announcement, by=by, now=now)
    return made


def backfill(plan: Plan, *, by: Actor, author_id: int | None, now: datetime, idempotency_key: str) -> Maintenance:
    """Write down planned work that is over. It mails nobody, ever; the same key again returns what it made before."""
    if known := planned_with(idempotency_key):
        return known
    check_zone(plan.zone)
    wanted = replace(clean(plan), notify=False, reminders=())
    if wanted.ends_at <= wanted.starts_at:
        raise RuleViolation("The end must come after the start.", "ends_at")
    if wanted.ends_at > now:
        raise RuleViolation("It is not over yet: plan it instead.", "ends_at")
    made, is_new = create(
        wanted,
        author_id=author_id,
        owner_id=author_id,
        now=now,
        idempotency_key=idempotency_key,
        state=MaintenanceState.COMPLETED,
        is_backfill=True,
    )
    if not is_new:
        return made
    made.started_at, made.completed_at = wanted.starts_at, wanted.ends_at
    write(
        made,
        Notice.COMPLETED,
        wanted.body,
        bodies=texts_of(wanted.translations, "body"),
        notify=False,
        author_id=author_id,
        now=now,
        at=wanted.ends_at,
        public_id=public_id_for(f"{idempotency_key}:0"),
    )
    note("backfill", made, by=by, now=now, after=facts(made) | {"components": sorted(wanted.component_ids)})
    ring(made, {made.audience}, now)
    return made


def move(
    maintenance: Maintenance,
    starts_at: datetime,
    ends_at: datetime,
    zone: str,
    body: str,
    *,
    notify: bool,
    version: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
    bodies: Texts = NO_TEXTS,
) -> MaintenanceUpdate:
    """Give it other times. One under way keeps its start; one that the clock has ended goes on.

    StaleEdit when somebody else changed it since `version`. An occurrence of a series is its own from now on.
    """
    known, public_id = _begin(maintenance, version, idempotency_key)
    if known:
        return _same(known, starts_at=starts_at, ends_at=ends_at)
    text, texts = clean_text(body), clean_texts(bodies, clean_body)
    if maintenance.state is MaintenanceState.CANCELLED or _is_completed_by_hand(maintenance):
        raise RuleViolation("This maintenance is over. Plan a new one.")
    has_begun = state_of(maintenance, now) is not MaintenanceState.SCHEDULED
    if has_begun and starts_at != maintenance.starts_at:
        raise RuleViolation("It has begun, so only its end can be moved.", "starts_at")
    check_times(starts_at, ends_at, zone, now)
    if (starts_at, ends_at) == (maintenance.starts_at, maintenance.ends_at):
        raise RuleViolation("These are the times it has.", "starts_at")
    before = facts(maintenance)
    is_longer = ends_at > maintenance.ends_at
    maintenance.starts_at, maintenance.ends_at, maintenance.zone = starts_at, ends_at, zone
    maintenance.is_detached = maintenance.series_id is not None
    maintenance.sequence += 1
    if has_begun:
        begun = maintenance.state if maintenance.state in OPEN_MAINTENANCE else MaintenanceState.IN_PROGRESS
        maintenance.state, maintenance.completed_at, maintenance.asked = begun, None, 0
        maintenance.started_at = maintenance.started_at or starts_at
        reckon(maintenance)
    else:
        give_times(maintenance, now)
    kind = Notice.EXTENDED if has_begun and is_longer else Notice.MOVED
    update = write(
        maintenance, kind, text, bodies=texts, notify=notify, author_id=author_id, now=now, public_id=public_id
    )
    announcing.cancel_mails(maintenance.id, by=by, now=now, kinds=(Notice.REMINDED,))
    note("move", maintenance, by=by, now=now, before=before, after=facts(maintenance) | {"notify": update.notify})
    tell(maintenance, update, by=by, now=now)
    return update


class Told(TypedDict):
    """How an act is told: whether it is mailed, the version it was made on, by whom and when, the key that keeps the
    same form from counting twice, and its words in other languages."""

    notify: bool
    version: int
    by: Actor
    author_id: int | None
    now: datetime
    idempotency_key: str
    bodies: NotRequired[Texts]


def begin(maintenance: Maintenance, body: str, **told: Unpack[Told]) -> MaintenanceUpdate:
    """Say that the work has begun, before its window too."""

    def step(now: datetime) -> None:
        if state_of(maintenance, now) is not MaintenanceState.SCHEDULED:
            raise RuleViolation("It has begun already, or is over.")
        if maintenance.ends_itself and maintenance.ends_at <= now:
            raise RuleViolation("Its window is over, and it ends by itself. Move it first.")
        maintenance.state, maintenance.started_at = MaintenanceState.IN_PROGRESS, now

    return _go_on(maintenance, Notice.STARTED, body, step, told)


def verify(maintenance: Maintenance, body: str, **told: Unpack[Told]) -> MaintenanceUpdate:
    """Say that the work is done and looked over."""

    def step(now: datetime) -> None:
        if state_of(maintenance, now) is not MaintenanceState.IN_PROGRESS:
            raise RuleViolation("Only work in progress can be verified.")
        maintenance.started_at = maintenance.started_at or maintenance.starts_at
        maintenance.state = MaintenanceState.VERIFYING

    return _go_on(maintenance, Notice.VERIFYING, body, step, told)


def complete(maintenance: Maintenance, body: str, **told: Unpack[Told]) -> MaintenanceUpdate:
    """Say that it is done: its components are under maintenance no more."""

    def step(now: datetime) -> None:
        if state_of(maintenance, now) in OVER:
            raise RuleViolation("This maintenance is over already.")
        if maintenance.state is MaintenanceState.SCHEDULED and maintenance.starts_at > now:
            raise RuleViolation("It has not begun yet. Begin it, move it, or cancel it.")
        maintenance.started_at = maintenance.started_at or maintenance.starts_at
        maintenance.state, maintenance.completed_at = MaintenanceState.COMPLETED, now

    return _go_on(maintenance, Notice.COMPLETED, body, step, told)


def cancel(maintenance: Maintenance, body: str, **told: Unpack[Told]) -> MaintenanceUpdate:
    """Call it off, ahead or under way. Reminders that still wait to be sent are called off with it."""

    def step(now: datetime) -> None:
        if state_of(maintenance, now) in OVER:
            raise RuleViolation("This maintenance is over; there is nothing left to cancel.")
        maintenance.state = MaintenanceState.CANCELLED
        maintenance.sequence += 1

    return _go_on(maintenance, Notice.CANCELLED, body, step, told)


def add_note(
    maintenance: Maintenance,
    body: str,
    *,
    notify: bool,
    version: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
    bodies: Texts = NO_TEXTS,
) -> MaintenanceUpdate:
    """Write something into the timeline; everything else stays as it is."""
    known, public_id = _begin(maintenance, version, idempotency_key)
    if known:
        return _same(known, kind=Notice.NOTE)
    text, texts = clean_text(body), clean_texts(bodies, clean_body)
    if not text:
        raise RuleViolation("Say what customers should know.", "body")
    state = state_of(maintenance, now)
    update = write(
        maintenance, Notice.NOTE, text, bodies=texts, notify=notify, author_id=author_id, now=now, public_id=public_id
    )
    update.state = state
    db.session.flush()
    note("add_note", maintenance, by=by, now=now, after={"body": text, "bodies": texts, "notify": update.notify})
    tell(maintenance, update, by=by, now=now)
    return update


def edit(
    maintenance: Maintenance,
    *,
    title: str,
    body: str,
    translations: Translations | None = None,
    component_ids: Collection[int],
    impact: WorkImpact,
    visibility: Visibility,
    audience: Audience,
    notify: bool,
    reminders: Collection[timedelta],
    starts_itself: bool,
    ends_itself: bool,
    owner_id: int | None,
    version: int,
    by: Actor,
    now: datetime,
) -> int:
    """Change what it says, what it is worked on, who sees it and what the clock does. The same again is no change.

    `body` corrects the text it was announced with; `translations` are that and the title in other languages, None
    leaves them as they are. It mails nobody: add a note for that. What becomes private disappears for customers at
    once, and mails about it that still wait are cancelled; what was for everyone and becomes for the affected does so
    for the others. Returns how many messages that were.
    """
    db.session.refresh(maintenance, with_for_update={"of": Maintenance})
    if maintenance.version != version:
        raise StaleEdit
    had, was_public = components_of(maintenance.id), maintenance.visibility is Visibility.PUBLIC
    was_for, audiences = maintenance.audience, {maintenance.audience, audience}
    announcement = _announcement(maintenance.id)
    wanted = clean(
        Plan(
            title=title,
            body=body,
            component_ids=frozenset(component_ids),
            starts_at=maintenance.starts_at,
            ends_at=maintenance.ends_at,
            zone=maintenance.zone,
            reminders=tuple(reminders),
            translations=_translated(maintenance, announcement) if translations is None else translations,
        ),
        known=had,
    )
    before = _as_edited(maintenance, announcement, had)
    _switch(maintenance, starts_itself, ends_itself, now)
    maintenance.title, maintenance.impact, maintenance.audience = wanted.title, impact, audience
    maintenance.titles = texts_of(wanted.translations, "title")
    maintenance.visibility, maintenance.notify, maintenance.owner_id = visibility, notify, owner_id
    _remind_at(maintenance, wanted.reminders, now)
    if announcement is not None:
        announcement.body, announcement.bodies = wanted.body, texts_of(wanted.translations, "body")
    after = _as_edited(maintenance, announcement, wanted.component_ids)
    changed = sorted(name for name in after if after[name] != before[name])
    if not changed:
        return 0
    if wanted.component_ids != had:
        set_components(maintenance.id, wanted.component_ids)
    reckon(maintenance)
    maintenance.sequence += 1
    maintenance.is_detached = maintenance.series_id is not None
    if visibility is Visibility.PUBLIC:
        maintenance.public_updated_at = max(now, maintenance.public_updated_at)
    db.session.flush()
    ring(maintenance, audiences, now, also=had, was_public=was_public)
    called_off = call_off(maintenance, was_public=was_public, was_for=was_for, by=by, now=now)
    note(
        "edit",
        maintenance,
        by=by,
        now=now,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed} | ({"called_off": called_off} if called_off else {}),
    )
    db.session.flush()
    return called_off


def _as_edited(
    maintenance: Maintenance, announcement: MaintenanceUpdate | None, component_ids: Collection[int]
) -> dict[str, Any]:
    return facts(maintenance) | {
        "components": sorted(component_ids),
        "owner_id": maintenance.owner_id,
        "body": announcement.body if announcement else "",
        "bodies": dict(announcement.bodies) if announcement else {},
    }


def _translated(maintenance: Maintenance, announcement: MaintenanceUpdate | None) -> Translations:
    """Its texts in other languages, as they are."""
    return translations_of(title=maintenance.titles, body=announcement.bodies if announcement else {})


def _switch(maintenance: Maintenance, starts_itself: bool, ends_itself: bool, now: datetime) -> None:
    """Have the clock begin and end it, or people. What the clock has begun stays begun; what is over stays over."""
    has_changed = (starts_itself, ends_itself) != (maintenance.starts_itself, maintenance.ends_itself)
    if not has_changed or state_of(maintenance, now) in OVER:
        return
    if maintenance.state is MaintenanceState.SCHEDULED and state_of(maintenance, now) in OPEN_MAINTENANCE:
        maintenance.state = MaintenanceState.IN_PROGRESS
        maintenance.started_at = maintenance.started_at or maintenance.starts_at
    maintenance.starts_itself, maintenance.ends_itself, maintenance.asked = starts_itself, ends_itself, 0


def _remind_at(maintenance: Maintenance, reminders: Collection[timedelta], now: datetime) -> None:
    """Have other reminders, of which those count that are still ahead."""
    if minutes_of(reminders) != list(maintenance.reminders):
        maintenance.reminders = minutes_of(reminders)
        maintenance.reminded = reminders_past(reminders_of(maintenance), maintenance.starts_at, now)


def _begin(maintenance: Maintenance, version: int, key: str) -> tuple[MaintenanceUpdate | None, str]:
    """Lock it for an act of its own; the entry this key has made already, if it has, and the public id of the entry."""
    public_id = public_id_for(f"{maintenance.public_id}:{key}")
    db.session.refresh(maintenance, with_for_update={"of": Maintenance})
    known = update_with(maintenance.id, public_id)
    if known is None and maintenance.version != version:
        raise StaleEdit
    return known, public_id


def _same(known: MaintenanceUpdate, **expected: object) -> MaintenanceUpdate:
    """The entry a key has made, if this is what it was sent for; RuleViolation when something else was meant now."""
    if any(getattr(known, name) != value for name, value in expected.items()):
        raise RuleViolation(SENT_BEFORE)
    return known


def _go_on(
    maintenance: Maintenance, kind: Notice, body: str, step: Callable[[datetime], None], told: Told
) -> MaintenanceUpdate:
    """Have it come to its next state, write that down and tell of it. `step` changes the row, or refuses.

    The same act again is the entry it made; what was sent before with another meaning is refused.
    """
    now, by = told["now"], told["by"]
    known, public_id = _begin(maintenance, told["version"], told["idempotency_key"])
    if known:
        return _same(known, kind=kind)
    text, texts = clean_text(body), clean_texts(told.get("bodies", NO_TEXTS), clean_body)
    step(now)
    maintenance.asked = 0
    reckon(maintenance)
    update = write(
        maintenance,
        kind,
        text,
        bodies=texts,
        notify=told["notify"],
        author_id=told["author_id"],
        now=now,
        public_id=public_id,
    )
    if kind is Notice.CANCELLED:
        announcing.cancel_mails(maintenance.id, by=by, now=now, kinds=(Notice.REMINDED,))
    after = {"state": maintenance.state, "body": text, "bodies": dict(texts), "notify": update.notify}
    note(VERBS[kind], maintenance, by=by, now=now, after=after)
    tell(maintenance, update, by=by, now=now)
    return update


def _is_completed_by_hand(maintenance: Maintenance) -> bool:
    by_clock = maintenance.ends_itself and maintenance.completed_at in (None, maintenance.ends_at)
    return maintenance.state is MaintenanceState.COMPLETED and not by_clock


def _announcement(maintenance_id: int) -> MaintenanceUpdate | None:
    """The entry it was announced with."""
    return db.session.scalars(
        select(MaintenanceUpdate)
        .where(MaintenanceUpdate.maintenance_id == maintenance_id, MaintenanceUpdate.kind == Notice.ANNOUNCED)
        .order_by(MaintenanceUpdate.id)
        .limit(1)
    ).one_or_none()
