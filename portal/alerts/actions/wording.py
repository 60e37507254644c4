"""Own words for what alerts say: written, changed, put away. What could not be sent is not saved."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from portal import events
from portal.accounts.rules import one_line, text_key
from portal.alerts.letters import Own, checked_own
from portal.alerts.models import AlertTemplate
from portal.alerts.rules import TEMPLATE_NAME_LENGTH
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.notifications.templates.rules import FieldError

TEMPLATES_AT_MOST = 200


def add_template(name: str, own: Own, *, by: Actor, now: datetime) -> AlertTemplate:
    """A template alerts can be told in; RuleViolation, at name, subject, text, html or sms, for what cannot be."""
    kept = _checked(own)
    called = _named(name, None)
    count = select(func.count()).select_from(AlertTemplate).where(AlertTemplate.archived_at.is_(None))
    if (db.session.scalar(count) or 0) >= TEMPLATES_AT_MOST:
        raise RuleViolation(f"There are {TEMPLATES_AT_MOST} templates already. Archive one that is not used.", "name")
    template = AlertTemplate(name=called, name_key=text_key(called), created_at=now, **kept._asdict())
    db.session.add(template)
    db.session.flush()
    _changed(template, "alert_template.add", by=by, now=now, before={}, after=_told(template))
    return template


def change_template(
    template: AlertTemplate, name: str, own: Own, *, version: int, by: Actor, now: datetime
) -> AlertTemplate:
    """Have alerts told in these words from the next notice on. Raises StaleEdit where somebody changed it meanwhile."""
    _check_current(template, version)
    kept = _checked(own)
    called = _named(name, template.id)
    before = _told(template)
    template.name, template.name_key, template.trouble = called, text_key(called), ""
    template.subject, template.text, template.html, template.sms = kept
    db.session.flush()
    if _told(template) != before:
        _changed(template, "alert_template.edit", by=by, now=now, before=before, after=_told(template))
    return template


def archive_template(template: AlertTemplate, *, version: int, by: Actor, now: datetime) -> None:
    """Put a template away: alerts that name it are told in our own words from now on."""
    _check_current(template, version)
    template.archived_at = now
    db.session.flush()
    _changed(template, "alert_template.archive", by=by, now=now, before={}, after={"name": template.name})


def _check_current(template: AlertTemplate, version: int) -> None:
    if template.version != version:
        raise StaleEdit
    if template.archived_at is not None:
        raise RuleViolation("This template is archived.")


def _checked(own: Own) -> Own:
    try:
        return checked_own(own)
    except FieldError as refusal:
        raise RuleViolation(str(refusal), refusal.field) from None


def _named(typed: str, own_id: int | None) -> str:
    name = one_line(typed)
    if not 0 < len(name) <= TEMPLATE_NAME_LENGTH:
        raise RuleViolation(f"Give it a name of at most {TEMPLATE_NAME_LENGTH} characters.", "name")
    if db.session.get_bind().dialect.name == "postgresql":
        # Two that are named the same at one moment come one after the other. SQLite lets one write at a time anyway.
        db.session.execute(select(func.pg_advisory_xact_lock(func.hashtext("alert_template"))))
    taken = select(AlertTemplate.id).where(
        AlertTemplate.name_key == text_key(name), AlertTemplate.archived_at.is_(None), AlertTemplate.id != (own_id or 0)
    )
    if db.session.scalar(taken) is not None:
        raise RuleViolation(f"There is a template called {name} already.", "name")
    return name


def _told(template: AlertTemplate) -> dict[str, Any]:
    return {
        "name": template.name,
        "subject": template.subject,
        "text": template.text,
        "html": template.html,
        "sms": template.sms,
    }


def _changed(
    template: AlertTemplate, action: str, *, by: Actor, now: datetime, before: dict[str, Any], after: dict[str, Any]
) -> None:
    events.ring(events.STAFF)
    audit.record(
        action, object_kind="alert_template", object_id=template.id, by=by, now=now, before=before, after=after
    )
