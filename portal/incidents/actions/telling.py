"""Who hears of a report: the mail about an update, and the bells of those who see something else than before."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy import update as sql_update
from sqlalchemy.orm.attributes import set_committed_value

from portal import events, plaintext
from portal.audit.rules import Actor
from portal.catalogue.models import Component
from portal.catalogue.queries import (
    companies_reached_at_most,
    companies_reached_directly,
    reaches_anybody,
    services_reached,
)
from portal.domains.queries import domains_showing_status
from portal.extensions import db
from portal.filters import markdown
from portal.incidents.actions.following import followed, tell_followers
from portal.incidents.actions.writing import standing_of
from portal.incidents.models import Incident, IncidentUpdate, Maintenance
from portal.incidents.queries import broadcast_keys, broadcasts_to_stop, notify_key
from portal.incidents.queries.wordings import wordings_of
from portal.incidents.rules import (
    Audience,
    Severity,
    State,
    Visibility,
)
from portal.incidents.rules.conversations import thread_key as conversation_of
from portal.incidents.rules.languages import Texts, subject_in, subjects_after, told_in
from portal.incidents.rules.telling import PUBLIC, narrowed
from portal.incidents.rules.wordings import Wording
from portal.notifications import actions as notifications
from portal.notifications.kinds import Content
from portal.notifications.wordings import render_wordings

KIND = "incident"
"""The registered kind of the mails about incidents."""

LISTED_AT_MOST = 1000
"""Up to so many reached companies stand in the frozen selector themselves; more are found through the components."""


def queue_mail(
    incident: Incident,
    update: IncidentUpdate,
    components: Collection[int],
    *,
    mail_affected_only: bool,
    by: Actor,
    now: datetime,
) -> None:
    """Queue the mail about an update, once, if customers are to hear of it."""
    is_seen = incident.visibility is Visibility.PUBLIC and update.visibility is Visibility.PUBLIC
    if not update.notify or not is_seen or incident.is_backfill:
        return
    is_for_everyone = incident.audience is Audience.EVERYONE and not mail_affected_only
    moments = {
        "since": incident.started_at,
        "fixed": incident.resolved_at,
        "next_update": incident.next_update_due_at,
    }
    selector = {
        "incident_id": incident.id,
        "update_id": update.id,
        **reached_by(components, now, is_for_everyone=is_for_everyone),
        PUBLIC: is_for_everyone,
        "moments": {name: moment.isoformat() for name, moment in moments.items() if moment},
        "facts": facts_of(incident, update, components),
        **followed(incident),
    }
    wordings = wordings_of([update.id]).get(update.id, [])
    if wordings:
        # By the audience, as plain text: what machines of theirs are told instead of the general text.
        selector["wordings"] = {each.key: plain(each.text) for each in wordings}
    selector |= in_languages(incident.titles, update.bodies, wordings)
    begin_conversation(incident)
    content = compose(incident, update, components, wordings)
    thread_key = conversation_of(incident.id)
    notifications.queue_broadcast(
        KIND,
        idempotency_key=notify_key(update.id),
        title=incident.title,
        selector=selector,
        content=content,
        thread_key=thread_key,
        by_person_id=by.person_id,
        now=now,
    )
    tell_followers(
        selector,
        idempotency_key=notify_key(update.id),
        title=incident.title,
        content=content,
        thread_key=thread_key,
        by=by,
        now=now,
    )


def reached_by(component_ids: Collection[int], now: datetime, *, is_for_everyone: bool) -> dict[str, Any]:
    """The part of a selector that says who is reached. At most two queries."""
    wanted = sorted(component_ids)
    reached = companies_reached_at_most(wanted, now, LISTED_AT_MOST)
    return {
        "component_ids": wanted,
        "at": now.isoformat(),
        "company_ids": reached,
        # Whom it concerns is not known if it reaches nobody, so everybody is told.
        "everyone": reached == [] or is_for_everyone,
    }


def in_languages(titles: Texts, bodies: Texts, wordings: Sequence[Wording] = ()) -> dict[str, Any]:
    """The part of a selector that says what machines are told in other languages than the original: `wordings` by the
    audience, as there."""
    found = {
        code: {"title": titles.get(code, ""), "text": plain(bodies.get(code, "")), "wordings": {}}
        for code in sorted({*titles, *bodies, *(code for each in wordings for code in each.texts)})
    }
    for each in wordings:
        for code, text in each.texts.items():
            found[code]["wordings"][each.key] = plain(text)  # type: ignore[index]  # a dict under this key alone
    return {"languages": found} if found else {}


def plain(text: str) -> str:
    """A text as machines and text messages are told it."""
    return plaintext.from_html(markdown(text)) if text else ""


def begin_conversation(incident: Incident | Maintenance) -> None:
    """Note what the mails about it are called, before one is written: the conversation keeps these titles."""
    subjects = subjects_after(incident.subjects, incident.title, incident.titles)
    if subjects != incident.subjects:
        # Past the version: nobody has written anything, so whoever has the report open may still save it.
        db.session.execute(
            sql_update(type(incident))
            .where(type(incident).id == incident.id)
            .values(subjects=subjects)
            .execution_options(synchronize_session=False)
        )
        set_committed_value(incident, "subjects", subjects)


def facts_of(incident: Incident, update: IncidentUpdate, components: Collection[int]) -> dict[str, Any]:
    """What a machine is told of an update, as the page shows it to everybody who may see it: JSON, and frozen."""
    severities = standing_of(incident.id)
    titles = db.session.execute(
        select(Component.id, Component.title).where(Component.id.in_(components)).order_by(Component.title)
    )
    return {
        "incident": {
            "id": incident.public_id,
            "title": incident.title,
            "state": incident.state,
            "impact": incident.impact,
            "started_at": incident.started_at.isoformat(),
            "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
            "next_update_at": incident.next_update_due_at.isoformat() if incident.next_update_due_at else None,
        },
        "update": {
            "id": update.public_id,
            "state": update.state,
            "text": plain(update.body),
            "posted_at": update.posted_at.isoformat(),
        },
        "components": [
            {"title": title, "severity": severities.get(component_id, Severity.NONE)} for component_id, title in titles
        ],
    }


def compose(
    incident: Incident, update: IncidentUpdate, components: Collection[int], wordings: Sequence[Wording] = ()
) -> Content:
    """The wordings of the mail about an update, in every language. What differs per reader stays a variable.

    Who is told in words of their own gets a variant, named by the key of their wording, and no other.
    """
    titles = db.session.scalars(
        select(Component.title).where(Component.id.in_(components)).order_by(Component.title)
    ).all()
    is_public = incident.audience is Audience.EVERYONE
    general = (update.body, update.bodies)
    content = _composed(incident, update.state, general, (), titles, for_subscribers=is_public)
    for each in wordings:
        own = _composed(incident, update.state, general, [(each.text, each.texts)], titles)
        content |= {f"{key}-{each.key}": wording for key, wording in own.items()}
    return content


def _composed(
    incident: Incident,
    state: State | None,
    general: tuple[str, Texts],
    own: Sequence[tuple[str, Texts]],
    titles: Sequence[str],
    *,
    for_subscribers: bool = False,
) -> Content:
    return render_wordings(
        "incident",
        in_language=lambda language: {**called(incident, language), **bodied(told_in(language, *general, own))},
        incident=incident,
        state=state,
        components=list(titles),
        lasted=incident.resolved_at - incident.started_at if incident.resolved_at else None,
        for_subscribers=for_subscribers,
    )


def called(incident: Incident, language: str) -> dict[str, Any]:
    """What a mail calls an incident in one language, in itself and in its subject."""
    subjects = subjects_after(incident.subjects, incident.title, incident.titles)
    title = told_in(language, incident.title, incident.titles)
    return {"title": title, "subject_title": subject_in(language, subjects)}


def bodied(body: str) -> dict[str, Any]:
    """A text as the templates of mails take it."""
    html = markdown(body)
    return {"body_text": plaintext.from_html(html), "body_html": html}


def cancel_mail(incident_id: int, *, by: Actor, now: datetime) -> int:
    """Call off every mail about an incident that no server has been offered yet; returns how many messages."""
    found = broadcasts_to_stop(broadcast_keys(incident_id), now)
    return notifications.cancel_all(found, by=by, now=now)


def narrow_mail(incident_id: int, *, by: Actor, now: datetime) -> int:
    """Call off what still waits for those who are not affected, because it is for the affected only by now.

    What was sent stays sent. Returns how many messages that were.
    """
    found = broadcasts_to_stop(broadcast_keys(incident_id), now)
    return notifications.narrow(found, narrowed, by=by, now=now)


def ring(incident: Incident, components: Collection[int], audience: Audience, now: datetime) -> None:
    """Ring staff, and the customers who see the report."""
    events.ring(events.STAFF)
    if incident.visibility is Visibility.PUBLIC:
        ring_customers(components, {audience}, now)


def ring_customers(components: Collection[int], audiences: Collection[Audience], now: datetime) -> None:
    """Ring what those read who see reports for these audiences on these components: never a row per company.

    A report for everyone stands on every page; one for the affected rings the services it reaches and the
    companies reached by a dependency of their own, or every page if it reaches nobody.
    """
    wanted = sorted(components)
    services = services_reached(wanted, now)
    companies = companies_reached_directly(wanted, now)
    events.ring(*map(events.service_topic, services), *map(events.company_topic, companies))
    if Audience.EVERYONE in audiences or not reaches_anybody(wanted, now):
        events.ring(*map(events.public_topic, domains_showing_status()))
