"""Texts in other languages, as a request and an answer say them."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from portal.api.v1.fields import Text
from portal.api.v1.schemas import Shape
from portal.incidents.actions.writing import BODY_LENGTH, TITLE_LENGTH
from portal.language import LANGUAGES

READ = "By language, beside the original; a language without a text reads the original."
WRITTEN = f"{READ} What is sent replaces all there is."


class TitleIn(Shape):
    title = Text(least=1, most=TITLE_LENGTH, metadata={"example": "Der Nordring ist langsam"})


class BodyIn(Shape):
    body = Text(least=1, most=BODY_LENGTH, metadata={"description": "Markdown."})


class TextsIn(TitleIn, BodyIn):
    pass


def translations_to_set(shape: type[Shape], **rest: Any) -> fields.Dict:
    """The field of a request that says texts in other languages."""
    return fields.Dict(
        keys=fields.String(validate=validate.OneOf(list(LANGUAGES))),
        values=fields.Nested(shape),
        metadata={"description": WRITTEN},
        **rest,
    )


def translations_read(shape: type[Shape]) -> fields.Dict:
    """The field of an answer that has them."""
    return fields.Dict(keys=fields.String(), values=fields.Nested(shape), required=True, metadata={"description": READ})


def texts_meant(body: Mapping[str, Any], name: str) -> dict[str, str] | None:
    """The texts of a request beside one original, by language; None where it says nothing of them."""
    sent = body.get("translations")
    return None if sent is None else {code: said[name] for code, said in sent.items() if name in said}
