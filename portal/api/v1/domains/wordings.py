"""`/api/v1/portals/{id}/wordings/{language}`: what customers of a portal domain read for each state."""

from typing import Any

from flask import abort
from marshmallow import fields, validate

from portal import access, clock
from portal.api.v1.domains.portals import blueprint, portal_or_404
from portal.api.v1.fields import Text
from portal.api.v1.operations import Answer
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import Shape
from portal.domains import actions
from portal.domains.models import PortalDomain
from portal.domains.rules.wordings import KEYS, LENGTH
from portal.filters import default_words
from portal.language import LANGUAGES

RULE = f"/<int:portal_id>/wordings/<any({', '.join(sorted(LANGUAGES))}):language>"


class WordingsShape(Shape):
    language = fields.String(required=True)
    own = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "What this portal domain calls otherwise.", "example": {"state.fixed": "All well"}},
    )
    read = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "Every wording as its customers read it."},
    )
    version = fields.Integer(required=True, metadata={"description": "Of the portal domain."})


class WordingsChange(Shape):
    own = fields.Dict(
        keys=fields.String(validate=validate.OneOf(KEYS)),
        values=Text(most=LENGTH),
        required=True,
        metadata={"description": "What is called otherwise from now on; everything else is called as usual."},
    )


@blueprint.reads(RULE, WordingsShape, summary="Read a portal domain’s own wordings")
def read_wordings(portal_id: int, language: str) -> Answer:
    return Answer(_shown(portal_or_404(portal_id), language))


@blueprint.sets(RULE, WordingsChange, WordingsShape, summary="Choose a portal domain’s own wordings", of_version=True)
def set_wordings(portal_id: int, language: str, body: dict[str, Any]) -> Answer:
    """It counts from the next page and the next mail on."""
    if language not in LANGUAGES:
        abort(404)
    portal = portal_or_404(portal_id)
    actions.set_wordings(
        portal,
        language,
        body["own"],
        defaults=default_words(language),
        version=expected_version(portal.version),
        by=access.actor(),
        now=clock.utcnow(),
    )
    return Answer(_shown(portal, language))


def _shown(portal: PortalDomain, language: str) -> dict[str, Any]:
    own = dict(portal.wordings.get(language, {}))
    usual = default_words(language)
    read = {key: own.get(key, usual[key]) for key in KEYS}
    return {"language": language, "own": own, "read": read, "version": portal.version}
