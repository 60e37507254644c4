"""The mail about a report as one of its readers gets it, while the form is being filled in."""

from collections.abc import Collection
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from flask import request

from portal.admin.incidents.preview import Preview
from portal.errors import RuleViolation
from portal.incidents.actions.telling import compose, reached_by
from portal.incidents.mails.specimen import Letter, letter_about_incident, moments_of
from portal.incidents.models import Incident
from portal.incidents.rules import Audience, State
from portal.incidents.rules.wordings import Wording
from portal.plaintext import from_html

UNNAMED = "preview"
"""Stands for the public id of a report that is not published yet."""


def letter_of(
    form: Any, preview: Preview, component_ids: Collection[int], now: datetime, incident: Incident | None = None
) -> Letter | None:
    """The mail of what is typed, of a new report or of the next update of one; None where nobody is mailed.

    At most 28 queries beside those of the preview.
    """
    if not preview.people:
        return None
    shown, is_fixed = preview.shown, preview.shown.state is State.FIXED
    titles = form.translations.texts("title")
    told: Any = SimpleNamespace(
        public_id=incident.public_id if incident else UNNAMED,
        title=incident.title if incident else preview.texts.title or "Your title",
        titles=incident.titles if incident else titles,
        subjects=incident.subjects if incident else {},
        audience=preview.audience,
        started_at=shown.since,
        resolved_at=now if is_fixed else None,
        next_update_due_at=shown.next_update,
    )
    said: Any = SimpleNamespace(state=shown.state, body=preview.texts.body, bodies=form.translations.texts("body"))
    moments = {"since": told.started_at, "fixed": told.resolved_at, "next_update": told.next_update_due_at}
    wordings = _wordings(form)
    for_all = preview.audience is Audience.EVERYONE and not form.affected_only.data
    selector = {
        **reached_by(component_ids, now, is_for_everyone=for_all),
        "moments": moments_of({name: moment for name, moment in moments.items() if moment is not None}),
        "wordings": {each.key: from_html(each.text) for each in wordings},
    }
    reader = request.form.get("letter_reader", "")
    return letter_about_incident(
        selector,
        compose(told, said, component_ids, wordings),
        reader_id=int(reader) if reader.isascii() and reader.isdigit() and len(reader) < 10 else None,
        language=request.form.get("letter_language", ""),
    )


def _wordings(form: Any) -> tuple[Wording, ...]:
    """What some read instead, as far as it is known who."""
    try:
        meant: tuple[Wording, ...] = form.wordings.meant()
    except RuleViolation:
        return ()
    return meant
