"""Publishing a report, and recording what is long over. The same key again returns what it made the first time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select

from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.actions.languages import clean_texts, clean_translations
from portal.incidents.actions.telling import queue_mail, ring
from portal.incidents.actions.wordings import write_wordings
from portal.incidents.actions.writing import (
    PastUpdate,
    await_update,
    clean_body,
    clean_title,
    create,
    facts,
    note,
    published_with,
)
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.rules import (
    Audience,
    Severity,
    State,
    Visibility,
)
from portal.incidents.rules.languages import NO_TEXTS, NO_TRANSLATIONS, Texts, Translations
from portal.incidents.rules.wordings import Wording
from portal.incidents.upkeep import settle


def publish(
    title: str,
    state: State,
    body: str,
    severities: Mapping[int, Severity] | None,
    *,
    visibility: Visibility = Visibility.PUBLIC,
    audience: Audience = Audience.EVERYONE,
    notify: bool = True,
    mail_affected_only: bool = False,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
    started_at: datetime | None = None,
    is_backfill: bool = False,
    next_update: timedelta | None = None,
    wordings: Sequence[Wording] = (),
    translations: Translations = NO_TRANSLATIONS,
) -> Incident:
    """Publish a report, and mail those it concerns if `notify` says so and it is public.

    `severities` by component id: an empty mapping means that it names no component (and so concerns everyone),
    None that nobody has said. `started_at` is when it began, if before now. `next_update` is how soon customers
    are promised the next one. `wordings` are what some are told instead of `body`, `translations` title and text in
    other languages. The same key again returns the report it made the first time.
    """
    if known := published_with(idempotency_key):
        return known
    if severities is None:
        raise RuleViolation("Choose the components it affects, or say that it names none.", "components")
    started_at = started_at or now
    if started_at > now:
        raise RuleViolation("It cannot have begun in the future.", "started_at")
    titles, bodies = clean_translations(translations)
    first = PastUpdate(now, state, body, severities, bodies)
    incident, is_new = create(
        title,
        [first],
        titles=titles,
        visibility=visibility,
        audience=audience,
        author_id=author_id,
        started_at=started_at,
        is_backfill=is_backfill,
        idempotency_key=idempotency_key,
        now=now,
        notify=notify,
    )
    if not is_new:
        return incident
    if state is not State.FIXED and next_update is not None:
        incident.next_update_due_at = now + next_update
        await_update(incident, now)
    components = settle(incident, now)
    db.session.flush()
    ring(incident, components, incident.audience, now)
    update = db.session.scalars(select(IncidentUpdate).where(IncidentUpdate.incident_id == incident.id)).one()
    write_wordings(update, wordings)
    queue_mail(incident, update, components, mail_affected_only=mail_affected_only, by=by, now=now)
    note("incident.publish", incident, by=by, now=now, after=facts(incident, severities, notify=update.notify))
    return incident


def backfill(
    title: str,
    timeline: Sequence[PastUpdate],
    *,
    titles: Texts = NO_TEXTS,
    visibility: Visibility = Visibility.PUBLIC,
    audience: Audience = Audience.EVERYONE,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str,
) -> Incident:
    """Write down, oldest entry first, what is over or was never reported here. It mails nobody, ever.

    `titles` are what it is called in other languages. The same key again returns the report it made the first time.
    """
    if known := published_with(idempotency_key):
        return known
    moments = [entry.posted_at for entry in timeline]
    if not moments or moments != sorted(moments) or moments[-1] > now:
        raise RuleViolation("A past report needs its updates in the order they happened, none of them in the future.")
    incident, is_new = create(
        title,
        [replace(entry, bodies=clean_texts(entry.bodies, clean_body)) for entry in timeline],
        titles=clean_texts(titles, clean_title),
        visibility=visibility,
        audience=audience,
        author_id=author_id,
        started_at=moments[0],
        is_backfill=True,
        idempotency_key=idempotency_key,
        now=now,
        notify=False,
    )
    if not is_new:
        return incident
    components = settle(incident, now)
    db.session.flush()
    ring(incident, components, incident.audience, now)
    after = facts(incident, dict.fromkeys(components, Severity.NONE), notify=False)
    note("incident.backfill", incident, by=by, now=now, after=after)
    return incident
