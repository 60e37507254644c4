"""The timeline: its next entry, and correcting one."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.languages import clean_texts, keep_texts
from portal.incidents.actions.revisions import keep
from portal.incidents.actions.telling import queue_mail, ring, ring_customers
from portal.incidents.actions.wordings import write_wordings
from portal.incidents.actions.writing import (
    add_changes,
    after_last,
    check_components,
    clean_body,
    move_on,
    note,
    standing_of,
    update_with,
)
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.rules import (
    Severity,
    State,
    Visibility,
    move,
    public_id_for,
    severities_after,
)
from portal.incidents.rules.languages import NO_TEXTS, Texts
from portal.incidents.rules.revisions import Revised
from portal.incidents.rules.wordings import Wording
from portal.incidents.upkeep import settle


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
    wordings: Sequence[Wording] = (),
    bodies: Texts = NO_TEXTS,
) -> IncidentUpdate:
    """Write the next entry of the timeline; the state None keeps the state, a component not named its severity.

    Fixed clears every severity, whatever is named. Any open state after Fixed reopens the report. A private
    update carries text only, is mailed to nobody and rings staff alone. Raises StaleEdit if somebody else wrote
    in between; the same key again returns the update it made the first time. `wordings` are what some are told
    instead of `body`, `bodies` its text in other languages.
    """
    public_id = public_id_for(idempotency_key or secrets.token_hex())
    if known := update_with(incident.id, public_id):
        return known
    if incident.merged_into_id is not None:
        raise RuleViolation("This report was merged into another: write there.", "body")
    if incident.version != version:
        raise StaleEdit
    is_public = visibility is Visibility.PUBLIC
    if not is_public and (state is not None or named):
        raise RuleViolation(
            "A private update carries text only: leave state and severities as they are, or make it public.",
            "visibility",
        )
    standing = standing_of(incident.id)
    check_components(set(named) - set(standing))
    was = incident.state
    step = move(was, state)
    update = IncidentUpdate(
        incident_id=incident.id,
        public_id=public_id,
        visibility=visibility,
        state=(state or was) if is_public else None,
        body=clean_body(body),
        bodies=clean_texts(bodies, clean_body),
        posted_at=after_last(incident.id, now),
        notify=notify and is_public,
        author_id=author_id,
    )
    db.session.add(update)
    db.session.flush()
    write_wordings(update, wordings)
    # A row of the timeline is a change of the report: whoever has the older one open must not overwrite it.
    flag_modified(incident, "title")
    components = frozenset(standing)
    if is_public:
        add_changes(update, standing, severities_after(standing, named, update.state))
        move_on(incident, step, update, next_update)
        db.session.flush()
        components = settle(incident, now)
    db.session.flush()
    if is_public:
        ring(incident, components, incident.audience, now)
        queue_mail(incident, update, components, mail_affected_only=mail_affected_only, by=by, now=now)
    else:
        events.ring(events.STAFF)
    note(
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


def edit_update(
    update: IncidentUpdate,
    incident: Incident,
    body: str,
    *,
    bodies: Texts | None = None,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Correct the text of an update; nothing is mailed again. The same text again is no change.

    `bodies` are the text in other languages; None leaves them as they are.
    """
    if incident.version != version:
        raise StaleEdit
    before, after = update.body, clean_body(body)
    texts_before, texts = (
        dict(update.bodies),
        dict(update.bodies) if bodies is None else clean_texts(bodies, clean_body),
    )
    if before == after and texts_before == texts:
        return
    is_seen = incident.visibility is Visibility.PUBLIC and update.visibility is Visibility.PUBLIC
    keep(
        incident,
        Revised.TEXT,
        before,
        after,
        part_id=update.id,
        since=update.posted_at,
        was_seen=is_seen,
        by=by,
        now=now,
    )
    keep_texts(
        incident,
        Revised.TEXT_IN,
        texts_before,
        texts,
        part_id=update.id,
        since=update.posted_at,
        was_seen=is_seen,
        by=by,
        now=now,
    )
    update.body, update.bodies = after, texts
    flag_modified(incident, "title")
    if is_seen:
        incident.public_updated_at = now
    db.session.flush()
    if is_seen:
        ring_customers(frozenset(standing_of(incident.id)), {incident.audience}, now)
    events.ring(events.STAFF)
    note(
        "incident.edit_update",
        incident,
        by=by,
        now=now,
        before={"update_id": update.id, "body": before, "bodies": texts_before},
        after={"update_id": update.id, "body": after, "bodies": texts},
    )
