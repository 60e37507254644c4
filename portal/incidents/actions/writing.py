"""Writing the rows of a report: with its timeline, checked, and the small readings that takes."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import OWN, Component
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.models import Incident, IncidentComponent, IncidentUpdate, SeverityChange
from portal.incidents.rules import (
    Audience,
    Move,
    Severity,
    State,
    Visibility,
    impact_of,
    public_id_for,
    severities_after,
)
from portal.incidents.rules.nagging import next_nag

TITLE_LENGTH = 200
BODY_LENGTH = 20_000


@dataclass(frozen=True)
class PastUpdate:
    """One entry of a timeline that is written down after the fact."""

    posted_at: datetime
    state: State
    body: str
    severities: Mapping[int, Severity]
    bodies: Mapping[str, str] = field(default_factory=dict)


def create(
    title: str,
    timeline: Sequence[PastUpdate],
    *,
    titles: Mapping[str, str] | None = None,
    visibility: Visibility,
    audience: Audience,
    author_id: int | None,
    started_at: datetime,
    is_backfill: bool,
    idempotency_key: str,
    now: datetime,
    notify: bool,
) -> tuple[Incident, bool]:
    """The report with its timeline, flushed, and whether it is new: another request may just have made it."""
    check_components({component_id for entry in timeline for component_id in entry.severities})
    last = timeline[-1]
    incident = Incident(
        public_id=public_id_for(idempotency_key),
        source=OWN,
        title=clean_title(title),
        titles=dict(titles or {}),
        state=last.state,
        visibility=visibility,
        audience=audience,
        impact=impact_of(last.severities.values()),
        is_backfill=is_backfill,
        started_at=started_at,
        resolved_at=last.posted_at if last.state is State.FIXED else None,
        created_at=now,
        public_updated_at=last.posted_at,
        created_by_id=author_id,
        owner_id=author_id,
    )
    await_update(incident, last.posted_at)
    bodies = [clean_body(entry.body) for entry in timeline]
    try:
        with db.session.begin_nested():
            db.session.add(incident)
            db.session.flush()
    except IntegrityError:
        if known := published_with(idempotency_key):
            return known, False
        raise
    standing: dict[int, Severity] = {}
    for number, (entry, body) in enumerate(zip(timeline, bodies, strict=True)):
        update = IncidentUpdate(
            incident_id=incident.id,
            public_id=public_id_for(f"{idempotency_key}:{number}"),
            visibility=Visibility.PUBLIC,
            state=entry.state,
            body=body,
            bodies=dict(entry.bodies),
            posted_at=entry.posted_at,
            notify=notify and visibility is Visibility.PUBLIC,
            author_id=author_id,
        )
        db.session.add(update)
        db.session.flush()
        if number == 0:
            # What a report names that begins Fixed was broken until now: the change remembers it as `old`.
            standing = dict(entry.severities) if entry.state is State.FIXED else {}
        after = severities_after(standing, entry.severities, entry.state)
        add_changes(update, standing, after)
        standing = after
    db.session.flush()
    return incident, True


def add_changes(update: IncidentUpdate, standing: Mapping[int, Severity], after: Mapping[int, Severity]) -> None:
    """A row for each component whose severity moved, or that is named for the first time."""
    for component_id, severity in after.items():
        old = standing.get(component_id)
        if old is not severity:
            change = SeverityChange(
                update_id=update.id, component_id=component_id, old=old or Severity.NONE, new=severity
            )
            db.session.add(change)


def move_on(incident: Incident, step: Move, update: IncidentUpdate, next_update: timedelta | None) -> None:
    incident.state = update.state or incident.state
    if step is Move.FIXES:
        incident.resolved_at = update.posted_at
    elif step is Move.REOPENS:
        incident.resolved_at = None
    is_promised = next_update is not None and incident.state is not State.FIXED
    incident.next_update_due_at = update.posted_at + (next_update or timedelta()) if is_promised else None
    if incident.visibility is Visibility.PUBLIC:
        incident.public_updated_at = update.posted_at
    await_update(incident, update.posted_at)


def await_update(incident: Incident, said_at: datetime) -> None:
    """Note when the owner of a report is reminded that customers, who last heard of it then, wait for more."""
    is_owed = (
        incident.state is not State.FIXED and incident.visibility is Visibility.PUBLIC and not incident.is_backfill
    )
    incident.nag_at = next_nag(said_at, incident.next_update_due_at, said_at) if is_owed else None


# Checks


def clean_title(title: str) -> str:
    cleaned = " ".join("".join(map(_printable, title)).split())
    if not cleaned:
        raise RuleViolation("Give the report a title.", "title")
    if len(cleaned) > TITLE_LENGTH:
        raise RuleViolation(f"A title has at most {TITLE_LENGTH} characters; this one has {len(cleaned)}.", "title")
    return cleaned


def clean_body(body: str) -> str:
    unified = body.replace("\r\n", "\n").replace("\r", "\n")
    cleaned = "".join(each if each in "\n\t" else _printable(each, instead="") for each in unified).strip()
    if not cleaned:
        raise RuleViolation("Say what customers should know.", "body")
    if len(cleaned) > BODY_LENGTH:
        raise RuleViolation(f"A text has at most {BODY_LENGTH:,} characters; this one has {len(cleaned):,}.", "body")
    return cleaned


def _printable(character: str, instead: str = " ") -> str:
    return instead if unicodedata.category(character) in {"Cc", "Cs"} else character


def check_components(component_ids: Iterable[int]) -> None:
    wanted = set(component_ids)
    known = set(
        db.session.scalars(select(Component.id).where(Component.id.in_(wanted), Component.archived_at.is_(None)))
    )
    if wanted - known:
        raise RuleViolation("One of the components no longer exists: reload the page and choose again.", "components")


# Small readings the writing needs


def published_with(idempotency_key: str) -> Incident | None:
    return db.session.scalars(
        select(Incident).where(Incident.source == OWN, Incident.public_id == public_id_for(idempotency_key))
    ).one_or_none()


def update_with(incident_id: int, public_id: str) -> IncidentUpdate | None:
    return db.session.scalars(
        select(IncidentUpdate).where(IncidentUpdate.incident_id == incident_id, IncidentUpdate.public_id == public_id)
    ).one_or_none()


def standing_of(incident_id: int) -> dict[int, Severity]:
    rows = db.session.execute(
        select(IncidentComponent.component_id, IncidentComponent.severity).where(
            IncidentComponent.incident_id == incident_id
        )
    )
    return dict(rows.all())


def after_last(incident_id: int, now: datetime) -> datetime:
    """Now, but never before the last entry: a clock set back must not reorder a timeline."""
    last = db.session.scalar(
        select(IncidentUpdate.posted_at)
        .where(IncidentUpdate.incident_id == incident_id)
        .order_by(IncidentUpdate.posted_at.desc())
        .limit(1)
    )
    return max(now, last) if last else now


def facts(incident: Incident, severities: Mapping[int, Severity], *, notify: bool) -> dict[str, Any]:
    return {
        "title": incident.title,
        "titles": incident.titles,
        "state": incident.state,
        "visibility": incident.visibility,
        "audience": incident.audience,
        "severities": {str(component_id): severity for component_id, severity in severities.items()},
        "notify": notify,
    }


def note(
    action: str,
    incident: Incident,
    *,
    by: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(action, object_kind="incident", object_id=incident.id, by=by, now=now, before=before, after=after)
