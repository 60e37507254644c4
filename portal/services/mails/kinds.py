"""The kinds of mail about services, and the statuses people choose to hear of."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

from flask_babel import lazy_gettext

from portal.catalogue.notices.mails import one_recipient, still_there
from portal.domains.queries import companies_with_area_open
from portal.domains.rules import Area
from portal.filters import LOOKS
from portal.notifications.kinds import Kind, register
from portal.notifications.topics import Source, Topic
from portal.notifications.topics import register as register_topics
from portal.services.letters import OF_READERS
from portal.services.mails.readers import goes_beyond, muted_by, recipients, tell_channels
from portal.services.mails.telling import KIND
from portal.services.queries.hearing import TOPIC, status_topic
from portal.services.rules import ServiceStatus

TEST = "service_status_test"
LABEL = lazy_gettext("Service status")

register(
    Kind(
        name=TEST,
        topic=TOPIC,
        label=LABEL,
        recipients=one_recipient,
        allowed=still_there,
        variables=OF_READERS,
        expires_after=timedelta(hours=1),
        priority=5,
    )
)

SERVICE_STATUS = register(
    Kind(
        name=KIND,
        topic=TOPIC,
        label=LABEL,
        recipients=recipients,
        goes_beyond=goes_beyond,
        muted_by=muted_by,
        tell=tell_channels,
        allowed=partial(companies_with_area_open, Area.SERVICES),
        variables=OF_READERS,
        # What a relay would not take for a day tells nobody anything new; plans are given longer.
        expires_after=timedelta(hours=24),
        priority=10,
    )
)


def _statuses(company_id: int, now: datetime) -> Sequence[Topic]:
    return list(_topics()) if companies_with_area_open(Area.SERVICES, [company_id]) else []


def _topics() -> Sequence[Topic]:
    return [
        Topic(status_topic(status), str(LOOKS["service"][status.value].label)) for status in reversed(ServiceStatus)
    ]


def _named(keys: Collection[str]) -> dict[str, str]:
    return {topic.key: topic.label for topic in _topics() if topic.key in keys}


register_topics(Source("status", lazy_gettext("How services are"), _statuses, _named, under=TOPIC))
