"""What a report is called and who sees it."""

from datetime import datetime
from typing import Any

from portal import events
from portal.audit.rules import Actor
from portal.errors import StaleEdit
from portal.extensions import db
from portal.incidents.actions.languages import clean_texts, keep_texts
from portal.incidents.actions.revisions import keep
from portal.incidents.actions.telling import cancel_mail, narrow_mail, ring_customers
from portal.incidents.actions.writing import await_update, clean_title, note
from portal.incidents.models import Incident
from portal.incidents.rules import (
    Audience,
    Impact,
    Visibility,
)
from portal.incidents.rules.languages import Texts
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
    titles: Texts | None = None,
    visibility: Visibility,
    audience: Audience,
    impact_override: Impact | None = None,
    version: int,
    by: Actor,
    now: datetime,
) -> int:
    """Change what a report is called and who sees it. The same content again is no change.

    What becomes public is shown at once and mails nobody: post an update for that. What becomes private
    disappears for customers at once, and mails about it that are still waiting are cancelled; what was for everyone
    and becomes for the affected does so for the others. `titles` are the title in other languages; None leaves them as
    they are. Returns how many messages that were.
    """
    if incident.version != version:
        raise StaleEdit
    wanted: dict[str, Any] = {
        "title": clean_title(title),
        "titles": dict(incident.titles) if titles is None else clean_texts(titles, clean_title),
        "visibility": visibility,
        "audience": audience,
        "impact_override": impact_override,
    }
    before = {name: getattr(incident, name) for name, value in wanted.items() if getattr(incident, name) != value}
    if not before:
        return 0
    for name, old in before.items():
        if name == "titles":
            continue
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
    keep_texts(
        incident,
        Revised.TITLE_IN,
        before.get("titles", wanted["titles"]),
        wanted["titles"],
        since=incident.created_at,
        was_seen=before.get("visibility", visibility) is Visibility.PUBLIC,
        by=by,
        now=now,
    )
    incident.titles = wanted["titles"]
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
    called_off = _call_off(incident, was_public=was_public, was_for=before.get("audience", audience), by=by, now=now)
    after = {name: wanted[name] for name in before} | ({"called_off": called_off} if called_off else {})
    note("incident.edit", incident, by=by, now=now, before=before, after=after)
    return called_off


def _call_off(incident: Incident, *, was_public: bool, was_for: Audience, by: Actor, now: datetime) -> int:
    """Call off what still waits for those who see it no more; returns how many messages that were."""
    if was_public and incident.visibility is not Visibility.PUBLIC:
        return cancel_mail(incident.id, by=by, now=now)
    if incident.audience is Audience.AFFECTED and was_for is Audience.EVERYONE:
        return narrow_mail(incident.id, by=by, now=now)
    return 0
