"""Letters to subscribers: whether the address is theirs, and the way to what they hear of.

They go after every mail about what is going on, so that a flood of sign-ups delays none of those. The link stands in no
row: it is set in as the mail is composed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from portal.notifications import actions
from portal.notifications.kinds import ACCOUNT_TOPIC, Cursor, Kind, Recipient, Subscription, register
from portal.notifications.subscribers import queries
from portal.notifications.subscribers.links import confirm_path, manage_path
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import LIVES, Conversation, Purpose, SubscriberState
from portal.notifications.wordings import render_wordings

NAME = "subscription"

PRIORITY = 70
"""After all mails about incidents and maintenance, whoever they are for."""


class Letter(StrEnum):
    """What a letter is about: whether the address is theirs, whether it is to follow one conversation, that it
    subscribes already, or the link they asked for."""

    CONFIRM = "confirm"
    FOLLOW = "follow"
    ALREADY = "already"
    CHANGE = "change"


@dataclass(frozen=True)
class Words:
    """What a letter says: its subject, what comes before the link and after it, and what the link is called."""

    subject: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    button: str


def write_to(
    subscriber: Subscriber,
    letter: Letter,
    now: datetime,
    *,
    conversation: Conversation | None = None,
    title: str = "",
) -> None:
    """Queue a letter, the same one at most once a minute. A FOLLOW is about a conversation, called `title`."""
    is_known = queries.has_login(subscriber.address_key)
    about = f":{conversation.key}" if conversation else ""
    actions.queue_broadcast(
        NAME,
        idempotency_key=f"{NAME}:{subscriber.key}:{letter}{about}:{now:%Y%m%d%H%M}",
        title=_TITLES[letter],
        selector={
            "subscriber_id": subscriber.id,
            "key": subscriber.key,
            "domain_id": subscriber.domain_id,
            "address": subscriber.address,
            "language": subscriber.language,
            "letter": letter.value,
            "conversation": list(conversation or ()),
        },
        content=render_wordings(
            NAME, (subscriber.language,), words=lambda: WORDS[letter](is_known, title), is_subscriber=True
        ),
        thread_key=f"{NAME}:{subscriber.key}:{letter}:{now:%Y%m%d%H%M}",
        by_person_id=None,
        now=now,
    )


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The one address a letter goes to."""
    recipient = Recipient(
        person_id=None,
        company_ids=(),
        address=selector["address"],
        name="",
        language=selector["language"],
        values={
            "subscriber": str(selector["subscriber_id"]),
            "letter": selector["letter"],
            "conversation": json.dumps(selector.get("conversation", [])),
        },
        subscription=Subscription(selector["subscriber_id"], selector["key"], selector["domain_id"]),
    )
    return [recipient], None


def late_values(stored: Mapping[str, str], now: datetime) -> Mapping[str, str]:
    """The link of a letter; ValueError where it would open nothing any more."""
    subscriber = queries.by_id(int(stored["subscriber"]))
    if subscriber is None or subscriber.address != stored["address"]:
        raise ValueError("the address was taken off the list meanwhile")
    if stored["letter"] == Letter.FOLLOW:
        conversation = Conversation(*json.loads(stored["conversation"]))
        return {"link_url": stored["portal_url"] + confirm_path(subscriber.key, now, conversation)}
    if stored["letter"] == Letter.CONFIRM:
        if subscriber.state is SubscriberState.ACTIVE:
            raise ValueError("the address was confirmed meanwhile")
        return {"link_url": stored["portal_url"] + confirm_path(subscriber.key, now)}
    return {"link_url": stored["portal_url"] + manage_path(subscriber.key, now, Purpose.CHANGE)}


_TITLES = {
    Letter.CONFIRM: "Confirming a subscription",
    Letter.FOLLOW: "Confirming that one incident is followed",
    Letter.ALREADY: "An address that is subscribed already",
    Letter.CHANGE: "The link to a subscription",
}

BRAND: dict[str, str] = {"brand": "{{brand}}", "address": "{{address}}"}


def _confirm(is_known: bool, _title: str) -> Words:
    return Words(
        subject=_("Confirm your subscription to the status of %(brand)s", **BRAND),
        before=(
            _("Somebody asked %(brand)s to tell %(address)s when something breaks or is worked on.", **BRAND),
            *_about_login(is_known),
            _("If that was you, confirm it:"),
        ),
        button=_("Confirm the subscription"),
        after=(
            _("The link works for two days."),
            _("If it was not you, do nothing: without the link nothing is sent, and the address is soon forgotten."),
        ),
    )


def _follow(is_known: bool, title: str) -> Words:
    return Words(
        subject=_("Confirm that you want to hear of one incident at %(brand)s", **BRAND),
        before=(
            _(
                "Somebody asked %(brand)s to tell %(address)s what becomes of “%(title)s”, and of nothing else.",
                title=title,
                **BRAND,
            ),
            *_about_login(is_known),
            _("If that was you, confirm it:"),
        ),
        button=_("Tell me about this one"),
        after=(
            _("The link works for two days."),
            _("If it was not you, do nothing: without the link nothing is sent, and the address is soon forgotten."),
        ),
    )


def _already(is_known: bool, _title: str) -> Words:
    return Words(
        subject=_("Your subscription to the status of %(brand)s", **BRAND),
        before=(
            _("Somebody asked %(brand)s to subscribe %(address)s, which is subscribed already.", **BRAND),
            *_about_login(is_known),
            _("Nothing was changed. What you hear of can be changed here:"),
        ),
        button=_("Change the subscription"),
        after=(_("The link works for an hour."), _("If it was not you who asked, do nothing.")),
    )


def _change(_is_known: bool, _title: str) -> Words:
    return Words(
        subject=_("Your subscription to the status of %(brand)s", **BRAND),
        before=(_("Here you change what %(address)s hears from %(brand)s, or end the subscription:", **BRAND),),
        button=_("Change the subscription"),
        after=(_("The link works for an hour."), _("If it was not you who asked, do nothing.")),
    )


def _about_login(is_known: bool) -> tuple[str, ...]:
    if not is_known:
        return ()
    return (
        _(
            "You sign in with this address at %(url)s, and what concerns you is mailed to you already. You can choose "
            "there what you hear of. Nothing is mailed twice.",
            url="{{portal_url}}",
        ),
    )


WORDS: dict[Letter, Callable[[bool, str], Words]] = {
    Letter.CONFIRM: _confirm,
    Letter.FOLLOW: _follow,
    Letter.ALREADY: _already,
    Letter.CHANGE: _change,
}

register(
    Kind(
        name=NAME,
        topic=ACCOUNT_TOPIC,
        label=lazy_gettext("Subscriptions"),
        recipients=recipients,
        variables=frozenset({"link_url"}),
        expires_after=LIVES[Purpose.CONFIRM],
        priority=PRIORITY,
        late_values=late_values,
    )
)
