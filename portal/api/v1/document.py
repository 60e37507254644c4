"""The OpenAPI document, made from the operations themselves, and what it says of all of them alike."""

from typing import Any, cast

import flask_smorest  # type: ignore[import-untyped]
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema

from portal.accounts.rules.tokens import MAY, SCOPE_WORDS, Resource, Right, Scope
from portal.api.v1 import resources
from portal.api.v1.fields import Moment
from portal.api.v1.operations import Resources
from portal.api.v1.schemas import Problem
from portal.config import Settings

TITLE = "Signalbox API"
VERSION = "1"

WORDS = """\
Everything a person can do in Signalbox, for machines.

* **Tokens.** Send `Authorization: Bearer sbx_…` with every request. An administrator makes tokens under Setup → \
Integrations → API tokens, or with `portal create-token`. A token has a scope; one that is bound to a company sees \
what the people of that company could see, and nothing else exists for it.
* **Lists** come in pieces of at most 100. `next` is the address of the following piece, null at the end.
* **Changes** of what others may edit too take `If-Match` with the ETag you were given. Without it the answer is \
428, and 409 where somebody else was faster. `If-Match: *` overwrites whatever is there.
* **Every POST** takes an `Idempotency-Key`. The same request with the same key is answered the same within a day and \
done once; another request with that key is refused with 422.
* **Refusals** are problem details (RFC 9457) with a sentence that says what to do.
* **Moments** are RFC 3339; they come back in UTC with a Z.
* **Limits.** A token may ask {limit:,} times a minute. `RateLimit-Remaining` says what is left; beyond it the answer \
is 429 with `Retry-After`.
"""

REFUSALS = {
    400: ("BadRequest", "It could not be read: broken JSON, encoding or host."),
    401: ("Unauthorized", "No token, or one that opens nothing."),
    403: ("Forbidden", "The scope of the token does not reach that far."),
    404: ("NotFound", "Nothing with this address is there for this token."),
    405: ("NoSuchMethod", "This address does not take this method; the header Allow lists those it takes."),
    409: ("Conflict", "Somebody else changed it in between, or a request with this key is being worked on."),
    413: ("TooLarge", "The body is too large."),
    415: ("NotJson", "The body is not application/json."),
    422: ("Unacceptable", "Part of the request is not acceptable; `errors` says which."),
    428: ("NoIfMatch", "Send If-Match with the ETag of what you change."),
    429: ("TooOften", "Asked too often. Wait for the seconds in Retry-After."),
    503: ("Busy", "The data is being written by somebody else. Wait for the seconds in Retry-After."),
}
"""Every status that is no success, with the name of its answer in the document and when it is given."""

ALWAYS = (400, 401, 403, 404, 405, 422, 429, 503)
OF_CHANGES = (409, 413, 415)

LIMITS = {
    "RateLimit-Limit": "How often this token may ask within a minute.",
    "RateLimit-Remaining": "How often it still may.",
    "RateLimit-Reset": "Seconds until the count begins anew.",
}

IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of what is changed, as it was given, or `*` for whatever is there.",
    "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[0-9]{1,10}(\.[0-9a-f]+)?")$'},
    "example": "*",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A text of your own, new for each new request. Sent again within a day it gets the same answer.",
    "schema": {"type": "string", "pattern": r"^[!-~]{1,255}$"},
}


class _Api(flask_smorest.Api):
    """Only describes: refusals are the house's own."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = Problem

    def _register_error_handlers(self) -> None:
        """None of its own."""

    def _register_pagination_header(self) -> None:
        """Pieces of lists say themselves where the next one is."""


def document(app: Flask) -> dict[str, Any]:
    """The whole document as plain data, made when it is first asked for."""
    known = app.extensions.get("api_v1_document")
    if known is None:
        known = app.extensions["api_v1_document"] = _made(app)
    return cast(dict[str, Any], known)


def _made(app: Flask) -> dict[str, Any]:
    settings: Settings = app.config["SETTINGS"]
    api = _Api()
    api.init_app(
        app,
        spec_kwargs={
            "title": TITLE,
            "version": VERSION,
            "openapi_version": "3.1.0",
            "marshmallow_plugin": MarshmallowPlugin(schema_name_resolver=_name_of),
            "info": {"description": WORDS.format(limit=settings.api_requests_per_minute)},
            "servers": [{"url": settings.base_url}],
            "security": [{"token": []}],
        },
    )
    api.register_field(Moment, "string", "date-time")
    api.spec.components.security_scheme(
        "token",
        {"type": "http", "scheme": "bearer", "description": "\n".join(_scope_lines())},
    )
    for each in resources():
        blueprint = cast(Resources, each)
        blueprint.register_views_in_doc(api, app, api.spec, name=blueprint.name, parameters=None)
        api.spec.tag({"name": blueprint.title, "description": blueprint.description})
    made: dict[str, Any] = api.spec.to_dict()
    made["components"]["responses"] = dict(map(_refusal, REFUSALS))
    by_name = {each.name: cast(Resources, each) for each in resources()}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            if method in {"get", "post", "put", "patch", "delete"}:
                _complete(path, method, operation, by_name)
    return made


def _name_of(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return cast(type[Schema], kind).__name__.removesuffix("Shape").lstrip("_")


def _scope_lines() -> list[str]:
    return ["A token has one scope:", "", *(f"* `{scope}`: {words}" for scope, words in SCOPE_WORDS.items())]


def _refusal(status: int) -> tuple[str, dict[str, Any]]:
    name, words = REFUSALS[status]
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    described: dict[str, Any] = {"description": words, "content": content}
    if status in {429, 503}:
        described["headers"] = {"Retry-After": _header("Seconds to wait.", "integer")}
    if status == 405:
        described["headers"] = {"Allow": _header("The methods it takes.", "string")}
    if status == 401:
        described["headers"] = {"WWW-Authenticate": _header("The way to identify: Bearer.", "string")}
    return name, described


def _header(words: str, kind: str) -> dict[str, Any]:
    return {"description": words, "schema": {"type": kind}}


def _complete(path: str, method: str, operation: dict[str, Any], by_name: dict[str, Resources]) -> None:
    """Say of an operation what its decorator knows and what holds for all of its method."""
    blueprint = by_name[operation["tags"][0]]
    operation["tags"] = [blueprint.title]
    of_version = operation.pop("x-of-version", False)
    resource = Resource(path.split("/")[3])
    needed = Right.READ if method == "get" else Right.WRITE
    operation["x-scopes"] = [scope.value for scope in Scope if MAY[scope].get(resource, Right.NONE) >= needed]
    parameters = operation.setdefault("parameters", [])
    if method == "post":
        parameters.append(IDEMPOTENCY_KEY)
    if of_version:
        parameters.append(IF_MATCH | {"required": True})
    elif operation["operationId"] == "post_update":
        parameters.append(IF_MATCH | {"required": False})
    for status, answer in operation["responses"].items():
        answer["headers"] = {name: _header(words, "integer") for name, words in LIMITS.items()}
        if int(status) != 204:
            answer["headers"]["ETag"] = _header("What it is now, for If-Match and If-None-Match.", "string")
        if int(status) == 201:
            answer["headers"]["Location"] = _header("Where it is from now on.", "string")
    statuses = [*ALWAYS, *(OF_CHANGES if method != "get" else ()), *((428,) if of_version else ())]
    for status in sorted(statuses):
        operation["responses"][str(status)] = {"$ref": f"#/components/responses/{REFUSALS[status][0]}"}
