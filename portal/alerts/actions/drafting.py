"""Drafts of incidents that triggered alerts open by rule: one at a time for each alert, of all companies it watches.

As with external monitors, nobody but staff is told, and what says the same again is counted in the draft that is open.
"""

from datetime import datetime

from sqlalchemy import func, select, update

from portal.accounts.models import Company
from portal.alerts.models import Alert, AlertWatch
from portal.alerts.queries import IS_BAD
from portal.audit.rules import SYSTEM
from portal.catalogue.queries import components_of_service
from portal.extensions import db
from portal.incidents.actions.drafts import QUESTION, save_draft, signal_open
from portal.incidents.models import Incident, IncidentDraft
from portal.incidents.rules import Audience, Severity
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.notifications.actions import queue_broadcast
from portal.notifications.wordings import render_wordings

NAMED_AT_MOST = 20
"""Companies a draft names; the rest is a number."""

NOBODY_WAS_TOLD = "No customer was told of an incident: publish the draft if it is one, or discard it."


def open_draft(alert: Alert, watch: AlertWatch, now: datetime) -> None:
    """Open a draft for this alert, or count it in the one that is open; nothing while what it became is open."""
    if _is_published_and_open(alert):
        return
    company = db.session.get_one(Company, watch.company_id)
    fold_key = fold_key_of(alert)
    said = f"{alert.title}: {company.name} is over the line."
    if signal_open(fold_key, said, now):
        return
    names, total = _affected(alert, watch)
    draft = save_draft(
        DraftContent(
            title=alert.title,
            body=_text(alert),
            severities=dict.fromkeys(_components(alert, now), Severity.PERFORMANCE_ISSUE) or None,
            audience=Audience.AFFECTED,
            started_at=watch.triggered_at or now,
        ),
        origin=Origin.ALERT,
        origin_name=alert.title,
        fold_key=fold_key,
        signal=said,
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=f"alert:{alert.id}:{watch.id}:{now.timestamp():.6f}",
    )
    # Past the version: whoever has the form of the alert open may still save it.
    db.session.execute(
        update(Alert).where(Alert.id == alert.id).values(draft_id=draft.id),
        execution_options={"synchronize_session": False},
    )
    _ask_staff(alert, draft, names, total, now)


def note_over(alert: Alert, watch: AlertWatch, now: datetime) -> None:
    """Say in the open draft that one company is well again, and with the last of them that all are."""
    company = db.session.get_one(Company, watch.company_id)
    others = db.session.scalar(
        select(func.count()).where(AlertWatch.alert_id == alert.id, AlertWatch.id != watch.id, IS_BAD)
    )
    rest = f"{others} still are not." if others else "That was the last of them."
    signal_open(fold_key_of(alert), f"{alert.title}: {company.name} is normal again. {rest}", now)


def fold_key_of(alert: Alert) -> str:
    """The key under which what an alert says is counted in one draft."""
    return f"alert:{alert.public_id}"


def _is_published_and_open(alert: Alert) -> bool:
    """Whether the last draft of the alert became a report that is not over: there it belongs now."""
    if alert.draft_id is None:
        return False
    found = (
        select(Incident.id)
        .join(IncidentDraft, IncidentDraft.incident_id == Incident.id)
        .where(IncidentDraft.id == alert.draft_id, Incident.resolved_at.is_(None))
    )
    return db.session.scalar(found) is not None


def _components(alert: Alert, now: datetime) -> list[int]:
    """What a report may be about: the components of the service the alert names. Staff choose; it is only a draft."""
    return sorted(components_of_service(alert.service_id, now)) if alert.service_id is not None else []


def _affected(alert: Alert, watch: AlertWatch) -> tuple[list[str], int]:
    """The companies of which the alert is triggered, this one too, the first by name, and how many there are."""
    mine = (AlertWatch.alert_id == alert.id, IS_BAD | (AlertWatch.id == watch.id))
    found = select(Company.name).join(AlertWatch, AlertWatch.company_id == Company.id).where(*mine)
    names = db.session.scalars(found.order_by(Company.name_key).limit(NAMED_AT_MOST))
    total = db.session.scalar(select(func.count(AlertWatch.id)).where(*mine)) or 0
    return list(names), total


def _text(alert: Alert) -> str:
    """What staff begin from. Names of customers stand in the mail to staff, never in a text that may be published."""
    about = f" with {alert.service.name}" if alert.service is not None else ""
    return f"We see trouble{about} and are looking into it."


def _ask_staff(alert: Alert, draft: IncidentDraft, names: list[str], total: int, now: datetime) -> None:
    """Mail those who may publish, once for each draft."""
    title = f"{alert.title} opened a draft"[:250]
    more = f" and {total - len(names)} more" if total > len(names) else ""
    queue_broadcast(
        QUESTION,
        idempotency_key=f"{QUESTION}:alert:{draft.id}",
        title=title,
        selector={"person_id": None},
        content=render_wordings(
            "alarm",
            ("en",),
            title=title,
            text=f"Over the line: {', '.join(names)}{more}.\n\n{NOBODY_WAS_TOLD}",
            path=f"/admin/incidents/drafts/{draft.id}",
        ),
        thread_key=f"{QUESTION}:draft:{draft.id}",
        by_person_id=None,
        now=now,
    )
