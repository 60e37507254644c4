"""The document and its page: whole, for anybody on the staff host, and in step with the routes."""

import json
import re
from collections.abc import Mapping

from flask import Flask
from jsonschema_rs import Draft202012Validator

from portal.api.v1.document import document
from portal.api.v1.reference.pages import pages_of
from tests.conftest import STAFF_HOST, Cast, client_on
from tests.security.rights import RIGHTS, For, routes


def test_the_document_names_every_operation_there_is(app: Flask, cast: Cast) -> None:
    response = client_on(app, STAFF_HOST).get("/api/v1/openapi.json")
    assert response.mimetype == "application/json"
    made = response.json
    assert made is not None
    assert made["openapi"] == "3.1.0"
    documented = {
        (re.sub(r"{\w+}", "{}", path), method.upper())
        for path, operations in made["paths"].items()
        for method in operations
        if method != "parameters"
    }
    served = {
        (re.sub(r"<[^>]*>", "{}", rule.rule), method)
        for rule in routes(app)
        if RIGHTS[rule.endpoint].audience is For.TOKENS
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert documented == served
    names = [
        each["operationId"] for path in made["paths"].values() for name, each in path.items() if name != "parameters"
    ]
    assert len(names) == len(set(names))


def test_every_operation_says_what_it_takes_answers_and_refuses(app: Flask, cast: Cast) -> None:
    for path, operations in document(app)["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            assert operation["summary"], (method, path)
            assert operation["x-scopes"], (method, path)
            assert {"400", "401", "403", "404", "422", "429", "503"} <= set(operation["responses"])
            headers = {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"}
            assert ("Idempotency-Key" in headers) is (method == "post")
            assert method not in {"patch"} or "If-Match" in headers


def test_the_document_is_for_anybody_on_the_staff_host_alone(app: Flask, cast: Cast) -> None:
    for path in ("/api/v1/", "/api/v1/openapi.json"):
        assert client_on(app, STAFF_HOST).get(path).status_code == 200
        assert client_on(app, "a.portal.test").get(path).status_code == 404


def test_nothing_of_the_installation_stands_in_it_but_its_address(app: Flask, cast: Cast) -> None:
    text = json.dumps(document(app))
    assert "admin.portal.test" in text
    for secret in (cast.a.name, cast.alice.email, cast.domain_a.brand, app.config["SECRET_KEY"]):
        assert secret not in text


def test_an_unchanged_document_is_304(app: Flask, cast: Cast) -> None:
    client = client_on(app, STAFF_HOST)
    for path in ("/api/v1/", "/api/v1/openapi.json"):
        etag = client.get(path).headers["ETag"]
        assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_the_page_shows_every_operation_with_a_request_to_copy(app: Flask, cast: Cast) -> None:
    page = client_on(app, STAFF_HOST).get("/api/v1/").get_data(as_text=True)
    for path, operations in document(app)["paths"].items():
        assert f">{path}<" in page
        for method, operation in operations.items():
            if method != "parameters":
                assert f'id="{operation["operationId"]}"' in page
                assert f'id="code-{operation["operationId"]}"' in page
    assert "curl" in page
    assert "None" not in re.sub(r"If-None-Match", "", page)


def test_the_examples_fit_their_schemas(app: Flask, cast: Cast) -> None:
    """A curl line that is copied must not be refused for its shape, and no answer looks otherwise than shown."""
    made = document(app)

    def fits(value: object, schema: Mapping[str, object]) -> bool:
        checked = Draft202012Validator({**schema, "components": made["components"]})
        return bool(checked.is_valid(value))

    bodies = 0
    for page in pages_of(made):
        for each in page.operations:
            operation = made["paths"][each.path][each.method.lower()]
            if each.shown:
                schema = operation["responses"][each.status]["content"]["application/json"]["schema"]
                assert fits(json.loads(each.shown), schema), each.name
            if each.body:
                (body,) = re.findall(r"-d '(.*)'", each.curl)
                assert fits(json.loads(body), operation["requestBody"]["content"]["application/json"]["schema"]), (
                    each.name
                )
                bodies += 1
    assert bodies > 20
