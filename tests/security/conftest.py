"""A second app with routes that misbehave, for what no real route would do, and an app that is told it runs on https."""

from dataclasses import replace

import pytest
from flask import Blueprint, Flask, jsonify, request
from sqlalchemy import text
from werkzeug.wrappers import Response

from portal import access, create_app
from portal.config import Settings
from portal.extensions import db
from portal.fragments import redirect_to

probe = Blueprint("probe", __name__)
access.anyone(probe)

SECRET = "CANARY-trace-of-a-fault"


@probe.get("/probe/fault")
@probe.get("/api/probe/fault", endpoint="api_fault")
def fault() -> Response:
    raise RuntimeError(f"{SECRET} SELECT * FROM person /etc/passwd")


@probe.get("/probe/sql")
def bad_sql() -> Response:
    db.session.execute(text(f"SELECT {SECRET.replace('-', '_')} FROM nowhere"))
    return redirect_to("/")


@probe.get("/probe/redirect")
def to_wherever() -> Response:
    return redirect_to(request.args["to"])


@probe.post("/api/probe/json")
def eat_json() -> Response:
    return jsonify(kind=type(request.get_json()).__name__)


@probe.post("/probe/form")
def eat_form() -> Response:
    return redirect_to("/probe/form")


@probe.get("/probe/item/<int:item_id>/")
def item(item_id: int) -> Response:
    return jsonify(id=item_id)


@pytest.fixture(scope="session")
def probe_app(settings: Settings, app: Flask) -> Flask:
    """The product with the misbehaving routes added, on the same database."""
    return _with_probes(create_app(settings))


@pytest.fixture(scope="session")
def https_app(settings: Settings, app: Flask) -> Flask:
    """The same, told that its staff host is reached by https."""
    return _with_probes(create_app(replace(settings, base_url=settings.base_url.replace("http:", "https:"))))


def _with_probes(made: Flask) -> Flask:
    made.register_blueprint(probe)
    return made
