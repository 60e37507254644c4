"""The postmortem of an incident: written as a draft, published with a notice of its own, corrected afterwards."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Component
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.following import followed, tell_followers
from portal.incidents.actions.languages import clean_texts, keep_texts
from portal.incidents.actions.revisions import keep
from portal.incidents.actions.telling import (
    KIND,
    begin_conversation,
    bodied,
    called,
    facts_of,
    in_languages,
    reached_by,
    ring_customers,
)
from portal.incidents.actions.writing import clean_body, standing_of
from portal.incidents.models import Incident, IncidentUpdate, Postmortem
from portal.incidents.queries.postmortems import postmortem_for_staff
from portal.incidents.rules import Audience, State, Visibility, public_id_for
from portal.incidents.rules.conversations import thread_key as conversation_of
from portal.incidents.rules.languages import Texts, told_in
from portal.incidents.rules.postmortems import STATE, notify_key
from portal.incidents.rules.revisions import Revised
from portal.incidents.rules.telling import PUBLIC
from portal.notifications import actions as notifications
from portal.notifications.kinds import Content
from portal.notifications.wordings import render_wordings


def write_postmortem(
    incident: Incident,
    body: str,
    *,
    bodies: Texts | None = None,
    version: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
) -> Postmortem:
    """Keep the text of a postmortem: a draft that only staff see, or, once it is published, what customers read now.

    `version` is that of the postmortem, 0 while there is none; raises StaleEdit if somebody else wrote in between.
    `bodies` are the text in other languages; None leaves them as they are. The same text again is no change. Nothing is
    mailed.
    """
    known = postmortem_for_staff(incident.id)
    text = clean_body(body)
    texts = clean_texts(bodies, clean_body) if bodies is not None else dict(known.bodies if known else {})
    if known is None:
        if version:
            raise StaleEdit
        made = Postmortem(
            incident_id=incident.id,
            public_id=public_id_for(f"postmortem:{incident.source}:{incident.public_id}"),
            body=text,
            bodies=texts,
            author_id=author_id,
            created_at=now,
            changed_at=now,
        )
        try:
            with db.session.begin_nested():
                db.session.add(made)
                db.session.flush()
        except IntegrityError as taken:
            raise StaleEdit from taken  # somebody else has begun it at the same moment
        events.ring(events.STAFF)
        _note("postmortem.write", made, by=by, now=now)
        return made
    if known.body == text and known.bodies == texts:
        return known
    if known.version != version:
        raise StaleEdit
    is_seen = known.published_at is not None and incident.visibility is Visibility.PUBLIC
    keep(
        incident,
        Revised.POSTMORTEM,
        known.body,
        text,
        since=known.published_at or known.created_at,
        was_seen=is_seen,
        by=by,
        now=now,
    )
    keep_texts(
        incident,
        Revised.POSTMORTEM_IN,
        known.bodies,
        texts,
        since=known.published_at or known.created_at,
        was_seen=is_seen,
        by=by,
        now=now,
    )
    known.body, known.bodies, known.changed_at = text, texts, now
    db.session.flush()
    events.ring(events.STAFF)
    if is_seen:
        _show(incident, now)
    _note("postmortem.write", known, by=by, now=now)
    return known


def publish_postmortem(
    incident: Incident, postmortem: Postmortem, *, notify: bool, version: int, by: Actor, now: datetime
) -> None:
    """Show a postmortem to whoever may see its incident, and mail them if `notify` says so. Again it does nothing.

    RuleViolation where customers may not read of the incident, or not as of one of its own, and where it is not fixed.
    """
    if postmortem.published_at is not None:
        return
    if postmortem.version != version:
        raise StaleEdit
    if incident.merged_into_id is not None:
        raise RuleViolation("The report was merged into another: write the postmortem of that one.", "body")
    if incident.state is not State.FIXED:
        raise RuleViolation("The incident is not fixed yet: publish its postmortem once it is.", "body")
    if incident.visibility is not Visibility.PUBLIC:
        raise RuleViolation("The report is for staff only: make it public first.", "body")
    postmortem.published_at = now
    postmortem.changed_at = now
    postmortem.notify = notify and not incident.is_backfill
    db.session.flush()
    components = _show(incident, now)
    events.ring(events.STAFF)
    if postmortem.notify:
        _queue_mail(incident, postmortem, components, by=by, now=now)
    _note("postmortem.publish", postmortem, by=by, now=now)


def discard_postmortem(postmortem: Postmortem, *, version: int, by: Actor, now: datetime) -> None:
    """Throw a draft away. What was published stays: it can be corrected."""
    if postmortem.published_at is not None:
        raise RuleViolation("It is published: correct it instead.", "body")
    if postmortem.version != version:
        raise StaleEdit
    _note("postmortem.discard", postmortem, by=by, now=now)
    db.session.delete(postmortem)
    db.session.flush()
    events.ring(events.STAFF)


def _show(incident: Incident, now: datetime) -> frozenset[int]:
    """Have the pages of whoever may see the incident show its postmortem as it is now."""
    incident.public_updated_at = now
    db.session.flush()
    components = frozenset(standing_of(incident.id))
    ring_customers(components, {incident.audience}, now)
    return components


def _queue_mail(
    incident: Incident, postmortem: Postmortem, components: Collection[int], *, by: Actor, now: datetime
) -> None:
    """To the same people and in the same conversation as the updates, in words of its own."""
    moments = {"since": incident.started_at, "fixed": incident.resolved_at}
    # As an entry that never stands in the timeline: what machines are told of it has the shape they know.
    entry = IncidentUpdate(public_id=postmortem.public_id, state=None, body=postmortem.body, posted_at=now)
    facts = facts_of(incident, entry, components)
    facts["incident"]["state"] = facts["update"]["state"] = STATE
    is_for_everyone = incident.audience is Audience.EVERYONE
    selector = {
        "incident_id": incident.id,
        **reached_by(components, now, is_for_everyone=is_for_everyone),
        PUBLIC: is_for_everyone,
        "moments": {name: moment.isoformat() for name, moment in moments.items() if moment},
        "facts": facts,
        **followed(incident),
    }
    selector |= in_languages(incident.titles, postmortem.bodies)
    begin_conversation(incident)
    content = compose_postmortem(incident, postmortem, components)
    key, thread_key = notify_key(incident.id), conversation_of(incident.id)
    notifications.queue_broadcast(
        KIND,
        idempotency_key=key,
        title=incident.title,
        selector=selector,
        content=content,
        thread_key=thread_key,
        by_person_id=by.person_id,
        now=now,
    )
    tell_followers(
        selector,
        idempotency_key=key,
        title=incident.title,
        content=content,
        thread_key=thread_key,
        by=by,
        now=now,
    )


def compose_postmortem(incident: Incident, postmortem: Postmortem, components: Collection[int]) -> Content:
    """The wordings of the mail about a postmortem, in every language."""
    titles = db.session.scalars(select(Component.title).where(Component.id.in_(components)).order_by(Component.title))
    text, texts = postmortem.body, postmortem.bodies
    return render_wordings(
        "postmortem",
        in_language=lambda language: {**called(incident, language), **bodied(told_in(language, text, texts))},
        incident=incident,
        components=list(titles),
        lasted=incident.resolved_at - incident.started_at if incident.resolved_at else None,
        for_subscribers=incident.audience is Audience.EVERYONE,
    )


def _note(action: str, postmortem: Postmortem, *, by: Actor, now: datetime) -> None:
    audit.record(
        action,
        object_kind="incident",
        object_id=postmortem.incident_id,
        by=by,
        now=now,
        after={
            "body": postmortem.body,
            "bodies": postmortem.bodies,
            "published_at": postmortem.published_at.isoformat() if postmortem.published_at else None,
            "notify": postmortem.notify,
        },
    )
