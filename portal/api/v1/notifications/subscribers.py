"""`/api/v1/subscribers`: who hears of what is public without a login, by mail, as a machine or in a room."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Id, InAddress, Moment, Switch, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.catalogue.queries.hearing import TOPIC
from portal.catalogue.rules import component_topic
from portal.catalogue.topics import components_named, services_named
from portal.domains.queries import domain_by_id
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.incidents.queries.conversations import followable_by_id
from portal.incidents.rules.conversations import AFTER_FIXED, incident_of
from portal.keyset import Piece
from portal.language import LANGUAGES
from portal.notifications.kinds import told_to_subscribers, usual_for_subscribers
from portal.notifications.subscribers import actions
from portal.notifications.subscribers.following import followed_by
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.queries import SUBSCRIBER_ORDERS, Filters, by_id, subscribers
from portal.notifications.subscribers.rules import (
    FOLLOWED_AT_MOST,
    TOPICS_AT_MOST,
    Conversation,
    SubscriberKind,
    SubscriberSource,
    SubscriberState,
    finer_in,
    kinds_in,
)

blueprint = Resources(
    Resource.SUBSCRIBERS,
    about="Who hears of what is public on a portal domain without a login. Whoever has not agreed is asked by mail "
    "before anything else is sent. The address of a machine or a room is sealed and never shown again.",
)

NAME = "/<int:subscriber_id>"

WHY_LENGTH = 500
ADDRESS_LENGTH = 1000


class SubscriberShape(Shape):
    id = fields.Integer(required=True)
    portal_id = fields.Integer(required=True)
    kind = Word(SubscriberKind, required=True, metadata={"description": "How they are told."})
    address = fields.String(
        required=True, metadata={"description": "Of all but mail only so much that one can be told from another."}
    )
    topics = fields.List(fields.String(), required=True, metadata={"description": "What they hear of."})
    incident_ids = fields.List(
        fields.Integer(), required=True, metadata={"description": "Incidents they follow, whatever else they hear of."}
    )
    language = fields.String(required=True)
    is_shared = fields.Boolean(required=True, metadata={"description": "Several people read the mailbox."})
    state = Word(SubscriberState, required=True)
    source = Word(SubscriberSource, required=True, metadata={"description": "How they came here."})
    consent = fields.String(required=True, metadata={"description": "How they agreed, as staff wrote it down."})
    reason = fields.String(required=True, metadata={"description": "Why they are in quarantine."})
    created_at = Moment(required=True)
    confirmed_at = Moment(required=True, allow_none=True)
    quarantined_at = Moment(required=True, allow_none=True)
    version = fields.Integer(required=True)


class SubscriberWithSecretShape(SubscriberShape):
    secret = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What a webhook is signed with; else null. Shown here and never again."},
    )


class SubscriberQuery(ListQuery):
    q = Text(most=200, metadata={"description": "Those whose address holds this."})
    state = Word(SubscriberState)
    kind = Word(SubscriberKind)
    portal_id = InAddress(metadata={"description": "Those of this portal domain."})
    component_id = InAddress(metadata={"description": "Those who asked for this component by name."})
    sort = sorted_by(SUBSCRIBER_ORDERS)


def _topics(**rest: Any) -> Any:
    return fields.List(
        Text(least=1, most=60),
        validate=validate.Length(max=TOPICS_AT_MOST + 20),
        metadata={
            "description": "`incidents`, `maintenance` …, one at least. With components or services among them "
            "(`component:5`, `service:12`) only what touches one of these.",
            "example": ["incidents", "component:5"],
        },
        **rest,
    )


def _incident_ids(**rest: Any) -> Any:
    return fields.List(
        Id(),
        validate=validate.Length(max=FOLLOWED_AT_MOST),
        metadata={
            "description": "Incidents they follow: those everybody may see that are not over. It ends "
            f"by itself {AFTER_FIXED.days} days after one is fixed. Whoever follows one may hear of nothing else."
        },
        **rest,
    )


def _language(**rest: Any) -> fields.String:
    return fields.String(validate=validate.OneOf(sorted(LANGUAGES)), **rest)


class NewSubscriber(Shape):
    portal_id = Id(required=True)
    kind = Word(SubscriberKind, load_default=SubscriberKind.EMAIL)
    address = Text(
        required=True,
        least=1,
        most=ADDRESS_LENGTH,
        metadata={"description": "An e-mail address, or a URL.", "example": "network-desk@example.com"},
    )
    topics = _topics(load_default=None, allow_none=True)
    incident_ids = _incident_ids(load_default=list)
    language = _language(load_default="en")
    is_shared = Switch(load_default=False, metadata={"description": "Several people read the mailbox."})
    consent = Text(
        most=WHY_LENGTH,
        load_default="",
        metadata={
            "description": "How they agreed. With it they are told from now on; without it an e-mail address is asked "
            "by mail first."
        },
    )


class SubscriberChange(Shape):
    topics = _topics()
    incident_ids = _incident_ids()
    language = _language()


class Why(Shape):
    """Why, for whoever finds this later."""

    why = Text(required=True, least=1, most=WHY_LENGTH, metadata={"example": "Their mailbox is full until Monday."})


@blueprint.lists("", SubscriberQuery, SubscriberShape, summary="List subscribers")
def list_subscribers(query: dict[str, Any]) -> Piece[Any]:
    component_id = query.get("component_id")
    found = subscribers(
        wanted(query, SUBSCRIBER_ORDERS),
        Filters(
            query.get("q", ""),
            query.get("state"),
            query.get("portal_id"),
            query.get("kind"),
            component_topic(component_id) if component_id is not None else None,
        ),
    )
    followed = followed_by([each.id for each in found.items])
    return Piece([_shown(each, followed) for each in found.items], found.next)


@blueprint.makes("", NewSubscriber, SubscriberWithSecretShape, summary="Add a subscriber", is_secret=True)
def add_subscriber(body: dict[str, Any]) -> Answer:
    """As staff add one by hand. Machines and rooms are told from now on: only staff set their addresses up unasked."""
    if domain_by_id(body["portal_id"]) is None:
        raise RuleViolation("There is no such portal domain.", "portal_id")
    now, followed = clock.utcnow(), _followable(body["incident_ids"])
    usual = [] if followed else usual_for_subscribers()
    topics = usual if body["topics"] is None else _known(body["topics"])
    same: dict[str, Any] = {name: body[name] for name in ("language", "consent")}
    same |= {"followed": followed, "by": access.actor(), "now": now}
    secret = None
    try:
        if body["kind"] is SubscriberKind.EMAIL:
            added = actions.add(body["portal_id"], body["address"], topics, is_shared=body["is_shared"], **same)
        else:
            added, secret = actions.add_room(body["portal_id"], body["kind"], body["address"], topics, **same)
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_shown(added) | {"secret": secret}, f"/subscribers/{added.id}")


@blueprint.reads(NAME, SubscriberShape, summary="Read a subscriber")
def read_subscriber(subscriber_id: int) -> Answer:
    return Answer(_shown(_subscriber(subscriber_id)))


@blueprint.changes(NAME, SubscriberChange, SubscriberShape, summary="Change what a subscriber hears of")
def change_subscriber(subscriber_id: int, body: dict[str, Any]) -> Answer:
    """`topics` are all they hear of from now on, and `incident_ids` all they follow."""
    found = _subscriber(subscriber_id, to_change=True)
    version = expected_version(found.version)
    topics = _known(body["topics"], found.topics) if "topics" in body else found.topics
    language = body.get("language", found.language)
    followed = _followed_anew(found, body["incident_ids"]) if "incident_ids" in body else None
    same: dict[str, Any] = {"language": language, "version": version, "by": access.actor(), "now": clock.utcnow()}
    try:
        actions.choose(found, topics, followed=followed, **same)
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/quarantine", SubscriberShape, body=Why, summary="Tell a subscriber nothing for now")
def quarantine_subscriber(subscriber_id: int, body: dict[str, Any]) -> Answer:
    found = _subscriber(subscriber_id, to_change=True)
    version = expected_version(found.version)
    actions.quarantine(found, why=body["why"], version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/reactivate", SubscriberShape, body=Why, summary="Tell a subscriber again")
def reactivate_subscriber(subscriber_id: int, body: dict[str, Any]) -> Answer:
    """What had stopped mails to the address is over, but for what staff have stopped by hand."""
    found = _subscriber(subscriber_id, to_change=True)
    version = expected_version(found.version)
    actions.reactivate(found, why=body["why"], version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.removes(NAME, summary="Forget a subscriber", of_version=True)
def remove_subscriber(subscriber_id: int) -> None:
    """With the address."""
    found = _subscriber(subscriber_id, to_change=True)
    if expected_version(found.version) != found.version:
        raise StaleEdit
    actions.remove(found, by=access.actor(), now=clock.utcnow())


def _subscriber(subscriber_id: int, *, to_change: bool = False) -> Subscriber:
    found = by_id(subscriber_id, to_change=to_change)
    if found is None:
        raise NotFound
    return found


def _known(topics: Collection[str], kept: Collection[str] = ()) -> list[str]:
    """These topics; RuleViolation for one there is not. What somebody hears of may stay. At most two queries."""
    finer = finer_in(topics)
    there = {*told_to_subscribers(), *kept, *components_named(finer), *services_named(finer)}
    for each in [*kinds_in(topics), *sorted(finer)]:
        if each not in there:
            raise RuleViolation(f"There is nothing called “{each}” to hear of.", "topics")
    return list(topics)


def _followable(incident_ids: Collection[int]) -> list[Conversation]:
    """These incidents, to be followed; RuleViolation for one there is not, that not everybody may see, or is over."""
    now, found = clock.utcnow(), []
    for each in dict.fromkeys(incident_ids):
        incident = followable_by_id(each, now)
        if incident is None:
            raise RuleViolation(f"There is no incident {each} that everybody may see and that goes on.", "incident_ids")
        found.append(incident.conversation)
    return found


def _followed_anew(found: Subscriber, incident_ids: Collection[int]) -> list[Conversation]:
    """What somebody follows from now on. What they follow already may stay, whatever became of it."""
    known = {incident_of(each): each for each in followed_by([found.id]).get(found.id, [])}
    kept = [Conversation(known[each], TOPIC) for each in dict.fromkeys(incident_ids) if each in known]
    return [*kept, *_followable([each for each in incident_ids if each not in known])]


def _here(violation: RuleViolation) -> RuleViolation:
    names = {"kinds": "topics", "components": "topics", "followed": "incident_ids"}
    return RuleViolation(violation.sentence, names.get(violation.field or "", violation.field))


def _shown(found: Subscriber, followed: Mapping[int, Sequence[str]] | None = None) -> dict[str, Any]:
    followed = followed_by([found.id]) if followed is None else followed
    names = ("id", "kind", "address", "topics", "language", "is_shared", "state", "source", "consent", "reason")
    moments = ("created_at", "confirmed_at", "quarantined_at")
    return {name: getattr(found, name) for name in (*names, *moments, "version")} | {
        "portal_id": found.domain_id,
        "incident_ids": [incident_of(each) for each in followed.get(found.id, ())],
    }
