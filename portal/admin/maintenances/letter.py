"""The mail about planned work as one of its readers gets it, while the form is being filled in."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from flask import request
from sqlalchemy import select

from portal.admin.maintenances.forms import PlanForm, StepForm
from portal.admin.maintenances.possible import Step
from portal.admin.maintenances.preview import Preview, wanted_window
from portal.catalogue.models import Component
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.actions.telling import reached_by
from portal.incidents.letters import Work, content_of, note_of
from portal.incidents.mails.specimen import Letter, letter_about_work, moments_of
from portal.incidents.models import Maintenance
from portal.incidents.rules import Audience, MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice

NOTICE_OF = {
    "begin": Notice.STARTED,
    "verify": Notice.VERIFYING,
    "complete": Notice.COMPLETED,
    "move": Notice.MOVED,
    "extend": Notice.EXTENDED,
    "cancel": Notice.CANCELLED,
    "note": Notice.NOTE,
}
"""What a step is told as."""

UNNAMED = "preview"
"""Stands for the public id of work that is not written down yet."""


def letter_of_plan(form: PlanForm, preview: Preview, now: datetime) -> Letter | None:
    """The announcement of what is typed; None where nobody is mailed, or it has no time yet.

    At most 26 queries beside those of the preview.
    """
    starts_at, ends_at = preview.starts_at, preview.ends_at
    if preview.plan is None or starts_at is None or ends_at is None or not preview.people:
        return None
    titles = _titles(form.components.data)
    work = Work(
        public_id=UNNAMED,
        title=(form.title.data or "").strip() or "Your title",
        state=MaintenanceState.SCHEDULED,
        notice=Notice.ANNOUNCED,
        impact=preview.plan.impact,
        starts_at=starts_at,
        ends_at=ends_at,
        components=titles,
        body=form.body.data or "",
        told_at=now,
        titles=form.translations.texts("title"),
        bodies=form.translations.texts("body"),
    )
    return _letter(work, form.components.data, preview.audience, now)


def letter_of_step(
    maintenance: Maintenance, step: Step, form: StepForm, preview: Preview, now: datetime
) -> Letter | None:
    """The notice of a step as its form stands; None where nobody is mailed. At most 26 queries beside the preview."""
    if not preview.people or maintenance.visibility is not Visibility.PUBLIC:
        return None
    notice = NOTICE_OF[step.name]
    starts_at, ends_at = maintenance.starts_at, maintenance.ends_at
    if step.asks_window:
        try:
            starts_at, ends_at, _zone = wanted_window(maintenance, form, now)
        except RuleViolation:
            return None
    is_moved = (starts_at, ends_at) != (maintenance.starts_at, maintenance.ends_at)
    component_ids = [part.component_id for part in maintenance.components]
    work = Work(
        public_id=maintenance.public_id,
        title=maintenance.title,
        state=step.state or MaintenanceState(maintenance.state),
        notice=notice,
        impact=maintenance.impact,
        starts_at=starts_at,
        ends_at=ends_at,
        components=_titles(component_ids),
        body=form.body.data or "",
        told_at=now,
        sequence=maintenance.sequence,
        titles=maintenance.titles,
        bodies=form.translations.texts("body"),
        subjects=maintenance.subjects,
        before=(maintenance.starts_at, maintenance.ends_at) if is_moved else None,
        lasted=(min(maintenance.started_at or starts_at, now), now) if notice is Notice.COMPLETED else None,
    )
    return _letter(work, component_ids, maintenance.audience, now)


def _letter(work: Work, component_ids: Sequence[int], audience: Audience, now: datetime) -> Letter | None:
    selector = {
        **reached_by(component_ids, now, is_for_everyone=audience is Audience.EVERYONE),
        "moments": moments_of(work.moments),
        "note": asdict(note_of(work.public_id, work.state, work.impact, is_moved=work.notice is Notice.MOVED)),
    }
    reader = request.form.get("letter_reader", "")
    return letter_about_work(
        selector,
        content_of(work),
        reader_id=int(reader) if reader.isascii() and reader.isdigit() and len(reader) < 10 else None,
        language=request.form.get("letter_language", ""),
    )


def _titles(component_ids: Sequence[int]) -> list[str]:
    return list(
        db.session.scalars(
            select(Component.title)
            .where(Component.id.in_(sorted(component_ids)))
            .order_by(Component.title_key, Component.id)
        )
    )
