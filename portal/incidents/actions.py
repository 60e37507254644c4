"""The only writers of incidents: publish, update, edit, and record what is long over.

Each keeps severities, intervals and packed history in step with the timeline (upkeep), rings exactly those who
see something else than before, and queues the mail in the same transaction.
"""

import secrets
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import flag_modified

from portal import events, plaintext
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import OWN, Component
from portal.catalogue.queries import companies_reached_directly, company_reached_select, services_reached
from portal.domains.queries import domains_showing_status
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.filters import markdown
from portal.incidents.models import Incident, IncidentComponent, IncidentUpdate, SeverityChange
from portal.incidents.queries import notify_key, unfinished_broadcasts
from portal.incidents.rules import (
    Audience,
    Impact,
    Move,
    Severity,
    State,
    Visibility,
    impact_of,
    move,
    public_id_for,
    severities_after,
)
from portal.incidents.upkeep import settle
from portal.notifications import actions as notifications
from portal.notifications.kinds import Content
from portal.notifications.wordings import render_wordings

TITLE_LENGTH = 200
BODY_LENGTH = 20_000

KIND = "incident"
"""The registered kind of the mails about incidents."""

LISTED_AT_MOST = 1000
"""Up to so many reached companies stand in the frozen selector themselves; more are found through the components."""


@dataclass(frozen=True)
class PastUpdate:
    """One entry of a timeline that is written down after the fact."""

    posted_at: datetime
    state: State
    body: str
    severities: Mapping[int, Severity]


def publish(
    title: str,
    state: State,
    body: str,
    severities: Mapping[int, Severity] | None,
    *,
    visibility: Visibility = Visibility.PUBLIC,
    audience: Audience = Audience.EVERYONE,
    notify: bool = True,
    mail_affected_only: bool = False,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
    started_at: datetime | None = None,
    is_backfill: bool = False,
    next_update: timedelta | None = None,
) -> Incident:
    """Publish a report, and mail those it concerns if `notify` says so and it is public.

    `severities` by component id: an empty mapping means that it names no component (and so concerns everyone),
    None that nobody has said. `started_at` is when it began, if before now. `next_update` is how soon customers
    are promised the next one. The same key again returns the report it made the first time.
    """
    if known := _published_with(idempotency_key):
        return known
    if severities is None:
        raise RuleViolation("Choose the components it affects, or say that it names none.", "components")
    started_at = started_at or now
    if started_at > now:
        raise RuleViolation("It cannot have begun in the future.", "started_at")
    first = PastUpdate(now, state, body, severities)
    incident, is_new = _create(
        title,
        [first],
        visibility=visibility,
        audience=audience,
        author_id=author_id,
        started_at=started_at,
        is_backfill=is_backfill,
        idempotency_key=idempotency_key,
        now=now,
        notify=notify,
    )
    if not is_new:
        return incident
    if state is not State.FIXED and next_update is not None:
        incident.next_update_due_at = now + next_update
    components = settle(incident, now)
    db.session.flush()
    _ring(incident, components, incident.audience, now)
    update = db.session.scalars(select(IncidentUpdate).where(IncidentUpdate.incident_id == incident.id)).one()
    _queue_mail(incident, update, components, mail_affected_only=mail_affected_only, by=by, now=now)
    _audit("incident.publish", incident, by=by, now=now, after=_facts(incident, severities, notify=update.notify))
    return incident


def backfill(
    title: str,
    timeline: Sequence[PastUpdate],
    *,
    visibility: Visibility = Visibility.PUBLIC,
    audience: Audience = Audience.EVERYONE,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
) -> Incident:
    """Write down, oldest entry first, what is over or was never reported here. It mails nobody, ever.

    The same key again returns the report it made the first time.
    """
    if known := _published_with(idempotency_key):
        return known
    moments = [entry.posted_at for entry in timeline]
    if not moments or moments != sorted(moments) or moments[-1] > now:
        raise RuleViolation("A past report needs its updates in the order they happened, none of them in the future.")
    incident, is_new = _create(
        title,
        timeline,
        visibility=visibility,
        audience=audience,
        author_id=author_id,
        started_at=moments[0],
        is_backfill=True,
        idempotency_key=idempotency_key,
        now=now,
        notify=False,
    )
    if not is_new:
        return incident
    components = settle(incident, now)
    db.session.flush()
    _ring(incident, components, incident.audience, now)
    after = _facts(incident, dict.fromkeys(components, Severity.NONE), notify=False)
    _audit("incident.backfill", incident, by=by, now=now, after=after)
    return incident


def post_update(
    incident: Incident,
    state: State | None,
    body: str,
    named: Mapping[int, Severity],
    *,
    visibility: Visibility = Visibility.PUBLIC,
    notify: bool = True,
    version: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
    mail_affected_only: bool = False,
    idempotency_key: str | None = None,
    next_update: timedelta | None = None,
) -> IncidentUpdate:
    """Write the next entry of the timeline; the state None keeps the state, a component not named its severity.

    Fixed clears every severity, whatever is named. Any open state after Fixed reopens the report. A private
    update carries text only, is mailed to nobody and rings staff alone. Raises StaleEdit if somebody else wrote
    in between; the same key again returns the update it made the first time.
    """
    public_id = public_id_for(idempotency_key or secrets.token_hex())
    if known := _update_with(incident.id, public_id):
        return known
    if incident.version != version:
        raise StaleEdit
    is_public = visibility is Visibility.PUBLIC
    if not is_public and (state is not None or named):
        raise RuleViolation(
            "A private update carries text only: leave state and severities as they are, or make it public.",
            "visibility",
        )
    standing = _standing(incident.id)
    _check_components(set(named) - set(standing))
    was = incident.state
    step = move(was, state)
    update = IncidentUpdate(
        incident_id=incident.id,
        public_id=public_id,
        visibility=visibility,
        state=(state or was) if is_public else None,
        body=_clean_body(body),
        posted_at=_after_last(incident.id, now),
        notify=notify and is_public,
        author_id=author_id,
    )
    db.session.add(update)
    db.session.flush()
    # A row of the timeline is a change of the report: whoever has the older one open must not overwrite it.
    flag_modified(incident, "title")
    components = frozenset(standing)
    if is_public:
        _add_changes(update, standing, severities_after(standing, named, update.state))
        _move(incident, step, update, next_update)
        db.session.flush()
        components = settle(incident, now)
    db.session.flush()
    if is_public:
        _ring(incident, components, incident.audience, now)
        _queue_mail(incident, update, components, mail_affected_only=mail_affected_only, by=by, now=now)
    else:
        events.ring(events.STAFF)
    _audit(
        "incident.update",
        incident,
        by=by,
        now=now,
        before={"state": was},
        after={
            "update_id": update.id,
            "state": update.state,
            "visibility": visibility,
            "severities": {str(each): severity for each, severity in named.items()},
            "notify": update.notify,
            "move": step,
        },
    )
    return update


def edit(
    incident: Incident,
    *,
    title: str,
    visibility: Visibility,
    audience: Audience,
    impact_override: Impact | None = None,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change what a report is called and who sees it. The same content again is no change.

    What becomes public is shown at once and mails nobody: post an update for that. What becomes private
    disappears for customers at once, and mails about it that are still waiting are cancelled.
    """
    if incident.version != version:
        raise StaleEdit
    wanted: dict[str, Any] = {
        "title": _clean_title(title),
        "visibility": visibility,
        "audience": audience,
        "impact_override": impact_override,
    }
    before = {name: getattr(incident, name) for name, value in wanted.items() if getattr(incident, name) != value}
    if not before:
        return
    for name in before:
        setattr(incident, name, wanted[name])
    was_public = before.get("visibility", visibility) is Visibility.PUBLIC
    is_public = visibility is Visibility.PUBLIC
    if is_public:
        incident.public_updated_at = now
    db.session.flush()
    components = settle(incident, now)
    db.session.flush()
    if was_public or is_public:
        _ring_customers(components, {audience, before.get("audience", audience)}, now)
    events.ring(events.STAFF)
    if was_public and not is_public:
        _cancel_mail(incident.id, by=by, now=now)
    _audit("incident.edit", incident, by=by, now=now, before=before, after={name: wanted[name] for name in before})


def edit_update(
    update: IncidentUpdate, incident: Incident, body: str, *, version: int, by: Actor, now: datetime
) -> None:
    """Correct the text of an update; nothing is mailed again. The same text again is no change."""
    if incident.version != version:
        raise StaleEdit
    before, after = update.body, _clean_body(body)
    if before == after:
        return
    update.body = after
    flag_modified(incident, "title")
    is_seen = incident.visibility is Visibility.PUBLIC and update.visibility is Visibility.PUBLIC
    if is_seen:
        incident.public_updated_at = now
    db.session.flush()
    if is_seen:
        _ring_customers(frozenset(_standing(incident.id)), {incident.audience}, now)
    events.ring(events.STAFF)
    _audit(
        "incident.edit_update",
        incident,
        by=by,
        now=now,
        before={"update_id": update.id, "body": before},
        after={"update_id": update.id, "body": after},
    )


# Writing rows


def _create(
    title: str,
    timeline: Sequence[PastUpdate],
    *,
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
    _check_components({component_id for entry in timeline for component_id in entry.severities})
    last = timeline[-1]
    incident = Incident(
        public_id=public_id_for(idempotency_key),
        source=OWN,
        title=_clean_title(title),
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
    )
    bodies = [_clean_body(entry.body) for entry in timeline]
    try:
        with db.session.begin_nested():
            db.session.add(incident)
            db.session.flush()
    except IntegrityError:
        if known := _published_with(idempotency_key):
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
        _add_changes(update, standing, after)
        standing = after
    db.session.flush()
    return incident, True


def _add_changes(update: IncidentUpdate, standing: Mapping[int, Severity], after: Mapping[int, Severity]) -> None:
    """A row for each component whose severity moved, or that is named for the first time."""
    for component_id, severity in after.items():
        old = standing.get(component_id)
        if old is not severity:
            change = SeverityChange(
                update_id=update.id, component_id=component_id, old=old or Severity.NONE, new=severity
            )
            db.session.add(change)


def _move(incident: Incident, step: Move, update: IncidentUpdate, next_update: timedelta | None) -> None:
    incident.state = update.state or incident.state
    if step is Move.FIXES:
        incident.resolved_at = update.posted_at
    elif step is Move.REOPENS:
        incident.resolved_at = None
    is_promised = next_update is not None and incident.state is not State.FIXED
    incident.next_update_due_at = update.posted_at + (next_update or timedelta()) if is_promised else None
    if incident.visibility is Visibility.PUBLIC:
        incident.public_updated_at = update.posted_at


def _queue_mail(
    incident: Incident,
    update: IncidentUpdate,
    components: Collection[int],
    *,
    mail_affected_only: bool,
    by: Actor,
    now: datetime,
) -> None:
    """Queue the mail about an update, once, if customers are to hear of it."""
    is_seen = incident.visibility is Visibility.PUBLIC and update.visibility is Visibility.PUBLIC
    if not update.notify or not is_seen or incident.is_backfill:
        return
    reached = db.session.scalars(company_reached_select(sorted(components), now).limit(LISTED_AT_MOST + 1)).all()
    moments = {
        "since": incident.started_at,
        "fixed": incident.resolved_at,
        "next_update": incident.next_update_due_at,
    }
    selector = {
        "incident_id": incident.id,
        "update_id": update.id,
        "component_ids": sorted(components),
        "at": now.isoformat(),
        "company_ids": sorted(reached) if len(reached) <= LISTED_AT_MOST else None,
        # Whom it concerns is not known if it reaches nobody, so everybody is told.
        "everyone": not reached or (incident.audience is Audience.EVERYONE and not mail_affected_only),
        "moments": {name: moment.isoformat() for name, moment in moments.items() if moment},
        "facts": facts_of(incident, update, components),
    }
    notifications.queue_broadcast(
        KIND,
        idempotency_key=notify_key(update.id),
        title=incident.title,
        selector=selector,
        content=compose(incident, update, components),
        thread_key=f"incident:{incident.id}",
        by_person_id=by.person_id,
        now=now,
    )


def facts_of(incident: Incident, update: IncidentUpdate, components: Collection[int]) -> dict[str, Any]:
    """What a machine is told of an update, as the page shows it to everybody who may see it: JSON, and frozen."""
    severities = _standing(incident.id)
    titles = db.session.execute(
        select(Component.id, Component.title).where(Component.id.in_(components)).order_by(Component.title)
    )
    return {
        "incident": {
            "id": incident.public_id,
            "title": incident.title,
            "state": incident.state,
            "impact": incident.impact,
            "started_at": incident.started_at.isoformat(),
            "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
            "next_update_at": incident.next_update_due_at.isoformat() if incident.next_update_due_at else None,
        },
        "update": {
            "id": update.public_id,
            "state": update.state,
            "text": plaintext.from_html(markdown(update.body)),
            "posted_at": update.posted_at.isoformat(),
        },
        "components": [
            {"title": title, "severity": severities.get(component_id, Severity.NONE)} for component_id, title in titles
        ],
    }


def compose(incident: Incident, update: IncidentUpdate, components: Collection[int]) -> Content:
    """The wordings of the mail about an update, in every language. What differs per reader stays a variable."""
    titles = db.session.scalars(select(Component.title).where(Component.id.in_(components)).order_by(Component.title))
    html = markdown(update.body)
    return render_wordings(
        "incident",
        incident=incident,
        state=update.state,
        components=list(titles),
        body_text=plaintext.from_html(html),
        body_html=html,
        lasted=incident.resolved_at - incident.started_at if incident.resolved_at else None,
    )


def _cancel_mail(incident_id: int, *, by: Actor, now: datetime) -> None:
    """Call off every mail about an incident that no server has been offered yet."""
    ids = db.session.scalars(select(IncidentUpdate.id).where(IncidentUpdate.incident_id == incident_id))
    for broadcast in unfinished_broadcasts([notify_key(update_id) for update_id in ids]):
        notifications.cancel(broadcast, by=by, now=now)


# Who is told


def _ring(incident: Incident, components: Collection[int], audience: Audience, now: datetime) -> None:
    """Ring staff, and the customers who see the report."""
    events.ring(events.STAFF)
    if incident.visibility is Visibility.PUBLIC:
        _ring_customers(components, {audience}, now)


def _ring_customers(components: Collection[int], audiences: Collection[Audience], now: datetime) -> None:
    """Ring what those read who see reports for these audiences on these components: never a row per company.

    A report for everyone stands on every page; one for the affected rings the services it reaches and the
    companies reached by a dependency of their own, or every page if it reaches nobody.
    """
    wanted = sorted(components)
    services = services_reached(wanted, now)
    companies = companies_reached_directly(wanted, now)
    events.ring(*map(events.service_topic, services), *map(events.company_topic, companies))
    reaches_nobody = db.session.scalar(company_reached_select(wanted, now).limit(1)) is None
    if Audience.EVERYONE in audiences or reaches_nobody:
        events.ring(*map(events.public_topic, domains_showing_status()))


# Checks


def _clean_title(title: str) -> str:
    cleaned = " ".join("".join(map(_printable, title)).split())
    if not cleaned:
        raise RuleViolation("Give the report a title.", "title")
    if len(cleaned) > TITLE_LENGTH:
        raise RuleViolation(f"A title has at most {TITLE_LENGTH} characters; this one has {len(cleaned)}.", "title")
    return cleaned


def _clean_body(body: str) -> str:
    unified = body.replace("\r\n", "\n").replace("\r", "\n")
    cleaned = "".join(each if each in "\n\t" else _printable(each, instead="") for each in unified).strip()
    if not cleaned:
        raise RuleViolation("Say what customers should know.", "body")
    if len(cleaned) > BODY_LENGTH:
        raise RuleViolation(f"A text has at most {BODY_LENGTH:,} characters; this one has {len(cleaned):,}.", "body")
    return cleaned


def _printable(character: str, instead: str = " ") -> str:
    return instead if unicodedata.category(character) in {"Cc", "Cs"} else character


def _check_components(component_ids: Iterable[int]) -> None:
    wanted = set(component_ids)
    known = set(
        db.session.scalars(select(Component.id).where(Component.id.in_(wanted), Component.archived_at.is_(None)))
    )
    if wanted - known:
        raise RuleViolation("One of the components no longer exists: reload the page and choose again.", "components")


# Small readings the writing needs


def _published_with(idempotency_key: str) -> Incident | None:
    return db.session.scalars(
        select(Incident).where(Incident.source == OWN, Incident.public_id == public_id_for(idempotency_key))
    ).one_or_none()


def _update_with(incident_id: int, public_id: str) -> IncidentUpdate | None:
    return db.session.scalars(
        select(IncidentUpdate).where(IncidentUpdate.incident_id == incident_id, IncidentUpdate.public_id == public_id)
    ).one_or_none()


def _standing(incident_id: int) -> dict[int, Severity]:
    rows = db.session.execute(
        select(IncidentComponent.component_id, IncidentComponent.severity).where(
            IncidentComponent.incident_id == incident_id
        )
    )
    return dict(rows.all())


def _after_last(incident_id: int, now: datetime) -> datetime:
    """Now, but never before the last entry: a clock set back must not reorder a timeline."""
    last = db.session.scalar(
        select(IncidentUpdate.posted_at)
        .where(IncidentUpdate.incident_id == incident_id)
        .order_by(IncidentUpdate.posted_at.desc())
        .limit(1)
    )
    return max(now, last) if last else now


def _facts(incident: Incident, severities: Mapping[int, Severity], *, notify: bool) -> dict[str, Any]:
    return {
        "title": incident.title,
        "state": incident.state,
        "visibility": incident.visibility,
        "audience": incident.audience,
        "severities": {str(component_id): severity for component_id, severity in severities.items()},
        "notify": notify,
    }


def _audit(
    action: str,
    incident: Incident,
    *,
    by: Actor,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    audit.record(action, object_kind="incident", object_id=incident.id, by=by, now=now, before=before, after=after)
