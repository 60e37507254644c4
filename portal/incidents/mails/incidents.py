"""Who hears of an incident: the kind "incident", the affected first and each person once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from flask_babel import force_locale, lazy_gettext
from flask_babel import gettext as _

from portal.catalogue.queries.hearing import ELSEWHERE, TOPIC
from portal.domains.queries import companies_with_status_open
from portal.incidents.mails.published import published
from portal.incidents.mails.reaching import (
    PLACES,
    Reader,
    Selection,
    Sentences,
    Subject,
    ValuesOf,
    expand,
    hearers,
    muted_among,
    reaches_more,
    written,
)
from portal.incidents.mails.wordings import in_own_words, told_in_own_words
from portal.incidents.queries.following import muted_by as muted_alone
from portal.language import known
from portal.notifications.kinds import Cursor, Kind, Listener, Recipient, Told, register
from portal.notifications.topics import Source, Topic
from portal.notifications.topics import register as register_topics

SUBJECT = Subject(TOPIC, ELSEWHERE)


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next people who are to hear of an incident: first those of reached companies, then everybody else.

    At most twenty queries, whatever there is; one more where somebody is told in words of their own.
    """
    wanted = Selection.read(selector, SUBJECT)
    found, place = expand(wanted, after, limit, values_for(wanted))
    return in_own_words(selector, but_followers(selector, found)), place


def values_for(wanted: Selection) -> ValuesOf:
    """What fills the wordings for some readers."""
    return lambda readers: [_values(each, wanted) for each in readers]


def but_followers(selector: Mapping[str, Any], found: Sequence[Recipient]) -> list[Recipient]:
    """The same recipients without those who follow the incident, who are told apart; those who mute it want nothing.

    One query.
    """
    followers = frozenset(selector.get("followers", ()))
    muted = muted_alone(selector["incident_id"], [each.person_id for each in found if each.person_id])
    return [
        replace(each, is_wanted=False) if each.person_id in muted else each
        for each in found
        if each.person_id not in followers
    ]


def goes_beyond(selector: dict[str, Any], count: int, now: datetime) -> bool:
    """Whether there are more people than so many whom an incident may concern. One query."""
    return reaches_more(Selection.read(selector, SUBJECT), count)


def tell(selector: dict[str, Any], listeners: Sequence[Listener], now: datetime) -> Mapping[int, Told]:
    """What channels are told of an incident: the same people's rule, for the companies they hear for.

    At most six queries; one more where somebody is told in words of their own.
    """
    wanted = Selection.read(selector, SUBJECT)
    facts: Mapping[str, Any] = selector.get("facts", {})
    incident = facts.get("incident", {})
    told = {
        listener_id: Told(
            company_ids=reader.company_ids,
            values=_values(reader, wanted),
            path=f"/incidents/{incident.get('id', '')}",
            event=f"incident.{incident.get('state', '')}",
            data={**facts, "is_affected": reader.is_hit, "services": reader.services},
            about=about,
            priority=priority,
        )
        for listener_id, (reader, about, priority) in hearers(wanted, listeners).items()
    }
    return told_in_own_words(selector, told, {each.id: known(each.language) for each in listeners})


def muted_by(
    selector: dict[str, Any], people: Collection[tuple[int, tuple[int, ...]]], now: datetime
) -> frozenset[int]:
    """Those of the people, each with the companies a mail reaches them through, who have muted all that is hit.

    At most nine queries.
    """
    alone = muted_alone(selector["incident_id"], [person_id for person_id, _companies in people])
    return muted_among(Selection.read(selector, SUBJECT), people) | alone


def _values(reader: Reader, wanted: Selection) -> dict[str, str]:
    moments = {name: written(moment, reader.language, reader.time_zone) for name, moment in wanted.moments.items()}
    affected = _sentences(reader.language).about(reader, names_components=bool(wanted.component_ids))
    return {**moments, "affected": affected}


@lru_cache
def _sentences(language: str) -> Sentences:
    """The sentences of a language with their places still open: filled per reader, translated once."""
    with force_locale(language):
        return Sentences(
            str(_("Affected for you: %(services)s.", **PLACES)),
            str(_("Affected for you: %(services)s and %(number)s more.", **PLACES)),
            str(_("As far as we know, none of your services is affected.")),
            str(_("This may affect any of your services.")),
        )


INCIDENT = register(
    Kind(
        name="incident",
        topic=TOPIC,
        label=lazy_gettext("Outages and incidents"),
        recipients=recipients,
        goes_beyond=goes_beyond,
        muted_by=muted_by,
        tell=tell,
        published=lambda selector, now: published(selector, SUBJECT, "incident", "/incidents/", now),
        allowed=companies_with_status_open,
        variables=frozenset({"affected", "since", "fixed", "next_update"}),
        # A mail about an incident that a relay would not take for a day tells nobody anything new.
        expires_after=timedelta(hours=24),
        priority=10,
    )
)


def _elsewhere(company_id: int, now: datetime) -> Sequence[Topic]:
    return [Topic(ELSEWHERE, str(_ELSEWHERE))] if companies_with_status_open([company_id]) else []


def _named(keys: Collection[str]) -> dict[str, str]:
    return {ELSEWHERE: str(_ELSEWHERE)} if ELSEWHERE in keys else {}


_ELSEWHERE = lazy_gettext("Incidents that touch nothing you use")

register_topics(Source("elsewhere", _ELSEWHERE, _elsewhere, _named, under=TOPIC))
