"""Reporting a problem with what an alert watches: a message to the staff that begins with the facts.

What is written about is the watch, an alert as it stands for one company, so an alert for many companies has a
conversation with each. The link in a mail names what was told by it: the facts are read from that broadcast, and
nothing a link says itself ever stands in a form.
"""

import re
from collections.abc import Collection, Mapping

from flask_babel import gettext as _
from sqlalchemy import select

from portal import clock
from portal.accounts.rules import Viewpoint
from portal.alerts.facts import Facts, gathered, read_back
from portal.alerts.letters import values_of
from portal.alerts.mails import KIND
from portal.alerts.models import Alert, AlertWatch
from portal.alerts.rules import Happening, Operator
from portal.domains.rules import Area
from portal.extensions import db
from portal.files import subjects
from portal.files.subjects import Known, Subject
from portal.filters import local_time
from portal.notifications.models import Broadcast
from portal.usage.readings import Reading

SUBJECT = "alert"

_KEY = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def _seen(viewpoint: Viewpoint, watch_ids: Collection[int]) -> Mapping[int, Known]:
    """Staff see every watch, a company those of its own whose alert is kept. One query."""
    wanted = (
        select(AlertWatch.id, AlertWatch.company_id, Alert.title)
        .join(Alert, Alert.id == AlertWatch.alert_id)
        .where(AlertWatch.id.in_(watch_ids))
    )
    if not viewpoint.is_staff:
        wanted = wanted.where(AlertWatch.company_id == viewpoint.company_id, Alert.archived_at.is_(None))
    prefix = "/admin" if viewpoint.is_staff else ""
    return {
        row.id: Known(row.company_id, row.title, f"{prefix}/messages/{SUBJECT}/{row.id}")
        for row in db.session.execute(wanted)
    }


def _find(key: str) -> int | None:
    return int(key) if _KEY.fullmatch(key) else None


def opening(watch_id: int, told: str) -> str:
    """The facts a message begins with: those of the notice the link names, else those of this moment. At most six
    queries."""
    facts = _told_by(watch_id, told) or _now(watch_id)
    return written(facts) if facts is not None else ""


def _told_by(watch_id: int, told: str) -> Facts | None:
    selector = db.session.scalar(
        select(Broadcast.selector).where(
            Broadcast.idempotency_key == f"alert:{watch_id}:{told}", Broadcast.kind == KIND
        )
    )
    return read_back(selector) if selector is not None else None


def _now(watch_id: int) -> Facts | None:
    watch = db.session.get(AlertWatch, watch_id)
    alert = db.session.get(Alert, watch.alert_id) if watch is not None else None
    if watch is None or alert is None:
        return None
    now = clock.utcnow()
    says = Happening.TRIGGERED if watch.triggered_at is not None else Happening.NORMAL
    return gathered(
        alert,
        watch.company_id,
        Happening.REPORTED if alert.operator is Operator.ALWAYS else says,
        Reading(watch.value, watch.count, watch.value_at or watch.since, is_stale=False, next_at=None),
        since=watch.triggered_at,
        watch_id=watch.id,
        told="",
        now=now,
    )


def written(facts: Facts) -> str:
    """The facts as somebody would write them down, in the language and zone of who reads, with room below them."""
    values = values_of(facts)
    lines = [
        _("About the alert “%(title)s”:", title=values["alert"]),
        values["what_happened"],
        _("Measured: %(moment)s", moment=local_time(facts.at)),
        _("Beyond its line since: %(moment)s", moment=local_time(facts.since)) if facts.since else "",
        _("Calls behind the figure: %(calls)s", calls=values["calls"]) if values["calls"] else "",
        _("Balance: %(amount)s", amount=values["balance"]) if values["balance"] else "",
        _("Available credit: %(amount)s", amount=values["available_credit"]) if values["available_credit"] else "",
    ]
    return "\n".join(str(line) for line in lines if line) + "\n\n"


subjects.register(
    Subject(
        kind=SUBJECT,
        area=Area.ALERTS,
        seen=_seen,
        key=str,
        find=_find,
        opening=opening,
        is_written_to_only=True,
    )
)
