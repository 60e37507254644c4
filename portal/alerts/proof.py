"""What alerts say of a company, for the leak proof: of its newest alerts everything they can say, in every wording."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from flask_babel import force_locale
from sqlalchemy import select

from portal.alerts.facts import Facts, gathered
from portal.alerts.letters import STAFF, Own, content_of, own_of, text_of
from portal.alerts.mails import KIND, TEST
from portal.alerts.models import Alert, AlertTemplate, AlertWatch
from portal.alerts.rules import Happening
from portal.alerts.specimen import specimen_of
from portal.alerts.telling import HAS_WORDS
from portal.extensions import db
from portal.jobs.proof.posting import Sample, register_samples
from portal.notifications.kinds import Content, language_of
from portal.notifications.templates.placeholders import WordingError
from portal.usage.readings import Reading

ALERTS_AT_MOST = 5


def samples(company_id: int, now: datetime) -> Iterator[Sample]:
    """The mails of both kinds; of a made-up alert where the company has none."""
    for facts, own in _told_of(company_id, now):
        title = f"alert “{facts.alert.title}”, {facts.says.value.replace('_', ' ')}"
        content = _in_all_words(facts, own)
        for kind in (KIND, TEST):
            yield Sample(kind, f"{title}, as {kind}", content)


def _told_of(company_id: int, now: datetime) -> Iterator[tuple[Facts, Own | None]]:
    rows = db.session.execute(
        select(Alert, AlertWatch)
        .join(AlertWatch, AlertWatch.alert_id == Alert.id)
        .where(AlertWatch.company_id == company_id, Alert.archived_at.is_(None))
        .order_by(AlertWatch.id.desc())
        .limit(ALERTS_AT_MOST)
    ).all()
    if not rows:
        yield specimen_of(None, now).facts, None
    for alert, watch in rows:
        template = db.session.get(AlertTemplate, alert.template_id) if alert.template_id is not None else None
        reading = Reading(watch.value or Decimal(), watch.count or 0, now, is_stale=False, next_at=None)
        for says in sorted(HAS_WORDS):
            since = None if says is Happening.REPORTED else now - timedelta(hours=1)
            facts = gathered(
                alert, company_id, says, reading, since=since, watch_id=watch.id, told="leak-proof", now=now
            )
            yield facts, own_of(template)


def _in_all_words(facts: Facts, own: Own | None) -> Content:
    """Every wording customers get, the text for a telephone in the place that is filled with it as it is sent."""
    try:
        content = content_of(facts, own, has_messages=True)
    except WordingError:
        content = content_of(facts, None, has_messages=True)
    said = {}
    for key, wording in content.items():
        if key.endswith(f"-{STAFF}"):
            continue
        with force_locale(language_of(key)):
            brief = text_of(facts, own, base_url="https://portal.example", moments={}, is_staff=False)
        said[key] = {**wording, "brief": brief}
    return said


register_samples("alerts", samples)
