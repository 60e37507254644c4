"""What a report is called and who sees it."""

from datetime import datetime
from typing import Any

from portal import events
from portal.audit.rules import Actor
from portal.errors import StaleEdit
from portal.extensions import db
from portal.incidents.actions.revisions import keep
from portal.incidents.actions.telling import cancel_mail, ring_customers
from portal.incidents.actions.writing import await_update, clean_title, note
from portal.incidents.models import Incident
from portal.incidents.rules import (
    Audience,
    Impact,
    Visibility,
)
from portal.incidents.rules.revisions import Revised
from portal.incidents.upkeep import settle

REVISED = {
    "title": Revised.TITLE,
    "visibility": Revised.VISIBILITY,
    "audience": Revised.AUDIENCE,
    "impact_override": Revised.IMPACT,
}
"""What is kept of a report as it was, by the column that changes."""


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
        "title": clean_title(title),
        "visibility": visibility,
        "audience": audience,
        "impact_override": impact_override,
    }
    before = {name: getattr(incident, name) for name, value in wanted.items() if getattr(incident, name) != value}
    if not before:
        return
    for name, old in before.items():
        keep(
            incident,
            REVISED[name],
            str(old or ""),
            str(wanted[name] or ""),
            since=incident.created_at,
            was_seen=before.get("visibility", visibility) is Visibility.PUBLIC,
            by=by,
            now=now,
        )
        setattr(incident, name, wanted[name])
    was_public = before.get("visibility", visibility) is Visibility.PUBLIC
    is_public = visibility is Visibility.PUBLIC
    if is_public:
        incident.public_updated_at = now
    if was_public is not is_public:
        # Whoever has only just been shown it has heard of it now.
        await_update(incident, now)
    db.session.flush()
    components = settle(incident, now)
    db.session.flush()
    if was_public or is_public:
        ring_customers(components, {audience, before.get("audience", audience)}, now)
    events.ring(events.STAFF)
    if was_public and not is_public:
        cancel_mail(incident.id, by=by, now=now)
    note("incident.edit", incident, by=by, now=now, before=before, after={name: wanted[name] for name in before})
