"""For supervisors, load balancers and monitoring: is the process alive, may it be sent requests, how does all fare."""

import hmac

from flask import Blueprint, Response, abort, current_app, jsonify, make_response, request

from portal import access, clock
from portal.config import Settings
from portal.errors import answer
from portal.extensions import db
from portal.operation import queries
from portal.operation.rules import WAL_LARGE, Schema
from portal.operation.watch import patience
from portal.public.health.metrics import Figures, exposition
from portal.public.health.status import standing

blueprint = Blueprint("public_health", __name__)
access.machines(blueprint)


@blueprint.get("/healthz")
def alive() -> Response:
    """This process answers. Asks nobody else, so that a slow database does not get it restarted."""
    return _answer({"status": "ok"})


@blueprint.get("/readyz")
def ready() -> Response:
    """503 until the database answers and its schema is ours; without Redis it is ready, but degraded.

    "mail" is "late" while a mail of an incident has waited for longer than PORTAL_INCIDENT_ALARM_SECONDS: no reason to
    send requests elsewhere, but one to look. "wal" is there while SQLite's write-ahead log is too large. Two queries
    while no report is being mailed, one question to Redis, one look at the disk.
    """
    schema = queries.schema_state()
    found = {"database": schema.value, "redis": "ok" if queries.redis_answers() else "away"}
    if schema is Schema.OK:
        found["mail"] = "late" if queries.late_now(clock.utcnow(), patience()) else "ok"
    if (queries.wal_bytes() or 0) > WAL_LARGE:
        found["wal"] = "large"
    is_ready = schema is Schema.OK
    status = "ready" if set(found.values()) == {"ok"} else "degraded" if is_ready else "not ready"
    return _answer({"status": status, **found}, 200 if is_ready else 503)


@blueprint.get("/metrics")
def metrics() -> Response:
    """The figures for Prometheus, for whoever has PORTAL_METRICS_TOKEN; nothing here where none is set."""
    settings: Settings = current_app.config["SETTINGS"]
    if not settings.metrics_token:
        abort(404)
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {settings.metrics_token}".encode()):
        return answer(401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    now = clock.utcnow()
    schema = queries.schema_state()
    figures = Figures(
        schema,
        queries.measure(now) if schema is Schema.OK else None,
        queries.mail_figures(now, patience()) if schema is Schema.OK else None,
        redis=queries.redis_answers(),
        engine=db.engine.dialect.name,
        now=now,
        status=standing(now) if schema is Schema.OK else None,
    )
    text, content_type = exposition(figures, request.headers.get("Accept", ""))
    response = make_response(text)
    response.headers["Content-Type"] = content_type
    response.headers["Cache-Control"] = "no-store"
    return response


def _answer(body: dict[str, str], status: int = 200) -> Response:
    response = make_response(jsonify(body), status)
    response.headers["Cache-Control"] = "no-store"
    return response
