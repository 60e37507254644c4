"""What some are told in words of their own, as a request and an answer say it."""

from collections.abc import Iterable
from typing import Any

from marshmallow import fields, validate

from portal.api.v1.fields import Id, Text
from portal.api.v1.incidents.languages import BodyIn, texts_meant, translations_read, translations_to_set
from portal.api.v1.schemas import Shape
from portal.errors import RuleViolation
from portal.incidents.actions.writing import BODY_LENGTH
from portal.incidents.queries.wordings import audience_names
from portal.incidents.rules.languages import translations_of
from portal.incidents.rules.wordings import WORDINGS_AT_MOST, Wording


class WordingShape(Shape):
    company_id = fields.Integer(required=True, allow_none=True)
    portal_id = fields.Integer(required=True, allow_none=True)
    name = fields.String(required=True, metadata={"description": "Whom it is for, in words."})
    text = fields.String(required=True, metadata={"description": "Markdown."})
    translations = translations_read(BodyIn)


class OwnWording(Shape):
    """What a company, or everybody at home on a portal domain, is told instead; exactly one of the two is named."""

    company_id = Id(load_default=None, allow_none=True)
    portal_id = Id(load_default=None, allow_none=True)
    text = Text(required=True, least=1, most=BODY_LENGTH, metadata={"description": "Markdown."})
    translations = translations_to_set(BodyIn, load_default=dict)


def wordings_to_set(**rest: Any) -> fields.List[Any]:
    """The field of a request that names some; a company's own goes before that of its home portal domain."""
    return fields.List(fields.Nested(OwnWording), validate=validate.Length(max=WORDINGS_AT_MOST), **rest)


def meant(given: Iterable[dict[str, Any]]) -> tuple[Wording, ...]:
    """The wordings of a request; RuleViolation at `wordings` where one is for nobody, or for two."""
    try:
        return tuple(
            Wording(each["text"], each["company_id"], each["portal_id"], texts_meant(each, "body") or {})
            for each in given
        )
    except ValueError:
        raise RuleViolation("A wording is for exactly one of company_id and portal_id.", "wordings") from None


def shown(wordings: Iterable[Wording]) -> list[dict[str, Any]]:
    """Wordings as an answer shows them. At most two queries."""
    found = list(wordings)
    names = audience_names(found)
    return [
        {
            "company_id": each.company_id,
            "portal_id": each.domain_id,
            "name": names.get(each.key, ""),
            "text": each.text,
            "translations": translations_of(body=each.texts),
        }
        for each in found
    ]
