"""Whom a report would concern and who would be told of it, before it is published: what screens and machines say."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.accounts.models import Company
from portal.catalogue.queries import Reach, reach_of, reach_of_everyone
from portal.catalogue.queries.hearing import TOPIC
from portal.catalogue.queries.unreached import Stranded, stranded
from portal.catalogue.rules import component_topic, service_topic
from portal.incidents.queries import companies_reached
from portal.incidents.rules import Audience, Visibility
from portal.incidents.rules.conversations import thread_key
from portal.notifications.subscribers.hearing import count_hearing

NAMED_AT_MOST = 30
"""How many companies are named; the rest is a number."""

NONE_STRANDED = Stranded((), 0)


@dataclass(frozen=True)
class Concerned:
    """Whom it concerns and who is told.

    `affected` are those the components reach, `companies` the first of them by name; `mailed` those who get the mail,
    None if nobody does. `stranded` are the companies it concerns at which a mail would reach nobody. `subscribers`
    have no login and hear what is for everyone.
    """

    affected: Reach
    companies: Sequence[Company]
    mailed: Reach | None
    stranded: Stranded = NONE_STRANDED
    subscribers: int = 0


def concerned_by(
    component_ids: Collection[int],
    *,
    audience: Audience,
    visibility: Visibility,
    is_note: bool = False,
    notify: bool,
    affected_only: bool,
    incident_id: int | None = None,
    now: datetime,
) -> Concerned:
    """Whom a report on these components concerns, and who hears of it: for an update of one that stands, also those
    who follow that alone. At most nineteen queries."""
    ids = sorted(component_ids)
    affected = reach_of(ids, now)
    is_told = visibility is not Visibility.PRIVATE and not is_note
    to_all = affected.concerns_everyone or (audience is Audience.EVERYONE and not affected_only)
    mailed = None
    if notify and is_told:
        mailed = reach_of_everyone(now, ids) if to_all else affected
    is_public = mailed is not None and audience is Audience.EVERYONE and not affected_only
    return Concerned(
        affected=affected,
        companies=companies_reached(ids, now, NAMED_AT_MOST),
        mailed=mailed,
        stranded=stranded(ids, now, NAMED_AT_MOST, is_for_all=to_all) if is_told else NONE_STRANDED,
        subscribers=_subscribers(affected, ids, incident_id) if is_public else 0,
    )


def _subscribers(affected: Reach, component_ids: Collection[int], incident_id: int | None) -> int:
    """How many without a login hear of something that touches these components. Two queries."""
    conversation = thread_key(incident_id) if incident_id is not None else ""
    services = (service_topic(each.id) for each in affected.services)
    return count_hearing(TOPIC, [*map(component_topic, component_ids), *services], conversation)
