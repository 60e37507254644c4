"""`/api/v1/announcements`: what customers are told on a portal domain though nothing is broken."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Id, InAddress, Moment, Switch, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.domains.announcements import actions
from portal.domains.announcements.models import Announcement
from portal.domains.announcements.queries import ANNOUNCEMENT_ORDERS, announcement_by_id, announcements
from portal.domains.announcements.rules import BODY_LENGTH, TITLE_LENGTH, Stage, stage_of
from portal.domains.models import PortalDomain
from portal.domains.queries import domain_by_id
from portal.errors import NotFound, RuleViolation
from portal.keyset import Piece
from portal.language import LANGUAGES

blueprint = Resources(
    Resource.ANNOUNCEMENTS,
    about="What everybody on a portal domain is told though nothing is broken: it stands there from a moment on, until "
    "another or until somebody ends it. Customers are not mailed; subscribers are where it says so.",
)

NAME = "/<int:announcement_id>"


class WordsShape(Shape):
    title = fields.String(required=True)
    body = fields.String(required=True, metadata={"description": "Markdown."})


class AnnouncementShape(Shape):
    id = fields.Integer(required=True)
    public_id = fields.String(required=True)
    portal_id = fields.Integer(required=True)
    stage = Word(Stage, required=True, metadata={"description": "Where it is by the clock."})
    wordings = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(WordsShape),
        required=True,
        metadata={"description": "By language.", "example": {"en": {"title": "We move", "body": "To the harbour."}}},
    )
    starts_at = Moment(required=True)
    ends_at = Moment(required=True, allow_none=True, metadata={"description": "Null: until somebody ends it."})
    is_pinned = fields.Boolean(required=True, metadata={"description": "It stands above the incidents."})
    tells_subscribers = fields.Boolean(
        required=True, metadata={"description": "Subscribers who asked for announcements are told once it stands."}
    )
    told_at = Moment(required=True, allow_none=True, metadata={"description": "When they were."})
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    version = fields.Integer(required=True)


class AnnouncementQuery(ListQuery):
    stage = Word(Stage)
    portal_id = InAddress(metadata={"description": "Those of this portal domain."})
    sort = sorted_by(ANNOUNCEMENT_ORDERS)


class AnnouncementWords(Shape):
    """What it says in one language."""

    title = Text(required=True, least=1, most=TITLE_LENGTH)
    body = Text(most=BODY_LENGTH, load_default="", metadata={"description": "Markdown."})


def _wordings(**rest: Any) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(validate=validate.OneOf(sorted(LANGUAGES))),
        values=fields.Nested(AnnouncementWords),
        metadata={
            "description": "By language, that of the portal domain at least.",
            "example": {"en": {"title": "We move", "body": "To the harbour."}},
        },
        **rest,
    )


class NewAnnouncement(Shape):
    portal_id = Id(required=True)
    wordings = _wordings(required=True)
    starts_at = Moment(load_default=None, allow_none=True, metadata={"description": "Null: at this moment."})
    ends_at = Moment(load_default=None, allow_none=True)
    is_pinned = Switch(load_default=False)
    tells_subscribers = Switch(
        load_default=False, metadata={"description": "Tell subscribers who asked for announcements, once it stands."}
    )


class AnnouncementChange(Shape):
    wordings = _wordings()
    starts_at = Moment()
    ends_at = Moment(allow_none=True)
    is_pinned = Switch()
    tells_subscribers = Switch(metadata={"description": "As long as they have not been told."})


@blueprint.lists("", AnnouncementQuery, AnnouncementShape, summary="List announcements")
def list_announcements(query: dict[str, Any]) -> Piece[Any]:
    found = announcements(
        wanted(query, ANNOUNCEMENT_ORDERS),
        clock.utcnow(),
        stage=query.get("stage"),
        domain_id=query.get("portal_id"),
    )
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.makes("", NewAnnouncement, AnnouncementShape, summary="Announce something")
def add_announcement(body: dict[str, Any]) -> Answer:
    """It stands there from its beginning on, from now on if that is past."""
    domain, now = domain_by_id(body["portal_id"]), clock.utcnow()
    if domain is None:
        raise RuleViolation("There is no such portal domain.", "portal_id")
    try:
        made = actions.announce(
            domain,
            body["wordings"],
            starts_at=body["starts_at"] or now,
            ends_at=body["ends_at"],
            is_pinned=body["is_pinned"],
            tells_subscribers=body["tells_subscribers"],
            by=access.actor(),
            author_id=None,
            now=now,
            idempotency_key=f"api:{token_hex(16)}",
        )
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_shown(made), f"/announcements/{made.id}")


@blueprint.reads(NAME, AnnouncementShape, summary="Read an announcement")
def read_announcement(announcement_id: int) -> Answer:
    return Answer(_shown(_announcement(announcement_id)))


@blueprint.changes(NAME, AnnouncementChange, AnnouncementShape, summary="Change an announcement")
def change_announcement(announcement_id: int, body: dict[str, Any]) -> Answer:
    """It stays on its portal domain. `wordings` are all there are from now on."""
    found = _announcement(announcement_id)
    version = expected_version(found.version)
    try:
        actions.edit(
            found,
            _domain_of(found),
            body.get("wordings", found.wordings),
            starts_at=body.get("starts_at", found.starts_at),
            ends_at=body.get("ends_at", found.ends_at),
            is_pinned=body.get("is_pinned", found.is_pinned),
            tells_subscribers=body.get("tells_subscribers") if found.told_at is None else None,
            version=version,
            by=access.actor(),
            now=clock.utcnow(),
        )
    except RuleViolation as violation:
        raise _here(violation) from None
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/end", AnnouncementShape, summary="Have an announcement stand no longer")
def end_announcement(announcement_id: int) -> Answer:
    """History keeps it. One that has not begun is removed instead."""
    found = _announcement(announcement_id)
    actions.end(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.removes(NAME, summary="Take an announcement away", of_version=True)
def remove_announcement(announcement_id: int) -> None:
    """From history and from the feed too."""
    found = _announcement(announcement_id)
    actions.remove(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())


def _announcement(announcement_id: int) -> Announcement:
    found = announcement_by_id(announcement_id)
    if found is None:
        raise NotFound
    return found


def _domain_of(announcement: Announcement) -> PortalDomain:
    found = domain_by_id(announcement.domain_id)
    if found is None:
        raise NotFound
    return found


def _here(violation: RuleViolation) -> RuleViolation:
    """The same, pointed at by the names of the body: `title_de` is in the wordings here."""
    part, _, language = (violation.field or "").partition("_")
    is_words = part in {"title", "body"} and language in LANGUAGES
    return RuleViolation(violation.sentence, "wordings" if is_words else violation.field)


def _shown(found: Announcement) -> dict[str, Any]:
    names = ("id", "public_id", "starts_at", "ends_at", "is_pinned", "tells_subscribers", "told_at")
    rest = ("created_at", "updated_at", "version")
    return {
        **{name: getattr(found, name) for name in (*names, *rest)},
        "portal_id": found.domain_id,
        "stage": stage_of(found.starts_at, found.ends_at, clock.utcnow()),
        "wordings": {language: _words(words) for language, words in found.wordings.items()},
    }


def _words(words: Mapping[str, str]) -> dict[str, str]:
    return {"title": words.get("title", ""), "body": words.get("body", "")}
