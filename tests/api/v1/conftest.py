"""Tokens for the cast's world, and a machine that speaks JSON."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import Company
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import Actor
from portal.extensions import db
from tests.conftest import STAFF_HOST, Cast, client_on

PREFIX = "/api/v1"


class Machine:
    """Sends requests with a token, and JSON where there is a body."""

    def __init__(self, app: Flask, token: str | None, host: str = STAFF_HOST) -> None:
        self.client = client_on(app, host)
        self.token = token

    def send(self, method: str, path: str, body: Any = None, *, match: Any = None, **headers: str) -> TestResponse:
        """`match` is a version, or an ETag as it was given; `headers` are written with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if match is not None:
            sent["If-Match"] = f'"{match}"' if isinstance(match, int) else match
        rest: dict[str, Any] = {}
        if body is not None:
            rest = {"data": json.dumps(body), "content_type": "application/json"}
        return self.client.open(PREFIX + path, method=method, headers=sent, **rest)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.send("GET", path, **headers)

    def read(self, path: str) -> Any:
        """What is there; it must be."""
        response = self.get(path)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.json

    def make(self, path: str, body: Any) -> Any:
        """Make something; it must succeed, and be where its Location says."""
        response = self.send("POST", path, body)
        assert response.status_code == 201, response.get_data(as_text=True)
        made = response.json
        address = response.headers["Location"].removeprefix(f"http://{STAFF_HOST}{PREFIX}")
        assert self.get(address).status_code == 200
        return made

    def all(self, path: str) -> list[Any]:
        """Every piece of a list, following `next`."""
        found: list[Any] = []
        address: str | None = path
        while address is not None:
            piece = self.read(address)
            found += piece["items"]
            after = piece["next"]
            address = after.partition(PREFIX)[2] if after else None
        return found


MakeMachine = Callable[..., Machine]


@pytest.fixture
def machine(app: Flask, cast: Cast) -> MakeMachine:
    """A machine with a token of this scope, made by Root; of a company it sees what that company sees."""
    return maker(app, cast)


def maker(app: Flask, cast: Cast) -> MakeMachine:
    """What makes machines for a test."""

    def made(scope: Scope = Scope.ADMIN, company: Company | None = None, host: str = STAFF_HOST) -> Machine:
        by = Actor(cast.root.email, cast.root.id)
        _, secret = make_token(f"test {scope}", scope, company=company, by=by, now=clock.utcnow())
        db.session.commit()
        return Machine(app, secret, host)

    return made


def refusal(response: TestResponse, status: int) -> Any:
    """The problem details of a refusal, which must be well made."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.mimetype == "application/problem+json"
    problem = response.json
    assert problem is not None
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem
