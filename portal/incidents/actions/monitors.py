"""External monitors: setting them up, and what becomes of what they say.

A monitor never tells a customer anything. What it says opens a draft with the components worked out, and so with the
companies that would be affected; staff publish it, change it or put it away. The same again, or more of what a draft or
an open report names already, is counted there instead of becoming another.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from portal import events
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue.models import Component
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.drafts import QUESTION, edit_draft, save_draft
from portal.incidents.actions.updating import post_update
from portal.incidents.models import Incident, IncidentDraft, Monitor, MonitorCondition, MonitorMatch
from portal.incidents.queries.monitors import (
    MONITORS_AT_MOST,
    is_name_taken,
    key_hash,
    monitors,
    open_incident_on,
    open_monitor_drafts,
    titles_of_components,
)
from portal.incidents.rules import Severity, Visibility
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.incidents.rules.monitors import Match, Shape, Signal, began, draft_text, severities
from portal.notifications.actions import queue_broadcast
from portal.notifications.wordings import render_wordings

NAME_LENGTH = 100
MATCHES_AT_MOST = 200

OPEN_AT_MOST = 10
"""Drafts that monitors may have open at once. What comes beyond is kept as a condition and opens no further draft:
so many at a time have one cause, and a list of hundreds hides it."""

NOBODY_WAS_TOLD = "No customer was told. Look at who is affected, then publish it or put it away."

KEPT_PER_MONITOR = 500
"""Conditions kept of each monitor when they are over."""


@dataclass(frozen=True)
class Named:
    """A word of a monitor that stands for a component, as somebody chose it."""

    word: str
    component_id: int
    severity: Severity


@dataclass(frozen=True)
class Heard:
    """What came of one message: drafts opened, signals counted in what was known, and conditions that ended."""

    opened: int = 0
    folded: int = 0
    over: int = 0


# Setting up


def add_monitor(
    name: str,
    shape: Shape,
    severity: Severity,
    named: Sequence[Named],
    *,
    publishes: bool = False,
    by: Actor,
    now: datetime,
) -> tuple[Monitor, str]:
    """Make a monitor known; returns it with the secret of its address, which is stored nowhere and shown only now."""
    if len(monitors()) >= MONITORS_AT_MOST:
        raise RuleViolation(f"There are {MONITORS_AT_MOST} monitors already. Remove one that is no longer used.")
    key = _new_key()
    monitor = Monitor(
        name=_name(name, None),
        shape=shape,
        severity=_severity(severity),
        publishes=_publishes(shape, publishes),
        key_hash=key_hash(key),
        hint=key[:6],
        created_at=now,
        matches=_matches(named),
    )
    db.session.add(monitor)
    db.session.flush()
    _note("monitor.add", monitor, by=by, now=now, after=_facts(monitor))
    return monitor, key


def edit_monitor(
    monitor: Monitor,
    name: str,
    severity: Severity,
    named: Sequence[Named],
    *,
    publishes: bool = False,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change what a monitor is called and what its words stand for. The same again is no change."""
    if monitor.version != version:
        raise StaleEdit
    before = _facts(monitor)
    wanted = _matches(named)
    monitor.name, monitor.severity = _name(name, monitor.id), _severity(severity)
    monitor.publishes = _publishes(monitor.shape, publishes)
    if [_pair(each) for each in wanted] != [_pair(each) for each in monitor.matches]:
        monitor.matches.clear()
        db.session.flush()
        monitor.matches.extend(wanted)
    db.session.flush()
    if (after := _facts(monitor)) != before:
        _note("monitor.edit", monitor, by=by, now=now, before=before, after=after)


def renew_address(monitor: Monitor, *, by: Actor, now: datetime) -> str:
    """Give a monitor a new address, and the old one none of its messages more. Returns the new secret, to show once."""
    key = _new_key()
    monitor.key_hash, monitor.hint = key_hash(key), key[:6]
    db.session.flush()
    _note("monitor.renew_address", monitor, by=by, now=now, after={"hint": monitor.hint})
    return key


def remove_monitor(monitor: Monitor, *, by: Actor, now: datetime) -> None:
    """Hear it no more. Drafts it opened stay."""
    monitor.removed_at = now
    db.session.execute(
        update(MonitorCondition)
        .where(MonitorCondition.monitor_id == monitor.id, MonitorCondition.over_at.is_(None))
        .values(over_at=now)
    )
    db.session.flush()
    _note("monitor.remove", monitor, by=by, now=now, before=_facts(monitor))


# Hearing


def hear(monitor_id: int, signals: Sequence[Signal], *, now: datetime) -> Heard:
    """Take what a monitor says. The same message again opens nothing a second time. The caller commits."""
    # One message of a monitor after the other, or two would open a draft each.
    monitor = db.session.scalars(
        select(Monitor).where(Monitor.id == monitor_id).with_for_update().execution_options(populate_existing=True)
    ).one()
    note_heard(monitor.id, "", now)
    standing = {
        each.fold: each
        for each in db.session.scalars(
            select(MonitorCondition).where(
                MonitorCondition.monitor_id == monitor.id, MonitorCondition.over_at.is_(None)
            )
        )
    }
    heard = Heard()
    ended = []
    for signal in signals:
        known = standing.get(signal.fold)
        if signal.is_over:
            if known is not None:
                known.over_at, known.last_at = now, now
                ended.append(known)
                del standing[signal.fold]
                heard = replace(heard, over=heard.over + 1)
        elif known is not None:
            _count(known, signal, now)
            heard = replace(heard, folded=heard.folded + 1)
        else:
            condition = MonitorCondition(
                monitor_id=monitor.id,
                fold=signal.fold,
                title=signal.title,
                text=signal.text,
                first_at=now,
                last_at=now,
            )
            db.session.add(condition)
            db.session.flush()
            standing[signal.fold] = condition
            if _place(monitor, condition, signal, now):
                heard = replace(heard, opened=heard.opened + 1)
            else:
                heard = replace(heard, folded=heard.folded + 1)
    db.session.flush()
    _say_what_is_over(monitor, ended, now)
    _forget_old(monitor.id)
    if signals:
        events.ring(events.STAFF)
    return heard


def _place(monitor: Monitor, condition: MonitorCondition, signal: Signal, now: datetime) -> bool:
    """Find where a new condition belongs: an open report, an open draft, or a new one. Whether it opened one."""
    matches = db.session.scalars(
        select(MonitorMatch)
        .join(Component, Component.id == MonitorMatch.component_id)
        .where(MonitorMatch.monitor_id == monitor.id, Component.archived_at.is_(None))
        .order_by(MonitorMatch.id)
    )
    hit = severities(
        signal,
        [Match(each.word, each.component_id, each.severity) for each in matches],
        titles_of_components(),
        monitor.severity,
    )
    condition.incident_id = open_incident_on(list(hit))
    if condition.incident_id is not None:
        return False
    drafts = open_monitor_drafts()
    for draft in drafts:
        named = DraftContent.from_json(draft.content).severities or {}
        if hit.keys() & named.keys():
            _join(draft, condition, signal, hit, now)
            return False
    if len(drafts) >= OPEN_AT_MOST:
        return False
    draft = save_draft(
        DraftContent(
            title=signal.title,
            body=draft_text(_titles(hit)),
            severities=hit or None,
            started_at=began(signal, now),
        ),
        origin=Origin.MONITOR,
        origin_name=monitor.name,
        fold_key=f"monitor:{monitor.id}:{signal.fold}",
        signal=_said(signal),
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=f"monitor:{condition.id}",
    )
    condition.draft_id = draft.id
    ask_staff(monitor, draft, signal.text or signal.title, now)
    return True


def _join(
    draft: IncidentDraft, condition: MonitorCondition, signal: Signal, hit: Mapping[int, Severity], now: datetime
) -> None:
    """Count a condition in a draft. As long as nobody has written in the draft, it names the new components too."""
    content = DraftContent.from_json(draft.content)
    named = content.severities or {}
    if draft.owner_id is None and hit.keys() - named.keys():
        wider = {**hit, **named}
        wanted = replace(content, severities=wider, body=draft_text(_titles(wider)))
        edit_draft(
            draft,
            wanted,
            publish_at=draft.publish_at,
            zone=draft.zone,
            version=draft.version,
            by=SYSTEM,
            author_id=None,
            now=now,
        )
    condition.draft_id = draft.id
    _signal_draft(draft.id, _said(signal), now)


def _count(condition: MonitorCondition, signal: Signal, now: datetime) -> None:
    condition.signals += 1
    condition.last_at = now
    condition.text = signal.text
    if condition.draft_id is not None:
        _signal_draft(condition.draft_id, _said(signal), now)


def _signal_draft(draft_id: int, said: str, now: datetime) -> None:
    # Past the version: whoever has the draft open may still save it.
    db.session.execute(
        update(IncidentDraft)
        .where(IncidentDraft.id == draft_id, IncidentDraft.published_at.is_(None), IncidentDraft.discarded_at.is_(None))
        .values(signals=IncidentDraft.signals + 1, signalled_at=now, last_signal=said)
        .execution_options(synchronize_session=False)
    )


def _say_what_is_over(monitor: Monitor, ended: Sequence[MonitorCondition], now: datetime) -> None:
    """Tell staff, in the draft or privately in the report, that the last of what it was opened for is over."""
    for draft_id in dict.fromkeys(each.draft_id for each in ended if each.draft_id is not None):
        if not _stands(MonitorCondition.draft_id == draft_id):
            _signal_draft(draft_id, f"{monitor.name} says that it is over.", now)
    for incident_id in dict.fromkeys(found for each in ended if (found := _incident_of(each)) is not None):
        incident = db.session.get(Incident, incident_id, populate_existing=True)
        about = (MonitorCondition.incident_id == incident_id) | MonitorCondition.draft_id.in_(
            select(IncidentDraft.id).where(IncidentDraft.incident_id == incident_id)
        )
        if incident is None or incident.resolved_at is not None or _stands(about):
            continue
        last = max(each.id for each in ended)
        post_update(
            incident,
            None,
            f"{monitor.name} says that it is over. If you can confirm it, tell customers and mark it Fixed.",
            {},
            visibility=Visibility.PRIVATE,
            notify=False,
            version=incident.version,
            by=SYSTEM,
            author_id=None,
            now=now,
            idempotency_key=f"monitor-over:{last}:{incident_id}",
        )


def _incident_of(condition: MonitorCondition) -> int | None:
    """The report it is about. One that was merged at the moment it was placed there leads on to the other."""
    incident_id = condition.incident_id
    if incident_id is None and condition.draft_id is not None:
        incident_id = db.session.scalar(select(IncidentDraft.incident_id).where(IncidentDraft.id == condition.draft_id))
    if incident_id is None:
        return None
    goes_on_as = func.coalesce(Incident.merged_into_id, Incident.id)
    return db.session.scalar(select(goes_on_as).where(Incident.id == incident_id))


def _stands(about: Any) -> bool:
    standing = select(MonitorCondition.id).where(about, MonitorCondition.over_at.is_(None)).limit(1)
    return db.session.scalar(standing) is not None


def ask_staff(monitor: Monitor, draft: IncidentDraft, said: str, now: datetime) -> None:
    """Mail those who may publish, once for each draft that a monitor opens."""
    title = f"{monitor.name} opened a draft: {draft.title}"[:250]
    queue_broadcast(
        QUESTION,
        idempotency_key=f"{QUESTION}:monitor:{draft.id}",
        title=title,
        selector={"person_id": None},
        content=render_wordings(
            "alarm",
            ("en",),
            title=title,
            text=f"{said}\n\n{NOBODY_WAS_TOLD}",
            path=f"/admin/incidents/drafts/{draft.id}",
        ),
        thread_key=f"{QUESTION}:draft:{draft.id}",
        by_person_id=None,
        now=now,
    )


def _forget_old(monitor_id: int) -> None:
    """Keep the last conditions only: a monitor that flaps must not fill the disk."""
    newest = (
        select(MonitorCondition.id)
        .where(MonitorCondition.monitor_id == monitor_id, MonitorCondition.over_at.is_not(None))
        .order_by(MonitorCondition.id.desc())
        .offset(KEPT_PER_MONITOR)
        .limit(1)
    )
    if (last := db.session.scalar(newest)) is not None:
        db.session.execute(
            delete(MonitorCondition).where(
                MonitorCondition.monitor_id == monitor_id,
                MonitorCondition.over_at.is_not(None),
                MonitorCondition.id <= last,
            )
        )


def note_heard(monitor_id: int, trouble: str, now: datetime) -> None:
    """Keep that a monitor was heard of, and why it was not understood ("" where it was)."""
    # Past the version: whoever has the form open may still save it.
    db.session.execute(
        update(Monitor)
        .where(Monitor.id == monitor_id)
        .values(last_heard_at=now, last_trouble=trouble)
        .execution_options(synchronize_session=False)
    )


# Small steps


def _said(signal: Signal) -> str:
    return f"{signal.title}\n{signal.text}".strip()


def _titles(component_ids: Collection[int]) -> list[str]:
    return list(
        db.session.scalars(
            select(Component.title).where(Component.id.in_(component_ids)).order_by(func.lower(Component.title))
        )
    )


def _name(name: str, own_id: int | None) -> str:
    cleaned = one_line(name)
    if not 1 <= len(cleaned) <= NAME_LENGTH:
        raise RuleViolation(f"Give the monitor a name of at most {NAME_LENGTH} characters.", "name")
    if is_name_taken(cleaned, own_id):
        raise RuleViolation(f"There is a monitor called {cleaned} already.", "name")
    return cleaned


def _new_key() -> str:
    # In an address of mail capital and small letters are the same.
    return secrets.token_hex(20)


def _publishes(shape: Shape, publishes: bool) -> bool:
    if publishes and shape is not Shape.MAIL:
        raise RuleViolation("A monitor opens drafts. Only what staff write by mail can be published.", "publishes")
    return publishes


def _severity(severity: Severity) -> Severity:
    if severity is Severity.NONE:
        raise RuleViolation("Choose how bad something is of which the monitor does not say it.", "severity")
    return severity


def _matches(named: Sequence[Named]) -> list[MonitorMatch]:
    if len(named) > MATCHES_AT_MOST:
        raise RuleViolation(f"A monitor has at most {MATCHES_AT_MOST} words.", "matches")
    wanted = {each.component_id for each in named}
    known = set(
        db.session.scalars(select(Component.id).where(Component.id.in_(wanted), Component.archived_at.is_(None)))
    )
    if wanted - known:
        raise RuleViolation("One of the components no longer exists: choose another.", "matches")
    found: dict[tuple[str, int], MonitorMatch] = {}
    for each in named:
        word = one_line(each.word)
        if not 1 <= len(word) <= 200:
            raise RuleViolation("A word has between 1 and 200 characters.", "matches")
        found[word.casefold(), each.component_id] = MonitorMatch(
            word=word, component_id=each.component_id, severity=_severity(each.severity)
        )
    return list(found.values())


def _pair(match: MonitorMatch) -> tuple[str, int, Severity]:
    return match.word, match.component_id, match.severity


def _facts(monitor: Monitor) -> dict[str, Any]:
    return {
        "name": monitor.name,
        "shape": monitor.shape,
        "severity": monitor.severity,
        "publishes": monitor.publishes,
        "matches": [list(map(str, _pair(each))) for each in monitor.matches],
    }


def _note(
    action: str,
    monitor: Monitor,
    *,
    by: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(action, object_kind="monitor", object_id=monitor.id, by=by, now=now, before=before, after=after)
