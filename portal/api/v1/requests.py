"""Reading what a machine sends: strict JSON, a query without surprises, and the headers that steer a change."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from flask import request
from marshmallow import Schema, ValidationError

KEY = re.compile(r"[\x21-\x7e]{1,255}")
ETAG = re.compile(r'(?:W/)?"(\d{1,10})(?:\.[0-9a-f]+)?"', re.ASCII)


class Refusal(Exception):  # noqa: N818 (refusals are named as one says them)
    """A request that cannot be taken: the status of the answer, a sentence, and the parts that are wrong."""

    def __init__(self, status: int, detail: str = "", problems: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = problems or []


def query_of(schema: Schema) -> dict[str, Any]:
    """The query of the address, read by the schema: nothing it does not name, and nothing twice."""
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        _refuse({name: ["This is given more than once."] for name in twice}, "parameter")
    try:
        found: dict[str, Any] = schema.load(request.args.to_dict())
    except ValidationError as error:
        _refuse(_messages(error), "parameter")
    return found


def body_of(schema: Schema, *, is_optional: bool = False) -> dict[str, Any]:
    """The body, read by the schema. With `is_optional` none at all is as good as an empty object."""
    if is_optional and not request.get_data(cache=True):
        return {}
    try:
        found: dict[str, Any] = schema.load(_json())
    except ValidationError as error:
        _refuse(_messages(error), "pointer")
    return found


def idempotency_key() -> str | None:
    """The Idempotency-Key, if one was sent."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not KEY.fullmatch(key):
        sentence = "A key has 1 to 255 plain characters without spaces."
        raise Refusal(422, sentence, [{"detail": sentence, "header": "Idempotency-Key"}])
    return key


def expected_version(current: int, *, is_optional: bool = False) -> int:
    """The version the machine has seen, from If-Match: an ETag, or * for whatever is there. 428 without one.

    With `is_optional` none means whatever is there too.
    """
    header = request.headers.get("If-Match", "").strip()
    if header == "*" or (is_optional and not header):
        return current
    if not header:
        raise Refusal(428)
    found = ETAG.fullmatch(header)
    if found is None:
        sentence = "This is no ETag of this resource. Send the one you were given, with its quotation marks."
        raise Refusal(422, sentence, [{"detail": sentence, "header": "If-Match"}])
    return int(found[1])


def _json() -> Any:
    if request.mimetype != "application/json":
        raise Refusal(415)
    try:
        text = request.get_data(cache=True).decode("utf-8")
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Refusal(400) from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number too large to be one")
    return number


def _messages(error: ValidationError) -> Mapping[str, Any]:
    found = error.messages
    return found if isinstance(found, Mapping) else {"_schema": found}


def _refuse(messages: Mapping[str, Any], where: str) -> NoReturn:
    problems = [{"detail": sentence, where: place} for place, sentence in _flat(messages, where)]
    first = problems[0]
    place = first[where].lstrip("/") or "the body"
    raise Refusal(422, f"{place}: {first['detail']}"[:500], problems[:50])


def _flat(messages: Any, where: str, path: str = "") -> list[tuple[str, str]]:
    """Marshmallow's nested messages as pairs of place and sentence."""
    if isinstance(messages, Mapping):
        found = []
        for name, inner in messages.items():
            step = "" if name == "_schema" else str(name)[:100].replace("~", "~0").replace("/", "~1")
            inside = path if not step else f"{path}/{step}" if where == "pointer" else step
            found += _flat(inner, where, inside)
        return found
    return [(path, str(sentence)) for sentence in messages]
