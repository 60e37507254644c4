"""Each alert has a list of its own: those whom it names. What is left by the link of its mails is that list."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy import select

from portal.alerts.models import Alert
from portal.extensions import db
from portal.notifications.topics import Source, Topic, register

TOPIC = "alert"
_BEFORE = f"{TOPIC}:"


def topic_of(alert: Alert) -> str:
    """The key of an alert's list."""
    return f"{_BEFORE}{alert.public_id}"


def _of_company(company_id: int, now: datetime) -> Sequence[Topic]:
    """Nothing: whoever an alert names was named for it, and leaves it by its mails."""
    return ()


def _named(keys: Collection[str]) -> Mapping[str, str]:
    ids = [key.removeprefix(_BEFORE) for key in keys if key.startswith(_BEFORE)]
    if not ids:
        return {}
    rows = db.session.execute(select(Alert.public_id, Alert.title).where(Alert.public_id.in_(ids)))
    return {f"{_BEFORE}{row.public_id}": str(_("Alert “%(title)s”", title=row.title)) for row in rows}


register(Source("alerts", lazy_gettext("Alerts"), _of_company, _named))
