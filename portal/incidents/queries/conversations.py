"""Incidents that somebody without a login follows or may follow: those that everybody may see, while they go on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from portal.accounts.rules import SIGNED_OUT
from portal.catalogue.queries.hearing import TOPIC
from portal.extensions import db
from portal.incidents.models import Incident, Postmortem
from portal.incidents.queries.conditions import visible_to, would_see
from portal.incidents.rules.conversations import ends_at, incident_of, thread_key
from portal.incidents.rules.languages import told_in
from portal.language import current
from portal.notifications.subscribers.following import conversations_followed
from portal.notifications.subscribers.rules import Conversation

PUBLIC_ID_LENGTH = 40

AT_ONCE = 500


@dataclass(frozen=True)
class Followable:
    """An incident that everybody may see, as somebody may follow it. `ends_at` is when that is over, None while it is
    open. Its title is in the reader's language."""

    id: int
    public_id: str
    title: str
    ends_at: datetime | None

    @property
    def conversation(self) -> Conversation:
        return Conversation(thread_key(self.id), TOPIC)


def followable(public_id: str, now: datetime) -> Followable | None:
    """The incident with this public id, or the one it was merged into; None where not everybody may see it, and where
    it is over. At most three queries."""
    if not public_id or len(public_id) > PUBLIC_ID_LENGTH or "\x00" in public_id:
        return None
    return _first(Incident.public_id == public_id, now)


def followable_by_id(incident_id: int, now: datetime) -> Followable | None:
    """The same by the number of its row."""
    return _first(Incident.id == incident_id, now)


def followed_incidents(conversations: Collection[str], now: datetime) -> dict[str, Followable]:
    """The incidents of these conversations that everybody may see and that are not over, by the conversation. At most
    one query."""
    ids = [found for each in conversations if (found := incident_of(each)) is not None]
    if not ids:
        return {}
    rows = _found(_visible(now).where(Incident.id.in_(ids)), now)
    return {each.conversation.key: each for each in rows}


def incidents_by_conversation(conversations: Collection[str]) -> dict[str, tuple[int, str]]:
    """What staff read of followed incidents, whoever may see them: id and title, by the conversation. One query."""
    ids = {found for each in conversations if (found := incident_of(each)) is not None}
    if not ids:
        return {}
    rows = db.session.execute(select(Incident.id, Incident.title).where(Incident.id.in_(ids)))
    return {thread_key(row.id): (row.id, row.title) for row in rows}


def over(now: datetime, limit: int) -> list[str]:
    """The conversations that somebody follows although they are over, or their incident is gone. One query, and one
    more for each 500 incidents that are followed."""
    keys = {found: each for each in conversations_followed() if (found := incident_of(each)) is not None}
    ids, ended = sorted(keys), []
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        rows = {
            row.id: ends_at(row.resolved_at, row.published_at)
            for row in db.session.execute(_with_ends().where(Incident.id.in_(some)))
        }
        ended += [each for each in some if each not in rows or ((end := rows[each]) is not None and end <= now)]
    return [keys[each] for each in ended[:limit]]


def _first(which: ColumnElement[bool], now: datetime) -> Followable | None:
    found = _found(_visible(now).where(which).order_by(Incident.id).limit(1), now)
    if found:
        return found[0]
    merged = Incident.merged_into_id.is_not(None) & would_see(Incident, SIGNED_OUT, now)
    into = db.session.scalar(select(Incident.merged_into_id).where(which, merged).order_by(Incident.id).limit(1))
    found = _found(_visible(now).where(Incident.id == into), now) if into is not None else []
    return found[0] if found else None


def _with_ends() -> Any:
    return select(
        Incident.id,
        Incident.public_id,
        Incident.title,
        Incident.titles,
        Incident.resolved_at,
        Postmortem.published_at,
    ).outerjoin(Postmortem, Postmortem.incident_id == Incident.id)


def _visible(now: datetime) -> Any:
    return _with_ends().where(visible_to(Incident, SIGNED_OUT, now))


def _found(statement: Any, now: datetime) -> list[Followable]:
    found = []
    for row in db.session.execute(statement):
        end = ends_at(row.resolved_at, row.published_at)
        if end is None or end > now:
            found.append(Followable(row.id, row.public_id, told_in(current(), row.title, row.titles), end))
    return found
