"""The way of every request: read it strictly, ask the view, write the answer, commit once.

A view takes what was read and returns an `Answer` or a `Piece` of a list. What it changed, the answer to its
Idempotency-Key and the audit entries are one transaction, so a crash leaves all of them or none.
"""

import hashlib
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

import flask_smorest  # type: ignore[import-untyped]
from flask import Response, current_app, g, request
from marshmallow import Schema, fields

from portal import access, clock, events, sealing
from portal.accounts.actions import tokens as token_actions
from portal.accounts.queries.tokens import answer_to
from portal.accounts.rules.tokens import Resource
from portal.api.v1.requests import Refusal, body_of, idempotency_key, query_of
from portal.api.v1.schemas import ListQuery, Nothing, Shape
from portal.config import Settings
from portal.domains.rules import Area
from portal.errors import answer as problem
from portal.keyset import BadPlaceError, Order, Piece, Wanted

PREFIX = "/api/v1"

LISTED = 200
MADE = 201
DONE = 200
GONE = 204

KEPT_KEY = "This key was used for another request less than a day ago. A new request takes a new key."
HELD_KEY = "A request with this key is being worked on at this moment. Ask again in a second."
LOST_ANSWER = "It was done, and its answer cannot be read any more: the secret key has changed since."
KEPT_ANSWER = "kept answer of the API"


@dataclass(frozen=True)
class Answer:
    """One thing, as its schema shows it; `location` is the path of what was made. A `version` in it makes its ETag."""

    data: Any
    location: str | None = None


View = TypeVar("View", bound=Callable[..., Answer | Piece[Any] | Response | None])


@dataclass(frozen=True)
class Way:
    """What is particular about a POST: what it asks `outside` before it writes, and whether its answer `is_secret`."""

    outside: Callable[..., Any] | None = None
    is_secret: bool = False

    def kept(self, body: str) -> str:
        """An answer as it is written down for its key."""
        return sealing.seal(body, KEPT_ANSWER) if self.is_secret else body

    def given_again(self, kept: str) -> str:
        """An answer as it was given; Refusal where a secret one cannot be read any more."""
        try:
            return sealing.unseal(kept, KEPT_ANSWER) if self.is_secret else kept
        except sealing.Unreadable:
            raise Refusal(409, LOST_ANSWER) from None


class Resources(flask_smorest.Blueprint):
    """The operations of one resource, under its name, for tokens whose scope reaches it."""

    def __init__(self, resource: Resource, area: Area | None = None, *, about: str) -> None:
        name = f"api_{resource.value.replace('-', '_')}"
        super().__init__(name, __name__, url_prefix=f"{PREFIX}/{resource}", description=about)
        self.title = resource.value.replace("-", " ").capitalize()
        access.tokens(self, resource, area)
        self.register_error_handler(Refusal, _refused)
        self.register_error_handler(BadPlaceError, _lost)

    def reads(self, rule: str, answers: type[Schema], *, summary: str, about: str = "") -> Callable[[View], View]:
        """GET of one thing."""
        return self._operation("GET", rule, answers, DONE, summary=summary, about=about)

    def asks(
        self, rule: str, query: type[Schema], answers: type[Schema], *, summary: str, about: str = ""
    ) -> Callable[[View], View]:
        """GET of one thing that a query asks for; the view is given the query by name."""
        return self._operation("GET", rule, answers, DONE, query=query, summary=summary, about=about)

    def lists(
        self, rule: str, query: type[ListQuery], answers: type[Schema], *, summary: str, about: str = ""
    ) -> Callable[[View], View]:
        """GET of a list, a piece at a time; the view is given the query by name."""
        return self._operation("GET", rule, _piece_shape(answers), LISTED, query=query, summary=summary, about=about)

    def gives(self, rule: str, *, summary: str, about: str = "") -> Callable[[View], View]:
        """GET of the bytes of a file, as the view answers with them."""
        return self._operation("GET", rule, None, DONE, summary=summary, about=about)

    def makes(
        self,
        rule: str,
        body: type[Schema],
        answers: type[Schema],
        *,
        summary: str,
        about: str = "",
        is_secret: bool = False,
    ) -> Callable[[View], View]:
        """POST that makes something: 201 with its Location. What `is_secret` is kept sealed for its Idempotency-Key."""
        return self._operation(
            "POST", rule, answers, MADE, body=body, summary=summary, about=about, way=Way(is_secret=is_secret)
        )

    def does(
        self,
        rule: str,
        answers: type[Schema],
        *,
        summary: str,
        about: str = "",
        body: type[Schema] | None = None,
        of_version: bool = True,
        is_secret: bool = False,
        outside: Callable[..., Any] | None = None,
    ) -> Callable[[View], View]:
        """POST that does one thing to what is there; `of_version` when it takes If-Match.

        `outside` is called with what the path names before anything is written, and may end the transaction: that is
        where somebody else is asked, who may be slow. What it returns is given to the view as `found`.
        """
        return self._operation(
            "POST",
            rule,
            answers,
            DONE,
            body=body,
            of_version=of_version,
            summary=summary,
            about=about,
            way=Way(outside, is_secret),
        )

    def changes(
        self, rule: str, body: type[Schema], answers: type[Schema], *, summary: str, about: str = ""
    ) -> Callable[[View], View]:
        """PATCH: what the body names becomes as it says, the rest stays. Takes If-Match."""
        return self._operation("PATCH", rule, answers, DONE, body=body, of_version=True, summary=summary, about=about)

    def sets(
        self,
        rule: str,
        body: type[Schema] | None,
        answers: type[Schema],
        *,
        summary: str,
        about: str = "",
        of_version: bool = False,
    ) -> Callable[[View], View]:
        """PUT: it is as the body says from now on, whatever it was."""
        return self._operation(
            "PUT", rule, answers, DONE, body=body, of_version=of_version, summary=summary, about=about
        )

    def removes(self, rule: str, *, summary: str, about: str = "", of_version: bool = False) -> Callable[[View], View]:
        """DELETE: 204 without a body."""
        return self._operation("DELETE", rule, None, GONE, of_version=of_version, summary=summary, about=about)

    def _operation(
        self,
        method: str,
        rule: str,
        answers: type[Schema] | None,
        status: int,
        *,
        summary: str,
        about: str,
        query: type[Schema] | None = None,
        body: type[Schema] | None = None,
        of_version: bool = False,
        way: "Way | None" = None,
    ) -> Callable[[View], View]:
        shape = answers() if answers else None
        reading = _Reading((query or Nothing)(), body() if body else None)

        def decorate(view: View) -> View:
            @wraps(view)
            def operate(**path: Any) -> Response:
                arguments = reading.arguments()
                if method == "POST":
                    return _once(
                        lambda **more: _answer(view(**path, **arguments, **more), shape, status),
                        arguments,
                        path,
                        way or Way(),
                    )
                response = _answer(view(**path, **arguments), shape, status)
                if method != "GET":
                    events.commit()
                return response

            cast(Any, operate)._apidoc = {
                "arguments": {"parameters": _parameters(query, body)},
                "response": {"responses": {status: [_described(shape, status)]}},
                "success_status_codes": [status],
                "manual_doc": {
                    "summary": summary,
                    "description": about or view.__doc__ or "",
                    "operationId": view.__name__,
                    "x-of-version": of_version,
                },
            }
            self.add_url_rule(rule, view.__name__, operate, methods=[method])
            return view

        return decorate


@dataclass(frozen=True)
class _Reading:
    """What a request is read by."""

    query: Schema
    body: Schema | None

    def arguments(self) -> dict[str, Any]:
        """The arguments of the view: `query` and `body` where there are any."""
        found: dict[str, Any] = {}
        query = query_of(self.query)
        if not isinstance(self.query, Nothing):
            found["query"] = query
        if self.body is not None:
            found["body"] = body_of(self.body)
        elif request.method not in {"GET", "HEAD"}:
            body_of(Nothing(), is_optional=True)
        return found


def wanted(query: dict[str, Any], orders: dict[str, Order]) -> Wanted:
    """The piece of a list that a query asks for; takes what every list knows out of the query."""
    order = orders[query.pop("sort", next(iter(orders)))]
    return Wanted(order, query.pop("cursor"), query.pop("limit"))


def home_address() -> str:
    """How links in answers begin: with the stored address of the host that was asked, never with what it was called."""
    if g.portal is not None and not g.on_staff_host:
        return cast(str, g.portal.base_url)
    settings: Settings = current_app.config["SETTINGS"]
    return settings.base_url


def _once(answered: Callable[..., Response], arguments: dict[str, Any], path: dict[str, Any], way: Way) -> Response:
    """Do it and commit; with an Idempotency-Key the same request again is given the same answer and does nothing."""
    key, now = idempotency_key(), clock.utcnow()
    if key is None:
        response = answered(**_from_outside(way, path))
        events.commit()
        return response
    token_id, asked = access.key().token_id, _request_hash(arguments)
    # What was answered is not asked outside again; and whoever came in between is found once the key is held.
    again = _given_before(token_id, key, asked, now, way) if way.outside else None
    found = _from_outside(way, path) if again is None else {}
    if again is None and not token_actions.claim_key(token_id, key):
        raise Refusal(409, HELD_KEY)
    again = again or _given_before(token_id, key, asked, now, way)
    if again is not None:
        return again
    response = answered(**found)
    token_actions.keep_answer(
        token_id,
        key,
        request_hash=asked,
        status=response.status_code,
        location=response.headers.get("Location"),
        etag=response.headers.get("ETag"),
        body=way.kept(response.get_data(as_text=True)),
        now=now,
    )
    events.commit()
    return response


def _from_outside(way: Way, path: dict[str, Any]) -> dict[str, Any]:
    return {"found": way.outside(**path)} if way.outside else {}


def _given_before(token_id: int, key: str, asked: str, now: datetime, way: Way) -> Response | None:
    """The answer that was given to this key; Refusal where it was another request."""
    known = answer_to(token_id, key, now)
    if known is None:
        return None
    if known.request_hash != asked:
        raise Refusal(422, KEPT_KEY, [{"detail": KEPT_KEY, "header": "Idempotency-Key"}])
    replayed = _response(way.given_again(known.body), known.status, known.location, known.etag)
    replayed.headers["Idempotent-Replayed"] = "true"
    return replayed


def _request_hash(arguments: dict[str, Any]) -> str:
    """What makes two requests the same: method, path, and what was read of their bodies."""
    told = json.dumps(arguments, sort_keys=True, default=_plain)
    return hashlib.sha256(f"{request.method}\n{request.path}\n{told}".encode()).hexdigest()


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _answer(result: Answer | Piece[Any] | Response | None, shape: Schema | None, status: int) -> Response:
    if isinstance(result, Response):
        result.vary.add("Authorization")
        return result
    if result is None or shape is None:
        return Response(status=GONE)
    if isinstance(result, Piece):
        data = {"items": result.items, "next": _next_address(result.next)}
        return _response(_dumped(shape.dump(data)), status, None, None)
    shown = cast(dict[str, Any], shape.dump(result.data))
    body = _dumped(shown)
    version = shown.get("version")
    etag = f"{version}.{_digest(body)}" if version is not None else None
    location = f"{home_address()}{PREFIX}{result.location}" if result.location else None
    return _response(body, status, location, etag)


def _dumped(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _response(body: str, status: int, location: str | None, etag: str | None) -> Response:
    response = Response(body, status, mimetype="application/json")
    if location:
        response.headers["Location"] = location
        response.autocorrect_location_header = False
    response.set_etag((etag or _digest(body)).strip('"'))
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("Authorization")
    if request.method in {"GET", "HEAD"}:
        response.make_conditional(request)
    return response


def _next_address(place: str | None) -> str | None:
    if place is None:
        return None
    query = {**request.args.to_dict(), "cursor": place}
    return f"{home_address()}{request.path}?{urlencode(query)}"


def _refused(refusal: Refusal) -> Response:
    headers = {"Retry-After": "1"} if refusal.detail == HELD_KEY else {}
    return problem(refusal.status, detail=refusal.detail, headers=headers, problems=refusal.problems)


def _lost(_error: BadPlaceError) -> Response:
    sentence = "This cursor is not one of this list. Begin without one, or take it from `next`."
    return problem(422, detail=sentence, problems=[{"detail": sentence, "parameter": "cursor"}])


_pieces: dict[type[Schema], type[Schema]] = {}


def _piece_shape(of: type[Schema]) -> type[Schema]:
    """The shape of a piece of a list of these."""
    if of not in _pieces:
        members = {
            "items": fields.List(fields.Nested(of), required=True),
            "next": fields.String(
                required=True, allow_none=True, metadata={"description": "Where the next piece is; null at the end."}
            ),
        }
        _pieces[of] = type(f"{of.__name__.removesuffix('Shape')}List", (Shape,), members)
    return _pieces[of]


def _parameters(query: type[Schema] | None, body: type[Schema] | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if body is not None:
        found.append({"in": "json", "required": True, "schema": body})
    if query is not None:
        found.append({"in": "query", "schema": query})
    return found


def _described(shape: Schema | None, status: int) -> dict[str, Any]:
    words = {DONE: "As it is now.", MADE: "Made.", GONE: "Done; nothing is left to show."}
    described: dict[str, Any] = {"description": words[status], "content_type": "application/json"}
    if shape is not None:
        described["schema"] = deepcopy(shape)
    elif status != GONE:
        described |= {"description": "The bytes, to be saved.", "content_type": "*/*", "schema": {"type": "string"}}
    return described
