"""The API does what its document says: every operation, with what fits its schemas and with what does not.

Schemathesis makes the requests from the document and checks each answer against it, always with the same seed.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.config import ChecksConfig, PositiveDataAcceptanceConfig, ProjectConfig, ProjectsConfig
from schemathesis.config import SchemathesisConfig as Config
from schemathesis.generation import GenerationMode
from werkzeug.wrappers import Response

from portal.accounts.rules.tokens import Scope
from portal.extensions import db
from tests.api.v1.conftest import maker
from tests.conftest import STAFF_HOST, Cast
from tests.security.rights import API_IDS, resolve
from tests.security.test_sweep import taken_back
from tests.security.world import World, plant
from tests.support.cases import make_known

BASE = f"http://{STAFF_HOST}"

ON_SQLITE, ON_POSTGRESQL = 4, 2
"""Requests of each kind for each operation: what fits and what does not, about what is there and about what is not."""

STATUSES = ["2xx", "401", "403", "404", "409", "422"]
"""What a request that fits its schema may be answered: rules no schema can say refuse with 422."""


class OneSession:
    """The product as a WSGI application, each request with an app context and a database session of its own."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        with self.app.app_context():
            return Response.from_app(self.app.wsgi_app, environ)(environ, start_response)


@pytest.fixture
def world(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> World:
    make_known(monkeypatch, {1: cast.a.id, 2: cast.b.id})
    return plant(cast)


@pytest.fixture
def contract(app: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The document of the running product, and a token that may do everything as often as it likes."""
    generous = replace(app.config["SETTINGS"], api_requests_per_minute=1_000_000)
    monkeypatch.setitem(app.config, "SETTINGS", generous)
    checks = ChecksConfig(positive_data_acceptance=PositiveDataAcceptanceConfig(expected_statuses=STATUSES))
    project = ProjectConfig(base_url=BASE, checks=checks)
    config = Config(seed=20261121, projects=ProjectsConfig(default=project))
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", OneSession(app), config=config, base_url=BASE)
    return schema, maker(app, world.cast)(Scope.ADMIN).token


def test_every_operation_keeps_to_the_document(app: Flask, world: World, contract: Any) -> None:
    schema, token = contract
    ids: dict[str, Any] = {
        name: int(value) if value.isdigit() else value for name, value in resolve(world, API_IDS).items()
    }
    count = ON_SQLITE if db.engine.dialect.name == "sqlite" else ON_POSTGRESQL
    wrong: list[str] = []
    answered: dict[str, set[int]] = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        names = [each.name for each in operation.path_parameters]
        present = {name: ids[name] for name in names}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for path in [present, None] if names else [None]:
                seen = answered.setdefault(operation.label, set())
                wrong += _faults(app, operation, token, mode, path, count, seen)
    assert not wrong, f"{len(wrong)} of the answers break the contract:\n\n" + "\n\n".join(wrong[:20])
    # The requests have met what is there, and not only a wall in front of it. Those that need a company in their query
    # are met in test_questions.py and test_call_records.py: no generator finds the number of one.
    unmet = {label for label, statuses in answered.items() if label.startswith("GET") and 200 not in statuses}
    assert unmet == {"GET /api/v1/questions", "GET /api/v1/call-records"}
    done = [label for label, statuses in answered.items() if min(statuses) < 300]
    assert len(done) >= len(answered) * 0.7, sorted(set(answered) - set(done))


def _faults(  # noqa: PLR0917 (the loop above fills them in)
    app: Flask,
    operation: Any,
    token: str,
    mode: GenerationMode,
    path: dict[str, Any] | None,
    count: int,
    seen: set[int],
) -> list[str]:
    """What is wrong with the answers to some requests to an operation, each taken back again; notes their statuses."""
    wrong = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=path))
    def ask(case: Any) -> None:
        with taken_back(app):
            try:
                headers = {"Authorization": f"Bearer {token}"}
                seen.add(case.call_and_validate(base_url=BASE, headers=headers).status_code)
            except AssertionError as failure:
                wrong.append(f"{operation.label}\n{failure}")
            except BaseExceptionGroup as failures:
                wrong.extend(f"{operation.label}\n{failure}" for failure in failures.exceptions)

    ask()
    return wrong
