"""Who does not want to hear of incidents or of planned work, or cannot, as conditions for set-wise statements.

The same rules as `notifications.wishes` and `incidents.mails` hold person by person when mails are written down.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, cast, exists, literal, or_, select, true
from sqlalchemy.orm import aliased

from portal.accounts.models import Membership
from portal.catalogue.rules import Unreached, component_topic, service_topic
from portal.extensions import db
from portal.notifications.models import CompanyPreference, Preference, Suppression
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason
from portal.notifications.wishes import MAIL, is_declined

TOPIC = "incidents"
"""The topic of incident mails: the scope of a suppression and the name of a preference."""

ELSEWHERE = "incidents:elsewhere"
"""The topic of incidents that touch nothing of what the reader's company holds."""

WORK, ELSEWHERE_OF_WORK = "maintenance", "maintenance:elsewhere"
"""The same two for mails about planned work."""

Subject = tuple[str, str]
"""The topic of a kind of mail, and that of what touches nothing the reader's company holds."""

INCIDENTS: Subject = (TOPIC, ELSEWHERE)
MAINTENANCE: Subject = (WORK, ELSEWHERE_OF_WORK)

WHY = {
    SuppressionReason.HARD_BOUNCE: Unreached.BOUNCED,
    SuppressionReason.QUARANTINED: Unreached.QUARANTINED,
    SuppressionReason.COMPLAINT: Unreached.COMPLAINED,
    SuppressionReason.BY_HAND: Unreached.BY_HAND,
    SuppressionReason.UNSUBSCRIBED: Unreached.UNSUBSCRIBED,
}
"""What a suppression means for whom it keeps mails from."""


def holds_back(now: datetime, topic: str = TOPIC) -> ColumnElement[bool]:
    """The condition that a suppression holds back mails of this topic at this moment."""
    return and_(
        Suppression.scope.in_([EVERY_TOPIC, topic]),
        or_(Suppression.until.is_(None), Suppression.until > now),
    )


def muted_memberships(
    hits: Any,
    component_ids: Collection[int],
    service_ids: Collection[int],
    *,
    is_for_all: bool,
    subject: Subject = INCIDENTS,
) -> Select[int] | None:
    """A statement selecting the memberships through which somebody hears nothing of it, because all that is hit there
    is muted; None where nobody has muted anything of it, which one query finds out.

    `hits` holds company_id, service_id and component_id of all that is hit. With `is_for_all` those of whom nothing is
    hit would be told too, unless they have muted that.
    """
    topics = [*subject, *map(component_topic, component_ids), *map(service_topic, service_ids)]
    people = select(Preference.person_id).where(
        Preference.topic.in_(topics), Preference.channel == MAIL, Preference.wanted.is_(False)
    )
    companies = select(CompanyPreference.company_id).where(
        CompanyPreference.topic.in_(topics), CompanyPreference.channel == MAIL, CompanyPreference.wanted.is_(False)
    )
    if not db.session.scalar(select(or_(people.exists(), companies.exists()))):
        return None
    # Of whoever has a company that spoke every membership is looked at: what is hit there decides for the others.
    other = aliased(Membership)
    through_company = select(other.person_id).where(other.company_id.in_(companies))
    spoke = or_(Membership.person_id.in_(people), Membership.person_id.in_(through_company))
    return select(Membership.id).where(spoke, _is_muted(hits, component_ids, subject, is_for_all=is_for_all))


def _is_muted(hits: Any, component_ids: Collection[int], subject: Subject, *, is_for_all: bool) -> ColumnElement[bool]:
    topic, elsewhere = subject
    heard = exists(
        select(literal(1))
        .select_from(hits)
        .where(
            hits.c.company_id == Membership.company_id,
            _wants(topic),
            _wants(literal(service_topic("")) + cast(hits.c.service_id, String)),
            _wants(literal(component_topic("")) + cast(hits.c.component_id, String)),
        )
        .correlate(Membership)
    )
    if not is_for_all:
        return ~heard
    other = aliased(Membership)
    is_hit = exists(select(literal(1)).where(hits.c.company_id == Membership.company_id).correlate(Membership))
    # Somebody who is hit for one of their companies is told of that, and not that they are not for another.
    told_otherwise = Membership.person_id.in_(
        select(other.person_id).where(other.company_id.in_(select(hits.c.company_id)))
    )
    concerns_somebody = exists(select(literal(1)).select_from(hits))
    components = [_wants(component_topic(each)) for each in component_ids]
    wants_other = and_(
        _wants(topic),
        or_(~concerns_somebody, _wants(elsewhere)),
        or_(*components) if components else true(),
    )
    return or_(and_(is_hit, ~heard), and_(~is_hit, or_(told_otherwise, ~wants_other)))


def _wants(topic: Any) -> ColumnElement[bool]:
    return ~is_declined(Membership.person_id, Membership.company_id, topic)
