"""`/api/v1/webhooks`: machines that are told beside mail, of companies, of people and of the staff."""

from collections.abc import Sequence
from typing import Any

from flask import current_app
from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.queries import person_by_id
from portal.accounts.rules.tokens import Resource, Scope
from portal.api.v1.fields import Id, InAddress, Moment, Switch, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.errors import NotFound, RuleViolation
from portal.keyset import Piece
from portal.language import LANGUAGES
from portal.notifications.channels import actions
from portal.notifications.channels.queries import (
    WEBHOOK_ORDERS,
    channel_by_id,
    owner_of,
    unreachable_among,
    webhooks,
)
from portal.notifications.channels.rules import ADDRESS_LENGTH, LABEL_LENGTH, ChannelKind, ChannelState, Outcome, Owner
from portal.notifications.channels.trial import try_out
from portal.notifications.kinds import told_beside_mail
from portal.notifications.models import ContactChannel

blueprint = Resources(
    Resource.WEBHOOKS,
    about="Machines that are told of incidents and notices as signed JSON (Standard Webhooks), and those of the staff "
    "that hear of alarms. The address is sealed and never shown again; the secret is shown once, where it is made. "
    "Text messages, Slack and Teams are set up on screen.",
)

TOPICS_AT_MOST = 1000

NAMES = (
    "id",
    "company_id",
    "person_id",
    "topics",
    "language",
    "state",
    "failures",
    "failing_since",
    "code",
    "last_sent_at",
    "old_secret_until",
    "created_at",
    "version",
)

FIELDS = {"label": "name", "address": "url", "company": "company_id", "person": "person_id"}
"""What the parts of a channel are called here."""


class WebhookShape(Shape):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    owner = Word(Owner, required=True, metadata={"description": "Whose it is."})
    company_id = fields.Integer(required=True, allow_none=True)
    person_id = fields.Integer(required=True, allow_none=True)
    leads_to = fields.String(required=True, metadata={"description": "The URL without what makes it secret."})
    topics = fields.List(fields.String(), required=True, metadata={"description": "What it hears of."})
    language = fields.String(required=True)
    state = Word(ChannelState, required=True)
    unreachable = fields.String(
        required=True, allow_none=True, metadata={"description": "Why nothing reaches it; null where something does."}
    )
    failures = fields.Integer(required=True, metadata={"description": "How often in a row it has failed."})
    failing_since = Moment(required=True, allow_none=True)
    code = fields.Integer(required=True, allow_none=True, metadata={"description": "The status of its last answer."})
    last_sent_at = Moment(required=True, allow_none=True)
    old_secret_until = Moment(
        required=True,
        allow_none=True,
        metadata={"description": "Until then the secret before signs beside the newest."},
    )
    created_at = Moment(required=True)
    version = fields.Integer(required=True)


class WebhookWithSecretShape(WebhookShape):
    secret = fields.String(
        required=True, metadata={"description": "What it is signed with. Shown here and never again."}
    )


class WebhookTestShape(Shape):
    arrived = fields.Boolean(required=True)
    code = fields.Integer(required=True, allow_none=True, metadata={"description": "The status of the answer, if any."})
    answer = fields.String(required=True, metadata={"description": "What was answered, or why nothing was."})
    webhook = fields.Nested(WebhookShape, required=True)


class WebhookQuery(ListQuery):
    company_id = InAddress(metadata={"description": "Those of this company."})
    person_id = InAddress(metadata={"description": "Those of this person."})
    owner = Word(Owner, metadata={"description": "Those of companies, of people or of the staff."})
    state = Word(ChannelState)
    sort = sorted_by(WEBHOOK_ORDERS)


def _name(**rest: Any) -> Text:
    return Text(least=1, most=LABEL_LENGTH, metadata={"example": "Their operations room"}, **rest)


def _url(**rest: Any) -> Text:
    return Text(
        least=1,
        most=ADDRESS_LENGTH,
        metadata={"description": "HTTPS, and on the public internet.", "example": "https://hooks.example.com/in/5f2e"},
        **rest,
    )


def _topics(**rest: Any) -> Any:
    return fields.List(
        Text(least=1, most=60),
        validate=validate.Length(max=TOPICS_AT_MOST),
        metadata={
            "description": "`incidents`, `notices` …, usually all of them. Where services or components are among "
            "them (`service:12`, `component:5`), only incidents that touch one of these."
        },
        **rest,
    )


def _language(**rest: Any) -> Any:
    return fields.String(validate=validate.OneOf(sorted(LANGUAGES)), **rest)


class NewWebhook(Shape):
    """It belongs to exactly one of `company_id`, `person_id` and, with `for_staff`, the staff, whose hear of alarms."""

    name = _name(required=True)
    url = _url(required=True)
    company_id = Id(load_default=None, allow_none=True)
    person_id = Id(load_default=None, allow_none=True)
    for_staff = Switch(load_default=False)
    topics = _topics(load_default=None, allow_none=True)
    language = _language(load_default="en")


class WebhookChange(Shape):
    name = _name()
    url = _url()
    topics = _topics()
    language = _language()


@blueprint.lists("", WebhookQuery, WebhookShape, summary="List webhooks")
def list_webhooks(query: dict[str, Any]) -> Piece[Any]:
    found = webhooks(
        wanted(query, WEBHOOK_ORDERS),
        company_id=query.get("company_id"),
        person_id=query.get("person_id"),
        owner=query.get("owner"),
        state=query.get("state"),
    )
    return Piece(_shown(found.items), found.next)


@blueprint.makes("", NewWebhook, WebhookWithSecretShape, summary="Set a webhook up", is_secret=True)
def add_webhook(body: dict[str, Any]) -> Answer:
    """Send it a test before you rely on it."""
    company_id, person_id = body["company_id"], body["person_id"]
    if [company_id is not None, person_id is not None, body["for_staff"]].count(True) != 1:
        raise RuleViolation("Name exactly one of company_id, person_id and for_staff.", "company_id")
    if person_id is not None:
        _check_person(person_id)
    if body["for_staff"] and body["topics"]:
        raise RuleViolation("Webhooks of the staff hear of alarms; they have no topics to choose.", "topics")
    topics = list(told_beside_mail()) if body["topics"] is None else body["topics"]
    try:
        added, secret = actions.add_channel(
            ChannelKind.WEBHOOK,
            body["name"],
            body["url"],
            topics,
            company_id=company_id,
            person_id=person_id,
            language=body["language"],
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer({**_one(added), "secret": secret}, f"/webhooks/{added.id}")


@blueprint.reads("/<int:webhook_id>", WebhookShape, summary="Read a webhook")
def read_webhook(webhook_id: int) -> Answer:
    return Answer(_one(_webhook(webhook_id)))


@blueprint.changes("/<int:webhook_id>", WebhookChange, WebhookShape, summary="Change a webhook")
def change_webhook(webhook_id: int, body: dict[str, Any]) -> Answer:
    """With a new URL it begins anew, without the failures of the old one."""
    webhook = _webhook(webhook_id, to_change=True)
    if owner_of(webhook) is Owner.STAFF and "topics" in body:
        raise RuleViolation("Webhooks of the staff hear of alarms; they have no topics to choose.", "topics")
    try:
        actions.change_channel(
            webhook,
            body.get("name", webhook.label),
            body.get("topics", webhook.topics),
            address=body.get("url"),
            language=body.get("language", webhook.language),
            version=expected_version(webhook.version),
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_one(webhook))


@blueprint.does(
    "/<int:webhook_id>/secret", WebhookWithSecretShape, summary="Make a webhook a new secret", is_secret=True
)
def renew_webhook_secret(webhook_id: int) -> Answer:
    """The one before signs beside it for a week, so that the receiver can change over without losing anything."""
    webhook = _webhook(webhook_id, to_change=True)
    version = expected_version(webhook.version)
    secret = actions.renew_secret(webhook, version=version, by=access.actor(), now=clock.utcnow())
    return Answer({**_one(webhook), "secret": secret})


@blueprint.does("/<int:webhook_id>/end-old-secret", WebhookShape, summary="Sign with a webhook’s newest secret alone")
def end_old_webhook_secret(webhook_id: int) -> Answer:
    webhook = _webhook(webhook_id, to_change=True)
    version = expected_version(webhook.version)
    actions.end_old_secret(webhook, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(webhook))


def _sent(webhook_id: int) -> Outcome:
    return try_out(_webhook(webhook_id), clock.utcnow())


@blueprint.does(
    "/<int:webhook_id>/test", WebhookTestShape, summary="Send a webhook a test", of_version=False, outside=_sent
)
def test_webhook(webhook_id: int, found: Outcome) -> Answer:
    """It is asked at once, and its answer is told. One that was given up is back in use when the test arrives."""
    webhook = _webhook(webhook_id, to_change=True)
    actions.note_test(webhook, found, by=access.actor(), now=clock.utcnow())
    told = {"arrived": found.failure is None, "code": found.code, "answer": found.text}
    return Answer({**told, "webhook": _one(webhook)})


@blueprint.removes("/<int:webhook_id>", summary="Remove a webhook", of_version=True)
def remove_webhook(webhook_id: int) -> None:
    """Its address is forgotten, and what waits for it is called off."""
    webhook = _webhook(webhook_id, to_change=True)
    version = expected_version(webhook.version)
    actions.remove_channel(webhook, version=version, by=access.actor(), now=clock.utcnow())


def _webhook(webhook_id: int, *, to_change: bool = False) -> ContactChannel:
    found = channel_by_id(webhook_id, to_change=to_change)
    if found is None or found.kind is not ChannelKind.WEBHOOK:
        raise NotFound
    return found


def _check_person(person_id: int) -> None:
    """Staff are people of the API for the scope that sees them alone; to others even their names are not there."""
    person = person_by_id(person_id)
    if person is None or (person.role is not None and access.key().scope is not Scope.ADMIN):
        raise RuleViolation(f"There is no person {person_id}.", "person_id")


def _here(violation: RuleViolation) -> RuleViolation:
    return RuleViolation(violation.sentence, FIELDS.get(violation.field or "", violation.field))


def _one(found: ContactChannel) -> dict[str, Any]:
    return _shown([found])[0]


def _shown(found: Sequence[ContactChannel]) -> list[dict[str, Any]]:
    why = unreachable_among(found, current_app.config["SETTINGS"])
    return [
        {
            **{name: getattr(each, name) for name in NAMES},
            "name": each.label,
            "owner": owner_of(each),
            "leads_to": each.hint,
            "unreachable": why.get(each.id),
        }
        for each in found
    ]
