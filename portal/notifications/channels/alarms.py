"""What the staff is told when something is wrong here: through their own channels, and by mail where that helps."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.accounts.models import Person
from portal.accounts.rules import Role
from portal.extensions import db
from portal.notifications.actions import queue_broadcast
from portal.notifications.channels.choosing import ALARMS
from portal.notifications.channels.queries import owner_name
from portal.notifications.kinds import Cursor, Kind, Listener, Recipient, Told, register
from portal.notifications.models import Broadcast, ContactChannel
from portal.notifications.wordings import render_wordings

KIND = "alarm"


def tell_staff(
    key: str, title: str, text: str, *, now: datetime, path: str = "/admin/", by_mail: bool = True
) -> Broadcast:
    """Tell the staff of this once, in the transaction of what happened: their channels and, `by_mail`, the admins.

    The same `key` a second time changes nothing. `path` is the staff screen on which something can be done about it.
    Mail is of no use where mail itself is in trouble; then pass `by_mail=False`.
    """
    return queue_broadcast(
        KIND,
        idempotency_key=f"alarm:{key}"[:120],
        title=title,
        selector={"path": path, "by_mail": by_mail, "title": title, "text": text, "at": now.isoformat()},
        content=render_wordings("alarm", ("en",), title=title, text=text, path=path),
        thread_key=f"alarm:{key}"[:120],
        by_person_id=None,
        now=now,
    )


def tell_of_disabled(channel_id: int, now: datetime) -> Broadcast | None:
    """Tell the staff that a channel was given up, so that whoever relied on it hears of it in another way."""
    channel = db.session.get(ContactChannel, channel_id, populate_existing=True)
    if channel is None or channel.subscriber_id is not None or channel.is_dialled:
        return None
    owner = owner_name(channel) or "the staff"
    return tell_staff(
        f"channel:{channel.id}:{now.isoformat()}",
        f"Nothing reaches {channel.label} any more",
        f"{channel.label} of {owner} ({channel.hint}) was given up, and messages to it are left out until it works "
        f"again. The last answer: {channel.reason or 'none'}",
        path=f"/admin/channels/{channel.id}",
        now=now,
    )


def tell_of_stopped(broadcast: Broadcast, answer: str | None, now: datetime) -> Broadcast | None:
    """Tell the staff that a broadcast stopped by itself because servers refuse its mails by policy.

    By mail too: the alarm is a broadcast of its own, and what one server has against many mails it seldom has against
    one. An alarm that is refused itself raises no other, so that none follows from the next.
    """
    if broadcast.kind == KIND:
        return None
    return tell_staff(
        f"breaker:{broadcast.id}:{now.isoformat()}",
        f"Stopped by itself: {broadcast.title}",
        "Servers refused too many of its mails by policy, so the rest waits. No address is at fault, and none was "
        f"suppressed. The last answer was: {answer or 'none'} Once that is mended, let the broadcast go on.",
        path=f"/admin/broadcasts/{broadcast.id}",
        now=now,
    )


def _recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The admins, where this goes by mail."""
    if not selector["by_mail"]:
        return [], None
    start = after["person_id"] if after else 0
    people = db.session.scalars(
        select(Person)
        .where(Person.role == Role.ADMIN, Person.deactivated_at.is_(None), Person.id > start)
        .order_by(Person.id)
        .limit(limit)
    ).all()
    found = [Recipient(each.id, (), each.email, each.name, "en") for each in people]
    return found, {"person_id": people[-1].id} if len(people) == limit else None


def _tell(selector: dict[str, Any], listeners: Sequence[Listener], now: datetime) -> Mapping[int, Told]:
    data = {"title": selector["title"], "text": selector["text"], "at": selector["at"]}
    return {each.id: Told((), {}, selector["path"], "alarm", data) for each in listeners}


ALARM = register(
    Kind(
        name=KIND,
        topic=ALARMS,
        label="Alarms to the staff",
        recipients=_recipients,
        expires_after=timedelta(hours=24),
        priority=5,
        tell=_tell,
        is_for_staff=True,
    )
)
