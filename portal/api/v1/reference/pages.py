"""The document as its page shows it: resources, their operations, the shapes flattened to lines, examples to copy."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, cast
from urllib.parse import urlencode

Spec = Mapping[str, Any]

DEEPEST = 3
"""How many shapes inside each other are written out."""

EXAMPLES = {"date-time": "2026-11-21T12:00:00Z", "date": "2026-11-30"}
SUCCESSES = ("200", "201", "204")


@dataclass(frozen=True)
class Line:
    """One parameter or one member of a body or an answer; `name` is dotted where it stands inside another."""

    name: str
    kind: str
    words: str
    is_required: bool


@dataclass(frozen=True)
class Operation:
    """One operation as it is shown."""

    name: str
    method: str
    path: str
    summary: str
    words: str
    scopes: tuple[str, ...]
    parameters: tuple[Line, ...]
    body: tuple[Line, ...]
    answer: tuple[Line, ...]
    status: str
    refusals: tuple[tuple[str, str], ...]
    curl: str
    shown: str


@dataclass(frozen=True)
class ResourcePage:
    """One resource with its operations."""

    name: str
    anchor: str
    words: str
    operations: tuple[Operation, ...]


def pages_of(document: Spec) -> tuple[ResourcePage, ...]:
    """The resources in the order of the document."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, operations in document["paths"].items():
        shared = operations.get("parameters", [])
        for method, operation in operations.items():
            if method != "parameters":
                found[operation["tags"][0]].append(_operation(document, method, path, shared, operation))
    return tuple(
        ResourcePage(tag["name"], tag["name"].lower().replace(" ", "-"), tag["description"], tuple(found[tag["name"]]))
        for tag in document["tags"]
    )


def _operation(document: Spec, method: str, path: str, shared: list[Any], operation: Spec) -> Operation:
    parameters = [*shared, *operation.get("parameters", [])]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    status = next(each for each in SUCCESSES if each in operation["responses"])
    answer = operation["responses"][status].get("content", {}).get("application/json", {}).get("schema")
    return Operation(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        words=operation.get("description", ""),
        scopes=tuple(operation["x-scopes"]),
        parameters=tuple(_parameter(document, each) for each in parameters),
        body=tuple(_lines(document, body)) if body else (),
        answer=tuple(_lines(document, answer)) if answer else (),
        status=status,
        refusals=tuple(_refusals(document, operation)),
        curl=_curl(document, method, path, parameters, body),
        shown=_json(example_of(document, answer)) if answer else "",
    )


def _refusals(document: Spec, operation: Spec) -> Iterator[tuple[str, str]]:
    for status, answer in sorted(operation["responses"].items()):
        if "$ref" in answer:
            yield status, _resolved(document, answer)["description"]


def _parameter(document: Spec, parameter: Spec) -> Line:
    kind = _kind(document, parameter["schema"])
    where = {"path": "in the path", "query": "in the query", "header": "header"}[parameter["in"]]
    return Line(
        parameter["name"], f"{kind}, {where}", parameter.get("description", ""), bool(parameter.get("required"))
    )


def _lines(document: Spec, schema: Spec, prefix: str = "", depth: int = 0) -> Iterator[Line]:
    """The members of a shape, those of shapes inside it behind a dot."""
    whole = _resolved(document, schema)
    required = set(whole.get("required", ()))
    for name, member in sorted(whole.get("properties", {}).items(), key=lambda each: each[0] not in required):
        yield Line(f"{prefix}{name}", _kind(document, member), member.get("description", ""), name in required)
        inner, inside = _resolved(document, member), f"{prefix}{name}."
        if "array" in _types(inner):
            inner, inside = _resolved(document, inner["items"]), f"{prefix}{name}[]."
        if inner.get("properties") and depth < DEEPEST:
            yield from _lines(document, inner, inside, depth + 1)


def _types(schema: Spec) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _kind(document: Spec, schema: Spec) -> str:
    """The kind of a value in words: "text, or null", "one of a, b"."""
    whole = _resolved(document, schema)
    types = _types(whole)
    words = {"string": "text", "integer": "number", "number": "number", "boolean": "true or false", "object": "object"}
    named = next((words[each] for each in types if each in words), "list" if "array" in types else "object")
    if "array" in types:
        named = f"list of {_kind(document, whole['items'])}"
    elif whole.get("format") == "date-time":
        named = "moment"
    elif whole.get("format") == "date":
        named = "day"
    elif "enum" in whole:
        named = " | ".join(str(each) for each in whole["enum"] if each is not None)
    return f"{named}, or null" if "null" in types else named


def example_of(document: Spec, schema: Spec, depth: int = 0) -> Any:
    """A value that fits a shape: its own examples where it has them."""
    whole = _resolved(document, schema)
    if "example" in schema or "example" in whole:
        return schema.get("example", whole.get("example"))
    types = _types(whole)
    if "array" in types:
        return [example_of(document, whole["items"], depth + 1)] if depth < DEEPEST else []
    if "properties" in whole:
        return {name: example_of(document, each, depth + 1) for name, each in whole["properties"].items()}
    if "enum" in whole:
        return whole["enum"][0]
    if whole.get("format") in EXAMPLES:
        return EXAMPLES[whole["format"]]
    plain = {"integer": 1, "number": 1.0, "boolean": True, "string": "text", "object": {}}
    return next((plain[each] for each in types if each in plain), None)


def _curl(document: Spec, method: str, path: str, parameters: list[Any], body: Spec | None) -> str:
    """The request as a command line."""
    address = path
    for each in parameters:
        if each["in"] == "path":
            address = address.replace(f"{{{each['name']}}}", str(example_of(document, each["schema"])))
    asked = {each["name"]: each["example"] for each in parameters if each["in"] == "query" and "example" in each}
    address = document["servers"][0]["url"] + address + (f"?{urlencode(asked)}" if asked else "")
    lines = ['curl -H "Authorization: Bearer $TOKEN"']
    if method != "get":
        lines[0] = f"{lines[0]} -X {method.upper()}"
    names = {each["name"] for each in parameters if each.get("required") or each["name"] == "Idempotency-Key"}
    if "If-Match" in names:
        lines.append("""-H 'If-Match: "1"'""")
    if "Idempotency-Key" in names:
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if body:
        given = _asked_for(document, body)
        lines += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(given, ensure_ascii=False)}'"]
    return " \\\n  ".join([*lines, f"'{address}'"])


def _asked_for(document: Spec, body: Spec) -> Any:
    """What a body needs, or, where it needs nothing, its first member."""
    whole = _resolved(document, body)
    properties = whole.get("properties", {})
    needed = whole.get("required") or list(properties)[:1]
    return {name: example_of(document, properties[name]) for name in properties if name in needed}


def _resolved(document: Spec, schema: Spec) -> Spec:
    """What a reference stands for."""
    if "$ref" not in schema:
        return schema
    steps = schema["$ref"].removeprefix("#/").split("/")
    return cast(Spec, reduce(lambda found, step: found[step], steps, cast(Any, document)))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
