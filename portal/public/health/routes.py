"""For supervisors and load balancers: is the process alive, may it be sent requests."""

from flask import Blueprint, Response, jsonify, make_response

from portal import access
from portal.public.health import checks

blueprint = Blueprint("public_health", __name__)
access.machines(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """This process answers. Asks nobody else, so that a slow database does not get it restarted."""
    return _answer({"status": "ok"})


@blueprint.get("/readyz")
def ready() -> Response:
    """503 until the database answers and its schema is ours; without Redis it is ready, but degraded."""
    found = {"database": checks.database(), "redis": checks.redis()}
    is_ready = found["database"] == "ok"
    status = "ready" if set(found.values()) == {"ok"} else "degraded" if is_ready else "not ready"
    return _answer({"status": status, **found}, 200 if is_ready else 503)


def _answer(body: dict[str, str], status: int = 200) -> Response:
    response = make_response(jsonify(body), status)
    response.headers["Cache-Control"] = "no-store"
    return response
