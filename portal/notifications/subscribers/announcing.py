"""Subscribers hear of announcements: the kind "announcement", which is for them alone, and what pulls it.

An announcement is written one capability below, which knows nothing of mails; so what subscribers are to be told of is
looked for here once it stands, and told once. What is taken away or ended before all were told is called off.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from flask_babel import lazy_gettext
from sqlalchemy import select

from portal import plaintext
from portal.audit.rules import SYSTEM
from portal.domains.announcements import queries
from portal.domains.announcements.actions import note_told
from portal.domains.announcements.models import Announcement
from portal.domains.announcements.rules import language_of
from portal.domains.queries import domain_by_id
from portal.extensions import db
from portal.filters import markdown
from portal.language import LANGUAGES
from portal.notifications import actions
from portal.notifications.kinds import Content, Cursor, Kind, Published, Recipient, register
from portal.notifications.models import Broadcast
from portal.notifications.rules import BroadcastState
from portal.notifications.wordings import render_wordings

TOPIC = "announcements"
"""The list of announcements, which can be left as any other."""

NAME = "announcement"

PATH = "/announcements/"
"""Where everybody reads an announcement, before its public id."""

AT_ONCE = 100
"""So many are looked after at once; more are found the next time."""

Due = tuple[Callable[[int, datetime], bool], int]


def due(now: datetime) -> list[Due]:
    """What is to be done of announcements now, with the row of each: tell of those that stand, and call off what is
    still on its way of those that are gone. At most three queries."""
    told = [(tell, each) for each in queries.to_be_told(now, AT_ONCE)]
    return [*told, *((call_off, each) for each in _gone(now))]


def is_anything_due(now: datetime) -> bool:
    """Whether there is any. At most three queries."""
    return bool(due(now))


def tell(announcement_id: int, now: datetime) -> bool:
    """Tell the subscribers of its portal domain of an announcement that stands, once; whether that was done now.

    The caller commits. Nobody is told whose portal shows no public page: whoever opens it later finds it there.
    """
    if not note_told(announcement_id, now):
        return False
    told = db.session.get_one(Announcement, announcement_id, populate_existing=True)
    domain = domain_by_id(told.domain_id)
    if domain is None:
        return False
    actions.queue_broadcast(
        NAME,
        idempotency_key=f"{NAME}:{told.public_id}",
        title=told.title,
        selector={
            "announcement_id": told.id,
            "domain_id": told.domain_id,
            "facts": _facts(told, domain.language),
        },
        content=_content(told, domain.language),
        thread_key=f"{NAME}:{told.public_id}",
        by_person_id=told.created_by_id,
        now=now,
    )
    return True


def call_off(broadcast_id: int, now: datetime) -> bool:
    """Call off what no server has been offered yet; whether there was anything to call off. The caller commits."""
    broadcast = db.session.get(Broadcast, broadcast_id, with_for_update=True)
    if broadcast is None or broadcast.state not in _OPEN:
        return False
    actions.cancel(broadcast, by=SYSTEM, now=now)
    return True


_OPEN = (BroadcastState.EXPANDING, BroadcastState.SENDING, BroadcastState.PAUSED)


def _gone(now: datetime) -> list[int]:
    """The broadcasts on their way about announcements that were ended or taken away."""
    rows = db.session.execute(
        select(Broadcast.id, Broadcast.selector)
        .where(Broadcast.kind == NAME, Broadcast.state.in_(_OPEN))
        .order_by(Broadcast.id)
        .limit(AT_ONCE)
    ).all()
    if not rows:
        return []
    about = {row.id: row.selector["facts"]["announcement"]["id"] for row in rows}
    standing = queries.standing_among(set(about.values()), now)
    return [broadcast_id for broadcast_id, public_id in about.items() if public_id not in standing]


def _facts(told: Announcement, language: str) -> dict[str, Any]:
    """What a machine is told, as the page shows it to everybody: JSON, and frozen."""
    words = told.wordings[language_of(told.wordings, [language])]
    return {
        "announcement": {
            "id": told.public_id,
            "title": words["title"],
            "text": plaintext.from_html(markdown(words["body"])),
            "starts_at": told.starts_at.isoformat(),
            "ends_at": told.ends_at.isoformat() if told.ends_at else None,
        }
    }


def _content(told: Announcement, own: str) -> Content:
    """The wordings: each language that was written, and for the others that of the portal domain."""
    content: Content = {}
    for language in LANGUAGES:
        spoken = language_of(told.wordings, (language, own))
        words = told.wordings[spoken]
        html = markdown(words["body"])
        content |= render_wordings(
            NAME,
            (language,),
            # What looks like an encoded word would be refused as a subject.
            told=SimpleNamespace(title=words["title"].replace("=?", "= ?"), language=spoken),
            path=f"{PATH}{told.public_id}",
            body_text=plaintext.from_html(html),
            body_html=html,
            is_subscriber=True,
        )
    return content


def _nobody(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """Of those who sign in nobody: they find it on their home, and are not mailed."""
    return [], None


def _no_company(_company_ids: Collection[int]) -> frozenset[int]:
    return frozenset()


def _published(selector: Mapping[str, Any], _now: datetime) -> Published:
    facts = selector["facts"]
    return Published(
        about=frozenset(),
        fill=lambda _language, _zone: {},
        path=f"{PATH}{facts['announcement']['id']}",
        event="announcement.published",
        data=facts,
        domain_id=selector["domain_id"],
    )


register(
    Kind(
        name=NAME,
        topic=TOPIC,
        label=lazy_gettext("Announcements"),
        recipients=_nobody,
        allowed=_no_company,
        published=_published,
        for_subscribers_alone=True,
    )
)
