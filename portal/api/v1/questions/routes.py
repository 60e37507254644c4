"""`/api/v1/questions`: “Is email down?”, answered as the company that asks would read it in its portal."""

from typing import Any

from flask import g
from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.queries.listings import company_by_id
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import InAddress, Moment, Text, Word
from portal.api.v1.operations import Answer, Resources
from portal.api.v1.requests import Refusal
from portal.api.v1.schemas import Shape
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.language import LANGUAGES
from portal.services.queries import ServiceLine
from portal.services.questions.queries import is_open
from portal.services.questions.replies import reply
from portal.services.questions.rules import Meaning
from portal.services.rules import ServiceStatus

blueprint = Resources(
    Resource.QUESTIONS,
    Area.SERVICES,
    about="How a company’s services are, asked in plain words. All of it is 404 while the setting Assistant → "
    "Permissions → Service status access is off.",
)

EVERYTHING = "status"
"""What is asked by who asks nothing in particular."""

NO_COMPANY = "Say whose services it is about: company_id."


class AnsweredServiceShape(Shape):
    holding_id = fields.Integer(required=True)
    service_id = fields.Integer(required=True)
    name = fields.String(required=True)
    reference = fields.String(required=True, metadata={"description": "May be empty."})
    status = Word(
        ServiceStatus,
        required=True,
        allow_none=True,
        metadata={"description": "As its company sees it; null where nothing may be said of it."},
    )
    reason = fields.String(required=True, metadata={"description": "The incident or maintenance behind it, if any."})
    since = Moment(required=True, allow_none=True)
    starts_at = Moment(required=True, allow_none=True, metadata={"description": "When scheduled service begins."})
    ends_at = Moment(
        required=True,
        allow_none=True,
        metadata={"description": "When scheduled service ends, or a problem is estimated to be over."},
    )
    notes = fields.String(required=True, metadata={"description": "What staff wrote, in Markdown; may be empty."})
    incident_public_id = fields.String(required=True, allow_none=True)


class QuestionAnswerShape(Shape):
    meaning = Word(
        Meaning,
        required=True,
        metadata={
            "description": "What it was taken for: `about` these services, `everything` they have, `unsure` which of "
            "these, `unknown` to this company, or something `other` than how a service is."
        },
    )
    answer = fields.String(required=True, metadata={"example": "Email is operating normally at the moment."})
    services = fields.List(
        fields.Nested(AnsweredServiceShape),
        required=True,
        metadata={"description": "Those the answer speaks of, the worst first."},
    )


class QuestionQuery(Shape):
    q = Text(
        most=1000,
        load_default="",
        metadata={"description": "The question; without one, how everything is.", "example": "Is email down?"},
    )
    company_id = InAddress(
        metadata={"description": "Whose services. A company’s token needs none, and may name no other."}
    )
    language = fields.String(
        validate=validate.OneOf(list(LANGUAGES)),
        metadata={"description": "The language of the answer; usually that of the company’s portal."},
    )


@blueprint.asks("", QuestionQuery, QuestionAnswerShape, summary="Ask how a service is")
def ask_question(query: dict[str, Any]) -> Answer:
    """What the company would be told in its own portal, from the same statuses."""
    if not is_open():
        raise NotFound
    domain = g.portal if access.key().company_id is not None and not g.on_staff_host else None
    found = reply(
        query["q"].strip() or EVERYTHING, _company(query), clock.utcnow(), domain=domain, language=query.get("language")
    )
    if found is None:
        raise NotFound
    return Answer(
        {
            "meaning": found.meaning,
            "answer": found.words,
            "services": [shown(line) for line in found.lines],
        }
    )


def shown(line: ServiceLine) -> dict[str, Any]:
    """A service as its shape has it."""
    named = ("holding_id", "service_id", "name", "reference", "status", "reason", "since", "starts_at", "notes")
    return {name: getattr(line, name) for name in named} | {
        "ends_at": line.until,
        "incident_public_id": line.incident,
    }


def _company(query: dict[str, Any]) -> int:
    """Whose services are meant; somebody else's are not there for a company's token."""
    own, named = access.key().company_id, query.get("company_id")
    if own is not None:
        if named not in (None, own):
            raise NotFound
        return own
    if named is None:
        raise Refusal(422, NO_COMPANY, [{"detail": NO_COMPANY, "parameter": "company_id"}])
    if company_by_id(named) is None:
        raise NotFound
    return int(named)
